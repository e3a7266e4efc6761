"""The mail server for tests."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import datetime
from email.message import Message
from email.policy import Policy
from importlib import import_module
from types import TracebackType
from typing import Any, Self, TypeVar

from nornmail.testing.accounts import Account, to_wire
from nornmail.testing.connection import Connection
from nornmail.testing.fault_plan import FaultPlan
from nornmail.testing.imap.client import Client
from nornmail.testing.imap.session import Session
from nornmail.testing.mailbox import FixedAttributes, Mailbox, StoredMessage
from nornmail.testing.service import Service
from nornmail.testing.smtp.session import SmtpSecurity, SmtpServer
from nornmail.testing.smtp.transaction import SentMessage
from nornmail.testing.state import CA_FILE, CERTIFICATE_FILES, ServerState
from nornmail.testing.vendors import profile_of

__all__ = ["CA_FILE", "CERTIFICATE_FILES", "IDLE_SECONDS", "MailServer"]

T = TypeVar("T")

WAIT_SECONDS = 10.0
"""Seconds that a test waits by default: far longer than anything takes in one process."""

LINES_REPORTED = 20
"""Lines of the transcript in the message of a TimeoutError."""

IDLE_SECONDS = 20.0
"""Seconds that a test waits for a client to idle, before it fails."""


class MailServer(FixedAttributes):
    """An IMAP and SMTP server in this process, on free ports of the loopback.

    A context manager: the ports are open when ``__enter__`` returns; on exit every connection is
    closed and every thread joined, and a fault that has never fired is an AssertionError.

    Args:
        tls: TLS from the first octet on.
        starttls: plain text that offers STARTTLS (RFC 3501, 6.2.1; RFC 3207).
        host: the address to listen on.
        smtp: ``"plain"``, ``"starttls"`` or ``"tls"`` where SMTP differs from IMAP.
        like: talk as this vendor's server does, as ``"gmail"``; see `VENDORS`. None is a server
            as the standards describe it. An unknown name is a ValueError.
        imap_port, smtp_port: fixed ports; 0 is a free one.

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
        imap_port: int = 0,
        smtp_port: int = 0,
    ) -> None:
        if tls and starttls:
            raise ValueError("tls and starttls exclude each other")
        self.host = host
        self.ca_file = CA_FILE
        self._implicit_tls = tls
        self._offers_starttls = starttls
        self._state = ServerState(tls=tls, starttls=starttls, profile=profile_of(like))
        self.faults: FaultPlan = self._state.faults
        same: SmtpSecurity = "tls" if tls else "starttls" if starttls else "plain"
        self.smtp = SmtpServer(host, smtp_port, smtp or same, self._state)
        self._imap = Service(
            "imap",
            host,
            imap_port,
            self._state,
            self._serve,
            label=lambda number: number,
            counted=self._state.note_live,
        )
        self._is_set_up = True

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
            self.faults.check_fired()

    def start(self) -> None:
        """Open the ports: after a stop, the same ones."""
        self._state.stopping.clear()
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

    def reset(self) -> None:
        """Close every connection, and forget accounts, mail, outbox, faults, settings, transcript.

        The ports stay open. So one server can serve many tests.
        """
        self._imap.disconnect()
        self.smtp.disconnect()
        self._imap.refuse_connections = self.smtp.refuse_connections = False
        self.smtp.restore()
        self.smtp.clear()
        self._state.reset()

    def raise_errors(self) -> None:
        """Raise the first error inside the server, an exception of a Call fault included."""
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
    def imap_url(self) -> str:
        """The address of IMAP, as ``imap://127.0.0.1:3143``; ``imaps`` with TLS."""
        return f"imap{'s' * self._implicit_tls}://{_in_url(self.host)}:{self.imap_port}"

    @property
    def smtp_url(self) -> str:
        """The address of SMTP, as ``smtp://127.0.0.1:3025``; ``smtps`` with TLS."""
        security = "s" * (self.smtp.security == "tls")
        return f"smtp{security}://{_in_url(self.host)}:{self.smtp_port}"

    def imap_settings(self, user: str | None = None, **others: Any) -> Any:
        """``nornmail.ImapSettings`` of a user, to read this server's mail with nornmail's poller.

        Args:
            user: may be left out where there is one.
            others: other arguments of ``ImapSettings``, as ``mailbox="Sent"``.
        """
        account = self._state.account(user)
        tls = {
            "use_ssl": self._implicit_tls,
            "starttls": self._offers_starttls,
            "ca_file": self.ca_file if self._implicit_tls or self._offers_starttls else None,
        }
        login = {"username": account.user, "password": account.password}
        place = {"host": self.host, "port": self.imap_port}
        return _public("ImapSettings")(**{**place, **login, **tls, **others})

    def smtp_settings(self, user: str | None = None, **others: Any) -> Any:
        """``nornmail.SmtpSettings`` of a user, to send through this server with nornmail's mailer.

        Args:
            user: may be left out where there is one.
            others: other arguments of ``SmtpSettings``, as ``timeout=5``.
        """
        account = self._state.account(user)
        tls = {
            "use_ssl": self.smtp.security == "tls",
            "use_tls": self.smtp.security != "plain",
            "ca_file": self.ca_file if self.smtp.security != "plain" else None,
        }
        login = {"username": account.user, "password": account.password}
        sender = account.user if "@" in account.user else f"{account.user}@localhost"
        place = {"host": self.host, "port": self.smtp_port, "sender": sender}
        return _public("SmtpSettings")(**{**place, **login, **tls, **others})

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

    @property
    def accounts(self) -> list[Account]:
        """The accounts, in the order in which they were made: a copy."""
        return list(self._state.accounts.values())

    def add_user(self, user: str, password: str) -> None:
        """Make an account with an empty INBOX. ValueError when there is one of this name."""
        if user in self._state.accounts:
            raise ValueError(f"user {user!r} exists already")
        state = self._state
        state.accounts[user] = Account(user, password, state.profile, state.changes.announce)

    @property
    def users(self) -> list[str]:
        """The names of the accounts, in the order in which they were made."""
        return list(self._state.accounts)

    def used_tokens(self, user: str | None = None) -> set[str]:
        """The OAuth2 tokens with which this user has logged in, by IMAP or SMTP: a copy."""
        return set(self._state.account(user).used_tokens)

    def tokens(self, user: str | None = None) -> set[str]:
        """The OAuth2 tokens with which this user may log in: a set to be edited.

        Add the capabilities AUTH=XOAUTH2 and AUTH=OAUTHBEARER as well, and for SMTP the
        extensions of these names.
        """
        return self._state.account(user).tokens

    def mailbox(self, name: str = "INBOX", *, user: str | None = None) -> Mailbox:
        """An existing mailbox.

        Args:
            name: the name as people write it, as ``Entwürfe``.
            user: may be left out where there is one.

        Raises:
            KeyError: there is no such user or mailbox; the text has those that there are.
        """
        return self._state.mailbox(name, user)

    def create_mailbox(self, name: str, *, user: str | None = None) -> Mailbox:
        """Make a mailbox. ValueError when it is there."""
        return self._state.account(user).create(to_wire(name))

    def deliver(
        self,
        message: bytes | str | Message[str, str],
        *,
        user: str | None = None,
        mailbox: str = "INBOX",
        flags: Iterable[str] = (),
        date: datetime | None = None,
        uid: int | None = None,
    ) -> int:
        r"""Put a message into a mailbox, which is made when it is not there.

        Args:
            message: octets are kept as they are, so write CRLF as real servers give it; a str or
                an email message is written with CRLF.
            user: may be left out where there is one.
            mailbox: its name as people write it.
            flags: as ``"\\Seen"``.
            date: INTERNALDATE; None is now, a naive one is UTC.
            uid: None is UIDNEXT; see `Mailbox.add`.

        Returns:
            The message's UID.
        """
        account = self._state.account(user)
        raw = _octets(message)
        with account.lock:
            box = account.named(mailbox) or account.create(to_wire(mailbox))
            return box.add(raw, flags, date, uid)

    def assert_sent(
        self,
        *,
        to: str | None = None,
        subject: str | None = None,
        text: str | None = None,
        sender: str | None = None,
        count: int | None = None,
    ) -> SentMessage:
        """Check that such a message was sent by SMTP, and return the last one.

        Args:
            to: one of its recipients, as in the envelope.
            subject: its whole subject, decoded.
            text: a part of its text.
            sender: the envelope's sender.
            count: how many such messages there are; None is at least one. With 0 there must be
                none, and what is returned is the last message of all.

        Raises:
            AssertionError: with what was sent instead.
        """
        fields = {"to": to, "subject": subject, "text": text, "sender": sender}
        criteria = {name: value for name, value in fields.items() if value is not None}
        sent = self.outbox
        matching = [mail for mail in sent if mail.matches(**criteria)]
        if not matching if count is None else len(matching) != count:
            words = {0: "no message was", 1: "1 message was"}
            number = words.get(len(matching), f"{len(matching)} messages were")
            pairs = ", ".join(f"{name}={value!r}" for name, value in criteria.items())
            described = f" with {pairs}" if pairs else ""
            expected = "" if count is None else f", expected {count}"
            lines = ["The outbox has:", *(f"  {mail.summary()}" for mail in sent)]
            raise AssertionError("\n".join([f"{number} sent{described}{expected}", *lines]))
        return (matching or sent)[-1]

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
        return self._wait(lambda: predicate(self), seconds, "the predicate")

    def wait_for_change(self, after: int = 0, *, seconds: float = WAIT_SECONDS) -> int:
        """The number of changes so far, as soon as it is not ``after`` or ``seconds`` are over."""
        changes = self._state.changes
        changes.wait_for(lambda: changes.count != after, seconds)
        return changes.count

    def wait_for_sent(self, count: int = 1, *, seconds: float = WAIT_SECONDS) -> list[SentMessage]:
        """The outbox, as soon as there are at least ``count`` messages in it.

        Raises:
            TimeoutError: there were not, within ``seconds``.
        """
        what = f"messages in the outbox: {count}"
        return self._wait(lambda: _at_least(count, self.outbox), seconds, what)[0]

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
        account = self._state.account(user)

        def enough() -> tuple[list[StoredMessage]] | None:
            box = account.named(mailbox)
            return _at_least(count, box.messages if box is not None else [])

        what = f"messages in {mailbox} of {account.user}: {count}"
        return self._wait(enough, seconds, what)[0]

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

    def _wait(self, predicate: Callable[[], T | None], seconds: float, what: str) -> T:
        """The first true value of ``predicate``. TimeoutError after ``seconds``."""
        value = self._state.changes.wait_for(predicate, seconds)
        if not value:
            last = "" if value is None else f", the last value was {value!r}"
            raise TimeoutError(f"waited {seconds:g} s in vain for {what}{last}\n{self._report()}")
        return value

    def _report(self) -> str:
        """The mail that is there, and the end of the transcript."""
        lines = ["The mail on the server:"]
        for account in self.accounts:
            for box in account.all():
                lines.append(f"  {len(box.messages)} in {box.name} of {account.user}")
        sent = self.outbox
        lines.append(f"  {len(sent)} in the outbox")
        lines += [f"    from {mail.mail_from} to {', '.join(mail.rcpt_tos)}" for mail in sent]
        transcript = self.transcript[-LINES_REPORTED:]
        lines += ["The end of the transcript:", *(f"  {line}" for line in transcript)]
        return "\n".join(lines)

    def _serve(self, conn: Connection) -> None:
        if self._implicit_tls and self._state.tls is not None:
            conn.start_tls(self._state.tls)
        Session(Client(self._state, conn)).run()


def _octets(message: bytes | str | Message[str, str]) -> bytes:
    if isinstance(message, bytes):
        return message
    if isinstance(message, str):
        return re.sub(r"\r\n|\r|\n", "\r\n", message).encode("utf-8", "surrogateescape")
    if not isinstance(message, Message):
        raise TypeError(f"deliver takes bytes, a str or an email message, not {message!r}")
    policy: Policy[Message[str, str]] = message.policy
    return message.as_bytes(policy=policy.clone(linesep="\r\n"))


def _at_least(count: int, messages: list[T]) -> tuple[list[T]] | None:
    """The messages if there are so many; in a tuple, since an empty list is false."""
    return (messages,) if len(messages) >= count else None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _public(name: str) -> Any:
    """A name of the package above, for who uses both; this folder imports nothing of it."""
    return getattr(import_module("nornmail"), name)
