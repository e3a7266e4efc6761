"""LIST, LSUB and subscriptions: names, levels and attributes."""

from __future__ import annotations

import time

import pytest

from nornmail.testing import MailServer
from tests.testing.raw_client import RawClient

SECONDS = 5.0
"""Far more than a linear way needs, and far less than an exponential one."""


def names(answer: bytes) -> list[bytes]:
    return [line.rsplit(b" ", 1)[1] for line in answer.split(b"\r\n") if line.startswith(b"* L")]


@pytest.fixture
def levels(server: MailServer) -> MailServer:
    for name in ("A/b/c", "A/bb", "Z"):
        server.create_mailbox(name)
    return server


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (b"*", [b"INBOX", b"A", b"A/b", b"A/b/c", b"A/bb", b"Z"]),
        (b"%", [b"INBOX", b"A", b"Z"]),
        (b"A/%", [b"A/b", b"A/bb"]),
        (b"A/%/c", [b"A/b/c"]),
        (b"%/%", [b"A/b", b"A/bb"]),
        (b"*b", [b"A/b", b"A/bb"]),
        (b"%b", []),
        (b"A*c", [b"A/b/c"]),
        (b"in%X", [b"INBOX"]),
        (b"a", []),
        (b"A/b", [b"A/b"]),
        (b"**%%**", [b"INBOX", b"A", b"A/b", b"A/b/c", b"A/bb", b"Z"]),
    ],
    ids=lambda value: value.decode("latin-1") if isinstance(value, bytes) else "",
)
def test_patterns(levels: MailServer, pattern: bytes, found: list[bytes]) -> None:
    with RawClient.to(levels, mailbox=None) as client:
        assert names(client.command(b'LIST "" ' + pattern)) == found


def test_a_level_without_a_mailbox_is_listed_and_cannot_be_opened(levels: MailServer) -> None:
    with RawClient.to(levels, mailbox=None) as client:
        client.command(b"DELETE A")
        assert b'* LIST (\\Noselect \\HasChildren) "/" A\r\n' in client.command(b'LIST "" %')
        assert client.command(b"SELECT A").startswith(b"tag NO [NONEXISTENT]")
        assert client.command(b"CREATE A").startswith(b"tag OK")
        assert b'* LIST (\\HasChildren) "/" A\r\n' in client.command(b'LIST "" %')


def test_a_mailbox_moves_to_a_level_that_is_not_there(levels: MailServer) -> None:
    levels.deliver(b"x", mailbox="Z")
    with RawClient.to(levels, mailbox=None) as client:
        client.command(b"RENAME Z New/deep/Z")
        assert names(client.command(b'LIST "" New*')) == [b"New", b"New/deep", b"New/deep/Z"]
    assert len(levels.mailbox("New/deep/Z").messages) == 1


def test_subscriptions_are_kept_whatever_becomes_of_the_mailbox(levels: MailServer) -> None:
    with RawClient.to(levels, mailbox=None) as client:
        for name in (b"Z", b"A/b", b"later", b"inbox"):
            assert client.command(b"SUBSCRIBE " + name).startswith(b"tag OK")
        client.command(b"DELETE Z")
        assert names(client.command(b'LSUB "" *')) == [b"INBOX", b"A/b", b"Z", b"later", b"A"]
        assert b'* LSUB (\\Noselect) "/" A\r\n' in client.command(b'LSUB "" %')
        client.command(b"UNSUBSCRIBE Z")
        assert client.command(b"UNSUBSCRIBE never").startswith(b"tag OK")
        assert names(client.command(b'LSUB "" Z')) == []


def test_what_a_mailbox_is_for(levels: MailServer) -> None:
    levels.mailbox("Z").attributes.add("\\Sent")
    levels.mailbox("A").attributes.add("\\Noselect")
    with RawClient.to(levels, mailbox=None) as client:
        assert b'* LIST (\\Sent \\HasNoChildren) "/" Z\r\n' in client.command(b'LIST "" *')
        assert names(client.command(b'LIST (SPECIAL-USE) "" *')) == [b"Z"]
        client.command(b"SUBSCRIBE Z")
        told = client.command(b'LIST (SUBSCRIBED) "" * RETURN (SPECIAL-USE CHILDREN)')
        assert told.startswith(b'* LIST (\\Sent \\HasNoChildren \\Subscribed) "/" Z\r\ntag OK')
        assert client.command(b'LIST (REMOTE) "" *').startswith(b"tag BAD")
        assert client.command(b"STATUS A (MESSAGES)").startswith(b"tag NO [NONEXISTENT]")


@pytest.mark.parametrize("capability", ["SPECIAL-USE", "CHILDREN"])
def test_attributes_are_told_where_their_capability_is(levels: MailServer, capability: str) -> None:
    levels.mailbox("Z").attributes.add("\\Sent")
    levels.capabilities.discard(capability)
    with RawClient.to(levels, mailbox=None) as client:
        told = client.command(b'LIST "" *')
        assert (b"\\Sent" in told) == (capability != "SPECIAL-USE")
        assert (b"\\HasNoChildren" in told) == (capability != "CHILDREN")
        if capability == "SPECIAL-USE":
            assert client.command(b'LIST (SPECIAL-USE) "" *').startswith(b"tag BAD")


def test_wildcards_cost_no_more_than_they_should(server: MailServer) -> None:
    start = time.process_time()
    server.create_mailbox("a" * 900)
    with RawClient.to(server, mailbox=None) as client:
        for wild in (b"*", b"%"):
            pattern = (wild + b"a") * 40 + b"b"
            assert names(client.command(b'LIST "" ' + pattern)) == []
        assert client.command(b'LIST "" ' + b"*a" * 2000).startswith(b"tag BAD")
        assert client.command(b"CREATE " + b"a" * 2000).startswith(b"tag NO [CANNOT]")
    assert time.process_time() - start < SECONDS


def test_several_patterns_and_status_in_one_list(levels: MailServer) -> None:
    command = b'LIST "" ("A/%" Z Z none) RETURN (STATUS (MESSAGES UIDNEXT))'
    with RawClient.to(levels, mailbox=None) as client:
        assert client.command(command).startswith(b"tag BAD")
    levels.capabilities |= {"LIST-EXTENDED", "LIST-STATUS"}
    levels.deliver(b"x", mailbox="Z")
    with RawClient.to(levels, mailbox=None) as client:
        answer = client.command(command)
        assert names(answer) == [b"A/b", b"A/bb", b"Z"]
        assert b"* STATUS A/bb (MESSAGES 0 UIDNEXT 1)\r\n" in answer
        assert answer.count(b"* STATUS Z (MESSAGES 1 UIDNEXT 2)\r\n") == 1
        # A level that has no mailbox has no status.
        client.command(b"DELETE A/b")
        answer = client.command(command)
        assert b'* LIST (\\Noselect \\HasChildren) "/" A/b\r\n' in answer
        assert b"STATUS A/b " not in answer
