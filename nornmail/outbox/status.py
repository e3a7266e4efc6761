"""The values of a mailer that a program sees: its status, results, messages for ``before_send``."""

from __future__ import annotations

import inspect
import logging
import random
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from nornmail.clock import Clock, StatusTracker
from nornmail.errors import Defer, Reject
from nornmail.events import Event
from nornmail.message.message import Message, parse_message
from nornmail.outbox.transitions import Deferred, Postponed, Rejected
from nornmail.outgoing import QueuedMessage, QueueState, Recipient, RecipientStatus
from nornmail.stores.protocol import StateStore


class MailerState(StrEnum):
    """The states of a mailer."""

    STOPPED = "stopped"
    """This mailer sends nothing; queued messages wait."""
    IDLE = "idle"
    """Nothing is due."""
    SENDING = "sending"
    """It submits messages."""
    LIMITED = "limited"
    """The limit per minute or hour is reached; messages wait."""
    BACKOFF = "backoff"
    """The server cannot be reached; it is tried again."""
    AUTH_FAILED = "auth_failed"
    """The server refused the credentials; they are tried again after a long wait."""
    THROTTLED = "throttled"
    """The server asked for a pause."""
    STANDING_BY = "standing_by"
    """Another process sends from this outbox; this one waits to take over."""
    STORE_TROUBLE = "store_trouble"
    """The state store cannot be read or written; nothing is sent until it can."""


STUCK = frozenset({MailerState.AUTH_FAILED, MailerState.THROTTLED, MailerState.STORE_TROUBLE})
"""States that last longer than a person waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailerStatus:
    """The state of a mailer when it was asked for.

    Attributes:
        state: a :class:`MailerState`; it compares equal to its text.
        since: when that began, in UTC.
        reason: why, for a person; ``""`` where the state says it all.
        queued: messages that wait, or are being sent.
        unknown: messages that may have been sent: a person has to find out.
        failed: messages that no recipient got and that were not dropped.
        copy_error: why the last copy was not saved in the mailbox of sent mail; ``""`` if it was.
    """

    state: MailerState
    since: datetime
    reason: str = ""
    queued: int = 0
    unknown: int = 0
    failed: int = 0
    copy_error: str = ""


log = logging.getLogger("nornmail.outbox")


class OutboxContext(NamedTuple):
    """An outbox, and what all who work on it share.

    Attributes:
        outbox: the account that sends them.
        clock, rng: time and jitter.
        emit: called with an event for each durable change.
        status: of the mailer.
    """

    store: StateStore
    outbox: str
    clock: Clock
    rng: random.Random
    emit: Callable[[Event], object]
    status: StatusTracker[MailerState]


@dataclass(frozen=True, slots=True, kw_only=True)
class SendResult:
    """The state of a message that was sent or queued.

    Attributes:
        key: identifies it; :meth:`~nornmail.outbox.mailer.Mailer.result` takes it.
        state: ``queued``, ``sending``, ``sent``, ``failed``, ``unknown``, ``held`` or ``draft``;
            it compares equal to its text.
        message_id: its Message-ID with the angle brackets.
        recipients: everyone of the envelope, with status, code and text.
        code: of the server's reply to it, 0 where there was none yet.
        text: the words of that reply, on one line.
        reason: why it is in this state, for a person; ``""`` where the state says it all.
        attempts: how often it was tried and deferred.
        dry_run: nothing was sent, and nothing was kept (``dry_run=True``).
        raw: the message, of a dry run alone.
    """

    key: str
    state: QueueState
    message_id: str
    recipients: tuple[Recipient, ...]
    code: int = 0
    text: str = ""
    reason: str = ""
    attempts: int = 0
    dry_run: bool = False
    raw: bytes = field(default=b"", repr=False)

    @property
    def accepted(self) -> tuple[Recipient, ...]:
        """Recipients for whom the server took it."""
        return self._with_status(RecipientStatus.ACCEPTED)

    @property
    def refused(self) -> tuple[Recipient, ...]:
        """Recipients for whom it was refused for good, or given up."""
        return self._with_status(RecipientStatus.REFUSED)

    @property
    def pending(self) -> tuple[Recipient, ...]:
        """Recipients for whom it is still to be tried."""
        return self._with_status(RecipientStatus.PENDING)

    @property
    def unknown(self) -> tuple[Recipient, ...]:
        """Recipients for whom the server may have taken it."""
        return self._with_status(RecipientStatus.UNKNOWN)

    @property
    def bounced(self) -> tuple[Recipient, ...]:
        """Recipients for whom the server took it, and a delivery report came back."""
        return self._with_status(RecipientStatus.BOUNCED)

    def _with_status(self, status: RecipientStatus) -> tuple[Recipient, ...]:
        return tuple(recipient for recipient in self.recipients if recipient.status is status)


_REPLY_ORDER = (
    RecipientStatus.ACCEPTED,
    RecipientStatus.UNKNOWN,
    RecipientStatus.REFUSED,
    RecipientStatus.PENDING,
)
"""The first of these statuses that a recipient has a reply in stands for the whole message."""


def result_of(message: QueuedMessage) -> SendResult:
    """The result that a queued message has so far."""
    replies = [
        recipient
        for status in _REPLY_ORDER
        for recipient in message.recipients
        if recipient.status is status and recipient.code
    ]
    return SendResult(
        key=message.key,
        state=message.state,
        message_id=message.message_id,
        recipients=message.recipients,
        code=replies[0].code if replies else 0,
        text=replies[0].text if replies else "",
        reason=message.reason,
        attempts=message.attempts,
    )


@dataclass(frozen=True, slots=True)
class OutgoingMessage:
    """A message that is about to go out, as ``before_send`` sees it.

    Attributes:
        key: identifies it.
        recipients: of this attempt, Bcc included.
        raw: the message.
        attempts: how often it was tried before and deferred.
        is_answer: it was written by :meth:`Mailer.reply <nornmail.outbox.mailer.Mailer.reply>`.
    """

    key: str
    recipients: tuple[str, ...]
    raw: bytes = field(repr=False)
    attempts: int
    is_answer: bool

    @property
    def message(self) -> Message:
        """The parsed message: subject, text, attachments."""
        return parse_message(self.raw)


BeforeSend = Callable[[OutgoingMessage], object]
"""True sends it, False or :class:`~nornmail.errors.Reject` does not, and
:class:`~nornmail.errors.Defer` calls again later."""


def ask_before_send(
    before_send: BeforeSend | None, outgoing: OutgoingMessage
) -> Deferred | Postponed | Rejected | None:
    """Call ``before_send``; ``None`` if the message may go out, else the outcome it asks for."""
    if before_send is None:
        return None
    try:
        answer = before_send(outgoing)
    except Defer as defer:
        return Postponed(str(defer), defer.seconds)
    except Reject as reject:
        return Rejected(str(reject))
    except BaseException as error:
        # On the main thread a SystemExit or a KeyboardInterrupt may come from a signal's handler,
        # and ends the caller of flush(). On another one it would end that thread without a word.
        on_main = threading.current_thread() is threading.main_thread()
        if on_main and not isinstance(error, Exception):
            raise
        log.exception("before_send failed for %s", outgoing.key)
        # Unlike str(), this does not raise where the error's own __str__ does.
        text = "".join(traceback.format_exception_only(error)).strip()
        return Deferred(f"before_send failed: {text}")
    if answer is True:
        return None
    if answer is False:
        return Rejected("")
    if inspect.iscoroutine(answer):
        answer.close()
    # Not False: a forgotten return is not a refusal. Not True either.
    reason = f"before_send returned {type(answer).__name__}; it must return True or False"
    log.error("%s", reason)
    return Deferred(reason)
