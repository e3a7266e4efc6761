r"""The faults of IMAP, as values.

    server.faults.add(faults.Cut("UID FETCH", after_bytes=40))
    server.faults.add(faults.No("SELECT", b"[UNAVAILABLE] later", times=3))
    server.faults.add(faults.Silent.in_idle(times=None))

A fault fires ``times`` times (None: always), for the first time at the ``on_nth`` match, on
whichever connection that is. ``server.faults.pending`` holds those that can still fire. One
that has not fired at all when the server stops is an error, unless it is ``optional=True``.

`nornmail.testing.smtp_faults` has the same names for the same ideas.

| what goes wrong | fault |
|---|---|
| the connection ends in, before or behind an answer | `Cut`, `Bye` |
| it ends after so many octets of all that is sent | `CutTotal` |
| the server falls silent | `Silent`, and in IDLE `Silent.in_idle` |
| the command is refused | `No`, `Bad`, `Answer`, `Throttle` |
| the answer is not IMAP, has lines too many, is altered or slow | `Garbage`, `Extra`, `Trailing`, |
| | `Rewrite`, `Drip` |
| the connection is not greeted, or greeted otherwise | `Greeting`, `PreAuth`, `ConnectionLimit` |
| a capability is missing | `NoCapability` |
| the login fails, the token expires | `RejectLogin`, `ExpireToken` |
| a message is not listed, or its FETCH is empty, NIL, short, another's | `HideUid`, `FetchFault` |
| a message goes, or anything else happens, between two commands | `Expunge`, `Call` |
| the UIDVALIDITY changes, the UIDNEXT is wrong | `NewUidValidity`, `WrongUidNext` |
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Self

from nornmail.testing import fault_plan
from nornmail.testing.fault_plan import Fault as Fault
from nornmail.testing.fault_plan import FaultPlan as FaultPlan
from nornmail.testing.fault_plan import suggestion

COMMANDS = (
    *("CAPABILITY", "NOOP", "LOGOUT", "ID", "STARTTLS", "LOGIN", "AUTHENTICATE", "ENABLE"),
    *("SELECT", "EXAMINE", "CREATE", "DELETE", "RENAME", "SUBSCRIBE", "UNSUBSCRIBE", "LIST"),
    *("LSUB", "NAMESPACE", "STATUS", "APPEND", "IDLE", "DONE", "CHECK", "CLOSE", "UNSELECT"),
    *("EXPUNGE", "UID EXPUNGE", "SEARCH", "UID SEARCH", "FETCH", "UID FETCH", "STORE"),
    *("UID STORE", "COPY", "UID COPY", "MOVE", "UID MOVE"),
)
"""The commands of the server, at which a fault can fire; ``DONE`` is the end of an IDLE."""

OTHER_COMMANDS = (
    *("COMPRESS", "GETACL", "GETMETADATA", "GETQUOTA", "GETQUOTAROOT", "NOTIFY", "SETMETADATA"),
    *("SORT", "THREAD", "UID SORT", "UID THREAD", "XLIST"),
)
"""Commands of extensions that this server does not have; a fault may answer them."""

CAPABILITIES = frozenset(
    [
        *("IMAP4", "IMAP4rev1", "AUTH=LOGIN", "AUTH=OAUTHBEARER", "AUTH=PLAIN", "AUTH=XOAUTH2"),
        *("CHILDREN", "CONDSTORE", "ENABLE", "ESEARCH", "ID", "IDLE", "LIST-EXTENDED"),
        *("LIST-STATUS", "LITERAL+", "LITERAL-", "LOGINDISABLED", "MOVE", "NAMESPACE", "SASL-IR"),
        *("SPECIAL-USE", "STARTTLS", "UIDPLUS", "UNSELECT"),
    ]
)
"""The capabilities that a server here can have."""


def check_command(fault: Fault, command: str | None) -> None:
    """Raise ValueError if no client sends a command of this name."""
    known = (*COMMANDS, *OTHER_COMMANDS)
    if command is not None and command.upper() not in known:
        hint = suggestion(command, known)
        raise ValueError(f"{type(fault).__name__}: {command!r} is not an IMAP command{hint}")


@dataclass(frozen=True)
class CutTotal(fault_plan.CutTotal):
    """Drop the next connection once this many octets, from the greeting on, were sent on it."""


@dataclass(frozen=True)
class Greeting(Fault):
    """Greet with these octets; none at all for ``b""``. ``close`` hangs up after them."""

    data: bytes = b"* BYE too many connections\r\n"
    close: bool = False


@dataclass(frozen=True)
class PreAuth(Fault):
    """Greet with PREAUTH as this user (None: the only one)."""

    user: str | None = None


@dataclass(frozen=True)
class ConnectionLimit(Fault):
    """Refuse connections beyond a number that are open at once. It fires always by default.

    Args:
        limit: how many may be open.
        how: ``bye`` greets with BYE and the text; ``login`` greets and answers the login NO with
            it; ``close`` hangs up without a word; ``silent`` never greets.
        text: the text of the refusal.
    """

    limit: int = 1
    how: Literal["bye", "login", "close", "silent"] = "bye"
    text: bytes = b"[UNAVAILABLE] Too many simultaneous connections"
    times: int | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class NoCapability(Fault):
    """The next connection lacks these capabilities, and their commands are BAD on it.

    For all connections, take them out of ``server.capabilities``.

    Args:
        names: with blanks between them, as ``"UIDPLUS MOVE"``.
    """

    names: str = "UIDPLUS"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.names.split():
            if name not in CAPABILITIES:
                raise ValueError(
                    f"NoCapability: {name!r} is not a capability{suggestion(name, CAPABILITIES)}"
                )


IDLING = b"+ idling\r\n"
"""The server's immediate answer to IDLE."""


@dataclass(frozen=True)
class CommandFault(Fault):
    """A fault of one command.

    Args:
        command: the command's name as ``"NOOP"`` or ``"UID FETCH"``, in any case; None is any.
            ``"DONE"`` is the end of an IDLE. To break an IDLE that has begun, let the answer to
            ``"IDLE"`` go on to its first line: ``Cut("IDLE", after_bytes=len(IDLING))``, or
            `Silent.in_idle`.
    """

    command: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_command(self, self.command)

    def matches(self, name: str) -> bool:
        """Whether the fault is meant for the command of this (upper-case) name."""
        return self.command is None or self.command.upper() == name


@dataclass(frozen=True)
class Cut(CommandFault):
    """Drop the connection in or after the answer; the server has acted.

    Args:
        after_bytes: octets of the answer that are sent first; a shorter answer is sent whole.
        before: drop it before acting, with nothing sent.
        reset: drop it with a TCP reset, which may destroy what was sent, instead of an orderly end.
    """

    after_bytes: int = 0
    before: bool = False
    reset: bool = False


@dataclass(frozen=True)
class Answer(CommandFault):
    """Give this tagged answer instead of acting: ``Answer("STORE", b"NO [SERVERBUG] broken")``."""

    text: bytes = b"NO refused by the test"

    def words(self) -> bytes:
        """The answer after the tag."""
        return self.text


@dataclass(frozen=True)
class No(Answer):
    """Answer NO instead of acting: ``No("SELECT", b"[UNAVAILABLE] later")``."""

    text: bytes = b"refused by the test"

    def words(self) -> bytes:
        return b"NO " + self.text


@dataclass(frozen=True)
class Bad(Answer):
    """Answer BAD instead of acting."""

    text: bytes = b"not understood by the test"

    def words(self) -> bytes:
        return b"BAD " + self.text


@dataclass(frozen=True)
class Throttle(Answer):
    """Answer NO with the time to wait, as Exchange Online does.

    Args:
        text: the answer, NO included; ``%d`` in it becomes the milliseconds.
        seconds: the time to wait that is named. The server itself waits for nothing.
    """

    text: bytes = b"NO Request is throttled. Suggested Backoff Time: %d milliseconds"
    seconds: float = 60.0

    def words(self) -> bytes:
        return self.text.replace(b"%d", b"%d" % round(self.seconds * 1000))


@dataclass(frozen=True)
class Bye(CommandFault):
    """Send ``* BYE text`` instead of acting, and hang up."""

    text: bytes = b"going down"


@dataclass(frozen=True)
class Garbage(fault_plan.Garbage, CommandFault):
    """Send these octets as they are instead of acting; the connection stays."""


@dataclass(frozen=True)
class Extra(fault_plan.Extra, CommandFault):
    """Send these octets (whole untagged lines, with CRLF) before the real answer."""

    data: bytes = b"* OK by the way\r\n"


@dataclass(frozen=True)
class Trailing(fault_plan.Trailing, CommandFault):
    """Send these octets right behind the tagged answer, in the same packet.

    On ``STARTTLS`` they are the plain text that an attacker slips in before TLS begins.
    """

    data: bytes = b"* OK injected\r\n"


@dataclass(frozen=True)
class Rewrite(fault_plan.Rewrite, CommandFault):
    """Act, then send what ``function`` makes of the whole answer.

    At ``IDLE`` it gets each part as it is sent: ``+ idling``, every piece of news, the end.
    """


@dataclass(frozen=True)
class Silent(CommandFault):
    """Fall silent until the client hangs up or the server stops; what it says is ignored.

    Args:
        after_bytes: act, and send this many octets of the answer first; None is not to act.
    """

    after_bytes: int | None = None

    @classmethod
    def in_idle(cls, *, times: int | None = 1, on_nth: int = 1) -> Self:
        """The connection dies in silence once the client idles: ``+ idling`` is all it gets."""
        return cls("IDLE", after_bytes=len(IDLING), times=times, on_nth=on_nth)


@dataclass(frozen=True)
class Drip(fault_plan.Drip, CommandFault):
    """Send the answer in pieces of ``chunk`` octets; see `nornmail.testing.fault_plan.Drip`."""


@dataclass(frozen=True)
class Call(fault_plan.Call, CommandFault):
    """Run ``function`` before acting, in the connection's thread and with no lock held."""


@dataclass(frozen=True)
class RejectLogin(Fault):
    """Answer NO to LOGIN or AUTHENTICATE, with this text and response code (None: no code)."""

    text: str = "Authentication failed."
    code: str | None = "AUTHENTICATIONFAILED"


@dataclass(frozen=True)
class ExpireToken(CommandFault):
    """The user's OAuth2 tokens expire: the server says BYE instead of acting.

    A token that a test adds to ``server.tokens()`` afterwards is good again.
    """

    text: bytes = b"Session invalidated - AccessTokenExpired"


@dataclass(frozen=True)
class NewUidValidity(CommandFault):
    """Give a mailbox another UIDVALIDITY just before the command acts.

    Without a command it is the next SELECT or EXAMINE. To do it now, call
    `Mailbox.reset_uid_validity`.

    Args:
        mailbox: the mailbox, of the user who is logged in.
        value: the new UIDVALIDITY; None is one that was never used. The old one again, with
            ``renumber``, is a server that counts anew and says nothing.
        renumber: whether the messages get the UIDs from 1 on.
    """

    mailbox: str = "INBOX"
    value: int | None = None
    renumber: bool = True

    def matches(self, name: str) -> bool:
        """Without a command: whether a mailbox is opened."""
        return super().matches(name) if self.command else name in ("SELECT", "EXAMINE")


@dataclass(frozen=True)
class WrongUidNext(CommandFault):
    """Send a UIDNEXT that is too high, or, with a negative number, too low; never below 1.

    Without a command it is the next SELECT, EXAMINE or STATUS. To show one for good,
    set `Mailbox.uid_next_override`.

    Args:
        by: how much it is wrong.
    """

    by: int = 1000

    def matches(self, name: str) -> bool:
        """Without a command: whether the answer holds UIDNEXT."""
        return super().matches(name) if self.command else name in ("SELECT", "EXAMINE", "STATUS")


FetchFaultKind = Literal[
    "missing",
    "no_body",
    "nil",
    "empty",
    "short",
    "wrong_uid",
    "no_uid",
    "wrong_size",
    "twice",
    "placeholder",
]
"""The kinds of a FetchFault; see there."""


@dataclass(frozen=True)
class FetchFault(Fault):
    """Spoil the answer to a FETCH that asks for one message's text, whole or in part.

    Args:
        uid: the message; None is any.
        kind: ``missing`` OK without the message; ``no_body`` the message without its text;
            ``nil`` the text is NIL; ``empty`` it is ``{0}``; ``short`` it is its first half, in a
            literal of that size; ``wrong_uid`` the UID is ``other_uid``; ``no_uid`` there is no
            UID; ``wrong_size`` RFC822.SIZE is one too many; ``twice`` the message is answered
            twice; ``placeholder`` the text is an invented one that says it is unavailable.
        other_uid: for ``wrong_uid``; None is ``uid + 1``.
        command: ``"FETCH"`` or ``"UID FETCH"``; None is both.
    """

    uid: int | None = None
    kind: FetchFaultKind = "missing"
    other_uid: int | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.uid, str):
            raise ValueError(f"FetchFault: {self.uid!r} is not a UID; give the kind by kind=")
        super().__post_init__()
        check_command(self, self.command)

    def spoils(self, uid: int, name: str) -> bool:
        """Whether it is meant for this message in the answer to this (upper-case) command."""
        return self.uid in (None, uid) and (self.command or name).upper() == name


@dataclass(frozen=True)
class HideUid(Fault):
    """Leave a message out of the next listing that it belongs in.

    A listing is a SEARCH, or a FETCH that asks for nothing of the message's text.

    Args:
        uid: the message; None is any.
        command: the only command that counts, as ``"UID SEARCH"``; None is every listing.
    """

    uid: int | None = None
    command: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_command(self, self.command)

    def hides(self, uid: int, name: str) -> bool:
        """Whether it is meant for this message in the answer to this (upper-case) command."""
        return self.uid in (None, uid) and (self.command or name).upper() == name


@dataclass(frozen=True)
class Expunge(CommandFault):
    """Take a message out of the selected mailbox just before the command acts, as another would.

    Args:
        uid: the message; nothing happens when it is not there. None is the first one.
    """

    uid: int | None = None
