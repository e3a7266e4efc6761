"""Every error that nornmail raises, under one root.

Errors of the standard library are translated where they arise (``imap/``, ``stores/``); what leaves
the library is one of these, with its facts as attributes. :class:`Reject` and :class:`Defer` go the
other way: a handler raises them to decide about a message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


class NornmailError(Exception):
    """The root: ``except NornmailError`` catches whatever the library raises on purpose."""


HIDDEN = "…"
"""Stands for what a setting was set to, where that may be a secret."""


class ConfigurationError(NornmailError, ValueError):
    """A setting is missing or wrong; raised at construction, before anything is touched.

    Attributes:
        variable: the setting's name as the user wrote it (an environment name or a field's name).
        value: what it was set to; ``None`` when it is missing or secret, :data:`HIDDEN` when it is
            not shown.
        allowed: what it may be, in words.
    """

    def __init__(self, variable: str, value: object, allowed: str) -> None:
        self.variable = variable
        self.value = value
        self.allowed = allowed
        shown = " is missing" if value is None else "" if value is HIDDEN else f" is {value!r}"
        super().__init__(f"{variable}{shown}: {allowed}")


class ConnectionLost(NornmailError):
    """The connection is gone or could not be made: nothing more can be read; connect again."""


class ProtocolError(ConnectionLost):
    """The server sent what cannot be read safely (RFC 3501), or went over a limit.

    The connection was dropped: what follows on it could belong to anything.
    """


class CommandRefused(NornmailError):
    """The server answered NO or BAD; the connection is as good as before.

    Attributes:
        command: the command's name, without its arguments.
        status: ``"NO"`` or ``"BAD"``.
        code: the response code in upper case without its arguments (RFC 5530), or ``""``.
        text: the server's words, scrubbed of control characters and cut to a line.
    """

    def __init__(self, command: str, status: str, code: str, text: str) -> None:
        self.command = command
        self.status = status
        self.code = code
        self.text = text
        shown = f"[{code}] {text}" if code else text
        super().__init__(f"the server refused {command}: {status} {shown}".rstrip())


class AuthenticationFailed(NornmailError):
    """The server rejected the credentials, or none can be sent safely. Trying again won't help."""


class Throttled(NornmailError):
    """The server limits this account for now; the credentials are not in doubt.

    Attributes:
        kind: what it is about: ``"connections"`` (too many are open), ``"rate"`` (too many
            commands), ``"quota"`` (too much was transferred), ``"unavailable"`` (the server is in
            trouble) or ``"account"`` (logged in, and no mailbox behind it).
        wait: seconds that the server asks for, 0.0 where it names none.
    """

    def __init__(self, text: str, *, kind: str, wait: float = 0.0) -> None:
        self.kind = kind
        self.wait = wait
        super().__init__(text)


class StoreError(NornmailError):
    """The state store cannot be read or written: nothing is delivered until it can.

    Attributes:
        passing: it may pass by itself: another program locked the file, or the disk is full.
    """

    def __init__(self, text: str = "", *, passing: bool = False) -> None:
        self.passing = passing
        super().__init__(text)


class IllegalTransition(StoreError):
    """An entry was to go from a state to one that the table in ``model.py`` does not allow."""


class LeaseHeld(NornmailError):
    """Another poller is working on this mailbox.

    Attributes:
        owner: who holds it, as that poller named itself (``host:pid``), or ``""`` if unknown.
    """

    def __init__(self, text: str, owner: str = "") -> None:
        self.owner = owner
        super().__init__(text)


class LeaseLost(NornmailError):
    """Another poller has taken the mailbox over: the fencing token of this one is stale.

    Nothing of the refused commit was written.
    """


class DecisionRequired(NornmailError):
    """Nothing is delivered until the user decides about the mail that is there already.

    Attributes:
        count: how many messages it is about.
        setting: the setting that decides it.
        choices: its values.
    """

    def __init__(self, text: str, *, count: int, setting: str, choices: tuple[str, ...]) -> None:
        self.count = count
        self.setting = setting
        self.choices = choices
        super().__init__(text)


class HandlerError(NornmailError):
    """The callback cannot be used as it is (it returned an awaitable); the message is kept."""


class MessageGone(NornmailError):
    """The rest of a truncated message was requested, and the server does not have it any more."""


class ComposeError(NornmailError, ValueError):
    """A message cannot be written as it was asked for: nothing was sent or queued.

    Attributes:
        field: what it is about, as the caller named it (``"to"``, ``"subject"``).
        why: what is wrong with it.
    """

    def __init__(self, field: str, why: str) -> None:
        self.field = field
        self.why = why
        super().__init__(f"{field}: {why}")


class RecipientNotAllowed(ComposeError):
    """A recipient is not one that the settings allow: nothing was sent or queued.

    ``Mailer(allowed_recipients=...)`` and the rules for domains decide.

    Attributes:
        address: of the recipient.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__("to", f"{address} is not an allowed recipient")


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason not to answer a message by itself (RFC 3834).

    Attributes:
        kind: its name, by which ``allow`` lifts it.
        why: what shows it, in words.
    """

    kind: str
    why: str


class ReplyRefused(NornmailError):
    """A message is not to be answered by a program: nothing was sent or queued.

    Attributes:
        refusals: every reason; ``allow={refusal.kind, ...}`` lifts them.
    """

    def __init__(self, refusals: Iterable[Refusal]) -> None:
        self.refusals = tuple(refusals)
        super().__init__(
            "not answered: "
            + "; ".join(f"{refusal.why} ({refusal.kind})" for refusal in self.refusals)
        )


class SendFailed(NornmailError):
    """A message that was to be sent at once was refused for all recipients; it is not tried again.

    Attributes:
        result: a :class:`~nornmail.outbox.status.SendResult`, with each recipient's answer.
    """

    def __init__(self, text: str, result: Any) -> None:
        self.result = result
        super().__init__(text)


class SendUnknown(NornmailError):
    """The connection was lost when the message may have been accepted: a retry may double it.

    Attributes:
        result: a :class:`~nornmail.outbox.status.SendResult`.
    """

    def __init__(self, text: str, result: Any) -> None:
        self.result = result
        super().__init__(text)


class SendingDisabled(NornmailError):
    """This mailer must not send anything (``receive_only=True``); nothing was sent or queued."""


class Reject(NornmailError):
    """Raised by a handler: this message is dead at once, for the reason given.

    It is kept with its bytes among the dead letters and is left untouched on the server.
    """


class Defer(NornmailError):
    """Raised by a handler: bring this message again after ``seconds``; the attempt does not count.

    Args:
        seconds: the wait, from now; at most eight hours, or the retry policy's longest delay where
            that is longer.
        reason: shown with the waiting message.
    """

    def __init__(self, seconds: float, reason: str = "") -> None:
        self.seconds = seconds
        self.reason = reason
        super().__init__(reason or f"deferred for {seconds:g} s")
