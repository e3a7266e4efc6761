"""One pass over a mailbox: connect, find what is new, hand it over, touch the mailbox.

A pass decides nothing and parses nothing. It holds the connection and the lease, and calls the
rooms in their order. When to make one is ``loop.py``'s business.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import closing

from nornmail.clock import utc_datetime
from nornmail.errors import ConnectionLost, MessageGone
from nornmail.events import Connected, EventEmitter, Found, TakenOver
from nornmail.imap.connection import Connection
from nornmail.message.message import Message, parse_message
from nornmail.model import MailboxKey, MessageRef
from nornmail.poller.actions import Actions
from nornmail.poller.backfill import Backfill
from nornmail.poller.delivery import Delivery
from nornmail.poller.discovery import Discovery
from nornmail.poller.fetch import Fetcher, MissingMessages
from nornmail.poller.ledger import Ledger
from nornmail.poller.status import Backlog, PollerState, PollStats, StatusTracker
from nornmail.poller.threads import ACTIVE_POLLERS
from nornmail.poller.uidvalidity import Epochs
from nornmail.settings.imap import ImapSettings
from nornmail.uidset import UidSet

log = logging.getLogger("nornmail.poller")

RECONNECTS = 2
"""Connections that one poll may lose without having got anywhere before it gives up."""

LOOKED_AT = 5
"""Messages that are looked at for one Message-ID, the newest first: copies of one message."""

Opener = Callable[[], Connection]


class PollCycle:
    """Everything that a poller asks of its server; one thread at a time.

    Args:
        settings: where the mailbox is.
        connect: makes a connection.
        ledger, epochs, missing, fetcher, actions, delivery, backfill: the rooms that do the work.
        backlog: told what is there and what was done of it.
        status, emit: where it is told what is being done.

    Attributes:
        connection: with the mailbox selected, ``None`` when there is none.
        standing_by: another poller had the mailbox when it was last asked for.
    """

    def __init__(
        self,
        settings: ImapSettings,
        connect: Opener,
        *,
        ledger: Ledger,
        epochs: Epochs,
        missing: MissingMessages,
        fetcher: Fetcher,
        actions: Actions,
        delivery: Delivery,
        backfill: Backfill,
        backlog: Backlog,
        status: StatusTracker,
        emit: EventEmitter,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._ledger = ledger
        self._epochs = epochs
        self._missing = missing
        self._fetcher = fetcher
        self._actions = actions
        self._delivery = delivery
        self._backfill = backfill
        self._backlog = backlog
        self._status = status
        self._emit = emit
        self.connection: Connection | None = None
        self.standing_by = False
        self._discovery: Discovery | None = None

    def make(self, stats: PollStats) -> None:
        """Work until nothing new is left."""
        self._backlog.did(0)  # what an outage of the handler left lying grows old meanwhile
        self.retry(stats)
        self._work(stats)

    def retry(self, stats: PollStats) -> None:
        """Try what is due, from its kept bytes: that needs no server."""
        self._hold()
        self._delivery.again(stats)

    def give_back(self) -> None:
        """Give back the connection and the lease. Harmless twice."""
        try:
            self.disconnect()
        finally:
            try:
                self._ledger.release()
            finally:
                ACTIVE_POLLERS.leave(self)

    def forget(self) -> None:
        """Let go of the connection, as of one that is another process's: nothing is sent."""
        connection, self.connection, self._discovery = self.connection, None, None
        if connection is not None:
            connection.forget()

    def disconnect(self) -> None:
        """Give back the connection, if there is one."""
        connection, self.connection, self._discovery = self.connection, None, None
        if connection is not None:
            connection.close()

    def _hold(self) -> None:
        """Have the lease; with a new one, settle what an earlier process left behind."""
        if self._ledger.held:
            return
        ACTIVE_POLLERS.enter(self._running_key(), self)
        self._ledger.take()
        if self.standing_by:
            log.warning("taking over %s", self._ledger.mailbox)
            self._emit(TakenOver(at=utc_datetime(self._ledger.clock.wall())))
        self.standing_by = False
        self._delivery.recover()

    def _work(self, stats: PollStats) -> None:
        """Pass over the mailbox; go on after a lost connection as long as there is progress."""
        lost = 0
        while True:
            self._reach()
            before = stats.progress
            try:
                self._pass(stats)
                return
            except ConnectionLost:
                self.disconnect()
                lost = 1 if stats.progress > before else lost + 1
                if lost > RECONNECTS:
                    raise
            except BaseException:
                self.disconnect()
                raise

    def _reach(self) -> None:
        """Have a connection with the mailbox selected and the ledger in its epoch."""
        if self._discovery is not None:
            if not self._discovery.stale():
                return
            self.disconnect()
        self._status.set(PollerState.CONNECTING)
        try:
            self.connection = self._connect()
            selected = self.connection.select(self._settings.mailbox)
            self._emit(
                Connected(
                    at=utc_datetime(self._ledger.clock.wall()),
                    mailbox=self._settings.mailbox,
                    exists=selected.exists,
                )
            )
            self._epochs.enter(self.connection, selected)
            self._discovery = Discovery(self.connection, self._ledger)
        except BaseException:
            self.disconnect()
            raise

    def _pass(self, stats: PollStats) -> None:
        """Everything that one connection has to be asked for, until nothing new is left."""
        connection, discovery = self.connection, self._discovery
        if connection is None or discovery is None:
            raise ConnectionLost("there is no connection")
        self._status.set(PollerState.POLLING)
        self._missing.rescue(connection, self._fetcher.fetch, stats)
        self._delivery.again(stats)
        self._actions.apply(connection)
        self._backfill.run(connection)
        while self._delivery.may_claim() and (uids := self._unhandled(discovery)):
            self._emit(Found(at=utc_datetime(self._ledger.clock.wall()), count=len(uids)))
            self._backlog.found(len(uids))
            for arrivals in self._fetcher.arrivals(connection, uids, stats):
                self._delivery.first(arrivals, stats)
                self._backlog.did(sum(one.uid in self._ledger.seen for one in arrivals))
                self._actions.apply(connection)
                if not self._delivery.may_claim():
                    break
        if self._delivery.may_claim():  # else mail is left that nobody has looked at
            self._backlog.found(0)
            if self._missing.all_had():
                # What an earlier epoch left open, and this one has not found by now, is not there.
                self._missing.forget_stranded(stats)
                self._actions.forget_stranded()
            self._ledger.note_poll(something_new=stats.progress > 0)
            self._status.polled_at = self._ledger.clock.wall()

    def _unhandled(self, discovery: Discovery) -> UidSet:
        """What nobody has looked at, and what an inbox has yet to be handed."""
        uids = self._ledger.left_over()
        uids.update(discovery.unseen())
        return uids

    def _running_key(self) -> tuple[str, int, MailboxKey]:
        return (self._settings.host, self._settings.port, self._ledger.mailbox)


def find_by_message_id(connect: Opener, mailbox: str, message_id: str) -> Message | None:
    """The headers of the newest message with a Message-ID; on a connection of its own."""
    with closing(connect()) as connection:
        connection.examine(mailbox)
        for uid in sorted(connection.find_message_id(message_id), reverse=True)[:LOOKED_AT]:
            body = connection.headers(UidSet.of([uid])).get(uid)
            if body is not None and body.raw:
                found = parse_message(body.raw, truncated=True)
                if found.message_id == message_id:  # a search finds what only contains it, too
                    return found
    return None


def fetch_rest(connect: Opener, ref: MessageRef) -> bytes:
    """The whole of a message of which only the headers were handed over.

    On a connection of its own: the handler may be in any thread, and the poller's own connection is
    in the middle of its work.
    """
    uids = UidSet.of([ref.uid])
    with closing(connect()) as connection:
        if connection.examine(ref.mailbox).uid_validity == ref.uid_validity:
            summary = connection.summaries(uids).get(ref.uid)
            if summary is not None:
                body = connection.bodies(uids, expected_octets=summary.size).get(ref.uid)
                if body is not None and body.raw:
                    return body.raw
    raise MessageGone(f"{ref} is no longer on the server")
