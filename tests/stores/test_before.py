"""Stores that the program before this engine left: the same state is found in them, and more is
written to them."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nornmail.model import (
    Digest,
    Entry,
    EntryKey,
    Epoch,
    InboxRecord,
    MailboxKey,
    MailboxRecord,
    PutEntry,
    State,
    Watermark,
)
from nornmail.outgoing import OperatorRequest, QueueState, Recipient, RecipientStatus
from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import SqliteStateStore

BEFORE = Path(__file__).parent / "before"
"""A state as ``state.json`` with its files, and the same in ``state.db``. Both were written by the
program itself."""
NAMED = Path(__file__).parent / "version4"
"""The same by a later program, which named rows by their mailbox still, and more in its journal."""
INBOX = MailboxKey("agent@example.com", "INBOX")
OUTBOX = "agent@example.com@smtp.example.com"
SALES, SURROGATE = "sales@example.com", "naïve\udc80@example.com"


@pytest.fixture(params=["json", "json of version 4", "sqlite"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], StateStore]:
    if request.param != "sqlite":
        shutil.copytree(BEFORE if request.param == "json" else NAMED, tmp_path, dirs_exist_ok=True)
        return lambda: JsonStateStore(tmp_path / "state.json")
    (tmp_path / "state.db").write_bytes(gzip.decompress((BEFORE / "state.db.gz").read_bytes()))
    return lambda: SqliteStateStore(tmp_path / "state.db")


def written(state: State, uid: int) -> Entry:
    """An entry as the program before wrote it."""
    return Entry(
        key=EntryKey(2, uid),
        uid_validity=8,
        state=state,
        delivery_id=f"id-{uid}-",
        attempts=1 if state is State.WAITING else 0,
        due_at=1700000500.0 if state is State.WAITING else 0.0,
        reason="ValueError: naïve €" if state in (State.DEAD, State.WAITING) else "",
        digest=Digest(f"v1:{uid}", f"b{uid}"),
        message_id=f"<{uid}@example.org>",
        size=100 + uid,
        received_at=1699990000.0,
        changed_at=1700000000.0 + uid,
    )


STATES = (
    State.NEW,
    State.CLAIMED,
    State.HANDLED,
    State.FINISHED,
    State.WAITING,
    State.DEAD,
    State.PASSED_OVER,
    State.GONE,
)


def test_the_state_of_a_mailbox_is_found(reopen: Callable[[], StateStore]) -> None:
    for _ in range(2):
        with closing(reopen()) as store:
            assert store.mailboxes() == [INBOX, MailboxKey("odd\udc81@example.com", "Entwürfe")]
            assert store.load(INBOX) == MailboxRecord(
                epoch=Epoch(2, 8, 4, matched=True, begun_at=1700000000.5),
                watermark=Watermark(8, 9),
                cut=1690000000.0,
                polled_at=1700000100.25,
            )
            assert str(store.seen_uids(INBOX, 1)) == "1:40,45"
            assert str(store.seen_uids(INBOX, 2)) == "1:7,20:29,40,44,50"
            for uid, state in enumerate(STATES, start=1):
                assert store.get(INBOX, EntryKey(2, uid)) == written(state, uid)
            assert [e.key.inbox for e in store.siblings(INBOX, 2, 50)] == [SURROGATE, SALES]
            broken = store.get(INBOX, EntryKey(2, 50, SURROGATE))
            assert broken is not None
            assert (broken.reason, broken.truncated) == ("inbox \udc80 broken", True)
            for uid in (2, 5, 6):
                assert store.raw(INBOX, EntryKey(2, uid)) == b"raw of %d\r\n" % uid
            assert store.raw(INBOX, EntryKey(2, 50, SURROGATE)) == b"x" * 300
            assert store.raw(INBOX, EntryKey(2, 44)) == b"old"
            assert store.retry_requests(INBOX) == [EntryKey(2, 6), EntryKey(2, 50, SALES)]
            assert store.inboxes(INBOX) == [
                InboxRecord(
                    id="i1",
                    name="Sales",
                    address=SALES,
                    created_at=1700000000.0,
                    backfill=True,
                ),
                InboxRecord(
                    id="i2",
                    name="Né\udcff",
                    address="support@example.com",
                    created_at=1700000001.0,
                ),
            ]


def test_the_outbox_is_found(reopen: Callable[[], StateStore]) -> None:
    for _ in range(2):
        with closing(reopen()) as store:
            assert store.outboxes() == [OUTBOX]
            for number, state in enumerate(list(QueueState)[:5]):  # those that there were
                message = store.queued_message(OUTBOX, f"k-{state}")
                assert message is not None
                assert message.state is state
                assert message.subject == "héllo"
                assert message.is_answer is (number % 2 == 0)
                sent = state is QueueState.SENT
                kept = None if sent else b"Subject: hello\r\n\r\n%d\r\n" % number
                assert store.message_bytes(OUTBOX, message.key) == kept
            (sent_message,) = store.queued_messages(OUTBOX, {QueueState.SENT})
            assert sent_message.recipients == (
                Recipient("Ann@example.org", RecipientStatus.ACCEPTED, 250, "OK"),
                Recipient("bob@example.org", RecipientStatus.BOUNCED, 550, "no such user"),
            )
            assert store.pending_requests(OUTBOX) == [("k-failed", OperatorRequest.RETRY)]
            assert store.answers_since(OUTBOX, 0.0, address="ann@EXAMPLE.org") == 3
            assert store.answers_since(OUTBOX, 101.0, thread_id="<root@example.org>") == 2
            assert len(store.messages_to(OUTBOX, "bob@example.org", since=0.0, limit=9)) == 5


def test_work_goes_on_in_it(reopen: Callable[[], StateStore]) -> None:
    with closing(reopen()) as store:
        lease = store.acquire(INBOX, "host.example.com:2")
        assert lease.token == 2
        claimed = written(State.CLAIMED, 2)
        store.commit(
            lease,
            [
                PutEntry(claimed._replace(state=State.HANDLED)),
                PutEntry(claimed._replace(key=EntryKey(2, 60)), b"new"),
                PutEntry(written(State.DEAD, 6)._replace(state=State.CLAIMED)),
            ],
        )
        assert store.note_bounce(
            OUTBOX, "k-sent", Recipient("ann@example.org", RecipientStatus.BOUNCED, 550, "gone")
        )
    with closing(reopen()) as store:
        assert store.raw(INBOX, EntryKey(2, 2)) is None
        assert store.raw(INBOX, EntryKey(2, 60)) == b"new"
        assert store.retry_requests(INBOX) == [EntryKey(2, 50, SALES)]
        assert store.count(INBOX, {State.HANDLED}) == 2
        assert store.acquire(INBOX, "host.example.com:3").token == 3


def test_what_a_journal_of_version_4_took_back_stays_gone(tmp_path: Path) -> None:
    odd = MailboxKey("odd\udc81@example.com", "Entwürfe")
    shutil.copytree(NAMED, tmp_path, dirs_exist_ok=True)
    for _ in range(2):
        with closing(JsonStateStore(tmp_path / "state.json")) as store:
            kept = store.load(odd)
            assert kept is not None
            assert (kept.horizon, kept.watermark, kept.cut) == (91.0, Watermark(5, 9), None)
            assert store.get(odd, EntryKey(1, 1)) is None  # forgotten
            assert str(store.seen_uids(odd, 1)) == "1:3,6:10"
            finished = store.get(odd, EntryKey(1, 2))
            assert finished is not None
            assert (finished.state, finished.verified_sender) == (
                State.FINISHED,
                "kim2@example.org",
            )
            assert store.raw(odd, EntryKey(1, 2)) is None
            assert store.raw(odd, EntryKey(1, 3, "a\udcff@example.com")) == b"odd 3"
            assert store.raw(odd, EntryKey(2, 44)) == b"odd 4"  # another key than before
            assert store.retry_requests(odd) == [EntryKey(2, 44)]
            assert store.inboxes(odd) == []
            held = store.queued_message(OUTBOX, "k-held")
            assert held is not None
            assert (held.state, held.approval, held.subject) == (
                QueueState.HELD,
                "queue",
                "\udc80 held",
            )
            assert held.recipients == (Recipient("Zoe\udc80@example.org"),)
            assert store.messages_to(OUTBOX, "zoe\udc80@example.org", since=0, limit=9) == [held]
            assert store.message_bytes(OUTBOX, "k-held") == b"held"
            assert store.queued_message(OUTBOX, "k-drop") is None
