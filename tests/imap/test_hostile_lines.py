"""Lines that are made to be slow: none takes more than its length is worth."""

from __future__ import annotations

import time
from collections.abc import Sequence

import pytest

from nornmail.errors import NornmailError, ProtocolError
from nornmail.imap.responses import Response, parse
from tests.support.table import table

LENGTH = 10_000
"""Octets of what is repeated. What is quadratic takes a second for them, what is cubic an hour."""
CPU_SECONDS = 0.5
"""A linear parser takes some thousandths."""

BEGINNINGS = (
    *(b"", b"* ", b"+ ", b"\0", b"A", b"* 1", b"A1 NO ", b"A1 OK [X "),
    *(b"* OK ", b"* OK [X", b"* OK [X ", b"* OK [X (", b"* CAPABILITY ", b"* SEARCH "),
    *(b"* LIST ", b"* LIST (", b'* LIST () "', b'* LIST () NIL "'),
    *(b"* ESEARCH ", b'* ESEARCH (TAG "', b"* ESEARCH UID ALL "),
    *(b"* 1 FETCH ", b"* 1 FETCH (", b'* 1 FETCH (X "', b"* 1 FETCH (BODY[", b"* 1 FETCH (UID "),
)
REPEATED = (
    *(b" ", b"\t", b"(", b")", b"() ", b"[", b"]", b"[] ", b"{", b"}", b"{1}", b"<", b"\0"),
    *(b'"', b"\\", b'\\"', b"1", b"1,", b"1:", b"a ", b"x", b"NIL ", b"* ", b"[X ", b" ]", b"] ("),
    *(b"BODY[", b"BODY[] "),
)


def outcome(line: bytes) -> Response | NornmailError:
    try:
        return parse([line])
    except NornmailError as error:
        return error


@table("at", range(len(BEGINNINGS)), ids=[ascii(beginning) for beginning in BEGINNINGS])
def test_no_line_is_slow(at: int) -> None:
    is_quick(BEGINNINGS[at], REPEATED[at % 3 :: 3])


@pytest.mark.long
@table("beginning", BEGINNINGS)
def test_no_line_of_any_kind_is_slow(beginning: bytes) -> None:
    is_quick(beginning, REPEATED)


def is_quick(beginning: bytes, every_repeated: Sequence[bytes]) -> None:
    for repeated in every_repeated:
        line = beginning + repeated * (LENGTH // len(repeated)) + b"x"
        begin = time.process_time()
        outcome(line)
        assert time.process_time() - begin < CPU_SECONDS, (beginning, repeated)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(b"* SEARCH" + b" 1" * 2_000_002, id="a SEARCH of two million words"),
        pytest.param(b"* CAPABILITY" + b" A" * 40_000, id="a list of capabilities of 80 KB"),
    ],
)
def test_what_would_take_much_memory_is_not_taken_apart(line: bytes) -> None:
    assert isinstance(outcome(line), ProtocolError)
