"""A message on its way in, from MAIL to the final dot, and one that was accepted."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage

from nornmail.testing.epoch import parsed
from nornmail.testing.smtp.grammar import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message that the server accepted.

    Attributes:
        mail_from: the envelope's sender; "" for ``<>``.
        rcpt_tos: the recipients that were accepted, in their order.
        raw: the message's octets as they came, without the stuffed dots.
        mail_options: the parameters of MAIL, as ``("SIZE=200", "SMTPUTF8")``.
        rcpt_options: the parameters of each RCPT, in the order of ``rcpt_tos``.
        helo: the name that the client gave.
        esmtp: the client sent EHLO, not HELO.
        user: the user who was logged in, or None.
        tls: it came through TLS.
        at: when it was accepted.
    """

    mail_from: str
    rcpt_tos: tuple[str, ...]
    raw: bytes
    mail_options: tuple[str, ...]
    rcpt_options: tuple[tuple[str, ...], ...]
    helo: str
    esmtp: bool
    user: str | None
    tls: bool
    at: datetime

    def as_email(self) -> EmailMessage:
        """The message as the standard library parses it. It is made anew at each call."""
        return parsed(self.raw)


@dataclass
class Transaction:
    """The envelope of a message that has not come yet (RFC 5321, 3.3).

    Attributes:
        sender: the argument of MAIL.
        recipients: those of each RCPT that was accepted.
    """

    sender: Path
    recipients: list[Path] = field(default_factory=list)
