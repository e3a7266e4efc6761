"""A process is killed at every instant of a run, started again, and nothing is lost or repeated.

The instants are recorded: before and after every write to the store, before and after every command
to the server, before, within and after every call of the handler. A process is killed at one of
them; the next one works until nothing waits. Then all must be as if nobody had been killed, and one
more process finds nothing to do. ``oracle.py`` says what that means, and bites: ``test_oracle.py``.

The default run plays a seeded pair of instants for each action, on one store or the other by turns;
``nox -s kill`` plays them all.
"""

from __future__ import annotations

import os
import random

import pytest
from _pytest.mark.structures import ParameterSet

from tests.kill.company import REPLAY, Company
from tests.kill.scenario import ACTIONS, ONE_AT_A_TIME
from tests.kill.stage import Plan
from tests.stores.support import DURABLE

SEED = 1
PAIRS = 50
"""Pairs of instants, in two processes one after the other, for each store and action."""

REPLAYED = [Plan.named(name) for name in os.environ.get(REPLAY, "").split()]
CASES = [
    (store, action)
    for store in DURABLE
    for action in ACTIONS
    if not (action == "standby" and store in ONE_AT_A_TIME)
    and action != "workers"  # see test_workers.py: the order of its calls is not fixed
]
if REPLAYED:
    CASES = list(dict.fromkeys((plan.store, plan.action) for plan in REPLAYED))


def case(store: str, action: str, *marks: pytest.MarkDecorator) -> ParameterSet:
    """A case as a parameter; what needs PostgreSQL is marked."""
    if store == "postgres":
        marks = (*marks, pytest.mark.interop)
    return pytest.param(store, action, id=f"{store}-{action}", marks=marks)


def is_sampled(store: str, action: str) -> bool:
    """Whether the default run plays something of a case."""
    if action == "none" and not REPLAYED:
        return False  # there is less to it than to any other
    turn = (list(ACTIONS).index(action) + list(DURABLE).index(store)) % 2
    return not turn or action == "standby" or bool(REPLAYED)


BY_TURNS = [
    case(store, action, *([] if is_sampled(store, action) else [pytest.mark.long]))
    for store, action in CASES
]
every_case = pytest.mark.parametrize(("store", "action"), [case(*one) for one in CASES])


def rng(store: str, action: str) -> random.Random:
    return random.Random(f"{SEED} {store} {action}")


def pairs(store: str, action: str, instants: int, count: int) -> list[Plan]:
    """Seeded plans in which the process that was started again is killed as well.

    How many instants the second one comes by is not known: about as many as the first had left. One
    that lives on is a plan with one kill.
    """
    dice = rng(store, action)
    plans = []
    for _ in range(count):
        first = dice.randint(1, instants)
        second = dice.randint(1, max(instants - first, instants // 4))
        plans.append(Plan(store, action, (first, second)))
    return list(dict.fromkeys(plans))


@pytest.mark.parametrize(("store", "action"), BY_TURNS)
def test_a_sample_of_the_instants(company: Company, store: str, action: str) -> None:
    instants = len(company.clean(store, action).runs[0].instants)
    plans = pairs(store, action, instants, 1)
    if REPLAYED:
        plans = [plan for plan in REPLAYED if (plan.store, plan.action) == (store, action)]
    wrong = company.judge(plans)
    assert not wrong, wrong


MADE = "INSERT INTO nornmail_version"
"""The last statement that makes the tables in PostgreSQL, in the same way for each action."""


@pytest.mark.long
@every_case
def test_every_instant(company: Company, store: str, action: str) -> None:
    events = company.clean_twice(store, action).runs[0].instants
    made = 0 if action == "none" else sum(event.number for event in events if event.text == MADE)
    wrong = company.judge(Plan(store, action, (n,)) for n in range(made + 1, len(events) + 1))
    assert not wrong, wrong


@pytest.mark.long
@every_case
def test_many_pairs_of_instants(company: Company, store: str, action: str) -> None:
    instants = len(company.clean(store, action).runs[0].instants)
    wrong = company.judge(pairs(store, action, instants, PAIRS))
    assert not wrong, wrong


@pytest.mark.interop
@pytest.mark.long
@pytest.mark.parametrize("action", [action for action in ACTIONS if action != "workers"])
@pytest.mark.parametrize("side", [1, -1], ids=["before", "behind"])
def test_the_connection_to_postgresql_is_lost_at_every_statement(
    company: Company, action: str, side: int
) -> None:
    queries = [query.text for query in company.clean("postgres", action).runs[0].queries]
    begin = 0 if action == "none" else queries.index(MADE)
    cuts = [side * number for number in range(begin + 1, len(queries) + 1)]
    wrong = company.judge(Plan("postgres", action, cut=cut) for cut in cuts)
    assert not wrong, wrong


@pytest.mark.parametrize(("store", "action"), BY_TURNS)
def test_the_instants_are_of_every_kind(company: Company, store: str, action: str) -> None:
    events = company.clean(store, action).runs[0].instants
    kinds = {f"{event.when} {event.kind}" for event in events}
    effects = ["commit", "lease", "command", "handler"]
    effects += ["request"] if action == "dead" else []
    own = OWN[store]
    assert kinds == own | {"within handler"} | {f"{w} {e}" for e in effects for w in WHENS}
    words = {word for event in events for word in event.text.split()}
    assert words >= TOUCHED[action]


OWN = {
    "json": {"before file", "within file", "after file"},
    "sqlite": {"before statement"},
    "postgres": {"before statement", "after statement"},
}
"""The instants of a store alone."""
WHENS = ("before", "after")
TOUCHED: dict[str, set[str]] = {
    "none": set(),
    "seen": {"STORE"},
    "delete": {"STORE", "EXPUNGE"},
    "move": {"STORE", "MOVE"},
    "copy": {"STORE", "COPY", "EXPUNGE"},
    "inboxes": {"STORE", "EXPUNGE"},
    "epoch": {"STORE", "Rekey,"},
    "dead": {"STORE", "ask"},
    "standby": {"STORE", "EXPUNGE"},
}
"""What each action says to the server: a recording without it would prove nothing."""
