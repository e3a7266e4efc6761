"""What a mailer is doing, for whoever asks: readable at any time and from any thread."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nornmail.clock import Clock, instant


class MailerState(StrEnum):
    """What a mailer is doing."""

    STOPPED = "stopped"
    """Nothing sends from the outbox here; letters wait."""
    IDLE = "idle"
    """Nothing is due."""
    SENDING = "sending"
    """It hands letters in."""
    LIMITED = "limited"
    """The limit per minute or hour is reached; letters wait."""
    BACKOFF = "backoff"
    """The server cannot be reached; it is tried again."""
    AUTH_FAILED = "auth_failed"
    """The server refused the credentials; they are tried again after a long wait."""
    THROTTLED = "throttled"
    """The server wants to be left alone; that is honoured."""
    STANDING_BY = "standing_by"
    """Another process sends from this outbox; this one waits to take over."""
    STORE_TROUBLE = "store_trouble"
    """The state store cannot be read or written; nothing is sent until it can."""


STUCK = frozenset({MailerState.AUTH_FAILED, MailerState.THROTTLED, MailerState.STORE_TROUBLE})
"""What does not pass within the time for which a person waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailerStatus:
    """What a mailer was doing at the instant of the question.

    Attributes:
        state: which of :class:`MailerState`; it compares equal to its text.
        since: when that began, in UTC.
        reason: why, for a person; ``""`` where the state says it all.
        queued: letters that wait, or are being sent.
        unknown: letters that may have been taken: a person has to say.
        failed: letters that nobody got and that were not dropped.
    """

    state: MailerState
    since: datetime
    reason: str = ""
    queued: int = 0
    unknown: int = 0
    failed: int = 0


class StatusTracker:
    """Where the sending thread writes what it is doing.

    Args:
        clock: for the time of changes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._note = (MailerState.STOPPED, clock.wall(), "")

    def set(self, state: MailerState, reason: str = "") -> None:
        """Write down what is being done from now on; a state that goes on keeps its time."""
        with self._lock:
            before, since, _ = self._note
            since = since if before is state else self._clock.wall()
            self._note = (state, since, reason)

    @property
    def state(self) -> MailerState:
        """What is being done."""
        return self._note[0]

    def read(self, *, queued: int, unknown: int, failed: int) -> MailerStatus:
        """What is being done, with the figures of the store."""
        state, since, reason = self._note
        return MailerStatus(
            state=state,
            since=instant(since),
            reason=reason,
            queued=queued,
            unknown=unknown,
            failed=failed,
        )
