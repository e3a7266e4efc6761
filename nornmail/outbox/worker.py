"""Where letters are sent: in a thread of the mailer's own, or in that of whoever asks for it."""

from __future__ import annotations

import atexit
import logging
import os
import socket
import threading
from collections.abc import Callable
from weakref import WeakSet

from nornmail.clock import Clock
from nornmail.errors import HandlerError, LeaseHeld, LeaseLost, NornmailError, StoreError
from nornmail.outbox.sender import Sender
from nornmail.outbox.status import MailerState, StatusTracker
from nornmail.outgoing import QueuedMessage

log = logging.getLogger("nornmail.outbox")

LOOK_INTERVAL = 2.0
"""Seconds between two looks at the store at most: another process may have queued something."""
TAKEOVER_INTERVAL = 5.0
"""Seconds between two tries to take over from a sender that holds the outbox."""
TICK = 0.01
"""Seconds by which a connection is closed late rather than early."""
EXIT_PATIENCE = 10.0
"""Seconds that a program that ends waits for the letter at hand: one that is cut off is unknown,
and a person would have to find out."""
STORE_INTERVAL = 15.0
"""Seconds until a store that could not be used is tried again."""


def owner_name() -> str:
    """How a sender names itself to others: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


_threaded: WeakSet[Worker] = WeakSet()
"""Whoever has a thread, which the end of the program would cut off."""


def _end_all() -> None:
    """Let every thread end after the letter at hand, when the program ends without a stop()."""
    for worker in list(_threaded):
        worker.close_thread()
    for worker in list(_threaded):
        worker.close_thread(EXIT_PATIENCE)


atexit.register(_end_all)


class Worker:
    """Lets a sender work, one thread at a time.

    The thread runs for as long as anybody wants it to: whoever called ``start()``, and each poller
    with the same store that runs.

    Args:
        sender: does the work.
        clock: for the waits.
        status: where it is written down what is being done.
    """

    def __init__(self, sender: Sender, clock: Clock, status: StatusTracker) -> None:
        self._sender = sender
        self._clock = clock
        self._status = status
        self._work = threading.Lock()
        self._worker: int | None = None
        self._lock = threading.RLock()
        self._wanted_by: set[object] = set()
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self._bell = threading.Event()
        self._keeps = False
        self._timer: threading.Timer | None = None

    @property
    def running(self) -> bool:
        """Whether a thread sends, or is about to."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def trouble(self) -> NornmailError | None:
        """What last kept the server from being asked, ``None`` since it was reached."""
        return self._sender.trouble

    @property
    def inside(self) -> bool:
        """Whether whoever asks is called by the sender: ``before_send``, or ``on_event``."""
        return self._worker == threading.get_ident()

    def wake(self) -> None:
        """End the thread's wait."""
        self._bell.set()

    def start(self, wanted_by: object) -> None:
        """Have a thread send, until :meth:`stop` was called for everybody."""
        with self._lock:
            self._wanted_by.add(wanted_by)
            if self.running and not self._stopped.is_set():
                return
            before, self._stopped = self._thread, threading.Event()
            thread = threading.Thread(
                target=self._live, args=(self._stopped, before), name="nornmail-mailer", daemon=True
            )
            self._thread = thread
            _threaded.add(self)
            try:
                thread.start()
            except BaseException:
                self._thread = before
                self._wanted_by.discard(wanted_by)
                raise

    def stop(self, wanted_by: object, timeout: float | None = None) -> bool:
        """End the thread, after the letter at hand, unless somebody else wants it to go on.

        Returns:
            Whether it has ended, or goes on for somebody else.
        """
        with self._lock:
            self._wanted_by.discard(wanted_by)
            thread = self._thread
            if self._wanted_by or thread is None:
                return True
            self._stopped.set()
        self._bell.set()
        if thread is threading.current_thread():
            return False
        thread.join(timeout)
        return not thread.is_alive()

    def close_thread(self, timeout: float = 0.0) -> None:
        """Tell the thread to end, whoever wants it, and wait for that."""
        with self._lock:
            self._wanted_by.clear()
            thread = self._thread
            self._stopped.set()
        self._bell.set()
        if thread is not None and timeout > 0:
            thread.join(timeout)

    def flush(self, timeout: float | None, only: str | None = None) -> None:
        """Send what is due, in this thread.

        Args:
            timeout: seconds after which nothing more is begun; ``None`` for no limit.
            only: the key of the one letter that is sent.

        Raises:
            HandlerError: ``before_send`` asked, which would wait for itself.
            LeaseHeld: another process, or mailer, sends from this outbox.
            StoreError: the store cannot be used.
        """
        until = None if timeout is None else self._clock.monotonic() + timeout

        def late() -> bool:
            return until is not None and self._clock.monotonic() >= until

        def work() -> None:
            while not late() and self._sender.turn(late, only=only) == 0.0:
                pass

        self.alone(work, timeout)

    def alone(self, work: Callable[[], None], timeout: float | None = None) -> None:
        """Do something with the sender in this thread, while no other one works.

        The right to send is given back afterwards unless a thread of ours goes on with it.
        """
        if self.inside:
            raise HandlerError("before_send and on_event must not wait for the mailer")
        if not self._work.acquire(timeout=-1 if timeout is None else max(timeout, 0.0)):
            return
        try:
            self._worker = threading.get_ident()
            self._sender.take(owner_name())
            work()
        finally:
            try:
                if not self.running and not self._keeps:
                    self._sender.give_back()
                    self._status.set(MailerState.STOPPED)
            finally:
                self._worker = None
                self._work.release()

    def apply_requests(self) -> None:
        """Do what people asked for, in this thread."""
        self.alone(self._sender.apply_requests)

    def try_now(self, key: str) -> tuple[QueuedMessage, NornmailError | None]:
        """Try one letter once, of a mailer that keeps none: see :meth:`Sender.try_now`.

        The connection is kept for the next one, and closed when it was idle for some time.
        """
        tried: list[tuple[QueuedMessage, NornmailError | None]] = []
        self._keeps = True
        self.alone(lambda: tried.append(self._sender.try_now(key)))
        self._watch_idle()
        return tried[0]

    def _watch_idle(self) -> None:
        """Have the connection closed when it has been idle, with no thread of ours to do so."""
        with self._lock:
            if self._timer is not None or not self._sender.line.is_open:
                return
            seconds = max(self._sender.line.idle_left(), 0.0) + TICK
            self._timer = threading.Timer(seconds, self._end_idle)
            self._timer.daemon = True
            self._timer.start()

    def _end_idle(self) -> None:
        with self._lock:
            self._timer = None
        self.close_idle()
        self._watch_idle()

    def close_idle(self) -> None:
        """Close the connection if nobody used it for some time."""
        with self._work:
            self._sender.line.close_if_idle()

    def close(self) -> None:
        """End the thread for everybody, and give everything back."""
        with self._lock:
            self._wanted_by.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        self.stop(None)
        if not self.inside:
            with self._work:
                self._sender.give_back()

    # The thread.

    def _live(self, stopped: threading.Event, before: threading.Thread | None) -> None:
        if before is not None:
            before.join()  # it was told to end, and has the sender until it has
        try:
            while not stopped.is_set():
                self._bell.clear()
                seconds = self._turn(stopped)
                if seconds > 0 and not stopped.is_set():
                    self._clock.wait(self._bell, seconds)
        finally:
            with self._work:
                try:
                    self._sender.give_back()
                except NornmailError as error:
                    log.warning("%s", error)
                self._status.set(MailerState.STOPPED)

    def _turn(self, stopped: threading.Event) -> float:
        """Send what is due; return the seconds until the next look. It survives all trouble."""
        with self._work:
            self._worker = threading.get_ident()
            try:
                self._sender.take(owner_name())
                seconds = self._sender.turn(stopped.is_set)
                self._sender.line.close_if_idle()
                return LOOK_INTERVAL if seconds is None else min(seconds, LOOK_INTERVAL)
            except (LeaseHeld, LeaseLost) as error:
                log.log(logging.WARNING if isinstance(error, LeaseLost) else logging.DEBUG, error)
                self._status.set(MailerState.STANDING_BY, str(error))
                return TAKEOVER_INTERVAL
            except StoreError as error:
                if not stopped.is_set():
                    log.error("nothing is sent: %s", error)
                self._status.set(MailerState.STORE_TROUBLE, str(error))
                return STORE_INTERVAL
            except Exception as error:
                log.exception("the mailer failed at a letter")
                self._status.set(MailerState.STORE_TROUBLE, f"{type(error).__name__}: {error}")
                return STORE_INTERVAL
            finally:
                self._worker = None
