"""Arguments as octets: nothing that a name or a password holds becomes a command."""

from __future__ import annotations

import pytest

from nornmail.errors import ConfigurationError
from nornmail.imap.arguments import (
    COMMAND_LINE,
    decode_mailbox,
    encode_mailbox,
    flag_list,
    mailbox_argument,
    quote,
    uid_chunks,
)
from nornmail.uidset import UidSet
from tests.support.table import table


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("My Box", b'"My Box"', id="a blank"),
        pytest.param("", b'""', id="nothing"),
        pytest.param('a"b\\c', b'"a\\"b\\\\c"', id="a quote and a backslash are escaped"),
        pytest.param("a) {3}*%", b'"a) {3}*%"', id="syntax loses its meaning"),
    ],
)
def test_a_string_is_quoted(text: str, expected: bytes) -> None:
    assert quote(text, name="x") == expected


@table(
    "text",
    [
        pytest.param("a\r\nX1 DELETE INBOX", id="a second command"),
        pytest.param("a\nb", id="a bare LF"),
        pytest.param("a\rb", id="a bare CR"),
        pytest.param("a\0b", id="a NUL"),
        pytest.param("é", id="what is not ASCII"),
    ],
)
def test_what_cannot_be_quoted_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="x is"):
        quote(text, name="x")


def test_the_refusal_of_a_secret_does_not_show_it() -> None:
    with pytest.raises(ConfigurationError) as caught:
        quote("hunter\n2", name="IMAP_PASSWORD", secret=True)
    assert "hunter" not in str(caught.value) + repr(vars(caught.value))


MAILBOXES = [
    pytest.param("INBOX", b"INBOX", id="ASCII stays"),
    pytest.param("A & B", b"A &- B", id="an ampersand"),
    pytest.param("Entwürfe", b"Entw&APw-rfe", id="an umlaut"),
    pytest.param("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-", id="RFC 3501"),
    pytest.param("a😀b", b"a&2D3eAA-b", id="a character beyond 16 bits"),
    pytest.param("a\tb", b"a&AAk-b", id="a tab"),
    pytest.param("&", b"&-", id="an ampersand alone"),
    pytest.param("ü&ü", b"&APw-&-&APw-", id="runs beside an ampersand"),
]


@table(("name", "raw"), MAILBOXES)
def test_a_mailbox_name_is_modified_utf7(name: str, raw: bytes) -> None:
    assert encode_mailbox(name).encode("ascii") == raw
    assert decode_mailbox(raw) == name


@table(
    ("raw", "expected"),
    [
        pytest.param("Entwürfe".encode(), "Entwürfe", id="UTF-8 as it is"),
        pytest.param(b"A & B", "A & B", id="an ampersand that begins nothing"),
        pytest.param(b"&AA-", "&AA-", id="half a character"),
        pytest.param(b"&2D0-", "&2D0-", id="half a pair"),
        pytest.param(b"a\xff", "a\udcff", id="an octet that is nothing"),
    ],
)
def test_a_name_that_is_no_utf7_is_not_lost(raw: bytes, expected: str) -> None:
    assert decode_mailbox(raw) == expected


def test_a_mailbox_is_always_quoted() -> None:
    assert mailbox_argument('My "Box" ü') == b'"My \\"Box\\" &APw-"'


@pytest.mark.parametrize("name", ["", "a\r\nb", "a\0"], ids=["nothing", "CRLF", "NUL"])
def test_a_name_that_no_mailbox_has_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError):
        mailbox_argument(name)


def test_flags_are_a_list_in_a_fixed_order() -> None:
    assert flag_list(frozenset({"\\Seen", "$Done", "\\Deleted"})) == b"($Done \\Deleted \\Seen)"


@table("flag", ["", "a b", "a)", "\\", 'a"', "a\r\n", "ü", "a\\b"])
def test_what_is_no_flag_is_refused(flag: str) -> None:
    with pytest.raises(ConfigurationError):
        flag_list(frozenset({flag}))


@table(
    ("uids", "count"),
    [
        pytest.param(UidSet([(1, 3)]), 100, id="one small range"),
        pytest.param(UidSet([(1, 100_000)]), 10_000, id="a wide range"),
        pytest.param(UidSet.of(range(1, 20_000, 2)), 10_000, id="every other UID"),
        pytest.param(UidSet.of(range(4_000_000_001, 4_000_009_001, 3)), 1_000, id="ten digits"),
        pytest.param(UidSet([(1, 250), (300, 300), (400, 1000)]), 100, id="ranges cut by number"),
        pytest.param(UidSet(), 100, id="nothing"),
    ],
)
def test_chunks_are_small_enough_and_lose_nothing(uids: UidSet, count: int) -> None:
    parts = list(uid_chunks(uids, rest=100, count=count))
    together = UidSet([ranges for part in parts for ranges in part.ranges])
    assert together == uids
    assert sum(map(len, parts)) == len(uids)
    assert all(0 < len(part) <= count for part in parts)
    assert all(len(str(part)) + 100 < COMMAND_LINE for part in parts)
    assert [part.highest for part in parts] == sorted(part.highest for part in parts)


def test_few_uids_are_one_command() -> None:
    assert len(list(uid_chunks(UidSet.of(range(1, 2000, 2)), rest=100, count=10_000))) == 1
