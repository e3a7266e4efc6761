"""``sync``: a pass that is asked for from another thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from nornmail import (
    AuthenticationFailed,
    ConfigurationError,
    ConnectionLost,
    HandlerError,
    Message,
    NornmailError,
    StoreError,
)
from nornmail.errors import Throttled
from nornmail.events import AuthFailed, Backoff, Handled, Idle, Throttling
from nornmail.model import Inbox
from nornmail.poller import handler as handler_module
from nornmail.poller import threads as threads_module
from nornmail.testing.imap.faults import Answer, Call, RejectLogin
from tests.poller.life.harness import SECONDS, Gate, Life


def test_it_returns_how_many_messages_are_new(life: Life) -> None:
    with life.poller() as poller:
        life.events.until(Idle)
        life.deliver("one", "two")
        assert poller.sync() == 2
        assert life.subjects == ["one", "two"]
        assert poller.sync() == 0


def test_without_a_loop_it_polls_in_the_thread_that_asks(life: Life) -> None:
    threads: list[int] = []
    life.deliver("one")
    poller = life.poller(lambda _: threads.append(threading.get_ident()))
    assert poller.sync() == 1
    assert threads == [threading.get_ident()]
    poller.start()
    life.events.until(Idle)
    poller.stop()
    life.deliver("two")
    assert poller.sync() == 1


def test_those_who_ask_before_a_pass_has_begun_share_it(life: Life) -> None:
    life.deliver("one")
    gate = Gate("one")
    with life.poller(gate) as poller, ThreadPoolExecutor(5) as pool:
        assert gate.reached.wait(SECONDS)
        asked: list[Future[int]] = [pool.submit(poller.sync) for _ in range(5)]
        life.deliver("two", "three")
        gate.go.set()
        results = [one.result(SECONDS) for one in asked]
    # Some may ask only when that pass has begun: they share the one after it.
    assert sorted(message.subject for message in gate.seen) == ["one", "three", "two"]
    assert set(results) <= {0, 1, 2}


def test_mail_that_is_there_when_it_is_asked_is_handed_over_when_it_returns(life: Life) -> None:
    """Although a pass was under way that had looked before."""
    life.deliver("one")
    gate = Gate("one")
    with life.poller(gate) as poller, ThreadPoolExecutor(1) as pool:
        assert gate.reached.wait(SECONDS)
        life.deliver("two")
        asked = pool.submit(poller.sync)
        gate.go.set()
        asked.result(SECONDS)
        assert [message.subject for message in gate.seen] == ["one", "two"]


def test_it_counts_one_inbox(life: Life) -> None:
    inboxes = [Inbox("a@example.com", life.note), Inbox("b@example.com", life.note)]
    with life.poller(inboxes=inboxes) as poller:
        life.events.until(Idle)
        life.deliver("one", to="a@example.com")
        life.deliver("two", to="A@example.com, b@example.com")
        assert poller.sync("A@example.com") == 2
        life.deliver("three", to="b@example.com")
        assert poller.sync("a@example.com") == 0
        with pytest.raises(ConfigurationError, match=r"c@example\.com"):
            poller.sync("c@example.com")


@pytest.mark.parametrize("timeout", [None, SECONDS], ids=["its own thread", "another thread"])
def test_a_handler_must_not_ask(life: Life, timeout: float | None) -> None:
    refused: list[str] = []

    def handle(_message: Message) -> None:
        with pytest.raises(HandlerError, match="handler") as error:
            poller.sync()
        refused.append(str(error.value))

    life.deliver("one")
    poller = life.poller(handle, handler_timeout=timeout)
    with poller:
        life.events.until(Idle)
    assert len(refused) == 1


def test_on_event_must_not_ask(life: Life) -> None:
    refused: list[str] = []

    def on_event(_event: object) -> None:
        try:
            poller.sync()
        except HandlerError as error:
            refused.append(str(error))
        else:
            raise AssertionError("it was not refused")

    poller = life.poller(on_event=on_event)
    poller.poll_once()
    assert refused


def test_it_cuts_a_wait_after_a_lost_connection_short(life: Life) -> None:
    life.server.refuse_connections = True
    with life.poller() as poller:
        life.events.until(Backoff)
        life.server.refuse_connections = False
        life.deliver("one")
        assert poller.sync() == 1
        assert poller.status().state == "idle"


def test_what_goes_wrong_in_the_pass_is_raised(life: Life) -> None:
    with life.poller() as poller:
        life.events.until(Idle)
        life.server.refuse_connections = True
        life.server.kick()
        with pytest.raises(ConnectionLost):
            poller.sync()
        assert poller.status().state == "backoff"


def test_rejected_credentials_are_not_tried_again_for_it(life: Life) -> None:
    life.server.faults.add(RejectLogin(times=None))
    with life.poller() as poller:
        life.events.until(AuthFailed)
        tried = life.server.connections
        for _ in range(3):
            with pytest.raises(AuthenticationFailed):
                poller.sync()
        assert life.server.connections == tried
        life.server.faults.clear()
        life.clock.until_somebody_waits()
        life.clock.advance(300)
        life.events.until(Idle)
        assert poller.sync() == 0


def test_a_server_that_throttles_is_left_alone_in_spite_of_it(life: Life) -> None:
    with life.poller() as poller:
        life.events.until(Idle)
        text = b"NO Request is throttled. Suggested Backoff Time: 30000 milliseconds"
        life.server.faults.add(Answer(command="NOOP", text=text))
        with pytest.raises(Throttled):
            poller.sync()
        assert life.events.until(Throttling).seconds >= 30
        said = len(life.server.commands)
        with pytest.raises(Throttled):
            poller.sync()
        assert [c for c in life.server.commands[said:] if b"LOGOUT" not in c] == []


def test_a_stop_is_told_to_those_who_wait(life: Life) -> None:
    life.deliver("one")
    gate = Gate("one")
    poller = life.poller(gate).start()
    assert gate.reached.wait(SECONDS)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(poller.sync)
        while poller._loop.requests._next is None:
            threading.Event().wait(0.001)
        poller.stop(timeout=0)
        gate.go.set()
        with pytest.raises(NornmailError, match="stopped"):
            asked.result(SECONDS)
    assert poller.stop()


def test_the_end_of_the_loop_is_told_to_those_who_wait(life: Life) -> None:
    with life.poller() as poller:
        life.events.until(Idle)
        life.store.close()
        life.server.faults.add(
            Call(command="NOOP", function=lambda: life.deliver("one"), optional=True)
        )
        with pytest.raises(StoreError):
            poller.sync()
        with pytest.raises(StoreError):
            poller.stop()


def test_it_is_refused_on_the_event_loop_that_the_handlers_need(life: Life) -> None:
    async def main() -> str:
        poller = life.poller()
        running = asyncio.create_task(poller.run())
        await asyncio.to_thread(life.events.until, Idle)
        with pytest.raises(NornmailError) as error:
            poller.sync()
        life.deliver("one")
        assert await asyncio.to_thread(poller.sync) == 1
        poller.stop()
        await running
        return str(error.value)

    assert "asyncio.to_thread(poller.sync)" in asyncio.run(main())


def by_thread(ask: Callable[[], None]) -> None:
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join(SECONDS)
    assert not thread.is_alive()


def by_pool(ask: Callable[[], None]) -> None:
    with ThreadPoolExecutor() as pool:
        pool.submit(ask).result(SECONDS)


@pytest.mark.parametrize("wait_for", [by_thread, by_pool])
def test_a_handler_that_is_seen_to_wait_for_a_sync_is_an_error_at_once(
    life: Life, monkeypatch: pytest.MonkeyPatch, wait_for: Callable[[Callable[[], None]], None]
) -> None:
    monkeypatch.setattr(handler_module, "SYNC_CHECK", 0.05)
    errors: list[str] = []

    def ask() -> None:
        with pytest.raises(HandlerError) as error:
            poller.sync()
        errors.append(str(error.value))

    life.deliver("one")
    poller = life.poller(lambda _: wait_for(ask)).start()
    life.events.until(Handled)
    poller.stop()
    assert errors == ["a handler must not wait for a thread that polls or calls sync()"]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_handler_that_waits_for_a_thread_that_syncs_does_not_hang(
    life: Life, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(handler_module, "SYNC_PATIENCE", 0.2)
    monkeypatch.setattr(handler_module, "SYNC_CHECK", 0.05)
    outcomes: list[object] = []
    ended = threading.Event()

    def ask() -> None:
        try:
            outcomes.append(poller.sync())
        except HandlerError as error:
            outcomes.append(str(error))
        ended.set()

    def handler(_message: Message) -> None:
        threading.Thread(target=ask).start()
        life.clock.advance(1)  # the call has lasted for longer than anybody waits
        assert ended.wait(SECONDS)

    life.deliver("one")
    poller = life.poller(handler, workers=workers).start()
    life.events.until(Handled)
    poller.stop()
    (outcome,) = outcomes
    if workers == 1:
        assert "must not wait for a thread that polls or calls sync()" in str(outcome)
    else:
        assert outcome == 0, "another poll can begin, and finds nothing new"


async def by_executor(ask: Callable[[], None]) -> None:
    await asyncio.get_running_loop().run_in_executor(None, ask)


async def by_gathered_executors(ask: Callable[[], None]) -> None:
    with ThreadPoolExecutor() as pool:
        await asyncio.wait_for(asyncio.gather(asyncio.wrap_future(pool.submit(ask))), SECONDS)


@pytest.mark.parametrize(
    ("wait_for", "workers", "method"),
    [
        pytest.param(by_executor, 1, "sync", id="a coroutine awaits a sync in an executor"),
        pytest.param(by_gathered_executors, 1, "sync", id="a coroutine gathers syncs of a pool"),
        pytest.param(by_executor, 1, "close", id="a coroutine awaits a close"),
        pytest.param(by_executor, 2, "close", id="one of two workers awaits a close"),
    ],
)
def test_a_coroutine_that_is_seen_to_wait_for_its_poller_is_an_error_at_once(
    life: Life,
    monkeypatch: pytest.MonkeyPatch,
    wait_for: Callable[[Callable[[], None]], Awaitable[None]],
    workers: int,
    method: str,
) -> None:
    for module in (handler_module, threads_module):
        monkeypatch.setattr(module, "SYNC_CHECK", 0.02)
    errors: list[str] = []

    async def main() -> None:
        def ask() -> None:
            with pytest.raises(HandlerError) as error:
                getattr(poller, method)()
            errors.append(str(error.value))

        async def handler(_message: Message) -> None:
            await wait_for(ask)
            poller.stop()

        poller = life.poller(handler, workers=workers)
        await asyncio.wait_for(poller.run(), SECONDS)

    life.deliver("one")
    asyncio.run(main())
    assert len(errors) == 1
    assert errors[0].startswith("a handler must not wait for a thread that")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("wait_for", [by_thread, by_pool])
def test_stop_and_close_do_not_wait_for_a_handler_that_waits_for_them(
    life: Life,
    monkeypatch: pytest.MonkeyPatch,
    wait_for: Callable[[Callable[[], None]], None],
    workers: int,
) -> None:
    for module in (handler_module, threads_module):
        monkeypatch.setattr(module, "SYNC_CHECK", 0.02)
    stopped: list[bool] = []

    def ask() -> None:
        stopped.append(poller.stop())
        with pytest.raises(HandlerError, match="closes its poller"):
            poller.close()

    life.deliver("one")
    poller = life.poller(lambda _: wait_for(ask), workers=workers).start()
    life.events.until(Handled)
    assert poller.stop()
    assert stopped == [False]


@pytest.mark.parametrize("workers", [1, 2])
def test_close_waits_for_a_long_call_under_a_loop_of_another_thread(
    life: Life, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    monkeypatch.setattr(handler_module, "SYNC_PATIENCE", 0.05)
    for module in (handler_module, threads_module):
        monkeypatch.setattr(module, "SYNC_CHECK", 0.02)
    life.deliver("one")
    gate = Gate("one")
    poller = life.poller(gate, workers=workers)
    with ThreadPoolExecutor(2) as pool:
        loop = pool.submit(poller.run_forever)
        assert gate.reached.wait(SECONDS)
        life.clock.advance(1)  # the call has lasted for longer than a sync() waits
        closed = pool.submit(poller.close)
        with pytest.raises(TimeoutError):
            closed.result(0.2)
        gate.go.set()
        assert closed.result(SECONDS) is None
        assert loop.result(SECONDS) is None
    assert [message.subject for message in gate.seen] == ["one"]
