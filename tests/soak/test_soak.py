"""A poller lives for a while in a bad world, and the delivery contract is kept.

The default run takes a few seconds; ``nox -s soak`` takes half an hour for each server, or
NORNMAIL_SOAK_SECONDS. NORNMAIL_SOAK_SEED is for another world; threads and sockets make each run a
little different all the same.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from nornmail import SqliteStateStore
from nornmail.model import State
from nornmail.testing import MailServer, Proxy, connection
from tests.soak.leftovers import as_if_alone, blocks, logged, nothing_left_over, resident
from tests.soak.shores import BehindProxy, Embedded, Shore
from tests.soak.soak import Soak
from tests.support.dovecot import Dovecot

SMOKE_SECONDS = 1.5
SECONDS = float(os.environ.get("NORNMAIL_SOAK_SECONDS", "1800"))
SEED = int(os.environ.get("NORNMAIL_SOAK_SEED", "1"))
USER = "agent@example.com"
PASSWORD = "correct-horse-7%battery"

WARM = 0.25
"""Of a run: what is there by then may stay."""
MOST_BLOCKS = 25_000
"""Of memory that Python has given out, more than then: 2,000 lines of log, and what the books and
the server remember of unrouted mail, which stays. One block per message would be more."""
MOST_RESIDENT_GROWTH = 48.0
"""MiB for the whole process, the test server's list of commands and the heap's holes included."""
TRANSCRIPT = 1024 * 1024
"""Octets that the test server remembers, so that its memory is not what is measured."""
COMMANDS = 1_000
"""Commands that it remembers."""


def soak(shore: Shore, path: Path, seconds: float) -> str:
    """Run, and hold what is left to the contract; returns the figures."""
    held: list[int] = []
    memory: list[float] = []

    def measure() -> None:
        held.append(blocks())
        memory.append(resident())

    with ExitStack() as stack:
        stack.enter_context(as_if_alone())
        log = stack.enter_context(logged(shore.password))
        store = stack.enter_context(closing(SqliteStateStore(path)))
        one = Soak(shore, store, SEED, seconds)
        try:
            one.run(measure, WARM * seconds)
        except BaseException as error:
            error.add_note("\n".join(list(log.last)[-200:]))
            raise
        measure()
        counts = one.counts()
    books = one.books
    grown, (begin, end) = held[1] - held[0], memory
    figures = (
        f"{seconds:g} s: {dict(books.figures)}, {dict(shore.figures)}, {dict(one.figures)}, "
        f"events {dict(books.events)}, {log.count} log lines, {grown:,} more blocks, "
        f"the process {begin:.1f} MiB and {end:.1f} at the end"
    )
    assert books.breaches == [], figures
    assert counts[State.FINISHED] == books.figures["handled"], figures
    assert counts[State.DEAD] == books.figures["dead"], figures
    assert counts[State.PASSED_OVER] == books.figures["unrouted"], figures
    planned = books.figures["planned handled"] + books.figures["planned retried"]
    assert books.figures["handled"] == planned > 0, figures
    assert log.count > 0, figures
    assert list(log.leaks) == []
    assert grown < MOST_BLOCKS, figures
    assert end - begin < MOST_RESIDENT_GROWTH, figures
    return figures


@pytest.fixture
def embedded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Embedded]:
    monkeypatch.setattr(connection, "TRANSCRIPT_LIMIT", TRANSCRIPT)
    with nothing_left_over(), MailServer() as server:
        monkeypatch.setattr(server._state, "commands", deque(maxlen=COMMANDS))
        yield Embedded(server, USER, PASSWORD)


@pytest.fixture
def behind_proxy(dovecot: Dovecot) -> Iterator[BehindProxy]:
    with nothing_left_over(), Proxy(dovecot.host, dovecot.port) as proxy:
        yield BehindProxy(dovecot, proxy)


def test_a_few_seconds(embedded: Embedded, tmp_path: Path) -> None:
    print(soak(embedded, tmp_path / "state.db", SMOKE_SECONDS))


@pytest.mark.long
def test_a_long_time(embedded: Embedded, tmp_path: Path) -> None:
    print(soak(embedded, tmp_path / "state.db", SECONDS))


@pytest.mark.long
@pytest.mark.interop
def test_a_long_time_on_dovecot(behind_proxy: BehindProxy, tmp_path: Path) -> None:
    print(soak(behind_proxy, tmp_path / "state.db", SECONDS))
