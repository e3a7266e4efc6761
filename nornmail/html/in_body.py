"""The insertion mode "in body", and what all insertion modes share (HTML standard, 13.2.6.4.7).

The other modes hand over to this one what has no rule of their own, as the standard has it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from nornmail.html.limits import HTML_ELEMENT_STEPS, Budget
from nornmail.html.open_elements import BUTTON_SCOPE, LIST_SCOPE, OpenElements
from nornmail.html.tree import (
    BLOCK_ENDS,
    CLOSES_P,
    FORMATTING,
    HEAD,
    HEADINGS,
    MARKERS,
    RAW_TEXT,
    RCDATA,
    SPECIAL,
    VOID,
    Element,
)

Attributes = Mapping[str, str]
TABLE_PARTS: Final = frozenset(
    {"caption", "col", "colgroup", "tbody", "td", "tfoot", "th", "thead", "tr"}
)
_ITEM_BOUNDS: Final = SPECIAL - {"address", "div", "p"}
_DEFINITIONS: Final = frozenset({"dd", "dt"})
_OPTIONS: Final = frozenset({"optgroup", "option"})
_SHADOW_HOSTS: Final = HEADINGS | {
    "article", "aside", "blockquote", "body", "div", "footer", "header", "main", "nav", "p",
    "section", "span",
}  # fmt: skip
_P: Final = frozenset({"p"})
_ITEMS: Final = frozenset({"li"})
_SELECT: Final = frozenset({"select"})
_DEFINITION_SCOPE: Final = BUTTON_SCOPE - {"button"}
_MODES: Final = {
    "td": "in cell", "th": "in cell", "tr": "in row", "tbody": "in table body",
    "thead": "in table body", "tfoot": "in table body", "caption": "in caption",
    "colgroup": "in column group", "table": "in table", "head": "in head", "body": "in body",
    "template": "in body",
}  # fmt: skip


class InBody:
    """Takes the tags of a body, and holds what decides in which mode the next tag is read.

    Attributes:
        root: the root of the tree.
        open: the elements that are open.
        head, body, form: elements that exist once; ``None`` before they do.
        mode: the insertion mode.
        templates: how many templates are open.
        quirks: the page is in quirks mode, as it has no document type.
        has_frames: there is a frameset, which may stand in place of the body.
        closes_itself: the tag ends with ``/>``.
        wants_raw: characters without markup follow the tag.
    """

    def __init__(self, root: Element, budget: Budget) -> None:
        self.root = root
        self.open = OpenElements(root, budget)
        self.head: Element | None = None
        self.body: Element | None = None
        self.form: Element | None = None
        self.mode = "before head"
        self.templates = 0
        self.quirks = True
        self.has_frames = self.closes_itself = self.wants_raw = False
        self._budget = budget

    def begin_head(self, attributes: Attributes) -> None:
        """Open the head."""
        self.head = Element("head", attributes)
        self.open.insert(self.head)
        self.open.push(self.head)
        self.mode = "in head"

    def begin_body(self, attributes: Attributes) -> None:
        """Open the body."""
        self.body = Element("body", attributes)
        self.open.insert(self.body)
        self.open.push(self.body)
        self.mode = "in body"

    def head_element(self, name: str, attributes: Attributes) -> None:
        """An element that may stand in the head, wherever it stands."""
        if name == "template":
            self.template(attributes)
            return
        self.push(name, attributes)
        if name in VOID:
            self.open.pop()
        else:
            self.wants_raw = True

    def template(self, attributes: Attributes) -> None:
        """``<template>``, which may be the shadow root of the element around it."""
        opened = self.open
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
        self.templates += 1
        self.mode = "in body"  # parts of tables in it are not told apart

    def merge(self, target: Element, attributes: Attributes) -> None:
        """A second ``<html>`` or ``<body>`` adds the attributes that the first does not have."""
        if attributes and not self.templates:
            self._budget.spend(len(attributes) + len(target.attributes))
            target.attributes = {**attributes, **target.attributes}

    def end_template(self) -> None:
        """``</template>``: close it, and return to the mode around it."""
        opened = self.open
        if not opened.count["template"]:
            return
        opened.imply_end_tags()
        opened.pop_until("template")
        opened.clear_to_marker()
        self.templates -= 1
        self.reset_mode()

    def reset_mode(self) -> None:
        """The insertion mode of the current node (13.2.4.1)."""
        for steps, element in enumerate(reversed(self.open.stack)):
            mode = _MODES.get(element.name)
            if mode is not None:
                self._budget.spend(steps >> 2)
                self.mode = mode
                return
        self.mode = "after head" if self.head is not None else "before head"

    # In the body

    def push(self, name: str, attributes: Attributes) -> Element:
        """Open an element at the current place."""
        return self.open.begin(Element(name, attributes))

    def _close_p(self) -> None:
        opened = self.open
        if opened.count["p"] and opened.innermost(_P, BUTTON_SCOPE) is not None:
            opened.imply_end_tags("p")
            opened.pop_until("p")

    def start(self, name: str, attributes: Attributes) -> None:
        """A start tag."""
        special = _BODY_STARTS.get(name)
        if special is not None:
            special(self, name, attributes)
        else:
            opened = self.open
            opened.reconstruct()
            element = Element(name, attributes)
            opened.insert(element)
            if name not in VOID:
                opened.push(element)

    def _start_block(self, name: str, attributes: Attributes) -> None:
        if self.open.count["p"]:
            self._close_p()
        self.push(name, attributes)

    def _start_heading(self, name: str, attributes: Attributes) -> None:
        self._close_p()
        if self.open.top.name in HEADINGS:
            self.open.pop()
        self.push(name, attributes)

    def _start_formatting(self, name: str, attributes: Attributes) -> None:
        opened = self.open
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
        opened.remember(self.push(name, attributes))

    def _start_marker(self, name: str, attributes: Attributes) -> None:
        self.open.reconstruct()
        self.push(name, attributes)
        self.open.mark()

    def _start_item(self, name: str, attributes: Attributes) -> None:
        opened = self.open
        alike = _ITEMS if name == "li" else _DEFINITIONS
        if any(opened.count[other] for other in alike):
            item = opened.innermost(alike, _ITEM_BOUNDS - alike)
            if item is not None:
                opened.imply_end_tags(item.name)
                opened.pop_until(item.name)
        self._close_p()
        self.push(name, attributes)

    def _start_button(self, name: str, attributes: Attributes) -> None:
        opened = self.open
        if opened.has("button"):
            opened.imply_end_tags()
            opened.pop_until("button")
        opened.reconstruct()
        self.push(name, attributes)

    def _start_table(self, name: str, attributes: Attributes) -> None:
        if not self.quirks:
            self._close_p()
        self.push(name, attributes)
        self.mode = "in table"

    def _start_form(self, name: str, attributes: Attributes) -> None:
        if self.form is not None and not self.templates:
            return
        self._close_p()
        form = self.push(name, attributes)
        if not self.templates:
            self.form = form

    def _start_void(self, name: str, attributes: Attributes) -> None:
        if name == "hr":
            self._close_p()
            if self.open.has("select"):
                self.open.imply_end_tags()
        else:
            if name == "input" and self.open.has("select"):
                self.open.pop_until("select")
            self.open.reconstruct()
        self.open.insert(Element("img" if name == "image" else name, attributes))

    def _start_raw(self, name: str, attributes: Attributes) -> None:
        if name in ("xmp", "plaintext"):
            self._close_p()
        if name == "xmp":
            self.open.reconstruct()
        self.push(name, attributes)
        self.wants_raw = True

    def _start_select(self, name: str, attributes: Attributes) -> None:
        opened = self.open
        if opened.has("select"):
            opened.pop_until("select")
            return
        opened.reconstruct()
        self.push(name, attributes)

    def _start_option(self, name: str, attributes: Attributes) -> None:
        opened = self.open
        if opened.has("select"):
            opened.imply_end_tags("optgroup" if name == "option" else "")
        elif opened.top.name == "option":
            opened.pop()
        opened.reconstruct()
        self.push(name, attributes)

    def _start_ruby(self, name: str, attributes: Attributes) -> None:
        if self.open.has("ruby"):
            self.open.imply_end_tags("rtc" if name in ("rp", "rt") else "")
        self.push(name, attributes)

    def _start_foreign(self, name: str, attributes: Attributes) -> None:
        self.open.reconstruct()
        element = Element(f"{name} {name}", attributes)
        self.open.insert(element)
        if not self.closes_itself:
            self.open.push(element)

    def _start_again(self, name: str, attributes: Attributes) -> None:
        """``<html>`` and ``<body>`` where they are open already; frames, which are not read."""
        if name == "html":
            self.merge(self.root, attributes)
        elif name == "body" and self.body is not None:
            self.merge(self.body, attributes)
        elif name == "frameset":
            self.has_frames = True

    def _ignored(self, name: str, attributes: Attributes) -> None:
        """Parts of tables outside of tables."""

    def end(self, name: str) -> None:
        """An end tag."""
        opened = self.open
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
                self.push("p", {})
            self._close_p()
        elif name in MARKERS and name not in TABLE_PARTS and name != "template":
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
            self.end_template()
        elif name == "br":
            self._budget.spend(HTML_ELEMENT_STEPS)
            opened.reconstruct()
            opened.insert(Element("br"))
        elif name in ("body", "html"):
            if opened.has("body"):
                self.mode = "after body"
        else:
            self._end_any(name)

    def _end_any(self, name: str) -> None:
        """The end tag of an element without rules of its own."""
        opened = self.open
        if not opened.count[name] or name == "html":
            return
        element = opened.innermost(frozenset((name,)), SPECIAL)
        if element is not None:
            opened.imply_end_tags(name)
            opened.pop_until_element(element)

    def _end_form(self) -> None:
        opened = self.open
        if self.templates:
            if opened.has("form"):
                opened.imply_end_tags()
                opened.pop_until("form")
            return
        form, self.form = self.form, None
        if form is not None and opened.is_open(form) and opened.has("form"):
            opened.imply_end_tags()
            if opened.top is form:
                opened.pop()
            else:
                opened.remove(form)


_Start = Callable[[InBody, str, Attributes], None]


def _body_starts() -> dict[str, _Start]:
    body = InBody
    groups: list[tuple[frozenset[str], _Start]] = [
        (HEAD - {"noscript"}, body.head_element),
        (CLOSES_P | {"pre", "listing"}, body._start_block),
        (HEADINGS, body._start_heading),
        (FORMATTING, body._start_formatting),
        (frozenset({"applet", "marquee", "object"}), body._start_marker),
        (frozenset({"li", "dd", "dt"}), body._start_item),
        (frozenset({"button"}), body._start_button),
        (frozenset({"table"}), body._start_table),
        (frozenset({"form"}), body._start_form),
        (frozenset({"area", "br", "embed", "hr", "image", "img", "input", "keygen", "wbr"}),
         body._start_void),
        ((RAW_TEXT | RCDATA | {"plaintext"}) - HEAD, body._start_raw),
        (_SELECT, body._start_select),
        (_OPTIONS, body._start_option),
        (frozenset({"rb", "rp", "rt", "rtc"}), body._start_ruby),
        (frozenset({"math", "svg"}), body._start_foreign),
        (frozenset({"html", "body", "frameset"}), body._start_again),
        (TABLE_PARTS | {"frame", "head"}, body._ignored),
    ]  # fmt: skip
    return {name: start for names, start in groups for name in names}


_BODY_STARTS: Final = _body_starts()
