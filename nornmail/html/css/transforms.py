"""Transforms and clipping: where a box goes, and whether anything of its first words is left."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from nornmail.html.css.syntax import function, split, words
from nornmail.html.css.values import CONTAINER, ZERO, Length, angle_of, length_of, number_of

_FUNCTION: Final = re.compile(
    r"\s*+([a-z0-9-]+)\(((?>(?:[^()]|\((?>(?:[^()]|\([^()]*+\))*)\))*))\)?"
)
SLIT: Final = 4.0
"""Pixels: what is not so wide or so high shows no text."""
LINE: Final = 20.0
"""Pixels of the height of a line: the box that percentages are taken of is one line high."""
_FIRST_WORDS: Final = ((14.0, 10.0), (44.0, 10.0))
"""Points of the first words of a box. Where none of them is left, nobody reads the box."""
_STRETCHED: Final = 1_000.0


class Transform(NamedTuple):
    """A matrix in the plane, and what rotations in space leave of it.

    Attributes:
        a, b, c, d: the matrix, by columns.
        right, down: the translation.
        facing: below 0 when the back of the box faces the reader.
    """

    a: float = 1.0
    b: float = 0.0
    c: float = 0.0
    d: float = 1.0
    right: Length = ZERO
    down: Length = ZERO
    facing: float = 1.0

    def times(self, inner: Transform) -> Transform:
        """This transform after ``inner``."""
        right = inner.right.scaled(self.a).plus(inner.down.scaled(self.c)).plus(self.right)
        down = inner.right.scaled(self.b).plus(inner.down.scaled(self.d)).plus(self.down)
        return Transform(
            self.a * inner.a + self.c * inner.b, self.b * inner.a + self.d * inner.b,
            self.a * inner.c + self.c * inner.d, self.b * inner.c + self.d * inner.d,
            right, down, self.facing * inner.facing,
        )  # fmt: skip

    @property
    def scale(self) -> float:
        """How much smaller a box becomes in its smaller direction; 0 for one that is a line."""
        wide, high = math.hypot(self.a, self.b), math.hypot(self.c, self.d)
        if max(wide, high) > _STRETCHED:
            return 0.0
        area = abs(self.a * self.d - self.b * self.c)
        return min(wide, high, area / max(wide, high)) if wide and high else 0.0

    def moved(self, origin: tuple[Length, Length], size: float) -> tuple[float, float]:
        """By how many pixels the first words of a box move, turned about ``origin``."""
        from_x = origin[0].pixels(size)
        from_y = origin[1].pixels(size, LINE)
        x, y = _FIRST_WORDS[0]
        x, y = x - from_x, y - from_y
        across = self.a * x + self.c * y - x + self.right.pixels(size)
        along = self.b * x + self.d * y - y + self.down.pixels(size, LINE)
        return across, along


NO_TRANSFORM: Final = Transform()


def transform(text: str) -> Transform | None:
    """The value of ``transform``; ``None`` when it is invalid."""
    if text == "none":
        return NO_TRANSFORM
    result, at = NO_TRANSFORM, 0
    while match := _FUNCTION.match(text, at):
        at = match.end()
        step = _function(match[1], [part.strip() for part in split(match[2], ",")])
        if step is None:
            return None
        result = result.times(step)
    return result if at and not text[at:].strip() else None


def _function(name: str, arguments: list[str]) -> Transform | None:
    if name in ("rotatex", "rotatey", "rotate3d"):
        return _in_space(name, arguments)
    if name in ("rotate", "rotatez"):
        angle = angle_of(arguments[0])
        return None if angle is None else turned(angle)
    if name.startswith("skew"):
        return _skewed(name, [angle_of(argument) for argument in arguments])
    if name == "perspective":
        return NO_TRANSFORM
    if name.startswith("translate"):
        return _translated(name, [length_of(argument) for argument in arguments])
    numbers = [number_of(argument) for argument in arguments]
    if any(number is None for number in numbers):
        return None
    values = [number or 0.0 for number in numbers]
    if name.startswith("scale"):
        return _scaled(name, values)
    if name == "matrix" and len(values) == 6:
        a, b, c, d, right, down = values
        return Transform(a, b, c, d, Length(right), Length(down))
    if name == "matrix3d" and len(values) == 16:
        facing = values[0] * values[5] - values[1] * values[4]
        return Transform(
            values[0], values[1], values[4], values[5], Length(values[12]), Length(values[13]),
            values[10] if abs(values[10]) < 1 else facing or 1.0,
        )  # fmt: skip
    return None


def _scaled(name: str, values: list[float]) -> Transform | None:
    if name == "scalez":
        return NO_TRANSFORM
    if name == "scalex":
        return Transform(a=values[0])
    if name == "scaley":
        return Transform(d=values[0])
    if name in ("scale", "scale3d"):
        return Transform(a=values[0], d=values[1] if len(values) > 1 else values[0])
    return None


def turned(degrees: float) -> Transform:
    """A rotation in the plane."""
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return Transform(cos, sin, -sin, cos)


def _in_space(name: str, arguments: list[str]) -> Transform | None:
    angle = angle_of(arguments[-1])
    if angle is None:
        return None
    if name == "rotate3d":
        axis = [number_of(argument) or 0.0 for argument in arguments[:-1]]
        if len(axis) != 3:
            return None
        return turned_about(axis, angle)
    return turned_about([1, 0, 0] if name == "rotatex" else [0, 1, 0], angle)


def turned_about(axis: list[float], angle: float) -> Transform:
    """A rotation in space, as it is seen from the front."""
    length = math.hypot(*axis)
    if not length:
        return NO_TRANSFORM
    x, y, z = (part / length for part in axis)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    rest = 1 - cos
    return Transform(
        x * x * rest + cos, x * y * rest + z * sin, x * y * rest - z * sin, y * y * rest + cos,
        facing=z * z * rest + cos,
    )  # fmt: skip


def _skewed(name: str, angles: list[float | None]) -> Transform | None:
    if any(angle is None for angle in angles):
        return None
    first, *others = (math.tan(math.radians(angle or 0.0)) for angle in angles)
    if name == "skewx":
        return Transform(c=first)
    if name == "skewy":
        return Transform(b=first)
    return Transform(c=first, b=others[0] if others else 0.0) if name == "skew" else None


def _translated(name: str, lengths: list[Length | None]) -> Transform | None:
    if not lengths or any(length is None for length in lengths):
        return None
    first = lengths[0] or ZERO
    if name == "translatey":
        return Transform(down=first)
    if name == "translatex":
        return Transform(right=first)
    if name == "translatez":
        return NO_TRANSFORM
    return Transform(right=first, down=(lengths[1] or ZERO) if len(lengths) > 1 else ZERO)


def rotate(text: str) -> Transform | None:
    """The value of ``rotate``."""
    parts = words(text)
    if text == "none":
        return NO_TRANSFORM
    angle = angle_of(parts[-1]) if parts else None
    if angle is None:
        first = angle_of(parts[0]) if parts else None
        if first is None:
            return None
        angle, parts = first, [*parts[1:], parts[0]]
    if len(parts) == 1:
        return turned(angle)
    if len(parts) == 2 and parts[0] in ("x", "y", "z"):
        axis = [float(parts[0] == name) for name in "xyz"]
        return turned_about(axis, angle)
    if len(parts) == 4:
        return turned_about([number_of(part) or 0.0 for part in parts[:3]], angle)
    return None


def scale(text: str) -> Transform | None:
    """The value of ``scale``."""
    if text == "none":
        return NO_TRANSFORM
    numbers = [number_of(part) for part in words(text)]
    if not 1 <= len(numbers) <= 3 or None in numbers:
        return None
    values = [number or 0.0 for number in numbers]
    return Transform(a=values[0], d=values[1] if len(values) > 1 else values[0])


def translate(text: str) -> Transform | None:
    """The value of ``translate``."""
    if text == "none":
        return NO_TRANSFORM
    return _translated("translate", [length_of(part) for part in words(text)])


_SIDES: Final = {"left": 0.0, "top": 0.0, "center": 0.5, "right": 1.0, "bottom": 1.0}


def origin(text: str) -> tuple[Length, Length] | None:
    """The value of ``transform-origin``."""
    parts = words(text)
    if parts[:1] in (["top"], ["bottom"]) or parts[1:2] in (["left"], ["right"]):
        parts[:2] = reversed((*parts[:2], *["center"] * (2 - len(parts[:2]))))
    lengths = [
        Length(share=_SIDES[part]) if part in _SIDES else length_of(part) for part in parts[:2]
    ]
    if not lengths or None in lengths:
        return None
    return lengths[0] or ZERO, (lengths[1] if len(lengths) > 1 else None) or Length(share=0.5)


# Clipping

_BOXES: Final = frozenset(
    {"border-box", "padding-box", "content-box", "margin-box", "fill-box", "stroke-box", "view-box"}
)
_SIDE_WORDS: Final = frozenset({"left", "right", "top", "bottom", "center"})


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


def clip_path(text: str) -> bool | None:
    """The value of ``clip-path``: whether nothing is left of the first words."""
    parts = [part for part in words(text) if part not in _BOXES]
    if text == "none" or (not parts and text):
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
