"""Delivery reports: which sent message, and which of its recipients, they are about.

A report is as forgeable as any mail. It is recorded and reported, and decides nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from nornmail.events import OutboxBounced, bounce_event
from nornmail.message.message import Message
from nornmail.outgoing import QueuedMessage, Recipient, RecipientStatus
from nornmail.stores.protocol import StateStore

log = logging.getLogger("nornmail.outbox")

BOUNCE_WINDOW: Final = 7 * 86_400.0
"""Seconds after which a report that names no Message-ID is no longer matched:
servers give up after four or five days (RFC 5321, 4.5.4.1)."""
_CANDIDATES = 10
"""Messages to the same address that are read: the newest that was sent is meant."""


def note_bounce(
    store: StateStore, outboxes: Sequence[str], message: Message, *, now: float
) -> list[OutboxBounced]:
    """Record what a delivery report says about messages of a store; other mail is ignored.

    Args:
        store: of the messages.
        outboxes: of the store.
        message: any incoming message.
        now: seconds since 1970 UTC.

    Returns:
        One event for each recipient of which it is news.

    Raises:
        StoreError: the store cannot be used.
    """
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
        named = report.address.lower() in map(str.lower, addresses)
        if named or len(addresses) == 1:
            address = report.address if named else addresses[0]
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
