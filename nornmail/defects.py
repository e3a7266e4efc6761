"""The defects of a message, collected while it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MAX_DEFECTS: Final = 100
"""Different defects that are listed for one message."""

Note = Callable[[str], None]
"""Takes one defect, in words. Readers call it and continue."""


def ignore(defect: str) -> None:
    """A :data:`Note` for callers that do not collect defects."""


class Defects:
    """A bounded list without repeats, in the order of discovery.

    Two threads that read the same field at the same time note the same defects: they count once.
    """

    __slots__ = ("_seen",)

    def __init__(self) -> None:
        self._seen: dict[str, None] = {}

    def note(self, defect: str) -> None:
        """Add ``defect`` unless it is known or the list is full."""
        if len(self._seen) < MAX_DEFECTS:
            self._seen.setdefault(defect)

    def all(self) -> tuple[str, ...]:
        """The defects noted so far."""
        return tuple(self._seen)
