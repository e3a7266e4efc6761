r"""The environment and ``.env`` files: ``NAME=value``, one per line.

``export NAME=value`` works as well. A value is bare, up to the end of the line or to a blank and
``#``; or in single quotes, where nothing is special; or in double quotes, where a backslash escapes
``"``, ``\``, ``n``, ``r``, ``t`` or ``$``. ``$NAME`` is not expanded. Anything else is an error
that names the file and the line but not the value, which may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from nornmail.errors import HIDDEN, ConfigurationError

MAX_FILE_BYTES = 1 << 20
"""Octets. A file of settings has a thousandth of that; a larger one was named by mistake."""

_LINE = re.compile(r"(?:export[ \t]+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)[ \t]*=(?P<value>.*)")
_SINGLE = re.compile(r"'([^']*)'[ \t]*(?:#.*)?")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ \t]*(?:#.*)?')
_COMMENT = re.compile(r"[ \t]+#.*")
_ESCAPE = re.compile(r"\\(.)")
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
    """Parse the text of a file; the last value of a name counts.

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
        match = _LINE.fullmatch(line)
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
        single = _SINGLE.fullmatch(quoted)
        return single and single[1]
    if quoted.startswith('"'):
        double = _DOUBLE.fullmatch(quoted)
        return double and _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[0]), double[1])
    return _COMMENT.sub("", text).strip(" \t")


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
