"""A message on its way in, one that was accepted, and its delivery to the accounts here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TypeVar

from nornmail.testing.mailbox import parsed
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

    def matches(
        self,
        *,
        to: str | None = None,
        subject: str | None = None,
        text: str | None = None,
        sender: str | None = None,
    ) -> bool:
        """Whether it has this recipient, subject and sender, and this within its text."""
        mail = self.as_email()
        body = mail.get_body(("plain", "html")) if text is not None else None
        return (
            (to is None or to.casefold() in map(str.casefold, self.rcpt_tos))
            and (sender is None or sender.casefold() == self.mail_from.casefold())
            and (subject is None or subject == mail["Subject"])
            and (text is None or (body is not None and text in body.get_content()))
        )

    def summary(self) -> str:
        """Sender, recipients and subject on one line."""
        subject = self.as_email()["Subject"] or "(no subject)"
        return f"from {self.mail_from or '<>'} to {', '.join(self.rcpt_tos)}: {subject}"


@dataclass
class Transaction:
    """The envelope of a message that has not come yet (RFC 5321, 3.3)."""

    sender: Path
    recipients: list[Path] = field(default_factory=list)


A = TypeVar("A")

_RETURN_PATH = re.compile(rb"^Return-Path:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", re.I | re.M)
_HEADER_END = re.compile(rb"\r?\n\r?\n")


def addressee(accounts: Mapping[str, A], address: str) -> A | None:
    """The account that mail for ``address`` is delivered to.

    An account called ``kim@example.org`` gets the mail of this address, and one called ``kim`` that
    of ``kim`` at any domain that no other account's name has in full. Case does not matter;
    ``kim+tag@`` is for ``kim@`` unless there is an account of the whole name.
    """
    names = {name.lower(): account for name, account in list(accounts.items())}
    local, at, domain = address.lower().rpartition("@")
    if not at:
        local, domain = domain, ""
    if local.startswith('"'):  # RFC 5321, 4.1.2: the quotes say nothing of whose it is
        local = re.sub(r"\\(.)", r"\1", local[1:-1])
    untagged = local.partition("+")[0] or local
    for name in (local + at + domain, untagged + at + domain, local, untagged):
        if name in names:
            return names[name]
    return None


def is_local(domains: set[str], address: str) -> bool:
    """Whether the address is in one of these domains, where only accounts have mail."""
    domain = address.rpartition("@")[2].lower()
    return domain in {local.lower() for local in domains}


def with_trace(sent: SentMessage, recipient: str, account: str, *, by: str, number: str) -> bytes:
    """A message as it lies in a mailbox: Return-Path, Delivered-To and Received above it.

    A Return-Path that it came with is taken out (RFC 5321, 4.4).
    """
    headers = (
        f"Return-Path: <{sent.mail_from}>\r\n"
        f"Delivered-To: {account}\r\n"
        f"Received: from {_one_word(sent.helo)} by {by} with {_protocol(sent)} id {number}\r\n"
        f"\tfor <{recipient}>; {format_datetime(sent.at)}\r\n"
    )
    return headers.encode("utf-8") + _without_return_path(sent.raw)


def _protocol(sent: SentMessage) -> str:
    """The transmission type, in the words of RFC 3848 and RFC 6531."""
    if not sent.esmtp:
        return "SMTP"
    utf8 = any(option.upper() == "SMTPUTF8" for option in sent.mail_options)
    return ("UTF8" if utf8 else "E") + "SMTP" + "S" * sent.tls + "A" * (sent.user is not None)


def _one_word(helo: str) -> str:
    """The client's name with everything replaced that would break a header."""
    return re.sub(r"[^\w.:\[\]-]", "?", helo) or "unknown"


def _without_return_path(raw: bytes) -> bytes:
    end = _HEADER_END.search(raw)
    size = end.start() + 1 if end else len(raw)
    return _RETURN_PATH.sub(b"", raw[:size]) + raw[size:]
