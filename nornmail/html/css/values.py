"""Lengths and numbers of CSS, ``calc()`` and its kin among them (CSS Values Level 4)."""

from __future__ import annotations

import math
import re
from typing import Final, NamedTuple

from nornmail.html.limits import MAX_CSS_VALUE_CHARS

VIEWPORT_WIDTH: Final = 1024.0
VIEWPORT_HEIGHT: Final = 768.0
"""Pixels of the window that a mail is imagined in."""
CONTAINER: Final = 800.0
"""Pixels that a percentage is taken of."""
FONT_SIZE: Final = 16.0
"""Pixels of text that nobody has set."""
_HUGE: Final = 1e7
_DEEPEST: Final = 20

_PX: Final = {
    "": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "in": 96.0, "cm": 96 / 2.54, "mm": 9.6 / 2.54,
    "q": 2.4 / 2.54, "rem": FONT_SIZE, "rlh": 1.2 * FONT_SIZE, "twip": 1 / 15,
}  # fmt: skip
_EM: Final = {"em": 1.0, "ex": 0.5, "ch": 0.5, "cap": 0.7, "ic": 1.0, "lh": 1.2}
_WIDE: Final = re.compile(r"([sld]?v|cq)(w|h|i|b|min|max)")
_TOKEN: Final = re.compile(
    r"\s*+(?:([+-]?(?:[0-9]*\.)?[0-9]+(?:e[+-]?[0-9]+)?)(%|[a-z]*)|([a-z-]+)(?=\()|([a-z]+)|(.))"
)


class Length(NamedTuple):
    """A sum: pixels, and shares of the font's size and of the container."""

    px: float = 0.0
    em: float = 0.0
    share: float = 0.0
    is_number: bool = False

    def pixels(self, font: float = FONT_SIZE, container: float = CONTAINER) -> float:
        """In pixels."""
        return self.px + self.em * font + self.share * container

    def scaled(self, by: float) -> Length:
        """Times a number."""
        return Length(self.px * by, self.em * by, self.share * by, self.is_number)

    def plus(self, other: Length) -> Length:
        """The sum."""
        return Length(self.px + other.px, self.em + other.em, self.share + other.share,
                      self.is_number and other.is_number)  # fmt: skip


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
    if len(text) > MAX_CSS_VALUE_CHARS:
        return None
    return _Maths(text).whole()


def _unit(number: str, unit: str) -> Length | None:
    value = max(-_HUGE, min(_HUGE, float(number)))
    if unit == "%":
        return Length(share=value / 100)
    if unit in _PX:
        return Length(px=value * _PX[unit], is_number=not unit)
    if unit in _EM:
        return Length(em=value * _EM[unit])
    wide = _WIDE.fullmatch(unit)
    if wide:
        side = VIEWPORT_HEIGHT if wide[2] in ("h", "b", "min") else VIEWPORT_WIDTH
        return Length(px=value * side / 100)
    return None


class _Maths:
    """Reads one value by recursive descent; ``_InvalidError`` ends it."""

    def __init__(self, text: str) -> None:
        self._tokens = [found.groups() for found in _TOKEN.finditer(text.strip())]
        self._at = 0
        self._depth = 0

    def whole(self) -> Length | None:
        try:
            value = self._operand()
        except _InvalidError:
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
        if self._depth and word in ("pi", "e", "infinity"):
            return Length(px={"pi": math.pi, "e": math.e}.get(word, _HUGE), is_number=True)
        raise _InvalidError

    def _call(self, name: str) -> Length:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _InvalidError
        arguments = [self._sum()]
        while self._next(","):
            arguments.append(self._sum())
        self._closed(arguments)
        self._depth -= 1
        if name in ("calc", "-webkit-calc", "-moz-calc", "round", "anchor-size"):
            return arguments[-1 if name == "round" and len(arguments) == 1 else 0]
        if name == "min":
            return min(arguments, key=Length.pixels)
        if name == "max":
            return max(arguments, key=Length.pixels)
        if name == "clamp" and len(arguments) == 3:
            low, value, high = arguments
            return max(low, min(value, high, key=Length.pixels), key=Length.pixels)
        if name == "abs":
            return arguments[0] if arguments[0].pixels() >= 0 else arguments[0].scaled(-1)
        raise _InvalidError

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
        value = self._operand_in()
        while True:
            if self._next("*"):
                other = self._operand_in()
                value = value.scaled(other.px) if other.is_number else other.scaled(value.px)
            elif self._next("/"):
                other = self._operand_in()
                value = value.scaled(1 / other.px if other.px else _HUGE)
            else:
                return value

    def _operand_in(self) -> Length:
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


class _InvalidError(Exception):
    pass
