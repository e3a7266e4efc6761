"""What a command of the SMTP server is."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nornmail.testing.smtp.session import Session

# ---- The octets behind DATA: where the message ends, and what it is without the stuffed dots.

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
        """Take octets; what follows the end of the message, or None before it has come."""
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


# ---- What a server says: a code, an enhanced status code and text, in one line or several.


@dataclass(frozen=True, slots=True)
class Response:
    r"""An answer (RFC 5321, 4.2).

    Attributes:
        code: three digits.
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


Handler = Callable[["Session", bytes], Response]
"""Gets the octets behind the command's name and a blank; acts, and returns the answer."""


class Refused(Exception):
    """A command that is not carried out; ``response`` is its answer."""

    def __init__(self, code: int, enhanced: str, text: str) -> None:
        super().__init__(text)
        self.response = Response(code, enhanced, text)
