"""The letters of one outbox in memory, with the indexes that reading them needs.

As in ``tables.py`` a change is planned first, which may be refused, and then put in.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from nornmail.errors import IllegalTransition
from nornmail.outgoing import (
    Letter,
    LetterState,
    Recipient,
    Wish,
    bounced,
    check_wish,
    outlives,
    replaced,
)
from nornmail.stores.rules import check_enqueue

H = TypeVar("H")
"""What stands for kept bytes: the bytes themselves, or the file that holds them."""


@dataclass(slots=True)
class LetterEffects(Generic[H]):
    """What a change comes to; ``None`` in ``raw`` and ``wishes`` takes away what is there."""

    letters: dict[str, Letter] = field(default_factory=dict)
    raw: dict[str, H | None] = field(default_factory=dict)
    wishes: dict[str, Wish | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.letters or self.raw or self.wishes)


class LetterTables(Generic[H]):
    """Every letter of one outbox. Not safe for threads: its store locks."""

    def __init__(self) -> None:
        self.letters: dict[str, Letter] = {}
        self.raw: dict[str, H] = {}
        self.wishes: dict[str, Wish] = {}
        self._by_state: dict[LetterState, dict[str, None]] = {state: {} for state in LetterState}
        self._by_message_id: dict[str, dict[str, None]] = {}
        self._to: dict[str, dict[str, None]] = {}
        self._answers: dict[str, dict[str, None]] = {}
        self._copies: dict[str, None] = {}
        self._submitted: list[tuple[float, str]] = []

    # Writing

    def plan_enqueue(
        self, letter: Letter, raw: bytes, hold: Callable[[bytes], H]
    ) -> LetterEffects[H]:
        """What keeping a new letter comes to: nothing where its key is known."""
        if letter.key in self.letters:
            return LetterEffects()
        check_enqueue(letter)
        return LetterEffects(letters={letter.key: letter}, raw={letter.key: hold(raw)})

    def plan_put(self, outbox: str, letters: Sequence[Letter]) -> LetterEffects[H]:
        """What putting letters in the place of others comes to, in their order."""
        effects: LetterEffects[H] = LetterEffects()
        for letter in letters:
            before = effects.letters.get(letter.key) or self.letters.get(letter.key)
            if before is None or letter.outbox != outbox:
                raise IllegalTransition(f"there is no letter {letter.key} in the outbox {outbox}")
            after = effects.letters[letter.key] = replaced(before, letter)
            if letter.key in self.raw and not after.keeps_bytes():
                effects.raw[letter.key] = None
            wish = self.wishes.get(letter.key)
            if wish is not None and not outlives(wish, before, after):
                effects.wishes[letter.key] = None
        return effects

    def plan_wish(self, key: str, wish: Wish) -> LetterEffects[H]:
        """What a wish comes to: nothing where it is there already."""
        check_wish(self.letters.get(key), wish)
        return (
            LetterEffects() if self.wishes.get(key) is wish else LetterEffects(wishes={key: wish})
        )

    def plan_bounce(self, key: str, report: Recipient) -> LetterEffects[H]:
        """What a delivery report comes to: nothing where it is no news."""
        before = self.letters.get(key)
        after = None if before is None else bounced(before, report)
        return LetterEffects() if after is None else LetterEffects(letters={key: after})

    def install(self, effects: LetterEffects[H]) -> None:
        """Put the outcome of a plan in."""
        for key, letter in effects.letters.items():
            self._set(key, letter)
        for key, held in effects.raw.items():
            if held is None:
                self.raw.pop(key, None)
            else:
                self.raw[key] = held
        for key, wish in effects.wishes.items():
            if wish is None:
                self.wishes.pop(key, None)
            else:
                self.wishes[key] = wish

    def forget(self, before: float) -> None:
        """Let go of what is through and was last changed before this instant."""
        for key, letter in list(self.letters.items()):
            if letter.changed_at < before and not letter.keeps_bytes():
                self._unset(key)
                self.wishes.pop(key, None)

    def _set(self, key: str, letter: Letter) -> None:
        self._unset(key)
        self.letters[key] = letter
        self._by_state[letter.state][key] = None
        for index, name in self._names(letter):
            index.setdefault(name, {})[key] = None
        if letter.copy_due_at > 0:
            self._copies[key] = None
        if letter.submitted_at > 0:
            insort(self._submitted, (letter.submitted_at, key))

    def _unset(self, key: str) -> None:
        old = self.letters.pop(key, None)
        if old is None:
            return
        del self._by_state[old.state][key]
        for index, name in self._names(old):
            keys = index[name]
            keys.pop(key, None)
            if not keys:
                del index[name]
        self._copies.pop(key, None)
        if old.submitted_at > 0:
            del self._submitted[bisect_left(self._submitted, (old.submitted_at, key))]

    def _names(self, letter: Letter) -> list[tuple[dict[str, dict[str, None]], str]]:
        """The indexes in which a letter stands, each with its name there."""
        found = [(self._by_message_id, letter.message_id)]
        found += [(self._to, name) for name in {one.address.lower() for one in letter.recipients}]
        if letter.is_answer:
            found.append((self._answers, letter.thread_id))
        return found

    # Reading

    def in_states(self, states: Collection[LetterState], limit: int | None = None) -> list[Letter]:
        """In the order of ``(due_at, queued_at, key)``, at most ``limit`` of them."""
        found = (self.letters[key] for state in set(states) for key in self._by_state[state])

        def key(one: Letter) -> tuple[float, float, str]:
            return one.due_at, one.queued_at, one.key

        return sorted(found, key=key) if limit is None else heapq.nsmallest(limit, found, key=key)

    def count(self, states: Collection[LetterState]) -> int:
        return sum(len(self._by_state[state]) for state in set(states))

    def to_copy(self) -> list[Letter]:
        found = (self.letters[key] for key in self._copies)
        return sorted(found, key=lambda one: (one.copy_due_at, one.key))

    def with_message_id(self, message_id: str) -> list[Letter]:
        return [self.letters[key] for key in sorted(self._by_message_id.get(message_id, ()))]

    def to(self, address: str, since: float, limit: int) -> list[Letter]:
        found = (self.letters[key] for key in self._to.get(address.lower(), ()))
        recent = [one for one in found if one.queued_at >= since]
        return sorted(recent, key=lambda one: (one.queued_at, one.key), reverse=True)[:limit]

    def answers_since(self, since: float, address: str, thread_id: str) -> int:
        index, name = (self._answers, thread_id) if thread_id else (self._to, address.lower())
        found = (self.letters[key] for key in index.get(name, ()))
        return sum(one.is_answer and one.queued_at >= since for one in found)

    def submissions_since(self, since: float, limit: int) -> list[float]:
        start = max(bisect_left(self._submitted, (since, "")), len(self._submitted) - limit)
        return [at for at, _ in reversed(self._submitted[start:])]
