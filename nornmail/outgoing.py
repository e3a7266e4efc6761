"""The values of sending: what a letter is, to whom it goes, how far it has come.

A letter is a message of our own on its way out. As in ``model.py`` nothing here acts: ``smtp/``
makes these values and decides over them, a store writes them down and refuses what
:data:`QUEUE_TRANSITIONS` does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from nornmail.errors import IllegalTransition

# ---- What must be true of the lines of every message that goes out (RFC 5321, 2.3.8; RFC 5322,
# 2.1.1).
# A bare CR or LF is read as a line end by some servers and not by others: that is how a message is
# smuggled in behind another one.

MAX_LINE_OCTETS: Final = 998
"""Octets of a line without its CRLF (RFC 5322, 2.1.1)."""


def check_line_endings(raw: bytes) -> str:
    """What is wrong with the lines of a message, in words; ``""`` when nothing is."""
    if not raw.endswith(b"\r\n"):
        return "the last line has no end"
    if not raw.count(b"\r") == raw.count(b"\n") == raw.count(b"\r\n"):
        return "a bare CR or LF"
    if b"\0" in raw:
        return "a NUL"
    if _has_long_line(raw):
        return f"a line of more than {MAX_LINE_OCTETS} octets"
    return ""


def _has_long_line(raw: bytes) -> bool:
    """Whether a line is too long: steps of nearly a thousand octets, and no line is copied."""
    start = 0
    while len(raw) - start > MAX_LINE_OCTETS:
        end = raw.rfind(b"\r\n", start, start + MAX_LINE_OCTETS + 2)
        if end < 0:
            return True
        start = end + 2
    return False


class QueueState(StrEnum):
    """How far a letter has come; the value is what a store writes down."""

    QUEUED = "queued"
    """Durable, and to be tried when ``due_at`` has come."""
    SENDING = "sending"
    """The server took the envelope; its content is about to go out, or on its way."""
    SENT = "sent"
    """The server took it for at least one recipient, and nothing is left to try."""
    FAILED = "failed"
    """Refused for good for every recipient, or given up."""
    UNKNOWN = "unknown"
    """The connection, or the process, ended after the content began to go out: it may have been
    taken. It is never tried again by itself."""


QUEUE_TRANSITIONS: Mapping[QueueState, frozenset[QueueState]] = MappingProxyType(
    {
        QueueState.QUEUED: frozenset(
            {QueueState.QUEUED, QueueState.SENDING, QueueState.SENT, QueueState.FAILED}
        ),
        QueueState.SENDING: frozenset(
            {QueueState.QUEUED, QueueState.SENT, QueueState.FAILED, QueueState.UNKNOWN}
        ),
        # By hand, or because its Message-ID was found in the mailbox of sent mail.
        # To itself: it was looked for there in vain, and will be again.
        QueueState.UNKNOWN: frozenset(
            {QueueState.QUEUED, QueueState.SENT, QueueState.FAILED, QueueState.UNKNOWN}
        ),
        # By hand: tried again, or dropped with its bytes.
        QueueState.FAILED: frozenset({QueueState.QUEUED, QueueState.FAILED}),
        # A copy was put into the mailbox of sent mail, or could not be.
        QueueState.SENT: frozenset({QueueState.SENT}),
    }
)
"""From each state, the states a letter may go to. Stores refuse every other change."""


def check_queue_transition(before: QueueState, after: QueueState) -> None:
    """Refuse what the table does not allow.

    Raises:
        IllegalTransition: ``before`` may not become ``after``.
    """
    if after not in QUEUE_TRANSITIONS[before]:
        raise IllegalTransition(f"a letter that is {before} cannot become {after}")


class RecipientStatus(StrEnum):
    """How far a letter has come for one recipient."""

    PENDING = "pending"
    """Not tried yet, or refused for now (4xx) and tried again."""
    ACCEPTED = "accepted"
    """The server took the letter for this recipient."""
    REFUSED = "refused"
    """The server refused the recipient, or the letter, for good (5xx)."""
    UNKNOWN = "unknown"
    """It is not known whether the server took it."""
    BOUNCED = "bounced"
    """It was taken, and a delivery report said later that it could not be delivered."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """An address of the envelope, and what the server last said about it.

    Attributes:
        address: as it goes into RCPT TO, without angle brackets.
        status: how far it has come.
        code: the reply code (RFC 5321, 4.2), 0 where there was none.
        text: the server's words, scrubbed of control characters and cut to a line.
    """

    address: str
    status: RecipientStatus = RecipientStatus.PENDING
    code: int = 0
    text: str = ""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The SMTP sender and recipients of a letter, which its headers do not decide (RFC 5321, 3.3).

    Attributes:
        sender: the reverse-path without angle brackets; ``""`` is the null one.
        recipients: the forward-paths, each once.
        smtputf8: an address is not ASCII, so the server must have SMTPUTF8 (RFC 6531).
    """

    sender: str
    recipients: tuple[str, ...]
    smtputf8: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMessage:
    """What is known of one message on its way out. A new value replaces it whole.

    Attributes:
        outbox: the account that sends it, ``username@host`` unless named.
        key: what makes it once: a second letter of this outbox and key is the first one.
        message_id: its Message-ID with the angle brackets; the same at every try.
        sender: the reverse-path.
        recipients: everyone of the envelope, in its order.
        smtputf8: as :class:`Envelope` has it.
        subject: for people.
        thread_id: the thread that it belongs to, as :attr:`nornmail.Message.thread_id` counts.
        is_answer: it answers a message, so it counts in the budget of answers.
        state: how far it has come.
        attempts: how often it was tried and put off.
        queued_at: when it was queued, in seconds since 1970 UTC.
        tried_at: when it was first tried; 0.0 if it never was. It is given up so long after that.
        due_at: when it is tried next, in seconds since 1970 UTC; 0.0 unless queued.
        submitted_at: when its content last began to go out; 0.0 if it never did. The limits per
            minute and hour count by it.
        changed_at: when this value was made, in seconds since 1970 UTC.
        reason: why it is where it is; for a person.
        size: octets of the message.
        copied: a copy lies in the mailbox of sent mail.
        copy_due_at: when that mailbox is asked next, for a copy of what was sent or for what is
            unknown; 0.0 where it is not.
        copy_tries: how often it was asked in vain.
        dropped: a person gave it up; its bytes are not kept.
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

    def keeps_bytes(self) -> bool:
        """Whether its bytes may be needed yet: they are for as long as it is not through."""
        if self.state is QueueState.SENT:
            return self.copy_due_at > 0
        return not self.dropped


class OperatorRequest(StrEnum):
    """What a person wants to become of a letter; a store keeps it until a sender has done it."""

    RETRY = "retry"
    """Try it now: one that waits, one that failed, or one that is unknown and was not sent."""
    DROP = "drop"
    """Give it up, and forget its bytes."""
    SENT = "sent"
    """It is unknown, and it is known now that it was sent."""


REQUESTABLE: Mapping[OperatorRequest, frozenset[QueueState]] = MappingProxyType(
    {
        OperatorRequest.RETRY: frozenset(
            {QueueState.QUEUED, QueueState.FAILED, QueueState.UNKNOWN}
        ),
        OperatorRequest.DROP: frozenset({QueueState.QUEUED, QueueState.FAILED, QueueState.UNKNOWN}),
        OperatorRequest.SENT: frozenset({QueueState.UNKNOWN}),
    }
)
"""The states in which a letter can be asked for each: never while it is being sent."""


def check_request(letter: QueuedMessage | None, wish: OperatorRequest) -> None:
    """Refuse what cannot be done with a letter as it is.

    Raises:
        IllegalTransition: there is none (``None``), or it is not in a state for this.
    """
    if letter is None:
        raise IllegalTransition(f"there is no such letter, so it cannot be: {wish}")
    if letter.dropped:
        raise IllegalTransition(f"the letter {letter.key} was dropped, so it cannot be: {wish}")
    if letter.state not in REQUESTABLE[wish]:
        raise IllegalTransition(f"the letter {letter.key} is {letter.state}: it cannot be: {wish}")


def still_applies(wish: OperatorRequest, before: QueuedMessage, after: QueuedMessage) -> bool:
    """Whether a wish still holds when ``after`` takes the place of ``before``.

    A letter that is to be dropped is so whatever becomes of its next try, unless it is sent. The
    other wishes were about the state that the letter was in, and are done with it.
    """
    if wish is OperatorRequest.DROP:
        return after.state is not QueueState.SENT and not after.dropped
    return after.state is before.state and after.state is not QueueState.QUEUED


def replaced(before: QueuedMessage, after: QueuedMessage) -> QueuedMessage:
    """``after`` in the place of ``before``: what was noted of a bounce meanwhile stays.

    Reports come in beside the sender, which may have read the letter before.

    Raises:
        IllegalTransition: the table does not allow it, or the envelope is another one.
    """
    check_queue_transition(before.state, after.state)
    if [one.address for one in before.recipients] != [one.address for one in after.recipients]:
        raise IllegalTransition(f"the letter {before.key} has other recipients")
    recipients = tuple(
        old if old.status is RecipientStatus.BOUNCED else new
        for old, new in zip(before.recipients, after.recipients, strict=True)
    )
    return replace(after, recipients=recipients)


def bounced(letter: QueuedMessage, report: Recipient) -> QueuedMessage | None:
    """The letter with what a delivery report says of one recipient; ``None`` if it is no news.

    Only what was handed over can come back: a recipient that is pending or refused stays so.
    """
    wanted = report.address.lower()
    could = (RecipientStatus.ACCEPTED, RecipientStatus.UNKNOWN)
    hit = [one.address.lower() == wanted and one.status in could for one in letter.recipients]
    if not any(hit):
        return None
    recipients = tuple(
        replace(report, address=one.address, status=RecipientStatus.BOUNCED) if is_it else one
        for one, is_it in zip(letter.recipients, hit, strict=True)
    )
    return replace(letter, recipients=recipients)
