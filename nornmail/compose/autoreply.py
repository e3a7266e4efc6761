"""What a program must not answer by itself (RFC 3834). Pure.

The names of refusal_reasons are those of :data:`REFUSALS`; ``allow`` lifts them one by one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from nornmail.compose.reply import correspondents, is_own
from nornmail.errors import ConfigurationError, Refusal
from nornmail.message.message import Message

# ---- Every sign that a machine sent a message, each with the name of its refusal (RFC 3834, 2).
# ``Message.is_automatic`` tells one sign, which is enough to stay silent. Here all are needed: who
# allows answers to lists does not allow them to a list's automatic answers.

MAX_SIGN_CHARS: Final = 100
"""Characters of a foreign field in a refusal."""

_WORD = re.compile(r"[A-Za-z_-]+")
_NO_READER = re.compile(r"(?<![a-z])(?:no|not|donot|do[._-]not)[._-]?reply(?![a-z])", re.IGNORECASE)
_DAEMON = re.compile(r"mailer[._-]?daemon|\Apostmaster\Z|\Abounces?(?:[+=_-]|\Z)", re.IGNORECASE)
_AUTO_REPLY_FIELDS = ("x-autoreply", "x-autorespond", "x-auto-reply-from", "x-mail-autoreply")
_LIST_FIELDS = ("list-id", "list-unsubscribe", "list-post", "list-help", "mailing-list")
_SUPPRESSED: Final = frozenset({"all", "oof", "autoreply"})
"""What asks for no automatic answers; the others ask for no reports and receipts."""


def machine_signs(message: Message) -> Iterator[Refusal]:
    """Every sign that a program sent this; none where a person seems to have written it."""
    kinds = set()
    for kind, sign in _SIGNS:
        shown = sign(message)
        if shown:
            kinds.add(kind)
            yield Refusal(kind, " ".join(shown.split())[:MAX_SIGN_CHARS])
    if message.is_automatic:
        kind = getattr(message.is_automatic, "kind", "automatic")
        if kind not in kinds and (kind != "automatic" or not kinds):
            yield Refusal(kind, message.automatic_reason[:MAX_SIGN_CHARS])


def _word(message: Message, name: str) -> str:
    """The first word of a field, in lower case."""
    found = _WORD.search(message.headers.raw(name))
    return found[0].lower() if found else ""


def _auto_replied(message: Message) -> str:
    value = _word(message, "auto-submitted")
    if value == "auto-replied":
        return f"Auto-Submitted: {value}"
    present = next((name for name in _AUTO_REPLY_FIELDS if name in message.headers), "")
    if present:
        return f"{present.title()} is present"
    return "Precedence: auto_reply" if _precedence(message) == "auto_reply" else ""


def _auto_generated(message: Message) -> str:
    value = _word(message, "auto-submitted")
    return f"Auto-Submitted: {value}" if value not in ("", "no", "auto-replied") else ""


def _suppress(message: Message) -> str:
    value = message.headers.get("x-auto-response-suppress", "") or ""
    asked = _SUPPRESSED & {one.strip().lower() for one in value.split(",")}
    return f"X-Auto-Response-Suppress: {value}" if asked else ""


def _null_path(message: Message) -> str:
    paths = message.headers.raw_all("return-path")
    return "Return-Path: <>" if paths and "".join(paths[0].split()) == "<>" else ""


def _report(message: Message) -> str:
    kind = message.headers.raw("content-type").partition(";")[0].strip().lower()
    if kind == "multipart/report":
        return "a report (multipart/report)"
    sender = message.from_.address
    if _DAEMON.search(sender.rpartition("@")[0]):
        return f"the sender is {sender}"
    return "a delivery report" if message.bounce is not None else ""


def _list_field(message: Message) -> str:
    present = next((name for name in _LIST_FIELDS if name in message.headers), "")
    if present:
        return f"{present.title()} is present"
    return "Precedence: list" if _precedence(message) == "list" else ""


def _bulk(message: Message) -> str:
    value = _precedence(message)
    return f"Precedence: {value}" if value in ("bulk", "junk") else ""


def _no_reader(message: Message) -> str:
    """Not the sender: forms on web pages write as noreply@, with a person in Reply-To."""
    for one in correspondents(message):
        if _NO_READER.search(one.address.rpartition("@")[0]):
            return f"an answer goes to {one.address}"
    return ""


def _precedence(message: Message) -> str:
    return _word(message, "precedence").replace("-", "_")


_SIGNS: Final[tuple[tuple[str, Callable[[Message], str]], ...]] = (
    ("report", _null_path),
    ("report", _report),
    ("auto-reply", _auto_replied),
    ("list", _list_field),
    ("auto-generated", _auto_generated),
    ("bulk", _bulk),
    ("suppress", _suppress),
    ("noreply", _no_reader),
)
"""Each kind with what looks for it; it gives what it found in words."""


MAX_REPLY_AGE: Final = timedelta(days=7)
"""What was received before is history: a first run over an old mailbox answers nobody."""
ANSWERS_PER_HOUR: Final = 10
"""Answers to one correspondent, or in one thread. People who write to each other stay below."""
ANSWERS_PER_DAY: Final = 30
"""The same within 24 hours."""
MAX_SHOWN: Final = 100
"""Characters of an address or an id in a refusal."""

REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        "report": "a delivery report or another report, or mail with a null return path",
        "auto-reply": "an answer that a machine gave",
        "list": "mail of a mailing list or a newsletter",
        "auto-generated": "a notification that a machine wrote of itself",
        "bulk": "mail that says of itself that it is bulk or junk",
        "suppress": "mail whose sender asks for no automatic answers",
        "noreply": "nobody reads the address that an answer would go to, by its name",
        "automatic": "mail that a machine sent, by a sign of another kind",
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
class ReplyCounts:
    """How many answers were sent or queued already: the larger of correspondent and thread.

    Attributes:
        hour: within the last 3,600 seconds.
        day: within the last 86,400 seconds.
    """

    hour: int = 0
    day: int = 0


NONE_ANSWERED: Final = ReplyCounts()


def refusal_reasons(
    message: Message,
    *,
    own: Collection[str],
    own_message_ids: Callable[[str], bool],
    answered: ReplyCounts = NONE_ANSWERED,
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
        allow: names of refusal_reasons that do not count here.

    Raises:
        ConfigurationError: ``allow`` has a name that is none of :data:`REFUSALS`.
    """
    for name in allow:
        if name not in REFUSALS:
            raise ConfigurationError("allow", name, "must be of " + ", ".join(REFUSALS))
    found = [
        *machine_signs(message),
        *_of_ourselves(message, own, own_message_ids),
        *_too_many(answered, limits or AnswerLimits()),
        *_too_old(message, now, max_age),
    ]
    order = list(REFUSALS)
    found.sort(key=lambda one: order.index(one.kind))
    return [one for one in found if one.kind not in allow]


def _of_ourselves(
    message: Message, own: Collection[str], own_message_ids: Callable[[str], bool]
) -> Iterator[Refusal]:
    """We would talk to ourselves, or to nobody."""
    named = correspondents(message)
    if not named:
        yield Refusal("nobody", "it names nobody to answer to")
    sender = message.from_.address
    if sender and is_own(sender, own):
        yield Refusal("self", f"it is from {sender[:MAX_SHOWN]}, which is ours")
    elif named and all(is_own(one.address, own) for one in named):
        yield Refusal("self", f"answers to it go to {named[0].address[:MAX_SHOWN]}, which is ours")
    if message.message_id and own_message_ids(message.message_id):
        yield Refusal("own-message", f"we sent it ourselves: {message.message_id[:MAX_SHOWN]}")


def _too_many(answered: ReplyCounts, limits: AnswerLimits) -> Iterator[Refusal]:
    if answered.hour >= limits.per_hour:
        yield Refusal("rate", f"{answered.hour} answers within an hour")
    elif answered.day >= limits.per_day:
        yield Refusal("rate", f"{answered.day} answers within a day")


def _too_old(message: Message, now: datetime, max_age: timedelta | None) -> Iterator[Refusal]:
    when = message.received_at or message.date
    if max_age is None or when is None or now - when <= max_age:
        return
    yield Refusal("old", f"received {when:%Y-%m-%d}, which is {(now - when).days} days ago")
