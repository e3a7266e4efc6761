"""Encoded words and bodies as text, for SEARCH (RFC 2047; RFC 3501, section 6.4.4)."""

from __future__ import annotations

import binascii
import codecs
import quopri
import re

from nornmail.testing.mime.parameters import parse_word
from nornmail.testing.mime.parts import Part

_ENCODED_WORD = re.compile(
    rb"=\?([!->@-~]{1,60}?)(?:\*[!->@-~]{0,60})?\?([bqBQ])\?([!->@-~]{0,2000})\?="
)
_BETWEEN = re.compile(rb"(\?=)[ \t\r\n]+(?==\?)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


def known_charset(name: bytes) -> str | None:
    """The codec of a charset, None where there is none that makes text of octets."""
    try:
        codec = codecs.lookup(name.decode("ascii"))
        b"x".decode(codec.name, "replace")
    except (LookupError, ValueError):  # rot13, base64 and the like are codecs of another kind
        return None
    return codec.name


def decoded_words(value: bytes) -> str:
    """A field's value with its encoded words decoded; the rest is taken as UTF-8."""
    parts: list[str] = []
    at = 0
    joined = _BETWEEN.sub(rb"\1", value)
    for word in _ENCODED_WORD.finditer(joined):
        parts.append(joined[at : word.start()].decode("utf-8", "replace"))
        if word[2] in b"bB":
            octets = _base64(word[3])
        else:
            octets = quopri.decodestring(word[3], header=True)
        parts.append(_text(octets, word[1]))
        at = word.end()
    parts.append(joined[at:].decode("utf-8", "replace"))
    return "".join(parts)


def decoded_body(part: Part) -> str:
    """A part's body, its transfer encoding and charset decoded."""
    octets = part.body_octets
    encoding = (parse_word(part.value(b"content-transfer-encoding") or b"") or b"").lower()
    if encoding == b"base64":
        octets = _base64(octets)
    elif encoding == b"quoted-printable":
        octets = quopri.decodestring(octets)
    charset = next(
        (value for name, value in part.content_type.parameters if name.lower() == b"charset"),
        b"utf-8",
    )
    return _text(octets, charset)


def _text(octets: bytes, charset: bytes) -> str:
    name = known_charset(charset)
    if name in (None, "ascii"):
        name = "utf-8"
    try:
        return octets.decode(name or "utf-8", "replace")
    except (UnicodeError, ValueError):  # some codecs raise whatever they are told
        return octets.decode("latin-1")


def _base64(text: bytes) -> bytes:
    """What base64 says, read as far as it goes."""
    bare = _NOT_BASE64.sub(b"", text)
    bare = bare[: len(bare) - (len(bare) % 4 == 1)]
    return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4))
