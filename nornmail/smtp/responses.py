"""Replies of an SMTP server: octets in, values out (RFC 5321, 4.2). Bounded.

It is told from ``replies.py``, the answers to messages, by the name that ``imap/`` has for this.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from nornmail.errors import ProtocolError

MAX_REPLY_LINE: Final = 8_192
"""Octets of a line of a reply; RFC 5321 (4.5.3.1.5) has 512."""
MAX_REPLY_LINES: Final = 500
"""Lines of one reply. The longest real ones, to EHLO, have some twenty."""
MAX_WORDS: Final = 2_000
"""Characters of a reply's text that are looked at."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\n]*?))?\r*")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?= |\Z)")


@dataclass(frozen=True, slots=True)
class Response:
    """One reply.

    Attributes:
        code: three digits.
        lines: the text of each line.
    """

    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """All lines as one, the enhanced code (RFC 2034) that each of them repeats told once.

        At most :data:`MAX_WORDS` characters.
        """
        words = [line.decode("utf-8", "replace").strip() for line in self.lines]
        enhanced = self.enhanced
        if enhanced:
            words = [enhanced, *(word.removeprefix(enhanced).strip() for word in words)]
        return " ".join(filter(None, words))[:MAX_WORDS]

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463) at its beginning, ``""`` where there is none."""
        found = _ENHANCED.match(self.lines[0].decode("latin-1")) if self.lines else None
        return found[0] if found else ""


class ResponseReader:
    """Takes in octets, gives out replies. After an error it is of no use any more."""

    __slots__ = ("_buffer", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left over from what was taken in."""
        return not self._buffer and not self._lines

    def feed(self, octets: bytes) -> None:
        """Take octets in."""
        self._buffer += octets

    def take(self) -> Response | None:
        """The next whole reply, or ``None`` until more octets came.

        Raises:
            ProtocolError: what came is no reply, or is over a limit.
        """
        while (end := self._buffer.find(b"\n", 0, MAX_REPLY_LINE)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            found = _LINE.fullmatch(line)
            if found is None:
                raise ProtocolError(f"the server says what is no SMTP reply: {line[:80]!r}")
            self._lines.append(found[3] or b"")
            if found[2] != b"-":
                lines, self._lines = self._lines, []
                return Response(int(found[1]), tuple(lines))
            if len(self._lines) == MAX_REPLY_LINES:
                raise ProtocolError(f"a reply of more than {MAX_REPLY_LINES} lines")
        if len(self._buffer) >= MAX_REPLY_LINE:
            raise ProtocolError(f"a line of more than {MAX_REPLY_LINE} octets")
        return None
