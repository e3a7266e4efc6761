"""Signals and the work that they end, whatever thread the system gives them to."""

from __future__ import annotations

import asyncio
import os
import signal
import threading

import pytest

from nornmail import parse_message
from nornmail.cli.signals import Hanging, MessagesInHand, SecondSignal, Work
from tests.cli.support import SECONDS
from tests.support.forking import in_a_fork

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals as POSIX has them")


def to_this_thread(*numbers: signal.Signals) -> None:
    for number in numbers:
        signal.pthread_kill(threading.get_ident(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_one_ends_the_work_well(number: signal.Signals) -> None:
    stopped = threading.Event()

    def work() -> bool:
        to_this_thread(number)
        return stopped.wait(SECONDS)

    one = Work(work, stopped.set, lambda: True)
    assert one.run()
    assert one.signalled is number


def test_the_second_one_leaves_the_work_where_it_is() -> None:
    stopped, released = threading.Event(), threading.Event()

    def work() -> None:
        to_this_thread(signal.SIGINT)
        stopped.wait(SECONDS)
        to_this_thread(signal.SIGTERM)
        released.wait(SECONDS)

    one = Work(work, stopped.set, lambda: True)
    with pytest.raises(SecondSignal):
        one.run()
    released.set()
    assert one.signalled is signal.SIGINT


def test_a_child_that_was_forked_and_gets_one_ends_nothing() -> None:
    def work() -> int:
        return in_a_fork(lambda: os.kill(os.getpid(), signal.SIGTERM))

    one = Work(work, lambda: None, lambda: True)
    assert one.run() == 0
    assert one.signalled is None


def test_what_was_there_before_is_there_again() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert Work(lambda: 5, lambda: None, lambda: True).run() == 5
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    assert fd == -1


def test_what_the_work_raises_is_raised() -> None:
    def work() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        Work(work, lambda: None, lambda: True).run()


def test_work_that_waits_for_a_server_is_abandoned() -> None:
    released = threading.Event()

    def work() -> None:
        to_this_thread(signal.SIGINT)
        released.wait(SECONDS)

    with pytest.raises(Hanging):
        Work(work, lambda: None, lambda: False).run()
    released.set()


def test_a_message_in_hand_is_waited_for() -> None:
    looks: list[bool] = []

    def work() -> str:
        to_this_thread(signal.SIGINT)
        while len(looks) < 12:  # for longer than the time that work without a message has
            threading.Event().wait(0.01)
        return "done"

    def busy() -> bool:
        looks.append(True)
        return True

    assert Work(work, lambda: None, busy).run() == "done"


def test_messages_in_hand_are_counted_also_when_a_handler_fails() -> None:
    in_hand = MessagesInHand()
    seen: list[bool] = []

    def fail(_message: object) -> None:
        seen.append(bool(in_hand))
        raise ValueError("broken")

    async def fail_later(message: object) -> None:
        fail(message)

    message = parse_message(b"Subject: x\r\n\r\n")
    with pytest.raises(ValueError, match="broken"):
        in_hand.counting(fail)(message)
    with pytest.raises(ValueError, match="broken"):
        asyncio.run(in_hand.counting(fail_later)(message))
    assert seen == [True, True]
    assert not in_hand
