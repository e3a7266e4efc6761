"""Faults of a connection as a whole: how it begins, how long it lasts, what it offers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from nornmail.testing.fault_plan import Fault


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
class ConnectionLimit(Fault):
    """Refuse connections beyond a number that are open at once. It fires always, unless told.

    Args:
        limit: how many may be open.
        how: ``bye`` greets with BYE and the text; ``login`` greets and answers the login NO with
            it; ``close`` hangs up without a word; ``silent`` never greets.
        text: what is said.
    """

    limit: int = 1
    how: Literal["bye", "login", "close", "silent"] = "bye"
    text: bytes = b"[UNAVAILABLE] Too many simultaneous connections"
    times: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class NoCapability(Fault):
    """The next connection lacks these capabilities, and their commands are BAD on it.

    For all connections, take them out of ``server.capabilities``.

    Args:
        names: with blanks between them, as ``"UIDPLUS MOVE"``.
    """

    names: str = "UIDPLUS"
