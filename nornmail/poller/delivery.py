"""What happens to one message: claim, parse, hand over, settle.

The claim is durable before the callback is called, and its outcome is durable before anything else
happens. What raises, what is rejected and what is deferred is kept with its bytes and comes back
from there, whatever becomes of the message on the server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from nornmail.clock import utc_datetime
from nornmail.errors import MessageGone
from nornmail.events import HandlerFailing
from nornmail.message.message import Message, parse_message
from nornmail.model import KEEPS_RAW, UNROUTED, Entry, MessageRef, PutEntry, State
from nornmail.poller.circuit_breaker import OUTAGE_AFTER, CircuitBreaker
from nornmail.poller.fetch import FetchedMessage
from nornmail.poller.handler import MAX_OVERDUE, Handler, HandlerRunner, Outcome
from nornmail.poller.inboxes import REMOVED, Inboxes
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import changes_if_known, digest_of, header_digest_of
from nornmail.poller.status import PollStats
from nornmail.retry import REASON_LENGTH, RetryPolicy, after_failure, is_due, revived

log = logging.getLogger("nornmail.poller")

ENDED = "the process ended while the message was being handled"
"""Why a claim that is found at start-up counts as a failed attempt."""
SET_ASIDE = "nothing was handed over any more before it was this inbox's turn"
"""Why a message waits for one inbox that another one was handed."""


@dataclass(slots=True)
class Delivery:
    """Hands messages to their recipients, once each.

    Args:
        ledger: where everything is written down.
        recipients: whom a message is for, and what is called with it.
        runner: how they are called.
        retry: when a failed message is tried again.
        on_change: what a new UIDVALIDITY does with what was handled.
        fetch_rest: gets a truncated message's bytes from the server; it raises
            :class:`~nornmail.errors.MessageGone` when that has it no more.
        stopped: asked before each message; once it is true nothing is claimed any more.
        authserv_id: the server whose Authentication-Results count, ``None`` for none.
        before_handler: called with each message, once it is claimed and before its handler is.

    Attributes:
        last_failure: why the last attempt failed.
    """

    ledger: Ledger
    recipients: Inboxes
    runner: HandlerRunner
    retry: RetryPolicy
    fetch_rest: Callable[[MessageRef], bytes]
    on_change: str = "dedupe"
    stopped: Callable[[], bool] = lambda: False
    authserv_id: str | None = None
    before_handler: Callable[[Message], object] = lambda _: None
    health: CircuitBreaker = field(default_factory=CircuitBreaker)
    last_failure: str = ""

    def may_claim(self) -> bool:
        """Whether another message may be handed over now."""
        return self.health.allows() and not (self.stopped() or self._full())

    def _full(self) -> bool:
        """Whether so many calls hang that no other may begin."""
        return self.runner.overdue >= MAX_OVERDUE

    def recover(self) -> None:
        """Count the claims that an earlier process left as failed attempts.

        Call it once, with the lease just taken: whatever is claimed then is nobody's.
        """
        for entry in self.ledger.entries(State.CLAIMED):
            log.warning("%s: %s", self._ref(entry), ENDED)
            self.ledger.later(PutEntry(self._failed(entry, ENDED)))
        self.ledger.flush()
        self.recipients.apply_changes()
        self._bury_orphans()

    def apply_changes(self) -> None:
        """Take up which inboxes were added and removed, between two messages."""
        if self.recipients.apply_changes():
            self._bury_orphans()

    def _bury_orphans(self) -> None:
        """Give up what waits for an inbox that is there no longer."""
        for entry in self.ledger.entries(State.NEW, State.WAITING):
            if self.recipients.is_removed(entry):
                self._bury(entry)
        self.ledger.flush()

    def _bury(self, entry: Entry) -> None:
        log.warning("%s: %s: %s", self._ref(entry), REMOVED, entry.key.inbox)
        now = self.ledger.clock.wall()
        dead = replace(entry, state=State.DEAD, due_at=0.0, reason=REMOVED, changed_at=now)
        self.ledger.later(PutEntry(dead))

    def first(self, arrivals: Sequence[FetchedMessage], stats: PollStats) -> None:
        """Hand over mail that was never handed over, in its order.

        Ends early when the handler is taken to be down or the poller was stopped; what was not
        claimed stays unseen.
        """
        try:
            for arrival in arrivals:
                self.apply_changes()
                if not self.may_claim():
                    return
                self._one(arrival, stats)
        finally:
            self.ledger.flush()

    def again(self, stats: PollStats) -> None:
        """Try what waits and is due, from its kept bytes; one message if the handler is down."""
        self.apply_changes()
        self._settle_late(stats)
        if not self.stopped():
            self._revive()
        if self.health.failing():
            self._probe(stats)
            return
        now = self.ledger.clock.wall()
        try:
            for entry in self.ledger.entries(State.WAITING):
                self.apply_changes()
                if not self.may_claim():
                    return
                if is_due(entry, now, self.retry.longest) and not self.recipients.is_removed(entry):
                    self._retry(entry, stats, counts=True)
        finally:
            self.ledger.flush()

    def _revive(self) -> None:
        """Let dead mail wait that a person asked for; its bytes are fetched if none were kept."""
        now = self.ledger.clock.wall()
        for entry in self.ledger.retry_requests():
            kept = self.ledger.raw(entry.key) is not None
            had = kept or entry.key.epoch == self.ledger.epoch.number
            self.ledger.commit(*map(PutEntry, revived(entry, now, had=had)))
            log.info("%s: a person asked for another try", self._ref(entry))
            if self.recipients.is_removed(entry):
                self._bury_orphans()

    def _settle_late(self, stats: PollStats) -> None:
        """Write down how calls ended that had outlived their timeout.

        A success counts, also when the message was given up meanwhile. A failure was counted at the
        timeout already.
        """
        late = self.runner.late()
        if not late:
            return
        for entry in self.ledger.entries(State.WAITING, State.DEAD):
            outcome = late.get(entry.delivery_id)
            if outcome is None:
                continue
            rejected = outcome.state is State.DEAD and entry.state is State.WAITING
            if outcome.state is State.HANDLED or rejected:
                log.info("%s: the handler ended after its timeout", self._ref(entry))
                claimed = replace(entry, state=State.CLAIMED)
                settled = self._settled(claimed, outcome)
                self.ledger.commit(PutEntry(claimed), PutEntry(settled))
                self._account(settled, outcome, stats)
        for delivery_id in late:
            self.runner.forget(delivery_id)

    def _probe(self, stats: PollStats) -> None:
        """Try one message although the handler is taken to be down: its failure does not count."""
        if self.stopped() or self._full():
            return
        if self.health.until_probe(self.ledger.clock.monotonic()) > 0:
            return
        tried = set()
        try:
            for entry in self.ledger.entries(State.WAITING):
                name = self._message_name(entry)
                if self.recipients.is_removed(entry):
                    continue
                if self.health.was_probed(name):
                    tried.add(name)
                elif self._retry(entry, stats, counts=False):
                    return
        finally:
            self.ledger.flush()
        self.health.end_probe_round(len(tried), self.ledger.clock.monotonic())

    def _one(self, arrival: FetchedMessage, stats: PollStats) -> None:
        """Settle a new message: recognised, before the cut, or to be handled."""
        known_before = arrival.uid in self.ledger.seen
        if known_before:
            entries = self._left_over(arrival)
        else:
            entry = self._described(self.ledger.new_entry(arrival.uid), arrival)
            known = changes_if_known(self.ledger, entry, arrival.raw, self.on_change)
            if known:
                self.ledger.commit(*known)
                stats.passed_over += 1
                return
            entries = self.recipients.entries_of(entry, arrival.raw, self.ledger.new_entry)
            if entries[0].state is State.PASSED_OVER:
                log.info("%s is passed over: %s", self._ref(entries[0]), entries[0].reason)
                self.ledger.commit(PutEntry(entries[0]))
                stats.passed_over += 1
                return
        # The routing decision is one commit: a claim for the first, and who else is to have it.
        others = [] if known_before else [PutEntry(entry) for entry in entries[1:]]
        self._to_each(entries, others, arrival, stats)

    def _left_over(self, arrival: FetchedMessage) -> list[Entry]:
        """The inboxes that a message was not handed to when it was routed, or that came later."""
        found = [one for one in self.ledger.siblings(arrival.uid) if one.state is State.NEW]
        return [self._described(entry, arrival) for entry in found]

    def _to_each(
        self,
        entries: Sequence[Entry],
        others: Sequence[PutEntry],
        arrival: FetchedMessage,
        stats: PollStats,
    ) -> None:
        """Hand a message to one inbox after the other.

        Where nothing may be claimed any more the rest waits, with its bytes.

        Args:
            entries: of the inboxes, new.
            others: to be written with the first claim.
            arrival: the message.
        """
        wanted = 0
        for at, entry in enumerate(entries):
            if at and not self.may_claim():
                self._set_aside(entries[at:], arrival.raw)
                break
            claimed = replace(entry, state=State.CLAIMED, changed_at=self.ledger.clock.wall())
            self.ledger.commit(PutEntry(claimed), *(others if at == 0 else ()))
            rest = entries[at + 1 :]
            counts = not self.health.failing()  # what is let in then is a probe
            settled = self._hand_over(
                claimed, arrival.raw, arrival.flags, stats, counts=counts, rest=rest
            )
            is_wanted = settled.state is not State.PASSED_OVER
            wanted += is_wanted
            stats.new_in[entry.key.inbox] += is_wanted
        stats.new += wanted > 0

    def _set_aside(self, entries: Sequence[Entry], raw: bytes) -> None:
        """Let a message wait for inboxes that it was not handed to, due now."""
        now = self.ledger.clock.wall()
        for entry in entries:
            waiting = replace(
                entry, state=State.WAITING, due_at=now, reason=SET_ASIDE, changed_at=now
            )
            self.ledger.later(PutEntry(waiting, raw=raw))

    def _retry(self, entry: Entry, stats: PollStats, *, counts: bool) -> bool:
        """Try a waiting message again.

        ``False`` when its bytes have yet to be fetched, or an earlier call still handles it.
        """
        if self.runner.is_overdue(entry.delivery_id):
            return False
        raw = self.ledger.raw(entry.key)
        if raw is None:
            return False
        claimed = replace(entry, state=State.CLAIMED, changed_at=self.ledger.clock.wall())
        self.ledger.commit(PutEntry(claimed))
        self._hand_over(claimed, raw, frozenset(), stats, counts=counts)
        return True

    def _described(self, entry: Entry, arrival: FetchedMessage) -> Entry:
        return replace(
            entry,
            digest=digest_of(arrival.raw, truncated=arrival.truncated),
            size=arrival.size,
            received_at=arrival.received_at,
            truncated=arrival.truncated,
        )

    def _hand_over(
        self,
        entry: Entry,
        raw: bytes,
        flags: frozenset[str],
        stats: PollStats,
        *,
        counts: bool,
        rest: Sequence[Entry] = (),
    ) -> Entry:
        """Call the handler and put its outcome down for the next commit.

        Args:
            entry: claimed.
            rest: of the message's other inboxes, whose turn is next.

        Returns:
            The entry as it is settled.
        """
        message = self._message(entry, raw, flags)
        self.before_handler(message)
        outcome = self.runner.call(self._handler(entry), message)
        if not counts:
            outcome = replace(outcome, counts=False)
        settled = self._settled(replace(entry, message_id=message.message_id), outcome)
        keep = raw if settled.state in KEEPS_RAW else None
        self.ledger.later(PutEntry(settled, raw=keep))
        self._account(settled, outcome, stats)
        if outcome.stop is not None:
            self._set_aside(rest, raw)
            self.ledger.flush()
            raise outcome.stop
        return settled

    def _handler(self, entry: Entry) -> Handler:
        handler = self.recipients.handler(entry.key.inbox)
        if handler is None:
            raise LookupError(f"{entry.key} is of an inbox that is not there")
        return handler

    def _message(self, entry: Entry, raw: bytes, flags: frozenset[str]) -> Message:
        ref = self._ref(entry)
        received = entry.received_at
        return parse_message(
            raw,
            ref=ref,
            inbox="" if entry.key.inbox == UNROUTED else entry.key.inbox,
            delivery_id=entry.delivery_id,
            attempt=entry.attempts + 1,
            flags=flags,
            received_at=None if received is None else utc_datetime(received),
            truncated=entry.truncated,
            fetch_rest=(lambda: self._rest(ref, raw)) if entry.truncated else None,
            authserv_id=self.authserv_id,
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

    def _account(self, entry: Entry, outcome: Outcome, stats: PollStats) -> None:
        if outcome.state is State.HANDLED:
            stats.handled += 1
        elif outcome.state is State.PASSED_OVER:
            stats.passed_over += 1
            log.info("%s is passed over: %s", self._ref(entry), outcome.reason)
            return  # the handler was not called
        else:
            stats.failed += 1
            self.last_failure = entry.reason
            log.warning("%s is %s: %s", self._ref(entry), entry.state, outcome.reason)
        if outcome.works is None:
            return
        if outcome.works:
            self.health.succeeded()
            return
        was_failing = self.health.failing()
        self.health.failed(self._message_name(entry), self.ledger.clock.monotonic())
        if self.health.failing() and not was_failing:
            log.error(
                "%d different messages failed in a row: the handler is taken to be down, "
                "nothing new is handed over, and one message is tried now and then",
                OUTAGE_AFTER,
            )
            now = utc_datetime(self.ledger.clock.wall())
            self.ledger.emit(HandlerFailing(at=now, reason=entry.reason))

    def _message_name(self, entry: Entry) -> str:
        """The same for a message in all its inboxes, in whatever epoch."""
        if not self.recipients.several:
            return entry.delivery_id
        key = entry.key
        siblings = self.ledger.store.siblings(self.ledger.mailbox, key.epoch, key.uid)
        return min((one.delivery_id for one in siblings), default=entry.delivery_id)

    def _ref(self, entry: Entry) -> MessageRef:
        return MessageRef(self.ledger.mailbox.mailbox, entry.uid_validity, entry.key.uid)
