"""What a run does, as values: a seed makes a plan, and a plan can be cut down and run again."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, TypeVar

Action = Literal["none", "seen", "delete", "move"]
Store = Literal["memory", "json", "sqlite"]
Start = Literal["all", "new", "date"] | None
Change = Literal["dedupe", "replay", "baseline"]
T = TypeVar("T")

ACTIONS: Mapping[Action, float] = {"none": 1, "seen": 2, "delete": 3, "move": 5}
STORES: Mapping[Store, float] = {"memory": 4, "json": 3, "sqlite": 3}
STARTS: Mapping[Start, float] = {None: 4, "all": 2, "new": 1, "date": 1}
CHANGES: Mapping[Change, float] = {"dedupe": 8, "replay": 1, "baseline": 1}

CHANCES = 1_000_000
"""A step's numbers lie below this; a step picks with their remainder, so that it means something
in whatever state a shortened plan finds the world."""

WEIGHTS: Mapping[str, float] = {
    "deliver": 20,
    "deliver_troubled": 6,
    "deliver_anonymous": 3,
    "deliver_large": 3,
    "deliver_old": 2,
    "deliver_equal": 3,
    "deliver_twin": 2,
    "poll": 24,
    "advance": 8,
    "jump": 1,
    "expunge": 4,
    "flag": 4,
    "mark_deleted": 3,
    "new_validity": 2,
    "odd_validity": 1,
    "odd_uid_next": 1,
    "restore": 1,
    "hide": 2,
    "cut": 4,
    "cut_connect": 1,
    "refuse": 4,
    "bye": 1,
    "spoil": 4,
    "kill": 7,
    "outage": 1.5,
    "restart": 1.5,
    "rival": 1,
    "usurp": 1,
    "store_fails": 1.5,
    "meanwhile": 5,
}
"""How often each kind of step is taken, relative to the others. Each is a method of World."""


@dataclass(frozen=True)
class Step:
    """One thing that happens. ``a`` and ``b`` decide between the choices that there are then."""

    name: str
    a: int = 0
    b: int = 0

    def __repr__(self) -> str:
        return f"Step({self.name!r}, {self.a}, {self.b})"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run: how the poller and the server are set up, and the steps."""

    seed: int = 0
    store: Store = "memory"
    action: Action = "seen"
    move: bool = True
    uidplus: bool = True
    esearch: bool = True
    start_from: Start = None
    on_change: Change = "dedupe"
    delays: tuple[float, ...] = (60.0, 300.0, 1_800.0)
    fetches_rest: bool = False
    steps: list[Step] = field(default_factory=list)

    def __str__(self) -> str:
        """Python that makes the same plan again."""
        setup = [
            f"{one.name}={getattr(self, one.name)!r}" for one in fields(self) if one.name != "steps"
        ]
        steps = "".join(f"    {step!r},\n" for step in self.steps)
        return f"Plan({', '.join(setup)}, steps=[\n{steps}])"


def plan_of(seed: int, length: int) -> Plan:
    """The plan of a seed. The same seed with another length has the same first steps."""
    rng = random.Random(seed)
    delays = (60.0, 300.0, 1_800.0, 7_200.0, 28_800.0)
    return Plan(
        seed=seed,
        store=_choose(rng, STORES),
        action=_choose(rng, ACTIONS),
        move=rng.random() < 0.5,
        uidplus=rng.random() < 0.7,
        esearch=rng.random() < 0.7,
        start_from=_choose(rng, STARTS),
        on_change=_choose(rng, CHANGES),
        delays=delays if rng.random() < 0.5 else delays[:3],
        fetches_rest=rng.random() < 0.3,
        steps=[
            Step(_choose(rng, WEIGHTS), rng.randrange(CHANCES), rng.randrange(CHANCES))
            for _ in range(length)
        ],
    )


def _choose(rng: random.Random, weights: Mapping[T, float]) -> T:
    return rng.choices(list(weights), list(weights.values()))[0]
