"""A poller in its thread, by the machine's clock, while everything around it goes wrong."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from unittest import mock

from nornmail import ImapSettings, NornmailError, Poller, RetryPolicy, SqliteStateStore
from nornmail.model import MailboxKey, State
from nornmail.poller import actions
from tests.soak.books import INBOXES, MOST_FAILURES, STRANGER, Books, Role
from tests.soak.shores import Shore

EVENT_SECONDS = 0.1
"""Between two events, on average."""
DOORS_SECONDS = 0.5
"""For how long the server takes nobody."""
OUTAGE_SECONDS = 2.0
"""For how long every handler fails: messages enough for the poller to take them to be down."""
LONG = 60.0
"""Seconds from which on a run has room for trouble that takes a minute to get over."""
MOST_OUTSTANDING = 50
"""Messages on their way: fewer than a new UIDVALIDITY takes for an accident."""
MOST_OCTETS = 20_000
"""Of a message's text."""
QUIET_SECONDS = 150.0
"""After the last trouble, until everything is handled: a refused STORE is repeated in 60 s, and the
backoff of a run of lost connections takes as long."""
LOOK_SECONDS = 0.1
STOP_SECONDS = 60.0
DELAYS = (0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4, *[0.5] * 6)
"""More than a retried message needs that meets an outage of the handler besides: a FETCH that was
refused is an attempt as well."""

ROLES: tuple[Role, ...] = ("handled", "retried", "rejected", "doomed")
ROLE_WEIGHTS = (80, 14, 4, 2)
WEIGHTS: dict[str, float] = {
    "deliver": 70,
    "tidy": 12,
    "cut": 5,
    "refuse": 4,
    "sync": 4,
    "restart": 3,
    "doors": 1,
    "anew": 1,
}
OUTAGE_WEIGHT = 0.2


class Soak:
    """One run.

    Args:
        shore: the server.
        store: of the poller; stays open.
        seed: of everything that happens.
        seconds: for how long things happen.
    """

    def __init__(self, shore: Shore, store: SqliteStateStore, seed: int, seconds: float) -> None:
        self.books = Books()
        self.figures: Counter[str] = Counter()
        self._shore = shore
        self._store = store
        self._dice = random.Random(seed)
        self._seconds = seconds
        self._open_at = 0.0
        self._poller = self._new_poller()
        weights = {
            name: weight
            for name, weight in WEIGHTS.items()
            if name in shore.events or name in ("deliver", "tidy", "sync", "restart")
        }
        if seconds >= LONG:
            weights["outage"] = OUTAGE_WEIGHT
        self._names = list(weights)
        self._weights = list(weights.values())

    @property
    def mailbox(self) -> MailboxKey:
        return MailboxKey(self._settings().account, "INBOX")

    def run(self, at_warm: Callable[[], object], warm_after: float) -> None:
        """Let things happen, then wait until all is quiet, and stop the poller.

        Args:
            at_warm: called once, after ``warm_after`` seconds.
            warm_after: seconds.
        """
        begin = time.monotonic()
        warm = False
        self._poller.start()
        try:
            while (now := time.monotonic()) < begin + self._seconds:
                if not warm and now >= begin + warm_after:
                    at_warm()
                    warm = True
                if self._open_at and now >= self._open_at:
                    self._shore.close_doors(closed=False)
                    self._open_at = 0.0
                (name,) = self._dice.choices(self._names, self._weights)
                getattr(self, f"_{name}")()
                with self.books.changed:
                    self.books.changed.wait(self._dice.expovariate(1 / EVENT_SECONDS))
            self._calm_down()
        finally:
            self._poller.close()

    def counts(self) -> dict[State, int]:
        return {state: self._store.count(self.mailbox, {state}) for state in State}

    def _calm_down(self) -> None:
        self._shore.calm()
        self.books.down_until = 0.0
        until = time.monotonic() + QUIET_SECONDS
        # No message is hidden from now on, so none needs to be looked for during an hour.
        with mock.patch.object(actions, "LOOKED_FOR", 0.0):
            while left := self._left():
                if time.monotonic() > until:
                    raise AssertionError(self._account(left))
                self._sync()
                with self.books.changed:
                    self.books.changed.wait(LOOK_SECONDS)

    def _account(self, left: list[str]) -> str:
        """What a person needs to find out why it does not come to an end."""
        entries = self._store.entries(self.mailbox, set(State))
        wanted = self.books.unfinished_serials(self._shore.flags())
        known = [entry for entry in entries if entry.message_id in wanted]
        return "\n".join(
            [
                f"not quiet after {QUIET_SECONDS:g} s: {self._poller.status()}",
                *left,
                *(f"breach: {breach}" for breach in self.books.breaches),
                *(f"the store: {entry}" for entry in known),
                f"on the server: {sorted(self._shore.flags().items())[-200:]}",
            ]
        )

    def _left(self) -> list[str]:
        """What has yet to be done."""
        open_states = (State.NEW, State.CLAIMED, State.WAITING, State.HANDLED)
        counts = self.counts()
        left = [f"{counts[state]} {state}" for state in open_states if counts[state]]
        if counts[State.PASSED_OVER] < self.books.figures["unrouted"]:
            left.append("unrouted mail")
        return left + self.books.unfinished(self._shore.flags())

    # What happens.

    def _deliver(self) -> None:
        dice = self._dice
        for _ in range(dice.randint(1, 5)):
            if self.books.outstanding() >= MOST_OUTSTANDING:
                return
            recipients = dice.choice([INBOXES[:1], INBOXES[1:], INBOXES])
            if dice.random() < 0.02:
                recipients = (STRANGER,)
            (role,) = dice.choices(ROLES, ROLE_WEIGHTS)
            failures, size = dice.randint(1, MOST_FAILURES), dice.randrange(MOST_OCTETS)
            self._shore.deliver(self.books.compose(recipients, role, failures, size))

    def _tidy(self) -> None:
        done = self.books.audit(self._shore.flags())
        self.books.write_off(self._shore.remove(done))

    def _cut(self) -> None:
        self._shore.cut(self._dice)

    def _refuse(self) -> None:
        self._shore.refuse(self._dice, long=self._seconds >= LONG)

    def _doors(self) -> None:
        self._shore.close_doors(closed=True)
        self._open_at = time.monotonic() + DOORS_SECONDS

    def _anew(self) -> None:
        self._shore.begin_anew(self._dice)

    def _outage(self) -> None:
        self.figures["outages"] += 1
        self.books.down_until = time.monotonic() + OUTAGE_SECONDS

    def _sync(self) -> None:
        self.figures["syncs"] += 1
        try:
            self._poller.sync()
        except NornmailError as error:
            self.figures[f"sync: {type(error).__name__}"] += 1

    def _restart(self) -> None:
        self.figures["restarts"] += 1
        if not self._poller.stop(STOP_SECONDS):
            raise AssertionError(f"it did not stop: {self._poller.status()}")
        if self._dice.random() < 0.5:
            self._poller.close()
            self._poller = self._new_poller()
        self._poller.start()

    def _settings(self) -> ImapSettings:
        return ImapSettings(
            host=self._shore.host,
            port=self._shore.port,
            use_ssl=False,
            username=self._shore.user,
            password=self._shore.password,
            poll_interval=1.0,
            timeout=10.0,
        )

    def _new_poller(self) -> Poller:
        return Poller(
            self._settings(),
            store=self._store,
            inboxes=self.books.inboxes,
            retry=RetryPolicy(DELAYS),
            on_event=self.books.note,
            start_from="all",
        )
