"""Faults of one command's answer: it is cut, replaced, delayed, or followed by silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Self

from nornmail.testing.fault_plan import Fault

IDLING = b"+ idling\r\n"
"""How the server answers IDLE at once."""


@dataclass(frozen=True)
class CommandFault(Fault):
    """A fault of one command.

    Args:
        command: the command's name as ``"NOOP"`` or ``"UID FETCH"``, in any case; None is any.
            ``"DONE"`` is the end of an IDLE. To break an IDLE that has begun, let the answer to
            ``"IDLE"`` go on to its first line: ``Cut("IDLE", after_bytes=len(IDLING))``, or
            `Silent.in_idle`.
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

    def words(self) -> bytes:
        """What stands behind the tag."""
        return self.text


@dataclass(frozen=True)
class No(Answer):
    """Answer NO instead of acting: ``No("SELECT", b"[UNAVAILABLE] later")``."""

    text: bytes = b"refused by the test"

    def words(self) -> bytes:
        return b"NO " + self.text


@dataclass(frozen=True)
class Bad(Answer):
    """Answer BAD instead of acting."""

    text: bytes = b"not understood by the test"

    def words(self) -> bytes:
        return b"BAD " + self.text


@dataclass(frozen=True)
class Throttle(Answer):
    """Answer NO with the time to wait, as Exchange Online does.

    Args:
        text: the answer, NO included; the milliseconds stand in place of ``%d``.
        seconds: the time to wait that is named. The server itself waits for nothing.
    """

    text: bytes = b"NO Request is throttled. Suggested Backoff Time: %d milliseconds"
    seconds: float = 60.0

    def words(self) -> bytes:
        return self.text.replace(b"%d", b"%d" % round(self.seconds * 1000))


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

    @classmethod
    def in_idle(cls, *, times: int | None = 1, on_nth: int = 1) -> Self:
        """The connection dies in silence once the client idles: it is told that, and no more."""
        return cls("IDLE", after_bytes=len(IDLING), times=times, on_nth=on_nth)


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
