"""What a reply code means at each stage of a session: one table (RFC 5321, 4.2, 4.3.2; RFC 4954).

A code that the table does not have for a stage means what its first digit says.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from nornmail.smtp.responses import Response


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
