"""Thousands of random steps on the embedded server; the contract is checked after each.

``NORNMAIL_MODEL_SEED`` runs one seed alone, cut down to the fewest steps that fail.
``NORNMAIL_MODEL_RUNS`` is the number of runs of the long test.
"""

from __future__ import annotations

import os

import pytest

from tests.model.plan import Plan, Step, plan_of
from tests.model.run import broken, run, shrunk

ASKED_FOR = os.environ.get("NORNMAIL_MODEL_SEED")
SEEDS = [int(ASKED_FOR)] if ASKED_FOR else range(2)
"""The seeds of the default run; the long runs have many more."""
STEPS = 100
RUNS = int(os.environ.get("NORNMAIL_MODEL_RUNS", "200"))
FIRST_LONG_SEED = 10_000
LONG_STEPS = 300
"""Steps of the runs from that seed on."""


def check(seed: int) -> None:
    """Run a seed; one that was asked for is cut down when it fails."""
    found = broken(plan_of(seed, LONG_STEPS if seed >= FIRST_LONG_SEED else STEPS))
    if found is not None:
        raise shrunk(found) if ASKED_FOR else found


@pytest.mark.parametrize("seed", SEEDS)
def test_the_contract_holds_in_every_run(seed: int) -> None:
    check(seed)


WITHHOLD = Step("spoil", 0, 6)
"""The newest message's FETCH is answered without it, seven times."""
ALL_FAIL = [Step("poll"), Step("advance", 5), Step("restart")]
FOUND = {
    "what was handled is not repeated when a new epoch does not give its headers": Plan(
        steps=[Step("deliver"), Step("poll"), WITHHOLD, Step("new_validity", 1), Step("poll")]
    ),
    "what is handled in an old epoch is moved when the new one gives it late": Plan(
        action="move",
        steps=[
            *(Step("deliver_troubled", 2), Step("poll"), WITHHOLD, Step("advance", 4)),
            *(Step("new_validity", 1), Step("poll")),
        ],
    ),
    "what was not given and then hidden is found again": Plan(
        steps=[
            *(Step("deliver"), WITHHOLD, Step("poll"), Step("hide"), Step("advance", 4)),
            *(Step("poll"), Step("poll")),
        ]
    ),
    "five messages that died of an outage do not hold up later mail": Plan(
        steps=[
            *(Step("outage"), *[Step("deliver")] * 5, *ALL_FAIL * 3),
            *(Step("deliver"), Step("poll"), Step("poll")),
        ]
    ),
}
"""Runs that broke the contract once, cut down by hand."""


@pytest.mark.parametrize("plan", FOUND.values(), ids=FOUND.keys())
def test_what_was_found_stays_mended(plan: Plan) -> None:
    run(plan)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(FIRST_LONG_SEED, FIRST_LONG_SEED + RUNS))
def test_the_contract_holds_in_long_runs(seed: int) -> None:
    check(seed)
