"""Which mailers a store has in this process, so that a poller with the same store drains them.

Nobody hands a mailer to a poller: the store that both have is what they have in common.
"""

from __future__ import annotations

import logging
import threading
from weakref import WeakKeyDictionary, WeakSet

from nornmail.clock import Clock
from nornmail.errors import NornmailError, StoreError
from nornmail.events import OutboxBounced
from nornmail.message.message import Message
from nornmail.outbox.bounces import note_bounce
from nornmail.outbox.worker import Worker
from nornmail.stores.protocol import StateStore

log = logging.getLogger("nornmail.outbox")


STOP_PATIENCE = 60.0
"""Seconds that a poller that ends waits for the letter at hand. It comes to its end all the same,
in its thread, and nobody waits for ever because a hook of the mailer stops the poller."""


class _OfStore:
    """The mailers and the running pollers of one store."""

    def __init__(self) -> None:
        self.workers: WeakSet[Worker] = WeakSet()
        self.companions: WeakSet[StoreMailers] = WeakSet()


_lock = threading.RLock()
_stores: WeakKeyDictionary[StateStore, _OfStore] = WeakKeyDictionary()


def register(store: StateStore, worker: Worker) -> None:
    """Make a mailer known; pollers of its store that run have it send from now on."""
    with _lock:
        known = _stores.setdefault(store, _OfStore())
        known.workers.add(worker)
        companions = list(known.companions)
    for companion in companions:
        companion.attach(worker)


def forget(store: StateStore, worker: Worker) -> None:
    """Forget a mailer that was closed."""
    with _lock:
        known = _stores.get(store)
        if known is not None:
            known.workers.discard(worker)


class StoreMailers:
    """The mailers of a poller's store: they send while the poller runs.

    Args:
        store: the poller's.
        clock: for the times of events.
    """

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        # Held while they send, so that a mailer that nobody has any more is stopped too.
        self._sending: list[Worker] = []

    def start(self) -> None:
        """Have every mailer of the store send in a thread of its own, and those to come."""
        with _lock:
            known = _stores.setdefault(self._store, _OfStore())
            known.companions.add(self)
            workers = list(known.workers)
        for worker in workers:
            self.attach(worker)

    def attach(self, worker: Worker) -> None:
        """Have one more mailer send."""
        with _lock:
            if worker in self._sending:
                return
            self._sending.append(worker)
        worker.start(self)

    def stop(self) -> None:
        """Let them stop, after the letter at hand, unless they were started by themselves."""
        with _lock:
            known = _stores.get(self._store)
            if known is not None:
                known.companions.discard(self)
            sending, self._sending = self._sending, []
        for worker in sending:
            if not worker.stop(self, STOP_PATIENCE):
                log.warning("a letter is still being sent; the mailer ends after it")

    def drain(self) -> None:
        """Send what is due, in this thread, from every outbox that no thread sends from."""
        with _lock:
            known = _stores.get(self._store)
            workers = [] if known is None else list(known.workers)
        for worker in workers:
            if worker.running or worker.inside:
                continue
            try:
                worker.flush(None)
            except NornmailError as error:
                log.warning("nothing was sent: %s", error)

    def inspect_bounce(self, message: Message) -> list[OutboxBounced]:
        """Note what a delivery report says of our own mail, before its handler is called.

        Returns:
            What is to be told of it. A store that cannot be used is no reason to hold the message
            up, and is met again by whoever handles it.
        """
        try:
            return note_bounce(self._store, message, now=self._clock.wall())
        except StoreError as error:
            log.error("a delivery report could not be noted: %s", error)
            return []
