"""The properties that can hide a text: how their values are read, and what shorthands set.

A value that is invalid does not count, so that the one before it stays in force.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final

from nornmail.html.css.color import TRANSPARENT, Color, alike, parse_color
from nornmail.html.css.syntax import Declaration, split, words
from nornmail.html.css.transforms import clip, clip_path, transform, turned_away
from nornmail.html.css.values import Length, length_of, number_of
from nornmail.html.limits import MAX_CSS_VALUE_CHARS

CURRENT: Final = "currentcolor"
IMAGE: Final = "image"
"""A background of which the color cannot be told."""
WIDE_KEYWORDS: Final = frozenset({"inherit", "initial", "unset", "revert", "revert-layer"})
Value = Any
"""What a property's reader makes of the text: a keyword, a number, a length, a color."""

_DISPLAY: Final = re.compile(
    r"(?:none|contents|block|inline|inline-block|list-item|flow-root|flex|inline-flex|grid"
    r"|inline-grid|ruby(?:-[a-z]+)?|table|inline-table|table-[a-z-]+|-webkit-(?:inline-)?(?:box|flex)"
    r"|math|run-in|(?:block|inline) (?:flow|flow-root|flex|grid|table|ruby|math)|grid-lanes)"
)
_FONT_SIZES: Final = {
    "xx-small": 9, "x-small": 10, "small": 13, "medium": 16, "large": 18, "x-large": 24,
    "xx-large": 32, "xxx-large": 48,
}  # fmt: skip
_RELATIVE: Final = {"smaller": Length(em=5 / 6), "larger": Length(em=1.2)}
_FONT_WORDS: Final = re.compile(
    r"normal|italic|oblique|small-caps|bold|bolder|lighter|[1-9][0-9]{0,2}|1000"
    r"|(?:ultra-|extra-|semi-)?(?:condensed|expanded)"
)
_SYSTEM_FONTS: Final = frozenset(
    {"caption", "icon", "menu", "message-box", "small-caption", "status-bar"}
)
_SIZES: Final = frozenset(
    {"auto", "none", "min-content", "max-content", "fit-content", "stretch", "normal"}
)
_IMAGE: Final = re.compile(r"(?:url|image-set|-webkit-image-set|cross-fade|image|paint)\(")
_GRADIENT: Final = re.compile(
    r"(?:-webkit-|-moz-|repeating-)*(?:linear|radial|conic)-gradient\((.*)", re.S
)
_COLOR: Final = re.compile(r"#[0-9a-f]+|[a-z-]+\((?:[^()]|\([^()]*\))*\)|[a-z]+")


def _one_of(*allowed: str) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def _font_size(text: str) -> Length | None:
    if text in _FONT_SIZES:
        return Length(px=_FONT_SIZES[text])
    if text in _RELATIVE:
        return _RELATIVE[text]
    size = length_of(text)
    return None if size is None or size.pixels() < 0 else size


def _size(text: str) -> Length | str | None:
    if text in _SIZES or text.startswith("fit-content("):
        return "auto"
    size = length_of(text)
    return None if size is None or size.pixels() < 0 else size


def _offset(text: str) -> Length | str | None:
    return "auto" if text == "auto" else length_of(text)


def _spacing(text: str) -> Length | None:
    return Length() if text == "normal" else length_of(text)


def _line_height(text: str) -> Length | None:
    if text == "normal":
        return Length(em=1.2)
    height = length_of(text)
    if height is None or height.pixels() < 0:
        return None
    return Length(em=height.px) if height.is_number else height


def _color(text: str) -> Color | str | None:
    return CURRENT if text == CURRENT else parse_color(text, quirks=True)


def _zoom(text: str) -> float | None:
    return 1.0 if text in ("normal", "reset") else number_of(text)


def _scale(text: str) -> float | None:
    if text == "none":
        return 1.0
    numbers = [number_of(one) for one in words(text)]
    return (
        min(abs(one) for one in numbers if one is not None)
        if numbers and None not in numbers
        else None
    )


def _translate(text: str) -> tuple[Length, Length] | None:
    if text == "none":
        return Length(), Length()
    lengths = [length_of(one) for one in words(text)]
    if not lengths or lengths[0] is None:
        return None
    return lengths[0], (lengths[1] if len(lengths) > 1 else None) or Length()


def _filter(text: str) -> float | None:
    """How much of the text is left: ``opacity(0)``, ``blur(99px)``."""
    left = 1.0
    for called in words(text):
        name, _, inside = called.partition("(")
        inside = inside.removesuffix(")").strip()
        if name == "opacity":
            share = number_of(inside or "1")
            left *= 1.0 if share is None else max(0.0, min(1.0, share))
        elif name == "blur":
            radius = length_of(inside or "0")
            left *= 0.0 if radius is not None and radius.pixels() >= _BLURRED else 1.0
        elif name not in _FILTERS:
            return None
    return left


_FILTERS: Final = frozenset(
    {"none", "url", "brightness", "contrast", "drop-shadow", "grayscale", "hue-rotate", "invert",
     "saturate", "sepia"}
)  # fmt: skip
_BLURRED: Final = 8.0
"""Pixels of blur at which text of ordinary size cannot be read."""


def _mask(text: str) -> bool | None:
    """Whether the mask lets nothing through."""
    gradient = _GRADIENT.search(text)
    if gradient is None:
        return False
    stops = _stops(gradient[1])
    return bool(stops) and all(one.alpha < 0.1 for one in stops)


def _image(text: str) -> Color | str | None:
    """The background's image: none, one of one color, or one of which nothing is known."""
    gradient = _GRADIENT.search(text)
    if gradient is not None:
        stops = _stops(gradient[1])
        if stops and all(
            alike(stops[0], one) and abs(one.alpha - stops[0].alpha) < 0.1 for one in stops
        ):
            return stops[0]
        return IMAGE
    if _IMAGE.search(text):
        return IMAGE
    return "none" if text == "none" or "none" in text.split() else None


def _stops(text: str) -> list[Color]:
    return [one for one in map(parse_color, _COLOR.findall(text)) if one is not None]


def _opacity(text: str) -> float | None:
    share = number_of(text)
    return None if share is None else max(0.0, min(1.0, share))


READERS: Final[dict[str, Callable[[str], Value]]] = {
    "display": lambda text: text if _DISPLAY.fullmatch(text) else None,
    "visibility": _one_of("visible", "hidden", "collapse"),
    "content-visibility": _one_of("visible", "hidden", "auto"),
    "opacity": _opacity,
    "filter": _filter,
    "mask-image": _mask,
    "font-size": _font_size,
    "line-height": _line_height,
    "letter-spacing": _spacing,
    "text-indent": lambda text: length_of(words(text)[0]) if text.strip() else None,
    "color": _color,
    "text-fill-color": _color,
    "background-color": _color,
    "background-image": _image,
    "width": _size, "height": _size, "max-width": _size, "max-height": _size,
    "overflow": _one_of("visible", "hidden", "clip", "scroll", "auto", "overlay"),
    "position": _one_of("static", "relative", "absolute", "fixed", "sticky"),
    "left": _offset, "right": _offset, "top": _offset, "bottom": _offset,
    "margin-left": _offset, "margin-top": _offset, "margin-bottom": _offset,
    "padding-left": length_of, "padding-right": length_of,
    "padding-top": length_of, "padding-bottom": length_of,
    "transform": transform, "scale": _scale, "translate": _translate, "rotate": turned_away,
    "zoom": _zoom,
    "clip": clip,
    "clip-path": clip_path,
    "white-space": _one_of("normal", "nowrap", "pre", "pre-wrap", "pre-line", "break-spaces"),
    "float": lambda text: text if text in ("left", "right") else None,
    "text-security": _one_of("none", "disc", "circle", "square"),
    "z-index": lambda text: number_of(text) if text != "auto" else None,
    "mso-hide": _one_of("all", "none", "no", "auto"),
}  # fmt: skip

_ALIASES: Final = {
    "overflow-x": "overflow", "overflow-y": "overflow", "overflow-block": "overflow",
    "overflow-inline": "overflow", "mask": "mask-image", "inline-size": "width",
    "block-size": "height", "max-inline-size": "max-width", "max-block-size": "max-height",
    "inset-inline-start": "left", "inset-inline-end": "right", "inset-block-start": "top",
    "inset-block-end": "bottom", "margin-inline-start": "margin-left",
    "margin-block-start": "margin-top", "margin-block-end": "margin-bottom",
    "white-space-collapse": "white-space",
    "padding-inline-start": "padding-left", "padding-inline-end": "padding-right",
    "padding-block-start": "padding-top", "padding-block-end": "padding-bottom",
}  # fmt: skip
_PREFIXES: Final = ("-webkit-", "-moz-", "-ms-", "-o-", "-khtml-")
INHERITED: Final = frozenset(
    {"visibility", "font-size", "line-height", "letter-spacing", "text-indent", "color",
     "text-fill-color", "white-space"}
)  # fmt: skip


def expand(one: Declaration, *, quirks: bool) -> Iterator[tuple[str, Value]]:
    """The longhands that a declaration sets, with their values; none when it is invalid.

    A value with ``var()`` in it is a :class:`Pending` one.

    Args:
        quirks: take ``1`` for ``1px`` and ``ffffff`` for ``#ffffff``, as browsers do on pages
            without a document type.
    """
    name, text = one.name, one.value
    if len(text) > MAX_CSS_VALUE_CHARS:
        text = _BLANKS.sub(" ", _ADDRESS.sub("url()", text))
        if len(text) > MAX_CSS_VALUE_CHARS:
            return
    if name.startswith("--"):
        yield name, text
        return
    if name.startswith("-"):
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
    if name == "all" and one.value in WIDE_KEYWORDS:
        yield from ((each, one.value) for each in READERS)
        return
    name = _ALIASES.get(name, name)
    if name not in READERS and name not in _SHORTHANDS:
        return
    if "var(" in text or "env(" in text:
        yield name, Pending(text)
    elif quirks or not _QUIRKY.fullmatch(text) or name in _NUMBERS:
        yield from read(name, text)


_BLANKS: Final = re.compile(r"\s+")
_ADDRESS: Final = re.compile(r"""url\(\s*+(?:"[^"]*+"|'[^']*+'|[^()"']*+)\s*+\)""")


_QUIRKY: Final = re.compile(r"[+-]?[0-9.]*[1-9][0-9.]*|[0-9a-f]{3}(?:[0-9a-f]{3})?")
_NUMBERS: Final = frozenset({"line-height", "opacity", "scale", "z-index", "zoom"})


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
            text = next((one for one in text.split() if one != "visible"), text)
        value = READERS[name](text)
        if value is not None:
            yield name, value


class Pending(str):
    """A value that cannot be read before the custom properties in it are known."""

    __slots__ = ()


def _font(text: str) -> Iterator[tuple[str, Value]]:
    if text in _SYSTEM_FONTS:
        yield "font-size", Length(px=13)
        yield "line-height", Length(em=1.2)
        return
    parts = re.sub(r"\s*/\s*", "/", text).split()
    while parts and _FONT_WORDS.fullmatch(parts[0]):
        parts.pop(0)
    if len(parts) < 2:
        return
    size_text, slash, height_text = parts[0].partition("/")
    size, height = _font_size(size_text), _line_height(height_text if slash else "normal")
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
    for layer in split(text, ","):
        for word in words(layer):
            painted = _color(word)
            if painted is not None:
                color = painted
            elif _IMAGE.match(word) or _GRADIENT.match(word):
                image = _image(word) if image == "none" else image
            elif not all(
                not one or _LAYER_WORDS.fullmatch(one) or length_of(one) is not None
                for one in word.split("/")
            ):
                return
    yield "background-color", color
    yield "background-image", image


def _sides(name: str, *longhands: str) -> Callable[[str], Iterator[tuple[str, Value]]]:
    def expanded(text: str) -> Iterator[tuple[str, Value]]:
        parts = words(text)
        values = [_offset(part) for part in parts]
        if not 1 <= len(values) <= 4 or None in values:
            return
        top, right = values[0], values[1 % len(values)] if len(values) > 1 else values[0]
        bottom = values[2] if len(values) > 2 else top
        left = values[3] if len(values) > 3 else right
        for side, value in (("top", top), ("right", right), ("bottom", bottom), ("left", left)):
            longhand = f"{name}{side}"
            if longhand in longhands and not (value == "auto" and name == "padding-"):
                yield longhand, value

    return expanded


_LONGHANDS: Final = {
    "font": ("font-size", "line-height"),
    "background": ("background-color", "background-image"),
    "margin": ("margin-top", "margin-bottom", "margin-left"),
    "inset": ("top", "right", "bottom", "left"),
    "padding": ("padding-top", "padding-right", "padding-bottom", "padding-left"),
}
_SHORTHANDS: Final[dict[str, Callable[[str], Iterator[tuple[str, Value]]]]] = {
    "font": _font,
    "background": _background,
    "margin": _sides("margin-", *_LONGHANDS["margin"]),
    "inset": _sides("", *_LONGHANDS["inset"]),
    "padding": _sides("padding-", *_LONGHANDS["padding"]),
}
