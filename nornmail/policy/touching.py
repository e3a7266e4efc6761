"""When the mailbox is touched for a message, and when that is tried again."""

from __future__ import annotations

from collections.abc import Collection

from nornmail.model import UNROUTED, Entry, State

FIRST_ACTION_DELAY = 60.0
"""Seconds after the first refusal of a flag, a deletion or a move."""
LONGEST_ACTION_DELAY = 3_600.0
"""Seconds: a mailbox that is read-only for good is asked once an hour."""
UNSETTLED = frozenset({State.NEW, State.CLAIMED, State.WAITING})
"""States of an inbox's entry that the mailbox waits for."""


def action_delay(refusals: int) -> float:
    """Seconds before flags, deletions and moves that the server refused are tried again."""
    return min(FIRST_ACTION_DELAY * 2.0 ** min(refusals - 1, 30), LONGEST_ACTION_DELAY)


def may_touch(siblings: Collection[Entry]) -> bool | None:
    """Whether the mailbox is touched for a message that an inbox handled (rules 5 and 12).

    Args:
        siblings: its entries, one for each inbox.

    Returns:
        ``None`` while one of them is not settled yet; ``False`` where one is dead, or where nobody
        handled it but ``on_unrouted``: it is left as it is.
    """
    states = {entry.state for entry in siblings}
    if states & UNSETTLED:
        return None
    handled = any(
        entry.state in (State.HANDLED, State.FINISHED) and entry.key.inbox != UNROUTED
        for entry in siblings
    )
    return handled and State.DEAD not in states
