"""Faults of the machine, made for real: kill -9, a limit on files, no right to write."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path

import pytest

from nornmail.errors import StoreError
from nornmail.model import PutEntry, State
from nornmail.stores.sqlite import SqliteStateStore
from tests.stores.support import (
    INBOX,
    ME,
    PATHS,
    Started,
    entry,
    public_directory,
    run,
)
from tests.support.table import table

KILLS = 40
"""In the long run."""

pytestmark = pytest.mark.skipif(
    sys.platform == "win32", reason="limits, users and signals are POSIX's"
)

KINDS = sorted(PATHS)


@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced by another file"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_store_whose_file_is_removed_while_it_is_open_takes_no_commit(
    kind: str, replaced: bool, tmp_path: Path
) -> None:
    store = PATHS[kind](tmp_path)
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [PutEntry(entry(State.CLAIMED, 1), b"raw 1")])
    for path in tmp_path.iterdir():
        if path.is_file():
            path.unlink()
            if replaced:
                path.touch()
    with pytest.raises(StoreError, match="removed or replaced"):
        store.commit(lease, [PutEntry(entry(State.HANDLED, 1))])
    store.close()


def test_a_sqlite_store_whose_log_is_removed_takes_no_commit(tmp_path: Path) -> None:
    store = PATHS["sqlite"](tmp_path)
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [PutEntry(entry(State.CLAIMED, 1), b"raw 1")])
    with closing(PATHS["sqlite"](tmp_path)) as other:  # leaves the log alone when it is closed
        assert other.count(INBOX, {State.CLAIMED}) == 1
    store.commit(lease, [PutEntry(entry(State.HANDLED, 1))])
    (log,) = tmp_path.glob("*-wal")
    log.unlink()
    with pytest.raises(StoreError, match=r"-wal was removed or replaced"):
        store.commit(lease, [PutEntry(entry(State.FINISHED, 1))])
    store.close()


def test_a_json_store_whose_lock_is_removed_writes_nothing_beside_the_next_holder(
    tmp_path: Path,
) -> None:
    store = PATHS["json"](tmp_path)
    lease = store.acquire(INBOX, ME)
    (lock,) = tmp_path.glob("*.lock")
    lock.unlink()
    with closing(PATHS["json"](tmp_path)) as other:
        other.commit(other.acquire(INBOX, ME), [PutEntry(entry(State.CLAIMED, 1), b"raw 1")])
        with pytest.raises(StoreError, match=r"\.lock was removed or replaced"):
            store.commit(lease, [PutEntry(entry(State.CLAIMED, 1), b"raw 1")])
        store.close()


# Claims and handles one message after the other, and says which one is through.
LOOP = """
import sys
from pathlib import Path
from nornmail.model import PutEntry, State
from nornmail.stores import json_store
from tests.stores.support import INBOX, ME, PATHS, entry
json_store.JOURNAL_FLOOR_BYTES = 2000
store = PATHS[sys.argv[1]](Path(sys.argv[2]))
lease = store.acquire(INBOX, ME)
claimed = store.entries(INBOX, [State.CLAIMED])
uid = claimed[0].key.uid if claimed else 1
if not claimed:
    store.commit(lease, [PutEntry(entry(State.CLAIMED, uid), b"raw 1")])
while True:
    new = PutEntry(entry(State.CLAIMED, uid + 1), b"raw %d" % (uid + 1))
    store.commit(lease, [PutEntry(entry(State.HANDLED, uid)), new])
    print(uid, flush=True)
    uid += 1
"""


@pytest.mark.parametrize("kills", [2, pytest.param(KILLS, marks=pytest.mark.long)])
@pytest.mark.parametrize("kind", KINDS)
def test_no_acknowledged_commit_is_lost_to_kill_9(kind: str, kills: int, tmp_path: Path) -> None:
    acknowledged = 0
    for number in range(kills):
        with Started(LOOP, kind, tmp_path) as child:
            wanted = acknowledged + 3 + number * 7 % 11
            for line in child.stdout:
                acknowledged = int(line)
                if acknowledged >= wanted:
                    break
            child.kill()
            for line in child.stdout:  # what it printed until it died
                if line.endswith("\n"):
                    acknowledged = int(line)
            assert child.stderr.read() == ""
        store = PATHS[kind](tmp_path)
        handled = store.entries(INBOX, [State.HANDLED])
        assert [one.key.uid for one in handled] == list(range(1, len(handled) + 1))
        assert acknowledged <= len(handled) <= acknowledged + 1
        (claimed,) = store.entries(INBOX, [State.CLAIMED])
        assert claimed.key.uid == len(handled) + 1
        assert store.raw(INBOX, claimed.key) == b"raw %d" % claimed.key.uid
        store.close()
    assert acknowledged > kills * 3


# Files of this process may not become bigger than some limit from now on.
LIMITED = """
import resource, sys
from pathlib import Path
from nornmail.errors import StoreError
from nornmail.model import PutEntry, State
from tests.stores.support import INBOX, ME, PATHS, entry
directory = Path(sys.argv[2])
store = PATHS[sys.argv[1]](directory)
lease = store.acquire(INBOX, ME)
limit = max(file.stat().st_size for file in directory.iterdir()) + 5000
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
uid, refusals = 0, 0
while refusals < 3:
    uid += 1
    try:
        store.commit(lease, [PutEntry(entry(State.CLAIMED, uid), b"x" * uid * 10)])
    except StoreError as error:
        refusals += 1
        assert str(directory) in str(error) and "limit" in str(error), error
        assert store.get(INBOX, entry(State.CLAIMED, uid).key) is None
        uid -= 1
assert store.count(INBOX, [State.CLAIMED]) == uid
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.commit(lease, [PutEntry(entry(State.CLAIMED, uid + 1))])
store.close()
print(uid + 1)
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_store_goes_on_when_there_is_room_again(kind: str, tmp_path: Path) -> None:
    count = int(run(LIMITED, kind, tmp_path))
    store = PATHS[kind](tmp_path)
    found = store.entries(INBOX, [State.CLAIMED])
    assert [one.key.uid for one in found] == list(range(1, count + 1))
    store.close()


NO_ROOM = """
import resource, sys
from pathlib import Path
from nornmail.errors import StoreError
from tests.stores.support import PATHS
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
try:
    PATHS[sys.argv[1]](Path(sys.argv[2]))
except StoreError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("there", [False, True], ids=["a new one", "one that is there"])
def test_a_store_without_room_is_refused_at_construction(
    kind: str, there: bool, tmp_path: Path
) -> None:
    if there:
        store = PATHS[kind](tmp_path)
        store.acquire(INBOX, ME)
        store.close()
    out = run(NO_ROOM, kind, tmp_path)
    assert str(tmp_path / "state.") in out
    assert "limit" in out
    PATHS[kind](tmp_path).close()


# Tries to open a store as a user who may not write there; root becomes nobody first.
AS_NOBODY = """
import os, sys
from pathlib import Path
from nornmail.errors import StoreError
from tests.stores.support import PATHS
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    PATHS[sys.argv[1]](Path(sys.argv[2]))
except StoreError as error:
    print(error)
"""


@table(
    ("kind", "name"),
    [
        ("json", "."),
        ("json", "state.json"),
        ("json", "state.json.journal"),
        ("json", "state.json.lock"),
        ("sqlite", "."),
        ("sqlite", "state.db"),
    ],
)
def test_a_store_that_cannot_be_written_is_refused_at_construction(kind: str, name: str) -> None:
    with public_directory() as directory:
        store = PATHS[kind](directory)
        store.acquire(INBOX, ME)
        store.close()
        directory.chmod(0o777)
        for file in directory.iterdir():
            file.chmod(0o666)
        (directory / name).chmod(0o555 if name == "." else 0o444)
        contents = {file: file.read_bytes() for file in directory.glob("state.*")}
        out = run(AS_NOBODY, kind, directory)
        directory.chmod(0o755)
        assert str(directory / "state.") in out
        assert "write" in out or "can be written to" in out
        for file, content in contents.items():
            if not file.name.endswith(".lock"):
                assert file.read_bytes() == content


def test_a_new_store_in_a_read_only_directory_is_refused() -> None:
    with public_directory() as directory:
        directory.chmod(0o555)
        for kind in KINDS:
            assert "let this user write there" in run(AS_NOBODY, kind, directory)
        assert list(directory.iterdir()) == []


READER = """
import sys
from nornmail.model import MailboxKey, State
from nornmail import SqliteStateStore
store = SqliteStateStore(sys.argv[1])
key = MailboxKey(sys.argv[2], sys.argv[3])
print("open", flush=True)
last = 0
while last < 100:
    count = store.count(key, [State.HANDLED])
    assert count >= last
    assert store.count(key, [State.CLAIMED]) == 1
    last = count
store.close()
"""


def test_a_process_beside_reads_whole_commits(tmp_path: Path) -> None:
    store = SqliteStateStore(tmp_path / "state.db")
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [PutEntry(entry(State.CLAIMED, 1))])
    with Started(READER, store.path, INBOX.account, INBOX.mailbox) as child:
        assert child.stdout.readline() == "open\n"
        for uid in range(1, 101):
            changes = [PutEntry(entry(State.HANDLED, uid)), PutEntry(entry(State.CLAIMED, uid + 1))]
            store.commit(lease, changes)
        out, err = child.end()
        assert (child.returncode, out, err) == (0, "", "")
    store.close()
