"""From the tree to the text: what a person sees is written down, what not is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from nornmail.defects import Note
from nornmail.html.css.cascade import Cascade
from nornmail.html.css.style import Style
from nornmail.html.css.visibility import is_on_page
from nornmail.html.invisible_characters import INVISIBLE, without_invisible
from nornmail.html.limits import MAX_LINKS
from nornmail.html.lines import Lines, shown_address
from nornmail.html.tree import Element

_NO_WORDS: Final = frozenset({"head", "link", "meta", "script", "style", "title"})
"""Elements that hold no text that anybody would call hidden."""
_CONTAINED: Final = frozenset({"button", "table", "td", "th"})
_DATA: Final = " | "
_OPENED: Final = frozenset(
    {"a", "blockquote", "details", "dir", "li", "menu", "ol", "select", "table", "td", "th", "tr",
     "ul"}
)  # fmt: skip
"""Elements that begin more than a line."""


def render(
    root: Element,
    quirks: bool,
    note: Note,
    without: Callable[[Element], bool] | None = None,
    *,
    shortens_links: bool = False,
) -> tuple[str, dict[str, int], tuple[str, ...]]:
    """The text of a page, the amounts of what was left out by what hid it, and the links."""
    page = _Page(Cascade(root, quirks, note), without, shortens_links)
    page.run(root)
    return page.lines.finish(), dict(page.removed), tuple(page.links)


@dataclass(slots=True)
class _Table:
    """A table without another one in it: its cells are collected before they are laid out."""

    outer: Lines
    rows: list[list[str]]
    is_layout: bool
    in_cell: bool = False


class _Frame:
    """An element that is being written down."""

    __slots__ = (
        "address", "children", "element", "flow", "is_mute", "is_quote", "lines", "start", "style",
        "table",
    )  # fmt: skip

    def __init__(self, element: Element, style: Style, is_mute: bool, flow: float) -> None:
        self.element = element
        self.style = style
        self.children: Iterator[Element | str] = iter(element.children)
        self.is_mute = is_mute
        self.flow = flow
        self.address = ""
        self.start = 0
        self.lines: Lines | None = None
        self.table: _Table | None = None
        self.is_quote = False


class _Page:
    def __init__(
        self,
        cascade: Cascade,
        without: Callable[[Element], bool] | None,
        shortens_links: bool,
    ) -> None:
        self.lines = Lines()
        self.removed: Counter[str] = Counter()
        self.links: dict[str, None] = {}
        self._cascade = cascade
        self._sheets = cascade.sheets
        self._without = without
        self._shortens_links = shortens_links
        self._table: _Table | None = None
        self._flow = 0.0

    def run(self, root: Element) -> None:
        frames: list[_Frame] = []
        frame = self._enter(root, self._cascade.start, False)
        while frame is not None:
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
                self._leave(frame)
                frame = frames.pop() if frames else None

    # Text

    def _text(self, text: str, frame: _Frame) -> None:
        style = frame.style
        if not style.layout.keeps_blanks and text.isspace():
            self.lines.space()
            return
        hidden = style.unseen or self._hidden_by_place(style, frame.is_mute)
        if hidden:
            self._count(text, hidden)
            self.lines.space()
            return
        self._write(text, style.white_space)

    def _hidden_by_place(self, style: Style, is_mute: bool) -> str:
        if is_mute:
            return "drawing"
        if self._flow and not is_on_page(self._flow + style.down):
            return "position"
        return "too much style" if self._sheets.is_spent else ""

    def _write(self, text: str, white_space: str = "normal") -> None:
        text, removed = without_invisible(text)
        if removed:
            self.removed[INVISIBLE] += removed
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

    def _count(self, text: str, kind: str) -> None:
        words = len(without_invisible(text)[0].split())
        if words:
            self.removed[kind] += words

    def _count_all(self, element: Element, kind: str) -> None:
        ahead: list[Element | str] = [element]
        while ahead:
            node = ahead.pop()
            if isinstance(node, str):
                self._count(node, kind)
            elif node.name not in _NO_WORDS:
                ahead.extend(node.children)

    # Elements

    def _enter(self, element: Element, around: Style, is_mute: bool) -> _Frame | None:
        """Begin ``element``; ``None`` when nothing of it is to be written down."""
        if self._without is not None and self._without(element):
            return None
        name = element.name
        style = self._cascade.style_of(element, around)
        if style.lost:
            if style.flow and style.lost != "display":
                self._flow += style.flow
            if name not in _NO_WORDS:
                self._count_all(element, style.lost)
            return None
        if name == "br":
            self.lines.line_end()
            return None
        if name == "img" or name == "input":
            if not self._hidden_by_place(style, is_mute):
                self._replaced(element, style)
            return None
        frame = _Frame(element, style, is_mute or name == "svg", self._flow)
        layout = style.layout
        if layout.is_block:
            self.lines.block(layout.gap)
        elif layout.is_spaced:
            self.lines.space()
        if name in _OPENED:
            self._open(frame, name)
        return frame

    def _replaced(self, element: Element, style: Style) -> None:
        if element.name == "img":
            text = element.get("alt").strip()
            if text and style.has_visibility and not _is_dot(element):
                self._write(f"[{text}]")
            return
        if element.get("type").lower() in ("submit", "button", "reset", "text", "email", ""):
            shown = element.get("value") or element.get("placeholder")
            if shown and not style.unseen:
                self._write(shown)

    def _open(self, frame: _Frame, name: str) -> None:
        element = frame.element
        if name == "a":
            frame.address = shown_address(element.get("href"))
            frame.start, frame.lines = self.lines.place(), self.lines
        elif name == "table":
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
        elif name == "details" and "open" not in element.attributes:
            frame.children = self._summary(element)
        elif name == "select":
            frame.children = self._chosen(element)

    def _leave(self, frame: _Frame) -> None:
        name, style = frame.element.name, frame.style
        layout = style.layout
        if name in _OPENED:
            self._close(frame, name)
        if style.flow is None or name in _CONTAINED:
            self._flow = frame.flow
        elif layout.is_block:
            self._flow += style.flow
        if layout.is_block:
            self.lines.block(layout.gap)
        elif layout.is_spaced:
            self.lines.space()

    def _close(self, frame: _Frame, name: str) -> None:
        if frame.address and frame.lines is self.lines:
            is_seen = self.lines.address(frame.start, frame.address, shortens=self._shortens_links)
            if is_seen and "://" in frame.address and len(self.links) < MAX_LINKS:
                self.links[frame.address] = None
        elif frame.table is not None:
            self._close_table(frame)
        elif frame.lines is not None and name in ("td", "th"):
            self._close_cell(frame)
        elif name in ("ul", "ol", "menu", "dir"):
            self.lines.close_list()
        elif frame.is_quote:
            self.lines.close_quote()

    def _summary(self, element: Element) -> Iterator[Element | str]:
        """Of what is folded away a person sees the summary."""
        first = next(
            (one for one in element.children if isinstance(one, Element) and one.name == "summary"),
            None,
        )
        for one in element.children:
            if one is not first:
                if isinstance(one, str):
                    self._count(one, "closed <details>")
                else:
                    self._count_all(one, "closed <details>")
        return iter(() if first is None else (first,))

    def _chosen(self, element: Element) -> Iterator[Element | str]:
        """Of a closed list a person sees the option that is chosen."""
        options = [one for one in element.walk() if one.name == "option"]
        if "multiple" in element.attributes or element.get("size", "1") not in ("", "0", "1"):
            return iter(options)
        chosen = [one for one in options if "selected" in one.attributes][-1:] or options[:1]
        for one in options:
            if one is not chosen[0]:
                self._count_all(one, "closed <select>")
        return iter(chosen)

    # Tables

    def _open_table(self, frame: _Frame) -> None:
        if self._table is not None or frame.element.holds("table"):
            return
        role = frame.element.get("role").strip().lower()
        frame.table = self._table = _Table(self.lines, [], role in ("presentation", "none"))

    def _open_in_table(self, frame: _Frame, table: _Table) -> None:
        if frame.element.name == "tr":
            table.rows.append([])
        elif not table.in_cell:
            table.in_cell = True
            frame.lines = self.lines = Lines(around=table.outer.quotes)

    def _close_cell(self, frame: _Frame) -> None:
        table = self._table
        if table is None:
            return
        table.in_cell = False
        if not table.rows:
            table.rows.append([])
        table.rows[-1].append(self.lines.finish().strip("\n"))
        self.lines = table.outer

    def _close_table(self, frame: _Frame) -> None:
        table, self._table = frame.table, None
        if table is None:
            return
        full = sum(1 for row in table.rows if sum(1 for cell in row if cell) > 1)
        is_data = full > 1 and not table.is_layout
        self.lines.rows(table.rows, _DATA if is_data else " ")


def _first_number(element: Element) -> int:
    start = element.get("start").strip()
    return int(start) if start.isascii() and start.isdigit() and len(start) < 7 else 1


def _is_indentation(element: Element) -> bool:
    """Mail programs indent with quotes that have no border: nobody is quoted."""
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
