"""The SMTP side of the server, and one connection from greeting to end.

A session reads a command, applies the faults, and answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from nornmail.testing.accounts import MAX_SASL_LINE
from nornmail.testing.connection import HIDDEN, Connection, Dropped, LineTooLong
from nornmail.testing.service import Service
from nornmail.testing.smtp import faults
from nornmail.testing.smtp.client import Client, SmtpBehaviour
from nornmail.testing.smtp.commands import COMMANDS
from nornmail.testing.smtp.grammar import (
    BadSyntax,
    MessageReader,
    Refused,
    Reply,
    encode_reply,
    has_bare_line_end,
    longest_line,
    parse_path,
)
from nornmail.testing.smtp.transaction import SentMessage, Transaction, addressee, with_trace
from nornmail.testing.state import ServerState, server_context


@dataclass
class Plan:
    """The combined effect of the faults of one stage.

    Attributes:
        instead: octets to send instead of the real answer; None is the real answer.
        act: carry the command out although there is something instead.
        close: end the connection after the answer.
    """

    instead: bytes | None = None
    act: bool = False
    close: bool = False


def arrange(client: Client, stage: str, recipient: str | None) -> Plan:
    """Carry out the faults that fire at this stage."""
    plan = Plan()
    for fault in client.state.faults.take(
        faults.StageFault, lambda fault: fault.matches(stage, recipient)
    ):
        match fault:
            case faults.Call():
                fault.function()
            case faults.Silent(after_bytes=None):
                client.conn.swallow()
            case faults.Cut(before=True):
                raise Dropped("cut before acting", reset=fault.reset)
            case faults.Answer():
                plan.instead = encode_reply(fault.code, fault.text.split("\n"))
                plan.act = fault.act
                plan.close = fault.code == faults.CLOSING if fault.close is None else fault.close
                if stage == "CONNECT" and fault.code == faults.GREETING_REFUSED:
                    client.refused = True
            case faults.Garbage():
                plan.instead = fault.data
            case faults.Extra():
                client.conn.write(fault.data)
            case faults.Silent():
                client.conn.shape.cut_after, client.conn.shape.stall = fault.after_bytes, True
            case faults.Cut():
                client.conn.shape.cut_after = fault.after_bytes
                client.conn.shape.reset = fault.reset
            case _:
                client.conn.shape.apply(fault)
    return plan


MAX_COMMAND_LINE = 2048
"""Octets of a command. RFC 5321, 4.5.3.1.4, wants 512, and extensions add to it; Postfix takes
as many as this."""

_SECRET = re.compile(rb"(\s*AUTH\s+\S+)\s+\S.*", re.IGNORECASE | re.DOTALL)

Accept = Callable[[Client, Transaction, bytes], str]
"""Takes a message in; returns its number on the server."""


class Session:
    """One client's dialogue. Its thread is the only one that touches it."""

    def __init__(self, client: Client, accept: Accept) -> None:
        self.client = client
        self.state = client.state
        self.settings = client.settings
        self.conn = client.conn
        self._accept = accept
        self._secret_next = False

    def run(self, *, tls: bool) -> None:
        """Serve the client until Dropped or an OSError says that the connection is over."""
        for total in self.state.faults.take(faults.CutTotal, lambda _: True):
            self.conn.total_left, self.conn.total_reset = total.after_bytes, total.reset
        if tls:
            self._handshake()
        self._perform("CONNECT", self._greeting)
        while True:
            self._serve_one()

    def _hang_up(self) -> None:
        """End the connection."""
        self.conn.end_tls()
        raise Dropped("the server has hung up")

    def _read_message(self) -> None:
        """Take what follows DATA, and answer its final dot."""
        drops = self.state.faults.take(faults.CutInMessage, lambda _: True)
        reader = MessageReader(self.settings.max_message_bytes)
        rest: bytes | None = None
        while rest is None:
            data = self.conn.read_some()
            rest = reader.feed(data)
            self.conn.note(data[: len(data) - len(rest or b"")])
            for drop in drops:
                if rest is not None or reader.size >= drop.after_bytes:
                    raise Dropped("cut in the message", reset=drop.reset)
        self.conn.unread(rest)
        raw = reader.message()
        transaction, self.client.transaction = self.client.transaction, None
        if transaction is None:
            raise RuntimeError("a message came without a transaction")
        self._perform("DOT", lambda: self._take_message(transaction, raw, reader.too_large))

    def _greeting(self) -> Reply:
        return Reply(220, "", f"{self.settings.name} ESMTP nornmail test server")

    def _handshake(self) -> None:
        """Do the TLS handshake, with a bad certificate where a fault wants one."""
        self._perform("HANDSHAKE", lambda: None)
        bad = self.state.faults.take(faults.BadCertificate, lambda _: True)
        self.conn.start_tls(server_context(bad[0].kind if bad else "good"))

    def _serve_one(self) -> None:
        try:
            line = self.conn.read_line(MAX_SASL_LINE, self._shown).rstrip(b" \t")
        except LineTooLong:
            self._say(Reply(500, "5.5.2", "Line too long"))
            return
        word, _, argument = line.partition(b" ")
        name = word.upper().decode("latin-1")
        self.settings.count_command(self._shown(line))
        self._secret_next = False
        if self.client.refused and name != "QUIT":
            self._say(Reply(503, "5.5.1", "No SMTP service here"))
        elif name not in COMMANDS:
            self._say(Reply(500, "5.5.2", "Command not recognized"))
        elif name != "AUTH" and len(line) > MAX_COMMAND_LINE:
            self._say(Reply(500, "5.5.2", "Line too long"))
        else:
            argument = argument.strip(b" \t")
            recipient = _recipient(argument) if name == "RCPT" else None
            self._perform(name, lambda: self._act(name, argument), recipient)

    def _act(self, name: str, argument: bytes) -> Reply:
        """Carry a command out; its answer."""
        try:
            return COMMANDS[name](self.client, argument)
        except BadSyntax as error:
            return Reply(501, error.enhanced, str(error))
        except Refused as refused:
            return refused.reply

    def _take_message(self, transaction: Transaction, raw: bytes, too_large: bool) -> Reply:
        settings = self.settings
        if too_large:
            return Reply(552, "5.3.4", "Message size exceeds fixed limit")
        if settings.refuse_bare_line_ends and has_bare_line_end(raw):
            return Reply(550, "5.5.2", "Message with a bare CR or LF refused")
        if settings.max_line_bytes is not None and longest_line(raw) > settings.max_line_bytes:
            return Reply(500, "5.5.2", "Message with a line that is too long refused")
        number = self._accept(self.client, transaction, raw)
        return Reply(250, "2.0.0", f"OK: queued as {number}")

    def _perform(
        self, stage: str, act: Callable[[], Reply | None], recipient: str | None = None
    ) -> None:
        """One stage: the faults first, then the act, the answer, and what comes behind it."""
        plan = arrange(self.client, stage, recipient)
        response = act() if plan.instead is None or plan.act else None
        if plan.instead is not None:
            self.conn.write(plan.instead)
            self._secret_next = stage == "AUTH" and plan.instead.startswith(b"334")
            if not plan.act:
                self.client.next_step = None
        elif response is not None:
            self.conn.write(self._encoded(response))
        self.conn.finish_answer()
        if plan.close:
            self._hang_up()
        step, self.client.next_step = self.client.next_step, None
        match step:
            case "start TLS":
                self._handshake()
                self.client.forget()
            case "read the message":
                self._read_message()
            case "hang up":
                self._hang_up()

    def _shown(self, line: bytes) -> bytes:
        """A command as the transcript shows it."""
        if self._secret_next:
            return HIDDEN  # a fault has asked for credentials, and no mechanism reads them
        secret = _SECRET.fullmatch(line)
        return secret[1] + b" " + HIDDEN if secret else line

    def _say(self, response: Reply) -> None:
        self.conn.write(self._encoded(response))
        self.conn.finish_answer()

    def _encoded(self, response: Reply) -> bytes:
        return response.encode(enhanced="ENHANCEDSTATUSCODES" in self.client.extensions)


def _recipient(argument: bytes) -> str | None:
    try:
        return parse_path(argument, b"TO:").address
    except BadSyntax:
        return None


SmtpSecurity = Literal["plain", "starttls", "tls"]
"""``plain`` has no TLS, ``starttls`` offers it, ``tls`` has it from the first octet on."""


class SmtpServer(SmtpBehaviour, Service):
    """``server.smtp`` of a `nornmail.testing.MailServer`.

    Every sender and every recipient is taken, but for what the settings and the faults refuse. A
    message that was accepted is in `outbox`, and in the INBOX of each recipient who has an account
    here.
    """

    def __init__(self, host: str, port: int, security: SmtpSecurity, state: ServerState) -> None:
        if security not in ("plain", "starttls", "tls"):
            raise ValueError(f"smtp must be 'plain', 'starttls' or 'tls', not {security!r}")
        SmtpBehaviour.__init__(self, starttls=security == "starttls")
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
