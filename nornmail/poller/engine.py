"""What is behind a poller: the rooms, put together, and what any thread may ask of them."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from nornmail.backoff import STALLED_INTERVALS
from nornmail.clock import Clock, utc_datetime
from nornmail.errors import HandlerError, NornmailError
from nornmail.events import Event, EventEmitter, OnEvent, Stopped
from nornmail.imap.connection import Connection
from nornmail.message.message import Message
from nornmail.model import MailboxKey
from nornmail.poller.actions import Actions
from nornmail.poller.backfill import Backfill
from nornmail.poller.cycle import PollCycle, fetch_rest, find_by_message_id
from nornmail.poller.delivery import Delivery
from nornmail.poller.fetch import Fetcher, MissingMessages
from nornmail.poller.handler import HandlerRunner
from nornmail.poller.inboxes import Inboxes
from nornmail.poller.ledger import Ledger
from nornmail.poller.loop import Loop
from nornmail.poller.status import Backlog, PollerState, PollStats, Status, StatusTracker
from nornmail.poller.sync import SyncRequests
from nornmail.poller.threads import FairLock, Lifecycle
from nornmail.poller.uidvalidity import Epochs
from nornmail.poller.wait import Wait
from nornmail.retry import RetryPolicy
from nornmail.settings.imap import ImapSettings, StartFrom, UidValidityPolicy
from nornmail.stores.protocol import StateStore
from nornmail.waker import Waker

log = logging.getLogger("nornmail.poller")


class MailerHooks(Protocol):
    """What works beside a poller, for the same store: mail goes out."""

    def start(self) -> None:
        """The loop begins."""

    def stop(self) -> None:
        """The loop has ended."""

    def drain(self) -> None:
        """A pass was made with no loop."""

    def inspect_bounce(self, message: Message) -> Sequence[Event]:
        """A message came in, and its handler is about to be called; tell what that means."""


class Engine:
    """A poller without its face; the arguments are those of ``Poller``, checked.

    Attributes:
        life: where the loop runs.
        ledger: of the mailbox.
    """

    def __init__(
        self,
        imap: ImapSettings,
        store: StateStore,
        recipients: Inboxes,
        *,
        start_from: StartFrom,
        on_change: UidValidityPolicy,
        retry: RetryPolicy,
        max_message_bytes: int,
        handler_timeout: float | None,
        idle: bool,
        on_event: OnEvent | None,
        account: str,
        clock: Clock,
        rng: random.Random,
        connect: Callable[[], Connection],
        mailers: MailerHooks,
    ) -> None:
        self._mailers = mailers
        self.settings = imap
        self._connect = connect
        self._clock = clock
        self._process = os.getpid()
        self._emit = EventEmitter(on_event)
        self._status = StatusTracker(clock)
        self._waker = Waker()
        self._stopped = threading.Event()
        self._runner = HandlerRunner(clock, handler_timeout, self._waker.wake)
        self._working = FairLock(self._waker.wake, self._runner.inside)
        self._sync_requests = SyncRequests(self._waker.wake)
        patience = STALLED_INTERVALS * imap.poll_interval
        self._backlog = Backlog(clock, patience, self._emit)
        self.ledger = Ledger(store, MailboxKey(account, imap.mailbox), clock, self._emit)
        missing = MissingMessages(self.ledger, retry, recipients, on_change)
        delivery = Delivery(
            self.ledger,
            recipients,
            self._runner,
            retry,
            partial(fetch_rest, connect),
            on_change,
            stopped=self._stopped.is_set,
            authserv_id=imap.authserv_id,
            before_handler=self._before_handler,
        )
        self._passes = PollCycle(
            imap,
            connect,
            ledger=self.ledger,
            epochs=Epochs(self.ledger, start_from, on_change),
            missing=missing,
            fetcher=Fetcher(missing, max_message_bytes),
            actions=Actions(self.ledger, imap, connect),
            delivery=delivery,
            backfill=Backfill(self.ledger, recipients),
            backlog=self._backlog,
            status=self._status,
            emit=self._emit,
        )
        self._loop = Loop(
            self._passes,
            rest=Wait(clock, rng, self._waker, renewal=imap.idle_renewal, enabled=idle),
            waker=self._waker,
            requests=self._sync_requests,
            working=self._working,
            delivery=delivery,
            ledger=self.ledger,
            retry=retry,
            interval=imap.poll_interval,
            clock=clock,
            rng=rng,
            status=self._status,
            emit=self._emit,
            stopped=self._stopped.is_set,
        )
        self.life = Lifecycle(self._live, self._stopped, self._waker.wake, self._runner)

    def once(self) -> PollStats:
        """Make a pass in this thread."""
        self.refuse_after_fork()
        if self.life.running and not self._called_back():
            raise NornmailError("the poller is running: ask it for a pass with sync()")
        return self._pass()

    def sync(self) -> PollStats:
        """Have a pass made, by the loop if it runs, else in this thread."""
        self.refuse_after_fork()
        if self._called_back():
            raise HandlerError("a handler must not wait for the poller that calls it")
        self.life.refuse_on_the_event_loop("sync")
        request = self._sync_requests.ask()
        return self._pass() if request is None else request.wait()

    def find_by_message_id(self, message_id: str) -> Message | None:
        """A message of the mailbox, by its Message-ID."""
        self.refuse_after_fork()
        return find_by_message_id(self._connect, self.settings.mailbox, message_id)

    def wake(self) -> None:
        """End the loop's wait."""
        self._waker.wake()

    def status(self) -> Status:
        """What is being done."""
        status, record = self._status, self.ledger.record
        polled_at = status.polled_at or (record.polled_at if record is not None else 0.0)
        status.count(self.ledger)
        return Status(
            state=status.state,
            since=status.since,
            reason=status.reason,
            waiting=status.waiting,
            dead=status.dead,
            handled=self._emit.handled,
            last_poll_at=utc_datetime(polled_at) if polled_at else None,
            watermark=record.watermark if record is not None else None,
            overdue=self._runner.overdue,
            stalled=self.life.running and self._loop.stalled(),
            behind=self._backlog.behind,
        )

    def close(self) -> None:
        """Stop what runs, and give everything back.

        In a forked process there is nothing to stop, and the connection is the parent's.
        """
        if self._forked():
            self._passes.forget()
            return
        if self._called_back():
            raise HandlerError("a handler must not poll or close the poller that calls it")
        try:
            if self.life.running:
                self.life.refuse_on_the_event_loop("close")
            if self.life.running or self.life.has_ended:
                self.life.stop(None)
        finally:
            self._give_back()

    def stop(self, timeout: float | None) -> bool:
        """End what runs; in a forked process nothing does."""
        return self._forked() or self.life.stop(timeout)

    def refuse_after_fork(self) -> None:
        """Refuse to work in a forked process.

        Raises:
            NornmailError: the connection, the lease and the threads are those of the parent.
        """
        if self._forked():
            raise NornmailError("this poller is of the process before the fork: make another one")

    def _forked(self) -> bool:
        return os.getpid() != self._process

    def _before_handler(self, message: Message) -> None:
        """Look at a message before its handler is called."""
        for event in self._mailers.inspect_bounce(message):
            self._emit(event)

    def _called_back(self) -> bool:
        """Whether this is a handler, or something else that the loop's thread calls."""
        return self.life.inside or self._runner.inside()

    def _pass(self) -> PollStats:
        """Make a pass in this thread, and send what its handlers queued."""
        stats = PollStats()
        with self._working:
            try:
                self._passes.make(stats)
            finally:
                if not self.life.running:
                    self._status.set(PollerState.STOPPED)
        self._mailers.drain()
        return stats

    def _live(self) -> None:
        """The loop, from its first word to the last."""
        settings = self.settings
        log.info(
            "IMAP poller starting: %s:%d/%s (interval=%gs)",
            settings.host,
            settings.port,
            settings.mailbox,
            settings.poll_interval,
        )
        self._status.set(PollerState.STARTING)
        self._emit.handled = 0
        self._sync_requests.open()
        ended: BaseException | None = None
        try:
            try:
                self._mailers.start()
                self._loop.run()
            finally:
                try:
                    self._give_back()
                finally:
                    self._mailers.stop()
        except BaseException as error:
            ended = error
            raise
        finally:
            reason = "" if ended is None else str(ended) or type(ended).__name__
            self._status.set(PollerState.STOPPED if ended is None else PollerState.FAILED, reason)
            self._emit(Stopped(at=utc_datetime(self._clock.wall()), reason=reason))
            self._sync_requests.close(ended)

    def _give_back(self) -> None:
        with self._working:
            try:
                self._passes.give_back()
            finally:
                self._waker.close()
