"""Content-Type, Content-Disposition and their parameters (RFC 2045, 2183 and 2231)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nornmail.testing.mime.lexer import Lexer

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
    found: Parameters = []
    for _ in range(MAX_PARAMETERS):
        if lexer.done:
            break
        parameter = _parameter(lexer)
        if parameter is not None:
            found.append(parameter)
            continue
        semicolon = lexer.text.find(b";", lexer.at + 1)
        lexer.at = len(lexer.text) if semicolon < 0 else semicolon
    return _joined(found)


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


def _joined(found: Parameters) -> Parameters:
    """The parameters with those joined that come in numbered parts (RFC 2231, section 3).

    Those with an asterisk follow the plain ones, by their names.
    """
    plain: Parameters = []
    starred: dict[bytes, dict[int, tuple[bytes, bytes, bool]]] = {}
    for name, value in found:
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
