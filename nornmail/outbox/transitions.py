"""Pure decisions of sending: what an attempt makes of a queued message, and when the next one is.

Nothing here reads a clock, a socket or a store: each function takes what is known and returns the
message as it is from then on, or a number of seconds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from nornmail.errors import ConfigurationError
from nornmail.outgoing import (
    APPROVED,
    REQUESTABLE,
    Envelope,
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Quota,
    Recipient,
    RecipientStatus,
)
from nornmail.retry import REASON_LENGTH, doubled
from nornmail.settings.fields import check_type
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.reply_codes import CLOSING, limit_kind
from nornmail.smtp.transaction import Submission, SubmissionOutcome

FIRST_RETRY = 60.0
"""Seconds until a deferred recipient is tried again: greylisting asks for some minutes, and the
wait doubles."""
LONGEST_RETRY = 3_600.0
"""Seconds between two attempts at most: what a person repaired is noticed within the hour."""
GIVE_UP_AFTER = 3 * 86_400.0
"""Seconds after the first attempt, with nothing but 4xx or network trouble, until a message has
failed. Mail servers themselves take four or five days (RFC 5321, 4.5.4.1); whoever waits for an
answer of a program has given up by then."""
LEAST_ATTEMPTS = 8
"""Attempts until a message is given up, at least: a program that was stopped or suspended for days
has no network in its first moment."""
LONGEST_DEFER = 7 * 86_400.0
"""Seconds that ``before_send`` may postpone a message by at most at a time: a person who approves
mail may be away for a week. A due time further ahead was written by a clock that ran ahead."""
SHORTEST_DEFER = 1.0
"""Seconds that it postpones a message by at least: a hook that defers by nothing would spin."""
SENDS_PER_MINUTE = 30
"""Messages within 60 seconds: Exchange Online takes no more."""
SENDS_PER_HOUR = 300
"""Messages within 3,600 seconds: an agent that runs wild is stopped by it, and none that works well
comes near."""
CLOCK_SLACK = 60.0
"""Seconds by which a clock may be set back without consequences: small corrections are common."""
MINUTE = 60.0
"""Seconds that the limit per minute counts over."""
HOUR = 3_600.0
"""Seconds that the limit per hour counts over."""
DAY = 86_400.0
COPY_TRIES = 12
"""Failed tries of the mailbox of sent mail until it is left alone: with waits that double from a
minute to six hours, about a day."""
LONGEST_COPY_WAIT = 21_600.0
"""Seconds between two of these at most."""

NO_ANSWER = "the connection or the process ended before the server's reply to the content"
"""Reason of a message that was found SENDING."""
BY_HAND = "retry requested by an operator"
REJECTED = "rejected by before_send"
NO_BYTES = "its bytes are missing or damaged in the store"
FOUND = "found in the mailbox of sent mail"
DRAFT_REMOVED = "draft removed"
DRAFT_GRACE = 30.0
"""Seconds for which a draft may be missing: mail programs save what a person sends, and remove the
draft, one after the other."""
FIRST_DRAFT_LOOK = 5.0
"""Seconds until a draft is looked for; the wait grows with its age."""
LONGEST_DRAFT_LOOK = 900.0
"""Seconds between two looks at most: each one is a login."""


@dataclass(frozen=True, slots=True)
class SendLimits:
    """Limits on how many messages go out; those above them wait.

    Attributes:
        per_minute: within any 60 seconds; ``None`` means no limit.
        per_hour: within any 3,600 seconds; the same.

    Raises:
        ConfigurationError: a limit is below 1.
    """

    per_minute: int | None = SENDS_PER_MINUTE
    per_hour: int | None = SENDS_PER_HOUR

    def __post_init__(self) -> None:
        for name in ("per_minute", "per_hour"):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or value is True or value < 1):
                raise ConfigurationError(f"SendLimits.{name}", value, "must be 1 or more, or None")

    @classmethod
    def of(cls, settings: SmtpSettings, given: SendLimits | None = None) -> SendLimits:
        """``given``, or the limits of the settings (0 means no limit) and the defaults."""
        fits = isinstance(given, SendLimits | None)
        check_type("send_limits", given, fits, "SendLimits(per_minute, per_hour)")
        if given is not None:
            return given
        limits = {"per_minute": settings.per_minute, "per_hour": settings.per_hour}
        return cls(**{name: most or None for name, most in limits.items() if most is not None})

    @property
    def most(self) -> int:
        """The number of submission times that decide when the next message may go out."""
        return max(self.per_minute or 0, self.per_hour or 0)

    def quotas(self, now: float) -> list[Quota]:
        """The limits as they are at ``now``, in seconds since 1970 UTC.

        What another machine submitted counts although its clock is ahead by a little.
        """
        windows = ((self.per_minute, MINUTE), (self.per_hour, HOUR))
        return [Quota(most, now - window, now + CLOCK_SLACK) for most, window in windows if most]


def until_slot(submissions: Sequence[float], limits: SendLimits, now: float) -> float:
    """Seconds until another message may go out, 0.0 if it may now.

    Args:
        submissions: when messages did, newest first, at least as many as ``limits.most``, by the
            clock of ``now``. Times in the future were written by a clock that ran ahead, and do
            not count.
    """
    past = [at for at in submissions if at <= now]
    quotas = limits.quotas(now)
    waits = [past[q.most - 1] - q.since for q in quotas if len(past) >= q.most]
    return max(waits, default=0.0)


def is_due(message: QueuedMessage, now: float) -> bool:
    """Whether a queued message may be tried at ``now`` (seconds since 1970 UTC).

    One that was written in the future is: the clock was set back, and the rest of its wait is
    unknown.
    """
    was_set_back = message.changed_at > now + CLOCK_SLACK
    return message.due_at <= now or was_set_back or message.due_at > now + LONGEST_DEFER


def until_due(message: QueuedMessage, now: float) -> float:
    """Seconds until a queued message is due, 0.0 if it is."""
    return 0.0 if is_due(message, now) else message.due_at - now


def retry_delay(attempts: int, rng: random.Random) -> float:
    """Seconds until the next attempt after this many: doubling, with a quarter of jitter."""
    return doubled(FIRST_RETRY, attempts - 1, LONGEST_RETRY) * (0.75 + 0.5 * rng.random())


# An attempt: what goes out, and what came of it.


@dataclass(frozen=True, slots=True)
class Deferred:
    """An attempt that failed for now, and counts.

    Attributes:
        seconds: until the next attempt; ``None`` doubles the wait of the last one.
    """

    reason: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Postponed:
    """``before_send`` asks to be called again after ``seconds``; the attempt does not count."""

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """The message must not go out; its bytes stay, for a retry on request."""

    reason: str


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The attempt ended after the content began to go out, without the server's reply."""

    reason: str = NO_ANSWER


@dataclass(frozen=True, slots=True)
class _Completed:
    """The server's reply leaves no recipient to try."""

    reason: str


SendOutcome: TypeAlias = Deferred | Postponed | Rejected | Interrupted | Submission


def envelope_of(message: QueuedMessage) -> Envelope:
    """The envelope of the next attempt: only recipients that are pending."""
    pending = RecipientStatus.PENDING
    addresses = tuple(r.address for r in message.recipients if r.status is pending)
    return Envelope(message.sender, addresses, message.smtputf8)


def sending(message: QueuedMessage, recipients: Sequence[Recipient], now: float) -> QueuedMessage:
    """A queued message when its content is about to go out.

    Args:
        recipients: of its envelope, as they stand if no reply ever comes.
    """
    return _with_recipients(message, recipients)._replace(
        state=QueueState.SENDING,
        tried_at=message.tried_at or now,
        submitted_at=now,
        due_at=0.0,
        changed_at=now,
        reason="",
    )


def after(
    message: QueuedMessage, outcome: SendOutcome, now: float, rng: random.Random
) -> QueuedMessage:
    """The message after an attempt to send it.

    Args:
        message: queued, or sending, with recipients that are pending or unknown.
        outcome: of the attempt.
    """
    if isinstance(outcome, Submission):
        message = _with_recipients(message, outcome.recipients)
    match _meaning(message, outcome) if isinstance(outcome, Submission) else outcome:
        case Interrupted(reason):
            return _move(_in_doubt(message), QueueState.UNKNOWN, reason, now)
        case Postponed(reason, seconds):
            # NaN compares false: a wait that is not a number would never be due.
            seconds = min(seconds, LONGEST_DEFER) if seconds > SHORTEST_DEFER else SHORTEST_DEFER
            return _move(message, QueueState.QUEUED, reason, now, due_at=now + seconds)
        case Deferred(reason, delay):
            delay = retry_delay(message.attempts + 1, rng) if delay is None else delay
            return _deferred(message, reason, delay, now)
        case Rejected(reason):
            return _given_up(message, reason or REJECTED, now)
        case _Completed(reason):
            return _ended(message, reason, now)


def _meaning(message: QueuedMessage, submission: Submission) -> Interrupted | Deferred | _Completed:
    """The outcome that a submission is for a message that has its recipients already."""
    if submission.outcome is SubmissionOutcome.UNKNOWN:
        return Interrupted(submission.text or NO_ANSWER)
    reason = "" if submission.outcome is SubmissionOutcome.ACCEPTED else _reply_text(submission)
    pending = [r for r in message.recipients if r.status is RecipientStatus.PENDING]
    return Deferred(reason or _reply_text(pending[0])) if pending else _Completed(reason)


def _reply_text(reply: Submission | Recipient) -> str:
    return f"{reply.code or ''} {reply.text}".strip()


def _with_recipients(message: QueuedMessage, recipients: Sequence[Recipient]) -> QueuedMessage:
    """The message with what is now known of the recipients that an envelope named."""
    known = {recipient.address: recipient for recipient in recipients}
    merged = tuple(known.get(r.address, r) for r in message.recipients)
    return message._replace(recipients=merged)


def _marked(
    message: QueuedMessage, before: Collection[RecipientStatus], status: RecipientStatus
) -> QueuedMessage:
    """The message with every recipient whose status is in ``before`` at ``status``."""
    recipients = tuple(
        replace(r, status=status) if r.status in before else r for r in message.recipients
    )
    return message._replace(recipients=recipients)


def _move(
    message: QueuedMessage, state: QueueState, reason: str, now: float, *, due_at: float = 0.0
) -> QueuedMessage:
    return message._replace(
        state=state, due_at=due_at, changed_at=now, reason=reason[:REASON_LENGTH]
    )


def _in_doubt(message: QueuedMessage) -> QueuedMessage:
    """The message with the recipients UNKNOWN that may have received it.

    Where the server deferred some and accepted others it is known who; else it is all pending ones.
    """
    if any(r.status is RecipientStatus.UNKNOWN for r in message.recipients):
        return message
    return _marked(message, {RecipientStatus.PENDING}, RecipientStatus.UNKNOWN)


def _deferred(message: QueuedMessage, reason: str, delay: float, now: float) -> QueuedMessage:
    tried_at = message.tried_at or now
    message = message._replace(attempts=message.attempts + 1, tried_at=tried_at)
    if now - tried_at >= GIVE_UP_AFTER and message.attempts >= LEAST_ATTEMPTS:
        return _given_up(message, f"given up after {GIVE_UP_AFTER / 86_400:g} days: {reason}", now)
    return _move(message, QueueState.QUEUED, reason, now, due_at=now + delay)


def _given_up(message: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    left = {RecipientStatus.PENDING, RecipientStatus.UNKNOWN}
    recipients = tuple(
        replace(r, text=r.text or reason) if r.status in left else r for r in message.recipients
    )
    refused = _marked(message._replace(recipients=recipients), left, RecipientStatus.REFUSED)
    return _ended(refused, reason, now)


def _ended(message: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    """The message with no recipient left to try: sent, or failed if no server accepted it."""
    statuses = Counter(recipient.status for recipient in message.recipients)
    got_it = statuses[RecipientStatus.ACCEPTED] + statuses[RecipientStatus.BOUNCED]
    refused = statuses[RecipientStatus.REFUSED]
    if got_it and refused:
        reason = f"refused for {refused} of {len(message.recipients)} recipients"
    return _move(message, QueueState.SENT if got_it else QueueState.FAILED, reason, now)


def throttles(submission: Submission) -> str:
    """The kind of limit that a server's reply is about, ``""`` where it is about this message.

    Returns:
        As :class:`~nornmail.errors.Throttled` names it. Too many recipients is about this message.
    """
    kind = limit_kind(submission.text)
    if submission.code == CLOSING:
        return "rate" if kind == "unavailable" else kind
    if submission.outcome is not SubmissionOutcome.DEFERRED or submission.code // 100 != 4:
        return ""
    about_it = kind == "unavailable" or "recipient" in submission.text.lower()
    return "" if about_it else kind


def noted(message: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    """A queued message with the reason for which it waits, due as before."""
    return message._replace(reason=reason[:REASON_LENGTH], changed_at=now)


# Requests of an operator.


def apply_request(
    message: QueuedMessage, request: OperatorRequest, now: float
) -> QueuedMessage | None:
    """The message after an operator's request; ``None`` where that is not possible (any more)."""
    if message.state not in REQUESTABLE[request] or message.dropped:
        return None
    if request is OperatorRequest.SENT:
        return known_as_sent(message, "marked as sent by an operator", now)
    if request is OperatorRequest.DROP:
        return _dropped(message, now)
    again = (RecipientStatus.UNKNOWN, RecipientStatus.REFUSED)
    recipients = tuple(Recipient(r.address) if r.status in again else r for r in message.recipients)
    # Three days anew: the first attempt may be years ago.
    message = message._replace(recipients=recipients, attempts=0, tried_at=0.0, copy_due_at=0.0)
    if message.approval == "draft":
        message = _move(message, QueueState.DRAFT, BY_HAND, now)
        return with_copy_due(message, now)._replace(copied=False)
    if message.approval == "queue" and not message.decision.startswith(APPROVED):
        return _move(message, QueueState.HELD, BY_HAND, now)._replace(decision="")
    return _move(message, QueueState.QUEUED, BY_HAND, now, due_at=now)


def _dropped(message: QueuedMessage, now: float) -> QueuedMessage:
    reason = "dropped by an operator"
    if message.state is QueueState.UNKNOWN:
        reason += "; it may have been sent"
    else:
        message = _given_up(message, reason, now)
    # What some recipients got stays sent; the message as a whole is given up.
    state = QueueState.SENT if message.state is QueueState.SENT else QueueState.FAILED
    return _move(message, state, reason, now)._replace(dropped=True, copy_due_at=0.0)


def known_as_sent(message: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    """An unknown message that is known to have been sent; deferred recipients are tried again."""
    unknown = {RecipientStatus.UNKNOWN}
    message = _marked(_in_doubt(message), unknown, RecipientStatus.ACCEPTED)
    if any(r.status is RecipientStatus.PENDING for r in message.recipients):
        return _move(message, QueueState.QUEUED, reason, now, due_at=now)
    return _ended(message, reason, now)


# The copy in the mailbox of sent mail.


def with_copy_due(message: QueuedMessage, now: float) -> QueuedMessage:
    """The message, with its copy to be saved or looked for at once."""
    return message._replace(copy_due_at=now, copy_tries=0)


def copied(message: QueuedMessage, now: float) -> QueuedMessage:
    """The message with its copy in the mailbox of sent mail."""
    return message._replace(copied=True, copy_due_at=0.0, changed_at=now)


def copy_done(message: QueuedMessage, now: float) -> QueuedMessage:
    """The message with nothing more to do for its copy."""
    return message._replace(copy_due_at=0.0, changed_at=now)


def copy_deferred(message: QueuedMessage, now: float) -> QueuedMessage:
    """The message after its copy could not be saved or found: later, or never again."""
    tries = message.copy_tries + 1
    delay = doubled(FIRST_RETRY, tries - 1, LONGEST_COPY_WAIT)
    due_at = now + delay if tries < COPY_TRIES else 0.0
    return message._replace(copy_tries=tries, copy_due_at=due_at, changed_at=now)


# A draft, which a person sends.


def draft_seen(message: QueuedMessage, now: float) -> QueuedMessage:
    """The message as a draft that is in its mailbox, to be looked for again."""
    wait = min(max((now - message.queued_at) / 4, FIRST_DRAFT_LOOK), LONGEST_DRAFT_LOOK)
    changed_at = message.changed_at if message.copied else now
    message = message._replace(copied=True, copy_tries=0, attempts=0, reason="")
    return message._replace(copy_due_at=now + wait, changed_at=changed_at)


def draft_missing(message: QueuedMessage, now: float) -> QueuedMessage:
    """The message as a draft that is not in its mailbox: failed when it stays missing."""
    if message.copy_tries:
        return draft_removed(message, DRAFT_REMOVED, now)
    return message._replace(copy_tries=1, copy_due_at=now + DRAFT_GRACE, changed_at=now)


def draft_removed(message: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    """The message as a draft that is not there any more, and was not sent."""
    return _given_up(message, reason, now)._replace(copied=False, copy_due_at=0.0)


def draft_deferred(message: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    """The message as a draft whose mailbox could not be used; it is tried until it can."""
    wait = FIRST_RETRY if message.attempts < 10 else LONGEST_DRAFT_LOOK
    message = message._replace(attempts=message.attempts + 1, copy_due_at=now + wait)
    return noted(message, reason, now)


def until_copy(messages: Collection[QueuedMessage], now: float) -> float | None:
    """Seconds until the mailbox of sent mail is asked next, ``None`` if it is not."""
    waits = [
        0.0 if m.copy_due_at > now + LONGEST_COPY_WAIT else max(m.copy_due_at - now, 0.0)
        for m in messages
    ]
    return min(waits, default=None)
