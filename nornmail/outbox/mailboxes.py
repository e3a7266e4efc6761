"""Messages of ours in mailboxes: copies in that of sent mail, drafts, and delivery reports.

The mailboxes of sent mail and of drafts are protocols that an IMAP client implements. A delivery
report is as forgeable as any mail. It is recorded and reported, and decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal, Protocol, runtime_checkable

from nornmail.clock import utc_datetime
from nornmail.events import OutboxBounced, bounce_event
from nornmail.message.message import Message, parse_message
from nornmail.outbox import transitions
from nornmail.outgoing import QueuedMessage, QueueState, Recipient, RecipientStatus
from nornmail.stores.protocol import StateStore

log = logging.getLogger("nornmail.outbox")


class SentMail(Protocol):
    """A mailbox of sent mail. One thread at a time."""

    @property
    def server_saves_sent(self) -> bool:
        """Whether the SMTP server puts each message there itself, as Gmail's does."""

    def has(self, message_id: str) -> bool:
        """Whether a message with this Message-ID is there."""

    def append(self, raw: bytes, at: datetime) -> None:
        r"""Save a message there, with \\Seen."""


@runtime_checkable
class Drafts(Protocol):
    """A mailbox of drafts, and that of sent mail of the same account. One thread at a time."""

    def append_draft(self, raw: bytes, at: datetime) -> None:
        r"""Save a draft, with \\Draft."""

    def find_draft(
        self, message_id: str, in_reply_to: str, since: datetime, is_other: Callable[[str], bool]
    ) -> Literal["sent", "draft", ""]:
        """The mailbox that a draft is in now; ``""`` where it is in neither.

        Args:
            in_reply_to: the Message-ID that it answers, by which it is found if a person edited
                it; ``""`` for none.
            since: when the draft was made.
            is_other: whether a Message-ID is that of another message of ours.

        Raises:
            NornmailError: the mailboxes cannot be searched.
        """


def sync_sent_copy(
    message: QueuedMessage, raw: bytes | None, sent: SentMail, now: float
) -> QueuedMessage:
    """Save (or look for) the copy in the mailbox of sent mail; return the updated message.

    A sent message is saved unless it is there already: because the server saved it, or because an
    earlier attempt was cut off after it had succeeded. An unknown one is looked for.

    Args:
        message: sent or unknown, with its copy due.
    """
    is_there = sent.has(message.message_id)
    if message.state is QueueState.UNKNOWN:
        if not is_there:
            return transitions.copy_deferred(message, now)
        log.info("%s: %s", message.message_id, transitions.FOUND)
        return transitions.copied(transitions.known_as_sent(message, transitions.FOUND, now), now)
    if not is_there and not sent.server_saves_sent:
        if raw is None:
            return transitions.copy_done(message, now)
        sent.append(raw, utc_datetime(message.submitted_at or now))
    return transitions.copied(message, now)


def sync_draft(
    message: QueuedMessage,
    raw: bytes | None,
    drafts: Drafts,
    is_other: Callable[[str], bool],
    now: float,
) -> QueuedMessage:
    """Save a draft, or see what a person did with it; return the updated message.

    It is looked for before it is saved: an earlier attempt may have been cut off after it had
    succeeded.

    Args:
        is_other: whether a Message-ID is that of another message of ours.
    """
    if raw is None:
        return transitions.draft_removed(message, transitions.NO_BYTES, now)
    answered = parse_message(raw[: raw.find(b"\r\n\r\n") + 4]).in_reply_to
    since = utc_datetime(message.queued_at - transitions.CLOCK_SLACK)
    # Before it is saved nothing but its own Message-ID can show it.
    answered = answered if message.copied else ""
    place = drafts.find_draft(message.message_id, answered, since, is_other)
    if place == "sent":
        log.info("%s: %s", message.message_id, transitions.FOUND)
        sent = transitions.known_as_sent(message, transitions.FOUND, now)
        return transitions.copied(sent, now)
    if place == "draft":
        return transitions.draft_seen(message, now)
    if message.copied:
        return transitions.draft_missing(message, now)
    drafts.append_draft(raw, utc_datetime(message.queued_at))
    return transitions.draft_seen(message, now)


BOUNCE_WINDOW: Final = 7 * 86_400.0
"""Seconds after which a report that names no Message-ID is no longer matched:
servers give up after four or five days (RFC 5321, 4.5.4.1)."""
_CANDIDATES = 10
"""Messages to the same address that are read: the newest that was sent is meant."""


def note_bounce(
    store: StateStore, outboxes: Sequence[str], message: Message, *, now: float
) -> list[OutboxBounced]:
    """Record what a delivery report says about messages of a store; other mail is ignored."""
    if not outboxes or message.bounce is None:
        return []
    events = []
    bounce = message.bounce
    for failed in bounce.recipients:
        if failed.action != "failed":
            continue
        words = " ".join(part for part in (failed.status, failed.diagnostic) if part)
        report = Recipient(failed.address, RecipientStatus.BOUNCED, _code_of(failed.status), words)
        if bounce.original_message_id:
            matches = _by_message_id(store, bounce.original_message_id, report)
        else:
            matches = _by_recipient(store, outboxes, report, now)
        for sent, noted in matches:
            if store.note_bounce(sent.outbox, sent.key, noted):
                log.warning("%s bounced from %s: %s", sent.message_id, noted.address, words)
                events.append(bounce_event(sent, noted, now))
    return events


def _code_of(status: str) -> int:
    """A reply code for an enhanced one (RFC 3463): 550 for 5.x.x."""
    return 550 if status.startswith("5") else 0


def _by_message_id(
    store: StateStore, message_id: str, report: Recipient
) -> list[tuple[QueuedMessage, Recipient]]:
    """The messages with this id, each with the report under the address that we wrote to.

    Behind an alias or a forward the report names another address. With one recipient it is clear
    all the same.
    """
    matched = []
    for sent in store.messages_with_id(message_id):
        addresses = [recipient.address for recipient in sent.recipients]
        is_named = report.address.lower() in map(str.lower, addresses)
        if is_named or len(addresses) == 1:
            address = report.address if is_named else addresses[0]
            matched.append((sent, replace(report, address=address)))
    return matched


def _by_recipient(
    store: StateStore, outboxes: Sequence[str], report: Recipient, now: float
) -> list[tuple[QueuedMessage, Recipient]]:
    """The newest message to the reported address that the server took."""
    since = now - BOUNCE_WINDOW
    sent = [
        message
        for outbox in outboxes
        for message in store.messages_to(outbox, report.address, since=since, limit=_CANDIDATES)
        if _was_taken(message, report.address)
    ]
    newest = max(sent, key=lambda message: (message.queued_at, message.key), default=None)
    return [] if newest is None else [(newest, report)]


def _was_taken(message: QueuedMessage, address: str) -> bool:
    return any(
        r.address.lower() == address.lower() and r.status is RecipientStatus.ACCEPTED
        for r in message.recipients
    )
