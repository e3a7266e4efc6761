"""How long something may take in all, however often it makes a little progress."""

from __future__ import annotations

from nornmail.clock import Clock


class Deadline:
    """An instant on the monotonic clock.

    Args:
        clock: the clock.
        seconds: from now.
    """

    __slots__ = ("_at", "_clock")

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds that are left, more than 0.

        Raises:
            TimeoutError: none are.
        """
        left = self._at - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("the deadline passed")
        return left
