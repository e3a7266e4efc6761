"""The faults of SMTP, as values, with the names of those of IMAP for the same ideas.

    server.faults.add(
        smtp_faults.Answer("RCPT", 550, "5.1.1 No such user", recipient="x@y.example")
    )
    server.faults.add(smtp_faults.Cut("DOT"))  # accepted, and the client does not know

A fault fires ``times`` times (None: always), for the first time at the ``on_nth`` match. Where it
fires is a stage of the conversation: see `STAGES`. One that has not fired at all when the server
stops is an error, unless it is ``optional=True``.

| what goes wrong | fault |
|---|---|
| a command, the greeting or the message is refused, or answered in any other way | `Answer` |
| the connection ends before, in or behind an answer | `Cut` |
| it ends before the final dot, or after so many octets of all that is sent | `CutInMessage`, |
| | `CutTotal` |
| the server falls silent | `Silent` |
| the answer is not SMTP, has lines too many, is altered or slow | `Garbage`, `Extra`, `Trailing`, |
| | `Rewrite`, `Drip` |
| an extension is stripped, plain text comes before TLS | `Strip`, `Trailing` at STARTTLS |
| the certificate is bad | `BadCertificate` |
| anything else happens at an exact point | `Call` |
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nornmail.testing import fault_plan
from nornmail.testing.fault_plan import Fault, suggestion
from nornmail.testing.state import CertificateKind

STAGES = (
    *("CONNECT", "HANDSHAKE", "EHLO", "HELO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "DOT"),
    *("RSET", "NOOP", "VRFY", "HELP", "QUIT"),
)
"""The places where a fault can fire. A command's name is the command; ``CONNECT`` is the greeting,
``HANDSHAKE`` the moment before a TLS handshake, and ``DOT`` the end of the message, which is
answered after the final dot."""

EXTENSIONS = frozenset(
    [
        *("8BITMIME", "AUTH", "AUTH=LOGIN", "AUTH=OAUTHBEARER", "AUTH=PLAIN", "AUTH=XOAUTH2"),
        *("BINARYMIME", "CHUNKING", "DSN", "ENHANCEDSTATUSCODES", "PIPELINING", "SIZE"),
        *("SMTPUTF8", "STARTTLS"),
    ]
)
"""The extensions that EHLO can offer."""

CLOSING = 421
"""A server that says this closes the connection (RFC 5321, 3.8)."""

GREETING_REFUSED = 554
"""A server that greets so answers nothing but QUIT (RFC 5321, 3.1)."""


@dataclass(frozen=True)
class StageFault(Fault):
    """A fault at one stage.

    Args:
        stage: one of `STAGES`, in any case; None is any.
        recipient: for RCPT: only where this address is the recipient. The case of its domain does
            not matter.
    """

    stage: str | None = None
    recipient: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stage is not None and self.stage.upper() not in STAGES:
            raise ValueError(
                f"{type(self).__name__}: {self.stage!r} is not a stage of SMTP"
                + suggestion(self.stage, STAGES)
            )
        if self.recipient is not None and (self.stage or "").upper() != "RCPT":
            raise ValueError("recipient is for the stage RCPT")

    def matches(self, stage: str, recipient: str | None) -> bool:
        """Whether the fault is meant for this stage and this recipient."""
        if self.stage is not None and self.stage.upper() != stage:
            return False
        return self.recipient is None or (
            recipient is not None and _folded(self.recipient) == _folded(recipient)
        )


@dataclass(frozen=True)
class Cut(StageFault):
    """Drop the connection in or after the answer; the server has acted.

    At DOT the message is accepted, and the client does not know.

    Args:
        after_bytes: octets of the answer that are sent first; a shorter answer is sent whole.
        before: drop it before acting, with nothing sent.
        reset: drop it with a TCP reset instead of an orderly end.
    """

    after_bytes: int = 0
    before: bool = False
    reset: bool = False


@dataclass(frozen=True)
class CutTotal(fault_plan.CutTotal):
    """Drop the next connection once this many octets, from the greeting on, were sent on it."""


@dataclass(frozen=True)
class CutInMessage(Fault):
    """Drop the connection before the final dot: DATA was answered 354, and the message is coming.

    Args:
        after_bytes: octets of the message that are read first. A shorter one is read to its end,
            and nothing is accepted.
        reset: drop it with a TCP reset instead of an orderly end.
    """

    after_bytes: int = 0
    reset: bool = False


@dataclass(frozen=True)
class Answer(StageFault):
    r"""Answer with this code and text: ``Answer("RCPT", 550, "5.1.1 No such user")``.

    Args:
        code: three digits. 421 closes the connection, and 554 at CONNECT refuses all that follows.
        text: what stands behind the code, an enhanced status code included; ``\n`` begins another
            line of the reply.
        close: close the connection after the answer; None does so for 421.
        act: carry the command out first, and only answer otherwise.
    """

    code: int = 550
    text: str = "refused by the test"
    close: bool | None = None
    act: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 100 <= self.code <= 999:
            raise ValueError(f"Answer: {self.code} does not have three digits")


@dataclass(frozen=True)
class Silent(StageFault):
    """Fall silent until the client hangs up or the server stops; what it says is ignored.

    Args:
        after_bytes: act, and send this many octets of the answer first; None is not to act.
    """

    after_bytes: int | None = None


@dataclass(frozen=True)
class Garbage(fault_plan.Garbage, StageFault):
    """Send these octets as they are instead of acting; the connection stays."""


@dataclass(frozen=True)
class Extra(fault_plan.Extra, StageFault):
    """Act, and send these octets before the real answer."""

    data: bytes = b"250 and one more\r\n"


@dataclass(frozen=True)
class Trailing(fault_plan.Trailing, StageFault):
    """Act, and send these octets right behind the real answer, in the same packet.

    At STARTTLS they are the plain text that an attacker slips in before TLS begins.
    """

    data: bytes = b"250 injected\r\n"


@dataclass(frozen=True)
class Rewrite(fault_plan.Rewrite, StageFault):
    """Act, and send what ``function`` makes of the whole answer."""


@dataclass(frozen=True)
class Drip(fault_plan.Drip, StageFault):
    """Send the answer in pieces of ``chunk`` octets; see `nornmail.testing.fault_plan.Drip`."""


@dataclass(frozen=True)
class Call(fault_plan.Call, StageFault):
    """Run ``function`` before acting, in the connection's thread and with no lock held."""


@dataclass(frozen=True)
class Strip(Fault):
    """Leave this extension out of an answer to EHLO, as an attacker between the two would.

    The command still works. To have a server that does not know it, take it out of
    ``server.smtp.extensions``.
    """

    extension: str = "STARTTLS"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.extension.upper() not in EXTENSIONS:
            raise ValueError(
                f"Strip: {self.extension!r} is not an extension"
                + suggestion(self.extension, EXTENSIONS)
            )


@dataclass(frozen=True)
class BadCertificate(Fault):
    """Show this certificate at a TLS handshake; a client must refuse it.

    Args:
        kind: ``expired``; ``other_name``, which is for other.example; ``self_signed``.
    """

    kind: CertificateKind = "expired"


def _folded(address: str) -> str:
    """An address with its domain in lower case."""
    local, at, domain = address.rpartition("@")
    return local + at + domain.lower()
