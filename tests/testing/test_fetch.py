"""The data items of FETCH, one by one."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nornmail.testing import MailServer
from tests.testing.raw_client import RawClient

MAIL = (
    b"From: Ann <ann@example.com>\r\nTo: agent@example.com\r\nSubject: one\r\n two\r\n"
    b"X-Odd : y\r\nnot a field\r\n\r\nHello\r\nworld\r\n"
)
FAST = b'FLAGS (\\Flagged) INTERNALDATE " 1-Feb-2024 00:00:00 +0000" RFC822.SIZE 112'
ANN = b'(("Ann" NIL "ann" "example.com"))'
ENVELOPE = (
    b'(NIL "one two" ' + b" ".join([ANN] * 3) + b' ((NIL NIL "agent" "example.com"))'
    b" NIL NIL NIL NIL)"
)
STRUCTURE = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 2'


@pytest.mark.parametrize(
    ("items", "values"),
    [
        (b"UID", b"UID 7"),
        (b"(FLAGS)", b"FLAGS (\\Flagged)"),
        (b"(UID RFC822.SIZE)", b"UID 7 RFC822.SIZE 112"),
        (b"INTERNALDATE", b'INTERNALDATE " 1-Feb-2024 00:00:00 +0000"'),
        (b"BODY.PEEK[]", b"BODY[] {112}\r\n" + MAIL),
        (b"BODY.PEEK[TEXT]", b"BODY[TEXT] {14}\r\nHello\r\nworld\r\n"),
        (b"body.peek[text]<2.5>", b"BODY[TEXT]<2> {5}\r\nllo\r\n"),
        (b"BODY.PEEK[]<500.5>", b"BODY[]<500> {0}\r\n"),
        (b"RFC822.HEADER", b"RFC822.HEADER {98}\r\n" + MAIL[:98]),
        (b"BODY.PEEK[HEADER]", b"BODY[HEADER] {98}\r\n" + MAIL[:98]),
        (
            b"BODY.PEEK[HEADER.FIELDS (Subject x-odd)]",
            b"BODY[HEADER.FIELDS (Subject x-odd)] {33}\r\n"
            b"Subject: one\r\n two\r\nX-Odd : y\r\n\r\n",
        ),
        (b"BODY.PEEK[HEADER.FIELDS (None)]", b"BODY[HEADER.FIELDS (None)] {2}\r\n\r\n"),
        (
            b"BODY.PEEK[HEADER.FIELDS.NOT (From To X-Odd)]",
            b"BODY[HEADER.FIELDS.NOT (From To X-Odd)] {35}\r\n"
            b"Subject: one\r\n two\r\nnot a field\r\n\r\n",
        ),
        (b"FAST", FAST),
        (b"ALL", FAST + b" ENVELOPE " + ENVELOPE),
        (b"full", FAST + b" ENVELOPE " + ENVELOPE + b" BODY " + STRUCTURE + b")"),
        (b"(BODY)", b"BODY " + STRUCTURE + b")"),
        (b"BODYSTRUCTURE", b"BODYSTRUCTURE " + STRUCTURE + b" NIL NIL NIL NIL)"),
        (b"body.peek[1]<0.5>", b"BODY[1]<0> {5}\r\nHello"),
        (b"BODY.PEEK[1.MIME]", b"BODY[1.MIME] {98}\r\n" + MAIL[:98]),
        (b"BODY.PEEK[7]", b"BODY[7] {0}\r\n"),
        (b"BODY[TEXT]", b"FLAGS (\\Flagged \\Seen) BODY[TEXT] {14}\r\nHello\r\nworld\r\n"),
        (b"(FLAGS RFC822)", b"FLAGS (\\Flagged \\Seen) RFC822 {112}\r\n" + MAIL),
    ],
    ids=lambda value: value[:40].decode("latin-1"),
)
def test_fetch_items(server: MailServer, client: RawClient, items: bytes, values: bytes) -> None:
    server.deliver(MAIL, uid=7, flags=["\\Flagged"], date=datetime(2024, 2, 1, tzinfo=UTC))
    answer = client.command(b"FETCH 1 " + items)
    assert answer == b"* 1 EXISTS\r\n* 1 FETCH (" + values + b")\r\ntag OK FETCH completed\r\n"


@pytest.mark.parametrize(
    ("raw", "header", "text"),
    [
        (b"", b"", b""),
        (b"\r\n", b"\r\n", b""),
        (b"Subject: lf\n\none\ntwo", b"Subject: lf\n\n", b"one\ntwo"),
        (b"no blank line", b"no blank line", b""),
        (b"\r\nbody only", b"\r\n", b"body only"),
    ],
    ids=["empty", "only a blank line", "bare LF", "no blank line", "no header"],
)
def test_odd_messages_are_cut_at_the_first_blank_line(
    server: MailServer, client: RawClient, raw: bytes, header: bytes, text: bytes
) -> None:
    server.deliver(raw)
    answer = client.command(b"FETCH 1 (BODY.PEEK[HEADER] BODY.PEEK[TEXT])")
    wanted = b"BODY[HEADER] {%d}\r\n%s BODY[TEXT] {%d}\r\n%s)"
    assert wanted % (len(header), header, len(text), text) in answer
