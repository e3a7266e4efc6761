"""The values of sending: what a letter is, to whom it goes, how far it has come.

A letter is a message of our own on its way out. As in ``model.py`` nothing here acts: ``smtp/``
makes these values and decides over them, a store writes them down and refuses what
:data:`LETTER_TRANSITIONS` does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from nornmail.errors import IllegalTransition


class LetterState(StrEnum):
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


LETTER_TRANSITIONS: Mapping[LetterState, frozenset[LetterState]] = MappingProxyType(
    {
        LetterState.QUEUED: frozenset(
            {LetterState.QUEUED, LetterState.SENDING, LetterState.SENT, LetterState.FAILED}
        ),
        LetterState.SENDING: frozenset(
            {LetterState.QUEUED, LetterState.SENT, LetterState.FAILED, LetterState.UNKNOWN}
        ),
        # By hand, or because its Message-ID was found in the mailbox of sent mail.
        LetterState.UNKNOWN: frozenset({LetterState.QUEUED, LetterState.SENT, LetterState.FAILED}),
        LetterState.FAILED: frozenset({LetterState.QUEUED}),
        # A bounce is noted at the recipient.
        LetterState.SENT: frozenset({LetterState.SENT}),
    }
)
"""From each state, the states a letter may go to. Stores refuse every other change."""


def check_letter_transition(before: LetterState, after: LetterState) -> None:
    """Refuse what the table does not allow.

    Raises:
        IllegalTransition: ``before`` may not become ``after``.
    """
    if after not in LETTER_TRANSITIONS[before]:
        raise IllegalTransition(f"a letter that is {before} cannot become {after}")


class Standing(StrEnum):
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
        standing: how far it has come.
        code: the reply code (RFC 5321, 4.2), 0 where there was none.
        text: the server's words, scrubbed of control characters and cut to a line.
    """

    address: str
    standing: Standing = Standing.PENDING
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
class Letter:
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
        due_at: when it is tried next, in seconds since 1970 UTC; 0.0 unless queued.
        changed_at: when this value was made, in seconds since 1970 UTC.
        reason: why it is where it is; for a person.
        size: octets of the message.
        copied: a copy lies in the mailbox of sent mail.
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
    state: LetterState = LetterState.QUEUED
    attempts: int = 0
    queued_at: float = 0.0
    due_at: float = 0.0
    changed_at: float = 0.0
    reason: str = ""
    size: int = 0
    copied: bool = False
