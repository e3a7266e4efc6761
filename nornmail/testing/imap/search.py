"""SEARCH: its keys parsed into tests, and run over a view (RFC 3501, 6.4.4; RFC 4731)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from nornmail.testing.imap.fetch import header_end
from nornmail.testing.imap.grammar import BadSyntax, Cursor, Ranges, render_set
from nornmail.testing.imap.view import StoredMessage, View

MAX_DEPTH = 50
"""NOT, OR and parentheses inside each other: far under the interpreter's recursion limit."""

Test = Callable[[int, StoredMessage], bool]
"""Whether a message, with its sequence number, matches."""

_KEY = re.compile(rb"[A-Za-z0-9]+")
_FOLD = re.compile(rb"\r?\n(?=[ \t])")

_FLAG_KEYS = {
    b"ANSWERED": "\\Answered",
    b"DELETED": "\\Deleted",
    b"DRAFT": "\\Draft",
    b"FLAGGED": "\\Flagged",
    b"SEEN": "\\Seen",
}
_HEADER_KEYS = (b"FROM", b"TO", b"CC", b"BCC", b"SUBJECT")
_CHARSETS = (b"US-ASCII", b"UTF-8")


class BadCharset(Exception):
    """The CHARSET is none the server knows; it is answered NO [BADCHARSET]."""


@dataclass(frozen=True)
class SearchKey:
    """One key. A set of numbers is kept as such, so that not every message is looked at."""

    test: Test
    picked: list[tuple[int, int]] | None = None


@dataclass(frozen=True)
class Search:
    """A parsed SEARCH: the RETURN options, None for a plain answer, and the keys."""

    options: frozenset[bytes] | None
    keys: list[SearchKey]

    def run(self, view: View) -> list[tuple[int, int]]:
        """The (sequence number, UID) pairs that match, ascending."""
        tests = [key.test for key in self.keys if key.picked is None]
        picked = [key.picked for key in self.keys if key.picked is not None]
        candidates = picked[0] if picked else list(enumerate(view.uids, 1))
        sets = [set(pairs) for pairs in picked[1:]]
        found: list[tuple[int, int]] = []
        for pair in candidates:
            message = view.epoch.messages.get(pair[1])
            if message is None or any(pair not in chosen for chosen in sets):
                continue
            if all(test(pair[0], message) for test in tests):
                found.append(pair)
        return found


class SearchParser:
    """Reads a SEARCH for one view."""

    def __init__(self, cursor: Cursor, view: View, *, extended: bool) -> None:
        self._cursor = cursor
        self._view = view
        self._extended = extended

    def parse(self) -> Search:
        """Everything behind ``SEARCH``.

        Raises:
            BadSyntax: the keys cannot be understood.
            BadCharset: the charset is not known.
        """
        cursor = self._cursor
        options: frozenset[bytes] | None = None
        cursor.space()
        if self._extended and cursor.accept(b"RETURN "):
            options = self._return_options()
            cursor.space()
        if cursor.accept(b"CHARSET "):
            if cursor.astring().upper() not in _CHARSETS:
                raise BadCharset
            cursor.space()
        keys = [self._key(0)]
        while cursor.accept(b" "):
            keys.append(self._key(0))
        cursor.end()
        return Search(options, keys)

    def _return_options(self) -> frozenset[bytes]:
        if self._cursor.accept(b"()"):
            return frozenset([b"ALL"])
        options = frozenset(option.upper() for option in self._cursor.astrings())
        if not options <= {b"ALL", b"COUNT", b"MIN", b"MAX"}:
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
        found = cursor.match(_KEY)
        name = found[0].upper() if found else b""
        if name == b"UID":
            cursor.space()
            return self._set_key(by_uid=True)
        if name == b"NOT":
            cursor.space()
            inner = self._key(depth + 1).test
            return SearchKey(lambda number, message: not inner(number, message))
        if name == b"OR":
            cursor.space()
            one = self._key(depth + 1).test
            cursor.space()
            two = self._key(depth + 1).test
            return SearchKey(lambda number, message: one(number, message) or two(number, message))
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
        if name == b"ALL":
            return lambda number, message: True
        if name in _FLAG_KEYS:
            return _has_flag(_FLAG_KEYS[name], True)
        if name.startswith(b"UN") and name[2:] in _FLAG_KEYS:
            return _has_flag(_FLAG_KEYS[name[2:]], False)
        self._cursor.space()
        if name in (b"KEYWORD", b"UNKEYWORD"):
            return _has_flag(self._cursor.atom().decode("ascii"), name == b"KEYWORD")
        if name in (b"SINCE", b"BEFORE", b"ON"):
            return _dated(name, self._cursor.date())
        if name in (b"LARGER", b"SMALLER"):
            return _sized(name, self._cursor.number())
        if name == b"HEADER":
            field = self._cursor.astring()
            self._cursor.space()
            return _in_header(field, self._cursor.astring())
        if name in _HEADER_KEYS:
            return _in_header(name, self._cursor.astring())
        if name in (b"TEXT", b"BODY"):
            return _in_text(self._cursor.astring().lower(), whole=name == b"TEXT")
        raise BadSyntax("unknown search key")


def _has_flag(flag: str, wanted: bool) -> Test:
    lowered = flag.lower()
    return lambda _, message: (lowered in (held.lower() for held in message.flags)) is wanted


def _dated(name: bytes, day: date) -> Test:
    if name == b"SINCE":
        return lambda _, message: message.internal_date.date() >= day
    if name == b"BEFORE":
        return lambda _, message: message.internal_date.date() < day
    return lambda _, message: message.internal_date.date() == day


def _sized(name: bytes, size: int) -> Test:
    if name == b"LARGER":
        return lambda _, message: len(message.raw) > size
    return lambda _, message: len(message.raw) < size


def _in_header(field: bytes, text: bytes) -> Test:
    """A substring of a field's value as it is on the wire, unfolded; an empty one: it is there."""
    line = re.compile(rb"^" + re.escape(field) + rb"[ \t]*:([^\r\n]*)", re.I | re.M)
    wanted = text.lower()

    def test(_: int, message: StoredMessage) -> bool:
        header = _FOLD.sub(b"", message.raw[: header_end(message.raw)])
        return any(wanted in value.lower() for value in line.findall(header))

    return test


def _in_text(wanted: bytes, *, whole: bool) -> Test:
    def test(_: int, message: StoredMessage) -> bool:
        start = 0 if whole else header_end(message.raw)
        return wanted in message.raw[start:].lower()

    return test


def render_search(search: Search, numbers: list[int], *, tag: bytes, by_uid: bool) -> bytes:
    """The untagged answer: SEARCH, or ESEARCH when RETURN was asked for."""
    if search.options is None:
        return b" ".join([b"* SEARCH", *(b"%d" % number for number in numbers)]) + b"\r\n"
    parts = [b'* ESEARCH (TAG "%s")' % tag] + [b"UID"] * by_uid
    if numbers and b"MIN" in search.options:
        parts.append(b"MIN %d" % numbers[0])
    if numbers and b"MAX" in search.options:
        parts.append(b"MAX %d" % numbers[-1])
    if b"COUNT" in search.options:
        parts.append(b"COUNT %d" % len(numbers))
    if numbers and b"ALL" in search.options:
        parts.append(b"ALL " + render_set(numbers))
    return b" ".join(parts) + b"\r\n"
