"""The files of a JSON store: a journal of commits, a snapshot, and the bytes of messages.

The journal has a line for each commit and is only ever appended to. A line is ``CRC LENGTH JSON``:
the CRC-32 of all that follows it and the octets of the JSON, each as eight hexadecimal digits. The
length tells a line that was cut off while it was written (shorter than announced, or octets that
the disk never got: NUL, which JSON does not have) from a damaged one. Only the last line can be cut
off, since every line is on the disk before the next is begun.

The snapshot is the whole state as one JSON document with a checksum. The bytes of waiting and dead
mail are a file each, in a directory next to them.

All of it raises OSError as the system does; the store says what to do.
"""

from __future__ import annotations

import json
import os
import re
from binascii import crc32
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from io import FileIO
from typing import Any, NamedTuple

from nornmail.errors import StoreError
from nornmail.files import Files
from nornmail.stores.errors import damaged, newer
from nornmail.stores.json_rows import from_before

_NAME = re.compile(r"[0-9a-f]{12}-[0-9]+\.eml")
"""The names that are given here. A file with another name belongs to others and stays."""


class RawFiles:
    """The directory with the bytes of messages, which is made with the first file.

    A file is named by the value of a column: an array in JSON of its name, its size and its CRC-32,
    which tell that it is whole.
    """

    def __init__(self, path: str, files: Files) -> None:
        self._directory = path
        self._files = files

    def column(self, sequence: int, index: int, raw: bytes) -> str:
        """The column for a new file with these bytes: its name is the commit's, and a count.

        A commit that failed and is tried again uses the same names again.
        """
        file = [f"{sequence:012x}-{index}.eml", len(raw), crc32(raw)]
        return json.dumps(file, separators=(",", ":"))

    def path(self, column: str) -> str:
        """The path of the file."""
        return os.path.join(self._directory, json.loads(column)[0])

    def write(self, raws: Mapping[str, bytes]) -> None:
        """Write files, and return when they and their names are on the disk: all, or none."""
        try:
            if not os.path.isdir(self._directory):
                self._files.make_directory(self._directory)
                self._files.fsync_directory(os.path.dirname(self._directory))
            for column, raw in raws.items():
                self._files.write_whole(self.path(column), [raw])
            self._files.fsync_directory(self._directory)
        except OSError:
            self.remove(raws)
            raise

    def read(self, column: str) -> bytes | None:
        """The bytes; ``None`` where another program removed or changed the file."""
        try:
            with open(self.path(column), "rb") as stream:
                raw = stream.read()
        except FileNotFoundError:
            return None
        return raw if [len(raw), crc32(raw)] == json.loads(column)[1:] else None

    def remove(self, columns: Iterable[str]) -> None:
        """Remove files that nothing names any more.

        One that cannot be removed is an orphan, which the next start removes: the commit that it
        belonged to is through, or has failed for a reason of its own, and its outcome is not this.
        """
        for column in columns:
            with suppress(OSError):
                self._files.unlink(self.path(column))

    def find_lost(self, columns: Iterable[str]) -> list[str]:
        """Those of ``columns`` whose files are missing or of another size; orphans are removed."""
        sizes: dict[str, int] = {}
        if os.path.isdir(self._directory):
            with os.scandir(self._directory) as entries:
                sizes = {entry.name: entry.stat().st_size for entry in entries}
        named = {column: json.loads(column) for column in columns}
        for name in sorted(sizes.keys() - {name for name, *_ in named.values()}):
            if _NAME.fullmatch(name):
                self._files.unlink(os.path.join(self._directory, name))
        return [column for column, (name, size, _) in named.items() if sizes.get(name) != size]


_CRC = 8
_HEAD = _CRC + 1 + 8 + 1
"""Octets of a line before its JSON."""


class Damaged(Exception):
    """A line is not what was written."""


class Lines(NamedTuple):
    """The content of a journal.

    Attributes:
        values: one for each whole line, in order.
        length: octets up to the end of the last whole line; what follows was cut off.
        ended: the last whole line has its newline, which is the one octet that may be cut off
            without a loss: the checksum says that the line is whole.
    """

    values: list[dict[str, Any]]
    length: int
    ended: bool = True


def write_line(value: dict[str, Any]) -> bytes:
    """A line with its end, without NUL or any other octet beyond ASCII."""
    body = json.dumps(value, separators=(",", ":")).encode("ascii")
    rest = b" %08x %s" % (len(body), body)
    return b"%08x%s\n" % (crc32(rest), rest)


def read_lines(data: bytes) -> Lines:
    """The lines of a journal.

    Raises:
        Damaged: a line that was written whole is not whole any more. The text says where.
    """
    bodies: list[bytes] = []
    at, ended = 0, True
    while at < len(data) and ended:
        end = data.find(b"\n", at)
        line = data[at:] if end < 0 else data[at:end]
        last = end < 0 or end + 1 == len(data)
        if _sound(line):
            bodies.append(line[_HEAD:])
            ended = end >= 0
            at += len(line) + ended
        elif last and _cut_off(line, ended=end >= 0):
            break
        else:
            raise Damaged(f"line {len(bodies) + 1} (octet {at})")
    # All at once: the start of the decoder costs more than most lines.
    return Lines(json.loads(b"[%s]" % b",".join(bodies)), at, ended)


def _sound(line: bytes) -> bool:
    size = b" %08x " % (len(line) - _HEAD)
    return line[:_CRC] == b"%08x" % crc32(line[_CRC:]) and line[_CRC:_HEAD] == size


def _cut_off(line: bytes, *, ended: bool) -> bool:
    if line[:1] == b"\0" or line[-1:] == b"\0" or b"\0\0" in line:
        return True  # one alone, in the middle, is a flipped bit: a space that lost its only one
    if ended:
        return False
    try:
        length = int(line[_CRC + 1 : _HEAD - 1], 16)
    except ValueError:
        return len(line) < _HEAD
    return len(line) < _HEAD + length


class End(NamedTuple):
    """The number of a journal's last commit, and the octets up to the end of its line."""

    sequence: int
    length: int


class Journal:
    """The journal's file, which must be there, open for appending behind the end that was read."""

    def __init__(self, path: str, end: End, files: Files) -> None:
        self.end = end
        self.undecided: End | None = None
        """The end with the line that was appended, until it is kept or dropped."""
        self._files = files
        # A file and not its number: it is closed with the journal, not while the process ends and a
        # thread still writes, and once closed it is never another file.
        self._file = FileIO(
            path, "a", opener=lambda path, _: files.open(path, os.O_WRONLY | os.O_APPEND)
        )
        self.torn = os.fstat(self._file.fileno()).st_size != end.length
        """Something may follow the whole lines: a part of one, or one that was not kept."""

    def append(self, commit: dict[str, Any]) -> None:
        """Write a line and return when it is on the disk. It counts once it is kept.

        Where that fails, the next append takes away what was written of it.
        """
        self.mend()
        sequence = self.end.sequence + 1
        line = write_line({"n": sequence, **commit})
        self.undecided = End(sequence, self.end.length + len(line))
        self.torn = True
        try:
            self._files.write(self._file.fileno(), line)
            self._files.fsync(self._file.fileno())
        except OSError as error:
            try:
                self.drop()
            except OSError as again:
                error.add_note(f"and what was written of it could not be taken back: {again}")
            raise

    def keep(self) -> None:
        """Count the line that was appended, if there is one; doing it twice is harmless."""
        if self.undecided is not None:
            self.end = self.undecided
            self.torn = False
            self.undecided = None

    def drop(self) -> None:
        """Take the line away that was appended, if there is one.

        A crash now should not find a commit that was reported as failed. Where that fails, the next
        append takes it away.
        """
        if self.undecided is not None:
            self.undecided = None
            self.mend()

    def clear(self) -> None:
        """Take all lines away: a snapshot holds them.

        Where that fails, the next append takes them away. If that never comes, their numbers tell
        that the snapshot holds them.
        """
        self.torn = True
        self.end = End(self.end.sequence, 0)
        self.mend()

    def close(self) -> None:
        """Let go of the file. Doing it twice is harmless."""
        if "_file" in self.__dict__:  # else it could not be opened
            self._file.close()

    __del__ = close  # its store was dropped, or could not be opened

    def mend(self) -> None:
        """Cut the file back to its whole lines, so that nothing is ever appended to a torn one."""
        if self.torn:
            self._files.truncate(self._file.fileno(), self.end.length)
            self._files.fsync(self._file.fileno())
            self.torn = False


# The snapshot: the whole state as one JSON document with a checksum.

VERSION = 5
"""The format's version: a program refuses a higher one than it knows, since it does not know every
field of it. It rises with a column that is added to a table."""
JOURNAL = ".journal"
TEMPORARY = ".tmp"
"""Ends the names of the journal, and of the next snapshot while it is written; one that is found
was cut off, and has no use."""
CHUNK_BYTES = 1 << 20
"""Octets that are written at a time: a big state is never in memory twice."""
_OPENING = b'{"format": "nornmail state", "version": '
_CHECKSUM = b'"checksum": "%08x"}\n'
"""The last line; the CRC-32 is that of all before it."""


class Saved(NamedTuple):
    """What the files of a store say.

    Attributes:
        version: of the snapshot's format.
        commits: the snapshot as one commit of all rows, and those that followed it.
        sequence: the number of the last one.
        size: octets of the snapshot.
        journal: the content of the journal, some of whose lines the snapshot may hold already.
    """

    version: int
    commits: list[dict[str, Any]]
    sequence: int
    size: int
    journal: Lines = Lines([], 0)


def check_opening(path: str) -> bool:
    """Whether there is a snapshot at ``path``, by its first octets; nothing else is looked at.

    Raises:
        StoreError: there is something else, or a snapshot of a newer program.
    """
    try:
        with open(path, "rb") as file:
            opening = file.read(len(_OPENING) + 16)
    except FileNotFoundError:
        return False
    if not opening.startswith(_OPENING):
        raise StoreError(
            f"{path} is not a state store of nornmail (or its beginning is damaged): "
            "choose another path, or restore it from a backup"
        )
    digits = re.match(rb"\d+", opening[len(_OPENING) :])
    if digits and int(digits[0]) > VERSION:
        raise newer(f"the state store {path}", int(digits[0]), VERSION)
    return True


def read_saved(path: str) -> Saved | None:
    """What the snapshot at ``path`` and its journal say, ``None`` where there is neither.

    Raises:
        StoreError: one is damaged, missing, something else, or of a newer program.
    """
    # The journal first: what another process folds into the snapshot meanwhile is in both.
    journal = path + JOURNAL
    try:
        with open(journal, "rb") as file:
            lines = read_lines(file.read())
    except FileNotFoundError:
        lines = None
    except Damaged as error:
        raise damaged(journal, error) from error
    if not check_opening(path):
        if lines is not None and lines.values:
            raise damaged(path, "it is missing, and there is a journal next to it")
        return None
    if lines is None:
        raise damaged(journal, "it is missing")
    with open(path, "rb") as file:
        data = file.read()
    last = len(data) - len(_CHECKSUM % 0)
    if last < 0 or data[last:] != _CHECKSUM % crc32(memoryview(data)[:last]):
        raise damaged(path, "its checksum does not fit")
    value = json.loads(data)
    commits = [value["tables"]] if "tables" in value else value["mailboxes"]
    sequence = value["sequence"]
    for number, commit in enumerate(lines.values, start=1):
        if commit["n"] <= sequence:
            continue  # cut off after the snapshot was in place, before the journal was cleared
        sequence += 1
        if commit["n"] != sequence:
            raise damaged(journal, f"a line is missing before line {number}")
        commits.append(commit)
    if "tables" not in value:
        commits = [from_before(commits)]
    return Saved(value["version"], commits, sequence, len(data), lines)


def write_snapshot(
    path: str, sequence: int, tables: Iterable[tuple[str, Iterable[Any]]], files: Files
) -> int:
    """Replace the snapshot at ``path``: a reader finds the old one or the new one, whole.

    The rows of the tables, as they are after the commit of this number, are made as they are
    written. Returns the snapshot's size in octets.
    """
    return files.replace_whole(path, path + TEMPORARY, _chunks(sequence, tables))


def _chunks(sequence: int, tables: Iterable[tuple[str, Iterable[Any]]]) -> Iterator[bytes]:
    """The snapshot in big chunks: a line for each row, for people and their tools."""
    checksum = 0
    buffer = bytearray(b'%s%d, "sequence": %d, "tables": {' % (_OPENING, VERSION, sequence))
    for number, (name, rows) in enumerate(tables):
        buffer += b'%s\n"%s": [' % (b"," if number else b"", name.encode("ascii"))
        for index, row in enumerate(rows):
            line = json.dumps(row, separators=(",", ":"))
            buffer += b"%s\n%s" % (b"," if index else b"", line.encode("ascii"))
            if len(buffer) >= CHUNK_BYTES:
                checksum = crc32(buffer, checksum)
                yield bytes(buffer)
                buffer.clear()
        buffer += b"]"
    buffer += b"},\n"
    yield bytes(buffer) + _CHECKSUM % crc32(buffer, checksum)
