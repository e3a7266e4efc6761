"""A connected client, as the commands see it."""

from __future__ import annotations

from typing import Literal

from nornmail.testing.connection import AnswerShape, Connection, LineTooLong
from nornmail.testing.sasl import MAX_SASL_LINE
from nornmail.testing.smtp.faults import Strip
from nornmail.testing.smtp.grammar import Refused
from nornmail.testing.smtp.settings import SmtpSettings
from nornmail.testing.smtp.transaction import Transaction
from nornmail.testing.state import ServerState
from nornmail.testing.transcript import HIDDEN

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

    def __init__(self, state: ServerState, settings: SmtpSettings, conn: Connection) -> None:
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
        """Send a challenge of AUTH, whole whatever the faults do to the answer.

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
            return self.conn.read_line(MAX_SASL_LINE, lambda _line: HIDDEN)
        except LineTooLong as error:
            raise Refused(500, "5.5.6", "Authentication exchange line is too long") from error
