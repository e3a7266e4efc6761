"""SEARCH: its keys parsed into tests, and run over a view (RFC 3501, 6.4.4; RFC 4731)."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import date

from nornmail.testing.imap.client import View
from nornmail.testing.imap.grammar import MONTHS, BadSyntax, Cursor, Ranges, render_set
from nornmail.testing.imap.mime_parts import (
    Field,
    Part,
    decoded_body,
    decoded_words,
    fields,
    header_end,
    known_charset,
    parse_parts,
)
from nornmail.testing.mailbox import StoredMessage

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


def has_flag(flag: str, is_set: bool) -> Test:
    """A test for a flag that is set, or is not."""
    lowered = flag.lower()
    return lambda _, message: (lowered in (held.lower() for held in message.flags)) is is_set


def dated(name: bytes, day: date, *, sent: bool) -> Test:
    """A test of INTERNALDATE or of the Date field against a day; zones are ignored."""
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
            sent = _SENT.search(field.value)
            month = sent[2].decode("ascii").capitalize() if sent else ""
            if sent is None or month not in MONTHS:
                return None
            year = int(sent[3])
            if len(sent[3]) == 2:
                year += 2000 if year < _CENTURY_TURNS else 1900
            try:
                return date(year, MONTHS.index(month) + 1, int(sent[1]))
            except ValueError:
                return None
    return None


def sized(name: bytes, size: int) -> Test:
    """A test for messages LARGER or SMALLER than so many octets."""
    if name == b"LARGER":
        return lambda _, message: len(message.raw) > size
    return lambda _, message: len(message.raw) < size


def in_header(name: bytes, text: str) -> Test:
    """A test for a text in a field's value, decoded; an empty text tests for the field.

    A fold is one blank, however wide it is.
    """
    folded, lowered = text.casefold(), name.lower()

    def test(_: int, message: StoredMessage) -> bool:
        header = message.raw[: header_end(message.raw)]
        return any(
            folded in _shown(field).casefold()
            for field in fields(header)
            if field.name.lower() == lowered
        )

    return test


def _shown(field: Field) -> str:
    value = field.octets.partition(b":")[2].strip(b" \t\r\n")
    return decoded_words(_FOLD.sub(b" ", value))


def in_text(text: str, *, whole: bool) -> Test:
    """A test for a text in the decoded body; ``whole``: in the headers too."""
    folded = text.casefold()

    def test(_: int, message: StoredMessage) -> bool:
        if not folded:
            return True
        return any(folded in text.casefold() for text in _texts(parse_parts(message.raw), whole))

    return test


def _texts(part: Part, headers: bool) -> list[str]:
    """The readable texts of a message or part."""
    texts = []
    if headers:
        texts += [(field.name + b": ").decode("latin-1") + _shown(field) for field in part.header]
    if part.kind == "leaf" and part.content_type.major.lower() in _READABLE:
        texts.append(decoded_body(part))
    for child in part.children:
        texts += _texts(child, headers)
    return texts


MAX_DEPTH = 50
"""NOT, OR and parentheses inside each other: far under the interpreter's recursion limit."""

_KEY = re.compile(rb"[A-Za-z0-9]+")
_RETURN = {b"ALL", b"COUNT", b"MIN", b"MAX"}


class BadCharset(Exception):
    """The CHARSET is none the server knows; it is answered NO [BADCHARSET]."""


@dataclass(frozen=True)
class SearchKey:
    """One key. A set of numbers is kept as such, so that not every message is looked at."""

    test: Test
    picked: list[tuple[int, int]] | None = None


@dataclass(frozen=True)
class Search:
    """A parsed SEARCH.

    Args:
        options: those of RETURN, None for a plain answer.
        keys: all of them must match.
        by_modseq: whether one of them is MODSEQ, so that the answer tells the highest one.
    """

    options: frozenset[bytes] | None
    keys: list[SearchKey]
    by_modseq: bool = False

    def candidates(self, view: View) -> list[tuple[int, StoredMessage]]:
        """The messages that the sets in it leave, with their sequence numbers, ascending."""
        picked = [key.picked for key in self.keys if key.picked is not None]
        pairs = picked[0] if picked else list(enumerate(view.uids, 1))
        sets = [set(others) for others in picked[1:]]
        messages = view.epoch.messages
        return [
            (number, messages[uid])
            for number, uid in pairs
            if uid in messages and all((number, uid) in chosen for chosen in sets)
        ]

    def among(self, candidates: list[tuple[int, StoredMessage]]) -> list[tuple[int, int]]:
        """The (sequence number, UID) pairs that match. It needs no lock, and may take its time."""
        tests = [key.test for key in self.keys if key.picked is None]
        return [
            (number, message.uid)
            for number, message in candidates
            if all(test(number, message) for test in tests)
        ]


class SearchParser:
    """Reads a SEARCH for one view."""

    def __init__(self, cursor: Cursor, view: View, capabilities: Collection[str]) -> None:
        self._cursor = cursor
        self._view = view
        self._capabilities = capabilities
        self._charset = "us-ascii"
        self._by_modseq = False

    def parse(self) -> Search:
        """Everything behind ``SEARCH``."""
        cursor = self._cursor
        options: frozenset[bytes] | None = None
        cursor.space()
        if "ESEARCH" in self._capabilities and cursor.accept(b"RETURN "):
            options = self._return_options()
            cursor.space()
        if cursor.accept(b"CHARSET "):
            charset = known_charset(cursor.astring())
            if charset is None:
                raise BadCharset
            self._charset = charset
            cursor.space()
        keys = [self._key(0)]
        while cursor.accept(b" "):
            keys.append(self._key(0))
        cursor.end()
        return Search(options, keys, self._by_modseq)

    def _return_options(self) -> frozenset[bytes]:
        if self._cursor.accept(b"()"):
            return frozenset([b"ALL"])
        options = frozenset(option.upper() for option in self._cursor.astrings())
        if not options <= _RETURN:
            raise BadSyntax("unknown RETURN option")
        return options

    def _key(self, depth: int) -> SearchKey:
        if depth > MAX_DEPTH:
            raise BadSyntax("search keys too deep")
        cursor = self._cursor
        if cursor.at_set():
            return self._set_key(by_uid=False)
        if cursor.accept(b"("):
            return SearchKey(self._list(depth + 1))
        word = cursor.match(_KEY)
        name = word[0].upper() if word else b""
        if name == b"UID":
            cursor.space()
            return self._set_key(by_uid=True)
        if name == b"NOT":
            cursor.space()
            inner = self._key(depth + 1).test
            return SearchKey(lambda number, message: not inner(number, message))
        if name == b"OR":
            cursor.space()
            first = self._key(depth + 1).test
            cursor.space()
            second = self._key(depth + 1).test
            return SearchKey(lambda at, message: first(at, message) or second(at, message))
        return SearchKey(self._simple(name))

    def _list(self, depth: int) -> Test:
        tests = [self._key(depth).test]
        while self._cursor.accept(b" "):
            tests.append(self._key(depth).test)
        self._cursor.expect(b")")
        return lambda number, message: all(test(number, message) for test in tests)

    def _set_key(self, *, by_uid: bool) -> SearchKey:
        uids = self._view.uids
        largest = (uids[-1] if uids else 0) if by_uid else len(uids)
        ranges: Ranges = self._cursor.sequence_set(largest)
        if not by_uid and (not ranges or ranges[-1][1] > largest):
            raise BadSyntax("invalid message set")
        picked = self._view.pick(ranges, by_uid=by_uid)
        numbers = frozenset(number for number, _ in picked)
        return SearchKey(lambda number, _: number in numbers, picked)

    def _simple(self, name: bytes) -> Test:
        if name in (b"ALL", b"OLD"):
            return lambda number, message: True
        if name in (b"NEW", b"RECENT"):
            return lambda number, message: False  # nothing is ever \\Recent here
        if name in FLAG_KEYS:
            return has_flag(FLAG_KEYS[name], True)
        if name.startswith(b"UN") and name[2:] in FLAG_KEYS:
            return has_flag(FLAG_KEYS[name[2:]], False)
        return self._with_argument(name)

    def _with_argument(self, name: bytes) -> Test:
        cursor = self._cursor
        cursor.space()
        if name in (b"KEYWORD", b"UNKEYWORD"):
            return has_flag(cursor.atom().decode("ascii"), name == b"KEYWORD")
        if name.removeprefix(b"SENT") in (b"SINCE", b"BEFORE", b"ON"):
            sent = name.startswith(b"SENT")
            return dated(name.removeprefix(b"SENT"), cursor.date(), sent=sent)
        if name in (b"LARGER", b"SMALLER"):
            return sized(name, cursor.number())
        if name == b"HEADER":
            field = cursor.astring()
            cursor.space()
            return in_header(field, self._string())
        if name in HEADER_KEYS:
            return in_header(name, self._string())
        if name in (b"TEXT", b"BODY"):
            return in_text(self._string(), whole=name == b"TEXT")
        if name == b"MODSEQ" and "CONDSTORE" in self._capabilities:
            return self._modseq()
        raise BadSyntax("unknown search key")

    def _string(self) -> str:
        """A string in the charset that was named; without one, UTF-8 is taken for it as well."""
        text = self._cursor.astring()
        charset = "utf-8" if self._charset == "us-ascii" else self._charset
        return text.decode(charset, "replace")

    def _modseq(self) -> Test:
        """MODSEQ, whose entry name and type change nothing here (RFC 7162, section 3.1.5)."""
        cursor = self._cursor
        if cursor.at(b'"'):
            cursor.string()
            cursor.space()
            cursor.atom()
            cursor.space()
        least, modseqs = cursor.modseq(), self._view.epoch.modseqs
        self._by_modseq = True
        return lambda _, message: modseqs.get(message.uid, 0) >= least


def render_search(
    search: Search, numbers: list[int], highest: int | None, *, tag: bytes, by_uid: bool
) -> bytes:
    """The untagged answer: SEARCH, or ESEARCH when RETURN was asked for."""
    modseq = b"MODSEQ %d" % highest if highest is not None else b""
    if search.options is None:
        words = [b"* SEARCH", *(b"%d" % number for number in numbers)]
        return b" ".join(words + [b"(" + modseq + b")"] * bool(modseq)) + b"\r\n"
    parts = [b'* ESEARCH (TAG "%s")' % tag] + [b"UID"] * by_uid
    if numbers and b"MIN" in search.options:
        parts.append(b"MIN %d" % numbers[0])
    if numbers and b"MAX" in search.options:
        parts.append(b"MAX %d" % numbers[-1])
    if b"COUNT" in search.options:
        parts.append(b"COUNT %d" % len(numbers))
    if numbers and b"ALL" in search.options:
        parts.append(b"ALL " + render_set(numbers))
    return b" ".join(parts + [modseq] * bool(modseq)) + b"\r\n"
