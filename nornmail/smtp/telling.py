"""The event that a letter's new state is."""

from __future__ import annotations

from nornmail.clock import instant
from nornmail.events import (
    LetterBounced,
    LetterEvent,
    LetterFailed,
    LetterSent,
    LetterUnknown,
    LetterWaiting,
)
from nornmail.outgoing import Letter, LetterState, Recipient, Standing


def outbox_event(letter: Letter) -> LetterEvent | None:
    """What is told of a letter that was just written down; ``None`` when there is no need to."""
    at = instant(letter.changed_at)
    key, message_id, reason = letter.key, letter.message_id, letter.reason
    standings = [one.standing for one in letter.recipients]
    match letter.state:
        case LetterState.SENT:
            refused = standings.count(Standing.REFUSED)
            accepted = len(standings) - refused
            return LetterSent(
                at=at, key=key, message_id=message_id, accepted=accepted, refused=refused
            )
        case LetterState.QUEUED:
            return LetterWaiting(
                at=at,
                key=key,
                message_id=message_id,
                attempts=letter.attempts,
                due_at=instant(letter.due_at),
                reason=reason,
            )
        case LetterState.FAILED:
            return LetterFailed(at=at, key=key, message_id=message_id, reason=reason)
        case LetterState.UNKNOWN:
            return LetterUnknown(at=at, key=key, message_id=message_id, reason=reason)
        case _:
            return None


def bounce_of(letter: Letter, report: Recipient, at: float) -> LetterBounced:
    """What is told of a delivery report."""
    return LetterBounced(
        at=instant(at),
        key=letter.key,
        message_id=letter.message_id,
        address=report.address,
        reason=report.text,
    )
