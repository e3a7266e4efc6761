"""Markup cut into tags, text and comments, where the HTML standard cuts it (13.2.5). Linear.

What a browser takes for a comment, an unclosed tag or the inside of a script must be that here as
well: where two readers disagree, a payload hides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from html import unescape
from html.entities import html5
from itertools import islice
from typing import Final, Protocol

from nornmail.html.limits import MAX_HTML_ATTRIBUTES

# ---- Character references: ``&amp;``, ``&#233;`` (HTML standard, 13.2.5.72 and following).

# No number of more than eight digits is a character, and int() refuses those of thousands.
_NUMBER: Final = r"&\#(?:[0-9]{1,8}(?![0-9])|[xX][0-9a-fA-F]{1,8}(?![0-9a-fA-F]));?"
_IN_TEXT: Final = re.compile(rf"{_NUMBER}|&[a-zA-Z][a-zA-Z0-9]{{1,31}};?")
_IN_ATTRIBUTE: Final = re.compile(rf"{_NUMBER}|&([a-zA-Z][a-zA-Z0-9]{{1,31}})(;|(?![=a-zA-Z0-9]))")


def resolve_in_text(text: str) -> str:
    """The characters that the references stand for; what is no reference stays."""
    if _has_ampersands_alone(text):
        return text.replace("&amp;", "&")
    return _IN_TEXT.sub(lambda found: unescape(found[0]), text)


def resolve_in_attribute(value: str) -> str:
    """The same in an attribute, where ``?a=1&copy=2`` holds no reference."""
    if _has_ampersands_alone(value):
        return value.replace("&amp;", "&")
    return _IN_ATTRIBUTE.sub(_attribute_reference, value)


def _has_ampersands_alone(text: str) -> bool:
    """Whether ``&amp;`` is the only reference, as in most links."""
    return text.count("&") == text.count("&amp;")


def _attribute_reference(found: re.Match[str]) -> str:
    if not found[1]:
        return unescape(found[0])
    return html5.get(found[1] + found[2], found[0])


# ---- One start tag: its name and its attributes (HTML standard, 13.2.5.32 to 40).
# Not ``html.parser``. On odd tags such as ``<p a== b="x>y" style=...>`` it finds other attributes
# than a browser does, and in other releases of Python other ones: a style that a browser follows
# and
# that reader misses is a text that no person sees and a model reads.

NO_ATTRIBUTES: Final[Mapping[str, str]] = {}
BLANK: Final = r"[\t\n\f\r ]"
NAME: Final = r"[^\t\n\f\r />][^\t\n\f\r />=]*+"
VALUE: Final = r"""(?:"[^"]*+"|'[^']*+'|(?=>)|[^\t\n\f\r >"'][^\t\n\f\r >]*+)"""
_ATTRIBUTE: Final = re.compile(
    rf"({NAME})(?>(?:{BLANK}*+={BLANK}*+({VALUE}))?)[\t\n\f\r /]*+",
)
_KEPT: Final = 2_000
"""Tags that are remembered: those of a newsletter repeat."""


class TagReader:
    """Reads start tags, and remembers those that it has read."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Mapping[str, str]]] = {}
        self._names: dict[str, str] = {}

    def name(self, written: str) -> str:
        """A name in lower case, the same object for the same name."""
        known = self._names.get(written)
        if known is None:
            known = written.lower()
            if len(self._names) < _KEPT:
                known = self._names.setdefault(known, known)
                self._names[written] = known
        return known

    def read(self, source: str, name: str) -> tuple[str, Mapping[str, str]]:
        """The name in lower case and the attributes, of which the first of a name counts.

        Args:
            source: from ``<`` to ``>``, whole.
            name: what stands behind the ``<``.
        """
        known = self._known.get(source)
        if known is None:
            has_none = len(source) == len(name) + 2
            known = (
                self.name(name),
                NO_ATTRIBUTES if has_none else _attributes(source, len(name) + 1),
            )
            if len(self._known) < _KEPT:
                self._known[source] = known
        return known


def _attributes(source: str, start: int) -> Mapping[str, str]:
    """Those of the tag from ``start`` on, up to the limit."""
    while source[start] in "\t\n\f\r /":
        start += 1
    pairs: Iterable[tuple[str, str]]
    if len(source) < _SHORT:  # all at once is quicker, and takes no more than this
        pairs = _ATTRIBUTE.findall(source, start)[:MAX_HTML_ATTRIBUTES]
    else:
        every = _ATTRIBUTE.finditer(source, start)
        pairs = ((one[1], one[2] or "") for one in islice(every, MAX_HTML_ATTRIBUTES))
    first: dict[str, str] = {}
    for name, value in pairs:
        if value and value[0] in "\"'":
            value = value[1:-1]
        first.setdefault(name.lower(), resolve_in_attribute(value) if "&" in value else value)
    return first


_SHORT: Final = 4_000
"""Characters of an ordinary tag."""


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


class Tokenizer:
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
