"""FETCH: its items parsed, and rendered from a stored message (RFC 3501, 6.4.5 and 7.4.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from nornmail.testing.faults import FetchFault
from nornmail.testing.imap.grammar import BadSyntax, Cursor, render_date_time, render_string
from nornmail.testing.imap.view import StoredMessage, render_flags

PLACEHOLDER = b"Subject: message unavailable\r\n\r\nThis message is no longer available.\r\n"
"""What the ``placeholder`` fault gives instead of a message, as some servers do."""

_NAME = re.compile(rb"(UID|FLAGS|INTERNALDATE|RFC822(?:\.(?:SIZE|HEADER|TEXT))?)(?=[ )]|$)", re.I)
_BODY = re.compile(rb"(BODY(?:\.PEEK)?)\[", re.I)
_SECTION = re.compile(rb"(HEADER\.FIELDS\.NOT|HEADER\.FIELDS|HEADER|TEXT|)(?=[ \]])", re.I)
_PARTIAL = re.compile(rb"<([0-9]{1,10})\.([0-9]{1,10})>")
_BLANK_LINE = re.compile(rb"(?:\A|\n)\r?\n")
_FIELD = re.compile(rb"^([^:\r\n]+):[^\n]*\n?(?:[ \t][^\n]*\n?)*", re.M)


@dataclass(frozen=True)
class FetchItem:
    r"""One data item.

    Args:
        label: its name in the answer.
        section: the part of the message it gives, ``""`` for all of it; None for UID, FLAGS,
            INTERNALDATE and RFC822.SIZE.
        fields: the header fields wanted by HEADER.FIELDS, lower-case.
        partial: offset and length.
        sees: whether it sets \Seen.
    """

    label: bytes
    section: str | None = None
    fields: frozenset[bytes] = frozenset()
    partial: tuple[int, int] | None = None
    sees: bool = False


UID = FetchItem(b"UID")
FLAGS = FetchItem(b"FLAGS")

_WHOLE = {
    b"RFC822": FetchItem(b"RFC822", section="", sees=True),
    b"RFC822.HEADER": FetchItem(b"RFC822.HEADER", section="HEADER"),
    b"RFC822.TEXT": FetchItem(b"RFC822.TEXT", section="TEXT", sees=True),
}


def parse_items(cursor: Cursor) -> list[FetchItem]:
    """The items of a FETCH: one, or a list in parentheses."""
    if not cursor.accept(b"("):
        return [_parse_item(cursor)]
    items = [_parse_item(cursor)]
    while cursor.accept(b" "):
        items.append(_parse_item(cursor))
    cursor.expect(b")")
    return items


def _parse_item(cursor: Cursor) -> FetchItem:
    if found := cursor.match(_NAME):
        name = found[1].upper()
        return _WHOLE.get(name, FetchItem(name))
    body = cursor.match(_BODY)
    section = cursor.match(_SECTION) if body else None
    if body is None or section is None:
        raise BadSyntax("unknown data item")
    name = section[1].upper()
    label = b"BODY[" + name
    fields: list[bytes] = []
    if name.startswith(b"HEADER.FIELDS"):
        cursor.space()
        fields = cursor.astrings()
        label += b" (" + b" ".join(render_string(field) for field in fields) + b")"
    cursor.expect(b"]")
    label += b"]"
    partial = cursor.match(_PARTIAL)
    span = (int(partial[1]), int(partial[2])) if partial else None
    if span is not None:
        if span[1] == 0:
            raise BadSyntax("a partial of no octets")
        label += b"<%d>" % span[0]
    wanted = frozenset(field.lower() for field in fields)
    peeks = body[1].upper() == b"BODY.PEEK"
    return FetchItem(label, name.decode("ascii"), wanted, span, not peeks)


def header_end(raw: bytes) -> int:
    """Where the text begins: behind the first blank line, or at the end."""
    found = _BLANK_LINE.search(raw)
    return found.end() if found else len(raw)


def section_of(raw: bytes, item: FetchItem) -> bytes:
    """The octets that an item asks for, before its partial is cut out."""
    if not item.section:
        return raw
    end = header_end(raw)
    if item.section == "TEXT":
        return raw[end:]
    if item.section == "HEADER":
        return raw[:end]
    wanted = item.section == "HEADER.FIELDS"
    chosen = [
        field[0] if field[0].endswith(b"\n") else field[0] + b"\r\n"
        for field in _FIELD.finditer(raw, 0, end)
        if (field[1].strip().lower() in item.fields) == wanted
    ]
    return b"".join(chosen) + b"\r\n"


def render_fetch(number: int, message: StoredMessage, items: list[FetchItem]) -> bytes:
    """The untagged FETCH line of one message."""
    values = [_render_item(message, item) for item in items]
    return b"* %d FETCH (%s)\r\n" % (number, b" ".join(values))


def _render_item(message: StoredMessage, item: FetchItem) -> bytes:
    if item.section is None:
        return item.label + b" " + _attribute(message, item.label)
    text = section_of(message.raw, item)
    if item.partial is not None:
        start, length = item.partial
        text = text[start : start + length]
    return b"%s {%d}\r\n%s" % (item.label, len(text), text)


def _attribute(message: StoredMessage, label: bytes) -> bytes:
    if label == b"UID":
        return b"%d" % message.uid
    if label == b"FLAGS":
        return render_flags(message.flags)
    if label == b"INTERNALDATE":
        return render_date_time(message.internal_date)
    return b"%d" % len(message.raw)


def render_spoiled(
    number: int, message: StoredMessage, items: list[FetchItem], fault: FetchFault
) -> bytes:
    """The same line as a FetchFault wants it; no line at all when the message is missing."""
    other = message.uid + 1 if fault.other_uid is None else fault.other_uid
    plain = [item for item in items if item.section is None]
    match fault.kind:
        case "missing":
            return b""
        case "no_body":
            return render_fetch(number, message, plain)
        case "nil":
            values = [_render_item(message, item) for item in plain]
            values += [item.label + b" NIL" for item in items if item.section is not None]
            return b"* %d FETCH (%s)\r\n" % (number, b" ".join(values))
        case "wrong_uid":
            return render_fetch(number, replace(message, uid=other), items)
        case "no_uid":
            return render_fetch(number, message, [item for item in items if item.label != b"UID"])
        case "wrong_size":
            line = render_fetch(number, message, items)
            size = b"RFC822.SIZE %d"
            return line.replace(size % len(message.raw), size % (len(message.raw) + 1), 1)
        case "twice":
            return render_fetch(number, message, items) * 2
        case "empty" | "short" | "placeholder":
            return _render_other_text(number, message, items, fault.kind)


def _render_other_text(
    number: int, message: StoredMessage, items: list[FetchItem], kind: str
) -> bytes:
    """The line with a wrong text in a well-formed literal; RFC822.SIZE stays the true one."""
    values: list[bytes] = []
    for item in items:
        text = section_of(message.raw, item)
        if item.section is None:
            values.append(_render_item(message, item))
            continue
        wrong = {"empty": b"", "short": text[: len(text) // 2], "placeholder": PLACEHOLDER}[kind]
        values.append(b"%s {%d}\r\n%s" % (item.label, len(wrong), wrong))
    return b"* %d FETCH (%s)\r\n" % (number, b" ".join(values))
