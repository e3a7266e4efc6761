"""A handler that ends its process, and two processes on one mailbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from nornmail import JsonStateStore, LeaseHeld, RetryPolicy, SqliteStateStore, StateStore
from nornmail.model import State
from tests.poller.delivery.harness import World, mail, numbered, numbers
from tests.stores.support import Started
from tests.support.zygote import zygote

SCRIPT = """
import json, os, sys
from nornmail import ImapSettings, JsonStateStore, Poller, RetryPolicy, SqliteStateStore

plan = json.loads(sys.argv[1])

def handle(message):
    print(message.subject, message.attempt, message.delivery_id, flush=True)
    if message.subject == plan["ends_at"]:
        os._exit(9)
    if message.subject == plan["waits_at"]:
        sys.stdin.read()

store = {"json": JsonStateStore, "db": SqliteStateStore}[plan["path"].rsplit(".")[-1]](plan["path"])
poller = Poller(
    ImapSettings(**plan["settings"]),
    store=store,
    on_message=handle,
    retry=RetryPolicy(tuple(plan["delays"])),
)
poller.poll_once()
poller.close()
store.close()
"""
AT_ONCE = 0.001
"""Seconds until the next attempt, for a child that lives by the real clock."""
STORES: dict[str, Callable[[Path], StateStore]] = {
    "state.json": JsonStateStore,
    "state.db": SqliteStateStore,
}


@pytest.fixture(scope="module", autouse=True)
def forks() -> None:
    """What children are forked from lives on after the test that begins it."""
    zygote()


def child(
    world: World,
    path: Path,
    *,
    ends_at: str = "",
    waits_at: str = "",
    delays: tuple[float, ...] = (AT_ONCE,),
) -> Started:
    """A process of its own that polls once."""
    plan: dict[str, Any] = {
        "settings": asdict(world.settings()),
        "path": str(path),
        "ends_at": ends_at,
        "waits_at": waits_at,
        "delays": delays,
    }
    return Started(SCRIPT, json.dumps(plan))


def outcome(process: Started) -> tuple[int, list[list[str]]]:
    """How a child ended, and the subject, attempt and delivery id of what it was handed."""
    with process:
        out, err = process.end()
        status = process.wait()
    assert "Traceback" not in err
    return status, [line.split() for line in out.splitlines()]


@pytest.mark.parametrize("name", STORES)
def test_a_message_that_ends_its_process_each_time_is_dead_in_the_end(
    world: World, name: str
) -> None:
    world.deliver("one", "poison", "three")
    path = world.directory / name
    ended, first = outcome(child(world, path, ends_at="poison"))
    assert (ended, [line[:2] for line in first]) == (9, [["one", "1"], ["poison", "1"]])
    ended, second = outcome(child(world, path, ends_at="poison"))
    assert (ended, [line[:2] for line in second]) == (9, [["poison", "2"]])
    assert second[0][2] == first[1][2]
    ended, third = outcome(child(world, path, ends_at="poison"))
    assert (ended, [line[:2] for line in third]) == (0, [["three", "1"]])
    world.use(lambda: STORES[name](path))
    (dead,) = world.entries(State.DEAD)
    assert (dead.attempts, dead.delivery_id) == (2, first[1][2])
    assert "process ended" in dead.reason
    assert world.store.raw(world.key, dead.key) == mail("poison")
    assert world.flags() == {"one": {"\\Seen"}, "poison": set(), "three": {"\\Seen"}}


@pytest.mark.parametrize("name", STORES)
def test_after_a_message_has_ended_its_process_the_rest_flows(world: World, name: str) -> None:
    world.deliver("one", "poison", "three")
    path = world.directory / name
    assert outcome(child(world, path, ends_at="poison"))[0] == 9
    world.use(lambda: STORES[name](path))
    poller = world.poller()
    poller.poll_once()
    assert sorted(world.handed_over) == ["poison", "three"]  # the first time it is tried at once
    assert [(m.subject, m.attempt) for m in world.seen if m.attempt > 1] == [("poison", 2)]
    assert list(world.flags().values()) == [{"\\Seen"}] * 3


def test_a_second_process_waits_and_takes_over_when_the_first_dies(world: World) -> None:
    path = world.directory / "state.db"
    world.deliver(*numbered(1, 5))
    with child(world, path, waits_at="3") as first:
        begun = [first.stdout.readline().split()[0] for _ in range(3)]
        assert begun == numbers(1, 3)
        world.use(lambda: SqliteStateStore(path))
        poller = world.poller()
        for _ in range(2):
            with pytest.raises(LeaseHeld) as held:
                poller.poll_once()
            assert held.value.owner.endswith(f":{first.pid}")

        def it_dies() -> None:
            first.kill()
            first.wait()

        world.run(poller, lambda: None, it_dies, lambda: None, lambda: None, lambda: None)
    assert sorted(world.handed_over) == ["3", "4", "5"]
    assert [message.attempt for message in world.seen if message.subject == "3"] == [2]
    assert list(world.flags().values()) == [{"\\Seen"}] * 5
    assert any("waiting to take over" in line for line in world.logged())


def test_a_second_process_begins_at_once_when_the_first_has_ended(world: World) -> None:
    path = world.directory / "state.db"
    world.deliver(*numbered(1, 5))
    assert outcome(child(world, path))[0] == 0
    world.deliver(*numbered(6, 7))
    world.use(lambda: SqliteStateStore(path))
    assert world.poller(retry=RetryPolicy((AT_ONCE,))).poll_once().new == 2
    assert world.handed_over == ["6", "7"]
