"""An exception at every call of the store, and at every statement, while mail goes out.

It is that of a signal handler (Ctrl-C), which may come before or behind an effect, or the store's
own, for a disk that is full."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nornmail import (
    Mailer,
    MemoryStateStore,
    Outbox,
    SmtpSettings,
    SqliteStateStore,
    StateStore,
    StoreError,
)
from nornmail.outbox.enqueue import Approval
from nornmail.outgoing import OperatorRequest
from nornmail.stores import sqlite
from tests.outbox.fake import World, accept, defer, lose, refuse, world
from tests.outbox.test_approval import Account

KEYS = tuple("abcdef")


class Interrupting:
    """A store whose n-th call is interrupted: before it is made, or behind its effect."""

    def __init__(
        self, store: StateStore, at: int, *, after: bool, error: type[BaseException]
    ) -> None:
        self._store = store
        self._at = at
        self._after = after
        self._error = error
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
                raise self._error("interrupted")
            result = method(*args, **kwargs)
            if hit:
                self.hit = name
                raise self._error("interrupted")
            return result

        return call


class InterruptingConnection:
    """A sqlite connection whose n-th statement is interrupted; ``at`` is 0 while it is set up."""

    def __init__(self, connection: Any, *, after: bool) -> None:
        self._connection = connection
        self._after = after
        self.calls = self.at = 0
        self.hit = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, arguments: Any = ()) -> Any:
        self.calls += 1
        hit = self.calls == self.at
        if hit:
            self.hit = statement
        if hit and not self._after:
            raise KeyboardInterrupt
        cursor = self._connection.execute(statement, arguments)
        if hit:
            raise KeyboardInterrupt
        return cursor


APPROVALS: dict[str, Approval] = {"held": "queue", "draft": "draft"}
PERSON = "hal@example.org"


def run(store: Any) -> World:
    """Queue messages of every fate, and send until nothing waits, whatever is interrupted."""
    answers = [accept, defer(), refuse(), lose(content=False), lose(content=True)]
    account = Account()
    one = world(
        store,
        answers,
        account="agent",
        sent_mailbox=account,
        approval=lambda outgoing: APPROVALS.get(outgoing.key),
    )
    for key in APPROVALS:
        insist(partial(one.mailer.send, PERSON, key, key, key=key))
    for who in ("Ann", "Bob"):
        insist(partial(Outbox(one.mailer._store).approve, "held", who))
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


def drafts_of(one: World) -> list[bytes]:
    account = one.mailer._worker.runner.sent
    assert isinstance(account, Account)
    return account.drafts


def insist(work: Callable[[], Any]) -> Any:
    """Do it, and once more where a person pressed Ctrl-C, or the disk was full."""
    try:
        return work()
    except (KeyboardInterrupt, StoreError):
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
    assert (one.state("held"), taken.count(PERSON)) == ("sent", 1)
    assert (one.state("draft"), len(drafts_of(one))) == ("draft", 1)
    unknown = [key for key in KEYS if one.state(key) == "unknown"]
    assert len(unknown) <= 1, unknown


def stores(tmp_path: Path) -> dict[str, Callable[[], StateStore]]:
    files = iter(range(10_000))
    return {
        "memory": MemoryStateStore,
        "sqlite": lambda: SqliteStateStore(tmp_path / f"{next(files)}.db"),
    }


BEFORE_OR_BEHIND = ((KeyboardInterrupt, False), (KeyboardInterrupt, True), (StoreError, False))
"""The errors, and whether they come behind an effect: a store that failed has changed nothing."""


@pytest.mark.parametrize(
    ("error", "after"), BEFORE_OR_BEHIND, ids=["Ctrl-C", "Ctrl-C behind the effect", "a full disk"]
)
@pytest.mark.parametrize(
    ("kind", "step"),
    [
        ("memory", 67),
        ("sqlite", 401),
        pytest.param("memory", 1, marks=pytest.mark.long),
        pytest.param("sqlite", 13, marks=pytest.mark.long),
    ],
)
def test_an_exception_at_any_call_of_the_store_loses_and_doubles_nothing(
    kind: str, step: int, error: type[BaseException], after: bool, tmp_path: Path
) -> None:
    make = stores(tmp_path)[kind]
    whole = Interrupting(make(), 0, after=after, error=error)
    run(whole)
    calls, seen = whole.calls, set()
    for at in range(1, calls + 1, step):
        store = Interrupting(make(), at, after=after, error=error)
        judge(run(store), store, f"call {at}, {store.hit}")
        seen.add(store.hit)
    assert {"commit_messages", "acquire", "release", "decide"} <= seen or step > 1


@pytest.mark.parametrize("after", [False, True], ids=["before it", "behind it"])
@pytest.mark.parametrize("step", [601, pytest.param(1, marks=pytest.mark.long)])
def test_an_exception_at_any_statement_loses_and_doubles_nothing(
    step: int, after: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[InterruptingConnection] = []

    def opened(path: str, **more: Any) -> Any:
        made.append(InterruptingConnection(open_database(path, **more), after=after))
        return made[-1]

    open_database = sqlite.open_database
    monkeypatch.setattr(sqlite, "open_database", opened)
    make = stores(tmp_path)["sqlite"]
    store = make()
    begun = made[-1].calls
    whole = run(store)
    end = made[-1].calls
    judge(whole, store, "no interruption")
    for at in range(begun + 1, end + 1, step):
        store = make()
        connection = made[-1]
        connection.at = at
        one = run(store)
        connection.at = 0
        judge(one, store, f"statement {at}, {connection.hit}")
        assert connection.hit


def judge(one: World, store: Any, where: str) -> None:
    try:
        check(one)
    except AssertionError as error:
        raise AssertionError(f"{where}: {error}") from error
    finally:
        one.mailer.close()
        store.close()


class InterruptedLock:
    """A lock whose ``acquire`` is interrupted right behind its effect, where Python looks for
    signals; between the lock and the block of a ``with`` statement it does not look."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.locked, self.release = self._lock.locked, self._lock.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if self._lock.acquire(blocking, timeout):
            raise KeyboardInterrupt
        return False

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._lock.release()


@pytest.mark.parametrize("timeout", [None, 5.0])
def test_ctrl_c_behind_the_lock_of_the_sender_leaves_it_open(timeout: float | None) -> None:
    settings = SmtpSettings(host="127.0.0.1", port=9, username="agent@example.com", timeout=1)
    with closing(MemoryStateStore()) as store, closing(Mailer(settings, store)) as mailer:
        lock = InterruptedLock()
        mailer._worker._work = lock  # type: ignore[assignment]
        with suppress(KeyboardInterrupt):
            mailer.flush(timeout)
        assert not lock.locked()


def test_a_flush_waits_for_another_no_longer_than_its_timeout() -> None:
    settings = SmtpSettings(host="127.0.0.1", port=9, username="agent@example.com", timeout=1)
    with closing(MemoryStateStore()) as store, closing(Mailer(settings, store)) as mailer:
        mailer.send("kim@example.org", "Hello", "Hello.", key="one")
        with mailer._worker._work:
            assert not mailer.flush(0.05)
        (queued,) = Outbox(store).list()
        assert queued.attempts == 0
