"""ENVELOPE, BODYSTRUCTURE and sections of odd messages; tests/interop asks Dovecot the same."""

from __future__ import annotations

import random

import pytest

from nornmail.testing.imap.fetch import parse_section, render_envelope, render_structure, section_of
from nornmail.testing.imap.grammar import BadSyntax, Cursor
from nornmail.testing.imap.mime_parts import MAX_DEPTH, MAX_PARTS, Part, parse_parts
from tests.support.table import table
from tests.testing.odd_addresses import ADDRESSES
from tests.testing.odd_letters import CONTENT_TYPES, FIELDS, TREES

NOBODY = b" NIL NIL NIL "


def section(raw: bytes, text: bytes) -> bytes:
    return section_of(parse_parts(raw), parse_section(Cursor([text + b"]"])))


@table("case", ADDRESSES)
def test_addresses(case: str) -> None:
    value, told = ADDRESSES[case]
    envelope = render_envelope(parse_parts(b"To: " + value + b"\r\n\r\n"))
    assert envelope == b"(NIL NIL NIL NIL NIL " + told + b" NIL NIL NIL NIL)"


@table("case", CONTENT_TYPES)
def test_content_types(case: str) -> None:
    value, told = CONTENT_TYPES[case]
    raw = b"Content-Type: " + value + b"\r\n\r\nhello\r\n"
    assert render_structure(parse_parts(raw), extended=False) == told


@table("case", FIELDS)
def test_fields_of_a_part(case: str) -> None:
    field, told = FIELDS[case]
    raw = b"Content-Type: image/png\r\n" + field + b"\r\n\r\nhello\r\n"
    assert render_structure(parse_parts(raw), extended=True) == told


@table("case", TREES)
def test_trees_of_parts(case: str) -> None:
    raw, told = TREES[case]
    assert render_structure(parse_parts(raw), extended=False) == told


@pytest.mark.parametrize(
    ("header", "told"),
    [
        pytest.param(
            b"Date: x\r\nDate: y\r\nSubject:  a\r\n  b\t\r\n"
            b"Message-ID:  <1> \r\nIn-Reply-To: <2>\r\n",
            b'("y" "a b" NIL NIL NIL NIL NIL NIL "<2>" "<1> ")',
            id="the last of two, blanks of the subject made one",
        ),
        pytest.param(
            b"From: a@b\r\nFrom: c@d\r\nReply-To: \r\n",
            b'(NIL NIL ((NIL NIL "a" "b")(NIL NIL "c" "d")) ((NIL NIL "a" "b")(NIL NIL "c" "d"))'
            b' ((NIL NIL "a" "b")(NIL NIL "c" "d")) NIL NIL NIL NIL NIL)',
            id="From twice, and in place of Sender and Reply-To",
        ),
        pytest.param(
            b"Subject: \xc3\xbc \x00\r\n",
            b"(NIL {6}\r\n\xc3\xbc \xef\xbf\xbd NIL NIL NIL NIL NIL NIL NIL NIL)",
            id="octets make a literal, NUL is replaced",
        ),
        pytest.param(
            b" folded: before\r\nno colon\r\n: no name\r\nSubject : x\r\n",
            b'(NIL "x" NIL NIL NIL NIL NIL NIL NIL NIL)',
            id="lines that are no fields",
        ),
    ],
)
def test_envelopes(header: bytes, told: bytes) -> None:
    assert render_envelope(parse_parts(header + b"\r\n")) == told


NESTED = (
    b"Subject: out\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\npreamble\r\n"
    b"--x\r\nContent-Type: text/html\r\n\r\none\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\n"
    b"Subject: in\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n"
    b"--y\r\n\r\ntwo\r\n--y--\r\n\r\n"
    b"--x\r\nContent-Type: message/rfc822\r\n\r\nSubject: plain\r\nTo: a\r\n\r\nthree\r\n--x--\r\n"
)


@table(
    ("name", "octets"),
    [
        (b"1", b"one"),
        (b"1.MIME", b"Content-Type: text/html\r\n\r\n"),
        (b"1.HEADER", b""),
        (b"1.TEXT", b""),
        (b"2.HEADER", b"Subject: in\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n"),
        (b"2.MIME", b"Content-Type: message/rfc822\r\n\r\n"),
        (b"2.TEXT", b"--y\r\n\r\ntwo\r\n--y--\r\n"),
        (b"2.1", b"two"),
        (b"2.1.MIME", b"\r\n"),
        (b"2.HEADER.FIELDS (SUBJECT)", b"Subject: in\r\n\r\n"),
        (b"2.HEADER.FIELDS.NOT (subject)", b"Content-Type: multipart/mixed; boundary=y\r\n\r\n"),
        (b"3", b"Subject: plain\r\nTo: a\r\n\r\nthree"),
        (b"3.1", b"three"),
        (b"3.1.MIME", b"Subject: plain\r\nTo: a\r\n\r\n"),
        (b"3.1.1", b""),
        (b"4", b""),
        (b"2.2", b""),
        (b"2.1.7", b""),
        (b"HEADER.FIELDS (Subject)", b"Subject: out\r\n\r\n"),
        (b"999999999", b""),
    ],
    ids=lambda value: value.decode("latin-1") if len(value) < 32 else "its octets",
)
def test_sections(name: bytes, octets: bytes) -> None:
    assert section(NESTED, name) == octets


def test_a_message_that_is_no_multipart_has_one_part() -> None:
    raw = b"Subject: x\r\n\r\nbody\r\n"
    assert section(raw, b"1") == section(raw, b"TEXT") == b"body\r\n"
    assert section(raw, b"1.MIME") == section(raw, b"HEADER") == b"Subject: x\r\n\r\n"
    assert section(raw, b"2") == section(raw, b"1.1") == b""


@table(
    "name", [b"MIME", b"1.", b"0", b"1.0", b"01", b"1..2", b"HEADER.FIELDS ()", b"BODY", b"1.FLAGS"]
)
def test_what_is_no_section(name: bytes) -> None:
    with pytest.raises(BadSyntax):
        parse_section(Cursor([name + b"]"]))


# Whatever it is, it is told.


def depth(part: Part) -> int:
    return 1 + max((depth(child) for child in part.children), default=0)


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(b"Content-Type: message/rfc822\r\n\r\n", id="messages"),
        pytest.param(
            b"Content-Type: multipart/mixed; boundary=a%d\r\n\r\n--a%d\r\n", id="multiparts"
        ),
    ],
)
def test_parts_are_not_followed_without_end(one: bytes) -> None:
    raw = b"".join(one.replace(b"%d", b"%d" % number) for number in range(1000))
    part = parse_parts(raw)
    assert depth(part) == MAX_DEPTH + 1
    assert b'"application" "octet-stream"' in render_structure(part, extended=True)


def test_parts_are_not_counted_without_end() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + b"--x\r\n\r\n" * (MAX_PARTS + 1000)
    assert len(parse_parts(raw).children) == MAX_PARTS - 1


@pytest.mark.parametrize(
    "rounds", [400, pytest.param(1_000, marks=pytest.mark.long)], ids=["some", "many"]
)
def test_mutilated_letters_are_told_all_the_same(rounds: int) -> None:
    rng = random.Random(11)
    seeds = [raw for raw, _ in TREES.values()] + [NESTED]
    seeds += [b"To: " + value + b"\r\n\r\n" for value, _ in ADDRESSES.values()]
    seeds += [b"Content-Type: " + value + b"\r\n\r\n" for value, _ in CONTENT_TYPES.values()]
    for _ in range(rounds):
        raw = bytearray(rng.choice(seeds))
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(raw) + 1)
            raw[at : at + rng.randrange(4)] = rng.choice(
                (
                    b"",
                    b"\r\n",
                    b"(",
                    b'"',
                    b"\\",
                    b"--x",
                    b";",
                    b"\x00",
                    b"\xff",
                    b"\n\n",
                    b":",
                    b"<",
                )
            )
        part = parse_parts(bytes(raw))
        for rendered in (render_envelope(part), render_structure(part, extended=True)):
            assert rendered.startswith(b"(")
            assert rendered.endswith(b")")
        for name in (b"1", b"1.1.MIME", b"2.HEADER", b"TEXT"):
            assert section(bytes(raw), name) in bytes(raw)
