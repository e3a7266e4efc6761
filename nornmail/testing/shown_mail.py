"""A message as the page and the interface show it, read by the standard library alone."""

from __future__ import annotations

import base64
import html
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage, Message
from email.utils import format_datetime, localtime, make_msgid
from functools import cached_property
from typing import Any, NamedTuple


class Attachment(NamedTuple):
    """A part that is neither the text nor the HTML of its message."""

    name: str
    content_type: str
    content: bytes


class ShownMail:
    """A message to be shown. Nothing in it raises, whatever the octets are."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._mail: Message[Any, Any] = message_from_bytes(raw)

    def head(self) -> dict[str, str]:
        """From, To, Subject and Date for a line of a list."""
        return {name.lower(): self._header(name) for name in ("From", "To", "Subject", "Date")}

    def to_dict(self) -> dict[str, Any]:
        """The message for JSON; ``html`` is asked for by itself."""
        return {
            **self.head(),
            "headers": [[name, _decoded(value)] for name, value in self._mail.items()],
            "text": self.text,
            "has_html": bool(self._body("text/html")),
            "attachments": [
                {"name": part.name, "content_type": part.content_type, "size": len(part.content)}
                for part in self.attachments
            ],
        }

    @cached_property
    def text(self) -> str:
        """The plain text, or "" where there is none."""
        part = self._body("text/plain")
        return _content(part) if part is not None else ""

    @property
    def html(self) -> str:
        """The HTML with the pictures that it carries, or the text in a page of its own."""
        part = self._body("text/html")
        if part is None:
            return f"<!doctype html><meta charset=utf-8><pre>{html.escape(self.text)}</pre>"
        page = _content(part)
        for picture in self._mail.walk():
            name = str(picture.get("Content-ID", "")).strip().strip("<>")
            if name and picture.get_content_maintype() == "image":
                octets = base64.b64encode(_octets(picture)).decode("ascii")
                page = page.replace(
                    f"cid:{name}", f"data:{picture.get_content_type()};base64,{octets}"
                )
        return page

    @cached_property
    def attachments(self) -> list[Attachment]:
        """Every other part, in the order of the message."""
        bodies = (self._body("text/plain"), self._body("text/html"))
        return [
            Attachment(
                _decoded(part.get_filename() or f"part {number}"),
                part.get_content_type(),
                _octets(part),
            )
            for number, part in enumerate(self._mail.walk())
            if not part.is_multipart() and part not in bodies
        ]

    def _body(self, content_type: str) -> Message[Any, Any] | None:
        for part in self._mail.walk():
            is_body = not part.is_multipart() and part.get_content_disposition() != "attachment"
            if is_body and part.get_content_type() == content_type:
                return part
        return None

    def _header(self, name: str) -> str:
        return _decoded(self._mail.get(name, ""))


def compose(**words: str) -> EmailMessage:
    """A message of ``from``, ``to``, ``subject``, ``text`` and ``html``."""
    mail = EmailMessage()
    for name in ("from", "to", "subject"):
        mail[name.capitalize()] = words[name]
    mail["Date"] = format_datetime(localtime())
    mail["Message-ID"] = make_msgid(domain="nornmail.test")
    mail.set_content(words["text"])
    if words["html"]:
        mail.add_alternative(words["html"], subtype="html")
    return mail


def _octets(part: Message[Any, Any]) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _content(part: Message[Any, Any]) -> str:
    charset = part.get_content_charset("utf-8")
    try:
        return _octets(part).decode(charset, "replace")
    except LookupError:
        return _octets(part).decode("utf-8", "replace")


def _decoded(value: object) -> str:
    """A header's value without encoded words and folds; as it came where they are broken."""
    text = str(value)
    try:
        text = str(make_header(decode_header(text)))
    except (LookupError, ValueError):
        text = str(value)
    return " ".join(text.split())
