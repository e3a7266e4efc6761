"""What the stores with their state in memory share: reading, locking, and the leases."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from nornmail.errors import LeaseHeld, LeaseLost, StoreError
from nornmail.model import (
    Change,
    Entry,
    EntryKey,
    InboxRecord,
    Lease,
    MailboxKey,
    MailboxRecord,
    State,
)
from nornmail.stores.in_memory_tables import Effects, Tables
from nornmail.stores.letter_tables import H
from nornmail.stores.tabled_letters import TabledLetters
from nornmail.uidset import UidSet


class TabledStore(TabledLetters[H]):
    """A store over :class:`~nornmail.stores.in_memory_tables.Tables`, one for each mailbox.

    One process at a time has such a store, so a lease is an entry in a dictionary: it goes with the
    process. Its token is the store's to keep.
    """

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._mailboxes: dict[MailboxKey, Tables[H]] = {}
        self._leases: dict[MailboxKey, Lease] = {}
        self._settled = True
        """False while a commit is put in. Ctrl-C may leave it so: then memory and disk differ."""

    # What the two differ in

    @abstractmethod
    def _unusable(self) -> str | None:
        """Why nothing can be done with the store (closed, another process's), else ``None``."""

    @abstractmethod
    def _save_token(self, mailbox: MailboxKey, token: int) -> None:
        """Write the new token of a mailbox down and put it into its tables."""

    @abstractmethod
    def _read_raw(self, held: H) -> bytes:
        """The bytes that ``held`` stands for."""

    def _check_usable(self) -> None:
        reason = self._unusable()
        if reason is not None:
            raise StoreError(reason)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Before the lock too: in a forked child it may be held by a thread that is not there.
        self._check_usable()
        with self._mutex:
            self._check_usable()
            if not self._settled:
                raise StoreError("the state store was interrupted while it wrote: open it again")
            yield

    def _tables(self, mailbox: MailboxKey) -> Tables[H]:
        """The tables to read from: empty ones for a mailbox that is not known."""
        return self._mailboxes.get(mailbox) or Tables()

    # Leases

    def acquire(self, mailbox: MailboxKey, owner: str) -> Lease:
        """See :meth:`nornmail.stores.protocol.StateStore.acquire`."""
        with self._locked():
            holder = self._leases.get(mailbox)
            if holder is not None:
                raise LeaseHeld(f"{mailbox} is worked on by {holder.owner}", holder.owner)
            token = self._tables(mailbox).token + 1
            self._save_token(mailbox, token)
            lease = Lease(mailbox=mailbox, owner=owner, token=token)
            self._leases[mailbox] = lease
            return lease

    def _check_lease(self, lease: Lease) -> None:
        current = self._leases.get(lease.mailbox)
        if current is None or current.token != lease.token:
            raise LeaseLost(f"{lease.owner} does not work on {lease.mailbox} any more")

    def renew(self, lease: Lease) -> Lease:
        """See :meth:`nornmail.stores.protocol.StateStore.renew`.

        The lease has no end: it is as is.
        """
        with self._locked():
            self._check_lease(lease)
            return lease

    def release(self, lease: Lease) -> None:
        """See :meth:`nornmail.stores.protocol.StateStore.release`."""
        if self._unusable():
            return  # closing released it
        with self._mutex:
            current = self._leases.get(lease.mailbox)
            if current is not None and current.token == lease.token:
                del self._leases[lease.mailbox]

    # Writing

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        """See :meth:`nornmail.stores.protocol.StateStore.commit`."""
        with self._locked():
            self._check_lease(lease)
            if changes:
                self._write(lease.mailbox, lambda tables, hold: tables.plan(changes, hold))

    def ask_again(self, mailbox: MailboxKey, key: EntryKey) -> None:
        """See :meth:`nornmail.stores.protocol.StateStore.ask_again`.

        Where one process at a time has the store open, that is the poller's.
        """
        with self._locked():
            self._write(mailbox, lambda tables, _: tables.plan_asking(key))

    def save_inbox(self, mailbox: MailboxKey, record: InboxRecord) -> None:
        """See :meth:`nornmail.stores.inboxes.InboxStore.save_inbox`."""
        with self._locked():
            self._write(mailbox, lambda *_: Effects(inboxes={record.id: record}))

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        """See :meth:`nornmail.stores.inboxes.InboxStore.forget_inbox`."""
        with self._locked():
            known = name in self._tables(mailbox).inboxes
            if known:
                self._write(mailbox, lambda *_: Effects(inboxes={name: None}))
            return known

    # Reading

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        """See :meth:`nornmail.stores.inboxes.InboxStore.inboxes`."""
        with self._locked():
            found = self._tables(mailbox).inboxes.values()
            return sorted(found, key=lambda one: (one.created_at, one.id))

    def load(self, mailbox: MailboxKey) -> MailboxRecord | None:
        """See :meth:`nornmail.stores.protocol.StateStore.load`."""
        with self._locked():
            return self._tables(mailbox).record

    def looked_at(self, mailbox: MailboxKey, epoch: int) -> UidSet:
        """See :meth:`nornmail.stores.protocol.StateStore.looked_at`."""
        with self._locked():
            return self._tables(mailbox).looked_at(epoch)

    def get(self, mailbox: MailboxKey, key: EntryKey) -> Entry | None:
        """See :meth:`nornmail.stores.protocol.StateStore.get`."""
        with self._locked():
            return self._tables(mailbox).entries.get(key)

    def siblings(self, mailbox: MailboxKey, epoch: int, uid: int) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.siblings`."""
        with self._locked():
            return self._tables(mailbox).siblings(epoch, uid)

    def entries(
        self, mailbox: MailboxKey, states: Collection[State], *, limit: int | None = None
    ) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.entries`."""
        with self._locked():
            return self._tables(mailbox).in_states(states, limit)

    def count(self, mailbox: MailboxKey, states: Collection[State]) -> int:
        """See :meth:`nornmail.stores.protocol.StateStore.count`."""
        with self._locked():
            return self._tables(mailbox).count(states)

    def acquaintances(
        self, mailbox: MailboxKey, header_digest: str, *, before_epoch: int
    ) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.acquaintances`."""
        with self._locked():
            return self._tables(mailbox).acquaintances(header_digest, before_epoch)

    def mailboxes(self) -> list[MailboxKey]:
        """See :meth:`nornmail.stores.protocol.StateStore.mailboxes`."""
        with self._locked():
            found = (one for one in self._mailboxes if not one.is_outbox)
            return sorted(found, key=lambda one: (one.account, one.mailbox))

    def asked_again(self, mailbox: MailboxKey) -> list[EntryKey]:
        """See :meth:`nornmail.stores.protocol.StateStore.asked_again`."""
        with self._locked():
            return sorted(self._tables(mailbox).asked)

    def raw(self, mailbox: MailboxKey, key: EntryKey) -> bytes | None:
        """See :meth:`nornmail.stores.protocol.StateStore.raw`."""
        with self._locked():
            held = self._tables(mailbox).raw.get(key)
            return None if held is None else self._read_raw(held)

    def without_raw(self, mailbox: MailboxKey, state: State) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.without_raw`."""
        with self._locked():
            return self._tables(mailbox).without_raw(state)
