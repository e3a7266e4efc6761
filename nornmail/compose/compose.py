"""Outgoing messages: a draft in, bytes and envelope out. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from io import BytesIO
from typing import Final, Literal

from nornmail.compose.addresses import (
    AddressesLike,
    AddressLike,
    needs_smtputf8,
    to_address,
    to_addresses,
)
from nornmail.compose.attachments import OutgoingAttachment, attachment_entity, checked_content_id
from nornmail.compose.headers import (
    address_list,
    checked_ids,
    checked_text,
    custom_headers,
    own_message_id,
    structured,
    trim_references,
    unstructured,
)
from nornmail.compose.mime import Boundaries, Entity, multipart, text_entity
from nornmail.errors import ComposeError
from nornmail.html.document import html_to_text
from nornmail.message.addresses import Address
from nornmail.message.message import parse_message
from nornmail.outgoing import Envelope, check_line_endings

MAX_ATTACHMENTS: Final = 500
"""Attachments of one message; readers look at some 1,000 parts."""


def content_entity(
    text: str | None, html: str | None, attachments: Sequence[OutgoingAttachment], unique: str
) -> Entity:
    """The whole body of a message, as one MIME tree (RFC 2046, 2387).

    Text and HTML are alternatives; images with a Content-ID are related to the HTML that shows
    them; everything else is attached.

    Args:
        text: plain; where there is none, or it is blank, it is made from the HTML.
        unique: makes the boundaries.

    Raises:
        ComposeError: there is no content, or some of it cannot be written.
    """
    if text is None and html is None and not attachments:
        raise ComposeError("text", "the message is empty: no text, no HTML, no attachment")
    for name, value in (("text", text), ("html", html)):
        if value is not None and not isinstance(value, str):
            raise ComposeError(name, f"{type(value).__name__} is not a str")
    if len(attachments) > MAX_ATTACHMENTS:
        raise ComposeError("attachments", f"more than {MAX_ATTACHMENTS}")
    boundaries = Boundaries(unique)
    inline = [image for image in attachments if image.content_id] if html else []
    _check_content_ids(inline)
    body = _body(text or "", html or "", inline, boundaries)
    files = [attachment for attachment in attachments if attachment not in inline]
    if not files:
        return body
    return multipart("mixed", [body, *map(attachment_entity, files)], boundaries)


def _body(
    text: str, html: str, inline: Sequence[OutgoingAttachment], boundaries: Boundaries
) -> Entity:
    """The part that a person reads."""
    if not html:
        return text_entity(text, "plain")
    rich = text_entity(html, "html")
    if inline:
        images = [attachment_entity(image, inline=True) for image in inline]
        rich = multipart("related", [rich, *images], boundaries, type="text/html")
    if not text.strip():
        text = html_to_text(html)
    if not text.strip():  # images alone: a reader may show an empty alternative instead
        return rich
    return multipart("alternative", [text_entity(text, "plain"), rich], boundaries)


def _check_content_ids(inline: Sequence[OutgoingAttachment]) -> None:
    ids = [checked_content_id(image) for image in inline]
    if len(set(ids)) < len(ids):
        raise ComposeError("attachments", "two images with one Content-ID")


def read_back(
    raw: bytes, addresses: Mapping[str, Sequence[Address]], fields: Sequence[bytes]
) -> None:
    """Refuse a message that our own parser reads differently than it was meant.

    The writer and the reader share no code, so a mistake in one of them shows here, before the
    message is queued.

    Args:
        raw: the message.
        addresses: those that ``from_``, ``to``, ``cc`` and ``reply_to`` are to hold.
        fields: the header, field by field.

    Raises:
        ComposeError: a line breaks the rules, a field is too many, or another address is read.
    """
    fault = check_line_endings(raw)
    if fault:
        raise ComposeError("message", fault)
    head_end = raw.find(b"\r\n\r\n") + 4
    message = parse_message(raw[:head_end])
    names = [field.partition(b":")[0].decode() for field in fields]
    if list(message.headers) != names:
        raise ComposeError("message", "its header would be read with other fields")
    read = {
        "from_": (message.from_,),
        "to": message.to,
        "cc": message.cc,
        "reply_to": message.reply_to,
    }
    for name, people in read.items():
        if [who.address for who in people] != [who.address for who in addresses[name]]:
            raise ComposeError(name.rstrip("_"), "its addresses would be read as other ones")


MAX_RECIPIENTS: Final = 1_000
"""Recipients of one message. Submission servers stop at 50 to 2,000."""
NOT_TO_BE_ANSWERED: Final = "DR, RN, NRN, OOF, AutoReply"
"""The automatic mail that Exchange is asked not to send: all but delivery reports."""
AUTO_SUBMITTED: Final = ("auto-replied", "auto-generated")
"""Values of Auto-Submitted (RFC 3834, 5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The contents of a message to send, unchecked until :func:`compose`.

    Attributes:
        sender: the From address, and the envelope's sender.
        to, cc, bcc: the recipients, see :data:`~nornmail.compose.addresses.AddressesLike`; ``bcc``
            is in the envelope alone.
        reply_to: where answers are to go, if not to ``sender``.
        attachments: files and inline images, already read
            (:func:`~nornmail.compose.attachments.read_attachments`).
        headers: further fields, as ``{"X-Ticket": "17"}``. Those that are made here are refused.
        in_reply_to: the Message-ID that this answers, with its angle brackets.
        references: the Message-IDs of the thread, oldest first, with theirs.
        thread_id: the thread that it counts in; ``""`` is the root of ``references``.
        auto_submitted: for RFC 3834; ``""`` where a person wrote or approved it.
    """

    sender: AddressLike
    to: AddressesLike = ()
    cc: AddressesLike = ()
    bcc: AddressesLike = ()
    reply_to: AddressesLike = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: Sequence[OutgoingAttachment] = ()
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    in_reply_to: str = ""
    references: Sequence[str] = ()
    thread_id: str = ""
    auto_submitted: Literal["", "auto-replied", "auto-generated"] = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Composed:
    """A message that can be sent.

    Attributes:
        raw: the bytes: CRLF, no bare CR or LF, no line over 998 octets, and 7 bits unless an
            address needs SMTPUTF8. It ends in CRLF.
        envelope: from whom and to whom, Bcc included.
        message_id: with its angle brackets.
    """

    raw: bytes
    envelope: Envelope
    message_id: str
    subject: str
    thread_id: str


def compose(draft: Draft, *, now: datetime, unique: str) -> Composed:
    """Compose a message.

    Args:
        now: for the Date field; with a time zone.
        unique: makes the Message-ID: the same for the same message, and never for another one.
            Letters, digits, ``.``, ``_`` and ``-``.

    Raises:
        ComposeError: some of it cannot be written, or would be read differently.
    """
    people = _people(draft)
    message_id = own_message_id(unique, people.sender.address.rpartition("@")[2])
    chain = _chain(draft)
    content = content_entity(draft.text, draft.html, draft.attachments, unique)
    fields = [
        *_address_fields(people),
        *_identity_fields(draft, now, message_id, chain),
        *custom_headers(draft.headers),
        structured("MIME-Version", "1.0"),
        *content.fields,
    ]
    # All of it at once, since a buffer that grows is copied; it gives its octets away without.
    file = BytesIO(bytes(sum(map(len, fields)) + 2 + content.size))
    file.writelines((*fields, b"\r\n"))
    content.write(file)
    raw = file.getvalue()
    read_back(raw, people.by_field(), fields)
    envelope = people.envelope()
    if not envelope.smtputf8 and not raw.isascii():
        raise ComposeError("message", "it holds octets beyond ASCII")
    return Composed(
        raw=raw,
        envelope=envelope,
        message_id=message_id,
        subject=draft.subject.strip(),
        thread_id=draft.thread_id or (chain[0] if chain else message_id),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _People:
    """The addresses of a message, checked."""

    sender: Address
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    bcc: tuple[Address, ...]
    reply_to: tuple[Address, ...]

    def by_field(self) -> dict[str, Sequence[Address]]:
        """The addresses that each header field is to hold."""
        return {"from_": (self.sender,), "to": self.to, "cc": self.cc, "reply_to": self.reply_to}

    def envelope(self) -> Envelope:
        everyone = to_addresses((*self.to, *self.cc, *self.bcc), "to")
        smtputf8 = _needs_utf8((self.sender, *everyone, *self.reply_to))
        return Envelope(self.sender.address, tuple(who.address for who in everyone), smtputf8)


def _needs_utf8(addresses: Sequence[Address]) -> bool:
    return any(needs_smtputf8(who.address) for who in addresses)


def _people(draft: Draft) -> _People:
    people = _People(
        sender=to_address(draft.sender, "sender"),
        to=to_addresses(draft.to, "to"),
        cc=to_addresses(draft.cc, "cc"),
        bcc=to_addresses(draft.bcc, "bcc"),
        reply_to=to_addresses(draft.reply_to, "reply_to"),
    )
    count = len(people.to) + len(people.cc) + len(people.bcc)
    if not count:
        raise ComposeError("to", "no recipient: give to, cc or bcc")
    if count > MAX_RECIPIENTS:
        raise ComposeError("to", f"more than {MAX_RECIPIENTS} recipients")
    return people


def _address_fields(people: _People) -> Iterator[bytes]:
    yield address_list("From", [people.sender])
    if people.to:
        yield address_list("To", people.to)
    elif not people.cc:
        yield structured("To", "undisclosed-recipients:;")
    if people.cc:
        yield address_list("Cc", people.cc)
    if people.reply_to:
        yield address_list("Reply-To", people.reply_to)


def _identity_fields(
    draft: Draft, now: datetime, message_id: str, chain: Sequence[str]
) -> Iterator[bytes]:
    """Subject, date, ids, and the mark of an automatic message."""
    offset = now.utcoffset()
    if offset is None:
        raise ComposeError("now", "a time without a time zone")
    if offset.seconds % 60:  # as local mean time has; a Date field has hours and minutes
        now = now.astimezone(UTC)
    subject = checked_text(draft.subject, "subject")
    if subject:
        yield unstructured("Subject", subject)
    yield structured("Date", format_datetime(now))
    yield structured("Message-ID", message_id)
    if draft.in_reply_to:
        yield structured("In-Reply-To", draft.in_reply_to)
    if chain:
        yield structured("References", " ".join(trim_references(chain)))
    if draft.auto_submitted:
        if draft.auto_submitted not in AUTO_SUBMITTED:
            raise ComposeError("auto_submitted", "must be of " + ", ".join(AUTO_SUBMITTED))
        yield structured("Auto-Submitted", draft.auto_submitted)
        yield structured("X-Auto-Response-Suppress", NOT_TO_BE_ANSWERED)


def _chain(draft: Draft) -> tuple[str, ...]:
    """The ids of the thread, up to the answered message."""
    answered = checked_ids(filter(None, (draft.in_reply_to,)), "in_reply_to")
    before = [id_ for id_ in checked_ids(draft.references, "references") if id_ not in answered]
    return (*before, *answered)
