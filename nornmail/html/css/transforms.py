"""Transforms: where a box goes, and what is left of it on the screen (CSS Transforms Level 2)."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from nornmail.html.css.syntax import split, words
from nornmail.html.css.values import FONT_SIZE, ZERO, Length, angle_of, length_of, number_of

_FUNCTION: Final = re.compile(
    r"\s*+([a-z0-9-]+)\(((?>(?:[^()]|\((?>(?:[^()]|\([^()]*+\))*)\))*))\)?"
)
LINE: Final = 20.0
"""Pixels of the height of a line: the box that percentages are taken of is one line high."""
_FIRST_WORDS: Final = (14.0, 10.0)
"""A point in the first words of a box, in pixels from its corner."""
_STRETCHED: Final = 1_000.0
"""Letters that are so many times as large are not read."""
Matrix = tuple[float, ...]
"""Four rows of four numbers, which are multiplied by columns: x, y, z, 1."""
_IDENTITY: Final[Matrix] = (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)


class Move(NamedTuple):
    """A translation, of which percentages depend on the size of the box."""

    right: Length = ZERO
    down: Length = ZERO
    near: Length = ZERO


Steps = tuple[Matrix | Move, ...]
"""The value of ``transform`` and of the properties like it: what is done, the outermost first."""


class Turned(NamedTuple):
    """The effect of a transform on the first words of a box.

    Attributes:
        across, along: by how many pixels they move.
        scale: how much smaller they become in their smaller direction; 0 where nothing is drawn.
        shows_back: the back of the box faces the reader.
        matrix: all of it as one matrix.
    """

    across: float
    along: float
    scale: float
    shows_back: bool
    matrix: Matrix


def turned(
    steps: Steps,
    origin: tuple[Length, Length],
    width: float,
    align: float = 0.0,
    around: Matrix | None = None,
) -> Turned:
    """Apply ``steps`` to a box of ``width`` pixels.

    Args:
        steps: the value of ``transform``.
        origin: the value of ``transform-origin``.
        width: of the box.
        align: how much of the room that the first words leave is in front of them.
        around: the transform of the space that the box is in, where there is one.
    """
    matrix = _IDENTITY
    for step in steps:
        if isinstance(step, Move):
            across, along = step.right.pixels(FONT_SIZE, width), step.down.pixels(FONT_SIZE, LINE)
            step = _moved(across, along, step.near.px)
        matrix = _product(matrix, step)
    if around is not None:
        matrix = _product(around, matrix)
    from_x, from_y = origin[0].pixels(FONT_SIZE, width), origin[1].pixels(FONT_SIZE, LINE)
    x = _FIRST_WORDS[0] + align * (width - 2 * _FIRST_WORDS[0]) - from_x
    y = _FIRST_WORDS[1] - from_y
    first, right, below = (_projected(matrix, *at) for at in ((x, y), (x + 1, y), (x, y + 1)))
    if first is None or right is None or below is None or _determinant(matrix) == 0:
        return Turned(0.0, 0.0, 0.0, False, matrix)
    a, b, c, d = right[0] - first[0], right[1] - first[1], below[0] - first[0], below[1] - first[1]
    wide, high, area = math.hypot(a, b), math.hypot(c, d), abs(a * d - b * c)
    is_drawn = 0 < max(wide, high) <= _STRETCHED and min(wide, high) > 0
    scale = min(wide, high, area / max(wide, high)) if is_drawn else 0.0
    return Turned(first[0] - x, first[1] - y, scale, _shows_back(matrix), matrix)


def _product(first: Matrix, second: Matrix) -> Matrix:
    return tuple(
        sum(first[4 * row + at] * second[4 * at + column] for at in range(4))
        for row in range(4)
        for column in range(4)
    )


def _projected(matrix: Matrix, x: float, y: float) -> tuple[float, float] | None:
    """The place where a point of the box is drawn; ``None`` for one behind the reader."""
    across, along, _, depth = (
        matrix[row] * x + matrix[row + 1] * y + matrix[row + 3] for row in (0, 4, 8, 12)
    )
    return (across / depth, along / depth) if depth > 1e-6 else None


def _determinant(matrix: tuple[float, ...]) -> float:
    size = math.isqrt(len(matrix))
    if size == 1:
        return matrix[0]
    total, sign = 0.0, 1
    for column in range(size):
        if matrix[column]:
            total += sign * matrix[column] * _determinant(_without(matrix, size, 0, column))
        sign = -sign
    return total


def _without(matrix: Matrix, size: int, row: int, column: int) -> Matrix:
    return tuple(
        number for at, number in enumerate(matrix) if at // size != row and at % size != column
    )


def _shows_back(matrix: Matrix) -> bool:
    return _determinant(_without(matrix, 4, 2, 2)) * _determinant(matrix) < 0


def _moved(right: float, down: float, near: float) -> Matrix:
    return (1, 0, 0, right, 0, 1, 0, down, 0, 0, 1, near, 0, 0, 0, 1)


def _scaled(x: float, y: float, z: float = 1.0) -> Matrix:
    return (x, 0, 0, 0, 0, y, 0, 0, 0, 0, z, 0, 0, 0, 0, 1)


def perspective(length: Length) -> Matrix:
    """The matrix that draws near things larger than far ones."""
    distance = max(length.pixels(), 1.0)
    return (1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, -1 / distance, 1)


def _rotated(axis: list[float], degrees: float) -> Matrix:
    """A rotation about an axis in space."""
    length = math.hypot(*axis)
    if not length:
        return _IDENTITY
    x, y, z = (part / length for part in axis)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    rest = 1 - cos
    return (
        x * x * rest + cos, x * y * rest - z * sin, x * z * rest + y * sin, 0,
        x * y * rest + z * sin, y * y * rest + cos, y * z * rest - x * sin, 0,
        x * z * rest - y * sin, y * z * rest + x * sin, z * z * rest + cos, 0,
        0, 0, 0, 1,
    )  # fmt: skip


def transform(text: str) -> Steps | None:
    """The value of ``transform``; ``None`` when it is invalid."""
    if text == "none":
        return ()
    steps: list[Matrix | Move] = []
    at = 0
    while match := _FUNCTION.match(text, at):
        at = match.end()
        step = _function(match[1], [part.strip() for part in split(match[2], ",")])
        if step is None:
            return None
        steps.append(step)
    return tuple(steps) if at and not text[at:].strip() else None


_AXES: Final = {"x": [1.0, 0.0, 0.0], "y": [0.0, 1.0, 0.0], "z": [0.0, 0.0, 1.0]}
_ARGUMENTS: Final = {
    "rotate": (1,), "rotatex": (1,), "rotatey": (1,), "rotatez": (1,), "rotate3d": (4,),
    "skew": (1, 2), "skewx": (1,), "skewy": (1,), "perspective": (1,), "translate": (1, 2),
    "translatex": (1,), "translatey": (1,), "translatez": (1,), "translate3d": (3,),
    "scale": (1, 2), "scalex": (1,), "scaley": (1,), "scalez": (1,), "scale3d": (3,),
    "matrix": (6,), "matrix3d": (16,),
}  # fmt: skip
"""The numbers of arguments of each function."""


def _function(name: str, arguments: list[str]) -> Matrix | Move | None:
    if len(arguments) not in _ARGUMENTS.get(name, ()):
        return None
    if name.startswith(("rotate", "skew")):
        angle = angle_of(arguments[-1])
        first = angle_of(arguments[0])
        if angle is None or first is None:
            return None
        if name.startswith("skew"):
            return _skewed(name, first, angle if len(arguments) > 1 else 0.0)
        axis = [number_of(argument) or 0.0 for argument in arguments[:-1]]
        return _rotated(axis or _AXES.get(name[6:], _AXES["z"]), angle)
    if name.startswith("translate") or name == "perspective":
        lengths = [length_of(argument) for argument in arguments]
        if name == "perspective" and arguments == ["none"]:
            return _IDENTITY
        known = [length for length in lengths if length is not None]
        if len(known) < len(lengths):
            return None
        if name == "perspective":
            return perspective(known[0])
        axes = {"translatey": 1, "translatez": 2}.get(name, 0)
        return Move(*[ZERO] * axes, *known)
    numbers = [number_of(argument) for argument in arguments]
    values = [number for number in numbers if number is not None]
    return _by_numbers(name, values) if len(values) == len(numbers) else None


def _by_numbers(name: str, values: list[float]) -> Matrix:
    if name == "matrix":
        a, b, c, d, right, down = values
        return (a, c, 0, right, b, d, 0, down, 0, 0, 1, 0, 0, 0, 0, 1)
    if name == "matrix3d":  # it is written by columns
        return tuple(values[4 * column + row] for row in range(4) for column in range(4))
    if name in ("scalex", "scaley", "scalez"):
        return _scaled(*(values[0] if axis == name[5] else 1.0 for axis in "xyz"))
    return _scaled(values[0], *(values[1:] or values[:1]))


def _skewed(name: str, first: float, second: float) -> Matrix:
    across, along = math.tan(math.radians(first)), math.tan(math.radians(second))
    if name == "skewy":
        across, along = 0.0, across
    return (1, across, 0, 0, along, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1)


def rotate(text: str) -> Steps | None:
    """The value of ``rotate``."""
    parts = words(text)
    if text == "none":
        return ()
    angles = [part for part in parts if part[-1].isalpha() and part not in _AXES] or parts[-1:]
    angle = angle_of(angles[0]) if angles and angles[0] in (parts[0], parts[-1]) else None
    if angle is None:
        return None
    parts.remove(angles[0])
    if len(parts) == 1 and parts[0] in _AXES:
        return (_rotated(_AXES[parts[0]], angle),)
    numbers = [number_of(part) for part in parts]
    if len(parts) not in (0, 3) or None in numbers:
        return None
    return (_rotated([number or 0.0 for number in numbers] or _AXES["z"], angle),)


def scale(text: str) -> Steps | None:
    """The value of ``scale``."""
    if text == "none":
        return ()
    numbers = [number_of(part) for part in words(text)]
    values = [number for number in numbers if number is not None]
    if not 1 <= len(values) <= 3 or len(values) < len(numbers):
        return None
    return (_scaled(values[0], *(values[1:] or values)),)


def translate(text: str) -> Steps | None:
    """The value of ``translate``."""
    if text == "none":
        return ()
    lengths = [length_of(part) for part in words(text)]
    known = [length for length in lengths if length is not None]
    return (Move(*known),) if len(known) == len(lengths) and 1 <= len(known) <= 3 else None


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
