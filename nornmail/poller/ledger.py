"""What one poller knows and writes of its mailbox: the store, the lease, and the set of UIDs.

It is the only place of the poller that commits. A settled message is not written on its own:
:meth:`Ledger.later` puts it down for the next commit, which is the claim of the message after it,
so that a message costs one durable write.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable, Collection
from dataclasses import replace

from nornmail.clock import Clock
from nornmail.errors import LeaseLost
from nornmail.events import Event, message_event
from nornmail.model import (
    Change,
    Entry,
    EntryKey,
    Epoch,
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
)
from nornmail.poller.decisions import may_touch
from nornmail.stores.protocol import StateStore
from nornmail.uidset import UidSet

log = logging.getLogger("nornmail.poller")


NOTE_INTERVAL = 300.0
"""Seconds between two notes of a poll that found nothing: what the time of the last good poll may
lag behind."""


def owner_name() -> str:
    """How a poller names itself to others: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


class Ledger:
    """The state of one mailbox, as its poller sees it.

    Args:
        store: where it is kept.
        mailbox: whose it is.
        clock: for the time of changes.
        emit: told of every entry whose change is durable.

    Attributes:
        record: as the store has it, ``None`` before the first run was decided.
        seen: the UIDs of the current epoch that were looked at: the truth of rule 7.
        absent: the UIDs of the current epoch that are gone, as of the last listing.
        listed: what the last whole listing of the current epoch had, ``None`` before the first.
    """

    def __init__(
        self,
        store: StateStore,
        mailbox: MailboxKey,
        clock: Clock,
        emit: Callable[[Event], object] = lambda _: None,
    ) -> None:
        self.store = store
        self.mailbox = mailbox
        self.clock = clock
        self.emit = emit
        self.record: MailboxRecord | None = None
        self.seen = UidSet()
        self.absent = UidSet()
        self.listed: UidSet | None = None
        self._lease: Lease | None = None
        self._pending: list[Change] = []

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
        """Take the lease and read what the store knows.

        Raises:
            LeaseHeld: another poller works on the mailbox.
            StoreError: the store cannot be read.
        """
        lease = self.store.acquire(self.mailbox, owner_name())
        try:
            self.record, self.listed = self.store.load(self.mailbox), None
            self.seen = self._looked_at()
        except BaseException:
            self.store.release(lease)
            raise
        self._lease = lease

    def release(self) -> None:
        """Give the lease back, after what is still to be written down."""
        lease = self._lease
        if lease is None:
            return
        try:
            self.flush()
        finally:
            self._lease = None
            self._pending.clear()
            self.store.release(lease)

    def commit(self, *changes: Change) -> None:
        """Write ``changes`` and all that waits for them, durably, in one transaction.

        When it raises, nothing of it is written. What :meth:`later` had put down stays put down,
        so that a message that was handled is not handed over again because a disk was full.

        Raises:
            LeaseLost: another poller took over; what was put down is its business now.
            StoreError: the store cannot be written.
        """
        everything = [*self._pending, *changes]
        if not everything:
            return
        if self._lease is None:
            raise LeaseLost(f"no lease on {self.mailbox} is held")
        try:
            self.store.commit(self._lease, everything)
        except LeaseLost:
            self._lease = None
            self._pending.clear()
            raise
        self._pending.clear()
        for change in everything:
            self._learn(change)
        for change in everything:
            if isinstance(change, PutEntry):
                event = message_event(self.mailbox.mailbox, change.entry)
                if event is not None:
                    self.emit(event)

    def later(self, *changes: Change) -> None:
        """Put ``changes`` down for the next commit, before its own."""
        self._pending.extend(changes)

    def flush(self) -> None:
        """Write what was put down, if anything."""
        self.commit()

    def begin_epoch(self, epoch: Epoch, passed: UidSet, *, cut: float | None) -> None:
        """Go over to a new epoch, in which ``passed`` is not looked at any more."""
        record = MailboxRecord(
            epoch=epoch,
            watermark=Watermark(epoch.uid_validity, 0),
            cut=cut,
            polled_at=self.record.polled_at if self.record else 0.0,
        )
        more = [PassOver(epoch.number, passed)] if passed else []
        self.commit(SaveMailbox(record), *more)

    def finish_reconciliation(
        self, passed: UidSet | None = None, *, cut: float | None = None
    ) -> None:
        """Write down that all that stood there when the epoch began was compared.

        Args:
            passed: what of it is not looked at any more.
            cut: a new cut, where there is to be one.
        """
        if self.record is None:
            return
        record = replace(self.record, epoch=replace(self.record.epoch, matched=True))
        if cut is not None:
            record = replace(record, cut=cut)
        more = [PassOver(record.epoch.number, passed)] if passed else []
        self.commit(SaveMailbox(record), *more)

    def note_poll(self, *, something_new: bool) -> None:
        """Write down that everything was looked at, and how far the watermark stands.

        A poll that found nothing is written down now and then, not every time.
        """
        record, now = self.record, self.clock.wall()
        if record is None:
            return
        if something_new or abs(now - record.polled_at) >= NOTE_INTERVAL:
            watermark = Watermark(record.epoch.uid_validity, self.seen.unbroken)
            self.commit(SaveMailbox(replace(record, watermark=watermark, polled_at=now)))

    def entries(self, *states: State) -> list[Entry]:
        """The entries in any of ``states``, by due time."""
        return self.store.entries(self.mailbox, states)

    def count(self, states: Collection[State]) -> int:
        """How many entries are in any of ``states``."""
        return self.store.count(self.mailbox, states)

    def open_actions(self, limit: int) -> list[list[Entry]]:
        """Messages of this epoch that were handled, and whose siblings are all settled.

        Returns:
            For each message all its entries; the mailbox has yet to be touched for it.
        """
        messages: dict[int, list[Entry]] = {}
        wanted = limit
        while True:
            found = self.store.entries(self.mailbox, {State.HANDLED}, limit=wanted)
            for entry in found:
                if not self._is_over(entry) and entry.key.uid not in messages:
                    messages[entry.key.uid] = self.siblings(entry.key.uid)
            ready = [one for one in messages.values() if may_touch(one) is not None]
            if len(ready) >= limit or len(found) < wanted:
                return ready[:limit]
            # Earlier epochs come first, and messages that wait for an inbox may be many.
            wanted *= 4

    def stranded_actions(self, limit: int) -> list[Entry]:
        """Handled messages of earlier epochs that were not found again in this one."""
        found = self.store.entries(self.mailbox, {State.HANDLED}, limit=limit)
        return [entry for entry in found if self._is_over(entry)]

    def _is_over(self, entry: Entry) -> bool:
        return entry.key.epoch != self.epoch.number

    def siblings(self, uid: int) -> list[Entry]:
        """The entries of a message of this epoch, one for each inbox."""
        return self.store.siblings(self.mailbox, self.epoch.number, uid)

    def left_over(self) -> UidSet:
        """Messages of this epoch that are known to be for an inbox and were not handed to it.

        A process ended between two inboxes, or an inbox was added that is to get its older mail.
        """
        found = self.store.entries(self.mailbox, {State.NEW})
        return UidSet.of(entry.key.uid for entry in found if not self._is_over(entry))

    def new_entry(self, uid: int, inbox: str = "") -> Entry:
        """The entry of a message of this epoch that nothing is known of yet."""
        key = EntryKey(self.epoch.number, uid, inbox)
        return Entry(
            key=key,
            uid_validity=self.epoch.uid_validity,
            state=State.NEW,
            delivery_id=delivery_id_of(self.mailbox, self.epoch, key),
            changed_at=self.clock.wall(),
        )

    def find_by_digest(self, header_digest: str) -> list[Entry]:
        """The entries of earlier epochs whose digest has this header part."""
        number = self.epoch.number
        if number == 1:
            return []
        return self.store.find_by_digest(self.mailbox, header_digest, before_epoch=number)

    def finished_like(self, entry: Entry) -> int:
        """How many messages with the digest of ``entry`` are finished, in whatever epoch."""
        if entry.digest is None:
            return 0
        known = self.store.find_by_digest(
            self.mailbox, entry.digest.header, before_epoch=self.epoch.number + 1
        )
        same = [one for one in known if one.state is State.FINISHED and one.digest == entry.digest]
        return len({(one.key.epoch, one.key.uid) for one in same})

    def entries_without_bytes(self) -> list[Entry]:
        """The waiting entries whose bytes have yet to be fetched; of earlier epochs new ones too.

        What is new in this epoch is fetched like other new mail: see :meth:`left_over`.
        """
        waiting = self.store.entries_without_bytes(self.mailbox, State.WAITING)
        new = self.store.entries_without_bytes(self.mailbox, State.NEW)
        return [*waiting, *(entry for entry in new if self._is_over(entry))]

    def retry_requests(self) -> list[Entry]:
        """The dead entries that a person wants to be tried again."""
        found = (
            self.store.get(self.mailbox, key) for key in self.store.retry_requests(self.mailbox)
        )
        return [entry for entry in found if entry is not None]

    def raw(self, key: EntryKey) -> bytes | None:
        """The bytes that are kept beside an entry."""
        return self.store.raw(self.mailbox, key)

    def _looked_at(self) -> UidSet:
        if self.record is None:
            return UidSet()
        return self.store.seen_uids(self.mailbox, self.record.epoch.number)

    def _learn(self, change: Change) -> None:
        """Keep ``record`` and ``seen`` equal to what was just written."""
        if isinstance(change, SaveMailbox):
            moved_on = self.record is None or change.record.epoch.number != self.epoch.number
            self.record = change.record
            if moved_on:
                self.seen, self.absent, self.listed = UidSet(), UidSet(), None
        elif isinstance(change, PassOver):
            self.seen.update(change.uids)
        elif isinstance(change, Rekey):
            self._see(change.after)
        elif isinstance(change, PutEntry):
            self._see(change.entry.key, gone=change.entry.state is State.GONE)

    def _see(self, key: EntryKey, *, gone: bool = False) -> None:
        if self.record is not None and key.epoch == self.record.epoch.number:
            if gone:
                # Also when it waited until now: it is new when it is listed again.
                self.seen = self.seen - UidSet.of([key.uid])
            (self.absent if gone else self.seen).add(key.uid)
