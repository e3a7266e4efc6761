"""The mailbox of sent mail, where a mailer saves copies, on connections of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import datetime

from nornmail.errors import CommandRefused
from nornmail.imap.connection import Connection, ListedMailbox
from nornmail.settings.imap import ImapSettings, same_mailbox
from nornmail.settings.providers import provider_of

log = logging.getLogger("nornmail.imap")

FALLBACK = "Sent"
"""The mailbox that is made where there is none for sent mail."""
USUAL_NAMES = (
    "sent", "sent items", "sent messages", "sent mail", "sent-mail", "sent objects",
    "gesendet", "gesendete objekte", "gesendete elemente", "gesendete nachrichten",
    "envoyés", "messages envoyés", "éléments envoyés", "courrier envoyé",
    "enviados", "elementos enviados", "itens enviados", "mensajes enviados",
    "inviati", "posta inviata", "messaggi inviati", "verzonden", "verzonden items",
    "verzonden berichten", "skickat", "skickade objekt", "sendt", "sendte elementer", "sendt post",
    "lähetetyt", "wysłane", "elementy wysłane", "odeslané", "odeslaná pošta", "elküldött üzenetek",
    "trimise", "отправленные", "надіслані", "απεσταλμένα", "gönderilenler", "gönderilmiş öğeler",
    "送信済み", "送信済みメール", "已发送", "已发送邮件", "已傳送", "寄件備份",
    "보낸 편지함", "보낸편지함",
)  # fmt: skip
"""Names of mailboxes for sent mail, in lower case, of servers that do not mark theirs (RFC 6154):
those of common mail programs and providers. The first that is there counts."""


class SentMailbox:
    r"""The mailbox for copies of sent mail, for ``Mailer(sent_mailbox=...)``.

    Args:
        imap: the account; each use makes a connection of its own.
        mailbox: its name; ``None`` takes the one that the server says is for sent mail (RFC 6154),
            else one with a usual name (``Sent Items``, ``Gesendet``, ...), else ``Sent``, which is
            made where it is missing.
        saved_by_server: whether the SMTP server puts each message there itself; ``None`` knows
            Gmail, Outlook.com, Microsoft 365 and Proton's bridge by host and port. Nothing is put
            there then, and a message of unknown outcome is still looked for.
        connect: the connector, for tests.
    """

    def __init__(
        self,
        imap: ImapSettings,
        mailbox: str | None = None,
        *,
        saved_by_server: bool | None = None,
        connect: Callable[[ImapSettings], Connection] | None = None,
    ) -> None:
        self._imap = imap
        self._mailbox = mailbox
        if saved_by_server is None:
            saved_by_server = provider_of(imap.host, imap.port).keeps_sent
        self._saved_by_server = saved_by_server
        self._connect = connect or Connection.open

    @property
    def server_saves_sent(self) -> bool:
        """Whether the SMTP server puts each message there itself."""
        return self._saved_by_server

    def has(self, message_id: str) -> bool:
        """Whether a message with this Message-ID is there.

        Raises:
            NornmailError: the mailbox cannot be searched.
        """
        with closing(self._connect(self._imap)) as connection:
            if not self._open(connection)[1]:
                return False
            if connection.exists == 0:
                return False
            uids = connection.find_message_id(message_id)
            if not uids:
                return False
            # Some servers find parts of a header, or answer what they do not understand with all.
            headers = connection.headers(uids)
            octets = message_id.encode("utf-8", "surrogateescape")
            return any(body.raw is not None and octets in body.raw for body in headers.values())

    def append(self, raw: bytes, at: datetime) -> None:
        r"""Save a message there, with ``\Seen``; the mailbox is made where it is missing.

        Raises:
            NornmailError: it was not saved, or may not have been.
        """
        with closing(self._connect(self._imap)) as connection:
            name, exists = self._open(connection)
            if not exists:
                self._create(connection, name)
            try:
                self._put(connection, name, raw, at)
            except CommandRefused as refused:
                if refused.code != "TRYCREATE" or not exists:
                    raise
                self._create(connection, name)
                self._put(connection, name, raw, at)

    def _put(self, connection: Connection, name: str, raw: bytes, at: datetime) -> None:
        connection.append(name, raw, flags=["\\Seen"], at=at.timestamp())

    def _create(self, connection: Connection, name: str) -> None:
        try:
            connection.create(name)
        except CommandRefused as refused:
            log.info("%s", refused)  # the APPEND shows whether it is there now

    def _open(self, connection: Connection) -> tuple[str, bool]:
        """Open the mailbox.

        Returns:
            Its name, and whether it exists. A usual name that cannot be opened is not taken.
        """
        listed = connection.listed_mailboxes()
        prefix = "" if self._mailbox else connection.personal_prefix()
        for name in [self._mailbox] if self._mailbox else find_sent(listed, prefix):
            try:
                connection.examine(name)
            except CommandRefused as refused:
                if self._mailbox and any(same_mailbox(m.name, name) for m in listed):
                    raise
                log.debug("%s", refused)
            else:
                return name, True
        return self._mailbox or prefix + FALLBACK, False


def find_sent(listed: Sequence[ListedMailbox], prefix: str) -> list[str]:
    r"""The mailboxes for sent mail among those that a server lists, the likeliest first.

    Args:
        listed: with their attributes; one with ``\Sent`` (RFC 6154) is it.
        prefix: of the user's own mailboxes. Usual names count at its top, and below INBOX.
    """
    names: dict[str, str] = {}
    for mailbox in listed:
        for start in (prefix, f"INBOX{mailbox.delimiter}" if mailbox.delimiter else ""):
            if start and mailbox.name[: len(start)].upper() == start.upper():
                names.setdefault(mailbox.name[len(start) :].casefold(), mailbox.name)
        names.setdefault(mailbox.name.casefold(), mailbox.name)
    marked = [mailbox.name for mailbox in listed if "\\sent" in mailbox.attributes]
    return marked + [names[usual] for usual in USUAL_NAMES if usual in names]
