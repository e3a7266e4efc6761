"""A table of cases as one test: a test of its own for each costs pytest more than most cases do."""

from __future__ import annotations

import functools
import inspect
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

ENVIRONMENT = "NORNMAIL_CASE"
"""Part of an id: only these cases run, and a table without one is skipped."""

Test = Callable[..., None]


def table(
    names: str | Sequence[str],
    cases: Iterable[Any],
    ids: Iterable[str] | Callable[[Any], object] | None = None,
) -> Callable[[Test], Test]:
    """As ``pytest.mark.parametrize``, but one test that reports every case that fails, by its id.

    The cases share the fixtures of the test: it is for functions of what they are given.

    Raises:
        ValueError: there is no case, or a case has a mark.
    """
    fields = [name.strip() for name in names.split(",")] if isinstance(names, str) else [*names]
    rows = list(cases)
    named = list(ids) if isinstance(ids, Iterable) else None
    listed: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(rows):
        values = _values(row, len(fields))
        given = named[number] if named else getattr(row, "id", None)
        label = given if isinstance(given, str) else _label(values, None if named else ids)
        if label in listed:
            label = f"{label} ({number})"
        if getattr(row, "marks", ()):
            raise ValueError(f"the case {label!r} has a mark, which needs a test of its own")
        listed[label] = dict(zip(fields, values, strict=True))
    if not listed:
        raise ValueError("a table needs a case")

    def decorate(test: Test) -> Test:
        @functools.wraps(test)
        def every(*arguments: Any, **fixtures: Any) -> None:
            _run(
                {label: functools.partial(test, **values) for label, values in listed.items()},
                lambda case: case(*arguments, **fixtures),
            )

        signature = inspect.signature(test)
        rest = [one for one in signature.parameters.values() if one.name not in fields]
        every.__signature__ = signature.replace(parameters=rest)  # type: ignore[attr-defined]
        return every

    return decorate


def _run(cases: dict[str, Test], call: Callable[[Test], None]) -> None:
    wanted = os.environ.get(ENVIRONMENT, "")
    chosen = {label: case for label, case in cases.items() if wanted in label}
    if not chosen:
        pytest.skip(f"no case has {wanted!r} in its id")
    failures: dict[str, BaseException] = {}
    for label, case in chosen.items():
        try:
            call(case)
        except (Exception, pytest.fail.Exception) as error:
            error.add_note(f"the case: {label}")
            failures[label] = error
    if failures:
        message = f"{len(failures)} of {len(chosen)} cases: {'; '.join(failures)}"
        raise BaseExceptionGroup(message, list(failures.values()))


def _values(row: Any, count: int) -> Sequence[Any]:
    if hasattr(row, "marks"):  # a pytest.param
        return tuple(row.values)
    return (row,) if count == 1 else tuple(row)


def _label(values: Sequence[Any], name: Iterable[str] | Callable[[Any], object] | None) -> str:
    if callable(name):
        values = [given if (given := name(value)) is not None else value for value in values]
    return "-".join(value if isinstance(value, str) else repr(value) for value in values)
