r"""Fields of a settings class: each has a variable of the environment, a reader and a type check.

A wrong value is a :class:`~nornmail.errors.ConfigurationError` at construction that names the
variable, the value and what is allowed; nothing is connected before all of them are right.

A ``.env`` file has one ``NAME=value`` per line; ``export NAME=value`` works as well. A value is
bare, up to the end of the line or to a blank and ``#``; or in single quotes, where nothing is
special; or in double quotes, where a backslash escapes ``"``, ``\``, ``n``, ``r``, ``t`` or ``$``.
``$NAME`` is not expanded. Anything else is an error that names the file and the line but not the
value, which may be a secret.
"""

from __future__ import annotations

import inspect
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from nornmail.errors import HIDDEN, ConfigurationError

if TYPE_CHECKING:
    from nornmail.settings.providers import Provider

MAX_FILE_BYTES = 1 << 20
"""Octets. A file of settings has a thousandth of that; a larger one was named by mistake."""

_LINE = r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=(?P<value>.*)"
_SINGLE = r"'([^']*)'[ \t]*(?:#.*)?"
_DOUBLE = r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?'
_COMMENT = r"[ \t]+#.*"
_ESCAPE = r"\\(.)"
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t", "$": "$"}


def read_environment(
    env_file: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment, completed by a ``.env`` file.

    A variable of the environment wins, even if it is empty. Neither is changed.

    Args:
        env_file: the file; ``None`` for the environment alone.
        environ: names and values; ``None`` means ``os.environ``.

    Raises:
        ConfigurationError: the file cannot be read, or a line of it cannot be understood.
    """
    file_values = {} if env_file is None else _read_file(os.fspath(env_file))
    return {**file_values, **(os.environ if environ is None else environ)}


def parse_env(text: str, name: str = ".env") -> dict[str, str]:
    """Parse the text of a file; the last value of a name counts."""
    values: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(_LINE, line)
        if match is None:
            allowed = "must be NAME=value (its text is not shown)"
            raise ConfigurationError(f"{name}, line {number}", HIDDEN, allowed)
        value = _value(match["value"])
        if value is None:
            allowed = "a quote must be closed on its line, and nothing may follow it"
            raise ConfigurationError(f"{name}, line {number}", f"{match['name']}=…", allowed)
        values[match["name"]] = value
    return values


def _value(text: str) -> str | None:
    """The value after the equals sign; ``None`` when its quotes are wrong."""
    quoted = text.lstrip(" \t")
    if quoted.startswith("'"):
        single = re.fullmatch(_SINGLE, quoted)
        return single and single[1]
    if quoted.startswith('"'):
        double = re.fullmatch(_DOUBLE, quoted)
        return double and re.sub(
            _ESCAPE, lambda escape: _ESCAPED.get(escape[1], escape[0]), double[1]
        )
    return re.sub(_COMMENT, "", text).strip(" \t")


def _read_file(path: str) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
        if len(octets) > MAX_FILE_BYTES:
            raise ConfigurationError("env_file", path, "is too large to be a file of settings")
        return parse_env(octets.decode("utf-8"), path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError("env_file", path, f"cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}, line {line}", "…", "must be UTF-8") from None


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
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


class ValueKind(NamedTuple):
    """A kind of value.

    Attributes:
        read: turns the variable's text into the value.
        fits: whether a value given in code has the right type.
        allowed: the types that fit, in words.
    """

    read: Callable[[str, str], Any]
    fits: Callable[[Any], bool]
    allowed: str


def setting(
    env: str, default: Any, kind: ValueKind, *, most: float = 0, secret: bool = False
) -> Any:
    """A field of a settings class."""
    metadata = {"env": env, "kind": kind, "most": most, "secret": secret}
    return field(default=default, repr=not secret, metadata=metadata)


def completed(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment, completed by its EMAIL_PRESET."""
    if not environ.get("EMAIL_PRESET", "").strip():
        return environ
    # The table is large, and is loaded where it is needed.
    from nornmail.settings.providers import with_preset

    return with_preset(environ)


class ServerSettings:
    """Base class of the settings of a server: made of a provider, an address or the environment."""

    @classmethod
    def _of_provider(cls, provider: Provider) -> dict[str, Any]:
        """The attributes that a provider fills in."""
        raise NotImplementedError

    @classmethod
    def for_provider(cls, name: str, **settings: Any) -> Self:
        """The settings of a known provider, whose host and port need not be given.

        Args:
            name: ``"gmail"`` or another preset of :data:`~nornmail.settings.providers.PRESETS`;
                ``"self-hosted"`` fills in nothing.
            settings: attributes of this class, which win over the preset.

        Raises:
            ConfigurationError: there is no such preset, or a value is wrong.
        """
        from nornmail.settings.providers import preset

        provider = preset(name)
        make: Callable[..., Self] = cls
        return make(**({} if provider is None else cls._of_provider(provider)) | settings)

    @classmethod
    def for_address(cls, address: str, **settings: Any) -> Self:
        """The settings of an address at a known provider: its servers, and the user name.

        Args:
            address: as ``"you@gmx.de"``.
            settings: attributes of this class, as ``password=`` or ``token=``; they win.

        Raises:
            ConfigurationError: the domain is not that of a known provider, or a value is wrong.
        """
        return cls.for_provider(address, **{"username": address, **settings})

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Self:
        """The settings of the environment, with the guide's defaults.

        Args:
            environ: names and values; ``None`` means ``os.environ``. A variable that is set to
                nothing counts as not set. EMAIL_PRESET fills in what is not set.

        Raises:
            ConfigurationError: a variable is missing or wrong.
        """
        make: Callable[..., Self] = cls
        values = read_settings(cls, environ)
        try:
            return make(**values)
        except ConfigurationError as error:
            source = os.environ if environ is None else environ
            text = source.get(error.variable, "").strip()
            if isinstance(error.value, bool) and text:  # as it was written
                raise ConfigurationError(error.variable, text, error.allowed) from error
            raise


def read_settings(cls: Any, environ: Any) -> dict[str, Any]:
    """The values that an environment sets, by the names of the fields."""
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
    """Check each value alone: its type first, then its text or number."""
    entries = [(entry, getattr(settings, entry.name)) for entry in fields(settings)]
    for entry, value in entries:
        kind = entry.metadata["kind"]
        if not kind.fits(value):
            hidden = HIDDEN if entry.metadata["secret"] else value
            setting_name = entry.name if kind is TOKEN else entry.metadata["env"]
            raise ConfigurationError(setting_name, hidden, kind.allowed)
    for entry, value in entries:
        variable, most = entry.metadata["env"], entry.metadata["most"]
        if isinstance(value, str) and any(char in value for char in "\0\r\n"):
            hidden = HIDDEN if entry.metadata["secret"] else value
            raise ConfigurationError(variable, hidden, "must not contain line ends or NUL")
        if most and (not math.isfinite(value) or not 0 < value <= most):
            raise ConfigurationError(variable, value, f"must be above 0, {most:g} at most")


def check_server(service: str, host: str, port: int) -> None:
    """Check where a server is."""
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
    """Refuse a password together with a token."""
    if token is not None and password is not None:
        raise ConfigurationError(
            "token",
            HIDDEN,
            f"(or {service}_OAUTH_FILE) cannot be combined with {service}_PASSWORD: choose one",
        )


def _read_text(_variable: str, text: str) -> str:
    return text  # as it is: blanks may belong to a password


def check_functions(of: str = "", **hooks: object) -> None:
    """Refuse hooks that are neither ``None`` nor functions ``of`` what they are called with."""
    for name, hook in hooks.items():
        if hook is not None and not callable(hook):
            raise ConfigurationError(name, hook, f"must be a function{of}")


def check_type(name: str, value: object, fits: bool, allowed: str) -> None:
    """Refuse an argument whose type would let it fail only when it is used."""
    if not fits:
        raise ConfigurationError(name, type(value).__name__, f"must be {allowed}")


def check_retention(days: object) -> None:
    """Refuse a ``retention`` that is negative or not finite."""
    if not isinstance(days, (int, float)) or not math.isfinite(days) or days < 0:
        raise ConfigurationError("NORNMAIL_RETENTION", days, "must be 0 or more days; 0 keeps all")


def _read_bool(variable: str, text: str) -> bool:
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ConfigurationError(variable, text, "must be true or false")
    return word in _TRUE


def _whole_number(text: str) -> int | None:
    """A number as people write it, or a large one for one that is longer; ``None`` for others."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits.lstrip("0")[:10] or "0")  # int() refuses thousands of digits


def _read_port(variable: str, text: str) -> int:
    port = _whole_number(text)
    if port is None or not 0 < port <= HIGHEST_PORT:
        raise ConfigurationError(variable, text, f"must be a port, 1 to {HIGHEST_PORT}")
    return port


def _numbers_of(unit: str) -> ValueKind:
    """The kind of a number of a unit, such as seconds."""
    allowed = f"must be a number of {unit}"

    def read(variable: str, text: str) -> float:
        try:
            return float(text)
        except ValueError:
            raise ConfigurationError(variable, text, allowed) from None

    return ValueKind(read, lambda value: _is_number(value, (int, float)), allowed)


def _read_count(variable: str, text: str) -> int:
    count = _whole_number(text)
    if count is None or count > MAX_COUNT:
        raise ConfigurationError(variable, text, f"must be a whole number, {MAX_COUNT} at most")
    return count


def _read_token_file(variable: str, text: str) -> Callable[[], str]:
    # Most accounts have a password, and need not wait for this import.
    from nornmail.net.oauth import OAuthTokens

    return OAuthTokens(text.strip(), setting=variable)


def _is_number(value: object, types: type | tuple[type, ...]) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


TEXT = ValueKind(_read_text, lambda value: isinstance(value, str), "must be text")
OPTIONAL_TEXT = ValueKind(
    _read_text, lambda value: value is None or isinstance(value, str), "must be text"
)
SWITCH = ValueKind(_read_bool, lambda value: isinstance(value, bool), "must be True or False")
OPTIONAL_SWITCH = ValueKind(
    _read_bool, lambda value: value is None or isinstance(value, bool), "must be True or False"
)
OPTIONAL_COUNT = ValueKind(
    _read_count,
    lambda value: value is None or (_is_number(value, int) and 0 <= value <= MAX_COUNT),
    "must be a whole number, 0 for no limit",
)
PORT = ValueKind(_read_port, lambda value: _is_number(value, int), "must be a whole number")
SECONDS = _numbers_of("seconds")
COUNT = ValueKind(_read_count, lambda value: _is_number(value, int), "must be a whole number")
DAYS = _numbers_of("days")
TOKEN = ValueKind(
    _read_token_file,
    lambda value: value is None or (callable(value) and not inspect.iscoroutinefunction(value)),
    "must be a plain function without arguments",
)


class DomainRules:
    """The domains that mail may come from, or go to. The blocklist wins."""

    def __init__(
        self, allow: Sequence[re.Pattern[str]] = (), block: Sequence[re.Pattern[str]] = ()
    ) -> None:
        self.allow = tuple(allow)
        self.block = tuple(block)

    def __bool__(self) -> bool:
        return bool(self.allow or self.block)

    def refusal(self, domain: str) -> str:
        """The reason why mail of this domain is refused; ``""`` if it is allowed."""
        if any(pattern.fullmatch(domain) for pattern in self.block):
            return f"the domain {domain} is on the blocklist"
        if self.allow and not any(pattern.fullmatch(domain) for pattern in self.allow):
            return f"the domain {domain or '(none)'} is not on the allowlist"
        return ""


def read_domain_rules(direction: str, allow: str | None, block: str | None) -> DomainRules:
    """The rules of two settings: patterns with commas between them, without regard to case."""
    allowed, blocked = (
        tuple(
            _pattern(f"{direction}_DOMAIN_{name}", part.strip())
            for part in (text or "").split(",")
            if part.strip()
        )
        for name, text in (("ALLOWLIST", allow), ("BLOCKLIST", block))
    )
    return DomainRules(allowed, blocked)


def _pattern(variable: str, text: str) -> re.Pattern[str]:
    try:
        return re.compile(text, re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        allowed = f"must be a regular expression for a whole domain ({error})"
        raise ConfigurationError(variable, text, allowed) from error
