"""Sends what lies in an outbox: claim, hand in, settle, one letter after the other.

A letter is SENDING, durably, before the first octet of its content goes out, and what the server
said is durable before anything else happens. So a process that dies leaves a letter that is simply
tried again, or one of which nobody can know more than that it may have been taken.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from nornmail.backoff import ServerBackoff
from nornmail.clock import Clock
from nornmail.errors import (
    AuthenticationFailed,
    IllegalTransition,
    LeaseLost,
    NornmailError,
    StoreError,
    Throttled,
)
from nornmail.events import Event, outbox_event
from nornmail.model import Lease, MailboxKey
from nornmail.outbox import transitions
from nornmail.outbox.results import BeforeSend, OutgoingMessage, ask
from nornmail.outbox.sent_copies import SentMail, sync_sent_copy
from nornmail.outbox.status import MailerState, StatusTracker
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState, Recipient
from nornmail.smtp.session import Line
from nornmail.smtp.transaction import Submission
from nornmail.stores.protocol import StateStore

log = logging.getLogger("nornmail.outbox")

BATCH = 100
"""Letters that are looked at in one turn, so that a wish, a stop, or mail that came in meanwhile
waits for no more than these."""


@dataclass(slots=True)
class Sender:
    """Works on one outbox. One thread at a time.

    Args:
        store: where the letters lie.
        outbox: whose they are.
        line: the connection to the server.
        clock, rng: time and jitter.
        limits: how many go out.
        before_send: asked before each try.
        sent: the mailbox of sent mail, ``None`` for none.
        emit: told of every change that is durable.
        status: where it is written down what is being done.

    Attributes:
        trouble: what last kept the server from being asked.
    """

    store: StateStore
    outbox: str
    line: Line
    clock: Clock
    rng: random.Random
    limits: transitions.SendLimits
    before_send: BeforeSend | None
    sent: SentMail | None
    emit: Callable[[Event], object]
    status: StatusTracker
    patience: ServerBackoff = field(init=False)
    _lease: Lease | None = field(default=None, init=False)
    _unsettled: QueuedMessage | None = field(default=None, init=False)
    trouble: NornmailError | None = field(default=None, init=False)
    _open_at: float = field(default=0.0, init=False)
    _alone_for: NornmailError | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.patience = ServerBackoff(self.rng)

    def take(self, owner: str) -> None:
        """Take the right to send.

        Raises:
            LeaseHeld: another sender has it.
            StoreError: the store cannot be used.
        """
        if self._lease is None:
            self._lease = self.store.acquire(MailboxKey.of_outbox(self.outbox), owner)

    def give_back(self) -> None:
        """Give back the connection and the right to send. Harmless twice."""
        try:
            if self._lease is not None and self._unsettled is not None:
                with suppress(StoreError, LeaseLost):  # else it is unknown to the next one
                    self._settle(self._unsettled)
            self.line.close()
        finally:
            lease, self._lease, self._unsettled = self._lease, None, None
            if lease is not None:
                self.store.release(lease)

    def turn(
        self, stopped: Callable[[], bool] = lambda: False, *, only: str | None = None
    ) -> float | None:
        """Send what is due, as far as it may be.

        Args:
            stopped: asked before each letter; once it is true nothing more is begun.
            only: the key of the one letter that this is about; the others, and what people wished
                of them, are left to somebody else.

        Returns:
            Seconds until there is more to do, 0.0 if there is now, ``None`` if nothing waits.

        Raises:
            LeaseLost: another sender took over.
            StoreError: the store cannot be read or written.
        """
        try:
            self._settle_left_over()
            if only is not None:
                return self._send(stopped, only)
            self.apply_requests()
            pause = self._send(stopped)
            if pause != 0.0 and not stopped():
                self._look_after_copies(stopped)
            return pause if pause == 0.0 else self._until_next(pause)
        except LeaseLost:
            self._lease, self._unsettled = None, None
            self.line.close()
            raise

    def try_now(self, key: str) -> tuple[QueuedMessage, NornmailError | None]:
        """Try one letter once, and forget the bytes of it whatever came of that.

        A server that rejected the credentials, or that wants to be left alone, is.

        Returns:
            The letter after the try, and what kept the server from being asked.
        """
        self._settle_left_over()
        letter = self._letter(key)
        self.trouble = None
        seconds = self._open_at - self.clock.monotonic()
        if seconds > 0 and isinstance(self._alone_for, AuthenticationFailed | Throttled):
            self.trouble = self._alone_for
        elif (pause := self._until_slot()) > 0:
            self.trouble = Throttled(f"{self.limits} are reached", kind="rate", wait=pause)
        else:
            self._try(letter)
        tried = self._letter(key)
        dropped = transitions.apply_request(tried, OperatorRequest.DROP, self.clock.wall())
        if dropped is not None:
            self._commit(dropped)
        self._look_after_copies(lambda: False)
        return tried, self.trouble

    def _letter(self, key: str) -> QueuedMessage:
        letter = self.store.queued_message(self.outbox, key)
        if letter is None:
            raise LookupError(f"there is no letter {key} in the outbox {self.outbox}")
        return letter

    # What is written down.

    def _commit(self, letter: QueuedMessage) -> None:
        if self._lease is None:
            raise LeaseLost(f"no lease on the outbox of {self.outbox} is held")
        self.store.commit_messages(self._lease, [letter])

    def _settle(self, letter: QueuedMessage) -> None:
        """Make the outcome of a try durable, and tell it.

        While the store does not take it it is kept in mind: else the next holder of the lease could
        know no more than that the letter may have been sent.
        """
        self._unsettled = letter
        self._commit(letter)
        self._unsettled = None
        well = letter.state in (QueueState.SENT, QueueState.QUEUED)
        why = f": {letter.reason}" if letter.reason else ""
        level = logging.INFO if well else logging.WARNING
        log.log(level, "%s is %s%s", letter.message_id, letter.state, why)
        event = outbox_event(letter)
        if event is not None:
            self.emit(event)

    def _settle_left_over(self) -> None:
        """Settle what a try left behind that was cut off: by a full disk, or with its process."""
        if self._unsettled is not None:
            try:
                self._settle(self._unsettled)
            except IllegalTransition as error:  # the store is another one: a copy was put back
                log.error("%s is forgotten: %s", self._unsettled.message_id, error)
                self._unsettled = None
        for letter in self.store.queued_messages(self.outbox, {QueueState.SENDING}):
            self._settle(self._with_copy(transitions.lost(letter, self.clock.wall())))

    def apply_requests(self) -> None:
        """Do what people asked for."""
        now = self.clock.wall()
        for key, wish in self.store.pending_requests(self.outbox):
            letter = self.store.queued_message(self.outbox, key)
            wanted = None if letter is None else transitions.apply_request(letter, wish, now)
            if wanted is not None:
                log.info("%s: a person asked for: %s", wanted.message_id, wish)
                self._settle(self._with_copy(wanted))

    # Letters.

    def _send(self, stopped: Callable[[], bool], only: str | None = None) -> float | None:
        """Try what is due; 0.0 when there is more, else the seconds to leave the server alone."""
        now = self.clock.wall()
        if only is None:
            letters = self.store.queued_messages(self.outbox, {QueueState.QUEUED}, limit=BATCH)
        else:
            found = self.store.queued_message(self.outbox, only)
            letters = [found] if found and found.state is QueueState.QUEUED else []
        due = [letter for letter in letters if transitions.is_due(letter, now)]
        for letter in due:
            if stopped():
                return None
            if only is None and not self._still_due(letter):
                continue
            if (alone := self._open_at - self.clock.monotonic()) > 0:
                return alone
            if (pause := self._until_slot()) > 0:
                self.status.set(MailerState.LIMITED, f"{self.limits} are reached")
                return pause
            self.status.set(MailerState.SENDING)
            self._try(letter)
        return 0.0 if due and self._open_at <= self.clock.monotonic() else None

    def _still_due(self, letter: QueuedMessage) -> bool:
        """Whether nobody dropped a letter while those before it went out."""
        self.apply_requests()
        return self.store.queued_message(self.outbox, letter.key) == letter

    def _until_slot(self) -> float:
        now = self.clock.wall()
        since = now - transitions.HOUR
        recent = self.store.submissions_since(self.outbox, since, limit=self.limits.most)
        return transitions.until_slot(recent, self.limits, now)

    def _try(self, letter: QueuedMessage) -> None:
        """Ask whether a letter may go, hand it in, and settle what came of it."""
        now, delay = self.clock.wall(), transitions.retry_delay(letter.attempts + 1, self.rng)
        try:
            raw = self.store.message_bytes(self.outbox, letter.key)
        except (
            StoreError
        ) as error:  # of this letter's file: if it is the disk, the next line says so
            log.error("the bytes of %s: %s", letter.message_id, error)
            self._settle(transitions.deferred(letter, str(error), delay, now))
            return
        if raw is None:
            self._settle(transitions.rejected(letter, transitions.NO_BYTES, now))
            return
        envelope = transitions.envelope_of(letter)
        outgoing = OutgoingMessage(
            letter.key, envelope.recipients, raw, letter.attempts, letter.is_answer
        )
        decision = ask(self.before_send, outgoing)
        now = self.clock.wall()
        if decision.failed:
            self._settle(transitions.deferred(letter, decision.reason, delay, now))
        elif decision.later is not None:
            self._settle(transitions.wait(letter, decision.reason, decision.later, now))
        elif not decision.goes:
            self._settle(transitions.rejected(letter, decision.reason, now))
        else:
            self._hand_in(letter, raw)

    def _hand_in(self, letter: QueuedMessage, raw: bytes) -> None:
        began: list[QueuedMessage] = []

        def before_content(recipients: Sequence[Recipient]) -> None:
            going = transitions.sending(letter, recipients, self.clock.wall())
            self._commit(going)
            began.append(going)

        try:
            session = self.line.ready()
            envelope = transitions.envelope_of(letter)
            said = session.submit(envelope, raw, before_content=before_content)
        except (StoreError, LeaseLost):
            self.line.drop()
            raise
        except NornmailError as trouble:
            self._unreachable(letter, trouble)
            return
        except Exception as error:
            self.line.drop()
            self._failed_oddly(letter, began, error)
            return
        except BaseException:
            self.line.drop()
            raise
        self.trouble = None
        self.line.used(usable=said.usable)
        known = began[0] if began else letter
        outcome = transitions.settled(known, said, self.clock.wall(), self.rng)
        self._settle(self._with_copy(outcome))
        self._learn(said)

    def _failed_oddly(
        self, letter: QueuedMessage, began: Sequence[QueuedMessage], error: Exception
    ) -> None:
        """Settle a letter at which a mistake was met, so that it holds up no other one."""
        log.exception("%s could not be handed in", letter.message_id)
        now, reason = self.clock.wall(), f"{type(error).__name__}: {error}"
        if began:
            self._settle(self._with_copy(transitions.lost(began[0], now, reason)))
        else:
            delay = transitions.retry_delay(letter.attempts + 1, self.rng)
            self._settle(transitions.deferred(letter, reason, delay, now))

    def _learn(self, said: Submission) -> None:
        """Leave the server alone if it said that it takes nothing more for now."""
        kind = transitions.throttles(said)
        if kind:
            self._leave_alone(Throttled(f"{said.code} {said.text}", kind=kind))
        elif said.code:
            self.patience.recovered(0.0)

    def _unreachable(self, letter: QueuedMessage, trouble: NornmailError) -> None:
        """The server could not be had. Letters lose nothing by what is not about them.

        Only the one at hand is put off, so that each has its turn, and only by trouble of the
        network: rejected credentials and throttling say nothing of any letter.
        """
        self.trouble = trouble
        seconds = self._leave_alone(trouble)
        if not isinstance(trouble, AuthenticationFailed | Throttled):
            now = self.clock.wall()
            self._settle(transitions.deferred(letter, str(trouble), seconds, now))

    def _leave_alone(self, trouble: NornmailError) -> float:
        seconds = self.patience.after(trouble)
        self._open_at, self._alone_for = self.clock.monotonic() + seconds, trouble
        state = _DOING.get(type(trouble), MailerState.BACKOFF)
        level = logging.ERROR if state is MailerState.AUTH_FAILED else logging.WARNING
        log.log(level, "SMTP: %s; tried again in %.1f s", trouble, seconds)
        self.status.set(state, str(trouble))
        return seconds

    # The mailbox of sent mail.

    def _with_copy(self, letter: QueuedMessage) -> QueuedMessage:
        """The letter, to be looked after in that mailbox if it has come so far just now."""
        if self.sent is None or letter.dropped or letter.copied:
            return letter
        if letter.state is QueueState.SENT and self.sent.server_saves_sent:
            return letter
        if letter.state in (QueueState.SENT, QueueState.UNKNOWN):
            return transitions.with_copy_due(letter, self.clock.wall())
        return letter

    def _look_after_copies(self, stopped: Callable[[], bool]) -> None:
        if self.sent is None:
            return
        now = self.clock.wall()
        for letter in self.store.messages_to_copy(self.outbox):
            if stopped():
                return
            if transitions.until_copy([letter], now) == 0.0:
                raw = self.store.message_bytes(self.outbox, letter.key)
                after = sync_sent_copy(letter, raw, self.sent, self.clock.wall())
                put = self._commit if after.state is letter.state else self._settle
                put(after)

    # What comes next.

    def _until_next(self, pause: float | None) -> float | None:
        now = self.clock.wall()
        queued = self.store.queued_messages(self.outbox, {QueueState.QUEUED}, limit=BATCH)
        waits = [transitions.until_due(letter, now) for letter in queued]
        if pause is None:
            alone = self._open_at - self.clock.monotonic()
            pause = alone if alone > 0 else None
            if pause is None:
                self.status.set(MailerState.IDLE)
        if waits and pause is not None:
            waits = [max(pause, one) for one in waits]
        if self.sent is not None:
            copy = transitions.until_copy(self.store.messages_to_copy(self.outbox), now)
            waits += [] if copy is None else [copy]
        return min(waits, default=None)


_DOING: dict[type[NornmailError], MailerState] = {
    AuthenticationFailed: MailerState.AUTH_FAILED,
    Throttled: MailerState.THROTTLED,
}
