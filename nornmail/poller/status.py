"""What a poller is doing, for whoever asks: readable at any time and from any thread."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nornmail.clock import Clock, instant
from nornmail.errors import StoreError
from nornmail.model import State, Watermark
from nornmail.poller.ledger import Ledger


class Activity(StrEnum):
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
        state: which of :class:`Activity`; it compares equal to its text.
        since: when that began, in UTC.
        reason: why, for a person; ``""`` where the state says it all.
        waiting: messages that wait for their next attempt.
        dead: messages that were given up.
        handled: messages that were handled since the loop began.
        last_poll_at: when everything was last looked at, ``None`` if never.
        watermark: every UID up to it was looked at; ``None`` before the first run.
        hanging: calls of the handler that outlived their timeout and still run.
        stalled: no pass has succeeded for many intervals.
        behind: messages that nobody has looked at, where there have been some for many intervals.
    """

    state: Activity
    since: datetime
    reason: str = ""
    waiting: int = 0
    dead: int = 0
    handled: int = 0
    last_poll_at: datetime | None = None
    watermark: Watermark | None = None
    hanging: int = 0
    stalled: bool = False
    behind: int = 0


@dataclass(frozen=True, slots=True)
class _Note:
    """What stands on the board: replaced whole, so that a reader never sees half of it."""

    state: Activity
    since: float
    reason: str


class Board:
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
        self._note = _Note(Activity.STOPPED, clock.wall(), "it was not started")
        self.polled_at = 0.0
        self.waiting = 0
        self.dead = 0

    def be(self, state: Activity, reason: str = "") -> None:
        """Write down what is being done from now on; a state that goes on keeps its time."""
        with self._lock:
            note = self._note
            since = note.since if note.state is state else self._clock.wall()
            self._note = _Note(state, since, reason)

    @property
    def state(self) -> Activity:
        """What is being done."""
        return self._note.state

    @property
    def reason(self) -> str:
        """Why."""
        return self._note.reason

    @property
    def since(self) -> datetime:
        """Since when."""
        return instant(self._note.since)

    def count(self, ledger: Ledger) -> None:
        """Count what waits and is dead; a store that cannot tell leaves the figures alone."""
        with suppress(StoreError):
            self.waiting = ledger.count({State.WAITING})
            self.dead = ledger.count({State.DEAD})
