"""IDLE between two passes: mail comes at once, and an IDLE that fails costs time and no mail."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from nornmail import Message, Poller
from nornmail.testing import faults
from tests.poller.delivery.harness import World, embedded_only, numbers

SOON = 20.0
"""Seconds until a test that hangs fails."""
HOUR = 3_600.0
"""Between two polls: whatever comes sooner came by IDLE."""
AT_ONCE = 0.05
"""Seconds of ours from the server's word to the callback, at most: those of the server's answers
are its own, and a loaded machine doubles them."""
ROUNDS = 5
"""Messages of which the fastest counts: a loaded machine may hold up any of them."""


class Watch:
    """A poller in a thread, by the machine's own clock."""

    def __init__(self, world: World, **options: object) -> None:
        self.world = world
        self.idles = 0
        self._changed = threading.Condition()
        world.wire.call("^IDLE$", self._idle, times=-1)
        options = {"clock": None, "poll_interval": HOUR, **options}
        self.poller: Poller = world.poller(self._handle, **options)
        self.thread = threading.Thread(target=self.poller.run_forever)

    def wait(self, condition: Callable[[], bool]) -> None:
        with self._changed:
            assert self._changed.wait_for(condition, SOON), self.world.wire.commands

    def until_idle(self, times: int = 1) -> None:
        """Return when the poller has sent IDLE this often in all."""
        self.wait(lambda: self.idles >= times)

    def until_handed_over(self, *names: str) -> None:
        self.wait(lambda: self.world.handed_over == list(names))

    def _idle(self) -> None:
        with self._changed:
            self.idles += 1
            self._changed.notify_all()

    def _handle(self, message: Message) -> None:
        with self._changed:
            self.world.note(message)
            self._changed.notify_all()


@contextmanager
def watching(world: World, **options: object) -> Iterator[Watch]:
    watch = Watch(world, **options)
    watch.thread.start()
    try:
        yield watch
    finally:
        watch.poller.stop()
        watch.thread.join(SOON)
    assert not watch.thread.is_alive()


def test_new_mail_during_an_idle_is_handed_over(world: World) -> None:
    with watching(world) as watch:
        for number in range(1, 4):
            watch.until_idle(number)
            world.deliver(str(number))
            watch.until_handed_over(*numbers(1, number))
        watch.until_idle(4)
    assert world.proxy.connections == 1
    assert world.wire.commands[-2:] == ["IDLE", "LOGOUT"]
    assert world.logged(logging.WARNING) == []


def test_new_mail_is_handed_over_at_most_50_ms_after_the_servers_word(world: World) -> None:
    heard = [0.0]
    spent = [0.0]
    waits: list[float] = []

    def said_by_server(line: bytes) -> bytes:
        if line.endswith(b" EXISTS\r\n"):
            spent[0] = 0.0
        heard[0] = time.monotonic()
        return line

    def said_by_us() -> None:
        spent[0] += time.monotonic() - heard[0]

    class Timed(Watch):
        def _handle(self, message: Message) -> None:
            waits.append(spent[0] + time.monotonic() - heard[0])
            super()._handle(message)

    watch = Timed(world)
    world.proxy.rewrite(said_by_server, "server")
    world.wire.on_line = said_by_us
    watch.thread.start()
    for number in range(1, ROUNDS + 1):
        watch.until_idle(number)
        world.deliver(str(number))
        watch.until_handed_over(*numbers(1, number))
    watch.poller.stop()
    watch.thread.join(SOON)
    assert min(waits) <= AT_ONCE, waits


def test_stop_ends_an_idle_at_once(world: World) -> None:
    with watching(world) as watch:
        watch.until_idle()
        begin = time.monotonic()
    assert time.monotonic() - begin < SOON / 2


def test_what_happens_to_flags_makes_it_look_and_nothing_else(world: World) -> None:
    world.deliver("1")
    with watching(world, mark_as_read=False) as watch:
        watch.until_idle()
        looks = world.wire.count("^NOOP")
        (lying,) = world.stored()
        world.others.set_flags(lying.uid, ["\\Flagged"], "INBOX")
        watch.until_idle(2)
    assert world.wire.count("^NOOP") == looks + 1
    assert world.handed_over == ["1"]


@pytest.mark.parametrize(
    "hidden", [pytest.param(True, id="no IDLE"), pytest.param(False, id="idle=False")]
)
def test_without_idle_it_polls(world: World, hidden: bool) -> None:
    if hidden:
        world.wire.hide("IDLE")
    poller = world.poller(poll_interval=17, idle=hidden)
    waits = world.run(poller, lambda: world.deliver("1"), lambda: world.deliver("2"))
    assert waits == [17, 17]
    assert world.handed_over == ["1"]
    assert world.wire.count("^IDLE") == 0


@pytest.mark.parametrize("interval", [17, 539, 540])
def test_with_idle_it_looks_at_the_interval_all_the_same(world: World, interval: int) -> None:
    poller = world.poller(poll_interval=interval)
    waits = world.run(poller, *[lambda: None] * 3)
    assert waits == [interval] * 3
    assert world.wire.count("^IDLE") == 3
    assert world.wire.count("^NOOP") == 2


@pytest.mark.parametrize("renewal", [540, 60])
def test_a_long_idle_is_renewed_with_a_look(world: World, renewal: int) -> None:
    poller = world.poller(poll_interval=HOUR, idle_renewal=renewal)
    waits = world.run(poller, *[lambda: None] * 3)
    assert waits == [renewal] * 3
    assert world.wire.count("^NOOP") == 2
    assert world.proxy.connections == 1


def test_a_refused_idle_makes_it_poll(world: World) -> None:
    world.wire.refuse("^IDLE", b"BAD unknown command", times=-1)
    poller = world.poller(poll_interval=17)
    waits = world.run(poller, lambda: world.deliver("1"), lambda: None, lambda: None)
    assert waits == [17, 17, 17]
    assert world.handed_over == ["1"]
    assert world.wire.count("^IDLE") == 1
    assert world.proxy.connections == 1


def test_a_connection_that_is_cut_in_idle_is_made_again(world: World) -> None:
    with watching(world) as watch:
        watch.until_idle()
        world.proxy.kick()
        watch.until_idle(2)
        world.deliver("1")
        watch.until_handed_over("1")
    assert world.proxy.connections == 2
    assert world.logged(logging.WARNING) == []


def test_mail_that_came_while_the_line_was_dead_is_found(world: World) -> None:
    """Nothing of the server comes through any more, and nobody says so, as with a forgetful NAT."""
    dead = threading.Event()

    def swallow(line: bytes) -> bytes | None:
        if line.startswith(b"* OK [CAPABILITY"):  # another connection is greeted
            dead.clear()
        return None if dead.is_set() else line

    def it_dies() -> None:
        dead.set()
        world.deliver("1")

    world.proxy.rewrite(swallow, "server")
    waits = world.run(world.poller(poll_interval=17, timeout=1), it_dies, lambda: None)
    assert waits == [17, 17]
    assert world.handed_over == ["1"]
    assert world.proxy.connections == 2
    assert world.logged(logging.WARNING) == []


@embedded_only
def test_an_idle_that_dies_in_silence_is_noticed_at_its_end(world: World) -> None:
    silent = faults.Silent("IDLE", after_bytes=len(faults.IDLING))
    world.server.faults.add(silent)
    poller = world.poller(poll_interval=17, timeout=0.2)
    waits = world.run(poller, lambda: world.deliver("1"), lambda: None)
    assert waits == [17, 17]
    assert world.handed_over == ["1"]
    assert world.proxy.connections == 2
    assert world.logged(logging.WARNING) == []


@embedded_only
def test_a_server_that_cuts_every_idle_costs_few_logins(world: World) -> None:
    world.server.faults.add(faults.Cut("IDLE", before=True, times=None))
    poller = world.poller(poll_interval=60)
    end = world.clock.monotonic() + HOUR
    world.run(poller, lambda: world.clock.monotonic() < end, lambda: None)
    assert world.server.logins < 6 + 10


@embedded_only
def test_bye_in_idle_is_no_trouble(world: World) -> None:
    with watching(world) as watch:
        watch.until_idle()
        world.server.wait_for_idle()
        world.server.push(b"* BYE Autologout\r\n")
        watch.until_idle(2)
        world.deliver("1")
        watch.until_handed_over("1")
    assert world.logged(logging.WARNING) == []


def test_a_sync_ends_an_idle_at_once(world: World) -> None:
    with watching(world) as watch:
        watch.until_idle()
        assert watch.poller.sync() == 0
        watch.until_idle(2)
    assert world.proxy.connections == 1
