"""Messages that a server invents in the place of one it cannot give.

They are recognised by their whole structure: ordinary mail that quotes their words passed through
SMTP, and has the Received, Date or Message-ID lines that an invention lacks.
"""

from __future__ import annotations

import re

COURIER_OCTETS = 400
"""Courier's invention has 129 octets; the sender's name is the system's, and may be longer."""
EXCHANGE_OCTETS = 16 * 1024
"""Exchange's invention repeats the subject and the addresses of the message it could not give."""

_COURIER = re.compile(
    rb"From: [^\r\n]*<[^\r\n<>]*>\r?\n"
    rb"Subject: message unavailable\r?\n"
    rb"\r?\n"
    rb"This message is no longer available on the server\.\s*"
)
_EXCHANGE_SUBJECT = re.compile(
    rb"^Subject:[ \t]*Retrieval using the IMAP4 protocol failed for the following message:"
    rb"[ \t\r\n]*[0-9]+[ \t]*\r?$",
    re.MULTILINE | re.IGNORECASE,
)
_EXCHANGE_FROM = re.compile(rb'^From:[ \t]*"?Microsoft Exchange Server', re.MULTILINE | re.I)
_TRAVELLED = re.compile(rb"^(?:Received|Message-ID|DKIM-Signature):", re.MULTILINE | re.IGNORECASE)
_HEADER_END = re.compile(rb"\r?\n\r?\n")


def substitute(raw: bytes) -> str | None:
    """Why ``raw`` is not the message that was asked for, or ``None`` when it is one."""
    if len(raw) <= COURIER_OCTETS and _COURIER.fullmatch(raw):
        return "Courier gave its text for an expunged message"
    if len(raw) <= EXCHANGE_OCTETS and _is_exchange(_HEADER_END.split(raw, maxsplit=1)[0]):
        return "Exchange gave its text for a message that it could not convert"
    return None


def _is_exchange(header: bytes) -> bool:
    return (
        _EXCHANGE_SUBJECT.search(header) is not None
        and _EXCHANGE_FROM.search(header) is not None
        and _TRAVELLED.search(header) is None
    )
