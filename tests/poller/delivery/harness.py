"""A world for one test: a server, what stands before it, a poller, and what the poller handed over.

The same test runs on every server. Whatever is spoilt is spoilt on the wire (``wire.py``) and
whatever others do to the mailbox is done by another client (``backends.py``), so nothing depends on
who is behind it.
"""

from __future__ import annotations

import logging
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from nornmail import ImapSettings, Message, NornmailError, Poller, StateStore
from nornmail.model import Entry, MailboxKey, State
from nornmail.poller.inboxes import Job
from nornmail.poller.worker_pool import WorkerPool
from nornmail.testing import MailServer, Proxy
from tests.poller.delivery.backends import Backend, OtherClient, Stored
from tests.poller.delivery.wire import Wire
from tests.stores.support import DURABLE, OPENERS
from tests.support.clock import FakeClock

Handler = Callable[[Message], object]


@dataclass(frozen=True)
class ServerKind:
    """Which server a test runs on, with or without TLS.

    Attributes:
        fixture: the name of the real server's fixture; ``""`` for nornmail's own.
        store: the kind of store that pollers have where the test names none.
    """

    fixture: str
    tls: bool
    store: str = "memory"


EMBEDDED = [
    pytest.param(ServerKind("", tls=False), id="embedded plain"),
    pytest.param(ServerKind("", tls=True), id="embedded TLS", marks=pytest.mark.tls),
    *(
        pytest.param(ServerKind("", tls=False, store=store), id=store, marks=mark)
        for store, mark in (
            ("json", pytest.mark.long),
            ("sqlite", pytest.mark.long),
            ("postgres", pytest.mark.interop),
        )
    ),
]
REAL = {
    "Dovecot": ServerKind("dovecot", tls=False),
    "Dovecot TLS": ServerKind("dovecot", tls=True),
    "Dovecot 2.4": ServerKind("dovecot24", tls=False),
    "Cyrus": ServerKind("cyrus", tls=False),
    "Courier": ServerKind("courier", tls=False),
    "pymap": ServerKind("pymap", tls=False),
}
SERVERS = [
    *EMBEDDED,
    *(pytest.param(kind, id=name, marks=pytest.mark.interop) for name, kind in REAL.items()),
]
embedded_only = pytest.mark.parametrize("world", EMBEDDED, indirect=True)
"""For what a real server cannot be brought to; each use says what."""

_SETTINGS = {field.name for field in fields(ImapSettings)}
_SUBJECT = re.compile(rb"^Subject: ([^\r\n]*)", re.MULTILINE)
RETRIES = (60.0, 300.0, 1_800.0, 7_200.0, 28_800.0)
"""Seconds between the attempts at one message, as the contract has them."""


def mail(subject: str, *, size: int = 0, head: str = "", body: str = "") -> bytes:
    """A message of its own, with at least ``size`` octets.

    Args:
        head: more header lines, each with its CRLF.
    """
    name = subject.replace(" ", ".")
    text = (
        f"From: sender@example.org\r\nTo: agent@example.com\r\nSubject: {subject}\r\n"
        f"Message-ID: <{name}@example.org>\r\nDate: {formatdate(BEGIN)}\r\n{head}\r\n"
        f"{body or f'the text of {subject}'}\r\n"
    )
    line = "x" * 76 + "\r\n"
    return (text + line * -(-max(0, size - len(text)) // len(line))).encode("utf-8")


def numbered(first: int, last: int, *, size: int = 0) -> list[bytes]:
    """Messages whose subjects are :func:`numbers`."""
    return [mail(subject, size=size) for subject in numbers(first, last)]


def subjects(messages: Sequence[Message]) -> list[str]:
    return [message.subject for message in messages]


def numbers(first: int, last: int) -> list[str]:
    """``["1", "2", "3"]`` for 1 and 3."""
    return [str(number) for number in range(first, last + 1)]


BEGIN = 1_700_000_000.0
"""When every test begins, in seconds since 1970 UTC: in the past, since Dovecot takes no mail that
was received in the future."""


class Clock(FakeClock):
    """A clock that a test can act on: ``on_wait`` is called with each wait, once it has passed."""

    def __init__(self) -> None:
        super().__init__(BEGIN)
        self.on_wait: Callable[[float], object] = lambda _: None

    def wait(self, event: Any, seconds: float) -> None:
        super().wait(event, seconds)
        self.on_wait(seconds)


class Listener(logging.Handler):
    """Keeps every line that the library logs, tracebacks included."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[tuple[int, str]] = []
        self.setFormatter(logging.Formatter("%(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, self.format(record)))


class World:
    """Everything around one poller.

    Attributes:
        backend: the server and its user.
        proxy, wire: what stands between it and the poller.
        clock: the poller's clock.
        directory: for files.
        store: of the pollers that this makes, unless a test names one.
        workers: of the pollers that this makes, unless a test says how many.
        seen: what :meth:`note` was handed, in its order.
        others: another client of the same user.
    """

    def __init__(
        self,
        backend: Backend,
        proxy: Proxy,
        server: MailServer | None,
        directory: Path,
        stack: ExitStack,
        store: str = "memory",
    ) -> None:
        self.backend = backend
        self._server = server
        self.proxy = proxy
        self.wire = Wire(proxy)
        self.clock = Clock()
        self.directory = directory
        self.store: StateStore = {**OPENERS, **DURABLE}[store](directory)
        stack.callback(self.store.close)
        self.workers = 1
        self.seen: list[Message] = []
        self._begun: dict[int, int] = {}
        self.listener = Listener()
        self._stack = stack
        self._others: OtherClient | None = None
        stack.callback(self._leave)

    # The poller.

    def settings(self, **changes: Any) -> ImapSettings:
        values: dict[str, Any] = {
            "host": self.backend.host,
            "port": self.proxy.port,
            "username": self.backend.user,
            "password": self.backend.password,
            "use_ssl": self.backend.tls,
            "ca_file": self.backend.ca_file if self.backend.tls else None,
        }
        for name in ("mailbox", "move_to"):
            if changes.get(name) not in (None, "INBOX"):
                changes[name] = self.backend.prefix + changes[name]
        return ImapSettings(**{**values, **changes})

    def poller(self, on_message: Handler | None = None, **options: Any) -> Poller:
        """A poller that is closed at the test's end.

        Args:
            on_message: :meth:`note` unless it or ``inboxes`` are given.
            options: fields of ImapSettings, and arguments of Poller.
        """
        chosen = {name: value for name, value in options.items() if name in _SETTINGS}
        rest = {name: value for name, value in options.items() if name not in _SETTINGS}
        rng = random.Random(1)
        own: dict[str, Any] = {"store": self.store, "clock": self.clock, "rng": rng}
        own["workers"] = self.workers
        if on_message is None and "inboxes" not in options:
            on_message = self.note
        poller = Poller(self.settings(**chosen), on_message=on_message, **{**own, **rest})
        self._stack.callback(poller.close)
        pool = poller._cycle.delivery.pool
        if pool is not None:
            self._note_order(pool)
        return poller

    def _note_order(self, pool: WorkerPool) -> None:
        """Remember the order in which calls begin: threads that run at once note theirs in any."""
        submit = pool.submit

        def submitting(job: Job, handler: Handler, message: Message) -> None:
            self._begun[id(message)] = len(self._begun)
            submit(job, handler, message)

        pool.submit = submitting  # type: ignore[method-assign]

    def use(self, opener: Callable[[], StateStore]) -> None:
        """Close the store, and give the pollers that come another; it is closed after them."""
        self.store.close()
        self.store = opener()
        self._stack.callback(self.store.close)

    def run(self, poller: Poller, *steps: Callable[[], object]) -> list[float]:
        """``run_forever`` with one step after each wait, and its end with the last one.

        Args:
            steps: a step that returns True is taken again after the next wait.

        Returns:
            The waits, in seconds.
        """
        left = list(steps)

        def on_wait(_seconds: float) -> None:
            if left[0]() is not True:
                left.pop(0)
            if not left:
                poller.stop()

        before = len(self.clock.waits)
        self.clock.on_wait = on_wait
        poller.run_forever()
        return self.clock.waits[before:]

    def note(self, message: Message) -> None:
        """The handler that does nothing but remember."""
        self.seen.append(message)

    @property
    def handed_over(self) -> list[str]:
        """The subjects of what was handed over."""
        return subjects(sorted(self.seen, key=lambda message: self._begun.get(id(message), 0)))

    # The mailbox.

    @property
    def server(self) -> MailServer:
        """The embedded server, for tests that run on nothing else."""
        assert self._server is not None
        return self._server

    @property
    def others(self) -> OtherClient:
        if self._others is None:
            backend = self.backend
            self._others = OtherClient(
                backend.host,
                backend.port,
                tls=backend.tls,
                ca_file=backend.ca_file,
                user=backend.user,
                password=backend.password,
                prefix=backend.prefix,
            )
        return self._others

    def deliver(
        self,
        *raws: bytes | str,
        mailbox: str = "INBOX",
        flags: Sequence[str] = (),
        date: float | None = None,
    ) -> list[int]:
        """Put messages, or messages of these subjects, into a mailbox; returns their UIDs.

        Args:
            date: INTERNALDATE in seconds since 1970 UTC; now, by the poller's clock, if None.
        """
        octets = [mail(raw) if isinstance(raw, str) else raw for raw in raws]
        when = self.clock.wall() if date is None else date
        if self._server is None:
            return self.others.deliver(octets, mailbox, flags, when)
        received = datetime.fromtimestamp(when, UTC)
        return [
            self._server.deliver(one, mailbox=mailbox, flags=flags, date=received) for one in octets
        ]

    def restore(self) -> None:
        """Give INBOX a new UIDVALIDITY and UIDs from 1, as a restored backup has them.

        The poller must not be connected.
        """
        self._leave()
        self.backend.restore()

    def renew(self, mailbox: str) -> None:
        """Make a mailbox anew with the same mail, under a new UIDVALIDITY and with UIDs from 1.

        The poller may be connected.
        """
        self.others.renew(mailbox, self.clock.wall())
        self._leave()  # Dovecot's process has the old one in mind

    def _leave(self) -> None:
        if self._others is not None:
            self._others.close()
            self._others = None

    def stored(self, mailbox: str = "INBOX") -> list[Stored]:
        """What lies in a mailbox; on a real server as a client sees it that was never there before.

        Dovecot refuses a session that saw a mailbox before it was made anew, now and then.
        """
        if self._server is not None:
            (account,) = self._server.accounts
            (box,) = [one for one in account.all() if one.raw_name == mailbox.encode("ascii")]
            return [Stored(one.uid, one.flags, one.raw) for one in box.messages]
        self._leave()
        return self.others.stored(mailbox)

    def flags(self, mailbox: str = "INBOX") -> dict[str, set[str]]:
        """What lies in a mailbox: the flags by subject."""
        return {subject_of(one.raw): set(one.flags) for one in self.stored(mailbox)}

    # The store.

    @property
    def key(self) -> MailboxKey:
        return MailboxKey(self.settings().account, "INBOX")

    def entries(self, *states: State) -> list[Entry]:
        return self.store.entries(self.key, states or tuple(State))

    def states(self) -> Counter[State]:
        """How many entries there are in each state."""
        return Counter(entry.state for entry in self.entries())

    def entry(self, subject: str) -> Entry:
        """The entry of the message with this subject, which was handed over before."""
        wanted = f"<{subject.replace(' ', '.')}@example.org>"
        (found,) = [entry for entry in self.entries() if entry.message_id == wanted]
        return found

    def raw(self, subject: str) -> bytes | None:
        """The bytes that are kept of a message."""
        return self.store.raw(self.key, self.entry(subject).key)

    # The log.

    def logged(self, level: int = logging.DEBUG) -> list[str]:
        """What was logged at ``level`` or above."""
        return [line for severity, line in self.listener.lines if severity >= level]


class Failing:
    """A handler that remembers each attempt, and raises as long as ``fails`` says so.

    Attributes:
        attempts: the subject and attempt number of each call.
    """

    def __init__(
        self, world: World, fails: Callable[[Message], bool], error: type[BaseException]
    ) -> None:
        self._world = world
        self._error = error
        self.fails = fails
        self.attempts: list[tuple[str, int]] = []

    def __call__(self, message: Message) -> None:
        self.attempts.append((message.subject, message.attempt))
        if self.fails(message):
            raise self._error(f"cannot handle {message.subject}")
        self._world.note(message)


def failing_at(world: World, *names: str, error: type[BaseException] = RuntimeError) -> Failing:
    """A handler that raises at these subjects; at all when none is named."""
    return Failing(world, lambda message: not names or message.subject in names, error)


def subject_of(raw: bytes) -> str:
    found = _SUBJECT.search(raw)
    return found[1].decode("utf-8") if found else ""


def poll_in_spite_of(poller: Poller, *errors: type[NornmailError], most: int = 20) -> int:
    """Poll until it succeeds; returns how often it raised."""
    for raised in range(most):
        try:
            poller.poll_once()
        except errors:
            continue
        return raised
    raise AssertionError(f"it still raises after {most} polls")
