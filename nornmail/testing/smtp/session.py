"""One SMTP connection from greeting to end: reads a command, lets the faults have it, answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from nornmail.testing.connection import AnswerShape, Connection, Dropped, LineTooLong
from nornmail.testing.imap import faults as imap_faults
from nornmail.testing.smtp.command import (
    MessageReader,
    Refused,
    Response,
    encode_reply,
    has_bare_line_end,
    longest_line,
)
from nornmail.testing.smtp.commands import COMMANDS
from nornmail.testing.smtp.faults import (
    CLOSING,
    GREETING_REFUSED,
    BadCertificate,
    Call,
    Drip,
    Drop,
    DropInMessage,
    DropTotal,
    Extra,
    Garbage,
    Reply,
    Rewrite,
    Silent,
    StageFault,
    Strip,
    Trailing,
)
from nornmail.testing.smtp.grammar import BadSyntax, parse_path
from nornmail.testing.smtp.settings import SmtpSettings
from nornmail.testing.smtp.transaction import SentMessage, Transaction
from nornmail.testing.state import ServerState, server_context
from nornmail.testing.transcript import HIDDEN

MAX_COMMAND_LINE = 2048
"""Octets of a command. RFC 5321, 4.5.3.1.4, wants 512, and extensions add to it; Postfix takes
as many as this."""

MAX_AUTH_LINE = 12_288
"""Octets of a line of AUTH (RFC 4954, 4)."""

_SECRET = re.compile(rb"(\s*AUTH\s+\S+)\s+\S.*", re.IGNORECASE | re.DOTALL)

Accept = Callable[[Transaction, "Session", bytes], str]
"""Takes a message in; returns what the server calls it."""


@dataclass
class _Plan:
    """What the faults of one stage want.

    Attributes:
        instead: octets to send in place of the answer; None is the real answer.
        act: carry the command out although there is something instead.
        close: end the connection after the answer.
    """

    instead: bytes | None = None
    act: bool = False
    close: bool = False


class Session:
    """One client. Its thread is the only one that touches it.

    Attributes:
        extensions: what the server has, as it was when the client connected.
        helo: what the client called itself since the beginning or since STARTTLS.
        user: who is logged in.
        transaction: the message that is on its way.
        after_answer: done once, behind the answer: the handshake, the message, the hanging up.
    """

    def __init__(
        self, state: ServerState, settings: SmtpSettings, conn: Connection, accept: Accept
    ) -> None:
        self.state = state
        self.settings = settings
        self.conn = conn
        self.extensions = frozenset(settings.extensions)
        self.helo: str | None = None
        self.esmtp = False
        self.user: str | None = None
        self.transaction: Transaction | None = None
        self.after_answer: Callable[[], None] | None = None
        self._accept = accept
        self._refused = False
        self._secret_next = False

    def run(self, *, tls: bool) -> None:
        """Serve the client until Dropped or an OSError says that the connection is over.

        Args:
            tls: TLS comes before the greeting.
        """
        for total in self.state.faults.take(DropTotal, lambda _: True):
            self.conn.total_left, self.conn.total_reset = total.after_bytes, total.reset
        if tls:
            self._handshake()
        self._perform("CONNECT", self._greeting)
        while True:
            self._serve_one()

    def greet(self, name: str, *, esmtp: bool) -> None:
        """Take the client's EHLO or HELO, which ends a message that was begun."""
        self.helo, self.esmtp, self.transaction = name, esmtp, None

    def offered(self) -> list[str]:
        """The lines of EHLO. AUTH is not among them as long as it is not allowed."""
        stripped = {
            fault.extension.upper() for fault in self.state.faults.take(Strip, lambda _: True)
        }
        held = {name for name in self.extensions if name.upper() not in stripped}
        mechanisms = sorted(name[5:] for name in held if name.startswith("AUTH="))
        lines = sorted(name for name in held if not name.startswith("AUTH="))
        if mechanisms and "AUTH" not in stripped and not self.hidden_until_tls():
            lines.append("AUTH " + " ".join(mechanisms))
        if self.conn.secure:
            lines = [line for line in lines if line != "STARTTLS"]
        size = f"SIZE {self.settings.max_message_bytes}"
        return [size if line == "SIZE" else line for line in lines]

    def hidden_until_tls(self) -> bool:
        """Whether AUTH is neither shown nor allowed before STARTTLS."""
        return not (self.conn.secure or self.settings.auth_without_tls)

    def ask(self, challenge: bytes) -> bytes:
        """Say something in the middle of AUTH, whole whatever the faults want of the answer.

        Returns:
            The client's next line, which is a secret.

        Raises:
            Refused: it is too long.
        """
        shape, self.conn.shape = self.conn.shape, AnswerShape()
        self.conn.write(challenge)
        self.conn.flush()
        self.conn.shape = shape
        try:
            return self.conn.read_line(MAX_AUTH_LINE, lambda _line: HIDDEN)
        except LineTooLong as error:
            raise Refused(500, "5.5.6", "Authentication exchange line is too long") from error

    def start_tls(self) -> None:
        """Do the handshake of STARTTLS, and forget what was said before (RFC 3207, 4.2)."""
        self._handshake()
        self.helo = self.user = self.transaction = None

    def hang_up(self) -> None:
        """End the connection."""
        self.conn.end_tls()
        raise Dropped("the server has hung up")

    def read_message(self) -> None:
        """Take what follows DATA, and answer its final dot."""
        drops = self.state.faults.take(DropInMessage, lambda _: True)
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
        transaction, self.transaction = self.transaction, None
        if transaction is None:
            raise RuntimeError("a message came without a transaction")
        self._perform("DOT", lambda: self._take_message(transaction, raw, reader.too_large))

    def sent(self, transaction: Transaction, raw: bytes) -> SentMessage:
        """What the outbox keeps of a message that comes now."""
        return SentMessage(
            mail_from=transaction.sender.address,
            rcpt_tos=tuple(path.address for path in transaction.recipients),
            raw=raw,
            mail_options=transaction.sender.parameters,
            rcpt_options=tuple(path.parameters for path in transaction.recipients),
            helo=self.helo or "",
            esmtp=self.esmtp,
            user=self.user,
            tls=self.conn.secure,
            at=datetime.now(UTC),
        )

    def _greeting(self) -> Response:
        return Response(220, "", f"{self.settings.name} ESMTP nornmail test server")

    def _handshake(self) -> None:
        """Shake hands with the certificate that the faults want."""
        self._perform("HANDSHAKE", lambda: None)
        bad = self.state.faults.take(BadCertificate, lambda _: True)
        self.conn.start_tls(server_context(bad[0].kind if bad else "good"))

    def _serve_one(self) -> None:
        try:
            line = self.conn.read_line(MAX_AUTH_LINE, self._shown).rstrip(b" \t")
        except LineTooLong:
            self._say(Response(500, "5.5.2", "Line too long"))
            return
        word, _, argument = line.partition(b" ")
        name = word.upper().decode("latin-1")
        self.settings.count_command(self._shown(line))
        self._secret_next = False
        if self._refused and name != "QUIT":
            self._say(Response(503, "5.5.1", "No SMTP service here"))
        elif name not in COMMANDS:
            self._say(Response(500, "5.5.2", "Command not recognized"))
        elif name != "AUTH" and len(line) > MAX_COMMAND_LINE:
            self._say(Response(500, "5.5.2", "Line too long"))
        else:
            argument = argument.strip(b" \t")
            recipient = _recipient(argument) if name == "RCPT" else None
            self._perform(name, lambda: self._act(name, argument), recipient)

    def _act(self, name: str, argument: bytes) -> Response:
        """Carry a command out; its answer."""
        try:
            return COMMANDS[name](self, argument)
        except BadSyntax as error:
            return Response(501, error.enhanced, str(error))
        except Refused as refused:
            return refused.response

    def _take_message(self, transaction: Transaction, raw: bytes, too_large: bool) -> Response:
        settings = self.settings
        if too_large:
            return Response(552, "5.3.4", "Message size exceeds fixed limit")
        if settings.refuse_bare_line_ends and has_bare_line_end(raw):
            return Response(550, "5.5.2", "Message with a bare CR or LF refused")
        if settings.max_line_bytes is not None and longest_line(raw) > settings.max_line_bytes:
            return Response(500, "5.5.2", "Message with a line that is too long refused")
        number = self._accept(transaction, self, raw)
        return Response(250, "2.0.0", f"OK: queued as {number}")

    def _perform(
        self, stage: str, act: Callable[[], Response | None], recipient: str | None = None
    ) -> None:
        """One stage: the faults first, then the act, the answer, and what comes behind it."""
        plan = self._arrange(stage, recipient)
        response = act() if plan.instead is None or plan.act else None
        if plan.instead is not None:
            self.conn.write(plan.instead)
            self._secret_next = stage == "AUTH" and plan.instead.startswith(b"334")
            if not plan.act:
                self.after_answer = None
        elif response is not None:
            self.conn.write(self._encoded(response))
        self.conn.finish_answer()
        if plan.close:
            self.hang_up()
        if self.after_answer is not None:
            after, self.after_answer = self.after_answer, None
            after()

    def _arrange(self, stage: str, recipient: str | None) -> _Plan:
        """Carry out the faults that fire at this stage."""
        plan, shape = _Plan(), self.conn.shape
        for fault in self.state.faults.take(StageFault, lambda one: one.matches(stage, recipient)):
            match fault:
                case Call():
                    fault.function()
                case Silent(act=False):
                    self.conn.swallow()
                case Silent():
                    shape.cut_after, shape.stall = fault.after_bytes, True
                case Drop(act=False):
                    raise Dropped("cut before acting", reset=fault.reset)
                case Drop():
                    shape.cut_after, shape.reset = fault.after_bytes, fault.reset
                case Reply():
                    plan.instead = encode_reply(fault.code, fault.text.split("\n"))
                    plan.act = fault.act
                    plan.close = fault.code == CLOSING if fault.close is None else fault.close
                    if stage == "CONNECT" and fault.code == GREETING_REFUSED:
                        self._refused = True
                case Garbage():
                    plan.instead, plan.act = fault.data, fault.act
                case Extra():
                    self.conn.write(fault.data)
                case Trailing():
                    shape.trailing += fault.data
                case Rewrite():
                    shape.rewrite.append(fault.function)
                case Drip():
                    shape.drip = imap_faults.Drip(
                        chunk=fault.chunk, delay=fault.delay, hook=fault.hook
                    )
        return plan

    def _shown(self, line: bytes) -> bytes:
        """A command as the transcript shows it."""
        if self._secret_next:
            return HIDDEN  # a fault has asked for credentials, and nobody takes them
        secret = _SECRET.fullmatch(line)
        return secret[1] + b" " + HIDDEN if secret else line

    def _say(self, response: Response) -> None:
        self.conn.write(self._encoded(response))
        self.conn.finish_answer()

    def _encoded(self, response: Response) -> bytes:
        return response.encode(enhanced="ENHANCEDSTATUSCODES" in self.extensions)


def _recipient(argument: bytes) -> str | None:
    try:
        return parse_path(argument, b"TO:").address
    except BadSyntax:
        return None
