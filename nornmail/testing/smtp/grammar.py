"""Command lines in, values out: paths and parameters of MAIL and RCPT (RFC 5321, 4.1.2)."""

from __future__ import annotations

import re
from dataclasses import dataclass


class BadSyntax(Exception):
    """The line is not one of the grammar; its text goes to the client behind 501."""

    def __init__(self, text: str, enhanced: str = "5.5.4") -> None:
        super().__init__(text)
        self.enhanced = enhanced


@dataclass(frozen=True, slots=True)
class Path:
    """The argument of MAIL or RCPT.

    Attributes:
        address: without the angle brackets and without a source route; empty for ``<>``.
        parameters: as they came, as ``("SIZE=200", "BODY=8BITMIME")``.
    """

    address: str
    parameters: tuple[str, ...]

    def named(self) -> dict[str, str]:
        """The parameters by their upper-case keyword, "" where there is no value."""
        split = (one.partition("=") for one in self.parameters)
        return {name.upper(): value for name, _, value in split}


_BAD_ADDRESS = {b"FROM:": "5.1.7", b"TO:": "5.1.3"}
"""The enhanced status codes of RFC 3463, 3.2, for a sender's and a recipient's syntax."""

_LOCAL = r'(?:[^\x00-\x20\x7f"<>()\[\]\\,;:@]+|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*")'
_DOMAIN = r"(?:[^\x00-\x20\x7f\"<>()\[\]\\,;:@]+|\[[^\x00-\x20\x7f<>\[\]\\]+\])"
_ROUTE = rf"(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"
_PATH = re.compile(rf" ?<(?:{_ROUTE}({_LOCAL}(?:@{_DOMAIN})?))?>")
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:=[^\x00-\x20\x7f=]+)?")


def parse_path(argument: bytes, keyword: bytes) -> Path:
    """What stands behind ``MAIL`` or ``RCPT``.

    Args:
        argument: as ``FROM:<a@example.com> SIZE=200``. A blank behind the colon is let pass, as
            everywhere; an address without angle brackets is not.
        keyword: ``FROM:`` or ``TO:``.

    Raises:
        BadSyntax: it is not of the grammar, or not UTF-8.
    """
    if argument[: len(keyword)].upper() != keyword:
        raise BadSyntax(f"Syntax: {keyword.decode()}<address>")
    try:
        text = argument[len(keyword) :].decode()
    except UnicodeDecodeError as error:
        raise BadSyntax("Bad address: not UTF-8", _BAD_ADDRESS[keyword]) from error
    path = _PATH.match(text)
    if path is None:
        raise BadSyntax("Bad address syntax", _BAD_ADDRESS[keyword])
    rest = text[path.end() :]
    if rest and not rest.startswith(" "):
        raise BadSyntax("Bad address syntax", _BAD_ADDRESS[keyword])
    parameters = tuple(rest.split())
    for one in parameters:
        if not _PARAMETER.fullmatch(one):
            raise BadSyntax("Bad parameter syntax")
    return Path(path[1] or "", parameters)
