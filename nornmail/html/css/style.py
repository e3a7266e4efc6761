"""The computed style of an element, as far as it decides whether a person sees the text in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from nornmail.html.css.color import BLACK, BLUE, Color
from nornmail.html.css.paint import PAGE, Group
from nornmail.html.css.properties import Shadow
from nornmail.html.css.transforms import Matrix
from nornmail.html.css.values import CONTAINER, FONT_SIZE, VIEWPORT_HEIGHT, VIEWPORT_WIDTH, Length
from nornmail.html.elements import BLOCKS, HEADINGS

_PARAGRAPHS: Final = HEADINGS | {"blockquote", "hr", "ol", "p", "pre", "ul", "xmp"}
_BLOCK_DISPLAYS: Final = frozenset(
    {"block", "flex", "flow-root", "grid", "list-item", "table", "table-caption", "table-row",
     "-webkit-box", "-webkit-flex", "block flow", "block flow-root", "block flex", "block grid",
     "block table", "grid-lanes", "table-row-group", "table-header-group", "table-footer-group"}
)  # fmt: skip
_FLEX: Final = frozenset(
    {"flex", "grid", "inline-flex", "inline-grid", "-webkit-box", "-webkit-flex", "grid-lanes",
     "-webkit-inline-box", "-webkit-inline-flex", "block flex", "block grid", "inline flex"}
)  # fmt: skip
_SPACED: Final = frozenset({"inline-table", "table-cell", "td", "th"})
_INLINE_BOXES: Final = frozenset(
    {"button", "fieldset", "iframe", "img", "input", "meter", "object", "progress", "select",
     "textarea", "marquee", "video"}
)  # fmt: skip
_TABLE_BOXES: Final = frozenset({"table", "tbody", "td", "tfoot", "th", "thead", "tr"})
_TABLE_PARTS: Final = _TABLE_BOXES - {"table"}
_PLAIN_INLINE: Final = frozenset(
    {"inline", "inline flow", "ruby", "ruby-base", "ruby-text", "contents"}
)


class Layout(NamedTuple):
    """How an element stands among the others.

    Attributes:
        is_block: it begins and ends a line.
        gap: the line ends around it, one more than there are empty lines.
        is_spaced: it is not joined to the words on either side.
        keeps_blanks: white space in it is text.
        is_inline: it has no box of its own: sizes and overflow do not apply.
        grows: it is as large as what is in it, whatever its size says, as parts of tables are.
        is_side_by_side: it stands on a line with its siblings.
        is_table_part: it is a row, a cell or the like, which have no margins.
    """

    is_block: bool = False
    gap: int = 1
    is_spaced: bool = False
    keeps_blanks: bool = False
    is_inline: bool = True
    grows: bool = False
    is_side_by_side: bool = False
    is_table_part: bool = False


def layout_of(name: str, display: str, around: str, white_space: str, is_out: bool) -> Layout:
    """The layout of an element.

    Args:
        name: of the element.
        display: its ``display``, ``""`` when the name alone decides.
        around: the ``display`` of the element around it.
        white_space: its ``white-space``.
        is_out: it floats, or it is positioned outside of the flow.
    """
    in_flex = around in _FLEX and not is_out
    if in_flex:
        is_block = True
    elif display:
        is_block = display in _BLOCK_DISPLAYS or (is_out and display in _PLAIN_INLINE)
    else:
        is_block = name in BLOCKS or is_out
    is_inline = not is_block and (
        display in _PLAIN_INLINE
        or (not display and name not in _INLINE_BOXES and name not in _TABLE_BOXES)
    )
    grows = display.startswith("table") or (not display and name in _TABLE_BOXES)
    return Layout(
        is_block,
        2 if name in _PARAGRAPHS else 1,
        not is_block and (name in _SPACED or display in _SPACED),
        white_space.startswith(("pre", "break")),
        is_inline,
        grows or display == "inline-table",
        in_flex or (not is_block and not is_inline),
        (display.startswith("table-") and display != "table-caption")
        or (not display and name in _TABLE_PARTS),
    )


_NO_VARIABLES: Final[Mapping[str, str]] = {}


class Containing(NamedTuple):
    """The box that positions are counted from.

    Attributes:
        right, down: where it begins.
        width, height: its size; the height is ``None`` when it is not known.
        clipped: what cuts off everything in it.
        is_page: its place is known, and not just how it was moved.
    """

    right: float = 0.0
    down: float = 0.0
    width: float = VIEWPORT_WIDTH
    height: float | None = VIEWPORT_HEIGHT
    clipped: str = ""
    is_page: bool = True


class Style:
    """The style of an element, computed from that of its parent. Not to be changed.

    Attributes:
        lost: what hides the element and all within it, ``""`` if nothing does.
        unseen: what keeps its own text from being seen; what is within may be seen.
        clipped: what cuts off its text; what is positioned within may leave the box.
        right, down: by how many pixels it was moved; its place where ``is_placed``.
        is_fixed: it stands in the window, outside of which nobody can scroll.
        line_indent: the indent of the line that its text is in.
        page_color: the color of the body, which tables have in quirks mode.
        block_group: what lies behind blocks in an inline element, whose background is not there.
        is_painted: between this element and what it is stacked in there is a background.
        shift: by how many pixels margins of inline elements have moved the text of this line.
        before, after, height: what it takes in the flow above and below its text, and its height.
        align: how much of the room that a line leaves is in front of it.
        has_set_width: its own width was set.
        has_width: the width is known, and not just the most that it may be.
        is_flat: text is cut off unless its lines are higher than those of the box around it.
        float_group, absolute_group: what lies behind floats, and behind what is positioned, where
            it is all there is in the box.
        is_collapsed: rows of tables are not there.
        has_flat_row: what is in the box and may be cut off has no height.
        space: the transform of the space that the boxes within are turned in.
        back_ink: the color of a background that shows through the text alone.
        layout: how it stands among the others.
    """

    __slots__ = (
        "absolute", "absolute_group", "after", "align", "back_ink", "before", "block_group",
        "clip_depth", "clip_left", "clip_right", "clip_room", "clipped", "color", "display",
        "down", "fill", "fixed", "float_group", "group", "has_flat_row", "has_set_width",
        "has_visibility", "has_width", "height", "indent", "is_collapsed", "is_dark", "is_fixed",
        "is_flat", "is_out", "is_painted", "is_placed", "is_rtl", "is_set", "layout",
        "line_height", "line_indent", "link", "lost", "opacity", "page_color", "right",
        "root_size", "scale", "shadows", "shift", "size", "size_adjust", "space", "spacing",
        "stroke_color", "stroke_width", "unseen", "variables", "white_space", "width",
    )  # fmt: skip

    def __init__(self) -> None:
        self.lost = self.unseen = self.display = self.clipped = ""
        self.has_visibility = True
        self.size = self.root_size = FONT_SIZE
        self.size_adjust = 1.0
        self.is_set = self.is_painted = self.is_dark = self.is_rtl = False
        self.is_placed = self.is_fixed = self.is_out = False
        self.space: Matrix | None = None
        self.align = 0.0
        self.is_flat = self.has_flat_row = self.has_set_width = False
        self.has_width = True
        self.is_collapsed = False
        self.scale = self.opacity = 1.0
        self.line_height: Length | None = None
        self.spacing = 0.0
        self.indent = self.line_indent = Length()
        self.page_color: Color = BLACK
        self.block_group: Group | None = None
        self.color: Color = BLACK
        self.fill: Color | None = None
        self.link: Color = BLUE
        self.stroke_width = 0.0
        self.stroke_color: Color | None = None
        self.shadows: tuple[Shadow, ...] = ()
        self.back_ink: Color | str | None = None
        self.group = self.float_group = self.absolute_group = PAGE
        self.right = self.down = self.before = self.after = self.shift = 0.0
        self.width: float = CONTAINER
        self.height: float | None = None
        self.absolute = self.fixed = Containing()
        self.clip_left, self.clip_right = _FAR_LEFT, _FAR_RIGHT
        self.clip_room: float | None = None
        self.clip_depth = 0.0
        self.white_space = "normal"
        self.variables = _NO_VARIABLES
        self.layout = Layout()

    def child(self) -> Style:
        """A style that has inherited everything and sets nothing."""
        new = Style.__new__(Style)
        new.lost, new.unseen, new.display, new.clipped = self.lost, "", "", self.clipped
        new.has_visibility, new.size, new.scale = self.has_visibility, self.size, self.scale
        new.root_size = self.root_size
        new.size_adjust, new.is_set, new.is_painted = self.size_adjust, self.is_set, self.is_painted
        new.is_dark, new.is_rtl, new.is_placed = self.is_dark, self.is_rtl, self.is_placed
        new.is_fixed, new.is_out, new.opacity = self.is_fixed, False, self.opacity
        new.line_height, new.spacing, new.indent = self.line_height, self.spacing, self.indent
        new.color, new.fill, new.link = self.color, self.fill, self.link
        new.stroke_width, new.stroke_color = self.stroke_width, self.stroke_color
        new.shadows, new.back_ink, new.group = self.shadows, self.back_ink, self.group
        new.right, new.down, new.before, new.after = self.right, self.down, 0.0, 0.0
        new.shift, new.line_indent, new.page_color = self.shift, self.line_indent, self.page_color
        new.block_group = self.block_group
        new.width, new.height, new.space = self.width, None, None
        new.align, new.is_flat, new.has_flat_row = self.align, self.is_flat, False
        new.has_set_width = False
        new.has_width, new.is_collapsed = self.has_width, self.is_collapsed
        new.float_group, new.absolute_group = self.float_group, self.absolute_group
        new.absolute, new.fixed = self.absolute, self.fixed
        new.clip_left, new.clip_right = self.clip_left, self.clip_right
        new.clip_room, new.clip_depth = self.clip_room, self.clip_depth
        new.white_space, new.variables = self.white_space, self.variables
        new.layout = self.layout
        return new


_FAR_LEFT: Final = -1e9
_FAR_RIGHT: Final = 1e9
