"""The queue runner by itself: what it waits for, shows, logs and leaves, on a scripted server."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, cast

import pytest

from nornmail import Reject
from nornmail.clock import StatusTracker
from nornmail.errors import (
    AuthenticationFailed,
    ConnectionLost,
    LeaseLost,
    NornmailError,
    StoreError,
    Throttled,
)
from nornmail.events import Event, OutboxSent
from nornmail.model import Lease, MailboxKey
from nornmail.outbox import queue_runner, transitions
from nornmail.outbox.mailboxes import SentMail
from nornmail.outbox.queue_runner import QueueRunner
from nornmail.outbox.status import MailerState, OutboxContext
from nornmail.outbox.transitions import SendLimits
from nornmail.outgoing import (
    Envelope,
    OperatorRequest,
    QueuedMessage,
    QueueState,
    Quota,
    Recipient,
    RecipientStatus,
)
from nornmail.settings.fields import SENT_DAYS
from nornmail.smtp.session import CachedSession
from nornmail.smtp.transaction import Submission
from nornmail.stores.sqlite import MemoryStateStore
from tests.outbox.fake import Answer, accept, defer, lose, refuse
from tests.stores.letters import OUTBOX, RAW, bring, letter
from tests.support.clock import FakeClock

NOW = FakeClock().wall()


@dataclass
class Line:
    """The connection: an answer or an error for each message, and then acceptance."""

    answers: list[Answer | BaseException] = field(default_factory=list)
    before: Callable[[], object] = lambda: None
    asked: list[tuple[str, ...]] = field(default_factory=list)
    closed: int = 0

    def submit(self, envelope: Envelope, raw: bytes, *, before_content: Any) -> Submission:
        self.asked.append(envelope.recipients)
        self.before()
        answer = self.answers.pop(0) if self.answers else accept
        if isinstance(answer, BaseException):
            raise answer
        return answer(envelope, before_content)

    def close(self) -> None:
        self.closed += 1


@dataclass
class Sent:
    """A mailbox of sent mail."""

    server_saves_sent: bool = False
    has_it: bool = False
    error: NornmailError | None = None
    saved: list[bytes] = field(default_factory=list)

    def has(self, message_id: str) -> bool:
        if self.error is not None:
            raise self.error
        return self.has_it

    def append(self, raw: bytes, at: datetime) -> None:
        self.saved.append(raw)


class Desk:
    """A runner with the lease on an outbox, and what it shows."""

    def __init__(
        self, *answers: Answer | BaseException, sent: Sent | None = None, **more: Any
    ) -> None:
        self.store, self.clock = MemoryStateStore(), FakeClock()
        self.line, self.sent = Line(list(answers)), sent
        self.events: list[Event] = []
        self.status = StatusTracker(self.clock, MailerState.STOPPED)
        given: dict[str, Any] = {
            "limits": SendLimits(),
            "before_send": None,
            "sent": cast("SentMail | None", sent),
            **more,
        }
        emit = given.pop("emit", self.events.append)
        context = OutboxContext(self.store, OUTBOX, self.clock, random.Random(1), emit, self.status)
        self.runner = QueueRunner(context, cast(CachedSession, self.line), **given)
        self.runner.acquire("host:1")

    def queue(self, key: str = "k", **more: Any) -> QueuedMessage:
        """A message that is due now, unless ``due_at`` says otherwise."""
        return self.store.enqueue(letter(key, **{"queued_at": NOW, "due_at": NOW, **more}), RAW)

    def bring(self, state: QueueState, key: str = "k", **more: Any) -> QueuedMessage:
        """A message in another state, which a sender left so."""
        lease = self.runner._lease
        assert lease is not None
        message = letter(key, queued_at=NOW, due_at=NOW + 9.0)._replace(**more)
        return bring(self.store, lease, message, state)

    def read(self, key: str = "k") -> QueuedMessage:
        message = self.store.queued_message(OUTBOX, key)
        assert message is not None
        return message


# What it waits for


def waits(desk: Desk) -> None:
    desk.queue(due_at=NOW + 30.0)


def copy(desk: Desk) -> None:
    desk.bring(QueueState.UNKNOWN, copy_due_at=NOW + 50.0)


def both(desk: Desk) -> None:
    desk.queue("another", due_at=NOW + 60.0)
    copy(desk)


@pytest.mark.parametrize(
    ("fill", "seconds"),
    [
        pytest.param(lambda desk: None, None, id="nothing"),
        pytest.param(waits, 30.0, id="a message that is not due"),
        pytest.param(copy, 50.0, id="a copy that is not due"),
        pytest.param(both, 50.0, id="a copy before a message"),
        pytest.param(Desk.queue, 0.0, id="there may be more, when something was due"),
    ],
)
def test_the_seconds_until_there_is_more_to_do(
    fill: Callable[[Desk], object], seconds: float | None
) -> None:
    desk = Desk(sent=Sent())
    fill(desk)
    assert desk.runner.run_once() == seconds
    assert desk.status.state == (MailerState.SENDING if seconds == 0.0 else MailerState.IDLE)


def test_a_pause_holds_back_messages_and_no_copies() -> None:
    desk = Desk(ConnectionLost("no route"), sent=Sent())
    desk.queue()
    desk.queue("later", due_at=NOW + 500.0)
    pause = desk.runner.run_once()
    assert pause is not None
    assert 0.0 < pause < 60.0
    assert desk.status.state is MailerState.BACKOFF
    copy_at = NOW + pause / 2
    desk.bring(QueueState.UNKNOWN, "unknown", copy_due_at=copy_at)
    assert desk.runner.run_once() == copy_at - NOW
    desk.clock.advance(pause)
    assert desk.runner.run_once() == 0.0
    assert [desk.read(key).state for key in ("k", "later")] == [QueueState.SENT, QueueState.QUEUED]


def test_once_it_is_stopped_nothing_more_is_begun() -> None:
    desk = Desk(sent=Sent())
    for key in "abc":
        desk.queue(key)
    assert desk.runner.run_once(lambda: len(desk.line.asked) == 2) == 0.0
    assert [desk.read(key).state for key in "abc"] == ["sent", "sent", "queued"]
    assert desk.sent is not None
    assert desk.sent.saved == []
    for key in ("one", "two"):
        desk.bring(QueueState.SENT, key, copy_due_at=NOW)
    assert desk.runner.run_once(lambda: bool(desk.sent and desk.sent.saved)) == 0.0


def test_the_limits_are_a_state_and_a_wait() -> None:
    desk = Desk(limits=SendLimits(1, None))
    desk.queue("a")
    desk.queue("b", due_at=NOW + 1.0)
    assert desk.runner.run_once() == 0.0
    desk.clock.advance(10.0)
    assert desk.runner.run_once() == 50.0
    assert (desk.status.state, desk.status.reason) == (
        MailerState.LIMITED,
        f"{SendLimits(1, None)} are reached",
    )


# What it shows and logs


@pytest.mark.parametrize(
    ("answer", "state", "level", "text"),
    [
        (accept, "sent", "INFO", "<k@example.com> is sent"),
        (defer(450, "later"), "queued", "INFO", "<k@example.com> is queued: 450 later"),
        (refuse(550, "no"), "failed", "WARNING", "<k@example.com> is failed: 550 no"),
        (
            lose(content=True),
            "unknown",
            "WARNING",
            "<k@example.com> is unknown: the connection fell",
        ),
    ],
)
def test_an_outcome_is_an_event_and_a_line_of_the_log(
    answer: Answer, state: str, level: str, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "nornmail.outbox")
    desk = Desk(answer)
    shown: list[MailerState] = []
    desk.line.before = lambda: shown.append(desk.status.state)
    desk.queue()
    desk.runner.run_once()
    assert desk.read().state == state
    assert shown == [MailerState.SENDING]
    lines = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert lines == [(level, text)]
    assert len(desk.events) == 1


@pytest.mark.parametrize(
    ("error", "state", "level", "attempts"),
    [
        (ConnectionLost("no route"), MailerState.BACKOFF, "WARNING", 1),
        (AuthenticationFailed("535 no"), MailerState.AUTH_FAILED, "ERROR", 0),
        (Throttled("421 slow", kind="rate"), MailerState.THROTTLED, "WARNING", 0),
    ],
)
@pytest.mark.parametrize("retries", [True, False], ids=["kept", "direct"])
def test_trouble_with_the_server_is_a_state_a_reason_and_a_line_of_the_log(
    error: NornmailError,
    state: MailerState,
    level: str,
    attempts: int,
    retries: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk(error, retries=retries)
    desk.queue()
    if retries:
        pause = desk.runner.run_once()
        message = desk.read()
        assert (message.attempts, message.reason) == (attempts, str(error))
        assert message.state is QueueState.QUEUED
        assert (pause or 0.0) > 0.0
    else:
        assert desk.runner.try_now("k")[1] is error
    assert desk.runner.last_error is error
    assert (desk.status.state, desk.status.reason) == (state, str(error))
    line = next(one for one in caplog.records if one.getMessage().startswith("SMTP: "))
    assert line.levelname == level
    assert line.getMessage().startswith(f"SMTP: {error}")
    assert ("; next attempt in " in line.getMessage()) is retries


def test_a_reason_is_written_once_however_often_the_login_is_refused() -> None:
    desk = Desk(*[AuthenticationFailed("535 no")] * 2)
    desk.queue()
    desk.runner.run_once()
    first = desk.read()
    desk.clock.advance(10_000.0)
    desk.runner.run_once()
    assert len(desk.line.asked) == 2
    assert desk.read() == first


def test_a_throttled_server_is_left_alone_and_a_good_reply_ends_the_backoff() -> None:
    desk = Desk(defer(421, "too many messages"), accept, ConnectionLost("no route"))
    for key in "abc":
        desk.queue(key)
    long = desk.runner.run_once()
    assert long is not None
    assert long >= 45.0
    assert desk.status.state is MailerState.THROTTLED
    desk.clock.advance(long)
    desk.runner.run_once()
    short = desk.runner.run_once()
    assert short is not None
    assert short < 30.0


# What it leaves


def test_a_mistake_at_one_message_closes_the_connection_and_holds_up_no_other(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def late(envelope: Envelope, before_content: Any) -> Submission:
        accept(envelope, before_content)
        raise RuntimeError("after the content")

    desk = Desk(RuntimeError("before it"), late)
    for key in "abc":
        desk.queue(key)
    desk.runner.run_once()
    assert [desk.read(key).state for key in "abc"] == ["queued", "unknown", "sent"]
    assert [desk.read(key).reason for key in "ab"] == [
        "RuntimeError: before it",
        "RuntimeError: after the content",
    ]
    assert desk.line.closed == 2
    assert caplog.text.count("could not be submitted") == 2


@pytest.mark.parametrize("error", [StoreError("disk"), LeaseLost("gone"), KeyboardInterrupt()])
def test_what_is_not_about_a_message_closes_the_connection_and_is_raised(
    error: BaseException,
) -> None:
    desk = Desk(error)
    desk.queue()
    with pytest.raises(type(error)):
        desk.runner.run_once()
    assert desk.line.closed == 1 + isinstance(error, LeaseLost)
    assert (desk.runner._lease is None) is isinstance(error, LeaseLost)
    assert desk.read().state is QueueState.QUEUED


class SharedStore(MemoryStateStore):
    """A store in which another sender has messages in hand."""

    def __init__(self) -> None:
        super().__init__()
        self.of_others: set[str] = set()
        self.before_claim: Callable[[Lease], object] = lambda lease: None
        self.claims: list[str | None] = []
        self.quotas: list[Sequence[Quota]] = []

    def claim_message(
        self, lease: Lease, key: str | None, quotas: Sequence[Quota] = ()
    ) -> QueuedMessage | None:
        self.claims.append(key)
        self.quotas.append(quotas)
        self.before_claim(lease)
        return None if key in self.of_others else super().claim_message(lease, key, quotas)


def shared(monkeypatch: pytest.MonkeyPatch, **more: Any) -> tuple[Desk, SharedStore]:
    """A desk on such a store."""
    store = SharedStore()
    monkeypatch.setattr("tests.outbox.test_queue_runner.MemoryStateStore", lambda: store)
    return Desk(**more), store


def test_what_another_sender_has_in_hand_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, store = shared(monkeypatch, sent=Sent())
    store.of_others = {"sending", "unknown", "sent", "due"}
    desk.bring(QueueState.SENDING, "sending")
    desk.bring(QueueState.UNKNOWN, "unknown")
    desk.bring(QueueState.SENT, "sent", copy_due_at=NOW)
    desk.queue("due")
    store.request(OUTBOX, "unknown", OperatorRequest.RETRY)
    assert desk.runner.run_once() == queue_runner.SHARED_PAUSE
    assert (desk.line.asked, desk.events) == ([], [])
    assert set(store.claims) >= store.of_others
    assert store.claims[-1] is None  # it ends with nothing in hand
    store.of_others.clear()
    assert desk.runner.run_once() == 0.0
    assert len(desk.line.asked) == 2
    assert desk.read("sending").state is QueueState.UNKNOWN
    desk.queue("soon", due_at=NOW + queue_runner.SHARED_PAUSE / 2)
    assert desk.runner.run_once() == queue_runner.SHARED_PAUSE / 2


def test_only_a_claim_for_sending_keeps_to_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    desk, store = shared(monkeypatch)
    desk.bring(QueueState.SENDING, "left behind")
    desk.queue()
    desk.runner.run_once()
    assert (store.claims, store.quotas) == (["left behind", "k"], [(), SendLimits().quotas(NOW)])


@pytest.mark.parametrize("jump", [-365 * 86_400.0, -3_600.0, 3_600.0, 365 * 86_400.0])
def test_a_clock_that_is_set_lets_no_more_messages_out_and_holds_none(jump: float) -> None:
    desk = Desk(limits=SendLimits(per_minute=2, per_hour=3))
    sent: list[float] = []
    for number in range(9):
        desk.queue(str(number))
    for _ in range(20):
        pause = desk.runner.run_once()
        sent += [desk.clock.monotonic()] * (len(desk.line.asked) - len(sent))
        desk.clock.advance(min(pause or 1.0, 3_600.0))
        if len(sent) in (2, 3, 6):  # within the minute, and within the hour
            desk.clock.jump(jump)
    assert len(sent) == 9
    assert all(later - at >= 60.0 for at, later in zip(sent, sent[2:], strict=False))
    assert all(later - at >= 3_600.0 for at, later in zip(sent, sent[3:], strict=False))


def test_a_message_that_another_sender_changed_is_read_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, store = shared(monkeypatch)
    message = desk.queue()

    def change(lease: Lease) -> None:
        store.before_claim = lambda lease: None
        changed = message._replace(state=QueueState.QUEUED, due_at=NOW + 50.0)
        store.commit_messages(lease, [changed])

    store.before_claim = change
    assert desk.runner.run_once() == 0.0
    assert desk.runner.run_once() == 50.0
    assert desk.line.asked == []


def test_a_request_that_another_sender_applied_is_not_applied_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk, store = shared(monkeypatch)
    unknown = desk.bring(QueueState.UNKNOWN)
    store.request(OUTBOX, "k", OperatorRequest.RETRY)

    def apply(lease: Lease) -> None:
        """The other one tried it, and it is unknown again."""
        store.before_claim = lambda lease: None
        for state in (QueueState.QUEUED, QueueState.SENDING, QueueState.UNKNOWN):
            store.commit_messages(lease, [unknown._replace(state=state)])

    store.before_claim = apply
    desk.runner.run_once()
    assert desk.read() == unknown
    assert desk.line.asked == []


def test_an_outcome_is_settled_before_another_message_is_claimed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else another sender could send it meanwhile, and the late outcome would queue it again."""
    desk, store = shared(monkeypatch)
    message = desk.queue()
    desk.bring(QueueState.FAILED, "other")
    store.request(OUTBOX, "other", OperatorRequest.RETRY)
    desk.runner._unsettled = message._replace(reason="the disk was full")
    states: list[str] = []
    store.before_claim = lambda lease: states.append(desk.read().reason)
    desk.runner.apply_requests()
    assert states == ["the disk was full"]
    assert desk.read("other").state is QueueState.QUEUED


def test_releasing_twice_is_harmless_and_the_lease_is_free() -> None:
    desk = Desk()
    desk.runner.acquire("host:1")
    desk.runner.release()
    desk.runner.release()
    assert desk.line.closed == 2
    mailbox = MailboxKey.of_outbox(OUTBOX)
    desk.store.release(desk.store.acquire(mailbox, "host:2"))
    with pytest.raises(LeaseLost, match=f"no lease on the outbox of {OUTBOX} is held"):
        desk.runner._commit(letter())


def test_an_outcome_that_could_not_be_written_is_written_by_the_next_run_or_the_release(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for act in (QueueRunner.run_once, QueueRunner.release):
        desk = Desk()
        desk.queue()
        commit = desk.store.commit_messages
        full = [False, True]

        def fails(lease: Any, messages: Any, commit: Any = commit, full: Any = full) -> None:
            if full and full.pop(0):
                raise StoreError("the disk is full")
            commit(lease, messages)

        monkeypatch.setattr(desk.store, "commit_messages", fails)
        with pytest.raises(StoreError):
            desk.runner.run_once()
        assert desk.read().state is QueueState.SENDING
        act(desk.runner)
        assert desk.read().state is QueueState.SENT
        assert len(desk.events) == 1
        assert len(desk.line.asked) == 1


def test_an_outcome_that_the_store_refuses_is_discarded(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    desk.bring(QueueState.SENT)
    desk.runner._unsettled = letter()._replace(state=QueueState.QUEUED)
    assert desk.runner.run_once() is None
    assert "its outcome is discarded" in caplog.text
    assert desk.runner._unsettled is None


def test_what_a_process_left_half_sent_is_unknown() -> None:
    desk = Desk(sent=Sent())
    desk.bring(QueueState.SENDING)
    desk.runner.run_once()
    message = desk.read()
    assert (message.state, message.reason) == (QueueState.UNKNOWN, transitions.NO_ANSWER)
    assert message.copy_due_at > 0.0
    assert desk.line.asked == []


@pytest.mark.parametrize(
    ("approval", "state", "events"), [("queue", "held", ["OutboxHeld"]), ("draft", "draft", [])]
)
def test_what_waits_for_a_person_again(approval: str, state: str, events: list[str]) -> None:
    desk = Desk()
    desk.bring(QueueState.FAILED, approval=approval)
    desk.store.request(OUTBOX, "k", OperatorRequest.RETRY)
    desk.runner.run_once()
    assert desk.read().state == state
    assert [type(event).__name__ for event in desk.events] == events


def test_a_pause_that_is_over_is_no_state_any_more() -> None:
    desk = Desk(ConnectionLost("no route"))
    desk.queue()
    pause = desk.runner.run_once()
    assert pause is not None
    desk.store.request(OUTBOX, "k", OperatorRequest.DROP)
    desk.clock.advance(pause)
    assert desk.runner.run_once() is None
    assert desk.status.state is MailerState.IDLE


def test_requests_are_applied_and_logged_and_those_that_do_not_fit_are_left(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "nornmail.outbox")
    desk = Desk()
    desk.queue("a", due_at=NOW + 99.0)
    desk.queue("b", due_at=NOW + 99.0)
    desk.store.request(OUTBOX, "a", OperatorRequest.RETRY)
    desk.store.request(OUTBOX, "b", OperatorRequest.DROP)
    desk.runner.run_once()
    assert [desk.read(key).state for key in "ab"] == ["sent", "failed"]
    assert "<a@example.com>: an operator requested: retry" in caplog.text
    assert desk.store.pending_requests(OUTBOX) == []


def test_one_message_alone_may_be_sent() -> None:
    desk = Desk()
    for key in "ab":
        desk.queue(key)
    desk.queue("c", due_at=NOW + 99.0)
    desk.store.request(OUTBOX, "a", OperatorRequest.DROP)
    assert desk.runner.run_once(only="b") == 0.0
    assert desk.runner.run_once(only="b") is None
    assert desk.runner.run_once(only="c") is None
    assert desk.runner.run_once(only="missing") is None
    assert [desk.read(key).state for key in "abc"] == ["queued", "sent", "queued"]


def test_what_an_operator_changes_meanwhile_is_looked_at_again() -> None:
    desk = Desk()
    for key in "ab":
        desk.queue(key)
    desk.line.before = lambda: desk.store.request(OUTBOX, "b", OperatorRequest.DROP)
    desk.runner.run_once()
    assert desk.line.asked == [("ann@example.org",)]
    assert desk.read("b").state is QueueState.FAILED


def test_bytes_that_are_missing_or_cannot_be_read_hold_up_no_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    for key in "abc":
        desk.queue(key)
    read = desk.store.message_bytes

    def bytes_of(outbox: str, key: str) -> bytes | None:
        if key == "a":
            raise StoreError("the file cannot be read")
        return None if key == "b" else read(outbox, key)

    monkeypatch.setattr(desk.store, "message_bytes", bytes_of)
    desk.runner.run_once()
    assert [desk.read(key).state for key in "abc"] == ["queued", "failed", "sent"]
    assert desk.read("b").reason == transitions.NO_BYTES
    assert "the bytes of <a@example.com>: the file cannot be read" in caplog.text


def test_a_direct_attempt_forgets_the_message_whatever_comes_of_it() -> None:
    def reject(_: object) -> bool:
        raise Reject("no")

    for answer, hook, state, event in (
        (accept, None, "sent", "OutboxSent"),
        (defer(), None, "queued", "OutboxFailed"),
        (accept, reject, "failed", "OutboxFailed"),
        (lose(content=True), None, "unknown", "OutboxUnknown"),
    ):
        desk = Desk(answer, retries=False, before_send=hook)
        desk.queue()
        tried, error = desk.runner.try_now("k")
        assert (str(tried.state), error) == (state, None)
        assert desk.store.message_bytes(OUTBOX, "k") is None
        assert desk.read().state == ("sent" if state == "sent" else "failed")
        assert [type(one).__name__ for one in desk.events] == [event]
    with pytest.raises(LookupError, match="no message with the key other"):
        desk.runner.try_now("other")


@pytest.mark.parametrize(
    ("error", "after", "asked"),
    [
        pytest.param(Throttled("slow", kind="rate"), 4.0, 1, id="throttled, four seconds ago"),
        pytest.param(Throttled("slow", kind="rate"), 5.0, 2, id="throttled, five seconds ago"),
        pytest.param(AuthenticationFailed("535"), 5.0, 1, id="refused, five seconds ago"),
        pytest.param(AuthenticationFailed("535"), 5_000.0, 2, id="refused, an hour ago"),
        pytest.param(ConnectionLost("no route"), 0.0, 2, id="unreachable, just now"),
    ],
)
def test_when_a_direct_attempt_would_only_annoy_the_server(
    error: NornmailError, after: float, asked: int
) -> None:
    desk = Desk(error, retries=False)
    for key in "ab":
        desk.queue(key)
    assert desk.runner.try_now("a")[1] is error
    desk.clock.advance(after)
    assert desk.runner.try_now("b")[1] is (error if asked == 1 else None)
    assert len(desk.line.asked) == asked


def test_the_limits_hold_for_direct_attempts() -> None:
    desk = Desk(retries=False, limits=SendLimits(1, None))
    for key in "ab":
        desk.queue(key)
    assert desk.runner.try_now("a")[1] is None
    error = desk.runner.try_now("b")[1]
    assert isinstance(error, Throttled)
    assert (error.wait, error.kind) == (60.0, "rate")
    assert len(desk.line.asked) == 1


# The copy in the mailbox of sent mail


@pytest.mark.parametrize("saves", [False, True], ids=["by us", "by the server"])
def test_what_is_sent_is_copied_and_what_is_unknown_is_looked_for(saves: bool) -> None:
    desk = Desk(accept, lose(content=True), refuse(), sent=Sent(saves, has_it=True))
    for key in "abc":
        desk.queue(key)
    desk.runner.run_once()
    due = [desk.read(key).copy_due_at for key in "abc"]
    assert due == [0.0 if saves else NOW, NOW, 0.0]
    desk.runner.run_once()
    assert [desk.read(key).state for key in "abc"] == ["sent", "sent", "failed"]
    assert [desk.read(key).copied for key in "abc"] == [not saves, True, False]
    assert desk.runner.run_once() is None


def test_a_copy_that_fails_is_said_until_one_is_saved(caplog: pytest.LogCaptureFixture) -> None:
    sent = Sent(error=ConnectionLost("no route"))
    desk = Desk(sent=sent)
    desk.bring(QueueState.SENT, copy_due_at=NOW)
    assert desk.runner.run_once() == 60.0
    text = "the copy of <k@example.com> was not saved: no route; will be tried again"
    assert (desk.runner.copy_error, desk.read().copy_tries) == (text, 1)
    assert text in caplog.text
    sent.error = None
    assert desk.runner.run_once() == 60.0, "it is not asked before"
    desk.clock.advance(60.0)
    assert desk.runner.run_once() is None
    assert desk.runner.copy_error == ""
    assert (sent.saved, desk.read().copied) == ([RAW], True)


def test_a_copy_that_is_due_waits_for_a_mailer_that_has_a_mailbox() -> None:
    desk = Desk()
    before = desk.bring(QueueState.SENT, copy_due_at=NOW)
    assert desk.runner.run_once() is None
    assert desk.read() == before


def test_a_draft_without_a_mailbox_of_drafts_says_so() -> None:
    desk = Desk(sent=Sent())
    desk.bring(QueueState.DRAFT, copy_due_at=NOW)
    desk.runner.run_once()
    draft = desk.read()
    assert draft.reason == "no mailbox of drafts is configured"
    assert (draft.state, draft.copy_due_at) == (QueueState.DRAFT, NOW + 60.0)


def test_a_mailbox_of_drafts_that_fails_is_tried_until_it_does_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Drafts(Sent):
        def append_draft(self, raw: bytes, at: datetime) -> None: ...

        def find_draft(self, *_: object) -> str:
            raise ConnectionLost("no route")

    desk = Desk(sent=Drafts())
    desk.bring(QueueState.DRAFT, copy_due_at=NOW)
    desk.runner.run_once()
    assert (desk.read().reason, desk.read().copy_due_at) == ("no route", NOW + 60.0)
    assert "the draft <k@example.com>: no route; it will be tried again" in caplog.text
    assert desk.runner.copy_error == ""


def test_a_copy_that_never_succeeds_is_given_up() -> None:
    desk = Desk(sent=Sent(error=ConnectionLost("no route")))
    desk.bring(QueueState.SENT, copy_due_at=NOW, copy_tries=transitions.COPY_TRIES - 1)
    assert desk.runner.run_once() is None
    assert desk.runner.copy_error.endswith("was not saved: no route; given up")
    assert desk.store.message_bytes(OUTBOX, "k") is None


def test_a_store_that_fails_at_a_copy_is_the_error() -> None:
    desk = Desk(sent=Sent(error=StoreError("disk")))
    desk.bring(QueueState.SENT, copy_due_at=NOW)
    with pytest.raises(StoreError):
        desk.runner.run_once()
    assert desk.read().copy_tries == 0


@pytest.mark.parametrize("behind", [False, True], ids=["not written", "written"])
def test_what_was_about_to_be_sent_when_the_store_failed_is_sent_by_the_next_run(
    behind: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk()
    desk.queue()
    commit, failures = desk.store.commit_messages, [StoreError("disk")]

    def fails(lease: Any, messages: Any) -> None:
        if failures and not behind:
            raise failures.pop()
        commit(lease, messages)
        if failures:
            raise failures.pop()

    monkeypatch.setattr(desk.store, "commit_messages", fails)
    with pytest.raises(StoreError):
        desk.runner.run_once()
    assert desk.read().state == ("sending" if behind else "queued")
    desk.runner.run_once()
    desk.runner.run_once()
    assert desk.read().state is QueueState.SENT


def test_requests_that_do_not_fit_any_more_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk()
    message = desk.queue(due_at=NOW + 99.0)
    late = [("k", OperatorRequest.SENT), ("missing", OperatorRequest.DROP)]
    monkeypatch.setattr(desk.store, "pending_requests", lambda _: late)
    assert desk.runner.run_once() == 99.0
    assert desk.read() == message


def test_a_direct_attempt_settles_what_was_left_and_saves_its_copy() -> None:
    sent = Sent()
    desk = Desk(sent=sent, retries=False)
    desk.bring(QueueState.SENDING, "left")
    desk.queue()
    assert desk.runner.try_now("k")[0].state is QueueState.SENT
    assert desk.read("left").state is QueueState.UNKNOWN
    assert sent.saved == [RAW]


def test_what_was_found_is_an_event_and_a_saved_copy_is_none() -> None:
    desk = Desk(accept, lose(content=True), sent=Sent(has_it=True))
    for key in "ab":
        desk.queue(key)
    desk.runner.run_once()
    assert [type(event).__name__ for event in desk.events] == ["OutboxSent", "OutboxUnknown"]
    desk.runner.run_once()
    (found,) = desk.events[2:]
    assert isinstance(found, OutboxSent)
    assert found.key == "b"


def test_what_was_dropped_or_is_there_needs_no_copy() -> None:
    sent = Sent()
    desk = Desk(sent=sent)
    recipients = (
        Recipient("ann@example.org", RecipientStatus.ACCEPTED, 250, "OK"),
        Recipient("bob@example.org"),
    )
    lease = desk.runner._lease
    assert lease is not None
    for key, state, more in (
        ("dropped", QueueState.QUEUED, {"recipients": recipients}),
        ("there", QueueState.UNKNOWN, {"copied": True}),
    ):
        message = letter(key, due_at=NOW + 99.0)._replace(**more)
        bring(desk.store, lease, message, state)
    desk.store.request(OUTBOX, "dropped", OperatorRequest.DROP)
    desk.store.request(OUTBOX, "there", OperatorRequest.SENT)
    desk.runner.run_once()
    assert [desk.read(key).state for key in ("dropped", "there")] == ["sent", "sent"]
    assert [desk.read(key).copy_due_at for key in ("dropped", "there")] == [0.0, 0.0]
    assert sent.saved == []
    assert desk.runner.copy_error == ""


def test_another_message_of_ours_is_no_draft_and_what_is_sent_is_copied_by_its_mailbox() -> None:
    others: list[bool] = []

    class Drafts(Sent):
        def append_draft(self, raw: bytes, at: datetime) -> None: ...

        def find_draft(self, own: str, answered: str, since: datetime, is_other: Any) -> str:
            others.extend(map(is_other, (own, "<sent@example.com>", "<strange@example.com>")))
            return "draft"

    sent = Drafts()
    desk = Desk(sent=sent)
    desk.bring(QueueState.DRAFT, copy_due_at=NOW)
    desk.bring(QueueState.SENT, "sent", copy_due_at=NOW)
    desk.runner.run_once()
    assert others == [False, True, False]
    assert sent.saved == [RAW]


def test_what_was_sent_long_ago_is_forgotten_a_part_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(queue_runner, "FORGOTTEN_AT_ONCE", 2)
    desk = Desk(retention=float(SENT_DAYS + 1))
    kept = Desk()
    for one in (desk, kept):
        for key in "abcde":
            one.bring(QueueState.SENT, key, changed_at=NOW)
        one.bring(QueueState.SENT, "young", changed_at=NOW + 1.0)
        one.clock.advance((SENT_DAYS + 1) * 86_400.0 + 1.0)
    left = []
    for _ in range(4):
        assert desk.runner.run_once() is None
        left.append(desk.store.count_messages(OUTBOX, {QueueState.SENT}))
    assert left == [4, 2, 1, 1]
    desk.clock.advance(1.0)
    desk.runner.run_once()
    assert desk.store.count_messages(OUTBOX, {QueueState.SENT}) == 1, "once an hour"
    desk.clock.advance(queue_runner.FORGET_INTERVAL - 1.0)
    desk.runner.run_once()
    assert desk.store.count_messages(OUTBOX, {QueueState.SENT}) == 0
    kept.runner.run_once()
    assert kept.store.count_messages(OUTBOX, {QueueState.SENT}) == 6
