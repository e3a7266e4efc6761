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
class OAuthProvider:
    """The OAuth2 endpoints and scopes of a provider.

    Attributes:
        authorize: where a person consents (RFC 6749, 3.1).
        token: where tokens are given out (RFC 6749, 3.2).
        device: where a device asks for a code (RFC 8628); ``""`` for none.
        scopes: for a person's mailbox, with blanks between them.
        client_scopes: for a program with credentials of its own.
        parameters: further ones of the request for consent.
        redirect_host: this machine in the redirection: the form that the provider registers.
        issuer: as it names itself (RFC 9207); ``""`` if it does not.
        no_device: why there is no device code for mail.
        no_client: why a program cannot have credentials of its own.
        basic_auth: the client's secret goes into the Authorization header.
    """

    authorize: str
    token: str
    device: str = ""
    scopes: str = ""
    client_scopes: str = ""
    parameters: tuple[tuple[str, str], ...] = ()
    redirect_host: str = "127.0.0.1"
    issuer: str = ""
    no_device: str = ""
    no_client: str = ""
    basic_auth: bool = False


_MICROSOFT = "https://login.microsoftonline.com/{tenant}/oauth2/v2.0"
MICROSOFT = OAuthProvider(
    authorize=f"{_MICROSOFT}/authorize",
    token=f"{_MICROSOFT}/token",
    device=f"{_MICROSOFT}/devicecode",
    scopes="https://outlook.office.com/IMAP.AccessAsUser.All "
    "https://outlook.office.com/SMTP.Send offline_access",
    client_scopes="https://outlook.office365.com/.default",
    redirect_host="localhost",
)
GOOGLE = OAuthProvider(
    authorize="https://accounts.google.com/o/oauth2/v2/auth",
    token="https://oauth2.googleapis.com/token",  # noqa: S106  # a URL
    scopes="https://mail.google.com/",
    parameters=(("access_type", "offline"), ("prompt", "consent")),
    issuer="https://accounts.google.com",
    no_device="Google gives out no device code for the scope of mail",
    no_client="Google's service accounts sign their requests with RSA, for which the standard "
    "library has nothing: write a token= function with Google's own library",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A provider, known by a name, by the domains of its addresses and by its servers.

    Attributes:
        name: as EMAIL_PRESET has it; ``""`` where there is no preset.
        title: as people call it.
        hosts: domains that its IMAP servers' names end with.
        domains: of its addresses; left out, they are ``hosts``.
        imap: host and port for IMAP, inside TLS unless ``starttls``.
        smtp: host and port for SMTP; 465 is inside TLS, others are upgraded by STARTTLS.
        starttls: IMAP begins in plain text and is upgraded.
        login: the login name, in words.
        takes: the password that it takes at the login, and where that is made, in words.
        source: the page with these facts.
        hint: what to check when a password was refused.
        oauth_hint: what to check when a token was refused; ``""`` for what holds anywhere.
        oauth: its OAuth2 endpoints; ``None`` where it takes passwords.
        demands_id: it refuses every SELECT before an ID, even if it does not advertise ID.
        idle: whether it pushes new mail in IDLE.
        connections: how many one account may have open; ``None`` where none is known.
        sent: the mailbox of sent mail, as a new account has it; ``""`` where unknown.
        trash: the mailbox of deleted mail, likewise.
        keeps_sent: it saves mail that was sent by SMTP in ``sent`` by itself.
        limits: what else a user should know, each a sentence without a full stop.
    """

    name: str = ""
    title: str = ""
    hosts: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    imap: tuple[str, int] = ("", 993)
    smtp: tuple[str, int] = ("", 587)
    starttls: bool = False
    login: str = "the address"
    takes: str = ""
    source: str = ""
    hint: str = ""
    oauth_hint: str = ""
    oauth: OAuthProvider | None = None
    demands_id: bool = False
    idle: bool = True
    connections: int | None = None
    sent: str = "Sent"
    trash: str = "Trash"
    keeps_sent: bool = False
    limits: tuple[str, ...] = ()


ANY_LOGIN = "check IMAP_USERNAME and IMAP_PASSWORD"
UNKNOWN_LOGIN = f"{ANY_LOGIN}: many providers require an app password here, not the account's own"
OWN = "the account's own"
OWN_OR_APP = f"{OWN}; an app password where two-factor login is on"
POP3_IMAP = "IMAP is switched on in its web settings, under POP3/IMAP; a NO may mean that"
_MICROSOFT_DATES = (
    "Microsoft takes no password for IMAP any more, and from the end of December 2026 none for "
    "SMTP by default (administrators may switch it on again; in the second half of 2027 Microsoft "
    "announces when that ends)"
)

PROVIDERS: tuple[Provider, ...] = (
    Provider(
        name="gmail",
        title="Gmail",
        hosts=("gmail.com", "googlemail.com"),
        imap=("imap.gmail.com", 993),
        smtp=("smtp.gmail.com", 587),
        takes="an app password, from myaccount.google.com/apppasswords (needs 2-Step "
        "Verification), or OAuth2",
        source="https://support.google.com/mail/answer/7126229",
        hint="Gmail does not take the account's own password: set IMAP_PASSWORD to an app password "
        "(which needs 2-Step Verification), or use OAuth2: run `nornmail login gmail` and set "
        "NORNMAIL_OAUTH_FILE",
        oauth_hint="check that the token is for IMAP_USERNAME and has the scope "
        "https://mail.google.com/",
        oauth=GOOGLE,
        connections=15,
        sent="[Gmail]/Sent Mail",
        trash="[Gmail]/Trash",
        keeps_sent=True,
        limits=(
            "IMAP downloads are limited to 2,500 MB a day",
            "a deleted message may only lose its label: IMAP_MOVE_TO=[Gmail]/Trash removes it",
        ),
    ),
    Provider(
        name="office365",
        title="Office 365",
        hosts=("office365.com", "office.com", "office365.us", "outlook.cn"),
        domains=("office365.com", "onmicrosoft.com"),
        imap=("outlook.office365.com", 993),
        smtp=("smtp.office365.com", 587),
        takes="none: OAuth2, by `nornmail login office365`",
        source="https://learn.microsoft.com/exchange/clients-and-mobile-in-exchange-online/"
        "deprecation-of-basic-authentication-exchange-online",
        hint=f"{_MICROSOFT_DATES}; use OAuth2: run `nornmail login office365` and set "
        "NORNMAIL_OAUTH_FILE",
        oauth_hint="check that the token is for IMAP_USERNAME and has the scope "
        "IMAP.AccessAsUser.All (to send, SMTP.Send), and that IMAP is enabled for the mailbox",
        oauth=MICROSOFT,
        sent="Sent Items",
        trash="Deleted Items",
        keeps_sent=True,
        limits=(
            "passwords are switched off for IMAP, and end for SMTP in December 2026",
            "it stops pushing after about ten minutes of one IDLE, so IDLE is renewed before that",
        ),
    ),
    Provider(
        name="outlook",
        title="Outlook.com",
        hosts=("outlook.com", "hotmail.com", "live.com"),
        domains=("outlook.com", "hotmail.com", "live.com", "msn.com"),
        imap=("outlook.office365.com", 993),
        smtp=("smtp-mail.outlook.com", 587),
        takes="none: OAuth2, by `nornmail login outlook --tenant consumers`",
        source="https://support.microsoft.com/office/d088b986-291d-42b8-9564-9c414e2aa040",
        hint=f"{_MICROSOFT_DATES}; use OAuth2: run `nornmail login outlook --tenant consumers` "
        "and set NORNMAIL_OAUTH_FILE",
        oauth=MICROSOFT,
        trash="Deleted",
        keeps_sent=True,
        limits=("IMAP is switched on in its web settings, under Forwarding and IMAP",),
    ),
    Provider(
        name="fastmail",
        title="Fastmail",
        hosts=("fastmail.com", "messagingengine.com"),
        domains=("fastmail.com", "fastmail.fm"),
        imap=("imap.fastmail.com", 993),
        smtp=("smtp.fastmail.com", 465),
        takes="an app password, from Settings, Privacy & Security",
        source="https://www.fastmail.help/hc/en-us/articles/1500000278342",
    ),
    Provider(
        name="yahoo",
        title="Yahoo",
        hosts=("yahoo.com",),
        domains=("yahoo.com", "ymail.com", "rocketmail.com", "yahoo.co.uk", "yahoo.de", "yahoo.fr"),
        imap=("imap.mail.yahoo.com", 993),
        smtp=("smtp.mail.yahoo.com", 465),
        takes="an app password, from Account Security",
        source="https://help.yahoo.com/kb/new-mail-for-desktop/imap-server-settings-yahoo-mail-sln4075.html",
        idle=False,
        limits=(
            "it shows the newest 10,000 messages of a mailbox; older ones appear as mail is "
            "removed",
        ),
    ),
    Provider(
        name="aol",
        title="AOL",
        hosts=("aol.com",),
        imap=("imap.aol.com", 993),
        smtp=("smtp.aol.com", 465),
        takes="an app password, from Account Security",
        source="https://help.aol.com/articles/how-do-i-use-other-email-applications-to-send-and-receive-my-aol-mail",
    ),
    Provider(
        name="icloud",
        title="iCloud",
        hosts=("icloud.com", "me.com"),
        domains=("icloud.com", "me.com", "mac.com"),
        imap=("imap.mail.me.com", 993),
        smtp=("smtp.mail.me.com", 587),
        login="the address (for IMAP also the name before the @)",
        takes="an app-specific password, from account.apple.com",
        source="https://support.apple.com/102525",
        connections=5,
        sent="Sent Messages",
        trash="Deleted Messages",
    ),
    Provider(
        name="zoho",
        title="Zoho",
        hosts=("zoho.com", "zoho.eu", "zoho.in", "zoho.com.au", "zoho.jp", "zohocloud.ca"),
        domains=("zoho.com", "zohomail.com"),
        imap=("imap.zoho.com", 993),
        smtp=("smtp.zoho.com", 465),
        takes="an app password, from accounts.zoho.com, Security",
        source="https://www.zoho.com/mail/help/imap-access.html",
        limits=(
            "IMAP access is switched on in its web settings",
            "accounts of another region have servers of their own, such as imap.zoho.eu",
        ),
    ),
    Provider(
        name="gmx",
        title="GMX",
        hosts=("gmx.net",),
        domains=("gmx.de", "gmx.net", "gmx.at", "gmx.ch"),
        imap=("imap.gmx.net", 993),
        smtp=("mail.gmx.net", 465),
        takes=OWN_OR_APP,
        source="https://hilfe.gmx.net/pop-imap/imap/imap-serverdaten.html",
        sent="Gesendet",
        trash="Gelöscht",
        limits=(POP3_IMAP,),
    ),
    Provider(
        name="gmx.com",
        title="GMX (international)",
        hosts=("gmx.com",),
        domains=("gmx.com", "gmx.us", "gmx.co.uk", "gmx.fr", "gmx.es"),
        imap=("imap.gmx.com", 993),
        smtp=("mail.gmx.com", 465),
        takes=OWN_OR_APP,
        source="https://support.gmx.com/pop-imap/",
        limits=(POP3_IMAP,),
    ),
    Provider(
        name="web.de",
        title="WEB.DE",
        hosts=("web.de",),
        imap=("imap.web.de", 993),
        smtp=("smtp.web.de", 465),
        takes=OWN_OR_APP,
        source="https://hilfe.web.de/pop-imap/imap/imap-serverdaten.html",
        sent="Gesendet",
        trash="Papierkorb",
        limits=(POP3_IMAP,),
    ),
    Provider(
        name="ionos",
        title="IONOS",
        hosts=("ionos.com", "ionos.de", "ionos.co.uk", "ionos.fr", "ionos.es", "ionos.it"),
        domains=("online.de", "onlinehome.de"),
        imap=("imap.ionos.com", 993),
        smtp=("smtp.ionos.com", 465),
        takes=OWN,
        source="https://www.ionos.com/help/index.php?id=2490",
        sent="Sent Items",
        limits=(
            "contracts of another country have servers and mailbox names of their own, such as "
            "imap.ionos.de and Gesendete Objekte",
        ),
    ),
    Provider(
        name="strato",
        title="Strato",
        hosts=("strato.de", "strato.com"),
        imap=("imap.strato.de", 993),
        smtp=("smtp.strato.de", 465),
        takes=OWN,
        source="https://www.strato.de/faq/mail/externes-e-mail-programm-mit-strato-e-mail-adresse-nutzen/",
        sent="Sent Items",
    ),
    Provider(
        name="mailbox.org",
        title="mailbox.org",
        hosts=("mailbox.org",),
        imap=("imap.mailbox.org", 993),
        smtp=("smtp.mailbox.org", 465),
        takes=OWN_OR_APP,
        source="https://kb.mailbox.org/de/privat/e-mail/e-mail-konfiguration/",
    ),
    Provider(
        name="posteo",
        title="Posteo",
        hosts=("posteo.de",),
        domains=("posteo.de", "posteo.net", "posteo.org", "posteo.eu", "posteo.at", "posteo.ch"),
        imap=("posteo.de", 993),
        smtp=("posteo.de", 465),
        takes=OWN,
        source="https://posteo.de/hilfe/wie-richte-ich-posteo-in-einem-mailprogramm-ein-pop3-imap-und-smtp",
    ),
    Provider(
        name="yandex",
        title="Yandex",
        hosts=("yandex.com", "yandex.ru"),
        domains=("yandex.com", "yandex.ru", "ya.ru", "yandex.by", "yandex.kz"),
        imap=("imap.yandex.com", 993),
        smtp=("smtp.yandex.com", 465),
        takes="an app password for mail, from id.yandex.com, Security",
        source="https://yandex.com/support/mail/",
        limits=("IMAP is switched on in its web settings, under Email clients",),
    ),
    Provider(
        name="mail.ru",
        title="Mail.ru",
        hosts=("mail.ru",),
        domains=("mail.ru", "inbox.ru", "list.ru", "bk.ru", "internet.ru"),
        imap=("imap.mail.ru", 993),
        smtp=("smtp.mail.ru", 465),
        takes="a password for external applications, from account.mail.ru, Security",
        source="https://help.mail.ru/mail/mailer/popsmtp/",
        sent="Отправленные",
        trash="Корзина",
    ),
    Provider(
        name="purelymail",
        title="Purelymail",
        hosts=("purelymail.com",),
        imap=("imap.purelymail.com", 993),
        smtp=("smtp.purelymail.com", 465),
        takes="the user's own; an app password where two-factor login is on",
        source="https://purelymail.com/docs/users",
    ),
    Provider(
        name="migadu",
        title="Migadu",
        hosts=("migadu.com",),
        imap=("imap.migadu.com", 993),
        smtp=("smtp.migadu.com", 465),
        takes="the mailbox's own",
        source="https://www.migadu.com/guides/imap/",
        limits=("each plan limits the messages sent per day",),
    ),
    Provider(
        name="hostinger",
        title="Hostinger",
        hosts=("hostinger.com",),
        imap=("imap.hostinger.com", 993),
        smtp=("smtp.hostinger.com", 465),
        takes="the mailbox's own",
        source="https://www.hostinger.com/support/",
        sent="INBOX.Sent",
        trash="INBOX.Trash",
        limits=("each plan limits the messages sent per day",),
    ),
    Provider(
        name="ovh",
        title="OVH",
        hosts=("ovh.net", "ovh.com"),
        imap=("ssl0.ovh.net", 993),
        smtp=("ssl0.ovh.net", 465),
        takes="the mailbox's own",
        source="https://help.ovhcloud.com/",
        limits=(
            "it is for MX Plan; Email Pro, Exchange and Zimbra have servers of their own, as the "
            "control panel names them",
        ),
    ),
    Provider(
        name="agentmail",
        title="AgentMail",
        hosts=("agentmail.to",),
        imap=("imap.agentmail.to", 993),
        smtp=("smtp.agentmail.to", 465),
        login="the inbox's address",
        takes="an API key, from console.agentmail.to",
        source="https://docs.agentmail.to/imap-smtp",
    ),
    Provider(
        name="qq",
        title="QQ Mail",
        hosts=("qq.com",),
        domains=("qq.com", "foxmail.com"),
        imap=("imap.qq.com", 993),
        smtp=("smtp.qq.com", 465),
        takes="an authorisation code, from its web settings, where IMAP is switched on",
        source="https://service.mail.qq.com/",
        sent="Sent Messages",
        trash="Deleted Messages",
    ),
    Provider(
        name="163",
        title="NetEase 163",
        hosts=("163.com", "126.com", "yeah.net", "188.com"),
        domains=("163.com",),
        imap=("imap.163.com", 993),
        smtp=("smtp.163.com", 465),
        takes="an authorisation code, from its web settings, where IMAP is switched on",
        source="https://help.mail.163.com/",
        demands_id=True,
        idle=False,
        sent="已发送",
        trash="已删除",
        limits=(
            "it opens a mailbox only after the command ID, which nornmail sends with its name and "
            "version",
        ),
    ),
    Provider(
        name="proton",
        title="Proton Mail Bridge",
        domains=("proton.me", "protonmail.com", "pm.me"),
        imap=("127.0.0.1", 1143),
        smtp=("127.0.0.1", 1025),
        starttls=True,
        takes="the Bridge's own, from its mailbox details",
        source="https://proton.me/support/imap-smtp-and-pop3-setup",
        keeps_sent=True,
        limits=(
            "the Bridge must run on this machine, and has a password of its own",
            "its certificate is self-signed: export it, and set IMAP_CA_FILE and SMTP_CA_FILE",
        ),
    ),
)
"""The known providers. The first whose domain fits counts."""
UNKNOWN = Provider(sent="", trash="")
SELF_HOSTED = "self-hosted"
"""The preset that fills in nothing: IMAP_HOST and SMTP_HOST say where the servers are."""
PRESETS: Mapping[str, Provider] = {
    provider.name: provider for provider in PROVIDERS if provider.name
}


def provider_of(host: str, port: int | None = None) -> Provider:
    """The provider whose IMAP server this is, :data:`UNKNOWN` if there is none.

    Args:
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

    Args:
        name: a preset's, or an address, whose domain decides.

    Raises:
        ConfigurationError: there is no preset of this name.
    """
    word = name.strip().lower()
    if word == SELF_HOSTED:
        return None
    if "@" in word:
        return _provider_of_address(word)
    if word not in PRESETS:
        choices = ", ".join([*PRESETS, SELF_HOSTED])
        raise ConfigurationError(PRESET, name, f"must be one of {choices}, or not set")
    return PRESETS[word]


def _provider_of_address(address: str) -> Provider:
    domain = address.rpartition("@")[2]
    for provider in PRESETS.values():
        if domain in (provider.domains or provider.hosts):
            return provider
    raise ConfigurationError(
        "address",
        address,
        f"no provider of {domain} is known, and DNS is not asked for one (the standard library "
        "cannot look up SRV records): set IMAP_HOST and SMTP_HOST, or EMAIL_PRESET to the provider "
        "behind the domain",
    )


def password_hint(provider: Provider) -> str:
    """The advice when the provider refused a password."""
    if provider.hint or not provider.title:
        return provider.hint or UNKNOWN_LOGIN
    if OWN in provider.takes:
        return f"{ANY_LOGIN}: {provider.title} takes {provider.takes}"
    return f"{provider.title} does not take the account's own password: set IMAP_PASSWORD to " + (
        provider.takes
    )


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
            "SMTP_OAUTH_FILE": values.get("IMAP_OAUTH_FILE", ""),
        }
    _fill(values, {"SMTP_HOST": smtp_host, "SMTP_PORT": str(smtp_port)} | login)
    return values


def describe(provider: Provider) -> str:
    """Describe what a user should know before mail depends on this provider, on one line."""
    facts = [f"it takes {provider.takes}", *provider.limits]
    if provider.login != "the address":
        facts.insert(0, f"the login name is {provider.login}")
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
