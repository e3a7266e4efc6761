"""What makes one mail server talk otherwise than another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nornmail.testing.fault_plan import Fault


def _refuse_nothing(_: bytes) -> str:
    return ""


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
        window: how many of its newest messages a mailbox shows when it is opened; older ones slide
            in as mail goes. None is all.
        ghost: the message that is given for one which another session has removed; ``b""`` is none.
        leaves_out: items that a FETCH leaves out of its answer, as ``RFC822``.
        numbers_newest_first: whether the first login gives the UIDs anew, the newest message first.
        refuse: the answer to a command, which is given without its tag, or ``""`` to carry it out.
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
    window: int | None = None
    ghost: bytes = b""
    leaves_out: frozenset[bytes] = frozenset()
    numbers_newest_first: bool = False
    refuse: Callable[[bytes], str] = _refuse_nothing
    habits: tuple[Fault, ...] = ()


PLAIN = Personality()
"""A server as the standards describe it."""
