"""One run's server, store and poller: how they are set up, live and end."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

from nornmail import (
    ConfigurationError,
    DecisionRequired,
    Defer,
    HandlerError,
    ImapSettings,
    LeaseHeld,
    LeaseLost,
    MessageGone,
    NornmailError,
    Poller,
    Reject,
)
from nornmail.errors import IllegalTransition
from nornmail.imap.connection import Connection
from nornmail.message.message import Message
from nornmail.model import EntryKey, MailboxKey, State
from nornmail.poller.threads import ACTIVE_POLLERS
from nornmail.retry import RetryPolicy
from nornmail.settings.imap import StartFrom
from nornmail.stores.json_store import JsonStateStore
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import MemoryStateStore, SqliteStateStore
from nornmail.testing import MailServer
from nornmail.uidset import UidSet
from tests.model.letters import LIMIT, Letter, Post
from tests.model.oracle import Oracle
from tests.model.plan import Plan
from tests.model.shore import ARCHIVE, Shore
from tests.model.watch import Killed, Killer, WatchedStore
from tests.support.clock import FakeClock

ACCOUNT = "agent"
LOCK = ".lock"
ARCHIVE_UIDS = 1_000_000
"""Where the UIDs of the archive begin, if it matters."""
_TOUCH = re.compile(rb"UID (STORE|EXPUNGE|MOVE|COPY) ([0-9:,]+)")

NEVER = (
    IllegalTransition,
    LeaseHeld,
    LeaseLost,
    DecisionRequired,
    ConfigurationError,
    HandlerError,
)
"""What no fault of the run is a reason for."""


def end(poller: Poller) -> None:
    """Let other pollers of this process in, as if the poller's own had ended."""
    ACTIVE_POLLERS.leave(poller._cycle)


class World:
    """Everything of a run; ``steps.py`` says what happens to it.

    Args:
        plan: how everything is set up.
        directory: an empty one, for the store's files.
        server: started, with nobody on it.

    Attributes:
        trouble: what the handler does with a letter, from the last to the first.
        outage: the handler fails whatever it is given.
        held: nothing may be delivered for now.
    """

    def __init__(self, plan: Plan, directory: Path, server: MailServer) -> None:
        self.plan = plan
        self.server = server
        self.clock = FakeClock()
        self._begun = self.clock.wall() - self.clock.monotonic()
        self._prepare_server()
        self.settings = self._settings()
        self.key = MailboxKey(ACCOUNT, "INBOX")
        self.post = Post()
        self.violations: list[str] = []
        self.shore = Shore(server, self.post, plan.action, self.violations.append)
        self.oracle = Oracle(plan, self.shore, self.clock, self.key, self.violations)
        if plan.start_from == "date":
            self.oracle.cut = self.true_time()
        self.killer = Killer(server)
        self.trouble: dict[Letter, list[str]] = {}
        self.outage = False
        self.held = False
        self._connections: list[Connection] = []
        self._directory = directory
        self._opened = 0
        self.store = self._watched(self._open_store())
        self.poller = self.new_poller()

    # Set up.

    def _prepare_server(self) -> None:
        plan, server = self.plan, self.server
        server.add_user("agent@example.com", "secret")
        if any(step.name == "spoil" for step in plan.steps):
            # A fault of a FETCH is told by the UID alone: the archive is to have others.
            server.deliver(b"Subject: old\r\n\r\n", mailbox=ARCHIVE, uid=ARCHIVE_UIDS)
        has = {"MOVE": plan.move, "UIDPLUS": plan.uidplus, "ESEARCH": plan.esearch}
        server.capabilities -= {name for name, there in has.items() if not there}

    def _settings(self) -> ImapSettings:
        return ImapSettings(
            host=self.server.host,
            port=self.server.imap_port,
            username="agent@example.com",
            password="secret",
            use_ssl=False,
            mark_as_read=self.plan.action != "none",
            delete_after_fetch=self.plan.action == "delete",
            move_to=ARCHIVE if self.plan.action == "move" else None,
            start_from=self._start_from(),
            on_uidvalidity_change=self.plan.on_change,
        )

    def true_time(self) -> float:
        """The time of everybody else, whatever the poller's clock says."""
        return self._begun + self.clock.monotonic()

    def _start_from(self) -> StartFrom:
        if self.plan.start_from == "date":
            return datetime.fromtimestamp(self.true_time(), UTC)
        return self.plan.start_from

    def _path(self) -> Path:
        return self._directory / str(self._opened)

    def _open_store(self) -> StateStore:
        self._path().mkdir(exist_ok=True)
        if self.plan.store == "json":
            return JsonStateStore(self._path() / "state.json")
        if self.plan.store == "sqlite":
            return SqliteStateStore(self._path() / "state.db")
        return MemoryStateStore()

    def _watched(self, inner: StateStore) -> WatchedStore:
        self.oracle.store = inner
        return WatchedStore(inner, self.killer, after=self.oracle.committed)

    def reopen(self) -> None:
        """Open the store from a copy of its files as they are now, as after a loss of power."""
        if self.plan.store == "memory":
            self.store.forget_leases()
            self.store = self._watched(self.store.inner)
            return
        before = self._path()
        self._opened += 1
        shutil.copytree(before, self._path(), ignore=shutil.ignore_patterns(f"*{LOCK}*"))
        self.store.inner.close()
        self.store = self._watched(self._open_store())

    def new_poller(self) -> Poller:
        return Poller(
            self.settings,
            store=self.store,
            on_message=self._handle,
            retry=RetryPolicy(self.plan.delays),
            max_message_bytes=LIMIT,
            account=ACCOUNT,
            clock=self.clock,
            connect=self._connect,
        )

    def _connect(self, settings: ImapSettings) -> Connection:
        connection = Connection.open(settings, clock=self.clock, on_command=self._on_command)
        self._connections.append(connection)
        return connection

    # What the poller does, seen from outside.

    def _on_command(self, when: str, command: bytes) -> None:
        self.killer.on_command(when, command)
        if when == "before":
            self._check_touch(command)

    def _check_touch(self, command: bytes) -> None:
        r"""Nothing is touched before it is durably handled; a truncated message is only \Seen."""
        found = _TOUCH.match(command)
        if found is None or self.oracle.stale:  # that one's session is over as well
            return
        record = self.store.inner.load(self.key)
        for uid in UidSet.parse(found[2].decode()):
            number = record.epoch.number if record else 0
            entry = self.store.inner.get(self.key, EntryKey(number, uid))
            delivery = self.oracle.deliveries.get(entry.delivery_id) if entry else None
            if entry is None or entry.state not in (State.HANDLED, State.FINISHED):
                self.violations.append(f"{command!r} touches UID {uid}: {entry and entry.state}")
            elif delivery is None or not delivery.returned:
                self.violations.append(f"{command!r} touches UID {uid}, which was not handled")
            elif delivery.letter.large and (found[1] != b"STORE" or b"Deleted" in command):
                self.violations.append(f"{command!r} touches the truncated UID {uid}")

    def _handle(self, message: Message) -> None:
        self.killer.seam("in the handler")
        delivery = self.oracle.begins(message)
        if delivery is None:
            return
        self.clock.advance(1)
        try:
            self._work(message, delivery.letter)
            self.killer.seam("in the handler")
        except BaseException as error:
            self.oracle.raises(delivery, error)
            raise
        self.oracle.returns(delivery)

    def _work(self, message: Message, letter: Letter) -> None:
        if self.outage:
            raise RuntimeError("the handler is down")
        left = self.trouble.get(letter)
        match left.pop() if left else "":
            case "fail":
                raise RuntimeError("the handler cannot do that yet")
            case "reject":
                raise Reject("not for me")
            case "defer":
                raise Defer(500.0)
        if message.truncated and self.plan.fetches_rest:
            try:
                rest = message.fetch_rest()
            except MessageGone as gone:
                raise Reject("its rest is gone") from gone
            if rest.raw != letter.raw:
                self.violations.append(f"the rest of {letter} is another message")

    # The poller's life.

    def poll(self, *, may_fail: bool = True) -> None:
        """Poll once. What the server or the disk did to it is allowed, and nothing else."""
        self.oracle.poll_begins()
        try:
            result = self.poller.poll_once()
        except Killed:
            self.die()
        except NornmailError as error:
            if not may_fail or isinstance(error, NEVER):
                self.violations.append(f"the poll raised {error!r}")
        else:
            self.oracle.poll_ends(result)
            if self.knows_epoch():
                self.held = False
            if not self.server.faults.pending:
                self.oracle.troubled = False

    def knows_epoch(self) -> bool:
        """Whether the store is in the epoch that the server is in."""
        record = self.store.inner.load(self.key)
        bound = self.shore.bound.get(record.epoch.number) if record else None
        return bound == len(self.shore.epochs) - 1

    def die(self) -> None:
        """The process ended: the sockets close, the locks are free, the memory is gone."""
        self.killer.disarm()
        for connection in self._connections:
            connection.detach()
        self._connections.clear()
        end(self.poller)
        self.oracle.process_ended()
        self.reopen()
        self.poller = self.new_poller()

    # The end.

    def calm(self) -> None:
        """From here on nothing goes wrong any more."""
        self.server.faults.clear()
        box = self.shore.box
        box.uid_next_override = box.uid_validity_override = None
        for uid in self.shore.present:
            box.hide(uid, 0)
        self.outage = False
        self.held = False

    def close(self) -> None:
        self.killer.disarm()
        end(self.poller)
        for connection in self._connections:
            connection.detach()
        self.store.inner.close()
