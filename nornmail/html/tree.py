"""The tree of a page: elements, their attributes, their text, and how the standard sorts them.

Names of SVG and MathML have their namespace in front: ``"svg text"``, ``"math mi"``. No name of
HTML has a blank in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

NO_ATTRIBUTES: Final[Mapping[str, str]] = {}
UNREAD: Final = "\0unread"
"""The attribute of an element of which not all attributes were read: it is not shown."""
_WORD: Final = re.compile(r"[^\t\n\f\r ]+")
_NOTHING: Final[Sequence[Element | str]] = ()


class Element:
    """An element of the tree. To be read only.

    Attributes:
        name: in lower case, such as ``"div"``, and ``"svg text"`` in a drawing; the root's is
            ``"html"``.
        attributes: names in lower case, references resolved; ``""`` where there is no value.
        children: elements and text, in order.
        parent: ``None`` for the root.
        shadow: the ``<template>`` that is shown in place of the children, if there is one.
    """

    __slots__ = ("attributes", "children", "name", "parent", "shadow")

    def __init__(self, name: str, attributes: Mapping[str, str] = NO_ATTRIBUTES) -> None:
        self.name = name
        self.attributes = attributes
        self.children: Sequence[Element | str] = _NOTHING
        self.parent: Element | None = None
        self.shadow: Element | None = None

    def __repr__(self) -> str:
        return f"<{self.name} {dict(self.attributes)!r}: {len(self.children)}>"

    def get(self, attribute: str, default: str = "") -> str:
        """The value of an attribute."""
        return self.attributes.get(attribute, default)

    @property
    def classes(self) -> list[str]:
        """The names in ``class``."""
        value = self.attributes.get("class")
        if not value:
            return []
        return list(dict.fromkeys(_WORD.findall(value)))

    def elements(self) -> list[Element]:
        """The children that are elements."""
        return [child for child in self.children if not isinstance(child, str)]

    def walk(self) -> Iterator[Element]:
        """This element and all within it, in the order of the document. It does not recurse."""
        ahead: list[Element] = [self]
        while ahead:
            element = ahead.pop()
            yield element
            if element.children:
                ahead.extend(
                    child for child in reversed(element.children) if not isinstance(child, str)
                )

    def holds(self, name: str) -> bool:
        """Whether an element of this name is within."""
        ahead: list[Element] = [self]
        while ahead:
            for child in ahead.pop().children:
                if not isinstance(child, str):
                    if child.name == name:
                        return True
                    if child.children:
                        ahead.append(child)
        return False

    def text(self) -> str:
        """All characters within, hidden ones as well, as they stand in the markup."""
        pieces: list[str] = []
        ahead: list[Element | str] = [self]
        while ahead:
            node = ahead.pop()
            if isinstance(node, str):
                pieces.append(node)
            else:
                ahead.extend(reversed(node.children))
        return "".join(pieces)

    def append(self, node: Element | str) -> None:
        """Put ``node`` at the end."""
        if isinstance(self.children, list):
            self.children.append(node)
        else:
            self.children = [node]
        if not isinstance(node, str):
            node.parent = self

    def insert(self, at: int, node: Element | str) -> None:
        """Put ``node`` before the child of number ``at``."""
        if isinstance(self.children, list):
            self.children.insert(at, node)
        else:
            self.children = [node]
        if not isinstance(node, str):
            node.parent = self

    def position(self, child: Element) -> int:
        """The number of ``child``; the last ones are found first."""
        for number in range(len(self.children) - 1, -1, -1):
            if self.children[number] is child:
                return number
        raise ValueError("not a child of this element")

    def remove(self, child: Element) -> None:
        """Take ``child`` out."""
        if isinstance(self.children, list):
            del self.children[self.position(child)]
        child.parent = None


# Categories of elements in the HTML standard


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


VOID: Final = _names(
    "area base basefont bgsound br col embed frame hr img input keygen link meta param source"
    " track wbr"
)
"""Elements without content and without an end tag."""

HEAD: Final = _names(
    "base basefont bgsound link meta noframes script style template title noscript"
)
"""Elements that may stand in the head. Any other begins the body."""

HEADINGS: Final = _names("h1 h2 h3 h4 h5 h6")

BLOCKS: Final = HEADINGS | _names(
    "address article aside blockquote body caption center dd details dialog dir div dl dt fieldset"
    " figcaption figure footer form frameset header hgroup hr html legend li listing main menu nav"
    " ol optgroup option p plaintext pre search section summary table tbody textarea tfoot thead tr"
    " ul xmp"
)
"""Elements that begin on a line of their own."""

CLOSES_P: Final = _names(
    "address article aside blockquote center details dialog dir div dl fieldset figcaption figure"
    " footer header hgroup main menu nav ol p search section summary ul"
)
"""Start tags that close an open paragraph and do nothing else (13.2.6.4.7)."""

BLOCK_ENDS: Final = (CLOSES_P - {"p"}) | _names("button listing pre select")
"""End tags that close everything opened within their element."""

FORMATTING: Final = _names("a b big code em font i nobr s small strike strong tt u")
"""Elements that are reconstructed after the end of a block in which they were left open."""

MARKERS: Final = _names("applet caption marquee object td template th")
"""Elements that put a marker into the list of active formatting elements."""

TEXT_INTEGRATION: Final = frozenset({"math mi", "math mo", "math mn", "math ms", "math mtext"})
HTML_INTEGRATION: Final = frozenset({"svg foreignobject", "svg desc", "svg title"})

SCOPE: Final = (
    _names("applet caption html marquee object select table td template th")
    | TEXT_INTEGRATION
    | HTML_INTEGRATION
    | {"math annotation-xml"}
)
"""Elements that bound "has an element in scope" (13.2.4.2)."""

IMPLIED_END: Final = _names("dd dt li optgroup option p rb rp rt rtc")
"""Elements of which the end tag is implied."""

TABLE_CONTEXT: Final = _names("table tbody tfoot thead tr")
"""Elements that hold nothing but parts of a table: other content is foster parented."""

SPECIAL: Final = (
    VOID - {"basefont", "bgsound", "keygen"}
    | _names("basefont bgsound keygen applet body button caption colgroup dd dt form frameset head")
    | _names("html iframe li listing marquee noembed noframes noscript object plaintext pre script")
    | _names("select style table tbody td template textarea tfoot th thead title tr xmp p")
    | HEADINGS
    | (CLOSES_P - {"dialog"})
    | TEXT_INTEGRATION
    | HTML_INTEGRATION
    | {"math annotation-xml"}
)
"""Elements that no end tag of another name closes (13.2.4.2)."""

BREAK_OUT: Final = HEADINGS | _names(
    "b big blockquote body br center code dd div dl dt em embed head hr i img li listing menu meta"
    " nobr ol p pre ruby s small span strong strike sub sup table tt u ul var"
)
"""Start tags that end a drawing or a formula (13.2.6.5)."""

RAW_TEXT: Final = _names("style xmp iframe noembed noframes script")
"""Elements that hold characters and no markup."""
RCDATA: Final = _names("title textarea")
"""Elements that hold characters and character references."""

NEVER_SHOWN: Final = _names(
    "area audio base basefont canvas col colgroup datalist embed frameset head iframe link meta"
    " meter noembed noframes param progress rp script source style template title track video"
) | {"math annotation", "math annotation-xml", "math mphantom"}
"""Elements that show nothing by themselves, or show something else than their text."""

DRAWN: Final = frozenset({"embed", "iframe", "img", "svg svg", "video"})
"""Elements that show something else than text, and cover what they are put over."""

NEVER_DRAWN: Final = _names("audio embed iframe meter noembed progress template video")
"""Those of which no style sheet shows the text."""

_TOKENS: Final = frozenset({"math mi", "math mn", "math mo", "math ms", "math mtext"})
_FORMULA: Final = _TOKENS | {
    "math mfrac", "math mover", "math mroot", "math mrow", "math msqrt",
    "math mstyle", "math msub", "math msubsup", "math msup", "math mtable", "math mtd",
    "math mtr", "math munder", "math munderover",
}  # fmt: skip
"""The elements of formulas that show their text."""


def is_mute_drawing(element: Element) -> bool:
    """Whether an element is a drawing, or a formula that may hide some of its text."""
    if element.name != "math math":
        return element.name == "svg svg"
    return not all(
        (node is element or node.name in _FORMULA)
        and not any(name.startswith(("math", "script")) for name in node.attributes)
        and (node.name in _TOKENS or not any(_is_word(child) for child in node.children))
        for node in element.walk()
    )


def _is_word(node: Element | str) -> bool:
    return isinstance(node, str) and not node.isspace()
