"""Time that passes only when a test says so."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from nornmail.clock import Readable


class FakeClock:
    """Both clocks of the library, moved by hand; waiting moves them instead of waiting."""

    def __init__(self, wall: float = 1_800_000_000.0) -> None:
        self._wall = wall
        self._monotonic = 1_000.0
        self.waits: list[float] = []

    def wall(self) -> float:
        return self._wall

    def monotonic(self) -> float:
        return self._monotonic

    def wait(self, event: threading.Event, seconds: float) -> None:
        self.waits.append(seconds)
        if not event.is_set():
            self.advance(seconds)

    def select(self, readers: Sequence[Readable], seconds: float) -> None:
        """A wait like any other: the time passes, and whoever reads sees what has come by then."""
        self.wait(threading.Event(), seconds)

    def advance(self, seconds: float) -> None:
        self._wall += seconds
        self._monotonic += seconds

    def jump(self, seconds: float) -> None:
        """Move the wall clock alone, as a correction of the machine's time does."""
        self._wall += seconds
