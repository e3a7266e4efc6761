"""A poller in a thread of its own: how it begins, how it ends, and what it says when it fails."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType, SimpleNamespace
from typing import Any

import pytest

from nornmail import (
    ConfigurationError,
    DecisionRequired,
    HandlerError,
    Message,
    NornmailError,
    Poller,
    Reject,
)
from nornmail.events import Idle, Stopped
from nornmail.model import State
from nornmail.poller import threads
from nornmail.testing import faults
from tests.poller.life.harness import INTERVAL, SECONDS, Gate, Life, names_of
from tests.stores.support import run

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def test_a_stop_that_comes_while_the_thread_is_made_ends_it(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller = life.poller()
    launch, answers = poller._lifecycle._launch, list[bool]()

    def interrupted(thread: threading.Thread) -> None:
        answers.append(poller.stop(0))
        launch(thread)

    monkeypatch.setattr(poller._lifecycle, "_launch", interrupted)
    assert poller.start().stop(SECONDS)
    assert answers == [False], "it was about to run"


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_stops_it_after_the_current_message(life: Life, number: signal.Signals) -> None:
    def handler(message: Message) -> None:
        signal.raise_signal(number)
        life.note(message)

    before = [signal.getsignal(each) for each in SIGNALS]
    life.deliver("one", "two")
    life.poller(handler).run_forever(stop_on=SIGNALS)
    assert life.subjects == ["one"]
    assert [entry.state for entry in life.entries()] == [State.FINISHED]
    assert [signal.getsignal(each) for each in SIGNALS] == before


def test_a_stop_that_waits_for_a_handler_is_in_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    announced = threading.Event()
    monkeypatch.setattr(threads, "ABORT_AFTER", 0.01)
    monkeypatch.setattr(threads, "log", SimpleNamespace(info=lambda text: announced.set()))
    aborted: list[bool] = []
    busy: Any = SimpleNamespace(running_for=lambda: 1.0, inside=lambda: False)

    def body() -> None:
        lifecycle.stop(0)
        assert announced.wait(SECONDS)

    lifecycle = threads.Lifecycle(body, threading.Event(), bool, busy, aborted.append)
    lifecycle.run_here()
    assert aborted == [False]  # only what ends an abort


def run_interrupted(at: int, *, stops: bool) -> bool:
    """Run a lifecycle with an interrupt at its line number ``at``, and again; whether it came.

    A line that Python visits again, to leave a block, does not count: no signal can fall between a
    lock and its block.
    """
    codes = {getattr(threads.Lifecycle, name).__code__ for name in ("_begin", "_run", "_finish")}
    busy: Any = SimpleNamespace(running_for=lambda: 0.0, inside=lambda: False)
    lines: set[tuple[FrameType, int]] = set()
    bodies: list[threading.Event] = []
    interrupts: list[int] = []

    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code not in codes:
            return None
        if event == "line":
            lines.add((frame, frame.f_lineno))
            if len(lines) == at and not interrupts:
                interrupts.append(frame.f_lineno)
                raise KeyboardInterrupt
        return trace

    def body() -> None:
        bodies.append(stopped)
        if stops:
            lifecycle.stop(0)

    stopped = threading.Event()
    lifecycle = threads.Lifecycle(body, stopped, bool, busy, bool)
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt):
            lifecycle.run_here()
    finally:
        sys.settrace(before)
    assert (lifecycle.running, lifecycle.inside) == (False, False)
    earlier = len(bodies)
    lifecycle.run_here()
    assert len(bodies) == earlier + 1
    return bool(interrupts)


@pytest.mark.parametrize("stops", [False, True], ids=["by itself", "by a stop"])
def test_an_interrupt_at_any_line_around_the_loop_leaves_it_usable(stops: bool) -> None:
    at = 1
    while run_interrupted(at, stops=stops):
        at += 1
    assert at > 15


def test_a_signal_stops_it_while_it_waits_for_mail(life: Life) -> None:
    timer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGTERM))
    poller = life.poller(on_event=lambda event: timer.start() if isinstance(event, Idle) else None)
    poller.run_forever(stop_on=SIGNALS)
    timer.join()
    assert names_of(threading.enumerate()) == []


def test_a_second_signal_interrupts_the_message(life: Life) -> None:
    def handler(message: Message) -> None:
        for _ in range(2):
            signal.raise_signal(signal.SIGTERM)
        life.note(message)

    life.deliver("one")
    life.poller(handler).run_forever(stop_on=SIGNALS)
    assert life.subjects == []
    assert [entry.state for entry in life.entries()] == [State.WAITING]


def test_an_interrupt_that_is_no_signal_stays_one(life: Life) -> None:
    life.deliver("one")
    with pytest.raises(KeyboardInterrupt):
        life.poller(interrupt).run_forever(stop_on=SIGNALS)


def test_signals_are_for_the_main_thread(life: Life) -> None:
    errors: list[BaseException] = []

    def run() -> None:
        try:
            life.poller().run_forever(stop_on=SIGNALS)
        except NornmailError as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert "main thread" in str(errors[0])


def test_it_polls_in_a_thread_of_its_own_until_it_is_stopped(life: Life) -> None:
    life.deliver("one")
    poller = life.poller()
    assert poller.start() is poller
    life.events.until(Idle)
    life.deliver("two")
    life.clock.until_somebody_waits()
    life.clock.advance(INTERVAL)
    assert life.until_seen(2) == ["one", "two"]
    assert poller.stop() is True
    assert names_of(threading.enumerate()) == []
    assert life.server.commands[-1].endswith(b" LOGOUT")


def test_with_starts_and_stops_it(life: Life) -> None:
    life.deliver("one")
    with life.poller() as poller:
        life.until_seen(1)
        assert names_of(threading.enumerate()) == ["nornmail-poller"]
    assert names_of(threading.enumerate()) == []
    assert poller.status().state == "stopped"
    assert life.poller().poll_once().new == 0, "the lease was given back"


@pytest.mark.parametrize("command", ["LOGIN", "SELECT", "UID SEARCH", "UID FETCH", "UID STORE"])
@pytest.mark.parametrize("workers", [1, 2])
def test_stop_waits_for_no_server_that_hangs(life: Life, command: str, workers: int) -> None:
    reached = threading.Event()
    life.server.faults.add(
        faults.Call(command, function=reached.set), faults.Silent(command, times=None)
    )
    life.deliver("one")
    poller = life.poller(workers=workers).start()
    assert reached.wait(SECONDS)
    begin = time.monotonic()
    assert poller.stop() is True
    assert time.monotonic() - begin < 5, "half a second, on a machine that is not busy"
    life.server.faults.clear()
    poller.poll_once()
    assert life.subjects == ["one"]
    assert [entry.state for entry in life.entries()] == [State.FINISHED]


def test_stop_waits_for_no_server_that_hangs_while_the_destination_of_a_move_is_searched(
    life: Life,
) -> None:
    reached = threading.Event()
    life.server.create_mailbox("Done")
    life.server.faults.add(
        faults.Cut("UID MOVE"),
        faults.Call("EXAMINE", function=reached.set),
        faults.Silent("EXAMINE", times=None),
    )
    life.deliver("one")
    poller = life.poller(imap={"move_to": "Done"}).start()
    assert reached.wait(SECONDS)
    begin = time.monotonic()
    assert poller.stop() is True
    assert time.monotonic() - begin < 5, "half a second, on a machine that is not busy"
    life.server.faults.clear()
    poller.poll_once()
    assert life.subjects == ["one"]
    assert [entry.state for entry in life.entries()] == [State.FINISHED]


def test_stop_waits_for_no_greeting(life: Life) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        poller = life.poller(imap={"host": "127.0.0.1", "port": port}).start()
        listener.settimeout(20)
        connection, _ = listener.accept()
        with connection:
            assert poller.stop() is True
    assert names_of(threading.enumerate()) == []


def test_it_can_be_started_again(life: Life) -> None:
    poller = life.poller()
    for count in (1, 2, 3):
        life.deliver(str(count))
        poller.start()
        life.until_seen(count)
        assert poller.stop()
    assert life.subjects == ["1", "2", "3"]


def test_a_stop_while_nothing_runs_is_forgotten_by_start(life: Life) -> None:
    life.deliver("one")
    poller = life.poller()
    assert poller.stop()
    with poller:
        assert life.until_seen(1) == ["one"]


def test_a_stop_before_run_forever_ends_that_at_once_and_no_later_one(life: Life) -> None:
    life.deliver("one")
    poller = life.poller()
    poller.stop()
    poller.run_forever()
    assert life.seen == []
    assert poller.poll_once().new == 1


def test_a_stop_ends_one_poll_and_no_later_one(life: Life) -> None:
    life.deliver("one", "two", "three")

    def handler(message: Message) -> None:
        life.note(message)
        if message.subject == "one":
            poller.stop()

    poller = life.poller(handler)
    assert [poller.poll_once().handled for _ in range(2)] == [1, 2]
    poller.run_forever()  # as asked for by the stop: else this would not return
    assert life.subjects == ["one", "two", "three"]


def test_what_a_poll_calls_does_not_wait_for_the_thread_that_waits_for_the_poll(life: Life) -> None:
    stopped: list[bool] = []

    def accept(_message: Message) -> bool:
        poller.start()
        with pytest.raises(HandlerError, match="must not poll or close"):
            poller.close()
        stopped.append(poller.stop(SECONDS))
        return True

    poller = life.poller(accept=accept)
    life.deliver("one")
    began = time.monotonic()
    poller.poll_once()
    assert time.monotonic() - began < SECONDS / 2
    assert stopped == [False]


def test_after_with_run_forever_runs(life: Life) -> None:
    poller = life.poller(lambda _: poller.stop())
    with poller:
        life.events.until(Idle)
    life.deliver("one")
    poller.run_forever()
    assert [entry.state for entry in life.entries()] == [State.FINISHED]


def test_stop_lets_the_message_at_hand_be_finished_and_hands_over_none_after_it(
    life: Life,
) -> None:
    life.deliver("1", "2", "3")
    gate = Gate("2")
    poller = life.poller(gate).start()
    assert gate.reached.wait(SECONDS)
    assert poller.stop(timeout=0) is False
    gate.go.set()
    assert poller.stop() is True
    assert [message.subject for message in gate.seen] == ["1", "2"]
    assert {entry.state for entry in life.entries()} == {State.FINISHED}


def test_a_handler_may_stop_its_poller_and_does_not_wait_for_itself(life: Life) -> None:
    life.deliver("1", "2")
    answers: list[bool] = []
    poller = life.poller(lambda _: answers.append(poller.stop()))
    poller.start()
    thread = next(one for one in threading.enumerate() if one.name == "nornmail-poller")
    thread.join(SECONDS)
    assert answers == [False]
    assert poller.stop() is True


def test_a_handler_in_a_thread_of_its_own_may_stop_its_poller(life: Life) -> None:
    life.deliver("1", "2")
    answers: list[bool] = []
    poller = life.poller(lambda _: answers.append(poller.stop()), handler_timeout=INTERVAL)
    poller.run_forever()
    assert answers == [False]


async def coroutine(_message: Message) -> None:
    """A handler that nothing but ``run()`` can await."""


def leave(_message: Message) -> None:
    sys.exit("enough")


def interrupt(_message: Message) -> None:
    raise KeyboardInterrupt


FATAL = [
    pytest.param(coroutine, HandlerError, id="a handler that nothing can await"),
    pytest.param(leave, SystemExit, id="a handler that ends the program"),
    pytest.param(interrupt, KeyboardInterrupt, id="an interrupt in the handler"),
]


@pytest.mark.parametrize(("handler", "error"), FATAL)
def test_what_ends_the_thread_is_raised_by_stop_once(
    life: Life,
    handler: Callable[[Message], object],
    error: type[BaseException],
) -> None:
    life.deliver("one")
    poller = life.poller(handler).start()
    life.events.until(Stopped)
    assert poller.status().state == "failed"
    with pytest.raises(error):
        poller.stop()
    assert poller.stop() is True
    assert [entry.state for entry in life.entries()] == [State.WAITING]


def test_what_ends_the_thread_is_logged_at_once(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    life.deliver("one")
    poller = life.poller(coroutine).start()
    life.events.until(Stopped)
    with pytest.raises(HandlerError):
        poller.stop()
    assert any("the poller has ended: on_message returned" in line for line in caplog.messages)


def test_what_ends_the_thread_is_raised_by_the_end_of_with(life: Life) -> None:
    life.deliver("one")
    with pytest.raises(HandlerError), life.poller(coroutine):
        life.events.until(Stopped)


def break_off(life: Life) -> None:
    with life.poller():
        life.events.until(Idle)
        raise ZeroDivisionError


def test_an_error_in_the_body_of_with_goes_on(life: Life) -> None:
    with pytest.raises(ZeroDivisionError):
        break_off(life)
    assert names_of(threading.enumerate()) == []


def test_a_first_run_that_needs_a_decision_is_told(life: Life) -> None:
    life.deliver(*map(str, range(1_001)))
    poller = life.poller().start()
    assert "1001" in life.events.until(Stopped).reason
    assert poller.status().state == "failed"
    with pytest.raises(DecisionRequired):
        poller.stop()
    assert life.seen == []


REFUSED: list[tuple[Callable[[Poller], object], str]] = [
    (Poller.start, "start"),
    (Poller.run_forever, "run_forever"),
    (Poller.poll_once, "poll_once"),
]


@pytest.mark.parametrize(("call", "name"), REFUSED, ids=[name for _, name in REFUSED])
def test_a_poller_that_runs_refuses(
    life: Life, call: Callable[[Poller], object], name: str
) -> None:
    with life.poller() as poller, pytest.raises(NornmailError, match="running"):
        call(poller)


def test_the_refusal_of_poll_once_names_sync(life: Life) -> None:
    with life.poller() as poller, pytest.raises(NornmailError, match=r"sync\(\)"):
        poller.poll_once()


def test_close_ends_a_thread_too(life: Life) -> None:
    poller = life.poller().start()
    life.events.until(Idle)
    poller.close()
    poller.close()
    assert names_of(threading.enumerate()) == []


def test_a_server_that_goes_away_is_lived_through(life: Life) -> None:
    with life.poller():
        life.events.until(Idle)
        life.server.kick()
        life.deliver("one")
        life.clock.until_somebody_waits()
        life.clock.advance(INTERVAL)
        assert life.until_seen(1) == ["one"]


@pytest.mark.parametrize("timeout", [0, -1, float("inf"), float("nan")])
def test_a_timeout_that_is_none_is_refused(life: Life, timeout: float) -> None:
    with pytest.raises(ConfigurationError, match="handler_timeout"):
        life.poller(handler_timeout=timeout)


def test_reject_is_no_end(life: Life) -> None:
    def reject(_message: Message) -> None:
        raise Reject("no")

    life.deliver("one", "two")
    with life.poller(reject):
        life.events.until(Idle)
    assert {entry.state for entry in life.entries()} == {State.DEAD}


SCRIPT = """
import logging
import threading
from nornmail import ImapSettings, MemoryStateStore, Poller
from nornmail.testing import MailServer

logging.disable()
reached = threading.Event()

def hang(message):
    reached.set()
    threading.Event().wait()

server = MailServer()
server.start()
server.add_user("a", "b")
server.deliver(b"Subject: one\\r\\n\\r\\n")
settings = ImapSettings(
    host=server.host, port=server.imap_port, use_ssl=False, username="a", password="b"
)
with Poller(settings, store=MemoryStateStore(), on_message=hang, handler_timeout=0.05) as poller:
    assert reached.wait(20)
print(poller.status().overdue)
server.stop()
"""


def test_a_process_ends_although_a_call_hangs() -> None:
    assert run(SCRIPT) == "1\n"
