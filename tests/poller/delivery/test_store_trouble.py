"""The disk is full: nothing is handed over, nothing is forgotten, and nothing comes twice."""

from __future__ import annotations

import errno
import logging

import pytest

from nornmail import JsonStateStore, Message, StoreError
from nornmail.files import Files
from nornmail.model import State
from tests.poller.delivery.harness import World, embedded_only, failing_at, numbered, numbers
from tests.support.postgresql import open_postgres
from tests.support.postgresql import server as postgresql


class Disk(Files):
    """A disk that has no room left when a test says so.

    Attributes:
        full: every write fails; a part of it is written first, as on a real disk.
    """

    def __init__(self) -> None:
        self.full = False

    def write(self, fd: int, data: bytes) -> None:
        if self.full:
            super().write(fd, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        super().write(fd, data)


@pytest.fixture
def disk(world: World) -> Disk:
    """The disk under the world's store."""
    disk = Disk()
    world.use(lambda: JsonStateStore(world.directory / "state.json", files=disk))
    return disk


def test_while_the_disk_is_full_nothing_is_handed_over(world: World, disk: Disk) -> None:
    world.deliver("one")
    poller = world.poller()
    poller.poll_once()
    disk.full = True
    world.deliver("two", "three")
    for _ in range(3):
        with pytest.raises(StoreError, match="No space left"):
            poller.poll_once()
    assert world.handed_over == ["one"]
    assert world.states() == {State.FINISHED: 1}
    disk.full = False
    assert poller.poll_once().handled == 2
    assert world.handed_over == ["one", "two", "three"]
    assert list(world.flags().values()) == [{"\\Seen"}] * 3


def test_a_first_run_on_a_full_disk(world: World, disk: Disk) -> None:
    disk.full = True
    world.deliver("one")
    poller = world.poller()
    with pytest.raises(StoreError):
        poller.poll_once()
    assert world.seen == []
    disk.full = False
    assert poller.poll_once().handled == 1


@pytest.mark.one_worker("the disk is full from one call to the next")
@pytest.mark.parametrize("at", [1, 5, 10])
def test_what_was_handled_when_the_disk_ran_full_is_not_handed_over_again(
    world: World, disk: Disk, at: int
) -> None:
    world.deliver(*numbered(1, 10))

    def handle(message: Message) -> None:
        world.note(message)
        disk.full = len(world.seen) == at

    poller = world.poller(handle)
    with pytest.raises(StoreError):
        poller.poll_once()
    assert world.handed_over == numbers(1, at)
    with pytest.raises(StoreError):
        poller.poll_once()
    assert world.handed_over == numbers(1, at)
    disk.full = False
    while poller.poll_once().new:
        pass
    assert world.handed_over == numbers(1, 10)
    assert world.states() == {State.FINISHED: 10}
    assert list(world.flags().values()) == [{"\\Seen"}] * 10


@pytest.mark.one_worker("the disk is full from one call to the next")
def test_what_failed_when_the_disk_ran_full_still_waits(world: World, disk: Disk) -> None:
    world.deliver("bad", "two")
    handler = failing_at(world, "bad")

    def handle(message: Message) -> None:
        disk.full = handler.attempts == []
        handler(message)

    poller = world.poller(handle)
    with pytest.raises(StoreError):
        poller.poll_once()
    disk.full = False
    handler.fails = lambda _: False
    world.clock.advance(60)
    poller.poll_once()
    poller.poll_once()
    assert sorted(world.handed_over) == ["bad", "two"]
    assert handler.attempts.count(("bad", 1)) == 1


@pytest.mark.one_worker("the disk is full from one call to the next")
def test_run_forever_waits_until_there_is_room(world: World, disk: Disk) -> None:
    """What was handled when the disk ran full is kept, and is not handled again."""
    world.deliver("one", "two")

    def handle(message: Message) -> None:
        world.note(message)
        disk.full = len(world.seen) == 1

    poller = world.poller(handle)
    told = []

    def it_has_room_again() -> None:
        status = poller.status()
        told.append((status.state, "No space left" in status.reason))
        disk.full = False

    world.run(poller, it_has_room_again, lambda: None, lambda: None)
    assert told == [("store_trouble", True)]
    assert world.handed_over == ["one", "two"]
    assert world.states() == {State.FINISHED: 2}


@pytest.mark.interop
@embedded_only
@pytest.mark.parametrize("at", [1, 4, 10])
def test_run_forever_outlives_a_restart_of_postgresql(world: World, at: int) -> None:
    world.use(lambda: open_postgres(world.directory / "shared"))
    world.deliver(*numbered(1, 10))

    def handle(message: Message) -> None:
        world.note(message)
        if len(world.seen) == at:
            postgresql().stop()

    poller = world.poller(handle)
    states = []

    def it_is_started_again() -> None:
        states.append(poller.status().state)
        postgresql().start()

    world.run(poller, it_is_started_again, lambda: world.states() != {State.FINISHED: 10})
    assert states == ["store_trouble"]
    assert world.handed_over == numbers(1, 10)
    assert list(world.flags().values()) == [{"\\Seen"}] * 10


def test_run_forever_ends_when_the_store_is_broken(world: World) -> None:
    world.deliver("one")
    poller = world.poller(lambda _: world.store.close())
    with pytest.raises(StoreError, match="closed"):
        poller.run_forever()


def test_the_state_on_the_disk_outlives_it_all(world: World, disk: Disk) -> None:
    world.deliver("one")
    poller = world.poller()
    poller.poll_once()
    disk.full = True
    world.deliver("two")
    with pytest.raises(StoreError):
        poller.poll_once()
    disk.full = False
    poller.close()
    world.use(lambda: JsonStateStore(world.directory / "state.json"))
    assert world.poller().poll_once().handled == 1
    assert world.handed_over == ["one", "two"]
    assert world.logged(logging.ERROR) == []
