"""One poll of a mailbox: connect, find what is new, deliver it, touch the mailbox.

A poll decides nothing and parses nothing. It holds the connection and the lease, and calls the
parts in their order. When to poll is ``loop.py``'s business.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from contextlib import closing
from itertools import islice
from typing import TYPE_CHECKING

from nornmail.clock import Clock
from nornmail.errors import (
    CommandRefused,
    ConnectionLost,
    DecisionRequired,
    LeaseHeld,
    NornmailError,
)
from nornmail.model import MailboxKey, State
from nornmail.poller.actions import Actions
from nornmail.poller.decisions import BATCH_MESSAGES, RECONCILE_INTERVAL
from nornmail.poller.delivery import Delivery
from nornmail.poller.discovery import Backfill, Discovery
from nornmail.poller.fetch import Fetcher
from nornmail.poller.ledger import Ledger
from nornmail.poller.shared import SharedConnection
from nornmail.poller.status import Backlog, PollerState, PollStats
from nornmail.poller.threads import ACTIVE_POLLERS
from nornmail.poller.uidvalidity import Epochs
from nornmail.settings.fields import SENT_DAYS
from nornmail.settings.imap import ImapSettings
from nornmail.uidset import UidSet

if TYPE_CHECKING:
    from nornmail.imap.connection import Connection
    from nornmail.imap.results import Counts
    from nornmail.message.message import Message
    from nornmail.net.tls import Abort

log = logging.getLogger("nornmail.poller")

RECONNECTS = 2
"""Connections that one poll may lose without having got anywhere before it gives up."""

LOOKED_AT = 5
"""Messages that are looked at for one Message-ID, the newest first: copies of one message."""

DAY = 86_400.0
RETENTION_PAUSE = 3_600.0
"""Seconds between two looks that found nothing left to remove: each reads what is kept."""
REMOVED_AT_ONCE = 1_000
"""Entries removed in one transaction: some 20 ms, which a handler's commit may have to wait for."""
REMOVALS = 5
"""Transactions between two polls, so that a first run over a long history does not delay mail."""

_REFUSALS = (CommandRefused, DecisionRequired)
"""Errors between two commands."""

Opener = Callable[[], "Connection"]


def open_connection(
    settings: ImapSettings, *, clock: Clock, abort: Abort | None = None
) -> Connection:
    """Connect and log in. The client is loaded here, at the first poll, and not with the poller."""
    from nornmail.imap.connection import Connection

    return Connection.open(settings, clock=clock, abort=abort)


class Retention:
    """Removes finished and passed-over entries, and sent messages, that are old.

    What waits, is dead, queued or unknown stays, and UIDs stay known.

    Args:
        days: how long they are kept; 0 keeps all.
    """

    def __init__(self, ledger: Ledger, days: float) -> None:
        self._ledger = ledger
        self._days = days
        self._next = -math.inf

    def run(self) -> None:
        """Remove a part of what is old, if anything; what is left is for the next poll."""
        clock = self._ledger.clock
        if not self._days or clock.monotonic() < self._next:
            return
        store, now = self._ledger.store, clock.wall()
        for _ in range(REMOVALS):
            removed = self._ledger.forget(now - self._days * DAY, REMOVED_AT_ONCE)
            before = now - max(self._days, SENT_DAYS) * DAY
            for outbox in store.outboxes():
                removed += store.forget_messages(outbox, before=before, limit=REMOVED_AT_ONCE)
            if not removed:
                self._next = clock.monotonic() + RETENTION_PAUSE
                return


class PollCycle:
    """Everything that a poller asks of its server; one thread at a time.

    Args:
        epochs, fetcher, actions, delivery, backfill: the parts that do the work.
        backlog: counts what was found and what was done of it.

    Attributes:
        connection: with the mailbox selected, ``None`` when there is none.
        standing_by: another poller had the mailbox when it was last asked for.
        polled_at: when a poll last succeeded, in seconds since 1970 UTC; 0.0 if never.
        shared: where the connection comes from, ``None`` for one of its own.
    """

    def __init__(
        self,
        settings: ImapSettings,
        connect: Opener,
        epochs: Epochs,
        fetcher: Fetcher,
        actions: Actions,
        delivery: Delivery,
        backfill: Backfill,
        backlog: Backlog,
        retention: Retention,
    ) -> None:
        self.settings = settings
        self._connect = connect
        self._epochs = epochs
        self._fetcher = fetcher
        self._actions = actions
        self._backfill = backfill
        self._retention = retention
        self.delivery = delivery
        self.backlog = backlog
        self.ledger = delivery.ledger
        self.context = delivery.ledger.context
        self.connection: Connection | None = None
        self.standing_by = False
        self.polled_at = 0.0
        self.shared: SharedConnection | None = None
        self._discovery: Discovery | None = None
        self._counts: Counts | None = None
        """The answer to STATUS before the last poll that left nothing."""
        self._selected_at = -math.inf

    def run(self, stats: PollStats, *, asked: bool = True) -> None:
        """Work until nothing new is left; reconnect as long as there is progress.

        Args:
            asked: a caller waits for the result of this poll.
        """
        self.backlog.processed(0)  # what an outage of the handler left lying grows old meanwhile
        self.retry_due(stats)
        counts = None
        if self.shared is not None and self.connection is None:
            counts = self.shared.counts(self.settings.mailbox, fresh=asked)
            if counts is not None and counts == self._counts and self._is_quiet():
                self._note_complete(stats)
                self._retention.run()
                return
        self._counts = None
        if self._run(stats):
            self._counts = counts

    def _is_quiet(self) -> bool:
        """Whether only the server could have work: else the mailbox is selected anyway."""
        open_entries = self.ledger.open
        return not (
            self.delivery.is_behind
            or self._backfill.is_wanted
            or open_entries.without_bytes
            or open_entries.keys(State.NEW, State.HANDLED)
            or self.context.clock.monotonic() >= self._selected_at + RECONCILE_INTERVAL
        )

    def _run(self, stats: PollStats) -> bool:
        """Poll; return whether nothing is left."""
        lost = 0
        while True:
            connection, discovery = self._select()
            before = stats.progress
            try:
                return self._poll(connection, discovery, stats)
            except ConnectionLost:
                self.disconnect()
                lost = 1 if stats.progress > before else lost + 1
                if lost > RECONNECTS:
                    raise
            except BaseException as error:
                self._drop(error)
                raise

    def retry_due(self, stats: PollStats) -> None:
        """Try what is due, from its kept bytes: that needs no server."""
        self.delivery.put_right()
        self._ensure_lease()
        self.delivery.retry_due(stats)

    def finish(self, stats: PollStats) -> None:
        """Settle the calls that have ended or come to their end, and touch the mailbox for them."""
        handled, busy = stats.handled, self.delivery.busy
        self.delivery.finish(stats)
        if (busy or stats.handled > handled) and self.connection is not None:
            try:
                self._actions.apply(self.connection)
            except NornmailError as error:
                log.warning("%s: kept for the next connection: %s", self.ledger.mailbox, error)

    def release(self) -> None:
        """Give back the connection and the lease, once no call is running. Harmless twice."""
        try:
            self.finish(PollStats())
        finally:
            self._give_back()

    def give_way(self) -> bool:
        """Give the mailbox back if another process should have it and no message is handled."""
        if self.delivery.busy or not self.ledger.is_wanted():
            return False
        self._give_back()
        return True

    def _give_back(self) -> None:
        try:
            self.disconnect()
        finally:
            try:
                self.ledger.release()
            finally:
                ACTIVE_POLLERS.leave(self)

    def detach(self) -> None:
        """Drop a connection that is another process's: nothing is sent."""
        connection, self.connection, self._discovery = self.connection, None, None
        if connection is not None:
            connection.detach()

    def let_go(self, connection: Connection) -> None:
        """Leave a shared connection to another mailbox of the account."""
        if self.connection is connection:
            self.connection, self._discovery = None, None

    def _drop(self, error: BaseException) -> None:
        """Have no connection after an error; one that is shared is as good as before a refusal."""
        if self.shared is None or self.connection is None or not isinstance(error, _REFUSALS):
            self.disconnect()
        else:
            self.let_go(self.connection)

    def disconnect(self) -> None:
        """Close the connection, if there is one."""
        connection, self.connection, self._discovery = self.connection, None, None
        if connection is not None:
            connection.close()

    def _ensure_lease(self) -> None:
        """Hold the lease, and settle what an earlier process or a fault left behind."""
        if not self.ledger.held:
            ACTIVE_POLLERS.enter(self._active_key(), self)
            mailbox = self.ledger.mailbox
            if self.standing_by and (holder := self.ledger.store.holder(mailbox)):
                raise LeaseHeld(f"{mailbox} is in use by {holder}", holder)
            self.ledger.take()
            # An epoch that another process began, or that could not be written, is entered anew.
            self.disconnect()
            if self.standing_by:
                log.warning("taking over %s", mailbox)
                from nornmail.events import TakenOver

                self.context.emit(TakenOver(at=self.context.now()))
            self.standing_by = False
        if not self.ledger.recovered or self.delivery.orphans():
            self.delivery.recover()

    def _select(self) -> tuple[Connection, Discovery]:
        """A connection with the mailbox selected and the ledger in its epoch."""
        if self.connection is not None and self._discovery is not None:
            if not self._discovery.stale():
                return self.connection, self._discovery
            self.disconnect()
        self.context.status.set(PollerState.CONNECTING)
        mailbox = self.settings.mailbox
        try:
            if self.shared is None:
                self.connection = self._connect()
            else:
                self.connection = self.shared.take(self.let_go)
            is_new = self.connection.selected is None
            selected = self.connection.select(mailbox)
            self._selected_at = self.context.clock.monotonic()
            if is_new:
                from nornmail.events import Connected

                self.context.emit(
                    Connected(at=self.context.now(), mailbox=mailbox, exists=selected.exists)
                )
            self._epochs.enter(self.connection, selected)
            self._discovery = Discovery(self.connection, self.ledger)
        except BaseException as error:
            self._drop(error)
            raise
        return self.connection, self._discovery

    def _poll(self, connection: Connection, discovery: Discovery, stats: PollStats) -> bool:
        """Ask one connection for everything; return whether nothing is left."""
        delivery, missing = self.delivery, self._fetcher.missing
        self.context.status.set(PollerState.POLLING)
        if missing.fetch_due(connection, self._fetcher.fetch, stats):
            delivery.retry_due(stats)
        self._actions.apply(connection)
        self._backfill.run(connection)
        complete = False
        while not complete and (room := delivery.room()):
            uids = self._undelivered(connection, discovery)
            complete = not uids
            if uids:
                from nornmail.events import Found

                self.context.emit(Found(at=self.context.now(), count=len(uids)))
                self.backlog.found(len(uids))
            if room < BATCH_MESSAGES:  # the workers have the rest of a window
                uids = UidSet.of(islice(uids, room))
            ahead = delivery.pool is None
            for batch in self._fetcher.batches(connection, uids, stats, ahead=ahead):
                delivery.deliver_new(batch, stats)
                self.backlog.processed(sum([m.uid in self.ledger.seen for m in batch]))
                batch.clear()  # the next one comes before the answer to what is asked now
                self._actions.apply(connection)
                if delivery.must_pause():
                    break
            if delivery.pool is not None:
                delivery.linger(stats)
                self._actions.apply(connection)
        complete = complete and not delivery.is_behind  # else mail is left that was not looked at
        if complete:
            self.backlog.found(0)
            if missing.none_left():
                # What an earlier epoch left open, and this one has not found by now, is not there.
                missing.forget_stranded(stats)
                self._actions.look_again(connection)
            self._note_complete(stats)
        self._retention.run()
        return complete

    def _note_complete(self, stats: PollStats) -> None:
        self.ledger.note_poll(something_new=stats.progress > 0)
        self.polled_at = self.ledger.clock.wall()

    def _undelivered(self, connection: Connection, discovery: Discovery) -> UidSet:
        """UIDs that were not looked at, or not delivered to all their inboxes."""
        unseen = discovery.unseen()
        in_hand = None if self.delivery.pool is None else self.delivery.in_hand()
        if in_hand:
            unseen = unseen - in_hand
        self._epochs.reconcile_restored(connection, unseen)
        uids = self.ledger.undelivered()
        uids.update(unseen - self.ledger.seen)
        return uids - in_hand if in_hand else uids

    def _active_key(self) -> tuple[str, int, MailboxKey]:
        return (self.settings.host, self.settings.port, self.ledger.mailbox)


def find_by_message_id(connect: Opener, mailbox: str, message_id: str) -> Message | None:
    """The headers of the newest message with a Message-ID; on a connection of its own."""
    from nornmail.message.message import parse_message

    with closing(connect()) as connection:
        connection.examine(mailbox)
        for uid in sorted(connection.find_message_id(message_id), reverse=True)[:LOOKED_AT]:
            body = connection.headers(UidSet.of([uid])).get(uid)
            if body is not None and body.raw:
                message = parse_message(body.raw, truncated=True)
                if message.message_id == message_id:  # a search finds what only contains it, too
                    return message
    return None
