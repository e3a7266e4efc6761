"""The meaning of a server's NO, BAD or BYE: this command, the credentials, or all of our requests.

Response codes (RFC 5530) speak of the account when they answer a login, and of a single message or
mailbox anywhere else. So elsewhere only words that name a limit count, as the servers quoted in
the tests say them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from nornmail.errors import CommandRefused, ConnectionLost, NornmailError, Throttled

MAX_HINT_DIGITS = 9
"""Digits of a hint in milliseconds that are read: eleven days. What is longer is not a hint."""
LOGIN_COMMANDS = frozenset({"LOGIN", "AUTHENTICATE"})
"""The commands whose refusal is about the account."""


class ErrorKind(StrEnum):
    """Kinds of errors; those of :data:`THROTTLES` are :class:`~nornmail.errors.Throttled`."""

    FINE = "fine"
    SLOWED = "slowed"
    REFUSED = "refused"
    CREDENTIALS = "credentials"
    CONNECTIONS = "connections"
    RATE = "rate"
    QUOTA = "quota"
    UNAVAILABLE = "unavailable"
    ACCOUNT = "account"
    DISCONNECTED = "disconnected"


THROTTLES = frozenset(
    {
        ErrorKind.CONNECTIONS,
        ErrorKind.RATE,
        ErrorKind.QUOTA,
        ErrorKind.UNAVAILABLE,
        ErrorKind.ACCOUNT,
    }
)
"""Kinds after which the server is to be left alone, whatever was asked of it."""


@dataclass(frozen=True, slots=True)
class ServerError:
    """The meaning of an answer."""

    kind: ErrorKind
    wait: float = 0.0


_FINAL_CODES = frozenset(
    {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED"}
)
"""Codes that are about the credentials, whatever the text after them."""
_LOGIN_CODES = {
    "UNAVAILABLE": ErrorKind.UNAVAILABLE,
    "INUSE": ErrorKind.UNAVAILABLE,
    "SERVERBUG": ErrorKind.UNAVAILABLE,
    "LIMIT": ErrorKind.CONNECTIONS,
    "OVERQUOTA": ErrorKind.QUOTA,
}
"""Codes with which a good password is refused for now."""

_HINT = re.compile(r"suggested backoff time:?\s*(\d+)\s*(milli)?seconds", re.IGNORECASE)
"""Exchange: ``Request is throttled. Suggested Backoff Time: 299609 milliseconds``."""
_SLOWED = re.compile(r"\[THROTTLED\]\s*$", re.IGNORECASE)
"""Gmail: ``OK Success [THROTTLED]``, at the end, where no response code belongs."""


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_ANYWHERE: tuple[tuple[re.Pattern[str], ErrorKind], ...] = (
    # Exchange: the login was good, and there is no mailbox, licence or scope behind it.
    (_words(r"authenticated but not connected"), ErrorKind.ACCOUNT),
    # Gmail: a day's transfer is used up.
    (_words(r"bandwidth limit|exceeded command"), ErrorKind.QUOTA),
    # Gmail, Dovecot, Courier, Cyrus, in this order.
    (
        _words(
            r"too many (?:\w+ )?(?:connections|sessions)|simultaneous connections"
            r"|maximum (?:number of )?(?:\w+ )?connections?|connection limit|too many logins"
        ),
        ErrorKind.CONNECTIONS,
    ),
    # Exchange; Yahoo: ``[LIMIT] FETCH Rate limit hit``.
    (
        _words(
            r"throttled|suggested backoff|rate limit|too many requests"
            r"|too many (?:\w+ ){0,3}attempts"
        ),
        ErrorKind.RATE,
    ),
)
"""Texts about a limit, whatever the command was."""
_AT_LOGIN: tuple[tuple[re.Pattern[str], ErrorKind], ...] = (
    (_words(r"too many|simultaneous|throttl"), ErrorKind.RATE),
    (
        _words(r"try again later|temporar|unavailable|server busy|internal error"),
        ErrorKind.UNAVAILABLE,
    ),
)
"""Further texts of a server that refuses all logins: Exchange's ``Server Unavailable. 15``."""
_BAD_CREDENTIALS = _words(r"invalid sasl argument")
"""Gmail's BAD to a token that it cannot read."""


def classify(status: str, code: str, text: str, command: str) -> ServerError:
    """The meaning of an answer.

    Args:
        status: ``"OK"``, ``"NO"``, ``"BAD"`` or ``"BYE"``.
        code: the response code in upper case, or ``""``.
        command: the name of the command that was answered, as ``"UID FETCH"``.
    """
    if status == "OK":
        return ServerError(ErrorKind.SLOWED if _SLOWED.search(text) else ErrorKind.FINE)
    login = command in LOGIN_COMMANDS
    if login and code in _FINAL_CODES:
        return ServerError(ErrorKind.CREDENTIALS)
    kind = _find(_ANYWHERE, text)
    if kind is None and login:
        kind = _LOGIN_CODES.get(code) or _find(_AT_LOGIN, text)
    if kind is not None:
        return ServerError(kind, retry_after(text))
    if status == "BYE":
        return ServerError(ErrorKind.DISCONNECTED)
    if login and (status == "NO" or _BAD_CREDENTIALS.search(text)):
        return ServerError(ErrorKind.CREDENTIALS)
    return ServerError(ErrorKind.REFUSED)


def retry_after(text: str) -> float:
    """The seconds that a server's text asks for, 0.0 where it asks for none."""
    match = _HINT.search(text)
    if match is None or len(match[1]) > MAX_HINT_DIGITS:
        return 0.0
    return int(match[1]) / (1000.0 if match[2] else 1.0)


def refusal(command: str, status: str, code: str, text: str) -> CommandRefused | Throttled:
    """NO or BAD as an error."""
    error = classify(status, code, text, command)
    refused = CommandRefused(command, status, code, text)
    return _throttled(str(refused), error) if error.kind in THROTTLES else refused


def bye_error(code: str, text: str) -> NornmailError:
    """BYE as an error: a connection that is lost, or the demand to stay away for a while.

    Timeouts, restarts and tokens that ran out (``Session invalidated - AccessTokenExpired``) are
    lost connections: what is to be done is to connect again, with a fresh token.
    """
    error = classify("BYE", code, text, "")
    reason = f"[{code}] {text}" if code else text
    message = f"the server closed the connection: {reason}".rstrip(": ")
    return _throttled(message, error) if error.kind in THROTTLES else ConnectionLost(message)


def _throttled(text: str, error: ServerError) -> Throttled:
    return Throttled(text, kind=error.kind.value, wait=error.wait)


def _find(table: tuple[tuple[re.Pattern[str], ErrorKind], ...], text: str) -> ErrorKind | None:
    return next((kind for pattern, kind in table if pattern.search(text)), None)
