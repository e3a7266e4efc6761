"""Computed style: the style of an element from its parent's and the declarations that apply."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from nornmail.html.css import visibility
from nornmail.html.css.color import BLACK, Color
from nornmail.html.css.properties import (
    CURRENT,
    IMAGE,
    INHERITED,
    WIDE_KEYWORDS,
    Pending,
    Value,
    read,
)
from nornmail.html.css.style import _ROUNDS, _VARIABLE, Style
from nornmail.html.css.values import FONT_SIZE, Length
from nornmail.html.css.visibility import SMALLEST_TEXT
from nornmail.html.limits import MAX_CSS_VALUE_CHARS


def compute(parent: Style, sets: Mapping[str, Value]) -> Style:
    """The style of an element within ``parent`` on which the cascade has set ``sets``."""
    style = parent.child()
    sets = _resolved(style, sets)
    _text(style, parent, sets)
    _colors(style, parent, sets)
    style.display = sets.get("display", "")
    if "float" in sets or sets.get("position") in ("absolute", "fixed"):
        style.display = style.display or "block"
    if style.display.startswith("inline-"):  # it stands in the line that the parent indents
        style.right += min(0.0, parent.indent.pixels(parent.size))
    if not style.lost:
        style.lost = visibility.what_hides(style, sets)
    style.is_painted = visibility.covers_what_is_behind(style, sets)
    style.unseen = style.lost or visibility.what_hides_text(style)
    return style


def _resolved(style: Style, sets: Mapping[str, Value]) -> Mapping[str, Value]:
    """``sets`` with custom properties put in and without keywords such as ``inherit``."""
    if not any(name.startswith("--") or isinstance(value, str) for name, value in sets.items()):
        return sets
    own = {name: value for name, value in sets.items() if name.startswith("--")}
    if own:
        style.variables = {**style.variables, **own}
    found: dict[str, Value] = {}
    for name, value in sets.items():
        if name in own:
            continue
        if isinstance(value, Pending):
            text = _filled(value, style.variables)
            found.update(read(name, text.strip().lower()) if text is not None else ())
        elif not isinstance(value, str) or value not in WIDE_KEYWORDS:
            found[name] = value
        elif value == "initial" or (value != "inherit" and name not in INHERITED):
            found[name] = _INITIAL.get(name)
        elif value == "inherit" and name in ("display", "background-color"):
            found[name] = None
    return {name: value for name, value in found.items() if value is not None}


_INITIAL: Final[Mapping[str, Value]] = {
    "visibility": "visible", "font-size": Length(px=FONT_SIZE), "line-height": Length(em=1.2),
    "letter-spacing": Length(), "text-indent": Length(), "color": BLACK, "white-space": "normal",
    "text-fill-color": CURRENT,
}  # fmt: skip


def _filled(text: str, variables: Mapping[str, str]) -> str | None:
    """``text`` with the custom properties put in, ``None`` when one is missing."""
    missing = False

    def put(found: re.Match[str]) -> str:
        nonlocal missing
        value = variables.get(found[1], found[2])
        missing = missing or value is None
        return value or ""

    for _ in range(_ROUNDS):
        filled = _VARIABLE.sub(put, text)
        if missing or len(filled) > MAX_CSS_VALUE_CHARS:
            return None
        if filled == text:
            return filled
        text = filled
    return None


def _text(style: Style, parent: Style, sets: Mapping[str, Value]) -> None:
    size = sets.get("font-size")
    if size is not None:
        style.size = size.pixels(parent.size, parent.size)
        style.is_set = parent.is_set or bool(size.px)
        if not style.is_set and size.em + size.share >= _MODEST and parent.size >= SMALLEST_TEXT:
            style.size = max(style.size, SMALLEST_BY_STEPS)
    height = sets.get("line-height")
    if height is not None:
        style.line_height = height
    spacing = sets.get("letter-spacing")
    if spacing is not None:
        style.spacing = spacing.pixels(style.size, style.size)
    style.indent = sets.get("text-indent", style.indent)
    if "visibility" in sets:
        style.has_visibility = sets["visibility"] == "visible"
    style.white_space = sets.get("white-space", style.white_space)


_MODEST: Final = 0.5
SMALLEST_BY_STEPS: Final = 6.0
"""Pixels below which steps of half and more do not lead from the size that nobody has set, as in
Blink: nested quotes take many."""


def _colors(style: Style, parent: Style, sets: Mapping[str, Value]) -> None:
    color = sets.get("color")
    if isinstance(color, Color):
        style.color = color
    fill = sets.get("text-fill-color")
    if fill is not None:
        style.fill = None if fill == CURRENT else fill
    own = sets.get("background-color")
    if own is not None:
        _paint(style, style.color if own == CURRENT else own)
    image = sets.get("background-image")
    if image == IMAGE:
        style.backdrop = None
    elif isinstance(image, Color):
        _paint(style, image)


def _paint(style: Style, color: Color) -> None:
    if style.backdrop is not None:
        style.backdrop = color.over(style.backdrop)
    elif color.alpha > _SOLID:
        style.backdrop = color._replace(alpha=1.0)


_SOLID: Final = 0.9
"""A color as opaque as this covers an image of which nothing is known."""
