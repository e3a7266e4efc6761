"""The callback raises, gives up, asks for time, is down altogether, or is stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from itertools import pairwise

import pytest

from nornmail import ConfigurationError, Defer, HandlerError, Message, Reject, RetryPolicy
from nornmail.model import State
from tests.poller.delivery.harness import (
    RETRIES,
    Failing,
    World,
    failing_at,
    mail,
    numbered,
    numbers,
)


def test_a_message_that_fails_waits_while_the_rest_flows_and_is_dead_after_the_last_attempt(
    world: World,
) -> None:
    world.deliver("one", "bad", "three")
    handler = failing_at(world, "bad")
    poller = world.poller(handler)
    result = poller.poll_once()
    assert (result.handled, result.failed, result.waiting) == (2, 1, 1)
    for attempt, delay in enumerate(RETRIES, 2):
        world.clock.advance(delay - 1)
        world.deliver(f"while {attempt} is awaited")
        assert poller.poll_once().failed == 0
        world.clock.advance(1)
        assert poller.poll_once().failed == 1
        assert handler.attempts[-1] == ("bad", attempt)
    assert poller.poll_once().dead == 1
    world.clock.advance(1_000_000)
    assert poller.poll_once().failed == 0
    assert handler.attempts.count(("bad", 6)) == 1
    assert world.handed_over == ["one", "three", *(f"while {n} is awaited" for n in range(2, 7))]
    assert world.raw("bad") == mail("bad")
    assert "cannot handle bad" in world.entry("bad").reason
    assert world.flags()["bad"] == set()
    assert world.flags()["three"] == {"\\Seen"}


def test_the_delivery_id_is_the_same_at_every_attempt(world: World) -> None:
    world.deliver("one", "two")
    ids: list[str] = []

    def fail(message: Message) -> None:
        ids.append(message.delivery_id)
        raise RuntimeError("no")

    poller = world.poller(fail)
    for _ in range(3):
        poller.poll_once()
        world.clock.advance(300)
    assert len(ids) == 6
    assert len(set(ids)) == 2


def test_an_attempt_that_succeeds_ends_the_matter(world: World) -> None:
    world.deliver("bad")
    handler = failing_at(world)
    poller = world.poller(handler)
    poller.poll_once()
    handler.fails = lambda _: False
    world.clock.advance(60)
    assert poller.poll_once().handled == 1
    assert world.seen[0].attempt == 2
    assert world.states() == {State.FINISHED: 1}
    assert world.raw("bad") is None
    assert world.flags() == {"bad": {"\\Seen"}}


def test_run_forever_comes_back_when_a_message_is_due(world: World) -> None:
    world.deliver("bad")
    handler = failing_at(world)
    poller = world.poller(handler, poll_interval=3_600, idle=False)
    waits = world.run(poller, *[lambda: None] * 4)
    assert waits == [60, 300, 1_800, 3_600]
    assert [attempt for _, attempt in handler.attempts] == [1, 2, 3, 4]


def test_attempts_are_fed_from_the_kept_bytes_when_the_message_was_expunged(world: World) -> None:
    (uid,) = world.deliver("bad")
    handler = failing_at(world)
    poller = world.poller(handler)
    poller.poll_once()
    world.others.expunge(uid, "INBOX")
    handler.fails = lambda _: False
    world.clock.advance(60)
    assert poller.poll_once().handled == 1
    assert world.seen[0].raw == mail("bad")
    assert world.states() == {State.FINISHED: 1}


def test_a_rejected_message_is_dead_at_once_and_left_as_it_is(world: World) -> None:
    world.deliver("one", "spam", "three")
    handler = failing_at(world, "spam", error=Reject)
    poller = world.poller(handler, delete_after_fetch=True)
    result = poller.poll_once()
    assert (result.handled, result.dead) == (2, 1)
    world.clock.advance(1_000_000)
    poller.poll_once()
    assert handler.attempts == [("one", 1), ("spam", 1), ("three", 1)]
    assert world.raw("spam") == mail("spam")
    assert world.entry("spam").reason == "cannot handle spam"
    assert world.flags() == {"spam": set()}


def test_a_deferred_message_comes_back_without_counting(world: World) -> None:
    world.deliver("later", "now")
    attempts: list[tuple[str, int]] = []
    begun = world.clock.wall()
    times = []

    def handle(message: Message) -> None:
        attempts.append((message.subject, message.attempt))
        times.append(world.clock.wall() - begun)
        if message.subject == "later" and len(attempts) < 12:
            raise Defer(30, "not yet")

    poller = world.poller(handle)
    assert poller.poll_once().waiting == 1
    for _ in range(10):
        world.clock.advance(29)
        poller.poll_once()
        world.clock.advance(1)
        poller.poll_once()
    assert attempts == [("later", 1), ("now", 1), *[("later", 1)] * 10]
    assert times == [0, 0, *range(30, 301, 30)]
    assert world.states() == {State.FINISHED: 2}


@pytest.mark.parametrize("seconds", [1e9, float("inf"), -5.0, 0.0, float("nan")])
def test_a_senseless_deferral_is_bounded(world: World, seconds: float) -> None:
    world.deliver("later")
    attempts = []

    def handle(message: Message) -> None:
        attempts.append(message.attempt)
        if len(attempts) == 1:
            raise Defer(seconds)

    poller = world.poller(handle)
    poller.poll_once()
    world.clock.advance(RETRIES[-1])
    assert poller.poll_once().handled == 1
    assert attempts == [1, 1]


@pytest.mark.one_worker("counts the calls until the handler is down")
def test_a_handler_that_is_down_is_asked_now_and_then_and_no_mail_is_spent_on_it(
    world: World,
) -> None:
    world.deliver(*numbered(1, 20))
    handler = failing_at(world)
    poller = world.poller(handler)
    poller.poll_once()
    assert [subject for subject, _ in handler.attempts] == numbers(1, 5)
    asked = []
    for _ in range(360):
        before = len(handler.attempts)
        poller.poll_once()
        if len(handler.attempts) > before:
            assert len(handler.attempts) == before + 1
            asked.append(world.clock.monotonic())
        world.clock.advance(10)
    intervals = [later - earlier for earlier, later in pairwise(asked)]
    assert intervals[:6] == [10, 20, 40, 80, 160, 300]
    assert set(intervals[5:]) == {300}
    assert {entry.attempts for entry in world.entries()} == {1}
    assert world.states() == {State.WAITING: 5}

    handler.fails = lambda _: False
    world.clock.advance(300)
    poller.poll_once()
    world.clock.advance(60)
    poller.poll_once()
    assert sorted(world.handed_over, key=int) == numbers(1, 20)
    firsts = [message.subject for message in world.seen if message.attempt == 1]
    assert firsts == numbers(6, 20)
    assert list(world.flags().values()) == [{"\\Seen"}] * 20


@pytest.mark.one_worker("what fails and what comes new are called side by side")
def test_an_outage_ends_although_all_that_still_waits_is_poison(world: World) -> None:
    world.deliver("one", "two", "three", "four")
    handler = failing_at(world, "one", "two", "three", "four", "poison")
    poller = world.poller(handler, retry=RetryPolicy(delays=(60.0, 60_000.0)))
    poller.poll_once()
    world.clock.advance(60)
    poller.poll_once()
    world.clock.advance(60_000)
    world.deliver("poison", "new", "newer")
    assert poller.poll_once().dead == 4
    assert handler.attempts[-1] == ("poison", 1)
    for _ in range(4):
        world.clock.advance(300)
        poller.poll_once()
    assert world.handed_over == ["new", "newer"]


@pytest.mark.one_worker("counts the calls until the handler is down")
def test_run_forever_waits_for_the_next_probe_of_a_handler_that_is_down(world: World) -> None:
    world.deliver(*numbered(1, 20))
    handler = failing_at(world)
    waits = world.run(world.poller(handler), *[lambda: None] * 6)
    assert waits == [5, 10, 20, 40, 60, 20]


def test_four_messages_that_fail_are_no_outage(world: World) -> None:
    world.deliver(*numbered(1, 20))
    handler = failing_at(world, "1", "2", "3", "4", "6", "7", "8", "9")
    assert world.poller(handler).poll_once().handled == 12


def test_rejections_and_deferrals_are_no_outage(world: World) -> None:
    world.deliver(*numbered(1, 20))
    attempts = []

    def handle(message: Message) -> None:
        attempts.append(message.subject)
        raise (Reject("no") if int(message.subject) % 2 else Defer(60))

    world.poller(handle).poll_once()
    assert attempts == numbers(1, 20)


async def coroutine(_message: Message) -> None:
    raise AssertionError("nobody awaits this")


@pytest.mark.one_worker("the second message is called before the first one stops it")
def test_a_callback_that_returns_an_awaitable_stops_the_poller(world: World) -> None:
    world.deliver("one", "two")
    poller = world.poller(coroutine)
    with pytest.raises(HandlerError, match="awaitable"):
        poller.poll_once()
    poller.close()
    assert world.states() == {State.WAITING: 1}
    assert world.flags() == {"one": set(), "two": set()}
    plain = world.poller()
    plain.poll_once()
    assert sorted(world.handed_over) == ["one", "two"]
    assert {message.attempt for message in world.seen} == {1}


def generator(_message: Message) -> Iterator[None]:
    yield
    raise AssertionError("this is not run")


async def async_generator(_message: Message) -> AsyncIterator[None]:
    yield
    raise AssertionError("this is not run")


@pytest.mark.parametrize("callback", [generator, async_generator])
def test_a_generator_function_as_callback_handles_nothing_and_stops_the_poller(
    world: World, callback: Callable[[Message], object]
) -> None:
    world.deliver("one")
    poller = world.poller(callback)
    with pytest.raises(HandlerError, match="generator function"):
        poller.poll_once()
    poller.close()
    assert world.states() == {State.WAITING: 1}
    assert world.flags() == {"one": set()}


def test_run_forever_ends_with_the_error_of_a_callback_that_returns_an_awaitable(
    world: World,
) -> None:
    world.deliver("one")
    with pytest.raises(HandlerError, match="awaitable"):
        world.poller(coroutine).run_forever()


@pytest.mark.one_worker("the second message is called before the first one ends it")
@pytest.mark.parametrize(
    ("error", "attempt"),
    [
        pytest.param(KeyboardInterrupt, 1, id="Ctrl-C, which is not the message's fault"),
        pytest.param(SystemExit, 2, id="SystemExit, which counts"),
    ],
)
def test_what_ends_the_program_in_the_callback_goes_on_up(
    world: World, error: type[BaseException], attempt: int
) -> None:
    world.deliver("one", "two")
    handler = failing_at(world, "one", error=error)
    poller = world.poller(handler)
    with pytest.raises(error):
        poller.run_forever()
    assert handler.attempts == [("one", 1)]
    assert world.states() == {State.WAITING: 1}
    world.clock.advance(60)
    again = Failing(world, lambda _: False, error)
    world.poller(again).poll_once()
    assert sorted(again.attempts) == [("one", attempt), ("two", 1)]


def test_a_callback_that_polls_is_told_that_it_must_not(world: World) -> None:
    world.deliver("one", "two")
    told: list[str] = []

    def handle(message: Message) -> None:
        for call in (poller.poll_once, poller.close):
            with pytest.raises(HandlerError) as raised:
                call()
            told.append(str(raised.value))
        world.note(message)

    poller = world.poller(handle)
    poller.poll_once()
    assert world.handed_over == ["one", "two"]
    assert len(told) == 4
    assert all(text.startswith("a handler must not poll") for text in told)


def test_a_callback_may_stop_the_loop(world: World) -> None:
    world.deliver("one", "two")

    def handle(message: Message) -> None:
        world.note(message)
        poller.stop()

    poller = world.poller(handle)
    poller.run_forever()
    assert world.handed_over == ["one"] or world.handed_over == ["one", "two"]
    assert world.states() == {State.FINISHED: len(world.seen)}


def test_two_pollers_of_one_process_on_one_mailbox_are_an_error(world: World) -> None:
    world.deliver("one")
    first, second = world.poller(), world.poller()
    first.poll_once()
    with pytest.raises(ConfigurationError, match="another poller of this process"):
        second.poll_once()
    first.close()
    assert second.poll_once().new == 0
    assert world.handed_over == ["one"]


def test_a_policy_of_ones_own(world: World) -> None:
    world.deliver("bad")
    handler = failing_at(world)
    poller = world.poller(handler, retry=RetryPolicy(delays=(5.0,)))
    poller.poll_once()
    world.clock.advance(5)
    assert poller.poll_once().dead == 1
    assert [attempt for _, attempt in handler.attempts] == [1, 2]


@pytest.mark.parametrize(
    "jump",
    [
        pytest.param(86_400.0, id="a day ahead"),
        pytest.param(-86_400.0, id="a day back"),
        pytest.param(3_600.0, id="an hour ahead"),
        pytest.param(-3_600.0, id="an hour back"),
        pytest.param(-1_600_000_000.0, id="back to 1973"),
    ],
)
def test_the_wall_clock_jumps(world: World, jump: float) -> None:
    world.deliver("one", "bad")
    handler = failing_at(world, "bad")
    poller = world.poller(handler)
    poller.poll_once()
    world.clock.jump(jump)
    handler.fails = lambda _: False
    world.deliver("three")
    assert poller.poll_once().new == 1
    world.clock.advance(3_660)
    poller.poll_once()
    assert sorted(world.handed_over) == ["bad", "one", "three"]
    assert world.states() == {State.FINISHED: 3}
    poller.close()
    assert world.poller().poll_once().new == 0
