"""The wait between two passes: when it is an IDLE, and what a server's ways with it cost."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import cast

import pytest

from nornmail.clock import Waker
from nornmail.errors import CommandRefused, ConnectionLost
from nornmail.imap.connection import Connection
from nornmail.poller.wait import HASTY_CALLS, HASTY_PAUSE, LOST_IDLES, MISTRUST, Wait
from tests.support.clock import FakeClock
from tests.support.poller import context

RENEWAL = 540.0


class Server:
    """A connection of which nothing but IDLE is asked.

    Attributes:
        idles: how long each was to last.
        script: called at each IDLE; its result is the IDLE's.
    """

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.capabilities = {"IMAP4REV1", "IDLE"}
        self.idles: list[float] = []
        self.script: Callable[[float], bool] = self.quiet

    def idle(self, seconds: float, *, wake: Waker | None = None) -> bool:
        self.idles.append(seconds)
        return self.script(seconds)

    def quiet(self, seconds: float) -> bool:
        self.clock.advance(seconds)
        return False

    def hasty(self, _seconds: float) -> bool:
        return True

    def slow(self, seconds: float) -> bool:
        self.clock.advance(min(seconds, 2))
        return True

    def refuses(self, _seconds: float) -> bool:
        raise CommandRefused("IDLE", "BAD", "", "no")

    def dies(self, _seconds: float) -> bool:
        raise ConnectionLost("cut")


class Bench:
    def __init__(self, waker: Waker, *, enabled: bool = True) -> None:
        self.clock = FakeClock()
        self.waker = waker
        self.server = Server(self.clock)
        self.wait = Wait(context(self.clock), waker, renewal=RENEWAL, enabled=enabled)

    def take(self, seconds: float = 60.0, *, found: bool = False, connected: bool = True) -> bool:
        connection = cast(Connection, self.server) if connected else None
        return self.wait.wait(connection, seconds, found_new=found)


@pytest.fixture
def waker() -> Iterator[Waker]:
    one = Waker()
    yield one
    one.close()


@pytest.fixture
def bench(waker: Waker) -> Bench:
    return Bench(waker)


def test_it_idles_for_the_whole_wait(bench: Bench) -> None:
    assert bench.take(60)
    assert bench.server.idles == [60]
    assert bench.clock.waits == []


def test_an_idle_ends_when_it_is_to_be_renewed(bench: Bench) -> None:
    assert bench.take(3_600)
    assert bench.server.idles == [RENEWAL]


def test_without_a_connection_it_waits(bench: Bench) -> None:
    assert bench.take(connected=False)
    assert bench.clock.waits == [60]
    assert bench.server.idles == []


def test_without_the_capability_it_waits(bench: Bench) -> None:
    bench.server.capabilities.discard("IDLE")
    assert bench.take()
    assert bench.clock.waits == [60]
    assert bench.server.idles == []


def test_switched_off_it_waits(waker: Waker) -> None:
    bench = Bench(waker, enabled=False)
    assert bench.take()
    assert bench.clock.waits == [60]
    assert bench.server.idles == []


def test_a_ring_that_came_before_ends_it(bench: Bench) -> None:
    bench.waker.wake()
    assert bench.take()
    assert bench.server.idles == []
    assert bench.clock.waits == []


def test_a_server_that_refuses_is_polled_on_this_connection(bench: Bench) -> None:
    bench.server.script = bench.server.refuses
    assert bench.take()
    assert bench.take()
    assert len(bench.server.idles) == 1
    assert bench.clock.waits == [60, 60]
    bench.server = Server(bench.clock)
    assert bench.take()
    assert len(bench.server.idles) == 1


def test_the_first_loss_is_mended_at_once(bench: Bench) -> None:
    bench.server.script = bench.server.dies
    assert not bench.take()
    assert bench.clock.waits == []


def test_a_server_whose_idle_always_dies_is_polled(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.server.script = bench.server.dies
    with caplog.at_level(logging.WARNING):
        assert [bench.take() for _ in range(LOST_IDLES)] == [False] * LOST_IDLES
    assert len(caplog.records) == 1
    end = bench.clock.monotonic() + MISTRUST
    while bench.clock.monotonic() < end - 60:
        assert bench.take()
    assert len(bench.server.idles) == LOST_IDLES
    assert bench.take()
    bench.server.script = bench.server.quiet
    assert bench.take()
    assert len(bench.server.idles) == LOST_IDLES + 1


def test_an_idle_that_ends_well_makes_good_for_the_losses(bench: Bench) -> None:
    for _ in range(5):
        bench.server.script = bench.server.dies
        assert not bench.take()
        bench.server.script = bench.server.quiet
        assert bench.take()
    assert bench.clock.waits == []


def test_a_server_that_calls_for_nothing_at_once_does_not_make_it_spin(bench: Bench) -> None:
    bench.server.script = bench.server.hasty
    for _ in range(HASTY_CALLS):
        bench.take()
    assert bench.clock.waits == []
    for _ in range(100):
        bench.take()
    assert bench.clock.waits == [HASTY_PAUSE] * 100
    bench.take(2)
    assert bench.clock.waits[-1] == 2


@pytest.mark.parametrize(
    ("script", "found"),
    [pytest.param("hasty", True, id="with mail"), pytest.param("slow", False, id="not at once")],
)
def test_calls_that_are_worth_it_or_rare_cost_no_pause(
    bench: Bench, script: str, found: bool
) -> None:
    bench.server.script = getattr(bench.server, script)
    for _ in range(10 * HASTY_CALLS):
        bench.take(found=found)
    assert bench.clock.waits == []


def test_one_good_call_takes_the_pause_away(bench: Bench) -> None:
    bench.server.script = bench.server.hasty
    for _ in range(HASTY_CALLS + 1):
        bench.take()
    assert len(bench.clock.waits) == 1
    bench.take(found=True)
    assert len(bench.clock.waits) == 1
