"""The cascade: attributes, style sheets and ``style``, in the order in which they count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nornmail.message.defects import Note
from nornmail.message.html.css.colours import BLACK, Colour, legacy_colour
from nornmail.message.html.css.properties import IMAGE, Value
from nornmail.message.html.css.sheet import Longhand, StyleSheets, read_declarations
from nornmail.message.html.css.style import Style, compute
from nornmail.message.html.css.syntax import declarations
from nornmail.message.html.css.values import Length
from nornmail.message.html.elements import NEVER_SHOWN
from nornmail.message.html.tree import Element

_REMEMBERED: Final = 1_000
"""Styles and ``style`` attributes that are remembered: those of a newsletter repeat."""
_PAINTED: Final = frozenset(
    {"body", "col", "colgroup", "marquee", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
_PRE: Final = frozenset({"listing", "plaintext", "pre", "textarea", "xmp"})
_FONT_SIZES: Final = (10, 10, 13, 16, 18, 24, 32, 48)
_SIZES: Final = {"big": Length(em=1.2), "small": Length(em=5 / 6), "sub": Length(em=5 / 6),
                 "sup": Length(em=5 / 6)}  # fmt: skip
_FIELDS: Final = frozenset({"button", "input", "select", "textarea"})
_FIELD: Final[Mapping[str, Value]] = {
    "color": BLACK, "background-color": Colour(240, 240, 240), "font-size": Length(px=13.3),
    "line-height": Length(em=1.2), "text-indent": Length(), "letter-spacing": Length(),
}  # fmt: skip


class Cascade:
    """Gives each element of a page its style, from the root inwards."""

    def __init__(self, root: Element, quirks: bool, note: Note) -> None:
        self._sheets = StyleSheets(root, quirks, note)
        self._styles: dict[tuple[object, ...], Style] = {}
        self._attributes: dict[str, tuple[Longhand, ...]] = {}
        self.start = Style()

    @property
    def is_spent(self) -> bool:
        """The styles became too costly: of what follows nobody can tell whether it is seen."""
        return self._sheets.is_spent

    def style_of(self, element: Element, parent: Style) -> Style:
        """The style of ``element``; ``parent`` is that of the element around it."""
        rules = self._sheets.rules_of(element) if self._sheets else ()
        key = (parent, element.name, id(element.attributes), *(rule.order for rule in rules))
        style = self._styles.get(key)
        if style is None:
            sets: dict[str, Value] = dict(_by_element(element, parent))
            important: dict[str, Value] = {}
            for rule in rules:
                _apply(rule.sets, sets, important)
            own = element.attributes.get("style")
            if own:
                late: dict[str, Value] = {}
                _apply(self._style_attribute(own), sets, late)
                important.update(late)
            sets.update(important)
            style = compute(parent, sets)
            _note_links(element, style)
            if len(self._styles) >= _REMEMBERED:
                self._styles.clear()
            self._styles[key] = style
        return style

    def _style_attribute(self, css: str) -> tuple[Longhand, ...]:
        known = self._attributes.get(css)
        if known is None:
            known = read_declarations(declarations(css))
            if len(self._attributes) < _REMEMBERED:
                self._attributes[css] = known
        return known


def _apply(longhands: tuple[Longhand, ...], sets: dict[str, Value], late: dict[str, Value]) -> None:
    for name, value, is_important in longhands:
        (late if is_important else sets)[name] = value


def _note_links(element: Element, style: Style) -> None:
    if element.name == "body":
        style.link = legacy_colour(element.get("link")) or style.link


def _by_element(element: Element, parent: Style) -> Mapping[str, Value]:
    """What the element's name and its old attributes set (HTML standard, 15.3)."""
    name = element.name
    sets: dict[str, Value] = {}
    if name in _FIELDS:
        sets.update(_FIELD)
    elif name in _SIZES:
        sets["font-size"] = _SIZES[name]
    if name in _PRE:
        sets["white-space"] = "pre"
    attributes = element.attributes
    if not attributes:
        if name in NEVER_SHOWN or name == "dialog":
            sets["display"] = "none"
        return sets
    if name in NEVER_SHOWN or _is_closed(element):
        sets["display"] = "none"
    if name == "a" and "href" in attributes:
        sets["color"] = parent.link
    if name in _PAINTED:
        if attributes.get("background"):
            sets["background-image"] = IMAGE
        painted = legacy_colour(attributes.get("bgcolor", ""))
        if painted is not None:
            sets["background-color"] = painted
    written = ""
    if name == "font":
        written = attributes.get("color", "")
        size = _font_size(attributes.get("size", ""))
        if size is not None:
            sets["font-size"] = size
    elif name == "body":
        written = attributes.get("text", "")
    colour = legacy_colour(written) if written else None
    if colour is not None:
        sets["color"] = colour
    return sets


def _is_closed(element: Element) -> bool:
    attributes = element.attributes
    if "hidden" in attributes or "popover" in attributes:
        return True
    if element.name == "input":
        return attributes.get("type", "").lower() == "hidden"
    return element.name == "dialog" and "open" not in attributes


def _font_size(text: str) -> Length | None:
    """``size="2"``, ``size="+1"``: 1 to 7, and 3 is ordinary."""
    text = text.strip()
    sign, digits = text[:1], text.lstrip("+-")[:4]
    if not digits[:1].isdigit():
        return None
    number = int("".join(one for one in digits if one in "0123456789") or "3")
    number = 3 + number if sign == "+" else 3 - number if sign == "-" else number
    return Length(px=_FONT_SIZES[max(1, min(7, number))])
