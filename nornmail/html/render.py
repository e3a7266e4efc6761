"""The tree to text: what a person sees is written, and the rest is kept apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from nornmail.html.boxes import CELLS, Frame, OpenTable
from nornmail.html.css.cascade import Cascade
from nornmail.html.css.computed import is_inked_if_low, takes_room
from nornmail.html.css.geometry import FAR_RIGHT, is_on_page
from nornmail.html.css.style import FLEX, Style
from nornmail.html.flow import Flow
from nornmail.html.invisible_characters import INVISIBLE, without_invisible
from nornmail.html.limits import MAX_LINKS, Budget, BudgetSpentError
from nornmail.html.text_writer import TextWriter, shown_address
from nornmail.html.tree import Element, is_mute_drawing

_NO_WORDS: Final = frozenset({"head", "link", "meta", "script", "style", "title"})
"""Elements that hold no text that anybody would call hidden."""
_REPLACED: Final = frozenset({"img", "input"})
_OVERLAP: Final = 50.0
"""Pixels by which a margin pulls an element over the words in front of it."""
_DATA: Final = " | "
_OPENED: Final = frozenset(
    {"a", "blockquote", "details", "dir", "li", "menu", "ol", "select", "table", "td", "th", "tr",
     "ul"}
)  # fmt: skip
"""Elements that begin more than a line."""
BUDGET: Final = "too costly"
"""The reason of text that was not reached before the budget was spent."""
_CELL_STEPS: Final = 6
_HIGH: Final = frozenset({"button", "iframe", "img", "input", "object", "select", "textarea"})
_HIGHER: Final = frozenset({"cellpadding", "height", "rowspan", "width"})
_LOW: Final = 4.0
"""Pixels of the lines of a table, without what surrounds its cells, out of which letters stick."""
_NOTHING: Final[Mapping[int, str]] = {}


class UnseenText(NamedTuple):
    """Text of a page that a person does not see, and the reason."""

    reason: str
    text: str


@dataclass(slots=True)
class Rendered:
    """The lines that a person sees, and what was left out.

    Attributes:
        removed: the amounts of what was left out, by what hid it.
        unseen: the texts that were left out, in order.
        links: the addresses of the links that are seen.
    """

    text: str = ""
    removed: Counter[str] = field(default_factory=Counter)
    unseen: list[UnseenText] = field(default_factory=list)
    links: dict[str, None] = field(default_factory=dict)


def render(
    root: Element,
    quirks: bool,
    budget: Budget,
    without: Callable[[Element], bool] | None = None,
    *,
    is_cut: bool = False,
    shortens_links: bool = False,
) -> Rendered:
    """The text of a page; where the budget is spent, the rest is unseen.

    Args:
        root: the root of the tree.
        quirks: the page is in quirks mode.
        budget: what the page may still cost.
        without: elements for which it returns true are left out.
        is_cut: the page was not read to its end, so that rules for its end say nothing.
        shortens_links: of a long address the host and the beginning of its path are shown.
    """
    page: _Page | None = None
    is_final = False
    try:
        cascade = Cascade(root, quirks, budget)
        page = _Page(cascade, budget, without, shortens_links, quirks)
        if cascade.sheets.is_unknown or (is_cut and cascade.sheets):
            page.give_up(root)
        else:
            page.run(root)
            if page.low or page.flow.canvas.hidden:  # where they stand is known now
                known, is_final = (page.low, page.flow.canvas.hidden), True
                page = _Page(cascade, budget, without, shortens_links, quirks, *known)
                page.run(root)
    except BudgetSpentError:
        if page is None or page.is_whole or (page.flow.canvas.hidden and not is_final):
            page = _Page(None, budget, without, shortens_links, quirks)
        page.give_up(root)
    result = page.result
    result.text = page.finish()
    return result


class _Page:
    def __init__(
        self,
        cascade: Cascade | None,
        budget: Budget,
        without: Callable[[Element], bool] | None,
        shortens_links: bool,
        quirks: bool,
        known_low: Container[Element] = (),
        known_hidden: Mapping[int, str] = _NOTHING,
    ) -> None:
        self._shortens_links = shortens_links
        self._known_low = known_low
        self._known_hidden = known_hidden
        self.low: set[Element] = set()
        self.lines = TextWriter()
        self.result = Rendered()
        self._cascade = cascade
        self._budget = budget
        self._without = without
        self._table: OpenTable | None = None
        self.flow = Flow(quirks, budget)
        self._has_collapsed = False
        self._frames: list[Frame] = []
        self._frame: Frame | None = None
        self._node: Element | str | None = None
        self.is_whole = False
        self._open_details: set[str] = set()

    def run(self, root: Element) -> None:
        if self._cascade is None:
            return
        frames = self._frames
        node: Element | str | None = root
        try:
            frame = self._enter(root, self._cascade.start, False)
            while frame is not None:
                self._frame = frame
                for node in frame.children:
                    if isinstance(node, str):
                        self._text(node, frame)
                        continue
                    inner = self._enter(node, frame.style, frame.is_mute)
                    if inner is not None:
                        frames.append(frame)
                        frame = inner
                        break
                else:
                    node = None
                    self._leave(frame)
                    frame = frames.pop() if frames else None
        except BudgetSpentError:
            self._node = node
            raise
        self._frame = None
        self.is_whole = True
        self._budget.spend(0)

    def give_up(self, root: Element) -> None:
        """Keep everything that was not reached apart: nothing is known of it."""
        if self._frame is None and not self._frames:
            self._keep_all(root, BUDGET)
        while self._frame is not None:
            reached = () if self._node is None else (self._node,)
            self._node = None
            for node in (*reached, *self._frame.children):
                if isinstance(node, str):
                    self._keep(node, BUDGET)
                else:
                    self._keep_all(node, BUDGET)
            self._leave(self._frame)
            self._frame = self._frames.pop() if self._frames else None

    def finish(self) -> str:
        """All lines."""
        return self.lines.finish()

    # Text

    def _text(self, text: str, frame: Frame) -> None:
        style = frame.style
        if text.isspace() and not style.layout.keeps_blanks:
            self.lines.space()
            return
        hidden = style.unseen or ("drawing" if frame.is_mute else "")
        flow = self.flow
        top = flow.text(style, text, frame.block.style)
        is_further = frame.block.has_first_line and style.display not in FLEX
        if hidden in ("", "color") and (
            flow.is_cut(style, top) or not is_on_page(style, len(text), top, flow.shift, is_further)
        ):
            hidden = "position"
        if hidden == "color" and is_inked_if_low(style, frame.block.style):
            if frame.part.element in self._known_low:
                hidden = ""
            frame.part.asks_if_low = True
        if hidden in ("", "color"):
            hidden = flow.color_below(style, top, hidden)
        if hidden in ("", "color"):
            hidden = flow.cover(style, top, hidden)
            hidden = "position" if flow.is_far else self._known_hidden.get(flow.number, hidden)
        if not hidden:
            text, cut = flow.divide(style, text, top)
            if cut:
                self._keep(cut, "position")
        if hidden:
            self._keep(text, hidden)
            self.lines.space()
            return
        self._budget.spend(1 + (len(text) >> 6))
        self._write(text, style.white_space)

    def _write(self, text: str, white_space: str = "normal") -> None:
        text, removed = without_invisible(text)
        if removed:
            self.result.removed[INVISIBLE] += removed
        if not text:
            return
        if white_space == "normal":
            self.lines.text(text)
        elif white_space == "pre-line":
            self.lines.kept_lines(text)
        elif white_space.startswith(("pre", "break")):
            self.lines.preformatted(text)
        else:
            self.lines.text(text)

    def _keep(self, text: str, reason: str) -> None:
        """Count and keep a text that is not seen."""
        words = without_invisible(text)[0].split()
        if not words:
            return
        self.result.removed[reason] += len(words)
        unseen = self.result.unseen
        plain = " ".join(words)
        if unseen and unseen[-1].reason == reason and len(unseen[-1].text) < _JOINED:
            unseen[-1] = UnseenText(reason, f"{unseen[-1].text} {plain}")
        elif len(unseen) < _MOST_UNSEEN:
            unseen.append(UnseenText(reason, plain))

    def _keep_all(self, element: Element, reason: str) -> None:
        ahead: list[Element | str] = [element]
        while ahead:
            node = ahead.pop()
            if isinstance(node, str):
                self._keep(node, reason)
            elif node.name not in _NO_WORDS:
                ahead.extend(reversed(node.children))

    # Elements

    def _enter(self, element: Element, around: Style, is_mute: bool) -> Frame | None:
        """Begin ``element``; ``None`` when nothing of it is to be written down."""
        if self._without is not None and self._without(element):
            return None
        if self._cascade is None:
            return None
        name = element.name
        style = self._cascade.style_of(element, around)
        hidden = style.lost
        if not hidden and self._has_collapsed and name in CELLS:
            hidden = self._collapsed(element)
        if hidden and (hidden != style.lost or not takes_room(style)):
            if name not in _NO_WORDS:
                self._keep_all(element, hidden)
            return None
        if name in _REPLACED:
            self._replaced(element, style, is_mute)
            self.flow.put_over(style, around)
            return None
        if name == "br":
            if self._frame is not None:
                self._frame.block.has_first_line = True
            self.flow.break_line(style)
            self.lines.line_end()
            return None
        layout = style.layout
        pull = style.box.pull if style.layout.is_on_line else style.shift - around.shift
        if pull <= -FAR_RIGHT and self._is_aligned():
            self.flow.hide_line()
        if -FAR_RIGHT < pull <= -_OVERLAP and layout.is_inline and style.is_opaque:
            self.flow.hide_line()  # its background is painted over the words in front of it
        box = self.flow.open(style, around)
        frame = Frame(element, style, is_mute or is_mute_drawing(element), box, self._frame)
        if layout.is_block:
            self.lines.block(layout.gap)
        elif layout.is_spaced:
            self.lines.space()
        if element.shadow is not None:
            self._enter_shadow(frame, element.shadow)
        if name in _OPENED and not hidden:
            try:
                self._open(frame, name)
            except BudgetSpentError:
                if box is not None:  # what is around it is left next
                    self.flow.close(box, around)
                raise
        return frame

    def _enter_shadow(self, frame: Frame, shadow: Element) -> None:
        """Enter a declarative shadow root, which is shown instead of the children of its host."""
        inside = {node.name for node in shadow.walk()} - {"template"}
        if "slot" in inside or "style" in inside or "link" in inside:
            self._keep_all(shadow, "shadow tree")
            for child in frame.element.children:
                self._keep(child, "shadow tree") if isinstance(child, str) else self._keep_all(
                    child, "shadow tree"
                )
            frame.children = iter(())
            return
        for child in frame.element.children:
            if isinstance(child, str):
                self._keep(child, "shadow tree")
            else:
                self._keep_all(child, "shadow tree")
        frame.children = iter(shadow.children)

    def _replaced(self, element: Element, style: Style, is_mute: bool) -> None:
        """An image by its alternative text, a field by its value."""
        flow = self.flow
        hidden = bool(self._known_hidden.get(flow.replaced())) or is_mute or bool(style.lost)
        hidden = hidden or not is_on_page(style, 20, flow.y, flow.shift)
        if element.name == "img":
            text = element.get("alt").strip()
            is_shown = style.has_visibility and not style.clipped and not hidden
            if text and is_shown and not _is_dot(element):
                self._write(f"[{text}]")
            if style.height is not None:
                flow.image(style.height)
            return
        if element.get("type").lower() in ("submit", "button", "reset", "text", "email", ""):
            value = element.get("value") or element.get("placeholder")
            if value and not style.unseen and not hidden:
                self._write(value)

    def _open(self, frame: Frame, name: str) -> None:
        element = frame.element
        if name == "a":
            frame.address = shown_address(element.get("href"))
            frame.start, frame.lines = self.lines.place(), self.lines
        elif name == "table":
            columns = _collapsed_columns(element, self._cascade, frame.style)
            if columns is None:
                self._keep_all(element, "unknown style")
                frame.children = iter(())
                return
            frame.collapsed = columns
            self._has_collapsed = self._has_collapsed or bool(frame.collapsed)
            self._open_table(frame)
        elif self._table is not None and name in ("td", "th", "tr"):
            self._open_in_table(frame, self._table)
        elif name in ("ul", "ol", "menu", "dir"):
            self.lines.open_list(_first_number(element) if name == "ol" else -1)
        elif name == "li":
            if frame.style.layout.is_block:
                self.lines.item()
            else:
                self.lines.space()
        elif name == "blockquote" and not _is_indentation(element):
            frame.is_quote = True
            self.lines.open_quote()
        elif name == "details" and not self._is_open(element):
            frame.children = self._summary(element)
        elif name == "select":
            frame.children = self._chosen(element)

    def _leave(self, frame: Frame) -> None:
        name, style = frame.element.name, frame.style
        layout = style.layout
        if name in _OPENED and not style.lost:
            self._close(frame, name)
        if frame.box is not None:
            self.flow.close(frame.box, self._frames[-1].style if self._frames else style)
            around_it = self._frames[-1].box if self._frames else None
            if style.is_over and around_it is not None:
                self.flow.canvas.hide(around_it.number + 1, frame.box.number + 1, "covered")
            if self._frames and layout.is_block and not style.is_out:
                self._frames[-1].block.has_first_line = True
            if frame.asks_if_low and frame.box.height < _LOW and self._is_low(frame.element):
                self.low.add(frame.element)
            if frame.box.sticking and self._is_low(frame.element):
                self.flow.canvas.show(frame.box.sticking)
        elif self._frames:  # text behind an inline element stands next to it
            around = self._frames[-1].style
            pull = style.shift - around.shift
            is_moved = self.flow.shift + style.shift < 0  # and not on a line behind a block
            self.flow.shift += pull
            if is_moved and pull <= -FAR_RIGHT and self._is_aligned():
                self.flow.hide_line()
        if layout.is_block:
            self.lines.block(layout.gap)
        elif layout.is_spaced:
            self.lines.space()

    def _is_low(self, part: Element) -> bool:
        """Whether nothing makes a part of a table higher than its lines are."""
        around = part.parent
        while part.name != "table" and around is not None and around.name != "html":
            if not _HIGHER.isdisjoint(around.attributes):
                return False
            around = None if around.name == "table" else around.parent
        for element in part.walk():
            self._budget.left -= 1  # the page ends with its next step: this element is left by now
            is_high = element.name in _HIGH or not _HIGHER.isdisjoint(element.attributes)
            if is_high or self._budget.left < 0:
                return False
        return True

    def _is_aligned(self) -> bool:
        """Whether a margin on a line moves what is in front of it the other way."""
        return self._frame is not None and bool(self._frame.block.style.line_align)

    def _close(self, frame: Frame, name: str) -> None:
        if frame.address and frame.lines is self.lines:
            is_seen = self.lines.address(frame.start, frame.address, shortens=self._shortens_links)
            links = self.result.links
            if is_seen and "://" in frame.address and len(links) < MAX_LINKS:
                links[frame.address] = None
        elif frame.table is not None:
            self._close_table(frame)
        elif frame.lines is not None and name in CELLS:
            self._close_cell(frame)
        elif name in ("ul", "ol", "menu", "dir"):
            self.lines.close_list()
        elif frame.is_quote:
            self.lines.close_quote()

    def _is_open(self, element: Element) -> bool:
        """Whether a ``<details>`` is open: of those with one name, the first that is."""
        if "open" not in element.attributes:
            return False
        name = element.get("name")
        if name and name in self._open_details:
            return False
        self._open_details.add(name)
        return True

    def _summary(self, element: Element) -> Iterator[Element | str]:
        """The summary, which a person sees of a closed ``<details>``."""
        first = next((child for child in element.elements() if child.name == "summary"), None)
        for child in element.children:
            if isinstance(child, str):
                self._keep(child, "closed <details>")
            elif child is not first:
                self._keep_all(child, "closed <details>")
        return iter(() if first is None else (first,))

    def _chosen(self, element: Element) -> Iterator[Element | str]:
        """The chosen option, which a person sees of a closed list."""
        options = [inner for inner in element.walk() if inner.name == "option"]
        self._budget.spend(len(options))
        if "multiple" in element.attributes or element.get("size", "1") not in ("", "0", "1"):
            size = element.get("size", "4")
            rows = int(size) if size.isdigit() and 0 < len(size) < 4 else 4
            for option in options[rows:]:
                self._keep_all(option, "closed <select>")
            return iter(options[:rows])
        chosen = [option for option in options if "selected" in option.attributes][-1:]
        chosen = chosen or options[:1]
        label = chosen[0].get("label") if chosen else ""
        for option in options:
            if option is not chosen[0] or label:
                self._keep_all(option, "closed <select>")
        return iter([label] if label else chosen)

    # Tables

    def _collapsed(self, cell: Element) -> str:
        """Whether a cell stands in a column that is collapsed."""
        table = next(
            (frame for frame in reversed(self._frames) if frame.element.name == "table"), None
        )
        row = self._frame
        if table is None or row is None or not table.collapsed:
            return ""
        at = row.column
        span = cell.get("colspan")
        row.column += int(span) if span.isdigit() and 0 < len(span) < 4 else 1
        return "visibility" if at in table.collapsed else ""

    def _open_table(self, frame: Frame) -> None:
        if self._table is not None or frame.element.holds("table"):
            return
        role = frame.element.get("role").strip().lower()
        frame.table = self._table = OpenTable(self.lines, [], role in ("presentation", "none"))

    def _open_in_table(self, frame: Frame, table: OpenTable) -> None:
        if frame.element.name == "tr":
            table.rows.append([])
        elif not table.in_cell:
            self._budget.spend(_CELL_STEPS)
            table.in_cell = True
            frame.lines = self.lines = TextWriter(around=table.outer.quotes)

    def _close_cell(self, frame: Frame) -> None:
        table = self._table
        if table is None:
            return
        table.in_cell = False
        if not table.rows:
            table.rows.append([])
        table.rows[-1].append(self.lines.finish().strip("\n"))
        self.lines = table.outer

    def _close_table(self, frame: Frame) -> None:
        table, self._table = frame.table, None
        if table is None:
            return
        full = sum(1 for row in table.rows if sum(1 for cell in row if cell) > 1)
        is_data = full > 1 and not table.is_layout
        self.lines.rows(table.rows, _DATA if is_data else " ")


_JOINED: Final = 2_000
_MOST_UNSEEN: Final = 10_000
"""Texts that are kept apart; there are as many reasons as elements."""


def _collapsed_columns(
    table: Element, cascade: Cascade | None, style: Style
) -> frozenset[int] | None:
    """The numbers of the columns of a table that are collapsed; ``None`` if they are not known.

    Where cells span rows it is not counted which column a cell is in, nor what it is painted on.
    """
    columns: list[Element] = []
    for child in table.elements():
        if child.name == "colgroup":
            columns += child.elements() or [child]
        elif child.name == "col":
            columns.append(child)
    collapsed: set[int] = set()
    at = 0
    if cascade is not None and any(_is_painted(column, cascade, style) for column in columns):
        return None
    for column in columns[:_MOST_COLUMNS]:
        span = column.get("span")
        wide = min(int(span), 100) if span.isdigit() and len(span) < 4 else 1
        if cascade is not None and _is_collapsed(column, cascade, style):
            collapsed.update(range(at, at + wide))
        at += wide
    if collapsed and any("rowspan" in cell.attributes for cell in table.walk()):
        return None
    return frozenset(collapsed)


def _is_painted(column: Element, cascade: Cascade, style: Style) -> bool:
    """Whether a column or the group that it is in has a background, which shows in its cells."""
    around = column.parent
    is_in_group = around is not None and around.name == "colgroup"
    return cascade.style_of(column, style).background is not None or (
        is_in_group and around is not None and _is_painted(around, cascade, style)
    )


_MOST_COLUMNS: Final = 100
"""Columns of one table that are asked for; each may span a hundred."""


def _is_collapsed(column: Element, cascade: Cascade, style: Style) -> bool:
    around = style
    if column.parent is not None and column.parent.name == "colgroup":
        around = cascade.style_of(column.parent, style)
    return not cascade.style_of(column, around).has_visibility and style.has_visibility


def _first_number(element: Element) -> int:
    start = element.get("start").strip()
    return int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1


def _is_indentation(element: Element) -> bool:
    """Whether a quote only indents: one without a border, as mail programs write it."""
    style = "".join(element.get("style").lower().split())
    return ("border:none" in style or "border:0" in style or "border-left:none" in style) and not (
        element.get("type") or "quote" in element.get("class").lower() or element.get("cite")
    )


def _is_dot(element: Element) -> bool:
    """An image of a pixel or two, as they are sent to see whether a mail is opened."""
    return any(
        element.get(side).strip() in ("0", "1", "2", "0px", "1px", "2px")
        for side in ("width", "height")
    )
