"""A store in a sqlite database, which several processes may have open at once."""

from __future__ import annotations

import hashlib
import heapq
import os
import sqlite3
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from nornmail.errors import LeaseHeld, LeaseLost, StoreError
from nornmail.model import (
    KEEPS_RAW,
    Change,
    Entry,
    EntryKey,
    InboxRecord,
    KeepRaw,
    Lease,
    MailboxKey,
    MailboxRecord,
    PassOver,
    PutEntry,
    Rekey,
    SaveMailbox,
    State,
)
from nornmail.stores import sqlite_rows as rows
from nornmail.stores.errors import resolve, store_error, translate
from nornmail.stores.locks import FILE_MODE, FileLock, LockTaken
from nornmail.stores.sqlite_letters import SqliteOutbox
from nornmail.stores.sqlite_rows import Row, read_text, write_text
from nornmail.stores.sqlite_schema import prepare
from nornmail.stores.transitions import check_keep, check_put, check_rekey, check_retry
from nornmail.uidset import UidSet

# ---- The inboxes of the sqlite store.

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
        """See :meth:`nornmail.stores.protocol.InboxStore.save_inbox`; from any process."""
        texts = map(write_text, (record.id, record.name, record.address))
        with self._locked(), self._transaction() as execute:
            number = self._number(mailbox)
            execute(_SAVE, (number, *texts, record.created_at, record.backfill))

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        """See :meth:`nornmail.stores.protocol.InboxStore.forget_inbox`; from any process."""
        with self._locked(), self._transaction() as execute:
            return bool(execute(_FORGET, (self._number(mailbox), write_text(name))).rowcount)

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        """See :meth:`nornmail.stores.protocol.InboxStore.inboxes`."""
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


BUSY_TIMEOUT_SECONDS = 10.0
"""How long a statement waits for another process. A commit takes milliseconds; a checkpoint on a
slow disk may take a second or two."""
HASH_DIGITS = 16
"""Hexadecimal digits of the mailbox's hash in the name of its lock file: 64 bits."""


class SqliteStateStore(SqliteOutbox, SqliteInboxes):
    """Keeps the :class:`~nornmail.stores.protocol.StateStore` protocol in a sqlite database.

    A mailbox's lease is a lock of the operating system on a file of its own beside the database
    (``PATH.lock-HASH``), freed when its process dies, and a fencing token in the database, which
    every commit compares. The database must be on a local disk: sqlite's write-ahead log needs
    shared memory.

    Args:
        path: the database; made where it is missing, readable by its owner only.

    Raises:
        StoreError: the store cannot be used: it is damaged, something else, of a newer version,
            read-only, its directory is missing or its disk full. What is there stays as it is.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        if os.fspath(path) == ":memory:":
            raise StoreError("':memory:' is no file: use MemoryStateStore()")
        self.path = resolve(path)
        self._mutex = threading.Lock()
        self._process = os.getpid()
        self._closed = False
        self._ids: dict[MailboxKey, int] = {}
        self._leases: dict[MailboxKey, tuple[Lease, FileLock]] = {}
        try:
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, FILE_MODE))
        except OSError as error:
            raise store_error(self.path, error) from error
        with translate(self.path):
            self._connection = sqlite3.connect(
                self.path,
                timeout=BUSY_TIMEOUT_SECONDS,
                isolation_level=None,  # transactions begin and end where it is written here
                check_same_thread=False,  # _mutex sees to it
            )
            # Closes the connection of a store that was dropped without close().
            self._closer = weakref.finalize(self, self._connection.close)
            try:
                self._configure()
            except BaseException:
                self._closer()
                raise

    def _configure(self) -> None:
        execute = self._connection.execute
        # macOS leaves what fsync(2) wrote in the drive's cache; elsewhere these do nothing.
        execute("PRAGMA fullfsync = 1")
        execute("PRAGMA checkpoint_fullfsync = 1")
        # FULL: with NORMAL the log is not synced at a commit, and a loss of power takes the last
        # ones back, so that mail that was handled is handled again.
        execute("PRAGMA synchronous = FULL")
        prepare(self._connection, self.path)
        # After that, since it writes into the file: somebody else's stays as it is.
        (mode,) = execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise StoreError(
                f"the state store {self.path} cannot be used: its file system has no shared "
                "memory for sqlite's write-ahead log: put it on a local disk"
            )

    # Leases

    def acquire(self, mailbox: MailboxKey, owner: str) -> Lease:
        """See :meth:`nornmail.stores.protocol.StateStore.acquire`."""
        with self._locked():
            lock = FileLock(self._lock_path(mailbox))
            try:
                lock.acquire(owner)
            except LockTaken as error:
                holder = error.holder
                text = f"{mailbox} is worked on by {holder or 'another process'}"
                raise LeaseHeld(text, holder) from error
            except OSError as error:
                raise store_error(lock.path, error) from error
            try:
                lease = Lease(mailbox=mailbox, owner=owner, token=self._raise_token(mailbox))
            except BaseException:
                lock.release()
                raise
            self._leases[mailbox] = (lease, lock)
            return lease

    def _raise_token(self, mailbox: MailboxKey) -> int:
        with self._transaction() as execute:
            number = self._number(mailbox)
            (token,) = execute(rows.SELECT_FENCE, (number,)).fetchone()
            execute(rows.UPDATE_FENCE, (token + 1, number))
        self._ids[mailbox] = number
        return int(token) + 1

    def _number(self, mailbox: MailboxKey) -> int:
        name = rows.write_text(mailbox.account), rows.write_text(mailbox.mailbox)
        execute = self._connection.execute
        found = execute(rows.SELECT_MAILBOX, name).fetchone()
        return int(found[0]) if found else int(execute(rows.INSERT_MAILBOX, name).lastrowid or 0)

    def _lock_path(self, mailbox: MailboxKey) -> str:
        name = f"{mailbox.account}\0{mailbox.mailbox}".encode("utf-8", "surrogatepass")
        return f"{self.path}.lock-{hashlib.sha256(name).hexdigest()[:HASH_DIGITS]}"

    def release(self, lease: Lease) -> None:
        """See :meth:`nornmail.stores.protocol.StateStore.release`."""
        if self._unusable():
            return  # closing released it
        with self._mutex:
            current, lock = self._leases.get(lease.mailbox, (None, None))
            if current is not None and lock is not None and current.token == lease.token:
                del self._leases[lease.mailbox]
                lock.release()

    def _check_lease(self, lease: Lease) -> int:
        """The id of the lease's mailbox, where its token is good here and in the database."""
        current, _ = self._leases.get(lease.mailbox, (None, None))
        if current is not None and current.token == lease.token:
            mailbox = self._ids[lease.mailbox]
            (token,) = self._connection.execute(rows.SELECT_FENCE, (mailbox,)).fetchone()
            if token == lease.token:
                return mailbox
        raise LeaseLost(f"{lease.owner} does not work on {lease.mailbox} any more")

    # Reading

    def load(self, mailbox: MailboxKey) -> MailboxRecord | None:
        """See :meth:`nornmail.stores.protocol.StateStore.load`."""
        with self._locked():
            found = self._select(rows.SELECT_RECORD, mailbox)
            return rows.read_record(found[0]) if found else None

    def seen_uids(self, mailbox: MailboxKey, epoch: int) -> UidSet:
        """See :meth:`nornmail.stores.protocol.StateStore.seen_uids`."""
        with self._locked():
            uids = self._select(rows.SELECT_UIDS, mailbox, epoch)
            ranges = self._select(rows.SELECT_RANGES, mailbox, epoch)
            return UidSet([(uid, uid) for (uid,) in uids] + [(low, high) for low, high in ranges])

    def get(self, mailbox: MailboxKey, key: EntryKey) -> Entry | None:
        """See :meth:`nornmail.stores.protocol.StateStore.get`."""
        with self._locked():
            found = self._select(rows.SELECT_ENTRY, mailbox, *rows.write_key(0, key)[1:])
            return rows.read_entry(found[0]) if found else None

    def siblings(self, mailbox: MailboxKey, epoch: int, uid: int) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.siblings`."""
        with self._locked():
            found = self._select(rows.SELECT_SIBLINGS, mailbox, epoch, uid)
            return list(map(rows.read_entry, found))

    def entries(
        self, mailbox: MailboxKey, states: Collection[State], *, limit: int | None = None
    ) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.entries`."""
        most = -1 if limit is None else limit
        with self._locked():
            # State by state, since the index has them in order that way.
            found = [
                map(rows.read_entry, self._select(rows.entries_in_state(s), mailbox, s.value, most))
                for s in set(states)
            ]
            merged = list(heapq.merge(*found, key=lambda entry: (entry.due_at, entry.key)))
            return merged if limit is None else merged[:limit]

    def count(self, mailbox: MailboxKey, states: Collection[State]) -> int:
        """See :meth:`nornmail.stores.protocol.StateStore.count`."""
        with self._locked():
            found = [
                self._select(rows.in_state(s, "count(*)"), mailbox, s.value) for s in set(states)
            ]
            return sum(row[0][0] for row in found if row)

    def find_by_digest(
        self, mailbox: MailboxKey, header_digest: str, *, before_epoch: int
    ) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.find_by_digest`."""
        digest = rows.write_text(header_digest)
        with self._locked():
            found = self._select(rows.SELECT_ACQUAINTANCES, mailbox, digest, before_epoch)
            return list(map(rows.read_entry, found))

    def raw(self, mailbox: MailboxKey, key: EntryKey) -> bytes | None:
        """See :meth:`nornmail.stores.protocol.StateStore.raw`."""
        with self._locked():
            found = self._select(rows.SELECT_RAW, mailbox, *rows.write_key(0, key)[1:])
            return found[0][0] if found else None

    def mailboxes(self) -> list[MailboxKey]:
        """See :meth:`nornmail.stores.protocol.StateStore.mailboxes`."""
        with self._locked():
            found = self._connection.execute(rows.SELECT_MAILBOXES).fetchall()
        known = [MailboxKey(*map(rows.read_text, row)) for row in found]
        known.sort(key=lambda one: (one.account, one.mailbox))
        return [one for one in known if not one.is_outbox]

    def retry_requests(self, mailbox: MailboxKey) -> list[EntryKey]:
        """See :meth:`nornmail.stores.protocol.StateStore.retry_requests`."""
        with self._locked():
            return list(map(rows.read_key, self._select(rows.SELECT_ASKED, mailbox)))

    def entries_without_bytes(self, mailbox: MailboxKey, state: State) -> list[Entry]:
        """See :meth:`nornmail.stores.protocol.StateStore.entries_without_bytes`."""
        with self._locked():
            found = self._select(rows.entries_without_raw(state), mailbox, state.value)
            return list(map(rows.read_entry, found))

    def _select(self, query: str, mailbox: MailboxKey, *arguments: Any) -> list[rows.Row]:
        """All rows of a query whose first argument is the mailbox; none where it is not known."""
        number = self._ids.get(mailbox)
        if number is None:
            name = rows.write_text(mailbox.account), rows.write_text(mailbox.mailbox)
            found = self._connection.execute(rows.SELECT_MAILBOX, name).fetchone()
            if found is None:
                return []
            number = self._ids[mailbox] = found[0]
        return self._connection.execute(query, (number, *arguments)).fetchall()

    # Writing

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        """See :meth:`nornmail.stores.protocol.StateStore.commit`. One transaction, one fsync."""
        with self._locked():
            if not changes:
                self._check_lease(lease)
                return
            with self._transaction():
                mailbox = self._check_lease(lease)
                for change in changes:
                    self._take(mailbox, change)

    def request_retry(self, mailbox: MailboxKey, key: EntryKey) -> None:
        """See :meth:`nornmail.stores.protocol.StateStore.request_retry`; from any process."""
        with self._locked(), self._transaction() as execute:
            state = self._select(rows.SELECT_STATE, mailbox, *rows.write_key(0, key)[1:])
            check_retry(key, State(state[0][0]) if state else None)
            execute(rows.INSERT_ASKED, rows.write_key(self._ids[mailbox], key))

    def _take(self, mailbox: int, change: Change) -> None:
        execute = self._connection.execute
        match change:
            case SaveMailbox(record):
                execute(rows.UPDATE_RECORD, (*rows.write_record(record), mailbox))
            case PutEntry(entry, raw):
                self._put(mailbox, entry, raw)
            case KeepRaw(key, raw):
                check_keep(key, self._state(mailbox, key))
                execute(rows.REPLACE_RAW, (*rows.write_key(mailbox, key), raw))
            case Rekey(before, after, uid_validity):
                check_rekey(
                    before, self._state(mailbox, before), after, self._state(mailbox, after)
                )
                execute(rows.DELETE_ENTRY, rows.write_key(mailbox, after))  # it may be GONE
                keys = (*rows.write_key(mailbox, after)[1:], *rows.write_key(mailbox, before))
                execute(rows.REKEY_ENTRY, (uid_validity, *keys))
                execute(rows.REKEY_RAW, keys)
                execute(rows.REKEY_ASKED, keys)
            case PassOver(epoch, uids):
                for low, high in uids.ranges:
                    self._pass_over(mailbox, epoch, low, high)

    def _state(self, mailbox: int, key: EntryKey) -> State | None:
        found = self._connection.execute(rows.SELECT_STATE, rows.write_key(mailbox, key)).fetchone()
        return found and State(found[0])

    def _put(self, mailbox: int, entry: Entry, raw: bytes | None) -> None:
        execute = self._connection.execute
        before = self._state(mailbox, entry.key)
        check_put(before, entry.state)
        row = rows.write_entry(mailbox, entry)
        row_key, rest = row[: rows.KEY_COLUMNS], row[rows.KEY_COLUMNS :]
        if before is None:
            execute(rows.INSERT_ENTRY, row)
        else:
            execute(rows.UPDATE_ENTRY, (*rest, *row_key))
        if entry.state in KEEPS_RAW:
            if raw is not None:
                execute(rows.REPLACE_RAW, (*row_key, raw))
        elif before in KEEPS_RAW:
            execute(rows.DELETE_RAW, row_key)
        if before is State.DEAD:  # no entry stays dead when it is put again
            execute(rows.DELETE_ASKED, row_key)

    def _pass_over(self, mailbox: int, epoch: int, low: int, high: int) -> None:
        """Put a range in, joined with those that it overlaps or touches."""
        execute = self._connection.execute
        below = execute(rows.SELECT_RANGE_BELOW, (mailbox, epoch, low)).fetchone()
        if below is not None and below[1] >= low - 1:
            low, high = below[0], max(below[1], high)
        place = (mailbox, epoch, low, high + 1)
        (highest,) = execute(rows.SELECT_RANGES_WITHIN, place).fetchone()
        execute(rows.DELETE_RANGES, place)
        execute(rows.INSERT_RANGE, (mailbox, epoch, low, max(high, highest or 0)))

    # The connection

    def close(self) -> None:
        """Release every lease and close the database.

        What is asked of the store after that is a StoreError.
        """
        if self._unusable():
            return  # in a forked child the connection is the parent's
        with self._mutex, translate(self.path):
            self._closed = True
            try:
                self._closer()
            finally:
                for _, lock in self._leases.values():
                    lock.release()
                self._leases.clear()

    def _unusable(self) -> str | None:
        """Why nothing can be done with the store, ``None`` where it can."""
        if self._closed:
            return f"the state store {self.path} was closed"
        if self._process != os.getpid():  # sqlite's own locks are the process's
            return f"the state store {self.path} was opened before this process was forked: " + (
                "open a store after the fork"
            )
        return None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # Before the lock too: in a forked child it may be held by a thread that is not there.
        self._check_usable()
        with self._mutex:
            self._check_usable()
            with translate(self.path):
                yield

    def _check_usable(self) -> None:
        if reason := self._unusable():
            raise StoreError(reason)

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        """All that is executed within, or nothing: it is durable at the end."""
        execute = self._connection.execute
        # IMMEDIATE: a transaction that began by reading may find at its first write that another
        # process wrote in between, and cannot go on.
        execute("BEGIN IMMEDIATE")
        try:
            yield execute
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise
