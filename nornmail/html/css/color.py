"""Colors in every notation (CSS Color Level 4 and 5, and the legacy attributes of HTML)."""

from __future__ import annotations

import colorsys
import math
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from nornmail.html.css.syntax import function, split, words
from nornmail.html.css.values import angle_of, length_of

# ---- The named colors of CSS, and those of the system as a light desktop has them.

_TABLE: Final = """
aliceblue f0f8ff antiquewhite faebd7 aqua 00ffff aquamarine 7fffd4 azure f0ffff beige f5f5dc
bisque ffe4c4 black 000000 blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a
burlywood deb887 cadetblue 5f9ea0 chartreuse 7fff00 chocolate d2691e coral ff7f50
cornflowerblue 6495ed cornsilk fff8dc crimson dc143c cyan 00ffff darkblue 00008b darkcyan 008b8b
darkgoldenrod b8860b darkgray a9a9a9 darkgreen 006400 darkgrey a9a9a9 darkkhaki bdb76b
darkmagenta 8b008b darkolivegreen 556b2f darkorange ff8c00 darkorchid 9932cc darkred 8b0000
darksalmon e9967a darkseagreen 8fbc8f darkslateblue 483d8b darkslategray 2f4f4f
darkslategrey 2f4f4f darkturquoise 00ced1 darkviolet 9400d3 deeppink ff1493 deepskyblue 00bfff
dimgray 696969 dimgrey 696969 dodgerblue 1e90ff firebrick b22222 floralwhite fffaf0
forestgreen 228b22 fuchsia ff00ff gainsboro dcdcdc ghostwhite f8f8ff gold ffd700 goldenrod daa520
gray 808080 green 008000 greenyellow adff2f grey 808080 honeydew f0fff0 hotpink ff69b4
indianred cd5c5c indigo 4b0082 ivory fffff0 khaki f0e68c lavender e6e6fa lavenderblush fff0f5
lawngreen 7cfc00 lemonchiffon fffacd lightblue add8e6 lightcoral f08080 lightcyan e0ffff
lightgoldenrodyellow fafad2 lightgray d3d3d3 lightgreen 90ee90 lightgrey d3d3d3 lightpink ffb6c1
lightsalmon ffa07a lightseagreen 20b2aa lightskyblue 87cefa lightslategray 778899
lightslategrey 778899 lightsteelblue b0c4de lightyellow ffffe0 lime 00ff00 limegreen 32cd32
linen faf0e6 magenta ff00ff maroon 800000 mediumaquamarine 66cdaa mediumblue 0000cd
mediumorchid ba55d3 mediumpurple 9370db mediumseagreen 3cb371 mediumslateblue 7b68ee
mediumspringgreen 00fa9a mediumturquoise 48d1cc mediumvioletred c71585 midnightblue 191970
mintcream f5fffa mistyrose ffe4e1 moccasin ffe4b5 navajowhite ffdead navy 000080 oldlace fdf5e6
olive 808000 olivedrab 6b8e23 orange ffa500 orangered ff4500 orchid da70d6 palegoldenrod eee8aa
palegreen 98fb98 paleturquoise afeeee palevioletred db7093 papayawhip ffefd5 peachpuff ffdab9
peru cd853f pink ffc0cb plum dda0dd powderblue b0e0e6 purple 800080 rebeccapurple 663399
red ff0000 rosybrown bc8f8f royalblue 4169e1 saddlebrown 8b4513 salmon fa8072 sandybrown f4a460
seagreen 2e8b57 seashell fff5ee sienna a0522d silver c0c0c0 skyblue 87ceeb slateblue 6a5acd
slategray 708090 slategrey 708090 snow fffafa springgreen 00ff7f steelblue 4682b4 tan d2b48c
teal 008080 thistle d8bfd8 tomato ff6347 turquoise 40e0d0 violet ee82ee wheat f5deb3 white ffffff
whitesmoke f5f5f5 yellow ffff00 yellowgreen 9acd32
canvas ffffff linktext 0000ee buttonface f0f0f0 buttonborder 000000 field ffffff mark ffff00
graytext 808080 window ffffff background ffffff menu ffffff infobackground ffffff
activecaption ffffff inactivecaption ffffff inactivecaptiontext 808080 threedface f0f0f0
threedhighlight f0f0f0 scrollbar ffffff
"""
_WORDS: Final = _TABLE.split()

NAMES: Final = {
    name: int(digits, 16) for name, digits in zip(_WORDS[::2], _WORDS[1::2], strict=True)
}


_SYSTEM: Final = frozenset(
    {"canvastext", "buttontext", "fieldtext", "marktext", "windowtext", "menutext", "infotext",
     "captiontext"}
)  # fmt: skip
_HEX: Final = re.compile(r"[0-9a-f]+")
NEAR: Final = 40.0
"""Two colors this near to each other in RGB (0 to 441) are one to the eye, if the next holds."""
NEAR_CONTRAST: Final = 1.3
"""The contrast (WCAG 2, 1 to 21) below which that is so. Grey ``#ddd`` on white has 1.36."""


class Color(NamedTuple):
    """Red, green and blue from 0 to 255, opacity from 0 to 1."""

    red: float
    green: float
    blue: float
    alpha: float = 1.0

    def over(self, below: Color, opacity: float = 1.0) -> Color:
        """This color as it looks in front of an opaque one."""
        alpha = self.alpha * opacity
        mixed = (
            front * alpha + back * (1 - alpha)
            for front, back in zip(self[:3], below[:3], strict=True)
        )
        return Color(*mixed)


WHITE: Final = Color(255, 255, 255)
BLACK: Final = Color(0, 0, 0)
SYSTEM_BLACK: Final = Color(0, 0, 0)
"""The text of the system, which is black on a light desktop: no other object is this one."""
BLUE: Final = Color(0, 0, 238)
TRANSPARENT: Final = Color(0, 0, 0, 0)


def alike(first: Color, second: Color) -> bool:
    """Whether a person would not tell text of one color on the other."""
    distance = math.dist(first[:3], second[:3])
    if distance >= NEAR:
        return False
    light, dark = sorted((_luminance(first), _luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05) < NEAR_CONTRAST


def _luminance(color: Color) -> float:
    red, green, blue = (_linear(max(0.0, min(255.0, channel)) / 255) for channel in color[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: float) -> float:
    return channel / 12.92 if channel <= 0.04045 else ((channel + 0.055) / 1.055) ** 2.4


def _gamma(channel: float) -> float:
    channel = max(0.0, min(1.0, channel))
    return 12.92 * channel if channel <= 0.0031308 else 1.055 * channel ** (1 / 2.4) - 0.055


def parse_color(text: str, *, quirks: bool = False) -> Color | None:
    """A color of CSS in lower case; ``None`` when it is none.

    Args:
        quirks: take ``ffffff`` for ``#ffffff``, as pages without a document type do.
    """
    if text in NAMES:
        value = NAMES[text]
        return Color(value >> 16, value >> 8 & 255, value & 255)
    if text == "transparent":
        return TRANSPARENT
    if text in _SYSTEM:
        return SYSTEM_BLACK
    if text.startswith("#"):
        return _from_hex(text[1:])
    called = function(text) if text.endswith(")") else None
    if called:
        return _from_function(*called)
    if quirks and len(text) in (3, 6):
        return _from_hex(text)
    return None


def _from_hex(digits: str) -> Color | None:
    if not _HEX.fullmatch(digits):
        return None
    if len(digits) in (3, 4):
        digits = "".join(2 * digit for digit in digits)
    if len(digits) not in (6, 8):
        return None
    red, green, blue, *alpha = bytes.fromhex(digits)
    return Color(red, green, blue, alpha[0] / 255 if alpha else 1.0)


def _from_function(name: str, inside: str) -> Color | None:
    body, _, alpha = inside.partition("/")
    parts = [part.strip() for part in split(body, ",")] if "," in body else words(body)
    if "," in body and _mixes(name, parts[:3]):
        return None
    if not alpha and len(parts) == 4:
        alpha = parts.pop()
    maker = _MAKERS.get(name)
    opacity = _channel(alpha.strip() or "1", 1.0)
    if maker is None or len(parts) != 3 or opacity is None:
        return None
    red_green_blue = maker(*parts)
    if red_green_blue is None:
        return None
    return Color(*red_green_blue, max(0.0, min(1.0, opacity)))


def _mixes(name: str, parts: list[str]) -> bool:
    """Whether an old notation, with commas, has what only the new one may have."""
    shares = [part.endswith("%") for part in parts]
    if name.startswith("hsl"):
        return shares != [False, True, True] or "none" in parts
    return not name.startswith("rgb") or any(shares) != all(shares) or "none" in parts


def _channel(text: str, full: float) -> float | None:
    """A number, or a percentage of ``full``."""
    if text == "none":
        return 0.0
    value = length_of(text)
    if value is None or value.em or not (value.is_number or text[-1] in "%)"):
        return None
    return value.px + value.share * full


def _channels(full: tuple[float, float, float], *texts: str) -> tuple[float, float, float] | None:
    channels = [_channel(text, channel) for text, channel in zip(texts, full, strict=True)]
    if any(channel is None for channel in channels):
        return None
    first, second, third = (channel or 0.0 for channel in channels)
    return first, second, third


def _angle(text: str) -> float | None:
    angle = angle_of(text)
    return None if angle is None else angle % 360


def _rgb(*texts: str) -> tuple[float, float, float] | None:
    channels = _channels((255, 255, 255), *texts)
    if channels is None:
        return None
    red, green, blue = (max(0.0, min(255.0, channel)) for channel in channels)
    return red, green, blue


def _hsl(hue: str, saturation: str, lightness: str) -> tuple[float, float, float] | None:
    turned = _angle(hue)
    channels = _channels((100, 100, 100), "0", saturation, lightness)
    if turned is None or channels is None:
        return None
    share, light = (max(0.0, min(100.0, channel)) / 100 for channel in channels[1:])
    return _bytes(*colorsys.hls_to_rgb(turned / 360, light, share))


def _oklab(light: str, a: str, b: str) -> tuple[float, float, float] | None:
    channels = _channels((1, 0.4, 0.4), light, a, b)
    return None if channels is None else _from_oklab(*channels)


def _oklch(light: str, chroma: str, hue: str) -> tuple[float, float, float] | None:
    channels, turned = _channels((1, 0.4, 1), light, chroma, "0"), _angle(hue)
    if channels is None or turned is None:
        return None
    return _from_oklab(channels[0], *_polar(channels[1], turned))


def _polar(chroma: float, degrees: float) -> tuple[float, float]:
    return chroma * math.cos(math.radians(degrees)), chroma * math.sin(math.radians(degrees))


def _from_oklab(light: float, a: float, b: float) -> tuple[float, float, float]:
    long = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    medium = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    short = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    linear = (
        4.0767416621 * long - 3.3077115913 * medium + 0.2309699292 * short,
        -1.2684380046 * long + 2.6097574011 * medium - 0.3413193965 * short,
        -0.0041960863 * long - 0.7034186147 * medium + 1.7076147010 * short,
    )
    return _bytes(*(_gamma(channel) for channel in linear))


def _bytes(red: float, green: float, blue: float) -> tuple[float, float, float]:
    return tuple(255 * max(0.0, min(1.0, channel)) for channel in (red, green, blue))  # type: ignore[return-value]


_MAKERS: Final[dict[str, Callable[..., tuple[float, float, float] | None]]] = {
    "rgb": _rgb, "rgba": _rgb, "hsl": _hsl, "hsla": _hsl, "oklab": _oklab, "oklch": _oklch,
}  # fmt: skip


def legacy_color(text: str) -> Color | None:
    """A color of an attribute such as ``bgcolor`` (HTML standard, 2.3.6)."""
    text = text.strip("\t\n\f\r ").lower()
    if not text or text == "transparent":
        return None
    if text in NAMES:
        return parse_color(text)
    if len(text) == 4 and text[0] == "#" and _HEX.fullmatch(text[1:]):
        return _from_hex(text[1:])
    text = "".join("00" if ord(char) > 0xFFFF else char for char in text)[:128].removeprefix("#")
    digits = "".join(char if char in "0123456789abcdef" else "0" for char in text)
    while not digits or len(digits) % 3:
        digits += "0"
    size = len(digits) // 3
    parts = [digits[at : at + size] for at in (0, size, 2 * size)]
    if size > 8:
        parts, size = [part[-8:] for part in parts], 8
    while size > 2 and all(part[0] == "0" for part in parts):
        parts, size = [part[1:] for part in parts], size - 1
    red, green, blue = (int(part[:2], 16) for part in parts)
    return Color(red, green, blue)
