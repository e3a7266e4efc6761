"""The ledger by itself: what it takes from a store, writes to it, and chooses from its entries."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any, cast

import pytest

from nornmail import ImapSettings, MemoryStateStore, Poller
from nornmail.errors import LeaseLost, StoreError
from nornmail.model import (
    Change,
    Digest,
    Entry,
    EntryKey,
    KeepRaw,
    Lease,
    MailboxKey,
    MailboxRecord,
    PassOver,
    PutEntry,
    Rekey,
    SaveMailbox,
    State,
    Watermark,
    delivery_id_of,
)
from nornmail.poller.ledger import KEPT, Ledger, OpenEntries
from nornmail.poller.recognition import (
    BEFORE_HORIZON,
    BEFORE_START,
    changes_if_known,
    digest_of,
)
from nornmail.testing.stores import WAYS
from nornmail.uidset import UidSet
from tests.stores.support import entry, key, record
from tests.stores.test_random_steps import Dictionaries, Walk
from tests.support.clock import FakeClock

RAW = b"From: a@b.test\r\nMessage-ID: <1@b>\r\n\r\nbody\r\n"

SECOND = record(2)._replace(epoch=record(2).epoch._replace(boundary=7))
"""An epoch before which there were messages up to UID 6."""


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A poller's ledger that has the lease, in the first epoch of its mailbox."""
    settings = ImapSettings(host="imap.example.com", username="agent@example.com", password="x")
    store = MemoryStateStore()
    with (
        closing(store),
        closing(
            Poller(settings, store=store, on_message=lambda _: None, clock=FakeClock())
        ) as poller,
    ):
        ledger = poller._ledger
        ledger.take()
        ledger.commit(SaveMailbox(record()))
        yield ledger


def held(ledger: Ledger) -> Ledger:
    """The same, after everything was read again."""
    ledger.take()
    return ledger


def test_only_what_is_there_is_read(ledger: Ledger) -> None:
    ledger.commit(PutEntry(entry(State.CLAIMED, 2), RAW))
    assert [one.key for one in ledger.get([key(1), key(2), key(3)])] == [key(2)]


def test_what_was_handled_stays_so_although_another_poller_gave_the_claim_up(
    ledger: Ledger,
) -> None:
    ledger.commit(PutEntry(entry(State.CLAIMED), RAW))
    ledger.later(PutEntry(entry(State.HANDLED)))
    ledger._give_back()
    lease = ledger.store.acquire(ledger.mailbox, "another")
    ledger.store.commit(lease, [PutEntry(entry(State.WAITING))])
    ledger.store.release(lease)
    ledger.take()
    assert ledger.store.get(ledger.mailbox, key()) == entry(State.HANDLED)


def test_a_reconciliation_that_ends_may_set_the_cut_and_keeps_it_otherwise(ledger: Ledger) -> None:
    cuts = []
    for cut in (None, 12.5, None):
        ledger.finish_reconciliation(cut=cut)
        assert ledger.record is not None
        cuts.append(ledger.record.cut)
    assert cuts == [None, 12.5, 12.5]
    assert ledger.store.load(ledger.mailbox) == ledger.record


def test_the_record_is_read_again_after_something_was_forgotten(ledger: Ledger) -> None:
    for state in (State.CLAIMED, State.HANDLED, State.FINISHED):
        ledger.commit(PutEntry(entry(state)._replace(changed_at=1.0, received_at=0.5)))
    assert ledger.forget(2.0, 10) == 1
    assert ledger.record is not None
    assert ledger.record.horizon == 0.5


def test_of_the_highest_uid_only_what_it_is_compared_by_is_kept(ledger: Ledger) -> None:
    sender = "kim@example.org"
    known = digest_of(RAW)
    finished = [
        entry(State.FINISHED, uid, digest=known)._replace(verified_sender=sender) for uid in (1, 2)
    ]
    for step in finished:
        for state in WAYS[State.FINISHED]:
            ledger.commit(PutEntry(step._replace(state=state)))
    assert ledger.forget(1e12, 9) == 2
    (kept,) = ledger.entries(*State)
    assert (kept.key, kept.digest, kept.reason) == (key(2), known, KEPT)
    assert not ledger.store.has_verified_sender(sender)
    assert ledger.forget(ledger.clock.wall(), 9) == 0


def test_messages_that_wait_for_an_inbox_do_not_take_the_places_of_others(ledger: Ledger) -> None:
    for uid, others in ((1, State.WAITING), (2, State.WAITING), (3, State.CLAIMED)):
        for inbox, state in (("a", State.CLAIMED), ("b", others)):
            ledger.commit(PutEntry(entry(state, uid, inbox=inbox), RAW))
        ledger.commit(PutEntry(entry(State.HANDLED, uid, inbox="a")))
    ledger.commit(PutEntry(entry(State.HANDLED, 3, inbox="b")))
    chosen = held(ledger).open_actions(2)
    assert [[(one.key.uid, one.key.inbox) for one in entries] for entries in chosen] == [
        [(3, "a"), (3, "b")]
    ]


def test_the_siblings_of_an_earlier_epoch_are_those_that_are_asked_for(ledger: Ledger) -> None:
    ledger.commit(PutEntry(entry(State.NEW, 3)), PutEntry(entry(State.NEW, 3, epoch=2)))
    assert [one.key for one in ledger.siblings(3)] == [key(3)]
    assert [one.key for one in ledger.siblings(3, 2)] == [key(3, epoch=2)]


def test_what_is_due_now_is_nothing_to_wait_for() -> None:
    opened = OpenEntries([entry(State.WAITING, uid, due_at=10.0 * uid) for uid in (1, 2, 3)])
    assert opened.until_due(20.0, longest=100.0) == 10.0
    assert opened.until_due(30.0, longest=100.0) is None


def test_the_bytes_of_what_waits_from_an_earlier_epoch_are_kept_where_they_are_missing(
    ledger: Ledger,
) -> None:
    digest = digest_of(RAW)
    known = entry(State.WAITING, 3, digest=digest)._replace(size=len(RAW))
    ledger.commit(PutEntry(known))
    ledger.commit(SaveMailbox(SECOND))
    now = entry(State.NEW, 5, epoch=2, digest=digest)._replace(size=len(RAW))
    changes = changes_if_known(held(ledger), now, RAW)
    assert KeepRaw(key(5, epoch=2), RAW) in changes
    ledger.commit(*changes)
    assert ledger.store.raw(ledger.mailbox, key(5, epoch=2)) == RAW


def test_what_arrives_in_an_epoch_is_not_compared_with_the_one_before(ledger: Ledger) -> None:
    lasting = entry(State.WAITING, 3, digest=digest_of(RAW))._replace(size=len(RAW))
    ledger.commit(PutEntry(lasting, RAW), SaveMailbox(SECOND))
    alike = entry(State.NEW, 7, epoch=2, digest=digest_of(RAW))._replace(size=len(RAW))
    assert changes_if_known(held(ledger), alike, RAW) == []
    assert changes_if_known(ledger, alike._replace(key=key(6, epoch=2), digest=None), RAW) == []
    unknown = alike._replace(key=key(6, epoch=2), digest=Digest("another"))
    assert changes_if_known(ledger, unknown, RAW) == []


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        pytest.param({"horizon": 100.0}, BEFORE_HORIZON, id="older than the retention"),
        pytest.param({"cut": 1e6}, BEFORE_START, id="older than the start"),
        pytest.param({"horizon": 40.0, "cut": 40.0}, "", id="newer than both"),
        pytest.param({}, "", id="without either"),
    ],
)
@pytest.mark.parametrize("epoch", [1, 2])
def test_what_stood_there_before_and_is_unknown_may_be_too_old(
    ledger: Ledger, epoch: int, facts: dict[str, Any], reason: str
) -> None:
    before = record(epoch)
    ledger.commit(SaveMailbox(before._replace(epoch=before.epoch._replace(boundary=9), **facts)))
    new = entry(State.NEW, 5, epoch=epoch, digest=digest_of(RAW))._replace(received_at=50.0)
    ledger.retention = ledger.clock.wall()  # longer than the epoch is
    changes = changes_if_known(ledger, new, RAW)
    passed_over = new._replace(state=State.PASSED_OVER, due_at=0.0, reason=reason)
    if epoch == 1 and reason == BEFORE_HORIZON:
        reason = ""  # the UIDs of what was removed are known
    assert changes == ([PutEntry(passed_over)] if reason else [])
    ledger.retention = 1.0
    if reason == BEFORE_HORIZON:
        assert changes_if_known(ledger, new, RAW) == [], "what was removed may be of this epoch"


# What is in memory


class LedgerWalk(Walk):
    """Random changes that a ledger commits; what was gone is not moved."""

    def __init__(self, ledger: Ledger, seed: int, inboxes: tuple[str, ...]) -> None:
        self.ledger = ledger
        self._inboxes = inboxes
        super().__init__(ledger.store, seed)
        self._steps = [self._changes]

    def take(self) -> None:
        self.ledger.take()

    def _key(self) -> EntryKey:
        return super()._key()._replace(inbox=self._pick(*self._inboxes))

    def _change(self) -> Change:
        while True:
            change = super()._change()
            if self._can_happen(change):
                return change

    def _can_happen(self, change: Change) -> bool:
        """Entries are moved into the current epoch, and what is dead is revived with its bytes."""
        match change:
            case Rekey(before, after):
                current = self.ledger.epoch.number
                moves = before.epoch < current == after.epoch
                return moves and self.expected.state(before) not in (State.GONE, None)
            case PutEntry(one, raw):
                revived = self.expected.state(one.key) is State.DEAD and raw is None
                return one.key.epoch <= self.ledger.epoch.number and not revived
            case PassOver(epoch, uids):
                return epoch == self.ledger.epoch.number and min(uids) > 5
            case SaveMailbox(new):
                return new.epoch.number >= self.ledger.epoch.number
        return True

    def _changes(self, expected: Dictionaries | None) -> None:
        if expected is not None:
            self._made = [self._change()]
            expected.apply(self._made[0])
            return
        if not self.ledger.held:
            self.ledger.take()
        self.ledger.commit(*self._made)


@pytest.mark.parametrize(
    ("seed", "inboxes"), [(1, ("",)), (2, ("a@b.test", "c@d.test"))], ids=["alone", "inboxes"]
)
def test_a_ledger_knows_what_one_that_reads_the_store_anew_knows(
    ledger: Ledger, seed: int, inboxes: tuple[str, ...]
) -> None:
    walk = LedgerWalk(ledger, seed, inboxes)
    walk.expected.record = ledger.record
    for _ in range(120):
        walk.step()
        anew = Ledger(ledger.store, ledger.mailbox, ledger.context)
        anew._read()
        if not ledger.held:
            ledger.take()
            continue
        assert ledger.record == anew.record == walk.expected.record
        assert ledger.open._due == anew.open._due
        assert ledger.open.without_bytes == anew.open.without_bytes
        for state in State:
            assert ledger.count(state) == len(ledger.entries(state))
        if inboxes == ("",):
            assert ledger.seen == anew.seen
        alone = [ledger.open.alone.get(key) for key in ledger.open.keys(State.HANDLED)]
        assert [one for one in alone if one] == [
            one for one in ledger.entries(State.HANDLED) if not one.key.inbox and one in alone
        ]
        assert ledger.open.alone.keys() <= set(ledger.open.keys(State.HANDLED))


def test_open_entries_come_by_due_time_and_state() -> None:
    opened = OpenEntries(
        [
            entry(State.WAITING, 1, due_at=30.0),
            entry(State.WAITING, 2, due_at=10.0),
            entry(State.CLAIMED, 3, due_at=20.0),
        ],
        [key(2)],
    )
    assert opened.keys(State.WAITING) == [key(2), key(1)]
    assert opened.keys(State.CLAIMED, State.WAITING) == [key(2), key(3), key(1)]
    assert opened.due(10.0, longest=100.0) == [key(2)]
    assert opened.due(30.0, longest=100.0) == [key(2), key(1)]
    assert opened.due(0.0, longest=9.0) == [key(2), key(1)], "further ahead than any wait is"
    assert opened.unsettled() == {(1, 1), (1, 2), (1, 3)}
    opened.move(key(2), key(9, epoch=2))
    assert (opened.without_bytes, opened.keys(State.WAITING)) == (
        {key(9, epoch=2)},
        [key(9, epoch=2), key(1)],
    )


# Leases


class Trouble(MemoryStateStore):
    """Fails in the method that is named, before its work or behind it."""

    def __init__(self) -> None:
        super().__init__()
        self.before: dict[str, BaseException] = {}
        self.behind: dict[str, BaseException] = {}
        self.released: list[int] = []

    def _do(self, name: str, work: Callable[[], Any]) -> Any:
        if name in self.before:
            raise self.before.pop(name)
        result = work()
        if name in self.behind:
            raise self.behind.pop(name)
        return result

    def commit(self, lease: Lease, changes: Sequence[Change]) -> None:
        self._do("commit", lambda: super(Trouble, self).commit(lease, changes))

    def load(self, mailbox: MailboxKey) -> MailboxRecord | None:
        return cast(
            "MailboxRecord | None", self._do("load", lambda: super(Trouble, self).load(mailbox))
        )

    def release(self, lease: Lease) -> None:
        self.released.append(lease.token)
        self._do("release", lambda: super(Trouble, self).release(lease))


@pytest.fixture
def troubled(ledger: Ledger) -> Iterator[tuple[Ledger, Trouble]]:
    """A ledger on a store that fails, with a record and a claim."""
    with closing(Trouble()) as store:
        made = Ledger(store, ledger.mailbox, ledger.context)
        made.take()
        made.commit(SaveMailbox(record()), PutEntry(entry(State.CLAIMED), RAW))
        yield made, store


@pytest.mark.parametrize("behind", [False, True], ids=["not written", "written"])
@pytest.mark.parametrize("error", [StoreError("disk"), KeyboardInterrupt()], ids=repr)
def test_after_a_commit_of_which_nothing_is_known_the_store_is_read_anew(
    troubled: tuple[Ledger, Trouble], error: BaseException, behind: bool
) -> None:
    ledger, store = troubled
    (store.behind if behind else store.before)["commit"] = error
    ledger.finish_recovery()
    ledger.later(PutEntry(entry(State.HANDLED)))
    with pytest.raises(type(error)):
        ledger.commit(PutEntry(entry(State.CLAIMED, 2)))
    assert not ledger.held
    assert not ledger.was_delivered(entry(State.CLAIMED, 2)), "this process did not deliver it"
    assert ledger.was_delivered(entry(State.CLAIMED))
    with pytest.raises(LeaseLost, match="no lease on"):
        ledger.commit(PutEntry(entry(State.CLAIMED, 3)))
    ledger.flush()
    ledger.take()
    assert store.released == [1]
    assert (ledger.held, ledger.recovered) == (True, False)
    assert store.get(ledger.mailbox, key()) == entry(State.HANDLED)
    assert ledger.open.has(State.HANDLED, key())
    assert ledger.open.has(State.CLAIMED, key(2)) is behind
    ledger.finish_recovery()
    assert ledger.recovered
    assert ledger.was_delivered(entry(State.CLAIMED, 2))


def test_a_lease_that_another_has_taken_forgets_what_was_put_down(
    troubled: tuple[Ledger, Trouble],
) -> None:
    ledger, store = troubled
    ledger.later(PutEntry(entry(State.HANDLED)))
    store.before["commit"] = LeaseLost("taken")
    with pytest.raises(LeaseLost, match="taken"):
        ledger.flush()
    ledger.take()
    assert store.get(ledger.mailbox, key()) == entry(State.CLAIMED)


def test_what_was_put_down_of_a_new_message_is_written_with_the_next_lease(
    troubled: tuple[Ledger, Trouble],
) -> None:
    ledger, store = troubled
    ledger.later(PutEntry(entry(State.WAITING, 5), RAW))
    ledger._give_back()
    ledger.take()
    assert store.get(ledger.mailbox, key(5)) == entry(State.WAITING, 5)
    assert ledger.raw(key(5)) == RAW


def test_a_take_that_fails_keeps_no_lease(troubled: tuple[Ledger, Trouble]) -> None:
    ledger, store = troubled
    store.before["load"] = StoreError("disk")
    with pytest.raises(StoreError):
        ledger.take()
    assert not ledger.held
    ledger.take()
    assert store.released == [1, 2]
    ledger.release()
    ledger.release()
    assert store.released == [1, 2, 3]
    store.release(store.acquire(ledger.mailbox, "another"))


def test_what_waits_is_written_before_the_lease_is_given_back(
    troubled: tuple[Ledger, Trouble],
) -> None:
    ledger, store = troubled
    ledger.later(PutEntry(entry(State.HANDLED)))
    ledger.release()
    assert store.get(ledger.mailbox, key()) == entry(State.HANDLED)
    ledger.take()
    ledger.later(PutEntry(entry(State.FINISHED)))
    store.before["commit"] = StoreError("disk")
    with pytest.raises(StoreError):
        ledger.release()
    assert store.released[-1] == 2
    ledger.take()
    assert store.get(ledger.mailbox, key()) == entry(State.FINISHED)


def test_an_outcome_whose_commit_was_interrupted_is_written_at_the_release(
    troubled: tuple[Ledger, Trouble],
) -> None:
    ledger, store = troubled
    ledger.later(PutEntry(entry(State.HANDLED)))
    store.before["commit"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        ledger.flush()
    ledger.release()
    assert store.get(ledger.mailbox, key()) == entry(State.HANDLED)
    assert not ledger.held
    assert store.released == [1, 2]


def test_a_release_that_was_interrupted_is_done_by_the_next_take(
    troubled: tuple[Ledger, Trouble],
) -> None:
    ledger, store = troubled
    store.before["release"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        ledger.release()
    assert not ledger.held
    ledger.take()
    assert store.released == [1, 1]


@pytest.mark.parametrize("failing", [False, True], ids=["the flush works", "the flush fails"])
@pytest.mark.parametrize("raised", [False, True], ids=["the block ends", "the block raises"])
def test_a_block_flushes_at_its_end(
    troubled: tuple[Ledger, Trouble],
    raised: bool,
    failing: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ledger, store = troubled
    error = RuntimeError("the block") if raised else StoreError("the flush") if failing else None

    def block() -> None:
        with ledger.flushing():
            ledger.later(PutEntry(entry(State.HANDLED)))
            if failing:
                store.before["commit"] = StoreError("the flush")
            if raised:
                raise RuntimeError("the block")

    if error is None:
        block()
    else:
        with pytest.raises(type(error), match=str(error)):
            block()
    written = State.CLAIMED if failing else State.HANDLED
    assert store.get(ledger.mailbox, key()) == entry(written)
    assert ("kept for the next commit: the flush" in caplog.text) is (raised and failing)


# Outcomes


def test_the_last_outcome_counts_and_keeps_the_bytes_of_the_one_before(ledger: Ledger) -> None:
    ledger.commit(PutEntry(entry(State.CLAIMED)), PutEntry(entry(State.CLAIMED, 2)))
    ledger.later(PutEntry(entry(State.WAITING), RAW))
    ledger.later(PutEntry(entry(State.DEAD)))
    ledger.later(PutEntry(entry(State.WAITING, 2), b"old"))
    ledger.later(PutEntry(entry(State.WAITING, 2), b"new"))
    assert ledger.count(State.CLAIMED) == 2, "it is put down, not written"
    ledger.flush()
    assert ledger.raw(key()) == RAW
    assert ledger.raw(key(2)) == b"new"
    ledger.flush()


@pytest.mark.parametrize(
    ("meanwhile", "outcome", "after"),
    [
        pytest.param(None, State.HANDLED, "claimed", id="it is claimed: with the next commit"),
        pytest.param(State.WAITING, State.HANDLED, "handled", id="another recovered it"),
        pytest.param(State.DEAD, State.HANDLED, "handled", id="another gave it up"),
        pytest.param(State.WAITING, State.DEAD, "dead", id="another recovered what is dead"),
        pytest.param(State.HANDLED, State.HANDLED, "handled", id="it is written already"),
        pytest.param(State.HANDLED, State.DEAD, "handled", id="another handled it"),
    ],
)
def test_the_outcome_of_a_call_that_began_long_ago(
    ledger: Ledger, meanwhile: State | None, outcome: State, after: str
) -> None:
    ledger.commit(PutEntry(entry(State.CLAIMED), RAW))
    if meanwhile is not None:
        ledger.commit(PutEntry(entry(meanwhile)))
    ledger.settle(PutEntry(entry(outcome)))
    stored = ledger.store.get(ledger.mailbox, key())
    assert stored is not None
    assert stored.state == after
    ledger.flush()
    assert ledger.store.get(ledger.mailbox, key()) == entry(
        outcome if meanwhile is not State.HANDLED else State.HANDLED
    )


def test_the_outcome_of_a_claim_goes_to_its_new_uid_also_twice(ledger: Ledger) -> None:
    ledger.commit(PutEntry(entry(State.CLAIMED, 3)), PutEntry(entry(State.WAITING, 4)))
    for number, uid, validity in ((2, 5, 8), (3, 6, 9)):
        ledger.commit(
            SaveMailbox(record(number)),
            Rekey(key(3 if number == 2 else 5, epoch=number - 1), key(uid, epoch=number), validity),
        )
    ledger.commit(Rekey(key(4), key(7, epoch=3), 9))
    assert ledger.current(key(3)) == key(6, epoch=3)
    assert ledger.current(key(4)) == key(4), "it is not claimed"
    for held in (True, False):
        if not held:
            ledger._give_back()
        ledger.settle(PutEntry(entry(State.HANDLED, 3)))
    ledger.take()
    (stored,) = ledger.entries(State.HANDLED)
    assert stored.key == key(6, epoch=3)
    assert str(ledger.seen) == "6:7"


@pytest.mark.parametrize("behind", [False, True], ids=["not written", "written"])
@pytest.mark.parametrize("outcome", [State.HANDLED, State.WAITING], ids=str)
def test_a_claim_keeps_its_call_when_it_is_not_known_whether_it_has_its_new_uid(
    troubled: tuple[Ledger, Trouble], outcome: State, behind: bool
) -> None:
    ledger, store = troubled
    ledger.commit(SaveMailbox(record(2)))
    (store.behind if behind else store.before)["commit"] = StoreError("disk")
    with pytest.raises(StoreError):
        ledger.commit(Rekey(key(), key(5, epoch=2), 8))
    ledger.take()
    now = key(5, epoch=2) if behind else key()
    assert ledger.current(key()) == now
    ledger.settle(PutEntry(entry(outcome)))
    ledger.flush()
    assert [(one.key, one.state) for one in ledger.entries(*State)] == [(now, outcome)]


def test_the_outcome_of_a_claim_that_another_poller_moved_makes_no_second_entry(
    ledger: Ledger,
) -> None:
    ledger.commit(PutEntry(entry(State.CLAIMED)))
    ledger.release()
    lease = ledger.store.acquire(ledger.mailbox, "another")
    ledger.store.commit(lease, [SaveMailbox(record(2)), Rekey(key(), key(5, epoch=2), 8)])
    ledger.store.release(lease)
    ledger.take()
    ledger.settle(PutEntry(entry(State.WAITING)))
    ledger.flush()
    assert [one.key for one in ledger.entries(*State)] == [key(5, epoch=2)]


# What is chosen


def test_what_is_known_of_earlier_epochs_is_told_from_what_is_of_this_one(ledger: Ledger) -> None:
    digest = digest_of(RAW)
    for uid, state in ((1, State.HANDLED), (2, State.NEW), (3, State.WAITING)):
        for step in WAYS[state]:
            ledger.commit(PutEntry(entry(step, uid, digest=digest)))
    assert ledger.find_by_digest(digest.header) == []
    ledger.commit(SaveMailbox(record(2)))
    assert [one.key.uid for one in ledger.find_by_digest(digest.header)] == [1, 2, 3]
    for uid, state in ((4, State.HANDLED), (5, State.NEW), (6, State.WAITING)):
        for step in WAYS[state]:
            ledger.commit(PutEntry(entry(step, uid, epoch=2, digest=digest, due_at=-1.0 * uid)))
    assert [[one.key.uid for one in message] for message in ledger.open_actions(9)] == [[4]]
    assert [one.key.uid for one in ledger.stranded_actions(9)] == [1]
    assert ledger.stranded_actions(0) == []
    assert str(ledger.undelivered()) == "5"
    assert [one.key.uid for one in ledger.entries_without_bytes()] == [6, 3, 2]
    assert str(ledger.seen) == "4:6"
    ledger.commit(KeepRaw(key(3), RAW), KeepRaw(key(6, epoch=2), RAW))
    assert [one.key.uid for one in ledger.entries_without_bytes()] == [2]
    assert ledger.raw(key(2)) is None
    ledger.store._connection.execute("DELETE FROM raw")  # type: ignore[attr-defined]
    assert ledger.raw(key(3)) is None
    assert [one.key.uid for one in ledger.entries_without_bytes()] == [3, 2], "fetched again"


def test_equal_messages_that_are_finished_are_counted_once_for_all_their_inboxes(
    ledger: Ledger,
) -> None:
    digest, other = digest_of(RAW), digest_of(RAW + b"more")
    for uid, inbox, known, state in (
        (1, "a", digest, State.FINISHED), (1, "b", digest, State.FINISHED),
        (2, "a", digest, State.FINISHED), (3, "a", digest, State.HANDLED),
        (4, "a", other, State.FINISHED),
    ):  # fmt: skip
        for step in WAYS[state]:
            ledger.commit(PutEntry(entry(step, uid, inbox=inbox, digest=known)))
    assert ledger.finished_like(entry(State.NEW, 9, digest=digest)) == 2
    assert ledger.finished_like(entry(State.NEW, 9)) == 0
    longer = entry(State.NEW, 9, digest=digest)._replace(size=ledger.siblings(1)[0].size + 2)
    assert ledger.finished_like(longer) == 0, "only its line ends may differ"
    assert ledger.finished_like(longer._replace(message_id="<a@example.com>")) == 2
    ledger.commit(SaveMailbox(record(2)))
    assert ledger.finished_like(entry(State.NEW, 9, epoch=2, digest=digest)) == 2


def test_a_poll_is_noted_when_it_found_something_and_now_and_then(ledger: Ledger) -> None:
    clock = ledger.clock
    assert isinstance(clock, FakeClock)
    noted: list[bool] = []
    for seconds, new in (
        (0.0, True), (299.0, False), (1.0, False), (299.0, False), (0.0, True), (-300.0, False),
    ):  # fmt: skip
        clock.advance(seconds)
        before = ledger.record
        ledger.commit(PassOver(1, UidSet.of([len(noted) + 1])))
        ledger.note_poll(something_new=new)
        noted.append(ledger.record != before)
        assert ledger.record is not None
        if noted[-1]:
            assert ledger.record.polled_at == clock.wall()
            assert ledger.record.watermark == Watermark(7, len(noted))
    assert noted == [True, False, True, False, True, True]
    assert ledger.store.load(ledger.mailbox) == ledger.record


def test_before_the_first_run_there_is_no_epoch(troubled: tuple[Ledger, Trouble]) -> None:
    made, _ = troubled
    with closing(MemoryStateStore()) as store:
        ledger = Ledger(store, made.mailbox, made.context)
        assert ledger.forget(1e12, 9) == 0
        assert not ledger.recovered
        ledger.commit()
        ledger.flush()
        ledger.take()
        ledger.commit(PutEntry(entry(State.NEW)))
        assert str(ledger.seen) == ""
        ledger.note_poll(something_new=True)
        ledger.finish_reconciliation()
        ledger.commit()
        with pytest.raises(LookupError, match="no epoch before its first run"):
            _ = ledger.epoch
        assert store.load(made.mailbox) is None
        ledger.begin_epoch(record().epoch, UidSet.parse("1:3"), cut=4.0)
        assert ledger.record == record()._replace(cut=4.0)
        assert str(ledger.seen) == "1:3"
        polled = record()._replace(polled_at=9.0, horizon=3.0)
        ledger.commit(SaveMailbox(polled))
        ledger.listed = UidSet.of([1])
        ledger.begin_epoch(record(2).epoch, UidSet(), cut=None)
        assert ledger.record == record(2)._replace(polled_at=9.0, horizon=3.0)
        assert (ledger.seen, ledger.absent) == (UidSet(), UidSet())
        assert vars(ledger)["listed"] is None


def test_a_new_entry_has_what_is_given_and_no_more(ledger: Ledger) -> None:
    assert ledger.new_entry(3, "a@b.test") == Entry(
        key=key(3, inbox="a@b.test"),
        uid_validity=7,
        state=State.NEW,
        delivery_id=delivery_id_of(ledger.mailbox, ledger.epoch, key(3, inbox="a@b.test")),
        changed_at=ledger.clock.wall(),
    )


def test_what_is_gone_is_absent_and_new_when_it_is_listed_again(ledger: Ledger) -> None:
    ledger.commit(PutEntry(entry(State.WAITING)))
    assert (str(ledger.seen), str(ledger.absent)) == ("1", "")
    ledger.commit(PutEntry(entry(State.GONE)))
    assert (str(ledger.seen), str(ledger.absent)) == ("", "1")
    ledger.take()
    assert (str(ledger.seen), str(ledger.absent)) == ("", "")


def test_an_event_is_emitted_for_what_is_durable(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    emitted: list[tuple[str, str]] = []
    monkeypatch.setattr(
        ledger.context.emit,
        "changes",
        lambda box, changes: emitted.extend(
            (box, str(change.entry.state)) for change in changes if isinstance(change, PutEntry)
        ),
    )
    ledger.commit(PutEntry(entry(State.CLAIMED)), PassOver(1, UidSet.of([9])))
    ledger.later(PutEntry(entry(State.HANDLED)))
    ledger._give_back()
    assert emitted == [("INBOX", "claimed")]
    ledger.take()
    assert emitted == [("INBOX", "claimed"), ("INBOX", "handled")]
