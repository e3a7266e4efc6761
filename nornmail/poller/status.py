"""What a poller is doing, for whoever asks: readable at any time and from any thread."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from nornmail.clock import Clock, utc_datetime
from nornmail.errors import StoreError
from nornmail.events import BacklogWarning, EventEmitter
from nornmail.model import State, Watermark
from nornmail.poller.ledger import Ledger

log = logging.getLogger("nornmail.poller")

# ---- What a pass did, counted.


@dataclass(slots=True)
class PollStats:
    """What a poll did so far; :class:`~nornmail.poller.poller.PollResult` is made from it.

    ``new_in`` counts, for each inbox, what it was handed for the first time.
    """

    new: int = 0
    handled: int = 0
    failed: int = 0
    passed_over: int = 0
    gone: int = 0
    new_in: Counter[str] = field(default_factory=Counter)

    @property
    def progress(self) -> int:
        """A figure that rises whenever anything came to an end."""
        return self.new + self.handled + self.failed + self.passed_over + self.gone


# ---- Mail that is there and was not looked at: how much, since when, and whether that is too
# long.


class Backlog:
    """Keeps count while a pass works through what it found.

    Nothing need have failed: a first run takes its time, and so does a slow callback. Whoever
    watches is told once, and again after there was nothing left in between.

    Args:
        clock: for how long it has lasted.
        patience: seconds after which it is told.
        emit: who is told.
    """

    def __init__(self, clock: Clock, patience: float, emit: EventEmitter) -> None:
        self._clock = clock
        self._patience = patience
        self._emit = emit
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
            self._emit(
                BacklogWarning(
                    at=utc_datetime(now), since=utc_datetime(now - lasts), count=self._left
                )
            )

    def _lasts(self) -> float:
        return self._clock.monotonic() - self._began_at if self._left else 0.0


class PollerState(StrEnum):
    """What a poller is doing."""

    STARTING = "starting"
    """It was started and has not got anywhere yet."""
    CONNECTING = "connecting"
    """It makes a connection, logs in and selects the mailbox."""
    POLLING = "polling"
    """It looks for mail, fetches it and hands it over."""
    IDLE = "idle"
    """Nothing new is left; it waits for the server's word or the next look."""
    BACKOFF = "backoff"
    """The connection failed, or the server refused what was asked; it waits before the next try."""
    AUTH_FAILED = "auth_failed"
    """The credentials were refused; they are tried again after a long wait."""
    THROTTLED = "throttled"
    """The server wants to be left alone; that is honoured."""
    HANDLER_FAILING = "handler_failing"
    """Different messages failed in a row: nothing new is handed over until one succeeds."""
    STANDING_BY = "standing_by"
    """Another poller works on the mailbox; this one waits to take over."""
    UNDECIDED = "undecided"
    """Mail lies there of which the user must say what becomes of it."""
    STOPPED = "stopped"
    """No loop is running."""
    FAILED = "failed"
    """The loop ended with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a poller was doing at the instant of the question.

    Attributes:
        state: which of :class:`PollerState`; it compares equal to its text.
        since: when that began, in UTC.
        reason: why, for a person; ``""`` where the state says it all.
        waiting: messages that wait for their next attempt.
        dead: messages that were given up.
        handled: messages that were handled since the loop began.
        last_poll_at: when everything was last looked at, ``None`` if never.
        watermark: every UID up to it was looked at; ``None`` before the first run.
        overdue: calls of the handler that outlived their timeout and still run.
        stalled: no pass has succeeded for many intervals.
        behind: messages that nobody has looked at, where there have been some for many intervals.
    """

    state: PollerState
    since: datetime
    reason: str = ""
    waiting: int = 0
    dead: int = 0
    handled: int = 0
    last_poll_at: datetime | None = None
    watermark: Watermark | None = None
    overdue: int = 0
    stalled: bool = False
    behind: int = 0


@dataclass(frozen=True, slots=True)
class _Note:
    """What stands on the status: replaced whole, so that a reader never sees half of it."""

    state: PollerState
    since: float
    reason: str


class StatusTracker:
    """Where the polling thread writes what it is doing, and any other reads it.

    Args:
        clock: for the time of changes.

    Attributes:
        polled_at: when a pass last succeeded, in seconds since 1970 UTC; 0.0 if never.
        waiting, dead: how many messages do and are, as of the last :meth:`count`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._note = _Note(PollerState.STOPPED, clock.wall(), "it was not started")
        self.polled_at = 0.0
        self.waiting = 0
        self.dead = 0

    def set(self, state: PollerState, reason: str = "") -> None:
        """Write down what is being done from now on; a state that goes on keeps its time."""
        with self._lock:
            note = self._note
            since = note.since if note.state is state else self._clock.wall()
            self._note = _Note(state, since, reason)

    @property
    def state(self) -> PollerState:
        """What is being done."""
        return self._note.state

    @property
    def reason(self) -> str:
        """Why."""
        return self._note.reason

    @property
    def since(self) -> datetime:
        """Since when."""
        return utc_datetime(self._note.since)

    def count(self, ledger: Ledger) -> None:
        """Count what waits and is dead; a store that cannot tell leaves the figures alone."""
        with suppress(StoreError):
            self.waiting = ledger.count({State.WAITING})
            self.dead = ledger.count({State.DEAD})
