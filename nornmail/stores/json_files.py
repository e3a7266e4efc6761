"""The bytes of waiting and dead mail, a file each, in a directory next to the JSON."""

from __future__ import annotations

import os
import re
import sys
from binascii import crc32
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass

from nornmail.locks import FILE_MODE
from nornmail.stores.errors import store_error

if sys.platform == "darwin":
    import fcntl


class Files:
    """Every effect that the JSON store has on the disk; tests replace it by one that fails.

    All methods raise OSError as the system does.
    """

    def open(self, path: str, flags: int) -> int:
        """A file, made where ``flags`` say so, readable by its owner only."""
        return os.open(path, flags | getattr(os, "O_BINARY", 0), FILE_MODE)

    def make_directory(self, path: str) -> None:
        """A directory that is not there yet, its owner's only."""
        os.mkdir(path, 0o700)

    def write(self, fd: int, data: bytes) -> None:
        """All of ``data``; where it raises, a part may have been written."""
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]

    def fsync(self, fd: int) -> None:
        """Return when the file's bytes are on the disk."""
        if sys.platform == "darwin":
            # fsync(2) of macOS leaves them in the drive's cache.
            fcntl.fcntl(fd, fcntl.F_FULLFSYNC)
        else:
            os.fsync(fd)

    def fsync_directory(self, path: str) -> None:
        """Return when the names in a directory are on the disk."""
        if sys.platform != "win32":  # cannot open a directory there; NTFS journals the names
            fd = os.open(path, os.O_RDONLY)
            try:
                self.fsync(fd)
            finally:
                os.close(fd)

    def truncate(self, fd: int, length: int) -> None:
        """Cut the file after ``length`` octets."""
        os.ftruncate(fd, length)

    def replace(self, source: str, target: str) -> None:
        """Give ``source`` the name ``target``, in one step."""
        os.replace(source, target)

    def unlink(self, path: str) -> None:
        """Remove a file's name."""
        os.unlink(path)


_NAME = re.compile(r"[0-9a-f]{12}-[0-9]+\.eml")
"""The names that are given here. A file with another name belongs to others and stays."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file of the directory, and how to tell that it is whole."""

    name: str
    size: int
    crc: int


class RawFiles:
    """The directory. It is made with the first file.

    Args:
        path: where.
        files: the effects.
    """

    def __init__(self, path: str, files: Files) -> None:
        self.path = path
        self._files = files

    def name(self, sequence: int, index: int, raw: bytes) -> RawFile:
        """The name of the file for these bytes: the commit's number, and a count within it.

        A commit that failed and is tried again uses the same names again.
        """
        return RawFile(f"{sequence:012x}-{index}.eml", len(raw), crc32(raw))

    def write(self, raws: Iterable[tuple[RawFile, bytes]]) -> None:
        """Write files, and return when they and their names are on the disk.

        Raises:
            OSError: one could not be written.
        """
        if not os.path.isdir(self.path):
            self._files.make_directory(self.path)
            self._files.fsync_directory(os.path.dirname(self.path))
        for file, raw in raws:
            fd = self._files.open(self._path(file), os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            try:
                self._files.write(fd, raw)
                self._files.fsync(fd)
            finally:
                os.close(fd)
        self._files.fsync_directory(self.path)

    def read(self, file: RawFile) -> bytes | None:
        """The bytes; ``None`` where another program removed or changed the file.

        Raises:
            StoreError: the file cannot be read.
        """
        path = self._path(file)
        try:
            with open(path, "rb") as stream:
                raw = stream.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise store_error(path, error) from error
        return raw if (len(raw), crc32(raw)) == (file.size, file.crc) else None

    def remove(self, files: Iterable[RawFile]) -> None:
        """Remove files that nothing names any more.

        One that cannot be removed is an orphan, which the next start removes: the commit that it
        belonged to is through, or has failed for a reason of its own, and its outcome is not this.
        """
        for file in files:
            with suppress(OSError):
                self._files.unlink(self._path(file))

    def find_lost(self, files: Collection[RawFile]) -> set[RawFile]:
        """Those of ``files`` that are missing or of another size; unknown files are removed.

        Raises:
            OSError: the directory cannot be read, or an orphan cannot be removed.
        """
        sizes: dict[str, int] = {}
        if os.path.isdir(self.path):
            with os.scandir(self.path) as entries:
                sizes = {entry.name: entry.stat().st_size for entry in entries}
        for name in sorted(sizes.keys() - {file.name for file in files}):
            if _NAME.fullmatch(name):
                self._files.unlink(os.path.join(self.path, name))
        return {file for file in files if sizes.get(file.name) != file.size}

    def _path(self, file: RawFile) -> str:
        return os.path.join(self.path, file.name)
