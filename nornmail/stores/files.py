"""Every effect that the JSON store has on the disk, as one object that can be replaced.

A test that wants to know what a crash leaves behind hands in one that stops before or after a
certain effect.
"""

from __future__ import annotations

import os
import sys

from nornmail.stores.locks import FILE_MODE

if sys.platform == "darwin":
    import fcntl


class Files:
    """The file system. All methods raise OSError as the system does."""

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
