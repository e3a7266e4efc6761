"""How long a server is left alone: each kind of trouble has a wait that grows and ends."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping

from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConnectionLost,
    NornmailError,
    Throttled,
)

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
mended on the server is noticed within the hour."""
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


def backoff(failures: int, rng: random.Random) -> float:
    """Seconds to wait after this many failed connections in a row: doubling, with jitter.

    The jitter takes up to half away, so that many pollers do not come back at the same instant,
    and the result is never above :data:`LONGEST_BACKOFF`.
    """
    doubled = FIRST_BACKOFF * 2.0 ** min(failures - 1, 30)
    return min(doubled, LONGEST_BACKOFF) * (0.5 + 0.5 * rng.random())


def rejected_wait(times: int) -> float:
    """Seconds to wait after credentials were rejected this many times in a row."""
    doublings = min(max(times - REJECTED_AT_FIRST, 0), 30)
    return min(REJECTED_BACKOFF * 2.0**doublings, LONGEST_REJECTED)


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
        wait = min(first * 2.0 ** min(times - 1, 30), longest)
    return wait * (1.0 + 0.1 * rng.random())


def slowed_interval(interval: float, passes: int) -> float:
    """Seconds between two looks after this many passes in a row that the server slowed down."""
    return max(interval, min(interval * 2.0 ** min(passes, 30), LONGEST_SLOWED))


class ServerBackoff:
    """How long a server is left alone: longer while one kind of trouble goes on, then anew.

    Args:
        rng: for jitter.
    """

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._times: Counter[str] = Counter()
        self._slowed_passes = 0

    def after(self, trouble: NornmailError) -> float:
        """Seconds to wait after a pass that ended with ``trouble``; each kind has its own count."""
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
        """Seconds to wait after a pass that succeeded: ``interval``, or more if it was slowed."""
        self._times.clear()
        self._slowed_passes = self._slowed_passes + 1 if slowed else 0
        return slowed_interval(interval, self._slowed_passes)
