"""The one who judges the kill test finds deliberate breaches, and what is wrong in a story."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from nornmail.model import State
from tests.kill.breaches import BREACHES
from tests.kill.company import Company
from tests.kill.events import Event
from tests.kill.oracle import complaints
from tests.kill.scenario import DONE, OTHERS
from tests.kill.stage import Ending, Plan, Story
from tests.support.samples import sampled

LATER = "handed over again although it was returned and settled"

BROKEN: dict[str, tuple[str, str, str, str]] = {
    "late claims": ("sqlite", "none", "within the call for 2", "as attempt 1 after attempt 1"),
    "lost settlements": ("json", "none", "before UID FETCH 5", LATER),
    "forgotten claims": ("sqlite", "seen", "within the call for 2", "UID 2 ended as ''"),
    "fresh ids": ("json", "seen", "within the call for 2", "UID 2 has the delivery ids"),
    "plain expunge": ("sqlite", "delete", "after EXPUNGE", f"UID {OTHERS} in the mailbox is None"),
    "blind copies": ("json", "copy", f'after UID COPY 2 "{DONE}"', "has too much"),
    "restless flags": ("sqlite", "seen", "before LOGOUT", "one more process said 'UID STORE 2"),
    "rewritten files": ("json", "none", "after open state.json", "process 2 ended with 70"),
}
"""For each breach: a store, an action, how the instant of the kill begins, what must be found."""


@pytest.mark.parametrize("breach", sampled(list(BREACHES), 2, ids=list(BREACHES)))
def test_a_breach_of_the_contract_is_found(company: Company, breach: str) -> None:
    store, action, instant, words = BROKEN[breach]
    recorded = company.play(Plan(store, action, breach=breach)).runs[0].instants
    number = next(one.number for one in recorded if f"{one} ".startswith(f"{instant} "))
    story = company.play(Plan(store, action, (number,), breach))
    found = complaints(company.clean(store, action), story)
    assert any(words in complaint for complaint in found), found


def _end(story: Story) -> Ending:
    assert story.end is not None
    return story.end


def _with_end(change: Callable[[Ending], Ending]) -> Callable[[Story], Story]:
    return lambda story: replace(story, end=change(_end(story)), still=change(_end(story)))


def _with_events(change: Callable[[list[Event]], list[Event]]) -> Callable[[Story], Story]:
    def doctor(story: Story) -> Story:
        (run,) = story.runs
        return replace(story, runs=[replace(run, events=change(run.events))])

    return doctor


def _about(uid: int, events: list[Event]) -> list[Event]:
    """The account of the last call for a message."""
    return [event for event in events if event.uid == uid][-2:]


def _without(uid: int) -> Callable[[list[Event]], list[Event]]:
    return lambda events: [event for event in events if event.uid != uid]


def _early_call(events: list[Event]) -> list[Event]:
    """The claim of a message goes behind its call."""
    call = next(at for at, event in enumerate(events) if event.kind == "call")
    claim = max(at for at in range(call) if events[at].kind == "commit")
    return [*events[:claim], *events[claim + 1 : call + 1], events[claim], *events[call + 1 :]]


def _late_outcome(events: list[Event]) -> list[Event]:
    """A command comes between an outcome and the commit that settles it."""
    end = next(at for at, event in enumerate(events) if event.kind == "outcome")
    command = Event(kind="command", when="before", text="NOOP")
    return [*events[: end + 1], command, *events[end + 1 :]]


def _as_waiting(end: Ending) -> Ending:
    return replace(end, entries=end.entries | {2: end.entries[2]._replace(state=State.WAITING)})


DOCTORED: dict[str, tuple[Callable[[Story], Story], str]] = {
    "a message was handed over twice": (
        _with_events(lambda events: [*events, *_about(2, events)]),
        "UID 2 was handed over again by the process that returned it",
    ),
    "a message was never handed over": (
        _with_events(_without(6)),
        "UID 6 was never handed over",
    ),
    "somebody else's message was handed over": (
        _with_events(
            lambda events: [*events, *(replace(e, uid=OTHERS) for e in _about(2, events))]
        ),
        f"UID {OTHERS} was handed over",
    ),
    "a handler was called before the claim": (
        _with_events(_early_call),
        "UID 2 was handed over after",
    ),
    "something came before the outcome was durable": (
        _with_events(_late_outcome),
        "UID 2 was returned, and then came before NOOP",
    ),
    "a flag is missing": (
        _with_end(lambda end: replace(end, inbox=end.inbox | {5: (end.inbox[5][0], ())})),
        "UID 5 in the mailbox is",
    ),
    "a message is gone": (
        _with_end(lambda end: replace(end, inbox={})),
        f"UID {OTHERS} in the mailbox is None",
    ),
    "a copy is missing": (
        _with_end(lambda end: replace(end, done=end.done[1:])),
        "the destination lacks",
    ),
    "a copy is one too many": (
        _with_end(lambda end: replace(end, done=[*end.done, end.done[0]])),
        "the destination has too much",
    ),
    "a message is in another state": (
        _with_end(_as_waiting),
        "the store knows UID 2 as",
    ),
    "bytes were left behind": (
        _with_end(lambda end: replace(end, raws=end.raws | {2: b""})),
        "bytes are kept of",
    ),
    "a file was left behind": (
        _with_end(lambda end: replace(end, files=[*end.files, "state.json.tmp"])),
        "there are the files",
    ),
    "the third run wrote": (
        lambda story: replace(
            story,
            extra=replace(story.runs[0], events=[Event(kind="commit", text="commit (mailbox)")]),
        ),
        "one more process wrote commit (mailbox)",
    ),
}


@pytest.mark.parametrize("what", DOCTORED)
def test_it_is_seen_when(company: Company, what: str) -> None:
    doctor, words = DOCTORED[what]
    clean = company.clean("json", "move")
    assert complaints(clean, clean) == []
    found = complaints(clean, doctor(clean))
    assert any(complaint.startswith(words) for complaint in found), found
