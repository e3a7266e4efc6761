"""The loop: pass after pass, whatever the server does, and the right wait after each.

It survives what passes by itself. What needs a person ends it, as an exception.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from datetime import datetime

from nornmail.backoff import STALLED_INTERVALS, ServerBackoff
from nornmail.clock import Clock, utc_datetime
from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConnectionLost,
    DecisionRequired,
    LeaseHeld,
    LeaseLost,
    NornmailError,
    Throttled,
)
from nornmail.events import (
    AuthFailed,
    Backoff,
    DecisionPending,
    EventEmitter,
    Idle,
    PollFailed,
    Stalled,
    Standby,
    Throttling,
)
from nornmail.model import State
from nornmail.poller.cycle import PollCycle
from nornmail.poller.delivery import Delivery
from nornmail.poller.ledger import Ledger
from nornmail.poller.status import PollerState, PollStats, StatusTracker
from nornmail.poller.sync import SyncRequests
from nornmail.poller.threads import FairLock
from nornmail.poller.wait import Wait
from nornmail.retry import RetryPolicy, until_due
from nornmail.waker import Waker

log = logging.getLogger("nornmail.poller")

UNDECIDED_INTERVAL = 300.0
"""Seconds between two looks while a new UIDVALIDITY waits for the user's decision."""
TAKEOVER_INTERVAL = 5.0
"""Seconds between two tries to take over from a poller that holds the mailbox."""


class Loop:
    """Makes passes until it is stopped, in the thread that calls :meth:`run`.

    Args:
        passes: the work.
        rest: the wait between two.
        waker: ends a wait.
        requests: passes that other threads ask for.
        working: lets one thread work at a time.
        delivery, ledger, retry: what waits, and until when.
        interval: seconds between two passes.
        clock, rng: time and jitter.
        status, emit: where it is told what is being done.
        stopped: whether to end.
    """

    def __init__(
        self,
        passes: PollCycle,
        *,
        rest: Wait,
        waker: Waker,
        requests: SyncRequests,
        working: FairLock,
        delivery: Delivery,
        ledger: Ledger,
        retry: RetryPolicy,
        interval: float,
        clock: Clock,
        rng: random.Random,
        status: StatusTracker,
        emit: EventEmitter,
        stopped: Callable[[], bool],
    ) -> None:
        self._passes = passes
        self._resting = rest
        self._waker = waker
        self._sync_requests = requests
        self._working = working
        self._delivery = delivery
        self._ledger = ledger
        self._retry = retry
        self._interval = interval
        self._clock = clock
        self._rng = rng
        self._status = status
        self._emit = emit
        self._stopped = stopped
        self._begin()

    def _begin(self) -> None:
        """As if nothing had happened before."""
        self._patience = ServerBackoff(self._rng)
        self._server_at = 0.0
        self._breaker: NornmailError | None = None
        self._calm = False
        self._found = False
        self._done_well(self._interval)

    def run(self) -> None:
        """Pass and wait, until it is stopped or something needs a person."""
        self._begin()
        while not self._stopped():
            self._rest(self._turn())

    def stalled(self) -> bool:
        """Whether no pass has succeeded for many intervals; from any thread."""
        # While another poller has the mailbox, the work is done by that one.
        mine = self._status.state is not PollerState.STANDING_BY
        return mine and self._clock.monotonic() > self._stalls_at

    def _done_well(self, wait: float) -> None:
        """Note that all is well, and that nothing is to be done for ``wait`` seconds."""
        self._good_at = self._clock.monotonic()
        self._stalls_at = self._good_at + wait + STALLED_INTERVALS * self._interval
        self._told_stalled = False

    def _turn(self) -> float:
        """Make a pass, unless the server is to be left alone; return the seconds to wait.

        Whoever asked for a pass hears how this one ended, once :meth:`Poller.status` says so too.
        """
        self._calm = False
        request = self._sync_requests.take()
        stats = PollStats()
        try:
            wait, trouble = self._attempt(stats, asked=request is not None)
        except BaseException as error:
            if request is not None:
                request.fail(error)
            raise
        if request is not None and trouble is not None:
            request.fail(trouble)
        elif request is not None:
            request.succeed(stats)
        return wait

    def _attempt(self, stats: PollStats, *, asked: bool) -> tuple[float, NornmailError | None]:
        """The seconds to wait after a pass, and the trouble in it that was survived.

        Args:
            stats: what is done.
            asked: somebody wants a pass now, which cuts a wait short unless the server itself has
                demanded it.
        """
        try:
            if self._left_alone() > 0 and (self._breaker is not None or not asked):
                with self._working:
                    self._passes.retry(stats)
                return self._until_retry(self._left_alone()), self._breaker
            with self._working:
                self._passes.make(stats)
        except NornmailError as error:
            return self._survived(error), error
        return self._succeeded(stats), None

    def _succeeded(self, stats: PollStats) -> float:
        self._breaker = None
        self._calm = True
        self._found = stats.new + stats.failed + stats.passed_over + stats.gone > 0
        if self._delivery.may_claim():
            self._status.set(PollerState.IDLE)
            self._emit(Idle(at=self._now(), new=stats.new, handled=stats.handled))
        elif not self._stopped():
            self._status.set(PollerState.HANDLER_FAILING, self._delivery.last_failure)
        wait = self._patience.recovered(self._interval, slowed=self._slowed())
        self._done_well(wait)
        return self._until_retry(wait)

    def _slowed(self) -> bool:
        """Whether the server marked the last pass as slowed down."""
        connection = self._passes.connection
        return connection is not None and connection.was_slowed()

    def _survived(self, error: NornmailError) -> float:
        """What the loop makes of trouble: seconds to wait, or the error again."""
        if isinstance(error, LeaseHeld | LeaseLost):
            return self._stand_by(error)
        if isinstance(error, AuthenticationFailed | Throttled | ConnectionLost | CommandRefused):
            seconds = self._patience.after(error)
        elif isinstance(error, DecisionRequired) and self._ledger.record is not None:
            seconds = UNDECIDED_INTERVAL
        else:
            raise error
        return self._leave_alone(error, seconds)

    def _leave_alone(self, error: NornmailError, seconds: float) -> float:
        """Ask nothing of the server for that long; return the seconds until there is work."""
        self._server_at = self._clock.monotonic() + seconds
        # Whom the server has sent away does not come back sooner because somebody asks.
        self._breaker = error if isinstance(error, AuthenticationFailed | Throttled) else None
        state, event = _told(error, self._now(), seconds)
        level = logging.ERROR if state in _FOR_A_PERSON else logging.WARNING
        log.log(level, "%s; tried again in %.1f s", error, seconds)
        self._status.set(state, str(error))
        self._emit(event)
        self._watch()
        return self._until_retry(seconds)

    def _stand_by(self, error: LeaseHeld | LeaseLost) -> float:
        if isinstance(error, LeaseLost):
            log.warning("%s", error)
        elif not self._passes.standing_by:
            log.warning("%s; waiting to take over", error)
            told = Standby(at=self._now(), reason=str(error), seconds=TAKEOVER_INTERVAL)
            self._emit(told)
            self._passes.standing_by = True
        self._status.set(PollerState.STANDING_BY, str(error))
        self._done_well(TAKEOVER_INTERVAL)  # the other one does the work
        return TAKEOVER_INTERVAL

    def _watch(self) -> None:
        """Say once that nothing has succeeded for a long time."""
        if self.stalled() and not self._told_stalled:
            self._told_stalled = True
            idle_for = self._clock.monotonic() - self._good_at
            since = utc_datetime(self._clock.wall() - idle_for)
            log.error("no pass has succeeded for %.0f s: %s", idle_for, self._status.reason)
            self._emit(Stalled(at=self._now(), since=since, reason=self._status.reason))

    def _rest(self, seconds: float) -> None:
        """Wait, with IDLE where there is nothing to back off from; a stop ends it at once.

        Whoever else wants to work ends it too: the wait is inside the turnstile for the sake of the
        connection.
        """
        with self._working:
            if self._stopped():
                return
            connection = self._passes.connection if self._calm else None
            try:
                if not self._resting.take(connection, seconds, found=self._found):
                    self._passes.disconnect()
            except Throttled as throttled:
                self._passes.disconnect()
                self._survived(throttled)
            self._waker.clear()

    def _left_alone(self) -> float:
        """Seconds for which the server is still to be left alone, 0.0 or less if it is not."""
        return self._server_at - self._clock.monotonic()

    def _until_retry(self, wait: float) -> float:
        """``wait``, or less when a message is due before that. What is due now had its turn."""
        if self._delivery.health.failing():
            waits = [self._delivery.health.until_probe(self._clock.monotonic())]
        else:
            now, longest = self._clock.wall(), self._retry.longest
            waiting = self._ledger.entries(State.WAITING)
            waits = [until_due(entry, now, longest) for entry in waiting]
        return min([wait, *(seconds for seconds in waits if seconds > 0)])

    def _now(self) -> datetime:
        return utc_datetime(self._clock.wall())


_FOR_A_PERSON = frozenset({PollerState.AUTH_FAILED, PollerState.UNDECIDED})
"""What does not pass by itself."""


def _told(error: NornmailError, now: datetime, seconds: float) -> tuple[PollerState, PollFailed]:
    """The state that trouble means, and the event that tells of it."""
    reason = str(error)
    if isinstance(error, AuthenticationFailed):
        return PollerState.AUTH_FAILED, AuthFailed(at=now, reason=reason, seconds=seconds)
    if isinstance(error, Throttled):
        return PollerState.THROTTLED, Throttling(
            at=now, reason=reason, seconds=seconds, kind=error.kind
        )
    if isinstance(error, DecisionRequired):
        return PollerState.UNDECIDED, DecisionPending(
            at=now, reason=reason, seconds=seconds, count=error.count, setting=error.setting
        )
    return PollerState.BACKOFF, Backoff(at=now, reason=reason, seconds=seconds)
