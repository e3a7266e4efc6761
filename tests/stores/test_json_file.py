"""The JSON store on the disk: what is written when, what a fault leaves, and what is refused."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from nornmail.errors import IllegalTransition, StoreError
from nornmail.files import Files
from nornmail.model import KeepRaw, PassOver, PutEntry, Rekey, SaveMailbox, State
from nornmail.stores import json_rows, json_store, rows
from nornmail.stores.json_files import read_lines, write_line
from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.sqlite import new_database
from nornmail.uidset import UidSet
from tests.stores.effects import Numbered, raw_files, uids
from tests.stores.letters import OUTBOX, RAW, letter
from tests.stores.support import INBOX, ME, bring, entry, key, record


def tables() -> dict[str, json_rows.Table]:
    """The tables of a store."""
    with closing(new_database()) as database:
        return json_rows.tables(database)


LETTER = tables()["letter"].write((1, 2, *rows.write_message(letter())[:-2], None, "", ""))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.json"


@pytest.fixture
def folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """The journal is folded into the snapshot after every few commits."""
    monkeypatch.setattr(json_store, "JOURNAL_FLOOR_BYTES", 1000)


# What a commit costs


def test_a_commit_is_one_write_and_one_fsync(path: Path) -> None:
    files = Numbered()
    store = JsonStateStore(path, files=files)
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.CLAIMED)
    files.log.clear()
    hot = [PutEntry(entry(State.HANDLED, 1)), PutEntry(entry(State.CLAIMED, 2))]
    store.commit(lease, hot)
    assert files.log == ["write", "fsync"]
    files.log.clear()
    store.commit(lease, [])
    with pytest.raises(IllegalTransition):
        store.commit(lease, [KeepRaw(key(2), b"raw"), *hot])
    assert files.log == []
    store.close()


ROUND = 250
"""Commits, four times."""


def test_the_cost_of_a_commit_does_not_grow_with_the_history(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(json_store, "JOURNAL_FLOOR_BYTES", 5_000)
    written = 0

    class Counting(Files):
        def write(self, fd: int, data: bytes) -> None:
            nonlocal written
            written += len(data)
            super().write(fd, data)

    store = JsonStateStore(path, files=Counting())
    lease = store.acquire(INBOX, ME)
    bring(store, lease, State.CLAIMED)
    costs = []
    for block in range(4):
        before = written
        for uid in range(ROUND * block + 1, ROUND * (block + 1) + 1):
            hot = [PutEntry(entry(State.HANDLED, uid)), PutEntry(entry(State.CLAIMED, uid + 1))]
            store.commit(lease, hot)
        costs.append(written - before)
    store.close()
    line = 400  # octets of such a commit, at most
    assert sum(costs) < 4 * ROUND * line * 2, costs


def test_a_journal_that_outgrew_its_snapshot_is_folded_in(path: Path, folding: None) -> None:
    store = JsonStateStore(path)
    lease = store.acquire(INBOX, ME)
    sizes = []
    for uid in range(1, 60):
        bring(store, lease, State.CLAIMED, uid)
        sizes.append(Path(f"{path}.journal").stat().st_size)
    assert 0 in sizes
    assert max(sizes) < 1000 + path.stat().st_size
    store.close()
    store = JsonStateStore(path)
    assert uids(store) == list(range(1, 60))
    assert store.acquire(INBOX, ME).token == lease.token + 1
    store.close()


def test_a_row_that_was_written_often_is_made_once(path: Path) -> None:
    with closing(JsonStateStore(path)) as store:
        lease = store.acquire(INBOX, ME)
        for uid in (1, 2, 3):
            bring(store, lease, State.DEAD, uid)
        store.commit(lease, [SaveMailbox(record()), PassOver(1, UidSet.parse("4,6:9"))])
        store.commit(lease, [PassOver(1, UidSet.parse("5"))])
    with closing(JsonStateStore(path)) as store:
        assert store._database.total_changes == sum([1, 3, 1])  # mailbox, entries, UIDs
        assert store.count(INBOX, {State.DEAD}) == 3
        assert str(store.seen_uids(INBOX, 1)) == "1:9"


def test_the_snapshot_is_a_json_document(path: Path, folding: None) -> None:
    store = JsonStateStore(path)
    assert json.loads(path.read_text(encoding="utf-8"))["tables"] == {}
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [SaveMailbox(record()), PassOver(1, UidSet.parse("3:9"))])
    for uid in range(20, 40):
        bring(store, lease, State.CLAIMED, uid)
    store.close()
    written = json.loads(path.read_text(encoding="utf-8"))["tables"]
    (mailbox,) = written["mailbox"]
    assert (mailbox["account"], mailbox["mailbox"]) == (INBOX.account, INBOX.mailbox)
    assert written["passed_over"] == [[1, 1, 3, 9]]
    assert written["entry"][0] == {
        **{"mailbox": 1, "epoch": 1, "uid": 20, "state": "claimed", "delivery_id": "id-1-20-"},
    }


@pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")
def test_the_files_are_their_owners_only(path: Path) -> None:
    store = JsonStateStore(path)
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [PutEntry(entry(State.WAITING), b"mail")])
    for file in path.parent.rglob("*"):
        assert file.stat().st_mode & 0o077 == 0, file
    store.close()


# Bytes beside the JSON


def test_bytes_lie_in_files_as_long_as_they_are_kept(path: Path) -> None:
    store = JsonStateStore(path)
    lease = store.acquire(INBOX, ME)
    for uid in (1, 2, 3):
        store.commit(lease, [PutEntry(entry(State.CLAIMED, uid), b"raw %d" % uid)])
    assert raw_files(path) == [b"raw 1", b"raw 2", b"raw 3"]
    store.commit(lease, [PutEntry(entry(State.HANDLED, 1)), KeepRaw(key(2), b"other")])
    assert raw_files(path) == [b"other", b"raw 3"]
    store.commit(lease, [KeepRaw(key(2), b"never written"), PutEntry(entry(State.HANDLED, 2))])
    assert raw_files(path) == [b"raw 3"]
    store.commit(lease, [Rekey(key(3), key(9, epoch=2), 8)])
    assert raw_files(path) == [b"raw 3"]
    store.close()
    store = JsonStateStore(path)
    assert store.raw(INBOX, key(9, epoch=2)) == b"raw 3"
    store.close()


def test_bytes_are_on_the_disk_before_the_line_that_names_them(path: Path) -> None:
    files = Numbered()
    store = JsonStateStore(path, files=files)
    lease = store.acquire(INBOX, ME)
    files.log.clear()
    store.commit(lease, [PutEntry(entry(State.CLAIMED), b"raw")])
    made = ["make_directory", "fsync"]
    journal = ["write", "fsync"]
    assert files.log == [*made, "open", "write", "fsync", "fsync", *journal]
    files.log.clear()
    store.commit(lease, [PutEntry(entry(State.HANDLED))])
    assert files.log == [*journal, "unlink"]
    store.close()


def test_a_commit_that_failed_gives_its_names_to_the_next_one(path: Path) -> None:
    store = JsonStateStore(path)
    lease = store.acquire(INBOX, ME)
    with pytest.raises(IllegalTransition):
        store.commit(
            lease, [PutEntry(entry(State.CLAIMED), RAW), PutEntry(entry(State.HANDLED, 2))]
        )
    store.commit(lease, [PutEntry(entry(State.CLAIMED), RAW)])
    (file,) = Path(f"{path}.raw").iterdir()
    assert file.name.endswith("-0.eml")
    assert store.raw(INBOX, key()) == RAW
    store.close()


def test_an_opening_reads_the_snapshot_and_leaves_it(path: Path) -> None:
    filled(path)
    before = path.stat()
    JsonStateStore(path).close()
    assert path.stat().st_ino == before.st_ino


def test_the_bytes_of_a_message_that_another_program_removed_are_not_kept(path: Path) -> None:
    store = JsonStateStore(path)
    store.enqueue(letter(), RAW)
    (file,) = Path(f"{path}.raw").iterdir()
    file.unlink()
    for _ in range(2):
        assert store.message_bytes(OUTBOX, "k") is None
        assert store.queued_message(OUTBOX, "k") == letter()
        store.close()
        store = JsonStateStore(path)
    assert store._connection.execute("SELECT count(*) FROM letter_raw").fetchone() == (0,)
    store.close()


def test_a_field_that_has_its_default_is_left_out() -> None:
    row = (1, 1, 1, "", 0, "new", "id", 0, 0.0, "", None, None, "", 0, None, 0, 0.0, None)
    assert set(tables()["entry"].write(row)) == {"mailbox", "epoch", "uid", "state", "delivery_id"}
    assert set(LETTER) == {
        *("id", "outbox", "key", "message_id", "sender", "recipients", "subject", "thread_id"),
        *("state", "queued_at", "due_at", "changed_at", "size"),
    }
    assert LETTER["recipients"] == [["ann@example.org", "pending", 0, ""]]  # no JSON within JSON


def test_any_row_comes_back_as_it_went_in() -> None:
    key = (1, 2, 3, b"\xed\xb2\x80")
    row = (*key, 0, "dead", "d", 0, 0.0, "", "h", None, "", 0, 0.0, 1, 5.5, None)
    entries = tables()["entry"]
    written = json.loads(json.dumps(entries.write(row)))
    assert entries.read(written) == row
    assert written["inbox"] == {"code points": [0xDC80]}
    assert (written["received_at"], "size" in written) == (0.0, False)


def test_orphans_are_removed_and_strangers_stay(path: Path) -> None:
    store = JsonStateStore(path)
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [PutEntry(entry(State.CLAIMED), b"raw")])
    store.close()
    directory = Path(f"{path}.raw")
    (directory / "00000000ffff-0.eml").write_bytes(b"an orphan")
    (directory / "notes.txt").write_bytes(b"a stranger")
    Path(f"{path}.tmp").write_bytes(b"a snapshot that was cut off")
    JsonStateStore(path).close()
    assert raw_files(path) == [b"a stranger", b"raw"]
    assert not Path(f"{path}.tmp").exists()


CHANGES: dict[str, Callable[[Path], object]] = {
    "removed": Path.unlink,
    "shortened": lambda file: file.write_bytes(b"ra"),
    "changed": lambda file: file.write_bytes(b"rAw"),
}


@pytest.mark.parametrize("while_open", [True, False], ids=["while it is open", "in between"])
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_bytes_that_another_program_changed_are_not_kept_and_all_else_is(
    path: Path,
    change: Callable[[Path], object],
    while_open: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = JsonStateStore(path)
    lease = store.acquire(INBOX, ME)
    store.commit(lease, [PutEntry(entry(State.WAITING), b"raw")])
    (file,) = Path(f"{path}.raw").iterdir()
    store.commit(lease, [PutEntry(entry(State.WAITING, 2), b"other")])
    if not while_open:
        store.close()
    change(file)
    if not while_open:
        store = JsonStateStore(path)
    for _ in range(2):
        assert store.raw(INBOX, key()) is None
        assert store.raw(INBOX, key(2)) == b"other"
        assert store.entries_without_bytes(INBOX, State.WAITING) == [entry(State.WAITING)]
        store.close()
        store = JsonStateStore(path)
    store.close()
    assert caplog.text.count(f"{file} were removed or changed") == 1
    assert raw_files(path) == [b"other"]


@pytest.mark.parametrize("ends", [1, 2], ids=["its newline", "its last octet too"])
def test_a_journal_may_lack_the_end_of_its_last_line(path: Path, ends: int) -> None:
    filled(path)
    journal = Path(f"{path}.journal")
    journal.write_bytes(journal.read_bytes()[:-ends])
    for _ in range(2):
        store = JsonStateStore(path)
        assert uids(store) == list(range(1, 31 - ends))
        store.close()


# What is refused


def filled(path: Path) -> None:
    """A store with a snapshot and a journal, both with something in them."""
    store = JsonStateStore(path)
    lease = store.acquire(INBOX, ME)
    for uid in range(1, 30):
        bring(store, lease, State.CLAIMED, uid)
    store.close()


def snapshot_of(directory: Path) -> dict[str, bytes]:
    return {
        file.name: file.read_bytes()
        for file in directory.iterdir()
        if file.is_file() and not file.name.endswith(".lock")
    }


def refused(path: Path, words: str) -> None:
    """The store cannot be opened, says so, and everything stays as it is."""
    before = snapshot_of(path.parent)
    with pytest.raises(StoreError, match=words) as error:
        JsonStateStore(path)
    assert str(path) in str(error.value)
    assert snapshot_of(path.parent) == before


def test_no_flipped_bit_of_the_snapshot_goes_unseen(path: Path, folding: None) -> None:
    filled(path)
    whole = path.read_bytes()
    source = random.Random(11)
    for at in [
        *range(0, 80, 2),
        *range(len(whole) - 40, len(whole), 2),
        *source.sample(range(len(whole)), 40),
    ]:
        data = bytearray(whole)
        data[at] ^= 1 << source.randrange(8)
        path.write_bytes(data)
        refused(path, "damaged|not a state store|version")
    path.write_bytes(whole)
    JsonStateStore(path).close()


@pytest.mark.parametrize("keep", [0.0, 0.001, 0.5, 0.999])
def test_a_snapshot_that_was_cut_is_refused(path: Path, folding: None, keep: float) -> None:
    filled(path)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    refused(path, "damaged|not a state store")


def test_a_damaged_journal_is_refused(path: Path) -> None:
    filled(path)
    journal = Path(f"{path}.journal")
    whole = journal.read_bytes()
    for at in (0, len(whole) // 2, len(whole) - 1):
        data = bytearray(whole)
        data[at] ^= 4
        journal.write_bytes(data)
        refused(path, "line [0-9]+")


def test_a_journal_that_lacks_a_line_is_refused(path: Path) -> None:
    filled(path)
    journal = Path(f"{path}.journal")
    lines = journal.read_bytes().splitlines(keepends=True)
    for missing in (0, 5, len(lines) - 2):
        journal.write_bytes(b"".join(lines[:missing] + lines[missing + 1 :]))
        refused(path, "a line is missing")


def test_a_journal_or_snapshot_without_the_other_is_refused(path: Path) -> None:
    filled(path)
    journal = Path(f"{path}.journal")
    whole = journal.read_bytes()
    journal.unlink()
    refused(path, "missing")
    journal.write_bytes(whole)
    path.unlink()
    refused(path, "missing")


def test_a_last_line_that_was_cut_off_is_taken_away(path: Path) -> None:
    filled(path)
    journal = Path(f"{path}.journal")
    journal.write_bytes(journal.read_bytes()[:-9])
    store = JsonStateStore(path)
    assert uids(store) == list(range(1, 29))
    store.close()
    JsonStateStore(path).close()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"my notes\n", id="a text"),
        pytest.param(b"", id="an empty file"),
        pytest.param(b'{"format": "something else"}\n', id="another JSON document"),
        pytest.param(b"SQLite format 3\0" + b"\0" * 84, id="a database"),
    ],
)
def test_somebody_elses_file_is_refused_and_nothing_is_made_beside_it(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    refused(path, "not a state store")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_newer_version_is_refused(path: Path) -> None:
    filled(path)
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"version": 5,', b'"version": 23,', 1))
    refused(path, r"version 23.*update nornmail")


def test_sound_lines_that_make_no_sense_are_refused(path: Path) -> None:
    filled(path)
    journal = Path(f"{path}.journal")
    whole = journal.read_bytes()
    last = read_lines(whole).values[-1]["n"]
    of_state = {"uid": 1, "delivery_id": "d", "changed_at": 1.0, "state": "lost"}
    for nonsense, why in (
        ({}, "KeyError"),
        ({"n": "x"}, "TypeError"),
        ({"n": last + 2}, "a line is missing before line"),
        ({"n": last + 1, "entry": [{"uid": 1}]}, "ValueError"),
        ({"n": last + 1, "entry": [of_state]}, "ValueError"),
        ({"n": last + 1, "entry": [{**of_state, "state": "dead", "other": 1}]}, "ValueError"),
        ({"n": last + 1, "entry": [None]}, "AttributeError"),
        ({"n": last + 1, "gone": ["entry"]}, "AttributeError"),
        ({"n": last + 1, "letter": [{**LETTER, "state": "lost"}]}, "ValueError"),
    ):
        journal.write_bytes(whole + write_line(nonsense))
        refused(path, f"cannot be understood .*{why}|{why}")


def test_a_directory_and_a_missing_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is a directory"):
        JsonStateStore(tmp_path)
    with pytest.raises(StoreError, match="create the directory"):
        JsonStateStore(tmp_path / "missing" / "state.json")
    with pytest.raises(StoreError, match="no path"):
        JsonStateStore("")
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="create the directory"):
        JsonStateStore(tmp_path / "file" / "state.json")


def test_a_link_to_a_store_is_that_store(path: Path) -> None:
    filled(path)
    link = path.with_name("link.json")
    link.symlink_to(path)
    store = JsonStateStore(link)
    assert len(uids(store)) == 29
    with pytest.raises(StoreError, match="open already"):
        JsonStateStore(path)
    store.close()
    assert link.is_symlink()


def test_a_file_that_was_refused_is_locked_by_nobody(path: Path) -> None:
    filled(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    with pytest.raises(StoreError) as refusal:
        JsonStateStore(path)
    path.write_bytes(whole)
    JsonStateStore(path).close()  # although the refused one is still there, in the traceback
    assert refusal.value.__traceback__ is not None
