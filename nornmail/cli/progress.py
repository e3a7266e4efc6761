"""Progress line on a terminal for a long run."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nornmail.events import Event, Found, Handled

SHOWN_FROM = 50
"""Messages from which a run is long: fewer are done before a person has read the line."""
INTERVAL = 0.2
"""Seconds between two changes of the line."""
_CLEAR = "\r\x1b[K"


class Progress:
    """Counts the poller's events, and shows the count on standard error if that is a terminal.

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
        self._visible = False

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
        """Clear the line before other text is written there."""
        with self._lock:
            if self._visible and self._show is not None:
                self._show(_CLEAR)
                self._visible = False

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Clear the line while another one is written, and show it below that one again."""
        was_visible = self._visible
        self.clear()
        yield
        with self._lock:
            if was_visible and self._show is not None and self._done < self._total:
                self._show(self._line())
                self._visible = True

    def _line(self) -> str:
        return format_progress(self._done, self._total, self._clock() - self._began)

    def _begin(self, count: int) -> None:
        if self._done < self._total:
            self._total = self._done + count  # it continues after a lost connection
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
        self._show(_CLEAR + ("" if over else self._line()))
        self._visible = not over


def format_progress(done: int, total: int, seconds: float) -> str:
    """Messages done of all, the rate, and the time left."""
    rate = done / seconds if seconds > 0 else 0.0
    left = f", {format_duration((total - done) / rate)} left" if rate else ""
    return f"{done:,} of {total:,} messages, {rate:,.0f}/s{left}"


def format_duration(seconds: float) -> str:
    """Seconds for people: ``8 s``, ``2 min 5 s``, ``3 h 20 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def on_standard_error() -> Progress:
    """Progress on standard error; silent unless that is a terminal."""
    try:
        terminal = os.isatty(sys.stderr.fileno())
    except (OSError, ValueError):  # it is closed, or replaced by an object without one
        terminal = False

    def show(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    return Progress(show if terminal else None)
