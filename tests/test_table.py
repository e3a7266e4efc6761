"""A table runs every case, and says which ones failed."""

from __future__ import annotations

import inspect

import pytest

from tests.support.table import ENVIRONMENT, table

seen: list[object] = []


@pytest.fixture(autouse=True)
def nothing_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    seen.clear()
    monkeypatch.delenv(ENVIRONMENT, raising=False)


@table("number, word", [pytest.param(1, "a", id="the first"), (2, "b"), (1, "c"), (4, "d")])
def odd(number: int, word: str) -> None:
    seen.append(word)
    if word == "d":
        pytest.fail("told to")
    assert number == 1, word


def test_every_case_runs_and_each_that_fails_is_reported_by_its_id() -> None:
    with pytest.raises(BaseExceptionGroup, match="2 of 4 cases: 2-b; 4-d") as caught:
        odd()
    assert seen == ["a", "b", "c", "d"]
    told = [type(error) for error in caught.value.exceptions]
    assert told == [AssertionError, pytest.fail.Exception]
    assert caught.value.exceptions[0].__notes__ == ["the case: 2-b"]


def test_one_case_can_be_run_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, "the first")
    odd()
    assert seen == ["a"]
    monkeypatch.setenv(ENVIRONMENT, "the last")
    with pytest.raises(pytest.skip.Exception):
        odd()


def test_fixtures_are_given_to_every_case_and_tables_multiply() -> None:
    @table("left", [1, 2])
    @table("right", [3, 4], ids=["three", "three"])
    def product(left: int, right: int, capital: str) -> None:
        seen.append((left, right, capital))

    assert list(inspect.signature(product).parameters) == ["capital"]
    product(capital="Lima")
    assert seen == [(1, 3, "Lima"), (1, 4, "Lima"), (2, 3, "Lima"), (2, 4, "Lima")]


def test_a_table_without_a_case_or_with_a_mark_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a case"):
        table("number", [])
    with pytest.raises(ValueError, match="has a mark"):
        table("number", [pytest.param(1, marks=pytest.mark.long)])
