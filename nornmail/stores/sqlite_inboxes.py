"""The inboxes of the sqlite store."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Any

from nornmail.model import InboxRecord, MailboxKey
from nornmail.stores.sqlite_rows import Row, read_text, write_text

_SAVE = (
    "INSERT OR REPLACE INTO inbox (mailbox, id, name, address, created_at, backfill) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_FORGET = "DELETE FROM inbox WHERE mailbox = ? AND id = ?"
_ALL = (
    "SELECT id, name, address, created_at, backfill FROM inbox WHERE mailbox = ? "
    "ORDER BY created_at, id"
)


class SqliteInboxes(ABC):
    """The part of :class:`~nornmail.stores.sqlite.SqliteStateStore` that is about inboxes."""

    _connection: sqlite3.Connection

    @abstractmethod
    def _locked(self) -> AbstractContextManager[None]: ...

    @abstractmethod
    def _transaction(self) -> AbstractContextManager[Any]: ...

    @abstractmethod
    def _select(self, query: str, mailbox: MailboxKey, *arguments: Any) -> list[Row]: ...

    @abstractmethod
    def _number(self, mailbox: MailboxKey) -> int: ...

    def save_inbox(self, mailbox: MailboxKey, record: InboxRecord) -> None:
        """See :meth:`nornmail.stores.inboxes.InboxStore.save_inbox`; from any process."""
        texts = map(write_text, (record.id, record.name, record.address))
        with self._locked(), self._transaction() as execute:
            number = self._number(mailbox)
            execute(_SAVE, (number, *texts, record.created_at, record.backfill))

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        """See :meth:`nornmail.stores.inboxes.InboxStore.forget_inbox`; from any process."""
        with self._locked(), self._transaction() as execute:
            return bool(execute(_FORGET, (self._number(mailbox), write_text(name))).rowcount)

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        """See :meth:`nornmail.stores.inboxes.InboxStore.inboxes`."""
        with self._locked():
            found = self._select(_ALL, mailbox)
        return [
            InboxRecord(
                id=read_text(name),
                name=read_text(shown),
                address=read_text(address),
                created_at=created_at,
                backfill=bool(backfill),
            )
            for name, shown, address, created_at, backfill in found
        ]
