"""``on_event``: what is told, in which order, and that nothing hangs on who listens."""

from __future__ import annotations

import dataclasses
import logging
import sys

import pytest

from nornmail import Defer, Message, Reject, RetryPolicy, events
from nornmail.events import Dead, Event, EventEmitter, Gone, Handled, Idle, LateListed, Waiting
from nornmail.model import State
from nornmail.poller.decisions import DISAGREEMENT_INTERVAL, RECONCILE_INTERVAL
from nornmail.testing.imap.faults import Call
from tests.poller.life.harness import INTERVAL, PASSWORD, Life
from tests.support.table import table

KINDS = [one for one in vars(events).values() if isinstance(one, type) and issubclass(one, Event)]


def test_what_is_told_of_a_good_message(life: Life) -> None:
    life.deliver("one")
    poller = life.poller()
    with poller:
        life.events.until(Idle)
    assert life.events.names() == ["Connected", "Found", "Handled", "Idle", "Stopped"]
    handled = life.events.until(Handled)
    (entry,) = life.entries()
    assert (handled.ref.uid, handled.delivery_id, handled.attempt) == (1, entry.delivery_id, 1)
    assert (handled.ref.mailbox, handled.inbox) == ("INBOX", "")
    assert life.events.until(Idle).new == 1


def test_what_is_told_is_durable_by_then(life: Life) -> None:
    states: list[State] = []

    def on_event(event: Event) -> None:
        if isinstance(event, Handled):
            states.extend(entry.state for entry in life.entries())

    life.deliver("one")
    life.poller(on_event=on_event).poll_once()
    assert states == [State.HANDLED]


def test_what_is_told_of_a_message_that_fails_until_it_is_dead(life: Life) -> None:
    def fail(_message: Message) -> None:
        raise ValueError("no luck")

    life.deliver("one")
    poller = life.poller(fail, retry=RetryPolicy((10.0,)))
    poller.poll_once()
    life.clock.advance(10)
    poller.poll_once()
    waiting, dead = life.events.until(Waiting), life.events.until(Dead)
    assert (waiting.attempts, dead.attempts) == (1, 2)
    assert (waiting.due_at - waiting.at).total_seconds() == 10
    assert waiting.reason.startswith("ValueError: no luck")
    assert waiting.delivery_id == dead.delivery_id


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(Reject("spam"), Dead, id="a message that is rejected"),
        pytest.param(Defer(5, "later"), Waiting, id="a message that is deferred"),
    ],
)
def test_what_a_handler_asks_for_is_told(
    life: Life, error: Exception, kind: type[Dead | Waiting]
) -> None:
    def handle(_message: Message) -> None:
        raise error

    life.deliver("one")
    life.poller(handle).poll_once()
    assert life.events.until(kind).reason == str(error)


def test_mail_that_is_not_accepted_is_told(life: Life) -> None:
    life.deliver("one")
    life.poller(accept=lambda _: False).poll_once()
    assert life.events.until(events.PassedOver).reason == "filtered"


def test_mail_that_was_expunged_in_time_is_told(life: Life) -> None:
    life.deliver("one", "two")
    expunge = Call(command="UID FETCH", function=lambda: life.server.mailbox().expunge(1))
    life.server.faults.add(expunge)
    life.poller().poll_once()
    assert life.events.until(Gone).ref.uid == 1
    assert life.subjects == ["two"]


@pytest.mark.parametrize(
    "wait",
    [
        pytest.param(DISAGREEMENT_INTERVAL, id="on the same connection"),
        pytest.param(RECONCILE_INTERVAL, id="on the next one"),
    ],
)
def test_uids_that_an_earlier_listing_hid_are_told(life: Life, wait: float) -> None:
    life.deliver("1", "2", "3")
    life.server.mailbox().hide(2, listings=2)
    poller = life.poller()
    poller.poll_once()
    assert life.subjects == ["1", "3"]
    assert life.events.of(LateListed) == []
    life.clock.advance(wait)
    poller.poll_once()
    assert life.subjects == ["1", "3", "2"]
    missed = life.events.until(LateListed)
    assert (missed.uids, missed.count) == ("2", 1)


def test_new_mail_is_not_told_as_missed(life: Life) -> None:
    life.deliver("1", "2")
    poller = life.poller()
    poller.poll_once()
    life.clock.advance(RECONCILE_INTERVAL)
    life.deliver("3")
    poller.poll_once()
    assert life.subjects == ["1", "2", "3"]
    assert life.events.of(LateListed) == []


def test_a_listener_that_raises_is_logged_and_harms_nothing(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    def on_event(event: Event) -> None:
        raise RuntimeError("no ear for that")

    life.deliver("1", "2")
    with life.poller(on_event=on_event) as poller:
        life.until_seen(2)
        assert poller.sync() == 0
    assert {entry.state for entry in life.entries()} == {State.FINISHED}
    assert any("on_event failed at Handled" in line for line in caplog.messages)


def test_a_listener_that_ends_the_program_does_and_loses_nothing(life: Life) -> None:
    def on_event(event: Event) -> None:
        if isinstance(event, Handled):
            sys.exit(3)

    life.deliver("1", "2")
    poller = life.poller(on_event=on_event)
    with pytest.raises(SystemExit):
        poller.run_forever()
    again = life.poller()
    again.poll_once()
    life.clock.advance(INTERVAL)
    again.poll_once()
    assert life.subjects == ["1", "2"]
    assert {entry.state for entry in life.entries()} == {State.FINISHED}


def test_nobody_has_to_listen(life: Life) -> None:
    life.deliver("one")
    assert life.poller(on_event=None).poll_once().handled == 1


def test_no_event_and_no_log_line_has_a_text_or_a_secret(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    def handle(message: Message) -> None:
        if message.subject == "two":
            raise ValueError("no")

    caplog.set_level(logging.DEBUG, "nornmail")
    life.deliver("one", "two")
    with life.poller(handle) as poller:
        life.events.until(Idle)
        life.server.refuse_connections = True
        life.server.kick()
        life.clock.until_somebody_waits()
        life.clock.advance(INTERVAL)
        life.events.until(events.Backoff)
        told = repr(poller.status())
    told += repr(life.events.seen) + repr(caplog.messages)
    assert PASSWORD not in told
    assert "the text of" not in told
    assert {name.split(".")[0] for name, _, _ in caplog.record_tuples} == {"nornmail"}


@table("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_event_is_a_frozen_value(kind: type[Event]) -> None:
    parameters = kind.__dataclass_params__  # type: ignore[attr-defined]  # of every dataclass
    assert parameters.frozen
    assert kind.__slots__ is not None
    assert "at" in {field.name for field in dataclasses.fields(kind)}


def test_an_announcer_counts_what_was_handled(life: Life) -> None:
    announce = EventEmitter()
    life.deliver("1", "2")
    life.poller(on_event=announce).poll_once()
    assert announce.handled == 2
