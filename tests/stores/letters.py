"""Letters for the tests of the stores, and how one comes into each state."""

from __future__ import annotations

from dataclasses import replace

from nornmail.model import Lease
from nornmail.outgoing import INITIAL_STATES, QueuedMessage, QueueState, Recipient, RecipientStatus
from nornmail.stores.protocol import StateStore

OUTBOX = "agent@example.com@smtp.example.com"
RAW = b"Subject: hello\r\n\r\nhello\r\n"

STEPS: dict[QueueState, tuple[QueueState, ...]] = {
    QueueState.QUEUED: (),
    QueueState.SENDING: (QueueState.SENDING,),
    QueueState.SENT: (QueueState.SENDING, QueueState.SENT),
    QueueState.FAILED: (QueueState.FAILED,),
    QueueState.UNKNOWN: (QueueState.SENDING, QueueState.UNKNOWN),
    QueueState.HELD: (),
    QueueState.DRAFT: (),
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
) -> QueuedMessage:
    return QueuedMessage(
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


def accepted(one: QueuedMessage) -> QueuedMessage:
    """The letter, taken for everyone."""
    recipients = tuple(
        replace(r, status=RecipientStatus.ACCEPTED, code=250, text="OK") for r in one.recipients
    )
    return one._replace(recipients=recipients)


def bring(store: StateStore, lease: Lease, one: QueuedMessage, state: QueueState) -> QueuedMessage:
    """Queue a letter and bring it to ``state``."""
    one = one._replace(state=state) if state in INITIAL_STATES else one
    store.enqueue(one, RAW)
    for step in STEPS[state]:
        one = one._replace(state=step)
        store.commit_messages(lease, [one])
    return one
