"""Raw bytes to a tree of parts (RFC 2045, 2046, 2183, 2231). Total, and linear at each level.

A part is a range of the raw bytes: finding the tree copies no body and decodes none. Each boundary
is searched for once within the part that names it, so an inner part can neither end nor outlive the
outer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import islice
from typing import Final
from urllib.parse import unquote_to_bytes

from nornmail.defects import Note, ignore
from nornmail.message.charsets import codec_of, decode
from nornmail.message.headers import Headers, decode_text, read_headers
from nornmail.message.limits import (
    MAX_BOUNDARY_HITS,
    MAX_ENCODED_MULTIPARTS,
    MAX_NESTING,
    MAX_PARAMETERS,
    MAX_PART_FIELDS,
    MAX_PARTS,
)
from nornmail.message.transfer_encoding import decode_transfer, encoding_of

# Where the semicolon was forgotten, only a name that is known begins the next parameter: there are
# file names with blanks and signs of equality in them. A quote that was not escaped ends a value
# where something comes that can follow it.
_PARAMETER = re.compile(
    r"""(?<![;\s])[;\s]++([^=;,\s"]++)\s*+=\s*+
    (?: "((?>(?:[^"\\]++|\\.|"(?!\s*+(?:;|\Z|[\w*-]++=))){0,5000}))"
      | ((?>(?: [^;\s]++
              | \s++(?!;|(?i:charset|boundary|name|filename|format|type|delsp)[*0-9]{0,5}=)
              ){0,5000}))
    )""",
    re.DOTALL | re.VERBOSE,
)
_OPEN_QUOTE = re.compile(r'"([^";]*+)')
_CONTINUED = re.compile(r"([^*]+)\*(?:(\d{1,3})(\*)?)?\Z", re.ASCII)
_ESCAPED = re.compile(r'\\(["\\])')
_COMMENT = re.compile(r"[ \t]++\([^()\"]*+\)[ \t]*+\Z")
_EXTENDED = re.compile(r"(?:utf-?8|iso-8859-\d{1,2}|windows-125\d)'[A-Za-z-]{0,8}'", re.I)
_TYPE = re.compile(r'["\s]*+([a-z0-9!#$&^_.+-]{1,100})[ \t]*+/[ \t]*+([a-z0-9!#$&^_.+-]{1,100})')
_NO_TYPE = re.compile(r"[\w*-]{1,40}=")
_TOKEN = re.compile(r"[!-9<>?A-~]+")
_TEXT_NAMES: Final = ("filename", "name")
"""Parameters that are text. The others are tokens, and are kept as they were sent."""

_MAX_REMEMBERED: Final = 100
"""Characters of a Content-Type that is kept with what was read from it."""

DEFAULT_TYPE: Final = "text/plain"
"""The type of a part without a Content-Type (RFC 2045 section 5.2)."""


def parse_content_type(
    raw: str, default: str = DEFAULT_TYPE, note: Note = ignore, charset: str = ""
) -> tuple[str, dict[str, str]]:
    """The media type in lower case, and the parameters by their lower-case names.

    Args:
        raw: the unfolded field, octets as ISO 8859-1; ``""`` when there is none.
        default: the type where the field is missing or unreadable.
        charset: of raw octets in a name that are not UTF-8.
    """
    if not raw:
        return default, {}
    if len(raw) > _MAX_REMEMBERED:
        return _parse_content_type(raw, default, note, charset)
    media_type, parameters, defects = _remembered(raw, default, charset)
    for defect in defects:
        note(defect)
    return media_type, dict(parameters)


@lru_cache(maxsize=512)
def _remembered(
    raw: str, default: str, charset: str
) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """The result of a field that was read before: most mail has the same few."""
    defects: list[str] = []
    media_type, parameters = _parse_content_type(raw, default, defects.append, charset)
    return media_type, parameters, tuple(defects)


def _parse_content_type(
    raw: str, default: str, note: Note, charset: str
) -> tuple[str, dict[str, str]]:
    media_type = _TYPE.match(raw.lower())
    if media_type is not None:
        return f"{media_type[1]}/{media_type[2]}", parse_parameters(
            raw[media_type.end() :], note, charset
        )
    note("a Content-Type that cannot be read")
    values = parse_parameters(";" + raw if _NO_TYPE.match(raw) else raw, note, charset)
    if raw[:9].lower() == "multipart" or ("boundary" in values and "charset" not in values):
        return "multipart/mixed", values
    return default, values


def parse_disposition(
    raw: str, note: Note = ignore, charset: str = ""
) -> tuple[str, dict[str, str]]:
    """The disposition in lower case (``""`` when there is none) and its parameters (RFC 2183)."""
    if not raw:
        return "", {}
    raw = raw.lstrip('" \t')
    word = _TOKEN.match(raw)
    if word is None or raw[word.end() : word.end() + 1] == "=":  # the word itself is missing
        return "", parse_parameters(";" + raw, note, charset)
    return word[0].lower().rstrip('"'), parse_parameters(raw[word.end() :], note, charset)


def parse_parameters(raw: str, note: Note = ignore, charset: str = "") -> dict[str, str]:
    """The parameters in a field. The first of two with one name counts.

    An extended parameter (RFC 2231) wins over the plain one of the same name. Senders forget the
    semicolon in front of a parameter and the quote behind it.
    """
    if "=" not in raw:
        return {}
    plain: dict[str, str] = {}
    extended: dict[str, dict[int, tuple[bool, str]]] = {}
    matches = _PARAMETER.finditer(raw)
    for match in islice(matches, MAX_PARAMETERS):
        name = match[1].lower()
        quoted, token = match[2], match[3]
        value = _bare(token) if quoted is None else _ESCAPED.sub(r"\1", quoted)
        if quoted is None and not name.startswith(_TEXT_NAMES):
            value = _COMMENT.sub("", value)
        part = _CONTINUED.match(name) if "*" in name else None
        if part is None:
            plain.setdefault(name, value)
        else:
            sections = extended.setdefault(part[1], {})
            is_encoded = part[2] is None or part[3] is not None
            sections.setdefault(int(part[2] or 0), (is_encoded, value))
    if next(matches, None) is not None:
        note("more parameters than the limit")
    for name in _TEXT_NAMES:
        value = plain.get(name, "")
        if _EXTENDED.match(value):  # RFC 2231, but for the asterisk
            extended.setdefault(name, {0: (True, value)})
        elif value:
            plain[name] = decode_text(value, note, charset)
    for name, sections in extended.items():
        plain[name] = _join(sections, note)
    return plain


def _bare(token: str) -> str:
    """A value without quotes around it; a quote that is never closed is none."""
    if token.startswith('"'):
        opened = _OPEN_QUOTE.match(token)
        token = opened[1] if opened else token
    return token.strip()


def _join(sections: dict[int, tuple[bool, str]], note: Note) -> str:
    """The sections of one parameter in their order; the first may name the charset."""
    charset = ""
    pieces: list[bytes] = []
    for place, number in enumerate(sorted(sections)):
        is_encoded, value = sections[number]
        if number != place:
            note("a parameter with a section missing")
        if is_encoded and place == 0:
            head = value.split("'", 2)
            if len(head) == 3:
                charset, value = head[0], head[2]
            elif len(head) == 2 and codec_of(head[0]):  # one apostrophe was forgotten
                charset, value = head
        if is_encoded:
            value = value.strip('"')
        data = value.encode("latin-1", "replace")
        pieces.append(unquote_to_bytes(data) if is_encoded else data)
    # Some senders put encoded words into the sections, though RFC 2231 replaces them.
    return decode_text(decode(b"".join(pieces), charset, note).encode().decode("latin-1"), note)


# Behind the last boundary some senders leave a stray character.
_AFTER_BOUNDARY = re.compile(
    rb"(?:(--)(?![A-Za-z0-9_=-])[^\r\n]*+|[ \t]*+)(?:\r*+\n|\Z)", re.DOTALL
)
_AFTER_BOUNDARY_AND_TEXT = re.compile(
    rb"(?:(--)(?![A-Za-z0-9_=-])[^\r\n]*+|(?:[ \t][^\r\n]*+)?)(?:\r*+\n|\Z)", re.DOTALL
)
_LIKELY_BOUNDARY = re.compile(
    rb"^--([^\r\n]{1,200}?)[ \t]{0,50}\r{0,3}\n(?=content-[a-z-]{1,40}:)",
    re.IGNORECASE | re.MULTILINE,
)
_HEADER = re.compile(rb"content-[a-z-]{1,40}:", re.IGNORECASE)


class Part:
    """One node of the tree.

    Attributes:
        disposition: ``"attachment"``, ``"inline"``, another word, or ``""``.
        filename: as the sender wrote it, decoded but not made safe; ``""`` when there is none.
        children: the parts of a multipart that could be opened; a leaf has none.
    """

    __slots__ = (
        "_bounds", "_raw", "children", "content_type", "disposition", "filename", "headers",
        "parameters",
    )  # fmt: skip

    def __init__(
        self,
        raw: bytes,
        bounds: tuple[int, int],
        headers: Headers,
        default_type: str = DEFAULT_TYPE,
        note: Note = ignore,
    ) -> None:
        self._raw = raw
        self._bounds = bounds
        self.headers = headers
        charset = headers.charset
        self.content_type, self.parameters = parse_content_type(
            headers.raw("content-type"), default_type, note, charset
        )
        self.disposition, more = parse_disposition(
            headers.raw("content-disposition"), note, charset
        )
        self.filename = more.get("filename") or self.parameters.get("name") or ""
        self.children: tuple[Part, ...] = ()

    @property
    def is_multipart(self) -> bool:
        """Whether it has children."""
        return bool(self.children)

    @property
    def encoding(self) -> str:
        """The name of the transfer encoding, normalised."""
        return encoding_of(self.headers.raw("content-transfer-encoding"))

    def content(self, note: Note = ignore) -> bytes:
        """The body with its transfer encoding undone."""
        return decode_transfer(self._raw, self.encoding, note, *self._bounds)

    def walk(self) -> Iterator[Part]:
        """This part and all below it, in the order in which they were sent."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse_tree(raw: bytes, headers: Headers, body: int, note: Note = ignore) -> Part:
    """The tree of a message whose header block was read already.

    Args:
        raw: the message, with :func:`~nornmail.message.headers.with_line_feeds`.
        body: where the body begins in ``raw``.
    """
    root = Part(raw, (body, len(raw)), headers, note=note)
    if root.content_type.startswith("multipart/"):
        _Splitter(note, headers.charset).open(root, 0)
    return root


class _Splitter:
    """Opens multiparts, out of one budget for the whole message."""

    def __init__(self, note: Note, charset: str) -> None:
        self.note = note
        self.charset = charset
        self.parts = MAX_PARTS
        self.fields = MAX_PART_FIELDS
        self.hits = MAX_BOUNDARY_HITS
        self.encoded = MAX_ENCODED_MULTIPARTS

    def open(self, part: Part, level: int) -> None:
        if level >= MAX_NESTING:
            self.note("multiparts nested deeper than the limit")
            return
        delimiter = self._delimiter(part)
        if not delimiter:
            return
        children = self._children(part, delimiter, _AFTER_BOUNDARY, level)
        if not children:  # RFC 2046 section 5.1.1: the beginning of the line is enough
            children = self._children(part, delimiter, _AFTER_BOUNDARY_AND_TEXT, level)
        if not children:
            self.note("a multipart in which its boundary does not occur")
            part._bounds = _without_last_delimiter(part._raw, delimiter, *part._bounds)
        part.children = tuple(children)

    def _children(
        self, part: Part, delimiter: bytes, behind: re.Pattern[bytes], level: int
    ) -> list[Part]:
        children: list[Part] = []
        raw = part._raw
        is_digest = part.content_type == "multipart/digest"
        default_type = "message/rfc822" if is_digest else DEFAULT_TYPE
        for start, end in self._ranges(raw, delimiter, behind, *part._bounds):
            if not self.parts or self.fields <= 0:
                self.note("more parts than the limit")
                break
            self.parts -= 1
            headers, body = read_headers(raw, start, end, self.note, self.charset)
            self.fields -= len(headers)
            child = Part(raw, (body, end), headers, default_type, self.note)
            children.append(child)
            # For raw octets in the names of files behind it.
            self.charset = self.charset or child.parameters.get("charset", "")
            if child.content_type.startswith("multipart/"):
                self.open(child, level + 1)
        return children

    def _delimiter(self, part: Part) -> bytes:
        """The delimiter in front of each part; ``b""`` when the multipart cannot be opened."""
        boundary = part.parameters.get("boundary", "").rstrip()
        delimiter = b"--" + boundary.encode("latin-1", "replace")
        if boundary and part._raw.find(delimiter, *part._bounds) >= 0:
            return delimiter
        # What folding did to it: a tab for a blank, or a blank that the sender's does not have.
        words = delimiter.split()
        for delimiter in (b" ".join(words), b"".join(words)):
            if boundary and part._raw.find(delimiter, *part._bounds) >= 0:
                return delimiter
        if self._undo_encoding(part):
            return self._delimiter(part)
        likely = _LIKELY_BOUNDARY.search(part._raw, *part._bounds)
        if likely:
            self.note("a multipart with another boundary than it declares")
            return b"--" + likely[1]
        without = "in which its boundary does not occur" if boundary else "without a boundary"
        self.note(f"a multipart {without}")
        return b""

    def _undo_encoding(self, part: Part) -> bool:
        """Replace the bytes of a multipart that is encoded, which RFC 2045 section 6.4 forbids."""
        if part.encoding not in ("base64", "quoted-printable") or not self.encoded:
            return False
        self.encoded -= 1
        content = part.content(self.note)
        if b"\n--" not in content and not content.startswith(b"--"):
            return False
        self.note("a multipart with a transfer encoding")
        part._raw, part._bounds = content, (0, len(content))
        part.headers = part.headers.without("content-transfer-encoding")
        return True

    def _ranges(
        self, raw: bytes, delimiter: bytes, behind: re.Pattern[bytes], start: int, end: int
    ) -> Iterator[tuple[int, int]]:
        """The range of each part between the lines that ``delimiter`` makes."""
        opened = closed = -1
        for at, after, is_last in self._lines(raw, delimiter, behind, start, end):
            if opened >= 0:
                yield opened, _before_line_end(raw, opened, at)
            elif closed >= 0 and (raw[closed:at].strip() or not _HEADER.match(raw, after, end)):
                return
            # A part within can have the same boundary: its last one is not that of the whole.
            opened, closed = (-1, after) if is_last else (after, -1)
        if opened < 0:
            return
        self.note("a multipart without its last boundary")
        # At the end of the message the last line end is that of the boundary which is missing.
        yield opened, _before_line_end(raw, opened, end) if end == len(raw) else end

    def _lines(
        self, raw: bytes, delimiter: bytes, behind: re.Pattern[bytes], start: int, end: int
    ) -> Iterator[tuple[int, int, bool]]:
        """Each boundary line: where it begins, where the next line does, whether it is the last."""
        at = start
        while (at := raw.find(delimiter, at, end)) >= 0:
            if not self.hits:
                self.note("more lines that look like a boundary than the limit")
                return
            self.hits -= 1
            after = at + len(delimiter)
            if at == start or raw[at - 1] == 0x0A:
                rest = behind.match(raw, after, end)
                if rest:
                    yield at, rest.end(), rest[1] is not None
                    after = rest.end()
            at = after


def _without_last_delimiter(raw: bytes, delimiter: bytes, start: int, end: int) -> tuple[int, int]:
    """The bounds without a closing delimiter at their end, to which no other belongs."""
    at = raw.rfind(delimiter + b"--", start, end)
    is_line = at == start or (at > start and raw[at - 1] == 0x0A)
    if not is_line or raw[at + len(delimiter) + 2 : end].strip():
        return start, end
    return start, _before_line_end(raw, start, at)


def _before_line_end(raw: bytes, start: int, at: int) -> int:
    """The line end in front of a boundary belongs to the boundary (RFC 2046 section 5.1.1)."""
    if at > start and raw[at - 1] == 0x0A:
        at -= 1
        if at > start and raw[at - 1] == 0x0D:
            at -= 1
    return at


def content_id(part: Part) -> str:
    """The Content-ID without its brackets, as ``cid:`` links name it (RFC 2392); else ``""``."""
    return decode_text(part.headers.raw("content-id")).strip("<> ")
