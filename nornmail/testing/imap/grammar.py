"""Reads the arguments of IMAP commands (RFC 3501, section 9). Bytes go in, values come out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone

MAX_NUMBER = 2**32 - 1
"""Numbers on the wire have 32 bits."""

MAX_MODSEQ = 2**63 - 1
"""Mod-sequences have 63 bits (RFC 7162, section 7)."""

MAX_ESCAPES = 4
"""Escapes in a quoted string, above which a literal is shorter to read; as Dovecot has it."""

REPLACEMENT = "\ufffd".encode()
"""Replaces a NUL, which no answer may hold outside of BODY[] (RFC 3501, CHAR8)."""

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
"""Month names of the wire, whatever the locale is."""

_ATOM = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_ASTRING = re.compile(rb'[^\x00-\x20\x7f-\xff(){%*"\\]+')
_LIST_MAILBOX = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_QUOTED = re.compile(rb'"([^"\\\r\n]*(?:\\["\\][^"\\\r\n]*)*)"')
_FLAG = re.compile(rb'\\?[^\x00-\x20\x7f-\xff(){%*"\\\]]+')
_NUMBER = re.compile(rb"[0-9]{1,10}")
_MODSEQ = re.compile(rb"[0-9]{1,19}")
_SET = re.compile(rb"[0-9*:,]+")
_DATE = re.compile(rb'"?([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})"?')
_DATE_TIME = re.compile(
    rb'"([ 0-9][0-9])-([A-Za-z]{3})-([0-9]{4}) '
    rb'([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)

Ranges = list[tuple[int, int]]
"""Sorted, disjoint ranges, both ends included."""


class BadSyntax(Exception):
    """The command cannot be understood; it is answered BAD."""


class Cursor:
    """A place in a command.

    Args:
        pieces: the command after its tag: a line's text, then literal and text in turn. A text
            stops where its literal's ``{n}`` began.
    """

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = pieces
        self._index = 0
        self._at = 0

    def match(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """Go past what the pattern matches here, if it does."""
        match = pattern.match(self._pieces[self._index], self._at)
        if match is not None:
            self._at = match.end()
        return match

    def accept(self, text: bytes) -> bool:
        """Go past this text, in any case, if it comes next."""
        end = self._at + len(text)
        if self._pieces[self._index][self._at : end].upper() != text.upper():
            return False
        self._at = end
        return True

    def expect(self, text: bytes) -> None:
        """Go past this text, or BadSyntax."""
        if not self.accept(text):
            raise BadSyntax(f"expected {text.decode('ascii')!r}")

    def space(self) -> None:
        """Go past one space."""
        self.expect(b" ")

    def done(self) -> bool:
        """Whether the command ends here."""
        last = self._index == len(self._pieces) - 1
        return last and self._at == len(self._pieces[self._index])

    def end(self) -> None:
        """The command must end here."""
        if not self.done():
            raise BadSyntax("unexpected argument")

    def atom(self) -> bytes:
        """An atom."""
        return self._required(_ATOM, "an atom")[0]

    def number(self) -> int:
        """A number of 32 bits."""
        return self._integer(_NUMBER, "number", MAX_NUMBER)

    def modseq(self) -> int:
        """A mod-sequence of 63 bits (RFC 7162, section 7)."""
        return self._integer(_MODSEQ, "mod-sequence", MAX_MODSEQ)

    def _integer(self, pattern: re.Pattern[bytes], what: str, most: int) -> int:
        value = int(self._required(pattern, f"a {what}")[0])
        if value > most:
            raise BadSyntax(f"{what} too large")
        return value

    def astring(self) -> bytes:
        """An atom, a quoted string or a literal."""
        match = self.match(_ASTRING)
        return match[0] if match else self.string()

    def list_mailbox(self) -> bytes:
        """A mailbox name that may hold the wildcards of LIST."""
        match = self.match(_LIST_MAILBOX)
        return match[0] if match else self.string()

    def string(self) -> bytes:
        """A quoted string or a literal."""
        if match := self.match(_QUOTED):
            return re.sub(rb'\\(["\\])', rb"\1", match[1])
        literal = self._literal()
        if literal is None:
            raise BadSyntax("expected a string")
        return literal

    def nil_or_string(self) -> bytes | None:
        """A string, or None for NIL."""
        return None if self.accept(b"NIL") else self.string()

    def literal(self) -> bytes:
        """A literal and nothing else."""
        literal = self._literal()
        if literal is None:
            raise BadSyntax("expected a literal")
        return literal

    def flags_after_parenthesis(self) -> list[str]:
        """Flags up to the closing parenthesis; the opening one is behind us."""
        flags: list[str] = []
        while not self.accept(b")"):
            if flags:
                self.space()
            flags.append(self._flag())
        return flags

    def bare_flags(self) -> list[str]:
        """Flags of a STORE, in parentheses or without."""
        if self.accept(b"("):
            return self.flags_after_parenthesis()
        flags = [self._flag()]
        while self.accept(b" "):
            flags.append(self._flag())
        return flags

    def astrings(self) -> list[bytes]:
        """Strings in parentheses, at least one."""
        self.expect(b"(")
        strings = [self.astring()]
        while self.accept(b" "):
            strings.append(self.astring())
        self.expect(b")")
        return strings

    def sequence_set(self, largest: int) -> Ranges:
        """A set of sequence numbers or UIDs."""
        text = self._required(_SET, "a message set")[0]
        ranges = [_range(part, largest) for part in text.split(b",")]
        return merge(pair for pair in ranges if pair[0])

    def at(self, text: bytes) -> bool:
        """Whether this text comes next."""
        return self._pieces[self._index].startswith(text, self._at)

    def at_set(self) -> bool:
        """Whether a set of numbers comes next."""
        return self._pieces[self._index][self._at : self._at + 1] in tuple(
            b"%c" % char for char in b"0123456789*"
        )

    def date(self) -> date:
        """A day, as ``1-Feb-2024``."""
        day, month, year = self._required(_DATE, "a date").groups()
        try:
            return date(int(year), _month(month), int(day))
        except ValueError as error:
            raise BadSyntax("no such date") from error

    def date_time(self) -> datetime | None:
        """A date and time in quotes, if one comes next."""
        match = self.match(_DATE_TIME)
        if match is None:
            return None
        day, month, year, hour, minute, second, sign, zone_h, zone_m = match.groups()
        offset = timedelta(hours=int(zone_h), minutes=int(zone_m))
        try:
            zone = timezone(-offset if sign == b"-" else offset)
            clock = (int(hour), int(minute), int(second))
            return datetime(int(year), _month(month), int(day), *clock, tzinfo=zone)
        except ValueError as error:
            raise BadSyntax("no such time") from error

    def _flag(self) -> str:
        return self._required(_FLAG, "a flag")[0].decode("ascii")

    def _required(self, pattern: re.Pattern[bytes], what: str) -> re.Match[bytes]:
        match = self.match(pattern)
        if match is None:
            raise BadSyntax(f"expected {what}")
        return match

    def _literal(self) -> bytes | None:
        at_end = self._at == len(self._pieces[self._index])
        if not at_end or self._index + 2 >= len(self._pieces):
            return None
        literal = self._pieces[self._index + 1]
        self._index += 2
        self._at = 0
        return literal


def merge(pairs: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges sorted and joined where they touch."""
    merged: Ranges = []
    for low, high in sorted(pairs):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return merged


def render_set(numbers: Iterable[int]) -> bytes:
    """Numbers as a set, ascending, in ranges where they follow each other."""
    ranges = merge((number, number) for number in numbers)
    return b",".join(b"%d" % low if low == high else b"%d:%d" % (low, high) for low, high in ranges)


def render_string(value: bytes) -> bytes:
    """A string for an answer: an atom where it can be one, else quoted, else a literal."""
    if _ATOM.fullmatch(value) and value.upper() != b"NIL":
        return value
    return render_quoted(value)


def render_quoted(value: bytes) -> bytes:
    """A string for an answer that is never an atom: quoted where it can be, else a literal."""
    value = value.replace(b"\x00", REPLACEMENT)
    special = value.count(b'"') + value.count(b"\\")
    if special > MAX_ESCAPES or re.search(rb"[\r\n\x80-\xff]", value):
        return b"{%d}\r\n%s" % (len(value), value)
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", value) + b'"'


def render_nstring(value: bytes | None) -> bytes:
    """A string, or NIL for None."""
    return b"NIL" if value is None else render_quoted(value)


def render_date_time(when: datetime) -> bytes:
    """An INTERNALDATE with its quotes."""
    month = MONTHS[when.month - 1]
    return f'"{when.day:2d}-{month}-{when.year:04d} {when:%H:%M:%S %z}"'.encode("ascii")


def _range(part: bytes, largest: int) -> tuple[int, int]:
    ends = part.split(b":")
    if len(ends) > 2:
        raise BadSyntax("not a range")
    numbers = [largest if end == b"*" else _nz_number(end) for end in ends]
    return min(numbers), max(numbers)


def _nz_number(text: bytes) -> int:
    if not _NUMBER.fullmatch(text) or not 0 < int(text) <= MAX_NUMBER:
        raise BadSyntax("not a message number")
    return int(text)


def _month(name: bytes) -> int:
    return MONTHS.index(name.decode("ascii").capitalize()) + 1
