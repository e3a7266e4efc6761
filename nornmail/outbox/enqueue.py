"""A draft on its way into the outbox: its key, its bytes, and whether it may be written at all."""

from __future__ import annotations

import logging
import os
import re
import secrets
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from functools import partial

from nornmail import context
from nornmail.clock import Clock, instant
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
from nornmail.outbox.worker import Worker
from nornmail.outgoing import QueuedMessage, QueueState, Recipient
from nornmail.stores.in_memory import MemoryStateStore
from nornmail.stores.protocol import StateStore

log = logging.getLogger("nornmail.outbox")

# ---- What the store knows that decides whether a message may be answered: see ``loops.py``.

HOUR = 3_600.0
DAY = 86_400.0


def is_our_message_id(store: StateStore, message_id: str) -> bool:
    """Whether a message with this Message-ID is one of ours, of whatever outbox of the store."""
    return bool(message_id) and bool(store.messages_with_id(message_id))


def reply_counts(store: StateStore, outbox: str, message: Message, now: float) -> ReplyCounts:
    """How many answers the correspondents of a message, or its thread, got: the most of any."""
    asked = [{"address": one.address} for one in correspondents(message)]
    asked.append({"thread_id": message.thread_id})
    hour = [store.answers_since(outbox, now - HOUR, **one) for one in asked]
    day = [store.answers_since(outbox, now - DAY, **one) for one in asked]
    return ReplyCounts(hour=max(hour), day=max(day))


MAX_KEY_CHARS = 200
"""Characters of a key: people read it, and an index holds it."""
REMEMBERED = 2 * 86_400.0
"""Seconds that a mailer without a store remembers what it sent, for the limits and against loops:
the longest limit counts over a day."""
_KEY = re.compile("[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


class Enqueuer:
    """Writes letters, each once per key.

    Args:
        store: where they are kept; a store in memory where ``keeps`` is false.
        outbox: whose they are.
        clock: for dates, and for the age of what is answered.
        worker: sends them.
        keeps: they are sent by and by. If not, at once.
        dry_run: nothing is kept or sent.
        receive_only: everything is refused.
        answer_limits, max_reply_age: of answers.
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
        self._process = os.getpid()

    def refuse_loops(self, message: Message, own: Collection[str], allow: Collection[str]) -> None:
        """See that a program may answer a message.

        Raises:
            LoopError: it may not.
        """
        now = self._clock.wall()
        found = refusal_reasons(
            message,
            own=own,
            own_message_ids=partial(is_our_message_id, self._store),
            answered=reply_counts(self._store, self._outbox, message, now),
            limits=self._answer_limits,
            now=instant(now),
            max_age=self._max_reply_age,
            allow=allow,
        )
        if found:
            raise ReplyRefused(found)

    def refuse_after_fork(self) -> None:
        """Refuse to work in a forked process.

        Raises:
            NornmailError: the connection and the threads are those of the parent.
        """
        if os.getpid() != self._process:
            raise NornmailError("this mailer is of the process before the fork: make another one")

    def enqueue(
        self, key: str | None, draft: Callable[[], Draft], *, answers: Message | None = None
    ) -> SendResult:
        """Write a letter and send it, unless its key is known.

        Args:
            key: as the caller gave it.
            draft: makes what is to be written; called only if it is.
            answers: the message that it answers.
        """
        if self._receive_only:
            raise SendingDisabled("this mailer is receive_only: it sends nothing")
        self.refuse_after_fork()
        name, default_of = self._name(key, answers)
        if default_of is None:
            return self._write(name, draft, is_answer=answers is not None)
        default_of.take(self._outbox)
        try:
            return self._write(name, draft, is_answer=answers is not None)
        except BaseException:
            default_of.give_back(self._outbox)
            raise

    def _name(
        self, key: str | None, answers: Message | None
    ) -> tuple[str, context.DeliveryContext | None]:
        """The key in the store, and the handling whose own key it is."""
        if key is not None and not (len(key) <= MAX_KEY_CHARS and _KEY.fullmatch(key)):
            allowed = f"must be 1 to {MAX_KEY_CHARS} characters that can be printed"
            raise ConfigurationError("key", key, allowed)
        if not self._keeps:
            return secrets.token_hex(16), None
        handled = context.current()
        if handled is not None and handled.delivery_id:
            if key is None:
                return handled.delivery_id, handled
            return f"{handled.delivery_id}/{key}", None
        if key is None and answers is not None:
            key = answers.delivery_id or None
        return key or secrets.token_hex(16), None

    def _write(self, name: str, draft: Callable[[], Draft], *, is_answer: bool) -> SendResult:
        known = self._store.queued_message(self._outbox, name)
        if known is not None:
            log.info("%s was written before, as %s", name, known.message_id)
            if known.is_answer is not is_answer:
                log.warning(
                    "%s was written under the key %s, and now %s is to be: it is not sent; give "
                    "each a key= of its own",
                    *(
                        ("an answer", name, "a message")
                        if known.is_answer
                        else ("a message", name, "an answer")
                    ),
                )
            return result_of(known)
        now = self._clock.wall()
        composed = compose(draft(), now=instant(now), unique=secrets.token_hex(16))
        letter = _letter(self._outbox, name, composed, now, is_answer=is_answer)
        if self._dry_run:
            everyone = ", ".join(one.address for one in letter.recipients)
            log.info("dry run: %s to %s", composed.message_id, everyone)
            return replace(result_of(letter), dry_run=True, raw=composed.raw)
        if not self._keeps:
            return self._send_now(letter, composed.raw)
        kept = self._store.enqueue(letter, composed.raw)
        self._worker.wake()
        return result_of(kept)

    def _send_now(self, letter: QueuedMessage, raw: bytes) -> SendResult:
        """Send without a store, and keep what the limits and the loops have to know."""
        if isinstance(self._store, MemoryStateStore):
            self._store.forget_messages(self._outbox, self._clock.wall() - REMEMBERED)
        self._store.enqueue(letter, raw)
        tried, trouble = self._worker.try_now(letter.key)
        result = result_of(tried)
        if result.accepted:
            return result
        why = str(trouble) if trouble is not None else result.reason
        if tried.state is QueueState.UNKNOWN:
            text = f"it is not known whether {letter.message_id} was sent: {why}"
            raise SendUnknown(text, result) from trouble
        raise SendFailed(f"{letter.message_id} was not sent: {why}", result) from trouble


def _letter(
    outbox: str, key: str, composed: Composed, now: float, *, is_answer: bool
) -> QueuedMessage:
    """The letter of a message that was just written."""
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
