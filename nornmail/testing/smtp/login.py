"""AUTH (RFC 4954): PLAIN, LOGIN, and the bearer tokens of XOAUTH2 and OAUTHBEARER."""

from __future__ import annotations

from collections.abc import Callable

from nornmail.testing import sasl
from nornmail.testing.accounts import Account
from nornmail.testing.smtp.client import Client
from nornmail.testing.smtp.grammar import Refused, Reply

Mechanism = Callable[[Client, bytes | None], Account | None]
"""Takes the initial response, if there was one; returns the account when the login is good."""


def authenticate(client: Client, argument: bytes) -> Reply:
    """AUTH, with the first response in the command or after it.

    Raises:
        Refused: it is not possible here, or the credentials are wrong.
    """
    words = argument.split()
    if not words or len(words) > 2:
        raise Refused(501, "5.5.4", "Syntax: AUTH mechanism [initial-response]")
    name = words[0].upper().decode("latin-1")
    _check_allowed(client)
    if f"AUTH={name}" not in client.extensions or name not in _MECHANISMS:
        raise Refused(504, "5.5.4", "Unrecognized authentication type")
    first = None if len(words) == 1 else b"" if words[1] == b"=" else _decoded(words[1])
    account = _MECHANISMS[name](client, first)
    if account is None:
        raise Refused(535, "5.7.8", "Authentication credentials invalid")
    client.user = account.user
    client.settings.count_login()
    return Reply(235, "2.7.0", "Authentication successful")


def _check_allowed(client: Client) -> None:
    if not any(name.startswith("AUTH=") for name in client.extensions):
        raise Refused(502, "5.5.1", "AUTH is not available")
    if client.hidden_until_tls():
        raise Refused(538, "5.7.11", "Encryption required for authentication")
    if client.user is not None:
        raise Refused(503, "5.5.1", "Already authenticated")
    if client.transaction is not None:
        raise Refused(503, "5.5.1", "AUTH is not allowed during a mail transaction")


def _plain(client: Client, first: bytes | None) -> Account | None:
    message = _challenge(client, b"") if first is None else first
    credentials = sasl.plain_credentials(message)
    return client.state.check_password(*credentials) if credentials else None


def _login(client: Client, first: bytes | None) -> Account | None:
    """The mechanism LOGIN, which no RFC describes: asks for the user, then for the password."""
    user = _challenge(client, b"Username:") if first is None else first
    return client.state.check_password(user, _challenge(client, b"Password:"))


def _bearer(mechanism: str) -> Mechanism:
    """A mechanism with a token. A refusal comes in a challenge, which the client answers."""

    def log_in(client: Client, first: bytes | None) -> Account | None:
        message = _challenge(client, b"") if first is None else first
        account = client.state.check_token(sasl.bearer_credentials(mechanism, message))
        if account is None:
            _challenge(client, sasl.TOKEN_REFUSED)
        return account

    return log_in


_MECHANISMS: dict[str, Mechanism] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    **{mechanism: _bearer(mechanism) for mechanism in sasl.BEARERS},
}


def _challenge(client: Client, challenge: bytes) -> bytes:
    """Ask the client for its next response (RFC 4954, 4)."""
    line = client.ask(b"334 " + sasl.encoded(challenge) + b"\r\n")
    if line == b"*":
        raise Refused(501, "5.7.0", "Authentication cancelled")
    return _decoded(line)


def _decoded(line: bytes) -> bytes:
    try:
        return sasl.decoded(line)
    except ValueError as error:
        raise Refused(501, "5.5.2", "Not base64") from error
