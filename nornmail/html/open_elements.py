"""The stack of open elements and the list of active formatting elements (HTML standard, 13.2.4)."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from nornmail.html.limits import MAX_HTML_NESTING, Budget
from nornmail.html.tree import FORMATTING, IMPLIED_END, SCOPE, SPECIAL, TABLE_CONTEXT, Element

_ALIKE: Final = 3
"""Equal formatting elements that are reconstructed: the standard's Noah's Ark clause."""
_OUTER_ROUNDS: Final = 8
_INNER_ROUNDS: Final = 3
BUTTON_SCOPE: Final = SCOPE | {"button"}
LIST_SCOPE: Final = SCOPE | {"ol", "ul"}
TABLE_SCOPE: Final = frozenset({"html", "table", "template"})
_TRACKED: Final = FORMATTING | {"form"}
_BOUNDS: Final = frozenset({"table", "template"})


class OpenElements:
    """The stack of open elements.

    Attributes:
        stack: outermost first.
        top: the current node.
        count: how many of a name are open, so that most questions need no search.
        formatting: the active formatting elements; a marker is ``None``.
        is_fostering: content of a table goes in front of it (13.2.6.1).
    """

    def __init__(self, root: Element, budget: Budget) -> None:
        self.stack = [root]
        self.top = root
        self.count: defaultdict[str, int] = defaultdict(int)
        self.formatting: list[Element | None] = []
        self.is_fostering = False
        self._budget = budget
        self._tracked: set[int] = set()

    # The stack

    def push(self, element: Element) -> None:
        """Open ``element``."""
        name = element.name
        self.stack.append(element)
        self.top = element
        self.count[name] += 1
        if name in _TRACKED:
            self._tracked.add(id(element))

    def begin(self, element: Element) -> Element:
        """Put ``element`` at the appropriate place and open it."""
        if self.is_fostering or len(self.stack) > MAX_HTML_NESTING:
            self.insert(element)
        else:
            self.top.append(element)
        self.push(element)
        return element

    def pop(self) -> Element:
        """Close the current node; never the root."""
        element, stack = self.top, self.stack
        if len(stack) > 1:
            stack.pop()
            self.top = stack[-1]
            name = element.name
            self.count[name] -= 1
            if name in _TRACKED:
                self._tracked.discard(id(element))
        return element

    def pop_to(self, names: frozenset[str]) -> None:
        """Close elements until the current node has one of these names."""
        while len(self.stack) > 1 and self.top.name not in names:
            self.pop()

    def pop_until(self, name: str) -> None:
        """Close the innermost element of this name and all within it."""
        while len(self.stack) > 1 and self.pop().name != name:
            pass

    def pop_until_element(self, element: Element) -> None:
        """Close ``element`` and all within it."""
        while len(self.stack) > 1 and self.pop() is not element:
            pass

    def remove(self, element: Element) -> None:
        """Take one element off the stack and leave open what is within it."""
        for number in range(len(self.stack) - 1, 0, -1):
            self._budget.spend(1)
            if self.stack[number] is element:
                del self.stack[number]
                self.count[element.name] -= 1
                self._tracked.discard(id(element))
                self.top = self.stack[-1]
                return

    def has(self, name: str, scope: frozenset[str] = SCOPE) -> bool:
        """Whether an element of this name is open and none of ``scope`` is within it."""
        return self.count[name] > 0 and self.innermost(frozenset((name,)), scope) is not None

    def innermost(self, names: frozenset[str], scope: frozenset[str] = SCOPE) -> Element | None:
        """The innermost open element of these names, unless one of ``scope`` is within it."""
        for steps, element in enumerate(reversed(self.stack)):
            if element.name in names or element.name in scope:
                if steps >> 2:
                    self._budget.spend(steps >> 2)
                return element if element.name in names else None
        return None

    def is_open(self, element: Element) -> bool:
        """Whether it is on the stack: asked of formatting elements and of forms."""
        return id(element) in self._tracked

    def imply_end_tags(self, but: str = "") -> None:
        """Close elements of which the end tag is implied."""
        while self.top.name in IMPLIED_END and self.top.name != but:
            self.pop()

    # Insertion

    def insert(self, node: Element | str) -> None:
        """Put ``node`` at the appropriate place: into the current node, or in front of a table."""
        parent = self.top
        if self.is_fostering and parent.name in TABLE_CONTEXT:
            self.foster(node)
            return
        if len(self.stack) > MAX_HTML_NESTING and parent.parent and not isinstance(node, str):
            parent = parent.parent
        parent.append(node)

    def foster(self, node: Element | str) -> None:
        """Put ``node`` in front of the innermost table."""
        for number in range(len(self.stack) - 1, 0, -1):
            self._budget.spend(1)
            element = self.stack[number]
            if element.name not in _BOUNDS:
                continue
            if element.name == "template":
                element.append(node)
            elif element.parent is None:
                self.stack[number - 1].append(node)
            else:
                at = element.parent.position(element)
                self._budget.spend(len(element.parent.children) - at)
                element.parent.insert(at, node)
            return
        self.stack[0].append(node)

    # Active formatting elements

    def mark(self) -> None:
        """Begin a part in which formatting from outside is not reconstructed."""
        self.formatting.append(None)

    def clear_to_marker(self) -> None:
        """Forget the formatting since the last marker."""
        while self.formatting and self.formatting.pop() is not None:
            pass

    def remember(self, element: Element) -> None:
        """Reconstruct ``element`` after blocks, until its end tag."""
        alike = 0
        last = len(self.formatting)
        number = last
        while number and (other := self.formatting[number - 1]) is not None:
            number -= 1
            if other.name == element.name and other.attributes == element.attributes:
                alike += 1
                if alike == _ALIKE:
                    del self.formatting[number]
                    break
        self._budget.spend(last - number + 1)
        self.formatting.append(element)

    def formatting_of(self, name: str) -> Element | None:
        """The last active formatting element of this name since the last marker."""
        for element in reversed(self.formatting):
            self._budget.spend(1)
            if element is None:
                return None
            if element.name == name:
                return element
        return None

    def forget(self, element: Element) -> None:
        """Stop reconstructing ``element``."""
        for number in range(len(self.formatting) - 1, -1, -1):
            self._budget.spend(1)
            if self.formatting[number] is element:
                del self.formatting[number]
                return

    def reconstruct(self) -> None:
        """Open again the formatting that the end of a block has closed (13.2.4.3)."""
        formatting = self.formatting
        if not formatting:
            return
        last = formatting[-1]
        if last is None or id(last) in self._tracked:
            return
        number = len(formatting) - 1
        while number > 0:
            before = formatting[number - 1]
            if before is None or id(before) in self._tracked:
                break
            number -= 1
        for at in range(number, len(formatting)):
            self._budget.spend(8)
            lost = formatting[at]
            if lost is not None:
                copy = Element(lost.name, lost.attributes)
                self.insert(copy)
                self.push(copy)
                formatting[at] = copy

    # The adoption agency (13.2.6.4.7): in ``<b>1<p>2</b>3</p>`` the 3 is not bold.

    def close_formatting(self, name: str) -> bool:
        """The end tag of a formatting element; false where it is an ordinary one."""
        if self.top.name == name and (not self.formatting or self.formatting[-1] is not self.top):
            if self.top not in self.formatting:
                self.pop()
                return True
        elif self.top.name == name:
            self.formatting.pop()
            self.pop()
            return True
        for _ in range(_OUTER_ROUNDS):
            element = self.formatting_of(name)
            if element is None:
                return False
            if not self.is_open(element):
                self.forget(element)
                return True
            at = self._position(element)
            within = self.stack[at + 1 :]
            self._budget.spend(len(within))
            if any(other.name in SCOPE for other in within):
                return True
            block = next((other for other in within if other.name in SPECIAL), None)
            if block is None:
                self.pop_until_element(element)
                self.forget(element)
                return True
            self._adopt(element, at, block)
        return True

    def _position(self, element: Element) -> int:
        for number in range(len(self.stack) - 1, 0, -1):
            self._budget.spend(1)
            if self.stack[number] is element:
                return number
        return 0

    def _adopt(self, element: Element, at: int, block: Element) -> None:
        """Move ``block`` out of ``element``, and a copy of that into ``block``."""
        ancestor = self.stack[at - 1]
        bookmark = self.formatting.index(element)
        last = block
        between = self.stack[at + 1 : self._position(block)]
        for rounds, node in enumerate(reversed(between), 1):
            self._budget.spend(len(self.formatting) + 1)
            if node in self.formatting and rounds > _INNER_ROUNDS:
                self.forget(node)
            if node not in self.formatting:
                self.remove(node)
                continue
            copy = Element(node.name, node.attributes)
            number = self.formatting.index(node)
            self.formatting[number] = copy
            self._replace(node, copy)
            if last is block:
                bookmark = number + 1
            self._move(last, copy)
            last = copy
        self._detach(last)
        if ancestor.name in TABLE_CONTEXT:
            self.foster(last)
        else:
            ancestor.append(last)
        inner = Element(element.name, element.attributes)
        self._budget.spend(len(block.children))
        inner.children, block.children = block.children, ()
        for child in inner.children:
            if not isinstance(child, str):
                child.parent = inner
        block.append(inner)
        self.formatting.insert(bookmark, inner)
        self.forget(element)
        self.remove(element)
        self._open_within(inner, block)

    def _replace(self, node: Element, copy: Element) -> None:
        self.stack[self._position(node)] = copy
        self._tracked.discard(id(node))
        self._tracked.add(id(copy))
        self.top = self.stack[-1]

    def _open_within(self, element: Element, outer: Element) -> None:
        self.stack.insert(self._position(outer) + 1, element)
        self._tracked.add(id(element))
        self.count[element.name] += 1
        self.top = self.stack[-1]

    def _move(self, node: Element, parent: Element) -> None:
        self._detach(node)
        parent.append(node)

    def _detach(self, node: Element) -> None:
        if node.parent is not None:
            self._budget.spend(len(node.parent.children) - node.parent.position(node))
            node.parent.remove(node)
