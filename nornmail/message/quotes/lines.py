"""Predicates on one line of text. Pure, and each bounded by the length of the line."""

from __future__ import annotations

import re
from enum import Enum
from typing import Final

MAX_MARK_CHARS: Final = 400
"""Characters of an attribution or a header line; what is longer is prose."""

_INVISIBLE = str.maketrans(
    dict.fromkeys("\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
    | dict.fromkeys("\u00a0\u202f\u2007\u3000\t", " ")
    | {"\u0130": "i"}  # Turkish, whose lower case would be two characters
)
_BRACKET = re.compile(r"> ?[^>:\uff1a]{0,30}[:\uff1a]\s*$")
_BRACKET_CHARS: Final = 40
_OF_A_CARD = re.compile(
    r"[|\u2022\u00b7]|\b(?:ltd|inc|corp|co|bros|dept|jr|sr|str|e\.?v|s\.?a|s\.?l|s\.?r\.?l|s\.?p\.?a)\.$",
    re.I,
)
"""Columns, or the end of a company's name: its full stop ends no sentence."""
_RULE = re.compile(r"[-_=*~\u2014\u2013\u2500\s]{2,}")

ADDRESS = re.compile(r"[\w.+%'=-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}")
"""A string that looks like a mail address."""
URL = re.compile(r"https?://|www\.[a-z0-9-]", re.I)
_DATE = re.compile(
    r"[0-9]{1,2}/[0-9]{1,2}/[0-9]{2,4}"
    r"|(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2}|[0-9]{1,2}\.[0-9]{1,2}\.(?:19|20)[0-9]{2}(?![.0-9])"
)
PHONE = re.compile(r"(?<![\w.,-])(?:\+|\(|00?)?[0-9](?:[ ()./-]{0,2}[0-9]){6,14}(?![\w])")
"""Seven to fifteen digits with the usual marks in between."""


class LineKind(Enum):
    """The kind of a line in the search for the new text."""

    BLANK = 0
    TEXT = 1
    QUOTE = 2
    MARK = 3
    """An attribution or a header block above a quote."""


def normalized(line: str) -> str:
    """``line`` in lower case without blanks around it, marks of direction or emphasis."""
    return (line if line.isascii() else line.translate(_INVISIBLE)).strip().lower()


def is_quote(line: str) -> bool:
    """Whether it begins with ``>``, as quoted text does; so does ``>>>`` at a Python prompt."""
    return line.startswith(">") or (line.startswith(" ") and line[:4].lstrip().startswith(">"))


def is_bar(line: str) -> bool:
    """Whether it begins with ``|``, as some programs mark a quote; rows of tables have more."""
    return line.startswith("|") and line.count("|") == 1


def closes_bracket(line: str, above: str) -> bool:
    """Whether its ``>`` ends an address that the line above begins, and marks no quote."""
    if not line.startswith(">") or len(line) > _BRACKET_CHARS:
        return False
    return above.rfind("<") > above.rfind(">") and bool(_BRACKET.match(line))


def is_rule(line: str) -> bool:
    """Whether it has nothing but dashes, underscores and the like, two at least."""
    text = line.strip()
    return len(text) > 1 and len(text) <= MAX_MARK_CHARS and bool(_RULE.fullmatch(text))


def is_prose(line: str) -> bool:
    """Whether it reads like a part of a sentence: too much for a name, a title or an address."""
    text = line.strip()
    if URL.search(text) or ADDRESS.search(text[:MAX_MARK_CHARS]):
        return len(text) > 2 * 80
    words = text.count(" ") + 1
    if len(text) > 70:
        return True
    ends = words > 4 and text.endswith((".", "!", "?", ":", "。"))
    return ends and not _OF_A_CARD.search(text)


def has_contact(line: str) -> bool:
    """Whether a mail address, a web address or a telephone number stands in it."""
    text = line[:MAX_MARK_CHARS]
    if ADDRESS.search(text) or URL.search(text):
        return True
    return bool(PHONE.search(_DATE.sub("", text)))
