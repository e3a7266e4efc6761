"""Style sheets: their rules, the layers of these, and which of them match an element."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from nornmail.html.css.conditions import Answer, container_applies, media_applies, supports
from nornmail.html.css.properties import expand
from nornmail.html.css.selectors import (
    Compound,
    Page,
    Selectors,
    Specificity,
    any_matches,
    matches,
    parse_selectors,
)
from nornmail.html.css.syntax import (
    Block,
    Declaration,
    TooDeepError,
    TooMuchError,
    declaration,
    declarations,
    parse_blocks,
    split,
    unescape,
    without_comments,
)
from nornmail.html.css.value_readers import UNKNOWN, Value
from nornmail.html.css.values import number_of
from nornmail.html.limits import MAX_CSS_NESTING, Budget, BudgetSpentError
from nornmail.html.tree import Element

Layer = tuple[str, ...]
Frames = tuple[dict[str, Value], dict[str, Value], dict[str, Value]]
"""Declarations of the first and the last frame of an animation, and of those between them."""


class Declared(NamedTuple):
    """The properties that a block of declarations sets, of those that matter here."""

    sets: dict[str, Value]
    important: dict[str, Value]

    def __bool__(self) -> bool:
        return bool(self.sets or self.important)


def declared(entries: list[Declaration], quirks: bool) -> Declared:
    """The properties that declarations set, of which the later ones count."""
    block = Declared({}, {})
    for entry in entries:
        into = block.important if entry.important else block.sets
        into.update(expand(entry, quirks=quirks))
    return block


def value_steps(text: str) -> int:
    """The cost of reading a value, or all of those in a ``style`` attribute."""
    stops = _STOP_STEPS * text.count(",") if "gradient(" in text else 0
    return 12 * text.count(":") + _FUNCTION_STEPS * text.count("(") + 4 + len(text) // 20 + stops


_FUNCTION_STEPS: Final = 30
_STOP_STEPS: Final = 8
"""Steps of a color of a gradient: it is asked whether the text is seen on it."""


@lru_cache(1024)
def _remembered_attribute(css: str, quirks: bool) -> Declared:
    return declared(declarations(without_comments(css)), quirks)


def style_attribute(css: str, quirks: bool) -> Declared:
    """The value of a ``style`` attribute."""
    if len(css) > _LONG_ATTRIBUTE:
        return declared(declarations(without_comments(css)), quirks)
    return _remembered_attribute(css, quirks)


_LONG_ATTRIBUTE: Final = 500
"""Characters of a ``style`` attribute that is not remembered."""


class Rule(NamedTuple):
    """A selector and what it sets.

    Attributes:
        scopes: the roots of the scopes that it is in: it is nothing to elements outside of them.
        is_unsure: it is not known whether the rule applies, so that elements which it matches are
            not shown.
    """

    selector: Compound
    block: Declared
    layer: Layer
    order: int
    scopes: tuple[Selectors, ...]
    is_unsure: bool


class Sheet(NamedTuple):
    """A style sheet that was read: it depends on its text alone, and is remembered by it.

    Attributes:
        steps: what reading it costs of the budget, whether it was remembered or not.
        layers: the cascade layers, in order.
        keyframes: what the frames of each animation set, by its name.
        initial: the values of registered custom properties that are not set.
    """

    rules: tuple[Rule, ...]
    steps: int
    layers: tuple[Layer, ...]
    keyframes: dict[str, Frames]
    initial: dict[str, str]


_NO_LAYER: Final[Layer] = ()
_RULE_STEPS: Final = 10
_SELECTOR_STEPS: Final = 15


class _Place(NamedTuple):
    """The place of rules: the selectors, layer, scopes and conditions around them."""

    parents: Selectors | None = None
    layer: Layer = _NO_LAYER
    scopes: tuple[Selectors, ...] = ()
    is_unsure: bool = False

    @property
    def selectors(self) -> Selectors:
        """The selectors of the elements that a declaration here is for."""
        return self.parents or (self.scopes[-1] if self.scopes else [])


class _Compiler:
    """Makes rules of blocks."""

    def __init__(self, quirks: bool, limit: float) -> None:
        self._limit = limit
        self.rules: list[Rule] = []
        self.layers: dict[Layer, None] = {}
        self.keyframes: dict[str, Frames] = {}
        self.initial: dict[str, str] = {}
        self.steps = 0
        self._quirks = quirks
        self._anonymous = 0

    def spend(self, steps: int) -> None:
        self.steps += steps
        if self.steps > self._limit:
            raise TooMuchError

    def read(self, css: str) -> None:
        """Compile a whole sheet."""
        root, steps = parse_blocks(without_comments(css), is_sheet=True, limit=self._limit)
        self.spend(steps + len(css) // 20)
        for item in root.items:
            if isinstance(item, Block):
                self._block(item, _Place())

    def _block(self, block: Block, place: _Place) -> None:
        prelude = block.prelude
        if not prelude.startswith("@"):
            if prelude and not prelude.startswith("--"):
                self._rule(block, place)
            return
        name, rest = _at_rule(prelude)
        if not block.has_body:
            if name == "@layer":
                for part in split(rest, ","):
                    self._enter_layer(place.layer, part.strip())
            elif name == "@namespace" or (name == "@import" and _DATA.match(unescape(prelude))):
                raise TooMuchError
            return
        if name == "@font-face" and any(map(_shrinks, block.items)):
            raise TooMuchError
        if name == "@keyframes" or name == "@-webkit-keyframes":
            self._keyframes(rest.strip("\"'"), block)
        elif name == "@property":
            self.initial[rest] = UNKNOWN
        else:
            inner = self._inner_place(name, rest, place)
            if inner is not None:
                self._items(block, inner)

    def _inner_place(self, name: str, rest: str, place: _Place) -> _Place | None:
        """The place of the rules of an at-rule; ``None`` where they do not apply."""
        answer: Answer
        if name == "@media":
            answer = media_applies(rest)
        elif name == "@supports":
            answer = supports(rest)
        elif name == "@container":
            answer = container_applies(rest)
        elif name == "@layer":
            return place._replace(layer=self._enter_layer(place.layer, rest))
        elif name == "@scope":
            return self._scoped(rest, place)
        elif name == "@starting-style":
            answer = None
        else:
            return None
        if answer is False:
            return None
        return place if answer else place._replace(is_unsure=True)

    def _enter_layer(self, outer: Layer, name: str) -> Layer:
        if not name:
            self._anonymous += 1
            name = f"\0{self._anonymous}"
        layer = outer
        if len(layer) + name.count(".") > MAX_CSS_NESTING:
            raise TooDeepError
        for part in name.split("."):
            self.spend(_RULE_STEPS)
            layer = (*layer, part.strip())
            self.layers.setdefault(layer)
        return layer

    def _scoped(self, rest: str, place: _Place) -> _Place | None:
        """The place in ``@scope``, of which only the root is computed."""
        text = rest.partition(" to ")[0] if not rest.startswith("to ") else ""
        place = place._replace(is_unsure=True)
        if not text.strip():  # its root is the element around the <style>
            return place
        roots = self._selectors(text.strip().removeprefix("(").removesuffix(")"), place)
        return None if roots is None else place._replace(scopes=(*place.scopes, roots))

    def _selectors(self, text: str, place: _Place) -> Selectors | None:
        nested_in = place.parents
        if nested_in is None and place.scopes and ("&" in text or text[:1] in ">+~"):
            nested_in = place.scopes[-1]
        return parse_selectors(text, quirks=self._quirks, nested_in=nested_in)

    def _rule(self, block: Block, place: _Place) -> None:
        pieces = 1 + block.prelude.count(",") + block.prelude.count("&") + block.prelude.count(":")
        self.spend(_RULE_STEPS + _SELECTOR_STEPS * pieces)
        selectors = self._selectors(block.prelude, place)
        if selectors is not None:
            self._items(block, place._replace(parents=selectors))

    def _items(self, block: Block, place: _Place) -> None:
        """The declarations and the blocks in a block, in order."""
        entries: list[Declaration] = []
        for item in block.items:
            self.spend(1)
            if isinstance(item, str):
                entry = declaration(item) if place.selectors else None
                if entry is not None:
                    entries.append(entry)
                continue
            if entries:
                self._add(entries, place)
                entries = []
            self._block(item, place)
        if entries:
            self._add(entries, place)

    def _add(self, entries: list[Declaration], place: _Place) -> None:
        self.spend(sum(value_steps(entry.value) for entry in entries))
        block = declared(entries, self._quirks)
        if not block:
            return
        for selector in place.selectors:
            self.spend(3)
            self.rules.append(
                Rule(
                    selector, block, place.layer, len(self.rules), place.scopes,
                    place.is_unsure or selector.is_unsure,
                )
            )  # fmt: skip

    def _keyframes(self, name: str, block: Block) -> None:
        """The declarations of the first and the last frame of an animation."""
        first: dict[str, Value] = {}
        last: dict[str, Value] = {}
        between: dict[str, Value] = {}
        for frame in block.items:
            if isinstance(frame, str):
                continue
            self.spend(_RULE_STEPS)
            steps = [step.strip() for step in frame.prelude.lower().split(",")]
            entries = (declaration(item) for item in frame.items if isinstance(item, str))
            sets = declared([entry for entry in entries if entry is not None], self._quirks).sets
            if "from" in steps or "0%" in steps:
                first.update(sets)
            if "to" in steps or "100%" in steps:
                last.update(sets)
            if not {"from", "0%", "to", "100%"}.issuperset(steps):
                between.update(sets)
        self.keyframes[name] = (first, last, between)


_DATA: Final = re.compile(r"""(?:@import)?\s*(?:url\()?["'\s]*data:""", re.I)
"""An address that holds a sheet. Mail is not sent with one: a page with it is not read."""


_BREAKS: Final = re.compile(r"[\t\n\r]")
"""Characters that are dropped from addresses."""
_AT_NAME: Final = re.compile(r"@(?:[-\w]|\\[0-9a-fA-F]{1,6}\s?|\\.|[^\x00-\x7f])+")


def _shrinks(item: str | Block) -> bool:
    """Whether a declaration makes the letters of a font much smaller."""
    entry = declaration(item) if isinstance(item, str) else None
    size = number_of(entry.value) if entry is not None and entry.name == "size-adjust" else None
    return size is not None and size < _SMALLEST_FONT


_SMALLEST_FONT: Final = 0.4
"""The size of the letters of a font, of the usual one."""


def _at_rule(prelude: str) -> tuple[str, str]:
    match = _AT_NAME.match(prelude)
    if match is None:
        return "", ""
    return unescape(match[0]).lower(), prelude[match.end() :].strip()


_remembered: dict[tuple[str, bool], Sheet] = {}
_REMEMBERED_CHARS: Final = 400_000
"""Characters of all sheets that are remembered; those of newsletters have 5,000 to 60,000."""


def parse_sheet(css: str, quirks: bool) -> Sheet:
    """The rules of a sheet, which is read once as long as it is remembered.

    Raises:
        TooDeepError: it is nested deeper than the limit.
        TooMuchError: it has more rules than any page may have.
    """
    sheet = _remembered.get((css, quirks))
    if sheet is None:
        sheet = _parse_sheet(css, quirks)
        if sum(len(text) for text, _ in [*_remembered]) + len(css) > _REMEMBERED_CHARS:
            _remembered.clear()
        if len(css) <= _REMEMBERED_CHARS:
            _remembered[css, quirks] = sheet
    return sheet


def _parse_sheet(css: str, quirks: bool) -> Sheet:
    compiler = _Compiler(quirks, Budget(len(css)).total)
    try:
        compiler.read(css)
    except RecursionError as error:
        raise TooDeepError from error
    return Sheet(
        tuple(compiler.rules), compiler.steps, tuple(compiler.layers), compiler.keyframes,
        compiler.initial,
    )  # fmt: skip


Weight = tuple[int, Specificity, int]


class PageRule(NamedTuple):
    """A rule of a page, with its place in the cascade, and what its selector needs above."""

    weight: Weight
    important: Weight
    rule: Rule
    needs: tuple[str, ...]


Rules = tuple[PageRule, ...]
_MANY: Final = 50


class _Known(NamedTuple):
    """Rules that match by an element's attributes, and those that may match by its place."""

    sure: Rules
    numbers: tuple[object, ...]
    unsure: Rules


class StyleSheets:
    """All sheets of a page.

    Attributes:
        texts: of the sheets.
        is_unknown: a sheet was not read to its end, so that nothing is known of what is seen.
    """

    def __init__(self, root: Element, quirks: bool, budget: Budget) -> None:
        self.is_unknown = False
        self.keyframes: dict[str, Frames] = {}
        self.initial: dict[str, str] = {}
        self.has_layers = False
        self.page = Page(quirks, budget)
        self._budget = budget
        self._by_id: dict[str, list[PageRule]] = {}
        self._by_class: dict[str, list[PageRule]] = {}
        self._by_name: dict[str, list[PageRule]] = {}
        self._any: list[PageRule] = []
        self._count = 0
        self._known: dict[tuple[str, int], _Known] = {}
        sheets: list[Sheet] = []
        self.texts: tuple[str, ...] = ()
        try:
            self.texts = tuple(_sheet_texts(root))
            for css in self.texts:
                sheets.append(parse_sheet(css, quirks))
                budget.spend(sheets[-1].steps)
        except (TooDeepError, TooMuchError, BudgetSpentError):
            self.is_unknown = True
            return
        self._assemble(sheets)

    def __bool__(self) -> bool:
        return self._count > 0

    def _assemble(self, sheets: list[Sheet]) -> None:
        layers = list(dict.fromkeys(layer for sheet in sheets for layer in sheet.layers))
        self.has_layers = bool(layers)
        ranks = _ranks(layers)
        unlayered = len(layers)
        for sheet in sheets:
            self.keyframes.update(sheet.keyframes)
            self.initial.update(sheet.initial)
            for rule in sheet.rules:
                self._count += 1
                rank = ranks.get(rule.layer, unlayered)
                specificity = rule.selector.specificity
                entry = PageRule(
                    (rank, specificity, self._count),
                    (-rank, specificity, self._count),
                    rule,
                    rule.selector.needs() if rule.selector.before is not None else (),
                )
                self._index(entry, rule.selector)

    def _index(self, entry: PageRule, selector: Compound) -> None:
        if selector.ids:
            self._by_id.setdefault(selector.ids[0], []).append(entry)
        elif selector.classes:
            self._by_class.setdefault(selector.classes[0], []).append(entry)
        elif selector.name:
            self._by_name.setdefault(selector.name, []).append(entry)
        else:
            self._any.append(entry)

    def rules_of(self, element: Element) -> tuple[Rules, tuple[object, ...]]:
        """The rules for ``element``, those that count more behind those that count less.

        The numbers are the same for elements with the same rules.
        """
        key = (element.name, id(element.attributes))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._divided(element)
        if not known.unsure:
            return known.sure, known.numbers
        self._budget.spend(len(known.unsure))
        lineage = self.page.lineage(element)
        matched = [
            entry
            for entry in known.unsure
            if lineage.issuperset(entry.needs)
            and matches(entry.rule.selector, element, self.page)
            and all(_is_within(roots, element, self.page) for roots in entry.rule.scopes)
        ]
        if not matched:
            return known.sure, known.numbers
        rules = tuple(sorted((*known.sure, *matched)))
        return rules, (*known.numbers, -1, *(entry.weight[2] for entry in matched))

    def _divided(self, element: Element) -> _Known:
        sure: list[PageRule] = []
        unsure: list[PageRule] = []
        candidates = self._candidates(element)
        self._budget.spend(2 * len(candidates))
        for entry in candidates:
            selector = entry.rule.selector
            if selector.holds_alone(element, self.page.quirks):
                is_sure = selector.is_plain and not entry.rule.scopes
                (sure if is_sure else unsure).append(entry)
        sure.sort()
        numbers = tuple(entry.weight[2] for entry in sure)
        # Of many rules the numbers would take as much memory as the page.
        known = _Known(tuple(sure), numbers, tuple(unsure))
        return known._replace(numbers=(object(),)) if len(sure) > _MANY else known

    def _candidates(self, element: Element) -> list[PageRule]:
        own_id, classes = element.get("id"), element.classes
        self._budget.spend(len(classes))
        if self.page.quirks:
            own_id, classes = own_id.lower(), [name.lower() for name in classes]
        found = [*self._any, *self._by_name.get(element.name.rpartition(" ")[2], ())]
        for name in dict.fromkeys(classes):
            found += self._by_class.get(name, ())
        if own_id:
            found += self._by_id.get(own_id, ())
        return found


def _ranks(layers: list[Layer]) -> dict[Layer, int]:
    """The order of the layers: what a layer holds itself counts more than the layers in it."""
    order: dict[Layer, tuple[int, ...]] = {}
    numbers = {layer: number for number, layer in enumerate(layers)}
    for layer in layers:
        order[layer] = (*(numbers[layer[: at + 1]] for at in range(len(layer))), len(layers) + 1)
    ordered = sorted(layers, key=lambda layer: order[layer])
    return {layer: rank for rank, layer in enumerate(ordered)}


def _is_within(roots: Selectors, element: Element, page: Page) -> bool:
    """Whether the element or one around it matches."""
    at: Element | None = element
    while at is not None:
        page.budget.spend(1)
        if any_matches(roots, at, page):
            return True
        at = at.parent
    return False


def _sheet_texts(root: Element) -> Iterator[str]:
    """The texts of the sheets of a page, in order."""
    ahead = [root]
    titles: set[str] = set()
    while ahead:
        element = ahead.pop()
        name = element.name
        if name == "template":  # what it holds is not on the page
            continue
        if element.children:
            ahead += [child for child in reversed(element.children) if not isinstance(child, str)]
        if name in ("style", "svg style"):
            title = element.get("title")
            if title and titles and title not in titles:  # one of them is an alternative
                raise TooMuchError
            titles.add(title)
            kind = element.get("type").strip().lower()
            if kind in ("", "text/css") and media_applies(element.get("media")):
                yield element.text()
        elif name == "link" and _DATA.match(_BREAKS.sub("", element.get("href"))):
            raise TooMuchError
