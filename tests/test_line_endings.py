"""The rules for lines, which every message that goes out must keep."""

from __future__ import annotations

import random
import re

import pytest

from nornmail.outgoing import MAX_LINE_OCTETS, check_line_endings
from tests.support.table import table

FULL = b"x" * MAX_LINE_OCTETS


@table(
    ("raw", "fault"),
    [
        pytest.param(b"a\r\n", "", id="one line"),
        pytest.param(b"\r\n", "", id="an empty line"),
        pytest.param(FULL + b"\r\n", "", id="a full line"),
        pytest.param(FULL + b"x\r\n", "more than", id="an octet too many"),
        pytest.param(b"a\r\n" + FULL + b"\r\n" + FULL + b"\r\nb\r\n", "", id="full lines"),
        pytest.param(b"a\r\n" + FULL + b"x\r\nb\r\n", "more than", id="a long one in the middle"),
        pytest.param(
            b"a\r\nb\r\n" * 900 + FULL + b"x\r\n", "more than", id="a long one at the end"
        ),
        pytest.param(b"", "no CRLF", id="nothing"),
        pytest.param(b"a", "no CRLF", id="no line end"),
        pytest.param(b"a\n", "no CRLF", id="LF alone at the end"),
        pytest.param(b"a\nb\r\n", "bare", id="a bare LF"),
        pytest.param(b"a\rb\r\n", "bare", id="a bare CR"),
        pytest.param(b"a\n\rb\r\n", "bare", id="LF and CR the wrong way round"),
        pytest.param(b"a\r\r\n", "bare", id="two CRs"),
        pytest.param(b"a\0b\r\n", "NUL", id="a NUL"),
    ],
)
def test_what_is_wrong_with_lines(raw: bytes, fault: str) -> None:
    found = check_line_endings(raw)
    assert (fault in found) if fault else (found == "")


def test_long_lines_are_found_as_a_plain_search_finds_them() -> None:
    chance = random.Random(7)
    too_long = re.compile(rb"[^\r\n]{%d}" % (MAX_LINE_OCTETS + 1))
    lengths = (0, 1, 2, 500, 996, 997, 998, 998, 999)
    for _ in range(60):
        lines = [b"x" * chance.choice(lengths) for _ in range(chance.randint(1, 6))]
        raw = b"".join(line + b"\r\n" for line in lines)
        assert bool(check_line_endings(raw)) == bool(too_long.search(raw))
