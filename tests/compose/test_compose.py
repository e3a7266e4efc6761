"""What is written: the header, the MIME tree, the transfer encodings, and what is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any, cast

import pytest

from nornmail.compose import compose as compose_module
from nornmail.compose.attachments import OutgoingAttachment
from nornmail.compose.compose import Draft, compose
from nornmail.compose.mime import Boundaries, Entity
from nornmail.errors import ComposeError
from nornmail.message.addresses import Address
from nornmail.message.message import parse_message
from nornmail.outgoing import check_line_endings
from tests.outbox.messages import ANN, BOB, NOW, field, types, write
from tests.support.table import table

PNG = b"\x89PNG\r\n\x1a\n\0\0"


def test_a_plain_message_to_the_octet() -> None:
    assert write().raw == (
        b"From: Agent <agent@example.com>\r\n"
        b"To: ann@example.org\r\n"
        b"Subject: Hello\r\n"
        b"Date: Tue, 24 Nov 2026 13:30:00 +0000\r\n"
        b"Message-ID: <letter-1@example.com>\r\n"
        b"MIME-Version: 1.0\r\n"
        b'Content-Type: text/plain; charset="us-ascii"\r\n'
        b"Content-Transfer-Encoding: 7bit\r\n"
        b"\r\n"
        b"Hi.\r\n"
    )


def test_blind_copies_stand_in_the_envelope_alone() -> None:
    made = write(cc=BOB, bcc=["Cat <cat@example.org>", ANN])
    assert made.envelope.recipients == (ANN, BOB, "cat@example.org")
    assert b"cat" not in made.raw.lower()
    assert b"bcc" not in made.raw.lower()


def test_blind_copies_alone_name_nobody() -> None:
    made = write(to=None, bcc=[ANN, BOB])
    assert made.envelope.recipients == (ANN, BOB)
    assert field(made, "to") == "undisclosed-recipients:;"


def test_cc_alone_needs_no_to() -> None:
    made = write(to=None, cc=ANN)
    assert field(made, "to") == ""
    assert made.envelope.recipients == (ANN,)


@table(
    ("text", "charset", "encoding"),
    [
        pytest.param("Hi.\n", "us-ascii", "7bit", id="ASCII in short lines"),
        pytest.param("", "us-ascii", "7bit", id="nothing"),
        pytest.param("-- \nAnn", "us-ascii", "7bit", id="a signature"),
        pytest.param("word " * 40, "us-ascii", "quoted-printable", id="a long line"),
        pytest.param("From here\n", "us-ascii", "quoted-printable", id="what mbox changes"),
        pytest.param("end \n", "us-ascii", "quoted-printable", id="a blank at the end"),
        pytest.param("a\0b", "us-ascii", "quoted-printable", id="a NUL"),
        pytest.param("a\x1bb", "us-ascii", "quoted-printable", id="an escape"),
        pytest.param("--=_x\n", "us-ascii", "quoted-printable", id="what a boundary has"),
        pytest.param("Grüße aus Köln\n", "utf-8", "quoted-printable", id="a few umlauts"),
        pytest.param("Привет, как дела\n", "utf-8", "base64", id="Cyrillic"),
        pytest.param("x" * 5_000, "us-ascii", "quoted-printable", id="a word of 5,000 characters"),
    ],
)
def test_the_charset_and_the_encoding_are_the_simplest_that_do(
    text: str, charset: str, encoding: str
) -> None:
    made = write(text=text)
    assert f'charset="{charset}"' in field(made, "content-type")
    assert field(made, "content-transfer-encoding") == encoding
    assert parse_message(made.raw).text.rstrip("\n") == text.replace("\0", "").rstrip("\n")
    assert check_line_endings(made.raw) == ""


@pytest.mark.parametrize(
    ("text", "read"),
    [
        pytest.param("a\r\nb\rc\nd", "a\nb\nc\nd\n", id="all kinds of line ends"),
        pytest.param("a\ud800b", "a?b\n", id="a lone surrogate"),
        pytest.param("a\u2028b\x85c", "a\u2028b\x85c\n", id="what only some take for a line end"),
    ],
)
def test_text_arrives(text: str, read: str) -> None:
    assert parse_message(write(text=text).raw).text == read


def test_text_and_html_are_alternatives() -> None:
    made = write(html="<p>Hi <b>you</b></p>")
    assert types(made) == ["multipart/alternative", "text/plain", "text/html"]
    read = parse_message(made.raw)
    assert (read.text, read.html) == ("Hi.\n", "<p>Hi <b>you</b></p>\n")


@pytest.mark.parametrize("text", [None, "", " \n"], ids=["none", "empty", "blank"])
def test_html_alone_gets_a_text_made_from_it(text: str | None) -> None:
    made = write(text=text, html='<p>See <a href="https://example.org/x">this</a></p>')
    assert parse_message(made.raw).text.strip() == "See this (https://example.org/x)"
    assert types(made) == ["multipart/alternative", "text/plain", "text/html"]


def test_html_that_shows_no_text_gets_no_empty_alternative() -> None:
    made = write(
        text=None, html='<img src="cid:a">', attachments=[OutgoingAttachment("a.png", PNG, "", "a")]
    )
    assert types(made) == ["multipart/related", "text/html", "image/png"]


ID = "<{}@x.example>".format
CHAINS = [
    pytest.param([], "", "", id="a new thread"),
    pytest.param([ID(1)], ID(1), ID(1), id="an answer to the first"),
    pytest.param([ID(1), ID(2)], ID(3), f"{ID(1)} {ID(2)} {ID(3)}", id="the parent is added"),
    pytest.param([ID(1), ID(3), ID(2)], ID(3), f"{ID(1)} {ID(2)} {ID(3)}",
                 id="the parent goes last"),
    pytest.param([], ID(3), ID(3), id="the parent alone"),
    pytest.param([ID(1), ID(1)], "", ID(1), id="each once"),
]  # fmt: skip


@table(("references", "parent", "expected"), CHAINS)
def test_the_chain_of_references(references: list[str], parent: str, expected: str) -> None:
    made = write(references=references, in_reply_to=parent)
    assert field(made, "references") == expected
    assert field(made, "in-reply-to") == parent
    assert made.thread_id == (expected.partition(" ")[0] or made.message_id)
    assert parse_message(made.raw).thread_id == made.thread_id


def test_a_long_chain_keeps_its_root_and_its_end() -> None:
    ids = [f"<{n:03}.{'x' * 40}@example.org>" for n in range(500)]
    read = parse_message(write(references=ids, in_reply_to=ids[-1]).raw)
    assert read.references[0] == ids[0]
    assert list(read.references[1:]) == ids[-len(read.references) + 1 :]
    assert 900 < len(read.headers.raw("references")) <= 998 - len("References: ")


def test_the_longest_ids_stay_within_a_line() -> None:
    longest = f"<{'a' * 980}@b>"
    made = write(references=[longest], in_reply_to=longest)
    assert parse_message(made.raw).in_reply_to == longest


def test_an_automatic_message_says_so() -> None:
    made = write(auto_submitted="auto-replied")
    assert field(made, "auto-submitted") == "auto-replied"
    assert "NDR" not in field(made, "x-auto-response-suppress")
    assert parse_message(made.raw).is_automatic
    assert not parse_message(write().raw).is_automatic


def test_further_fields_go_out_as_they_are() -> None:
    link = f"<https://example.org/{'u' * 300}>"
    made = write(headers=[("X-Note", "Grüße"), ("List-Unsubscribe", f"{link}, <mailto:a@b.c>")])
    assert field(made, "list-unsubscribe") == f"{link}, <mailto:a@b.c>"
    assert parse_message(made.raw).headers.get("x-note") == "Grüße"


@pytest.mark.parametrize("trap", ["=?utf-8?q?x?=", "=?utf-8?b?eA==?=", "a =?us-ascii?q?x?= b"])
def test_what_looks_like_an_encoded_word_is_read_as_it_was_written(trap: str) -> None:
    made = write(subject=trap, to=Address(trap, ANN), headers={"X-Note": trap})
    read = parse_message(made.raw)
    assert (read.subject, read.to[0].name, read.headers.get("x-note")) == (trap, trap, trap)


def test_a_boundary_stands_in_no_part() -> None:
    first = Boundaries("u").unlike([])
    part = Entity((), (b"--" + first.encode() + b"\r\n",))
    assert Boundaries("u").unlike([Entity((), (b"x",))]) == first
    assert Boundaries("u").unlike([part]) not in (first, "")
    inner = OutgoingAttachment("a.eml", b"A: b\n\n--" + content_boundary().encode() + b"--\n")
    read = parse_message(write(attachments=[inner, OutgoingAttachment("b.txt", b"last")]).raw)
    assert [one.filename for one in read.attachments] == ["a.eml", "b.txt"]


def content_boundary() -> str:
    """The boundary that :func:`write` would take for a message with files."""
    made = write(attachments=[OutgoingAttachment("b.txt", b"last")])
    return field(made, "content-type").partition('"')[2].rstrip('"')


def test_smtputf8_is_asked_for_where_an_address_needs_it() -> None:
    made = write(to=["ünal@bücher.example", ANN])
    assert made.envelope.smtputf8
    assert made.envelope.recipients[0] == "ünal@xn--bcher-kva.example"
    assert parse_message(made.raw).to[0] == Address("", "ünal@xn--bcher-kva.example")
    assert not write(to="Ünal <u@bücher.example>").envelope.smtputf8


REFUSED = [
    pytest.param({"to": None}, "to", id="nobody"),
    pytest.param({"to": [f"a{n}@x.example" for n in range(1_001)]}, "to", id="a thousand and one"),
    pytest.param({"to": 7}, "to", id="a number"),
    pytest.param({"to": b"ann@example.org"}, "to", id="octets"),
    pytest.param({"sender": ""}, "sender", id="no sender"),
    pytest.param({"sender": [ANN, BOB]}, "sender", id="two senders"),
    pytest.param({"reply_to": "x"}, "reply_to", id="no address in reply_to"),
    pytest.param({"subject": "Hi\r\nBcc: x@y.example"}, "subject", id="a CRLF in the subject"),
    pytest.param({"subject": "Hi\u2028there"}, "subject", id="a line separator in the subject"),
    pytest.param({"subject": "Hi\tthere"}, "subject", id="a tab in the subject"),
    pytest.param({"subject": "x" * 2_001}, "subject", id="a subject of thousands of characters"),
    pytest.param({"subject": None}, "subject", id="None as the subject"),
    pytest.param({"text": None}, "text", id="nothing to say"),
    pytest.param({"text": b"octets"}, "text", id="octets as text"),
    pytest.param({"html": 7}, "html", id="a number as HTML"),
    pytest.param({"in_reply_to": "a@b"}, "in_reply_to", id="an id without brackets"),
    pytest.param({"references": ["<a@b>\r\nBcc: <x>"]}, "references", id="a CRLF in an id"),
    pytest.param({"references": ["<=?utf-8?q?=0D=0ABcc:?=@b>"]}, "references",
                 id="an encoded word in an id"),
    pytest.param({"references": ["<ä@b>"]}, "references", id="an id beyond ASCII"),
    pytest.param({"headers": {"Bcc": ANN}}, "headers", id="Bcc"),
    pytest.param({"headers": {"resent-to": ANN}}, "headers", id="Resent-To"),
    pytest.param({"headers": {"FROM": ANN}}, "headers", id="From"),
    pytest.param({"headers": {"Content-Type": "text/html"}}, "headers", id="Content-Type"),
    pytest.param({"headers": {"Return-Path": "<>"}}, "headers", id="Return-Path"),
    pytest.param({"headers": {"X Note": "x"}}, "headers", id="a blank in a name"),
    pytest.param({"headers": {"X:Y": "x"}}, "headers", id="a colon in a name"),
    pytest.param({"headers": {"X\r\nBcc": "x"}}, "headers", id="a CRLF in a name"),
    pytest.param({"headers": {"": "x"}}, "headers", id="no name"),
    pytest.param({"headers": {"X-Note": "a\r\nBcc: x"}}, "headers['X-Note']",
                 id="a CRLF in a value"),
    pytest.param({"headers": {"X-Note": " "}}, "headers", id="an empty value"),
    pytest.param({"headers": {"X-Note": 7}}, "headers['X-Note']", id="a number as a value"),
    pytest.param({"headers": {f"X-{n}": "x" for n in range(101)}}, "headers", id="101 fields"),
    pytest.param({"auto_submitted": "yes"}, "auto_submitted", id="an unknown Auto-Submitted"),
    pytest.param({"attachments": [OutgoingAttachment("", b"")]}, "attachments",
                 id="a file without a name"),
    pytest.param({"attachments": [OutgoingAttachment("a\r\nb", b"")]}, "attachments",
                 id="a CRLF in a name"),
    pytest.param({"attachments": [OutgoingAttachment("é" * 200, b"")]}, "attachments",
                 id="a long file name"),
    pytest.param({"attachments": [OutgoingAttachment("a", cast("bytes", "text"))]}, "attachments",
                 id="text as octets"),
    pytest.param({"attachments": [OutgoingAttachment("a", b"", "pdf")]}, "attachments",
                 id="half a type"),
    pytest.param({"attachments": [OutgoingAttachment("a", b"", "a/b\r\nX: y")]}, "attachments",
                 id="a CRLF in a type"),
    pytest.param({"attachments": [OutgoingAttachment("a", b"", "multipart/mixed")]}, "attachments",
                 id="a multipart as a file"),
    pytest.param({"attachments": [OutgoingAttachment("a", b"", "", "x> <y")], "html": "x"},
                 "attachments",
                 id="a bracket in a Content-ID"),
    pytest.param({"attachments": [OutgoingAttachment("a", b"", "", "x")] * 2, "html": "x"},
                 "attachments",
                 id="one Content-ID twice"),
    pytest.param({"attachments": [OutgoingAttachment("a", b"")] * 501}, "attachments",
                 id="501 files"),
]  # fmt: skip


@table(("values", "named"), REFUSED)
def test_what_cannot_be_written_is_refused(values: dict[str, Any], named: str) -> None:
    with pytest.raises(ComposeError) as caught:
        write(**values)
    assert caught.value.field == named
    assert str(caught.value).isprintable()


@table("unique", ["", "a b", "a@b", "a>b", ".a", "a..b", "ä", "x" * 129])
def test_what_cannot_make_a_message_id_is_refused(unique: str) -> None:
    with pytest.raises(ComposeError, match="unique"):
        compose(Draft(sender=ANN, to=BOB, text="x"), now=NOW, unique=unique)


@pytest.mark.parametrize(
    ("zone", "date"),
    [
        pytest.param(timezone(timedelta(hours=5, minutes=30)), "24 Nov 2026 19:00:00 +0530",
                     id="half an hour"),
        pytest.param(timezone(-timedelta(hours=8)), "24 Nov 2026 05:30:00 -0800", id="west"),
        pytest.param(timezone(timedelta(minutes=53, seconds=28)), "24 Nov 2026 13:30:00 +0000",
                     id="seconds, which a date has not"),
    ],
)  # fmt: skip
def test_the_date_is_in_the_zone_of_the_instant(zone: timezone, date: str) -> None:
    made = compose(Draft(sender=ANN, to=BOB, text="x"), now=NOW.astimezone(zone), unique="a")
    assert field(made, "date") == f"Tue, {date}"


def test_an_instant_needs_a_zone() -> None:
    with pytest.raises(ComposeError, match="time zone"):
        compose(Draft(sender=ANN, to=BOB, text="x"), now=datetime(2026, 1, 1), unique="a")


@table(
    ("change", "field"),
    [
        pytest.param((b"To: ann@", b"To: evil@"), "to", id="another recipient is read"),
        pytest.param((b"From: Agent", b"From: <evil@x.example>, Agent"), "from",
                     id="another sender"),
        pytest.param((b"Subject: ", b"Subject: x\r\nBcc: y@z.example\r\nX: "), "message",
                     id="a field too many"),
        pytest.param((b"Hi.", b"Hi\n.\n"), "message", id="a bare LF"),
        pytest.param((b"Hi.", b"x" * 1_000), "message", id="a line too long"),
    ],
)  # fmt: skip
def test_a_message_that_is_not_read_as_it_was_meant_does_not_go_out(
    change: tuple[bytes, bytes], field: str
) -> None:
    raw = write().raw.replace(*change)
    named = {"from_": [Address("", "agent@example.com")], "to": [Address("", ANN)]}
    fields = write().raw.partition(b"\r\n\r\n")[0].split(b"\r\n")
    compose_module.read_back(write().raw, named | {"cc": [], "reply_to": []}, fields)
    with pytest.raises(ComposeError) as caught:
        compose_module.read_back(raw, named | {"cc": [], "reply_to": []}, fields)
    assert caught.value.field == field


def test_ids_are_never_written_as_encoded_words_however_long_they_are() -> None:
    domain = ".".join(["a" * 60] * 3)
    long_id = f"<{'x' * 300}@{domain}>"
    raw = write(
        sender=f"agent@{domain}", in_reply_to=long_id, references=[long_id, "<b@example.org>"]
    ).raw
    head = raw.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ")
    ids = [
        line
        for line in head.split(b"\r\n")
        if line.lower().startswith((b"message-id:", b"in-reply-to:", b"references:"))
    ]
    assert len(ids) == 3
    assert not any(b"=?" in line for line in ids)
    assert f"In-Reply-To: {long_id}".encode() in ids
