"""One message as a value: every field is read from the raw bytes on first use, and then kept."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from nornmail.message.attachment import Attachment
    from nornmail.message.bounce import Bounce

    pass
import hashlib
from collections.abc import Callable
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Generic, TypeVar, overload

from nornmail.defects import Defects
from nornmail.errors import MessageGone, NornmailError
from nornmail.message.addresses import Address, parse_addresses
from nornmail.message.attachment import Attachment
from nornmail.message.authentication import Authentication, read_authentication
from nornmail.message.automatic import Automatic, find_automatic
from nornmail.message.body import Body, find_body, html_of, plain_text, shown_text
from nornmail.message.bounce import Bounce, read_bounce
from nornmail.message.dates import parse_date
from nornmail.message.headers import (
    Headers,
    decode_text,
    message_ids,
    read_headers,
    skip_leading_blanks,
)
from nornmail.message.limits import MAX_MESSAGE_BYTES
from nornmail.message.parser import Part, charset_of_headers, parse_tree, with_line_feeds
from nornmail.message.quotes.new_text import new_text
from nornmail.model import MessageRef

# ---- A message as plain values for JSON.

_AS_THEY_ARE: Final = (
    "subject", "message_id", "in_reply_to", "thread_id", "text", "plain_text", "html", "new_text",
    "inbox", "delivery_id", "attempt", "truncated", "automatic_reason",
)  # fmt: skip


def message_dict(message: Message) -> dict[str, Any]:
    """See :meth:`nornmail.message.Message.to_dict`."""
    found = message.authentication
    return {
        "from": asdict(message.from_),
        "sender": asdict(message.sender),
        "to": [asdict(one) for one in message.to],
        "cc": [asdict(one) for one in message.cc],
        "bcc": [asdict(one) for one in message.bcc],
        "reply_to": [asdict(one) for one in message.reply_to],
        **{name: getattr(message, name) for name in _AS_THEY_ARE},
        "date": message.date.isoformat() if message.date else None,
        "received_at": message.received_at.isoformat() if message.received_at else None,
        "references": list(message.references),
        "recipients": list(message.recipients),
        "headers": [list(item) for item in message.headers.items()],
        "flags": sorted(message.flags),
        "ref": asdict(message.ref) if message.ref else None,
        "is_automatic": bool(message.is_automatic),
        "automatic_kind": message.is_automatic.kind,
        "attachments": [_attachment_dict(one) for one in message.attachments],
        "authentication": asdict(found) | {"dkim_domains": list(found.dkim_domains)},
        "bounce": _bounce_dict(message.bounce),
        "defects": list(message.defects),
    }


def _bounce_dict(bounce: Bounce | None) -> dict[str, Any] | None:
    if bounce is None:
        return None
    return {
        "original_message_id": bounce.original_message_id,
        "is_permanent": bounce.is_permanent,
        "recipients": [asdict(one) for one in bounce.recipients],
    }


def _attachment_dict(attachment: Attachment) -> dict[str, str | int | bool]:
    return {
        "filename": attachment.filename,
        "original_filename": attachment.original_filename,
        "content_type": attachment.content_type,
        "disposition": attachment.disposition,
        "size": attachment.size,
        "content_id": attachment.content_id,
        "is_inline": attachment.is_inline,
    }


# ---- Fields that are read on first use and then kept.

_Value = TypeVar("_Value")


class cached_property(Generic[_Value]):  # it stands for functools.cached_property
    """What :func:`functools.cached_property` is, for objects that refuse to be changed.

    It takes no lock, which that of Python 3.11 does at each first use: the readers of this room are
    pure, so that two threads that come at the same time find the same.
    """

    def __init__(self, read: Callable[[Any], _Value]) -> None:
        self._read = read
        self._name = read.__name__
        self.__doc__ = read.__doc__

    @overload
    def __get__(self, owner: None, kind: type[Any]) -> cached_property[_Value]: ...

    @overload
    def __get__(self, owner: object, kind: type[Any] | None = None) -> _Value: ...

    def __get__(
        self, owner: object | None, kind: type[Any] | None = None
    ) -> _Value | cached_property[_Value]:
        if owner is None:
            return self
        value = self._read(owner)
        owner.__dict__[self._name] = value
        return value


RECIPIENT_FIELDS: Final = ("to", "cc", "resent-to")
"""The fields in which a sender says whom a message is for."""
DELIVERY_FIELDS: Final = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to")
"""The fields in which a server does; on a shared account they often name the account itself."""

_NOBODY: Final = Address()

_FACTS: Final = (
    "raw", "ref", "inbox", "delivery_id", "attempt", "flags", "received_at", "truncated",
    "authserv_id",
)  # fmt: skip
"""What a message is made of; everything else follows from it."""


class Message:
    """A message as it was received. Inert: it does no I/O but in :meth:`fetch_rest`.

    It is made by :func:`parse_message` or by a poller, and not to be changed. No attribute raises,
    whatever the bytes are: what cannot be read is empty, and ``defects`` says so. Two messages are
    equal when they are the same object. Copies and pickles carry the facts, and not the way back to
    the server that :meth:`fetch_rest` needs.

    Attributes:
        raw: the bytes, exactly as they were received.
        ref: the message on the server (mailbox, UIDVALIDITY, UID), ``None`` without a mailbox.
        inbox: the address of the inbox that this is delivered to, ``""`` where there are none.
        delivery_id: the same at every attempt; ``""`` without a mailbox.
        attempt: 1 for the first time that this message is handed over.
        flags: system flags and keywords on the server when it was fetched (RFC 9051, 2.3.2).
        received_at: INTERNALDATE, when the server received it; ``None`` where it is not known.
        truncated: over the size limit: ``raw`` is the headers alone. See :meth:`fetch_rest`.
        authserv_id: the server whose Authentication-Results count (RFC 8601), or ``None``.
    """

    raw: bytes
    ref: MessageRef | None
    inbox: str
    delivery_id: str
    attempt: int
    flags: frozenset[str]
    received_at: datetime | None
    truncated: bool
    authserv_id: str | None
    _fetch_rest: Callable[[], bytes] | None
    _defects: Defects

    def __init__(
        self, facts: dict[str, Any], fetch_rest: Callable[[], bytes] | None = None
    ) -> None:
        self.__dict__.update(facts, _fetch_rest=fetch_rest, _defects=Defects())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a message is not to be changed: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a message is not to be changed: {name}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in _FACTS}

    def __setstate__(self, facts: dict[str, Any]) -> None:
        self.__dict__.update(facts, _fetch_rest=None, _defects=Defects())

    def __repr__(self) -> str:
        where = f" {self.ref}" if self.ref else ""
        return f"<Message{where} from {self.from_.address[:80]!r}: {self.subject[:60]!r}>"

    # Headers

    @cached_property
    def _head(self) -> tuple[bytes, Headers, int]:
        source = self.raw
        if len(source) > MAX_MESSAGE_BYTES:
            self._defects.note("a message over the limit")
            source = source[:MAX_MESSAGE_BYTES]
        source = with_line_feeds(source)
        start, end = skip_leading_blanks(source), len(source)
        headers, body = read_headers(source, start, end, self._defects.note)
        charset = charset_of_headers(source, body)
        return source, headers.in_charset(charset), body

    @property
    def headers(self) -> Headers:
        """Every field in its order, decoded, by names without case (RFC 5322)."""
        return self._head[1]

    def _addresses(self, name: str) -> tuple[Address, ...]:
        values = self.headers.raw_all(name)
        if not values:
            return ()
        return parse_addresses(", ".join(values), self._defects.note, self.headers.charset)

    @cached_property
    def from_(self) -> Address:
        """The author as the sender claims (RFC 5322, 3.6.2); an empty Address when there is none.

        The first of several; there being several is a defect. From is not identity: see
        ``authentication``.
        """
        authors = self._addresses("from")
        if len(authors) > 1:
            self._defects.note("more than one address in From")
        return authors[0] if authors else _NOBODY

    @cached_property
    def sender(self) -> Address:
        """Who sent it for the author (RFC 5322, 3.6.2); an empty Address when there is none."""
        return next(iter(self._addresses("sender")), _NOBODY)

    @cached_property
    def to(self) -> tuple[Address, ...]:
        """The addresses in To, groups flattened (RFC 5322, 3.6.3)."""
        return self._addresses("to")

    @cached_property
    def cc(self) -> tuple[Address, ...]:
        """The addresses in Cc."""
        return self._addresses("cc")

    @cached_property
    def bcc(self) -> tuple[Address, ...]:
        """The addresses in Bcc, which a message has only before it is sent, or in Sent."""
        return self._addresses("bcc")

    @cached_property
    def reply_to(self) -> tuple[Address, ...]:
        """Where the sender wants answers (RFC 5322, 3.6.2); empty when it says nothing."""
        return self._addresses("reply-to")

    @cached_property
    def recipients(self) -> tuple[str, ...]:
        """For whom it is: the addresses in To, Cc and Resent-To, each once.

        Only when they name nobody, those in Delivered-To, X-Original-To, Envelope-To and
        X-Envelope-To: on a shared account these often name the account itself.
        """
        for names in (RECIPIENT_FIELDS, DELIVERY_FIELDS):
            found: dict[str, str] = {}
            for one in (one for name in names for one in self._listed(name) if one.address):
                found.setdefault(one.address.lower(), one.address)
            if found:
                return tuple(found.values())
        return ()

    def _listed(self, name: str) -> tuple[Address, ...]:
        """The addresses in a field, which may have been read already."""
        return {"to": self.to, "cc": self.cc}.get(name) or self._addresses(name)

    @cached_property
    def subject(self) -> str:
        """The subject on one line, decoded (RFC 2047); ``""`` when there is none."""
        return decode_text(self.headers.raw("subject"), self._defects.note, self.headers.charset)

    @cached_property
    def date(self) -> datetime | None:
        """When the sender says it was written (RFC 5322, 3.6.1): aware, or ``None``."""
        field = self.headers.raw("date")
        found = parse_date(decode_text(field) if "=?" in field else field) if field else None
        if field and found is None:
            self._defects.note("a Date that cannot be read")
        return found

    def _ids(self, name: str) -> tuple[str, ...]:
        field = self.headers.raw(name)
        return message_ids(field, self._defects.note) if field else ()

    @cached_property
    def message_id(self) -> str:
        """The Message-ID with its angle brackets (RFC 5322, 3.6.4); ``""`` when there is none."""
        return next(iter(self._ids("message-id")), "")

    @cached_property
    def in_reply_to(self) -> str:
        """The id of the message that this answers, with its brackets: the first; else ``""``."""
        return next(iter(self._ids("in-reply-to")), "")

    @cached_property
    def references(self) -> tuple[str, ...]:
        """The ids of the thread so far, oldest first, with their brackets (RFC 5322, 3.6.4)."""
        return self._ids("references")

    @cached_property
    def thread_id(self) -> str:
        """The same for all messages of a thread: the id of its root as far as it is known.

        The first of ``references``, else ``in_reply_to``, else the own ``message_id``, else a
        digest of the bytes (``sha256:`` and 64 hexadecimal digits). Never empty.
        """
        root = next(iter(self.references), "") or self.in_reply_to or self.message_id
        return root or f"sha256:{hashlib.sha256(self.raw).hexdigest()}"

    # Body

    @cached_property
    def _root(self) -> Part:
        source, headers, body = self._head
        return parse_tree(source, headers, body, self._defects.note)

    @cached_property
    def _body(self) -> Body:
        return find_body(self._root)

    @cached_property
    def text(self) -> str:
        """What a person reads, lines ended by LF: the plain text, or the HTML where there is none.

        Several parts are joined in their order, each on a line of its own. Lines that were broken
        for transport alone are put together again (format=flowed, RFC 3676). ``""`` when there is
        nothing to read. What a stranger wrote: to a language model it is data.
        """
        return shown_text(self._body, self._defects.note)

    @cached_property
    def plain_text(self) -> str:
        """The plain text alone, as it was sent, lines ended by LF; ``""`` when there is none.

        Neither made from HTML nor put together again. The text of an attached message is no part
        of it.
        """
        return plain_text(self._body, self._defects.note)

    @cached_property
    def html(self) -> str:
        """The HTML as it was sent, in Unicode, not made safe in any way; ``""`` if there is none.

        Several HTML parts are joined in their order, each on a line of its own.
        """
        return html_of(self._body, self._defects.note)

    @cached_property
    def new_text(self) -> str:
        """``text`` without the quoted history and the signature; when unsure it is kept.

        Answers between quotes stay with what they answer, and so does a message that is passed on.
        ``text`` itself where nothing else would be left. See ``docs/explanation/new-text.md``.
        """
        html = self.html if len(self._body.segments) == 1 else ""
        return new_text(self.text, html, sender=self.from_.name, subject=self.subject)

    @cached_property
    def attachments(self) -> tuple[Attachment, ...]:
        """The parts that are not shown as text, in order; attached messages are not looked into."""
        note = self._defects.note
        return tuple(Attachment(part, inline, note) for part, inline in self._body.attached)

    # Judgements

    @cached_property
    def is_automatic(self) -> Automatic:
        """A list, a report, a newsletter or an automatic answer (RFC 3834); true if it is one.

        ``kind`` says which (see :data:`nornmail.message.automatic.KINDS`) and ``reason`` how it is
        known. Do not answer such mail by a program, unless that kind is what it is for.
        """
        answers_to = next(iter(self.reply_to), _NOBODY).address
        return find_automatic(
            self.headers,
            self._root.content_type,
            self.from_.address,
            answers_to,
            is_bounce=self.bounce is not None,
        )

    @property
    def automatic_reason(self) -> str:
        """What shows that a machine sent this, in words; ``""`` when nothing does."""
        return self.is_automatic.reason

    @cached_property
    def authentication(self) -> Authentication:
        """SPF, DKIM and DMARC as the trusted server found them (RFC 8601); else "unverified"."""
        return read_authentication(self.headers, self.authserv_id)

    @cached_property
    def bounce(self) -> Bounce | None:
        """The delivery report that this is, ``None`` when it is none.

        By the standard (RFC 3464), in X-Failed-Recipients, or in the words of a mail server.
        """
        note = self._defects.note
        return read_bounce(self._root, self.headers, self.from_, lambda: self.text, note)

    @property
    def defects(self) -> tuple[str, ...]:
        """What is wrong with the message, each once, in words.

        Asking for it reads every field, so that the answer does not depend on what was read before.
        """
        _ = (self.from_, self.sender, self.to, self.cc, self.bcc, self.reply_to, self.recipients)
        _ = (self.subject, self.date, self.message_id, self.in_reply_to, self.references)
        _ = (self.text, self.html, self.bounce, [one.content for one in self.attachments])
        return self._defects.all()

    # Other shapes

    def fetch_rest(self) -> Message:
        """The whole message: this one unless it is truncated, else fetched from the server.

        Returns:
            A new message with the same facts and all of its bytes; this one stays as it is.

        Raises:
            MessageGone: the server has it no more, or this object has no way to the server.
            NornmailError: it could not be fetched; another try may succeed.
        """
        if not self.truncated:
            return self
        if self._fetch_rest is None:
            raise MessageGone("the rest cannot be fetched: this message has no way to its mailbox")
        try:
            raw = self._fetch_rest()
        except NornmailError:
            raise
        except Exception as error:
            raise NornmailError(f"the rest of the message could not be fetched: {error}") from error
        return Message(self.__getstate__() | {"raw": raw, "truncated": False})

    def as_email(self) -> EmailMessage:
        """The standard library's object (``policy.default``), made anew at each call.

        None of the bounds of this class hold for it: on hostile mail it may take minutes.

        Raises:
            NornmailError: the standard library cannot parse these bytes. The attributes of what is
                returned may raise as well, on mail that this class reads without complaint.
        """
        try:
            return message_from_bytes(self.raw, policy=policy.default)
        except Exception as error:
            raise NornmailError(f"the standard library cannot parse this: {error!r}") from error

    def to_dict(self) -> dict[str, Any]:
        """All fields as values that :mod:`json` writes.

        Instants are ISO 8601 with an offset. Attachments come without their content, and the raw
        bytes are left out.
        """
        return message_dict(self)


def parse_message(
    raw: bytes,
    *,
    ref: MessageRef | None = None,
    inbox: str = "",
    delivery_id: str = "",
    attempt: int = 1,
    flags: frozenset[str] = frozenset(),
    received_at: datetime | None = None,
    truncated: bool = False,
    fetch_rest: Callable[[], bytes] | None = None,
    authserv_id: str | None = None,
) -> Message:
    """Make a :class:`Message` from bytes. It never raises, and costs next to nothing.

    Args:
        raw: the message as it was received (RFC 5322), with CRLF, LF or CR.
        fetch_rest: gives the whole message's bytes when ``truncated``; raises NornmailError.
        ref, inbox, delivery_id, attempt, flags, received_at, truncated, authserv_id: see
            :class:`Message`.
    """
    facts = (
        bytes(raw), ref, inbox, delivery_id, attempt, flags, received_at, truncated,
        authserv_id,
    )  # fmt: skip
    return Message(dict(zip(_FACTS, facts, strict=True)), fetch_rest)
