"""Stores in sqlite: a database in a file, which several processes may have open, or in memory."""

from __future__ import annotations

import atexit
import hashlib
import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

from nornmail.clock import Clock, SystemClock
from nornmail.errors import LeaseHeld, NornmailError, StoreError
from nornmail.files import FileIdentity
from nornmail.locks import FILE_MODE, FileLock, LockTaken, holder_of
from nornmail.model import MailboxKey
from nornmail.stores.errors import (
    FULL,
    READ_ONLY,
    RESTORE,
    UNKNOWN,
    damaged,
    newer,
    resolve,
    store_error,
    unreadable,
    unusable,
)
from nornmail.stores.rows import write_text
from nornmail.stores.schema import MIGRATIONS
from nornmail.stores.sql_store import SqlStateStore

try:
    import sqlite3
except ImportError:  # a Python that was built without it
    HAS_SQLITE = False
else:
    HAS_SQLITE = True

APPLICATION_ID = 0x4E6F726E
"""``Norn``: tells a database of nornmail from others (PRAGMA application_id)."""
BUSY_TIMEOUT_SECONDS = 10.0
"""How long a statement waits for another process. A commit takes milliseconds; a checkpoint on a
slow disk may take a second or two."""
BUSY_PAUSE = 0.02
"""Seconds between two tries of what sqlite does not wait for by itself."""
HASH_DIGITS = 16
"""Hexadecimal digits of the mailbox's hash in the name of its lock file: 64 bits."""
WRITTEN_AT_ONCE = 1 << 20
"""Octets of a message that sqlite is given at once: it holds them in memory three times."""
QUICK_CHECK_BYTES = 64 << 20
"""Octets up to which a database is read through when it is opened (some 100 ms). A damaged page of
a bigger one is found when it is used."""

_copying = threading.Lock()
_SELECT_VERSION = (
    "SELECT application_id, user_version, (SELECT count(*) FROM sqlite_master) "
    "FROM pragma_application_id, pragma_user_version"
)
_INSERT_BLANK_BYTES = "INSERT INTO letter_raw (letter, bytes) VALUES (?, zeroblob(?))"
_HELD = "another process holds it; find out which, or try again"
_ADVICE = {
    "FULL": (FULL, True),
    "BUSY": (_HELD, True),
    "LOCKED": (_HELD, True),
    "READONLY": (READ_ONLY, False),
    "PERM": (READ_ONLY, False),
    "CANTOPEN": ("check that its directory exists and can be written to", False),
    "CORRUPT": (RESTORE, False),
    "NOTADB": (f"it is not an SQLite database: choose another path, or {RESTORE}", False),
    "IOERR": (f"{UNKNOWN}, whether it is full, and the limit on the size of files", True),
    "PROTOCOL": (UNKNOWN, True),
    "NOMEM": (UNKNOWN, True),
}
"""What to do, and whether it may pass by itself, by the name of the error's primary code,
``SQLITE_`` left out."""


def sqlite_error(path: str, error: Exception) -> StoreError | None:
    """The StoreError for an error of sqlite or of the system; ``None`` for any other error."""
    if isinstance(error, NornmailError):
        return None
    if isinstance(error, OSError):
        return store_error(path, error)
    if isinstance(error, sqlite3.Error):
        name = getattr(error, "sqlite_errorname", "")  # the module's own errors have none
        primary = name.removeprefix("SQLITE_").partition("_")[0]
        advice, passing = _ADVICE.get(primary, (UNKNOWN, False))
        return unusable(path, error, advice, passing=passing)
    if isinstance(error, OverflowError):
        return StoreError(f"the state store {path} cannot hold a number of more than 64 bits")
    if isinstance(error, ValueError):
        return unreadable(f"the state store {path}", error)
    return None


@contextmanager
def translated(path: str) -> Iterator[None]:
    """Raise a StoreError in place of an error of sqlite or the system, while a store is opened."""
    try:
        yield
    except Exception as error:
        if (ours := sqlite_error(path, error)) is not None:
            raise ours from error
        raise


def require_sqlite() -> None:
    """Raise StoreError where Python has no sqlite."""
    if not HAS_SQLITE:
        raise StoreError(
            "this Python was built without the sqlite3 module, which this store needs: install it "
            "(often a package named python3-sqlite or libsqlite3), or use PostgresStateStore"
        )


if HAS_SQLITE:

    class Database(sqlite3.Connection):
        """A connection that takes strings that UTF-8 cannot hold, and stores them as octets."""

        def execute(self, statement: str, arguments: Any = (), /) -> sqlite3.Cursor:
            """Execute a statement, as the connection of sqlite3 does."""
            try:
                return super().execute(statement, arguments)
            except UnicodeEncodeError:
                return super().execute(statement, list(map(write_text, arguments)))


def open_database(path: str, *, uri: bool = False) -> sqlite3.Connection:
    """A connection to a database, on which transactions begin and end where the store says so."""
    require_sqlite()
    return sqlite3.connect(
        path,
        timeout=BUSY_TIMEOUT_SECONDS,
        isolation_level=None,
        factory=Database,
        uri=uri,
        check_same_thread=False,  # a store has a lock of its own
    )


def migrate(connection: sqlite3.Connection, path: str) -> None:
    """Bring the schema to the newest version in one transaction, which ends with the connection.

    Raises:
        StoreError: it is another program's, or of a newer version.
    """
    execute = connection.execute
    execute("BEGIN IMMEDIATE")
    for statements in MIGRATIONS[schema_version(connection, path) :]:
        for statement in statements:
            execute(statement)
    execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # Written even where it stays the same: it shows, before any mail is delivered, that the
    # database can be written to.
    execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
    execute("COMMIT")


def write_ahead(connection: sqlite3.Connection, clock: Clock) -> str:
    """Switch a database to the write-ahead log, and return the mode that it is in then.

    Where another process writes at this instant, sqlite refuses at once and does not wait, as it
    does elsewhere: two that wait for each other here would wait for good. It gives up after the
    busy timeout.
    """
    end = clock.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            return str(mode)
        except sqlite3.OperationalError as error:
            busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
            if not busy or clock.monotonic() >= end:
                raise
        clock.wait(threading.Event(), BUSY_PAUSE)


def schema_version(connection: sqlite3.Connection, path: str) -> int:
    """The schema's version, 0 for an empty database.

    Raises:
        StoreError: it is another program's, or of a newer version.
    """
    # In one statement: else another process that makes the database may come in between.
    application, version, objects = connection.execute(_SELECT_VERSION).fetchone()
    if application != APPLICATION_ID and (application or version or objects):
        raise StoreError(
            f"{path} is a database of another program and not a state store of nornmail: "
            "choose another path"
        )
    if version > len(MIGRATIONS):
        raise newer(f"the state store {path}", version, len(MIGRATIONS))
    return int(version)


@cache
def _template() -> sqlite3.Connection:
    made = open_database(":memory:")
    atexit.register(_close, made, _copying)
    migrate(made, ":memory:")
    return made


def _close(connection: sqlite3.Connection, mutex: threading.Lock | threading.RLock) -> None:
    """Close a connection for good, unless a thread is within a statement as the process ends.

    Closing it then crashes the process.
    """
    if mutex.acquire(blocking=False):
        connection.close()


def new_database() -> sqlite3.Connection:
    """A database in memory, of the newest version.

    A copy costs a tenth of what the statements of the schema cost.
    """
    copy = open_database(":memory:")
    if _copying.acquire(blocking=False):
        try:
            _template().backup(copy)
        finally:
            _copying.release()
    else:  # by another thread; in a forked child by one that is not there
        migrate(copy, ":memory:")
    return copy


def lease_lock_path(path: str, mailbox: MailboxKey) -> str:
    """The lock file of a mailbox's lease, next to the database at ``path``."""
    name = f"{mailbox.account}\0{mailbox.mailbox}".encode("utf-8", "surrogatepass")
    return f"{path}.lock-{hashlib.sha256(name).hexdigest()[:HASH_DIGITS]}"


class LocalStore(SqlStateStore):
    """Tables in sqlite, in a file or in memory.

    The connection is closed with a store that is dropped without close().
    """

    def __init__(self, connection: sqlite3.Connection, path: str) -> None:
        super().__init__(connection, f"the state store {path}")
        self.path = path
        self._abandon = weakref.finalize(self, _close, connection, self._mutex)

    def _store_error(self, error: Exception) -> StoreError | None:
        return sqlite_error(self.path, error)


class SqliteStateStore(LocalStore):
    """Keeps the :class:`~nornmail.stores.protocol.StateStore` protocol in a sqlite database.

    A mailbox's lease is a lock of the operating system on a file of its own next to the database
    (``PATH.lock-HASH``), freed when its process dies, and a fencing token in the database, which
    every commit compares. The database must be on a local disk: sqlite's write-ahead log needs
    shared memory.

    Args:
        path: the database; made where it is missing, readable by its owner only.
        clock: times the waits for other processes, for tests.

    Raises:
        StoreError: the store cannot be used: it is damaged, something else, of a newer version,
            read-only, its directory is missing or its disk full. Existing files are not changed.
    """

    def __init__(self, path: str | os.PathLike[str], *, clock: Clock | None = None) -> None:
        if os.fspath(path) == ":memory:":
            raise StoreError("':memory:' is not a file: use MemoryStateStore()")
        require_sqlite()
        resolved = resolve(path)
        with translated(resolved):
            os.close(os.open(resolved, os.O_RDWR | os.O_CREAT, FILE_MODE))
            connection = open_database(resolved)
            super().__init__(connection, resolved)
            self._blob = connection.blobopen
            try:
                self._configure(connection, clock or SystemClock())
                # A commit is in the log alone, for a while.
                self._check_files = FileIdentity(resolved, f"{resolved}-wal").check
            except BaseException:
                self._abandon()
                raise

    def _configure(self, connection: sqlite3.Connection, clock: Clock) -> None:
        execute = connection.execute
        # macOS leaves what fsync(2) wrote in the drive's cache; elsewhere these do nothing.
        execute("PRAGMA fullfsync = 1")
        execute("PRAGMA checkpoint_fullfsync = 1")
        # FULL: with NORMAL the log is not synced at a commit, and a loss of power takes the last
        # ones back, so that mail that was handled is handled again.
        execute("PRAGMA synchronous = FULL")
        schema_version(connection, self.path)
        if os.path.getsize(self.path) <= QUICK_CHECK_BYTES:
            (verdict,) = execute("PRAGMA quick_check(1)").fetchone()
            if verdict != "ok":
                raise damaged(self.path, verdict)
        migrate(connection, self.path)
        # After that, since it writes into the file: another program's stays as it is.
        if write_ahead(connection, clock) != "wal":
            why = "its file system has no shared memory for sqlite's write-ahead log"
            raise unusable(self.path, why, "put it on a local disk")
        schema_version(connection, self.path)  # the first use makes the log

    def _store_error(self, error: Exception) -> StoreError | None:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_FULL":
            # Make room: the log may be much larger than what it changes. The transaction was rolled
            # back, and its caller tries again.
            with suppress(sqlite3.Error):  # not even that fits, or another process is reading
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return super()._store_error(error)

    def _keep_bytes(self, number: int, raw: bytes) -> None:
        if len(raw) <= WRITTEN_AT_ONCE:
            super()._keep_bytes(number, raw)
            return
        self._connection.execute(_INSERT_BLANK_BYTES, (number, len(raw)))
        octets = memoryview(raw)
        with self._blob("letter_raw", "bytes", number) as blob:
            for start in range(0, len(raw), WRITTEN_AT_ONCE):
                blob.write(octets[start : start + WRITTEN_AT_ONCE])

    def _exclude_others(self, mailbox: MailboxKey, owner: str) -> Callable[[], object]:
        lock = FileLock(lease_lock_path(self.path, mailbox))
        try:
            lock.acquire(owner)
        except LockTaken as error:
            text = f"{mailbox} is in use by {error.holder or 'another process'}"
            raise LeaseHeld(text, error.holder) from error
        except BaseException:  # of a signal, right behind it
            lock.release()
            raise
        return lock.release


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
    from pathlib import Path

    mode = "mode=ro" if os.path.exists(path + "-wal") else "immutable=1"
    return open_database(f"{Path(path).absolute().as_uri()}?{mode}", uri=True)


class MemoryStateStore(LocalStore):
    """Keeps the :class:`~nornmail.stores.protocol.StateStore` protocol, but for durability.

    All is lost with the object: after a restart the mailbox looks as if it were polled for the
    first time.
    """

    after_fork = None

    def __init__(self) -> None:
        super().__init__(new_database(), "in memory")
