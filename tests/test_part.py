"""A part of a long run: a seeded order, and no test begins once the time is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.support import part


@pytest.fixture
def orders() -> Callable[[int], list[int]]:
    def order(seed: int) -> list[int]:
        items: list[Any] = list(range(20))
        part.Part(1.0, seed).pytest_collection_modifyitems(items)
        return items

    return order


def test_the_order_goes_by_the_seed(orders: Callable[[int], list[int]]) -> None:
    assert orders(1) == orders(1) != orders(2)
    assert sorted(orders(1)) == list(range(20))


def test_what_begins_in_time_runs_and_the_rest_is_left_out() -> None:
    now = [100.0]
    some = part.Part(10.0, 1, lambda: now[0])
    some.pytest_runtestloop()
    assert some.pytest_runtest_protocol() is None
    now[0] = 110.0
    assert some.pytest_runtest_protocol() is True


def test_only_who_asks_gets_a_part(
    monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    monkeypatch.delenv(part.SECONDS, raising=False)
    before = pytestconfig.pluginmanager.get_plugins()
    part.pytest_configure(pytestconfig)
    assert pytestconfig.pluginmanager.get_plugins() == before
