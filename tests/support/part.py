"""A part of a long run: the tests in a random order, as many as begin in some seconds.

``NORNMAIL_PART_SECONDS`` asks for it. The seed of the order is printed, and ``NORNMAIL_PART_SEED``
repeats it. A pytest plugin.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable

import pytest

SECONDS = "NORNMAIL_PART_SECONDS"
SEED = "NORNMAIL_PART_SEED"


def pytest_configure(config: pytest.Config) -> None:
    """Take part only where a part is asked for."""
    if SECONDS in os.environ:
        seed = int(os.environ.get(SEED) or random.SystemRandom().randrange(10**6))
        config.pluginmanager.register(Part(float(os.environ[SECONDS]), seed), "part")


class Part:
    """The order, and the time that is left.

    Args:
        seconds: after which no further test begins.
        seed: of the order.
    """

    def __init__(
        self, seconds: float, seed: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._seconds = seconds
        self._seed = seed
        self._clock = clock
        self._end = 0.0
        self._left_out = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Shuffle what is left after all other choices."""
        random.Random(self._seed).shuffle(items)

    def pytest_runtestloop(self) -> None:
        """Begin to count the seconds, and leave the rest to pytest."""
        self._end = self._clock() + self._seconds

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self) -> bool | None:
        """Leave a test out once the time is over."""
        if self._clock() < self._end:
            return None
        self._left_out += 1
        return True

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Say how to repeat it, and what was left out."""
        terminalreporter.write_line(
            f"{SECONDS}={self._seconds:g} {SEED}={self._seed}: {self._left_out} tests left out"
        )
