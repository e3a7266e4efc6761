"""Read-only views of a store, and the summary of what waits in it and who works on it.

Nothing is locked, written or upgraded, so a program may run.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from nornmail.clock import utc_datetime
from nornmail.errors import StoreError
from nornmail.locks import holder_of
from nornmail.model import UNROUTED, MailboxKey, State
from nornmail.outgoing import QueueState
from nornmail.stores import open_store
from nornmail.stores.errors import damaged, resolve
from nornmail.stores.json_files import Files, check_opening, read_journal, read_snapshot
from nornmail.stores.json_store import JsonFiles
from nornmail.stores.schema import MIGRATIONS
from nornmail.stores.sql_store import SqlStateStore
from nornmail.stores.sqlite import (
    LocalStore,
    lease_lock_path,
    migrate,
    open_database,
    schema_version,
    translated,
)

if TYPE_CHECKING:
    import sqlite3


def open_view(path: str | os.PathLike[str]) -> SqlStateStore:
    """Open the store at ``path`` for reading; it refuses to be written.

    One that a function opens (:func:`nornmail.stores.open_store`) is that store itself.

    Raises:
        StoreError: it does not exist, or cannot be read.
    """
    if not os.path.exists(path):
        store = open_store(path, must_exist=True)
        if not isinstance(store, SqlStateStore):
            store.close()
            raise StoreError(f"{os.fspath(path)} is not a state store of nornmail")
        return store
    view = JsonView(path) if os.fspath(path).endswith(".json") else SqliteView(path)
    view._connection.execute("PRAGMA query_only = 1")
    return view


class SqliteView(LocalStore):
    """A sqlite store, read only. One of an older version is upgraded in a copy in memory."""

    after_fork = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        resolved = resolve(path)
        with translated(resolved):
            connection = _connect(resolved)
            super().__init__(connection, resolved)
            if schema_version(connection, resolved) < len(MIGRATIONS):
                copy = open_database(":memory:")
                connection.backup(copy)
                self._abandon()
                super().__init__(copy, resolved)
                migrate(copy, resolved)

    def holder(self, mailbox: MailboxKey) -> str:
        return holder_of(lease_lock_path(self.path, mailbox))


def _connect(path: str) -> sqlite3.Connection:
    """Open the database for reading, without leaving files of sqlite next to it.

    A program that has it open has a log there, which is read as well. Without one the database is
    complete, and stays so for the moment: what a program that starts now commits goes into a log.
    """
    mode = "mode=ro" if os.path.exists(path + "-wal") else "immutable=1"
    return open_database(f"{Path(path).absolute().as_uri()}?{mode}", uri=True)


class JsonView(JsonFiles):
    """A JSON store, read only, also while the process that has it open writes."""

    after_fork = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(resolve(path), Files())
        # The journal first: what is folded into the snapshot meanwhile is in both.
        lines = read_journal(self._journal_path)
        if lines is None:
            raise damaged(self._journal_path, "it is missing")
        if check_opening(self.path):
            self._fill(read_snapshot(self.path), lines)

    def holder(self, mailbox: MailboxKey) -> str:
        return holder_of(self.path + ".lock")


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxSummary:
    """A mailbox in a store.

    Attributes:
        account: its account, ``username@host``.
        mailbox: its name.
        inboxes: the addresses of the inboxes whose mail it has, in lower case; empty for a poller
            with one callback.
        new: messages that an inbox has yet to receive.
        claimed: messages in a handler, or whose handler was interrupted.
        waiting: messages that are tried again.
        dead: dead letters.
        last_poll_at: the last time that everything was processed; ``None`` if never.
        held_by: the process that works on it, as ``host:pid``; ``""`` if there is none.
    """

    account: str
    mailbox: str
    inboxes: tuple[str, ...]
    new: int
    claimed: int
    waiting: int
    dead: int
    last_poll_at: datetime | None
    held_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSummary:
    """An outbox in a store.

    Attributes:
        account: its name.
        queued: messages that are to be sent.
        sending: messages that are being sent, or whose sender was interrupted.
        unknown: messages that the server may have accepted.
        failed: messages that were given up.
        held: messages that wait for a person: for approval, or as drafts.
        next_due_at: when the next queued message is tried; ``None`` if none is queued.
        held_by: the processes that send from it, as ``host:pid``; ``""`` if there is none.
    """

    account: str
    queued: int
    sending: int
    unknown: int
    failed: int
    held: int = 0
    next_due_at: datetime | None
    held_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSummary:
    """The counts of a store.

    Attributes:
        path: the store.
        mailboxes: its mailboxes, by account and name.
        outboxes: its outboxes, by name.
    """

    path: str
    mailboxes: tuple[MailboxSummary, ...]
    outboxes: tuple[OutboxSummary, ...]


def summarize(path: str | os.PathLike[str]) -> StoreSummary:
    """Summarize the store at ``path``, which a program may have open. Nothing is changed.

    Args:
        path: the store, as :func:`~nornmail.stores.open_store` takes it.

    Raises:
        StoreError: it does not exist, or cannot be read.
    """
    with closing(open_view(path)) as view:
        return StoreSummary(
            path=os.fspath(path),
            mailboxes=tuple(_mailbox(view, mailbox) for mailbox in view.mailboxes()),
            outboxes=tuple(_outbox(view, outbox) for outbox in sorted(view.outboxes())),
        )


def _mailbox(view: SqlStateStore, mailbox: MailboxKey) -> MailboxSummary:
    record = view.load(mailbox)
    keys = {inbox.address.lower() for inbox in view.inboxes(mailbox)}
    keys |= view.inbox_keys(mailbox)
    return MailboxSummary(
        account=mailbox.account,
        mailbox=mailbox.mailbox,
        inboxes=tuple(sorted(keys - {"", UNROUTED})),
        new=view.count(mailbox, {State.NEW}),
        claimed=view.count(mailbox, {State.CLAIMED}),
        waiting=view.count(mailbox, {State.WAITING}),
        dead=view.count(mailbox, {State.DEAD}),
        last_poll_at=utc_datetime(record.polled_at) if record and record.polled_at else None,
        held_by=view.holder(mailbox),
    )


def _outbox(view: SqlStateStore, outbox: str) -> OutboxSummary:
    queued = view.queued_messages(outbox, {QueueState.QUEUED})
    return OutboxSummary(
        account=outbox,
        queued=len(queued),
        sending=view.count_messages(outbox, {QueueState.SENDING}),
        unknown=view.count_messages(outbox, {QueueState.UNKNOWN}),
        failed=view.count_messages(outbox, {QueueState.FAILED}),
        held=view.count_messages(outbox, {QueueState.HELD, QueueState.DRAFT}),
        next_due_at=utc_datetime(min(message.due_at for message in queued)) if queued else None,
        held_by=view.holder(MailboxKey.of_outbox(outbox)),
    )
