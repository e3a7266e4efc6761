"""The cascade: attributes, style sheets and ``style``, in the order in which they count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from nornmail.html.css.color import BLACK, WHITE, Color, legacy_color
from nornmail.html.css.computed import compute, is_inked, what_hides_text
from nornmail.html.css.geometry import FAR_RIGHT, push
from nornmail.html.css.properties import INHERITED
from nornmail.html.css.style import FLEX, Narrow, Style
from nornmail.html.css.stylesheet import (
    Declared,
    PageRule,
    StyleSheets,
    style_attribute,
    value_steps,
)
from nornmail.html.css.value_readers import IMAGE, UNKNOWN, Value
from nornmail.html.css.values import Length
from nornmail.html.limits import Budget
from nornmail.html.tree import DRAWN, NEVER_SHOWN, UNREAD, Element

_REMEMBERED: Final = 1_000
"""Styles and ``style`` attributes that are remembered: those of a newsletter repeat."""
_PAINTED: Final = frozenset(
    {"body", "col", "colgroup", "marquee", "table", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
_SHOWN: Final = frozenset(
    {"align", "background", "bgcolor", "cellpadding", "color", "data", "dir", "height", "hidden",
     "leftmargin", "link", "marginheight", "marginwidth", "nowrap", "open", "popover", "rows",
     "size", "text", "topmargin", "type", "width", UNREAD}
)  # fmt: skip
"""The attributes that say how an element looks, other than ``style``, ``class`` and the like."""
_PRE: Final = frozenset({"listing", "plaintext", "pre", "textarea", "xmp"})
_FONT_SIZES: Final = (10, 10, 13, 16, 18, 24, 32, 48)
_SIZES: Final = {
    "big": Length(em=1.2), "small": Length(em=5 / 6), "sub": Length(em=5 / 6),
    "sup": Length(em=5 / 6), "h1": Length(em=2), "h2": Length(em=1.5), "h3": Length(em=1.17),
    "h5": Length(em=0.83), "h6": Length(em=0.67), "rt": Length(em=0.5),
}  # fmt: skip
_NO_RULES: Final[tuple[tuple[PageRule, ...], tuple[object, ...]]] = ((), ())
_FIELDS: Final = frozenset({"button", "input", "select", "textarea"})
_MARK: Final[Mapping[str, Value]] = {"color": BLACK, "background-color": Color(255, 255, 0)}
_FIELD: Final[Mapping[str, Value]] = {
    "color": BLACK, "background-color": Color(240, 240, 240), "font-size": Length(px=13.3),
    "line-height": Length(em=1.2), "letter-spacing": Length(), "text-indent": Length(),
    "text-shadow": (),
}  # fmt: skip
_QUIRKY_TABLE: Final[Mapping[str, Value]] = {
    "font-size": Length(px=16), "line-height": Length(em=1.2), "text-align": 0.0,
    "white-space": "normal",
}  # fmt: skip
_CLIPPED: Final[Mapping[str, Value]] = {"overflow": "clip"}
_INDENTED: Final = frozenset({"blockquote", "dd", "dir", "figure", "menu", "ol", "ul"})
_MARGIN: Final = Length(px=40)
_LINE_MARGIN: Final = Length(em=1)
_MARGINS: Final = {
    **dict.fromkeys(("p", "blockquote", "dl", "figure", "h3", "ol", "pre", "ul"), _LINE_MARGIN),
    "h1": Length(em=0.67),
    "h2": Length(em=0.83),
    "h4": Length(em=1.33),
    "body": Length(px=8),
}  # fmt: skip


class _Shared(NamedTuple):
    """The styles of pages that have the same sheets: those of newsletters repeat.

    Attributes:
        start: the style around the root.
        styles: each with what it has cost to compute.
    """

    start: Style
    styles: dict[tuple[object, ...], tuple[Style, int]]


_shared: dict[tuple[bool, tuple[str, ...]], _Shared] = {}
_MOST_SHARED: Final = 4
_LONG: Final = 1_000
"""Characters of a ``style`` attribute that is not kept."""
_SHARED_CHARS: Final = 200_000
"""Characters of sheets of which the styles are shared."""


class Cascade:
    """Gives each element of a page its style, from the root inwards.

    Attributes:
        sheets: the style sheets of the page.
        start: the style around the root.
    """

    def __init__(self, root: Element, quirks: bool, budget: Budget) -> None:
        self._quirks = quirks
        self._budget = budget
        self.sheets = StyleSheets(root, quirks, budget)
        self._has_rules = bool(self.sheets)
        self.start, self._styles = self._known_styles(quirks)
        self._shares = True
        self._used: set[Style] = set()
        self._read: set[str] = set()
        self._looks: dict[int, object] = {}

    def _known_styles(self, quirks: bool) -> _Shared:
        key = quirks, self.sheets.texts
        shared = _shared.get(key)
        if shared is None:
            shared = _Shared(Style(), {})
            shared.start.variables = dict(self.sheets.initial)
            if sum(map(len, self.sheets.texts)) <= _SHARED_CHARS:
                if len(_shared) >= _MOST_SHARED:
                    _shared.clear()
                _shared[key] = shared
        return shared

    def style_of(self, element: Element, parent: Style) -> Style:
        """The style of ``element``; ``parent`` is that of the element around it."""
        rules, numbers = self.sheets.rules_of(element) if self._has_rules else _NO_RULES
        attributes = element.attributes
        key: tuple[object, ...]
        own = ""
        if attributes:
            own = attributes.get("style", "")
            look = self._looks.get(id(attributes))
            if look is None:
                look = self._looks[id(attributes)] = _look(attributes)
            key = (parent, element.name, own, look, numbers)
        else:
            key = (parent, element.name, numbers)
        is_alone = parent.absolute_group is not parent.group and _is_alone(element)
        if is_alone:
            key = (*key, True)
        known = self._styles.get(key)
        narrow = None
        if known is not None and known[0].is_thin:
            narrow = self._narrow(element, parent, known[0])
            key = (*key, narrow)
            known = self._styles.get(key)
        if known is not None:
            style, cost = known
            if style not in self._used:  # it costs this page the same as the one before
                self._used.add(style)
                self._pay(own, cost)
            else:
                self._budget.spend(_STYLE_STEPS)
            return style
        self._pay(own, 0)
        left = self._budget.left
        style = self._computed(element, parent, rules, is_alone, narrow)
        self._remember(key, style, own, left - self._budget.left)
        if style.is_thin and key[-1] is not narrow:
            return self.style_of(element, parent)
        return style

    def _remember(self, key: tuple[object, ...], style: Style, own: str, cost: int) -> None:
        if len(self._styles) >= _REMEMBERED:
            self._styles.clear()
            self._used.clear()
        takes_memory = style.variables is not self.start.variables or len(own) > _LONG
        if takes_memory and self._shares:
            self._styles, self._shares = dict(self._styles), False
        self._styles[key] = style, cost
        self._used.add(style)

    def _narrow(self, element: Element, parent: Style, style: Style) -> Narrow | None:
        """Return the boxes around that a thin element leaves without width, as it is alone."""
        node: Element | None = element
        found, around = None, parent.narrow
        if style.layout.grows:  # a cell
            found = _in_row(element, Narrow(), around)
            around = around if found is not None else None
        while around is not None:
            self._budget.spend(around.depth)
            for _ in range(around.depth):
                if node is None or not _is_alone(node):
                    return found
                node = node.parent
            inner = around if around.row is None else _in_row(node, around, around.row)
            if inner is None:
                return found
            found = inner._replace(cuts=inner.cuts or (found is not None and found.cuts))
            around = around.row
        return found

    def _pay(self, own: str, cost: int) -> None:
        """Spend the steps of a style, and those of a ``style`` attribute that was not read yet."""
        if own and own not in self._read:
            if len(self._read) < _REMEMBERED:
                self._read.add(own)
            cost += value_steps(own)
        self._budget.spend(_STYLE_STEPS + cost)

    def _computed(
        self, element: Element, parent: Style, rules: tuple[PageRule, ...], is_alone: bool,
        narrow: Narrow | None,
    ) -> Style:  # fmt: skip
        own = element.attributes.get("style")
        block = style_attribute(own, self._quirks) if own else _NOTHING
        self._budget.spend(_COMPUTED_STEPS + 2 * len(rules))
        hints = _by_element(element, parent)
        if self._quirks and element.name == "table":  # it inherits neither color nor font
            hints.update(_QUIRKY_TABLE)
            hints["color"] = parent.page_color
        if self._quirks and "margin-top" in hints and parent.layout.is_spaced:
            del hints["margin-top"]  # at the top of a cell it is not there
        plain = [entry for entry in rules if not entry.rule.selector.pseudo]
        sets = _cascaded(hints, plain, block, has_layers=self.sheets.has_layers)
        if element.name == "a":  # buttons have a twin for Outlook, and hide from it alone
            sets.pop("mso-hide", None)
        style = compute(
            element.name, parent, sets, is_root=element.parent is None, is_alone=is_alone,
            narrow=narrow,
        )  # fmt: skip
        if style.variables is not parent.variables:
            self._budget.spend(len(style.variables))
        if any(entry.rule.is_unsure for entry in rules) or UNREAD in element.attributes:
            style.lost = style.unseen = style.lost or "unknown style"
        if len(plain) < len(rules) and not style.lost:
            self._pseudo_elements(element, parent, sets, style, rules)
        if "animation-name" in sets and not style.lost:
            self._animate(element, parent, sets, style)
        if element.name == "body":
            style.page_color = style.color
            style.link = legacy_color(element.get("link")) or style.link
        return style

    def _pseudo_elements(
        self, element: Element, parent: Style, sets: Mapping[str, Value], style: Style,
        rules: tuple[PageRule, ...],
    ) -> None:  # fmt: skip
        """The styles of ``::before``, ``::after`` and the first line of an element."""
        for pseudo in ("before", "after", "first-line"):
            matched = [entry for entry in rules if entry.rule.selector.pseudo == pseudo]
            if not matched:
                continue
            made = _cascaded({}, matched, _NOTHING, has_layers=self.sheets.has_layers)
            if pseudo == "first-line":
                first = {name: value for name, value in made.items() if name in _OF_LINES}
                as_line = compute(element.name, parent, {**sets, **first})
                style.lost = as_line.unseen  # it may be that of a block or an element within
                style.unseen = style.unseen or style.lost
            elif made.get("content", "none") != "none":
                self._paint_around(style, made, is_before=pseudo == "before")
                style.unseen = style.lost or what_hides_text(style)

    def _paint_around(self, style: Style, made: Mapping[str, Value], *, is_before: bool) -> None:
        """The box of a pseudo-element: it pushes text away, lies behind it, or in front of it."""
        box = compute("span", style, made)
        if box.lost or not box.has_visibility:
            return
        ink = _ink(made)
        if made.get("position") not in ("absolute", "fixed"):
            if is_before:
                push(style, box)
            is_pulled = "position" in made and box.box.margin_top <= -_LINE
            is_pulled = is_pulled or ("grid-area" in made and style.display in FLEX)
            if is_pulled and ink is not None:
                style.lost = style.unseen = "covered"
            return
        if _surrounds(made):
            style.lost = style.unseen = "covered"
            return
        if ink is None or ink.alpha * made.get("opacity", 1.0) < 0.5 or not _fills(made):
            return
        if made.get("z-index", 0) < 0:
            style.group = style.group.painted(ink)
            style.has_ink = is_inked(style)
        elif ink.alpha * made.get("opacity", 1.0) > 0.9:
            style.lost = style.unseen = "covered"

    def _animate(
        self, element: Element, parent: Style, sets: dict[str, Value], style: Style
    ) -> None:
        """Hide an element that an animation hides in the frame that a person sees."""
        fill, direction = (sets.get(f"animation-{name}", "") for name in ("fill-mode", "direction"))
        waits = sets.get("animation-delay", False) and ("both" in fill or "backwards" in fill)
        for name in sets["animation-name"]:
            frames = self.sheets.keyframes.get(name)
            if frames is None:
                continue
            self._budget.spend(3 * _COMPUTED_STEPS)
            first, last, between = (
                _hides(compute(element.name, parent, {**sets, **frame}), style) if frame else ""
                for frame in frames
            )
            if "paused" in sets.get("animation-play-state", "") and between:
                first = last = between
            if "alternate" in direction or "reverse" in direction:
                first = last = first or last
            ends = "forwards" in fill or "both" in fill
            waits = waits or "paused" in sets.get("animation-play-state", "")
            unseen = (first and last) or (first if waits else "") or (last if ends else "")
            if unseen:
                style.lost = style.unseen = unseen


def _hides(frame: Style, style: Style) -> str:
    """The reason why a text is not seen in a frame of an animation; ``""`` if it is."""
    is_away = min(frame.right - style.right, frame.down - style.down) <= -FAR_RIGHT
    return frame.unseen or ("position" if is_away else "")


def _look(attributes: Mapping[str, str]) -> object:
    """The styles that attributes other than ``style`` set."""
    if _SHOWN.isdisjoint(attributes):
        return "href" in attributes
    return ("href" in attributes, *(pair for pair in attributes.items() if pair[0] in _SHOWN))


_NOTHING: Final = Declared({}, {})
_STYLE_STEPS: Final = 2
_COMPUTED_STEPS: Final = 60
_OF_LINES: Final = INHERITED | {"background-color", "background-image", "opacity"}


def _is_alone(element: Element) -> bool:
    """Whether there are nothing but blanks and empty boxes in the element around it."""
    around = element.parent.children if element.parent is not None else ()
    return len(around) < 9 and all(child is element or _is_hollow(child) for child in around)


def _is_hollow(node: Element | str, levels: int = 3) -> bool:
    """Whether there is nothing in a node, or no more than one that is so."""
    if isinstance(node, str):
        return node.isspace()
    children = node.children
    is_empty = not children or (
        levels > 0 and len(children) == 1 and _is_hollow(children[0], levels - 1)
    )
    return (node.name in _HOLLOW and is_empty) or "hidden" in node.attributes


def _in_row(cell: Element | None, own: Narrow, row: Narrow | None) -> Narrow | None:
    """Return the boxes of a cell which no other row of its table makes wider."""
    node = cell.parent if cell is not None else None
    while node is not None and node.name != "table":
        if not _is_alone(node):
            return None
        node = node.parent
    if cell is None or cell.parent is None or row is None:
        return own
    is_last = cell is cell.parent.children[-1]
    return own._replace(group=row.group) if is_last else own


_HOLLOW: Final = frozenset(
    {"a", "b", "em", "font", "h2", "i", "p", "small", "span", "strong", "td", "th", "tr"}
)


def _ink(made: Mapping[str, Value]) -> Color | None:
    """The color that a pseudo-element is filled with."""
    for shadow in made.get("box-shadow", ()):
        if shadow.is_inset and shadow.spread > _LINE and isinstance(shadow.color, Color):
            return shadow.color
    for name in ("background-image", "background-color"):
        color = made.get(name)
        if isinstance(color, Color):
            return color
    border = made.get("border-top-width")
    return BLACK if border is not None and border.pixels() > _LINE else None


_LINE: Final = 18.0


def _surrounds(made: Mapping[str, Value]) -> bool:
    """Whether what is drawn around a pseudo-element reaches over the words next to it."""
    border = made.get("border-top-width", _NO_LENGTH)
    widths = [border.pixels(), made.get("outline", 0.0)]
    widths += (shadow.spread for shadow in made.get("box-shadow", ()) if not shadow.is_inset)
    return bool(max(widths) >= _WIDE)


_NO_LENGTH: Final = Length()
_WIDE: Final = 50.0
"""Pixels of a border, an outline or a shadow that hides words."""


def _fills(made: Mapping[str, Value]) -> bool:
    """Whether a positioned box is as large as the first words."""

    def is_at(name: str) -> bool:
        value = made.get(name)
        return isinstance(value, Length) and value.pixels() <= 2

    def is_full(name: str, pixels: float) -> bool:
        value = made.get(name)
        return isinstance(value, Length) and (value.share >= 0.9 or value.px >= pixels)

    return ((is_at("left") and is_at("right")) or is_full("width", 100)) and (
        (is_at("top") and is_at("bottom")) or is_full("height", _LINE)
    )


def _cascaded(
    hints: Mapping[str, Value], rules: Iterable[PageRule], own: Declared, *, has_layers: bool
) -> dict[str, Value]:
    """The declarations that win, of rules in the order in which they count."""
    entries = list(rules)
    sets: dict[str, Value] = dict(hints)
    for entry in entries:
        sets.update(entry.rule.block.sets)
    sets.update(own.sets)
    if has_layers:  # of important ones the first layer counts most
        entries.sort(key=lambda entry: entry.important)
    for entry in entries:
        sets.update(entry.rule.block.important)
    sets.update(own.important)
    for name, value in sets.items():
        if isinstance(value, str) and value == "revert":
            sets[name] = hints.get(name, "unset")
        elif isinstance(value, str) and value == "revert-layer":
            sets[name] = UNKNOWN
    return sets


def _by_element(element: Element, parent: Style) -> dict[str, Value]:
    """The styles that the element's name and its old attributes set (HTML standard, 15.3)."""
    name, attributes = element.name, element.attributes
    sets = _by_name(name)
    is_closed = (attributes or name == "dialog") and _is_closed(element)
    if is_closed or (name in NEVER_SHOWN and name not in DRAWN):
        sets["display"] = "none"
    if name in _SIZED:
        sets.update(_size_of(name, attributes))
    if not attributes:
        return sets
    if name == "a" and "href" in attributes:
        sets["color"] = parent.link
    if name == "table" and attributes.get("cellpadding", "1").strip().startswith("0"):
        sets["cell-padding"] = 0.0
    if name in _PAINTED:
        if name == "body":
            sets.update(_margins_of_body(attributes))
        if attributes.get("background"):
            address = attributes["background"].strip().lower()
            if address.startswith(("http:", "https:", "cid:", "data:", "//")):
                sets["background-image"] = IMAGE
        painted = legacy_color(attributes.get("bgcolor", ""))
        if painted is not None:
            sets["background-color"] = painted
    if name == "font":
        size = _font_size(attributes.get("size", ""))
        if size is not None:
            sets["font-size"] = size
    if name == "table" and attributes.get("align", "").lower() in ("left", "right"):
        sets["float"] = attributes["align"].lower()
    if "nowrap" in attributes and name in ("td", "th"):
        sets["white-space"] = "nowrap"
    if "align" in attributes and name not in ("img", "table"):
        align = attributes["align"].strip().lower()
        sets["text-align"] = {"center": 0.5, "middle": 0.5, "right": 1.0}.get(align, 0.0)
    if "dir" in attributes and attributes["dir"].lower() in ("ltr", "rtl"):
        sets["direction"] = attributes["dir"].lower()
    written = _WRITTEN.get(name)
    color = legacy_color(attributes.get(written, "")) if written else None
    if color is not None:
        sets["color"] = color
    return sets


def _size_of(name: str, attributes: Mapping[str, str]) -> dict[str, Value]:
    """The size that an image, a table or a field has by its attributes, or without any."""
    if name in ("table", "td", "th"):  # words make it wider; what is off the page counts
        width = attributes.get("width", "")
        is_wide = width.isdecimal() and len(width) > 3
        return {"width": Length(px=int(width[:5]))} if is_wide else {}
    if name == "textarea":
        rows = attributes.get("rows", "")
        return {"height": Length(em=1.2 * (int(rows[:5]) if rows.isdecimal() else 2))}
    if name == "marquee":
        return {side: Length() for side in ("width", "height") if attributes.get(side) == "0"}
    sets: dict[str, Value] = {} if name == "img" else dict(_USUAL_SIZE)
    for side in ("width", "height"):
        text = attributes.get(side, "").strip().removesuffix("px")
        if text.isdecimal() and len(text) < 5:
            sets[side] = Length(px=int(text))
    return sets


_SIZED: Final = DRAWN | {"marquee", "table", "td", "textarea", "th"}
_USUAL_SIZE: Final = {"width": Length(px=300), "height": Length(px=150)}


def _margins_of_body(attributes: Mapping[str, str]) -> dict[str, Value]:
    sets: dict[str, Value] = {}
    for name, side in _BODY_MARGINS.items():
        text = attributes.get(name, "").strip()
        if text.isascii() and text.isdigit():
            sets[side] = Length(px=int(text[:5]))
    return sets


_BODY_MARGINS: Final = {
    "leftmargin": "margin-left", "marginwidth": "margin-left", "topmargin": "margin-top",
    "marginheight": "margin-top",
}  # fmt: skip
_WRITTEN: Final = {"body": "text", "font": "color"}


def _by_name(name: str) -> dict[str, Value]:
    sets: dict[str, Value] = {}
    if name in _FIELDS:
        sets.update(_FIELD)
    elif name in _SIZES:
        sets["font-size"] = _SIZES[name]
    elif name == "mark":
        sets.update(_MARK)
    elif name in ("img", "marquee"):  # what has no room is cut off
        sets.update(_CLIPPED)
    elif name == "nobr":
        sets["white-space"] = "nowrap"
    elif name == "table":
        sets["text-indent"] = Length()
    elif name == "dialog":
        sets.update({"background-color": WHITE, "color": BLACK})
    elif name == "center":
        sets["text-align"] = 0.5
    if name in _MARGINS:
        sets["margin-top"] = sets["margin-bottom"] = _MARGINS[name]
        if name == "body":
            sets["margin-left"] = _MARGINS[name]
    if name in _INDENTED:
        sets["padding-left" if name in ("ol", "ul", "dir", "menu") else "margin-left"] = _MARGIN
    if name in _PRE:
        sets["white-space"] = "pre"
    if name in ("input", "textarea"):
        sets.update(_CLIPPED)
    return sets


def _is_closed(element: Element) -> bool:
    attributes = element.attributes
    if "hidden" in attributes or "popover" in attributes:
        return True
    if element.name == "object":  # it shows its data, and what is in it where there are none
        return bool(attributes.get("data") or attributes.get("type"))
    if element.name == "input":
        return attributes.get("type", "").lower() == "hidden"
    return element.name == "dialog" and "open" not in attributes


def _font_size(text: str) -> Length | None:
    """``size="2"``, ``size="+1"``: 1 to 7, and 3 is ordinary."""
    text = text.strip()
    sign, digits = text[:1], text.lstrip("+-")[:4]
    if not digits[:1].isdigit():
        return None
    number = int("".join(digit for digit in digits if digit in "0123456789") or "3")
    number = 3 + number if sign == "+" else 3 - number if sign == "-" else number
    return Length(px=_FONT_SIZES[max(1, min(7, number))])
