"""The octets of a message: the final dot, the stuffed ones, and line ends that are none."""

from __future__ import annotations

import random

import pytest

from nornmail.testing import MailServer
from nornmail.testing.smtp.grammar import MessageReader
from tests.support.table import table
from tests.testing.smtp.raw import MESSAGE, RawClient

CASES = [
    pytest.param(b".\r\n", b"", id="an empty message"),
    pytest.param(b"\r\n.\r\n", b"\r\n", id="an empty line"),
    pytest.param(b"a\r\n.\r\n", b"a\r\n", id="a line"),
    pytest.param(b"..\r\n.\r\n", b".\r\n", id="a dot in the first line"),
    pytest.param(b"..a\r\n...\r\n.b\r\n.\r\n", b".a\r\n..\r\nb\r\n", id="stuffed dots"),
    pytest.param(b"a.\r\n.\r\n", b"a.\r\n", id="a dot at the end of a line"),
    pytest.param(b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n", id="a dot between bare line feeds"),
    pytest.param(b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n", id="a bare line feed and a dot"),
    pytest.param(b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n", id="a dot and a bare line feed"),
    pytest.param(b"a\r.\rb\r\n.\r\n", b"a\r.\rb\r\n", id="a dot between bare returns"),
    pytest.param(b"a\r\r\n.\r\n", b"a\r\r\n", id="two returns"),
    pytest.param(b"\0\xff\r\n.\r\n", b"\0\xff\r\n", id="NUL and eight bits"),
]


@table(("stuffed", "raw"), CASES)
@table("size", [1, 2, 3, 1000], ids=lambda size: f"{size} at a time")
def test_a_message_is_found_and_unstuffed(stuffed: bytes, raw: bytes, size: int) -> None:
    reader, rest = MessageReader(1000), b"NOOP\r\n"
    data = stuffed + rest
    for start in range(0, len(data), size):
        left = reader.feed(data[start : start + size])
        if left is not None:
            break
    assert left is not None
    assert left + data[start + size :] == rest
    assert (reader.message(), reader.size, reader.too_large) == (raw, len(stuffed), False)


def test_any_message_comes_through_stuffing() -> None:
    rng = random.Random(4)
    for _ in range(500):
        raw = b"".join(rng.choices([b"\r\n", b".", b"a", b"\n", b"\r"], k=12)) + b"\r\n"
        stuffed = (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
        reader = MessageReader(100)
        assert reader.feed(stuffed) == b""
        assert reader.message() == raw


@pytest.mark.parametrize(("size", "too_large"), [(100, False), (101, True), (10_000, True)])
def test_the_limit_counts_the_octets_of_the_message(size: int, too_large: bool) -> None:
    raw = b".\r\n" * (size // 3) + b"x" * (size % 3 + 3)
    raw = raw[: size - 2] + b"\r\n"
    stuffed = (b"\r\n" + raw).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n"
    reader = MessageReader(100)
    for octet in stuffed[:-1]:
        assert reader.feed(bytes([octet])) is None
    assert reader.feed(stuffed[-1:]) == b""
    reader.message()
    assert (reader.size, reader.too_large) == (len(stuffed), too_large)


def test_a_message_over_the_limit_costs_no_memory() -> None:
    reader = MessageReader(1000)
    for _ in range(1000):
        assert reader.feed(b"x" * 1000) is None
    assert len(reader._octets) < 4000
    assert reader.feed(b"\r\n.") is None
    assert reader.feed(b"\r\nQUIT\r\n") == b"QUIT\r\n"
    assert reader.too_large


def test_a_message_over_the_limit_is_refused_and_the_session_goes_on(server: MailServer) -> None:
    server.smtp.max_message_bytes = 100
    with RawClient.to(server) as client:
        client.begin()
        assert client.command(b"x" * 1000 + b"\r\n.").startswith(b"552 5.3.4 ")
        assert client.codes(b"RCPT TO:<a@b>") == [503]
        client.begin()
        assert client.command(b"x" * 98 + b"\r\n.").startswith(b"250 ")
    assert [len(sent.raw) for sent in server.outbox] == [100]


@pytest.mark.parametrize(
    ("raw", "answer"),
    [
        pytest.param(b"a\nb\r\n", b"550 5.5.2", id="a bare line feed"),
        pytest.param(b"a\rb\r\n", b"550 5.5.2", id="a bare carriage return"),
        pytest.param(b"\na\r\n", b"550 5.5.2", id="a line feed at the beginning"),
        pytest.param(b"a\r\r\n", b"550 5.5.2", id="a return before the line end"),
        pytest.param(MESSAGE, b"250 2.0.0", id="whole line ends"),
    ],
)
def test_bare_line_ends_are_kept_or_refused(server: MailServer, raw: bytes, answer: bytes) -> None:
    with RawClient.to(server) as client:
        client.begin()
        assert client.command(raw + b".").startswith(b"250 2.0.0")
        assert server.outbox[0].raw == raw
        server.smtp.refuse_bare_line_ends = True
        client.begin()
        assert client.command(raw + b".").startswith(answer)


def test_a_message_smuggled_in_is_one_message(server: MailServer) -> None:
    smuggled = b"one\r\n\n.\nMAIL FROM:<evil@example.org>\r\nRCPT TO:<x@y>\r\nDATA\r\ntwo\r\n"
    with RawClient.to(server) as client:
        client.begin()
        assert client.command(smuggled + b".").startswith(b"250 ")
        assert client.codes(b"NOOP") == [250]
    assert [sent.raw for sent in server.outbox] == [smuggled]


def test_long_lines_are_kept_or_refused(server: MailServer) -> None:
    with RawClient.to(server) as client:
        for limit, size, code in ((None, 5000, b"250"), (1000, 998, b"250"), (1000, 999, b"500")):
            server.smtp.max_line_bytes = limit
            client.begin()
            assert client.command(b"x" * size + b"\r\n.").startswith(code)


def test_what_follows_the_final_dot_in_the_same_packet_is_a_command(server: MailServer) -> None:
    with RawClient.to(server) as client:
        client.send(
            b"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\n" + MESSAGE + b".\r\n"
            b"MAIL FROM:<a@b>\r\nRCPT TO:<e@f>\r\nDATA\r\n.\r\nQUIT\r\n"
        )
        codes = [line[:3] for line in client.all().splitlines()]
    assert codes == [b"250", b"250", b"354", b"250"] * 2 + [b"221"]
    assert [sent.raw for sent in server.outbox] == [MESSAGE, b""]
    said = "\n".join(server.transcript)
    assert "C: Subject: hello\n[smtp 1] C: \n[smtp 1] C: body\n[smtp 1] C: .\n" in said
