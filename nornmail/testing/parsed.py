"""A message's octets as the standard library's object, for a test to look into."""

from __future__ import annotations

from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default


def parsed(raw: bytes) -> EmailMessage:
    """What the standard library makes of a message, under the policy with decoded headers."""
    return BytesParser(EmailMessage, policy=default).parsebytes(raw)
