"""CONDSTORE and ENABLE (RFC 7162, RFC 5161): mod-sequences, told once they were asked for."""

from __future__ import annotations

import pytest

from nornmail.testing import MailServer
from tests.testing.raw_client import RawClient


@pytest.fixture
def filled(server: MailServer) -> MailServer:
    """Messages with the UIDs 10, 20 and 30, and the mod-sequences 2, 3 and 4."""
    for uid in (10, 20, 30):
        server.deliver(b"Subject: x\r\n\r\n", uid=uid)
    return server


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (b"FETCH 1 MODSEQ", b"* 1 FETCH (MODSEQ (2))\r\ntag OK"),
        (b"UID FETCH 10:30 (FLAGS) (CHANGEDSINCE 3)", b"* 3 FETCH (UID 30 FLAGS () MODSEQ (4))"),
        (b"FETCH 1:3 UID (CHANGEDSINCE 9)", b"tag OK FETCH completed\r\n"),
        (b"STORE 2 +FLAGS (a)", b"* 2 FETCH (FLAGS (a))\r\ntag OK"),
        (
            b"UID STORE 20 (UNCHANGEDSINCE 3) +FLAGS (a)",
            b"* 2 FETCH (UID 20 MODSEQ (5) FLAGS (a))\r\ntag OK STORE completed",
        ),
        (
            b"UID STORE 10:30 (UNCHANGEDSINCE 2) +FLAGS.SILENT (a)",
            b"* 1 FETCH (UID 10 MODSEQ (5))\r\ntag OK [MODIFIED 20,30]",
        ),
        (b"STORE 1:3 (UNCHANGEDSINCE 3) FLAGS.SILENT ()", b"* 1 FETCH (MODSEQ (2))\r\n* 2"),
        (b"STORE 1 (UNCHANGEDSINCE 0) FLAGS (x)", b"tag OK [MODIFIED 1]"),
        (b"SEARCH MODSEQ 3", b"* SEARCH 2 3 (MODSEQ 4)\r\ntag OK"),
        (b'UID SEARCH MODSEQ "/flags/\\\\Seen" all 4', b"* SEARCH 30 (MODSEQ 4)\r\n"),
        (b"SEARCH MODSEQ 9", b"* SEARCH\r\n"),
        (
            b"UID SEARCH RETURN (MIN COUNT) MODSEQ 2",
            b'* ESEARCH (TAG "t3") UID MIN 10 COUNT 3 MODSEQ 4\r\n',
        ),
        (b"STATUS INBOX (HIGHESTMODSEQ)", b"* STATUS INBOX (HIGHESTMODSEQ 4)\r\n"),
        (b"SELECT INBOX (CONDSTORE)", b"* FLAGS "),
        (b"ENABLE CONDSTORE X-MORE", b"* ENABLED CONDSTORE\r\ntag OK"),
        (b"ENABLE X-NONE", b"* ENABLED\r\ntag OK"),
        (b"ENABLE", b"tag BAD"),
        (b"FETCH 1 FLAGS (CHANGEDSINCE x)", b"tag BAD"),
        (b"FETCH 1 FLAGS (CHANGEDSINCE 9999999999999999999)", b"tag BAD"),
        (b"STORE 1 (UNCHANGEDSINCE) FLAGS ()", b"tag BAD"),
        (b"SEARCH MODSEQ", b"tag BAD"),
    ],
    ids=lambda value: value.decode("latin-1")[:44],
)
def test_commands(filled: MailServer, text: bytes, answer: bytes) -> None:
    with RawClient.to(filled) as client:
        assert client.command(text).startswith(answer)


@pytest.mark.parametrize(
    "text",
    [
        b"ENABLE CONDSTORE",
        b"SELECT INBOX (CONDSTORE)",
        b"STATUS INBOX (HIGHESTMODSEQ)",
        b"FETCH 1 MODSEQ",
        b"FETCH 1 FLAGS (CHANGEDSINCE 1)",
        b"SEARCH MODSEQ 1",
        b"STORE 1 (UNCHANGEDSINCE 9) FLAGS.SILENT ()",
    ],
    ids=lambda value: value.decode("latin-1"),
)
def test_who_has_asked_is_told_with_every_change(filled: MailServer, text: bytes) -> None:
    with RawClient.to(filled) as client, RawClient.to(filled) as other:
        client.command(text)
        filled.mailbox().set_flags(20, ["\\Seen"])
        assert client.command(b"NOOP").startswith(
            b"* 2 FETCH (UID 20 MODSEQ (5) FLAGS (\\Seen))\r\n"
        )
        assert other.command(b"NOOP").startswith(b"* 2 FETCH (FLAGS (\\Seen))\r\n")


def test_every_change_counts(filled: MailServer) -> None:
    def highest() -> bytes:
        return client.command(b"STATUS INBOX (HIGHESTMODSEQ)").split(b"\r\n")[-3]

    with RawClient.to(filled, mailbox=None) as client:
        seen = [highest()]
        filled.deliver(b"x")
        seen.append(highest())
        filled.mailbox().set_flags(10, ["a"])
        seen.append(highest())
        filled.mailbox().set_flags(10, ["a"])  # nothing has changed
        seen.append(highest())
        filled.mailbox().expunge(10)
        seen.append(highest())
    assert [int(line.split()[-1].rstrip(b")")) for line in seen] == [4, 5, 6, 6, 7]


@pytest.mark.parametrize(
    "text",
    [
        b"FETCH 1 MODSEQ",
        b"FETCH 1 FLAGS (CHANGEDSINCE 1)",
        b"STORE 1 (UNCHANGEDSINCE 9) FLAGS ()",
        b"SEARCH MODSEQ 1",
        b"STATUS INBOX (HIGHESTMODSEQ)",
        b"SELECT INBOX (CONDSTORE)",
    ],
    ids=lambda value: value.decode("latin-1"),
)
def test_without_the_capability_it_is_bad(filled: MailServer, text: bytes) -> None:
    filled.capabilities.discard("CONDSTORE")
    with RawClient.to(filled) as client:
        assert b"HIGHESTMODSEQ" not in client.command(b"EXAMINE INBOX")
        assert client.command(text).startswith(b"tag BAD")
        assert client.command(b"ENABLE CONDSTORE").startswith(b"* ENABLED\r\n")
