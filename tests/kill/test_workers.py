"""A process with four workers is killed at any instant: nothing is lost, and at most four repeated.

The order of the calls is not fixed, so the rules that name an order are not asked for here.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from nornmail.model import State
from tests.kill.company import Company
from tests.kill.oracle import SETTLED, _differences, _unrest, calls_of
from tests.kill.scenario import WORKERS
from tests.kill.stage import Plan, Run, Story
from tests.stores.support import PATHS, POSTGRES

SEED = 1
SAMPLE = 2
"""Instants for each store in the default run."""


def complaints(clean: Story, story: Story) -> Iterator[str]:
    """Everything in ``story`` that should not be."""
    kills = 0
    for run in [*story.runs, *([story.extra] if story.extra else [])]:
        kills += run.killed
        if run.errors or not (run.killed or run.code == 0):
            yield f"a process ended with {run.code}: {run.errors}"
        yield from _claims(run)
    if not (clean.end and story.end and story.extra and story.still):
        yield "it has no end"
        return
    yield from _differences(clean.end, story.end)
    yield from _unrest(story.extra, story.end, story.still)
    wanted, repeated = calls_of(clean.runs), 0
    calls = calls_of(story.runs)
    if calls.keys() != wanted.keys():
        yield f"UIDs {sorted(calls)} were delivered, and not {sorted(wanted)}"
    for uid, had in calls.items():
        if len({call.event.delivery_id for call in had}) > 1:
            yield f"UID {uid} has several delivery ids"
        finished = [call for call in had if call.outcome in ("returned", "rejected")]
        repeated += max(len(finished) - 1, 0)
    if repeated > kills * WORKERS:
        yield f"{repeated} messages were repeated after {kills} kills"


def _claims(run: Run) -> Iterator[str]:
    """Rule 2: a claim is durable before its call, and there are never more than workers."""
    claimed: set[int] = set()
    for event in run.events:
        if event.kind == "commit" and event.when == "after":
            claimed |= {uid for uid, state in event.states if state == State.CLAIMED.value}
            claimed -= {uid for uid, state in event.states if state in SETTLED}
            if len(claimed) > WORKERS:
                yield f"{len(claimed)} claims without an outcome"
        elif event.kind == "call" and event.uid not in claimed:
            yield f"UID {event.uid} was delivered before its claim was durable"


def judge(company: Company, store: str, share: float) -> None:
    clean = company.play(Plan(store, "workers"))
    assert [*complaints(clean, clean)] == []
    instants = range(1, len(clean.runs[0].instants) + 1)
    count = SAMPLE if share < 1 else len(instants)
    chosen = random.Random(f"{SEED} {store}").sample(instants, count)
    plans = [Plan(store, "workers", (instant,)) for instant in chosen]
    stories = company.each(company.play, plans)
    wrong = {str(s.plan): found for s in stories if (found := [*complaints(clean, s)])}
    assert not wrong, wrong
    assert any(story.runs[0].killed for story in stories)


@pytest.mark.parametrize("store", [*PATHS, POSTGRES])
def test_a_sample_of_the_instants(company: Company, store: str) -> None:
    judge(company, store, 0)


@pytest.mark.long
@pytest.mark.parametrize("store", [*PATHS, POSTGRES])
def test_every_instant(company: Company, store: str) -> None:
    judge(company, store, 1)
