"""The mail on its way out: seen, read, and decided over by hand, beside a running sender too."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from nornmail.clock import instant
from nornmail.errors import ConfigurationError, IllegalTransition, NornmailError
from nornmail.outgoing import OperatorRequest, QueuedMessage, QueueState, Recipient
from nornmail.stores.protocol import StateStore

SHORTEST_KEY = 4
"""Characters of a key that are enough to name a letter, if no other begins with them."""
UNSENT = frozenset({QueueState.QUEUED, QueueState.SENDING, QueueState.UNKNOWN, QueueState.FAILED})
"""The states of what was not sent; what was is history."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxMessage:
    """A message on its way out, as it was when it was asked for.

    Attributes:
        key: what makes it once.
        account: whose outbox it lies in, as the store names it.
        state: ``queued``, ``sending``, ``sent``, ``failed`` or ``unknown``.
        message_id: its Message-ID with the angle brackets.
        sender: the envelope's sender.
        recipients: everyone of the envelope, with status, code and text.
        subject: for people.
        is_answer: it answers a message.
        attempts: how often it was tried and put off.
        queued_at: when it was queued.
        due_at: when it is tried next; ``None`` unless it is queued.
        changed_at: when it last changed.
        reason: why it is where it is, for a person.
        size: octets.
        copied: a copy lies in the mailbox of sent mail.
        dropped: a person gave it up; its bytes are not kept.
        wish: what was asked for and no sender has done yet: ``retry``, ``drop``, ``sent`` or
            ``""``.
    """

    key: str
    account: str
    state: QueueState
    message_id: str
    sender: str
    recipients: tuple[Recipient, ...]
    subject: str
    is_answer: bool
    attempts: int
    queued_at: datetime
    due_at: datetime | None
    changed_at: datetime
    reason: str
    size: int
    copied: bool
    dropped: bool
    wish: str


class Outbox:
    """The letters of a store. It takes no lease, so a sender may be at work.

    What it is asked for is left in the store. The sender does it at its next look, which is two
    seconds away, or when it is started.

    Args:
        store: the mailer's, or the same one opened again; a JSON store is open in one process.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store

    def list(self, states: Collection[str] = UNSENT) -> list[OutboxMessage]:
        """The letters in any of ``states``, by account and age, the oldest first.

        Raises:
            StoreError: the store cannot be read.
        """
        wanted = {QueueState(state) for state in states}
        found = []
        for outbox in self._store.outboxes():
            pending_requests = dict(self._store.pending_requests(outbox))
            letters = self._store.queued_messages(outbox, wanted)
            for letter in sorted(letters, key=lambda one: (one.queued_at, one.key)):
                found.append(_shown(letter, pending_requests.get(letter.key)))
        return found

    def find(self, key: str, account: str | None = None) -> OutboxMessage:
        """The letter with this key.

        Args:
            key: the key, or as much of its beginning as no other letter has.
            account: of this outbox only, where several have the key.

        Raises:
            ConfigurationError: there is none, or more than one.
            StoreError: the store cannot be read.
        """
        everything = [
            letter
            for letter in self.list(frozenset(QueueState))
            if account in (None, letter.account)
        ]
        exact = [letter for letter in everything if letter.key == key]
        found = exact or [letter for letter in everything if letter.key.startswith(key)]
        if not found or not (exact or len(key) >= SHORTEST_KEY):
            raise ConfigurationError("KEY", key, "no letter has this key")
        if len(found) > 1:
            where = sorted({letter.account for letter in found})
            more = f", in the outboxes {', '.join(where)}" if len(where) > 1 else ""
            raise ConfigurationError("KEY", key, f"{len(found)} letters begin with it{more}")
        return found[0]

    def raw(self, letter: OutboxMessage) -> bytes:
        """Its bytes.

        Raises:
            NornmailError: none are kept: it was sent, or dropped.
            StoreError: the store cannot be read.
        """
        raw = self._store.message_bytes(letter.account, letter.key)
        if raw is None:
            raise NornmailError(f"no bytes of the letter {letter.key} are kept")
        return raw

    def retry(self, letter: OutboxMessage) -> None:
        """Ask for another try now; durable on return.

        What failed gets another three days. What is unknown is sent again, perhaps for the second
        time.

        Raises:
            NornmailError: it is sent, being sent, or dropped.
            StoreError: the store cannot be written.
        """
        self._ask(letter, OperatorRequest.RETRY)

    def drop(self, letter: OutboxMessage) -> None:
        """Give it up: it is failed, and its bytes are forgotten; durable on return.

        Raises:
            NornmailError: it is sent, being sent, or dropped.
            StoreError: the store cannot be written.
        """
        self._ask(letter, OperatorRequest.DROP)

    def resolve(self, letter: OutboxMessage, *, sent: bool) -> None:
        """Say of one that is unknown whether it was sent; if not, it is tried again.

        Raises:
            NornmailError: it is not unknown.
            StoreError: the store cannot be written.
        """
        current = self._store.queued_message(letter.account, letter.key)
        if current is None or current.state is not QueueState.UNKNOWN:
            state = "gone" if current is None else current.state
            raise NornmailError(f"{letter.key} is {state}: only what is unknown can be resolved")
        self._ask(letter, OperatorRequest.SENT if sent else OperatorRequest.RETRY)

    def _ask(self, letter: OutboxMessage, wish: OperatorRequest) -> None:
        try:
            self._store.request(letter.account, letter.key, wish)
        except IllegalTransition as refused:  # the state is another one by now
            raise NornmailError(str(refused)) from refused


def _shown(letter: QueuedMessage, wish: OperatorRequest | None) -> OutboxMessage:
    return OutboxMessage(
        key=letter.key,
        account=letter.outbox,
        state=letter.state,
        message_id=letter.message_id,
        sender=letter.sender,
        recipients=letter.recipients,
        subject=letter.subject,
        is_answer=letter.is_answer,
        attempts=letter.attempts,
        queued_at=instant(letter.queued_at),
        due_at=instant(letter.due_at) if letter.state is QueueState.QUEUED else None,
        changed_at=instant(letter.changed_at),
        reason=letter.reason,
        size=letter.size,
        copied=letter.copied,
        dropped=letter.dropped,
        wish="" if wish is None else wish.value,
    )
