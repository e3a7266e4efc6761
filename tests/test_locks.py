"""The lock of the operating system: who has it, and when it is free again."""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nornmail.errors import LeaseHeld, StoreError
from nornmail.locks import HOLDER_BYTES, FileLock, LockTaken, holder_of
from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.sqlite import SqliteStateStore
from tests.stores.support import INBOX, ME, OTHER, Started, run, start_fresh

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork")


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "a.lock")


def test_a_lock_is_held_until_it_is_released(path: str) -> None:
    first, second = FileLock(path), FileLock(path)
    states = [first.held]
    first.acquire("first")
    states.append(first.held)
    with pytest.raises(LockTaken) as taken:
        second.acquire("second")
    assert taken.value.holder == "first"
    assert not second.held
    first.release()
    first.release()
    assert [*states, first.held] == [False, True, False]
    assert str(LockTaken(path, "")) == f"{path} is locked by another process"
    second.acquire("second")
    with pytest.raises(LockTaken, match="second"):
        first.acquire("first")
    second.release()


def test_a_lock_is_not_taken_twice_by_one_object(path: str) -> None:
    lock = FileLock(path)
    lock.acquire("me")
    with pytest.raises(LockTaken):
        lock.acquire("me")
    assert lock.held
    lock.release()
    FileLock(path).acquire("another")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("line", range(1, 40))
def test_an_interruption_while_it_is_taken_or_given_back_does_not_keep_it(
    path: str, line: int
) -> None:
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        code = frame.f_code
        # Not acquire(): Python itself does not look for signals where the block of a lock ends.
        if code.co_name == "acquire" or not code.co_filename.endswith(("locks.py", "weakref.py")):
            return None
        if event == "line":
            left -= 1
            if not left:
                raise KeyboardInterrupt
        return trace

    def take_and_give_back() -> None:
        lock = FileLock(path)
        lock.acquire("first")
        lock.release()

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        with suppress(KeyboardInterrupt):
            take_and_give_back()
    finally:
        sys.settrace(before)
    second = FileLock(path)
    second.acquire("second")
    second.release()


def test_the_file_stays_when_the_lock_is_released(path: str) -> None:
    lock = FileLock(path)
    lock.acquire("a long name of the one before")
    inode = os.stat(path).st_ino
    lock.release()
    lock.acquire("short")
    assert os.stat(path).st_ino == inode
    assert Path(path).read_text(encoding="utf-8") == "short"
    lock.release()


@pytest.mark.parametrize(
    ("holder", "shown"),
    [("h:1", "h:1"), ("\udc80", "\\udc80"), ("x" * 999, "x" * HOLDER_BYTES), ("", "")],
    ids=["plain", "with a surrogate", "endless", "nameless"],
)
def test_the_holder_is_named_as_well_as_can_be(path: str, holder: str, shown: str) -> None:
    lock = FileLock(path)
    lock.acquire(holder)
    with pytest.raises(LockTaken) as taken:
        FileLock(path).acquire("x")
    assert taken.value.holder == shown
    lock.release()


@posix_only
def test_the_holder_may_be_a_process_of_another_user(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(_process: int, _number: int) -> None:
        raise PermissionError

    lock = FileLock(path)
    holder = f"{socket.gethostname()}:{os.getpid()}"
    lock.acquire(holder)
    monkeypatch.setattr(os, "kill", kill)
    assert holder_of(path) == holder
    lock.release()


def test_a_lock_that_was_dropped_is_free(path: str) -> None:
    lock = FileLock(path)
    lock.acquire("dropped")
    del lock
    gc.collect()
    again = FileLock(path)
    again.acquire("again")
    again.release()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no O_NOFOLLOW")
def test_a_link_is_not_followed(path: str, tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("content")
    os.symlink(target, path)
    with pytest.raises(OSError, match="symbolic"):
        FileLock(path).acquire("me")
    assert target.read_text() == "content"


def test_a_lock_in_a_missing_directory_is_an_error(tmp_path: Path) -> None:
    lock = FileLock(str(tmp_path / "missing" / "a.lock"))
    with pytest.raises(FileNotFoundError):
        lock.acquire("me")
    assert not lock.held


HOLD = """
import os, sys, time
from nornmail.locks import FileLock
lock = FileLock(sys.argv[1])
lock.acquire("the child")
print("held", flush=True)
sys.stdin.read()
"""


def test_the_lock_of_a_process_that_is_killed_is_free_at_once(path: str) -> None:
    with Started(HOLD, path) as child:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(LockTaken, match="the child"):
            FileLock(path).acquire("me")
        child.kill()
        child.wait()
    lock = FileLock(path)
    lock.acquire("me")
    lock.release()


# A parent that takes the lock, forks and dies; the child lives until its stdin ends.
FORK = """
import os, sys
from nornmail.locks import FileLock
lock = FileLock(sys.argv[1])
lock.acquire("the parent")
child = os.fork()
if child == 0:
    print("child", int(lock.held), os.getpid(), flush=True)
    sys.stdin.read()
    os._exit(0)
sys.stdin.readline()
print("parent", int(lock.held), flush=True)
os._exit(0)
"""


@posix_only
def test_a_forked_child_that_outlives_its_parent_does_not_keep_the_lock(path: str) -> None:
    with Started(FORK, path) as parent:
        word, held, child = parent.stdout.readline().split()
        assert (word, held) == ("child", "0")
        with pytest.raises(LockTaken, match="the parent"):  # the child's close left it alone
            FileLock(path).acquire("me")
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        lock = FileLock(path)
        lock.acquire("me")
        os.kill(int(child), 0)  # it is alive
        lock.release()
        parent.stdin.close()  # and ends now


EXEC = """
import subprocess, sys
from nornmail.locks import FileLock
lock = FileLock(sys.argv[1])
lock.acquire("the parent")
subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
print("started", flush=True)
import os
os._exit(0)
"""


def test_a_program_that_was_started_does_not_inherit_the_lock(path: str) -> None:
    with start_fresh(EXEC, path) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        assert parent.stdout.readline() == "started\n"
        parent.wait()
        lock = FileLock(path)
        lock.acquire("me")
        lock.release()
        parent.stdin.close()


# The leases of the sqlite store are such locks


def test_two_stores_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    first, second = (SqliteStateStore(tmp_path / "state.db") for _ in range(2))
    lease = first.acquire(INBOX, ME)
    with pytest.raises(LeaseHeld) as held:
        second.acquire(INBOX, "second")
    assert held.value.owner == ME
    other = second.acquire(OTHER, "second")
    first.release(lease)
    again = second.acquire(INBOX, "second")
    assert again.token == lease.token + 1
    assert other.token == 1
    first.close()
    second.close()


def test_two_names_of_one_database_are_one_store(tmp_path: Path) -> None:
    first = SqliteStateStore(tmp_path / "state.db")
    (tmp_path / "link.db").symlink_to(tmp_path / "state.db")
    second = SqliteStateStore(str(tmp_path / "link.db"))
    first.acquire(INBOX, ME)
    with pytest.raises(LeaseHeld):
        second.acquire(INBOX, ME)
    first.close()
    second.close()


HOLD_LEASE = """
import sys
from nornmail.model import MailboxKey
from nornmail import SqliteStateStore
store = SqliteStateStore(sys.argv[1])
lease = store.acquire(MailboxKey(sys.argv[2], sys.argv[3]), "the child:1")
print(lease.token, flush=True)
sys.stdin.read()
"""


def test_the_lease_of_a_process_that_is_killed_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    store = SqliteStateStore(path)
    with Started(HOLD_LEASE, path, INBOX.account, INBOX.mailbox) as child:
        assert child.stdout.readline() == "1\n"
        with pytest.raises(LeaseHeld) as held:
            store.acquire(INBOX, ME)
        assert held.value.owner == "the child:1"
        child.kill()
        child.wait()
    assert store.acquire(INBOX, ME).token == 2
    store.close()


FORKED_STORES = """
import os, sys
from nornmail.errors import StoreError
from nornmail.model import MailboxKey, SaveMailbox
from nornmail import JsonStateStore, SqliteStateStore
key = MailboxKey("a", "b")
stores = [JsonStateStore(sys.argv[1]), SqliteStateStore(sys.argv[2])]
leases = [store.acquire(key, "parent") for store in stores]
child = os.fork()
if child == 0:
    for store, lease in zip(stores, leases):
        for attempt in (lambda: store.load(key), lambda: store.commit(lease, [])):
            try:
                attempt()
            except StoreError as error:
                print("fork" in str(error), flush=True)
        store.release(lease)
        store.close()
    sys.exit(0)
os.waitpid(child, 0)
for store, lease in zip(stores, leases):
    store.commit(lease, [])
    store.close()
print("parent goes on")
"""


@posix_only
def test_a_store_is_of_no_use_in_a_forked_child(tmp_path: Path) -> None:
    out = run(FORKED_STORES, tmp_path / "a.json", tmp_path / "a.db")
    assert out == "True\n" * 4 + "parent goes on\n"


def test_a_json_store_is_open_once(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    store = JsonStateStore(path)
    with pytest.raises(StoreError, match=r"SqliteStateStore") as refused:
        JsonStateStore(path)
    assert f":{os.getpid()}" in str(refused.value)
    assert str(path) in str(refused.value)
    store.close()
    JsonStateStore(path).close()


OPEN_JSON = """
import sys
from nornmail import JsonStateStore
store = JsonStateStore(sys.argv[1])
print("open", flush=True)
sys.stdin.read()
"""


def test_a_json_store_of_a_process_that_was_killed_is_free_at_once(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    with Started(OPEN_JSON, path) as child:
        assert child.stdout.readline() == "open\n"
        with pytest.raises(StoreError, match=f":{child.pid}"):
            JsonStateStore(path)
        child.kill()
        child.wait()
    JsonStateStore(path).close()
