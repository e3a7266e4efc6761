"""Clocks, deadlines and random numbers, as arguments: tests do not wait, and runs repeat."""

from __future__ import annotations

import random
import selectors
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Readable(Protocol):
    """An object that can be waited for: a socket, or anything with the descriptor of one."""

    def fileno(self) -> int:
        """The descriptor."""


class Clock(Protocol):
    """The clocks and the waits that the library uses."""

    def wall(self) -> float:
        """Seconds since 1970 UTC: for facts that are stored. It may jump."""

    def monotonic(self) -> float:
        """Seconds since some start: for waits and deadlines. It never jumps."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return after ``seconds``, or as soon as ``event`` is set."""

    def select(self, readers: Sequence[Readable], seconds: float) -> None:
        """Return after ``seconds``, or as soon as one of ``readers`` has something to read."""


class SystemClock:
    """The machine's own clocks."""

    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def wait(self, event: threading.Event, seconds: float) -> None:
        event.wait(seconds)

    def select(self, readers: Sequence[Readable], seconds: float) -> None:
        # Not select.select(), which takes no descriptor above 1023 on most systems.
        with selectors.DefaultSelector() as selector:
            for reader in readers:
                selector.register(reader.fileno(), selectors.EVENT_READ)
            selector.select(max(seconds, 0.0))


def system_random() -> random.Random:
    """A source of random numbers for jitter; nothing secret is made from it."""
    return random.Random()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_datetime(seconds: float) -> datetime:
    """Seconds since 1970 UTC as a datetime; also before 1970, where some systems refuse."""
    return _EPOCH + timedelta(seconds=seconds)


class Deadline:
    """An instant on the monotonic clock that bounds a whole exchange, however it drips in."""

    __slots__ = ("_at", "_clock")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds that are left, more than 0.

        Raises:
            TimeoutError: none are.
        """
        left = self._at - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left
