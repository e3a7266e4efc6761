"""Ending the wait of another thread, for time or for sockets, from any thread."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable


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
        """Give the descriptors back. Harmless twice; the waker can be used again."""
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
