"""Content-Transfer-Encoding undone (RFC 2045 section 6), whatever is left of it. Total."""

from __future__ import annotations

import binascii
import re
from typing import Final

from nornmail.message.defects import Note, ignore

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_ALPHABET: Final = bytes(set(range(256)) - set(_ALPHABET))
_RUN = re.compile(rb"[^=]+")
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\n]*\n", re.MULTILINE)

_PLAIN: Final = frozenset({"", "7bit", "8bit", "binary"})


def decode_transfer(data: bytes, encoding: str, note: Note = ignore) -> bytes:
    """The content of a part.

    Args:
        data: the body as it was sent.
        encoding: the value of Content-Transfer-Encoding in lower case; ``""`` for none.
        note: told when the encoding is unknown or broken.

    Returns:
        As much as can be decoded; with an unknown encoding, ``data`` itself.
    """
    if encoding in _PLAIN:
        return data
    if encoding == "base64":
        return decode_base64(data, note)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(data)
    if encoding in ("x-uuencode", "uuencode", "uue", "x-uue"):
        return _decode_uu(data, note)
    note(f"unknown Content-Transfer-Encoding {encoding[:40]!a}")
    return data


def decode_base64(data: bytes, note: Note = ignore) -> bytes:
    """Base64 with line breaks, foreign characters, missing padding, or several runs in a row."""
    first_pad = data.find(b"=")
    if first_pad >= 0 and data[first_pad:].strip(b"=\r\n\t "):
        # The standard library stops at the first padding and would drop what follows.
        note("base64 that goes on after its padding")
        return b"".join(_decode_run(run, ignore) for run in _RUN.findall(data))
    try:
        return binascii.a2b_base64(data)
    except (binascii.Error, ValueError):
        return _decode_run(data, note)


def _decode_run(data: bytes, note: Note) -> bytes:
    digits = data.translate(None, _NOT_ALPHABET)
    extra = len(digits) % 4
    if extra == 1:  # six bits alone are no octet
        digits = digits[:-1]
        note("base64 that was cut off")
    elif extra:
        digits += b"=" * (4 - extra)
        note("base64 without its padding")
    return binascii.a2b_base64(digits)


def _decode_uu(data: bytes, note: Note) -> bytes:
    begin = _UU_BEGIN.search(data)
    if begin is None:
        note("uuencoded content without a begin line")
        return data
    pieces: list[bytes] = []
    at = begin.end()
    while at < len(data):
        eol = data.find(b"\n", at)
        end = len(data) if eol < 0 else eol
        line = data[at:end].rstrip(b"\r")
        at = end + 1
        if line == b"end":
            break
        pieces.append(_decode_uu_line(line, note))
    return b"".join(pieces)


def _decode_uu_line(line: bytes, note: Note) -> bytes:
    if not line:
        return b""
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        note("broken uuencoded line")
    # Old encoders pad the last group with rubbish: the length in the first octet is right.
    octets = ((line[0] - 32) & 63) * 4 + 5
    try:
        return binascii.a2b_uu(line[: octets // 3])
    except binascii.Error:
        return b""
