"""Responses as values: the pieces of one in, one frozen value out (RFC 3501, section 7).

Servers break the grammar in many harmless ways, which are read as they are meant. Where
reading on would be a guess about where one response ends and the next begins, it is a
:class:`~nornmail.errors.ProtocolError`; a response that cannot be read and stands alone is
:class:`Unknown`, and its content counts as not sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

from nornmail.errors import ProtocolError
from nornmail.imap.limits import CAPABILITIES_LIMIT, HIT_LIMIT
from nornmail.imap.tokens import (
    HIGHEST_NUMBER,
    MAX_DIGITS,
    Atom,
    Literal,
    Malformed,
    Piece,
    TokenValue,
    number,
    unescape,
    values,
)
from nornmail.uidset import UidSet

UNKNOWN_SHOWN = 200
"""Octets of a response that was not understood which are kept, for the log."""


@dataclass(frozen=True, slots=True)
class Tagged:
    """The end of a command: ``status`` is OK, NO or BAD; ``code`` is in upper case or ``""``."""

    tag: bytes
    status: str
    code: str
    code_args: str
    text: str


@dataclass(frozen=True, slots=True)
class StatusResponse:
    """Untagged OK, NO, BAD, BYE or PREAUTH."""

    status: str
    code: str
    code_args: str
    text: str

    @property
    def is_for_a_person(self) -> bool:
        """Whether the server wants a person to see it (RFC 3501, 7.1: ALERT), or it is an error."""
        return self.code == "ALERT" or self.status in ("NO", "BAD")


@dataclass(frozen=True, slots=True)
class Exists:
    """The number of messages in the selected mailbox."""

    count: int


@dataclass(frozen=True, slots=True)
class Expunge:
    """The message with this sequence number is gone, and those above moved down by one."""

    number: int


@dataclass(slots=True)  # not frozen: there are two for each message
class Fetch:
    """Data of one message.

    ``items`` has names in upper case; a name whose value the server left out is not in it.
    """

    sequence: int
    items: dict[str, TokenValue]


@dataclass(frozen=True, slots=True)
class Search:
    """The hits of a search: UIDs where the search was by UID."""

    uids: UidSet


@dataclass(frozen=True, slots=True)
class Esearch:
    """The hits of an extended search (RFC 4731); ``uids`` is empty without an ALL item."""

    tag: bytes | None
    by_uid: bool
    uids: UidSet


@dataclass(frozen=True, slots=True)
class Capability:
    """The server's capabilities, in upper case."""

    names: frozenset[str]


@dataclass(frozen=True, slots=True)
class ListItem:
    """A mailbox: its attributes as sent, its delimiter, its name in octets as sent."""

    attributes: frozenset[str]
    delimiter: str | None
    name: bytes


@dataclass(frozen=True, slots=True)
class MailboxStatus:
    """The answer to STATUS for one mailbox: its name, and the numbers by names in upper case."""

    name: bytes
    items: dict[str, int]


@dataclass(frozen=True, slots=True)
class Continuation:
    """The server waits for the rest of a command."""

    text: bytes


@dataclass(frozen=True, slots=True)
class DatedRun:
    """FETCH responses in a row of UID, INTERNALDATE, FLAGS and RFC822.SIZE alone, one to a line."""

    octets: bytes
    count: int


@dataclass(frozen=True, slots=True)
class Unknown:
    """Anything else; ``raw`` is the beginning of it."""

    raw: bytes


Untagged: TypeAlias = (
    StatusResponse
    | Exists
    | Expunge
    | Fetch
    | DatedRun
    | Search
    | Esearch
    | Capability
    | ListItem
    | MailboxStatus
    | Unknown
)
Response: TypeAlias = Untagged | Tagged | Continuation

_PLAIN_FETCH = re.compile(
    rb"\* ([0-9]{1,9}) FETCH \((?:UID ([0-9]{1,10}) |FLAGS \(([ !#-'*-Z\\^-~]*+)\) "
    rb'|INTERNALDATE "([^"\\]*)" |RFC822\.SIZE ([0-9]+) )*(BODY\[(?:HEADER)?\] ?)?\Z'
)
_DATA = re.compile(rb"\* [0-9]+ FETCH \(")
_FOR_PEOPLE = re.compile(
    rb"\0*(?:\+|\*[ \t]+(?:OK|NO|BAD|BYE|PREAUTH)(?![^ \t])"
    rb"|[^\0*+ \t][^ \t]*[ \t]+(?:OK|NO|BAD)(?![^ \t]))",
    re.IGNORECASE,
)
_TAGGED = re.compile(rb"([^ \t]+)[ \t]+(OK|NO|BAD)(?:[ \t]+(.*))?$", re.IGNORECASE | re.DOTALL)
_UNTAGGED = re.compile(rb"\*[ \t]+(?:([0-9]+)[ \t]+)?([A-Za-z][A-Za-z0-9_-]*)(?![^ \t])[ \t]*")
_CODE = re.compile(r"\[([^\s\]]++)\s*+")
_CODE_LIST = re.compile(r"(\((?>(?:[^()]++|\([^()]*+\))*)\))\s*+\]")
_LIST = re.compile(
    rb'\(([^()]*)\)[ \t]+(NIL|"(?:[^"\\]|\\.)*"|[^ \t]+)(?:[ \t](.*))?$', re.IGNORECASE | re.DOTALL
)
_STATUS_ITEMS = re.compile(rb"\(([^()]*)\)[ \t]*$")
_STATUS_ITEM = re.compile(r"([A-Z-]+) ([0-9]{1,10})(?= |$)")
_ATTRIBUTE = re.compile(r"\\?[^\\\s]+")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_SET = re.compile(rb"[0-9][0-9:,]*")
"""The characters of a set; a pattern of its items would remember each of a million."""
_BODIES = ("BODY[", "BINARY[", "RFC822")
_NO_BODY = frozenset({"RFC822.SIZE"})


def ends_in_text(line: bytes) -> bool:
    """Whether a response's first line ends in words for people: there ``{40}`` is not a literal."""
    return _FOR_PEOPLE.match(line) is not None


def is_fetch(line: bytes) -> bool:
    """Whether a response's first line begins a FETCH."""
    if _DATA.match(line) is not None:  # as nearly all servers write it
        return True
    match = _UNTAGGED.match(line.lstrip(b"\0"))
    return match is not None and match[1] is not None and match[2].upper() == b"FETCH"


def _plain_fetch(pieces: Sequence[Piece]) -> Fetch | None:
    """A FETCH of one body, or of none, in the form that nearly all servers send; else ``None``.

    It is what :func:`parse` would return, for a fifth of the time.
    """
    first, last = pieces[0], pieces[-1]
    if isinstance(first, Literal) or isinstance(last, Literal) or not _DATA.match(first):
        return None
    body = pieces[1] if len(pieces) == 3 and last == b")" else None
    if body is None and (len(pieces) > 1 or not first.endswith(b")")):
        return None
    match = _PLAIN_FETCH.match(first if body is not None else first[:-1] + b" ")
    if match is None or isinstance(body, bytes) or (match[6] is None) is not (body is None):
        return None
    sequence, uid, flags, date, size, name = match.groups()
    items: dict[str, TokenValue] = {}
    if uid is not None:
        items["UID"] = Atom(uid)
    if flags is not None:
        if b"NIL" in flags.upper():  # a value of its own
            return None
        items["FLAGS"] = tuple(map(Atom, flags.split()))
    if date is not None:
        items["INTERNALDATE"] = date
    if size is not None:
        items["RFC822.SIZE"] = Atom(size)
    if body is not None:
        items["BODY[]" if name.startswith(b"BODY[]") else "BODY[HEADER]"] = body.data
    return Fetch(int(sequence), items)


def parse(pieces: Sequence[Piece]) -> Response:
    """Read one response.

    Args:
        pieces: text, literal, text and so on; the first and the last are text, without line ends
            and without the ``{n}`` of the literals.

    Raises:
        ProtocolError: something else where a 32-bit number is needed, lists nested too
            deeply, or doubt about where a literal ended.
    """
    plain = _plain_fetch(pieces)
    if plain is not None:
        return plain
    first = pieces[0]
    if isinstance(first, Literal):
        raise ValueError("a response begins with text")
    first = first.lstrip(b"\0")
    if first[:1] == b"+":
        return Continuation(first[1:].strip())
    if first[:1] != b"*":
        match = _TAGGED.match(first)
        return _unknown(pieces) if match is None else Tagged(match[1], *_status(match[2], match[3]))
    match = _UNTAGGED.match(first)
    if match is None:
        return _unknown(pieces)
    keyword = match[2].upper()
    rest = [first[match.end() :], *pieces[1:]]
    if match[1] is None:
        reader = _PLAIN.get(keyword)
        return _unknown(pieces) if reader is None else reader(keyword, rest)
    if keyword not in _NUMBERED:
        return _unknown(pieces)
    count = number(Atom(match[1]))
    if count is None:
        raise ProtocolError(f"{keyword.decode()} with a number of {len(match[1])} digits")
    return _NUMBERED[keyword](count, rest)


def read_code(text: str) -> tuple[str, str, str]:
    """The response code (upper case), its arguments, and the text after it.

    It counts at the beginning of the text only: Gmail ends texts with ``[THROTTLED]``.
    """
    name = _CODE.match(text)
    if name is None:
        return "", "", text.strip()
    listed = _CODE_LIST.match(text, name.end())
    if listed is not None:
        args, end = listed[1], listed.end()
    else:
        end = text.find("]", name.end()) + 1
        args = text[name.end() : end - 1].rstrip()
    return (name[1].upper(), args, text[end:].strip()) if end else ("", "", text.strip())


def capability_names(text: str) -> frozenset[str]:
    """The capabilities that ``text`` lists."""
    if len(text) > CAPABILITIES_LIMIT:
        raise ProtocolError(f"capabilities of more than {CAPABILITIES_LIMIT} octets")
    return frozenset(text.upper().split())


def _unknown(pieces: Sequence[Piece]) -> Unknown:
    first = pieces[0]
    return Unknown(first.data if isinstance(first, Literal) else first[:UNKNOWN_SHOWN])


def _first(rest: Sequence[Piece]) -> bytes:
    piece = rest[0]
    return piece.data if isinstance(piece, Literal) else piece


def _status(keyword: bytes, text: bytes | None) -> tuple[str, str, str, str]:
    return keyword.decode("ascii").upper(), *read_code((text or b"").decode("utf-8", "replace"))


def _untagged_status(keyword: bytes, rest: Sequence[Piece]) -> Response:
    return StatusResponse(*_status(keyword, _first(rest)))


def _capability(keyword: bytes, rest: Sequence[Piece]) -> Response:
    return Capability(capability_names(_first(rest).decode("ascii", "replace")))


def _search(keyword: bytes, rest: Sequence[Piece]) -> Response:
    """``* SEARCH 1 2 3``, also with CONDSTORE's ``(MODSEQ n)`` behind it (RFC 7162)."""
    text = _first(rest).partition(b"(")[0]
    if text.count(b" ") + text.count(b"\t") > HIT_LIMIT:
        raise ProtocolError(f"a SEARCH response of more than {HIT_LIMIT} words")
    words = text.split()
    if max(map(len, words), default=0) > MAX_DIGITS or not b"".join(words or [b"0"]).isdigit():
        raise ProtocolError("a SEARCH response that is not a list of UIDs")
    uids = list(map(int, words))
    if max(uids, default=0) > HIGHEST_NUMBER:
        raise ProtocolError("a SEARCH response with a number beyond 32 bits")
    return Search(UidSet.of(filter(None, uids)))  # 0 is not a UID


def _esearch(keyword: bytes, rest: Sequence[Piece]) -> Response:
    try:
        items = values(rest)
    except Malformed as error:
        raise ProtocolError(f"an ESEARCH response that cannot be read: {error}") from None
    tag = None
    if items and isinstance(items[0], tuple):
        correlator = items.pop(0)
        if isinstance(correlator, tuple) and len(correlator) == 2:
            tag = correlator[1] if isinstance(correlator[1], bytes) else None
    by_uid = bool(items) and isinstance(items[0], Atom) and items[0].upper() == b"UID"
    pairs = items[1:] if by_uid else items
    for name, value in zip(pairs[::2], pairs[1::2], strict=False):
        if isinstance(name, Atom) and name.upper() == b"ALL":
            return Esearch(tag, by_uid, _uid_set(value))
    return Esearch(tag, by_uid, UidSet())


def _uid_set(value: object) -> UidSet:
    """The set of an ESEARCH response; it may be millions of octets."""
    if isinstance(value, bytes) and _SET.fullmatch(value) and b",," not in value:
        with suppress(ValueError):
            uids = UidSet.parse(value.decode("ascii"))
            if value[-1:] != b",":
                return uids
    raise ProtocolError("an ESEARCH response with a set that cannot be read")


def _list(keyword: bytes, rest: Sequence[Piece]) -> Response:
    """A mailbox; its name is all that follows the delimiter.

    Exchange sends names with tabs in them, and some with one quote instead of two.
    """
    match = _LIST.match(_first(rest))
    if match is None:
        return Unknown(_first(rest)[:UNKNOWN_SHOWN])
    attributes = frozenset(_ATTRIBUTE.findall(match[1].decode("ascii", "replace")))
    quoted = _QUOTED.fullmatch(match[2])
    delimiter = unescape(quoted[1] if quoted else match[2]).decode("ascii", "replace")
    if match[2].upper() == b"NIL":
        delimiter = ""
    if len(rest) > 1 and isinstance(rest[1], Literal):
        name = rest[1].data
    else:
        name = _mailbox_name(match[3] or b"")
    return ListItem(attributes, delimiter or None, name)


def _mailbox_status(keyword: bytes, rest: Sequence[Piece]) -> Response:
    """``* STATUS "INBOX" (UIDVALIDITY 7)``; the name may have any form, the items stand last."""
    last = rest[-1]
    match = None if isinstance(last, Literal) else _STATUS_ITEMS.search(last)
    if match is None:
        return Unknown(_first(rest)[:UNKNOWN_SHOWN])
    items = _STATUS_ITEM.findall(match[1].decode("ascii", "replace").upper())
    literals = [piece.data for piece in rest if isinstance(piece, Literal)]
    name = literals[0] if literals else _mailbox_name(match.string[: match.start()])
    return MailboxStatus(name, {name: int(digits) for name, digits in items})


def _mailbox_name(text: bytes) -> bytes:
    quoted = _QUOTED.fullmatch(text.strip(b" "))
    return unescape(quoted[1]) if quoted else text.strip(b' "')


def _fetch(sequence: int, rest: Sequence[Piece]) -> Response:
    for before, after in pairwise(rest):
        if isinstance(before, Literal) and isinstance(after, bytes) and after[:1] not in b" \t)":
            raise ProtocolError("a literal was longer than announced")
    try:
        data = values(rest)
    except Malformed as error:
        if len(rest) > 1:
            raise ProtocolError(f"a FETCH response with a literal: {error}") from None
        return _unknown([b"* %d FETCH " % sequence + _first(rest)])
    if not data or not isinstance(data[0], tuple):
        return _unknown([b"* %d FETCH " % sequence + _first(rest)])
    return Fetch(sequence, _items(data[0]))


def _items(data: tuple[TokenValue, ...]) -> dict[str, TokenValue]:
    """Pairs of name and value.

    A body whose value the server left out (Yandex: ``BODY[2] )``) is followed by another name, or
    by nothing; a body itself is never an atom.
    """
    items: dict[str, TokenValue] = {}
    at = 0
    while at < len(data):
        name = data[at]
        at += 1
        if isinstance(name, tuple):  # Domino puts an item in parentheses of its own.
            items.update(_items(name))
            continue
        if not isinstance(name, Atom) or at == len(data):
            continue
        key = name.upper().decode("ascii", "replace")
        if isinstance(data[at], Atom) and key.startswith(_BODIES) and key not in _NO_BODY:
            continue
        items[key] = data[at]
        at += 1
    return items


_PLAIN: dict[bytes, Callable[[bytes, Sequence[Piece]], Response]] = {
    b"OK": _untagged_status,
    b"NO": _untagged_status,
    b"BAD": _untagged_status,
    b"BYE": _untagged_status,
    b"PREAUTH": _untagged_status,
    b"CAPABILITY": _capability,
    b"SEARCH": _search,
    b"ESEARCH": _esearch,
    b"LIST": _list,
    b"STATUS": _mailbox_status,
}
_NUMBERED: dict[bytes, Callable[[int, Sequence[Piece]], Response]] = {
    b"EXISTS": lambda count, rest: Exists(count),
    b"EXPUNGE": lambda count, rest: Expunge(count),
    b"FETCH": _fetch,
}
