"""A header block: its fields, and where it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_FIELD = re.compile(rb"[^\n]*\n?(?:[ \t][^\n]*\n?)*")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_BLANK_LINE = re.compile(rb"\n\r?\n")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field.

    Args:
        name: as it is written, without the white space before the colon.
        value: see `unfolded`.
        octets: the whole field as it stands in the message, line ends included.
    """

    name: bytes
    value: bytes
    octets: bytes


def header_end(raw: bytes, start: int = 0, end: int | None = None) -> int:
    """Where the text begins: behind the first blank line, or at the end."""
    stop = len(raw) if end is None else end
    if raw.startswith((b"\r\n", b"\n"), start, stop):
        return start + (2 if raw[start : start + 1] == b"\r" else 1)
    found = _BLANK_LINE.search(raw, start, stop)
    return found.end() if found else stop


def fields(header: bytes) -> Iterator[Field]:
    """The fields of a header block, in order. A line without a colon has no name."""
    at = 0
    while at < len(header):
        found = _FIELD.match(header, at)
        if found is None or found.end() == at:
            return
        octets = found[0]
        at = found.end()
        if not octets.strip(b"\r\n"):
            return
        name, colon, value = octets.partition(b":")
        if not colon or b"\n" in name:
            name = value = b""
        yield Field(name.rstrip(b" \t"), unfolded(value), octets)


def unfolded(value: bytes) -> bytes:
    """A field's value on one line, without the blanks at its beginning."""
    return _FOLD.sub(b"", value.lstrip(b" \t")).rstrip(b"\r\n")
