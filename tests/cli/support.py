"""The command line as a user has it: processes with an environment, a directory and pipes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest

from nornmail import ImapSettings, Message, Poller, Reject, SqliteStateStore
from nornmail.testing import MailServer
from tests.support.package import package_directory
from tests.support.zygote import Forked, zygote

USER = "agent@example.com"
PASSWORD = "correct-horse-7%battery"
SECONDS = 60.0
"""How long a process may take: far more than it ever does."""


def mail(subject: str, *, size: int = 0) -> bytes:
    head = (
        f"From: kim@example.org\r\nTo: {USER}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject.replace(' ', '.')}@example.org>\r\n\r\n"
    )
    return head.encode() + b"hello " * (size // 6) + b"\r\n"


@dataclass(frozen=True)
class Ended:
    """A process that has ended, and what it wrote."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class User:
    """Somebody at a terminal, in a directory of their own.

    Attributes:
        directory: where they are.
        environment: what they have set, besides what a process needs to run at all.
    """

    def __init__(self, directory: Path, **environment: str) -> None:
        self.directory = directory
        self.environment = environment

    def start(self, *arguments: str, closed: int | None = None, **options: Any) -> Running:
        """Start ``nornmail``.

        Args:
            closed: a standard stream that is closed, as a shell closes it.
            options: for Popen, and more of the environment in capitals; ``program`` is another
                ``nornmail`` than this one.
        """
        program = options.pop("program", None)
        more = {name: options.pop(name) for name in list(options) if name.isupper()}
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("IMAP_", "SMTP_", "EMAIL_", "NORNMAIL_"))
        }
        paths = {"PYTHONPATH": str(package_directory().parent), "PYTHONWARNINGS": "error"}
        environment = {**kept, **paths, **self.environment, **more}
        if not (program or closed is not None):
            streams = {
                name: given if isinstance(given, int) else given.fileno()
                for name, given in {"stdout": subprocess.PIPE, **options}.items()
            }
            return Running(zygote().start(arguments, self.directory, environment, **streams))
        start = [program] if program else [sys.executable, "-m", "nornmail"]
        command = [*start, *arguments]
        if closed is not None:
            command = ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *command]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return Running(
            subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                bufsize=0,  # what a test reads of a line is not kept from communicate()
                **{**pipes, **options},
            )
        )

    def run(self, *arguments: str, **options: Any) -> Ended:
        """Run ``nornmail`` to its end; nobody ever sees a traceback."""
        with self.start(*arguments, **options) as running:
            return running.end()


class Running:
    """A process that runs; killed at the end of the block, or when it takes for ever."""

    def __init__(self, process: subprocess.Popen[bytes] | Forked) -> None:
        self.process = process
        self._guard = threading.Timer(SECONDS, process.kill)

    def __enter__(self) -> Self:
        self._guard.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._guard.cancel()
        self._guard.join()
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdout, self.process.stderr):
            if pipe is not None:
                pipe.close()

    def line(self) -> dict[str, Any]:
        """The next line of standard output."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.end().err
        found: dict[str, Any] = json.loads(line)
        return found

    def octet(self) -> bytes:
        """The next octet of standard output; the rest of the line stays in the pipe."""
        assert self.process.stdout is not None
        return self.process.stdout.read(1)

    def complaint(self, words: str) -> str:
        """The next line of standard error that has these words."""
        assert self.process.stderr is not None
        seen = []
        while line := self.process.stderr.readline().decode():
            if words in line:
                return line
            seen.append(line)
        raise AssertionError(f"{words!r} is not in {seen}")

    def tell(self, number: signal.Signals) -> None:
        """Send a signal, as only POSIX has them."""
        if os.name != "posix":
            pytest.skip("signals as POSIX has them")
        self.process.send_signal(number)

    def end(self) -> Ended:
        """Wait for its end."""
        out, err = self.process.communicate(timeout=SECONDS)
        ended = Ended(
            self.process.wait(), (out or b"").decode("utf-8"), (err or b"").decode("utf-8")
        )
        assert "Traceback" not in ended.err, ended.err
        assert PASSWORD not in ended.out + ended.err
        return ended


@contextmanager
def mail_server(**options: Any) -> Iterator[MailServer]:
    """The embedded server with one user."""
    with MailServer(**options) as server:
        server.add_user(USER, PASSWORD)
        yield server


def settings_of(server: MailServer, *, tls: bool = False, starttls: bool = False) -> dict[str, str]:
    """The environment that leads to the server."""
    return {
        "IMAP_HOST": server.host,
        "IMAP_PORT": str(server.imap_port),
        "IMAP_USERNAME": USER,
        "IMAP_PASSWORD": PASSWORD,
        "IMAP_USE_SSL": str(tls).lower(),
        "IMAP_STARTTLS": str(starttls).lower(),
        "IMAP_CA_FILE": server.ca_file if tls or starttls else "",
        "IMAP_POLL_INTERVAL": "0.2",
        "IMAP_TIMEOUT": "10",
    }


def refuse(message: Message) -> None:
    raise Reject(f"no {message.subject}")


def let_die(server: MailServer, path: Path, *raws: bytes, user: str = USER) -> None:
    """Deliver messages, and let a poller of this process reject what is there."""
    for raw in raws:
        server.deliver(raw)
    settings = ImapSettings(
        host=server.host, port=server.imap_port, use_ssl=False, username=user, password=PASSWORD
    )
    store = SqliteStateStore(path)
    try:
        poller = Poller(settings, store=store, on_message=refuse)
        poller.poll_once()
        poller.close()
    finally:
        store.close()
