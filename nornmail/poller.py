"""The loop: connect, find what is new, hand it over, touch the mailbox, wait.

The poller decides nothing and parses nothing. It holds the connection and the lease, and calls the
rooms in their order.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass

from nornmail.actions import Actions
from nornmail.clock import Clock, SystemClock, system_random
from nornmail.delivery import Delivery, Handler, Tally
from nornmail.discovery import Discovery
from nornmail.epochs import Epochs
from nornmail.errors import (
    AuthenticationFailed,
    CommandRefused,
    ConfigurationError,
    ConnectionLost,
    DecisionNeeded,
    LeaseHeld,
    LeaseLost,
    MessageGone,
)
from nornmail.exclusive import RUNNING, Turnstile
from nornmail.imap import Connection
from nornmail.intake import Intake
from nornmail.ledger import Ledger
from nornmail.model import MailboxKey, MessageRef, State
from nornmail.policy import (
    REJECTED_BACKOFF,
    RetryPolicy,
    backoff,
    until_due,
)
from nornmail.settings import (
    ImapSettings,
    StartFrom,
    UidValidityPolicy,
    check_start_from,
    check_uidvalidity_policy,
)
from nornmail.shortfall import Shortfall
from nornmail.stores import StateStore
from nornmail.uidset import UidSet

log = logging.getLogger("nornmail.poller")

MAX_MESSAGE_BYTES = 25 * 1024 * 1024
"""Octets above which a message is handed over with its headers alone: what the large providers
accept, and a bound on what one message takes in memory."""
RECONNECTS = 2
"""Connections that one poll may lose without having got anywhere before it gives up."""
UNDECIDED_INTERVAL = 300.0
"""Seconds between two looks while a new UIDVALIDITY waits for the user's decision."""
TAKEOVER_INTERVAL = 5.0
"""Seconds between two tries to take over from a poller that holds the mailbox."""

Connector = Callable[[ImapSettings], Connection]


@dataclass(frozen=True, slots=True)
class PollResult:
    """What one poll did.

    Attributes:
        new: messages handed over for the first time.
        handled: calls of the handler that returned, retries included.
        failed: attempts that did not: the handler raised, or the server did not give a message.
        passed_over: messages that were recognised or lie before ``start_from``.
        gone: messages that were expunged before they could be fetched.
        waiting: messages that wait for their next attempt, now.
        dead: messages that were given up, now.
    """

    new: int = 0
    handled: int = 0
    failed: int = 0
    passed_over: int = 0
    gone: int = 0
    waiting: int = 0
    dead: int = 0


class Poller:
    """Hands each message of a mailbox to a callback, once.

    Args:
        imap: where the mailbox is, and what happens to mail that was handled.
        store: where the poller writes down what became of each message.
        on_message: called with each :class:`~nornmail.message.Message`, in the thread that polls.
            When it returns the message is handled; when it raises, the message waits and is tried
            again (rule 3 of the delivery contract).
        start_from: what becomes of mail that is there at the first run; ``None`` takes it from
            ``imap``.
        on_uidvalidity_change: what a new UIDVALIDITY does; ``None`` takes it from ``imap``.
        retry: when a message whose handler failed is tried again.
        max_message_bytes: a larger message is handed over with its headers alone,
            ``truncated=True``.
        account: the name under which the store keeps this account; by default ``username@host``.
        clock, chance, connect: time, jitter and the connector, for tests.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        imap: ImapSettings,
        *,
        store: StateStore,
        on_message: Handler,
        start_from: StartFrom = None,
        on_uidvalidity_change: UidValidityPolicy | None = None,
        retry: RetryPolicy | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        account: str | None = None,
        clock: Clock | None = None,
        chance: random.Random | None = None,
        connect: Connector | None = None,
    ) -> None:
        if not callable(on_message):
            raise ConfigurationError("on_message", on_message, "must be a function of a message")
        if max_message_bytes < 1:
            raise ConfigurationError("max_message_bytes", max_message_bytes, "must be 1 or more")
        start_from = imap.start_from if start_from is None else start_from
        check_start_from(start_from)
        on_change = on_uidvalidity_change or imap.on_uidvalidity_change
        check_uidvalidity_policy(on_change)
        self._settings = imap
        self._clock = clock or SystemClock()
        self._chance = chance or system_random()
        self._connect = connect or (lambda settings: Connection.open(settings, clock=self._clock))
        self._retry = retry or RetryPolicy()
        self._key = MailboxKey(account or imap.account, imap.mailbox)
        self._ledger = Ledger(store, self._key, self._clock)
        self._epochs = Epochs(self._ledger, start_from, on_change)
        self._shortfall = Shortfall(self._ledger, self._retry, on_change)
        self._intake = Intake(self._shortfall, max_message_bytes)
        self._actions = Actions(self._ledger, imap, lambda: self._connect(imap))
        self._stopped = threading.Event()
        self._delivery = Delivery(
            self._ledger,
            on_message,
            self._retry,
            self._fetch_rest,
            on_change,
            stopped=self._stopped.is_set,
        )
        self._connection: Connection | None = None
        self._discovery: Discovery | None = None
        self._working = Turnstile()
        self._failures = 0
        self._server_at = 0.0
        self._standing_by = False

    def poll_once(self) -> PollResult:
        """Work until nothing new is left.

        The connection and the lease are kept for the next call; :meth:`close` gives them back. A
        connection that was lost is made again as long as there is progress.

        Returns:
            What was done.

        Raises:
            ConnectionLost, CommandRefused, AuthenticationFailed: of the server; nothing is lost,
                call it again.
            LeaseHeld: another poller works on the mailbox.
            DecisionNeeded: the user must say what becomes of mail that is there already.
            StoreError: the store cannot be read or written; nothing is handed over.
        """
        tally = Tally()
        with self._working:
            self._hold()
            self._delivery.again(tally)
            self._work(tally)
            return PollResult(
                **asdict(tally),
                waiting=self._ledger.count({State.WAITING}),
                dead=self._ledger.count({State.DEAD}),
            )

    def run_forever(self) -> None:
        """Poll until :meth:`stop` is called, at ``poll_interval``, whatever the server does.

        A connection that fails is made again with exponential backoff up to five minutes. The
        connection and the lease are given back at the end.

        Raises:
            DecisionNeeded: at a first run that needs a decision.
            StoreError: the store cannot be read or written.
            HandlerError: ``on_message`` cannot be used as it is.
            ConfigurationError: a setting cannot be used, such as a CA file that is not there.
        """
        settings = self._settings
        log.info(
            "IMAP poller starting: %s:%d/%s (interval=%gs)",
            settings.host,
            settings.port,
            settings.mailbox,
            settings.poll_interval,
        )
        try:
            while not self._stopped.is_set():
                self._clock.wait(self._stopped, self._turn())
        finally:
            self.close()

    def stop(self) -> None:
        """Make :meth:`run_forever` return after the message it is at; from any thread."""
        self._stopped.set()

    def close(self) -> None:
        """Give back the connection and the lease; the store stays open. Harmless twice."""
        with self._working:
            try:
                self._disconnect()
            finally:
                self._ledger.release()
                RUNNING.leave(self)

    def _turn(self) -> float:
        """Poll once and return the seconds to wait; what the server does wrong is survived."""
        try:
            if self._left_alone() > 0:
                self._retry_alone()
                return self._until_retry(self._left_alone())
            self.poll_once()
        except LeaseHeld as held:
            if not self._standing_by:
                log.warning("%s; waiting to take over", held)
            self._standing_by = True
            return TAKEOVER_INTERVAL
        except LeaseLost as lost:
            log.warning("%s", lost)
            return TAKEOVER_INTERVAL
        except AuthenticationFailed as failed:
            log.error("%s; tried again in %.0f s", failed, REJECTED_BACKOFF)
            return self._leave_alone(REJECTED_BACKOFF)
        except (ConnectionLost, CommandRefused) as trouble:
            self._failures += 1
            wait = backoff(self._failures, self._chance)
            log.warning("%s; tried again in %.1f s", trouble, wait)
            return self._leave_alone(wait)
        except DecisionNeeded as needed:
            if self._ledger.record is None:
                raise
            log.error("%s", needed)
            return self._leave_alone(UNDECIDED_INTERVAL)
        self._failures = 0
        return self._until_retry(self._settings.poll_interval)

    def _leave_alone(self, seconds: float) -> float:
        """Ask nothing of the server for that long; return the seconds until there is work."""
        self._server_at = self._clock.monotonic() + seconds
        return self._until_retry(seconds)

    def _left_alone(self) -> float:
        """Seconds for which the server is still to be left alone, 0.0 or less if it is not."""
        return self._server_at - self._clock.monotonic()

    def _retry_alone(self) -> None:
        """Try what is due, from its kept bytes: that needs no server."""
        with self._working:
            self._hold()
            self._delivery.again(Tally())

    def _hold(self) -> None:
        """Have the lease; with a new one, settle what an earlier process left behind."""
        if self._ledger.held:
            return
        RUNNING.enter(self._running_key(), self)
        self._ledger.take()
        if self._standing_by:
            log.warning("taking over %s", self._key)
        self._standing_by = False
        self._delivery.recover()

    def _work(self, tally: Tally) -> None:
        """Pass over the mailbox; go on after a lost connection as long as there is progress."""
        lost = 0
        while True:
            self._reach()
            before = tally.progress
            try:
                self._pass(tally)
                return
            except ConnectionLost:
                self._disconnect()
                lost = 1 if tally.progress > before else lost + 1
                if lost > RECONNECTS:
                    raise
            except BaseException:
                self._disconnect()
                raise

    def _reach(self) -> None:
        """Have a connection with the mailbox selected and the ledger in its epoch."""
        if self._discovery is not None:
            if not self._discovery.stale():
                return
            self._disconnect()
        try:
            self._connection = self._connect(self._settings)
            selected = self._connection.select(self._settings.mailbox)
            self._epochs.enter(self._connection, selected)
            self._discovery = Discovery(self._connection, self._ledger)
        except BaseException:
            self._disconnect()
            raise

    def _pass(self, tally: Tally) -> None:
        """Everything that one connection has to be asked for, until nothing new is left."""
        connection, discovery = self._connection, self._discovery
        if connection is None or discovery is None:
            raise ConnectionLost("there is no connection")
        self._shortfall.rescue(connection, self._intake.fetch, tally)
        self._delivery.again(tally)
        self._actions.apply(connection)
        while self._delivery.may_claim() and (uids := discovery.unseen()):
            for arrivals in self._intake.arrivals(connection, uids, tally):
                self._delivery.first(arrivals, tally)
                self._actions.apply(connection)
                if not self._delivery.may_claim():
                    break
        if self._delivery.may_claim():  # else mail is left that nobody has looked at
            if self._shortfall.all_had():
                # What an earlier epoch left open, and this one has not found by now, is not there.
                self._shortfall.forget_stranded(tally)
                self._actions.forget_stranded()
            self._ledger.note_poll(something_new=tally.progress > 0)

    def _disconnect(self) -> None:
        connection, self._connection, self._discovery = self._connection, None, None
        if connection is not None:
            connection.close()

    def _fetch_rest(self, ref: MessageRef) -> bytes:
        """The whole of a message of which only the headers were handed over.

        On a connection of its own: the handler may be in any thread, and the poller's own
        connection is in the middle of its work.
        """
        uids = UidSet.of([ref.uid])
        with closing(self._connect(self._settings)) as connection:
            if connection.examine(ref.mailbox).uid_validity == ref.uid_validity:
                summary = connection.summaries(uids).get(ref.uid)
                if summary is not None:
                    body = connection.bodies(uids, expected_octets=summary.size).get(ref.uid)
                    if body is not None and body.raw:
                        return body.raw
        raise MessageGone(f"{ref} is no longer on the server")

    def _until_retry(self, wait: float) -> float:
        """``wait``, or less when a message is due before that. What is due now had its turn."""
        if self._delivery.health.failing():
            waits = [self._delivery.health.until_probe(self._clock.monotonic())]
        else:
            now, longest = self._clock.wall(), self._retry.longest
            waiting = self._ledger.entries(State.WAITING)
            waits = [until_due(entry, now, longest) for entry in waiting]
        return min([wait, *(seconds for seconds in waits if seconds > 0)])

    def _running_key(self) -> tuple[str, int, MailboxKey]:
        return (self._settings.host, self._settings.port, self._key)
