"""Faults: the fields of all of them, those that both protocols have, and the plan of a server."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Base class of the faults.

    Args:
        times: how often it fires; None means at every match.
        on_nth: the match at which it fires first, counted from 1 since it was added.
    """

    times: int | None = 1
    on_nth: int = 1

    def __post_init__(self) -> None:
        if self.on_nth < 1 or (self.times is not None and self.times < 1):
            raise ValueError("times and on_nth count from 1")


# ---- The faults that both protocols have; each gives them its own way to say where they fire.


@dataclass(frozen=True)
class CutTotal(Fault):
    """Drop the next connection once this many octets, counted from the greeting, were sent on it.

    Under TLS the octets are those of the plain text.

    Args:
        after_bytes: octets that are sent first.
        reset: drop it with a TCP reset instead of an orderly end.
    """

    after_bytes: int = 0
    reset: bool = False


@dataclass(frozen=True)
class Garbage(Fault):
    """Send these octets as they are instead of an answer; the connection stays."""

    data: bytes = b"\x00\xff garbage\r\n"


@dataclass(frozen=True)
class Extra(Fault):
    """Act, and send these octets (whole lines, with CRLF) before the real answer."""

    data: bytes


@dataclass(frozen=True)
class Trailing(Fault):
    """Act, and send these octets right behind the real answer, in the same packet.

    At STARTTLS they are the plain text that an attacker slips in before TLS begins.
    """

    data: bytes


@dataclass(frozen=True)
class Rewrite(Fault):
    """Act, and send what ``function`` makes of the whole answer."""

    function: Callable[[bytes], bytes] = field(default=bytes)


@dataclass(frozen=True)
class Drip(Fault):
    """Act, and send the answer in small pieces.

    Args:
        chunk: octets per piece.
        delay: seconds between two pieces. The wait ends when the server stops.
        hook: called after every piece, so that a test can move its clock.
    """

    chunk: int = 1
    delay: float = 0.0
    hook: Callable[[], object] | None = None


@dataclass(frozen=True)
class Call(Fault):
    """Run ``function`` before acting, so that the world changes at an exact point.

    It runs in the connection's thread, with no lock held. An exception in it ends the connection
    and comes out of ``MailServer.stop``.
    """

    function: Callable[[], object] = field(default=object)


# ---- The plan.

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
    """The faults that are still to come, in the order in which they were added. Thread-safe.

    Args:
        fired: called after faults have fired, with no lock held. A fault that falls silent writes
            no line that would wake a test which waits for ``server.faults.pending`` to be empty.
    """

    def __init__(self, fired: Callable[[], object] = bool) -> None:
        self._fired = fired
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
        if taken:
            self._fired()
        return taken
