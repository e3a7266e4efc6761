"""The digest: the same for the same message however a mailbox stores it, another for another."""

from __future__ import annotations

import pytest

from nornmail.poller.recognition import (
    ADDED_BY_MAILBOXES,
    digest_of,
    header_block,
    header_digest_of,
)
from tests.support.table import table

RAW = b"From: a@b.test\r\nSubject: x\r\n\tfolded\r\nMessage-ID: <1@b>\r\n\r\nbody\r\nmore\r\n"


@table(
    "stored",
    [
        pytest.param(RAW, id="as it was"),
        pytest.param(RAW.replace(b"\r\n", b"\n"), id="with bare line feeds"),
        pytest.param(RAW.replace(b"y\r\n", b"y\n"), id="with one bare line feed"),
        pytest.param(RAW.replace(b"y\r\n", b"y\r"), id="with one bare carriage return"),
        pytest.param(RAW + b"\r\n", id="with a line end more"),
        pytest.param(RAW[:-2], id="with a line end less"),
        *(
            pytest.param(name + b": 1\r\n\tand more\r\n" + RAW, id=f"with {name.decode()} in front")
            for name in ADDED_BY_MAILBOXES
        ),
        pytest.param(
            RAW.replace(b"\r\n\r\n", b"\r\nSTATUS: RO\r\n\r\n", 1),
            id="with a header of the mailbox at the end, in capitals",
        ),
    ],
)
def test_the_same_message_has_the_same_digest(stored: bytes) -> None:
    assert digest_of(stored) == digest_of(RAW)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(RAW.replace(b"x\r\n", b"y\r\n"), id="another subject"),
        pytest.param(RAW.replace(b"folded", b"Folded"), id="another folded line"),
        pytest.param(b"X-Status-Report: 1\r\n" + RAW, id="a header that only begins alike"),
    ],
)
def test_another_header_has_another_digest(other: bytes) -> None:
    assert digest_of(other).header != digest_of(RAW).header


def test_another_body_has_another_body_digest_only() -> None:
    other = digest_of(RAW + b"PS\r\n")
    assert other.header == digest_of(RAW).header
    assert other.body != digest_of(RAW).body


def test_headers_alone_have_no_body_digest() -> None:
    header = header_block(RAW) + b"\r\n\r\n"
    assert digest_of(header, truncated=True).body is None
    assert digest_of(header, truncated=True).header == digest_of(RAW).header
    assert header_digest_of(header) == header_digest_of(RAW) == digest_of(RAW).header


@table(
    ("raw", "block"),
    [
        pytest.param(b"", b"", id="nothing"),
        pytest.param(b"\r\nbody", b"", id="no header, then a body"),
        pytest.param(b"\nbody", b"", id="no header, bare line feed"),
        pytest.param(b"A: 1", b"A: 1", id="no end of header"),
        pytest.param(b"A: 1\r\n\r\nb", b"A: 1", id="CRLF"),
        pytest.param(b"A: 1\n\nb", b"A: 1", id="LF"),
        pytest.param(b"A: 1\r\n\nb", b"A: 1", id="both"),
    ],
)
def test_where_the_header_ends(raw: bytes, block: bytes) -> None:
    assert header_block(raw) == block


def test_it_is_the_digest_that_older_stores_have() -> None:
    assert digest_of(RAW).header == "1:4b12c56550dd7bd503a59c0292cb092eedade3ba"
    assert digest_of(RAW).body == "1:f863403554e2416d788a35dddc4d0d2fbfa2627e"
