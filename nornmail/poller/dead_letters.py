"""Dead letters: listing, reading and retrying them, also while a poller runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from nornmail.clock import utc_datetime
from nornmail.errors import ConfigurationError, NornmailError
from nornmail.model import Entry, EntryKey, MailboxKey, MessageRef, State
from nornmail.stores.protocol import StateStore

SHORTEST_ID = 4
"""Digits of an id that are enough to name a letter, if no other begins with them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message that was given up.

    Attributes:
        id: its delivery id, the same at every attempt.
        account: whose mailbox it came from, as the store names it.
        ref: where it was on the server.
        inbox: whose it is; ``""`` for a poller with one callback.
        attempts: how many failed.
        reason: why it was given up.
        died_at: when.
        message_id: its Message-ID header with its angle brackets; ``""`` where none is known.
        size: octets.
        received_at: when the server received it, ``None`` where that is not known.
        truncated: only its headers are kept, as it is too large.
        is_kept: whether its bytes are; if not, another try fetches them, if they are still there.
        is_asked_for: whether another try was asked for, and no poller has taken it up yet.
    """

    id: str
    account: str
    ref: MessageRef
    inbox: str
    attempts: int
    reason: str
    died_at: datetime
    message_id: str
    size: int
    received_at: datetime | None
    truncated: bool
    is_kept: bool
    is_asked_for: bool


class DeadLetters:
    """The dead letters of a store. It takes no lease, so a poller may be at work.

    Args:
        store: the poller's, or the same one opened again; a JSON store is open in one process.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def list(self, mailbox: str | None = None) -> list[DeadLetter]:
        """All of them, by account, mailbox and age.

        Args:
            mailbox: of the mailboxes of this name only.

        Raises:
            StoreError: the store cannot be read.
        """
        return [letter for _, letter in self._all() if mailbox in (None, letter.ref.mailbox)]

    def find(self, letter_id: str) -> DeadLetter:
        """The one with this id.

        Args:
            letter_id: the id, or as much of its beginning as no other has.

        Raises:
            ConfigurationError: there is none, or more than one.
            StoreError: the store cannot be read.
        """
        prefix = letter_id.lower()
        letters = [letter for _, letter in self._all() if letter.id.startswith(prefix)]
        if len(prefix) < SHORTEST_ID or not letters:
            raise ConfigurationError("ID", letter_id, "no dead letter has this id")
        if len(letters) > 1:
            raise ConfigurationError("ID", letter_id, f"{len(letters)} dead letters begin with it")
        return letters[0]

    def raw(self, letter: DeadLetter) -> bytes:
        """Its bytes.

        Raises:
            NornmailError: none are kept, or it is no longer dead.
            StoreError: the store cannot be read.
        """
        place = self._place(letter)
        raw = self._store.raw(*place) if place else None
        if raw is None:
            raise NornmailError(f"no bytes of the dead letter {letter.id} are kept")
        return raw

    def retry(self, letter: DeadLetter) -> None:
        """Ask for another try, its attempts counted anew; durable on return.

        The poller of the mailbox takes it up at its next look, or when it is started.

        Raises:
            NornmailError: it is no longer dead.
            StoreError: the store cannot be written.
        """
        place = self._place(letter)
        if place is None:
            raise NornmailError(f"{letter.id} is no longer dead")
        self._store.request_retry(*place)

    def _all(self) -> Iterator[tuple[EntryKey, DeadLetter]]:
        for mailbox in self._store.mailboxes():
            asked = set(self._store.retry_requests(mailbox))
            lost = {entry.key for entry in self._store.entries_without_bytes(mailbox, State.DEAD)}
            entries = self._store.entries(mailbox, {State.DEAD})
            for entry in sorted(entries, key=lambda entry: (entry.changed_at, entry.key)):
                is_asked_for, is_kept = entry.key in asked, entry.key not in lost
                yield entry.key, _letter(mailbox, entry, is_kept, is_asked_for)

    def _place(self, letter: DeadLetter) -> tuple[MailboxKey, EntryKey] | None:
        """Under which key it is now: a new UIDVALIDITY gives it another."""
        for key, entry in self._all():
            if (entry.id, entry.account) == (letter.id, letter.account):
                return MailboxKey(entry.account, entry.ref.mailbox), key
        return None


def _letter(mailbox: MailboxKey, entry: Entry, is_kept: bool, is_asked_for: bool) -> DeadLetter:
    received = entry.received_at
    return DeadLetter(
        id=entry.delivery_id,
        account=mailbox.account,
        ref=MessageRef(mailbox.mailbox, entry.uid_validity, entry.key.uid),
        inbox=entry.key.inbox,
        attempts=entry.attempts,
        reason=entry.reason,
        died_at=utc_datetime(entry.changed_at),
        message_id=entry.message_id,
        size=entry.size,
        received_at=None if received is None else utc_datetime(received),
        truncated=entry.truncated,
        is_kept=is_kept,
        is_asked_for=is_asked_for,
    )
