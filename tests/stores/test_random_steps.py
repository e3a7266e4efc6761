"""Random steps on every store and on dictionaries, which must tell the same afterwards."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Callable
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nornmail.errors import IllegalTransition
from nornmail.model import (
    KEEPS_RAW,
    TRANSITIONS,
    Change,
    Digest,
    Entry,
    EntryKey,
    InboxRecord,
    KeepRaw,
    Lease,
    MailboxKey,
    MailboxRecord,
    PassOver,
    PutEntry,
    Rekey,
    SaveMailbox,
    State,
    check_keep,
    check_put,
    check_rekey,
    check_retry,
)
from nornmail.outgoing import (
    Decision,
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Recipient,
    RecipientStatus,
    bounced,
    check_enqueue,
    check_request,
    decided,
    replaced,
    still_applies,
)
from nornmail.stores import json_store, open_view
from nornmail.stores.protocol import StateStore
from nornmail.stores.sql_store import SqlStateStore
from nornmail.uidset import UidSet
from tests.stores.letters import OUTBOX, letter
from tests.stores.support import INBOX, ME, OPENERS, OTHER, entry, key, record

STEPS = 120
CHECKED = 20
"""After so many steps everything is compared."""
LEGAL = 0.85
"""How often an entry is put into a state that the table allows."""
CLOSED = {State.FINISHED, State.PASSED_OVER}
ODD = ("", "a@b.test", "\udc80\udce9", "naïve \U0001f600")
DIGESTS = (None, Digest("h"), Digest("h", "b"), Digest("i", ""), Digest("\ud800", "é"))
TIMES = (0.0, 1.0, 2.0, 3.0)
ADDRESSES = ("ann@x.org", "Ann@X.org", "bob@x.org")


@dataclass
class Dictionaries:
    """A store as its protocol tells it, for one mailbox and one outbox."""

    record: MailboxRecord | None = None
    entries: dict[EntryKey, Entry] = field(default_factory=dict)
    raw: dict[EntryKey, bytes] = field(default_factory=dict)
    asked: set[EntryKey] = field(default_factory=set)
    passed: dict[int, UidSet] = field(default_factory=lambda: defaultdict(UidSet))
    inboxes: dict[str, InboxRecord] = field(default_factory=dict)
    messages: dict[str, QueuedMessage] = field(default_factory=dict)
    octets: dict[str, bytes] = field(default_factory=dict)
    requests: dict[str, OperatorRequest] = field(default_factory=dict)

    def state(self, at: EntryKey) -> State | None:
        return self.entries[at].state if at in self.entries else None

    def apply(self, change: Change) -> None:
        match change:
            case SaveMailbox(new):
                self.record = new
            case PassOver(epoch, uids):
                self.passed[epoch].update(uids)
            case KeepRaw(at, raw):
                check_keep(at, self.state(at))
                self.raw[at] = raw
            case PutEntry(one, raw):
                check_put(self.state(one.key), one.state)
                self.entries[one.key] = one
                self.asked.discard(one.key)
                if one.state not in KEEPS_RAW:
                    self.raw.pop(one.key, None)
                elif raw is not None:
                    self.raw[one.key] = raw
            case Rekey(before, after, uid_validity):
                check_rekey(before, self.state(before), after, self.state(after))
                moved = self.entries.pop(before)._replace(key=after, uid_validity=uid_validity)
                self.entries[after] = moved
                if before in self.raw:
                    self.raw[after] = self.raw.pop(before)
                if before in self.asked:
                    self.asked = self.asked - {before} | {after}

    def forget_entries(self, before: float, limit: int) -> int:
        kept = {
            (one.key.epoch, one.key.uid)
            for one in self.entries.values()
            if one.state not in CLOSED or max(one.changed_at, one.received_at or 0.0) >= before
        }
        old = sorted(at for at in self.entries if (at.epoch, at.uid) not in kept)[:limit]
        if self.record is None or not old:
            return 0
        gone = [self.entries.pop(at) for at in old]
        for at in old:
            self.passed[at.epoch].add(at.uid)
        received = [one.received_at for one in gone if one.received_at is not None]
        horizon = max(received, default=before)
        if self.record.horizon is not None:
            horizon = max(horizon, self.record.horizon)
        self.record = self.record._replace(horizon=horizon)
        return len(old)

    def put_message(self, message: QueuedMessage) -> None:
        before = self.messages[message.key]
        self.messages[message.key] = after = replaced(before, message)
        if not after.keeps_bytes():
            self.octets.pop(message.key, None)
        request = self.requests.get(message.key)
        if request is not None and not still_applies(request, before, after):
            del self.requests[message.key]

    def amend(self, name: str, amended: Callable[[QueuedMessage], QueuedMessage | None]) -> bool:
        after = amended(self.messages[name])
        if after is not None:
            self.messages[name] = after
        return after is not None

    def forget_messages(self, before: float, limit: int) -> int:
        old = [
            name
            for name, one in self.messages.items()
            if one.changed_at < before
            and (one.copy_due_at <= 0 if one.state is QueueState.SENT else one.dropped)
        ][:limit]
        for name in old:
            del self.messages[name]
            self.octets.pop(name, None)
            self.requests.pop(name, None)
        return len(old)


def check(store: StateStore, expected: Dictionaries) -> None:
    """Every query of the protocol tells what the dictionaries do."""
    entries = sorted(expected.entries.values(), key=lambda one: (one.due_at, one.key))
    by_key = sorted(expected.entries.values(), key=lambda one: one.key)
    assert store.load(INBOX) == expected.record
    assert store.retry_requests(INBOX) == sorted(expected.asked)
    assert store.inboxes(INBOX) == sorted(
        expected.inboxes.values(), key=lambda one: (one.created_at, one.id)
    )
    for state in State:
        here = [one for one in entries if one.state is state]
        assert store.entries(INBOX, {state}) == here
        assert store.count(INBOX, {state}) == len(here)
        without = [one for one in here if one.key not in expected.raw]
        assert store.entries_without_bytes(INBOX, state) == without
    assert store.entries(INBOX, tuple(State), limit=3) == entries[:3]
    assert store.count(INBOX, tuple(State)) == len(entries)
    for one in entries:
        assert store.get(INBOX, one.key) == one
        assert store.raw(INBOX, one.key) == expected.raw.get(one.key)
    for epoch in (1, 2, 3):
        here = [one for one in by_key if one.key.epoch == epoch and one.state is not State.GONE]
        seen = UidSet.of({one.key.uid for one in here})
        seen.update(expected.passed[epoch])
        assert store.seen_uids(INBOX, epoch) == seen
        for uid in (1, 2):
            here = [one for one in by_key if (one.key.epoch, one.key.uid) == (epoch, uid)]
            assert store.siblings(INBOX, epoch, uid) == here
        for digest in filter(None, DIGESTS):
            like = [
                one
                for one in by_key
                if one.digest and one.digest.header == digest.header and one.key.epoch < epoch
            ]
            assert store.find_by_digest(INBOX, digest.header, before_epoch=epoch) == like
    is_known = any(one.verified_sender for one in entries)
    assert store.has_verified_sender("ann@x.org") is is_known
    assert not store.entries(OTHER, tuple(State))
    assert not store.seen_uids(OTHER, 1)
    assert store.load(OTHER) is None
    check_outbox(store, expected)


def check_outbox(store: StateStore, expected: Dictionaries) -> None:
    """The same for the messages."""
    messages = sorted(expected.messages.values(), key=lambda m: (m.due_at, m.queued_at, m.key))
    newest = sorted(messages, key=lambda m: (m.queued_at, m.key), reverse=True)
    assert store.pending_requests(OUTBOX) == sorted(expected.requests.items())
    for state in QueueState:
        here = [one for one in messages if one.state is state]
        assert store.queued_messages(OUTBOX, {state}) == here
        assert store.count_messages(OUTBOX, {state}) == len(here)
    assert store.queued_messages(OUTBOX, tuple(QueueState), limit=2) == messages[:2]
    for one in messages:
        assert store.queued_message(OUTBOX, one.key) == one
        assert store.message_bytes(OUTBOX, one.key) == expected.octets.get(one.key)
        assert store.messages_with_id(one.message_id) == [one]
    copies = [one for one in messages if one.copy_due_at > 0]
    assert store.messages_to_copy(OUTBOX) == sorted(copies, key=lambda m: (m.copy_due_at, m.key))
    for since in (0.0, 1.0, 3.0):
        submitted = sorted((m.submitted_at for m in messages if m.submitted_at), reverse=True)
        late = [at for at in submitted if at >= since]
        assert store.submissions_since(OUTBOX, since, limit=3) == late[:3]
        for address in ("ann@x.org", "bob@x.org"):
            to = [
                one
                for one in newest
                if one.queued_at >= since
                and any(r.address.lower() == address for r in one.recipients)
            ]
            assert store.messages_to(OUTBOX, address.upper(), since=since, limit=2) == to[:2]
            answers = sum(one.is_answer for one in to)
            assert store.answers_since(OUTBOX, since, address=address) == answers
        for thread in ("<1@x>", "<2@x>"):
            answers = sum(
                m.is_answer and m.thread_id == thread for m in messages if m.queued_at >= since
            )
            assert store.answers_since(OUTBOX, since, thread_id=thread) == answers


class Walk:
    """Random steps on a store and on dictionaries."""

    def __init__(self, store: StateStore, seed: int) -> None:
        self.store = store
        self.expected = Dictionaries()
        self._random = random.Random(seed)
        self._leases: list[Lease] = []
        self._made: list[Change] = []
        self._last: object = None
        """What the dictionaries answered to the step."""
        self.take()
        self._steps = [
            *[self._changes] * 8,
            self._retry,
            self._inbox,
            self._forget_inbox,
            self._forget_entries,
            *[self._enqueue] * 2,
            *[self._send] * 3,
            *[self._request] * 2,
            self._decide,
            self._bounce,
            self._forget_messages,
        ]

    def take(self) -> None:
        for lease in self._leases:
            self.store.release(lease)
        mailboxes = (INBOX, MailboxKey.of_outbox(OUTBOX))
        self._leases = [self.store.acquire(mailbox, ME) for mailbox in mailboxes]

    def step(self) -> None:
        """One random step, which both make, or both refuse."""
        before = deepcopy(self.expected)
        act = self._random.choice(self._steps)
        state = self._random.getstate()
        try:
            act(self.expected)
        except IllegalTransition:
            self.expected = before
            self._random.setstate(state)
            with pytest.raises(IllegalTransition):
                act(None)
            return
        self._random.setstate(state)
        act(None)

    def _pick(self, *values: Any) -> Any:
        return self._random.choice(values)

    def _key(self) -> EntryKey:
        return key(self._pick(1, 2, 3, 5), epoch=self._pick(1, 2), inbox=self._pick(*ODD))

    def _change(self) -> Change:
        at = self._key()
        kind = self._random.random()
        if kind < 0.7:
            states = frozenset(State)
            if self._random.random() < LEGAL:
                states = TRANSITIONS[self.expected.state(at) or State.NEW] or states
            one = entry(self._pick(*sorted(states)), at.uid, epoch=at.epoch, inbox=at.inbox)
            one = one._replace(
                due_at=self._pick(*TIMES),
                changed_at=self._pick(*TIMES),
                received_at=self._pick(None, *TIMES),
                digest=self._pick(*DIGESTS),
                attempts=self._pick(0, 1),
                truncated=self._pick(False, True),
                reason=self._pick(*ODD),
                message_id=self._pick("", "<1@x>"),
                verified_sender=self._pick("", "ann@x.org"),
                size=self._pick(0, 9),
                uid_validity=self._pick(0, 7),
            )
            return PutEntry(one, self._pick(None, b"", b"bytes"))
        if kind < 0.8:
            return KeepRaw(at, self._pick(b"", b"more"))
        if kind < 0.9:
            return Rekey(at, self._key(), self._pick(7, 8))
        if kind < 0.95:
            low = self._pick(1, 3, 8, 12)
            return PassOver(at.epoch, UidSet([(low, low + self._pick(0, 1, 3))]))
        cut, horizon = self._pick(None, *TIMES), self._pick(None, *TIMES)
        return SaveMailbox(record(at.epoch, at.uid)._replace(cut=cut, horizon=horizon))

    # Each step on the dictionaries, or with the same luck on the store.

    def _changes(self, expected: Dictionaries | None) -> None:
        if expected is None:
            self.store.commit(self._leases[0], self._made)
            return
        self._made = [self._change() for _ in range(self._pick(1, 1, 2))]
        for change in self._made:
            expected.apply(change)

    def _retry(self, expected: Dictionaries | None) -> None:
        at = self._pick(self._key(), *self.expected.entries)
        if expected is None:
            self.store.request_retry(INBOX, at)
            return
        check_retry(at, expected.state(at))
        expected.asked.add(at)

    def _inbox(self, expected: Dictionaries | None) -> None:
        one = InboxRecord(
            id=self._pick("a", "b", "\udc80"),
            name=self._pick("A", "é"),
            address=self._pick(*ADDRESSES),
            created_at=self._pick(*TIMES),
            backfill=self._pick(False, True),
        )
        if expected is None:
            self.store.save_inbox(INBOX, one)
        else:
            expected.inboxes[one.id] = one

    def _forget_inbox(self, expected: Dictionaries | None) -> None:
        name = self._pick("a", "b", "\udc80")
        if expected is None:
            assert self.store.forget_inbox(INBOX, name) is self._last
        else:
            self._last = expected.inboxes.pop(name, None) is not None

    def _forget_entries(self, expected: Dictionaries | None) -> None:
        before, limit = self._pick(*TIMES), self._pick(1, 2, 9)
        if expected is None:
            number = self.store.forget_entries(self._leases[0], before=before, limit=limit)
            assert number == self._last
        else:
            self._last = expected.forget_entries(before, limit)

    def _enqueue(self, expected: Dictionaries | None) -> None:
        name = f"{self._pick('k', 'é', chr(0xDC80))}{self._pick(*range(5))}"
        made = letter(
            name,
            to=tuple(self._random.sample(ADDRESSES, self._pick(1, 2))),
            queued_at=self._pick(*TIMES),
            due_at=self._pick(*TIMES),
            thread_id=self._pick("", "<1@x>", "<2@x>"),
            is_answer=self._pick(False, True),
        )
        made = made._replace(
            state=self._pick(QueueState.QUEUED, QueueState.HELD, QueueState.DRAFT, QueueState.SENT),
            message_id=f"<{self._random.random()}@x>",
        )
        raw = self._pick(b"", b"octets")
        if expected is None:
            assert self.store.enqueue(made, raw) == self.expected.messages[name]
        elif name not in expected.messages:
            check_enqueue(made)
            expected.messages[name], expected.octets[name] = made, raw

    def _message(self) -> str:
        return str(self._pick(*self.expected.messages, ""))

    def _send(self, expected: Dictionaries | None) -> None:
        name = self._message()
        if not name:
            return
        status = self._pick(RecipientStatus.ACCEPTED, RecipientStatus.PENDING)
        state, times = self._pick(*QueueState), [self._pick(*TIMES) for _ in range(4)]
        dropped = self._pick(False, False, state is QueueState.FAILED)
        if expected is not None:
            self._sent = expected.messages[name]
        message = self._sent._replace(
            recipients=tuple(replace(r, status=status) for r in self._sent.recipients),
            state=state,
            dropped=dropped,
            due_at=times[0],
            submitted_at=times[1],
            copy_due_at=times[2],
            changed_at=times[3],
            copied=self._pick(False, True),
        )
        if expected is None:
            self.store.commit_messages(self._leases[1], [message])
        else:
            expected.put_message(message)

    def _request(self, expected: Dictionaries | None) -> None:
        name, request = self._message(), self._pick(*OperatorRequest)
        if expected is None:
            self.store.request(OUTBOX, name, request)
            return
        check_request(expected.messages.get(name), request)
        expected.requests[name] = request

    def _decide(self, expected: Dictionaries | None) -> None:
        name, approved = self._message(), self._pick(False, True)
        decision = Decision(approved, f"{'approved' if approved else 'rejected'} by é", 2.0)
        if not name:
            return
        if expected is None:
            assert self.store.decide(OUTBOX, name, decision) is self._last
        else:
            self._last = expected.amend(name, lambda message: decided(message, decision))

    def _bounce(self, expected: Dictionaries | None) -> None:
        name, report = self._message(), Recipient("ANN@x.org", code=550, text="no such user")
        if not name:
            assert not self.store.note_bounce(OUTBOX, name, report)
        elif expected is None:
            assert self.store.note_bounce(OUTBOX, name, report) is self._last
        else:
            self._last = expected.amend(name, lambda message: bounced(message, report))

    def _forget_messages(self, expected: Dictionaries | None) -> None:
        before, limit = self._pick(*TIMES), self._pick(1, 9)
        if expected is None:
            number = self.store.forget_messages(OUTBOX, before=before, limit=limit)
            assert number == self._last
        else:
            self._last = expected.forget_messages(before, limit)


@pytest.mark.parametrize(("kind", "seed"), [("sqlite", 2), ("json", 3)])
def test_a_store_tells_what_dictionaries_tell(
    kind: str, seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_store, "JOURNAL_FLOOR_BYTES", 20_000)
    store = OPENERS[kind](tmp_path)
    assert isinstance(store, SqlStateStore)
    with closing(store):
        walk = Walk(store, seed)
        for number in range(1, STEPS + 1):
            walk.step()
            if number % CHECKED == 0:
                check(store, walk.expected)
                if kind == "json":
                    check_files(store, walk.expected, tmp_path / "state.json")
            if number % 40 == 0:
                walk.take()


def check_files(store: SqlStateStore, expected: Dictionaries, path: Path) -> None:
    """What a new start would read, and that no file is kept that nothing names."""
    directory = path.with_name(f"{path.name}.raw")
    files = list(directory.iterdir()) if directory.exists() else []
    assert len(files) == len(expected.raw) + len(expected.octets)
    with closing(open_view(path)) as view:
        check(view, expected)
        tokens = "SELECT account, mailbox, token FROM mailbox ORDER BY 1, 2"
        before, after = (one._connection.execute(tokens).fetchall() for one in (store, view))
        assert after == before
