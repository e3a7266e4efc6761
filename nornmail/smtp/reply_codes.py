"""Replies of an SMTP server: octets in, values out, and one table of the meanings of codes.

RFC 5321, 4.2 and 4.3.2; RFC 4954. A code that the table does not have for a phase means what its
first digit says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from nornmail.errors import ProtocolError

MAX_REPLY_LINE: Final = 8_192
"""Octets of a line of a reply; RFC 5321 (4.5.3.1.5) has 512."""
MAX_REPLY_LINES: Final = 500
"""Lines of one reply. The longest real ones, to EHLO, have some twenty."""
MAX_REPLY_CHARS: Final = 2_000
"""Characters of a reply's text that are looked at."""

_LINE = re.compile(rb"([2-5][0-9]{2})(?:([ -])([^\n]*?))?\r*")
_ENHANCED = re.compile(r"[245]\.\d{1,3}\.\d{1,3}(?= |\Z)")


@dataclass(frozen=True, slots=True)
class Reply:
    """One reply."""

    code: int
    lines: tuple[bytes, ...]

    @property
    def text(self) -> str:
        """All lines as one, with the enhanced code (RFC 2034) that each of them repeats once.

        At most :data:`MAX_REPLY_CHARS` characters.
        """
        words = [line.decode("utf-8", "replace").strip() for line in self.lines]
        enhanced = self.enhanced
        if enhanced:
            words = [enhanced, *(word.removeprefix(enhanced).strip() for word in words)]
        return " ".join(filter(None, words))[:MAX_REPLY_CHARS]

    @property
    def enhanced(self) -> str:
        """The enhanced status code (RFC 3463) at its beginning, ``""`` where there is none."""
        match = _ENHANCED.match(self.lines[0].decode("latin-1")) if self.lines else None
        return match[0] if match else ""


class ReplyReader:
    """Takes octets in, gives replies out. After an error it cannot be used any more."""

    __slots__ = ("_buffer", "_digit", "_lines")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._lines: list[bytes] = []
        self._digit = b""

    @property
    def is_empty(self) -> bool:
        """Whether no octet is left that belongs to no reply."""
        return not self._buffer and not self._lines

    def feed(self, octets: bytes) -> None:
        """Take octets in."""
        self._buffer += octets

    def next(self) -> Reply | None:
        """The next whole reply, or ``None`` until more octets came."""
        while (end := self._buffer.find(b"\n", 0, MAX_REPLY_LINE)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            match = _LINE.fullmatch(line)
            if match is None:
                raise ProtocolError(f"the server's line is not an SMTP reply: {line[:80]!r}")
            digit = match[1][:1]
            if self._lines and digit != self._digit:  # RFC 5321, 4.2.1: they are the same
                raise ProtocolError(f"the lines of a reply contradict each other: {line[:80]!r}")
            self._digit = digit
            self._lines.append(match[3] or b"")
            if match[2] != b"-":
                lines, self._lines = self._lines, []
                return Reply(int(match[1]), tuple(lines))
            if len(self._lines) == MAX_REPLY_LINES:
                raise ProtocolError(f"a reply of more than {MAX_REPLY_LINES} lines")
        if len(self._buffer) >= MAX_REPLY_LINE:
            raise ProtocolError(f"a line of more than {MAX_REPLY_LINE} octets")
        return None


class Phase(StrEnum):
    """The phase of a session in which a reply was read."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END = "end of data"
    """After the final dot."""
    OTHER = "RSET, NOOP or QUIT"


class ReplyKind(StrEnum):
    """Kinds of replies (RFC 5321, 4.2.1)."""

    COMPLETION = "positive completion"
    INTERMEDIATE = "positive intermediate"
    """The server waits for more: the content, or the next step of a login."""
    TRANSIENT = "transient negative"
    """Not now; another try may succeed."""
    PERMANENT = "permanent negative"
    INVALID = "invalid"
    """Not an answer to the command: nothing more on this connection can be trusted."""


CLOSING: Final = 421
"""The server closes the connection, whatever the command was (RFC 5321, 3.8)."""
UNKNOWN_MECHANISM: Final = frozenset({500, 502, 504})
"""The server does not know AUTH or its mechanism; it has not looked at the password."""

_NOT_25X: Final = dict.fromkeys((*range(200, 250), *range(260, 300)), ReplyKind.INVALID)
"""A ``221`` where ``250`` is expected is not success."""
_BY_DIGIT: Final = {
    2: ReplyKind.COMPLETION,
    3: ReplyKind.INVALID,
    4: ReplyKind.TRANSIENT,
    5: ReplyKind.PERMANENT,
}
KINDS: Mapping[Phase, Mapping[int, ReplyKind]] = MappingProxyType(
    {
        Phase.GREETING: {},
        Phase.EHLO: {},
        Phase.STARTTLS: {},
        Phase.AUTH: {
            334: ReplyKind.INTERMEDIATE,
            # RFC 4954, 4.7: a password transition is needed, which no other try brings about.
            432: ReplyKind.PERMANENT,
        },
        Phase.MAIL: _NOT_25X,
        Phase.RCPT: {
            **_NOT_25X,
            # RFC 5321, 4.5.3.1.10: old servers say it of too many recipients, where 452 belongs.
            552: ReplyKind.TRANSIENT,
        },
        # A server that takes content before it came did not understand DATA.
        Phase.DATA: {
            354: ReplyKind.INTERMEDIATE,
            **dict.fromkeys(range(200, 300), ReplyKind.INVALID),
        },
        Phase.END: _NOT_25X,
        Phase.OTHER: {},
    }
)
"""For each phase the codes that do not mean what their first digit says."""

DAILY_LIMIT: Final = "5.4.5"
"""Gmail refuses for good what it takes tomorrow: ``550 5.4.5 Daily sending limit exceeded``."""
_TRANSACTION: Final = frozenset({Phase.MAIL, Phase.RCPT, Phase.DATA, Phase.END})

_FULL = re.compile(r"5\.(?!5\.3\b)")
"""An enhanced code after 552 that is not about the number of recipients: a full mailbox."""
_TOO_MANY = re.compile(r"too many recipients|recipient limit|recipients exceeded", re.IGNORECASE)


def reply_kind(phase: Phase, reply: Reply) -> ReplyKind:
    """The kind of a reply in its phase."""
    code = reply.code
    if phase is Phase.RCPT and code == 552 and _FULL.match(reply.enhanced):
        return ReplyKind.PERMANENT
    if phase in _TRANSACTION and code // 100 == 5 and reply.enhanced == DAILY_LIMIT:
        return ReplyKind.TRANSIENT
    return KINDS[phase].get(code) or _BY_DIGIT[code // 100]


def is_full(reply: Reply) -> bool:
    """Whether the server takes no further RCPT in this transaction."""
    if reply_kind(Phase.RCPT, reply) is not ReplyKind.TRANSIENT:
        return False
    return reply.enhanced[2:] == "5.3" or _TOO_MANY.search(reply.text) is not None


_LIMITS: Final = (
    (re.compile(r"too many (?:\w+ )*(?:connections|sessions)|connection limit", re.I),
     "connections"),
    (re.compile(r"too many|rate|throttl|try again in|exceeded", re.I), "rate"),
)  # fmt: skip
"""Texts about a limit, and what it is about."""


def limit_kind(text: str) -> str:
    """The kind of a transient refusal, as :class:`~nornmail.errors.Throttled` has it."""
    return next((kind for words, kind in _LIMITS if words.search(text)), "unavailable")


_LOCKED_OUT: Final = re.compile(r"too many (?:\w+ ){0,3}(?:attempts|failures|logins?)", re.I)


def is_lockout(text: str) -> bool:
    """Whether a 5xx to a login is about too many attempts, and not about the password."""
    return _LOCKED_OUT.search(text) is not None
