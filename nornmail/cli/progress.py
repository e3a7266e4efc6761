"""The line on a terminal that shows how far a long run has come."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable

from nornmail.events import Event, Found, Handled

SHOWN_FROM = 50
"""Messages from which a run is long: fewer are through before anybody has read the line."""
INTERVAL = 0.2
"""Seconds between two changes of the line."""
_CLEAR = "\r\x1b[K"


class Progress:
    """Counts what the poller tells, and shows it on standard error where that is a terminal.

    Args:
        show: writes text to the terminal; ``None`` where there is none.
        clock: seconds that never jump.
    """

    def __init__(
        self, show: Callable[[str], object] | None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._show = show
        self._clock = clock
        self._lock = threading.Lock()
        self._done = 0
        self._total = 0
        self._began = 0.0
        self._shown_at = 0.0
        self._standing = False

    def __call__(self, event: Event) -> None:
        """Take an event of the poller."""
        if self._show is None:
            return
        with self._lock:
            if isinstance(event, Found):
                self._begin(event.count)
            elif isinstance(event, Handled) and self._total:
                self._done += 1
                self._update()

    def clear(self) -> None:
        """Take the line away, before something else is written there."""
        with self._lock:
            if self._standing and self._show is not None:
                self._show(_CLEAR)
                self._standing = False

    def _begin(self, count: int) -> None:
        if self._done < self._total:
            self._total = self._done + count  # it goes on, after a connection that was lost
        else:
            self._done, self._total, self._began = 0, count, self._clock()
        if self._total < SHOWN_FROM:
            self._total = 0

    def _update(self) -> None:
        now = self._clock()
        over = self._done >= self._total
        if self._show is None or (now - self._shown_at < INTERVAL and not over):
            return
        self._shown_at = now
        self._show(_CLEAR + ("" if over else told(self._done, self._total, now - self._began)))
        self._standing = not over


def told(done: int, total: int, seconds: float) -> str:
    """How far it has come: done of total, the rate, and the time left."""
    rate = done / seconds if seconds > 0 else 0.0
    left = f", {duration((total - done) / rate)} left" if rate else ""
    return f"{done:,} of {total:,} messages, {rate:,.0f}/s{left}"


def duration(seconds: float) -> str:
    """A time for people: ``8 s``, ``2 min 5 s``, ``3 h 20 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def on_standard_error() -> Progress:
    """Progress on standard error, silent where that is no terminal."""
    try:
        terminal = os.isatty(sys.stderr.fileno())
    except (OSError, ValueError):  # it is closed, or somebody put something else in its place
        terminal = False

    def show(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    return Progress(show if terminal else None)
