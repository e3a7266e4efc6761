"""A store of each kind, opened and closed; PostgreSQL where its tests are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nornmail.model import Lease
from nornmail.stores.protocol import StateStore
from tests.stores.support import INBOX, ME, OPENERS, PATHS
from tests.support.postgresql import open_postgres

POSTGRES = pytest.param("postgres", marks=pytest.mark.interop)
SERVED = {"postgres": open_postgres}


@pytest.fixture(params=[*OPENERS, POSTGRES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    """Each store in turn."""
    opened = {**OPENERS, **SERVED}[request.param](tmp_path)
    yield opened
    opened.close()


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
        opened.append({**PATHS, **SERVED}[request.param](tmp_path))
        return opened[-1]

    yield again
    for one in opened:
        one.close()
