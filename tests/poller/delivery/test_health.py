"""When the handler is taken to be down, and what it is tried with then."""

from __future__ import annotations

import pytest

from nornmail.retry import FIRST_PROBE, LONG_OUTAGE, OUTAGE_AFTER, CircuitBreaker


def test_five_different_messages_in_a_row_are_an_outage() -> None:
    health = CircuitBreaker()
    for number in range(4):
        health.failed(f"message {number}", now=0.0)
        health.failed(f"message {number}", now=0.0)  # the same one again is no other
    assert not health.failing()
    health.failed("message 4", now=100.0)
    assert health.failing()
    assert health.until_probe(100.0) == FIRST_PROBE
    assert health.until_probe(100.0 + FIRST_PROBE) == 0.0


def test_probes_come_at_growing_intervals_until_one_succeeds() -> None:
    health = CircuitBreaker()
    for number in range(5):
        health.failed(str(number), now=0.0)
    waits = []
    for _ in range(9):
        waits.append(health.until_probe(0.0))
        health.failed("0", now=0.0)
    assert waits == [5, 10, 20, 40, 80, 160, 300, 300, 300]
    health.succeeded()
    assert not health.failing()


def down() -> CircuitBreaker:
    """A handler that was taken to be down at 0 s and has failed a probe with each message."""
    health = CircuitBreaker()
    for _ in range(2):
        for number in range(OUTAGE_AFTER):
            health.failed(str(number), now=0.0)
    return health


@pytest.mark.parametrize(
    ("waiting", "failing", "admits"),
    [
        pytest.param(0, False, True, id="nothing is left to try it with: it is taken to work"),
        pytest.param(1, True, True, id="one that may be poison: a new message is let in"),
        pytest.param(OUTAGE_AFTER - 1, True, True, id="too few to tell"),
        pytest.param(OUTAGE_AFTER, True, False, id="enough to tell: nothing new is claimed"),
    ],
)
def test_what_follows_a_round_of_probes(waiting: int, failing: bool, admits: bool) -> None:
    health = down()
    assert health.was_probed("0")
    health.end_probe_round(waiting, now=0.0)
    assert not health.was_probed("0")
    assert (health.failing(), health.allows()) == (failing, admits)
    if failing:
        health.failed("new", now=0.0)
        assert not health.allows()


def test_after_hours_a_new_message_is_let_in_after_every_five_probes() -> None:
    health = CircuitBreaker()
    for number in range(OUTAGE_AFTER):
        health.failed(f"first {number}", now=0.0)
    admits = []
    for number in range(LONG_OUTAGE + 2 * OUTAGE_AFTER):
        health.failed(str(number), now=0.0)
        admits.append(health.allows())
    assert [at for at, admitted in enumerate(admits, start=1) if admitted] == [40, 45]
    health.end_probe_round(OUTAGE_AFTER, now=0.0)
    assert health.allows()
