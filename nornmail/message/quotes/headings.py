"""The header block that Outlook and others put above what they quote, and the line above that."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence
from typing import Final

from nornmail.message.quotes.attribution import is_strong
from nornmail.message.quotes.lines import MAX_MARK_CHARS, is_quote, is_rule, plain
from nornmail.message.quotes.phrases import (
    CC,
    FORWARDED,
    FROM,
    ORIGINAL,
    ORIGINAL_STARTS,
    REPLY_ABOVE,
    SENT,
    SUBJECT,
    TO,
)

_MAX_BLANKS: Final = 2
"""Blank lines between two fields of one block."""
_MAX_BLOCK_LINES: Final = 18
"""Lines of one header block: five fields, some of them wrapped."""
_MAX_WRAPPED: Final = 3
"""Lines without a field's name in a row within a block: a long list of recipients."""
_MAX_LABEL_CHARS: Final = 32

_FIELDS: Final[dict[str, str]] = {
    name: kind
    for kind, names in (
        ("cc", CC), ("to", TO), ("subject", SUBJECT), ("sent", SENT), ("from", FROM)
    )
    for name in names
}  # fmt: skip
"""The meaning of a field's name. Where languages share one, the more specific meaning is kept."""
_LABEL = re.compile(r"[*_ ]{0,4}([^:\uff1a]{1,32}?)[*_ ]{0,4}[:\uff1a](?!//)")
_RAW = re.compile(
    r"(?:Message-ID|MIME-Version|Content-[A-Z-]{4,25}|Received|Return-Path|DKIM-Signature|X-[A-Z-]+):",
    re.I,
)
"""A field that no program shows to people: somebody shows a message as it is."""
_SURE = re.compile(
    r"[^\s@]@[^\s@]|[0-9][:.h][0-9]{2}(?![0-9.])"
    r"|[0-9] ?(?:[ap]\.?m\b|[\u65f6\u6642\u70b9\u9ede\uc2dc])"
)
"""An address or a time of day."""
_CLOCK = re.compile(r"[0-9]{1,2}(?:[:.h][0-9]{0,2})? ?(?:[ap]\.?m\.?|uhr)?")
_BARE = re.compile(r"[-_=*~\u2014\u2013<>|\s.:\uff1a]+")
_HEADING = re.compile(r"\s*-{3,} ?[^-\n]{3,60}(?:-[^-\n]{1,30})? ?-{3,}\s*")
_DASHES: Final = ("--", "__", "==", "**", "~~", "\u2014\u2014", "- -")
_MAX_RULES: Final = 6
"""Rules and blank lines above a header block that go with it."""
_MAX_PHRASE_CHARS: Final = 160
_MAX_PHRASE_WORDS: Final = 6
"""Words of the line above a message that is passed on, where no dashes are around them."""


def field_of(line: str) -> str:
    """``"from"``, ``"sent"``, ``"to"``, ``"cc"`` or ``"subject"`` where it is such a field."""
    head = line[: 2 * _MAX_LABEL_CHARS]
    if (":" not in head and "\uff1a" not in head) or len(line) > 4 * MAX_MARK_CHARS:
        return ""
    label = _LABEL.match(plain(head))
    return _FIELDS.get(label[1].strip(), "") if label else ""


def block_end(lines: Sequence[str], at: int, *, below_rule: bool) -> int:
    """The index behind the header block that begins at ``at``; 0 when none does.

    It has a sender and a date, recipients or a subject, three of these; two below a rule or a line
    such as "Original Message". A date has a digit in it, and a sender is not nothing.
    """
    first = field_of(lines[at])
    if not first or first == "cc":
        return 0
    if _is_raw_above(lines, at):
        return 0
    kinds: dict[str, str] = {}
    end = at
    wrapped = 0
    for index in range(at, min(at + _MAX_BLOCK_LINES, len(lines))):
        line = lines[index]
        kind = field_of(line)
        if kind == first and index > at:
            break
        if _RAW.match(line.lstrip()):
            return 0
        if kind:
            kinds.setdefault(kind, _value(lines, index))
            end = index + 1
            wrapped = 0
        elif not line.strip():
            # Some programs put an empty line between two fields; any field ends that.
            if not _is_other_field_below(lines, index, kinds):
                break
        elif is_quote(line) or wrapped == _MAX_WRAPPED:
            break
        else:
            wrapped += 1
    needed = 2 if below_rule else 3
    telling = kinds.keys() - {"cc"}
    if len(telling) < needed or not kinds.get("from") or not telling & {"sent", "subject"}:
        return 0
    if below_rule or _is_of_mail(kinds):
        return _past_wrapped(lines, end)
    return 0


def _is_other_field_below(lines: Sequence[str], at: int, known: Container[str]) -> bool:
    """Below the blank lines at ``at`` comes a field that the block does not have yet."""
    below = next((line for line in lines[at : at + _MAX_BLANKS + 1] if line.strip()), "")
    kind = field_of(below)
    return bool(kind) and kind not in known


def _is_raw_above(lines: Sequence[str], at: int) -> bool:
    """A field that no program shows stands above, in the same paragraph."""
    for index in range(at - 1, max(at - _MAX_BLOCK_LINES, 0) - 1, -1):
        if not lines[index].strip():
            return False
        if _RAW.match(lines[index].lstrip()):
            return True
    return False


def _is_of_mail(kinds: dict[str, str]) -> bool:
    """A journey or a memorandum has a from, a to, a date and a subject, and no time or address."""
    if "sent" in kinds and not any(char.isdigit() for char in kinds["sent"]):
        return False
    if _CLOCK.fullmatch(kinds["from"]):
        return False  # a shift from nine to five
    return bool(_SURE.search(" ".join(kinds.values())))


def _value(lines: Sequence[str], index: int) -> str:
    """The value of a field, of its next line where its own has none."""
    value = plain(lines[index][:MAX_MARK_CHARS].replace("\uff1a", ":")).partition(":")[2]
    if value.strip(" *_") or index + 1 >= len(lines):
        return value.strip(" *_")
    return "" if field_of(lines[index + 1]) else lines[index + 1].strip()


def _past_wrapped(lines: Sequence[str], end: int) -> int:
    """The index behind the rest of a wrapped last field: lines up to the blank one."""
    for index in range(end, min(end + _MAX_WRAPPED, len(lines))):
        if not lines[index].strip() or is_quote(lines[index]):
            return index
    return end


def _bare(phrase: str) -> str:
    return _BARE.sub(" ", phrase).strip()


_ORIGINAL_SET: Final = frozenset(map(_bare, ORIGINAL))
_ORIGINAL_PREFIX = re.compile(
    "|".join(re.escape(_bare(phrase)) for phrase in ORIGINAL if len(phrase) > 8)
)
"""A phrase that is telling enough to have a name behind it: "Original message from Ann"."""
_FORWARDED = re.compile("|".join(map(re.escape, FORWARDED)))


def _is_ruled(line: str) -> bool:
    """Whether dashes stand before or behind the words of a line."""
    text = line.strip()
    parts = (text, text.strip("*_ "))
    return any(part.startswith(_DASHES) or part.endswith(_DASHES) for part in parts)


def is_head(lines: Sequence[str], at: int) -> bool:
    """A header field, or an attribution over up to three lines, begins at ``at`` or soon below."""
    inner = [line.lstrip("> ") for line in lines[at : at + 7] if line.strip("> ")][:3]
    if not inner:
        return False
    return bool(field_of(inner[0])) or any(
        is_strong(plain(" ".join(inner[:count]))) for count in range(1, len(inner) + 1)
    )


def is_original(lines: Sequence[str], at: int) -> bool:
    """Whether the line stands above the message that is answered: "-----Original Message-----"."""
    line = lines[at]
    text = plain(line[:_MAX_PHRASE_CHARS])
    if text.startswith(ORIGINAL_STARTS) or any(phrase in text for phrase in REPLY_ABOVE):
        return True
    if len(line) > _MAX_PHRASE_CHARS or not (inner := _bare(text)):
        return False
    if _is_ruled(line):
        return inner in _ORIGINAL_SET or bool(_ORIGINAL_PREFIX.match(inner))
    return inner in _ORIGINAL_SET and is_head(lines, at + 1)


def is_forward(lines: Sequence[str], at: int) -> bool:
    """Whether the line stands above a message that is passed on: "Begin forwarded message:"."""
    line = lines[at]
    if len(line) > _MAX_PHRASE_CHARS or not _FORWARDED.search(text := plain(line)):
        return False
    if _is_ruled(line):
        return True
    return len(text.split()) <= _MAX_PHRASE_WORDS and is_head(lines, at + 1)


def begins_forward(quoted: Sequence[str], *, has_headers: bool = False) -> bool:
    """Whether a quote begins with the line above a message that is passed on (Apple Mail).

    Args:
        quoted: the first lines of the quote.
        has_headers: a header block is enough, since the subject says that a message is passed on.
    """
    inner = [line.lstrip("> ") for line in quoted if line.strip("> \u00a0")]
    if not inner or len(inner[0]) > _MAX_PHRASE_CHARS:
        return False
    if is_forward(inner, 0):
        return True
    return has_headers and block_end(inner, 0, below_rule=False) > 0


def rule_above(lines: Sequence[str], at: int) -> int:
    """The start of the rules and blank lines right above line ``at``; ``at`` for none."""
    start = at
    while start > max(at - _MAX_RULES, 0) and (
        not lines[start - 1].strip() or _is_heading(lines[start - 1])
    ):
        start -= 1
    return start if any(_is_heading(line) for line in lines[start:at]) else at


def _is_heading(line: str) -> bool:
    """A rule, or one with a few words in it, whatever they say."""
    return is_rule(line) or (len(line) < _MAX_PHRASE_CHARS and bool(_HEADING.fullmatch(line)))
