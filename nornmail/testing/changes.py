"""Waiting for what happens in the server: woken by each change, never by the clock."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class Changes:
    """Counts what changes, and wakes whoever waits. Thread-safe.

    `announce` takes no other lock than its own, so it may be called while others are held; a
    predicate is evaluated with none.
    """

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._count = 0

    def announce(self) -> None:
        """Say that something has changed."""
        with self._condition:
            self._count += 1
            self._condition.notify_all()

    def wait_for(self, predicate: Callable[[], T], seconds: float) -> T:
        """The first true value of ``predicate``, or its last false one after ``seconds``.

        It is asked now, and again after each change.
        """
        deadline = time.monotonic() + seconds
        while True:
            with self._condition:
                seen = self._count
            value = predicate()
            if value:
                return value
            with self._condition:
                left = deadline - time.monotonic()
                if not self._condition.wait_for(lambda seen=seen: self._count != seen, left):  # type: ignore[misc]
                    return value
