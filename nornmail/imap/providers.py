"""What single providers need besides the protocol, and what to check when they refuse a login."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from nornmail._version import __version__
from nornmail.errors import AuthenticationFailed
from nornmail.settings import ImapSettings

COREMAIL_CAPABILITY = "X-CM-EXT-1"
"""Coremail, the software of NetEase (163.com, 126.com) and of many Chinese companies."""
ID_ARGUMENTS = f'("name" "nornmail" "version" "{__version__}")'.encode("ascii")
"""What we say about ourselves (RFC 2971)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider, known by the names of its servers.

    Attributes:
        hosts: domains that its IMAP servers' names end with.
        hint: what to check when a password was refused.
        oauth_hint: what to check when a token was refused; ``""`` for what holds anywhere.
        demands_id: it refuses every SELECT before an ID, also where it does not advertise ID.
    """

    hosts: tuple[str, ...]
    hint: str
    oauth_hint: str = ""
    demands_id: bool = False


ANY_LOGIN = "check IMAP_USERNAME and IMAP_PASSWORD"
ANY_OAUTH = "check that the token is for IMAP_USERNAME, and that its scope includes IMAP"
_APP_ONLY = (
    "{} takes an app password here, not the account's own: make one in the account's security "
    "settings and set it as IMAP_PASSWORD"
)
_CODE_ONLY = (
    "{} takes an authorisation code here, not the account's password: switch IMAP on in its web "
    "settings, and set the code that they show as IMAP_PASSWORD"
)

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        hosts=("gmail.com", "googlemail.com"),
        hint="Gmail does not take the account's own password: set IMAP_PASSWORD to an app password "
        "(which needs 2-Step Verification), or use OAuth2 (token=)",
        oauth_hint="check that the token is for IMAP_USERNAME and has the scope "
        "https://mail.google.com/",
    ),
    Provider(
        hosts=(
            *("outlook.com", "office365.com", "office.com", "hotmail.com", "live.com"),
            *("office365.us", "outlook.cn"),
        ),
        hint="Microsoft has switched basic authentication off, so no password works here: use "
        "OAuth2 (token=)",
        oauth_hint="check that the token is for IMAP_USERNAME and has the scope "
        "IMAP.AccessAsUser.All, and that IMAP is enabled for the mailbox",
    ),
    Provider(hosts=("yahoo.com",), hint=_APP_ONLY.format("Yahoo")),
    Provider(hosts=("aol.com",), hint=_APP_ONLY.format("AOL")),
    Provider(hosts=("icloud.com", "me.com"), hint=_APP_ONLY.format("iCloud")),
    Provider(hosts=("fastmail.com", "messagingengine.com"), hint=_APP_ONLY.format("Fastmail")),
    Provider(
        hosts=("zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.jp", "zohocloud.ca"),
        hint=_APP_ONLY.format("Zoho") + "; IMAP access must be on as well",
    ),
    Provider(hosts=("qq.com",), hint=_CODE_ONLY.format("QQ Mail")),
    Provider(
        hosts=("163.com", "126.com", "yeah.net", "188.com"),
        hint=_CODE_ONLY.format("NetEase"),
        demands_id=True,
    ),
)
"""Who is known. The first whose domain fits counts."""
UNKNOWN = Provider(hosts=(), hint=ANY_LOGIN)


def forgets_noop(capabilities: Collection[str]) -> bool:
    """Whether NOOP does not count as a sign of life: Coremail ends such a session; STATUS does."""
    return COREMAIL_CAPABILITY in capabilities


def provider_of(host: str) -> Provider:
    """The provider whose server this is, :data:`UNKNOWN` if it is nobody's."""
    name = "." + host.rstrip(".").lower()
    for provider in PROVIDERS:
        if any(name.endswith("." + domain) for domain in provider.hosts):
            return provider
    return UNKNOWN


def login_hint(host: str, *, with_token: bool) -> str:
    """What a person is to check when this server refused the login."""
    provider = provider_of(host)
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
    hint = login_hint(settings.host, with_token=settings.token is not None)
    return AuthenticationFailed(f"{what}: {said.rstrip('. ') or 'it gave no reason'}; {hint}")


def wants_id(capabilities: Collection[str], host: str) -> bool:
    """Whether ID is sent after login: where it is advertised, and where it is demanded anyway.

    Without it Coremail refuses every SELECT with ``NO SELECT Unsafe Login``.
    """
    demanded = COREMAIL_CAPABILITY in capabilities or provider_of(host).demands_id
    return "ID" in capabilities or demanded
