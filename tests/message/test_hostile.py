"""No bytes make a message raise, stall or grow, and the bytes themselves stay as they are."""

from __future__ import annotations

import os
import random
import time
from pathlib import Path

import pytest

from nornmail.message import parse_message
from nornmail.message.limits import MAX_ADDRESSES, MAX_NESTING, MAX_PARTS
from tests.message.reading import mail, touch
from tests.message.test_authentication import GOOD as VERDICTS
from tests.message.test_judgements import REPORT
from tests.message.test_message import ALTERNATIVE, MIXED, PLAIN, RELATED

MEGABYTE = 1_000_000
SECONDS = 2.0
"""Of processor time, for one megabyte with every field read."""


def filled(unit: bytes, size: int = MEGABYTE) -> bytes:
    return (unit * (size // len(unit) + 1))[:size]


def levels(count: int) -> bytes:
    level = b"Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n"
    return b"".join(level % (number, number) for number in range(count)) + b"\nhello\n"


FIELDS = [
    b"Content-Type: text/plain; name*",
    b"Content-Type: text/plain; charset*0*=\0''x",
    b"Content-Type: text/plain; charset=\0",
    b"Content-Type: multipart/mixed",
    b'Content-Type: multipart/mixed; boundary=""',
    b"Content-Type: multipart/mixed; boundary=\xff",
    b"Content-Type: message/rfc822",
    b'Content-Type: ;;;=;"',
    b"Content-Disposition: attachment; filename*",
    b"Content-Disposition: attachment; filename*0*=a'b",
    b"Content-Disposition: attachment; filename*" + b"9" * 5_000 + b"=x",
    b"Content-Disposition: attachment; filename*=no-such''%ff%",
    b"Content-Transfer-Encoding: \0",
    b'To: "',
    b"To: (c):",
    b"To: a@[",
    b"To: :;:;<>,<,>",
    b"To: =?utf-8?q?=0D=0ABcc:x?= <a@b>",
    b"To: " + b"(" * 2_000,
    b"To: " + b'"' * 2_001,
    b"From: \0\0\0",
    b"From: <<<<a@b>>>>",
    b"From: =?=?=?=?",
    b"Message-ID: <a@[",
    b"Message-ID: <<>>",
    b"References: <<<a@b>",
    b"Date: " + b"9" * 5_000,
    b"Date: Mon, 99 Jan 99999 99:99:99 +9999",
    b"Date: 1 Jan 2024 00:00:00 +" + b"9" * 50,
    b"Subject: =?unicode_escape?q?=5Cud800?=",
    b"Subject: =?utf-7?q?+2AA-?=",
    b"Subject: =?utf-16?b?2AA=?=",
    b"Subject: =?idna?q?xn--?=",
    b"Subject: =?undefined?q?x?=",
    b"Subject: =?base64?b?x?=",
    b"Subject: =?utf-8?b?====?=",
    b"Subject: \xff\xfe\x00",
    b"Authentication-Results: (",
    b":",
    b" ",
    b"\0",
    b"\xff: \xff",
]


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: ascii(field[:50]))
def test_a_bad_field(field: bytes) -> None:
    for raw in (field, b"X: y\r\n" + field + b"\r\n\r\nbody", field + b"\n\n--\n\nbody\n"):
        message = parse_message(raw, authserv_id="mx.x")
        touch(message)
        assert message.raw == raw


TEXT = b"From: a@b\n\n"
HTML = b"From: a@b\nContent-Type: text/html\n\n"
MULTIPART = b'From: a@b\nContent-Type: multipart/mixed; boundary="b"\n\n'
DSN = (
    b"Content-Type: multipart/report; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
)
BASE64 = b"Content-Transfer-Encoding: base64\n\n"

SLOW = {
    "20,000 semicolons": b"Content-Type: text/plain" + b";" * 20_000 + b"\n\n",
    "a megabyte of semicolons": b"Content-Type: text/plain" + filled(b";") + b"\n\n",
    "20,000 parameters": b"Content-Type: text/plain" + b"; a=b" * 20_000 + b"\n\n",
    "parameters in sections": b"Content-Type: text/plain" + filled(b"; a*0*=x") + b"\n\n",
    "a long subject": b"Subject: " + filled(b"a") + b"\n\n",
    "encoded words": b"Subject: " + filled(b"=?u?q?a?=") + b"\n\n",
    "encoded words that begin": b"Subject: " + filled(b"=?u?q?") + b"\n\n",
    "dots in an address": b"To: " + filled(b".") + b"\n\n",
    "comments in an address": b"To: " + filled(b"(") + b"\n\n",
    "quotes in an address": b"To: " + filled(b'"\\"') + b"\n\n",
    "brackets in an address": b"To: " + filled(b"<") + b"\n\n",
    "addresses": b"To: " + filled(b"a@b,") + b"\n\n",
    "references": b"References: " + filled(b"<a@b>") + b"\n\n",
    "fields": filled(b"a:\n"),
    "continuations": b"Subject: x" + filled(b"\n x") + b"\n\n",
    "lines that are no fields": filled(b"x\ny:z\n"),
    "1,000 levels": levels(1_000),
    "20,000 levels": levels(20_000),
    "200,000 parts": MULTIPART + b"--b\n\nx\n" * 170_000,
    "boundaries that are none": MULTIPART + filled(b"--b"),
    "boundaries with blanks": MULTIPART + filled(b"\n--b "),
    "20 megabytes of newlines": TEXT + b"\n" * 20_000_000,
    "20 megabytes of newlines of HTML": HTML + b"\n" * 20_000_000,
    "NULs": b"\0" * MEGABYTE,
    "NULs as text": TEXT + b"\0" * MEGABYTE,
    "quotes": TEXT + filled(b"> \n"),
    "attributions": TEXT + filled(b"On 1 "),
    "attributions without an end": TEXT + filled(b"On 1 a wrote\n"),
    "signatures": TEXT + filled(b"-- \n>\n"),
    "rules": TEXT + filled(b"_" * 25 + b"\n"),
    "comments of HTML": HTML + filled(b"<!--"),
    "tags without an end": HTML + filled(b"<a "),
    "attributes without an end": HTML + filled(b'<a b="'),
    "brackets": HTML + filled(b"<"),
    "paragraphs": HTML + filled(b"<p>"),
    "items": HTML + filled(b"<ul><li>"),
    "quotes of HTML": HTML + filled(b"<blockquote>a"),
    "links": HTML + filled(b"<a href=http://x>y"),
    "blanks in a tag": HTML + b"<a href" + b" " * MEGABYTE + b">",
    "references of HTML": HTML + filled(b"&#9"),
    "a reference of a million digits": HTML + b"&#" + b"9" * MEGABYTE + b";",
    "charsets of HTML": HTML + b"\xff" + filled(b"<meta charset "),
    "base64 in many runs": BASE64 + filled(b"A="),
    "padding": BASE64 + filled(b"="),
    "a report of nothing": DSN + filled(b"a\n"),
    "a report on many": DSN + filled(b"Final-Recipient: rfc822; a@b\nAction: failed\n\n"),
}


@pytest.mark.parametrize("raw", SLOW.values(), ids=SLOW.keys())
def test_nothing_takes_long(raw: bytes) -> None:
    begun = time.process_time()
    message = parse_message(raw, authserv_id="mx.x")
    touch(message)
    assert time.process_time() - begun < SECONDS
    assert message.raw is raw


@pytest.mark.parametrize(
    ("raw", "defect"),
    [
        pytest.param(levels(1_000), "multiparts nested deeper than the limit", id="levels"),
        pytest.param(SLOW["200,000 parts"], "more parts than the limit", id="parts"),
        pytest.param(SLOW["addresses"], "more addresses than the limit", id="addresses"),
        pytest.param(SLOW["fields"], "more header fields than the limit", id="fields"),
        pytest.param(SLOW["a long subject"], "header block over the limit", id="header"),
        pytest.param(SLOW["encoded words"], "more encoded words than the limit", id="words"),
        pytest.param(SLOW["20,000 parameters"], "more parameters than the limit", id="parameters"),
        pytest.param(HTML + b"a" * 3_000_000, "HTML over the limit", id="HTML"),
        pytest.param(HTML + b"<p>" * 500_000, "more HTML tags than the limit", id="tags"),
    ],
)
def test_what_is_over_a_limit_is_a_defect(raw: bytes, defect: str) -> None:
    assert defect in parse_message(raw).defects


def test_what_lies_within_a_limit_is_read() -> None:
    assert len(parse_message(SLOW["addresses"]).to) == MAX_ADDRESSES
    assert parse_message(SLOW["a long subject"]).subject.startswith("aaaa")
    parts = parse_message(SLOW["200,000 parts"]).text
    assert parts == "\n".join(["x"] * MAX_PARTS)
    assert parse_message(levels(MAX_NESTING)).text == "hello\n"


SEEDS = [
    PLAIN,
    mail(ALTERNATIVE, Content_Type=b"multipart/alternative; boundary=a"),
    mail(MIXED, Content_Type=b'multipart/mixed; boundary="m"', Subject=b"=?utf-8?B?w6k=?="),
    mail(RELATED, Content_Type=b"multipart/related; boundary=r; start=<logo@x>"),
    mail(
        REPORT,
        Content_Type=b"multipart/report; boundary=b",
        Authentication_Results=VERDICTS.encode(),
    ),
    mail(
        b"<a href='http://x'>a&eacute;</a><!-- c --><ul><li>b</ul><blockquote>c</blockquote>",
        Content_Type=b"text/html; charset=utf-8; name*0*=utf-8''%C3; name*1=x",
        Content_Transfer_Encoding=b"quoted-printable",
        To=b'"Doe, Jo" <a@x>, Team: b@x, (c) c@x; =?utf-8?Q?d?= <"d"@[1.2.3.4]>',
    ),
]
PIECES = (
    b"\0", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\xff", b"\xc3", b'"', b"<", b">", b"(", b")",
    b";", b":", b",", b"=?", b"?=", b"=?utf-8?q?", b"--a", b"--m--", b"=", b"*", b"*0*=", b"%",
    b"\\", b"@", b"[", b"&#", b"<!--", b"charset=utf-16", b"charset=utf-7", b"base64", b" ",
    b"multipart/digest", b"multipart/alternative", b"message/delivery-status", b"text/html",
)  # fmt: skip


def mutated(chance: random.Random) -> bytes:
    raw = bytearray(chance.choice(SEEDS))
    for _ in range(chance.randint(1, 8)):
        at = chance.randrange(len(raw) + 1)
        length = chance.choice((0, 1, 1, 4, 30))
        action = chance.randrange(4)
        if action == 0:
            raw[at : at + length] = chance.choice(PIECES)
        elif action == 1:
            del raw[at : at + length]
        elif action == 2:
            raw[at:at] = raw[at : at + length * 10]
        else:
            other = chance.choice(SEEDS)
            start = chance.randrange(len(other))
            raw[at:at] = other[start : start + length * 5]
    return bytes(raw)


def test_two_thousand_mutations() -> None:
    chance = random.Random(20240301)
    for number in range(2_000):
        raw = mutated(chance)
        message = parse_message(raw, authserv_id="mx.x")
        try:
            touch(message)
        except Exception as error:
            raise AssertionError(f"mutation {number} of {raw!r}") from error
        assert message.raw == raw


def corpus() -> Path:
    default = Path(__file__).resolve().parents[3] / "shared" / "corpus"
    return Path(os.environ.get("NORNMAIL_CORPUS") or default)


def test_the_corpus_of_real_mail() -> None:
    files = [path for path in sorted(corpus().rglob("*")) if path.is_file()]
    if not files:
        pytest.skip(f"no corpus of real mail at {corpus()}; NORNMAIL_CORPUS names one")
    for path in files:
        raw = path.read_bytes()
        message = parse_message(raw, authserv_id="mx.x")
        try:
            touch(message)
        except Exception as error:
            raise AssertionError(f"on {path}") from error
        assert message.raw == raw
