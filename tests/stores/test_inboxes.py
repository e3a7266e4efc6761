"""Inboxes that are made while a program runs: every store remembers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from nornmail.model import InboxRecord, Lease
from nornmail.stores.protocol import StateStore
from tests.stores.support import INBOX

OTHER = INBOX._replace(account="another")


def record(name: str, at: float = 1.0) -> InboxRecord:
    address = f"{name}@example.com"
    return InboxRecord(id=name, name=f"the {name}", address=address, created_at=at)


ODD = InboxRecord(
    id="odd",
    name="\udcff\0 \U0001f98a",
    address="\u00fc\udc80@example.com",
    created_at=2.0,
    backfill=True,
)


def test_there_are_none_at_first(store: StateStore) -> None:
    assert store.inboxes(INBOX) == []
    assert not store.forget_inbox(INBOX, "one")


def test_they_come_in_the_order_in_which_they_were_made(store: StateStore) -> None:
    for one in (record("b", 2.0), record("c", 1.0), record("a", 2.0)):
        store.save_inbox(INBOX, one)
    assert [one.id for one in store.inboxes(INBOX)] == ["c", "a", "b"]


def test_one_takes_the_place_of_the_one_with_its_id(store: StateStore) -> None:
    store.save_inbox(INBOX, record("a"))
    store.save_inbox(INBOX, replace(record("a"), name="another"))
    assert [one.name for one in store.inboxes(INBOX)] == ["another"]


def test_one_is_forgotten_once(store: StateStore) -> None:
    store.save_inbox(INBOX, record("a"))
    store.save_inbox(INBOX, record("b"))
    assert store.forget_inbox(INBOX, "a")
    assert not store.forget_inbox(INBOX, "a")
    assert [one.id for one in store.inboxes(INBOX)] == ["b"]


def test_mailboxes_have_their_own(store: StateStore) -> None:
    store.save_inbox(INBOX, record("a"))
    store.save_inbox(OTHER, replace(record("a"), name="of another"))
    store.forget_inbox(INBOX, "a")
    assert [one.name for one in store.inboxes(OTHER)] == ["of another"]


def test_no_lease_is_needed_nor_in_the_way(store: StateStore, lease: Lease) -> None:
    store.save_inbox(INBOX, record("a"))
    store.commit(lease, [])
    assert [one.id for one in store.inboxes(INBOX)] == ["a"]


def test_they_are_there_when_the_store_is_opened_again(reopen: Callable[[], StateStore]) -> None:
    kept = [record("a"), ODD]
    store = reopen()
    for one in [*kept, record("gone")]:
        store.save_inbox(INBOX, one)
    store.forget_inbox(INBOX, "gone")
    assert reopen().inboxes(INBOX) == kept


def test_one_comes_back_as_it_went_in(store: StateStore) -> None:
    for number, one in enumerate((record("plain"), ODD)):
        mailbox = INBOX._replace(account=str(number))
        store.save_inbox(mailbox, one)
        assert store.inboxes(mailbox) == [one]
