"""Where the mailbox is and what happens to mail that was handled: every value checked at once.

The names and defaults of the environment are those of the IMAP/SMTP setup guide. A wrong value is
a :class:`~nornmail.errors.ConfigurationError` at construction that names the variable, the value
and what is allowed; nothing is connected before all of them are right.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime
from typing import Any, Literal

from nornmail.errors import ConfigurationError
from nornmail.settings.env import (
    HIGHEST_PORT,
    check_provider,
    read_bool,
    read_port,
    read_seconds,
    read_text,
)
from nornmail.settings.providers import preset, with_preset

StartFrom = Literal["all", "new"] | date | None
UidValidityPolicy = Literal["dedupe", "replay", "baseline"]

TLS_PORT = 993
"""IMAP inside TLS from the first octet (RFC 8314)."""
PLAIN_PORT = 143
"""IMAP that begins in plain text (RFC 3501)."""
MAX_POLL_INTERVAL = 86_400.0
"""Seconds. A poller that looks less than once a day is a mistake in the unit."""
MAX_TIMEOUT = 3_600.0
"""Seconds. A command that may hang for longer than an hour has no deadline worth the name."""
IDLE_RENEWAL = 540.0
"""Seconds after which an IDLE is ended and another begun. Exchange stops to push after about ten
minutes and does not say so."""
MAX_IDLE_RENEWAL = 1_740.0
"""Seconds. RFC 2177 wants an IDLE renewed at least every 29 minutes: servers hang up after 30."""
UIDVALIDITY_POLICIES: tuple[UidValidityPolicy, ...] = ("dedupe", "replay", "baseline")


def _setting(env: str, default: Any) -> Any:
    """A field that has a name of its own in the environment."""
    return field(default=default, metadata={"env": env})


@dataclass(frozen=True, kw_only=True)
class ImapSettings:
    r"""Where the mailbox is, and what happens on the server to mail that was handled.

    Each attribute but ``token`` is also a variable of the environment (in brackets) for
    :meth:`from_env`.

    Attributes:
        host: the IMAP server's name, as its certificate has it [IMAP_HOST, required].
        port: 993 for TLS, 143 for plain text [IMAP_PORT]; left out, it follows ``use_ssl``.
        username: the login name, which need not be the address [IMAP_USERNAME].
        password: hidden in ``repr`` [IMAP_PASSWORD].
        token: instead of a password, a function that returns an OAuth2 access token. It is called
            before each connection, in the thread that makes it, and once more when the server
            refuses what it gave. What it raises is trouble that passes. Hidden in ``repr``.
        use_ssl: TLS from the first octet; certificate and host name are always checked
            [IMAP_USE_SSL, true].
        starttls: upgrade a plain port to TLS and refuse to go on without; needs
            ``use_ssl=False`` [IMAP_STARTTLS, false].
        ca_file: a private certification authority in PEM [IMAP_CA_FILE].
        poll_interval: seconds between two looks [IMAP_POLL_INTERVAL, 60].
        mailbox: which mailbox is read [IMAP_MAILBOX, INBOX].
        mark_as_read: set ``\Seen`` on a message once it was handled [IMAP_MARK_AS_READ, true].
        delete_after_fetch: delete a message once it was handled; needs ``mark_as_read``
            [IMAP_DELETE_AFTER_FETCH, false].
        move_to: the mailbox that handled messages are moved to; it is made when it is missing;
            not together with ``delete_after_fetch`` [IMAP_MOVE_TO].
        start_from: what becomes of mail that is there at the first run: ``"all"``, ``"new"`` or a
            date [IMAP_START_FROM: all, new, or YYYY-MM-DD]. Not set, it means all, up to 1,000.
        on_uidvalidity_change: ``"dedupe"``, ``"replay"`` or ``"baseline"``
            [IMAP_ON_UIDVALIDITY_CHANGE, dedupe].
        idle_renewal: seconds after which an IDLE is begun anew, where the poller's interval is
            longer than that [IMAP_IDLE_RENEWAL, 540].
        timeout: seconds that a command may take beyond what its size needs [IMAP_TIMEOUT, 60].
        authserv_id: the name under which the account's own server writes Authentication-Results
            (RFC 8601), as ``mx.google.com``; without it ``message.authentication`` is always
            "unverified" [IMAP_AUTHSERV_ID].

    Raises:
        ConfigurationError: a value is wrong, or two do not go together.
    """

    host: str = _setting("IMAP_HOST", "")
    port: int = _setting("IMAP_PORT", 0)
    username: str | None = _setting("IMAP_USERNAME", None)
    password: str | None = field(default=None, repr=False, metadata={"env": "IMAP_PASSWORD"})
    token: Callable[[], str] | None = field(default=None, repr=False, metadata={"env": ""})
    use_ssl: bool = _setting("IMAP_USE_SSL", True)
    starttls: bool = _setting("IMAP_STARTTLS", False)
    ca_file: str | None = _setting("IMAP_CA_FILE", None)
    poll_interval: float = _setting("IMAP_POLL_INTERVAL", 60)
    mailbox: str = _setting("IMAP_MAILBOX", "INBOX")
    mark_as_read: bool = _setting("IMAP_MARK_AS_READ", True)
    delete_after_fetch: bool = _setting("IMAP_DELETE_AFTER_FETCH", False)
    move_to: str | None = _setting("IMAP_MOVE_TO", None)
    start_from: StartFrom = _setting("IMAP_START_FROM", None)
    on_uidvalidity_change: UidValidityPolicy = _setting("IMAP_ON_UIDVALIDITY_CHANGE", "dedupe")
    idle_renewal: float = _setting("IMAP_IDLE_RENEWAL", IDLE_RENEWAL)
    timeout: float = _setting("IMAP_TIMEOUT", 60.0)
    authserv_id: str | None = _setting("IMAP_AUTHSERV_ID", None)

    def __post_init__(self) -> None:
        if self.port == 0:
            object.__setattr__(self, "port", TLS_PORT if self.use_ssl else PLAIN_PORT)
        _check_types(self)
        _check_values(self)
        _check_pairs(self)

    @property
    def account(self) -> str:
        """``username@host``: the name under which a store keeps this account's state."""
        return f"{self.username or ''}@{self.host}"

    @classmethod
    def for_provider(cls, name: str, **settings: Any) -> ImapSettings:
        """The settings of a known provider, whose host and port need not be given.

        Args:
            name: ``"gmail"`` or another preset of :data:`~nornmail.settings.providers.PRESETS`;
                ``"self-hosted"`` fills in nothing.
            settings: attributes of this class, which win over the preset.

        Raises:
            ConfigurationError: there is no such preset, or a value is wrong.
        """
        return cls(**(imap_preset(name) | settings))

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> ImapSettings:
        """The settings of the environment, with the guide's defaults.

        Args:
            environ: names and values; ``None`` means ``os.environ``. A variable that is set to
                nothing counts as not set. EMAIL_PRESET fills in what is not set.

        Raises:
            ConfigurationError: a variable is missing or wrong.
        """
        source = with_preset(os.environ if environ is None else environ)
        check_provider(source)
        values: dict[str, Any] = {}
        for setting in fields(cls):
            variable = setting.metadata["env"]
            text = source.get(variable, "") if variable else ""
            if text.strip():
                read = _READERS.get(setting.name, read_text)
                values[setting.name] = read(variable, text)
        return cls(**values)


def imap_preset(name: str) -> dict[str, Any]:
    """What a preset fills in, by the names of the attributes.

    Raises:
        ConfigurationError: there is none of this name.
    """
    found = preset(name)
    if found is None:
        return {}
    host, port = found.imap
    return {"host": host, "port": port, "use_ssl": not found.starttls, "starttls": found.starttls}


def _env(name: str) -> str:
    """What a field is called in the environment: the name that errors use."""
    return str(ImapSettings.__dataclass_fields__[name].metadata["env"]) or name


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


_READERS: dict[str, Callable[[str, str], Any]] = {
    "port": read_port,
    "use_ssl": read_bool,
    "starttls": read_bool,
    "poll_interval": read_seconds,
    "idle_renewal": read_seconds,
    "timeout": read_seconds,
    "mark_as_read": read_bool,
    "delete_after_fetch": read_bool,
    "start_from": _read_start,
}

_AUTHSERV_ID = re.compile(r"[^\s;=()\"]+")
_TEXTS = ("host", "mailbox")
_OPTIONAL_TEXTS = ("username", "password", "ca_file", "move_to", "authserv_id")
_SWITCHES = ("use_ssl", "starttls", "mark_as_read", "delete_after_fetch")
_NUMBERS = {
    "poll_interval": MAX_POLL_INTERVAL,
    "idle_renewal": MAX_IDLE_RENEWAL,
    "timeout": MAX_TIMEOUT,
}
"""Settings in seconds, and the most that each may be."""


def _check_types(settings: ImapSettings) -> None:
    """What the type checker would have said, for those who run none."""
    for name in _TEXTS:
        if not isinstance(getattr(settings, name), str):
            raise ConfigurationError(_env(name), getattr(settings, name), "must be text")
    for name in _OPTIONAL_TEXTS:
        value = getattr(settings, name)
        if value is not None and not isinstance(value, str):
            shown = type(value).__name__ if name == "password" else value
            raise ConfigurationError(_env(name), shown, "must be text")
    for name in _SWITCHES:
        if not isinstance(getattr(settings, name), bool):
            raise ConfigurationError(_env(name), getattr(settings, name), "must be True or False")
    for name in _NUMBERS:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ConfigurationError(_env(name), value, "must be a number of seconds")
    if settings.token is not None and not _is_plain_function(settings.token):
        raise ConfigurationError("token", "(hidden)", "must be a plain function without arguments")
    if isinstance(settings.port, bool) or not isinstance(settings.port, int):
        raise ConfigurationError("IMAP_PORT", settings.port, "must be a whole number")


def _is_plain_function(value: object) -> bool:
    return callable(value) and not inspect.iscoroutinefunction(value)


def _check_values(settings: ImapSettings) -> None:
    if not settings.host.strip():
        raise ConfigurationError("IMAP_HOST", None, "set it to the name of the IMAP server")
    if settings.host != settings.host.strip() or "/" in settings.host or " " in settings.host:
        raise ConfigurationError("IMAP_HOST", settings.host, "must be a host name, nothing more")
    if not settings.mailbox:
        raise ConfigurationError("IMAP_MAILBOX", None, "set it to a mailbox, such as INBOX")
    if not 0 < settings.port <= HIGHEST_PORT:
        raise ConfigurationError("IMAP_PORT", settings.port, f"must be 1 to {HIGHEST_PORT}")
    for name, most in _NUMBERS.items():
        seconds = getattr(settings, name)
        if not math.isfinite(seconds) or not 0 < seconds <= most:
            raise ConfigurationError(_env(name), seconds, f"must be above 0, {most:g} at most")
    for name in (*_TEXTS, *_OPTIONAL_TEXTS):
        value = getattr(settings, name)
        if value is not None and any(char in value for char in "\0\r\n"):
            shown = "(hidden)" if name == "password" else value
            raise ConfigurationError(_env(name), shown, "must not hold line ends or NUL")
    if settings.authserv_id is not None and not _AUTHSERV_ID.fullmatch(settings.authserv_id):
        allowed = "must be one name, as Authentication-Results begin with it on your mail"
        raise ConfigurationError("IMAP_AUTHSERV_ID", settings.authserv_id, allowed)
    check_uidvalidity_policy(settings.on_uidvalidity_change)
    check_start_from(settings.start_from)


def check_uidvalidity_policy(policy: object) -> None:
    """Refuse an ``on_uidvalidity_change`` that there is not.

    Raises:
        ConfigurationError: it is none of :data:`UIDVALIDITY_POLICIES`.
    """
    if policy not in UIDVALIDITY_POLICIES:
        raise ConfigurationError(
            "IMAP_ON_UIDVALIDITY_CHANGE", policy, "must be " + ", ".join(UIDVALIDITY_POLICIES)
        )


def check_start_from(start: object) -> None:
    """Refuse a ``start_from`` that is none of the three.

    Raises:
        ConfigurationError: it is neither ``None``, ``"all"``, ``"new"`` nor a date.
    """
    if start is None or start in ("all", "new") or isinstance(start, date):
        return
    raise ConfigurationError("IMAP_START_FROM", start, 'must be "all", "new" or a date')


def start_instant(start: date) -> float:
    """The instant that a date means, in seconds since 1970 UTC; without a zone it is UTC."""
    if not isinstance(start, datetime):
        start = datetime(start.year, start.month, start.day, tzinfo=UTC)
    elif start.tzinfo is None:
        start = start.replace(tzinfo=UTC)
    return start.timestamp()


def _check_pairs(settings: ImapSettings) -> None:
    """Two settings that are right alone and wrong together."""
    if settings.token is not None and settings.password is not None:
        raise ConfigurationError(
            "token", "(hidden)", "it cannot go with IMAP_PASSWORD: choose one of the two"
        )
    if settings.delete_after_fetch and not settings.mark_as_read:
        raise ConfigurationError(
            "IMAP_DELETE_AFTER_FETCH",
            "true",
            "it needs IMAP_MARK_AS_READ=true (which is false): what may not even be marked as "
            "read must not be deleted",
        )
    if settings.starttls and settings.use_ssl:
        raise ConfigurationError(
            "IMAP_STARTTLS",
            "true",
            "it upgrades a plain port, so it needs IMAP_USE_SSL=false (which is true)",
        )
    if settings.move_to is None:
        return
    if not settings.move_to:
        raise ConfigurationError("IMAP_MOVE_TO", "", "must be a mailbox, or not set at all")
    if settings.delete_after_fetch:
        raise ConfigurationError(
            "IMAP_MOVE_TO",
            settings.move_to,
            "it cannot go with IMAP_DELETE_AFTER_FETCH=true: choose one of the two",
        )
    if same_mailbox(settings.move_to, settings.mailbox):
        raise ConfigurationError(
            "IMAP_MOVE_TO", settings.move_to, "must be another mailbox than IMAP_MAILBOX"
        )


def same_mailbox(one: str, other: str) -> bool:
    """Whether two names are one mailbox: INBOX is the only name without case (RFC 3501, 5.1)."""
    return one == other or (one.upper() == "INBOX" and other.upper() == "INBOX")
