"""One SMTP connection, from connecting to QUIT. What it means for a letter is told as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from nornmail.clock import Clock
from nornmail.letters import Envelope, Recipient
from nornmail.settings import SmtpSettings


class Outcome(StrEnum):
    """What became of a letter that was handed in."""

    ACCEPTED = "accepted"
    """The server took it, for those whose standing is ACCEPTED."""
    DEFERRED = "deferred"
    """Nobody got it, and another try may succeed: 4xx, or lost before the content had ended."""
    REFUSED = "refused"
    """Nobody got it, and nobody will: 5xx for all."""
    UNKNOWN = "unknown"
    """The connection fell when the final dot may have left: it may have been taken."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What the server said to a letter.

    Attributes:
        outcome: see :class:`Outcome`.
        recipients: everyone of the envelope, in its order, with standing, code and text. PENDING is
            to be tried again.
        code: of the server's last answer; 0 where the connection fell.
        text: its words on one line, or what happened to the connection.
        usable: whether the session may be used again; if not, it is closed.
    """

    outcome: Outcome
    recipients: tuple[Recipient, ...]
    code: int
    text: str
    usable: bool


class Session:
    """One SMTP connection, logged in. One thread at a time."""

    @classmethod
    def open(
        cls,
        settings: SmtpSettings,
        *,
        token: Callable[[], str] | None = None,
        clock: Clock | None = None,
    ) -> Session:
        """Connect, begin TLS as the settings demand it, and log in.

        Args:
            settings: where, and as whom.
            token: instead of that of the settings.
            clock: for deadlines.

        Raises:
            ConnectionLost: it cannot be reached, takes nobody, or TLS cannot be had.
            ProtocolError: what answers there cannot be understood.
            AuthenticationFailed: it refused the credentials, or takes none of this kind.
            Throttled: it takes nobody for now (4xx).
            ConfigurationError: a setting cannot be used.
        """
        raise NotImplementedError

    def submit(
        self,
        envelope: Envelope,
        raw: bytes,
        *,
        before_content: Callable[[tuple[Recipient, ...]], None],
    ) -> Submission:
        """Hand a letter in: MAIL, RCPT one by one, DATA, the content, the final dot.

        Args:
            envelope: from whom and to whom.
            raw: the message, lines ended by CRLF.
            before_content: called after 354, before the first octet of the content, with the
                recipients as they stand if nothing is ever heard again: UNKNOWN where RCPT was
                accepted, PENDING where it was put off, REFUSED where it was refused. When it
                raises, the connection is closed, nothing was sent, and the error goes on.

        Returns:
            What the server said. It raises for nothing that the server says or does.
        """
        raise NotImplementedError

    def alive(self) -> bool:
        """Whether the server still answers (NOOP); if not, the session is closed."""
        raise NotImplementedError

    def close(self) -> None:
        """Say QUIT and close; nothing depends on the answer. More than once is no error."""
        raise NotImplementedError
