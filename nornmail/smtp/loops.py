"""What a program must not answer by itself (RFC 3834). Pure.

The names of refusals are those of :data:`REFUSALS`; ``allow`` lifts them one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from nornmail.errors import ConfigurationError, Refusal
from nornmail.message import Message
from nornmail.smtp.replies import correspondents, is_own

MAX_REPLY_AGE: Final = timedelta(days=7)
"""What was received before is history: a first run over an old mailbox answers nobody."""
ANSWERS_PER_HOUR: Final = 10
"""Answers to one correspondent, or in one thread. People who write to each other stay below."""
ANSWERS_PER_DAY: Final = 30
"""The same within 24 hours."""

REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "auto-reply": "an automatic answer, or one who wants none (Auto-Submitted and its kin)",
        "report": "a delivery report or another report, or mail with a null return path",
        "list": "mail of a mailing list or a newsletter",
        "bulk": "bulk mail (Precedence)",
        "noreply": "a sender that reads no answers (noreply, mailer-daemon)",
        "automatic": "mail that a machine sent for another reason",
        "self": "mail from one of our own addresses, or whose answer would go to one",
        "own-message": "a message that we sent ourselves, by its Message-ID",
        "nobody": "no address to answer to",
        "rate": "the limit of answers to this correspondent or in this thread",
        "old": "received longer ago than max_reply_age",
    }
)
"""Every name of a refusal, and what it stands for."""


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """How many answers a correspondent, or a thread, gets.

    Attributes:
        per_hour: within the last 3,600 seconds.
        per_day: within the last 86,400 seconds.
    """

    per_hour: int = ANSWERS_PER_HOUR
    per_day: int = ANSWERS_PER_DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many answers were sent or queued already: the larger of correspondent and thread.

    Attributes:
        hour: within the last 3,600 seconds.
        day: within the last 86,400 seconds.
    """

    hour: int = 0
    day: int = 0


NONE_ANSWERED: Final = Counts()


def refusals(
    message: Message,
    *,
    own: Collection[str],
    own_message_ids: Callable[[str], bool],
    answered: Counts = NONE_ANSWERED,
    limits: AnswerLimits | None = None,
    now: datetime,
    max_age: timedelta | None = MAX_REPLY_AGE,
    allow: Collection[str] = (),
) -> list[Refusal]:
    """Every reason not to answer, in the order of :data:`REFUSALS`; empty when there is none.

    Args:
        message: what would be answered.
        own: all addresses of ours.
        own_message_ids: whether a Message-ID (with its angle brackets) is that of a message which
            we sent.
        answered: what this correspondent and this thread got already.
        limits: how many they get; ``None`` is the default.
        now: with a time zone.
        max_age: since when it may have been received (``received_at``, else the Date field);
            ``None`` is no limit.
        allow: names of refusals that do not count here.

    Raises:
        ConfigurationError: ``allow`` has a name that is none of :data:`REFUSALS`.
    """
    for name in allow:
        if name not in REFUSALS:
            raise ConfigurationError("allow", name, "must be of " + ", ".join(REFUSALS))
    _ = (own_message_ids, limits or AnswerLimits(), answered, now, max_age)
    found = []
    if message.is_automatic:
        found.append(Refusal("automatic", message.automatic_reason))
    if is_own(message.from_.address, own):
        found.append(Refusal("self", f"it is from {message.from_.address}, which is ours"))
    if not correspondents(message):
        found.append(Refusal("nobody", "it names nobody to answer to"))
    return [one for one in found if one.kind not in allow]
