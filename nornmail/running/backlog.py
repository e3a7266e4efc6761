"""Mail that is there and was not looked at: how much, since when, and whether that is too long."""

from __future__ import annotations

import logging

from nornmail.clock import Clock, instant
from nornmail.events import Announcer, Behind

log = logging.getLogger("nornmail.poller")


class Backlog:
    """Keeps count while a pass works through what it found.

    Nothing need have failed: a first run takes its time, and so does a slow callback. Whoever
    watches is told once, and again after there was nothing left in between.

    Args:
        clock: for how long it has lasted.
        patience: seconds after which it is told.
        announce: who is told.
    """

    def __init__(self, clock: Clock, patience: float, announce: Announcer) -> None:
        self._clock = clock
        self._patience = patience
        self._announce = announce
        self._left = 0
        self._began_at = 0.0
        self._told = False

    @property
    def behind(self) -> int:
        """How many messages, once some have been there for too long; else 0. From any thread."""
        return self._left if self._lasts() > self._patience else 0

    def found(self, count: int) -> None:
        """So many are there that nobody has looked at; 0 when all are done."""
        if not count:
            self._told = False
        elif not self._left:
            self._began_at = self._clock.monotonic()
        self._left = count

    def did(self, count: int) -> None:
        """So many of them were handed over, or passed over; tell it if that takes too long."""
        self._left = max(self._left - count, 0)
        if self.behind and not self._told:
            self._told = True
            now, lasts = self._clock.wall(), self._lasts()
            log.warning("%d messages are there that nobody has looked at", self._left)
            self._announce(Behind(at=instant(now), since=instant(now - lasts), count=self._left))

    def _lasts(self) -> float:
        return self._clock.monotonic() - self._began_at if self._left else 0.0
