"""Files that survive a crash: the effects on the disk, and the identity of what is open."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from contextlib import suppress

from nornmail.errors import StoreError
from nornmail.locks import FILE_MODE

if sys.platform == "darwin":
    import fcntl


class Files:
    """Every effect on the disk of what must survive a crash; tests replace it by one that fails.

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

    def write_whole(self, path: str, chunks: Iterable[bytes]) -> int:
        """Write a file anew, and return its size when its bytes are on the disk."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
        fd = self.open(path, flags)
        try:
            if hasattr(os, "fchmod"):
                os.fchmod(fd, FILE_MODE)  # it may be left from a process that was killed
            size = 0
            for chunk in chunks:
                self.write(fd, chunk)
                size += len(chunk)
            self.fsync(fd)
        finally:
            os.close(fd)
        return size

    def replace_whole(self, path: str, temporary: str, chunks: Iterable[bytes]) -> int:
        """Replace a file by a new one: a reader and a crash find the old or the new one, whole.

        Args:
            path: the file.
            temporary: the name of the new one until it is on the disk, in the same directory.
            chunks: its content.

        Returns:
            Its size in octets.

        Raises:
            OSError: the old one may stand there still; the temporary one is removed.
        """
        try:
            size = self.write_whole(temporary, chunks)
            self.replace(temporary, path)
            self.fsync_directory(os.path.dirname(path) or ".")
        except OSError:
            with suppress(OSError):  # on a full disk it is in the way
                self.unlink(temporary)
            raise
        return size


class FileIdentity:
    """The identity of a store's files while it is open.

    A file that is removed or replaced under an open store can still be written to. Everything
    that is written then is lost with the last descriptor, after mail was marked as handled.

    Args:
        paths: the files; they must be there.
    """

    def __init__(self, *paths: str) -> None:
        self._paths = [(path, os.stat(path)) for path in paths]

    def check(self) -> None:
        """Return if each path still leads to its file.

        Raises:
            StoreError: one was removed or replaced.
            OSError: one cannot be looked at.
        """
        for path, before in self._paths:
            try:
                now = os.stat(path)
                if now.st_ino == before.st_ino and now.st_dev == before.st_dev:
                    continue
            except FileNotFoundError:
                pass
            raise StoreError(
                f"the state store {path} was removed or replaced while it was open: "
                "stop the program, put the file back, and start again"
            )
