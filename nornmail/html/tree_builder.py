"""The tree builder: from tags to the tree, by insertion modes (HTML standard, 13.2.6).

It matters as far as it decides what is within a hidden element and which selectors match: a
paragraph that is not closed, a ``<font>`` that is reconstructed in the next one, text between the
rows of a table, the ``<body>`` that is implied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

from nornmail.html.elements import (
    BLOCK_ENDS,
    BREAK_OUT,
    CLOSES_P,
    FORMATTING,
    HEAD,
    HEADINGS,
    HTML_INTEGRATION,
    MARKERS,
    RAW_TEXT,
    RCDATA,
    SPECIAL,
    TABLE_CONTEXT,
    TEXT_INTEGRATION,
    VOID,
)
from nornmail.html.limits import HTML_ELEMENT_STEPS, Budget
from nornmail.html.open_elements import BUTTON_SCOPE, LIST_SCOPE, TABLE_SCOPE, OpenElements
from nornmail.html.tree import Element

Attributes = Mapping[str, str]
_CELLS: Final = frozenset({"td", "th"})
_ROW_GROUPS: Final = frozenset({"tbody", "tfoot", "thead"})
_TABLE_PARTS: Final = _CELLS | _ROW_GROUPS | {"caption", "col", "colgroup", "tr"}
_TABLE_ENDS: Final = _TABLE_PARTS | {"body", "html"}
"""End tags that are ignored where no element of their name can be closed."""
_TABLE_BODY_CONTEXT: Final = _ROW_GROUPS | {"html", "template"}
_TABLE_ROW_CONTEXT: Final = frozenset({"html", "template", "tr"})
_ITEM_BOUNDS: Final = SPECIAL - {"address", "div", "p"}
_DEFINITIONS: Final = frozenset({"dd", "dt"})
_OPTIONS: Final = frozenset({"optgroup", "option"})
_SHADOW_HOSTS: Final = HEADINGS | {
    "article", "aside", "blockquote", "body", "div", "footer", "header", "main", "nav", "p",
    "section", "span",
}  # fmt: skip
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
    """Takes the tokens and makes the tree under ``root``.

    Attributes:
        quirks: the page is in quirks mode, as it has no document type.
        has_frames: there is a frameset, which may stand in place of the body.
        comments: the words in comments, but for those that Outlook reads.
    """

    def __init__(self, budget: Budget) -> None:
        self.root = Element("html")
        self.quirks = True
        self.comments = 0
        self.has_frames = False
        self._budget = budget
        self._open = OpenElements(self.root, budget)
        self._head: Element | None = None
        self._body: Element | None = None
        self._form: Element | None = None
        self._templates = 0
        self._set_mode("before head")
        self._closes_itself = False
        self._wants_raw = False
        self._has_doctype = False

    # Tokens

    def doctype(self, text: str) -> None:
        """The document type, which decides on quirks mode where it is the first tag."""
        if not self._has_doctype and self._mode == "before head" and not self.root.attributes:
            self.quirks = is_quirky(text)
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
        mode = self._mode
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
                self._set_mode("in table")
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
        if self._mode in _BEFORE_BODY:
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
        self._wants_raw = False
        if " " in top.name and self._foreign(name, attributes, self_closing):
            return False
        self._closes_itself = self_closing
        self._starts(name, attributes)
        return self._wants_raw

    def end(self, name: str) -> None:
        """An end tag."""
        if " " in self._open.top.name and self._end_foreign(name):
            return
        self._ends(name)

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

    def _set_mode(self, mode: str) -> None:
        self._mode = mode
        self._starts, self._ends = getattr(self, _STARTS[mode]), getattr(self, _ENDS[mode])

    def _begin_head(self, attributes: Attributes) -> None:
        self._head = Element("head", attributes)
        self._open.insert(self._head)
        self._open.push(self._head)
        self._set_mode("in head")

    def _begin_body(self, attributes: Attributes) -> None:
        self._body = Element("body", attributes)
        self._open.insert(self._body)
        self._open.push(self._body)
        self._set_mode("in body")

    def _leave_for_body(self) -> None:
        """What is read belongs into the body: close the head, and begin the body."""
        if self._mode == "before head":
            self._begin_head({})
        if self._mode == "in noscript":
            self._open.pop()
            self._set_mode("in head")
        if self._mode == "in head":
            self._open.pop()
            self._set_mode("after head")
        if self._mode == "after head":
            self._begin_body({})
        elif self._mode == "after body":
            self._set_mode("in body")

    def _before_head(self, name: str, attributes: Attributes) -> None:
        if name == "html":
            self._merge(self.root, attributes)
        elif name == "head":
            self._begin_head(attributes)
        else:
            self._begin_head({})
            self._in_head(name, attributes)

    def _in_head(self, name: str, attributes: Attributes) -> None:
        if name == "html":
            self._merge(self.root, attributes)
        elif name == "noscript" and self._mode == "in head":
            self._push(name, attributes)
            self._set_mode("in noscript")
        elif name in HEAD and name != "noscript":
            self._head_element(name, attributes)
        elif name not in ("head", "noscript"):
            if self._mode == "in noscript":
                self._open.pop()
                self._set_mode("in head")
            self._open.pop()
            self._set_mode("after head")
            self._after_head(name, attributes)

    def _head_element(self, name: str, attributes: Attributes) -> None:
        """An element that may stand in the head, wherever it stands."""
        if name == "template":
            self._template(attributes)
            return
        self._push(name, attributes)
        if name in VOID:
            self._open.pop()
        else:
            self._wants_raw = True

    def _template(self, attributes: Attributes) -> None:
        opened = self._open
        host = opened.top
        element = Element("template", attributes)
        is_shadow = (
            attributes.get("shadowrootmode", "").lower() in ("open", "closed")
            and host.shadow is None
            and (host.name in _SHADOW_HOSTS or "-" in host.name)
            and host is not self.root
        )
        if is_shadow:
            host.shadow = element
            element.parent = host
        else:
            opened.insert(element)
        opened.push(element)
        opened.mark()
        self._templates += 1
        self._set_mode("in body")  # parts of tables in it are not told apart

    def _after_head(self, name: str, attributes: Attributes) -> None:
        if name == "html":
            self._merge(self.root, attributes)
        elif name == "body":
            self._begin_body(attributes)
        elif name in _TEMPLATE_CONTENT and self._head is not None:
            # It goes into the head, which is closed.
            head = self._head
            self._open.push(head)
            self._head_element(name, attributes)
            if name in VOID or self._open.stack[-1] is not head:
                self._drop(head)
        elif name != "head":
            self._begin_body({})
            self._in_body(name, attributes)

    def _drop(self, head: Element) -> None:
        if self._open.top is head:
            self._open.pop()
        else:
            self._open.remove(head)

    def _end_before_head(self, name: str) -> None:
        if name in ("head", "body", "html", "br"):
            if self._mode == "before head":
                self._begin_head({})
            self._end_in_head(name)

    def _end_in_head(self, name: str) -> None:
        if self._mode == "in noscript":
            if name not in ("noscript", "br"):
                return
            self._open.pop()
            self._set_mode("in head")
            if name == "noscript":
                return
        if name == "head":
            self._open.pop()
            self._set_mode("after head")
        elif name == "template":
            self._end_template()
        elif name in ("body", "html", "br"):
            self._open.pop()
            self._set_mode("after head")
            self._end_after_head(name)

    def _end_after_head(self, name: str) -> None:
        if name == "template":
            self._end_template()
        elif name in ("body", "html", "br"):
            self._begin_body({})
            self._end_in_body(name)

    def _merge(self, target: Element, attributes: Attributes) -> None:
        """A second ``<html>`` or ``<body>`` adds the attributes that the first does not have."""
        if attributes and not self._templates:
            self._budget.spend(len(attributes) + len(target.attributes))
            target.attributes = {**attributes, **target.attributes}

    # In the body

    def _push(self, name: str, attributes: Attributes) -> Element:
        return self._open.begin(Element(name, attributes))

    def _close_p(self) -> None:
        opened = self._open
        if opened.count["p"] and opened.innermost(_P, BUTTON_SCOPE) is not None:
            opened.imply_end_tags("p")
            opened.pop_until("p")

    def _in_body(self, name: str, attributes: Attributes) -> None:
        special = _BODY_STARTS.get(name)
        if special is not None:
            special(self, name, attributes)
        else:
            opened = self._open
            opened.reconstruct()
            element = Element(name, attributes)
            opened.insert(element)
            if name not in VOID:
                opened.push(element)

    def _start_block(self, name: str, attributes: Attributes) -> None:
        if self._open.count["p"]:
            self._close_p()
        self._push(name, attributes)

    def _start_heading(self, name: str, attributes: Attributes) -> None:
        self._close_p()
        if self._open.top.name in HEADINGS:
            self._open.pop()
        self._push(name, attributes)

    def _start_formatting(self, name: str, attributes: Attributes) -> None:
        opened = self._open
        if name == "a":
            link = opened.formatting_of("a")
            if link is not None:
                opened.close_formatting("a")
                opened.forget(link)
                opened.remove(link)
        opened.reconstruct()
        if name == "nobr" and opened.has("nobr"):
            opened.close_formatting("nobr")
            opened.reconstruct()
        opened.remember(self._push(name, attributes))

    def _start_marker(self, name: str, attributes: Attributes) -> None:
        self._open.reconstruct()
        self._push(name, attributes)
        self._open.mark()

    def _start_item(self, name: str, attributes: Attributes) -> None:
        opened = self._open
        alike = _ITEMS if name == "li" else _DEFINITIONS
        if any(opened.count[other] for other in alike):
            item = opened.innermost(alike, _ITEM_BOUNDS - alike)
            if item is not None:
                opened.imply_end_tags(item.name)
                opened.pop_until(item.name)
        self._close_p()
        self._push(name, attributes)

    def _start_button(self, name: str, attributes: Attributes) -> None:
        opened = self._open
        if opened.has("button"):
            opened.imply_end_tags()
            opened.pop_until("button")
        opened.reconstruct()
        self._push(name, attributes)

    def _start_table(self, name: str, attributes: Attributes) -> None:
        if not self.quirks:
            self._close_p()
        self._push(name, attributes)
        self._set_mode("in table")

    def _start_form(self, name: str, attributes: Attributes) -> None:
        if self._form is not None and not self._templates:
            return
        self._close_p()
        form = self._push(name, attributes)
        if not self._templates:
            self._form = form

    def _start_void(self, name: str, attributes: Attributes) -> None:
        if name == "hr":
            self._close_p()
            if self._open.has("select"):
                self._open.imply_end_tags()
        else:
            if name == "input" and self._open.has("select"):
                self._open.pop_until("select")
            self._open.reconstruct()
        self._open.insert(Element("img" if name == "image" else name, attributes))

    def _start_raw(self, name: str, attributes: Attributes) -> None:
        if name in ("xmp", "plaintext"):
            self._close_p()
        if name == "xmp":
            self._open.reconstruct()
        self._push(name, attributes)
        self._wants_raw = True

    def _start_select(self, name: str, attributes: Attributes) -> None:
        opened = self._open
        if opened.has("select"):
            opened.pop_until("select")
            return
        opened.reconstruct()
        self._push(name, attributes)

    def _start_option(self, name: str, attributes: Attributes) -> None:
        opened = self._open
        if opened.has("select"):
            opened.imply_end_tags("optgroup" if name == "option" else "")
        elif opened.top.name == "option":
            opened.pop()
        opened.reconstruct()
        self._push(name, attributes)

    def _start_ruby(self, name: str, attributes: Attributes) -> None:
        if self._open.has("ruby"):
            self._open.imply_end_tags("rtc" if name in ("rp", "rt") else "")
        self._push(name, attributes)

    def _start_foreign(self, name: str, attributes: Attributes) -> None:
        self._open.reconstruct()
        element = Element(f"{name} {name}", attributes)
        self._open.insert(element)
        if not self._closes_itself:
            self._open.push(element)

    def _start_again(self, name: str, attributes: Attributes) -> None:
        """``<html>`` and ``<body>`` where they are open already; frames, which are not read."""
        if name == "html":
            self._merge(self.root, attributes)
        elif name == "body" and self._body is not None:
            self._merge(self._body, attributes)
        elif name == "frameset":
            self.has_frames = True

    def _ignored(self, name: str, attributes: Attributes) -> None:
        """Parts of tables outside of tables."""

    def _end_in_body(self, name: str) -> None:
        opened = self._open
        if name in FORMATTING:
            if not opened.close_formatting(name):
                self._end_any(name)
        elif name in BLOCK_ENDS:
            if opened.has(name):
                opened.imply_end_tags()
                opened.pop_until(name)
        elif name == "p":
            if not opened.has("p", BUTTON_SCOPE):
                self._budget.spend(HTML_ELEMENT_STEPS)
                self._push("p", {})
            self._close_p()
        elif name in MARKERS and name not in _TABLE_PARTS and name != "template":
            if opened.has(name):
                opened.imply_end_tags()
                opened.pop_until(name)
                opened.clear_to_marker()
        elif name in _ITEMS or name in _DEFINITIONS:
            if opened.has(name, LIST_SCOPE if name == "li" else _DEFINITION_SCOPE):
                opened.imply_end_tags(name)
                opened.pop_until(name)
        elif name in HEADINGS:
            if opened.innermost(HEADINGS) is not None:
                opened.imply_end_tags()
                while opened.pop().name not in HEADINGS:
                    pass
        elif name == "form":
            self._end_form()
        elif name == "template":
            self._end_template()
        elif name == "br":
            self._budget.spend(HTML_ELEMENT_STEPS)
            opened.reconstruct()
            opened.insert(Element("br"))
        elif name in ("body", "html"):
            if opened.has("body"):
                self._set_mode("after body")
        else:
            self._end_any(name)

    def _end_any(self, name: str) -> None:
        """The end tag of an element without rules of its own."""
        opened = self._open
        if not opened.count[name] or name == "html":
            return
        element = opened.innermost(frozenset((name,)), SPECIAL)
        if element is not None:
            opened.imply_end_tags(name)
            opened.pop_until_element(element)

    def _end_form(self) -> None:
        opened = self._open
        if self._templates:
            if opened.has("form"):
                opened.imply_end_tags()
                opened.pop_until("form")
            return
        form, self._form = self._form, None
        if form is not None and opened.is_open(form) and opened.has("form"):
            opened.imply_end_tags()
            if opened.top is form:
                opened.pop()
            else:
                opened.remove(form)

    # Tables

    def _in_table(self, name: str, attributes: Attributes) -> None:
        opened = self._open
        if name in _TABLE_PARTS:
            self._table_part(name, attributes)
        elif name == "table":
            if opened.has("table", TABLE_SCOPE):
                self._end_table()
                self.start(name, attributes, False)
        elif name in ("style", "script", "template"):
            self._head_element(name, attributes)
        elif name == "input" and attributes.get("type", "").lower() == "hidden":
            opened.insert(Element(name, attributes))
        elif name == "form":
            if self._form is None and not self._templates:
                self._form = self._push(name, attributes)
                opened.pop()
        else:
            self._fostered(name, attributes)

    def _fostered(self, name: str, attributes: Attributes) -> None:
        self._open.is_fostering = True
        self._in_body(name, attributes)
        self._open.is_fostering = False

    def _table_part(self, name: str, attributes: Attributes) -> None:
        """A part of a table, in a table, a row group, or a row."""
        opened = self._open
        mode = self._mode
        if mode == "in table":
            opened.pop_to(TABLE_SCOPE)
            if name == "caption":
                opened.mark()
                self._push(name, attributes)
                self._set_mode("in caption")
            elif name == "colgroup":
                self._push(name, attributes)
                self._set_mode("in column group")
            elif name == "col":
                self._push("colgroup", {})
                self._set_mode("in column group")
                opened.insert(Element(name, attributes))
            elif name in _ROW_GROUPS:
                self._push(name, attributes)
                self._set_mode("in table body")
            else:
                self._push("tbody", {})
                self._set_mode("in table body")
                self._table_part(name, attributes)
        elif mode == "in table body":
            if name == "tr" or name in _CELLS:
                opened.pop_to(_TABLE_BODY_CONTEXT)
                self._push("tr", attributes if name == "tr" else {})
                self._set_mode("in row")
                if name != "tr":
                    self._table_part(name, attributes)
            elif opened.innermost(_ROW_GROUPS, TABLE_SCOPE) is not None:
                opened.pop_to(_TABLE_BODY_CONTEXT)
                opened.pop()
                self._set_mode("in table")
                self._table_part(name, attributes)
        elif name in _CELLS:
            opened.pop_to(_TABLE_ROW_CONTEXT)
            self._push(name, attributes)
            self._set_mode("in cell")
            opened.mark()
        elif opened.has("tr", TABLE_SCOPE):
            self._end_row()
            self._table_part(name, attributes)

    def _in_caption(self, name: str, attributes: Attributes) -> None:
        if name in _TABLE_PARTS:
            if self._end_caption():
                self._in_table(name, attributes)
        else:
            self._in_body(name, attributes)

    def _in_cell(self, name: str, attributes: Attributes) -> None:
        if name in _TABLE_PARTS:
            if self._open.innermost(_CELLS, TABLE_SCOPE) is not None:
                self._close_cell()
                self._in_table(name, attributes)
        else:
            self._in_body(name, attributes)

    def _in_columns(self, name: str, attributes: Attributes) -> None:
        if name == "col":
            self._open.insert(Element(name, attributes))
        elif name == "template":
            self._template(attributes)
        elif name == "html":
            self._merge(self.root, attributes)
        elif self._open.top.name == "colgroup":
            self._open.pop()
            self._set_mode("in table")
            self._in_table(name, attributes)

    def _end_in_table(self, name: str) -> None:
        opened = self._open
        mode = self._mode
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
                self._set_mode("in table")
        elif name == "template":
            self._end_template()
        elif name not in _TABLE_ENDS:
            opened.is_fostering = True
            self._end_in_body(name)
            opened.is_fostering = False

    def _end_table(self) -> None:
        self._open.pop_until("table")
        self._reset_mode()

    def _end_row(self) -> None:
        self._open.pop_to(_TABLE_ROW_CONTEXT)
        self._open.pop()
        self._set_mode("in table body")

    def _end_caption(self) -> bool:
        opened = self._open
        if not opened.has("caption", TABLE_SCOPE):
            return False
        opened.imply_end_tags()
        opened.pop_until("caption")
        opened.clear_to_marker()
        self._set_mode("in table")
        return True

    def _end_in_caption(self, name: str) -> None:
        if name == "caption":
            self._end_caption()
        elif name == "table":
            if self._end_caption():
                self._end_in_table(name)
        elif name not in _TABLE_ENDS:
            self._end_in_body(name)

    def _close_cell(self) -> None:
        opened = self._open
        opened.imply_end_tags()
        while opened.pop().name not in _CELLS and len(opened.stack) > 1:
            pass
        opened.clear_to_marker()
        self._set_mode("in row")

    def _end_in_cell(self, name: str) -> None:
        opened = self._open
        if name in _CELLS:
            if opened.has(name, TABLE_SCOPE):
                opened.imply_end_tags()
                opened.pop_until(name)
                opened.clear_to_marker()
                self._set_mode("in row")
        elif name in TABLE_CONTEXT:
            if opened.has(name, TABLE_SCOPE):
                self._close_cell()
                self._end_in_table(name)
        elif name not in _TABLE_ENDS:
            self._end_in_body(name)

    def _end_in_columns(self, name: str) -> None:
        if name == "template":
            self._end_template()
        elif name != "col" and self._open.top.name == "colgroup":
            self._open.pop()
            self._set_mode("in table")
            if name != "colgroup":
                self._end_in_table(name)

    # Templates, and the end

    def _end_template(self) -> None:
        opened = self._open
        if not opened.count["template"]:
            return
        opened.imply_end_tags()
        opened.pop_until("template")
        opened.clear_to_marker()
        self._templates -= 1
        self._reset_mode()

    def _after_body(self, name: str, attributes: Attributes) -> None:
        self._set_mode("in body")
        self._in_body(name, attributes)

    def _end_after_body(self, name: str) -> None:
        if name not in ("html", "body"):
            self._set_mode("in body")
            self._end_in_body(name)

    def _reset_mode(self) -> None:
        """The insertion mode of the current node (13.2.4.1)."""
        for steps, element in enumerate(reversed(self._open.stack)):
            mode = _MODES.get(element.name)
            if mode is not None:
                self._budget.spend(steps >> 2)
                self._set_mode(mode)
                return
        self._set_mode("after head" if self._head is not None else "before head")


_P: Final = frozenset({"p"})
_ITEMS: Final = frozenset({"li"})
_SELECT: Final = frozenset({"select"})
_DEFINITION_SCOPE: Final = BUTTON_SCOPE - {"button"}
_BODY_MODES: Final = frozenset({"in body", "in caption", "in cell"})
_BEFORE_BODY: Final = frozenset({"before head", "in head", "in noscript", "after head"})
_TEXT_IN_TABLE: Final = frozenset({"in table", "in table body", "in row"})
_MODES: Final = {
    "td": "in cell", "th": "in cell", "tr": "in row", "tbody": "in table body",
    "thead": "in table body", "tfoot": "in table body", "caption": "in caption",
    "colgroup": "in column group", "table": "in table", "head": "in head", "body": "in body",
    "template": "in body",
}  # fmt: skip
_STARTS: Final = {
    "before head": "_before_head", "in head": "_in_head", "in noscript": "_in_head",
    "after head": "_after_head", "in body": "_in_body", "in table": "_in_table",
    "in caption": "_in_caption", "in column group": "_in_columns", "in table body": "_in_table",
    "in row": "_in_table", "in cell": "_in_cell",
    "after body": "_after_body",
}  # fmt: skip
_ENDS: Final = {
    "before head": "_end_before_head", "in head": "_end_in_head", "in noscript": "_end_in_head",
    "after head": "_end_after_head", "in body": "_end_in_body", "in table": "_end_in_table",
    "in caption": "_end_in_caption", "in column group": "_end_in_columns",
    "in table body": "_end_in_table", "in row": "_end_in_table", "in cell": "_end_in_cell",
    "in template": "_end_in_template", "after body": "_end_after_body",
}  # fmt: skip
_Start = Callable[[TreeBuilder, str, Attributes], None]


def _body_starts() -> dict[str, _Start]:
    builder = TreeBuilder
    groups: list[tuple[frozenset[str], _Start]] = [
        (HEAD - {"noscript"}, builder._head_element),
        (CLOSES_P | {"pre", "listing"}, builder._start_block),
        (HEADINGS, builder._start_heading),
        (FORMATTING, builder._start_formatting),
        (frozenset({"applet", "marquee", "object"}), builder._start_marker),
        (frozenset({"li", "dd", "dt"}), builder._start_item),
        (frozenset({"button"}), builder._start_button),
        (frozenset({"table"}), builder._start_table),
        (frozenset({"form"}), builder._start_form),
        (frozenset({"area", "br", "embed", "hr", "image", "img", "input", "keygen", "wbr"}),
         builder._start_void),
        ((RAW_TEXT | RCDATA | {"plaintext"}) - HEAD, builder._start_raw),
        (_SELECT, builder._start_select),
        (_OPTIONS, builder._start_option),
        (frozenset({"rb", "rp", "rt", "rtc"}), builder._start_ruby),
        (frozenset({"math", "svg"}), builder._start_foreign),
        (frozenset({"html", "body", "frameset"}), builder._start_again),
        (_TABLE_PARTS | {"frame", "head"}, builder._ignored),
    ]  # fmt: skip
    return {name: start for names, start in groups for name in names}


_BODY_STARTS: Final = _body_starts()
