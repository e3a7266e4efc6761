"""Forwarding: the whole message goes as message/rfc822, and no loop comes of it."""

from __future__ import annotations

import pytest

from nornmail import Message, RecipientNotAllowed, ReplyRefused, parse_message
from tests.outbox.fake import World, world
from tests.support.table import table

TO = "kim@example.com"


def mail(head: str = "", body: bytes = b"hello\r\n", sender: str = "ann@example.org") -> Message:
    lines = f"From: Ann <{sender}>\r\nTo: agent@example.com\r\nMessage-ID: <q@x.example>\r\n{head}"
    if "Subject" not in head:
        lines += "Subject: Plans\r\n"
    return parse_message(lines.encode() + b"\r\n" + body, delivery_id="d1")


def forwarded(one: World) -> Message:
    one.mailer.flush()
    ((_, raw),) = one.server.taken
    return parse_message(raw)


def test_the_whole_message_is_attached_unchanged_in_its_thread() -> None:
    one = world()
    message = mail("References: <p@x.example>\r\n")
    assert one.mailer.forward(message, TO, "For you?").key == "d1/forward"
    assert one.mailer.forward(message, TO, "Again.").key == "d1/forward"
    got = forwarded(one)
    assert (got.subject, got.text.strip()) == ("Fwd: Plans", "For you?")
    assert got.references == ("<p@x.example>", "<q@x.example>")
    assert got.headers.raw("auto-submitted").strip() == "auto-generated"
    (attached,) = got.attachments
    assert (attached.content_type, attached.content) == ("message/rfc822", message.raw)


@pytest.mark.parametrize(
    ("body", "head", "text"),
    [
        pytest.param("Grüße\r\n".encode(), "Content-Type: text/plain; charset=utf-8\r\n"
                     "Content-Transfer-Encoding: 8bit\r\n", "Grüße", id="8-bit text"),
        pytest.param("Grüße\r\n".encode("latin-1"),
                     "Content-Type: text/plain; charset=iso-8859-1\r\n", "Grüße", id="Latin 1"),
        pytest.param(b"a\nb\n", "", "a\nb", id="bare line feeds"),
    ],
)  # fmt: skip
def test_what_cannot_stand_in_a_mail_is_encoded_within(body: bytes, head: str, text: str) -> None:
    one = world()
    one.mailer.forward(mail(head, body), TO)
    (attached,) = forwarded(one).attachments
    assert attached.content_type == "message/rfc822"
    assert parse_message(attached.content).text.strip() == text


def test_what_the_standard_library_cannot_encode_goes_as_a_file() -> None:
    one = world()
    message = mail(body=b"x" * 2_000 + b"\r\n")
    one.mailer.forward(message, TO)
    (attached,) = forwarded(one).attachments
    assert (attached.content_type, attached.filename) == ("application/octet-stream", "message.eml")
    assert attached.content == message.raw


@table(
    ("subject", "expected"),
    [
        ("Plans", "Fwd: Plans"),
        ("Re: Plans", "Fwd: Plans"),
        ("Fwd: Plans", "Fwd: Plans"),
        ("WG: Plans", "WG: Plans"),
        ("", "Fwd:"),
    ],
)
def test_the_subject_has_one_mark(subject: str, expected: str) -> None:
    one = world()
    one.mailer.forward(mail(f"Subject: {subject}\r\n"), TO)
    assert forwarded(one).subject == expected


@table(
    ("message", "to", "kind"),
    [
        pytest.param(mail("Auto-Submitted: auto-replied\r\n"), TO, "auto-reply", id="a vacation"),
        pytest.param(mail("Auto-Submitted: auto-generated\r\n"), TO, "auto-generated",
                     id="a forward of ours that comes back"),
        pytest.param(mail("Return-Path: <>\r\n"), TO, "report", id="a bounce"),
        pytest.param(mail(), "agent@example.com", "self", id="to ourselves"),
        pytest.param(mail(), "Agent+x@example.com", "self", id="to a tag of ours"),
    ],
)  # fmt: skip
def test_what_may_be_a_loop_is_refused(message: Message, to: str, kind: str) -> None:
    one = world()
    with pytest.raises(ReplyRefused) as raised:
        one.mailer.forward(message, to)
    assert [refusal.kind for refusal in raised.value.refusals] == [kind]
    assert one.mailer.forward(message, to, allow={kind}).state == "queued"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(mail("List-Id: <news.example.org>\r\n"), id="a newsletter"),
        pytest.param(mail("Precedence: bulk\r\n"), id="bulk mail"),
        pytest.param(mail(sender="noreply@example.org"), id="a sender that reads nothing"),
    ],
)
def test_what_is_not_to_be_answered_may_be_forwarded(message: Message) -> None:
    assert world().mailer.forward(message, TO).state == "queued"


def test_two_mailboxes_that_forward_to_each_other_stop() -> None:
    one = world()
    for number in range(10):
        one.mailer.forward(mail(), TO, approved=True, key=str(number))
    with pytest.raises(ReplyRefused, match="10 answers within an hour"):
        one.mailer.forward(mail(), TO, approved=True, key="10")


def test_a_message_that_we_sent_is_not_forwarded() -> None:
    one = world()
    one.mailer.send("ann@example.org", "s", "t", key="k")
    one.mailer.flush()
    with pytest.raises(ReplyRefused, match="we sent it ourselves"):
        one.mailer.forward(parse_message(one.server.taken[0][1]), TO)


def test_the_fence_holds_for_every_recipient_of_a_forward() -> None:
    one = world(allowed_recipients=["@example.com"])
    for field in ("cc", "bcc"):
        with pytest.raises(RecipientNotAllowed, match="eve@"):
            one.mailer.forward(mail(), TO, **{field: "eve@evil.example"})  # type: ignore[arg-type]
    one.mailer.forward(mail(), TO)


@table(
    ("sender", "reply_to", "to", "refused"),
    [
        ("noreply@example.org", "", "author", True),
        ("noreply@example.org", "ann@example.org", "author", True),
        ("noreply@example.org", "ann@example.org", "reply-to", False),
        ("ann@example.org", "noreply@example.org", "author", False),
        ("ann@example.org", "noreply@example.org", "reply-to", True),
    ],
)
def test_whether_mail_is_read_is_asked_of_the_address_that_is_answered(
    sender: str, reply_to: str, to: str, refused: bool
) -> None:
    one = world()
    message = mail(f"Reply-To: {reply_to}\r\n" if reply_to else "", sender=sender)
    if refused:
        with pytest.raises(ReplyRefused, match="noreply"):
            one.mailer.reply(message, "t", to=to)  # type: ignore[arg-type]
    else:
        one.mailer.reply(message, "t", to=to)  # type: ignore[arg-type]
        one.mailer.flush()
        assert one.server.addresses() == ["ann@example.org"]
