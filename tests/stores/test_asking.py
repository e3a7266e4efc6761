"""Requests to try dead mail again, and which mailboxes a store knows; asked of every store."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nornmail.errors import IllegalTransition, StoreError
from nornmail.model import TRANSITIONS, Lease, MailboxKey, PutEntry, Rekey, SaveMailbox, State
from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import SqliteStateStore
from tests.stores.support import INBOX, ME, OTHER, bring, entry, key, record, run
from tests.support.table import table

NOT_DEAD = [state for state in State if state is not State.DEAD]

ASK = """
import sys
from nornmail import SqliteStateStore
from nornmail.model import EntryKey, State
store = SqliteStateStore(sys.argv[1])
(mailbox,) = store.mailboxes()
for entry in store.entries(mailbox, {State.DEAD}):
    store.request_retry(mailbox, entry.key)
store.close()
"""


def test_nothing_is_asked_for_at_first(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.DEAD)
    assert store.retry_requests(INBOX) == []
    assert store.retry_requests(OTHER) == []


def test_a_request_needs_no_lease_and_changes_no_entry(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.DEAD)
    store.release(lease)
    before = store.get(INBOX, key())
    store.request_retry(INBOX, key())
    assert store.retry_requests(INBOX) == [key()]
    assert store.get(INBOX, key()) == before


def test_a_request_is_taken_beside_the_holder_of_the_lease(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.DEAD)
    store.request_retry(INBOX, key())
    store.commit(lease, [SaveMailbox(record())])
    assert store.retry_requests(INBOX) == [key()]


def test_asking_twice_is_asking_once(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.DEAD)
    store.request_retry(INBOX, key())
    store.request_retry(INBOX, key())
    assert store.retry_requests(INBOX) == [key()]


def test_requests_come_in_the_order_of_their_keys(store: StateStore, lease: Lease) -> None:
    keys = [key(9), key(2, inbox="b@x"), key(2, inbox="a@x"), key(1, epoch=2)]
    for one in keys:
        bring(store, lease, State.DEAD, one.uid, epoch=one.epoch, inbox=one.inbox)
        store.request_retry(INBOX, one)
    assert store.retry_requests(INBOX) == sorted(keys)


@table(("uid", "state"), enumerate(NOT_DEAD))
def test_only_what_is_dead_can_be_asked_for(
    store: StateStore, lease: Lease, uid: int, state: State
) -> None:
    bring(store, lease, state, uid)
    with pytest.raises(IllegalTransition, match=f"it is {state}"):
        store.request_retry(INBOX, key(uid))
    assert store.retry_requests(INBOX) == []


def test_what_is_not_there_cannot_be_asked_for(store: StateStore, lease: Lease) -> None:
    for mailbox in (INBOX, OTHER):
        with pytest.raises(IllegalTransition, match="no such entry"):
            store.request_retry(mailbox, key())


@table("after", sorted(TRANSITIONS[State.DEAD]))
def test_a_request_is_gone_when_the_entry_is_no_longer_dead(
    store: StateStore, after: State
) -> None:
    mailbox = MailboxKey("agent@example.com", after)
    lease = store.acquire(mailbox, ME)
    bring(store, lease, State.DEAD)
    bring(store, lease, State.DEAD, 2)
    for uid in (1, 2):
        store.request_retry(mailbox, key(uid))
    store.commit(lease, [PutEntry(entry(after))])
    assert store.retry_requests(mailbox) == [key(2)]


def test_an_entry_that_dies_again_is_not_asked_for(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.DEAD)
    store.request_retry(INBOX, key())
    store.commit(lease, [PutEntry(entry(State.CLAIMED)), PutEntry(entry(State.DEAD))])
    assert store.retry_requests(INBOX) == []


def test_a_refused_commit_leaves_the_request(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.DEAD)
    store.request_retry(INBOX, key())
    with pytest.raises(IllegalTransition):
        store.commit(lease, [PutEntry(entry(State.CLAIMED)), PutEntry(entry(State.NEW))])
    assert store.retry_requests(INBOX) == [key()]


def test_a_request_goes_with_its_entry_into_a_new_epoch(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.DEAD)
    bring(store, lease, State.DEAD, 2)
    store.request_retry(INBOX, key())
    store.commit(lease, [Rekey(key(), key(5, epoch=2), 8), Rekey(key(2), key(6, epoch=2), 8)])
    assert store.retry_requests(INBOX) == [key(5, epoch=2)]


def test_a_request_of_a_mailbox_is_none_of_another(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.DEAD)
    bring(store, store.acquire(OTHER, ME), State.DEAD)
    store.request_retry(OTHER, key())
    assert (store.retry_requests(INBOX), store.retry_requests(OTHER)) == ([], [key()])


@pytest.mark.parametrize("folded", [False, True], ids=["as written", "after a fold"])
def test_a_request_survives_a_restart(
    reopen: Callable[[], StateStore], folded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if folded:
        monkeypatch.setattr("nornmail.stores.json_store.JOURNAL_FLOOR_BYTES", 1)
    store = reopen()
    lease = store.acquire(INBOX, ME)
    for uid in (1, 2, 3):
        bring(store, lease, State.DEAD, uid)
    for uid in (1, 2):
        store.request_retry(INBOX, key(uid))
    store.commit(lease, [PutEntry(entry(State.CLAIMED, 2))])
    assert reopen().retry_requests(INBOX) == [key(1)]


def test_another_process_asks_beside_the_holder_of_the_lease(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqliteStateStore(path)
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.DEAD)
    run(ASK, path)
    assert store.retry_requests(INBOX) == [key()]
    store.commit(lease, [PutEntry(entry(State.CLAIMED))])
    assert store.retry_requests(INBOX) == []
    store.close()


def test_another_process_is_told_of_sqlite_by_a_json_store(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    store = JsonStateStore(path)
    with pytest.raises(StoreError, match="SqliteStateStore"):
        JsonStateStore(path)
    store.close()


def test_a_new_store_knows_no_mailbox(store: StateStore) -> None:
    assert store.mailboxes() == []


def test_the_mailboxes_are_those_that_a_lease_was_taken_of(store: StateStore) -> None:
    keys = [MailboxKey("b@x", "INBOX"), OTHER, INBOX, MailboxKey("agent@example.com", "Grüße")]
    for one in keys:
        store.release(store.acquire(one, ME))
    expected = sorted(keys, key=lambda one: (one.account, one.mailbox))
    assert store.mailboxes() == expected
    store.load(MailboxKey("reading", "makes no mailbox"))
    assert store.mailboxes() == expected


def test_the_mailboxes_are_known_after_a_restart(reopen: Callable[[], StateStore]) -> None:
    reopen().acquire(INBOX, ME)
    assert reopen().mailboxes() == [INBOX]
