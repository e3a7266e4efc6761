"""The mailers of a store in this process, so that a poller with the same store runs their queues.

A mailer and a poller do not know each other; what they have in common is the store.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, WeakSet

from nornmail.clock import Clock
from nornmail.errors import NornmailError, StoreError
from nornmail.stores.protocol import StateStore

if TYPE_CHECKING:
    from nornmail.events import OutboxBounced
    from nornmail.message.message import Message
    from nornmail.outbox.worker import Worker

log = logging.getLogger("nornmail.outbox")


STOP_PATIENCE = 60.0
"""Seconds that a poller that ends waits for the message being sent. The thread finishes it all the
same; without a bound a hook of the mailer that stops the poller would wait for itself."""


class _Users:
    """The mailers and the running pollers of one store."""

    def __init__(self) -> None:
        self.workers: WeakSet[Worker] = WeakSet()
        self.pollers: WeakSet[StoreMailers] = WeakSet()


_lock = threading.RLock()
_stores: WeakKeyDictionary[StateStore, _Users] = WeakKeyDictionary()


def register(store: StateStore, worker: Worker) -> None:
    """Make a mailer known; running pollers of its store have it send from now on."""
    with _lock:
        users = _stores.setdefault(store, _Users())
        users.workers.add(worker)
        pollers = list(users.pollers)
    for mailers in pollers:
        mailers.attach(worker)


def forget(store: StateStore, worker: Worker) -> None:
    """Forget a mailer that was closed."""
    with _lock:
        users = _stores.get(store)
        if users is not None:
            users.workers.discard(worker)


class StoreMailers:
    """The mailers of a poller's store, which send while the poller runs."""

    def __init__(self, store: StateStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        # Strong references, so that a mailer that the program dropped is stopped too.
        self._sending: dict[Worker, None] = {}
        self._outboxes: list[str] | None = None

    @property
    def exist(self) -> bool:
        """Whether the store has a mailer in this process."""
        with _lock:
            users = _stores.get(self._store)
            return users is not None and bool(users.workers)

    def start(self) -> None:
        """Start the thread of every mailer of the store, and of those made later."""
        with _lock:
            users = _stores.setdefault(self._store, _Users())
            users.pollers.add(self)
            workers = list(users.workers)
        for worker in workers:
            self.attach(worker)

    def attach(self, worker: Worker) -> None:
        """Start the thread of one more mailer."""
        with _lock:
            if worker in self._sending:
                return
            self._sending[worker] = None
        worker.start(self)

    def stop(self) -> None:
        """Stop the mailers after their current messages, unless ``Mailer.start()`` was called."""
        with _lock:
            users = _stores.get(self._store)
            if users is not None:
                users.pollers.discard(self)
            sending, self._sending = self._sending, {}
        workers = list(sending)
        # Side by side: each may be in the middle of a message.
        others = [
            threading.Thread(target=self._stop, args=(worker,), daemon=True)
            for worker in workers[1:]
        ]
        for thread in others:
            thread.start()
        for worker in workers[:1]:
            self._stop(worker)
        for thread in others:
            thread.join()

    def _stop(self, worker: Worker) -> None:
        if not worker.stop(self, STOP_PATIENCE):
            log.warning("a message is still being sent; the mailer ends after it")

    def drain(self) -> None:
        """Send what is due, in this thread, from every outbox that no thread sends from."""
        with _lock:
            users = _stores.get(self._store)
            workers = [] if users is None else list(users.workers)
        for worker in workers:
            if worker.running or worker.inside:
                continue
            try:
                worker.flush(None)
            except NornmailError as error:
                log.warning("nothing was sent: %s", error)

    def expect_bounces(self) -> None:
        """Look for outboxes anew: what was received by now may be about their messages."""
        self._outboxes = None

    def inspect_bounce(self, message: Message) -> list[OutboxBounced]:
        """Note what a delivery report says about our own mail, before its handler is called.

        Returns:
            The events to emit. A store that cannot be used does not hold the message up: whoever
            handles it meets the error again.
        """
        try:
            if self._outboxes is None:
                self._outboxes = self._store.outboxes()
            if not self._outboxes:
                return []
            from nornmail.outbox.mailboxes import note_bounce

            return note_bounce(self._store, self._outboxes, message, now=self._clock.wall())
        except StoreError as error:
            log.error("a delivery report could not be recorded: %s", error)
            return []
