"""The protocols of a state store, one for each of its callers.

:class:`MailboxStore` is the poller's, :class:`OutboxStore` the mailer's, and :class:`InboxStore`
belongs to programs that make inboxes while they run; :class:`StateStore` is the three together. A
program that brings a store of its own for a poller alone writes a :class:`MailboxStore`.

Every method may be called from any thread. It raises :class:`~nornmail.errors.StoreError` when the
store cannot be read or written, and changed nothing where it raised. What it writes is durable (on
the disk) on return. One that works under a lease raises :class:`~nornmail.errors.LeaseLost` when
its token is stale; one that takes none may be called while another process holds it. Instants are
in seconds since 1970 UTC. ``limit`` keeps the first of the values in their order, at most so many;
``None`` keeps all. The cost of ``commit``, ``siblings`` and ``has_verified_sender`` does not grow
with the store.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

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
from nornmail.uidset import UidSet


class LeaseStore(Protocol):
    """Leases, which a mailbox and an outbox have alike."""

    def acquire(self, mailbox: MailboxKey, owner: str) -> Lease:
        """Take the right to work on ``mailbox``, with a fencing token above all earlier ones.

        A holder that died has lost it already.

        Raises:
            LeaseHeld: another holder (in this process, on this machine, or elsewhere) has it.
        """

    def release(self, lease: Lease) -> None:
        """Give the lease back; a stale one is not an error. The next ``acquire`` succeeds."""

    def holder(self, mailbox: MailboxKey) -> str:
        """The process that has the lease, as it named itself, and as it was a second ago at most.

        It is ``""`` if there is none, or if only ``acquire`` can tell. Asking for many mailboxes
        costs little, unlike many refused calls of ``acquire``.
        """

    def is_wanted(self, lease: Lease) -> bool:
        """Whether the holder should give a lease back while it is not handling a message.

        It should where another process waits for it that has fewer. It costs no query.
        """

    def close(self) -> None:
        """Release every lease taken here and close the files. Closing twice is harmless.

        Any later call of a method that reads or writes raises StoreError.
        """


class MailboxStore(LeaseStore, Protocol):
    """The state of mailboxes: what became of each message."""

    def load(self, mailbox: MailboxKey) -> MailboxRecord | None:
        """The record as it was last saved, ``None`` before the first time."""

    def seen_uids(self, mailbox: MailboxKey, epoch: int) -> UidSet:
        """Every UID of the epoch that has an entry of a state other than GONE, or was passed over.

        The set is the caller's own.
        """

    def get(self, mailbox: MailboxKey, key: EntryKey) -> Entry | None:
        """The entry under ``key``, ``None`` when there is none."""

    def siblings(self, mailbox: MailboxKey, epoch: int, uid: int) -> list[Entry]:
        """The entries of one message, in whatever state, in the order of their inboxes."""

    def entries(
        self, mailbox: MailboxKey, states: Collection[State], *, limit: int | None = None
    ) -> list[Entry]:
        """The entries in any of ``states``, in the order of ``(due_at, epoch, uid, inbox)``."""

    def count(self, mailbox: MailboxKey, states: Collection[State]) -> int:
        """The number of entries in any of ``states``."""

    def find_by_digest(
        self, mailbox: MailboxKey, header_digest: str, *, before_epoch: int
    ) -> list[Entry]:
        """The entries of epochs below ``before_epoch`` with this header part, by their keys."""

    def raw(self, mailbox: MailboxKey, key: EntryKey) -> bytes | None:
        """The bytes kept with the entry, ``None`` when none are kept."""

    def entries_without_bytes(self, mailbox: MailboxKey, state: State) -> list[Entry]:
        """The entries in ``state`` with which no bytes are kept, ordered as ``entries`` does."""

    def mailboxes(self) -> list[MailboxKey]:
        """Every mailbox that a lease was ever taken of, by account and name."""

    def request_retry(self, mailbox: MailboxKey, key: EntryKey) -> None:
        """Ask for another try of a dead entry; harmless twice.

        It takes no lease, so that a person can ask while a poller runs, which finds the requests
        with :meth:`retry_requests`. The request ends when the entry is no longer DEAD, and goes
        with the entry when that is given another key.

        Raises:
            IllegalTransition: there is no such entry, or it is not DEAD.
        """

    def retry_requests(self, mailbox: MailboxKey) -> list[EntryKey]:
        """Dead entries that :meth:`request_retry` was called for, in the order of their keys."""

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        """Write all of ``changes`` or none of them.

        No changes: nothing is written.

        Raises:
            IllegalTransition: a change that the table of states does not allow, a
                :class:`~nornmail.model.Rekey` of a missing entry or onto one that is there, or a
                :class:`~nornmail.model.KeepRaw` for an entry that is missing or may keep none.
        """

    def forget_entries(self, lease: Lease, *, before: float, limit: int) -> int:
        """Remove entries of messages that are done with, and return their number.

        Their UIDs stay known, and the record's ``horizon`` rises to the latest instant at which
        the server received one of them.

        Args:
            lease: of the mailbox.
            before: such a message was received before this instant, and all its entries are
                FINISHED or PASSED_OVER and were last changed before it. The horizon never lies
                beyond it, whatever date a server gave a message.
            limit: at most so many entries, those of the lowest UIDs.
        """


class OutboxStore(LeaseStore, Protocol):
    """Messages that wait to be sent, and the memory of those that were.

    An outbox is an account's, by its name. The right to send from it is a lease of
    :meth:`nornmail.model.MailboxKey.of_outbox`. A store that many machines share may give it to
    several senders at once, each of which claims the message that it works on.
    """

    def enqueue(self, message: QueuedMessage, raw: bytes) -> QueuedMessage:
        """Keep a new message with its bytes, unless its key is known already.

        A message that is kept makes its outbox known to the store.

        Args:
            message: queued, held or a draft; ``message.outbox`` and ``message.key`` name it.
            raw: the message as it is to go out.

        Returns:
            The message that is in the store now: an older one of the same outbox and key as it
            stands, with nothing written, else this one.

        Raises:
            IllegalTransition: it is new and in another state.
        """

    def claim_message(
        self, lease: Lease, key: str | None, quotas: Sequence[Quota] = ()
    ) -> QueuedMessage | None:
        """Claim a message, so that no other sender of the outbox works on it.

        The claim ends with the sender's next one, or with its lease. A store that gives an outbox
        to one sender at a time has nothing to write down, and no quota to watch.

        Args:
            lease: the sender's.
            key: of the message; ``None`` to have none in hand.
            quotas: what may go out. A message that another sender has in hand and that waits counts
                as one that went out.

        Returns:
            The message as it stands; ``None`` where there is none, another sender has it, or a
            quota is used up.
        """

    def commit_messages(self, lease: Lease, messages: Sequence[QueuedMessage]) -> None:
        """Replace the messages with these keys, all or none.

        A bounce that was noted meanwhile stays (:func:`nornmail.outgoing.replaced`). A request
        that no longer applies after the change is removed, as are bytes that are not needed.

        Raises:
            IllegalTransition: one is not of the lease's outbox, is missing, is in another
                sender's hand, or may not change so.
        """

    def request(self, outbox: str, key: str, request: OperatorRequest) -> None:
        """Leave an operator's request for a message; the last one counts.

        The holder of the lease finds it with :meth:`pending_requests`.

        Raises:
            IllegalTransition: there is no such message, or this cannot be done with it.
        """

    def pending_requests(self, outbox: str) -> list[tuple[str, OperatorRequest]]:
        """The requests that were not carried out yet, with the keys of their messages, in order."""

    def decide(self, outbox: str, key: str, decision: Decision) -> bool:
        """Approve or reject a held message (:func:`nornmail.outgoing.decided`).

        Returns whether it was news. No sender touches a message that is held.

        Raises:
            IllegalTransition: there is no such message, or it is not to be decided.
        """

    def note_bounce(self, outbox: str, key: str, report: Recipient) -> bool:
        """Note what a delivery report says of a recipient (:func:`nornmail.outgoing.bounced`).

        Returns whether it was news.
        """

    def queued_message(self, outbox: str, key: str) -> QueuedMessage | None:
        """The message with this key, ``None`` when there is none."""

    def queued_messages(
        self, outbox: str, states: Collection[QueueState], *, limit: int | None = None
    ) -> list[QueuedMessage]:
        """The messages in any of ``states``, in the order of ``(due_at, queued_at, key)``."""

    def count_messages(self, outbox: str, states: Collection[QueueState]) -> int:
        """The number of messages in any of ``states``."""

    def message_bytes(self, outbox: str, key: str) -> bytes | None:
        """The bytes of a message, ``None`` when none are kept."""

    def messages_to_copy(self, outbox: str) -> list[QueuedMessage]:
        """The messages with a ``copy_due_at``, in the order of ``(copy_due_at, key)``."""

    def messages_with_id(self, message_id: str) -> list[QueuedMessage]:
        """The messages of any outbox with this Message-ID, by outbox and key."""

    def messages_to(
        self, outbox: str, address: str, *, since: float, limit: int
    ) -> list[QueuedMessage]:
        """The messages to an address (case ignored) queued at ``since`` or later, newest first."""

    def answers_since(
        self, outbox: str, since: float, *, address: str = "", thread_id: str = ""
    ) -> int:
        """The number of answers queued at ``since`` or later.

        Those in a thread where one is named, else those to an address (case ignored).
        """

    def submissions_since(self, outbox: str, since: float, *, limit: int) -> list[float]:
        """The values of ``submitted_at`` at ``since`` or later, newest first."""

    def forget_messages(self, outbox: str, *, before: float, limit: int) -> int:
        """Remove sent and dropped messages that were last changed before an instant.

        One whose key begins with the delivery id of an entry that is not FINISHED or PASSED_OVER
        stays: its handler may run again, and must find that it was sent. The oldest go first.
        Returns the number of removed messages.
        """

    def outboxes(self) -> list[str]:
        """Every outbox that a message was ever kept in, or a lease taken of, by its name."""


class InboxStore(Protocol):
    """Inboxes that are made while a program runs.

    No method takes a lease: inboxes are made and removed while a poller serves them.
    """

    def save_inbox(self, mailbox: MailboxKey, record: InboxRecord) -> None:
        """Keep an inbox, or replace the one with its id."""

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        """Remove the inbox with this id, and return whether there was one."""

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        """The inboxes of a mailbox, in the order in which they were made."""


@runtime_checkable
class StateStore(MailboxStore, OutboxStore, InboxStore, Protocol):
    """Everything that a poller, a mailer and a program with inboxes of its own keep."""

    def has_verified_sender(self, address: str) -> bool:
        """Whether an :class:`nornmail.model.Entry` of any mailbox has this ``verified_sender``."""
