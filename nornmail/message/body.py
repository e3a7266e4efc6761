"""Which parts are the message's text, which its HTML, and which are attached (RFC 2046, 2387)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from nornmail.message.charsets import decode
from nornmail.message.defects import Note, ignore
from nornmail.message.parser import Part, content_id

_META_CHARSET = re.compile(
    rb"<meta\s[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.I
)
_META_OCTETS: Final = 4_096
"""Octets of HTML in which a charset is looked for; browsers take 1,024."""


@dataclass(slots=True)
class Segment:
    """A stretch of the body, as plain text, as HTML, or as both."""

    plain: Part | None = None
    html: list[Part] = field(default_factory=list)


@dataclass(slots=True)
class Body:
    """What a message shows, in order, and what hangs on it.

    Attributes:
        segments: what is shown.
        attached: each attached part and whether it is shown within the text (``is_inline``).
    """

    segments: list[Segment] = field(default_factory=list)
    attached: list[tuple[Part, bool]] = field(default_factory=list)


def find_body(root: Part) -> Body:
    """Sort the leaves of ``root``. What is attached as a message is not looked into."""
    body = Body()
    body.segments = _segments(root, body, in_related=False)
    return body


def _segments(part: Part, body: Body, *, in_related: bool) -> list[Segment]:
    if not part.children:
        return _leaf(part, body, in_related=in_related)
    kind = part.content_type
    if kind == "multipart/alternative":
        return _alternative(part, body)
    if kind == "multipart/related":
        root = _related_root(part)
        shown: list[Segment] = []
        for child in part.children:
            if child is root:
                shown = _segments(child, body, in_related=False)
            else:
                _attach(child, body, in_related=True)
        return shown
    return [
        segment
        for child in part.children
        for segment in _segments(child, body, in_related=in_related)
    ]


def _leaf(part: Part, body: Body, *, in_related: bool) -> list[Segment]:
    kind = part.content_type
    # A multipart that could not be opened: whatever it is, it is text that somebody wrote.
    is_text = kind == "text/plain" or kind.startswith("multipart/")
    if part.disposition == "attachment" or (part.filename and part.disposition == "inline"):
        is_text = False
    elif kind == "text/html":
        return [Segment(html=[part])]
    if is_text:
        return [Segment(plain=part)]
    _attach(part, body, in_related=in_related)
    return []


def _alternative(part: Part, body: Body) -> list[Segment]:
    """One content in several forms: the plain one and the richest HTML."""
    forms = [_segments(child, body, in_related=False) for child in part.children]
    plain = next((form for form in forms if form and all(s.plain for s in form)), [])
    html = [piece for form in forms for segment in form for piece in segment.html]
    if not plain:
        return next((form for form in reversed(forms) if form), [])
    return [Segment(plain[0].plain, html), *plain[1:]]


def _related_root(part: Part) -> Part:
    start = part.parameters.get("start", "").strip("<> ")
    if start:
        for child in part.children:
            if content_id(child) == start:
                return child
    return part.children[0]


def _attach(part: Part, body: Body, *, in_related: bool) -> None:
    for leaf in part.walk():
        if not leaf.children:
            shown = leaf.disposition == "inline" or (in_related and "content-id" in leaf.headers)
            body.attached.append((leaf, shown and leaf.disposition != "attachment"))


def text_of(part: Part, note: Note = ignore) -> str:
    """A textual part's characters, lines ended by LF, without NUL."""
    data = part.content(note)
    label = part.parameters.get("charset", "")
    if not label and part.content_type == "text/html" and not data.isascii():
        named = _META_CHARSET.search(data, 0, _META_OCTETS)
        label = named[1].decode("ascii") if named else ""
    text = decode(data, label, note)
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        note("NUL in the text")
        text = text.replace("\0", "")
    return text.removeprefix("\ufeff")
