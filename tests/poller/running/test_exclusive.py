"""One thread at a time, in the order in which they came."""

from __future__ import annotations

import threading

import pytest

from nornmail.errors import HandlerError
from nornmail.poller.threads import FairLock

SOON = 20.0
"""Seconds until a test that hangs fails."""


def test_who_came_first_goes_first_and_the_one_inside_hears_of_each() -> None:
    rung, order = threading.Event(), list[int]()
    turnstile = FairLock(rung.set)

    def work(number: int) -> None:
        with turnstile:
            order.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    with turnstile:
        for thread in threads:
            thread.start()
            assert rung.wait(SOON)
            rung.clear()
        assert order == []
    for thread in threads:
        thread.join(SOON)
    assert order == [0, 1, 2, 3, 4]
    with turnstile:
        assert not rung.is_set()


def test_who_is_inside_cannot_come_in_again() -> None:
    turnstile = FairLock()
    with turnstile, pytest.raises(HandlerError), turnstile:
        pass
    with turnstile:
        pass


def test_who_gives_up_waiting_blocks_nobody() -> None:
    def give_up() -> None:
        raise KeyboardInterrupt

    turnstile = FairLock(give_up)
    raised = threading.Event()

    def try_it() -> None:
        with pytest.raises(KeyboardInterrupt), turnstile:
            pass
        raised.set()

    with turnstile:
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join(SOON)
    assert raised.is_set()
    with turnstile:
        pass
