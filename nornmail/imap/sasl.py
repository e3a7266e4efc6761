"""What is said within AUTHENTICATE (RFC 3501, 6.2.2): the messages of each mechanism."""

from __future__ import annotations

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Collection
from dataclasses import dataclass, field

from nornmail.imap.limits import Budget
from nornmail.imap.translate import plain_message
from nornmail.imap.wire import Reply, Wire

CHALLENGE_LIMIT = 4_096
"""Octets of a challenge that are decoded. What servers tell of a refusal has about a hundred."""
INITIAL_LIMIT = 8_000
"""Octets of an initial response. A command line may have 8,192 (RFC 7162, 4); what is longer goes
after the command."""
_STATUS_LENGTH = 40
"""Characters of a status that are shown: ``400``, ``invalid_token``."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One way to prove who we are.

    Attributes:
        mechanism: its name on the wire.
        message: what is sent first, before base64.
        farewell: the answer to the challenge with which a server tells why it refuses.
    """

    mechanism: bytes
    message: bytes = field(repr=False)
    farewell: bytes = b""


def plain(username: str, password: str) -> Exchange:
    """PLAIN (RFC 4616)."""
    return Exchange(b"PLAIN", plain_message(username, password))


def xoauth2(username: str, token: str) -> Exchange:
    """XOAUTH2, Google's forerunner of OAUTHBEARER; a refusal is answered with nothing."""
    return Exchange(b"XOAUTH2", f"user={username}\1auth=Bearer {token}\1\1".encode())


def oauthbearer(username: str, token: str, host: str, port: int) -> Exchange:
    """OAUTHBEARER (RFC 7628); a refusal is answered with one octet 1 (section 3.2.3)."""
    name = username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801, 4
    head = f"n,a={name},\1host={host}\1port={port}\1auth=Bearer {token}\1\1"
    return Exchange(b"OAUTHBEARER", head.encode(), farewell=b"\1")


def bearer(
    capabilities: Collection[str], username: str, token: str, host: str, port: int
) -> Exchange | None:
    """How this server takes a token, ``None`` if it takes none. The standard goes first."""
    if "AUTH=OAUTHBEARER" in capabilities:
        return oauthbearer(username, token, host, port)
    if "AUTH=XOAUTH2" in capabilities:
        return xoauth2(username, token)
    return None


def offered(capabilities: Collection[str]) -> str:
    """The mechanisms that a server offers, in words."""
    return " ".join(sorted(name for name in capabilities if name.startswith("AUTH="))) or "nothing"


def refusal_status(challenge: bytes) -> str:
    """The status in the challenge with which a server tells why it refuses; ``""`` if it has none.

    Google sends ``{"status":"400",…}``, RFC 7628 has ``{"status":"invalid_token",…}``.
    """
    try:
        told = json.loads(b64decode(challenge[:CHALLENGE_LIMIT], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    status = told.get("status", "") if isinstance(told, dict) else ""
    return str(status)[:_STATUS_LENGTH] if isinstance(status, str | int) else ""


class _Dialogue:
    """Answers challenges: the message once, and to a later one the farewell."""

    def __init__(self, message: bytes | None, farewell: bytes) -> None:
        self._message = message
        self._farewell = farewell
        self.told = b""

    def answer(self, challenge: bytes) -> bytes:
        message, self._message = self._message, None
        if message is not None:
            return message
        self.told = challenge
        return self._farewell


def authenticate(
    wire: Wire, exchange: Exchange, budget: Budget, *, initial: bool = False
) -> tuple[Reply, bytes]:
    """AUTHENTICATE (RFC 3501, 6.2.2). The message is sent once.

    Args:
        wire: not logged in.
        exchange: what is said.
        budget: what it may cost.
        initial: the server has SASL-IR (RFC 4959): the message goes with the command.

    Returns:
        The answer, and the challenge in which the server told why it refuses, ``b""`` without one.
    """
    message = b64encode(exchange.message)
    args = [exchange.mechanism]
    initial = initial and len(message) <= INITIAL_LIMIT
    if initial:
        args.append(message)
    dialogue = _Dialogue(None if initial else message, b64encode(exchange.farewell))
    reply = wire.run("AUTHENTICATE", *args, budget=budget, hidden=initial, literal=dialogue.answer)
    return reply, dialogue.told
