"""What a state store must do, and nothing about how.

The protocol is small on purpose: one way to write (:meth:`StateStore.commit`), a handful of ways to
read, and the lease. What mail on its way out needs is in ``outbox.py``,
what inboxes need that are made at run time in ``inboxes.py``. Whatever keeps it can stand
behind a poller; ``tests/stores/test_contract.py`` holds every implementation to it.
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
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState, Recipient
from nornmail.uidset import UidSet

# ---- What a state store must do for inboxes that are made while a program runs.


class InboxStore(Protocol):
    """Where inboxes are remembered that no program names in its source.

    No method takes a lease: inboxes are made and removed beside the poller that serves them.
    """

    def save_inbox(self, mailbox: MailboxKey, record: InboxRecord) -> None:
        """Keep an inbox, or put it in the place of the one with its id; durable on return."""

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        """Keep the inbox with this id no longer; durable on return.

        Returns:
            Whether there was one.
        """

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        """The inboxes of a mailbox, in the order in which they were made."""


# ---- What a state store must do for the mail on its way out: the outbox's part of the protocol.


class OutboxStore(Protocol):
    """Where letters wait to be sent, and are remembered when they are.

    An outbox is an account's, by its name. The right to send from it is a lease of
    :meth:`nornmail.model.MailboxKey.of_outbox`, which ``acquire`` of the store gives as it gives
    that of a mailbox. What takes no lease may be done beside whoever holds it.
    """

    def enqueue(self, letter: QueuedMessage, raw: bytes) -> QueuedMessage:
        """Keep a new letter with its bytes, durably, unless there is one with its key already.

        It takes no lease. A letter that is kept makes its outbox known to the store.

        Args:
            letter: queued; ``letter.outbox`` and ``letter.key`` name it.
            raw: the message as it is to go out.

        Returns:
            The letter that is in the store now: an older one of the same outbox and key as it
            stands, nothing being written, else this one.

        Raises:
            IllegalTransition: it is new and not QUEUED.
        """

    def commit_messages(self, lease: Lease, letters: Sequence[QueuedMessage]) -> None:
        """Put letters in the place of those with their keys, all or none; durable on return.

        A bounce that was noted meanwhile stays (:func:`nornmail.letters.replaced`). A wish that
        does not outlive the change is gone with it, and so are bytes that are not needed any more.

        Raises:
            LeaseLost: ``lease`` has a stale token.
            IllegalTransition: one is not of the lease's outbox, is not there, or may not change so.
        """

    def request(self, outbox: str, key: str, wish: OperatorRequest) -> None:
        """Leave what a person wants to become of a letter, durably; the last wish counts.

        It takes no lease. Whoever holds it looks for wishes with :meth:`pending_requests`.

        Raises:
            IllegalTransition: there is no such letter, or this cannot be done with it.
        """

    def pending_requests(self, outbox: str) -> list[tuple[str, OperatorRequest]]:
        """The wishes that were left and not done yet, with the keys of their letters, in order."""

    def note_bounce(self, outbox: str, key: str, report: Recipient) -> bool:
        """Note what a delivery report says of a recipient (:func:`nornmail.letters.bounced`).

        It takes no lease.

        Returns:
            Whether it was news, and is durable now.
        """

    def queued_message(self, outbox: str, key: str) -> QueuedMessage | None:
        """The letter with this key, ``None`` when there is none."""

    def queued_messages(
        self, outbox: str, states: Collection[QueueState], *, limit: int | None = None
    ) -> list[QueuedMessage]:
        """The letters in any of ``states``, in the order of ``(due_at, queued_at, key)``.

        Args:
            limit: at most so many, the first ones; ``None`` for all.
        """

    def count_messages(self, outbox: str, states: Collection[QueueState]) -> int:
        """How many letters are in any of ``states``."""

    def message_bytes(self, outbox: str, key: str) -> bytes | None:
        """The bytes of a letter, ``None`` when none are kept."""

    def messages_to_copy(self, outbox: str) -> list[QueuedMessage]:
        """The letters with a ``copy_due_at``, in the order of ``(copy_due_at, key)``."""

    def messages_with_id(self, message_id: str) -> list[QueuedMessage]:
        """The letters of any outbox with this Message-ID, by outbox and key."""

    def messages_to(
        self, outbox: str, address: str, *, since: float, limit: int
    ) -> list[QueuedMessage]:
        """The letters to an address (in whatever case) that were queued at ``since`` or later.

        The newest come first, at most ``limit`` of them.
        """

    def answers_since(
        self, outbox: str, since: float, *, address: str = "", thread_id: str = ""
    ) -> int:
        """How many answers were queued at ``since`` or later: to an address, or in a thread.

        Args:
            outbox: whose.
            since: seconds since 1970 UTC.
            address: in whatever case; counted by it unless a thread is named.
            thread_id: counted by it where it is not ``""``.
        """

    def submissions_since(self, outbox: str, since: float, *, limit: int) -> list[float]:
        """The newest ``limit`` values of ``submitted_at`` at ``since`` or later, newest first."""

    def outboxes(self) -> list[str]:
        """Every outbox that a letter was ever kept in, or a lease taken of, by its name."""


@runtime_checkable
class StateStore(OutboxStore, InboxStore, Protocol):
    """Where a poller writes down what became of each message.

    Every method may be called from any thread, and raises :class:`~nornmail.errors.StoreError` when
    the store cannot be read or written. What a method raised did not happen.
    """

    def acquire(self, mailbox: MailboxKey, owner: str) -> Lease:
        """Take the right to work on ``mailbox``, with a fencing token above all earlier ones.

        A holder that died has lost it already.

        Raises:
            LeaseHeld: somebody else (of this process, this machine, or another) holds it.
        """

    def renew(self, lease: Lease) -> Lease:
        """Hold on to ``lease`` beyond its ``expires_at``, where it has one.

        Raises:
            LeaseLost: the token is stale.
        """

    def release(self, lease: Lease) -> None:
        """Give the lease back; a stale one is not an error. The next ``acquire`` succeeds."""

    def load(self, mailbox: MailboxKey) -> MailboxRecord | None:
        """The record as it was last saved, ``None`` before the first :class:`SaveMailbox`."""

    def seen_uids(self, mailbox: MailboxKey, epoch: int) -> UidSet:
        """Every UID of the epoch that has an entry of a state other than GONE, or was passed over.

        The set is the caller's own.
        """

    def get(self, mailbox: MailboxKey, key: EntryKey) -> Entry | None:
        """The entry under ``key``, ``None`` when there is none."""

    def siblings(self, mailbox: MailboxKey, epoch: int, uid: int) -> list[Entry]:
        """The entries of one message, in whatever state, in the order of their inboxes.

        Its cost does not grow with what else is there.
        """

    def entries(
        self, mailbox: MailboxKey, states: Collection[State], *, limit: int | None = None
    ) -> list[Entry]:
        """The entries in any of ``states``, in the order of ``(due_at, epoch, uid, inbox)``.

        Args:
            limit: at most so many, the first ones; ``None`` for all.
        """

    def count(self, mailbox: MailboxKey, states: Collection[State]) -> int:
        """How many entries are in any of ``states``."""

    def find_by_digest(
        self, mailbox: MailboxKey, header_digest: str, *, before_epoch: int
    ) -> list[Entry]:
        """The entries of epochs below ``before_epoch`` whose digest has this header part.

        In the order of ``(epoch, uid, inbox)``.
        """

    def raw(self, mailbox: MailboxKey, key: EntryKey) -> bytes | None:
        """The bytes kept beside the entry, ``None`` when none are kept."""

    def entries_without_bytes(self, mailbox: MailboxKey, state: State) -> list[Entry]:
        """The entries in ``state`` beside which no bytes are kept, ordered as ``entries`` does."""

    def mailboxes(self) -> list[MailboxKey]:
        """Every mailbox that a lease was ever taken of, by account and name."""

    def request_retry(self, mailbox: MailboxKey, key: EntryKey) -> None:
        """Leave a request to try a dead entry again; durable on return, and harmless twice.

        It takes no lease, so that a person can ask beside a running poller, which looks for
        requests with :meth:`retry_requests`. The request is gone when the entry is no longer DEAD,
        and goes with it when it is given another key.

        Raises:
            IllegalTransition: there is no such entry, or it is not DEAD.
        """

    def retry_requests(self, mailbox: MailboxKey) -> list[EntryKey]:
        """Dead entries that :meth:`request_retry` was called for, in the order of their keys."""

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        """Write all of ``changes`` or none of them; durable (on the disk) on return.

        Its cost does not grow with what is already there. No changes: nothing is written.

        Raises:
            LeaseLost: ``lease`` has a stale token.
            IllegalTransition: a change that the table of states does not allow, a
                :class:`~nornmail.model.Rekey` of an entry that is not there or onto one that is, or
                a :class:`~nornmail.model.KeepRaw` for an entry that is not there or may keep none.
        """

    def close(self) -> None:
        """Release every lease taken here and let go of the files. Closing twice is harmless."""
