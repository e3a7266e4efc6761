"""What a state store must do for the mail on its way out: the outbox's part of the protocol."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from nornmail.model import Lease
from nornmail.outgoing import Letter, LetterState, Recipient, Wish


class OutboxStore(Protocol):
    """Where letters wait to be sent, and are remembered when they are.

    An outbox is an account's, by its name. The right to send from it is a lease of
    :meth:`nornmail.model.MailboxKey.of_outbox`, which ``acquire`` of the store gives as it gives
    that of a mailbox. What takes no lease may be done beside whoever holds it.
    """

    def enqueue(self, letter: Letter, raw: bytes) -> Letter:
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

    def commit_letters(self, lease: Lease, letters: Sequence[Letter]) -> None:
        """Put letters in the place of those with their keys, all or none; durable on return.

        A bounce that was noted meanwhile stays (:func:`nornmail.letters.replaced`). A wish that
        does not outlive the change is gone with it, and so are bytes that are not needed any more.

        Raises:
            LeaseLost: ``lease`` has a stale token.
            IllegalTransition: one is not of the lease's outbox, is not there, or may not change so.
        """

    def wish(self, outbox: str, key: str, wish: Wish) -> None:
        """Leave what a person wants to become of a letter, durably; the last wish counts.

        It takes no lease. Whoever holds it looks for wishes with :meth:`wishes`.

        Raises:
            IllegalTransition: there is no such letter, or this cannot be done with it.
        """

    def wishes(self, outbox: str) -> list[tuple[str, Wish]]:
        """The wishes that were left and not done yet, with the keys of their letters, in order."""

    def note_bounce(self, outbox: str, key: str, report: Recipient) -> bool:
        """Note what a delivery report says of a recipient (:func:`nornmail.letters.bounced`).

        It takes no lease.

        Returns:
            Whether it was news, and is durable now.
        """

    def letter(self, outbox: str, key: str) -> Letter | None:
        """The letter with this key, ``None`` when there is none."""

    def letters(
        self, outbox: str, states: Collection[LetterState], *, limit: int | None = None
    ) -> list[Letter]:
        """The letters in any of ``states``, in the order of ``(due_at, queued_at, key)``.

        Args:
            limit: at most so many, the first ones; ``None`` for all.
        """

    def count_letters(self, outbox: str, states: Collection[LetterState]) -> int:
        """How many letters are in any of ``states``."""

    def letter_raw(self, outbox: str, key: str) -> bytes | None:
        """The bytes of a letter, ``None`` when none are kept."""

    def letters_to_copy(self, outbox: str) -> list[Letter]:
        """The letters with a ``copy_due_at``, in the order of ``(copy_due_at, key)``."""

    def letters_with(self, message_id: str) -> list[Letter]:
        """The letters of any outbox with this Message-ID, by outbox and key."""

    def letters_to(self, outbox: str, address: str, *, since: float, limit: int) -> list[Letter]:
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
