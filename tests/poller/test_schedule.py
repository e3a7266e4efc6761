"""Which messages may be in their handlers at the same time: the schedule alone, without threads."""

from __future__ import annotations

import heapq
import random
from collections import defaultdict
from collections.abc import Hashable
from typing import Any

import pytest

from nornmail import ConfigurationError, parse_message
from nornmail.poller.worker_pool import Schedule, check_order, order_key
from nornmail.settings.imap import MAX_WORKERS, check_workers
from tests.support.table import table

SEED = 1


def seconds(workers: int, messages: int, conversations: int) -> float:
    """How long the calls of all messages take, each a second, with so many workers."""
    schedule: Schedule[int] = Schedule(workers)
    for number in range(messages):
        schedule.add(number, number % conversations)
    now = 0.0
    ends: list[tuple[float, int]] = []
    while True:
        while (started := schedule.start()) is not None:
            heapq.heappush(ends, (now + 1.0, started))
        if not ends:
            return now
        now, ended = heapq.heappop(ends)
        schedule.end(ended)


def test_ten_workers_need_an_eighth_of_the_time_of_one_at_most() -> None:
    assert seconds(1, 200, 20) == 200
    assert seconds(10, 200, 20) <= 200 / 8


def check(seed: int) -> None:
    """Play a schedule: items come, end and are dropped in any order."""
    dice = random.Random(seed)
    size, keys = dice.randint(1, 8), dice.randint(1, 6)
    schedule: Schedule[int] = Schedule(size)
    key_of: dict[int, Hashable | None] = {}
    running: list[int] = []
    waiting: list[int] = []
    begun: dict[Hashable | None, list[int]] = defaultdict(list)
    for step in range(30):
        action = dice.random()
        if action < 0.5:
            key_of[step] = dice.choice([None, *range(keys)])
            schedule.add(step, key_of[step])
            waiting.append(step)
        elif action < 0.52:
            schedule.clear()
            waiting.clear()
        elif running:
            schedule.end(running.pop(dice.randrange(len(running))))
        while (started := schedule.start()) is not None:
            busy = {key_of[item] for item in running} - {None}
            free = [item for item in waiting if key_of[item] not in busy]
            assert started == free[0], "the first that may run is the next"
            assert key_of[started] not in busy, "two of one key"
            waiting.remove(started)
            running.append(started)
            begun[key_of[started]].append(started)
        busy = {key_of[item] for item in running} - {None}
        assert len(running) <= size
        assert len(running) == size or all(key_of[item] in busy for item in waiting), "idle"
        assert (schedule.running, schedule.waiting) == (len(running), len(waiting))
        assert sorted(schedule) == sorted(running + waiting)
    assert all(items == sorted(items) for items in begun.values()), "swapped"


@pytest.mark.parametrize(
    "schedules", [1_000, pytest.param(10_000, marks=pytest.mark.long)], ids=str
)
def test_no_two_of_a_key_overlap_or_swap_and_no_worker_is_idle(schedules: int) -> None:
    for seed in range(SEED, SEED + schedules):
        try:
            check(seed)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def message(*fields: str, inbox: str = "") -> Any:
    return parse_message("\r\n".join([*fields, "", "text"]).encode(), inbox=inbox)


FIRST = message("From: Kim@example.org", "Message-ID: <1@x>")
ANSWER = message("From: lee@example.org", "Message-ID: <2@x>", "In-Reply-To: <1@x>")
LATER = message("From: kim@example.org", "Message-ID: <3@x>", "References: <1@x> <2@x>")
OTHER = message("From: kim@example.org", "Message-ID: <4@x>")
BARE = message("From: kim@example.org", inbox="a@x")
BARE_AGAIN = message("From: KIM@example.org", "Subject: s", inbox="a@x")
BARE_ELSEWHERE = message("From: kim@example.org", inbox="b@x")


@table(
    ("order_by", "one", "other", "same"),
    [
        pytest.param("conversation", FIRST, ANSWER, True, id="an answer is of the conversation"),
        pytest.param("conversation", FIRST, LATER, True, id="so is what refers to its root"),
        pytest.param("conversation", FIRST, OTHER, False, id="another thread of one sender is not"),
        pytest.param("conversation", BARE, BARE_AGAIN, True, id="no thread: sender and inbox"),
        pytest.param("conversation", BARE, BARE_ELSEWHERE, False, id="no thread, another inbox"),
        pytest.param("sender", FIRST, OTHER, True, id="all of one sender"),
        pytest.param("sender", FIRST, ANSWER, False, id="two senders"),
        pytest.param(lambda m: m.message_id[:1], FIRST, OTHER, True, id="a function's key"),
        pytest.param(lambda m: m.message_id, FIRST, OTHER, False, id="two keys of a function"),
        pytest.param(lambda _: 1 / 0, FIRST, OTHER, True, id="a function that fails"),
        pytest.param(lambda _: [], FIRST, OTHER, True, id="a key that cannot be hashed"),
    ],
)
def test_what_keeps_its_order(order_by: Any, one: Any, other: Any, same: bool) -> None:
    keys = order_key(one, order_by), order_key(other, order_by)
    assert (keys[0] == keys[1]) is same
    assert None not in keys


@pytest.mark.parametrize("order_by", ["none", lambda _: None], ids=["none", "a function"])
def test_without_a_key_a_message_waits_for_no_other(order_by: Any) -> None:
    assert order_key(FIRST, order_by) is None


@table("workers", [0, MAX_WORKERS + 1, True, "4", 2.0], ids=repr)
def test_a_number_of_workers_that_cannot_be_used_is_refused(workers: Any) -> None:
    with pytest.raises(ConfigurationError, match="NORNMAIL_WORKERS"):
        check_workers(workers)


@pytest.mark.parametrize("order_by", ["thread", None, 1], ids=repr)
def test_an_order_that_cannot_be_used_is_refused(order_by: Any) -> None:
    with pytest.raises(ConfigurationError, match="order_by"):
        check_order(order_by)
