"""The connection breaks, or the server says no: nothing is lost, and nothing comes twice."""

from __future__ import annotations

import pytest

from nornmail import ConnectionLost, NornmailError
from nornmail.model import State
from tests.poller.delivery.harness import World, numbered, numbers, poll_in_spite_of
from tests.poller.delivery.wire import BODIES, SEARCH, STORE, SUMMARIES

COMMANDS = {
    "the login": r"^(LOGIN|AUTHENTICATE)",
    "the select": "^SELECT",
    "the listing": SEARCH,
    "the look at new mail": "^NOOP",
    "the fetch of sizes": SUMMARIES,
    "the fetch of messages": BODIES,
    "the flags": STORE,
    "the farewell": "^LOGOUT",
}
by_command = pytest.mark.parametrize(
    "command", [pytest.param(pattern, id=name) for name, pattern in COMMANDS.items()]
)


@pytest.mark.parametrize(
    "cuts",
    [
        pytest.param((40_000,), id="one cut"),
        pytest.param((40_000, 60_000), id="two cuts"),
        pytest.param((40_000, 30_000, 20_000, 15_000, 35_000), id="five cuts"),
        pytest.param((13_000,) * 20, id="a cut after every three messages", marks=pytest.mark.long),
    ],
)
def test_a_fetch_that_is_cut_in_the_middle_of_a_message(
    world: World, cuts: tuple[int, ...]
) -> None:
    world.deliver(*numbered(1, 30, size=4_000))
    for octets in cuts:
        world.proxy.cut_after("server", octets)
    poll_in_spite_of(world.poller(), ConnectionLost, most=30)
    assert world.handed_over == numbers(1, 30)
    assert {len(message.raw) >= 4_000 for message in world.seen} == {True}
    assert world.proxy.connections > len(cuts) / 2 + 1
    assert set(map(frozenset, world.flags().values())) == {frozenset({"\\Seen"})}


@pytest.mark.parametrize("done", [False, True], ids=["before it arrived", "once it was done"])
@pytest.mark.parametrize("times", [1, 2, 5], ids="{} times".format)
def test_a_cut_while_flagging(world: World, done: bool, times: int) -> None:
    world.deliver(*numbered(1, 10))
    world.wire.cut(STORE, done=done, times=times)
    poll_in_spite_of(world.poller(), ConnectionLost)
    assert world.wire.pending == []
    assert world.handed_over == numbers(1, 10)
    assert list(world.flags().values()) == [{"\\Seen"}] * 10
    assert world.states() == {State.FINISHED: 10}


@pytest.mark.parametrize("done", [False, True], ids=["before it arrived", "once it was done"])
@by_command
def test_a_cut_at_any_command(world: World, command: str, done: bool) -> None:
    world.deliver(*numbered(1, 10))
    world.wire.cut(command, done=done)
    poller = world.poller()
    poll_in_spite_of(poller, ConnectionLost)
    world.deliver(*numbered(11, 12))
    poll_in_spite_of(poller, ConnectionLost)
    poller.close()
    assert world.wire.pending == []
    assert world.handed_over == numbers(1, 12)
    assert list(world.flags().values()) == [{"\\Seen"}] * 12


@pytest.mark.parametrize("answer", [b"NO [UNAVAILABLE] later", b"BAD what?"], ids=["NO", "BAD"])
@by_command
def test_a_refusal_of_any_command(world: World, command: str, answer: bytes) -> None:
    world.deliver(*numbered(1, 10))
    world.wire.refuse(command, answer)
    poller = world.poller()
    poll_in_spite_of(poller, NornmailError)
    world.deliver(*numbered(11, 12))
    world.clock.advance(60)
    poll_in_spite_of(poller, NornmailError)
    poller.close()
    assert world.wire.pending == []
    assert world.handed_over == numbers(1, 12)
    assert list(world.flags().values()) == [{"\\Seen"}] * 12


def test_flags_that_were_refused_are_set_when_they_are_accepted_again(world: World) -> None:
    world.deliver(*numbered(1, 10))
    world.wire.refuse(STORE, b"NO [NOPERM] the mailbox is read-only", times=2)
    poller = world.poller()
    assert poller.poll_once().handled == 10
    assert list(world.flags().values()) == [set()] * 10
    assert poller.poll_once().new == 0
    assert world.wire.count(STORE) == 1
    world.clock.advance(60)
    world.deliver("11")
    assert poller.poll_once().handled == 1
    assert list(world.flags().values()) == [set()] * 11
    world.clock.advance(120)
    poller.poll_once()
    assert list(world.flags().values()) == [{"\\Seen"}] * 11
    assert world.handed_over == numbers(1, 11)


def test_flags_that_were_refused_are_set_by_the_next_process(world: World) -> None:
    world.deliver(*numbered(1, 10))
    world.wire.refuse(STORE)
    first = world.poller()
    first.poll_once()
    first.close()
    assert world.poller().poll_once().new == 0
    assert world.handed_over == numbers(1, 10)
    assert list(world.flags().values()) == [{"\\Seen"}] * 10


def test_an_outage_of_ten_seconds(world: World) -> None:
    world.deliver("before")
    end = 0.0

    def it_begins() -> None:
        nonlocal end
        end = world.clock.monotonic() + 10
        world.proxy.refuse = True
        world.proxy.kick()
        world.deliver("during")

    def it_ends() -> bool:
        world.proxy.refuse = world.clock.monotonic() < end
        return world.proxy.refuse

    first, *retries, last = world.run(world.poller(), it_begins, it_ends, lambda: None)
    assert world.handed_over == ["before", "during"]
    assert (first, last) == (60, 60)
    assert 3 <= len(retries) <= 5
    assert sum(retries) < 31


def test_a_long_outage_is_waited_out_with_growing_patience(world: World) -> None:
    end = 0.0

    def it_begins() -> None:
        nonlocal end
        end = world.clock.monotonic() + 6 * 3_600
        world.proxy.refuse = True
        world.proxy.kick()
        world.deliver("during")

    def it_ends() -> bool:
        world.proxy.refuse = world.clock.monotonic() < end
        return world.proxy.refuse

    _, *retries, _ = world.run(world.poller(), it_begins, it_ends, lambda: None)
    assert world.handed_over == ["during"]
    assert max(retries) <= 300
    assert min(retries[20:]) >= 150
