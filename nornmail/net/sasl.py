"""SASL (RFC 4422): the mechanisms of IMAP's AUTHENTICATE and SMTP's AUTH, and login by token."""

from __future__ import annotations

import binascii
import inspect
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from nornmail.errors import AuthenticationFailed, ConfigurationError, ConnectionLost, NornmailError
from nornmail.net.tls import Abort, in_thread

MAX_CHALLENGE: Final = 4_096
"""Octets of a challenge that are decoded. The reasons of servers for a refusal have about 100."""
MAX_SCOPE: Final = 100
"""Characters of the scope that a refusal names."""
MAX_STATUS: Final = 40
"""Characters of a refusal's status that are shown: ``400``, ``invalid_token``."""
_APP_PASSWORD: Final = re.compile(r"\s*[0-9A-Za-z]+(?:\s+[0-9A-Za-z]+)+\s*")
_NO_BREAK: Final = frozenset("\u00a0\u202f\u2007")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A SASL mechanism with its credentials.

    Attributes:
        messages: what the client sends, in order, before base64.
        initial: whether the first may go with the command.
        final_response: the answer to the challenge that carries the reason of a refusal; ``None``
            where there is no such challenge, and the exchange is cancelled.
    """

    name: str
    messages: tuple[bytes, ...] = field(repr=False)
    initial: bool = True
    final_response: bytes | None = None

    def encoded(self) -> list[str]:
        """The messages as they go on the wire."""
        return [b64encode(message).decode("ascii") for message in self.messages]


class Responder:
    """Answers the challenges of one login."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._messages = mechanism.encoded()
        self._final = mechanism.final_response
        self.initial = mechanism.initial
        self.refusal = ""

    def initial_response(self, limit: int) -> str | None:
        """The message that goes with the command, unless it has more than ``limit`` octets."""
        fits = self.initial and len(self._messages[0]) <= limit
        return self._messages.pop(0) if fits else None

    def respond(self, challenge: str) -> str:
        """The answer to a challenge, in base64."""
        if self._messages:
            return self._messages.pop(0)
        self.refusal = challenge
        return "*" if self._final is None else b64encode(self._final).decode("ascii")


def plain(username: str, password: str) -> Mechanism:
    """PLAIN (RFC 4616): no authorization identity, the user, the password."""
    message = b"\0" + username.encode() + b"\0" + password.encode()
    return Mechanism("PLAIN", (message,))


def login(username: str, password: str) -> Mechanism:
    """LOGIN, which no RFC describes: the server asks for the user, then for the password."""
    return Mechanism("LOGIN", (username.encode(), password.encode()), initial=False)


def xoauth2(username: str, token: str) -> Mechanism:
    """XOAUTH2, Google's forerunner of OAUTHBEARER; a refusal is answered with nothing."""
    message = f"user={username}\1auth=Bearer {token}\1\1".encode()
    return Mechanism("XOAUTH2", (message,), final_response=b"")


def oauthbearer(username: str, token: str, host: str, port: int) -> Mechanism:
    """OAUTHBEARER (RFC 7628); a refusal is answered with one octet 1 (section 3.2.3)."""
    name = username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801, 4
    head = f"n,a={name},\1host={host}\1port={port}\1auth=Bearer {token}\1\1"
    return Mechanism("OAUTHBEARER", (head.encode(),), final_response=b"\1")


def password_mechanisms(offered: Collection[str], username: str, password: str) -> list[Mechanism]:
    """The mechanisms by which this server takes a password, the preferred first."""
    mechanisms = (plain(username, password), login(username, password))
    return [mechanism for mechanism in mechanisms if mechanism.name in offered]


def token_mechanisms(
    offered: Collection[str], username: str, token: str, host: str, port: int
) -> list[Mechanism]:
    """The mechanisms by which this server takes a token, the standard first."""
    mechanisms = (oauthbearer(username, token, host, port), xoauth2(username, token))
    return [mechanism for mechanism in mechanisms if mechanism.name in offered]


def sendable_password(password: str) -> str:
    """The password without the no-break spaces with which a page shows an app password.

    Such a page groups letters and digits; no other password is changed.
    """
    if _NO_BREAK.isdisjoint(password) or not _APP_PASSWORD.fullmatch(password):
        return password
    return "".join(password.split())


def secret_forms(username: str, password: str) -> list[str]:
    """The forms in which a password is sent, for a redactor."""
    sent = sendable_password(password)
    quoted = sent.replace("\\", "\\\\").replace('"', '\\"')
    encoded = (*plain(username, sent).encoded(), *login(username, sent).encoded()[1:])
    return [password, sent, quoted, *encoded]


def refusal_status(challenge: str) -> str:
    """The status in the challenge that carries the reason of a refusal; ``""`` if it has none.

    Google sends ``{"status":"400","scope":…}``, RFC 7628 has ``{"status":"invalid_token",…}``. The
    scope that the server wants is part of it.
    """
    try:
        reason = json.loads(b64decode(challenge[:MAX_CHALLENGE], validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return ""
    status = reason.get("status", "") if isinstance(reason, dict) else ""
    if not isinstance(status, str | int) or status == "":
        return ""
    scope = reason.get("scope")
    scope_hint = (
        f"; it requires the scope {scope[:MAX_SCOPE]}" if scope and isinstance(scope, str) else ""
    )
    return str(status)[:MAX_STATUS] + scope_hint


def refusal_advice(text: str) -> str:
    """The advice for a refused login, by the server's own words; ``""`` where they say nothing."""
    return next((advice for words, advice in _ADVICE if re.search(words, text, re.I)), "")


_ADVICE: Final = (
    (
        r"SmtpClientAuthentication is disabled",
        "SMTP AUTH is switched off: an administrator switches it on for the mailbox with "
        "Set-CASMailbox -SmtpClientAuthenticationDisabled $false, or for the tenant with "
        "Set-TransportConfig",
    ),
    (
        r"not enabled for IMAP|IMAP (?:access |use )?is (?:disabled|not enabled)|enable IMAP",
        "IMAP is switched off for this account: switch it on in its web settings",
    ),
    (
        r"basic authentication is disabled",
        "it takes no password: run `nornmail login` and set NORNMAIL_OAUTH_FILE",
    ),
)
"""Words with which servers say what is switched off."""


def ask_token(ask: Callable[[], str], hide: Callable[[str], object], abort: Abort) -> str:
    """Ask a program's callback for an OAuth2 token.

    Args:
        ask: the callback, which may take its time.
        hide: receives the token before anything is done with it, so that no log shows it.
        abort: ends the wait for the callback. A token that is being renewed is still written to
            its file, which a cut request could not: a new refresh token would be lost.

    Raises:
        ConnectionLost: the wait was aborted; or the callback raised, or returned no token: a
            trouble that passes. Its words are not repeated, since they may hold secrets; the cause
            is chained.
        NornmailError: raised by the callback.
        ConfigurationError: it returned an awaitable.
    """
    try:
        token: object = in_thread(ask, "nornmail-token", partial(abort.wait, (), 0.0))
    except NornmailError:  # our own token file, whose words are safe
        raise
    except Exception as error:
        name = type(error).__name__
        raise ConnectionLost(f"the token callback raised {name}; no token, no login") from error
    if inspect.isawaitable(token):
        if inspect.iscoroutine(token):
            token.close()
        raise ConfigurationError("token", "(an awaitable)", "must be a plain function")
    if not isinstance(token, str):
        raise ConnectionLost(f"the token callback returned {type(token).__name__}, not a token")
    token = token.strip()  # read from a file it ends in a line end
    hide(token)
    if not token or not token.isascii() or not token.isprintable():
        raise ConnectionLost("the token callback did not return a token")
    return token


def log_in_with_token(
    token: str,
    ask: Callable[[], str],
    hide: Callable[[str], object],
    abort: Abort,
    attempt: Callable[[str], T | AuthenticationFailed],
) -> T:
    """Send a token; if it is refused, ask for a fresh one once, and send that.

    Args:
        ask, hide, abort: as for :func:`ask_token`.
        attempt: logs in with a token, and returns its refusal.

    Raises:
        AuthenticationFailed: the last token was refused.
    """
    result = attempt(token)
    if not isinstance(result, AuthenticationFailed):
        return result
    # A token file learns of the refusal; any other callback is only called again.
    fresh = ask_token(getattr(ask, "renew", ask), hide, abort)
    if fresh == token:
        raise result
    try:
        second = attempt(fresh)
    except ConnectionLost as lost:
        # Not a lost connection to retry at once: a server that hangs up on tokens needs rest.
        raise result from lost
    if isinstance(second, AuthenticationFailed):
        raise second
    return second
