"""Delivery reports that come back: which letter and which of its recipients they are about.

A report is as forgeable as any mail. It is noted and told, and decides nothing.
"""

from __future__ import annotations

import logging
from typing import Final

from nornmail.events import OutboxBounced, bounce_of
from nornmail.message.message import Message
from nornmail.outgoing import QueuedMessage, Recipient, RecipientStatus
from nornmail.stores.protocol import StateStore

log = logging.getLogger("nornmail.outbox")

BOUNCE_WINDOW: Final = 7 * 86_400.0
"""Seconds after which a report that names no Message-ID is not matched with a letter any more:
servers give up after four or five days (RFC 5321, 4.5.4.1)."""
_CANDIDATES = 10
"""Letters to the same address that are looked at: the newest that was taken is meant."""


def note_bounce(store: StateStore, message: Message, *, now: float) -> list[OutboxBounced]:
    """Note at the letters of a store what a message reports of them, if it is such a report.

    Args:
        store: whose letters.
        message: any message that came in.
        now: seconds since 1970 UTC.

    Returns:
        What is to be told: one event for each recipient of which it is news.

    Raises:
        StoreError: the store cannot be used.
    """
    outboxes = store.outboxes()
    if not outboxes or message.bounce is None:
        return []
    told = []
    bounce = message.bounce
    for failed in bounce.recipients:
        if failed.action != "failed":
            continue
        words = " ".join(part for part in (failed.status, failed.diagnostic) if part)
        report = Recipient(failed.address, RecipientStatus.BOUNCED, _code_of(failed.status), words)
        found = _by_message_id(store, bounce.original_message_id, report)
        if not bounce.original_message_id:
            found = _by_recipient(store, outboxes, report, now)
        for letter, noted in found:
            if store.note_bounce(letter.outbox, letter.key, noted):
                log.warning("%s came back from %s: %s", letter.message_id, noted.address, words)
                told.append(bounce_of(letter, noted, now))
    return told


def _code_of(status: str) -> int:
    """A reply code for an enhanced one (RFC 3463): 550 for 5.x.x."""
    return 550 if status.startswith("5") else 0


def _by_message_id(
    store: StateStore, message_id: str, report: Recipient
) -> list[tuple[QueuedMessage, Recipient]]:
    """The letter that is reported, and the report with the address that the letter had.

    Behind an alias or a forward the report names another address than we wrote to. With one
    recipient there is no doubt whom it is about.
    """
    found = store.messages_with_id(message_id) if message_id else []
    matched = []
    for letter in found:
        addresses = [one.address for one in letter.recipients]
        named = report.address.lower() in (one.lower() for one in addresses)
        if named or len(addresses) == 1:
            address = report.address if named else addresses[0]
            matched.append((letter, Recipient(address, report.status, report.code, report.text)))
    return matched


def _by_recipient(
    store: StateStore, outboxes: list[str], report: Recipient, now: float
) -> list[tuple[QueuedMessage, Recipient]]:
    """The newest letter to the reported address that the server took."""
    since = now - BOUNCE_WINDOW
    found = [
        letter
        for outbox in outboxes
        for letter in store.messages_to(outbox, report.address, since=since, limit=_CANDIDATES)
        if _was_taken(letter, report.address)
    ]
    newest = max(found, key=lambda one: (one.queued_at, one.key), default=None)
    return [] if newest is None else [(newest, report)]


def _was_taken(letter: QueuedMessage, address: str) -> bool:
    return any(
        one.address.lower() == address.lower() and one.status is RecipientStatus.ACCEPTED
        for one in letter.recipients
    )
