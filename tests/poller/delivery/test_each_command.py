"""Whatever a server answers to any command of a poll, it waits, and no mail is lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from nornmail import events
from nornmail.model import State
from nornmail.testing import faults
from tests.poller.delivery.harness import World, embedded_only, numbered, numbers
from tests.support.samples import sampled

TIMES = 4
"""How often it happens: more often than a pass connects again by itself."""
HANG = 0.2
"""Seconds after which a command counts as unanswered, in the cases that wait for it: they are few
in the default run."""
MOST_PASSES = 40
LONGEST_WAIT = 900.0
"""Seconds: the longest of the waits that are for this few failures."""


@dataclass(frozen=True)
class Spot:
    """A command of a poll.

    Attributes:
        command: its name.
        options: of the poller that sends it.
        nth: the first of them that is meant.
        hides: what the server does not say that it can do.
        times: how often it is answered in the wrong way.
    """

    command: str
    options: tuple[tuple[str, Any], ...] = ()
    nth: int = 1
    hides: tuple[str, ...] = ()
    times: int = TIMES


MOVE = (("move_to", "Done"),)
DELETE = (("delete_after_fetch", True),)
SPOTS = {
    "the login": Spot("LOGIN"),
    "who we are": Spot("ID"),
    "the select": Spot("SELECT"),
    "the listing": Spot("UID SEARCH"),
    "the look at new mail": Spot("NOOP"),
    "the sizes": Spot("UID FETCH"),
    "the messages": Spot("UID FETCH", nth=2),
    "the flags": Spot("UID STORE"),
    "the flags of a deletion": Spot("UID STORE", DELETE),
    "the expunge": Spot("UID EXPUNGE", DELETE),
    "the move": Spot("UID MOVE", MOVE),
    "the copy": Spot("UID COPY", MOVE, hides=("MOVE",)),
    "the list of mailboxes": Spot("LIST", MOVE),
    "the making of a mailbox": Spot("CREATE", MOVE),
    "the idle": Spot("IDLE"),
    "the end of an idle": Spot("DONE"),
    "the farewell": Spot("LOGOUT", times=1),
}

Fault = Callable[[str, int, int], faults.Fault]


def _answer(text: bytes) -> Fault:
    return lambda command, times, nth: faults.Answer(command, text=text, times=times, on_nth=nth)


def _garbage(data: bytes) -> Fault:
    return lambda command, times, nth: faults.Garbage(command, data=data, times=times, on_nth=nth)


FAULTS: dict[str, Fault] = {
    "NO": _answer(b"NO not now"),
    "BAD": _answer(b"BAD what?"),
    "BYE": lambda command, times, nth: faults.Bye(command, times=times, on_nth=nth),
    "silence": lambda command, times, nth: faults.Silent(command, times=times, on_nth=nth),
    "a cut before it": lambda command, times, nth: faults.Cut(
        command, before=True, times=times, on_nth=nth
    ),
    "a cut after it": lambda command, times, nth: faults.Cut(command, times=times, on_nth=nth),
    "a literal without end": _garbage(b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\n"),
    "numbers that are none": _garbage(b"* 99999999999 EXISTS\r\n* SEARCH 1 x\r\n"),
}
EMPTY_OK = "an OK that does nothing"
FAULTS[EMPTY_OK] = _answer(b"OK done")
ONCE = {
    *(
        (spot, answer)
        for spot in ("who we are", "the idle", "the end of an idle")
        for answer in ("NO", "BAD")
    ),
    ("the making of a mailbox", "a cut after it"),
}
"""After which the command is not sent again: who refuses it is not asked, or it was done."""
ACTIONS = ["the expunge", "the flags of a deletion", "the move", "the copy"]
CASES = [
    *((spot, fault) for spot in SPOTS for fault in FAULTS if fault not in ("silence", EMPTY_OK)),
    *((spot, EMPTY_OK) for spot in ACTIONS),
]


@embedded_only
@pytest.mark.parametrize(
    ("spot", "fault"), sampled(CASES, 14, ids=[f"{fault} to {spot}" for spot, fault in CASES])
)
def test_what_goes_wrong_is_waited_out(world: World, spot: str, fault: str) -> None:
    wait_out(world, spot, fault)


@embedded_only
@pytest.mark.parametrize("spot", sampled(list(SPOTS), 1, ids=list(SPOTS)))
def test_silence_is_waited_out(world: World, spot: str) -> None:
    wait_out(world, spot, "silence")


def wait_out(world: World, spot: str, fault: str) -> None:
    at = SPOTS[spot]
    told: list[events.Event] = []
    world.deliver(*numbered(1, 4))
    world.wire.hide(*at.hides)
    plan = world.server.faults
    plan.add(FAULTS[fault](at.command, 1 if (spot, fault) in ONCE else at.times, at.nth))
    timeout: dict[str, Any] = {"timeout": HANG} if fault == "silence" else {}
    poller = world.poller(on_event=told.append, **dict(at.options), **timeout)
    passes = 0

    def until(done: Callable[[], object]) -> Callable[[], bool]:
        def step() -> bool:
            nonlocal passes
            passes += 1
            check_watermark(world)
            return passes < MOST_PASSES and not done()

        return step

    def spent() -> bool:
        return at.command == "LOGOUT" or not plan.pending

    waits = world.run(
        poller,
        until(spent),
        lambda: world.deliver("5"),
        until(lambda: not world.states()[State.HANDLED] and "5" in world.handed_over),
    )
    assert plan.pending == []
    assert sorted(world.handed_over) == numbers(1, 5)
    assert world.states() == {State.FINISHED: 5}
    failures = [event for event in told if isinstance(event, events.PollFailed)]
    assert all(0 < wait <= LONGEST_WAIT for wait in waits), waits
    assert all(event.seconds > 0 for event in failures)
    check_mailbox(world, at)


def check_watermark(world: World) -> None:
    """Everything at or below the watermark was looked at, and is in the store."""
    record = world.store.load(world.key)
    if record is not None:
        held = {entry.key.uid for entry in world.entries()}
        assert set(range(1, record.watermark.uid + 1)) <= held


def check_mailbox(world: World, at: Spot) -> None:
    """What was handled lies where it is to be."""
    options = dict(at.options)
    if "move_to" in options:
        assert sorted(world.flags("Done")) == numbers(1, 5)
        assert world.flags() == {}
    elif "delete_after_fetch" in options:
        assert world.flags() == {}
    else:
        assert list(world.flags().values()) == [{"\\Seen"}] * 5
