"""The place and the size of a box, as far as they are known without laying out the page.

What stands to the left of a text and above it is counted as little as it may be, so that a text of
which the place is not known is nearer to the edge here than it is on a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nornmail.html.css.clipping import SLIT
from nornmail.html.css.filters import is_identity
from nornmail.html.css.style import FLEX, NO_INDENT, BoxSizes, Containing, Style
from nornmail.html.css.transforms import LINE, Matrix, Move, Steps, perspective, turned
from nornmail.html.css.value_readers import Value
from nornmail.html.css.values import VIEWPORT_HEIGHT, VIEWPORT_WIDTH, ZERO, Length
from nornmail.html.tree import BLOCKS

FAR_RIGHT: Final = 1_000.0
FAR_DOWN: Final = 5_000.0
"""Pixels by which a text is moved that is not reached by scrolling."""
_WIDEST: Final = 4_000.0
"""Pixels of a box of which the end is not on the page."""
_DEEPEST_STEP: Final = 900.0
_OUTSIDE: Final = frozenset({"absolute", "fixed"})
_MOVING: Final = frozenset(
    {"aspect-ratio", "border-bottom-width", "border-left-width", "border-top-width", "bottom",
     "box-sizing", "clip-path", "contain", "content-visibility", "filter", "flex-basis", "float",
     "grid-template-rows", "height", "justify-content", "left", "margin-bottom", "margin-left",
     "margin-right", "margin-top", "max-height", "max-width", "min-height", "min-width", "overflow",
     "padding-bottom", "padding-left", "padding-right", "padding-top", "perspective", "position",
     "right", "rotate", "scale", "table-layout", "top", "transform", "transform-origin",
     "translate", "width", "zoom", "container-type", "grid-template-columns", "outline",
     "box-shadow"}
)  # fmt: skip
_TRANSFORMS: Final = ("translate", "rotate", "scale", "transform")
_EDGE_ON: Final = 0.05
"""The part of the size of letters that is left where they cannot be read."""
_SHRINKING: Final = frozenset({"flex", "inline-flex"})
"""The styles that make a text as wide as its words, at the beginning of the line."""
_GRIDS: Final = frozenset({"grid", "inline-grid"})
_HALF: Final = Length(share=0.5)
_CENTER: Final = (_HALF, _HALF)


def place(name: str, style: Style, parent: Style, sets: Mapping[str, Value]) -> None:
    """Compute where the box of an element stands, how large it is, and what it cuts off."""
    style.height = None
    if not style.layout.is_inline:
        style.line_indent = style.indent
        style.line_align = 0.0 if style.display in _SHRINKING else style.align
    if style.layout.is_on_line and parent.line_indent is not NO_INDENT:
        indent = parent.line_indent.pixels(parent.size, parent.width)
        style.right += min(0.0, indent * (1 - parent.line_align))
    if style.display == "contents" or (
        _MOVING.isdisjoint(sets)
        and parent.space is None
        and not (parent.has_flat_row or parent.has_flat_column)
    ):
        layout = style.layout
        if layout.is_block:
            _leave_line(style)
        elif not layout.is_inline:
            style.shift = 0.0
        style.has_width = style.has_width and (layout.is_inline or fills_width(style))
        if layout.grows:
            style.width = max(style.width, _WORD * style.size)
        return
    box = _Box(name, style, parent, sets)
    box.locate()
    box.size()
    box.turn()
    box.clip()
    box.contain()
    style.box = box.sizes()


class _Box:
    """The box of one element while its place is computed."""

    def __init__(self, name: str, style: Style, parent: Style, sets: Mapping[str, Value]) -> None:
        self.name = name
        self.style = style
        self.parent = parent
        self.sets = sets
        self.position = sets.get("position", "static")
        self.is_out = self.position in _OUTSIDE
        is_at_end = sets.get("float") in ("right", "inline-end")
        self.is_to_the_right = is_at_end and not self.is_out
        self.containing = parent.fixed if self.position == "fixed" else parent.absolute
        self.base = self.containing.width if self.is_out else parent.width
        self.parent_height = self.containing.height if self.is_out else parent.height
        self.is_inline = style.layout.is_inline
        is_part = style.layout.is_table_part and not self.is_out
        self.is_row = is_part and not (style.layout.is_spaced or self.is_inline)
        self.has_no = ("margin", "padding") if self.is_row else ("margin",) if is_part else ()
        self.cuts = self.holds = False
        self.room: float | None = None

    def pixels(self, name: str) -> float:
        """A margin, padding or offset in pixels; 0 for ``auto``."""
        value = self.sets.get(name)
        if value is None or not isinstance(value, Length) or name.startswith(self.has_no):
            return 0.0
        return value.pixels(self.style.size, self.base)

    def has(self, name: str) -> bool:
        return isinstance(self.sets.get(name), Length)

    def extent(self, name: str) -> float | None:
        """A width or height in pixels, ``None`` when what is in the box decides."""
        value = self.sets.get(name)
        if not isinstance(value, Length):
            return None
        if name.endswith(("width", "basis")):
            return value.pixels(self.style.size, self.base)
        if value.share:
            if self.parent_height is None:
                return None
            return value.pixels(self.style.size, self.parent_height)
        return value.pixels(self.style.size)

    # Place

    def locate(self) -> None:
        style = self.style
        style.is_raised = self.is_inline and (style.is_raised or self.position == "relative")
        if style.layout.is_block and not self.is_on_line():
            _leave_line(style)
        elif not self.is_inline:  # its lines are its own
            style.shift = 0.0
        left = self.pixels("padding-left")
        if not self.is_to_the_right:
            left += self.pixels("margin-left")
        if style.layout.is_table_part and not self.is_out:
            left = max(0.0, self.pixels("padding-left"))
        if not self.is_inline:
            left += self.pixels("border-left-width")
        if self.is_out:
            self._locate_outside(left)
            return
        is_to_the_right = self.is_to_the_right
        end = style.right + self.base - self.pixels("margin-right")
        is_narrow = is_to_the_right and self.parent.has_width and not self.parent.layout.grows
        slit = _MARGIN if style.white_space == "nowrap" else SLIT
        if is_narrow and end < slit and not self.is_thin():
            left -= FAR_DOWN
        elif is_narrow and (style.right < 0 or self.base > 4 * _SHRUNK):
            left += max(0.0, self.base - 2 * _SHRUNK)
        elif is_to_the_right and self.pixels("margin-left") <= -FAR_RIGHT:  # it sticks out
            left -= max(self.extent("width") or 0.0, self.extent("min-width") or 0.0)
        if is_to_the_right or self.sets.get("margin-left") == "auto":
            margin = self.pixels("margin-right")
            left -= margin if abs(margin) >= FAR_RIGHT else 0.0
        if self.is_inline:
            style.shift += left
        if 0 < left < FAR_RIGHT:  # many honest steps do not lead off the page
            style.right = max(style.right, min(style.right + left, _DEEPEST_STEP))
        else:
            style.right += left
        if self.position == "relative":
            across = self.pixels("left") if self.has("left") else -self.pixels("right")
            along = self._along("top") if self.has("top") else -self._along("bottom")
            style.right += across
            style.down += along

    def is_thin(self) -> bool:
        """Whether its own width is none, so that what is in it sticks out at the right."""
        widths = (self.extent("width"), self.extent("max-width"))
        is_thin = any(width is not None and width < SLIT for width in widths)
        return is_thin and not self.extent("min-width")

    def is_on_line(self) -> bool:
        """Whether a box outside of the flow stands where it would stand on a line."""
        is_block = self.name in BLOCKS or self.sets.get("display", "inline") != "inline"
        return self.is_out and not is_block

    def _along(self, name: str) -> float:
        """An offset along the page; a share of a height that is not known is nothing."""
        value = self.sets[name] if self.has(name) else ZERO
        if value.share > -1 and value.share and self.parent_height is None:
            return float(value._replace(share=0.0).pixels(self.style.size))
        return float(value.pixels(self.style.size, self.parent_height or LINE))

    def _locate_outside(self, left: float) -> None:
        style, around = self.style, self.containing
        top = 0.0 if self.is_inline else self.pixels("margin-top")
        style.is_fixed = self.position == "fixed" or (style.is_fixed and not around.is_page)
        style.clipped = around.clipped
        style.clip_left, style.clip_right, style.cut_right = -1e9, 1e9, 1e9
        if self.has("left"):
            style.right = around.right + self.pixels("left") + left
        elif self.has("right"):
            end = around.right + around.width - self.pixels("right") - self.pixels("margin-right")
            width = self.extent("width")
            start = end - width if width is not None else end
            if end <= 1:
                style.right = start - FAR_RIGHT
            else:
                style.right = start if start > around.width else max(0.0, end - 200.0)
        else:
            style.right += left
        height = self.parent_height if self.parent_height is not None else LINE
        if self.has("top"):
            style.down = around.down + self._of(height, "top") + top
            style.is_placed = around.is_page
        elif self.has("bottom"):
            own = self.extent("height")
            below = self._of(height, "bottom") + self.pixels("margin-bottom")
            end = (height if around.is_page else LINE) - below
            style.down = around.down + end - (own if own is not None else LINE)
            style.is_placed = around.is_page
        else:
            style.down += top

    def _of(self, height: float, name: str) -> float:
        return float(self.sets[name].pixels(self.style.size, height))

    # Size

    def size(self) -> None:
        style = self.style
        across = self.pixels("padding-left") + self.pixels("padding-right")
        width = self._between("width", across)
        if width is None and not self.is_inline:
            if self.is_out and self.has("left") and self.has("right"):
                width = self.base - self.pixels("left") - self.pixels("right") - across
                width -= self.pixels("margin-left") + self.pixels("margin-right")
            else:
                margins = self.pixels("margin-left") + self.pixels("margin-right")
                least = _WORD * style.size if style.layout.grows else 0.0
                width = max(self.base - margins - across, self.extent("min-width") or least)
            self.has_width = self.is_out and self.has("left") and self.has("right")
        else:
            self.has_width = width is not None
        if self.is_inline:
            return
        height = self._height()
        if not style.layout.grows:
            style.is_thin = self.has_width and width is not None and width < SLIT
        elif style.layout.is_spaced:
            most = self.extent("max-width")
            if most is not None and most < SLIT and not self.extent("min-width"):
                style.is_thin, width = True, _WORD * style.size  # each line holds a word
        if height is None and "aspect-ratio" in self.sets and width is not None:
            height = width / self.sets["aspect-ratio"]
        style.has_set_width = self.has_width
        style.has_width = self.has_width or (fills_width(style) and self.parent.has_width)
        self._set_tracks()
        style.width = max(0.0, width if width is not None else self.base)
        if style.width >= _WIDEST and self.has_width:
            style.clipped = style.clipped or "position"  # it may stand at the right of its box
        if style.display in FLEX and style.width * self.sets.get("justify-content", 0) > FAR_RIGHT:
            style.clipped = style.clipped or "position"
        if not style.layout.grows:
            style.height = height

    def _height(self) -> float | None:
        """The height of the content; ``None`` for as much as it takes."""
        along = self.pixels("padding-top") + self.pixels("padding-bottom")
        along += self.pixels("border-top-width") + self.pixels("border-bottom-width")
        height = self._between("height", along)
        if height is None and self.sets.get("content-visibility") == "hidden":
            height = 0.0  # nothing is laid out in it
        if height is None and self.is_out and self.has("top") and self.has("bottom"):
            whole = self.parent_height if self.parent_height is not None else VIEWPORT_HEIGHT
            height = max(0.0, whole - self._of(whole, "top") - self._of(whole, "bottom") - along)
        return height

    def _set_tracks(self) -> None:
        """Find the rows and columns without a size; the widths of fixed ones are not computed."""
        style, sets, part = self.style, self.sets, self.style.layout.is_table_part
        if sets.get("display", "") in _GRIDS:
            style.has_flat_row = sets.get("grid-template-rows", False)
            style.has_flat_column = sets.get("grid-template-columns", False)
        elif style.layout.grows:
            is_set = sets.get("table-layout") == "fixed"
            style.has_flat_column = is_set or (part and self.parent.has_flat_column)

    def _between(self, name: str, paddings: float) -> float | None:
        """The size of the content between its smallest and its greatest."""
        if self.is_inline:
            return None
        size, least, most = (self.extent(f"{kind}{name}") for kind in ("", "min-", "max-"))
        if name == "width" and self.is_row:
            return None
        if name == "width" and self.style.layout.grows:  # words make a cell wider
            most, size = None, size if size is None or size >= _SHRUNK else None
        if self.parent.display in FLEX and name == "width" and "flex-basis" in self.sets:
            size = self.extent("flex-basis")
        if self.sets.get("box-sizing") == "border-box":
            size, least, most = (
                None if value is None else max(0.0, value - paddings)
                for value in (size, least, most)
            )
        if size is None and most is not None and (name == "height" or most < self.base):
            size = most if name == "width" or most <= LINE else None
        if size is not None and most is not None:
            size = min(size, most)
        if least is not None and size is not None:
            size = max(size, least)
        return size

    # Transforms

    def turn(self) -> None:
        """Move and shrink the box as its transforms do; they may leave nothing of it."""
        style, sets = self.style, self.sets
        style.scale *= sets.get("zoom", 1.0) or 1.0
        around, style.space = self.parent.space, None
        if self.is_inline:
            return
        steps: Steps = ()
        for name in _TRANSFORMS:
            steps += sets.get(name, ())
        if steps or around is not None:
            self._transform(steps, around)
        if "perspective" in sets and isinstance(sets["perspective"], Length):
            style.space = perspective(sets["perspective"])

    def _transform(self, steps: Steps, around: Matrix | None) -> None:
        style, sets = self.style, self.sets
        shrinks = style.is_out or style.layout.grows or not style.layout.is_block
        width = style.width if self.has_width or not shrinks else _SHRUNK
        if shrinks and not self.has_width:
            share = sum(step.right.share for step in steps if isinstance(step, Move))
            is_at_end = style.is_fixed and not self.has("left") and self.pixels("right") < 50
            if share <= -0.95 and style.right < 50:
                style.right = -FAR_RIGHT * 10
            elif share >= 0.95 and self.has("right") and is_at_end:
                style.right = FAR_RIGHT * 10
        origin = sets.get("transform-origin", _CENTER)
        result = turned(steps, origin, width, style.line_align)
        style.right += result.across
        style.down += result.along
        style.scale *= result.scale
        whole = result if around is None else turned(steps, origin, width, style.line_align, around)
        hides_back = sets.get("backface-visibility") == "hidden"
        if whole.scale < _EDGE_ON or (whole.shows_back and hides_back):
            style.lost = style.lost or "size"
        if sets.get("transform-style") == "preserve-3d":
            style.space = whole.matrix

    # Clipping

    def clip(self) -> None:
        style, sets = self.style, self.sets
        contain = frozenset().union(sets.get("contain", ()), sets.get("container-type", ()))
        cuts = sets.get("overflow", "visible") != "visible" and not self.gives_overflow_away()
        cuts = cuts or "paint" in contain
        cuts = cuts or sets.get("content-visibility") == "auto" or sets.get("clip-path") is False
        if not cuts or self.is_inline:
            return
        is_contained = not self.has_width and not contain.isdisjoint(("size", "inline-size"))
        is_narrow = is_contained and (style.is_out or style.layout.is_side_by_side)
        if is_narrow or self.parent.has_flat_column:
            style.clipped = style.clipped or "size"
            return
        if style.layout.grows:
            return
        height = style.height
        if height is None and ("size" in contain or "block-size" in contain):
            height = 0.0
        if self.parent.has_flat_row or style.has_flat_row or self.is_squeezed():
            height = 0.0 if height is None else height
        if height is not None and height + self.pixels("padding-bottom") <= self._first_line():
            style.clipped = style.clipped or "size"
            return
        end = self.pixels("padding-left" if style.is_rtl else "padding-right")
        if self.has_width and style.width + end < SLIT:
            style.clipped = style.clipped or "size"
            return
        style.clip_left = max(style.clip_left, style.right - self.pixels("padding-left"))
        if self.has_width or fills_width(style):
            if style.indent.pixels(style.size, style.width) >= style.width + end:
                style.clipped = style.clipped or "position"
                return
            style.clip_right = min(style.clip_right, style.right + style.width + end)
            if sets.get("overflow") not in _SCROLLING:
                style.cut_right = min(style.cut_right, style.clip_right)
        self.cuts = True
        if height is None and "line-clamp" in sets and style.display.startswith("-webkit-"):
            height = sets["line-clamp"] * self._line_height()
        self.room = None if height is None else height + self.pixels("padding-bottom")

    def gives_overflow_away(self) -> bool:
        """Whether ``overflow`` is that of the window: the body's, where the root has none."""
        return self.name == "body" and not self.parent.box.cuts and "contain" not in self.sets

    def is_squeezed(self) -> bool:
        """Whether it is an item of a flex box without height, which what cuts off shrinks to."""
        around = self.parent
        is_low = around.height is not None and around.height < SLIT
        return is_low and around.display in FLEX and not self.extent("min-height")

    def _first_line(self) -> float:
        """Pixels of the box that show nothing of its first line."""
        return max(SLIT - 0.1, (self._line_height() - self.style.size) / 2)

    def _line_height(self) -> float:
        return line_height(self.style)

    def contain(self) -> None:
        """The box that positions within are counted from."""
        style, sets = self.style, self.sets
        is_filtered = "filter" in sets and not is_identity(sets["filter"])
        is_turned = is_filtered or any(sets.get(name) for name in _TRANSFORMS)
        holds_fixed = is_turned and not self.is_inline
        if "contain" in sets and not sets["contain"].isdisjoint(("paint", "layout")):
            holds_fixed = not self.is_inline
        if self.position != "static" or holds_fixed:
            around = Containing(
                style.right - self.pixels("padding-left"),
                style.down,
                style.width + self.pixels("padding-left") + self.pixels("padding-right"),
                style.height,
                style.clipped,
                style.is_placed,
            )
            style.absolute = around
            self.holds = True
            if holds_fixed:
                style.fixed = around

    # Flow

    def sizes(self) -> BoxSizes:
        """The space of the box in the flow."""
        style = self.style
        if self.is_inline:
            return _NO_BOX
        if self.pixels("margin-top") + self.pixels("padding-top") >= FAR_DOWN:
            style.clipped = style.clipped or "position"
        has_margins = not (style.layout.is_table_part or self.is_out)
        least = self.extent("min-height") if "min-height" in self.sets else None
        if style.layout.grows:
            least = max(least or 0.0, self.extent("height") or 0.0)
            if least >= FAR_DOWN:
                style.clipped = style.clipped or "position"
        return BoxSizes(
            self.pixels("margin-top") if has_margins else 0.0,
            self.pixels("margin-bottom") if has_margins else 0.0,
            self.pixels("padding-top") + self.pixels("border-top-width"),
            self.pixels("padding-bottom") + self.pixels("border-bottom-width"),
            least or 0.0,
            0.0,
            self.cuts
            or style.display in _ROOTS
            or "contain" in self.sets
            or (style.layout.grows and not style.layout.is_table_part),
            style.is_out and not self.is_out,
            self.holds,
            self.cuts,
            self.room,
            min(0.0, self.pixels("margin-left")),
            self.pixels("padding-left") + self.pixels("border-left-width"),
            self.pixels("padding-right"),
            self._layer(),
            self._is_aside(),
            self.is_out and self._fills("left", "right", "width", self.base)
            and self._fills("top", "bottom", "height", VIEWPORT_HEIGHT),
            self._spread(),
            self.is_on_line(),
        )  # fmt: skip

    def _spread(self) -> float:
        """How far what is drawn around the box reaches."""
        shadows = self.sets.get("box-shadow", ())
        spreads = [shadow.spread for shadow in shadows if not shadow.is_inset]
        return float(max(
            self.pixels("border-top-width"), self.sets.get("outline", 0.0), *spreads, 0.0
        ))  # fmt: skip

    def _layer(self) -> int:
        if self.position != "static":
            z = int(self.sets.get("z-index", 0))
            return z if z < 0 else _RAISED + z
        return _RAISED if self.holds else int(self.style.is_out)

    def _fills(self, start: str, end: str, name: str, whole: float) -> bool:
        """Whether the box reaches from one side of what it is counted from to the other."""
        size = self.sets.get(name)
        reaches = isinstance(size, Length) and size.pixels(self.style.size, whole) >= whole
        has_end = self.has(end) and self.pixels(end) <= 0
        return self.has(start) and self.pixels(start) <= 0 and (reaches or has_end)

    def _is_aside(self) -> bool:
        sets, has_left = self.sets, self.has("left")
        if self.is_out:
            is_moved = self.has("top") or self.has("bottom")
            return (self.has("right") and not has_left) or (is_moved and not self.style.is_placed)
        is_right = self.is_to_the_right and self.parent.has_width
        return is_right or (sets.get("margin-left") == "auto" and not self.has_no)


_NO_BOX: Final = BoxSizes()
_ROOTS: Final = frozenset({"flow-root", "flex", "grid"})
_SCROLLING: Final = frozenset({"auto", "overlay", "scroll"})
_WORD: Final = 2.5
"""The width of a word, in sizes of the font: a table is at least as wide, whatever is around it."""
_MARGIN: Final = 8.1
"""Pixels at the edge of the window, as wide as the margin of the body, in which no word is read."""
_SHRUNK: Final = 100.0
"""Pixels that a box of one's own width is taken to be wide."""
_RAISED: Final = 3
"""The layer of what is positioned, or turned: it is painted above the lines."""


def fills_width(style: Style) -> bool:
    """Whether a box without a width is as wide as the one around it."""
    layout = style.layout
    return layout.is_block and not (style.is_out or layout.grows or layout.is_side_by_side)


def _leave_line(style: Style) -> None:
    """A block in an inline element does not begin where the text of that would."""
    style.right -= style.shift
    style.shift = 0.0


def push(style: Style, box: Style) -> None:
    """Move the text of ``style`` by the box of a ``::before`` that stands in front of it."""
    if not box.layout.is_block:
        across = box.right - style.right
        if box.has_set_width and not box.layout.is_inline:
            across += box.width
        style.right += across
        return
    depth = line_height(box) if box.height is None else box.height
    depth += sum(box.box[:4])
    style.box = style.box._replace(pushed=depth)
    if depth >= FAR_DOWN:
        style.down += depth


def line_height(style: Style) -> float:
    """The height of a line of text in pixels."""
    height = style.line_height
    return style.size * 1.2 if height is None else height.pixels(style.size, style.size)


def what_moves_away(style: Style) -> str:
    """Whether a text of this style has left the page for every length of it."""
    indent = style.line_indent.pixels(style.size, style.width)
    if line_height(style) > 2 * FAR_DOWN:
        return "position"
    if style.line_align and style.has_width:
        indent = max(0.0, indent)
    right = style.right + indent
    if right >= FAR_RIGHT or abs(style.down) >= FAR_DOWN or right >= style.clip_right:
        return "position"
    is_below = style.down >= VIEWPORT_HEIGHT or right >= VIEWPORT_WIDTH
    if style.is_fixed and style.is_placed and is_below:
        return "position"
    return ""


def is_on_page(
    style: Style, chars: int, top: float, shift: float, is_further_line: bool = False
) -> bool:
    """Whether a text is on the page.

    Args:
        style: of the text.
        chars: how long it is.
        top: how many pixels below the top of the page its line begins.
        shift: by how many pixels what stands before it on the line has moved it.
        is_further_line: the first line of its block, the one that is indented, is above it.
    """
    line_indent = NO_INDENT if is_further_line else style.line_indent
    is_plain = line_indent is NO_INDENT and not style.line_align and not style.is_rtl
    if is_plain and style.right >= 0 >= style.clip_left and shift >= 0 and top + style.down >= 0:
        return True
    indent = min(0.0, line_indent.pixels(style.size, style.width))
    wide = chars * style.size * _GLYPH
    back = min(shift, max(0.0, -style.shift))  # no margin moves a line behind a block
    start = style.right + indent + back
    if wide <= _ONE_WORD * style.size:  # of more words the last ones are at the end of the line
        start -= indent * style.line_align
    if style.has_width and (style.line_align or style.is_rtl):
        align = 1 - style.line_align if style.is_rtl else style.line_align
        start = style.right + max(0.0, back) + (style.width - min(wide, style.width)) * align
        start += -indent if style.is_rtl else (indent + min(0.0, shift)) * (1 - align)
        if start >= VIEWPORT_WIDTH:
            return False
    if start + wide <= max(0.0, style.clip_left):
        return False
    line = max(style.size, LINE)
    lines = 1 + wide // max(style.width, LINE)
    return style.down + top + line * lines > _BELOW_BASELINE * style.size


_GLYPH: Final = 0.65
"""The width of a character, in sizes of the font, that few exceed."""
_ONE_WORD: Final = 4.0
"""The greatest width of a word, in sizes of the font, with characters as wide as that."""
_BELOW_BASELINE: Final = 0.2
"""The part of a line below its letters, in sizes of the font."""
