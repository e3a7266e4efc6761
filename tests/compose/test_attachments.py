"""Files and images that are sent along."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from nornmail.compose.attachments import OutgoingAttachment, read_attachments
from nornmail.errors import ComposeError
from nornmail.message.message import parse_message
from tests.outbox.messages import types, write
from tests.support.table import table

PNG = b"\x89PNG\r\n\x1a\n\0\0"


def test_images_stand_beside_the_html_and_files_outside() -> None:
    made = write(
        html='<img src="cid:logo">',
        attachments=[
            OutgoingAttachment("report.pdf", b"%PDF"),
            OutgoingAttachment("logo.png", PNG, content_id="logo"),
            OutgoingAttachment("data", b"\0", "application/x-thing; version=2"),
        ],
    )
    assert types(made) == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html",
        "image/png", "application/pdf", "application/x-thing",
    ]  # fmt: skip
    read = parse_message(made.raw).attachments
    assert [(one.filename, one.content, one.content_id, one.is_inline) for one in read] == [
        ("logo.png", PNG, "logo", True),
        ("report.pdf", b"%PDF", "", False),
        ("data", b"\0", "", False),
    ]


def test_an_image_without_html_is_a_file() -> None:
    made = write(attachments=[OutgoingAttachment("a.png", PNG, content_id="a")])
    assert types(made) == ["multipart/mixed", "text/plain", "image/png"]


@table(
    ("filename", "content", "content_type"),
    [
        pytest.param("a.pdf", b"x", "application/pdf", id="PDF"),
        pytest.param("A.PNG", b"x", "image/png", id="capitals"),
        pytest.param("a.tar.gz", b"x", "application/gzip", id="two extensions"),
        pytest.param("a.docx", b"x",
                     "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
                     id="an office document"),
        pytest.param("a", b"x", "application/octet-stream", id="none"),
        pytest.param("a.txt", b"x", 'text/plain; charset="us-ascii"', id="a text in ASCII"),
        pytest.param("a.csv", "é".encode(), 'text/csv; charset="utf-8"', id="a text in UTF-8"),
        pytest.param("a.txt", b"\xff", "text/plain", id="a text in who knows what"),
        pytest.param("a.eml", b"From: a\n\nb\n", "message/rfc822", id="a message"),
        pytest.param("a.eml", b"From: a\n\n\xff\n", "application/octet-stream",
                     id="a message that cannot go as one"),
    ],
)  # fmt: skip
def test_the_type_is_guessed_from_the_name(
    filename: str, content: bytes, content_type: str
) -> None:
    made = write(attachments=[OutgoingAttachment(filename, content)])
    last = made.raw.rpartition(b"Content-Type: ")[2].partition(b"\r\nContent-Transfer")[0]
    assert last.decode().replace("\r\n", "") == content_type


def test_files_are_read_from_wherever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "größe.txt"
    path.write_bytes(b"a\nb")
    came = parse_message(write(attachments=[OutgoingAttachment("x.bin", b"\1", "image/gif")]).raw)
    read = read_attachments(
        [path, str(path), ("n.bin", b"\0"), OutgoingAttachment("e", b""), *came.attachments]
    )
    assert [(one.filename, one.content, one.content_type) for one in read] == [
        ("größe.txt", b"a\nb", ""),
        ("größe.txt", b"a\nb", ""),
        ("n.bin", b"\0", ""),
        ("e", b"", ""),
        ("x.bin", b"\1", "image/gif"),
    ]


def test_a_single_file_needs_no_list(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"a")
    for one in (
        path,
        str(path),
        ("a.txt", b"a"),
        ("a.txt", memoryview(b"a")),
        OutgoingAttachment("a.txt", b"a"),
    ):
        (read,) = read_attachments(one)
        assert (read.filename, read.content) == ("a.txt", b"a")


@table(
    "source",
    [
        pytest.param("/nowhere/at/all.pdf", id="a file that is not there"),
        pytest.param(os.devnull, id="a device"),
        pytest.param(os.path.dirname(__file__), id="a directory"),
        pytest.param("a\0b", id="a path with a NUL"),
        pytest.param(7, id="a number"),
        pytest.param(b"octets", id="octets without a name"),
        pytest.param(("a", "text"), id="text as octets"),
        pytest.param(("a", b"", "text/plain"), id="three things"),
    ],
)
def test_what_cannot_be_attached(source: Any) -> None:
    with pytest.raises(ComposeError, match="attachments"):
        read_attachments([source])


def test_a_file_over_the_limit_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nornmail.compose.attachments.MAX_FILE_OCTETS", 3)
    path = tmp_path / "a.bin"
    path.write_bytes(b"abc")
    assert read_attachments(path)[0].content == b"abc"
    path.write_bytes(b"abcd")
    with pytest.raises(ComposeError, match="more than 3"):
        read_attachments(path)
