"""SASL as a server reads it: the password of PLAIN and the bearer tokens of OAuth2."""

from __future__ import annotations

import binascii
import re

MAX_SASL_LINE = 12_288
"""Octets of a line of an exchange (RFC 4954, 4; the RFCs of IMAP name no limit)."""

TOKEN_REFUSED = b'{"status":"401","schemes":"bearer","scope":"mail"}'
"""The challenge in which a token is refused (RFC 7628, 3.2.2)."""

BEARERS = {
    "XOAUTH2": re.compile(rb"user=([^\x01]*)\x01auth=Bearer ([!-~]+)\x01\x01"),
    "OAUTHBEARER": re.compile(
        rb"n,a=([^\x01,]*),\x01(?:(?:host|port)=[^\x01]*\x01)*auth=Bearer ([!-~]+)\x01\x01"
    ),
}
"""The client's message in each mechanism with a token."""


def encoded(challenge: bytes) -> bytes:
    """A challenge as it is on the wire."""
    return binascii.b2a_base64(challenge, newline=False)


def decoded(line: bytes) -> bytes:
    """A client's line without its base64. ValueError where it is not base64."""
    return binascii.a2b_base64(line, strict_mode=True)


def plain_credentials(message: bytes) -> tuple[bytes, bytes] | None:
    """User and password of PLAIN (RFC 4616), None where the message is malformed."""
    parts = message.split(b"\0")
    return (parts[1], parts[2]) if len(parts) == 3 else None


def bearer_credentials(mechanism: str, message: bytes) -> tuple[str, str] | None:
    """User and token of a mechanism of `BEARERS`, None where the message is malformed."""
    match = BEARERS[mechanism].fullmatch(message)
    if match is None:
        return None
    user = match[1].replace(b"=2C", b",").replace(b"=3D", b"=")
    return user.decode("utf-8", "replace"), match[2].decode()
