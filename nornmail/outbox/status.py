"""The state of a mailer, readable at any time and from any thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nornmail.clock import Clock, utc_datetime


class MailerState(StrEnum):
    """The states of a mailer."""

    STOPPED = "stopped"
    """This mailer sends nothing; queued messages wait."""
    IDLE = "idle"
    """Nothing is due."""
    SENDING = "sending"
    """It submits messages."""
    LIMITED = "limited"
    """The limit per minute or hour is reached; messages wait."""
    BACKOFF = "backoff"
    """The server cannot be reached; it is tried again."""
    AUTH_FAILED = "auth_failed"
    """The server refused the credentials; they are tried again after a long wait."""
    THROTTLED = "throttled"
    """The server asked for a pause."""
    STANDING_BY = "standing_by"
    """Another process sends from this outbox; this one waits to take over."""
    STORE_TROUBLE = "store_trouble"
    """The state store cannot be read or written; nothing is sent until it can."""


STUCK = frozenset({MailerState.AUTH_FAILED, MailerState.THROTTLED, MailerState.STORE_TROUBLE})
"""States that last longer than a person waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailerStatus:
    """The state of a mailer when it was asked for.

    Attributes:
        state: a :class:`MailerState`; it compares equal to its text.
        since: when that began, in UTC.
        reason: why, for a person; ``""`` where the state says it all.
        queued: messages that wait, or are being sent.
        unknown: messages that may have been sent: a person has to find out.
        failed: messages that no recipient got and that were not dropped.
        copy_error: why the last copy was not saved in the mailbox of sent mail; ``""`` if it was.
    """

    state: MailerState
    since: datetime
    reason: str = ""
    queued: int = 0
    unknown: int = 0
    failed: int = 0
    copy_error: str = ""


class StatusTracker:
    """Holds the state that the sending thread sets.

    Args:
        clock: for the time of changes.

    Attributes:
        copy_error: as of :class:`MailerStatus`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.copy_error = ""
        self._current = (MailerState.STOPPED, clock.wall(), "")

    def set(self, state: MailerState, reason: str = "") -> None:
        """Set the state; one that does not change keeps its time."""
        with self._lock:
            before, since, _ = self._current
            since = since if before is state else self._clock.wall()
            self._current = (state, since, reason)

    @property
    def state(self) -> MailerState:
        """The current state."""
        return self._current[0]

    @property
    def reason(self) -> str:
        """The reason of the current state; ``""`` where messages are sent, or nothing sends."""
        return self._current[2]

    def read(self, *, queued: int, unknown: int, failed: int) -> MailerStatus:
        """The current state, with the counts of the store."""
        state, since, reason = self._current
        return MailerStatus(
            state=state,
            since=utc_datetime(since),
            reason=reason,
            queued=queued,
            unknown=unknown,
            failed=failed,
            copy_error=self.copy_error,
        )
