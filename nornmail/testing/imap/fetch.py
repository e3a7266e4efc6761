"""FETCH: its items parsed, and rendered from a stored message (RFC 3501, 6.4.5 and 7.4.2).

ENVELOPE, BODY and BODYSTRUCTURE stand at the end.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from nornmail.testing.imap.client import render_flags
from nornmail.testing.imap.grammar import BadSyntax, Cursor, render_date_time, render_string
from nornmail.testing.imap.grammar import render_nstring as nstring
from nornmail.testing.imap.grammar import render_quoted as quoted
from nornmail.testing.imap.mime_fields import (
    MAX_ADDRESSES,
    Address,
    Parameters,
    parse_addresses,
    parse_disposition,
    parse_word,
    parse_words,
)
from nornmail.testing.imap.mime_parts import Part, fields, parse_parts
from nornmail.testing.mailbox import StoredMessage

Text = Literal["", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]
"""The text of a part that is asked for; ``""`` is its content."""

_TEXTS: tuple[Text, ...] = ("HEADER.FIELDS.NOT", "HEADER.FIELDS", "HEADER", "TEXT", "MIME", "")
_PATH = re.compile(rb"((?:[1-9][0-9]{0,8}\.)*)([1-9][0-9]{0,8})(?=[.\]])")


@dataclass(frozen=True, slots=True)
class Section:
    """One section.

    Args:
        path: the part's numbers from the outside in; none for the message itself.
        text: the text of it that is asked for.
        names: the header fields of HEADER.FIELDS, as they were asked for.
    """

    path: tuple[int, ...] = ()
    text: Text = ""
    names: tuple[bytes, ...] = ()

    def label(self) -> bytes:
        """The section as it stands in an answer, between the brackets."""
        words = [b"%d" % number for number in self.path]
        if self.text:
            words.append(self.text.encode("ascii"))
        label = b".".join(words)
        if self.names:
            label += b" (" + b" ".join(render_string(name) for name in self.names) + b")"
        return label


def parse_section(cursor: Cursor) -> Section:
    """The section between the brackets, and the closing one."""
    path: tuple[int, ...] = ()
    match = cursor.match(_PATH)
    if match is not None:
        path = tuple(int(number) for number in match[0].split(b"."))
        if not cursor.accept(b"."):
            cursor.expect(b"]")
            return Section(path)
    text = next(text for text in _TEXTS if cursor.accept(text.encode("ascii")))
    if (path and not text) or (not path and text == "MIME"):
        raise BadSyntax("unknown section")
    names: tuple[bytes, ...] = ()
    if text.startswith("HEADER.FIELDS"):
        cursor.space()
        names = tuple(cursor.astrings())
    cursor.expect(b"]")
    return Section(path, text, names)


def section_of(message: Part, section: Section) -> bytes:
    """The octets of a section; none where the message has no such part, as Dovecot has it."""
    if section.path:
        part = _part(message, section.path)
        if part is None:
            return b""
        if not section.text:
            return part.body_octets
        if section.text == "MIME":
            return part.head_octets
        if part.kind != "message" or not part.children:
            return b""
        (message,) = part.children
    if section.text == "":
        return message.raw
    if section.text == "TEXT":
        return message.body_octets
    if section.text == "HEADER":
        return message.head_octets
    return _chosen(message, section)


def _part(message: Part, path: tuple[int, ...]) -> Part | None:
    """The part of these numbers, None where there is none.

    A message that is not a multipart has one part: its body, without others in it. A part of a
    multipart that has none is its own first part, as Dovecot has it.
    """
    part, is_body, is_message = message, False, True
    for number in path:
        if part.kind == "message" and part.children and not is_message:
            part, is_body, is_message = part.children[0], False, True
        children = part.children if part.kind == "multipart" else [part]
        if number > len(children) or is_body:
            return None
        is_body = is_message and part.kind != "multipart"
        part, is_message = children[number - 1], False
    return part


def _chosen(message: Part, section: Section) -> bytes:
    names = {name.lower() for name in section.names}
    among = section.text == "HEADER.FIELDS"
    chosen = [
        field.octets if field.octets.endswith(b"\n") else field.octets + b"\r\n"
        for field in fields(message.head_octets)
        if (field.name.lower() in names) == among
    ]
    return b"".join(chosen) + b"\r\n"


MAX_ITEMS = 1000
"""Data items of one FETCH: each may hold the whole message."""

_NAME = re.compile(
    rb"(UID|FLAGS|INTERNALDATE|ENVELOPE|BODYSTRUCTURE|BODY|MODSEQ"
    rb"|RFC822(?:\.(?:SIZE|HEADER|TEXT))?)(?=[ )]|$)",
    re.I,
)
_MACRO = re.compile(rb"(ALL|FAST|FULL)(?= |$)", re.I)
_BODY = re.compile(rb"(BODY(?:\.PEEK)?)\[", re.I)
_PARTIAL = re.compile(rb"<([0-9]{1,10})\.([0-9]{1,10})>")


@dataclass(frozen=True)
class FetchItem:
    r"""One data item.

    Args:
        label: its name in the answer.
        section: what of the message's text it gives; None where it gives none.
        partial: offset and length.
        sees: whether it sets \Seen.
    """

    label: bytes
    section: Section | None = None
    partial: tuple[int, int] | None = None
    sees: bool = False


UID = FetchItem(b"UID")
FLAGS = FetchItem(b"FLAGS")
MODSEQ = FetchItem(b"MODSEQ")

_FAST = [FLAGS, FetchItem(b"INTERNALDATE"), FetchItem(b"RFC822.SIZE")]
_MACROS = {
    b"FAST": _FAST,
    b"ALL": [*_FAST, FetchItem(b"ENVELOPE")],
    b"FULL": [*_FAST, FetchItem(b"ENVELOPE"), FetchItem(b"BODY")],
}
_WHOLE = {
    b"RFC822": FetchItem(b"RFC822", Section(), sees=True),
    b"RFC822.HEADER": FetchItem(b"RFC822.HEADER", Section(text="HEADER")),
    b"RFC822.TEXT": FetchItem(b"RFC822.TEXT", Section(text="TEXT"), sees=True),
}


def parse_items(cursor: Cursor) -> list[FetchItem]:
    """The items of a FETCH: a macro, one item, or a list in parentheses."""
    if macro := cursor.match(_MACRO):
        return list(_MACROS[macro[1].upper()])
    if not cursor.accept(b"("):
        return [_parse_item(cursor)]
    items = [_parse_item(cursor)]
    while cursor.accept(b" "):
        items.append(_parse_item(cursor))
        if len(items) > MAX_ITEMS:
            raise BadSyntax("too many data items")
    cursor.expect(b")")
    return items


def _parse_item(cursor: Cursor) -> FetchItem:
    if match := cursor.match(_NAME):
        name = match[1].upper()
        return _WHOLE.get(name, FetchItem(name))
    body = cursor.match(_BODY)
    if body is None:
        raise BadSyntax("unknown data item")
    section = parse_section(cursor)
    label = b"BODY[" + section.label() + b"]"
    partial = cursor.match(_PARTIAL)
    span = (int(partial[1]), int(partial[2])) if partial else None
    if span is not None:
        if span[1] == 0:
            raise BadSyntax("a partial of no octets")
        label += b"<%d>" % span[0]
    return FetchItem(label, section, span, sees=body[1].upper() == b"BODY")


class Rendering:
    """One message on its way into a FETCH line. It is cut into parts once, if at all."""

    def __init__(self, number: int, message: StoredMessage, modseq: int) -> None:
        self.number = number
        self.message = message
        self.modseq = modseq

    @cached_property
    def _parts(self) -> Part:
        return parse_parts(self.message.raw)

    def line(self, items: list[FetchItem]) -> bytes:
        """The untagged line with these items."""
        return self.joined([self.item(item) for item in items])

    def joined(self, values: list[bytes]) -> bytes:
        """The untagged line with these values."""
        return b"* %d FETCH (%s)\r\n" % (self.number, b" ".join(values))

    def item(self, item: FetchItem) -> bytes:
        """An item with its value."""
        if item.section is None:
            return item.label + b" " + self._attribute(item.label)
        text = self.text(item.section)
        if item.partial is not None:
            start, length = item.partial
            text = text[start : start + length]
        return b"%s {%d}\r\n%s" % (item.label, len(text), text)

    def text(self, section: Section) -> bytes:
        """The octets of a section."""
        if section == Section():
            return self.message.raw
        return section_of(self._parts, section)

    def _attribute(self, label: bytes) -> bytes:
        message = self.message
        match label:
            case b"UID":
                return b"%d" % message.uid
            case b"FLAGS":
                return render_flags(message.flags)
            case b"INTERNALDATE":
                return render_date_time(message.internal_date)
            case b"MODSEQ":
                return b"(%d)" % self.modseq
            case b"ENVELOPE":
                return render_envelope(self._parts)
            case b"BODY" | b"BODYSTRUCTURE":
                return render_structure(self._parts, extended=label == b"BODYSTRUCTURE")
        return b"%d" % len(message.raw)


EMPTY = b'"text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0'
"""The content of a multipart without parts, which the grammar does not allow."""

_LISTS = (b"from", b"sender", b"reply-to", b"to", b"cc", b"bcc")


def render_envelope(part: Part) -> bytes:
    """The ENVELOPE of a message's header."""
    lists: dict[bytes, bytes] = {name: _addresses(part, name) for name in _LISTS}
    for name in (b"sender", b"reply-to"):
        if lists[name] == b"NIL":
            lists[name] = lists[b"from"]
    return b"(%s)" % b" ".join(
        [
            nstring(part.last_value(b"date")),
            nstring(_collapsed(part.last_value(b"subject"))),
            *(lists[name] for name in _LISTS),
            nstring(part.last_value(b"in-reply-to")),
            nstring(part.last_value(b"message-id")),
        ]
    )


def _addresses(part: Part, name: bytes) -> bytes:
    addresses: list[Address] = []
    for field in part.header:
        if field.name.lower() == name:
            addresses += parse_addresses(field.value)
            if len(addresses) >= MAX_ADDRESSES:
                break
    return b"(%s)" % b"".join(map(_address, addresses)) if addresses else b"NIL"


def _address(address: Address) -> bytes:
    values = (_collapsed(address.name), address.route, address.mailbox, address.host)
    return b"(%s)" % b" ".join(map(nstring, values))


def render_structure(part: Part, *, extended: bool) -> bytes:
    """BODYSTRUCTURE, or BODY without what is extension data."""
    if part.kind == "multipart":
        return _multipart(part, extended=extended)
    values = [_type_and_parameters(part), *_facts(part)]
    if part.kind == "message":
        values += _enclosed(part, extended=extended)
    elif part.content_type.major.lower() == b"text":
        values.append(b"%d" % _lines(part))
    if extended:
        values += [nstring(part.value(b"content-md5")), *_extensions(part)]
    return b"(%s)" % b" ".join(values)


def _multipart(part: Part, *, extended: bool) -> bytes:
    inner = [render_structure(child, extended=extended) for child in part.children]
    values = [b"".join(inner) or _empty(extended=extended)]
    values.append(quoted(part.content_type.minor))
    if extended:
        values += [_parameters(part.content_type.parameters), *_extensions(part)]
    return b"(%s)" % b" ".join(values)


def _type_and_parameters(part: Part) -> bytes:
    text = part.content_type.major.lower() == b"text"
    major, minor = part.content_type.major, part.content_type.minor
    parameters = list(part.content_type.parameters)
    if text and not any(name.lower() == b"charset" for name, _ in parameters):
        parameters.append((b"charset", b"us-ascii"))
    if part.kind == "message":
        major, minor = b"message", b"rfc822"
    return b"%s %s %s" % (quoted(major), quoted(minor), _parameters(parameters))


def _facts(part: Part) -> list[bytes]:
    encoding = parse_word(part.value(b"content-transfer-encoding") or b"")
    return [
        nstring(part.value(b"content-id")),
        nstring(part.value(b"content-description")),
        quoted(encoding or b"7bit"),
        b"%d" % (part.end - part.body),
    ]


def _empty(*, extended: bool) -> bytes:
    return b"(" + EMPTY + (b" NIL NIL NIL NIL)" if extended else b")")


def _enclosed(part: Part, *, extended: bool) -> list[bytes]:
    if not part.children:  # the part breaks off within its header
        return [b"(" + b" ".join([b"NIL"] * 10) + b")", _empty(extended=extended), b"0"]
    (child,) = part.children
    structure = render_structure(child, extended=extended)
    return [render_envelope(child), structure, b"%d" % _lines(part)]


def _extensions(part: Part) -> list[bytes]:
    shown = b"NIL"
    disposition = part.last_value(b"content-disposition")
    if disposition is not None:
        word, parameters = parse_disposition(disposition)
        shown = b"(%s %s)" % (quoted(word), _parameters(parameters))
    languages = parse_words(part.value(b"content-language") or b"")
    tags = b"(%s)" % b" ".join(map(quoted, languages)) if languages else b"NIL"
    return [shown, tags, nstring(part.value(b"content-location"))]


def _collapsed(value: bytes | None) -> bytes | None:
    """A text for people: one blank wherever there is white space, none at its ends."""
    return None if value is None else b" ".join(value.split())


def _parameters(parameters: Parameters) -> bytes:
    if not parameters:
        return b"NIL"
    return b"(%s)" % b" ".join(quoted(name) + b" " + quoted(value) for name, value in parameters)


def _lines(part: Part) -> int:
    return part.raw.count(b"\n", part.body, part.end)
