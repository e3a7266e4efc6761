"""One Authentication-Results field: its tokens, and the results that they make (RFC 8601, 2.2).

Comments nest and may stand between any two tokens; a quoted string is one value whatever is in it.
Nothing is searched for in the text as such, since a sender chooses much of it: the address that is
quoted as ``smtp.mailfrom`` may well contain ``dmarc=pass``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from nornmail.message.headers import end_of_comment
from nornmail.message.limits import MAX_PARAMETERS

_BLANK: Final = " \t\r\n"
_PIECE = re.compile(r'[ \t\r\n]++|"((?>(?:[^"\\]++|\\.){0,9999}))"|[^ \t\r\n"();]++|;', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_METHOD = re.compile(r"([a-z0-9][a-z0-9-]*+)(?:/([0-9]{1,3}))?")
_VERSION: Final = "1"
"""Of the field and of every method so far. What another one would mean is not known."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one method found.

    Attributes:
        method: in lower case, such as ``"dkim"``.
        value: the result in lower case, such as ``"pass"``.
        properties: such as ``{"header.d": "example.com"}``, names in lower case, the first of each.
    """

    method: str
    value: str
    properties: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Word:
    """Characters without a blank or comment in between; ``cut`` is the place of its first ``=``."""

    text: str = ""
    cut: int = -1
    is_quoted: bool = False


def read_results(value: str) -> tuple[str, list[Result]]:
    """The authserv-id of a field, in lower case, and its results.

    Args:
        value: the field's, unfolded.

    Returns:
        ``""`` and nothing for a field that has no id, or an unknown version. A result that cannot
        be read is left out, and whatever stands behind a comment or string that never ends, or
        behind the first hundred results.
    """
    statements = _statements(value)
    head = statements[0]
    if not 1 <= len(head) <= 2 or head[0].cut >= 0 or (len(head) == 2 and head[1].text != _VERSION):
        return "", []
    results = [_result(words) for words in statements[1:]]
    return head[0].text.lower(), [one for one in results if one is not None]


def _statements(value: str) -> list[list[_Word]]:
    """The words between the semicolons."""
    statements: list[list[_Word]] = [[]]
    word: _Word | None = None
    at = 0
    while at < len(value):
        if value[at] == "(":
            at = end_of_comment(value, at + 1)
            word = None
            if at < 0:
                # What was being said when the comment began was not said to its end.
                statements[-1].clear()
                break
            continue
        piece = _PIECE.match(value, at)
        if piece is None:  # a string that never ends, or a parenthesis too many
            statements[-1].clear()
            break
        at = piece.end()
        if piece[0] == ";":
            if len(statements) > MAX_PARAMETERS:
                break
            statements.append([])
            word = None
        elif piece[0][0] in _BLANK:
            word = None
        else:
            if word is None:
                word = _Word()
                statements[-1].append(word)
            _extend(word, piece)
    return statements


def _extend(word: _Word, piece: re.Match[str]) -> None:
    quoted = piece[1]
    if quoted is not None:
        word.is_quoted = word.is_quoted or word.cut < 0
        word.text += _ESCAPE.sub(r"\1", quoted)
        return
    if word.cut < 0 and "=" in piece[0]:
        word.cut = len(word.text) + piece[0].index("=")
    word.text += piece[0]


def _pairs(words: list[_Word]) -> list[tuple[str, str]] | None:
    """``key=value`` for each, blanks around the equals sign allowed; ``None`` if one is no pair."""
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(words):
        word = words[at]
        at += 1
        text = word.text
        if word.cut < 0 and at < len(words) and words[at].cut == 0:  # key =value, key = value
            text += words[at].text
            word = _Word(text, len(word.text), word.is_quoted)
            at += 1
        if word.cut <= 0 or word.is_quoted:
            return None
        key, value = text[: word.cut], text[word.cut + 1 :]
        if not value and at < len(words) and words[at].cut < 0:  # key= value
            value = words[at].text
            at += 1
        pairs.append((key.lower(), value))
    return pairs


def _result(words: list[_Word]) -> Result | None:
    """The result that a statement is; ``None`` for ``none`` and for what is no result."""
    pairs = _pairs(words[: 2 * MAX_PARAMETERS])
    if not pairs:
        return None
    (key, value), rest = pairs[0], pairs[1:]
    method = _METHOD.fullmatch(key)
    if method is None or (method[2] or _VERSION) != _VERSION:
        return None
    properties: dict[str, str] = {}
    for name, said in rest:
        properties.setdefault(name, said)
    return Result(method[1], value.lower(), properties)
