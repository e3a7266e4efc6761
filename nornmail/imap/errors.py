"""What a server's NO, BAD or BYE is about: this command, the credentials, or all that we ask for.

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
"""Digits of a hint in milliseconds that are read: eleven days. What is longer is no hint."""
LOGIN_COMMANDS = frozenset({"LOGIN", "AUTHENTICATE"})
"""The commands whose refusal is about the account."""


class Kind(StrEnum):
    """What the trouble is; those of :data:`THROTTLES` are :class:`~nornmail.errors.Throttled`."""

    FINE = "fine"
    SLOWED = "slowed"
    REFUSED = "refused"
    CREDENTIALS = "credentials"
    CONNECTIONS = "connections"
    RATE = "rate"
    QUOTA = "quota"
    UNAVAILABLE = "unavailable"
    ACCOUNT = "account"
    HUNG_UP = "hung up"


THROTTLES = frozenset({Kind.CONNECTIONS, Kind.RATE, Kind.QUOTA, Kind.UNAVAILABLE, Kind.ACCOUNT})
"""Kinds after which the server is to be left alone, whatever was asked of it."""


@dataclass(frozen=True, slots=True)
class ServerError:
    """What an answer is about.

    Attributes:
        kind: see :class:`Kind`.
        wait: seconds that the server asks for, 0.0 where it names none.
    """

    kind: Kind
    wait: float = 0.0


_FINAL_CODES = frozenset(
    {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "PRIVACYREQUIRED"}
)
"""Codes that are about the credentials, whatever the words beside them."""
_LOGIN_CODES = {
    "UNAVAILABLE": Kind.UNAVAILABLE,
    "INUSE": Kind.UNAVAILABLE,
    "SERVERBUG": Kind.UNAVAILABLE,
    "LIMIT": Kind.CONNECTIONS,
    "OVERQUOTA": Kind.QUOTA,
}
"""Codes with which a good password is refused for now."""

_HINT = re.compile(r"suggested backoff time:?\s*(\d+)\s*(milli)?seconds", re.IGNORECASE)
"""Exchange: ``Request is throttled. Suggested Backoff Time: 299609 milliseconds``."""
_SLOWED = re.compile(r"\[THROTTLED\]\s*$", re.IGNORECASE)
"""Gmail: ``OK Success [THROTTLED]``, at the end, where no response code belongs."""


def _words(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_ANYWHERE: tuple[tuple[re.Pattern[str], Kind], ...] = (
    # Exchange: the login was good, and there is no mailbox, licence or scope behind it.
    (_words(r"authenticated but not connected"), Kind.ACCOUNT),
    # Gmail: a day's transfer is used up.
    (_words(r"bandwidth limit|exceeded command"), Kind.QUOTA),
    # Gmail, Dovecot, Courier, Cyrus, in this order.
    (
        _words(
            r"too many (?:\w+ )?(?:connections|sessions)|simultaneous connections"
            r"|maximum (?:number of )?(?:\w+ )?connections?|connection limit|too many logins"
        ),
        Kind.CONNECTIONS,
    ),
    # Exchange; Yahoo: ``[LIMIT] FETCH Rate limit hit``.
    (
        _words(
            r"throttled|suggested backoff|rate limit|too many requests"
            r"|too many (?:\w+ ){0,3}attempts"
        ),
        Kind.RATE,
    ),
)
"""What servers say of a limit, whatever was asked of them."""
_AT_LOGIN: tuple[tuple[re.Pattern[str], Kind], ...] = (
    (_words(r"too many|simultaneous|throttl"), Kind.RATE),
    (_words(r"try again later|temporar|unavailable|server busy|internal error"), Kind.UNAVAILABLE),
)
"""What they say besides when they take nobody: Exchange's ``Server Unavailable. 15``."""
_BAD_CREDENTIALS = _words(r"invalid sasl argument")
"""Gmail's BAD to a token that it cannot read."""


def classify(status: str, code: str, text: str, command: str) -> ServerError:
    """Say what an answer is about.

    Args:
        status: ``"OK"``, ``"NO"``, ``"BAD"`` or ``"BYE"``.
        code: the response code in upper case, or ``""``.
        text: the server's words.
        command: the name of the command that was answered, as ``"UID FETCH"``.
    """
    if status == "OK":
        return ServerError(Kind.SLOWED if _SLOWED.search(text) else Kind.FINE)
    login = command in LOGIN_COMMANDS
    if login and code in _FINAL_CODES:
        return ServerError(Kind.CREDENTIALS)
    kind = _said(_ANYWHERE, text)
    if kind is None and login:
        kind = _LOGIN_CODES.get(code) or _said(_AT_LOGIN, text)
    if kind is not None:
        return ServerError(kind, hinted(text))
    if status == "BYE":
        return ServerError(Kind.HUNG_UP)
    if login and (status == "NO" or _BAD_CREDENTIALS.search(text)):
        return ServerError(Kind.CREDENTIALS)
    return ServerError(Kind.REFUSED)


def hinted(text: str) -> float:
    """The seconds that a server's text asks for, 0.0 where it asks for none."""
    found = _HINT.search(text)
    if found is None or len(found[1]) > MAX_HINT_DIGITS:
        return 0.0
    return int(found[1]) / (1000.0 if found[2] else 1.0)


def refusal(command: str, status: str, code: str, text: str) -> CommandRefused | Throttled:
    """NO or BAD as an error.

    Args:
        command: its name, as ``"UID FETCH"``.
        status: ``"NO"`` or ``"BAD"``.
        code: scrubbed, as everything that an error shows.
        text: scrubbed.
    """
    trouble = classify(status, code, text, command)
    refused = CommandRefused(command, status, code, text)
    return _throttled(str(refused), trouble) if trouble.kind in THROTTLES else refused


def farewell(code: str, text: str) -> NornmailError:
    """BYE as an error: a connection that is lost, or the demand to stay away for a while.

    Timeouts, restarts and tokens that ran out (``Session invalidated - AccessTokenExpired``) are
    lost connections: what is to be done is to connect again, with a fresh token.
    """
    trouble = classify("BYE", code, text, "")
    shown = f"[{code}] {text}" if code else text
    said = f"the server hung up: {shown}".rstrip(": ")
    return _throttled(said, trouble) if trouble.kind in THROTTLES else ConnectionLost(said)


def _throttled(text: str, trouble: ServerError) -> Throttled:
    return Throttled(text, kind=trouble.kind.value, wait=trouble.wait)


def _said(table: tuple[tuple[re.Pattern[str], Kind], ...], text: str) -> Kind | None:
    return next((kind for pattern, kind in table if pattern.search(text)), None)
