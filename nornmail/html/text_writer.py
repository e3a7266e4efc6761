"""The writer of plain text: it lays out blocks, quotes, list items, links and rows in lines."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import unquote

from nornmail.html.invisible_characters import without_invisible
from nornmail.html.limits import MAX_HTML_DEPTH, MAX_SHOWN_URL_CHARS, MAX_URL_CHARS

_SHOWN: Final = ("http://", "https://", "ftp://", "tel:", "sms:")
_SHORT_PATH_CHARS: Final = 24
_DROPPED: Final = re.compile(r"[\x00-\x20\x7f]+")


def shown_address(href: str) -> str:
    """The address of a link as it is shown; ``""`` for scripts, data and places on the page.

    Of ``mailto:`` the mailbox is left.
    """
    # A browser drops line ends and tabs anywhere in an address, and blanks around it.
    url = _DROPPED.sub(_dropped, without_invisible(href.strip())[0])[:MAX_URL_CHARS]
    lower = url[:10].lower()
    if lower.startswith("mailto:"):
        return unquote(url[7:].partition("?")[0]).strip()
    return url if lower.startswith(_SHOWN) else ""


def shortened(url: str) -> str:
    """``url``; of a long one the host and the beginning of the path, and an ellipsis."""
    if len(url) <= MAX_SHOWN_URL_CHARS:
        return url
    scheme, mark, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    path = re.split("[?#]", path, maxsplit=1)[0][:_SHORT_PATH_CHARS]
    # The host is always shown: it says whose page it is.
    return f"{scheme}{mark}{host}{slash}{path}\u2026" if mark else url[:MAX_SHOWN_URL_CHARS]


def _dropped(match: re.Match[str]) -> str:
    return "%20" if " " in match[0] else ""


def says(text: str, address: str) -> bool:
    """Whether a link's text is its address already."""
    return _bare(text) == _bare(address)


def _bare(text: str) -> str:
    text = "".join(text.split()).lower()
    for scheme in ("http://", "https://", "mailto:", "tel:", "ftp://"):
        text = text.removeprefix(scheme)
    return text.removeprefix("www.").rstrip("/")


_MARKS: Final = tuple("> " * depth for depth in range(MAX_HTML_DEPTH + 1))
_EMPTY_LINES: Final = tuple("\n" + marks.rstrip() for marks in _MARKS)


class TextWriter:
    """Writes text in lines.

    Line ends (``_gap``) and a blank (``_space``) are written when the next text is, so that none
    stand at the end. ``_bare`` means that the current line has no text yet, ``_marked`` that it has
    the marker of an item and nothing else.
    """

    def __init__(self, around: int = 0) -> None:
        """Begin a text that stands in ``around`` quotes, of which the marks are written outside."""
        self._deepest = MAX_HTML_DEPTH - around
        self._out: list[str] = []
        self._gap = 0
        self._gap_quotes = 0
        self._space = False
        self._bare = True
        self._marked = False
        self._quotes = 0
        self._lists: list[int] = []
        self._indents: list[bool] = []
        self._last_link = (0, "")

    def text(self, chunk: str) -> None:
        """Running text: white space of any length is one blank."""
        words = collapsed(chunk)
        if not words:
            self._space = self._space or bool(chunk)
            return
        is_apart = (self._space or chunk[0].isspace()) and not self._bare
        self._write(" " + words if is_apart else words)
        self._space = chunk[-1].isspace()

    def space(self) -> None:
        """A blank, if anything follows on this line."""
        self._space = True

    def kept_lines(self, chunk: str) -> None:
        """Text of which the line ends count and the blanks do not."""
        for number, line in enumerate(chunk.split("\n")):
            if number:
                self.line_end()
            self.text(line)

    def preformatted(self, chunk: str) -> None:
        """Text that stays as it is."""
        for number, line in enumerate(chunk.replace("\xa0", " ").split("\n")):
            if number:
                self.line_end()
            if line:
                is_apart = self._space and not self._bare
                self._write(" " + line if is_apart else line)
                self._space = False

    def line_end(self) -> None:
        """``<br>``: two of them leave a line empty, more of them do not leave more."""
        self._break(min(self._gap + 1, 2))

    def block(self, lines: int) -> None:
        """Text that follows begins on a new line; with 2 there is an empty one before it.

        In lists no line is left empty.
        """
        self._break(1 if self._lists else lines)

    def _break(self, lines: int) -> None:
        if self._marked:  # a paragraph in an item stays on the line of the marker
            return
        if not self._gap or self._quotes < self._gap_quotes:
            self._gap_quotes = self._quotes
        if lines > self._gap:
            self._gap = lines
        self._space = False
        self._bare = True

    @property
    def quotes(self) -> int:
        """The number of quotes that are open and marked."""
        return self._quotes

    def open_list(self, first: int) -> None:
        """Begin a list; its items are numbered from ``first``, unless that is negative."""
        if len(self._lists) < MAX_HTML_DEPTH:
            self._lists.append(first)
            self._indents.append(False)

    def close_list(self) -> None:
        """End the list."""
        if self._lists:
            self._lists.pop()
            self._indents.pop()

    def item(self) -> None:
        """Begin an item of a list with its marker."""
        self._marked = False
        self.block(1)
        marker = "- "
        if self._lists and self._lists[-1] >= 0:
            marker = f"{self._lists[-1]}. "
            self._lists[-1] += 1
        self._indents[-1:] = [False] * bool(self._indents)
        self._write(marker)
        self._indents[-1:] = [True] * bool(self._indents)
        self._bare = self._marked = True

    def open_quote(self) -> None:
        """Begin a quote: the lines in it are marked with one more ``>``."""
        if self._quotes < self._deepest:
            self._quotes += 1

    def close_quote(self) -> None:
        """End the quote."""
        self._quotes = max(self._quotes - 1, 0)

    def place(self) -> int:
        """The current place in the text, for :meth:`address`."""
        return len(self._out)

    def address(self, start: int, address: str, *, shortens: bool) -> bool:
        """Put ``(address)`` behind the text since ``start``, unless it is there already.

        Returns:
            Whether there is any text, so that the link can be seen.
        """
        text = "".join(self._out[start:]).strip()
        behind = f"({shortened(address) if shortens else address})"
        is_repeated = text.endswith(behind) or self._last_link == (start, address)
        if not text:
            return False
        if not is_repeated and not says(text, address):
            self._out.append(" " + behind)
        self._last_link = (len(self._out), address)
        return True

    def rows(self, rows: list[list[str]], between: str) -> None:
        """Write a table.

        A row of which the cells have one line each is a line; in any other row each cell has its
        own lines. Columns without any text are left out.
        """
        widest = max(map(len, rows), default=0)
        used = [at for at in range(widest) if any(at < len(row) and row[at] for row in rows)]
        for row in rows:
            cells = [cell for cell in row if cell]
            if any("\n" in cell for cell in cells):
                for cell in cells:
                    self.block(1)
                    self.preformatted(cell)
            elif cells:
                self.block(1)
                if between.strip() and len(row) == widest:
                    cells = [row[at] for at in used]
                    while not cells[-1]:
                        cells.pop()
                self._write(between.join(cells))

    def finish(self) -> str:
        """The whole text."""
        return "".join(self._out)

    def _write(self, text: str) -> None:
        """Write text; on a new line it is indented by the items that it stands in."""
        is_first = not self._out
        if self._gap and not is_first:
            if self._gap > 1:
                self._out.append(_EMPTY_LINES[self._gap_quotes])
            self._out.append("\n")
        if self._gap or is_first:
            if self._quotes:
                self._out.append(_MARKS[self._quotes])
            if self._indents:
                self._out.append("  " * sum(self._indents))
        self._gap = 0
        self._out.append(text)
        self._bare = self._marked = False


def collapsed(text: str) -> str:
    """``text`` with one blank in place of white space of any length, and none at the ends."""
    # The blank is the only white space that can be printed.
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    return " ".join(text.split())
