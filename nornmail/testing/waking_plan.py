"""A plan of faults that wakes whoever waits for one to have fired."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from nornmail.testing.fault_plan import Fault, FaultPlan

F = TypeVar("F", bound=Fault)


class WakingPlan(FaultPlan):
    """A `FaultPlan` that tells when a fault fires.

    A fault that falls silent says nothing afterwards, so no line would wake a test that waits for
    ``server.faults.pending`` to be empty.

    Args:
        fired: called after the faults that fire now are taken, with no lock held.
    """

    def __init__(self, fired: Callable[[], object]) -> None:
        super().__init__()
        self._fired = fired

    def take(self, kind: type[F], matches: Callable[[F], bool]) -> list[F]:
        """The faults of this kind that fire now; each match is counted."""
        taken = super().take(kind, matches)
        if taken:
            self._fired()
        return taken
