"""A server's words, made fit for errors, logs and stores."""

from __future__ import annotations

from typing import Final

SHOWN: Final = 300
"""Characters of a server's text that are shown."""
MASK: Final = "****"


class Redactor:
    """Takes out what was hidden, in the forms in which it is sent, and control characters."""

    __slots__ = ("_secrets",)  # so that no vars() shows them

    def __init__(self) -> None:
        self._secrets: list[str] = []

    def hide(self, *secrets: str) -> None:
        """Take these out from now on; what is empty hides nothing."""
        # The longest first: a password may be a part of another form.
        self._secrets = sorted({*self._secrets, *filter(None, secrets)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        shown = "".join(char if char.isprintable() else " " for char in text[: 4 * SHOWN])
        return " ".join(shown.split())[:SHOWN]
