"""Delivery by itself, without a server: claims, outcomes, inboxes, pauses and probes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, cast

import pytest

from nornmail import Defer, ImapSettings, Inbox, MemoryStateStore, Message, Poller, Reject
from nornmail.clock import utc_datetime
from nornmail.errors import ConfigurationError, HandlerError, MessageGone, StoreError
from nornmail.model import After, Entry, EntryKey, PutEntry, SaveMailbox, State
from nornmail.poller import delivery as module
from nornmail.poller.decisions import BATCH_MESSAGES
from nornmail.poller.delivery import ENDED, NOT_DELIVERED, Delivery
from nornmail.poller.fetch import FetchedMessage
from nornmail.poller.handler import MAX_OVERDUE, Outcome
from nornmail.poller.inboxes import REMOVED, SET_ASIDE, Job
from nornmail.poller.recognition import digest_of
from nornmail.poller.status import PollStats
from nornmail.poller.worker_pool import Schedule, WorkerPool
from tests.poller.mailbox import header, mail
from tests.stores.support import record
from tests.support.clock import FakeClock

NOW = FakeClock().wall()
FIVE = 5
"""Failures of different messages in a row by which the handler is down."""


def fetched(uid: int, name: str = "", **more: Any) -> FetchedMessage:
    raw = more.pop("raw", mail(name or f"m{uid}"))
    facts = {"flags": frozenset(), "size": len(raw), "received_at": NOW - 9.0, "truncated": False}
    return FetchedMessage(uid=uid, raw=raw, **{**facts, **more})


class Bench:
    """A poller's delivery, and a handler that does what is said by subject."""

    def __init__(self, store: MemoryStateStore, **options: Any) -> None:
        self.store, self.clock = store, FakeClock()
        self.calls: list[tuple[str, str, int]] = []
        self.acts: dict[str, Callable[[Message], object]] = {}
        self.stopped = False
        self.emitted: list[Any] = []
        settings = ImapSettings(host="imap.example.com", username="me@example.com", password="x")
        if options.pop("several", False):
            options["inboxes"] = [
                Inbox(one, on_message=self.handle) for one in ("a@x.org", "b@x.org")
            ]
        else:
            options["on_message"] = self.handle
        self.poller = Poller(
            settings, store=store, clock=self.clock, on_event=self.emitted.append, **options
        )
        self.delivery: Delivery = self.poller._cycle.delivery
        self.delivery.stopped = lambda: self.stopped
        self.ledger = self.delivery.ledger
        self.stats = PollStats()
        self.ledger.take()
        self.ledger.commit(SaveMailbox(record()))
        self.ledger.finish_recovery()

    def handle(self, message: Message) -> object:
        self.calls.append((message.subject, message.inbox, message.attempt))
        act = self.acts.get(message.subject)
        return None if act is None else act(message)

    def fails(self, *subjects: str) -> None:
        def fail(_: Message) -> None:
            raise RuntimeError("down")

        self.acts.update(dict.fromkeys(subjects, fail))

    def deliver(self, *uids: int, **more: Any) -> None:
        self.delivery.deliver_new([fetched(uid, **more) for uid in uids], self.stats)

    def later(self, seconds: float = 0.0) -> None:
        self.clock.advance(seconds)
        self.delivery.retry_due(self.stats)

    def states(self) -> dict[int | tuple[int, str], str]:
        return {
            (e.key.uid, e.key.inbox) if e.key.inbox else e.key.uid: str(e.state)
            for e in self.ledger.entries(*State)
        }

    def entry(self, uid: int, inbox: str = "") -> Entry:
        entry = self.store.get(self.ledger.mailbox, EntryKey(1, uid, inbox))
        assert entry is not None
        return entry


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    with closing(MemoryStateStore()) as store:
        made = Bench(store, **getattr(request, "param", {}))
        with closing(made.poller):
            yield made


several = pytest.mark.parametrize("bench", [{"several": True}], indirect=True, ids=["two inboxes"])


def raises(error: BaseException) -> Callable[[Message], object]:
    def act(_: Message) -> object:
        raise error

    return act


@pytest.mark.parametrize(
    ("act", "state", "due_at", "attempts", "reason", "counts"),
    [
        pytest.param(lambda _: None, "handled", 0.0, 0, "", (1, 1, 0), id="returns"),
        pytest.param(raises(Reject("spam")), "dead", 0.0, 0, "spam", (1, 0, 1), id="rejects"),
        pytest.param(raises(Defer(60)), "waiting", NOW + 60.0, 0, "", (1, 0, 1), id="defers"),
        pytest.param(raises(Defer(0)), "waiting", NOW, 0, "", (1, 0, 1), id="defers by nothing"),
        pytest.param(
            raises(Defer(1e12)), "waiting", NOW + 28_800.0, 0, "", (1, 0, 1), id="defers for ever"
        ),
        pytest.param(
            raises(RuntimeError("x" * 5_000)), "waiting", NOW + 60.0, 1, "x", (1, 0, 1), id="raises"
        ),
        pytest.param(
            lambda message: message.after(move_to="Done", flags=("\\Flagged",)),
            "handled", 0.0, 0, After("Done", ("\\Flagged",)).to_reason(), (1, 1, 0), id="moves",
        ),
    ],
)  # fmt: skip
def test_what_a_call_makes_of_a_message(
    bench: Bench,
    act: Callable[[Message], object],
    state: str,
    due_at: float,
    attempts: int,
    reason: str,
    counts: tuple[int, int, int],
) -> None:
    bench.acts["m4"] = act
    bench.deliver(4)
    entry = bench.entry(4)
    assert (str(entry.state), entry.attempts, entry.due_at) == (state, attempts, due_at)
    assert reason in entry.reason
    assert len(entry.reason) <= 2_000
    assert (entry.size, entry.received_at) == (len(mail("m4")), NOW - 9.0)
    assert (entry.digest, entry.message_id) == (digest_of(mail("m4")), "<m4@b.test>")
    assert (bench.ledger.raw(entry.key) is not None) is (state in ("waiting", "dead"))
    stats = bench.stats
    assert (stats.new, stats.handled, stats.failed) == counts
    assert bool(bench.delivery.last_failure) is (state in ("waiting", "dead"))


def test_new_mail_is_delivered_in_its_order_and_each_outcome_waits_for_the_next_claim(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    shown: list[dict[Any, str]] = []
    for name in ("m4", "m7"):
        bench.acts[name] = lambda _: shown.append(bench.states())
    bench.fails("m5")
    bench.deliver(4, 5, 7)
    assert [subject for subject, *_ in bench.calls] == ["m4", "m5", "m7"]
    assert shown == [{4: "claimed"}, {4: "handled", 5: "waiting", 7: "claimed"}]
    assert bench.states() == {4: "handled", 5: "waiting", 7: "handled"}
    ends = [line.partition("UID=")[2].partition(":")[0] for line in caplog.messages]
    assert ends == ["4 is handled", "5 is waiting", "7 is handled"]


def test_a_message_without_a_date_is_delivered(bench: Bench) -> None:
    dates: list[object] = []
    bench.acts["m1"] = lambda message: dates.append(message.received_at)
    bench.deliver(1, received_at=None)
    assert dates == [None]


def test_what_a_late_call_brought_is_written_though_nothing_is_due(bench: Bench) -> None:
    claimed = bench.ledger.new_entry(5)._replace(state=State.CLAIMED)
    bench.ledger.commit(PutEntry(claimed))
    bench.ledger.later(PutEntry(claimed._replace(state=State.HANDLED)))
    bench.later()
    assert bench.states() == {5: "handled"}


def test_a_late_success_that_cannot_be_written_is_said_at_the_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_delivery: Delivery, _stats: PollStats) -> None:
        raise StoreError("disk full")

    monkeypatch.setattr(Delivery, "_settle_late", refuse)
    bench.delivery.finish(bench.stats)
    monkeypatch.undo()
    assert "a late success is not recorded: disk full" in caplog.text


def test_a_stop_leaves_the_rest_unseen(bench: Bench) -> None:
    def stop(_: Message) -> None:
        bench.stopped = True

    bench.acts["m4"] = stop
    bench.deliver(4, 5)
    assert bench.states() == {4: "handled"}
    one = bench.delivery
    assert (one.is_behind, one.must_pause(), one.room()) == (True, True, 0)
    bench.later(1e6)
    assert len(bench.calls) == 1
    one.stopped = lambda: False
    assert (one.is_behind, one.must_pause(), one.room()) == (False, False, BATCH_MESSAGES)


def test_a_handler_that_stops_the_program_has_its_outcome_written_first(bench: Bench) -> None:
    bench.acts["m4"] = raises(SystemExit())
    with pytest.raises(SystemExit):
        bench.deliver(4, 5)
    assert bench.states()[4] in ("waiting", "handled")
    assert 5 not in bench.states()


# Retries


def test_what_failed_is_tried_again_from_its_bytes_until_it_is_dead(bench: Bench) -> None:
    bench.fails("m4")
    bench.deliver(4)
    waits = (60.0, 300.0, 1_800.0, 7_200.0, 28_800.0)
    for number, wait in enumerate(waits, 2):
        assert bench.delivery.until_due() == wait
        bench.later(wait - 1.0)
        assert len(bench.calls) == number - 1
        bench.later(1.0)
        assert bench.calls[-1] == ("m4", "", number)
    assert bench.states() == {4: "dead"}
    assert bench.delivery.until_due() is None
    assert bench.ledger.raw(EntryKey(1, 4)) is not None
    bench.acts.clear()
    bench.store.request_retry(bench.ledger.mailbox, EntryKey(1, 4))
    bench.later()
    assert bench.states() == {4: "handled"}
    assert (bench.stats.new, bench.stats.handled, bench.stats.failed) == (1, 1, 6)


def test_a_retry_of_what_an_earlier_epoch_kept_the_bytes_of_needs_no_server(bench: Bench) -> None:
    bench.acts["m4"] = raises(Reject("no"))
    bench.deliver(4)
    bench.acts.clear()
    bench.ledger.commit(SaveMailbox(record(2)))
    bench.store.request_retry(bench.ledger.mailbox, EntryKey(1, 4))
    bench.later()
    assert bench.entry(4).state is State.HANDLED


def test_a_retry_that_is_requested_while_it_is_stopped_waits(bench: Bench) -> None:
    bench.acts["m4"] = raises(Reject("no"))
    bench.deliver(4)
    bench.store.request_retry(bench.ledger.mailbox, EntryKey(1, 4))
    bench.stopped = True
    bench.later()
    assert bench.states() == {4: "dead"}


def test_without_bytes_nothing_is_tried(bench: Bench) -> None:
    bench.fails("m4")
    bench.deliver(4)
    bench.store._connection.execute("DELETE FROM raw")
    bench.later(60.0)
    assert len(bench.calls) == 1
    assert bench.ledger.open.without_bytes == {EntryKey(1, 4)}


# The handler is down


def test_a_handler_that_is_down_gets_one_message_at_growing_intervals(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    names = [f"m{uid}" for uid in range(1, 9)]
    bench.fails(*names)
    bench.deliver(*range(1, 9))
    assert len(bench.calls) == FIVE, "nothing new is claimed"
    assert caplog.text.count("the handler seems to be down") == 1
    assert [type(event).__name__ for event in bench.emitted].count("HandlerFailing") == 1
    assert bench.delivery.until_due() == 5.0
    bench.later(4.0)
    assert len(bench.calls) == FIVE
    for wait in (1.0, 10.0, 20.0):
        before = {uid: bench.entry(uid).attempts for uid in range(1, FIVE + 1)}
        count = len(bench.calls)
        bench.later(wait)
        assert len(bench.calls) == count + 1
        assert {uid: bench.entry(uid).attempts for uid in range(1, FIVE + 1)} == before
    assert len({subject for subject, *_ in bench.calls[FIVE:]}) == 3, "another one each time"
    bench.acts.clear()
    bench.later(40.0)
    assert bench.delivery.may_claim()
    assert len([s for s in bench.states().values() if s == "handled"]) == 1


def test_while_it_is_stopped_no_probe_is_made(bench: Bench) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 6)))
    bench.deliver(*range(1, 6))
    bench.stopped = True
    bench.later(1e5)
    assert len(bench.calls) == FIVE


def test_when_all_that_failed_is_gone_new_mail_is_let_in(bench: Bench) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 6)))
    bench.acts["m5"] = raises(RuntimeError("down"))
    bench.deliver(*range(1, 6))
    for uid in range(1, 6):
        waiting = bench.entry(uid)
        bench.ledger.commit(PutEntry(waiting._replace(state=State.DEAD, due_at=0.0)))
    bench.later(5.0)
    assert bench.delivery.may_claim()
    bench.deliver(6)
    assert bench.calls[-1][0] == "m6"


def test_five_messages_that_always_fail_keep_the_next_one_out_for_hours_at_most(
    bench: Bench,
) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 6)))
    bench.deliver(*range(1, 6))
    for _ in range(40):
        assert not bench.delivery.may_claim()
        bench.later(300.0)
    bench.deliver(6)
    assert str(bench.entry(6).state) == "handled"
    assert not bench.delivery.breaker.failing()


def test_a_new_message_that_is_let_in_to_probe_fails_without_an_attempt(bench: Bench) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 9)))
    bench.deliver(*range(1, 6))
    for uid in range(1, 5):
        bench.ledger.commit(PutEntry(bench.entry(uid)._replace(state=State.DEAD, due_at=0.0)))
    bench.later(5.0)
    bench.later(10.0)
    assert bench.delivery.may_claim(), "one alone may be poison"
    bench.deliver(6, 7)
    assert bench.calls[-1][0] == "m6"
    assert (str(bench.entry(6).state), bench.entry(6).attempts) == ("waiting", 0)
    assert 7 not in bench.states()


# Claims that were abandoned


@pytest.mark.parametrize(
    ("earlier", "delivered", "state", "due_at", "attempts", "reason"),
    [
        pytest.param("", True, "waiting", NOW, 1, ENDED, id="at once"),
        pytest.param(ENDED, True, "waiting", NOW + 60.0, 1, ENDED, id="it waits the second time"),
        pytest.param("", False, "waiting", NOW, 0, NOT_DELIVERED, id="it was not delivered"),
    ],
)
def test_an_abandoned_claim(
    bench: Bench,
    earlier: str,
    delivered: bool,
    state: str,
    due_at: float,
    attempts: int,
    reason: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    claimed = bench.ledger.new_entry(4)._replace(state=State.CLAIMED, reason=earlier)
    bench.ledger.commit(PutEntry(claimed, mail("m4")))
    if not delivered:
        bench.ledger._undelivered.add(claimed.key)
    bench.ledger.recovered = False
    bench.delivery.recover()
    entry = bench.entry(4)
    assert (str(entry.state), entry.due_at, entry.attempts) == (state, due_at, attempts)
    assert (entry.reason, entry.changed_at) == (reason, NOW)
    assert bench.ledger.recovered
    (line,) = [record for record in caplog.records if reason in record.getMessage()]
    assert line.levelname == ("WARNING" if delivered else "INFO")
    again = f"it is tried again at {utc_datetime(due_at):%H:%M:%S} UTC"
    assert line.getMessage().endswith(again) is delivered


# Known mail, inboxes, parts of a message


def test_mail_from_before_the_epoch_that_is_known_is_passed_over(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    bench.deliver(4)
    second = record(2)._replace(epoch=record(2).epoch._replace(boundary=9))
    bench.ledger.commit(SaveMailbox(second))
    bench.delivery.deliver_new([fetched(5, "m4"), fetched(9, "m4")], bench.stats)
    assert [subject for subject, *_ in bench.calls] == ["m4", "m4"], "at the boundary it is new"
    assert bench.stats.passed_over == 1
    assert " is known from an earlier epoch as " in caplog.text


@several
def test_each_inbox_gets_a_message_once_and_a_stop_keeps_it_for_the_other(bench: Bench) -> None:
    raw = b"To: a@x.org, b@x.org\r\n" + mail("m4")
    message = fetched(4, raw=raw)

    def stop(_: Message) -> None:
        bench.stopped = True

    bench.acts["m4"] = stop
    bench.delivery.deliver_new([message], bench.stats)
    assert bench.calls == [("m4", "a@x.org", 1)]
    assert bench.states() == {(4, "a@x.org"): "handled", (4, "b@x.org"): "waiting"}
    entry = bench.entry(4, "b@x.org")
    assert (entry.reason, entry.due_at, entry.attempts) == (SET_ASIDE, NOW, 0)
    bench.stopped = False
    bench.acts.clear()
    bench.later()
    assert bench.calls[1:] == [("m4", "b@x.org", 1)]
    assert (bench.stats.new, bench.stats.handled) == (1, 2)
    bench.delivery.deliver_new([message], bench.stats)
    assert len(bench.calls) == 2


@several
def test_a_message_for_two_inboxes_is_one_new_message(bench: Bench) -> None:
    raw = b"To: a@x.org, b@x.org\r\n" + mail("m4")
    bench.delivery.deliver_new([fetched(4, raw=raw)], bench.stats)
    assert [inbox for _, inbox, _ in bench.calls] == ["a@x.org", "b@x.org"]
    assert (bench.stats.new, bench.stats.handled) == (1, 2)
    assert bench.stats.new_in == {"a@x.org": 1, "b@x.org": 1}


@several
def test_what_no_inbox_wants_is_passed_over_and_said(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    raw = b"To: c@x.org\r\n" + mail("m4")
    bench.delivery.deliver_new([fetched(4, raw=raw)], bench.stats)
    assert bench.states() == {(4, "*"): "passed over"}
    assert bench.stats.passed_over == 1
    assert "4 is passed over: " in caplog.text


@several
def test_what_waits_for_an_inbox_that_is_removed_is_dead(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.fails("m4")
    raw = b"To: a@x.org, b@x.org\r\n" + mail("m4")
    bench.delivery.deliver_new([fetched(4, raw=raw)], bench.stats)
    bench.poller.remove_inbox("a@x.org")
    bench.delivery.apply_changes()
    assert bench.states() == {(4, "a@x.org"): "dead", (4, "b@x.org"): "waiting"}
    entry = bench.entry(4, "a@x.org")
    assert (entry.reason, entry.due_at, entry.changed_at) == (REMOVED, 0.0, NOW)
    assert "a@x.org" in caplog.text
    assert bench.ledger.raw(entry.key) is not None


@pytest.mark.parametrize(
    "bench", [{"accept": lambda message: message.subject == "m4"}], indirect=True
)
def test_what_is_not_accepted_is_passed_over_and_no_call(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    bench.deliver(4, 5)
    assert bench.states() == {4: "handled", 5: "passed over"}
    stats = bench.stats
    assert (stats.new, stats.handled, stats.failed, stats.passed_over) == (1, 1, 0, 1)
    assert caplog.text.count("is passed over: filtered") == 1
    assert len(bench.calls) == 1


@pytest.mark.parametrize("same", [True, False], ids=["the same", "another"])
def test_the_rest_of_a_message_is_that_of_the_same_one(bench: Bench, same: bool) -> None:
    whole = mail("m4", body=b"x" * 999) if same else mail("other")
    pieces = [whole[at : at + 7] for at in range(0, len(whole), 7)]
    maker = bench.delivery.maker
    bench.delivery.maker = replace(maker, fetch_rest=lambda _: iter(pieces))
    rest: list[object] = []

    def read(message: Message) -> None:
        try:
            rest.append(message.fetch_rest().raw)
        except MessageGone as error:
            rest.append(str(error))

    bench.acts["m4"] = read
    raw = header(mail("m4"))
    bench.delivery.deliver_new([fetched(4, raw=raw, size=2_000, truncated=True)], bench.stats)
    assert rest == [whole] if same else "is a different message now" in str(rest[0])
    assert bench.entry(4).truncated
    assert bench.entry(4).digest == digest_of(raw, truncated=True)


@pytest.mark.parametrize(
    ("move_to", "flags", "refused"),
    [
        ("Done", (), ""),
        (None, ("\\Flagged", "Later", "$Label1"), ""),
        ("", (), "must be the name of another mailbox"),
        ("inbox", (), "must be the name of another mailbox"),
        (None, ("two words",), "must be a flag"),
        (None, ("\\Deleted",), "must be a flag"),
        (None, ("\\recent",), "must be a flag"),
        (None, ("Later", ""), "must be a flag"),
    ],
)
def test_what_a_handler_may_ask_for(
    bench: Bench, move_to: str | None, flags: tuple[str, ...], refused: str
) -> None:
    errors: list[str] = []
    kept: list[Message] = []

    def ask(message: Message) -> None:
        kept.append(message)
        try:
            message.after(move_to=move_to, flags=flags)
        except ConfigurationError as error:
            errors.append(str(error))

    bench.acts["m4"] = ask
    bench.deliver(4)
    assert [refused in error for error in errors] == ([True] if refused else [])
    expected = "" if refused else After(move_to, flags).to_reason()
    assert bench.entry(4).reason == expected
    with pytest.raises(HandlerError, match="for the handler that has the message"):
        kept[0].after(move_to="Done")


# Workers, whose calls end when the test says so


@dataclass(eq=False)
class Hands:
    """A pool whose calls are made when their end is waited for, in their order."""

    bench: Bench
    size: int = 2

    def __post_init__(self) -> None:
        self.jobs: dict[Any, None] = {}
        self.calls: dict[Any, Any] = {}
        self.closed = 0

    def submit(self, job: Any, handler: Any, message: Message) -> None:
        job.outcome = None
        self.jobs[job] = None
        self.calls[job] = (handler, message)

    def ended(self) -> list[Any]:
        return [job for job in self.jobs if job.outcome is not None]

    def forget(self, job: Any) -> None:
        self.jobs.pop(job, None)

    def wait(self, seconds: float | None = None) -> bool:
        for job in list(self.calls)[:1]:
            job.outcome = self.bench.delivery.runner.call(*self.calls.pop(job))
        return bool(self.ended())

    def give_up_calls(self) -> None:
        for job in list(self.calls)[1:]:
            del self.calls[job]
            job.outcome = Outcome(State.WAITING, "not begun", counts=False, works=None)

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def hands(bench: Bench) -> Hands:
    hands = Hands(bench)
    bench.delivery.pool = cast(WorkerPool, hands)
    bench.delivery.schedule = Schedule(hands.size)
    return hands


@pytest.fixture
def several_hands() -> Iterator[Hands]:
    with closing(MemoryStateStore()) as store:
        bench = Bench(store, several=True)
        with closing(bench.poller):
            hands = Hands(bench)
            bench.delivery.pool = cast(WorkerPool, hands)
            bench.delivery.schedule = Schedule(hands.size)
            yield hands


def test_with_workers_as_many_are_claimed_as_there_are(bench: Bench, hands: Hands) -> None:
    claimed: list[int] = []
    for uid in range(1, 7):
        bench.acts[f"m{uid}"] = lambda _: claimed.append(
            sum(state == "claimed" for state in bench.states().values())
        )
    assert not bench.delivery.busy
    bench.deliver(*range(1, 7))
    bench.delivery.linger(bench.stats)
    assert [subject for subject, *_ in bench.calls] == [f"m{uid}" for uid in range(1, 7)]
    assert max(claimed) == hands.size
    assert set(bench.states().values()) == {"handled"}
    assert (bench.stats.new, bench.stats.claimed, bench.stats.handled) == (6, 6, 6)
    assert not bench.delivery.busy
    assert not bench.delivery.is_behind


@pytest.mark.parametrize(
    ("attempts", "together"),
    [pytest.param(1, 2, id="both at once after one"), pytest.param(2, 1, id="alone after two")],
)
def test_the_calls_of_suspects_of_ending_the_process(
    bench: Bench, hands: Hands, attempts: int, together: int
) -> None:
    suspects_claimed: list[int] = []
    for uid in range(1, 5):
        waiting = bench.ledger.new_entry(uid)._replace(state=State.WAITING, due_at=NOW)
        suspect = waiting._replace(attempts=attempts, reason=ENDED)
        bench.ledger.commit(PutEntry(waiting if uid == 4 else suspect, mail(f"m{uid}")))
        bench.acts[f"m{uid}"] = lambda _: suspects_claimed.append(
            sum(bench.entry(uid).state is State.CLAIMED for uid in (1, 2, 3))
        )
    bench.later()
    bench.delivery.linger(bench.stats)
    assert max(suspects_claimed) == together
    assert set(bench.states().values()) == {"handled"}
    assert not bench.delivery.busy


def test_what_waits_for_a_worker_is_in_hand_and_leaves_less_room(
    bench: Bench, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivery = bench.delivery
    monkeypatch.setattr(hands, "wait", lambda _=None: False)
    bench.deliver(*range(1, 8))
    assert (len(hands.jobs), delivery.schedule.waiting) == (2, 5)
    assert str(delivery.in_hand()) == "1:7"
    assert delivery.is_open(bench.stats)
    assert not delivery.is_open(PollStats())
    assert delivery.busy
    assert delivery.is_behind
    assert delivery.must_pause()
    assert delivery.room() == BATCH_MESSAGES - 5
    monkeypatch.setattr(module, "BATCH_OCTETS", 100)
    assert delivery.room() == 0, "they take too much memory"
    assert bench.states() == {1: "claimed", 2: "claimed"}
    assert delivery.orphans() == []
    bench.ledger.commit(PutEntry(bench.ledger.new_entry(9)._replace(state=State.CLAIMED)))
    assert delivery.orphans() == [EntryKey(1, 9)]
    bench.ledger.commit(SaveMailbox(record(2)))
    assert str(delivery.in_hand()) == ""


def test_a_finish_settles_what_goes_on_and_lets_the_rest_go(bench: Bench, hands: Hands) -> None:
    waited, hands.wait = hands.wait, lambda _=None: False  # type: ignore[method-assign,assignment]
    bench.deliver(*range(1, 6))
    hands.wait = waited  # type: ignore[method-assign]
    bench.acts["m1"] = raises(SystemExit(3))
    with pytest.raises(SystemExit):
        bench.delivery.finish(bench.stats)
    assert [subject for subject, *_ in bench.calls] == ["m1"]
    assert bench.states()[2] == "waiting"
    assert bench.entry(2).attempts == 0
    assert set(bench.states()) == {1, 2}
    assert (hands.closed, hands.jobs, bench.delivery.schedule.waiting) == (1, {}, 0)
    bench.delivery.wait()
    bench.delivery.finish(bench.stats)


def test_a_second_interruption_leaves_claims_for_the_next_poll(bench: Bench, hands: Hands) -> None:
    def interrupted(_: object = None) -> bool:
        raise KeyboardInterrupt

    hands.wait = lambda _=None: False  # type: ignore[method-assign,assignment]
    bench.deliver(1, 2)
    hands.wait = interrupted  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        bench.delivery.finish(bench.stats)
    assert (hands.closed, hands.jobs) == (1, {})
    assert bench.delivery.orphans() == [EntryKey(1, 1), EntryKey(1, 2)]


def test_a_handler_that_is_down_stops_the_workers_too(bench: Bench, hands: Hands) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 20)))
    bench.deliver(*range(1, 20))
    bench.delivery.linger(bench.stats)
    assert FIVE <= len(bench.calls) <= FIVE + 1
    assert bench.delivery.schedule.waiting == 0
    assert not bench.delivery.may_claim()
    count = len(bench.calls)
    bench.later(5.0)
    bench.delivery.linger(bench.stats)
    assert len(bench.calls) == count + 1, "a probe"
    bench.acts.clear()
    bench.later(400.0)
    bench.delivery.linger(bench.stats)
    assert bench.delivery.may_claim()


def test_due_messages_wait_for_the_workers_without_their_bytes(bench: Bench, hands: Hands) -> None:
    bench.acts.update({f"m{uid}": raises(Defer(60)) for uid in range(1, 8)})
    bench.deliver(*range(1, 8))
    bench.delivery.linger(bench.stats)
    assert set(bench.states().values()) == {"waiting"}
    bench.acts.clear()
    waited, hands.wait = hands.wait, lambda _=None: False  # type: ignore[method-assign,assignment]
    bench.later(60.0)
    assert len(hands.jobs) == 2
    assert len(bench.delivery.due) + bench.delivery.schedule.waiting == 5
    assert bench.delivery.schedule.waiting <= hands.size
    assert bench.delivery.busy
    bench.later()
    assert len(hands.jobs) == 2, "none is given to a worker twice"
    hands.wait = waited  # type: ignore[method-assign]
    bench.delivery.work(bench.stats)
    bench.delivery.linger(bench.stats)
    assert set(bench.states().values()) == {"handled"}
    assert len(bench.calls) == 14


@dataclass
class Late:
    """Calls that ended after their timeout, in the place of the runner's."""

    outcomes: dict[str, Outcome]
    forgotten: list[str]

    def late(self) -> dict[str, Outcome]:
        return self.outcomes

    def forget(self, delivery_id: str) -> None:
        self.forgotten.append(delivery_id)


@pytest.mark.parametrize(
    ("before", "outcome", "after", "reason"),
    [
        pytest.param(RuntimeError("no"), Outcome(State.HANDLED), "handled", "", id="success"),
        pytest.param(Reject("no"), Outcome(State.HANDLED), "handled", "", id="success of the dead"),
        pytest.param(
            RuntimeError("no"), Outcome(State.DEAD, "late"), "dead", "late", id="rejection"
        ),
        pytest.param(
            Reject("no"), Outcome(State.DEAD, "late"), "dead", "no", id="rejection of the dead"
        ),
        pytest.param(
            RuntimeError("no"), Outcome(State.WAITING, "late"), "waiting", "no", id="failure"
        ),
    ],
)
def test_a_call_that_ends_after_its_timeout_counts_unless_it_failed(
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
    before: Exception,
    outcome: Outcome,
    after: str,
    reason: str,
) -> None:
    bench.acts.update({"m4": raises(before), "m5": raises(before)})
    bench.deliver(4, 5)
    first, other = bench.entry(4), bench.entry(5)
    late = Late({first.delivery_id: outcome}, [])
    monkeypatch.setattr(bench.delivery.runner, "late", late.late)
    monkeypatch.setattr(bench.delivery.runner, "forget", late.forget)
    bench.later()
    entry = bench.entry(4)
    assert str(entry.state) == after
    assert reason in entry.reason
    assert entry.attempts == first.attempts
    assert bench.entry(5) == other
    assert late.forgotten == [first.delivery_id]
    assert bench.stats.handled == (after == "handled")
    assert bench.stats.new_in == {"": 2}, "it was new once"


# Nothing happens twice, and nothing instead of it


def test_a_poll_without_workers_has_nothing_to_wait_for(bench: Bench) -> None:
    bench.delivery.wait()
    bench.delivery.linger(bench.stats)
    bench.delivery.work(bench.stats)
    assert not bench.delivery.busy


def test_while_too_many_calls_are_overdue_no_probe_is_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 6)))
    bench.deliver(*range(1, 6))
    monkeypatch.setattr(type(bench.delivery.runner), "overdue", MAX_OVERDUE)
    bench.later(1e5)
    assert len(bench.calls) == FIVE


def test_a_probe_takes_a_message_whose_bytes_are_there(bench: Bench) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 6)))
    bench.deliver(*range(1, 6))
    bench.store._connection.execute("DELETE FROM raw WHERE rowid = (SELECT min(rowid) FROM raw)")
    bench.later(5.0)
    assert len(bench.calls) == FIVE + 1


@several
def test_a_message_that_fails_in_two_inboxes_is_one_that_failed(bench: Bench) -> None:
    names = [f"m{uid}" for uid in range(1, 4)]
    bench.fails(*names)
    head = b"To: a@x.org, b@x.org\r\n"
    batch = [fetched(uid, raw=head + mail(name)) for uid, name in enumerate(names, 1)]
    bench.delivery.deliver_new(batch, bench.stats)
    assert len(bench.calls) == 6
    assert not bench.delivery.breaker.failing()


@several
def test_an_inbox_that_is_removed_by_a_call_gets_no_retry_after_it(bench: Bench) -> None:
    bench.fails("m4", "m5")
    for uid, inbox in ((4, b"a@x.org"), (5, b"b@x.org")):
        raw = b"To: " + inbox + b"\r\n" + mail(f"m{uid}")
        bench.delivery.deliver_new([fetched(uid, raw=raw)], bench.stats)
    bench.acts["m4"] = lambda _: bench.poller.remove_inbox("b@x.org")
    bench.later(60.0)
    assert [subject for subject, *_ in bench.calls] == ["m4", "m5", "m4"]
    assert bench.states() == {(4, "a@x.org"): "handled", (5, "b@x.org"): "dead"}


def test_a_call_that_was_not_begun_says_nothing_of_the_handler(bench: Bench) -> None:
    bench.acts.update({f"m{uid}": raises(Defer(60)) for uid in range(1, 7)})
    bench.deliver(*range(1, 7))
    outcome = Outcome(State.WAITING, "not begun", counts=False, works=None)
    for uid in range(1, 7):
        bench.delivery._note_health(bench.entry(uid), outcome, Job([], b"", bench.stats))
    assert not bench.delivery.breaker.failing()


def test_a_retry_that_could_not_be_written_is_not_said(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "nornmail.poller")
    bench.acts["m4"] = raises(Reject("no"))
    bench.deliver(4)
    bench.store.request_retry(bench.ledger.mailbox, EntryKey(1, 4))
    monkeypatch.setattr(type(bench.ledger), "commit", lambda *_: raises(StoreError("full"))(_))
    with pytest.raises(StoreError):
        bench.later()
    assert "retry requested" not in caplog.text


# With workers


def not_yet(_: object = None) -> bool:
    """In the place of `Hands.wait`: no call ends."""
    return False


def test_a_message_goes_from_a_worker_to_its_next_inbox(several_hands: Hands) -> None:
    bench = several_hands.bench
    raw = b"To: a@x.org, b@x.org\r\n" + mail("m4")
    bench.delivery.deliver_new([fetched(4, raw=raw)], bench.stats)
    bench.delivery.linger(bench.stats)
    assert [inbox for _, inbox, _ in bench.calls] == ["a@x.org", "b@x.org"]
    assert set(bench.states().values()) == {"handled"}
    assert (bench.stats.new, bench.stats.handled) == (1, 2)
    bench.delivery.deliver_new([fetched(4, raw=raw)], bench.stats)
    assert len(bench.calls) == 2


def test_workers_deliver_what_an_inbox_has_not_had_yet(several_hands: Hands) -> None:
    bench = several_hands.bench
    bench.ledger.commit(PutEntry(bench.ledger.new_entry(4, "b@x.org")))
    bench.delivery.deliver_new([fetched(4, raw=b"To: b@x.org\r\n" + mail("m4"))], bench.stats)
    bench.delivery.linger(bench.stats)
    assert [inbox for _, inbox, _ in bench.calls] == ["b@x.org"]
    assert bench.states() == {(4, "b@x.org"): "handled"}


def test_a_handler_that_stops_the_program_lets_go_of_what_waits(bench: Bench, hands: Hands) -> None:
    bench.acts["m1"] = raises(SystemExit(3))
    with pytest.raises(SystemExit):
        bench.deliver(*range(1, 7))
    assert [subject for subject, *_ in bench.calls] == ["m1"]
    assert bench.delivery.schedule.waiting == 0
    assert bench.states() == {1: "waiting", 2: "claimed"}


def test_while_a_worker_has_a_probe_no_other_is_made_and_its_end_is_settled(
    bench: Bench, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 8)))
    bench.deliver(*range(1, 8))
    bench.delivery.linger(bench.stats)
    count = len(bench.calls)
    with monkeypatch.context() as patch:
        patch.setattr(hands, "wait", not_yet)
        bench.later(1e4)
        assert len(hands.jobs) == 1
        bench.later(1e4)
        assert len(hands.jobs) == 1, "no other probe"
    hands.wait()
    assert len(bench.calls) == count + 1
    bench.later()
    assert list(bench.states().values()).count("claimed") == len(hands.jobs) == 0


def test_no_more_due_messages_wait_than_there_are_workers(
    bench: Bench, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.acts.update({f"m{uid}": raises(Defer(60)) for uid in range(1, 10)})
    bench.deliver(*range(1, 10))
    bench.delivery.linger(bench.stats)
    monkeypatch.setattr(hands, "wait", not_yet)
    for waiting in (0, 2, 2):
        bench.later(60.0)
        assert (len(hands.jobs), bench.delivery.schedule.waiting) == (2, waiting)


@pytest.mark.parametrize("bench", [{"accept": lambda m: m.subject != "m8"}], indirect=True)
def test_a_message_that_is_let_in_and_not_delivered_lets_another_in(
    bench: Bench, hands: Hands
) -> None:
    bench.fails(*(f"m{uid}" for uid in range(1, 8)))
    bench.deliver(*range(1, 6))
    bench.delivery.linger(bench.stats)
    for uid in range(1, 5):
        bench.ledger.commit(PutEntry(bench.entry(uid)._replace(state=State.DEAD, due_at=0.0)))
    for seconds in (5.0, 10.0):
        bench.later(seconds)
        bench.delivery.linger(bench.stats)
    assert bench.delivery.may_claim()
    bench.deliver(8)
    bench.delivery.linger(bench.stats)
    assert bench.states()[8] == "passed over"
    assert bench.delivery.may_claim(), "it said nothing of the handler"
