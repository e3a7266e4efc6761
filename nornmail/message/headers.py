"""Header fields: found in the bytes, unfolded, decoded (RFC 5322, 2047, 6532). Total functions.

Within the room a field's value is kept as the sender's octets in a ``str`` of ISO 8859-1: nothing
is lost, and only what is asked for is decoded.

Real senders split an encoded word, a character or a group of base64 digits by folding, put raw
octets into a word, and leave question marks in it. A header is first made clean: after that it is
Unicode, and every encoded word in it is ASCII.
"""

from __future__ import annotations

import binascii
import re
from collections import deque
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final

from nornmail.defects import Note, ignore
from nornmail.message.charsets import decode
from nornmail.message.limits import (
    MAX_ENCODED_WORDS,
    MAX_HEADER_BYTES,
    MAX_HEADERS,
    MAX_MESSAGE_ID_CHARS,
    MAX_MESSAGE_IDS,
)
from nornmail.message.transfer_encoding import decode_base64

# In the text of a word a question mark may stand that is not encoded, and "?=" when it continues as
# an encoded octet. "=?" cannot: it begins the next word, so that no two searches cross.
# Each repetition of a group costs memory as it grows, so that all of them are bounded.
_TEXT = r"(?>(?:[^?=]++|=(?!\?[^=])|\?(?!\s{0,3}=)|\?=(?=[0-9A-F]{2}[^?\s]*+\?)){0,20000})"
_WORD = re.compile(rf"=\?([^?*\s]{{0,60}})(?:\*[^?\s]{{0,60}})?\?[ ]?([bBqQ])[ ]?\?({_TEXT})\?=")
_FOLDED_WORD = re.compile(rf"=\?[^?]{{0,80}}\?\s*[bBqQ]\s*\?{_TEXT}\?\s{{0,3}}=")
_LINE_BREAKS = re.compile(r"[\r\n]++[ \t]*+")
_RAW = re.compile("[\x80-\xff]+")
_HALF_OCTET = re.compile(r"=[0-9A-Fa-f]?\Z")
_RAW_WORD = re.compile(rf"(=\?[^?*\s]{{0,60}}(?:\*[^?\s]{{0,60}})?\?[bBqQ]\?{_TEXT}\?=)")
_CONTROLS = re.compile("[\x00-\x1f\x7f\x85\u2028\u2029]+")
# Controls that no charset of mail uses, alongside 8-bit octets: something else was encoded.
_NO_TEXT = re.compile(rb"[\x01-\x08\x0b\x0c\x10-\x1a\x1c-\x1f\x7f]")
_WIDE = re.compile("16|32|ucs", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:()+-]{1,40})", re.IGNORECASE)
_CHARSET_OF_WORD = re.compile(rb"=\?([A-Za-z0-9_.:+-]{1,40})(?:\*[^?\s]{0,40})?\?[bBqQ]\?")
_CHARSET_OCTETS = 16 * 1024
"""Octets of the body in which the charset of the header's raw octets is looked for."""
_BLANKS = " \t\r\n"


def join_folded_words(value: str) -> str:
    """A folded field without the line breaks within its encoded words."""
    return _FOLDED_WORD.sub(lambda word: _LINE_BREAKS.sub("", word[0]), value)


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
            # A group of four digits can continue in the next word.
            self.digits += payload
            if payload.endswith("=") or len(self.digits) % 4 == 0:
                self._end_of_digits()
        else:
            self._end_of_digits()
            # An octet can continue in the next word, too.
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


_BOM = b"\xef\xbb\xbf"
_END = re.compile(rb"\n\r*+\n")
_FIELD = re.compile(r"([!-9;-~]++[ \t]*+):([^\n]*+(?>(?:\n[ \t][^\n]*+){0,50000}))(?:\n|\Z)")
_FOLD = re.compile(r"(?>(?:\r{0,2}\n[ \t]*+(?=\r{0,2}\n)){0,50000})\r{0,2}\n([ \t])")
_BLANK_LINE = re.compile(r"\n[ \t]*+(?:\r*+\n|\Z)")
_LEADING_BLANKS = re.compile(rb"(?>(?:[ \t]*+\r*+\n){1,50000})")
_BAD_NAME = re.compile(r"[^\s:]*+:[^\n]*+(?>(?:\n[ \t][^\n]*+){0,50000})(?:\n|\Z)")
_PARAMETER = (";", re.compile(r"[\w*.-]{1,60}="))
_ID = ("", re.compile(r"<[^<>\s@]{1,250}@"))
_MAILBOX = (",", re.compile(r"[^\n@]{1,250}@"))
_LOST_FOLDS: Final = {
    **dict.fromkeys(("content-type", "content-disposition"), _PARAMETER),
    **dict.fromkeys(("references", "in-reply-to", "message-id"), _ID),
    **dict.fromkeys(("from", "to", "cc", "bcc", "reply-to"), _MAILBOX),
}
"""The end of a field that continues below, and the start of a line that lost its blank there."""
_KNOWN = re.compile(
    r"^(?:X-[!-9;-~]+|Received|Return-Path|Delivered-To|Date|From|Sender|Reply-To|To|Cc|Subject"
    r"|Message-ID|In-Reply-To|References|MIME-Version|Content-[A-Za-z-]+|DKIM-Signature"
    r"|Authentication-Results|Organization|Importance|Precedence|User-Agent|List-[A-Za-z-]+"
    r")[ \t]*:",
    re.IGNORECASE | re.MULTILINE,
)
"""Names that hardly begin a line of a text: below one of them, it is still the header."""
_QUICK: Final = 64 * 1024
"""Characters of a block that is cut up at one go, without counting its fields one by one."""
_BY_PROGRAM = re.compile(
    r"^(?:Received|Message-ID|MIME-Version|Content-[A-Za-z-]+)[ \t]*:", re.IGNORECASE | re.MULTILINE
)
"""Fields that people do not type: a block with one of them ends with an empty line."""
_BLANK_END = re.compile(r"\n[ \t]++\r*+\n\Z")
_BOUNDARY = re.compile(r"^--(?=-*+[^\s-])", re.MULTILINE)
"""A line that may be the boundary of a multipart: there the empty line is missing."""
_NOT_BLANK = re.compile(rb"[^ \t\r\n]")
_MAX_BLANKS: Final = 200
"""Characters of a line of blanks that ends a header as an empty one does."""
_LONGEST_LINE: Final = 998
"""RFC 5322 section 2.1.1."""
_BAD_LINES_CHARS: Final = 4_000
"""Characters of lines that are not fields, after which the header can still continue."""
_COMMENT_MARK = re.compile(r"[()]|\\.?", re.DOTALL)
_BRACKETED = re.compile(r"<([^<>]*+)>")
_ONE_ID = re.compile(r"<[!-;=@-~]{1,250}>")
_WORDS = re.compile(r"\S{1,1000}")
_SPACE = re.compile(r"[\x00-\x20\x7f\x85\u2028\u2029]+")


class Headers:
    """The fields of a header block in their order; names are compared without case.

    Values are decoded text: unfolded, encoded words (RFC 2047) and 8-bit octets (RFC 6532)
    resolved, control characters replaced by a space, so that none can smuggle a line into another
    header. To read addresses or parameters out of a field, use the message's own attributes: a
    decoded comma no longer separates.
    """

    __slots__ = ("_charset", "_fields", "_first", "_names")

    def __init__(self, fields: list[tuple[str, str]], charset: str = "") -> None:
        self._fields = fields
        self._charset = charset
        self._names = [name.lower().rstrip() for name, _ in fields]
        # From the last to the first, so that the topmost of a name is what stays.
        values = map(itemgetter(1), reversed(fields))
        self._first = dict(zip(reversed(self._names), values, strict=True))

    @property
    def charset(self) -> str:
        """The charset of raw octets that are not UTF-8; ``""`` when it is unknown."""
        return self._charset

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first (topmost) field called ``name``, or ``default``."""
        value = self._first.get(name.lower())
        return default if value is None else self._decoded(value)

    def __getitem__(self, name: str) -> str:
        """The first (topmost) field called ``name``; raises KeyError when there is none."""
        value = self.get(name)
        if value is None:
            raise KeyError(name)
        return value

    def get_all(self, name: str) -> tuple[str, ...]:
        """Every field called ``name``, topmost first."""
        return tuple(self._decoded(value) for value in self._all(name.lower()))

    def _all(self, key: str) -> list[str]:
        if key not in self._first:
            return []
        if self._names.count(key) == 1:
            return [self._first[key]]
        return [
            value for name, (_, value) in zip(self._names, self._fields, strict=True) if name == key
        ]

    def items(self) -> Iterator[tuple[str, str]]:
        """Every field as ``(name, value)`` in order, names as they were written."""
        for name, value in self._fields:
            yield name.rstrip(), self._decoded(value)

    def _decoded(self, value: str) -> str:
        return decode_text(unfold(value), charset=self._charset)

    def raw(self, name: str) -> str:
        """The first field's unfolded octets as ISO 8859-1, ``""`` when there is none."""
        value = self._first.get(name.lower())
        return unfold(value) if value else ""

    def raw_all(self, name: str) -> list[str]:
        """Every such field's unfolded octets as ISO 8859-1."""
        return [unfold(value) for value in self._all(name.lower())]

    def raw_items(self) -> Iterator[tuple[str, str]]:
        """Every field in order: its name in lower case and its octets, still folded.

        Blanks between name and colon, which RFC 5322 forbids to senders, are a part of the name.
        """
        return ((name.lower(), value) for name, value in self._fields)

    def in_charset(self, charset: str) -> Headers:
        """This object, which knows its :attr:`charset` from now on: only as it is made."""
        if charset:
            self._charset = charset
        return self

    def without(self, name: str) -> Headers:
        """The same without the fields called ``name``."""
        key = name.lower()
        pairs = zip(self._names, self._fields, strict=True)
        return Headers([field for own_key, field in pairs if own_key != key], self._charset)

    def present(self, names: Iterable[str]) -> list[str]:
        """Those of some names that have a field, in their order."""
        return [name for name in names if name.lower() in self._first]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._first

    def __iter__(self) -> Iterator[str]:
        return (name.rstrip() for name, _ in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __repr__(self) -> str:
        return f"<Headers: {len(self._fields)} fields>"


def with_line_feeds(raw: bytes) -> bytes:
    """``raw``, unless its first line ends in CR alone or in CR CR LF: then with LF instead.

    The one is of very old systems, the other of gateways that end lines twice.
    """
    first = raw.find(b"\r")
    if first < 0 or raw.startswith(b"\r\n", first):
        return raw
    feed = raw.find(b"\n")
    if 0 <= feed < first:
        return raw
    if raw.startswith(b"\r\r\n", first):
        return raw.replace(b"\r\r\n", b"\n")
    if raw.count(b"\n") * 2 > raw.count(b"\r"):  # a stray one in the first field
        return raw
    return raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def charset_of_headers(raw: bytes, body: int) -> str:
    """The likely charset of raw octets in the header: the first charset that is named.

    That is the body's where the header has raw octets, else that of its encoded words.

    Args:
        raw: the message.
        body: where its header block ends.
    """
    charset = None
    if not raw[:body].isascii():
        charset = _CHARSET.search(raw, 0, body) or _CHARSET.search(
            raw, body, body + _CHARSET_OCTETS
        )
    if charset is None:
        charset = _CHARSET_OF_WORD.search(raw, 0, body)
    return charset[1].decode("ascii") if charset else ""


def skip_leading_blanks(raw: bytes) -> int:
    """The start of the header: behind blank lines that a gateway put on top of it.

    A byte order mark is skipped as well, which editors put into files.
    """
    if raw.startswith(_BOM):
        return len(_BOM)
    if raw[:1] not in (b"\r", b"\n", b" ", b"\t"):
        return 0
    blanks = _LEADING_BLANKS.match(raw)
    if blanks is None:
        return 0
    line = raw[blanks.end() : blanks.end() + _LONGEST_LINE].decode("latin-1")
    if line.startswith(("From ", ">From ")):  # the envelope of a mailbox file
        line = line.partition("\n")[2]
    return blanks.end() if _KNOWN.match(line) else 0


def read_headers(
    raw: bytes, start: int, end: int, note: Note = ignore, charset: str = ""
) -> tuple[Headers, int]:
    """The header block at ``start``, and where the body begins.

    A block that a program wrote ends at its empty line, whatever lines are in it. Elsewhere, and
    where no empty line or nothing behind it is left, a line that is not a field begins the body,
    unless fields follow it.

    Args:
        charset: of the raw octets in it, for :class:`Headers`.
    """
    if raw.startswith((b"\n", b"\r\n"), start, end):
        return Headers([]), raw.index(b"\n", start) + 1
    blank = _END.search(raw, start, end)
    stop, body = (blank.start() + 1, blank.end()) if blank else (end, end)
    if stop - start > MAX_HEADER_BYTES:
        note("header block over the limit")
        stop = start + MAX_HEADER_BYTES
    block = raw[start:stop].decode("latin-1")
    fields = _FIELD.findall(block) if len(block) < _QUICK else []
    if not _is_whole(fields, block):
        is_written = bool(_BY_PROGRAM.search(block))
        has_body = blank is not None and _NOT_BLANK.search(raw, body, end) is not None
        fields, used = _split(block, is_written, has_body, note)
        if used != len(block):
            body = start + used
    return Headers(fields, charset), body


def _is_whole(fields: list[tuple[str, str]], block: str) -> bool:
    """Whether the fields are the whole block, without anything between them."""
    lengths = sum([len(name) + len(value) + 2 for name, value in fields])
    return lengths == len(block) and len(fields) <= MAX_HEADERS


def _split(
    block: str, is_written: bool, has_body: bool, note: Note
) -> tuple[list[tuple[str, str]], int]:
    """The fields of a block, and where the body begins: in it, or behind it.

    Args:
        is_written: a program wrote the fields, so that other lines at its top are not the body.
        has_body: something stands behind the empty line, so that nor are those at its end.
    """
    fields: list[tuple[str, str]] = []
    at = 0
    while at < len(block):
        field = _FIELD.match(block, at)
        if field is None:
            is_closed = is_written and (has_body or not fields)
            eol = block.find("\n", at) + 1 or len(block)
            if is_closed and fields and (whole := _refolded(fields[-1], block[at:eol])):
                note("a line in the header that lost the blank before it")
                fields[-1] = whole
                at = eol
                continue
            at, is_over = _past_bad_lines(block, at, bool(fields), is_closed, note)
            if is_over:
                return fields, at
        elif len(fields) == MAX_HEADERS:
            note("more header fields than the limit")
            break
        else:
            fields.append((field[1], field[2]))
            at = field.end()
    return fields, len(block)


def _refolded(field: tuple[str, str], line: str) -> tuple[str, str] | None:
    """The field with the ``line`` below it, where that continues with it; else ``None``."""
    name, value = field
    end, begin = _LOST_FOLDS.get(name.lower(), ("", None))
    if begin is None or len(value) > _BAD_LINES_CHARS or not begin.match(line):
        return None
    if not value.rstrip().endswith(end):
        return None
    return name, f"{value}\n {line}".rstrip("\r\n")


def _past_bad_lines(
    block: str, at: int, is_inside: bool, is_closed: bool, note: Note
) -> tuple[int, bool]:
    """The start of the next field or of the body, and whether it is the body."""
    eol = block.find("\n", at) + 1
    is_envelope = at == 0 and block.startswith(("From ", ">From ", " ", "\t"))
    if eol and is_envelope and _FIELD.match(block, eol):
        note("a line in the header that is not a field")
        return eol, False
    strange = _BAD_NAME.match(block, at) if is_inside else None
    if strange and (block[at] == ":" or _FIELD.match(block, strange.end())):
        note("a header field with an invalid name")
        return strange.end(), False
    boundary = _BOUNDARY.search(block, at, eol + _BAD_LINES_CHARS)
    is_blank_above = _BLANK_END.search(block, max(at - _MAX_BLANKS, 0), at)
    if is_closed and not boundary and not is_blank_above:
        note("a line in the header that is not a field")
        return _next_field(block, eol or len(block)), False
    known = None
    if eol and is_inside:
        end = boundary.start() if boundary else eol + _BAD_LINES_CHARS
        known = _KNOWN.search(block, eol, end)
    if known is None:
        note("a header block without a blank line after it")
        return at, True
    note("a line in the header that is not a field")
    return known.start(), False


def _next_field(block: str, at: int) -> int:
    """The start of the next line, from ``at`` on, that is a field."""
    for _ in range(MAX_HEADERS):
        if at == len(block) or _FIELD.match(block, at):
            return at
        at = block.find("\n", at) + 1 or len(block)
    return len(block)


def unfold(value: str) -> str:
    """A field's value on one line (RFC 5322 section 2.2.3)."""
    if "\n" in value:
        if "=?" in value:
            value = join_folded_words(value)
        # A line of blanks alone (RFC 5322 section 4.2) leaves no more than one fold does.
        if _BLANK_LINE.search(value):
            value = _FOLD.sub(r"\1", value)
        else:
            value = value.replace("\r\n", "").replace("\n", "")
    return value.strip(" \t\r")


def decode_text(raw: str, note: Note = ignore, charset: str = "") -> str:
    """An unstructured field's text (RFC 2047, 6532), without control characters."""
    return decode_words(to_unicode(raw, note, charset), note)


def end_of_comment(text: str, at: int) -> int:
    """The end of the comment whose ``(`` stands right before ``at``; -1 when it is not closed.

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
    with an ``@`` count, and the only word that there is.
    """
    if _ONE_ID.fullmatch(raw):  # nearly always
        return (raw,)
    text = to_unicode(raw, note)
    if "=?" in text:  # ids that a program encoded since they were longer than a line
        text = decode_words(text, note)
    words: Iterable[str] = (match[1] for match in _BRACKETED.finditer(text))
    if not _BRACKETED.search(text):
        bare = _WORDS.findall(text)
        words = (word.strip("<>,;") for word in bare if "@" in word or len(bare) == 1)
    root = ""
    newest: deque[str] = deque(maxlen=MAX_MESSAGE_IDS - 1)
    count = 0
    for word in words:
        message_id = f"<{_SPACE.sub('', word)}>"
        if not 2 < len(message_id) <= MAX_MESSAGE_ID_CHARS:
            continue
        count += 1
        if root:
            newest.append(message_id)
        else:
            root = message_id
    if count > MAX_MESSAGE_IDS:
        note("more message ids than the limit")
    return tuple(dict.fromkeys((root, *newest))) if root else ()
