"""One message as a value: every field is read from the raw bytes on first use, and then kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, overload

from nornmail.defects import Defects
from nornmail.errors import MessageGone, NornmailError
from nornmail.message.addresses import Address, parse_addresses
from nornmail.message.attachments import Attachment, write_new
from nornmail.message.body import Body, find_body
from nornmail.message.headers import (
    Headers,
    charset_of_headers,
    decode_text,
    message_ids,
    read_headers,
    skip_leading_blanks,
    with_line_feeds,
)
from nornmail.message.limits import DEFAULT_MODEL_CHARS, MAX_MESSAGE_BYTES
from nornmail.message.parser import Part, parse_tree
from nornmail.model import MessageRef

if TYPE_CHECKING:
    from email.message import EmailMessage

    from nornmail.html.render import UnseenText
    from nornmail.message.authentication import Authentication
    from nornmail.message.automatic import Automatic
    from nornmail.message.bounce import Bounce

RECIPIENT_FIELDS: Final = ("to", "cc", "resent-to")
"""The fields in which a sender names the recipients."""
DELIVERY_FIELDS: Final = ("delivered-to", "x-original-to", "envelope-to", "x-envelope-to")
"""The fields in which a server names them; on a shared account often the account itself."""

_NOBODY: Final = Address()
T = TypeVar("T")

_FACTS: Final = (
    "raw", "ref", "inbox", "delivery_id", "attempt", "flags", "received_at", "truncated",
    "authserv_id",
)  # fmt: skip
"""The values that a message is made from; all other fields are read from them."""

_PLAIN_VALUES: Final = (
    "subject", "message_id", "in_reply_to", "thread_id", "text", "plain_text", "html", "new_text",
    "inbox", "delivery_id", "attempt", "truncated", "automatic_reason",
)  # fmt: skip
"""Fields that JSON takes as they are."""
_LONG_VALUES: Final = ("subject", "text", "plain_text", "html", "new_text")
"""The ones among them that may be as long as the message."""
_MAX_BLANKS: Final = 1_000
"""Blanks at each end of a text that do not count as left out."""
_ATTACHMENT_VALUES: Final = (
    "filename", "original_filename", "content_type", "disposition", "size", "content_id",
    "is_inline",
)  # fmt: skip


class lazy(cached_property[T]):  # used like a decorator
    """A field that is read when it is first asked for, and kept.

    Without the lock that :func:`functools.cached_property` has before Python 3.12: what two threads
    read at the same time is equal.
    """

    @overload
    def __get__(self, instance: None, owner: type[Any] | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type[Any] | None = None) -> T: ...

    def __get__(self, instance: object, owner: type[Any] | None = None) -> Self | T:
        if instance is None:
            return self
        value = instance.__dict__[self.func.__name__] = self.func(instance)
        return value


class Message:
    """A message as it was received. Inert: no I/O but in :meth:`fetch_rest`.

    It is made by :func:`parse_message` or by a poller, and cannot be changed. No attribute raises,
    whatever the bytes are: what cannot be read is empty, and ``defects`` says so. Two messages are
    equal when they are the same object. Copies and pickles carry the facts, and not the connection
    to the server that :meth:`fetch_rest` needs.

    Attributes:
        raw: the bytes, exactly as they were received.
        ref: the message on the server (mailbox, UIDVALIDITY, UID), ``None`` without a mailbox.
        inbox: the address of the inbox that this is delivered to, ``""`` where there are none.
        delivery_id: the same at every attempt; ``""`` without a mailbox.
        attempt: 1 the first time that this message is delivered to the handler.
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
    _fetch_rest: Callable[[], bytes | Iterable[bytes]] | None
    _on_after: Callable[[str | None, tuple[str, ...]], object] | None
    _defects: Defects

    def __init__(
        self,
        facts: dict[str, Any],
        fetch_rest: Callable[[], bytes | Iterable[bytes]] | None = None,
        on_after: Callable[[str | None, tuple[str, ...]], object] | None = None,
    ) -> None:
        self.__dict__.update(facts, _fetch_rest=fetch_rest, _on_after=on_after, _defects=Defects())

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a message cannot be changed: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a message cannot be changed: {name}")

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in _FACTS}

    def __setstate__(self, facts: dict[str, Any]) -> None:
        self.__dict__.update(facts, _fetch_rest=None, _on_after=None, _defects=Defects())

    def __repr__(self) -> str:
        where = f" {self.ref}" if self.ref else ""
        return f"<Message{where} from {self.from_.address[:80]!r}: {self.subject[:60]!r}>"

    # Headers

    @lazy
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

    @lazy
    def from_(self) -> Address:
        """The author as the sender claims (RFC 5322, 3.6.2); an empty Address when there is none.

        The first of several; there being several is a defect. From is not identity: see
        ``authentication``.
        """
        authors = self._addresses("from")
        if len(authors) > 1:
            self._defects.note("more than one address in From")
        return authors[0] if authors else _NOBODY

    @lazy
    def sender(self) -> Address:
        """The sender on the author's behalf (RFC 5322, 3.6.2); an empty Address if missing."""
        return next(iter(self._addresses("sender")), _NOBODY)

    @lazy
    def to(self) -> tuple[Address, ...]:
        """The addresses in To, groups flattened (RFC 5322, 3.6.3)."""
        return self._addresses("to")

    @lazy
    def cc(self) -> tuple[Address, ...]:
        """The addresses in Cc."""
        return self._addresses("cc")

    @lazy
    def bcc(self) -> tuple[Address, ...]:
        """The addresses in Bcc, which a message has only before it is sent, or in Sent."""
        return self._addresses("bcc")

    @lazy
    def reply_to(self) -> tuple[Address, ...]:
        """The addresses to which answers go (RFC 5322, 3.6.2); empty when the field is missing."""
        return self._addresses("reply-to")

    @lazy
    def recipients(self) -> tuple[str, ...]:
        """The recipients: the addresses in To, Cc and Resent-To, each once.

        When those fields name no address, those in Delivered-To, X-Original-To, Envelope-To and
        X-Envelope-To: on a shared account these often name the account itself.
        """
        for names in (RECIPIENT_FIELDS, DELIVERY_FIELDS):
            addresses: dict[str, str] = {}
            for address in (
                address for name in names for address in self._listed(name) if address.address
            ):
                addresses.setdefault(address.address.lower(), address.address)
            if addresses:
                return tuple(addresses.values())
        return ()

    def _listed(self, name: str) -> tuple[Address, ...]:
        """The addresses in a field, which may have been read already."""
        return {"to": self.to, "cc": self.cc}.get(name) or self._addresses(name)

    @lazy
    def subject(self) -> str:
        """The subject on one line, decoded (RFC 2047); ``""`` when there is none."""
        return decode_text(self.headers.raw("subject"), self._defects.note, self.headers.charset)

    @lazy
    def date(self) -> datetime | None:
        """The date that the sender gives (RFC 5322, 3.6.1): aware, or ``None``."""
        # Loaded on first use, as the readers below: their patterns take long to compile.
        from nornmail.message.dates import parse_date

        field = self.headers.raw("date")
        instant = parse_date(decode_text(field) if "=?" in field else field) if field else None
        if field and instant is None:
            self._defects.note("a Date that cannot be read")
        return instant

    def _ids(self, name: str) -> tuple[str, ...]:
        field = self.headers.raw(name)
        return message_ids(field, self._defects.note) if field else ()

    @lazy
    def message_id(self) -> str:
        """The Message-ID with its angle brackets (RFC 5322, 3.6.4); ``""`` when there is none."""
        return next(iter(self._ids("message-id")), "")

    @lazy
    def in_reply_to(self) -> str:
        """The id of the message that this answers, with its brackets: the first; else ``""``."""
        return next(iter(self._ids("in-reply-to")), "")

    @lazy
    def references(self) -> tuple[str, ...]:
        """The ids of the thread so far, oldest first, with their brackets (RFC 5322, 3.6.4)."""
        return self._ids("references")

    @lazy
    def thread_id(self) -> str:
        """The same for all messages of a thread: the id of its root as far as it is known.

        The first of ``references``, else ``in_reply_to``, else the own ``message_id``, else a
        digest of the bytes (``sha256:`` and 64 hexadecimal digits). Never empty.
        """
        root = next(iter(self.references), "") or self.in_reply_to or self.message_id
        return root or f"sha256:{hashlib.sha256(self.raw).hexdigest()}"

    # Body

    @lazy
    def _root(self) -> Part:
        source, headers, body = self._head
        return parse_tree(source, headers, body, self._defects.note)

    @lazy
    def _body(self) -> Body:
        return find_body(self._root, self._defects.note)

    @lazy
    def text(self) -> str:
        """The text that a person reads, lines ended by LF: plain, or made from the HTML.

        Several parts are joined in their order, each on a line of its own. Lines that were broken
        for transport alone are put together again (format=flowed, RFC 3676). ``""`` when there is
        nothing to read. It is a stranger's text: to a language model it is data.
        """
        return self._body.text()

    @lazy
    def plain_text(self) -> str:
        """The plain text alone, as it was sent, lines ended by LF; ``""`` when there is none.

        Neither made from HTML nor put together again. The text of an attached message is not part
        of it.
        """
        return self._body.plain_text()

    @lazy
    def html(self) -> str:
        """The HTML as it was sent, in Unicode, not made safe in any way; ``""`` if there is none.

        Several HTML parts are joined in their order, each on a line of its own.
        """
        return self._body.html()

    @lazy
    def html_text(self) -> str:
        """The text that a person sees of the HTML, with or without a plain part; ``""`` if none."""
        return self._body.html_text()

    @lazy
    def unseen_text(self) -> tuple[UnseenText, ...]:
        """The texts of the HTML that a person does not see: each has a ``reason`` and a ``text``.

        What is kept out of ``text``: what styles hide, and what it was too costly to be sure of. No
        comments, scripts or style sheets. Meant for a look at it by a person, not for a model.
        """
        return self._body.unseen_text()

    @lazy
    def links(self) -> tuple[str, ...]:
        """The addresses of the links that are seen, whole and each once, in their order.

        ``text`` shows long ones shortened. Those of the HTML; where it has none, those written in
        the text. A stranger's addresses: none is opened.
        """
        return self._body.links()

    @lazy
    def new_text(self) -> str:
        """``text`` without the quoted history and the signature; when unsure it is kept.

        Answers between quotes stay with what they answer, and so does a message that is passed on.
        ``text`` itself where nothing else would be left. See ``docs/explanation/new-text.md``.
        """
        from nornmail.message.quotes.new_text import new_text

        html = self.html if len(self._body.segments) == 1 else ""
        return new_text(
            self.text,
            html,
            sender=self.from_.name,
            subject=self.subject,
            is_from_html=not self.plain_text.strip(),
        )

    @lazy
    def attachments(self) -> tuple[Attachment, ...]:
        """The parts that are not shown as text, in order; attached messages are not looked into."""
        note = self._defects.note
        return tuple(Attachment(part, inline, note) for part, inline in self._body.attached)

    # Judgements

    @property
    def is_automatic(self) -> bool:
        """Whether a machine sent this: a list, a report, a newsletter, an automatic answer.

        A program should not answer such mail, unless that kind is its task; see :attr:`automatic`.
        """
        return bool(self.automatic)

    @property
    def automatic(self) -> Automatic:
        """The kind of machine that sent this, and the reason to think so (RFC 3834).

        ``kind`` is a key of :data:`nornmail.message.automatic.KINDS`, ``reason`` is for a log; both
        are ``""`` where nothing shows a machine.
        """
        from nornmail.message.automatic import PERSON

        return self.automatic_signs[0] if self.automatic_signs else PERSON

    @lazy
    def automatic_signs(self) -> tuple[Automatic, ...]:
        """Every sign that a machine sent this, of which :attr:`automatic` is the first."""
        from nornmail.message.automatic import find_signs

        return find_signs(
            self.headers,
            self._root.content_type,
            self.from_.address,
            [address.address for address in self.reply_to if "@" in address.address],
            is_bounce=self.bounce is not None,
        )

    @property
    def automatic_reason(self) -> str:
        """The ``reason`` of :attr:`automatic`."""
        return self.automatic.reason

    @lazy
    def authentication(self) -> Authentication:
        """SPF, DKIM and DMARC as the trusted server found them (RFC 8601); else "unverified"."""
        from nornmail.message.authentication import read_authentication

        return read_authentication(self.headers, self.authserv_id)

    @lazy
    def bounce(self) -> Bounce | None:
        """The delivery report that this is, ``None`` when it is none.

        By the standard (RFC 3464), in X-Failed-Recipients, or in the words of a mail server.
        """
        from nornmail.message.bounce import read_bounce

        note = self._defects.note
        return read_bounce(self._root, self.headers, self.from_, lambda: self.text, note)

    @property
    def defects(self) -> tuple[str, ...]:
        """The defects of the message, each once, in words.

        Asking for it reads every field, so that the answer does not depend on what was read before.
        """
        _ = (self.from_, self.sender, self.to, self.cc, self.bcc, self.reply_to, self.recipients)
        _ = (self.subject, self.date, self.message_id, self.in_reply_to, self.references)
        _ = (self.text, self.html, self.bounce)
        _ = [attachment.content for attachment in self.attachments]
        return self._defects.all()

    # What becomes of it

    def after(self, *, move_to: str | None = None, flags: Iterable[str] = ()) -> None:
        r"""Ask for what is done with this one message in the mailbox, once it is handled.

        It is recorded together with the success of the handler, and done as ``\\Seen`` is: after
        the last inbox, and again until the server has confirmed it. A second call replaces the
        first; a handler that fails asks for nothing.

        Args:
            move_to: the mailbox to move it to, in place of what the settings say.
            flags: to set as well, such as ``"\\Flagged"`` or a keyword.

        Raises:
            ConfigurationError: a flag or the mailbox cannot be used.
            NornmailError: this object is not a message that a poller delivers.
        """
        if self._on_after is None:
            raise NornmailError("after() is for the message that a poller delivers to its handler")
        self._on_after(move_to, tuple(flags))

    # Other shapes

    @overload
    def fetch_rest(self) -> Message: ...
    @overload
    def fetch_rest(self, to: str | os.PathLike[str]) -> Path: ...
    def fetch_rest(self, to: str | os.PathLike[str] | None = None) -> Message | Path:
        """The whole message: this one unless it is truncated, else fetched from the server.

        Args:
            to: a file that does not exist yet. The message is written to it piece by piece, so that
                one of any size takes a few megabytes of memory.

        Returns:
            A new message with the same facts and all of its bytes, this one stays as it is; or the
            path of the file.

        Raises:
            MessageGone: the server no longer has it, or this object is not connected to a mailbox.
            NornmailError: it could not be fetched; another try may succeed.
            FileExistsError: there is a file ``to`` already.
            OSError: the file cannot be written; none is left then.
        """
        if to is not None:
            write_new(Path(to), self._whole())
            return Path(to)
        if not self.truncated:
            return self
        raw = b"".join(self._whole())
        return Message(self.__getstate__() | {"raw": raw, "truncated": False})

    def _whole(self) -> Iterator[bytes]:
        """All bytes of the message, in pieces."""
        if not self.truncated:
            yield self.raw
            return
        if self._fetch_rest is None:
            raise MessageGone(
                "the rest cannot be fetched: this message is not connected to a mailbox"
            )
        try:
            pieces = self._fetch_rest()
            yield from (pieces,) if isinstance(pieces, bytes) else pieces
        except NornmailError:
            raise
        except Exception as error:
            raise NornmailError(f"the rest of the message could not be fetched: {error}") from error

    def as_email(self) -> EmailMessage:
        """The standard library's object (``policy.default``), made anew at each call.

        None of the bounds of this class hold for it: on hostile mail it may take minutes.

        Raises:
            NornmailError: the standard library cannot parse these bytes. The attributes of what is
                returned may raise as well, on mail that this class reads without complaint.
        """
        from email import message_from_bytes, policy

        try:
            return message_from_bytes(self.raw, policy=policy.default)
        except Exception as error:
            raise NornmailError(f"the standard library cannot parse this: {error!r}") from error

    def for_model(self, max_chars: int = DEFAULT_MODEL_CHARS) -> str:
        """The message as one string for a language model; the same bytes give the same string.

        It says who wrote (verified or not, automatic or not), when, the subject, and each
        attachment by name, type and size. Then comes ``new_text`` between two lines with a mark
        that the text does not contain, and how much was left out or is hidden. What the sender
        chose stands in quotes, on one line, or between the marks.

        Args:
            max_chars: characters of the whole string, never exceeded. The text is cut at the end of
                a line or word; where not even the lines above it fit, some of those are returned.
        """
        from nornmail.message.prompt import Prompt

        prompt = Prompt(
            self.raw,
            self.from_,
            self.authentication.is_aligned(),
            self.automatic,
            self.date,
            self.subject,
            self.truncated,
            self.attachments,
            self.new_text,
            history=max(len(self.text) - len(self.new_text) - _blanks_around(self.text), 0),
            hidden=sum(len(unseen.text) for unseen in self.unseen_text),
        )
        return prompt.within(max_chars)

    def to_dict(self, max_text: int | None = None) -> dict[str, Any]:
        """All fields as values that :mod:`json` writes.

        Instants are ISO 8601 with an offset. Attachments come without their content, and the raw
        bytes are left out.

        Args:
            max_text: characters of each of ``subject``, ``text``, ``plain_text``, ``html``,
                ``new_text`` and the value of a header field, cut at the end of a line or word;
                ``left_out`` says how many characters of which are missing. ``None``: all.
        """
        fields = self._all_fields()
        if max_text is None:
            return fields
        from nornmail.message.prompt import cut_text

        left_out: dict[str, int] = {}
        for name in _LONG_VALUES:
            short = cut_text(fields[name], max_text)
            if len(short) < len(fields[name]):
                left_out[name] = len(fields[name]) - len(short)
            fields[name] = short
        headers = [[name, cut_text(value, max_text)] for name, value in fields["headers"]]
        return fields | {"headers": headers, "left_out": left_out}

    def _all_fields(self) -> dict[str, Any]:
        bounce = self.bounce
        addresses = ("to", "cc", "bcc", "reply_to")
        return {
            "from": asdict(self.from_),
            "sender": asdict(self.sender),
            **{name: [asdict(address) for address in getattr(self, name)] for name in addresses},
            **{name: getattr(self, name) for name in _PLAIN_VALUES},
            "date": self.date.isoformat() if self.date else None,
            "received_at": self.received_at.isoformat() if self.received_at else None,
            **{name: list(getattr(self, name)) for name in ("references", "links", "recipients")},
            "headers": [list(item) for item in self.headers.items()],
            "flags": sorted(self.flags),
            "ref": asdict(self.ref) if self.ref else None,
            "is_automatic": self.is_automatic,
            "automatic_kind": self.automatic.kind,
            "attachments": [
                {name: getattr(attachment, name) for name in _ATTACHMENT_VALUES}
                for attachment in self.attachments
            ],
            "authentication": asdict(self.authentication, dict_factory=_with_lists),
            "bounce": bounce
            and asdict(bounce, dict_factory=_with_lists) | {"is_permanent": bounce.is_permanent},
            "defects": list(self.defects),
        }


def _blanks_around(text: str) -> int:
    """Blanks at the two ends of a text, without a copy of it."""
    begin, end = text[:_MAX_BLANKS], text[max(len(text) - _MAX_BLANKS, 0) :]
    blanks = len(begin) - len(begin.lstrip()) + len(end) - len(end.rstrip())
    return min(blanks, len(text))


def _with_lists(items: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in items}


def parse_message(
    raw: bytes | str,
    *,
    ref: MessageRef | None = None,
    inbox: str = "",
    delivery_id: str = "",
    attempt: int = 1,
    flags: frozenset[str] = frozenset(),
    received_at: datetime | None = None,
    truncated: bool = False,
    fetch_rest: Callable[[], bytes | Iterable[bytes]] | None = None,
    on_after: Callable[[str | None, tuple[str, ...]], object] | None = None,
    authserv_id: str | None = None,
) -> Message:
    """Make a :class:`Message` from bytes. It costs next to nothing, and no bytes make it raise.

    Args:
        raw: the message as it was received (RFC 5322), with CRLF, LF or CR. A string, as one types
            it in a console, is taken as UTF-8.
        on_after: called with the arguments of :meth:`Message.after`.
        fetch_rest: gives the bytes of the whole message when ``truncated``, at once or in pieces;
            it raises NornmailError.
        ref, inbox, delivery_id, attempt, flags, received_at, truncated, authserv_id: see
            :class:`Message`.

    Raises:
        TypeError: ``raw`` is neither.
    """
    if isinstance(raw, str):
        raw = raw.encode("utf-8", "surrogateescape")
    elif not isinstance(raw, bytes | bytearray | memoryview):
        raise TypeError(f"parse_message takes the bytes of a message, not {type(raw).__name__}")
    facts = {
        "raw": bytes(raw),
        "ref": ref,
        "inbox": inbox,
        "delivery_id": delivery_id,
        "attempt": attempt,
        "flags": flags,
        "received_at": received_at,
        "truncated": truncated,
        "authserv_id": authserv_id,
    }
    return Message(facts, fetch_rest, on_after)
