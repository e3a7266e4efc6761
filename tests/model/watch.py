"""The seams at which a process can end, and the store that the oracle looks into."""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Sequence

from nornmail.errors import StoreError
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
from nornmail.outgoing import (
    Decision,
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Quota,
    Recipient,
)
from nornmail.stores.protocol import StateStore
from nornmail.testing import MailServer, faults
from nornmail.uidset import UidSet

KILL_POINTS = (
    "before a commit",
    "after a commit",
    "before a command",
    "in a command",
    "in the handler",
)


class Killed(BaseException):
    """The process ended here. What a dead process would not do must not happen after it."""


class Killer:
    """Ends the process at the n-th of a kind of instants.

    A ``finally`` runs even so; since every seam raises from then on, it has no effect on the store
    and on the server.

    Args:
        server: for a death after the server acted and before its answer came.
    """

    def __init__(self, server: MailServer) -> None:
        self._server = server
        self._point = ""
        self._left = 0
        self.dead = False

    def arm(self, point: str, nth: int) -> None:
        self._point, self._left, self.dead = point, nth, False

    def disarm(self) -> None:
        self._point, self.dead = "", False

    def seam(self, point: str) -> None:
        """Pass an instant at which the process may end."""
        if self.dead:
            raise Killed(point)
        if self._due(point):
            self.dead = True
            raise Killed(point)

    def on_command(self, when: str, _command: bytes) -> None:
        if when != "before":
            return
        self.seam("before a command")
        if self._due("in a command"):
            # The server acts and hangs up: when the client reads the end, all of it is over.
            self._server.faults.add(faults.Cut(after_bytes=0))
            self.dead = True

    def _due(self, point: str) -> bool:
        if point != self._point:
            return False
        self._left -= 1
        return self._left == 0


class WatchedStore:
    """Passes everything on to a store, unless the process is dead or the disk full.

    Args:
        inner: the store.
        killer: asked at every call.
        after: told of a commit once it is durable.

    Attributes:
        failures: so many commits to come are refused, as by a full disk.
        leases: those that were taken through this object and not given back.
    """

    def __init__(
        self,
        inner: StateStore,
        killer: Killer,
        *,
        after: Callable[[Sequence[Change]], None],
    ) -> None:
        self.inner = inner
        self.failures = 0
        self.leases: list[Lease] = []
        self._killer = killer
        self._after = after

    def _alive(self) -> StateStore:
        self._killer.seam("in the store")
        return self.inner

    def holder(self, mailbox: MailboxKey) -> str:
        return self._alive().holder(mailbox)

    def is_wanted(self, lease: Lease) -> bool:
        return self._alive().is_wanted(lease)

    def acquire(self, mailbox: MailboxKey, owner: str) -> Lease:
        lease = self._alive().acquire(mailbox, owner)
        self.leases.append(lease)
        return lease

    def release(self, lease: Lease) -> None:
        self._alive().release(lease)
        if lease in self.leases:
            self.leases.remove(lease)

    def forget_leases(self) -> None:
        """Free the leases, as the operating system does for a process that ended."""
        for lease in self.leases:
            self.inner.release(lease)
        self.leases.clear()

    def load(self, mailbox: MailboxKey) -> MailboxRecord | None:
        return self._alive().load(mailbox)

    def seen_uids(self, mailbox: MailboxKey, epoch: int) -> UidSet:
        return self._alive().seen_uids(mailbox, epoch)

    def get(self, mailbox: MailboxKey, key: EntryKey) -> Entry | None:
        return self._alive().get(mailbox, key)

    def entries(
        self, mailbox: MailboxKey, states: Collection[State], *, limit: int | None = None
    ) -> list[Entry]:
        return self._alive().entries(mailbox, states, limit=limit)

    def siblings(self, mailbox: MailboxKey, epoch: int, uid: int) -> list[Entry]:
        return self._alive().siblings(mailbox, epoch, uid)

    def outboxes(self) -> list[str]:
        return self._alive().outboxes()

    def has_verified_sender(self, address: str) -> bool:
        return self._alive().has_verified_sender(address)

    def mailboxes(self) -> list[MailboxKey]:
        return self._alive().mailboxes()

    def request_retry(self, mailbox: MailboxKey, key: EntryKey) -> None:
        self._alive().request_retry(mailbox, key)

    def retry_requests(self, mailbox: MailboxKey) -> list[EntryKey]:
        return self._alive().retry_requests(mailbox)

    def count(self, mailbox: MailboxKey, states: Collection[State]) -> int:
        return self._alive().count(mailbox, states)

    def find_by_digest(
        self, mailbox: MailboxKey, header_digest: str, *, before_epoch: int
    ) -> list[Entry]:
        return self._alive().find_by_digest(mailbox, header_digest, before_epoch=before_epoch)

    def raw(self, mailbox: MailboxKey, key: EntryKey) -> bytes | None:
        return self._alive().raw(mailbox, key)

    def entries_without_bytes(self, mailbox: MailboxKey, state: State) -> list[Entry]:
        return self._alive().entries_without_bytes(mailbox, state)

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        self._killer.seam("before a commit")
        if self.failures and changes:
            self.failures -= 1
            raise StoreError("the disk is full") from OSError(errno.ENOSPC, "no space")
        self.inner.commit(lease, changes)
        self._after(changes)
        self._killer.seam("after a commit")

    def forget_entries(self, lease: Lease, *, before: float, limit: int) -> int:
        return self._alive().forget_entries(lease, before=before, limit=limit)

    def forget_messages(self, outbox: str, *, before: float, limit: int) -> int:
        return self._alive().forget_messages(outbox, before=before, limit=limit)

    def close(self) -> None:
        self._alive().close()

    # No run has inboxes that are made meanwhile, or sends: these are instants like any reading.

    def save_inbox(self, mailbox: MailboxKey, record: InboxRecord) -> None:
        self._alive().save_inbox(mailbox, record)

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        return self._alive().forget_inbox(mailbox, name)

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        return self._alive().inboxes(mailbox)

    def enqueue(self, letter: QueuedMessage, raw: bytes) -> QueuedMessage:
        return self._alive().enqueue(letter, raw)

    def claim_message(
        self, lease: Lease, key: str | None, quotas: Sequence[Quota] = ()
    ) -> QueuedMessage | None:
        return self._alive().claim_message(lease, key, quotas)

    def commit_messages(self, lease: Lease, letters: Sequence[QueuedMessage]) -> None:
        self._alive().commit_messages(lease, letters)

    def request(self, outbox: str, key: str, wish: OperatorRequest) -> None:
        self._alive().request(outbox, key, wish)

    def pending_requests(self, outbox: str) -> list[tuple[str, OperatorRequest]]:
        return self._alive().pending_requests(outbox)

    def decide(self, outbox: str, key: str, decision: Decision) -> bool:
        return self._alive().decide(outbox, key, decision)

    def note_bounce(self, outbox: str, key: str, report: Recipient) -> bool:
        return self._alive().note_bounce(outbox, key, report)

    def queued_message(self, outbox: str, key: str) -> QueuedMessage | None:
        return self._alive().queued_message(outbox, key)

    def queued_messages(
        self, outbox: str, states: Collection[QueueState], *, limit: int | None = None
    ) -> list[QueuedMessage]:
        return self._alive().queued_messages(outbox, states, limit=limit)

    def count_messages(self, outbox: str, states: Collection[QueueState]) -> int:
        return self._alive().count_messages(outbox, states)

    def message_bytes(self, outbox: str, key: str) -> bytes | None:
        return self._alive().message_bytes(outbox, key)

    def messages_to_copy(self, outbox: str) -> list[QueuedMessage]:
        return self._alive().messages_to_copy(outbox)

    def messages_with_id(self, message_id: str) -> list[QueuedMessage]:
        return self._alive().messages_with_id(message_id)

    def messages_to(
        self, outbox: str, address: str, *, since: float, limit: int
    ) -> list[QueuedMessage]:
        return self._alive().messages_to(outbox, address, since=since, limit=limit)

    def answers_since(
        self, outbox: str, since: float, *, address: str = "", thread_id: str = ""
    ) -> int:
        return self._alive().answers_since(outbox, since, address=address, thread_id=thread_id)

    def submissions_since(self, outbox: str, since: float, *, limit: int) -> list[float]:
        return self._alive().submissions_since(outbox, since, limit=limit)
