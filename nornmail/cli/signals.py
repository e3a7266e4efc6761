"""Signals, which are the command line's business: the first one ends the work at the next message.

Work is done in a thread, and the main thread, in which Python runs signal handlers, waits. So a
handler never interrupts the work, and never meets a lock that the work holds.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Generic, TypeVar

log = logging.getLogger("nornmail.cli")

T = TypeVar("T")

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE: float | None = None if os.name == "posix" else 0.5
"""Seconds of one wait. On Windows a wait without an end is not interrupted by Ctrl-C."""


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
        thread = threading.Thread(target=self._work, name="nornmail-work", daemon=True)
        with self._handling():
            thread.start()
            while (event := self._next()) is not None:
                if self.signalled is not None:
                    raise Interrupted
                self.signalled = event
                self._stop()
                log.info("%s: it ends after the message at hand", event.name)
        thread.join()
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _next(self) -> signal.Signals | None:
        """The next signal, ``None`` at the end of the work."""
        while True:
            try:
                return self._events.get(timeout=PATIENCE)
            except queue.Empty:
                continue

    def _work(self) -> None:
        try:
            self._result.append(self._function())
        except BaseException as error:
            self._error = error
        finally:
            self._events.put(None)

    @contextmanager
    def _handling(self) -> Iterator[None]:
        def note(number: int, _frame: FrameType | None) -> None:
            self._events.put(signal.Signals(number))  # SimpleQueue.put may interrupt itself

        before = {number: signal.signal(number, note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
