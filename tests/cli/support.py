"""The command line as a user has it: with an environment, a directory and pipes of its own.

A command that runs to its end does so in the process of the test, any other one in a fork.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

import pytest

from nornmail import ImapSettings, Message, Poller, Reject, SqliteStateStore
from nornmail.cli import main
from nornmail.testing import MailServer
from tests.support.package import package_directory
from tests.support.zygote import Forked, zygote

USER = "agent@example.com"
PASSWORD = "correct-horse-7%battery"
SECONDS = 60.0
"""How long a process may take: far more than it ever does."""
CLOSED = """
import os, sys
from nornmail.cli import main
os.close({closed})
setattr(sys, ("stdin", "stdout", "stderr")[{closed}], None)
sys.exit(main())
"""


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

    def start(
        self, *arguments: str, closed: int | None = None, fresh: bool = False, **options: Any
    ) -> Running:
        """Start ``nornmail``.

        Args:
            closed: a standard stream that is closed, as a shell closes it; Python has none then.
            fresh: in a Python that starts; otherwise in a fork, which is quicker.
            options: for Popen, and more of the environment in capitals; ``program`` is another
                ``nornmail`` than this one.
        """
        program = options.pop("program", None)
        more = {name: options.pop(name) for name in list(options) if name.isupper()}
        environment = self._environment(more)
        fork: tuple[str, ...] = arguments
        if closed is not None and not fresh:
            fork = ("-c", CLOSED.format(closed=closed), *arguments)
        if not (program or fresh):
            streams = {
                name: given if isinstance(given, int) else given.fileno()
                for name, given in {"stdout": subprocess.PIPE, **options}.items()
            }
            return Running(zygote().start(fork, self.directory, environment, **streams))
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
        if all(name.isupper() for name in options):
            return call(arguments, self.directory, self._environment(options))
        with self.start(*arguments, **options) as running:
            return running.end()

    def _environment(self, more: dict[str, str]) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("IMAP_", "SMTP_", "EMAIL_", "NORNMAIL_"))
        }
        paths = {"PYTHONPATH": str(package_directory().parent), "PYTHONWARNINGS": "error"}
        return {**kept, **paths, **self.environment, **more}


def call(arguments: Sequence[str], directory: Path, environment: dict[str, str]) -> Ended:
    """What ``nornmail`` does in this process, with streams of its own."""
    log = logging.getLogger("nornmail")
    level, handlers = log.level, log.handlers[:]
    before, paths = Path.cwd(), sys.path[:]
    encoding = environment.get("PYTHONIOENCODING", "utf-8")
    os.chdir(directory)
    try:
        with (
            Pipe(encoding) as out,
            Pipe(encoding, errors="backslashreplace") as err,
            open(os.devnull, encoding="utf-8") as nothing,
            mock.patch.dict(os.environ, environment, clear=True),
            mock.patch.multiple(sys, stdin=nothing, stdout=out.stream, stderr=err.stream),
        ):
            status = _status(arguments)
    finally:
        os.chdir(before)
        sys.path[:] = paths
        for name, module in list(sys.modules.items()):
            if (getattr(module, "__file__", None) or "").startswith(f"{directory}{os.sep}"):
                del sys.modules[name]  # a handler of this user's
        log.setLevel(level)
        log.handlers[:] = handlers
    return checked(Ended(status, out.octets.decode("utf-8"), err.octets.decode("utf-8")))


def _status(arguments: Sequence[str]) -> int:
    """The exit status of a command, which writes to the streams that there are."""
    try:
        status: object = main(arguments)
    except SystemExit as left:
        status = left.code
    except BaseException:
        traceback.print_exc()
        status = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    assert status is None or isinstance(status, int), status
    return status or 0


class Pipe:
    """A standard stream of a command that this process runs; a thread reads what comes.

    Attributes:
        stream: for the command.
        octets: all that came, at the end of the block.
    """

    def __init__(self, encoding: str, errors: str = "strict") -> None:
        reading, writing = os.pipe()
        self.stream = open(writing, "w", encoding=encoding, errors=errors)  # noqa: SIM115
        self.octets = b""
        self._reader = threading.Thread(target=self._read, args=(reading,), daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self._reader.join()

    def _read(self, reading: int) -> None:
        with open(reading, "rb") as pipe:
            self.octets = pipe.read()


def checked(ended: Ended) -> Ended:
    """Nobody ever sees a traceback, or a password."""
    assert "Traceback" not in ended.err, ended.err
    assert PASSWORD not in ended.out + ended.err
    return ended


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
        return checked(
            Ended(self.process.wait(), (out or b"").decode("utf-8"), (err or b"").decode("utf-8"))
        )


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
