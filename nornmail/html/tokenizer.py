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

_WHOLE_TAG: Final = (
    r"<(/?+)([a-zA-Z][^\t\n\f\r />]*+)"
    rf"(?>(?:[\t\n\f\r /]++|{NAME}(?:{BLANK}*+={BLANK}*+{VALUE}|(?!{BLANK}*+=))){{0,20000}})>"
)
# The repetition costs memory while it goes on. A tag of more than 10,000 attributes is cut off.
_TAG: Final = re.compile(_WHOLE_TAG)
_TEXT_AND_TAG: Final = re.compile(rf"([^<]*+)({_WHOLE_TAG})")
_MARK: Final = re.compile(r"<[a-zA-Z/!?]")
_COMMENT_END: Final = re.compile(r"--!?>")

_ENDS: Final = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.I)
    for name in ("style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
"""Elements without markup in them, and what ends each."""
_RAW: Final = frozenset({*_ENDS, "plaintext", "script"})
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
        html, sink, at = self._html, self._sink, 0
        names, read, next_tag = self._tags.name, self._tags.read, _TEXT_AND_TAG.match
        while at >= 0:
            found = next_tag(html, at)
            if found is None:
                at = self._odd(at)
                continue
            text, source, is_end, name = found.groups()
            at = found.end()
            if text:
                sink.text(resolve_in_text(text) if "&" in text else text)
            if is_end:
                sink.end(names(name))
                continue
            name, attributes = read(source, name)
            if name in _RAW:
                at = self._raw(name, attributes, at)
            elif not sink.start(name, attributes):
                at = _ENOUGH
        return at != _CUT

    def _odd(self, at: int) -> int:
        """Where no tag follows the text at ``at``: take the text, and what is there instead."""
        html = self._html
        found = _MARK.search(html, at)
        mark = found.start() if found else len(html)
        if mark > at:
            self._sink.text(resolve_in_text(html[at:mark]))
        if found is None:
            return _ENOUGH
        return mark if _TAG.match(html, mark) else self._no_tag(mark)

    def _raw(self, name: str, attributes: Mapping[str, str], at: int) -> int:
        """An element that has no markup in it, of which the content begins at ``at``."""
        html = self._html
        if name == "plaintext":
            self._sink.raw(name, attributes, html[at:])
            return _ENOUGH
        if name == "script":
            end = _script_end(html, at)
        else:
            found = _ENDS[name].search(html, at)
            end = found.start() if found else -1
        content = html[at : end if end >= 0 else len(html)]
        if name in _REFERENCES:
            content = resolve_in_text(content)
        if not self._sink.raw(name, attributes, content):
            return _ENOUGH
        closing = _TAG.match(html, end) if end >= 0 else None
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
