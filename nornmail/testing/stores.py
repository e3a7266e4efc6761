"""The contract of a state store as tests: a program with a store of its own holds it to them.

    from nornmail.testing.stores import MailboxStoreContract

    class TestMyStore(MailboxStoreContract):
        def open(self):
            return MyStore(...)

pytest collects the inherited tests; ``open`` is called once in each. A store for a poller alone
keeps :class:`MailboxStoreContract`, one for everything :class:`StateStoreContract`. nornmail's own
stores are held to the same. What must survive a restart is a matter of the store's own tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeVar

from nornmail.errors import IllegalTransition, LeaseHeld, LeaseLost, StoreError
from nornmail.model import (
    DELIVERY_ID_DIGITS,
    KEEPS_RAW,
    TRANSITIONS,
    Change,
    Digest,
    Entry,
    EntryKey,
    Epoch,
    InboxRecord,
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
)
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState, Quota, Recipient
from nornmail.uidset import UidSet

E = TypeVar("E", bound=Exception)

INBOX = MailboxKey("agent@example.com", "INBOX")
OTHER = MailboxKey("agent@example.com", "Archive")
OUTBOX = "agent@example.com@smtp.example.com"
OWNER = "host.example.com:1"
RAW = b"Subject: hello\r\n\r\nhello\r\n"
ALL = tuple(State)

WAYS: dict[State | None, tuple[State, ...]] = {
    None: (),
    State.NEW: (State.NEW,),
    State.CLAIMED: (State.CLAIMED,),
    State.HANDLED: (State.CLAIMED, State.HANDLED),
    State.FINISHED: (State.CLAIMED, State.HANDLED, State.FINISHED),
    State.WAITING: (State.WAITING,),
    State.DEAD: (State.CLAIMED, State.DEAD),
    State.PASSED_OVER: (State.PASSED_OVER,),
    State.GONE: (State.GONE,),
}
"""For every state, the states by which an entry gets there."""


def key(uid: int = 1, *, epoch: int = 1, inbox: str = "") -> EntryKey:
    """The key of an entry."""
    return EntryKey(epoch, uid, inbox)


def entry(state: State, uid: int = 1, *, epoch: int = 1, inbox: str = "", **more: Any) -> Entry:
    """An entry in a state; ``more`` are fields of it."""
    name = key(uid, epoch=epoch, inbox=inbox)
    return Entry(key=name, state=state, delivery_id=f"id-{epoch}-{uid}-{inbox}", **more)


def record(epoch: int = 1, uid: int = 0) -> MailboxRecord:
    """The record of a mailbox."""
    return MailboxRecord(
        epoch=Epoch(epoch, 7, 1, matched=True, begun_at=1.5), watermark=Watermark(7, uid)
    )


def bring(store: Any, lease: Lease, state: State | None, uid: int = 1, **more: Any) -> None:
    """Make an entry, and bring it to a state."""
    store.commit(lease, [PutEntry(entry(step, uid, **more)) for step in WAYS[state]])


def letter(name: str = "k", *, outbox: str = OUTBOX, at: float = 100.0) -> QueuedMessage:
    """A queued message."""
    return QueuedMessage(
        outbox=outbox,
        key=name,
        message_id=f"<{name}@example.com>",
        sender="agent@example.com",
        recipients=(Recipient("ann@example.org"),),
        thread_id="<root@example.org>",
        is_answer=True,
        queued_at=at,
        due_at=at,
        changed_at=at,
        size=len(RAW),
    )


def everything(store: Any, mailbox: MailboxKey = INBOX) -> object:
    """All that can be read of a mailbox."""
    entries = store.entries(mailbox, ALL)
    raws = [store.raw(mailbox, entry.key) for entry in entries]
    seen = [store.seen_uids(mailbox, epoch) for epoch in range(4)]
    return store.load(mailbox), entries, raws, seen, store.retry_requests(mailbox)


@contextmanager
def raises(kind: type[E]) -> Iterator[list[E]]:
    """Fail unless the block raises an exception of this kind, which is in the list then."""
    caught: list[E] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
        return
    raise AssertionError(f"{kind.__name__} was not raised")


def inbox(name: str, at: float) -> InboxRecord:
    """An inbox that was made at an instant."""
    return InboxRecord(id=name, name=f"the {name}", address=f"{name}@a.example", created_at=at)


class _Contract:
    """The base of all contracts: :meth:`open`, and the closing of what it opened."""

    store: Any

    def open(self) -> Any:
        """A new, empty store. Each test calls it once."""
        raise NotImplementedError("a contract needs open(), which returns a new store")

    def setup_method(self) -> None:
        """Open the store."""
        self.store = self.open()

    def teardown_method(self) -> None:
        """Close the store."""
        self.store.close()

    def acquire(self) -> Lease:
        """The lease of the mailbox."""
        lease: Lease = self.store.acquire(INBOX, OWNER)
        return lease

    def test_a_second_lease_is_refused_and_names_the_holder(self) -> None:
        lease = self.acquire()
        assert (lease.mailbox, lease.owner) == (INBOX, OWNER)
        with raises(LeaseHeld) as held:
            self.store.acquire(INBOX, "another:2")
        assert [error.owner for error in held] == [OWNER]
        assert self.store.acquire(OTHER, OWNER).mailbox == OTHER
        assert not self.store.is_wanted(lease)  # by this process itself
        assert self.store.holder(INBOX) in (OWNER, "")

    def test_after_a_release_the_next_lease_has_a_higher_token(self) -> None:
        lease = self.acquire()
        tokens = [lease.token]
        for _ in range(3):
            self.store.release(lease)
            self.store.release(lease)  # a stale one is harmless
            lease = self.acquire()
            tokens.append(lease.token)
        assert tokens == sorted(set(tokens))

    def test_closing_twice_is_harmless_and_ends_the_store(self) -> None:
        self.acquire()
        self.store.close()
        self.store.close()
        with raises(StoreError):
            self.store.acquire(OTHER, OWNER)


class MailboxStoreContract(_Contract):
    """The contract of :class:`~nornmail.stores.protocol.MailboxStore`."""

    def test_a_stale_lease_writes_nothing(self) -> None:
        store, stale = self.store, self.acquire()
        bring(store, stale, State.CLAIMED)
        store.release(stale)
        current = self.acquire()
        before = everything(store)
        for lease in (stale, replace(current, mailbox=OTHER)):
            for changes in ([PutEntry(entry(State.HANDLED)), SaveMailbox(record())], []):
                with raises(LeaseLost):
                    store.commit(lease, changes)
            with raises(LeaseLost):
                store.forget_entries(lease, before=9e9, limit=9)
        assert everything(store) == before

    def test_the_record_is_as_it_was_last_saved(self) -> None:
        store, lease = self.store, self.acquire()
        assert store.load(INBOX) is None
        last = record(2, 9)._replace(cut=12.25, polled_at=1e9, horizon=3.5)
        store.commit(lease, [SaveMailbox(record()), SaveMailbox(record(2))])
        store.commit(lease, [SaveMailbox(last)])
        assert store.load(INBOX) == last
        assert store.load(OTHER) is None
        assert store.mailboxes() == [INBOX]

    def test_the_table_of_states_is_kept(self) -> None:
        store, lease = self.store, self.acquire()
        for number, before in enumerate((None, *ALL)):
            for uid, after in enumerate(ALL, 10 * number + 1):
                bring(store, lease, before, uid)
                changed = entry(after, uid, attempts=3, reason="why")
                allowed = after in TRANSITIONS[before or State.NEW]
                if allowed or (before is None and after is State.NEW):
                    store.commit(lease, [PutEntry(changed)])
                    assert store.get(INBOX, key(uid)) == changed, (before, after)
                    continue
                was = store.get(INBOX, key(uid))
                with raises(IllegalTransition):
                    store.commit(lease, [PutEntry(changed)])
                assert store.get(INBOX, key(uid)) == was, (before, after)

    def test_a_commit_whose_last_change_is_illegal_writes_nothing(self) -> None:
        store, lease = self.store, self.acquire()
        store.commit(lease, [SaveMailbox(record()), PutEntry(entry(State.CLAIMED), b"raw 1")])
        for uid, state in enumerate((State.CLAIMED, State.NEW, State.WAITING), start=2):
            bring(store, lease, state, uid)
        before = everything(store)
        legal: list[Change] = [
            SaveMailbox(record(2)),
            PutEntry(entry(State.CLAIMED, 8), b"raw 8"),
            PutEntry(entry(State.HANDLED, 2)),
            KeepRaw(key(1), b"other bytes"),
            Rekey(key(4), key(4, epoch=2), 8),
            PassOver(1, UidSet([(50, 60)])),
        ]
        for last in (
            PutEntry(entry(State.NEW)),
            Rekey(key(9), key(9, epoch=2)),
            Rekey(key(1), key(3)),
            Rekey(key(1), key(1)),
            Rekey(key(4), key(7)),
            KeepRaw(key(9), b"x"),
            KeepRaw(key(3), b"x"),
            KeepRaw(key(2), b"x"),
        ):
            with raises(IllegalTransition):
                store.commit(lease, [*legal, last])
            assert everything(store) == before, last

    def test_an_entry_comes_back_as_it_went_in(self) -> None:
        store, lease = self.store, self.acquire()
        full = Entry(
            key=key(2**32 - 1, epoch=3, inbox="support@example.com"),
            uid_validity=2**32 - 1,
            state=State.WAITING,
            delivery_id="0123456789abcdef" * 2,
            attempts=4,
            due_at=1_700_000_000.125,
            reason="it failed: naïve \U0001f600 \udc80 a\0b\r\n",
            digest=Digest("1:header", "1:body"),
            message_id="<a@b>",
            size=2**40,
            received_at=-1.5,
            truncated=True,
            verified_sender="ann@example.org",
            changed_at=1_700_000_001.0,
        )
        bare = Entry(key=full.key, state=State.DEAD, delivery_id="another")
        for entry in (full, full._replace(digest=Digest("h"), received_at=0.0), bare):
            store.commit(lease, [PutEntry(entry)])
            assert store.get(INBOX, entry.key) == entry
            assert store.entries(INBOX, [entry.state]) == [entry]
        assert store.get(INBOX, key()) is None

    def test_entries_are_ordered_by_due_time_epoch_uid_and_inbox(self) -> None:
        store, lease = self.store, self.acquire()
        ordered = [
            entry(State.NEW, 5),
            entry(State.WAITING, 5, inbox="b@example.com"),
            entry(State.NEW, 6),
            entry(State.WAITING, 6, inbox="a"),
            entry(State.NEW, 2, epoch=2),
            entry(State.WAITING, 9, due_at=1.5),
            entry(State.NEW, 3, due_at=2.5),
        ]
        bring(store, lease, State.DEAD, 4)
        store.commit(lease, [PutEntry(entry) for entry in ordered[1::2] + ordered[::2][::-1]])
        for limit in (None, *range(len(ordered) + 2)):
            entries = store.entries(INBOX, {State.NEW, State.WAITING}, limit=limit)
            assert entries == ordered[:limit], limit
        assert store.count(INBOX, {State.NEW, State.WAITING}) == len(ordered)
        assert store.count(INBOX, ALL) == len(ordered) + 1
        assert store.entries(INBOX, []) == []

    def test_siblings_are_the_entries_of_one_message(self) -> None:
        store, lease = self.store, self.acquire()
        for inbox, state in (("b", State.DEAD), ("", State.GONE), ("a", State.FINISHED)):
            bring(store, lease, state, 5, inbox=inbox)
        for uid, epoch in ((4, 1), (6, 1), (5, 2)):
            bring(store, lease, State.DEAD, uid, epoch=epoch)
        inboxes = [entry.key.inbox for entry in store.siblings(INBOX, 1, 5)]
        assert inboxes == ["", "a", "b"]
        assert store.siblings(OTHER, 1, 5) == store.siblings(INBOX, 1, 7) == []

    def test_what_was_looked_at_is_known(self) -> None:
        store, lease = self.store, self.acquire()
        for uid, state in enumerate(ALL, start=100):
            bring(store, lease, state, uid)
        store.commit(lease, [PassOver(1, UidSet.parse("1:4,6:9")), PassOver(1, UidSet.of([5]))])
        store.commit(lease, [PassOver(1, UidSet.parse("8:12,4294967295"))])
        gone = 100 + ALL.index(State.GONE)
        seen = UidSet([(1, 12), (100, 99 + len(ALL)), (2**32 - 1, 2**32 - 1)])
        assert store.seen_uids(INBOX, 1) == seen - UidSet.of([gone])
        store.seen_uids(INBOX, 1).add(77)  # the caller's own
        assert 77 not in store.seen_uids(INBOX, 1)
        assert store.seen_uids(INBOX, 2) == store.seen_uids(OTHER, 1) == UidSet()

    def test_a_digest_finds_the_entries_of_earlier_epochs(self) -> None:
        store, lease = self.store, self.acquire()
        keys = [(1, 4, ""), (1, 9, "a"), (1, 9, "b"), (2, 3, "")]
        for epoch, uid, inbox in (*keys[::-1], (3, 1, "")):
            more = {"epoch": epoch, "inbox": inbox, "digest": Digest("h", f"body {uid}")}
            bring(store, lease, State.FINISHED, uid, **more)
        bring(store, lease, State.WAITING, 1, digest=Digest("other", "h"))
        known = store.find_by_digest(INBOX, "h", before_epoch=3)
        assert [entry.key for entry in known] == [EntryKey(*each) for each in keys]
        assert store.find_by_digest(INBOX, "h", before_epoch=1) == []

    def test_bytes_stay_exactly_while_the_state_keeps_them(self) -> None:
        store, lease = self.store, self.acquire()
        uid = 0
        for before in KEEPS_RAW:
            for after in TRANSITIONS[before]:
                for new in (None, b"new"):
                    uid += 1
                    bring(store, lease, before, uid)
                    store.commit(lease, [KeepRaw(key(uid), b"\0\r\n\xff")])
                    store.commit(lease, [PutEntry(entry(after, uid), new)])
                    kept = (new or b"\0\r\n\xff") if after in KEEPS_RAW else None
                    assert store.raw(INBOX, key(uid)) == kept, (before, after, new)
        bring(store, lease, State.WAITING, 500)
        without = store.entries_without_bytes(INBOX, State.WAITING)
        assert [entry.key.uid for entry in without] == [500]

    def test_a_rekeyed_entry_goes_on_under_its_new_key(self) -> None:
        store, lease = self.store, self.acquire()
        for uid, state in enumerate(ALL, start=1):
            bring(store, lease, state, uid, digest=Digest("h"))
            raw = b"bytes" if state in KEEPS_RAW else None
            if raw is not None:
                store.commit(lease, [KeepRaw(key(uid), raw)])
            was, after = store.get(INBOX, key(uid)), key(50 + uid, epoch=2, inbox="a")
            bring(store, lease, State.GONE, 50 + uid, epoch=2, inbox="a")  # it gives way
            store.commit(lease, [Rekey(key(uid), after, 99)])
            assert store.get(INBOX, key(uid)) is None
            assert store.get(INBOX, after) == was._replace(key=after, uid_validity=99)
            assert (store.raw(INBOX, key(uid)), store.raw(INBOX, after)) == (None, raw)

    def test_a_retry_is_requested_of_dead_entries_alone(self) -> None:
        store, lease = self.store, self.acquire()
        bring(store, lease, State.DEAD, 2)
        bring(store, lease, State.WAITING, 3)
        for _ in range(2):
            store.request_retry(INBOX, key(2))
        for missing in (key(3), key(4)):
            with raises(IllegalTransition):
                store.request_retry(INBOX, missing)
        assert store.retry_requests(INBOX) == [key(2)]
        store.commit(lease, [PutEntry(entry(State.CLAIMED, 2))])
        assert store.retry_requests(INBOX) == []

    def test_what_is_done_with_is_forgotten_and_stays_known(self) -> None:
        store, lease = self.store, self.acquire()
        store.commit(lease, [SaveMailbox(record())])
        for uid, state in enumerate(ALL, start=1):
            bring(store, lease, state, uid, changed_at=100.0, received_at=50.0 + uid)
        bring(store, lease, State.FINISHED, 30, changed_at=300.0)
        bring(store, lease, State.FINISHED, 31, inbox="a", changed_at=100.0)
        bring(store, lease, State.WAITING, 31, inbox="b", changed_at=100.0)  # not done with
        seen = store.seen_uids(INBOX, 1)
        assert store.forget_entries(lease, before=200.0, limit=1) == 1
        assert store.forget_entries(lease, before=200.0, limit=9) == 1
        assert store.forget_entries(lease, before=200.0, limit=9) == 0
        assert store.seen_uids(INBOX, 1) == seen
        assert store.count(INBOX, {State.FINISHED}) == 2
        assert store.load(INBOX).horizon == 50.0 + 1 + ALL.index(State.PASSED_OVER)


class OutboxStoreContract(_Contract):
    """The contract of :class:`~nornmail.stores.protocol.OutboxStore`."""

    def acquire_outbox(self) -> Lease:
        """The lease of the outbox."""
        lease: Lease = self.store.acquire(MailboxKey.of_outbox(OUTBOX), OWNER)
        return lease

    def test_a_message_is_kept_once_for_each_key(self) -> None:
        store = self.store
        assert store.enqueue(letter(), RAW) == letter()
        again = letter()._replace(subject="another")
        assert store.enqueue(again, b"other") == letter()
        assert store.queued_message(OUTBOX, "k") == letter()
        assert store.message_bytes(OUTBOX, "k") == RAW
        store.enqueue(letter(outbox="other"), RAW)
        assert store.outboxes() == sorted([OUTBOX, "other"])
        assert store.queued_message(OUTBOX, "missing") is None
        with raises(IllegalTransition):
            store.enqueue(letter("new")._replace(state=QueueState.SENT), RAW)

    def test_a_message_is_replaced_under_a_good_lease(self) -> None:
        store, lease = self.store, self.acquire_outbox()
        store.enqueue(letter(), RAW)
        sending = letter()._replace(state=QueueState.SENDING, submitted_at=120.0)
        sent = sending._replace(state=QueueState.SENT)
        with raises(IllegalTransition):
            store.commit_messages(lease, [sending, letter("missing")._replace(attempts=1)])
        assert store.queued_message(OUTBOX, "k") == letter()
        store.commit_messages(lease, [sending])
        store.commit_messages(lease, [sent])
        assert store.queued_message(OUTBOX, "k") == sent
        assert store.message_bytes(OUTBOX, "k") is None
        assert store.submissions_since(OUTBOX, 0.0, limit=9) == [120.0]
        store.release(lease)
        with raises(LeaseLost):
            store.commit_messages(lease, [sent])

    def test_a_sender_claims_what_it_works_on(self) -> None:
        store, lease = self.store, self.acquire_outbox()
        store.enqueue(letter(), RAW)
        assert store.claim_message(lease, "k") == letter()
        assert store.claim_message(lease, "missing") is None
        store.enqueue(letter("l"), RAW)
        assert store.claim_message(lease, "l", [Quota(1, 0.0, 200.0)]) == letter("l")
        assert store.claim_message(lease, "k") == letter()
        sending = letter()._replace(state=QueueState.SENDING, submitted_at=120.0)
        store.commit_messages(lease, [sending])
        assert store.claim_message(lease, "k") == sending  # by its own sender
        assert store.claim_message(lease, None) is None
        store.release(lease)
        with raises(LeaseLost):
            store.claim_message(lease, "l")

    def test_messages_are_found_in_their_order(self) -> None:
        store = self.store
        for name, at in (("b", 2.0), ("c", 1.0), ("a", 2.0)):
            store.enqueue(letter(name, at=at), RAW)
        queued = store.queued_messages(OUTBOX, {QueueState.QUEUED}, limit=2)
        assert [one.key for one in queued] == ["c", "a"]
        assert store.count_messages(OUTBOX, {QueueState.QUEUED}) == 3
        assert [message.key for message in store.messages_with_id("<b@example.com>")] == ["b"]
        to_ann = store.messages_to(OUTBOX, "ANN@example.org", since=1.5, limit=9)
        assert {message.key for message in to_ann} == {"a", "b"}
        assert store.answers_since(OUTBOX, 1.5, address="ann@example.org") == 2
        assert store.answers_since(OUTBOX, 0.0, thread_id="<root@example.org>") == 3

    def test_a_request_lasts_until_it_is_carried_out(self) -> None:
        store, lease = self.store, self.acquire_outbox()
        store.enqueue(letter(), RAW)
        with raises(IllegalTransition):
            store.request(OUTBOX, "missing", OperatorRequest.DROP)
        store.request(OUTBOX, "k", OperatorRequest.RETRY)
        store.request(OUTBOX, "k", OperatorRequest.DROP)
        assert store.pending_requests(OUTBOX) == [("k", OperatorRequest.DROP)]
        dropped = letter()._replace(state=QueueState.FAILED, dropped=True)
        store.commit_messages(lease, [dropped])
        assert store.pending_requests(OUTBOX) == []
        assert store.forget_messages(OUTBOX, before=50.0, limit=9) == 0
        assert store.forget_messages(OUTBOX, before=150.0, limit=9) == 1
        assert store.queued_message(OUTBOX, "k") is None


class InboxStoreContract(_Contract):
    """The contract of :class:`~nornmail.stores.protocol.InboxStore`."""

    def test_inboxes_come_in_the_order_in_which_they_were_made(self) -> None:
        store = self.store
        for name, at in (("b", 2.0), ("c", 1.0), ("a", 2.0), ("b", 2.0)):
            store.save_inbox(INBOX, inbox(name, at))
        assert [inbox.id for inbox in store.inboxes(INBOX)] == ["c", "a", "b"]
        assert store.inboxes(OTHER) == []
        assert store.forget_inbox(INBOX, "a")
        assert not store.forget_inbox(INBOX, "a")
        assert store.inboxes(INBOX) == [inbox("c", 1.0), inbox("b", 2.0)]


class StateStoreContract(MailboxStoreContract, OutboxStoreContract, InboxStoreContract):
    """The contract of :class:`~nornmail.stores.protocol.StateStore`: the three together."""

    def test_what_a_handler_sent_that_may_run_again_is_not_forgotten(self) -> None:
        store, lease, outbox = self.store, self.acquire(), self.acquire_outbox()
        keys = [f"{uid}" * DELIVERY_ID_DIGITS for uid in (1, 2)]
        for uid, state in ((1, State.DEAD), (2, State.FINISHED)):
            for step in WAYS[state]:
                closed = entry(step, uid)._replace(delivery_id=keys[uid - 1])
                store.commit(lease, [PutEntry(closed)])
        names = [key + end for key in keys for end in ("", "/copy")]
        for name in names:
            store.enqueue(letter(name), RAW)
            sending = letter(name)._replace(state=QueueState.SENDING)
            store.commit_messages(outbox, [sending])
            store.commit_messages(outbox, [sending._replace(state=QueueState.SENT)])
        assert store.forget_messages(OUTBOX, before=1e9, limit=9) == 2
        left = store.queued_messages(OUTBOX, {QueueState.SENT})
        assert [message.key for message in left] == names[:2]

    def test_a_verified_sender_is_known_until_the_entry_is_forgotten(self) -> None:
        store, lease = self.store, self.acquire()
        store.commit(lease, [SaveMailbox(record())])
        other = store.acquire(OTHER, OWNER)
        for holder, who in ((lease, "kim@example.org"), (other, "zoë\udc80@example.org")):
            claimed = entry(State.CLAIMED)
            handled = claimed._replace(state=State.HANDLED, verified_sender=who)
            finished = handled._replace(state=State.FINISHED, changed_at=5.0)
            store.commit(holder, [PutEntry(claimed)])
            assert not store.has_verified_sender(who)
            store.commit(holder, [PutEntry(handled)])
            store.commit(holder, [PutEntry(finished)])
            assert store.has_verified_sender(who)
            assert store.get(holder.mailbox, key()) == finished
        for unknown in ("", "Kim@example.org", "im@example.org", "%"):
            assert not store.has_verified_sender(unknown)
        store.commit(lease, [Rekey(key(), key(7, epoch=2), 8)])
        assert store.has_verified_sender("kim@example.org")
        store.forget_entries(lease, before=6.0, limit=9)
        assert not store.has_verified_sender("kim@example.org")
        assert store.has_verified_sender("zoë\udc80@example.org")
