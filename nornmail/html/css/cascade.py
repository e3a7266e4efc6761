"""The cascade: attributes, style sheets and ``style``, in the order in which they count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from nornmail.defects import Note
from nornmail.html.css.color import BLACK, Color, legacy_color
from nornmail.html.css.computed import compute
from nornmail.html.css.properties import IMAGE, Value
from nornmail.html.css.style import Style, layout_of
from nornmail.html.css.stylesheet import Block, Rule, StyleSheets, read_block
from nornmail.html.css.syntax import without_comments
from nornmail.html.css.values import Length
from nornmail.html.elements import NEVER_SHOWN
from nornmail.html.tree import Element

_REMEMBERED: Final = 1_000
"""Styles and ``style`` attributes that are remembered: those of a newsletter repeat."""
_NO_RULES: Final[tuple[tuple[Rule, ...], tuple[int, ...]]] = ((), ())
_PAINTED: Final = frozenset(
    {"body", "col", "colgroup", "marquee", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
_SHOWN: Final = frozenset(
    {"background", "bgcolor", "color", "hidden", "link", "open", "popover", "size", "text", "type"}
)
"""The attributes that say how an element looks, other than ``style``, ``class`` and the like."""
_PRE: Final = frozenset({"listing", "plaintext", "pre", "textarea", "xmp"})
_FONT_SIZES: Final = (10, 10, 13, 16, 18, 24, 32, 48)
_SIZES: Final = {"big": Length(em=1.2), "small": Length(em=5 / 6), "sub": Length(em=5 / 6),
                 "sup": Length(em=5 / 6)}  # fmt: skip
_FIELDS: Final = frozenset({"button", "input", "select", "textarea"})
_MARK: Final[Mapping[str, Value]] = {"color": BLACK, "background-color": Color(255, 255, 0)}
_FIELD: Final[Mapping[str, Value]] = {
    "color": BLACK, "background-color": Color(240, 240, 240), "font-size": Length(px=13.3),
    "line-height": Length(em=1.2), "letter-spacing": Length(),
}  # fmt: skip


class Cascade:
    """Gives each element of a page its style, from the root inwards.

    Attributes:
        sheets: the style blocks of the page.
        start: the style around the root.
    """

    def __init__(self, root: Element, quirks: bool, note: Note) -> None:
        self._quirks = quirks
        self.sheets = StyleSheets(root, quirks, note)
        self._styles: dict[tuple[object, ...], Style] = {}
        self._attributes: dict[str, Block] = {}
        self._has_rules = bool(self.sheets)
        self.start = Style()

    def style_of(self, element: Element, parent: Style) -> Style:
        """The style of ``element``; ``parent`` is that of the element around it."""
        rules, rules_key = self.sheets.rules_of(element) if self._has_rules else _NO_RULES
        attributes = element.attributes
        key: tuple[object, ...]
        if attributes:
            shown = "href" in attributes if _SHOWN.isdisjoint(attributes) else id(attributes)
            key = (parent, element.name, attributes.get("style"), shown, rules_key)
        else:
            key = (parent, element.name, rules_key)
        style = self._styles.get(key)
        if style is None:
            style = self._computed(element, parent, rules)
            if len(self._styles) >= _REMEMBERED:
                self._styles.clear()
            self._styles[key] = style
        return style

    def _computed(self, element: Element, parent: Style, rules: Iterable[Rule]) -> Style:
        sets: dict[str, Value] = dict(_by_element(element, parent))
        important: dict[str, Value] = {}
        for rule in rules:
            sets.update(rule.block.sets)
            important.update(rule.block.important)
        own = element.attributes.get("style")
        if own:
            block = self._style_attribute(own)
            sets.update(block.sets)
            important.update(block.important)
        sets.update(important)
        if element.name == "a":  # buttons have a twin for Outlook, and hide from it alone
            sets.pop("mso-hide", None)
        style = compute(parent, sets)
        _note_links(element, style)
        style.layout = layout_of(element.name, style.display, parent.display, style.white_space)
        return style

    def _style_attribute(self, css: str) -> Block:
        known = self._attributes.get(css)
        if known is None:
            known = read_block(without_comments(css), self._quirks)
            if len(self._attributes) < _REMEMBERED:
                self._attributes[css] = known
        return known


def _note_links(element: Element, style: Style) -> None:
    if element.name == "body":
        style.link = legacy_color(element.get("link")) or style.link


def _by_element(element: Element, parent: Style) -> Mapping[str, Value]:
    """What the element's name and its old attributes set (HTML standard, 15.3)."""
    name, attributes = element.name, element.attributes
    sets = _by_name(name)
    if name in NEVER_SHOWN or _is_closed(element):
        sets["display"] = "none"
    if not attributes:
        return sets
    if name == "a" and "href" in attributes:
        sets["color"] = parent.link
    if name in _PAINTED:
        if attributes.get("background"):
            sets["background-image"] = IMAGE
        painted = legacy_color(attributes.get("bgcolor", ""))
        if painted is not None:
            sets["background-color"] = painted
    if name == "font":
        size = _font_size(attributes.get("size", ""))
        if size is not None:
            sets["font-size"] = size
    written = _WRITTEN.get(name)
    color = legacy_color(attributes.get(written, "")) if written else None
    if color is not None:
        sets["color"] = color
    return sets


_WRITTEN: Final = {"body": "text", "font": "color"}


def _by_name(name: str) -> dict[str, Value]:
    sets: dict[str, Value] = {}
    if name in _FIELDS:
        sets.update(_FIELD)
    elif name in _SIZES:
        sets["font-size"] = _SIZES[name]
    elif name == "mark":
        sets.update(_MARK)
    elif name == "img":  # what has no room is cut off
        sets["overflow"] = "hidden"
    if name in _PRE:
        sets["white-space"] = "pre"
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
