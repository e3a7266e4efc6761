"""What happens to one message: claim, parse, hand over, settle.

The claim is durable before the callback is called, and its outcome is durable before anything else
happens. What raises, what is rejected and what is deferred is kept with its bytes and comes back
from there, whatever becomes of the message on the server.
"""

from __future__ import annotations

import inspect
import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from nornmail.digest import digest_of, header_digest_of
from nornmail.errors import Defer, HandlerError, MessageGone, Reject
from nornmail.ledger import Ledger
from nornmail.message import Message, parse_message
from nornmail.model import (
    Change,
    Entry,
    KeepRaw,
    MessageRef,
    PutEntry,
    Rekey,
    State,
)
from nornmail.policy import (
    OUTAGE_AFTER,
    REASON_LENGTH,
    HandlerHealth,
    RetryPolicy,
    after_failure,
    counts_as_known,
    cut_off,
    is_due,
    of_one_message,
    recognise,
)

log = logging.getLogger("nornmail.delivery")

Handler = Callable[[Message], object]

ENDED = "the process ended while the message was being handled"
"""Why a claim that is found at start-up counts as a failed attempt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A message that came from the server whole, or with its headers alone (``truncated``)."""

    uid: int
    raw: bytes
    flags: frozenset[str] = frozenset()
    received_at: float | None = None
    size: int = 0
    truncated: bool = False


@dataclass(slots=True)
class Tally:
    """What a poll did so far; :class:`~nornmail.poller.PollResult` is made from it."""

    new: int = 0
    handled: int = 0
    failed: int = 0
    passed_over: int = 0
    gone: int = 0

    @property
    def progress(self) -> int:
        """A figure that rises whenever anything came to an end."""
        return self.new + self.handled + self.failed + self.passed_over + self.gone


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call of the handler ended.

    Attributes:
        state: HANDLED, WAITING or DEAD.
        reason: for a person.
        delay: seconds until the next attempt; ``None`` leaves it to the retry policy.
        counts: whether it was an attempt that failed.
        works: whether the handler itself is shown to work.
        stop: what goes on up to the poller's caller once the outcome is durable.
    """

    state: State
    reason: str = ""
    delay: float | None = None
    counts: bool = True
    works: bool = False
    stop: BaseException | None = None


@dataclass(slots=True)
class Delivery:
    """Hands messages to the callback, once each.

    Args:
        ledger: where everything is written down.
        handler: the callback.
        retry: when a failed message is tried again.
        on_change: what a new UIDVALIDITY does with what was handled.
        fetch_rest: gets a truncated message's bytes from the server; it raises
            :class:`~nornmail.errors.MessageGone` when that has it no more.
        stopped: asked before each message; once it is true nothing is claimed any more.
    """

    ledger: Ledger
    handler: Handler
    retry: RetryPolicy
    fetch_rest: Callable[[MessageRef], bytes]
    on_change: str = "dedupe"
    stopped: Callable[[], bool] = lambda: False
    health: HandlerHealth = field(default_factory=HandlerHealth)

    def may_claim(self) -> bool:
        """Whether another message may be handed over now."""
        return not (self.stopped() or self.health.failing())

    def recover(self) -> None:
        """Count the claims that an earlier process left as failed attempts.

        Call it once, with the lease just taken: whatever is claimed then is nobody's.
        """
        for entry in self.ledger.entries(State.CLAIMED):
            log.warning("%s: %s", self._ref(entry), ENDED)
            self.ledger.later(PutEntry(self._failed(entry, ENDED)))
        self.ledger.flush()

    def first(self, arrivals: Sequence[Arrival], tally: Tally) -> None:
        """Hand over mail that was never handed over, in its order.

        Ends early when the handler is taken to be down or the poller was stopped; what was not
        claimed stays unseen.
        """
        try:
            for arrival in arrivals:
                if not self.may_claim():
                    return
                self._one(arrival, tally)
        finally:
            self.ledger.flush()

    def again(self, tally: Tally) -> None:
        """Try what waits and is due, from its kept bytes; one message if the handler is down."""
        if self.health.failing():
            self._probe(tally)
            return
        now = self.ledger.clock.wall()
        try:
            for entry in self.ledger.entries(State.WAITING):
                if not self.may_claim():
                    return
                if is_due(entry, now, self.retry.longest):
                    self._retry(entry, tally, counts=True)
        finally:
            self.ledger.flush()

    def _probe(self, tally: Tally) -> None:
        """Try one message although the handler is taken to be down: its failure does not count."""
        if self.stopped() or self.health.until_probe(self.ledger.clock.monotonic()) > 0:
            return
        try:
            for entry in self.ledger.entries(State.WAITING):
                if self._retry(entry, tally, counts=False):
                    return
            # All that failed is dead by now: only new mail can show that the handler works again.
            self.health.forget()
        finally:
            self.ledger.flush()

    def _one(self, arrival: Arrival, tally: Tally) -> None:
        """Settle a message that is new: an old acquaintance, before the cut, or to be handled."""
        entry = self._entry(arrival)
        known = acquaintance(self.ledger, entry, arrival.raw, self.on_change)
        if known:
            self.ledger.commit(*known)
            tally.passed_over += 1
            return
        claimed = replace(entry, state=State.CLAIMED)
        self.ledger.commit(PutEntry(claimed))
        tally.new += 1
        self._hand_over(claimed, arrival.raw, arrival.flags, tally, counts=True)

    def _retry(self, entry: Entry, tally: Tally, *, counts: bool) -> bool:
        """Try a waiting message again; ``False`` when its bytes have yet to be fetched."""
        raw = self.ledger.raw(entry.key)
        if raw is None:
            return False
        claimed = replace(entry, state=State.CLAIMED, changed_at=self.ledger.clock.wall())
        self.ledger.commit(PutEntry(claimed))
        self._hand_over(claimed, raw, frozenset(), tally, counts=counts)
        return True

    def _entry(self, arrival: Arrival) -> Entry:
        return replace(
            self.ledger.new_entry(arrival.uid),
            digest=digest_of(arrival.raw, truncated=arrival.truncated),
            size=arrival.size,
            received_at=arrival.received_at,
            truncated=arrival.truncated,
        )

    def _hand_over(
        self, entry: Entry, raw: bytes, flags: frozenset[str], tally: Tally, *, counts: bool
    ) -> None:
        """Call the handler and put its outcome down for the next commit."""
        message = self._message(entry, raw, flags)
        outcome = call(self.handler, message)
        if not counts:
            outcome = replace(outcome, counts=False)
        settled = self._settled(replace(entry, message_id=message.message_id), outcome)
        keep = raw if settled.state is not State.HANDLED else None
        self.ledger.later(PutEntry(settled, raw=keep))
        self._account(settled, outcome, tally)
        if outcome.stop is not None:
            self.ledger.flush()
            raise outcome.stop

    def _message(self, entry: Entry, raw: bytes, flags: frozenset[str]) -> Message:
        ref = self._ref(entry)
        received = entry.received_at
        return parse_message(
            raw,
            ref=ref,
            inbox=entry.key.inbox,
            delivery_id=entry.delivery_id,
            attempt=entry.attempts + 1,
            flags=flags,
            received_at=None if received is None else instant(received),
            truncated=entry.truncated,
            fetch_rest=(lambda: self._rest(ref, raw)) if entry.truncated else None,
        )

    def _rest(self, ref: MessageRef, header: bytes) -> bytes:
        """The whole of a truncated message.

        The UID alone does not say that it is the same one: a server may have no UIDVALIDITY, or
        have given its UIDs anew under the old one.
        """
        whole = self.fetch_rest(ref)
        if header_digest_of(whole) != header_digest_of(header):
            raise MessageGone(f"{ref} is another message by now")
        return whole

    def _settled(self, entry: Entry, outcome: Outcome) -> Entry:
        if outcome.state is State.WAITING and outcome.counts:
            return self._failed(entry, outcome.reason)
        delay = 0.0
        if outcome.state is State.WAITING:
            wanted = outcome.delay if outcome.delay is not None else 0.0
            # What is not a number is no time to wait: it would never be due.
            delay = min(wanted, self.retry.longest) if wanted > 0 else 0.0
        now = self.ledger.clock.wall()
        return replace(
            entry,
            state=outcome.state,
            reason=outcome.reason[:REASON_LENGTH],
            due_at=now + delay if outcome.state is State.WAITING else 0.0,
            changed_at=now,
        )

    def _failed(self, entry: Entry, reason: str) -> Entry:
        return after_failure(entry, reason, self.retry, self.ledger.clock.wall())

    def _account(self, entry: Entry, outcome: Outcome, tally: Tally) -> None:
        if outcome.state is State.HANDLED:
            tally.handled += 1
        else:
            tally.failed += 1
            log.warning("%s is %s: %s", self._ref(entry), entry.state, outcome.reason)
        if outcome.state is State.HANDLED or outcome.works:
            self.health.succeeded()
            return
        was_failing = self.health.failing()
        self.health.failed(entry.delivery_id, self.ledger.clock.monotonic())
        if self.health.failing() and not was_failing:
            log.error(
                "%d different messages failed in a row: the handler is taken to be down, "
                "nothing new is handed over, and one message is tried now and then",
                OUTAGE_AFTER,
            )

    def _ref(self, entry: Entry) -> MessageRef:
        return MessageRef(self.ledger.mailbox.mailbox, entry.uid_validity, entry.key.uid)


def acquaintance(ledger: Ledger, entry: Entry, raw: bytes, on_change: str) -> list[Change]:
    """What is to be written when mail that stood there at the epoch's begin is not new.

    Args:
        ledger: of the mailbox.
        entry: of a message whose bytes came for the first time.
        raw: the bytes. They are kept where they are missing: a process ended in the handler, and
            then the message was not to be found for a while.
        on_change: what a new UIDVALIDITY does.
    """
    record = ledger.record
    if record is None or entry.key.uid >= record.epoch.boundary or entry.digest is None:
        return []
    known = [
        earlier
        for earlier in ledger.acquaintances(entry.digest.header)
        if counts_as_known(earlier.state, on_change)
    ]
    found = recognise(known, entry.digest, entry.size)
    if found is None:
        # Only now: what is known from before the cut may wait, or have an open action.
        if not cut_off(entry.received_at, record.cut):
            return []
        reason = "older than start_from"
        return [PutEntry(replace(entry, state=State.PASSED_OVER, due_at=0.0, reason=reason))]
    log.info("%s is known from an earlier epoch as %s", entry.key, found.key)
    changes: list[Change] = []
    for earlier in of_one_message(known, found):
        after = replace(entry.key, inbox=earlier.key.inbox)
        changes.append(Rekey(earlier.key, after, entry.uid_validity))
        if earlier.state in (State.WAITING, State.DEAD) and ledger.raw(earlier.key) is None:
            changes.append(KeepRaw(after, raw))
    return changes


def call(handler: Handler, message: Message) -> Outcome:
    """Call the handler with a message; whatever it does becomes an outcome, nothing is raised."""
    try:
        result = handler(message)
    except Reject as reject:
        return Outcome(State.DEAD, str(reject) or "rejected by the handler", works=True)
    except Defer as defer:
        return Outcome(State.WAITING, str(defer), delay=defer.seconds, counts=False, works=True)
    except Exception as error:
        return Outcome(State.WAITING, account_of(error))
    except KeyboardInterrupt as stop:
        # A person stopped the program: the message has no part in that.
        return Outcome(State.WAITING, "interrupted", counts=False, stop=stop)
    except BaseException as stop:
        return Outcome(State.WAITING, account_of(stop), stop=stop)
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        return Outcome(State.WAITING, NOT_AWAITED, counts=False, stop=HandlerError(NOT_AWAITED))
    return Outcome(State.HANDLED)


def instant(seconds: float) -> datetime:
    """Seconds since 1970 UTC as a datetime; also before 1970, where some systems refuse."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


FRAMES = 5
"""Frames of a traceback that are kept: the handler's own are the last ones."""
SAID_LENGTH = 800
"""Characters of an exception's words that are kept, so that there is room for its frames."""
NOT_AWAITED = (
    "on_message returned an awaitable, which nothing here can await: make it a plain function"
)


def account_of(error: BaseException) -> str:
    """An exception as it is kept beside a message: what it says, then where it came from."""
    try:
        said = "".join(traceback.format_exception_only(error)).strip()
        frames = "".join(traceback.format_tb(error.__traceback__, limit=-FRAMES))
    except Exception:  # its own __str__ may raise
        return type(error).__name__
    return f"{said[:SAID_LENGTH]}\n{frames.rstrip()}"[:REASON_LENGTH]
