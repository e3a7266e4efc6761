"""What a command is to the session: who carries it out, and when it is allowed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from nornmail.testing.imap.grammar import Cursor

if TYPE_CHECKING:
    from nornmail.testing.imap.session import Session

When = Literal["any", "not authenticated", "authenticated", "selected"]
"""The states of RFC 3501, section 3. Authenticated includes selected."""


class No(Exception):
    """The command failed; it is answered NO with this text, response code included."""


Handler = Callable[["Session", bytes, Cursor], str]
"""Carries a command out. Gets the session, the tag and the arguments; writes untagged lines into
the session's connection; returns the tagged answer's text, or "" when it has written the whole
answer; raises BadSyntax or No."""


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        handler: carries it out.
        when: the state it is allowed in.
        capability: the capability it needs, None for those of the base protocol.
        expunges: whether EXPUNGE may be told at its end (RFC 3501, 7.4.1).
        arrivals: whether new messages are taken in before it, so that it sees them.
    """

    handler: Handler
    when: When
    capability: str | None = None
    expunges: bool = True
    arrivals: bool = False
