"""The changes that a store must refuse, as pure functions that every store calls."""

from __future__ import annotations

from nornmail.errors import IllegalTransition
from nornmail.model import KEEPS_RAW, EntryKey, State, check_transition
from nornmail.outgoing import INITIAL_STATES, QueuedMessage


def check_put(before: State | None, after: State) -> None:
    """Refuse to replace an entry in ``before`` (``None``: there is none) by one in ``after``.

    Raises:
        IllegalTransition: the table of states does not allow it.
    """
    if before is None and after is State.NEW:
        return  # a missing entry counts as new and is written down as new
    check_transition(before or State.NEW, after)


def check_keep(key: EntryKey, state: State | None) -> None:
    """Refuse to keep bytes with the entry ``key`` in ``state`` (``None``: there is none).

    Raises:
        IllegalTransition: the entry is missing or may keep none.
    """
    if state not in KEEPS_RAW:
        reason = "there is no such entry" if state is None else f"it is {state}"
        raise IllegalTransition(f"no bytes can be kept with {key}: {reason}")


def check_retry(key: EntryKey, state: State | None) -> None:
    """Refuse another try of the entry ``key`` in ``state`` (``None``: there is none).

    Raises:
        IllegalTransition: it is not dead.
    """
    if state is not State.DEAD:
        reason = "there is no such entry" if state is None else f"it is {state}"
        raise IllegalTransition(f"{key} cannot be tried again, as it is not dead: {reason}")


def check_enqueue(message: QueuedMessage) -> None:
    """Refuse a new message that is past its beginning.

    Raises:
        IllegalTransition: it is in another state.
    """
    if message.state not in INITIAL_STATES:
        raise IllegalTransition(
            f"a new message must be queued, held or a draft, and this one is {message.state}"
        )


def check_rekey(
    before: EntryKey, known: object | None, after: EntryKey, taken: State | None
) -> None:
    """Refuse to move the entry ``before`` to the key ``after``.

    An entry that is GONE counts as missing: it gives way to the one that is moved.

    Args:
        known: what is stored under ``before``; ``None``: nothing.
        taken: the state of what is stored under ``after``; ``None``: nothing.

    Raises:
        IllegalTransition: there is nothing to move, or no place for it.
    """
    if known is None:
        raise IllegalTransition(f"{before} cannot become {after}: there is no such entry")
    if taken not in (None, State.GONE) or before == after:
        raise IllegalTransition(f"{before} cannot become {after}: there is one already")
