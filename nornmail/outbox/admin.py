"""Outgoing mail for operators: list, read, approve, reject, retry, drop, resolve."""

from __future__ import annotations

import re
import time
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from nornmail.clock import utc_datetime
from nornmail.errors import ConfigurationError, IllegalTransition, NornmailError
from nornmail.outgoing import (
    APPROVED,
    REJECTED,
    Decision,
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Recipient,
)
from nornmail.stores.protocol import StateStore

MAX_REASON = 500
"""Characters of a name, or of a reason, in a decision."""
_BREAKS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
SHORTEST_KEY = 4
"""Characters of a key that are enough to name a message, if no other begins with them."""
UNSENT = frozenset(QueueState) - {QueueState.SENT}
"""The states of what was not sent; the rest is history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """An outgoing message, as it was when it was read.

    Attributes:
        key: identifies it within its outbox.
        account: the outbox that it is in, as the store names it.
        state: ``queued``, ``sending``, ``sent``, ``failed``, ``unknown``, ``held`` or ``draft``.
        message_id: its Message-ID with the angle brackets.
        sender: the envelope's sender.
        recipients: everyone of the envelope, with status, code and text.
        subject: for people.
        is_answer: it answers a message.
        attempts: how often it was tried and deferred.
        queued_at: when it was queued.
        due_at: when it is tried next; ``None`` unless it is queued.
        changed_at: when it last changed.
        reason: why it is in this state, for a person.
        size: octets.
        copied: a copy is in the mailbox of sent mail.
        dropped: an operator gave it up; its bytes are not kept.
        approval: ``queue`` or ``draft`` where a person decides whether it is sent, else ``""``.
        decision: of that person, with name and reason: ``approved by Ann: fine``; ``""`` before.
        request: of an operator, which no sender has applied yet: ``retry``, ``drop``, ``sent`` or
            ``""``.
    """

    key: str
    account: str
    state: QueueState
    message_id: str
    sender: str
    recipients: tuple[Recipient, ...]
    subject: str
    is_answer: bool
    attempts: int
    queued_at: datetime
    due_at: datetime | None
    changed_at: datetime
    reason: str
    size: int
    copied: bool
    dropped: bool
    approval: str
    decision: str
    request: str


class Outbox:
    """The outgoing messages of a store. It takes no lease, so a sender may be at work.

    Requests are left in the store. The sender applies them at its next run, which is at most two
    seconds away, or when it is started.

    Args:
        store: the mailer's, or the same one opened again; a JSON store is open in one process.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def list(self, states: Collection[str] = UNSENT) -> list[OutboxMessage]:
        """The messages in any of ``states``, by account and age, the oldest first.

        Raises:
            StoreError: the store cannot be read.
        """
        rows = []
        for outbox in self._store.outboxes():
            requests = dict(self._store.pending_requests(outbox))
            messages = self._store.queued_messages(outbox, {QueueState(state) for state in states})
            for message in sorted(messages, key=lambda m: (m.queued_at, m.key)):
                rows.append(_view(message, requests.get(message.key)))
        return rows

    def counts(self) -> dict[str, int]:
        """The number of messages in each state.

        Raises:
            StoreError: the store cannot be read.
        """
        outboxes = self._store.outboxes()
        return {
            str(state): sum(self._store.count_messages(outbox, {state}) for outbox in outboxes)
            for state in QueueState
        }

    def get(self, name: str) -> OutboxMessage | None:
        """The message with this key, or this Message-ID with its angle brackets, if there is one.

        Raises:
            StoreError: the store cannot be read.
        """
        for outbox in self._store.outboxes():
            message = self._store.queued_message(outbox, name)
            if message is not None:
                return self._with_request(message)
        for message in self._store.messages_with_id(name):
            return self._with_request(message)
        return None

    def _with_request(self, message: QueuedMessage) -> OutboxMessage:
        requests = dict(self._store.pending_requests(message.outbox))
        return _view(message, requests.get(message.key))

    def find(self, key: str, account: str | None = None) -> OutboxMessage:
        """The message with this key.

        Args:
            key: the key, or an unambiguous beginning of it.
            account: of this outbox only, where several have the key.

        Raises:
            ConfigurationError: there is none, or more than one.
            StoreError: the store cannot be read.
        """
        messages = [
            message
            for message in self.list(frozenset(QueueState))
            if account in (None, message.account) and message.key.startswith(key)
        ]
        exact = [message for message in messages if message.key == key]
        messages = exact or (messages if len(key) >= SHORTEST_KEY else [])
        if not messages:
            raise ConfigurationError("KEY", key, "no message has this key")
        if len(messages) > 1:
            accounts = sorted({message.account for message in messages})
            where = f", in the outboxes {', '.join(accounts)}" if len(accounts) > 1 else ""
            raise ConfigurationError("KEY", key, f"{len(messages)} keys begin with it{where}")
        return messages[0]

    def raw(self, message: OutboxMessage) -> bytes:
        """Its bytes.

        Raises:
            NornmailError: none are kept: it was sent, or dropped.
            StoreError: the store cannot be read.
        """
        raw = self._store.message_bytes(message.account, message.key)
        if raw is None:
            raise NornmailError(f"no bytes of the message {message.key} are kept")
        return raw

    def approve(self, message: OutboxMessage | str, who: str, why: str = "") -> bool:
        """Let a held message go out; durable on return. Approved twice, it is sent once.

        Args:
            message: the message, or its key.
            who: the person who approves, for the record.
            why: the reason, for the record.

        Returns:
            Whether it was held: false where it was approved before.

        Raises:
            ConfigurationError: no message has this key, or ``who`` is empty.
            NornmailError: it is not held, or was rejected.
            StoreError: the store cannot be written.
        """
        return self._decide(message, True, who, why)

    def reject(self, message: OutboxMessage | str, who: str, why: str = "") -> bool:
        """Make a held message failed, with the reason; its bytes stay. As :meth:`approve`."""
        return self._decide(message, False, who, why)

    def _decide(self, message: OutboxMessage | str, approved: bool, who: str, why: str) -> bool:
        if isinstance(message, str):
            message = self.find(message)
        who, why = (" ".join(_BREAKS.sub(" ", text).split())[:MAX_REASON] for text in (who, why))
        if not who:
            raise ConfigurationError("who", None, "must name the person who decides")
        verdict = APPROVED if approved else REJECTED
        text = f"{verdict} by {who}" + (f": {why}" if why else "")
        try:
            decision = Decision(approved, text, time.time())
            return self._store.decide(message.account, message.key, decision)
        except IllegalTransition as error:
            raise NornmailError(str(error)) from error

    def retry(self, message: OutboxMessage) -> None:
        """Request another attempt now; durable on return.

        A failed message gets another three days; one that was rejected is held again, and a draft
        is saved again. An unknown one is sent again, perhaps for the
        second time.

        Raises:
            NornmailError: it is sent, being sent, or dropped.
            StoreError: the store cannot be written.
        """
        self._request(message, OperatorRequest.RETRY)

    def drop(self, message: OutboxMessage) -> None:
        """Give it up: it is failed, and its bytes are forgotten; durable on return.

        Raises:
            NornmailError: it is sent, being sent, or dropped.
            StoreError: the store cannot be written.
        """
        self._request(message, OperatorRequest.DROP)

    def resolve(self, message: OutboxMessage, *, sent: bool) -> None:
        """Say of an unknown message whether it was sent; if not, it is tried again.

        Raises:
            NornmailError: it is not unknown.
            StoreError: the store cannot be written.
        """
        current = self._store.queued_message(message.account, message.key)
        if current is None or current.state is not QueueState.UNKNOWN:
            state = "gone" if current is None else current.state
            raise NornmailError(
                f"{message.key} is {state}: only an unknown message can be resolved"
            )
        self._request(message, OperatorRequest.SENT if sent else OperatorRequest.RETRY)

    def _request(self, message: OutboxMessage, request: OperatorRequest) -> None:
        try:
            self._store.request(message.account, message.key, request)
        except IllegalTransition as error:  # its state has changed since it was read
            raise NornmailError(str(error)) from error


def _view(message: QueuedMessage, request: OperatorRequest | None) -> OutboxMessage:
    return OutboxMessage(
        key=message.key,
        account=message.outbox,
        state=message.state,
        message_id=message.message_id,
        sender=message.sender,
        recipients=message.recipients,
        subject=message.subject,
        is_answer=message.is_answer,
        attempts=message.attempts,
        queued_at=utc_datetime(message.queued_at),
        due_at=utc_datetime(message.due_at) if message.state is QueueState.QUEUED else None,
        changed_at=utc_datetime(message.changed_at),
        reason=message.reason,
        size=message.size,
        copied=message.copied,
        dropped=message.dropped,
        approval=message.approval,
        decision=message.decision,
        request="" if request is None else request.value,
    )
