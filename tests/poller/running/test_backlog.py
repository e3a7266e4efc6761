"""Whether mail lies there for too long although nothing fails."""

from __future__ import annotations

from datetime import timedelta

import pytest

from nornmail.clock import utc_datetime
from nornmail.events import BacklogWarning, Event
from nornmail.poller.status import Backlog
from tests.support.clock import FakeClock
from tests.support.poller import context

PATIENCE = 600.0


class Watched:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.told: list[Event] = []
        self.backlog = Backlog(context(self.clock, self.told.append), PATIENCE)


@pytest.fixture
def watched() -> Watched:
    return Watched()


def test_work_that_is_done_in_time_is_no_backlog(watched: Watched) -> None:
    watched.backlog.found(300)
    watched.clock.advance(PATIENCE)
    watched.backlog.processed(100)
    assert watched.backlog.behind == 0
    assert watched.told == []


def test_what_lasts_is_told_once_with_its_begin(watched: Watched) -> None:
    began = utc_datetime(watched.clock.wall())
    watched.backlog.found(300)
    watched.clock.advance(PATIENCE + 1)
    assert watched.backlog.behind == 300
    watched.backlog.processed(100)
    watched.clock.advance(1)
    watched.backlog.processed(100)
    (told,) = watched.told
    assert isinstance(told, BacklogWarning)
    assert told.count == 200
    assert abs(told.since - began) < timedelta(milliseconds=1)
    assert watched.backlog.behind == 100


def test_what_came_later_is_as_old_as_what_was_there_before(watched: Watched) -> None:
    watched.backlog.found(2)
    watched.clock.advance(PATIENCE)
    watched.backlog.found(3)
    watched.clock.advance(1)
    assert watched.backlog.behind == 3


def test_it_is_told_again_after_there_was_nothing_left(watched: Watched) -> None:
    for _ in range(2):
        watched.backlog.found(2)
        watched.clock.advance(PATIENCE + 1)
        watched.backlog.processed(1)
        watched.backlog.found(0)
        assert watched.backlog.behind == 0
    assert [event.count for event in watched.told if isinstance(event, BacklogWarning)] == [1, 1]


def test_the_wall_clock_may_jump(watched: Watched) -> None:
    watched.backlog.found(2)
    watched.clock.jump(86_400)
    watched.backlog.processed(0)
    assert watched.backlog.behind == 0
