"""A session that is a script, and a mailer over it: no test of sending waits or connects."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from nornmail import SmtpSettings
from nornmail.errors import ConnectionLost
from nornmail.events import Event
from nornmail.outbox.mailer import Mailer
from nornmail.outgoing import Envelope, Recipient, RecipientStatus
from nornmail.smtp.transaction import Submission, SubmissionOutcome
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import MemoryStateStore
from tests.support.clock import FakeClock

SETTINGS = SmtpSettings(host="smtp.example.com", username="agent@example.com", password="secret")
OUTBOX = "agent@example.com@smtp.example.com"

BeforeContent = Callable[[tuple[Recipient, ...]], None]
"""Told of the recipients before the content goes out."""

Answer = Callable[[Envelope, BeforeContent], Submission]
"""What a session does with one letter; it calls ``before_content`` if it comes to the content."""


def standing(
    envelope: Envelope, standing: RecipientStatus, code: int, text: str
) -> tuple[Any, ...]:
    return tuple(Recipient(one, standing, code, text) for one in envelope.recipients)


def accept(envelope: Envelope, before_content: Any) -> Submission:
    """250 to everything."""
    before_content(standing(envelope, RecipientStatus.UNKNOWN, 250, "OK"))
    taken = standing(envelope, RecipientStatus.ACCEPTED, 250, "OK queued")
    return Submission(SubmissionOutcome.ACCEPTED, taken, 250, "OK queued", True)


def refuse(code: int = 550, text: str = "no such user") -> Answer:
    """5xx to every recipient."""

    def answer(envelope: Envelope, _: Any) -> Submission:
        said = standing(envelope, RecipientStatus.REFUSED, code, text)
        return Submission(SubmissionOutcome.REFUSED, said, code, text, True)

    return answer


def defer(code: int = 450, text: str = "try again later", *, at_content: bool = False) -> Answer:
    """4xx to every recipient, or to the content."""

    def answer(envelope: Envelope, before_content: Any) -> Submission:
        if at_content:
            before_content(standing(envelope, RecipientStatus.UNKNOWN, 250, "OK"))
        said = standing(envelope, RecipientStatus.PENDING, code, text)
        return Submission(SubmissionOutcome.DEFERRED, said, code, text, code != 421)

    return answer


def lose(*, content: bool) -> Answer:
    """The connection falls: before the content, or when its last octets may have left."""

    def answer(envelope: Envelope, before_content: Any) -> Submission:
        if not content:
            said = standing(envelope, RecipientStatus.PENDING, 0, "")
            return Submission(SubmissionOutcome.DEFERRED, said, 0, "the connection fell", False)
        before_content(standing(envelope, RecipientStatus.UNKNOWN, 250, "OK"))
        said = standing(envelope, RecipientStatus.UNKNOWN, 0, "")
        return Submission(SubmissionOutcome.UNKNOWN, said, 0, "the connection fell", False)

    return answer


def each(**codes: int) -> Answer:
    """A code for each recipient by its local part: 250, 4xx or 5xx."""

    def answer(envelope: Envelope, before_content: Any) -> Submission:
        def said(taken: RecipientStatus) -> tuple[Recipient, ...]:
            found = []
            for one in envelope.recipients:
                code = codes.get(one.partition("@")[0], 250)
                kind = {2: taken, 4: RecipientStatus.PENDING, 5: RecipientStatus.REFUSED}[
                    code // 100
                ]
                found.append(Recipient(one, kind, code, f"said {code}"))
            return tuple(found)

        last = said(RecipientStatus.ACCEPTED)
        if not any(one.status is RecipientStatus.ACCEPTED for one in last):
            outcome = (
                SubmissionOutcome.DEFERRED
                if any(one.status is RecipientStatus.PENDING for one in last)
                else SubmissionOutcome.REFUSED
            )
            return Submission(outcome, last, last[-1].code, last[-1].text, True)
        before_content(said(RecipientStatus.UNKNOWN))
        return Submission(SubmissionOutcome.ACCEPTED, last, 250, "OK queued", True)

    return answer


class FakeSession:
    """One connection to :class:`FakeServer`."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server
        self.closed = False
        self._carried = 0

    def submit(self, envelope: Envelope, raw: bytes, *, before_content: Any) -> Submission:
        assert not self.closed
        if self._carried == self._server.per_session:
            code, usable = self._server.ending, self._server.ending in (450, 451)
            self.closed = not usable
            put_off = standing(envelope, RecipientStatus.PENDING, code, "too many here")
            return Submission(
                SubmissionOutcome.DEFERRED, put_off, code, "too many here", usable, ended_early=True
            )
        self._carried += 1
        answer = self._server.answers.pop(0) if self._server.answers else accept

        def entered(recipients: tuple[Recipient, ...]) -> None:
            before_content(recipients)
            self._server.contents.append((envelope, raw))

        said = answer(envelope, entered)
        self._server.log.append((envelope.recipients, said.outcome))
        if said.outcome is SubmissionOutcome.ACCEPTED:
            for one in said.recipients:
                if one.status is RecipientStatus.ACCEPTED:
                    self._server.taken.append((one.address, raw))
        if not said.usable:
            self.closed = True
        return said

    def alive(self) -> bool:
        self._server.noops += 1
        return not self._server.dead

    def close(self) -> None:
        self.closed = True


@dataclass
class FakeServer:
    """What the sessions are connected to.

    Attributes:
        answers: what it does with the next letters; afterwards it accepts.
        trouble: raised by the next connections, one each.
        taken: recipient and bytes of what it took.
        contents: envelope and bytes of what it began to read.
        log: recipients and outcome of every letter.
        per_session: after so many letters the session is ended; ``None`` for never.
        ending: the code by which MAIL is refused then; 0 closes the connection.
    """

    answers: list[Answer] = field(default_factory=list)
    trouble: list[Exception] = field(default_factory=list)
    taken: list[tuple[str, bytes]] = field(default_factory=list)
    contents: list[tuple[Envelope, bytes]] = field(default_factory=list)
    log: list[tuple[tuple[str, ...], SubmissionOutcome]] = field(default_factory=list)
    sessions: list[FakeSession] = field(default_factory=list)
    connects: int = 0
    noops: int = 0
    dead: bool = False
    per_session: int | None = None
    ending: int = 0

    def open(self) -> Any:
        self.connects += 1
        if self.trouble:
            raise self.trouble.pop(0)
        self.dead = False
        self.sessions.append(FakeSession(self))
        return self.sessions[-1]

    def addresses(self) -> list[str]:
        return [address for address, _ in self.taken]


@dataclass
class World:
    """A mailer over a fake server, and its time."""

    store: StateStore
    server: FakeServer
    clock: Any
    events: list[Event]
    mailer: Mailer

    def state(self, key: str) -> str:
        found = self.mailer.result(key)
        assert found is not None
        return str(found.state)

    def until(self, seconds: float, step: float = 30.0) -> None:
        """Let time pass, flushing all the while."""
        for _ in range(int(seconds // step)):
            self.clock.advance(step)
            self.mailer.flush()


new_store: Callable[[], StateStore] = MemoryStateStore
"""Makes the store of a world. The fixture ``each_store`` puts other kinds in its place."""

without_store: list[Mailer] = []
"""The mailers without a store of the present test. Each has a timer until it is closed."""


def world(
    store: StateStore | None = None,
    answers: Iterable[Answer] = (),
    *,
    kept: bool = True,
    clock: Any = None,
    server: FakeServer | None = None,
    **options: Any,
) -> World:
    """A mailer with a store (:data:`new_store` where none is given), or with none."""
    clock = clock or FakeClock()
    server = server or FakeServer()
    server.answers.extend(answers)
    store = store or new_store()
    events: list[Event] = []
    mailer = Mailer(
        options.pop("settings", SETTINGS),
        store if kept else None,
        clock=clock,
        rng=random.Random(1),
        open_session=server.open,
        on_event=options.pop("on_event", events.append),
        **options,
    )
    if not kept:
        without_store.append(mailer)
    return World(store, server, clock, events, mailer)


UNREACHABLE = ConnectionLost("smtp.example.com:587 cannot be reached")
