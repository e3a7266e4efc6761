"""The mailboxes of sent mail and of drafts, which a mailer uses on connections of its own."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal, TypeAlias

from nornmail.errors import CommandRefused
from nornmail.imap.connection import Connection
from nornmail.imap.results import FetchedBody, ListedMailbox
from nornmail.net.tls import Abort
from nornmail.settings.imap import ImapSettings, same_mailbox
from nornmail.settings.providers import provider_of

log = logging.getLogger("nornmail.imap")


@dataclass(frozen=True, slots=True)
class SpecialUse:
    """A mailbox that every account has for one purpose.

    Attributes:
        attribute: by which a server marks it (RFC 6154), in lower case.
        names: of servers that do not mark theirs, in lower case: those of common mail programs and
            providers. The first that is there counts.
        fallback: the name of the mailbox that is made where there is none.
    """

    attribute: str
    names: tuple[str, ...]
    fallback: str


SENT = SpecialUse(
    "\\sent",
    (
        "sent", "sent items", "sent messages", "sent mail", "sent-mail", "sent objects",
        "gesendet", "gesendete objekte", "gesendete elemente", "gesendete nachrichten", "envoyés",
        "messages envoyés", "éléments envoyés", "courrier envoyé", "enviados",
        "elementos enviados", "itens enviados", "mensajes enviados", "inviati", "posta inviata",
        "messaggi inviati", "verzonden", "verzonden items", "verzonden berichten", "skickat",
        "skickade objekt", "sendt", "sendte elementer", "sendt post", "lähetetyt", "wysłane",
        "elementy wysłane", "odeslané", "odeslaná pošta", "elküldött üzenetek", "trimise",
        "отправленные", "надіслані", "απεσταλμένα", "gönderilenler", "gönderilmiş öğeler",
        "送信済み", "送信済みメール", "已发送", "已发送邮件", "已傳送", "寄件備份",
        "보낸 편지함", "보낸편지함", "보낸메일함", "送信済みアイテム", "inviata", "enviadas",
        "odoslané", "poslano", "отправленное", "已傳送郵件",
    ),
    "Sent",
)  # fmt: skip
DRAFTS = SpecialUse(
    "\\drafts",
    (
        "drafts", "draft", "draft messages", "entwürfe", "entwurf", "brouillons", "borradores",
        "rascunhos", "bozze", "concepten", "utkast", "kladder", "luonnokset", "kopie robocze",
        "wersje robocze", "szkice", "koncepty", "rozepsané", "piszkozatok", "ciorne", "schițe",
        "черновики", "чернетки", "πρόχειρα", "taslaklar", "下書き", "草稿", "草稿箱", "草稿匣",
        "임시 보관함", "임시보관함",
    ),
    "Drafts",
)  # fmt: skip
DraftPlace: TypeAlias = Literal["sent", "draft"]
_FOLD = re.compile(rb"\r?\n[ \t]+")
_ID = re.compile(rb"<[^<>]+>")


class SentMailbox:
    r"""The mailboxes for copies of sent mail, and for drafts, for ``Mailer(sent_mailbox=...)``.

    Args:
        imap: the account; each use makes a connection of its own.
        mailbox: the name of the one for sent mail; ``None`` takes the one that the server says is
            for sent mail (RFC 6154), else one with a usual name (``Sent Items``, ``Gesendet``,
            ...), else ``Sent``, which is made where it is missing.
        drafts: the same for drafts.
        saved_by_server: whether the SMTP server puts each message there itself; ``None`` knows
            Gmail, Outlook.com, Microsoft 365 and Proton's bridge by host and port. Nothing is put
            there then, and a message of unknown outcome is still looked for.
        connect: the connector, for tests.

    Attributes:
        abort: ends every wait for the server, from another thread.
    """

    def __init__(
        self,
        imap: ImapSettings,
        mailbox: str | None = None,
        *,
        drafts: str | None = None,
        saved_by_server: bool | None = None,
        connect: Callable[[ImapSettings], Connection] | None = None,
    ) -> None:
        self._imap = imap
        self._names = {SENT: mailbox, DRAFTS: drafts}
        if saved_by_server is None:
            saved_by_server = provider_of(imap.host, imap.port).keeps_sent
        self._saved_by_server = saved_by_server
        self.abort = Abort()
        self._connect = connect or partial(Connection.open, abort=self.abort)

    @property
    def server_saves_sent(self) -> bool:
        """Whether the SMTP server puts each message there itself."""
        return self._saved_by_server

    def has(self, message_id: str) -> bool:
        """Whether a message with this Message-ID is among sent mail.

        Raises:
            NornmailError: the mailbox cannot be searched.
        """
        with closing(self._connect(self._imap)) as connection:
            _, exists = self._open(connection, SENT)
            return exists and any(self._find(connection, "Message-ID", message_id))

    def append(self, raw: bytes, at: datetime) -> None:
        r"""Save a message in the mailbox of sent mail, with ``\Seen``.

        A mailbox that is missing is made.

        Raises:
            NornmailError: it was not saved, or may not have been.
        """
        self._append(SENT, raw, ["\\Seen"], at)

    def append_draft(self, raw: bytes, at: datetime) -> None:
        r"""Save a message in the mailbox of drafts, with ``\Draft``.

        A mailbox that is missing is made.

        Raises:
            NornmailError: it was not saved, or may not have been.
        """
        self._append(DRAFTS, raw, ["\\Draft", "\\Seen"], at)

    def find_draft(
        self, message_id: str, in_reply_to: str, since: datetime, is_other: Callable[[str], bool]
    ) -> Literal["sent", "draft", ""]:
        """The mailbox that a draft is in now.

        Mail programs may give a draft another Message-ID when a person edits or sends it. So a
        message that answers the same one, and was put there after the draft, counts as well.

        Args:
            message_id: of the draft.
            in_reply_to: the Message-ID that it answers; ``""`` for none.
            since: when the draft was made.
            is_other: whether a Message-ID is that of another message of ours.

        Returns:
            ``"sent"``, ``"draft"``, or ``""`` where it is in neither mailbox.

        Raises:
            NornmailError: the mailboxes cannot be searched.
        """
        mailboxes: tuple[tuple[SpecialUse, DraftPlace], ...] = ((SENT, "sent"), (DRAFTS, "draft"))
        places: list[DraftPlace] = []
        with closing(self._connect(self._imap)) as connection:
            for use, place in mailboxes:
                if not self._open(connection, use)[1]:
                    continue
                if any(self._find(connection, "Message-ID", message_id)):
                    return place
                edited = self._find(connection, "In-Reply-To", in_reply_to) if in_reply_to else ()
                if any(_was_edited(body, since.timestamp(), is_other) for body in edited):
                    places.append(place)
        return places[-1] if places else ""

    def _append(self, use: SpecialUse, raw: bytes, flags: Sequence[str], at: datetime) -> None:
        with closing(self._connect(self._imap)) as connection:
            name, exists = self._open(connection, use)
            if not exists:
                self._create(connection, name)
            try:
                connection.append(name, raw, flags=flags, at=at.timestamp())
            except CommandRefused as refused:
                if refused.code == "TRYCREATE" and exists:
                    self._create(connection, name)
                elif "READ-ONLY" in str(refused):
                    connection.leave()  # Courier takes nothing while a mailbox is examined
                else:
                    raise
                connection.append(name, raw, flags=flags, at=at.timestamp())

    def _create(self, connection: Connection, name: str) -> None:
        try:
            connection.create(name)
        except CommandRefused as refused:
            log.info("%s", refused)  # the APPEND shows whether it is there now

    def _open(self, connection: Connection, use: SpecialUse) -> tuple[str, bool]:
        """Open the mailbox for a purpose."""
        configured = self._names[use]
        listed = connection.listed_mailboxes()
        prefix = "" if configured else connection.personal_prefix() or common_prefix(listed)
        for name in [configured] if configured else find_mailboxes(use, listed, prefix):
            try:
                connection.examine(name)
            except CommandRefused as refused:
                if configured and any(same_mailbox(m.name, name) for m in listed):
                    raise
                log.debug("%s", refused)
            else:
                return name, True
        return configured or prefix + use.fallback, False

    def _find(self, connection: Connection, field: str, message_id: str) -> Iterator[FetchedBody]:
        """The messages of the opened mailbox that have an id in a header; none where none is."""
        if not connection.exists:
            return
        uids = connection.find_message_id(message_id, field)
        # Some servers find parts of a header, or answer what they do not understand with all.
        for body in connection.headers(uids).values() if uids else ():
            octets = message_id.encode("utf-8", "surrogateescape")
            if octets in _field(body.raw or b"", field):
                yield body


def _field(header: bytes, name: str) -> bytes:
    """The value of a header's first field of this name, unfolded; ``b""`` where there is none."""
    for line in _FOLD.sub(b" ", header).splitlines():
        key, _, value = line.partition(b":")
        if key.strip().lower() == name.lower().encode():
            return value
    return b""


def _was_edited(body: FetchedBody, since: float, is_other: Callable[[str], bool]) -> bool:
    """Whether a message that answers the same one may be the draft as a person edited it."""
    message_id = _ID.search(_field(body.raw or b"", "Message-ID"))
    if message_id is not None and is_other(message_id[0].decode("utf-8", "replace")):
        return False
    return body.received_at is None or body.received_at >= since


def common_prefix(listed: Sequence[ListedMailbox]) -> str:
    """``"INBOX."`` where each mailbox but INBOX is below it: such servers refuse other names."""
    others = [mailbox for mailbox in listed if mailbox.name.upper() != "INBOX"]
    prefixes = {f"INBOX{mailbox.delimiter}" for mailbox in others if mailbox.delimiter}
    prefix = prefixes.pop() if len(prefixes) == 1 else ""
    is_common = all(mailbox.name.upper().startswith(prefix) for mailbox in others)
    return prefix if is_common else ""


def find_mailboxes(use: SpecialUse, listed: Sequence[ListedMailbox], prefix: str) -> list[str]:
    r"""The mailboxes for a purpose among those that a server lists, the likeliest first.

    Args:
        listed: with their attributes; one with the attribute of the purpose is it.
        prefix: of the user's own mailboxes. Usual names count at its top, and below INBOX.
    """
    names: dict[str, str] = {}
    for mailbox in listed:
        for start in (prefix, f"INBOX{mailbox.delimiter}" if mailbox.delimiter else ""):
            if start and mailbox.name[: len(start)].upper() == start.upper():
                names.setdefault(mailbox.name[len(start) :].casefold(), mailbox.name)
        names.setdefault(mailbox.name.casefold(), mailbox.name)
    marked = [mailbox.name for mailbox in listed if use.attribute in mailbox.attributes]
    return marked + [names[usual] for usual in use.names if usual in names]
