"""A message cut into its parts (RFC 2046, section 5), as offsets into its octets."""

from __future__ import annotations

import binascii
import codecs
import quopri
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from nornmail.testing.imap.mime_fields import ContentType, parse_content_type, parse_word

# ---- A header block: its fields, and where it ends.

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
    """The offset of the text: after the first blank line, or at the end."""
    end = behind_blank_line(raw, 0, len(raw))
    return len(raw) if end is None else end


def behind_blank_line(raw: bytes, start: int, stop: int) -> int | None:
    """The end of the first blank line from ``start``, which begins a line, to ``stop``."""
    for line_end in (b"\r\n", b"\n"):
        if raw.startswith(line_end, start, stop):
            return start + len(line_end)
    match = _BLANK_LINE.search(raw, start, stop)
    return match.end() if match else None


def fields(header: bytes) -> Iterator[Field]:
    """The fields of a header block, in order. A line without a colon has no name."""
    for match in _FIELD.finditer(header):
        octets = match[0]
        if not octets.strip(b"\r\n"):
            return
        name, colon, _ = octets.partition(b":")
        if not colon or b"\n" in name:
            name = b""
        yield Field(name.rstrip(b" \t"), octets)


def unfolded(value: bytes) -> bytes:
    """A field's value on one line, without the blanks at its beginning."""
    return _FOLD.sub(b"", value.lstrip(b" \t")).rstrip(b"\r\n")


MAX_DEPTH = 99
"""Parts inside each other; what is deeper is shown as one part. Dovecot stops here as well."""

MAX_PARTS = 10_000
"""Parts of a message; what follows them counts as the epilogue."""

PLAIN = ContentType(b"text", b"plain", [])
"""The type of a part without a Content-Type (RFC 2045, section 5.2)."""

OPAQUE = ContentType(b"application", b"octet-stream", [])
"""The type of a part that is too deep to be parsed."""

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
        for known in self.header:
            if known.name.lower() == name:
                return known.value
        return None

    def last_value(self, name: bytes) -> bytes | None:
        """The value of the last field of this (lower-case) name."""
        values = [known.value for known in self.header if known.name.lower() == name]
        return values[-1] if values else None

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
        self._lines = [(match.start(), match.end()) for match in _DASHES.finditer(raw)]
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
        declared = part.value(b"content-type")
        if declared is not None:
            part.content_type = parse_content_type(declared)
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
        """The end of the header, and the delimiter that broke it off, if one did."""
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
        """Pass the next line with dashes; return the delimiter that it is, if any."""
        line, after = self._lines[self._next]
        self._next += 1
        text = self._raw[line:after].rstrip(b"\r\n")
        depth = _opener(text, open_ones)
        if depth is None:
            return None
        return _Delimiter(depth, line, after, text.startswith(open_ones[depth] + b"--"))


def _opener(line: bytes, open_ones: Sequence[bytes]) -> int | None:
    """The open multipart that the line belongs to: the one of the longest boundary."""
    best: int | None = None
    for depth in range(len(open_ones) - 1, -1, -1):
        boundary = open_ones[depth]
        if line.startswith(boundary) and (best is None or len(boundary) > len(open_ones[best])):
            best = depth
    return best


# ---- Encoded words and bodies as text, for SEARCH (RFC 2047; RFC 3501, section 6.4.4).

_ENCODED_WORD = re.compile(
    rb"=\?([!->@-~]{1,60}?)(?:\*[!->@-~]{0,60})?\?([bqBQ])\?([!->@-~]{0,2000})\?="
)
_BETWEEN = re.compile(rb"(\?=)[ \t\r\n]+(?==\?)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def known_charset(name: bytes) -> str | None:
    """The codec of a charset, None where there is none that makes text of octets."""
    try:
        codec = codecs.lookup(name.decode("ascii"))
        b"x".decode(codec.name, "replace")
    except (LookupError, ValueError):  # rot13, base64 and the like are codecs of another kind
        return None
    return codec.name


def decoded_words(value: bytes) -> str:
    """A field's value with its encoded words decoded; the rest is taken as UTF-8."""
    parts: list[str] = []
    at = 0
    joined = _BETWEEN.sub(rb"\1", value)
    for word in _ENCODED_WORD.finditer(joined):
        parts.append(joined[at : word.start()].decode("utf-8", "replace"))
        if word[2] in b"bB":
            octets = _base64(word[3])
        else:
            octets = quopri.decodestring(word[3], header=True)
        parts.append(_text(octets, word[1]))
        at = word.end()
    parts.append(joined[at:].decode("utf-8", "replace"))
    return "".join(parts)


def decoded_body(part: Part) -> str:
    """A part's body, its transfer encoding and charset decoded."""
    octets = part.body_octets
    encoding = (parse_word(part.value(b"content-transfer-encoding") or b"") or b"").lower()
    if encoding == b"base64":
        octets = _base64(octets)
    elif encoding == b"quoted-printable":
        octets = quopri.decodestring(octets)
    charset = next(
        (value for name, value in part.content_type.parameters if name.lower() == b"charset"),
        b"utf-8",
    )
    return _text(octets, charset)


def _text(octets: bytes, charset: bytes) -> str:
    name = known_charset(charset)
    if name in (None, "ascii"):
        name = "utf-8"
    try:
        return octets.decode(name or "utf-8", "replace")
    except (UnicodeError, ValueError):  # some codecs raise whatever the error handler is
        return octets.decode("latin-1")


def _base64(text: bytes) -> bytes:
    """The octets of base64, read as far as it is valid."""
    bare = _NOT_BASE64.sub(b"", text)
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
