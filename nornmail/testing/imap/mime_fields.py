"""Structured header fields: their tokens, addresses, parameters and words."""

from __future__ import annotations

import re
from dataclasses import dataclass

MAX_COMMENT_DEPTH = 100
"""Comments inside each other; what is deeper is read as one comment that does not end."""

_LWSP = re.compile(rb"[ \t\r\n]+")
_ATOM = re.compile(rb'[^\x00-\x20\x7f()<>@,;:\\".\[\]]+')
_ATOM_OR_DOT = re.compile(rb'[^\x00-\x20\x7f()<>@,;:\\"\[\]]+')
_TOKEN = re.compile(rb'[^\x00-\x20\x7f()<>@,;:\\"/\[\]?=]+')
_BARE_WORD = re.compile(rb"=\?[^; \t\r\n]*")
_QUOTED = re.compile(rb'"((?:[^"\\]|\\.)*)"', re.S)
_ESCAPE = re.compile(rb"\\(.)", re.S)
_LITERAL = re.compile(rb"\[(?:[^\[\]\\]|\\.)*\]", re.S)
_COMMENT_PART = re.compile(rb"\\.|[()]|[^()\\]+", re.S)


class Lexer:
    """A place in a header's value.

    Attributes:
        at: the offset of the next octet.
        broken: whether a comment or a quoted string did not end: nothing can be read behind it.
        comment: the text of the last comment that was passed over, None where there was none.
        words: how many the last phrase had.
    """

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.at = 0
        self.broken = False
        self.comment: bytes | None = None
        self.words = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.broken or self.at >= len(self.text)

    def peek(self) -> bytes:
        """The next octet, or nothing at the end."""
        return b"" if self.broken else self.text[self.at : self.at + 1]

    def accept(self, octet: bytes) -> bool:
        """Go past this octet and the white space behind it, if it comes next."""
        if self.peek() != octet:
            return False
        self.at += 1
        self.skip()
        return True

    def skip(self) -> None:
        """Go past white space and comments."""
        while not self.done:
            if match := _LWSP.match(self.text, self.at):
                self.at = match.end()
            elif self.peek() == b"(":
                self._skip_comment()
            else:
                return

    def atom(self) -> bytes | None:
        """An atom and the white space behind it."""
        return self._run(_ATOM)

    def atom_or_dot(self) -> bytes | None:
        """The same, in which dots may stand."""
        return self._run(_ATOM_OR_DOT)

    def token(self) -> bytes:
        """A token of RFC 2045 and the white space behind it; it may be empty."""
        return self._run(_TOKEN) or b""

    def encoded_word(self) -> bytes | None:
        """An encoded word left bare where RFC 2047 allows none, and the white space behind it."""
        return self._run(_BARE_WORD)

    def quoted(self) -> bytes | None:
        """A quoted string without its quotes, unfolded, and the white space behind it.

        A string that does not end is None, and nothing can be read behind it.
        """
        match = _QUOTED.match(self.text, self.at)
        if match is None:
            self.broken = True
            return None
        self.at = match.end()
        self.skip()
        return _ESCAPE.sub(rb"\1", match[1])

    def domain(self) -> bytes | None:
        """A dotted domain or an address in brackets."""
        if self.peek() == b"[":
            return self._run(_LITERAL)
        parts: list[bytes] = []
        while (part := self.atom()) is not None:
            parts.append(part)
            if not self.accept(b"."):
                return b".".join(parts)
        return None  # it begins or ends with a dot

    def phrase(self) -> bytes | None:
        """Words, with one space between them; empty where none stands here.

        None: a quoted string in it did not end, or it begins with a dot.
        """
        if self.peek() == b".":
            return None
        pieces: list[bytes] = []
        self.words = 0
        while not self.done:
            word = self.quoted() if self.peek() == b'"' else self.atom_or_dot()
            if word is None:
                break
            if self.words and not word.startswith(b"."):
                pieces.append(b" ")
            pieces.append(word)
            self.words += 1
        return None if self.broken else b"".join(pieces)

    def _run(self, pattern: re.Pattern[bytes]) -> bytes | None:
        match = None if self.broken else pattern.match(self.text, self.at)
        if match is None:
            return None
        self.at = match.end()
        self.skip()
        return None if self.broken else match[0]

    def _skip_comment(self) -> None:
        depth, start = 0, self.at + 1
        for part in _COMMENT_PART.finditer(self.text, self.at):
            if part[0] == b"(":
                depth += 1
            elif part[0] == b")":
                depth -= 1
            if depth == 0:
                self.comment = _ESCAPE.sub(rb"\1", self.text[start : part.end() - 1])
                self.at = part.end()
                return
            if depth > MAX_COMMENT_DEPTH:
                break
        self.broken = True


MAX_PARAMETERS = 1000
"""Parameters of one header that are looked at, broken ones included."""

Parameters = list[tuple[bytes, bytes]]
"""Names as they are written, with their values."""

_CONTINUED = re.compile(rb"([^*]+)\*(?:([0-9]{1,4})(\*?))?")


@dataclass(frozen=True, slots=True)
class ContentType:
    """A Content-Type: empty types where the header is broken, an empty minor where it has none."""

    major: bytes
    minor: bytes
    parameters: Parameters


def parse_content_type(value: bytes) -> ContentType:
    """The Content-Type of a header's value."""
    lexer = Lexer(value)
    lexer.skip()
    major = lexer.token()
    slash = lexer.accept(b"/")
    minor = lexer.token() if slash else b""
    follows = (b"", b";") if slash else (b"",)
    if not major or (slash and not minor) or lexer.broken or lexer.peek() not in follows:
        return ContentType(b"", b"", [])
    return ContentType(major, minor, _parameters(lexer))


def parse_disposition(value: bytes) -> tuple[bytes, Parameters]:
    """Disposition, empty where none can be read, and parameters."""
    lexer = Lexer(value)
    lexer.skip()
    word = lexer.token()
    return word, _parameters(lexer)


def parse_words(value: bytes) -> list[bytes]:
    """A list of tokens with commas between them, as in Content-Language."""
    lexer = Lexer(value)
    lexer.skip()
    words: list[bytes] = []
    while word := lexer.token():
        words.append(word)
        if not lexer.accept(b","):
            break
    return words


def parse_word(value: bytes) -> bytes | None:
    """One token and nothing behind it, as in Content-Transfer-Encoding; otherwise None."""
    lexer = Lexer(value)
    lexer.skip()
    word = lexer.token()
    return word if word and lexer.done and not lexer.broken else None


def _parameters(lexer: Lexer) -> Parameters:
    parameters: Parameters = []
    for _ in range(MAX_PARAMETERS):
        if lexer.done:
            break
        parameter = _parameter(lexer)
        if parameter is not None:
            parameters.append(parameter)
            continue
        semicolon = lexer.text.find(b";", lexer.at + 1)
        lexer.at = len(lexer.text) if semicolon < 0 else semicolon
    return _joined(parameters)


def _parameter(lexer: Lexer) -> tuple[bytes, bytes] | None:
    if not lexer.accept(b";"):
        return None
    name = lexer.token()
    if not lexer.accept(b"="):
        return None
    if lexer.peek() == b'"':
        value = lexer.quoted()
    else:
        value = lexer.encoded_word() or lexer.token()
    return None if value is None else (name, value)


def _joined(parameters: Parameters) -> Parameters:
    """The parameters with those joined that come in numbered parts (RFC 2231, section 3).

    Those with an asterisk follow the plain ones, by their names.
    """
    plain: Parameters = []
    starred: dict[bytes, dict[int, tuple[bytes, bytes, bool]]] = {}
    for name, value in parameters:
        part = _CONTINUED.fullmatch(name)
        pieces = starred.setdefault(part[1].lower(), {}) if part else {}
        number = int(part[2] or 0) if part else 0
        if part is None or number in pieces:
            plain.append((name, value))
        else:
            pieces[number] = (name, value, not part[2] or bool(part[3]))
    for _, pieces in sorted(starred.items()):
        if sorted(pieces) == list(range(len(pieces))):
            plain.append(_join([pieces[number] for number in range(len(pieces))]))
        else:  # one is missing: they are kept as they came
            plain += [(name, value) for name, value, _ in pieces.values()]
    return plain


def _join(pieces: list[tuple[bytes, bytes, bool]]) -> tuple[bytes, bytes]:
    name = pieces[0][0].partition(b"*")[0]
    if not any(encoded for _, _, encoded in pieces):
        return name, b"".join(value for _, value, _ in pieces)
    return name + b"*", b"".join(
        v if encoded else v.replace(b"%", b"%25") for _, v, encoded in pieces
    )


MAX_ADDRESSES = 10_000
"""Addresses after which no more are read; no real mail has more."""

NO_MAILBOX, NO_DOMAIN = b"MISSING_MAILBOX", b"MISSING_DOMAIN"
BROKEN, BAD_ROUTE = b"SYNTAX_ERROR", b"INVALID_ROUTE"
"""Placeholders for a missing or broken part of an address, as Dovecot writes them:
NIL would mean a group."""


@dataclass(frozen=True, slots=True)
class Address:
    """The four values of an address.

    A group begins with a mailbox that has no host, and ends with four times None.
    """

    name: bytes | None = None
    route: bytes | None = None
    mailbox: bytes | None = None
    host: bytes | None = None


def parse_addresses(value: bytes) -> list[Address]:
    """Every address of a header; what cannot be read is left out or marked, and never an error."""
    return _Reader(value).read()


class _Reader:
    def __init__(self, value: bytes) -> None:
        self._lexer = Lexer(value)
        self._found: list[Address] = []

    def read(self) -> list[Address]:
        lexer = self._lexer
        lexer.skip()
        while not lexer.done and len(self._found) < MAX_ADDRESSES:
            self._address()
            if not lexer.accept(b","):
                break  # what follows cannot be told from garbage
        return self._found

    def _address(self) -> None:
        start = self._lexer.at
        name = self._lexer.phrase()
        if name is not None and self._lexer.peek() == b":":
            self._group(name)
            return
        self._back(start)
        self._mailbox()

    def _group(self, name: bytes) -> None:
        lexer = self._lexer
        lexer.accept(b":")
        self._found.append(Address(mailbox=name))
        while not lexer.done and lexer.peek() != b";":
            self._mailbox()
            if not lexer.accept(b","):
                break
        lexer.accept(b";")
        self._found.append(Address())

    def _mailbox(self) -> None:
        lexer = self._lexer
        start = lexer.at
        name = lexer.phrase()
        if name is not None and lexer.peek() == b"<":
            self._angle(name or None)
        elif lexer.words > 1:
            self._add(name, None, None, None)  # somebody's name, and no address
        else:
            self._back(start)
            lexer.comment = None
            mailbox, host = self._addr_spec()
            self._add(self._comment(), None, mailbox, host)

    def _angle(self, name: bytes | None) -> None:
        lexer = self._lexer
        lexer.accept(b"<")
        route = self._route() if lexer.peek() == b"@" else None
        if route == BAD_ROUTE:
            self._add(name, route, None, None)
            return
        lexer.comment = None
        mailbox, host = (None, None) if lexer.peek() == b">" else self._addr_spec()
        if (mailbox and lexer.text[lexer.at - 1 : lexer.at] == b"@") or not lexer.accept(b">"):
            host = BROKEN
        self._add(name, route, mailbox, host)

    def _route(self) -> bytes:
        """``@one,@two:`` in front of an address (RFC 822, section 6.2.7)."""
        lexer, hosts = self._lexer, list[bytes]()
        while lexer.accept(b"@"):
            hosts.append(b"@" + (lexer.domain() or b""))
            while lexer.accept(b","):
                continue
        return b",".join(hosts) if lexer.accept(b":") else BAD_ROUTE

    def _addr_spec(self) -> tuple[bytes | None, bytes | None]:
        lexer = self._lexer
        mailbox = lexer.quoted() if lexer.peek() == b'"' else self._dot_atom()
        host = lexer.domain() if lexer.accept(b"@") else None
        return mailbox, host

    def _dot_atom(self) -> bytes | None:
        lexer, parts = self._lexer, list[bytes]()
        while not lexer.done:
            if lexer.accept(b"."):
                parts.append(b".")
            elif not parts or parts[-1] == b".":
                part = lexer.atom()
                if part is None:
                    break
                parts.append(part)
            else:
                break
        return b"".join(parts) or None

    def _comment(self) -> bytes | None:
        """The text of a comment after an address, once the usual place of the name."""
        return self._lexer.comment or None

    def _add(
        self, name: bytes | None, route: bytes | None, mailbox: bytes | None, host: bytes | None
    ) -> None:
        shown = NO_MAILBOX if mailbox is None else mailbox
        self._found.append(Address(name, route, shown, host or NO_DOMAIN))

    def _back(self, start: int) -> None:
        self._lexer.at, self._lexer.broken = start, False
