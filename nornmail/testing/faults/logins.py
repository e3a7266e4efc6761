"""Faults of who may log in, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from nornmail.testing.fault_plan import Fault
from nornmail.testing.imap.faults import CommandFault


@dataclass(frozen=True)
class RejectLogin(Fault):
    """Answer NO to LOGIN or AUTHENTICATE, with this text and response code (None: no code)."""

    text: str = "Authentication failed."
    code: str | None = "AUTHENTICATIONFAILED"


@dataclass(frozen=True)
class ExpireToken(CommandFault):
    """The user's OAuth2 tokens expire: the connection is told BYE instead of acting.

    A token that a test adds to ``server.tokens()`` afterwards is good again.
    """

    text: bytes = b"Session invalidated - AccessTokenExpired"
