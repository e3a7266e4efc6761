"""Faults of the world around a command: mailboxes, messages, tokens, connections."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Literal

import pytest

from nornmail.testing import MailServer, faults
from tests.support.table import table
from tests.testing.raw_client import PASSWORD, USER, RawClient, until_connected

TOKEN = "fresh-token"


@pytest.fixture
def filled(server: MailServer) -> MailServer:
    """Messages with the UIDs 1 to 3."""
    for number in range(1, 4):
        server.deliver(b"Subject: %d\r\n\r\nbody\r\n" % number)
    return server


@table(
    "name",
    sorted(
        kind.__name__
        for kind in vars(faults).values()
        if isinstance(kind, type) and issubclass(kind, faults.Fault)
        if kind not in (faults.Fault, faults.CommandFault)
    ),
)
def test_every_fault_has_a_test(name: str) -> None:
    if not isinstance(getattr(faults, name), type) or name in (
        "Fault",
        "CommandFault",
        "FaultPlan",
    ):
        pytest.skip("nothing that a test orders")
    texts = [path.read_text("utf-8") for path in Path(__file__).parent.glob("test_*.py")]
    assert any(f"faults.{name}(" in text or f"faults.{name}." in text for text in texts)


@pytest.mark.parametrize(
    ("fault", "answer"),
    [
        (faults.No("NOOP"), b"tag NO refused by the test\r\n"),
        (faults.No("NOOP", b"[UNAVAILABLE] later"), b"tag NO [UNAVAILABLE] later\r\n"),
        (faults.Bad("NOOP"), b"tag BAD not understood by the test\r\n"),
        (
            faults.Throttle("NOOP", seconds=1.5),
            b"tag NO Request is throttled. Suggested Backoff Time: 1500 milliseconds\r\n",
        ),
        (faults.Throttle("NOOP", b"BAD [LIMIT] 100% used"), b"tag BAD [LIMIT] 100% used\r\n"),
        (faults.Throttle("NOOP", b"NO [LIMIT] wait %d ms"), b"tag NO [LIMIT] wait 60000 ms\r\n"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, faults.Fault) else "",
)
def test_a_refusal(server: MailServer, fault: faults.Fault, answer: bytes) -> None:
    server.faults.add(fault)
    with RawClient.to(server, login=False) as client:
        assert client.command(b"NOOP") == answer
        assert client.command(b"NOOP") == b"tag OK completed\r\n"


def test_a_fault_fires_at_the_nth_match_so_many_times(server: MailServer) -> None:
    server.faults.add(faults.No("NOOP", times=2, on_nth=3))
    with RawClient.to(server, login=False) as client:
        answers = [client.command(b"NOOP").split()[1] for _ in range(6)]
    assert answers == [b"OK", b"OK", b"NO", b"NO", b"OK", b"OK"]


def test_a_cut_can_come_at_the_nth_command_whichever_it_is(server: MailServer) -> None:
    server.faults.add(faults.Cut(on_nth=4))
    with RawClient.to(server) as client:  # LOGIN and SELECT were two of them
        assert client.command(b"NOOP").startswith(b"tag OK")
        client.start(b"UID SEARCH ALL")
        assert client.all() == b""


def test_silence_in_idle_begins_once_it_has_begun(server: MailServer, client: RawClient) -> None:
    server.faults.add(faults.Silent.in_idle())
    client.start(b"IDLE")
    assert client.line() == faults.IDLING
    server.deliver(b"x")
    client.send(b"DONE\r\n")
    server.kick()
    assert client.all() == b""
    assert server.faults.pending == []


@pytest.mark.parametrize("command", [b"SELECT INBOX", b"EXAMINE INBOX"])
def test_a_new_uid_validity_at_the_next_select(filled: MailServer, command: bytes) -> None:
    with RawClient.to(filled) as client, RawClient.to(filled) as other:
        before = filled.mailbox().uid_validity
        filled.mailbox().expunge(1)
        client.command(b"NOOP")
        filled.faults.add(faults.NewUidValidity())
        assert b"* 2 FETCH (UID 3)" in client.command(b"FETCH 2 UID")
        answer = client.command(command)
        assert b"[UIDVALIDITY %d]" % before not in answer
        assert b"[UIDVALIDITY %d]" % filled.mailbox().uid_validity in answer
        assert b"* 2 FETCH (UID 2)" in client.command(b"FETCH 2 UID")
        # Whoever has it open goes on with it as it was.
        assert b" FETCH (UID 3)" in other.command(b"UID FETCH 3 UID")


def test_uids_counted_anew_under_the_same_uid_validity(filled: MailServer) -> None:
    box = filled.mailbox()
    box.expunge(1)
    filled.faults.add(faults.NewUidValidity(value=box.uid_validity))
    with RawClient.to(filled) as client:
        assert client.command(b"UID SEARCH ALL").startswith(b"* SEARCH 1 2\r\n")
    assert (filled.mailbox().uid_validity, filled.mailbox().uid_next) == (1000, 3)


@pytest.mark.parametrize(("by", "shown"), [(1000, 1004), (-2, 2), (-100, 1)])
def test_a_wrong_uid_next(filled: MailServer, by: int, shown: int) -> None:
    filled.faults.add(faults.WrongUidNext(by=by, times=2))
    with RawClient.to(filled, mailbox=None) as client:
        assert b"[UIDNEXT %d]" % shown in client.command(b"SELECT INBOX")
        assert b"UIDNEXT %d)" % shown in client.command(b"STATUS INBOX (UIDNEXT)")
        assert b"UIDNEXT 4)" in client.command(b"STATUS INBOX (UIDNEXT)")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"SEARCH ALL", b"* SEARCH 1 3\r\n"),
        (b"UID SEARCH ALL", b"* SEARCH 1 3\r\n"),
        (b"UID SEARCH RETURN (ALL) ALL", b'* ESEARCH (TAG "t3") UID ALL 1,3\r\n'),
        (b"FETCH 1:* UID", b"* 1 FETCH (UID 1)\r\n* 3 FETCH (UID 3)\r\n"),
        (b"UID FETCH 2:3 (UID)", b"* 3 FETCH (UID 3)\r\n"),
    ],
    ids=lambda value: value.decode()[:28],
)
def test_a_uid_is_hidden_for_one_listing(filled: MailServer, text: bytes, told: bytes) -> None:
    filled.faults.add(faults.HideUid(2))
    with RawClient.to(filled) as client:
        assert client.command(text).startswith(told + b"tag OK")
        assert b"UID 2 " in client.command(b"UID FETCH 2 BODY.PEEK[]")
        assert not client.command(text).startswith(told)


def test_a_uid_is_hidden_only_where_it_belongs(filled: MailServer) -> None:
    filled.faults.add(faults.HideUid(2, "UID FETCH"))
    with RawClient.to(filled) as client:
        assert client.command(b"UID SEARCH ALL").startswith(b"* SEARCH 1 2 3\r\n")
        assert client.command(b"UID FETCH 1 UID").startswith(b"* 1 FETCH")
        assert client.command(b"UID FETCH 2 BODY.PEEK[]").startswith(b"* 2 FETCH")
        assert client.command(b"UID FETCH 2 UID") == b"tag OK FETCH completed\r\n"


def test_a_message_goes_between_two_commands(filled: MailServer) -> None:
    filled.faults.add(faults.Expunge("UID FETCH", 2))
    with RawClient.to(filled) as client:
        assert client.command(b"UID SEARCH ALL").startswith(b"* SEARCH 1 2 3\r\n")
        assert client.command(b"UID FETCH 2 BODY.PEEK[]") == (
            b"* 2 EXPUNGE\r\ntag OK FETCH completed\r\n"
        )
    assert [message.uid for message in filled.mailbox().messages] == [1, 3]


def xoauth2(token: str) -> bytes:
    return base64.b64encode(f"user={USER}\x01auth=Bearer {token}\x01\x01".encode())


def test_a_token_expires_in_the_middle(server: MailServer) -> None:
    server.capabilities.add("AUTH=XOAUTH2")
    server.tokens().add(TOKEN)
    server.faults.add(faults.ExpireToken("NOOP"))
    with RawClient.to(server, login=False) as client:
        assert client.command(b"AUTHENTICATE XOAUTH2 " + xoauth2(TOKEN)).startswith(b"tag OK")
        client.start(b"NOOP")
        assert client.all() == b"* BYE Session invalidated - AccessTokenExpired\r\n"
    assert server.tokens() == set()
    with RawClient.to(server, login=False) as client:
        client.send(b"a AUTHENTICATE XOAUTH2 " + xoauth2(TOKEN) + b"\r\n")
        assert client.line().startswith(b"+ ")


@pytest.mark.parametrize(
    ("how", "heard"),
    [("bye", b"* BYE [LIMIT] full\r\n"), ("close", b"")],
)
def test_one_connection_too_many(
    server: MailServer, how: Literal["bye", "close"], heard: bytes
) -> None:
    limit = faults.ConnectionLimit(1, how, b"[LIMIT] full")
    server.faults.add(limit)
    with RawClient.to(server) as first:
        for _ in range(2):
            assert RawClient.hear(server) == heard
        assert first.command(b"NOOP").startswith(b"tag OK")
    assert server.faults.pending == [limit]


def test_one_login_too_many(server: MailServer) -> None:
    server.faults.add(faults.ConnectionLimit(1, "login", b"[LIMIT] full"))
    with RawClient.to(server) as first, RawClient.to(server, login=False) as second:
        login = f'LOGIN {USER} "{PASSWORD}"'.encode()
        assert second.command(login) == b"tag NO [LIMIT] full\r\n"
        plain = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode())
        assert second.command(b"AUTHENTICATE PLAIN " + plain) == b"tag NO [LIMIT] full\r\n"
        assert first.command(b"LOGOUT").startswith(b"* BYE")


def test_one_connection_too_many_may_hear_nothing_at_all(server: MailServer) -> None:
    server.faults.add(faults.ConnectionLimit(1, "silent"))
    with RawClient.to(server), RawClient(server.host, server.imap_port) as second:
        until_connected(server, 2)
        second.start(b"NOOP")
        server.kick()
        assert second.all() == b""


def test_a_connection_lacks_capabilities(filled: MailServer) -> None:
    filled.faults.add(faults.NoCapability("UIDPLUS MOVE"))
    filled.create_mailbox("B")
    with RawClient.to(filled) as poor, RawClient.to(filled) as rich:
        assert poor.command(b"UID MOVE 1 B") == b"tag BAD Unknown command\r\n"
        assert poor.command(b"UID EXPUNGE 1").startswith(b"tag BAD")
        assert b"COPYUID" not in poor.command(b"COPY 1 B")
        assert b"UIDPLUS" not in poor.command(b"CAPABILITY")
        assert b"COPYUID" in rich.command(b"UID MOVE 1 B")
