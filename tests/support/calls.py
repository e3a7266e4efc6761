"""How many functions are called: a cost that is exact, and that no other process can disturb."""

from __future__ import annotations

import cProfile
from collections.abc import Callable


def count_calls(function: Callable[[], object]) -> int:
    """The calls that ``function`` makes in this thread, those of C included."""
    profile = cProfile.Profile(subcalls=False)
    profile.runcall(function)
    return sum(entry.callcount for entry in profile.getstats())
