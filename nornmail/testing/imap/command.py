"""A command of the server: its handler, and the state it is allowed in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from nornmail.testing.imap.client import Client
from nornmail.testing.imap.grammar import Cursor

When = Literal["any", "not authenticated", "authenticated", "selected"]
"""The states of RFC 3501, section 3. Authenticated includes selected."""


class No(Exception):
    """The command failed; it is answered NO with this text, response code included."""


Handler = Callable[[Client, bytes, Cursor], str]
"""Carries a command out. Gets the client, the tag and the arguments; writes untagged lines into
the client's connection; returns the tagged answer's text, or "" when it has written the whole
answer; raises BadSyntax or No."""


@dataclass(frozen=True)
class Command:
    """One command.

    Args:
        handler: carries it out.
        when: the state it is allowed in.
        capability: the capability it needs, None for those of the base protocol.
        expunges: whether EXPUNGE may be sent at its end (RFC 3501, 7.4.1).
        arrivals: whether new messages are taken in before it, so that it sees them.
    """

    handler: Handler
    when: When
    capability: str | None = None
    expunges: bool = True
    arrivals: bool = False

    def allowed(self, client: Client) -> bool:
        """Whether the client has come as far as the command needs."""
        return {
            "any": True,
            "not authenticated": client.account is None,
            "authenticated": client.account is not None,
            "selected": client.view is not None,
        }[self.when]
