"""How long a server is left alone: each kind of trouble has a wait that grows and ends."""

from __future__ import annotations

import random

import pytest

from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConnectionLost,
    NornmailError,
    Throttled,
)
from nornmail.imap.errors import THROTTLES
from nornmail.retry import (
    THROTTLE_WAITS,
    ServerBackoff,
    rejected_wait,
    slowed_interval,
    throttled_wait,
)
from tests.support.table import table

DAY = 86_400.0


class NoChance(random.Random):
    """Jitter that is none."""

    def random(self) -> float:
        return 0.0


def throttled(kind: str = "rate", wait: float = 0.0) -> Throttled:
    return Throttled("no", kind=kind, wait=wait)


def test_each_kind_that_a_server_can_cause_has_its_wait() -> None:
    assert set(THROTTLE_WAITS) == {kind.value for kind in THROTTLES}


@table("kind", [*THROTTLE_WAITS, "one that a later version knows"])
def test_a_throttle_wait_grows_to_its_end(kind: str) -> None:
    first, longest = THROTTLE_WAITS.get(kind, THROTTLE_WAITS["rate"])
    waits = [throttled_wait(kind, times, 0.0, NoChance()) for times in range(1, 200)]
    assert waits[0] == first
    assert waits[-1] == longest
    assert waits == sorted(waits)


@table(
    ("times", "hint", "wait"),
    [
        pytest.param(1, 299.6, 299.6, id="what is asked for"),
        pytest.param(9, 299.6, 299.6, id="however often"),
        pytest.param(1, 1e6, 3_600.0, id="up to an hour"),
        pytest.param(1, 0.001, 0.5, id="never in no time"),
        pytest.param(9, 0.001, 128.0, id="a hint that does not help is outgrown"),
        pytest.param(99, 0.001, 150.0, id="up to what a lost connection has"),
    ],
)
def test_a_hint_is_honoured_within_bounds(times: int, hint: float, wait: float) -> None:
    assert throttled_wait("rate", times, hint, NoChance()) == wait


def test_jitter_never_goes_below_what_was_asked_for() -> None:
    rng = random.Random(1)
    waits = [throttled_wait("rate", 1, 60.0, rng) for _ in range(100)]
    assert 60.0 <= min(waits) < max(waits) <= 66.0


def test_rejected_credentials_are_tried_after_five_minutes_and_then_once_an_hour() -> None:
    waits = [rejected_wait(times) for times in range(1, 9)]
    assert waits == [300, 300, 300, 600, 1_200, 2_400, 3_600, 3_600]
    assert rejected_wait(10_000) == 3_600


@pytest.mark.parametrize(
    ("interval", "waits"),
    [
        pytest.param(60.0, [60, 120, 240, 480, 900, 900], id="a minute doubles"),
        pytest.param(500.0, [500, 900, 900, 900, 900, 900], id="a longer one is soon at the end"),
        pytest.param(7_200.0, [7_200] * 6, id="one beyond the end stays"),
    ],
)
def test_a_server_that_slows_down_is_asked_less_often(interval: float, waits: list[float]) -> None:
    assert [slowed_interval(interval, passes) for passes in range(6)] == waits


def test_each_kind_has_its_own_count_and_success_clears_them() -> None:
    patience = ServerBackoff(NoChance())
    lost = [patience.after(ConnectionLost("x")) for _ in range(3)]
    assert lost == [0.5, 1.0, 2.0]
    assert patience.after(throttled()) == 60.0
    assert patience.after(throttled("quota")) == 900.0
    assert patience.after(throttled()) == 120.0
    assert patience.after(AuthenticationFailed("x")) == 300.0
    assert patience.after(CommandRefused("SELECT", "NO", "", "x")) == 4.0
    assert patience.recovered(60.0) == 60.0
    assert patience.after(throttled()) == 60.0
    assert patience.after(ConnectionLost("x")) == 0.5


def test_a_pass_that_is_not_slowed_ends_the_slowness() -> None:
    patience = ServerBackoff(NoChance())
    assert [patience.recovered(60.0, slowed=True) for _ in range(3)] == [120, 240, 480]
    assert patience.recovered(60.0) == 60
    assert patience.recovered(60.0, slowed=True) == 120


@table(
    "trouble",
    [
        ConnectionLost("x"),
        CommandRefused("SELECT", "NO", "", "x"),
        AuthenticationFailed("x"),
        *(throttled(kind) for kind in THROTTLE_WAITS),
        throttled(wait=1e-9),
        throttled(wait=float("inf")),
    ],
    ids=repr,
)
def test_no_trouble_makes_a_tight_loop_or_a_silent_day(trouble: NornmailError) -> None:
    patience = ServerBackoff(random.Random(3))
    waits: list[float] = []
    while sum(waits) < DAY:
        waits.append(patience.after(trouble))
    assert len(waits) < 500
    assert min(waits) > 0.4
    assert max(waits) <= 3_960.0
