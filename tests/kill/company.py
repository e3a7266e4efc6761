"""Plays many plans at once, each with a zygote, a server and a directory of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Self, TypeVar

from tests.kill.oracle import complaints
from tests.kill.stage import Plan, Story, play
from tests.kill.zygote import Zygote

T = TypeVar("T")
R = TypeVar("R")
AT_ONCE = min(8, 2 * (os.cpu_count() or 1))
"""Twice the processors, since a process that commits waits for the disk most of the time."""
REPLAY = "NORNMAIL_KILL"
"""The environment variable that names plans to be played instead of those that a test chooses."""


class Company:
    """A context manager. The clean story of each case is played once, and kept.

    Args:
        directory: for the files of all plans.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._clean: dict[tuple[str, str], Story] = {}
        self._idle: SimpleQueue[Zygote] = SimpleQueue()
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._players = self._stack.enter_context(ThreadPoolExecutor(AT_ONCE))
        for _ in range(AT_ONCE):
            self._idle.put(self._stack.enter_context(Zygote()))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def play(self, plan: Plan) -> Story:
        """Carry one plan out."""
        with self.zygote() as zygote:
            return play(zygote, self._directory, plan)

    @contextmanager
    def zygote(self) -> Iterator[Zygote]:
        """One of the zygotes, for as long as the block lasts."""
        zygote = self._idle.get()
        try:
            yield zygote
        finally:
            self._idle.put(zygote)

    def each(self, work: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """Do something with each of many, many at once."""
        return list(self._players.map(work, items))

    def clean(self, store: str, action: str) -> Story:
        """How it goes without a kill."""
        if (store, action) not in self._clean:
            self._clean[store, action] = self.play(Plan(store, action))
        return self._clean[store, action]

    def clean_twice(self, store: str, action: str) -> Story:
        """The same, which has gone that way twice."""
        once, again = self.clean(store, action), self.play(Plan(store, action))
        assert complaints(once, again) == []
        instants = [[str(event) for event in one.runs[0].instants] for one in (once, again)]
        assert instants[0] == instants[1], "the same run came by other instants"
        return once

    def judge(self, plans: Iterable[Plan]) -> str:
        """Carry plans out.

        Returns:
            What went wrong, for a person; "" if nothing did.
        """
        judged = [(plan, self._players.submit(self.play, plan)) for plan in plans]
        wrong = []
        for plan, future in judged:
            clean = self.clean(plan.store, plan.action)
            if found := complaints(clean, future.result()):
                wrong.append(_account(plan, clean, found))
        if not wrong:
            return ""
        return "\n".join([f"{len(wrong)} of {len(judged)} plans went wrong", *wrong])


def _account(plan: Plan, clean: Story, found: list[str]) -> str:
    instants = clean.runs[0].instants
    if plan.cut:
        return "\n    ".join([f"{plan}: {clean.runs[0].queries[abs(plan.cut) - 1]}", *found])
    at = plan.kills[0]
    where = str(instants[at - 1]) if at <= len(instants) else "there is no such instant"
    return "\n    ".join(
        [
            f"{plan}: killed {where}",
            *found,
            f"again: {REPLAY}={plan} python -m pytest tests/kill -k sample",
        ]
    )
