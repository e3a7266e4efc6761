"""Sending policy: the recipients that are allowed, and reasons not to answer a message (RFC 3834).

Pure. The names of the reasons are those of :data:`REFUSALS`; ``allow`` lifts them one by one.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from nornmail.compose.addresses import checked_address
from nornmail.compose.reply import correspondents, is_own, participants
from nornmail.errors import ComposeError, ConfigurationError, RecipientNotAllowed, Refusal
from nornmail.message.addresses import Address, comparable
from nornmail.message.automatic import KINDS, noreply_signs
from nornmail.message.message import Message
from nornmail.outgoing import Envelope
from nornmail.settings.fields import DomainRules, check_type
from nornmail.settings.smtp import SmtpSettings

CORRESPONDENTS: Final = "correspondents"
"""Stands for everyone who wrote to us with a verified sender, or is in the thread."""
_RELAYED: Final = re.compile(r"[%!@:,;<>\\\s]")
"""Signs by which a server of the domain may pass mail on to another one: ``eve%evil.example@``."""


class AllowedRecipients:
    """The addresses and domains that mail may go to.

    Args:
        entries: addresses, domains as ``@example.com``, which do not cover their subdomains, and
            :data:`CORRESPONDENTS`; none of them refuses every recipient, and ``None`` refuses none.
        domains: rules for the domains, which every recipient must fulfil as well.

    Raises:
        ConfigurationError: an entry is neither.
    """

    def __init__(self, entries: Iterable[str] | None, domains: DomainRules | None = None) -> None:
        if isinstance(entries, str):
            entries = (entries,)
        self._all = entries is None
        self._domain_rules = domains or DomainRules()
        self._addresses: set[str] = set()
        self._domains: set[str] = set()
        self._correspondents = False
        for entry in entries or ():
            try:
                self._add(entry)
            except (ComposeError, AttributeError) as error:
                must = "must be ann@example.com, @example.com or correspondents, or a list of these"
                raise ConfigurationError("allowed_recipients", entry, must) from error

    @classmethod
    def of(cls, settings: SmtpSettings, entries: Iterable[str] | None) -> AllowedRecipients | None:
        """Those of ``entries``, else of the settings; ``None`` where every recipient is allowed."""
        if entries is None and settings.allowed_recipients is not None:
            entries = settings.allowed_recipients.split(",")
        rules = settings.domain_rules
        return None if entries is None and not rules else cls(entries, rules)

    def _add(self, entry: str) -> None:
        entry = entry.strip()
        if entry == CORRESPONDENTS:
            self._correspondents = True
        elif entry.startswith("@"):
            address = checked_address(f"x{entry}", "allowed_recipients")
            self._domains.add(comparable(address).rpartition("@")[2])
        else:
            self._addresses.add(comparable(checked_address(entry, "allowed_recipients")))

    def check(
        self,
        envelope: Envelope,
        messages: Iterable[Message] = (),
        is_correspondent: Callable[[str], bool] = lambda address: False,
    ) -> None:
        """Check every recipient of a composed message.

        The envelope decides where mail goes; whatever headers, names and tags say, only these
        addresses get it.

        Args:
            envelope: of the message.
            messages: those that it answers, or that are being handled. Only one whose sender is
                verified names correspondents: From, To and Cc; Reply-To does not.
            is_correspondent: whether an address is a verified sender who wrote to us before, or got
                mail of ours in the same thread.

        Raises:
            RecipientNotAllowed: one of them is not allowed.
        """
        in_thread = {
            comparable(who.address)
            for message in (messages if self._correspondents else ())
            if message.authentication.is_aligned()
            for who in participants(message)
        }
        for address in envelope.recipients:
            form = comparable(address)
            local, _, domain = form.rpartition("@")
            is_relayed = self._domain_rules.allow and _RELAYED.search(_plain(local))
            if is_relayed or self._domain_rules.refusal(domain):
                raise RecipientNotAllowed(address)
            is_known = form in in_thread or (self._correspondents and is_correspondent(form))
            if not is_known and not self._all and not self._covers(form):
                raise RecipientNotAllowed(address)

    def _covers(self, address: str) -> bool:
        if address in self._addresses:
            return True
        local, _, domain = address.rpartition("@")
        return domain in self._domains and not _RELAYED.search(_plain(local))


def _plain(local: str) -> str:
    return unicodedata.normalize("NFKC", local)


MAX_REPLY_AGE: Final = timedelta(days=7)
"""Older mail is history: a first run over an old mailbox sends no answers."""
ANSWERS_PER_HOUR: Final = 10
"""Answers to one correspondent, or in one thread. People who write to each other stay below."""
ANSWERS_PER_DAY: Final = 30
"""The same within 24 hours."""
MAX_SHOWN: Final = 100
"""Characters of an address or an id in a refusal."""

REFUSALS: Mapping[str, str] = MappingProxyType(
    {
        **KINDS,
        "self": "mail whose answer would go to our own addresses alone",
        "own-message": "a message that we sent ourselves, by its Message-ID",
        "nobody": "no address to answer to",
        "rate": "the limit of answers to this correspondent or in this thread",
        "old": "received longer ago than max_reply_age",
    }
)
"""Every name of a refusal, and what it means."""
NOT_OF_FORWARDS: Final = frozenset({"list", "bulk", "suppress", "noreply", "nobody"})
"""Reasons not to answer a sender, which no forwarded message reaches."""


@dataclass(frozen=True, slots=True)
class AnswerLimits:
    """Limits on the answers to a correspondent, or in a thread.

    Attributes:
        per_hour: within the last 3,600 seconds.
        per_day: within the last 86,400 seconds.

    Raises:
        ConfigurationError: a limit is no whole number, or below 0.
    """

    per_hour: int = ANSWERS_PER_HOUR
    per_day: int = ANSWERS_PER_DAY

    def __post_init__(self) -> None:
        for name in ("per_hour", "per_day"):
            value = getattr(self, name)
            if not isinstance(value, int) or value is True or value < 0:
                raise ConfigurationError(f"AnswerLimits.{name}", value, "must be 0 or more")


@dataclass(frozen=True, slots=True)
class SendingPolicy:
    """The limits of what a program may send.

    Attributes:
        answer_limits: of answers to a correspondent; ``None`` for the defaults.
        max_reply_age: mail received longer ago is not answered; ``None`` means no limit.
        allowed: recipients; ``None`` allows all.
    """

    answer_limits: AnswerLimits | None = None
    max_reply_age: timedelta | None = MAX_REPLY_AGE
    allowed: AllowedRecipients | None = None

    def __post_init__(self) -> None:
        fits = isinstance(self.answer_limits, AnswerLimits | None)
        check_type("answer_limits", self.answer_limits, fits, "AnswerLimits(per_hour, per_day)")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplyCounts:
    """Answers sent or queued so far: the larger count of correspondent and thread."""

    hour: int = 0
    day: int = 0


NO_REPLIES: Final = ReplyCounts()


def refusal_reasons(
    message: Message,
    *,
    own: Collection[str],
    own_message_ids: Callable[[str], bool],
    answered: ReplyCounts = NO_REPLIES,
    limits: AnswerLimits | None = None,
    now: datetime,
    max_age: timedelta | None = MAX_REPLY_AGE,
    allow: Collection[str] = (),
    to_author: bool = False,
    forwarded_to: Sequence[Address] | None = None,
) -> list[Refusal]:
    """Every reason not to answer, one of each kind, in the order of :data:`REFUSALS`.

    Args:
        own: all addresses of ours.
        own_message_ids: whether a Message-ID (with its angle brackets) is that of a message that we
            sent.
        answered: replies so far to this correspondent and in this thread.
        limits: on those; ``None`` is the default.
        max_age: how long ago it may have been received (``received_at``, else the Date field);
            ``None`` means no limit.
        allow: names of refusals to ignore.
        to_author: the answer goes to From, whatever Reply-To says.
        forwarded_to: the message is not answered but forwarded to these: a loop may lead through
            them as well.

    Raises:
        ConfigurationError: ``allow`` is no set, or has a name that is none of :data:`REFUSALS`.
    """
    check_type("allow", allow, isinstance(allow, Collection), 'a set of reasons, as {"list"}')
    for name in allow:
        if name not in REFUSALS:
            raise ConfigurationError("allow", name, "must be of " + ", ".join(REFUSALS))
    recipients = forwarded_to
    if recipients is None:
        recipients = correspondents(message, to_author=to_author)
    reasons: dict[str, Refusal] = {}
    for reason in (
        *_automatic(message, to_author),
        *_from_ourselves(message, own, own_message_ids, recipients),
        *_too_many(answered, limits or AnswerLimits()),
        *_too_old(message, now, max_age),
    ):
        reasons.setdefault(reason.kind, reason)
    lifted = {*allow, *(NOT_OF_FORWARDS if forwarded_to is not None else ())}
    return [reasons[kind] for kind in REFUSALS if kind in reasons and kind not in lifted]


def _automatic(message: Message, to_author: bool) -> Iterator[Refusal]:
    """The signs of a machine; that an address is not read counts where the reply goes to it."""
    for sign in message.automatic_signs:
        if sign.kind != "noreply" or not to_author:
            yield Refusal(sign.kind, sign.reason)
    if to_author:
        for kind, reason in noreply_signs([message.from_.address]):
            yield Refusal(kind, reason[:MAX_SHOWN])


def _from_ourselves(
    message: Message,
    own: Collection[str],
    own_message_ids: Callable[[str], bool],
    recipients: Sequence[Address],
) -> Iterator[Refusal]:
    """The reasons that it is our own mail, or that a reply would go to us or to no address.

    A form on a web page may write From our own address, with the customer in Reply-To.
    """
    if not recipients:
        yield Refusal("nobody", "it has no address to answer to")
    elif all(is_own(recipient.address, own) for recipient in recipients):
        address = recipients[0].address[:MAX_SHOWN]
        yield Refusal("self", f"it would go to {address}, an address of our own")
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
