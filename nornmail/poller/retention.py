"""The removal of what was settled long ago (rule 15), in small transactions between polls."""

from __future__ import annotations

import math

from nornmail.poller.ledger import Ledger

DAY = 86_400.0
OUTBOX_DAYS = 30.0
"""Days for which sent messages are kept at least: delivery reports come within a week, and the
longest limit on answers counts over a day."""
PAUSE_SECONDS = 3_600.0
"""Seconds between two looks that found nothing left to remove: each reads what is kept."""
BATCH = 1_000
"""Entries removed in one transaction: some 20 ms, which a handler's commit may have to wait for."""
BATCHES = 5
"""Transactions between two polls, so that a first run over a long history does not delay mail."""


class Retention:
    """Removes finished and passed-over entries, and sent messages, that are old.

    What waits, is dead, queued or unknown stays, and UIDs stay known.

    Args:
        ledger: of the mailbox.
        days: how long they are kept; 0 keeps all.
    """

    def __init__(self, ledger: Ledger, days: float) -> None:
        self._ledger = ledger
        self._days = days
        self._next = -math.inf

    def run(self) -> None:
        """Remove a part of what is old, if anything; what is left is for the next poll.

        Raises:
            LeaseLost, StoreError: as the ledger has it.
        """
        clock = self._ledger.clock
        if not self._days or clock.monotonic() < self._next:
            return
        store, now = self._ledger.store, clock.wall()
        for _ in range(BATCHES):
            removed = self._ledger.forget(now - self._days * DAY, BATCH)
            before = now - max(self._days, OUTBOX_DAYS) * DAY
            for outbox in store.outboxes():
                removed += store.forget_messages(outbox, before=before, limit=BATCH)
            if not removed:
                self._next = clock.monotonic() + PAUSE_SECONDS
                return
