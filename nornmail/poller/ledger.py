"""The poller's view of its mailbox's state: the store, the lease, and the set of UIDs.

It is the only place of the poller that commits. A settled message is not written on its own:
:meth:`Ledger.later` puts it down for the next commit, which is the claim of the message after it,
so that a message costs one durable write.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice

from nornmail.errors import LeaseLost, NornmailError
from nornmail.model import (
    KEEPS_RAW,
    TRANSITIONS,
    Change,
    Entry,
    EntryKey,
    Epoch,
    KeepRaw,
    Lease,
    MailboxKey,
    MailboxRecord,
    PassOver,
    PutEntry,
    Rekey,
    SaveMailbox,
    State,
    Watermark,
    delivery_id_of,
    owner_name,
)
from nornmail.poller.decisions import UNSETTLED, may_touch
from nornmail.poller.status import Context
from nornmail.retry import is_due, until_due
from nornmail.stores.protocol import StateStore
from nornmail.uidset import UidSet

log = logging.getLogger("nornmail.poller")

NOTE_INTERVAL = 300.0
"""Seconds between two notes of a poll that found nothing: what the time of the last good poll may
lag behind."""
OPEN_STATES = (State.NEW, State.CLAIMED, State.WAITING, State.HANDLED)
"""States in which a poller has something left to do for an entry by itself."""
NEEDS_BYTES = (State.NEW, State.CLAIMED, State.WAITING)
"""States in which bytes that are missing are fetched again."""
KEPT = "the latest of what retention removed"
"""The reason of an entry that is made again, so that its message can be compared."""
_SEEN_BEFORE = frozenset({State.HANDLED, State.FINISHED})
"""States that an entry only has after it was claimed."""


class OpenEntries:
    """The entries that still need work, by state: what a poll has to look at.

    Keys and due times alone, so that a hundred thousand that wait cost little memory and time. The
    ledger reads them once with the lease and keeps them equal to the store, being the only writer.

    Args:
        without_bytes: those of them with which no bytes are kept.
    """

    def __init__(
        self, entries: Iterable[Entry] = (), without_bytes: Iterable[EntryKey] = ()
    ) -> None:
        self._due: dict[State, dict[EntryKey, float]] = {state: {} for state in OPEN_STATES}
        for entry in entries:
            self._due[entry.state][entry.key] = entry.due_at
        self.without_bytes = set(without_bytes)
        self.alone: dict[EntryKey, Entry] = {}
        """The handled ones of a poller with one callback: few, as each batch finishes them."""

    def keys(self, *states: State) -> list[EntryKey]:
        """The keys in any of ``states``, ordered by due time."""
        pairs: list[tuple[float, EntryKey]] = []
        for state in states:
            for key, due in self._due[state].items():
                pairs.append((due, key))
        if not pairs:  # nearly always, in a poll that finds nothing
            return []
        pairs.sort()
        return [key for _, key in pairs]

    def count(self, state: State) -> int:
        """The number of entries in ``state``."""
        return len(self._due[state])

    def has(self, state: State, key: EntryKey) -> bool:
        """Whether an entry is in ``state``."""
        return key in self._due[state]

    def due(self, now: float, longest: float) -> list[EntryKey]:
        """The waiting entries that are due, in their order."""
        waiting = self._due[State.WAITING]
        if not waiting:
            return []
        due = [(at, key) for key, at in waiting.items() if is_due(at, now, longest)]
        return [key for _, key in sorted(due)]

    def until_due(self, now: float, longest: float) -> float | None:
        """Seconds until the next waiting entry is due that is not due yet; ``None`` for none."""
        waits = (until_due(due, now, longest) for due in self._due[State.WAITING].values())
        return min((wait for wait in waits if wait > 0), default=None)

    def put(self, change: PutEntry) -> None:
        """Learn of an entry that was written."""
        entry = change.entry
        key, state = entry.key, entry.state
        known = False
        for keys in self._due.values():
            if key in keys:
                del keys[key]
                known = True
                break
        self.alone.pop(key, None)
        if state in self._due:
            self._due[state][key] = entry.due_at
            if state is State.HANDLED and not key.inbox:
                self.alone[key] = entry
        if (change.raw is not None and state in KEEPS_RAW) or state not in NEEDS_BYTES:
            self.without_bytes.discard(key)
        elif not known:
            self.without_bytes.add(key)

    def move(self, before: EntryKey, after: EntryKey) -> None:
        """Learn of an entry that continues under another key."""
        self.alone.pop(before, None)
        for keys in self._due.values():
            if (due := keys.pop(before, None)) is not None:
                keys[after] = due
        if before in self.without_bytes:
            self.without_bytes.remove(before)
            self.without_bytes.add(after)

    def unsettled(self) -> set[tuple[int, int]]:
        """The messages, by epoch and UID, for which the mailbox is not to be touched yet."""
        return {(key.epoch, key.uid) for state in UNSETTLED for key in self._due[state]}


class Ledger:
    """The state of one mailbox, as its poller sees it.

    Args:
        context: of the poller; an event is emitted for every entry whose change is durable.
        on_change: what a new UIDVALIDITY does with what was handled (rule 8).
        retention: seconds for which the entries of what was handled are kept.

    Attributes:
        record: as the store has it, ``None`` before the first run was decided.
        seen: the UIDs of the current epoch that were looked at: the truth of rule 7.
        absent: the UIDs of the current epoch that are gone, as of the last listing.
        listed: what the last whole listing of the current epoch had, ``None`` before the first.
        open: the entries that still need work.
        recovered: whether the claims that were found with the lease were settled.
    """

    def __init__(
        self,
        store: StateStore,
        mailbox: MailboxKey,
        context: Context,
        on_change: str = "dedupe",
        retention: float = math.inf,
    ) -> None:
        self.store = store
        self.mailbox = mailbox
        self.context = context
        self.clock = context.clock
        self.on_change = on_change
        self.retention = retention
        self.record: MailboxRecord | None = None
        self.seen = UidSet()
        self.absent = UidSet()
        self.listed: UidSet | None = None
        self.open = OpenEntries()
        self.recovered = False
        self._lease: Lease | None = None
        self._in_doubt: Lease | None = None
        self._pending: dict[EntryKey, PutEntry] = {}
        self._undelivered: set[EntryKey] = set()
        self._moved: dict[EntryKey, tuple[EntryKey, int]] = {}
        """The claims that continue under another key, with their UIDVALIDITY."""
        self._moving: dict[EntryKey, tuple[EntryKey, int]] = {}
        """Those of which that is not known, since the commit failed or was interrupted."""

    @property
    def held(self) -> bool:
        """Whether this poller may work on the mailbox."""
        return self._lease is not None

    @property
    def epoch(self) -> Epoch:
        """The current epoch. There is one after the first run was decided, not before."""
        if self.record is None:
            raise LookupError("the mailbox has no epoch before its first run was decided")
        return self.record.epoch

    def take(self) -> None:
        """Take the lease, write what could not be written before, and read what the store knows.

        Raises:
            LeaseHeld: another poller works on the mailbox.
            StoreError: the store cannot be used. The lease is not kept.
        """
        self._give_back()
        # In doubt until everything is read: what fails here is begun anew by the next call.
        self._in_doubt = lease = self.store.acquire(self.mailbox, owner_name())
        self._find_moved()
        unwritten = self._unwritten(map(self._moved_on, self._pending.values()))
        if unwritten:
            self.store.commit(lease, unwritten)
        self._pending.clear()
        self._read()
        self.recovered = False
        self._lease, self._in_doubt = lease, None
        self.context.emit.changes(self.mailbox.mailbox, unwritten)

    def _read(self) -> None:
        store, mailbox = self.store, self.mailbox
        self.record, self.listed, self.absent = store.load(mailbox), None, UidSet()
        self.seen = UidSet()
        if self.record is not None:
            self.seen = store.seen_uids(mailbox, self.record.epoch.number)
        without = [
            entry.key
            for state in NEEDS_BYTES
            for entry in store.entries_without_bytes(mailbox, state)
        ]
        self.open = OpenEntries(store.entries(mailbox, OPEN_STATES), without)

    def _find_moved(self) -> None:
        """Find out which claims have another key by a commit whose outcome was not known."""
        for before, after in self._moving.items():
            if self.store.get(self.mailbox, before) is None and self.store.get(
                self.mailbox, after[0]
            ):
                self._moved[before] = after
        self._moving.clear()

    def _unwritten(self, outcomes: Iterable[PutEntry]) -> list[Change]:
        """The changes for those ``outcomes`` that the store does not have.

        A commit of them may have succeeded, or another poller recovered the claim meanwhile, or
        gave it the key of a newer epoch.
        """
        changes: list[Change] = []
        for change in outcomes:
            entry = change.entry
            stored = self.store.get(self.mailbox, entry.key)
            if stored is None and self._is_of_the_past(entry.key):
                continue
            before = State.NEW if stored is None else stored.state
            if stored == entry:
                continue
            if entry.state is State.HANDLED and before in (State.WAITING, State.DEAD):
                # Another poller recovered the claim meanwhile, but the message was handled.
                changes.append(PutEntry(entry._replace(state=State.CLAIMED)))
                before = State.CLAIMED
            if entry.state in TRANSITIONS[before]:
                changes.append(change)
        return changes

    def _is_of_the_past(self, key: EntryKey) -> bool:
        """Whether the store is in a later epoch; this ledger may not have read it yet."""
        record = self.store.load(self.mailbox)
        return record is not None and key.epoch < record.epoch.number

    def was_delivered(self, entry: Entry) -> bool:
        """Whether a claimed entry may have reached its handler.

        It did not where this process made the claim and does not know whether it was written.
        """
        return entry.key not in self._undelivered

    def is_wanted(self) -> bool:
        """Whether another process should have the mailbox, which waits and has fewer."""
        return self._lease is not None and self.store.is_wanted(self._lease)

    def finish_recovery(self) -> None:
        """Note that no abandoned claim is left."""
        self._undelivered.clear()
        self.recovered = True

    def release(self) -> None:
        """Give the lease back, after what is still to be written down.

        Where an exception of a signal fell into a commit, the lease is taken once more for that:
        else the next process would find claims of messages that were handled.
        """
        try:
            if self._in_doubt is not None and self._pending:
                try:
                    self.take()
                except NornmailError as error:
                    log.warning("%s: an outcome could not be written: %s", self.mailbox, error)
            self.flush()
        finally:
            self._give_back()

    def _give_back(self) -> None:
        lease = self._lease or self._in_doubt
        if lease is not None:
            self._lease, self._in_doubt = None, lease
            self.store.release(lease)
            self._in_doubt = None

    def commit(self, *changes: Change) -> None:
        """Write ``changes`` and all that waits for them, durably, in one transaction.

        When it raises, whether they were written is not known: an exception of a signal comes right
        behind the disk's word. So the lease is dropped, and the next :meth:`take` reads the store
        anew. What :meth:`later` had put down stays put down, so that a message that was handled is
        not delivered again because a disk was full.

        Raises:
            LeaseLost: another poller took over; what was put down is its business now.
            StoreError: the store cannot be written.
        """
        everything = [*self._pending.values(), *changes]
        if not everything:
            return
        lease = self._lease
        if lease is None:
            raise LeaseLost(f"no lease on {self.mailbox} is held")
        claims = _claims(changes)
        self._undelivered |= claims
        # Nearly no commit has one, and looking for it here costs no call.
        self._moving = self._moves(changes) if Rekey in map(type, changes) else {}
        self._lease, self._in_doubt = None, lease
        try:
            self.store.commit(lease, everything)
        except LeaseLost:
            self._pending.clear()
            raise
        self._learn(everything)
        self._pending.clear()
        self._undelivered -= claims
        self._moving.clear()
        self._lease, self._in_doubt = lease, None
        self.context.emit.changes(self.mailbox.mailbox, everything)

    def later(self, change: PutEntry) -> None:
        """Put a change down for the next commit, before its own; the last one of an entry counts.

        It may be a message's outcome that comes a second time: an exception of a signal came
        between this and its caller.
        """
        key = change.entry.key
        earlier = self._pending.get(key)
        if earlier is not None and change.raw is None:
            change = change._replace(raw=earlier.raw)
        self._pending[key] = change

    def settle(self, outcome: PutEntry) -> None:
        """Put the outcome of a call down that began before other things happened to the mailbox.

        The lease may have been lost and taken again since, and another poller have recovered the
        claim.
        """
        outcome = self._moved_on(outcome)
        if self._lease is None or self.open.has(State.CLAIMED, outcome.entry.key):
            self.later(outcome)
        elif changes := self._unwritten([outcome]):
            self.commit(*changes)

    def current(self, key: EntryKey) -> EntryKey:
        """The key of a claimed entry now: a new UIDVALIDITY may have given it another one."""
        while key in self._moved:
            key = self._moved[key][0]
        return key

    def _moved_on(self, outcome: PutEntry) -> PutEntry:
        """The outcome of a claim under the key that the claim has by now."""
        entry = outcome.entry
        if entry.key not in self._moved:
            return outcome
        while entry.key in self._moved:
            key, uid_validity = self._moved[entry.key]
            entry = entry._replace(key=key, uid_validity=uid_validity)
        return outcome._replace(entry=entry)

    def _moves(self, changes: Iterable[Change]) -> dict[EntryKey, tuple[EntryKey, int]]:
        """The claims to which ``changes`` give another key."""
        return {
            change.before: (change.after, change.uid_validity)
            for change in changes
            if isinstance(change, Rekey) and self.open.has(State.CLAIMED, change.before)
        }

    def flush(self) -> None:
        """Write what was put down; without a lease it stays put down for the next one."""
        if self._pending and self._lease is not None:
            self.commit()

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """Flush at the end of the block; an error of the block comes before one of the flush."""
        try:
            yield
        except BaseException:
            try:
                self.flush()
            except NornmailError as error:
                log.warning("%s: kept for the next commit: %s", self.mailbox, error)
            raise
        self.flush()

    def begin_epoch(self, epoch: Epoch, passed: UidSet, *, cut: float | None) -> None:
        """Begin a new epoch, in which ``passed`` counts as looked at."""
        record = MailboxRecord(
            epoch=epoch,
            watermark=Watermark(epoch.uid_validity, 0),
            cut=cut,
            polled_at=self.record.polled_at if self.record else 0.0,
            horizon=self.record.horizon if self.record else None,
        )
        more = [PassOver(epoch.number, passed)] if passed else []
        self.commit(SaveMailbox(record), *more)

    def finish_reconciliation(
        self, passed: UidSet | None = None, *, cut: float | None = None
    ) -> None:
        """Note that all mail from before the epoch was compared with what was known."""
        if self.record is None:
            return
        record = self.record._replace(epoch=self.record.epoch._replace(matched=True))
        if cut is not None:
            record = record._replace(cut=cut)
        more = [PassOver(record.epoch.number, passed)] if passed else []
        self.commit(SaveMailbox(record), *more)

    def note_poll(self, *, something_new: bool) -> None:
        """Note that everything was looked at, and how far the watermark stands.

        A poll that found nothing is written down now and then, not every time.
        """
        record, now = self.record, self.clock.wall()
        if record is None:
            return
        if something_new or abs(now - record.polled_at) >= NOTE_INTERVAL:
            watermark = Watermark(record.epoch.uid_validity, self.seen.unbroken)
            self.commit(SaveMailbox(record._replace(watermark=watermark, polled_at=now)))

    def forget(self, before: float, limit: int) -> int:
        """Remove up to ``limit`` entries that were done with before an instant (rule 15).

        That of the highest UID is made again: by it a mailbox is known that is put back from a
        backup under its old UIDVALIDITY.
        """
        if self._lease is None:
            return 0
        highest = self.siblings(self.seen.highest) if self.record is not None else []
        forgotten = self.store.forget_entries(self._lease, before=before, limit=limit)
        if forgotten:
            self.record = self.store.load(self.mailbox)
            if highest and not self.siblings(self.seen.highest):
                now = self.clock.wall()
                self.commit(*[PutEntry(_kept(entry, now)) for entry in highest])
        return forgotten

    def entries(self, *states: State) -> list[Entry]:
        """All entries in any of ``states``, by due time; from the store."""
        return self.store.entries(self.mailbox, states)

    def get(self, keys: Iterable[EntryKey]) -> Iterator[Entry]:
        """The entries under ``keys``, each read when it is asked for."""
        for key in keys:
            entry = self.store.get(self.mailbox, key)
            if entry is not None:
                yield entry

    def count(self, state: State) -> int:
        """The number of entries in ``state``; from any thread."""
        if state in OPEN_STATES and self._lease is not None:
            return self.open.count(state)
        return self.store.count(self.mailbox, {state})

    def open_actions(self, limit: int, but: Iterable[int] = ()) -> list[list[Entry]]:
        """Messages of this epoch that were handled, and whose siblings are all settled."""
        keys = self.open.keys(State.HANDLED)
        if not keys:
            return []
        number = self.epoch.number
        uids = sorted({key.uid for key in keys if key.epoch == number}.difference(but))
        if len(uids) > limit:  # messages that wait for an inbox must not take all the places
            unsettled = self.open.unsettled()
            uids = [uid for uid in uids if (number, uid) not in unsettled]
        messages: list[list[Entry]] = []
        for uid in uids[:limit]:
            alone = self.open.alone.get(EntryKey(number, uid))
            siblings = self.siblings(uid) if alone is None else [alone]
            if alone is not None or may_touch(siblings) is not None:
                messages.append(siblings)
        return messages

    def stranded_actions(self, limit: int) -> list[Entry]:
        """Handled messages of earlier epochs that were not found again in this one."""
        keys = filter(self._is_earlier, self.open.keys(State.HANDLED))
        return list(self.get(islice(keys, limit)))

    def was_carried_over(self, entry: Entry) -> bool:
        """Whether an entry of this epoch was begun in an earlier one."""
        epoch = self.epoch
        return epoch.number > 1 and entry.delivery_id != delivery_id_of(
            self.mailbox, epoch, entry.key
        )

    def _is_earlier(self, key: EntryKey) -> bool:
        return key.epoch != self.epoch.number

    def siblings(self, uid: int, epoch: int | None = None) -> list[Entry]:
        """The entries of a message, one for each inbox; of this epoch unless another is named."""
        return self.store.siblings(self.mailbox, epoch or self.epoch.number, uid)

    def undelivered(self) -> UidSet:
        """Messages of this epoch that are known to be for an inbox and were not delivered to it.

        A process ended between two inboxes, or an inbox was added that is to get its older mail.
        """
        keys = self.open.keys(State.NEW)
        if not keys:
            return UidSet()
        return UidSet.of(key.uid for key in keys if not self._is_earlier(key))

    def new_entry(self, uid: int, inbox: str = "") -> Entry:
        """The entry of a message of this epoch that nothing is known of yet."""
        epoch = self.epoch
        key = EntryKey(epoch.number, uid, inbox)
        return Entry(
            key=key,
            uid_validity=epoch.uid_validity,
            state=State.NEW,
            delivery_id=delivery_id_of(self.mailbox, epoch, key),
            changed_at=self.clock.wall(),
        )

    def find_by_digest(self, header_digest: str) -> list[Entry]:
        """The entries of earlier epochs whose digest has this header part."""
        number = self.epoch.number
        if number == 1:
            return []
        return self.store.find_by_digest(self.mailbox, header_digest, before_epoch=number)

    def finished_like(self, entry: Entry) -> int:
        """The number of other finished messages with the digest of ``entry``, in any epoch.

        Without a Message-ID only those of its size: digests do not count line ends.
        """
        if entry.digest is None:
            return 0
        known = self.store.find_by_digest(
            self.mailbox, entry.digest.header, before_epoch=self.epoch.number + 1
        )
        finished = [e for e in known if e.state is State.FINISHED and e.digest == entry.digest]
        same = [e.key for e in finished if entry.message_id or e.size == entry.size]
        mine = (entry.key.epoch, entry.key.uid)  # finished for an inbox, while another was dead
        return len({(key.epoch, key.uid) for key in same} - {mine})

    def entries_without_bytes(self) -> list[Entry]:
        """The waiting entries whose bytes have yet to be fetched; of earlier epochs new ones too.

        What is new in this epoch is fetched like other new mail: see :meth:`undelivered`.
        """
        if not self.open.without_bytes:
            return []
        entries = list(self.get(self.open.without_bytes))
        wait = [e for e in entries if e.state is State.WAITING]
        new = [e for e in entries if e.state is State.NEW and self._is_earlier(e.key)]
        return sorted(wait, key=_order) + sorted(new, key=_order)

    def retry_requests(self) -> list[Entry]:
        """The dead entries for which a person requested another try."""
        return list(self.get(self.store.retry_requests(self.mailbox)))

    def raw(self, key: EntryKey) -> bytes | None:
        """The bytes that are kept with an entry; what the store lost is fetched again."""
        raw = self.store.raw(self.mailbox, key)
        if raw is None and self.open.has(State.WAITING, key):
            self.open.without_bytes.add(key)
        return raw

    def _learn(self, changes: Iterable[Change]) -> None:
        """Keep the attributes equal to what was just written."""
        for change in changes:
            match change:
                case PutEntry(entry):
                    self.open.put(change)
                    if entry.state not in _SEEN_BEFORE:
                        self._see(entry.key, gone=entry.state is State.GONE)
                case SaveMailbox(record):
                    moved_on = self.record is None or record.epoch.number != self.epoch.number
                    self.record = record
                    if moved_on:
                        self.seen, self.absent, self.listed = UidSet(), UidSet(), None
                case PassOver():
                    self.seen.update(change.uids)
                case Rekey():
                    self._moved.update(self._moves([change]))
                    self.open.move(change.before, change.after)
                    self._see(change.after)
                case KeepRaw(key):
                    self.open.without_bytes.discard(key)

    def _see(self, key: EntryKey, *, gone: bool = False) -> None:
        if self.record is not None and key.epoch == self.record.epoch.number:
            if gone:
                # Also when it waited until now: it is new when it is listed again.
                self.seen = self.seen - UidSet.of([key.uid])
            (self.absent if gone else self.seen).add(key.uid)


def _claims(changes: Iterable[Change]) -> set[EntryKey]:
    """The entries that are claimed once all of ``changes`` were made."""
    claims: set[EntryKey] = set()
    for change in changes:
        if isinstance(change, PutEntry):
            entry = change.entry
            if entry.state is State.CLAIMED:
                claims.add(entry.key)
            else:
                claims.discard(entry.key)
    return claims


def _kept(entry: Entry, now: float) -> Entry:
    """An entry of which all is removed but what its message is compared by."""
    return entry._replace(
        state=State.PASSED_OVER, reason=KEPT, verified_sender="", due_at=0.0, changed_at=now
    )


def _order(entry: Entry) -> tuple[float, EntryKey]:
    return entry.due_at, entry.key
