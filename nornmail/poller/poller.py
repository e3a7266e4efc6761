"""The poller as a program uses it: its arguments and its methods.

One poll is in ``poller/cycle.py``, the loop around polls in ``poller/loop.py``, and the threads in
which they run in ``poller/threads.py``.
"""

from __future__ import annotations

import logging
import math
import os
import random
import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack

from nornmail.clock import Clock, StatusTracker, SystemClock, Waker, system_random, utc_datetime
from nornmail.errors import ConfigurationError, HandlerError, NornmailError, StoreError
from nornmail.model import Inbox, MailboxKey, State
from nornmail.outbox.registry import StoreMailers
from nornmail.poller.actions import Actions
from nornmail.poller.cycle import DAY, PollCycle, Retention, find_by_message_id, open_connection
from nornmail.poller.delivery import Delivery
from nornmail.poller.discovery import Backfill
from nornmail.poller.fetch import Fetcher, MessageMaker, MissingMessages, fetch_rest
from nornmail.poller.handler import Handler, HandlerRunner
from nornmail.poller.inboxes import Accept, Inboxes
from nornmail.poller.ledger import Ledger
from nornmail.poller.loop import Loop
from nornmail.poller.status import Backlog, Context, PollerState, PollResult, PollStats, Status
from nornmail.poller.threads import Lifecycle, stopped_by
from nornmail.poller.uidvalidity import Epochs
from nornmail.poller.wait import Wait
from nornmail.poller.worker_pool import OrderBy, Schedule, WorkerPool, check_order
from nornmail.retry import STALLED_INTERVALS, RetryPolicy
from nornmail.settings.fields import check_functions, check_retention, check_type, read_environment
from nornmail.settings.imap import (
    ImapSettings,
    StartFrom,
    UidValidityPolicy,
    check_uidvalidity_policy,
    check_workers,
    read_start_from,
)
from nornmail.stores import DEFAULT_STATE, open_store
from nornmail.stores.protocol import StateStore

if TYPE_CHECKING:
    from nornmail.events import OnEvent
    from nornmail.imap.connection import Connection
    from nornmail.message.message import Message
    from nornmail.net.tls import Abort

log = logging.getLogger("nornmail.poller")

MAX_MESSAGE_BYTES = 25 * 1024 * 1024
"""Octets above which a message is delivered with its headers only: what the large providers
accept, and a bound on what one message takes in memory."""

Connector = Callable[[ImapSettings], "Connection"]


class PollerArguments(TypedDict, total=False):
    """The arguments of `Poller` by name, for :meth:`Poller.from_env`."""

    imap: ImapSettings
    store: StateStore | str | os.PathLike[str]
    inboxes: Sequence[Inbox | str] | None
    on_unrouted: Handler | None
    accept: Accept | None
    start_from: StartFrom
    on_uidvalidity_change: UidValidityPolicy | None
    retry: RetryPolicy | None
    max_message_bytes: int
    handler_timeout: float | None
    workers: int | None
    order_by: OrderBy
    idle: bool
    retention: float | None
    on_event: OnEvent | None
    account: str | None
    clock: Clock | None
    rng: random.Random | None
    connect: Connector | None


class Poller:
    """Hands each message of a mailbox to a callback, once.

    Args:
        imap: where the mailbox is, and what happens to mail that was handled.
        store: where the poller writes down what became of each message; a path is opened, and
            closed by :meth:`close`.
        on_message: called with each :class:`~nornmail.Message`, in the thread that polls.
            When it returns the message is handled; when it raises, the message waits and is tried
            again (rule 3 of the delivery contract).
        inboxes: the addresses that share the account, each with its own callback, or with
            ``on_message``. A message goes to every inbox that it is addressed to. There may be none
            yet: see :meth:`add_inbox`.
        on_unrouted: called with mail that is for no inbox, which is left as it is on the server;
            without it that is passed over.
        accept: a function of the message; what it returns false for is passed over and left as it
            is. It is asked before each attempt.
        start_from: what becomes of mail that is there at the first run; ``None`` takes it from
            ``imap``.
        on_uidvalidity_change: what a new UIDVALIDITY does; ``None`` takes it from ``imap``.
        retry: when a message whose handler failed is tried again.
        max_message_bytes: a larger message is delivered with its headers only,
            ``truncated=True``.
        handler_timeout: seconds after which a call of ``on_message`` counts as failed. Calls are
            made in threads of their own then. A call that runs on keeps its message to itself, and
            counts if it succeeds after all. ``None`` sets no limit.
        workers: how many calls of ``on_message`` may run side by side; ``None`` takes it from
            ``imap``, which has 1 unless it is set otherwise. With more than one they are made in
            threads of the poller's own, and coroutine functions run on the event loop of
            :meth:`run`, as many at a time. The poller keeps fetching and setting flags meanwhile.
        order_by: what keeps its order with several workers: of the messages with one key the next
            is delivered when the one before has been. ``"conversation"`` is the thread, or the
            sender to one inbox where a message names none; ``"sender"`` the address in From;
            ``"none"`` keeps no order; a function of the message returns a key, or ``None``. A
            message that waits for a retry does not hold up the others of its key.
        idle: wait for new mail with IDLE where the server has it; the poll interval is then the
            longest wait between two looks, and new mail ends it.
        retention: days after which entries of handled and passed-over messages, and sent messages,
            are removed from the store; 0 keeps all, ``None`` takes it from ``imap``.
        on_event: called with each :class:`~nornmail.events.Event`, in the thread that polls; it
            should return soon. What it raises is logged.
        account: the name under which the store keeps this account; by default ``username@host``.
        clock, rng, connect: time, jitter and the connector, for tests.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        imap: ImapSettings,
        *,
        store: StateStore | str | os.PathLike[str],
        on_message: Handler | None = None,
        inboxes: Sequence[Inbox | str] | None = None,
        on_unrouted: Handler | None = None,
        accept: Accept | None = None,
        start_from: StartFrom = None,
        on_uidvalidity_change: UidValidityPolicy | None = None,
        retry: RetryPolicy | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        handler_timeout: float | None = None,
        workers: int | None = None,
        order_by: OrderBy = "conversation",
        idle: bool = True,
        retention: float | None = None,
        on_event: OnEvent | None = None,
        account: str | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        connect: Connector | None = None,
    ) -> None:
        _check_types(imap, store, inboxes, retry)
        _check_limits(max_message_bytes, handler_timeout)
        check_order(order_by)
        start_from = read_start_from(imap.start_from if start_from is None else start_from)
        on_change = on_uidvalidity_change or imap.on_uidvalidity_change
        workers = imap.workers if workers is None else workers
        retention = imap.retention if retention is None else retention
        check_uidvalidity_policy(on_change)
        check_workers(workers)
        check_retention(retention)
        check_functions(" of an event", on_event=on_event)
        self._settings = imap
        self._process = os.getpid()
        self._inboxes = Inboxes(on_message, inboxes, on_unrouted, accept, imap.domain_rules)
        self._has_recipients = inboxes is None or len(inboxes) > 0 or on_unrouted is not None
        self._own_store: StateStore | None = None
        if isinstance(store, (str, os.PathLike)):
            store = self._own_store = open_store(store)
        clock = clock or SystemClock()
        self._context = _context(clock, rng, on_event)
        self._waiting = self._dead = 0
        self._mailers = StoreMailers(store, clock)
        self._connect = partial(connect or partial(open_connection, clock=clock), imap)
        self._abort: Abort | None = None
        self._abort_other: Abort | None = None
        self._waker = Waker()
        self._stopped = threading.Event()
        self._stops = self._stops_before = 0
        wake = self._waker.wake
        self._runner = HandlerRunner(
            clock, handler_timeout, wake, blocks=lambda: workers == 1 or self._is_stopped()
        )
        mailbox = MailboxKey(account or imap.account, imap.mailbox)
        kept = retention * DAY if retention else math.inf
        self._ledger = Ledger(store, mailbox, self._context, on_change, kept)
        pool = WorkerPool(workers, self._runner, wake) if workers > 1 else None
        missing = MissingMessages(self._ledger, retry or RetryPolicy(), self._inboxes)
        self._cycle = PollCycle(
            imap,
            self._open_mailbox if connect is None else self._connect,
            Epochs(self._ledger, start_from, self._may_answer),
            Fetcher(missing, max_message_bytes),
            Actions(self._ledger, imap, self._open_other if connect is None else self._connect),
            self._make_delivery(retry or RetryPolicy(), pool, order_by),
            Backfill(self._ledger, self._inboxes),
            Backlog(self._context, STALLED_INTERVALS * imap.poll_interval),
            Retention(self._ledger, retention),
        )
        wait = Wait(self._context, self._waker, renewal=imap.idle_renewal, enabled=idle)
        self._loop = Loop(
            self._cycle, wait, self._waker, imap.poll_interval, stopped=self._stopped.is_set
        )
        self._lifecycle = Lifecycle(
            self._run_loop, self._stopped, wake, self._runner, self._abort_wait
        )

    def _may_answer(self) -> bool:
        """Whether a first run could answer mail of the past.

        Inboxes that are added later get older mail only where :meth:`add_inbox` says so.
        """
        return self._has_recipients and self._mailers.exist

    def _open_mailbox(self) -> Connection:
        """A connection of the polling thread, whose waits end when the poller is stopped."""
        if self._abort is None:
            from nornmail.net.tls import Abort

            self._abort = Abort()
        return open_connection(self._settings, clock=self._context.clock, abort=self._abort)

    def _open_other(self) -> Connection:
        """A second one, to look into the destination of a move; its waits end in the same way."""
        if self._abort_other is None:
            from nornmail.net.tls import Abort

            self._abort_other = Abort()
        return open_connection(self._settings, clock=self._context.clock, abort=self._abort_other)

    def _abort_wait(self, aborted: bool) -> None:
        """End what the polling thread waits for from the server, or let it wait again."""
        for abort in (self._abort, self._abort_other):
            if abort is not None:
                (abort.abort if aborted else abort.clear)()

    def _make_delivery(
        self, retry: RetryPolicy, pool: WorkerPool | None, order_by: OrderBy
    ) -> Delivery:
        rest = partial(fetch_rest, self._connect)
        maker = MessageMaker(self.mailbox.mailbox, rest, self._settings.authserv_id)
        return Delivery(
            self._ledger,
            self._inboxes,
            self._runner,
            retry,
            maker,
            stopped=self._is_stopped,
            before_batch=self._mailers.expect_bounces,
            before_handler=self._before_handler,
            pool=pool,
            order_by=order_by,
            schedule=Schedule(1 if pool is None else pool.size),
        )

    @classmethod
    def from_env(
        cls,
        on_message: Handler | None = None,
        *,
        env_file: str | os.PathLike[str] | None = None,
        **overrides: Unpack[PollerArguments],
    ) -> Self:
        """A poller with the settings of the environment.

        They are those of :meth:`ImapSettings.from_env <nornmail.settings.ImapSettings.from_env>`,
        and NORNMAIL_STATE, the path of the store [nornmail.db]; a name that ends in ``.json`` is a
        JSON store. ``os.environ`` is not changed.

        Args:
            on_message: as the class has it.
            env_file: a ``.env`` file, for what the environment does not have; ``None`` reads none.
            overrides: other arguments of the class, and ``imap``. A ``store`` is used as it is; one
                that is opened here is :attr:`store`, and the program closes it.

        Raises:
            ConfigurationError: a variable is missing or wrong, or the file is.
            StoreError: the store cannot be opened.
        """
        arguments: dict[str, Any] = {**overrides, "on_message": on_message}
        for name in overrides.keys() - PollerArguments.__annotations__.keys():
            from difflib import get_close_matches

            near = get_close_matches(name, PollerArguments.__annotations__, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"from_env() has no argument {name!r}{hint}")
        environ = read_environment(env_file)
        imap = arguments.pop("imap", None) or ImapSettings.from_env(environ)
        if arguments.get("store") is not None:
            return cls(imap, **arguments)
        store = open_store(environ.get("NORNMAIL_STATE", "").strip() or DEFAULT_STATE)
        try:
            return cls(imap, **{**arguments, "store": store})
        except BaseException:
            store.close()
            raise

    @property
    def store(self) -> StateStore:
        """The store in which the poller records the outcome of each message."""
        return self._ledger.store

    @property
    def settings(self) -> ImapSettings:
        """The settings of the mailbox, and of the action on handled mail."""
        return self._settings

    @property
    def mailbox(self) -> MailboxKey:
        """Under what the store keeps everything of this poller: the account and the mailbox."""
        return self._ledger.mailbox

    @property
    def inboxes(self) -> tuple[Inbox, ...]:
        """The inboxes that share the account, as they were last added and removed."""
        return self._inboxes.configured

    def poll_once(self) -> PollResult:
        """Work until nothing new is left.

        The connection and the lease are kept for the next call; :meth:`close` gives them back. A
        connection that was lost is made again as long as there is progress.

        Returns:
            What was done.

        Raises:
            ConnectionLost, CommandRefused, AuthenticationFailed, Throttled: of the server;
                nothing is lost, call it again (after its ``wait``, if it is Throttled).
            NornmailError: the poller is running, in whatever thread: use :meth:`sync`.
            LeaseHeld: another poller works on the mailbox.
            DecisionRequired: the user must say what becomes of mail that is there already.
            StoreError: the store cannot be read or written; nothing is delivered.
        """
        self._refuse_after_fork()
        if self._lifecycle.running and not self._called_back():
            raise NornmailError("the poller is running: ask it for a poll with sync()")
        try:
            stats = self._poll()
        except StoreError:
            raise
        except NornmailError:
            # The traceback may keep this poller alive for long, where nothing can close it.
            if self._cycle.connection is None and not self._lifecycle.running:
                with self._loop.lock:
                    self._cycle.release()
            raise
        return PollResult(
            new=stats.new,
            handled=stats.handled,
            failed=stats.failed,
            passed_over=stats.passed_over,
            gone=stats.gone,
            waiting=self._ledger.count(State.WAITING),
            dead=self._ledger.count(State.DEAD),
        )

    def run_forever(self, *, stop_on: Collection[int] = ()) -> None:
        """Poll until :meth:`stop` is called, at ``poll_interval``, whatever the server does.

        A connection that fails is made again with exponential backoff up to five minutes, and each
        other kind of trouble has a wait of its own (:class:`~nornmail.retry.ServerBackoff`). The
        connection and the lease are given back at the end.

        Args:
            stop_on: signals that call :meth:`stop`, as ``{signal.SIGINT, signal.SIGTERM}``: the
                current message is finished. A second one interrupts it at once, as Ctrl-C does: it
                waits. Their handlers are put back at the end. Only in the main thread.

        Raises:
            DecisionRequired: at a first run that needs a decision.
            StoreError: the store cannot be read or written.
            HandlerError: ``on_message`` cannot be used as it is.
            ConfigurationError: a setting cannot be used, such as a CA file that is not there.
        """
        self._refuse_after_fork()
        with stopped_by(stop_on, self.stop):
            self._lifecycle.run_here()

    def start(self) -> Self:
        """Poll in a thread of the poller's own, as :meth:`run_forever` does; returns at once.

        What would end :meth:`run_forever` ends the thread: it is logged, :meth:`status` says
        ``failed``, and :meth:`stop` raises it. The thread does not keep the program alive. After
        :meth:`stop` the poller can be started again.

        Raises:
            NornmailError: the poller is running already.
        """
        self._refuse_after_fork()
        self._lifecycle.start()
        return self

    async def run(self) -> None:
        """Poll until :meth:`stop`, with handlers that may be ``async``.

        The loop has a thread of its own, in which plain handlers are called as well; what a handler
        returns that can be awaited is awaited on this event loop. When this is cancelled, the
        handler that is being awaited is cancelled (its message waits, is due at once, and the
        attempt does not count), connection and lease are given back, and CancelledError is raised.
        A plain handler cannot be cancelled: it is waited for.

        Raises:
            NornmailError: the poller is running already; and all that :meth:`run_forever` raises.
        """
        self._refuse_after_fork()
        await self._lifecycle.run()

    def stop(self, timeout: float | None = None) -> bool:
        """End what is running, after the message it is at; from any thread.

        A call of the handler is waited for; a server that does not answer is not. It waits for the
        thread that :meth:`start` made, and for no other: :meth:`run_forever` and
        :meth:`run` return by themselves soon after. From a handler, and from a thread that a
        handler waits for, it does not wait. It ends a :meth:`poll_once` that is under way, and no
        later one. When nothing is running, the next :meth:`run_forever` returns at once.

        Args:
            timeout: seconds to wait at most; ``None`` waits for as long as the message takes.

        Returns:
            Whether nothing is running any more. If not, it will end by itself; ask again.

        Raises:
            BaseException: what ended the thread before it was stopped, once.
        """
        if self._forked():
            return True
        self._stops += 1
        # What the poller calls in a poll of this thread keeps the other from its end.
        return self._lifecycle.stop(0.0 if self._loop.lock.held_here() else timeout)

    def sync(self, inbox: str | None = None) -> int:
        """Look for mail now, and wait until that is done.

        If the poller is running, its loop makes the pass, which callers share that ask before it
        begins. If not, it is made here. A wait after a failed connection is cut short for it; one
        that the server demanded, or that follows rejected credentials, is not.

        Args:
            inbox: the address of one inbox, whose mail alone is counted.

        Returns:
            How many new messages were delivered in this poll.

        Raises:
            HandlerError: a handler asked, or waits for the thread that asks, so that it would wait
                for itself; or its call kept the poll from beginning for a minute.
            ConfigurationError: there is no such inbox.
            AuthenticationFailed, Throttled: the server is being left alone because of this.
            NornmailError: what :meth:`poll_once` raises; or the poller was stopped meanwhile; or
                this is the event loop of :meth:`run`, which must not be blocked.
        """
        key = None if inbox is None else self._inboxes.key_of(inbox)
        self._refuse_after_fork()
        if self._called_back():
            raise HandlerError("a handler must not wait for the poller that calls it")
        self._lifecycle.refuse_on_the_event_loop("sync")
        request = self._loop.requests.ask()
        stats = self._poll() if request is None else request.wait(self._runner)
        return stats.new if key is None else stats.new_in[key]

    def find_by_message_id(self, message_id: str) -> Message | None:
        """The newest message of the mailbox with this Message-ID; its headers alone.

        It makes a connection of its own, from any thread.

        Args:
            message_id: with its angle brackets.

        Returns:
            The message, ``truncated``; ``None`` if none is there.

        Raises:
            ConnectionLost, CommandRefused, AuthenticationFailed, Throttled: of the server.
        """
        self._refuse_after_fork()
        return find_by_message_id(self._connect, self._settings.mailbox, message_id)

    def status(self) -> Status:
        """The current state, since when and why; from any thread, without waiting."""
        record = self._ledger.record
        with suppress(StoreError):  # a store that cannot be read leaves the figures as they were
            self._waiting = self._ledger.count(State.WAITING)
            self._dead = self._ledger.count(State.DEAD)
        polled_at = self._cycle.polled_at or (record.polled_at if record is not None else 0.0)
        return Status(
            **self._context.status.read(),
            waiting=self._waiting,
            dead=self._dead,
            handled=self._context.emit.handled,
            last_poll_at=utc_datetime(polled_at) if polled_at else None,
            watermark=record.watermark if record is not None else None,
            overdue=self._runner.overdue,
            stalled=self._lifecycle.running and self._loop.stalled(),
            behind=self._cycle.backlog.behind,
        )

    def add_inbox(self, inbox: Inbox, *, backfill: bool = False) -> None:
        """Have another inbox from the next message on; from any thread.

        Args:
            inbox: which.
            backfill: it also gets the older mail that is addressed to it, not older than
                ``start_from``, as far as it is still in the mailbox. It is found at the next pass;
                until then ask again after a restart, which repeats nothing.

        Raises:
            ConfigurationError: there is an inbox with this address, or the poller has
                ``on_message``.
        """
        self._inboxes.add(inbox, backfill=backfill)
        self._waker.wake()

    def remove_inbox(self, address: str) -> None:
        """Have an inbox no longer from the next message on; from any thread.

        What it had yet to be handed is dead, "inbox removed". Mail that comes is for the others.

        Raises:
            ConfigurationError: there is no inbox with this address.
        """
        self._inboxes.remove(address)
        self._waker.wake()

    def close(self) -> None:
        """Stop, and give back the connection and the lease; the store stays open. Harmless twice.

        Raises:
            HandlerError: a handler asked, or waits for the thread that asks.
            NornmailError: the caller would block the event loop that the handlers need; nothing
                changes.
            BaseException: what :meth:`stop` raises, once everything is given back.
        """
        if self._forked():  # nothing runs here, and the connection is the parent's
            self._cycle.detach()
            return
        if self._called_back():
            raise HandlerError("a handler must not poll or close the poller that calls it")
        if self._lifecycle.running:
            self._lifecycle.refuse_on_the_event_loop("close")
        try:
            if self._lifecycle.running or self._lifecycle.has_ended:
                self._lifecycle.stop(None)
        finally:
            self._lifecycle.await_end()
            self._loop.release()
            if self._own_store is not None:
                self._own_store.close()

    def __enter__(self) -> Self:
        """:meth:`start`."""
        return self.start()

    def __exit__(self, *error: object) -> None:
        """:meth:`close`."""
        self.close()

    def _refuse_after_fork(self) -> None:
        """Refuse to work in a forked process: connection, lease and threads are the parent's."""
        if self._forked():
            raise NornmailError("this poller was made before a fork: make a new one here")

    def _forked(self) -> bool:
        return os.getpid() != self._process

    def _called_back(self) -> bool:
        """Whether the caller is a handler, or something else that a polling thread calls."""
        return self._lifecycle.inside or self._runner.inside() or self._loop.lock.held_here()

    def _is_stopped(self) -> bool:
        """Whether the loop, or else the poll that was made without it, is to end."""
        if not self._stopped.is_set() and self._stops == self._stops_before:
            return False
        return (
            self._stopped.is_set() if self._lifecycle.running else self._stops != self._stops_before
        )

    def _before_handler(self, message: Message) -> None:
        for event in self._mailers.inspect_bounce(message):
            self._context.emit(event)

    def _poll(self) -> PollStats:
        """Poll in this thread, and send what its handlers queued."""
        stats, stops = PollStats(), self._stops
        with self._loop.lock:
            self._stops_before = stops
            try:
                self._cycle.run(stats)
                while self._cycle.delivery.busy and not self._is_stopped():
                    self._cycle.delivery.wait()
                    self._cycle.run(stats)
                self._cycle.finish(stats)
            finally:
                if not self._lifecycle.running:
                    self._context.status.set(PollerState.STOPPED)
        self._mailers.drain()
        return stats

    def _run_loop(self) -> None:
        """Run the loop with the store's mailers, and give everything back at its end."""
        with self._loop.running(self._mailers):
            self._loop.run()


def _context(clock: Clock, rng: random.Random | None, on_event: OnEvent | None) -> Context:
    from nornmail.events import EventEmitter

    status = StatusTracker(clock, PollerState.STOPPED, "not started")
    return Context(clock, rng or system_random(), EventEmitter(on_event), status)


def _check_types(imap: object, store: object, inboxes: object, retry: object) -> None:
    """Refuse arguments that would fail only when they are used. ConfigurationError."""
    check_type("imap", imap, isinstance(imap, ImapSettings), "ImapSettings(host=..., ...)")
    is_store = isinstance(store, (str, os.PathLike)) or hasattr(store, "acquire")
    allowed = 'a store, such as open_store("nornmail.db"), or its path'
    check_type("store", store, is_store, allowed)
    is_policy = retry is None or isinstance(retry, RetryPolicy)
    check_type("retry", retry, is_policy, "a RetryPolicy, such as RetryPolicy(delays=(60, 300))")
    are_inboxes = isinstance(inboxes, (list, tuple)) and all(
        isinstance(inbox, (str, Inbox)) for inbox in inboxes
    )
    allowed = 'a list of addresses or of Inbox("support@example.com", ...)'
    check_type("inboxes", inboxes, inboxes is None or are_inboxes, allowed)


def _check_limits(max_message_bytes: object, handler_timeout: object) -> None:
    if not isinstance(max_message_bytes, int) or max_message_bytes < 1:
        raise ConfigurationError("max_message_bytes", max_message_bytes, "must be 1 or more")
    if handler_timeout is not None and not (
        isinstance(handler_timeout, (int, float)) and 0 < handler_timeout < math.inf
    ):
        accepted = "must be a number of seconds above 0"
        raise ConfigurationError("handler_timeout", handler_timeout, accepted)
