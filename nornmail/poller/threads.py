"""The threads around a poller: which one runs the loop, and how the others ask it for a poll."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from nornmail.errors import ConfigurationError, HandlerError, NornmailError
from nornmail.poller.handler import (
    SYNC_CHECK,
    HandlerRunner,
    join_unless_blocked,
    wait_unless_blocked,
)
from nornmail.poller.status import PollStats

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger("nornmail.poller")


class _Turn:
    """A thread's turn of a :class:`FairLock`, for as long as its block runs."""

    def __init__(self, frame: FrameType) -> None:
        self.thread = threading.get_ident()
        self.came = threading.Event()
        self._frame = frame

    def is_over(self, frames: Mapping[int, FrameType]) -> bool:
        """Whether the function of the block has ended, of all threads' innermost ``frames``."""
        frame = frames.get(self.thread)
        while frame is not None and frame is not self._frame:
            frame = frame.f_back
        return frame is None


class FairLock:
    """Lets one thread work at a time, in the order in which they came.

    A handler that calls back into the poller is refused. An exception that a signal's handler
    raises may fall into the lock's own code, also where a block ends: so a turn counts only as long
    as the function that entered is on its thread's stack.

    Args:
        ring: called when a thread has to wait, so that one inside that merely waits comes out.
        runner: calls the handlers, which must not wait for the lock.
    """

    def __init__(
        self,
        ring: Callable[[], object] = object,
        runner: HandlerRunner | None = None,
    ) -> None:
        self._ring = ring
        self._runner = runner
        # No lock around it, which an interruption would leave locked: each step is one call of it.
        self._queue: deque[_Turn] = deque()

    def __enter__(self) -> None:
        turn = _Turn(sys._getframe(1))
        self._drop_what_is_over()
        if any(other.thread == turn.thread for other in tuple(self._queue)) or (
            self._runner is not None and self._runner.inside()
        ):
            raise HandlerError("a handler must not poll or close the poller that calls it")
        try:
            self._queue.append(turn)
            if not self._is_first(turn):
                self._ring()
                wait_unless_blocked(lambda seconds: self._has_come(turn, seconds), self._runner)
        except BaseException:
            self._leave(turn)
            raise

    def __exit__(self, *_exc: object) -> None:
        self._leave(self._queue[0])

    def held_here(self) -> bool:
        """Whether the calling thread is in a block of it."""
        turn = next(iter(tuple(self._queue)), None)
        if turn is None or turn.thread != threading.get_ident():
            return False
        return not turn.is_over(sys._current_frames())

    def _leave(self, turn: _Turn) -> None:
        """Step out of the queue, and let the next one in."""
        with suppress(ValueError):  # it was not in it yet
            self._queue.remove(turn)
        with suppress(IndexError):
            self._queue[0].came.set()

    def _is_first(self, turn: _Turn) -> bool:
        return self._queue[0] is turn

    def _has_come(self, turn: _Turn, seconds: float) -> bool:
        """Wait for a turn; the end of the one before may have been interrupted."""
        if turn.came.wait(seconds):
            return True
        self._drop_what_is_over()
        return self._is_first(turn)

    def _drop_what_is_over(self) -> None:
        """Remove the turns whose end was interrupted."""
        if self._queue:
            frames = sys._current_frames()
            for turn in tuple(self._queue):
                if turn.is_over(frames):
                    self._leave(turn)


class SyncRequest:
    """A poll that another thread asked for, and how it ended.

    Attributes:
        stats: of the poll; it is answered when the workers are through with what that found.
    """

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._error: BaseException | None = None
        self.stats = PollStats()

    def succeed(self) -> None:
        """Answer with what was done."""
        self._ended.set()

    def fail(self, error: BaseException) -> None:
        """Answer that the poll failed, or was not made."""
        self._error = error
        self._ended.set()

    def wait(self, handler: HandlerRunner) -> PollStats:
        """Wait for the end of the poll.

        Raises:
            BaseException: what ended the poll.
            HandlerError: a handler keeps it from beginning, and may itself wait for this thread.
        """
        wait_unless_blocked(self._ended.wait, handler)
        if self._error is not None:
            raise self._error
        return self.stats


class SyncRequests:
    """The requests of other threads for a poll."""

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._open = False
        self._next: SyncRequest | None = None

    def open(self) -> None:
        """Accept requests: a loop runs from now on."""
        with self._lock:
            self._open = True

    def ask(self) -> SyncRequest | None:
        """Ask for a poll that has not begun yet; ``None`` when no loop runs."""
        with self._lock:
            if not self._open:
                return None
            if self._next is None:
                self._next = SyncRequest()
            asked = self._next
        self._wake()
        return asked

    def take(self) -> SyncRequest | None:
        """The request that the poll which begins now answers, if any."""
        with self._lock:
            taken, self._next = self._next, None
        return taken

    def close(self, error: BaseException | None) -> None:
        """Note that the loop has ended, for those who wait for a pass."""
        with self._lock:
            self._open = False
            left, self._next = self._next, None
        if left is not None:
            left.fail(error or NornmailError("the poller was stopped before the poll began"))


class ActivePollers:
    """The pollers of this process that work: two on one mailbox would be a mistake."""

    def __init__(self) -> None:
        # Reentrant: a signal's handler may close a poller while its own thread is inside of it.
        self._lock = threading.RLock()
        self._pollers: WeakValueDictionary[object, object] = WeakValueDictionary()

    def enter(self, key: object, poller: object) -> None:
        """Note that ``poller`` works on ``key``."""
        with self._lock:
            if self._pollers.setdefault(key, poller) is not poller:
                mailbox = key[-1] if isinstance(key, tuple) else key
                raise ConfigurationError(
                    "account",
                    str(mailbox),
                    "another poller of this process works on this account and mailbox already: "
                    "close() it first",
                )

    def leave(self, poller: object) -> None:
        """Note that ``poller`` works no more."""
        with self._lock:
            for key in [key for key, other in self._pollers.items() if other is poller]:
                del self._pollers[key]


ACTIVE_POLLERS = ActivePollers()


ABORT_AFTER = 0.25
"""Seconds that a loop that was stopped has to end by itself; then no server is waited for."""

ALREADY_RUNNING = "the poller is running already"


@contextmanager
def stopped_by(signals: Collection[int], stop: Callable[[], object]) -> Iterator[None]:
    """A block that the first of these signals stops, and the second one interrupts and ends."""
    signalled = 0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal signalled
        signalled += 1
        if signalled > 1:
            signal.default_int_handler(number, frame)
        stop()

    if signals and threading.current_thread() is not threading.main_thread():
        raise NornmailError("stop_on works in the main thread only: call stop() instead")
    before = {number: signal.signal(number, handle) for number in signals}
    try:
        yield
    except KeyboardInterrupt:
        if signalled < 2:
            raise
        log.warning("interrupted by a second signal")
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


class Lifecycle:
    """Runs a body once at a time, and ends it.

    Args:
        body: the loop; it returns soon after ``stopped`` was set, and gives everything back.
        stopped: tells the body to end.
        wake: ends the body's wait.
        runner: calls the handlers; it learns of the event loop.
        abort: ends what the body waits for from the server, given True; False ends that.
    """

    def __init__(
        self,
        body: Callable[[], None],
        stopped: threading.Event,
        wake: Callable[[], object],
        runner: HandlerRunner,
        abort: Callable[[bool], object],
    ) -> None:
        self._abort = abort
        self._ended = threading.Event()
        self._aborting: threading.Thread | None = None
        self._body = body
        self._stopped = stopped
        self._wake = wake
        self._runner = runner
        # Reentrant: a signal's handler may call stop() while its own thread is inside of it.
        self._lock = threading.RLock()
        self._running = False
        self._in_group = False
        self._alive = threading.Lock()
        """Locked while the body runs, except a group: no exception of a signal leaves it locked."""
        self._here: int | None = None
        """The thread that runs the body as its own, in which a signal's exception may fall."""
        self._inside: int | None = None
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def running(self) -> bool:
        """Whether the body runs, or is about to."""
        return self._running and not self._was_left

    @property
    def has_thread(self) -> bool:
        """Whether :meth:`start` made a thread, and :meth:`stop` has not waited for it yet."""
        return self._thread is not None

    @property
    def has_ended(self) -> bool:
        """Whether a thread that :meth:`start` made has ended, and :meth:`stop` has yet to tell."""
        return self._thread is not None and not self._running

    @property
    def inside(self) -> bool:
        """Whether the body runs in the calling thread."""
        return self._inside == threading.get_ident() and not self._was_left

    @property
    def _was_left(self) -> bool:
        """Whether an exception of a signal in this thread fell before the body, or behind it.

        What it kept from being done is done before the body runs again.
        """
        return self._here == threading.get_ident() and not self._alive.locked()

    def run_here(self) -> None:
        """Run the body in this thread. A stop that came before ends it at once."""
        self._begin(forget_stop=False, here=True)
        self._run()

    def start(self) -> None:
        """Run the body in a thread of its own."""
        self._begin(forget_stop=True)
        thread = threading.Thread(target=self._in_background, name="nornmail-poller", daemon=True)
        with self._lock:  # so that no stop() joins a thread that has not begun
            self._launch(thread)
            self._thread = thread

    def stop(self, timeout: float | None) -> bool:
        """End the body, and wait for its thread if it has one; see ``Poller.stop``."""
        with self._lock:
            thread = self._thread
            if thread is None or self.running:
                self._stopped.set()
            if self.running and self._aborting is None:
                # A thread, since run_forever() and run() have no caller that waits for their end.
                self._aborting = threading.Thread(target=self._abort_if_it_hangs, daemon=True)
                self._aborting.start()
        self._wake()
        if thread is None or self.inside or self._runner.inside():
            return not self.running
        join_unless_blocked(thread, timeout, self._runner)
        if thread.is_alive():
            return False
        with self._lock:
            error, self._error = self._error, None
            if self._thread is thread:
                self._thread = None
        if error is not None:
            raise error
        return True

    def await_end(self) -> None:
        """Wait for the end of the body, in whatever thread it runs; not for a group's."""
        while self.running and not self._in_group and not self._ended.wait(SYNC_CHECK):
            if self._runner.waits_for_caller():
                raise HandlerError("a handler must not wait for a thread that closes its poller")

    def _abort_if_it_hangs(self) -> None:
        """Abort what the body waits for, unless a handler is at work or it ends by itself."""
        announced = False
        while not self._ended.wait(ABORT_AFTER):
            if not self._runner.running_for():
                self._abort(True)
            elif not announced:
                announced = True
                log.info("stopping when the handler has returned")

    async def run(self) -> None:
        """Run the body in a thread of its own, awaiting on this event loop what handlers return.

        When this is cancelled, the body is stopped and the handler that is awaited is cancelled;
        the cancellation continues when all is given back.
        """
        import asyncio

        loop = asyncio.get_running_loop()
        ended = loop.create_future()
        errors: list[BaseException] = []

        def in_background() -> None:
            try:
                self._run()
            except BaseException as error:
                errors.append(error)
            finally:
                with suppress(RuntimeError):  # the event loop did not wait for us
                    loop.call_soon_threadsafe(ended.set_result, None)

        self._begin(forget_stop=True)
        self._runner.attach(loop)
        thread = threading.Thread(target=in_background, name="nornmail-poller", daemon=True)
        self._launch(thread)
        cancelled: asyncio.CancelledError | None = None
        try:
            while not ended.done():
                try:
                    await asyncio.wait([ended])
                except asyncio.CancelledError as again:
                    cancelled = again
                    self.stop(0)
                    self._runner.interrupt()
            thread.join()  # it has nothing left to do
        finally:
            self._runner.attach(None)
        if cancelled is not None:
            raise cancelled
        if errors:
            raise errors[0]

    def join(self) -> None:
        """Let the threads of a group run the body, part by part: see :meth:`part`."""
        self._begin(forget_stop=True)
        self._in_group = True

    @contextmanager
    def part(self) -> Iterator[None]:
        """The block is a part of the body, in this thread."""
        self._inside = threading.get_ident()
        try:
            yield
        finally:
            self._inside = None

    def leave(self) -> None:
        """Note that a group runs the body no more."""
        self._ended.set()
        self._abort(False)
        with self._lock:
            self._stopped.clear()
            self._running = False

    def refuse_on_the_event_loop(self, name: str, of: str = "poller") -> None:
        """Refuse what would block the event loop that a handler may be waiting for."""
        if self._runner.attached_here():
            raise NornmailError(
                f"{name}() would block the event loop that the handlers need: use "
                f"`await asyncio.to_thread({of}.{name})`"
            )

    def _begin(self, *, forget_stop: bool, here: bool = False) -> None:
        if self._running and self._was_left:
            self._finish()
        with self._lock:
            if self._running:
                raise NornmailError(ALREADY_RUNNING)
            self._here = threading.get_ident() if here else None
            self._running = True
            self._in_group = False
            self._ended.clear()
            self._thread, self._error = None, None
            if forget_stop:
                self._stopped.clear()

    def _launch(self, thread: threading.Thread) -> None:
        try:
            thread.start()
        except BaseException:
            self._running = False
            self._ended.set()
            self._thread = None
            self._runner.attach(None)
            raise

    def _in_background(self) -> None:
        try:
            self._run()
        except BaseException as error:
            log.error("the poller has ended: %s", str(error) or type(error).__name__)
            with self._lock:
                self._error = error

    def _run(self) -> None:
        self._inside = threading.get_ident()
        try:
            with self._alive:
                self._body()
        finally:
            self._finish()

    def _finish(self) -> None:
        """Note the end of the body; it may be cut off anywhere, and done again."""
        self._ended.set()
        with self._lock:
            aborting = self._aborting
        if aborting is not None and aborting.ident is not None:  # else it never began
            aborting.join()
            self._abort(False)
        with self._lock:
            self._inside = self._aborting = None
            self._stopped.clear()
            self._running = False
            self._here = None
