"""What makes one mail server talk otherwise than another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nornmail.testing.faults.plan import Fault


@dataclass(frozen=True, kw_only=True)
class Personality:
    """How a server greets, what it offers and when, which mailboxes an account has, and its habits.

    Args:
        greeting: what stands behind OK.
        greets_with_capabilities: whether they stand in the greeting.
        tells_capabilities: whether and where they are told at the login.
        before: the capabilities that are shown before the login, None for all.
        after: those that are shown afterwards, None for all but what serves the login.
        identity: the answer to ID.
        unknown: the answer to a command that is not there.
        delimiter: between the levels of mailbox names.
        prefix: what the name of every mailbox but INBOX begins with.
        mailboxes: what every account has besides INBOX, each with its attributes.
        needs_id: the answer to SELECT and EXAMINE where no ID was sent after the login; ``""``
            where none is needed.
        habits: faults that fire beside those that a test adds.
    """

    greeting: bytes = b"nornmail test server ready"
    greets_with_capabilities: bool = True
    tells_capabilities: Literal["in the answer", "before it", "not at all"] = "in the answer"
    before: frozenset[str] | None = None
    after: frozenset[str] | None = None
    identity: bytes = b'("name" "nornmail.testing")'
    unknown: str = "BAD Unknown command"
    delimiter: bytes = b"/"
    prefix: bytes = b""
    mailboxes: tuple[tuple[str, str], ...] = ()
    needs_id: str = ""
    habits: tuple[Fault, ...] = ()


PLAIN = Personality()
"""A server as the standards describe it."""
