"""Ordinary mail: every field says what a person would."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nornmail.errors import MessageGone, NornmailError
from nornmail.message.addresses import Address
from nornmail.message.attachments import Attachment
from nornmail.message.message import Message, parse_message
from nornmail.model import MessageRef
from tests.message.reading import mail, touch
from tests.support.table import table

PLAIN = mail(
    b"Hello,\n\nyes.\n",
    Return_Path=b"<ada@example.org>",
    From=b"Ada <ada@example.org>",
    To=b"Bob <bob@example.com>, team@example.com",
    Cc=b"carol@example.com",
    Reply_To=b"desk@example.org",
    Subject=b"Re: lunch",
    Date=b"Fri, 01 Mar 2024 10:30:00 +0100",
    Message_ID=b"<3@example.org>",
    In_Reply_To=b"<2@example.com>",
    References=b"<1@example.org> <2@example.com>",
)

ALTERNATIVE = b"""\
--a
Content-Type: text/plain; charset=utf-8

plain \xc3\xa9
--a
Content-Type: text/html; charset=iso-8859-1

<p>rich \xe9</p>
--a--
"""
MIXED = (
    b"""\
A preamble that nobody sees.
--m
Content-Type: multipart/alternative; boundary=a

"""
    + ALTERNATIVE
    + b"""
--m
Content-Type: application/pdf; name="a.pdf"
Content-Disposition: attachment; filename="a.pdf"
Content-Transfer-Encoding: base64

JVBERg==
--m
Content-Type: message/rfc822

Subject: theirs

their text
--m--
An epilogue.
"""
)
RELATED = b"""\
--r
Content-Type: text/html

<img src="cid:logo@x">Look
--r
Content-Type: image/png
Content-ID: <logo@x>
Content-Transfer-Encoding: base64

iVBORw==
--r--
"""


def test_a_plain_message() -> None:
    message = parse_message(PLAIN)
    assert message.raw is PLAIN
    assert message.from_ == Address("Ada", "ada@example.org")
    assert message.to == (Address("Bob", "bob@example.com"), Address("", "team@example.com"))
    assert message.cc == (Address("", "carol@example.com"),)
    assert message.reply_to == (Address("", "desk@example.org"),)
    assert message.sender == Address("", "")
    assert message.subject == "Re: lunch"
    assert message.date == datetime(2024, 3, 1, 9, 30, tzinfo=UTC)
    assert message.message_id == "<3@example.org>"
    assert message.in_reply_to == "<2@example.com>"
    assert message.references == ("<1@example.org>", "<2@example.com>")
    assert message.thread_id == "<1@example.org>"
    assert message.text == "Hello,\n\nyes.\n"
    assert message.html == ""
    assert message.attachments == ()
    assert message.recipients == ("bob@example.com", "team@example.com", "carol@example.com")
    assert not message.is_automatic
    assert message.automatic_reason == ""
    assert message.bounce is None
    assert message.defects == ()


@pytest.mark.parametrize("end", [b"\r\n", b"\n", b"\r"], ids=["CRLF", "LF", "CR"])
def test_line_ends_do_not_matter(end: bytes) -> None:
    message = parse_message(PLAIN.replace(b"\r\n", end))
    assert message.text == "Hello,\n\nyes.\n"
    assert message.subject == "Re: lunch"
    assert message.raw == PLAIN.replace(b"\r\n", end)


def test_a_message_typed_in_a_console_is_read_as_utf_8() -> None:
    message = parse_message("Subject: Café\n\nYes: \N{EURO SIGN}1\n")
    assert (message.headers["subject"], message.text) == ("Café", "Yes: \N{EURO SIGN}1\n")
    with pytest.raises(KeyError, match="Cc"):
        message.headers["Cc"]


@pytest.mark.parametrize("value", [None, 5, ["From: x"]])
def test_what_is_no_message_is_refused_in_a_sentence(value: object) -> None:
    with pytest.raises(TypeError, match=r"^parse_message takes the bytes of a message, not \w+$"):
        parse_message(value)  # type: ignore[arg-type]


def test_html_alone_becomes_text() -> None:
    message = parse_message(mail(b"<p>Hi <b>you</b></p>\n", Content_Type=b"text/html"))
    assert message.text == "Hi you"
    assert message.html == "<p>Hi <b>you</b></p>\n"


def test_an_alternative_has_text_and_html() -> None:
    message = parse_message(mail(ALTERNATIVE, Content_Type=b"multipart/alternative; boundary=a"))
    assert message.text == "plain é"
    assert message.html == "<p>rich é</p>"
    assert message.attachments == ()
    assert message.defects == ()


def test_an_empty_plain_part_gives_way_to_the_html() -> None:
    body = ALTERNATIVE.replace(b"plain \xc3\xa9", b" ")
    message = parse_message(mail(body, Content_Type=b"multipart/alternative; boundary=a"))
    assert message.text == "rich é"


def test_a_mixed_message_has_its_attachments() -> None:
    message = parse_message(mail(MIXED, Content_Type=b'multipart/mixed; boundary="m"'))
    assert message.text == "plain é"
    pdf, other = message.attachments
    assert (pdf.filename, pdf.content_type, pdf.content) == ("a.pdf", "application/pdf", b"%PDF")
    assert (pdf.size, pdf.content_id, pdf.is_inline) == (4, "", False)
    assert other.content_type == "message/rfc822"
    assert parse_message(other.content).text == "their text"
    assert message.defects == ()


def test_an_image_of_the_html_is_inline() -> None:
    message = parse_message(mail(RELATED, Content_Type=b"multipart/related; boundary=r"))
    (image,) = message.attachments
    assert (image.content_id, image.is_inline, image.filename) == (
        "logo@x",
        True,
        "attachment.png",
    )
    assert message.text == "Look"


def test_a_footer_in_plain_text_does_not_hide_the_html_before_it() -> None:
    body = b"--m\nContent-Type: text/html\n\n<p>The mail</p>\n--m\n\nThe footer\n--m--\n"
    message = parse_message(mail(body, Content_Type=b"multipart/mixed; boundary=m"))
    assert message.text == "The mail\nThe footer"
    assert message.html == "<p>The mail</p>"


def test_a_message_without_any_header_has_a_body() -> None:
    message = parse_message(b"just text\nand more\n")
    assert message.text == "just text\nand more\n"
    assert message.from_ == Address("", "")
    assert message.to == ()
    assert message.date is None
    assert message.message_id == ""
    assert message.thread_id.startswith("sha256:")


def test_an_empty_message_is_a_message() -> None:
    message = parse_message(b"")
    touch(message)
    assert message.text == ""


@pytest.mark.parametrize(
    ("fields", "thread"),
    [
        pytest.param({"References": b"<a@x> <b@x>", "In_Reply_To": b"<b@x>"}, "<a@x>", id="root"),
        pytest.param({"In_Reply_To": b"<b@x>", "Message_ID": b"<c@x>"}, "<b@x>", id="parent"),
        pytest.param({"Message_ID": b"<c@x>"}, "<c@x>", id="a thread of its own"),
    ],
)
def test_the_thread_is_named_by_its_root(fields: dict[str, bytes], thread: str) -> None:
    assert parse_message(mail(**fields)).thread_id == thread


@table(
    ("fields", "recipients"),
    [
        pytest.param({"To": b"a@x, A@X, b@x", "Cc": b"c@x, a@x"}, ("a@x", "b@x", "c@x"), id="once"),
        pytest.param({"To": b"a@x", "Delivered_To": b"account@x"}, ("a@x",), id="To goes first"),
        pytest.param({"Resent_To": b"r@x", "Delivered_To": b"d@x"}, ("r@x",), id="resent"),
        pytest.param({"To": b"undisclosed:;", "Envelope_To": b"d@x"}, ("d@x",), id="a blind copy"),
        pytest.param({"Delivered_To": b"d@x", "X_Original_To": b"o@x"}, ("d@x", "o@x"), id="both"),
        pytest.param({}, (), id="nobody"),
    ],
)
def test_whom_a_message_is_for(fields: dict[str, bytes], recipients: tuple[str, ...]) -> None:
    assert parse_message(mail(**fields)).recipients == recipients


def test_facts_of_the_delivery_are_kept() -> None:
    ref = MessageRef("INBOX", 7, 42)
    received = datetime(2024, 3, 1, tzinfo=UTC)
    message = parse_message(
        PLAIN,
        ref=ref,
        inbox="bob@example.com",
        delivery_id="d1",
        attempt=2,
        flags=frozenset({"\\Flagged"}),
        received_at=received,
    )
    assert (message.ref, message.inbox, message.delivery_id) == (ref, "bob@example.com", "d1")
    assert (message.attempt, message.received_at) == (2, received)
    assert message.flags == frozenset({"\\Flagged"})
    fields = message.to_dict()
    assert fields["ref"] == {"mailbox": "INBOX", "uid_validity": 7, "uid": 42}
    assert fields["received_at"] == "2024-03-01T00:00:00+00:00"


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])  # noqa: S301
def test_a_message_can_be_copied_and_pickled(clone: object) -> None:
    message = parse_message(mail(MIXED, Content_Type=b"multipart/mixed; boundary=m"), attempt=3)
    assert callable(clone)
    for _ in range(2):  # before anything was read, and after
        other = clone(message)
        assert isinstance(other, Message)
        assert other.to_dict() == message.to_dict()
        assert other.raw == message.raw
        attachment = clone(message.attachments[0])
        assert (attachment.filename, attachment.content) == ("a.pdf", b"%PDF")


def test_a_message_cannot_be_changed() -> None:
    message = parse_message(mail(MIXED, Content_Type=b"multipart/mixed; boundary=m"))
    with pytest.raises(AttributeError, match="cannot be changed: subject"):
        message.subject = "other"
    with pytest.raises(AttributeError, match="cannot be changed: raw"):
        del message.raw
    with pytest.raises(AttributeError, match="cannot be changed: filename"):
        message.attachments[0].filename = "other"


def test_the_rest_of_a_truncated_message_is_fetched() -> None:
    head = PLAIN[: PLAIN.index(b"\r\n\r\n") + 4]
    pieces = [PLAIN[:100], PLAIN[100:]]
    message = parse_message(head, truncated=True, delivery_id="d1", fetch_rest=lambda: pieces)
    whole = message.fetch_rest()
    assert (message.text, whole.text) == ("", "Hello,\n\nyes.\n")
    assert (whole.truncated, whole.delivery_id) == (False, "d1")
    assert whole.fetch_rest() is whole
    at_once = parse_message(head, truncated=True, fetch_rest=lambda: PLAIN)
    assert at_once.fetch_rest().raw == PLAIN


def test_without_a_way_to_the_server_the_rest_is_gone() -> None:
    with pytest.raises(MessageGone, match="not connected to a mailbox"):
        parse_message(b"", truncated=True).fetch_rest()


def test_any_failure_to_fetch_is_an_error_of_the_library(tmp_path: Path) -> None:
    def fails() -> Iterator[bytes]:
        yield b"half of it"
        raise OSError("no route")

    message = parse_message(b"", truncated=True, fetch_rest=fails)
    with pytest.raises(NornmailError, match="no route"):
        message.fetch_rest()
    with pytest.raises(NornmailError, match="no route"):
        message.fetch_rest(to=tmp_path / "rest.eml")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("truncated", [True, False])
def test_the_whole_message_goes_to_a_new_file(tmp_path: Path, truncated: bool) -> None:
    raw = b"" if truncated else PLAIN
    message = parse_message(raw, truncated=truncated, fetch_rest=lambda: [PLAIN[:9], PLAIN[9:]])
    path = message.fetch_rest(to=tmp_path / "whole.eml")
    assert path.read_bytes() == PLAIN
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        message.fetch_rest(to=path)
    assert path.read_bytes() == b"mine"


def attached(name: str) -> Attachment:
    disposition = f'attachment; filename="{name}"'.encode()
    (attachment,) = parse_message(mail(b"new", Content_Disposition=disposition)).attachments
    return attachment


@pytest.mark.parametrize(
    "name",
    [
        "../up.txt",
        "/etc/passwd",
        "..\\..\\up.txt",
        "a/../../b",
        "..",
        "C:up",
        "x" * 300 + ".pdf",
        "",
    ],
)
def test_a_file_is_saved_in_its_directory_and_nowhere_else(tmp_path: Path, name: str) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    paths = [attached(name).save(inner), attached(name).save(str(inner))]
    assert len(set(paths)) == 2
    assert [path.read_bytes() for path in paths] == [b"new", b"new"]
    assert sorted(inner.iterdir()) == sorted(paths)
    assert list(tmp_path.iterdir()) == [inner]


def test_a_file_is_saved_over_no_file_and_through_no_link(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"mine")
    (tmp_path / "a (2).pdf").symlink_to(tmp_path / "a.pdf")
    (tmp_path / "a (3).pdf").symlink_to(tmp_path / "nowhere")
    assert attached("a.pdf").save(tmp_path) == tmp_path / "a (4).pdf"
    assert (tmp_path / "a.pdf").read_bytes() == b"mine"
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(FileNotFoundError):
        attached("a.pdf").save(tmp_path / "no directory")


def test_an_attachment_opens_as_a_file() -> None:
    with attached("a.csv").open() as file:
        assert file.read(2) + file.read() == b"new"


def test_the_standard_library_s_object() -> None:
    assert parse_message(PLAIN).as_email()["Subject"] == "Re: lunch"


def test_what_the_standard_library_cannot_parse_is_an_error_of_the_library(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise IndexError("list index out of range")

    monkeypatch.setattr("email.message_from_bytes", fails)
    with pytest.raises(NornmailError, match="IndexError"):
        parse_message(PLAIN).as_email()


def test_repr_shows_no_body() -> None:
    shown = repr(parse_message(PLAIN, ref=MessageRef("INBOX", 7, 42)))
    assert shown == "<Message INBOX;UIDVALIDITY=7;UID=42 from 'ada@example.org': 'Re: lunch'>"


def test_defects_are_the_same_whatever_was_read_before() -> None:
    raw = mail(b"\xff", To=b"(", Date=b"never", Content_Type=b"text/plain; charset=no-such")
    first, second = parse_message(raw), parse_message(raw)
    assert second.text == "ÿ"
    assert set(first.defects) == set(second.defects)
    assert {"unknown charset 'no-such'", "a Date that cannot be read"} <= set(first.defects)
