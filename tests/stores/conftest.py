"""A store of each kind, opened and closed; PostgreSQL where its tests are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nornmail.model import Lease
from nornmail.stores.protocol import StateStore
from tests.stores.support import INBOX, ME, OPENERS, PATHS, POSTGRES, QUICK

IN_MEMORY = pytest.param("memory", marks=pytest.mark.long)
"""The store in memory, which shares its SQL with that of a file: only `every_store` has it in the
default run."""


@pytest.fixture(params=[*PATHS, IN_MEMORY, POSTGRES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    """Each store in turn."""
    yield from opened(request, tmp_path)


@pytest.fixture(params=[*OPENERS, POSTGRES])
def every_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    """Each store in turn, and always the one in memory as well."""
    yield from opened(request, tmp_path)


def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    store = QUICK[request.param](tmp_path)
    yield store
    store.close()


@pytest.fixture
def lease(store: StateStore) -> Lease:
    return store.acquire(INBOX, ME)


@pytest.fixture(params=[*PATHS, POSTGRES])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], StateStore]]:
    """Opens the same durable store again and again, the one before being closed."""
    opened: list[StateStore] = []

    def again() -> StateStore:
        if opened:
            opened[-1].close()
        opened.append(QUICK[request.param](tmp_path))
        return opened[-1]

    yield again
    for one in opened:
        one.close()
