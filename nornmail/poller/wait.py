"""The wait between two polls: IDLE where the server has it, and the clock where not.

IDLE is a way to be woken and nothing else. A poll follows every wait, whatever ended it, and no
wait is longer than the poller's interval, so a server that forgets to tell costs time and no mail.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from nornmail.clock import Waker
from nornmail.errors import CommandRefused, ConnectionLost
from nornmail.poller.status import Context
from nornmail.retry import backoff

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection

log = logging.getLogger("nornmail.poller")

HASTY = 1.0
"""Seconds of an IDLE below which it is taken for hasty: a server that calls, or ends the IDLE, as
soon as it has begun would make us spin."""
HASTY_CALLS = 10
"""Hasty calls in a row after which nothing new was found, until each costs a pause. Another client
that marks a heap of messages causes some."""
HASTY_PAUSE = 5.0
"""Seconds of that pause."""
LOST_IDLES = 3
"""Connections lost in IDLE, in a row, until the server is polled instead for some time."""
MISTRUST = 600.0
"""Seconds of that time. Then IDLE is tried again: a restart may have repaired it."""


class Wait:
    """Waits, and keeps count of what IDLE is worth on this server.

    Args:
        renewal: seconds that one IDLE lasts at most.
    """

    def __init__(self, context: Context, waker: Waker, *, renewal: float, enabled: bool) -> None:
        self._clock = context.clock
        self._rng = context.rng
        self._waker = waker
        self._renewal = renewal
        self._enabled = enabled
        self._refused: Connection | None = None
        self._lost = 0
        self._trusted_at = 0.0
        self._hasty_calls = 0
        self._hasty = False

    def wait(self, connection: Connection | None, seconds: float, *, found_new: bool) -> bool:
        """Wait for ``seconds`` at most; shorter with IDLE when the server calls, or it is renewed.

        Args:
            connection: with the mailbox selected and nothing to back off from; ``None`` otherwise.

        Returns:
            Whether the connection, where there was one, is still good.
        """
        self._hasty_calls = self._hasty_calls + 1 if self._hasty and not found_new else 0
        self._hasty = False
        if seconds <= 0 or self._waker.awake:
            return True
        if connection is None or not self.may_idle(connection):
            self._pause(seconds)
            return True
        if self._hasty_calls >= HASTY_CALLS:
            self._pause(min(HASTY_PAUSE, seconds))
        return self._idle(connection, min(seconds, self._renewal))

    def may_idle(self, connection: Connection) -> bool:
        """Whether the next wait on this connection is an IDLE."""
        return (
            self._enabled
            and "IDLE" in connection.capabilities
            and connection is not self._refused
            and self._clock.monotonic() >= self._trusted_at
        )

    def _idle(self, connection: Connection, seconds: float) -> bool:
        begin = self._clock.monotonic()
        try:
            called = connection.idle(seconds, wake=self._waker)
        except CommandRefused as refused:
            log.info("%s; polling on this connection", refused)
            self._refused = connection
            self._pause(seconds)
            return True
        except ConnectionLost as lost:
            self._note_lost(lost, seconds)
            return False
        self._hasty = called and self._clock.monotonic() - begin < HASTY
        self._lost = 0
        return True

    def _note_lost(self, lost: ConnectionLost, seconds: float) -> None:
        """Reconnect at once after the first loss, as when a server restarts; wait after more."""
        self._lost += 1
        log.info("lost while idle: %s", lost)
        if self._lost >= LOST_IDLES:
            log.warning("%d connections were lost in IDLE in a row; polling instead", self._lost)
            self._trusted_at = self._clock.monotonic() + MISTRUST
        if self._lost > 1:
            self._pause(min(backoff(self._lost - 1, self._rng), seconds))

    def _pause(self, seconds: float) -> None:
        self._clock.wait(self._waker.event, seconds)
