"""The mailbox of sent mail, into which a mailer puts copies, over connections of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing
from datetime import datetime

from nornmail.errors import CommandRefused
from nornmail.imap.connection import Connection
from nornmail.settings.imap import ImapSettings
from nornmail.settings.providers import provider_of

log = logging.getLogger("nornmail.imap")

FALLBACK = "Sent"
"""The mailbox where the server names none for sent mail (RFC 6154)."""


class SentMailbox:
    r"""The mailbox for copies of sent mail, for ``Mailer(sent_mailbox=...)``.

    Args:
        imap: the account; each use makes a connection of its own.
        mailbox: its name; ``None`` takes the one that the server says is for sent mail (RFC 6154),
            else ``Sent``. It is made where it is missing.
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
        """Whether a message with this Message-ID lies there.

        Raises:
            NornmailError: it is not known.
        """
        with closing(self._connect(self._imap)) as connection:
            try:
                connection.examine(self._name(connection))
            except CommandRefused as refused:
                log.debug("%s", refused)
                return False  # the mailbox does not exist, and the message is not in it
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
        r"""Put a message there, with ``\Seen``.

        Raises:
            NornmailError: it could not be, or that is not known.
        """
        with closing(self._connect(self._imap)) as connection:
            name = self._name(connection)
            try:
                self._put(connection, name, raw, at)
            except CommandRefused as refused:
                if refused.code != "TRYCREATE":
                    raise
                connection.create(name)
                self._put(connection, name, raw, at)

    def _put(self, connection: Connection, name: str, raw: bytes, at: datetime) -> None:
        connection.append(name, raw, flags=["\\Seen"], at=at.timestamp())

    def _name(self, connection: Connection) -> str:
        if self._mailbox is None:
            self._mailbox = connection.mailbox_for("\\Sent") or FALLBACK
        return self._mailbox
