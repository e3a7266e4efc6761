"""Clipping: whether ``clip`` and ``clip-path`` leave anything of the first words of a box."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from nornmail.html.css.syntax import function, split, words
from nornmail.html.css.transforms import LINE, origin
from nornmail.html.css.values import CONTAINER, ZERO, Length, length_of

SLIT: Final = 4.0
"""Pixels: what is not so wide or so high shows no text."""
FAR: Final = 1e9
"""Pixels to which nothing reaches."""
_FIRST_WORDS: Final = ((14.0, 10.0), (44.0, 10.0))
"""Points of the first words of a box. Where none of them is left, the box cannot be read."""
_BOXES: Final = frozenset(
    {"border-box", "padding-box", "content-box", "margin-box", "fill-box", "stroke-box", "view-box"}
)


class Clip(NamedTuple):
    """From where to where down the page something is not cut off."""

    top: float = -FAR
    bottom: float = FAR

    def cuts(self, top: float, bottom: float) -> bool:
        """Whether nothing can be read of what reaches from ``top`` to ``bottom``."""
        return min(bottom, self.bottom) - max(top, self.top) < min(SLIT, bottom - top)


WHOLE: Final = Clip()


def divided(
    text: str, white_space: str, size: float, start: float, width: float, room: float, lines: float
) -> tuple[str, str]:
    """Divide a text into what is seen and what is cut off, at the right or below the last line.

    Args:
        text: as it stands in the markup.
        white_space: its ``white-space``.
        size: of its font.
        start: pixels of the line in front of it.
        width: of a line, at which it is broken.
        room: pixels of a line that are not cut off.
        lines: how many lines are not cut off.
    """
    keeps_lines, breaks = white_space.startswith(("pre", "break")), white_space not in _UNBROKEN
    if lines >= FAR and breaks and width <= room:
        return text, ""
    longest = start + len(text) * size * _GLYPH
    if not keeps_lines and longest < room and (longest <= width or not breaks):
        return text, ""  # on one line
    # Two lines that follow each other hold more than the width of one.
    is_short = size > 0 and 2 * longest + width <= lines * width
    if not keeps_lines and breaks and width <= room and is_short:
        return text, ""
    seen: list[str] = []
    cut: list[str] = []
    line, x = 0, start
    for match in _WORD.finditer(text):
        if line >= lines or (x >= room and not (breaks or keeps_lines)):
            cut.append(text[match.start() :])
            break
        word = match[0].strip(" ")
        if keeps_lines and "\n" in word:
            line, x = line + word.count("\n"), 0.0
        elif word and not word.isspace():
            wide = text_width(word, size)
            if breaks and x and x + wide > width:
                line, x = line + 1, 0.0
            is_seen = line < lines and x < room
            (seen if is_seen else cut).append(match[0])
            x += wide
            continue
        x += len(match[0]) * size * _GLYPH / 2
        seen.append(match[0])
    return "".join(seen), "".join(cut)


def text_width(text: str, size: float) -> float:
    """The width of running text in pixels, which depends on its font."""
    return (len(text) - sum(map(text.count, _NARROW)) / 2) * size * _GLYPH


_WORD: Final = re.compile(r"\n\s*|[^\S\n]+|\S+")
_UNBROKEN: Final = frozenset({"nowrap", "pre"})
_GLYPH: Final = 0.5
"""The width of a character of running text, in sizes of the font."""
_NARROW: Final = " ilt"
"""Frequent characters of half the width of others."""


def clip(text: str) -> bool | None:
    """The value of ``clip``: whether nothing is left of the first words."""
    if text == "auto":
        return False
    called = function(text)
    if called is None or called[0] != "rect":
        return None
    sides = called[1].replace(",", " ").split()
    if len(sides) != 4:
        return None
    lengths = [None if side == "auto" else length_of(side) for side in sides]
    if any(length is None and side != "auto" for length, side in zip(lengths, sides, strict=True)):
        return None
    top, right, bottom, left = lengths
    return not _rectangle(top or ZERO, right, bottom, left or ZERO)


def _rectangle(top: Length, right: Length | None, bottom: Length | None, left: Length) -> bool:
    """Whether a rectangle holds one of the first words."""
    end = right.pixels() if right is not None else CONTAINER
    foot = bottom.pixels(16, LINE) if bottom is not None else LINE
    start, head = left.pixels(), top.pixels(16, LINE)
    if end - start < SLIT or foot - head < SLIT:
        return False
    return any(start <= x <= end and head <= y <= foot for x, y in _FIRST_WORDS)


def clip_path(text: str) -> bool | str | None:
    """The value of ``clip-path``: whether nothing is left of the first words, or ``"none"``."""
    parts = [part for part in words(text) if part not in _BOXES]
    if text == "none":
        return text
    if not parts and text:
        return False
    called = function(parts[0]) if len(parts) == 1 else None
    if called is None:
        return None
    name, inside = called
    if name in ("path", "shape", "url"):  # what they leave is not computed
        return True
    arguments = words(inside.replace(",", " ") if name in ("rect", "xywh") else inside)
    if "round" in arguments:
        arguments = arguments[: arguments.index("round")]
    if name in ("circle", "ellipse"):
        return _is_outside_ellipse(name, arguments)
    if name == "polygon":
        return _is_outside_polygon(inside)
    lengths = [None if argument == "auto" else length_of(argument) for argument in arguments]
    if any(
        length is None and argument != "auto"
        for length, argument in zip(lengths, arguments, strict=True)
    ):
        return None
    return _is_outside_rectangle(name, lengths)


def _is_outside_rectangle(name: str, lengths: list[Length | None]) -> bool | None:
    whole = Length(share=1.0)
    if name == "rect" and len(lengths) == 4:
        top, right, bottom, left = lengths
        return not _rectangle(top or ZERO, right or whole, bottom or whole, left or ZERO)
    if name == "xywh" and len(lengths) == 4:
        left, top, wide, high = (length or ZERO for length in lengths)
        return not _rectangle(top, left.plus(wide), top.plus(high), left)
    if name == "inset" and 1 <= len(lengths) <= 4:
        sides = [length or ZERO for length in lengths]
        top, right = sides[0], sides[1 % len(sides)]
        bottom = sides[2] if len(sides) > 2 else top
        left = sides[3] if len(sides) > 3 else right
        return not _rectangle(
            top, whole.plus(right.scaled(-1)), whole.plus(bottom.scaled(-1)), left
        )
    return None


def _is_outside_ellipse(name: str, arguments: list[str]) -> bool | None:
    place = arguments.index("at") if "at" in arguments else len(arguments)
    radii, center = arguments[:place], origin(" ".join(arguments[place + 1 :]) or "center")
    if center is None:
        return None
    x, y = center[0].pixels(), center[1].pixels(16, LINE)
    far = max(abs(x), abs(CONTAINER - x)), max(abs(y), abs(LINE - y))
    near = min(abs(x), abs(CONTAINER - x)), min(abs(y), abs(LINE - y))
    sizes: list[float] = []
    bases = (CONTAINER / math.sqrt(2),) if name == "circle" else (CONTAINER, LINE)
    for number, base in enumerate(bases):
        word = radii[number] if number < len(radii) else "closest-side"
        length = length_of(word)
        if word == "closest-side":
            sizes.append(min(near) if name == "circle" else near[number])
        elif word == "farthest-side":
            sizes.append(max(far) if name == "circle" else far[number])
        elif length is None:
            return None
        else:
            sizes.append(length.pixels(16, base))
    wide, high = sizes[0], sizes[-1]
    if min(wide, high) < SLIT / 2:
        return True
    return not any(((px - x) / wide) ** 2 + ((py - y) / high) ** 2 <= 1 for px, py in _FIRST_WORDS)


def _is_outside_polygon(points: str) -> bool | None:
    corners: list[tuple[float, float]] = []
    for point in split(points, ","):
        pair = [length_of(word) for word in words(point)]
        if len(pair) == 2 and pair[0] is not None and pair[1] is not None:
            corners.append((pair[0].pixels(), pair[1].pixels(16, LINE)))
        elif corners or point.strip() not in ("evenodd", "nonzero"):
            return None
    if not corners:
        return None
    return not any(_is_inside(x, y, corners) for x, y in _FIRST_WORDS)


def _is_inside(x: float, y: float, corners: list[tuple[float, float]]) -> bool:
    inside = False
    for (ax, ay), (bx, by) in zip(corners, [*corners[1:], corners[0]], strict=True):
        if (ay > y) != (by > y) and x < ax + (y - ay) / (by - ay) * (bx - ax):
            inside = not inside
    return inside
