"""Enumerations that take minutes: whole with ``-m long``, a seeded sample in every run."""

from __future__ import annotations

import os
import random
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import pytest

SEED = 20_240_501
CASES = 2
"""Cases of each test in `SAMPLED` that a run of the whole suite takes."""
SAMPLED = (
    *("tests/poller/delivery/", "tests/poller/life/", "tests/poller/running/", "tests/imap/"),
    *("tests/smtp/", "tests/testing/", "tests/transcripts/", "tests/web/", "tests/cli/"),
)
"""Folders whose cases each need a server, or several."""
WHOLE_SUITE = 2_000
"""Tests: where fewer are asked for, as those of a room, all of their cases run."""
ENVIRONMENT = "NORNMAIL_ALL_CASES"
"""Set, it takes every case of each test."""
MARKS = ("long", "interop", "tls", "browser")

Case = TypeVar("Case")


def sampled(cases: Sequence[Case], count: int, *, ids: Sequence[str]) -> list[object]:
    """The cases as parameters; all but ``count`` of them, the same in every run, are ``long``.

    Args:
        ids: of the cases.
    """
    chosen = set(random.Random(SEED).sample(range(len(cases)), min(count, len(cases))))
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            id=name,
            marks=() if at in chosen else pytest.mark.long,
        )
        for at, (case, name) in enumerate(zip(cases, ids, strict=True))
    ]


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark as ``long`` all but a few cases of each test, where the whole suite runs.

    So it is for mutants, too: it is the default suite that is to notice them.
    """
    whole = len(items) >= WHOLE_SUITE or config.pluginmanager.has_plugin("mutants")
    if not whole or os.environ.get(ENVIRONMENT):
        return
    tests: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.nodeid.startswith(SAMPLED) and not any(map(item.get_closest_marker, MARKS)):
            tests[item.nodeid.partition("[")[0]].append(item)
    for name, cases in tests.items():
        chosen = random.Random(f"{SEED} {name}").sample(cases, min(CASES, len(cases)))
        for item in cases:
            if item not in chosen:
                item.add_marker(pytest.mark.long)
