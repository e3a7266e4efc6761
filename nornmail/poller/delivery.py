"""The delivery of messages: claim, parse, call the handler, settle.

The claim is durable before the callback is called, and its outcome is durable before anything else
happens. What raises, what is rejected and what is deferred is kept with its bytes and comes back
from there, whatever becomes of the message on the server.

With one worker the polling thread calls the handler itself. With several it claims and settles,
and the threads of a :class:`~nornmail.poller.worker_pool.WorkerPool` call the handlers: calls may
be running from one poll to the next.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nornmail.clock import utc_datetime
from nornmail.errors import NornmailError
from nornmail.model import KEEPS_RAW, Entry, EntryKey, MessageRef, PutEntry, State
from nornmail.poller.decisions import BATCH_MESSAGES, BATCH_OCTETS
from nornmail.poller.fetch import FetchedMessage, MessageMaker
from nornmail.poller.handler import MAX_OVERDUE, Handler, HandlerRunner, Outcome
from nornmail.poller.inboxes import REMOVED, Inboxes, Job
from nornmail.poller.ledger import Ledger
from nornmail.poller.recognition import changes_if_known
from nornmail.poller.status import PollStats
from nornmail.poller.worker_pool import OrderBy, Schedule, WorkerPool, order_key
from nornmail.retry import (
    OUTAGE_AFTER,
    REASON_LENGTH,
    CircuitBreaker,
    RetryPolicy,
    after_failure,
    revived,
)
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    from nornmail.message.message import Message

log = logging.getLogger("nornmail.poller")

ENDED = "the process ended while the message was being handled"
"""The reason of a claim that is found at start-up: it counts as a failed attempt."""
NOT_DELIVERED = "the store failed before the message was delivered"
"""The reason of a claim that this process could not write: the handler was not called."""
LINGER = 0.01
"""Seconds that the polling thread waits for calls to end before it does something else: quick calls
share a commit and cost no round trip each."""


@dataclass(slots=True)
class Delivery:
    """Delivers messages to their inboxes, once each.

    Args:
        maker: makes the messages that handlers are called with.
        stopped: whether to claim nothing more; asked before each message.
        before_batch: called when messages were received that are to be delivered.
        before_handler: called with each message, once it is claimed and before its handler is.
        order_by: what keeps its order with several.
        schedule: the messages that the workers have, and those that wait for one.

    Attributes:
        due: waiting messages that are due and have yet to be given to a worker.
    """

    ledger: Ledger
    inboxes: Inboxes
    runner: HandlerRunner
    retry: RetryPolicy
    maker: MessageMaker
    stopped: Callable[[], bool] = lambda: False
    before_batch: Callable[[], object] = lambda: None
    before_handler: Callable[[Message], object] = lambda _: None
    pool: WorkerPool | None = None
    order_by: OrderBy = "conversation"
    schedule: Schedule[Job] = field(default_factory=lambda: Schedule(1))
    breaker: CircuitBreaker = field(default_factory=CircuitBreaker)
    last_failure: str = ""
    due: deque[EntryKey] = field(default_factory=deque)

    def may_claim(self) -> bool:
        """Whether another message may be claimed now."""
        return self.breaker.allows() and not (self.stopped() or self.runner.overdue >= MAX_OVERDUE)

    def room(self) -> int:
        """The number of new messages to fetch: a window, less those that wait for a worker."""
        if not self.may_claim():
            return 0
        if self.pool is None or not self.schedule.waiting:
            return BATCH_MESSAGES
        waiting = self._waiting()
        if sum(len(job.raw) for job in waiting) > BATCH_OCTETS // 2:
            return 0
        return max(BATCH_MESSAGES - len(waiting), 0)

    def must_pause(self) -> bool:
        """Whether no other batch is to be fetched before the workers have this one."""
        return not self.may_claim() or (self.pool is not None and self.schedule.waiting > 0)

    def _waiting(self) -> list[Job]:
        """The new messages that wait for a worker."""
        return [job for job in self.schedule if job.new and job.claimed is None]

    @property
    def is_behind(self) -> bool:
        """Whether new mail is left that was not claimed."""
        return not self.may_claim() or (self.pool is not None and bool(self._waiting()))

    @property
    def busy(self) -> bool:
        """Whether a worker has a message, or one waits for a worker."""
        return self.pool is not None and bool(self.pool.jobs or self.schedule.waiting or self.due)

    def in_hand(self) -> UidSet:
        """The messages of this epoch that the workers have, or that wait for one."""
        epoch = self.ledger.epoch.number
        return UidSet.of(job.key.uid for job in self.schedule if job.key.epoch == epoch)

    def is_open(self, stats: PollStats) -> bool:
        """Whether a message that the poll of these counts found is being handled."""
        return any(job.stats is stats for job in self.schedule)

    def recover(self) -> None:
        """Settle abandoned claims: those of an earlier process, or of a fault.

        Call it between two messages. A process that ended in the handler counts as a failed
        attempt. The first is made again at once, since a deployment ends processes too; if the
        same message was being handled at the next end, it waits.
        """
        self.ledger.flush()
        with self.ledger.flushing():
            for entry in self.ledger.get(self.orphans()):
                self.ledger.later(PutEntry(self._recovered(entry)))
        self.inboxes.apply_changes()
        self._bury_orphans()
        self.ledger.finish_recovery()

    def orphans(self) -> list[EntryKey]:
        """The abandoned claims."""
        claims = self.ledger.open.keys(State.CLAIMED)
        if self.pool is None:
            return claims
        mine = {self.ledger.current(job.key) for job in self.pool.jobs}
        return [key for key in claims if key not in mine]

    def _recovered(self, entry: Entry) -> Entry:
        now = self.ledger.clock.wall()
        if not self.ledger.was_delivered(entry):
            log.info("%s: %s", self._ref(entry), NOT_DELIVERED)
            return entry.moved(State.WAITING, NOT_DELIVERED, now, due_at=now)
        failed = self._failed(entry, ENDED)
        then = "it is dead"
        if failed.state is State.WAITING:
            if entry.reason != ENDED:
                failed = failed._replace(due_at=now)
            then = f"it is tried again at {utc_datetime(failed.due_at):%H:%M:%S} UTC"
        log.warning("%s: %s; %s", self._ref(entry), ENDED, then)
        return failed

    def apply_changes(self) -> None:
        """Apply what was added and removed of inboxes, between two messages."""
        if self.inboxes.apply_changes():
            self._drop_waiting()  # it was routed to other inboxes
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
        self.ledger.later(PutEntry(entry.moved(State.DEAD, REMOVED, self.ledger.clock.wall())))

    def deliver_new(self, batch: Sequence[FetchedMessage], stats: PollStats) -> None:
        """Deliver new mail, in the order of UIDs.

        Ends early when the handler seems to be down or the poller was stopped; what was not claimed
        stays unseen. With workers it ends as well when they have been busy for a moment: what waits
        for them is delivered by :meth:`work`.
        """
        self.before_batch()
        with self.ledger.flushing():
            for fetched in batch:
                self.apply_changes()
                if not self.may_claim():
                    break
                job = self._prepare(fetched, stats)
                if job is not None:
                    self._put_to_work(job, stats)
        self.work(stats)

    def work(self, stats: PollStats) -> None:
        """Settle what the workers have done and give them what waits, as long as that continues."""
        while self._turn(stats) and (self.schedule.waiting or self.due):
            if self.pool is None or not self.pool.wait(LINGER):
                return

    def linger(self, stats: PollStats) -> None:
        """Settle calls that end at once, so that the poll is over with them."""
        while self._turn(stats) and self.pool is not None and self.pool.wait(LINGER):
            pass

    def wait(self) -> None:
        """Wait until a worker is through with a message."""
        if self.pool is not None and self.pool.jobs:
            self.pool.wait()

    def finish(self, stats: PollStats) -> None:
        """Claim nothing more, wait for the calls that still run, and settle them.

        A call that outlived its timeout is not waited for; it counts if it has ended by now. What
        cannot be written down stays put down for the next time the lease is taken.

        Raises:
            BaseException: what a handler asked for by raising it, such as SystemExit.
        """
        self._drop_waiting()
        if self.pool is not None:
            self._finish_calls(self.pool, stats)
        if self.ledger.held and self.ledger.recovered:
            try:
                self._settle_late(stats)
            except NornmailError as error:
                log.warning("%s: a late success is not recorded: %s", self.ledger.mailbox, error)

    def _finish_calls(self, pool: WorkerPool, stats: PollStats) -> None:
        """Wait for the workers' calls, and settle them."""
        stop: BaseException | None = None
        try:
            pool.give_up_calls()
            while pool.jobs:
                pool.wait()
                try:
                    going_on, stop = self._settle_ended(stats, stop)
                    self._give_up(going_on)
                    self.ledger.flush()
                except NornmailError as error:
                    log.warning("%s: kept for the next commit: %s", self.ledger.mailbox, error)
            pool.close()
        except BaseException:  # a second Ctrl-C: calls that run are claims for the next poll
            pool.close()
            pool.jobs.clear()
            raise
        if stop is not None:
            raise stop

    def put_right(self) -> None:
        """Let go of what an interruption of the last poll left without a worker.

        What waited is fetched again, or kept in the store.
        """
        if self.pool is not None:
            self.schedule.keep(self.pool.jobs)

    def _put_to_work(self, job: Job, stats: PollStats) -> None:
        """Deliver a message, or let it wait for a worker."""
        if self.pool is None:
            self._deliver_here(job, stats)
            return
        message = self.maker.make(job.entries[0], job.raw, job.flags)
        self.schedule.add(job, order_key(message, self.order_by))

    def _turn(self, stats: PollStats) -> bool:
        """Settle the calls that have ended, and start the next ones: all in one commit."""
        if self.pool is None:
            return False
        starting, stop = self._settle_ended(stats)
        if stop is not None or not self.may_claim():
            self._give_up(starting)
            starting = []
            self._drop_waiting()
        if stop is not None:
            self.ledger.flush()
            raise stop
        self._take_due(stats)
        while self.may_claim() and (job := self.schedule.start()) is not None:
            if self._is_current(job):
                job.counts = not self.breaker.failing()
                job.let_in = job.new and self.breaker.let_in()
                stats.claimed += job.new
                starting.append(job)
            else:
                self.schedule.end(job)
        self._start(starting)
        return bool(self.pool.jobs)

    def _drop_waiting(self) -> None:
        """Let go of what waits for a worker: it is fetched again, or kept in the store."""
        if self.pool is not None:  # else nothing does
            self.schedule.clear()
            self.due.clear()

    def _take_due(self, stats: PollStats) -> None:
        """Let due messages wait for a worker, with their bytes: no more than there are workers.

        Of those under which the process ended twice, at most one: they were being handled at the
        same time, and none is to die of another.
        """
        room = 0
        held_back: list[EntryKey] = []
        if self.pool is not None and self.due:
            waiting = [job for job in self.schedule if not job.new and job.claimed is None]
            room = self.pool.size - len(waiting)
        while self.due and room > 0 and self.may_claim():
            key = self.due.popleft()
            if self.ledger.open.has(State.WAITING, key):
                for entry in self.ledger.get([key]):
                    if _is_suspect(entry) and any(_is_suspect(job.entry) for job in self.schedule):
                        held_back.append(key)
                    else:
                        room -= self._retry(entry, stats, counts=True)
        self.due.extendleft(reversed(held_back))

    def _is_current(self, job: Job) -> bool:
        """Whether a message that waited for a worker is still to be delivered as it was found."""
        entry = job.entries[0]
        if self.inboxes.is_removed(entry):
            return False
        if not job.new:
            return self.ledger.open.has(State.WAITING, entry.key)
        unseen = entry.key.uid not in self.ledger.seen
        is_new = unseen or self.ledger.open.has(State.NEW, entry.key)
        return is_new and entry.key.epoch == self.ledger.epoch.number

    def _start(self, jobs: Sequence[Job]) -> None:
        """Claim messages for the workers, in one commit with what was settled."""
        if self.pool is None or not jobs:
            self.ledger.flush()
            return
        try:
            now = self.ledger.clock.wall()
            self.ledger.commit(*[change for job in jobs for change in job.claim(now)])
            for job in jobs:
                if job.claimed is not None:
                    message = self._claimed_message(job.claimed, job)
                    self.pool.submit(job, self._handler(job.claimed), message)
        finally:
            for job in jobs:
                if job not in self.pool.jobs:  # its claim is found by the next poll
                    self.schedule.end(job)

    def _settle_ended(
        self, stats: PollStats, stop: BaseException | None = None
    ) -> tuple[list[Job], BaseException | None]:
        """Settle the calls that have ended.

        Returns:
            The messages that have another inbox to go to; and what a handler asked for by raising
            it, else ``stop``.
        """
        going_on: list[Job] = []
        for job in self.pool.ended() if self.pool is not None else ():
            if self.pool is not None:
                # Before it is settled: where that is interrupted, the next poll finds the claim.
                self.pool.forget(job)
            if job.outcome is not None:
                stop = self._settle(job, job.outcome, stats) or stop
            number = self.ledger.epoch.number
            job.entries = [
                entry
                for entry in job.entries
                if entry.key.epoch == number and not self.inboxes.is_removed(entry)
            ]
            if job.entries:
                going_on.append(job)
            else:
                self.schedule.end(job)
        return going_on, stop

    def _give_up(self, jobs: Sequence[Job]) -> None:
        """Keep messages for the inboxes that have yet to get them."""
        for job in jobs:
            self._set_aside(job)
            self.schedule.end(job)

    def retry_due(self, stats: PollStats) -> None:
        """Try what is due, from its kept bytes; one message if the handler seems to be down."""
        self.apply_changes()
        if self.pool is not None:
            self._turn(stats)
        self._settle_late(stats)
        if not self.stopped():
            self._apply_retry_requests()
        if self.breaker.failing():
            self._probe(stats)
            return
        due = self.ledger.open.due(self.ledger.clock.wall(), self.retry.longest)
        if self.pool is not None:
            in_hand = {job.key for job in self.schedule}
            self.due = deque(key for key in due if key not in in_hand)
            self.work(stats)
            return
        if not due:
            self.ledger.flush()
            return
        with self.ledger.flushing():
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
                claimed = entry._replace(state=State.CLAIMED)
                settled = self._settled(claimed, outcome, entry.message_id, entry.verified_sender)
                self.ledger.commit(PutEntry(claimed), PutEntry(settled))
                self._count(settled, outcome, Job([], b"", stats, new=False), stats)
        for delivery_id in late:
            self.runner.forget(delivery_id)

    def _probe(self, stats: PollStats) -> None:
        """Try one message although the handler seems to be down: its failure does not count."""
        if self.stopped() or self.runner.overdue >= MAX_OVERDUE or self.busy:
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
        if tried:
            self._probe(stats)  # the first of the next round

    def _prepare(self, fetched: FetchedMessage, stats: PollStats) -> Job | None:
        """The job that delivers a message; ``None`` for one that is recognised or passed over."""
        is_known = fetched.uid in self.ledger.seen
        if is_known:  # inboxes have not had it yet, or came later
            siblings = self.ledger.siblings(fetched.uid)
            entries = [fetched.describe(e) for e in siblings if e.state is State.NEW]
        else:
            entry = fetched.describe(self.ledger.new_entry(fetched.uid))
            known = changes_if_known(self.ledger, entry, fetched.raw)
            if known:
                self.ledger.commit(*known)
                stats.passed_over += 1
                return None
            entries = self.inboxes.entries_of(entry, fetched.raw, self.ledger.new_entry)
            if entries[0].state is State.PASSED_OVER:
                log.info("%s is passed over: %s", self._ref(entries[0]), entries[0].reason)
                self.ledger.commit(PutEntry(entries[0]))
                stats.passed_over += 1
                return None
        # The routing decision is one commit: the first inbox's claim, and the others' entries.
        if not entries:
            return None
        job = Job(entries, fetched.raw, stats, flags=fetched.flags)
        if not is_known and len(entries) > 1:
            job.others = [PutEntry(entry) for entry in entries[1:]]
        return job

    def _deliver_here(self, job: Job, stats: PollStats) -> None:
        """Deliver a message to one inbox after the other, in this thread.

        Where nothing may be claimed any more the others wait, with its bytes.
        """
        while job.entries:
            if job.claimed is not None and not self.may_claim():
                self._set_aside(job)
                return
            if job.new:
                job.counts = not self.breaker.failing()  # what is let in then is a probe
            self.ledger.commit(*job.claim(self.ledger.clock.wall()))
            if job.claimed is None:
                return
            message = self._claimed_message(job.claimed, job)
            outcome = self.runner.call(self._handler(job.claimed), message)
            stop = self._settle(job, outcome, stats)
            if stop is not None:
                self._set_aside(job)
                raise stop

    def _set_aside(self, job: Job) -> None:
        """Make a message wait for inboxes that have not had it, due now."""
        for put in job.set_aside(self.ledger.clock.wall()):
            self.ledger.later(put)

    def _retry(self, entry: Entry, stats: PollStats, *, counts: bool) -> bool:
        """Try a waiting message again.

        ``False`` when its bytes have yet to be fetched, or an earlier call still runs.
        """
        if self.runner.is_overdue(entry.delivery_id):
            return False
        raw = self.ledger.raw(entry.key)
        if raw is None:
            return False
        job = Job([entry], raw, stats, new=False, counts=counts)
        self._put_to_work(job, stats)
        if not counts and self.pool is not None and self.schedule.start() is job:
            self._start([job])  # a probe: no other message may be claimed
        return True

    def _claimed_message(self, entry: Entry, job: Job) -> Message:
        """The message that a handler is called with."""
        message = self.maker.make(entry, job.raw, job.flags)
        self.before_handler(message)
        job.message_id = message.message_id
        if self.maker.authserv_id:
            job.verified_sender = self.maker.verified_sender(message)
        return message

    def _settle(self, job: Job, outcome: Outcome, stats: PollStats) -> BaseException | None:
        """Put the outcome of a call down for the next commit.

        Returns:
            An exception that the poller is to raise once the outcome is durable.
        """
        if job.claimed is None:
            return None
        if not job.counts:
            outcome = outcome._replace(counts=False)
        settled = self._settled(job.claimed, outcome, job.message_id, job.verified_sender)
        keep = job.raw if settled.state in KEEPS_RAW else None
        self.ledger.settle(PutEntry(settled, raw=keep))
        self._count(settled, outcome, job, stats)
        return outcome.stop

    def _handler(self, entry: Entry) -> Handler:
        handler = self.inboxes.handler(entry.key.inbox)
        if handler is None:
            raise LookupError(f"{entry.key} belongs to an inbox that was removed")
        return handler

    def _settled(self, entry: Entry, outcome: Outcome, message_id: str, sender: str) -> Entry:
        if outcome.state is State.WAITING and outcome.counts:
            read = entry._replace(message_id=message_id, verified_sender=sender)
            return self._failed(read, outcome.reason)
        now = self.ledger.clock.wall()
        due_at = 0.0
        if outcome.state is State.WAITING:
            delay = outcome.delay if outcome.delay is not None else 0.0
            # What is not a number cannot be waited for: it would never be due.
            due_at = now + (min(delay, self.retry.longest) if delay > 0 else 0.0)
        return entry._replace(
            state=outcome.state,
            reason=outcome.reason[:REASON_LENGTH],
            due_at=due_at,
            message_id=message_id,
            verified_sender=sender,
            changed_at=now,
        )

    def _failed(self, entry: Entry, reason: str) -> Entry:
        return after_failure(entry, reason, self.retry, self.ledger.clock.wall())

    def _count(self, entry: Entry, outcome: Outcome, job: Job, stats: PollStats) -> None:
        state, delivered = outcome.state, outcome.state is not State.PASSED_OVER
        first = job.new and delivered and not job.delivered
        job.delivered = job.delivered or delivered
        for counts in (stats,) if job.stats is stats else (stats, job.stats):
            counts.count(entry.key.inbox, state, new=job.new, first=first)
        if job.let_in and outcome.works is None:
            self.breaker.undecided()
        if not delivered:  # the handler was not called
            log.info("%s is passed over: %s", self._ref(entry), outcome.reason)
            return
        if state is State.HANDLED:
            if log.isEnabledFor(logging.INFO):
                log.info("%s is handled", self._label(entry))
        else:
            self.last_failure = entry.reason
            log.warning("%s is %s: %s", self._label(entry), entry.state, outcome.reason)
        self._note_health(entry, outcome, job)

    def _note_health(self, entry: Entry, outcome: Outcome, job: Job) -> None:
        """Learn from an outcome whether the handler works."""
        if outcome.works is None:
            return
        if outcome.works:
            self.breaker.succeeded()
            return
        was_failing = self.breaker.failing()
        name, now = self._message_name(entry), self.ledger.clock.monotonic()
        self.breaker.failed(name, now, probe=not job.counts)
        if self.breaker.failing() and not was_failing:
            log.error(
                "%d different messages failed in a row: the handler seems to be down; new messages "
                "wait, and one is tried at growing intervals",
                OUTAGE_AFTER,
            )
            at = utc_datetime(self.ledger.clock.wall())
            from nornmail.events import HandlerFailing

            self.ledger.context.emit(HandlerFailing(at=at, reason=entry.reason))

    def _message_name(self, entry: Entry) -> str:
        """The same for a message in all its inboxes, in whatever epoch."""
        if not self.inboxes.several:
            return entry.delivery_id
        siblings = self.ledger.siblings(entry.key.uid, entry.key.epoch)
        return min((sibling.delivery_id for sibling in siblings), default=entry.delivery_id)

    def _label(self, entry: Entry) -> str:
        """A message and its inbox, for the log."""
        inbox = entry.key.inbox
        return f"{self._ref(entry)} for {inbox}" if inbox else str(self._ref(entry))

    def _ref(self, entry: Entry) -> MessageRef:
        return MessageRef(self.ledger.mailbox.mailbox, entry.uid_validity, entry.key.uid)


def _is_suspect(entry: Entry) -> bool:
    """Whether the process ended twice while the message was being handled."""
    return entry.reason == ENDED and entry.attempts > 1
