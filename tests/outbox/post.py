"""A small post office: aiosmtpd takes mail in and puts it into the mailboxes of a MailServer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nornmail import ImapSettings, SmtpSettings
from nornmail.testing import MailServer
from tests.support.smtp import PASSWORD, USER, SmtpServer, smtp_server


@dataclass
class PostOffice:
    """What a test needs to know of it.

    Attributes:
        imap, smtp: the two servers.
        answers: what the server says to a recipient instead of taking it, by address.
        at_content: what it says to the content.
        envelopes: from whom and to whom each message was that it took.
    """

    imap: MailServer
    smtp: SmtpServer | None = None
    answers: dict[str, str] = field(default_factory=dict)
    at_content: list[str] = field(default_factory=list)
    envelopes: list[tuple[str, list[str], bytes]] = field(default_factory=list)

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.at_content:
            return self.at_content.pop(0)
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        for address in envelope.rcpt_tos:
            if address in self.users:
                self.imap.deliver(envelope.content, user=address)
        return "250 OK taken"

    users: set[str] = field(default_factory=set)

    def add(self, address: str) -> ImapSettings:
        """A mailbox for an address."""
        self.users.add(address)
        self.imap.add_user(address, PASSWORD)
        return ImapSettings(
            host=self.imap.host,
            port=self.imap.imap_port,
            username=address,
            password=PASSWORD,
            use_ssl=False,
        )

    def settings(self, **changes: Any) -> SmtpSettings:
        assert self.smtp is not None
        given: dict[str, Any] = {
            "host": self.smtp.host,
            "port": self.smtp.port,
            "username": USER,
            "password": PASSWORD,
            "ca_file": self.smtp.ca_file,
        }
        return SmtpSettings(**{**given, **changes})


@contextmanager
def post_office() -> Iterator[PostOffice]:
    with MailServer() as imap:
        office = PostOffice(imap)
        with smtp_server(handler=office) as office.smtp:
            yield office
