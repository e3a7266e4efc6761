"""Backgrounds: what lies behind a text, and which boxes are too small to lie behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nornmail.html.css import paint
from nornmail.html.css.clipping import SLIT
from nornmail.html.css.color import WHITE, Color
from nornmail.html.css.filters import is_identity
from nornmail.html.css.geometry import line_height
from nornmail.html.css.paint import Group
from nornmail.html.css.style import BoxSizes, Narrow, Style
from nornmail.html.css.value_readers import CURRENT, IMAGE, Shadow, Value
from nornmail.html.css.values import Length

_OUTSIDE: Final = frozenset({"absolute", "fixed"})


def set_hollow_groups(
    style: Style, parent: Style, sets: Mapping[str, Value], *, is_alone: bool
) -> None:
    """A box with nothing in the flow has no height, and no background behind its text."""
    layout = style.layout
    style.float_group = style.absolute_group = style.group
    box = style.box
    if style.height is not None or box.least_height:
        return
    if box.padding_top + box.padding_bottom > 2 * _FILLING:
        return
    if has_margins(box):  # they give the box around it a height
        is_alone = False
    style.absolute_group = _in_hollow(style, parent, parent.absolute_group, is_alone)
    holds_floats = (
        style.is_out or layout.grows or layout.is_inline or layout.is_side_by_side
        or style.display in _HOLDING_FLOATS or sets.get("overflow", "visible") != "visible"
    )  # fmt: skip
    if not holds_floats:
        style.float_group = _in_hollow(style, parent, parent.float_group, is_alone)


def narrow_of(style: Style, parent: Style, sets: Mapping[str, Value]) -> Narrow | None:
    """Return the boxes which a box without width in this one leaves without width."""
    layout, around = style.layout, parent.narrow
    shrinks = style.is_out or layout.is_on_line or layout.grows
    if around is None and not shrinks:
        return None
    is_row = layout.is_table_part and not layout.is_spaced
    has_width = not (_WIDTHS.isdisjoint(sets) or is_row or style.is_thin)
    if has_width or style.box.padding_right >= SLIT or style.group.depth != parent.group.depth:
        return None
    cuts = cuts_off(sets) and not layout.is_inline
    is_outermost = around is None or sets.get("position") in _OUTSIDE
    if is_outermost and shrinks and not (layout.is_table_part and parent.layout.grows):
        return Narrow(style.behind, cuts)
    if around is None or around.depth > _DEEPEST_NARROW:
        return None
    if layout.is_table_part and not is_row:
        return Narrow(style.behind, cuts, row=around)
    return Narrow(around.group, cuts or around.cuts, around.depth + 1, around.row)


_WIDTHS: Final = frozenset({"min-width", "width"})
_DEEPEST_NARROW: Final = 9


def cuts_off(sets: Mapping[str, Value]) -> bool:
    """Whether ``overflow`` cuts off what has no room in a box."""
    return bool(sets.get("overflow", "visible") != "visible")


def has_margins(box: BoxSizes) -> bool:
    """Whether margins are as high as a line."""
    return box.margin_top + box.margin_bottom > 2 * _FILLING


def leaves_hollow(style: Style, parent: Style) -> bool:
    """Whether a box in the flow gives the one around it no height, as it has none itself."""
    has_margin = style.box.margin_bottom > 0 and (parent.layout.grows or parent.box.has_own_flow)
    return is_low(style) and not has_margin


def _in_hollow(style: Style, parent: Style, around: Group, is_alone: bool) -> Group:
    """The background of a box without height: ``around`` where nothing gives that a height."""
    behind = style.behind
    if style.is_out or not is_alone:
        return behind
    return behind._replace(parent=around) if behind.depth > parent.group.depth else around


_HOLDING_FLOATS: Final = frozenset({"flow-root", "flex", "grid", "inline-block"})


def draw_apart(style: Style, sets: Mapping[str, Value]) -> None:
    """The group that an element makes which is drawn apart."""
    if _GROUPING.isdisjoint(sets):
        return
    applied, opacity = sets.get("filter"), sets.get("opacity", 1.0)
    blend = sets.get("mix-blend-mode", "normal")
    backdrop = sets.get("backdrop-filter")
    if backdrop is not None and style.group.background is not None:
        behind = backdrop(style.group.background)
        style.group = style.group._replace(background=paint.over(behind, WHITE))
    if applied is not None and is_identity(applied):
        applied = None
    if applied is not None or opacity < 1 or blend != "normal":
        style.group = paint.inner_group(style.group, applied, opacity, blend)
        around = style.block_group
        if around is not None:
            style.block_group = paint.inner_group(around, applied, opacity, blend)
        style.thin_group = style.cell_group = style.low_group = None


_GROUPING: Final = frozenset({"backdrop-filter", "filter", "mix-blend-mode", "opacity"})


def paint_box(style: Style, sets: Mapping[str, Value], *, is_canvas: bool = False) -> None:
    """The element's own background, and shadows that lie on it."""
    if _PAINTING.isdisjoint(sets):
        return
    if not is_canvas and (not style.has_visibility or _is_beside_text(style, sets)):
        return
    _set_thin_groups(style, sets)
    color = sets.get("background-color")
    color = style.color if color == CURRENT else color
    image = sets.get("background-image")
    if sets.get("background-clip") == "border-area":
        return
    is_away = sets.get("background-size") is True or sets.get("background-position") is True
    image = None if image == "none" or is_away else image
    if sets.get("background-clip") is True:
        style.back_ink = image if image is not None else color
        return
    inks: list[Color | None] = []
    if color is not None:
        style.painted_size = style.size
        inks.append(color)
    if image is not None:
        inks.append(_of_image(style, color, image))
    for shadow in sets.get("box-shadow", ()):
        if shadow.is_inset and _depth(shadow) >= _FILLING:
            inks.append(style.color if shadow.color == CURRENT else shadow.color)
    for ink in inks:
        style.group = style.group.painted(ink)
        is_solid = ink is not None and ink.alpha > _OPAQUE
        style.is_opaque = style.is_opaque or (is_solid and sets.get("opacity", 1.0) > _OPAQUE)


def _of_image(style: Style, color: Color | None, image: Value) -> Color | None:
    """Return the color of an image; of several the one that its text is not seen on.

    ``None`` stands for one of which nothing is known.
    """
    if not isinstance(image, tuple) or isinstance(image, Color):
        return None if image == IMAGE else image
    behind = style.group if color is None else style.group.painted(color)
    ink = style.fill or style.color
    return next((stop for stop in image if not paint.is_seen(ink, behind.painted(stop))), None)


_OPAQUE: Final = 0.9
_PAINTING: Final = frozenset(
    {"background-clip", "background-color", "background-image", "box-shadow"}
)


def _set_thin_groups(style: Style, sets: Mapping[str, Value]) -> None:
    """Lines without height make a box without any; a cell may be as large as the one next to it.

    Of letters that stick out of a cell, those in front of its padding are seen on its background.
    """
    is_thin = line_height(style) < SLIT and not style.layout.is_inline
    if style.layout.grows:
        pads = style.box.padding_top >= 1 if "padding-top" in sets else style.pads_cells
        style.thin_group = None
        style.cell_group = style.group if is_thin and not pads else None
        around = style.low_group if is_thin and style.is_low else None
        style.low_group, style.is_low = around or style.group, is_thin
    elif not is_thin or style.height is not None:
        style.thin_group = style.cell_group = style.low_group = None
    elif style.thin_group is None:
        style.thin_group = style.group


def _is_beside_text(style: Style, sets: Mapping[str, Value]) -> bool:
    """Whether a box is too small for its background to lie behind its text."""
    if style.layout.is_inline or style.layout.grows or sets.get("background-clip") is True:
        return False
    return is_low(style) or (style.has_width and style.width < SLIT)


def is_low(style: Style) -> bool:
    """Whether a box has a height of next to nothing, whatever is in it."""
    return style.height is not None and style.height + style.box.padding_bottom < SLIT


def is_on_border(style: Style, width: Length) -> bool:
    """Whether the text of a box without height lies on the border below that."""
    is_high = width.pixels(style.size) >= _FILLING
    return is_high and style.height is not None and style.height < SLIT


def _depth(shadow: Shadow) -> float:
    """The depth to which an inset shadow reaches into the first words."""
    return shadow.spread + max(abs(shadow.y), abs(shadow.x) / _WORD * 9) + shadow.blur / 2


_WORD: Final = 300.0
"""Pixels of an inset shadow from the side that cover the first words."""
_FILLING: Final = 9.0
"""Pixels of an inset shadow that fills a box of one line: half of its height."""
