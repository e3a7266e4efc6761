"""One outbox, the processes that send from it one after the other, and what must be true then."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

from nornmail.outgoing import QueuedMessage, QueueState, RecipientStatus
from tests.kill.events import Event, read_trace
from tests.kill.outbox_child import LETTERS, OUTBOX, Order
from tests.kill.scenario import START
from tests.kill.smtpd import Server
from tests.kill.stage import server_of
from tests.kill.zygote import Zygote
from tests.stores.support import DURABLE
from tests.support import postgresql


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen: the store, the instants at which processes are killed, a breach."""

    store: str
    kills: tuple[int, ...] = ()
    breach: str = ""


@dataclass
class Story:
    """A plan that was carried out.

    Attributes:
        runs: the events of each process: those that were killed, one that lived, and one more,
            which should have found nothing to do.
        codes: how each ended.
        letters, kept: what the store has at the end: letters, and the keys with bytes.
        files: how many files hold bytes.
        drafts: how many drafts were saved.
        taken: Message-ID and recipient of all that the server accepted.
        idle_connections: how many connections the last process made.
    """

    plan: Plan
    runs: list[list[Event]] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    letters: dict[str, QueuedMessage] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    files: int = 0
    drafts: int = 0
    taken: list[tuple[str, str]] = field(default_factory=list)
    idle_connections: int = 0
    errors: str = ""

    @property
    def instants(self) -> list[Event]:
        return [event for event in self.runs[0] if event.number]


def play(zygote: Zygote, directory: Path, plan: Plan) -> Story:
    """Carry a plan out in a new directory."""
    place = Path(mkdtemp(prefix=f"outbox-{plan.store}.", dir=directory))
    story = Story(plan)
    wall = START
    with Server() as server:
        for number, kill_at in enumerate((*plan.kills, 0, 0)):
            before = server.connections
            trace = place / f"trace-{number}"
            order = Order(
                directory=str(place),
                trace=str(trace),
                store=plan.store,
                port=server.port,
                wall=wall,
                kill_at=kill_at,
                breach=plan.breach,
                server=server_of(plan.store, place),
            )
            story.codes += zygote.run(order)
            if plan.store == "postgres":
                postgresql.let_leases_expire(place)
            server.settle()
            story.runs.append(read_trace(trace))
            wall = max([wall, *(event.wall for event in story.runs[-1])]) + 1
            story.idle_connections = server.connections - before
        story.taken = list(server.taken)
    story.errors = (place / "errors").read_text("utf-8")
    _look(story, place)
    if plan.store == "postgres":
        postgresql.drop(place)
    rmtree(place)
    return story


def _look(story: Story, place: Path) -> None:
    store = DURABLE[story.plan.store](place)
    try:
        found = store.queued_messages(OUTBOX, set(QueueState))
        story.letters = {one.key: one for one in found}
        raws = {one.key: store.message_bytes(OUTBOX, one.key) for one in found}
        story.kept = {key for key, raw in raws.items() if raw is not None}
    finally:
        store.close()
    story.files = len(list(place.rglob("*.eml")))
    story.drafts = len(list(place.glob("*.draft")))


def complaints(story: Story) -> list[str]:
    """What is wrong with a story; nothing if nobody can tell that somebody was killed."""
    if any(code not in (0, -signal.SIGKILL) for code in story.codes):
        return [f"a process failed: {story.codes}\n{story.errors}"]
    return [
        *_letters(story),
        *_once(story),
        *_unknown(story),
        *_bytes(story),
        *_rest(story),
    ]


def _letters(story: Story) -> Iterator[str]:
    if story.letters.keys() != LETTERS.keys():
        yield f"there are the letters {sorted(story.letters)}"
    taken = {(message_id, address) for message_id, address in story.taken}
    for key, letter in story.letters.items():
        if key == "draft":
            yield from _draft(letter, story, taken)
            continue
        for one in letter.recipients:
            was_taken = (letter.message_id, one.address) in taken
            unknown = letter.state is QueueState.UNKNOWN
            if one.address.startswith("full"):
                if (one.status, one.code) != (RecipientStatus.REFUSED, 552) or was_taken:
                    yield f"{key!r} for {one.address} is {one.status} with {one.code}"
            elif unknown and one.status in (RecipientStatus.UNKNOWN, RecipientStatus.PENDING):
                continue  # it may have been taken, or not
            elif one.status is not RecipientStatus.ACCEPTED or not was_taken:
                word = "was" if was_taken else "was not"
                yield f"{key!r} for {one.address} is {one.status}, and {word} taken"
        states = {QueueState.SENT, QueueState.UNKNOWN}
        if letter.state not in ({QueueState.FAILED} if key == "full" else states):
            yield f"{key!r} is {letter.state}"


def _draft(letter: QueuedMessage, story: Story, taken: set[tuple[str, str]]) -> Iterator[str]:
    """A person sent it; the mailer saved it once, and sent nothing."""
    if (letter.state, story.drafts) != (QueueState.SENT, 1):
        yield f"the draft is {letter.state}, and was saved {story.drafts} times"
    if any(message_id == letter.message_id for message_id, _ in taken):
        yield "the draft was sent by the mailer"


def _once(story: Story) -> Iterator[str]:
    """Nothing is sent twice, be it under another Message-ID."""
    known = {letter.message_id for letter in story.letters.values()}
    for (message_id, address), count in Counter(story.taken).items():
        if count > 1:
            yield f"{address} got {message_id} {count} times"
        if message_id not in known:
            yield f"{address} got {message_id}, which no letter is"
    for address, count in Counter(address for _, address in story.taken).items():
        if count > 1:
            yield f"{address} got mail {count} times"


def _unknown(story: Story) -> Iterator[str]:
    """A letter is unknown only if its process was killed between its SENDING and its outcome."""
    for key, letter in story.letters.items():
        if letter.state is not QueueState.UNKNOWN:
            continue
        if not any(
            code and _was_going_out(events, key)
            for events, code in zip(story.runs, story.codes, strict=True)
        ):
            yield f"{key!r} is unknown, and nobody was killed while it went out"


def _was_going_out(events: list[Event], key: str) -> bool:
    """Whether a run ended after the commit of SENDING had begun, and before the outcome's ended."""
    begun = False
    for at, event in enumerate(events):
        if event.kind != "commit":
            continue
        if event.text == f"{key}: sending":
            begun = event.when == "after" or at + 1 < len(events)
        elif event.text.startswith(f"{key}: ") and event.when == "after":
            begun = False
    return begun


def _bytes(story: Story) -> Iterator[str]:
    needed = {key for key, one in story.letters.items() if one.state is not QueueState.SENT}
    if story.kept != needed:
        yield f"bytes are kept of {sorted(story.kept)}, and needed of {sorted(needed)}"
    if story.plan.store == "json" and story.files != len(needed):
        yield f"{story.files} files hold bytes"


def _rest(story: Story) -> Iterator[str]:
    extra = story.runs[-1]
    for event in extra:
        is_news = not event.text.startswith(("queue", "decide")) and (
            # What is unknown is looked for among sent mail, in vain.
            not event.text.endswith(": unknown")
        )
        if event.kind == "wire" or (event.kind == "commit" and is_news):
            yield f"one more process came by {event}"
    if story.idle_connections:
        yield f"one more process connected {story.idle_connections} times"
