"""The outbox of the stores with their state in memory: what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from typing import Generic

from nornmail.model import Lease, MailboxKey
from nornmail.outgoing import Letter, LetterState, Recipient, Wish
from nornmail.stores.in_memory_tables import Effects, Tables
from nornmail.stores.letter_tables import H, LetterTables

Plan = Callable[[Tables[H], Callable[[bytes], H]], Effects[H]]
"""What a change of the tables comes to; it is given what makes of bytes what stands for them."""


class TabledLetters(ABC, Generic[H]):
    """The part of :class:`~nornmail.stores.in_memory.TabledStore` that is about letters."""

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

    def enqueue(self, letter: Letter, raw: bytes) -> Letter:
        """See :meth:`nornmail.stores.outbox.OutboxStore.enqueue`."""
        mailbox = MailboxKey.of_outbox(letter.outbox)
        with self._locked():
            self._write(
                mailbox,
                lambda tables, hold: Effects(outbox=tables.outbox.plan_enqueue(letter, raw, hold)),
            )
            return self._tables(mailbox).outbox.letters[letter.key]

    def commit_letters(self, lease: Lease, letters: Sequence[Letter]) -> None:
        """See :meth:`nornmail.stores.outbox.OutboxStore.commit_letters`."""
        with self._locked():
            self._check_lease(lease)
            self._write(
                lease.mailbox,
                lambda tables, _: Effects(
                    outbox=tables.outbox.plan_put(lease.mailbox.account, letters)
                ),
            )

    def wish(self, outbox: str, key: str, wish: Wish) -> None:
        """See :meth:`nornmail.stores.outbox.OutboxStore.wish`."""
        with self._locked():
            self._write(
                MailboxKey.of_outbox(outbox),
                lambda tables, _: Effects(outbox=tables.outbox.plan_wish(key, wish)),
            )

    def note_bounce(self, outbox: str, key: str, report: Recipient) -> bool:
        """See :meth:`nornmail.stores.outbox.OutboxStore.note_bounce`."""
        with self._locked():
            done = self._write(
                MailboxKey.of_outbox(outbox),
                lambda tables, _: Effects(outbox=tables.outbox.plan_bounce(key, report)),
            )
            return bool(done.outbox)

    # Reading

    def _outbox(self, outbox: str) -> LetterTables[H]:
        return self._tables(MailboxKey.of_outbox(outbox)).outbox

    def wishes(self, outbox: str) -> list[tuple[str, Wish]]:
        """See :meth:`nornmail.stores.outbox.OutboxStore.wishes`."""
        with self._locked():
            return sorted(self._outbox(outbox).wishes.items())

    def letter(self, outbox: str, key: str) -> Letter | None:
        """See :meth:`nornmail.stores.outbox.OutboxStore.letter`."""
        with self._locked():
            return self._outbox(outbox).letters.get(key)

    def letters(
        self, outbox: str, states: Collection[LetterState], *, limit: int | None = None
    ) -> list[Letter]:
        """See :meth:`nornmail.stores.outbox.OutboxStore.letters`."""
        with self._locked():
            return self._outbox(outbox).in_states(states, limit)

    def count_letters(self, outbox: str, states: Collection[LetterState]) -> int:
        """See :meth:`nornmail.stores.outbox.OutboxStore.count_letters`."""
        with self._locked():
            return self._outbox(outbox).count(states)

    def letter_raw(self, outbox: str, key: str) -> bytes | None:
        """See :meth:`nornmail.stores.outbox.OutboxStore.letter_raw`."""
        with self._locked():
            held = self._outbox(outbox).raw.get(key)
            return None if held is None else self._read_raw(held)

    def letters_to_copy(self, outbox: str) -> list[Letter]:
        """See :meth:`nornmail.stores.outbox.OutboxStore.letters_to_copy`."""
        with self._locked():
            return self._outbox(outbox).to_copy()

    def letters_with(self, message_id: str) -> list[Letter]:
        """See :meth:`nornmail.stores.outbox.OutboxStore.letters_with`."""
        with self._locked():
            names = self._outbox_names()
            return [one for name in names for one in self._outbox(name).with_message_id(message_id)]

    def letters_to(self, outbox: str, address: str, *, since: float, limit: int) -> list[Letter]:
        """See :meth:`nornmail.stores.outbox.OutboxStore.letters_to`."""
        with self._locked():
            return self._outbox(outbox).to(address, since, limit)

    def answers_since(
        self, outbox: str, since: float, *, address: str = "", thread_id: str = ""
    ) -> int:
        """See :meth:`nornmail.stores.outbox.OutboxStore.answers_since`."""
        with self._locked():
            return self._outbox(outbox).answers_since(since, address, thread_id)

    def submissions_since(self, outbox: str, since: float, *, limit: int) -> list[float]:
        """See :meth:`nornmail.stores.outbox.OutboxStore.submissions_since`."""
        with self._locked():
            return self._outbox(outbox).submissions_since(since, limit)

    def outboxes(self) -> list[str]:
        """See :meth:`nornmail.stores.outbox.OutboxStore.outboxes`."""
        with self._locked():
            return self._outbox_names()

    def _outbox_names(self) -> list[str]:
        return sorted(key.account for key in self._mailboxes if key.is_outbox)
