"""Whether a letter can be handed to this server at all, told before anything is sent. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from nornmail.outgoing import Envelope
from nornmail.smtp.lines import line_fault

_PATH = re.compile(r"[^\x00-\x20\x7f-\xa0<>\u2028\u2029\ud800-\udfff]+@[^\x00-\x20\x7f-\xa0<>@]+")
"""What stands between the angle brackets of MAIL and RCPT: nothing that ends them or the line."""
MAX_SIZE_DIGITS: Final = 15
"""Digits of a server's SIZE that are read: what is larger is no limit."""


def unfit(features: Mapping[str, str], envelope: Envelope, raw: bytes) -> str:
    """Why it cannot be handed in here, in words; ``""`` when it can.

    Args:
        features: what the server offers (RFC 5321, 4.1.1.1), names in lower case.
        envelope: from whom and to whom.
        raw: the message.
    """
    if not envelope.recipients:
        return "it has no recipients"
    paths = (*filter(None, (envelope.sender,)), *envelope.recipients)
    for path in paths:
        if not _PATH.fullmatch(path):
            return f"the address {path[:80]!a} cannot stand in a command"
    fault = line_fault(raw)
    if fault:
        return f"the message has {fault}"
    if _needs_smtputf8(envelope) and "smtputf8" not in features:
        return "an address is not ASCII, and the server has no SMTPUTF8 (RFC 6531)"
    if not raw.isascii() and "8bitmime" not in features:
        return "the message has octets beyond ASCII, and the server has no 8BITMIME (RFC 6152)"
    limit = size_limit(features)
    if limit and len(raw) > limit:
        return f"the message has {len(raw)} octets, and the server takes {limit} at most"
    return ""


def mail_parameters(features: Mapping[str, str], envelope: Envelope, raw: bytes) -> str:
    """The parameters of MAIL, each behind a blank; only what the server offers.

    Args:
        features, envelope, raw: as for :func:`unfit`, which found nothing.
    """
    found = f" SIZE={len(raw)}" if "size" in features else ""
    if not raw.isascii():
        found += " BODY=8BITMIME"
    if _needs_smtputf8(envelope):
        found += " SMTPUTF8"
    return found


def size_limit(features: Mapping[str, str]) -> int:
    """The octets that a message may have (RFC 1870), 0 where the server names no limit."""
    digits = features.get("size", "").strip()
    is_number = digits.isascii() and digits.isdigit() and len(digits) <= MAX_SIZE_DIGITS
    return int(digits) if is_number else 0


def _needs_smtputf8(envelope: Envelope) -> bool:
    addresses = (envelope.sender, *envelope.recipients)
    return envelope.smtputf8 or not all(one.isascii() for one in addresses)
