"""Retry and backoff: when a message is tried again or given up (rule 3), and when a server is.

Each kind of trouble with a server has a wait that grows and ends.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
    NornmailError,
    Throttled,
)
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
    """The schedule by which a message whose attempt failed is tried again.

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
    return entry._replace(
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
        available: whether its bytes are kept, or may still be on the server.
    """
    claimed = entry._replace(state=State.CLAIMED, changed_at=now)
    if not available:
        reason = f"{LOST}; before that: {entry.reason.removeprefix(f'{LOST}; before that: ')}"
        return claimed, claimed._replace(state=State.DEAD, reason=reason[:REASON_LENGTH])
    return claimed, claimed._replace(state=State.WAITING, attempts=0, due_at=now, reason=BY_HAND)


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


LONG_OUTAGE = 36
"""Probes, of some three hours, after which new messages are let in as well: five messages that no
handler can take look like an outage, and must not keep all other mail out for good."""


def probe_delay(probes: int) -> float:
    """Seconds before the next try while the handler seems to fail; it doubles."""
    return doubled(FIRST_PROBE, probes, LONGEST_PROBE)


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
        """Whether the handler seems to fail: nothing new is claimed, except as a probe."""
        return len(self._failed_in_a_row) >= OUTAGE_AFTER

    def succeeded(self) -> None:
        """Note that a message was handled, rejected or deferred: the handler works."""
        self._failed_in_a_row.clear()
        self._probed.clear()
        self._half_open = False
        self._probes = 0

    def failed(self, delivery_id: str, now: float, *, probe: bool = True) -> None:
        """Note that an attempt failed at ``now``.

        Args:
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
            self._half_open = self._is_long() and len(self._probed) % OUTAGE_AFTER == 0

    def let_in(self) -> bool:
        """Note that a new message is claimed; return whether it is one that is let in to probe."""
        half_open, self._half_open = self._half_open, False
        return half_open

    def undecided(self) -> None:
        """Note that the message that was let in says nothing of the handler."""
        self._half_open = True

    def was_probed(self, message: str) -> bool:
        """Whether this message was tried in the present round of probes."""
        return message in self._probed

    def end_probe_round(self, waiting: int, now: float) -> None:
        """Note that a round of probes ended: each of ``waiting`` different messages failed again.

        If there are too few of them to tell a handler that is down from messages that are poison,
        one new message is let in before the next round. After hours one is let in whatever their
        number, and within a long round after every five probes. If there are none, the handler is
        taken to work until new mail fails.
        """
        self._probed.clear()
        if not waiting:
            self.succeeded()
        elif waiting < OUTAGE_AFTER or self._is_long():
            self._half_open = True
            self._next_probe = now + probe_delay(self._probes)

    def _is_long(self) -> bool:
        return self._probes >= LONG_OUTAGE

    def allows(self) -> bool:
        """Whether a new message may be claimed: one while failing, else any."""
        return self._half_open or len(self._failed_in_a_row) < OUTAGE_AFTER

    def until_probe(self, now: float) -> float:
        """Seconds until one message may be tried while failing, 0.0 when it may be now."""
        return max(0.0, self._next_probe - now)


FIRST_BACKOFF = 1.0
"""Seconds after the first failed connection."""
LONGEST_BACKOFF = 300.0
"""Seconds: the setup guide's five minutes."""
REJECTED_BACKOFF = 300.0
"""Seconds after rejected credentials, from the first time on: providers block those who hammer."""
REJECTED_AT_FIRST = 3
"""Rejections that are followed by that wait before it doubles: a quarter of an hour for whoever is
just switching IMAP on, or for a provider's own trouble, which some call a wrong password."""
LONGEST_REJECTED = 3_600.0
"""Seconds after rejected credentials at most: 24 tries a day lock no account, and what a person
fixed on the server is noticed within the hour."""
LONGEST_HINT = 3_600.0
"""Seconds that a server may ask for and get. Exchange asks for five minutes at most; a slip in a
text must not silence a poller for days."""
LONGEST_SLOWED = 900.0
"""Seconds between two looks at most while the server does what it is asked and marks it as slowed
down: mail is then a quarter of an hour late, and comes."""
THROTTLE_WAITS: Mapping[str, tuple[float, float]] = {
    # Our own dead connections count until the server notices that they are, in minutes.
    "connections": (60.0, 900.0),
    # Budgets of commands fill up within minutes.
    "rate": (60.0, 1_800.0),
    # Budgets of octets are those of a day; Gmail's lock lasts an hour and more.
    "quota": (900.0, 3_600.0),
    # A server in trouble: as after a connection that failed, and never at once.
    "unavailable": (10.0, 300.0),
    # No licence, no scope, no mailbox: a person has to do something.
    "account": (300.0, 3_600.0),
}
"""Seconds after the first :class:`~nornmail.errors.Throttled` of each kind, and at most."""
STALLED_INTERVALS = 10.0
"""Poll intervals without a pass that succeeded before a poller counts as stalled: a restart of the
server takes less."""


def doubled(first: float, times: int, longest: float) -> float:
    """``first`` after it was doubled so many times, ``longest`` at most."""
    return min(first * 2.0 ** min(times, 30), longest)


def backoff(failures: int, rng: random.Random) -> float:
    """Seconds to wait after this many failed connections in a row: doubling, with jitter.

    The jitter takes up to half away, so that many pollers do not come back at the same instant,
    and the result is never above :data:`LONGEST_BACKOFF`.
    """
    return doubled(FIRST_BACKOFF, failures - 1, LONGEST_BACKOFF) * (0.5 + 0.5 * rng.random())


def rejected_wait(times: int) -> float:
    """Seconds to wait after credentials were rejected this many times in a row."""
    return doubled(REJECTED_BACKOFF, max(times - REJECTED_AT_FIRST, 0), LONGEST_REJECTED)


def throttled_wait(kind: str, times: int, hint: float, rng: random.Random) -> float:
    """Seconds to leave a server alone that throttled us this many times in a row.

    Args:
        kind: of :class:`~nornmail.errors.Throttled`.
        times: 1 or more.
        hint: seconds that the server asks for, 0.0 for none. They are waited for, up to
            :data:`LONGEST_HINT`; a hint that does not help is followed by longer waits.
        rng: adds up to a tenth, so that many pollers do not come back at the same instant.
    """
    if hint > 0:
        wait = max(min(hint, LONGEST_HINT), backoff(times, rng))
    else:
        first, longest = THROTTLE_WAITS.get(kind, THROTTLE_WAITS["rate"])
        wait = doubled(first, times - 1, longest)
    return wait * (1.0 + 0.1 * rng.random())


def slowed_interval(interval: float, passes: int) -> float:
    """Seconds between two polls after this many in a row that the server slowed down."""
    return max(interval, doubled(interval, passes, LONGEST_SLOWED))


class ServerBackoff:
    """Waits for a server: longer while one kind of trouble continues, then from the start."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._times: Counter[str] = Counter()
        self._slowed_passes = 0

    def after(self, trouble: NornmailError) -> float:
        """Seconds to wait after a poll that failed; each kind of ``trouble`` has its own count."""
        kind = trouble.kind if isinstance(trouble, Throttled) else type(trouble).__name__
        if isinstance(trouble, ConnectionLost | CommandRefused):
            kind = "backoff"  # a server that goes down refuses, hangs up and is not there, in turn
        self._times[kind] += 1
        times = self._times[kind]
        if isinstance(trouble, AuthenticationFailed):
            return rejected_wait(times)
        if isinstance(trouble, Throttled):
            return throttled_wait(kind, times, trouble.wait, self._rng)
        return backoff(times, self._rng)

    def recovered(self, interval: float, *, slowed: bool = False) -> float:
        """Seconds to wait after a poll that succeeded: ``interval``, or more if it was slowed."""
        self._times.clear()
        self._slowed_passes = self._slowed_passes + 1 if slowed else 0
        return slowed_interval(interval, self._slowed_passes)
