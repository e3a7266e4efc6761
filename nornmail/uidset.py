"""A set of UIDs as ranges: a million consecutive UIDs cost one pair of numbers."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from operator import sub

_FEW = 16
"""Of two sets, the one with so many times fewer ranges is put into the other range by range; else
both are sorted together."""
_PART = 64 * 1024
"""Characters of a set's text that are split at a time."""
_LIMIT = 2**32
"""The lowest number that is not a UID: items of the arrays have four octets."""


class UidSet:
    """A set of UIDs (1 to 2**32 - 1, RFC 3501 section 2.3.1.1), kept as sorted, disjoint ranges.

    Args:
        ranges: pairs ``(low, high)``, both ends included, in any order; they may overlap.
    """

    __slots__ = ("_highs", "_lows")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._lows = lows = array("I")
        self._highs = highs = array("I")
        for low, high in sorted(ranges):
            if highs and low <= highs[-1] + 1:
                highs[-1] = max(highs[-1], high)
            else:
                lows.append(low)
                highs.append(high)

    @classmethod
    def of(cls, uids: Iterable[int]) -> UidSet:
        """The set of these UIDs, in any order, repeats allowed."""
        made = cls()
        lows, highs = made._lows, made._highs
        ordered = sorted(uids)
        if made._append(ordered):
            return made
        for uid in ordered:
            if highs and uid <= highs[-1] + 1:
                highs[-1] = uid
            else:
                lows.append(uid)
                highs.append(uid)
        return made

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ranges in ascending order, both ends included, no two adjacent."""
        return list(self.pairs())

    def pairs(self) -> Iterator[tuple[int, int]]:
        """The ranges one by one: a million of them are not held as a list."""
        return zip(self._lows, self._highs, strict=True)

    @property
    def highest(self) -> int:
        """The highest UID, 0 for the empty set."""
        return self._highs[-1] if self._highs else 0

    @property
    def unbroken(self) -> int:
        """The highest UID with every UID from 1 up to it in the set, 0 when 1 is missing."""
        return self._highs[0] if self._lows and self._lows[0] == 1 else 0

    def add(self, uid: int) -> None:
        """Put one UID in. The usual case, one past the highest, costs no search."""
        if self._highs and uid == self._highs[-1] + 1:
            self._highs[-1] = uid
        else:
            self._put(uid, uid)

    def update(self, other: UidSet) -> None:
        """Put every UID of ``other`` in; cheap where those are few, or lie above all others."""
        if not other._lows:
            return
        if not self._lows:
            self._lows, self._highs = other._lows[:], other._highs[:]
        elif other._lows[0] > self._highs[-1]:
            self._put(other._lows[0], other._highs[0])
            self._lows += other._lows[1:]
            self._highs += other._highs[1:]
        elif len(other._lows) * _FEW <= len(self._lows):
            for low, high in zip(other._lows, other._highs, strict=True):
                self._put(low, high)
        else:
            merged = UidSet(chain(self.pairs(), other.pairs()))
            self._lows, self._highs = merged._lows, merged._highs

    def _put(self, low: int, high: int) -> None:
        """Put one range in, joined with those that it overlaps or touches."""
        lows, highs = self._lows, self._highs
        start = bisect_left(highs, low - 1)
        end = bisect_right(lows, high + 1, start)
        if start == end:
            lows.insert(start, low)
            highs.insert(start, high)
            return
        lows[start] = min(low, lows[start])
        highs[start] = max(high, highs[end - 1])
        del lows[start + 1 : end], highs[start + 1 : end]

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int):
            return False
        at = bisect_right(self._lows, uid) if self._lows else 0
        return at > 0 and uid <= self._highs[at - 1]

    def __iter__(self) -> Iterator[int]:
        if self._lows == self._highs:  # no range has more than one
            return iter(self._lows)
        return chain.from_iterable(map(range, self._lows, map((1).__add__, self._highs)))

    def __len__(self) -> int:
        return sum(self._highs) - sum(self._lows) + len(self._lows)

    def __bool__(self) -> bool:
        return bool(self._lows)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, UidSet):
            return NotImplemented
        return self._lows == other._lows and self._highs == other._highs

    __hash__ = None  # type: ignore[assignment]  # it can change

    def __sub__(self, other: UidSet) -> UidSet:
        """The UIDs of this set that are not in ``other``.

        In time proportional to the ranges of this set, and to those of ``other`` between them.
        """
        left = UidSet()
        lows, highs = left._lows, left._highs
        holes, ends = other._lows, other._highs
        if self._lows == holes and self._highs == ends:  # nothing is new, as a rule
            return left
        if not holes or not self._lows or self._lows[0] > ends[-1] or self._highs[-1] < holes[0]:
            left.update(self)
            return left
        hole = bisect_left(ends, self._lows[0])
        for low, high in zip(self._lows, self._highs, strict=True):
            at = low
            while hole < len(holes) and ends[hole] < at:
                hole += 1
            while hole < len(holes) and holes[hole] <= high:
                if at < holes[hole]:
                    lows.append(at)
                    highs.append(holes[hole] - 1)
                at = ends[hole] + 1
                if at > high:
                    break
                hole += 1
            if at <= high:
                lows.append(at)
                highs.append(high)
        return left

    def __str__(self) -> str:
        """The set in IMAP's notation (``1:5,9``), ``""`` when it is empty."""
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self.pairs())

    def __repr__(self) -> str:
        return f"UidSet({str(self)!r})"

    def _append(self, numbers: list[int]) -> bool:
        """Put numbers in that ascend with gaps, above all others; return whether they do."""
        if not numbers or numbers[0] <= (self._highs[-1] + 1 if self._highs else -1):
            return False
        if numbers[-1] >= _LIMIT or min(map(sub, numbers[1:], numbers), default=2) < 2:
            return False
        self._lows.extend(numbers)
        self._highs.extend(numbers)
        return True

    @classmethod
    def parse(cls, text: str) -> UidSet:
        """The set that ``str`` wrote; also any IMAP set without ``*``."""
        made = cls()
        lows, highs = made._lows, made._highs
        unordered: list[tuple[int, int]] = []
        for item in _items(text, made._append):
            low, colon, high = item.partition(":")
            first = int(low)
            last = int(high) if colon else first
            if first > last:
                first, last = last, first
            if first < 0 or last >= _LIMIT:
                raise ValueError(f"{item!r} is not a range of UIDs")
            if not highs or first > highs[-1] + 1:
                lows.append(first)
                highs.append(last)
            elif first >= lows[-1]:
                highs[-1] = max(highs[-1], last)
            else:
                unordered.append((first, last))
        if unordered:
            made.update(cls(unordered))
        return made


def _items(text: str, append: Callable[[list[int]], bool]) -> Iterator[str]:
    """The items between commas, a part of the text at a time: it may be many megabytes.

    Args:
        append: takes a part that has no ranges, if it can; its items are left out then.
    """
    start = 0
    while start < len(text):
        end = text.find(",", start + _PART)
        end = len(text) if end < 0 else end
        items = list(filter(None, text[start:end].split(",")))
        if text.find(":", start, end) >= 0 or not append(list(map(int, items))):
            yield from items
        start = end + 1
