"""What a change may do to an entry: the rules that every store applies, as pure functions."""

from __future__ import annotations

from typing import TypeVar

from nornmail.errors import IllegalTransition
from nornmail.model import KEEPS_RAW, EntryKey, State, check_transition
from nornmail.outgoing import QueuedMessage, QueueState

T = TypeVar("T")


def check_put(before: State | None, after: State) -> None:
    """May an entry in ``before`` (``None``: there is none) be replaced by one in ``after``?

    Raises:
        IllegalTransition: it may not.
    """
    if before is None and after is State.NEW:
        return  # it counted as new and is written down as new
    check_transition(before or State.NEW, after)


def check_keep(key: EntryKey, state: State | None) -> None:
    """May bytes be kept beside the entry ``key`` in ``state`` (``None``: there is none)?

    Raises:
        IllegalTransition: they may not.
    """
    if state is None:
        raise IllegalTransition(f"no bytes can be kept beside {key}: there is no such entry")
    if state not in KEEPS_RAW:
        raise IllegalTransition(f"no bytes can be kept beside {key}: it is {state}")


def check_ask(key: EntryKey, state: State | None) -> None:
    """May a person ask for another try of the entry ``key`` in ``state`` (``None``: not there)?

    Raises:
        IllegalTransition: they may not.
    """
    if state is not State.DEAD:
        found = "there is no such entry" if state is None else f"it is {state}"
        raise IllegalTransition(f"{key} cannot be tried again, as it is not dead: {found}")


def check_enqueue(letter: QueuedMessage) -> None:
    """May this letter be kept as a new one?

    Raises:
        IllegalTransition: it may not.
    """
    if letter.state is not QueueState.QUEUED:
        raise IllegalTransition(f"a letter that is new is queued, and not {letter.state}")


def check_rekey(before: EntryKey, known: T | None, after: EntryKey, taken: State | None) -> T:
    """May the entry ``before`` go on under ``after``?

    What is GONE counts as not there: it is new when it is listed again, and gives way then.

    Args:
        known: what is found under ``before``; ``None``: nothing.
        taken: the state of what is found under ``after``.

    Returns:
        ``known``.

    Raises:
        IllegalTransition: there is nothing to go on, or no place for it.
    """
    if known is None:
        raise IllegalTransition(f"{before} cannot become {after}: there is no such entry")
    if taken not in (None, State.GONE) or before == after:
        raise IllegalTransition(f"{before} cannot become {after}: there is one already")
    return known
