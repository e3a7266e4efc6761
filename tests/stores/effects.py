"""File systems that stop or fail where a test says so, and what a JSON store left on the disk."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from nornmail.files import Files
from nornmail.model import State
from nornmail.stores.json_store import JsonStateStore
from tests.stores.support import INBOX


class Stopped(BaseException):
    """The process ended here."""


class Numbered(Files):
    """Counts the effects, and stops or fails at one of them.

    Args:
        at: the number of the effect, from 1.
        raises: what happens there; the effects after it are refused as well when it is Stopped.
        half: a write does half of its work before that.
        after: it happens after the effect and not before it.
    """

    def __init__(
        self,
        at: int = 0,
        raises: BaseException | None = None,
        half: bool = False,
        after: bool = False,
    ) -> None:
        self.log: list[str] = []
        self.at, self.raises, self.half, self.after = at, raises, half, after

    def _run(self, name: str, effect: Callable[[], None], part: Callable[[], None]) -> None:
        self.log.append(name)
        number = len(self.log)
        dead = isinstance(self.raises, Stopped) and number > self.at > 0
        if self.raises is not None and (number == self.at or dead):
            if number == self.at and self.after:
                effect()
            elif number == self.at and self.half:
                part()
            raise self.raises
        effect()

    def open(self, path: str, flags: int) -> int:
        if not flags & os.O_CREAT:
            return super().open(path, flags)
        opened: list[int] = []
        try:
            self._run("open", lambda: opened.append(Files.open(self, path, flags)), lambda: None)
        except BaseException:
            for fd in opened:
                os.close(fd)
            raise
        return opened[0]

    def make_directory(self, path: str) -> None:
        self._run("make_directory", lambda: Files.make_directory(self, path), lambda: None)

    def write(self, fd: int, data: bytes) -> None:
        self._run(
            "write",
            lambda: Files.write(self, fd, data),
            lambda: Files.write(self, fd, data[: len(data) // 2]),
        )

    def fsync(self, fd: int) -> None:
        self._run("fsync", lambda: Files.fsync(self, fd), lambda: None)

    def truncate(self, fd: int, length: int) -> None:
        self._run("truncate", lambda: Files.truncate(self, fd, length), lambda: None)

    def replace(self, source: str, target: str) -> None:
        self._run("replace", lambda: Files.replace(self, source, target), lambda: None)

    def unlink(self, path: str) -> None:
        self._run("unlink", lambda: Files.unlink(self, path), lambda: None)


class Full(Files):
    """A disk that is full as long as ``full`` is set: a write does half, nothing shrinks."""

    full = False

    def write(self, fd: int, data: bytes) -> None:
        if self.full:
            super().write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        super().write(fd, data)

    def truncate(self, fd: int, length: int) -> None:
        if self.full:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().truncate(fd, length)


class Refusing(Files):
    """Refuses to sync or to truncate the journal, as named; what is written to it is there."""

    def __init__(self) -> None:
        self.refused: set[str] = set()
        self.journal = -1

    def open(self, path: str, flags: int) -> int:
        fd = super().open(path, flags)
        if path.endswith(".journal"):
            self.journal = fd
        return fd

    def _check(self, name: str, fd: int) -> None:
        if fd == self.journal and name in self.refused:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def fsync(self, fd: int) -> None:
        self._check("fsync", fd)
        super().fsync(fd)

    def truncate(self, fd: int, length: int) -> None:
        self._check("truncate", fd)
        super().truncate(fd, length)


def uids(store: JsonStateStore) -> list[int]:
    return [one.key.uid for one in store.entries(INBOX, tuple(State))]


def raw_files(path: Path) -> list[bytes]:
    return sorted(file.read_bytes() for file in Path(f"{path}.raw").glob("*"))
