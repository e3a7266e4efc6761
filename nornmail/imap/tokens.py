"""The grammar below the responses: atoms, strings, NIL and nested lists (RFC 3501, section 9).

Read from the pieces of one response.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from nornmail.errors import ProtocolError

MAX_DEPTH = 100
"""Lists within lists. BODYSTRUCTURE nests twice per level of MIME; fifty levels are unheard of."""
MAX_TOKENS = 200_000
"""Tokens of one response: a BODYSTRUCTURE with ten thousand parts has fewer."""
MAX_DIGITS = 10
"""Digits of a 32-bit number; more is not a UID, sequence number or UIDVALIDITY."""
HIGHEST_NUMBER = 2**32 - 1
"""RFC 3501, section 9: ``number`` is an unsigned 32-bit integer."""


class Atom(bytes):
    """A name, flag or number: sent without quotes and not as a literal."""

    __slots__ = ()


@dataclass(slots=True)  # not frozen, which would cost each message a microsecond
class Literal:
    """The octets of a literal, as they came."""

    data: bytes


Piece: TypeAlias = "bytes | Literal"
"""Of one response: text between literals (without line ends and the ``{n}``), and the literals."""
TokenValue: TypeAlias = "bytes | tuple[TokenValue, ...] | None"
"""An :class:`Atom`, the octets of a string in any of its three forms, a list, or NIL."""


class Malformed(Exception):
    """The tokens do not make values. Never leaves ``imap/``."""


_TOKEN = re.compile(
    rb"""[ \t\0]*+(?:
      "( [^"\\]*+ (?>(?: \\. [^"\\]*+ )*) )"                             # 1: a quoted string
    | ((?:BODY|BINARY)(?:\.PEEK|\.SIZE)?\[[^\]]*+\](?:<[0-9]++>)?)    # 2: an item with a section
    | ([^ \t\0()"]++)                                                 # 3: any other atom
    | (\()                                                            # 4
    | (\))                                                            # 5
    )""",
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_QUOTED, _SECTION, _ATOM, _OPEN, _CLOSE = 1, 2, 3, 4, 5
_ANNOUNCED = re.compile(rb"(?:^|[ \t(\[\]>])~?\{([0-9]+)\+?\}$")


def announced_literal(line: bytes) -> tuple[bytes, bytes] | None:
    """The text before the literal that ``line`` ends in, and its size in digits; else ``None``.

    A blank is missing before the brace on some servers (GreenMail 1.5 sends ``BODY[]{4169}``), and
    taking that for no literal would read a message's text as the server's words. A brace inside a
    word, as in a mailbox that is named ``a{3}``, announces nothing.
    """
    if not line.endswith(b"}"):
        return None
    start = line.rfind(b"{")
    match = _ANNOUNCED.search(line, max(start - 2, 0)) if start >= 0 else None
    if match is None:
        return None
    brace = line.rindex(b"{")
    if line[brace - 1 : brace] == b"~":
        brace -= 1
    return line[:brace], match[1]


def number(token: TokenValue) -> int | None:
    """The 32-bit number that ``token`` is, ``None`` when it is anything else."""
    if not isinstance(token, bytes) or len(token) > MAX_DIGITS or not token.isdigit():
        return None
    value = int(token)
    return value if value <= HIGHEST_NUMBER else None


def unescape(quoted: bytes) -> bytes:
    """The content of a quoted string without its escapes."""
    return _ESCAPED.sub(rb"\1", quoted) if b"\\" in quoted else quoted


def values(pieces: Sequence[Piece]) -> list[TokenValue]:
    """All values of a response's pieces, in order.

    Raises:
        Malformed: a quote or a parenthesis without its partner.
        ProtocolError: lists nested too deeply, or too many tokens.
    """
    reader = _Reader()
    for piece in pieces:
        if isinstance(piece, Literal):
            reader.top.append(piece.data)
        else:
            reader.scan(piece)
    if reader.outer:
        raise Malformed("a list is not closed")
    return reader.top


class _Reader:
    """Builds lists from tokens; it does not recurse, so depth costs no stack."""

    def __init__(self) -> None:
        self.top: list[TokenValue] = []
        self.outer: list[list[TokenValue]] = []
        self._tokens = 0

    def scan(self, text: bytes) -> None:
        at, end = 0, len(text)
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                if text[at:].strip(b" \t\0"):
                    raise Malformed("a quoted string is not closed")
                return
            at = match.end()
            self._tokens += 1
            if self._tokens > MAX_TOKENS:
                raise ProtocolError(f"a response of more than {MAX_TOKENS} tokens")
            kind = match.lastindex
            if kind in (_ATOM, _SECTION):
                word = match[kind]
                self.top.append(None if len(word) == 3 and word.upper() == b"NIL" else Atom(word))
            elif kind == _QUOTED:
                self.top.append(unescape(match[_QUOTED]))
            elif kind == _OPEN:
                self._open()
            else:
                self._close()

    def _open(self) -> None:
        if len(self.outer) >= MAX_DEPTH:
            raise ProtocolError(f"lists nested more than {MAX_DEPTH} deep")
        self.outer.append(self.top)
        self.top = []

    def _close(self) -> None:
        if not self.outer:
            raise Malformed("a list is closed that was never opened")
        inner, self.top = self.top, self.outer.pop()
        self.top.append(tuple(inner))
