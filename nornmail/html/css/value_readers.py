"""Readers for the values of the properties that can hide a text.

A value that is invalid does not count, so that the one before it stays in force. A value that is
valid and cannot be computed here is :data:`UNKNOWN`: its element is not shown.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from nornmail.html.css import clipping, transforms
from nornmail.html.css.color import Color, alike, parse_color
from nornmail.html.css.filters import BLENDS, parse_filter
from nornmail.html.css.syntax import split, words
from nornmail.html.css.values import Length, length_of, number_of

CURRENT: Final = "currentcolor"
IMAGE: Final = "image"
"""A background of which the color is not known."""
UNKNOWN: Final = "\0unknown"
"""A value that is valid and was not computed."""
WIDE_KEYWORDS: Final = frozenset({"inherit", "initial", "unset", "revert", "revert-layer"})
Value = Any
"""The value that a property's reader returns: a keyword, a number, a length, a color."""
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
_SIZES: Final = frozenset(
    {"auto", "none", "min-content", "max-content", "fit-content", "stretch", "normal",
     "-webkit-fill-available"}
)  # fmt: skip
FETCHED_IMAGE: Final = re.compile(
    r"(?:url|image-set|-webkit-image-set|(?:-webkit-)?cross-fade|image|paint|element)\("
)
_FETCHED: Final = re.compile(r"""url\(\s*["']?(?:https?|cid|data):|image-set\(|cross-fade\(""")
_MIXED: Final = re.compile(r"(?:image-set|cross-fade)\(")
GRADIENT: Final = re.compile(
    r"(?:-webkit-|-moz-|repeating-)*(?:(?:linear|radial|conic)-)?gradient\((.*)", re.S
)
_STOP: Final = re.compile(r"(?:from|to|color-stop)\(")
_COLOR: Final = re.compile(r"#[0-9a-f]+|[a-z-]+\((?:[^()]|\([^()]*\))*\)|[a-z]+")


def _keyword(*allowed: str) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def font_size_of(text: str) -> Length | None:
    """The value of ``font-size``."""
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


def size_of(text: str) -> Length | str | None:
    """The value of a width or a height."""
    if text.startswith("calc-size("):
        return UNKNOWN
    if text in _SIZES or text.startswith("fit-content("):
        return "auto"
    size = _length(text)
    return None if size is None or size.pixels() < 0 else size


def offset_of(text: str) -> Length | str | None:
    """The value of a margin or of a position."""
    return "auto" if text == "auto" else _length(text)


def _indent(text: str) -> Length | str | None:
    """The value of ``text-indent``; of further lines than the first nothing is computed."""
    parts = words(text)
    return UNKNOWN if len(parts) > 1 else _length(text)


def _spacing(text: str) -> Length | None:
    return Length() if text == "normal" else _length(text)


def line_height_of(text: str) -> Length | None:
    """The value of ``line-height``."""
    if text == "normal":
        return Length(em=1.2)
    height = length_of(text)
    if height is None or height.pixels() < 0:
        return None
    return Length(em=height.px) if height.is_number else height


def color_of(text: str) -> Color | str | None:
    """A color."""
    if text == CURRENT:
        return CURRENT
    color = parse_color(text, quirks=True)
    return UNKNOWN if color is None and _OTHER_COLOR.match(text) else color


_OTHER_COLOR: Final = re.compile(
    r"(?:color|color-mix|contrast-color|light-dark|lab|lch|hwb|alpha|device-cmyk)\(|[a-z]+\(from "
    r"|-(?:webkit|internal)-[a-z-]+\Z|(?:active|visited)text|accentcolor(?:text)?|selecteditem(?:text)?|highlight(?:text)?\Z"
)
"""Colors that are not computed here: mail is written without them."""


def _zoom(text: str) -> float | None:
    return 1.0 if text in ("normal", "reset") else number_of(text)


def mask_of(text: str) -> bool | None:
    """Whether the mask may hide the first words: any that is not plainly opaque may."""
    if text == "none":
        return False
    if split(text, ",")[1:]:
        return True
    gradient = GRADIENT.match(text)
    if gradient is None:
        return True if FETCHED_IMAGE.match(text) else None
    inside, rest = _up_to_end(gradient[1])
    stops = _stops(inside)
    opaque = bool(stops) and all(stop.alpha >= 0.5 for stop in stops)
    return not opaque or bool(rest.replace("repeat", "").replace("border-box", "").strip())


def _up_to_end(text: str) -> tuple[str, str]:
    """The contents of the brackets that were opened before ``text``, and the text after them."""
    depth = 1
    for match in re.finditer(r"[()]", text):
        depth += 1 if match[0] == "(" else -1
        if not depth:
            return text[: match.start()], text[match.end() :]
    return text, ""


def _mask_part(*plain: str) -> Callable[[str], bool | None]:
    """Whether another property of masks makes one that may hide the first words."""
    return lambda text: text not in plain


def image_of(text: str) -> Value:
    """The background's image: none, its color or colors, or one of which nothing is known."""
    if text == "none":
        return "none"
    result: Value = None
    if "currentcolor" in text or ("gradient(" in text and _MIXED.search(text)):
        return UNKNOWN
    for layer in split(text, ","):
        layer = layer.strip()
        gradient = GRADIENT.match(layer)
        if gradient is not None:
            stops = _stops(gradient[1])
            is_turned = not gradient[1].partition(",")[0].strip("+-.0123456789 ")
            if not stops or is_turned or ",)" in layer.replace(" ", ""):
                return None
            same = stops and all(
                alike(stops[0], stop) and abs(stop.alpha - stops[0].alpha) < 0.1 for stop in stops
            )
            painted: Value = stops[0] if same else tuple(stops)
        elif FETCHED_IMAGE.match(layer):
            painted = IMAGE if _FETCHED.match(layer) else "none"
        elif layer == "none":
            painted = "none"
        else:
            return None
        if result is None or result == "none":
            result = painted
        elif painted == IMAGE:
            result = IMAGE  # what lies on an image is not all that is behind a text
    return result


def _stops(text: str) -> list[Color]:
    texts = _COLOR.findall(_STOP.sub(" ", text))
    return [color for color in map(parse_color, texts) if color is not None]


def is_tiny(text: str) -> bool | None:
    """Whether a background's image is drawn in no size."""
    first = words(split(text, ",")[0])
    lengths = [length_of(word) for word in first]
    return any(length is not None and length.pixels() < _TINY for length in lengths)


def is_far(text: str) -> bool:
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
            painted = None if length is not None else color_of(word)
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


def stroke_width_of(text: str) -> float | None:
    """The width of a stroke in pixels."""
    if text in ("thin", "medium", "thick"):
        return 1.0
    length = length_of(text)
    return None if length is None else length.pixels()


_ALIGNED: Final = {
    "center": 0.5, "-webkit-center": 0.5, "right": 1.0, "-webkit-right": 1.0, "end": 1.0
}  # fmt: skip
"""The share of the room left on a line that is in front of it, in text from left to right."""


def border_width_of(text: str) -> Length | None:
    """The width of a border."""
    return Length(px=3) if text in ("thin", "medium", "thick") else length_of(text)


def _ratio(text: str) -> float | None:
    """The ratio of the width of a box to its height."""
    wide, _, high = text.removeprefix("auto").partition("/")
    numbers = number_of(wide.strip()), number_of(high.strip() or "1")
    return numbers[0] / numbers[1] if numbers[0] and numbers[1] else None


def has_flat_row(text: str) -> bool:
    """Whether all of a row of a grid may be cut off."""
    return not _FLAT_ROWS.isdisjoint(words(text.partition("/")[0]))


_FLAT_ROWS: Final = frozenset({"0", "0px", "0fr", "0%", "0em", "minmax(0,0)"})


def _outline(text: str) -> float:
    """The width of an outline in pixels."""
    return next(filter(None, map(stroke_width_of, words(text))), 0.0)


def _contain(text: str) -> frozenset[str] | None:
    named = {"strict": "size paint layout", "content": "paint layout", "none": ""}
    parts = named.get(text, text).split()
    allowed = {"size", "paint", "layout", "style", "inline-size"}
    return frozenset(parts) if allowed.issuperset(parts) else None


def _container(text: str) -> frozenset[str]:
    """What the type of a container, perhaps behind its name, contains."""
    return frozenset({"size", "inline-size"}.intersection(text.rpartition("/")[2].split()))


def _content(text: str) -> str | None:
    """``content`` that replaces an element, or that makes a pseudo-element."""
    if text in ("normal", "none"):
        return "none"
    return "image" if FETCHED_IMAGE.match(text) or GRADIENT.match(text) else "text"


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


def is_late(text: str) -> bool:
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
    "mask-image": mask_of, "mask-box-image": lambda text: text != "none",
    "mask-size": _mask_part("auto", "cover", "100%", "100% 100%", "auto auto"),
    "mask-position": _mask_part("0 0", "0% 0%", "left top", "center", "top left"),
    "mask-repeat": _mask_part("repeat", "repeat repeat", "round"),
    "mask-clip": _mask_part("border-box", "no-clip"),
    "mask-mode": _mask_part("match-source", "alpha"), "mask-composite": _mask_part("add"),
    "font-size": font_size_of, "font-size-adjust": _size_adjust,
    "line-height": line_height_of,
    "letter-spacing": _spacing, "word-spacing": _spacing,
    "text-indent": _indent,
    "color": color_of,
    "text-fill-color": color_of, "text-stroke-color": color_of,
    "text-stroke-width": stroke_width_of,
    "text-shadow": _shadows, "box-shadow": _shadows,
    "background-color": color_of,
    "background-image": image_of,
    "background-clip": lambda text: text if text == "border-area" else "text" in text,
    "background-size": is_tiny, "background-position": is_far,
    "outline": _outline, "outline-offset": stroke_width_of,
    "border-image": lambda text: UNKNOWN if "fill" in text.split() else None,
    "width": size_of, "height": size_of, "max-width": size_of, "max-height": size_of,
    "min-width": size_of, "min-height": size_of,
    "overflow": _keyword("visible", "hidden", "clip", "scroll", "auto", "overlay"),
    "contain": _contain, "container-type": _container, "line-clamp": number_of,
    "flex-basis": size_of,
    "position": _keyword("static", "relative", "absolute", "fixed", "sticky"),
    "left": offset_of, "right": offset_of, "top": offset_of, "bottom": offset_of,
    "margin-left": offset_of, "margin-right": offset_of, "margin-top": offset_of,
    "margin-bottom": offset_of,
    "padding-left": length_of, "padding-right": length_of,
    "padding-top": length_of, "padding-bottom": length_of,
    "box-sizing": _keyword("border-box", "content-box"),
    "transform": transforms.transform, "scale": transforms.scale, "rotate": transforms.rotate,
    "translate": transforms.translate, "transform-origin": transforms.origin,
    "text-align": lambda text: _ALIGNED.get(text, 0.0),
    "justify-content": lambda text: _ALIGNED.get(text.removeprefix("flex-"), 0.0),
    "border-top-width": border_width_of, "border-bottom-width": border_width_of,
    "border-left-width": border_width_of,
    "aspect-ratio": _ratio, "grid-template-rows": has_flat_row,
    "grid-template-columns": has_flat_row,
    "backface-visibility": _keyword("visible", "hidden"), "perspective": offset_of,
    "perspective-origin": lambda text: UNKNOWN if is_far(text) else None,
    "transform-style": _keyword("flat", "preserve-3d"),
    "offset-path": _path,
    "zoom": _zoom, "table-layout": _keyword("auto", "fixed"),
    "clip": clipping.clip,
    "clip-path": clipping.clip_path,
    "white-space": _white_space,
    "float": _keyword("left", "right", "none", "inline-start", "inline-end"),
    "text-security": _keyword("none", "disc", "circle", "square"),
    "z-index": lambda text: number_of(text) if text != "auto" else None,
    "direction": _keyword("ltr", "rtl"), "grid-area": str,
    "color-scheme": lambda text: "dark" in text.split() and "light" not in text.split(),
    "animation-name": lambda text: tuple(name.strip() for name in split(text, ",")),
    "animation-fill-mode": str, "animation-direction": str, "animation-play-state": str,
    "animation-delay": is_late,
    "mso-hide": _keyword("all", "none", "no", "auto"),
}  # fmt: skip
