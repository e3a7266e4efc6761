"""Boxes that are cut, moved or shrunk: ``transform``, ``clip``, ``clip-path``."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from nornmail.html.css.syntax import function, split, words
from nornmail.html.css.values import CONTAINER, ZERO, Length, length_of, number_of

_FUNCTION: Final = re.compile(r"\s*+([a-z0-9-]+)\(((?>(?:[^()]|\([^()]*+\))*))\)?")
_ANGLE: Final = re.compile(r"([+-]?(?:[0-9]*\.)?[0-9]+(?:e[+-]?[0-9]+)?)(deg|grad|rad|turn|)")
_TURNS: Final = {
    "deg": 1 / 360,
    "": 1 / 360,
    "grad": 1 / 400,
    "rad": 1 / (2 * math.pi),
    "turn": 1.0,
}
SLIT: Final = 4.0
"""Pixels: what is not so wide or so high shows no text."""


class Transform(NamedTuple):
    """How much smaller a box becomes in its smaller direction, and where it goes."""

    scale: float = 1.0
    right: Length = ZERO
    down: Length = ZERO


def transform(text: str) -> Transform | None:
    """The value of ``transform``; ``None`` when it is invalid."""
    if text == "none":
        return Transform()
    result, at = Transform(), 0
    while found := _FUNCTION.match(text, at):
        at = found.end()
        one = _one(found[1], [part.strip() for part in split(found[2], ",")])
        if one is None:
            return None
        result = Transform(result.scale * one.scale, result.right.plus(one.right),
                           result.down.plus(one.down))  # fmt: skip
    return result if at and not text[at:].strip() else None


def _one(name: str, arguments: list[str]) -> Transform | None:
    if name in ("rotatex", "rotatey", "rotate3d"):
        return Transform(_edge_on(arguments[-1]))
    if name.startswith(("rotate", "skew", "perspective")):
        return Transform()
    if name.startswith("translate"):
        return _translated(name, [length_of(one) for one in arguments])
    numbers = [number_of(one) for one in arguments]
    if any(one is None for one in numbers):
        return None
    values = [one or 0.0 for one in numbers]
    if name.startswith("scale"):
        kept = values[:2] if name in ("scale", "scale3d") else values[:1]
        return Transform() if name == "scalez" else Transform(min(abs(one) for one in kept))
    if name == "matrix" and len(values) == 6:
        first, second, third, fourth, right, down = values
        wide, high = math.hypot(first, second), math.hypot(third, fourth)
        flat = abs(first * fourth - second * third) < 1e-9
        return Transform(0.0 if flat else min(wide, high), Length(right), Length(down))
    if name == "matrix3d" and len(values) == 16:
        wide, high = math.hypot(*values[0:3]), math.hypot(*values[4:7])
        return Transform(min(wide, high), Length(values[12]), Length(values[13]))
    return None


def _translated(name: str, lengths: list[Length | None]) -> Transform | None:
    if not lengths or any(one is None for one in lengths):
        return None
    first = lengths[0] or ZERO
    if name == "translatey":
        return Transform(down=first)
    if name == "translatex":
        return Transform(right=first)
    if name == "translatez":
        return Transform()
    return Transform(right=first, down=(lengths[1] or ZERO) if len(lengths) > 1 else ZERO)


def _edge_on(angle: str) -> float:
    found = _ANGLE.fullmatch(angle)
    return abs(math.cos(2 * math.pi * float(found[1]) * _TURNS[found[2]])) if found else 1.0


def turned_away(text: str) -> float | None:
    """The value of ``rotate``: what is left of the box's width."""
    parts = words(text)
    if len(parts) > 1 and parts[0] in ("x", "y"):
        return _edge_on(parts[-1])
    return 1.0


def clip(text: str) -> bool | None:
    """The value of ``clip``: whether nothing is left."""
    if text == "auto":
        return False
    called = function(text)
    if called is None or called[0] != "rect":
        return None
    sides = called[1].replace(",", " ").split()
    if len(sides) != 4:
        return None
    top, right, bottom, left = (length_of(side) for side in sides)
    return _narrow(left or ZERO, right, CONTAINER) or _narrow(top or ZERO, bottom, CONTAINER)


def _narrow(start: Length, end: Length | None, unknown: float) -> bool:
    return (end.pixels() if end is not None else unknown) - start.pixels() < SLIT


def clip_path(text: str) -> bool | None:
    """The value of ``clip-path``: whether nothing is left."""
    if text in ("none", "border-box", "padding-box", "content-box", "margin-box", "view-box"):
        return False
    called = function(text)
    if called is None:
        return None
    name, inside = called[0], called[1].split(")")[0] if called[0] == "url" else called[1]
    parts = words(inside.replace(",", " ") if name in ("rect", "xywh") else inside)
    if name == "inset":
        sides = parts[: parts.index("round")] if "round" in parts else parts
        return _is_inset_away([length_of(side) for side in sides])
    if name in ("circle", "ellipse"):
        radii = parts[: parts.index("at")] if "at" in parts else parts
        return any(size is not None and size.pixels() < SLIT / 2 for size in map(length_of, radii))
    if name == "polygon":
        return _is_flat(inside)
    if name == "rect" and len(parts) >= 4:
        top, right, bottom, left = (length_of(side) for side in parts[:4])
        return _narrow(left or ZERO, right, CONTAINER) or _narrow(top or ZERO, bottom, CONTAINER)
    if name == "xywh" and len(parts) >= 4:
        return any(size is not None and size.pixels() < SLIT for size in map(length_of, parts[2:4]))
    return False if name in ("path", "shape", "url") else None


def _is_inset_away(sides: list[Length | None]) -> bool | None:
    if not 1 <= len(sides) <= 4 or any(side is None for side in sides):
        return None
    known = [side or ZERO for side in sides]
    top, right = known[0], known[1 % len(known)]
    bottom, left = known[2 % len(known)] if len(known) > 2 else top, known[-1]
    if len(known) < 4:
        left = right
    wide = CONTAINER - left.pixels() - right.pixels()
    high = CONTAINER - top.pixels() - bottom.pixels()
    return min(wide, high) < SLIT


def _is_flat(points: str) -> bool | None:
    corners: list[tuple[float, float]] = []
    for point in split(points, ","):
        pair = [length_of(one) for one in words(point)]
        if len(pair) == 2 and pair[0] is not None and pair[1] is not None:
            corners.append((pair[0].pixels(), pair[1].pixels()))
    if not corners:
        return None
    area = 0.0
    for (x, y), (next_x, next_y) in zip(corners, [*corners[1:], corners[0]], strict=True):
        area += x * next_y - next_x * y
    return abs(area) / 2 < SLIT * SLIT
