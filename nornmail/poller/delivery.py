"""The delivery of one message: claim, parse, call the handler, settle.

The claim is durable before the callback is called, and its outcome is durable before anything else
happens. What raises, what is rejected and what is deferred is kept with its bytes and comes back
from there, whatever becomes of the message on the server.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from nornmail.clock import utc_datetime
from nornmail.errors import MessageGone
from nornmail.model import KEEPS_RAW, UNROUTED, Entry, MessageRef, PutEntry, State
from nornmail.poller.fetch import FetchedMessage
from nornmail.poller.handler import MAX_OVERDUE, Handler, HandlerRunner, Outcome
from nornmail.poller.inboxes import REMOVED, Inboxes
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import changes_if_known, digest_of, header_digest_of
from nornmail.poller.status import PollStats
from nornmail.retry import (
    OUTAGE_AFTER,
    REASON_LENGTH,
    CircuitBreaker,
    RetryPolicy,
    after_failure,
    revived,
)

if TYPE_CHECKING:
    from nornmail.message.message import Message

log = logging.getLogger("nornmail.poller")

ENDED = "the process ended while the message was being handled"
"""The reason of a claim that is found at start-up: it counts as a failed attempt."""
NOT_DELIVERED = "the store failed before the message was delivered"
"""The reason of a claim that this process could not write: the handler was not called."""
SET_ASIDE = "delivery stopped before this inbox was reached"
"""The reason of a message that another inbox has had, and this one has not."""


@dataclass(slots=True)
class Delivery:
    """Delivers messages to their inboxes, once each.

    Args:
        ledger: where everything is written down.
        inboxes: whom a message is for, and what is called with it.
        runner: how they are called.
        retry: when a failed message is tried again.
        fetch_rest: gets a truncated message from the server, in pieces; it raises
            :class:`~nornmail.errors.MessageGone` when that has it no more.
        stopped: whether to claim nothing more; asked before each message.
        authserv_id: the server whose Authentication-Results count, ``None`` for none.
        before_handler: called with each message, once it is claimed and before its handler is.

    Attributes:
        last_failure: why the last attempt failed.
    """

    ledger: Ledger
    inboxes: Inboxes
    runner: HandlerRunner
    retry: RetryPolicy
    fetch_rest: Callable[[MessageRef], Iterator[bytes]]
    stopped: Callable[[], bool] = lambda: False
    authserv_id: str | None = None
    before_handler: Callable[[Message], object] = lambda _: None
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    last_failure: str = ""

    def may_claim(self) -> bool:
        """Whether another message may be claimed now."""
        return self.breaker.allows() and not (self.stopped() or self._full())

    def _full(self) -> bool:
        """Whether so many calls are overdue that no other may begin."""
        return self.runner.overdue >= MAX_OVERDUE

    def recover(self) -> None:
        """Settle the claims that nobody works on: those of an earlier process, or of a fault.

        Call it between two messages. A process that ended in the handler counts as a failed
        attempt. The first is made again at once, since a deployment ends processes too; if the
        same message was being handled at the next end, it waits.
        """
        self.ledger.flush()
        with self.ledger.flushing():
            for entry in self.ledger.get(self.ledger.open.keys(State.CLAIMED)):
                self.ledger.later(PutEntry(self._recovered(entry)))
        self.inboxes.apply_changes()
        self._bury_orphans()
        self.ledger.finish_recovery()

    def _recovered(self, entry: Entry) -> Entry:
        now = self.ledger.clock.wall()
        if not self.ledger.was_delivered(entry):
            log.info("%s: %s", self._ref(entry), NOT_DELIVERED)
            return replace(
                entry, state=State.WAITING, due_at=now, reason=NOT_DELIVERED, changed_at=now
            )
        log.warning("%s: %s", self._ref(entry), ENDED)
        failed = self._failed(entry, ENDED)
        at_once = failed.state is State.WAITING and entry.reason != ENDED
        return replace(failed, due_at=now) if at_once else failed

    def apply_changes(self) -> None:
        """Apply what was added and removed of inboxes, between two messages."""
        if self.inboxes.apply_changes():
            self._bury_orphans()

    def _bury_orphans(self) -> None:
        """Give up what waits for an inbox that was removed."""
        keys = self.ledger.open.keys(State.NEW, State.WAITING)
        for entry in self.ledger.get(k for k in keys if self.inboxes.handler(k.inbox) is None):
            if self.inboxes.is_removed(entry):
                self._bury(entry)
        self.ledger.flush()

    def _bury(self, entry: Entry) -> None:
        log.warning("%s: %s: %s", self._ref(entry), REMOVED, entry.key.inbox)
        now = self.ledger.clock.wall()
        dead = replace(entry, state=State.DEAD, due_at=0.0, reason=REMOVED, changed_at=now)
        self.ledger.later(PutEntry(dead))

    def deliver_new(self, batch: Sequence[FetchedMessage], stats: PollStats) -> None:
        """Deliver new mail, in the order of UIDs.

        Ends early when the handler seems to be down or the poller was stopped; what was not claimed
        stays unseen.
        """
        with self.ledger.flushing():
            for fetched in batch:
                self.apply_changes()
                if not self.may_claim():
                    return
                self._deliver(fetched, stats)

    def retry_due(self, stats: PollStats) -> None:
        """Try what is due, from its kept bytes; one message if the handler seems to be down."""
        self.apply_changes()
        self._settle_late(stats)
        if not self.stopped():
            self._apply_retry_requests()
        if self.breaker.failing():
            self._probe(stats)
            return
        with self.ledger.flushing():
            due = self.ledger.open.due(self.ledger.clock.wall(), self.retry.longest)
            for entry in self.ledger.get(due):
                self.apply_changes()
                if not self.may_claim():
                    return
                if not self.inboxes.is_removed(entry):
                    self._retry(entry, stats, counts=True)

    def until_due(self) -> float | None:
        """Seconds until a message can be tried that could not be tried now; ``None`` for none."""
        clock = self.ledger.clock
        if self.breaker.failing():
            wait = self.breaker.until_probe(clock.monotonic())
            return wait if wait > 0 else None
        return self.ledger.open.until_due(clock.wall(), self.retry.longest)

    def _apply_retry_requests(self) -> None:
        """Make dead mail wait for which a retry was requested; bytes not kept are fetched."""
        now = self.ledger.clock.wall()
        for entry in self.ledger.retry_requests():
            raw = self.ledger.raw(entry.key)
            available = raw is not None or entry.key.epoch == self.ledger.epoch.number
            claimed, after = revived(entry, now, available=available)
            self.ledger.commit(PutEntry(claimed), PutEntry(after, raw=raw))
            log.info("%s: retry requested", self._ref(entry))
            if self.inboxes.is_removed(entry):
                self._bury_orphans()

    def _settle_late(self, stats: PollStats) -> None:
        """Settle calls that ended after their timeout.

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
                self._count(settled, outcome, stats)
        for delivery_id in late:
            self.runner.forget(delivery_id)

    def _probe(self, stats: PollStats) -> None:
        """Try one message although the handler seems to be down: its failure does not count."""
        if self.stopped() or self._full():
            return
        if self.breaker.until_probe(self.ledger.clock.monotonic()) > 0:
            return
        tried = set()
        with self.ledger.flushing():
            for entry in self.ledger.get(self.ledger.open.keys(State.WAITING)):
                name = self._message_name(entry)
                if self.inboxes.is_removed(entry):
                    continue
                if self.breaker.was_probed(name):
                    tried.add(name)
                elif self._retry(entry, stats, counts=False):
                    return
        self.breaker.end_probe_round(len(tried), self.ledger.clock.monotonic())
        if tried and self.breaker.failing():
            self._probe(stats)  # the first of the next round

    def _deliver(self, fetched: FetchedMessage, stats: PollStats) -> None:
        """Settle a new message: recognised, before the cut, or to be handled."""
        is_known = fetched.uid in self.ledger.seen
        if is_known:
            entries = self._undelivered(fetched)
        else:
            entry = self._with_facts(self.ledger.new_entry(fetched.uid), fetched)
            known = changes_if_known(self.ledger, entry, fetched.raw)
            if known:
                self.ledger.commit(*known)
                stats.passed_over += 1
                return
            entries = self.inboxes.entries_of(entry, fetched.raw, self.ledger.new_entry)
            if entries[0].state is State.PASSED_OVER:
                log.info("%s is passed over: %s", self._ref(entries[0]), entries[0].reason)
                self.ledger.commit(PutEntry(entries[0]))
                stats.passed_over += 1
                return
        # The routing decision is one commit: the first inbox's claim, and the others' entries.
        others = [] if is_known else [PutEntry(entry) for entry in entries[1:]]
        self._deliver_to(entries, others, fetched, stats)

    def _undelivered(self, fetched: FetchedMessage) -> list[Entry]:
        """The entries of inboxes that have not had a message yet, or that came later."""
        siblings = self.ledger.siblings(fetched.uid)
        return [self._with_facts(entry, fetched) for entry in siblings if entry.state is State.NEW]

    def _deliver_to(
        self,
        entries: Sequence[Entry],
        others: Sequence[PutEntry],
        fetched: FetchedMessage,
        stats: PollStats,
    ) -> None:
        """Deliver a message to one inbox after the other.

        Where nothing may be claimed any more the others wait, with its bytes.

        Args:
            entries: of the inboxes, new.
            others: to be written with the first claim.
            fetched: the message.
        """
        delivered = 0
        for at, entry in enumerate(entries):
            if at and not self.may_claim():
                self._set_aside(entries[at:], fetched.raw)
                break
            claimed = replace(entry, state=State.CLAIMED, changed_at=self.ledger.clock.wall())
            self.ledger.commit(PutEntry(claimed), *(others if at == 0 else ()))
            rest = entries[at + 1 :]
            counts = not self.breaker.failing()  # what is let in then is a probe
            settled = self._call(
                claimed, fetched.raw, fetched.flags, stats, counts=counts, rest=rest
            )
            was_delivered = settled.state is not State.PASSED_OVER
            delivered += was_delivered
            stats.new_in[entry.key.inbox] += was_delivered
        stats.new += delivered > 0

    def _set_aside(self, entries: Sequence[Entry], raw: bytes) -> None:
        """Make a message wait for inboxes that have not had it, due now."""
        now = self.ledger.clock.wall()
        for entry in entries:
            waiting = replace(
                entry, state=State.WAITING, due_at=now, reason=SET_ASIDE, changed_at=now
            )
            self.ledger.later(PutEntry(waiting, raw=raw))

    def _retry(self, entry: Entry, stats: PollStats, *, counts: bool) -> bool:
        """Try a waiting message again.

        ``False`` when its bytes have yet to be fetched, or an earlier call still runs.
        """
        if self.runner.is_overdue(entry.delivery_id):
            return False
        raw = self.ledger.raw(entry.key)
        if raw is None:
            return False
        claimed = replace(entry, state=State.CLAIMED, changed_at=self.ledger.clock.wall())
        self.ledger.commit(PutEntry(claimed))
        self._call(claimed, raw, frozenset(), stats, counts=counts)
        return True

    def _with_facts(self, entry: Entry, fetched: FetchedMessage) -> Entry:
        return replace(
            entry,
            digest=digest_of(fetched.raw, truncated=fetched.truncated),
            size=fetched.size,
            received_at=fetched.received_at,
            truncated=fetched.truncated,
        )

    def _call(
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
        self._count(settled, outcome, stats)
        if outcome.stop is not None:
            self._set_aside(rest, raw)
            raise outcome.stop
        return settled

    def _handler(self, entry: Entry) -> Handler:
        handler = self.inboxes.handler(entry.key.inbox)
        if handler is None:
            raise LookupError(f"{entry.key} is of an inbox that was removed")
        return handler

    def _message(self, entry: Entry, raw: bytes, flags: frozenset[str]) -> Message:
        from nornmail.message.message import parse_message

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

    def _rest(self, ref: MessageRef, header: bytes) -> Iterator[bytes]:
        """The whole of a truncated message, in pieces.

        The UID alone does not say that it is the same one: a server may have no UIDVALIDITY, or
        have given its UIDs anew under the old one.
        """
        pieces = self.fetch_rest(ref)
        begin = b""
        while len(begin) < len(header) and (piece := next(pieces, b"")):
            begin += piece
        if header_digest_of(begin) != header_digest_of(header):
            raise MessageGone(f"{ref} is another message now")
        yield begin
        yield from pieces

    def _settled(self, entry: Entry, outcome: Outcome) -> Entry:
        if outcome.state is State.WAITING and outcome.counts:
            return self._failed(entry, outcome.reason)
        delay = 0.0
        if outcome.state is State.WAITING:
            delay = outcome.delay if outcome.delay is not None else 0.0
            # What is not a number is no time to wait: it would never be due.
            delay = min(delay, self.retry.longest) if delay > 0 else 0.0
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

    def _count(self, entry: Entry, outcome: Outcome, stats: PollStats) -> None:
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
            self.breaker.succeeded()
            return
        was_failing = self.breaker.failing()
        self.breaker.failed(self._message_name(entry), self.ledger.clock.monotonic())
        if self.breaker.failing() and not was_failing:
            log.error(
                "%d different messages failed in a row: the handler seems to be down; new messages "
                "wait, and one is tried at growing intervals",
                OUTAGE_AFTER,
            )
            now = utc_datetime(self.ledger.clock.wall())
            from nornmail.events import HandlerFailing

            self.ledger.context.emit(HandlerFailing(at=now, reason=entry.reason))

    def _message_name(self, entry: Entry) -> str:
        """The same for a message in all its inboxes, in whatever epoch."""
        if not self.inboxes.several:
            return entry.delivery_id
        siblings = self.ledger.siblings(entry.key.uid, entry.key.epoch)
        return min((sibling.delivery_id for sibling in siblings), default=entry.delivery_id)

    def _ref(self, entry: Entry) -> MessageRef:
        return MessageRef(self.ledger.mailbox.mailbox, entry.uid_validity, entry.key.uid)
