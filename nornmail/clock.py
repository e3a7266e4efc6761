"""Time and chance, as things that are handed in, so that no test waits and every run repeats."""

from __future__ import annotations

import random
import threading
import time
from typing import Protocol


class Clock(Protocol):
    """What the library needs to know of time."""

    def wall(self) -> float:
        """Seconds since 1970 UTC: for facts that are stored. It may jump."""

    def monotonic(self) -> float:
        """Seconds since some start: for waits and deadlines. It never jumps."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return after ``seconds``, or as soon as ``event`` is set."""


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> None:
        event.wait(seconds)


def system_random() -> random.Random:
    """A source of chance for jitter; nothing secret is made from it."""
    return random.Random()
