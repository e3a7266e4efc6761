"""The way of a draft into the outbox: its key, its bytes, and whether it may be sent at all."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from typing import Any

from nornmail import context
from nornmail.clock import Clock, utc_datetime
from nornmail.compose.allowed import AllowedRecipients
from nornmail.compose.autoreply import AnswerLimits, ReplyCounts, refusal_reasons
from nornmail.compose.compose import Composed, Draft, compose
from nornmail.compose.reply import correspondents
from nornmail.errors import (
    ConfigurationError,
    NornmailError,
    ReplyRefused,
    SendFailed,
    SendingDisabled,
    SendUnknown,
)
from nornmail.message.message import Message
from nornmail.outbox.results import SendResult, result_of
from nornmail.outbox.transitions import CLOCK_SLACK
from nornmail.outbox.worker import Worker
from nornmail.outgoing import QueuedMessage, QueueState, Recipient
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import MemoryStateStore

log = logging.getLogger("nornmail.outbox")

HOUR = 3_600.0
DAY = 86_400.0
MAX_KEY_CHARS = 200
"""Characters of a key: people read it, and an index holds it."""
REMEMBERED = 2 * 86_400.0
"""Seconds that a mailer without a store remembers what it sent, for the limits and against loops:
the longest limit counts over a day."""
FORGET_AT_ONCE = 100
"""Messages that such a mailer forgets with each one that it sends."""
_KEY = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def reply_counts(store: StateStore, outbox: str, message: Message, now: float) -> ReplyCounts:
    """The replies sent to the correspondents of a message, or in its thread: the largest count.

    Replies in the future were written before the clock was set back, and do not count.
    """
    by: list[dict[str, Any]] = [{"address": who.address} for who in correspondents(message)]
    by.append({"thread_id": message.thread_id})

    def count(window: float) -> int:
        return max(
            store.answers_since(outbox, now - window, **which)
            - store.answers_since(outbox, now + CLOCK_SLACK, **which)
            for which in by
        )

    return ReplyCounts(hour=count(HOUR), day=count(DAY))


class Enqueuer:
    """Composes messages and puts them into an outbox, each once per key.

    Args:
        store: of the messages; one in memory where ``keeps`` is false.
        outbox: the account that sends them.
        clock: for dates, and for the age of what is answered.
        worker: sends them.
        keeps: they are queued. If not, they are sent at once.
        dry_run: nothing is stored or sent.
        receive_only: everything is refused.
        answer_limits, max_reply_age: of replies.
        allowed: recipients; ``None`` allows all.
    """

    def __init__(
        self,
        store: StateStore,
        outbox: str,
        *,
        clock: Clock,
        worker: Worker,
        keeps: bool,
        dry_run: bool,
        receive_only: bool,
        answer_limits: AnswerLimits | None,
        max_reply_age: timedelta | None,
        allowed: AllowedRecipients | None,
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._worker = worker
        self._keeps = keeps
        self._dry_run = dry_run
        self._receive_only = receive_only
        self._answer_limits = answer_limits
        self._max_reply_age = max_reply_age
        self._allowed = allowed
        self._process = os.getpid()

    def refuse_loops(
        self,
        message: Message,
        own: Collection[str],
        allow: Collection[str],
        *,
        to_author: bool = False,
    ) -> None:
        """Check that a program may answer a message.

        Raises:
            ReplyRefused: it may not.
        """
        now = self._clock.wall()
        reasons = refusal_reasons(
            message,
            own=own,
            own_message_ids=lambda message_id: bool(self._store.messages_with_id(message_id)),
            answered=reply_counts(self._store, self._outbox, message, now),
            limits=self._answer_limits,
            now=utc_datetime(now),
            max_age=self._max_reply_age,
            allow=allow,
            to_author=to_author,
        )
        if reasons:
            raise ReplyRefused(reasons)

    def refuse_after_fork(self) -> None:
        """Refuse to work in a forked process.

        Raises:
            NornmailError: the connection and the threads are those of the parent.
        """
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
    ) -> SendResult:
        """Compose a message and queue it, unless its key is known.

        Args:
            key: as the caller gave it.
            draft: makes the draft; called only where the key is new.
            answers: the message that it answers.
            handling: the message being handled, where the context does not know it.
        """
        if self._receive_only:
            raise SendingDisabled("this mailer is receive_only: it sends nothing")
        self.refuse_after_fork()
        name, default_of = self._key(key, answers, handling)
        if default_of is None:
            return self._put(name, draft, is_answer=answers is not None)
        default_of.take(self._outbox)
        try:
            return self._put(name, draft, is_answer=answers is not None)
        except BaseException:
            default_of.give_back(self._outbox)
            raise

    def _key(
        self, key: str | None, answers: Message | None, handling: Message | None
    ) -> tuple[str, context.DeliveryContext | None]:
        """The key in the store, and the delivery whose default key it is."""
        if key is not None and not (len(key) <= MAX_KEY_CHARS and _KEY.fullmatch(key)):
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

    def _put(self, key: str, draft: Callable[[], Draft], *, is_answer: bool) -> SendResult:
        known = self._store.queued_message(self._outbox, key)
        if known is not None:
            log.info("%s was queued before, as %s", key, known.message_id)
            if known.is_answer is not is_answer:
                kinds = ("a reply", "a message")
                had, has = kinds if known.is_answer else reversed(kinds)
                log.warning(
                    "%s is the key of %s that was queued before; %s with the same key is not sent: "
                    "give each a key= of its own",
                    *(key, had, has),
                )
            return result_of(known)
        now = self._clock.wall()
        composed = compose(draft(), now=utc_datetime(now), unique=secrets.token_hex(16))
        if self._allowed is not None:
            self._allowed.check(composed.envelope)
        message = _queued(self._outbox, key, composed, now, is_answer=is_answer)
        if self._dry_run:
            addresses = ", ".join(recipient.address for recipient in message.recipients)
            log.info("dry run: %s to %s", composed.message_id, addresses)
            return replace(result_of(message), dry_run=True, raw=composed.raw)
        if not self._keeps:
            return self._send_now(message, composed.raw)
        stored = self._store.enqueue(message, composed.raw)
        self._worker.wake()
        return result_of(stored)

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


def _queued(
    outbox: str, key: str, composed: Composed, now: float, *, is_answer: bool
) -> QueuedMessage:
    return QueuedMessage(
        outbox=outbox,
        key=key,
        message_id=composed.message_id,
        sender=composed.envelope.sender,
        recipients=tuple(map(Recipient, composed.envelope.recipients)),
        smtputf8=composed.envelope.smtputf8,
        subject=composed.subject,
        thread_id=composed.thread_id,
        is_answer=is_answer,
        queued_at=now,
        due_at=now,
        changed_at=now,
        size=len(composed.raw),
    )
