"""A mailer is killed at every instant: nothing is left unsent, and nothing sent twice.

What may have been taken when its process ended is marked as unknown, and nothing else is. The
instants are recorded: before and after every write to the store, before, within and after whatever
is sent to the server, after each of its answers. The default run plays a seeded sample; ``nox -s
kill`` plays them all.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from nornmail.outgoing import QueueState
from tests.kill.company import Company
from tests.kill.outbox_stage import Plan, Story, complaints, play
from tests.stores.support import PATHS, POSTGRES

SEED = 3
SAMPLE = 1
"""Pairs for each store in the default run."""
PAIRS = 100
"""Pairs of instants, in two processes one after the other, for each store."""

every_store = pytest.mark.parametrize("store", [*PATHS, POSTGRES])


def play_all(company: Company, directory: Path, plans: list[Plan]) -> list[Story]:
    def one(plan: Plan) -> Story:
        with company.zygote() as zygote:
            return play(zygote, directory, plan)

    return company.each(one, plans)


def judge(company: Company, directory: Path, plans: list[Plan]) -> str:
    wrong = []
    for story in play_all(company, directory, plans):
        if found := complaints(story):
            at = story.plan.kills[0] if story.plan.kills else 0
            where = story.runs[0][-1] if at else "nowhere"
            wrong.append("\n    ".join([f"{story.plan}: killed {where}", *found]))
    return "\n".join(wrong)


def instants(company: Company, directory: Path, store: str) -> int:
    """How many there are in a run that nobody ends; it must be a good one."""
    (story,) = play_all(company, directory, [Plan(store)])
    assert complaints(story) == []
    assert {str(one.state) for one in story.letters.values()} == {"sent", "failed"}
    return len(story.instants)


def pairs(store: str, count: int, instants: int) -> list[Plan]:
    dice = random.Random(f"{SEED} pairs {store}")
    return [
        Plan(store, (first, dice.randint(1, max(instants - first, instants // 4))))
        for first in (dice.randint(1, instants) for _ in range(count))
    ]


@every_store
def test_a_sample_of_the_instants_of_an_outbox(
    company: Company, tmp_path: Path, store: str
) -> None:
    most = instants(company, tmp_path, store)
    wrong = judge(company, tmp_path, pairs(store, SAMPLE, most))
    assert not wrong, wrong


@pytest.mark.long
@every_store
def test_every_instant_of_an_outbox(company: Company, tmp_path: Path, store: str) -> None:
    most = instants(company, tmp_path, store)
    wrong = judge(company, tmp_path, [Plan(store, (n,)) for n in range(1, most + 1)])
    assert not wrong, wrong


@pytest.mark.long
@every_store
def test_many_pairs_of_instants_of_an_outbox(company: Company, tmp_path: Path, store: str) -> None:
    most = instants(company, tmp_path, store)
    wrong = judge(company, tmp_path, pairs(store, PAIRS, most))
    assert not wrong, wrong


BREACHED = [
    pytest.param("late sending", id="late sending"),
    pytest.param("unknown again", id="unknown again", marks=pytest.mark.long),
]


@pytest.mark.parametrize("breach", BREACHED)
def test_a_breach_of_the_outbox_is_found(company: Company, tmp_path: Path, breach: str) -> None:
    """The instant is the server's answer to the first content: it took it, and nobody knows."""
    (clean,) = play_all(company, tmp_path, [Plan("sqlite", breach=breach)])
    content = next(one.number for one in clean.instants if "content" in one.text)
    answer = next(one for one in clean.instants if one.number > content and "250" in one.text)
    assert str(answer) == "after 250"
    (story,) = play_all(company, tmp_path, [Plan("sqlite", (answer.number,), breach)])
    assert any("times" in complaint for complaint in complaints(story)), complaints(story)


@pytest.mark.long
def test_a_kill_at_that_instant_makes_it_unknown_and_nothing_else(
    company: Company, tmp_path: Path
) -> None:
    (clean,) = play_all(company, tmp_path, [Plan("sqlite")])
    content = next(one.number for one in clean.instants if "content" in one.text)
    (story,) = play_all(company, tmp_path, [Plan("sqlite", (content,))])
    assert complaints(story) == []
    unknown = [key for key, one in story.letters.items() if one.state is QueueState.UNKNOWN]
    assert unknown == ["held"], "it is the first that is sent, since it was approved"
