"""A header block: its fields, and where it ends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FIELD = re.compile(rb"[^\n]*\n?(?:[ \t][^\n]*\n?)*")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")
_BLANK_LINE = re.compile(rb"\n\r?\n")


class Field(NamedTuple):
    """One header field.

    Args:
        name: as it is written, without the white space before the colon.
        octets: the whole field as it stands in the message, line ends included.
    """

    name: bytes
    octets: bytes

    @property
    def value(self) -> bytes:
        """The value on one line; see `unfolded`."""
        return unfolded(self.octets.partition(b":")[2])


def header_end(raw: bytes) -> int:
    """Where the text begins: behind the first blank line, or at the end."""
    end = behind_blank_line(raw, 0, len(raw))
    return len(raw) if end is None else end


def behind_blank_line(raw: bytes, start: int, stop: int) -> int | None:
    """Where the first blank line from ``start``, which begins a line, to ``stop`` ends."""
    for line_end in (b"\r\n", b"\n"):
        if raw.startswith(line_end, start, stop):
            return start + len(line_end)
    found = _BLANK_LINE.search(raw, start, stop)
    return found.end() if found else None


def fields(header: bytes) -> Iterator[Field]:
    """The fields of a header block, in order. A line without a colon has no name."""
    for found in _FIELD.finditer(header):
        octets = found[0]
        if not octets.strip(b"\r\n"):
            return
        name, colon, _ = octets.partition(b":")
        if not colon or b"\n" in name:
            name = b""
        yield Field(name.rstrip(b" \t"), octets)


def unfolded(value: bytes) -> bytes:
    """A field's value on one line, without the blanks at its beginning."""
    return _FOLD.sub(b"", value.lstrip(b" \t")).rstrip(b"\r\n")
