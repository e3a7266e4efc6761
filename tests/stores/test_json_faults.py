"""The JSON store when its process ends, or its disk fails, at any of its effects on the disk."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from itertools import count
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from nornmail.errors import StoreError
from nornmail.files import Files
from nornmail.model import KeepRaw, Lease, PutEntry, Rekey, State
from nornmail.stores import json_store
from nornmail.stores.json_store import JsonStateStore
from tests.stores.effects import Full, Numbered, Refusing, Stopped, raw_files, uids
from tests.stores.support import INBOX, ME, bring, entry, key


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is folded into the snapshot after every few commits."""
    monkeypatch.setattr(json_store, "JOURNAL_FLOOR_BYTES", 1000)


SCRIPT_UIDS = range(1, 8)


def script(path: Path, files: Files) -> Iterator[str]:
    """Open a store and use all of it; yields the name of what was acknowledged."""
    store = JsonStateStore(path, files=files)
    try:
        yield "opened"
        lease = store.acquire(INBOX, ME)
        yield "acquired"
        for uid in SCRIPT_UIDS:
            store.commit(lease, [PutEntry(entry(State.CLAIMED, uid), b"raw %d" % uid)])
            yield f"claimed {uid}"
            if uid % 3 == 1:
                store.commit(lease, [PutEntry(entry(State.HANDLED, uid))])
                yield f"handled {uid}"
            elif uid % 3 == 2:
                store.commit(lease, [Rekey(key(uid), key(uid, epoch=2))])
                yield f"rekeyed {uid}"
    finally:
        store.close()


def found(path: Path) -> set[str]:
    """What of the script's doings a new start finds, and everything that belongs to it."""
    store = JsonStateStore(path)
    names = {"opened"}
    for one in store.entries(INBOX, tuple(State)):
        uid = one.key.uid
        names |= {"acquired", f"claimed {uid}"}
        raw = store.raw(INBOX, one.key)
        if one.state is State.HANDLED:
            names.add(f"handled {uid}")
            assert raw is None
        else:
            assert raw == b"raw %d" % uid
        if one.key.epoch == 2:
            names.add(f"rekeyed {uid}")
    if store.acquire(INBOX, ME).token > 1:
        names.add("acquired")
    kept = store.count(INBOX, [State.CLAIMED])
    store.close()
    assert len(raw_files(path) if Path(f"{path}.raw").exists() else []) == kept
    return names


def effects(path: Path) -> int:
    """How many effects the script has."""
    files = Numbered()
    for _ in script(path, files):
        pass
    return len(files.log)


every_effect = pytest.mark.parametrize(
    "step", [9, pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"]
)


@every_effect
@pytest.mark.parametrize(("how", "first"), [("before", 1), ("half", 2), ("after", 3)])
def test_a_process_may_end_at_any_effect(
    tmp_path: Path, folding: None, how: str, first: int, step: int
) -> None:
    total = effects(tmp_path / "count.json")
    assert total > 60
    for number in range(min(first, step), total + 1, step):
        path = tmp_path / f"{number}.json"
        files = Numbered(number, Stopped(), half=how == "half", after=how == "after")
        acknowledged: list[str] = []
        with pytest.raises(Stopped):
            acknowledged.extend(script(path, files))  # keeps what came before the stop
        again = found(path)
        assert set(acknowledged) <= again, (number, files.log)
        assert len(again - set(acknowledged)) <= 1, (number, files.log)


def told(attempt: Callable[[], object]) -> str:
    """What the StoreError of ``attempt`` says, ``""`` where it succeeds."""
    try:
        attempt()
    except StoreError as error:
        return str(error)
    return ""


def work(store: JsonStateStore) -> list[str]:
    """Use the store whatever it refuses; what the refusals said."""
    leases: list[Lease] = []

    def step(uid: int) -> None:
        if not leases:
            leases.append(store.acquire(INBOX, ME))
        (lease,) = leases
        store.commit(lease, [PutEntry(entry(State.CLAIMED, uid), b"raw %d" % uid)])
        store.commit(lease, [PutEntry(entry(State.HANDLED, uid))])

    refusals = [told(partial(step, uid)) for uid in SCRIPT_UIDS]
    return [words for words in refusals if words]


@every_effect
def test_a_fault_at_any_effect_undoes_the_commit_and_nothing_else(
    tmp_path: Path, folding: None, step: int
) -> None:
    """After each fault the store in memory is what a new start finds on the disk."""
    total = effects(tmp_path / "count.json")
    files = Numbered()
    JsonStateStore(tmp_path / "opening.json", files=files).close()
    opening = len(files.log)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for number in range(1, total + 1, step):
        path = tmp_path / f"{number}.json"
        files = Numbered(number, full, half=True)
        if number <= opening:
            with pytest.raises(StoreError, match=rf"{path}.*make room"):
                JsonStateStore(path, files=files)
            JsonStateStore(path).close()  # there is room again
            continue
        store = JsonStateStore(path, files=files)
        refusals = work(store)
        assert len(refusals) <= 1
        assert all("make room" in words for words in refusals)
        entries = store.entries(INBOX, tuple(State))
        raws = [store.raw(INBOX, one.key) for one in entries]
        store.close()  # it writes nothing: the process might as well have ended
        store = JsonStateStore(path)
        assert store.entries(INBOX, tuple(State)) == entries, number
        assert [store.raw(INBOX, one.key) for one in entries] == raws
        assert len(raw_files(path)) == len([raw for raw in raws if raw is not None])
        store.close()


def test_a_commit_that_cannot_be_taken_back_at_once_is_taken_back_later(path: Path) -> None:
    files = Full()
    store = JsonStateStore(path, files=files)
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.CLAIMED)
    files.full = True
    for _ in range(3):
        with pytest.raises(StoreError, match=r"make room|log"):
            store.commit(lease, [PutEntry(entry(State.HANDLED)), PutEntry(entry(State.NEW, 2))])
        with pytest.raises(StoreError):
            store.commit(lease, [KeepRaw(key(), b"raw")])
        assert store.entries(INBOX, tuple(State)) == [entry(State.CLAIMED)]
    files.full = False
    store.commit(lease, [KeepRaw(key(), b"raw")])
    store.close()
    store = JsonStateStore(path)
    assert store.entries(INBOX, tuple(State)) == [entry(State.CLAIMED)]
    assert store.raw(INBOX, key()) == b"raw"
    store.close()


def refusing(path: Path) -> tuple[JsonStateStore, Lease, Refusing]:
    files = Refusing()
    store = JsonStateStore(path, files=files)
    return store, store.acquire(INBOX, ME), files


def test_a_commit_that_failed_is_not_found_when_the_process_ends_right_then(path: Path) -> None:
    store, lease, files = refusing(path)
    length = Path(f"{path}.journal").stat().st_size
    files.refused = {"fsync"}
    with pytest.raises(StoreError):
        store.commit(lease, [PutEntry(entry(State.CLAIMED), b"raw")])
    assert Path(f"{path}.journal").stat().st_size == length
    store.close()  # it writes nothing: the process might as well have ended
    store = JsonStateStore(path)
    assert uids(store) == []
    store.close()


def test_the_bytes_of_a_line_that_may_be_there_stay_as_they_are(path: Path) -> None:
    """It failed, and could not be taken back: a new start finds it whole, with its bytes."""
    store, lease, files = refusing(path)
    files.refused = {"fsync", "truncate"}
    for raw in (b"raw", b"the bytes of a later try"):
        with pytest.raises(StoreError):
            store.commit(lease, [PutEntry(entry(State.CLAIMED), raw)])
        assert uids(store) == []
    store.close()  # it writes nothing: the process might as well have ended
    store = JsonStateStore(path)
    assert store.raw(INBOX, key()) == b"raw"
    store.close()


def test_a_snapshot_has_its_name_on_the_disk_before_the_journal_is_cleared(
    path: Path, folding: None
) -> None:
    files = Numbered()
    store = JsonStateStore(path, files=files)
    lease = store.acquire(INBOX, ME)
    files.log.clear()
    while "replace" not in files.log:
        files.log.clear()
        bring(store, lease, State.NEW, len(uids(store)) + 1)
    commit = ["write", "fsync"]
    snapshot = ["open", "write", "fsync", "replace", "fsync"]
    assert files.log == [*commit, *snapshot, "truncate", "fsync"]
    store.close()


def test_a_snapshot_that_cannot_be_written_is_put_off(
    path: Path, folding: None, caplog: pytest.LogCaptureFixture
) -> None:
    class NoReplace(Files):
        full = True

        def replace(self, source: str, target: str) -> None:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            super().replace(source, target)

    files = NoReplace()
    files.full = False
    store = JsonStateStore(path, files=files)
    files.full = True
    lease = store.acquire(INBOX, ME)
    for uid in range(1, 40):
        bring(store, lease, State.CLAIMED, uid)
    # Tried again after each 1,000 octets, not at each commit.
    assert 2 < caplog.text.count("the journal grows") < 15
    assert not Path(f"{path}.tmp").exists()
    files.full = False
    for uid in range(40, 60):
        bring(store, lease, State.CLAIMED, uid)
    assert Path(f"{path}.journal").stat().st_size < path.stat().st_size
    store.close()
    store = JsonStateStore(path)
    assert uids(store) == list(range(1, 60))
    store.close()


@pytest.mark.parametrize("step", [31, pytest.param(1, marks=pytest.mark.long)], ids=["some", "all"])
def test_an_interruption_at_any_line_of_a_commit_leaves_the_same_in_memory_and_on_the_disk(
    tmp_path: Path, folding: None, step: int
) -> None:
    """Ctrl-C: the store goes on, and what it shows then is what a new start finds."""
    outcomes: set[tuple[int, ...]] = set()
    for number in count(1, step):
        path = tmp_path / f"{number}.json"
        with closing(JsonStateStore(path)) as store:
            lease = store.acquire(INBOX, ME)
            store.commit(lease, [PutEntry(entry(State.CLAIMED, uid), b"raw") for uid in (1, 2, 3)])
            changes = [PutEntry(entry(State.HANDLED, 1)), PutEntry(entry(State.CLAIMED, 4), b"4")]
            interrupted = interrupt(number, partial(store.commit, lease, changes))
            shown = store.entries(INBOX, tuple(State))
            assert shown[0].state is (State.CLAIMED if len(shown) == 3 else State.HANDLED)
            outcomes.add(tuple(one.key.uid for one in shown))
            if number % 2:
                shown.append(entry(State.CLAIMED, 9))
                bring(store, lease, State.CLAIMED, 9)
        with closing(JsonStateStore(path)) as store:
            assert store.entries(INBOX, tuple(State)) == shown, number
            for one in shown[:-1] if number % 2 else shown:
                kept = {State.HANDLED: None}.get(one.state, b"4" if one.key.uid == 4 else b"raw")
                assert store.raw(INBOX, one.key) == kept, number
        if not interrupted:
            break
    assert number > 200
    assert outcomes == {(1, 2, 3), (1, 2, 3, 4)}


def interrupt(number: int, act: Callable[[], object]) -> bool:
    """Raise KeyboardInterrupt at a line of the stores, counted from 1; whether it was reached."""
    lines = count(1)

    def trace(frame: FrameType, event: str, _: object) -> Any:
        file = frame.f_code.co_filename.replace(os.sep, "/")
        if "nornmail/stores/" not in file and not file.endswith("nornmail/files.py"):
            return None
        if event == "line" and next(lines) == number:
            raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    gc.disable()  # the end of another test's store, in which an exception is dropped, is no line
    sys.settrace(trace)
    try:
        act()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
        gc.enable()
    return False
