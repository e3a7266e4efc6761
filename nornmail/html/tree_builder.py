"""From tags to the tree: which end tags are implied, and what was nested wrongly (13.2.6).

A browser's rules matter here as far as they decide what is within a hidden element: a paragraph
that is not closed, a ``<font>`` that goes on in the next one, text between the rows of a table.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nornmail.defects import Note
from nornmail.html.elements import (
    BREAK_OUT,
    CLOSE_P,
    CLOSED_BY_NAME,
    FORMATTING,
    HEAD,
    HEADINGS,
    MARKERS,
    SCOPE,
    SPECIAL,
    TABLE_PARTS,
    TABLE_ROWS,
    VOID,
)
from nornmail.html.limits import MAX_HTML_ELEMENTS, MAX_HTML_STEPS
from nornmail.html.open_elements import OpenElements
from nornmail.html.tokenizer import NO_ATTRIBUTES
from nornmail.html.tree import Element

# ---- The end tag of a formatting element around which other things were opened (13.2.6.4.7).
# In ``<b>1<p>2</b>3</p>`` the 3 is not bold: the standard calls the way to get there the adoption
# agency.

_ROUNDS: Final = 8
_INNER_ROUNDS: Final = 3


def close_formatting(opened: OpenElements, name: str) -> None:
    """End the element of this name, and move what was opened within it to where it belongs."""
    if opened.top.name == name and opened.top not in opened.formatting:
        opened.pop()
        return
    for _ in range(_ROUNDS):
        element = opened.formatting_of(name)
        if element is None:
            opened.pop_until_any(frozenset({name}), SPECIAL)
            return
        if not opened.is_open(element):
            opened.formatting.remove(element)
            return
        above = _above(opened, element)
        if any(one.name in SCOPE for one in above):
            return
        block = next((one for one in above if one.name in SPECIAL), None)
        if block is None:
            while opened.pop() is not element:
                pass
            opened.formatting.remove(element)
            return
        _adopt(opened, element, block)


def _above(opened: OpenElements, element: Element) -> list[Element]:
    """What is open within ``element``, outermost first."""
    above = []
    for one in reversed(opened.stack):
        opened.steps += 1
        if one is element:
            break
        above.append(one)
    return above[::-1]


def _adopt(opened: OpenElements, element: Element, block: Element) -> None:
    """``block`` moves out of ``element``, and a copy of it moves into ``block``."""
    at = opened.stack.index(element)
    ancestor = opened.stack[at - 1]
    bookmark = opened.formatting.index(element)
    last = block
    for rounds, node in enumerate(reversed(opened.stack[at + 1 : opened.stack.index(block)]), 1):
        if node in opened.formatting and rounds > _INNER_ROUNDS:
            opened.formatting.remove(node)
        if node not in opened.formatting:
            opened.take_off(node)
            continue
        copy = Element(node.name, node.attributes)
        _swap(opened, node, copy)
        if last is block:
            bookmark = opened.formatting.index(copy) + 1
        _move(last, copy)
        last = copy
    if ancestor.name in TABLE_ROWS:
        _take_out(last)
        opened.put_before_table(last)
    else:
        _move(last, ancestor)
    inner = Element(element.name, element.attributes)
    opened.steps += len(block.children)
    inner.children, block.children = block.children, ()
    for child in inner.children:
        if isinstance(child, Element):
            child.parent = inner
    block.append(inner)
    opened.formatting.insert(bookmark, inner)
    opened.formatting.remove(element)
    opened.take_off(element)
    opened.put_within(inner, block)


def _swap(opened: OpenElements, node: Element, copy: Element) -> None:
    opened.formatting[opened.formatting.index(node)] = copy
    opened.swap(node, copy)


def _move(node: Element, parent: Element) -> None:
    _take_out(node)
    parent.append(node)


def _take_out(node: Element) -> None:
    if node.parent is not None:
        node.parent.remove(node)


_NONE: Final[frozenset[str]] = frozenset()
_AROUND: Final = frozenset({"caption", "table", "td", "template", "th"})
_TABLE: Final = frozenset({"html", "table", "template"})
_LISTS: Final = SCOPE | {"ol", "ul"}
_BUTTON: Final = SCOPE | {"button"}
_CELLS: Final = frozenset({"td", "th"})
_ROWS: Final = frozenset({"tr"})
_ROW_GROUPS: Final = frozenset({"tbody", "tfoot", "thead"})
_AROUND_ROWS: Final = _TABLE | _ROW_GROUPS
_AROUND_CELLS: Final = _AROUND_ROWS | _ROWS
_ENDS_MORE: Final = frozenset({"br", "body", "form", "html"})
"""End tags that do not just end an element of their name."""
_BEFORE_ALL: Final = frozenset({"body", "head", "html"})


class TreeBuilder:
    """Takes the pieces of the markup and makes the tree under ``root``."""

    def __init__(self, note: Note) -> None:
        self.root = Element("html")
        self.comments = 0
        self.quirks = True
        self._note = note
        self._open = OpenElements(self.root)
        self._body: Element | None = None
        self._form: Element | None = None
        self._elements = 0

    # What the scanner finds

    def doctype(self) -> None:
        """The page has a document type: it is laid out by the standard."""
        self.quirks = False

    def comment(self, text: str) -> None:
        """Counted, since a person does not see it."""
        if not text.startswith(("[if", "[endif", "![endif")):
            self.comments += len(text.split())

    def text(self, text: str) -> None:
        """Characters into the innermost element, or in front of the table that holds none."""
        opened = self._open
        name = opened.top.name
        if name in TABLE_ROWS and not text.isspace():
            self._reconstruct()
            if opened.top.name in TABLE_ROWS:
                self._open.put_before_table(text)
                return
        elif name == "head" and not text.isspace():
            opened.pop()
        elif opened.lost_formatting:
            self._reconstruct()
        opened.top.append(text)

    def raw(self, name: str, attributes: Mapping[str, str], content: str) -> bool:
        """An element that has no markup in it."""
        if not self._counts(attributes):
            return False
        if name not in HEAD:
            self._leave_head()
        if name in ("xmp", "plaintext"):
            self._close("p", _BUTTON)
        element = Element(name, attributes)
        if content:
            element.append(content)
        self._place(element)
        return True

    def start(self, name: str, attributes: Mapping[str, str]) -> bool:
        """A start tag; false when the page has too many, or is too tangled."""
        if not self._counts(attributes):
            return False
        opened = self._open
        if name in _BEFORE_ALL:
            self._before_all(name, attributes)
            return True
        if opened.top.name == "head" and name not in HEAD:
            opened.pop()
        if opened.foreign and name in BREAK_OUT:
            self._leave_foreign()
        if name in TABLE_PARTS and not opened.foreign:
            self._table_part(name, attributes)
        else:
            self._in_body("img" if name == "image" else name, attributes)
        return True

    def end(self, name: str) -> None:
        """An end tag: what it ends, and nothing if nothing of the kind is open."""
        opened = self._open
        if name not in _ENDS_MORE and opened.end_innermost(name):
            return
        if name == "br":
            self.start("br", NO_ATTRIBUTES)
        elif name in ("html", "body"):
            return
        elif name == "form":
            self._end_form()
        elif not opened.count[name]:
            if name in FORMATTING:
                opened.forget_formatting(name)
        elif opened.skipped[name]:
            opened.skip_end(name)
        elif name in FORMATTING and not opened.foreign:
            close_formatting(opened, name)
        elif name == "p":
            self._close("p", _BUTTON)
        elif name == "li":
            self._close("li", _LISTS)
        elif name in HEADINGS:
            opened.pop_until_any(HEADINGS, SCOPE)
        elif name in TABLE_PARTS or name == "table":
            self._close(name, _TABLE - {name})
        elif name in CLOSED_BY_NAME or name in ("dd", "dt") or name in MARKERS:
            self._close(name, SCOPE - {name})
        else:
            opened.pop_until_any(frozenset({name}), SPECIAL)

    def _end_form(self) -> None:
        """It ends the form alone: what was opened within stays open."""
        form, self._form = self._form, None
        if form is not None and self._open.is_open(form):
            self._open.close_one(form)

    # Start tags

    def _counts(self, attributes: Mapping[str, str]) -> bool:
        self._elements += 1 + len(attributes)
        if self._elements > MAX_HTML_ELEMENTS:
            self._note("more HTML tags than the limit")
            return False
        if self._open.steps > MAX_HTML_STEPS:
            self._note("HTML nested too wrongly to be read")
            return False
        return True

    def _in_body(self, name: str, attributes: Mapping[str, str]) -> None:
        opened = self._open
        if name == "form" and self._form is not None:
            return
        if name in CLOSE_P and opened.count["p"] and not (name == "table" and self.quirks):
            self._close("p", _BUTTON)
        close = _CLOSES.get(name)
        if close is not None:
            opened.pop_until_any(*close)
        if name in HEADINGS and opened.top.name in HEADINGS:
            opened.pop()
        if name in ("a", "nobr") and opened.is_formatting(name):
            close_formatting(opened, name)
        if name == "table" and opened.count["table"]:
            around = opened.innermost_of(_AROUND)
            if around is not None and around.name == "table":  # a table between the rows of one
                self._close("table", _NONE)
        if name not in CLOSE_P and name not in HEAD:
            self._reconstruct()
        element = Element(name, attributes)
        self._place(element)
        if name == "form":
            self._form = element
        if name in VOID or (name == "form" and opened.top.name in TABLE_ROWS):
            return
        opened.push(element)
        if opened.top is not element:
            return
        if name in FORMATTING:
            opened.remember(element)
        elif name in MARKERS:
            opened.mark()

    def _table_part(self, name: str, attributes: Mapping[str, str]) -> None:
        opened = self._open
        if not opened.count["table"]:
            return
        if name in _CELLS:
            opened.pop_until_any(_CELLS, _TABLE)
            if opened.top.name != "tr":
                self._row()
        elif name == "tr":
            opened.pop_until_any(_ROWS, _TABLE)
            self._row_group()
        else:
            opened.pop_to(_TABLE)
        if opened.top.name not in _PARENTS.get(name, _TABLE):
            return
        element = self._put(Element(name, attributes))
        if name not in VOID:
            opened.push(element)
            if name in MARKERS and opened.top is element:
                opened.mark()

    def _row_group(self) -> None:
        self._open.pop_to(_AROUND_ROWS)
        if self._open.top.name == "table":
            self._open.push(self._put(Element("tbody")))

    def _row(self) -> None:
        self._open.pop_to(_AROUND_CELLS)
        if self._open.top.name in _ROW_GROUPS or self._open.top.name == "table":
            self._row_group()
            self._open.push(self._put(Element("tr")))

    def _before_all(self, name: str, attributes: Mapping[str, str]) -> None:
        if name != "head":
            self._merge(name, attributes)
        elif self._open.top is self.root and self._body is None:
            self._open.push(self._put(Element(name, attributes)))

    def _merge(self, name: str, attributes: Mapping[str, str]) -> None:
        """A second ``<html>`` or ``<body>`` adds the attributes that the first does not have."""
        self._leave_head()
        if name == "html":
            target = self.root
        elif self._body is None:
            if self._open.top is not self.root:
                return
            self._body = self._put(Element("body", attributes))
            self._open.push(self._body)
            return
        else:
            target = self._body
        target.attributes = {**attributes, **target.attributes}

    def _leave_head(self) -> None:
        if self._open.top.name == "head":
            self._open.pop()

    def _leave_foreign(self) -> None:
        while self._open.foreign and self._open.top.name != "foreignobject":
            self._open.pop()

    # Where things go

    def _close(self, name: str, edge: frozenset[str]) -> None:
        if self._open.count[name]:
            self._open.pop_until_any(frozenset({name}), edge)

    def _put(self, element: Element) -> Element:
        self._open.top.append(element)
        return element

    def _place(self, element: Element) -> None:
        """Into the innermost element, or in front of the table (foster parenting)."""
        if self._open.top.name in TABLE_ROWS and element.name not in _IN_TABLES:
            self._open.put_before_table(element)
        else:
            self._put(element)

    def _reconstruct(self) -> None:
        """Open again the formatting that a block's end has cut off (13.2.4.3)."""
        for element in self._open.to_reconstruct():
            if not self._counts(element.attributes):
                return
            copy = Element(element.name, element.attributes)
            self._place(copy)
            self._open.push(copy)
            self._open.replace(element, copy)


_IN_TABLES: Final = TABLE_PARTS | {"script", "style", "template", "form"}
_CLOSES: Final[Mapping[str, tuple[frozenset[str], frozenset[str]]]] = {
    "li": (frozenset({"li"}), (SPECIAL - {"address", "div", "p"}) - {"li"}),
    "dd": (frozenset({"dd", "dt"}), (SPECIAL - {"address", "div", "p"}) - {"dd", "dt"}),
    "dt": (frozenset({"dd", "dt"}), (SPECIAL - {"address", "div", "p"}) - {"dd", "dt"}),
    "button": (frozenset({"button"}), SCOPE),
    "option": (frozenset({"option"}), SPECIAL | {"optgroup"}),
    "optgroup": (frozenset({"optgroup"}), SPECIAL),
}
_PARENTS: Final[Mapping[str, frozenset[str]]] = {
    "td": frozenset({"tr"}),
    "th": frozenset({"tr"}),
    "tr": _ROW_GROUPS,
    "col": frozenset({"table", "colgroup"}),
}
