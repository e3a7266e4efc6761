"""What one session is told of another's doing, and when (RFC 3501, 5.2 and 7.4.1)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nornmail.testing import MailServer, faults
from tests.testing.raw_client import RawClient


@pytest.fixture
def filled(server: MailServer) -> MailServer:
    """Messages with the UIDs 1 to 3."""
    for number in range(1, 4):
        server.deliver(b"Subject: %d\r\n\r\n" % number)
    return server


@pytest.fixture
def two(filled: MailServer) -> Iterator[tuple[RawClient, RawClient]]:
    with RawClient.to(filled) as mine, RawClient.to(filled) as other:
        yield mine, other


TwoClients = tuple[RawClient, RawClient]


@pytest.mark.parametrize(
    "text", [b"NOOP", b"FETCH 1 UID", b"STORE 1 FLAGS ()", b"SEARCH ALL", b"STATUS INBOX (UIDNEXT)"]
)
def test_new_mail_is_told_with_any_command(
    filled: MailServer, two: TwoClients, text: bytes
) -> None:
    filled.deliver(b"x")
    answer = two[0].command(text)
    assert b"* 4 EXISTS\r\n" in answer
    assert b"EXISTS" not in two[0].command(text)


def test_new_mail_can_be_fetched_with_the_command_that_tells_it(
    filled: MailServer, two: TwoClients
) -> None:
    uid = filled.deliver(b"x")
    answer = two[0].command(b"UID FETCH %d:* FLAGS" % uid)
    assert answer == (b"* 4 EXISTS\r\n* 4 FETCH (UID 4 FLAGS ())\r\ntag OK FETCH completed\r\n")


@pytest.mark.parametrize(
    ("text", "tagged"),
    [
        (b"FETCH 1:3 FLAGS", b"tag OK [EXPUNGEISSUED]"),
        (b"STORE 1:3 +FLAGS (a)", b"tag OK [EXPUNGEISSUED]"),
        (b"SEARCH ALL", b"* SEARCH 1 3\r\ntag OK"),
    ],
)
def test_expunge_waits_during_commands_by_sequence_number(
    two: TwoClients, text: bytes, tagged: bytes
) -> None:
    mine, other = two
    other.command(b"UID STORE 2 +FLAGS (\\Deleted)")
    other.command(b"EXPUNGE")
    answer = mine.command(text)
    assert b"EXPUNGE\r\n" not in answer
    assert tagged in answer
    assert b"* 3 FETCH (UID 3)" in mine.command(b"FETCH 3 UID")
    assert mine.command(b"NOOP") == b"* 2 EXPUNGE\r\ntag OK completed\r\n"
    assert mine.command(b"FETCH 2 UID").startswith(b"* 2 FETCH (UID 3)")


@pytest.mark.parametrize(
    "text",
    [b"NOOP", b"UID FETCH 1 UID", b"UID STORE 1 +FLAGS (a)", b"UID SEARCH ALL", b"COPY 1 INBOX"],
)
def test_expunge_is_told_with_commands_by_uid(two: TwoClients, text: bytes) -> None:
    mine, other = two
    other.command(b"UID STORE 2 +FLAGS (\\Deleted)")
    other.command(b"EXPUNGE")
    assert b"* 2 EXPUNGE\r\n" in mine.command(text)


def test_numbers_of_several_expunges_count_down_as_they_are_told(
    filled: MailServer, two: TwoClients
) -> None:
    for uid in (1, 3):
        filled.mailbox().expunge(uid)
    filled.deliver(b"x")
    assert two[0].command(b"NOOP") == (
        b"* 1 EXPUNGE\r\n* 2 EXPUNGE\r\n* 2 EXISTS\r\ntag OK completed\r\n"
    )


def test_mail_that_came_and_went_is_never_told(filled: MailServer, two: TwoClients) -> None:
    filled.mailbox().expunge(filled.deliver(b"x"))
    assert two[0].command(b"NOOP") == b"tag OK completed\r\n"


def test_flags_are_told_to_the_others_and_once(two: TwoClients) -> None:
    mine, other = two
    mine.command(b"STORE 1 +FLAGS.SILENT (\\Seen)")
    assert mine.command(b"NOOP") == b"tag OK completed\r\n"
    assert other.command(b"NOOP").startswith(b"* 1 FETCH (FLAGS (\\Seen))\r\ntag")
    mine.command(b"UID FETCH 2 BODY[]")
    assert other.command(b"NOOP").startswith(b"* 2 FETCH (FLAGS (\\Seen))\r\ntag")


def test_a_message_that_goes_during_a_uid_fetch_is_left_out(
    filled: MailServer, two: TwoClients
) -> None:
    filled.faults.add(faults.Call("UID FETCH", lambda: filled.mailbox().expunge(2)))
    assert two[0].command(b"UID FETCH 1:3 UID") == (
        b"* 1 FETCH (UID 1)\r\n* 3 FETCH (UID 3)\r\n* 2 EXPUNGE\r\ntag OK FETCH completed\r\n"
    )
