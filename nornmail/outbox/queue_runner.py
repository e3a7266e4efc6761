"""The queue runner: claims what is due in an outbox, submits it and settles it, one at a time.

A message is SENDING, durably, before the first octet of its content goes out, and the server's
reply is durable before anything else happens. So a process that dies leaves a message that is
tried again, or one that is UNKNOWN because it may have been taken. Where a store permits several
senders on an outbox, each works only on the message that it has claimed.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from nornmail.errors import (
    AuthenticationFailed,
    IllegalTransition,
    LeaseLost,
    NornmailError,
    StoreError,
    Throttled,
)
from nornmail.events import outbox_event
from nornmail.model import Lease, MailboxKey
from nornmail.outbox import transitions
from nornmail.outbox.mailboxes import Drafts, SentMail, sync_draft, sync_sent_copy
from nornmail.outbox.status import (
    BeforeSend,
    MailerState,
    OutboxContext,
    OutgoingMessage,
    ask_before_send,
)
from nornmail.outbox.transitions import Deferred, Interrupted, Rejected, SendOutcome
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState, Quota, Recipient
from nornmail.retry import ServerBackoff
from nornmail.settings.fields import SENT_DAYS
from nornmail.smtp.session import CachedSession
from nornmail.smtp.transaction import Submission

log = logging.getLogger("nornmail.outbox")

BATCH = 100
"""Messages that are read in one run, so that a request, a stop, or mail that was queued meanwhile
waits for no more than these."""
DIRECT_PAUSE = 5.0
"""Seconds for which a mailer without a store refuses to ask a server that throttled: its caller
waits for the answer, and decides itself when to ask again."""
SHARED_PAUSE = 1.0
"""Seconds until another look at what other senders have in hand."""
FORGOTTEN_AT_ONCE = 1_000
"""Sent messages that are removed in one transaction, between two runs."""
FORGET_INTERVAL = 3_600.0
"""Seconds between two looks that left nothing to remove."""


@dataclass(slots=True)
class QueueRunner:
    """Works on one outbox. One thread at a time.

    Args:
        sent: the mailbox of sent mail, and of drafts; ``None`` for none.
        retries: a message that could not be sent is tried again; false for a mailer without a
            store.
        retention: days after which sent and dropped messages are removed; 0 keeps all.

    Attributes:
        last_error: what kept the last attempt from reaching the server.
        copy_error: why the last copy was not saved in the mailbox of sent mail; ``""`` if it was.
    """

    context: OutboxContext
    connection: CachedSession
    limits: transitions.SendLimits
    before_send: BeforeSend | None
    sent: SentMail | None
    retries: bool = True
    retention: float = 0.0
    last_error: NornmailError | None = field(default=None, init=False)
    copy_error: str = field(default="", init=False)
    _backoff: ServerBackoff = field(init=False)
    _lease: Lease | None = field(default=None, init=False)
    _unsettled: QueuedMessage | None = field(default=None, init=False)
    _has_claim: bool = field(default=False, init=False)
    _was_refused: bool = field(default=False, init=False)
    _forget_at: float = field(default=-math.inf, init=False)
    _paused_at: float = field(default=0.0, init=False)
    _resume_at: float = field(default=0.0, init=False)
    _pause_reason: NornmailError | None = field(default=None, init=False)
    _submitted: dict[str, float] = field(default_factory=dict, init=False)
    """When each message was submitted, oldest first, on the clock that does not jump."""

    def __post_init__(self) -> None:
        self._backoff = ServerBackoff(self.context.rng)

    def acquire(self, owner: str) -> None:
        """Take the lease on the outbox."""
        if self._lease is None:
            self._lease = self.context.store.acquire(
                MailboxKey.of_outbox(self.context.outbox), owner
            )

    def release(self) -> None:
        """Close the connection and give back the lease. Harmless twice."""
        try:
            if self._lease is not None and self._unsettled is not None:
                with suppress(StoreError, LeaseLost):  # else it is UNKNOWN to the next holder
                    self._settle(self._unsettled)
            self.connection.close()
        finally:
            if self._lease is not None:
                self.context.store.release(self._lease)
            self._lease = self._unsettled = None
            self._has_claim = False

    def run_once(
        self, stopped: Callable[[], bool] = lambda: False, *, only: str | None = None
    ) -> float | None:
        """Send what is due, within the limits.

        Args:
            stopped: asked before each message; once it is true no further one is begun.
            only: the key of the one message to send; the others, and requests for them, are left
                to another sender.

        Returns:
            Seconds until there is more to do, 0.0 if there is now, ``None`` if nothing waits.
        """
        self._was_refused = False
        try:
            self._settle_leftovers()
            if only is not None:
                return self._send_due(stopped, only)
            self._apply_requests()
            pause = self._send_due(stopped)
            if pause == 0.0:
                return pause
            self._sync_sent_copies(stopped)
            self._forget_old()
            self._end_claim()
            return self._until_next(pause)
        except LeaseLost:
            self._lease, self._unsettled, self._has_claim = None, None, False
            self.connection.close()
            raise

    def try_now(self, key: str) -> tuple[QueuedMessage, NornmailError | None]:
        """Try one message once, and forget its bytes whatever came of that.

        A server that refused the login is left alone, one that throttled for a few seconds.

        Returns:
            The message after the attempt, and what kept it from reaching the server.
        """
        self._settle_leftovers()
        message = self._message(key)
        self.last_error = None
        if self._refuses_now():
            self.last_error = self._pause_reason
        elif (pause := self._until_slot()) > 0:
            self.last_error = Throttled(f"{self.limits} are reached", kind="rate", wait=pause)
        else:
            self._try(message)
        tried = self._message(key)
        dropped = transitions.apply_request(tried, OperatorRequest.DROP, self.context.clock.wall())
        if dropped is not None:
            self._commit(dropped)
        self._sync_sent_copies(lambda: False)
        return tried, self.last_error

    def _refuses_now(self) -> bool:
        """Whether an attempt would only annoy the server."""
        now = self.context.clock.monotonic()
        if isinstance(self._pause_reason, Throttled):
            return now < min(self._resume_at, self._paused_at + DIRECT_PAUSE)
        return now < self._resume_at and isinstance(self._pause_reason, AuthenticationFailed)

    def _message(self, key: str) -> QueuedMessage:
        message = self.context.store.queued_message(self.context.outbox, key)
        if message is None:
            raise LookupError(f"no message with the key {key} in the outbox {self.context.outbox}")
        return message

    # Durable changes.

    def _held_lease(self) -> Lease:
        if self._lease is None:
            raise LeaseLost(f"no lease on the outbox of {self.context.outbox} is held")
        return self._lease

    def _claim(self, key: str, quotas: Sequence[Quota] = ()) -> QueuedMessage | None:
        """Claim a message, and return it as it is now; ``None`` where that is not possible."""
        self._has_claim = True
        message = self.context.store.claim_message(self._held_lease(), key, quotas)
        self._was_refused |= message is None
        return message

    def _end_claim(self) -> None:
        """Give back the claim, if there is one."""
        if self._has_claim:
            self.context.store.claim_message(self._held_lease(), None)
            self._has_claim = False

    def _commit(self, message: QueuedMessage) -> None:
        self.context.store.commit_messages(self._held_lease(), [message])

    def _settle(self, message: QueuedMessage) -> None:
        """Make the outcome of an attempt durable, and emit its event.

        It is kept in memory until the store has it: else the next holder of the lease could know no
        more than that the message may have been sent.
        """
        self._unsettled = message
        self._commit(message)
        self._unsettled = None
        if message.state is QueueState.QUEUED and not self.retries:
            # Its caller gets an exception, and it is dropped: it does not wait.
            failed = Rejected(message.reason)
            message = transitions.after(
                message, failed, self.context.clock.wall(), self.context.rng
            )
        well = message.state in (QueueState.SENT, QueueState.QUEUED)
        why = f": {message.reason}" if message.reason else ""
        level = logging.INFO if well else logging.WARNING
        log.log(level, "%s is %s%s", message.message_id, message.state, why)
        event = outbox_event(message)
        if event is not None:
            self.context.emit(event)

    def _settle_leftovers(self) -> None:
        """Settle an attempt that a full disk or the end of a process cut off."""
        if self._unsettled is not None:
            try:
                self._settle(self._unsettled)
            except IllegalTransition as error:  # the store is another one: a copy was put back
                log.error("%s: its outcome is discarded: %s", self._unsettled.message_id, error)
                self._unsettled = None
        for message in self.context.store.queued_messages(
            self.context.outbox, {QueueState.SENDING}
        ):
            if self._claim(message.key) == message:
                self._finish(message, Interrupted())

    def apply_requests(self) -> None:
        """Apply the requests that operators left in the store."""
        self._settle_leftovers()  # while this sender has in hand what it did not settle
        self._apply_requests()

    def _apply_requests(self) -> None:
        for key, _ in self.context.store.pending_requests(self.context.outbox):
            message = self._claim(key)
            # Another sender may have applied it meanwhile.
            request = dict(self.context.store.pending_requests(self.context.outbox)).get(key)
            if message is None or request is None:
                continue
            changed = transitions.apply_request(message, request, self.context.clock.wall())
            if changed is not None:
                log.info("%s: an operator requested: %s", changed.message_id, request)
                self._settle(self._with_copy(changed))

    # Attempts.

    def _send_due(self, stopped: Callable[[], bool], only: str | None = None) -> float | None:
        """Try what is due; 0.0 when there is more, else the seconds to leave the server alone."""
        now = self.context.clock.wall()
        if only is None:
            messages = self.context.store.queued_messages(
                self.context.outbox, {QueueState.QUEUED}, limit=BATCH
            )
        else:
            message = self.context.store.queued_message(self.context.outbox, only)
            messages = [message] if message and message.state is QueueState.QUEUED else []
        due = [message for message in messages if transitions.is_due(message, now)]
        claimed = False
        for number, message in enumerate(due):
            if stopped():
                return None
            if number and only is None:  # before the first one, run_once() has applied them
                self._apply_requests()
            if (pause := self._resume_at - self.context.clock.monotonic()) > 0:
                return pause
            if (pause := self._until_slot()) > 0:
                self.context.status.set(MailerState.LIMITED, f"{self.limits} are reached")
                return pause
            current = self._claim(message.key, self.limits.quotas(self.context.clock.wall()))
            claimed = claimed or current is not None
            if current == message:  # no operator changed it, and no other sender
                self.context.status.set(MailerState.SENDING)
                self._try(message)
        return 0.0 if claimed and self._resume_at <= self.context.clock.monotonic() else None

    def _until_slot(self) -> float:
        now = self.context.clock.wall()
        since = now - transitions.HOUR
        recent = self.context.store.submissions_since(
            self.context.outbox, since, limit=self.limits.most
        )
        pause = transitions.until_slot(recent, self.limits, now)
        # The store's clock may have been set meanwhile.
        own = list(reversed(self._submitted.values()))
        return max(pause, transitions.until_slot(own, self.limits, self.context.clock.monotonic()))

    def _note_submission(self, key: str) -> None:
        self._submitted.pop(key, None)
        self._submitted[key] = self.context.clock.monotonic()
        while len(self._submitted) > self.limits.most:
            del self._submitted[next(iter(self._submitted))]

    def _try(self, message: QueuedMessage) -> None:
        """Make one attempt, and settle what came of it."""
        raw = self._approved_bytes(message)
        message, outcome = self._submit(message, raw) if isinstance(raw, bytes) else (message, raw)
        if outcome is not None:
            self._finish(message, outcome)
        if isinstance(outcome, Submission):
            self._note_reply(outcome)

    def _finish(self, message: QueuedMessage, outcome: SendOutcome) -> None:
        after = transitions.after(message, outcome, self.context.clock.wall(), self.context.rng)
        self._settle(self._with_copy(after))

    def _approved_bytes(self, message: QueuedMessage) -> bytes | SendOutcome:
        """The bytes of a message that may go out, or the outcome that keeps it from that."""
        try:
            raw = self.context.store.message_bytes(self.context.outbox, message.key)
        except StoreError as error:  # of this one file; a broken disk shows at the next commit
            log.error("the bytes of %s: %s", message.message_id, error)
            return Deferred(str(error))
        if raw is None:
            return Rejected(transitions.NO_BYTES)
        recipients = transitions.envelope_of(message).recipients
        outgoing = OutgoingMessage(
            message.key, recipients, raw, message.attempts, message.is_answer
        )
        return ask_before_send(self.before_send, outgoing) or raw

    def _submit(
        self, message: QueuedMessage, raw: bytes
    ) -> tuple[QueuedMessage, SendOutcome | None]:
        """Submit a message.

        Returns:
            The message as it is durable now, and the outcome; ``None`` where the trouble is not
            about this message.
        """
        current = message

        def before_content(recipients: Sequence[Recipient]) -> None:
            nonlocal current
            sending = transitions.sending(message, recipients, self.context.clock.wall())
            # An exception here may fall behind the commit; nothing was sent all the same.
            self._unsettled = message
            self._commit(sending)
            self._unsettled = None
            current = sending
            self._note_submission(message.key)

        try:
            envelope = transitions.envelope_of(message)
            submission = self.connection.submit(envelope, raw, before_content=before_content)
        except (StoreError, LeaseLost):
            self.connection.close()
            raise
        except NornmailError as error:
            return message, self._unreachable(message, error)
        except Exception as error:  # a mistake of ours at one message must not stop the others
            self.connection.close()
            log.exception("%s could not be submitted", message.message_id)
            reason = f"{type(error).__name__}: {error}"
            return current, Deferred(reason) if current is message else Interrupted(reason)
        except BaseException:
            self.connection.close()
            raise
        self.last_error = None
        return current, submission

    def _note_reply(self, submission: Submission) -> None:
        """Pause if the server said that it accepts nothing more for now."""
        kind = transitions.throttles(submission)
        if kind:
            self._pause(Throttled(f"{submission.code} {submission.text}", kind=kind))
        elif submission.code:
            self._backoff.recovered(0.0)

    def _unreachable(self, message: QueuedMessage, error: NornmailError) -> Deferred | None:
        """The outcome of an attempt that did not reach the server.

        Network trouble defers the message, so that each one has its turn. A refused login and
        throttling say nothing about any message: the reason is recorded, and no attempt counts.
        """
        self.last_error = error
        seconds = self._pause(error)
        if not isinstance(error, AuthenticationFailed | Throttled):
            return Deferred(str(error), seconds)
        noted = transitions.noted(message, str(error), self.context.clock.wall())
        if self.retries and noted.reason != message.reason:
            self._commit(noted)
        return None

    def _pause(self, error: NornmailError) -> float:
        seconds = self._backoff.after(error)
        self._paused_at, self._pause_reason = self.context.clock.monotonic(), error
        self._resume_at = self._paused_at + seconds
        state = _STATES.get(type(error), MailerState.BACKOFF)
        level = logging.ERROR if state is MailerState.AUTH_FAILED else logging.WARNING
        if self.retries:
            log.log(level, "SMTP: %s; next attempt in %g s", error, round(seconds, 1))
        else:
            log.log(level, "SMTP: %s", error)
        self.context.status.set(state, str(error))
        return seconds

    # The mailboxes of sent mail and of drafts.

    def _with_copy(self, message: QueuedMessage) -> QueuedMessage:
        """The message, with its copy due if it has just become sent or unknown."""
        if self.sent is None or message.dropped or message.copied:
            return message
        saved = message.state is QueueState.SENT and self.sent.server_saves_sent
        if saved or message.state not in (QueueState.SENT, QueueState.UNKNOWN):
            return message
        return transitions.with_copy_due(message, self.context.clock.wall())

    def _sync_sent_copies(self, stopped: Callable[[], bool]) -> None:
        if self.sent is None:
            return
        now = self.context.clock.wall()
        for message in self.context.store.messages_to_copy(self.context.outbox):
            if stopped():
                return
            if (
                transitions.until_copy([message], now) == 0.0
                and self._claim(message.key) == message
            ):
                after = self._sync_sent_copy(message, self.sent)
                put = self._commit if after.state is message.state else self._settle
                put(after)

    def _sync_sent_copy(self, message: QueuedMessage, sent: SentMail) -> QueuedMessage:
        """The message after its copy; a failure never changes the state of the message itself."""
        now = self.context.clock.wall()
        is_draft = message.state is QueueState.DRAFT
        if is_draft and not isinstance(sent, Drafts):  # the mailer was made anew, without one
            return transitions.draft_deferred(message, "no mailbox of drafts is configured", now)
        raw = self.context.store.message_bytes(self.context.outbox, message.key)
        try:
            if isinstance(sent, Drafts) and is_draft:
                after = sync_draft(message, raw, sent, self._is_other(message), now)
            else:
                after = sync_sent_copy(message, raw, sent, now)
        except StoreError:
            raise
        except NornmailError as error:
            if is_draft:
                log.warning("the draft %s: %s; it will be tried again", message.message_id, error)
                return transitions.draft_deferred(message, str(error), now)
            after = transitions.copy_deferred(message, now)
            again = "will be tried again" if after.copy_due_at else "given up"
            text = f"the copy of {message.message_id} was not saved: {error}; {again}"
            log.warning("%s", text)
            self.copy_error = text
        else:
            self.copy_error = ""
        return after

    def _is_other(self, message: QueuedMessage) -> Callable[[str], bool]:
        """A function that says whether a Message-ID is that of another message of the store."""
        return lambda message_id: (
            message_id != message.message_id
            and bool(self.context.store.messages_with_id(message_id))
        )

    def _forget_old(self) -> None:
        """Remove some of the messages that were sent long ago; the next run removes more."""
        if not self.retention or self.context.clock.monotonic() < self._forget_at:
            return
        before = self.context.clock.wall() - max(self.retention, SENT_DAYS) * transitions.DAY
        limit = FORGOTTEN_AT_ONCE
        if (
            self.context.store.forget_messages(self.context.outbox, before=before, limit=limit)
            < limit
        ):
            self._forget_at = self.context.clock.monotonic() + FORGET_INTERVAL

    def _until_next(self, pause: float | None) -> float | None:
        """Seconds until the next message or copy is due, ``None`` if nothing waits."""
        now = self.context.clock.wall()
        queued = self.context.store.queued_messages(
            self.context.outbox, {QueueState.QUEUED}, limit=BATCH
        )
        waits = [transitions.until_due(message, now) for message in queued]
        if pause is None:
            remaining = self._resume_at - self.context.clock.monotonic()
            pause = remaining if remaining > 0 else None
            if pause is None:
                self.context.status.set(MailerState.IDLE)
        if pause is not None:
            waits = [max(pause, wait) for wait in waits]
        if self.sent is not None:
            copy = transitions.until_copy(
                self.context.store.messages_to_copy(self.context.outbox), now
            )
            waits += [] if copy is None else [copy]
        if self._was_refused:
            waits = [max(SHARED_PAUSE, wait) for wait in waits]
        return min(waits, default=None)


_STATES: dict[type[NornmailError], MailerState] = {
    AuthenticationFailed: MailerState.AUTH_FAILED,
    Throttled: MailerState.THROTTLED,
}
