"""Puts a message into the outbox: its key, its bytes, whether it may be sent, and who decides."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from nornmail import context
from nornmail.clock import utc_datetime
from nornmail.compose.addresses import to_addresses
from nornmail.compose.compose import Composed, Draft, compose
from nornmail.compose.headers import address_list
from nornmail.compose.policy import ReplyCounts, SendingPolicy, refusal_reasons
from nornmail.compose.reply import correspondents
from nornmail.errors import (
    ConfigurationError,
    NornmailError,
    ReplyRefused,
    SendFailed,
    SendingDisabled,
    SendUnknown,
)
from nornmail.events import outbox_event
from nornmail.message.addresses import Address, comparable
from nornmail.message.message import Message
from nornmail.outbox.status import OutboxContext, OutgoingMessage, SendResult, result_of
from nornmail.outbox.transitions import CLOCK_SLACK, DAY, HOUR
from nornmail.outbox.worker import Worker
from nornmail.outgoing import QueuedMessage, QueueState, Recipient
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import MemoryStateStore

log = logging.getLogger("nornmail.outbox")

MAX_KEY_CHARS = 200
"""Characters of a key: people read it, and an index holds it."""
REMEMBERED = 2 * DAY
"""Seconds that a mailer without a store remembers what it sent, for the limits and against loops:
the longest limit counts over a day."""
MOST_TO_ONE = 200
"""Messages to one address that are looked through for one in the same thread: the newest."""
FORGET_AT_ONCE = 100
"""Messages that such a mailer forgets with each one that it sends."""
Approval: TypeAlias = Literal["queue", "draft"] | None
"""The approval that a message needs: a person's for each one that is queued, or as a draft that a
person sends; ``None`` for none."""
_IN_THREAD = frozenset({QueueState.QUEUED, QueueState.SENDING, QueueState.SENT, QueueState.UNKNOWN})
"""States of messages that make their recipients members of a thread."""
_KEY = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def reply_counts(
    store: StateStore, outbox: str, message: Message, recipients: Sequence[Address], now: float
) -> ReplyCounts:
    """The replies sent to the recipients, or in the thread of a message: the largest count.

    Replies in the future were written before the clock was set back, and do not count.
    """
    by: list[dict[str, Any]] = [{"address": who.address} for who in recipients]
    by.append({"thread_id": message.thread_id})

    def count(window: float) -> int:
        return max(_answers(store, outbox, now, window, which) for which in by)

    day = count(DAY)
    return ReplyCounts(hour=count(HOUR) if day else 0, day=day)


def _answers(
    store: StateStore, outbox: str, now: float, window: float, which: dict[str, Any]
) -> int:
    number = store.answers_since(outbox, now - window, **which)
    return number and number - store.answers_since(outbox, now + CLOCK_SLACK, **which)


class Enqueuer:
    """Composes messages and puts them into an outbox, each once per key.

    Args:
        outbox: to put them into; its store is in memory where ``keeps`` is false.
        keeps: they are queued. If not, they are sent at once.
        receive_only: everything is refused.
        approval: that messages need, or a function that says which one needs what.
        has_drafts: there is a mailbox of drafts.
    """

    def __init__(
        self,
        outbox: OutboxContext,
        *,
        worker: Worker,
        keeps: bool,
        dry_run: bool,
        receive_only: bool,
        policy: SendingPolicy,
        approval: Approval | Callable[[OutgoingMessage], Approval],
        has_drafts: bool,
    ) -> None:
        if approval is not None and not keeps:
            raise ConfigurationError("approval", approval, "needs a store, which keeps messages")
        if not callable(approval):
            _check_approval(approval, has_drafts)
        self._store = outbox.store
        self._outbox = outbox.outbox
        self._clock = outbox.clock
        self._emit = outbox.emit
        self._worker = worker
        self._keeps = keeps
        self._dry_run = dry_run
        self._receive_only = receive_only
        self._policy = policy
        self._approval = approval
        self._has_drafts = has_drafts
        self._process = os.getpid()

    def refuse_loops(
        self,
        message: Message,
        own: Collection[str],
        allow: Collection[str],
        *,
        to_author: bool = False,
        recipients: Sequence[Address] | None = None,
    ) -> None:
        """Check that a program may answer a message, or forward it to ``recipients``."""
        now = self._clock.wall()
        reasons = refusal_reasons(
            message,
            own=own,
            own_message_ids=lambda message_id: bool(self._store.messages_with_id(message_id)),
            answered=reply_counts(
                self._store,
                self._outbox,
                message,
                correspondents(message, to_author=to_author) if recipients is None else recipients,
                now,
            ),
            limits=self._policy.answer_limits,
            now=utc_datetime(now),
            max_age=self._policy.max_reply_age,
            allow=allow,
            to_author=to_author,
            forwarded_to=recipients,
        )
        if reasons:
            raise ReplyRefused(reasons)

    def refuse_after_fork(self) -> None:
        """Refuse to work in a forked process."""
        if os.getpid() != self._process:
            raise NornmailError(
                "this mailer was made before the fork: make one in the child process"
            )

    def enqueue(
        self,
        key: str | None,
        draft: Callable[[], Draft],
        *,
        answers: Message | None = None,
        handling: Message | None = None,
        approval: Approval = None,
    ) -> SendResult:
        """Compose a message and queue it, unless its key is known.

        Args:
            draft: makes the draft; called only where the key is new.
            handling: the message being handled, where the context does not know it.
            approval: that it needs, whatever the mailer's other messages do.
        """
        if self._receive_only:
            raise SendingDisabled("this mailer is receive_only: it sends nothing")
        self.refuse_after_fork()
        if approval is not None and not self._keeps:
            raise ConfigurationError("approval", approval, "needs a store, which keeps messages")
        name, default_of = self._key(key, answers, handling)
        delivery = context.current()
        messages = (answers, handling, None if delivery is None else delivery.message)
        order = _Order(
            name, draft, answers is not None, [m for m in messages if m is not None], approval
        )
        if default_of is None:
            return self._put(order)
        default_of.take(self._outbox)
        try:
            return self._put(order)
        except BaseException:
            default_of.give_back(self._outbox)
            raise

    def _key(
        self, key: str | None, answers: Message | None, handling: Message | None
    ) -> tuple[str, context.DeliveryContext | None]:
        """The key in the store, and the delivery whose default key it is."""
        if key is not None and not _is_key(key):
            allowed = f"must be 1 to {MAX_KEY_CHARS} printable characters"
            raise ConfigurationError("key", key, allowed)
        if not self._keeps:
            return secrets.token_hex(16), None
        delivery = context.current()
        if delivery is not None and delivery.delivery_id:
            if key is None:
                return delivery.delivery_id, delivery
            return f"{delivery.delivery_id}/{key}", None
        if handling is not None and handling.delivery_id:
            return handling.delivery_id + ("" if key is None else f"/{key}"), None
        if key is None and answers is not None:
            key = answers.delivery_id or None
        return key or secrets.token_hex(16), None

    def _put(self, order: _Order) -> SendResult:
        known = self._store.queued_message(self._outbox, order.key)
        if known is not None:
            return _known_before(known, order)
        now = self._clock.wall()
        composed, approval = self._compose(order, now)
        message = _queued(self._outbox, order, composed, now, approval)
        if self._dry_run:
            addresses = ", ".join(recipient.address for recipient in message.recipients)
            log.info("dry run: %s to %s", composed.message_id, addresses)
            return replace(result_of(message), dry_run=True, raw=composed.raw)
        if not self._keeps:
            return self._send_now(message, composed.raw)
        stored = self._store.enqueue(message, composed.raw)
        self._worker.wake()
        is_new = stored.message_id == message.message_id
        if is_new and stored.state is QueueState.HELD and (event := outbox_event(stored)):
            self._emit(event)
        return result_of(stored)

    def _compose(self, order: _Order, now: float) -> tuple[Composed, Approval]:
        """The message, whose recipients are allowed, and the approval that it needs."""
        draft, when, unique = order.draft(), utc_datetime(now), secrets.token_hex(16)
        composed = compose(draft, now=when, unique=unique)
        if self._policy.allowed is not None:
            thread = composed.thread_id
            self._policy.allowed.check(
                composed.envelope,
                order.messages,
                lambda address: (
                    self._store.has_verified_sender(address) or self._wrote_to(address, thread)
                ),
            )
        approval = order.approval or self._needed_approval(order, composed)
        _check_approval(approval, self._has_drafts)
        if approval is None:
            return composed, approval
        # A person decides, so it is not an automatic message (RFC 3834, 5).
        composed = compose(replace(draft, auto_submitted=""), now=when, unique=unique)
        if approval == "draft" and (bcc := to_addresses(draft.bcc, "bcc")):
            composed = replace(composed, raw=address_list("Bcc", bcc) + composed.raw)
        return composed, approval

    def _needed_approval(self, order: _Order, composed: Composed) -> Approval:
        if not callable(self._approval):
            return self._approval
        recipients = composed.envelope.recipients
        return self._approval(
            OutgoingMessage(order.key, recipients, composed.raw, 0, order.is_answer)
        )

    def _wrote_to(self, address: str, thread_id: str) -> bool:
        """Whether an address got mail of ours in this thread."""
        messages = self._store.messages_to(self._outbox, address, since=0.0, limit=MOST_TO_ONE)
        return any(
            message.thread_id == thread_id
            and message.state in _IN_THREAD
            and any(comparable(recipient.address) == address for recipient in message.recipients)
            for message in messages
        )

    def _send_now(self, message: QueuedMessage, raw: bytes) -> SendResult:
        """Send without a store; remember what the limits and the loop rules need."""
        if isinstance(self._store, MemoryStateStore):
            horizon = self._clock.wall() - REMEMBERED
            self._store.forget_messages(self._outbox, before=horizon, limit=FORGET_AT_ONCE)
        self._store.enqueue(message, raw)
        tried, error = self._worker.try_now(message.key)
        result = result_of(tried)
        if result.accepted:
            return result
        why = str(error) if error is not None else result.reason
        if tried.state is QueueState.UNKNOWN:
            text = f"it is not known whether {message.message_id} was sent: {why}"
            raise SendUnknown(text, result) from error
        raise SendFailed(f"{message.message_id} was not sent: {why}", result) from error


@dataclass(frozen=True, slots=True)
class _Order:
    """A message that is to be put into the outbox.

    Attributes:
        draft: makes its contents.
        is_answer: it answers a message.
        approval: that it needs in any case.
    """

    key: str
    draft: Callable[[], Draft]
    is_answer: bool
    messages: Sequence[Message]
    approval: Approval


def _check_approval(approval: object, has_drafts: bool) -> None:
    if approval not in (None, "queue", "draft"):
        must = "must be None, 'queue' or 'draft', or a function that returns one of these"
        raise ConfigurationError("approval", approval, must)
    if approval == "draft" and not has_drafts:
        must = "needs sent_mailbox=SentMailbox(imap), the account with the mailbox of drafts"
        raise ConfigurationError("approval", approval, must)


def _known_before(known: QueuedMessage, order: _Order) -> SendResult:
    log.info("%s was queued before, as %s", order.key, known.message_id)
    if known.is_answer is not order.is_answer:
        kinds = ("a reply", "a message")
        had, has = kinds if known.is_answer else reversed(kinds)
        log.warning(
            "%s is the key of %s that was queued before; %s with the same key is not sent: "
            "give each a key= of its own",
            *(order.key, had, has),
        )
    return result_of(known)


def _queued(
    outbox: str, order: _Order, composed: Composed, now: float, approval: Approval
) -> QueuedMessage:
    states = {None: QueueState.QUEUED, "queue": QueueState.HELD, "draft": QueueState.DRAFT}
    return QueuedMessage(
        outbox=outbox,
        key=order.key,
        message_id=composed.message_id,
        sender=composed.envelope.sender,
        recipients=tuple(map(Recipient, composed.envelope.recipients)),
        smtputf8=composed.envelope.smtputf8,
        subject=composed.subject,
        thread_id=composed.thread_id,
        is_answer=order.is_answer,
        state=states[approval],
        approval=approval or "",
        queued_at=now,
        due_at=now if approval is None else 0.0,
        copy_due_at=now if approval == "draft" else 0.0,
        changed_at=now,
        size=len(composed.raw),
    )


def _is_key(key: object) -> bool:
    return isinstance(key, str) and len(key) <= MAX_KEY_CHARS and bool(_KEY.fullmatch(key))
