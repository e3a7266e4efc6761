"""The faults a test can order, as values, and the plan that decides which of them fires now.

A fault fires ``times`` times (None: always), for the first time at the ``on_nth`` match. A test
adds it with ``server.faults.add(...)``; the session carries it out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeVar

IDLING = b"+ idling\r\n"
"""How the server answers IDLE at once."""

FetchFaultKind = Literal[
    "missing",
    "no_body",
    "nil",
    "empty",
    "short",
    "wrong_uid",
    "no_uid",
    "wrong_size",
    "twice",
    "placeholder",
]
"""What a FetchFault does; see there."""


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


@dataclass(frozen=True)
class CommandFault(Fault):
    """A fault of one command.

    Args:
        command: the command's name as ``"NOOP"`` or ``"UID FETCH"``, in any case; None is any.
            ``"DONE"`` is the end of an IDLE. To break an IDLE that has begun, let the answer to
            ``"IDLE"`` go on to its first line: ``Silent("IDLE", after_bytes=len(IDLING))``.
    """

    command: str | None = None

    def matches(self, name: str) -> bool:
        """Whether the fault is meant for the command of this (upper-case) name."""
        return self.command is None or self.command.upper() == name


@dataclass(frozen=True)
class Cut(CommandFault):
    """Drop the connection in or after the answer; the server has acted.

    Args:
        after_bytes: octets of the answer that are sent first; a shorter answer is sent whole.
        before: drop it before acting, with nothing sent.
        reset: drop it with a TCP reset, which may destroy what was sent, instead of an orderly end.
    """

    after_bytes: int = 0
    before: bool = False
    reset: bool = False


@dataclass(frozen=True)
class Answer(CommandFault):
    """Give this tagged answer instead of acting: ``Answer("STORE", b"NO [SERVERBUG] broken")``."""

    text: bytes = b"NO refused by the test"


@dataclass(frozen=True)
class Bye(CommandFault):
    """Send ``* BYE text`` instead of acting, and hang up."""

    text: bytes = b"going down"


@dataclass(frozen=True)
class Garbage(CommandFault):
    """Send these octets as they are instead of acting; the connection stays."""

    data: bytes = b"\x00\xff garbage\r\n"


@dataclass(frozen=True)
class Extra(CommandFault):
    """Send these octets (whole untagged lines, with CRLF) before the real answer."""

    lines: bytes = b"* OK by the way\r\n"


@dataclass(frozen=True)
class Trailing(CommandFault):
    """Send these octets right behind the tagged answer, in the same packet.

    On ``STARTTLS`` they are the plain text that an attacker slips in before TLS begins.
    """

    data: bytes = b"* OK injected\r\n"


@dataclass(frozen=True)
class Rewrite(CommandFault):
    """Act, then send what ``function`` makes of the whole answer."""

    function: Callable[[bytes], bytes] = field(default=bytes)


@dataclass(frozen=True)
class Silent(CommandFault):
    """Fall silent until the client hangs up or the server stops; what it says is ignored.

    Args:
        after_bytes: act, and send this many octets of the answer first; None is not to act.
    """

    after_bytes: int | None = None


@dataclass(frozen=True)
class Drip(CommandFault):
    """Send the answer in small pieces.

    Args:
        chunk: octets per piece.
        delay: seconds between two pieces. The wait ends when the server stops.
        hook: called after every piece, so that a test can move its clock.
    """

    chunk: int = 1
    delay: float = 0.0
    hook: Callable[[], object] | None = None


@dataclass(frozen=True)
class Call(CommandFault):
    """Run ``function`` before acting, so that the world changes at an exact point.

    It runs in the connection's thread, with no lock held. An exception in it ends the connection
    and comes out of ``MailServer.stop``.
    """

    function: Callable[[], object] = field(default=object)


@dataclass(frozen=True)
class CutTotal(Fault):
    """Drop the next connection once this many octets, counted from the greeting, were sent on it.

    Under TLS the octets are those of the plain text.
    """

    after_bytes: int = 0
    reset: bool = False


@dataclass(frozen=True)
class Greeting(Fault):
    """Greet with these octets; none at all for ``b""``. ``close`` hangs up after them."""

    data: bytes = b"* BYE too many connections\r\n"
    close: bool = False


@dataclass(frozen=True)
class PreAuth(Fault):
    """Greet with PREAUTH as this user (None: the only one)."""

    user: str | None = None


@dataclass(frozen=True)
class RejectLogin(Fault):
    """Answer NO to LOGIN or AUTHENTICATE, with this text and response code (None: no code)."""

    text: str = "Authentication failed."
    code: str | None = "AUTHENTICATIONFAILED"


@dataclass(frozen=True)
class FetchFault(Fault):
    """Spoil the answer to a FETCH that asks for one message's text, whole or in part.

    Args:
        uid: the message.
        kind: ``missing`` OK without the message; ``no_body`` the message without its text;
            ``nil`` the text is NIL; ``empty`` it is ``{0}``; ``short`` it is its first half, in a
            literal of that size; ``wrong_uid`` the UID is ``other_uid``; ``no_uid`` there is no
            UID; ``wrong_size`` RFC822.SIZE is one too many; ``twice`` the message is answered
            twice; ``placeholder`` the text is an invented one that says it is unavailable.
        other_uid: for ``wrong_uid``; None is ``uid + 1``.
        command: ``"FETCH"`` or ``"UID FETCH"``; None is both.
    """

    uid: int = 0
    kind: FetchFaultKind = "missing"
    other_uid: int | None = None
    command: str | None = None


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
