"""Normal flow: how far down the page each line stands, and what boxes cut off (CSS 2.2, 8 and 9.4).

Lines are counted by their characters, and margins collapse as the standard has it. What stands side
by side, as inline blocks and cells do, is taken for a line that is as high as the highest of them.

Where each text and each painted box stands decides which texts are covered. Nothing covers a text
unless both places are known.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from nornmail.html.boxes import Box, FlowState, Hung, LineText
from nornmail.html.css.clipping import FAR, SLIT, WHOLE, Clip, divided, text_width
from nornmail.html.css.geometry import FAR_DOWN, FAR_RIGHT, fills_width, line_height
from nornmail.html.css.paint import ENDLESS, Canvas, Ground, Painted, Rank, Seen, is_seen
from nornmail.html.css.style import FLEX, Style
from nornmail.html.limits import Budget

_GLYPH: Final = 0.5
"""The width of a character of running text, in sizes of the font."""
_LEAST_WIDTH: Final = 8.0
"""Pixels of a line in which there is always a letter."""
_PULLED: Final = 1_000.0
"""Pixels of a margin that pull what follows off the page."""
_LOST: Final = 40.0
"""Pixels of a float past the edge of the window of which the rest, at its right, can be read."""
_UNKNOWN: Final = float("nan")
"""A place that is not known: no comparison with it holds."""
_RISE: Final = 0.68
"""The height of letters without what is below the line, in sizes of the font."""
_ASCENT: Final = 0.34
"""How far the line that letters stand on is below the middle, in sizes of the font."""
_LEAST_WORD: Final = 2.5
"""The width of a word, which is not broken, in sizes of the font."""
_ROOM: Final = 0.9
"""The height of letters from the top of their line, in sizes of the font."""
_SPREAD: Final = 50.0
"""Pixels that are drawn around a box and cover what is there."""
_ON_LINE: Final = 2
_RAISED: Final = 3


class Flow:
    """The place of the next line, while a page is read in the order of its elements.

    Attributes:
        y: the bottom of what stands above the line.
        shift: by how many pixels what stands before it on the line has moved it.
        number: of the text, or of the image or field, that was last put on a line.
        canvas: what is painted, and what that hides.
        is_far: so much empty space is above the line that it is not reached by scrolling.
    """

    def __init__(self, quirks: bool, budget: Budget) -> None:
        self._quirks = quirks
        self.canvas = Canvas(budget)
        self.number = self._order = 0
        self._first = 1  # the number of the first text of the line
        self._left = 0.0  # by how much the boxes around stand to the right of where styles say
        self._before = 0.0  # pixels of what stands before it on the line
        self._beside = -FAR  # the bottom of the floats that lines stand beside
        self._reach = 0.0  # how far to the right texts reach
        self._at = 0.0, 0.0, 0.0  # where the last text begins, its width, and its further lines
        self._hung: Hung | None = None
        self._rank: Rank = ()
        self._fillers: list[Rank] = []  # of the box that positions are counted from
        self._span: Box | None = None  # of which the place is known, and the text is in it
        self._top = 0.0  # of the line of the last text
        self._under: Rank = ()  # of the background behind the text
        self.y = self.shift = 0.0
        self._longest = self._shortest = 0.0  # margins that wait for what they collapse with
        self._line = self._high = 0.0  # the height of the line that is open, and of the last text
        self._used = 0.0  # how many lines it is by now
        self._floats = -FAR
        self._is_pulled = False
        self._least: float | None = None  # the top of the lines that a block stands between
        self._run: float | None = None  # the top of the blocks of an inline element on end
        self._waiting: tuple[Box, int] | None = None
        self._open: list[Box] = []  # boxes of which the margins may collapse with those within
        self._clip = self._held = WHOLE
        self._cells: list[tuple[Painted, int]] = []  # in which hidden texts are
        self._scope: Box | None = None  # the innermost box that cuts off
        self._start = 0.0  # of the last text on its line
        self._direct: list[LineText] = []  # texts of the line in a box that cuts off
        self._base = 0.0  # how far below the top of the line these stand
        self._empty = 0.0  # pixels of boxes and margins with nothing in them
        self.is_far = False
        self._ground = ENDLESS

    # Lines

    def text(self, style: Style, text: str, block: Style | None = None) -> float:
        """Put a text on the line; return where its top is.

        Args:
            style: of the text.
            text: its characters.
            block: the style of the block that the line is in, which is as high in standards mode.
        """
        if self._run is not None:
            self._end_run()
        if self._longest or self._shortest or self._open:
            self._settle()
        self.number += 1
        high = line_height(style)
        if block is not None and block is not style and not self._quirks:
            high = max(high, line_height(block))
        self._high = high
        if high > self._line:
            self._line = high
        top = self.y
        if self._used >= 1:
            top += int(self._used) * self._line
        if self._hung is not None:
            self._raise(self._hung, top)
        self._start = self._before
        base = (high - style.size) / 2 + _ROOM * style.size
        if base > self._base:
            self._base = base
        if self._clip.bottom < FAR:
            self._direct.append(LineText(self.number, style.down - _RISE * style.size))
        if style.layout.keeps_blanks:
            self._used += text.count("\n")
        if style.white_space != "nowrap":
            self._used += len(text) * style.size * _GLYPH / (style.width + _LEAST_WIDTH)
        self._put(style, text)
        self._top = top
        return top

    def _raise(self, hung: Hung, top: float) -> None:
        """Move the lines of a box on the line up by one more, of which the last stays on it."""
        lines = hung.lines
        if not lines or top > lines[-1][1]:
            lines.append((self.number, top))
        while len(lines) > 1 and top - lines[0][1] > hung.room:
            first, _ = lines.popleft()
            self.canvas.hide(first, lines[0][0], "position")

    def hide_line(self) -> None:
        """Hide the texts of the line, which a margin has moved off the page."""
        self.canvas.hide(self._first, self.number + 1, "position")
        self._first = self.number + 1

    def _put(self, style: Style, text: str) -> None:
        """Go on at the right of a text."""
        text = text.strip()
        wide = text_width(text, style.size)
        left = style.right + self._left + self._before
        if left + wide > self._reach:
            self._reach = left + wide
        if style.line_align and style.has_width:
            left += _UNKNOWN if self._before else max(0.0, style.width - wide) * style.line_align
        further = 0.0
        self._before += wide
        if self._before > style.width and style.white_space != "nowrap":
            self._before = _UNKNOWN
            room = max(style.width, _LEAST_WORD * style.size, 1.0)
            if wide > room:
                further, wide = (wide // room - 1) * line_height(style), room
        self._at = left, wide, further

    def cover(self, style: Style, top: float, hidden: str) -> str:
        """Return the reason why the text that was put on the line last is not seen.

        Args:
            style: of the text.
            top: where its line begins.
            hidden: ``"color"`` if the box that it is in has its color, ``""`` if not.

        Returns:
            ``""`` if it is seen. What is painted later may change that.
        """
        left, wide, further = self._at
        right = left + wide
        is_beside = left != left or top < self._beside or style.is_rtl
        if is_beside:
            left, right = self._sides()
        is_beside = is_beside or bool(style.line_align and not style.has_width)
        is_beside = is_beside or self._high < SLIT  # cells move low lines to their middle
        size = style.size * style.scale
        line = top + style.down + self._high / 2 + size * _ASCENT
        self._order += 1
        rank = (*self._rank, _RAISED if style.is_raised else _ON_LINE, self._order)
        seen = Seen(
            self.number, left, right, line - size * _RISE, line + further, is_beside,
            self._under, rank, hidden, style.group,
            None if style.shadows or style.stroke_width else style.fill or style.color,
            self._scope,
        )  # fmt: skip
        return self.canvas.put(seen)

    def _sides(self) -> tuple[float, float]:
        """Return between which sides a text stands of which the place is not known."""
        if self._span is None:
            return -FAR, FAR
        left = self._span.left + self._span.style.box.padding_left
        return left, left + self._span.style.width

    def replaced(self) -> int:
        """Count an image or a field; return its number."""
        self.number += 1
        return self.number

    def image(self, high: float) -> None:
        """Put an image on the line."""
        self._settle()
        self._line = max(self._line, high)
        self._base = max(self._base, high)

    def end_line(self) -> None:
        """Go on below the line."""
        self.shift = self._before = 0.0
        if self._direct and self._used < 1:
            for text in self._direct:
                if self.y + self._base + text.top > self._clip.bottom - SLIT:
                    self.canvas.hide(text.number, text.number + 1, "position")
            self._direct = []
        self._base = 0.0
        if self._line:
            self.y += self._line * (1 + int(self._used))
            self._line = self._used = 0.0
            self._first = self.number + 1

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
        self.text(style, "")
        self.end_line()
        self.shift = -style.shift

    def is_cut(self, style: Style, top: float) -> bool:
        """Whether boxes around it cut off a text of which the line begins at ``top``."""
        clip = self._clip
        if clip is WHOLE:
            return False
        high = line_height(style)
        top += style.down + max(0.0, high - style.size) / 2
        return clip.cuts(top, top + max(SLIT, min(style.size, high)))

    def divide(self, style: Style, text: str, top: float) -> tuple[str, str]:
        """Divide the text that was put on a line last into what is seen and what is cut off."""
        left = style.right + (self._left if self._left == self._left else 0.0)
        edge = min(style.cut_right, FAR if self._left < FAR_RIGHT else 2 * FAR_RIGHT)
        if style.is_rtl or style.layout.is_table_part:
            edge = FAR
        if self._clip.bottom >= FAR and edge >= FAR:
            return text, ""
        before = self._start
        lines, high = FAR, line_height(style)
        if high > 0:
            room = self._clip.bottom - SLIT - top - style.down - max(0.0, high - style.size) / 2
            lines = room // high + 1
        before = before if before == before else 0.0
        room = edge - left
        width = style.width if style.has_width else min(style.width, max(room, _LEAST_WIDTH))
        self.canvas.pays(6 + (len(text) >> (1 if style.layout.keeps_blanks else 3)))
        return divided(text, style.white_space, style.size, before, width, room, max(lines, 1))

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

    def open(self, style: Style, around: Style) -> Box | None:
        """Go into the box of an element.

        Args:
            style: of the element.
            around: the style of the element around it.

        Returns:
            What is to be given to :meth:`close`; ``None`` for an inline element.
        """
        layout, sizes = style.layout, style.box
        if layout.is_inline:
            return None
        outside = self._left, self._reach, self._span
        box = Box(style, self.number, self.canvas.lowest_text, outside)
        if style.is_out or style.height is not None or sizes.cuts or sizes.holds:
            box.clips = self._clip, self._held, self._ground, self._scope
            if style.is_out and self._open and not self._is_waiting():
                self._waiting = self._open[0], self.number + 1
        if sizes.has_own_flow or (layout.grows and not layout.is_table_part):
            box.has_own_flow = True
        row = around.layout
        in_table = row.is_table_part and not (row.is_spaced or layout.grows)
        if style.is_out or layout.is_side_by_side or in_table:  # a cell is implied around it
            box.is_item = around.display in FLEX and not style.is_out
            self._open_apart(box, is_in_row=in_table)
        else:
            self._open_block(box, in_inline=row.is_inline)
        if box.clips is not None:
            self._clip_within(box)
        self._enter(box, around)
        self.y += sizes.pushed
        return box

    def _clip_within(self, box: Box) -> None:
        """Set what a box cuts off, and where its background ends."""
        style, sizes = box.style, box.style.box
        if box.top is not None:
            if sizes.cuts:
                self._scope = box
                clip, top = self._clip, box.top + style.down
                bottom = FAR if sizes.room is None else top + sizes.room
                self._clip = Clip(max(clip.top, top - sizes.padding_top), min(clip.bottom, bottom))
            if style.height is not None and style.group is not style.behind:
                bottom = box.top + style.down + style.height + sizes.padding_bottom
                self._ground = Ground(bottom, style.group, style.behind)
        if sizes.holds:
            self._held = self._clip
            box.fillers, self._fillers = self._fillers, []

    def _enter(self, box: Box, around: Style) -> None:
        """Find where a box begins and when it is painted."""
        style, sizes, layout = box.style, box.style.box, box.style.layout
        layer = sizes.layer
        if layout.is_side_by_side and not (layer or layout.is_table_part):
            layer = _ON_LINE
        is_painted = style.is_opaque or style.group is not style.behind
        if layer or is_painted:
            self._order += 1
            box.ranks = self._rank, self._under
            if layer:
                self._rank = (*self._rank, layer, self._order)
            if is_painted:
                self._under = box.rank = (*self._rank, 0, self._order)
        if sizes.is_aside or (box.has_own_flow and self._is_moved(around)):
            self._left = _UNKNOWN
        elif box.around is not None:
            self._left += self._shift(box, box.around, around)
        box.left = left = style.right + self._left - sizes.padding_left
        if style.has_width:
            if left == left:
                self._span = box
        elif layout.is_spaced or not layout.is_table_part:
            self._reach = left

    def _is_moved(self, around: Style) -> bool:
        """Whether a box that holds its floats may stand further to the right."""
        if around.align and around.width >= SLIT:
            return True
        return self.y + self._longest + self._shortest < self._beside

    def _shift(self, box: Box, around: FlowState, outer: Style) -> float:
        """Return by how much what stands on its line moves a box to the right."""
        style, y = box.style, around.y + around.margins[0] + around.margins[1]
        if style.box.is_floating:
            is_first = not around.before or style.is_thin
            return 0.0 if is_first and y >= around.beside else _UNKNOWN
        if style.is_out:
            return _UNKNOWN if around.before and style.box.is_behind_text else 0.0
        if y < around.beside or (style.layout.is_on_line and outer.line_align):
            return _UNKNOWN
        return around.before

    def _open_block(self, box: Box, *, in_inline: bool) -> None:
        style, sizes = box.style, box.style.box
        if in_inline and self._line and self._least is None:
            self._least = self.y
        self.end_line()
        if not in_inline:
            self._end_run()
            self._end_lines()
        if self._least is not None:
            box.least, self._least = self._least, None
        if self._run is not None:
            box.run, self._run = self._run, None
        if sizes.margin_top:
            self._add_margin(sizes.margin_top)
        if box.has_own_flow:
            box.floats, self._floats = self._floats, -FAR
        if sizes.padding_top or box.has_own_flow or style.height is not None or sizes.pushed:
            self._settle()
            box.top = self.y = self.y + sizes.padding_top
        else:
            self._open.append(box)

    def _open_apart(self, box: Box, *, is_in_row: bool) -> None:
        style, sizes = box.style, box.style.box
        if not style.is_out:
            self._settle()
        box.around = FlowState(
            self.y, (self._longest, self._shortest), self._line, self._used, self.shift,
            self._floats, self._is_pulled, self._open, self._before, self._beside,
            self._hung, self._first, self._direct, self._base,
        )  # fmt: skip
        self._direct, self._base = [], 0.0
        self._first = self.number + 1
        margin = sizes.margin_top
        stays = self._line or margin > -_PULLED or not (self._quirks or is_in_row)
        if stays and not (style.is_out or style.layout.is_block):
            margin = max(0.0, margin)  # it stands on the line
        self.y += self._longest + self._shortest + margin + sizes.padding_top
        box.least, self._least = self._least, None
        box.run, self._run = self._run, None
        self._line = self._used = self._longest = self._shortest = 0.0
        self._floats, self._is_pulled, self._open = -FAR, False, []
        self._before, self._beside = 0.0, -FAR
        if style.is_out:
            self._hung = None
        elif stays and sizes.margin_top <= -_PULLED and not style.layout.grows:
            self._hung = Hung(box.around.y + _ROOM * style.size, deque())
        if style.is_out or (style.layout.is_table_part and not style.layout.is_on_line):
            self.shift = 0.0
        if style.is_out and not sizes.is_floating:
            self._span = self._scope = None
            self._clip = WHOLE if style.is_fixed else self._held
            if style.is_placed:
                self.y = sizes.padding_top
            elif not sizes.is_behind_text:  # it would stand below the line
                self.y += box.around.line * (1 + int(box.around.used))
        box.top = self.y

    def close(self, box: Box, around: Style) -> None:
        """Go on behind the box of an element, in the one of the style ``around``."""
        self.end_line()
        if self._least is not None:
            self._end_lines()
        self._skip(box)
        self._least, self._run = box.least, box.run
        if box.around is None:
            self._close_block(box)
            if around.layout.is_inline and self._run is None:
                self._run = box.top
            self.shift = -around.shift  # margins of an inline element move its first line
        else:
            self._close_apart(box, box.around, around)
        if box.clips is not None:
            self._clip, self._held, self._ground, self._scope = box.clips
        if box.ranks is not None:
            self._rank, self._under = box.ranks
        self._left, reach, self._span = box.outside
        is_apart = box.style.is_out and not box.style.box.is_floating
        if is_apart or not self._reach > reach:
            self._reach = reach
        if box.fillers is not None or box.style is around:
            if self._fillers and self.number > box.number:
                self.canvas.fill(max(self._fillers), box.number + 1, self.number + 1)
            self._fillers = box.fillers or []

    def _reach_end(self, box: Box) -> None:
        """Find how far to the right a box reaches, and paint it."""
        style, sizes = box.style, box.style.box
        right = (box.left if style.is_thin else self._reach) + sizes.padding_right
        if style.has_width:
            right = box.left + sizes.padding_left + style.width + sizes.padding_right
        elif sizes.pull and fills_width(style):
            right = max(right, box.left - sizes.pull)
        elif style.layout.is_table_part and box.around is not None and box.left >= 0:
            right = max(right, 0.0 if sizes.layer else box.outside[1])  # as those above it
        self._reach = right
        if sizes.cuts and style.height is None:
            self.canvas.cut(self._rank, box, self.y, self.y + style.down, box.number)
        is_painted = box.rank and style.is_opaque and style.has_visibility
        if is_painted and style.lost in ("", "drawing") and not style.clipped:
            self._paint(box, box.top or 0.0)
        if self._cells and style.layout.grows and not style.layout.is_table_part:
            self._find_what_sticks_out(box, right)

    def _find_what_sticks_out(self, table: Box, right: float) -> None:
        """Find the hidden texts of cells that are seen outside of the table."""
        style = table.style
        while self._cells and self._cells[-1][1] >= table.number:
            cell, number = self._cells.pop()
            right, bottom = max(right, cell.right), max(self.y + style.down, cell.bottom)
            cell = cell._replace(right=right, bottom=bottom)
            table.sticking += self.canvas.sticking_out(cell, number, style.behind)

    def _paint(self, box: Box, top: float) -> None:
        """Keep the place of a box that is painted, and find the texts that it covers."""
        style, sizes = box.style, box.style.box
        if sizes.fills and style.group.depth == 0:
            (self._fillers if box.fillers is None else box.fillers).append(box.rank)
        if box.left != box.left:
            return
        top, bottom = top + style.down - sizes.padding_top, self.y + style.down
        margin = sizes.margin_top
        if box.is_item and box.around is not None and style.height is None and margin < 0:
            line, high = box.around.y + style.down, bottom - top  # it is stretched to its line
            top, bottom = line + margin, line + max(0.0, high + margin)
        top, bottom = max(top, self._clip.top), min(bottom, self._clip.bottom)
        wide, rank = 0.0, box.rank
        if sizes.spread >= _SPREAD:  # an outline is painted behind all else
            wide, rank = sizes.spread, (*rank[:-2], _RAISED, rank[-1])
        painted = Painted(
            box.left - wide, self._reach + wide, top - wide, bottom + wide, rank, style.group
        )
        self.canvas.paint(painted, box.number if top - wide < box.lowest else 0)
        if self.canvas.last_hidden > box.number and self._clip is WHOLE and style.clip_right >= FAR:
            if not style.layout.is_table_part:
                box.sticking = self.canvas.sticking_out(painted, box.number, style.behind)
            elif style.low_group is not None:  # it cuts nothing off
                self._cells.append((painted, box.number))

    def _close_block(self, box: Box) -> None:
        style, sizes = box.style, box.style.box
        if box.top is None and sizes.least_height:
            self._settle()
        if box.top is None:  # there is nothing in it: its margins collapse through it
            self._move_what_waits()
            self._open.pop()
        elif box.has_own_flow or sizes.padding_bottom or style.height is not None:
            self._end(box, box.top)
            if box.has_own_flow:
                self._floats = box.floats
        else:
            self.y = max(self.y, box.top + sizes.least_height)
        if box.top is not None:
            box.height = self.y - box.top
            self._reach_end(box)
        if sizes.margin_bottom:
            self._add_margin(sizes.margin_bottom)

    def _close_apart(self, box: Box, around: FlowState, outer: Style) -> None:
        sizes = box.style.box
        self._end(box, box.top or 0.0)
        box.height = max(self.y, self._floats) - (box.top or 0.0)
        self._reach_end(box)
        is_on_baseline = box.style.layout.is_on_line and (around.line or not self._quirks)
        if is_on_baseline and self._top < (box.top or 0.0) - _PULLED:  # of its last line
            self.canvas.hide(box.number + 1, self.number, "position")
        bottom = self.y + sizes.margin_bottom
        self.y, (self._longest, self._shortest) = around.y, around.margins
        self._line, self._used, self.shift = around.line, around.used, around.shift
        self._floats, self._is_pulled, self._open = around.floats, around.is_pulled, around.open
        self._before, self._beside, self._hung = around.before, around.beside, around.hung
        self._first = around.first if box.style.layout.is_on_line else self.number + 1
        self._direct, self._base = around.direct, around.base
        if not box.style.is_out:
            self._top = self.y
            self._before += self._reach - box.left
            breaks = outer.white_space != "nowrap" and outer.display not in FLEX
            if self._before > outer.width and breaks:
                self._before = _UNKNOWN
            self._line = max(self._line, bottom - self.y)
            if box.style.layout.is_on_line:
                self._base = max(self._base, bottom - self.y)
            is_pulling = box.style.layout.is_on_line and sizes.pull <= -_PULLED
            self.shift += sizes.pull if is_pulling else 0.0
        elif sizes.is_floating:
            if self._is_past_edge(box, outer):
                self.canvas.hide(box.number + 1, self.number + 1, "position")
            self._floats = max(self._floats, bottom)
            if not box.style.is_thin:
                self._beside = max(self._beside, bottom)

    def _is_past_edge(self, box: Box, outer: Style) -> bool:
        """Whether a float sticks out of the window, but for the ends of its longest lines."""
        sizes = box.style.box
        if sizes.pull <= -_PULLED:
            return self._reach - 2 * box.left > _LOST
        is_narrow = sizes.is_aside and outer.has_width and outer.width < SLIT
        return is_narrow and outer.right < _LOST and self.number > box.number + 1

    def _end(self, box: Box, top: float) -> None:
        """Go to the bottom of a box with which no margin in it collapses."""
        style, sizes = box.style, box.style.box
        bottom = self.y + self._longest + self._shortest
        is_pulled = self._is_pulled or self._shortest < 0
        self._longest = self._shortest = 0.0
        if style.height is not None and not style.layout.grows:
            self._is_pulled = self._is_pulled or (style.height < SLIT < bottom - top)
            self.y = top + style.height + sizes.padding_bottom
            return
        if self._floats > bottom and (box.around is not None or box.has_own_flow):
            bottom = self._floats
        high = max(bottom - top, sizes.least_height) + sizes.padding_bottom
        if sizes.cuts and high < SLIT:
            is_known = is_pulled or sizes.holds or line_height(style) < SLIT
            if is_known:
                self.canvas.hide(box.number + 1, self.number + 1, "size")
        self.y = top + max(0.0, high)

    def put_over(self, style: Style, around: Style) -> None:
        """Put a box without text in front of what is there."""
        box = self.open(style, around) if style.is_opaque else None
        if box is not None:
            self.close(box, around)

    def _skip(self, box: Box) -> None:
        """Count the space of a box in the flow in which there is no text."""
        style, sizes = box.style, box.style.box
        if style.is_out and not sizes.is_floating:
            return
        high = style.height or 0.0
        margin = max(sizes.margin_top, sizes.margin_bottom)
        if margin >= _PULLED:
            self._empty += margin
        if high >= FAR_DOWN or box.number == self.number:
            self._empty += high
        self.is_far = self.is_far or self._empty >= FAR_DOWN

    # Margins

    def _add_margin(self, margin: float) -> None:
        """Add a margin: of those that touch, the longest and the most negative one count."""
        if margin > self._longest:
            self._longest = margin
        elif margin < self._shortest:
            self._shortest = margin

    def _settle(self) -> None:
        """Put the margins that have collapsed in front of what comes."""
        if self._waiting is not None:
            self._move_what_waits()
        self.y += self._longest + self._shortest
        if self._shortest < 0:
            self._is_pulled = True
        self._longest = self._shortest = 0.0
        for box in self._open:
            box.top = self.y
        self._open.clear()

    def _is_waiting(self) -> bool:
        """Whether text stands outside of the flow in a box of which the place is not known yet."""
        return self._waiting is not None and self._open[:1] == [self._waiting[0]]

    def _move_what_waits(self) -> None:
        if self._shortest <= -_PULLED and self._waiting is not None and self._is_waiting():
            self.canvas.hide(self._waiting[1], self.number + 1, "position")
            self._waiting = None
