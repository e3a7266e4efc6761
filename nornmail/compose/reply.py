"""The draft of a reply: recipients, subject, thread, quote. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from html import escape
from typing import Final

from nornmail.compose.addresses import (
    MAX_NAME_CHARS,
    NOT_IN_A_LINE,
    AddressesLike,
    AddressLike,
    to_address,
)
from nornmail.compose.attachments import OutgoingAttachment
from nornmail.compose.compose import Draft
from nornmail.compose.headers import is_message_id
from nornmail.errors import ComposeError
from nornmail.html.document import html_to_text
from nornmail.message.addresses import Address, canonical
from nornmail.message.message import Message

MAX_QUOTED_CHARS: Final = 64 * 1024
"""Characters of a message that are quoted; its sender has the rest."""
MAX_NAME_SHOWN: Final = 100
"""Characters of the sender in the line above the quote."""
LEFT_OUT: Final = "[...]"
"""Stands for the rest of a quote."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def quoted_text(message: Message) -> str:
    """An attribution, and the message's text with ``> `` before each line (RFC 3676, 4.5)."""
    lines = (f"> {line}".rstrip(" ") for line in _shown_text(message).split("\n"))
    return "\n".join((attribution_line(message), *lines)) + "\n"


def quoted_html(message: Message) -> str:
    """The same as HTML, from the text: a stranger's markup is not passed on."""
    quote = "<br>\n".join(escape(line) for line in _shown_text(message).split("\n"))
    return (
        f"<div>{escape(attribution_line(message))}</div>\n"
        f'<blockquote type="cite">\n{quote}\n</blockquote>\n'
    )


def attribution_line(message: Message) -> str:
    """``On Tue, 24 Nov 2026 at 13:31 +0000, Ann wrote:``, on one line."""
    author = NOT_IN_A_LINE.sub(" ", message.from_.name or message.from_.address)
    author = " ".join(author.split())[:MAX_NAME_SHOWN] or "somebody"
    when = message.date or message.received_at
    return f"{_dated(when)}{author} wrote:"


def _dated(when: datetime | None) -> str:
    if when is None:
        return ""
    day = f"{_DAYS[when.weekday()]}, {when.day} {_MONTHS[when.month - 1]} {when.year:04d}"
    return f"On {day} at {when:%H:%M %z}, "


def _shown_text(message: Message) -> str:
    text = message.text.strip("\n")
    if len(text) > MAX_QUOTED_CHARS:
        text = text[:MAX_QUOTED_CHARS] + "\n" + LEFT_OUT
    return text


MAX_REPLY_SUBJECT_CHARS: Final = 500
"""Characters of a subject that a reply keeps. Mail programs show about a hundred."""

_ANSWER_MARKS: Final = (
    "re", "r", "rif", "res", "ref",  # Latin's; Italian; Portuguese
    "aw", "antw", "antwort",  # German, Dutch
    "sv", "vs", "svar",  # Swedish, Norwegian, Danish; Finnish
    "rv",  # Spanish
    "odp", "odpověď",  # Polish, Czech, Slovak
    "ynt", "yan", "cevap",  # Turkish
    "vá", "atb", "ats", "bls", "tl", "ad", "rp",  # Hungarian, Latvian, Lithuanian, Indonesian, ...
    "απ", "σχετ",  # Greek
    "ответ", "на", "відп", "отг",  # Russian, Bulgarian, Ukrainian
    "השב", "תשובה", "رد",  # Hebrew, Arabic
    "回复", "回覆", "答复", "答覆", "回信",  # Chinese
    "返信", "回答",  # Japanese
    "답장", "회신", "답변",  # Korean
    "ตอบ", "ตอบกลับ",  # Thai
)  # fmt: skip
"""Prefixes that mail programs put before the subject of a reply."""

_MARK = re.compile(
    rf"[\s\u200e\u200f]*(?:{'|'.join(sorted(_ANSWER_MARKS, key=len, reverse=True))})"
    r"(?:\[\d{1,4}\]|\(\d{1,4}\)|\^\d{1,4}|\*\d{1,4})?[\s\u00a0]{0,3}[:\uff1a]\s*",
    re.IGNORECASE,
)
_FORWARD_MARK = re.compile(r"(?:fwd?|wg|tr|rv|i|enc)\s?:", re.IGNORECASE)
_LIST_TAG = re.compile(r"\s*(\[[^\[\]]{1,60}\])\s*")


def reply_subject(subject: str) -> str:
    """``Re:`` and the subject without the marks of earlier answers; a ``[list]`` tag stays.

    Marks of forwarded mail stay as well: ``Re: Fwd: plans``.
    """
    rest = _without_marks(NOT_IN_A_LINE.sub(" ", subject[: 2 * MAX_REPLY_SUBJECT_CHARS]))
    tag = _LIST_TAG.match(rest)
    if tag and _MARK.match(rest, tag.end()):
        rest = f"{tag[1]} {_without_marks(rest[tag.end() :])}"
    # A relay that folds our header anew must not decode what was encoded twice.
    return f"Re: {rest[:MAX_REPLY_SUBJECT_CHARS].replace('=?', '= ?')}".strip()


def _without_marks(subject: str) -> str:
    at = 0
    while (mark := _MARK.match(subject, at)) is not None:
        at = mark.end()
    return subject[at:].strip()


MAX_REPLY_TO: Final = 10
"""Recipients of a reply: a stranger names them, and must not reach a crowd through us. Honest mail
has one to three."""
MAX_REPLY_ALL: Final = 100
"""Recipients of a reply to all."""

_LIKE_AN_ADDRESS = re.compile(r"[@<>\uff20\ufe6b]")
"""An at sign (also the wide and the small one) or an angle bracket."""
_SEPARATORS = re.compile(r'[,;:\\"()\[\]]')
"""Specials in a field of addresses (RFC 5322, 3.2.3)."""


def reply_draft(
    message: Message,
    text: str | None,
    html: str | None = None,
    *,
    sender: AddressLike,
    own: Collection[str] = (),
    reply_all: bool = False,
    to_author: bool = False,
    quote: bool = False,
    attachments: Sequence[OutgoingAttachment] = (),
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    approved: bool = False,
) -> Draft:
    """The draft of a reply.

    Args:
        message: to answer.
        text, html: the reply; see :class:`~nornmail.compose.compose.Draft`.
        own: all addresses of ours, which a reply to all leaves out; case and plus-tags do not
            matter. ``sender`` is one of them.
        reply_all: also to everyone in To and Cc.
        to_author: to From, whatever Reply-To says.
        quote: with the message's text below, each line behind ``>``.
        approved: a person read it before: it is not marked as automatic (RFC 3834, 5).

    Raises:
        ComposeError: there is no address to answer, or more than :data:`MAX_REPLY_TO` or
            :data:`MAX_REPLY_ALL`.
    """
    ours = (*own, to_address(sender, "sender").address)
    to, cc = _recipients(message, ours, reply_all=reply_all, to_author=to_author)
    if quote:
        text, html = _with_quote(message, text, html)
    return Draft(
        sender=sender,
        to=to,
        cc=cc,
        subject=reply_subject(message.subject),
        text=text,
        html=html,
        attachments=attachments,
        headers=headers,
        in_reply_to=message.message_id if is_message_id(message.message_id) else "",
        references=_chain(message),
        thread_id=message.thread_id,
        auto_submitted="" if approved else "auto-replied",
    )


def forward_draft(
    message: Message,
    text: str | None,
    html: str | None = None,
    *,
    sender: AddressLike,
    to: AddressesLike,
    cc: AddressesLike = None,
    bcc: AddressesLike = None,
    attachments: Sequence[OutgoingAttachment] = (),
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = (),
    approved: bool = False,
) -> Draft:
    """The draft that forwards a message as an attachment (RFC 2046, 5.2.1)."""
    subject = reply_subject(message.subject).removeprefix("Re:").strip()
    if not _FORWARD_MARK.match(subject):
        subject = f"Fwd: {subject}".strip()
    return Draft(
        sender=sender,
        to=to,
        cc=cc,
        bcc=bcc,
        subject=subject,
        text=text,
        html=html,
        attachments=(*attachments, OutgoingAttachment("message.eml", message.raw)),
        headers=headers,
        references=_chain(message),
        thread_id=message.thread_id,
        auto_submitted="" if approved else "auto-generated",
    )


def _recipients(
    message: Message, ours: Collection[str], *, reply_all: bool, to_author: bool
) -> tuple[list[Address], list[Address]]:
    """To and Cc: each address once, and ours only if there are no others."""
    to = list(correspondents(message, to_author=to_author))
    if len(to) > MAX_REPLY_TO:
        raise ComposeError("to", f"a reply would go to more than {MAX_REPLY_TO} addresses")
    seen = {canonical(who.address) for who in to}
    others = _usable((*message.to, *message.cc), seen) if reply_all else ()
    cc = [who for who in others if not is_own(who.address, ours)]
    strangers = [who for who in to if not is_own(who.address, ours)]
    if strangers or cc:  # we are alone only with a message of our own
        to = strangers
    if not to and not cc:
        raise ComposeError("to", "the message has no address to answer to")
    if len(to) + len(cc) > MAX_REPLY_ALL:
        why = f"more than {MAX_REPLY_ALL} recipients; name them in a message of its own"
        raise ComposeError("to", why)
    return (to, cc) if to else (cc, [])


def _usable(addresses: Iterable[Address], seen: set[str]) -> Iterator[Address]:
    """The addresses that can be written to, each once, without names that look like addresses.

    An address that cannot be written is left out: its sender wrote it wrong, or means harm.
    """
    for who in addresses:
        try:
            address = to_address(Address("", who.address), "to")
        except ComposeError:
            continue
        form = canonical(address.address)
        if form not in seen:
            seen.add(form)
            yield Address(_harmless(who.name), address.address)


def _harmless(name: str) -> str:
    """A stranger's display name without what separates addresses; ``""`` if one stands in it.

    We would quote or encode it rightly. But mail programs on the way that fold a header anew lose
    quotes and encodings (the standard library does): ``Doe, John`` becomes two recipients, and what
    was encoded twice is decoded twice.
    """
    if _LIKE_AN_ADDRESS.search(name):
        return ""
    name = _SEPARATORS.sub(" ", NOT_IN_A_LINE.sub(" ", name)).replace("=?", "= ?")
    return " ".join(name.split())[:MAX_NAME_CHARS].strip()


def _chain(message: Message) -> tuple[str, ...]:
    """The ids before and up to the message (RFC 5322, 3.6.4)."""
    before = message.references or (message.in_reply_to,)
    return tuple(id_ for id_ in (*before, message.message_id) if is_message_id(id_))


def _with_quote(
    message: Message, text: str | None, html: str | None
) -> tuple[str | None, str | None]:
    if text is None and html is None:
        return None, None
    if html is not None:
        plain = html_to_text(html) if text is None or not text.strip() else text
        return f"{plain.rstrip()}\n\n{quoted_text(message)}", html + "\n" + quoted_html(message)
    return f"{(text or '').rstrip()}\n\n{quoted_text(message)}", None


def correspondents(message: Message, *, to_author: bool = False) -> tuple[Address, ...]:
    """The recipients of a reply: Reply-To, or From where that has none (RFC 5322, 3.6.2).

    Only those that can be written to, each once. ``to_author`` ignores Reply-To.
    """
    reply_to = () if to_author else message.reply_to
    return tuple(_usable(reply_to, set())) or tuple(_usable((message.from_,), set()))


def participants(message: Message) -> tuple[Address, ...]:
    """Everyone in From, To and Cc who can be written to, each once."""
    return tuple(_usable((message.from_, *message.to, *message.cc), set()))


def is_own(address: str, own: Collection[str]) -> bool:
    """Whether an address reaches one of ours; case and a plus-tag do not matter."""
    ours = {canonical(own_address) for own_address in own}
    address = canonical(address)
    local, _, domain = address.rpartition("@")
    return address in ours or f"{local.partition('+')[0]}@{domain}" in ours
