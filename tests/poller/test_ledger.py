"""The ledger by itself: what it takes from a store, writes to it, and chooses from its entries."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from nornmail import ImapSettings, MemoryStateStore, Poller
from nornmail.model import Digest, KeepRaw, PutEntry, SaveMailbox, State
from nornmail.poller.ledger import Ledger, OpenEntries
from nornmail.poller.recognition import changes_if_known, digest_of
from tests.stores.support import entry, key, record
from tests.support.clock import FakeClock

RAW = b"From: a@b.test\r\nMessage-ID: <1@b>\r\n\r\nbody\r\n"

SECOND = replace(record(2), epoch=replace(record(2).epoch, boundary=7))
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
        ledger.commit(PutEntry(replace(entry(state), changed_at=1.0, received_at=0.5)))
    assert ledger.forget(2.0, 10) == 1
    assert ledger.record is not None
    assert ledger.record.horizon == 0.5


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
    known = replace(entry(State.WAITING, 3, digest=digest), size=len(RAW))
    ledger.commit(PutEntry(known))
    ledger.commit(SaveMailbox(SECOND))
    now = replace(entry(State.NEW, 5, epoch=2, digest=digest), size=len(RAW))
    changes = changes_if_known(held(ledger), now, RAW)
    assert KeepRaw(key(5, epoch=2), RAW) in changes
    ledger.commit(*changes)
    assert ledger.store.raw(ledger.mailbox, key(5, epoch=2)) == RAW


def test_what_arrives_in_an_epoch_is_not_compared_with_the_one_before(ledger: Ledger) -> None:
    lasting = replace(entry(State.WAITING, 3, digest=digest_of(RAW)), size=len(RAW))
    ledger.commit(PutEntry(lasting, RAW), SaveMailbox(SECOND))
    alike = replace(entry(State.NEW, 7, epoch=2, digest=digest_of(RAW)), size=len(RAW))
    assert changes_if_known(held(ledger), alike, RAW) == []
    assert changes_if_known(ledger, replace(alike, key=key(6, epoch=2), digest=None), RAW) == []
    unknown = replace(alike, key=key(6, epoch=2), digest=Digest("another"))
    assert changes_if_known(ledger, unknown, RAW) == []
