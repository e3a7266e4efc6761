"""From FETCH responses to messages."""

from __future__ import annotations

import pytest

from nornmail.imap.quirks import placeholder_reason
from nornmail.imap.responses import Continuation, Exists, Tagged, Untagged, parse
from nornmail.imap.results import FetchedBody, Summary, bodies, internal_date, size, summaries
from nornmail.imap.tokens import Atom, Literal, Piece, TokenValue
from nornmail.uidset import UidSet
from tests.support.table import table

NONE: frozenset[str] = frozenset()


def _told(*lines: bytes | tuple[bytes, bytes, bytes]) -> list[Untagged]:
    told: list[Untagged] = [Exists(3)]
    for line in lines:
        pieces: list[Piece] = [line] if isinstance(line, bytes) else [line[0]]
        if not isinstance(line, bytes):
            pieces += [Literal(line[1]), line[2]]
        response = parse(pieces)
        assert not isinstance(response, Tagged | Continuation)
        told.append(response)
    return told


@table(
    ("raw", "expected"),
    [
        pytest.param(b"26-Aug-2021 14:42:56 +0000", 1629988976.0, id="UTC"),
        pytest.param(b"26-Aug-2021 16:42:56 +0200", 1629988976.0, id="east of it"),
        pytest.param(b"26-aug-2021 10:12:56 -0430", 1629988976.0, id="west of it, lower case"),
        pytest.param(b" 6-Feb-2025 21:11:50 +0000", 1738876310.0, id="a blank for the first digit"),
        pytest.param(b"6-Feb-2025 21:11:50 +0000", 1738876310.0, id="one digit"),
        pytest.param(b"06-Feb-2025 21:11:50", 1738876310.0, id="no zone"),
        pytest.param(b"30-Jun-2015 23:59:60 +0000", 1435708799.0, id="a leap second"),
        pytest.param(b"00-Jan-0000 00:00:00 +0000", None, id="no day at all"),
        pytest.param(b"31-Feb-2025 00:00:00 +0000", None, id="a day that February has not"),
        pytest.param(b"01-Foo-2025 00:00:00 +0000", None, id="a month that is none"),
        pytest.param(b"01-Jan-2025 25:00:00 +0000", None, id="an hour that is none"),
        pytest.param(b"01-Jan-0001 00:00:00 +0100", None, id="before the first year"),
        pytest.param(b"01-Jan-2025 00:00:00 +9999", None, id="a zone of four days"),
        pytest.param(b"yesterday", None, id="a word"),
        pytest.param(b"", None, id="nothing"),
    ],
)
def test_internaldate_is_seconds_or_nothing(raw: bytes, expected: float | None) -> None:
    assert internal_date(raw) == expected


@table(
    ("token", "expected"),
    [
        pytest.param(Atom(b"75"), 75, id="octets"),
        pytest.param(Atom(b"9.3736e+06"), 9_373_600, id="rounded, as mail.ru writes it"),
        pytest.param(Atom(b"1e3"), 1000, id="rounded to one digit"),
        pytest.param(Atom(b"1e99"), None, id="more than there are atoms"),
        pytest.param(Atom(b"-1"), None, id="negative, as Exchange writes it"),
        pytest.param(Atom(b"9" * 5000), None, id="5,000 digits"),
        pytest.param(None, None, id="NIL"),
        pytest.param((), None, id="a list"),
    ],
)
def test_a_size_is_octets_or_nothing(token: TokenValue, expected: int | None) -> None:
    assert size(token) == expected


def test_summaries_are_of_those_that_were_asked_for() -> None:
    told = _told(
        b'* 1 FETCH (UID 5 FLAGS (\\Seen) INTERNALDATE "26-Aug-2021 14:42:56 +0000" RFC822.SIZE 9)',
        b"* 2 FETCH (UID 6 RFC822.SIZE 1)",
        b"* 3 FETCH (RFC822.SIZE 1)",
    )
    assert summaries(told, UidSet.of([5])) == {
        5: Summary(5, 9, 1629988976.0, frozenset({"\\Seen"}))
    }


@table(
    "line",
    [
        pytest.param(b"* 1 FETCH (UID 5 FLAGS ())", id="no size"),
        pytest.param(b"* 1 FETCH (UID 5 RFC822.SIZE -1)", id="a negative size"),
        pytest.param(b"* 1 FETCH (UID 5 RFC822.SIZE NIL)", id="NIL for a size"),
        pytest.param(b"* 1 FETCH (UID 0 RFC822.SIZE 5)", id="UID 0"),
        pytest.param(b"* 1 FETCH (UID x RFC822.SIZE 5)", id="a UID that is none"),
    ],
)
def test_what_is_not_told_is_left_out(line: bytes) -> None:
    assert summaries(_told(line), UidSet.of([5])) == {}


BODY_CASES = [
    pytest.param(
        [(b"* 1 FETCH (UID 5 BODY[] ", b"raw", b")")],
        FetchedBody(5, b"raw", NONE, None),
        id="a literal",
    ),
    pytest.param(
        [(b"* 1 FETCH (BODY[] ", b"raw", b" UID 5 FLAGS (a))")],
        FetchedBody(5, b"raw", frozenset({"a"}), None),
        id="the UID after the body",
    ),
    pytest.param(
        [b'* 1 FETCH (UID 5 BODY[] "raw")'],
        FetchedBody(5, b"raw", NONE, None),
        id="a quoted string",
    ),
    pytest.param([b"* 1 FETCH (UID 5 BODY[] NIL)"], FetchedBody(5, None, NONE, None), id="NIL"),
    pytest.param(
        [(b"* 1 FETCH (UID 5 BODY[] ", b"", b")")], FetchedBody(5, b"", NONE, None), id="no octets"
    ),
    pytest.param([b"* 1 FETCH (UID 5)"], FetchedBody(5, None, NONE, None), id="no body at all"),
    pytest.param([b"* 1 FETCH (UID 5 BODY[] )"], FetchedBody(5, None, NONE, None), id="no value"),
    pytest.param([b"* 1 FETCH (UID 5 BODY[] 17)"], FetchedBody(5, None, NONE, None), id="a number"),
    pytest.param(
        [(b"* 1 FETCH (UID 5 RFC822 ", b"raw", b")")],
        FetchedBody(5, None, NONE, None),
        id="another item than the one that was asked for",
    ),
    pytest.param(
        [(b"* 1 FETCH (UID 5 BODY[] ", b"raw", b")"), b"* 1 FETCH (UID 5 FLAGS (b))"],
        FetchedBody(5, b"raw", frozenset({"b"}), None),
        id="flags that changed behind it",
    ),
    pytest.param(
        [(b"* 1 FETCH (UID 5 BODY[] ", b"raw", b")"), b"* 1 FETCH (UID 5 BODY[] NIL)"],
        FetchedBody(5, b"raw", NONE, None),
        id="NIL behind it",
    ),
]


@table(("lines", "expected"), BODY_CASES)
def test_a_body_is_what_came(
    lines: list[bytes | tuple[bytes, bytes, bytes]], expected: FetchedBody
) -> None:
    assert bodies(_told(*lines), UidSet.of([5]), "BODY[]") == {5: expected}


@pytest.mark.parametrize(
    "prefix",
    [
        pytest.param(b"* 1 FETCH (UID 6 BODY[] ", id="another UID"),
        pytest.param(b"* 5 FETCH (BODY[] ", id="no UID, and its number as sequence number"),
        pytest.param(b"* 1 FETCH (UID 05555555555 BODY[] ", id="a UID of eleven digits"),
    ],
)
def test_a_body_of_another_message_is_dropped(prefix: bytes) -> None:
    assert bodies(_told((prefix, b"raw", b")")), UidSet.of([5]), "BODY[]") == {}


COURIER = (
    b"From: System Administrator <root@localhost>\r\nSubject: message unavailable\r\n\r\n"
    b"This message is no longer available on the server.\r\n"
)
EXCHANGE = (
    b'From: "Microsoft Exchange Server" <.MISSING-HOST-NAME.>\r\nTo: <user@example.org>\r\n'
    b"Subject: Retrieval using the IMAP4 protocol failed for the following message: 3\r\n"
    b"MIME-Version: 1.0\r\n\r\nThe server couldn't retrieve the following message:\r\n"
)


@pytest.mark.parametrize(
    ("raw", "server"),
    [
        pytest.param(COURIER, "Courier", id="Courier's text for an expunged message"),
        pytest.param(COURIER.replace(b"\r\n", b"\n"), "Courier", id="the same with bare LF"),
        pytest.param(EXCHANGE, "Exchange", id="Exchange's text for one it cannot convert"),
    ],
)
def test_an_invented_message_is_recognised(raw: bytes, server: str) -> None:
    reason = placeholder_reason(raw)
    assert reason is not None
    assert reason.startswith(server)


@table(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"Subject: message unavailable\r\n\r\nAre you there?\r\n", id="its subject"),
        pytest.param(b"Received: by x\r\n" + COURIER, id="Courier's text that somebody forwarded"),
        pytest.param(COURIER + b"-- \r\nMe\r\n", id="Courier's text with a signature"),
        pytest.param(b"Date: x\r\n" + COURIER, id="Courier's text with a date"),
        pytest.param(b"Received: by x\r\n" + EXCHANGE, id="Exchange's text that travelled"),
        pytest.param(b"Message-ID: <1@x>\r\n" + EXCHANGE, id="Exchange's text with a Message-ID"),
        pytest.param(EXCHANGE.replace(b"Subject: ", b"Subject: Re: "), id="an answer to it"),
        pytest.param(EXCHANGE.replace(b"Microsoft Exchange", b"Alice"), id="from somebody else"),
        pytest.param(b"Subject: x\r\n\r\n" + EXCHANGE, id="quoted in a body"),
        pytest.param(EXCHANGE + b"x" * 20_000, id="one of a size that no invention has"),
    ],
)
def test_ordinary_mail_is_not_taken_for_one(raw: bytes) -> None:
    assert placeholder_reason(raw) is None
