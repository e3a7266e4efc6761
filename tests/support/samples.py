"""Enumerations that take minutes: whole with ``-m long``, a seeded sample in every run."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

import pytest

SEED = 20_240_501

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
