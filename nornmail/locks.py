"""A lock of the operating system on a file: it goes when the process that holds it goes.

``flock`` on POSIX and a byte-range lock on Windows belong to the open file and not to the process,
so two holders within one process exclude each other as well.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import weakref
from io import FileIO

from nornmail.errors import StoreError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

HOLDER_BYTES = 255
"""Octets of the holder's name that are written down: a host name (at most 253) and more."""
LOCKED_BYTE = 1 << 30
"""The byte that Windows locks. Its locks keep others from reading, so it lies past the text."""
FILE_MODE = 0o600
"""Files of a store belong to their owner only: they contain mail."""


class LockTaken(StoreError):
    """Another process or object holds the lock.

    Attributes:
        holder: as that one named itself, ``""`` if unknown.
    """

    def __init__(self, path: str, holder: str) -> None:
        self.holder = holder
        super().__init__(f"{path} is locked by {holder or 'another process'}")


class FileLock:
    """A lock on a file of its own. Not held after construction.

    The file is left in place when the lock is released: if it were removed, a process that had
    opened it a moment before would lock a file that has no name any more, and a third one another
    file of that name, and both would hold "the" lock.

    Args:
        path: the file; made where it is missing.
    """

    _file: FileIO | None = None

    def __init__(self, path: str) -> None:
        self.path = path

    @property
    def held(self) -> bool:
        """Whether this object holds the lock; ``False`` in a child that was forked since."""
        return self._file is not None and not self._file.closed

    def acquire(self, holder: str) -> None:
        """Take the lock or fail at once; it never waits.

        Args:
            holder: written into the file, for the message to the next one (``host:pid``).

        Raises:
            LockTaken: it is held, be it by this object.
            OSError: the file cannot be made, locked or written. The lock is not held then.
        """
        with _fork_guard:
            self._acquire(holder)

    def _acquire(self, holder: str) -> None:
        # The file frees the lock as it is closed, which a signal's exception cannot cut in two, and
        # which comes about by itself where one fell between this and its caller.
        file = FileIO(self.path, "r+", opener=_open)
        try:
            if not _try_lock(file.fileno()):
                raise LockTaken(self.path, _read_holder(file.fileno()))
            file.truncate(0)
            file.seek(0)
            file.write(holder.encode("utf-8", "backslashreplace")[:HOLDER_BYTES])
            _held.add(self)
        except BaseException:
            file.close()
            raise
        self._file = file

    def release(self) -> None:
        """Give the lock back. Doing it twice, or without holding it, is harmless."""
        if self._file is not None:
            self._file.close()
        _held.discard(self)

    def __del__(self) -> None:
        """Give the lock back: its owner was dropped."""
        if self._file is not None:
            self._file.close()


def _open(path: str, flags: int) -> int:
    flags |= os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
    return os.open(path, flags, FILE_MODE)  # not inheritable (PEP 446)


def holder_of(path: str) -> str:
    """The process that holds the lock on the file at ``path``; ``""`` if there is none.

    The file keeps the name of the last holder. Trying the lock could be in the way of a process
    that takes it at this instant, so it is tried only if the last holder may be alive.
    """
    try:
        fd = os.open(path, os.O_RDONLY)
    except OSError:  # it was never locked, or it is another user's
        return ""
    try:
        holder = _read_holder(fd)
        host, _, process = holder.rpartition(":")
        is_here = host == socket.gethostname() and process.isdigit()
        if is_here and not _is_alive(int(process)):
            return ""
        return holder if _is_locked(fd) else ""
    finally:
        os.close(fd)


def _is_alive(process: int) -> bool:
    if sys.platform == "win32":
        return True  # os.kill() would end it
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's
    return True


def _read_holder(fd: int) -> str:
    os.lseek(fd, 0, os.SEEK_SET)
    return os.read(fd, HOLDER_BYTES).decode("utf-8", "replace")


if sys.platform == "win32":

    def _try_lock(fd: int) -> bool:
        os.lseek(fd, LOCKED_BYTE, os.SEEK_SET)
        try:
            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
        except PermissionError:  # EACCES is how it says "locked"
            return False
        return True

    def _is_locked(fd: int) -> bool:
        return True  # a file that is open for reading cannot be tried

else:

    def _try_lock(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _is_locked(fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False  # closing the file gives it back


_held: weakref.WeakSet[FileLock] = weakref.WeakSet()
_fork_guard = threading.Lock()
"""Held while a lock is taken and while the process forks: a fork in between would hand the child
a file that is not in the set yet."""


def _close_in_child() -> None:
    """Close what the child inherited: its copy would keep the lock after the parent died.

    Closing leaves the parent's lock alone; unlocking (LOCK_UN) would take it from the parent.
    """
    for lock in list(_held):
        lock.release()
    _fork_guard.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_fork_guard.acquire,
        after_in_parent=_fork_guard.release,
        after_in_child=_close_in_child,
    )
