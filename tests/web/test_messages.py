"""Mail that is sent over HTTP: checked, durable, and in the right thread."""

from __future__ import annotations

import base64
import json
import random
import tracemalloc
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from nornmail import Mailer, Message, SmtpSettings, SqliteStateStore, parse_message
from nornmail.compose.compose import MAX_ATTACHMENTS
from nornmail.outgoing import QueuedMessage, QueueState
from nornmail.web import WsgiApplication, application
from tests.web.support import ACCOUNT, Reply, World, call

PDF = b"%PDF-1.4 \x00\xff"


class Desk:
    """The application with a mailer that nobody drains, so that what is queued can be seen."""

    def __init__(self, world: World) -> None:
        settings = SmtpSettings(host="smtp.example.com", username=ACCOUNT, password="x")
        self.mailer = Mailer(settings, world.store)
        self.world = world
        self.app: WsgiApplication = world.with_mailer(self.mailer)
        self.inbox = world.create("support", "Support")
        self.id = self.inbox.body["id"]

    def send(self, *, headers: dict[str, str] | None = None, **data: Any) -> Reply:
        body = {"inbox_id": self.id, "to": "kim@example.org", "subject": "hi", "body": "Hello."}
        given = {name: value for name, value in (body | data).items() if value is not None}
        return call(self.app, "POST", "/v1/messages", given, headers=headers)

    @property
    def letters(self) -> list[QueuedMessage]:
        return self.world.store.queued_messages(self.mailer.outbox, set(QueueState))

    @property
    def sent(self) -> Message:
        (letter,) = self.letters
        raw = self.world.store.message_bytes(letter.outbox, letter.key)
        assert raw is not None
        return parse_message(raw)


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world)


def test_a_message_is_accepted_and_durable(desk: Desk) -> None:
    reply = desk.send()
    assert reply.status == 202
    sent = desk.sent
    assert reply.body == {
        "message_id": sent.message_id,
        "id": desk.letters[0].key,
        "status": "queued",
    }
    assert (sent.from_.name, sent.from_.address) == ("Support", "support@example.com")
    assert [one.address for one in sent.to] == ["kim@example.org"]
    assert (sent.subject, sent.text.strip()) == ("hi", "Hello.")


def test_copies_html_and_files(desk: Desk) -> None:
    content = base64.b64encode(PDF).decode()
    reply = desk.send(
        to=["Kim <kim@example.org>", "lee@example.org"],
        cc="mo@example.org",
        bcc=["secret@example.org"],
        html="<p>Hello, <b>all</b>.</p>",
        attachments=[{"filename": "a.pdf", "content": f"{content[:8]}\n{content[8:]}"}],
    )
    assert reply.status == 202
    (letter,) = desk.letters
    assert [one.address for one in letter.recipients] == [
        *("kim@example.org", "lee@example.org", "mo@example.org", "secret@example.org"),
    ]
    sent = desk.sent
    assert "<b>all</b>" in sent.html
    assert b"secret" not in sent.raw
    (file,) = sent.attachments
    assert (file.filename, file.content_type, file.content) == ("a.pdf", "application/pdf", PDF)


def test_html_alone_will_do(desk: Desk) -> None:
    assert desk.send(body=None, html="<p>Hello, all.</p>").status == 202
    assert "Hello, all." in desk.sent.text


def test_an_answer_goes_into_the_thread_of_what_it_answers(desk: Desk) -> None:
    desk.world.deliver(
        "support@example.com",
        Message_ID="<third@example.org>",
        References="<first@example.org> <second@example.org>",
    )
    assert desk.send(reply_to_message_id="<third@example.org>").status == 202
    sent = desk.sent
    assert sent.in_reply_to == "<third@example.org>"
    assert sent.references == (
        *("<first@example.org>", "<second@example.org>", "<third@example.org>"),
    )


@pytest.mark.parametrize("down", [False, True], ids=["not in the mailbox", "the server is down"])
def test_what_is_answered_may_be_out_of_reach(desk: Desk, down: bool) -> None:
    desk.world.server.refuse_connections = down
    assert desk.send(reply_to_message_id="gone@example.org").status == 202
    assert desk.sent.in_reply_to == "<gone@example.org>"
    assert desk.sent.references == ("<gone@example.org>",)


def test_a_key_makes_it_once(desk: Desk) -> None:
    key = {"Idempotency-Key": "order 17"}
    first = desk.send(headers=key)
    again = desk.send(headers=key, subject="another")
    assert (first.status, again.status) == (202, 202)
    assert first.body == again.body
    assert len(desk.letters) == 1


@pytest.mark.parametrize("key", ["", " "], ids=["empty", "blank"])
def test_a_key_that_says_nothing_is_refused(desk: Desk, key: str) -> None:
    # All messages of a client that leaves it empty would be the first one.
    reply = desk.send(headers={"Idempotency-Key": key})
    assert (reply.status, desk.letters) == (422, [])
    assert "Idempotency-Key is empty" in reply.detail


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        pytest.param({"inbox_id": None}, 422, "inbox_id is missing", id="no inbox"),
        pytest.param({"inbox_id": "nothing"}, 404, "nothing", id="no such inbox"),
        pytest.param({"to": None}, 422, "to, cc and bcc", id="nobody"),
        pytest.param({"to": []}, 422, "to, cc and bcc", id="an empty list"),
        pytest.param({"to": 5}, 422, "to must be", id="a number"),
        pytest.param({"to": [["a"]]}, 422, "to must be", id="a list in a list"),
        pytest.param({"to": ["a@b.example"] * 101}, 422, "100", id="too many"),
        pytest.param({"to": "no address"}, 422, "to", id="no address"),
        pytest.param({"to": "a@b.example\r\nBcc: x@y.example"}, 422, "to", id="a line end in to"),
        pytest.param({"cc": "a@b.example, c@d.example>"}, 422, "cc", id="a broken list"),
        pytest.param({"subject": "a\r\nBcc: x@y.example"}, 422, "subject", id="one in the subject"),
        pytest.param({"subject": "x" * 2001}, 422, "2000", id="a subject without end"),
        pytest.param({"body": None}, 422, "body is missing", id="nothing to say"),
        pytest.param({"body": 5}, 422, "body must be text", id="a number for a body"),
        pytest.param({"html": ["x"]}, 422, "html must be text", id="a list for HTML"),
        pytest.param({"reply_to_message_id": "a b\r\nc"}, 422, "", id="no Message-ID"),
        pytest.param({"text": "hi"}, 422, "there is no field 'text'", id="another field"),
        pytest.param({"attachments": {}}, 422, "must be a list", id="attachments are no list"),
        pytest.param({"attachments": ["/etc/passwd"]}, 422, "object", id="a path is not read"),
        pytest.param({"attachments": [{"filename": "a"}]}, 422, "base64", id="no content"),
        pytest.param({"attachments": [{"content": "YQ=="}]}, 422, "filename", id="no file name"),
        pytest.param(
            {"attachments": [{"filename": "a", "content": "Y*=="}]}, 422, "base64", id="no base64"
        ),
    ],
)
def test_what_cannot_be_sent_is_refused(
    desk: Desk, data: dict[str, Any], status: int, word: str
) -> None:
    reply = desk.send(**data)
    assert reply.status == status
    assert word in reply.detail
    assert desk.letters == []


def test_attachments_may_be_larger_than_other_bodies(desk: Desk) -> None:
    content = base64.b64encode(bytes(2 * 1024 * 1024)).decode()
    reply = desk.send(attachments=[{"filename": "zeros", "content": content}])
    assert reply.status == 202


def test_without_a_way_out_nothing_is_accepted(world: World) -> None:
    inbox = world.create().body["id"]
    body = {"inbox_id": inbox, "to": "kim@example.org", "subject": "hi", "body": "Hello."}
    reply = call(world.app, "POST", "/v1/messages", body)
    assert reply.status == 503
    assert "SMTP_HOST" in reply.detail


# Large bodies


def escaped(text: str) -> str:
    """Base64 as the encoders write it that escape what HTML or JavaScript may misread."""
    return text.replace("/", "\\/").replace("+", "\\u002b").replace("=", "\\u003D")


@pytest.mark.parametrize("form", [str, escaped], ids=["as it is", "escaped"])
@pytest.mark.parametrize("lines", ["", "\\r\\n"], ids=["on one line", "in lines"])
@pytest.mark.parametrize(
    "size", [767, 768, 769, 800_001, pytest.param(1_700_001, marks=pytest.mark.long)]
)
def test_a_large_file_is_the_same_on_both_sides(
    desk: Desk, size: int, lines: str, form: Callable[[str], str]
) -> None:
    octets = random.Random(size).randbytes(size)
    text = base64.b64encode(octets).decode()
    width = 76 if lines else len(text)
    text = lines.join(form(text[at : at + width]) for at in range(0, len(text), width))
    body = {"inbox_id": desk.id, "to": "kim@example.org", "body": '"content": "AAAA"'}
    files = ", ".join(
        f'{{"filename": "{name}", "content" :\n"{text}"}}' for name in ("a.bin", "b.bin")
    )
    raw = json.dumps(body)[:-1] + f', "attachments": [{files}]}}'
    assert call(desk.app, "POST", "/v1/messages", octets=raw.encode()).status == 202
    assert [a.content for a in desk.sent.attachments] == [octets, octets]
    assert desk.sent.text.strip() == '"content": "AAAA"'


@pytest.mark.parametrize(
    ("content", "status"),
    [
        pytest.param("A" * 70_001, 422, id="a length that is none of base64"),
        pytest.param("A" * 70_000 + "==AA", 422, id="padding in the middle"),
        pytest.param("A" * (1 << 20) + "AA==" * 2, 422, id="padding twice"),
        pytest.param("A" * 70_000 + "\u00e4", 422, id="another character"),
        pytest.param("A" * (3 << 20) + "!", 413, id="no base64, and too long for text"),
    ],
)
def test_what_is_no_base64_is_refused(desk: Desk, content: str, status: int) -> None:
    reply = desk.send(attachments=[{"filename": "a.bin", "content": content}])
    assert reply.status == status
    assert desk.letters == []


def test_a_text_that_is_too_long_is_refused(desk: Desk) -> None:
    reply = desk.send(body="word " * (1 << 19))
    assert (reply.status, "besides its attachments" in reply.detail) == (413, True)


def test_a_text_that_is_too_long_costs_no_more_than_its_size(desk: Desk) -> None:
    raw = json.dumps({"inbox_id": desk.id, "to": "kim@example.org", "body": "word " * (1 << 20)})
    octets = raw.encode()
    tracemalloc.start()
    try:
        assert call(desk.app, "POST", "/v1/messages", octets=octets).status == 413
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= 1.1 * len(octets)


@pytest.mark.parametrize(
    ("data", "status", "word"),
    [
        pytest.param({"to": [[]] * 20_001}, 413, "20,000 values", id="empty lists"),
        pytest.param({"to": ["[{,"] * 19_000}, 422, "1 to 100", id="brackets within texts"),
        pytest.param(
            {"attachments": [{"filename": "a", "content": "QUJD" * 256}] * (MAX_ATTACHMENTS + 1)},
            422,
            f"more than {MAX_ATTACHMENTS}",
            id="attachments",
        ),
    ],
)
def test_a_body_of_too_many_parts_is_refused(
    desk: Desk, data: dict[str, Any], status: int, word: str
) -> None:
    reply = desk.send(**data)
    assert (reply.status, word in reply.detail) == (status, True)


def test_many_small_files_are_no_long_text(desk: Desk) -> None:
    files = [{"filename": f"{n}.png", "content": "QUJD" * 10_000} for n in range(60)]
    assert desk.send(attachments=files).status == 202
    assert [file.size for file in desk.sent.attachments] == [30_000] * 60


def test_a_large_request_costs_at_most_twice_its_size(tmp_path: Path) -> None:
    with ExitStack() as stack:
        world = World(stack)
        world.store = stack.enter_context(closing(SqliteStateStore(tmp_path / "store.db")))
        world.poller = world.another_poller()
        world.app = application(world.poller)
        desk = Desk(world)
        content = base64.b64encode(bytes(4 << 20)).decode()
        body: dict[str, Any] = {"inbox_id": desk.id, "to": "kim@example.org", "body": "t"}
        body["attachments"] = [{"filename": "a.bin", "content": content}]
        raw = json.dumps(body).encode()
        tracemalloc.start()
        try:
            reply = call(desk.app, "POST", "/v1/messages", octets=raw)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert reply.status == 202
        # Less than twice, since a buffer that grows step by step takes more than is counted here.
        assert peak <= 1.85 * len(raw)
        assert desk.sent.attachments[0].size == 4 << 20
