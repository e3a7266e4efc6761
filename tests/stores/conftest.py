"""A store of each kind, opened and closed; PostgreSQL where its tests are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from nornmail.model import Lease
from nornmail.stores.protocol import StateStore
from tests.stores.support import DURABLE, INBOX, ME, OPENERS, PATHS, POSTGRES


@pytest.fixture(params=[*OPENERS, POSTGRES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StateStore]:
    """Each store in turn."""
    opened = {**OPENERS, **DURABLE}[request.param](tmp_path)
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
        opened.append(DURABLE[request.param](tmp_path))
        return opened[-1]

    yield again
    for one in opened:
        one.close()
