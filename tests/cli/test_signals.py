"""Signals and the work that they end, whatever thread the system gives them to."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from nornmail.cli.signals import Interrupted, Work
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

    one = Work(work, stopped.set)
    assert one.run()
    assert one.signalled is number


def test_the_second_one_leaves_the_work_where_it_is() -> None:
    stopped, released = threading.Event(), threading.Event()

    def work() -> None:
        to_this_thread(signal.SIGINT)
        stopped.wait(SECONDS)
        to_this_thread(signal.SIGTERM)
        released.wait(SECONDS)

    one = Work(work, stopped.set)
    with pytest.raises(Interrupted):
        one.run()
    released.set()
    assert one.signalled is signal.SIGINT


def test_a_child_that_was_forked_and_gets_one_ends_nothing() -> None:
    def work() -> int:
        return in_a_fork(lambda: os.kill(os.getpid(), signal.SIGTERM))

    one = Work(work, lambda: None)
    assert one.run() == 0
    assert one.signalled is None


def test_what_was_there_before_is_there_again() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert Work(lambda: 5, lambda: None).run() == 5
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(fd)
    assert fd == -1


def test_what_the_work_raises_is_raised() -> None:
    def work() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        Work(work, lambda: None).run()
