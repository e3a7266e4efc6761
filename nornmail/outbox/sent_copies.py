"""The mailbox of sent mail, as a sender needs it; somebody else's IMAP is handed in."""

from __future__ import annotations

import logging
from datetime import datetime
from typing import Protocol

from nornmail.clock import instant
from nornmail.errors import NornmailError
from nornmail.outbox import transitions
from nornmail.outgoing import QueuedMessage, QueueState

log = logging.getLogger("nornmail.outbox")


class SentMail(Protocol):
    """Where copies of sent mail are kept. One thread at a time."""

    @property
    def server_saves_sent(self) -> bool:
        """Whether the SMTP server puts each message there itself, as Gmail's does."""

    def has(self, message_id: str) -> bool:
        """Whether a message with this Message-ID lies there.

        Raises:
            NornmailError: it cannot be told.
        """

    def append(self, raw: bytes, at: datetime) -> None:
        r"""Put a message there, with \\Seen.

        Raises:
            NornmailError: it could not be, or that is not known.
        """


def sync_sent_copy(
    letter: QueuedMessage, raw: bytes | None, sent: SentMail, now: float
) -> QueuedMessage:
    """Ask the mailbox of sent mail about a letter, and return the letter as it is then.

    What was sent is put there, unless it lies there already: because the server saved it, or
    because an earlier try was cut off after it had succeeded. What is unknown is looked for. A
    failure never touches what became of the letter itself.

    Args:
        letter: sent or unknown, and due for it.
        raw: its bytes.
        sent: the mailbox.
        now: seconds since 1970 UTC.
    """
    try:
        found = sent.has(letter.message_id)
        if letter.state is QueueState.UNKNOWN:
            if not found:
                return transitions.copy_put_off(letter, now)
            log.info("%s: %s", letter.message_id, transitions.FOUND)
            return transitions.copied(
                transitions.known_as_sent(letter, transitions.FOUND, now), now
            )
        if not found and not sent.server_saves_sent:
            if raw is None:
                return transitions.copy_done(letter, now)
            sent.append(raw, instant(letter.submitted_at or now))
    except NornmailError as error:
        later = transitions.copy_put_off(letter, now)
        again = "not tried again" if later.copy_due_at == 0 else "tried again later"
        log.warning("the mailbox of sent mail: %s; %s", error, again)
        return later
    return transitions.copied(letter, now)
