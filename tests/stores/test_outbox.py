"""The sentences of ``nornmail/stores/protocol.py``, asked of every store."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from nornmail.errors import IllegalTransition, LeaseHeld, LeaseLost, StoreError
from nornmail.model import Lease, MailboxKey
from nornmail.outgoing import (
    QUEUE_TRANSITIONS,
    REQUESTABLE,
    Decision,
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Recipient,
    RecipientStatus,
)
from nornmail.stores.protocol import StateStore
from tests.stores.letters import OUTBOX, RAW, accepted, bring, letter
from tests.stores.support import INBOX, ME
from tests.support.table import table

ALL = tuple(QueueState)
KEY = MailboxKey.of_outbox(OUTBOX)
SURROGATES = ("\udc80caf\udce9", "\ud83d\ude00", "\ud800", "a\0b", "naïve \U0001f600 ")


@pytest.fixture
def lease(store: StateStore) -> Lease:
    return store.acquire(KEY, ME)


def keys(letters: list[QueuedMessage]) -> list[str]:
    return [one.key for one in letters]


def everything(store: StateStore) -> object:
    """All that can be read of the outbox."""
    letters = store.queued_messages(OUTBOX, ALL)
    raws = [store.message_bytes(OUTBOX, one.key) for one in letters]
    return letters, raws, store.pending_requests(OUTBOX), store.messages_to_copy(OUTBOX)


# Keeping


def test_a_letter_is_kept_with_its_bytes_and_no_lease(store: StateStore) -> None:
    one = letter()
    assert store.enqueue(one, RAW) == one
    assert store.queued_message(OUTBOX, "k") == one
    assert store.message_bytes(OUTBOX, "k") == RAW
    assert store.outboxes() == [OUTBOX]


def test_large_bytes_are_kept_whole(reopen: Callable[[], StateStore]) -> None:
    raw = random.Random(1).randbytes((2 << 20) + 5)
    reopen().enqueue(letter(), raw)
    assert reopen().message_bytes(OUTBOX, "k") == raw


def test_every_field_comes_back(reopen: Callable[[], StateStore]) -> None:
    full = QueuedMessage(
        outbox=OUTBOX,
        key="k",
        message_id="<k@example.com>",
        sender="",
        recipients=(
            Recipient("ann@example.org", RecipientStatus.ACCEPTED, 250, "OK"),
            Recipient("bob@example.org", RecipientStatus.REFUSED, 550, "no such user"),
        ),
        smtputf8=True,
        subject="hello",
        thread_id="<root@example.org>",
        is_answer=True,
        attempts=3,
        queued_at=1.5,
        tried_at=2.5,
        due_at=3.5,
        submitted_at=4.5,
        changed_at=5.5,
        reason="450 later",
        size=17,
        copied=True,
        copy_due_at=6.5,
        copy_tries=2,
        dropped=False,
        approval="queue",
        decision="approved by Ann: fine",
    )
    plain = QueuedMessage._field_defaults
    same = {name for name, default in plain.items() if getattr(full, name) == default}
    assert same == {"state", "dropped"}
    reopen().enqueue(full, RAW)
    store = reopen()
    assert store.queued_message(OUTBOX, "k") == full
    gone = full._replace(state=QueueState.FAILED, dropped=True)
    store.commit_messages(store.acquire(KEY, ME), [gone])
    assert reopen().queued_message(OUTBOX, "k") == gone


def test_strings_that_are_hard_to_store_come_back(reopen: Callable[[], StateStore]) -> None:
    hard = {
        text: letter(text, outbox=text, to=(text,), is_answer=True)._replace(
            subject=text,
            thread_id=text,
            message_id=text,
            reason=text,
        )
        for text in SURROGATES
    }
    store = reopen()
    for one in hard.values():
        store.enqueue(one, RAW)
    store = reopen()
    for text, one in hard.items():
        assert store.queued_messages(text, ALL) == [one]
        assert keys(store.messages_with_id(text)) == [text]
        assert keys(store.messages_to(text, text, since=0, limit=9)) == [text]
        assert store.answers_since(text, 0, thread_id=text) == 1


def test_a_known_key_gives_the_first_letter_and_writes_nothing(
    store: StateStore, lease: Lease
) -> None:
    sent = bring(store, lease, letter(), QueueState.SENT)
    before = everything(store)
    again = letter()._replace(message_id="<other@example.com>", subject="other")
    assert store.enqueue(again, b"other") == sent
    assert everything(store) == before


def test_the_same_key_in_two_outboxes_is_two_letters(store: StateStore) -> None:
    one, two = letter(), letter(outbox="other")
    store.enqueue(one, RAW)
    store.enqueue(two, b"two")
    assert (store.queued_message(OUTBOX, "k"), store.queued_message("other", "k")) == (one, two)
    assert store.message_bytes("other", "k") == b"two"
    assert store.outboxes() == [OUTBOX, "other"]
    assert store.messages_with_id("<k@example.com>") == [one, two]


def test_only_what_is_queued_is_new(store: StateStore) -> None:
    with pytest.raises(IllegalTransition, match="queued"):
        store.enqueue(letter()._replace(state=QueueState.SENT), RAW)
    assert store.queued_message(OUTBOX, "k") is None


def test_many_threads_that_queue_one_key_queue_one_letter(store: StateStore) -> None:
    kept: list[QueuedMessage] = []
    begin = threading.Barrier(8)

    def queue(number: int) -> None:
        begin.wait()
        kept.append(store.enqueue(letter()._replace(message_id=f"<{number}>"), RAW))

    threads = [threading.Thread(target=queue, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one.message_id for one in kept}) == 1
    assert store.count_messages(OUTBOX, ALL) == 1


def test_an_outbox_is_no_mailbox(store: StateStore, lease: Lease) -> None:
    store.enqueue(letter(), RAW)
    store.acquire(INBOX, ME)
    assert store.mailboxes() == [INBOX]
    assert store.outboxes() == [OUTBOX]


def test_an_unknown_outbox_has_nothing(store: StateStore) -> None:
    assert everything(store) == ([], [], [], [])
    assert store.queued_message(OUTBOX, "k") is None
    assert store.message_bytes(OUTBOX, "k") is None
    assert store.count_messages(OUTBOX, ALL) == 0
    assert store.messages_to(OUTBOX, "ann@example.org", since=0, limit=9) == []
    assert store.answers_since(OUTBOX, 0, address="ann@example.org") == 0
    assert store.submissions_since(OUTBOX, 0, limit=9) == []
    assert store.messages_with_id("<k@example.com>") == []
    assert store.outboxes() == []


# The lease


def test_one_at_a_time_may_send_and_queueing_needs_no_right(
    store: StateStore, lease: Lease
) -> None:
    with pytest.raises(LeaseHeld, match="outbox"):
        store.acquire(KEY, "somebody else")
    store.enqueue(letter(), RAW)
    store.commit_messages(lease, [letter()._replace(state=QueueState.SENDING)])


@pytest.mark.parametrize("taken", [False, True], ids=["released", "taken over"])
def test_a_stale_lease_changes_nothing(store: StateStore, lease: Lease, taken: bool) -> None:
    store.enqueue(letter(), RAW)
    store.release(lease)
    if taken:
        store.acquire(KEY, ME)
    before = everything(store)
    with pytest.raises(LeaseLost):
        store.commit_messages(lease, [letter()._replace(state=QueueState.SENDING)])
    with pytest.raises(LeaseLost):
        store.commit_messages(lease, [])
    assert everything(store) == before


def test_a_mailbox_lease_is_none_of_an_outbox(store: StateStore) -> None:
    store.enqueue(letter(), RAW)
    with pytest.raises(IllegalTransition):
        store.commit_messages(
            store.acquire(INBOX, ME), [letter()._replace(state=QueueState.SENDING)]
        )


def test_a_letter_of_another_outbox_is_refused(store: StateStore, lease: Lease) -> None:
    store.enqueue(letter(outbox="other"), RAW)
    with pytest.raises(IllegalTransition):
        store.commit_messages(lease, [letter(outbox="other")._replace(state=QueueState.SENDING)])
    with pytest.raises(IllegalTransition):
        store.commit_messages(lease, [letter("nobody's")])
    store.enqueue(letter(), RAW)  # of the same key, and here
    with pytest.raises(IllegalTransition):
        store.commit_messages(lease, [letter(outbox="other")._replace(state=QueueState.SENDING)])


# Changes


def test_the_table_is_kept(store: StateStore, lease: Lease) -> None:
    for before in ALL:
        for after in ALL:
            key = f"{before} {after}"
            one = bring(store, lease, letter(key), before)
            there = store.queued_message(OUTBOX, key), store.message_bytes(OUTBOX, key)
            changed = one._replace(state=after, reason="because")
            if after in QUEUE_TRANSITIONS[before]:
                store.commit_messages(lease, [changed])
                assert store.queued_message(OUTBOX, key) == changed
            else:
                with pytest.raises(IllegalTransition):
                    store.commit_messages(lease, [changed])
                assert (
                    store.queued_message(OUTBOX, key),
                    store.message_bytes(OUTBOX, key),
                ) == there
    found = store.queued_messages(OUTBOX, ALL)
    assert [store.count_messages(OUTBOX, [state]) for state in ALL] == [
        sum(one.state is state for one in found) for state in ALL
    ]


def test_a_commit_is_whole_or_not_at_all(store: StateStore, lease: Lease) -> None:
    for key in ("a", "b"):
        store.enqueue(letter(key), RAW)
    before = everything(store)
    with pytest.raises(IllegalTransition):
        store.commit_messages(
            lease,
            [
                letter("a")._replace(state=QueueState.SENDING),
                letter("b")._replace(state=QueueState.UNKNOWN),
            ],
        )
    assert everything(store) == before


def test_the_envelope_stays(store: StateStore, lease: Lease) -> None:
    store.enqueue(letter(), RAW)
    with pytest.raises(IllegalTransition, match="recipients"):
        store.commit_messages(lease, [letter(to=("ann@example.org", "bcc@example.org"))])


def test_changes_are_durable(reopen: Callable[[], StateStore]) -> None:
    store = reopen()
    lease = store.acquire(KEY, ME)
    sent = bring(store, lease, letter("sent"), QueueState.SENT)
    unknown = bring(store, lease, letter("unknown"), QueueState.UNKNOWN)
    store.enqueue(letter("queued"), RAW)
    store.request(OUTBOX, "unknown", OperatorRequest.SENT)
    store = reopen()
    assert {one.key: one for one in store.queued_messages(OUTBOX, ALL)} == {
        "sent": sent, "unknown": unknown, "queued": letter("queued")
    }  # fmt: skip
    assert [store.message_bytes(OUTBOX, key) for key in ("sent", "unknown", "queued")] == [
        None, RAW, RAW
    ]  # fmt: skip
    assert store.pending_requests(OUTBOX) == [("unknown", OperatorRequest.SENT)]


@table(
    ("change", "kept"),
    [
        pytest.param({"state": QueueState.SENT}, False, id="sent"),
        pytest.param(
            {"state": QueueState.SENT, "copy_due_at": 5.0}, True, id="sent, with a copy to make"
        ),
        pytest.param({"state": QueueState.UNKNOWN}, True, id="unknown"),
        pytest.param({"state": QueueState.FAILED}, True, id="failed"),
        pytest.param({"state": QueueState.FAILED, "dropped": True}, False, id="dropped"),
        pytest.param({"state": QueueState.QUEUED}, True, id="put off"),
    ],
)
def test_bytes_stay_for_as_long_as_they_may_be_needed(
    store: StateStore, lease: Lease, change: dict[str, Any], kept: bool
) -> None:
    one = bring(store, lease, letter(repr(change)), QueueState.SENDING)
    store.commit_messages(lease, [one._replace(**change)])
    assert store.message_bytes(OUTBOX, one.key) == (RAW if kept else None)


# Reading


def test_letters_come_by_due_time_then_age_then_key(store: StateStore) -> None:
    for key, due_at, queued_at in (("d", 9, 1), ("c", 5, 3), ("b", 5, 2), ("a", 5, 3)):
        store.enqueue(letter(key, due_at=due_at, queued_at=queued_at), RAW)
    assert keys(store.queued_messages(OUTBOX, [QueueState.QUEUED])) == ["b", "a", "c", "d"]
    assert keys(store.queued_messages(OUTBOX, ALL, limit=2)) == ["b", "a"]
    assert store.queued_messages(OUTBOX, []) == []


def test_letters_to_an_address_come_newest_first_in_whatever_case(store: StateStore) -> None:
    for key, queued_at in (("a", 10), ("b", 20), ("c", 30)):
        store.enqueue(letter(key, to=("Ann@Example.ORG", "bob@x.org"), queued_at=queued_at), RAW)
    store.enqueue(letter("d", to=("else@example.org",), queued_at=40), RAW)
    store.enqueue(letter("e", to=("ann@example.org",), queued_at=30), RAW)
    found = store.messages_to(OUTBOX, "aNN@example.org", since=20, limit=9)
    assert keys(found) == ["e", "c", "b"]
    assert keys(store.messages_to(OUTBOX, "bob@x.org", since=0, limit=1)) == ["c"]


def test_answers_are_counted_by_address_and_by_thread(store: StateStore) -> None:
    for key, to, thread, is_answer, queued_at in (
        ("a", "ann@x.org", "<t1>", True, 10),
        ("b", "ANN@x.org", "<t2>", True, 20),
        ("c", "ann@x.org", "<t1>", False, 30),
        ("d", "bob@x.org", "<t1>", True, 40),
    ):
        one = letter(key, to=(to,), thread_id=thread, is_answer=is_answer, queued_at=queued_at)
        store.enqueue(one, RAW)
    assert store.answers_since(OUTBOX, 0, address="ann@X.org") == 2
    assert store.answers_since(OUTBOX, 11, address="ann@x.org") == 1
    assert store.answers_since(OUTBOX, 20, address="ann@x.org") == 1
    assert store.answers_since(OUTBOX, 0, thread_id="<t1>") == 2
    assert store.answers_since(OUTBOX, 11, thread_id="<t1>") == 1
    assert store.answers_since("other", 0, thread_id="<t1>") == 0


def test_submissions_come_newest_first_and_bounded(store: StateStore, lease: Lease) -> None:
    for key, at in (("a", 10.0), ("b", 30.0), ("c", 20.0)):
        store.enqueue(letter(key), RAW)
        sending = letter(key)._replace(state=QueueState.SENDING, submitted_at=at)
        store.commit_messages(lease, [sending])
    store.enqueue(letter("never"), RAW)
    assert store.submissions_since(OUTBOX, 0, limit=9) == [30, 20, 10]
    assert store.submissions_since(OUTBOX, 20, limit=9) == [30, 20]
    assert store.submissions_since(OUTBOX, 0, limit=1) == [30]
    # Tried again: it counts once, by the last time.
    again = letter("a")._replace(state=QueueState.QUEUED, submitted_at=10.0)
    store.commit_messages(lease, [again])
    store.commit_messages(lease, [again._replace(state=QueueState.SENDING, submitted_at=40.0)])
    assert store.submissions_since(OUTBOX, 0, limit=9) == [40, 30, 20]


def test_copies_come_by_due_time(store: StateStore, lease: Lease) -> None:
    for key, due in (("a", 9.0), ("b", 5.0), ("c", 0.0)):
        one = bring(store, lease, letter(key), QueueState.SENDING)
        store.commit_messages(lease, [one._replace(state=QueueState.SENT, copy_due_at=due)])
    found = store.messages_to_copy(OUTBOX)
    assert keys(found) == ["b", "a"]
    store.commit_messages(lease, [found[0]._replace(copy_due_at=0.0, copied=True)])
    assert keys(store.messages_to_copy(OUTBOX)) == ["a"]
    assert store.message_bytes(OUTBOX, "b") is None


# Wishes


def test_a_wish_is_taken_in_the_states_of_the_table_alone(store: StateStore, lease: Lease) -> None:
    wanted: list[tuple[str, OperatorRequest]] = []
    for state in ALL:
        bring(store, lease, letter(state), state)
        for wish in OperatorRequest:
            if state in REQUESTABLE[wish]:
                store.request(OUTBOX, state, wish)
                store.request(OUTBOX, state, wish)
                wanted = [one for one in wanted if one[0] != state] + [(state.value, wish)]
            else:
                with pytest.raises(IllegalTransition, match=f"{wish}: the message"):
                    store.request(OUTBOX, state, wish)
            assert store.pending_requests(OUTBOX) == sorted(wanted)


def test_a_wish_for_what_is_not_there_or_was_dropped_is_refused(
    store: StateStore, lease: Lease
) -> None:
    with pytest.raises(IllegalTransition, match="no such message"):
        store.request(OUTBOX, "k", OperatorRequest.RETRY)
    one = bring(store, lease, letter(), QueueState.FAILED)
    store.commit_messages(lease, [one._replace(dropped=True)])
    with pytest.raises(IllegalTransition, match="dropped"):
        store.request(OUTBOX, "k", OperatorRequest.RETRY)


def test_the_last_wish_counts(store: StateStore, lease: Lease) -> None:
    bring(store, lease, letter(), QueueState.UNKNOWN)
    store.request(OUTBOX, "k", OperatorRequest.RETRY)
    store.request(OUTBOX, "k", OperatorRequest.SENT)
    assert store.pending_requests(OUTBOX) == [("k", OperatorRequest.SENT)]


@table(
    ("state", "wish", "change", "stays"),
    [
        (QueueState.QUEUED, OperatorRequest.RETRY, {}, False),
        (QueueState.QUEUED, OperatorRequest.RETRY, {"state": QueueState.SENDING}, False),
        (QueueState.QUEUED, OperatorRequest.DROP, {"state": QueueState.SENDING}, True),
        (QueueState.QUEUED, OperatorRequest.DROP, {"state": QueueState.SENT}, False),
        (
            QueueState.QUEUED,
            OperatorRequest.DROP,
            {"state": QueueState.FAILED, "dropped": True},
            False,
        ),
        (QueueState.UNKNOWN, OperatorRequest.RETRY, {"copy_tries": 1}, True),
        (QueueState.UNKNOWN, OperatorRequest.SENT, {"copy_tries": 1}, True),
        (QueueState.UNKNOWN, OperatorRequest.SENT, {"state": QueueState.SENT}, False),
        (QueueState.UNKNOWN, OperatorRequest.RETRY, {"state": QueueState.QUEUED}, False),
    ],
)
def test_a_wish_goes_with_what_it_was_about(
    store: StateStore,
    lease: Lease,
    state: QueueState,
    wish: OperatorRequest,
    change: dict[str, Any],
    stays: bool,
) -> None:
    before = store.pending_requests(OUTBOX)
    one = bring(store, lease, letter(f"{wish} {change}"), state)
    store.request(OUTBOX, one.key, wish)
    store.commit_messages(lease, [one._replace(**change)])
    new = [request for request in store.pending_requests(OUTBOX) if request not in before]
    assert new == ([(one.key, wish)] if stays else [])


# Approval

APPROVAL = Decision(True, "approved by Ann: fine", 200.0)
REJECTION = Decision(False, "rejected by Bob: too long", 300.0)


def test_a_held_message_is_approved_once(reopen: Callable[[], StateStore]) -> None:
    reopen().enqueue(letter()._replace(state=QueueState.HELD, approval="queue"), RAW)
    store = reopen()
    store.acquire(KEY, ME)  # a sender may be at work
    assert store.decide(OUTBOX, "k", APPROVAL)
    assert not store.decide(OUTBOX, "k", APPROVAL._replace(text="approved by Eve", at=400.0))
    with pytest.raises(IllegalTransition, match="was approved by Ann: fine"):
        store.decide(OUTBOX, "k", REJECTION)
    found = reopen().queued_message(OUTBOX, "k")
    assert found is not None
    assert (found.state, found.due_at, found.changed_at) == (QueueState.QUEUED, 200.0, 200.0)
    assert (found.decision, reopen().message_bytes(OUTBOX, "k")) == ("approved by Ann: fine", RAW)


def test_a_held_message_is_rejected_and_keeps_its_bytes(reopen: Callable[[], StateStore]) -> None:
    reopen().enqueue(letter()._replace(state=QueueState.HELD, approval="queue"), RAW)
    assert reopen().decide(OUTBOX, "k", REJECTION)
    store = reopen()
    assert not store.decide(OUTBOX, "k", REJECTION)
    found = store.queued_message(OUTBOX, "k")
    assert found is not None
    assert (found.state, found.reason) == (QueueState.FAILED, "rejected by Bob: too long")
    assert [r.status for r in found.recipients] == [RecipientStatus.REFUSED]
    assert store.message_bytes(OUTBOX, "k") == RAW
    with pytest.raises(IllegalTransition, match="was rejected by Bob"):
        store.decide(OUTBOX, "k", APPROVAL)


@table("state", [state for state in ALL if state is not QueueState.HELD])
def test_only_a_held_message_is_decided_about(
    store: StateStore, lease: Lease, state: QueueState
) -> None:
    bring(store, lease, letter(state), state)
    before = everything(store)
    for decision in (APPROVAL, REJECTION):
        with pytest.raises(IllegalTransition, match=f"it is {state}, not held"):
            store.decide(OUTBOX, state, decision)
        with pytest.raises(IllegalTransition, match="no such message"):
            store.decide(OUTBOX, "another", decision)
    assert everything(store) == before


# Bounces

REPORT = Recipient("ANN@example.org", RecipientStatus.BOUNCED, 550, "5.1.1 no such user")


def test_a_bounce_is_noted_without_a_lease_and_is_news_once(
    store: StateStore, lease: Lease
) -> None:
    one = accepted(letter(to=("ann@example.org", "bob@example.org")))
    bring(store, lease, one, QueueState.SENT)
    assert store.note_bounce(OUTBOX, "k", REPORT)
    assert not store.note_bounce(OUTBOX, "k", REPORT)
    found = store.queued_message(OUTBOX, "k")
    assert found is not None
    assert found.state is QueueState.SENT
    assert found.recipients == (
        Recipient("ann@example.org", RecipientStatus.BOUNCED, 550, "5.1.1 no such user"),
        one.recipients[1],
    )


def test_only_what_was_handed_over_comes_back(store: StateStore, lease: Lease) -> None:
    for standing in RecipientStatus:
        one = letter(standing)
        one = one._replace(recipients=(replace(one.recipients[0], status=standing),))
        bring(store, lease, one, QueueState.SENT)
        news = store.note_bounce(OUTBOX, standing, REPORT)
        assert news is (standing in (RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN))


@table("name", ["k", "nobody's"])
def test_a_bounce_of_somebody_else_is_no_news(store: StateStore, name: str) -> None:
    store.enqueue(letter(), RAW)
    assert not store.note_bounce(OUTBOX, name, replace(REPORT, address="eve@example.org"))
    assert store.queued_message(OUTBOX, "k") == letter()


def test_a_sender_that_read_the_letter_before_does_not_undo_a_bounce(
    store: StateStore, lease: Lease
) -> None:
    one = accepted(letter(to=("ann@example.org", "bob@example.org")))
    pending = one._replace(recipients=(one.recipients[0], Recipient("bob@example.org")))
    store.enqueue(pending, RAW)
    assert store.note_bounce(OUTBOX, "k", REPORT)
    store.commit_messages(lease, [one._replace(state=QueueState.SENT)])
    found = store.queued_message(OUTBOX, "k")
    assert found is not None
    assert [r.status for r in found.recipients] == [
        RecipientStatus.BOUNCED,
        RecipientStatus.ACCEPTED,
    ]


def test_a_closed_store_says_so(store: StateStore, lease: Lease) -> None:
    store.close()
    for ask in (
        lambda: store.enqueue(letter(), RAW),
        lambda: store.queued_messages(OUTBOX, ALL),
        lambda: store.commit_messages(lease, []),
        lambda: store.request(OUTBOX, "k", OperatorRequest.DROP),
        lambda: store.note_bounce(OUTBOX, "k", REPORT),
        lambda: store.decide(OUTBOX, "k", APPROVAL),
        lambda: store.outboxes(),
    ):
        with pytest.raises(StoreError, match="closed"):
            ask()
