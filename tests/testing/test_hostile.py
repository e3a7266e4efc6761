"""Clients that misbehave neither crash the server nor stand in another's way; large mailboxes."""

from __future__ import annotations

import random
import ssl
import time

import pytest

from nornmail.testing import MailServer
from nornmail.testing.imap.session import MAX_LINE, MAX_LITERAL
from tests.testing.raw_client import RawClient

SECONDS = 5.0
"""Far more than a linear way needs on a loaded machine, and far less than a quadratic one."""


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (b"\r\n", b"* BAD Not a command\r\n"),
        (b"a\r\n", b"a BAD Not a command\r\n"),
        (b"+ NOOP\r\n", b"* BAD Not a command\r\n"),
        (b"\xff\x00\r\n", b"* BAD Not a command\r\n"),
        (b"a NOOP\n", b"a OK completed\r\n"),
        (b"a noop\r\n", b"a OK completed\r\n"),
        (b"a UID NOOP\r\n", b"a BAD Unknown command\r\n"),
        (b"a NOOP" + b" " * MAX_LINE + b"\r\n", b"a BAD Command line too long\r\n"),
        (b"a " + b"x" * 4 * MAX_LINE + b"\r\n", b"a BAD Command line too long\r\n"),
        (b"a APPEND INBOX {%d}\r\n" % (MAX_LITERAL + 1), b"a BAD Literal too large\r\n"),
        (b"a APPEND INBOX {" + b"9" * 5000 + b"}\r\n", b"a BAD Literal too large\r\n"),
        (b"a APPEND INBOX {%d+}\r\n" % (MAX_LITERAL + 1), b"* BYE [TOOBIG]"),
        (b"a LOGIN {1+}\r\nx" + b"y" * MAX_LINE + b"\r\n", b"a BAD Command line"),
    ],
    ids=lambda value: value[:20].decode("latin-1"),
)
def test_odd_lines(server: MailServer, data: bytes, answer: bytes) -> None:
    with RawClient.to(server, login=False) as client:
        client.send(data)
        assert client.line().startswith(answer)


def test_a_long_line_is_forgotten_and_the_next_command_answered(server: MailServer) -> None:
    with RawClient.to(server) as client:
        client.send(b"a FETCH " + b"1," * MAX_LINE + b"\r\n")
        assert client.line().startswith(b"a BAD")
        assert client.command(b"NOOP") == b"tag OK completed\r\n"


def test_random_octets_never_make_the_server_fail(server: MailServer) -> None:
    rng = random.Random(7)
    server.deliver(b"Subject: x\r\n\r\n")
    words = [b"UID ", b"FETCH ", b"SEARCH ", b"STORE ", b"1:* ", b"(", b")", b'"', b"{0+}\r\n"]
    words += [b"BODY[", b"] ", b"FLAGS ", b"NOT ", b"OR ", b"\\Seen ", b"<0.1>", b"INBOX ", b"* "]
    words += [
        b"ENVELOPE ",
        b"BODYSTRUCTURE ",
        b"1.2.MIME",
        b"HEADER.FIELDS (a)",
        b"MODSEQ ",
        b"FULL",
    ]
    words += [b"(CHANGEDSINCE 1)", b"(UNCHANGEDSINCE 1) ", b"ENABLE ", b"LSUB ", b"% ", b"CHARSET "]
    words += [b"LIST ", b"STATUS ", b"ID ", b"APPEND ", b"COPY ", b"\xff", b"4294967296 ", b"NIL "]
    with RawClient.to(server) as client:
        for _ in range(400):
            client.command(b"".join(rng.choices(words, k=rng.randrange(1, 9))))
        assert client.command(b"NOOP").endswith(b"tag OK completed\r\n")
    server.raise_errors()


def test_a_client_that_does_not_read_stands_in_nobodys_way(server: MailServer) -> None:
    for _ in range(8):
        server.deliver(b"x" * 4_000_000)
    with RawClient.to(server) as idle, RawClient.to(server) as other:
        idle.start(b"FETCH 1:* BODY.PEEK[]")
        server.deliver(b"y")
        assert b"* 9 EXISTS" in other.command(b"NOOP")


def test_clients_that_leave_in_the_middle_leave_nothing_behind(server: MailServer) -> None:
    for data in (b"", b"a LOG", b"a LOGIN {10}\r\nxx", b"a NOOP\r\n"):
        with RawClient(server.host, server.imap_port) as client:
            client.send(data)
    server.stop()
    assert server.live_connections == 0
    server.raise_errors()


def test_a_tls_handshake_that_fails_is_no_failure_of_the_server() -> None:
    with MailServer(tls=True) as server:
        with RawClient(server.host, server.imap_port) as client:
            client.send(b"a NOOP\r\n")
            client.all()
        client = RawClient(server.host, server.imap_port)
        with pytest.raises(ssl.SSLCertVerificationError):
            client.start_tls(ssl.create_default_context())
        client.sock.close()


def test_commands_sent_ahead_are_answered_in_order(server: MailServer) -> None:
    with RawClient.to(server) as client:
        client.send(b"".join(b"p%d NOOP\r\n" % number for number in range(200)))
        for number in range(200):
            assert client.line() == b"p%d OK completed\r\n" % number


@pytest.mark.parametrize(
    "number", [4_000, pytest.param(10_000, marks=pytest.mark.long)], ids=["large", "very large"]
)
def test_a_large_mailbox_costs_in_proportion(number: int, server: MailServer) -> None:
    start = time.process_time()
    for subject in range(number):
        server.deliver(b"Subject: %d\r\n\r\n" % subject)
    with RawClient.to(server) as client, RawClient.to(server) as other:
        assert client.command(b"UID SEARCH ALL").count(b" ") > number
        assert client.command(b"UID FETCH 1:* (UID FLAGS)").count(b"FETCH (") == number
        odd = b",".join(b"%d" % uid for uid in range(1, number, 2))
        assert client.command(b"UID STORE " + odd + b" +FLAGS (a)").count(b"FETCH (") == number // 2
        for uid in range(1, number, 40):
            assert b"UID %d " % uid in client.command(b"UID FETCH %d BODY.PEEK[]" % uid)
        client.command(b"UID STORE 1:* +FLAGS.SILENT (\\Deleted)")
        assert client.command(b"EXPUNGE").count(b"* 1 EXPUNGE\r\n") == number
        assert other.command(b"NOOP").count(b"EXPUNGE") == number
    assert time.process_time() - start < SECONDS * number / 10_000


PARTS = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n"
SMALL, LARGE_LETTER = 8_000, 1_000_000
"""Octets of a hostile letter. At the large size what is not linear takes minutes."""

LONG_SECONDS = 30.0

HOSTILE: dict[str, tuple[bytes, bytes, bytes]] = {
    "comments that do not close": (b"To: ", b"(", b"\r\n\r\n"),
    "comments that do": (b"To: ", b"()", b"\r\n\r\n"),
    "quotes": (b"To: ", b'"', b"\r\n\r\n"),
    "a name of many words": (b"To: ", b"a ", b"\r\n\r\n"),
    "names that break off": (b"To: ", b'"a,', b"\r\n\r\n"),
    "a long route": (b"To: <", b"@a,", b"\r\n\r\n"),
    "one field again and again": (b"", b"To: a@b\r\n", b"\r\n"),
    "encoded words begun": (b"Subject: ", b"=?a?q?", b"\r\n\r\n"),
    "folds": (b"Subject: a", b"\r\n ", b"\r\n\r\n"),
    "semicolons": (b"Content-Type: a/b", b";", b"\r\n\r\n"),
    "half parameters": (b"Content-Type: a/b", b';a="b', b"\r\n\r\n"),
    "blank lines": (b"", b"\r\n", b""),
    "lines that are no fields": (b"", b"a\r\n", b""),
    "parts that break off": (PARTS, b"--x\r\na:b\r\n", b""),
    "empty parts": (PARTS, b"--x\r\n\r\n", b""),
    "somebody else's boundaries": (PARTS, b"--y\r\n", b""),
    "messages in messages": (b"", b"Content-Type: message/rfc822\r\n\r\n", b""),
}
"""How a letter begins, what is repeated in it, and how it ends."""


def look_at(server: MailServer, case: str, size: int, seconds: float) -> None:
    """Ask all there is to ask about the letter, while somebody else works on."""
    head, again, end = HOSTILE[case]
    server.deliver(head + again * (size // len(again)) + end)
    start = time.process_time()
    with RawClient.to(server) as client, RawClient.to(server) as other:
        client.sock.settimeout(seconds)
        tag = client.start(b"FETCH 1 (ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[1.1.1.MIME])")
        assert other.command(b"NOOP") == b"tag OK completed\r\n"
        assert client.answer(tag).endswith(b"tag OK FETCH completed\r\n")
        for keys in (b"TEXT qqq", b"SUBJECT qqq", b"TO qqq", b"SENTON 1-Jan-2020"):
            assert client.command(b"SEARCH " + keys) == b"* SEARCH\r\ntag OK SEARCH completed\r\n"
    assert time.process_time() - start < seconds


@pytest.mark.parametrize("case", HOSTILE)
def test_no_letter_makes_the_server_fail(server: MailServer, case: str) -> None:
    look_at(server, case, SMALL, SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("case", HOSTILE)
def test_no_letter_costs_more_than_in_proportion(server: MailServer, case: str) -> None:
    look_at(server, case, LARGE_LETTER, LONG_SECONDS)
