"""One mailbox, one store, and the processes that work on them one after the other."""

from __future__ import annotations

import shutil
import signal
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp

from nornmail.model import Entry, MailboxRecord, State
from nornmail.testing import MailServer
from nornmail.uidset import UidSet
from tests.kill.child import Order
from tests.kill.events import Event, read_trace
from tests.kill.scenario import DONE, MAILBOX, START, name_of, prepare
from tests.kill.zygote import Zygote
from tests.stores.support import DURABLE
from tests.support import postgresql

PATIENCE = 30.0
"""Seconds within which a server has noticed that its client is gone; it takes a millisecond."""

Lying = tuple[bytes, tuple[str, ...]]
"""A message on the server: its octets and its flags."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to happen.

    Attributes:
        store, action: see :class:`tests.kill.child.Order`.
        kills: the instant at which each process is killed, one process after the other.
        breach: as well.
        cut: at which statement the first process loses its connection to PostgreSQL, as of
            :func:`tests.kill.watched.watch_postgres`.
    """

    store: str
    action: str
    kills: tuple[int, ...] = ()
    breach: str = ""
    cut: int = 0

    def __str__(self) -> str:
        where = f"cut {self.cut:+}" if self.cut else "+".join(map(str, self.kills))
        return "/".join([self.store, self.action, where])

    @classmethod
    def named(cls, name: str) -> Plan:
        """The plan of this name, such as ``json/delete/57`` or ``json/delete/57+12``."""
        store, action, kills = name.split("/")
        return cls(store, action, tuple(map(int, kills.split("+"))))


@dataclass(frozen=True, slots=True)
class Run:
    """What one process did.

    Attributes:
        events: in their order.
        kill_at: the instant at which it was to be killed, 0 for none.
        code: 0, or what ended it.
        errors: what it said on stderr.
    """

    events: list[Event]
    kill_at: int
    code: int
    errors: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL

    @property
    def instants(self) -> list[Event]:
        return [event for event in self.events if event.number]

    @property
    def queries(self) -> list[Event]:
        """The statements for PostgreSQL."""
        return [event for event in self.events if event.kind == "query"]


@dataclass(frozen=True, slots=True)
class Ending:
    """What is there when no process runs.

    Attributes:
        inbox: by UID.
        done: the destination of moves, in no order.
        record, seen_uids, entries, raws: what the store has; entries and bytes by
            :func:`tests.kill.scenario.name_of`.
        files: the names of its files; those that hold bytes are only counted.
    """

    inbox: dict[int, Lying]
    done: list[Lying]
    record: MailboxRecord | None
    seen_uids: UidSet
    entries: dict[int, Entry]
    raws: dict[int, bytes | None]
    files: list[str]


@dataclass(frozen=True, slots=True)
class Story:
    """A plan that was carried out.

    Attributes:
        runs: the processes that were killed, and one that lived until nothing waited.
        end: how it was then; ``None`` when a process failed.
        extra: one more process, which should have found nothing to do.
        still: how it was after that.
    """

    plan: Plan
    runs: list[Run]
    end: Ending | None = None
    extra: Run | None = None
    still: Ending | None = None


def play(zygote: Zygote, directory: Path, plan: Plan) -> Story:
    """Carry a plan out in a new directory, which stays where a process failed."""
    directory = Path(mkdtemp(prefix=str(plan).replace("/", "-") + ".", dir=directory))
    with MailServer() as server:
        prepare(server, plan.action)
        stage = Stage(zygote, directory, plan, server)
        runs: list[Run] = []
        for kill_at in (*plan.kills, 0):
            runs += stage.run(kill_at)
            if any(run.code not in (0, -signal.SIGKILL) for run in runs):
                return Story(plan, runs)
        end = stage.ending()
        (extra,) = stage.run(0)
        story = Story(plan, runs, end, extra, stage.ending())
    if plan.store == "postgres":
        postgresql.drop(directory)
    shutil.rmtree(directory)
    return story


def server_of(store: str, directory: Path) -> str:
    """Where the socket of PostgreSQL is, for its store; the directory has its schema then."""
    if store != "postgres":
        return ""
    postgresql.schema_of(directory)
    return str(postgresql.server().directory)


class Stage:
    """Where a plan is carried out: starts processes, and looks at what they leave."""

    def __init__(self, zygote: Zygote, directory: Path, plan: Plan, server: MailServer) -> None:
        self._zygote = zygote
        self._directory = directory
        self._plan = plan
        self._server = server
        self._wall = START
        self._runs = 0

    def run(self, kill_at: int) -> list[Run]:
        """A process from its start to its end, and to where the server has noticed that.

        Where the plan has one stand by, it is there from the first one's lease on, and takes over.
        """
        orders = [self._order(kill_at)]
        if kill_at and self._plan.action == "standby":
            orders.append(replace(self._order(0), behind=orders[0].trace))
        codes = self._zygote.run(*orders)
        self._wait_for_server()
        if self._plan.store == "postgres":
            postgresql.let_leases_expire(self._directory)
        errors = (self._directory / "errors").read_text("utf-8")
        runs = [
            Run(read_trace(Path(order.trace)), order.kill_at, code, errors)
            for order, code in zip(orders, codes, strict=True)
        ]
        walls = [event.wall for run in runs for event in run.events]
        self._wall = max([self._wall, *walls]) + 1
        return runs

    def _order(self, kill_at: int) -> Order:
        self._runs += 1
        return Order(
            directory=str(self._directory),
            trace=str(self._directory / f"trace-{self._runs}"),
            store=self._plan.store,
            action=self._plan.action,
            port=self._server.imap_port,
            wall=self._wall,
            kill_at=kill_at,
            breach=self._plan.breach,
            server=server_of(self._plan.store, self._directory),
            cut=self._plan.cut if self._runs == 1 else 0,
        )

    def ending(self) -> Ending:
        """What is there. The store is opened as by any program that comes after."""
        inbox = {
            message.uid: (message.raw, tuple(sorted(message.flags)))
            for message in self._server.mailbox().messages
        }
        done = [
            (message.raw, tuple(sorted(message.flags)))
            for message in self._server.mailbox(DONE).messages
        ]
        store = DURABLE[self._plan.store](self._directory)
        try:
            record = store.load(MAILBOX)
            entries = {
                name_of(entry.key.uid, entry.key.inbox): entry
                for entry in store.entries(MAILBOX, set(State))
            }
            raws = {uid: store.raw(MAILBOX, entry.key) for uid, entry in entries.items()}
            epoch = record.epoch.number if record else 0
            seen_uids = store.seen_uids(MAILBOX, epoch)
        finally:
            store.close()
        return Ending(inbox, sorted(done), record, seen_uids, entries, raws, self._files())

    def _files(self) -> list[str]:
        names = (path.name for path in self._directory.rglob("state*"))
        bytes_kept = list(self._directory.rglob("*.eml"))
        return [*sorted(names), f"{len(bytes_kept)} with bytes"]

    def _wait_for_server(self) -> None:
        """What a client sent before it was killed is done by the server, be it a moment later.

        A client that starts in this moment could not know of it, whatever it asked.
        """
        until = time.monotonic() + PATIENCE
        pause = threading.Event()
        while self._server.live_connections:
            assert time.monotonic() < until, "the server does not notice that its client is gone"
            pause.wait(0.000_5)
