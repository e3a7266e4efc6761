"""What the methods of a connection send, and what they make of the answers."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from types import FrameType

import pytest

from nornmail.errors import CommandRefused, ConfigurationError, ConnectionLost, ProtocolError
from nornmail.imap import wire
from nornmail.imap.connection import LIST_STATUS, Connection
from nornmail.imap.limits import Limits
from nornmail.imap.responses import Response, parse
from nornmail.imap.results import Counts, Selected
from nornmail.imap.tokens import Piece
from nornmail.uidset import UidSet
from tests.imap.fake import CAPABILITIES, FakeClock, FakeSocket, connection
from tests.support.table import table

NO_EXTRAS = b"%T OK [CAPABILITY IMAP4rev1] welcome\r\n"


@table(
    ("answer", "expected"),
    [
        pytest.param(
            b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\n%T OK [READ-WRITE]\r\n",
            Selected("INBOX", 3, 7, 9, False),
            id="as it should be",
        ),
        pytest.param(
            b"* 0 EXISTS\r\n%T OK\r\n",
            Selected("INBOX", 0, None, None, False),
            id="next to nothing",
        ),
        pytest.param(
            b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDVALIDITY 8]\r\n* 2 EXISTS\r\n%T OK\n",
            Selected("INBOX", 2, 8, None, False),
            id="the latest value counts",
        ),
        pytest.param(
            b"* 9 EXISTS\r\n* OK [CLOSED] x\r\n* 1 EXISTS\r\n%T OK\r\n",
            Selected("INBOX", 1, None, None, False),
            id="what is said before CLOSED is of the mailbox before",
        ),
        pytest.param(
            b"* 1 EXISTS\r\n* OK [UIDVALIDITY 0] x\r\n* OK [UIDNEXT "
            + b"9" * 5000
            + b"]\r\n%T OK [READ-ONLY] x\r\n",
            Selected("INBOX", 1, 0, None, True),
            id="UIDVALIDITY 0, UIDNEXT of 5,000 digits, and read-only",
        ),
        pytest.param(
            b"* 5 EXISTS\r\n* 1 EXPUNGE\r\n%T OK\r\n",
            Selected("INBOX", 4, None, None, False),
            id="a removal meanwhile",
        ),
    ],
)
def test_select_tells_what_the_server_told(answer: bytes, expected: Selected) -> None:
    opened = connection(FakeSocket({"SELECT": answer}))
    assert opened.selected == expected
    assert (opened.exists, opened.expunges) == (expected.exists, 0)


def test_an_examined_mailbox_is_read_only() -> None:
    sock = FakeSocket({"EXAMINE": b"* 1 EXISTS\r\n%T OK x\r\n"})
    assert connection(sock).examine("Entwürfe").read_only
    assert sock.sent[-1].endswith(b'EXAMINE "Entw&APw-rfe"')


def test_a_select_without_exists_is_a_protocol_error() -> None:
    sock = FakeSocket({"SELECT": b"%T OK\r\n"})
    opened = connection(sock, select=False)
    with pytest.raises(ProtocolError):
        opened.select("INBOX")
    assert sock.closed
    with pytest.raises(ConnectionLost, match="says nothing about its messages"):
        opened.noop()


def test_after_a_refused_select_nothing_is_selected() -> None:
    sock = FakeSocket({"EXAMINE": b"%T NO [NONEXISTENT] no such thing\r\n"})
    opened = connection(sock)
    with pytest.raises(CommandRefused) as caught:
        opened.examine("nowhere")
    error = caught.value
    assert (error.command, error.status, error.code) == ("EXAMINE", "NO", "NONEXISTENT")
    assert opened.selected is None
    assert opened.select("INBOX").exists == 3


def test_exists_and_expunges_follow_what_is_told() -> None:
    told = b"* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n* 5 EXISTS\r\n* 1 EXPUNGE\r\n%T OK\r\n"
    opened = connection(FakeSocket({"NOOP": told}))
    opened.noop()
    assert (opened.exists, opened.expunges) == (4, 3)


def test_what_is_told_with_a_refusal_counts_too() -> None:
    opened = connection(FakeSocket({"NOOP": b"* 9 EXISTS\r\n%T NO not now\r\n"}))
    with pytest.raises(CommandRefused):
        opened.noop()
    assert opened.exists == 9


def test_what_is_told_between_commands_is_read_with_the_next() -> None:
    sock = FakeSocket()
    opened = connection(sock)
    sock.say(b"* 4 EXISTS\r\n")
    opened.noop()
    assert opened.exists == 4


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(b'* ESEARCH (TAG "%T") UID ALL 1:3,9\r\n%T OK\r\n', "1:3,9", id="a set"),
        pytest.param(b'* ESEARCH (TAG "%T") UID\r\n%T OK\r\n', "", id="no ALL item"),
        pytest.param(b"* SEARCH 9 2 1 3\r\n%T OK\r\n", "1:3,9", id="SEARCH all the same"),
    ],
)
def test_all_uids_are_listed_by_esearch(answer: bytes, expected: str) -> None:
    sock = FakeSocket({"UID SEARCH": answer})
    assert str(connection(sock).list_uids()) == expected
    assert sock.sent[-1].endswith(b"UID SEARCH RETURN (ALL) ALL")


def test_an_empty_mailbox_is_not_asked() -> None:
    sock = FakeSocket({"SELECT": b"* 0 EXISTS\r\n%T OK\r\n"})
    assert not connection(sock).list_uids()
    assert sock.names[-1] == "SELECT"


def test_a_listing_that_nobody_could_walk_is_a_protocol_error() -> None:
    sock = FakeSocket({"UID SEARCH": b"* ESEARCH UID ALL 1:4294967295\r\n%T OK\r\n"})
    opened = connection(sock)
    with pytest.raises(ProtocolError):
        opened.list_uids()
    assert sock.closed


def test_windows_are_asked_for_where_esearch_says_nothing() -> None:
    sock = FakeSocket({"UID SEARCH": [b"%T OK\r\n", b"* SEARCH 4 5 6\r\n%T OK\r\n"]})
    assert str(connection(sock).list_uids()) == "4:6"
    assert sock.sent[-1].endswith(b"UID SEARCH 1:3")


def test_all_is_asked_for_where_windows_find_too_little() -> None:
    answers = [b"%T OK\r\n", b"* SEARCH\r\n%T OK\r\n", b"* SEARCH 101 102 103\r\n%T OK\r\n"]
    sock = FakeSocket({"UID SEARCH": list[bytes](answers)})
    assert str(connection(sock).list_uids()) == "101:103"
    assert sock.sent[-1].endswith(b"UID SEARCH ALL")


@table(
    ("answers", "uids", "searches"),
    [
        pytest.param([b"1 2", b""], "1:2", 3, id="nothing in the second window"),
        pytest.param([b"1 2"], "1:2", 3, id="the same in each window"),
        pytest.param([b"1", b"2", b"3", b"4", b"1 2 3 4 9"], "1:4,9", 5, id="one in each window"),
    ],
)
def test_windows_end_where_the_number_of_messages_is_a_lie(
    answers: list[bytes], uids: str, searches: int
) -> None:
    sock = FakeSocket(
        {
            "SELECT": b"* 4294967295 EXISTS\r\n%T OK\r\n",
            "UID SEARCH": [b"* SEARCH %s\r\n%%T OK\r\n" % answer for answer in answers],
        }
    )
    opened = connection(sock, limits=Limits(list_window=3_000))
    opened.capabilities -= {"ESEARCH"}
    assert str(opened.list_uids()) == uids
    assert sock.names.count("UID SEARCH") == searches


@pytest.mark.parametrize("answer", [b"%T BAD UID parameters!\r\n", b"%T NO no\r\n"])
def test_a_set_that_the_server_takes_for_descending_is_replaced_by_the_listing(
    answer: bytes,
) -> None:
    listing = b'* ESEARCH (TAG "%T") UID ALL 1:3,9\r\n%T OK\r\n'
    opened = connection(FakeSocket({"UID SEARCH": [answer, listing]}))
    if b"BAD" in answer:
        assert opened.uids_from(5) == UidSet.of([9])
    else:
        with pytest.raises(CommandRefused):
            opened.uids_from(5)


def test_windows_end_exactly_at_exists() -> None:
    answers = [
        b"* SEARCH 11 12\r\n%T OK\r\n",
        b"* SEARCH 13 14\r\n%T OK\r\n",
        b"* SEARCH 17\r\n%T OK\r\n",
    ]
    sock = FakeSocket(
        {
            "LOGIN": NO_EXTRAS,
            "SELECT": b"* 5 EXISTS\r\n%T OK\r\n",
            "UID SEARCH": list[bytes](answers),
        }
    )
    assert str(connection(sock, limits=Limits(list_window=2)).list_uids()) == "11:14,17"
    assert [line.split()[-1] for line in sock.sent[-3:]] == [b"1:2", b"3:4", b"5:5"]


def test_a_removal_while_listing_hides_no_message() -> None:
    """UIDs 1 to 6; the second is removed after the first window, so 4 becomes the third."""
    answers = [
        b"* SEARCH 1 2 3\r\n* 2 EXPUNGE\r\n%T OK\r\n",
        b"* SEARCH 4 5 6\r\n%T OK\r\n",
    ]
    sock = FakeSocket(
        {
            "LOGIN": NO_EXTRAS,
            "SELECT": b"* 6 EXISTS\r\n%T OK\r\n",
            "UID SEARCH": list[bytes](answers),
        }
    )
    listed = connection(sock, limits=Limits(list_window=3)).list_uids()
    assert [line.split()[-1] for line in sock.sent[-2:]] == [b"1:3", b"3:5"]
    assert str(listed) == "1:6"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(b"* SEARCH 4\r\n%T OK\r\n", "", id="the last message, which always matches"),
        pytest.param(b"* SEARCH 9 5 4\r\n%T OK\r\n", "5,9", id="descending"),
        pytest.param(b"%T OK\r\n", "", id="no SEARCH line"),
    ],
)
def test_uids_from_are_not_below(answer: bytes, expected: str) -> None:
    sock = FakeSocket({"UID SEARCH": answer})
    assert str(connection(sock).uids_from(5)) == expected
    assert sock.sent[-1].endswith(b"UID SEARCH UID 5:*")


def test_above_the_highest_uid_there_is_nothing_to_ask() -> None:
    sock = FakeSocket()
    assert not connection(sock).uids_from(2**32)
    assert sock.names[-1] == "SELECT"


def test_still_listed_asks_for_news_first_and_trusts_no_server() -> None:
    sock = FakeSocket({"UID SEARCH": b"* SEARCH 1 2 3 4 5\r\n%T OK\r\n"})
    assert str(connection(sock).still_listed(UidSet.of([2, 4, 9]))) == "2,4"
    assert sock.names[-2:] == ["NOOP", "UID SEARCH"]
    assert sock.sent[-1].endswith(b"UID SEARCH UID 2,4,9")


EMPTY_CALLS: dict[str, Callable[[Connection], object]] = {
    "still_listed": lambda one: one.still_listed(UidSet()),
    "summaries": lambda one: one.summaries(UidSet()),
    "received_before": lambda one: one.received_before(UidSet(), 0.0),
    "bodies": lambda one: one.bodies(UidSet(), expected_octets=0),
    "headers": lambda one: one.headers(UidSet()),
    "add_flags": lambda one: one.add_flags(UidSet(), ["\\Seen"]),
    "expunge": lambda one: one.expunge(UidSet()),
    "move": lambda one: one.move(UidSet(), "x"),
    "copy": lambda one: one.copy(UidSet(), "x"),
}


@table("call", EMPTY_CALLS.values(), ids=EMPTY_CALLS)
def test_an_empty_set_sends_nothing(call: Callable[[Connection], object]) -> None:
    sock = FakeSocket()
    opened = connection(sock)
    call(opened)
    assert sock.names == ["LOGIN", "SELECT"]


COMMANDS: list[tuple[Callable[[Connection], object], bytes]] = [
    (
        lambda one: one.summaries(UidSet([(1, 3)])),
        b"UID FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE)",
    ),
    (
        lambda one: one.received_before(UidSet.of([1, 3]), 0.0),
        b"UID FETCH 1:3 (UID INTERNALDATE)",
    ),
    (
        lambda one: one.received_before(UidSet.of([1, 99]), 0.0),
        b"UID FETCH 1,99 (UID INTERNALDATE)",
    ),
    (
        lambda one: one.bodies(UidSet([(1, 3)]), expected_octets=9),
        b"UID FETCH 1:3 (UID BODY.PEEK[])",
    ),
    (
        lambda one: one.headers(UidSet.of([7])),
        b"UID FETCH 7 (UID FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER])",
    ),
    (
        lambda one: one.add_flags(UidSet.of([1, 3]), ["\\Seen", "\\Deleted"]),
        b"UID STORE 1,3 +FLAGS.SILENT (\\Deleted \\Seen)",
    ),
    (lambda one: one.expunge(UidSet.of([1, 3])), b"UID EXPUNGE 1,3"),
    (lambda one: one.move(UidSet.of([1]), "Done & gone"), b'UID MOVE 1 "Done &- gone"'),
    (lambda one: one.copy(UidSet.of([1]), "a b"), b'UID COPY 1 "a b"'),
    (lambda one: one.create("Erledigt ü"), b'CREATE "Erledigt &APw-"'),
    (
        lambda one: one.find_message_id('<a"b@c>'),
        b'UID SEARCH HEADER Message-ID "<a\\"b@c>"',
    ),
    (lambda one: one.mailboxes(), b'LIST "" "*"'),
]


@table(("call", "sent"), COMMANDS, ids=[sent.decode().split(" (")[0] for _, sent in COMMANDS])
def test_a_method_is_one_command(call: Callable[[Connection], object], sent: bytes) -> None:
    sock = FakeSocket({"UID MOVE": b"* 1 EXPUNGE\r\n%T OK\r\n"})
    opened = connection(sock)
    call(opened)
    assert sock.names[:-1] == ["LOGIN", "SELECT"]
    assert sock.sent[-1].partition(b" ")[2] == sent


def test_a_move_that_tells_of_too_few_expunges_is_looked_after() -> None:
    answers: dict[str, bytes | list[bytes]] = {
        "UID MOVE": b"* 1 EXPUNGE\r\n%T OK\r\n",
        "UID SEARCH": [b"* SEARCH\r\n%T OK\r\n", b"* SEARCH 2\r\n%T OK\r\n"],
    }
    opened = connection(FakeSocket(answers))
    opened.move(UidSet([(1, 2)]), "Done")
    with pytest.raises(CommandRefused, match="OK and UID 2 is still there"):
        opened.move(UidSet([(1, 2)]), "Done")
    assert opened.list_uids() == UidSet.of([2])


def test_long_sets_are_cut_below_8000_octets_a_line() -> None:
    sock = FakeSocket()
    uids = UidSet.of(range(1_000_000_001, 1_000_010_001, 2))
    connection(sock).add_flags(uids, ["\\Seen"])
    lines = [line for line in sock.sent if b"STORE" in line]
    assert len(lines) > 1
    assert all(len(line) + 2 <= 8000 for line in lines)
    stored = ",".join(line.split()[3].decode() for line in lines)
    assert UidSet.parse(stored) == uids


def test_bodies_are_those_that_were_asked_for_in_any_order_and_form() -> None:
    answer = (
        b"* 3 FETCH (UID 9 BODY[] {5}\r\nother)\r\n"
        b"* 2 FETCH (BODY[] {3}\r\ntwo UID 2 FLAGS (\\Seen))\r\n"
        b'* 1 FETCH (UID 1 BODY[] "one")\r\n'
        b"* 1 FETCH (FLAGS (\\Recent))\r\n"
        b"* 4 FETCH (UID 4 BODY[] NIL)\r\n"
        b"%T OK [EXPUNGEISSUED] x\r\n"
    )
    opened = connection(FakeSocket({"UID FETCH": answer}))
    found = opened.bodies(UidSet([(1, 5)]), expected_octets=20)
    assert {uid: body.raw for uid, body in found.items()} == {1: b"one", 2: b"two", 4: None}
    assert found[2].flags == frozenset({"\\Seen"})


def fetched(*numbered: tuple[int, int, bytes]) -> bytes:
    """An answer to UID FETCH: of each message its sequence number, its UID and its octets."""
    lines = [
        b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)\r\n" % (sequence, uid, len(raw), raw)
        for sequence, uid, raw in numbered
    ]
    return b"".join(lines)


@pytest.mark.parametrize(
    ("confused", "asked"),
    [
        (fetched((3, 5, b"four")) + b"* 4 FETCH (UID 5)\r\n", ["4:5", "4", "5"]),
        (fetched((3, 5, b"four"), (4, 5, b"five")), ["4:5", "4", "5"]),
        (fetched((3, 5, b"four"), (4, 4, b"five")), ["4:5", "4", "5"]),
        (fetched((3, 4, b"five"), (3, 5, b"five")), ["4:5", "4", "5"]),
        (fetched((4, 5, b"five"), (3, 4, b"four"), (4, 5, b"five")), ["4:5"]),
        (fetched((3, 4, b"four")) + b"* 3 EXPUNGE\r\n" + fetched((3, 5, b"five")), ["4:5"]),
    ],
    ids=[
        "another message's octets, and then none",
        "two messages under one UID",
        "each has the other's UID",
        "one message under two UIDs",
        "any order, and one of them twice",
        "after an expunge the numbers say nothing",
    ],
)
def test_octets_under_the_uid_of_another_message_are_asked_for_again(
    confused: bytes, asked: list[str]
) -> None:
    answers = [confused, fetched((3, 4, b"four")), fetched((4, 5, b"five"))]
    sock = FakeSocket({"UID FETCH": [answer + b"%T OK\r\n" for answer in answers]})
    found = connection(sock).bodies(UidSet.of([4, 5]), expected_octets=8)
    assert {uid: body.raw for uid, body in found.items()} == {4: b"four", 5: b"five"}
    assert [line.split()[3].decode() for line in sock.sent if b"FETCH" in line] == asked


@pytest.mark.parametrize("status", ["NO", "BAD"])
def test_bodies_before_a_refusal_are_not_given_then_or_later(status: str) -> None:
    stale = b"* 1 FETCH (UID 5 BODY[] {5}\r\nstale)\r\n%T " + status.encode() + b" no\r\n"
    fresh = b"* 2 FETCH (UID 6 BODY[] {5}\r\nfresh)\r\n%T OK\r\n"
    opened = connection(FakeSocket({"UID FETCH": [stale, fresh]}))
    with pytest.raises(CommandRefused):
        opened.bodies(UidSet.of([5]), expected_octets=5)
    assert list(opened.bodies(UidSet.of([5, 6]), expected_octets=5)) == [6]


def test_a_late_answer_to_an_earlier_fetch_is_dropped() -> None:
    late = (
        b"* 1 FETCH (UID 5 BODY[] {4}\r\nlate)\r\n* 2 FETCH (UID 6 BODY[] {3}\r\nnew)\r\n%T OK\r\n"
    )
    opened = connection(FakeSocket({"UID FETCH": late}))
    found = opened.bodies(UidSet.of([6]), expected_octets=5)
    assert {uid: body.raw for uid, body in found.items()} == {6: b"new"}


def test_the_deadline_of_bodies_grows_with_their_size() -> None:
    sock = FakeSocket({"UID FETCH": b"%T OK\r\n"})
    opened = connection(sock, limits=Limits(min_rate=1000), timeout=30.0)
    sock.timeouts.clear()
    opened.bodies(UidSet.of([1]), expected_octets=5000)
    assert set(sock.timeouts) == {35.0}


@pytest.mark.parametrize(
    ("octets", "fits"), [(150, True), (151, False)], ids=["twice and slack", "one more"]
)
def test_a_body_may_be_larger_than_announced_within_bounds(octets: int, fits: bool) -> None:
    answer = b"* 1 FETCH (UID 1 BODY[] {%d}\r\n%s)\r\n%%T OK\r\n" % (octets, b"x" * octets)
    opened = connection(FakeSocket({"UID FETCH": answer}), limits=Limits(body_slack=50))
    if fits:
        assert opened.bodies(UidSet.of([1]), expected_octets=50)[1].raw == b"x" * octets
    else:
        with pytest.raises(ProtocolError):
            opened.bodies(UidSet.of([1]), expected_octets=50)


def test_headers_come_with_the_size_of_the_whole() -> None:
    answer = b"* 1 FETCH (UID 1 RFC822.SIZE 999 BODY[HEADER] {6}\r\na: b\r\n)\r\n%T OK\r\n"
    header = connection(FakeSocket({"UID FETCH": answer})).headers(UidSet.of([1]))[1]
    assert (header.raw, header.size) == (b"a: b\r\n", 999)


def test_without_uidplus_nothing_is_expunged() -> None:
    sock = FakeSocket({"LOGIN": NO_EXTRAS})
    assert connection(sock).expunge(UidSet.of([1])) is False
    assert sock.names[-1] == "SELECT"


@pytest.mark.parametrize("text", ["<a\r\nX1 DELETE INBOX>", "<a\0>", "<é\n>"])
def test_a_message_id_cannot_be_a_command(text: str) -> None:
    sock = FakeSocket()
    opened = connection(sock)
    with pytest.raises(ConfigurationError):
        opened.find_message_id(text)
    assert sock.names[-1] == "SELECT"


def test_a_message_id_that_is_not_ascii_goes_as_a_literal() -> None:
    sock = FakeSocket({"UID SEARCH": [b"+ go\r\n", b"* SEARCH 5\r\n%T OK\r\n"]})
    assert str(connection(sock).find_message_id("<é@x>")) == "5"
    assert sock.sent[-2].endswith(b"UID SEARCH CHARSET UTF-8 HEADER Message-ID {6}")
    assert sock.sent[-1] == "<é@x>".encode()


def test_mailboxes_are_those_that_can_be_selected() -> None:
    answer = (
        b'* LIST () "/" INBOX\r\n* LIST (\\Noselect) "/" "[Gmail]"\r\n'
        b'* LIST (\\HasNoChildren) "/" {8}\r\na "b" (c\r\n* LIST () "/" "Entw&APw-rfe"\r\n%T OK\r\n'
    )
    found = connection(FakeSocket({"LIST": answer})).mailboxes()
    assert found == ["INBOX", 'a "b" (c', "Entwürfe"]


def test_an_alert_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    opened = connection(FakeSocket({"NOOP": b"* NO [ALERT] disk at 99%\r\n%T OK\r\n"}))
    with caplog.at_level(logging.WARNING, "nornmail.imap"):
        opened.noop()
    assert "disk at 99%" in caplog.text


def test_a_flood_of_alerts_does_not_fill_the_log(caplog: pytest.LogCaptureFixture) -> None:
    flood = b"* NO [ALERT] look\r\n* BAD oh\r\n" * 500
    opened = connection(FakeSocket({"NOOP": flood + b"%T OK\r\n"}))
    with caplog.at_level(logging.WARNING, "nornmail.imap"):
        opened.noop()
    assert opened.untagged_errors == 500
    assert len(caplog.messages) == 11
    assert caplog.messages[-1] == "1000 alerts and errors from the server in all"


def test_every_command_is_shown_before_and_after_it_is_sent() -> None:
    moments: list[tuple[str, bytes, int]] = []
    sock = FakeSocket()
    opened = connection(
        sock, on_command=lambda moment, command: moments.append((moment, command, len(sock.sent)))
    )
    opened.noop()
    assert moments == [
        ("before", b"LOGIN ****", 0),
        ("after", b"LOGIN ****", 1),
        ("before", b'SELECT "INBOX"', 1),
        ("after", b'SELECT "INBOX"', 2),
        ("before", b"NOOP", 2),
        ("after", b"NOOP", 3),
    ]


def test_an_observer_that_raises_closes_the_connection() -> None:
    class Killed(BaseException):
        pass

    def kill(moment: str, command: bytes) -> None:
        if (moment, command) == ("after", b"NOOP"):
            raise Killed

    sock = FakeSocket()
    opened = connection(sock, on_command=kill)
    with pytest.raises(Killed):
        opened.noop()
    assert sock.closed


@table(
    "answer",
    [
        pytest.param(b"* BYE\r\n%T OK\r\n", id="as it should be"),
        pytest.param(b"%T OK\r\n", id="without BYE"),
        pytest.param(b"%T BAD no\r\n", id="refused"),
        pytest.param(b"", id="without an answer"),
        pytest.param(b"* 1 FETCH (BODY[] {99999999999}\r\n", id="with nonsense"),
    ],
)
def test_close_never_raises_and_always_closes(answer: bytes) -> None:
    sock = FakeSocket({"LOGOUT": answer})
    opened = connection(sock)
    opened.close()
    assert sock.closed
    opened.close()
    opened.detach()
    with pytest.raises(ConnectionLost):
        opened.noop()
    assert sock.names.count("LOGOUT") == 1


def test_a_connection_of_another_process_is_let_go_without_a_word() -> None:
    sock = FakeSocket()
    opened = connection(sock)
    opened.detach()
    assert sock.closed
    assert sock.names[-1] == "SELECT"


def test_a_lost_connection_stays_lost_and_says_why() -> None:
    sock = FakeSocket({"NOOP": b"* BYE Session expired\r\n"})
    opened = connection(sock)
    for _attempt in range(2):
        with pytest.raises(ConnectionLost, match="Session expired"):
            opened.noop()
    assert sock.names.count("NOOP") == 1


REMADE = b'* STATUS "INBOX" (UIDVALIDITY 8)\r\n%T OK\r\n'


def _looked(sock: FakeSocket, clock: FakeClock, *, polls: int) -> Connection:
    """A connection after so many polls, one a minute."""
    opened = connection(sock, clock=clock)
    for _ in range(polls):
        clock.now += 60
        opened.noop()
    return opened


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(REMADE, id="as usual"),
        pytest.param(b"* STATUS INBOX (uidvalidity 8 MESSAGES 1)\r\n%T OK\r\n", id="lower case"),
        pytest.param(b"* STATUS {5}\r\nINBOX (UIDVALIDITY 8)\r\n%T OK\r\n", id="a literal"),
    ],
)
def test_a_mailbox_that_was_made_anew_is_seen_within_five_minutes(answer: bytes) -> None:
    sock, clock = FakeSocket({"STATUS": answer}), FakeClock()
    opened = _looked(sock, clock, polls=3)
    assert "STATUS" not in sock.names
    clock.now += 60
    with pytest.raises(ConnectionLost, match="INBOX was deleted and created again"):
        opened.noop()
    assert sock.closed


@table(
    "answer",
    [
        pytest.param(b'* STATUS "INBOX" (UIDVALIDITY 7)\r\n%T OK\r\n', id="it is the same one"),
        pytest.param(b'* STATUS "INBOX" (UIDVALIDITY 0)\r\n%T OK\r\n', id="0 is no UIDVALIDITY"),
        pytest.param(b'* STATUS "INBOX" (MESSAGES 1)\r\n%T OK\r\n', id="another item"),
        pytest.param(b'* STATUS "INBOX"\r\n%T OK\r\n', id="no items"),
        pytest.param(b"%T OK\r\n", id="nothing"),
    ],
)
def test_the_look_is_made_every_four_minutes_and_says_nothing_else(answer: bytes) -> None:
    sock = FakeSocket({"STATUS": answer})
    _looked(sock, FakeClock(), polls=60)
    assert sock.names.count("STATUS") == 15
    assert max(len(line) for line in sock.sent if b"STATUS" in line) < 50


def test_a_server_that_refuses_the_look_is_not_asked_again() -> None:
    sock = FakeSocket({"STATUS": b"%T NO not on the selected mailbox\r\n"})
    _looked(sock, FakeClock(), polls=60)
    assert sock.names.count("STATUS") == 1


def test_capabilities_are_in_upper_case() -> None:
    opened = connection(FakeSocket({"LOGIN": b"%T OK [capability imap4rev1 move] x\r\n"}))
    assert opened.capabilities == frozenset({"IMAP4REV1", "MOVE"})
    assert b"MOVE" in CAPABILITIES


def test_a_fetch_costs_few_calls_for_each_message() -> None:
    body = b"Subject: x\r\n\r\n" + b"a line of text\r\n" * 100
    dated = b'FLAGS (\\Seen) INTERNALDATE " 5-Jan-2027 08:09:10 +0000"'
    answer = b"".join(
        b"* %d FETCH (UID %d %s BODY[] {%d}\r\n%s)\r\n" % (n, n, dated, len(body), body)
        for n in range(1, 101)
    )
    opened = connection(FakeSocket({"UID FETCH": answer + b"%T OK\r\n"}))
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    try:
        bodies = opened.bodies(UidSet([(1, 100)]), expected_octets=100 * len(body))
    finally:
        sys.setprofile(None)
    assert [message.raw for message in bodies.values()] == [body] * 100
    assert calls / 100 <= 24


WHOLE = Counts(3, 9, 7)
STATUS_ANSWER = b"(UIDNEXT 9 MESSAGES 3 UIDVALIDITY 7)\r\n"


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        pytest.param(b'* STATUS "A" ' + STATUS_ANSWER, {"A": WHOLE}, id="as it should be"),
        pytest.param(b"* STATUS other " + STATUS_ANSWER, {"A": WHOLE}, id="under another name"),
        pytest.param(b"* STATUS {1}\r\nA " + STATUS_ANSWER, {"A": WHOLE}, id="a literal"),
        pytest.param(b'* STATUS "A" (MESSAGES 3 UIDVALIDITY 7)\r\n', {}, id="without UIDNEXT"),
        pytest.param(b'* STATUS "A" (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 0)\r\n', {}, id="0"),
        pytest.param(b"* 3 EXISTS\r\n", {}, id="nothing"),
    ],
)
def test_the_counts_of_a_mailbox(answer: bytes, expected: dict[str, Counts]) -> None:
    opened = connection(FakeSocket({"STATUS": answer + b"%T OK\r\n"}))
    assert opened.counts(["A"]) == expected


def test_a_mailbox_whose_status_is_refused_has_no_counts() -> None:
    assert connection(FakeSocket({"STATUS": b"%T NO no such mailbox\r\n"})).counts(["A"]) == {}


def listing(answer: bytes, **more: bytes) -> tuple[Connection, FakeSocket]:
    sock = FakeSocket({"LIST": answer, **more})
    opened = connection(sock)
    opened.capabilities |= LIST_STATUS
    return opened, sock


def test_the_counts_of_many_mailboxes_cost_one_command_where_the_server_can() -> None:
    answer = b"".join(
        b'* LIST () "/" %s\r\n* STATUS %s %s' % (name, name, STATUS_ANSWER)
        for name in (b'"inbox"', b'"Gr&APw-n"', b"unasked")
    )
    opened, sock = listing(
        answer + b"%T OK\r\n", STATUS=b"* STATUS x " + STATUS_ANSWER + b"%T OK\r\n"
    )
    names = ["INBOX", "Grün", "gone", "50%"]
    assert opened.counts(names) == {"INBOX": WHOLE, "Grün": WHOLE, "50%": WHOLE}
    sent = [line for line in sock.sent if b"LIST" in line]
    assert sent[0].split(b" ", 1)[1] == (
        b'LIST "" ("INBOX" "Gr&APw-n" "gone") RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY))'
    )
    assert sock.names.count("STATUS") == 1, "a name with a wildcard is asked for alone"


def test_a_server_that_does_not_understand_list_status_is_asked_by_status_from_then_on() -> None:
    status = b"* STATUS x " + STATUS_ANSWER + b"%T OK\r\n"
    opened, sock = listing(b"%T BAD what\r\n", STATUS=status)
    for _ in range(2):
        assert opened.counts(["A", "B"]) == {"A": WHOLE, "B": WHOLE}
    assert (sock.names.count("LIST"), sock.names.count("STATUS")) == (1, 4)


ASKED = UidSet([(5, 6)])
BOTH = (
    b"* 7 EXISTS\r\n* 1 FETCH (UID 5 BODY[] {4}\r\nfive)\r\n* 2 FETCH (UID 6 BODY[] {3}\r\nsix)\r\n"
)


def asked_ahead(end: bytes = b"%T OK\r\n") -> tuple[FakeSocket, Connection]:
    sock = FakeSocket(
        {"UID FETCH": [BOTH + end, b"* 1 FETCH (UID 5 BODY[] {4}\r\nanew)\r\n%T OK\r\n"]}
    )
    opened = connection(sock)
    opened.ask_ahead(ASKED, expected_octets=7)
    return sock, opened


@table(
    "between",
    [
        pytest.param(lambda one: None, id="at once"),
        pytest.param(lambda one: one.add_flags(UidSet.of([1]), ["\\Seen"]), id="behind a STORE"),
        pytest.param(lambda one: one.noop(), id="behind a NOOP"),
    ],
)
def test_bodies_that_were_asked_for_ahead_are_not_asked_for_again(
    between: Callable[[Connection], object],
) -> None:
    sock, opened = asked_ahead()
    between(opened)
    found = opened.bodies(ASKED, expected_octets=7)
    assert {uid: body.raw for uid, body in found.items()} == {5: b"five", 6: b"six"}
    assert opened.exists == 7
    assert sock.names.count("UID FETCH") == 1
    assert opened.bodies(UidSet.of([5]), expected_octets=4)[5].raw == b"anew"


@pytest.mark.parametrize("read_first", [False, True], ids=["unread", "read"])
def test_what_was_asked_ahead_and_is_not_needed_is_asked_anew(read_first: bool) -> None:
    _, opened = asked_ahead()
    if read_first:
        opened.noop()
    opened.forget_ahead()
    assert opened.bodies(ASKED, expected_octets=7)[5].raw == b"anew"
    assert opened.exists == 7, "what else the answer said counts"


def test_a_refusal_of_what_was_asked_ahead_comes_where_it_is_needed() -> None:
    _, opened = asked_ahead(b"%T NO not now\r\n")
    opened.noop()
    with pytest.raises(CommandRefused):
        opened.bodies(ASKED, expected_octets=7)


def test_a_connection_with_an_unread_answer_is_closed_without_a_word() -> None:
    sock, opened = asked_ahead()
    opened.close()
    assert sock.closed
    assert "LOGOUT" not in sock.names


def dated(uid: int, date: str, form: str = '* {0} FETCH (UID {0} INTERNALDATE "{1}")\r\n') -> bytes:
    return form.format(uid, date).encode()


CUT = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
OLD, NEW = "24-Nov-2026 11:59:59 +0000", "24-Nov-2026 12:00:00 +0000"
LONG_AGO, LATELY = " 1-Jan-2020 00:00:00 +0000", "01-Jan-2027 00:00:00 -0800"


@table("chunk", [None, 7, 90])
@table(
    ("answer", "before"),
    [
        pytest.param(dated(1, OLD) + dated(2, NEW) + dated(3, LONG_AGO), "1,3", id="plain"),
        pytest.param(dated(1, "24-Nov-2026 12:30:00 +0100"), "1", id="a zone in the east"),
        pytest.param(dated(1, "24-Nov-2026 11:30:00 -0100"), "", id="a zone in the west"),
        pytest.param(dated(1, LATELY) + dated(1, LONG_AGO), "", id="two dates for a message"),
        pytest.param(dated(1, LONG_AGO) + dated(9, LONG_AGO), "1", id="a message not asked for"),
        pytest.param(dated(1, "00-Jan-0000 00:00:00 +0000"), "", id="no date at all"),
        pytest.param(b"* 1 FETCH (UID 1)\r\n" + dated(2, OLD), "2", id="no date of one"),
        pytest.param(dated(1, OLD, '* 1 FETCH (INTERNALDATE "{1}")\r\n'), "", id="no UID"),
        pytest.param(
            dated(1, OLD, '* 1 FETCH (FLAGS (\\Seen UID) INTERNALDATE "{1}" UID 1)\r\n'),
            "1",
            id="flags, and another order",
        ),
        pytest.param(
            dated(1, OLD)
            + b"* 4 EXISTS\r\n* OK FETCH (UID 3)\r\n"
            + dated(2, "{26}\r\n" + OLD, "* 2 FETCH (UID 2 INTERNALDATE {1})\r\n")
            + dated(3, OLD, '* 3 fetch (uid 3  internaldate "{1}" x (y))\r\n'),
            "1:3",
            id="other responses, a literal and lower case in between",
        ),
    ],
)
def test_what_was_received_before_an_instant(answer: bytes, before: str, chunk: int | None) -> None:
    sock = FakeSocket({"UID FETCH": answer + b"%T OK\r\n"}, chunk=chunk)
    opened = connection(sock)
    assert str(opened.received_before(UidSet([(1, 3)]), CUT)) == before
    assert opened.exists == (4 if b"EXISTS" in answer else connection(FakeSocket()).exists)


def test_a_million_dates_are_not_read_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[Response] = []

    def counted(pieces: Sequence[Piece]) -> Response:
        parsed.append(parse(pieces))
        return parsed[-1]

    monkeypatch.setattr(wire, "parse", counted)
    uids = list(range(2, 4_002, 2))
    halves = uids[:1_000], uids[1_000:]
    answers = [b"".join(dated(uid, OLD) for uid in half) + b"%T OK\r\n" for half in halves]
    sock = FakeSocket({"UID FETCH": answers})
    opened = connection(sock, limits=Limits(list_window=1_000))
    parsed.clear()
    assert opened.received_before(UidSet.of(uids), CUT) == UidSet.of(uids)
    assert sock.names[-2:] == ["UID FETCH"] * 2
    assert len(parsed) == 2, "the tagged responses alone"


@table(
    ("limits", "text"),
    [
        pytest.param(Limits(responses=9), "more than 9 responses", id="too many"),
        pytest.param(Limits(total=600), "an answer of more than 600 octets", id="too long"),
    ],
)
def test_dates_in_a_run_count_as_any_others_do(limits: Limits, text: str) -> None:
    answer = b"".join(dated(uid, OLD) for uid in range(1, 16)) + b"%T OK\r\n"
    opened = connection(FakeSocket({"UID FETCH": answer}), limits=limits)
    with pytest.raises(ProtocolError, match=text):
        opened.received_before(UidSet([(1, 15)]), CUT)
