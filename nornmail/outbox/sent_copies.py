"""Copies of sent messages, over a protocol that an IMAP client implements."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Protocol

from nornmail.clock import utc_datetime
from nornmail.outbox import transitions
from nornmail.outgoing import QueuedMessage, QueueState

log = logging.getLogger("nornmail.outbox")


class SentMail(Protocol):
    """A mailbox of sent mail. One thread at a time."""

    @property
    def server_saves_sent(self) -> bool:
        """Whether the SMTP server puts each message there itself, as Gmail's does."""

    def has(self, message_id: str) -> bool:
        """Whether a message with this Message-ID is there.

        Raises:
            NornmailError: the mailbox cannot be searched.
        """

    def append(self, raw: bytes, at: datetime) -> None:
        r"""Save a message there, with \\Seen.

        Raises:
            NornmailError: it was not saved, or may not have been.
        """


def sync_sent_copy(
    message: QueuedMessage, raw: bytes | None, sent: SentMail, now: float
) -> QueuedMessage:
    """Save (or look for) the copy in the mailbox of sent mail; return the updated message.

    A sent message is saved unless it is there already: because the server saved it, or because an
    earlier attempt was cut off after it had succeeded. An unknown one is looked for.

    Args:
        message: sent or unknown, with its copy due.
        raw: its bytes.
        sent: the mailbox.
        now: seconds since 1970 UTC.

    Raises:
        NornmailError: the mailbox cannot be used.
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
