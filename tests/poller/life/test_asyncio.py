"""``await poller.run()``: coroutine handlers, plain ones, and how both end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from nornmail import ConnectionLost, Message, NornmailError, StoreError
from nornmail.events import Backoff, Idle, Stopped
from nornmail.model import Inbox, State
from nornmail.poller.handler import CANCELLED
from tests.poller.life.harness import INTERVAL, SECONDS, Gate, Life, names_of

HANG = 3_600.0


class Coroutine:
    """An ``async`` handler that can be made to hang.

    Attributes:
        begun: a message is being handled.
    """

    def __init__(self, at: str = "", error: BaseException | None = None) -> None:
        self.begun = threading.Event()
        self.seen: list[str] = []
        self.threads: set[int] = set()
        self._at = at
        self._error = error

    async def __call__(self, message: Message) -> None:
        self.threads.add(threading.get_ident())
        await asyncio.sleep(0)
        if message.subject == self._at:
            self.begun.set()
            if self._error is not None:
                raise self._error
            await asyncio.sleep(HANG)
        self.seen.append(message.subject)


async def until(event: threading.Event) -> None:
    assert await asyncio.to_thread(event.wait, SECONDS)


def test_an_async_handler_is_awaited_on_the_event_loop(life: Life) -> None:
    handler = Coroutine()

    async def main() -> None:
        life.deliver("1", "2", "3")
        poller = life.poller(handler)
        running = asyncio.create_task(poller.run())
        await asyncio.to_thread(life.events.until, Idle)
        poller.stop()
        await running

    asyncio.run(main())
    assert handler.seen == ["1", "2", "3"]
    assert handler.threads == {threading.get_ident()}
    assert {entry.state for entry in life.entries()} == {State.FINISHED}
    assert names_of(threading.enumerate()) == []


def test_a_plain_handler_does_not_block_the_event_loop(life: Life) -> None:
    gate = Gate("one")

    async def main() -> None:
        life.deliver("one")
        poller = life.poller(gate)
        running = asyncio.create_task(poller.run())
        await until(gate.reached)
        gate.go.set()
        await asyncio.to_thread(life.events.until, Idle)
        poller.stop()
        await running

    asyncio.run(main())
    assert [message.subject for message in gate.seen] == ["one"]


def test_inboxes_may_have_handlers_of_both_kinds(life: Life) -> None:
    handler = Coroutine()

    async def main() -> None:
        inboxes = [Inbox("a@example.com", handler), Inbox("b@example.com", life.note)]
        life.deliver("one", to="a@example.com, b@example.com")
        poller = life.poller(inboxes=inboxes)
        running = asyncio.create_task(poller.run())
        await asyncio.to_thread(life.events.until, Idle)
        poller.stop()
        await running

    asyncio.run(main())
    assert (handler.seen, life.subjects) == (["one"], ["one"])


@pytest.mark.parametrize("timeout", [None, INTERVAL], ids=["without a timeout", "with a timeout"])
def test_a_cancelled_run_leaves_the_message_waiting_due_now_and_unattempted(
    life: Life, timeout: float | None
) -> None:
    handler = Coroutine(at="2")

    async def main() -> None:
        life.deliver("1", "2", "3")
        running = asyncio.create_task(life.poller(handler, handler_timeout=timeout).run())
        await until(handler.begun)
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    (waiting,) = life.entries(State.WAITING)
    assert (waiting.attempts, waiting.reason) == (0, CANCELLED)
    assert waiting.due_at <= life.clock.wall()
    assert life.server.commands[-1].endswith(b" LOGOUT")
    assert names_of(threading.enumerate()) == []
    assert life.poller().poll_once().handled == 2
    assert handler.seen + life.subjects == ["1", "2", "3"]
    assert [message.attempt for message in life.seen] == [1, 1]


def test_a_cancelled_run_waits_for_a_plain_handler(life: Life) -> None:
    gate = Gate("1")

    async def main() -> None:
        life.deliver("1", "2")
        running = asyncio.create_task(life.poller(gate).run())
        await until(gate.reached)
        for _ in range(3):
            running.cancel()
            await asyncio.sleep(0)
        assert not running.done()
        gate.go.set()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    assert [message.subject for message in gate.seen] == ["1"]
    assert [entry.state for entry in life.entries()] == [State.FINISHED]


@pytest.mark.parametrize("while_", ["idle", "backing off"])
def test_a_cancelled_run_ends_at_once_when_it_waits(life: Life, while_: str) -> None:
    life.server.refuse_connections = while_ == "backing off"

    async def main() -> None:
        running = asyncio.create_task(life.poller().run())
        await asyncio.to_thread(life.events.until, Idle if while_ == "idle" else Backoff)
        await asyncio.to_thread(life.clock.until_somebody_waits)
        async with asyncio.timeout(SECONDS):
            running.cancel()
            await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())
    life.events.until(Stopped)


def test_a_timeout_around_it_works(life: Life) -> None:
    handler = Coroutine(at="one")

    async def main() -> None:
        life.deliver("one")
        async with asyncio.timeout(None) as limit:

            async def expire() -> None:
                await until(handler.begun)
                limit.reschedule(0)

            expiring = asyncio.create_task(expire())
            try:
                await life.poller(handler).run()
            finally:
                await expiring

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    assert [entry.attempts for entry in life.entries(State.WAITING)] == [0]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_ends_the_program_in_a_coroutine_goes_on_up(life: Life, error: BaseException) -> None:
    handler = Coroutine(at="one", error=error)

    async def main() -> None:
        life.deliver("one")
        await life.poller(handler).run()

    with pytest.raises(type(error)):
        asyncio.run(main())
    (waiting,) = life.entries(State.WAITING)
    assert waiting.attempts == (1 if isinstance(error, SystemExit) else 0)


def test_a_coroutine_that_raises_is_tried_again(life: Life) -> None:
    handler = Coroutine(at="one", error=ValueError("no"))

    async def main() -> None:
        life.deliver("one", "two")
        poller = life.poller(handler)
        running = asyncio.create_task(poller.run())
        await asyncio.to_thread(life.events.until, Idle)
        poller.stop()
        await running

    asyncio.run(main())
    (waiting,) = life.entries(State.WAITING)
    assert waiting.attempts == 1
    assert waiting.reason.startswith("ValueError: no")
    assert handler.seen == ["two"]


def test_what_ends_the_loop_is_raised(life: Life) -> None:
    life.store.close()
    with pytest.raises(StoreError):
        asyncio.run(life.poller().run())
    assert life.events.until(Stopped).reason


async def refused(poller: Any) -> None:
    with pytest.raises(NornmailError, match="running"):
        await poller.run()


async def refused_start(poller: Any) -> None:
    with pytest.raises(NornmailError, match="running"):
        poller.start()


async def refused_close(poller: Any) -> None:
    with pytest.raises(NornmailError, match="block the event loop"):
        poller.close()


@pytest.mark.parametrize("call", [refused, refused_start, refused_close])
def test_what_a_run_refuses_meanwhile(life: Life, call: Callable[[Any], Awaitable[None]]) -> None:
    async def main() -> None:
        poller = life.poller()
        running = asyncio.create_task(poller.run())
        await asyncio.to_thread(life.events.until, Idle)
        await call(poller)
        assert not running.done()
        poller.stop()
        await running

    asyncio.run(main())


def test_it_can_run_again_and_in_a_thread_after_that(life: Life) -> None:
    handler = Coroutine(at="one")
    poller = life.poller(handler)

    async def cancelled() -> None:
        running = asyncio.create_task(poller.run())
        await until(handler.begun)
        running.cancel()
        await asyncio.wait([running])

    async def whole() -> None:
        running = asyncio.create_task(poller.run())
        await asyncio.to_thread(life.events.until, Idle)
        poller.stop()
        await running

    life.deliver("one")
    asyncio.run(cancelled())
    handler._at = ""
    asyncio.run(whole())
    assert handler.seen == ["one"]
    with poller:
        assert poller.sync() == 0


def test_a_server_that_goes_away_is_lived_through(life: Life) -> None:
    async def main() -> None:
        poller = life.poller()
        running = asyncio.create_task(poller.run())
        await asyncio.to_thread(life.events.until, Idle)
        life.server.refuse_connections = True
        life.server.kick()
        with pytest.raises(ConnectionLost):
            await asyncio.to_thread(poller.sync)
        life.server.refuse_connections = False
        life.deliver("one")
        assert await asyncio.to_thread(poller.sync) == 1
        poller.stop()
        await running

    asyncio.run(main())
