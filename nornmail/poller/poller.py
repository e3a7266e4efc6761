"""The poller as a program sees it: what it is made with, and what can be asked of it.

What a pass does is in ``poller/cycle.py``, what comes between two of them in ``poller/loop.py``,
and where that runs in ``poller/threads.py``.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

from nornmail.clock import Clock, SystemClock, system_random
from nornmail.errors import ConfigurationError
from nornmail.events import OnEvent
from nornmail.imap.connection import Connection
from nornmail.message.message import Message
from nornmail.model import Inbox, MailboxKey, State
from nornmail.outbox.registry import StoreMailers
from nornmail.poller.engine import Engine
from nornmail.poller.handler import Handler
from nornmail.poller.inboxes import Accept, Inboxes
from nornmail.poller.status import Status
from nornmail.retry import RetryPolicy
from nornmail.settings.env import read_environment
from nornmail.settings.imap import (
    ImapSettings,
    StartFrom,
    UidValidityPolicy,
    check_start_from,
    check_uidvalidity_policy,
)
from nornmail.stores import DEFAULT_STATE, open_store
from nornmail.stores.protocol import StateStore

MAX_MESSAGE_BYTES = 25 * 1024 * 1024
"""Octets above which a message is handed over with its headers alone: what the large providers
accept, and a bound on what one message takes in memory."""

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
        inboxes: the addresses that share the account, each with its own callback, or with
            ``on_message``. A message goes to every inbox that it is addressed to. There may be none
            yet: see :meth:`add_inbox`.
        on_unrouted: called with mail that is for no inbox, which is left as it is on the server;
            without it that is passed over.
        accept: a function of the message; what it returns false for is passed over and left as it
            is. It is asked before each attempt.
        start_from: what becomes of mail that is there at the first run; ``None`` takes it from
            ``imap``.
        on_uidvalidity_change: what a new UIDVALIDITY does; ``None`` takes it from ``imap``.
        retry: when a message whose handler failed is tried again.
        max_message_bytes: a larger message is handed over with its headers alone,
            ``truncated=True``.
        handler_timeout: seconds after which a call of ``on_message`` counts as failed. Calls are
            made in threads of their own then. A call that goes on keeps its message to itself, and
            counts if it succeeds after all. ``None`` sets no limit.
        idle: wait for new mail with IDLE where the server has it; the poll interval is then the
            longest wait between two looks, and new mail ends it.
        on_event: called with each :class:`~nornmail.events.Event`, in the thread that polls; it
            should return soon. What it raises is logged.
        account: the name under which the store keeps this account; by default ``username@host``.
        clock, rng, connect: time, jitter and the connector, for tests.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        imap: ImapSettings,
        *,
        store: StateStore,
        on_message: Handler | None = None,
        inboxes: Sequence[Inbox] | None = None,
        on_unrouted: Handler | None = None,
        accept: Accept | None = None,
        start_from: StartFrom = None,
        on_uidvalidity_change: UidValidityPolicy | None = None,
        retry: RetryPolicy | None = None,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
        handler_timeout: float | None = None,
        idle: bool = True,
        on_event: OnEvent | None = None,
        account: str | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        connect: Connector | None = None,
    ) -> None:
        if max_message_bytes < 1:
            raise ConfigurationError("max_message_bytes", max_message_bytes, "must be 1 or more")
        start_from = imap.start_from if start_from is None else start_from
        check_start_from(start_from)
        on_change = on_uidvalidity_change or imap.on_uidvalidity_change
        check_uidvalidity_policy(on_change)
        if handler_timeout is not None and not 0 < handler_timeout < math.inf:
            wanted = "must be a number of seconds above 0"
            raise ConfigurationError("handler_timeout", handler_timeout, wanted)
        if on_event is not None and not callable(on_event):
            raise ConfigurationError("on_event", on_event, "must be a function of an event")
        clock = clock or SystemClock()
        self._recipients = Inboxes(on_message, inboxes, on_unrouted, accept)
        self._engine = Engine(
            imap,
            store,
            self._recipients,
            start_from=start_from,
            on_change=on_change,
            retry=retry or RetryPolicy(),
            max_message_bytes=max_message_bytes,
            handler_timeout=handler_timeout,
            idle=idle,
            on_event=on_event,
            account=account or imap.account,
            clock=clock,
            rng=rng or system_random(),
            connect=partial(connect or partial(Connection.open, clock=clock), imap),
            mailers=StoreMailers(store, clock),
        )

    @classmethod
    def from_env(
        cls,
        on_message: Handler | None = None,
        *,
        env_file: str | os.PathLike[str] | None = None,
        **overrides: Any,
    ) -> Self:
        """A poller with the settings of the environment.

        They are those of :meth:`ImapSettings.from_env <nornmail.settings.ImapSettings.from_env>`,
        and NORNMAIL_STATE, the path of the store [nornmail.db]; a name that ends in ``.json`` is a
        JSON store. ``os.environ`` is not changed.

        Args:
            on_message: as the class has it.
            env_file: a ``.env`` file, for what the environment does not have; ``None`` reads none.
            overrides: other arguments of the class. A ``store`` is used as it is; one that is
                opened here is :attr:`store`, and whoever wants it closed closes it.

        Raises:
            ConfigurationError: a variable is missing or wrong, or the file is.
            StoreError: the store cannot be opened.
        """
        environ = read_environment(env_file)
        imap = overrides.pop("imap", None) or ImapSettings.from_env(environ)
        if on_message is not None:
            overrides["on_message"] = on_message
        if overrides.get("store") is not None:
            return cls(imap, **overrides)
        store = open_store(environ.get("NORNMAIL_STATE", "").strip() or DEFAULT_STATE)
        try:
            return cls(imap, **{**overrides, "store": store})
        except BaseException:
            store.close()
            raise

    @property
    def store(self) -> StateStore:
        """Where the poller writes down what became of each message."""
        return self._engine.ledger.store

    @property
    def settings(self) -> ImapSettings:
        """Where the mailbox is, and what happens to mail that was handled."""
        return self._engine.settings

    @property
    def mailbox(self) -> MailboxKey:
        """Under what the store keeps everything of this poller: the account and the mailbox."""
        return self._engine.ledger.mailbox

    @property
    def inboxes(self) -> tuple[Inbox, ...]:
        """The inboxes that share the account, as they were last added and removed."""
        return self._recipients.inboxes

    def poll_once(self) -> PollResult:
        """Work until nothing new is left.

        The connection and the lease are kept for the next call; :meth:`close` gives them back. A
        connection that was lost is made again as long as there is progress.

        Returns:
            What was done.

        Raises:
            ConnectionLost, CommandRefused, AuthenticationFailed, Throttled: of the server;
                nothing is lost, call it again (after its ``wait``, if it is Throttled).
            NornmailError: the poller is running, in whatever thread: use :meth:`sync`.
            LeaseHeld: another poller works on the mailbox.
            DecisionNeeded: the user must say what becomes of mail that is there already.
            StoreError: the store cannot be read or written; nothing is handed over.
        """
        stats, ledger = self._engine.once(), self._engine.ledger
        return PollResult(
            new=stats.new,
            handled=stats.handled,
            failed=stats.failed,
            passed_over=stats.passed_over,
            gone=stats.gone,
            waiting=ledger.count({State.WAITING}),
            dead=ledger.count({State.DEAD}),
        )

    def run_forever(self) -> None:
        """Poll until :meth:`stop` is called, at ``poll_interval``, whatever the server does.

        A connection that fails is made again with exponential backoff up to five minutes, and each
        other kind of trouble has a wait of its own (:class:`~nornmail.policy.ServerBackoff`). The
        connection and the lease are given back at the end.

        Raises:
            DecisionNeeded: at a first run that needs a decision.
            StoreError: the store cannot be read or written.
            HandlerError: ``on_message`` cannot be used as it is.
            ConfigurationError: a setting cannot be used, such as a CA file that is not there.
        """
        self._engine.refuse_after_fork()
        self._engine.life.run_here()

    def start(self) -> Self:
        """Poll in a thread of the poller's own, as :meth:`run_forever` does; returns at once.

        What would end :meth:`run_forever` ends the thread: it is logged, :meth:`status` says
        ``failed``, and :meth:`stop` raises it. The thread does not keep the program alive. After
        :meth:`stop` the poller can be started again.

        Raises:
            NornmailError: the poller is running already.
        """
        self._engine.refuse_after_fork()
        self._engine.life.start()
        return self

    async def run(self) -> None:
        """Poll until :meth:`stop`, with handlers that may be ``async``.

        The loop has a thread of its own, in which plain handlers are called as well; what a handler
        returns that can be awaited is awaited on this event loop. When this is cancelled, the
        handler that is being awaited is cancelled (its message waits, is due at once, and the
        attempt does not count), connection and lease are given back, and the cancellation goes on.
        A plain handler cannot be cancelled: it is waited for.

        Raises:
            NornmailError: the poller is running already; and all that :meth:`run_forever` raises.
        """
        self._engine.refuse_after_fork()
        await self._engine.life.run()

    def stop(self, timeout: float | None = None) -> bool:
        """End what is running, after the message it is at; from any thread.

        It waits for the thread that :meth:`start` made, and for no other: :meth:`run_forever` and
        :meth:`run` return by themselves soon after. From a handler it does not wait. When nothing
        is running, the next :meth:`run_forever` returns at once.

        Args:
            timeout: seconds to wait at most; ``None`` waits for as long as the message takes.

        Returns:
            Whether nothing is running any more. If not, it will end by itself; ask again.

        Raises:
            BaseException: what ended the thread before it was stopped, once.
        """
        return self._engine.stop(timeout)

    def sync(self, inbox: str | None = None) -> int:
        """Look for mail now, and wait until that is done.

        If the poller is running, its loop makes the pass; whoever asks before that has begun shares
        it. If not, it is made here. A wait after a failed connection is cut short for it; one that
        the server demanded, or that follows rejected credentials, is not.

        Args:
            inbox: the address of one inbox, whose mail alone is counted.

        Returns:
            How many new messages were handed over in this pass.

        Raises:
            HandlerError: a handler asked, which would wait for itself.
            ConfigurationError: there is no such inbox.
            AuthenticationFailed, Throttled: the server is being left alone because of this.
            NornmailError: what :meth:`poll_once` raises; or the poller was stopped meanwhile; or
                this is the event loop of :meth:`run`, which must not be blocked.
        """
        key = None if inbox is None else self._recipients.key_of(inbox)
        stats = self._engine.sync()
        return stats.new if key is None else stats.new_in[key]

    def find_by_message_id(self, message_id: str) -> Message | None:
        """The newest message of the mailbox with this Message-ID; its headers alone.

        It makes a connection of its own, from any thread.

        Args:
            message_id: with its angle brackets.

        Returns:
            The message, ``truncated``; ``None`` if none is there.

        Raises:
            ConnectionLost, CommandRefused, AuthenticationFailed, Throttled: of the server.
        """
        return self._engine.find_by_message_id(message_id)

    def status(self) -> Status:
        """What the poller is doing, since when and why; from any thread, without waiting for it."""
        return self._engine.status()

    def add_inbox(self, inbox: Inbox, *, backfill: bool = False) -> None:
        """Have another inbox from the next message on; from any thread.

        Args:
            inbox: which.
            backfill: it also gets the older mail that is addressed to it, not older than
                ``start_from``, as far as it is still in the mailbox. It is found at the next pass;
                until then ask again after a restart, which repeats nothing.

        Raises:
            ConfigurationError: there is an inbox with this address, or the poller has
                ``on_message``.
        """
        self._recipients.add(inbox, backfill=backfill)
        self._engine.wake()

    def remove_inbox(self, address: str) -> None:
        """Have an inbox no longer from the next message on; from any thread.

        What it had yet to be handed is dead, "inbox removed". Mail that comes is for the others.

        Raises:
            ConfigurationError: there is no inbox with this address.
        """
        self._recipients.remove(address)
        self._engine.wake()

    def close(self) -> None:
        """Stop, and give back the connection and the lease; the store stays open. Harmless twice.

        Raises:
            HandlerError: a handler asked.
            BaseException: what :meth:`stop` raises, once everything is given back.
        """
        self._engine.close()

    def __enter__(self) -> Self:
        """:meth:`start`."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """:meth:`close`."""
        self.close()
