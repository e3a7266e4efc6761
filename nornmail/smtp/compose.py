"""A message of our own: what a user wants to say in, bytes and envelope out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Literal

from nornmail.errors import ComposeError
from nornmail.letters import Envelope
from nornmail.smtp.addresses import Mailbox, Mailboxes, mailbox, mailboxes, needs_smtputf8
from nornmail.smtp.enclosures import Enclosure


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What a user wants to send; nothing of it is checked before :func:`compose`.

    Attributes:
        sender: whom it is from, and the envelope's sender.
        to, cc, bcc: whom it is for, see :data:`~nornmail.smtp.addresses.Mailboxes`; ``bcc`` stands
            in the envelope alone.
        reply_to: where answers are to go, if not to ``sender``.
        subject: on one line.
        text: the plain text; ``None`` or blank with ``html`` given is made from that.
        html: the same as HTML.
        attachments: files and inline images, already read
            (:func:`~nornmail.smtp.enclosures.read_enclosures`).
        headers: further fields, as ``{"X-Ticket": "17"}``. Those that are made here are refused.
        in_reply_to: the Message-ID that this answers, with its angle brackets.
        references: the Message-IDs of the thread, oldest first, with theirs.
        thread_id: the thread that it counts in; ``""`` is the root of ``references``.
        auto_submitted: for RFC 3834; ``""`` where a person wrote or approved it.
    """

    sender: Mailbox
    to: Mailboxes = ()
    cc: Mailboxes = ()
    bcc: Mailboxes = ()
    reply_to: Mailboxes = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: Sequence[Enclosure] = ()
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
        subject: as it was written.
        thread_id: the thread that it belongs to.
    """

    raw: bytes
    envelope: Envelope
    message_id: str
    subject: str
    thread_id: str


def compose(draft: Draft, *, now: datetime, unique: str) -> Composed:
    """Write a message.

    Args:
        draft: what is to be said, and to whom.
        now: for the Date field; with a time zone.
        unique: makes the Message-ID: the same for the same message, and never for another one.
            Letters, digits, ``.``, ``_`` and ``-``.

    Raises:
        ComposeError: something of it cannot be written, or would not be read as it was meant.
    """
    sender = mailbox(draft.sender, "sender")
    fields = {
        name: mailboxes(getattr(draft, name), name) for name in ("to", "cc", "bcc", "reply_to")
    }
    everyone = mailboxes([*fields["to"], *fields["cc"], *fields["bcc"]], "to")
    if not everyone:
        raise ComposeError("to", "nobody to send it to")
    message = EmailMessage(policy=SMTP)
    message["From"] = str(sender)
    for name in ("to", "cc", "reply_to"):
        if fields[name]:
            message[name.replace("_", "-").title()] = ", ".join(map(str, fields[name]))
    message["Subject"] = draft.subject
    message["Date"] = format_datetime(now)
    message_id = f"<{unique}@{sender.address.rpartition('@')[2]}>"
    message["Message-ID"] = message_id
    if draft.in_reply_to:
        message["In-Reply-To"] = draft.in_reply_to
    if draft.references:
        message["References"] = " ".join(draft.references)
    if draft.auto_submitted:
        message["Auto-Submitted"] = draft.auto_submitted
    message.set_content(draft.text or "")
    addresses = tuple(one.address for one in everyone)
    return Composed(
        raw=message.as_bytes(),
        envelope=Envelope(
            sender.address, addresses, any(map(needs_smtputf8, (sender.address, *addresses)))
        ),
        message_id=message_id,
        subject=draft.subject,
        thread_id=draft.thread_id
        or next(iter(draft.references), "")
        or draft.in_reply_to
        or message_id,
    )
