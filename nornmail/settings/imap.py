"""IMAP settings: where the mailbox is, and what happens to mail that was handled.

The names and defaults of the environment are those of the IMAP/SMTP setup guide.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, Literal

from nornmail.errors import ConfigurationError
from nornmail.settings.fields import (
    COUNT,
    DAYS,
    MAX_TIMEOUT,
    OPTIONAL_TEXT,
    PORT,
    RETENTION_DAYS,
    SECONDS,
    SWITCH,
    TEXT,
    TOKEN,
    DomainRules,
    ServerSettings,
    ValueKind,
    check_one_secret,
    check_retention,
    check_server,
    check_settings,
    read_domain_rules,
    setting,
)

if TYPE_CHECKING:
    from nornmail.settings.providers import Provider

StartFrom = Literal["all", "new"] | date | None
UidValidityPolicy = Literal["dedupe", "replay", "baseline"]

TLS_PORT = 993
"""IMAP inside TLS from the first octet (RFC 8314)."""
PLAIN_PORT = 143
"""IMAP that begins in plain text (RFC 3501)."""
MAX_POLL_INTERVAL = 86_400.0
"""Seconds. Less than one poll a day is a mistake in the unit."""
IDLE_RENEWAL = 540.0
"""Seconds after which an IDLE is ended and another begun. Exchange stops pushing after about ten
minutes without a word."""
MAX_IDLE_RENEWAL = 1_740.0
"""Seconds. RFC 2177 wants an IDLE renewed at least every 29 minutes: servers hang up after 30."""
MAX_WORKERS = 256
"""Calls of a handler at a time: each has a thread, and a message in memory."""
UIDVALIDITY_POLICIES: tuple[UidValidityPolicy, ...] = ("dedupe", "replay", "baseline")


_AUTHSERV_ID = r"[^\s;=()\"]+"


def _read_start(variable: str, text: str) -> StartFrom:
    word = text.strip().lower()
    if word == "all" or word == "new":
        return "all" if word == "all" else "new"
    for reader in (date.fromisoformat, datetime.fromisoformat):
        try:
            return reader(text.strip())
        except ValueError:
            continue
    raise ConfigurationError(variable, text, "must be all, new, or a date such as 2026-01-31")


_START = ValueKind(_read_start, lambda _value: True, "")  # check_start_from() has the one list
_POLICY = ValueKind(lambda _variable, text: text, lambda _value: True, "")


@dataclass(frozen=True, kw_only=True)
class ImapSettings(ServerSettings):
    r"""IMAP settings: where the mailbox is, and what happens there to mail that was handled.

    Each attribute is also a variable of the environment (in brackets) for
    :meth:`from_env`.

    Attributes:
        host: the IMAP server's name, as its certificate has it [IMAP_HOST, required].
        port: 993 for TLS, 143 for plain text [IMAP_PORT]; left out, it follows ``use_ssl``.
        username: the login name, which need not be the address [IMAP_USERNAME].
        password: hidden in ``repr`` [IMAP_PASSWORD].
        token: instead of a password, a function that returns an OAuth2 access token. It is called
            before each connection, in the thread that makes it, and once more when the server
            refuses the token. If it raises, the connection is tried again later. In the environment
            it is a token file, which :class:`~nornmail.net.oauth.OAuthTokens` reads; without a
            user name it is for the account of that file. Hidden in ``repr``
            [IMAP_OAUTH_FILE, or NORNMAIL_OAUTH_FILE for IMAP and SMTP].
        use_ssl: TLS from the first octet; certificate and host name are always checked
            [IMAP_USE_SSL, true].
        starttls: upgrade a plain port to TLS, and fail where that is impossible; needs
            ``use_ssl=False`` [IMAP_STARTTLS, false].
        ca_file: a private certification authority in PEM [IMAP_CA_FILE].
        poll_interval: seconds between two polls [IMAP_POLL_INTERVAL, 60].
        mailbox: which mailbox is read [IMAP_MAILBOX, INBOX].
        mark_as_read: set ``\Seen`` on a message once it was handled [IMAP_MARK_AS_READ, true].
        delete_after_fetch: delete a message once it was handled; needs ``mark_as_read``
            [IMAP_DELETE_AFTER_FETCH, false].
        move_to: the mailbox that handled messages are moved to; it is made when it is missing;
            not together with ``delete_after_fetch`` [IMAP_MOVE_TO].
        start_from: which existing mail the first run delivers: ``"all"``, ``"new"`` (none of it) or
            since a date [IMAP_START_FROM: all, new, or YYYY-MM-DD]. Not set, it means all, up to
            1,000.
        on_uidvalidity_change: ``"dedupe"``, ``"replay"`` or ``"baseline"``
            [IMAP_ON_UIDVALIDITY_CHANGE, dedupe].
        idle_renewal: seconds after which IDLE is renewed, where the poller's interval is
            longer [IMAP_IDLE_RENEWAL, 540].
        timeout: seconds that a command may take beyond what its size needs [IMAP_TIMEOUT, 60].
        authserv_id: the name under which the account's own server writes Authentication-Results
            (RFC 8601), as ``mx.google.com``; without it ``message.authentication`` is always
            "unverified" [IMAP_AUTHSERV_ID].
        domain_allowlist: regular expressions, separated by commas, one of which must match the
            whole domain of the sender; other mail is passed over and left as it is
            [INBOUND_DOMAIN_ALLOWLIST].
        domain_blocklist: the same for domains whose mail is passed over; it wins
            [INBOUND_DOMAIN_BLOCKLIST].
        retention: days for which the store keeps what is known of handled and passed-over mail;
            0 keeps it for ever [NORNMAIL_RETENTION, 90].
        workers: how many calls of ``on_message`` may run side by side [NORNMAIL_WORKERS, 1].

    Raises:
        ConfigurationError: a value is wrong, or two do not go together.
    """

    host: str = setting("IMAP_HOST", "", TEXT)
    port: int = setting("IMAP_PORT", 0, PORT)
    username: str | None = setting("IMAP_USERNAME", None, OPTIONAL_TEXT)
    password: str | None = setting("IMAP_PASSWORD", None, OPTIONAL_TEXT, secret=True)
    token: Callable[[], str] | None = setting("IMAP_OAUTH_FILE", None, TOKEN, secret=True)
    use_ssl: bool = setting("IMAP_USE_SSL", True, SWITCH)
    starttls: bool = setting("IMAP_STARTTLS", False, SWITCH)
    ca_file: str | None = setting("IMAP_CA_FILE", None, OPTIONAL_TEXT)
    poll_interval: float = setting("IMAP_POLL_INTERVAL", 60, SECONDS, most=MAX_POLL_INTERVAL)
    mailbox: str = setting("IMAP_MAILBOX", "INBOX", TEXT)
    mark_as_read: bool = setting("IMAP_MARK_AS_READ", True, SWITCH)
    delete_after_fetch: bool = setting("IMAP_DELETE_AFTER_FETCH", False, SWITCH)
    move_to: str | None = setting("IMAP_MOVE_TO", None, OPTIONAL_TEXT)
    start_from: StartFrom = setting("IMAP_START_FROM", None, _START)
    on_uidvalidity_change: UidValidityPolicy = setting(
        "IMAP_ON_UIDVALIDITY_CHANGE", "dedupe", _POLICY
    )
    idle_renewal: float = setting("IMAP_IDLE_RENEWAL", IDLE_RENEWAL, SECONDS, most=MAX_IDLE_RENEWAL)
    timeout: float = setting("IMAP_TIMEOUT", 60.0, SECONDS, most=MAX_TIMEOUT)
    authserv_id: str | None = setting("IMAP_AUTHSERV_ID", None, OPTIONAL_TEXT)
    domain_allowlist: str | None = setting("INBOUND_DOMAIN_ALLOWLIST", None, OPTIONAL_TEXT)
    domain_blocklist: str | None = setting("INBOUND_DOMAIN_BLOCKLIST", None, OPTIONAL_TEXT)
    retention: float = setting("NORNMAIL_RETENTION", RETENTION_DAYS, DAYS)
    workers: int = setting("NORNMAIL_WORKERS", 1, COUNT)

    def __post_init__(self) -> None:
        if self.port == 0:
            object.__setattr__(self, "port", TLS_PORT if self.use_ssl else PLAIN_PORT)
        object.__setattr__(self, "start_from", read_start_from(self.start_from))
        check_settings(self)
        _check_values(self)
        _check_pairs(self)

    @property
    def domain_rules(self) -> DomainRules:
        """The domains of senders that are allowed."""
        return read_domain_rules("INBOUND", self.domain_allowlist, self.domain_blocklist)

    @property
    def account(self) -> str:
        """``username@host``: the name under which a store keeps this account's state."""
        return f"{self.username or ''}@{self.host}"

    @classmethod
    def _of_provider(cls, provider: Provider) -> dict[str, Any]:
        host, port = provider.imap
        starttls = provider.starttls
        return {"host": host, "port": port, "use_ssl": not starttls, "starttls": starttls}


def _check_values(settings: ImapSettings) -> None:
    check_server("IMAP", settings.host, settings.port)
    if not settings.mailbox:
        raise ConfigurationError("IMAP_MAILBOX", None, "set it to a mailbox, such as INBOX")
    if settings.authserv_id is not None and not re.fullmatch(_AUTHSERV_ID, settings.authserv_id):
        allowed = "must be one name, the one that Authentication-Results of your mail begin with"
        raise ConfigurationError("IMAP_AUTHSERV_ID", settings.authserv_id, allowed)
    check_uidvalidity_policy(settings.on_uidvalidity_change)
    check_start_from(settings.start_from)
    check_retention(settings.retention)
    check_workers(settings.workers)
    read_domain_rules("INBOUND", settings.domain_allowlist, settings.domain_blocklist)


def check_workers(workers: object) -> None:
    """Refuse a number of ``workers`` that is not a number, or out of bounds."""
    if type(workers) is not int or not 1 <= workers <= MAX_WORKERS:
        accepted = f"must be a whole number from 1 to {MAX_WORKERS}"
        raise ConfigurationError("NORNMAIL_WORKERS", workers, accepted)


def check_uidvalidity_policy(policy: object) -> None:
    """Refuse an unknown ``on_uidvalidity_change``."""
    if policy not in UIDVALIDITY_POLICIES:
        raise ConfigurationError(
            "IMAP_ON_UIDVALIDITY_CHANGE", policy, "must be " + ", ".join(UIDVALIDITY_POLICIES)
        )


def check_start_from(start: object) -> None:
    """Refuse an unknown ``start_from``."""
    if start is None or start in ("all", "new") or isinstance(start, date):
        return
    raise ConfigurationError("IMAP_START_FROM", start, 'must be "all", "new" or a date')


def read_start_from(start: object) -> StartFrom:
    """``start_from`` as a value; a text such as 2026-01-31 is a date."""
    if isinstance(start, str) and start not in ("all", "new"):
        try:
            return _read_start("IMAP_START_FROM", start)
        except ConfigurationError:
            check_start_from(start)
    check_start_from(start)
    return start  # type: ignore[return-value] # checked just now


def start_instant(start: date) -> float:
    """A date as seconds since 1970 UTC; without a zone it is UTC."""
    if not isinstance(start, datetime):
        start = datetime(start.year, start.month, start.day, tzinfo=UTC)
    elif start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    return start.timestamp()


def _check_pairs(settings: ImapSettings) -> None:
    """Refuse settings that contradict each other."""
    check_one_secret("IMAP", settings.password, settings.token)
    if settings.delete_after_fetch and not settings.mark_as_read:
        raise ConfigurationError(
            "IMAP_DELETE_AFTER_FETCH",
            True,
            "needs IMAP_MARK_AS_READ=true (it is false): a message that must not be marked "
            "as read must not be deleted either",
        )
    if settings.starttls and settings.use_ssl:
        raise ConfigurationError(
            "IMAP_STARTTLS",
            True,
            "upgrades a plain port, so it needs IMAP_USE_SSL=false (it is true)",
        )
    if settings.move_to is None:
        return
    if not settings.move_to:
        raise ConfigurationError("IMAP_MOVE_TO", "", "must name a mailbox, or not be set")
    if settings.delete_after_fetch:
        raise ConfigurationError(
            "IMAP_MOVE_TO",
            settings.move_to,
            "cannot be combined with IMAP_DELETE_AFTER_FETCH=true: choose one of the two",
        )
    if same_mailbox(settings.move_to, settings.mailbox):
        raise ConfigurationError(
            "IMAP_MOVE_TO", settings.move_to, "must be a different mailbox from IMAP_MAILBOX"
        )


def same_mailbox(name: str, other: str) -> bool:
    """Whether two names are one mailbox: INBOX is the only name without case (RFC 3501, 5.1)."""
    return name == other or (name.upper() == "INBOX" and other.upper() == "INBOX")
