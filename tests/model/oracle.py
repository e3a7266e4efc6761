"""The independent model of the delivery contract: told of everything, it says what was wrong.

It knows the mailbox from the server's side, the handler's calls from the handler's side, and the
poller's decisions from what it commits. It reads the store only through its protocol, and shares no
decision with the poller.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from nornmail.errors import Defer, Reject
from nornmail.message.message import Message
from nornmail.model import (
    Change,
    Entry,
    EntryKey,
    Epoch,
    MailboxKey,
    PassOver,
    PutEntry,
    Rekey,
    SaveMailbox,
    State,
)
from nornmail.poller.status import PollResult
from nornmail.stores.protocol import StateStore
from tests.model.letters import Letter
from tests.model.plan import Plan
from tests.model.shore import Copy, Shore
from tests.model.watch import Killed
from tests.support.clock import FakeClock

OUTAGE = 5
"""Messages that must fail in a row before the handler counts as down (rule 3)."""
FIRST_PROBE, LONGEST_PROBE = 5.0, 300.0
"""Seconds between two tries of a handler that is down; they double."""


@dataclass(eq=False)
class Delivery:
    """A message on its way through the handler, under its delivery id.

    Attributes:
        failures: attempts that failed and count.
        durable: the same, as of the last commit.
        excused: returns whose commit was lost with the process: each permits a repeat (rule 10).
        unsettled: the handler returned, and that is not durable yet.
        not_before: the wall time before which it must not be tried again.
        cut_short: the process ended while it was claimed.
        ended_at: when it did so, until that is written down: the delay begins somewhere in between.
        ended_last: its last attempt ended with the process; the first such attempt has no delay.
    """

    letter: Letter
    state: State | None = None
    begun: int = 0
    failures: int = 0
    durable: int = 0
    returned: int = 0
    excused: int = 0
    unsettled: bool = False
    rejected: bool = False
    not_before: float = 0.0
    cut_short: bool = False
    ended_at: float | None = None
    ended_last: bool = False


class Oracle:
    """Watches one run.

    Attributes:
        store: what is really in the store, set anew whenever it is opened.
        violations: what was against the contract. It is collected, since a raised error would be
            taken for a failing handler.
        deliveries: by delivery id.
        cut: mail from before this instant may be passed over.
        troubled: the line was bad: a message may not have been had.
        stale: the process that calls is one whose lease was taken away.
    """

    def __init__(
        self,
        plan: Plan,
        shore: Shore,
        clock: FakeClock,
        mailbox: MailboxKey,
        violations: list[str],
    ) -> None:
        self.plan = plan
        self.shore = shore
        self.clock = clock
        self.mailbox = mailbox
        self.store: StateStore
        self.violations = violations
        self.deliveries: dict[str, Delivery] = {}
        self.cut: float | None = None
        self.troubled = False
        self.stale = False
        self.epochs = 0
        self._ids: dict[EntryKey, str] = {}
        self._row: set[str] = set()
        self._probes = 0
        self._probed: set[str] = set()
        self._next_probe = 0.0
        self._poll = Counter[str]()
        self._open = False
        self._older: dict[int, Copy] = {}
        self._older_epoch = 0

    def fail(self, text: str) -> None:
        self.violations.append(text)

    def handled(self) -> Counter[Letter]:
        """How many deliveries of each letter the handler has returned from."""
        return Counter(one.letter for one in self.deliveries.values() if one.returned)

    # The handler.

    def begins(self, message: Message) -> Delivery | None:
        letter = self.shore.post.find(message.raw, truncated=message.truncated)
        if letter is None or letter.large is not message.truncated:
            self.fail(f"{message.ref}: what was handed over was never sent: {message.raw!r}")
            return None
        delivery = self.deliveries.get(message.delivery_id)
        if delivery is None or delivery.state is not State.CLAIMED:
            self.fail(f"{letter} is handed over and its claim is not durable")
            return None
        if delivery.letter is not letter:
            self.fail(f"{letter} is handed over under the delivery id of {delivery.letter}")
        if self.stale:
            self.fail(f"{letter} is handed over by a poller that lost its lease")
        if any(one.unsettled for one in self.deliveries.values()):
            self.fail(f"{letter} is handed over before an earlier return is durable")
        if delivery.returned > delivery.excused:
            self.fail(f"{letter} is handed over again after it was handled")
        if message.attempt != delivery.failures + 1:
            self.fail(f"{letter}: attempt {message.attempt} after {delivery.failures} failures")
        self._begins_in_time(delivery)
        delivery.begun += 1
        self._poll["new"] += delivery.begun == 1 and delivery.failures == 0
        return delivery

    def _begins_in_time(self, delivery: Delivery) -> None:
        if self.down():
            now = self.clock.monotonic()
            if delivery.begun == 0 and delivery.failures == 0:
                if self._may_be_let_in():
                    self._probed.clear()
                    return
                self.fail(f"{delivery.letter} is handed over anew while the handler is down")
            if now < self._next_probe:
                self.fail(f"{delivery.letter} is tried too soon while the handler is down")
            return
        now = self.clock.wall()
        if now < delivery.not_before <= now + max(self.plan.delays):
            self.fail(f"{delivery.letter} is tried {delivery.not_before - now:.0f} s too early")

    def returns(self, delivery: Delivery) -> None:
        delivery.returned += 1
        delivery.unsettled = True
        self._works()
        self._poll["handled"] += 1
        if delivery.returned > delivery.excused + 1:
            self.fail(f"{delivery.letter} was handled twice")
        letter = delivery.letter
        rounds = self.epochs if self.plan.on_change == "replay" else 1
        copies = sum(copy.letter is letter for copy in self.shore.copies)
        if self.handled()[letter] > copies * rounds:
            self.fail(f"{letter} was handled under {self.handled()[letter]} delivery ids")

    def raises(self, delivery: Delivery, error: BaseException) -> None:
        if isinstance(error, Killed):
            return
        self._poll["failed"] += 1
        now = self.clock.wall()
        if isinstance(error, Reject):
            delivery.rejected = True
            self._works()
        elif isinstance(error, Defer):
            delivery.not_before = now + min(error.seconds, max(self.plan.delays))
            self._works()
        elif self.down():
            delivery.not_before = now
            self._probes += 1
            self._probed.add(self._id_of(delivery))
            self._time_probe()
        else:
            self._failed(delivery, now)
            self._row.add(self._id_of(delivery))
            self._time_probe()

    def down(self) -> bool:
        return len(self._row) >= OUTAGE

    def _time_probe(self) -> None:
        wait = min(FIRST_PROBE * 2**self._probes, LONGEST_PROBE)
        self._next_probe = self.clock.monotonic() + wait

    def _works(self) -> None:
        self._row.clear()
        self._probed.clear()
        self._probes = 0

    def _may_be_let_in(self) -> bool:
        """Too few messages wait to tell a handler that is down from them, and each was tried."""
        waiting = self.store.entries(self.mailbox, {State.WAITING})
        left = {one.delivery_id for one in waiting if self.store.raw(self.mailbox, one.key)}
        return len(left) < OUTAGE and left <= self._probed

    def _nothing_to_try(self) -> bool:
        """The handler is down, a try is due, and no message waits for it: new mail is let in."""
        waiting = self.store.entries(self.mailbox, {State.WAITING})
        due = self.down() and self.clock.monotonic() >= self._next_probe
        return due and all(self.store.raw(self.mailbox, one.key) is None for one in waiting)

    def _failed(self, delivery: Delivery, now: float) -> None:
        delivery.failures += 1
        if delivery.failures <= len(self.plan.delays):
            delivery.not_before = now + self.plan.delays[delivery.failures - 1]

    def _id_of(self, delivery: Delivery) -> str:
        return next(name for name, one in self.deliveries.items() if one is delivery)

    # The process.

    def process_ended(self) -> None:
        """What was not durable did not happen; what was claimed has failed."""
        now = self.clock.wall()
        for delivery in self.deliveries.values():
            delivery.excused += delivery.unsettled
            delivery.unsettled = False
            delivery.failures = delivery.durable
            if delivery.state is State.CLAIMED:
                delivery.rejected = False
                delivery.cut_short = True
                self._failed(delivery, now)
                if delivery.ended_at is None:
                    delivery.ended_at = now
        self.handler_unknown()

    def handler_unknown(self) -> None:
        """A new poller does not know that the handler was down."""
        self._works()

    def poll_begins(self) -> None:
        self.shore.check(self.handled())
        self._poll.clear()
        if self._nothing_to_try():
            self._works()
        self._older = {uid: one for uid, one in self.shore.present.items() if not one.hidden}
        self._older_epoch = len(self.shore.epochs) - 1

    def poll_ends(self, result: PollResult) -> None:
        for name in ("new", "handled"):
            if getattr(result, name) != self._poll[name]:
                self.fail(f"{result} and {self._poll[name]} were {name}")
        if result.failed < self._poll["failed"]:
            self.fail(f"{result} and {self._poll['failed']} failed")
        for name, state in (("waiting", State.WAITING), ("dead", State.DEAD)):
            if getattr(result, name) != self.store.count(self.mailbox, {state}):
                self.fail(f"{result} and the store has another number of {state} messages")

    # The store.

    def committed(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if isinstance(change, SaveMailbox):
                self._saved(change.record.epoch)
            elif isinstance(change, PutEntry):
                self._put(change.entry)
            elif isinstance(change, Rekey):
                self._rekeyed(change)
            elif isinstance(change, PassOver):
                for uid in change.uids:
                    self._may_pass(EntryKey(change.epoch, uid))
        for change in changes:
            if isinstance(change, PutEntry) and change.entry.state is State.GONE:
                self._may_be_gone(change.entry.key)

    def _saved(self, epoch: Epoch) -> None:
        """A new epoch, or the end of its comparison: what stood there may be passed over."""
        first = epoch.number == 1
        passes = self.plan.start_from == "new" if first else self.plan.on_change == "baseline"
        begins, ends = epoch.number > self.epochs, epoch.matched and self._open
        if begins:
            self.epochs = epoch.number
            self.shore.bind(epoch.number)
        if passes and (begins or ends):
            self.cut = epoch.begun_at
            for copy in self.shore.present.values():
                copy.passable = True
        self._open = not epoch.matched

    def _put(self, entry: Entry) -> None:
        copy = self.shore.copy_at(entry.key.epoch, entry.key.uid)
        if copy is None:
            self.fail(f"{entry.key} was never on the server")
            return
        self._ids[entry.key] = entry.delivery_id
        delivery = self.deliveries.setdefault(entry.delivery_id, Delivery(copy.letter))
        if delivery.letter is not copy.letter:
            self.fail(f"{delivery.letter} is settled at {entry.key}, which is {copy.letter}")
        before, delivery.state = delivery.state, entry.state
        if entry.state is State.CLAIMED:
            self._claimed(entry, delivery, copy)
        elif entry.state in (State.WAITING, State.DEAD):
            self._failed_or_dead(entry, delivery, copy, before)
        elif entry.state is State.HANDLED:
            if not delivery.unsettled:
                self.fail(f"{delivery.letter} is settled as handled and was not")
            delivery.unsettled = False
        elif entry.state is State.PASSED_OVER:
            self._may_pass(entry.key)
        elif entry.state is State.GONE:
            delivery.failures = delivery.durable = 0  # listed again, it is new

    def _claimed(self, entry: Entry, delivery: Delivery, copy: Copy) -> None:
        if delivery.begun or delivery.failures or copy.hidden:
            return
        epoch = entry.key.epoch
        if self.shore.bound[epoch] != self._older_epoch:
            return
        known = self.store.seen_uids(self.mailbox, epoch)
        self.shore.sync()
        for uid, older in self._older.items():
            late = uid < entry.key.uid and uid not in known and self.shore.is_there(epoch, uid)
            if late and not older.hidden:
                self.fail(f"{delivery.letter} overtakes {older.letter}")

    def _failed_or_dead(
        self, entry: Entry, delivery: Delivery, copy: Copy, before: State | None
    ) -> None:
        letter = delivery.letter
        if before is not State.CLAIMED and entry.attempts == delivery.failures + 1:
            delivery.failures += 1
            if not (entry.key.uid in self.shore.spoiled or copy.hidden or self.troubled):
                self.fail(f"{letter} waits, and nothing was wrong with the server")
        if entry.attempts != delivery.failures:
            self.fail(f"{letter} has {entry.attempts} attempts after {delivery.failures} failures")
        delivery.durable = delivery.failures
        if entry.state is not State.DEAD:
            self._waits(entry, delivery, before)
            return
        copy.unreadable |= entry.digest is None
        there = self.shore.is_there(entry.key.epoch, entry.key.uid) and not copy.hidden
        lost = delivery.cut_short and not there
        if not (delivery.rejected or delivery.failures > len(self.plan.delays) or lost):
            self.fail(f"{letter} is dead after {delivery.failures} failures: {entry.reason}")
        self.check_dead(entry)

    def _waits(self, entry: Entry, delivery: Delivery, before: State | None) -> None:
        """After the end of a process the next one says from when on the delay counts."""
        if delivery.ended_at is not None:
            delay = self.plan.delays[delivery.failures - 1] if delivery.ended_last else 0.0
            if not delivery.ended_at <= entry.due_at - delay <= self.clock.wall():
                self.fail(f"{delivery.letter} is due at {entry.due_at}")
            delivery.not_before = entry.due_at
            delivery.ended_at = None
            delivery.ended_last = True
        elif before is State.CLAIMED:
            delivery.ended_last = False

    def clock_jumps(self, seconds: float) -> None:
        for delivery in self.deliveries.values():
            if delivery.ended_at is not None:
                delivery.ended_at += min(seconds, 0.0)

    def check_dead(self, entry: Entry) -> None:
        """A dead letter has its bytes, unless they were never to be had."""
        delivery = self.deliveries[entry.delivery_id]
        letter = delivery.letter
        raw = self.store.raw(self.mailbox, entry.key)
        copy = self.shore.copy_at(entry.key.epoch, entry.key.uid)
        there = self.shore.is_there(entry.key.epoch, entry.key.uid)
        there = there and copy is not None and not copy.hidden
        if raw is None and delivery.begun and (there or not delivery.cut_short):
            self.fail(f"{letter} is dead, and its bytes were not kept: {entry.reason}")
        if raw is not None and raw != (letter.header if letter.large else letter.raw):
            self.fail(f"{letter} is dead with other bytes: {raw!r}")

    def _rekeyed(self, change: Rekey) -> None:
        before = self._ids.pop(change.before, None)
        copy = self.shore.copy_at(change.after.epoch, change.after.uid)
        if before is None or copy is None:
            self.fail(f"{change} is of nothing that is known")
            return
        self._ids[change.after] = before
        if self.deliveries[before].letter is not copy.letter:
            self.fail(f"{copy.letter} is taken for {self.deliveries[before].letter}")

    def _may_be_gone(self, key: EntryKey) -> None:
        """It is not there, or was hidden, or gave way to what it was known as by then.

        In an epoch that is over it could never be had, and is looked at again in the new one.
        """
        now = self.store.get(self.mailbox, key)
        copy = self.shore.copy_at(key.epoch, key.uid)
        if now is None or now.state is not State.GONE or key.epoch < self.epochs:
            return
        if copy and not copy.hidden and self.shore.is_there(key.epoch, key.uid):
            self.fail(f"{copy.letter} is on the server and was settled as gone")

    def _may_pass(self, key: EntryKey) -> None:
        copy = self.shore.copy_at(key.epoch, key.uid)
        if copy is None or not (copy.passable or self.is_old(copy)):
            self.fail(f"{copy and copy.letter} at {key} is passed over")

    def is_old(self, copy: Copy) -> bool:
        return self.cut is not None and copy.date < self.cut
