r"""``.env`` files: ``NAME=value``, a line each.

``export NAME=value`` is taken as well. A value stands bare, to the end of the line or to a blank
and ``#``; in single quotes, where nothing is special; or in double quotes, where a backslash
stands before ``"``, ``\``, ``n``, ``r``, ``t`` or ``$``. Nothing is put in for ``$NAME``. What is
none of these is an error that names the file and the line, and never the value, which may be a
secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from nornmail.errors import ConfigurationError

# ---- What the text of an environment variable means, for every group of settings alike.

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


MAX_FILE_BYTES = 1 << 20
"""Octets of a file that is read. A list of settings has a thousandth of that; what is larger is
another file."""

_LINE = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=(?P<value>.*)")
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?:#.*)?")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?')
_COMMENT = re.compile(r"[ \t]+#.*")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {'"': '"', "\\": "\\", "n": "\n", "r": "\r", "t": "\t", "$": "$"}


def read_environment(
    env_file: str | os.PathLike[str] | None = None, environ: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The environment, and below it what a ``.env`` file says.

    A variable that the environment has, be it empty, is the environment's. Neither is changed.

    Args:
        env_file: the file; ``None`` for the environment alone.
        environ: names and values; ``None`` means ``os.environ``.

    Raises:
        ConfigurationError: the file cannot be read, or a line of it cannot be understood.
    """
    above = os.environ if environ is None else environ
    below = {} if env_file is None else _read_file(os.fspath(env_file))
    return {**below, **above}


def parse_env(text: str, name: str = ".env") -> dict[str, str]:
    """The variables of a file; a name that comes twice has the last value.

    Args:
        text: of the file.
        name: the file's, for errors.

    Raises:
        ConfigurationError: a line cannot be understood.
    """
    values: dict[str, str] = {}
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        line = line.strip(" \t\r")
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise ConfigurationError(f"{name}, line {number}", "…", "must be NAME=value")
        value = _value(found["value"])
        if value is None:
            shown = f"{found['name']}=…"
            allowed = "a quote must be closed on its line, and nothing may follow it"
            raise ConfigurationError(f"{name}, line {number}", shown, allowed)
        values[found["name"]] = value
    return values


def _value(text: str) -> str | None:
    """The value of what stands behind the equals sign; ``None`` when its quotes are wrong."""
    quoted = text.lstrip(" \t")
    if quoted.startswith("'"):
        single = _SINGLE.fullmatch(quoted)
        return single and single[1]
    if quoted.startswith('"'):
        double = _DOUBLE.fullmatch(quoted)
        return double and _ESCAPE.sub(lambda one: _ESCAPED.get(one[1], one[0]), double[1])
    return _COMMENT.sub("", text).strip(" \t")


def _read_file(path: str) -> dict[str, str]:
    try:
        with open(path, "rb") as file:
            octets = file.read(MAX_FILE_BYTES + 1)
        if len(octets) > MAX_FILE_BYTES:
            raise ConfigurationError("env_file", path, "is too large for a file of settings")
        return parse_env(octets.decode("utf-8"), path)
    except OSError as error:
        said = error.strerror or str(error)
        raise ConfigurationError("env_file", path, f"cannot be read: {said}") from error
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{path}, line {line}", "…", "must be UTF-8") from None
