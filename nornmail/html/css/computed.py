"""Computed style: the style of an element from its parent's and the declarations that apply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nornmail.html.css import paint
from nornmail.html.css.backgrounds import (
    cuts_off,
    draw_apart,
    has_margins,
    is_low,
    is_on_border,
    leaves_hollow,
    narrow_of,
    paint_box,
    set_hollow_groups,
)
from nornmail.html.css.clipping import SLIT
from nornmail.html.css.color import BLACK, SYSTEM_BLACK, TRANSPARENT, WHITE, Color
from nornmail.html.css.geometry import line_height, place, what_moves_away
from nornmail.html.css.paint import FAINTEST, Group
from nornmail.html.css.properties import INHERITED, LOGICAL, Pending, read, substituted
from nornmail.html.css.style import Narrow, Style, layout_of
from nornmail.html.css.value_readers import CURRENT, UNKNOWN, WIDE_KEYWORDS, Shadow, Value
from nornmail.html.css.values import FONT_SIZE, Length
from nornmail.html.tree import DRAWN, NEVER_DRAWN

SMALLEST_TEXT: Final = 4.0
"""Pixels of text below which it cannot be read. Preheaders have 0 or 1, small print 8 and more."""
_OUTSIDE: Final = frozenset({"absolute", "fixed"})
_UNKNOWN_STYLE: Final = "unknown style"
_KEEPS_ROOM: Final = frozenset(
    {"clipping", "covered", "drawing", "opacity", "position", "size", "visibility"}
)
"""The reasons that hide an element which keeps its place on the page."""


def compute(
    name: str,
    parent: Style,
    sets: Mapping[str, Value],
    *,
    is_root: bool = False,
    is_alone: bool = False,
    narrow: Narrow | None = None,
) -> Style:
    """The style of the element ``name`` within ``parent`` on which the cascade has set ``sets``.

    Args:
        name: of the element.
        parent: the style of the element around it.
        sets: the declarations that win.
        is_root: it is the root of the page.
        is_alone: there is nothing else in the element around it.
        narrow: the boxes around that have no width, as it has none and there is nothing else.
    """
    style = parent.child()
    sets = _resolved(style, parent, sets)
    if UNKNOWN in sets:
        style.lost = style.lost or _UNKNOWN_STYLE
    _text(style, parent, sets)
    if style.is_rtl and LOGICAL in sets:
        sets = {_OTHER_SIDE.get(name, name): value for name, value in sets.items()}
    if "color-scheme" in sets:
        style.is_dark = sets["color-scheme"]
    _set_layout(name, style, parent, sets, is_root=is_root)
    if takes_room(style):
        place(name, style, parent, sets)
        if "border-bottom-width" in sets and is_on_border(style, sets["border-bottom-width"]):
            style.lost = style.lost or "covered"
        if not style.lost:
            is_thin = style.thin_group or style.cell_group or style.low_group
            if is_thin and parent.layout.grows and has_margins(style.box):
                style.thin_group = style.cell_group = style.low_group = None
                style.has_ink = is_inked(style)  # the cell is as high as the margins
            is_canvas = is_root or (name == "body" and not parent.is_painted)
            if is_alone or narrow is not None:
                _set_group_around(style, parent, sets, narrow, is_alone=is_alone)
            _set_groups(style, parent, sets, narrow, is_canvas=is_canvas, is_alone=is_alone)
    if style.lost:
        style.unseen = style.lost
        style.is_opaque = name in DRAWN and style.is_out
        return style
    style.is_painted = _covers_what_is_behind(style, sets)
    _set_cover(name, style, sets)
    if style.group is not parent.group or not _INKS.isdisjoint(sets):
        style.has_ink = is_inked(style)
    style.unseen = what_hides_text(style)
    return style


def _set_cover(name: str, style: Style, sets: Mapping[str, Value]) -> None:
    """Find out whether an element covers what it is put over, other than by its background."""
    is_over = style.is_out or style.box.margin_top <= -_LINE
    if style.box.spread >= _OVER or (name in DRAWN and is_over):
        style.is_opaque = True
        style.group = style.group.painted(None) if name in DRAWN else style.group
    style.is_over = style.is_opaque and style.layout.is_item and "grid-area" in sets


def _set_layout(
    name: str, style: Style, parent: Style, sets: Mapping[str, Value], *, is_root: bool
) -> None:
    """Decide how an element stands among the others, and what hides it with all within it."""
    style.display = sets.get("display", "")
    style.background = sets.get("background-color")
    if name == "table":
        style.pads_cells = "cell-padding" not in sets
    is_floating = sets.get("float", "none") != "none" and not is_root
    is_out = is_floating or sets.get("position") in _OUTSIDE
    around = parent.display or ("inline" if parent.layout.is_inline else "")
    if is_root:
        style.root_size = style.size
        if sets.get("mix-blend-mode", "normal") != "normal":
            style.lost = style.lost or _UNKNOWN_STYLE
        if style.is_dark:
            style.group, style.color = Group(_DARK_CANVAS), WHITE
        style.display = "block" if style.display == "contents" else style.display
        around = "flex"  # it makes a block of what is in it, too
    if is_out and style.display != "contents":
        style.is_out = True
    style.layout = layout_of(name, style.display, around, style.white_space, style.is_out)
    if is_root:
        style.layout = style.layout._replace(is_side_by_side=False)
    if not style.lost:
        style.lost = _what_hides(name, style, sets)
    in_row = parent.layout.grows and not parent.layout.is_spaced
    if parent.is_collapsed and style.layout.is_table_part and not in_row:
        style.lost = style.lost or "visibility"  # the row around it is implied, and collapsed


def _set_group_around(
    style: Style, parent: Style, sets: Mapping[str, Value], narrow: Narrow | None, *, is_alone: bool
) -> None:
    """Find what lies behind an element that leaves the box around it without height or width."""
    if is_alone and (style.is_out or leaves_hollow(style, parent)):
        is_floating = style.is_out and sets.get("position") not in _OUTSIDE
        has_room = is_floating and not is_low(style)
        style.group = parent.float_group if has_room else parent.absolute_group
    if narrow is not None:
        style.group = narrow.group or style.group
        cuts = style.layout.grows and cuts_off(sets) and style.box.padding_right < SLIT
        if narrow.cuts or cuts:
            style.clipped = style.clipped or "size"


def _set_groups(
    style: Style, parent: Style, sets: Mapping[str, Value], narrow: Narrow | None,
    *, is_canvas: bool, is_alone: bool,
) -> None:  # fmt: skip
    """Find what lies behind the text of an element, and behind what is in it."""
    has_box = style.display != "contents"
    if is_canvas and has_box:  # what lies behind the page is the background of its root
        paint_box(style, sets, is_canvas=True)
    _colors(style, parent, sets)
    style.behind = style.group
    if not is_canvas and has_box and narrow is None:
        paint_box(style, sets)
    style.narrow = narrow_of(style, parent, sets)
    if style.layout.grows and cuts_off(sets):
        style.low_group = None
    set_hollow_groups(style, parent, sets, is_alone=is_alone)
    if style.group.depth > paint.MAX_GROUPS:
        style.lost = _UNKNOWN_STYLE


_INKS: Final = frozenset(
    {"background-clip", "color", "font-size", "line-height", "text-fill-color", "text-shadow",
     "text-stroke-color", "text-stroke-width"}
)  # fmt: skip


_OTHER_SIDE: Final = {
    f"{name}{side}": f"{name}{other}"
    for name in ("margin-", "padding-", "")
    for side, other in (("left", "right"), ("right", "left"))
}
_DARK_CANVAS: Final = Color(18, 18, 18)


def _resolved(style: Style, parent: Style, sets: Mapping[str, Value]) -> Mapping[str, Value]:
    """``sets`` with custom properties substituted and without keywords such as ``inherit``."""
    if not any(name.startswith("--") or isinstance(value, str) for name, value in sets.items()):
        return sets
    own = {name: value for name, value in sets.items() if name.startswith("--")}
    if own:
        style.variables = _variables(style.variables, own)
    resolved: dict[str, Value] = {}
    for name, value in sets.items():
        if name in own:
            continue
        if isinstance(value, Pending):
            text = substituted(value, style.variables)
            if text == UNKNOWN:
                resolved[UNKNOWN] = True
            elif text is not None:
                resolved.update(_keywords(read(name, text.strip().lower()), parent))
        elif value == UNKNOWN:
            resolved[UNKNOWN] = True
        elif not isinstance(value, str) or value not in WIDE_KEYWORDS:
            resolved[name] = value
        else:
            resolved.update(_keywords([(name, value)], parent))
    return {name: value for name, value in resolved.items() if value is not None}


def _variables(inherited: Mapping[str, str], own: Mapping[str, str]) -> Mapping[str, str]:
    """Custom properties; those that are registered are not computed."""
    variables = dict(inherited)
    for name, value in own.items():
        if value == "initial":
            variables.pop(name, None)
        elif value not in WIDE_KEYWORDS and inherited.get(name) != UNKNOWN:
            variables[name] = value
    return variables


def _keywords(pairs: object, parent: Style) -> dict[str, Value]:
    resolved: dict[str, Value] = {}
    for name, value in pairs:  # type: ignore[attr-defined]
        if value == UNKNOWN:
            resolved[UNKNOWN] = True
        elif not isinstance(value, str) or value not in WIDE_KEYWORDS:
            resolved[name] = value
        elif value == "initial" or (value != "inherit" and name not in INHERITED):
            resolved[name] = _INITIAL.get(name)
        elif value == "inherit" and name not in INHERITED:
            if name == "display":
                resolved[name] = parent.display or None
            elif name == "background-color":
                resolved[name] = parent.background
            elif name in _INHERITED_UNKNOWN:
                resolved[UNKNOWN] = True
    return resolved


_INHERITED_UNKNOWN: Final = frozenset(
    {"transform", "clip-path", "clip", "filter", "mask-image", "height", "width", "max-height",
     "max-width", "left", "top", "right", "bottom", "margin-left", "margin-top", "opacity",
     "translate", "scale", "rotate", "content", "contain", "offset-path", "overflow"}
)  # fmt: skip
"""Properties of which the parent's value is not kept; who inherits one is not shown."""
_INITIAL: Final[Mapping[str, Value]] = {
    "visibility": "visible", "font-size": Length(px=FONT_SIZE), "line-height": Length(em=1.2),
    "letter-spacing": Length(), "text-indent": Length(), "color": BLACK, "white-space": "normal",
    "text-fill-color": CURRENT, "display": "inline", "text-shadow": (), "direction": "ltr",
}  # fmt: skip

# Text and colors


def _text(style: Style, parent: Style, sets: Mapping[str, Value]) -> None:
    if _TEXT.isdisjoint(sets):
        return
    size = sets.get("font-size")
    if size is not None:
        style.size = size.pixels(parent.size, parent.size)
        style.size += size.rem * (style.root_size - FONT_SIZE)
        style.is_set = parent.is_set or bool(size.px)
        if not style.is_set and size.em + size.share >= _MODEST and parent.size >= SMALLEST_TEXT:
            style.size = max(style.size, SMALLEST_BY_STEPS)
    style.size_adjust = sets.get("font-size-adjust", style.size_adjust)
    style.line_height = sets.get("line-height", style.line_height)
    spacing = sets.get("letter-spacing")
    if spacing is not None:
        style.spacing = spacing.pixels(style.size, style.size)
    if "word-spacing" in sets:
        style.word_spacing = sets["word-spacing"].pixels(style.size, style.size)
    style.indent = sets.get("text-indent", style.indent)
    if "visibility" in sets:
        style.has_visibility = sets["visibility"] == "visible"
        style.is_collapsed = sets["visibility"] == "collapse"
    style.white_space = sets.get("white-space", style.white_space)
    style.align = sets.get("text-align", style.align)
    if "direction" in sets:
        style.is_rtl = sets["direction"] == "rtl"


_TEXT: Final = frozenset(
    {"direction", "font-size", "font-size-adjust", "letter-spacing", "line-height", "text-align",
     "text-indent", "visibility", "white-space", "word-spacing"}
)  # fmt: skip
_MODEST: Final = 0.5
SMALLEST_BY_STEPS: Final = 6.0
"""Pixels below which steps of half and more do not lead from the size that nothing has set, as in
Blink: nested quotes take many."""


def _colors(style: Style, parent: Style, sets: Mapping[str, Value]) -> None:
    color = sets.get("color")
    if style.is_dark and any(value is SYSTEM_BLACK for value in sets.values()):
        style.lost = _UNKNOWN_STYLE
    if isinstance(color, Color):
        style.color = color
    if "text-fill-color" in sets:
        fill = sets["text-fill-color"]
        style.fill = None if fill == CURRENT else fill
    if "text-stroke-width" in sets:
        style.stroke_width = sets["text-stroke-width"]
    if "text-stroke-color" in sets:
        stroke = sets["text-stroke-color"]
        style.stroke_color = None if stroke == CURRENT else stroke
    if "text-shadow" in sets:
        style.shadows = tuple(_colored(shadow, style.color) for shadow in sets["text-shadow"])
    if not (style.layout.is_inline or style.layout.is_on_line) and style.block_group is not None:
        style.group = style.block_group
    if not style.layout.is_inline:
        style.block_group = None
    if style.display == "contents":  # it has no box of its own
        return
    draw_apart(style, sets)
    if style.layout.is_inline and style.block_group is None:
        style.block_group = style.group


def _colored(shadow: Shadow, current: Color) -> Shadow:
    return shadow._replace(color=current) if shadow.color == CURRENT else shadow


# Decisions


def takes_room(style: Style) -> bool:
    """Whether an element takes its place on the page, seen or not."""
    if style.lost == "visibility":
        return not style.is_collapsed
    return not style.lost or style.lost in _KEEPS_ROOM


def _what_hides(name: str, style: Style, sets: Mapping[str, Value]) -> str:
    """The reason that hides the element and all within it for good; ``""`` if there is none."""
    if style.display in ("none", "table-column", "table-column-group"):
        return "display"
    if name in NEVER_DRAWN:
        return "drawing"
    is_collapsed = style.is_collapsed and (style.display or name) in _ROWS
    if is_collapsed or _HIDING.isdisjoint(sets):
        return "visibility" if is_collapsed else ""
    if sets.get("mso-hide") == "all":
        return "mso-hide"
    if sets.get("outline-offset", 0.0) <= -_OVER and sets.get("outline", 0.0) >= _OVER:
        return "covered"
    if sets.get("text-security", "none") != "none":
        return "visibility"
    if style.display == "contents":  # it has no box of its own
        return ""
    is_cell = style.display == "table-cell" or (not style.display and name in _CELLS)
    is_box = is_cell or not (style.layout.is_inline or style.layout.grows)
    if sets.get("content-visibility") == "hidden" and is_box:
        return "visibility"
    if sets.get("content") == "image":
        return "content"
    style.opacity *= sets.get("opacity", 1.0)
    if style.opacity < FAINTEST or _has_mask(sets):
        return "opacity"
    if sets.get("offset-path") is True and not style.layout.is_inline:
        return "position"
    if (sets.get("position") in _OUTSIDE and sets.get("clip") is True) or (
        sets.get("clip-path") is True
    ):
        return "clipping"
    if _is_behind(style, sets):
        return "position"
    return ""


_CELLS: Final = frozenset({"td", "th"})
_ROWS: Final = frozenset(
    {"tr", "tbody", "thead", "tfoot", "table-row", "table-row-group", "table-header-group",
     "table-footer-group"}
)  # fmt: skip
_LINE: Final = 20.0
"""Pixels by which a margin pulls an image over a line."""
_OVER: Final = 50.0
"""Pixels of an outline that is drawn over the box."""
_HIDING: Final = frozenset(
    {"clip", "clip-path", "content", "content-visibility", "mask-box-image", "mask-image",
     "mso-hide", "offset-path", "opacity", "outline", "text-security", "z-index"}
)  # fmt: skip
_MASKS: Final = (
    "mask-image", "mask-size", "mask-position", "mask-repeat", "mask-clip", "mask-mode",
    "mask-composite", "mask-box-image",
)  # fmt: skip


def _has_mask(sets: Mapping[str, Value]) -> bool:
    """Whether a mask is drawn, and leaves nothing of the text as far as is known."""
    if sets.get("mask-box-image") is True or sets.get("mask-image") is True:
        return True
    return "mask-image" in sets and any(sets.get(name) is True for name in _MASKS[1:])


def _is_behind(style: Style, sets: Mapping[str, Value]) -> bool:
    """Whether ``z-index`` puts it behind the backgrounds of what is around it."""
    is_placed = sets.get("position", "static") != "static" or style.layout.is_item
    return style.is_painted and is_placed and sets.get("z-index", 0) < 0


def _covers_what_is_behind(style: Style, sets: Mapping[str, Value]) -> bool:
    """Whether what goes behind this element, or behind one around it, is covered."""
    is_placed = sets.get("position", "static") != "static"
    if (is_placed and "z-index" in sets) or not _STACKS.isdisjoint(sets):
        return False  # it is a stacking context: nothing in it goes behind it
    color = sets.get("background-color", TRANSPARENT)
    image = sets.get("background-image", "none")
    return color == CURRENT or color.alpha > 0.5 or image != "none" or style.is_painted


_STACKS: Final = frozenset({"transform", "opacity", "filter", "mix-blend-mode", "scale", "rotate"})


def what_hides_text(style: Style) -> str:
    """The reason that hides a text of this style, which a style within may undo."""
    if style.clipped:
        return style.clipped
    if not style.has_visibility:
        return "visibility"
    if style.size * style.scale * min(1.0, 3 * style.size_adjust) < SMALLEST_TEXT:
        return "size"
    if style.spacing <= -0.7 * style.size or style.word_spacing <= -2 * style.size:
        return "size"
    return what_moves_away(style) or ("" if style.has_ink else "color")


def is_inked(style: Style) -> bool:
    """Whether fill, stroke, shadow, or a background clipped to the text is seen."""
    fill = style.fill or style.color
    stroke = style.stroke_color or style.color
    group = style.group
    if style.thin_group is not None and line_height(style) < SLIT:
        group = style.thin_group
    if style.stroke_width >= _COVERING * style.size:
        return paint.is_seen(stroke, group)
    cell = style.cell_group if line_height(style) < SLIT else None
    if cell is not None and not paint.is_seen(fill, cell):
        return False
    if paint.is_seen(fill, group):
        return True
    around = style.block_group if style.size >= _LARGER * style.painted_size else None
    if around is not None and style.layout.is_inline and paint.is_seen(fill, around):
        return True
    if style.stroke_width >= 0.3 and paint.is_seen(stroke, group):
        return True
    ink = style.back_ink
    if ink is not None and fill.alpha < 0.9:
        return not isinstance(ink, Color) or paint.is_seen(ink, group)
    return any(_is_seen_shadow(shadow, group) for shadow in style.shadows)


_LARGER: Final = 1.4
"""Letters as much larger than those of a painted element on the line stick out of it."""
_COVERING: Final = 0.3
"""The width of a stroke, in sizes of the font, that leaves nothing of the letter."""


def is_inked_if_low(style: Style, block: Style) -> bool:
    """Whether a text is seen where the table that is painted around it is as low as its lines.

    Args:
        style: of the text.
        block: the style of the block that its lines are in.
    """
    if style.low_group is None or max(line_height(style), line_height(block)) >= SLIT:
        return False
    return paint.is_seen(style.fill or style.color, style.low_group)


def _is_seen_shadow(shadow: Shadow, group: Group) -> bool:
    is_near = abs(shadow.x) < 100 and abs(shadow.y) < 100 and shadow.blur < _WIDE_BLUR
    return is_near and isinstance(shadow.color, Color) and paint.is_seen(shadow.color, group)


_WIDE_BLUR: Final = 12.0
