"""Polls that other threads ask of the loop; requests before one has begun share it."""

from __future__ import annotations

import threading
from collections.abc import Callable

from nornmail.errors import NornmailError
from nornmail.poller.handler import HandlerRunner, wait_unless_blocked
from nornmail.poller.status import PollStats


class SyncRequest:
    """A poll that another thread asked for, and how it ended."""

    def __init__(self) -> None:
        self._ended = threading.Event()
        self._stats = PollStats()
        self._error: BaseException | None = None

    def succeed(self, stats: PollStats) -> None:
        """Answer with what the poll did."""
        self._stats = stats
        self._ended.set()

    def fail(self, error: BaseException) -> None:
        """Answer that the poll failed, or was not made."""
        self._error = error
        self._ended.set()

    def wait(self, handler: HandlerRunner) -> PollStats:
        """Wait for the end of the poll.

        Args:
            handler: the poller's.

        Raises:
            BaseException: what ended the poll.
            HandlerError: a handler keeps it from beginning, and may itself wait for this thread.
        """
        wait_unless_blocked(self._ended, handler)
        if self._error is not None:
            raise self._error
        return self._stats


class SyncRequests:
    """The requests of other threads for a poll.

    Args:
        wake: ends the loop's wait.
    """

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
        """The loop has ended; whoever waits for a pass hears of it.

        Args:
            error: what ended the loop, ``None`` when it was asked to.
        """
        with self._lock:
            self._open = False
            left, self._next = self._next, None
        if left is not None:
            left.fail(error or NornmailError("the poller was stopped before it could look"))
