"""Letters for the tests of the stores, and how one comes into each state."""

from __future__ import annotations

from dataclasses import replace

from nornmail.model import Lease
from nornmail.outgoing import Letter, LetterState, Recipient, Standing
from nornmail.stores.protocol import StateStore

OUTBOX = "agent@example.com@smtp.example.com"
RAW = b"Subject: hello\r\n\r\nhello\r\n"

STEPS: dict[LetterState, tuple[LetterState, ...]] = {
    LetterState.QUEUED: (),
    LetterState.SENDING: (LetterState.SENDING,),
    LetterState.SENT: (LetterState.SENDING, LetterState.SENT),
    LetterState.FAILED: (LetterState.FAILED,),
    LetterState.UNKNOWN: (LetterState.SENDING, LetterState.UNKNOWN),
}
"""For every state, the states by which a queued letter comes there."""


def letter(
    key: str = "k",
    *,
    outbox: str = OUTBOX,
    to: tuple[str, ...] = ("ann@example.org",),
    queued_at: float = 100.0,
    due_at: float | None = None,
    thread_id: str = "<root@example.org>",
    is_answer: bool = False,
) -> Letter:
    return Letter(
        outbox=outbox,
        key=key,
        message_id=f"<{key}@example.com>",
        sender="agent@example.com",
        recipients=tuple(map(Recipient, to)),
        subject="hello",
        thread_id=thread_id,
        is_answer=is_answer,
        queued_at=queued_at,
        due_at=queued_at if due_at is None else due_at,
        changed_at=queued_at,
        size=len(RAW),
    )


def accepted(one: Letter) -> Letter:
    """The letter, taken for everyone."""
    recipients = tuple(
        replace(r, standing=Standing.ACCEPTED, code=250, text="OK") for r in one.recipients
    )
    return replace(one, recipients=recipients)


def bring(store: StateStore, lease: Lease, one: Letter, state: LetterState) -> Letter:
    """Queue a letter and bring it to ``state``."""
    store.enqueue(one, RAW)
    for step in STEPS[state]:
        one = replace(one, state=step)
        store.commit_letters(lease, [one])
    return one
