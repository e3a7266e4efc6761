"""An exception from a signal handler (Ctrl-C) at every call of the store, while mail goes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nornmail import MemoryStateStore, SqliteStateStore, StateStore
from nornmail.outgoing import OperatorRequest
from tests.outbox.fake import World, accept, defer, lose, refuse, world

KEYS = tuple("abcdef")


class Interrupting:
    """A store whose n-th call is interrupted: before it is made, or behind its effect."""

    def __init__(self, store: StateStore, at: int, *, after: bool) -> None:
        self._store = store
        self._at = at
        self._after = after
        self.calls = 0
        self.hit = ""

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not callable(method):
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            hit = self.calls == self._at
            if hit and not (self._after and name != "acquire"):
                self.hit = name
                raise KeyboardInterrupt
            result = method(*args, **kwargs)
            if hit:
                self.hit = name
                raise KeyboardInterrupt
            return result

        return call


def run(store: Any) -> World:
    """Queue messages of every fate, and send until nothing waits, whatever is interrupted."""
    answers = [accept, defer(), refuse(), lose(content=False), lose(content=True)]
    one = world(store, answers, account="agent")
    for number, key in enumerate(KEYS):
        insist(partial(one.mailer.send, f"r{number}@example.org", key, key, key=key))
    insist(lambda: one.mailer._store.request("agent", "f", OperatorRequest.RETRY))
    for _ in range(12):
        if insist(one.mailer.flush):
            break
        one.clock.advance(600)
    else:
        raise AssertionError("messages still wait")
    return one


def insist(work: Callable[[], Any]) -> Any:
    """Do it, and once more where a person pressed Ctrl-C."""
    try:
        return work()
    except KeyboardInterrupt:
        return work()


def check(one: World) -> None:
    """Nothing is lost, nothing is doubled, and only what was cut off in its content is unknown."""
    taken = one.server.addresses()
    assert len(taken) == len(set(taken)), "sent twice"
    for number, key in enumerate(KEYS):
        state = one.state(key)
        got = taken.count(f"r{number}@example.org")
        assert (state == "sent") is (got == 1), f"{key}: {state}, and {got} arrived"
        assert state in ("sent", "failed", "unknown"), f"{key} is {state}"
    unknown = [key for key in KEYS if one.state(key) == "unknown"]
    assert len(unknown) <= 1, unknown


def stores(tmp_path: Path) -> dict[str, Callable[[], StateStore]]:
    files = iter(range(10_000))
    return {
        "memory": MemoryStateStore,
        "sqlite": lambda: SqliteStateStore(tmp_path / f"{next(files)}.db"),
    }


@pytest.mark.parametrize("after", [False, True], ids=["before the call", "behind its effect"])
@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("memory", 4),
        ("sqlite", 41),
        pytest.param("memory", 1, marks=pytest.mark.long),
        pytest.param("sqlite", 13, marks=pytest.mark.long),
    ],
)
def test_ctrl_c_at_any_call_of_the_store_loses_and_doubles_nothing(
    kind: str, step: int, after: bool, tmp_path: Path
) -> None:
    make = stores(tmp_path)[kind]
    whole = Interrupting(make(), 0, after=after)
    run(whole)
    calls, seen = whole.calls, set()
    for at in range(1, calls + 1, step):
        store = Interrupting(make(), at, after=after)
        one = run(store)
        try:
            check(one)
        except AssertionError as error:
            raise AssertionError(f"call {at}, {store.hit}: {error}") from error
        finally:
            one.mailer.close()
            store.close()
        seen.add(store.hit)
    assert {"commit_messages", "acquire", "release"} <= seen or step > 1
