"""Conditions of rules: media queries, ``@supports``, ``@container`` (Conditional Rules Level 5).

They are answered for a person at a screen. An answer is true, false, or ``None`` where it is not
known, and ``not`` of that is not known either.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from nornmail.html.css.properties import expand
from nornmail.html.css.selectors import parse_selectors
from nornmail.html.css.syntax import (
    PARTED,
    Declaration,
    TooDeepError,
    declaration,
    split,
    unescape,
    without_comments,
)
from nornmail.html.css.values import VIEWPORT_HEIGHT, VIEWPORT_WIDTH, length_of

Answer = bool | None
_RANGE: Final = re.compile(
    r"(?:(.+?)\s*(<=?|>=?|=)\s*)?([a-z-][a-z0-9-]*)\s*(?:(<=?|>=?|=)\s*(.+))?"
)
_SIZES: Final = {
    "width": VIEWPORT_WIDTH, "device-width": VIEWPORT_WIDTH, "height": VIEWPORT_HEIGHT,
    "device-height": VIEWPORT_HEIGHT, "resolution": 1.0, "color": 8.0,
    "color-index": 0.0, "monochrome": 0.0, "grid": 0.0,
    "aspect-ratio": VIEWPORT_WIDTH / VIEWPORT_HEIGHT,
    "device-aspect-ratio": VIEWPORT_WIDTH / VIEWPORT_HEIGHT, "horizontal-viewport-segments": 1.0,
    "vertical-viewport-segments": 1.0, "-webkit-transform-3d": 1.0,
    "-webkit-device-pixel-ratio": 1.0,
}  # fmt: skip
_WORDS: Final = {
    "orientation": "landscape", "hover": "hover", "any-hover": "hover", "pointer": "fine",
    "any-pointer": "fine", "prefers-color-scheme": "light", "prefers-reduced-motion":
    "no-preference", "prefers-contrast": "no-preference", "prefers-reduced-transparency":
    "no-preference", "scripting": "none", "update": "fast",
    "overflow-block": "scroll", "overflow-inline": "scroll", "color-gamut": "srgb",
    "display-mode": "browser", "forced-colors": "none",
    "dynamic-range": "standard", "device-posture": "continuous",
}  # fmt: skip
_FALSE_WORDS: Final = frozenset({"none", "no-preference"})
_DEEPEST: Final = 32
_LEFT_OUT: Final = frozenset({"and", "or", "not", "only", "layer"})
_FUNCTION: Final = re.compile(r"([a-z-]+)\(")
_IDENTIFIER: Final = re.compile(r"-?[a-z_][-\w]*")


class _InvalidError(Exception):
    """Not a condition."""


def media_applies(query: str) -> bool:
    """Whether a list of media queries holds; an empty one does."""
    query = without_comments(query).replace(PARTED, " ").strip().lower()
    if "\\" in query:
        query = unescape(query)
        if not query.isprintable():  # a name for old browsers: screen\9
            return False
    return not query or any(_media_query(part.strip()) for part in split(query, ","))


def _media_query(text: str) -> bool:
    try:
        return _Condition(text, _media_feature).query() is True
    except _InvalidError:
        return False


def supports(condition: str) -> Answer:
    """``@supports``: whether a browser knows what is asked for."""
    try:
        return _Condition(condition.strip().lower(), _support).whole()
    except _InvalidError:
        return False


def container_applies(condition: str) -> Answer:
    """``@container``: nothing is laid out here, so that it is not known whether one holds."""
    try:
        _Condition(condition.strip().lower(), lambda _name, _inside: None).container()
    except _InvalidError:
        return False
    return None


Feature = Callable[[str, str], Answer]


class _Condition:
    """Reads ``not``, ``and``, ``or`` and brackets; ``feature`` answers what is in them."""

    def __init__(self, text: str, feature: Feature, depth: int = 0) -> None:
        self._text = text
        self._feature = feature
        self._depth = depth
        self._at = 0
        if depth > _DEEPEST:
            raise TooDeepError

    def query(self) -> Answer:
        """A media query: perhaps ``not`` or ``only``, a medium, and conditions."""
        start = self._at
        word = self._word()
        negated = word == "not"
        if word in ("not", "only"):
            word = self._word()
        if not word or (word == "not" and not negated):
            self._at = start
            return self.whole()
        if word in _LEFT_OUT:
            raise _InvalidError
        result: Answer = word in ("all", "screen")
        while self._blanks() and self._at < len(self._text):
            if self._word() != "and":
                raise _InvalidError
            inner = self._not() if self._peek() == "not" else self._brackets()
            result = _and(result, inner)
        return _not(result) if negated else result

    def container(self) -> None:
        start = self._at
        name = self._word()
        if not name or name in _LEFT_OUT or self._text[self._at : self._at + 1] == "(":
            self._at = start
        self._blanks()
        if self._at < len(self._text):
            self.whole()

    def whole(self) -> Answer:
        """A condition that is all there is."""
        negates = self._peek() == "not"
        result = self._not() if negates else self._brackets()
        joined = ""
        while self._blanks() and self._at < len(self._text):
            word = self._word()
            if word not in ("and", "or") or (joined and word != joined) or negates:
                raise _InvalidError
            joined = word
            other = self._brackets()
            result = _and(result, other) if word == "and" else _not(_and(_not(result), _not(other)))
        return result

    def _not(self) -> Answer:
        self._word()
        return _not(self._brackets())

    def _brackets(self) -> Answer:
        self._blanks()
        match = _FUNCTION.match(self._text, self._at)
        name = match[1] if match else ""
        at = match.end() if match else self._at + 1
        if not match and self._text[self._at : at] != "(":
            raise _InvalidError
        inside, self._at = _to_bracket(self._text, at)
        stripped = inside.strip()
        if not name and stripped.startswith(("(", "not ", "not(", "selector(", "style(")):
            return _Condition(stripped, self._feature, self._depth + 1).whole()
        return self._feature(name, stripped)

    def _blanks(self) -> bool:
        while self._text[self._at : self._at + 1].isspace():
            self._at += 1
        return True

    def _peek(self) -> str:
        start = self._at
        word = self._word()
        self._at = start
        return word

    def _word(self) -> str:
        self._blanks()
        match = _IDENTIFIER.match(self._text, self._at)
        if match is None or self._text[match.end() : match.end() + 1] == "(":
            return ""
        self._at = match.end()
        return match[0]


_BRACKET: Final = re.compile(r"""[()]|"[^"]*"?|'[^']*'?""")


def _to_bracket(text: str, at: int) -> tuple[str, int]:
    depth = 1
    for match in _BRACKET.finditer(text, at):
        if match[0] == "(":
            depth += 1
        elif match[0] == ")":
            depth -= 1
            if not depth:
                return text[at : match.start()], match.end()
    return text[at:], len(text)


def _not(answer: Answer) -> Answer:
    return None if answer is None else not answer


def _and(first: Answer, second: Answer) -> Answer:
    if first is False or second is False:
        return False
    return None if first is None or second is None else True


def _media_feature(name: str, text: str) -> Answer:
    if name:
        return None
    feature, colon, value = (part.strip() for part in text.partition(":"))
    if not colon:
        return _range(text)
    if feature.startswith(("-webkit-min-", "-webkit-max-")):
        feature = f"{feature[8:12]}-webkit-{feature[12:]}"
    wanted = _WORDS.get(feature)
    if wanted is not None:
        return value == wanted
    bound = feature[:4] if feature.startswith(("min-", "max-")) else ""
    size = _SIZES.get(feature.removeprefix(bound))
    number = _media_number(value, needs_unit=feature.endswith(("width", "height")))
    if size is None or number is None:
        return None
    return size >= number if bound == "min-" else size <= number if bound else size == number


def _range(text: str) -> Answer:
    match = _RANGE.fullmatch(text)
    if match is None:
        return None
    low, first, name, second, high = match.groups()
    size = _SIZES.get(name)
    if first is None and second is None:
        word = _WORDS.get(name)
        return (
            bool(size)
            if word is None and size is not None
            else (None if word is None else word not in _FALSE_WORDS)
        )
    if size is None or (first and second and first[0] != second[0]):
        return None
    result: Answer = True
    if first:
        result = _and(result, _compare(_media_number(low), first, size))
    if second:
        result = _and(result, _compare(size, second, _media_number(high)))
    return result


def _compare(first: float | None, sign: str, second: float | None) -> Answer:
    if first is None or second is None:
        return None
    if sign == "=":
        return first == second
    bigger, smaller = (first, second) if sign[0] == ">" else (second, first)
    return bigger > smaller or (len(sign) == 2 and bigger == smaller)


_DENSITIES: Final = (("dppx", 1.0), ("dpi", 1 / 96), ("dpcm", 2.54 / 96), ("x", 1.0))


def _media_number(text: str, *, needs_unit: bool = False) -> float | None:
    text = text.strip()
    for unit, factor in _DENSITIES:
        if text.endswith(unit) and text[: -len(unit)].replace(".", "", 1).isdigit():
            return float(text[: -len(unit)]) * factor
    if "/" in text and "(" not in text:
        over, _, under = text.partition("/")
        first, second = length_of(over.strip()), length_of(under.strip())
        return first.px / second.px if first and second and second.px else None
    length = length_of(text)
    is_bare = length is not None and length.px and length.is_number
    if length is None or (is_bare and (needs_unit or not text.replace(".", "").isdigit())):
        return None
    return length.pixels()


_KNOWN_NAMES: Final = (
    "align-content align-items align-self animation appearance aspect-ratio background"
    " border border-collapse border-radius box-decoration-break break-inside caret-color"
    " column-count column-gap columns cursor flex flex-basis flex-direction flex-flow"
    " flex-grow flex-wrap font-family font-feature-settings font-style font-variant"
    " font-weight gap grid grid-area grid-column grid-gap grid-row grid-template"
    " grid-template-areas grid-template-columns grid-template-rows hyphens inset isolation"
    " justify-content justify-items justify-self list-style margin object-fit"
    " object-position order outline overflow-wrap padding place-content place-items"
    " pointer-events resize row-gap scroll-behavior scroll-snap-type table-layout"
    " text-align text-decoration text-overflow text-rendering text-size-adjust"
    " text-transform touch-action transition user-select vertical-align will-change"
    " word-break word-spacing word-wrap writing-mode -webkit-appearance -webkit-line-clamp"
    " -webkit-user-select -webkit-text-size-adjust"
)
_KNOWN: Final = frozenset(_KNOWN_NAMES.split())
"""Properties that a browser knows and that say nothing of visibility, as far as mail asks."""
_FOREIGN: Final = ("-ms-", "-moz-", "-o-", "mso-", "-khtml-")


def _support(name: str, text: str) -> Answer:
    """Whether a declaration, a selector or a font format is known."""
    if name == "selector":
        if parse_selectors(text, quirks=False) is None or "," in text:
            return False
        return None if "::-webkit-" in text or ":is(" in text or ":where(" in text else True
    if name or text.startswith("--"):
        return None if name else True
    entry = declaration(text)
    if entry is None:
        return None
    return _knows(entry)


def _knows(entry: Declaration) -> Answer:
    name = entry.name
    if name.startswith(_FOREIGN) or name == "-webkit-overflow-scrolling":
        return False
    if name.startswith("grid-template"):
        return None if entry.value in ("masonry", "subgrid") else True
    if entry.value and name in _KNOWN:
        return True if "(" not in entry.value else None
    if expand(entry, quirks=False):
        return True
    return False if name in _READ else None


_READ: Final = frozenset({"display", "position", "color", "opacity", "visibility"})
