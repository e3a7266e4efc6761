"""The border: foreign errors become ours, and the server's words become fit to be shown.

Foreign is what imaplib, sockets, TLS and the codecs raise.
"""

from __future__ import annotations

import base64
import imaplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager

from nornmail.errors import ConnectionLost, NornmailError, ProtocolError

SHOWN = 300
"""Characters of a server's text that are shown: RFC 5530 texts are far shorter."""
MASK = "****"


class Redactor:
    """Makes a server's text fit for errors and logs.

    It takes out what was hidden, in the forms in which it is sent, and control characters, and cuts
    the text.
    """

    __slots__ = ("_forms",)  # so that no vars() shows them

    def __init__(self) -> None:
        self._forms: list[str] = []

    def hide(self, *secrets: str) -> None:
        """Take these out from now on; what is empty hides nothing."""
        forms = {*self._forms, *filter(None, secrets)}
        # The longest first: a password may be a part of another form.
        self._forms = sorted(forms, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for form in self._forms:
            text = text.replace(form, MASK)
        shown = "".join(char if char.isprintable() else " " for char in text[: 4 * SHOWN])
        return " ".join(shown.split())[:SHOWN]


def scrubber(username: str, password: str) -> Redactor:
    """A scrubber that hides a password in the forms in which it is sent."""
    scrub = Redactor()
    if password:
        plain = base64.b64encode(plain_message(username, password)).decode("ascii")
        scrub.hide(password, password.replace("\\", "\\\\").replace('"', '\\"'), plain)
    return scrub


def plain_message(username: str, password: str) -> bytes:
    """The message of SASL PLAIN (RFC 4616): no authorization identity, the user, the password."""
    return b"\0" + username.encode("utf-8") + b"\0" + password.encode("utf-8")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what is not ours as :class:`ConnectionLost` or :class:`ProtocolError`.

    Args:
        doing: what was being done, as the beginning of a sentence.
    """
    try:
        yield
    except NornmailError:
        raise
    except TimeoutError as error:
        raise ConnectionLost(f"{doing}: the server did not answer in time") from error
    except (EOFError, OSError, imaplib.IMAP4.abort) as error:
        raise ConnectionLost(f"{doing}: {described(error)}") from error
    except (imaplib.IMAP4.error, ValueError, MemoryError, RecursionError) as error:
        raise ProtocolError(f"{doing}: {described(error)}") from error


def described(error: BaseException) -> str:
    """An error of the system in words, never empty."""
    if isinstance(error, ssl.SSLError):
        return error.reason or type(error).__name__
    if isinstance(error, MemoryError):
        return "not enough memory"
    text = getattr(error, "strerror", None) or str(error)
    return str(text) or type(error).__name__
