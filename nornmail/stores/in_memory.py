"""What the stores with their state in memory share: reading, locking, and the leases."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Generic

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
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState, Recipient
from nornmail.stores.in_memory_tables import Effects, H, LetterTables, Tables
from nornmail.uidset import UidSet

# ---- The outbox of the stores with their state in memory: what they share.

Plan = Callable[[Tables[H], Callable[[bytes], H]], Effects[H]]
"""What a change of the tables comes to; it is given what makes of bytes what stands for them."""


class InMemoryOutbox(ABC, Generic[H]):
    """The part of :class:`~nornmail.stores.in_memory.InMemoryStore` that is about letters."""

    _mailboxes: dict[MailboxKey, Tables[H]]

    @abstractmethod
    def _locked(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _check_lease(self, lease: Lease) -> None: ...

    @abstractmethod
    def _tables(self, mailbox: MailboxKey) -> Tables[H]: ...

    @abstractmethod
    def _read_raw(self, held: H) -> bytes: ...

    @abstractmethod
    def _write(self, mailbox: MailboxKey, plan: Plan[H]) -> Effects[H]:
        """Make what a plan comes to durable, put it into the tables, and return it."""

    # Writing

    def enqueue(self, letter: QueuedMessage, raw: bytes) -> QueuedMessage:
        """See :meth:`nornmail.stores.protocol.OutboxStore.enqueue`."""
        mailbox = MailboxKey.of_outbox(letter.outbox)
        with self._locked():
            self._write(
                mailbox,
                lambda tables, hold: Effects(outbox=tables.outbox.plan_enqueue(letter, raw, hold)),
            )
            return self._tables(mailbox).outbox.letters[letter.key]

    def commit_messages(self, lease: Lease, letters: Sequence[QueuedMessage]) -> None:
        """See :meth:`nornmail.stores.protocol.OutboxStore.commit_messages`."""
        with self._locked():
            self._check_lease(lease)
            self._write(
                lease.mailbox,
                lambda tables, _: Effects(
                    outbox=tables.outbox.plan_put(lease.mailbox.account, letters)
                ),
            )

    def request(self, outbox: str, key: str, wish: OperatorRequest) -> None:
        """See :meth:`nornmail.stores.protocol.OutboxStore.request`."""
        with self._locked():
            self._write(
                MailboxKey.of_outbox(outbox),
                lambda tables, _: Effects(outbox=tables.outbox.plan_wish(key, wish)),
            )

    def note_bounce(self, outbox: str, key: str, report: Recipient) -> bool:
        """See :meth:`nornmail.stores.protocol.OutboxStore.note_bounce`."""
        with self._locked():
            done = self._write(
                MailboxKey.of_outbox(outbox),
                lambda tables, _: Effects(outbox=tables.outbox.plan_bounce(key, report)),
            )
            return bool(done.outbox)

    # Reading

    def _outbox(self, outbox: str) -> LetterTables[H]:
        return self._tables(MailboxKey.of_outbox(outbox)).outbox

    def pending_requests(self, outbox: str) -> list[tuple[str, OperatorRequest]]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.pending_requests`."""
        with self._locked():
            return sorted(self._outbox(outbox).pending_requests.items())

    def queued_message(self, outbox: str, key: str) -> QueuedMessage | None:
        """See :meth:`nornmail.stores.protocol.OutboxStore.queued_message`."""
        with self._locked():
            return self._outbox(outbox).letters.get(key)

    def queued_messages(
        self, outbox: str, states: Collection[QueueState], *, limit: int | None = None
    ) -> list[QueuedMessage]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.queued_messages`."""
        with self._locked():
            return self._outbox(outbox).in_states(states, limit)

    def count_messages(self, outbox: str, states: Collection[QueueState]) -> int:
        """See :meth:`nornmail.stores.protocol.OutboxStore.count_messages`."""
        with self._locked():
            return self._outbox(outbox).count(states)

    def message_bytes(self, outbox: str, key: str) -> bytes | None:
        """See :meth:`nornmail.stores.protocol.OutboxStore.message_bytes`."""
        with self._locked():
            held = self._outbox(outbox).raw.get(key)
            return None if held is None else self._read_raw(held)

    def messages_to_copy(self, outbox: str) -> list[QueuedMessage]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.messages_to_copy`."""
        with self._locked():
            return self._outbox(outbox).to_copy()

    def messages_with_id(self, message_id: str) -> list[QueuedMessage]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.messages_with_id`."""
        with self._locked():
            names = self._outbox_names()
            return [one for name in names for one in self._outbox(name).with_message_id(message_id)]

    def messages_to(
        self, outbox: str, address: str, *, since: float, limit: int
    ) -> list[QueuedMessage]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.messages_to`."""
        with self._locked():
            return self._outbox(outbox).to(address, since, limit)

    def answers_since(
        self, outbox: str, since: float, *, address: str = "", thread_id: str = ""
    ) -> int:
        """See :meth:`nornmail.stores.protocol.OutboxStore.answers_since`."""
        with self._locked():
            return self._outbox(outbox).answers_since(since, address, thread_id)

    def submissions_since(self, outbox: str, since: float, *, limit: int) -> list[float]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.submissions_since`."""
        with self._locked():
            return self._outbox(outbox).submissions_since(since, limit)

    def outboxes(self) -> list[str]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.outboxes`."""
        with self._locked():
            return self._outbox_names()

    def _outbox_names(self) -> list[str]:
        return sorted(key.account for key in self._mailboxes if key.is_outbox)


class InMemoryStore(InMemoryOutbox[H]):
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

    def request_retry(self, mailbox: MailboxKey, key: EntryKey) -> None:
        """See :meth:`nornmail.stores.protocol.StateStore.request_retry`.

        Where one process at a time has the store open, that is the poller's.
        """
        with self._locked():
            self._write(mailbox, lambda tables, _: tables.plan_asking(key))

    def save_inbox(self, mailbox: MailboxKey, record: InboxRecord) -> None:
        """See :meth:`nornmail.stores.protocol.InboxStore.save_inbox`."""
        with self._locked():
            self._write(mailbox, lambda *_: Effects(inboxes={record.id: record}))

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        """See :meth:`nornmail.stores.protocol.InboxStore.forget_inbox`."""
        with self._locked():
            known = name in self._tables(mailbox).inboxes
            if known:
                self._write(mailbox, lambda *_: Effects(inboxes={name: None}))
            return known

    # Reading

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        """See :meth:`nornmail.stores.protocol.InboxStore.inboxes`."""
        with self._locked():
            found = self._tables(mailbox).inboxes.values()
            return sorted(found, key=lambda one: (one.created_at, one.id))

    def load(self, mailbox: MailboxKey) -> MailboxRecord | None:
        """See :meth:`nornmail.stores.protocol.StateStore.load`."""
        with self._locked():
            return self._tables(mailbox).record

    def seen_uids(self, mailbox: MailboxKey, epoch: int) -> UidSet:
        """See :meth:`nornmail.stores.protocol.StateStore.seen_uids`."""
        with self._locked():
            return self._tables(mailbox).seen_uids(epoch)

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

    def find_by_digest(
        self, mailbox: MailboxKey, header_digest: str, *, before_epoch: int
    ) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.find_by_digest`."""
        with self._locked():
            return self._tables(mailbox).find_by_digest(header_digest, before_epoch)

    def mailboxes(self) -> list[MailboxKey]:
        """See :meth:`nornmail.stores.protocol.StateStore.mailboxes`."""
        with self._locked():
            found = (one for one in self._mailboxes if not one.is_outbox)
            return sorted(found, key=lambda one: (one.account, one.mailbox))

    def retry_requests(self, mailbox: MailboxKey) -> list[EntryKey]:
        """See :meth:`nornmail.stores.protocol.StateStore.retry_requests`."""
        with self._locked():
            return sorted(self._tables(mailbox).asked)

    def raw(self, mailbox: MailboxKey, key: EntryKey) -> bytes | None:
        """See :meth:`nornmail.stores.protocol.StateStore.raw`."""
        with self._locked():
            held = self._tables(mailbox).raw.get(key)
            return None if held is None else self._read_raw(held)

    def entries_without_bytes(self, mailbox: MailboxKey, state: State) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.entries_without_bytes`."""
        with self._locked():
            return self._tables(mailbox).entries_without_bytes(state)


# ---- A store that forgets: for tests, and for trying things out.


class MemoryStateStore(InMemoryStore[bytes]):
    """Keeps the :class:`~nornmail.stores.protocol.StateStore` protocol, but for durability.

    All is lost with the object: after a restart the mailbox looks as if it were polled for the
    first time. Its size is that of the history, of every message ever looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self._closed = False

    def forget_messages(self, outbox: str, before: float) -> None:
        """Let go of the letters that are through and were last changed before this instant.

        They can be told from new ones no longer, nor be counted. A store that lasts has no such
        method: the size of its history is that of its disk.

        Args:
            outbox: whose.
            before: seconds since 1970 UTC.
        """
        with self._locked():
            self._outbox(outbox).forget(before)

    def _write(self, mailbox: MailboxKey, plan: Plan[bytes]) -> Effects[bytes]:
        tables = self._tables(mailbox)
        effects = plan(tables, bytes)
        self._settled = False
        self._mailboxes.setdefault(mailbox, tables).install(effects)
        self._settled = True
        return effects

    def close(self) -> None:
        """Release every lease. What is asked of the store after that is a StoreError."""
        with self._mutex:
            self._closed = True
            self._leases.clear()

    def _unusable(self) -> str | None:
        return "the state store in memory was closed" if self._closed else None

    def _save_token(self, mailbox: MailboxKey, token: int) -> None:
        self._mailboxes.setdefault(mailbox, Tables()).token = token

    def _read_raw(self, held: bytes) -> bytes:
        return held
