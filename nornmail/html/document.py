"""The entry points: the tree of a page, and the text that a person sees of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from nornmail.defects import Note, ignore
from nornmail.html.invisible_characters import left_out
from nornmail.html.limits import MAX_HTML_CHARS, Budget, BudgetSpentError
from nornmail.html.render import BUDGET, UnseenText, render
from nornmail.html.tokenizer import Tokenizer
from nornmail.html.tree import Element
from nornmail.html.tree_builder import TreeBuilder

_TELLING: Final = re.compile(r"<(?:style|link|body|html|frameset|template|svg|math)", re.I)
"""Markup that says how what stands before it looks."""


@dataclass(frozen=True, slots=True)
class VisibleText:
    """The text that a person sees of a page, and the amount of text that was left out.

    Attributes:
        text: lines ended by LF.
        removed: how many words were left out because a person does not see them, by what hides
            them; characters where those hide themselves.
        links: the addresses of the links that are seen, whole, each once, in their order.
        unseen: the texts that were left out, each with what hides it.
        steps: what the page has cost of its budget.
    """

    text: str
    removed: Mapping[str, int] = field(default_factory=dict)
    links: tuple[str, ...] = ()
    unseen: tuple[UnseenText, ...] = ()
    steps: int = 0


def parse_html(html: str, note: Note = ignore) -> Element:
    """The tree of a document or of a fragment, as a browser builds it.

    Args:
        html: as it was sent.
        note: receives limits that were reached and markup that ends within a tag.

    Returns:
        The root, ``<html>``. Its text is everything, hidden text too: see :func:`visible_text`.
    """
    return _parse(html, note).tree.body.root


def visible_text(
    html: str,
    note: Note = ignore,
    *,
    without: Callable[[Element], bool] | None = None,
    shortens_links: bool = False,
) -> VisibleText:
    """The text that a person sees: blocks on lines of their own, ``text (url)``, ``> `` for quotes.

    Args:
        html: a document or a fragment. Nothing is fetched.
        note: receives limits that were reached and markup that ends within a tag.
        without: elements for which it returns true are left out, with all that is in them, and are
            not counted. It is asked once for each element, in the order of the document.
        shortens_links: of a long address the host and the beginning of its path are shown.
    """
    page = _parse(html, note)
    tree, budget, body = page.tree, page.budget, page.tree.body
    if body.has_frames or _TELLING.search(page.html, page.read):
        budget.left = -1  # frames, or a rule that was not read, may hide anything
    is_cut = page.read < len(page.html)
    result = render(
        body.root, body.quirks, budget, without, is_cut=is_cut, shortens_links=shortens_links
    )
    if BUDGET in result.removed:
        note("HTML too costly to tell what is seen: the rest is left out")
    if tree.comments:
        result.removed["comment"] = tree.comments
    return VisibleText(
        result.text,
        dict(result.removed),
        tuple(result.links),
        tuple(result.unseen),
        budget.spent,
    )


def html_to_text(html: str, note: Note = ignore) -> str:
    """The text of :func:`visible_text`, links whole; ``note`` receives what was left out."""
    return read_page(html, note, shortens_links=False).text


def read_page(html: str, note: Note = ignore, *, shortens_links: bool = True) -> VisibleText:
    """The result of :func:`visible_text`; ``note`` receives what was left out as well."""
    seen = visible_text(html, note, shortens_links=shortens_links)
    for kind, amount in seen.removed.items():
        note(left_out(kind, amount))
    return seen


@dataclass(slots=True)
class _Page:
    """A parsed page; of its markup the budget reached ``read`` characters."""

    tree: TreeBuilder
    budget: Budget
    html: str
    read: int


def _parse(html: str, note: Note) -> _Page:
    if len(html) > MAX_HTML_CHARS:
        note("HTML over the limit")
    read = min(len(html), MAX_HTML_CHARS)
    budget = Budget(read)
    builder = TreeBuilder(budget)
    tokenizer = Tokenizer(html[:read], builder, budget)
    try:
        tokenizer.run()
        builder.finish()
    except BudgetSpentError:
        note("HTML too costly to read")
        read = tokenizer.at
    if tokenizer.was_cut:
        note("a tag over the limit")
        read = tokenizer.at
    elif not tokenizer.is_whole:
        note("HTML that ends within a tag, a comment or a script")
    return _Page(builder, budget, html, read)
