"""Differences of single servers and providers: placeholders, keep-alive, ID, and login hints."""

from __future__ import annotations

import re
from collections.abc import Collection

from nornmail._version import __version__
from nornmail.errors import AuthenticationFailed
from nornmail.net.sasl import refusal_advice
from nornmail.settings.imap import ImapSettings
from nornmail.settings.providers import password_hint, provider_of

COREMAIL_CAPABILITY = "X-CM-EXT-1"
"""Coremail, the software of NetEase (163.com, 126.com) and of many Chinese companies."""
ID_ARGUMENTS = f'("name" "nornmail" "version" "{__version__}")'.encode("ascii")
"""Our answer to "which client are you?" (RFC 2971)."""

ANY_OAUTH = "check that the token is for IMAP_USERNAME, and that its scope includes IMAP"


def ignores_noop(capabilities: Collection[str]) -> bool:
    """Whether NOOP does not count as a sign of life: Coremail ends such a session; STATUS does."""
    return COREMAIL_CAPABILITY in capabilities


def login_hint(host: str, port: int | None = None, *, with_token: bool) -> str:
    """The advice when this server refused the login."""
    provider = provider_of(host, port)
    return (provider.oauth_hint or ANY_OAUTH) if with_token else password_hint(provider)


def login_refused(
    problem: str, code: str, text: str, settings: ImapSettings
) -> AuthenticationFailed:
    """A refused login as an error with advice."""
    reason = f"[{code}] {text}" if code else text
    hint = refusal_advice(text) or login_hint(
        settings.host, settings.port, with_token=settings.token is not None
    )
    return AuthenticationFailed(f"{problem}: {reason.rstrip('. ') or 'it gave no reason'}; {hint}")


def sends_id(capabilities: Collection[str], host: str) -> bool:
    """Whether ID is sent after login: where it is advertised, and where it is demanded anyway.

    Without it Coremail refuses every SELECT with ``NO SELECT Unsafe Login``.
    """
    advertised = not {"ID", COREMAIL_CAPABILITY}.isdisjoint(capabilities)
    return advertised or provider_of(host).demands_id


# Placeholders: messages that a server makes up instead of one that it cannot return. They are
# recognised by their whole structure: ordinary mail that quotes their words passed through SMTP,
# and has the Received, Date or Message-ID lines that a placeholder lacks.

COURIER_OCTETS = 400
"""Courier's placeholder has 129 octets; the sender's name is the system's, and may be longer."""
EXCHANGE_OCTETS = 16 * 1024
"""Exchange's placeholder repeats the subject and the addresses of the message."""

_COURIER = re.compile(
    rb"From: [^\r\n]*<[^\r\n<>]*>\r?\n"
    rb"Subject: message unavailable\r?\n"
    rb"\r?\n"
    rb"This message is no longer available on the server\.\s*"
)
_EXCHANGE_SUBJECT = re.compile(
    rb"^Subject:[ \t]*Retrieval using the IMAP4 protocol failed for the following message:"
    rb"[ \t\r\n]*[0-9]+[ \t]*\r?$",
    re.MULTILINE | re.IGNORECASE,
)
_EXCHANGE_WORDS = b"failed for the following message:"
_EXCHANGE_FROM = re.compile(rb'^From:[ \t]*"?Microsoft Exchange Server', re.MULTILINE | re.I)
_TRAVELLED = re.compile(rb"^(?:Received|Message-ID|DKIM-Signature):", re.MULTILINE | re.IGNORECASE)
_HEADER_END = re.compile(rb"\r?\n\r?\n")


def placeholder_reason(raw: bytes) -> str | None:
    """The reason why ``raw`` is a placeholder; ``None`` when it is the message itself."""
    if len(raw) <= COURIER_OCTETS and _COURIER.fullmatch(raw):
        return "Courier returned its placeholder for an expunged message"
    if len(raw) > EXCHANGE_OCTETS or _EXCHANGE_WORDS not in raw.lower():  # nearly always
        return None
    if _is_exchange(_HEADER_END.split(raw, maxsplit=1)[0]):
        return "Exchange returned its placeholder for a message that it could not convert"
    return None


def _is_exchange(header: bytes) -> bool:
    return (
        _EXCHANGE_SUBJECT.search(header) is not None
        and _EXCHANGE_FROM.search(header) is not None
        and _TRAVELLED.search(header) is None
    )
