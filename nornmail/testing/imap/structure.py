"""ENVELOPE, BODY and BODYSTRUCTURE of a message (RFC 3501, section 7.4.2)."""

from __future__ import annotations

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
from nornmail.testing.imap.mime_parts import Part

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
