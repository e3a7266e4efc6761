"""The mail server for tests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from email.message import Message
from email.policy import Policy
from types import TracebackType
from typing import Self, TypeVar

from nornmail.testing.accounts import Account
from nornmail.testing.connection import Connection
from nornmail.testing.fault_plan import FaultPlan
from nornmail.testing.imap.client import Client
from nornmail.testing.imap.session import COMMANDS, Session
from nornmail.testing.mailbox import Mailbox, StoredMessage
from nornmail.testing.service import Service
from nornmail.testing.smtp.delivery import SentMessage
from nornmail.testing.smtp.server import SmtpSecurity, SmtpServer
from nornmail.testing.state import CA_FILE, CERTIFICATE_FILES, ServerState
from nornmail.testing.vendors import profile_of
from nornmail.testing.waiting import WAIT_SECONDS, Waiting

__all__ = ["CA_FILE", "CERTIFICATE_FILES", "IDLE_SECONDS", "MailServer"]

T = TypeVar("T")

IDLE_SECONDS = 20.0
"""Seconds that a test waits for a client to idle, before it fails."""


class MailServer:
    """An IMAP and SMTP server in this process, on free ports of the loopback.

    A context manager: the ports are open when ``__enter__`` returns; on exit every connection is
    closed and every thread joined.

    Args:
        tls: TLS from the first octet on.
        starttls: plain text that offers STARTTLS (RFC 3501, 6.2.1; RFC 3207).
        host: the address to listen on.
        smtp: ``"plain"``, ``"starttls"`` or ``"tls"`` where SMTP differs from IMAP.
        like: talk as this vendor's server does, as ``"gmail"``; see `VENDORS`. None is a server
            as the standards describe it. An unknown name is a ValueError.

    Attributes:
        capabilities: may be changed at will; a connection has what was in it when it began. The
            commands of a capability that is not in it are answered BAD. LOGINDISABLED is honoured,
            until STARTTLS is done.
        faults: the faults to come, of IMAP and of SMTP.
        smtp: the SMTP side: its extensions, limits and counters. All other attributes here are of
            IMAP, except `transcript`, `outbox` and those of accounts.
    """

    def __init__(
        self,
        *,
        tls: bool = False,
        starttls: bool = False,
        host: str = "127.0.0.1",
        smtp: SmtpSecurity | None = None,
        like: str | None = None,
    ) -> None:
        if tls and starttls:
            raise ValueError("tls and starttls exclude each other")
        self.host = host
        self.ca_file = CA_FILE
        self._implicit_tls = tls
        self._state = ServerState(tls=tls, starttls=starttls, profile=profile_of(like))
        self.faults: FaultPlan = self._state.faults
        same: SmtpSecurity = "tls" if tls else "starttls" if starttls else "plain"
        self.smtp = SmtpServer(host, smtp or same, self._state)
        self._waiting = Waiting(self._state, lambda: self.smtp.outbox)
        self._imap = Service(
            "imap",
            host,
            self._state,
            self._serve,
            label=lambda number: number,
            counted=self._state.note_live,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is None:
            self.raise_errors()

    def start(self) -> None:
        """Open the ports."""
        self._imap.start()
        try:
            self.smtp.start()
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close the ports and connections, and join the threads. A second call does nothing."""
        self._state.stopping.set()
        self.smtp.stop()
        self._imap.stop()

    def raise_errors(self) -> None:
        """Raise what went wrong inside the server, a Call fault's own exception included."""
        errors, self._state.errors = self._state.errors, []
        if errors:
            raise ExceptionGroup("the test server failed", errors)

    @property
    def capabilities(self) -> set[str]:
        """The capabilities that IMAP offers: a set to be edited."""
        return self._state.capabilities

    @capabilities.setter
    def capabilities(self, names: set[str]) -> None:
        self._state.capabilities = set(names)

    @property
    def read_only_mailboxes(self) -> set[str]:
        """Names that SELECT opens read-only: a set to be edited."""
        return self._state.read_only_mailboxes

    @read_only_mailboxes.setter
    def read_only_mailboxes(self, names: set[str]) -> None:
        self._state.read_only_mailboxes = set(names)

    @property
    def imap_port(self) -> int:
        """The TCP port of IMAP. RuntimeError before the start."""
        return self._imap.port

    @property
    def smtp_port(self) -> int:
        """The TCP port of SMTP."""
        return self.smtp.port

    @property
    def outbox(self) -> list[SentMessage]:
        """The messages that SMTP accepted so far, in that order: a copy."""
        return self.smtp.outbox

    @property
    def connections(self) -> int:
        """The number of IMAP connections so far."""
        return self._imap.connections

    @property
    def live_connections(self) -> int:
        """The number of open IMAP connections."""
        return self._imap.live_connections

    @property
    def refuse_connections(self) -> bool:
        """While True, new connections are reset at once."""
        return self._imap.refuse_connections

    @refuse_connections.setter
    def refuse_connections(self, refuse: bool) -> None:
        self._imap.refuse_connections = refuse

    @property
    def refused(self) -> int:
        """The number of IMAP connections that were reset at once."""
        return self._imap.refused

    @property
    def logins(self) -> int:
        """The number of IMAP logins that succeeded."""
        return self._state.logins

    @property
    def transcript(self) -> list[str]:
        """Lines of all connections, as ``[connection] C: line`` and ``[connection] S: line``."""
        return self._state.transcript.lines()

    @property
    def commands(self) -> list[bytes]:
        """Every command so far, without the octets of its literals and without passwords."""
        with self._state.lock:
            return list(self._state.commands)

    def add_user(self, user: str, password: str) -> None:
        """Make an account with an empty INBOX. ValueError when there is one of this name."""
        if user in self._state.accounts:
            raise ValueError(f"user {user!r} exists already")
        state = self._state
        state.accounts[user] = Account(user, password, state.profile, state.changes.announce)

    def tokens(self, user: str | None = None) -> set[str]:
        """The OAuth2 tokens with which this user may log in: a set to be edited.

        Add the capabilities AUTH=XOAUTH2 and AUTH=OAUTHBEARER as well, and for SMTP the
        extensions of these names.
        """
        return self._state.account(user).tokens

    def mailbox(self, name: str = "INBOX", *, user: str | None = None) -> Mailbox:
        """An existing mailbox. ``user`` may be left out where there is one.

        Args:
            name: the name as it is on the wire: modified UTF-7 for what is not ASCII.

        Raises:
            KeyError: there is no such user or mailbox.
        """
        box = self._state.account(user).find(name.encode("ascii"))
        if box is None:
            raise KeyError(name)
        return box

    def create_mailbox(self, name: str, *, user: str | None = None) -> Mailbox:
        """Make a mailbox. ValueError when it is there."""
        return self._state.account(user).create(name.encode("ascii"))

    def deliver(
        self,
        message: bytes | Message[str, str],
        *,
        user: str | None = None,
        mailbox: str = "INBOX",
        flags: Iterable[str] = (),
        date: datetime | None = None,
        uid: int | None = None,
    ) -> int:
        r"""Put a message into a mailbox, which is made when it is not there.

        Args:
            message: octets are kept as they are; an email message is written with CRLF.
            user: may be left out where there is one.
            flags: as ``"\\Seen"``.
            date: INTERNALDATE; None is now, a naive one is UTC.
            uid: None is UIDNEXT; see `Mailbox.add`.

        Returns:
            The message's UID.
        """
        account = self._state.account(user)
        name = mailbox.encode("ascii")
        with account.lock:
            box = account.find(name) or account.create(name)
            return box.add(_octets(message), flags, date, uid)

    def wait_for(self, predicate: Callable[[MailServer], T], *, seconds: float = WAIT_SECONDS) -> T:
        """Wait until something is true of this server, and return it.

        Args:
            predicate: a function of the server; it is asked now, and whenever something has
                happened: a line on any connection, a change of a mailbox, a fault that fires, a
                connection's beginning or end.
            seconds: how long to wait.

        Raises:
            TimeoutError: it was not; with what was there instead, and the end of the transcript.
        """
        return self._waiting.wait_for(lambda: predicate(self), seconds)

    def wait_for_sent(self, count: int = 1, *, seconds: float = WAIT_SECONDS) -> list[SentMessage]:
        """The outbox, as soon as there are at least ``count`` messages in it.

        Raises:
            TimeoutError: there were not, within ``seconds``.
        """
        return self._waiting.wait_for_sent(count, seconds)

    def wait_for_messages(
        self,
        count: int = 1,
        *,
        mailbox: str = "INBOX",
        user: str | None = None,
        seconds: float = WAIT_SECONDS,
    ) -> list[StoredMessage]:
        """The messages of a mailbox, as soon as there are at least ``count``.

        The mailbox need not be there yet.

        Raises:
            TimeoutError: there were not, within ``seconds``.
        """
        return self._waiting.wait_for_messages(count, mailbox, user, seconds)

    def wait_for_idle(self, count: int = 1, *, seconds: float = IDLE_SECONDS) -> None:
        """Return when ``count`` clients are in IDLE, and have its answer.

        Raises:
            TimeoutError: they were not, within ``seconds``.
        """
        idling, idlers = self._state.idling, self._state.idlers
        with idling:
            if not idling.wait_for(lambda: len(idlers) >= count, seconds):
                raise TimeoutError(f"{len(idlers)} of {count} clients idle after {seconds:g} s")

    def push(self, words: bytes) -> int:
        """Send octets to every client in IDLE: whole untagged lines, or whatever a test wants.

        Returns:
            The number of these clients.
        """
        with self._state.idling:
            for idler in self._state.idlers:
                idler.say(words)
            return len(self._state.idlers)

    def kick(self) -> None:
        """Close every live connection of IMAP, without BYE. ``server.smtp`` has its own `kick`."""
        self._imap.kick()

    def _serve(self, conn: Connection) -> None:
        if self._implicit_tls and self._state.tls is not None:
            conn.start_tls(self._state.tls)
        Session(Client(self._state, conn), COMMANDS).run()


def _octets(message: bytes | Message[str, str]) -> bytes:
    if isinstance(message, bytes):
        return message
    policy: Policy[Message[str, str]] = message.policy
    return message.as_bytes(policy=policy.clone(linesep="\r\n"))
