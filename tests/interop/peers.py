"""The embedded server and a real Dovecot, seen the same way by a client."""

from __future__ import annotations

import contextlib
import imaplib
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from nornmail.testing import MailServer
from tests.support.dovecot import Dovecot
from tests.support.octets import add_literal

SECONDS = 20.0
"""Until a client that hears nothing fails its test."""
FIRST_DATE = datetime(2024, 2, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Peer:
    """One server, and a user with an account of their own on it."""

    name: str
    host: str
    port: int
    user: str
    password: str

    def connect(self) -> imaplib.IMAP4:
        """A client, logged in. As a context manager it logs out at the end."""
        client = imaplib.IMAP4(self.host, self.port, timeout=SECONDS)
        # imaplib sends the end of a literal in a packet of its own, and the answer to it waits.
        client.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.login(self.user, self.password)
        return client

    def append(
        self, letters: Sequence[bytes], mailbox: str = "INBOX", flags: Sequence[str] = ()
    ) -> None:
        """Have these letters in a mailbox, each a minute younger than the one before."""
        with self.connect() as client:
            for number, raw in enumerate(letters):
                when = imaplib.Time2Internaldate(FIRST_DATE + timedelta(minutes=number))
                add_literal(client, raw)
                status, answer = client.xatom("APPEND", mailbox, f"({' '.join(flags)})", when)
                assert status == "OK", answer


@contextlib.contextmanager
def two_peers(dovecot: Dovecot) -> Iterator[tuple[Peer, Peer]]:
    """The embedded server, then Dovecot, each with an empty account."""
    with MailServer(like="dovecot") as server:
        user = dovecot.user()
        server.add_user(user, dovecot.password)
        yield (
            Peer("embedded", server.host, server.imap_port, user, dovecot.password),
            Peer("dovecot", dovecot.host, dovecot.port, user, dovecot.password),
        )
