"""The process that is killed: a poller that works until nothing waits, every effect watched."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from nornmail.clock import Clock
from nornmail.errors import LeaseHeld, StoreError
from nornmail.imap.connection import Connection
from nornmail.message.message import Message
from nornmail.model import State
from nornmail.poller import fetch
from nornmail.poller.actions import LOOKED_FOR
from nornmail.poller.poller import Poller
from nornmail.poller.status import PollResult
from nornmail.settings.imap import ImapSettings
from nornmail.stores import json_store
from nornmail.stores.postgres import LEASE_SECONDS
from nornmail.stores.protocol import StateStore
from tests.kill import scenario
from tests.kill.breaches import BREACHES, Breach
from tests.kill.events import Instants, Trace
from tests.kill.watched import (
    WatchedStore,
    change,
    open_watched,
    watch_commands,
    watch_handler,
)
from tests.support.clock import FakeClock

LEAST_POLLS = 2
"""So that the second poll, which asks with NOOP and not by listing, is part of every run."""
MOST_POLLS = 40
PAUSE = threading.Event()
PAUSE_SECONDS = 0.001
"""Between two questions of a process that stands by."""
TAKEOVER_SECONDS = 2.0
"""A lease in PostgreSQL where a process stands by: it waits so long for one that was killed."""

T = TypeVar("T")
STANDING_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a process is to do.

    Attributes:
        directory: where the store and the log lie.
        trace: where its events go; the file is not there yet.
        store: a key of :data:`tests.stores.support.DURABLE`.
        action: a key of :data:`tests.kill.scenario.ACTIONS`.
        port: the server's.
        wall: what its clock shows at the start.
        kill_at: the number of the instant at which it dies, 0 to live on.
        breach: a key of :data:`tests.kill.breaches.BREACHES`, "" to keep the contract.
        behind: the trace of a process that is to have the mailbox first, "" for none.
        behind_pid: that process.
        server: where PostgreSQL's socket is.
        cut: the statement at which its connection is lost, as of
            :func:`tests.kill.watched.watch_postgres`; 0 for none.
    """

    directory: str
    trace: str
    store: str
    action: str
    port: int
    wall: float
    kill_at: int = 0
    breach: str = ""
    behind: str = ""
    behind_pid: int = 0
    server: str = ""
    cut: int = 0


def run(order: Order) -> None:
    """Carry the order out, in a process of its own: modules are changed."""
    change(fetch, "BATCH_MESSAGES", scenario.BATCH_MESSAGES)
    change(json_store, "JOURNAL_FLOOR_BYTES", scenario.JOURNAL_FLOOR_BYTES)
    logging.basicConfig(filename=f"{order.directory}/log", level=logging.INFO)
    breach = BREACHES[order.breach]() if order.breach else Breach()
    breach.begin()
    clock = FakeClock(order.wall)
    trace = Trace(order.trace, clock)
    if order.behind:
        _stand_behind(order.behind, order.behind_pid)
    instants = Instants(trace, order.kill_at)
    store = _open(order, instants)
    try:
        person = Person(order, WatchedStore(store, instants))
        poller = Poller(
            scenario.settings(order.action, order.port),
            store=breach.store(WatchedStore(store, instants)),
            **scenario.recipients(order.action, watch_handler(person.handle, instants)),
            retry=scenario.RETRY,
            max_message_bytes=scenario.MAX_MESSAGE_BYTES,
            clock=clock,
            workers=scenario.WORKERS if order.action == "workers" else 1,
            connect=_connector(clock, instants),
        )
        _work(order, poller, clock, person)
        insist(order, poller.close)
    finally:
        store.close()
        trace.close()


def _open(order: Order, instants: Instants) -> StateStore:
    return open_watched(
        order.store,
        Path(order.directory),
        instants,
        server=order.server,
        cut=order.cut,
        lease_seconds=TAKEOVER_SECONDS if order.action == "standby" else LEASE_SECONDS,
    )


def insist(order: Order, action: Callable[[], T]) -> T:
    """Do something; where the connection to the store is to be lost, once more after that."""
    try:
        return action()
    except StoreError as error:
        if not (order.cut and error.passing):
            raise
    return action()


def _connector(clock: Clock, instants: Instants) -> Any:
    observe = watch_commands(instants)

    def connect(settings: ImapSettings) -> Connection:
        return Connection.open(settings, clock=clock, on_command=observe)

    return connect


class Person:
    """Who has mended the handler, asks for what died of it, and has the time to wait for moves."""

    def __init__(self, order: Order, store: WatchedStore) -> None:
        self._awaited = order.action == "dead"
        self._moves = "move_to" in scenario.ACTIONS[order.action]
        self._mended = Path(order.directory) / "mended"
        self._store = store

    def handle(self, message: Message) -> None:
        """The handler, mended or not."""
        scenario.handle(message, self._mended.exists())

    def asks(self) -> bool:
        """Ask for what is dead and need not be; whether there is any."""
        dead = self._store.entries(scenario.MAILBOX, {State.DEAD}) if self._awaited else []
        wanted = [one for one in dead if one.key.uid == scenario.HOPELESS_UID]
        for entry in wanted:
            self._mended.touch()
            self._store.request_retry(scenario.MAILBOX, entry.key)
        return bool(wanted)

    def waits_for_moves(self) -> bool:
        """Whether a message is still looked for, since its move was cut off."""
        return self._moves and bool(self._store.entries(scenario.MAILBOX, {State.HANDLED}))


def _work(order: Order, poller: Poller, clock: FakeClock, person: Person) -> None:
    for polls in range(1, MOST_POLLS + 1):
        result = insist(order, lambda: _poll(poller))
        if polls >= LEAST_POLLS and not result.waiting and not insist(order, person.asks):
            if not insist(order, person.waits_for_moves):
                return
            clock.advance(LOOKED_FOR)
        clock.advance(scenario.BETWEEN_POLLS)
    raise AssertionError(f"messages wait after {MOST_POLLS} polls")


def _poll(poller: Poller) -> PollResult:
    """A poll, as soon as nobody else works on the mailbox."""
    while True:
        try:
            return poller.poll_once()
        except LeaseHeld:
            PAUSE.wait(PAUSE_SECONDS)


def _stand_behind(trace: str, pid: int) -> None:
    """Return when the process with this trace has its lease, or is gone."""
    until = time.monotonic() + STANDING_SECONDS
    while not (has_lease(Path(trace)) or _is_gone(pid)):
        assert time.monotonic() < until, "the first process neither works nor ends"
        PAUSE.wait(PAUSE_SECONDS)


def has_lease(trace: Path) -> bool:
    """Whether the process of this trace took the lease."""
    try:
        lines = trace.read_text("ascii").splitlines(keepends=True)
    except FileNotFoundError:
        return False
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return any((one["kind"], one["when"]) == ("lease", "after") for one in events)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False
