"""Any call of the store, or any statement of SQL, fails once, thrice, or again in the recovery.

An error of the disk comes instead of the call; Ctrl-C comes before it or right behind its effect.
The program polls again, as a program does. In the end every message was handled once, and nothing
is left over. The default run plays a seeded sample; ``nox -s long`` plays all.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import product
from typing import Any

import pytest

from nornmail import (
    ImapSettings,
    Inbox,
    MemoryStateStore,
    Message,
    NornmailError,
    Poller,
    StoreError,
)
from nornmail.model import MailboxKey, State
from nornmail.testing import MailServer
from tests.poller.delivery.harness import mail
from tests.support.clock import FakeClock
from tests.support.faulty import Faults, FaultyConnection, FaultyStore

SEED = 1
SAMPLE = 1
"""Faults for each kind and level in the default run, with the errors by turns."""
POLLS = 12
USER = "agent@example.com"
BOTH = "Cc: a@example.com, b@example.com\r\n"
SETTLED = {State.FINISHED, State.PASSED_OVER, State.GONE}
KINDS = ("delete", "fails twice", "inboxes", "move", "epoch", "workers", "inboxes and workers")
ERRORS: dict[str, tuple[type[BaseException], bool]] = {
    "an error instead of a call": (StoreError, False),
    "Ctrl-C before a call": (KeyboardInterrupt, False),
    "Ctrl-C behind a call": (KeyboardInterrupt, True),
}


class Story:
    """A mailbox of four messages, a store that fails, and a program that polls on."""

    def __init__(self, kind: str, level: str, faults: Faults) -> None:
        self.kind = kind
        self.got: Counter[tuple[str, str]] = Counter()
        self.failures = 0
        self.errors: list[str] = []
        self.store = MemoryStateStore()
        self._faults = faults
        self._statements = level == "statement"

    def play(self) -> list[str]:
        """What went wrong."""
        clock = FakeClock(time.time())
        with MailServer() as server:
            server.add_user(USER, "secret")
            server.create_mailbox("Done")
            box = server.mailbox()

            def add(*subjects: str) -> None:
                for subject in subjects:
                    date = datetime.fromtimestamp(clock.wall() - 60, UTC)
                    box.add(mail(subject, head=BOTH), date=date)

            add("1", "2", "3")
            poller = self._poller(server, clock)
            for number in range(POLLS):
                try:
                    poller.poll_once()
                except (NornmailError, KeyboardInterrupt) as error:
                    self.errors.append(repr(error))  # a traceback would keep the lease
                clock.advance(4_000)
                if number == 1:
                    add("4")
                if number == 3 and self.kind == "epoch":
                    box.reset_uid_validity()
            self._faults._at = frozenset()  # closing is not what is shown here
            poller.close()
        return [*self._complaints()]

    def _poller(self, server: MailServer, clock: FakeClock) -> Poller:
        settings = ImapSettings(
            host=server.host,
            port=server.imap_port,
            use_ssl=False,
            username=USER,
            password="secret",
            move_to="Done" if self.kind == "move" else None,
            delete_after_fetch=self.kind == "delete",
        )
        self.key = MailboxKey(settings.account, "INBOX")
        store: Any = self.store
        if self._statements:
            store._connection = FaultyConnection(store._connection, self._faults)
        else:
            store = FaultyStore(store, self._faults)
        addressees: dict[str, Any] = {"on_message": self._handle}
        if "inboxes" in self.kind:
            names = ("a@example.com", "b@example.com")
            addressees = {"inboxes": [Inbox(name, self._handle) for name in names]}
        workers = 4 if "workers" in self.kind else 1
        return Poller(settings, store=store, clock=clock, workers=workers, **addressees)

    def _handle(self, message: Message) -> None:
        if self.kind == "fails twice" and message.subject == "2" and self.failures < 2:
            self.failures += 1
            raise ValueError("no")
        self.got[message.subject, message.inbox] += 1

    def _complaints(self) -> Iterator[str]:
        inboxes = ("a@example.com", "b@example.com") if "inboxes" in self.kind else ("",)
        for subject in "1234":
            for inbox in inboxes:
                if self.got[subject, inbox] != 1:
                    yield f"{subject} {inbox} was handled {self.got[subject, inbox]} times"
        for entry in self.store.entries(self.key, set(State)):
            if entry.state not in SETTLED:
                yield f"UID {entry.key.uid} is {entry.state}"


@cache
def instants(kind: str, level: str) -> int:
    """How many calls there are without a fault."""
    faults = Faults()
    story = Story(kind, level, faults)
    assert story.play() == []
    assert story.errors == []
    return faults.calls


def plans(kind: str, level: str, error: str, first: int, step: int) -> Iterator[tuple[int, ...]]:
    """The calls that fail: one, three in a row, or one and another in its recovery."""
    total = instants(kind, level)
    dice = random.Random(f"{SEED} {kind} {level} {error}")
    for at in range(first, total + 1, step):
        yield dice.choice([(at,), (at, at + 1, at + 2), (at, at + dice.randint(2, 12))])


def judge(kind: str, level: str, error: str, chosen: Iterable[tuple[int, ...]]) -> None:
    kind_of_error, after = ERRORS[error]
    if level == "statement" and kind_of_error is StoreError:
        kind_of_error = sqlite3.OperationalError
    hits = 0
    for at in chosen:
        faults = Faults(at, kind_of_error, after=after)
        wrong = Story(kind, level, faults).play()
        assert not wrong, f"{at} of {kind}, {error}, {faults.hits}: {wrong}"
        hits += bool(faults.hits)
    assert hits


@pytest.mark.parametrize(
    ("kind", "level", "error"),
    [
        (kind, level, list(ERRORS)[at % len(ERRORS)])
        for at, (kind, level) in enumerate(product(KINDS, ("call", "statement")))
    ],
)
def test_a_sample_of_the_faults(kind: str, level: str, error: str) -> None:
    chosen = [*plans(kind, level, error, 1, 1)]
    judge(kind, level, error, random.Random(f"{SEED} {kind} {level}").sample(chosen, SAMPLE))


@pytest.mark.long
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("level", ["call", "statement"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_fault(kind: str, level: str, error: str) -> None:
    judge(kind, level, error, plans(kind, level, error, 1, 1))
