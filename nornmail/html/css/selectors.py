"""Selectors: read once, asked for many elements (Selectors Level 4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

from nornmail.html.css.syntax import TooDeepError, nth_formula, split, unescape
from nornmail.html.limits import Budget
from nornmail.html.tree import Element

_NAME: Final = r"(?>(?:[-\w]|[^\x00-\x7f]|\\[0-9a-fA-F]{1,6}\s?|\\[^\n])+)"
_PIECE: Final = re.compile(
    rf"""(?P<type>(?:(?:{_NAME}|\*)?\|(?![=|]))?(?:\*|{_NAME})|&)
    |\#(?P<id>{_NAME})
    |\.(?P<class>{_NAME})
    |\[\s*(?:\*?\|(?!=))?(?P<attr>{_NAME})\s*
        (?:(?P<op>[~|^$*]?=)\s*(?:"(?P<dq>(?>(?:[^"\\\n]|\\.)*))"|'(?P<sq>(?>(?:[^'\\\n]|\\.)*))'
        |(?P<bare>(?![0-9]){_NAME}))\s*(?P<flag>[iI]?)\s*)?\]
    |(?P<colons>::?)(?P<pseudo>{_NAME})(?P<open>\()?
    """,
    re.X | re.S,
)
_COMBINATOR: Final = re.compile(r"\s*([>+~])\s*|\s+")
_DEEPEST: Final = 8
_MATCH_STEPS: Final = 3
_LONGEST: Final = 100
"""Compounds of one selector. Of a page with a longer one no text is shown."""
_BAD_NAME: Final = re.compile(r"-?[0-9]|-\Z")

Specificity = tuple[int, int, int]


class Place(NamedTuple):
    """The place of an element among its siblings, and how many there are; the same of its name."""

    number: int
    total: int
    number_of_name: int
    total_of_name: int


class Page:
    """The page as selectors see it: the places of elements, and steps of its budget."""

    def __init__(self, quirks: bool, budget: Budget) -> None:
        self.quirks = quirks
        self.budget = budget
        self._places: dict[int, dict[int, Place]] = {}
        self._siblings: dict[int, list[Element]] = {}
        self._lineages: dict[int, frozenset[str]] = {}

    def lineage(self, element: Element) -> frozenset[str]:
        """The names, classes and ids of the ancestors of ``element``."""
        path = []
        at = element.parent
        while at is not None and id(at) not in self._lineages:
            path.append(at)
            at = at.parent
        lineage = self._lineages[id(at)] if at is not None else _NO_LINEAGE
        for ancestor in reversed(path):
            own_id, classes = ancestor.get("id"), ancestor.classes
            if self.quirks:
                own_id, classes = own_id.lower(), [name.lower() for name in classes]
            own = {ancestor.name.rpartition(" ")[2], *(f".{name}" for name in classes)}
            if own_id:
                own.add(f"#{own_id}")
            if not own <= lineage:
                self.budget.spend(len(lineage) >> 3)
                lineage |= own
            self._lineages[id(ancestor)] = lineage
        return lineage

    def place(self, element: Element) -> Place:
        """The place of ``element`` among its siblings."""
        parent = element.parent
        if parent is None:
            return _ALONE
        places = self._places.get(id(parent))
        if places is None:
            places = self._places[id(parent)] = self._numbered(parent)
        return places.get(id(element), _ALONE)

    def siblings(self, element: Element) -> list[Element]:
        """The element and its siblings."""
        if element.parent is None:
            return [element]
        self.place(element)
        return self._siblings[id(element.parent)]

    def _numbered(self, parent: Element) -> dict[int, Place]:
        children = self._siblings[id(parent)] = parent.elements()
        self.budget.spend(len(children))
        counts: dict[str, int] = {}
        numbers = []
        for element in children:
            counts[element.name] = number = counts.get(element.name, 0) + 1
            numbers.append(number)
        return {
            id(element): Place(at, len(children), number, counts[element.name])
            for at, (element, number) in enumerate(zip(children, numbers, strict=True), 1)
        }


_NO_LINEAGE: Final[frozenset[str]] = frozenset()
_ALONE: Final = Place(1, 1, 1, 1)
Test = Callable[[Element], bool]
PlacedTest = Callable[[Element, Page], bool]


@dataclass(slots=True)
class Compound:
    """The tests of one element, and by ``before`` of those around it.

    Attributes:
        name, ids, classes: such as ``p#a.b``.
        tests: on the attributes alone.
        placed: on more than the attributes.
        before: the compound to the left, and how it is joined: blank, ``>``, ``+`` or ``~``.
        pseudo: the pseudo-element, ``""`` for the element itself.
        is_unsure: whether it matches is not known; it is taken to match.
    """

    name: str = ""
    ids: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    tests: tuple[Test, ...] = ()
    placed: tuple[PlacedTest, ...] = ()
    before: Compound | None = None
    joined: str = ""
    specificity: Specificity = (0, 0, 0)
    pseudo: str = ""
    is_unsure: bool = False

    @property
    def is_plain(self) -> bool:
        """Whether the attributes of the element decide."""
        return self.before is None and not self.placed

    def holds_alone(self, element: Element, quirks: bool) -> bool:
        """Whether name, id, classes and attributes fit."""
        if self.name and self.name != element.name.rpartition(" ")[2]:
            return False
        if self.ids or self.classes:
            own_id, classes = element.get("id"), element.classes
            if quirks:
                own_id, classes = own_id.lower(), [name.lower() for name in classes]
            if any(name != own_id for name in self.ids):
                return False
            if any(name not in classes for name in self.classes):
                return False
        for test in self.tests:  # noqa: SIM110 - a generator for each test takes longer
            if not test(element):
                return False
        return True

    def holds(self, element: Element, page: Page) -> bool:
        """Whether ``element`` fits, without what is to the left."""
        if not self.holds_alone(element, page.quirks):
            return False
        for test in self.placed:  # noqa: SIM110
            if not test(element, page):
                return False
        return True

    def follow(self, before: Compound, joined: str) -> None:
        """Stand to the right of ``before``."""
        self.before, self.joined = before, joined
        self.specificity = _sum(self.specificity, before.specificity)
        self.is_unsure = self.is_unsure or before.is_unsure

    def needs(self) -> tuple[str, ...]:
        """Names, classes and ids that the ancestors of a matching element must have."""
        tokens: list[str] = []
        joined, compound = self.joined, self.before
        while compound is not None and joined in (" ", ">"):
            if compound.name:
                tokens.append(compound.name)
            tokens += (f".{name}" for name in compound.classes)
            tokens += (f"#{name}" for name in compound.ids)
            joined, compound = compound.joined, compound.before
        return tuple(dict.fromkeys(tokens))


Selectors = list[Compound]


def matches(selector: Compound, element: Element, page: Page) -> bool:
    """Whether the whole selector matches ``element``."""
    page.budget.spend(_MATCH_STEPS)
    if not selector.holds(element, page):
        return False
    before = selector.before
    return before is None or _matches_before(before, selector.joined, element, page)


def _matches_before(before: Compound, joined: str, element: Element, page: Page) -> bool:
    if joined == ">":
        return element.parent is not None and matches(before, element.parent, page)
    if joined == " ":
        parent = element.parent
        while parent is not None:
            if matches(before, parent, page):
                return True
            parent = parent.parent
        return False
    siblings = page.siblings(element)
    number = page.place(element).number - 2
    while number >= 0:
        if matches(before, siblings[number], page):
            return True
        if joined == "+":
            return False
        number -= 1
    return False


def any_matches(selectors: Selectors, element: Element, page: Page) -> bool:
    """Whether one of a list matches ``element``."""
    return any(matches(selector, element, page) for selector in selectors)


def parse_selectors(
    text: str, *, quirks: bool, nested_in: Selectors | None = None
) -> Selectors | None:
    """A list of selectors, each as its rightmost compound; ``None`` when one of them is invalid.

    Args:
        text: without comments.
        quirks: classes and ids are compared without case.
        nested_in: the selectors of the rule around it, which ``&`` stands for.
    """
    return _read_list(text, _Context(quirks, nested_in), 0)


class _Context(NamedTuple):
    quirks: bool
    nested_in: Selectors | None = None


_LEGACY_ELEMENTS: Final = frozenset({"before", "after", "first-line", "first-letter"})
_ELEMENTS: Final = _LEGACY_ELEMENTS | {
    "marker", "placeholder", "selection", "backdrop", "file-selector-button", "details-content",
    "cue", "grammar-error", "spelling-error", "target-text", "highlight", "part", "slotted",
    "view-transition", "checkmark", "picker-icon", "picker", "scroll-marker", "scroll-button",
    "scroll-marker-group", "column", "search-text",
}  # fmt: skip
_NEVER: Final = frozenset(
    {"-internal-autofill-previewed", "-webkit-autofill", "-webkit-drag",
     "-webkit-full-page-media", "-webkit-full-screen",
     "active", "active-view-transition", "active-view-transition-type", "autofill", "current",
     "focus", "focus-visible", "focus-within", "fullscreen", "future", "horizontal", "host",
     "host-context", "hover", "interest-source", "interest-target", "modal", "past",
     "picture-in-picture", "popover-open", "start", "state", "target", "target-after",
     "target-before", "target-current", "user-invalid", "user-valid", "vertical", "visited",
     "window-inactive", "xr-overlay"}
)  # fmt: skip
"""Pseudo-classes of what a person does, which fit nothing on a page that was just opened."""
_OF_FIELDS: Final = frozenset(
    {"default", "disabled", "enabled", "in-range", "indeterminate", "invalid", "open", "optional",
     "out-of-range", "placeholder-shown", "read-write", "required", "valid"}
)  # fmt: skip
_UNSURE: Final = _OF_FIELDS | {
    "buffering", "dir", "has", "has-slotted", "lang", "muted", "paused", "playing", "read-only",
    "scope", "seeking", "stalled", "volume-locked",
}  # fmt: skip
"""Pseudo-classes that mail is not written with: whether they fit is not computed."""
_WITH_ARGUMENT: Final = frozenset(
    {"active-view-transition-type", "dir", "has", "host", "host-context", "lang", "state"}
)
_ARGUMENT_NEEDED: Final = _WITH_ARGUMENT - {"host"}
_FIELDS: Final = frozenset(
    {"button", "details", "dialog", "fieldset", "form", "input", "optgroup", "option", "progress",
     "select", "textarea"}
)  # fmt: skip


def _is_link(element: Element) -> bool:
    return element.name in ("a", "area") and "href" in element.attributes


def _is_checked(element: Element) -> bool:
    if element.name == "option":
        return "selected" in element.attributes
    return "checked" in element.attributes and element.get("type").lower() in ("checkbox", "radio")


def _is_root(element: Element) -> bool:
    return element.parent is None


def _is_none(_element: Element) -> bool:
    return False


def _may_be_edited(element: Element) -> bool:
    return element.name in _FIELDS or "contenteditable" in element.attributes


_STATES: Final[dict[str, Test]] = {
    "root": _is_root, "link": _is_link, "any-link": _is_link,
    "-webkit-any-link": _is_link, "checked": _is_checked,
    "defined": lambda element: "-" not in element.name or " " in element.name,
}  # fmt: skip
_PLACED: Final[dict[str, Callable[[Place], bool]]] = {
    "first-child": lambda place: place.number == 1,
    "last-child": lambda place: place.number == place.total,
    "only-child": lambda place: place.total == 1,
    "first-of-type": lambda place: place.number_of_name == 1,
    "last-of-type": lambda place: place.number_of_name == place.total_of_name,
    "only-of-type": lambda place: place.total_of_name == 1,
}
_COUNTED: Final[dict[str, Callable[[Place], int]]] = {
    "nth-child": lambda place: place.number,
    "nth-last-child": lambda place: place.total - place.number + 1,
    "nth-of-type": lambda place: place.number_of_name,
    "nth-last-of-type": lambda place: place.total_of_name - place.number_of_name + 1,
}
_CHOICES: Final = frozenset({"not", "is", "where", "-webkit-any"})


def _read_list(text: str, context: _Context, depth: int) -> Selectors | None:
    selectors = []
    for part in split(text, ","):
        selector = _Reader(part.strip(), context, depth).complex()
        if selector is None:
            return None
        selectors.append(selector)
    return selectors


class _Reader:
    """Reads one complex selector from left to right."""

    def __init__(self, text: str, context: _Context, depth: int) -> None:
        self._text = text
        self._context = context
        self._depth = depth
        self._at = 0
        self._uses_nesting = False

    def complex(self) -> Compound | None:
        """The rightmost compound; ``None`` when the selector is invalid."""
        nested_in = None if self._depth else self._context.nested_in
        compound: Compound | None = None
        joined = _COMBINATOR.match(self._text) if nested_in is not None else None
        if joined is not None and joined[1]:  # what is nested may begin with a combinator
            compound = _parent_of(nested_in or [], self._context.quirks)
            self._uses_nesting = True
        first = None
        for _ in range(_LONGEST):
            if compound is not None:
                joined = _COMBINATOR.match(self._text, self._at)
                if joined is None:
                    return None
                self._at = joined.end()
            following = self._compound()
            if following is None:
                return None
            first = first or following
            if compound is not None and joined is not None:
                following.follow(compound, joined[1] or " ")
            compound = following
            if self._at >= len(self._text):
                break
        else:
            raise TooDeepError
        if nested_in is not None and not self._uses_nesting:
            parent = _parent_of(nested_in, self._context.quirks)
            first.before, first.joined = parent, " "
            compound.specificity = _sum(compound.specificity, parent.specificity)
            compound.is_unsure = compound.is_unsure or parent.is_unsure
        return compound

    def _compound(self) -> Compound | None:
        compound, start = Compound(), self._at
        while match := _PIECE.match(self._text, self._at):
            kind = match["type"]
            if kind and kind != "&" and self._at != start:
                return None
            self._at = match.end()
            if not self._add(compound, match):
                return None
        return compound if self._at > start else None

    def _add(self, compound: Compound, match: re.Match[str]) -> bool:
        if compound.pseudo and not match["pseudo"]:
            return False
        weight = (0, 1, 0)
        if match["type"] == "&":
            self._uses_nesting = True
            weight = self._nest(compound)
        elif match["type"]:
            of_type = _add_type(compound, match["type"])
            if of_type is None:
                return False
            weight = of_type
        elif match["id"]:
            compound.ids += (self._cased(match["id"]),)
            weight = (1, 0, 0)
            if _BAD_NAME.match(match["id"]):
                return False
        elif match["class"]:
            compound.classes += (self._cased(match["class"]),)
            if _BAD_NAME.match(match["class"]):
                return False
        elif match["attr"]:
            compound.tests += (_attribute(match),)
        else:
            name = unescape(match["pseudo"]).lower()
            inside = self._inside() if match["open"] else None
            if match["colons"] == "::" or name in _LEGACY_ELEMENTS:
                if self._depth or (name not in _ELEMENTS and not name.startswith("-webkit-")):
                    return False
                if name == "details-content":  # what it hides is in the element
                    compound.is_unsure = True
                else:
                    compound.pseudo = name
                weight = (0, 0, 1)
            else:
                of_class = self._pseudo_class(compound, name, inside)
                if of_class is None:
                    return False
                weight = of_class
        compound.specificity = _sum(compound.specificity, weight)
        return True

    def _cased(self, name: str) -> str:
        return unescape(name).lower() if self._context.quirks else unescape(name)

    def _nest(self, compound: Compound) -> Specificity:
        """Add what ``&`` stands for."""
        if self._context.nested_in is None:
            compound.tests += (_is_root,)
            return (0, 0, 0)
        parent = _parent_of(self._context.nested_in, self._context.quirks)
        compound.placed += parent.placed
        compound.tests += parent.tests
        compound.is_unsure = compound.is_unsure or parent.is_unsure
        return parent.specificity

    def _pseudo_class(
        self, compound: Compound, name: str, inside: str | None
    ) -> Specificity | None:
        """Add a pseudo-class and return its specificity; ``None`` when it is invalid."""
        if name in _CHOICES:
            return None if inside is None else self._choice(compound, name, inside)
        if name in _COUNTED:
            return None if inside is None else self._nth(compound, name, inside)
        if name in _UNSURE and (inside is None or name in _WITH_ARGUMENT):
            if name in _WITH_ARGUMENT and not inside:
                return None
            compound.is_unsure = True
            if name in _OF_FIELDS:
                compound.tests += (_may_be_edited,)
        elif name in _NEVER and (
            name not in _ARGUMENT_NEEDED if inside is None else name in _WITH_ARGUMENT and inside
        ):
            compound.tests += (_is_none,)
        elif inside is not None:
            return None
        elif name in _PLACED:
            test = _PLACED[name]
            compound.placed += (lambda element, page: test(page.place(element)),)
        elif name in _STATES:
            compound.tests += (_STATES[name],)
        elif name == "empty":
            compound.placed += (lambda element, _: not element.children,)
        else:
            return None
        return (0, 1, 0)

    def _inside(self) -> str:
        depth, start = 1, self._at
        for match in _BRACKETS.finditer(self._text, start):
            if match[0] not in "()":
                continue
            depth += 1 if match[0] == "(" else -1
            if not depth:
                self._at = match.end()
                return self._text[start : match.start()]
        self._at = len(self._text)
        return self._text[start:]

    def _choice(self, compound: Compound, name: str, inside: str) -> Specificity | None:
        if self._depth >= _DEEPEST:
            raise TooDeepError
        options: Selectors = []
        for part in split(inside, ","):
            parsed = _read_list(part, self._context, self._depth + 1)
            if parsed is None and name in ("not", "-webkit-any"):
                return None
            options += parsed or []
        if "&" in inside:
            self._uses_nesting = True
        if any(option.is_unsure for option in options):
            compound.is_unsure = True
        else:
            _choose(compound, options, self._context.quirks, wanted=name != "not")
        if name == "where" or not options:
            return (0, 0, 0)
        return max(option.specificity for option in options)

    def _nth(self, compound: Compound, name: str, inside: str) -> Specificity | None:
        formula, of, _ = inside.strip().partition(" of ")
        nth = nth_formula(formula)
        if nth is None or (of and not name.endswith("child")):
            return None
        if of:
            compound.is_unsure = True
        else:
            count = _COUNTED[name]
            compound.placed += (lambda element, page: nth(count(page.place(element))),)
        return (0, 1, 0)


def _add_type(compound: Compound, text: str) -> Specificity | None:
    """Add the name of an element and return its specificity; ``None`` when it is invalid."""
    prefix, bar, name = text.rpartition("|")
    if (bar and prefix not in ("", "*")) or (name != "*" and _BAD_NAME.match(name)):
        return None
    if bar and not prefix:  # all elements of a page have a namespace
        compound.tests += (_is_none,)
    if name == "*":
        return (0, 0, 0)
    compound.name = unescape(name).lower()
    return (0, 0, 1)


_BRACKETS: Final = re.compile(r"""[()]|"(?>(?:[^"\\]|\\.)*)"?|'(?>(?:[^'\\]|\\.)*)'?|\\.""", re.S)


def _choose(compound: Compound, options: Selectors, quirks: bool, *, wanted: bool) -> None:
    """Add the test whether one of ``options`` matches, or none of them."""
    if all(option.is_plain for option in options):
        compound.tests += (
            lambda element: (
                wanted == any(option.holds_alone(element, quirks) for option in options)
            ),
        )
    else:
        compound.placed += (lambda element, page: wanted == any_matches(options, element, page),)


def _parent_of(selectors: Selectors, quirks: bool) -> Compound:
    """The compound that ``&`` stands for."""
    compound = Compound()
    _choose(compound, selectors, quirks, wanted=True)
    compound.is_unsure = any(selector.is_unsure for selector in selectors)
    compound.specificity = max((selector.specificity for selector in selectors), default=(0, 0, 0))
    return compound


def _sum(first: Specificity, second: Specificity) -> Specificity:
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]


_FOLDED: Final = frozenset(
    {"accept", "align", "alink", "axis", "bgcolor", "charset", "checked", "clear", "color",
     "compact",
     "dir", "disabled", "enctype", "face", "frame", "hidden", "hreflang", "http-equiv", "lang",
     "language", "link", "media", "method", "multiple", "nohref", "noshade", "nowrap", "readonly",
     "rel", "rev", "rules", "scope", "scrolling", "selected", "shape", "target", "text", "type",
     "valign", "valuetype", "vlink"}
)  # fmt: skip
"""Attributes of which the values are compared without case (HTML standard, 4.16.2)."""


def _attribute(match: re.Match[str]) -> Test:
    name, sign = unescape(match["attr"]).lower(), match["op"]
    if not sign:
        return lambda element: name in element.attributes
    wanted = unescape(match["dq"] or match["sq"] or match["bare"] or "")
    folds = bool(match["flag"]) or name in _FOLDED
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
