"""Style sheets: their rules, the layers of these, and which of them match an element."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from nornmail.html.css.conditions import Answer, container_applies, media_applies, supports
from nornmail.html.css.properties import Value, expand
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
from nornmail.html.limits import (
    HTML_STEPS,
    HTML_STEPS_PER_CHAR,
    MAX_CSS_NESTING,
    Budget,
    BudgetSpentError,
)
from nornmail.html.tree import Element

Layer = tuple[str, ...]


class Declared(NamedTuple):
    """What a block of declarations sets, of the properties that matter here."""

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
    """What it costs to read a value, or all of them in a ``style`` attribute."""
    return 12 * text.count(":") + _FUNCTION_STEPS * text.count("(") + 4 + len(text) // 20


_FUNCTION_STEPS: Final = 30


def style_attribute(css: str, quirks: bool) -> Declared:
    """The value of a ``style`` attribute."""
    return declared(declarations(without_comments(css)), quirks)


class Scope(NamedTuple):
    """``@scope (roots) to (limits)``."""

    roots: Selectors
    limits: Selectors


class Rule(NamedTuple):
    """A selector and what it sets.

    Attributes:
        is_unsure: it is not known whether the rule applies, so that elements which it matches are
            not shown.
    """

    selector: Compound
    block: Declared
    layer: Layer
    order: int
    scopes: tuple[Scope, ...]
    is_unsure: bool


class Sheet(NamedTuple):
    """A style sheet that was read: it depends on its text alone, and is remembered by it.

    Attributes:
        steps: what reading it costs of the budget, whether it was remembered or not.
        layers: the cascade layers, in order.
        keyframes: what the last frame of each animation sets, by its name.
        initial: the values of registered custom properties that are not set.
    """

    rules: tuple[Rule, ...]
    steps: int
    layers: tuple[Layer, ...]
    keyframes: dict[str, dict[str, Value]]
    initial: dict[str, str]


_NO_LAYER: Final[Layer] = ()
_RULE_STEPS: Final = 10
_SELECTOR_STEPS: Final = 15


class _Place(NamedTuple):
    """Where rules stand: within what selectors, layer, scopes and conditions."""

    parents: Selectors | None = None
    layer: Layer = _NO_LAYER
    scopes: tuple[Scope, ...] = ()
    is_unsure: bool = False


class _Compiler:
    """Makes rules of blocks."""

    def __init__(self, quirks: bool, limit: float) -> None:
        self._limit = limit
        self.rules: list[Rule] = []
        self.layers: dict[Layer, None] = {}
        self.keyframes: dict[str, dict[str, Value]] = {}
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
        may_import = True
        for item in root.items:
            if isinstance(item, str):
                continue
            name = _at_name(item.prelude)
            if name == "@import" and may_import and not item.has_body:
                self._import(item.prelude, place, depth)
                continue
            may_import = may_import and (
                name == "@charset" or (name == "@layer" and not item.has_body)
            )
            self._block(item, place)

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
            return
        if name == "@keyframes" or name == "@-webkit-keyframes":
            self._keyframes(rest.strip("\"'"), block)
        elif name == "@property":
            entries = dict(_pairs(block))
            if "initial-value" in entries:
                self.initial[rest] = entries["initial-value"]
        else:
            inner = self._inner_place(name, rest, place)
            if inner is not None:
                self._items(block, inner)

    def _inner_place(self, name: str, rest: str, place: _Place) -> _Place | None:
        """Where the rules of an at-rule stand; ``None`` where they do not apply."""
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
            return None
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
        text = rest.strip()
        roots_text, _, limits_text = (
            text.partition(" to ") if not text.startswith("to ") else ("", "", text[3:])
        )
        roots = self._selectors(_unwrapped(roots_text), place) if roots_text.strip() else []
        limits = self._selectors(_unwrapped(limits_text), place) if limits_text.strip() else []
        if roots is None or limits is None:
            return None
        if (
            not roots
        ):  # its root is the element around the <style>, which a cached sheet cannot know
            return place._replace(is_unsure=True)
        scope = Scope(roots, limits)
        return place._replace(scopes=(*place.scopes, scope), parents=None)

    def _selectors(self, text: str, place: _Place) -> Selectors | None:
        scope = place.scopes[-1].roots if place.scopes else None
        nested_in = place.parents
        if nested_in is None and scope is not None and "&" in text:
            nested_in = scope
        return parse_selectors(text, quirks=self._quirks, nested_in=nested_in, scope=scope)

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
                entry = declaration(item) if place.parents is not None else None
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
        for selector in place.parents or ():
            self.spend(3)
            self.rules.append(
                Rule(
                    selector, block, place.layer, len(self.rules), place.scopes,
                    place.is_unsure or selector.is_unsure,
                )
            )  # fmt: skip

    def _keyframes(self, name: str, block: Block) -> None:
        last: dict[str, Value] = {}
        for frame in block.items:
            if isinstance(frame, str):
                continue
            self.spend(_RULE_STEPS)
            if any(step.strip() in ("to", "100%") for step in frame.prelude.lower().split(",")):
                entries = (declaration(item) for item in frame.items if isinstance(item, str))
                chosen = [entry for entry in entries if entry is not None]
                last.update(declared(chosen, self._quirks).sets)
        self.keyframes[name] = last

    def _import(self, prelude: str, place: _Place, depth: int) -> None:
        """``@import`` of a sheet that stands in its own address; no other is fetched."""
        self.spend(_IMPORT_STEPS)
        match = _IMPORT.match(prelude)
        css = _from_data(unescape(next(filter(None, match.groups()[:5]), ""))) if match else None
        if match is None or css is None or depth >= _IMPORT_DEPTH:
            return
        rest = match[6].strip()
        layer = _LAYER.match(rest)
        if layer:
            place = place._replace(layer=self._enter_layer(place.layer, (layer[1] or "").strip()))
            rest = rest[layer.end() :].strip()
        condition = _SUPPORTS.match(rest)
        if condition:
            answer = supports(condition[1] if condition[1].startswith("(") else f"({condition[1]})")
            if answer is False:
                return
            place = place._replace(is_unsure=place.is_unsure or answer is None)
            rest = rest[condition.end() :].strip()
        if media_applies(rest):
            self.read(css, place, depth + 1)


_IMPORT: Final = re.compile(
    r"""@import\s*+(?:url\(\s*+(?:"([^"]*)"|'([^']*)'|([^)"']*?))\s*\)|"([^"]*)"|'([^']*)')(.*)""",
    re.I | re.S,
)
_LAYER: Final = re.compile(r"layer(?:\(([^)]*)\))?(?![-\w])", re.I)
_SUPPORTS: Final = re.compile(r"supports\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)", re.I)
_DATA: Final = re.compile(r"data:\s*(text/css)?[^,]*?(;\s*base64)?\s*,(.*)", re.I | re.S)


def _from_data(address: str) -> str | None:
    """The sheet in a ``data:`` address; ``None`` for any other address."""
    match = _DATA.match(address.strip())
    if match is None:
        return None
    data = unquote_to_bytes(match[3].split("#")[0])
    if match[2]:
        try:
            data = base64.b64decode(data + b"==", validate=False)
        except (binascii.Error, ValueError):
            return None
    return data.decode("utf-8", "replace")


def _at_name(prelude: str) -> str:
    return _at_rule(prelude)[0] if prelude.startswith("@") else ""


_AT_NAME: Final = re.compile(r"@(?:[-\w]|\\[0-9a-fA-F]{1,6}\s?|\\.|[^\x00-\x7f])+")


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
    compiler = _Compiler(quirks, HTML_STEPS + HTML_STEPS_PER_CHAR * len(css))
    try:
        compiler.read(css, _Place())
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
    numbers: tuple[int, ...]
    unsure: Rules


class StyleSheets:
    """All sheets of a page.

    Attributes:
        is_unknown: a sheet was not read to its end, so that nothing is known of what is seen.
        uses_end: a selector asks for what comes later in the page.
    """

    def __init__(self, root: Element, quirks: bool, budget: Budget) -> None:
        self.is_unknown = False
        self.uses_end = False
        self.keyframes: dict[str, dict[str, Value]] = {}
        self.initial: dict[str, str] = {}
        self.has_layers = False
        self.page = Page(quirks, budget)
        self._budget = budget
        self._by_id: dict[str, list[PageRule]] = {}
        self._by_class: dict[str, list[PageRule]] = {}
        self._by_name: dict[str, list[PageRule]] = {}
        self._any: list[PageRule] = []
        self._pseudo: list[PageRule] = []
        self._count = 0
        self._known: dict[tuple[str, int], _Known] = {}
        sheets: list[Sheet] = []
        for css in _sheet_texts(root):
            try:
                sheet = parse_sheet(css, quirks)
                budget.spend(sheet.steps)
            except (TooDeepError, TooMuchError, BudgetSpentError):
                self.is_unknown = True
                return
            sheets.append(sheet)
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
                self.uses_end = self.uses_end or rule.selector.uses_end
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

    def rules_of(self, element: Element) -> tuple[Rules, tuple[int, ...]]:
        """The rules for ``element``, those that count more behind those that count less.

        The numbers are the same for elements with the same rules.
        """
        key = (element.name, id(element.attributes))
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._divided(element)
        self._budget.spend(1 + len(known.unsure))
        if not known.unsure:
            return known.sure, known.numbers
        lineage = self.page.lineage(element)
        matched = [
            entry
            for entry in known.unsure
            if lineage.issuperset(entry.needs)
            and matches(entry.rule.selector, element, self.page)
            and all(_is_in_scope(scope, element, self.page) for scope in entry.rule.scopes)
        ]
        if not matched:
            return known.sure, known.numbers
        rules = tuple(sorted((*known.sure, *matched)))
        return rules, (*known.numbers, -1, *(entry.weight[2] for entry in matched))

    def _divided(self, element: Element) -> _Known:
        sure: list[PageRule] = []
        unsure: list[PageRule] = []
        for entry in self._candidates(element):
            self._budget.spend(2)
            selector = entry.rule.selector
            if selector.holds_alone(element, self.page.quirks):
                is_sure = selector.is_plain and not entry.rule.scopes
                (sure if is_sure else unsure).append(entry)
        sure.sort()
        numbers = tuple(entry.weight[2] for entry in sure)
        # Of many rules the numbers would take as much memory as the page.
        known = _Known(tuple(sure), numbers, tuple(unsure))
        return known._replace(numbers=(-id(known.sure),)) if len(sure) > _MANY else known

    def _candidates(self, element: Element) -> Iterator[PageRule]:
        own_id, classes = element.get("id"), element.classes
        self._budget.spend(len(classes))
        if self.page.quirks:
            own_id, classes = own_id.lower(), [name.lower() for name in classes]
        yield from self._any
        yield from self._by_name.get(element.name.rpartition(" ")[2], ())
        for name in dict.fromkeys(classes):
            yield from self._by_class.get(name, ())
        if own_id:
            yield from self._by_id.get(own_id, ())


def _ranks(layers: list[Layer]) -> dict[Layer, int]:
    """The order of the layers: what a layer holds itself counts more than the layers in it."""
    order: dict[Layer, tuple[int, ...]] = {}
    numbers = {layer: number for number, layer in enumerate(layers)}
    for layer in layers:
        order[layer] = (*(numbers[layer[: at + 1]] for at in range(len(layer))), len(layers) + 1)
    ordered = sorted(layers, key=lambda layer: order[layer])
    return {layer: rank for rank, layer in enumerate(ordered)}


def _is_in_scope(scope: Scope, element: Element, page: Page) -> bool:
    at: Element | None = element
    while at is not None:
        page.budget.spend(1)
        if scope.limits and any_matches(scope.limits, at, page):
            return False
        if any_matches(scope.roots, at, page):
            return True
        at = at.parent
    return False


def _sheet_texts(root: Element) -> Iterator[str]:
    """The texts of the sheets of a page, in order."""
    ahead = [root]
    while ahead:
        element = ahead.pop()
        if element.name == "template":  # what it holds is not on the page
            continue
        ahead.extend(reversed(element.elements()))
        if element.name in ("style", "svg style"):
            kind = element.get("type").strip().lower()
            if kind in ("", "text/css") and media_applies(element.get("media")):
                yield element.text()
        elif element.name == "link" and "stylesheet" in element.get("rel").lower().split():
            css = _from_data(element.get("href"))
            is_on = "alternate" not in element.get("rel").lower() and "disabled" not in (
                element.attributes
            )
            if css is not None and is_on and media_applies(element.get("media")):
                yield css
