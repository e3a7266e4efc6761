"""Media queries and ``@supports``, for a person at a screen (Media Queries Level 4)."""

from __future__ import annotations

import re
from typing import Final

from nornmail.html.css.syntax import split
from nornmail.html.css.values import VIEWPORT_HEIGHT, VIEWPORT_WIDTH, length_of

_PART: Final = re.compile(r"\(((?>(?:[^()]|\((?>(?:[^()]|\([^()]*+\))*)\))*))\)|[a-z0-9_-]+")
_RANGE: Final = re.compile(r"(?:(.+?)\s*(<=?|>=?|=)\s*)?([a-z-]+)\s*(?:(<=?|>=?|=)\s*(.+))?")
_SIZES: Final = {
    "width": VIEWPORT_WIDTH, "device-width": VIEWPORT_WIDTH, "inline-size": VIEWPORT_WIDTH,
    "height": VIEWPORT_HEIGHT, "device-height": VIEWPORT_HEIGHT, "block-size": VIEWPORT_HEIGHT,
    "device-pixel-ratio": 1.0, "resolution": 1.0, "color": 8.0, "color-index": 0.0,
    "monochrome": 0.0, "grid": 0.0, "aspect-ratio": VIEWPORT_WIDTH / VIEWPORT_HEIGHT,
    "device-aspect-ratio": VIEWPORT_WIDTH / VIEWPORT_HEIGHT,
}  # fmt: skip
_WORDS: Final = {
    "orientation": "landscape", "hover": "hover", "any-hover": "hover", "pointer": "fine",
    "any-pointer": "fine", "prefers-color-scheme": "light", "prefers-reduced-motion":
    "no-preference", "prefers-contrast": "no-preference", "scripting": "none", "update": "fast",
    "overflow-block": "scroll", "overflow-inline": "scroll", "color-gamut": "srgb",
    "display-mode": "browser", "scan": "progressive", "forced-colors": "none",
    "inverted-colors": "none", "dynamic-range": "standard",
}  # fmt: skip
_DEEPEST: Final = 5


def media_applies(query: str) -> bool:
    """Whether a list of media queries holds; an empty one does."""
    query = query.strip().lower()
    return not query or any(_query(one.strip(), 0) for one in split(query, ","))


def _query(text: str, depth: int) -> bool:
    """``not``, a medium, and conditions; what cannot be understood does not hold."""
    result, negate, either = True, False, False
    found = _PART.findall(text)
    for whole in _PART.finditer(text):
        word, inside = whole[0], whole[1]
        if word == "not":
            negate = True
            continue
        if word in ("only", "and"):
            continue
        if word == "or":
            either = True
            continue
        holds = _condition(inside, depth) if inside is not None else word in ("all", "screen")
        if inside is not None and negate:
            holds, negate = not holds, False
        result = (result or holds) if either else (result and holds)
        either = False
    return bool(found) and result != negate


def _condition(text: str, depth: int) -> bool:
    text = text.strip()
    if depth < _DEEPEST and (text.startswith("(") or text.startswith("not ")):
        return _query(text, depth + 1)
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon:
        return _range(text)
    name = name.removeprefix("-webkit-").removeprefix("-moz-")
    wanted = _WORDS.get(name)
    if wanted is not None:
        return value == wanted
    bound = (
        "min"
        if name.startswith(("min-", "min--moz-"))
        else "max"
        if name.startswith("max-")
        else ""
    )
    size = _SIZES.get(name.removeprefix("min-").removeprefix("max-"))
    number = _media_number(value)
    if size is None or number is None:
        return False
    return size >= number if bound == "min" else size <= number if bound else size == number


def _range(text: str) -> bool:
    found = _RANGE.fullmatch(text)
    if found is None:
        return False
    low, first, name, second, high = found.groups()
    size = _SIZES.get(name)
    if first is None and second is None:
        return _WORDS.get(name, "none") not in ("none", "no-preference") or bool(size)
    if size is None:
        return False
    checks = []
    if first:
        checks.append(_compare(_media_number(low), first, size))
    if second:
        checks.append(_compare(size, second, _media_number(high)))
    return all(checks)


def _compare(one: float | None, sign: str, two: float | None) -> bool:
    if one is None or two is None:
        return False
    if sign == "=":
        return one == two
    bigger, smaller = (one, two) if sign[0] == ">" else (two, one)
    return bigger > smaller or (len(sign) == 2 and bigger == smaller)


def _media_number(text: str) -> float | None:
    text = text.strip()
    for unit, factor in (("dppx", 1.0), ("dpi", 1 / 96), ("dpcm", 2.54 / 96), ("x", 1.0)):
        if text.endswith(unit) and text[: -len(unit)].replace(".", "").isdigit():
            return float(text[: -len(unit)]) * factor if text.count(".") < 2 else None
    if "/" in text and "(" not in text:
        over, _, under = text.partition("/")
        first, second = length_of(over), length_of(under)
        return first.px / second.px if first and second and second.px else None
    length = length_of(text)
    return None if length is None else length.pixels()


def supports(condition: str) -> bool:
    """``@supports``: a browser supports what is asked for, unless the question is negated."""
    condition = condition.strip().lower()
    if condition.startswith("not"):
        return not supports(condition[3:]) if len(condition) < 1_000 else False
    return "-ms-" not in condition and "-moz-" not in condition
