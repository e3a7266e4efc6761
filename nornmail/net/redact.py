"""The border to servers and systems: foreign exceptions become ours, and texts fit to be shown."""

from __future__ import annotations

import ssl
from types import TracebackType
from typing import Final

from nornmail.errors import ConnectionLost, NornmailError, ProtocolError

MAX_TEXT: Final = 300
"""Characters of a server's text that are shown: RFC 5530 texts are far shorter."""
MASK: Final = "****"
MIN_SECRET: Final = 6
"""Characters of a secret that is cut out of texts. A shorter one is found by chance in every other
text, and the mask in its place would tell what it is."""


class Redactor:
    """Takes secrets and control characters out of a server's text, and cuts it."""

    __slots__ = ("_secrets",)  # so that no vars() shows them

    def __init__(self, *secrets: str) -> None:
        self._secrets: list[str] = []
        self.hide(*secrets)

    def hide(self, *secrets: str) -> None:
        """Take these out from now on, if they are long enough (:data:`MIN_SECRET`)."""
        long = {secret for secret in secrets if len(secret) >= MIN_SECRET}
        # The longest first: a password may be a part of another form.
        self._secrets = sorted(long.union(self._secrets), key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        shown = " ".join(text[: 4 * MAX_TEXT].split())
        if not shown.isprintable():
            shown = "".join(char if char.isprintable() else " " for char in shown)
            shown = " ".join(shown.split())
        return shown[:MAX_TEXT]


class map_exceptions:  # read as a verb: with map_exceptions("LOGIN"):
    """Raise foreign exceptions as :class:`ConnectionLost` or :class:`ProtocolError`.

    Those of sockets, TLS and a stream's end mean that the connection is lost; any other one is
    about what came over it.

    Args:
        action: what was being done, as the beginning of a sentence.
        lost: further exceptions that mean a lost connection.
        invalid: further exceptions about what came.
    """

    __slots__ = ("_action", "_invalid", "_lost")

    def __init__(
        self,
        action: str,
        lost: tuple[type[Exception], ...] = (),
        invalid: tuple[type[Exception], ...] = (),
    ) -> None:
        self._action = action
        self._lost = lost
        self._invalid = invalid

    def __enter__(self) -> None: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None or isinstance(error, NornmailError):
            return
        if isinstance(error, TimeoutError):
            text = f"{self._action}: the server did not answer in time"
            raise ConnectionLost(text) from error
        if isinstance(error, (EOFError, OSError, *self._lost)):
            raise ConnectionLost(f"{self._action}: {error_text(error)}") from error
        if isinstance(error, (ValueError, MemoryError, RecursionError, *self._invalid)):
            raise ProtocolError(f"{self._action}: {error_text(error)}") from error


def error_text(error: BaseException) -> str:
    """A foreign error in words, never empty."""
    if isinstance(error, ssl.SSLError):
        return getattr(error, "reason", None) or type(error).__name__
    if isinstance(error, MemoryError):
        return "not enough memory"
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
