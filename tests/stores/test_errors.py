"""What a store says of an error below it, and which changes it refuses."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from nornmail.errors import IllegalTransition, LeaseHeld, StoreError
from nornmail.files import FileIdentity, Files
from nornmail.locks import FileLock, LockTaken
from nornmail.model import Lease, State, check_keep, check_put, check_rekey, check_retry
from nornmail.outgoing import QueueState, check_enqueue
from nornmail.stores.errors import resolve, store_error
from nornmail.stores.sqlite import MemoryStateStore, SqliteStateStore, sqlite_error
from tests.stores.letters import letter
from tests.stores.support import INBOX, key
from tests.support.table import table


def named(name: str) -> sqlite3.Error:
    error = sqlite3.OperationalError("it failed")
    error.sqlite_errorname = name
    return error


def noted(error: OSError, note: str) -> OSError:
    error.add_note(note)
    return error


def system(number: int, filename: str | None = None) -> OSError:
    return OSError(number, "it failed", filename)


@table(
    ("error", "text", "passing"),
    [
        (named("SQLITE_BUSY_SNAPSHOT"), "it failed: another process holds it", True),
        (named("SQLITE_FULL"), "it failed: make room on that disk", True),
        (named("SQLITE_IOERR_WRITE"), "check the disk and the system's log, whether it", True),
        (named("SQLITE_CORRUPT"), "it failed: restore it from a backup", False),
        (named("SQLITE_READONLY"), "it failed: let this user write there", False),
        (named("SQLITE_MISUSE"), "it failed: check the disk", False),
        (sqlite3.ProgrammingError("closed"), "closed: check the disk", False),
        (OverflowError("int too large"), "cannot hold a number of more than 64 bits", False),
        (ValueError("'lost' is no state"), "cannot be understood: 'lost' is no state", False),
        (KeyError("a mistake"), None, None),
        (StoreError("of ours"), None, None),
        (IllegalTransition("of ours"), None, None),
    ],
    ids=repr,
)
def test_an_error_of_sqlite_says_what_to_do(
    error: Exception, text: str | None, passing: bool | None
) -> None:
    translated = sqlite_error("/a/state.db", error)
    if text is None:
        assert translated is None
        return
    assert translated is not None
    assert str(translated).startswith("the state store /a/state.db ")
    assert text in str(translated)
    assert translated.passing is passing


@table(
    ("error", "text", "passing"),
    [
        (system(errno.ENOSPC), "it failed: make room on that disk", True),
        (system(errno.EDQUOT, "/a/state"), "it failed: make room on that disk", True),
        (system(errno.EACCES, "/a/other"), "it failed (/a/other): let this user write", False),
        (system(errno.EIO), "it failed: check the disk and the system's log", True),
        (system(errno.EMFILE), "it failed: too many files are open", True),
        (OSError("no number"), "no number: check the disk", False),
        (noted(system(errno.EIO), "and more"), "it failed and more: check the disk", True),
    ],
    ids=repr,
)
def test_an_error_of_the_system_says_what_to_do(error: OSError, text: str, passing: bool) -> None:
    translated = store_error("/a/state", error)
    assert str(translated).startswith(f"the state store /a/state cannot be used: {text}")
    assert translated.passing is passing


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("", "the state store (no path) cannot be used: it is a directory"),
        ("here", "the state store here cannot be used: it is a directory"),
        ("missing/state", "the directory .*/missing is missing: create the directory first"),
        ("a\0b", "no path has a NUL character: name it without"),
        ("linked", "the file has 2 names (hard links), and two processes"),
    ],
)
def test_where_no_store_can_be(
    path: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").mkdir()
    (tmp_path / "file").touch()
    os.link(tmp_path / "file", tmp_path / "linked")
    with pytest.raises(StoreError, match=text.replace("(", r"\(").replace(")", r"\)")):
        resolve(path)
    assert resolve("state") == os.path.realpath(tmp_path / "state")


def test_a_database_in_memory_is_no_file() -> None:
    with pytest.raises(StoreError, match="use MemoryStateStore"):
        SqliteStateStore(":memory:")
    assert not os.path.exists(":memory:")


@pytest.mark.parametrize("act", [os.unlink, lambda path: os.replace(f"{path}.new", path)])
def test_a_file_that_was_removed_or_replaced_is_another(
    act: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "state"
    path.touch()
    (tmp_path / "state.new").touch()
    identity = FileIdentity(str(path))
    identity.check()
    act(path)
    with pytest.raises(StoreError, match="removed or replaced while it was open"):
        identity.check()


def test_a_lock_that_cannot_be_had_keeps_no_file_open(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    lock = FileLock(path)
    lock.acquire("host:1")
    files = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    for _ in range(3):
        with pytest.raises(LockTaken, match=r"lock is locked by host:1$"):
            FileLock(path).acquire("host:2")
    if files:
        assert len(os.listdir("/proc/self/fd")) == len(files)
    lock.release()
    assert str(LockTaken("a", "")) == "a is locked by another process"


def test_a_lease_that_another_process_holds_names_it(tmp_path: Path) -> None:
    first, second = SqliteStateStore(tmp_path / "a.db"), SqliteStateStore(tmp_path / "a.db")
    lease = first.acquire(INBOX, "host:1")
    with pytest.raises(LeaseHeld, match="is in use by host:1") as held:
        second.acquire(INBOX, "host:2")
    assert held.value.owner == "host:1"
    first.release(lease)
    second.release(second.acquire(INBOX, "host:2"))
    first.close()
    second.close()


def test_a_refusal_that_is_kept_does_not_keep_the_lease() -> None:
    """A prompt keeps the last exception, and with it each frame that it went through."""
    store = MemoryStateStore()
    lease: Lease | None = store.acquire(INBOX, "host:1")
    with pytest.raises(LeaseHeld) as held:
        store.acquire(INBOX, "host:2")
    lease = None  # as an exception of a signal takes it away
    assert store.acquire(INBOX, "host:2") is not lease
    assert held.value.owner == "host:1"
    store.close()


def test_what_is_synced_is_closed(tmp_path: Path) -> None:
    before = os.listdir("/proc/self/fd") if os.path.isdir("/proc/self/fd") else []
    for _ in range(3):
        Files().fsync_directory(str(tmp_path))
    if before:
        assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_store_in_a_forked_child_is_refused_although_a_thread_of_the_parent_works_with_it(
    tmp_path: Path,
) -> None:
    store = SqliteStateStore(tmp_path / "a.db")
    held, done = threading.Event(), threading.Event()

    def work() -> None:
        with store._mutex:
            held.set()
            done.wait()

    thread = threading.Thread(target=work)
    thread.start()
    held.wait()
    store._process = -1  # as if this were a child, in which that thread is not there
    with pytest.raises(StoreError, match="before this process was forked"):
        store.load(INBOX)
    done.set()
    thread.join()
    store._process = os.getpid()
    store.close()


INTERRUPTIONS = 20


class Interrupted(BaseException):
    """What the handler of a signal raises."""


@pytest.mark.skipif(not hasattr(signal, "SIGVTALRM"), reason="there is no such timer")
def test_the_exception_of_a_signal_leaves_no_lock_behind(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "a.db")
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            store.load(INBOX)

    def interrupt(_number: int, _frame: object) -> None:
        raise Interrupted

    def read_until_interrupted(seconds: float) -> None:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        while True:
            store.load(INBOX)

    thread = threading.Thread(target=work)
    before = signal.signal(signal.SIGVTALRM, interrupt)
    thread.start()
    try:
        for number in range(INTERRUPTIONS):
            with pytest.raises(Interrupted):
                read_until_interrupted(0.0005 + number * 1e-5)
            assert not store._mutex._is_owned()  # type: ignore[attr-defined]
    finally:
        signal.signal(signal.SIGVTALRM, before)
        over.set()
        thread.join()
    store.close()


A, B = key(1), key(2)


@table(
    ("act", "refused"),
    [
        pytest.param(partial(check_put, None, State.NEW), "", id="a new entry is put"),
        pytest.param(partial(check_put, State.NEW, State.NEW), "cannot become new", id="twice"),
        pytest.param(partial(check_put, None, State.HANDLED), "new cannot", id="handled at once"),
        pytest.param(partial(check_put, None, State.CLAIMED), "", id="claimed at once"),
        pytest.param(partial(check_keep, A, State.DEAD), "", id="bytes of what is dead"),
        pytest.param(partial(check_keep, A, State.NEW), "it is new", id="bytes of what is new"),
        pytest.param(partial(check_keep, A, None), "no such entry", id="bytes of nothing"),
        pytest.param(partial(check_retry, A, State.DEAD), "", id="a retry of what is dead"),
        pytest.param(partial(check_retry, A, State.WAITING), "it is waiting", id="of what waits"),
        pytest.param(partial(check_retry, A, None), "no such entry", id="of nothing"),
        pytest.param(partial(check_rekey, A, State.NEW, B, None), "", id="a move"),
        pytest.param(partial(check_rekey, A, State.NEW, B, State.GONE), "", id="to what is gone"),
        pytest.param(partial(check_rekey, A, State.NEW, B, State.NEW), "is one", id="to another"),
        pytest.param(partial(check_rekey, A, State.GONE, A, State.GONE), "is one", id="to itself"),
        pytest.param(partial(check_rekey, A, None, B, None), "no such entry", id="of nothing"),
        pytest.param(lambda: check_enqueue(letter()), "", id="a queued message"),
    ],
)
def test_which_changes_are_refused(act: Callable[[], object], refused: str) -> None:
    if not refused:
        act()
        return
    with pytest.raises(IllegalTransition, match=refused):
        act()


@table("state", QueueState)
def test_a_new_message_is_at_its_beginning(state: QueueState) -> None:
    beginning = state in (QueueState.QUEUED, QueueState.HELD, QueueState.DRAFT)
    message = letter()._replace(state=state)
    if beginning:
        check_enqueue(message)
    else:
        with pytest.raises(IllegalTransition, match=f"this one is {state}"):
            check_enqueue(message)
