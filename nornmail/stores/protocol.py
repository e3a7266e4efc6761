"""What a state store must do, and nothing about how.

The protocol is small on purpose: one way to write (:meth:`StateStore.commit`), a handful of ways to
read, and the lease. What mail on its way out needs is in ``outbox.py``,
what inboxes need that are made at run time in ``inboxes.py``. Whatever keeps it can stand
behind a poller; ``tests/stores/test_contract.py`` holds every implementation to it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol, runtime_checkable

from nornmail.model import Change, Entry, EntryKey, Lease, MailboxKey, MailboxRecord, State
from nornmail.stores.inboxes import InboxStore
from nornmail.stores.outbox import OutboxStore
from nornmail.uidset import UidSet


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

    def looked_at(self, mailbox: MailboxKey, epoch: int) -> UidSet:
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

    def acquaintances(
        self, mailbox: MailboxKey, header_digest: str, *, before_epoch: int
    ) -> list[Entry]:
        """The entries of epochs below ``before_epoch`` whose digest has this header part.

        In the order of ``(epoch, uid, inbox)``.
        """

    def raw(self, mailbox: MailboxKey, key: EntryKey) -> bytes | None:
        """The bytes kept beside the entry, ``None`` when none are kept."""

    def without_raw(self, mailbox: MailboxKey, state: State) -> list[Entry]:
        """The entries in ``state`` beside which no bytes are kept, ordered as ``entries`` does."""

    def mailboxes(self) -> list[MailboxKey]:
        """Every mailbox that a lease was ever taken of, by account and name."""

    def ask_again(self, mailbox: MailboxKey, key: EntryKey) -> None:
        """Leave a request to try a dead entry again; durable on return, and harmless twice.

        It takes no lease, so that a person can ask beside a running poller, which looks for
        requests with :meth:`asked_again`. The request is gone when the entry is no longer DEAD,
        and goes with it when it is given another key.

        Raises:
            IllegalTransition: there is no such entry, or it is not DEAD.
        """

    def asked_again(self, mailbox: MailboxKey) -> list[EntryKey]:
        """The dead entries that :meth:`ask_again` was called for, in the order of their keys."""

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
