"""What every fault has, and the plan that decides which of them fires now."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What every fault has.

    Args:
        times: how often it fires; None means at every match.
        on_nth: the match at which it fires first, counted from 1 since it was added.
    """

    times: int | None = 1
    on_nth: int = 1

    def __post_init__(self) -> None:
        if self.on_nth < 1 or (self.times is not None and self.times < 1):
            raise ValueError("times and on_nth count from 1")


AnyFault = TypeVar("AnyFault", bound=Fault)


class _Armed:
    """A fault and how often it has matched."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0

    def fires(self) -> bool:
        """Count one match; whether the fault fires at it."""
        self.seen += 1
        return self.seen >= self.fault.on_nth

    def spent(self) -> bool:
        """Whether it will never fire again."""
        fault = self.fault
        return fault.times is not None and self.seen >= fault.on_nth + fault.times - 1


class FaultPlan:
    """The faults that are still to come, in the order in which they were added. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._armed: list[_Armed] = []

    def add(self, *faults: Fault) -> None:
        """Arm these faults, for live connections too."""
        with self._lock:
            self._armed.extend(_Armed(fault) for fault in faults)

    def clear(self) -> None:
        """Disarm every fault."""
        with self._lock:
            self._armed.clear()

    @property
    def pending(self) -> list[Fault]:
        """The faults that can still fire: a test asserts that it is empty at its end."""
        with self._lock:
            return [armed.fault for armed in self._armed]

    def holds(self, kind: type[Fault]) -> bool:
        """Whether a fault of this kind is armed, so that a large FETCH need not ask per message."""
        with self._lock:
            return any(isinstance(armed.fault, kind) for armed in self._armed)

    def take(self, kind: type[AnyFault], matches: Callable[[AnyFault], bool]) -> list[AnyFault]:
        """The faults of this kind that fire now; each match is counted."""
        taken: list[AnyFault] = []
        with self._lock:
            for armed in self._armed:
                fault = armed.fault
                if isinstance(fault, kind) and matches(fault) and armed.fires():
                    taken.append(fault)
            self._armed = [armed for armed in self._armed if not armed.spent()]
        return taken


# ---- A plan of faults that wakes whoever waits for one to have fired.

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
