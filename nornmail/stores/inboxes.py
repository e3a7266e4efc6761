"""What a state store must do for inboxes that are made while a program runs."""

from __future__ import annotations

from typing import Protocol

from nornmail.model import InboxRecord, MailboxKey


class InboxStore(Protocol):
    """Where inboxes are remembered that no program names in its source.

    No method takes a lease: inboxes are made and removed beside the poller that serves them.
    """

    def save_inbox(self, mailbox: MailboxKey, record: InboxRecord) -> None:
        """Keep an inbox, or put it in the place of the one with its id; durable on return."""

    def forget_inbox(self, mailbox: MailboxKey, name: str) -> bool:
        """Keep the inbox with this id no longer; durable on return.

        Returns:
            Whether there was one.
        """

    def inboxes(self, mailbox: MailboxKey) -> list[InboxRecord]:
        """The inboxes of a mailbox, in the order in which they were made."""
