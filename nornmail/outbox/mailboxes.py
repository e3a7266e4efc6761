"""The mailboxes of sent mail and of drafts, over protocols that an IMAP client implements."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

from nornmail.clock import utc_datetime
from nornmail.message.message import parse_message
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


@runtime_checkable
class Drafts(Protocol):
    """A mailbox of drafts, and that of sent mail of the same account. One thread at a time."""

    def append_draft(self, raw: bytes, at: datetime) -> None:
        r"""Save a draft, with \\Draft.

        Raises:
            NornmailError: it was not saved, or may not have been.
        """

    def find_draft(
        self, message_id: str, in_reply_to: str, since: datetime, is_other: Callable[[str], bool]
    ) -> Literal["sent", "draft", ""]:
        """Where a draft is now; ``""`` where it is in neither mailbox.

        Args:
            message_id: of the draft.
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
        message: a draft.
        raw: its bytes.
        drafts: the mailbox.
        is_other: whether a Message-ID is that of another message of ours.
        now: seconds since 1970 UTC.

    Raises:
        NornmailError: the mailbox cannot be used.
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
