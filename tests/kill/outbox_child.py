"""The process that is killed: a mailer that sends until nothing waits, every effect watched."""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from nornmail.model import Lease
from nornmail.outbox import transitions
from nornmail.outbox.admin import Outbox
from nornmail.outbox.enqueue import Approval
from nornmail.outbox.mailer import Mailer
from nornmail.outbox.queue_runner import QueueRunner
from nornmail.outbox.transitions import Interrupted, SendOutcome
from nornmail.outgoing import Decision, QueuedMessage, QueueState, Recipient
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.wire import Wire
from nornmail.stores import json_store
from tests.kill.events import Instants, Trace
from tests.kill.smtpd import HOST
from tests.kill.watched import WatchedStore, change, open_watched
from tests.support.clock import FakeClock

LETTERS: dict[str, tuple[str, ...]] = {
    "plain": ("ann@example.org", "bob@example.org"),
    "greylisted for one": ("carl@example.org", "grey@example.org"),
    "later": ("dora@example.org",),
    "full": ("full@example.org",),
    "held": ("hal@example.org",),
    "draft": ("dan@example.org",),
}
"""By their keys and subjects, to whom they go."""
APPROVALS: dict[str, Approval] = {"held": "queue", "draft": "draft"}
"""By their keys, the letters that a person decides about."""
OUTBOX = "agent"
JOURNAL_FLOOR_BYTES = 2_500
"""So that the journal of the JSON store is folded in several times in a run."""
BETWEEN = 600.0
"""Seconds that the process lets pass: whatever was put off is due by then."""
MOST_FLUSHES = 12
BREACHES = ("late sending", "unknown again")
"""Deliberate ones: SENDING is not made durable; what is unknown is sent again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is to do.

    Attributes:
        directory, trace, store, port, wall, kill_at, server: as of
            :class:`tests.kill.child.Order`.
        breach: of :data:`BREACHES`, "" to keep the rules.
    """

    directory: str
    trace: str
    store: str
    port: int
    wall: float
    kill_at: int = 0
    breach: str = ""
    server: str = ""


class WatchedOutbox(WatchedStore):
    """A store whose writes are instants, those of letters too."""

    def enqueue(self, letter: QueuedMessage, raw: bytes) -> QueuedMessage:
        with self._around("commit", f"queue {letter.key}"):
            kept: QueuedMessage = self._store.enqueue(letter, raw)
        return kept

    def commit_messages(self, lease: Lease, letters: Sequence[QueuedMessage]) -> None:
        text = ", ".join(f"{one.key}: {one.state}" for one in letters)
        with self._around("commit", text):
            self._store.commit_messages(lease, letters)

    def decide(self, outbox: str, key: str, decision: Decision) -> bool:
        with self._around("commit", f"decide {key}"):
            return bool(self._store.decide(outbox, key, decision))


class Account:
    """The mailboxes of drafts and of sent mail, as files. A person sends each draft once seen."""

    server_saves_sent = True

    def __init__(self, directory: Path, instants: Instants) -> None:
        self._directory = directory
        self._instants = instants

    def has(self, message_id: str) -> bool:
        return False

    def append(self, raw: bytes, at: datetime) -> None:
        raise AssertionError("the server saves what is sent")

    def append_draft(self, raw: bytes, at: datetime) -> None:
        self._instants.reach("wire", "before", "append the draft")
        number = len(list(self._directory.glob("*.draft")))
        (self._directory / f"{number}.draft").write_bytes(raw)
        self._instants.reach("wire", "after", "append the draft")

    def find_draft(
        self, message_id: str, in_reply_to: str, since: datetime, is_other: object
    ) -> Literal["sent", "draft", ""]:
        self._instants.reach("wire", "before", "look for the draft")
        seen = self._directory / "seen"
        if not any(message_id.encode() in f.read_bytes() for f in self._directory.glob("*.draft")):
            return ""
        if seen.exists():
            return "sent"
        seen.touch()
        return "draft"


def run(order: Order) -> None:
    """Carry the order out, in a process of its own: modules are changed."""
    change(json_store, "JOURNAL_FLOOR_BYTES", JOURNAL_FLOOR_BYTES)
    logging.basicConfig(filename=f"{order.directory}/log", level=logging.INFO)
    clock = FakeClock(order.wall)
    trace = Trace(order.trace, clock)
    instants = Instants(trace, order.kill_at)
    _watch_wire(instants)
    _breach(order.breach)
    store = open_watched(order.store, Path(order.directory), instants, server=order.server)
    try:
        account = Account(Path(order.directory), instants)
        _work(WatchedOutbox(store, instants), order.port, clock, account)
    finally:
        store.close()
        trace.close()


def _work(store: Any, port: int, clock: FakeClock, account: Account) -> None:
    settings = SmtpSettings(host=HOST, port=port, use_tls=False, sender="agent@example.com")
    mailer = Mailer(
        settings,
        store,
        account=OUTBOX,
        clock=clock,
        rng=random.Random(1),
        send_limits=transitions.SendLimits(None, None),
        sent_mailbox=account,
        approval=lambda outgoing: APPROVALS.get(outgoing.key),
    )
    for key, to in LETTERS.items():
        mailer.send(list(to), key, "hello", key=key)
    for who in ("Ann", "Bob"):
        Outbox(store).approve("held", who)
    for _ in range(MOST_FLUSHES):
        if mailer.flush() and not Outbox(store).list([QueueState.DRAFT]):
            break
        clock.advance(BETWEEN)
    else:
        raise AssertionError(f"letters wait after {MOST_FLUSHES} flushes")
    mailer.close()


def _watch_wire(instants: Instants) -> None:
    """Whatever is sent to the server is an instant before, in its middle, and after it."""
    send, read_reply = Wire._send, Wire.read_reply

    def watched_send(wire: Wire, octets: bytes, patience: float) -> None:
        text = octets[:4].decode("latin-1") if len(octets) < 80 else "content"
        instants.reach("wire", "before", f"send {text!r}")
        send(wire, octets[: len(octets) // 2], patience)
        instants.reach("wire", "within", f"send {text!r}")
        send(wire, octets[len(octets) // 2 :], patience)
        instants.reach("wire", "after", f"send {text!r}")

    def watched_read_reply(wire: Wire) -> object:
        reply = read_reply(wire)
        instants.reach("wire", "after", f"{reply.code}")
        return reply

    change(Wire, "_send", watched_send)
    change(Wire, "read_reply", watched_read_reply)


def _breach(breach: str) -> None:
    if breach == "late sending":
        try_one = QueueRunner._try

        def late(runner: QueueRunner, message: QueuedMessage) -> None:
            commit = runner._commit
            going = []

            def keep(one: QueuedMessage) -> None:
                if str(one.state) == "sending":
                    going.append(one)
                    return
                if going:
                    commit(going.pop())
                commit(one)

            change(QueueRunner, "_commit", lambda _, one: keep(one))
            try:
                try_one(runner, message)
            finally:
                change(QueueRunner, "_commit", _COMMIT)

        change(QueueRunner, "_try", late)
    elif breach == "unknown again":
        after = transitions.after

        def again(
            message: QueuedMessage, outcome: SendOutcome, now: float, rng: random.Random
        ) -> QueuedMessage:
            if not isinstance(outcome, Interrupted):
                return after(message, outcome, now, rng)
            pending = tuple(Recipient(recipient.address) for recipient in message.recipients)
            return message._replace(recipients=pending, state=QueueState.QUEUED, due_at=now)

        change(transitions, "after", again)


_COMMIT = QueueRunner._commit
