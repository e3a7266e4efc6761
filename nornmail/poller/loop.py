"""The loop: poll after poll, whatever the server does, and the right wait after each.

It survives what passes by itself. What needs a person ends it, as an exception.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from nornmail.clock import Waker, utc_datetime
from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConnectionLost,
    DecisionRequired,
    LeaseHeld,
    LeaseLost,
    NornmailError,
    StoreError,
    Throttled,
)
from nornmail.model import MailboxKey
from nornmail.outbox.registry import StoreMailers
from nornmail.poller.cycle import PollCycle
from nornmail.poller.status import PollerState, PollStats
from nornmail.poller.threads import FairLock, SyncRequest, SyncRequests
from nornmail.poller.wait import Wait
from nornmail.retry import STALLED_INTERVALS, ServerBackoff

if TYPE_CHECKING:
    from nornmail.events import PollFailed

log = logging.getLogger("nornmail.poller")

UNDECIDED_INTERVAL = 300.0
"""Seconds between two polls while a new UIDVALIDITY waits for the user's decision."""
STORE_INTERVAL = 15.0
"""Seconds until a store that is locked or full is tried again."""
STOPPED_FIRST = "the poller was stopped before it had handled the mail that it found"
EQUAL_ERRORS = 60.0
"""Seconds in which equal errors of a group are one line of the log."""
TAKEOVER_INTERVAL = 5.0
"""Seconds between two tries to take over from a poller that holds the mailbox."""


class Loop:
    """Polls until it is stopped, in the thread that calls :meth:`run`.

    Attributes:
        requests: polls that other threads ask for.
        lock: lets one thread work at a time.
        log_error: says that an error is survived; given its level, itself, and the seconds until
            the server is asked again.
    """

    def __init__(
        self,
        cycle: PollCycle,
        wait: Wait,
        waker: Waker,
        interval: float,
        *,
        stopped: Callable[[], bool],
    ) -> None:
        self._cycle = cycle
        self._delivery = cycle.delivery
        self._context = cycle.context
        self._wait = wait
        self._waker = waker
        self._interval = interval
        self._stopped = stopped
        self.requests = SyncRequests(waker.wake)
        self.lock = FairLock(waker.wake, cycle.delivery.runner)
        self.log_error: Callable[[int, NornmailError, float], object] = _log_error
        self.begin()

    def begin(self) -> None:
        """Forget all that happened before."""
        self._backoff = ServerBackoff(self._context.rng)
        self._unanswered: list[SyncRequest] = []
        self._server_at = 0.0
        self._refused_by: NornmailError | None = None
        self._may_idle = False
        self._found_new = False
        self._note_success(self._interval)

    def run(self) -> None:
        """Poll and wait, until it is stopped or something needs a person."""
        self.begin()
        ended: BaseException | None = None
        try:
            while not self._stopped():
                self._rest(self.step())
            with self.lock:
                self._cycle.finish(PollStats())
        except BaseException as error:
            ended = error
            raise
        finally:
            self.end(ended)

    @contextmanager
    def running(self, mailers: StoreMailers) -> Iterator[None]:
        """The time in which it runs, in the block or part by part in a group's threads."""
        imap, context = self._cycle.settings, self._context
        log.info(
            "IMAP poller starting: %s:%d/%s (interval=%gs)",
            imap.host,
            imap.port,
            imap.mailbox,
            imap.poll_interval,
        )
        context.status.set(PollerState.STARTING)
        context.emit.handled = 0
        self.requests.open()
        ended: BaseException | None = None
        try:
            try:
                mailers.start()
                yield
            finally:
                try:
                    self.release()
                finally:
                    mailers.stop()
        except BaseException as error:
            ended = error
            raise
        finally:
            reason = "" if ended is None else str(ended) or type(ended).__name__
            state = PollerState.STOPPED if ended is None else PollerState.FAILED
            context.status.set(state, reason)
            from nornmail.events import Stopped

            context.emit(Stopped(at=context.now(), reason=reason))
            self.requests.close(ended)

    def release(self) -> None:
        """Give back the connection, the lease and the waker's descriptors. Harmless twice."""
        with self.lock:
            try:
                self._cycle.release()
            finally:
                self._waker.close()

    def end(self, error: BaseException | None) -> None:
        """Tell those who wait for a sync that the loop has ended."""
        unanswered, self._unanswered = self._unanswered, []
        for request in unanswered:
            request.fail(error or NornmailError(STOPPED_FIRST))

    def stalled(self) -> bool:
        """Whether no poll has succeeded for many intervals; from any thread."""
        # While another poller has the mailbox, the work is done by that one.
        mine = self._context.status.state is not PollerState.STANDING_BY
        return mine and self._context.clock.monotonic() > self._stalls_at

    def _note_success(self, wait: float) -> None:
        """Note that all is well, and that nothing is to be done for ``wait`` seconds."""
        self._succeeded_at = self._context.clock.monotonic()
        self._stalls_at = self._succeeded_at + wait + STALLED_INTERVALS * self._interval
        self._stall_reported = False

    def step(self) -> float:
        """Poll, unless the server is to be left alone; return the seconds to wait.

        A sync request is answered after :meth:`nornmail.Poller.status` shows how the poll ended.
        """
        self._may_idle = False
        request = self.requests.take()
        stats = PollStats()
        try:
            wait, trouble = self._attempt(stats, asked=request is not None)
            if request is not None and trouble is not None:
                request.fail(trouble)
            elif request is not None:
                request.stats = stats
                self._unanswered.append(request)
            self._answer()
            if trouble is None and not self._unanswered:
                wait = self._give_way(wait)
        except BaseException as error:
            if request is not None:
                request.fail(error)
            raise
        return wait

    def _answer(self) -> None:
        """Answer the sync requests of which nothing is in the workers' hands any more."""
        for request in list(self._unanswered):
            if not self._delivery.is_open(request.stats):
                self._unanswered.remove(request)
                request.succeed()

    def _attempt(self, stats: PollStats, *, asked: bool) -> tuple[float, NornmailError | None]:
        """Poll; return the seconds to wait, and the error that was survived.

        Args:
            asked: a sync request, which cuts a wait short unless the server demanded the wait.
        """
        try:
            if self._until_server() > 0 and (self._refused_by is not None or not asked):
                with self.lock:
                    self._cycle.retry_due(stats)
                return self._until_retry(self._until_server()), self._refused_by
            with self.lock:
                self._cycle.run(stats, asked=asked)
        except NornmailError as error:
            if self._stopped() and isinstance(error, ConnectionLost):
                return 0.0, error  # a wait for the server was aborted
            return self._survived(error), error
        return self._succeeded(stats), None

    def _succeeded(self, stats: PollStats) -> float:
        self._refused_by = None
        self._may_idle = True
        self._found_new = stats.progress > stats.handled
        if self._delivery.may_claim() and not self._delivery.breaker.failing():
            self._context.status.set(PollerState.IDLE)
            from nornmail.events import Idle

            self._context.emit(Idle(at=self._context.now(), new=stats.new, handled=stats.handled))
        elif not self._stopped():
            self._context.status.set(PollerState.HANDLER_FAILING, self._delivery.last_failure)
        wait = self._backoff.recovered(self._interval, slowed=self._was_throttled())
        self._note_success(wait)
        return self._until_retry(wait)

    def _give_way(self, wait: float) -> float:
        """Leave the mailbox to another process that waits for it and has fewer."""
        try:
            with self.lock:
                if not self._cycle.give_way():
                    return wait
        except NornmailError as error:
            return self._survived(error)
        text = f"{self._cycle.ledger.mailbox} is left to another process, which has fewer mailboxes"
        log.info("%s", text)
        self._context.status.set(PollerState.STANDING_BY, text)
        return TAKEOVER_INTERVAL

    def _was_throttled(self) -> bool:
        """Whether the server marked the last poll as slowed down."""
        connection = self._cycle.connection
        return connection is not None and connection.was_throttled()

    def _survived(self, error: NornmailError) -> float:
        """The seconds to wait after an error; one that needs a person is raised again."""
        if isinstance(error, LeaseHeld | LeaseLost):
            return self._stand_by(error)
        if isinstance(error, AuthenticationFailed | Throttled | ConnectionLost | CommandRefused):
            seconds = self._backoff.after(error)
        elif isinstance(error, DecisionRequired) and self._cycle.ledger.record is not None:
            seconds = UNDECIDED_INTERVAL
        elif isinstance(error, StoreError) and error.passing:
            seconds = STORE_INTERVAL
        else:
            raise error
        return self._back_off(error, seconds)

    def _back_off(self, error: NornmailError, seconds: float) -> float:
        """Ask nothing of the server for that long; return the seconds until there is work."""
        self._server_at = self._context.clock.monotonic() + seconds
        # A wait that the server demanded is not cut short by a sync request.
        self._refused_by = error if isinstance(error, AuthenticationFailed | Throttled) else None
        state, event = _state_and_event(error, self._context.now(), seconds)
        level = logging.ERROR if state in _NEEDS_A_PERSON else logging.WARNING
        self.log_error(level, error, seconds)
        self._context.status.set(state, str(error))
        self._context.emit(event)
        self._report_stall()
        return self._until_retry(seconds)

    def _stand_by(self, error: LeaseHeld | LeaseLost) -> float:
        if isinstance(error, LeaseLost):
            log.warning("%s", error)
        elif not self._cycle.standing_by:
            log.warning("%s; waiting to take over", error)
            now = self._context.now()
            from nornmail.events import Standby

            self._context.emit(Standby(at=now, reason=str(error), seconds=TAKEOVER_INTERVAL))
            self._cycle.standing_by = True
        self._context.status.set(PollerState.STANDING_BY, str(error))
        self._note_success(TAKEOVER_INTERVAL)  # the other one does the work
        return TAKEOVER_INTERVAL

    def _report_stall(self) -> None:
        """Say once that nothing has succeeded for a long time."""
        if self.stalled() and not self._stall_reported:
            self._stall_reported = True
            reason = self._context.status.reason
            idle_for = self._context.clock.monotonic() - self._succeeded_at
            since = utc_datetime(self._context.clock.wall() - idle_for)
            log.error("no poll has succeeded for %.0f s: %s", idle_for, reason)
            from nornmail.events import Stalled

            self._context.emit(Stalled(at=self._context.now(), since=since, reason=reason))

    def _rest(self, seconds: float) -> None:
        """Wait, with IDLE where there is nothing to back off from; a stop ends it at once.

        Another thread that wants to work ends it too: the wait is inside the lock, since it uses
        the connection.
        """
        with self.lock:
            if self._stopped():
                return
            connection = self._cycle.connection if self._may_idle else None
            try:
                if not self._wait.wait(connection, seconds, found_new=self._found_new):
                    self._cycle.disconnect()
            except Throttled as throttled:
                self._cycle.disconnect()
                self._survived(throttled)
            self._waker.clear()

    def _until_server(self) -> float:
        """Seconds for which the server is still to be left alone, 0.0 or less if it is not."""
        return self._server_at - self._context.clock.monotonic()

    def _until_retry(self, wait: float) -> float:
        """``wait``, or less when a message is due before that. One that is due now had its turn."""
        until_due = self._delivery.until_due()
        return wait if until_due is None else min(wait, until_due)


class EqualErrors:
    """Logs the first of equal errors of many pollers, and how many followed it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._first_at: dict[tuple[str, str], float] = {}
        self._more: Counter[tuple[str, str]] = Counter()

    def log(
        self, mailbox: MailboxKey, host: str, level: int, error: NornmailError, seconds: float
    ) -> None:
        """Log an error that a poller has survived: the ``log_error`` of its :class:`Loop`."""
        kind = (type(error).__name__, host)
        now = time.monotonic()
        with self._lock:
            if now < self._first_at.get(kind, -EQUAL_ERRORS) + EQUAL_ERRORS:
                self._more[kind] += 1
                return
            self._first_at[kind], more = now, self._more.pop(kind, 0)
        text = f" (and {more} more like it in the last minute)" if more else ""
        log.log(level, "%s: %s; tried again in %g s%s", mailbox, error, round(seconds, 1), text)


def _log_error(level: int, error: NornmailError, seconds: float) -> None:
    log.log(level, "%s; tried again in %g s", error, round(seconds, 1))


_NEEDS_A_PERSON = frozenset(
    {PollerState.AUTH_FAILED, PollerState.UNDECIDED, PollerState.STORE_TROUBLE}
)
"""Errors that do not pass by themselves."""


def _state_and_event(
    error: NornmailError, now: datetime, seconds: float
) -> tuple[PollerState, PollFailed]:
    """The state and the event of an error."""
    from nornmail.events import AuthFailed, Backoff, DecisionPending, Throttling

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
    if isinstance(error, StoreError):
        return PollerState.STORE_TROUBLE, Backoff(at=now, reason=reason, seconds=seconds)
    return PollerState.BACKOFF, Backoff(at=now, reason=reason, seconds=seconds)
