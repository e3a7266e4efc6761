"""A connected client as the commands see it, and the settings of the server it talks to."""

from __future__ import annotations

import threading
from typing import Literal

from nornmail.testing.accounts import MAX_SASL_LINE
from nornmail.testing.connection import HIDDEN, AnswerShape, Connection, LineTooLong
from nornmail.testing.mailbox import FixedAttributes
from nornmail.testing.smtp.faults import Strip
from nornmail.testing.smtp.grammar import Refused
from nornmail.testing.smtp.transaction import Transaction
from nornmail.testing.state import ServerState

DEFAULT_EXTENSIONS = frozenset(
    {
        *("8BITMIME", "AUTH=LOGIN", "AUTH=PLAIN", "ENHANCEDSTATUSCODES", "PIPELINING"),
        *("SIZE", "SMTPUTF8"),
    }
)
"""The extensions of a new server; STARTTLS is added where it is offered."""

MAX_MESSAGE_BYTES = 32 * 1024 * 1024
"""Octets of a message: as much as large providers accept."""

MAX_RECIPIENTS = 1000
"""Recipients of a message. RFC 5321, 4.5.3.1.8, wants 100; Postfix takes 1,000."""


class SmtpBehaviour(FixedAttributes):
    """The behaviour of an SMTP server. All of it may be changed at any time.

    Attributes:
        extensions: what EHLO offers; a connection has what was in it when it began. A parameter or
            a command of an extension that is not in it is refused. Mechanisms stand in it as
            ``"AUTH=PLAIN"``; in addition to PLAIN and LOGIN there are ``"AUTH=XOAUTH2"`` and
            ``"AUTH=OAUTHBEARER"``, and ``"DSN"`` lets its parameters pass. Any other name is
            shown as it is.
        name: the server's name in its greeting.
        max_message_bytes: octets of a message; SIZE shows it, and beyond it the answer is 552.
        max_recipients: recipients of a message; beyond them the answer is 452.
        max_line_bytes: octets of a message's line with its CRLF; beyond them the answer is 500.
            None lets every line pass; RFC 5321 has 1,000.
        refuse_bare_line_ends: answer a message in which a CR or an LF stands without the other
            with 550, as servers do since SMTP smuggling. Otherwise it is kept as it came. Either
            way nothing but CRLF, dot, CRLF ends a message.
        require_auth: answer MAIL with 530 before a login.
        require_tls: answer MAIL with 530 until STARTTLS.
        auth_without_tls: show AUTH and allow it without TLS; False where STARTTLS is offered.
        local_domains: domains in which only accounts can get mail: others are answered 550.
        logins: how many logins succeeded.
        commands: every command line so far, without passwords and messages.
    """

    def __init__(self, *, starttls: bool) -> None:
        self._starttls = starttls
        self._lock = threading.Lock()
        self.restore()

    def restore(self) -> None:
        """Set everything as on a new server."""
        starttls = self._starttls
        self.extensions = set(DEFAULT_EXTENSIONS) | ({"STARTTLS"} if starttls else set())
        self.name = "localhost"
        self.max_message_bytes = MAX_MESSAGE_BYTES
        self.max_recipients = MAX_RECIPIENTS
        self.max_line_bytes: int | None = None
        self.refuse_bare_line_ends = False
        self.require_auth = False
        self.require_tls = False
        self.auth_without_tls = not starttls
        self.local_domains: set[str] = set()
        self.logins = 0
        self.commands: list[bytes] = []

    def count_login(self) -> None:
        """Another login succeeded."""
        with self._lock:
            self.logins += 1

    def count_command(self, line: bytes) -> None:
        """Another command came."""
        with self._lock:
            self.commands.append(line)


NextStep = Literal["start TLS", "read the message", "hang up"]
"""The session's task once the answer to a command is sent."""


class Client:
    """The client of one connection, and how far its conversation has come. One thread touches it.

    Attributes:
        extensions: what the server offered when the client connected.
        helo: the name that the client gave, forgotten at STARTTLS.
        user: the user who is logged in.
        transaction: the message that is on its way.
        next_step: done once, behind the answer.
        refused: the greeting was 554, so all commands but QUIT are refused.
    """

    def __init__(self, state: ServerState, settings: SmtpBehaviour, conn: Connection) -> None:
        self.state = state
        self.settings = settings
        self.conn = conn
        self.extensions = frozenset(settings.extensions)
        self.helo: str | None = None
        self.esmtp = False
        self.user: str | None = None
        self.transaction: Transaction | None = None
        self.next_step: NextStep | None = None
        self.refused = False

    def greet(self, name: str, *, esmtp: bool) -> None:
        """Take the client's EHLO or HELO, which ends a message that was begun."""
        self.helo, self.esmtp, self.transaction = name, esmtp, None

    def forget(self) -> None:
        """Forget everything from before STARTTLS (RFC 3207, 4.2)."""
        self.helo = self.user = self.transaction = None

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
        """Send a challenge of AUTH, whole whatever the faults do to the answer."""
        shape, self.conn.shape = self.conn.shape, AnswerShape()
        self.conn.write(challenge)
        self.conn.flush()
        self.conn.shape = shape
        try:
            return self.conn.read_line(MAX_SASL_LINE, lambda _line: HIDDEN)
        except LineTooLong as error:
            raise Refused(500, "5.5.6", "Authentication exchange line is too long") from error
