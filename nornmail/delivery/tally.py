"""What a pass did, counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """What a poll did so far; :class:`~nornmail.poller.poller.PollResult` is made from it.

    ``new_in`` counts, for each inbox, what it was handed for the first time.
    """

    new: int = 0
    handled: int = 0
    failed: int = 0
    passed_over: int = 0
    gone: int = 0
    new_in: Counter[str] = field(default_factory=Counter)

    @property
    def progress(self) -> int:
        """A figure that rises whenever anything came to an end."""
        return self.new + self.handled + self.failed + self.passed_over + self.gone
