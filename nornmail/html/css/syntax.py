"""CSS cut into rules and declarations (CSS Syntax Level 3): in one pass, so that it is linear."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from nornmail.html.limits import MAX_CSS_NESTING

_STRING: Final = r"""\"(?>(?:[^"\\\n]+|\\.)*)\"?|'(?>(?:[^'\\\n]+|\\.)*)'?"""
_URL: Final = r"""[uU][rR][lL]\(\s*+(?!["'\s])(?>(?:[^)\\]+|\\.)*)\)?"""
_COMMENTS: Final = re.compile(rf"({_STRING}|{_URL})|/\*.*?(?:\*/|\Z)", re.S)
_PIECES: Final = re.compile(rf"{_STRING}|{_URL}|\\.|[(){{}}\[\]]|;[;\s]*+|<!--|-->", re.S)
_SPLIT: Final = re.compile(rf"{_STRING}|{_URL}|\\.|[(){{}}\[\],;]", re.S)
_ESCAPE: Final = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\r\f])?|\n|(.)|\Z)", re.S)
_IMPORTANT: Final = re.compile(r"!\s*+important\s*+\Z", re.I)
_WORDS: Final = re.compile(rf"(?:{_STRING}|[^\s()\"'])+|\(|\)|\s+", re.S)
_CUSTOM: Final = re.compile(r"\s*+--[^\s:{]*+\s*+:")
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
PARTED: Final = "\0"
"""Stands for a comment between two names: they are two in a value, and an error in a selector."""


class Declaration(NamedTuple):
    """A property and its value, both in lower case but for custom properties."""

    name: str
    value: str
    important: bool


class Block:
    """``prelude { items }``: a rule, an at-rule, or a whole sheet, of which the prelude is empty.

    Attributes:
        prelude: the selector, or the at-rule's name and what follows it.
        items: declarations and at-rules without a block as text, rules as blocks, in order.
        has_body: false for an at-rule that ends with a semicolon.
    """

    __slots__ = ("has_body", "items", "prelude")

    def __init__(self, prelude: str, has_body: bool = True) -> None:
        self.prelude = prelude
        self.items: list[str | Block] = []
        self.has_body = has_body


class TooDeepError(Exception):
    """Blocks are nested deeper than the limit."""


class TooMuchError(Exception):
    """A sheet has more in it than its page has steps for, or parts that are not read."""


_BLOCK_STEPS: Final = 20
_ITEM_STEPS: Final = 4
"""Steps of what is kept, and takes memory."""


def without_comments(css: str) -> str:
    """``css`` without its comments."""
    return _COMMENTS.sub(_part, css) if "/*" in css else css


def _part(match: re.Match[str]) -> str:
    if match[1]:
        return match[1]
    before, after = (
        match.string[match.start() - 1 : match.start()],
        match.string[match.end() : match.end() + 1],
    )
    parts = before.isalnum() or before in ("-", "_"), after.isalnum() or after in ("-", "_", "(")
    return f" {PARTED} " if all(parts) else ""


def unescape(text: str) -> str:
    r"""A name without its escapes: ``\64 isplay`` is ``display``."""
    return _ESCAPE.sub(_escaped, text) if "\\" in text else text


def _escaped(match: re.Match[str]) -> str:
    if match[1]:
        number = int(match[1], 16)
        is_character = 0 < number < 0x110000 and not 0xD800 <= number < 0xE000
        return chr(number) if is_character else "\ufffd"
    return match[2] or ""


def parse_blocks(css: str, *, is_sheet: bool, limit: float = math.inf) -> tuple[Block, int]:
    """The blocks and declarations of ``css``, which is without comments, and the steps it took.

    Args:
        css: a sheet, or the declarations of a ``style`` attribute.
        limit: the steps that it may take.
        is_sheet: on the outermost level of a sheet a semicolon ends nothing but an at-rule.

    Raises:
        TooDeepError: blocks are nested deeper than the limit.
        TooMuchError: it takes more steps.
    """
    root = current = Block("")
    outer: list[Block] = []
    brackets: list[str] = []
    start = steps = 0
    for match in _PIECES.finditer(css):
        piece = match[0]
        steps += 1
        if steps > limit:
            raise TooMuchError
        first = piece[0]
        if first in _CLOSING and len(piece) == 1:
            is_rule = first == "{" and not brackets and (is_sheet or outer)
            if is_rule and (not outer or not _CUSTOM.match(css, start, match.start())):
                block = Block(css[start : match.start()].strip())
                current.items.append(block)
                steps += _BLOCK_STEPS
                outer.append(current)
                current, start = block, match.end()
                if len(outer) > MAX_CSS_NESTING:
                    raise TooDeepError
            else:
                brackets.append(_CLOSING[first])
        elif first in ")]}" and len(piece) == 1:
            if brackets and brackets[-1] == first:
                brackets.pop()
            elif not brackets and first == "}" and outer:
                _add(current, css[start : match.start()])
                current, start = outer.pop(), match.end()
        elif first == ";":
            if brackets:
                continue
            text = css[start : match.start()]
            is_at_rule = text.lstrip().startswith("@")
            if is_at_rule or outer or not is_sheet:
                _add(current, text)
                steps += _BLOCK_STEPS if is_at_rule else _ITEM_STEPS
                start = match.end()
        elif piece in ("<!--", "-->") and not outer and not css[start : match.start()].strip():
            start = match.end()
    _add(current, css[start:])
    return root, steps


def _add(block: Block, text: str) -> None:
    text = text.strip()
    if not text:
        return
    if text[0] == "@":
        block.items.append(Block(text, has_body=False))
    else:
        block.items.append(text)


def declaration(text: str) -> Declaration | None:
    """``text`` is what stands between two semicolons."""
    name, colon, value = text.partition(":")
    name = name.strip()
    if "\\" in name:
        name = unescape(name)
    if not colon or not name:
        return None
    value = value.strip()
    important = False
    if "!" in value:
        plain = unescape(value)
        match = _IMPORTANT.search(plain)
        if match:
            important = True
            value = plain[: match.start()].rstrip()
    if PARTED in value:
        value = value.replace(PARTED, " ")
    if name.startswith("--"):
        return Declaration(name, value, important)
    return Declaration(name.lower(), unescape(value).lower(), important)


def declarations(css: str) -> list[Declaration]:
    """The declarations of a ``style`` attribute; ``css`` is without comments."""
    root, _ = parse_blocks(css, is_sheet=False)
    parsed = (declaration(item) for item in root.items if isinstance(item, str))
    return [entry for entry in parsed if entry is not None]


def split(text: str, separator: str) -> list[str]:
    """``text`` at each ``separator``, a comma or a semicolon, outside of brackets and strings."""
    if separator not in text:
        return [text]
    pieces, start = [], 0
    brackets: list[str] = []
    for match in _SPLIT.finditer(text):
        piece = match[0]
        if piece == separator:
            if not brackets:
                pieces.append(text[start : match.start()])
                start = match.end()
        elif piece in _CLOSING:
            brackets.append(_CLOSING[piece])
        elif brackets and piece == brackets[-1]:
            brackets.pop()
    pieces.append(text[start:])
    return pieces


def words(text: str) -> list[str]:
    """``text`` at the blanks that are in no brackets; ``a/b`` is one word."""
    if "(" not in text and '"' not in text and "'" not in text:
        return text.split()
    out: list[str] = []
    current: list[str] = []
    depth = 0
    for match in _WORDS.finditer(text):
        piece = match[0]
        depth += (piece == "(") - (piece == ")")
        if depth <= 0 and piece.isspace():
            if current:
                out.append("".join(current))
            current = []
        else:
            current.append(piece)
    return [*out, "".join(current)] if current else out


def function(text: str) -> tuple[str, str] | None:
    """``name(inside)`` as a name and what is inside; ``None`` when it is not one function."""
    name, bracket, inside = text.partition("(")
    if not bracket:
        return None
    inside = inside.rstrip()
    return name.strip(), inside.removesuffix(")")


_NTH: Final = re.compile(r"([+-]?[0-9]{0,6})n\s*([+-]\s*[0-9]{1,6})?|([+-]?[0-9]{1,6})")


def nth_formula(text: str) -> Callable[[int], bool] | None:
    """Whether a number fits ``2n+1``, ``odd`` or ``3`` (section 6); ``None`` when it is none."""
    text = text.strip().lower()
    match = _NTH.fullmatch({"odd": "2n+1", "even": "2n"}.get(text, text))
    if match is None:
        return None
    if match[3]:
        only = int(match[3])
        return lambda number: number == only
    step = int(match[1] + "1") if match[1] in ("", "+", "-") else int(match[1])
    start = int("".join(match[2].split())) if match[2] else 0
    if not step:
        return lambda number: number == start
    return lambda number: (number - start) % step == 0 and (number - start) // step >= 0
