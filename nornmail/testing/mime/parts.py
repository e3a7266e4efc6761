"""A message cut into its parts (RFC 2046, section 5), as offsets into its octets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from nornmail.testing.mime.fields import Field, behind_blank_line, fields
from nornmail.testing.mime.parameters import ContentType, parse_content_type

MAX_DEPTH = 99
"""Parts inside each other; what is deeper is told as one part. Dovecot stops here as well."""

MAX_PARTS = 10_000
"""Parts of a message; what follows them counts as the epilogue."""

PLAIN = ContentType(b"text", b"plain", [])
"""What a part without a Content-Type is (RFC 2045, section 5.2)."""

OPAQUE = ContentType(b"application", b"octet-stream", [])
"""What a part is told as when it is too deep to be looked into."""

_DASHES = re.compile(rb"^--[^\n]*\n?", re.M)


@dataclass(slots=True)
class Part:
    """A message, or a part of one. Offsets are those of the whole message.

    Args:
        start: where its header begins; ``body`` and ``end`` are where its body does and ends.
        header: its fields.
        content_type: as its header tells, or as the default is.
        kind: a message is a part that encloses a message, as ``message/rfc822`` does.
        boundary: the beginning of the lines that part the children of a multipart, if it has one.
        children: of a multipart; the message that is enclosed.
    """

    raw: bytes
    start: int
    body: int
    end: int
    header: list[Field]
    content_type: ContentType
    kind: Literal["leaf", "multipart", "message"] = "leaf"
    boundary: bytes | None = None
    children: list[Part] = field(default_factory=list)

    def value(self, name: bytes) -> bytes | None:
        """The value of the first field of this (lower-case) name, None where there is none."""
        for one in self.header:
            if one.name.lower() == name:
                return one.value
        return None

    def last_value(self, name: bytes) -> bytes | None:
        """The value of the last field of this (lower-case) name."""
        found = [one.value for one in self.header if one.name.lower() == name]
        return found[-1] if found else None

    @property
    def head_octets(self) -> bytes:
        """The header, with the blank line behind it."""
        return self.raw[self.start : self.body]

    @property
    def body_octets(self) -> bytes:
        """Everything behind the header."""
        return self.raw[self.body : self.end]


@dataclass(frozen=True, slots=True)
class _Delimiter:
    """A line that parts: where what is in front of it ends, where what is behind it begins."""

    depth: int
    line: int
    after: int
    closes: bool

    def end_before(self, raw: bytes, floor: int) -> int:
        """The end of a body that it ends: the line break before it belongs to it."""
        end = self.line
        if end > floor and raw[end - 1 : end] == b"\n":
            end -= 1
            if end > floor and raw[end - 1 : end] == b"\r":
                end -= 1
        return end


def parse_parts(raw: bytes) -> Part:
    """The message as a tree. Whatever the octets are, there is one."""
    return _Parser(raw).message(0, [], digest=False)[0]


class _Parser:
    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._lines = [(found.start(), found.end()) for found in _DASHES.finditer(raw)]
        self._next = 0
        self._left = MAX_PARTS

    def message(
        self, start: int, open_ones: Sequence[bytes], *, digest: bool, depth: int = 0
    ) -> tuple[Part, _Delimiter | None]:
        """The part that begins here, and the delimiter that ended it (None: the end)."""
        self._left -= 1
        body, early = self._header(start, open_ones)
        part = self._headed(start, body, digest=digest)
        if early is not None:
            part.body = part.end = body
            return part, early
        if part.kind != "leaf" and (depth >= MAX_DEPTH or self._left <= 0):
            part.kind = "leaf"
            part.content_type = replace(OPAQUE, parameters=part.content_type.parameters)
        if part.kind == "multipart" and part.boundary is not None:
            floor, ended = self._children(part, [*open_ones, part.boundary], depth)
        elif part.kind == "message":
            child, ended = self.message(body, open_ones, digest=False, depth=depth + 1)
            part.children.append(child)
            part.end = child.end
            return part, ended
        else:
            floor, ended = body, self._delimiter(body, open_ones)
        part.end = len(self._raw) if ended is None else ended.end_before(self._raw, floor)
        return part, ended

    def _headed(self, start: int, body: int, *, digest: bool) -> Part:
        part = Part(self._raw, start, body, body, list(fields(self._raw[start:body])), PLAIN)
        told = part.value(b"content-type")
        if told is not None:
            part.content_type = parse_content_type(told)
        elif digest:
            part.content_type = ContentType(b"message", b"rfc822", [])
        major, minor = part.content_type.major.lower(), part.content_type.minor.lower()
        if (major, minor) == (b"message", b"rfc822"):
            part.kind = "message"
        elif major == b"multipart":
            part.kind = "multipart"
            for name, value in part.content_type.parameters:
                if name.lower() == b"boundary":
                    part.boundary = b"--" + value
                    break
        return part

    def _children(
        self, part: Part, open_ones: Sequence[bytes], depth: int
    ) -> tuple[int, _Delimiter | None]:
        """Read the children; where the multipart ends at the earliest, and what ended it."""
        digest = part.content_type.minor.lower() == b"digest"
        floor, ended = part.body, self._delimiter(part.body, open_ones)
        while ended is not None and ended.depth == len(open_ones) - 1:
            if ended.closes or self._left <= 0:
                return ended.after, self._delimiter(ended.after, open_ones[:-1])
            child, ended = self.message(ended.after, open_ones, digest=digest, depth=depth + 1)
            part.children.append(child)
            floor = child.end
        return floor, ended

    def _header(self, start: int, open_ones: Sequence[bytes]) -> tuple[int, _Delimiter | None]:
        """Where the header ends, and the delimiter that broke it off, if one did."""
        at = start
        self._skip_to(start)
        while True:
            more = self._next < len(self._lines)
            stop = self._lines[self._next][0] if more else len(self._raw)
            end = behind_blank_line(self._raw, at, stop)
            if end is not None:
                return end, None
            if not more:
                return stop, None
            delimiter = self._at_line(open_ones)
            if delimiter is not None:
                return stop, delimiter
            at = stop

    def _delimiter(self, start: int, open_ones: Sequence[bytes]) -> _Delimiter | None:
        """The first line from ``start`` on that belongs to one of the open multiparts."""
        self._skip_to(start)
        while open_ones and self._next < len(self._lines):
            delimiter = self._at_line(open_ones)
            if delimiter is not None:
                return delimiter
        return None

    def _skip_to(self, start: int) -> None:
        while self._next < len(self._lines) and self._lines[self._next][0] < start:
            self._next += 1

    def _at_line(self, open_ones: Sequence[bytes]) -> _Delimiter | None:
        """What the next line with dashes is to the open multiparts; it is passed."""
        line, after = self._lines[self._next]
        self._next += 1
        text = self._raw[line:after].rstrip(b"\r\n")
        depth = _opener(text, open_ones)
        if depth is None:
            return None
        return _Delimiter(depth, line, after, text.startswith(open_ones[depth] + b"--"))


def _opener(line: bytes, open_ones: Sequence[bytes]) -> int | None:
    """Which of the open multiparts the line belongs to: the longest that it begins with."""
    best: int | None = None
    for depth in range(len(open_ones) - 1, -1, -1):
        one = open_ones[depth]
        if line.startswith(one) and (best is None or len(one) > len(open_ones[best])):
            best = depth
    return best
