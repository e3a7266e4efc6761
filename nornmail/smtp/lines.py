"""What must be true of the lines of every message that goes out (RFC 5321, 2.3.8; RFC 5322, 2.1.1).

A bare CR or LF is read as a line end by some servers and not by others: that is how a message is
smuggled in behind another one.
"""

from __future__ import annotations

import re
from typing import Final

MAX_LINE_OCTETS: Final = 998
"""Octets of a line without its CRLF (RFC 5322, 2.1.1)."""

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_TOO_LONG = re.compile(rb"[^\r\n]{%d}" % (MAX_LINE_OCTETS + 1))


def line_fault(raw: bytes) -> str:
    """What is wrong with the lines of a message, in words; ``""`` when nothing is."""
    if not raw.endswith(b"\r\n"):
        return "the last line has no end"
    if _BARE.search(raw):
        return "a bare CR or LF"
    if b"\0" in raw:
        return "a NUL"
    if _TOO_LONG.search(raw):
        return f"a line of more than {MAX_LINE_OCTETS} octets"
    return ""
