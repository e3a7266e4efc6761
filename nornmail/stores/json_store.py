"""A store of plain files: a snapshot that people can read, and a journal that makes commits cheap.

=======================  =======================================================
``state.json``           the snapshot: everything, as of some commit
``state.json.journal``   the commits since then, a line each
``state.json.raw``       a directory with the bytes of waiting and dead mail, and of letters
``state.json.lock``      locked as long as the store is open
``state.json.tmp``       the next snapshot, while it is written
=======================  =======================================================

The order of the effects makes a crash harmless at each of them. Bytes are on the disk before the
line that names them, and are removed after the line that drops them; what no line names is an
orphan. A snapshot has its name before the journal is cleared; a line of the journal that the
snapshot holds already is recognised by its number.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Collection, Iterable
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any

from nornmail.errors import StoreError
from nornmail.files import FileIdentity, Files
from nornmail.locks import FileLock, LockTaken, holder_of
from nornmail.model import MailboxKey
from nornmail.stores import json_rows
from nornmail.stores.errors import damaged, refuse_names, resolve, store_error
from nornmail.stores.json_files import (
    JOURNAL,
    TEMPORARY,
    VERSION,
    End,
    Journal,
    RawFiles,
    Saved,
    check_opening,
    read_saved,
    write_snapshot,
)
from nornmail.stores.rows import Row, write_json
from nornmail.stores.sqlite import LocalStore, new_database, translated

JOURNAL_FLOOR_BYTES = 1 << 18
"""A journal below this is never folded into the snapshot: it is read in some 10 ms. A bigger one is
when it is as big as the snapshot: each octet is then written about twice, however long the history
is, and a start reads at most twice the state."""

log = logging.getLogger("nornmail.stores")


class JsonFiles(LocalStore):
    """The contents of the files of a JSON store, in a sqlite database in memory."""

    def __init__(self, path: str, files: Files) -> None:
        self._database = new_database()
        super().__init__(self._database, path)
        self._files = files
        self._raws = RawFiles(path + ".raw", files)
        self._journal_path = path + JOURNAL

    def _read(self) -> Saved | None:
        """Fill the tables with what the files say, where there are any."""
        try:
            saved = read_saved(self.path)
            if saved is not None:
                self._database.execute("BEGIN")
                json_rows.fill(self._database, saved.commits)
                self._database.execute("COMMIT")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise damaged(self.path, f"it cannot be understood ({error!r})") from error
        return saved

    def _raw(self, row: Row) -> bytes | None:
        return self._raws.read(row[0])


class JsonView(JsonFiles):
    """A JSON store, read only, also while the process that has it open writes."""

    after_fork = None

    def __init__(self, path: str | os.PathLike[str]) -> None:
        super().__init__(resolve(path), Files())
        with translated(self.path):
            self._read()

    def holder(self, mailbox: MailboxKey) -> str:
        return holder_of(self.path + ".lock")


class JsonStateStore(JsonFiles):
    """Keeps the :class:`~nornmail.stores.protocol.StateStore` protocol in files people read.

    One process at a time has the store open; for several, there is
    :class:`~nornmail.stores.sqlite.SqliteStateStore`. The state is in memory as well, in a sqlite
    database. The files are readable by their owner only.

    Args:
        path: the snapshot; the other files are next to it. It is created if it is missing.
        files: the effects on the disk, for tests.

    Raises:
        StoreError: the store cannot be used: it is open already, damaged, something else, of a
            newer version, read-only, its directory is missing or its disk full. Existing files are
            not changed.
    """

    after_fork: str | None = "open a store after the fork, and only in one of the processes"

    def __init__(self, path: str | os.PathLike[str], *, files: Files | None = None) -> None:
        self.path = resolve(path)
        self._held: dict[str, bytes] = {}
        """Bytes of this transaction, by the value of the column that names their file."""
        self._lock = FileLock(self.path + ".lock")
        with translated(self.path), ExitStack() as undo:
            check_opening(self.path)  # before anything is made next to another program's file
            self._take_lock()
            undo.callback(self._lock.release)
            self._check_rights()
            super().__init__(self.path, files or Files())
            undo.callback(self._abandon)
            self._open(undo)
            undo.pop_all()

    def close(self) -> None:
        if self._closed or not self._lock.held:
            return  # in a forked child the files are the parent's
        with self._mutex:
            super().close()
            self._journal.close()
            self._lock.release()

    def _check_journal(self, identity: FileIdentity) -> None:
        identity.check()
        if self._journal.undecided:  # an exception, such as Ctrl-C, came behind its write
            self._rollback()
            self._journal.keep()

    # Opening

    def _take_lock(self) -> None:
        try:
            self._lock.acquire(f"{socket.gethostname()}:{os.getpid()}")
        except LockTaken as error:
            holder = error.holder or "another process"
            raise StoreError(
                f"the state store {self.path} is open already, by {holder}: "
                "a JsonStateStore is for one process at a time, and is opened once in it; "
                "use SqliteStateStore for several"
            ) from error

    def _check_rights(self) -> None:
        """Refuse now what would only fail when the journal is folded in.

        Replacing the snapshot asks for no right to write to the file itself. Who took that right
        away did not want it replaced.
        """
        for path in (os.path.dirname(self.path), self.path):
            if os.path.exists(path) and not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)

    def _open(self, undo: ExitStack) -> None:
        refuse_names(self._journal_path)
        if os.path.exists(self.path + TEMPORARY):
            self._files.unlink(self.path + TEMPORARY)
        saved = self._read() or self._begin_files()
        execute = self._connection.execute
        self._tables = json_rows.tables(self._database)
        execute(json_rows.TOUCHED)
        for table in self._tables.values():
            for trigger in table.triggers():
                execute(trigger)
        named = execute("SELECT bytes FROM raw UNION ALL SELECT bytes FROM letter_raw").fetchall()
        lost = self._raws.find_lost(column for (column,) in named)
        end = End(saved.sequence, saved.journal.length)
        self._journal = Journal(self._journal_path, end, self._files)
        undo.callback(self._journal.close)
        # Whoever removes the lock lets a second process in, which nothing else here would notice.
        identity = FileIdentity(self._journal_path, self._lock.path)
        self._check_files = partial(self._check_journal, identity)
        self._fold_at = max(JOURNAL_FLOOR_BYTES, saved.size)
        # An older program would not understand what comes, and nothing is appended to a line that
        # lacks its newline.
        if saved.version < VERSION or not saved.journal.ended:
            self._fold()
        # An empty commit: it takes away a line that was cut off, and shows that the disk takes what
        # is written to it before any mail is delivered.
        self._journal.append({})
        self._journal.keep()
        self._forget_lost(lost)

    def _begin_files(self) -> Saved:
        """Make the files of a new store: the journal first, since a snapshot has one."""
        os.close(self._files.open(self._journal_path, os.O_WRONLY | os.O_CREAT))
        self._files.fsync_directory(os.path.dirname(self.path))
        return Saved(VERSION, [], 0, write_snapshot(self.path, 0, [], self._files))

    def _forget_lost(self, columns: Iterable[str]) -> None:
        """Keep no bytes where their file was removed or changed by another program.

        The mailbox store's callers fetch them again from the server where they can.
        """
        for column in columns:
            log.warning(
                "the bytes in %s were removed or changed by another program (a virus scanner?): "
                "exclude that directory; what can be fetched again is",
                self._raws.path(column),
            )
            with self._within as execute:
                execute("DELETE FROM raw WHERE bytes = ?", (column,))
                execute("DELETE FROM letter_raw WHERE bytes = ?", (column,))

    def _line(self, touched: Collection[Row]) -> tuple[dict[str, Any], set[str], set[str]]:
        """A commit as JSON: the rows that it touched, as they are now.

        Returns:
            The commit; the files that the touched rows named before, and those that they name now.
        """
        commit: dict[str, Any] = {}
        after: set[str] = set()
        for name, *columns in dict.fromkeys(row[:-1] for row in touched):
            table = self._tables[name]
            key = columns[: len(table.key)]
            row = self._connection.execute(table.select, key).fetchone()
            if row is None:
                gone = commit.setdefault("gone", {}).setdefault(name, [])
                gone.append(list(map(write_json, key)))
                continue
            commit.setdefault(name, []).append(table.write(row))
            if table.columns[-1] == "bytes":
                after.add(row[-1])
        return commit, {held for *_, held in touched if held is not None}, after

    # Writing

    def _hold(self, raw: bytes) -> str:
        column = self._raws.column(self._journal.end.sequence + 1, len(self._held), raw)
        self._held[column] = raw
        return column

    def _raw(self, row: Row) -> bytes | None:
        raw = super()._raw(row)
        if raw is None:
            self._forget_lost(row)
        return raw

    def _commit(self) -> None:
        """Write what was touched to the journal: one fsync, three more with bytes."""
        execute = self._connection.execute
        touched = execute("SELECT * FROM touched ORDER BY rowid").fetchall()
        if not touched:
            super()._commit()
            return
        execute("DELETE FROM touched")
        line, before, after = self._line(touched)
        if raws := {column: raw for column, raw in self._held.items() if column in after}:
            # A line that failed must go first: these files may have the names that it names.
            self._journal.mend()
            self._raws.write(raws)
        try:
            self._journal.append(line)
        except OSError:
            if not self._journal.torn:  # else the line may be there still, and name them
                self._raws.remove(after - before)
            raise
        super()._commit()
        self._journal.keep()
        self._held.clear()
        self._raws.remove(before - after)
        self._fold_if_due()

    def _rollback(self) -> None:
        self._held.clear()
        if self._connection.in_transaction:  # else COMMIT came before the exception
            with suppress(OSError):  # what is left is taken away with the next append
                self._journal.drop()
        super()._rollback()

    def _fold_if_due(self) -> None:
        """Fold the journal into a new snapshot when it has outgrown the old one.

        The commit that came before is durable already. So where this fails it is put off, and the
        journal grows.
        """
        if self._journal.end.length < self._fold_at:
            return
        try:
            self._fold()
        except OSError as error:
            log.warning("%s; the journal grows until then", store_error(self.path, error))
            self._fold_at = self._journal.end.length + JOURNAL_FLOOR_BYTES

    def _fold(self) -> None:
        tables = (
            (name, map(table.write, self._connection.execute(table.select_all)))
            for name, table in self._tables.items()
        )
        size = write_snapshot(self.path, self._journal.end.sequence, tables, self._files)
        self._journal.clear()
        self._fold_at = max(JOURNAL_FLOOR_BYTES, size)
