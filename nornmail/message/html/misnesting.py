"""The end tag of a formatting element around which other things were opened (13.2.6.4.7).

In ``<b>1<p>2</b>3</p>`` the 3 is not bold: the standard calls the way to get there the adoption
agency.
"""

from __future__ import annotations

from typing import Final

from nornmail.html.elements import SCOPE, SPECIAL, TABLE_ROWS
from nornmail.html.open_elements import OpenElements
from nornmail.html.tree import Element

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
