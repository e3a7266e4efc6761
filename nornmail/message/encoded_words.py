"""Encoded words (RFC 2047), and the raw octets that senders put around and into them. Total.

Real senders split a word, a character or a group of base64 digits by folding, put raw octets into
a word, and leave question marks in it. A header is first made clean: after that it is Unicode, and
every encoded word in it is ASCII.
"""

from __future__ import annotations

import binascii
import re

from nornmail.defects import Note, ignore
from nornmail.message.charsets import decode
from nornmail.message.limits import MAX_ENCODED_WORDS
from nornmail.message.transfer_encoding import decode_base64

# In the text of a word a question mark may stand that is not encoded, and "?=" when it continues as
# an encoded octet. "=?" cannot: it begins the next word, so that no two searches cross.
# Each repetition of a group costs memory as it grows, so that all of them are bounded.
_TEXT = r"(?>(?:[^?=]++|=(?!\?[^=])|\?(?!\s{0,3}=)|\?=(?=[0-9A-F]{2}[^?\s]*+\?)){0,20000})"
_WORD = re.compile(rf"=\?([^?*\s]{{0,60}})(?:\*[^?\s]{{0,60}})?\?[ ]?([bBqQ])[ ]?\?({_TEXT})\?=")
_FOLDED_WORD = re.compile(rf"=\?[^?]{{0,80}}\?\s*[bBqQ]\s*\?{_TEXT}\?\s{{0,3}}=")
_FOLD = re.compile(r"[\r\n]++[ \t]*+")
_RAW = re.compile("[\x80-\xff]+")
_HALF_OCTET = re.compile(r"=[0-9A-Fa-f]?\Z")
_RAW_WORD = re.compile(rf"(=\?[^?*\s]{{0,60}}(?:\*[^?\s]{{0,60}})?\?[bBqQ]\?{_TEXT}\?=)")
_CONTROLS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]+")
# Controls that no charset of mail uses, alongside 8-bit octets: something else was encoded.
_NO_TEXT = re.compile(rb"[\x01-\x08\x0b\x0c\x10-\x1a\x1c-\x1f\x7f]")
_WIDE = re.compile("16|32|ucs", re.IGNORECASE)
_BLANKS = " \t\r\n"


def join_folded_words(value: str) -> str:
    """A folded field without the line breaks within its encoded words."""
    return _FOLDED_WORD.sub(lambda word: _FOLD.sub("", word[0]), value)


def to_unicode(raw: str, note: Note = ignore, charset: str = "") -> str:
    """Octets as ISO 8859-1 to what they mean: UTF-8 (RFC 6532), or a guess.

    Args:
        raw: one unfolded field or a piece of it.
        note: called when it had to be guessed.
        charset: what raw octets are that are not UTF-8; ``""`` when nothing is known. The charset
            of an encoded word in the same field goes before it.
    """
    if raw.isascii():
        return _japanese(raw) if "\x1b$" in raw else raw
    if "=?" not in raw:
        return _text(raw, charset, note)
    pieces = _RAW_WORD.split(raw)
    for word in pieces[1::2]:
        charset = word[2:].partition("?")[0].partition("*")[0]
        break
    return "".join(
        _clean_word(piece) if number % 2 else _text(piece, charset, note)
        for number, piece in enumerate(pieces)
    )


def _text(raw: str, charset: str, note: Note) -> str:
    if raw.isascii():
        return raw
    data = raw.encode("latin-1", "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return decode(data, charset, note)


def _japanese(raw: str) -> str:
    return decode(raw.encode("ascii", "replace"), "iso-2022-jp")


def _clean_word(word: str) -> str:
    """An encoded word in which raw octets are encoded, too."""
    if word.isascii():
        return word
    _, charset, encoding, payload = word[:-2].split("?", 3)
    if encoding in "bB":
        return f"=?{charset}?{encoding}?{_RAW.sub('', payload)}?="
    data = payload.encode("latin-1", "replace")
    try:
        data.decode("utf-8")
        charset = "utf-8" if "=" not in payload else charset
    except UnicodeDecodeError:
        pass
    escaped = _RAW.sub(lambda run: "".join(f"={ord(char):02X}" for char in run[0]), payload)
    return f"=?{charset}?{encoding}?{escaped}?="


def decode_words(text: str, note: Note = ignore) -> str:
    """``text`` with its encoded words decoded (RFC 2047) and without control characters."""
    if "=?" in text:
        text = _decode_words(text, note)
    if text.isprintable():
        return text.strip()
    return _CONTROLS.sub(" ", text).strip()


def _decode_words(text: str, note: Note) -> str:
    word = _WORD.fullmatch(text)
    if word:  # as most are: nothing to be joined
        data = _payload(word[2], word[3])
        is_octets = word[2] in "bB" and not _WIDE.search(word[1])
        if is_octets and _NO_TEXT.search(data) and not data.isascii():
            note("an encoded word that holds no text")
            return text
        return decode(data, word[1], note)
    out: list[str] = []
    run = _Run(note)
    at = 0
    for count, word in enumerate(_WORD.finditer(text)):
        if count == MAX_ENCODED_WORDS:
            note("more encoded words than the limit")
            break
        gap = text[at : word.start()]
        is_apart = bool(gap.strip(_BLANKS))
        # Senders cut characters in two at the end of a word: neighbours are decoded together.
        if is_apart or word[1].lower() != run.charset:
            out.append(run.end())
            # White space between two encoded words is not shown (RFC 2047 section 6.2).
            if is_apart or at == 0:
                out.append(gap)
        run.add(word[1].lower(), word[2], word[3])
        at = word.end()
    out.append(run.end())
    out.append(text[at:])
    return "".join(out)


def _payload(encoding: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    return decode_base64(data) if encoding in "bB" else binascii.a2b_qp(data, header=True)


class _Run:
    """Neighbouring encoded words of one charset."""

    def __init__(self, note: Note) -> None:
        self.note = note
        self.charset = ""
        self.pieces: list[bytes] = []
        self.digits = ""
        self.half = ""

    def add(self, charset: str, encoding: str, payload: str) -> None:
        self.charset = charset
        if encoding in "bB":
            self._end_of_half()
            # A group of four digits can go on in the next word.
            self.digits += payload
            if payload.endswith("=") or len(self.digits) % 4 == 0:
                self._end_of_digits()
        else:
            self._end_of_digits()
            # An octet can go on in the next word, too.
            payload = self.half + payload
            half = _HALF_OCTET.search(payload)
            self.half = half[0] if half else ""
            self.pieces.append(_payload("q", payload.removesuffix(self.half)))

    def end(self) -> str:
        self._end_of_digits()
        self._end_of_half()
        text = decode(b"".join(self.pieces), self.charset, self.note) if self.pieces else ""
        self.pieces, self.charset = [], ""
        return text

    def _end_of_digits(self) -> None:
        if self.digits:
            self.pieces.append(_payload("b", self.digits))
            self.digits = ""

    def _end_of_half(self) -> None:
        if self.half:
            self.pieces.append(_payload("q", self.half))
            self.half = ""
