"""The mailer: sends messages and replies, and reports what became of them."""

from __future__ import annotations

import logging
import os
import random
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any, Literal, Self, TypedDict, Unpack

from nornmail import context
from nornmail.clock import Clock, StatusTracker, SystemClock, system_random
from nornmail.compose.addresses import (
    AddressesLike,
    AddressLike,
    own_addresses_of,
    sender_of,
    to_address,
    to_addresses,
)
from nornmail.compose.attachments import AttachmentSource, read_attachments
from nornmail.compose.compose import Draft
from nornmail.compose.policy import MAX_REPLY_AGE, AllowedRecipients, AnswerLimits, SendingPolicy
from nornmail.compose.reply import forward_draft, reply_draft
from nornmail.errors import ConfigurationError, LeaseHeld, NornmailError
from nornmail.events import EventEmitter, OnEvent, OutboxBounced
from nornmail.message.message import Message
from nornmail.net.tls import Abort
from nornmail.outbox import registry
from nornmail.outbox.enqueue import Approval, Enqueuer
from nornmail.outbox.mailboxes import Drafts, SentMail, note_bounce
from nornmail.outbox.queue_runner import QueueRunner
from nornmail.outbox.status import (
    STUCK,
    BeforeSend,
    MailerState,
    MailerStatus,
    OutboxContext,
    OutgoingMessage,
    SendResult,
    result_of,
)
from nornmail.outbox.transitions import SendLimits
from nornmail.outbox.worker import Worker, in_thread
from nornmail.outgoing import OperatorRequest, QueueState
from nornmail.settings.fields import check_functions, check_retention, check_type, read_environment
from nornmail.settings.smtp import SmtpSettings
from nornmail.smtp.session import CachedSession, OpenSession, Session
from nornmail.stores.protocol import StateStore
from nornmail.stores.sqlite import MemoryStateStore

log = logging.getLogger("nornmail.outbox")

HeaderFields = Mapping[str, str] | Sequence[tuple[str, str]]

WAIT_STEP = 0.05
"""Seconds between two reads of :meth:`Mailer.wait`: another process may be the one that sends."""


class MailerArguments(TypedDict, total=False):
    """The arguments of `Mailer` by name, for :meth:`Mailer.from_env`."""

    sender: AddressLike | None
    own_addresses: Iterable[str]
    render_html: Callable[[str], str] | None
    sent_mailbox: SentMail | None
    before_send: BeforeSend | None
    approval: Approval | Callable[[OutgoingMessage], Approval]
    dry_run: bool
    receive_only: bool
    send_limits: SendLimits | None
    answer_limits: AnswerLimits | None
    max_reply_age: timedelta | None
    allowed_recipients: Iterable[str] | None
    account: str | None
    retention: float | None
    on_event: OnEvent | None
    clock: Clock | None
    rng: random.Random | None
    open_session: OpenSession | None


class Mailer:
    """Sends messages and replies.

    With a store a message is durable when :meth:`send` returns, and is sent once: by the thread of
    :meth:`start`, by a running poller with the same store or its ``poll_once()``, or by
    :meth:`flush`. Without a store it is sent at once, in the caller's thread, or raises.

    Args:
        settings: the submission server and the login.
        store: keeps outgoing mail; ``None`` keeps none.
        sender: the From address; by default that of the settings, or their username if it is an
            address.
        own_addresses: further addresses of ours; mail from them is never answered.
        render_html: a function that makes HTML of the text, where no HTML is given.
        sent_mailbox: saves copies of sent mail, and drafts, such as a
            :class:`~nornmail.imap.sent_mailbox.SentMailbox`.
        approval: ``"queue"`` holds every message until a person approves it
            (:meth:`~nornmail.outbox.admin.Outbox.approve`), ``"draft"`` saves it in the mailbox of
            drafts for a person to send, and a function of an
            :class:`~nornmail.outbox.status.OutgoingMessage` returns one of these, or ``None``
            for a message that goes out at once. It needs a store.
        before_send: called with the same before each attempt: True sends it, False (or
            ``raise Reject(why)``) makes it failed, and ``raise Defer(seconds)`` asks again later.
            Any other exception is a failed attempt.
        dry_run: compose and check, and neither keep nor send anything.
        receive_only: every attempt to send raises :class:`~nornmail.errors.SendingDisabled`.
        send_limits: how many messages go out per minute and hour; those above wait.
        answer_limits: how many replies a correspondent, and a thread, gets per hour and day.
        max_reply_age: mail received longer ago is not answered; ``None`` means no limit.
        allowed_recipients: addresses, and domains as ``@example.com``, that mail may go to, and
            ``"correspondents"`` for whoever wrote with a verified sender, as long as the store
            keeps the entry of the message, or is in the thread;
            others raise :class:`~nornmail.errors.RecipientNotAllowed`. An empty list refuses all;
            ``None`` takes those of the settings, else allows all.
        account: the outbox's name in the store; by default ``username@host``.
        retention: days after which messages that were sent, or given up by hand, are removed from
            the store, 30 at least; 0 keeps all, ``None`` takes the days of the settings.
        on_event: called with each :class:`~nornmail.events.OutboxEvent`, in the thread that sends;
            it should return soon. What it raises is logged.
        clock, rng, open_session: time, jitter and the connection, for tests.

    Raises:
        ConfigurationError: an argument is wrong.
    """

    def __init__(
        self,
        settings: SmtpSettings,
        store: StateStore | None = None,
        *,
        sender: AddressLike | None = None,
        own_addresses: Iterable[str] = (),
        render_html: Callable[[str], str] | None = None,
        sent_mailbox: SentMail | None = None,
        before_send: BeforeSend | None = None,
        approval: Approval | Callable[[OutgoingMessage], Approval] = None,
        dry_run: bool = False,
        receive_only: bool = False,
        send_limits: SendLimits | None = None,
        answer_limits: AnswerLimits | None = None,
        max_reply_age: timedelta | None = MAX_REPLY_AGE,
        allowed_recipients: Iterable[str] | None = None,
        account: str | None = None,
        retention: float | None = None,
        on_event: OnEvent | None = None,
        clock: Clock | None = None,
        rng: random.Random | None = None,
        open_session: OpenSession | None = None,
    ) -> None:
        is_settings, is_store = isinstance(settings, SmtpSettings), hasattr(store, "acquire")
        check_type("settings", settings, is_settings, "SmtpSettings(host=..., ...)")
        allowed = 'a store, such as open_store("nornmail.db"), or None'
        check_type("store", store, store is None or is_store, allowed)
        check_functions(render_html=render_html, before_send=before_send, on_event=on_event)
        retention = settings.retention if retention is None else retention
        check_retention(retention)
        self._clock = clock or SystemClock()
        self._sender = sender_of(settings) if sender is None else to_address(sender, "sender")
        self._own = own_addresses_of(settings, self._sender, own_addresses)
        self._render_html = render_html
        self._silent = dry_run or receive_only
        self.outbox = account or f"{settings.username or self._sender.address}@{settings.host}"
        self._process = os.getpid()
        self._emit = EventEmitter(on_event)
        self._status = StatusTracker(self._clock, MailerState.STOPPED)
        self._kept = store
        self._store = MemoryStateStore() if store is None else store
        # Where it has one, a copy of sent mail that hangs is aborted as well.
        abort, copies = Abort(), getattr(sent_mailbox, "abort", None)
        if open_session is None:
            open_session = partial(Session.open, settings, clock=self._clock, abort=abort)
        outbox = OutboxContext(
            self._store, self.outbox, self._clock, rng or system_random(), self._emit, self._status
        )
        runner = QueueRunner(
            outbox,
            CachedSession(open_session, self._clock),
            limits=SendLimits.of(settings, send_limits),
            before_send=before_send,
            sent=sent_mailbox,
            retries=store is not None,
            retention=retention,
        )
        aborts = [abort, copies] if isinstance(copies, Abort) else [abort]
        self._worker = Worker(runner, aborts)
        recipients = AllowedRecipients.of(settings, allowed_recipients)
        self._enqueuer = Enqueuer(
            outbox,
            worker=self._worker,
            keeps=store is not None,
            dry_run=dry_run,
            receive_only=receive_only,
            policy=SendingPolicy(answer_limits, max_reply_age, recipients),
            approval=approval,
            has_drafts=isinstance(sent_mailbox, Drafts),
        )
        if self._drains():
            registry.register(self._store, self._worker)

    @classmethod
    def from_env(
        cls,
        store: StateStore | None = None,
        *,
        env_file: str | os.PathLike[str] | None = None,
        **overrides: Unpack[MailerArguments],
    ) -> Self:
        """A mailer with the settings of the environment (``SMTP_HOST`` and so on).

        Args:
            store: as the class has it.
            env_file: a ``.env`` file, for what the environment does not have; ``None`` reads none.
            overrides: other arguments of the class.

        Raises:
            ConfigurationError: a variable is missing or wrong, or the file is.
        """
        return cls(SmtpSettings.from_env(read_environment(env_file)), store, **overrides)

    # Sending.

    def send(
        self,
        to: AddressesLike,
        subject: str,
        text: str | None = None,
        html: str | None = None,
        *,
        cc: AddressesLike = None,
        bcc: AddressesLike = None,
        reply_to: AddressesLike = None,
        attachments: Iterable[AttachmentSource] = (),
        headers: HeaderFields = (),
        from_: AddressLike | None = None,
        in_reply_to: str = "",
        references: Sequence[str] = (),
        key: str | None = None,
        handling: Message | None = None,
    ) -> SendResult:
        """Send a message, once per key.

        Args:
            to, cc, bcc, reply_to: one or several addresses: ``"Ann <ann@example.com>"``.
            subject: on one line.
            text, html: the body; either may be left out.
            attachments: paths, ``(name, octets)``, or attachments of either kind.
            headers: further fields.
            from_: instead of the mailer's sender.
            in_reply_to, references: the Message-IDs of the message it answers, and of the thread.
            key: identifies it: a second send with the same key sends nothing. In a handler the
                default is the message's ``delivery_id``, and a key counts within that message.
                Elsewhere, without one, each call sends a message of its own.
            handling: the message that a handler has, for a call from a thread that the handler
                started itself: the key counts as it does in the handler.

        Returns:
            Its result so far; with a store mostly ``queued``, or ``held`` or ``draft`` where a
            person decides. Where a message with this key exists,
            that one's result, and nothing is sent.

        Raises:
            ComposeError: the message cannot be composed.
            ConfigurationError: a second message without a key in one handler.
            SendingDisabled: this mailer does not send.
            SendFailed, SendUnknown: without a store: no recipient got it, or that is not known.
            StoreError: it could not be stored; it is not sent.
        """
        return self._enqueuer.enqueue(
            key,
            lambda: Draft(
                sender=self._sender if from_ is None else from_,
                to=to,
                cc=cc,
                bcc=bcc,
                reply_to=reply_to,
                subject=subject,
                text=text,
                html=self._html(text, html),
                attachments=read_attachments(attachments),
                headers=headers,
                in_reply_to=in_reply_to,
                references=references,
            ),
            handling=handling,
        )

    def reply(
        self,
        message: Message,
        text: str | None,
        html: str | None = None,
        *,
        to: Literal["reply-to", "author"] = "reply-to",
        reply_all: bool = False,
        quote: bool = False,
        attachments: Iterable[AttachmentSource] = (),
        headers: HeaderFields = (),
        from_: AddressLike | None = None,
        allow: Collection[str] = (),
        approved: bool = False,
        key: str | None = None,
        handling: Message | None = None,
    ) -> SendResult:
        """Reply to a message, in its thread, once per key.

        Args:
            message: to answer.
            text, html: the body.
            to: ``"author"`` answers From, whatever Reply-To says.
            reply_all: also to everyone else that the message went to.
            quote: with the message's text below.
            attachments, headers: as in :meth:`send`.
            from_: the From address; by default the inbox that the message came to, where there are
                inboxes, else the mailer's sender.
            allow: names of refusals (:data:`nornmail.compose.policy.REFUSALS`) that are lifted.
            approved: a person has read it: it is not marked as automatic (RFC 3834).
            key, handling: as in :meth:`send`; outside of a handler the default key is the message's
                ``delivery_id``.

        Returns:
            Its result so far, as of :meth:`send`.

        Raises:
            ReplyRefused: a program must not answer this message; nothing was sent or kept.
            NornmailError: as :meth:`send`.
        """
        answered: object = message
        if not isinstance(answered, Message):
            kind = type(answered).__name__
            raise TypeError(f"reply() takes the Message that is answered, not {kind}: use send()")
        return self._answer(
            message,
            text,
            html,
            to=to,
            reply_all=reply_all,
            quote=quote,
            attachments=attachments,
            headers=headers,
            from_=from_,
            allow=allow,
            approved=approved,
            key=key,
            handling=handling,
        )

    def draft(
        self,
        message: Message,
        text: str | None,
        html: str | None = None,
        *,
        to: Literal["reply-to", "author"] = "reply-to",
        reply_all: bool = False,
        quote: bool = False,
        attachments: Iterable[AttachmentSource] = (),
        headers: HeaderFields = (),
        from_: AddressLike | None = None,
        allow: Collection[str] = (),
        key: str | None = None,
        handling: Message | None = None,
    ) -> SendResult:
        """Save a reply in the mailbox of drafts, once per key, for a person to edit and send.

        The arguments are those of :meth:`reply`. It is saved when the queue is run. When a person
        has sent it, it counts as sent; when a person has deleted it, it has failed.

        Returns:
            Its result so far: mostly ``draft``.

        Raises:
            ReplyRefused: a program must not answer this message; nothing was kept.
            ConfigurationError: there is no store, or no mailbox of drafts.
            NornmailError: as :meth:`send`.
        """
        return self._answer(
            message,
            text,
            html,
            to=to,
            reply_all=reply_all,
            quote=quote,
            attachments=attachments,
            headers=headers,
            from_=from_,
            allow=allow,
            approved=True,
            key=key,
            handling=handling,
            approval="draft",
        )

    def _answer(
        self,
        message: Message,
        text: str | None,
        html: str | None,
        *,
        to: Literal["reply-to", "author"],
        allow: Collection[str],
        from_: AddressLike | None,
        attachments: Iterable[AttachmentSource],
        key: str | None,
        handling: Message | None,
        approval: Approval = None,
        **options: Any,
    ) -> SendResult:
        if to not in ("reply-to", "author"):
            raise ConfigurationError("to", to, 'must be "reply-to" or "author"')
        own = self._own_addresses(message)

        def draft() -> Draft:
            self._enqueuer.refuse_loops(message, own, allow, to_author=to == "author")
            return reply_draft(
                message,
                text,
                self._html(text, html),
                sender=from_ or message.inbox or self._sender,
                own=own,
                to_author=to == "author",
                attachments=read_attachments(attachments),
                **options,
            )

        return self._enqueuer.enqueue(
            key, draft, answers=message, handling=handling, approval=approval
        )

    def forward(
        self,
        message: Message,
        to: AddressesLike,
        text: str | None = None,
        html: str | None = None,
        *,
        cc: AddressesLike = None,
        bcc: AddressesLike = None,
        attachments: Iterable[AttachmentSource] = (),
        headers: HeaderFields = (),
        from_: AddressLike | None = None,
        allow: Collection[str] = (),
        approved: bool = False,
        key: str | None = None,
        handling: Message | None = None,
    ) -> SendResult:
        """Forward a message as an attachment (``message/rfc822``), once per key.

        Args:
            message: to forward, whole; what is left of a truncated one is fetched.
            to, cc, bcc: one or several addresses.
            text, html: the body; either may be left out.
            attachments, headers: as in :meth:`send`.
            from_, allow, approved: as in :meth:`reply`.
            key, handling: as in :meth:`send`; outside of a handler the default key is the message's
                ``delivery_id`` with ``/forward``.

        Returns:
            Its result so far, as of :meth:`send`.

        Raises:
            ReplyRefused: it may come from a loop: it is an automatic reply, a report or a
                notification, we sent it, it would go to ourselves alone, or too many went there.
            NornmailError: as :meth:`send`.
        """
        own = self._own_addresses(message)

        def draft() -> Draft:
            to_all = [*to_addresses(to, "to"), *to_addresses(cc, "cc"), *to_addresses(bcc, "bcc")]
            self._enqueuer.refuse_loops(message, own, allow, recipients=to_all)
            return forward_draft(
                message.fetch_rest() if message.truncated else message,
                text,
                self._html(text, html),
                sender=from_ or message.inbox or self._sender,
                to=to,
                cc=cc,
                bcc=bcc,
                attachments=read_attachments(attachments),
                headers=headers,
                approved=approved,
            )

        if key is None and handling is None and context.current() is None and message.delivery_id:
            key = f"{message.delivery_id}/forward"
        return self._enqueuer.enqueue(key, draft, answers=message, handling=handling)

    asend = in_thread(send)
    areply = in_thread(reply)
    aforward = in_thread(forward)
    adraft = in_thread(draft)

    # What became of messages that were sent before.

    def result(self, key: str) -> SendResult | None:
        """The result of the message with this key, ``None`` if there is none."""
        message = self._store.queued_message(self.outbox, key)
        if message is None:
            return None
        result = result_of(message)
        if result.state is QueueState.QUEUED and not result.reason:
            return replace(result, reason=self._status.reason)
        return result

    def wait(self, key: str, timeout: float) -> SendResult:
        """Wait until a message is sent, failed or unknown, or nothing goes out for now.

        Args:
            key: of a message that was given to :meth:`send`.
            timeout: seconds to wait at most.

        Returns:
            Its result: still ``queued`` where the time is up, it was deferred, or the server keeps
            this mailer waiting (rejected credentials, throttling).

        Raises:
            ConfigurationError: there is no such message.
        """
        until = self._clock.monotonic() + timeout
        while True:
            result = self.result(key)
            if result is None:
                raise ConfigurationError("key", key, "no message has this key")
            is_open = result.state in (QueueState.QUEUED, QueueState.SENDING)
            left = until - self._clock.monotonic()
            if not is_open or left <= 0 or self._status.state in STUCK:
                return result
            self._clock.wait(threading.Event(), min(left, WAIT_STEP))

    def resolve(self, key: str, *, sent: bool) -> None:
        """Say of an unknown message whether it was sent; if not, it is tried again.

        Durable on return. It is applied at once if no other process sends from this outbox, else at
        that one's next run.

        Raises:
            ConfigurationError: there is no such message, or it is not unknown.
        """
        self._enqueuer.refuse_after_fork()
        message = self._store.queued_message(self.outbox, key)
        if message is None or message.state is not QueueState.UNKNOWN:
            why = "no message has this key" if message is None else f"it is {message.state}"
            raise ConfigurationError("key", key, f"only an unknown message can be resolved: {why}")
        self._store.request(
            self.outbox, key, OperatorRequest.SENT if sent else OperatorRequest.RETRY
        )
        self._worker.wake()
        if self._drains() and not (self._worker.running or self._worker.inside):
            with suppress(LeaseHeld):
                self._worker.apply_requests()

    def note_bounce(self, message: Message) -> list[OutboxBounced]:
        """Record what a delivery report says about sent mail; a poller of the store does it itself.

        Returns:
            One event for each recipient of which it is news; ``on_event`` is called with them.
        """
        outboxes = self._store.outboxes()
        events = note_bounce(self._store, outboxes, message, now=self._clock.wall())
        for event in events:
            self._emit(event)
        return events

    @property
    def last_error(self) -> NornmailError | None:
        """The error of the last attempt to reach the server; ``None`` if it succeeded."""
        return self._worker.runner.last_error

    def status(self) -> MailerStatus:
        """The mailer's state, since when and why, and what waits; from any thread.

        Raises:
            StoreError: the store cannot be read.
        """
        count = partial(self._store.count_messages, self.outbox)
        failed = self._store.queued_messages(self.outbox, {QueueState.FAILED})
        return MailerStatus(
            **self._status.read(),
            queued=count({QueueState.QUEUED, QueueState.SENDING}),
            unknown=count({QueueState.UNKNOWN}),
            failed=sum(not message.dropped for message in failed),
            copy_error=self._worker.runner.copy_error,
        )

    # Running the queue.

    def start(self) -> Self:
        """Send in a thread of the mailer's own, until :meth:`stop`; returns at once.

        With a running poller of the same store that is not needed. The thread does not keep the
        program alive; a program that ends waits some seconds for the message being sent. Without a
        store there is nothing to do.
        """
        if self._drains():
            self._enqueuer.refuse_after_fork()
            self._worker.start(self)
        return self

    def stop(self, timeout: float | None = None) -> bool:
        """End the thread of :meth:`start` after its current message; the others stay queued.

        While a poller of the same store runs, the thread continues for that one.

        Args:
            timeout: seconds to wait at most; ``None`` for as long as the message takes.

        Returns:
            Whether it has ended. If not, it will by itself.
        """
        return self._worker.stop(self, timeout)

    def flush(self, timeout: float | None = None, *, only: str | None = None) -> bool:
        """Send what is due now, in this thread.

        Args:
            timeout: seconds after which nothing more is begun; ``None`` for no limit.
            only: the key of the one message to send, where the others belong to a program with a
                ``before_send`` of its own.

        Returns:
            Whether nothing waits any more. What was deferred, or is above a limit, does.

        Raises:
            LeaseHeld: another process sends from this outbox, in a store that is not PostgreSQL.
            HandlerError: the caller is ``before_send``.
            StoreError: the store cannot be used.
        """
        if self._drains():
            self._enqueuer.refuse_after_fork()
            self._worker.flush(timeout, only)
        waiting = {QueueState.QUEUED, QueueState.SENDING}
        return self._store.count_messages(self.outbox, waiting) == 0

    def close(self) -> None:
        """Stop, and give back the connection and the lease; the store stays open.

        Queued messages stay there. Harmless twice.
        """
        registry.forget(self._store, self._worker)
        if os.getpid() == self._process:
            self._worker.close()

    def __enter__(self) -> Self:
        """:meth:`start`."""
        return self.start()

    def __exit__(self, *error: object) -> None:
        """:meth:`close`."""
        self.close()

    def _drains(self) -> bool:
        """Whether queued messages of the store may go out by this mailer."""
        return self._kept is not None and not self._silent

    def _own_addresses(self, message: Message) -> frozenset[str]:
        return self._own | ({message.inbox} if message.inbox else set())

    def _html(self, text: str | None, html: str | None) -> str | None:
        if html is None and text is not None and self._render_html is not None:
            return self._render_html(text)
        return html
