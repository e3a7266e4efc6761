"""Header fields: found in the bytes, unfolded, decoded (RFC 5322, 2047, 6532). Total functions.

Within the room a field's value is kept as the sender's octets in a ``str`` of ISO 8859-1: nothing
is lost, and only what is asked for is decoded.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from nornmail.message.charsets import decode
from nornmail.message.defects import Note, ignore
from nornmail.message.limits import (
    MAX_ENCODED_WORDS,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_MESSAGE_ID_CHARS,
    MAX_MESSAGE_IDS,
)
from nornmail.message.transfer import decode_base64

_END = re.compile(rb"\n\r?\n")
_FIELD = re.compile(r"([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
_WORD = re.compile(r"=\?([^?*\s]{1,60})(?:\*[^?\s]{0,60})?\?([bBqQ])\?([^?]*+)\?=")
_CONTROLS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]+")
_COMMENT_MARK = re.compile(r"[()]|\\.?", re.DOTALL)
_BRACKETED = re.compile(r"<([^<>]*+)>")
_SPACE = re.compile(r"[\x00-\x20\x7f\x85\u2028\u2029]+")


class Headers:
    """The fields of a header block in their order; names are compared without case.

    Values are decoded text: unfolded, encoded words (RFC 2047) and 8-bit octets (RFC 6532)
    resolved, control characters replaced by a space, so that none can smuggle a line into another
    header. To read addresses or parameters out of a field, use the message's own attributes: a
    decoded comma is no separator any more.
    """

    __slots__ = ("_fields", "_index")

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._fields = fields
        index: dict[str, list[str]] = {}
        for name, value in fields:
            index.setdefault(name.lower(), []).append(value)
        self._index = index

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first (topmost) field called ``name``, or ``default``."""
        values = self._index.get(name.lower())
        return decode_text(unfold(values[0])) if values else default

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every field called ``name``, topmost first."""
        return tuple(decode_text(value) for value in self.raw_all(name))

    def items(self) -> Iterator[tuple[str, str]]:
        """Every field as ``(name, value)`` in order, names as they were written."""
        for name, value in self._fields:
            yield name, decode_text(unfold(value))

    def raw(self, name: str) -> str:
        """The first field's unfolded octets as ISO 8859-1, ``""`` when there is none."""
        values = self._index.get(name.lower())
        return unfold(values[0]) if values else ""

    def raw_all(self, name: str) -> list[str]:
        """Every such field's unfolded octets as ISO 8859-1."""
        return [unfold(value) for value in self._index.get(name.lower(), ())]

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Every field as its name in lower case and its octets, still folded, in order."""
        return ((name.lower(), value) for name, value in self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._index

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers: {len(self._fields)} fields>"


def read_headers(raw: bytes, start: int, end: int, note: Note = ignore) -> tuple[Headers, int]:
    """The header block at ``start``, and where the body begins.

    A line that is no field ends the block where no blank line did, unless fields follow it.
    """
    if raw.startswith((b"\n", b"\r\n"), start, end):
        return Headers([]), raw.index(b"\n", start) + 1
    blank = _END.search(raw, start, end)
    stop, body = (blank.start() + 1, blank.end()) if blank else (end, end)
    if stop - start > MAX_HEADER_BYTES:
        note("header block over the limit")
        stop = start + MAX_HEADER_BYTES
    block = raw[start:stop].decode("latin-1")
    fields, used = _split(block, note)
    return Headers(fields), body if used == len(block) else start + used


def _split(block: str, note: Note) -> tuple[list[tuple[str, str]], int]:
    fields: list[tuple[str, str]] = []
    at = 0
    while at < len(block):
        field = _FIELD.match(block, at)
        if field is None:
            eol = block.find("\n", at) + 1
            is_envelope = at == 0 and block.startswith(("From ", ">From ", " ", "\t"))
            if not eol or not (fields or is_envelope) or not _FIELD.match(block, eol):
                note("a header block without a blank line after it")
                return fields, at
            note("a line in the header that is no field")
            at = eol
        elif len(fields) == MAX_HEADERS:
            note("more header fields than the limit")
            break
        else:
            fields.append((field[1], field[2]))
            at = field.end()
    return fields, len(block)


def unfold(value: str) -> str:
    """A field's value on one line (RFC 5322 section 2.2.3)."""
    if "\n" in value:
        value = value.replace("\r\n", "").replace("\n", "")
    return value.strip(" \t\r")


def to_unicode(raw: str, note: Note = ignore) -> str:
    """Octets as ISO 8859-1 to what they mean: UTF-8 (RFC 6532), or a guess."""
    return raw if raw.isascii() else decode(raw.encode("latin-1", "replace"), "", note)


def decode_text(raw: str, note: Note = ignore) -> str:
    """An unstructured field's text (RFC 2047, 6532), without control characters."""
    return decode_words(to_unicode(raw, note), note)


def decode_words(text: str, note: Note = ignore) -> str:
    """``text`` with its encoded words decoded (RFC 2047) and without control characters."""
    if "=?" in text:
        text = _decode_words(text, note)
    if text.isprintable():
        return text.strip()
    return _CONTROLS.sub(" ", text).strip()


def _decode_words(text: str, note: Note) -> str:
    out: list[str] = []
    run: list[bytes] = []
    charset = ""
    at = 0
    for count, word in enumerate(_WORD.finditer(text)):
        if count == MAX_ENCODED_WORDS:
            note("more encoded words than the limit")
            break
        gap = text[at : word.start()]
        # Senders cut characters in two at the end of a word: neighbours are decoded together.
        if run and (gap.strip(" \t\r\n") or word[1].lower() != charset):
            out.append(decode(b"".join(run), charset, note))
            run = []
            if gap.strip(" \t\r\n"):
                out.append(gap)
        elif not run:
            out.append(gap)
        charset = word[1].lower()
        run.append(_decode_payload(word[2], word[3]))
        at = word.end()
    if run:
        out.append(decode(b"".join(run), charset, note))
    out.append(text[at:])
    return "".join(out)


def _decode_payload(encoding: str, payload: str) -> bytes:
    data = payload.encode("utf-8", "replace")
    if encoding in "bB":
        return decode_base64(data)
    return binascii.a2b_qp(data, header=True)


def end_of_comment(text: str, at: int) -> int:
    """Where the comment ends whose ``(`` stands right before ``at``; -1 when it never does.

    Comments nest, and within them quotes mean nothing (RFC 5322 section 3.2.2).
    """
    depth = 1
    for mark in _COMMENT_MARK.finditer(text, at):
        depth += {"(": 1, ")": -1}.get(mark[0], 0)
        if not depth:
            return mark.end()
    return -1


def message_ids(raw: str, note: Note = ignore) -> tuple[str, ...]:
    """The ids in a Message-ID, In-Reply-To or References field, each as ``<...>``.

    Blanks within the brackets (broken folding) are taken out. Where there are no brackets, words
    with an ``@`` count.
    """
    text = to_unicode(raw, note)
    found = _BRACKETED.findall(text)
    if not found:
        found = [word.strip("<>,;") for word in text.split() if "@" in word]
    ids = [_SPACE.sub("", item) for item in found]
    kept = [f"<{item}>" for item in ids if item and len(item) <= MAX_MESSAGE_ID_CHARS - 2]
    if len(kept) > MAX_MESSAGE_IDS:
        note("more message ids than the limit")
        kept = kept[:1] + kept[1 - MAX_MESSAGE_IDS :]
    return tuple(dict.fromkeys(kept))
