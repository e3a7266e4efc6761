"""The sections of a message that BODY[...] names (RFC 3501, section 6.4.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from nornmail.testing.imap.grammar import BadSyntax, Cursor, render_string
from nornmail.testing.mime.fields import fields
from nornmail.testing.mime.parts import Part

Text = Literal["", "HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"]
"""What of a part is wanted; ``""`` is its content."""

_TEXTS: tuple[Text, ...] = ("HEADER.FIELDS.NOT", "HEADER.FIELDS", "HEADER", "TEXT", "MIME", "")
_PATH = re.compile(rb"((?:[1-9][0-9]{0,8}\.)*)([1-9][0-9]{0,8})(?=[.\]])")


@dataclass(frozen=True, slots=True)
class Section:
    """One section.

    Args:
        path: the part's numbers from the outside in; none for the message itself.
        text: what of it.
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
    """What stands between the brackets, and the closing one."""
    path: tuple[int, ...] = ()
    found = cursor.match(_PATH)
    if found is not None:
        path = tuple(int(number) for number in found[0].split(b"."))
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

    A message that is no multipart has one part: its body, in which there are no others. A part of
    a multipart that has none is its own first part, as Dovecot has it.
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
    wanted = {name.lower() for name in section.names}
    among = section.text == "HEADER.FIELDS"
    chosen = [
        field.octets if field.octets.endswith(b"\n") else field.octets + b"\r\n"
        for field in fields(message.head_octets)
        if (field.name.lower() in wanted) == among
    ]
    return b"".join(chosen) + b"\r\n"
