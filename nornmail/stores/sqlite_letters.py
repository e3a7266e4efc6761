"""The outbox of the sqlite store."""

from __future__ import annotations

import heapq
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from typing import Any

from nornmail.errors import IllegalTransition
from nornmail.model import OUTBOX, Lease, MailboxKey
from nornmail.outgoing import (
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Recipient,
    bounced,
    check_request,
    replaced,
    still_applies,
)
from nornmail.stores import sqlite_rows as rows
from nornmail.stores.sqlite_rows import Row, read_text, write_text
from nornmail.stores.transitions import check_enqueue


class SqliteOutbox(ABC):
    """The part of :class:`~nornmail.stores.sqlite.SqliteStateStore` that is about letters."""

    _connection: sqlite3.Connection

    @abstractmethod
    def _locked(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Any]: ...

    @abstractmethod
    def _check_lease(self, lease: Lease) -> int: ...

    @abstractmethod
    def _select(self, query: str, mailbox: MailboxKey, *arguments: Any) -> list[Row]: ...

    @abstractmethod
    def _number(self, mailbox: MailboxKey) -> int:
        """The id of a mailbox, which is made known where it is not; within a transaction."""

    # Writing

    def enqueue(self, letter: QueuedMessage, raw: bytes) -> QueuedMessage:
        """See :meth:`nornmail.stores.protocol.OutboxStore.enqueue`; from any process."""
        with self._locked(), self._transaction() as execute:
            number = self._number(MailboxKey.of_outbox(letter.outbox))
            known = self._find(number, letter.outbox, letter.key)
            if known is not None:
                return known[2]
            check_enqueue(letter)
            row = execute(rows.INSERT_LETTER, (number, *rows.write_letter(letter))).lastrowid
            execute(rows.INSERT_BYTES, (row, raw))
            for one in letter.recipients:
                address = write_text(one.address.lower())
                execute(rows.INSERT_RECIPIENT, (number, address, letter.queued_at, row))
            return letter

    def commit_messages(self, lease: Lease, letters: Sequence[QueuedMessage]) -> None:
        """See :meth:`nornmail.stores.protocol.OutboxStore.commit_messages`. One transaction."""
        with self._locked(), self._transaction():
            number = self._check_lease(lease)
            for letter in letters:
                self._replace(number, lease.mailbox.account, letter)

    def _replace(self, number: int, outbox: str, letter: QueuedMessage) -> None:
        found = self._find(number, outbox, letter.key)
        if found is None or letter.outbox != outbox:
            raise IllegalTransition(f"there is no letter {letter.key} in the outbox {outbox}")
        row, wish, before = found
        after = replaced(before, letter)
        execute = self._connection.execute
        execute(rows.UPDATE_LETTER, (*rows.write_letter(after), row))
        if not after.keeps_bytes():
            execute(rows.DELETE_BYTES, (row,))
        if wish is not None and not still_applies(wish, before, after):
            execute(rows.UPDATE_WISH, (None, row))

    def request(self, outbox: str, key: str, wish: OperatorRequest) -> None:
        """See :meth:`nornmail.stores.protocol.OutboxStore.request`; from any process."""
        with self._locked(), self._transaction() as execute:
            number = self._number(MailboxKey.of_outbox(outbox))
            found = self._find(number, outbox, key)
            check_request(None if found is None else found[2], wish)
            if found is not None:
                execute(rows.UPDATE_WISH, (wish.value, found[0]))

    def note_bounce(self, outbox: str, key: str, report: Recipient) -> bool:
        """See :meth:`nornmail.stores.protocol.OutboxStore.note_bounce`; from any process."""
        with self._locked(), self._transaction() as execute:
            number = self._number(MailboxKey.of_outbox(outbox))
            found = self._find(number, outbox, key)
            after = None if found is None else bounced(found[2], report)
            if found is None or after is None:
                return False
            execute(rows.UPDATE_LETTER, (*rows.write_letter(after), found[0]))
            return True

    def _find(
        self, number: int, outbox: str, key: str
    ) -> tuple[int, OperatorRequest | None, QueuedMessage] | None:
        """The row of a letter, its wish, and the letter."""
        place = (number, write_text(key))
        found = self._connection.execute(rows.SELECT_LETTER, place).fetchone()
        if found is None:
            return None
        row, wish, *rest = found
        return row, rows.read_wish(wish), rows.read_letter(outbox, tuple(rest))

    # Reading

    def pending_requests(self, outbox: str) -> list[tuple[str, OperatorRequest]]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.pending_requests`."""
        with self._locked():
            found = self._of(rows.SELECT_WISHES, outbox)
            return [(read_text(key), OperatorRequest(wish)) for key, wish in found]

    def queued_message(self, outbox: str, key: str) -> QueuedMessage | None:
        """See :meth:`nornmail.stores.protocol.OutboxStore.queued_message`."""
        with self._locked():
            found = self._of(rows.SELECT_LETTER, outbox, write_text(key))
            return rows.read_letter(outbox, found[0][2:]) if found else None

    def queued_messages(
        self, outbox: str, states: Collection[QueueState], *, limit: int | None = None
    ) -> list[QueuedMessage]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.queued_messages`."""
        most = -1 if limit is None else limit
        with self._locked():
            # State by state, since the index has them in order that way.
            found = [
                self._read(self._of(rows.letters_in_order(s), outbox, s.value, most), outbox)
                for s in set(states)
            ]
        merged = heapq.merge(*found, key=lambda one: (one.due_at, one.queued_at, one.key))
        return list(merged)[:limit]

    def count_messages(self, outbox: str, states: Collection[QueueState]) -> int:
        """See :meth:`nornmail.stores.protocol.OutboxStore.count_messages`."""
        with self._locked():
            found = [self._of(rows.letters_in(s, "count(*)"), outbox, s.value) for s in set(states)]
            return sum(row[0][0] for row in found if row)

    def message_bytes(self, outbox: str, key: str) -> bytes | None:
        """See :meth:`nornmail.stores.protocol.OutboxStore.message_bytes`."""
        with self._locked():
            found = self._of(rows.SELECT_BYTES, outbox, write_text(key))
            return found[0][0] if found else None

    def messages_to_copy(self, outbox: str) -> list[QueuedMessage]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.messages_to_copy`."""
        with self._locked():
            return self._read(self._of(rows.SELECT_COPIES, outbox), outbox)

    def messages_with_id(self, message_id: str) -> list[QueuedMessage]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.messages_with_id`."""
        with self._locked():
            name = (write_text(message_id),)
            found = self._connection.execute(rows.SELECT_BY_MESSAGE_ID, name).fetchall()
            return [rows.read_letter(read_text(outbox), tuple(rest)) for outbox, *rest in found]

    def messages_to(
        self, outbox: str, address: str, *, since: float, limit: int
    ) -> list[QueuedMessage]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.messages_to`."""
        with self._locked():
            name = write_text(address.lower())
            return self._read(self._of(rows.SELECT_TO, outbox, name, since, limit), outbox)

    def answers_since(
        self, outbox: str, since: float, *, address: str = "", thread_id: str = ""
    ) -> int:
        """See :meth:`nornmail.stores.protocol.OutboxStore.answers_since`."""
        query = rows.COUNT_ANSWERS_IN if thread_id else rows.COUNT_ANSWERS_TO
        with self._locked():
            found = self._of(query, outbox, write_text(thread_id or address.lower()), since)
            return int(found[0][0]) if found else 0

    def submissions_since(self, outbox: str, since: float, *, limit: int) -> list[float]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.submissions_since`."""
        with self._locked():
            return [at for (at,) in self._of(rows.SELECT_SUBMISSIONS, outbox, since, limit)]

    def outboxes(self) -> list[str]:
        """See :meth:`nornmail.stores.protocol.OutboxStore.outboxes`."""
        with self._locked():
            found = self._connection.execute(rows.SELECT_OUTBOXES, (OUTBOX,)).fetchall()
            return sorted(read_text(name) for (name,) in found)

    def _of(self, query: str, outbox: str, *arguments: Any) -> list[Row]:
        return self._select(query, MailboxKey.of_outbox(outbox), *arguments)

    def _read(self, found: list[Row], outbox: str) -> list[QueuedMessage]:
        return [rows.read_letter(outbox, row) for row in found]
