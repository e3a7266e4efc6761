"""The properties that can hide a text: their names, and what shorthands set."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Final

from nornmail.html.css.color import TRANSPARENT
from nornmail.html.css.syntax import Declaration, function, split, words
from nornmail.html.css.value_readers import (
    CURRENT,
    FETCHED_IMAGE,
    GRADIENT,
    READERS,
    UNKNOWN,
    WIDE_KEYWORDS,
    Pairs,
    Value,
    border_width_of,
    color_of,
    font_size_of,
    has_flat_row,
    image_of,
    is_far,
    is_late,
    is_tiny,
    line_height_of,
    mask_of,
    offset_of,
    size_of,
    stroke_width_of,
)
from nornmail.html.css.values import Length, is_too_long, length_of
from nornmail.html.limits import MAX_CSS_SUBSTITUTED_CHARS

LOGICAL: Final = "\0logical"
"""Set where the sides of a box were named by the direction of its text."""
_ALIASES: Final = {
    "overflow-x": "overflow", "overflow-y": "overflow", "overflow-block": "overflow",
    "overflow-inline": "overflow", "container": "container-type",
    "grid-auto-rows": "grid-template-rows", "grid-auto-columns": "grid-template-columns",
    "grid-row": "grid-area", "grid-column": "grid-area", "text-align-last": "text-align",
    "inline-size": "width", "block-size": "height",
    "max-inline-size": "max-width", "max-block-size": "max-height",
    "min-inline-size": "min-width", "min-block-size": "min-height",
    "inset-inline-start": "left", "inset-inline-end": "right", "inset-block-start": "top",
    "inset-block-end": "bottom", "margin-inline-start": "margin-left",
    "margin-inline-end": "margin-right", "margin-block-start": "margin-top",
    "margin-block-end": "margin-bottom", "white-space-collapse": "white-space",
    "padding-inline-start": "padding-left", "padding-inline-end": "padding-right",
    "padding-block-start": "padding-top", "padding-block-end": "padding-bottom",
    "outline-width": "outline", "border-image-slice": "border-image",
    "mask-border": "mask-box-image", "mask-border-source": "mask-box-image",
    "mask-box-image-source": "mask-box-image", "margin-start": "margin-left",
    "margin-end": "margin-right", "margin-before": "margin-top", "margin-after": "margin-bottom",
    "padding-start": "padding-left", "padding-before": "padding-top", "logical-width": "width",
    "logical-height": "height", "max-logical-height": "max-height",
    "max-logical-width": "max-width", "border-block-start": "border-top",
    "border-inline-start": "border-left",
}  # fmt: skip
_PREFIXED: Final = re.compile(
    r"-webkit-(?=filter|mask|box-|transform|backface-|perspective|clip-path|text-|background-|border-|animation"
    r"|margin-|padding-|opacity|line-clamp|logical-|(?:min|max)-logical-|print-color)"
)
_PREFIXED_ALONE: Final = frozenset(
    {"text-fill-color", "text-stroke", "text-stroke-color", "text-stroke-width", "text-security",
     "mask-box-image", "margin-start", "padding-start", "line-clamp"}
)  # fmt: skip
"""Properties that browsers know by their prefix only."""
INHERITED: Final = frozenset(
    {"visibility", "font-size", "font-size-adjust", "line-height", "letter-spacing", "text-indent",
     "word-spacing", "color", "text-fill-color", "text-stroke-color", "text-stroke-width",
     "text-shadow", "white-space", "direction", "color-scheme", "text-security"}
)  # fmt: skip
_SUBSTITUTED: Final = re.compile(
    r"(?:\b(?:var|env)|(?<![-\w])(?:if|attr)|(?<![-\w])--[-\w]+)\(", re.I
)
_COMPUTED: Final = re.compile(
    r"(?<![-\w])(?:random|sibling-index|sibling-count|anchor|anchor-size|progress|inherit"
    r"|interpolate|calc-interpolate|random-item|media-progress|container-progress|ident|toggle"
    r"|first-valid)\("
)
_LONG: Final = 20_000
"""Characters of a value that are read; the value of a longer one is unknown."""
_REMEMBERED_CHARS: Final = 300


def expand(entry: Declaration, *, quirks: bool) -> Pairs:
    """The longhands that a declaration sets, with their values; none when it is invalid.

    A value with ``var()`` in it is a :class:`Pending` one.

    Args:
        entry: the declaration.
        quirks: take ``1`` for ``1px`` and ``ffffff`` for ``#ffffff``, as browsers do on pages
            without a document type.
    """
    if len(entry.value) <= _REMEMBERED_CHARS:
        return _remembered(entry.name, entry.value, quirks)
    return tuple(_expanded(entry.name, entry.value, quirks))


@lru_cache(4096)
def _remembered(name: str, text: str, quirks: bool) -> Pairs:
    return tuple(_expanded(name, text, quirks))


def _expanded(name: str, text: str, quirks: bool) -> Iterator[tuple[str, Value]]:
    if name.startswith("--"):
        yield name, text
        return
    plain = _PREFIXED.sub("", name, count=1)
    if plain in _PREFIXED_ALONE and plain == name:
        return
    name = plain
    if name == "all":
        if text in WIDE_KEYWORDS:
            yield from ((each, text) for each in READERS if each not in ("direction",))
        return
    if "inline" in name and name.startswith(("margin", "padding", "inset")):
        yield LOGICAL, True
    if (name.startswith("overflow-") and text == "visible") or (name, text) == _NO_LAST_LINE:
        return  # where the other direction is cut off, it is as well
    name = _ALIASES.get(name, name)
    if name not in READERS and name not in _SHORTHANDS:
        return
    if len(text) > _LONG:
        text = _BLANKS.sub(" ", _ADDRESS.sub(_shortened, text))
    if (
        len(text) > _LONG
        or (_COMPUTED.search(text) and "(" in text)
        or (is_too_long(text) and name in _LENGTHS)
    ):
        yield from ((longhand, UNKNOWN) for longhand in _LONGHANDS.get(name, (name,)))
    elif "(" in text and _SUBSTITUTED.search(text):
        yield name, Pending(text)
    elif quirks or name in _NUMBERS or not _QUIRKY.fullmatch(text):
        yield from read(name, text)


def _shortened(match: re.Match[str]) -> str:
    return match[0][:20].rstrip("\"')") + ")"


_NO_LAST_LINE: Final = ("text-align-last", "auto")
_BLANKS: Final = re.compile(r"\s{2,}|[^\S ]")
_ADDRESS: Final = re.compile(r"""url\(\s*+(?:"[^"]*+"|'[^']*+'|[^()"']*+)\s*+\)""")
_QUIRKY: Final = re.compile(r"[+-]?[0-9.]*[1-9][0-9.]*|[0-9a-f]{3}(?:[0-9a-f]{3})?")
_NUMBERS: Final = frozenset(
    {"line-height", "opacity", "scale", "z-index", "zoom", "font-size-adjust", "animation"}
)
_LENGTHS: Final = frozenset({"width", "height", "font-size", "left", "top", "opacity"})


def read(name: str, text: str) -> Iterator[tuple[str, Value]]:
    """The longhands that ``name: text`` sets."""
    shorthand = _SHORTHANDS.get(name)
    if text in WIDE_KEYWORDS:
        for longhand in _LONGHANDS.get(name, (name,)):
            yield longhand, text
    elif shorthand is not None:
        yield from shorthand(text)
    else:
        if name == "overflow":
            text = next((word for word in text.split() if word != "visible"), text)
        value = READERS[name](text)
        if value is not None:
            yield name, value


class Pending(str):
    """A value that cannot be read before the custom properties in it are known."""

    __slots__ = ()


_FONT_WORDS: Final = re.compile(
    r"normal|italic|oblique|-?[0-9.]+deg|small-caps|bold|bolder|lighter|[1-9][0-9]{0,2}|1000"
    r"|(?:ultra-|extra-|semi-)?(?:condensed|expanded)"
)
_SYSTEM_FONTS: Final = frozenset(
    {"caption", "icon", "menu", "message-box", "small-caption", "status-bar"}
)
_TIME: Final = re.compile(r"-?[0-9.]+m?s")


def _border(*longhands: str) -> Callable[[str], Iterator[tuple[str, Value]]]:
    """A shorthand of borders, of which the width of those above, below and to the left counts."""

    def expanded(text: str) -> Iterator[tuple[str, Value]]:
        parts = words(text)
        width = next(filter(None, map(border_width_of, parts)), Length(px=3))
        is_drawn = any(part in _BORDERS for part in parts)
        for longhand in longhands:
            yield longhand, width if is_drawn else Length()

    return expanded


_BORDERS: Final = frozenset(
    {"solid", "dashed", "dotted", "double", "groove", "ridge", "inset", "outset"}
)


def _flex(text: str) -> Iterator[tuple[str, Value]]:
    """The size from which an item does not grow."""
    parts = words(text)
    lengths = [part for part in parts[1:] if not part.replace(".", "", 1).isdigit()] + parts[2:]
    if parts[:1] == ["0"] and lengths:
        yield "flex-basis", size_of(lengths[-1])


def _wrap(text: str) -> Iterator[tuple[str, Value]]:
    """Whether lines are broken."""
    if "nowrap" in text.split():
        yield "white-space", "nowrap"


def _font(text: str) -> Iterator[tuple[str, Value]]:
    if text in _SYSTEM_FONTS:
        yield "font-size", Length(px=13)
        yield "line-height", Length(em=1.2)
        return
    parts = words(re.sub(r"\s*/\s*", "/", text))
    while parts and _FONT_WORDS.fullmatch(parts[0]):
        parts.pop(0)
    if len(parts) < 2 or parts[1][0].isdigit():
        return
    size_text, slash, height_text = parts[0].partition("/")
    size, height = font_size_of(size_text), line_height_of(height_text if slash else "normal")
    if size is not None and height is not None and not (size.is_number and size.px):
        yield "font-size", size
        yield "line-height", height


_LAYER_WORDS: Final = re.compile(
    r"none|(?:no-)?repeat(?:-[xy])?|space|round|scroll|fixed|local|(?:border|padding|content)-box|text"
    r"|border-area|top|bottom|left|right|center|cover|contain|auto|/"
)


def _background(text: str) -> Iterator[tuple[str, Value]]:
    image: Value = "none"
    color: Value = TRANSPARENT
    clips = tiny = False
    for layer in split(text, ","):
        lengths = 0
        for word in words(layer):
            painted = color_of(word)
            lengths += length_of(word) is not None
            if (painted is not None and color is not TRANSPARENT) or lengths > 2 + 2 * (
                "/" in layer
            ):
                return
            if painted is not None:
                color = painted
            elif FETCHED_IMAGE.match(word) or GRADIENT.match(word):
                drawn = image_of(word)
                if drawn is None:
                    return
                image = drawn if image == "none" else image
            elif not all(
                not part or _LAYER_WORDS.fullmatch(part) or length_of(part) is not None
                for part in word.split("/")
            ):
                return
            clips = clips or word == "text"
        size = layer.rpartition("/")[2].split() if "/" in layer else []
        tiny = tiny or bool(size and is_tiny(" ".join(size[:2]))) or is_far(layer)
    yield "background-color", color
    yield "background-image", image
    yield "background-clip", clips
    yield "background-size", tiny


def _mask_shorthand(text: str) -> Iterator[tuple[str, Value]]:
    value = mask_of(text)
    if value is not None:
        yield "mask-image", value
        for name in _LONGHANDS["mask"][1:]:
            yield name, False


def _stroke(text: str) -> Iterator[tuple[str, Value]]:
    width: float | None = 0.0
    color: Value = CURRENT
    for word in words(text):
        painted = color_of(word)
        if painted is not None and length_of(word) is None:
            color = painted
        else:
            width = stroke_width_of(word)
            if width is None:
                return
    yield "text-stroke-width", width
    yield "text-stroke-color", color


def _animation(text: str) -> Iterator[tuple[str, Value]]:
    names = [word for layer in split(text, ",") for word in words(layer)]
    times = [word for word in names if _TIME.fullmatch(word)]
    yield "animation-name", tuple(name.strip("\"'") for name in names)
    yield "animation-delay", is_late(times[1]) if len(times) > 1 else False
    for longhand in _LONGHANDS["animation"][2:]:
        yield longhand, text


def _offset_shorthand(text: str) -> Iterator[tuple[str, Value]]:
    yield "offset-path", any(function(word) is not None for word in words(text))


def _grid(text: str) -> Iterator[tuple[str, Value]]:
    yield "grid-template-rows", has_flat_row(text)


def _sides(*longhands: str) -> Callable[[str], Iterator[tuple[str, Value]]]:
    """A shorthand of four sides, or of two: top, right, bottom, left, as CSS fills them up."""

    def expanded(text: str) -> Iterator[tuple[str, Value]]:
        parts = words(text)
        values = [offset_of(part) for part in parts]
        if not 1 <= len(values) <= len(longhands) or None in values:
            return
        if "auto" in values and longhands[0].startswith("padding"):
            return
        for number, longhand in enumerate(longhands):
            at = number if number < len(values) else (number - 2 if number > 1 else 0)
            yield longhand, values[at if at < len(values) else 0]

    return expanded


_LONGHANDS: Final[dict[str, tuple[str, ...]]] = {
    "font": ("font-size", "line-height"),
    "background": ("background-color", "background-image", "background-clip", "background-size"),
    "margin": ("margin-top", "margin-right", "margin-bottom", "margin-left"),
    "inset": ("top", "right", "bottom", "left"),
    "padding": ("padding-top", "padding-right", "padding-bottom", "padding-left"),
    "margin-inline": ("margin-left", "margin-right"),
    "margin-block": ("margin-top", "margin-bottom"),
    "padding-inline": ("padding-left", "padding-right"),
    "padding-block": ("padding-top", "padding-bottom"),
    "inset-inline": ("left", "right"),
    "inset-block": ("top", "bottom"),
    "mask": ("mask-image", "mask-size", "mask-position", "mask-repeat", "mask-clip", "mask-mode",
             "mask-composite", "mask-box-image"),
    "text-stroke": ("text-stroke-width", "text-stroke-color"),
    "offset": ("offset-path",),
    "border": ("border-top-width", "border-bottom-width", "border-left-width"),
    "border-top": ("border-top-width",), "border-bottom": ("border-bottom-width",),
    "border-left": ("border-left-width",), "grid": ("grid-template-rows",),
    "flex": ("flex-basis",),
    "grid-template": ("grid-template-rows",),
    "animation": ("animation-name", "animation-delay", "animation-fill-mode",
                  "animation-direction", "animation-play-state"),
}  # fmt: skip
_SHORTHANDS: Final[dict[str, Callable[[str], Iterator[tuple[str, Value]]]]] = {
    **{
        name: _sides(*_LONGHANDS[name])
        for name in ("margin", "inset", "padding", "margin-inline", "margin-block",
                     "padding-inline", "padding-block", "inset-inline", "inset-block")
    },
    "font": _font, "background": _background, "mask": _mask_shorthand, "text-stroke": _stroke,
    "offset": _offset_shorthand, "border": _border(*_LONGHANDS["border"]),
    "border-top": _border("border-top-width"), "border-bottom": _border("border-bottom-width"),
    "border-left": _border("border-left-width"),
    "flex": _flex, "text-wrap": _wrap, "text-wrap-mode": _wrap,
    "grid": _grid, "grid-template": _grid, "animation": _animation,
}  # fmt: skip


# Custom properties

_REFERENCE: Final = re.compile(r"(?<![-\w])(var|env)\(", re.I)
_OTHER: Final = re.compile(r"(?<![-\w])(?:if|attr|inherit|--[-\w]+)\(", re.I)
_NAME: Final = re.compile(r"\s*(--[^\s,()]+|[-\w]+)\s*([,)]|\Z)")
_DEEPEST: Final = 64
_ENVIRONMENT: Final = {
    f"safe-area-{kind}-{side}": "0px"
    for kind in ("inset", "max-inset") for side in ("top", "right", "bottom", "left")
}  # fmt: skip


def substituted(text: str, variables: Mapping[str, str], depth: int = 0) -> str | None:
    """``text`` with ``var()`` substituted.

    Returns:
        ``None`` when a custom property is missing, ``UNKNOWN`` when the value was not computed.
    """
    if _OTHER.search(text) or depth > _DEEPEST:
        return UNKNOWN
    pieces, at, size = [], 0, len(text)
    while match := _REFERENCE.search(text, at):
        pieces.append(text[at : match.start()])
        inside, at = _arguments(text, match.end())
        name = _NAME.match(inside)
        if name is None:
            return None
        fallback = inside[name.end() :] if name[2] == "," else None
        is_variable = match[1].lower() == "var"
        value = variables.get(name[1]) if is_variable else _ENVIRONMENT.get(name[1].lower())
        value = value if value is not None else fallback
        if value is not None and ("(" in value):
            value = substituted(value, variables, depth + 1)
            if value is None and fallback is not None:
                value = substituted(fallback, variables, depth + 1)
        if value is None or value == UNKNOWN:
            return value
        size += len(value)
        if size > MAX_CSS_SUBSTITUTED_CHARS:
            return UNKNOWN
        pieces.append(value)
    return "".join((*pieces, text[at:]))


def _arguments(text: str, at: int) -> tuple[str, int]:
    depth = 1
    for number in range(at, len(text)):
        if text[number] == "(":
            depth += 1
        elif text[number] == ")":
            depth -= 1
            if not depth:
                return text[at:number], number + 1
    return text[at:], len(text)
