"""A simulated day of each kind of trouble: how many connections and logins it costs.

The clock is a fake one, so a day takes as long as its commands do. When the day is over the
trouble ends, a message is delivered, and the program, which went on, is to find it by itself.
``pytest -s`` prints the table; that of the documentation is compared with the bounds here.
"""

from __future__ import annotations

import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nornmail import ImapSettings, MemoryStateStore, Message, Poller
from nornmail.imap import wire as wire_module
from nornmail.imap.connection import Connection
from nornmail.net import tls
from nornmail.testing import MailServer, faults
from tests.support.clock import FakeClock

DAY = 86_400.0
HOUR = 3_600.0
MOST_WAITS = 20_000
"""Waits of a day and what follows; one a minute makes 1,440. More are a tight loop."""
HINT = b"Request is throttled. Suggested Backoff Time: 299609 milliseconds"
MAIL = b"Message-ID: <1@example.org>\r\nSubject: at last\r\n\r\nhello\r\n"


class Day(FakeClock):
    """A clock that does things at certain times and cannot be made to stand still."""

    def __init__(self) -> None:
        super().__init__()
        self.begin = self.monotonic()
        self._lock = threading.Lock()
        self._planned: list[tuple[float, float, Callable[[], object]]] = []

    @property
    def now(self) -> float:
        """Seconds since the day began."""
        return self.monotonic() - self.begin

    def advance(self, seconds: float) -> None:
        with self._lock:  # a slow server moves the clock, too
            super().advance(seconds)

    def plan(self, at: float, action: Callable[[], object], *, every: float = DAY * 365) -> None:
        self._planned.append((at, every, action))

    def wait(self, event: threading.Event, seconds: float) -> None:
        super().wait(event, seconds)
        assert len(self.waits) < MOST_WAITS, "a tight loop"
        for index, (at, every, action) in enumerate(self._planned):
            if self.now >= at:
                self._planned[index] = (at + every, every, action)
                action()


@dataclass
class Trouble:
    """A server, a poller's settings, and what is wrong with them until :meth:`mend`."""

    server: MailServer
    clock: Day
    token: Callable[[], str] | None = None
    down: bool = False
    timeout: float = 60.0
    asked: int = 0

    def wrong(self, *wanted: faults.Fault) -> None:
        self.server.faults.add(*wanted)

    def mend(self) -> None:
        self.server.faults.clear()
        self.server.refuse_connections = False
        self.down = False
        self.timeout = 60.0
        self.token = self.token and self.good_token

    def with_tokens(self, token: Callable[[], str]) -> None:
        self.server.capabilities |= {"AUTH=XOAUTH2", "AUTH=OAUTHBEARER"}
        self.server.tokens().add("good")
        self.token = token

    def good_token(self) -> str:
        self.asked += 1
        return "good"

    def fresh_token(self) -> str:
        self.asked += 1
        return f"token{self.asked}"

    def token_of_the_hour(self) -> str:
        """The server takes the one it has given out last."""
        token = f"hour{self.clock.now // HOUR:.0f}"
        self.server.tokens().clear()
        self.server.tokens().add(token)
        return token

    def no_token(self) -> str:
        raise OSError("the token endpoint is down")


def all_well(trouble: Trouble) -> None:
    """Nothing is wrong."""


def down(trouble: Trouble) -> None:
    trouble.down = True


def resets(trouble: Trouble) -> None:
    trouble.server.refuse_connections = True


def silent(trouble: Trouble) -> None:
    trouble.timeout = 0.01  # of real time: the fake clock does not move while we read
    trouble.wrong(faults.Silent("LOGIN", times=None))


def slow(trouble: Trouble) -> None:
    def twenty_seconds() -> None:
        trouble.clock.advance(20)

    trouble.wrong(faults.Drip(chunk=1 << 20, hook=twenty_seconds, times=None))


def wrong_password(trouble: Trouble) -> None:
    trouble.wrong(faults.RejectLogin(times=None))


def refused_token(trouble: Trouble) -> None:
    trouble.with_tokens(lambda: "stale")


def refused_tokens(trouble: Trouble) -> None:
    trouble.with_tokens(trouble.fresh_token)


def failing_callback(trouble: Trouble) -> None:
    trouble.with_tokens(trouble.no_token)


def hourly_token(trouble: Trouble) -> None:
    bye = faults.Bye("NOOP", text=b"Session invalidated - AccessTokenExpired")
    trouble.with_tokens(trouble.token_of_the_hour)
    trouble.clock.plan(HOUR, lambda: trouble.wrong(bye), every=HOUR)


def bye_every_half_hour(trouble: Trouble) -> None:
    bye = faults.Bye("NOOP", text=b"Autologout; idle for too long")
    trouble.clock.plan(HOUR / 2, lambda: trouble.wrong(bye), every=HOUR / 2)


def cut_at_every_command(trouble: Trouble) -> None:
    trouble.wrong(faults.Cut("SELECT", before=True, times=None))


def answered(command: str, text: bytes) -> Callable[[Trouble], None]:
    return lambda trouble: trouble.wrong(faults.Answer(command, text=text, times=None))


def greeted(data: bytes) -> Callable[[Trouble], None]:
    return lambda trouble: trouble.wrong(faults.Greeting(data, times=None))


@dataclass(frozen=True)
class Bounds:
    """What a day may cost.

    Attributes:
        connections: TCP connections that are tried, the least and the most.
        logins: LOGIN and AUTHENTICATE commands, the most.
        late: seconds until mail is found once the trouble is over, the most.
    """

    connections: tuple[int, int]
    logins: int
    late: float


SCENES: dict[str, tuple[Callable[[Trouble], None], Bounds]] = {
    "all is well": (all_well, Bounds((1, 25), 25, 60)),
    "the server is down": (down, Bounds((288, 480), 0, 300)),
    "connections are reset": (resets, Bounds((288, 480), 0, 300)),
    "the server does not answer": (silent, Bounds((288, 480), 480, 300)),
    "each answer takes 20 seconds": (slow, Bounds((1, 25), 25, 120)),
    "the connection is cut at each SELECT": (cut_at_every_command, Bounds((288, 480), 480, 300)),
    "BYE every half an hour": (bye_every_half_hour, Bounds((48, 75), 75, 60)),
    "the password is wrong": (wrong_password, Bounds((24, 30), 30, 3_600)),
    "the token is refused, and there is no other": (refused_token, Bounds((24, 30), 30, 3_600)),
    "every token is refused": (refused_tokens, Bounds((24, 30), 60, 3_600)),
    "the token callback fails": (failing_callback, Bounds((0, 0), 0, 300)),
    "tokens last an hour": (hourly_token, Bounds((24, 50), 50, 60)),
    "throttled, five minutes asked for": (
        answered("SELECT", b"BAD " + HINT), Bounds((250, 290), 290, 330)
    ),
    "throttled, no time named": (
        answered("SELECT", b"NO [LIMIT] SELECT Rate limit hit"), Bounds((45, 60), 60, 1_980)
    ),
    "too many connections, at the login": (
        answered("LOGIN", b"NO [ALERT] Too many simultaneous connections. (Failure)"),
        Bounds((90, 110), 110, 990),
    ),
    "too many connections, for a greeting": (
        greeted(b"* BYE [ALERT] Too many connections\r\n"), Bounds((90, 110), 0, 990)
    ),
    "a day's transfer is used up": (
        answered("LOGIN", b"NO [OVERQUOTA] Account exceeded command or bandwidth limits."),
        Bounds((22, 30), 30, 3_960),
    ),
    "the login service is unavailable": (
        answered("LOGIN", b"NO [UNAVAILABLE] Temporary authentication failure."),
        Bounds((265, 300), 300, 330),
    ),
    "logged in, and no mailbox behind it": (
        answered("SELECT", b"BAD User is authenticated but not connected."),
        Bounds((22, 32), 32, 3_960),
    ),
    "every answer is marked as slowed down": (
        answered("NOOP", b"OK Success [THROTTLED]"), Bounds((1, 25), 25, 900)
    ),
}  # fmt: skip
"""What goes wrong, and what a day of it may cost."""

LONG_DAYS = {
    "the server does not answer",  # each of its four hundred connections waits for a real time-out
    "the connection is cut at each SELECT",
    "BYE every half an hour",
    "tokens last an hour",
    "each answer takes 20 seconds",
    "connections are reset",
    "throttled, five minutes asked for",
    "the login service is unavailable",
    "the token callback fails",
    "too many connections, at the login",
    "a day's transfer is used up",
    "all is well",
}
"""Those with the most commands; their bounds are looked at in the long run."""

PAGE = Path(__file__).resolve().parents[3] / "docs" / "explanation" / "trouble.md"


@dataclass
class Cost:
    """What a day did cost."""

    connections: int = 0
    logins: int = 0
    commands: int = 0
    late: float = -1.0


@contextmanager
def counted(trouble: Trouble, cost: Cost) -> Iterator[None]:
    """Count connections; while the server is down they go to a port where nobody listens."""
    real = tls.connect
    with socket.socket() as bound, pytest.MonkeyPatch.context() as patch:
        bound.bind(("127.0.0.1", 0))

        def connect(
            endpoint: tls.Endpoint, remaining: Callable[[], float], abort: tls.Abort
        ) -> socket.socket:
            cost.connections += 1
            if trouble.down:
                endpoint = replace(endpoint, port=bound.getsockname()[1])
            return real(endpoint, remaining, abort)

        patch.setattr(wire_module, "connect", connect)
        yield


def live(arrange: Callable[[Trouble], None]) -> Cost:
    """Live through a day, and through what follows until the mail is found."""
    cost, clock = Cost(), Day()
    with MailServer() as server:
        server.add_user("agent", "secret")
        server.capabilities.discard("IDLE")
        trouble = Trouble(server, clock)
        arrange(trouble)
        secret: dict[str, Any] = {"password": "secret"}
        if trouble.token is not None:
            secret = {"token": lambda: trouble.token()}
        settings = ImapSettings(
            host=server.host, port=server.imap_port, username="agent", use_ssl=False,
            **secret,
        )  # fmt: skip
        during = Cost()

        def sent(when: str, command: bytes) -> None:
            if when == "before":
                during.commands += 1
                during.logins += command.startswith((b"LOGIN", b"AUTHENTICATE"))

        def connect(given: ImapSettings) -> Connection:
            now = replace(given, timeout=trouble.timeout)
            return Connection.open(now, clock=clock, on_command=sent)

        def found(_message: Message) -> None:
            cost.late = clock.now - DAY
            poller.stop()

        def evening() -> None:
            cost.logins, cost.commands = during.logins, during.commands
            cost.connections, during.connections = during.connections, 0
            trouble.mend()
            server.deliver(MAIL)

        poller = Poller(
            settings,
            store=MemoryStateStore(),
            on_message=found,
            start_from="all",
            clock=clock,
            rng=random.Random(7),
            connect=connect,
        )
        clock.plan(DAY, evening)
        clock.plan(2 * DAY, poller.stop)
        with counted(trouble, during):
            poller.run_forever()
    assert cost.late >= 0, "the mail was never found"
    return cost


@pytest.mark.parametrize(
    "scene",
    [pytest.param(name, marks=pytest.mark.long if name in LONG_DAYS else ()) for name in SCENES],
)
def test_what_a_day_of_trouble_costs(scene: str) -> None:
    arrange, bounds = SCENES[scene]
    cost = live(arrange)
    print(
        f"\n| {scene} | {cost.connections} | {cost.logins} | {cost.commands} | {cost.late:.0f} s |"
    )
    least, most = bounds.connections
    assert least <= cost.connections <= most
    assert cost.logins <= bounds.logins
    assert cost.late <= bounds.late


def test_the_table_on_the_page_is_that_of_the_bounds() -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    begin = lines.index("| a day on which | connections | logins | mail is found after |") + 2
    told = [line for line in lines[begin : begin + len(SCENES) + 1] if line.startswith("|")]
    assert told == [
        f"| {scene} | {bounds.connections[1]:,} | {bounds.logins:,} | {bounds.late:,.0f} s |"
        for scene, (_, bounds) in SCENES.items()
    ]
