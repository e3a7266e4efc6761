"""The read buffer, fed in pieces of every size."""

from __future__ import annotations

import pytest

from nornmail.errors import ProtocolError
from nornmail.imap.framing import ReadBuffer

STREAM = b"* OK hi\r\n* 1 FETCH (BODY[] {5}\r\na\r\nbc)\r\nlast\n"


class Source:
    """Gives a stream in pieces, and fails where a test says so."""

    def __init__(self, stream: bytes, piece: int) -> None:
        self._stream = stream
        self._piece = piece
        self.fails_at: int | None = None
        self.given = 0

    def __call__(self, size: int) -> bytes:
        if self.fails_at is not None and self.given >= self.fails_at:
            self.fails_at = None
            raise TimeoutError("timed out")
        piece = self._stream[self.given : self.given + min(size, self._piece)]
        self.given += len(piece)
        return piece


@pytest.mark.parametrize("piece", [1, 2, 3, 7, 10, 1000])
def test_lines_and_octets_are_the_same_in_pieces_of_any_size(piece: int) -> None:
    buffer = ReadBuffer(Source(STREAM, piece))
    assert buffer.readline(100) == b"* OK hi\r\n"
    assert buffer.readline(100) == b"* 1 FETCH (BODY[] {5}\r\n"
    assert buffer.read(5) == b"a\r\nbc"
    assert buffer.readline(100) == b")\r\n"
    assert buffer.read(0) == b""
    assert buffer.readline(100) == b"last\n"
    assert buffer.pending == 0


@pytest.mark.parametrize("fails_at", range(len(STREAM)))
def test_a_timeout_loses_no_octet_wherever_it_falls(fails_at: int) -> None:
    source = Source(STREAM, 1)
    source.fails_at = fails_at
    buffer = ReadBuffer(source)
    got = b""
    for size in (None, None, 5, None, None):
        for _attempt in range(2):
            try:
                got += buffer.readline(100) if size is None else buffer.read(size)
                break
            except TimeoutError:
                continue
    assert got == STREAM


def test_the_end_of_the_stream_within_octets_is_an_error() -> None:
    buffer = ReadBuffer(Source(b"abc", 2))
    with pytest.raises(EOFError):
        buffer.read(4)


@pytest.mark.parametrize("stream", [b"", b"* OK"], ids=["at once", "within a line"])
def test_the_end_of_the_stream_before_a_line_end_is_an_error(stream: bytes) -> None:
    with pytest.raises(EOFError):
        ReadBuffer(Source(stream, 2)).readline(100)


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_line_may_be_as_long_as_the_limit(piece: int) -> None:
    assert ReadBuffer(Source(b"x" * 9 + b"\n", piece)).readline(10) == b"x" * 9 + b"\n"


@pytest.mark.parametrize("piece", [1, 7, 1000])
def test_a_longer_line_is_refused(piece: int) -> None:
    with pytest.raises(ProtocolError):
        ReadBuffer(Source(b"x" * 10 + b"\n", piece)).readline(10)


def test_a_line_without_end_is_refused_before_all_of_it_came() -> None:
    source = Source(b"x" * 1_000_000, 10)
    with pytest.raises(ProtocolError):
        ReadBuffer(source).readline(100)
    assert source.given < 200
