"""Runs plans: stops at the first violation, and cuts a failing plan down."""

from __future__ import annotations

import re
import tempfile
from dataclasses import replace
from pathlib import Path

from nornmail.testing import MailServer
from tests.model.finale import finish
from tests.model.plan import Plan
from tests.model.steps import Steps
from tests.model.world import World

_NAMES = re.compile(r"[a-z]+(-[a-z]+)*-\d+(-\d+)?|\d+")


class Violation(AssertionError):
    """The contract was broken: the plan, and what was wrong."""

    def __init__(self, plan: Plan, violations: list[str]) -> None:
        self.plan = plan
        self.violations = violations
        listed = "\n".join(f"  {one}" for one in violations)
        super().__init__(f"the contract was broken:\n{listed}\nin tests.model.plan.{plan}")


def run(plan: Plan) -> World:
    """Run a plan to its end.

    Raises:
        Violation: the contract was broken; the plan in it ends with the step at which it was.
    """
    with tempfile.TemporaryDirectory(prefix="model-") as directory, MailServer() as server:
        world = Steps(plan, Path(directory), server)
        try:
            for number, step in enumerate(plan.steps, 1):
                world.do(step)
                if world.violations:
                    cut = replace(plan, steps=plan.steps[:number])
                    raise Violation(cut, world.violations)
            finish(world)
            if world.violations:
                raise Violation(plan, world.violations)
        finally:
            world.close()
        return world


def broken(plan: Plan) -> Violation | None:
    """What is wrong with a run of ``plan``, if anything."""
    try:
        run(plan)
    except Violation as violation:
        return violation
    return None


def kind_of(violation: Violation) -> str:
    """The first thing that was wrong, without names and numbers."""
    return _NAMES.sub("", violation.violations[0])[:40]


def shrunk(violation: Violation) -> Violation:
    """The same kind of violation, by a plan with fewer steps."""
    kind = kind_of(violation)
    size = max(1, len(violation.plan.steps) // 2)
    while True:
        at, smaller = 0, False
        while at < len(violation.plan.steps):
            plan = violation.plan
            fewer = replace(plan, steps=[*plan.steps[:at], *plan.steps[at + size :]])
            found = broken(fewer)
            if found is None or kind_of(found) != kind:
                at += size
            else:
                violation, smaller = found, True
        if size == 1 and not smaller:
            return violation
        size = max(1, size // 2)
