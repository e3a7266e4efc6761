"""The summary of a store: what waits in it, and who works on it.

Nothing is locked, written or upgraded, so a program may run.
"""

from __future__ import annotations

import os
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime

from nornmail.clock import utc_datetime
from nornmail.model import UNROUTED, MailboxKey, State
from nornmail.outgoing import QueueState
from nornmail.stores import open_view
from nornmail.stores.sql_store import SqlStateStore


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxSummary:
    """A mailbox in a store.

    Attributes:
        account: its account, ``username@host``.
        mailbox: its name.
        inboxes: the addresses of the inboxes whose mail it has, in lower case; empty for a poller
            with one callback.
        new: messages that an inbox has yet to receive.
        claimed: messages in a handler, or whose handler was interrupted.
        waiting: messages that are tried again.
        dead: dead letters.
        last_poll_at: the last time that everything was processed; ``None`` if never.
        held_by: the process that works on it, as ``host:pid``; ``""`` if there is none.
    """

    account: str
    mailbox: str
    inboxes: tuple[str, ...]
    new: int
    claimed: int
    waiting: int
    dead: int
    last_poll_at: datetime | None
    held_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSummary:
    """An outbox in a store.

    Attributes:
        account: its name.
        queued: messages that are to be sent.
        sending: messages that are being sent, or whose sender was interrupted.
        unknown: messages that the server may have accepted.
        failed: messages that were given up.
        held: messages that wait for a person: for approval, or as drafts.
        next_due_at: when the next queued message is tried; ``None`` if none is queued.
        held_by: the processes that send from it, as ``host:pid``; ``""`` if there is none.
    """

    account: str
    queued: int
    sending: int
    unknown: int
    failed: int
    held: int = 0
    next_due_at: datetime | None
    held_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSummary:
    """The counts of a store.

    Attributes:
        path: the store.
        mailboxes: its mailboxes, by account and name.
        outboxes: its outboxes, by name.
    """

    path: str
    mailboxes: tuple[MailboxSummary, ...]
    outboxes: tuple[OutboxSummary, ...]


def summarize(path: str | os.PathLike[str]) -> StoreSummary:
    """Summarize the store at ``path``, which a program may have open. Nothing is changed.

    Args:
        path: the store, as :func:`~nornmail.stores.open_store` takes it.

    Raises:
        StoreError: it does not exist, or cannot be read.
    """
    with closing(open_view(path)) as view:
        return StoreSummary(
            path=os.fspath(path),
            mailboxes=tuple(_mailbox(view, mailbox) for mailbox in view.mailboxes()),
            outboxes=tuple(_outbox(view, outbox) for outbox in sorted(view.outboxes())),
        )


def _mailbox(view: SqlStateStore, mailbox: MailboxKey) -> MailboxSummary:
    record = view.load(mailbox)
    keys = {inbox.address.lower() for inbox in view.inboxes(mailbox)}
    keys |= view.inbox_keys(mailbox)
    return MailboxSummary(
        account=mailbox.account,
        mailbox=mailbox.mailbox,
        inboxes=tuple(sorted(keys - {"", UNROUTED})),
        new=view.count(mailbox, {State.NEW}),
        claimed=view.count(mailbox, {State.CLAIMED}),
        waiting=view.count(mailbox, {State.WAITING}),
        dead=view.count(mailbox, {State.DEAD}),
        last_poll_at=utc_datetime(record.polled_at) if record and record.polled_at else None,
        held_by=view.holder(mailbox),
    )


def _outbox(view: SqlStateStore, outbox: str) -> OutboxSummary:
    queued = view.queued_messages(outbox, {QueueState.QUEUED})
    return OutboxSummary(
        account=outbox,
        queued=len(queued),
        sending=view.count_messages(outbox, {QueueState.SENDING}),
        unknown=view.count_messages(outbox, {QueueState.UNKNOWN}),
        failed=view.count_messages(outbox, {QueueState.FAILED}),
        held=view.count_messages(outbox, {QueueState.HELD, QueueState.DRAFT}),
        next_due_at=utc_datetime(min(message.due_at for message in queued)) if queued else None,
        held_by=view.holder(MailboxKey.of_outbox(outbox)),
    )
