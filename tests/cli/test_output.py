"""Lines of output: whole ones in a file, whatever happened to the one before."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from nornmail import Defer, NornmailError, parse_message
from nornmail.cli.output import BLOCK, fit, json_message, output_file, print_bytes
from tests.support.table import table

LINE = json_message(parse_message(b"Subject: Hello\r\n\r\nHello!\r\n"))


def subjects(path: Path) -> list[str]:
    return [json.loads(line)["subject"] for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("", [], id="an empty file"),
        pytest.param('{"subject": "a"}\n', ["a"], id="whole lines"),
        pytest.param('{"subject": "a"}\n{"subj', ["a"], id="a torn line after whole ones"),
        pytest.param('{"subj', [], id="a torn line alone"),
        pytest.param('{"subject": "a"}', ["a"], id="a whole line without its end"),
        pytest.param(
            '{"subject": "a"}\n{"subject": "' + "x" * 3 * BLOCK, ["a"], id="a long torn line"
        ),
        pytest.param(
            '{"subject": "' + "x" * 3 * BLOCK + '"}', ["x" * 3 * BLOCK], id="a long line, no end"
        ),
    ],
)
def test_a_torn_line_swallows_no_other(before: str, after: list[str], tmp_path: Path) -> None:
    path = tmp_path / "out"
    path.write_text(before, "utf-8")
    with output_file(str(path)) as output:
        output.deliver(LINE)
    assert subjects(path) == [*after, "Hello"]


@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_line_for_which_there_is_no_room_is_taken_back(
    count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out"
    write = os.write
    room = [count]

    def scarce(fd: int, data: bytes) -> int:
        if not room:
            return write(fd, data)
        left, room[0] = room[0], 0
        if not left:
            raise OSError(errno.ENOSPC, "no space")
        return write(fd, data[:left])

    with output_file(str(path)) as output:
        output.deliver(LINE)
        monkeypatch.setattr(os, "write", scarce)
        with pytest.raises(Defer):
            output.deliver(LINE)
        assert isinstance(output.error, OSError)
    assert subjects(path) == ["Hello"]
    room.clear()
    with output_file(str(path)) as output:
        output.deliver(LINE)
    assert subjects(path) == ["Hello", "Hello"]


@table(
    ("text", "shown"),
    [
        ("abc", "abc   "),
        ("abcdefg", "abcde…"),
        ("日本語", "日本語"),
        ("日本語文", "日本… "),
        ("e\u0301x", "e\u0301x    "),
    ],
    ids=["short", "long", "wide", "wide and long", "combining"],
)
def test_a_text_fills_its_columns(text: str, shown: str) -> None:
    assert fit(text, 6) == shown


def test_bytes_for_a_closed_standard_output_are_no_traceback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stdout", None)
    print_bytes(b"Subject: Hello\r\n")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_named_pipe_takes_lines_only_while_it_has_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(NornmailError, match="cannot be written"), output_file(str(path)):
        pass
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    with output_file(str(path)) as output:
        output.deliver(LINE)
        assert os.read(reader, BLOCK) == LINE.encode() + b"\n"
        os.close(reader)
        with pytest.raises(Defer):
            output.deliver(LINE)
        assert isinstance(output.error, BrokenPipeError)
