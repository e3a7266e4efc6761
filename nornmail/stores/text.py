"""Strings to JSON and back, also those that UTF-8 cannot hold."""

from __future__ import annotations

from typing import Any

_SURROGATES = "code points"
"""The name under which a string stands that UTF-8 cannot hold."""


def write_text(text: str) -> Any:
    """A string as it is, or as its code points where it has surrogates.

    JSON can escape a lone surrogate, but two that are escaped side by side are read as the one
    character that they encode.
    """
    if text.isascii():
        return str(text)
    try:
        text.encode()
    except UnicodeEncodeError:
        return {_SURROGATES: [ord(character) for character in text]}
    return text


def read_text(value: Any) -> str:
    """The string that :func:`write_text` wrote."""
    if isinstance(value, str):
        return value
    return "".join(map(chr, value[_SURROGATES]))
