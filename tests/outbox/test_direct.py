"""A mailer without a store sends at once, or says what kept it from it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from nornmail import (
    AnswerLimits,
    AuthenticationFailed,
    ConfigurationError,
    Mailer,
    MemoryStateStore,
    NornmailError,
    ReplyRefused,
    SendFailed,
    SendLimits,
    SendUnknown,
    parse_message,
)
from nornmail.outbox.enqueue import REMEMBERED
from nornmail.outgoing import Envelope, QueueState
from nornmail.smtp.session import CLOSE_AFTER
from nornmail.smtp.transaction import Submission
from tests.outbox.fake import (
    UNREACHABLE,
    Answer,
    BeforeContent,
    accept,
    defer,
    each,
    lose,
    refuse,
    world,
)
from tests.outbox.post import PostOffice, post_office

TO = "ann@example.org"


def test_it_is_sent_when_send_returns() -> None:
    one = world(kept=False)
    result = one.mailer.send(TO, "hello", "hello")
    assert (result.state, result.code, [r.address for r in result.accepted]) == ("sent", 250, [TO])
    assert one.server.addresses() == [TO]
    one.mailer.close()


@pytest.mark.parametrize(
    ("answer", "error", "states"),
    [
        pytest.param(refuse(), SendFailed, "refused", id="5xx"),
        pytest.param(defer(), SendFailed, "pending", id="4xx"),
        pytest.param(lose(content=False), SendFailed, "pending", id="lost before the content"),
        pytest.param(lose(content=True), SendUnknown, "unknown", id="lost after it"),
    ],
)
def test_what_nobody_got_raises_with_the_result(
    answer: Answer, error: type[NornmailError], states: str
) -> None:
    one = world(kept=False, answers=[answer])
    with pytest.raises(error) as raised:
        one.mailer.send(TO, "hello", "hello")
    assert isinstance(raised.value, SendFailed | SendUnknown)
    result = raised.value.result
    assert [str(r.status) for r in result.recipients] == [states]
    assert result.message_id in str(raised.value)
    one.until(86_400, 3_600)
    assert len(one.server.log) == 1, "it is not tried again"
    one.mailer.send(TO, "hello", "hello")
    assert one.server.addresses() == [TO]
    one.mailer.close()


def test_what_somebody_got_is_a_result_that_says_who_did_not() -> None:
    one = world(kept=False, answers=[each(ann=250, bob=450, eve=550)])
    result = one.mailer.send(["ann@x.org", "bob@x.org", "eve@x.org"], "hello", "hello")
    assert [r.address for r in result.accepted] == ["ann@x.org"]
    assert [r.address for r in result.pending] == ["bob@x.org"]
    assert [r.address for r in result.refused] == ["eve@x.org"]
    one.until(86_400, 3_600)
    assert len(one.server.log) == 1
    one.mailer.close()


def test_an_unreachable_server_is_the_cause_and_is_tried_at_once_again() -> None:
    one = world(kept=False)
    one.server.trouble = [UNREACHABLE]
    with pytest.raises(SendFailed, match="cannot be reached") as raised:
        one.mailer.send(TO, "hello", "hello")
    assert raised.value.__cause__ is UNREACHABLE
    one.mailer.send(TO, "hello", "hello")
    assert one.server.addresses() == [TO]
    one.mailer.close()


def test_rejected_credentials_are_not_hammered() -> None:
    one = world(kept=False)
    one.server.trouble = [AuthenticationFailed("535 no")]
    for _ in range(5):
        with pytest.raises(SendFailed, match="535 no") as raised:
            one.mailer.send(TO, "hello", "hello")
        assert isinstance(raised.value.__cause__, AuthenticationFailed)
    assert one.server.connects == 1
    one.clock.advance(301)
    one.mailer.send(TO, "hello", "hello")
    one.mailer.close()


def test_a_server_that_throttles_is_asked_again_after_seconds(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one = world(kept=False)
    one.server.per_session, one.server.ending = 0, 421
    for _ in range(3):
        with pytest.raises(SendFailed, match="421 too many here"):
            one.mailer.send(TO, "hello", "hello")
    assert one.server.connects == 1
    one.clock.advance(5)
    one.server.per_session = None
    one.mailer.send(TO, "hello", "hello")
    assert one.server.addresses() == [TO]
    assert [type(event).__name__ for event in one.events] == ["OutboxFailed", "OutboxSent"]
    assert "again" not in caplog.text
    assert "next attempt" not in caplog.text
    one.mailer.close()


def test_answers_before_the_clock_was_set_back_do_not_count() -> None:
    one = world(kept=False, answer_limits=AnswerLimits(per_hour=1, per_day=1))
    mail = [
        parse_message(f"From: ann@example.org\r\nMessage-ID: <{n}@x.org>\r\n\r\nt".encode())
        for n in range(3)
    ]
    one.mailer.reply(mail[0], "42")
    one.clock.jump(-3 * 86_400)
    one.mailer.reply(mail[1], "42")
    with pytest.raises(ReplyRefused, match="1 answers within an hour"):
        one.mailer.reply(mail[2], "42")
    one.mailer.close()


def test_the_limits_hold_without_a_store() -> None:
    one = world(kept=False, send_limits=SendLimits(per_minute=2))
    for _ in range(2):
        one.mailer.send(TO, "hello", "hello")
    with pytest.raises(SendFailed, match="per_minute=2"):
        one.mailer.send(TO, "hello", "hello")
    one.clock.advance(61)
    one.mailer.send(TO, "hello", "hello")
    one.mailer.close()


def test_one_connection_is_used_again_and_closed_when_it_is_idle() -> None:
    one = world(kept=False)
    for _ in range(3):
        one.mailer.send(TO, "hello", "hello")
    assert one.server.connects == 1
    one.clock.advance(CLOSE_AFTER)
    one.mailer._worker._end_idle()
    assert one.server.sessions[0].closed
    one.mailer.close()


def test_nothing_is_left_of_a_mailer_that_is_closed() -> None:
    one = world(kept=False)
    one.mailer.send(TO, "hello", "hello")
    one.mailer.close()
    one.mailer.close()
    assert one.server.sessions[0].closed
    assert one.mailer._worker._timer is None


def test_it_does_not_grow_with_what_was_sent() -> None:
    one = world(kept=False, answers=[refuse(), lose(content=True)])
    for _ in range(2):
        with pytest.raises(NornmailError):
            one.mailer.send(TO, "hello", "hello")
    for _ in range(5):
        one.mailer.send(TO, "hello", "hello")
    memory = one.mailer._store
    assert isinstance(memory, MemoryStateStore)
    (outbox,) = memory.outboxes()
    kept = memory.queued_messages(outbox, set(QueueState))
    assert {memory.message_bytes(outbox, message.key) for message in kept} == {None}
    one.clock.advance(REMEMBERED + 1)
    one.mailer.send(TO, "hello", "hello")
    assert memory.count_messages(outbox, set(QueueState)) == 1
    one.mailer.close()


def test_answers_are_counted_and_our_own_mail_is_known_without_a_store() -> None:
    one = world(kept=False, answer_limits=None)
    asked = [
        parse_message(
            f"From: ann@example.org\r\nMessage-ID: <{n}@x.org>\r\nSubject: s\r\n\r\nt".encode()
        )
        for n in range(11)
    ]
    for message in asked[:10]:
        one.mailer.reply(message, "42")
    with pytest.raises(ReplyRefused, match="10 answers within an hour"):
        one.mailer.reply(asked[10], "42")
    ours = parse_message(one.server.taken[0][1].replace(b"agent@example.com", b"eve@x.org"))
    with pytest.raises(ReplyRefused) as raised:
        one.mailer.reply(ours, "42")
    assert "own-message" in {refusal.kind for refusal in raised.value.refusals}
    one.mailer.close()


def test_render_html_makes_the_html_of_the_text() -> None:
    one = world(kept=False, render_html=lambda text: f"<p>{text.upper()}</p>")
    one.mailer.send(TO, "hello", "hello")
    one.mailer.send(TO, "hello", "hello", "<b>mine</b>")
    htmls = [parse_message(raw).html for _, raw in one.server.taken]
    assert "<p>HELLO</p>" in htmls[0]
    assert "<b>mine</b>" in htmls[1]
    one.mailer.close()


@pytest.mark.parametrize("name", ["render_html", "before_send", "on_event"])
def test_a_hook_that_is_none_is_refused(name: str) -> None:
    wrong: dict[str, Any] = {name: "no function"}
    with pytest.raises(ConfigurationError, match=name):
        world(**wrong)


# Under asyncio


def test_asend_does_not_block_the_event_loop() -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(envelope: Envelope, before_content: BeforeContent) -> Submission:
        begun.set()
        assert go_on.wait(10)
        return accept(envelope, before_content)

    one = world(kept=False, answers=[slow])

    async def main() -> str:
        task = asyncio.ensure_future(one.mailer.asend(TO, "hello", "hello"))
        while not begun.is_set():
            await asyncio.sleep(0)
        go_on.set()
        return str((await task).state)

    assert asyncio.run(main()) == "sent"
    one.mailer.close()


@pytest.mark.parametrize("fails", [False, True], ids=["which is sent", "which is refused"])
def test_a_cancelled_asend_brings_what_has_begun_to_its_end(
    fails: bool, caplog: pytest.LogCaptureFixture
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(envelope: Envelope, before_content: BeforeContent) -> Submission:
        begun.set()
        assert go_on.wait(10)
        return (refuse() if fails else accept)(envelope, before_content)

    one = world(kept=False, answers=[slow])

    async def main() -> None:
        task = asyncio.ensure_future(one.mailer.asend(TO, "hello", "hello"))
        while not begun.is_set():
            await asyncio.sleep(0)
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert len(one.server.log) == 1
    assert ("was not sent" in caplog.text) is fails
    one.mailer.close()


# Over the wire


@pytest.fixture
def office() -> Iterator[PostOffice]:
    with post_office() as found:
        yield found


def test_over_the_wire_each_recipient_has_its_answer(office: PostOffice) -> None:
    office.answers = {"eve@x.org": "550 no such user", "bob@x.org": "450 greylisted"}
    with Mailer(office.settings()) as mailer:
        result = mailer.send(
            ["ann@x.org", "bob@x.org"], "hello", "hello", bcc=["eve@x.org", "secret@x.org"]
        )
        assert [(r.address, str(r.status), r.code) for r in result.recipients] == [
            ("ann@x.org", "accepted", 250),
            ("bob@x.org", "pending", 450),
            ("eve@x.org", "refused", 550),
            ("secret@x.org", "accepted", 250),
        ]
        mailer.send("ann@x.org", "again", "again")
    assert office.smtp is not None
    assert office.smtp.logins == 1
    (sender, to, raw), _ = office.envelopes
    assert (sender, to) == ("agent@example.com", ["ann@x.org", "secret@x.org"])
    assert b"secret" not in raw
    assert b"eve" not in raw


def test_over_the_wire_a_wrong_password_is_an_authentication_failure(office: PostOffice) -> None:
    with (
        Mailer(office.settings(password="wrong")) as mailer,
        pytest.raises(SendFailed) as raised,
    ):
        mailer.send("ann@x.org", "hello", "hello")
    assert isinstance(raised.value.__cause__, AuthenticationFailed)
