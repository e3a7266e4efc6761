"""What every store of ours keeps beyond the published contract: odd strings, threads, restarts."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from nornmail.errors import IllegalTransition, LeaseHeld, LeaseLost, StoreError
from nornmail.model import (
    KEEPS_RAW,
    Digest,
    Entry,
    KeepRaw,
    Lease,
    MailboxKey,
    PassOver,
    PutEntry,
    Rekey,
    SaveMailbox,
    State,
)
from nornmail.stores.protocol import StateStore
from nornmail.testing.stores import StateStoreContract
from nornmail.uidset import UidSet
from tests.stores.support import INBOX, ME, OTHER, WAYS, bring, entry, key, record
from tests.support.table import table

ALL = tuple(State)
SURROGATES = ("\udc80caf\udce9", "\ud83d\ude00", "\ud800", "a\0b", "naïve \U0001f600 ")
"""Lone ones, a pair that stands as two code points, and other strings that are hard to store."""


def uids(entries: list[Entry]) -> list[int]:
    return [one.key.uid for one in entries]


def everything(store: StateStore, mailbox: MailboxKey = INBOX) -> object:
    """All that can be read of a mailbox."""
    entries = store.entries(mailbox, ALL)
    return (
        store.load(mailbox),
        entries,
        [store.raw(mailbox, one.key) for one in entries],
        [store.seen_uids(mailbox, epoch) for epoch in range(4)],
    )


class TestContract(StateStoreContract):
    """The contract as other people's stores are held to it, over the stores here."""

    @pytest.fixture(autouse=True)
    def opened(self, every_store: StateStore) -> None:
        self.store = every_store

    def setup_method(self) -> None:
        """The fixture opens the store."""


def test_every_store_keeps_the_protocol(store: StateStore) -> None:
    assert isinstance(store, StateStore)


# The lease


def test_releasing_a_stale_lease_is_harmless(store: StateStore, lease: Lease) -> None:
    store.release(lease)
    store.release(lease)
    current = store.acquire(INBOX, ME)
    store.release(lease)
    with pytest.raises(LeaseHeld):
        store.acquire(INBOX, ME)
    store.close()
    store.release(current)


@pytest.mark.parametrize("taken", [False, True], ids=["released", "taken over"])
def test_a_stale_lease_writes_nothing(store: StateStore, lease: Lease, taken: bool) -> None:
    bring(store, lease, State.CLAIMED)
    store.release(lease)
    if taken:
        store.acquire(INBOX, ME)
    before = everything(store)
    with pytest.raises(LeaseLost):
        store.commit(lease, [PutEntry(entry(State.HANDLED)), SaveMailbox(record())])
    with pytest.raises(LeaseLost):
        store.commit(lease, [])
    assert everything(store) == before


# The record


# Transitions


def test_changes_apply_in_their_order(store: StateStore, lease: Lease) -> None:
    states = (State.NEW, State.CLAIMED, State.WAITING, State.CLAIMED, State.HANDLED, State.FINISHED)
    store.commit(lease, [PutEntry(entry(state)) for state in states])
    assert store.entries(INBOX, ALL) == [entry(State.FINISHED)]
    with pytest.raises(IllegalTransition):
        store.commit(lease, [PutEntry(entry(State.HANDLED, 2)), PutEntry(entry(State.CLAIMED, 2))])
    assert store.get(INBOX, key(2)) is None


# Entries


FULL = Entry(
    key=key(2**32 - 1, epoch=3, inbox="support@example.com"),
    uid_validity=2**32 - 1,
    state=State.WAITING,
    delivery_id="0123456789abcdef" * 2,
    attempts=4,
    due_at=1_700_000_000.125,
    reason="it failed: naïve \U0001f600\r\n",
    digest=Digest("1:header", "1:body"),
    message_id="<a@b>",
    size=2**40,
    received_at=-1.5,
    truncated=True,
    changed_at=1_700_000_001.0,
)


@table(
    "one",
    [
        pytest.param(FULL, id="with every field"),
        pytest.param(entry(State.WAITING), id="with the defaults"),
        pytest.param(FULL._replace(digest=Digest("h")), id="with half a digest"),
        pytest.param(FULL._replace(digest=Digest("", "")), id="with an empty digest"),
        pytest.param(FULL._replace(received_at=0.0), id="received in 1970"),
    ],
)
def test_an_entry_comes_back_as_it_went_in(store: StateStore, one: Entry) -> None:
    mailbox = MailboxKey("agent@example.com", repr(one))
    store.commit(store.acquire(mailbox, ME), [PutEntry(one)])
    assert store.get(mailbox, one.key) == one
    assert store.entries(mailbox, [State.WAITING]) == [one]
    found = store.get(mailbox, one.key)
    assert found is not None
    assert isinstance(found.state, State)
    assert isinstance(found.truncated, bool)


def test_what_is_not_there_is_none(store: StateStore, lease: Lease) -> None:
    assert store.get(INBOX, key()) is None
    assert store.raw(INBOX, key()) is None
    bring(store, lease, State.CLAIMED)
    for other in (key(2), key(1, epoch=2), key(1, inbox="a@example.com")):
        assert store.get(INBOX, other) is None
    assert store.raw(INBOX, key()) is None


@table("text", SURROGATES, ids=ascii)
def test_any_string_is_held(store: StateStore, text: str) -> None:
    mailbox = MailboxKey(text, text)
    lease = store.acquire(mailbox, text)
    one = entry(State.WAITING, inbox=text, digest=Digest(text, text))._replace(
        delivery_id=text,
        reason=text,
        message_id=text,
    )
    store.commit(lease, [SaveMailbox(record()), PutEntry(one, b"raw")])
    assert store.entries(mailbox, [State.WAITING]) == [one]
    assert store.get(mailbox, one.key) == one
    assert store.raw(mailbox, one.key) == b"raw"
    assert store.find_by_digest(mailbox, text, before_epoch=2) == [one]
    with pytest.raises(LeaseHeld):
        store.acquire(mailbox, "b")


def test_the_inbox_is_a_part_of_the_key(store: StateStore, lease: Lease) -> None:
    for inbox in ("", "a@example.com", "b@example.com"):
        bring(store, lease, State.CLAIMED, inbox=inbox)
    store.commit(lease, [PutEntry(entry(State.HANDLED, inbox="a@example.com"))])
    assert [(one.key.inbox, one.state) for one in store.entries(INBOX, ALL)] == [
        ("", State.CLAIMED),
        ("a@example.com", State.HANDLED),
        ("b@example.com", State.CLAIMED),
    ]


def test_mailboxes_never_mix(store: StateStore, lease: Lease) -> None:
    other = store.acquire(OTHER, ME)
    digest = Digest("h")
    bring(store, lease, State.CLAIMED, digest=digest)
    store.commit(lease, [KeepRaw(key(), b"one"), PassOver(1, UidSet.of([5]))])
    assert everything(store, OTHER) == (None, [], [], [UidSet()] * 4)
    assert store.find_by_digest(OTHER, "h", before_epoch=9) == []
    bring(store, other, State.WAITING, digest=digest)
    store.commit(other, [KeepRaw(key(), b"two"), PassOver(1, UidSet.of([6]))])
    assert store.entries(INBOX, ALL) == [entry(State.CLAIMED, digest=digest)]
    assert store.entries(OTHER, ALL) == [entry(State.WAITING, digest=digest)]
    assert (store.raw(INBOX, key()), store.raw(OTHER, key())) == (b"one", b"two")
    assert (str(store.seen_uids(INBOX, 1)), str(store.seen_uids(OTHER, 1))) == ("1,5", "1,6")
    assert store.find_by_digest(INBOX, "h", before_epoch=2) == store.entries(INBOX, ALL)
    assert store.entries_without_bytes(INBOX, State.WAITING) == []
    assert (store.count(INBOX, ALL), store.count(OTHER, ALL)) == (1, 1)


ORDERED = [
    entry(State.NEW, 5),
    entry(State.WAITING, 5, inbox="b@example.com"),
    entry(State.NEW, 6, inbox=""),
    entry(State.WAITING, 6, inbox="a"),
    entry(State.NEW, 6, inbox="b"),
    entry(State.WAITING, 6, inbox="\ud7ff"),
    entry(State.NEW, 6, inbox="\udc80"),
    entry(State.NEW, 6, inbox="\ue000"),
    entry(State.NEW, 2, epoch=2),
    entry(State.WAITING, 9, due_at=1.5),
    entry(State.WAITING, 1, due_at=2.5),
    entry(State.NEW, 3, due_at=2.5),
]


def test_entries_are_ordered_by_due_time_epoch_uid_and_inbox(
    store: StateStore, lease: Lease
) -> None:
    bring(store, lease, State.DEAD, 4)
    store.commit(lease, [PutEntry(one) for one in ORDERED[1::2] + ORDERED[::2][::-1]])
    waiting = [one for one in ORDERED if one.state is State.WAITING]
    for limit in (None, *range(len(ORDERED) + 2)):
        found = store.entries(INBOX, {State.NEW, State.WAITING}, limit=limit)
        assert found == ORDERED[:limit], limit
        found = store.entries(INBOX, [State.WAITING, State.WAITING], limit=limit)
        assert found == waiting[:limit], limit
    assert store.entries_without_bytes(INBOX, State.WAITING) == waiting


def test_states_are_found_and_counted_apart(store: StateStore, lease: Lease) -> None:
    for uid, state in enumerate(ALL, start=1):
        bring(store, lease, state, uid)
        bring(store, lease, state, 100 + uid)
    for uid, state in enumerate(ALL, start=1):
        assert uids(store.entries(INBOX, [state])) == [uid, 100 + uid]
        assert store.count(INBOX, [state]) == 2
        assert uids(store.entries_without_bytes(INBOX, state)) == [uid, 100 + uid]
    assert store.entries(INBOX, []) == []
    assert store.count(INBOX, ()) == 0
    assert store.count(INBOX, ALL) == store.count(INBOX, [*ALL, *ALL]) == 2 * len(ALL)
    assert store.count(INBOX, {State.FINISHED, State.DEAD}) == 4


def test_siblings_are_the_entries_of_one_message_in_every_state(
    store: StateStore, lease: Lease
) -> None:
    inboxes = (
        "",
        "*",
        "a@example.com",
        "b@example.com",
        "\ud7ff",
        "\udc80",
        "\ue000",
        "\U0001f600",
    )
    for inbox, state in zip(inboxes[::-1], ALL, strict=True):
        bring(store, lease, state, 5, inbox=inbox)
    for uid, epoch in ((4, 1), (6, 1), (5, 2)):
        bring(store, lease, State.DEAD, uid, epoch=epoch, inbox="a@example.com")
    found = store.siblings(INBOX, 1, 5)
    assert [one.key for one in found] == [key(5, inbox=inbox) for inbox in inboxes]
    assert found == [store.get(INBOX, one.key) for one in found]
    assert [one.key for one in store.siblings(INBOX, 2, 5)] == [
        key(5, epoch=2, inbox="a@example.com")
    ]
    assert store.siblings(INBOX, 1, 7) == store.siblings(INBOX, 3, 5) == []
    assert store.siblings(OTHER, 1, 5) == []


def test_a_message_with_one_entry_has_no_other_siblings(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.HANDLED, 5)
    assert store.siblings(INBOX, 1, 5) == [entry(State.HANDLED, 5)]
    store.commit(lease, [PutEntry(entry(State.FINISHED, 5))])
    assert store.siblings(INBOX, 1, 5) == [entry(State.FINISHED, 5)]


def test_siblings_that_were_rekeyed_are_found_where_they_are(
    store: StateStore, lease: Lease
) -> None:
    inboxes = ("", "a@example.com", "b@example.com")
    for inbox in inboxes:
        bring(store, lease, State.WAITING, 5, inbox=inbox)
    moves = [Rekey(key(5, inbox=one), key(9, epoch=2, inbox=one)) for one in inboxes]
    store.commit(lease, moves[1:])
    assert [one.key.inbox for one in store.siblings(INBOX, 1, 5)] == [""]
    assert [one.key.inbox for one in store.siblings(INBOX, 2, 9)] == list(inboxes[1:])
    store.commit(lease, moves[:1])
    assert store.siblings(INBOX, 1, 5) == []
    assert [one.key.inbox for one in store.siblings(INBOX, 2, 9)] == list(inboxes)


# What was looked at


def test_gone_for_one_inbox_is_not_gone_for_another(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.GONE, 5, inbox="a")
    assert not store.seen_uids(INBOX, 1)
    bring(store, lease, State.HANDLED, 5, inbox="b")
    assert 5 in store.seen_uids(INBOX, 1)


def test_what_was_gone_and_came_back_was_looked_at(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.GONE, 5)
    bring(store, lease, State.CLAIMED, 5)
    assert 5 in store.seen_uids(INBOX, 1)


RANGES = [
    ("apart", [["5:9"], ["1:3"], ["20"]]),
    ("adjacent", [["5:9"], ["10:12"], ["4"]]),
    ("overlapping", [["5:9"], ["7:30"], ["1:6"]]),
    ("one in another", [["1:100"], ["5:9"], ["1"], ["100"]]),
    ("one over many", [["1,3,5,7,9"], ["2:8"]]),
    ("joining two", [["1:4,6:9"], ["5"]]),
    ("the same twice", [["5:9"], ["5:9"]]),
    ("nothing", [[""], ["5"], [""]]),
    ("several in one commit", [["1:2", "4:5", "3"], ["9", "8,10"]]),
    ("with all there are", [["4294967295"], ["1:4294967294"]]),
]


@table(
    ("epoch", "commits"),
    [(2 * at, commits) for at, (_, commits) in enumerate(RANGES)],
    ids=[name for name, _ in RANGES],
)
def test_what_was_passed_over_was_looked_at(
    store: StateStore, lease: Lease, epoch: int, commits: list[list[str]]
) -> None:
    expected = UidSet()
    for sets in commits:
        changes = [PassOver(epoch, UidSet.parse(text)) for text in sets]
        store.commit(lease, changes)
        for change in changes:
            expected.update(change.uids)
    assert store.seen_uids(INBOX, epoch) == expected
    assert store.seen_uids(INBOX, epoch + 1) == UidSet()


def test_many_that_were_passed_over_one_by_one(store: StateStore, lease: Lease) -> None:
    changes = [PassOver(1, UidSet.of([uid * 7 % 1009])) for uid in range(1, 1009)]
    store.commit(lease, changes)
    assert str(store.seen_uids(INBOX, 1)) == "1:1008"


def test_hundreds_of_ranges_join_those_that_are_there(store: StateStore, lease: Lease) -> None:
    """Many ranges go in by one statement where none lies among them, and else one by one."""
    expected = UidSet()
    for start, count in ((10_000, 300), (20_000, 300), (10_001, 500), (10_599, 250), (1, 5_500)):
        uids = UidSet.of(range(start, start + 2 * count, 2))
        store.commit(lease, [PassOver(1, uids)])
        expected.update(uids)
        assert str(store.seen_uids(INBOX, 1)) == str(expected)


# Acquaintances


def test_a_digest_that_changed_is_found_under_the_new_one(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.WAITING, digest=Digest("old"))
    store.commit(lease, [PutEntry(entry(State.DEAD, digest=Digest("new")))])
    assert store.find_by_digest(INBOX, "old", before_epoch=2) == []
    assert len(store.find_by_digest(INBOX, "new", before_epoch=2)) == 1
    store.commit(lease, [PutEntry(entry(State.CLAIMED))])
    assert store.find_by_digest(INBOX, "new", before_epoch=2) == []


# Bytes


@table(
    ("uid", "raw"),
    [(1, b""), (2, b"\0\r\n\xff"), (3, b"x" * 3_000_000)],
    ids=["none", "odd", "big"],
)
def test_bytes_come_back_as_they_went_in(
    store: StateStore, lease: Lease, uid: int, raw: bytes
) -> None:
    store.commit(lease, [PutEntry(entry(State.CLAIMED, uid), raw)])
    assert store.raw(INBOX, key(uid)) == raw
    assert store.entries_without_bytes(INBOX, State.CLAIMED) == []


def test_bytes_can_be_kept_later_and_replaced(store: StateStore, lease: Lease) -> None:
    bring(store, lease, State.WAITING)
    assert store.entries_without_bytes(INBOX, State.WAITING) == [entry(State.WAITING)]
    for raw in (b"first", b"second"):
        store.commit(lease, [KeepRaw(key(), raw)])
        assert store.raw(INBOX, key()) == raw
        assert store.entries_without_bytes(INBOX, State.WAITING) == []
    store.commit(lease, [KeepRaw(key(), b"third"), KeepRaw(key(), b"fourth")])
    assert store.raw(INBOX, key()) == b"fourth"


@table(("uid", "state"), [(at, state) for at, state in enumerate(ALL) if state not in KEEPS_RAW])
def test_a_state_that_keeps_no_bytes_takes_none(
    store: StateStore, lease: Lease, uid: int, state: State
) -> None:
    store.commit(lease, [PutEntry(entry(step, uid), b"bytes") for step in WAYS[state]])
    assert store.raw(INBOX, key(uid)) is None
    with pytest.raises(IllegalTransition):
        store.commit(lease, [KeepRaw(key(uid), b"bytes")])


def test_bytes_that_were_dropped_do_not_come_back(store: StateStore, lease: Lease) -> None:
    store.commit(lease, [PutEntry(entry(State.WAITING), b"bytes")])
    store.commit(lease, [PutEntry(entry(State.GONE))])
    store.commit(lease, [PutEntry(entry(State.WAITING))])
    assert store.raw(INBOX, key()) is None


def test_the_bytes_of_one_inbox_are_not_anothers(store: StateStore, lease: Lease) -> None:
    for inbox in ("a", "b"):
        store.commit(lease, [PutEntry(entry(State.CLAIMED, inbox=inbox), inbox.encode())])
    store.commit(lease, [PutEntry(entry(State.HANDLED, inbox="a"))])
    assert store.raw(INBOX, key(inbox="a")) is None
    assert store.raw(INBOX, key(inbox="b")) == b"b"


# Rekey


def test_a_rekeyed_entry_can_be_changed_in_the_same_commit(store: StateStore, lease: Lease) -> None:
    store.commit(lease, [PutEntry(entry(State.WAITING), b"bytes")])
    after = key(3, epoch=2)
    store.commit(
        lease,
        [
            Rekey(key(), after),
            PutEntry(entry(State.CLAIMED, 3, epoch=2)),
            PutEntry(entry(State.NEW)),
            Rekey(after, key(4, epoch=2)),
        ],
    )
    assert store.raw(INBOX, key(4, epoch=2)) == b"bytes"
    assert [one.key for one in store.entries(INBOX, ALL)] == [key(), key(4, epoch=2)]


def test_a_gone_entry_gives_way_to_one_that_goes_on_under_its_key(
    store: StateStore, lease: Lease
) -> None:
    bring(store, lease, State.GONE, 1, epoch=2)
    bring(store, lease, State.WAITING, 5)
    store.commit(lease, [KeepRaw(key(5), b"bytes")])
    store.commit(lease, [Rekey(key(5), key(1, epoch=2), 9)])
    assert store.entries(INBOX, ALL) == [
        entry(State.WAITING, 5)._replace(key=key(1, epoch=2), uid_validity=9)
    ]
    assert store.raw(INBOX, key(1, epoch=2)) == b"bytes"
    assert store.seen_uids(INBOX, 2) == UidSet.of([1])


def test_bytes_that_moved_away_leave_room_for_others(store: StateStore, lease: Lease) -> None:
    store.commit(lease, [PutEntry(entry(State.WAITING), b"old")])
    store.commit(lease, [Rekey(key(), key(epoch=2)), PutEntry(entry(State.WAITING), b"new")])
    assert store.raw(INBOX, key()) == b"new"
    assert store.raw(INBOX, key(epoch=2)) == b"old"
    store.commit(lease, [PutEntry(entry(State.GONE))])
    assert store.raw(INBOX, key(epoch=2)) == b"old"


# Closing


def test_closing_twice_is_harmless_and_ends_the_store(store: StateStore, lease: Lease) -> None:
    store.close()
    store.close()
    for attempt in (
        lambda: store.acquire(OTHER, ME),
        lambda: store.load(INBOX),
        lambda: store.commit(lease, []),
        lambda: store.entries(INBOX, ALL),
    ):
        with pytest.raises(StoreError, match="closed"):
            attempt()


def test_a_store_that_was_closed_is_found_again_whole(reopen: Callable[[], StateStore]) -> None:
    store = reopen()
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [SaveMailbox(record(2, 9)), PassOver(1, UidSet.parse("3:9,12"))])
    for uid, state in enumerate(ALL, start=1):
        bring(store, lease, state, uid, digest=Digest("h"), due_at=uid / 4)
        if state in KEEPS_RAW:
            store.commit(lease, [KeepRaw(key(uid), b"bytes %d" % uid)])
    store.commit(lease, [PutEntry(FULL, b"raw"), Rekey(key(1), key(1, epoch=2))])
    before = everything(store)
    for _ in range(3):
        store = reopen()
        assert everything(store) == before
        assert len(store.find_by_digest(INBOX, "h", before_epoch=9)) == len(ALL)
        current = store.acquire(INBOX, ME)
        assert current.token > lease.token
        with pytest.raises(LeaseLost):
            store.commit(lease, [PutEntry(entry(State.NEW, 77))])
        lease = current


def test_an_empty_commit_and_a_refused_one_leave_nothing(reopen: Callable[[], StateStore]) -> None:
    store = reopen()
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.CLAIMED)
    store.commit(lease, [])
    with pytest.raises(IllegalTransition):
        store.commit(lease, [PutEntry(entry(State.HANDLED)), PutEntry(entry(State.NEW), b"raw")])
    before = everything(store)
    assert everything(reopen()) == before


# Threads


def test_threads_read_whole_commits_while_one_writes(store: StateStore, lease: Lease) -> None:
    """Every commit handles one message and claims the next, so one is claimed at any time."""
    bring(store, lease, State.CLAIMED, 1)
    rounds, wrong, done = 60, list[object](), threading.Event()
    begun = threading.Barrier(4)

    def read() -> None:
        begun.wait()
        while not done.is_set():
            claimed = store.entries(INBOX, [State.CLAIMED])
            seen = len(store.seen_uids(INBOX, 1))
            if len(claimed) != 1 or claimed[0].key.uid > seen:
                wrong.append((claimed, seen))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    begun.wait()
    try:
        for uid in range(1, rounds):
            changes = [PutEntry(entry(State.HANDLED, uid)), PutEntry(entry(State.CLAIMED, uid + 1))]
            store.commit(lease, changes)
    finally:
        done.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert store.count(INBOX, [State.HANDLED]) == rounds - 1


def test_threads_that_commit_at_once_lose_nothing(store: StateStore, lease: Lease) -> None:
    def write(first: int) -> None:
        for uid in range(first, first + 25):
            store.commit(lease, [PutEntry(entry(State.CLAIMED, uid), b"%d" % uid)])

    threads = [threading.Thread(target=write, args=(1 + 25 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert str(store.seen_uids(INBOX, 1)) == "1:100"
    assert store.raw(INBOX, key(77)) == b"77"


def test_of_threads_that_acquire_at_once_one_wins(store: StateStore) -> None:
    refused: list[LeaseHeld] = []
    leases: list[Lease] = []
    begun = threading.Barrier(5)

    def acquire() -> None:
        begun.wait()
        try:
            leases.append(store.acquire(INBOX, ME))
        except LeaseHeld as held:
            refused.append(held)

    threads = [threading.Thread(target=acquire) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(leases), len(refused)) == (1, 4)


def test_a_lease_that_nobody_has_any_more_is_free(store: StateStore) -> None:
    store.acquire(INBOX, ME)  # a signal came before its caller had it
    lease = store.acquire(INBOX, ME)
    with pytest.raises(LeaseHeld):
        store.acquire(INBOX, ME)
    store.release(lease)
