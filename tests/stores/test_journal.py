"""The journal's lines and its file: what was cut off is told from what is damaged."""

from __future__ import annotations

import errno
import os
import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from nornmail.files import Files
from nornmail.stores.json_files import (
    CHUNK_BYTES,
    VERSION,
    Damaged,
    End,
    Journal,
    Saved,
    read_lines,
    read_saved,
    write_line,
    write_snapshot,
)
from tests.support.table import table

VALUES: list[dict[str, Any]] = [
    {"n": 1},
    {"n": 2, "text": "\udc80\n naïve"},
    {"n": 3, "list": [1, None, 2.5]},
]
LINES = [write_line(value) for value in VALUES]
WHOLE = b"".join(LINES)


def test_lines_come_back_as_they_went_in() -> None:
    assert read_lines(WHOLE).values == VALUES
    assert read_lines(WHOLE).length == len(WHOLE)
    assert read_lines(b"").values == []


@table("cut", range(len(LINES[2])))
def test_a_last_line_that_was_cut_off_anywhere_is_left_out(cut: int) -> None:
    torn = WHOLE[: len(WHOLE) - len(LINES[2]) + cut]
    if cut == len(LINES[2]) - 1:
        # All but its end is there, and the checksum says so.
        lines = read_lines(torn)
        assert (lines.values, lines.length, lines.ended) == (VALUES, len(torn), False)
    else:
        assert read_lines(torn).values == VALUES[:2]
        assert read_lines(torn).length == len(LINES[0]) + len(LINES[1])


@pytest.mark.parametrize("lost", [b"\0" * 40, b"\0" * 40 + b"}\n", b"\0"], ids=ascii)
def test_octets_that_never_reached_the_disk_were_cut_off(lost: bytes) -> None:
    assert read_lines(WHOLE + lost).values == VALUES


@table("at", range(len(WHOLE)))
def test_no_flipped_bit_loses_a_line_silently(at: int) -> None:
    for bit in range(8):
        data = bytearray(WHOLE)
        data[at] ^= 1 << bit
        try:
            found = read_lines(bytes(data))
        except Damaged:
            continue
        pytest.fail(f"octet {at}, bit {bit}: {found}")


@table(
    "data",
    [
        pytest.param(LINES[0] + LINES[1][:20] + b"\n" + LINES[2], id="cut off in the middle"),
        pytest.param(LINES[0] + b"\n" + LINES[1], id="an empty line"),
        pytest.param(LINES[0] + b"\0" * 30 + b"\n" + LINES[1], id="NUL in the middle"),
        pytest.param(WHOLE + b"text\n", id="another text at the end"),
        pytest.param(b"notes\nof somebody\n", id="another text"),
    ],
)
def test_a_damaged_line_is_an_error(data: bytes) -> None:
    with pytest.raises(Damaged):
        read_lines(data)


def test_random_octets_never_raise_anything_else() -> None:
    source = random.Random(7)
    for _ in range(2000):
        data = bytearray(WHOLE[: source.randrange(len(WHOLE))])
        data += source.randbytes(source.randrange(60))
        try:
            values = read_lines(bytes(data)).values
        except Damaged:
            continue
        assert values == VALUES[: len(values)]


class Failing(Files):
    """Fails at the effect that ``fails`` names, after half of a write."""

    def __init__(self) -> None:
        self.fails: set[str] = set()

    def _check(self, name: str) -> None:
        if name in self.fails:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def write(self, fd: int, data: bytes) -> None:
        if "write" in self.fails:
            super().write(fd, data[: len(data) // 2])
        self._check("write")
        super().write(fd, data)

    def fsync(self, fd: int) -> None:
        self._check("fsync")
        super().fsync(fd)

    def truncate(self, fd: int, length: int) -> None:
        self._check("truncate")
        super().truncate(fd, length)


def append(journal: Journal, commit: dict[str, Any]) -> None:
    """Append a line and keep it."""
    journal.append(commit)
    journal.keep()


@pytest.mark.parametrize(
    "fails", [{"write"}, {"fsync"}, {"write", "truncate"}, {"fsync", "truncate"}], ids=str
)
def test_nothing_is_appended_to_a_torn_line(tmp_path: Path, fails: set[str]) -> None:
    path = tmp_path / "journal"
    path.touch()
    files = Failing()
    journal = Journal(str(path), End(0, 0), files)
    append(journal, {})
    for _ in range(2):
        files.fails = fails
        with pytest.raises(OSError, match="space"):
            journal.append(VALUES[1])
        assert journal.end.length == len(LINES[0])
        assert journal.torn == (path.stat().st_size != len(LINES[0])) or "fsync" in fails
    files.fails = set()
    append(journal, VALUES[2])
    journal.close()
    assert path.read_bytes() == LINES[0] + LINES[2]


def test_a_torn_end_that_is_found_goes_before_the_first_append(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(LINES[0] + LINES[1][:9])
    journal = Journal(str(path), End(1, len(LINES[0])), Files())
    assert journal.torn
    append(journal, VALUES[2])
    journal.close()
    assert path.read_bytes() == LINES[0] + LINES[2]


def test_a_cleared_journal_starts_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.touch()
    files = Failing()
    journal = Journal(str(path), End(0, 0), files)
    append(journal, {})
    files.fails = {"truncate"}
    with pytest.raises(OSError, match="space"):
        journal.clear()
    files.fails = set()
    append(journal, VALUES[1])
    assert path.read_bytes() == LINES[1]
    journal.clear()
    assert path.read_bytes() == b""
    journal.close()
    journal.close()
    with path.open("wb"), pytest.raises(ValueError, match="closed"):
        journal.append({})  # and not into the file that has its number now
    assert path.read_bytes() == b""


def test_a_line_that_is_dropped_is_taken_away_and_its_number_used_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.touch()
    files = Failing()
    journal = Journal(str(path), End(0, 0), files)
    for fails in ({"truncate"}, set[str]()):
        files.fails = set()
        journal.append({"text": "dropped"})
        files.fails = fails
        with pytest.raises(OSError, match="space") if fails else nullcontext():
            journal.drop()
        assert (path.stat().st_size == 0) is not bool(fails)
        assert journal.undecided is None
    append(journal, {})
    journal.drop()
    journal.keep()
    journal.close()
    assert path.read_bytes() == LINES[0]


def test_a_snapshot_says_how_big_it_is_and_comes_back(tmp_path: Path) -> None:
    path = str(tmp_path / "state.json")
    tables: dict[str, list[Any]] = {
        "mailbox": [],
        "entry": [{"n": 1}, {"n": 2}],
        "letter": [{"text": "x" * CHUNK_BYTES}, [1, None]],
    }
    size = write_snapshot(path, 7, tables.items(), Files())
    assert size == os.path.getsize(path) > CHUNK_BYTES
    Path(f"{path}.journal").touch()
    assert read_saved(path) == Saved(VERSION, [tables], 7, size)
    assert sorted(os.listdir(tmp_path)) == ["state.json", "state.json.journal"]
