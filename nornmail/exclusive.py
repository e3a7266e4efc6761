"""Who may work: one thread at a time in a poller, one poller of a process on a mailbox."""

from __future__ import annotations

import threading
from weakref import WeakValueDictionary

from nornmail.errors import ConfigurationError, HandlerError


class Turnstile:
    """Lets one thread work at a time, and refuses a handler that calls back into the poller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside: int | None = None

    def __enter__(self) -> None:
        me = threading.get_ident()
        if self._inside == me:
            raise HandlerError("a handler must not poll or close the poller that calls it")
        self._lock.acquire()
        self._inside = me

    def __exit__(self, *_exc: object) -> None:
        self._inside = None
        self._lock.release()


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
