"""Calling a handler: in the polling thread, in a worker, in one of its own, or on an event loop.

Whatever a handler does becomes an :class:`Outcome`. A call that outlives its timeout is not
forgotten: until it ends its message is not tried again, and a late success counts.
"""

from __future__ import annotations

import contextvars
import inspect
import logging
import sys
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, NamedTuple

from nornmail.clock import Clock
from nornmail.context import DeliveryContext, entered
from nornmail.errors import Defer, HandlerError, RecipientNotAllowed, Reject, ReplyRefused
from nornmail.model import State
from nornmail.retry import REASON_LENGTH

if TYPE_CHECKING:
    import asyncio

    from nornmail.message.message import Message

log = logging.getLogger("nornmail.poller")

Handler = Callable[["Message"], object]

MAX_OVERDUE = 4
"""Calls that may run on beyond their timeout before nothing new is delivered: each holds a thread
and a message in memory, and a handler that always hangs would take all there is."""
LOOP_CHECK = 1.0
"""Seconds between two looks at whether the event loop, on which a handler runs, is still there."""
FRAMES = 5
"""Frames of a traceback that are kept: the handler's own are the last ones."""
ERROR_TEXT_LENGTH = 800
"""Characters of an exception's text that are kept, so that there is room for its frames."""
NOT_AWAITED = (
    "on_message returned an awaitable, which nothing here can await: make it a plain function, or "
    "run the poller by `await poller.run()`"
)
NOT_RUN = (
    "on_message is a generator function (it contains `yield`), so that calling it runs nothing: "
    "make it a plain function"
)
FILTERED = "filtered"
"""The reason of a message that ``accept`` refused."""
INTERRUPTED = "interrupted"
"""The reason of a message whose handler was interrupted when the program ended."""
CANCELLED = "the program cancelled the poller while the message was being handled"


SYNC_PATIENCE = 60.0
"""Seconds that another thread waits for a poll while one call of the handler runs. Where the stacks
do not show whether that call waits for the thread, neither would ever end."""
SYNC_CHECK = 0.5
"""Seconds between two looks at that."""


class Unwanted(Exception):
    """Raised instead of calling the handler, with the reason; without one it is ``accept``."""


class Outcome(NamedTuple):
    """The outcome of a call of the handler.

    Attributes:
        state: HANDLED, WAITING, DEAD, or PASSED_OVER where ``accept`` did not want the message.
        reason: for a person.
        delay: seconds until the next attempt; ``None`` leaves it to the retry policy.
        counts: whether it was an attempt that failed.
        works: whether the handler itself is shown to work; ``None`` says nothing of it.
        stop: what is raised to the poller's caller once the outcome is durable.
    """

    state: State
    reason: str = ""
    delay: float | None = None
    counts: bool = True
    works: bool | None = False
    stop: BaseException | None = None


_RETURNED = Outcome(State.HANDLED, works=True)


def returned(result: object) -> Outcome:
    """The outcome of a handler that returned ``result``, where nothing can await."""
    if result is None:  # nearly always
        return _RETURNED
    if inspect.isgenerator(result) or inspect.isasyncgen(result):
        # Nothing of its body has run: counted as handled, the message would be lost.
        return Outcome(State.WAITING, NOT_RUN, counts=False, stop=HandlerError(NOT_RUN))
    if not inspect.isawaitable(result):
        return _RETURNED
    if inspect.iscoroutine(result):
        result.close()
    return Outcome(State.WAITING, NOT_AWAITED, counts=False, stop=HandlerError(NOT_AWAITED))


def raised(error: BaseException) -> Outcome:
    """The outcome of a handler that raised ``error``."""
    if isinstance(error, Unwanted):
        # It shows nothing of the handler, which was not called.
        return Outcome(State.PASSED_OVER, str(error) or FILTERED, counts=False, works=None)
    if isinstance(error, Reject | ReplyRefused | RecipientNotAllowed):
        # What must not be answered now must not be later. It shows nothing wrong with the handler:
        # five newsletters in a row are not an outage.
        return Outcome(State.DEAD, str(error) or "rejected by the handler", works=True)
    if isinstance(error, Defer):
        return Outcome(State.WAITING, str(error), delay=error.seconds, counts=False, works=True)
    if isinstance(error, Exception) or _is_cancellation(error):
        return Outcome(State.WAITING, account_of(error))
    if isinstance(error, KeyboardInterrupt):
        # A person stopped the program: the message has no part in that.
        return Outcome(State.WAITING, INTERRUPTED, counts=False, works=None, stop=error)
    return Outcome(State.WAITING, account_of(error), stop=error)


def running_loop() -> asyncio.AbstractEventLoop:
    """The event loop of this thread."""
    from asyncio import get_running_loop

    return get_running_loop()


def _is_cancellation(error: BaseException | None) -> bool:
    """Whether asyncio cancelled a handler; without asyncio nothing did."""
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and isinstance(error, asyncio.CancelledError)


def account_of(error: BaseException) -> str:
    """The text of an exception as the store keeps it: the error, then its last frames."""
    try:
        text = "".join(traceback.format_exception_only(error)).strip()
        calls = traceback.extract_tb(error.__traceback__)
        own = [call for call in calls if call.filename != __file__]
        frames = "".join(traceback.format_list(own[-FRAMES:]))
    except Exception:  # its own __str__ may raise
        return type(error).__name__
    return f"{text[:ERROR_TEXT_LENGTH]}\n{frames.rstrip()}"[:REASON_LENGTH]


class HandlerCall:
    """One call of a handler. It may continue after its caller has stopped waiting.

    Args:
        signal: set when the handler is through; ``None`` where no other thread waits for that.

    Attributes:
        ended: whether the handler is through, result and error being in place.
    """

    def __init__(
        self,
        owner: HandlerRunner,
        handling: DeliveryContext,
        signal: threading.Event | None = None,
    ) -> None:
        self.owner = owner
        self.handling = handling
        self.signal = signal
        self.ended = False
        self.result: object = None
        self.error: BaseException | None = None

    def work(self, handler: Handler, message: Message) -> None:
        """Call the handler, in this thread."""
        try:
            self.result = self.context().run(handler, message)
        except BaseException as error:
            self.error = error
        finally:
            self.end()

    def context(self) -> contextvars.Context:
        """A context of its own, in which what runs belongs to this call."""
        context = entered(self.handling)
        context.run(_CALLS.set, (*_CALLS.get(), self))
        return context

    def end(self) -> None:
        """Note that the handler is through."""
        self.ended = True
        if self.signal is not None:
            self.signal.set()
            self.owner.finished(self)

    def outcome(self) -> Outcome:
        """The outcome of the call, once it has :attr:`ended`."""
        if self.error is not None:
            return raised(self.error)
        outcome = returned(self.result)
        after = self.handling.after
        return outcome._replace(reason=after) if after and outcome.works else outcome


_CALLS: contextvars.ContextVar[tuple[HandlerCall, ...]] = contextvars.ContextVar(
    "nornmail_calls", default=()
)
"""The calls in which this thread or task is. A task that a handler leaves behind has them as well,
so each is asked whether it has ended."""


class AwaitedCall(HandlerCall):
    """A call whose awaitable is awaited on an event loop."""

    def __init__(
        self,
        owner: HandlerRunner,
        handling: DeliveryContext,
        signal: threading.Event,
        awaitable: Awaitable[object],
    ) -> None:
        super().__init__(owner, handling, signal)
        self._awaitable = awaitable
        self._task: asyncio.Task[None] | None = None
        self._cancelled = False
        self.interrupted = False

    def start(self) -> None:
        """Begin to await; in the event loop's thread."""
        if self._cancelled:
            self.give_up()
            return
        self._task = running_loop().create_task(self._contained(), context=self.context())
        self._task.add_done_callback(self._done)

    def give_up(self) -> None:
        """End without having begun."""
        if inspect.iscoroutine(self._awaitable):
            self._awaitable.close()
        from asyncio import CancelledError

        self.error = CancelledError()
        self.end()

    def cancel(self) -> None:
        """Cancel the awaitable; in the event loop's thread."""
        self._cancelled = True
        if self._task is not None:
            self._task.cancel()

    def outcome(self) -> Outcome:
        if self.interrupted and _is_cancellation(self.error):
            return Outcome(State.WAITING, CANCELLED, counts=False, works=None)
        return super().outcome()

    async def _contained(self) -> None:
        """Await; nothing is raised, since SystemExit would tear down the whole event loop."""
        try:
            self.result = await self._awaitable
        except BaseException as error:
            self.error = error

    def _done(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():  # before its first step: nothing of it has run
            self.give_up()
        else:
            self.end()


class HandlerRunner:
    """Calls handlers for one poller, from as many threads as it has workers.

    Args:
        timeout: seconds after which a call counts as failed; ``None`` for no limit.
        on_end: called, from any thread, when a call that had outlived its timeout ends.
        blocks: tells whether no poll can begin, and nothing be given back, during a call; with
            several workers a poll can, until the poller is stopped.
    """

    def __init__(
        self,
        clock: Clock,
        timeout: float | None = None,
        on_end: Callable[[], object] = lambda: None,
        *,
        blocks: Callable[[], bool] = lambda: True,
    ) -> None:
        self._clock = clock
        self._blocks = blocks
        self._timeout = timeout
        self._on_end = on_end
        self._lock = threading.Lock()
        self._overdue: dict[str, HandlerCall] = {}
        self._awaited: set[AwaitedCall] = set()
        self._begun_at: dict[int, float] = {}
        """When the call that each thread makes began."""
        self._interrupted = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def attach(self, loop: asyncio.AbstractEventLoop | None) -> None:
        """Await on ``loop`` what handlers return from now on; ``None`` ends that."""
        with self._lock:
            self._loop = loop
            self._interrupted = False

    def attached_here(self) -> bool:
        """Whether this is the thread of that event loop."""
        try:
            return self._loop is not None and running_loop() is self._loop
        except RuntimeError:  # no event loop runs here
            return False

    def call(self, handler: Handler, message: Message) -> Outcome:
        """Call the handler with a message; nothing is raised."""
        thread = threading.get_ident()
        self._begun_at[thread] = now = self._clock.monotonic()
        try:
            deadline = None if self._timeout is None else now + self._timeout
            return self._call(handler, message, deadline)
        finally:
            del self._begun_at[thread]

    def running_for(self) -> float:
        """Seconds for which the oldest call has been running, 0.0 without one; any thread."""
        begun_at = min(self._begun_at.copy().values(), default=None)
        return 0.0 if begun_at is None else self._clock.monotonic() - begun_at

    def waits_for_caller(self) -> bool:
        """Whether a call waits for the thread that asks, as far as the stacks show it.

        They do for ``Thread.join()``, for ``Future.result()`` of a thread pool, and for what a
        coroutine awaits of ``loop.run_in_executor()``.
        """
        if not self._blocks():
            return False
        # The thread, and the future of what a pool does in it.
        work = [getattr(one, "future", one) for one in _owners(sys._getframe(), _WORKS)]
        awaiting = (calls for one in work for calls in _awaiting(one))
        if any(call.owner is self and not call.ended for calls in awaiting for call in calls):
            return True
        ids = {id(one) for one in work}
        frames = sys._current_frames()
        callers = [frames[thread] for thread in self._begun_at.copy() if thread in frames]
        return any(id(owner) in ids for frame in callers for owner in _owners(frame, _WAITS))

    def _call(self, handler: Handler, message: Message, deadline: float | None) -> Outcome:
        handling = DeliveryContext(message.delivery_id, message)
        if deadline is None or inspect.iscoroutinefunction(handler):
            call = HandlerCall(self, handling)
            call.work(handler, message)
        else:
            signal = threading.Event()
            call = HandlerCall(self, handling, signal)
            failed = self._in_a_thread(call, signal, handler, message, deadline)
            if failed is not None:
                return failed
        if self._loop is not None and call.error is None and inspect.isawaitable(call.result):
            return self._on_loop(self._loop, call.result, call.handling, message, deadline)
        return call.outcome()

    def inside(self) -> bool:
        """Whether the caller is a handler of this runner, or a task or thread that it made."""
        return any(call.owner is self and not call.ended for call in _CALLS.get())

    def interrupt(self) -> None:
        """Cancel the handlers that are awaited now, and any that would be; in the loop's thread."""
        with self._lock:
            self._interrupted = True
            awaited = list(self._awaited)
        for call in awaited:
            call.interrupted = True
            call.cancel()

    # Calls that outlived their timeout.

    @property
    def overdue(self) -> int:
        """The number of them that still run."""
        if not self._overdue:
            return 0
        with self._lock:
            return sum(not call.ended for call in self._overdue.values())

    def is_overdue(self, delivery_id: str) -> bool:
        """Whether a message is still being handled, or how that ended was not settled yet."""
        with self._lock:
            return delivery_id in self._overdue

    def late(self) -> dict[str, Outcome]:
        """The outcomes of late calls that have ended, by delivery id, until :meth:`forget`.

        What one of them asked for by SystemExit or an awaitable comes too late to be heeded.
        """
        if not self._overdue:
            return {}
        with self._lock:
            ended = {id_: call for id_, call in self._overdue.items() if call.ended}
        return {id_: call.outcome() for id_, call in ended.items()}

    def forget(self, delivery_id: str) -> None:
        """Let go of a call that has ended and is settled."""
        with self._lock:
            self._overdue.pop(delivery_id, None)

    def finished(self, call: HandlerCall) -> None:
        """Note that a call has ended, and report it if no caller waits for it any more."""
        with self._lock:
            late = call in self._overdue.values()
        if late:
            self._on_end()

    def _in_a_thread(
        self,
        call: HandlerCall,
        signal: threading.Event,
        handler: Handler,
        message: Message,
        deadline: float,
    ) -> Outcome | None:
        """Let a thread of its own do the call; ``None`` when it has ended in time.

        A daemon, so that a call that hangs for ever does not keep the process from ending.
        """
        context = contextvars.copy_context()
        thread = threading.Thread(
            target=context.run,
            args=(call.work, handler, message),
            name="nornmail-handler",
            daemon=True,
        )
        try:
            thread.start()
        except RuntimeError as error:  # no more threads: the message has no part in that
            return Outcome(State.WAITING, account_of(error), counts=False, works=None, stop=error)
        outlived = self._outlived(call, signal, message, deadline)
        if outlived is None:
            thread.join()
        return outlived

    def _on_loop(
        self,
        loop: asyncio.AbstractEventLoop,
        awaitable: Awaitable[object],
        handling: DeliveryContext,
        message: Message,
        deadline: float | None,
    ) -> Outcome:
        """Let the event loop await, and wait for that here."""
        signal = threading.Event()
        call = AwaitedCall(self, handling, signal, awaitable)
        with self._lock:
            self._awaited.add(call)
            call.interrupted = self._interrupted
        if call.interrupted:
            call.cancel()  # it has not begun: this only keeps it from it
        try:
            try:
                loop.call_soon_threadsafe(call.start)
            except RuntimeError:  # it was closed
                call.interrupted = True
                call.give_up()
            outlived = None
            if deadline is not None:
                outlived = self._outlived(call, signal, message, deadline)
            if outlived is not None:
                with suppress(RuntimeError):  # it was closed: nothing runs on it any more
                    loop.call_soon_threadsafe(call.cancel)
                return outlived
            while not signal.wait(LOOP_CHECK):
                if loop.is_closed():
                    return Outcome(State.WAITING, CANCELLED, counts=False, works=None)
            return call.outcome()
        finally:
            with self._lock:
                self._awaited.discard(call)

    def _outlived(
        self, call: HandlerCall, signal: threading.Event, message: Message, deadline: float
    ) -> Outcome | None:
        """Wait for a call until its deadline; ``None`` when it has ended by then.

        One that has not is kept in mind, also when the wait was ended by an interrupt.
        """
        outcome = Outcome(State.WAITING, f"the handler took longer than {self._timeout:g} s")
        try:
            self._clock.wait(signal, deadline - self._clock.monotonic())
        except BaseException as stop:  # of a signal: it ends the poller, and not the call
            outcome = Outcome(State.WAITING, INTERRUPTED, counts=False, works=None, stop=stop)
        with self._lock:
            if call.ended and outcome.stop is None:
                return None
            self._overdue[message.delivery_id] = call
        if call.ended:  # just now, and it may not have seen that no caller waits
            self._on_end()
        return outcome


_WAITS = frozenset({("threading", "join"), ("concurrent.futures._base", "result")})
"""Functions that wait for the end of what their ``self`` stands for."""
_WORKS = frozenset({("threading", "_bootstrap_inner"), ("concurrent.futures.thread", "run")})
"""Functions that do the work of their ``self``: a thread, or an item of a pool."""


def _owners(frame: FrameType | None, of: Collection[tuple[str, str]]) -> Iterator[object]:
    """The ``self`` of each of these functions that a stack is in."""
    while frame is not None:
        if (frame.f_globals.get("__name__", ""), frame.f_code.co_name) in of:
            yield frame.f_locals.get("self")
        frame = frame.f_back


def _awaiting(future: object) -> Iterator[tuple[HandlerCall, ...]]:
    """The calls within which the result of a pool's future is awaited on an event loop.

    asyncio chains a future of its own to the pool's, by a callback that holds it; each callback of
    that one has the context of the task that awaits it.
    """
    asyncio = sys.modules.get("asyncio")
    if asyncio is None:
        return
    for chained in tuple(getattr(future, "_done_callbacks", ())):
        for cell in getattr(chained, "__closure__", None) or ():
            if isinstance(cell.cell_contents, asyncio.Future):
                for _, context in getattr(cell.cell_contents, "_callbacks", None) or ():
                    yield context.get(_CALLS, ())


def wait_unless_blocked(wait: Callable[[float], bool], runner: HandlerRunner | None) -> None:
    """Wait for an event, but not for ever behind one call of the handler.

    Args:
        wait: waits for some seconds, and returns whether the event came.
        runner: of the handler, ``None`` for none.

    Raises:
        HandlerError: a call waits for this thread, or has been running for :data:`SYNC_PATIENCE`
            meanwhile.
    """
    waited = 0.0
    while not wait(SYNC_CHECK):
        waited += SYNC_CHECK
        if runner is None:
            continue
        if runner.waits_for_caller():
            raise HandlerError("a handler must not wait for a thread that polls or calls sync()")
        if min(waited, runner.running_for()) >= SYNC_PATIENCE:
            raise HandlerError(
                f"the handler has been running for {SYNC_PATIENCE:g} s and no poll can begin: a "
                "handler must not wait for a thread that polls or calls sync()"
            )


def join_unless_blocked(
    thread: threading.Thread, timeout: float | None, runner: HandlerRunner
) -> None:
    """Wait for a thread, ``timeout`` seconds at most, unless it calls a handler that waits here."""
    ends_at = None if timeout is None else time.monotonic() + timeout
    while True:
        left = SYNC_CHECK if ends_at is None else ends_at - time.monotonic()
        thread.join(max(0.0, min(left, SYNC_CHECK)))
        if not thread.is_alive() or (left <= SYNC_CHECK and ends_at is not None):
            return
        if runner.waits_for_caller():
            return
