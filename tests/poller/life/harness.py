"""What the tests of a poller's life need: a server, a clock that stands, and gates."""

from __future__ import annotations

import selectors
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any, TypeVar

from nornmail import ImapSettings, MemoryStateStore, Message, Poller, StateStore
from nornmail.clock import Readable
from nornmail.events import Event
from nornmail.model import Entry, MailboxKey, State
from nornmail.testing import MailServer
from tests.support.clock import FakeClock

USER = "agent@example.com"
PASSWORD = "correct-horse-7%battery"
SECONDS = 20.0
"""How long a test waits for another thread before it fails; it takes milliseconds."""
TICK = 0.005
"""Seconds of real time between two looks at a clock that stands."""
INTERVAL = 60.0

EventType = TypeVar("EventType", bound=Event)


def mail(subject: str, to: str = USER) -> bytes:
    return (
        f"From: kim@example.org\r\nTo: {to}\r\nSubject: {subject}\r\n"
        f"Message-ID: <{subject}@example.org>\r\n\r\nthe text of {subject}\r\n"
    ).encode()


class StandingClock(FakeClock):
    """A clock that stands until a test moves it; whoever waits for it really waits."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = threading.Condition()
        self._waiting: list[float] = []

    def _wait(self, is_over: Callable[[], bool], seconds: float) -> None:
        with self._moved:
            until = self._monotonic + seconds
            self._waiting.append(seconds)
            self.waits.append(seconds)
            self._moved.notify_all()
            while not is_over() and self._monotonic < until:
                self._moved.wait(TICK)
            self._waiting.remove(seconds)

    def select(self, readers: Sequence[Readable], seconds: float) -> None:
        """Return when a reader has something, too: what a server says needs no clock."""
        with selectors.DefaultSelector() as selector:
            for reader in readers:
                selector.register(reader.fileno(), selectors.EVENT_READ)
            self._wait(lambda: bool(selector.select(0)), seconds)

    def wait(self, event: threading.Event, seconds: float) -> None:
        self._wait(event.is_set, seconds)

    def advance(self, seconds: float) -> None:
        with self._moved:
            super().advance(seconds)
            self._moved.notify_all()

    def until_waits(self, count: int) -> None:
        """Wait until there were so many waits."""
        with self._moved:
            assert self._moved.wait_for(lambda: len(self.waits) >= count, SECONDS)

    def until_somebody_waits(self, at_least: float = 0.0) -> float:
        """The seconds of a wait that is under way, once there is one of so many seconds."""

        def waiting() -> list[float]:
            return [seconds for seconds in self._waiting if seconds >= at_least]

        with self._moved:
            assert self._moved.wait_for(waiting, SECONDS)
            return waiting()[0]


class Events:
    """An ``on_event`` that remembers, and that a test can wait for."""

    def __init__(self) -> None:
        self._more = threading.Condition()
        self.seen: list[Event] = []

    def __call__(self, event: Event) -> None:
        with self._more:
            self.seen.append(event)
            self._more.notify_all()

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.seen]

    def of(self, kind: type[EventType]) -> list[EventType]:
        return [event for event in list(self.seen) if isinstance(event, kind)]

    def until(self, kind: type[EventType], count: int = 1) -> EventType:
        """The event of this kind that is the ``count``-th."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.of(kind)) >= count, SECONDS), self.names()
            return self.of(kind)[count - 1]


class Gate:
    """A handler that stops at a message until it is let go.

    Args:
        at: the subject at which it stops.
        error: what it raises then.
    """

    def __init__(self, at: str, error: BaseException | None = None) -> None:
        self.reached = threading.Event()
        self.go = threading.Event()
        self.seen: list[Message] = []
        self._at = at
        self._error = error

    def __call__(self, message: Message) -> None:
        if message.subject == self._at and not self.go.is_set():
            self.reached.set()
            assert self.go.wait(SECONDS)
            if self._error is not None:
                raise self._error
        self.seen.append(message)


class Life:
    """A server with one user, and pollers that are closed at the end of the test."""

    def __init__(self, server: MailServer, stack: ExitStack) -> None:
        self.server = server
        self.clock = StandingClock()
        self.events = Events()
        self.store: StateStore = MemoryStateStore()
        self.seen: list[Message] = []
        self._more = threading.Condition()
        self._stack = stack

    def settings(self, **changes: Any) -> ImapSettings:
        values: dict[str, Any] = {
            "host": self.server.host,
            "port": self.server.imap_port,
            "use_ssl": False,
            "username": USER,
            "password": PASSWORD,
            "poll_interval": INTERVAL,
        }
        return ImapSettings(**{**values, **changes})

    def poller(self, on_message: Callable[[Message], object] | None = None, **more: Any) -> Poller:
        """A poller without IDLE, so that every wait is one for the clock.

        Args:
            on_message: :meth:`note` unless given.
            more: arguments of Poller; ``imap`` are changes of the settings.
        """
        settings = self.settings(**more.pop("imap", {}))
        own: dict[str, Any] = {
            "store": self.store,
            "clock": self.clock,
            "idle": False,
            "on_event": self.events,
        }
        if "inboxes" not in more:
            own["on_message"] = on_message or self.note
        poller = Poller(settings, **{**own, **more})
        self._stack.callback(poller.close)
        return poller

    def note(self, message: Message) -> None:
        with self._more:
            self.seen.append(message)
            self._more.notify_all()

    def until_seen(self, count: int) -> list[str]:
        """The subjects of what was handed over, once it is so many."""
        with self._more:
            assert self._more.wait_for(lambda: len(self.seen) >= count, SECONDS)
        return self.subjects

    @property
    def subjects(self) -> list[str]:
        return [message.subject for message in self.seen]

    def deliver(self, *subjects: str, to: str = USER) -> None:
        for subject in subjects:
            self.server.deliver(mail(subject, to))

    def entries(self, *states: State) -> list[Entry]:
        key = MailboxKey(self.settings().account, "INBOX")
        return self.store.entries(key, states or tuple(State))


def names_of(threads: list[threading.Thread]) -> list[str]:
    return [thread.name for thread in threads if thread.name.startswith("nornmail")]
