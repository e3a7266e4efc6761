"""The properties that can hide a text: how their values are read, and what shorthands set.

A value that is invalid does not count, so that the one before it stays in force. A value that is
valid and cannot be computed here is :data:`UNKNOWN`: its element is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, Final, NamedTuple

from nornmail.html.css import clipping, transforms
from nornmail.html.css.color import TRANSPARENT, Color, alike, parse_color
from nornmail.html.css.filters import BLENDS, parse_filter
from nornmail.html.css.syntax import Declaration, function, split, words
from nornmail.html.css.values import Length, is_too_long, length_of, number_of

CURRENT: Final = "currentcolor"
IMAGE: Final = "image"
"""A background of which the color is not known."""
UNKNOWN: Final = "\0unknown"
"""A value that is valid and was not computed."""
LOGICAL: Final = "\0logical"
"""Set where the sides of a box were named by the direction of its text."""
WIDE_KEYWORDS: Final = frozenset({"inherit", "initial", "unset", "revert", "revert-layer"})
Value = Any
"""What a property's reader makes of the text: a keyword, a number, a length, a color."""
Pairs = tuple[tuple[str, Value], ...]


class Shadow(NamedTuple):
    """One shadow of a text or of a box."""

    color: Color | str
    x: float
    y: float
    blur: float
    spread: float
    is_inset: bool


_DISPLAY: Final = re.compile(
    r"(?:none|contents|block|inline|inline-block|list-item|flow-root|flex|inline-flex|grid"
    r"|inline-grid|ruby(?:-[a-z]+)?|table|inline-table|table-(?:row|cell|column|caption|(?:row|column|header|footer)-group)|-webkit-(?:inline-)?(?:box|flex)"
    r"|math|(?:block|inline) (?:flow|flow-root|flex|grid|table|ruby|math))"
)
_FONT_SIZES: Final = {
    "xx-small": 9, "x-small": 10, "small": 13, "medium": 16, "large": 18, "x-large": 24,
    "xx-large": 32, "xxx-large": 48,
}  # fmt: skip
_RELATIVE: Final = {"smaller": Length(em=5 / 6), "larger": Length(em=1.2)}
_FONT_WORDS: Final = re.compile(
    r"normal|italic|oblique|-?[0-9.]+deg|small-caps|bold|bolder|lighter|[1-9][0-9]{0,2}|1000"
    r"|(?:ultra-|extra-|semi-)?(?:condensed|expanded)"
)
_SYSTEM_FONTS: Final = frozenset(
    {"caption", "icon", "menu", "message-box", "small-caption", "status-bar"}
)
_SIZES: Final = frozenset(
    {"auto", "none", "min-content", "max-content", "fit-content", "stretch", "normal",
     "-webkit-fill-available"}
)  # fmt: skip
_IMAGE: Final = re.compile(
    r"(?:url|image-set|-webkit-image-set|(?:-webkit-)?cross-fade|image|paint|element)\("
)
_FETCHED: Final = re.compile(r"""url\(\s*["']?(?:https?|cid|data):|image-set\(|cross-fade\(""")
_MIXED: Final = re.compile(r"(?:image-set|cross-fade)\(")
_GRADIENT: Final = re.compile(
    r"(?:-webkit-|-moz-|repeating-)*(?:(?:linear|radial|conic)-)?gradient\((.*)", re.S
)
_STOP: Final = re.compile(r"(?:from|to|color-stop)\(")
_COLOR: Final = re.compile(r"#[0-9a-f]+|[a-z-]+\((?:[^()]|\([^()]*\))*\)|[a-z]+")


def _keyword(*allowed: str) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def _font_size(text: str) -> Length | None:
    if text in _FONT_SIZES:
        return Length(px=_FONT_SIZES[text])
    if text in _RELATIVE:
        return _RELATIVE[text]
    size = _length(text)
    if size is not None and "(" in text:  # what math makes of a negative size is 0
        return size if size.pixels() > 0 else Length()
    return None if size is None or size.pixels() < 0 else size


def _length(text: str) -> Length | None:
    """A length; what math makes a number is none."""
    length = length_of(text)
    is_number = length is not None and length.is_number and "(" in text
    return None if is_number else length


def _size(text: str) -> Length | str | None:
    if text in _SIZES or text.startswith(("fit-content(", "calc-size(")):
        return "auto"
    size = _length(text)
    return None if size is None or size.pixels() < 0 else size


def _offset(text: str) -> Length | str | None:
    return "auto" if text == "auto" else _length(text)


def _spacing(text: str) -> Length | None:
    return Length() if text == "normal" else _length(text)


def _line_height(text: str) -> Length | None:
    if text == "normal":
        return Length(em=1.2)
    height = length_of(text)
    if height is None or height.pixels() < 0:
        return None
    return Length(em=height.px) if height.is_number else height


def _color(text: str) -> Color | str | None:
    if text == CURRENT:
        return CURRENT
    color = parse_color(text, quirks=True)
    return UNKNOWN if color is None and _OTHER_COLOR.match(text) else color


_OTHER_COLOR: Final = re.compile(
    r"(?:color|color-mix|contrast-color|light-dark|lab|lch|hwb|alpha|device-cmyk)\(|[a-z]+\(from "
    r"|(?:active|visited)text|accentcolor(?:text)?|selecteditem(?:text)?|highlight(?:text)?\Z"
)
"""Colors that are not computed here: mail is written without them."""


def _zoom(text: str) -> float | None:
    return 1.0 if text in ("normal", "reset") else number_of(text)


def _mask(text: str) -> bool | None:
    """Whether the mask may hide the first words: any that is not plainly opaque may."""
    if text == "none":
        return False
    if split(text, ",")[1:]:
        return True
    gradient = _GRADIENT.match(text)
    if gradient is None:
        return True if _IMAGE.match(text) else None
    inside, rest = _up_to_end(gradient[1])
    stops = _stops(inside)
    opaque = bool(stops) and all(stop.alpha >= 0.5 for stop in stops)
    return not opaque or bool(rest.replace("repeat", "").replace("border-box", "").strip())


def _up_to_end(text: str) -> tuple[str, str]:
    """What is in the brackets that were opened before ``text``, and what follows them."""
    depth = 1
    for match in re.finditer(r"[()]", text):
        depth += 1 if match[0] == "(" else -1
        if not depth:
            return text[: match.start()], text[match.end() :]
    return text, ""


def _mask_part(*plain: str) -> Callable[[str], bool | None]:
    """Whether another property of masks makes one that may hide the first words."""
    return lambda text: text not in plain


def _image(text: str) -> Color | str | None:
    """The background's image: none, one of one color, or one of which nothing is known."""
    if text == "none":
        return "none"
    result: Color | str | None = None
    if "currentcolor" in text or ("gradient(" in text and _MIXED.search(text)):
        return UNKNOWN
    for layer in split(text, ","):
        layer = layer.strip()
        gradient = _GRADIENT.match(layer)
        if gradient is not None:
            stops = _stops(gradient[1])
            is_turned = not gradient[1].partition(",")[0].strip("+-.0123456789 ")
            if not stops or is_turned or ",)" in layer.replace(" ", ""):
                return None
            same = stops and all(
                alike(stops[0], stop) and abs(stop.alpha - stops[0].alpha) < 0.1 for stop in stops
            )
            painted: Color | str = stops[0] if same else IMAGE
        elif _IMAGE.match(layer):
            painted = IMAGE if _FETCHED.match(layer) else "none"
        elif layer == "none":
            painted = "none"
        else:
            return None
        if result is None or result == "none":
            result = painted
    return result


def _stops(text: str) -> list[Color]:
    texts = _COLOR.findall(_STOP.sub(" ", text))
    return [color for color in map(parse_color, texts) if color is not None]


def _tiny(text: str) -> bool | None:
    """Whether a background's image is drawn in no size."""
    first = words(split(text, ",")[0])
    lengths = [length_of(word) for word in first]
    return any(length is not None and length.pixels() < _TINY for length in lengths)


def _is_far(text: str) -> bool:
    """Whether a background's image stands far from the first words."""
    lengths = (length_of(word) for word in words(text))
    return any(length is not None and abs(length.px) >= _FAR for length in lengths)


_FAR: Final = 500.0


_TINY: Final = 4.0
"""Pixels of an image that does not lie behind the first words."""


def _opacity(text: str) -> float | None:
    share = number_of(text)
    return None if share is None else max(0.0, min(1.0, share))


def _shadows(text: str) -> tuple[Shadow, ...] | None:
    if text == "none":
        return ()
    shadows = []
    for layer in split(text, ","):
        color: Color | str = CURRENT
        lengths: list[float] = []
        is_inset = False
        for word in words(layer):
            length = length_of(word)
            painted = None if length is not None else _color(word)
            if word == "inset":
                is_inset = True
            elif length is not None:
                lengths.append(length.pixels())
            elif painted is not None:
                color = painted
            else:
                return None
        if not 2 <= len(lengths) <= 4:
            return None
        x, y, blur, spread = (*lengths, 0.0, 0.0)[:4]
        shadows.append(Shadow(color, x, y, blur, spread, is_inset))
    return tuple(shadows)


def _stroke_width(text: str) -> float | None:
    if text in ("thin", "medium", "thick"):
        return 1.0
    length = length_of(text)
    return None if length is None else length.pixels()


_ALIGNED: Final = {
    "center": 0.5, "-webkit-center": 0.5, "right": 1.0, "-webkit-right": 1.0, "end": 1.0
}  # fmt: skip
"""How much of the room that a line leaves is in front of it, in text from left to right."""


def _border_width(text: str) -> Length | None:
    return Length(px=3) if text in ("thin", "medium", "thick") else length_of(text)


def _border(*longhands: str) -> Callable[[str], Iterator[tuple[str, Value]]]:
    """A shorthand of borders, of which the width of those above and to the left counts."""

    def expanded(text: str) -> Iterator[tuple[str, Value]]:
        parts = words(text)
        width = next(filter(None, map(_border_width, parts)), Length(px=3))
        is_drawn = any(part in _BORDERS for part in parts)
        for longhand in longhands:
            yield longhand, width if is_drawn else Length()

    return expanded


_BORDERS: Final = frozenset(
    {"solid", "dashed", "dotted", "double", "groove", "ridge", "inset", "outset"}
)


def _ratio(text: str) -> float | None:
    """How many times as wide as high a box is."""
    wide, _, high = text.removeprefix("auto").partition("/")
    numbers = number_of(wide.strip()), number_of(high.strip() or "1")
    return numbers[0] / numbers[1] if numbers[0] and numbers[1] else None


def _has_flat_row(text: str) -> bool:
    """Whether a row of a grid is no higher than what may be cut off of it."""
    return not _FLAT_ROWS.isdisjoint(words(text.partition("/")[0]))


_FLAT_ROWS: Final = frozenset({"0", "0px", "0fr", "0%", "0em", "minmax(0,0)"})


def _flex(text: str) -> Iterator[tuple[str, Value]]:
    """The size from which an item does not grow."""
    parts = words(text)
    lengths = [part for part in parts[1:] if not part.replace(".", "", 1).isdigit()] + parts[2:]
    if parts[:1] == ["0"] and lengths:
        yield "flex-basis", _size(lengths[-1])


def _outline(text: str) -> float:
    """The width of an outline in pixels."""
    return next(filter(None, map(_stroke_width, words(text))), 0.0)


def _contain(text: str) -> frozenset[str] | None:
    named = {"strict": "size paint layout", "content": "paint layout", "none": ""}
    parts = named.get(text, text).split()
    allowed = {"size", "paint", "layout", "style", "inline-size"}
    return frozenset(parts) if allowed.issuperset(parts) else None


def _content(text: str) -> str | None:
    """``content`` that replaces an element, or that makes a pseudo-element."""
    if text in ("normal", "none"):
        return "none"
    return "image" if _IMAGE.match(text) or _GRADIENT.match(text) else "text"


def _white_space(text: str) -> str | None:
    parts = text.split()
    known = {"normal", "nowrap", "pre", "pre-wrap", "pre-line", "break-spaces"}
    if len(parts) == 1 and text in known:
        return text
    names = {"collapse": "normal", "preserve": "pre-wrap", "preserve-breaks": "pre-line",
             "preserve-spaces": "pre-wrap", "wrap": "", "nowrap": ""}  # fmt: skip
    if not parts or not names.keys() >= set(parts):
        return None
    return next((names[part] for part in parts if names[part]), "normal")


def _path(text: str) -> bool | None:
    """Whether the box moves along a path, to a place that is not computed."""
    return text not in ("none", "auto", "normal")


def _size_adjust(text: str) -> float | None:
    if text == "none":
        return 1.0
    number = number_of(words(text)[-1]) if text.strip() else None
    return 1.0 if number is None else number


_TIME: Final = re.compile(r"-?[0-9.]+m?s")


def _is_late(text: str) -> bool:
    """Whether an animation waits so long that its first frame is what a person sees."""
    seconds = text.removesuffix("s")
    return text.endswith("s") and seconds.replace(".", "", 1).isdigit() and float(seconds) > 5


READERS: Final[dict[str, Callable[[str], Value]]] = {
    "display": lambda text: text if _DISPLAY.fullmatch(text) else None,
    "visibility": _keyword("visible", "hidden", "collapse"),
    "content-visibility": _keyword("visible", "hidden", "auto"),
    "content": _content,
    "opacity": _opacity,
    "filter": parse_filter, "backdrop-filter": parse_filter,
    "mix-blend-mode": lambda text: text if text in BLENDS else UNKNOWN
    if text in ("hue", "saturation", "color", "luminosity") else None,
    "mask-image": _mask, "mask-box-image": lambda text: text != "none",
    "mask-size": _mask_part("auto", "cover", "100%", "100% 100%", "auto auto"),
    "mask-position": _mask_part("0 0", "0% 0%", "left top", "center", "top left"),
    "mask-repeat": _mask_part("repeat", "repeat repeat", "round"),
    "mask-clip": _mask_part("border-box", "no-clip"),
    "mask-mode": _mask_part("match-source", "alpha"), "mask-composite": _mask_part("add"),
    "font-size": _font_size, "font-size-adjust": _size_adjust,
    "line-height": _line_height,
    "letter-spacing": _spacing,
    "text-indent": lambda text: length_of(words(text)[0]) if text.strip() else None,
    "color": _color,
    "text-fill-color": _color, "text-stroke-color": _color, "text-stroke-width": _stroke_width,
    "text-shadow": _shadows, "box-shadow": _shadows,
    "background-color": _color,
    "background-image": _image, "background-clip": lambda text: "text" in text,
    "background-size": _tiny, "background-position": _is_far,
    "outline": _outline, "outline-offset": _stroke_width,
    "border-image": lambda text: UNKNOWN if "fill" in text.split() else None,
    "width": _size, "height": _size, "max-width": _size, "max-height": _size,
    "min-width": _size, "min-height": _size,
    "overflow": _keyword("visible", "hidden", "clip", "scroll", "auto", "overlay"),
    "contain": _contain,
    "flex-basis": _size,
    "position": _keyword("static", "relative", "absolute", "fixed", "sticky"),
    "left": _offset, "right": _offset, "top": _offset, "bottom": _offset,
    "margin-left": _offset, "margin-right": _offset, "margin-top": _offset,
    "margin-bottom": _offset,
    "padding-left": length_of, "padding-right": length_of,
    "padding-top": length_of, "padding-bottom": length_of,
    "box-sizing": _keyword("border-box", "content-box"),
    "transform": transforms.transform, "scale": transforms.scale, "rotate": transforms.rotate,
    "translate": transforms.translate, "transform-origin": transforms.origin,
    "text-align": lambda text: _ALIGNED.get(text, 0.0),
    "justify-content": lambda text: _ALIGNED.get(text.removeprefix("flex-"), 0.0),
    "border-top-width": _border_width, "border-left-width": _border_width,
    "aspect-ratio": _ratio, "grid-template-rows": _has_flat_row,
    "backface-visibility": _keyword("visible", "hidden"), "perspective": _offset,
    "transform-style": _keyword("flat", "preserve-3d"),
    "offset-path": _path,
    "zoom": _zoom,
    "clip": clipping.clip,
    "clip-path": clipping.clip_path,
    "white-space": _white_space,
    "float": _keyword("left", "right", "none", "inline-start", "inline-end"),
    "text-security": _keyword("none", "disc", "circle", "square"),
    "z-index": lambda text: number_of(text) if text != "auto" else None,
    "direction": _keyword("ltr", "rtl"),
    "color-scheme": lambda text: "dark" in text.split() and "light" not in text.split(),
    "animation-name": lambda text: tuple(name.strip() for name in split(text, ",")),
    "animation-fill-mode": str, "animation-direction": str, "animation-play-state": str,
    "animation-delay": _is_late,
    "mso-hide": _keyword("all", "none", "no", "auto"),
}  # fmt: skip

_ALIASES: Final = {
    "overflow-x": "overflow", "overflow-y": "overflow", "overflow-block": "overflow",
    "overflow-inline": "overflow", "inline-size": "width", "block-size": "height",
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
    r"|margin-|padding-|opacity|logical-|(?:min|max)-logical-|print-color)"
)
_PREFIXED_ALONE: Final = frozenset(
    {"text-fill-color", "text-stroke", "text-stroke-color", "text-stroke-width", "text-security",
     "mask-box-image", "margin-start", "padding-start"}
)  # fmt: skip
"""Properties that browsers know by their prefix only."""
INHERITED: Final = frozenset(
    {"visibility", "font-size", "font-size-adjust", "line-height", "letter-spacing", "text-indent",
     "color", "text-fill-color", "text-stroke-color", "text-stroke-width", "text-shadow",
 "white-space", "direction", "color-scheme", "text-security"}
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


_BLANKS: Final = re.compile(r"\s+")
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
    clips = tiny = False
    for layer in split(text, ","):
        lengths = 0
        for word in words(layer):
            painted = _color(word)
            lengths += length_of(word) is not None
            if (painted is not None and color is not TRANSPARENT) or lengths > 2 + 2 * (
                "/" in layer
            ):
                return
            if painted is not None:
                color = painted
            elif _IMAGE.match(word) or _GRADIENT.match(word):
                drawn = _image(word)
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
        tiny = tiny or bool(size and _tiny(size[0])) or _is_far(layer)
    yield "background-color", color
    yield "background-image", image
    yield "background-clip", clips
    yield "background-size", tiny


def _mask_shorthand(text: str) -> Iterator[tuple[str, Value]]:
    value = _mask(text)
    if value is not None:
        yield "mask-image", value
        for name in _LONGHANDS["mask"][1:]:
            yield name, False


def _stroke(text: str) -> Iterator[tuple[str, Value]]:
    width: float | None = 0.0
    color: Value = CURRENT
    for word in words(text):
        painted = _color(word)
        if painted is not None and length_of(word) is None:
            color = painted
        else:
            width = _stroke_width(word)
            if width is None:
                return
    yield "text-stroke-width", width
    yield "text-stroke-color", color


def _animation(text: str) -> Iterator[tuple[str, Value]]:
    names = [word for layer in split(text, ",") for word in words(layer)]
    times = [word for word in names if _TIME.fullmatch(word)]
    yield "animation-name", tuple(name.strip("\"'") for name in names)
    yield "animation-delay", _is_late(times[1]) if len(times) > 1 else False
    for longhand in _LONGHANDS["animation"][2:]:
        yield longhand, text


def _offset_shorthand(text: str) -> Iterator[tuple[str, Value]]:
    yield "offset-path", any(function(word) is not None for word in words(text))


def _grid(text: str) -> Iterator[tuple[str, Value]]:
    yield "grid-template-rows", _has_flat_row(text)


def _sides(*longhands: str) -> Callable[[str], Iterator[tuple[str, Value]]]:
    """A shorthand of four sides, or of two: top, right, bottom, left, as CSS fills them up."""

    def expanded(text: str) -> Iterator[tuple[str, Value]]:
        parts = words(text)
        values = [_offset(part) for part in parts]
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
    "border": ("border-top-width", "border-left-width"), "border-top": ("border-top-width",),
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
    "border-top": _border("border-top-width"), "border-left": _border("border-left-width"),
    "flex": _flex, "grid": _grid, "grid-template": _grid, "animation": _animation,
}  # fmt: skip
