"""The tokenizer: markup cut into tags, text and comments (HTML standard, 13.2.5). Linear.

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

from nornmail.html.limits import HTML_ELEMENT_STEPS, MAX_HTML_ATTRIBUTES, Budget, BudgetSpentError
from nornmail.html.tree import NO_ATTRIBUTES, RAW_TEXT, RCDATA, UNREAD

# Character references: ``&amp;``, ``&#233;`` (13.2.5.72 and following).
# No number of more than eight digits is a character, and int() refuses those of thousands.
_NUMBER: Final = r"&\#(?:[0-9]{1,8}(?![0-9])|[xX][0-9a-fA-F]{1,8}(?![0-9a-fA-F]));?"
_IN_TEXT: Final = re.compile(rf"{_NUMBER}|&[a-zA-Z][a-zA-Z0-9]{{1,31}};?")
_IN_ATTRIBUTE: Final = re.compile(rf"{_NUMBER}|&([a-zA-Z][a-zA-Z0-9]{{1,31}})(;|(?![=a-zA-Z0-9]))")


def resolve_in_text(text: str) -> str:
    """``text`` with its character references resolved."""
    if _has_ampersands_alone(text):
        return text.replace("&amp;", "&")
    return _IN_TEXT.sub(lambda match: unescape(match[0]), text)


def resolve_in_attribute(value: str) -> str:
    """The same in an attribute, where ``?a=1&copy=2`` holds no reference."""
    if _has_ampersands_alone(value):
        return value.replace("&amp;", "&")
    return _IN_ATTRIBUTE.sub(_attribute_reference, value)


def _has_ampersands_alone(text: str) -> bool:
    """Whether ``&amp;`` is the only reference, as in most links."""
    return text.count("&") == text.count("&amp;")


def _attribute_reference(match: re.Match[str]) -> str:
    if not match[1]:
        return unescape(match[0])
    return html5.get(match[1] + match[2], match[0])


# Start tags (13.2.5.32 to 40). Not ``html.parser``: on odd tags such as ``<p a== b="x>y" style=a>``
# it finds other attributes than a browser does, and in other releases of Python other ones: a style
# that a browser follows and it misses is a text that no person sees and a model reads.
BLANK: Final = r"[\t\n\f\r ]"
NAME: Final = r"[^\t\n\f\r />][^\t\n\f\r />=]*+"
VALUE: Final = r"""(?:"[^"]*+"|'[^']*+'|(?=>)|[^\t\n\f\r >"'][^\t\n\f\r >]*+)"""
_ATTRIBUTE: Final = re.compile(
    rf"({NAME})(?>(?:{BLANK}*+={BLANK}*+({VALUE}))?)[\t\n\f\r /]*+",
)
_KEPT: Final = 2_000
"""Tags that are remembered: those of a newsletter repeat."""
_ALONE_STEPS: Final = 12
"""Steps of a tag that is not remembered, for the memory that its attributes take."""
_SHORT: Final = 4_000
"""Characters of an ordinary tag."""


class TagReader:
    """Reads start tags, and remembers those that it has read."""

    def __init__(self) -> None:
        self._tags: dict[str, tuple[str, Mapping[str, str], int]] = {}
        self._names: dict[str, str] = {}

    def name(self, written: str) -> str:
        """A name in lower case, the same object for the same name."""
        name = self._names.get(written)
        if name is None:
            name = written.lower()
            if len(self._names) < _KEPT:
                name = self._names.setdefault(name, name)
                self._names[written] = name
        return name

    def read(self, source: str, name: str) -> tuple[str, Mapping[str, str], int]:
        """The name in lower case, the attributes, of which the first counts, and the steps.

        Args:
            source: the whole tag, from ``<`` to ``>``.
            name: what stands behind the ``<``.
        """
        tag = self._tags.get(source)
        if tag is None:
            has_none = len(source) == len(name) + 2
            attributes = NO_ATTRIBUTES if has_none else _attributes(source, len(name) + 1)
            steps = HTML_ELEMENT_STEPS + len(attributes)
            tag = self.name(name), attributes, steps
            if len(self._tags) < _KEPT:
                self._tags[source] = tag
            else:  # its attributes are kept for it alone
                tag = self.name(name), attributes, steps + _ALONE_STEPS
        return tag


def _attributes(source: str, start: int) -> Mapping[str, str]:
    while source[start] in "\t\n\f\r /":
        start += 1
    pairs: Iterable[tuple[str, str]]
    if len(source) < _SHORT:  # all at once is quicker, and takes no more memory than this
        pairs = _ATTRIBUTE.findall(source, start)
    else:
        matches = _ATTRIBUTE.finditer(source, start)
        pairs = ((match[1], match[2] or "") for match in islice(matches, MAX_HTML_ATTRIBUTES + 1))
    first: dict[str, str] = {}
    number = 0
    for name, value in pairs:
        number += 1
        if value and value[0] in "\"'":
            value = value[1:-1]
        first.setdefault(name.lower(), resolve_in_attribute(value) if "&" in value else value)
    if number > MAX_HTML_ATTRIBUTES:
        first[UNREAD] = ""
    return first


_WHOLE_TAG: Final = (
    r"<(/?+)([a-zA-Z][^\t\n\f\r />]*+)"
    rf"(?>(?:[\t\n\f\r /]++|{NAME}(?:{BLANK}*+={BLANK}*+{VALUE}|(?!{BLANK}*+=))){{0,20000}})>"
)
# The repetition costs memory while it continues. A tag of more than 10,000 attributes is cut off.
_CUT_TAG: Final = 30_000
"""Characters behind the start of a tag that has no end: with as many, that limit was reached."""
_TAG: Final = re.compile(_WHOLE_TAG)
_TEXT_AND_TAG: Final = re.compile(rf"([^<]*+)({_WHOLE_TAG})")
_UNQUOTED_END: Final = re.compile(rf"={BLANK}*+[^\t\n\f\r \"'>]+/>\Z")
"""A value without quotes takes the slash, so that the tag does not close itself."""
_MARK: Final = re.compile(r"<[a-zA-Z/!?]")
_COMMENT_END: Final = re.compile(r"--!?>")
_ENDS: Final = {
    name: re.compile(rf"</{name}(?=[\t\n\f\r />])", re.I)
    for name in (RAW_TEXT | RCDATA) - {"script"}
}
_SCRIPT: Final = re.compile(r"<!--|-->|<(/?)script(?=[\t\n\f\r />])", re.I)


class Sink(Protocol):
    """Takes the tokens in order: the tree builder."""

    def text(self, text: str) -> None:
        """Characters, their references resolved."""

    def start(self, name: str, attributes: Mapping[str, str], self_closing: bool) -> bool:
        """A start tag; true when characters without markup follow up to its end tag."""

    def end(self, name: str) -> None:
        """An end tag."""

    def raw(self, content: str) -> None:
        """The characters of the element that was begun, and its end."""

    def comment(self, text: str) -> None:
        """A comment, or what a browser takes for one."""

    def doctype(self, text: str) -> None:
        """A document type declaration."""

    def is_foreign(self) -> bool:
        """Whether the current node is in a drawing or a formula, where CDATA is text."""


class Tokenizer:
    """Cuts ``html`` and passes the tokens to ``sink``.

    Attributes:
        is_whole: false when the markup ends within a tag, a comment or a script.
        at: how far it was read.
        was_cut: a tag was over the limit, so that the rest was not read.
    """

    def __init__(self, html: str, sink: Sink, budget: Budget) -> None:
        self.is_whole = True
        self.was_cut = False
        self.at = 0
        self._html = html
        self._sink = sink
        self._budget = budget
        self._tags = TagReader()

    def run(self) -> None:
        """Read all; raises ``BudgetSpentError``."""
        html, sink, budget, at = self._html, self._sink, self._budget, 0
        names, read, next_tag = self._tags.name, self._tags.read, _TEXT_AND_TAG.match
        while at >= 0:
            if budget.left < 0:
                raise BudgetSpentError
            self.at = at
            match = next_tag(html, at)
            if match is None:
                at = self._odd(at)
                continue
            text, source, is_end, name = match.groups()
            at = match.end()
            if text:
                sink.text(resolve_in_text(text) if "&" in text else text)
            if is_end:
                budget.left -= _END_STEPS
                sink.end(names(name))
                continue
            name, attributes, steps = read(source, name)
            budget.left -= steps
            closes = source[-2] == "/" and not _UNQUOTED_END.search(source)
            if sink.start(name, attributes, closes):
                at = self._raw(name, at)
        self.is_whole = at != _CUT

    def _odd(self, at: int) -> int:
        """Take the text at ``at`` that no tag follows, and what is there instead of one."""
        html = self._html
        self._budget.spend(_END_STEPS)
        match = _MARK.search(html, at)
        mark = match.start() if match else len(html)
        if mark > at:
            self._sink.text(resolve_in_text(html[at:mark]))
        if match is None:
            return _ENOUGH
        return mark if _TAG.match(html, mark) else self._no_tag(mark)

    def _raw(self, name: str, at: int) -> int:
        """The content of an element without markup, which begins at ``at``."""
        html = self._html
        if name == "plaintext":
            self._sink.raw(html[at:])
            return _ENOUGH
        if name == "script":
            end = _script_end(html, at)
        else:
            match = _ENDS[name].search(html, at)
            end = match.start() if match else -1
        content = html[at : end if end >= 0 else len(html)]
        self._sink.raw(resolve_in_text(content) if name in RCDATA else content)
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
                end_at = _past(html, ">", mark)
                self._sink.doctype(html[mark + 9 : end_at - 1 if end_at >= 0 else len(html)])
                return end_at
            if html.startswith("<![CDATA[", mark) and self._sink.is_foreign():
                end_at = _past(html, "]]>", mark)
                self._sink.text(html[mark + 9 : end_at - 3 if end_at >= 0 else len(html)])
                return end_at
            return self._bogus(mark)
        following = html[mark + 1 + is_end : mark + 2 + is_end]
        if following.isascii() and following.isalpha():
            self.was_cut = len(html) - mark > _CUT_TAG
            return _CUT
        if is_end and following:
            return self._bogus(mark)
        self._sink.text("<")
        return mark + 1

    def _bogus(self, mark: int) -> int:
        """A comment that is none: ``<?``, ``<!x``, ``</ ``."""
        end = _past(self._html, ">", mark)
        self._sink.comment(self._html[mark + 2 : end - 1 if end >= 0 else len(self._html)])
        return end


_CUT: Final = -1
_ENOUGH: Final = -2
_END_STEPS: Final = 3


def _past(html: str, what: str, at: int) -> int:
    match = html.find(what, at)
    return match + len(what) if match >= 0 else _CUT


def _script_end(html: str, at: int) -> int:
    """The index of the ``</script`` that ends the script, -1 for none (13.2.5.4, 13.2.5.20 to 31).

    Within ``<!--`` a ``<script`` has an end tag of its own, which ends nothing else.
    """
    escaped = inner = False
    for match in _SCRIPT.finditer(html, at):
        if match[0] == "<!--":
            escaped = True
            if html.startswith((">", "->"), match.end()):
                escaped = inner = False
        elif match[0] == "-->":
            escaped = inner = False
        elif not match[1]:
            inner = escaped
        elif inner:
            inner = False
        else:
            return match.start()
    return -1
