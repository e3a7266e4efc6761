"""What must be true of the lines of every message that goes out (RFC 5321, 2.3.8; RFC 5322, 2.1.1).

A bare CR or LF is read as a line end by some servers and not by others: that is how a message is
smuggled in behind another one.
"""

from __future__ import annotations

from typing import Final

MAX_LINE_OCTETS: Final = 998
"""Octets of a line without its CRLF (RFC 5322, 2.1.1)."""


def line_fault(raw: bytes) -> str:
    """What is wrong with the lines of a message, in words; ``""`` when nothing is."""
    if not raw.endswith(b"\r\n"):
        return "the last line has no end"
    if not raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n"):
        return "a bare CR or LF"
    if b"\0" in raw:
        return "a NUL"
    if _has_long_line(raw):
        return f"a line of more than {MAX_LINE_OCTETS} octets"
    return ""


def _has_long_line(raw: bytes) -> bool:
    """Whether a line is too long: steps of nearly a thousand octets, and no line is copied."""
    start = 0
    while len(raw) - start > MAX_LINE_OCTETS:
        end = raw.rfind(b"\r\n", start, start + MAX_LINE_OCTETS + 2)
        if end < 0:
            return True
        start = end + 2
    return False
