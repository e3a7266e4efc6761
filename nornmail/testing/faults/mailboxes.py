"""Faults of a mailbox: its UIDVALIDITY changes, its UIDNEXT is not to be believed."""

from __future__ import annotations

from dataclasses import dataclass

from nornmail.testing.imap.faults import CommandFault


@dataclass(frozen=True)
class NewUidValidity(CommandFault):
    """Give a mailbox another UIDVALIDITY just before the command acts.

    Without a command it is the next SELECT or EXAMINE. To do it now, call
    `Mailbox.reset_uid_validity`.

    Args:
        mailbox: the mailbox, of the user who is logged in.
        value: the new UIDVALIDITY; None is one that was never used. The old one again, with
            ``renumber``, is a server that counts anew and says nothing.
        renumber: whether the messages get the UIDs from 1 on.
    """

    mailbox: str = "INBOX"
    value: int | None = None
    renumber: bool = True

    def matches(self, name: str) -> bool:
        """Without a command: whether a mailbox is opened."""
        return super().matches(name) if self.command else name in ("SELECT", "EXAMINE")


@dataclass(frozen=True)
class WrongUidNext(CommandFault):
    """Tell a UIDNEXT that is too high, or, with a negative number, too low; never below 1.

    Without a command it is the next SELECT, EXAMINE or STATUS. To show one until told otherwise,
    set `Mailbox.uid_next_override`.

    Args:
        by: how much it is wrong.
    """

    by: int = 1000

    def matches(self, name: str) -> bool:
        """Without a command: whether UIDNEXT is told."""
        return super().matches(name) if self.command else name in ("SELECT", "EXAMINE", "STATUS")
