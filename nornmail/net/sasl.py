"""What is said within AUTH (RFC 4954): the messages of each mechanism."""

from __future__ import annotations

import inspect
from base64 import b64encode
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from nornmail.errors import ConfigurationError, ConnectionLost

# ---- Asking a program's callback for an OAuth2 token, for IMAP as for SMTP.


def ask_token(ask: Callable[[], str], hide: Callable[[str], object]) -> str:
    """Ask the callback for a token.

    Args:
        ask: the callback, which may take its time.
        hide: is told the token before anything is done with it, so that no log shows it.

    Raises:
        ConnectionLost: the callback raised, or returned no token: trouble that passes. Its words
            are not repeated, since they may hold secrets; the cause is chained.
        ConfigurationError: it returned an awaitable.
    """
    try:
        token: object = ask()
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
        raise ConnectionLost("the token callback returned what is no token")
    return token


@dataclass(frozen=True, slots=True)
class Exchange:
    """One way to prove who we are.

    Attributes:
        mechanism: its name on the wire.
        messages: what is sent, one after the other, before base64.
        initial: the first may go with the command.
        farewell: the answer to the challenge with which a server tells why it refuses; ``None``
            where it has nothing to ask any more, and the exchange is cancelled.
    """

    mechanism: str
    messages: tuple[bytes, ...] = field(repr=False)
    initial: bool = True
    farewell: bytes | None = None

    def encoded(self) -> list[str]:
        """The messages as they go on the wire."""
        return [b64encode(one).decode("ascii") for one in self.messages]


def plain(username: str, password: str) -> Exchange:
    """PLAIN (RFC 4616): no authorization identity, the user, the password."""
    return Exchange("PLAIN", (b"\0" + username.encode() + b"\0" + password.encode(),))


def login(username: str, password: str) -> Exchange:
    """LOGIN, which no RFC describes: each of the two is asked for."""
    return Exchange("LOGIN", (username.encode(), password.encode()), initial=False)


def xoauth2(username: str, token: str) -> Exchange:
    """XOAUTH2, Google's forerunner of OAUTHBEARER; a refusal is answered with nothing."""
    message = f"user={username}\1auth=Bearer {token}\1\1".encode()
    return Exchange("XOAUTH2", (message,), farewell=b"")


def oauthbearer(username: str, token: str, host: str, port: int) -> Exchange:
    """OAUTHBEARER (RFC 7628); a refusal is answered with one octet 1 (section 3.2.3)."""
    name = username.replace("=", "=3D").replace(",", "=2C")  # RFC 5801, 4
    head = f"n,a={name},\1host={host}\1port={port}\1auth=Bearer {token}\1\1"
    return Exchange("OAUTHBEARER", (head.encode(),), farewell=b"\1")


def with_password(offered: Collection[str], username: str, password: str) -> Exchange | None:
    """How this server takes a password, ``None`` if it takes none."""
    if "PLAIN" in offered:
        return plain(username, password)
    return login(username, password) if "LOGIN" in offered else None


def with_token(
    offered: Collection[str], username: str, token: str, host: str, port: int
) -> Exchange | None:
    """How this server takes a token, ``None`` if it takes none. The standard goes first."""
    if "OAUTHBEARER" in offered:
        return oauthbearer(username, token, host, port)
    return xoauth2(username, token) if "XOAUTH2" in offered else None
