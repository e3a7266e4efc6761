"""A file of commits, one line each, that is only ever appended to.

A line is ``CRC LENGTH JSON``: the CRC-32 of all that follows it and the octets of the JSON, each as
eight hexadecimal digits. The length tells a line that was cut off while it was written (shorter
than announced, or octets that the disk never got: NUL, which JSON does not have) from a damaged
one. Only the last line can be cut off, since every line is on the disk before the next is begun.
"""

from __future__ import annotations

import json
import os
import weakref
from binascii import crc32
from dataclasses import dataclass
from typing import Any

from nornmail.errors import StoreError
from nornmail.stores.files import Files

_CRC = 8
_HEAD = _CRC + 1 + 8 + 1
"""Octets of a line before its JSON."""


class Damaged(Exception):
    """A line is not what was written."""


@dataclass(frozen=True, slots=True)
class Lines:
    """What a journal holds.

    Attributes:
        values: one for each whole line, in order.
        length: octets up to the end of the last whole line; what follows was cut off.
    """

    values: list[dict[str, Any]]
    length: int


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
    values: list[dict[str, Any]] = []
    at = 0
    while at < len(data):
        end = data.find(b"\n", at)
        line = data[at:] if end < 0 else data[at:end]
        last = end < 0 or end + 1 == len(data)
        if end >= 0 and _sound(line):
            values.append(json.loads(line[_HEAD:]))
            at = end + 1
        elif last and _cut_off(line, ended=end >= 0):
            break
        else:
            raise Damaged(f"line {len(values) + 1} (octet {at})")
    return Lines(values, at)


def _sound(line: bytes) -> bool:
    return (
        len(line) >= _HEAD
        and line[:_CRC] == b"%08x" % crc32(line[_CRC:])
        and line[_CRC:_HEAD] == b" %08x " % (len(line) - _HEAD)
    )


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


class Journal:
    """The journal's file, open for appending.

    Args:
        path: the file; it must be there.
        length: octets of it that are whole.
        files: the effects.
    """

    def __init__(self, path: str, length: int, files: Files) -> None:
        self.length = length
        self._files = files
        self._fd = files.open(path, os.O_WRONLY | os.O_APPEND)
        self._closer = weakref.finalize(self, os.close, self._fd)
        self._torn = os.fstat(self._fd).st_size != length

    def append(self, line: bytes) -> None:
        """Write a line and return when it is on the disk.

        Raises:
            OSError: it is not; the next append takes away what was written of it.
        """
        self.mend()
        self._torn = True
        try:
            self._files.write(self._fd, line)
            self._files.fsync(self._fd)
        except OSError as error:
            self._try_to_mend(error)
            raise
        self._torn = False
        self.length += len(line)

    def clear(self) -> None:
        """Take all lines away: a snapshot holds them.

        Raises:
            OSError: they may be there still; the next append takes them away. If that never comes,
                their numbers tell that the snapshot holds them.
        """
        self.length = 0
        self._torn = True
        self.mend()

    def close(self) -> None:
        """Let go of the file. Doing it twice is harmless."""
        self._closer()

    @property
    def torn(self) -> bool:
        """Whether something may follow the whole lines: a part of one, or one that failed."""
        return self._torn

    def mend(self) -> None:
        """Cut the file back to its whole lines, so that nothing is ever appended to a torn one.

        Raises:
            OSError: it is as torn as it was.
        """
        if self._torn:
            self._files.truncate(self._fd, self.length)
            self._files.fsync(self._fd)
            self._torn = False

    def _try_to_mend(self, error: OSError) -> None:
        """Mend at once, so that a crash now does not find a commit that was reported as failed."""
        try:
            self.mend()
        except OSError as again:
            error.add_note(f"and what was written of it could not be taken back: {again}")


def damaged(path: str, what: object) -> StoreError:
    """The error for a file of a store that is not what was written."""
    return StoreError(
        f"the state store {path} is damaged: {what}: "
        "put it back from a backup, together with the files beside it; "
        "to begin anew, move all of them away (known mail may be delivered again)"
    )
