"""What a SEARCH key asks of a message (RFC 3501, section 6.4.4)."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

from nornmail.testing.epoch import StoredMessage
from nornmail.testing.imap.grammar import MONTHS
from nornmail.testing.mime.fields import Field, fields, header_end
from nornmail.testing.mime.parts import Part, parse_parts
from nornmail.testing.mime.words import decoded_body, decoded_words

Test = Callable[[int, StoredMessage], bool]
"""Whether a message, with its sequence number, matches."""

FLAG_KEYS = {
    b"ANSWERED": "\\Answered",
    b"DELETED": "\\Deleted",
    b"DRAFT": "\\Draft",
    b"FLAGGED": "\\Flagged",
    b"SEEN": "\\Seen",
}
"""The keys that ask for a flag; with UN before them, for its absence."""

HEADER_KEYS = (b"FROM", b"TO", b"CC", b"BCC", b"SUBJECT")
"""The keys that are names of header fields."""

_FOLD = re.compile(rb"\r?\n[ \t]+")
_SENT = re.compile(rb"([0-9]{1,2})[ \t-]+([A-Za-z]{3})[A-Za-z]*[ \t-]+([0-9]{4}|[0-9]{2})\b")
_READABLE = (b"text", b"message", b"")
_CENTURY_TURNS = 50
"""Two-digit years below this are of 2000 (RFC 5322, section 4.3)."""


def has_flag(flag: str, wanted: bool) -> Test:
    """The flag is set, or is not."""
    lowered = flag.lower()
    return lambda _, message: (lowered in (held.lower() for held in message.flags)) is wanted


def dated(name: bytes, day: date, *, sent: bool) -> Test:
    """SINCE, BEFORE or ON a day, of INTERNALDATE or of the Date field; zones are left aside."""
    compare: Callable[[date], bool] = {
        b"SINCE": lambda when: when >= day,
        b"BEFORE": lambda when: when < day,
        b"ON": lambda when: when == day,
    }[name]
    if not sent:
        return lambda _, message: compare(message.internal_date.date())

    def test(_: int, message: StoredMessage) -> bool:
        when = _sent_on(message)
        return when is not None and compare(when)

    return test


def _sent_on(message: StoredMessage) -> date | None:
    """The day that the Date field names, None where it names none."""
    for field in fields(message.raw[: header_end(message.raw)]):
        if field.name.lower() == b"date":
            found = _SENT.search(field.value)
            month = found[2].decode("ascii").capitalize() if found else ""
            if found is None or month not in MONTHS:
                return None
            year = int(found[3])
            if len(found[3]) == 2:
                year += 2000 if year < _CENTURY_TURNS else 1900
            try:
                return date(year, MONTHS.index(month) + 1, int(found[1]))
            except ValueError:
                return None
    return None


def sized(name: bytes, size: int) -> Test:
    """LARGER or SMALLER than so many octets."""
    if name == b"LARGER":
        return lambda _, message: len(message.raw) > size
    return lambda _, message: len(message.raw) < size


def in_header(name: bytes, text: str) -> Test:
    """A part of a field's value, its encoded words decoded; an empty text: the field is there.

    A fold is one blank, however wide it is.
    """
    wanted, lowered = text.casefold(), name.lower()

    def test(_: int, message: StoredMessage) -> bool:
        header = message.raw[: header_end(message.raw)]
        return any(
            wanted in _shown(field).casefold()
            for field in fields(header)
            if field.name.lower() == lowered
        )

    return test


def _shown(field: Field) -> str:
    value = field.octets.partition(b":")[2].strip(b" \t\r\n")
    return decoded_words(_FOLD.sub(b" ", value))


def in_text(text: str, *, whole: bool) -> Test:
    """A part of the body, transfer encodings and charsets decoded; ``whole``: of headers too."""
    wanted = text.casefold()

    def test(_: int, message: StoredMessage) -> bool:
        if not wanted:
            return True
        return any(wanted in one.casefold() for one in _texts(parse_parts(message.raw), whole))

    return test


def _texts(part: Part, headers: bool) -> list[str]:
    """What can be read in a message or part."""
    found = []
    if headers:
        found += [(field.name + b": ").decode("latin-1") + _shown(field) for field in part.header]
    if part.kind == "leaf" and part.content_type.major.lower() in _READABLE:
        found.append(decoded_body(part))
    for child in part.children:
        found += _texts(child, headers)
    return found
