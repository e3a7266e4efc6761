"""The outbox on every store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import pytest

from nornmail.stores.protocol import StateStore
from tests.outbox import fake
from tests.stores.support import DURABLE, OPENERS, POSTGRES


@pytest.fixture(autouse=True)
def no_timer_outlives_its_test() -> Iterator[None]:
    """Close what a test leaves open: a clock that stands still lets a timer begin anew for ever."""
    yield
    while fake.without_store:
        fake.without_store.pop().close()


@pytest.fixture(
    params=[
        "memory",
        pytest.param("json", marks=pytest.mark.long),
        pytest.param("sqlite", marks=pytest.mark.long),
        POSTGRES,
    ]
)
def each_store(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """The store of a world where the test names none is each one in turn."""
    opener = {**OPENERS, **DURABLE}[request.param]
    numbers = count()
    with ExitStack() as stack:

        def new_store() -> StateStore:
            directory = tmp_path / str(next(numbers))
            directory.mkdir()
            store = opener(directory)
            stack.callback(store.close)
            return store

        monkeypatch.setattr(fake, "new_store", new_store)
        yield
