"""When a message is tried again, and when it is given up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nornmail.errors import ConfigurationError
from nornmail.model import Entry, State

REASON_LENGTH = 2_000
"""Characters of a reason that are kept: the exception's text and its last frames."""
LONGEST_DEFER = 28_800.0
"""Seconds that a handler may put a message off for, whatever the policy: its default longest."""
BY_HAND = "retry requested"
"""The reason of a dead message that is to be tried again."""
LOST = "retry requested, but the message is neither stored nor on the server any more"
"""The reason of a dead message that cannot be tried again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """When a message whose attempt failed is tried again.

    Attributes:
        delays: seconds after the first failed attempt, the second, and so on. When they are used
            up the next failure makes the message dead.

    Raises:
        ConfigurationError: a delay is not above zero.
    """

    delays: tuple[float, ...] = (60.0, 300.0, 1_800.0, 7_200.0, 28_800.0)

    def __post_init__(self) -> None:
        for delay in self.delays:
            if not delay > 0:
                raise ConfigurationError("retry", delay, "each delay must be above 0 seconds")

    @property
    def longest(self) -> float:
        """The longest wait in seconds, a handler's :class:`~nornmail.errors.Defer` included."""
        return max(LONGEST_DEFER, *self.delays, 0.0)

    def after(self, failures: int) -> float | None:
        """Seconds to wait after this many failed attempts, ``None`` when it is time to give up."""
        return self.delays[failures - 1] if failures <= len(self.delays) else None


def after_failure(entry: Entry, reason: str, retry: RetryPolicy, now: float) -> Entry:
    """The entry after an attempt that failed and counts: it waits for the next one, or is dead."""
    failures = entry.attempts + 1
    delay = retry.after(failures)
    return replace(
        entry,
        state=State.DEAD if delay is None else State.WAITING,
        attempts=failures,
        due_at=0.0 if delay is None else now + delay,
        reason=reason[:REASON_LENGTH],
        changed_at=now,
    )


def revived(entry: Entry, now: float, *, available: bool) -> tuple[Entry, Entry]:
    """The two steps of a retry request: claimed, then waiting and due now.

    Its attempts are counted anew. A message that is neither kept nor on the server is dead again,
    with the reason in front of the old one.

    Args:
        entry: the dead one.
        now: seconds since 1970 UTC.
        available: whether its bytes are kept, or may still be on the server.
    """
    claimed = replace(entry, state=State.CLAIMED, changed_at=now)
    if not available:
        reason = f"{LOST}; before that: {entry.reason.removeprefix(f'{LOST}; before that: ')}"
        return claimed, replace(claimed, state=State.DEAD, reason=reason[:REASON_LENGTH])
    return claimed, replace(claimed, state=State.WAITING, attempts=0, due_at=now, reason=BY_HAND)


def is_due(due_at: float, now: float, longest: float) -> bool:
    """Whether a waiting entry may be tried at ``now`` (seconds since 1970 UTC).

    A due time further ahead than the longest delay was written by a clock that ran ahead: it is
    due.
    """
    return due_at <= now or due_at > now + longest


def until_due(due_at: float, now: float, longest: float) -> float:
    """Seconds until a waiting entry is due, 0.0 if it is."""
    return 0.0 if is_due(due_at, now, longest) else due_at - now
