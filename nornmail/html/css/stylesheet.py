"""Style sheets: their rules, and which of them are an element's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from nornmail.defects import Note
from nornmail.html.css.properties import Value, expand
from nornmail.html.css.selectors import (
    Compound,
    Place,
    Specificity,
    SpentError,
    fits,
    parse_selectors,
)
from nornmail.html.css.syntax import declarations, split, statements, unescape, without_comments
from nornmail.html.css.values import VIEWPORT_HEIGHT, VIEWPORT_WIDTH, length_of
from nornmail.html.limits import (
    MAX_CSS_NESTING,
    MAX_CSS_RULES,
    MAX_CSS_SELECTOR_CHARS,
    MAX_CSS_STEPS,
)
from nornmail.html.tree import Element

# ---- Media queries and ``@supports``, for a person at a screen (Media Queries Level 4).

_PART: Final = re.compile(r"\(((?>(?:[^()]|\((?>(?:[^()]|\([^()]*+\))*)\))*))\)|[a-z0-9_-]+")
_RANGE: Final = re.compile(r"(?:(.+?)\s*(<=?|>=?|=)\s*)?([a-z-]+)\s*(?:(<=?|>=?|=)\s*(.+))?")
_SIZES: Final = {
    "width": VIEWPORT_WIDTH, "device-width": VIEWPORT_WIDTH, "inline-size": VIEWPORT_WIDTH,
    "height": VIEWPORT_HEIGHT, "device-height": VIEWPORT_HEIGHT, "block-size": VIEWPORT_HEIGHT,
    "device-pixel-ratio": 1.0, "resolution": 1.0, "color": 8.0, "color-index": 0.0,
    "monochrome": 0.0, "grid": 0.0, "aspect-ratio": VIEWPORT_WIDTH / VIEWPORT_HEIGHT,
    "device-aspect-ratio": VIEWPORT_WIDTH / VIEWPORT_HEIGHT,
}  # fmt: skip
_WORDS: Final = {
    "orientation": "landscape", "hover": "hover", "any-hover": "hover", "pointer": "fine",
    "any-pointer": "fine", "prefers-color-scheme": "light", "prefers-reduced-motion":
    "no-preference", "prefers-contrast": "no-preference", "scripting": "none", "update": "fast",
    "overflow-block": "scroll", "overflow-inline": "scroll", "color-gamut": "srgb",
    "display-mode": "browser", "scan": "progressive", "forced-colors": "none",
    "inverted-colors": "none", "dynamic-range": "standard",
}  # fmt: skip
_DEEPEST: Final = 5


def media_applies(query: str) -> bool:
    """Whether a list of media queries holds; an empty one does."""
    query = query.strip().lower()
    return not query or any(_query(one.strip(), 0) for one in split(query, ","))


def _query(text: str, depth: int) -> bool:
    """``not``, a medium, and conditions; what cannot be understood does not hold."""
    result, negate, either = True, False, False
    found = _PART.findall(text)
    for whole in _PART.finditer(text):
        word, inside = whole[0], whole[1]
        if word == "not":
            negate = True
            continue
        if word in ("only", "and"):
            continue
        if word == "or":
            either = True
            continue
        holds = _condition(inside, depth) if inside is not None else word in ("all", "screen")
        if inside is not None and negate:
            holds, negate = not holds, False
        result = (result or holds) if either else (result and holds)
        either = False
    return bool(found) and result != negate


def _condition(text: str, depth: int) -> bool:
    text = text.strip()
    if depth < _DEEPEST and (text.startswith("(") or text.startswith("not ")):
        return _query(text, depth + 1)
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon:
        return _range(text)
    name = name.removeprefix("-webkit-").removeprefix("-moz-")
    wanted = _WORDS.get(name)
    if wanted is not None:
        return value == wanted
    bound = (
        "min"
        if name.startswith(("min-", "min--moz-"))
        else "max"
        if name.startswith("max-")
        else ""
    )
    size = _SIZES.get(name.removeprefix("min-").removeprefix("max-"))
    number = _media_number(value)
    if size is None or number is None:
        return False
    return size >= number if bound == "min" else size <= number if bound else size == number


def _range(text: str) -> bool:
    found = _RANGE.fullmatch(text)
    if found is None:
        return False
    low, first, name, second, high = found.groups()
    size = _SIZES.get(name)
    if first is None and second is None:
        return _WORDS.get(name, "none") not in ("none", "no-preference") or bool(size)
    if size is None:
        return False
    checks = []
    if first:
        checks.append(_compare(_media_number(low), first, size))
    if second:
        checks.append(_compare(size, second, _media_number(high)))
    return all(checks)


def _compare(one: float | None, sign: str, two: float | None) -> bool:
    if one is None or two is None:
        return False
    if sign == "=":
        return one == two
    bigger, smaller = (one, two) if sign[0] == ">" else (two, one)
    return bigger > smaller or (len(sign) == 2 and bigger == smaller)


def _media_number(text: str) -> float | None:
    text = text.strip()
    for unit, factor in (("dppx", 1.0), ("dpi", 1 / 96), ("dpcm", 2.54 / 96), ("x", 1.0)):
        if text.endswith(unit) and text[: -len(unit)].replace(".", "").isdigit():
            return float(text[: -len(unit)]) * factor if text.count(".") < 2 else None
    if "/" in text and "(" not in text:
        over, _, under = text.partition("/")
        first, second = length_of(over), length_of(under)
        return first.px / second.px if first and second and second.px else None
    length = length_of(text)
    return None if length is None else length.pixels()


def supports(condition: str) -> bool:
    """``@supports``: a browser supports what is asked for, unless the question is negated."""
    condition = condition.strip().lower()
    if condition.startswith("not"):
        return not supports(condition[3:]) if len(condition) < 1_000 else False
    return "-ms-" not in condition and "-moz-" not in condition


class Block(NamedTuple):
    """What a block of declarations sets, of the properties that matter here."""

    sets: dict[str, Value]
    important: dict[str, Value]

    def __bool__(self) -> bool:
        return bool(self.sets or self.important)


class Rule(NamedTuple):
    """A selector and what it sets."""

    selector: Compound
    order: int
    block: Block


def read_block(css: str, quirks: bool) -> Block:
    """The declarations of ``css``, of which the later ones count; it is without comments."""
    block = Block({}, {})
    for one in declarations(css):
        into = block.important if one.important else block.sets
        into.update(expand(one, quirks=quirks))
    return block


class StyleSheets:
    """All ``<style>`` blocks of a page.

    Attributes:
        is_spent: deciding became too costly, so that no more can be told of this page.
    """

    def __init__(self, root: Element, quirks: bool, note: Note) -> None:
        self.is_spent = False
        self._quirks = quirks
        self._note = note
        self._rules = 0
        self._steps = 0
        self._by_id: dict[str, list[Rule]] = {}
        self._by_class: dict[str, list[Rule]] = {}
        self._by_name: dict[str, list[Rule]] = {}
        self._any: list[Rule] = []
        self._plain: dict[tuple[str, int], tuple[tuple[Rule, ...], tuple[Rule, ...]]] = {}
        self._places: dict[int, dict[int, Place]] = {}
        for element in root.walk() if root.holds("style") else ():
            if element.name == "style" and _is_css(element):
                self._read(without_comments(element.text()), "", 0)

    def __bool__(self) -> bool:
        return self._rules > 0

    def _read(self, css: str, above: str, depth: int) -> None:
        """Add the rules of ``css``; ``above`` is the selector around nested ones."""
        for prelude, body in statements(css, is_sheet=not above):
            if body is None or not prelude or self.is_spent:
                continue
            if prelude.startswith("@"):
                if depth < MAX_CSS_NESTING and _is_entered(prelude):
                    if above:
                        self._add(above, body)
                    self._read(body, above, depth + 1)
                continue
            selector = _nested(prelude, above) if above else prelude
            self._add(selector, body)
            if "{" in body and depth < MAX_CSS_NESTING and len(selector) < _LONG:
                self._read(body, selector, depth + 1)

    def _add(self, selectors: str, body: str) -> None:
        block = read_block(body, self._quirks)
        if not block:
            return
        if selectors.count(",") > MAX_CSS_RULES or max(map(len, selectors.split(","))) > (
            MAX_CSS_SELECTOR_CHARS
        ):
            self._spend("more rules of style than the limit")
            return
        for selector in parse_selectors(selectors, quirks=self._quirks):
            self._rules += 1
            if self._rules > MAX_CSS_RULES:
                self._spend("more rules of style than the limit")
                return
            rule = Rule(selector, self._rules, block)
            if selector.ids:
                self._by_id.setdefault(selector.ids[0], []).append(rule)
            elif selector.classes:
                self._by_class.setdefault(selector.classes[0], []).append(rule)
            elif selector.name:
                self._by_name.setdefault(selector.name, []).append(rule)
            else:
                self._any.append(rule)

    def _spend(self, why: str) -> None:
        self.is_spent = True
        self._note(why)

    def rules_of(self, element: Element) -> tuple[tuple[Rule, ...], tuple[int, ...]]:
        """The rules for ``element``, those that count more behind those that count less.

        The numbers beside them are the same for elements of the same rules.
        """
        if self.is_spent:
            return (), ()
        try:
            return self._rules_of(element)
        except SpentError:
            self._spend("style that is too costly to follow")
            return (), ()

    def _rules_of(self, element: Element) -> tuple[tuple[Rule, ...], tuple[int, ...]]:
        key = (element.name, id(element.attributes))
        known = self._plain.get(key)
        if known is None:
            known = self._plain[key] = self._split(element)
        sure, unsure = known
        found = []
        for rule in unsure:
            self.step()
            if fits(rule.selector, element, self._quirks, self):
                found.append(rule)
        rules = tuple(sorted((*sure, *found), key=_weight)) if found else sure
        if (
            len(rules) > _MANY
        ):  # the numbers would be as many; these tuples live as long as the page
            return rules, (-id(sure), *(rule.order for rule in found))
        return rules, tuple(rule.order for rule in rules)

    def _split(self, element: Element) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
        """Those that fit by the element's own attributes, and those that may by its place."""
        sure: list[Rule] = []
        unsure: list[Rule] = []
        for rule in self._candidates(element):
            self.step()
            if rule.selector.holds_alone(element, self._quirks):
                (sure if rule.selector.is_plain else unsure).append(rule)
        return tuple(sorted(sure, key=_weight)), tuple(unsure)

    def step(self) -> None:
        """One more test of a selector."""
        self._steps += 1
        if self._steps > MAX_CSS_STEPS:
            raise SpentError

    def _candidates(self, element: Element) -> Iterator[Rule]:
        own_id, classes = element.get("id"), element.classes
        if self._quirks:
            own_id, classes = own_id.lower(), [one.lower() for one in classes]
        yield from self._any
        yield from self._by_name.get(element.name, ())
        for one in dict.fromkeys(classes):
            yield from self._by_class.get(one, ())
        if own_id:
            yield from self._by_id.get(own_id, ())

    def place(self, element: Element) -> Place:
        """The place of ``element`` among its siblings."""
        parent = element.parent
        if parent is None:
            return 1, 1, 1, 1
        places = self._places.get(id(parent))
        if places is None:
            places = self._places[id(parent)] = _number(parent)
        return places[id(element)]


def _weight(rule: Rule) -> tuple[Specificity, int]:
    return rule.selector.specificity, rule.order


_LONG: Final = 1_000
_MANY: Final = 50


def _is_css(element: Element) -> bool:
    kind = element.get("type").strip().lower()
    return kind in ("", "text/css") and media_applies(element.get("media"))


def _is_entered(prelude: str) -> bool:
    name, _, condition = unescape(prelude).partition(" ")
    name, bracket, rest = name.lower().partition("(")
    condition = bracket + rest + " " + condition
    if name == "@media":
        return media_applies(condition)
    if name == "@supports":
        return supports(condition)
    return name in ("@layer", "@scope", "@container")


def _nested(selector: str, above: str) -> str:
    """``& > b`` within ``.a`` is ``.a > b``."""
    whole = f":is({above})" if "," in above else above
    return ",".join(
        one.replace("&", whole) if "&" in one else f"{whole} {one}" for one in selector.split(",")
    )


def _number(parent: Element) -> dict[int, Place]:
    children = [one for one in parent.children if isinstance(one, Element)]
    by_name: dict[str, int] = {}
    numbered = []
    for element in children:
        by_name[element.name] = by_name.get(element.name, 0) + 1
        numbered.append((element, by_name[element.name]))
    return {
        id(element): (number, len(children), of_name, by_name[element.name])
        for number, (element, of_name) in enumerate(numbered, 1)
    }
