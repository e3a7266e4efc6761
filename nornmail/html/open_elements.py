"""The elements that are open, and the formatting that goes on behind blocks (13.2.4)."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from nornmail.html.elements import FOREIGN, FORMATTING, IMPLIED, MARKERS, SCOPE
from nornmail.html.limits import MAX_HTML_NESTING
from nornmail.html.tree import Element

_ALIKE: Final = 3
"""So many equal formatting elements go on; more would be one for each that was never closed."""
_TABLE: Final = frozenset({"table"})
_TRACKED: Final = FORMATTING | {"form"}
"""Elements of which is asked, later, whether they are open."""
_WATCHED: Final = _TRACKED | FOREIGN | MARKERS


class OpenElements:
    """The stack of open elements. It does not grow beyond the limit: what is deeper lies flat.

    Attributes:
        top: the innermost.
        count: how many of a name are open, or were left out of the stack.
        skipped: how many of a name were left out of the stack.
        foreign: how many drawings and formulas are open.
        lost_formatting: something is to be opened again, perhaps.
        steps: what the searches have cost so far.
    """

    def __init__(self, root: Element) -> None:
        self.top = root
        self.stack = [root]
        self.count: defaultdict[str, int] = defaultdict(int)
        self.skipped: defaultdict[str, int] = defaultdict(int)
        self.foreign = 0
        self.lost_formatting = False
        self.steps = 0
        self.formatting: list[Element | None] = []
        self._on_stack: set[int] = set()

    def push(self, element: Element) -> None:
        """Open ``element``."""
        self.count[element.name] += 1
        if len(self.stack) >= MAX_HTML_NESTING:
            self.skipped[element.name] += 1
            return
        if element.name in _WATCHED:
            self._watch(element)
        self.stack.append(element)
        self.top = element

    def _watch(self, element: Element) -> None:
        self.foreign += element.name in FOREIGN
        if element.name in _TRACKED:
            self._on_stack.add(id(element))

    def pop(self) -> Element:
        """Close the innermost element; never the root."""
        element = self.top
        if len(self.stack) > 1:
            self.stack.pop()
            self.top = self.stack[-1]
            self.count[element.name] -= 1
            if element.name in _WATCHED:
                self._unwatch(element)
                if element.name in MARKERS:
                    self._unmark()
        return element

    def _unwatch(self, element: Element) -> None:
        self.foreign -= element.name in FOREIGN
        self._on_stack.discard(id(element))
        if element.name in FORMATTING:
            self.lost_formatting = True

    def skip_end(self, name: str) -> None:
        """The end of an element that was left out of the stack."""
        self.count[name] -= 1
        self.skipped[name] -= 1

    def pop_to(self, edge: frozenset[str]) -> None:
        """Close until the innermost has a name of ``edge``."""
        while len(self.stack) > 1 and self.top.name not in edge:
            self.pop()

    def pop_until_any(self, names: frozenset[str], edge: frozenset[str]) -> None:
        """Close the innermost of ``names`` and all within it, unless one of ``edge`` is between."""
        for number in range(len(self.stack) - 1, 0, -1):
            self.steps += 1
            name = self.stack[number].name
            if name in names:
                while len(self.stack) > number:
                    self.pop()
                return
            if name in edge:
                return

    def innermost_of(self, names: frozenset[str]) -> Element | None:
        """The innermost open element of one of these names."""
        for element in reversed(self.stack):
            self.steps += 1
            if element.name in names:
                return element
        return None

    def is_open(self, element: Element) -> bool:
        """Whether it is on the stack: asked of formatting and of forms."""
        return id(element) in self._on_stack

    def put_before_table(self, node: Element | str) -> None:
        """What a table cannot hold goes in front of it: foster parenting (13.2.6.1)."""
        table = self.innermost_of(_TABLE)
        parent = table.parent if table else None
        if table is None or parent is None:
            self.top.append(node)
        else:
            parent.insert(parent.position(table), node)

    def close_one(self, element: Element) -> None:
        """Close ``element`` alone, unless it is the innermost, or in another scope."""
        above = []
        for one in reversed(self.stack):
            self.steps += 1
            if one is element:
                break
            if one.name in SCOPE:
                return
            above.append(one)
        for one in above:
            if one.name not in IMPLIED:
                break
            self.pop()
        self.take_off(element)

    def take_off(self, element: Element) -> None:
        """Close one element and leave open what is within it."""
        self.stack.remove(element)
        self.count[element.name] -= 1
        self._unwatch(element)
        self.top = self.stack[-1]

    def swap(self, element: Element, copy: Element) -> None:
        """``copy`` is open in place of ``element``."""
        self.stack[self.stack.index(element)] = copy
        self._on_stack.discard(id(element))
        if copy.name in _TRACKED:
            self._on_stack.add(id(copy))
        self.top = self.stack[-1]

    def put_within(self, element: Element, outer: Element) -> None:
        """Open ``element`` right within ``outer``, which is open."""
        self.stack.insert(self.stack.index(outer) + 1, element)
        if element.name in _TRACKED:
            self._on_stack.add(id(element))
        self.count[element.name] += 1
        self.top = self.stack[-1]

    # Formatting

    def end_innermost(self, name: str) -> bool:
        """End the innermost element, where its end tag asks for no more than that."""
        if self.top.name != name or self.skipped or len(self.stack) == 1:
            return False
        if name in FORMATTING:
            if self.foreign or not self.formatting or self.formatting[-1] is not self.top:
                return False
            self.formatting.pop()
            self.steps += 1
        self.steps += 1
        self.pop()
        return True

    def mark(self) -> None:
        """Formatting from outside does not go on in here."""
        self.formatting.append(None)

    def _unmark(self) -> None:
        while self.formatting and self.formatting.pop() is not None:
            pass
        self.lost_formatting = True

    def remember(self, element: Element) -> None:
        """``element`` goes on behind blocks until its end tag."""
        alike = 0
        for number in range(len(self.formatting) - 1, -1, -1):
            self.steps += 1
            other = self.formatting[number]
            if other is None:
                break
            if other.name == element.name and other.attributes == element.attributes:
                alike += 1
                if alike == _ALIKE:
                    del self.formatting[number]
                    break
        self.formatting.append(element)

    def is_formatting(self, name: str) -> bool:
        """Whether one of this name goes on here."""
        return self.formatting_of(name) is not None

    def formatting_of(self, name: str) -> Element | None:
        """The last of this name that goes on here."""
        for element in reversed(self.formatting):
            self.steps += 1
            if element is None:
                return None
            if element.name == name:
                return element
        return None

    def forget_formatting(self, name: str) -> None:
        """The last of this name goes on no more; it is not open."""
        element = self.formatting_of(name)
        if element is not None:
            self.formatting.remove(element)

    def to_reconstruct(self) -> list[Element]:
        """What goes on and is not open, outermost first."""
        self.lost_formatting = False
        last = self.formatting[-1] if self.formatting else None
        if last is None or self.is_open(last):
            return []
        lost: list[Element] = []
        for element in reversed(self.formatting):
            if element is None or self.is_open(element):
                break
            self.steps += 1
            lost.append(element)
        room = MAX_HTML_NESTING - len(self.stack)
        return lost[::-1][:room]

    def replace(self, element: Element, copy: Element) -> None:
        """``copy`` goes on in place of ``element``."""
        for number in range(len(self.formatting) - 1, -1, -1):
            self.steps += 1
            if self.formatting[number] is element:
                self.formatting[number] = copy
                return
