"""Clocks, waits, deadlines and random numbers, as arguments: tests do not wait, and runs repeat."""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, Protocol, TypeVar


class Readable(Protocol):
    """An object that can be waited for: a socket, or anything with the descriptor of one."""

    def fileno(self) -> int:
        """The descriptor."""


class Clock(Protocol):
    """The clocks and the waits that the library uses."""

    def wall(self) -> float:
        """Seconds since 1970 UTC: for facts that are stored. It may jump."""

    def monotonic(self) -> float:
        """Seconds since some start: for waits and deadlines. It never jumps."""

    def wait(self, event: threading.Event, seconds: float) -> None:
        """Return after ``seconds``, or as soon as ``event`` is set."""

    def select(self, readers: Sequence[Readable], seconds: float) -> None:
        """Return after ``seconds``, or as soon as one of ``readers`` has something to read."""


class SystemClock:
    """The machine's own clocks."""

    wall = staticmethod(time.time)
    monotonic = staticmethod(time.monotonic)

    def wait(self, event: threading.Event, seconds: float) -> None:
        event.wait(seconds)

    def select(self, readers: Sequence[Readable], seconds: float) -> None:
        # Not select.select(), which takes no descriptor above 1023 on most systems.
        with selectors.DefaultSelector() as selector:
            for reader in readers:
                selector.register(reader.fileno(), selectors.EVENT_READ)
            selector.select(max(seconds, 0.0))


def system_random() -> random.Random:
    """A source of random numbers for jitter; nothing secret is made from it."""
    return random.Random()


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def utc_datetime(seconds: float) -> datetime:
    """Seconds since 1970 UTC as a datetime; also before 1970, where some systems refuse."""
    return _EPOCH + timedelta(seconds=seconds)


class Deadline:
    """An instant on the monotonic clock that bounds a whole exchange, however it drips in."""

    __slots__ = ("_at", "_clock")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds that are left, more than 0.

        Raises:
            TimeoutError: none are.
        """
        left = self._at - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left


StateT = TypeVar("StateT", bound=str)


class StatusTracker(Generic[StateT]):
    """A state, since when it lasts and why: set by the thread that works, read by any other."""

    def __init__(self, clock: Clock, state: StateT, reason: str = "") -> None:
        self._clock = clock
        self._lock = threading.Lock()
        # Replaced as a whole, so that no reader sees half of it.
        self._current = (state, clock.wall(), reason)

    def set(self, state: StateT, reason: str = "") -> None:
        """Enter a state; one that continues keeps its time."""
        with self._lock:
            before, since, _ = self._current
            since = since if before is state else self._clock.wall()
            self._current = (state, since, reason)

    @property
    def state(self) -> StateT:
        """The present state."""
        return self._current[0]

    @property
    def reason(self) -> str:
        """The reason, for a person; ``""`` where the state says it all."""
        return self._current[2]

    def read(self) -> dict[str, Any]:
        """``state``, ``since`` (in UTC) and ``reason``, of one moment."""
        state, since, reason = self._current
        return {"state": state, "since": utc_datetime(since), "reason": reason}


class Waker:
    """Ends a wait early.

    A wait for time alone looks at :attr:`event`; a wait for sockets as well takes the waker itself
    among what it selects. If no thread waits, the next wait ends at once, so nothing is missed
    between two waits.

    The sockets are made at the first :meth:`fileno`, so a waker that is only ever waited for by
    its event costs no descriptor.

    Attributes:
        event: set from :meth:`wake` to :meth:`clear`.
        on_wake: called when the bell rings, for those who wait for many bells.
    """

    def __init__(self) -> None:
        self.event = threading.Event()
        self.on_wake: Callable[[], object] | None = None
        # Reentrant: a signal's handler may wake while its own thread is inside one of these.
        self._lock = threading.RLock()
        self._ends: tuple[socket.socket, socket.socket] | None = None

    @property
    def awake(self) -> bool:
        """Whether :meth:`wake` was called since the last :meth:`clear`."""
        return self.event.is_set()

    def wake(self) -> None:
        """End the wait that is under way, or the next one. From any thread; never blocks."""
        with self._lock:
            if self.awake:
                return
            self.event.set()
            self._ring()
        if self.on_wake is not None:
            self.on_wake()

    def clear(self) -> None:
        """Reset. The waiting thread calls it before it looks for what it was woken for."""
        with self._lock:
            self.event.clear()
            if self._ends is not None:
                self._drain(self._ends[0])

    def fileno(self) -> int:
        """A descriptor that can be read from until :meth:`clear`."""
        with self._lock:
            if self._ends is None:
                self._ends = socket.socketpair()
                for end in self._ends:
                    end.setblocking(False)
                if self.awake:
                    self._ring()
            return self._ends[0].fileno()

    def close(self) -> None:
        """Close the descriptors. Harmless twice; the waker can be used again."""
        with self._lock:
            ends, self._ends = self._ends, None
        for end in ends or ():
            end.close()

    def _ring(self) -> None:
        if self._ends is not None:
            self._ends[1].send(b"!")  # never full: one octet at most is under way

    @staticmethod
    def _drain(sock: socket.socket) -> None:
        try:
            sock.recv(16)
        except BlockingIOError:
            return  # there was no wake
