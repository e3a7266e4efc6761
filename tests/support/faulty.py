"""A store in which chosen calls, or statements of SQL, fail: before they are made, or after."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any


class Faults:
    """Counts calls, and raises at some of them.

    Args:
        at: the numbers of the calls that fail, from 1.
        error: what is raised; ``None`` counts only.
        after: once the call was made, as the exception of a signal comes; else instead of it.

    Attributes:
        calls: how many there were.
        hits: the names of those that failed.
    """

    def __init__(
        self,
        at: Collection[int] = (),
        error: type[BaseException] | None = None,
        *,
        after: bool = False,
    ) -> None:
        self._at = frozenset(at)
        self._error = error
        self._after = after
        self.calls = 0
        self.hits: list[str] = []

    def call(self, name: str, function: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function, or fail."""
        self.calls += 1
        fails = self.calls in self._at and self._error is not None
        if fails and self._error is not None and not self._after:
            self.hits.append(name)
            raise self._error("injected")
        result = function(*args, **kwargs)
        if fails and self._error is not None:
            self.hits.append(name)
            del result  # such as a lease: the exception takes it with it
            raise self._error("injected")
        return result


class FaultyStore:
    """A store whose calls fail."""

    def __init__(self, store: Any, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method) or name == "close":
            return method
        return lambda *args, **kwargs: self._faults.call(name, method, *args, **kwargs)


class FaultyConnection:
    """A database's connection whose statements fail."""

    def __init__(self, connection: Any, faults: Faults) -> None:
        self._connection = connection
        self._faults = faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *arguments: Any) -> Any:
        execute = self._connection.execute
        return self._faults.call(statement.split()[0], execute, statement, *arguments)
