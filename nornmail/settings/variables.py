"""What the text of an environment variable means, for every group of settings alike."""

from __future__ import annotations

from collections.abc import Mapping

from nornmail.errors import ConfigurationError

HIGHEST_PORT = 65_535
"""TCP has no more."""
PROVIDER = "imap-smtp"
"""The value of EMAIL_PROVIDER that means this package; the guide knows others."""
_TRUE = frozenset({"1", "true", "yes", "on"})
_FALSE = frozenset({"0", "false", "no", "off"})


def check_provider(environ: Mapping[str, str]) -> None:
    """Refuse an EMAIL_PROVIDER that is another one's.

    Raises:
        ConfigurationError: it names another provider than :data:`PROVIDER`.
    """
    provider = environ.get("EMAIL_PROVIDER", "").strip() or PROVIDER
    if provider != PROVIDER:
        raise ConfigurationError(
            "EMAIL_PROVIDER", provider, f"the only provider there is here is {PROVIDER}"
        )


def read_text(_variable: str, text: str) -> str:
    """The text as it is; blanks may belong to a password."""
    return text


def read_bool(variable: str, text: str) -> bool:
    """A switch.

    Raises:
        ConfigurationError: it is neither on nor off.
    """
    word = text.strip().lower()
    if word not in _TRUE | _FALSE:
        raise ConfigurationError(variable, text, "must be true or false")
    return word in _TRUE


def read_port(variable: str, text: str) -> int:
    """A TCP port.

    Raises:
        ConfigurationError: it is none.
    """
    word = text.strip()
    if not (word.isascii() and word.isdigit()) or not 0 < int(word[:6]) <= HIGHEST_PORT:
        raise ConfigurationError(variable, text, f"must be a port, 1 to {HIGHEST_PORT}")
    return int(word)


def read_seconds(variable: str, text: str) -> float:
    """A number of seconds.

    Raises:
        ConfigurationError: it is no number.
    """
    try:
        return float(text)
    except ValueError:
        raise ConfigurationError(variable, text, "must be a number of seconds") from None
