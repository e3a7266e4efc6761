"""Signals, which are the command line's business: the first one ends the work at the next message.

Work is done in a thread, and the main thread, in which Python runs signal handlers, waits. So a
handler never interrupts the work, and never meets a lock that the work holds.

The system may give a signal to any thread, and a second one that comes close behind the first goes
to another than the main thread. The wait there goes on then, and Python runs no handler before it
ends. So the main thread waits for a socket, which Python rings whatever thread a signal came to.
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
"""Octets that are taken from the bell at once: one for each signal, and one for the end."""


class Interrupted(Exception):
    """A second signal came: the work is left where it is."""


class Work(Generic[T]):
    """A function that runs in a thread until it is done or a signal ends it.

    Args:
        function: what is to be done.
        stop: makes ``function`` return soon; called at the first signal.

    Attributes:
        signalled: the first signal that came, ``None`` if none did.
    """

    def __init__(self, function: Callable[[], T], stop: Callable[[], object]) -> None:
        self._function = function
        self._stop = stop
        # What rings may be a child's that was forked: what happened is in the queue alone.
        self._events: queue.SimpleQueue[signal.Signals | None] = queue.SimpleQueue()
        self._result: list[T] = []
        self._error: BaseException | None = None
        self.signalled: signal.Signals | None = None

    def run(self) -> T:
        """Do it, and return what the function returned.

        Raises:
            Interrupted: a second signal came before it was done.
            BaseException: what the function raised.
        """
        # A daemon: when a second signal comes the process ends, whatever it waits for.
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
                log.info("%s: it ends after the message at hand", event.name)
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
            # It is full, and rings anyway; or it is closed: a second signal came, nobody waits.
            with suppress(OSError):
                rope.send(b"\0")

    @staticmethod
    @contextmanager
    def _bell() -> Iterator[tuple[socket.socket, socket.socket]]:
        """What is waited for, and what is pulled."""
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
