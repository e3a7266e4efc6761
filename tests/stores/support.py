"""What the tests of the stores share: values, and how each store is opened."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self, cast

import pytest

from nornmail.model import (
    Digest,
    Entry,
    EntryKey,
    Epoch,
    Lease,
    MailboxKey,
    MailboxRecord,
    PutEntry,
    State,
    Watermark,
)
from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import MemoryStateStore, SqliteStateStore
from nornmail.testing.stores import WAYS as WAYS
from tests.support.package import package_directory
from tests.support.postgresql import open_postgres
from tests.support.zygote import zygote

INBOX = MailboxKey("agent@example.com", "INBOX")
OTHER = MailboxKey("agent@example.com", "Archive")
ME = "host.example.com:1"
CHILD_SECONDS = 60
"""How long a child process may take: far more than it ever does."""

PATHS: dict[str, Callable[[Path], StateStore]] = {
    "json": lambda directory: JsonStateStore(directory / "state.json"),
    "sqlite": lambda directory: SqliteStateStore(directory / "state.db"),
}
"""The durable stores, by what opens them in a directory."""
OPENERS: dict[str, Callable[[Path], StateStore]] = {
    "memory": lambda _: MemoryStateStore(),
    **PATHS,
}
POSTGRES = pytest.param("postgres", marks=pytest.mark.interop)
"""PostgreSQL as a parameter: where its tests are asked for."""
DURABLE: dict[str, Callable[[Path], StateStore]] = {**PATHS, "postgres": open_postgres}
"""All that outlive their process."""


@cache
def empty_database() -> bytes:
    """A database that was made and holds nothing."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "state.db"
        SqliteStateStore(path).close()
        return path.read_bytes()


def open_copy(directory: Path) -> StateStore:
    """A store in sqlite; where there is none, a copy of an empty one: it is made in a fifth of the
    time. How one is made is tested in ``test_sqlite.py``."""
    path = directory / "state.db"
    if not path.exists():
        path.write_bytes(empty_database())
    return SqliteStateStore(path)


QUICK: dict[str, Callable[[Path], StateStore]] = {**OPENERS, **DURABLE, "sqlite": open_copy}
"""Every store, for tests that are not about how one is made."""


def key(uid: int = 1, *, epoch: int = 1, inbox: str = "") -> EntryKey:
    return EntryKey(epoch, uid, inbox)


def entry(
    state: State,
    uid: int = 1,
    *,
    epoch: int = 1,
    inbox: str = "",
    due_at: float = 0.0,
    digest: Digest | None = None,
) -> Entry:
    return Entry(
        key=key(uid, epoch=epoch, inbox=inbox),
        state=state,
        delivery_id=f"id-{epoch}-{uid}-{inbox}",
        due_at=due_at,
        digest=digest,
    )


def record(epoch: int = 1, uid: int = 0) -> MailboxRecord:
    return MailboxRecord(
        epoch=Epoch(epoch, 7, 1, matched=True, begun_at=1.5), watermark=Watermark(7, uid)
    )


def bring(
    store: StateStore,
    lease: Lease,
    state: State | None,
    uid: int = 1,
    *,
    epoch: int = 1,
    inbox: str = "",
    digest: Digest | None = None,
    due_at: float = 0.0,
) -> None:
    """Make an entry and bring it to ``state``."""
    store.commit(
        lease,
        [
            PutEntry(entry(step, uid, epoch=epoch, inbox=inbox, digest=digest, due_at=due_at))
            for step in WAYS[state]
        ],
    )


class Started:
    """A fork that has imported this nornmail and runs a script, with pipes of text.

    Attributes:
        stdin, stdout, stderr: to and from it.
        pid: its number.
    """

    def __init__(self, script: str, *arguments: object) -> None:
        theirs, ours = os.pipe()
        command = ("-c", script, *map(str, arguments))
        environment = dict(os.environ)
        self._forked = zygote().start(
            command, Path.cwd(), environment, subprocess.PIPE, stdin=theirs
        )
        os.close(theirs)
        assert self._forked.stdout is not None
        assert self._forked.stderr is not None
        self.pid = self._forked.pid
        self.stdin = open(ours, "w", encoding="utf-8")  # noqa: SIM115
        self.stdout = io.TextIOWrapper(
            io.BufferedReader(cast(Any, self._forked.stdout)), encoding="utf-8"
        )
        self.stderr = io.TextIOWrapper(
            io.BufferedReader(cast(Any, self._forked.stderr)), encoding="utf-8"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the pipes, and wait for its end."""
        for pipe in (self.stdin, self.stdout, self.stderr):
            pipe.close()
        self.wait()

    @property
    def returncode(self) -> int | None:
        """As Popen has it."""
        return self._forked.returncode

    def kill(self) -> None:
        """Send SIGKILL, unless it has ended."""
        self._forked.kill()

    def wait(self) -> int:
        """Wait for its end."""
        return self._forked.wait(CHILD_SECONDS)

    def end(self) -> tuple[str, str]:
        """What it still writes to both streams, which are little, and its end."""
        self.stdin.close()
        out, err = self.stdout.read(), self.stderr.read()
        self.wait()
        return out, err


def start_fresh(script: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that has imported nothing, as `Started`."""
    paths = [str(package_directory().parent), str(Path(__file__).parents[2])]
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )


def run(script: str, *arguments: object) -> str:
    """What ``script`` printed; it must have ended well and have said nothing on stderr."""
    command = ("-c", script, *map(str, arguments))
    process = zygote().start(command, Path.cwd(), dict(os.environ), subprocess.PIPE)
    try:
        out, err = process.communicate(timeout=CHILD_SECONDS)
    finally:
        process.kill()
        process.close()
    assert (process.returncode, err) == (0, b""), out + err
    return out.decode()


@contextmanager
def public_directory() -> Iterator[Path]:
    """A directory that every user of the machine can reach (pytest's own are its user's only)."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory
