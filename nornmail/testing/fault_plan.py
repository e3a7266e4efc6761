"""Faults: the fields of all of them, those that both protocols have, and the plan of a server.

A fault checks its arguments when it is made, since one that can never fire makes a test pass for
nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

MAX_UID = 2**32 - 1
"""The largest UID and UIDVALIDITY (RFC 3501, nz-number)."""


def suggestion(name: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"``, or all known names where none is near."""
    names = sorted(known)
    folded = {other.casefold(): other for other in names}
    near = get_close_matches(name.casefold(), folded, n=1)
    return f"; did you mean {folded[near[0]]!r}?" if near else f"; use {', '.join(names)}"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """Base class of the faults.

    Args:
        times: how often it fires; None means at every match.
        on_nth: the match at which it fires first, counted from 1 since it was added.
        optional: whether a test may end without its having fired. Otherwise the end of the server
            is an error then.

    Raises:
        ValueError: an argument has a value that no server knows.
        TypeError: an argument is of the wrong type.
    """

    times: int | None = 1
    on_nth: int = 1
    optional: bool = False

    def __post_init__(self) -> None:
        kind = type(self).__name__
        for name, types in _argument_types(type(self)).items():
            value = getattr(self, name)
            if bytes in types and isinstance(value, str):
                object.__setattr__(self, name, value.encode())
            elif choices := [word for word in types if isinstance(word, str)]:
                if value not in choices:
                    raise ValueError(f"{kind}: {name}={value!r}{suggestion(str(value), choices)}")
            elif not any(_is_a(value, allowed) for allowed in types):
                words = " or ".join(_described(allowed) for allowed in types)
                raise TypeError(f"{kind}: {name} must be {words}, not {value!r}")
            elif isinstance(value, int) and value < (least := _LEAST.get(name, value)):
                raise ValueError(f"{kind}: {name} must be {least} or more, not {value}")


_LEAST = dict.fromkeys(("times", "on_nth", "uid", "other_uid", "value", "chunk"), 1)
_LEAST |= dict.fromkeys(("after_bytes", "limit"), 0)
"""The least value of each number."""


def _argument_types(kind: type[Fault]) -> dict[str, tuple[Any, ...]]:
    """The types that each argument may have; the words of a Literal stand for themselves."""
    hints = get_type_hints(kind)
    return {name: _alternatives(hint) for name, hint in hints.items()}


def _alternatives(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return (hint,) if get_origin(hint) is not None and callable(hint) else get_args(hint) or (hint,)


def _is_a(value: object, kind: Any) -> bool:
    if get_origin(kind) is not None:
        return callable(value)
    if kind is float:
        kind = (int, float)
    # True is an int, and no number of octets.
    return isinstance(value, kind) and (isinstance(value, bool) <= (kind is bool))


def _described(kind: Any) -> str:
    if kind is NoneType:
        return "None"
    return "a function" if get_origin(kind) is not None else str(kind.__name__)


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


AnyFault = TypeVar("AnyFault", bound=Fault)


class _Armed:
    """A fault, how often it has matched, and whether it has fired."""

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
        """Arm these faults, for live connections too.

        Raises:
            TypeError: one is not a fault, as a class that was not called.
        """
        candidates: list[object] = [*faults]
        for other in candidates:
            if not isinstance(other, Fault):
                hint = f": call it, {other.__name__}(...)" if isinstance(other, type) else ""
                raise TypeError(f"{other!r} is not a fault{hint}")
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

    @property
    def never_fired(self) -> list[Fault]:
        """The armed faults that have not fired at all, but for the optional ones."""
        with self._lock:
            return [
                armed.fault
                for armed in self._armed
                if not armed.fault.optional and armed.seen < armed.fault.on_nth
            ]

    def check_fired(self) -> None:
        """Raise AssertionError if a fault has never fired, and disarm all."""
        silent = self.never_fired
        self.clear()
        if silent:
            raise AssertionError(
                "faults that never fired, so the test proves nothing about them: "
                + ", ".join(map(repr, silent))
                + " (set optional=True to allow this)"
            )

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
