"""Signals: the first one ends the work after the current message, the second one ends it now.

Without a message in hand the first one ends it within a second, whatever a server does.

Work is done in a thread, and the main thread, in which Python runs signal handlers, waits. So a
handler never interrupts the work, and never meets a lock that the work holds.

The system may deliver a signal to any thread, and a second one that follows closely arrives in
another thread than the main one. A wait in the main thread would then continue, with no handler
run. So the main thread waits for a socket, which Python writes to whichever thread a signal came
to.
"""

from __future__ import annotations

import inspect
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any, Generic, NoReturn, TypeVar

from nornmail import Message, Outbox, StateStore

log = logging.getLogger("nornmail.cli")

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 0.4
"""Seconds that the work has to end, once no message is in hand: a commit takes milliseconds."""
CHECK_SECONDS = 0.1
"""Seconds between two looks at whether a message is in hand."""
RINGS = 64
"""Octets read from the bell at once: one for each signal, and one for the end."""


class SecondSignal(KeyboardInterrupt):
    """Raised at a second signal: the work is abandoned, and `main` says so."""


class Hanging(Exception):
    """Raised when the work still waits for a server some time after a signal, between messages."""


class MessagesInHand:
    """Counts the messages that a handler is working on, which a signal must not cut off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def __bool__(self) -> bool:
        return self._count > 0

    def counting(self, handler: Callable[[Message], Any]) -> Callable[[Message], Any]:
        """The handler, with each of its calls counted."""
        if inspect.iscoroutinefunction(handler):

            async def counted_later(message: Message) -> Any:
                with self._one_more():
                    return await handler(message)

            return counted_later

        return self._one_more()(handler)

    @contextmanager
    def _one_more(self) -> Iterator[None]:
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1


def end_now(status: int) -> NoReturn:
    """End the process, whatever its threads are waiting for.

    Every store is made for that: what was committed is on disk, and nothing is in hand.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # its reader has left, or it is closed
            stream.flush()
    os._exit(status)


class Work(Generic[T]):
    """A function that runs in a thread until it is done or a signal ends it.

    Args:
        stop: makes ``function`` return soon; called at the first signal.
        busy: whether a message is in hand; without one, a function that does not return within
            :data:`GRACE_SECONDS` is abandoned.

    Attributes:
        signalled: the first signal, ``None`` if there was none.
    """

    def __init__(
        self, function: Callable[[], T], stop: Callable[[], object], busy: Callable[[], object]
    ) -> None:
        self._function = function
        self._stop = stop
        self._busy = busy
        # A forked child may ring as well, so only the queue says what happened.
        self._events: queue.SimpleQueue[signal.Signals | None] = queue.SimpleQueue()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.signalled: signal.Signals | None = None

    def run(self) -> T:
        """Run the function in its thread; return its result.

        Raises:
            SecondSignal: a second signal came before it was done.
            Hanging: it waits for a server, some time after the first signal.
            BaseException: raised by the function.
        """
        # A daemon: at a second signal the process ends, whatever the thread waits for.
        with self._bell() as (bell, rope), self._handling(rope):
            thread = threading.Thread(
                target=self._work, args=(rope,), name="nornmail-work", daemon=True
            )
            thread.start()
            while (event := self._next(bell)) is not None:
                if self.signalled is not None:
                    raise SecondSignal
                self.signalled = event
                self._stop()
                if self._busy():
                    log.warning(
                        "%s: stopping after the current message; a second signal stops now",
                        event.name,
                    )
                else:
                    log.info("%s: stopping", event.name)
        thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _next(self, bell: socket.socket) -> signal.Signals | None:
        """The next signal, ``None`` at the end of the work.

        Raises:
            Hanging: nothing is in hand, and the work does not end.
        """
        idle = 0.0
        bell.settimeout(None if self.signalled is None else CHECK_SECONDS)
        while True:
            try:
                return self._events.get_nowait()
            except queue.Empty:
                pass
            try:
                bell.recv(RINGS)
            except TimeoutError:
                idle = 0.0 if self._busy() else idle + CHECK_SECONDS
                if idle >= GRACE_SECONDS:
                    raise Hanging from None

    def _work(self, rope: socket.socket) -> None:
        try:
            self._result.append(self._function())
        except BaseException as error:
            self._error = error
        finally:
            self._events.put(None)
            # It is full, and rings anyway; or it is closed, after a second signal.
            with suppress(OSError):
                rope.send(b"\0")

    @staticmethod
    @contextmanager
    def _bell() -> Iterator[tuple[socket.socket, socket.socket]]:
        """The socket that the main thread waits for, and the one that wakes it."""
        bell, rope = socket.socketpair()
        with bell, rope:
            rope.setblocking(False)
            yield bell, rope

    @contextmanager
    def _handling(self, rope: socket.socket) -> Iterator[None]:
        def note(number: int, _frame: FrameType | None) -> None:
            self._events.put(signal.Signals(number))  # SimpleQueue.put may interrupt itself

        fd = signal.set_wakeup_fd(rope.fileno(), warn_on_full_buffer=False)
        before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(fd)


def is_sending(store: StateStore) -> bool:
    """Whether a message of this store is on its way to a server, which must not be cut off."""
    return bool(Outbox(store).list(["sending"]))
