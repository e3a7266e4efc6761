"""Header fields as they go on the wire: encoded words, parameters, folding (RFC 5322, 2047, 2231).

An encoder of our own, since the standard library's differs by patch release in what it lets
through and in what it makes of a long display name. It breaks lines between words only, never
within a quoted string, and every word that it cannot write as it stands it encodes. What comes in
was checked for control characters by whoever hands it in; what goes out is read back by
``verify.py``.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from nornmail.message.addresses import Address

LINE_OCTETS: Final = 76
"""Octets of a line where it can be broken: RFC 2047 (2) allows 76 with an encoded word in it."""
WORD_OCTETS: Final = 75
"""Octets of an encoded word (RFC 2047, 2)."""
MAX_TOKEN_OCTETS: Final = 60
"""Octets of a word of plain text that is written as it stands; a longer one is encoded, since an
encoded word can be broken."""
MAX_RAW_TOKEN_OCTETS: Final = 900
"""The same in a field that has a syntax of its own, which no encoded word may stand in: a link."""
MAX_QUOTED_OCTETS: Final = 60
"""Octets of a quoted string, which must stay on one line."""
MAX_SECTION_OCTETS: Final = 60
"""Octets of one section of a parameter's value (RFC 2231, 3)."""

_SHELL = "=?utf-8?q??="
_Q_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")
"""What stands for itself in every place where an encoded word may stand (RFC 2047, 5 (3))."""
_PARAMETER_SAFE = _Q_SAFE - frozenset(b"*/") | frozenset(b"._~")
"""What stands for itself in a parameter's value; a part of RFC 2231's attribute-char."""
_WORD_WITH_BLANKS = re.compile(r"[ \t]*[^ \t]+")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_VALUE = re.compile(r"[ !#-\[\]-~]*")


def unstructured(name: str, value: str, longest: int = MAX_TOKEN_OCTETS) -> bytes:
    """A field of free text, such as Subject.

    Args:
        name: of the field.
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


def mailbox_list(name: str, addresses: Iterable[Address]) -> bytes:
    """A field of addresses; each is checked already."""
    several = list(addresses)
    pieces = []
    for place, one in enumerate(several):
        comma = "," if place < len(several) - 1 else ""
        pieces += _mailbox(one, comma, LINE_OCTETS - len(name) - 2 if place == 0 else LINE_OCTETS)
    return fold(name, pieces)


def _mailbox(one: Address, comma: str, room: int) -> list[str]:
    if not one.name:
        return [f" {one.address}{comma}"]
    return [*_phrase(one.name, room), f" <{one.address}>{comma}"]


def _phrase(name: str, room: int) -> list[str]:
    """A display name: as atoms, as a quoted string, or as encoded words."""
    if name.isascii() and "=?" not in name:
        if _PHRASE.fullmatch(name) and max(map(len, name.split(" "))) <= MAX_TOKEN_OCTETS:
            return [f" {word}" for word in name.split(" ")]
        if _PLAIN_VALUE.fullmatch(name) and len(name) <= MAX_QUOTED_OCTETS:
            return [f' "{name}"']
    return [f" {word}" for word in encoded_words(name, room)]


def parameterised(name: str, value: str, parameters: Mapping[str, str]) -> bytes:
    """A value with parameters, as Content-Type has them (RFC 2045, 5.1; RFC 2231).

    Args:
        name: of the field.
        value: ASCII.
        parameters: their values without control characters.
    """
    pairs = [pair for key, text in parameters.items() for pair in _parameter(key, text)]
    pieces = [value, *pairs]
    last = len(pieces) - 1
    return fold(name, [f" {one}{';' if n < last else ''}" for n, one in enumerate(pieces)])


def _parameter(name: str, value: str) -> list[str]:
    if _PLAIN_VALUE.fullmatch(value) and "=?" not in value and len(value) <= MAX_QUOTED_OCTETS:
        return [f'{name}="{value}"']
    sections = list(_sections(value))
    if len(sections) == 1:
        return [f"{name}*=utf-8''{sections[0]}"]
    charset = ["utf-8''", *[""] * len(sections)]
    return [f"{name}*{n}*={charset[n]}{one}" for n, one in enumerate(sections)]


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
        text: what is to be read.
        room: octets that the first one may have, where its line has something before it.
    """
    octets = text.encode()
    q_octets = sum(1 if one in _Q_SAFE or one == 0x20 else 3 for one in octets)
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
        chr(one) if one in _Q_SAFE else "_" if one == 0x20 else f"={one:02X}" for one in octets
    )


def _b(octets: bytes) -> str:
    return b64encode(octets).decode("ascii")


def fold(name: str, pieces: Iterable[str]) -> bytes:
    """A field with its CRLF, broken before pieces where a line gets too long (RFC 5322, 2.2.3).

    Args:
        name: of the field.
        pieces: each begins with a blank, holds something else, and stays whole. UTF-8 goes out only
            where an address needs it (RFC 6532).
    """
    lines = [f"{name}:"]
    for place, piece in enumerate(pieces):
        # The first piece stays beside the name: a line of blanks alone is read in too many ways.
        if place and len(lines[-1].encode()) + len(piece.encode()) > LINE_OCTETS:
            lines.append(piece)
        else:
            lines[-1] += piece
    return "".join(f"{line}\r\n" for line in lines).encode()
