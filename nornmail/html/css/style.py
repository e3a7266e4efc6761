"""The computed style of an element, as far as it decides whether a person sees the text in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from nornmail.html.css.color import BLACK, BLUE, Color
from nornmail.html.css.paint import PAGE, Group
from nornmail.html.css.transforms import Matrix
from nornmail.html.css.value_readers import Shadow
from nornmail.html.css.values import CONTAINER, FONT_SIZE, VIEWPORT_HEIGHT, VIEWPORT_WIDTH, Length
from nornmail.html.tree import BLOCKS, HEADINGS

_PARAGRAPHS: Final = HEADINGS | {"blockquote", "hr", "ol", "p", "pre", "ul", "xmp"}
_BLOCK_DISPLAYS: Final = frozenset(
    {"block", "flex", "flow-root", "grid", "list-item", "table", "table-caption", "table-row",
     "-webkit-box", "-webkit-flex", "block flow", "block flow-root", "block flex", "block grid",
     "block table", "grid-lanes", "table-row-group", "table-header-group", "table-footer-group"}
)  # fmt: skip
FLEX: Final = frozenset(
    {"flex", "grid", "inline-flex", "inline-grid", "-webkit-box", "-webkit-flex", "grid-lanes",
     "-webkit-inline-box", "-webkit-inline-flex", "block flex", "block grid", "inline flex"}
)  # fmt: skip
_SPACED: Final = frozenset({"inline-table", "table-cell", "td", "th"})
_INLINE_BOXES: Final = frozenset(
    {"button", "fieldset", "iframe", "img", "input", "meter", "object", "progress", "select",
     "textarea", "marquee", "svg svg", "video", "embed"}
)  # fmt: skip
_TABLE_BOXES: Final = frozenset({"table", "tbody", "td", "tfoot", "th", "thead", "tr"})
_TABLE_PARTS: Final = _TABLE_BOXES - {"table"}
_PLAIN_INLINE: Final = frozenset(
    {"inline", "inline flow", "ruby", "ruby-base", "ruby-text", "contents"}
)


class Layout(NamedTuple):
    """The place of an element among the others.

    Attributes:
        is_block: it begins and ends a line.
        gap: the line ends around it, one more than there are empty lines.
        is_spaced: it is not joined to the words on either side.
        keeps_blanks: white space in it is text.
        is_inline: it has no box of its own: sizes and overflow do not apply.
        grows: it is as large as what is in it, whatever its size says, as parts of tables are.
        is_side_by_side: it stands on a line with its siblings.
        is_table_part: it is a row, a cell or the like, which have no margins.
        is_on_line: its box stands on a line of text, as that of a letter does.
        is_item: it stands in a flex box or a grid.
    """

    is_block: bool = False
    gap: int = 1
    is_spaced: bool = False
    keeps_blanks: bool = False
    is_inline: bool = True
    grows: bool = False
    is_side_by_side: bool = False
    is_table_part: bool = False
    is_on_line: bool = False
    is_item: bool = False


def layout_of(name: str, display: str, around: str, white_space: str, is_out: bool) -> Layout:
    """The layout of an element.

    Args:
        name: of the element.
        display: its ``display``, ``""`` when the name alone decides.
        around: the ``display`` of the element around it.
        white_space: its ``white-space``.
        is_out: it floats, or it is positioned outside of the flow.
    """
    in_flex = around in FLEX and not is_out
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
    is_part = (display.startswith("table-") and display != "table-caption") or (
        not display and name in _TABLE_PARTS
    )
    is_part = is_part and not is_out and not in_flex  # what floats is a block
    if is_part and around in _PLAIN_INLINE:  # the table around it is one on the line
        is_block = False
    is_on_line = not (is_block or is_inline or is_out) and (not is_part or around in _PLAIN_INLINE)
    grows = is_part or display.startswith("table") or (not display and name == "table")
    grows = grows and not ((is_out or in_flex) and display.startswith("table-"))
    return Layout(
        is_block,
        2 if name in _PARAGRAPHS else 1,
        not is_block and (name in _SPACED or display in _SPACED),
        white_space.startswith(("pre", "break")),
        is_inline,
        grows or display == "inline-table",
        in_flex or (not is_block and not is_inline),
        is_part,
        is_on_line,
        in_flex,
    )


NO_INDENT: Final = Length()
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


class Narrow(NamedTuple):
    """Boxes as wide as what is in them, which has no width where one without width is all of it.

    Attributes:
        group: what lies behind them; ``None`` for what lies behind what is in them.
        cuts: one of them cuts off what has no room.
        depth: how many elements there are from the outermost to what is in the innermost.
        row: the boxes of the row and the table, where these are those of a cell.
    """

    group: Group | None = None
    cuts: bool = False
    depth: int = 1
    row: Narrow | None = None


class BoxSizes(NamedTuple):
    """The space of a box in the flow, in pixels, and its effect on its contents.

    Attributes:
        margin_top, margin_bottom: its margins.
        padding_top, padding_bottom: its padding, with the border above.
        least_height: its ``min-height``.
        pushed: the height of what ``::before`` puts in front of its content.
        has_own_flow: margins within do not collapse with its own.
        is_floating: it floats.
        holds: what is positioned within is counted from it, and cut off with it.
        cuts: it cuts off what has no room.
        room: the height in which its content has room; ``None`` for as much as it takes.
        pull: how far its margin pulls it to the left, and what follows on its line.
        padding_left, padding_right: its padding, with the borders.
        layer: 1 where it floats, from 3 on where it is positioned, and is painted later.
        fills: it is positioned, and as large as the box that it is counted from.
        spread: pixels of a border, an outline or a shadow around it, which cover what is there.
        is_behind_text: it is positioned where it would stand on a line.
        is_aside: what decides how far to the right or down it stands is not known.
    """

    margin_top: float = 0.0
    margin_bottom: float = 0.0
    padding_top: float = 0.0
    padding_bottom: float = 0.0
    least_height: float = 0.0
    pushed: float = 0.0
    has_own_flow: bool = False
    is_floating: bool = False
    holds: bool = False
    cuts: bool = False
    room: float | None = None
    pull: float = 0.0
    padding_left: float = 0.0
    padding_right: float = 0.0
    layer: int = 0
    is_aside: bool = False
    fills: bool = False
    spread: float = 0.0
    is_behind_text: bool = False


class Style:
    """The style of an element, computed from that of its parent. Not to be changed.

    The attributes are those of CSS, with the values that they have where nothing is set, and:

    Attributes:
        lost: what hides the element and all within it, ``""`` if nothing does.
        unseen: what keeps its own text from being seen; what is within may be seen.
        clipped: what cuts off its text; what is positioned within may leave the box.
        has_ink: its text can be distinguished from what lies behind it.
        is_collapsed: rows of tables are not there.
        is_set: a length has set the font's size, or that of an element around it.
        scale: how much smaller transforms make it.
        line_indent: the indent of the line that its text is in.
        page_color: the color of the body, which tables have in quirks mode.
        background: the value of ``background-color``.
        behind: what lies behind its own background.
        painted_size: of the letters of the element that was painted last.
        block_group: what lies behind blocks in an inline element, whose background is not there.
        cell_group: what lies behind a cell that may be too small for its text as well.
        pads_cells: the cells of the table have a padding, where none was set.
        low_group: what lies behind a part of a table that may be as low as its lines, which have
            no height themselves where ``is_low``.
        thin_group: what lies behind lines that are too low for the background of their box.
        float_group, absolute_group: what lies behind floats, and behind what is positioned, where
            it is all there is in the box.
        back_ink: the color of a background that shows through the text alone.
        right, down: by how many pixels it was moved; its place where ``is_placed``.
        is_fixed: it stands in the window, outside of which scrolling does not reach.
        is_thin: it has no width, and no more than its words would give it.
        narrow: the boxes around what is in it that are as wide as that.
        is_opaque: nothing shines through its background.
        is_over: it is, and it may stand in the cell of a grid in which there is another.
        is_raised: it is painted later, as inline elements are that are positioned.
        is_painted: between this element and what it is stacked in there is a background.
        shift: by how many pixels margins of inline elements have moved the text of this line.
        box: what it takes in the flow.
        height: of its content; ``None`` for as much as that takes.
        absolute, fixed: the boxes that positions within are counted from.
        align: how much of the room that a line leaves is in front of it.
        clip_left, clip_right: between which its text is not cut off.
        cut_right: the same as ``clip_right`` where nobody can scroll to what is cut off.
        line_align: that of the line that its text is in.
        has_width: the width is known, and not just the most that it may be.
        has_set_width: its own width was set.
        has_flat_row: what is in the box and may be cut off has no height.
        has_flat_column: the same of the width, as it is in grids and in tables of fixed columns.
        space: the transform of the space that the boxes within are turned in.
        layout: how it stands among the others.
    """

    lost = unseen = display = clipped = ""
    has_visibility = has_ink = pads_cells = True
    is_collapsed = is_set = is_dark = is_rtl = False
    size = root_size = painted_size = FONT_SIZE
    size_adjust = scale = opacity = 1.0
    line_height: Length | None = None
    spacing = word_spacing = 0.0
    indent = line_indent = NO_INDENT
    align = line_align = 0.0
    color = page_color = BLACK
    link = BLUE
    fill: Color | None = None
    stroke_width = 0.0
    stroke_color: Color | None = None
    shadows: tuple[Shadow, ...] = ()
    back_ink: Color | str | None = None
    background: Color | str | None = None
    group = behind = float_group = absolute_group = PAGE
    block_group: Group | None = None
    thin_group: Group | None = None
    cell_group: Group | None = None
    low_group: Group | None = None
    right = down = shift = 0.0
    box = BoxSizes()
    width: float = CONTAINER
    height: float | None = None
    has_width = True
    has_set_width = has_flat_row = has_flat_column = False
    is_placed = is_fixed = is_out = is_painted = is_opaque = is_over = is_raised = is_thin = False
    is_low = False
    narrow: Narrow | None = None
    space: Matrix | None = None
    absolute = fixed = Containing()
    clip_left, clip_right, cut_right = -1e9, 1e9, 1e9
    white_space = "normal"
    variables: Mapping[str, str] = _NO_VARIABLES
    layout = Layout()

    def child(self) -> Style:
        """A style that has inherited everything and sets nothing."""
        new = Style()
        own = new.__dict__
        own.update(self.__dict__)  # what nothing has set is an attribute of the class
        for name in _NOT_INHERITED & own.keys():
            del own[name]
        return new


_NOT_INHERITED: Final = frozenset(
    {"unseen", "display", "box", "height", "has_set_width", "has_flat_row", "has_flat_column",
     "is_out", "space",
     "background", "is_opaque", "is_over", "is_thin", "narrow"}
)  # fmt: skip
