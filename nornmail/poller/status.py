"""The state of a poller, its counts and its backlog: readable at any time and from any thread."""

from __future__ import annotations

import logging
import random
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from nornmail.clock import Clock, StatusTracker, utc_datetime
from nornmail.model import State, Watermark

if TYPE_CHECKING:
    from nornmail.events import EventEmitter

log = logging.getLogger("nornmail.poller")


@dataclass(slots=True)
class PollStats:
    """Counts of one poll; :class:`PollResult` is made from them.

    ``new_in`` counts, for each inbox, the messages that were new for it; ``claimed`` the new
    messages that were claimed, whose calls may continue after the poll where there are workers.
    """

    new: int = 0
    handled: int = 0
    failed: int = 0
    passed_over: int = 0
    gone: int = 0
    claimed: int = 0
    new_in: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))

    def count(self, inbox: str, state: State, *, new: bool, first: bool) -> None:
        """Count a call of a handler that has ended.

        Args:
            state: of the entry, as it is settled.
            new: the message was new for the inbox.
            first: it is the first inbox that has it.
        """
        if state is State.PASSED_OVER:
            self.passed_over += 1
            return
        self.new_in[inbox] += new
        self.new += first
        if state is State.HANDLED:
            self.handled += 1
        else:
            self.failed += 1

    @property
    def progress(self) -> int:
        """A figure that rises whenever anything came to an end."""
        ended = self.new + self.handled + self.failed + self.passed_over + self.gone
        return ended + self.claimed


@dataclass(frozen=True, slots=True)
class PollResult:
    """The counts of one poll.

    Attributes:
        new: messages delivered for the first time.
        handled: calls of the handler that returned, retries included.
        failed: attempts that did not: the handler raised, or the server did not give a message.
        passed_over: messages that were recognised or lie before ``start_from``.
        gone: messages that were expunged before they could be fetched.
        waiting: messages that wait for their next attempt, now.
        dead: messages that were given up, now.
    """

    new: int = 0
    handled: int = 0
    failed: int = 0
    passed_over: int = 0
    gone: int = 0
    waiting: int = 0
    dead: int = 0


class PollerState(StrEnum):
    """The states of a poller."""

    STARTING = "starting"
    """It was started and has not connected yet."""
    CONNECTING = "connecting"
    """It makes a connection, logs in and selects the mailbox."""
    POLLING = "polling"
    """It looks for mail, fetches it and delivers it."""
    IDLE = "idle"
    """Nothing new is left; it waits for the server's word or the next look."""
    BACKOFF = "backoff"
    """The connection failed, or the server refused what was asked; it waits before the next try."""
    AUTH_FAILED = "auth_failed"
    """The credentials were refused; they are tried again after a long wait."""
    THROTTLED = "throttled"
    """The server asked for fewer requests; it waits."""
    STORE_TROUBLE = "store_trouble"
    """The state store is locked, or its disk is full; nothing is delivered until it can be used."""
    HANDLER_FAILING = "handler_failing"
    """Different messages failed in a row: nothing new is delivered until one succeeds."""
    STANDING_BY = "standing_by"
    """Another poller works on the mailbox; this one waits to take over."""
    UNDECIDED = "undecided"
    """The user must decide what happens to mail that is there already."""
    STOPPED = "stopped"
    """No loop is running."""
    FAILED = "failed"
    """The loop ended with an error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """A snapshot of a poller's state.

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
        stalled: no poll has succeeded for many intervals.
        behind: unprocessed messages, where there have been some for many intervals.
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


class Context(NamedTuple):
    """The surroundings that all parts of a poller share: time, randomness, events and status."""

    clock: Clock
    rng: random.Random
    emit: EventEmitter
    status: StatusTracker[PollerState]

    def now(self) -> datetime:
        """The time of an event."""
        return utc_datetime(self.clock.wall())


class Backlog:
    """Counts the messages that a poll has found and not processed yet, and since when.

    Nothing need have failed: a first run takes its time, and so does a slow callback. One warning
    is given, and another after there was nothing left in between.
    """

    def __init__(self, context: Context, limit: float) -> None:
        self._context = context
        self._limit = limit
        self._left = 0
        self._began_at = 0.0
        self._warned = False

    @property
    def behind(self) -> int:
        """The count, once there has been a backlog for too long; else 0. From any thread."""
        return self._left if self._age() > self._limit else 0

    def found(self, count: int) -> None:
        """Note that ``count`` messages are unprocessed; 0 when all are done."""
        if not count:
            self._warned = False
        elif not self._left:
            self._began_at = self._context.clock.monotonic()
        self._left = count

    def processed(self, count: int) -> None:
        """Note that ``count`` of them are done; warn if that takes too long."""
        self._left = max(self._left - count, 0)
        if self.behind and not self._warned:
            self._warned = True
            age = self._age()
            log.warning("%d messages have not been processed for over %.0f s", self._left, age)
            since = utc_datetime(self._context.clock.wall() - age)
            from nornmail.events import BacklogWarning

            self._context.emit(
                BacklogWarning(at=self._context.now(), since=since, count=self._left)
            )

    def _age(self) -> float:
        return self._context.clock.monotonic() - self._began_at if self._left else 0.0
