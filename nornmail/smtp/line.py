"""The one connection to the server: made when it is needed, used again, closed when it is idle."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress

from nornmail.clock import Clock
from nornmail.errors import NornmailError
from nornmail.smtp.session import Session

log = logging.getLogger("nornmail.smtp")

ASK_AFTER = 5.0
"""Seconds without use after which a connection is asked whether it still lives (NOOP) before it is
used again: servers and what stands in between hang up in silence."""
CLOSE_AFTER = 30.0
"""Seconds without use after which it is closed: a connection is a slot of the server's, and Postfix
counts those of a client."""

OpenSession = Callable[[], Session]


class Line:
    """Keeps a session. One thread at a time.

    Args:
        open_session: makes one; see :meth:`nornmail.smtp.session.Session.open`.
        clock: for how long it was idle.
    """

    def __init__(self, open_session: OpenSession, clock: Clock) -> None:
        self._open = open_session
        self._clock = clock
        self._session: Session | None = None
        self._used_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether there is a session."""
        return self._session is not None

    def ready(self) -> Session:
        """A session that can be used: the one that there is, if it still lives, else a new one.

        Raises:
            NornmailError: as ``open_session`` does.
        """
        idle = self._clock.monotonic() - self._used_at
        if self._session is not None and idle >= CLOSE_AFTER:
            self.close()
        if self._session is not None and idle >= ASK_AFTER and not self._session.alive():
            log.debug("the connection had died while it was idle")
            self.drop()
        if self._session is None:
            self._session = self._open()
        self._used_at = self._clock.monotonic()
        return self._session

    def used(self, *, usable: bool) -> None:
        """Note that the session was used, and whether it can be again."""
        self._used_at = self._clock.monotonic()
        if not usable:
            self.drop()

    def close_if_idle(self) -> None:
        """Close the session if nobody used it for some time."""
        if self._session is not None and self.idle_left() <= 0:
            self.close()

    def idle_left(self) -> float:
        """Seconds until the session is closed if nobody uses it."""
        return self._used_at + CLOSE_AFTER - self._clock.monotonic()

    def drop(self) -> None:
        """Let go of a session that is of no use."""
        self.close()

    def close(self) -> None:
        """Close the session, if there is one."""
        session, self._session = self._session, None
        if session is not None:
            with suppress(NornmailError):  # nothing depends on a good-bye
                session.close()
