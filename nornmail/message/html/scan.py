"""Markup cut into tags, text and comments, where the HTML standard cuts it (13.2.5). Linear.

What a browser takes for a comment, an unclosed tag or the inside of a script must be that here as
well: where two readers disagree, a payload hides.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Protocol

from nornmail.message.html.references import resolve_in_text
from nornmail.message.html.tags import BLANK, NAME, VALUE, TagReader

_TAG: Final = re.compile(
    rf"<(/?+)([a-zA-Z][^\t\n\f\r />]*+)"
    rf"(?:[\t\n\f\r /]++|{NAME}(?:{BLANK}*+={BLANK}*+{VALUE}|(?!{BLANK}*+=)))*+>"
)
_MARK: Final = re.compile(r"<[a-zA-Z/!?]")
_COMMENT_END: Final = re.compile(r"--!?>")

_ENDS: Final = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.I)
    for name in ("style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
"""Elements without markup in them, and what ends each."""
_REFERENCES: Final = ("title", "textarea")
_SCRIPT: Final = re.compile(r"<!--|-->|<(/?)script(?=[\t\n\f\r />])", re.I)


class Sink(Protocol):
    """Takes what was found, in order."""

    def text(self, text: str) -> None:
        """Characters, their references resolved."""

    def start(self, name: str, attributes: Mapping[str, str]) -> bool:
        """A start tag; false when enough was read."""

    def end(self, name: str) -> None:
        """An end tag."""

    def raw(self, name: str, attributes: Mapping[str, str], content: str) -> bool:
        """A whole element that has no markup in it; false when enough was read."""

    def comment(self, text: str) -> None:
        """A comment, or what a browser takes for one."""

    def doctype(self) -> None:
        """A document type declaration."""


class Scanner:
    """Cuts ``html`` and hands the pieces to ``sink``."""

    def __init__(self, html: str, sink: Sink) -> None:
        self._html = html
        self._sink = sink
        self._tags = TagReader()

    def run(self) -> bool:
        """Read all: whether the markup is whole, and does not end within a tag or a comment."""
        html, at = self._html, 0
        while found := _MARK.search(html, at):
            mark = found.start()
            if mark > at:
                self._sink.text(resolve_in_text(html[at:mark]))
            tag = _TAG.match(html, mark)
            if tag is None:
                at = self._no_tag(mark)
            elif tag[1]:
                self._sink.end(tag[2].lower())
                at = tag.end()
            else:
                at = self._start(tag)
            if at < 0:
                return at == _ENOUGH
        if at < len(html):
            self._sink.text(resolve_in_text(html[at:]))
        return True

    def _start(self, tag: re.Match[str]) -> int:
        name, attributes = self._tags.read(tag[0], tag[2])
        at = tag.end()
        if name == "plaintext":
            self._sink.raw(name, attributes, self._html[at:])
            return len(self._html)
        if name == "script":
            end = _script_end(self._html, at)
        elif name in _ENDS:
            found = _ENDS[name].search(self._html, at)
            end = found.start() if found else -1
        else:
            return at if self._sink.start(name, attributes) else _ENOUGH
        content = self._html[at : end if end >= 0 else len(self._html)]
        if name in _REFERENCES:
            content = resolve_in_text(content)
        if not self._sink.raw(name, attributes, content):
            return _ENOUGH
        closing = _TAG.match(self._html, end) if end >= 0 else None
        return closing.end() if closing else _CUT

    def _no_tag(self, mark: int) -> int:
        html = self._html
        if html.startswith("<!--", mark):
            if html.startswith((">", "->"), mark + 4):
                return html.index(">", mark) + 1
            end = _COMMENT_END.search(html, mark + 4)
            self._sink.comment(html[mark + 4 : end.start() if end else len(html)])
            return end.end() if end else _CUT
        is_end = html.startswith("</", mark)
        if html.startswith(("<!", "<?"), mark):
            if html[mark + 2 : mark + 9].lower() == "doctype":
                self._sink.doctype()  # a declaration, and no words that are kept from anybody
                return _past(html, ">", mark)
            return self._bogus(mark)
        following = html[mark + 1 + is_end : mark + 2 + is_end]
        if following.isascii() and following.isalpha():
            return _CUT
        if is_end and following:
            return self._bogus(mark)
        self._sink.text("<")
        return mark + 1

    def _bogus(self, mark: int) -> int:
        end = _past(self._html, ">", mark)
        self._sink.comment(self._html[mark + 2 : end - 1 if end >= 0 else len(self._html)])
        return end


_CUT: Final = -1
_ENOUGH: Final = -2


def _past(html: str, what: str, at: int) -> int:
    found = html.find(what, at)
    return found + len(what) if found >= 0 else _CUT


def _script_end(html: str, at: int) -> int:
    """Where ``</script`` ends the script, -1 if nothing does (13.2.5.4, 13.2.5.20 to 31).

    Within ``<!--`` a ``<script`` has an end tag of its own, which ends nothing else.
    """
    escaped = inner = False
    for found in _SCRIPT.finditer(html, at):
        if found[0] == "<!--":
            escaped = True
            if html.startswith((">", "->"), found.end()):
                escaped = inner = False
        elif found[0] == "-->":
            escaped = inner = False
        elif not found[1]:
            inner = escaped
        elif inner:
            inner = False
        else:
            return found.start()
    return -1
