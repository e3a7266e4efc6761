"""The tree builder: from tags to the tree, by insertion modes (HTML standard, 13.2.6).

It matters as far as it decides what is within a hidden element and which selectors match: a
paragraph that is not closed, a ``<font>`` that is reconstructed in the next one, text between the
rows of a table, the ``<body>`` that is implied.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from nornmail.html.in_body import TABLE_PARTS, Attributes, InBody
from nornmail.html.limits import Budget
from nornmail.html.open_elements import TABLE_SCOPE
from nornmail.html.tree import (
    BREAK_OUT,
    HEAD,
    HTML_INTEGRATION,
    TABLE_CONTEXT,
    TEXT_INTEGRATION,
    VOID,
    Element,
)

_CELLS: Final = frozenset({"td", "th"})
_ROW_GROUPS: Final = frozenset({"tbody", "tfoot", "thead"})
_TABLE_ENDS: Final = TABLE_PARTS | {"body", "html"}
"""End tags that are ignored where no element of their name can be closed."""
_TABLE_BODY_CONTEXT: Final = _ROW_GROUPS | {"html", "template"}
_TABLE_ROW_CONTEXT: Final = frozenset({"html", "template", "tr"})
_TEMPLATE_CONTENT: Final = HEAD - {"noscript"}
_PUBLIC: Final = re.compile(r"""public\s*(?:"([^"]*)"|'([^']*)')\s*(["']?)""")
_NOT_QUIRKY: Final = re.compile(r"-//w3c//dtd (?:xhtml|html 4\.01)|(?!-//|\+//|-/w3c/|html\Z)")
_QUIRKY_ALONE: Final = re.compile(r"-//w3c//dtd html 4\.01 (?:frameset|transitional)//")


def is_quirky(doctype: str) -> bool:
    """Whether a document type asks for quirks mode, of those that pages have (13.2.6.4.1)."""
    name, *rest = doctype.lower().split(None, 1)[:2] or [""]
    public = _PUBLIC.match(rest[0]) if rest else None
    if name != "html" or public is None:
        return name != "html"
    identifier = public[1] or public[2] or ""
    if not _NOT_QUIRKY.match(identifier) or "ibmxhtml1" in rest[0]:
        return True
    return not public[3] and bool(_QUIRKY_ALONE.match(identifier))


class TreeBuilder:
    """Takes the tokens and makes the tree.

    Attributes:
        body: the mode "in body", and the state that all modes share.
        comments: the words in comments, but for those that Outlook reads.
    """

    def __init__(self, budget: Budget) -> None:
        self.body = InBody(Element("html"), budget)
        self.comments = 0
        self._budget = budget
        self._open = self.body.open
        self._has_doctype = False
        self._starts: dict[str, Callable[[str, Attributes], None]] = {
            "before head": self._before_head, "in head": self._in_head,
            "in noscript": self._in_head, "after head": self._after_head,
            "in body": self.body.start, "in table": self._in_table,
            "in caption": self._in_caption, "in column group": self._in_columns,
            "in table body": self._in_table, "in row": self._in_table, "in cell": self._in_cell,
            "after body": self._after_body,
        }  # fmt: skip
        self._ends: dict[str, Callable[[str], None]] = {
            "before head": self._end_before_head, "in head": self._end_in_head,
            "in noscript": self._end_in_head, "after head": self._end_after_head,
            "in body": self.body.end, "in table": self._end_in_table,
            "in caption": self._end_in_caption, "in column group": self._end_in_columns,
            "in table body": self._end_in_table, "in row": self._end_in_table,
            "in cell": self._end_in_cell, "after body": self._end_after_body,
        }  # fmt: skip

    # Tokens

    def doctype(self, text: str) -> None:
        """The document type, which decides on quirks mode where it is the first tag."""
        body = self.body
        if not self._has_doctype and body.mode == "before head" and not body.root.attributes:
            body.quirks = is_quirky(text)
        self._has_doctype = True

    def comment(self, text: str) -> None:
        """Counted, since a person does not see it."""
        if not text.startswith(("[if", "[endif", "![endif")):
            self.comments += len(text.split())

    def is_foreign(self) -> bool:
        """Whether the current node is in a drawing or a formula."""
        return " " in self._open.top.name

    def text(self, text: str) -> None:
        """Characters."""
        opened = self._open
        mode = self.body.mode
        if " " in opened.top.name:
            opened.top.append(text)
        elif mode in _BODY_MODES:
            if opened.formatting:
                opened.reconstruct()
            if opened.is_fostering:
                opened.insert(text)
            else:
                opened.top.append(text)
        elif mode in _TEXT_IN_TABLE:
            self._table_text(text)
        elif text.isspace():
            if mode in ("in head", "after head"):
                opened.insert(text)
        elif mode == "in column group":
            if opened.top.name == "colgroup":
                opened.pop()
                self.body.mode = "in table"
                self._table_text(text)
        else:
            blank = text[: len(text) - len(text.lstrip("\t\n\f\r "))]
            if blank and mode == "after head":
                opened.insert(blank)
            self._leave_for_body()
            self.text(text.lstrip("\t\n\f\r ") if mode == "before head" else text)

    def _table_text(self, text: str) -> None:
        opened = self._open
        if text.isspace() and opened.top.name in TABLE_CONTEXT:
            opened.top.append(text)
            return
        opened.is_fostering = True
        opened.reconstruct()
        opened.insert(text)
        opened.is_fostering = False

    def finish(self) -> None:
        """The end of the markup: the head and the body exist even if they are empty."""
        if self.body.mode in _BEFORE_BODY:
            self._leave_for_body()

    def raw(self, content: str) -> None:
        """The characters of an element without markup, which ends with them."""
        top = self._open.top
        if top.name in ("textarea", "pre", "listing") and content.startswith("\n"):
            content = content[1:]
        if content:
            top.append(content)
        self._open.pop()

    def start(self, name: str, attributes: Attributes, self_closing: bool) -> bool:
        """A start tag; true when characters without markup follow."""
        top = self._open.top
        self.body.wants_raw = False
        if " " in top.name and self._foreign(name, attributes, self_closing):
            return False
        self.body.closes_itself = self_closing
        self._starts[self.body.mode](name, attributes)
        return self.body.wants_raw

    def end(self, name: str) -> None:
        """An end tag."""
        if " " in self._open.top.name and self._end_foreign(name):
            return
        self._ends[self.body.mode](name)

    # Drawings and formulas

    def _foreign(self, name: str, attributes: Attributes, self_closing: bool) -> bool:
        """A start tag where the current node is foreign; false where it is one of HTML."""
        opened = self._open
        top = opened.top
        if top.name in HTML_INTEGRATION:
            return False
        if top.name in TEXT_INTEGRATION and name not in ("mglyph", "malignmark"):
            return False
        if top.name == "math annotation-xml":
            if name == "svg":
                return False
            if top.get("encoding").lower() in ("text/html", "application/xhtml+xml"):
                return False
        breaks = name in BREAK_OUT or (
            name == "font" and not attributes.keys().isdisjoint(("color", "face", "size"))
        )
        if breaks:
            self._leave_foreign()
            return False
        element = Element(f"{top.name.partition(' ')[0]} {name}", attributes)
        opened.insert(element)
        if not self_closing:
            opened.push(element)
        return True

    def _leave_foreign(self) -> None:
        opened = self._open
        while " " in opened.top.name and opened.top.name not in TEXT_INTEGRATION | HTML_INTEGRATION:
            opened.pop()

    def _end_foreign(self, name: str) -> bool:
        opened = self._open
        if name in ("br", "p"):
            self._leave_foreign()
            return False
        if not opened.count[f"svg {name}"] and not opened.count[f"math {name}"]:
            return False
        self._budget.spend(len(opened.stack))
        for element in reversed(opened.stack):
            if " " not in element.name:
                return False
            if element.name.partition(" ")[2] == name:
                opened.pop_until_element(element)
                return True
        return False

    # Before the body

    def _leave_for_body(self) -> None:
        """Close the head and begin the body, to which the next token belongs."""
        if self.body.mode == "before head":
            self.body.begin_head({})
        if self.body.mode == "in noscript":
            self._open.pop()
            self.body.mode = "in head"
        if self.body.mode == "in head":
            self._open.pop()
            self.body.mode = "after head"
        if self.body.mode == "after head":
            self.body.begin_body({})
        elif self.body.mode == "after body":
            self.body.mode = "in body"

    def _before_head(self, name: str, attributes: Attributes) -> None:
        if name == "html":
            self.body.merge(self.body.root, attributes)
        elif name == "head":
            self.body.begin_head(attributes)
        else:
            self.body.begin_head({})
            self._in_head(name, attributes)

    def _in_head(self, name: str, attributes: Attributes) -> None:
        if name == "html":
            self.body.merge(self.body.root, attributes)
        elif name == "noscript" and self.body.mode == "in head":
            self.body.push(name, attributes)
            self.body.mode = "in noscript"
        elif name in HEAD and name != "noscript":
            self.body.head_element(name, attributes)
        elif name not in ("head", "noscript"):
            if self.body.mode == "in noscript":
                self._open.pop()
                self.body.mode = "in head"
            self._open.pop()
            self.body.mode = "after head"
            self._after_head(name, attributes)

    def _after_head(self, name: str, attributes: Attributes) -> None:
        if name == "html":
            self.body.merge(self.body.root, attributes)
        elif name == "body":
            self.body.begin_body(attributes)
        elif name in _TEMPLATE_CONTENT and self.body.head is not None:
            # It goes into the head, which is closed.
            head = self.body.head
            self._open.push(head)
            self.body.head_element(name, attributes)
            if name in VOID or self._open.stack[-1] is not head:
                self._drop(head)
        elif name != "head":
            self.body.begin_body({})
            self.body.start(name, attributes)

    def _drop(self, head: Element) -> None:
        if self._open.top is head:
            self._open.pop()
        else:
            self._open.remove(head)

    def _end_before_head(self, name: str) -> None:
        if name in ("head", "body", "html", "br"):
            if self.body.mode == "before head":
                self.body.begin_head({})
            self._end_in_head(name)

    def _end_in_head(self, name: str) -> None:
        if self.body.mode == "in noscript":
            if name not in ("noscript", "br"):
                return
            self._open.pop()
            self.body.mode = "in head"
            if name == "noscript":
                return
        if name == "head":
            self._open.pop()
            self.body.mode = "after head"
        elif name == "template":
            self.body.end_template()
        elif name in ("body", "html", "br"):
            self._open.pop()
            self.body.mode = "after head"
            self._end_after_head(name)

    def _end_after_head(self, name: str) -> None:
        if name == "template":
            self.body.end_template()
        elif name in ("body", "html", "br"):
            self.body.begin_body({})
            self.body.end(name)

    # Tables

    def _in_table(self, name: str, attributes: Attributes) -> None:
        opened = self._open
        if name in TABLE_PARTS:
            self._table_part(name, attributes)
        elif name == "table":
            if opened.has("table", TABLE_SCOPE):
                self._end_table()
                self.start(name, attributes, False)
        elif name in ("style", "script", "template"):
            self.body.head_element(name, attributes)
        elif name == "input" and attributes.get("type", "").lower() == "hidden":
            opened.insert(Element(name, attributes))
        elif name == "form":
            if self.body.form is None and not self.body.templates:
                self.body.form = self.body.push(name, attributes)
                opened.pop()
        else:
            self._fostered(name, attributes)

    def _fostered(self, name: str, attributes: Attributes) -> None:
        self._open.is_fostering = True
        self.body.start(name, attributes)
        self._open.is_fostering = False

    def _table_part(self, name: str, attributes: Attributes) -> None:
        """A part of a table, in a table, a row group, or a row."""
        opened = self._open
        mode = self.body.mode
        if mode == "in table":
            self._part_of_table(name, attributes)
        elif mode == "in table body":
            if name == "tr" or name in _CELLS:
                opened.pop_to(_TABLE_BODY_CONTEXT)
                self.body.push("tr", attributes if name == "tr" else {})
                self.body.mode = "in row"
                if name != "tr":
                    self._table_part(name, attributes)
            elif opened.innermost(_ROW_GROUPS, TABLE_SCOPE) is not None:
                opened.pop_to(_TABLE_BODY_CONTEXT)
                opened.pop()
                self.body.mode = "in table"
                self._table_part(name, attributes)
        elif name in _CELLS:
            opened.pop_to(_TABLE_ROW_CONTEXT)
            self.body.push(name, attributes)
            self.body.mode = "in cell"
            opened.mark()
        elif opened.has("tr", TABLE_SCOPE):
            self._end_row()
            self._table_part(name, attributes)

    def _part_of_table(self, name: str, attributes: Attributes) -> None:
        """A part of a table where none of its parts is open."""
        opened = self._open
        opened.pop_to(TABLE_SCOPE)
        if name == "caption":
            opened.mark()
            self.body.push(name, attributes)
            self.body.mode = "in caption"
        elif name == "colgroup":
            self.body.push(name, attributes)
            self.body.mode = "in column group"
        elif name == "col":
            self.body.push("colgroup", {})
            self.body.mode = "in column group"
            opened.insert(Element(name, attributes))
        elif name in _ROW_GROUPS:
            self.body.push(name, attributes)
            self.body.mode = "in table body"
        else:
            self.body.push("tbody", {})
            self.body.mode = "in table body"
            self._table_part(name, attributes)

    def _in_caption(self, name: str, attributes: Attributes) -> None:
        if name in TABLE_PARTS:
            if self._end_caption():
                self._in_table(name, attributes)
        else:
            self.body.start(name, attributes)

    def _in_cell(self, name: str, attributes: Attributes) -> None:
        if name in TABLE_PARTS:
            if self._open.innermost(_CELLS, TABLE_SCOPE) is not None:
                self._close_cell()
                self._in_table(name, attributes)
        else:
            self.body.start(name, attributes)

    def _in_columns(self, name: str, attributes: Attributes) -> None:
        if name == "col":
            self._open.insert(Element(name, attributes))
        elif name == "template":
            self.body.template(attributes)
        elif name == "html":
            self.body.merge(self.body.root, attributes)
        elif self._open.top.name == "colgroup":
            self._open.pop()
            self.body.mode = "in table"
            self._in_table(name, attributes)

    def _end_in_table(self, name: str) -> None:
        opened = self._open
        mode = self.body.mode
        if name == "table":
            if opened.has("table", TABLE_SCOPE):
                self._end_table()
        elif name == "tr" and mode == "in row":
            if opened.has("tr", TABLE_SCOPE):
                self._end_row()
        elif name in _ROW_GROUPS and mode != "in table":
            if opened.has(name, TABLE_SCOPE):
                if mode == "in row":
                    self._end_row()
                opened.pop_to(_TABLE_BODY_CONTEXT)
                opened.pop()
                self.body.mode = "in table"
        elif name == "template":
            self.body.end_template()
        elif name not in _TABLE_ENDS:
            opened.is_fostering = True
            self.body.end(name)
            opened.is_fostering = False

    def _end_table(self) -> None:
        self._open.pop_until("table")
        self.body.reset_mode()

    def _end_row(self) -> None:
        self._open.pop_to(_TABLE_ROW_CONTEXT)
        self._open.pop()
        self.body.mode = "in table body"

    def _end_caption(self) -> bool:
        opened = self._open
        if not opened.has("caption", TABLE_SCOPE):
            return False
        opened.imply_end_tags()
        opened.pop_until("caption")
        opened.clear_to_marker()
        self.body.mode = "in table"
        return True

    def _end_in_caption(self, name: str) -> None:
        if name == "caption":
            self._end_caption()
        elif name == "table":
            if self._end_caption():
                self._end_in_table(name)
        elif name not in _TABLE_ENDS:
            self.body.end(name)

    def _close_cell(self) -> None:
        opened = self._open
        opened.imply_end_tags()
        while opened.pop().name not in _CELLS and len(opened.stack) > 1:
            pass
        opened.clear_to_marker()
        self.body.mode = "in row"

    def _end_in_cell(self, name: str) -> None:
        opened = self._open
        if name in _CELLS:
            if opened.has(name, TABLE_SCOPE):
                opened.imply_end_tags()
                opened.pop_until(name)
                opened.clear_to_marker()
                self.body.mode = "in row"
        elif name in TABLE_CONTEXT:
            if opened.has(name, TABLE_SCOPE):
                self._close_cell()
                self._end_in_table(name)
        elif name not in _TABLE_ENDS:
            self.body.end(name)

    def _end_in_columns(self, name: str) -> None:
        if name == "template":
            self.body.end_template()
        elif name != "col" and self._open.top.name == "colgroup":
            self._open.pop()
            self.body.mode = "in table"
            if name != "colgroup":
                self._end_in_table(name)

    # Templates, and the end

    def _after_body(self, name: str, attributes: Attributes) -> None:
        self.body.mode = "in body"
        self.body.start(name, attributes)

    def _end_after_body(self, name: str) -> None:
        if name not in ("html", "body"):
            self.body.mode = "in body"
            self.body.end(name)


_BODY_MODES: Final = frozenset({"in body", "in caption", "in cell"})
_BEFORE_BODY: Final = frozenset({"before head", "in head", "in noscript", "after head"})
_TEXT_IN_TABLE: Final = frozenset({"in table", "in table body", "in row"})
