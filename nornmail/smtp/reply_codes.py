"""What a reply code means at each stage of a session: one table (RFC 5321, 4.2, 4.3.2; RFC 4954).

A code that the table does not have for a stage means what its first digit says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from nornmail.errors import ProtocolError

# ---- Replies of an SMTP server: octets in, values out (RFC 5321, 4.2). Bounded.
# It is told from ``replies.py``, the answers to messages, by the name that ``imap/`` has for this.

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


class Stage(StrEnum):
    """Where in a session a reply was read."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    LOGIN = "AUTH"
    MAIL = "MAIL"
    RECIPIENT = "RCPT"
    DATA = "DATA"
    END = "end of data"
    """After the final dot."""
    OTHER = "RSET, NOOP or QUIT"


class Meaning(StrEnum):
    """What follows from a reply."""

    DONE = "done"
    GO_ON = "go on"
    """The server waits for more: the content, or the next step of a login."""
    LATER = "later"
    """Not now; another try may succeed."""
    NEVER = "never"
    """Not at all."""
    NONSENSE = "nonsense"
    """No answer to what was said: nothing more on this connection can be trusted."""


CLOSING: Final = 421
"""The server closes the connection, whatever it was asked (RFC 5321, 3.8)."""

_NOT_25X: Final = dict.fromkeys((*range(200, 250), *range(260, 300)), Meaning.NONSENSE)
"""``221 closing`` in the place of ``250``: nobody may take it for a yes."""
_BY_DIGIT: Final = {2: Meaning.DONE, 3: Meaning.NONSENSE, 4: Meaning.LATER, 5: Meaning.NEVER}
MEANINGS: Mapping[Stage, Mapping[int, Meaning]] = MappingProxyType(
    {
        Stage.GREETING: {},
        Stage.EHLO: {},
        Stage.STARTTLS: {},
        Stage.LOGIN: {
            334: Meaning.GO_ON,
            # RFC 4954, 4.7: a password transition is needed, which no other try brings about.
            432: Meaning.NEVER,
        },
        Stage.MAIL: _NOT_25X,
        Stage.RECIPIENT: {
            **_NOT_25X,
            # RFC 5321, 4.5.3.1.10: old servers say it of too many recipients, where 452 belongs.
            552: Meaning.LATER,
        },
        # A server that takes content before it came did not understand DATA.
        Stage.DATA: {354: Meaning.GO_ON, **dict.fromkeys(range(200, 300), Meaning.NONSENSE)},
        Stage.END: _NOT_25X,
        Stage.OTHER: {},
    }
)
"""For each stage the codes that do not mean there what their first digit says."""

DAILY_LIMIT: Final = "5.4.5"
"""Gmail refuses for good what it takes tomorrow: ``550 5.4.5 Daily sending limit exceeded``."""
_TRANSACTION: Final = frozenset({Stage.MAIL, Stage.RECIPIENT, Stage.DATA, Stage.END})

_FULL = re.compile(r"5\.(?!5\.3\b)")
"""An enhanced code beside 552 that is not about the number of recipients: a full mailbox."""
_TOO_MANY = re.compile(r"too many recipients|recipient limit|recipients exceeded", re.IGNORECASE)


def meaning(stage: Stage, response: Response) -> Meaning:
    """What a reply means where it was read."""
    code = response.code
    if stage is Stage.RECIPIENT and code == 552 and _FULL.match(response.enhanced):
        return Meaning.NEVER
    if stage in _TRANSACTION and code // 100 == 5 and response.enhanced == DAILY_LIMIT:
        return Meaning.LATER
    return MEANINGS[stage].get(code) or _BY_DIGIT[code // 100]


def is_full(response: Response) -> bool:
    """Whether no further RCPT is taken in this transaction."""
    if meaning(Stage.RECIPIENT, response) is not Meaning.LATER:
        return False
    return response.enhanced[2:] == "5.3" or _TOO_MANY.search(response.text) is not None


_LIMITS: Final = (
    (re.compile(r"too many (?:\w+ )*(?:connections|sessions)|connection limit", re.I),
     "connections"),
    (re.compile(r"too many|rate|throttl|try again in|exceeded", re.I), "rate"),
)  # fmt: skip
"""What servers say of a limit, and what it is about."""


def limit_kind(text: str) -> str:
    """What a refusal for now is about, as :class:`~nornmail.errors.Throttled` names it."""
    return next((kind for words, kind in _LIMITS if words.search(text)), "unavailable")


_LOCKED_OUT: Final = re.compile(r"too many (?:\w+ ){0,3}(?:attempts|failures|logins?)", re.I)


def is_lockout(text: str) -> bool:
    """Whether a 5xx to a login is about how often one was tried, and not about the password."""
    return _LOCKED_OUT.search(text) is not None
