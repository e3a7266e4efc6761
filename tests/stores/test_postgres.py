"""The PostgreSQL store: leases by the database's clock, lost connections, many starters."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from nornmail import PostgresStateStore
from nornmail.errors import IllegalTransition, LeaseHeld, LeaseLost, StoreError
from nornmail.model import Lease, MailboxKey, PutEntry, SaveMailbox, State
from nornmail.outgoing import QueueState, Quota
from nornmail.stores import postgres
from nornmail.stores import schema as schemas
from nornmail.testing import MailServer
from tests.stores.letters import OUTBOX, RAW, letter
from tests.stores.support import INBOX, ME, OTHER, bring, entry, key, record, start_fresh
from tests.support.foreign import wait_until
from tests.support.postgresql import (
    connect,
    let_leases_expire,
    open_postgres,
    schema_of,
    server,
)

pytestmark = pytest.mark.interop


@pytest.fixture
def schema(tmp_path: Path) -> str:
    return schema_of(tmp_path)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PostgresStateStore]:
    with closing(open_postgres(tmp_path)) as opened:
        yield opened


@pytest.fixture
def beside(tmp_path: Path, store: PostgresStateStore) -> Iterator[PostgresStateStore]:
    """The same store in another process."""
    with closing(open_postgres(tmp_path)) as opened:
        yield opened


def run(schema: str, statement: str) -> None:
    with connect(schema) as connection:
        connection.execute(statement)


# Leases


def test_a_lease_that_ended_is_taken_over_and_its_holder_cannot_write(
    store: PostgresStateStore, beside: PostgresStateStore, tmp_path: Path
) -> None:
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.CLAIMED)
    with pytest.raises(LeaseHeld) as held:
        beside.acquire(INBOX, "other:2")
    assert held.value.owner == ME
    let_leases_expire(tmp_path)
    successor = beside.acquire(INBOX, "other:2")
    assert successor.token > lease.token
    for changes in ([PutEntry(entry(State.HANDLED))], []):
        with pytest.raises(LeaseLost):
            store.commit(lease, changes)
    store.renew_leases()
    with pytest.raises(LeaseHeld):
        store.acquire(INBOX, ME)
    store.release(lease)
    beside.commit(successor, [PutEntry(entry(State.HANDLED))])
    assert store.count(INBOX, {State.HANDLED}) == 1


def test_a_lease_is_renewed_while_its_holder_lives(
    store: PostgresStateStore, beside: PostgresStateStore, tmp_path: Path
) -> None:
    lease = store.acquire(INBOX, ME)
    let_leases_expire(tmp_path)
    store.renew_leases()
    with pytest.raises(LeaseHeld):
        beside.acquire(INBOX, "other:2")
    store.commit(lease, [SaveMailbox(record())])


def test_the_store_renews_its_leases_by_itself(tmp_path: Path) -> None:
    with (
        closing(open_postgres(tmp_path, lease_seconds=0.3)) as store,
        closing(open_postgres(tmp_path)) as beside,
    ):
        renewed = threading.Barrier(2, timeout=30)
        renew, count = store.renew_leases, 0

        def counted() -> None:
            nonlocal count
            renew()
            count += 1
            if count == 5:  # more than a lease lasts
                renewed.wait()

        store.renew_leases = counted  # type: ignore[method-assign]
        lease = store.acquire(INBOX, ME)
        renewed.wait()
        with pytest.raises(LeaseHeld):
            beside.acquire(INBOX, "other:2")
        store.release(lease)


def test_a_closed_store_gives_its_leases_back(
    store: PostgresStateStore, beside: PostgresStateStore
) -> None:
    lease = store.acquire(INBOX, ME)
    store.close()
    store.release(lease)
    beside.acquire(INBOX, "other:2")


def test_a_takeover_waits_for_a_commit_under_way(
    store: PostgresStateStore, beside: PostgresStateStore, tmp_path: Path
) -> None:
    lease = store.acquire(INBOX, ME)
    let_leases_expire(tmp_path)
    taken = threading.Event()

    def take_over() -> None:
        beside.acquire(INBOX, "other:2")
        taken.set()

    thread = threading.Thread(target=take_over)

    class Changes(list[PutEntry]):
        """Another process takes the lease over in the middle of the commit."""

        def __iter__(self) -> Iterator[PutEntry]:
            thread.start()
            yield PutEntry(entry(State.CLAIMED))
            assert not taken.wait(0.3)

    store.commit(lease, Changes([PutEntry(entry(State.CLAIMED))]))
    thread.join(30)
    assert taken.is_set()
    assert beside.get(INBOX, key()) == entry(State.CLAIMED)
    with pytest.raises(LeaseLost):
        store.commit(lease, [PutEntry(entry(State.HANDLED))])


def test_a_lease_whose_holder_is_gone_is_given_back(
    store: PostgresStateStore, beside: PostgresStateStore
) -> None:
    store.acquire(INBOX, ME)
    store.renew_leases()
    beside.acquire(INBOX, "other:2")


# Claims of an outbox's senders


def claim_all(store: PostgresStateStore, lease: Lease, *quotas: Quota) -> list[str]:
    """The messages of which a sender can have each in hand, one after the other."""
    messages = store.queued_messages(OUTBOX, set(QueueState))
    return [one.key for one in messages if store.claim_message(lease, one.key, quotas)]


@pytest.fixture
def senders(store: PostgresStateStore, beside: PostgresStateStore) -> tuple[Lease, Lease]:
    """The leases of two senders of one outbox, in which three messages wait."""
    for name in ("k1", "k2", "k3"):
        store.enqueue(letter(name), RAW)
    outbox = MailboxKey.of_outbox(OUTBOX)
    return store.acquire(outbox, ME), beside.acquire(outbox, "other:2")


def test_a_message_is_in_one_hand_at_a_time(
    store: PostgresStateStore, beside: PostgresStateStore, senders: tuple[Lease, Lease]
) -> None:
    lease, other = senders
    assert store.holder(lease.mailbox) == f"{ME}, other:2"
    assert store.claim_message(lease, "k1") == letter("k1")
    assert claim_all(beside, other) == ["k2", "k3"]
    sending = letter("k1")._replace(state=QueueState.SENDING)
    with pytest.raises(IllegalTransition, match="another sender is sending the message k1"):
        beside.commit_messages(other, [sending])
    store.commit_messages(lease, [sending])
    assert beside.claim_message(other, "k1") is None
    store.commit_messages(lease, [sending._replace(state=QueueState.SENT)])
    assert store.claim_message(lease, None) is None
    assert claim_all(beside, other) == ["k1", "k2", "k3"]
    beside.release(other)
    assert claim_all(store, lease) == ["k1", "k2", "k3"]


def test_what_a_dead_sender_had_in_hand_is_taken_over_and_its_late_writes_are_refused(
    store: PostgresStateStore,
    beside: PostgresStateStore,
    senders: tuple[Lease, Lease],
    tmp_path: Path,
) -> None:
    lease, other = senders
    sending = letter("k1")._replace(state=QueueState.SENDING)
    store.claim_message(lease, "k1")
    store.commit_messages(lease, [sending])
    let_leases_expire(tmp_path)
    beside.renew_leases()
    assert beside.claim_message(other, "k1") == sending
    with pytest.raises(LeaseLost):
        store.commit_messages(lease, [sending._replace(state=QueueState.SENT)])
    with pytest.raises(LeaseLost):
        store.claim_message(lease, "k2")
    store.renew_leases()
    again = store.acquire(lease.mailbox, ME)
    assert claim_all(store, again) == ["k2", "k3"]


def test_senders_keep_to_a_quota_together(
    store: PostgresStateStore, beside: PostgresStateStore, senders: tuple[Lease, Lease]
) -> None:
    """What another sender has in hand counts, from its claim on and once however it goes."""
    lease, other = senders
    two, three = Quota(2, 40.0, 100.0), Quota(3, 40.0, 100.0)
    store.enqueue(letter("k4"), RAW)
    for name, at in (("k4", 100.0), ("k3", 40.0)):  # one as the span ends, one before it begins
        submitted = letter(name)._replace(state=QueueState.SENDING, submitted_at=at)
        store.commit_messages(lease, [submitted])
    assert store.claim_message(lease, "k1", [two]) == letter("k1")
    assert claim_all(beside, other, two) == []
    assert claim_all(beside, other, three, two) == []
    assert "k2" in claim_all(beside, other, three)
    sending = letter("k1")._replace(state=QueueState.SENDING, submitted_at=90.0)
    store.commit_messages(lease, [sending])
    assert claim_all(beside, other, two) == []
    assert "k2" in claim_all(beside, other, three)


def test_four_senders_get_each_message_once(tmp_path: Path) -> None:
    stores = [open_postgres(tmp_path) for _ in range(4)]
    outbox, keys = MailboxKey.of_outbox(OUTBOX), [f"k{number}" for number in range(25)]
    leases = [store.acquire(outbox, ME) for store in stores]
    for name in keys:
        stores[0].enqueue(letter(name), RAW)
    quota = Quota(20, 0.0, 200.0)
    taken: list[str] = []

    def send(number: int) -> None:
        store, lease = stores[number], leases[number]
        for name in keys:
            current = store.claim_message(lease, name, [quota])
            if current is not None and current.state is QueueState.QUEUED:
                taken.append(name)
                sending = current._replace(state=QueueState.SENDING, submitted_at=100.0)
                store.commit_messages(lease, [sending])

    assert at_once(4, send) == [None] * 4
    assert len(taken) == len(set(taken)) == 20
    for store in stores:
        store.close()


def test_the_leases_of_the_version_before_are_brought_up_to_date(
    tmp_path: Path, schema: str
) -> None:
    with closing(open_postgres(tmp_path)) as store:
        kept = store.acquire(INBOX, ME)
        run(
            schema,
            "ALTER TABLE nornmail_lease DROP CONSTRAINT nornmail_lease_pkey, DROP COLUMN sender, "
            "DROP COLUMN letter, ADD CONSTRAINT nornmail_lease_pkey PRIMARY KEY (mailbox); "
            "UPDATE nornmail_version SET version = 7",
        )
        with closing(open_postgres(tmp_path)) as beside:
            with pytest.raises(LeaseHeld, match=ME):
                beside.acquire(INBOX, "other:2")
            store.commit(kept, [SaveMailbox(record())])
            outbox = MailboxKey.of_outbox(OUTBOX)
            assert beside.acquire(outbox, "other:2").token < store.acquire(outbox, ME).token


def test_a_sender_that_stands_still_within_a_transaction_delays_nobody(tmp_path: Path) -> None:
    """The server ends its transaction, so that its locks are gone when its lease is."""
    with (
        closing(open_postgres(tmp_path, lease_seconds=0.5)) as store,
        closing(open_postgres(tmp_path)) as beside,
    ):
        outbox = MailboxKey.of_outbox(OUTBOX)
        other = beside.acquire(outbox, "other:2")
        store.enqueue(letter("k1"), RAW)

        def stand_still() -> None:
            with store._mutex, store._within as execute:
                execute("SELECT id FROM mailbox FOR UPDATE")
                assert beside.claim_message(other, "k1") == letter("k1")  # it waited
                execute("SELECT id FROM mailbox")

        with pytest.raises(StoreError, match="check that the server runs"):
            stand_still()


# Shares


@pytest.mark.parametrize(
    ("counts", "waiting", "given"),
    [
        pytest.param({"me": 5}, {}, set(), id="nobody waits"),
        pytest.param({"me": 5}, {"new": {1, 2, 3, 4, 5}}, {1, 2}, id="a new one gets its half"),
        pytest.param({"me": 5}, {"new": {4}}, {4}, id="it waits for one alone"),
        pytest.param({"me": 5}, {"new": {8, 9}}, set(), id="it waits for those of others"),
        pytest.param({"me": 5, "other": 5}, {"new": {1, 2}}, {1}, id="each of two gives its part"),
        pytest.param({"me": 5}, {"a": {1, 2}, "b": {1, 2, 3}}, {1, 2, 3}, id="two wait"),
        pytest.param({"me": 5, "other": 9}, {"other": {1, 2}}, set(), id="who waits has more"),
        pytest.param({"me": 5, "other": 4}, {"other": {1, 2}}, set(), id="one more is a share"),
    ],
)
def test_the_surplus_over_a_share_is_given_to_those_who_wait(
    counts: dict[str, int], waiting: dict[str, set[int]], given: set[int]
) -> None:
    assert postgres.surplus({1, 2, 3, 4, 5}, counts, waiting) == given


def test_one_mailbox_is_nobodys_surplus() -> None:
    assert postgres.surplus({1}, {"me": 1}, {"new": {1}}) == set()
    assert postgres.surplus(set(), {}, {}) == set()


def test_a_store_hears_who_waits_and_who_does_no_longer(
    store: PostgresStateStore, beside: PostgresStateStore
) -> None:
    boxes = [MailboxKey("ann@example.com", name) for name in "abcd"]
    leases = [store.acquire(box, ME) for box in boxes]
    store.acquire(MailboxKey.of_outbox("ann"), ME)  # an outbox is no part of it
    for box in boxes:
        with pytest.raises(LeaseHeld):
            beside.acquire(box, "other:2")
    assert not any(map(store.is_wanted, leases))
    beside.renew_leases()
    store.renew_leases()
    wanted = [lease for lease in leases if store.is_wanted(lease)]
    assert len(wanted) == 2
    taken = []
    for lease in wanted:
        store.release(lease)
        assert not store.is_wanted(lease)
        taken.append(beside.acquire(lease.mailbox, "other:2"))
    beside.renew_leases()
    store.renew_leases()
    assert not any(map(store.is_wanted, leases))
    assert not any(map(beside.is_wanted, taken))


def test_many_mailboxes_that_stand_by_cost_one_query(
    store: PostgresStateStore, beside: PostgresStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes = [MailboxKey("ann@example.com", f"Box{number}") for number in range(20)]
    leases = [store.acquire(box, ME) for box in boxes]
    for box in boxes:
        with pytest.raises(LeaseHeld):
            beside.acquire(box, "other:2")
    monkeypatch.setattr(postgres, "HOLDERS_SECONDS", 60.0)
    asked: list[str] = []
    execute = beside._database.execute

    def counted(statement: str, arguments: Sequence[Any] = ()) -> Any:
        asked.append(statement)
        return execute(statement, arguments)

    monkeypatch.setattr(beside._database, "execute", counted)
    assert {beside.holder(box) for box in boxes} == {ME}
    asked.clear()
    assert {beside.holder(box) for box in boxes} == {ME}
    assert asked == []
    store.release(leases[0])
    beside._holders_until = 0.0
    assert [beside.holder(box) for box in boxes] == ["", *[ME] * 19]
    assert asked == [postgres._SELECT_HOLDERS]
    beside.acquire(boxes[0], "other:2")


SHARER = """
import sys
from pathlib import Path
from nornmail import ImapSettings, PollerGroup
from nornmail.poller import loop
from tests.support.postgresql import open_postgres

directory, port, log, *names = sys.argv[1:]
loop.TAKEOVER_INTERVAL = 0.1

def handle(message):
    with open(log, "a") as file:
        file.write(message.subject + "\\n")

group = PollerGroup(
    open_postgres(Path(directory), lease_seconds=0.9), on_message=handle, connects_per_host=1000.0
)
for name in names:
    group.add(ImapSettings(
        host="127.0.0.1", port=int(port), username="ann@example.com", password="secret",
        use_ssl=False, poll_interval=0.2, mailbox=name, start_from="all",
    ))
with group:
    for _ in sys.stdin:
        print(sum(status.state == "idle" for status in group.status().values()), flush=True)
"""


def test_a_new_process_takes_its_share_without_being_asked(tmp_path: Path) -> None:
    names = [f"Box{number}" for number in range(6)]
    log = tmp_path / "log"
    log.touch()
    schema_of(tmp_path)
    processes: list[subprocess.Popen[str]] = []

    def shares() -> list[int]:
        """How many mailboxes each process polls."""
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        return [int(process.stdout.readline()) for process in processes if process.stdout]

    with MailServer() as mail, ExitStack() as stack:
        mail.add_user("ann@example.com", "secret")
        for name in names:
            mail.deliver(b"Subject: first\r\n\r\n", mailbox=name)
        for expected in ([6], [3, 3], [2, 2, 2]):
            process = start_fresh(SHARER, tmp_path, mail.imap_port, log, *names)
            stack.callback(process.communicate, timeout=30)
            processes.append(process)
            wait_until(lambda expected=expected: shares() == expected, 60)  # type: ignore[misc]
        for name in names:
            mail.deliver(b"Subject: second\r\n\r\n", mailbox=name)
        wait_until(lambda: len(log.read_text().split()) == 12, 60)
    assert sorted(log.read_text().split()) == ["first"] * 6 + ["second"] * 6
    assert [process.returncode for process in processes] == [0, 0, 0]


# Many at once


def at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """What ``work`` returned or raised, in threads that begin together."""
    begun = threading.Barrier(count)
    outcomes: list[object] = [None] * count

    def one(number: int) -> None:
        begun.wait()
        try:
            outcomes[number] = work(number)
        except Exception as error:
            outcomes[number] = error

    threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def test_eight_starters_make_the_schema_once(schema: str) -> None:
    def start(_: int) -> str:
        PostgresStateStore(lambda: connect(schema)).close()
        return "started"

    assert at_once(8, start) == ["started"] * 8
    with closing(PostgresStateStore(lambda: connect(schema))) as store:
        bring(store, store.acquire(INBOX, ME), State.CLAIMED)


def test_a_message_that_is_queued_by_four_at_once_is_queued_once(tmp_path: Path) -> None:
    stores = [open_postgres(tmp_path) for _ in range(4)]
    for round_ in range(10):
        message = letter(f"k{round_}")
        kept = at_once(4, lambda number, m=message: stores[number].enqueue(m, RAW))  # type: ignore[misc]
        assert kept == [message] * 4
        assert stores[0].message_bytes(OUTBOX, message.key) == RAW
    assert len(stores[0].messages_to(OUTBOX, "ann@example.org", since=0.0, limit=99)) == 10
    for store in stores:
        store.close()


def test_the_tables_of_the_version_before_are_brought_up_to_date(
    schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as earlier:
        earlier.setattr(postgres, "MIGRATIONS", schemas.MIGRATIONS[:-1])
        with closing(PostgresStateStore(lambda: connect(schema))) as store:
            store.enqueue(letter(), RAW)
    with closing(PostgresStateStore(lambda: connect(schema))) as store:
        assert store.queued_message(OUTBOX, "k") == letter()
        claimed = entry(State.CLAIMED)._replace(verified_sender="kim@example.org")
        store.commit(store.acquire(INBOX, ME), [PutEntry(claimed)])
    with closing(PostgresStateStore(lambda: connect(schema))) as store:
        assert store.has_verified_sender("kim@example.org")


def test_a_newer_schema_is_refused(store: PostgresStateStore, schema: str) -> None:
    run(schema, "INSERT INTO nornmail_version (version) VALUES (99)")
    with pytest.raises(StoreError, match=r"version 99.*update nornmail"):
        PostgresStateStore(lambda: connect(schema))


# Lost connections


class Cutting:
    """Connects, and loses the connection at one statement, or is interrupted there.

    Args:
        at: the number of the statement, from 1; 0 for none.
        after: it is lost when the server has done the statement already.
        interrupted: there is Ctrl-C instead, and the connection stays.
    """

    def __init__(self, schema: str) -> None:
        self.count, self.at, self.after, self.interrupted = 0, 0, False, False
        self._schema = schema

    def __call__(self) -> Any:
        connection = connect(self._schema)
        cutting = self

        class Cursor(connection.cursor_factory):  # type: ignore[misc, name-defined]
            def execute(self, *arguments: Any, **options: Any) -> Any:
                cutting.count += 1
                here = cutting.count == cutting.at
                if here and not cutting.after:
                    if cutting.interrupted:
                        raise KeyboardInterrupt
                    connection.close()
                result = super().execute(*arguments, **options)
                if here:
                    if cutting.interrupted:
                        raise KeyboardInterrupt
                    connection.close()
                    raise ConnectionResetError("the connection was lost")
                return result

        connection.cursor_factory = Cursor
        return connection


def work(store: PostgresStateStore, unknown: list[str]) -> list[str]:
    """Handle three messages; what was acknowledged, in order.

    Args:
        unknown: takes what was interrupted, whose outcome the caller does not know.
    """
    done: list[str] = []
    leases: list[Lease] = []

    def attempt(name: str, action: Callable[[], object]) -> None:
        try:
            action()
        except StoreError:
            return
        except KeyboardInterrupt:
            unknown.append(name)
            return
        done.append(name)

    attempt("lease", lambda: leases.append(store.acquire(INBOX, ME)))
    if not leases:
        return done
    (lease,) = leases
    for uid in (1, 2, 3):
        claim = [PutEntry(entry(State.CLAIMED, uid), b"raw %d" % uid)]
        attempt(f"claimed {uid}", lambda changes=claim: store.commit(lease, changes))  # type: ignore[misc]
        if f"claimed {uid}" in done:
            handled = [PutEntry(entry(State.HANDLED, uid))]
            attempt(f"handled {uid}", lambda changes=handled: store.commit(lease, changes))  # type: ignore[misc]
    return done


def found(store: PostgresStateStore) -> list[str]:
    """What :func:`work` did, as it lies in the database."""
    names = []
    for one in sorted(store.entries(INBOX, set(State)), key=lambda one: one.key.uid):
        names.append(f"claimed {one.key.uid}")
        if one.state is State.HANDLED:
            names.append(f"handled {one.key.uid}")
            assert store.raw(INBOX, one.key) is None
    return names


@pytest.mark.parametrize("after", [False, True], ids=["before it", "right behind it"])
@pytest.mark.parametrize("interrupted", [False, True], ids=["the connection", "Ctrl-C"])
def test_whatever_comes_at_a_statement_the_outcome_is_known(
    tmp_path: Path, after: bool, interrupted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lost connection is no reason to guess: a commit is acknowledged if it was done."""
    monkeypatch.setattr(postgres, "OUTCOME_PAUSE", 0.01)
    at = 0
    while True:
        at += 1
        place = tmp_path / str(at)
        schema = schema_of(place)
        open_postgres(place).close()
        cutting = Cutting(schema)
        store = PostgresStateStore(cutting)
        cutting.at, cutting.after, cutting.interrupted = cutting.count + at, after, interrupted
        with closing(store):
            unknown: list[str] = []
            done = work(store, unknown)
            came, cutting.at = cutting.count >= cutting.at, 0
            acknowledged = [name for name in done if name != "lease"]
            assert [name for name in found(store) if name not in unknown] == acknowledged, at
            if not came:
                break
            assert len(done) >= 5 or "lease" not in done, (at, done)
            store.renew_leases()
            store.acquire(OTHER, ME)
    assert at > 25


def test_the_server_may_be_restarted(store: PostgresStateStore, beside: PostgresStateStore) -> None:
    lease, other = store.acquire(INBOX, ME), store.acquire(OTHER, ME)
    bring(store, lease, State.CLAIMED, 1)
    server().stop()
    with pytest.raises(StoreError, match="check that the server runs") as error:
        store.commit(lease, [PutEntry(entry(State.CLAIMED, 2))])
    assert error.value.passing
    store.release(other)
    server().start()
    assert store.count(INBOX, {State.CLAIMED}) == 1
    store.commit(lease, [PutEntry(entry(State.CLAIMED, 2))])
    with pytest.raises(LeaseHeld):
        beside.acquire(OTHER, "other:2")
    store.renew_leases()  # gives back what was released while there was no server
    beside.acquire(OTHER, "other:2")
    assert store.count(INBOX, {State.CLAIMED}) == 2
    store.release(lease)


def test_a_lease_that_could_not_be_given_back_is_taken_again(store: PostgresStateStore) -> None:
    lease = store.acquire(INBOX, ME)
    server().stop()
    store.release(lease)
    server().start()
    assert store.acquire(INBOX, ME).token > lease.token


@pytest.mark.parametrize(
    ("statement", "passing"),
    [
        pytest.param("ALTER TABLE entry RENAME TO lost", False, id="a table is missing"),
        pytest.param("ALTER TABLE entry ADD CHECK (uid < 1)", False, id="a constraint"),
        pytest.param(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$; "
            "CREATE TRIGGER full_disk BEFORE INSERT ON entry EXECUTE FUNCTION full_disk()",
            True,
            id="a full disk",
        ),
    ],
)
def test_an_error_of_the_server_passes_by_itself_or_does_not(
    store: PostgresStateStore, schema: str, statement: str, passing: bool
) -> None:
    lease = store.acquire(INBOX, ME)
    run(schema, statement)
    with pytest.raises(StoreError) as error:
        store.commit(lease, [PutEntry(entry(State.CLAIMED))])
    assert error.value.passing is passing
    store.commit(lease, [SaveMailbox(record())])


@pytest.mark.parametrize(
    "attributes",
    [{"sqlstate": "53100"}, {"pgcode": "53100"}, {"args": ({"C": "53100", "M": "full"},)}],
    ids=["psycopg 3", "psycopg2", "pg8000"],
)
def test_each_driver_says_the_state_of_an_error_in_its_way(attributes: dict[str, Any]) -> None:
    error = type("DriverError", (Exception,), {})()
    for name, value in attributes.items():
        setattr(error, name, value)
    assert postgres.sql_state(error) == "53100"
    assert postgres.sql_state(ValueError("?")) == ""
