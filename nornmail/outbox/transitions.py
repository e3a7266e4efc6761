"""Pure decisions of sending: what an answer means for a letter, and when it is tried next.

Nothing here reads a clock, a socket or a store; each function takes what is known and returns the
letter as it is from then on, or a number of seconds.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from nornmail.errors import ConfigurationError
from nornmail.outgoing import (
    REQUESTABLE,
    Envelope,
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Recipient,
    RecipientStatus,
)
from nornmail.retry import REASON_LENGTH
from nornmail.smtp.reply_codes import CLOSING, limit_kind
from nornmail.smtp.transaction import Outcome, Submission

FIRST_RETRY = 60.0
"""Seconds until a recipient that was put off is tried again: greylisting asks for some minutes, and
the wait doubles."""
LONGEST_RETRY = 3_600.0
"""Seconds between two tries at most: what a person mended is noticed within the hour."""
GIVE_UP_AFTER = 3 * 86_400.0
"""Seconds after the first try, with nothing but 4xx or network trouble, until a letter failed. Mail
servers themselves take four or five days (RFC 5321, 4.5.4.1); whoever waits for an answer of a
program has given up by then."""
LONGEST_DEFER = 7 * 86_400.0
"""Seconds that ``before_send`` may put a letter off by at most at a time: a person who approves
mail may be away for a week. A due time further ahead was written by a clock that ran ahead."""
SHORTEST_DEFER = 1.0
"""Seconds that it puts a letter off by at least: a hook that defers by nothing would spin."""
SENDS_PER_MINUTE = 30
"""Letters within 60 seconds: Exchange Online takes no more."""
SENDS_PER_HOUR = 300
"""Letters within 3,600 seconds: an agent that runs wild is stopped by it, and none that works well
comes near."""
MINUTE = 60.0
"""Seconds that the limit per minute counts over."""
HOUR = 3_600.0
"""Seconds that the limit per hour counts over."""
COPY_TRIES = 12
"""How often a mailbox of sent mail is asked in vain before it is left alone: with waits that double
from a minute to six hours, about a day."""
LONGEST_COPY_WAIT = 21_600.0
"""Seconds between two of these at most."""

NO_ANSWER = "the connection or the process ended before the server's answer to the content"
"""Why a letter that was found SENDING is unknown."""
BY_HAND = "a person asked for another try"
REJECTED = "before_send turned it down"
NO_BYTES = "its bytes are not in the store any more"
FOUND = "it was found in the mailbox of sent mail"


@dataclass(frozen=True, slots=True)
class SendLimits:
    """How many letters go out at most; what is above waits.

    Attributes:
        per_minute: within any 60 seconds; ``None`` is no limit.
        per_hour: within any 3,600 seconds; the same.

    Raises:
        ConfigurationError: a limit is below 1.
    """

    per_minute: int | None = SENDS_PER_MINUTE
    per_hour: int | None = SENDS_PER_HOUR

    def __post_init__(self) -> None:
        for name in ("per_minute", "per_hour"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not value >= 1):
                raise ConfigurationError(f"SendLimits.{name}", value, "must be 1 or more, or None")

    @property
    def most(self) -> int:
        """How many times of submission have to be known to tell when the next one may be."""
        return max(self.per_minute or 0, self.per_hour or 0)


def until_slot(submissions: Sequence[float], limits: SendLimits, now: float) -> float:
    """Seconds until another letter may go out, 0.0 if it may now.

    Args:
        submissions: when letters did, newest first, at least as many as ``limits.most``, in seconds
            since 1970 UTC. What lies in the future was written by a clock that ran ahead, and does
            not count.
        limits: how many may.
        now: seconds since 1970 UTC.
    """
    past = [at for at in submissions if at <= now]
    waits = [0.0]
    for most, window in ((limits.per_minute, MINUTE), (limits.per_hour, HOUR)):
        if most is not None and len(past) >= most:
            waits.append(past[most - 1] + window - now)
    return max(waits)


def is_due(letter: QueuedMessage, now: float) -> bool:
    """Whether a queued letter may be tried at ``now`` (seconds since 1970 UTC)."""
    return letter.due_at <= now or letter.due_at > now + LONGEST_DEFER


def until_due(letter: QueuedMessage, now: float) -> float:
    """Seconds until a queued letter is due, 0.0 if it is."""
    return 0.0 if is_due(letter, now) else letter.due_at - now


def retry_delay(attempts: int, rng: random.Random) -> float:
    """Seconds until the next try after this many: doubling, with up to half of it in jitter."""
    doubled = min(FIRST_RETRY * 2.0 ** min(attempts - 1, 30), LONGEST_RETRY)
    return doubled * (0.75 + 0.5 * rng.random())


def envelope_of(letter: QueuedMessage) -> Envelope:
    """To whom a letter still has to go."""
    pending = (one.address for one in letter.recipients if one.status is RecipientStatus.PENDING)
    return Envelope(letter.sender, tuple(pending), letter.smtputf8)


def sending(letter: QueuedMessage, recipients: Sequence[Recipient], now: float) -> QueuedMessage:
    """The letter as it is made durable before the first octet of its content.

    Args:
        letter: queued.
        recipients: of the envelope, as they stand if nothing is ever heard again.
        now: seconds since 1970 UTC.
    """
    return replace(
        _with(letter, recipients),
        state=QueueState.SENDING,
        tried_at=letter.tried_at or now,
        submitted_at=now,
        due_at=0.0,
        changed_at=now,
        reason="",
    )


def _with(letter: QueuedMessage, recipients: Sequence[Recipient]) -> QueuedMessage:
    """The letter with what is known now of those that an envelope named."""
    known = {one.address: one for one in recipients}
    merged = tuple(known.get(one.address, one) for one in letter.recipients)
    return replace(letter, recipients=merged)


def lost(letter: QueuedMessage, now: float, reason: str = NO_ANSWER) -> QueuedMessage:
    """A letter of which it is not known whether the server took it."""
    return replace(
        _in_doubt(letter),
        state=QueueState.UNKNOWN,
        due_at=0.0,
        changed_at=now,
        reason=reason[:REASON_LENGTH],
    )


def _in_doubt(letter: QueuedMessage) -> QueuedMessage:
    """The letter with those marked who may have got it.

    Where the server put some off and took others, it is known who; else it is everyone pending.
    """
    if any(one.status is RecipientStatus.UNKNOWN for one in letter.recipients):
        return letter
    recipients = tuple(
        replace(one, status=RecipientStatus.UNKNOWN)
        if one.status is RecipientStatus.PENDING
        else one
        for one in letter.recipients
    )
    return replace(letter, recipients=recipients)


def settled(
    letter: QueuedMessage, said: Submission, now: float, rng: random.Random
) -> QueuedMessage:
    """The letter after the server's word, or after the connection fell.

    Args:
        letter: queued, or sending.
        said: to the envelope of :func:`envelope_of`.
        now: seconds since 1970 UTC.
        rng: for jitter.
    """
    letter = _with(letter, said.recipients)
    if said.outcome is Outcome.UNKNOWN:
        return lost(letter, now, said.text or NO_ANSWER)
    reason = "" if said.outcome is Outcome.ACCEPTED else f"{said.code or ''} {said.text}".strip()
    if not _pending(letter):
        return _ended(letter, reason, now)
    delay = retry_delay(letter.attempts + 1, rng)
    return deferred(letter, reason or _reason_of_pending(letter), delay, now)


def deferred(letter: QueuedMessage, reason: str, delay: float, now: float) -> QueuedMessage:
    """A letter whose try came to nothing for now: it waits, or has waited long enough.

    Args:
        letter: queued, or sending, with recipients that are pending.
        reason: what went wrong.
        delay: seconds until the next try.
        now: seconds since 1970 UTC.
    """
    tried_at = letter.tried_at or now
    letter = replace(letter, attempts=letter.attempts + 1, tried_at=tried_at)
    if now - tried_at >= GIVE_UP_AFTER:
        return _given_up(letter, f"given up after {GIVE_UP_AFTER / 86_400:g} days: {reason}", now)
    return _queued(letter, reason, now + delay, now)


def wait(letter: QueuedMessage, reason: str, seconds: float, now: float) -> QueuedMessage:
    """A letter that ``before_send`` wants later: the try does not count."""
    # What is not a number is no time to wait: it would never be due.
    delay = min(seconds, LONGEST_DEFER) if seconds > SHORTEST_DEFER else SHORTEST_DEFER
    return _queued(letter, reason, now + delay, now)


def rejected(letter: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    """A letter that is not to go out: it failed, and keeps its bytes for whoever asks again."""
    return _given_up(letter, reason or REJECTED, now)


def _queued(letter: QueuedMessage, reason: str, due_at: float, now: float) -> QueuedMessage:
    return replace(
        letter,
        state=QueueState.QUEUED,
        due_at=due_at,
        changed_at=now,
        reason=reason[:REASON_LENGTH],
    )


def _given_up(letter: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    refused = tuple(
        replace(one, status=RecipientStatus.REFUSED, text=one.text or reason)
        if one.status in (RecipientStatus.PENDING, RecipientStatus.UNKNOWN)
        else one
        for one in letter.recipients
    )
    return _ended(replace(letter, recipients=refused), reason, now)


def _ended(letter: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    """The letter with nobody left to try: sent, or failed if nobody got it."""
    statuses = Counter(one.status for one in letter.recipients)
    got_it = statuses[RecipientStatus.ACCEPTED] + statuses[RecipientStatus.BOUNCED]
    refused = statuses[RecipientStatus.REFUSED]
    if got_it and refused:
        reason = f"refused for {refused} of {len(letter.recipients)} recipients"
    return replace(
        letter,
        state=QueueState.SENT if got_it else QueueState.FAILED,
        due_at=0.0,
        changed_at=now,
        reason=reason[:REASON_LENGTH],
    )


def _pending(letter: QueuedMessage) -> bool:
    return any(one.status is RecipientStatus.PENDING for one in letter.recipients)


def _reason_of_pending(letter: QueuedMessage) -> str:
    words = (
        f"{one.code or ''} {one.text}".strip()
        for one in letter.recipients
        if one.status is RecipientStatus.PENDING
    )
    return next(words, "")


def throttles(said: Submission) -> str:
    """What kind of limit a server's word is about, so that no letter is handed in for now.

    Returns:
        As :class:`~nornmail.errors.Throttled` names it; ``""`` where it is about this letter. That
        there are too many recipients is.
    """
    if said.code == CLOSING:
        kind = limit_kind(said.text)
        return "rate" if kind == "unavailable" else kind
    if said.outcome is not Outcome.DEFERRED or said.code // 100 != 4:
        return ""
    kind = limit_kind(said.text)
    about_it = kind == "unavailable" or "recipient" in said.text.lower()
    return "" if about_it else kind


# By hand.


def apply_request(letter: QueuedMessage, wish: OperatorRequest, now: float) -> QueuedMessage | None:
    """The letter as a person wants it, ``None`` where it cannot be so (any more)."""
    if letter.state not in REQUESTABLE[wish] or letter.dropped:
        return None
    if wish is OperatorRequest.SENT:
        return known_as_sent(letter, "a person said that it was sent", now)
    if wish is OperatorRequest.DROP:
        doubt = letter.state is QueueState.UNKNOWN
        reason = "dropped by hand" + ("; it may have been sent" if doubt else "")
        letter = letter if doubt else _given_up(letter, reason, now)
        return replace(
            letter,
            # What was taken for some stays sent to them; the letter as a whole is given up.
            state=QueueState.SENT if letter.state is QueueState.SENT else QueueState.FAILED,
            dropped=True,
            due_at=0.0,
            copy_due_at=0.0,
            changed_at=now,
            reason=reason,
        )
    again = (RecipientStatus.UNKNOWN, RecipientStatus.REFUSED)
    recipients = tuple(
        Recipient(one.address) if one.status in again else one for one in letter.recipients
    )
    # Three days anew: what failed before may be years ago.
    letter = replace(letter, recipients=recipients, attempts=0, tried_at=0.0, copy_due_at=0.0)
    return _queued(letter, BY_HAND, now, now)


def known_as_sent(letter: QueuedMessage, reason: str, now: float) -> QueuedMessage:
    """An unknown letter that is known to have been taken; who was put off is tried again."""
    recipients = tuple(
        replace(one, status=RecipientStatus.ACCEPTED)
        if one.status is RecipientStatus.UNKNOWN
        else one
        for one in _in_doubt(letter).recipients
    )
    letter = replace(letter, recipients=recipients)
    return _queued(letter, reason, now, now) if _pending(letter) else _ended(letter, reason, now)


# The mailbox of sent mail.


def with_copy_due(letter: QueuedMessage, now: float) -> QueuedMessage:
    """The letter, with the mailbox of sent mail to be asked at once."""
    return replace(letter, copy_due_at=now, copy_tries=0)


def copied(letter: QueuedMessage, now: float) -> QueuedMessage:
    """The letter with its copy in the mailbox of sent mail."""
    return replace(letter, copied=True, copy_due_at=0.0, changed_at=now)


def copy_done(letter: QueuedMessage, now: float) -> QueuedMessage:
    """The letter with nothing more to be asked of that mailbox."""
    return replace(letter, copy_due_at=0.0, changed_at=now)


def copy_put_off(letter: QueuedMessage, now: float) -> QueuedMessage:
    """The letter after that mailbox was asked in vain: later, or never again."""
    tries = letter.copy_tries + 1
    delay = min(FIRST_RETRY * 2.0 ** min(tries - 1, 30), LONGEST_COPY_WAIT)
    due_at = now + delay if tries < COPY_TRIES else 0.0
    return replace(letter, copy_tries=tries, copy_due_at=due_at, changed_at=now)


def until_copy(letters: Collection[QueuedMessage], now: float) -> float | None:
    """Seconds until the mailbox of sent mail is asked next, ``None`` if it is not."""
    waits = [
        0.0 if one.copy_due_at > now + LONGEST_DEFER else max(one.copy_due_at - now, 0.0)
        for one in letters
    ]
    return min(waits, default=None)
