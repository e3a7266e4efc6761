"""Filters and blend modes: what they make of a color (Filter Effects and Compositing Level 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from nornmail.html.css.color import Color
from nornmail.html.css.syntax import function, words
from nornmail.html.css.values import angle_of, length_of, number_of

Filter = Callable[[Color], Color]
_BLURRED: Final = 6.0
"""Pixels of blur at which text of ordinary size cannot be read."""
ColorMatrix = tuple[tuple[float, float, float], ...]


def parse_filter(text: str) -> Filter | None:
    """The value of ``filter``; ``None`` when it is invalid."""
    if text == "none":
        return _same
    steps: list[Filter] = []
    for called in words(text):
        name_and_inside = function(called) if called.endswith(")") else None
        step = _function(*name_and_inside) if name_and_inside else None
        if step is None:
            return None
        steps.append(step)
    if not steps:
        return None

    def apply(color: Color) -> Color:
        for step in steps:
            color = step(color)
        return color

    return apply


def is_identity(applied: Filter) -> bool:
    """Whether it is the filter ``none``."""
    return applied is _same


def _same(color: Color) -> Color:
    return color


def _vanished(color: Color) -> Color:
    return color._replace(alpha=0.0)


def _function(name: str, inside: str) -> Filter | None:
    inside = inside.strip()
    if name == "blur":
        radius = length_of(inside or "0")
        if radius is None:
            return None
        return _vanished if radius.pixels() >= _BLURRED else _same
    if name == "drop-shadow":
        return _same
    if name == "url":  # a filter that is drawn elsewhere: nothing is known of what it leaves
        return _vanished
    if name == "hue-rotate":
        angle = angle_of(inside or "0")
        return None if angle is None else _by_matrix(_hue(angle))
    make = _MAKERS.get(name)
    amount = number_of(inside) if inside else _DEFAULTS.get(name)
    if make is None or amount is None or amount < 0:
        return None
    return make(amount)


def _channels(change: Callable[[float], float]) -> Filter:
    def apply(color: Color) -> Color:
        red, green, blue = (max(0.0, min(255.0, change(channel))) for channel in color[:3])
        return Color(red, green, blue, color.alpha)

    return apply


def _by_matrix(matrix: ColorMatrix) -> Filter:
    def apply(color: Color) -> Color:
        red, green, blue = (
            max(0.0, min(255.0, sum(a * b for a, b in zip(row, color[:3], strict=True))))
            for row in matrix
        )
        return Color(red, green, blue, color.alpha)

    return apply


def _opacity(amount: float) -> Filter:
    return lambda color: color._replace(alpha=color.alpha * min(1.0, amount))


def _invert(amount: float) -> Filter:
    amount = min(1.0, amount)
    return _channels(lambda channel: channel * (1 - amount) + (255 - channel) * amount)


def _brightness(amount: float) -> Filter:
    return _channels(lambda channel: channel * amount)


def _contrast(amount: float) -> Filter:
    return _channels(lambda channel: (channel - 127.5) * amount + 127.5)


def _saturate(amount: float) -> Filter:
    red, green, blue = 0.213 * (1 - amount), 0.715 * (1 - amount), 0.072 * (1 - amount)
    return _by_matrix(
        (
            (red + amount, green, blue),
            (red, green + amount, blue),
            (red, green, blue + amount),
        )
    )


def _grayscale(amount: float) -> Filter:
    return _saturate(1 - min(1.0, amount))


def _sepia(amount: float) -> Filter:
    rest = 1 - min(1.0, amount)
    return _by_matrix(
        (
            (0.393 + 0.607 * rest, 0.769 - 0.769 * rest, 0.189 - 0.189 * rest),
            (0.349 - 0.349 * rest, 0.686 + 0.314 * rest, 0.168 - 0.168 * rest),
            (0.272 - 0.272 * rest, 0.534 - 0.534 * rest, 0.131 + 0.869 * rest),
        )
    )


def _hue(degrees: float) -> ColorMatrix:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (
        (0.213 + cos * 0.787 - sin * 0.213, 0.715 - cos * 0.715 - sin * 0.715,
         0.072 - cos * 0.072 + sin * 0.928),
        (0.213 - cos * 0.213 + sin * 0.143, 0.715 + cos * 0.285 + sin * 0.140,
         0.072 - cos * 0.072 - sin * 0.283),
        (0.213 - cos * 0.213 - sin * 0.787, 0.715 - cos * 0.715 + sin * 0.715,
         0.072 + cos * 0.928 + sin * 0.072),
    )  # fmt: skip


_MAKERS: Final[dict[str, Callable[[float], Filter]]] = {
    "opacity": _opacity, "invert": _invert, "brightness": _brightness, "contrast": _contrast,
    "saturate": _saturate, "grayscale": _grayscale, "sepia": _sepia,
}  # fmt: skip
_DEFAULTS: Final = dict.fromkeys(_MAKERS, 1.0)


Blend = Callable[[float, float], float]
BLENDS: Final[dict[str, Blend | None]] = {
    "normal": None,
    "multiply": lambda back, front: back * front,
    "screen": lambda back, front: back + front - back * front,
    "darken": min,
    "lighten": max,
    "difference": lambda back, front: abs(back - front),
    "exclusion": lambda back, front: back + front - 2 * back * front,
    "overlay": lambda back, front: _hard_light(front, back),
    "hard-light": lambda back, front: _hard_light(back, front),
    "soft-light": lambda back, front: back + (2 * front - 1) * (back - back * back),
    "color-dodge": lambda back, front: 0.0 if not back else 1.0 if front >= 1
    else min(1.0, back / (1 - front)),
    "color-burn": lambda back, front: 1.0 if back >= 1 else 0.0 if front <= 0
    else 1 - min(1.0, (1 - back) / front),
    "plus-lighter": lambda back, front: min(1.0, back + front),
    "plus-darker": lambda back, front: max(0.0, back + front - 1),
}  # fmt: skip
"""The mix of a front color with the one behind it, channel by channel from 0 to 1."""


def _hard_light(back: float, front: float) -> float:
    return 2 * back * front if front <= 0.5 else 1 - 2 * (1 - back) * (1 - front)


def blended(mode: str, front: Color, back: Color) -> Color:
    """``front`` as ``mode`` puts it in front of an opaque ``back``."""
    blend = BLENDS[mode]
    if blend is None:
        return front
    red, green, blue = (
        255 * blend(b / 255, f / 255) for f, b in zip(front[:3], back[:3], strict=True)
    )
    return Color(red, green, blue, front.alpha)
