"""HTML to the text that a person reads. Total, bounded, and linear.

Not ``html.parser``: in the versions supported here it takes quadratic time on unclosed comments
and tags. Tags are cut as the HTML standard cuts them (section 13.2.5), so that what a browser hides
in a comment or an unclosed tag is hidden here as well.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Final

from nornmail.message.defects import Note, ignore
from nornmail.message.limits import (
    MAX_HTML_CHARS,
    MAX_HTML_DEPTH,
    MAX_HTML_TAGS,
    MAX_URL_CHARS,
)

_TAG = re.compile(
    r"""<(/?)([a-zA-Z][^\s/>]*+)"""
    r"""((?:[^>"'=]++|=[ \t\r\n\f]*+(?:"[^"]*+"|'[^']*+')?+|["'])*+)>"""
)
_HREF = re.compile(r"""(?:^|[\s"'/])href\s*=\s*(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.I)
# No number of more than eight digits is a character, and int() refuses those of thousands.
_REFERENCE = re.compile(
    r"&(?:#[0-9]{1,8}(?![0-9])|#[xX][0-9a-fA-F]{1,8}(?![0-9a-fA-F])|[a-zA-Z][a-zA-Z0-9]{1,31});?"
)
_SHOWN_SCHEMES = ("http://", "https://", "mailto:", "tel:", "ftp://")

_RAW: Final = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.I)
    for name in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
"""Elements without markup in them, and what ends each. None of them is shown."""

_BLOCKS: Final = frozenset(
    {
        "address", "article", "aside", "body", "center", "dd", "details", "dialog", "dir", "div",
        "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup",
        "hr", "html", "main", "menu", "nav", "option", "section", "summary", "table", "tbody",
        "tfoot", "thead", "tr",
    }
)  # fmt: skip
_PARAGRAPHS: Final = frozenset(
    {"p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "pre", "blockquote"}
)
_CELLS: Final = frozenset({"td", "th"})


def html_to_text(html: str, note: Note = ignore) -> str:
    """The visible text: blocks on lines of their own, ``text (url)`` for links, ``- `` for items.

    Quotes (``blockquote``) are marked with ``> ``. Scripts, styles, titles and comments are left
    out. Nothing is fetched.

    Args:
        html: a document or a fragment.
        note: told when a limit was reached or the markup ends within a tag.
    """
    if len(html) > MAX_HTML_CHARS:
        note("HTML over the limit")
        html = html[:MAX_HTML_CHARS]
    page = _Page()
    at = tags = 0
    while (mark := html.find("<", at)) >= 0:
        page.text(html[at:mark])
        if tags == MAX_HTML_TAGS:
            note("more HTML tags than the limit")
            at = len(html)
            break
        tags += 1
        at = _step(html, mark, page)
        if at < 0:
            note("HTML that ends within a tag, a comment or a script")
            at = len(html)
    page.text(html[at:])
    return page.finish()


def _step(html: str, mark: int, page: _Page) -> int:
    """Take what begins with the ``<`` at ``mark``: where to go on, -1 when it never ends."""
    tag = _TAG.match(html, mark)
    if tag:
        name = tag[2].lower()
        if tag[1]:
            page.close(name)
            return tag.end()
        raw_end = _RAW.get(name)
        if raw_end is None:
            page.open(name, tag[3])
            return tag.end()
        end = raw_end.search(html, tag.end())
        return end.start() if end else -1
    if html.startswith("<!--", mark):
        return _past(html, "-->", mark + 2)
    if html.startswith(("<!", "<?"), mark):
        return _past(html, ">", mark)
    is_end = html.startswith("</", mark)
    following = html[mark + 1 + is_end : mark + 2 + is_end]
    if following.isascii() and following.isalpha():
        return -1
    if is_end and following:
        return _past(html, ">", mark)
    page.text("<")
    return mark + 1


def _past(html: str, what: str, at: int) -> int:
    found = html.find(what, at)
    return found + len(what) if found >= 0 else -1


def resolve_references(text: str) -> str:
    """``&amp;`` and its kin resolved; what is no reference stays."""
    return _REFERENCE.sub(lambda found: unescape(found[0]), text) if "&" in text else text


class _Page:
    """Takes text and tags, and lays them out in lines.

    ``gap`` line ends are owed before the next text, ``space`` a blank; ``bare`` says that the
    current line has no text yet, ``marked`` that it has an item's marker and nothing else.
    """

    def __init__(self) -> None:
        self.out: list[str] = []
        self.gap = 0
        self.gap_quotes = 0
        self.space = False
        self.bare = True
        self.marked = False
        self.quotes = 0
        self.pre = 0
        self.lists: list[int] = []
        self.link = ""
        self.link_start = 0

    def text(self, chunk: str) -> None:
        chunk = resolve_references(chunk)
        if self.pre:
            self._preformatted(chunk)
            return
        words = chunk.split()
        if not words:
            self.space = self.space or bool(chunk)
            return
        is_apart = (self.space or chunk[0].isspace()) and not self.bare
        self._write(" " + " ".join(words) if is_apart else " ".join(words))
        self.space = chunk[-1].isspace()

    def _preformatted(self, chunk: str) -> None:
        for number, line in enumerate(chunk.split("\n")):
            if number:
                self._break(self.gap + 1)
            if line:
                self._write(line)

    def open(self, name: str, attributes: str) -> None:
        if name == "br":
            self._break(min(self.gap + 1, 2))
        elif name == "a":
            self._end_link()
            found = _HREF.search(attributes)
            url = next(filter(None, found.groups()), "") if found else ""
            self.link = resolve_references(url).strip()[:MAX_URL_CHARS]
            self.link_start = len(self.out)
        elif name == "li":
            self._item()
        elif name in _CELLS:
            self.space = True
        elif name in _PARAGRAPHS:
            self._break(1 if self.lists else 2)
            self._enter(name)
        elif name in _BLOCKS:
            self._break(1)

    def close(self, name: str) -> None:
        if name == "a":
            self._end_link()
        elif name in _PARAGRAPHS:
            self._leave(name)
            self._break(1 if self.lists else 2)
        elif name in _BLOCKS or name == "li":
            self._break(1)
        elif name in _CELLS:
            self.space = True

    def finish(self) -> str:
        self._end_link()
        return "".join(self.out)

    def _enter(self, name: str) -> None:
        if name in ("ul", "ol") and len(self.lists) < MAX_HTML_DEPTH:
            self.lists.append(0 if name == "ul" else 1)
        elif name == "blockquote" and self.quotes < MAX_HTML_DEPTH:
            self.quotes += 1
        elif name == "pre":
            self.pre += 1

    def _leave(self, name: str) -> None:
        if name in ("ul", "ol") and self.lists:
            self.lists.pop()
        elif name == "blockquote" and self.quotes:
            self.quotes -= 1
        elif name == "pre" and self.pre:
            self.pre -= 1

    def _item(self) -> None:
        self.marked = False
        self._break(1)
        marker = "- "
        if self.lists and self.lists[-1]:
            marker = f"{self.lists[-1]}. "
            self.lists[-1] += 1
        self._write("  " * max(len(self.lists) - 1, 0) + marker)
        self.bare = self.marked = True

    def _end_link(self) -> None:
        url, self.link = self.link, ""
        if not url.lower().startswith(_SHOWN_SCHEMES):
            return
        shown = "".join(self.out[self.link_start :]).strip()
        if shown and shown not in (url, url.partition(":")[2].strip("/")):
            self.out.append(f" ({url})")

    def _break(self, lines: int) -> None:
        if self.marked:  # <li><p>: the paragraph stays on the line of its marker
            return
        self.gap_quotes = min(self.gap_quotes, self.quotes) if self.gap else self.quotes
        self.gap = max(self.gap, lines)
        self.space = False
        self.bare = True

    def _write(self, text: str) -> None:
        if self.gap and self.out:
            blank = "\n" + ("> " * self.gap_quotes).rstrip()
            self.out.append(blank * (self.gap - 1) + "\n")
        if self.quotes and (self.gap or not self.out):
            self.out.append("> " * self.quotes)
        self.gap = 0
        self.out.append(text)
        self.bare = self.marked = False
