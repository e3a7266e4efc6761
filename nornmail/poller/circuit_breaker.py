"""Whether the handler, and not the messages, is the trouble (rule 3 of the contract).

Pure but for what it remembers: it is told of outcomes and instants, and asked what may be tried.
"""

from __future__ import annotations

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

    It is told of every outcome, and asked before new mail is claimed. Instants are monotonic
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

    def failed(self, delivery_id: str, now: float) -> None:
        """An attempt failed at ``now``; while failing it was a probe."""
        was_failing = self.failing()
        self._probes = self._probes + 1 if was_failing else 0
        self._failed_in_a_row.add(delivery_id)
        self._next_probe = now + probe_delay(self._probes)
        self._half_open = False
        if was_failing:
            self._probed.add(delivery_id)

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
        return self._half_open or not self.failing()

    def until_probe(self, now: float) -> float:
        """Seconds until one message may be tried while failing, 0.0 when it may be now."""
        return max(0.0, self._next_probe - now)
