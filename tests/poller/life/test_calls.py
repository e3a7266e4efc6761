"""How a handler is called, and what becomes of each way in which a call can end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Generator
from typing import Any

import pytest

from nornmail import Defer, HandlerError, Message, Reject, parse_message
from nornmail.clock import SystemClock
from nornmail.model import State
from nornmail.poller.handler import CANCELLED, FILTERED, HandlerRunner, Outcome, Unwanted
from tests.support.clock import FakeClock
from tests.support.table import table

LONG = 60.0
"""Seconds that no test takes."""


def message(delivery_id: str = "one") -> Message:
    return parse_message(b"Subject: one\r\n\r\n", delivery_id=delivery_id)


def raising(error: BaseException) -> Callable[[Message], object]:
    def handle(_message: Message) -> None:
        raise error

    return handle


async def coroutine(_message: Message) -> None:
    """A handler that needs an event loop."""


ENDS = [
    pytest.param(lambda _: None, State.HANDLED, True, True, id="it returns"),
    pytest.param(raising(ValueError("no")), State.WAITING, True, False, id="it raises"),
    pytest.param(raising(Reject("no")), State.DEAD, True, True, id="it rejects"),
    pytest.param(raising(Defer(5)), State.WAITING, False, True, id="it defers"),
    pytest.param(raising(KeyboardInterrupt()), State.WAITING, False, None, id="an interrupt"),
    pytest.param(raising(SystemExit(3)), State.WAITING, True, False, id="it ends the program"),
    pytest.param(coroutine, State.WAITING, False, False, id="it is a coroutine function"),
]


@table("timeout", [None, LONG], ids=["in this thread", "in a thread of its own"])
@table(("handler", "state", "counts", "works"), ENDS)
def test_every_end_of_a_call_is_an_outcome(
    handler: Callable[[Message], object],
    state: State,
    counts: bool,
    works: bool | None,
    timeout: float | None,
) -> None:
    outcome = HandlerRunner(SystemClock(), timeout).call(handler, message())
    assert (outcome.state, outcome.counts, outcome.works) == (state, counts, works)


@table(
    ("handler", "stop"),
    [
        pytest.param(raising(SystemExit(3)), SystemExit, id="it ends the program"),
        pytest.param(raising(KeyboardInterrupt()), KeyboardInterrupt, id="an interrupt"),
        pytest.param(coroutine, HandlerError, id="nothing can await it"),
        pytest.param(raising(ValueError()), type(None), id="an error of the message"),
        pytest.param(raising(asyncio.CancelledError()), type(None), id="a cancelled handler"),
    ],
)
def test_what_ends_the_poller(handler: Callable[[Message], object], stop: type) -> None:
    assert isinstance(HandlerRunner(SystemClock()).call(handler, message()).stop, stop)


def test_mail_that_is_not_wanted_is_passed_over() -> None:
    outcome = HandlerRunner(SystemClock()).call(raising(Unwanted()), message())
    assert (outcome.state, outcome.reason) == (State.PASSED_OVER, FILTERED)


def test_without_a_timeout_the_handler_runs_in_the_thread_that_calls() -> None:
    threads: list[int] = []
    HandlerRunner(SystemClock()).call(lambda _: threads.append(threading.get_ident()), message())
    assert threads == [threading.get_ident()]


class Stuck:
    """A handler that hangs until it is let go.

    Attributes:
        begun, go: events.
    """

    def __init__(self, error: BaseException | None = None) -> None:
        self.begun = threading.Event()
        self.go = threading.Event()
        self._error = error

    def __call__(self, _message: Message) -> None:
        self.begun.set()
        assert self.go.wait(LONG)
        if self._error is not None:
            raise self._error


@pytest.fixture
def ended() -> threading.Event:
    """Set when a call that hung has ended."""
    return threading.Event()


@pytest.fixture
def runner(ended: threading.Event) -> HandlerRunner:
    """A runner for which a timeout passes at once."""
    return HandlerRunner(FakeClock(), LONG, ended.set)


def test_a_call_that_outlives_its_timeout_has_failed_and_is_kept_in_mind(
    runner: HandlerRunner, ended: threading.Event
) -> None:
    stuck = Stuck()
    outcome = runner.call(stuck, message())
    assert (outcome.state, outcome.counts) == (State.WAITING, True)
    assert "longer than 60 s" in outcome.reason
    assert runner.overdue == 1
    assert runner.is_overdue("one")
    assert runner.late() == {}
    stuck.go.set()
    assert ended.wait(LONG)


LATE = [
    pytest.param(None, State.HANDLED, id="it returned"),
    pytest.param(Reject("no"), State.DEAD, id="it rejected"),
    pytest.param(ValueError("no"), State.WAITING, id="it raised"),
    pytest.param(SystemExit(), State.WAITING, id="it ended the program"),
]


@pytest.mark.parametrize(("error", "state"), LATE)
def test_how_it_ended_is_told_later(
    runner: HandlerRunner, ended: threading.Event, error: BaseException | None, state: State
) -> None:
    stuck = Stuck(error)
    runner.call(stuck, message())
    stuck.go.set()
    assert ended.wait(LONG)
    assert {one: outcome.state for one, outcome in runner.late().items()} == {"one": state}
    assert runner.overdue == 0
    assert runner.is_overdue("one"), "until that is settled no other attempt may begin"
    runner.forget("one")
    assert not runner.is_overdue("one")


class Interrupted(FakeClock):
    """A clock whose waits a person ends."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        raise KeyboardInterrupt


def test_an_interrupt_while_a_call_is_waited_for_ends_the_poller_and_not_the_call(
    ended: threading.Event,
) -> None:
    runner = HandlerRunner(Interrupted(), LONG, ended.set)
    stuck = Stuck()
    outcome = runner.call(stuck, message())
    assert isinstance(outcome.stop, KeyboardInterrupt)
    assert (outcome.state, outcome.counts) == (State.WAITING, False)
    assert runner.is_overdue("one"), "no other attempt begins while it goes on"
    stuck.go.set()
    assert ended.wait(LONG)
    assert runner.late()["one"].state is State.HANDLED


def test_a_call_that_hangs_keeps_no_process_from_ending(
    runner: HandlerRunner, ended: threading.Event
) -> None:
    stuck = Stuck()
    runner.call(stuck, message())
    (thread,) = [one for one in threading.enumerate() if one.name == "nornmail-handler"]
    assert thread.daemon
    stuck.go.set()
    assert ended.wait(LONG)
    thread.join()


def test_where_no_thread_can_be_made_the_message_has_no_part_in_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    outcome = HandlerRunner(SystemClock(), LONG).call(lambda _: None, message())
    assert (outcome.state, outcome.counts) == (State.WAITING, False)
    assert isinstance(outcome.stop, RuntimeError)


@pytest.mark.parametrize("timeout", [None, LONG], ids=["in this thread", "in a thread of its own"])
def test_a_handler_is_inside_its_caller_and_no_other(timeout: float | None) -> None:
    runner, other = HandlerRunner(SystemClock(), timeout), HandlerRunner(SystemClock())
    told: list[bool] = []
    runner.call(lambda _: told.extend([runner.inside(), other.inside()]), message())
    assert told == [True, False]
    assert not runner.inside()


# On an event loop.


def on_a_loop(
    handler: Callable[[Message], object],
    *,
    runner: HandlerRunner | None = None,
    meanwhile: Callable[[HandlerRunner], Any] | None = None,
) -> Outcome:
    """Call a handler from another thread while an event loop runs in this one."""
    runner = runner or HandlerRunner(SystemClock())

    async def main() -> Outcome:
        runner.attach(asyncio.get_running_loop())
        calling = asyncio.create_task(asyncio.to_thread(runner.call, handler, message()))
        if meanwhile is not None:
            await meanwhile(runner)
        return await calling

    return asyncio.run(main())


def test_a_coroutine_is_awaited_on_the_event_loop() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    async def handle(_message: Message) -> None:
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    assert on_a_loop(handle).state is State.HANDLED
    assert len(loops) == 1


class Awaitable:
    """Not a coroutine, and can be awaited all the same."""

    def __await__(self) -> Generator[Any, None, None]:
        return asyncio.sleep(0).__await__()


@pytest.mark.parametrize("timeout", [None, LONG], ids=["without a timeout", "with a timeout"])
def test_whatever_can_be_awaited_is(timeout: float | None) -> None:
    outcome = on_a_loop(lambda _: Awaitable(), runner=HandlerRunner(SystemClock(), timeout))
    assert outcome.state is State.HANDLED


@table(
    ("error", "state", "stop"),
    [
        pytest.param(ValueError("no"), State.WAITING, False, id="it raises"),
        pytest.param(Reject("no"), State.DEAD, False, id="it rejects"),
        pytest.param(SystemExit(3), State.WAITING, True, id="it ends the program"),
        pytest.param(KeyboardInterrupt(), State.WAITING, True, id="an interrupt"),
        pytest.param(asyncio.CancelledError(), State.WAITING, False, id="it cancels itself"),
    ],
)
def test_what_a_coroutine_raises_is_an_outcome_and_harms_no_event_loop(
    error: BaseException, state: State, stop: bool
) -> None:
    async def handle(_message: Message) -> None:
        await asyncio.sleep(0)
        raise error

    outcome = on_a_loop(handle)
    assert (outcome.state, outcome.stop is not None) == (state, stop)


def test_a_coroutine_that_is_interrupted_waits_and_was_no_attempt() -> None:
    begun = threading.Event()

    async def handle(_message: Message) -> None:
        begun.set()
        await asyncio.sleep(LONG)

    async def interrupt(runner: HandlerRunner) -> None:
        await asyncio.to_thread(begun.wait)
        runner.interrupt()

    outcome = on_a_loop(handle, meanwhile=interrupt)
    assert outcome == Outcome(State.WAITING, CANCELLED, counts=False, works=None)


def test_after_an_interrupt_no_coroutine_begins() -> None:
    begun: list[Message] = []

    async def handle(message: Message) -> None:
        begun.append(message)

    async def interrupt(runner: HandlerRunner) -> None:
        runner.interrupt()

    outcome = on_a_loop(handle, meanwhile=interrupt)
    assert outcome.reason == CANCELLED
    assert begun == []


def test_a_coroutine_that_ends_well_in_spite_of_the_interrupt_was_handled() -> None:
    begun = threading.Event()

    async def handle(_message: Message) -> None:
        begun.set()
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    async def interrupt(runner: HandlerRunner) -> None:
        await asyncio.to_thread(begun.wait)
        runner.interrupt()

    assert on_a_loop(handle, meanwhile=interrupt).state is State.HANDLED


class Patient(FakeClock):
    """A clock on which a timeout passes at once when the handler has begun.

    Attributes:
        begun: that it has.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begun = threading.Event()

    def wait(self, event: threading.Event, seconds: float) -> None:
        assert self.begun.wait(LONG)
        super().wait(event, seconds)


@pytest.mark.parametrize("begins", [True, False], ids=["while it runs", "before it begins"])
def test_a_coroutine_is_cancelled_at_its_timeout(ended: threading.Event, begins: bool) -> None:
    clock = Patient()
    if not begins:
        clock.begun.set()

    async def handle(_message: Message) -> None:
        clock.begun.set()
        await asyncio.sleep(LONG)

    async def until_it_ends(_runner: HandlerRunner) -> None:
        assert await asyncio.to_thread(ended.wait, LONG)

    runner = HandlerRunner(clock, LONG, ended.set)
    outcome = on_a_loop(handle, runner=runner, meanwhile=until_it_ends)
    assert (outcome.state, outcome.counts) == (State.WAITING, True)
    assert {one: late.state for one, late in runner.late().items()} == {"one": State.WAITING}
    assert runner.overdue == 0


def test_a_coroutine_that_ends_well_after_its_timeout_counts(ended: threading.Event) -> None:
    clock = Patient()

    async def handle(_message: Message) -> None:
        clock.begun.set()
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            await asyncio.sleep(0)

    async def until_it_ends(_runner: HandlerRunner) -> None:
        assert await asyncio.to_thread(ended.wait, LONG)

    runner = HandlerRunner(clock, LONG, ended.set)
    on_a_loop(handle, runner=runner, meanwhile=until_it_ends)
    assert {one: late.state for one, late in runner.late().items()} == {"one": State.HANDLED}


def test_an_event_loop_that_is_gone_is_no_failure_of_the_message() -> None:
    runner = HandlerRunner(SystemClock())
    gone = asyncio.new_event_loop()
    gone.close()
    runner.attach(gone)
    outcome = runner.call(coroutine, message())
    assert (outcome.reason, outcome.counts) == (CANCELLED, False)


def test_a_coroutine_is_inside_its_caller_and_what_it_leaves_behind_is_not() -> None:
    runner = HandlerRunner(SystemClock())
    told: list[bool] = []
    left: list[asyncio.Task[None]] = []
    through = threading.Event()

    async def afterwards() -> None:
        await asyncio.to_thread(through.wait)
        told.append(runner.inside())

    async def handle(_message: Message) -> None:
        told.append(runner.inside())
        left.append(asyncio.create_task(afterwards()))

    async def main() -> None:
        runner.attach(asyncio.get_running_loop())
        await asyncio.to_thread(runner.call, handle, message())
        through.set()
        await left[0]

    asyncio.run(main())
    assert told == [True, False]
