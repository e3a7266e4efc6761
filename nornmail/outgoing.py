"""The values of sending: queued messages, their recipients, their states.

As in ``model.py`` nothing here acts: ``outbox/`` makes these values and decides, a store keeps them
and refuses transitions that :data:`QUEUE_TRANSITIONS` does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple

from nornmail.errors import IllegalTransition

MAX_LINE_OCTETS: Final = 998
"""Octets of a line without its CRLF (RFC 5322, 2.1.1)."""


def check_line_endings(raw: bytes) -> str:
    """The fault in the line endings of a message, in words; ``""`` where there is none.

    Some servers read a bare CR or LF as a line end and others do not, which is how a message is
    smuggled in behind another one (RFC 5321, 2.3.8; RFC 5322, 2.1.1).
    """
    if not raw.endswith(b"\r\n"):
        return "the last line has no CRLF"
    if not raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n"):
        return "a bare CR or LF"
    if b"\0" in raw:
        return "a NUL"
    if _has_long_line(raw):
        return f"a line of more than {MAX_LINE_OCTETS} octets"
    return ""


def _has_long_line(raw: bytes) -> bool:
    """Whether a line is too long, found in steps of nearly a thousand octets, without copies."""
    start = 0
    while len(raw) - start > MAX_LINE_OCTETS:
        end = raw.rfind(b"\r\n", start, start + MAX_LINE_OCTETS + 2)
        if end < 0:
            return True
        start = end + 2
    return False


class QueueState(StrEnum):
    """The state of a queued message; the value is what a store writes down."""

    QUEUED = "queued"
    """Durable, and tried at ``due_at``."""
    SENDING = "sending"
    """The server took the envelope; its content is about to go out, or on its way."""
    SENT = "sent"
    """The server took it for at least one recipient, and none is left to try."""
    FAILED = "failed"
    """Refused for good for every recipient, or given up."""
    UNKNOWN = "unknown"
    """The connection, or the process, ended after the content began to go out: it may have been
    sent. It is never tried again by itself."""
    HELD = "held"
    """Durable, and not sent until a person approves it."""
    DRAFT = "draft"
    """In the mailbox of drafts, or about to be saved there, for a person to edit and send."""


QUEUE_TRANSITIONS: Mapping[QueueState, frozenset[QueueState]] = MappingProxyType(
    {
        QueueState.QUEUED: frozenset(
            {QueueState.QUEUED, QueueState.SENDING, QueueState.SENT, QueueState.FAILED}
        ),
        QueueState.SENDING: frozenset(
            {QueueState.QUEUED, QueueState.SENT, QueueState.FAILED, QueueState.UNKNOWN}
        ),
        # By an operator, or because its Message-ID was found in the mailbox of sent mail.
        # To itself: it was not found there, and will be looked for again.
        QueueState.UNKNOWN: frozenset(
            {QueueState.QUEUED, QueueState.SENT, QueueState.FAILED, QueueState.UNKNOWN}
        ),
        # Approved, or rejected.
        QueueState.HELD: frozenset({QueueState.QUEUED, QueueState.FAILED}),
        # To itself: it was saved, or is still there.
        QueueState.DRAFT: frozenset({QueueState.DRAFT, QueueState.SENT, QueueState.FAILED}),
        # By an operator: tried again, or dropped with its bytes.
        QueueState.FAILED: frozenset(
            {QueueState.QUEUED, QueueState.HELD, QueueState.DRAFT, QueueState.FAILED}
        ),
        # A copy was saved in the mailbox of sent mail, or could not be.
        QueueState.SENT: frozenset({QueueState.SENT}),
    }
)
"""From each state, the states that may follow. Stores refuse every other change."""
INITIAL_STATES: Final = frozenset({QueueState.QUEUED, QueueState.HELD, QueueState.DRAFT})
"""The states that a new message may be in."""


def check_enqueue(message: QueuedMessage) -> None:
    """Refuse a new message whose state is not one to begin with.

    Raises:
        IllegalTransition: it is in another state.
    """
    if message.state not in INITIAL_STATES:
        raise IllegalTransition(
            f"a new message must be queued, held or a draft, and this one is {message.state}"
        )


def check_queue_transition(before: QueueState, after: QueueState) -> None:
    """Refuse a transition that the table does not allow.

    Raises:
        IllegalTransition: ``before`` may not become ``after``.
    """
    if after not in QUEUE_TRANSITIONS[before]:
        raise IllegalTransition(f"a queued message that is {before} cannot become {after}")


class RecipientStatus(StrEnum):
    """The state of a message for one recipient."""

    PENDING = "pending"
    """Not tried yet, or refused for now (4xx) and tried again."""
    ACCEPTED = "accepted"
    """The server took the message for this recipient."""
    REFUSED = "refused"
    """The server refused the recipient, or the message, for good (5xx)."""
    UNKNOWN = "unknown"
    """The server may have taken it."""
    BOUNCED = "bounced"
    """The server took it, and a delivery report said later that it could not be delivered."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address of the envelope, and the server's last reply about it.

    Attributes:
        address: as it goes into RCPT TO, without angle brackets.
        status: of the message for it.
        code: the reply code (RFC 5321, 4.2), 0 where there was none.
        text: the words of that reply, without control characters and cut to a line.
    """

    address: str
    status: RecipientStatus = RecipientStatus.PENDING
    code: int = 0
    text: str = ""


class Envelope(NamedTuple):
    """The SMTP sender and recipients, which the headers do not decide (RFC 5321, 3.3).

    Attributes:
        sender: the reverse-path without angle brackets; ``""`` is the null one.
        recipients: the forward-paths, each once.
        smtputf8: an address is not ASCII, so the server must support SMTPUTF8 (RFC 6531).
    """

    sender: str
    recipients: tuple[str, ...]
    smtputf8: bool = False


class QueuedMessage(NamedTuple):
    """One outgoing message. A new value replaces it whole.

    Attributes:
        outbox: the account that sends it, ``username@host`` unless named.
        key: identifies it: a second message of this outbox and key is the first one.
        message_id: its Message-ID with the angle brackets; the same at every attempt.
        sender: the reverse-path.
        recipients: everyone of the envelope, in its order.
        smtputf8: as of :class:`Envelope`.
        subject: for people.
        thread_id: of its thread, as :attr:`nornmail.Message.thread_id`.
        is_answer: it answers a message, so it counts for the limits on answers.
        state: a :class:`QueueState`.
        attempts: how often it was tried and deferred.
        queued_at: when it was queued, in seconds since 1970 UTC.
        tried_at: when it was first tried; 0.0 if it never was. The time until it is given up counts
            from there.
        due_at: when it is tried next, in seconds since 1970 UTC; 0.0 unless queued.
        submitted_at: when its content last began to go out; 0.0 if it never did. The limits per
            minute and hour count by it.
        changed_at: when this value was made, in seconds since 1970 UTC.
        reason: why it is in this state; for a person.
        size: octets of the message.
        copied: a copy is in the mailbox of sent mail; of a draft, in that of drafts.
        copy_due_at: when that mailbox is asked next, to save a copy or to look for what is
            unknown or a draft; 0.0 where it is not.
        copy_tries: how often that failed; of a draft, how often it was missing.
        dropped: an operator gave it up; its bytes are not kept.
        approval: ``"queue"`` or ``"draft"`` where a person decides whether it is sent, else ``""``.
        decision: what that person decided, with name and reason; ``""`` before.
    """

    outbox: str
    key: str
    message_id: str
    sender: str
    recipients: tuple[Recipient, ...]
    smtputf8: bool = False
    subject: str = ""
    thread_id: str = ""
    is_answer: bool = False
    state: QueueState = QueueState.QUEUED
    attempts: int = 0
    queued_at: float = 0.0
    tried_at: float = 0.0
    due_at: float = 0.0
    submitted_at: float = 0.0
    changed_at: float = 0.0
    reason: str = ""
    size: int = 0
    copied: bool = False
    copy_due_at: float = 0.0
    copy_tries: int = 0
    dropped: bool = False
    approval: str = ""
    decision: str = ""

    def keeps_bytes(self) -> bool:
        """Whether its bytes may still be needed: for an attempt, or for the copy."""
        if self.state is QueueState.SENT:
            return self.copy_due_at > 0
        return not self.dropped


class Quota(NamedTuple):
    """The number of messages of an outbox that may go out within a span of time.

    Attributes:
        most: at most so many.
        since: the span begins right after it, in seconds since 1970 UTC.
        until: its end, which belongs to it.
    """

    most: int
    since: float
    until: float


class OperatorRequest(StrEnum):
    """A request of an operator; a store keeps it until a sender has applied it."""

    RETRY = "retry"
    """Try it now: it waits, it failed, or it is unknown and was not sent."""
    DROP = "drop"
    """Give it up, and forget its bytes."""
    SENT = "sent"
    """It is unknown, and was sent."""


REQUESTABLE: Mapping[OperatorRequest, frozenset[QueueState]] = MappingProxyType(
    {
        OperatorRequest.RETRY: frozenset(
            {QueueState.QUEUED, QueueState.FAILED, QueueState.UNKNOWN}
        ),
        OperatorRequest.DROP: frozenset(QueueState) - {QueueState.SENDING, QueueState.SENT},
        OperatorRequest.SENT: frozenset({QueueState.UNKNOWN}),
    }
)
"""The states in which each can be requested: never while the message is being sent."""


def check_request(message: QueuedMessage | None, request: OperatorRequest) -> None:
    """Refuse a request that cannot be applied to a message in its state.

    Raises:
        IllegalTransition: there is no message (``None``), or its state forbids it.
    """
    if message is None:
        raise IllegalTransition(f"{request}: there is no such message in the outbox")
    if message.dropped:
        raise IllegalTransition(f"{request}: the message {message.key} was dropped")
    if message.state not in REQUESTABLE[request]:
        raise IllegalTransition(f"{request}: the message {message.key} is {message.state}")


def still_applies(request: OperatorRequest, before: QueuedMessage, after: QueuedMessage) -> bool:
    """Whether a request still holds once ``after`` replaces ``before``.

    A drop holds whatever comes of the next attempt, unless the message is sent. The other requests
    were about the state that the message was in.
    """
    if request is OperatorRequest.DROP:
        return after.state is not QueueState.SENT and not after.dropped
    return after.state is before.state and after.state is not QueueState.QUEUED


APPROVED: Final = "approved"
REJECTED: Final = "rejected"


class Decision(NamedTuple):
    """A person's decision about a held message.

    Attributes:
        approved: it may be sent. If not, it has failed.
        text: ``approved by Ann: fine``, or ``rejected by`` and so on.
        at: when, in seconds since 1970 UTC.
    """

    approved: bool
    text: str
    at: float


def decided(message: QueuedMessage | None, decision: Decision) -> QueuedMessage | None:
    """The message after a decision; ``None`` where the same was decided before.

    Raises:
        IllegalTransition: there is no message (``None``), it does not wait for a decision, or the
            opposite was decided before.
    """
    verdict = APPROVED if decision.approved else REJECTED
    if message is None:
        raise IllegalTransition(f"{verdict}: there is no such message in the outbox")
    if message.state is not QueueState.HELD:
        if message.decision.startswith(f"{verdict} "):
            return None
        why = f"was {message.decision}" if message.decision else f"is {message.state}, not held"
        raise IllegalTransition(f"the message {message.key} cannot be {verdict}: it {why}")
    message = message._replace(decision=decision.text, changed_at=decision.at)
    if decision.approved:
        return message._replace(state=QueueState.QUEUED, due_at=decision.at)
    recipients = tuple(
        replace(r, status=RecipientStatus.REFUSED, text=decision.text) for r in message.recipients
    )
    return message._replace(state=QueueState.FAILED, recipients=recipients, reason=decision.text)


def replaced(before: QueuedMessage, after: QueuedMessage) -> QueuedMessage:
    """``after`` as it replaces ``before``: bounces that were recorded meanwhile stay.

    Reports come in while the sender works, which may have read the message earlier.

    Raises:
        IllegalTransition: the table does not allow it, or the envelope is another one.
    """
    check_queue_transition(before.state, after.state)
    if [r.address for r in before.recipients] != [r.address for r in after.recipients]:
        raise IllegalTransition(f"the message {before.key} has other recipients")
    recipients = tuple(
        old if old.status is RecipientStatus.BOUNCED else new
        for old, new in zip(before.recipients, after.recipients, strict=True)
    )
    return after._replace(recipients=recipients)


def bounced(message: QueuedMessage, report: Recipient) -> QueuedMessage | None:
    """The message with a delivery report for one recipient; ``None`` if it is not news.

    Only what was sent can bounce: a recipient that is pending or refused stays so.
    """
    address = report.address.lower()
    may_bounce = (RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN)
    recipients = tuple(
        replace(report, address=r.address, status=RecipientStatus.BOUNCED)
        if r.address.lower() == address and r.status in may_bounce
        else r
        for r in message.recipients
    )
    return None if recipients == message.recipients else message._replace(recipients=recipients)
