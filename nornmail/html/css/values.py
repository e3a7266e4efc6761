"""Lengths, numbers and angles of CSS, with the math functions (CSS Values Level 4)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final, NamedTuple

VIEWPORT_WIDTH: Final = 1024.0
VIEWPORT_HEIGHT: Final = 768.0
"""Pixels of the window that a mail is imagined in."""
CONTAINER: Final = 1008.0
"""Pixels that a percentage is taken of."""
FONT_SIZE: Final = 16.0
"""Pixels of text that nothing has set."""
_HUGE: Final = 1e7
_DEEPEST: Final = 40
_MAX_MATH_CHARS: Final = 4_000
"""Characters of one expression. Longer ones are not computed: the element is not shown."""

_PX: Final = {
    "": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 9.6 / 2.54,
    "q": 2.4 / 2.54, "rem": FONT_SIZE, "rlh": 1.2 * FONT_SIZE, "rex": 8.0, "rch": 8.0,
    "ric": 16.0, "rcap": 11.2, "twip": 1 / 15,
}  # fmt: skip
_EM: Final = {"em": 1.0, "ex": 0.5, "ch": 0.5, "cap": 0.7, "ic": 1.0, "lh": 1.2}
_ANGLES: Final = {"deg": 1.0, "grad": 0.9, "rad": 180 / math.pi, "turn": 360.0}
_ANGLE: Final = re.compile(r"[-+0-9.e]+(?:deg|grad|rad|turn)?")
_WIDE: Final = re.compile(r"([sld]?v|cq)(w|h|i|b|min|max)")
_TOKEN: Final = re.compile(
    r"\s*+(?:([+-]?(?:[0-9]*\.)?[0-9]+(?:e[+-]?[0-9]+)?)(%|[a-z]*)"
    r"|(-?[a-z][-a-z0-9]*)(?=\()|(-?[a-z][-a-z]*)|(.))"
)
_SIMPLE: Final = re.compile(r"([+-]?(?:[0-9]*\.)?[0-9]+)(px|em|%|pt|)")


class Length(NamedTuple):
    """A sum: pixels, and shares of the font's size and of the container.

    Attributes:
        rem: the share of the root's font size, which is in the pixels as well, for the usual size.
    """

    px: float = 0.0
    em: float = 0.0
    share: float = 0.0
    is_number: bool = False
    rem: float = 0.0

    def pixels(self, font: float = FONT_SIZE, container: float = CONTAINER) -> float:
        """In pixels."""
        return self.px + self.em * font + self.share * container

    def scaled(self, by: float) -> Length:
        """Times a number."""
        return Length(self.px * by, self.em * by, self.share * by, self.is_number, self.rem * by)

    def plus(self, other: Length) -> Length:
        """The sum."""
        return Length(self.px + other.px, self.em + other.em, self.share + other.share,
                      self.is_number and other.is_number, self.rem + other.rem)  # fmt: skip


ZERO: Final = Length()


def number_of(text: str) -> float | None:
    """A number, or a percentage as a share: ``0.5``, ``50%``, ``calc(1 / 2)``."""
    value = length_of(text)
    if value is None or value.em:
        return None
    if value.share or value.is_number:
        return value.share or value.px
    return 0.0 if text.endswith(("%", ")")) and not value.px else None


def length_of(text: str) -> Length | None:
    """A length, a percentage, or a number, which counts as pixels; ``None`` for anything else."""
    match = _SIMPLE.fullmatch(text)
    if match is not None:
        return _unit(match[1], match[2])
    if not text or len(text) > _MAX_MATH_CHARS:
        return None
    return _Expression(text).whole()


def angle_of(text: str) -> float | None:
    """An angle in degrees: ``90deg``, ``.25turn``, ``calc(45deg * 2)``, and a number as degrees."""
    if text == "none":
        return 0.0
    if not _ANGLE.fullmatch(text) and "(" not in text:
        return None
    value = _Expression(text).whole() if text and len(text) < _MAX_MATH_CHARS else None
    return None if value is None or value.em or value.share else value.px


def is_too_long(text: str) -> bool:
    """Whether an expression is over the limit, so that its value is unknown."""
    return len(text) > _MAX_MATH_CHARS


def _unit(number: str, unit: str) -> Length | None:
    value = max(-_HUGE, min(_HUGE, float(number)))
    if unit == "%":
        return Length(share=value / 100)
    if unit == "rem":
        return Length(px=value * FONT_SIZE, rem=value)
    if unit in _PX:
        return Length(px=value * _PX[unit], is_number=not unit)
    if unit in _EM:
        return Length(em=value * _EM[unit])
    if unit in _ANGLES:
        return Length(px=value * _ANGLES[unit])
    wide = _WIDE.fullmatch(unit)
    if wide:
        side = VIEWPORT_HEIGHT if wide[2] in ("h", "b", "min") else VIEWPORT_WIDTH
        return Length(px=value * side / 100)
    return None


class _InvalidError(Exception):
    """Not an expression of CSS."""


class _Expression:
    """Reads one value by recursive descent; ``_InvalidError`` ends it."""

    def __init__(self, text: str) -> None:
        self._tokens = [match.groups() for match in _TOKEN.finditer(text.strip())]
        self._at = 0
        self._depth = 0

    def whole(self) -> Length | None:
        try:
            value = self._operand()
        except (_InvalidError, ValueError, OverflowError, ZeroDivisionError):
            return None
        return value if self._at == len(self._tokens) else None

    def _operand(self) -> Length:
        if self._at >= len(self._tokens):
            raise _InvalidError
        number, unit, name, word, other = self._tokens[self._at]
        self._at += 1
        if number:
            value = _unit(number, unit)
            if value is None:
                raise _InvalidError
            return value
        if other == "(" and self._depth:
            return self._closed([self._sum()])[0]
        if name:
            self._at += 1
            return self._call(name)
        if self._depth and word in _CONSTANTS:
            return Length(px=_CONSTANTS[word], is_number=True)
        raise _InvalidError

    def _call(self, name: str) -> Length:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _InvalidError
        strategy = self._tokens[self._at][3] if self._at < len(self._tokens) else ""
        if name == "round" and strategy in ("up", "down", "nearest", "to-zero"):
            name = f"round {strategy}"
            self._at += 1
            if not self._next(","):
                raise _InvalidError
        arguments = [self._sum()]
        while self._next(","):
            arguments.append(self._sum())
        self._closed(arguments)
        self._depth -= 1
        return _called(name, arguments)

    def _closed(self, value: list[Length]) -> list[Length]:
        if not self._next(")") and self._at < len(self._tokens):
            raise _InvalidError
        return value

    def _sum(self) -> Length:
        value = self._product()
        while True:
            if self._next("+"):
                value = value.plus(self._product())
            elif self._next("-"):
                value = value.plus(self._product().scaled(-1))
            else:
                return value

    def _product(self) -> Length:
        value = self._nested()
        units = int(not value.is_number)
        while True:
            if self._next("*"):
                other = self._nested()
                value = value.scaled(other.px) if other.is_number else other.scaled(value.px)
                units += not other.is_number
            elif self._next("/"):
                other = self._nested()
                divisor = other.pixels()
                value = value.scaled(1 / divisor if divisor else _HUGE)
                units -= not other.is_number
            elif units in (0, 1):
                return value._replace(is_number=not units)
            else:
                raise _InvalidError

    def _nested(self) -> Length:
        self._depth += 1
        if self._depth > 2 * _DEEPEST:
            raise _InvalidError
        value = self._operand()
        self._depth -= 1
        return value

    def _next(self, what: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][4] == what:
            self._at += 1
            return True
        return False


def _called(name: str, arguments: list[Length]) -> Length:
    first = arguments[0]
    if name in ("calc", "-webkit-calc", "-moz-calc"):
        return first
    if name == "min":
        return min(arguments, key=Length.pixels)
    if name == "max":
        return max(arguments, key=Length.pixels)
    if name == "clamp" and len(arguments) == 3:
        low, value, high = arguments
        return max(low, min(value, high, key=Length.pixels), key=Length.pixels)
    if name == "abs":
        return first if first.pixels() >= 0 else first.scaled(-1)
    function = _FUNCTIONS.get(name)
    if function is None:
        raise _InvalidError
    numbers = [argument.pixels() for argument in arguments]
    is_number = name in _NUMERIC or (first.is_number and name not in _ANGULAR)
    return Length(px=max(-_HUGE, min(_HUGE, function(*numbers))), is_number=is_number)


def _rounded(rounding: Callable[[float], float]) -> Callable[..., float]:
    def rounded(value: float, step: float = 1.0) -> float:
        return rounding(value / step) * step if step else _HUGE

    return rounded


def _radians(number: float) -> float:
    # A number is in radians, an angle in degrees: who writes sin(0) and sin(0deg) means the same.
    return math.radians(number) if abs(number) > 7 else number


def _mod(value: float, step: float) -> float:
    return value - step * math.floor(value / step)


_CONSTANTS: Final = {"pi": math.pi, "e": math.e, "infinity": _HUGE, "-infinity": -_HUGE, "nan": 0.0}
_FUNCTIONS: Final[dict[str, Callable[..., float]]] = {
    "sin": lambda x: math.sin(_radians(x)), "cos": lambda x: math.cos(_radians(x)),
    "tan": lambda x: math.tan(_radians(x)), "asin": lambda x: math.degrees(math.asin(x)),
    "acos": lambda x: math.degrees(math.acos(x)), "atan": lambda x: math.degrees(math.atan(x)),
    "atan2": lambda y, x: math.degrees(math.atan2(y, x)), "pow": math.pow, "sqrt": math.sqrt,
    "hypot": math.hypot, "log": math.log, "exp": math.exp, "mod": _mod, "rem": math.fmod,
    "sign": lambda x: (x > 0) - (x < 0), "round": _rounded(round), "round nearest": _rounded(round),
    "round up": _rounded(math.ceil), "round down": _rounded(math.floor),
    "round to-zero": _rounded(math.trunc),
}  # fmt: skip
_ANGULAR: Final = frozenset({"asin", "acos", "atan", "atan2"})
_NUMERIC: Final = frozenset({"sin", "cos", "tan", "sign", "pow", "sqrt", "log", "exp"})
