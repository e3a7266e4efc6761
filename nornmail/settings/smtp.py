"""Where mail is handed in; as in ``imap.py``, every value checked at once."""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

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

SUBMISSION_PORT = 587
"""Submission that begins in plain text and goes on inside TLS (RFC 6409)."""
SUBMISSIONS_PORT = 465
"""Submission inside TLS from the first octet (RFC 8314)."""
MAX_SMTP_TIMEOUT = 3_600.0
"""Seconds. A command that may hang for longer than an hour has no deadline worth the name."""


@dataclass(frozen=True, kw_only=True)
class SmtpSettings:
    """Where mail is handed in.

    Each attribute but ``token`` is also a variable of the environment (in brackets) for
    :meth:`from_env`.

    Attributes:
        host: the SMTP server's name, as its certificate has it [SMTP_HOST, required].
        port: 587; 465 is TLS from the first octet, and on every other port STARTTLS must succeed
            [SMTP_PORT, 587].
        username: the login name; without one nobody logs in [SMTP_USERNAME].
        password: hidden in ``repr`` [SMTP_PASSWORD].
        token: instead of a password, a function that returns an OAuth2 access token. It is called
            at each connect, and once more when the server refuses what it gave. Hidden in ``repr``.
        sender: whom mail is from where nothing else says it, as ``agent@example.com`` or ``Agent
            <agent@example.com>``; without it the user name, if that is an address [SMTP_FROM].
        use_tls: certificate and host name are always checked; false sends everything in clear, the
            password as well, and cannot be on 465 [SMTP_USE_TLS, true].
        ca_file: a private certification authority in PEM [SMTP_CA_FILE].
        timeout: seconds that the server may take to answer [SMTP_TIMEOUT, 60].

    Raises:
        ConfigurationError: a value is wrong, or two do not go together.
    """

    host: str = field(default="", metadata={"env": "SMTP_HOST"})
    port: int = field(default=SUBMISSION_PORT, metadata={"env": "SMTP_PORT"})
    username: str | None = field(default=None, metadata={"env": "SMTP_USERNAME"})
    password: str | None = field(default=None, repr=False, metadata={"env": "SMTP_PASSWORD"})
    token: Callable[[], str] | None = field(default=None, repr=False, metadata={"env": ""})
    sender: str | None = field(default=None, metadata={"env": "SMTP_FROM"})
    use_tls: bool = field(default=True, metadata={"env": "SMTP_USE_TLS"})
    ca_file: str | None = field(default=None, metadata={"env": "SMTP_CA_FILE"})
    timeout: float = field(default=60.0, metadata={"env": "SMTP_TIMEOUT"})

    def __post_init__(self) -> None:
        _check_types(self)
        _check_values(self)
        if self.port == SUBMISSIONS_PORT and not self.use_tls:
            raise ConfigurationError(
                "SMTP_USE_TLS",
                "false",
                f"it cannot go with SMTP_PORT={SUBMISSIONS_PORT}, which is TLS from the first "
                "octet: take another port, or leave TLS on",
            )
        if self.password is not None and self.username is None:
            raise ConfigurationError("SMTP_USERNAME", None, "SMTP_PASSWORD is set and needs it")
        if self.token is not None and self.username is None:
            raise ConfigurationError("SMTP_USERNAME", None, "token= is given and needs it")
        if self.token is not None and self.password is not None:
            raise ConfigurationError(
                "token", "(hidden)", "it cannot go with SMTP_PASSWORD: choose one of the two"
            )

    @property
    def implicit_tls(self) -> bool:
        """Whether TLS begins with the first octet."""
        return self.port == SUBMISSIONS_PORT

    @classmethod
    def for_provider(cls, name: str, **settings: Any) -> SmtpSettings:
        """The settings of a known provider, whose host and port need not be given.

        Args:
            name: ``"gmail"`` or another preset of :data:`~nornmail.settings.providers.PRESETS`;
                ``"self-hosted"`` fills in nothing.
            settings: attributes of this class, which win over the preset.

        Raises:
            ConfigurationError: there is no such preset, or a value is wrong.
        """
        found = preset(name)
        filled: dict[str, Any] = {}
        if found is not None:
            filled = {"host": found.smtp[0], "port": found.smtp[1]}
        return cls(**(filled | settings))

    @staticmethod
    def named_in(environ: Mapping[str, str]) -> bool:
        """Whether this environment says where mail is handed in, itself or by a preset.

        Raises:
            ConfigurationError: EMAIL_PRESET names no provider.
        """
        return bool(with_preset(environ).get("SMTP_HOST", "").strip())

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> SmtpSettings:
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
                values[setting.name] = _READERS.get(setting.name, read_text)(variable, text)
        return cls(**values)


_READERS: dict[str, Callable[[str, str], Any]] = {
    "port": read_port,
    "use_tls": read_bool,
    "timeout": read_seconds,
}
_OPTIONAL_TEXTS = ("username", "password", "sender", "ca_file")


def _check_types(settings: SmtpSettings) -> None:
    """What the type checker would have said, for those who run none."""
    if not isinstance(settings.host, str):
        raise ConfigurationError("SMTP_HOST", settings.host, "must be text")
    for name in _OPTIONAL_TEXTS:
        value = getattr(settings, name)
        if value is not None and not isinstance(value, str):
            shown = type(value).__name__ if name == "password" else value
            raise ConfigurationError(_env(name), shown, "must be text")
    if settings.token is not None and not _is_plain_function(settings.token):
        raise ConfigurationError("token", "(hidden)", "must be a plain function without arguments")
    if not isinstance(settings.use_tls, bool):
        raise ConfigurationError("SMTP_USE_TLS", settings.use_tls, "must be True or False")
    if isinstance(settings.port, bool) or not isinstance(settings.port, int):
        raise ConfigurationError("SMTP_PORT", settings.port, "must be a whole number")
    if isinstance(settings.timeout, bool) or not isinstance(settings.timeout, (int, float)):
        raise ConfigurationError("SMTP_TIMEOUT", settings.timeout, "must be a number of seconds")


def _is_plain_function(value: object) -> bool:
    return callable(value) and not inspect.iscoroutinefunction(value)


def _check_values(settings: SmtpSettings) -> None:
    host = settings.host
    if not host.strip():
        raise ConfigurationError("SMTP_HOST", None, "set it to the name of the SMTP server")
    if host != host.strip() or "/" in host or " " in host:
        raise ConfigurationError("SMTP_HOST", host, "must be a host name, nothing more")
    if not 0 < settings.port <= HIGHEST_PORT:
        raise ConfigurationError("SMTP_PORT", settings.port, f"must be 1 to {HIGHEST_PORT}")
    if not math.isfinite(settings.timeout) or not 0 < settings.timeout <= MAX_SMTP_TIMEOUT:
        allowed = f"must be above 0, {MAX_SMTP_TIMEOUT:g} at most"
        raise ConfigurationError("SMTP_TIMEOUT", settings.timeout, allowed)
    if settings.sender is not None and "@" not in settings.sender:
        raise ConfigurationError("SMTP_FROM", settings.sender, "must be an address")
    for name in ("host", *_OPTIONAL_TEXTS):
        value = getattr(settings, name)
        if value is not None and any(char in value for char in "\0\r\n"):
            shown = "(hidden)" if name == "password" else value
            raise ConfigurationError(_env(name), shown, "must not hold line ends or NUL")


def _env(name: str) -> str:
    """What a field is called in the environment: the name that errors use."""
    return str(SmtpSettings.__dataclass_fields__[name].metadata["env"]) or name
