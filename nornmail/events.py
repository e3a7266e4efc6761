"""Events of a poller or mailer, as values: ``on_event`` is called with each.

An event names messages and reasons. It never holds the text of a message or a secret.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nornmail.clock import utc_datetime
from nornmail.model import Change, Entry, MessageRef, PutEntry, State
from nornmail.outgoing import QueuedMessage, QueueState, Recipient, RecipientStatus

log = logging.getLogger("nornmail.events")


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base class of all events.

    Attributes:
        at: when it happened, in UTC.
    """

    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Connected(Event):
    """A connection was made, and the mailbox is selected.

    Attributes:
        mailbox: its name.
        exists: how many messages it has.
    """

    mailbox: str
    exists: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Event):
    """There are new messages; they are fetched now, in their order.

    Attributes:
        count: how many; after a lost connection those that are still left.
    """

    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Idle(Event):
    """A poll has ended and nothing new is left.

    Attributes:
        new: messages that this poll delivered for the first time.
        handled: calls of the handler that returned, in this pass.
    """

    new: int
    handled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEvent(Event):
    """The base class of the events of one message.

    Attributes:
        ref: which message.
        inbox: whose it is; ``""`` for a poller with one callback.
        delivery_id: the same at every attempt.
    """

    ref: MessageRef
    inbox: str
    delivery_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handled(MessageEvent):
    """The handler returned, and that is durable.

    Attributes:
        attempt: 1 for the first.
    """

    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting(MessageEvent):
    """An attempt failed or was deferred; there will be another.

    Attributes:
        attempts: how many failed so far.
        due_at: when the next one is due.
        reason: what went wrong.
    """

    attempts: int
    due_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Dead(MessageEvent):
    """A message was given up; it is kept with its bytes until a person decides.

    Attributes:
        attempts: how many failed.
        reason: what went wrong.
    """

    attempts: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PassedOver(MessageEvent):
    """A message was looked at and deliberately not delivered.

    Attributes:
        reason: why not.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone(MessageEvent):
    """A message was expunged by another client before it could be fetched.

    Attributes:
        reason: how that is known.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PollFailed(Event):
    """The base class of the events of a failed poll.

    Attributes:
        reason: what went wrong.
        seconds: until the server is asked again.
    """

    reason: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff(PollFailed):
    """The connection failed, or the server refused what was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthFailed(PollFailed):
    """The server refused the credentials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling(PollFailed):
    """The server asks for fewer commands, or for a pause.

    Attributes:
        kind: as of :class:`~nornmail.errors.Throttled`.
    """

    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionPending(PollFailed):
    """Nothing is delivered until the user decides about the mail that is there already.

    Attributes:
        count: how many messages.
        setting: the setting that answers it.
    """

    count: int
    setting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby(PollFailed):
    """Another poller works on the mailbox; this one waits to take over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenOver(Event):
    """The poller that was waited for is gone; this one works on the mailbox now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerFailing(Event):
    """Different messages failed in a row: the handler itself seems to fail.

    Attributes:
        reason: what went wrong the last time.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalled(Event):
    """No poll has succeeded for many intervals.

    Attributes:
        since: when the last one did, or when the poller began.
        reason: what it is doing.
    """

    since: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BacklogWarning(Event):
    """There has been unprocessed mail for many intervals, though nothing failed.

    Attributes:
        since: since when there has been some.
        count: how many messages, now.
    """

    since: datetime
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LateListed(Event):
    """A listing has UIDs that an earlier one left out; they are delivered now.

    Attributes:
        uids: which, as an IMAP set: ``3,7:9``.
        count: how many.
    """

    uids: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEvent(Event):
    """The base of the events of one outgoing message.

    Attributes:
        key: identifies it.
        message_id: its Message-ID with the angle brackets.
    """

    key: str
    message_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSent(OutboxEvent):
    """The server took it, and no recipient is left to try.

    Attributes:
        accepted: number of recipients it was taken for.
        refused: number of recipients it was refused for.
    """

    accepted: int
    refused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxHeld(OutboxEvent):
    """It waits until a person approves or rejects it.

    Attributes:
        recipients: number of recipients that it would go to.
    """

    recipients: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxWaiting(OutboxEvent):
    """An attempt failed; there will be another one.

    Attributes:
        attempts: how many failed so far.
        due_at: when the next one is due.
        reason: what went wrong.
    """

    attempts: int
    due_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxFailed(OutboxEvent):
    """No recipient gets it: it was refused for good, given up, or dropped.

    Attributes:
        reason: what went wrong.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxUnknown(OutboxEvent):
    """It may have been sent; it is not sent again unless an operator says so.

    Attributes:
        reason: what happened.
    """

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxBounced(OutboxEvent):
    """A delivery report came back for one of its recipients.

    Attributes:
        address: of the recipient.
        reason: what the report says.
    """

    address: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """The loop has ended.

    Attributes:
        reason: ``""`` when it was asked to, else what ended it.
    """

    reason: str


OnEvent = Callable[[Event], object]


class EventEmitter:
    """Calls ``on_event``; an exception of it is logged and goes no further.

    Args:
        on_event: ``None`` for no notifications.

    Attributes:
        handled: how many :class:`Handled` there were.
    """

    def __init__(self, on_event: OnEvent | None = None) -> None:
        self._on_event = on_event
        self.handled = 0

    def changes(self, mailbox: str, changes: Iterable[Change]) -> None:
        """Emit the events of what was just written; see :func:`message_event`."""
        for change in changes:
            if not isinstance(change, PutEntry):
                continue
            if self._on_event is None:
                self.handled += change.entry.state is State.HANDLED
            elif (event := message_event(mailbox, change.entry)) is not None:
                self(event)

    def __call__(self, event: Event) -> None:
        self.handled += isinstance(event, Handled)
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception:
            log.exception("on_event failed at %s", type(event).__name__)


def message_event(mailbox: str, entry: Entry) -> MessageEvent | None:
    """The event for an entry that was just stored; ``None`` when there is none."""
    reason, attempts = entry.reason, entry.attempts
    common: dict[str, Any] = {
        "at": utc_datetime(entry.changed_at),
        "ref": MessageRef(mailbox, entry.uid_validity, entry.key.uid),
        "inbox": entry.key.inbox,
        "delivery_id": entry.delivery_id,
    }
    match entry.state:
        case State.HANDLED:
            return Handled(**common, attempt=attempts + 1)
        case State.WAITING:
            due_at = utc_datetime(entry.due_at)
            return Waiting(**common, attempts=attempts, due_at=due_at, reason=reason)
        case State.DEAD:
            return Dead(**common, attempts=attempts, reason=reason)
        case State.PASSED_OVER:
            return PassedOver(**common, reason=reason)
        case State.GONE:
            return Gone(**common, reason=reason)
        case _:
            return None


def _common(message: QueuedMessage, at: float) -> dict[str, Any]:
    return {"at": utc_datetime(at), "key": message.key, "message_id": message.message_id}


def outbox_event(message: QueuedMessage) -> OutboxEvent | None:
    """The event of a queued message's new state; ``None`` where there is none."""
    common, reason = _common(message, message.changed_at), message.reason
    statuses = [recipient.status for recipient in message.recipients]
    match message.state:
        case QueueState.SENT:
            refused = statuses.count(RecipientStatus.REFUSED)
            return OutboxSent(**common, accepted=len(statuses) - refused, refused=refused)
        case QueueState.HELD:
            return OutboxHeld(**common, recipients=len(statuses))
        case QueueState.QUEUED:
            due_at = utc_datetime(message.due_at)
            return OutboxWaiting(**common, attempts=message.attempts, due_at=due_at, reason=reason)
        case QueueState.FAILED:
            return OutboxFailed(**common, reason=reason)
        case QueueState.UNKNOWN:
            return OutboxUnknown(**common, reason=reason)
        case _:
            return None


def bounce_event(message: QueuedMessage, report: Recipient, at: float) -> OutboxBounced:
    """The event of a delivery report."""
    return OutboxBounced(**_common(message, at), address=report.address, reason=report.text)
