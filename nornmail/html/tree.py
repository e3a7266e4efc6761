"""The tree of elements, and how a browser builds it from tags (HTML standard, 13.2.6)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from nornmail.html.tokenizer import NO_ATTRIBUTES

_WORD: Final = re.compile(r"[^\t\n\f\r ]+")


class Element:
    """An element: a name in lower case, attributes, and what is in it. To be read only.

    Attributes:
        name: such as ``"div"``; the root's is ``"html"``.
        attributes: names in lower case, references resolved; ``""`` where none was given.
        children: elements and text, in order.
        parent: ``None`` for the root.
    """

    __slots__ = ("attributes", "children", "name", "parent")

    def __init__(self, name: str, attributes: Mapping[str, str] = NO_ATTRIBUTES) -> None:
        self.name = name
        self.attributes = attributes
        self.children: Sequence[Element | str] = _NOTHING
        self.parent: Element | None = None

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
        return list(dict.fromkeys(found[0] for found in _WORD.finditer(value)))

    def walk(self) -> Iterator[Element]:
        """This element and all within it, in the order of the document. It does not recurse."""
        ahead: list[Element] = [self]
        while ahead:
            element = ahead.pop()
            yield element
            ahead.extend(one for one in reversed(element.children) if isinstance(one, Element))

    def holds(self, name: str) -> bool:
        """Whether an element of this name is within."""
        ahead: list[Element] = [self]
        while ahead:
            for one in ahead.pop().children:
                if not isinstance(one, str):
                    if one.name == name:
                        return True
                    if one.children:
                        ahead.append(one)
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
        if isinstance(node, Element):
            node.parent = self

    def insert(self, at: int, node: Element | str) -> None:
        """Put ``node`` before the child of number ``at``."""
        if isinstance(self.children, list):
            self.children.insert(at, node)
        else:
            self.children = [node]
        if isinstance(node, Element):
            node.parent = self

    def position(self, child: Element) -> int:
        """The number of ``child``; the last ones are found first."""
        for number in range(len(self.children) - 1, -1, -1):
            if self.children[number] is child:
                return number
        raise ValueError("no child of this element")

    def remove(self, child: Element) -> None:
        """Take ``child`` out."""
        if isinstance(self.children, list):
            del self.children[self.position(child)]
        child.parent = None


_NOTHING: Final[Sequence[Element | str]] = ()
