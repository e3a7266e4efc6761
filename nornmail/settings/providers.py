"""Mail providers: where their servers are, and how they differ from the rest.

One table serves three ends. By name it fills in hosts and ports (``ImapSettings.for_provider``,
EMAIL_PRESET); by host it says what to check when a login was refused; and ``nornmail check`` shows
a user what to know before mail depends on it. The client goes by what a server advertises, and by
this table only where servers are known to advertise nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from nornmail.errors import ConfigurationError

PRESET = "EMAIL_PRESET"
"""The variable that names a provider of this table."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider, known by a name and by the names of its servers.

    Attributes:
        name: as EMAIL_PRESET has it; ``""`` where there is no preset.
        title: as people call it.
        hosts: domains that its IMAP servers' names end with.
        imap: host and port for IMAP, inside TLS unless ``starttls``.
        smtp: host and port for SMTP; 465 is inside TLS, others are upgraded by STARTTLS.
        starttls: IMAP begins in plain text and is upgraded.
        hint: what to check when a password was refused.
        oauth_hint: what to check when a token was refused; ``""`` for what holds anywhere.
        demands_id: it refuses every SELECT before an ID, even if it does not advertise ID.
        idle: whether it pushes new mail in IDLE.
        connections: how many one account may have open; ``None`` where none is known.
        sent: the mailbox of sent mail, as an account in English has it; ``""`` where unknown.
        trash: the mailbox of deleted mail, likewise.
        keeps_sent: it saves mail that was sent by SMTP in ``sent`` by itself.
        limits: what else a user should know, each a sentence without a full stop.
    """

    name: str = ""
    title: str = ""
    hosts: tuple[str, ...] = ()
    imap: tuple[str, int] = ("", 993)
    smtp: tuple[str, int] = ("", 587)
    starttls: bool = False
    hint: str
    oauth_hint: str = ""
    demands_id: bool = False
    idle: bool = True
    connections: int | None = None
    sent: str = ""
    trash: str = ""
    keeps_sent: bool = False
    limits: tuple[str, ...] = ()


ANY_LOGIN = "check IMAP_USERNAME and IMAP_PASSWORD"
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
        name="gmail",
        title="Gmail",
        hosts=("gmail.com", "googlemail.com"),
        imap=("imap.gmail.com", 993),
        smtp=("smtp.gmail.com", 587),
        hint="Gmail does not take the account's own password: set IMAP_PASSWORD to an app password "
        "(which needs 2-Step Verification), or use OAuth2 (token=)",
        oauth_hint="check that the token is for IMAP_USERNAME and has the scope "
        "https://mail.google.com/",
        connections=15,
        sent="[Gmail]/Sent Mail",
        trash="[Gmail]/Trash",
        keeps_sent=True,
        limits=(
            "it takes an app password or OAuth2",
            "it gives out 2,500 MB a day by IMAP",
            "a deleted message may only lose its label: IMAP_MOVE_TO=[Gmail]/Trash removes it",
        ),
    ),
    Provider(
        name="office365",
        title="Office 365",
        hosts=(
            *("outlook.com", "office365.com", "office.com", "hotmail.com", "live.com"),
            *("office365.us", "outlook.cn"),
        ),
        imap=("outlook.office365.com", 993),
        smtp=("smtp.office365.com", 587),
        hint="Microsoft has switched basic authentication off, so no password works here: use "
        "OAuth2 (token=)",
        oauth_hint="check that the token is for IMAP_USERNAME and has the scope "
        "IMAP.AccessAsUser.All, and that IMAP is enabled for the mailbox",
        sent="Sent Items",
        trash="Deleted Items",
        keeps_sent=True,
        limits=(
            "it takes OAuth2 only: passwords are switched off for nearly every account",
            "it stops pushing after about ten minutes of one IDLE, so IDLE is renewed before that",
        ),
    ),
    Provider(
        name="fastmail",
        title="Fastmail",
        hosts=("fastmail.com", "messagingengine.com"),
        imap=("imap.fastmail.com", 993),
        smtp=("smtp.fastmail.com", 465),
        hint=_APP_ONLY.format("Fastmail"),
        sent="Sent",
        trash="Trash",
        limits=("it takes an app password",),
    ),
    Provider(
        name="yahoo",
        title="Yahoo",
        hosts=("yahoo.com",),
        imap=("imap.mail.yahoo.com", 993),
        smtp=("smtp.mail.yahoo.com", 465),
        hint=_APP_ONLY.format("Yahoo"),
        idle=False,
        sent="Sent",
        trash="Trash",
        limits=(
            "it takes an app password",
            "it shows the newest 10,000 messages of a mailbox, and older ones as mail is removed",
        ),
    ),
    Provider(
        title="AOL",
        hosts=("aol.com",),
        hint=_APP_ONLY.format("AOL"),
        limits=("it takes an app password",),
    ),
    Provider(
        name="icloud",
        title="iCloud",
        hosts=("icloud.com", "me.com"),
        imap=("imap.mail.me.com", 993),
        smtp=("smtp.mail.me.com", 587),
        hint=_APP_ONLY.format("iCloud"),
        connections=5,
        sent="Sent Messages",
        trash="Deleted Messages",
        limits=("it takes an app-specific password",),
    ),
    Provider(
        name="zoho",
        title="Zoho",
        hosts=("zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.jp", "zohocloud.ca"),
        imap=("imap.zoho.com", 993),
        smtp=("smtp.zoho.com", 465),
        hint=_APP_ONLY.format("Zoho") + "; IMAP access must be on as well",
        sent="Sent",
        trash="Trash",
        limits=(
            "IMAP access is switched on in its web settings",
            "accounts of another region have servers of their own, such as imap.zoho.eu",
        ),
    ),
    Provider(
        name="qq",
        title="QQ Mail",
        hosts=("qq.com",),
        imap=("imap.qq.com", 993),
        smtp=("smtp.qq.com", 465),
        hint=_CODE_ONLY.format("QQ Mail"),
        sent="Sent Messages",
        trash="Deleted Messages",
        limits=("it takes an authorisation code, and IMAP is switched on in its web settings",),
    ),
    Provider(
        name="163",
        title="NetEase 163",
        hosts=("163.com", "126.com", "yeah.net", "188.com"),
        imap=("imap.163.com", 993),
        smtp=("smtp.163.com", 465),
        hint=_CODE_ONLY.format("NetEase"),
        demands_id=True,
        idle=False,
        sent="已发送",
        trash="已删除",
        limits=(
            "it takes an authorisation code, and IMAP is switched on in its web settings",
            "it opens a mailbox only after ID, in which nornmail gives its name and version",
        ),
    ),
    Provider(
        name="proton",
        title="Proton Mail Bridge",
        imap=("127.0.0.1", 1143),
        smtp=("127.0.0.1", 1025),
        starttls=True,
        hint="the Bridge has a password of its own: copy it from the Bridge's mailbox details",
        sent="Sent",
        trash="Trash",
        keeps_sent=True,
        limits=(
            "the Bridge must run on this machine, and has a password of its own",
            "its certificate is its own: export it, and set IMAP_CA_FILE and SMTP_CA_FILE",
        ),
    ),
)
"""The known providers. The first whose domain fits counts."""
UNKNOWN = Provider(hint=ANY_LOGIN)
SELF_HOSTED = "self-hosted"
"""The preset that fills in nothing: IMAP_HOST and SMTP_HOST say where the servers are."""
PRESETS: Mapping[str, Provider] = {
    provider.name: provider for provider in PROVIDERS if provider.name
}


def provider_of(host: str, port: int | None = None) -> Provider:
    """The provider whose IMAP server this is, :data:`UNKNOWN` if there is none.

    Args:
        host: the server's name.
        port: tells a bridge on this machine from other servers here.
    """
    name = "." + host.rstrip(".").lower()
    for provider in PROVIDERS:
        if any(name.endswith("." + domain) for domain in provider.hosts):
            return provider
        if provider.imap == (host, port):
            return provider
    return UNKNOWN


def preset(name: str) -> Provider | None:
    """The provider of that name; ``None`` for :data:`SELF_HOSTED`, of which nothing is known.

    Raises:
        ConfigurationError: there is no preset of this name.
    """
    word = name.strip().lower()
    if word == SELF_HOSTED:
        return None
    if word not in PRESETS:
        choices = ", ".join([*PRESETS, SELF_HOSTED])
        raise ConfigurationError(PRESET, name, f"must be one of {choices}, or not set")
    return PRESETS[word]


def with_preset(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, completed by its EMAIL_PRESET; variables that are set win.

    Port and TLS are filled in only together with the host: a server of the user's own must not get
    the port of another. Where no SMTP_USERNAME is set, name and password are those of IMAP, since
    it is one account.

    Raises:
        ConfigurationError: EMAIL_PRESET names no provider of the table.
    """
    name = environ.get(PRESET, "")
    provider = preset(name) if name.strip() else None
    if provider is None:
        return environ
    values = dict(environ)
    (imap_host, imap_port), (smtp_host, smtp_port) = provider.imap, provider.smtp
    upgrade = {"IMAP_USE_SSL": "false", "IMAP_STARTTLS": "true"} if provider.starttls else {}
    _fill(values, {"IMAP_HOST": imap_host, "IMAP_PORT": str(imap_port)} | upgrade)
    login = {}
    if not values.get("SMTP_USERNAME", "").strip():
        login = {
            "SMTP_USERNAME": values.get("IMAP_USERNAME", ""),
            "SMTP_PASSWORD": values.get("IMAP_PASSWORD", ""),
        }
    _fill(values, {"SMTP_HOST": smtp_host, "SMTP_PORT": str(smtp_port)} | login)
    return values


def describe(provider: Provider) -> str:
    """Describe what a user should know before mail depends on this provider, on one line."""
    facts = list(provider.limits)
    if provider.connections is not None:
        facts.append(f"it takes {provider.connections} connections of an account at most")
    if not provider.idle:
        facts.append("it does not push new mail (no IDLE)")
    if provider.sent and provider.trash:
        facts.append(f"sent mail is in {provider.sent!r}, deleted mail in {provider.trash!r}")
    return "; ".join(facts)


def _fill(values: dict[str, str], preset_values: dict[str, str]) -> None:
    """Set the variables that are not set, unless the first one, the host, has another value."""
    host, *_ = preset_values
    if values.get(host, "").strip() not in ("", preset_values[host]):
        return
    for variable, value in preset_values.items():
        if not values.get(variable, "").strip():
            values[variable] = value
