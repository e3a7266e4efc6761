"""The whole state as one JSON document with a checksum, and the order in which it is replaced."""

from __future__ import annotations

import json
import os
import re
from binascii import crc32
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from nornmail.errors import StoreError
from nornmail.stores.files import Files
from nornmail.stores.json_journal import damaged

VERSION = 2
"""The format's version: a program refuses a higher one than it knows. 2 added the letters and the
inboxes."""
LINED = ("entries", "letters")
"""What is written with a line for each, for people and their tools."""
CHUNK_BYTES = 1 << 20
"""Octets that are written at a time: a big state is never in memory twice."""
_OPENING = b'{"format": "nornmail state", "version": '
_TAIL = re.compile(rb'"checksum": "([0-9a-f]{8})"}\n\Z')
_TAIL_BYTES = 64
"""More octets than the last line can have."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A state as it was after the commit with the number ``sequence``."""

    version: int
    sequence: int
    mailboxes: list[dict[str, Any]]
    size: int


def check_opening(path: str) -> bool:
    """Whether there is a snapshot at ``path``, by its first octets; nothing else is looked at.

    Raises:
        StoreError: there is something else, or a snapshot of a newer program.
        OSError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            opening = file.read(len(_OPENING) + 16)
    except FileNotFoundError:
        return False
    if not opening.startswith(_OPENING):
        raise StoreError(
            f"{path} is not a state store of nornmail (or its beginning is damaged): "
            "name another path, or put it back from a backup"
        )
    digits = re.match(rb"\d+", opening[len(_OPENING) :])
    if digits and int(digits[0]) > VERSION:
        raise StoreError(
            f"the state store {path} has version {int(digits[0])}, and this nornmail knows "
            f"{VERSION} at most: update nornmail"
        )
    return True


def read_snapshot(path: str) -> Snapshot:
    """The snapshot at ``path``.

    Raises:
        StoreError: it is damaged.
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        data = file.read()
    tail = _TAIL.search(data, max(0, len(data) - _TAIL_BYTES))
    if tail is None or int(tail[1], 16) != crc32(memoryview(data)[: tail.start()]):
        raise damaged(path, "its checksum does not fit")
    value = json.loads(data)
    return Snapshot(value["version"], value["sequence"], value["mailboxes"], len(data))


def write_snapshot(
    path: str, sequence: int, mailboxes: Iterable[dict[str, Any]], files: Files
) -> int:
    """Replace the snapshot at ``path``: whoever looks finds the old one or the new one, whole.

    Returns:
        Its size in octets.

    Raises:
        OSError: the old one may stand there still.
    """
    temporary = temporary_path(path)
    fd = files.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    try:
        try:
            size = 0
            for chunk in _chunks(_pieces(sequence, mailboxes)):
                files.write(fd, chunk)
                size += len(chunk)
            files.fsync(fd)
        finally:
            os.close(fd)
        files.replace(temporary, path)
        files.fsync_directory(os.path.dirname(path))
    except OSError:
        # On a full disk it is in the way. What went wrong is raised; the next start removes it too.
        with suppress(OSError):
            files.unlink(temporary)
        raise
    return size


def temporary_path(path: str) -> str:
    """Where the next snapshot is written. What is found there was cut off, and is of no use."""
    return path + ".tmp"


def _pieces(sequence: int, mailboxes: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    yield b'%s%d, "sequence": %d, "mailboxes": [' % (_OPENING, VERSION, sequence)
    for number, mailbox in enumerate(mailboxes):
        head = json.dumps({key: value for key, value in mailbox.items() if key not in LINED})
        yield b"%s\n%s" % (b"," if number else b"", head[:-1].encode("ascii"))
        for name in LINED:
            yield b', "%s": [' % name.encode("ascii")
            for index, value in enumerate(mailbox.get(name, ())):
                yield b",\n" if index else b"\n"
                yield json.dumps(value, separators=(",", ":")).encode("ascii")
            yield b"]"
        yield b"}"
    yield b"],\n"


def _chunks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces in big chunks, with the checksum at their end."""
    checksum = 0
    buffer = bytearray()
    for piece in pieces:
        buffer += piece
        if len(buffer) >= CHUNK_BYTES:
            checksum = crc32(buffer, checksum)
            yield bytes(buffer)
            buffer.clear()
    checksum = crc32(buffer, checksum)
    yield bytes(buffer) + b'"checksum": "%08x"}\n' % checksum
