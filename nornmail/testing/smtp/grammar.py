"""The grammar of SMTP: MAIL and RCPT (RFC 5321, 4.1.2), the message, and replies."""

from __future__ import annotations

import re
from dataclasses import dataclass


class BadSyntax(Exception):
    """The line breaks the grammar; the text goes to the client after 501."""

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
        split = (parameter.partition("=") for parameter in self.parameters)
        return {name.upper(): value for name, _, value in split}


_BAD_ADDRESS = {b"FROM:": "5.1.7", b"TO:": "5.1.3"}
"""The enhanced status codes of RFC 3463, 3.2, for a sender's and a recipient's syntax."""

_LOCAL = r'(?:[^\x00-\x20\x7f"<>()\[\]\\,;:@]+|"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*")'
_DOMAIN = r"(?:[^\x00-\x20\x7f\"<>()\[\]\\,;:@]+|\[[^\x00-\x20\x7f<>\[\]\\]+\])"
_ROUTE = rf"(?:@{_DOMAIN}(?:,@{_DOMAIN})*:)?"
_PATH = re.compile(rf" ?<(?:{_ROUTE}({_LOCAL}(?:@{_DOMAIN})?))?>")
_PARAMETER = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*(?:=[^\x00-\x20\x7f=]+)?")


def parse_path(argument: bytes, keyword: bytes) -> Path:
    """The argument of MAIL or RCPT.

    Args:
        argument: as ``FROM:<a@example.com> SIZE=200``. A space after the colon is accepted, as
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
    if not all(map(_PARAMETER.fullmatch, parameters)):
        raise BadSyntax("Bad parameter syntax")
    return Path(path[1] or "", parameters)


# ---- The octets behind DATA: the end of the message, and its text without the stuffed dots.

END = b"\r\n.\r\n"
"""Only this ends a message: a server that takes ``\\n.\\n`` too can be made to see two in one."""

_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")


class MessageReader:
    """Gathers a message (RFC 5321, 4.5.2). Octets are kept as they are but for the stuffed dots.

    Args:
        limit: octets that a message may have. One that has more is read on to its end, and costs
            no memory.

    Attributes:
        size: octets that came so far, the end included.
        too_large: the message has more than ``limit``.
    """

    def __init__(self, limit: int) -> None:
        self.size = 0
        self.too_large = False
        self._limit = limit
        # The line end of DATA: a message that begins with a dot and a line end is empty.
        self._octets = bytearray(b"\r\n")

    def feed(self, data: bytes) -> bytes | None:
        """Take octets; return those after the end of the message, or None before it has come."""
        octets = self._octets
        start = max(0, len(octets) - len(END) + 1)
        before = len(octets)
        octets += data
        end = octets.find(END, start)
        if end >= 0:
            rest = bytes(octets[end + len(END) :])
            self.size += len(octets) - len(rest) - before
            del octets[end + 2 :]
            return rest
        self.size += len(data)
        # Stuffing at most doubles a message, one of nothing but dots and line ends.
        if len(octets) > 2 * self._limit + len(END):
            self.too_large = True
            del octets[: 1 - len(END)]
        return None

    def message(self) -> bytes:
        """The message, once its end has come."""
        raw = bytes(self._octets).replace(b"\r\n.", b"\r\n")[2:]
        self.too_large = self.too_large or len(raw) > self._limit
        return raw


def has_bare_line_end(raw: bytes) -> bool:
    """Whether there is a CR or an LF without the other (RFC 5321, 2.3.8 forbids it)."""
    return _BARE.search(raw) is not None


def longest_line(raw: bytes) -> int:
    """Octets of the longest line, its CRLF included."""
    return max(len(line) for line in raw.split(b"\r\n")) + 2


# ---- Replies: a code, an enhanced status code and text, in one line or several.


@dataclass(frozen=True, slots=True)
class Reply:
    r"""A reply (RFC 5321, 4.2).

    Attributes:
        enhanced: the status code of RFC 2034, sent where ENHANCEDSTATUSCODES is offered.
        text: a line, or several with ``\n`` between them.
    """

    code: int
    enhanced: str
    text: str

    def encode(self, *, enhanced: bool) -> bytes:
        """The octets on the wire."""
        status = f"{self.enhanced} " if enhanced and self.enhanced else ""
        return encode_reply(self.code, [status + line for line in self.text.split("\n")])


def encode_reply(code: int, lines: list[str]) -> bytes:
    """A reply of these lines, of which all but the last have a hyphen behind the code."""
    marks = ["-"] * (len(lines) - 1) + [" "]
    shown = [f"{code}{mark}{line}\r\n" for mark, line in zip(marks, lines, strict=True)]
    return "".join(shown).encode("utf-8")


class Refused(Exception):
    """A command that is not carried out; ``reply`` says why."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, enhanced, text)
