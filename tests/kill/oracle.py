"""Whether a story with kills ended as one without: a list of complaints, empty if it did.

What may differ is what rule 10 of the delivery contract permits and nothing else: a message is
handed over again if its process ended in the call, or between the return and the commit; each of
these counts as a failed attempt.
"""

from __future__ import annotations

import re
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nornmail.model import Entry, State
from tests.kill.events import Event
from tests.kill.stage import Ending, Run, Story

SETTLED = frozenset({State.HANDLED.value, State.WAITING.value, State.DEAD.value})
"""What an outcome may make of a claim."""
ASKING = ("LOGIN", "AUTHENTICATE", "CAPABILITY", "ID", "SELECT", "NOOP", "UID SEARCH", "LOGOUT")
"""The commands of a poller that has nothing to do."""
NEWEST = re.compile(
    r"UID FETCH [0-9]+ \(UID FLAGS INTERNALDATE RFC822\.SIZE BODY\.PEEK\[HEADER\]\)"
)
"""Its look at the highest UID: another message there means that the mailbox was put back."""
DONE_WITH = frozenset({"returned", "rejected"})
"""The outcomes after which a message is not handed over again."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the handler.

    Attributes:
        run: in which process, from 0.
        event: the message.
        outcome: "" when the process ended in it.
        unsettled: no commit returned after it, and its process was killed.
        asked: a person had asked for dead mail before it.
    """

    run: int
    event: Event
    outcome: str
    unsettled: bool
    asked: bool


def complaints(clean: Story, story: Story) -> list[str]:
    """Everything in ``story`` that should not be, given how ``clean`` went without a kill."""
    failures = [*_failures(story)]
    if failures or not (clean.end and story.end and story.extra and story.still):
        return failures or ["it has no end"]
    return [
        *_differences(clean.end, story.end),
        *_calls(clean, story),
        *_order(story.runs),
        *_unrest(story.extra, story.end, story.still),
    ]


def _failures(story: Story) -> Iterator[str]:
    """Processes that did not end as they were meant to."""
    runs = [*story.runs, *([story.extra] if story.extra else [])]
    for number, run in enumerate(runs, start=1):
        last = run.instants[-1].number if run.instants else 0
        if run.code not in (0, -signal.SIGKILL):
            yield f"process {number} ended with {run.code}: {run.errors}"
        elif run.killed and last != run.kill_at:
            yield f"process {number} was killed at {last} and not at {run.kill_at}"
        elif run.errors:
            yield f"process {number} said: {run.errors}"
    if story.plan.kills and not story.runs[0].killed:
        yield f"there is no instant {story.plan.kills[0]}"


# How it ended.


def _differences(clean: Ending, end: Ending) -> Iterator[str]:
    for uid in sorted(clean.inbox.keys() | end.inbox.keys()):
        was, now = clean.inbox.get(uid), end.inbox.get(uid)
        if was != now:
            yield f"UID {uid} in the mailbox is {now} and not {was}"
    for message in (Counter(clean.done) - Counter(end.done)).elements():
        yield f"the destination lacks {message}"
    for message in (Counter(end.done) - Counter(clean.done)).elements():
        yield f"the destination has too much {message}"
    for uid in sorted(clean.entries.keys() | end.entries.keys()):
        one, other = clean.entries.get(uid), end.entries.get(uid)
        if _lasting(one) != _lasting(other):
            yield f"the store knows UID {uid} as {other} and not as {one}"
    if clean.raws != end.raws:
        yield f"bytes are kept of {_kept(end)} and not of {_kept(clean)}"
    if clean.seen_uids != end.seen_uids:
        yield f"looked at are {end.seen_uids} and not {clean.seen_uids}"
    if clean.files != end.files:
        yield f"there are the files {end.files} and not {clean.files}"
    for name in ("epoch", "watermark", "cut"):
        then, today = getattr(clean.record, name, None), getattr(end.record, name, None)
        if name == "epoch" and then and today:
            then, today = then._replace(begun_at=0.0), today._replace(begun_at=0.0)
        if then != today:
            yield f"the {name} is {today} and not {then}"


def _lasting(entry: Entry | None) -> Entry | None:
    """What must be the same: all but times and attempts; the reason where it is the outcome."""
    if entry is None:
        return None
    reason = entry.reason if entry.state is State.DEAD else ""
    return entry._replace(attempts=0, due_at=0.0, changed_at=0.0, reason=reason)


def _kept(end: Ending) -> list[int]:
    return [uid for uid, raw in end.raws.items() if raw is not None]


# What was handed over.


def calls_of(runs: Sequence[Run]) -> dict[int, list[Call]]:
    """The calls for each UID, in their order."""
    calls: dict[int, list[Call]] = {}
    asked = False
    for number, run in enumerate(runs):
        for at, event in enumerate(run.events):
            asked = asked or event.kind == "request"
            if event.kind != "call":
                continue
            after = run.events[at + 1 :]
            # Of the same message: with several workers another call may end first.
            ends = (i for i, e in enumerate(after) if e.kind == "outcome" and e.uid == event.uid)
            end = next(ends, None)
            rest = after[end:] if end is not None else []
            committed = any(e.kind == "commit" and e.when == "after" for e in rest)
            outcome, unsettled = rest[0].when if rest else "", run.killed and not committed
            call = Call(number, event, outcome, unsettled, asked)
            calls.setdefault(event.uid, []).append(call)
    return calls


def _calls(clean: Story, story: Story) -> Iterator[str]:
    wanted, had = calls_of(clean.runs), calls_of(story.runs)
    for uid in sorted(wanted.keys() | had.keys()):
        if uid not in wanted:
            yield f"UID {uid} was handed over"
        elif uid not in had:
            yield f"UID {uid} was never handed over"
        else:
            yield from (f"UID {uid} {what}" for what in _message(wanted[uid], had[uid]))
            yield from (f"UID {uid} {what}" for what in _attempts(uid, had[uid], story))
    events = [event for run in story.runs for event in run.events]
    # What a person asked for has one more first attempt.
    again = {id(call.event) for calls in had.values() for call in calls if call.asked}
    firsts = [
        event.uid
        for event in events
        if event.kind == "call" and event.attempt == 1 and id(event) not in again
    ]
    if firsts != sorted(firsts):
        yield f"first attempts came in the order {firsts}"


def _message(wanted: list[Call], had: list[Call]) -> Iterator[str]:
    """The calls for one message against those without a kill."""
    if had[-1].outcome != wanted[-1].outcome:
        yield f"ended as {had[-1].outcome!r} and not as {wanted[-1].outcome!r}"
    ids = {call.event.delivery_id for call in [*wanted, *had]}
    if len(ids) > 1:
        yield f"has the delivery ids {sorted(ids)}"
    if len({call.event.raw for call in [*wanted, *had]}) > 1:
        yield "did not have the same octets each time"
    for call, later in pairwise(had):
        if call.run == later.run and call.outcome != "failed":
            yield f"was handed over again by the process that {call.outcome} it"
        elif call.outcome in DONE_WITH and not call.unsettled:
            yield f"was handed over again although it was {call.outcome} and settled"


def _attempts(uid: int, had: list[Call], story: Story) -> Iterator[str]:
    """Each call is an attempt of its own; so is a claim whose process ended before the call."""
    before, run = 0, 0
    for at, call in enumerate(had):
        if call.asked and not (at and had[at - 1].asked):
            before, run = call.event.attempt, call.run
            continue  # attempts are counted anew when a person asks
        skipped = call.event.attempt - before - 1
        claims = [sure for one in story.runs[run : call.run] for sure in _unheard(one, uid)]
        if not sum(claims) <= skipped <= len(claims):
            yield f"was handed over as attempt {call.event.attempt} after attempt {before}"
        before, run = call.event.attempt, call.run
    entry = story.end.entries.get(uid) if story.end else None
    if entry is not None and entry.attempts != before - 1:
        yield f"has {entry.attempts} failed attempts after attempt {before} did not fail"


def _unheard(run: Run, uid: int) -> Iterator[bool]:
    """The claim of ``uid`` that a killed process made, or was about to, without calling.

    Yields:
        Whether it was durable.
    """
    claim: bool | None = None
    for event in run.events:
        if event.kind == "commit" and (uid, State.CLAIMED.value) in event.states:
            claim = event.when == "after"
        elif event.kind == "call" and event.uid == uid:
            claim = None
    if claim is not None and run.killed:
        yield claim


# In which order.


def _order(runs: Sequence[Run]) -> Iterator[str]:
    """Rule 2: a claim is durable before the call, the outcome before anything else happens."""
    kinds = {"commit", "command", "lease", "call", "outcome"}
    for run in runs:
        events = [event for event in run.events if event.kind in kinds]
        for before, event in pairwise([None, *events, None]):
            if event is not None and event.kind == "call" and not _claims(before, event.uid):
                yield f"UID {event.uid} was handed over after {before}, before it was claimed"
            if before is None or before.kind != "outcome" or _settles(event, before.uid):
                continue
            if event is not None or not run.killed:
                yield f"UID {before.uid} was {before.when}, and then came {event}"


def _claims(event: Event | None, uid: int) -> bool:
    """Whether this is the end of the commit that makes a claim durable."""
    if event is None or (event.kind, event.when) != ("commit", "after"):
        return False
    return (uid, State.CLAIMED.value) in event.states


def _settles(event: Event | None, uid: int) -> bool:
    """Whether this is the begin of the commit that makes an outcome durable."""
    if event is None or (event.kind, event.when) != ("commit", "before"):
        return False
    return any(one == uid and state in SETTLED for one, state in event.states)


# What comes after.


def _unrest(extra: Run, end: Ending, still: Ending) -> Iterator[str]:
    """What a process did that should have found nothing to do."""
    for event in extra.events:
        if event.kind == "call":
            yield f"one more process handed over UID {event.uid}"
        elif event.kind == "command" and not (
            event.text.startswith(ASKING) or NEWEST.match(event.text)
        ):
            yield f"one more process said {event.text!r}"
        elif event.kind == "commit":
            yield f"one more process wrote {event.text}"
    if end != still:
        yield f"one more process made {still} of {end}"
