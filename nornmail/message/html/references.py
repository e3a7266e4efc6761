"""Character references: ``&amp;``, ``&#233;`` (HTML standard, 13.2.5.72 and following)."""

from __future__ import annotations

import re
from html import unescape
from html.entities import html5
from typing import Final

# No number of more than eight digits is a character, and int() refuses those of thousands.
_NUMBER: Final = r"&\#(?:[0-9]{1,8}(?![0-9])|[xX][0-9a-fA-F]{1,8}(?![0-9a-fA-F]));?"
_IN_TEXT: Final = re.compile(rf"{_NUMBER}|&[a-zA-Z][a-zA-Z0-9]{{1,31}};?")
_IN_ATTRIBUTE: Final = re.compile(rf"{_NUMBER}|&([a-zA-Z][a-zA-Z0-9]{{1,31}})(;|(?![=a-zA-Z0-9]))")


def resolve_in_text(text: str) -> str:
    """The characters that the references stand for; what is no reference stays."""
    if _has_ampersands_alone(text):
        return text.replace("&amp;", "&")
    return _IN_TEXT.sub(lambda found: unescape(found[0]), text)


def resolve_in_attribute(value: str) -> str:
    """The same in an attribute, where ``?a=1&copy=2`` holds no reference."""
    if _has_ampersands_alone(value):
        return value.replace("&amp;", "&")
    return _IN_ATTRIBUTE.sub(_attribute_reference, value)


def _has_ampersands_alone(text: str) -> bool:
    """Whether ``&amp;`` is the only reference, as in most links."""
    return text.count("&") == text.count("&amp;")


def _attribute_reference(found: re.Match[str]) -> str:
    if not found[1]:
        return unescape(found[0])
    return html5.get(found[1] + found[2], found[0])
