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
import json
import logging
import os
import socket
from collections.abc import Callable, Collection, Iterable, Iterator
from operator import itemgetter
from typing import Any

from nornmail.errors import StoreError
from nornmail.locks import FileLock, LockTaken
from nornmail.model import MailboxKey
from nornmail.outgoing import OperatorRequest
from nornmail.stores import json_codec as codec
from nornmail.stores import rows
from nornmail.stores.errors import FileIdentity, damaged, refuse_names, resolve, store_error
from nornmail.stores.json_files import Files, RawFile, RawFiles
from nornmail.stores.json_journal import (
    VERSION,
    Damaged,
    Journal,
    Lines,
    Snapshot,
    check_opening,
    read_lines,
    read_snapshot,
    temporary_path,
    write_line,
    write_snapshot,
)
from nornmail.stores.rows import Row, read_text
from nornmail.stores.sqlite import LocalStore, Template
from nornmail.uidset import UidSet

JOURNAL_FLOOR_BYTES = 1 << 20
"""A journal below this is never folded into the snapshot: it is read in some milliseconds."""
JOURNAL_RATIO = 1
"""The journal is folded in when it is so many times as big as the snapshot: each octet is then
written about twice, however long the history is, and a start reads at most twice the state."""

log = logging.getLogger("nornmail.stores")


# A commit is written down as the rows that it touched, as they are at its end. Triggers note which
# those are, so that no statement can be forgotten.
_NOTE = """CREATE TABLE touched (kind TEXT, mailbox INTEGER, a, b, c, held)"""
_TOUCHED = "SELECT kind, mailbox, a, b, c, held FROM touched ORDER BY rowid"


def _touches() -> Iterator[tuple[str, str, str]]:
    """For each table and event, the row of ``touched``; its kind is the name in the line."""
    yield "mailbox", "INSERT", "'token', new.id, NULL, NULL, NULL, NULL"
    yield "mailbox", "UPDATE OF token", "'token', new.id, NULL, NULL, NULL, NULL"
    yield "mailbox", "UPDATE OF epoch", "'record', new.id, NULL, NULL, NULL, NULL"
    yield "passed_over", "INSERT", "'passed', new.mailbox, new.epoch, new.low, new.high, NULL"
    by_key = (("entry", "entries", "NULL"), ("asked", "asked", "NULL"), ("raw", "raw", "old.bytes"))
    for table, kind, old in by_key:
        for event, row, held in (
            ("INSERT", "new", "NULL"),
            ("UPDATE", "new", old),
            ("UPDATE OF uid", "old", old),
            ("DELETE", "old", old),
        ):
            key = f"{row}.mailbox, {row}.epoch, {row}.uid, {row}.inbox"
            yield table, event, f"'{kind}', {key}, {held}"
    for event, row in (("INSERT", "new"), ("UPDATE", "new"), ("DELETE", "old")):
        yield "inbox", event, f"'inboxes', {row}.mailbox, {row}.id, NULL, NULL, NULL"
        held = "NULL" if event == "INSERT" else "old.bytes"
        of_letter = f"FROM letter WHERE id = {row}.letter"
        yield "letter_raw", event, f"'letter_raw', outbox, key, NULL, NULL, {held} {of_letter}"
    for kind, event, row in (
        ("letters", "INSERT", "new"),
        ("letters", "UPDATE OF state", "new"),
        ("wishes", "UPDATE OF wish", "new"),
        ("letters", "DELETE", "old"),
    ):
        yield "letter", event, f"'{kind}', {row}.outbox, {row}.key, NULL, NULL, NULL"


def _triggers() -> Iterator[str]:
    for number, (table, event, values) in enumerate(_touches()):
        yield (
            f"CREATE TRIGGER touched_{number} AFTER {event} ON {table} "
            f"BEGIN INSERT INTO touched SELECT {values}; END"
        )


NOTING = Template(_NOTE, *_triggers())
"""The database of a JSON store, which notes the rows that are touched."""


class JsonStateStore(LocalStore):
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
        self._files = files or Files()
        self._raws = RawFiles(self.path + ".raw", self._files)
        self._held: dict[str, bytes] = {}
        """Bytes of this transaction, by the value of the column that names their file."""
        self._lock = FileLock(self.path + ".lock")
        self._sequence = 0
        self._settled = True
        """False while a commit is written. Ctrl-C may leave it so: memory and disk may differ."""
        try:
            check_opening(self.path)  # before anything is created next to another program's file
            self._take_lock()
            try:
                self._check_rights()
                refuse_names(self._journal_path)
                super().__init__(NOTING.copy(), self.path)
                try:
                    self._open()
                except BaseException:
                    self._abandon()
                    raise
            except BaseException:
                self._lock.release()
                raise
        except OSError as error:
            raise store_error(self.path, error) from error

    def close(self) -> None:
        if self._closed or not self._lock.held:
            return  # in a forked child the files are the parent's
        with self._mutex:
            super().close()
            self._journal.close()
            self._lock.release()

    def _check_usable(self) -> None:
        super()._check_usable()
        for identity in self._identities:
            identity.check()
        if not self._settled:
            raise StoreError("the state store was interrupted while it wrote: open it again")

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
        snapshot, lines = self._read()
        self._fill_all(snapshot, lines)
        selected = self._connection.execute(
            "SELECT bytes FROM raw UNION ALL SELECT bytes FROM letter_raw"
        )
        lost = self._raws.find_lost({_file(held) for (held,) in selected})
        self._journal = Journal(self._journal_path, lines, self._files)
        # Whoever removes the lock lets a second process in, which nothing else here would notice.
        self._identities = [FileIdentity(path) for path in (self._journal_path, self._lock.path)]
        self._fold_at = _threshold(snapshot.size)
        try:
            # An empty commit: it takes away a line that was cut off, and shows that the disk takes
            # what is written to it before any mail is delivered.
            self._append({})
            self._settled = True
            self._forget_lost(lost)
            if snapshot.version < VERSION:
                self._fold()  # an older program would drop what it does not know
        except BaseException:
            self._journal.close()
            raise

    def _fill_all(self, snapshot: Snapshot, lines: Lines) -> None:
        """Fill the tables with a snapshot and the lines of the journal that follow it."""
        self._connection.execute("BEGIN")
        self._sequence = snapshot.sequence
        try:
            for key, whole in _merged(self._in_order(snapshot, lines)).items():
                self._fill(self._known_id(key), whole)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise damaged(self.path, f"it cannot be understood ({error!r})") from error
        self._connection.execute("DELETE FROM touched")
        self._connection.execute("COMMIT")

    def _in_order(self, snapshot: Snapshot, lines: Lines) -> Iterator[dict[str, Any]]:
        """The commits: each mailbox of the snapshot, and each line that follows it."""
        yield from snapshot.mailboxes
        for number, value in enumerate(lines.values, start=1):
            if value["n"] <= snapshot.sequence:
                continue  # cut off after the snapshot was in place, before this was cleared
            if value["n"] != self._sequence + 1:
                raise damaged(self._journal_path, f"a line is missing before line {number}")
            self._sequence += 1
            yield value

    def _read(self) -> tuple[Snapshot, Lines]:
        """The snapshot, and the journal's lines."""
        if os.path.exists(temporary_path(self.path)):
            self._files.unlink(temporary_path(self.path))
        known = check_opening(self.path)
        try:
            with open(self._journal_path, "rb") as file:
                lines = read_lines(file.read())
        except FileNotFoundError:
            if known:
                raise damaged(self._journal_path, "it is missing") from None
            return self._begin_files(), Lines([], 0)
        except Damaged as error:
            raise damaged(self._journal_path, error) from error
        if known:
            return read_snapshot(self.path), lines
        if lines.values:
            raise damaged(self.path, "it is missing, and there is a journal next to it")
        return self._begin_files(), Lines([], 0)

    def _begin_files(self) -> Snapshot:
        """Make the files of a new store: the journal first, since a snapshot has one."""
        os.close(self._files.open(self._journal_path, os.O_WRONLY | os.O_CREAT))
        self._files.fsync_directory(os.path.dirname(self.path))
        return Snapshot(VERSION, 0, [], write_snapshot(self.path, 0, [], self._files))

    def _forget_lost(self, files: Collection[RawFile]) -> None:
        """Keep no bytes where their file was removed or changed by another program.

        The mailbox store's callers fetch them again from the server where they can.
        """
        for file in files:
            log.warning(
                "the bytes in %s were removed or changed by another program (a virus scanner?): "
                "exclude that directory; what can be fetched again is",
                os.path.join(self._raws.path, file.name),
            )
            held = _column(file)
            with self._transaction() as execute:
                execute("DELETE FROM raw WHERE bytes = ?", (held,))
                execute("DELETE FROM letter_raw WHERE bytes = ?", (held,))

    # A commit as JSON, and a mailbox as one big commit

    def _fill(self, mailbox: int, whole: dict[str, Any]) -> None:
        """Make the rows of a mailbox, from what :func:`_merged` made of its commits."""
        execute = self._connection.execute
        execute("UPDATE mailbox SET token = ? WHERE id = ?", (whole.get("token", 0), mailbox))
        if "record" in whole:
            record = codec.read_record(whole["record"])
            execute(rows.UPDATE_RECORD, (*rows.write_record(record), mailbox))
        for entry in whole["entries"].values():
            execute(rows.REPLACE_ENTRY, rows.write_entry(mailbox, codec.read_entry(entry)))
        for key, file in whole["raw"].items():
            execute(rows.REPLACE_RAW, (*rows.write_key(mailbox, key), json.dumps(file)))
        for epoch, uids in whole["passed"].items():
            for low, high in uids.pairs():
                execute(rows.INSERT_RANGE, (mailbox, epoch, low, high))
        for key in whole["asked"]:
            execute(rows.INSERT_ASKED, rows.write_key(mailbox, key))
        for inbox in whole["inboxes"].values():
            execute(rows.REPLACE_INBOX, rows.write_inbox(mailbox, codec.read_inbox(inbox)))
        for name, message in whole["letters"].items():
            number = self._insert(mailbox, codec.read_message(message))
            if (file := whole["letter_raw"].get(name)) is not None:
                execute(rows.REPLACE_BYTES, (number, json.dumps(file)))
            if (request := whole["wishes"].get(name)) is not None:
                execute(rows.UPDATE_REQUEST, (OperatorRequest(request).value, number))

    def _line(self, touched: Iterable[Row]) -> tuple[dict[str, Any], set[str], set[str]]:
        """A commit as JSON: the rows that it touched, as they are now.

        Returns:
            The line without its number; the files that were kept under the touched keys before,
            and those that are now.
        """
        execute = self._connection.execute
        line: dict[str, Any] = {}
        before: set[str] = set()
        after: set[str] = set()
        for kind, mailbox, *key, held in touched:
            if not line:
                name = execute(_SELECT_NAME, (mailbox,)).fetchone()
                line["mailbox"] = codec.write_mailbox(rows.read_mailbox(name))
            if held is not None:
                before.add(held)
            if kind == "passed":
                line.setdefault(kind, []).append(key)
                continue
            query, write, if_missing = _NOW[kind]
            place = [column for column in key if column is not None]
            row = execute(query, (mailbox, *place)).fetchone()
            value = None if row is None else write(row)
            if kind in ("raw", "letter_raw") and row is not None:
                after.add(row[0])
            if not place:
                line[kind] = value
            elif kind in ("entries", "letters"):
                line.setdefault(kind if row else if_missing, []).append(value or _name(place))
            else:
                line.setdefault(kind, []).append([_name(place), value if row else if_missing])
        if "passed" in line:
            uids: dict[int, UidSet] = {}
            for epoch, low, high in line["passed"]:
                uids.setdefault(epoch, UidSet()).update(UidSet([(low, high)]))
            line["passed"] = [[epoch, str(ranges)] for epoch, ranges in uids.items()]
        for kind in ("letter_raw", "wishes") if "forgotten" in line else ():
            # A letter that is forgotten takes them along.
            pairs = [pair for pair in line.pop(kind, ()) if pair[0] not in line["forgotten"]]
            line.update({kind: pairs} if pairs else {})
        return line, before, after

    def _dump(self, mailbox: int) -> dict[str, Any]:
        """A mailbox as one big commit; entries and messages are made as they are written."""
        execute = self._connection.execute
        touched = execute(_EVERYTHING, (mailbox,)).fetchall()
        entries = execute(rows.SELECT_ENTRIES, (mailbox,))
        return {
            **self._line(touched)[0],
            "entries": (codec.write_fields(rows.read_entry(row)) for row in entries),
            "letters": map(_letter, execute(rows.SELECT_NAMED_MESSAGES, (mailbox,))),
        }

    # Writing

    @property
    def _journal_path(self) -> str:
        return self.path + ".journal"

    def _hold(self, raw: bytes) -> str:
        file = self._raws.name(self._sequence + 1, len(self._held), raw)
        held = _column(file)
        self._held[held] = raw
        return held

    def _raw(self, row: Row) -> bytes | None:
        file = _file(row[0])
        raw = self._raws.read(file)
        if raw is None:
            self._forget_lost([file])
        return raw

    def _commit(self) -> None:
        """Write what was touched to the journal: one fsync, three more with bytes."""
        execute = self._connection.execute
        touched = dict.fromkeys(execute(_TOUCHED).fetchall())
        if not touched:
            super()._commit()
            return
        execute("DELETE FROM touched")
        line, before, after = self._line(touched)
        self._write_raws([(_file(held), raw) for held, raw in self._held.items() if held in after])
        try:
            self._append(line)
        except StoreError:
            if not self._journal.torn:  # else the line may be there still, and name them
                self._raws.remove(map(_file, after - before))
            raise
        super()._commit()
        self._settled = True
        self._held.clear()
        self._raws.remove(map(_file, before - after))
        self._fold_if_due()

    def _rollback(self) -> None:
        self._held.clear()
        super()._rollback()

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

    def _append(self, line: dict[str, Any]) -> None:
        """Make a commit durable. The store is not settled until it is in memory as well.

        Raises:
            StoreError: nothing was written, or it was taken back, or will be before the next one.
        """
        encoded = write_line({"n": self._sequence + 1, **line})
        self._settled = False
        try:
            self._journal.append(encoded)
        except OSError as error:
            self._settled = True
            raise store_error(self._journal_path, error) from error
        self._sequence += 1

    def _fold_if_due(self) -> None:
        """Fold the journal into a new snapshot when it has outgrown the old one.

        The commit that came before is durable already. So where this fails it is put off, and the
        journal grows.
        """
        if self._journal.length < self._fold_at:
            return
        try:
            self._fold()
        except OSError as error:
            log.warning("%s; the journal grows until then", store_error(self.path, error))
            self._fold_at = self._journal.length + JOURNAL_FLOOR_BYTES

    def _fold(self) -> None:
        numbers = self._connection.execute(_SELECT_NUMBERS).fetchall()
        mailboxes = (self._dump(number) for (number,) in numbers)
        size = write_snapshot(self.path, self._sequence, mailboxes, self._files)
        self._journal.clear()
        self._fold_at = _threshold(size)


def _threshold(snapshot_bytes: int) -> int:
    """The octets of the journal at which it is folded in."""
    return max(JOURNAL_FLOOR_BYTES, JOURNAL_RATIO * snapshot_bytes)


def _merged(commits: Iterable[dict[str, Any]]) -> dict[MailboxKey, dict[str, Any]]:
    """The mailboxes as the last commits have them, each as one big commit with rows by their keys.

    A row that was written a hundred times is read once that way.
    """
    mailboxes: dict[MailboxKey, dict[str, Any]] = {}
    for value in commits:
        if "mailbox" not in value:
            continue
        key = codec.read_mailbox(value["mailbox"])
        if (whole := mailboxes.get(key)) is None:
            whole = mailboxes[key] = {name: {} for name in (*_BY_KEY, *_BY_NAME, "passed")}
        whole.update((name, value[name]) for name in ("token", "record") if name in value)
        for removed in value.get("removed", ()):
            whole["entries"].pop(codec.read_key(removed), None)
        for entry in value.get("entries", ()):
            whole["entries"][codec.read_key(entry["key"])] = entry
        for forgotten in map(codec.read_text, value.get("forgotten", ())):
            for name in ("letters", "letter_raw", "wishes"):
                whole[name].pop(forgotten, None)
        for message in value.get("letters", ()):
            whole["letters"][codec.read_text(message["key"])] = message
        for name, read in _PAIRS:
            for place, row in value.get(name, ()):
                if row in (None, False):
                    whole[name].pop(read(place), None)
                else:
                    whole[name][read(place)] = row
        for epoch, uids in value.get("passed", ()):
            whole["passed"].setdefault(epoch, UidSet()).update(UidSet.parse(uids))
    return mailboxes


_BY_KEY = ("entries", "raw", "asked")
_BY_NAME = ("inboxes", "letters", "letter_raw", "wishes")
_PAIRS: list[tuple[str, Callable[[Any], Any]]] = [
    *((name, codec.read_key) for name in ("raw", "asked")),
    *((name, codec.read_text) for name in ("inboxes", "letter_raw", "wishes")),
]
"""The rows of which a commit says ``[key, row]``, with ``null`` or ``false`` for none."""

_SELECT_NAME = "SELECT account, mailbox FROM mailbox WHERE id = ?"
_SELECT_NUMBERS = "SELECT id FROM mailbox ORDER BY id"
_SELECT_ONE_ASKED = "SELECT 1 FROM asked WHERE mailbox = ? AND epoch = ? AND uid = ? AND inbox = ?"
_SELECT_INBOX = (
    "SELECT id, name, address, created_at, backfill FROM inbox WHERE mailbox = ? AND id = ?"
)
_SELECT_WISH = "SELECT wish FROM letter WHERE outbox = ? AND key = ?"
_NOW: dict[str, tuple[str, Callable[[Row], Any], Any]] = {
    "token": (rows.SELECT_FENCE, itemgetter(0), None),
    "record": (rows.SELECT_RECORD, lambda row: _record(row), None),
    "entries": (rows.SELECT_ENTRY, lambda row: codec.write_fields(rows.read_entry(row)), "removed"),
    "raw": (rows.SELECT_RAW, lambda row: json.loads(row[0]), None),
    "asked": (_SELECT_ONE_ASKED, bool, False),
    "inboxes": (_SELECT_INBOX, lambda row: codec.write_inbox(rows.read_inbox(row)), None),
    "letters": (rows.SELECT_NAMED_MESSAGE, lambda row: _letter(row), "forgotten"),
    "letter_raw": (rows.SELECT_BYTES, lambda row: json.loads(row[0]), None),
    "wishes": (_SELECT_WISH, itemgetter(0), None),
}
"""For each kind of row: the query for what it is now, its JSON, and what stands for a missing one:
a value, or for entries and letters the list of the line that has its key."""
# As if a commit had touched all rows of a mailbox, but for entries and messages.
_EVERYTHING = """
    SELECT 'token', ?1, NULL, NULL, NULL, NULL
    UNION ALL SELECT 'record', id, NULL, NULL, NULL, NULL FROM mailbox
        WHERE id = ?1 AND epoch IS NOT NULL
    UNION ALL SELECT 'raw', mailbox, epoch, uid, inbox, NULL FROM raw WHERE mailbox = ?1
    UNION ALL SELECT 'passed', mailbox, epoch, low, high, NULL FROM passed_over
        WHERE mailbox = ?1
    UNION ALL SELECT 'asked', mailbox, epoch, uid, inbox, NULL FROM asked WHERE mailbox = ?1
    UNION ALL SELECT 'inboxes', mailbox, id, NULL, NULL, NULL FROM inbox WHERE mailbox = ?1
    UNION ALL SELECT 'letter_raw', outbox, key, NULL, NULL, NULL FROM letter_raw
        JOIN letter ON id = letter WHERE outbox = ?1
    UNION ALL SELECT 'wishes', outbox, key, NULL, NULL, NULL FROM letter
        WHERE outbox = ?1 AND wish IS NOT NULL
"""


def _name(place: list[Any]) -> Any:
    """The key of an entry, or the name of another row."""
    if len(place) == 1:
        return codec.write_text(read_text(place[0]))
    return codec.write_key(rows.read_key(tuple(place)))


def _record(row: Row) -> Any:
    record = rows.read_record(row)
    return None if record is None else codec.write_record(record)


def _letter(row: Row) -> Any:
    return codec.write_fields(rows.read_message(read_text(row[0]), row[1:]))


def _column(file: RawFile) -> str:
    return json.dumps([file.name, file.size, file.crc])


def _file(held: str) -> RawFile:
    name, size, crc = json.loads(held)
    return RawFile(name, size, crc)
