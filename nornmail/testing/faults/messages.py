"""Faults of one message: it is hidden, spoilt in a FETCH, or gone between two commands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nornmail.testing.fault_plan import Fault
from nornmail.testing.imap.faults import CommandFault

FetchFaultKind = Literal[
    "missing",
    "no_body",
    "nil",
    "empty",
    "short",
    "wrong_uid",
    "no_uid",
    "wrong_size",
    "twice",
    "placeholder",
]
"""What a FetchFault does; see there."""


@dataclass(frozen=True)
class FetchFault(Fault):
    """Spoil the answer to a FETCH that asks for one message's text, whole or in part.

    Args:
        uid: the message.
        kind: ``missing`` OK without the message; ``no_body`` the message without its text;
            ``nil`` the text is NIL; ``empty`` it is ``{0}``; ``short`` it is its first half, in a
            literal of that size; ``wrong_uid`` the UID is ``other_uid``; ``no_uid`` there is no
            UID; ``wrong_size`` RFC822.SIZE is one too many; ``twice`` the message is answered
            twice; ``placeholder`` the text is an invented one that says it is unavailable.
        other_uid: for ``wrong_uid``; None is ``uid + 1``.
        command: ``"FETCH"`` or ``"UID FETCH"``; None is both.
    """

    uid: int = 0
    kind: FetchFaultKind = "missing"
    other_uid: int | None = None
    command: str | None = None


@dataclass(frozen=True)
class HideUid(Fault):
    """Leave a message out of the next listing that it belongs in.

    A listing is a SEARCH, or a FETCH that asks for nothing of the message's text.

    Args:
        uid: the message.
        command: the only command that counts, as ``"UID SEARCH"``; None is every listing.
    """

    uid: int = 0
    command: str | None = None

    def hides(self, uid: int, name: str) -> bool:
        """Whether it is meant for this message in the answer to this (upper-case) command."""
        return self.uid == uid and (self.command or name).upper() == name


@dataclass(frozen=True)
class Expunge(CommandFault):
    """Take a message out of the selected mailbox just before the command acts, as another would.

    Args:
        uid: the message; nothing happens when it is not there.
    """

    uid: int = 0
