"""The state of one mailbox in memory, with the indexes that reading it needs.

A commit goes in two steps: :meth:`Tables.plan` applies the changes to an overlay and refuses what
may not be, :meth:`Tables.install` puts the outcome in and cannot fail. Between the two a store may
write the outcome down.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, cast

from nornmail.errors import IllegalTransition
from nornmail.model import (
    KEEPS_RAW,
    Change,
    Entry,
    EntryKey,
    InboxRecord,
    KeepRaw,
    MailboxRecord,
    PassOver,
    PutEntry,
    Rekey,
    SaveMailbox,
    State,
)
from nornmail.outgoing import (
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Recipient,
    bounced,
    check_request,
    replaced,
    still_applies,
)
from nornmail.stores.transitions import (
    check_enqueue,
    check_keep,
    check_put,
    check_rekey,
    check_retry,
)
from nornmail.uidset import UidSet

# ---- The letters of one outbox in memory, with the indexes that reading them needs.
# As in ``tables.py`` a change is planned first, which may be refused, and then put in.

H = TypeVar("H")
"""What stands for kept bytes: the bytes themselves, or the file that holds them."""


@dataclass(slots=True)
class LetterEffects(Generic[H]):
    """What a change comes to; ``None`` in ``raw`` and ``wishes`` takes away what is there."""

    letters: dict[str, QueuedMessage] = field(default_factory=dict)
    raw: dict[str, H | None] = field(default_factory=dict)
    pending_requests: dict[str, OperatorRequest | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.letters or self.raw or self.pending_requests)


class LetterTables(Generic[H]):
    """Every letter of one outbox. Not safe for threads: its store locks."""

    def __init__(self) -> None:
        self.letters: dict[str, QueuedMessage] = {}
        self.raw: dict[str, H] = {}
        self.pending_requests: dict[str, OperatorRequest] = {}
        self._by_state: dict[QueueState, dict[str, None]] = {state: {} for state in QueueState}
        self._by_message_id: dict[str, dict[str, None]] = {}
        self._to: dict[str, dict[str, None]] = {}
        self._answers: dict[str, dict[str, None]] = {}
        self._copies: dict[str, None] = {}
        self._submitted: list[tuple[float, str]] = []

    # Writing

    def plan_enqueue(
        self, letter: QueuedMessage, raw: bytes, hold: Callable[[bytes], H]
    ) -> LetterEffects[H]:
        """What keeping a new letter comes to: nothing where its key is known."""
        if letter.key in self.letters:
            return LetterEffects()
        check_enqueue(letter)
        return LetterEffects(letters={letter.key: letter}, raw={letter.key: hold(raw)})

    def plan_put(self, outbox: str, letters: Sequence[QueuedMessage]) -> LetterEffects[H]:
        """What putting letters in the place of others comes to, in their order."""
        effects: LetterEffects[H] = LetterEffects()
        for letter in letters:
            before = effects.letters.get(letter.key) or self.letters.get(letter.key)
            if before is None or letter.outbox != outbox:
                raise IllegalTransition(f"there is no letter {letter.key} in the outbox {outbox}")
            after = effects.letters[letter.key] = replaced(before, letter)
            if letter.key in self.raw and not after.keeps_bytes():
                effects.raw[letter.key] = None
            wish = self.pending_requests.get(letter.key)
            if wish is not None and not still_applies(wish, before, after):
                effects.pending_requests[letter.key] = None
        return effects

    def plan_wish(self, key: str, wish: OperatorRequest) -> LetterEffects[H]:
        """What a wish comes to: nothing where it is there already."""
        check_request(self.letters.get(key), wish)
        return (
            LetterEffects()
            if self.pending_requests.get(key) is wish
            else LetterEffects(pending_requests={key: wish})
        )

    def plan_bounce(self, key: str, report: Recipient) -> LetterEffects[H]:
        """What a delivery report comes to: nothing where it is no news."""
        before = self.letters.get(key)
        after = None if before is None else bounced(before, report)
        return LetterEffects() if after is None else LetterEffects(letters={key: after})

    def install(self, effects: LetterEffects[H]) -> None:
        """Put the outcome of a plan in."""
        for key, letter in effects.letters.items():
            self._set(key, letter)
        for key, held in effects.raw.items():
            if held is None:
                self.raw.pop(key, None)
            else:
                self.raw[key] = held
        for key, wish in effects.pending_requests.items():
            if wish is None:
                self.pending_requests.pop(key, None)
            else:
                self.pending_requests[key] = wish

    def forget(self, before: float) -> None:
        """Let go of what is through and was last changed before this instant."""
        for key, letter in list(self.letters.items()):
            if letter.changed_at < before and not letter.keeps_bytes():
                self._unset(key)
                self.pending_requests.pop(key, None)

    def _set(self, key: str, letter: QueuedMessage) -> None:
        self._unset(key)
        self.letters[key] = letter
        self._by_state[letter.state][key] = None
        for index, name in self._names(letter):
            index.setdefault(name, {})[key] = None
        if letter.copy_due_at > 0:
            self._copies[key] = None
        if letter.submitted_at > 0:
            insort(self._submitted, (letter.submitted_at, key))

    def _unset(self, key: str) -> None:
        old = self.letters.pop(key, None)
        if old is None:
            return
        del self._by_state[old.state][key]
        for index, name in self._names(old):
            keys = index[name]
            keys.pop(key, None)
            if not keys:
                del index[name]
        self._copies.pop(key, None)
        if old.submitted_at > 0:
            del self._submitted[bisect_left(self._submitted, (old.submitted_at, key))]

    def _names(self, letter: QueuedMessage) -> list[tuple[dict[str, dict[str, None]], str]]:
        """The indexes in which a letter stands, each with its name there."""
        found = [(self._by_message_id, letter.message_id)]
        found += [(self._to, name) for name in {one.address.lower() for one in letter.recipients}]
        if letter.is_answer:
            found.append((self._answers, letter.thread_id))
        return found

    # Reading

    def in_states(
        self, states: Collection[QueueState], limit: int | None = None
    ) -> list[QueuedMessage]:
        """In the order of ``(due_at, queued_at, key)``, at most ``limit`` of them."""
        found = (self.letters[key] for state in set(states) for key in self._by_state[state])

        def key(one: QueuedMessage) -> tuple[float, float, str]:
            return one.due_at, one.queued_at, one.key

        return sorted(found, key=key) if limit is None else heapq.nsmallest(limit, found, key=key)

    def count(self, states: Collection[QueueState]) -> int:
        return sum(len(self._by_state[state]) for state in set(states))

    def to_copy(self) -> list[QueuedMessage]:
        found = (self.letters[key] for key in self._copies)
        return sorted(found, key=lambda one: (one.copy_due_at, one.key))

    def with_message_id(self, message_id: str) -> list[QueuedMessage]:
        return [self.letters[key] for key in sorted(self._by_message_id.get(message_id, ()))]

    def to(self, address: str, since: float, limit: int) -> list[QueuedMessage]:
        found = (self.letters[key] for key in self._to.get(address.lower(), ()))
        recent = [one for one in found if one.queued_at >= since]
        return sorted(recent, key=lambda one: (one.queued_at, one.key), reverse=True)[:limit]

    def answers_since(self, since: float, address: str, thread_id: str) -> int:
        index, name = (self._answers, thread_id) if thread_id else (self._to, address.lower())
        found = (self.letters[key] for key in index.get(name, ()))
        return sum(one.is_answer and one.queued_at >= since for one in found)

    def submissions_since(self, since: float, limit: int) -> list[float]:
        start = max(bisect_left(self._submitted, (since, "")), len(self._submitted) - limit)
        return [at for at, _ in reversed(self._submitted[start:])]


MERGE_FLOOR = 1024
"""Ranges that are collected before they are merged for the first time: merging sorts them all."""


@dataclass(slots=True)
class Effects(Generic[H]):
    """What a commit comes to: values, so that putting them in twice is putting them in once.

    ``None`` in ``entries``, ``raw`` and ``inboxes``, and ``False`` in ``asked``, take away what is
    there.
    """

    record: MailboxRecord | None = None
    entries: dict[EntryKey, Entry | None] = field(default_factory=dict)
    raw: dict[EntryKey, H | None] = field(default_factory=dict)
    passed: list[tuple[int, UidSet]] = field(default_factory=list)
    asked: dict[EntryKey, bool] = field(default_factory=dict)
    outbox: LetterEffects[H] = field(default_factory=LetterEffects)
    inboxes: dict[str, InboxRecord | None] = field(default_factory=dict)


class Ranges:
    """UIDs that only ever become more; putting some in does not cost what is there already."""

    __slots__ = ("_merge_at", "_pairs")

    def __init__(self) -> None:
        self._pairs: list[tuple[int, int]] = []
        self._merge_at = MERGE_FLOOR

    def add(self, uids: UidSet) -> None:
        self._pairs += uids.ranges
        if len(self._pairs) >= self._merge_at:
            self._pairs = UidSet(self._pairs).ranges
            self._merge_at = max(MERGE_FLOOR, 2 * len(self._pairs))

    @property
    def pairs(self) -> list[tuple[int, int]]:
        """Ranges in any order; they may overlap."""
        return self._pairs

    def merged(self) -> UidSet:
        return UidSet(self._pairs)


class Tables(Generic[H]):
    """Everything of one mailbox. Not safe for threads: its store locks."""

    def __init__(self) -> None:
        self.token = 0
        self.record: MailboxRecord | None = None
        self.entries: dict[EntryKey, Entry] = {}
        self.raw: dict[EntryKey, H] = {}
        self.passed: dict[int, Ranges] = {}
        self.asked: set[EntryKey] = set()
        self.outbox: LetterTables[H] = LetterTables()
        self.inboxes: dict[str, InboxRecord] = {}
        self._by_state: dict[State, dict[EntryKey, None]] = {state: {} for state in State}
        self._by_digest: dict[str, dict[EntryKey, None]] = {}
        self._inboxes: dict[tuple[int, int], set[str]] = {}
        """The inboxes of a message other than ""; nothing for a poller with one callback."""

    # Writing

    def plan(self, changes: Sequence[Change], hold: Callable[[bytes], H]) -> Effects[H]:
        """What ``changes`` come to, in their order. The tables stay as they are.

        Args:
            hold: makes of bytes what stands for them.

        Raises:
            IllegalTransition: one of them may not be.
        """
        plan = _Plan(self, hold)
        for change in changes:
            plan.take(change)
        return plan.effects

    def plan_asking(self, key: EntryKey) -> Effects[H]:
        """What asking for a dead entry comes to; nothing where it was asked for already.

        Raises:
            IllegalTransition: it is not dead.
        """
        found = self.entries.get(key)
        check_retry(key, None if found is None else found.state)
        return Effects() if key in self.asked else Effects(asked={key: True})

    def install(self, effects: Effects[H]) -> None:
        """Put the outcome of a plan in."""
        if effects.record is not None:
            self.record = effects.record
        for key, entry in effects.entries.items():
            self._set(key, entry)
        for key, held in effects.raw.items():
            if held is None:
                self.raw.pop(key, None)
            else:
                self.raw[key] = held
        for epoch, uids in effects.passed:
            self.passed.setdefault(epoch, Ranges()).add(uids)
        for key, asked in effects.asked.items():
            if asked:
                self.asked.add(key)
            else:
                self.asked.discard(key)
        self.outbox.install(effects.outbox)
        for name, record in effects.inboxes.items():
            if record is None:
                self.inboxes.pop(name, None)
            else:
                self.inboxes[name] = record

    def _set(self, key: EntryKey, entry: Entry | None) -> None:
        old = self.entries.pop(key, None)
        if old is not None:
            del self._by_state[old.state][key]
            if old.digest is not None:
                self._forget_digest(old.digest.header, key)
            if entry is None and key.inbox:
                self._forget_inbox(key)
        if entry is not None:
            self.entries[key] = entry
            self._by_state[entry.state][key] = None
            if entry.digest is not None:
                self._by_digest.setdefault(entry.digest.header, {})[key] = None
            if key.inbox:
                self._inboxes.setdefault((key.epoch, key.uid), set()).add(key.inbox)

    def _forget_inbox(self, key: EntryKey) -> None:
        inboxes = self._inboxes[key.epoch, key.uid]
        inboxes.discard(key.inbox)
        if not inboxes:
            del self._inboxes[key.epoch, key.uid]

    def _forget_digest(self, header: str, key: EntryKey) -> None:
        keys = self._by_digest[header]
        del keys[key]
        if not keys:
            del self._by_digest[header]

    # Reading

    def in_states(self, states: Collection[State], limit: int | None = None) -> list[Entry]:
        """In the order of ``(due_at, epoch, uid, inbox)``, at most ``limit`` of them."""
        found = (self.entries[key] for state in set(states) for key in self._by_state[state])
        return _in_order(found, limit)

    def siblings(self, epoch: int, uid: int) -> list[Entry]:
        keys = [EntryKey(epoch, uid, inbox) for inbox in self._inboxes.get((epoch, uid), ())]
        plain = EntryKey(epoch, uid)
        return [self.entries[key] for key in sorted([plain, *keys]) if key in self.entries]

    def count(self, states: Collection[State]) -> int:
        return sum(len(self._by_state[state]) for state in set(states))

    def entries_without_bytes(self, state: State) -> list[Entry]:
        keys = (key for key in self._by_state[state] if key not in self.raw)
        return _in_order((self.entries[key] for key in keys), None)

    def find_by_digest(self, header_digest: str, before_epoch: int) -> list[Entry]:
        keys = self._by_digest.get(header_digest, {})
        return [self.entries[key] for key in sorted(keys) if key.epoch < before_epoch]

    def seen_uids(self, epoch: int) -> UidSet:
        gone = self._by_state[State.GONE]
        uids = [
            (key.uid, key.uid) for key in self.entries if key.epoch == epoch and key not in gone
        ]
        passed = self.passed.get(epoch)
        return UidSet(uids + passed.pairs if passed else uids)


def _in_order(entries: Iterable[Entry], limit: int | None) -> list[Entry]:
    def key(entry: Entry) -> tuple[float, EntryKey]:
        return entry.due_at, entry.key

    return sorted(entries, key=key) if limit is None else heapq.nsmallest(limit, entries, key=key)


class _Plan(Generic[H]):
    """The tables as they would be, over the tables as they are."""

    def __init__(self, tables: Tables[H], hold: Callable[[bytes], H]) -> None:
        self.effects: Effects[H] = Effects()
        self._tables = tables
        self._hold = hold

    def take(self, change: Change) -> None:
        match change:
            case SaveMailbox(record):
                self.effects.record = record
            case PutEntry(entry, raw):
                self._put(entry, raw)
            case KeepRaw(key, raw):
                found = self._entry(key)
                check_keep(key, None if found is None else found.state)
                self.effects.raw[key] = self._hold(raw)
            case Rekey(before, after, uid_validity):
                self._rekey(before, after, uid_validity)
            case PassOver(epoch, uids):
                # A copy: the caller's set may go on changing.
                self.effects.passed.append((epoch, UidSet(uids.ranges)))

    def _entry(self, key: EntryKey) -> Entry | None:
        if key in self.effects.entries:
            return self.effects.entries[key]
        return self._tables.entries.get(key)

    def _raw(self, key: EntryKey) -> H | None:
        if key in self.effects.raw:
            return self.effects.raw[key]
        return self._tables.raw.get(key)

    def _asked(self, key: EntryKey) -> bool:
        return self.effects.asked.get(key, key in self._tables.asked)

    def _put(self, entry: Entry, raw: bytes | None) -> None:
        before = self._entry(entry.key)
        check_put(None if before is None else before.state, entry.state)
        self.effects.entries[entry.key] = entry
        if entry.state not in KEEPS_RAW:
            if self._raw(entry.key) is not None:
                self.effects.raw[entry.key] = None
        elif raw is not None:
            self.effects.raw[entry.key] = self._hold(raw)
        if entry.state is not State.DEAD and self._asked(entry.key):
            self.effects.asked[entry.key] = False

    def _rekey(self, before: EntryKey, after: EntryKey, uid_validity: int) -> None:
        taken = self._entry(after)
        state = None if taken is None else taken.state
        entry = self._entry(before)
        check_rekey(before, entry, after, state)
        self.effects.entries[before] = None
        self.effects.entries[after] = replace(
            cast(Entry, entry), key=after, uid_validity=uid_validity
        )
        held = self._raw(before)
        if held is not None:
            self.effects.raw[before] = None
            self.effects.raw[after] = held
        if self._asked(before):
            self.effects.asked |= {before: False, after: True}
