"""The SMTP side of the mail server: its port, its settings, and where its mail goes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from nornmail.testing.connection import Connection
from nornmail.testing.service import Service
from nornmail.testing.smtp.client import Client, SmtpSettings
from nornmail.testing.smtp.delivery import SentMessage, Transaction, addressee, with_trace
from nornmail.testing.smtp.session import Session
from nornmail.testing.state import ServerState

SmtpSecurity = Literal["plain", "starttls", "tls"]
"""``plain`` has no TLS, ``starttls`` offers it, ``tls`` has it from the first octet on."""


class SmtpServer(SmtpSettings, Service):
    """``server.smtp`` of a `nornmail.testing.MailServer`.

    Every sender and every recipient is taken, but for what the settings and the faults refuse. A
    message that was accepted is in `outbox`, and in the INBOX of each recipient who has an account
    here.
    """

    def __init__(self, host: str, port: int, security: SmtpSecurity, state: ServerState) -> None:
        if security not in ("plain", "starttls", "tls"):
            raise ValueError(f"smtp is 'plain', 'starttls' or 'tls', not {security!r}")
        SmtpSettings.__init__(self, starttls=security == "starttls")
        Service.__init__(
            self, "smtp", host, port, state, self._serve_smtp, label=lambda number: f"smtp {number}"
        )
        self.security = security
        self._sent: list[SentMessage] = []
        self._number = 0
        self._is_set_up = True

    @property
    def outbox(self) -> list[SentMessage]:
        """The messages accepted so far, in that order: a copy."""
        with self._state.lock:
            return list(self._sent)

    def clear(self) -> None:
        """Empty the outbox."""
        with self._state.lock:
            self._sent.clear()

    def _serve_smtp(self, conn: Connection) -> None:
        Session(Client(self._state, self, conn), self._accept).run(tls=self.security == "tls")

    def _accept(self, client: Client, transaction: Transaction, raw: bytes) -> str:
        """Keep a message, and deliver it to the accounts among its recipients."""
        sent = _sent(client, transaction, raw)
        with self._state.lock:
            self._sent.append(sent)
            self._number += 1
            number = f"{self._number:08d}"
        for recipient in dict.fromkeys(sent.rcpt_tos):
            account = addressee(self._state.accounts, recipient)
            if account is not None:
                copy = with_trace(sent, recipient, account.user, by=self.name, number=number)
                with account.lock:
                    inbox = account.find(b"INBOX") or account.create(b"INBOX")
                    inbox.add(copy, date=sent.at)
        self._state.changes.announce()
        return number


def _sent(client: Client, transaction: Transaction, raw: bytes) -> SentMessage:
    """The message as the outbox keeps it, accepted now."""
    return SentMessage(
        mail_from=transaction.sender.address,
        rcpt_tos=tuple(path.address for path in transaction.recipients),
        raw=raw,
        mail_options=transaction.sender.parameters,
        rcpt_options=tuple(path.parameters for path in transaction.recipients),
        helo=client.helo or "",
        esmtp=client.esmtp,
        user=client.user,
        tls=client.conn.secure,
        at=datetime.now(UTC),
    )
