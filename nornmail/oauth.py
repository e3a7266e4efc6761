"""Asking a program's callback for an OAuth2 token, for IMAP as for SMTP."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from nornmail.errors import ConfigurationError, ConnectionLost


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
