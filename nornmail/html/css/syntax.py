"""CSS cut into statements and declarations (CSS Syntax Level 3). Linear."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

_STRING: Final = r"""\"(?>(?:[^"\\\n]|\\.)*)\"?|'(?>(?:[^'\\\n]|\\.)*)'?"""
_COMMENTS: Final = re.compile(rf"({_STRING})|/\*.*?(?:\*/|\Z)", re.S)
_PIECES: Final = re.compile(rf"{_STRING}|\\.|[(){{}}\[\];]|<!--|-->", re.S)
_ESCAPE: Final = re.compile(r"\\(?:([0-9a-fA-F]{1,6})(?:\r\n|[ \t\n\r\f])?|\n|(.)|\Z)", re.S)
_IMPORTANT: Final = re.compile(r"!\s*+important\s*+\Z", re.I)
_WORDS: Final = re.compile(rf"(?:{_STRING}|[^\s()\"'])+|\(|\)|\s+", re.S)
_OPEN: Final = "([{"
_CLOSE: Final = ")]}"


class Declaration(NamedTuple):
    """A property and its value, both in lower case but for custom properties."""

    name: str
    value: str
    important: bool


class Statement(NamedTuple):
    """``prelude { body }``, or ``prelude;`` where the body is ``None``."""

    prelude: str
    body: str | None


def without_comments(css: str) -> str:
    """Comments become a blank: they part words."""
    return _COMMENTS.sub(lambda found: found[1] or " ", css) if "/*" in css else css


def unescape(text: str) -> str:
    r"""``\64 isplay`` is ``display``."""
    return _ESCAPE.sub(_escaped, text) if "\\" in text else text


def _escaped(found: re.Match[str]) -> str:
    if found[1]:
        number = int(found[1], 16)
        ok = 0 < number < 0x110000 and not 0xD800 <= number < 0xE000
        return chr(number) if ok else "\ufffd"
    return found[2] or ""


def statements(css: str, *, is_sheet: bool = False) -> Iterator[Statement]:
    """Rules and declarations, one level deep. ``css`` is without comments.

    Args:
        is_sheet: on the outermost level of a sheet a semicolon ends nothing but an at-rule.
    """
    start = level = body = 0
    closing: list[str] = []
    for found in _PIECES.finditer(css):
        piece = found[0]
        if piece in ("<!--", "-->"):
            if not closing and not css[start : found.start()].strip():
                start = found.end()
        elif piece in _OPEN:
            if piece == "{" and not closing:
                body = found.end()
                level = 1
            closing.append(_CLOSE[_OPEN.index(piece)])
        elif piece in _CLOSE:
            if piece in closing:
                while closing.pop() != piece:
                    pass
            if level and not closing:
                yield Statement(css[start : body - 1].strip(), css[body : found.start()])
                start, level = found.end(), 0
        elif piece == ";" and not closing:
            if is_sheet and not css[start : found.start()].lstrip().startswith("@"):
                continue
            yield Statement(css[start : found.start()].strip(), None)
            start = found.end()
    if level:
        yield Statement(css[start : body - 1].strip(), css[body:])
    elif css[start:].strip():
        yield Statement(css[start:].strip(), None)


def declaration(text: str) -> Declaration | None:
    """``text`` is what stands between two semicolons."""
    name, colon, value = text.partition(":")
    name = unescape(name).strip()
    if not colon or not name:
        return None
    value = value.strip()
    important = False
    if "!" in value:
        plain = unescape(value)
        found = _IMPORTANT.search(plain)
        if found:
            important = True
            value = plain[: found.start()].rstrip()
    if name.startswith("--"):
        return Declaration(name, value, important)
    return Declaration(name.lower(), unescape(value).lower(), important)


def declarations(css: str) -> Iterator[Declaration]:
    """Those of a block or of a ``style`` attribute; ``css`` is without comments."""
    for prelude, body in statements(css):
        one = declaration(prelude) if body is None else None
        if one is not None:
            yield one


def split(text: str, separator: str) -> list[str]:
    """``text`` at each ``separator`` that is in no brackets and no string."""
    if separator not in text:
        return [text]
    pieces, start, depth = [], 0, 0
    for found in re.finditer(rf"{_STRING}|\\.|[(){{}}\[\]]|{re.escape(separator)}", text, re.S):
        piece = found[0]
        if piece == separator:
            if depth <= 0:
                pieces.append(text[start : found.start()])
                start = found.end()
        elif piece in _OPEN:
            depth += 1
        elif piece in _CLOSE:
            depth -= 1
    pieces.append(text[start:])
    return pieces


def words(text: str) -> list[str]:
    """``text`` at the blanks that are in no brackets; ``a/b`` is one word."""
    out: list[str] = []
    current, depth = "", 0
    for found in _WORDS.finditer(text):
        piece = found[0]
        depth += (piece == "(") - (piece == ")")
        if depth <= 0 and piece.isspace():
            if current:
                out.append(current)
            current = ""
        else:
            current += piece
    return [*out, current] if current else out


def function(text: str) -> tuple[str, str] | None:
    """``name(inside)`` as a name and what is inside; ``None`` when it is not one function."""
    name, bracket, inside = text.partition("(")
    if not bracket:
        return None
    inside = inside.rstrip()
    return name.strip(), inside.removesuffix(")")
