"""Content-Transfer-Encoding undone (RFC 2045 section 6), whatever is left of it. Total."""

from __future__ import annotations

import binascii
import re
from functools import lru_cache
from itertools import compress, islice
from typing import Final

from nornmail.defects import Note, ignore
from nornmail.message.limits import (
    MAX_BROKEN_UU_LINES,
    MAX_ENCODED_RUNS,
    MAX_PADDED_BREAKS,
    MAX_UU_LINES,
)

_ALPHABET: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_ALPHABET: Final = bytes(set(range(256)) - set(_ALPHABET))
_EXPECTED: Final = _ALPHABET + b"=\r\n"
_AFTER_PADDING: Final = b"=\r\n\t "
_NOT_BASE64: Final = bytes(set(_NOT_ALPHABET) - set(b"="))
_MASK: Final = bytes(ord("A") if octet == ord("=") else ord("/") for octet in range(256))
_WHOLE: Final = bytes(octet == 0xFF for octet in range(256))
_IS_PAD: Final = bytes(octet == ord("=") for octet in range(256))
_RUN = re.compile(rb"[^=]+")
_FOREIGN = re.compile(rb"[^A-Za-z0-9+/=]")
_BAD_LINE = re.compile(
    rb"^[ \t]*+(?:(?>(?:[A-Za-z0-9+/=]{4}){0,5000})[A-Za-z0-9+/=]{1,3}[ \t\r]*+$"
    rb"|[A-Za-z0-9+/=]*+[ \t\r]*+[^\n])",
    re.MULTILINE,
)
"""A line with other characters in it, or with a number of digits that four does not divide."""
_FIRST_LINE = re.compile(
    rb"\s*+(?>(?:[A-Za-z0-9+/]{4})+)(?>(?:[A-Za-z0-9+/]{2,3}=?=?)?)[ \t]*+(?:\r*+\n|\Z)"
)
_PADDED_BREAK = re.compile(rb"=[ \t]++(\r?\n)")
_UU_LINE = re.compile(rb"[^\n]+")
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\n]*\n", re.MULTILINE)
_COMMENT = re.compile(r"\A\s*\([^()]*\)")
_WORD_END = re.compile(r"[;,(\s]")
_PUNCTUATION = re.compile(r"[^a-z0-9]+")

_PLAIN: Final = frozenset({"", "7bit", "8bit", "binary"})
_MAX_FIELD: Final = 80
"""Characters of a Content-Transfer-Encoding that are read; the longest name has 16."""
_SAMPLE: Final = 4_096
"""Octets at the beginning that show whether what says base64 is base64."""
_MAX_FOREIGN: Final = 0.05
"""The share of octets in them that base64 does not have. Damaged ones stay below; of the octets of
a text, the blanks alone are more."""
_MIN_FOREIGN: Final = 8
"""The number of foreign octets below which they say nothing."""


@lru_cache(maxsize=64)
def _encoding_of(field: str) -> str:
    field = _COMMENT.sub("", field).strip().strip("\"'").lower()
    word = _WORD_END.split(field, maxsplit=1)[0]
    squeezed = _PUNCTUATION.sub("", word)
    if squeezed == "quotedprintable":
        return "quoted-printable"
    return squeezed if squeezed == "base64" or squeezed in _PLAIN else word


def encoding_of(field: str) -> str:
    """The encoding that a Content-Transfer-Encoding field names, in the spelling of RFC 2045.

    ``"base64 "``, ``"Quoted_Printable;"`` and ``"7-bit (as is)"`` are written, too. An unknown one
    comes back as its first word in lower case.
    """
    return _encoding_of(field[:_MAX_FIELD])


def decode_transfer(
    raw: bytes, encoding: str, note: Note = ignore, start: int = 0, end: int | None = None
) -> bytes:
    """The content of a part, decoded without a copy of what is in front of it."""
    end = len(raw) if end is None else end
    if encoding == "base64":
        return _decode_body(raw, start, end, note)
    if encoding == "quoted-printable" and not _PADDED_BREAK.search(raw, start, end):
        return binascii.a2b_qp(memoryview(raw)[start:end])
    return _decode_copy(raw[start:end], encoding, note)


def _decode_copy(data: bytes, encoding: str, note: Note) -> bytes:
    if encoding in _PLAIN:
        return data
    if encoding == "quoted-printable":  # blanks that a relay put behind a soft line break
        return binascii.a2b_qp(_PADDED_BREAK.sub(rb"=\1", data, count=MAX_PADDED_BREAKS))
    if encoding in ("x-uuencode", "uuencode", "uue", "x-uue"):
        return _decode_uu(data, note)
    note(f"unknown Content-Transfer-Encoding {encoding[:40]!a}")
    return data


def _decode_body(raw: bytes, start: int, end: int, note: Note) -> bytes:
    sample = raw[start : min(start + _SAMPLE, end)]
    foreign = len(sample.translate(None, _EXPECTED))
    is_strange = foreign > max(len(sample) * _MAX_FOREIGN, _MIN_FOREIGN)
    if is_strange and not _FIRST_LINE.match(sample):
        note("content labelled base64 that is not base64")
        return raw[start:end]
    first_pad = raw.find(b"=", start, end)
    if first_pad < 0 or not raw[first_pad:end].strip(_AFTER_PADDING):
        try:
            return binascii.a2b_base64(memoryview(raw)[start:end])
        except (binascii.Error, ValueError):
            pass
    return decode_base64(raw[start:end], note)


def decode_base64(data: bytes, note: Note = ignore) -> bytes:
    """Base64 with line breaks, foreign characters, missing padding, or several runs in a row.

    Text that follows it, such as a list's footer, is left out.
    """
    first_pad = data.find(b"=")
    if first_pad >= 0 and data[first_pad:].strip(_AFTER_PADDING):
        # The standard library stops at the first padding and would drop what follows.
        note("base64 that continues after its padding")
        return _decode_runs(_without_footer(data, first_pad), note)
    try:
        return binascii.a2b_base64(data)
    except (binascii.Error, ValueError):
        return _decode_run(data, note)


def _without_footer(data: bytes, first_pad: int) -> bytes:
    """``data`` up to the first line behind the padding that is not base64."""
    end = data.find(b"\n", first_pad) + 1 or len(data)
    rest = data[first_pad:end].strip(b" \t\r\n").lstrip(b"=")
    if len(rest) % 4 or _FOREIGN.search(rest):
        return data[:end]
    footer = _BAD_LINE.search(data, end)
    return data[: footer.start()] if footer else data


def _decode_runs(data: bytes, note: Note) -> bytes:
    """Several pieces of base64 in a row, each with padding of its own."""
    digits = data.translate(None, _NOT_BASE64)
    if _is_in_fours(digits):
        # Padding counts as zeros; what it stands for is dropped by a mask that was decoded alike.
        octets = binascii.a2b_base64(digits.replace(b"=", b"A"))
        mask = binascii.a2b_base64(digits.translate(_MASK)).translate(_WHOLE)
        return bytes(compress(octets, mask))
    out = bytearray()
    for run in islice(_RUN.finditer(data), MAX_ENCODED_RUNS):
        out += _decode_run(run[0], ignore)
        at = run.end()
    if data[at:].strip(_AFTER_PADDING):
        note("more runs of base64 than the limit")
    return bytes(out)


def _is_in_fours(digits: bytes) -> bool:
    """Whether padding stands only at the end of groups of four digits with two at least."""
    third, fourth = (int.from_bytes(digits[place::4].translate(_IS_PAD)) for place in (2, 3))
    early = digits[0::4].find(b"=") >= 0 or digits[1::4].find(b"=") >= 0
    return not early and len(digits) % 4 == 0 and third & ~fourth == 0


def _decode_run(data: bytes, note: Note) -> bytes:
    digits = data.translate(None, _NOT_ALPHABET)
    extra = len(digits) % 4
    if extra == 1:  # six bits alone are not an octet
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
    out = bytearray()
    broken = 0
    for match in islice(_UU_LINE.finditer(data, begin.end()), MAX_UU_LINES):
        line = match[0].rstrip(b"\r")
        if line == b"end":
            break
        try:
            out += binascii.a2b_uu(line)
        except binascii.Error:
            broken += 1
            if broken <= MAX_BROKEN_UU_LINES:
                out += _decode_broken_uu_line(line)
    if broken:
        note("broken uuencoded lines")
    return bytes(out)


def _decode_broken_uu_line(line: bytes) -> bytes:
    """Old encoders pad the last group with rubbish: the length in the first octet is right."""
    octets = ((line[0] - 32) & 63) * 4 + 5
    try:
        return binascii.a2b_uu(line[: octets // 3])
    except binascii.Error:
        return b""
