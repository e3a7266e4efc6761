"""Boxes, lines and elements that are open: what is known of them while their content is read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from nornmail.html.css.clipping import Clip
from nornmail.html.css.paint import Ground, Rank
from nornmail.html.css.style import Style
from nornmail.html.text_writer import TextWriter
from nornmail.html.tree import Element


class Hung(NamedTuple):
    """A box on a line that its margin pulls up: its last line stands on the line.

    Attributes:
        room: how far up a line may move and be on the page.
        lines: those that are, with the number of the first text and the top of each.
    """

    room: float
    lines: deque[tuple[int, float]]


class LineText(NamedTuple):
    """A text on a line, which stands on what the highest box of the line stands on."""

    number: int
    top: float


class Box:
    """The box of an element while the flow is within it.

    Attributes:
        style: of the element.
        number, lowest: how many texts there were in front of it, and where the lowest ended.
        outside: by how much what is around it is moved, how far to the right texts reach there, and
            the box around it of which the place is known.
        clips: what cut off texts around it, and what is positioned; what lay behind them.
        ranks: when what is around it is painted, and its background.
        top: where its content begins; ``None`` until its margins have collapsed with others.
        around: the state of the flow that continues behind it, where it has a flow of its own.
        least: where the lines begin of which it is a part, as it is in an inline element.
        run: where the blocks begin that it follows in an inline element.
        height: how high it was when the flow left it.
        left: where it begins, with its padding.
        floats: where the floats around it end, which those in it do not reach.
        rank: when its background is painted, if it has one.
        is_item: it stands in a flex box.
        has_own_flow: neither margins nor floats in it reach out of it, as it is with tables.
        sticking: the numbers of hidden texts in it that are seen where they stick out of it, if
            nothing makes it larger than its lines.
        fillers: the ranks of the boxes that fill the one around it that positions count from.
    """

    __slots__ = (
        "around", "clips", "fillers", "floats", "has_own_flow", "height", "is_item", "least",
        "left", "lowest", "number", "outside", "rank", "ranks", "run", "sticking", "style", "top",
    )  # fmt: skip

    def __init__(
        self, style: Style, number: int, lowest: float, outside: tuple[float, float, Box | None]
    ) -> None:
        self.style = style
        self.number = number
        self.lowest = lowest
        self.outside = outside
        self.around: FlowState | None = None
        self.top: float | None = None
        self.least: float | None = None
        self.run: float | None = None
        self.height = self.left = self.floats = 0.0
        self.rank: Rank = ()
        self.is_item = self.has_own_flow = False
        self.sticking: list[int] = []
        self.fillers: list[Rank] | None = None
        self.clips: tuple[Clip, Clip, Ground, Box | None] | None = None
        self.ranks: tuple[Rank, Rank] | None = None


class FlowState(NamedTuple):
    """The state of one flow; see :class:`~nornmail.html.flow.Flow`."""

    y: float
    margins: tuple[float, float]
    line: float
    used: float
    shift: float
    floats: float
    is_pulled: bool
    open: list[Box]
    before: float
    beside: float
    hung: Hung | None
    first: int
    direct: list[LineText]
    base: float


CELLS: Final = frozenset({"td", "th"})
NO_COLUMNS: Final[frozenset[int]] = frozenset()


@dataclass(slots=True)
class OpenTable:
    """A table without another one in it: its cells are collected before they are laid out."""

    outer: TextWriter
    rows: list[list[str]]
    is_layout: bool
    in_cell: bool = False


class Frame:
    """An element that is being written down."""

    __slots__ = (
        "address", "asks_if_low", "block", "box", "children", "collapsed", "column", "element",
        "has_first_line", "is_mute", "is_quote", "lines", "part", "start", "style", "table",
    )  # fmt: skip

    def __init__(
        self, element: Element, style: Style, is_mute: bool, box: Box | None, around: Frame | None
    ) -> None:
        self.element = element
        self.style = style
        self.children: Iterator[Element | str] = iter(element.children)
        self.is_mute = is_mute
        self.box = box
        self.block: Frame = around.block if around is not None and box is None else self
        self.has_first_line = self.asks_if_low = self.is_quote = False
        self.address = ""
        self.start = self.column = 0
        self.lines: TextWriter | None = None
        self.table: OpenTable | None = None
        self.collapsed = NO_COLUMNS
        self.part: Frame = (
            self  # the part of a table that is painted behind; a cell is as high as its row
        )
        if around is None:
            return
        if around.style.low_group is style.low_group:
            self.part = around.part
        elif element.name in CELLS and around.element.name == "tr":
            self.part = around
