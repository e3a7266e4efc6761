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
snapshot holds already is told by its number.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

from nornmail.errors import StoreError
from nornmail.model import MailboxKey
from nornmail.stores.errors import damaged, resolve, store_error
from nornmail.stores.in_memory import InMemoryStore, Plan
from nornmail.stores.in_memory_tables import Effects, LetterEffects, Tables
from nornmail.stores.json_codec import (
    read_effects,
    read_mailbox,
    write_effects,
    write_entry,
    write_mailbox,
)
from nornmail.stores.json_files import Files, RawFile, RawFiles
from nornmail.stores.json_journal import (
    VERSION,
    Damaged,
    Journal,
    Snapshot,
    check_opening,
    read_lines,
    read_snapshot,
    temporary_path,
    write_line,
    write_snapshot,
)
from nornmail.stores.locks import FileLock, LockTaken

JOURNAL_FLOOR_BYTES = 1 << 20
"""A journal below this is never folded into the snapshot: it is read in some milliseconds."""
JOURNAL_RATIO = 1
"""The journal is folded in when it is so many times as big as the snapshot: each octet is then
written about twice, however long the history is, and a start reads at most twice the state."""

log = logging.getLogger("nornmail.stores")


class JsonStateStore(InMemoryStore[RawFile]):
    """Keeps the :class:`~nornmail.stores.protocol.StateStore` protocol in files people read.

    One process at a time has the store open; for several, there is
    :class:`~nornmail.stores.sqlite.SqliteStateStore`. The whole state is in memory as well, about
    1 kB for each message ever looked at. The files are readable by their owner only.

    Args:
        path: the snapshot; the other files lie beside it. It is made where it is missing.
        files: the effects on the disk, for tests.

    Raises:
        StoreError: the store cannot be used: it is open already, damaged, something else, of a
            newer version, read-only, its directory is missing or its disk full. What is there
            stays as it is.
    """

    def __init__(self, path: str | os.PathLike[str], *, files: Files | None = None) -> None:
        super().__init__()
        self.path = resolve(path)
        self._files = files or Files()
        self._raws = RawFiles(self.path + ".raw", self._files)
        self._lock = FileLock(self.path + ".lock")
        self._closed = False
        self._sequence = 0
        try:
            check_opening(self.path)  # before anything is made beside somebody else's file
            self._take_lock()
            try:
                self._check_rights()
                self._open()
            except BaseException:
                self._lock.release()
                raise
        except OSError as error:
            raise store_error(self.path, error) from error

    def _write(self, mailbox: MailboxKey, plan: Plan[RawFile]) -> Effects[RawFile]:
        """One fsync, three more with bytes; nothing where nothing changes."""
        tables = self._tables(mailbox)
        raws: dict[RawFile, bytes] = {}

        def hold(raw: bytes) -> RawFile:
            file = self._raws.name(self._sequence + 1, len(raws), raw)
            raws[file] = raw
            return file

        effects = plan(tables, hold)
        value = write_effects(effects, _write_file)
        if not value:
            return effects
        before = {tables.raw[key] for key in effects.raw if key in tables.raw}
        letters = tables.outbox.raw
        before |= {letters[key] for key in effects.outbox.raw if key in letters}
        held = [*effects.raw.values(), *effects.outbox.raw.values()]
        after = {file for file in held if file is not None}
        self._write_raws([(file, raw) for file, raw in raws.items() if file in after])
        try:
            self._append(
                mailbox,
                value,
                lambda: self._mailboxes.setdefault(mailbox, tables).install(effects),
            )
        except StoreError:
            if not self._journal.torn:  # else the line may be there still, and name them
                self._raws.remove(after - before)
            raise
        self._raws.remove(before - after)
        self._fold_if_due()
        return effects

    def close(self) -> None:
        """Release every lease and let go of the files.

        What is asked of the store after that is a StoreError.
        """
        if self._closed or not self._lock.held:
            return  # in a forked child the files are the parent's
        with self._mutex:
            self._closed = True
            self._leases.clear()
            self._journal.close()
            self._lock.release()

    def _unusable(self) -> str | None:
        if self._closed:
            return f"the state store {self.path} was closed"
        if not self._lock.held:
            return f"the state store {self.path} was opened before this process was forked: " + (
                "open a store after the fork, and only in one of the processes"
            )
        return None

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

    def _open(self) -> None:
        snapshot, lines, length = self._read()
        try:
            for value in snapshot.mailboxes:
                self._replay(value)
            self._sequence = snapshot.sequence
            for number, value in enumerate(lines, start=1):
                if value["n"] <= snapshot.sequence:
                    continue  # cut off after the snapshot was in place, before this was cleared
                if value["n"] != self._sequence + 1:
                    raise damaged(self._journal_path, f"a line is missing before line {number}")
                self._replay(value)
                self._sequence += 1
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise damaged(self.path, f"it cannot be understood ({error!r})") from error
        self._raws.check(
            {
                file
                for tables in self._all_tables()
                for kept in (tables.raw, tables.outbox.raw)
                for file in kept.values()
            }
        )
        self._journal = Journal(self._journal_path, length, self._files)
        self._snapshot_size = snapshot.size
        self._fold_at = self._threshold()
        try:
            # An empty commit: it takes away a line that was cut off, and shows that the disk takes
            # what is written to it before anything is handed over.
            self._append(None, {}, lambda: None)
            if snapshot.version < VERSION:
                self._fold()  # an older program would drop what it does not know
        except BaseException:
            self._journal.close()
            raise

    def _read(self) -> tuple[Snapshot, list[dict[str, Any]], int]:
        """What is there: the snapshot, the journal's lines, and how much of it is whole."""
        if os.path.exists(temporary_path(self.path)):
            self._files.unlink(temporary_path(self.path))
        known = check_opening(self.path)
        try:
            with open(self._journal_path, "rb") as file:
                lines = read_lines(file.read())
        except FileNotFoundError:
            if known:
                raise damaged(self._journal_path, "it is missing") from None
            return self._begin(), [], 0
        except Damaged as error:
            raise damaged(self._journal_path, error) from error
        if known:
            return read_snapshot(self.path), lines.values, lines.length
        if lines.values:
            raise damaged(self.path, "it is missing, and there is a journal beside it")
        return self._begin(), [], 0

    def _begin(self) -> Snapshot:
        """Make the files of a new store: the journal first, since a snapshot has one."""
        os.close(self._files.open(self._journal_path, os.O_WRONLY | os.O_CREAT))
        self._files.fsync_directory(os.path.dirname(self.path))
        return Snapshot(VERSION, 0, [], write_snapshot(self.path, 0, [], self._files))

    def _replay(self, value: dict[str, Any]) -> None:
        """Do again what the journal, or the snapshot as a commit of everything, says."""
        if "mailbox" not in value:
            return
        tables = self._mailboxes.setdefault(read_mailbox(value["mailbox"]), Tables())
        tables.token = value.get("token", tables.token)
        tables.install(read_effects(value, _read_file))

    # Writing

    @property
    def _journal_path(self) -> str:
        return self.path + ".journal"

    def _all_tables(self) -> Iterator[Tables[RawFile]]:
        return iter(self._mailboxes.values())

    def _save_token(self, mailbox: MailboxKey, token: int) -> None:
        def install() -> None:
            self._mailboxes.setdefault(mailbox, Tables()).token = token

        self._append(mailbox, {"token": token}, install)
        self._fold_if_due()

    def _write_raws(self, raws: list[tuple[RawFile, bytes]]) -> None:
        if not raws:
            return
        try:
            # A line that failed must go first: these files may have the names that it names.
            self._journal.mend()
        except OSError as error:
            raise store_error(self._journal_path, error) from error
        try:
            self._raws.write(raws)
        except OSError as error:
            self._raws.remove(file for file, _ in raws)
            raise store_error(self._raws.path, error) from error

    def _append(
        self, mailbox: MailboxKey | None, value: dict[str, Any], install: Callable[[], None]
    ) -> None:
        """Make a commit durable, and then put it in. Ctrl-C in between leaves it unsettled.

        Raises:
            StoreError: nothing was written, or it was taken back, or will be before the next one.
        """
        head: dict[str, Any] = {"n": self._sequence + 1}
        if mailbox is not None:
            head["mailbox"] = write_mailbox(mailbox)
        line = write_line(head | value)
        self._settled = False
        try:
            self._journal.append(line)
        except OSError as error:
            self._settled = True
            raise store_error(self._journal_path, error) from error
        self._sequence += 1
        install()
        self._settled = True

    def _threshold(self) -> int:
        return max(JOURNAL_FLOOR_BYTES, JOURNAL_RATIO * self._snapshot_size)

    def _fold_if_due(self) -> None:
        """Fold the journal into a new snapshot when it has outgrown the old one.

        The commit that came before is durable already. So where this fails it is put off, and the
        journal goes on.
        """
        if self._journal.length < self._fold_at:
            return
        try:
            self._fold()
        except OSError as error:
            log.warning("%s; the journal grows until it is mended", store_error(self.path, error))
            self._fold_at = self._journal.length + JOURNAL_FLOOR_BYTES

    def _fold(self) -> None:
        mailboxes = (_dump(key, tables) for key, tables in self._mailboxes.items())
        size = write_snapshot(self.path, self._sequence, mailboxes, self._files)
        self._snapshot_size = size
        self._journal.clear()
        self._fold_at = self._threshold()

    def _read_raw(self, held: RawFile) -> bytes:
        return self._raws.read(held)


def _dump(mailbox: MailboxKey, tables: Tables[RawFile]) -> dict[str, Any]:
    """A mailbox as one big commit; the entries are made one by one, as they are written."""
    rest = Effects(
        record=tables.record,
        raw=dict(tables.raw),
        passed=[(epoch, ranges.merged()) for epoch, ranges in tables.passed.items()],
        asked=dict.fromkeys(tables.asked, True),
        inboxes=dict(tables.inboxes),
        outbox=LetterEffects(
            dict(tables.outbox.letters),
            dict(tables.outbox.raw),
            dict(tables.outbox.pending_requests),
        ),
    )
    return {
        "mailbox": write_mailbox(mailbox),
        "token": tables.token,
        **write_effects(rest, _write_file),
        "entries": map(write_entry, tables.entries.values()),
    }


def _write_file(file: RawFile) -> Any:
    return [file.name, file.size, file.crc]


def _read_file(value: Any) -> RawFile:
    name, size, crc = value
    return RawFile(name, size, crc)
