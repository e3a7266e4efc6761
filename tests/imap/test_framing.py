"""The framing of responses, fed in pieces of every size."""

from __future__ import annotations

import tracemalloc

import pytest

from nornmail.errors import ProtocolError
from nornmail.imap.framing import ResponseReader
from nornmail.imap.limits import CommandBudget, Limits
from nornmail.imap.tokens import Literal, Piece
from tests.support.table import table

BUDGET = CommandBudget(1.0, 30_000_000, 100_000_000)
STREAM = (
    b"* OK hi\r\n"
    b"* 1 FETCH (BODY[] {5}\r\na\r\nbc FLAGS ())\r\n"
    b"* 2 FETCH (BODY[] {0}\r\n)\r\n"
    b"* LIST () NIL {3}\r\na\nb\r\n"
    b"\r\n"
    b"* 3 FETCH (BODY[] {2}\r\nxy\r\n UID 7)\r\n"
    b"last\n"
)
RESPONSES: list[list[Piece]] = [
    [b"* OK hi"],
    [b"* 1 FETCH (BODY[] ", Literal(b"a\r\nbc"), b" FLAGS ())"],
    [b"* 2 FETCH (BODY[] ", Literal(b""), b")"],
    [b"* LIST () NIL ", Literal(b"a\nb"), b""],
    [b"* 3 FETCH (BODY[] ", Literal(b"xy"), b" UID 7)"],
    [b"last"],
]


def reader(line: int = 100) -> ResponseReader:
    return ResponseReader(Limits(line=line), BUDGET)


def fed(octets: bytes, size: int, line: int = 100) -> list[list[Piece]]:
    """The responses in ``octets``, which come ``size`` at a time."""
    framing = reader(line)
    responses = []
    for at in range(0, len(octets), size):
        framing.feed(octets[at : at + size])
        while (pieces := framing.next()) is not None:
            responses.append(pieces)
    assert framing.pending == 0
    return responses


@table("size", [*range(1, 30), 1000])
def test_responses_are_the_same_in_pieces_of_any_size(size: int) -> None:
    assert fed(STREAM, size) == RESPONSES


@table("first", range(len(STREAM)))
def test_a_cut_at_any_place_loses_no_octet(first: int) -> None:
    framing = reader()
    framing.feed(STREAM[:first])
    responses = list(iter(framing.next, None))
    assert framing.next() is None
    for octets in (STREAM[first : first + 3], STREAM[first + 3 :]):  # two chunks before a look
        framing.feed(octets)
    assert responses + list(iter(framing.next, None)) == RESPONSES


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_line_may_be_as_long_as_the_limit(size: int) -> None:
    assert fed(b"x" * 9 + b"\n", size, line=10) == [[b"x" * 9]]


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_a_longer_line_is_refused(size: int) -> None:
    with pytest.raises(ProtocolError):
        fed(b"x" * 10 + b"\n", size, line=10)


def test_a_line_without_end_is_refused_before_all_of_it_came() -> None:
    framing = reader(line=100)
    for _ in range(10):
        framing.feed(b"x" * 10)
        assert framing.next() is None
    framing.feed(b"x")
    with pytest.raises(ProtocolError):
        framing.next()


def test_memory_for_a_literal_is_taken_as_it_arrives() -> None:
    framing = reader()
    framing.feed(b"* 1 FETCH (BODY[] {25000000}\r\n")
    tracemalloc.start()
    try:
        for _ in range(10):
            framing.feed(bytes(1000))
            assert framing.next() is None
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_the_octets_of_a_body_are_joined_once() -> None:
    """At the peak there are the octets as they came, and the body: nothing a third time."""
    size, chunk = 8 * 1024 * 1024, 64 * 1024
    stream = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\n* 2 EXISTS\r\n" % (size, bytes(size))
    framing = reader()
    pieces = None
    tracemalloc.start()
    try:
        for at in range(0, len(stream), chunk):
            framing.feed(stream[at : at + chunk])
            pieces = pieces or framing.next()
        assert tracemalloc.get_traced_memory()[1] < 2.1 * size
    finally:
        tracemalloc.stop()
    assert pieces == [b"* 1 FETCH (UID 1 BODY[] ", Literal(bytes(size)), b")"]
    assert framing.next() == [b"* 2 EXISTS"]


def test_a_line_that_drips_in_is_searched_once() -> None:
    """Each octet is looked at when it comes; the ones before it are not again."""
    searched = 0

    class Octets(bytes):
        def __contains__(self, item: object) -> bool:
            nonlocal searched
            searched += len(self)
            return super().__contains__(item)  # type: ignore[operator]

    framing = reader(line=10_000)
    for _ in range(5_000):
        framing.feed(Octets(b"x"))
        assert framing.next() is None
    assert searched < 5_000
