"""Normal flow: how far down the page each line stands, and what boxes cut off (CSS 2.2, 8 and 9.4).

Lines are counted by their characters, and margins collapse as the standard has it. What stands side
by side, as inline blocks and cells do, is taken for a line that is as high as the highest of them.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from nornmail.html.css.clipping import SLIT
from nornmail.html.css.geometry import line_height
from nornmail.html.css.paint import PAGE, Group, is_seen
from nornmail.html.css.style import BoxSizes, Style

_GLYPH: Final = 0.5
"""The width of a character of running text, in sizes of the font."""
_LEAST_WIDTH: Final = 8.0
"""Pixels of a line in which there is always a letter."""
_FAR: Final = 1e9
_PULLED: Final = 1_000.0
"""Pixels of a margin that pull what follows off the page."""


class Clip(NamedTuple):
    """From where to where down the page something is not cut off."""

    top: float = -_FAR
    bottom: float = _FAR

    def cuts(self, top: float, bottom: float) -> bool:
        """Whether nothing can be read of what reaches from ``top`` to ``bottom``."""
        return min(bottom, self.bottom) - max(top, self.top) < min(SLIT, bottom - top)


_WHOLE: Final = Clip()


class Ground(NamedTuple):
    """A background that ends, though the text in its box may continue.

    Attributes:
        bottom: where it ends.
        group: what lies behind the text that stands above that.
        below: what lies behind the text that stands below.
    """

    bottom: float = _FAR
    group: Group | None = None
    below: Group = PAGE


_ENDLESS: Final = Ground()


class Box:
    """The box of an element while the flow is within it.

    Attributes:
        style: of the element.
        top: where its content begins; ``None`` until its margins have collapsed with others.
        around: the state of the flow that continues behind it, where it has a flow of its own.
        clip, held: what it and what is positioned in it was cut off by, around it.
        ground: what lay behind it, around it.
        least: where the lines begin of which it is a part, as it is in an inline element.
        run: where the blocks begin that it follows in an inline element.
        height: how high it was when the flow left it.
        is_shut: it cuts off what has no room, and has none.
    """

    __slots__ = (
        "around",
        "clip",
        "ground",
        "height",
        "held",
        "is_shut",
        "least",
        "run",
        "style",
        "top",
    )  # fmt: skip

    def __init__(self, style: Style, clip: Clip, held: Clip, ground: Ground) -> None:
        self.style = style
        self.top: float | None = None
        self.around: _Lines | None = None
        self.clip, self.held, self.ground = clip, held, ground
        self.least: float | None = None
        self.run: float | None = None
        self.height = 0.0
        self.is_shut = False


class _Lines(NamedTuple):
    """The state of one flow; see :class:`Flow`."""

    y: float
    margins: tuple[float, float]
    line: float
    used: float
    shift: float
    floats: float
    is_pulled: bool
    open: list[Box]


class Flow:
    """The place of the next line, while a page is read in the order of its elements.

    Attributes:
        y: the bottom of what stands above the line.
        shift: by how many pixels what stands before it on the line has moved it.
        moved: where the text begins that stands outside of the flow in a box that a margin has
            moved off the page since; ``None`` where there is none.
    """

    def __init__(self, quirks: bool) -> None:
        self._quirks = quirks
        self.y = self.shift = 0.0
        self.moved: int | None = None
        self._longest = self._shortest = 0.0  # margins that wait for what they collapse with
        self._line = 0.0  # the height of the line that is open
        self._used = 0.0  # how many lines it is by now
        self._floats = -_FAR
        self._is_pulled = False
        self._least: float | None = None  # the top of the lines that a block stands between
        self._run: float | None = None  # the top of the blocks of an inline element on end
        self._waiting: tuple[Box, int] | None = None
        self._open: list[Box] = []  # boxes of which the margins may collapse with those within
        self._clip = self._held = _WHOLE
        self._ground = _ENDLESS

    # Lines

    def text(self, style: Style, chars: int) -> float:
        """Put a text on the line; return where its top is."""
        self._end_run()
        if self._longest or self._shortest or self._open:
            self._settle()
        high = line_height(style)
        if high > self._line:
            self._line = high
        top = self.y
        if self._used >= 1:
            top += int(self._used) * self._line
        if style.white_space != "nowrap":
            self._used += chars * style.size * _GLYPH / (style.width + _LEAST_WIDTH)
        return top

    def image(self, high: float) -> None:
        """Put an image on the line."""
        self._settle()
        self._line = max(self._line, high)

    def end_line(self) -> None:
        """Go on below the line."""
        self.shift = 0.0
        if self._line:
            self.y += self._line * (1 + int(self._used))
            self._line = self._used = 0.0

    def _end_lines(self) -> None:
        """Go on below lines with blocks in them: no margin leads to above their top."""
        if self._least is not None:
            self._settle()
            self.y = max(self.y, self._least)
            self._least = None

    def _end_run(self) -> None:
        """Go on below blocks in an inline element: none of them leads to above the first."""
        if self._run is not None:
            self.y = max(self.y, self._run)
            self._run = None

    def break_line(self, style: Style) -> None:
        """``<br>``: continue below the line, which may have nothing on it."""
        self.text(style, 0)
        self.end_line()
        self.shift = -style.shift

    def is_cut(self, style: Style, top: float) -> bool:
        """Whether boxes around it cut off a text of which the line begins at ``top``."""
        clip = self._clip
        if clip is _WHOLE:
            return False
        high = line_height(style)
        top += style.down + max(0.0, high - style.size) / 2
        return clip.cuts(top, top + max(SLIT, min(style.size, high)))

    def color_below(self, style: Style, top: float, hidden: str) -> str:
        """The reason that hides a text by its color, which may stand below its box.

        Args:
            style: of the text.
            top: where its line begins.
            hidden: ``"color"`` when it would not be seen in the box.
        """
        ground = self._ground
        if ground.group is not style.group or top + style.down < ground.bottom:
            return hidden
        return "" if is_seen(style.fill or style.color, ground.below) else "color"

    # Boxes

    def open(self, style: Style, around: Style, place: int) -> Box | None:
        """Go into the box of an element.

        Args:
            style: of the element.
            around: the style of the element around it.
            place: where its text begins.

        Returns:
            What is to be given to :meth:`close`; ``None`` for an inline element.
        """
        layout, sizes = style.layout, style.box
        if layout.is_inline:
            return None
        box = Box(style, self._clip, self._held, self._ground)
        if style.is_out and self._open and not self._is_waiting():
            self._waiting = self._open[0], place
        in_table = around.layout.is_table_part and not (around.layout.is_spaced or layout.grows)
        if style.is_out or layout.is_side_by_side or in_table:  # a cell is implied around it
            self._open_apart(box)
        else:
            self._open_block(box, in_inline=around.layout.is_inline)
        if box.top is not None:
            if sizes.cuts:
                self._cut(sizes, box.top + style.down)
            if style.height is not None and style.group is not style.behind:
                bottom = box.top + style.down + style.height + sizes.padding_bottom
                self._ground = Ground(bottom, style.group, style.behind)
        if sizes.holds:
            self._held = self._clip
        self.y += sizes.pushed
        return box

    def _open_block(self, box: Box, *, in_inline: bool) -> None:
        style, sizes = box.style, box.style.box
        if in_inline and self._line and self._least is None:
            self._least = self.y
        self.end_line()
        if not in_inline:
            self._end_run()
            self._end_lines()
        box.least, self._least = self._least, None
        box.run, self._run = self._run, None
        self._add_margin(sizes.margin_top)
        if sizes.padding_top or sizes.has_own_flow or style.height is not None or sizes.pushed:
            self._settle()
            box.top = self.y = self.y + sizes.padding_top
        else:
            self._open.append(box)

    def _open_apart(self, box: Box) -> None:
        style, sizes = box.style, box.style.box
        if not style.is_out:
            self._settle()
        box.around = _Lines(
            self.y, (self._longest, self._shortest), self._line, self._used, self.shift,
            self._floats, self._is_pulled, self._open,
        )  # fmt: skip
        margin = sizes.margin_top
        stays = self._line or margin > -_PULLED or not self._quirks
        if stays and not (style.is_out or style.layout.is_block):
            margin = max(0.0, margin)  # it stands on the line
        self.y += self._longest + self._shortest + margin + sizes.padding_top
        box.least, self._least = self._least, None
        box.run, self._run = self._run, None
        self._line = self._used = self._longest = self._shortest = 0.0
        self._floats, self._is_pulled, self._open = -_FAR, False, []
        if style.is_out:
            self.shift = 0.0
            if not sizes.is_floating:
                self._clip = _WHOLE if style.is_fixed else self._held
                if style.is_placed:
                    self.y = sizes.padding_top
        box.top = self.y

    def _cut(self, sizes: BoxSizes, top: float) -> None:
        clip = self._clip
        bottom = _FAR if sizes.room is None else top + sizes.room
        self._clip = Clip(max(clip.top, top - sizes.padding_top), min(clip.bottom, bottom))

    def close(self, box: Box, around: Style) -> None:
        """Go on behind the box of an element, in the one of the style ``around``."""
        self.end_line()
        self._end_lines()
        self._least, self._run = box.least, box.run
        if box.around is None:
            self._close_block(box)
            if around.layout.is_inline and self._run is None:
                self._run = box.top
            self.shift = -around.shift  # margins of an inline element move its first line
        else:
            self._close_apart(box, box.around)
        self._clip, self._held, self._ground = box.clip, box.held, box.ground

    def _close_block(self, box: Box) -> None:
        style, sizes = box.style, box.style.box
        if box.top is None and sizes.least_height:
            self._settle()
        if box.top is None:  # there is nothing in it: its margins collapse through it
            self._move_what_waits()
            self._open.pop()
        elif sizes.has_own_flow or sizes.padding_bottom or style.height is not None:
            self._end(box, box.top)
        else:
            self.y = max(self.y, box.top + sizes.least_height)
        if box.top is not None:
            box.height = self.y - box.top
        self._add_margin(sizes.margin_bottom)

    def _close_apart(self, box: Box, around: _Lines) -> None:
        sizes = box.style.box
        self._end(box, box.top or 0.0)
        box.height = max(self.y, self._floats) - (box.top or 0.0)
        bottom = self.y + sizes.margin_bottom
        self.y, (self._longest, self._shortest) = around.y, around.margins
        self._line, self._used, self.shift = around.line, around.used, around.shift
        self._floats, self._is_pulled, self._open = around.floats, around.is_pulled, around.open
        if not box.style.is_out:
            self._line = max(self._line, bottom - self.y)
            self.shift += sizes.pull if sizes.pull <= -_PULLED else 0.0
        elif sizes.is_floating:
            self._floats = max(self._floats, bottom)

    def _end(self, box: Box, top: float) -> None:
        """Go to the bottom of a box with which no margin in it collapses."""
        style, sizes = box.style, box.style.box
        bottom = self.y + self._longest + self._shortest
        is_pulled = self._is_pulled or self._shortest < 0
        self._longest = self._shortest = 0.0
        if style.height is not None and not style.layout.grows:
            self.y = top + style.height + sizes.padding_bottom
            return
        if sizes.has_own_flow:
            bottom = max(bottom, self._floats)
        high = max(bottom - top, sizes.least_height) + sizes.padding_bottom
        is_known = is_pulled or sizes.holds or line_height(style) < SLIT
        box.is_shut = sizes.cuts and is_known and high < SLIT
        self.y = top + max(0.0, high)

    # Margins

    def _add_margin(self, margin: float) -> None:
        """Add a margin: of those that touch, the longest and the most negative one count."""
        if margin > self._longest:
            self._longest = margin
        elif margin < self._shortest:
            self._shortest = margin

    def _settle(self) -> None:
        """Put the margins that have collapsed in front of what comes."""
        self._move_what_waits()
        self.y += self._longest + self._shortest
        self._is_pulled = self._is_pulled or self._shortest < 0
        self._longest = self._shortest = 0.0
        for box in self._open:
            box.top = self.y
        self._open.clear()

    def _is_waiting(self) -> bool:
        """Whether text stands outside of the flow in a box of which the place is not known yet."""
        return self._waiting is not None and self._open[:1] == [self._waiting[0]]

    def _move_what_waits(self) -> None:
        if self._shortest <= -_PULLED and self._waiting is not None and self._is_waiting():
            self.moved = self._waiting[1]
            self._waiting = None
