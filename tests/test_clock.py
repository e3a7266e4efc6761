"""A bell between threads: a ring ends the wait under way or the next, and costs nothing unused."""

from __future__ import annotations

import select
import threading
from collections.abc import Callable, Iterator

import pytest

from nornmail.clock import SystemClock, Waker

LONG = 600.0
"""Seconds that no test can wait for."""


@pytest.fixture
def waker() -> Iterator[Waker]:
    one = Waker()
    yield one
    one.close()


def rings(waker: Waker) -> bool:
    return bool(select.select([waker], [], [], 0)[0])


def by_event(waker: Waker) -> None:
    SystemClock().wait(waker.event, LONG)


def by_descriptor(waker: Waker) -> None:
    SystemClock().select([waker], LONG)


@pytest.mark.parametrize("wait", [by_event, by_descriptor])
def test_a_ring_from_another_thread_ends_a_wait(
    waker: Waker, wait: Callable[[Waker], None]
) -> None:
    thread = threading.Timer(0.01, waker.wake)
    thread.start()
    wait(waker)
    thread.join()
    assert waker.awake


@pytest.mark.parametrize("wait", [by_event, by_descriptor])
def test_a_ring_before_the_wait_ends_it(waker: Waker, wait: Callable[[Waker], None]) -> None:
    waker.wake()
    wait(waker)


def test_it_rings_until_it_is_cleared(waker: Waker) -> None:
    assert not rings(waker)
    for _ in range(3):
        waker.wake()
    assert rings(waker)
    assert rings(waker)
    waker.clear()
    assert not rings(waker)
    assert not waker.awake
    waker.wake()
    assert rings(waker)


def test_a_hundred_thousand_rings_do_not_block(waker: Waker) -> None:
    waker.fileno()
    for _ in range(100_000):
        waker.wake()
    waker.clear()
    assert not rings(waker)


def test_after_its_end_it_can_be_used_again(waker: Waker) -> None:
    waker.fileno()
    waker.close()
    waker.close()
    waker.wake()
    assert rings(waker)


def test_silence_passes_in_time(waker: Waker) -> None:
    clock = SystemClock()
    begin = clock.monotonic()
    clock.select([waker], 0.02)
    assert clock.monotonic() - begin >= 0.019
    clock.select([waker], -1)
