"""SMTP settings: where mail is submitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nornmail.errors import ConfigurationError
from nornmail.settings.fields import (
    DAYS,
    MAX_TIMEOUT,
    OPTIONAL_COUNT,
    OPTIONAL_SWITCH,
    OPTIONAL_TEXT,
    PORT,
    RETENTION_DAYS,
    SECONDS,
    SWITCH,
    TEXT,
    TOKEN,
    DomainRules,
    ServerSettings,
    check_one_secret,
    check_retention,
    check_server,
    check_settings,
    completed,
    read_domain_rules,
    setting,
)

if TYPE_CHECKING:
    from nornmail.settings.providers import Provider

SUBMISSION_PORT = 587
"""Submission that begins in plain text and is upgraded by STARTTLS (RFC 6409)."""
SUBMISSIONS_PORT = 465
"""Submission inside TLS from the first octet (RFC 8314)."""


@dataclass(frozen=True, kw_only=True)
class SmtpSettings(ServerSettings):
    """SMTP settings: where mail is submitted, and as whom.

    Each attribute is also a variable of the environment (in brackets) for
    :meth:`from_env`.

    Attributes:
        host: the SMTP server's name, as its certificate has it [SMTP_HOST, required].
        port: 587; 465 is TLS from the first octet, and on every other port STARTTLS must succeed
            [SMTP_PORT, 587].
        username: the login name; without one there is no login [SMTP_USERNAME].
        password: hidden in ``repr`` [SMTP_PASSWORD].
        token: instead of a password, a function that returns an OAuth2 access token. It is called
            at each connect, and once more when the server refuses the token. In the environment it
            is a token file, as for IMAP. Hidden in ``repr``
            [SMTP_OAUTH_FILE, or NORNMAIL_OAUTH_FILE for IMAP and SMTP].
        sender: the default sender, as ``agent@example.com`` or ``Agent
            <agent@example.com>``; without it the user name, if that is an address [SMTP_FROM].
        use_tls: certificate and host name are always checked; false sends everything in clear,
            the password included, and cannot be combined with port 465 [SMTP_USE_TLS, true].
        use_ssl: TLS from the first octet, as on port 465, or not; not set, the port decides
            [SMTP_USE_SSL].
        ca_file: a private certification authority in PEM [SMTP_CA_FILE].
        timeout: seconds that the server may take to answer [SMTP_TIMEOUT, 60].
        allowed_recipients: addresses and domains (``@example.com``) that mail may go to, separated
            by commas; without it, all [SMTP_ALLOWED_RECIPIENTS].
        domain_allowlist: regular expressions, separated by commas, one of which must match the
            whole domain of each recipient [OUTBOUND_DOMAIN_ALLOWLIST].
        domain_blocklist: the same for domains that get nothing; it wins
            [OUTBOUND_DOMAIN_BLOCKLIST].
        per_minute: messages that go out within any minute; 0 means no limit; not set, that of
            :class:`~nornmail.outbox.transitions.SendLimits` [GLOBAL_SEND_RATE_LIMIT_PER_MINUTE].
        per_hour: the same for an hour [GLOBAL_SEND_RATE_LIMIT_PER_HOUR].
        retention: days for which the store keeps sent messages, 30 at least; 0 keeps them for ever
            [NORNMAIL_RETENTION, 90].

    Raises:
        ConfigurationError: a value is wrong, or two do not go together.
    """

    host: str = setting("SMTP_HOST", "", TEXT)
    port: int = setting("SMTP_PORT", SUBMISSION_PORT, PORT)
    username: str | None = setting("SMTP_USERNAME", None, OPTIONAL_TEXT)
    password: str | None = setting("SMTP_PASSWORD", None, OPTIONAL_TEXT, secret=True)
    token: Callable[[], str] | None = setting("SMTP_OAUTH_FILE", None, TOKEN, secret=True)
    sender: str | None = setting("SMTP_FROM", None, OPTIONAL_TEXT)
    use_tls: bool = setting("SMTP_USE_TLS", True, SWITCH)
    use_ssl: bool | None = setting("SMTP_USE_SSL", None, OPTIONAL_SWITCH)
    ca_file: str | None = setting("SMTP_CA_FILE", None, OPTIONAL_TEXT)
    timeout: float = setting("SMTP_TIMEOUT", 60.0, SECONDS, most=MAX_TIMEOUT)
    allowed_recipients: str | None = setting("SMTP_ALLOWED_RECIPIENTS", None, OPTIONAL_TEXT)
    domain_allowlist: str | None = setting("OUTBOUND_DOMAIN_ALLOWLIST", None, OPTIONAL_TEXT)
    domain_blocklist: str | None = setting("OUTBOUND_DOMAIN_BLOCKLIST", None, OPTIONAL_TEXT)
    per_minute: int | None = setting("GLOBAL_SEND_RATE_LIMIT_PER_MINUTE", None, OPTIONAL_COUNT)
    per_hour: int | None = setting("GLOBAL_SEND_RATE_LIMIT_PER_HOUR", None, OPTIONAL_COUNT)
    retention: float = setting("NORNMAIL_RETENTION", RETENTION_DAYS, DAYS)

    def __post_init__(self) -> None:
        check_settings(self)
        check_server("SMTP", self.host, self.port)
        check_retention(self.retention)
        if self.sender is not None and "@" not in self.sender:
            raise ConfigurationError("SMTP_FROM", self.sender, "must be an address")
        if self.implicit_tls and not self.use_tls:
            cause = "SMTP_USE_SSL=true" if self.use_ssl else f"SMTP_PORT={SUBMISSIONS_PORT}"
            raise ConfigurationError(
                "SMTP_USE_TLS",
                "false",
                f"cannot be combined with {cause}, which is TLS from the first octet: change one "
                "of the two",
            )
        if self.password is not None and self.username is None:
            raise ConfigurationError(
                "SMTP_USERNAME", None, "SMTP_PASSWORD is set and needs a user name"
            )
        if self.token is not None and self.username is None:
            raise ConfigurationError("SMTP_USERNAME", None, "token= is given and needs a user name")
        check_one_secret("SMTP", self.password, self.token)
        read_domain_rules("OUTBOUND", self.domain_allowlist, self.domain_blocklist)

    @property
    def domain_rules(self) -> DomainRules:
        """The domains of recipients that are allowed."""
        return read_domain_rules("OUTBOUND", self.domain_allowlist, self.domain_blocklist)

    @property
    def implicit_tls(self) -> bool:
        """Whether TLS begins with the first octet."""
        return self.port == SUBMISSIONS_PORT if self.use_ssl is None else self.use_ssl

    @classmethod
    def _of_provider(cls, provider: Provider) -> dict[str, Any]:
        return {"host": provider.smtp[0], "port": provider.smtp[1]}

    @staticmethod
    def named_in(environ: Mapping[str, str]) -> bool:
        """Whether this environment names an SMTP server, itself or by a preset.

        Raises:
            ConfigurationError: EMAIL_PRESET names no provider.
        """
        return bool(completed(environ).get("SMTP_HOST", "").strip())
