"""Passes that other threads ask of the loop: who asks before one has begun shares it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nornmail.errors import NornmailError
from nornmail.poller.status import PollStats


class SyncRequest:
    """A pass that was asked for, and how it ended."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._tally = PollStats()
        self._error: BaseException | None = None

    def succeed(self, stats: PollStats) -> None:
        """The pass succeeded."""
        self._tally = stats
        self._ended.set()

    def fail(self, error: BaseException) -> None:
        """The pass did not succeed, or was not made."""
        self._error = error
        self._ended.set()

    def wait(self) -> PollStats:
        """Wait for the end of the pass.

        Raises:
            BaseException: what ended it.
        """
        self._ended.wait()
        if self._error is not None:
            raise self._error
        return self._tally


class SyncRequests:
    """What stands between those who ask and the loop.

    Args:
        wake: ends the loop's wait.
    """

    def __init__(self, wake: Callable[[], object]) -> None:
        self._wake = wake
        self._lock = threading.Lock()
        self._open = False
        self._next: SyncRequest | None = None

    def open(self) -> None:
        """A loop runs from now on."""
        with self._lock:
            self._open = True

    def ask(self) -> SyncRequest | None:
        """Ask for a pass that has not begun yet; ``None`` when no loop runs."""
        with self._lock:
            if not self._open:
                return None
            if self._next is None:
                self._next = SyncRequest()
            asked = self._next
        self._wake()
        return asked

    def take(self) -> SyncRequest | None:
        """What was asked for by now; the pass that begins answers it."""
        with self._lock:
            taken, self._next = self._next, None
        return taken

    def close(self, error: BaseException | None) -> None:
        """The loop has ended; whoever waits for a pass hears of it.

        Args:
            error: what ended the loop, ``None`` when it was asked to.
        """
        with self._lock:
            self._open = False
            left, self._next = self._next, None
        if left is not None:
            left.fail(error or NornmailError("the poller was stopped before it could look"))
