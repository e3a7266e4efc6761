"""Fields of a settings class: each has a variable of the environment, a reader and a type check.

A wrong value is a :class:`~nornmail.errors.ConfigurationError` at construction that names the
variable, the value and what is allowed; nothing is connected before all of them are right.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nornmail.errors import ConfigurationError

HIGHEST_PORT = 65_535
"""TCP has no more."""
MAX_COUNT = 1_000_000
"""Of workers, or of messages within a minute or an hour: a higher number is a mistake."""
MAX_TIMEOUT = 3_600.0
"""Seconds. A command that may hang for longer than an hour has no useful deadline."""
RETENTION_DAYS = 90.0
"""Days for which handled and sent mail is remembered: more than a restored backup is likely to be
old."""
SENT_DAYS = 30.0
"""Days for which sent messages are kept at least: delivery reports come within a week, and the
longest limit on answers counts over a day."""
PROVIDER = "imap-smtp"
"""The value of EMAIL_PROVIDER that means this package; the setup guide knows others."""
OAUTH_FILE = "NORNMAIL_OAUTH_FILE"
"""The variable of the token file that IMAP and SMTP share."""
HIDDEN = "(hidden)"
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value.

    Attributes:
        read: turns the variable's text into the value.
        fits: whether a value given in code has the right type.
        allowed: the types that fit, in words.
    """

    read: Callable[[str, str], Any]
    fits: Callable[[Any], bool]
    allowed: str


def setting(env: str, default: Any, kind: Kind, *, most: float = 0, secret: bool = False) -> Any:
    """A field of a settings class.

    Args:
        env: its variable; ``""`` where the environment cannot set it.
        default: its value where nothing sets it.
        kind: of its value.
        most: the highest number of seconds that it may be.
        secret: it is shown in no ``repr`` and no error.
    """
    metadata = {"env": env, "kind": kind, "most": most, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


def completed(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, completed by its EMAIL_PRESET.

    Raises:
        ConfigurationError: EMAIL_PRESET names no provider.
    """
    if not environ.get("EMAIL_PRESET", "").strip():
        return environ
    # The table is large, and is loaded where it is needed.
    from nornmail.settings.providers import with_preset

    return with_preset(environ)


def read_settings(cls: Any, environ: Any) -> dict[str, Any]:
    """The values that an environment sets, by the names of the fields.

    Raises:
        ConfigurationError: a value cannot be read, or EMAIL_PROVIDER names another provider.
    """
    if environ is not None and not isinstance(environ, Mapping):
        allowed = "must be a mapping of names to values; read_environment(path) reads a file"
        raise ConfigurationError("environ", environ, allowed)
    source = completed(os.environ if environ is None else environ)
    provider = source.get("EMAIL_PROVIDER", "").strip() or PROVIDER
    if provider != PROVIDER:
        raise ConfigurationError(
            "EMAIL_PROVIDER", provider, f"the only provider supported here is {PROVIDER}"
        )
    values: dict[str, Any] = {}
    for entry in fields(cls):
        variable = entry.metadata["env"]
        text = source.get(variable, "") if variable else ""
        if entry.name == "token" and not text.strip() and "password" not in values:
            variable, text = OAUTH_FILE, source.get(OAUTH_FILE, "")
        if text.strip():
            values[entry.name] = entry.metadata["kind"].read(variable, text)
    if "token" in values and not values.get("username"):
        values["username"] = values["token"].account
    return values


def check_settings(settings: Any) -> None:
    """Check each value alone: its type first, then its text or number.

    Raises:
        ConfigurationError: a value is wrong.
    """
    entries = [(entry, getattr(settings, entry.name)) for entry in fields(settings)]
    for entry, value in entries:
        kind = entry.metadata["kind"]
        if not kind.fits(value):
            hidden = HIDDEN if entry.metadata["secret"] else value
            named = entry.name if kind is TOKEN else entry.metadata["env"]
            raise ConfigurationError(named, hidden, kind.allowed)
    for entry, value in entries:
        variable, most = entry.metadata["env"], entry.metadata["most"]
        if isinstance(value, str) and any(char in value for char in "\0\r\n"):
            hidden = HIDDEN if entry.metadata["secret"] else value
            raise ConfigurationError(variable, hidden, "must not contain line ends or NUL")
        if most and (not math.isfinite(value) or not 0 < value <= most):
            raise ConfigurationError(variable, value, f"must be above 0, {most:g} at most")


def check_server(service: str, host: str, port: int) -> None:
    """Check where a server is.

    Raises:
        ConfigurationError: it has no host, the host is not a name, or the port does not exist.
    """
    if not host.strip():
        raise ConfigurationError(
            f"{service}_HOST", None, f"set it to the name of the {service} server"
        )
    name, colon, number = host.partition(":")
    if colon and name and number.isdigit():
        raise ConfigurationError(
            f"{service}_HOST", host, f"must be a host name alone: set {service}_PORT={number}"
        )
    if host != host.strip() or "/" in host or " " in host:
        raise ConfigurationError(f"{service}_HOST", host, "must be a host name and nothing more")
    if not 0 < port <= HIGHEST_PORT:
        raise ConfigurationError(f"{service}_PORT", port, f"must be 1 to {HIGHEST_PORT}")


def check_one_secret(service: str, password: str | None, token: object) -> None:
    """Refuse a password together with a token.

    Raises:
        ConfigurationError: both are set.
    """
    if token is not None and password is not None:
        raise ConfigurationError(
            "token",
            HIDDEN,
            f"(or {service}_OAUTH_FILE) cannot be combined with {service}_PASSWORD: choose one",
        )


def _read_text(_variable: str, text: str) -> str:
    return text  # as it is: blanks may belong to a password


def check_retention(days: object) -> None:
    """Refuse a ``retention`` that is negative or not finite.

    Raises:
        ConfigurationError: it is.
    """
    if not isinstance(days, (int, float)) or not math.isfinite(days) or days < 0:
        raise ConfigurationError("NORNMAIL_RETENTION", days, "must be 0 or more days; 0 keeps all")


def _read_bool(variable: str, text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ConfigurationError(variable, text, "must be true or false")
    return word in _TRUE


def _read_port(variable: str, text: str) -> int:
    word = text.strip()
    if not (word.isascii() and word.isdigit()) or not 0 < int(word[:6]) <= HIGHEST_PORT:
        raise ConfigurationError(variable, text, f"must be a port, 1 to {HIGHEST_PORT}")
    return int(word)


def _read_seconds(variable: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(variable, text, "must be a number of seconds") from None


def _read_days(variable: str, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(variable, text, "must be a number of days") from None


def _read_count(variable: str, text: str) -> int:
    word = text.strip()
    if not (word.isascii() and word.isdigit()) or int(word[:10]) > MAX_COUNT:
        raise ConfigurationError(variable, text, f"must be a whole number, {MAX_COUNT} at most")
    return int(word)


def _read_token_file(variable: str, text: str) -> Callable[[], str]:
    # Most accounts have a password, and need not wait for this import.
    from nornmail.net.oauth import OAuthTokens

    return OAuthTokens(text.strip(), setting=variable)


def _is_number(value: object, types: type | tuple[type, ...]) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


TEXT = Kind(_read_text, lambda value: isinstance(value, str), "must be text")
OPTIONAL_TEXT = Kind(
    _read_text, lambda value: value is None or isinstance(value, str), "must be text"
)
SWITCH = Kind(_read_bool, lambda value: isinstance(value, bool), "must be True or False")
OPTIONAL_SWITCH = Kind(
    _read_bool, lambda value: value is None or isinstance(value, bool), "must be True or False"
)
OPTIONAL_COUNT = Kind(
    _read_count,
    lambda value: value is None or (_is_number(value, int) and 0 <= value <= MAX_COUNT),
    "must be a whole number, 0 for no limit",
)
PORT = Kind(_read_port, lambda value: _is_number(value, int), "must be a whole number")
SECONDS = Kind(
    _read_seconds, lambda value: _is_number(value, (int, float)), "must be a number of seconds"
)
COUNT = Kind(_read_count, lambda value: _is_number(value, int), "must be a whole number")
DAYS = Kind(_read_days, lambda value: _is_number(value, (int, float)), "must be a number of days")
TOKEN = Kind(
    _read_token_file,
    lambda value: value is None or (callable(value) and not inspect.iscoroutinefunction(value)),
    "must be a plain function without arguments",
)
