"""``handler_timeout``: calls that hang, end late, or never."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from nornmail import Message, Reject, RetryPolicy
from nornmail.events import Dead, Handled, Idle, Waiting
from nornmail.model import State
from nornmail.poller.handler import MAX_OVERDUE
from tests.poller.life.harness import INTERVAL, SECONDS, Life

TIMEOUT = 30.0


class Slow:
    """A handler that hangs until it is let go, and counts how often each message is in it.

    Attributes:
        most: so many calls of one message ran at once.
    """

    def __init__(self) -> None:
        self.go = threading.Event()
        self.error: BaseException | None = None
        self.hangs = True
        self.calls: list[str] = []
        self.most = 0
        self._more = threading.Condition()
        self._inside: list[str] = []

    def __call__(self, message: Message) -> None:
        with self._more:
            self.calls.append(message.subject)
            self._inside.append(message.subject)
            self.most = max(self.most, self._inside.count(message.subject))
            hangs = self.hangs  # whoever waits for the call may change it from here on
            self._more.notify_all()
        try:
            if hangs:
                assert self.go.wait(SECONDS)
                if self.error is not None:
                    raise self.error
        finally:
            with self._more:
                self._inside.remove(message.subject)

    def until_called(self, count: int) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.calls) >= count, SECONDS)


@pytest.fixture
def slow() -> Iterator[Slow]:
    handler = Slow()
    yield handler
    handler.go.set()


def time_out(life: Life, slow: Slow, count: int) -> None:
    """Let the timeout of the ``count``-th call pass."""
    slow.until_called(count)
    life.clock.until_somebody_waits()
    life.clock.advance(TIMEOUT)
    life.events.until(Waiting, count)


def test_a_call_that_hangs_fails_and_later_mail_flows(life: Life, slow: Slow) -> None:
    life.deliver("1", "2")
    with life.poller(slow, handler_timeout=TIMEOUT) as poller:
        slow.until_called(1)
        slow.hangs = False
        time_out(life, slow, 1)
        life.events.until(Handled)
        waiting = life.events.until(Waiting)
        assert (waiting.attempts, waiting.ref.uid) == (1, 1)
        assert "longer than 30 s" in waiting.reason
        assert poller.status().overdue == 1
        slow.go.set()


def test_a_late_success_counts(life: Life, slow: Slow) -> None:
    life.deliver("1")
    with life.poller(slow, handler_timeout=TIMEOUT) as poller:
        time_out(life, slow, 1)
        life.events.until(Idle)
        slow.go.set()  # that alone wakes the loop
        handled = life.events.until(Handled)
        assert handled.ref.uid == 1
        assert poller.sync() == 0
        assert poller.status().overdue == 0
        assert poller.status().waiting == 0
    assert slow.calls == ["1"]
    assert [entry.state for entry in life.entries()] == [State.FINISHED]


def test_a_late_success_counts_though_no_other_poll_follows(life: Life, slow: Slow) -> None:
    threads: list[threading.Thread] = []

    def handle(message: Message) -> None:
        threads.append(threading.current_thread())
        if message.subject == "1":
            slow(message)
            return
        slow.go.set()
        threads[0].join(SECONDS)
        poller.stop()

    life.deliver("1", "2")
    poller = life.poller(handle, handler_timeout=TIMEOUT)
    with poller:
        time_out(life, slow, 1)
        life.events.until(Handled, 2)
    assert slow.calls == ["1"]
    assert [entry.state for entry in life.entries()] == [State.FINISHED, State.FINISHED]


def test_no_new_attempt_begins_before_the_old_call_ends(life: Life, slow: Slow) -> None:
    life.deliver("1")
    with life.poller(slow, handler_timeout=TIMEOUT) as poller:
        time_out(life, slow, 1)
        life.events.until(Idle)
        life.clock.advance(3_600)
        assert poller.sync() == 0
        assert slow.calls == ["1"]
        slow.error = ValueError("no")
        slow.hangs = False
        slow.go.set()
        slow.until_called(2)
        life.events.until(Handled)
    assert slow.most == 1


def test_a_late_reject_is_heeded(life: Life, slow: Slow) -> None:
    life.deliver("1")
    slow.error = Reject("spam")
    with life.poller(slow, handler_timeout=TIMEOUT):
        time_out(life, slow, 1)
        slow.go.set()
        assert life.events.until(Dead).reason == "spam"


def test_a_late_success_counts_for_a_message_that_was_given_up(life: Life, slow: Slow) -> None:
    life.deliver("1")
    with life.poller(slow, handler_timeout=TIMEOUT, retry=RetryPolicy(())) as poller:
        slow.until_called(1)
        life.clock.until_somebody_waits()
        life.clock.advance(TIMEOUT)
        life.events.until(Dead)
        slow.go.set()
        life.events.until(Handled)
        poller.sync()
        assert poller.status().dead == 0


def test_when_as_many_hang_as_may_nothing_new_is_handed_over(life: Life, slow: Slow) -> None:
    life.deliver(*map(str, range(MAX_OVERDUE + 3)))
    with life.poller(slow, handler_timeout=TIMEOUT) as poller:
        for count in range(1, MAX_OVERDUE + 1):
            time_out(life, slow, count)
        assert poller.sync() == 0
        assert poller.status().overdue == MAX_OVERDUE
        assert len(slow.calls) == MAX_OVERDUE
        slow.go.set()
        life.events.until(Handled, MAX_OVERDUE + 3)
    assert {entry.state for entry in life.entries()} == {State.FINISHED}
    assert slow.most == 1


def test_after_a_restart_of_the_loop_a_call_still_hangs(life: Life, slow: Slow) -> None:
    life.deliver("1")
    poller = life.poller(slow, handler_timeout=TIMEOUT)
    with poller:
        time_out(life, slow, 1)
    life.clock.advance(3_600)
    with poller:
        life.events.until(Idle, 2)
        assert slow.calls == ["1"]
        slow.go.set()
        life.events.until(Handled)
    assert slow.calls == ["1"]


def test_a_handler_in_time_is_no_matter(life: Life) -> None:
    life.deliver("1", "2", "3")
    assert life.poller(handler_timeout=INTERVAL).poll_once().handled == 3
    assert life.subjects == ["1", "2", "3"]
