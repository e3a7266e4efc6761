"""Who may work: one thread at a time in a poller, one poller of a process on a mailbox."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from weakref import WeakValueDictionary

from nornmail.errors import ConfigurationError, HandlerError


class Turnstile:
    """Lets one thread work at a time, in the order in which they came.

    A handler that calls back into the poller is refused.

    Args:
        ring: called when a thread has to wait, so that one inside that merely waits comes out.
        called_back: whether whoever asks is in a handler of the poller.
    """

    def __init__(
        self,
        ring: Callable[[], object] = object,
        called_back: Callable[[], bool] = lambda: False,
    ) -> None:
        self._ring = ring
        self._called_back = called_back
        self._lock = threading.Lock()
        self._queue: deque[threading.Event] = deque()
        self._inside: int | None = None

    def __enter__(self) -> None:
        me = threading.get_ident()
        if self._inside == me or self._called_back():
            raise HandlerError("a handler must not poll or close the poller that calls it")
        turn = threading.Event()
        with self._lock:
            self._queue.append(turn)
            first = self._queue[0] is turn
        if not first:
            try:
                self._ring()
                turn.wait()
            except BaseException:
                self._leave(turn)
                raise
        self._inside = me

    def __exit__(self, *_exc: object) -> None:
        self._inside = None
        self._leave(self._queue[0])

    def _leave(self, turn: threading.Event) -> None:
        """Step out of the queue, and let in whoever is the first now."""
        with self._lock:
            self._queue.remove(turn)
            if self._queue:
                self._queue[0].set()


class Running:
    """The pollers of this process that work: two on one mailbox would be a mistake."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pollers: WeakValueDictionary[object, object] = WeakValueDictionary()

    def enter(self, key: object, poller: object) -> None:
        """Note that ``poller`` works on ``key``.

        Raises:
            ConfigurationError: another poller of this process does.
        """
        with self._lock:
            if self._pollers.setdefault(key, poller) is not poller:
                raise ConfigurationError(
                    "account",
                    str(key),
                    "another poller of this process works on this account and mailbox already",
                )

    def leave(self, poller: object) -> None:
        """Note that ``poller`` works no more."""
        with self._lock:
            for key in [key for key, one in self._pollers.items() if one is poller]:
                del self._pollers[key]


RUNNING = Running()
