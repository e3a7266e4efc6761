"""What to check when a login was refused, and who must be told which client this is."""

from __future__ import annotations

from collections.abc import Collection

from nornmail._version import __version__
from nornmail.errors import AuthenticationFailed
from nornmail.settings.imap import ImapSettings
from nornmail.settings.providers import provider_of

COREMAIL_CAPABILITY = "X-CM-EXT-1"
"""Coremail, the software of NetEase (163.com, 126.com) and of many Chinese companies."""
ID_ARGUMENTS = f'("name" "nornmail" "version" "{__version__}")'.encode("ascii")
"""What we say about ourselves (RFC 2971)."""


ANY_OAUTH = "check that the token is for IMAP_USERNAME, and that its scope includes IMAP"


def forgets_noop(capabilities: Collection[str]) -> bool:
    """Whether NOOP does not count as a sign of life: Coremail ends such a session; STATUS does."""
    return COREMAIL_CAPABILITY in capabilities


def login_hint(host: str, port: int | None = None, *, with_token: bool) -> str:
    """What a person is to check when this server refused the login."""
    provider = provider_of(host, port)
    return (provider.oauth_hint or ANY_OAUTH) if with_token else provider.hint


def login_refused(what: str, code: str, text: str, settings: ImapSettings) -> AuthenticationFailed:
    """A refused login as an error that says what to check.

    Args:
        what: what happened, in words.
        code: the server's response code, scrubbed.
        text: the server's words, scrubbed.
        settings: whose host and kind of credentials decide what is to be checked.
    """
    said = f"[{code}] {text}" if code else text
    hint = login_hint(settings.host, settings.port, with_token=settings.token is not None)
    return AuthenticationFailed(f"{what}: {said.rstrip('. ') or 'it gave no reason'}; {hint}")


def wants_id(capabilities: Collection[str], host: str) -> bool:
    """Whether ID is sent after login: where it is advertised, and where it is demanded anyway.

    Without it Coremail refuses every SELECT with ``NO SELECT Unsafe Login``.
    """
    demanded = COREMAIL_CAPABILITY in capabilities or provider_of(host).demands_id
    return "ID" in capabilities or demanded
