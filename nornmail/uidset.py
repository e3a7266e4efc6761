"""A set of UIDs as ranges: a million consecutive UIDs cost one pair of numbers."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator


class UidSet:
    """A set of UIDs (1 to 2**32 - 1, RFC 3501 section 2.3.1.1), kept as sorted, disjoint ranges.

    Args:
        ranges: pairs ``(low, high)``, both ends included, in any order; they may overlap.
    """

    __slots__ = ("_highs", "_lows")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._lows: list[int] = []
        self._highs: list[int] = []
        for low, high in sorted(ranges):
            if self._highs and low <= self._highs[-1] + 1:
                self._highs[-1] = max(self._highs[-1], high)
            else:
                self._lows.append(low)
                self._highs.append(high)

    @classmethod
    def of(cls, uids: Iterable[int]) -> UidSet:
        """The set of these UIDs, in any order, repeats allowed."""
        return cls((uid, uid) for uid in uids)

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """The ranges in ascending order, both ends included, no two adjacent."""
        return list(zip(self._lows, self._highs, strict=True))

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
            return
        at = bisect_right(self._lows, uid)
        if at and uid <= self._highs[at - 1]:
            return
        joins_left = at > 0 and self._highs[at - 1] == uid - 1
        joins_right = at < len(self._lows) and self._lows[at] == uid + 1
        if joins_left and joins_right:
            self._highs[at - 1] = self._highs.pop(at)
            del self._lows[at]
        elif joins_left:
            self._highs[at - 1] = uid
        elif joins_right:
            self._lows[at] = uid
        else:
            self._lows.insert(at, uid)
            self._highs.insert(at, uid)

    def update(self, other: UidSet) -> None:
        """Put every UID of ``other`` in."""
        merged = UidSet(self.ranges + other.ranges)
        self._lows, self._highs = merged._lows, merged._highs

    def __contains__(self, uid: object) -> bool:
        if not isinstance(uid, int):
            return False
        at = bisect_right(self._lows, uid)
        return at > 0 and uid <= self._highs[at - 1]

    def __iter__(self) -> Iterator[int]:
        for low, high in zip(self._lows, self._highs, strict=True):
            yield from range(low, high + 1)

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
        """What is in this set and not in ``other``, in time proportional to the ranges of both."""
        left: list[tuple[int, int]] = []
        holes = iter(other.ranges)
        hole = next(holes, None)
        for low, high in self.ranges:
            while hole is not None and hole[1] < low:
                hole = next(holes, None)
            at = low
            while hole is not None and hole[0] <= high:
                if at < hole[0]:
                    left.append((at, hole[0] - 1))
                at = hole[1] + 1
                if hole[1] > high:
                    break
                hole = next(holes, None)
            if at <= high:
                left.append((at, high))
        return UidSet(left)

    def __str__(self) -> str:
        """The set in IMAP's notation (``1:5,9``), ``""`` when it is empty."""
        return ",".join(str(low) if low == high else f"{low}:{high}" for low, high in self.ranges)

    def __repr__(self) -> str:
        return f"UidSet({str(self)!r})"

    @classmethod
    def parse(cls, text: str) -> UidSet:
        """The set that ``str`` wrote; also any IMAP set without ``*``.

        Raises:
            ValueError: the text is not such a set.
        """
        ranges = []
        for item in filter(None, text.split(",")):
            low, colon, high = item.partition(":")
            first = int(low)
            last = int(high) if colon else first
            ranges.append((min(first, last), max(first, last)))
        return cls(ranges)
