"""The effects of a poller, each with its instants before and after."""

from __future__ import annotations

import os
import re
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

from nornmail.errors import Reject, StoreError
from nornmail.files import Files
from nornmail.message.message import Message
from nornmail.model import (
    Change,
    EntryKey,
    KeepRaw,
    Lease,
    MailboxKey,
    PassOver,
    PutEntry,
    SaveMailbox,
)
from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.postgres import LEASE_SECONDS, Reconnecting, Rows
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import SqliteStateStore
from tests.kill.events import Event, Instants
from tests.kill.scenario import name_of
from tests.support.postgresql import ADDRESS, open_postgres


def change(owner: Any, name: str, value: object) -> None:
    """Give a module or a class another attribute, for good: the process is the test's own."""
    setattr(owner, name, value)


class WatchedStore:
    """A store whose writes are instants; reading is left alone."""

    def __init__(self, store: StateStore, instants: Instants) -> None:
        self._store = store
        self._instants = instants

    def acquire(self, mailbox: MailboxKey, owner: str) -> Lease:
        with self._around("lease", "acquire"):
            return self._store.acquire(mailbox, owner)

    def release(self, lease: Lease) -> None:
        with self._around("lease", "release"):
            self._store.release(lease)

    def request_retry(self, mailbox: MailboxKey, key: EntryKey) -> None:
        with self._around("request", f"ask for {name_of(key.uid, key.inbox)} again"):
            self._store.request_retry(mailbox, key)

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        states = tuple(
            (name_of(change.entry.key.uid, change.entry.key.inbox), change.entry.state.value)
            for change in changes
            if isinstance(change, PutEntry)
        )
        text = f"commit ({', '.join(map(_describe, changes))})"
        with self._around("commit", text, states):
            self._store.commit(lease, changes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    @contextmanager
    def _around(
        self, kind: str, text: str, states: tuple[tuple[int, str], ...] = ()
    ) -> Iterator[None]:
        self._instants.reach(kind, "before", text, states)
        yield
        self._instants.reach(kind, "after", text, states)


def _describe(change: Change) -> str:
    match change:
        case PutEntry(entry):
            return f"{name_of(entry.key.uid, entry.key.inbox)} {entry.state}"
        case KeepRaw(key):
            return f"bytes of {key.uid}"
        case PassOver(_, uids):
            return f"past {uids}"
        case SaveMailbox():
            return "mailbox"
        case _:
            return type(change).__name__


class WatchedFiles(Files):
    """The JSON store's effects on the disk as instants; a write also has one in its middle."""

    def __init__(self, instants: Instants) -> None:
        self._instants = instants

    def open(self, path: str, flags: int) -> int:
        if not flags & (os.O_CREAT | os.O_TRUNC):
            return super().open(path, flags)
        with self._around(f"open {_name(path)}"):
            return super().open(path, flags)

    def make_directory(self, path: str) -> None:
        with self._around(f"mkdir {_name(path)}"):
            super().make_directory(path)

    def write(self, fd: int, data: bytes) -> None:
        with self._around("write"):
            half = len(data) // 2
            super().write(fd, data[:half])
            self._instants.reach("file", "within", "write")
            super().write(fd, data[half:])

    def fsync(self, fd: int) -> None:
        with self._around("fsync"):
            super().fsync(fd)

    def truncate(self, fd: int, length: int) -> None:
        with self._around("truncate"):
            super().truncate(fd, length)

    def replace(self, source: str, target: str) -> None:
        with self._around(f"replace {_name(target)}"):
            super().replace(source, target)

    def unlink(self, path: str) -> None:
        with self._around(f"unlink {_name(path)}"):
            super().unlink(path)

    @contextmanager
    def _around(self, text: str) -> Iterator[None]:
        self._instants.reach("file", "before", text)
        yield
        self._instants.reach("file", "after", text)


def _name(path: str) -> str:
    return os.path.basename(path)


def watch_sqlite(instants: Instants) -> None:
    """Make every statement of sqlite that is not a question an instant, in this process.

    There is one before each of them, so a transaction is also cut off in its middle.
    """
    connect = sqlite3.connect

    def watched(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **kwargs)
        connection.set_trace_callback(statement)
        return connection

    def statement(sql: str) -> None:
        words = re.split(r"[\s(=]+", sql)
        if words[0] != "SELECT":
            instants.reach("statement", "before", " ".join(words[:3]))

    change(sqlite3, "connect", watched)


def watch_postgres(instants: Instants, cut: int) -> None:
    """Make every statement that PostgreSQL is sent, and is not a question, an instant.

    There is one behind COMMIT as well, where the process does not know yet that it was done. What
    the thread that renews leases says comes when it comes, and is left out.

    Args:
        instants: where they are counted.
        cut: the connection is lost before the statement of this number, from 1, or behind that of
            the number below zero; 0: never.
    """
    run = Reconnecting._run
    count = 0

    def watched(database: Reconnecting, statement: str, values: tuple[Any, ...]) -> Rows:
        nonlocal count
        if threading.current_thread().name == "nornmail-leases":
            return run(database, statement, values)
        count += 1
        word, text = statement.split(None, 1)[0], " ".join(statement.split()[:3])
        instants.trace.note(Event(kind="query", text=text))
        if word != "SELECT":
            instants.reach("statement", "before", text)
        if count == cut and database._connection is not None:
            database._connection.close()
        rows = run(database, statement, values)
        if word == "COMMIT":
            instants.reach("statement", "after", text)
        if count == -cut:
            database._connection.close()
            raise ConnectionResetError("the connection was lost")
        return rows

    change(Reconnecting, "_run", watched)


def open_watched(
    kind: str,
    directory: Path,
    instants: Instants,
    *,
    server: str = "",
    cut: int = 0,
    lease_seconds: float = LEASE_SECONDS,
) -> StateStore:
    """A store whose effects are instants; :data:`tests.stores.support.DURABLE` opens it too.

    Args:
        kind: a key of that.
        directory: where it lies.
        instants: where they are counted.
        server: where PostgreSQL's socket is.
        cut: as of :func:`watch_postgres`.
        lease_seconds: how long a lease in PostgreSQL outlives its process.
    """
    if kind == "json":
        return JsonStateStore(directory / "state.json", files=WatchedFiles(instants))
    if kind == "sqlite":
        watch_sqlite(instants)
        return SqliteStateStore(directory / "state.db")
    os.environ[ADDRESS] = server
    watch_postgres(instants, cut)
    options: dict[str, Any] = {"has_schema": True, "lease_seconds": lease_seconds}
    try:
        return open_postgres(directory, **options)
    except StoreError as error:
        if not (cut and error.passing):
            raise
    return open_postgres(directory, **options)


def watch_commands(instants: Instants) -> Callable[[str, bytes], None]:
    """An observer of a connection: the instants before a command is sent and after it was."""

    def observe(when: str, command: bytes) -> None:
        instants.reach("command", when, command.decode("latin-1"))

    return observe


def watch_handler(
    handler: Callable[[Message], None], instants: Instants
) -> Callable[[Message], None]:
    """The handler with an account of its calls, and instants before, within and after them."""

    def watched(message: Message) -> None:
        assert message.ref is not None
        uid = name_of(message.ref.uid, message.inbox)
        text = f"the call for {uid} ({message.subject}), attempt {message.attempt}"

        def note(kind: str, outcome: str = "") -> None:
            event = Event(
                kind=kind,
                when=outcome,
                text=text,
                uid=uid,
                attempt=message.attempt,
                delivery_id=message.delivery_id,
                raw=sha256(message.raw).hexdigest(),
            )
            instants.trace.note(event)

        instants.reach("handler", "before", text)
        note("call")
        instants.reach("handler", "within", text)
        try:
            handler(message)
        except Exception as error:
            note("outcome", "rejected" if isinstance(error, Reject) else "failed")
            instants.reach("handler", "after", text)
            raise
        note("outcome", "returned")
        instants.reach("handler", "after", text)

    return watched
