"""The tree of a page: elements, their attributes, and the text in them."""

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
