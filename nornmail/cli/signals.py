"""Signals: the first one ends the work after the current message, the second one ends it now.

Work is done in a thread, and the main thread, in which Python runs signal handlers, waits. So a
handler never interrupts the work, and never meets a lock that the work holds.

The system may deliver a signal to any thread, and a second one that follows closely arrives in
another thread than the main one. A wait in the main thread would then continue, with no handler
run. So the main thread waits for a socket, which Python writes to whichever thread a signal came
to.
"""

from __future__ import annotations

import logging
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Generic, TypeVar

log = logging.getLogger("nornmail.cli")

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
RINGS = 64
"""Octets read from the bell at once: one for each signal, and one for the end."""


class Interrupted(Exception):
    """A second signal came: the work is abandoned."""


class Work(Generic[T]):
    """A function that runs in a thread until it is done or a signal ends it.

    Args:
        function: the work.
        stop: makes ``function`` return soon; called at the first signal.

    Attributes:
        signalled: the first signal, ``None`` if there was none.
    """

    def __init__(self, function: Callable[[], T], stop: Callable[[], object]) -> None:
        self._function = function
        self._stop = stop
        # A forked child may ring as well, so only the queue says what happened.
        self._events: queue.SimpleQueue[signal.Signals | None] = queue.SimpleQueue()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.signalled: signal.Signals | None = None

    def run(self) -> T:
        """Run the function in its thread; return its result.

        Raises:
            Interrupted: a second signal came before it was done.
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
                    raise Interrupted
                self.signalled = event
                self._stop()
                log.info("%s: stopping after the current message", event.name)
        thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _next(self, bell: socket.socket) -> signal.Signals | None:
        """The next signal, ``None`` at the end of the work."""
        while True:
            try:
                return self._events.get_nowait()
            except queue.Empty:
                bell.recv(RINGS)

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
