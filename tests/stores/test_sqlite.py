"""The sqlite store: its schema, its plans, other processes, and what is refused."""

from __future__ import annotations

import gc
import random
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import pytest

from nornmail.errors import IllegalTransition, LeaseLost, StoreError
from nornmail.model import (
    Digest,
    InboxRecord,
    KeepRaw,
    MailboxKey,
    PassOver,
    PutEntry,
    SaveMailbox,
    State,
)
from nornmail.outgoing import QueueState
from nornmail.stores import rows as rows
from nornmail.stores import schema as schema
from nornmail.stores import sqlite
from nornmail.stores.sqlite import MemoryStateStore, SqliteStateStore
from nornmail.uidset import UidSet
from tests.stores.letters import OUTBOX, letter
from tests.stores.letters import bring as bring_message
from tests.stores.support import (
    CHILD_SECONDS,
    INBOX,
    ME,
    Started,
    bring,
    entry,
    key,
    record,
    run,
    start_fresh,
)
from tests.support.clock import FakeClock
from tests.support.faulty import Faults, FaultyConnection


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def store(path: Path) -> Iterator[SqliteStateStore]:
    opened = SqliteStateStore(path)
    yield opened
    opened.close()


def connection(store: SqliteStateStore) -> sqlite3.Connection:
    assert isinstance(store._connection, sqlite3.Connection)
    return store._connection


def filled(path: Path, count: int = 50) -> None:
    store = SqliteStateStore(path)
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [SaveMailbox(record())])
    for uid in range(1, count + 1):
        bring(store, lease, State.CLAIMED, uid, digest=Digest(f"h{uid}"))
    store.commit(lease, [KeepRaw(key(3), b"raw" * 9000)])
    store.close()


def refused(path: Path, words: str) -> None:
    before = path.read_bytes()
    with pytest.raises(StoreError, match=words) as error:
        SqliteStateStore(path)
    assert str(path) in str(error.value)
    assert path.read_bytes() == before


# How it is set up


def test_the_schema_is_made_once_for_all_stores_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    MemoryStateStore().close()
    monkeypatch.setattr(sqlite, "migrate", None)
    with closing(MemoryStateStore()) as store, closing(MemoryStateStore()) as another:
        bring(store, store.acquire(INBOX, ME), State.CLAIMED)
        assert another.mailboxes() == []


def test_a_template_that_another_thread_uses_is_not_waited_for() -> None:
    copies = [sqlite.new_database()]
    with sqlite._copying:
        copies.append(sqlite.new_database())
    for copy in copies:
        assert copy.execute("SELECT account FROM mailbox").fetchall() == []
        assert sqlite.schema_version(copy, "") == len(schema.MIGRATIONS)
        copy.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("fullfsync", 1),
        ("checkpoint_fullfsync", 1),
        ("application_id", sqlite.APPLICATION_ID),
        ("user_version", len(schema.MIGRATIONS)),
        ("busy_timeout", int(sqlite.BUSY_TIMEOUT_SECONDS * 1000)),
        ("encoding", "UTF-8"),
    ],
)
def test_a_commit_is_durable_and_the_database_is_known_as_ours(
    store: SqliteStateStore, pragma: str, value: object
) -> None:
    assert connection(store).execute(f"PRAGMA {pragma}").fetchone() == (value,)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no modes")
def test_a_message_that_is_forgotten_leaves_no_row(store: SqliteStateStore, path: Path) -> None:
    lease = store.acquire(MailboxKey.of_outbox(OUTBOX), "me")
    bring_message(store, lease, letter("k"), QueueState.SENT)
    assert store.forget_messages(OUTBOX, before=1e12, limit=9) == 1
    with closing(sqlite3.connect(path)) as database:
        count = "SELECT (SELECT count(*) FROM letter), (SELECT count(*) FROM letter_to)"
        assert database.execute(count).fetchone() == (0, 0)


def test_the_files_are_their_owners_only(store: SqliteStateStore, path: Path) -> None:
    bring(store, store.acquire(INBOX, ME), State.CLAIMED)
    files = list(path.parent.iterdir())
    assert len(files) == 4  # the database, its two helpers, the lock
    for file in files:
        assert file.stat().st_mode & 0o077 == 0, file


def test_a_hot_commit_is_a_few_statements_however_long_the_history(
    store: SqliteStateStore,
) -> None:
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.CLAIMED)
    traces = []
    for uid in (1, 2, 500):
        if uid == 500:
            store.commit(lease, [PutEntry(entry(State.PASSED_OVER, n)) for n in range(4, 500)])
            bring(store, lease, State.CLAIMED, 500)
        trace: list[str] = []
        connection(store).set_trace_callback(trace.append)
        changes = [PutEntry(entry(State.HANDLED, uid)), PutEntry(entry(State.CLAIMED, uid + 1))]
        store.commit(lease, changes)
        connection(store).set_trace_callback(None)
        traces.append([statement.split()[0] for statement in trace])
    assert traces[0] == traces[1] == traces[2]
    assert traces[0] == ["BEGIN", "SELECT", "UPDATE", "INSERT", "COMMIT"]


QUERIES = {
    "waiting entries by due time": (rows.in_state(rows.ENTRIES, State.WAITING), "entry_open", 3),
    "entries to count": (rows.in_state(rows.COUNT_ENTRIES, State.NEW), "entry_open", 3),
    "entries without bytes": (
        rows.in_state(rows.ENTRIES_WITHOUT_RAW, State.WAITING),
        "entry_open",
        3,
    ),
    "acquaintances": (rows.SELECT_BY_DIGEST, "entry_digest", 3),
    "one entry": (rows.SELECT_ENTRY, "PRIMARY KEY", 4),
    "one state": (rows.SELECT_STATE, "PRIMARY KEY", 4),
    "bytes": (rows.SELECT_RAW, "sqlite_autoindex_raw_1", 4),
    "dropped bytes": (rows.DELETE_RAW, "sqlite_autoindex_raw_1", 4),
    "the range below": (rows.SELECT_RANGE_BELOW, "PRIMARY KEY", 3),
    "the ranges within": (rows.SELECT_RANGES_WITHIN, "PRIMARY KEY", 4),
    "one epoch": (rows.SELECT_UIDS, "PRIMARY KEY", 2),
    "the fence": (rows.SELECT_FENCE, "INTEGER PRIMARY KEY", 1),
}


@pytest.mark.parametrize(("query", "index", "arguments"), QUERIES.values(), ids=QUERIES)
def test_every_query_has_its_index(
    store: SqliteStateStore, query: str, index: str, arguments: int
) -> None:
    plan = connection(store).execute("EXPLAIN QUERY PLAN " + query, (1,) * arguments).fetchall()
    steps = [step[-1] for step in plan]
    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN") for step in steps), steps


def test_ranges_are_joined_in_the_table(store: SqliteStateStore) -> None:
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [PassOver(1, UidSet.of([uid])) for uid in range(1, 200)])
    store.commit(
        lease, [PassOver(1, UidSet.parse("300,400,500")), PassOver(1, UidSet([(250, 450)]))]
    )
    found = connection(store).execute("SELECT low, high FROM passed_over").fetchall()
    assert found == [(1, 199), (250, 450), (500, 500)]


# Versions


def test_an_older_version_is_migrated_with_its_content(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path)
    newer = (*schema.MIGRATIONS, ("ALTER TABLE entry ADD COLUMN note TEXT",))
    monkeypatch.setattr(sqlite, "MIGRATIONS", newer)
    store = SqliteStateStore(path)
    assert connection(store).execute("PRAGMA user_version").fetchone() == (len(newer),)
    assert connection(store).execute("SELECT note FROM entry").fetchone() == (None,)
    assert store.count(INBOX, [State.CLAIMED]) == 50
    bring(store, store.acquire(INBOX, ME), State.CLAIMED, 77)
    store.close()
    monkeypatch.undo()
    refused(path, rf"version {len(newer)}.*update nornmail")


def test_a_migration_that_fails_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path)
    broken = ("CREATE TABLE note (text)", "ALTER TABLE missing ADD COLUMN note TEXT")
    monkeypatch.setattr(sqlite, "MIGRATIONS", (*schema.MIGRATIONS, broken))
    with pytest.raises(StoreError, match="missing"):
        SqliteStateStore(path)
    monkeypatch.undo()
    store = SqliteStateStore(path)
    tables = connection(store).execute("SELECT name FROM sqlite_master").fetchall()
    assert ("note",) not in tables
    store.close()


# What is refused


@pytest.mark.parametrize(
    "content",
    [b"my notes\n", b"x" * 9000, b"SQLite format 3\0", b'{"format": "nornmail state"}'],
    ids=["a short text", "a long text", "a beginning only", "a JSON store"],
)
def test_what_is_no_database_is_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    refused(path, "choose another path")


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_somebody_elses_database_is_refused_and_stays(path: Path, mode: str) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
        other.execute("CREATE TABLE address (name)")
        other.commit()
    refused(path, "another program")
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == (mode,)
        assert other.execute("SELECT name FROM sqlite_master").fetchall() == [("address",)]


def test_a_database_in_which_another_program_writes_is_not_waited_for(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE address (name TEXT)")
        other.execute("BEGIN IMMEDIATE")
        refused(path, "another program")


def test_a_transaction_that_cannot_begin_writes_nothing(store: SqliteStateStore) -> None:
    lease = store.acquire(INBOX, ME)
    real = store._connection
    store._connection = cast(
        "sqlite3.Connection", FaultyConnection(real, Faults([1], sqlite3.OperationalError))
    )
    with pytest.raises(StoreError, match="injected"):
        store.save_inbox(INBOX, InboxRecord(id="a", name="a", address="a@b.test", created_at=1.0))
    store._connection = real
    assert store.inboxes(INBOX) == []
    store.release(lease)


def test_an_empty_database_with_a_foreign_mark_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA application_id = 7")
    refused(path, "another program")


def test_an_empty_file_becomes_a_store(path: Path) -> None:
    path.touch()
    filled(path)


def test_a_damaged_database_is_refused(path: Path) -> None:
    filled(path)
    whole = path.read_bytes()
    source = random.Random(5)
    pages = len(whole) // 4096
    for page in range(1, pages):
        data = bytearray(whole)
        data[page * 4096 : page * 4096 + 12] = source.randbytes(12)
        path.write_bytes(data)
        refused(path, "malformed|damaged")
    path.write_bytes(whole[: 4096 * (pages // 2)])
    refused(path, "malformed|damaged")


def test_damage_that_is_met_later_is_a_store_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(path)
    monkeypatch.setattr(sqlite, "QUICK_CHECK_BYTES", 0)
    with closing(sqlite3.connect(path)) as other:
        query = "SELECT rootpage FROM sqlite_master WHERE tbl_name = 'entry'"
        roots = [page - 1 for (page,) in other.execute(query)]
    data = bytearray(path.read_bytes())
    for page in roots:
        data[page * 4096 : page * 4096 + 12] = b"\xff" * 12
    path.write_bytes(data)
    store = SqliteStateStore(path)
    with pytest.raises(StoreError, match=r"malformed.*backup"):
        store.entries(INBOX, tuple(State))
    store.close()


@pytest.mark.parametrize(
    ("change", "read"),
    [
        pytest.param(
            "state = 'lost'", lambda store: store.get(INBOX, key()), id="an unknown state"
        ),
        pytest.param(
            "inbox = x'ff'",
            lambda store: store.entries(INBOX, [State.CLAIMED]),
            id="octets that are no text",
        ),
    ],
)
def test_a_value_that_makes_no_sense_is_a_store_error(
    path: Path, change: str, read: Callable[[SqliteStateStore], object]
) -> None:
    filled(path, 3)
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"UPDATE entry SET {change} WHERE uid = 1")  # noqa: S608 - a constant of this file
        other.commit()
    store = SqliteStateStore(path)
    with pytest.raises(StoreError, match="understood"):
        read(store)
    store.close()


def test_a_directory_and_a_missing_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a directory"):
        SqliteStateStore(tmp_path)
    with pytest.raises(StoreError, match="create the directory"):
        SqliteStateStore(tmp_path / "missing" / "state.db")
    with pytest.raises(StoreError, match="MemoryStateStore"):
        SqliteStateStore(":memory:")


# Faults of a commit


def test_a_full_database_is_a_store_error_and_writes_nothing(store: SqliteStateStore) -> None:
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.CLAIMED)
    (pages,) = connection(store).execute("PRAGMA page_count").fetchone()
    connection(store).execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreError, match=r"full.*make room") as error:
        store.commit(
            lease, [PutEntry(entry(State.HANDLED)), PutEntry(entry(State.DEAD, 2), b"x" * 99999)]
        )
    assert store.path in str(error.value)
    assert store.entries(INBOX, tuple(State)) == [entry(State.CLAIMED)]
    connection(store).execute("PRAGMA max_page_count = 1000000")
    store.commit(lease, [PutEntry(entry(State.HANDLED))])


def test_a_locked_database_is_waited_for_and_then_a_store_error(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 0.05)
    store = SqliteStateStore(path)
    lease = store.acquire(INBOX, ME)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked.*another process"):
            store.commit(lease, [SaveMailbox(record())])
        assert store.load(INBOX) is None  # readers do not wait
        with pytest.raises(StoreError, match="locked"):
            SqliteStateStore(path)
        other.execute("ROLLBACK")
    store.commit(lease, [SaveMailbox(record())])
    store.close()


def test_a_lock_that_cannot_be_taken_is_no_lease(path: Path) -> None:
    store = SqliteStateStore(path)
    Path(sqlite.lease_lock_path(str(path), INBOX)).mkdir()
    with pytest.raises(StoreError, match=r"\.lock-"):
        store.acquire(INBOX, ME)
    store.close()


@pytest.mark.parametrize("ends", [True, False], ids=["that ends", "that does not end"])
def test_a_database_that_another_process_opens_at_the_same_instant_is_waited_for(
    path: Path, ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """sqlite refuses at once to switch to its log while another process writes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:

        class Waiting(FakeClock):
            def wait(self, event: threading.Event, seconds: float) -> None:
                super().wait(event, seconds)
                if ends and len(self.waits) == 3:
                    other.execute("ROLLBACK")

        def migrated(opened: sqlite3.Connection, name: str) -> None:
            migrate(opened, name)
            other.execute("BEGIN IMMEDIATE")

        migrate, clock = sqlite.migrate, Waiting()
        monkeypatch.setattr(sqlite, "migrate", migrated)
        if ends:
            SqliteStateStore(path, clock=clock).close()
            assert len(clock.waits) == 3
        else:
            with pytest.raises(StoreError, match=r"locked.*another process"):
                SqliteStateStore(path, clock=clock)
            assert sum(clock.waits) == pytest.approx(sqlite.BUSY_TIMEOUT_SECONDS, abs=0.1)


def test_a_number_that_sqlite_cannot_hold_is_a_store_error(store: SqliteStateStore) -> None:
    lease = store.acquire(INBOX, ME)
    with pytest.raises(StoreError, match="64 bits"):
        bring(store, lease, State.CLAIMED, 2**70)
    bring(store, lease, State.CLAIMED)


def test_an_interruption_in_a_commit_undoes_it(store: SqliteStateStore) -> None:
    lease = store.acquire(INBOX, ME)

    def interrupted() -> Iterator[PutEntry]:
        yield PutEntry(entry(State.CLAIMED))
        raise KeyboardInterrupt

    class Changes(list[PutEntry]):
        def __iter__(self) -> Iterator[PutEntry]:
            return interrupted()

    with pytest.raises(KeyboardInterrupt):
        store.commit(lease, Changes([PutEntry(entry(State.CLAIMED))]))
    assert store.entries(INBOX, tuple(State)) == []
    bring(store, lease, State.CLAIMED)


def test_an_interruption_right_behind_begin_leaves_a_store_that_can_be_used(
    store: SqliteStateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = store.acquire(INBOX, ME)
    connection = store._connection

    class Interrupted:
        def __getattr__(self, name: str) -> Any:
            return getattr(connection, name)

        def execute(self, statement: str, *arguments: Any) -> Any:
            connection.execute(statement, *arguments)
            raise KeyboardInterrupt  # also within the ROLLBACK that follows

    monkeypatch.setattr(store, "_connection", Interrupted())
    with pytest.raises(KeyboardInterrupt):
        store.commit(lease, [PutEntry(entry(State.CLAIMED))])
    monkeypatch.undo()
    connection.execute("BEGIN")  # as if it had come before the block that rolls back
    bring(store, lease, State.CLAIMED)


# Other connections and processes


def test_a_token_that_was_raised_elsewhere_ends_the_lease(
    store: SqliteStateStore, path: Path
) -> None:
    """As a second machine would do it, whose locks this one does not see."""
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.CLAIMED)
    with closing(sqlite3.connect(path)) as other:
        other.execute("UPDATE mailbox SET token = token + 1")
        other.commit()
    for changes in ([PutEntry(entry(State.HANDLED))], []):
        with pytest.raises(LeaseLost):
            store.commit(lease, changes)
    assert store.entries(INBOX, tuple(State)) == [entry(State.CLAIMED)]
    store.release(lease)
    assert store.acquire(INBOX, ME).token == lease.token + 2


def test_another_store_on_the_same_file_sees_each_commit(
    store: SqliteStateStore, path: Path
) -> None:
    beside = SqliteStateStore(path)
    lease = store.acquire(INBOX, ME)
    for uid in range(1, 5):
        bring(store, lease, State.CLAIMED, uid)
        assert beside.count(INBOX, [State.CLAIMED]) == uid
    with pytest.raises(LeaseLost):
        beside.commit(lease, [PutEntry(entry(State.HANDLED))])
    beside.close()


def test_an_illegal_change_leaves_the_database_unlocked(
    store: SqliteStateStore, path: Path
) -> None:
    lease = store.acquire(INBOX, ME)
    with pytest.raises(IllegalTransition):
        store.commit(lease, [PutEntry(entry(State.FINISHED))])
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")


OPEN_AND_WRITE = """
import sys
from nornmail.model import Entry, EntryKey, MailboxKey, PutEntry, State
from nornmail import SqliteStateStore
print("ready", flush=True)
sys.stdin.readline()
store = SqliteStateStore(sys.argv[1])
key = MailboxKey("a", sys.argv[2])
lease = store.acquire(key, "me")
for uid in range(1, 41):
    new = Entry(key=EntryKey(1, uid), state=State.CLAIMED, delivery_id="x")
    store.commit(lease, [PutEntry(new)])
print(store.count(key, [State.CLAIMED]))
store.close()
"""


def test_processes_may_make_and_fill_one_database_at_once(path: Path) -> None:
    children = [Started(OPEN_AND_WRITE, path, f"mailbox {n}") for n in range(4)]
    try:
        for child in children:
            assert child.stdout.readline() == "ready\n"
        for child in children:
            child.stdin.write("go\n")
            child.stdin.flush()
        for child in children:
            out, err = child.end()
            assert (out, err) == ("40\n", "")
    finally:
        for child in children:
            child.kill()
            child.close()


def test_a_database_that_is_made_meanwhile_is_not_another_programs(path: Path) -> None:
    """Another process may commit the schema between the reads of its marks."""

    def interrupt(statement: str) -> None:
        if statement.lstrip("- ").startswith("PRAGMA user_version") and maker.ident is None:
            maker.start()
            maker.join(0.2)  # it waits for the end of the statement

    sqlite3.connect(path).close()
    maker = threading.Thread(target=lambda: SqliteStateStore(path).close())
    with closing(sqlite.open_database(str(path))) as connection:
        connection.set_trace_callback(interrupt)
        assert sqlite.schema_version(connection, str(path)) == 0
        connection.set_trace_callback(None)
        maker.join()
        assert sqlite.schema_version(connection, str(path)) == len(schema.MIGRATIONS)


def test_a_full_disk_gets_the_room_of_the_log_back(
    store: SqliteStateStore, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = store.acquire(INBOX, ME)
    log = Path(f"{path}-wal")
    assert log.stat().st_size > 0
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorname = "SQLITE_FULL"

    def fail() -> None:
        raise full

    with monkeypatch.context() as patch:
        patch.setattr(store, "_commit", fail)
        with pytest.raises(StoreError, match="make room") as refused:
            store.commit(lease, [PutEntry(entry(State.CLAIMED))])
    assert refused.value.passing
    assert log.stat().st_size == 0
    store.commit(lease, [PutEntry(entry(State.CLAIMED))])
    assert store.count(INBOX, [State.CLAIMED]) == 1


def test_a_store_that_was_dropped_closes_without_a_warning(path: Path) -> None:
    store = SqliteStateStore(path)
    store.acquire(INBOX, ME)
    del store
    gc.collect()
    again = SqliteStateStore(path)
    again.acquire(INBOX, ME)
    again.close()


DROPPED = """
import sys
from nornmail.model import MailboxKey
from nornmail import JsonStateStore, SqliteStateStore
kept = [SqliteStateStore(sys.argv[1]), JsonStateStore(sys.argv[2])]
for store in kept:
    store.acquire(MailboxKey("a", "b"), "me")
"""


def test_a_process_may_end_without_closing_its_stores(tmp_path: Path) -> None:
    assert run(DROPPED, tmp_path / "state.db", tmp_path / "state.json") == ""


ENDED_WITHIN_A_STATEMENT = """
import sys, threading
from nornmail.model import Epoch, MailboxKey, MailboxRecord, SaveMailbox, Watermark
from nornmail import JsonStateStore, SqliteStateStore
def write(store):
    lease = store.acquire(MailboxKey("a", "b"), "me")
    epoch = Epoch(1, 7, 1, matched=True, begun_at=1.5)
    for uid in range(1, 10**9):
        store.commit(lease, [SaveMailbox(MailboxRecord(epoch=epoch, watermark=Watermark(7, uid)))])
        begun.release()
begun = threading.Semaphore(0)
for store in (SqliteStateStore(sys.argv[1]), JsonStateStore(sys.argv[2])):
    threading.Thread(target=write, args=(store,), daemon=True).start()
for _ in range(8):
    begun.acquire()
"""


def test_a_process_may_end_while_a_thread_still_writes(tmp_path: Path) -> None:
    for number in range(4):
        paths = (tmp_path / f"state{number}{end}" for end in (".db", ".json"))
        assert run(ENDED_WITHIN_A_STATEMENT, *paths) == ""


WITHOUT_SQLITE = """
import sys
sys.modules["sqlite3"] = None
import nornmail
for name in nornmail.__all__:
    getattr(nornmail, name)
for make in (
    nornmail.MemoryStateStore,
    lambda: nornmail.SqliteStateStore(sys.argv[1] + "/state.db"),
    lambda: nornmail.JsonStateStore(sys.argv[1] + "/state.json"),
):
    try:
        make()
    except nornmail.StoreError as error:
        print("the sqlite3 module" in str(error))
"""


def test_without_sqlite_the_rest_works_and_a_store_says_what_is_missing(tmp_path: Path) -> None:
    with start_fresh(WITHOUT_SQLITE, tmp_path) as process:  # not one that has imported everything
        out, err = process.communicate(timeout=CHILD_SECONDS)
    assert (out, err) == ("True\n" * 3, "")


def test_a_range_is_joined_with_the_nearest_one_below(store: SqliteStateStore) -> None:
    lease = store.acquire(INBOX, ME)
    for text in ("1:2", "5:6", "7"):
        store.commit(lease, [PassOver(1, UidSet.parse(text))])
    ranges = connection(store).execute("SELECT low, high FROM passed_over ORDER BY low")
    assert ranges.fetchall() == [(1, 2), (5, 7)]


def test_a_lease_that_could_not_be_written_down_is_free_for_others(
    store: SqliteStateStore, path: Path
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "RAISE_FENCE", "UPDATE nowhere SET token = ?")
        with pytest.raises(StoreError, match="nowhere"):
            store.acquire(INBOX, ME)
    with closing(SqliteStateStore(path)) as other:
        assert other.acquire(INBOX, "another").token == 1


def test_memory_is_no_file() -> None:
    with pytest.raises(StoreError, match="use MemoryStateStore"):
        SqliteStateStore(":memory:")
