"""Raw bytes to a tree of parts (RFC 2045, 2046). Total, and linear at each level.

A part is a range of the raw bytes: finding the tree copies no body and decodes none. Each boundary
is searched for once within the part that names it, so an inner part can neither end nor outlive the
outer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nornmail.message.defects import Note, ignore
from nornmail.message.headers import Headers, decode_text, read_headers
from nornmail.message.limits import MAX_BOUNDARY_HITS, MAX_NESTING, MAX_PARTS
from nornmail.message.parameters import DEFAULT_TYPE, parse_content_type, parse_disposition
from nornmail.message.transfer import decode_transfer

_AFTER_BOUNDARY = re.compile(rb"(--)?[ \t]*+(?:\r?\n|\Z)")
_ENCODING_END = re.compile(r"[\s;(]")


class Part:
    """One node of the tree.

    Attributes:
        headers: its fields.
        content_type: the media type in lower case.
        parameters: those of Content-Type.
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
        self.content_type, self.parameters = parse_content_type(
            headers.raw("content-type"), default_type, note
        )
        self.disposition, more = parse_disposition(headers.raw("content-disposition"), note)
        self.filename = more.get("filename") or self.parameters.get("name") or ""
        self.children: tuple[Part, ...] = ()

    @property
    def is_multipart(self) -> bool:
        """It has children."""
        return bool(self.children)

    def content(self, note: Note = ignore) -> bytes:
        """The body with its transfer encoding undone."""
        start, end = self._bounds
        field = self.headers.raw("content-transfer-encoding").strip('"').lower()
        encoding = _ENCODING_END.split(field, maxsplit=1)[0]
        return decode_transfer(self._raw[start:end], encoding, note)

    def walk(self) -> Iterator[Part]:
        """This part and all below it, in the order in which they were sent."""
        yield self
        for child in self.children:
            yield from child.walk()


def with_line_feeds(raw: bytes) -> bytes:
    """``raw``, unless its lines end in CR alone, as on very old systems: then with LF instead."""
    return raw if b"\n" in raw or b"\r" not in raw else raw.replace(b"\r", b"\n")


def parse_tree(raw: bytes, headers: Headers, body: int, note: Note = ignore) -> Part:
    """The tree of a message whose header block was read already.

    Args:
        raw: the message, with :func:`with_line_feeds`.
        headers: the header block.
        body: where the body begins in ``raw``.
        note: told of what is broken or over a limit.
    """
    root = Part(raw, (body, len(raw)), headers, note=note)
    _Splitter(raw, note).open(root, 0)
    return root


class _Splitter:
    """Opens multiparts, out of one budget for the whole message."""

    def __init__(self, raw: bytes, note: Note) -> None:
        self.raw = raw
        self.note = note
        self.parts = MAX_PARTS
        self.hits = MAX_BOUNDARY_HITS

    def open(self, part: Part, level: int) -> None:
        if not part.content_type.startswith("multipart/"):
            return
        boundary = part.parameters.get("boundary", "").rstrip()
        if not boundary:
            self.note("a multipart without a boundary")
            return
        if level >= MAX_NESTING:
            self.note("multiparts nested deeper than the limit")
            return
        is_digest = part.content_type == "multipart/digest"
        default_type = "message/rfc822" if is_digest else DEFAULT_TYPE
        children: list[Part] = []
        delimiter = b"--" + boundary.encode("utf-8", "replace")
        for start, end in self._ranges(delimiter, *part._bounds):
            if not self.parts:
                self.note("more parts than the limit")
                break
            self.parts -= 1
            headers, body = read_headers(self.raw, start, end, self.note)
            child = Part(self.raw, (body, end), headers, default_type, self.note)
            children.append(child)
            self.open(child, level + 1)
        part.children = tuple(children)

    def _ranges(self, delimiter: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The range of each part between the lines that ``delimiter`` makes."""
        opened = -1
        for at, after, is_last in self._lines(delimiter, start, end):
            if opened >= 0:
                yield opened, self._before_line_end(opened, at)
            if is_last:
                return
            opened = after
        if opened < 0:
            self.note("a multipart in which its boundary does not occur")
            return
        self.note("a multipart without its last boundary")
        yield opened, end

    def _lines(self, delimiter: bytes, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        """Each boundary line: where it begins, where the next line does, whether it is the last."""
        raw, at = self.raw, start
        while (at := raw.find(delimiter, at, end)) >= 0:
            if not self.hits:
                self.note("more lines that look like a boundary than the limit")
                return
            self.hits -= 1
            after = at + len(delimiter)
            if at == start or raw[at - 1] == 0x0A:
                found = _AFTER_BOUNDARY.match(raw, after, end)
                if found:
                    yield at, found.end(), found[1] is not None
                    after = found.end()
            at = after

    def _before_line_end(self, start: int, at: int) -> int:
        """The line end in front of a boundary belongs to the boundary (RFC 2046 section 5.1.1)."""
        if at > start and self.raw[at - 1] == 0x0A:
            at -= 1
            if at > start and self.raw[at - 1] == 0x0D:
                at -= 1
        return at


def content_id(part: Part) -> str:
    """The Content-ID without its brackets, as ``cid:`` links name it (RFC 2392); else ``""``."""
    return decode_text(part.headers.raw("content-id")).strip("<> ")
