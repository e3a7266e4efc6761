"""``status()``: what a poller says of itself, whenever it is asked and from whichever thread."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from nornmail import Message, NornmailError, Poller
from nornmail.clock import utc_datetime
from nornmail.events import (
    AuthFailed,
    BacklogWarning,
    Backoff,
    DecisionPending,
    HandlerFailing,
    Idle,
    Stalled,
    Standby,
    Stopped,
    TakenOver,
    Throttling,
)
from nornmail.model import Lease, MailboxKey, Watermark
from nornmail.poller.decisions import BATCH_MESSAGES
from nornmail.poller.status import PollerState
from nornmail.retry import OUTAGE_AFTER, STALLED_INTERVALS
from nornmail.testing.imap.faults import Answer, Call, RejectLogin
from tests.poller.life.harness import INTERVAL, SECONDS, Gate, Life

THROTTLED = b"NO Request is throttled. Suggested Backoff Time: 30000 milliseconds"


def fail(_message: Message) -> None:
    raise ValueError("the model is away")


def test_before_anything_ran(life: Life) -> None:
    status = life.poller().status()
    assert (status.state, status.reason) == ("stopped", "not started")
    assert (status.last_poll_at, status.watermark) == (None, None)
    assert (status.waiting, status.dead, status.handled, status.overdue) == (0, 0, 0, 0)


def test_it_is_frozen(life: Life) -> None:
    status = life.poller().status()
    with pytest.raises(dataclasses.FrozenInstanceError):
        status.state = PollerState.IDLE  # type: ignore[misc]  # that is what is tested


def test_after_a_pass(life: Life) -> None:
    life.deliver("1", "2", "3")
    with life.poller() as poller:
        life.events.until(Idle)
        status = poller.status()
        assert (status.state, status.reason) == ("idle", "")
        assert status.handled == 3
        assert status.last_poll_at == datetime(2027, 1, 15, 8, tzinfo=UTC)
        assert status.since == status.last_poll_at
        uid_validity = life.server.mailbox().uid_validity
        assert status.watermark == Watermark(uid_validity, 3)


def test_what_waits_and_is_dead_is_counted(life: Life) -> None:
    life.deliver("1", "2")
    with life.poller(fail) as poller:
        life.events.until(Idle)
        assert (poller.status().waiting, poller.status().dead) == (2, 0)
        assert poller.status().handled == 0


def test_it_is_read_without_waiting_for_a_handler(life: Life) -> None:
    life.deliver("one")
    gate = Gate("one")
    with life.poller(gate) as poller:
        assert gate.reached.wait(SECONDS)
        assert poller.status().state == "polling"
        gate.go.set()


def test_a_handler_may_ask(life: Life) -> None:
    told: list[PollerState] = []
    life.deliver("one")
    poller = life.poller(lambda _: told.append(poller.status().state))
    poller.poll_once()
    assert told == ["polling"]
    assert poller.status().state == "stopped"


def test_while_it_connects(life: Life) -> None:
    told: list[PollerState] = []
    look = Call(command="LOGIN", function=lambda: told.append(poller.status().state))
    life.server.faults.add(look)
    poller = life.poller()
    with poller:
        life.events.until(Idle)
    assert told == ["connecting"]


def refuse(life: Life) -> None:
    life.server.refuse_connections = True


def reject(life: Life) -> None:
    life.server.faults.add(RejectLogin(times=None))


def throttle(life: Life) -> None:
    life.server.faults.add(Answer(command="SELECT", text=THROTTLED, times=None))


def many(life: Life) -> None:
    life.deliver(*map(str, range(OUTAGE_AFTER + 1)))


TROUBLE = [
    pytest.param(refuse, Backoff, "backoff", "connect", id="nobody answers"),
    pytest.param(reject, AuthFailed, "auth_failed", "", id="a wrong password"),
    pytest.param(throttle, Throttling, "throttled", "throttled", id="a server that throttles"),
    pytest.param(many, HandlerFailing, "handler_failing", "is away", id="a handler that is down"),
]


@pytest.mark.parametrize(("spoil", "event", "state", "reason"), TROUBLE)
def test_what_it_says_in_trouble(
    life: Life, spoil: Callable[[Life], None], event: type, state: str, reason: str
) -> None:
    spoil(life)
    with life.poller(fail) as poller:
        life.events.until(event)
        life.clock.until_somebody_waits()
        status = poller.status()
        assert status.state == state
        assert reason in status.reason
        assert status.since == utc_datetime(life.clock.wall())
        assert not status.stalled


def test_a_state_that_goes_on_keeps_its_time(life: Life) -> None:
    refuse(life)
    with life.poller() as poller:
        first = life.events.until(Backoff)
        for count in range(2, 5):
            life.clock.until_somebody_waits()
            life.clock.advance(300)
            life.events.until(Backoff, count)
        life.clock.until_somebody_waits()
        assert poller.status().state == "backoff"
        assert first.at <= poller.status().since <= utc_datetime(life.clock.wall())


def test_a_second_poller_stands_by_and_takes_over(life: Life) -> None:
    """Of another process: here by a lease that somebody else holds."""
    key = life.poller().mailbox
    lease = life.store.acquire(key, "elsewhere:1")
    with life.poller() as poller:
        told = life.events.until(Standby)
        assert "elsewhere:1" in told.reason
        life.clock.until_somebody_waits()
        assert poller.status().state == "standing_by"
        life.clock.advance(100 * INTERVAL)
        assert not poller.status().stalled
        life.store.release(lease)
        life.clock.until_somebody_waits()
        life.clock.advance(told.seconds)
        life.events.until(TakenOver)
        life.events.until(Idle)
        assert poller.status().state == "idle"


def test_a_poller_that_stands_by_asks_for_the_lease_when_it_is_free(
    life: Life, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many that stand by would keep a database busy: who holds what is one query for all."""
    lease = life.store.acquire(life.poller().mailbox, "elsewhere:1")
    holders, asked, acquire = ["elsewhere:1"], [], life.store.acquire

    def counted(mailbox: MailboxKey, owner: str) -> Lease:
        asked.append(owner)
        return acquire(mailbox, owner)

    monkeypatch.setattr(life.store, "acquire", counted)
    monkeypatch.setattr(life.store, "holder", lambda mailbox: holders[-1])
    with life.poller() as poller:
        told = life.events.until(Standby)
        for _ in range(3):
            life.clock.until_somebody_waits()
            life.clock.advance(told.seconds)
        life.clock.until_somebody_waits()
        assert (len(asked), poller.status().state) == (1, "standing_by")
        holders.append("")
        life.store.release(lease)
        life.clock.advance(told.seconds)
        life.events.until(TakenOver)
    assert len(asked) == 2


def test_a_new_uidvalidity_that_waits_for_a_decision(life: Life) -> None:
    poller = life.poller()
    poller.poll_once()
    poller.close()
    life.server.mailbox().reset_uid_validity()
    long_ago = utc_datetime(life.clock.wall()) - timedelta(days=300)
    for number in range(101):
        life.server.deliver(b"Subject: %d\r\n\r\n" % number, date=long_ago)
    with poller:
        told = life.events.until(DecisionPending)
        assert (told.count, told.setting) == (101, "on_uidvalidity_change")
        life.clock.until_somebody_waits()
        assert poller.status().state == "undecided"


def test_a_loop_that_failed_says_why(life: Life) -> None:
    life.store.close()
    poller = life.poller().start()
    told = life.events.until(Stopped)
    status = poller.status()
    assert (status.state, status.reason) == ("failed", told.reason)
    assert status.reason
    with pytest.raises(NornmailError):
        poller.stop()


def test_it_can_be_asked_when_the_store_is_closed(life: Life) -> None:
    life.deliver("1")
    poller = life.poller(fail)
    poller.poll_once()
    assert poller.status().waiting == 1
    poller.close()
    life.store.close()
    assert poller.status().waiting == 1


def test_when_nothing_succeeds_for_long_it_is_stalled_and_says_so_once(life: Life) -> None:
    with life.poller() as poller:
        life.events.until(Idle)
        good = utc_datetime(life.clock.wall())
        refuse(life)
        life.server.kick()
        spent = 0.0
        while spent <= (STALLED_INTERVALS + 2) * INTERVAL + 600:
            spent += wait_out(life)
        stalled = life.events.until(Stalled)
        # It is wall time less a monotonic difference, and floats round in the last microsecond.
        assert abs(stalled.since - good) < timedelta(milliseconds=1)
        assert "connect" in stalled.reason
        assert poller.status().stalled
        assert len(life.events.of(Stalled)) == 1
        life.server.refuse_connections = False
        poller.sync()
        assert not poller.status().stalled


def wait_out(life: Life) -> float:
    """Let the wait that is under way pass, and the pass after it."""
    seconds = life.clock.until_somebody_waits()
    before = len(life.clock.waits)
    life.clock.advance(seconds)
    life.clock.until_waits(before + 1)
    return seconds


def test_a_handler_that_takes_its_time_is_told_as_behind(life: Life) -> None:
    count = BATCH_MESSAGES + 1
    life.deliver(*map(str, range(count)))
    seen: list[int] = []

    def handle(message: Message) -> None:
        life.note(message)
        life.clock.advance((STALLED_INTERVALS + 1) * INTERVAL / BATCH_MESSAGES)
        seen.append(poller.status().behind)

    with life.poller(handle) as poller:
        life.until_seen(count)
        life.events.until(Idle)
        assert poller.status().behind == 0
    assert [event.count for event in life.events.of(BacklogWarning)] == [1]
    assert seen[0] == 0
    assert seen[BATCH_MESSAGES] == 1


def test_an_outage_of_the_handler_leaves_it_behind(life: Life) -> None:
    life.deliver(*map(str, range(2 * OUTAGE_AFTER)))

    with life.poller(fail) as poller:
        life.events.until(HandlerFailing)
        life.clock.until_somebody_waits()
        life.clock.advance((STALLED_INTERVALS + 1) * INTERVAL)
        assert life.events.until(BacklogWarning).count == OUTAGE_AFTER
        assert poller.status().behind == OUTAGE_AFTER


def test_a_handler_that_hangs_for_long_is_told_as_stalled(life: Life) -> None:
    life.deliver("one")
    gate = Gate("one")
    with life.poller(gate) as poller:
        assert gate.reached.wait(SECONDS)
        assert not poller.status().stalled
        life.clock.advance((STALLED_INTERVALS + 2) * INTERVAL)
        assert poller.status().stalled
        gate.go.set()


def ask(poller: Poller, told: list[str], until: threading.Event) -> None:
    while not until.is_set():
        told.append(poller.status().state)


def test_it_may_be_asked_all_the_time(life: Life) -> None:
    told: list[str] = []
    enough = threading.Event()
    life.deliver(*map(str, range(50)))
    poller = life.poller()
    asking = threading.Thread(target=ask, args=(poller, told, enough))
    asking.start()
    with poller:
        life.until_seen(50)
    enough.set()
    asking.join()
    assert set(told) <= set(PollerState)
