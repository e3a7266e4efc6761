"""What is done with can be forgotten: its UIDs stay known, and nothing else goes."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing

import pytest

from nornmail.errors import LeaseLost
from nornmail.model import (
    Digest,
    Lease,
    MailboxKey,
    PassOver,
    PutEntry,
    SaveMailbox,
    State,
)
from nornmail.outgoing import QueueState
from nornmail.stores.protocol import StateStore
from nornmail.uidset import UidSet
from tests.stores.letters import OUTBOX, bring, letter
from tests.stores.support import INBOX, ME, WAYS, entry, key, record

CLOSED = (State.FINISHED, State.PASSED_OVER)


def put(
    store: StateStore,
    lease: Lease,
    state: State,
    uid: int,
    *,
    changed_at: float,
    inbox: str = "",
    received_at: float | None = None,
) -> None:
    for step in WAYS[state]:
        new = entry(step, uid, inbox=inbox, digest=Digest("h"))._replace(
            changed_at=changed_at,
            received_at=received_at,
        )
        store.commit(lease, [PutEntry(new)])


def test_what_is_done_with_goes_and_its_uids_stay_known(store: StateStore, lease: Lease) -> None:
    store.commit(lease, [SaveMailbox(record()), PassOver(1, UidSet.parse("50:60"))])
    for uid, state in enumerate(State, start=1):
        put(store, lease, state, uid, changed_at=100.0, received_at=50.0 + uid)
    for uid in (20, 21):
        put(store, lease, State.FINISHED, uid, changed_at=200.0, received_at=199.0)
    seen = store.seen_uids(INBOX, 1)
    assert store.forget_entries(lease, before=200.0, limit=100) == 2
    assert store.count(INBOX, CLOSED) == 2
    assert store.count(INBOX, set(State) - set(CLOSED)) == 6
    assert store.seen_uids(INBOX, 1) == seen
    after = store.load(INBOX)
    closed_uids = [uid for uid, state in enumerate(State, start=1) if state in CLOSED]
    assert after == record()._replace(horizon=50.0 + max(closed_uids))
    assert store.forget_entries(lease, before=200.0, limit=100) == 0
    assert store.load(INBOX) == after


def test_the_horizon_only_rises_and_a_saved_record_keeps_it(
    store: StateStore, lease: Lease
) -> None:
    store.commit(lease, [SaveMailbox(record())])
    horizons = []
    for uid, received in ((1, 80.0), (2, 30.0), (3, None), (4, 90.0)):
        put(store, lease, State.FINISHED, uid, changed_at=100.0, received_at=received)
        store.forget_entries(lease, before=100.5, limit=9)
        kept = store.load(INBOX)
        assert kept is not None
        horizons.append(kept.horizon)
        store.commit(lease, [SaveMailbox(kept)])
    assert horizons == [80.0, 80.0, 100.0, 100.0]


def test_one_without_a_date_counts_with_others_that_have_one(
    store: StateStore, lease: Lease
) -> None:
    store.commit(lease, [SaveMailbox(record())])
    put(store, lease, State.FINISHED, 1, changed_at=100.0, received_at=90.0)
    put(store, lease, State.FINISHED, 2, changed_at=95.0)
    assert store.forget_entries(lease, before=200.0, limit=9) == 2
    assert store.load(INBOX) == record()._replace(horizon=95.0)


def test_a_message_that_a_server_dates_in_the_future_does_not_move_the_horizon_there(
    store: StateStore, lease: Lease
) -> None:
    store.commit(lease, [SaveMailbox(record())])
    put(store, lease, State.FINISHED, 1, changed_at=100.0, received_at=90.0)
    put(store, lease, State.FINISHED, 2, changed_at=100.0, received_at=4e9)
    assert store.forget_entries(lease, before=200.0, limit=9) == 1
    assert store.load(INBOX) == record()._replace(horizon=90.0)
    assert [e.key for e in store.entries(INBOX, CLOSED)] == [key(2)]


def test_a_message_is_kept_while_one_of_its_inboxes_is_not_done(
    store: StateStore, lease: Lease
) -> None:
    store.commit(lease, [SaveMailbox(record())])
    put(store, lease, State.FINISHED, 1, inbox="a", changed_at=1.0)
    put(store, lease, State.WAITING, 1, inbox="b", changed_at=1.0)
    put(store, lease, State.FINISHED, 2, inbox="a", changed_at=1.0)
    put(store, lease, State.FINISHED, 2, inbox="b", changed_at=9.0)
    assert store.forget_entries(lease, before=5.0, limit=9) == 0
    assert store.forget_entries(lease, before=10.0, limit=9) == 2
    assert [e.key for e in store.entries(INBOX, set(State))] == [
        key(1, inbox="a"),
        key(1, inbox="b"),
    ]


def test_a_part_of_it_can_go_at_a_time_the_lowest_uids_first(
    store: StateStore, lease: Lease
) -> None:
    store.commit(lease, [SaveMailbox(record())])
    for uid in range(1, 8):
        put(store, lease, State.PASSED_OVER, uid, changed_at=1.0)
    assert [store.forget_entries(lease, before=5.0, limit=3) for _ in range(4)] == [3, 3, 1, 0]
    assert str(store.seen_uids(INBOX, 1)) == "1:7"


def test_it_takes_the_lease(store: StateStore, lease: Lease) -> None:
    store.release(lease)
    with pytest.raises(LeaseLost):
        store.forget_entries(lease, before=5.0, limit=9)


def test_it_is_durable(reopen: Callable[[], StateStore]) -> None:
    store = reopen()
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [SaveMailbox(record())])
    for uid in range(1, 30):
        put(store, lease, State.FINISHED, uid, changed_at=float(uid), received_at=float(uid))
    assert store.forget_entries(lease, before=20.0, limit=100) == 19
    for _ in range(2):
        store = reopen()
        assert store.count(INBOX, CLOSED) == 10
        assert str(store.seen_uids(INBOX, 1)) == "1:29"
        assert store.load(INBOX) == record()._replace(horizon=19.0)


def test_sent_messages_are_forgotten_and_others_are_not(reopen: Callable[[], StateStore]) -> None:
    store = reopen()
    lease = store.acquire(MailboxKey.of_outbox(OUTBOX), ME)
    for state in QueueState:
        bring(store, lease, letter(f"k-{state}", is_answer=True), state)
    failed = store.queued_message(OUTBOX, "k-failed")
    assert failed is not None
    bring(store, lease, letter("k-dropped"), QueueState.FAILED)
    dropped = store.queued_message(OUTBOX, "k-dropped")
    assert dropped is not None
    store.commit_messages(lease, [dropped._replace(dropped=True)])
    sent = letter("k-copy")
    bring(store, lease, sent, QueueState.SENDING)
    store.commit_messages(lease, [sent._replace(state=QueueState.SENT, copy_due_at=9.0)])
    # A held message and a draft wait for a person: they stay like all but what was sent or dropped.
    expected = {f"k-{state}" for state in QueueState if state is not QueueState.SENT} | {"k-copy"}
    assert store.forget_messages(OUTBOX, before=100.0, limit=9) == 0
    assert store.forget_messages(OUTBOX, before=101.0, limit=9) == 2
    for _ in range(2):
        with closing(reopen()) as store:
            kept = store.queued_messages(OUTBOX, set(QueueState))
            assert {message.key for message in kept} == expected
            assert store.message_bytes(OUTBOX, "k-failed") is not None
            assert store.messages_with_id("<k-sent@example.com>") == []
            assert len(store.messages_to(OUTBOX, "ann@example.org", since=0.0, limit=99)) == len(
                expected
            )
            assert store.forget_messages("another", before=101.0, limit=9) == 0
