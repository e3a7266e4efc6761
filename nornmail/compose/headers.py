"""Header fields as they go on the wire: encoded words, parameters, folding (RFC 5322, 2047, 2231).

An encoder of our own, since the standard library's differs by patch release in what it lets
through and in what it makes of a long display name. It breaks lines between words only, never
within a quoted string, and encodes every word that it cannot write as it stands. Callers check for
control characters; :func:`nornmail.compose.compose.read_back` checks the result.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from nornmail.compose.addresses import NOT_IN_A_LINE
from nornmail.errors import ComposeError
from nornmail.message.addresses import Address

MAX_REFERENCES_OCTETS: Final = 984
"""Octets of References on one line: with the name of the field it stays under 998 unfolded."""
MAX_UNIQUE_CHARS: Final = 128
"""Characters of what makes a Message-ID unique."""

_ID = re.compile(r"<[!-;=?-~]+>")
_UNIQUE = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*")


def is_message_id(value: object) -> bool:
    """Whether this is an id (RFC 5322, 3.6.4) to write: ASCII in angle brackets, within a line.

    One with an encoded word in it is left out: a program on the way that folds the header anew
    decodes it (the standard library does), and an encoded line end becomes one.
    """
    return (
        isinstance(value, str)
        and len(value) <= MAX_REFERENCES_OCTETS
        and "=?" not in value
        and _ID.fullmatch(value) is not None
    )


def checked_ids(ids: Iterable[str], field: str) -> tuple[str, ...]:
    """The ids, each once."""
    unique = tuple(dict.fromkeys(ids))
    for id_ in unique:
        if not is_message_id(id_):
            raise ComposeError(field, f"{str(id_)[:80]!a} is not a Message-ID in angle brackets")
    return unique


def own_message_id(unique: str, domain: str) -> str:
    """The Message-ID of a new message."""
    if not _UNIQUE.fullmatch(unique) or len(unique) > MAX_UNIQUE_CHARS:
        raise ComposeError("unique", f"{unique[:80]!a} must be of letters, digits, . _ and -")
    return f"<{unique}@{domain}>"


def trim_references(chain: Sequence[str]) -> tuple[str, ...]:
    """The chain within :data:`MAX_REFERENCES_OCTETS`: its root, and as many of the last as fit.

    Readers find the thread by the root, and the answered message by the last.
    """
    root, *rest = chain
    room = MAX_REFERENCES_OCTETS - len(root)
    kept: list[str] = []
    for id_ in reversed(rest):
        room -= len(id_) + 1
        if room < 0:
            break
        kept.append(id_)
    return (root, *reversed(kept))


LINE_OCTETS: Final = 76
"""Octets of a line where it can be broken: RFC 2047 (2) allows 76 with an encoded word in it."""
WORD_OCTETS: Final = 75
"""Octets of an encoded word (RFC 2047, 2)."""
MAX_TOKEN_OCTETS: Final = 60
"""Octets of a plain word that is written as it stands; a longer one is encoded, since an encoded
word can be broken."""
MAX_RAW_TOKEN_OCTETS: Final = 900
"""The same in a field that has a syntax of its own, which no encoded word may stand in: a link."""
MAX_QUOTED_OCTETS: Final = 60
"""Octets of a quoted string, which must stay on one line."""
MAX_SECTION_OCTETS: Final = 60
"""Octets of one section of a parameter's value (RFC 2231, 3)."""

_SHELL = "=?utf-8?q??="
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""Octets that need no encoding wherever an encoded word may stand (RFC 2047, 5 (3))."""
_PARAMETER_SAFE = _Q_SAFE - frozenset(b"*/") | frozenset(b"._~")
"""Octets that need no encoding in a parameter's value; a part of RFC 2231's attribute-char."""
_WORD_WITH_BLANKS = re.compile(r"[ \t]*[^ \t]+")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_VALUE = re.compile(r"[ !#-\[\]-~]*")


def unstructured(name: str, value: str, longest: int = MAX_TOKEN_OCTETS) -> bytes:
    """A field of free text, such as Subject.

    Args:
        value: without control characters, and without blanks around it.
        longest: octets of a word that is not encoded yet.
    """
    words = _WORD_WITH_BLANKS.findall(value)
    if value.isascii() and "=?" not in value and all(len(word) <= longest for word in words):
        pieces = [" " + word if place == 0 else word for place, word in enumerate(words)]
    else:
        room = LINE_OCTETS - len(name) - 2
        pieces = [f" {word}" for word in encoded_words(value, room)]
    return fold(name, pieces)


def structured(name: str, value: str) -> bytes:
    """A field of ASCII with a syntax of its own, broken at its single blanks."""
    return fold(name, [f" {word}" for word in value.split(" ")])


def address_list(name: str, addresses: Iterable[Address]) -> bytes:
    """A field of addresses; each is checked already."""
    several = list(addresses)
    pieces = []
    for place, address in enumerate(several):
        comma = "," if place < len(several) - 1 else ""
        pieces += _named_address(
            address, comma, LINE_OCTETS - len(name) - 2 if place == 0 else LINE_OCTETS
        )
    return fold(name, pieces)


def _named_address(address: Address, comma: str, room: int) -> list[str]:
    if not address.name:
        return [f" {address.address}{comma}"]
    return [*_phrase(address.name, room), f" <{address.address}>{comma}"]


def _phrase(name: str, room: int) -> list[str]:
    """A display name: as atoms, as a quoted string, or as encoded words."""
    if name.isascii() and "=?" not in name:
        if _PHRASE.fullmatch(name) and max(map(len, name.split(" "))) <= MAX_TOKEN_OCTETS:
            return [f" {word}" for word in name.split(" ")]
        if _PLAIN_VALUE.fullmatch(name) and len(name) <= MAX_QUOTED_OCTETS:
            return [f' "{name}"']
    return [f" {word}" for word in encoded_words(name, room)]


def parameterised(name: str, value: str, parameters: Mapping[str, str]) -> bytes:
    """A value with parameters, as Content-Type has them (RFC 2045, 5.1; RFC 2231)."""
    pairs = [pair for key, text in parameters.items() for pair in _parameter(key, text)]
    pieces = [value, *pairs]
    last = len(pieces) - 1
    return fold(name, [f" {piece}{';' if n < last else ''}" for n, piece in enumerate(pieces)])


def _parameter(name: str, value: str) -> list[str]:
    if _PLAIN_VALUE.fullmatch(value) and "=?" not in value and len(value) <= MAX_QUOTED_OCTETS:
        return [f'{name}="{value}"']
    sections = list(_sections(value))
    if len(sections) == 1:
        return [f"{name}*=utf-8''{sections[0]}"]
    charset = ["utf-8''", *[""] * len(sections)]
    return [f"{name}*{n}*={charset[n]}{section}" for n, section in enumerate(sections)]


def _sections(value: str) -> Iterable[str]:
    """A value in percent encoding, cut between characters."""
    section = ""
    for char in value:
        octets = char.encode()
        encoded = "".join(chr(o) if o in _PARAMETER_SAFE else f"%{o:02X}" for o in octets)
        if len(section) + len(encoded) > MAX_SECTION_OCTETS:
            yield section
            section = ""
        section += encoded
    yield section


def encoded_words(text: str, room: int = LINE_OCTETS) -> list[str]:
    """Text as encoded words in UTF-8, cut between characters; B or Q, whichever is shorter.

    Args:
        room: octets that the first one may have, where its line has something before it.
    """
    octets = text.encode()
    q_octets = sum(1 if octet in _Q_SAFE or octet == 0x20 else 3 for octet in octets)
    write = _q if q_octets <= 4 * (len(octets) + 2) // 3 else _b
    words: list[str] = []
    chunk = b""
    for char in text:
        most = min(WORD_OCTETS, room if not words else WORD_OCTETS)
        longer = chunk + char.encode()
        if chunk and len(_SHELL) + len(write(longer)) > most:
            words.append(_word(write, chunk))
            longer = char.encode()
        chunk = longer
    return [*words, _word(write, chunk)]


def _word(write: Callable[[bytes], str], chunk: bytes) -> str:
    return f"=?utf-8?{'q' if write is _q else 'b'}?{write(chunk)}?="


def _q(octets: bytes) -> str:
    return "".join(
        chr(octet) if octet in _Q_SAFE else "_" if octet == 0x20 else f"={octet:02X}"
        for octet in octets
    )


def _b(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")


def fold(name: str, pieces: Iterable[str]) -> bytes:
    """A field with its CRLF, broken before pieces where a line gets too long (RFC 5322, 2.2.3).

    Args:
        pieces: each begins with a blank, holds something else, and stays whole. UTF-8 goes out only
            where an address needs it (RFC 6532).
    """
    lines = [f"{name}:"]
    for place, piece in enumerate(pieces):
        # The first piece stays on the line of the name: readers differ on a line of blanks alone.
        if place and len(lines[-1].encode()) + len(piece.encode()) > LINE_OCTETS:
            lines.append(piece)
        else:
            lines[-1] += piece
    return ("\r\n".join(lines) + "\r\n").encode()


MAX_TEXT_CHARS: Final = 2_000
"""Characters of a subject or another field; some servers refuse more than about 1,000 octets."""
MAX_NAME_OCTETS: Final = 76
"""Octets of a field's name."""
MAX_EXTRA_FIELDS: Final = 100
"""Fields that a user adds to one message."""

OURS: Final = frozenset(
    {
        *("from", "to", "cc", "bcc", "reply-to", "sender", "subject", "date", "message-id"),
        *("in-reply-to", "references", "auto-submitted", "x-auto-response-suppress"),
        # Fields that only relays and delivery agents may write.
        *("return-path", "received", "delivered-to", "x-original-to", "envelope-to"),
        *("x-envelope-to", "apparently-to", "authentication-results", "dkim-signature"),
    }
)
"""Fields that nornmail or servers write."""
OURS_BEGIN: Final = ("content-", "mime-", "resent-", "arc-", "received-")
"""Prefixes of further ones. Resent-To is a recipient to some programs."""

_NAME = re.compile(rf"[!-9;-~]{{1,{MAX_NAME_OCTETS}}}")


def checked_text(value: object, field: str) -> str:
    """A text for one line of the header, without the blanks around it."""
    if not isinstance(value, str):
        raise ComposeError(field, f"{type(value).__name__} is not a str")
    value = value.strip()
    bad = NOT_IN_A_LINE.search(value)
    if bad:
        raise ComposeError(
            field, f"it holds {bad[0]!a}; it must be one line without control characters"
        )
    if len(value) > MAX_TEXT_CHARS:
        raise ComposeError(field, f"more than {MAX_TEXT_CHARS} characters")
    return value


def custom_headers(headers: Mapping[str, str] | Sequence[tuple[str, str]]) -> Iterator[bytes]:
    """The user's further fields, in their order.

    ASCII goes out as it stands, broken at blanks; anything else is encoded.
    """
    items: Any = headers.items() if isinstance(headers, Mapping) else headers
    try:
        pairs: list[tuple[object, object]] = [(name, value) for name, value in items]
    except (TypeError, ValueError):
        raise ComposeError("headers", 'must be a mapping, such as {"X-Ticket": "17"}') from None
    if len(pairs) > MAX_EXTRA_FIELDS:
        raise ComposeError("headers", f"more than {MAX_EXTRA_FIELDS}")
    for name, value in pairs:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ComposeError("headers", f"{str(name)[:80]!a} is not a field name")
        if name.lower() in OURS or name.lower().startswith(OURS_BEGIN):
            raise ComposeError("headers", f"{name} is written by nornmail, or by servers")
        checked = checked_text(value, f"headers[{name!r}]")
        if not checked:
            raise ComposeError("headers", f"{name} is empty")
        yield unstructured(name, checked, MAX_RAW_TOKEN_OCTETS)
