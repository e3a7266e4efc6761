"""The mailer with a store, over a scripted session: what each answer means for a letter."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nornmail import Defer, JsonStateStore, Outbox, Reject, SqliteStateStore, events
from nornmail.compose.addresses import AddressesLike
from nornmail.errors import (
    AuthenticationFailed,
    ConfigurationError,
    HandlerError,
    LeaseHeld,
    SendingDisabled,
    StoreError,
    Throttled,
)
from nornmail.model import Lease, MailboxKey
from nornmail.outbox import queue_runner as queue_runner
from nornmail.outbox.status import OutgoingMessage
from nornmail.outbox.transitions import GIVE_UP_AFTER, SendLimits
from nornmail.outgoing import Envelope, OperatorRequest, QueuedMessage, QueueState, RecipientStatus
from nornmail.smtp.session import ASK_AFTER, CLOSE_AFTER
from nornmail.smtp.transaction import Submission
from nornmail.stores.sqlite import MemoryStateStore
from tests.outbox.fake import (
    OUTBOX,
    SETTINGS,
    UNREACHABLE,
    BeforeContent,
    World,
    accept,
    defer,
    each,
    lose,
    refuse,
    world,
)
from tests.support.table import table

pytestmark = pytest.mark.usefixtures("each_store")

TO = "ann@example.org"


def queue(one: World, key: str = "k", to: AddressesLike = TO) -> None:
    result = one.mailer.send(to, "hello", "hello", key=key)
    assert result.key == key


def test_send_returns_when_the_letter_is_durable_and_nothing_was_sent_yet() -> None:
    one = world()
    result = one.mailer.send(TO, "hello", "hello", key="k")
    assert (result.state, result.accepted, [r.address for r in result.pending]) == (
        "queued",
        (),
        [TO],
    )
    assert one.server.log == []
    assert one.store.message_bytes(OUTBOX, "k") is not None


def test_flush_sends_it_and_tells() -> None:
    one = world()
    queue(one)
    assert one.mailer.flush()
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.code, result.text) == ("sent", 250, "OK queued")
    assert one.server.addresses() == [TO]
    (told,) = one.events
    assert isinstance(told, events.OutboxSent)
    assert (told.key, told.message_id, told.accepted) == ("k", result.message_id, 1)
    assert one.store.message_bytes(OUTBOX, "k") is None


def test_a_key_is_sent_once_and_gives_the_first_result() -> None:
    one = world()
    first = one.mailer.send(TO, "hello", "hello", key="k")
    one.mailer.flush()
    again = one.mailer.send("else@example.org", "other", "other", key="k")
    one.mailer.flush()
    assert (again.message_id, again.state) == (first.message_id, "sent")
    assert one.server.addresses() == [TO]


def test_without_a_key_each_call_is_a_message_of_its_own() -> None:
    one = world()
    keys = {one.mailer.send(TO, "hello", "hello").key for _ in range(3)}
    one.mailer.flush()
    assert len(keys) == 3
    assert one.server.addresses() == [TO] * 3


@table("key", ["", "a\nb", "x" * 201, "\x1b[2J", "\ud800"], ids=ascii)
def test_a_key_that_cannot_be_shown_is_refused(key: str) -> None:
    with pytest.raises(ConfigurationError, match="key"):
        world().mailer.send(TO, "hello", "hello", key=key)


def test_letters_go_out_in_the_order_in_which_they_were_queued() -> None:
    one = world()
    for name in "dbca":
        queue(one, name, f"{name}@example.org")
        one.clock.advance(1)
    one.mailer.flush()
    assert one.server.addresses() == [f"{name}@example.org" for name in "dbca"]


# What answers mean


def test_a_refusal_is_final_with_its_code() -> None:
    one = world(answers=[refuse(552, "mailbox full")])
    queue(one)
    assert one.mailer.flush()
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.code, result.text) == ("failed", 552, "mailbox full")
    assert "552 mailbox full" in result.reason
    one.until(86_400, 3_600)
    assert len(one.server.log) == 1
    assert [type(event) for event in one.events] == [events.OutboxFailed]


@pytest.mark.parametrize("at_content", [False, True], ids=["at RCPT", "at the content"])
def test_4xx_is_tried_again_with_growing_waits(at_content: bool) -> None:
    one = world(answers=[defer(at_content=at_content)] * 3)
    queue(one)
    waits = []
    for _ in range(3):
        one.mailer.flush()
        letter = one.store.queued_message(OUTBOX, "k")
        assert letter is not None
        assert letter.state is QueueState.QUEUED
        waits.append(letter.due_at - one.clock.wall())
        one.clock.advance(waits[-1])
    one.mailer.flush()
    assert one.state("k") == "sent"
    assert [45 <= wait <= 75 * 4 for wait in waits] == [True] * 3
    assert waits == sorted(waits)
    assert one.server.addresses() == [TO]


def test_after_three_days_of_4xx_it_failed() -> None:
    one = world(answers=[defer()] * 1_000)
    queue(one)
    one.until(GIVE_UP_AFTER - 3_600, 3_600)
    assert one.state("k") == "queued"
    one.until(3 * 3_600, 1_800)
    result = one.mailer.result("k")
    assert result is not None
    assert result.state == "failed"
    assert "given up after 3 days: 450 try again later" in result.reason
    assert [r.status for r in result.refused] == [RecipientStatus.REFUSED]


def test_each_recipient_has_an_outcome_of_its_own() -> None:
    one = world(answers=[each(ann=250, bob=450, eve=550), each(bob=250)])
    queue(one, to=["ann@x.org", "bob@x.org", "eve@x.org"])
    assert not one.mailer.flush()
    result = one.mailer.result("k")
    assert result is not None
    assert result.state == "queued"
    assert [r.address for r in result.accepted] == ["ann@x.org"]
    assert [r.address for r in result.pending] == ["bob@x.org"]
    assert [(r.address, r.code) for r in result.refused] == [("eve@x.org", 550)]
    one.until(120)
    result = one.mailer.result("k")
    assert result is not None
    assert result.state == "sent"
    assert result.reason == "refused for 1 of 3 recipients"
    assert one.server.addresses() == ["ann@x.org", "bob@x.org"]
    assert one.server.log[1][0] == ("bob@x.org",)


def test_one_that_nobody_got_but_some_were_put_off_is_tried_for_those_alone() -> None:
    one = world(answers=[each(ann=550, bob=450), each(bob=550)])
    queue(one, to=["ann@x.org", "bob@x.org"])
    one.mailer.flush()
    assert one.state("k") == "queued"
    one.until(120)
    assert one.state("k") == "failed"
    assert [to for to, _ in one.server.log] == [("ann@x.org", "bob@x.org"), ("bob@x.org",)]


def test_a_connection_that_falls_before_the_content_is_tried_again() -> None:
    one = world(answers=[lose(content=False)])
    queue(one)
    one.mailer.flush()
    assert one.state("k") == "queued"
    one.until(120)
    assert one.state("k") == "sent"
    assert one.server.connects == 2


def test_one_that_falls_after_the_content_is_unknown_and_never_tried_again() -> None:
    one = world(answers=[lose(content=True)])
    queue(one)
    one.mailer.flush()
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, [r.address for r in result.unknown]) == ("unknown", [TO])
    assert one.store.message_bytes(OUTBOX, "k") is not None
    one.until(5 * 86_400, 3_600)
    assert one.state("k") == "unknown"
    assert len(one.server.log) == 1
    assert [type(event) for event in one.events] == [events.OutboxUnknown]


@pytest.mark.parametrize(
    ("sent", "state", "log"), [(True, "sent", 1), (False, "sent", 2)], ids=["was sent", "was not"]
)
def test_a_person_resolves_what_is_unknown(sent: bool, state: str, log: int) -> None:
    one = world(answers=[lose(content=True)])
    queue(one)
    one.mailer.flush()
    one.mailer.resolve("k", sent=sent)
    one.mailer.flush()
    assert one.state("k") == state
    assert len(one.server.log) == log


def test_only_what_is_unknown_can_be_resolved() -> None:
    one = world()
    queue(one)
    with pytest.raises(ConfigurationError, match="it is queued"):
        one.mailer.resolve("k", sent=True)
    with pytest.raises(ConfigurationError, match="no message has this key"):
        one.mailer.resolve("nobody's", sent=True)


def test_what_was_not_sent_is_tried_for_everyone_of_whom_that_is_not_known() -> None:
    one = world(answers=[lose(content=True), each(ann=550)])
    queue(one, to=["ann@x.org", "bob@x.org"])
    one.mailer.flush()
    one.mailer.resolve("k", sent=False)
    one.mailer.flush()
    assert one.state("k") == "sent"
    assert one.server.addresses() == ["bob@x.org"]


# The server as a whole


def test_an_unreachable_server_is_left_alone_for_longer_and_longer() -> None:
    one = world()
    one.server.trouble = [UNREACHABLE] * 5
    queue(one)
    one.mailer.flush()
    one.mailer.flush()
    assert one.server.connects == 1
    assert one.mailer.status().state == "stopped"
    one.until(120, 1)
    assert one.state("k") == "sent"
    assert one.server.connects == 6
    result = one.mailer.result("k")
    assert result is not None
    assert result.attempts == 5


def test_every_letter_has_its_turn_while_the_server_is_unreachable() -> None:
    one = world()
    one.server.trouble = [UNREACHABLE] * 4
    for key in "ab":
        queue(one, key)
    one.until(60, 1)
    letters = one.store.queued_messages(OUTBOX, set(QueueState))
    assert [letter.attempts for letter in letters] == [2, 2]
    assert sorted(one.server.addresses()) == [TO, TO]


def test_three_days_without_a_network_are_too_many() -> None:
    one = world()
    one.server.trouble = [UNREACHABLE] * 10_000
    queue(one)
    one.until(GIVE_UP_AFTER + 3_600, 3_600)
    result = one.mailer.result("k")
    assert result is not None
    assert result.state == "failed"
    assert "cannot be reached" in result.reason


def test_a_letter_that_lay_there_for_a_month_is_tried_before_it_is_given_up() -> None:
    one = world(answers=[defer()])
    queue(one)
    one.clock.advance(30 * 86_400)
    one.mailer.flush()
    assert one.state("k") == "queued"
    one.until(120)
    assert one.state("k") == "sent"


@pytest.mark.parametrize(
    ("trouble", "first"),
    [
        pytest.param(AuthenticationFailed("535 no"), 300.0, id="rejected credentials"),
        pytest.param(Throttled("421 too many", kind="connections"), 60.0, id="throttling"),
    ],
)
def test_trouble_that_is_about_no_letter_costs_no_letter_anything(
    trouble: Exception, first: float
) -> None:
    one = world()
    one.server.trouble = [trouble] * 2
    queue(one)
    one.mailer.flush()
    letter = one.store.queued_message(OUTBOX, "k")
    assert letter is not None
    assert (letter.state, letter.attempts, letter.tried_at) == (QueueState.QUEUED, 0, 0.0)
    one.until(first - 30, 10)
    assert one.server.connects == 1
    one.until(4 * first, 10)
    assert one.state("k") == "sent"


def test_rejected_credentials_for_a_month_lose_nothing() -> None:
    one = world()
    one.server.trouble = [AuthenticationFailed("535 no")] * 100_000
    queue(one)
    one.until(30 * 86_400, 12 * 3_600)
    assert one.state("k") == "queued"
    assert one.server.connects <= 30 * 2 + 1
    one.server.trouble.clear()
    one.until(2 * 3_600, 600)
    assert one.state("k") == "sent"


def test_a_server_that_says_421_is_left_alone_by_all_letters() -> None:
    one = world(answers=[defer(421, "too many messages")])
    for key in "ab":
        queue(one, key)
    one.mailer.flush()
    assert len(one.server.log) == 1
    one.until(50, 10)
    assert len(one.server.log) == 1
    one.until(120, 10)
    assert (one.state("a"), one.state("b")) == ("sent", "sent")


# The limits


@pytest.mark.parametrize("restart", [False, True], ids=["one process", "a restart in between"])
def test_the_limits_are_counted_in_the_store(restart: bool, tmp_path: object) -> None:
    limits = SendLimits(per_minute=3, per_hour=5)
    store = SqliteStateStore(f"{tmp_path}/state.db")
    one = world(store, send_limits=limits)
    for number in range(7):
        queue(one, str(number))
    assert not one.mailer.flush()
    assert len(one.server.taken) == 3
    if restart:
        one.mailer.close()
        store.close()
        store = SqliteStateStore(f"{tmp_path}/state.db")
        one = world(store, send_limits=limits, clock=one.clock, server=one.server)
    one.until(50, 10)
    assert len(one.server.taken) == 3
    one.until(20, 10)
    assert len(one.server.taken) == 5
    one.until(3_480, 1_160)
    assert len(one.server.taken) == 5
    one.until(120, 60)
    assert len(one.server.taken) == 7
    one.mailer.close()
    store.close()


@pytest.mark.parametrize(("minute", "hour"), [(0, 1), (1, 0), (True, 1), (1, -1)])
def test_limits_below_one_are_refused(minute: int, hour: int) -> None:
    with pytest.raises(ConfigurationError, match="SendLimits"):
        SendLimits(minute, hour)


def test_no_limit_is_no_limit() -> None:
    one = world(send_limits=SendLimits(None, None))
    for number in range(40):
        queue(one, str(number))
    assert one.mailer.flush()
    assert len(one.server.taken) == 40


# The hook


def test_before_send_sees_the_message_and_lets_it_go() -> None:
    seen: list[OutgoingMessage] = []

    def approve(outgoing: OutgoingMessage) -> bool:
        seen.append(outgoing)
        return True

    one = world(before_send=approve)
    one.mailer.send(TO, "hello", "the text", bcc="boss@example.com", key="k")
    one.mailer.flush()
    (outgoing,) = seen
    assert outgoing.recipients == (TO, "boss@example.com")
    assert outgoing.message.subject == "hello"
    assert outgoing.message.text.strip() == "the text"
    assert (outgoing.key, outgoing.attempts, outgoing.is_answer) == ("k", 0, False)
    assert one.state("k") == "sent"


def turn_down(_: OutgoingMessage) -> bool:
    return False


def reject(_: OutgoingMessage) -> bool:
    raise Reject("not before Monday")


@pytest.mark.parametrize(
    ("hook", "reason"),
    [(turn_down, "rejected by before_send"), (reject, "not before Monday")],
    ids=["False", "Reject"],
)
def test_what_it_turns_down_is_failed_and_can_be_asked_for_again(hook: object, reason: str) -> None:
    one = world(before_send=hook)
    queue(one)
    one.mailer.flush()
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.reason) == ("failed", reason)
    assert one.server.connects == 0
    assert one.store.message_bytes(OUTBOX, "k") is not None


def test_defer_asks_again_later_and_counts_for_nothing() -> None:
    asked = []

    def later(_: OutgoingMessage) -> bool:
        asked.append(one.clock.wall())
        if len(asked) < 3:
            raise Defer(4 * 86_400, "nobody is there")
        return True

    one = world(before_send=later)
    queue(one)
    one.until(9 * 86_400, 6 * 3_600)
    assert one.state("k") == "sent"
    assert [round(b - a) for a, b in pairwise(asked)] == [4 * 86_400] * 2


@pytest.mark.parametrize("seconds", [0.0, -5.0, float("nan")])
def test_defer_by_nothing_does_not_spin(seconds: float) -> None:
    asked = []

    def later(_: OutgoingMessage) -> bool:
        asked.append(1)
        raise Defer(seconds)

    one = world(before_send=later)
    queue(one)
    one.mailer.flush()
    assert len(asked) == 1
    one.until(10, 5)
    assert len(asked) == 3


@pytest.mark.parametrize("said", [None, "yes", 1], ids=repr)
def test_what_is_neither_true_nor_false_sends_nothing_and_loses_nothing(
    said: object, caplog: pytest.LogCaptureFixture
) -> None:
    one = world(before_send=lambda _: said)
    queue(one)
    one.mailer.flush()
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.attempts) == ("queued", 1)
    assert "must return True or False" in result.reason
    assert one.server.log == []


def test_a_hook_that_fails_counts_as_a_try(caplog: pytest.LogCaptureFixture) -> None:
    def broken(_: OutgoingMessage) -> bool:
        raise ValueError("no model")

    one = world(before_send=broken)
    queue(one)
    one.mailer.flush()
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.attempts) == ("queued", 1)
    assert "ValueError: no model" in result.reason
    assert "before_send failed" in caplog.text


def test_a_hook_whose_error_has_no_text_counts_as_a_try() -> None:
    class Odd(Exception):
        def __str__(self) -> str:
            raise TypeError("no text")

    def broken(_: OutgoingMessage) -> bool:
        raise Odd

    one = world(before_send=broken)
    queue(one)
    one.mailer.flush()
    result = one.mailer.result("k")
    assert result is not None
    assert (result.state, result.attempts) == ("queued", 1)
    assert "Odd" in result.reason


def test_a_hook_must_not_wait_for_its_own_mailer() -> None:
    raised: list[int] = []

    def flushes(_: OutgoingMessage) -> bool:
        with pytest.raises(HandlerError):
            one.mailer.flush()
        raised.append(1)
        return True

    one = world(before_send=flushes)
    queue(one)
    one.mailer.flush()
    assert raised == [1]
    assert one.state("k") == "sent"


# Modes


def test_a_dry_run_keeps_and_sends_nothing_and_shows_the_message() -> None:
    one = world(dry_run=True)
    result = one.mailer.send(TO, "hello", "the text", key="k")
    assert (result.dry_run, result.state) == (True, "queued")
    assert b"the text" in result.raw
    assert one.mailer.flush()
    assert one.store.outboxes() == []
    assert one.server.connects == 0


def test_receive_only_sends_nothing_of_others_either() -> None:
    store = MemoryStateStore()
    queue(world(store))
    one = world(store, receive_only=True)
    with pytest.raises(SendingDisabled):
        one.mailer.send(TO, "hello", "hello")
    assert not one.mailer.flush()
    assert one.server.connects == 0


# The connection


def test_one_connection_serves_many_letters_and_is_asked_after_a_pause() -> None:
    one = world()
    one.mailer._worker._keeps_lease = True  # as with a thread: flush() alone gives it back
    queue(one, "a")
    one.mailer.flush()
    queue(one, "b")
    one.mailer.flush()
    assert (one.server.connects, one.server.noops) == (1, 0)
    one.clock.advance(ASK_AFTER)
    queue(one, "c")
    one.mailer.flush()
    assert (one.server.connects, one.server.noops) == (1, 1)
    one.clock.advance(ASK_AFTER)
    one.server.dead = True
    queue(one, "d")
    one.mailer.flush()
    assert (one.server.connects, one.state("d")) == (2, "sent")
    one.clock.advance(CLOSE_AFTER)
    one.mailer._worker.close_idle()
    assert one.server.sessions[-1].closed
    queue(one, "e")
    one.mailer.flush()
    assert one.server.connects == 3
    one.mailer.close()


def test_flush_without_a_thread_leaves_no_connection_and_no_lease() -> None:
    one = world()
    queue(one)
    one.mailer.flush()
    assert all(session.closed for session in one.server.sessions)
    one.store.release(one.store.acquire(MailboxKey.of_outbox(OUTBOX), "somebody"))


def test_while_another_process_sends_this_one_does_not() -> None:
    one = world()
    queue(one)
    lease = one.store.acquire(MailboxKey.of_outbox(OUTBOX), "host:1")
    with pytest.raises(LeaseHeld):
        one.mailer.flush()
    assert one.server.log == []
    one.store.release(lease)
    one.mailer.flush()
    assert one.state("k") == "sent"


# What a crash or a broken disk leaves


def test_a_letter_that_is_found_sending_is_unknown() -> None:
    store = MemoryStateStore()

    class Killed(BaseException):
        pass

    def killed(envelope: Envelope, before_content: BeforeContent) -> Submission:
        accept(envelope, before_content)
        raise Killed

    one = world(store, answers=[killed])
    queue(one)
    with pytest.raises(Killed):
        one.mailer.flush()
    assert one.state("k") == "sending"
    two = world(store, server=one.server)
    two.mailer.flush()
    assert two.state("k") == "unknown"
    assert len(two.server.log) == 0


class FullDisk(MemoryStateStore):
    """Takes no letters back while ``full``."""

    full = False

    def commit_messages(self, lease: Lease, letters: Sequence[QueuedMessage]) -> None:
        if self.full:
            raise StoreError("the disk is full")
        super().commit_messages(lease, letters)


def test_a_disk_that_is_full_before_the_content_keeps_it_from_going_out() -> None:
    store = FullDisk()
    one = world(store)
    queue(one)
    store.full = True
    with pytest.raises(StoreError):
        one.mailer.flush()
    assert (one.server.contents, one.state("k")) == ([], "queued")
    store.full = False
    one.mailer.flush()
    assert one.state("k") == "sent"


def test_a_disk_that_is_full_after_the_answer_forgets_nothing() -> None:
    store = FullDisk()

    def fills(envelope: Envelope, before_content: BeforeContent) -> Submission:
        said = accept(envelope, before_content)
        store.full = True
        return said

    one = world(store, answers=[fills])
    one.mailer._worker._keeps_lease = True  # as the thread does
    queue(one)
    with pytest.raises(StoreError):
        one.mailer.flush()
    assert one.state("k") == "sending"
    store.full = False
    one.mailer.flush()
    assert one.state("k") == "sent"
    assert one.server.addresses() == [TO]
    one.mailer.close()


def test_a_letter_that_is_dropped_while_others_go_out_does_not() -> None:
    def drops(envelope: Envelope, before_content: BeforeContent) -> Submission:
        one.store.request(OUTBOX, "b", OperatorRequest.DROP)
        return accept(envelope, before_content)

    one = world(answers=[drops])
    for key in "abc":
        queue(one, key, f"{key}@example.org")
    one.mailer.flush()
    assert one.server.addresses() == ["a@example.org", "c@example.org"]
    assert one.state("b") == "failed"


def test_a_letter_whose_bytes_are_damaged_holds_up_no_other(tmp_path: Path) -> None:
    store = JsonStateStore(tmp_path / "state.json")
    one = world(store)
    for key in "ab":
        queue(one, key)
    sorted((tmp_path / "state.json.raw").iterdir())[0].write_bytes(b"x")
    one.mailer.flush()
    assert (one.state("a"), one.state("b")) == ("failed", "sent")
    result = one.mailer.result("a")
    assert result is not None
    assert "missing or damaged" in result.reason
    one.mailer.close()
    store.close()


def test_what_a_full_disk_did_not_take_is_tried_once_more_at_the_end() -> None:
    class Once(FullDisk):
        def commit_messages(self, lease: Lease, letters: Sequence[QueuedMessage]) -> None:
            try:
                super().commit_messages(lease, letters)
            finally:
                self.full = False

    store = Once()

    def fills(envelope: Envelope, before_content: BeforeContent) -> Submission:
        said = accept(envelope, before_content)
        store.full = True
        return said

    one = world(store, answers=[fills])
    queue(one)
    with pytest.raises(StoreError):
        one.mailer.flush()
    assert one.state("k") == "sent"


def test_a_due_time_that_a_wrong_clock_wrote_is_due() -> None:
    one = world()
    one.clock.jump(400 * 86_400)
    queue(one)
    one.clock.jump(-400 * 86_400)
    one.mailer.flush()
    assert one.state("k") == "sent"


def test_seeded_answers_end_well_for_every_recipient() -> None:
    dice = random.Random(7)
    codes = {f"r{number}": [450, 450, 250] if number % 3 else [550] for number in range(9)}

    def answer(envelope: Envelope, before_content: BeforeContent) -> Submission:
        now = {name: dice.choice(codes[name]) for name in codes}
        return each(**now)(envelope, before_content)

    one = world(answers=[answer] * 100)
    queue(one, to=[f"{name}@x.org" for name in codes])
    one.until(86_400, 300)
    result = one.mailer.result("k")
    assert result is not None
    assert result.state == "sent"
    assert len(result.refused) == 3
    assert sorted(one.server.addresses()) == sorted(
        f"{name}@x.org" for name, said in codes.items() if len(said) > 1
    )


@table("code", [0, 421, 450, 451])
@table("number", [1, 2])
def test_a_server_that_ends_its_connections_between_messages_delays_nothing(
    number: int, code: int
) -> None:
    one = world()
    one.server.per_session, one.server.ending = number, code
    for n in range(6):
        queue(one, str(n), f"r{n}@example.org")
    assert one.mailer.flush()
    assert one.server.addresses() == [f"r{n}@example.org" for n in range(6)]
    results = [one.mailer.result(str(n)) for n in range(6)]
    assert [(r.attempts, r.reason) for r in results if r] == [(0, "")] * 6
    assert (one.server.connects, one.clock.monotonic()) == (6 // number, world().clock.monotonic())
    assert one.mailer.status().state != "throttled"


def test_a_server_that_takes_nothing_on_a_new_connection_is_left_alone() -> None:
    one = world()
    one.server.per_session, one.server.ending = 0, 421
    queue(one)
    assert not one.mailer.flush()
    assert one.server.connects == 1
    assert one.mailer._status.state == "stopped"
    found = one.mailer.result("k")
    assert found is not None
    assert (found.attempts, found.reason) == (1, "421 too many here")


def test_a_refused_login_is_the_reason_why_messages_wait() -> None:
    one = world()
    one.server.trouble = [AuthenticationFailed("535 no such password")]
    queue(one, "k")
    one.mailer.flush()
    found = one.mailer.result("k")
    assert found is not None
    assert (found.state, found.attempts, found.reason) == ("queued", 0, "535 no such password")
    (listed,) = Outbox(one.store).list()
    assert listed.reason == "535 no such password"
    one.clock.advance(400)
    assert one.mailer.flush()
    assert one.state("k") == "sent"


@pytest.mark.parametrize("days", [1, 6, 30])
def test_a_clock_that_is_set_back_holds_no_message(days: int) -> None:
    one = world(answers=[defer()])
    queue(one)
    one.mailer.flush()
    assert one.state("k") == "queued"
    one.clock.jump(-days * 86_400)
    assert one.mailer.flush()
    assert one.state("k") == "sent"


def test_a_clock_that_is_set_back_a_little_changes_no_wait() -> None:
    one = world(answers=[defer()])
    queue(one)
    one.mailer.flush()
    one.clock.jump(-5)
    one.mailer.flush()
    assert one.state("k") == "queued"


# What is forgotten

DAY = 86_400.0


@pytest.mark.parametrize(
    ("retention", "kept_days"),
    [
        pytest.param({}, 90, id="the default"),
        pytest.param({"settings": replace(SETTINGS, retention=40)}, 40, id="of the settings"),
        pytest.param({"retention": 60}, 60, id="of the mailer"),
        pytest.param({"retention": 1}, 30, id="a day: what limits and reports need stays"),
        pytest.param({"retention": 0}, None, id="all is kept"),
    ],
)
def test_a_mailer_without_a_poller_forgets_what_it_sent_long_ago(
    retention: dict[str, Any], kept_days: int | None
) -> None:
    one = world(answers=[refuse(), accept], **retention)
    queue(one, "sent")
    queue(one, "refused")
    one.mailer.flush()
    sent = one.store.queued_message(OUTBOX, "sent")
    assert sent is not None

    def known() -> tuple[int, list[str]]:
        one.mailer.flush()
        messages = one.store.queued_messages(OUTBOX, set(QueueState))
        return len(one.store.messages_with_id(sent.message_id)), [m.key for m in messages]

    one.clock.advance((kept_days or 1_000) * DAY - 60.0)
    assert known() == (1, ["refused", "sent"])
    one.clock.advance(DAY)
    assert known() == ((0, ["refused"]) if kept_days else (1, ["refused", "sent"]))


def test_a_long_history_is_forgotten_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue_runner, "FORGOTTEN_AT_ONCE", 2)
    one = world(retention=30)
    for number in range(5):
        queue(one, f"k{number}")
    one.mailer.flush()
    one.clock.advance(31 * DAY)
    left = []
    for _ in range(3):
        one.mailer._worker.runner.run_once()
        left.append(one.store.count_messages(OUTBOX, {QueueState.SENT}))
    assert left == [3, 1, 0]


def test_a_retention_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="NORNMAIL_RETENTION"):
        world(retention=-1)
    with pytest.raises(ConfigurationError, match="NORNMAIL_RETENTION"):
        replace(SETTINGS, retention=float("nan"))
