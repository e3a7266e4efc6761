"""The thread that runs a mailer's queue, and its use from the caller's thread and under asyncio."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar
from weakref import WeakSet

from nornmail.errors import HandlerError, LeaseHeld, LeaseLost, NornmailError, StoreError
from nornmail.model import owner_name
from nornmail.net.tls import Abort
from nornmail.outbox.queue_runner import QueueRunner
from nornmail.outbox.status import MailerState
from nornmail.outgoing import QueuedMessage

log = logging.getLogger("nornmail.outbox")

P = ParamSpec("P")
T = TypeVar("T")
Owner = TypeVar("Owner")

LOOK_INTERVAL = 2.0
"""Seconds between two reads of the store at most: another process may have queued something."""
TAKEOVER_INTERVAL = 5.0
"""Seconds between two attempts to take over from a sender that holds the outbox."""
TICK = 0.01
"""Seconds by which a connection is closed late rather than early."""
ABORT_AFTER = 0.5
"""Seconds that :meth:`Worker.stop` gives the current message before it aborts what still waits for
the server: the end of a program waits for no server that hangs."""
EXIT_PATIENCE = 10.0
"""Seconds that an ending program waits for the message being sent: one that is cut off is unknown,
and a person would have to find out."""
STORE_INTERVAL = 15.0
"""Seconds until a store that could not be used is tried again."""


_threaded: WeakSet[Worker] = WeakSet()
"""Workers with a thread, which the end of the program would cut off."""


def _end_all() -> None:
    """End every thread after its current message, when the program ends without a stop()."""
    for worker in list(_threaded):
        worker.close_thread()
    for worker in list(_threaded):
        worker.close_thread(EXIT_PATIENCE)


atexit.register(_end_all)


class Worker:
    """Runs a queue in one thread at a time.

    Its own thread runs until each user that called :meth:`start` has called :meth:`stop`: the
    mailer, and every running poller with the same store.
    """

    def __init__(self, runner: QueueRunner, aborts: Sequence[Abort]) -> None:
        self.runner = runner
        self._clock = runner.context.clock
        self._status = runner.context.status
        self._aborts = tuple(aborts)
        self._work = threading.Lock()
        self._thread_id: int | None = None
        self._lock = threading.RLock()
        self._users: set[object] = set()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._bell = threading.Event()
        self._keeps_lease = False
        self._timer: threading.Timer | None = None

    @property
    def running(self) -> bool:
        """Whether its own thread is alive."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def inside(self) -> bool:
        """Whether the caller is called by the queue runner: ``before_send``, or ``on_event``."""
        return self._thread_id == threading.get_ident()

    def wake(self) -> None:
        """End the thread's wait."""
        self._bell.set()

    def start(self, user: object) -> None:
        """Send in a thread until :meth:`stop` was called for every user."""
        with self._lock:
            self._users.add(user)
            if self.running and not self._stopped.is_set():
                return
            before, self._stopped = self._thread, threading.Event()
            thread = threading.Thread(
                target=self._loop, args=(self._stopped, before), name="nornmail-mailer", daemon=True
            )
            self._thread = thread
            _threaded.add(self)
            try:
                thread.start()
            except BaseException:
                self._thread = before
                self._users.discard(user)
                raise

    def stop(self, user: object, timeout: float | None = None) -> bool:
        """End the thread after its current message, unless another user needs it."""
        with self._lock:
            self._users.discard(user)
            thread = self._thread
            if self._users or thread is None:
                return True
            self._stopped.set()
        self._bell.set()
        if thread is threading.current_thread():
            return False
        thread.join(ABORT_AFTER if timeout is None else min(timeout, ABORT_AFTER))
        if thread.is_alive() and (timeout is None or timeout > ABORT_AFTER):
            for abort in self._aborts:  # a server hangs; content that goes out is finished
                abort.abort()
            thread.join(None if timeout is None else timeout - ABORT_AFTER)
        if thread.is_alive():
            return False
        self._clear_aborts()
        return True

    def _clear_aborts(self) -> None:
        for abort in self._aborts:
            abort.clear()

    def close_thread(self, timeout: float = 0.0) -> None:
        """End the thread, whatever its users, and wait for it."""
        with self._lock:
            self._users.clear()
            thread = self._thread
            self._stopped.set()
        self._bell.set()
        if thread is not None and timeout > 0:
            thread.join(timeout)

    def flush(self, timeout: float | None, only: str | None = None) -> None:
        """Send what is due, in this thread.

        Args:
            only: the key of the one message that is sent.

        Raises:
            HandlerError: the caller is ``before_send``, which would wait for itself.
            LeaseHeld: another process, or mailer, sends from this outbox.
            StoreError: the store cannot be used.
        """
        until = None if timeout is None else self._clock.monotonic() + timeout

        def late() -> bool:
            return until is not None and self._clock.monotonic() >= until

        def work() -> None:
            while not late() and self.runner.run_once(late, only=only) == 0.0:
                pass

        self._exclusively(work, timeout)

    def _exclusively(self, work: Callable[[], None], timeout: float | None = None) -> None:
        """Use the queue runner in this thread, and in no other one meanwhile.

        The lease is given back afterwards unless a thread of ours continues with it.
        """
        if self.inside:
            raise HandlerError("before_send and on_event must not wait for the mailer")
        if timeout is not None and not self._is_free_within(timeout):
            return
        # Not acquire(): a signal's exception right behind it would leave the lock taken for good.
        with self._work:
            try:
                self._thread_id = threading.get_ident()
                self.runner.acquire(owner_name())
                work()
            finally:
                try:
                    if not self.running and not self._keeps_lease:
                        self.runner.release()
                        self._status.set(MailerState.STOPPED)
                finally:
                    self._thread_id = None

    def _is_free_within(self, seconds: float) -> bool:
        """Wait until the queue runner is free, ``seconds`` at most."""
        until = time.monotonic() + seconds
        while self._work.locked():
            left = until - time.monotonic()
            if left <= 0:
                return False
            time.sleep(min(left, TICK))
        return True

    def apply_requests(self) -> None:
        """Apply the requests of operators, in this thread."""
        self._exclusively(self.runner.apply_requests)

    def try_now(self, key: str) -> tuple[QueuedMessage, NornmailError | None]:
        """Try one message once, of a mailer without a store: see :meth:`QueueRunner.try_now`.

        The connection is kept for the next one, and closed once it has been idle.
        """
        tried: list[tuple[QueuedMessage, NornmailError | None]] = []
        self._keeps_lease = True
        self._exclusively(lambda: tried.append(self.runner.try_now(key)))
        self._watch_idle()
        return tried[0]

    def _watch_idle(self) -> None:
        """Start the timer that closes an idle connection where no thread of ours does."""
        with self._lock:
            if self._timer is not None or not self.runner.connection.is_open:
                return
            seconds = max(self.runner.connection.idle_left(), 0.0) + TICK
            self._timer = threading.Timer(seconds, self._end_idle)
            self._timer.daemon = True
            self._timer.start()

    def _end_idle(self) -> None:
        with self._lock:
            self._timer = None
        self.close_idle()
        self._watch_idle()

    def close_idle(self) -> None:
        """Close the connection if it has been idle."""
        with self._work:
            self.runner.connection.close_if_idle()

    def close(self) -> None:
        """End the thread for every user, and give back the connection and the lease."""
        with self._lock:
            self._users.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        self.stop(None)
        if not self.inside:
            with self._work:
                self.runner.release()

    # The thread.

    def _loop(self, stopped: threading.Event, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # it is ending, and uses the queue runner until it has
            self._clear_aborts()
        try:
            while not stopped.is_set():
                self._bell.clear()
                seconds = self._run_once(stopped)
                if seconds > 0 and not stopped.is_set():
                    self._clock.wait(self._bell, seconds)
        finally:
            with self._work:
                try:
                    self.runner.release()
                except NornmailError as error:
                    log.warning("%s", error)
                self._status.set(MailerState.STOPPED)

    def _run_once(self, stopped: threading.Event) -> float:
        """Send what is due; return the seconds until the next run. Never raises."""
        with self._work:
            self._thread_id = threading.get_ident()
            try:
                self.runner.acquire(owner_name())
                seconds = self.runner.run_once(stopped.is_set)
                self.runner.connection.close_if_idle()
                return LOOK_INTERVAL if seconds is None else min(seconds, LOOK_INTERVAL)
            except (LeaseHeld, LeaseLost) as error:
                log.log(logging.WARNING if isinstance(error, LeaseLost) else logging.DEBUG, error)
                self._status.set(MailerState.STANDING_BY, str(error))
                return TAKEOVER_INTERVAL
            except StoreError as error:
                if not stopped.is_set():
                    log.error("sending paused: %s; next attempt in %.0f s", error, STORE_INTERVAL)
                self._status.set(MailerState.STORE_TROUBLE, str(error))
                return STORE_INTERVAL
            except BaseException as error:  # also the SystemExit of an on_event
                log.exception("the mailer failed; next attempt in %.0f s", STORE_INTERVAL)
                self._status.set(MailerState.STORE_TROUBLE, f"{type(error).__name__}: {error}")
                return STORE_INTERVAL
            finally:
                self._thread_id = None


def in_thread(
    method: Callable[Concatenate[Owner, P], T],
) -> Callable[Concatenate[Owner, P], Coroutine[Any, Any, T]]:
    """The asyncio form of a method, which runs it in a thread.

    When it is cancelled, what has begun is brought to its end before the cancellation continues:
    with a store that is one write to the disk.
    """

    @wraps(method)
    async def run(self: Owner, /, *args: P.args, **kwargs: P.kwargs) -> T:
        import asyncio  # here, since most programs have no event loop

        task = asyncio.ensure_future(asyncio.to_thread(method, self, *args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                log.warning("cancelled, and %s", error)
            raise

    run.__doc__ = f":meth:`{method.__name__}` under asyncio, in a thread."
    return run
