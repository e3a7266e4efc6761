"""What is written is read back: by ``parse_message`` and by the standard library, each field."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from email import message_from_bytes
from email.headerregistry import AddressHeader
from email.message import EmailMessage
from email.policy import default

import pytest

from nornmail.compose.addresses import to_addresses
from nornmail.compose.attachments import OutgoingAttachment
from nornmail.compose.compose import Composed, Draft, compose
from nornmail.html.document import html_to_text
from nornmail.message.addresses import Address, canonical
from nornmail.message.message import parse_message
from nornmail.outgoing import check_line_endings
from tests.compose.drafts import draft
from tests.outbox.messages import NOW
from tests.support.table import table

SAMPLE = 10
"""Seeds of the default run."""
ALL_SEEDS = 3_000


def text_lines(text: str) -> str:
    """Text with one kind of line end, and without those at its end."""
    return re.sub(r"\r\n|\r", "\n", text).rstrip("\n")


def meant(given: Draft, name: str) -> list[Address]:
    return list(to_addresses(getattr(given, name), name))


def squeezed(name: str) -> str:
    """A name without its blanks: Python reads one between two encoded words of a name."""
    return "".join(name.split())


def plain_text(given: Draft) -> str:
    """What a reader of plain text sees."""
    text = given.text or ""
    return text_lines(text if text.strip() or not given.html else html_to_text(given.html))


def sent_octets(one: OutgoingAttachment) -> bytes:
    """An attached message that goes as one has the line ends of the wire; a file is as it is."""
    lines = re.sub(rb"\r\n|\r|\n", b"\r\n", one.content)
    lines = lines if lines.endswith(b"\r\n") else lines + b"\r\n"
    is_message = one.filename.endswith(".eml") and lines.isascii() and not check_line_endings(lines)
    return lines if is_message else one.content


def check_with_parse_message(given: Draft, made: Composed) -> None:
    read = parse_message(made.raw)
    # Drafts at random have HTML that says something else than their text, and in comments.
    defects = {one for one in read.defects if not one.startswith("hidden text left out: ")}
    assert defects <= {"a plain part that does not say what its HTML shows"}
    assert [read.from_] == meant(given, "sender")
    assert list(read.to) == meant(given, "to")
    assert list(read.cc) == meant(given, "cc")
    assert list(read.reply_to) == meant(given, "reply_to")
    assert read.message_id == made.message_id
    assert read.in_reply_to == given.in_reply_to
    assert read.date == NOW
    assert text_lines(read.plain_text) == plain_text(given)
    assert text_lines(read.html) == text_lines(given.html or "")
    assert dict(given.headers).get("X-Note") == read.headers.get("x-note")
    files = [one for one in given.attachments if not is_image(given, one)]
    images = [one for one in given.attachments if is_image(given, one)]
    expected = [(sent_octets(one), one.content_id) for one in (*images, *files)]
    assert [(one.content, one.content_id) for one in read.attachments] == expected
    assert [one.is_inline for one in read.attachments] == [
        *(True for _ in images), *(False for _ in files)
    ]  # fmt: skip
    assert read.subject == given.subject


def is_image(given: Draft, one: OutgoingAttachment) -> bool:
    return bool(one.content_id and given.html)


def check_with_the_standard_library(given: Draft, made: Composed) -> None:
    read = message_from_bytes(made.raw, policy=default)
    assert isinstance(read, EmailMessage)
    for field, name in (("From", "sender"), ("To", "to"), ("Cc", "cc"), ("Reply-To", "reply_to")):
        expected = meant(given, name)
        header = read[field]
        assert (header is None) == (not expected)
        if header is None:
            continue
        assert isinstance(header, AddressHeader)
        found = [(squeezed(one.display_name), canonical(one.addr_spec)) for one in header.addresses]
        assert found == [(squeezed(one.name), canonical(one.address)) for one in expected]
    assert (read["Subject"] or "") == given.subject
    assert read["Message-ID"] == made.message_id
    assert (read["In-Reply-To"] or "").strip() == given.in_reply_to
    assert read["Date"].datetime == NOW
    plain = read.get_body(("plain",))
    assert (text_lines(plain.get_content()) if plain else "") == plain_text(given)
    attached = list(leaves(read))
    assert sorted(one.get_filename() or "" for one in attached) == sorted(
        one.filename for one in given.attachments
    )
    files = {one.filename: one.content for one in given.attachments}
    for one in attached:
        if one.get_content_type() != "message/rfc822":
            assert payload(one) == files[one.get_filename() or ""]


def leaves(read: EmailMessage) -> Iterator[EmailMessage]:
    """What has a file name; an attached message is not looked into."""
    for part in read.walk():
        if part.get_filename() is not None:
            assert isinstance(part, EmailMessage)
            yield part


def payload(part: EmailMessage) -> bytes:
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    return content


def check(seed: int) -> None:
    given = draft(seed)
    made = compose(given, now=NOW, unique=f"seed-{seed}")
    assert check_line_endings(made.raw) == ""
    assert made.raw.isascii()
    assert compose(given, now=NOW, unique=f"seed-{seed}") == made
    everyone = [*meant(given, "to"), *meant(given, "cc"), *meant(given, "bcc")]
    assert list(made.envelope.recipients) == [one.address for one in to_addresses(everyone, "to")]
    check_with_parse_message(given, made)
    check_with_the_standard_library(given, made)


@table("seed", random.Random(1).sample(range(ALL_SEEDS), SAMPLE))
def test_a_random_draft_is_read_back_as_it_was_meant(seed: int) -> None:
    check(seed)


@pytest.mark.long
def test_every_random_draft_is_read_back_as_it_was_meant() -> None:
    for seed in range(ALL_SEEDS):
        check(seed)
