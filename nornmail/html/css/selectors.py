"""Selectors: read once, asked for many elements (Selectors Level 4)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, Protocol

from nornmail.html.css.syntax import split, unescape
from nornmail.html.tree import Element

_NAME: Final = r"(?:[-\w]|[^\x00-\x7f]|\\[0-9a-fA-F]{1,6}\s?|\\[^\n])+"
_PIECE: Final = re.compile(
    rf"""(?P<type>\*|{_NAME}|&)
    |\#(?P<id>{_NAME})
    |\.(?P<class>{_NAME})
    |\[\s*(?:(?:{_NAME}|\*)?\|(?!=))?(?P<attr>{_NAME})\s*
        (?:(?P<op>[~|^$*]?=)\s*(?:"(?P<dq>(?>(?:[^"\\]|\\.)*))"|'(?P<sq>(?>(?:[^'\\]|\\.)*))'|(?P<bare>{_NAME}))
        \s*(?P<flag>[iIsS]?)\s*)?\]
    |::?(?P<pseudo>{_NAME})(?P<open>\()?
    """,
    re.X | re.S,
)
_COMBINATOR: Final = re.compile(r"\s*([>+~])\s*|\s+")
_NTH: Final = re.compile(r"(?:([+-]?[0-9]{0,6})n\s*([+-]\s*[0-9]{1,6})?|([+-]?[0-9]{1,6}))")
_DEEPEST: Final = 4
_LONGEST: Final = 64
"""Compounds of one selector; more are taken for an invalid one."""

Specificity = tuple[int, int, int]
Place = tuple[int, int, int, int]
"""The place of an element among its siblings, and how many there are; the same of its own name."""


class Places(Protocol):
    """What selectors ask of the page."""

    def place(self, element: Element) -> Place:
        """The element's place."""

    def step(self) -> None:
        """One more step was taken; raises :class:`SpentError` when they were too many."""


class SpentError(Exception):
    """Selectors have cost more than the limit."""


@dataclass(slots=True)
class Compound:
    """What is asked of one element.

    Attributes:
        name, ids, classes: such as ``p#a.b``.
        tests: on the attributes alone.
        placed: on more than the attributes.
        before: the compound to the left, and how it is joined: blank, ``>``, ``+`` or ``~``.
    """

    name: str = ""
    ids: list[str] = field(default_factory=list)
    classes: list[str] = field(default_factory=list)
    tests: list[Callable[[Element], bool]] = field(default_factory=list)
    placed: list[Callable[[Element, Places], bool]] = field(default_factory=list)
    before: Compound | None = None
    joined: str = ""
    specificity: Specificity = (0, 0, 0)

    @property
    def is_plain(self) -> bool:
        """The attributes of the element decide."""
        return self.before is None and not self.placed

    def holds_alone(self, element: Element, quirks: bool) -> bool:
        """Whether name, id, classes and attributes fit."""
        if self.name and self.name != element.name:
            return False
        if self.ids or self.classes:
            own_id, classes = element.get("id"), element.classes
            if quirks:
                own_id, classes = own_id.lower(), [one.lower() for one in classes]
            if any(one != own_id for one in self.ids):
                return False
            if any(one not in classes for one in self.classes):
                return False
        return all(test(element) for test in self.tests)

    def holds(self, element: Element, quirks: bool, places: Places) -> bool:
        """Whether ``element`` fits, without what is to the left."""
        return self.holds_alone(element, quirks) and all(
            test(element, places) for test in self.placed
        )


def parse_selectors(text: str, *, quirks: bool) -> list[Compound]:
    """A list of selectors, each as its rightmost compound; empty when one of them is invalid."""
    return _list(text, quirks, 0) or []


def _list(text: str, quirks: bool, depth: int) -> list[Compound] | None:
    found = []
    for one in split(text, ","):
        selector = _Reader(one.strip(), quirks, depth).read()
        if selector is None:
            return None
        if selector is not _NO_ELEMENT:
            found.append(selector)
    return found


_NO_ELEMENT: Final = Compound()
"""A selector such as ``p::before``, which is valid and is no element's."""
_EMPTY_ELEMENTS: Final = frozenset(
    {"before", "after", "first-line", "first-letter", "marker", "placeholder", "selection",
     "backdrop", "file-selector-button", "details-content", "hover", "active", "focus",
     "focus-within", "focus-visible", "visited", "target", "fullscreen", "modal", "popover-open",
     "playing", "host", "invalid", "user-invalid", "autofill"}
)  # fmt: skip
_ALWAYS: Final = frozenset({"defined", "enabled", "read-only", "valid", "scope"})
_PLACED: Final[dict[str, Callable[[Place], bool]]] = {
    "first-child": lambda place: place[0] == 1,
    "last-child": lambda place: place[0] == place[1],
    "only-child": lambda place: place[1] == 1,
    "first-of-type": lambda place: place[2] == 1,
    "last-of-type": lambda place: place[2] == place[3],
    "only-of-type": lambda place: place[3] == 1,
}
_COUNTED: Final[dict[str, Callable[[Place], int]]] = {
    "nth-child": lambda place: place[0],
    "nth-last-child": lambda place: place[1] - place[0] + 1,
    "nth-of-type": lambda place: place[2],
    "nth-last-of-type": lambda place: place[3] - place[2] + 1,
}


class _Reader:
    """Reads one complex selector from left to right."""

    def __init__(self, text: str, quirks: bool, depth: int) -> None:
        self._text = text
        self._quirks = quirks
        self._depth = depth
        self._at = 0
        self._is_no_element = False

    def read(self) -> Compound | None:
        compound, length = self._compound(), 1
        while compound is not None and self._at < len(self._text):
            found = _COMBINATOR.match(self._text, self._at)
            length += 1
            if found is None or length > _LONGEST:
                return None
            self._at = found.end()
            following = self._compound()
            if following is None:
                return None
            following.before, following.joined = compound, found[1] or " "
            following.specificity = _sum(following.specificity, compound.specificity)
            compound = following
        return _NO_ELEMENT if compound is not None and self._is_no_element else compound

    def _compound(self) -> Compound | None:
        compound, start = Compound(), self._at
        while found := _PIECE.match(self._text, self._at):
            if found["type"] and self._at != start:
                break
            self._at = found.end()
            if not self._add(compound, found):
                return None
        return compound if self._at > start else None

    def _add(self, compound: Compound, found: re.Match[str]) -> bool:
        if found["type"]:
            if found["type"] not in "*&":
                compound.name = unescape(found["type"]).lower()
                compound.specificity = _sum(compound.specificity, (0, 0, 1))
        elif found["id"]:
            compound.ids.append(self._cased(found["id"]))
            compound.specificity = _sum(compound.specificity, (1, 0, 0))
        elif found["class"]:
            compound.classes.append(self._cased(found["class"]))
            compound.specificity = _sum(compound.specificity, (0, 1, 0))
        elif found["attr"]:
            compound.tests.append(_attribute(found))
            compound.specificity = _sum(compound.specificity, (0, 1, 0))
        else:
            return self._pseudo(compound, unescape(found["pseudo"]).lower(), bool(found["open"]))
        return True

    def _cased(self, name: str) -> str:
        return unescape(name).lower() if self._quirks else unescape(name)

    def _pseudo(self, compound: Compound, name: str, has_arguments: bool) -> bool:
        inside = self._inside() if has_arguments else ""
        weight = (0, 1, 0)
        if name in ("not", "is", "where", "matches", "-webkit-any", "any"):
            chosen = self._choice(compound, name, inside)
            if chosen is None:
                return False
            weight = chosen
        elif name in _PLACED:
            test = _PLACED[name]
            compound.placed.append(lambda element, places: test(places.place(element)))
        elif name in _COUNTED:
            nth = _nth(inside)
            if nth is None:
                return False
            count = _COUNTED[name]
            compound.placed.append(lambda element, places: nth(count(places.place(element))))
        elif name == "has":
            return self._has(compound, inside)
        elif name in ("link", "any-link"):
            compound.tests.append(
                lambda element: element.name == "a" and "href" in element.attributes
            )
        elif name == "root":
            compound.tests.append(lambda element: element.parent is None)
        elif name == "empty":
            compound.placed.append(lambda element, _: not element.children)
        elif name in ("checked", "disabled", "required", "open"):
            compound.tests.append(lambda element: name in element.attributes)
        elif name == "lang":
            compound.tests.append(_language(inside))
        elif name in _EMPTY_ELEMENTS or name.startswith("-webkit-"):
            self._is_no_element = True
        elif name not in _ALWAYS:
            return False
        compound.specificity = _sum(compound.specificity, weight)
        return True

    def _has(self, compound: Compound, inside: str) -> bool:
        options = _list(inside, self._quirks, self._depth + 1) if self._depth < _DEEPEST else None
        if not options:
            return False
        quirks = self._quirks

        def test(element: Element, places: Places) -> bool:
            for one in element.walk():
                places.step()
                if one is not element and any(fits(it, one, quirks, places) for it in options):
                    return True
            return False

        compound.placed.append(test)
        compound.specificity = _sum(compound.specificity, max(one.specificity for one in options))
        return True

    def _inside(self) -> str:
        depth, start = 1, self._at
        for found in re.finditer(r"[()]", self._text[start:]):
            depth += 1 if found[0] == "(" else -1
            if not depth:
                self._at = start + found.end()
                return self._text[start : start + found.start()]
        self._at = len(self._text)
        return self._text[start:]

    def _choice(self, compound: Compound, name: str, inside: str) -> Specificity | None:
        if self._depth >= _DEEPEST:
            return None
        if name == "not":
            options = _list(inside, self._quirks, self._depth + 1)
            if options is None:
                return None
        else:
            lists = (_list(one, self._quirks, self._depth + 1) for one in split(inside, ","))
            options = [one for found in lists if found for one in found]
        quirks, wanted = self._quirks, name != "not"
        if all(one.is_plain for one in options):
            compound.tests.append(
                lambda element: wanted == any(one.holds_alone(element, quirks) for one in options)
            )
        else:
            compound.placed.append(
                lambda element, places: (
                    wanted == any(fits(one, element, quirks, places) for one in options)
                )
            )
        if name == "where" or not options:
            return (0, 0, 0)
        return max(one.specificity for one in options)


def fits(selector: Compound, element: Element, quirks: bool, places: Places) -> bool:
    """Whether the whole selector fits ``element``."""
    if not selector.holds(element, quirks, places):
        return False
    before = selector.before
    if before is None:
        return True
    if selector.joined in "> ":
        parent = element.parent
        while parent is not None:
            places.step()
            if fits(before, parent, quirks, places):
                return True
            if selector.joined == ">":
                return False
            parent = parent.parent
        return False
    for one in _earlier_siblings(element):
        places.step()
        if fits(before, one, quirks, places):
            return True
        if selector.joined == "+":
            return False
    return False


def _earlier_siblings(element: Element) -> Iterator[Element]:
    """Those before ``element``, the nearest first."""
    parent = element.parent
    if parent is not None:
        for number in range(parent.position(element) - 1, -1, -1):
            one = parent.children[number]
            if isinstance(one, Element):
                yield one


def _sum(one: Specificity, two: Specificity) -> Specificity:
    return one[0] + two[0], one[1] + two[1], one[2] + two[2]


_FOLDED: Final = frozenset(
    {"align", "bgcolor", "color", "dir", "face", "hidden", "lang", "media", "rel", "type", "valign"}
)
"""Attributes of which the values are compared without case (HTML standard, 4.16.2)."""


def _attribute(found: re.Match[str]) -> Callable[[Element], bool]:
    name, sign = unescape(found["attr"]).lower(), found["op"]
    if not sign:
        return lambda element: name in element.attributes
    wanted = unescape(found["dq"] or found["sq"] or found["bare"] or "")
    folds = found["flag"] in ("i", "I") or (name in _FOLDED and found["flag"] not in ("s", "S"))
    if folds:
        wanted = wanted.lower()
    compare = _SIGNS[sign]

    def test(element: Element) -> bool:
        value = element.attributes.get(name)
        if value is None:
            return False
        return compare(value.lower() if folds else value, wanted)

    return test


_SIGNS: Final[dict[str, Callable[[str, str], bool]]] = {
    "=": lambda value, wanted: value == wanted,
    "~=": lambda value, wanted: wanted in value.split(),
    "|=": lambda value, wanted: value == wanted or value.startswith(f"{wanted}-"),
    "^=": lambda value, wanted: bool(wanted) and value.startswith(wanted),
    "$=": lambda value, wanted: bool(wanted) and value.endswith(wanted),
    "*=": lambda value, wanted: bool(wanted) and wanted in value,
}


def _language(inside: str) -> Callable[[Element], bool]:
    wanted = inside.strip().strip("\"'").lower()

    def test(element: Element) -> bool:
        at: Element | None = element
        while at is not None and "lang" not in at.attributes:
            at = at.parent
        found = at.get("lang").lower() if at is not None else ""
        return found == wanted or found.startswith(f"{wanted}-")

    return test


def _nth(inside: str) -> Callable[[int], bool] | None:
    text = inside.partition(" of ")[0].strip().lower()
    text = {"odd": "2n+1", "even": "2n"}.get(text, text)
    found = _NTH.fullmatch(text)
    if found is None:
        return None
    if found[3]:
        only = int(found[3])
        return lambda number: number == only
    step = int(found[1] + "1") if found[1] in ("", "+", "-") else int(found[1])
    start = int(found[2].replace(" ", "")) if found[2] else 0
    if not step:
        return lambda number: number == start
    return lambda number: (number - start) % step == 0 and (number - start) // step >= 0
