"""AUTH (RFC 4954): PLAIN, LOGIN, and the bearer tokens of XOAUTH2 and OAUTHBEARER."""

from __future__ import annotations

import binascii
import re
from collections.abc import Callable

from nornmail.testing.smtp.client import Client
from nornmail.testing.smtp.grammar import Refused, Reply

_TOKEN_REFUSED = b'{"status":"401","schemes":"bearer","scope":"mail"}'
_XOAUTH2 = re.compile(rb"user=([^\x01]*)\x01auth=Bearer ([!-~]+)\x01\x01")
_OAUTHBEARER = re.compile(
    rb"n,a=([^\x01,]*),\x01(?:(?:host|port)=[^\x01]*\x01)*auth=Bearer ([!-~]+)\x01\x01"
)

Mechanism = Callable[[Client, bytes | None], str | None]
"""Gets the initial response, if there was one; returns the user's name when it is proved."""


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
    user = _MECHANISMS[name](client, first)
    if user is None:
        raise Refused(535, "5.7.8", "Authentication credentials invalid")
    client.user = user
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


def _plain(client: Client, first: bytes | None) -> str | None:
    """RFC 4616."""
    message = _challenge(client, b"") if first is None else first
    parts = message.split(b"\0")
    return _check_password(client, parts[1], parts[2]) if len(parts) == 3 else None


def _login(client: Client, first: bytes | None) -> str | None:
    """Asks for a name and a password, each by itself; it is in no RFC and everywhere."""
    user = _challenge(client, b"Username:") if first is None else first
    return _check_password(client, user, _challenge(client, b"Password:"))


def _bearer(pattern: re.Pattern[bytes]) -> Mechanism:
    """A mechanism with a token. A refusal is told in a challenge, which the client answers."""

    def mechanism(client: Client, first: bytes | None) -> str | None:
        said = pattern.fullmatch(_challenge(client, b"") if first is None else first)
        if said is not None:
            user = said[1].replace(b"=2C", b",").replace(b"=3D", b"=").decode("utf-8", "replace")
            account = client.state.accounts.get(user)
            if account is not None and said[2].decode() in account.tokens:
                return user
        _challenge(client, _TOKEN_REFUSED)
        return None

    return mechanism


_MECHANISMS: dict[str, Mechanism] = {
    "PLAIN": _plain,
    "LOGIN": _login,
    "XOAUTH2": _bearer(_XOAUTH2),
    "OAUTHBEARER": _bearer(_OAUTHBEARER),
}


def _challenge(client: Client, words: bytes) -> bytes:
    """Ask the client for its next response (RFC 4954, 4)."""
    line = client.ask(b"334 " + binascii.b2a_base64(words, newline=False) + b"\r\n")
    if line == b"*":
        raise Refused(501, "5.7.0", "Authentication cancelled")
    return _decoded(line)


def _decoded(line: bytes) -> bytes:
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error as error:
        raise Refused(501, "5.5.2", "Not base64") from error


def _check_password(client: Client, user: bytes, password: bytes) -> str | None:
    try:
        name, given = user.decode(), password.decode()
    except UnicodeDecodeError:
        return None  # no account has such a name or password
    account = client.state.accounts.get(name)
    return name if account is not None and account.password == given else None
