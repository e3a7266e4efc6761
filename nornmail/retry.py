"""When a message is tried again, when it is given up, and when the handler is down (rule 3)."""

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
        delays: object = self.delays
        if not isinstance(delays, (tuple, list)):
            allowed = "must be a sequence of seconds, such as (60, 300)"
            raise ConfigurationError("delays", delays, allowed)
        for delay in delays:
            if not isinstance(delay, (int, float)) or not delay > 0:
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


OUTAGE_AFTER = 5
"""Different messages in a row whose failure means that the handler is down, not the messages."""
FIRST_PROBE = 5.0
"""Seconds until a handler that is taken to be down is tried again."""
LONGEST_PROBE = 300.0
"""Seconds between two probes at most: an outage's end is noticed within five minutes."""


def probe_delay(probes: int) -> float:
    """Seconds before the next try while the handler is taken to be down; it doubles."""
    return min(FIRST_PROBE * 2.0 ** min(probes, 30), LONGEST_PROBE)


class CircuitBreaker:
    """Whether the handler, and not the messages, is the trouble (rule 3 of the contract).

    It receives every outcome, and is asked before new mail is claimed. Instants are monotonic
    seconds.
    """

    def __init__(self) -> None:
        self._failed_in_a_row: set[str] = set()
        self._probed: set[str] = set()
        self._half_open = False
        self._probes = 0
        self._next_probe = 0.0

    def failing(self) -> bool:
        """The handler is taken to be down: nothing new is claimed, but what is let in."""
        return len(self._failed_in_a_row) >= OUTAGE_AFTER

    def succeeded(self) -> None:
        """A message was handled, rejected or deferred: the handler works."""
        self._failed_in_a_row.clear()
        self._probed.clear()
        self._half_open = False
        self._probes = 0

    def failed(self, delivery_id: str, now: float, *, probe: bool = True) -> None:
        """An attempt failed at ``now``.

        Args:
            delivery_id: of the message.
            now: monotonic seconds.
            probe: while failing it was a probe; else it began before that was known.
        """
        was_failing = self.failing()
        self._failed_in_a_row.add(delivery_id)
        if was_failing and not probe:
            return
        self._probes = self._probes + 1 if was_failing else 0
        self._next_probe = now + probe_delay(self._probes)
        self._half_open = False
        if was_failing:
            self._probed.add(delivery_id)

    def let_in(self) -> bool:
        """Note that a new message is claimed; return whether it is one that is let in to probe."""
        half_open, self._half_open = self._half_open, False
        return half_open

    def undecided(self) -> None:
        """The message that was let in says nothing of the handler: another may be."""
        self._half_open = True

    def was_probed(self, message: str) -> bool:
        """Whether this message was tried in the present round of probes."""
        return message in self._probed

    def end_probe_round(self, waiting: int, now: float) -> None:
        """A round of probes is over: each of ``waiting`` different messages failed again.

        If there are too few of them to tell a handler that is down from messages that are poison,
        one new message is let in before the next round. If there are none, the handler is taken to
        work until new mail fails.
        """
        self._probed.clear()
        if not waiting:
            self.succeeded()
        elif waiting < OUTAGE_AFTER:
            self._half_open = True
            self._next_probe = now + probe_delay(self._probes)

    def allows(self) -> bool:
        """Whether a new message may be claimed: one while failing, else any."""
        return self._half_open or len(self._failed_in_a_row) < OUTAGE_AFTER

    def until_probe(self, now: float) -> float:
        """Seconds until one message may be tried while failing, 0.0 when it may be now."""
        return max(0.0, self._next_probe - now)
