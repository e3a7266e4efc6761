"""A socket without a network: a server as a table of answers, and a clock that only tests move."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest

from nornmail.clock import Readable
from nornmail.imap.connection import Connection
from nornmail.imap.limits import CommandBudget, Limits
from nornmail.imap.wire import Observer, Wire, endpoint_of
from nornmail.net.redact import Redactor
from nornmail.settings.imap import ImapSettings

PASSWORD = "correct horse"
CAPABILITIES = b"IMAP4rev1 UIDPLUS MOVE ESEARCH"
GREETING = b"* OK [CAPABILITY " + CAPABILITIES + b"] ready\r\n"
LOGGED_IN = b"%T OK [CAPABILITY " + CAPABILITIES + b"] welcome\r\n"
SELECTED = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n* OK [UIDNEXT 9] ok\r\n%T OK [READ-WRITE]\r\n"
DONE = b"%T OK done\r\n"
BUDGET = CommandBudget(60.0, 1000, 100_000)

Answer = bytes | list[bytes]


class FakeClock:
    """Stands still unless it is moved.

    Attributes:
        events: what happens in the next waits for a socket: after how many seconds, and what. A
            wait without one, or a shorter one, passes in silence.
        waits: how long each of them was to be.
    """

    def __init__(self) -> None:
        self.now = 1000.0
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.waits: list[float] = []

    def wall(self) -> float:
        return 1.7e9 + self.now

    def monotonic(self) -> float:
        return self.now

    def wait(self, event: Event, seconds: float) -> None:
        raise AssertionError("nothing here waits")

    def select(self, readers: Sequence[Readable], seconds: float) -> None:
        self.waits.append(seconds)
        for reader in readers:
            assert not isinstance(reader, FakeSocket) or not reader.readable, "there is something"
        if self.events and self.events[0][0] < seconds:
            after, happen = self.events.pop(0)
            self.now += after
            happen()
        else:
            self.now += seconds


class FakeSocket:
    """Answers each line that is sent, from a table of command names.

    Args:
        answers: what is sent back, ``%T`` being the tag; a list gives one answer after the other,
            its last one again and again. A command without an answer is answered OK.
        greeting: what comes first.
        chunk: octets that one ``recv`` gives at most; ``None`` for all there are.
        each: called at every ``recv``.
        ends: when nothing is left to read the stream is at its end, instead of a timeout.
    """

    def __init__(
        self,
        answers: dict[str, Answer] | None = None,
        *,
        greeting: bytes = GREETING,
        chunk: int | None = None,
        each: Callable[[], object] = object,
        ends: bool = False,
    ) -> None:
        self._answers = {"LOGIN": LOGGED_IN, "SELECT": SELECTED, **(answers or {})}
        self._out = greeting
        self._in = b""
        self._chunk = chunk
        self._each = each
        self._ends = ends
        self._tag = b""
        self._continued: str | None = None
        self.timeouts: list[float] = []
        self.sent: list[bytes] = []
        self.closed = False
        self.peer = "127.0.0.1"

    @property
    def names(self) -> list[str]:
        """The names of the commands that were sent."""
        return [_name(line) for line in self.sent]

    def say(self, octets: bytes) -> None:
        """Send something nobody asked for."""
        self._out += octets

    @property
    def readable(self) -> bool:
        """Whether a read would give something now."""
        return bool(self._out) or self._ends

    def end(self) -> None:
        """Close the stream behind what is said already."""
        self._ends = True

    def fileno(self) -> int:
        raise AssertionError("no real wait is for this")

    def settimeout(self, seconds: float) -> None:
        self.timeouts.append(seconds)

    def getpeername(self) -> tuple[str, int]:
        return self.peer, 143

    def send(self, data: Any) -> int:
        self._in += bytes(data)
        while b"\r\n" in self._in:
            line, _, self._in = self._in.partition(b"\r\n")
            self._take(line)
        return len(data)

    def recv(self, size: int) -> bytes:
        self._each()
        if not self._out and not self._ends:
            if not self.timeouts[-1]:
                raise BlockingIOError("it would block")
            raise TimeoutError("timed out")
        size = min(size, self._chunk or size)
        given, self._out = self._out[:size], self._out[size:]
        return given

    def shutdown(self, how: int) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def _take(self, line: bytes) -> None:
        self.sent.append(line)
        if self._continued is None:
            self._tag = line.partition(b" ")[0]
        name = self._continued or _name(line)
        self._continued = None
        answer = self._answers.get(name, DONE)
        if isinstance(answer, list):
            answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if answer.startswith(b"+"):
            self._continued = name
        self._out += answer.replace(b"%T", self._tag)


def _name(line: bytes) -> str:
    words = line.decode("ascii").split()[1:]
    return " ".join(words[:2] if words[:1] == ["UID"] else words[:1])


def settings(**more: Any) -> ImapSettings:
    """Settings of a plain connection."""
    given: dict[str, Any] = {
        "host": "mail.example",
        "port": 143,
        "username": "agent",
        "password": PASSWORD,
        "use_ssl": False,
    }
    return ImapSettings(**{**given, **more})


Plug = Callable[[FakeSocket], FakeSocket]


@contextmanager
def plugged(sock: FakeSocket) -> Iterator[FakeSocket]:
    """Whoever connects meanwhile gets ``sock``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("nornmail.imap.wire.connect", lambda *_: sock)
        yield sock


def wire(sock: FakeSocket, *, clock: FakeClock | None = None, limits: Limits | None = None) -> Wire:
    """A wire that has read greeting and capabilities of ``sock``."""
    with plugged(sock):
        return Wire(
            endpoint_of(settings()),
            context=None,
            clock=clock or FakeClock(),
            limits=limits or Limits(),
            budget=BUDGET,
            redact=Redactor(PASSWORD),
        )


def connection(
    sock: FakeSocket,
    *,
    clock: FakeClock | None = None,
    limits: Limits | None = None,
    select: bool = True,
    on_command: Observer | None = None,
    **more: Any,
) -> Connection:
    """A connection over ``sock``, logged in, with INBOX selected."""
    with plugged(sock):
        opened = Connection.open(
            settings(**more), clock=clock or FakeClock(), limits=limits, on_command=on_command
        )
    if select:
        opened.select("INBOX")
    return opened
