"""The answer to a message: to whom, under which subject, in which thread. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from nornmail.message import Address, Message
from nornmail.routing import canonical
from nornmail.smtp.addresses import Mailbox
from nornmail.smtp.compose import Draft
from nornmail.smtp.enclosures import Enclosure


def reply_draft(
    message: Message,
    text: str | None,
    html: str | None = None,
    *,
    sender: Mailbox,
    own: Collection[str] = (),
    reply_all: bool = False,
    quote: bool = False,
    attachments: Sequence[Enclosure] = (),
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    approved: bool = False,
) -> Draft:
    """The draft of an answer.

    Args:
        message: what is answered.
        text, html: the answer; see :class:`~nornmail.smtp.compose.Draft`.
        sender: whom it is from.
        own: all addresses of ours, which a reply to all leaves out; case and plus-tags do not
            matter. ``sender`` is one of them.
        reply_all: also to everyone in To and Cc.
        quote: with the message's text below, each line behind ``>``.
        attachments: files that were read already.
        headers: further fields.
        approved: a person read it before: it is not marked as automatic (RFC 3834, 5).

    Raises:
        ComposeError: there is nobody to answer, or too many.
    """
    return Draft(
        sender=sender,
        to=message.reply_to or (message.from_,),
        subject=f"Re: {message.subject}",
        text=text,
        html=html,
        attachments=attachments,
        headers=headers,
        in_reply_to=message.message_id,
        references=(*message.references, message.message_id),
        thread_id=message.thread_id,
        auto_submitted="" if approved else "auto-replied",
    )


def correspondents(message: Message) -> tuple[Address, ...]:
    """Whom an answer goes to: Reply-To, and From where there is none (RFC 5322, 3.6.2)."""
    named = tuple(one for one in message.reply_to if one.address)
    return named or ((message.from_,) if message.from_.address else ())


def is_own(address: str, own: Collection[str]) -> bool:
    """Whether an address reaches one of ours; case and a plus-tag do not matter."""
    ours = {canonical(one) for one in own}
    wanted = canonical(address)
    local, _, domain = wanted.rpartition("@")
    return wanted in ours or f"{local.partition('+')[0]}@{domain}" in ours
