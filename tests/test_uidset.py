"""UidSet against Python's own set, and its notation."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from nornmail.uidset import UidSet
from tests.support.table import table


@table(
    ("uids", "ranges", "text"),
    [
        pytest.param([], [], "", id="the empty set has no ranges"),
        pytest.param([7], [(7, 7)], "7", id="one UID is written alone"),
        pytest.param([1, 2, 3], [(1, 3)], "1:3", id="neighbours are one range"),
        pytest.param([3, 1, 2, 2], [(1, 3)], "1:3", id="order and repeats do not matter"),
        pytest.param([1, 3, 4, 9], [(1, 1), (3, 4), (9, 9)], "1,3:4,9", id="gaps split ranges"),
        pytest.param([2**32 - 1], [(2**32 - 1,) * 2], "4294967295", id="the highest UID there is"),
    ],
)
def test_a_set_is_kept_as_ranges(uids: list[int], ranges: list[tuple[int, int]], text: str) -> None:
    made = UidSet.of(uids)
    assert made.ranges == ranges
    assert str(made) == text
    assert UidSet.parse(text) == made


@table("seed", range(20))
def test_it_agrees_with_a_plain_set_in_random_use(seed: int) -> None:
    chance = random.Random(seed)
    one, other = UidSet(), UidSet.of(chance.sample(range(1, 60), 20))
    plain, plain_other = set(one), set(other)
    for _ in range(120):
        uid = chance.randrange(1, 60)
        one.add(uid)
        plain.add(uid)
        assert list(one) == sorted(plain)
        assert all(low <= high for low, high in one.ranges)
        assert all(a[1] + 1 < b[0] for a, b in zip(one.ranges, one.ranges[1:], strict=False))
    assert set(one - other) == plain - plain_other
    assert set(other - one) == plain_other - plain
    assert not one - UidSet.of(plain)
    assert one - UidSet.of([99]) == one - UidSet() == one
    assert [uid in one for uid in range(70)] == [uid in plain for uid in range(70)]
    assert len(one) == len(plain)
    assert one.highest == max(plain)
    one.update(other)
    assert set(one) == plain | plain_other


@pytest.mark.parametrize(
    ("text", "unbroken"),
    [
        pytest.param("", 0, id="nothing was looked at"),
        pytest.param("1:9", 9, id="everything up to nine"),
        pytest.param("1:4,6:9", 4, id="a gap ends it"),
        pytest.param("2:9", 0, id="UID 1 is missing"),
    ],
)
def test_unbroken_is_the_watermark(text: str, unbroken: int) -> None:
    assert UidSet.parse(text).unbroken == unbroken


def test_a_reversed_range_is_the_same_range() -> None:
    assert UidSet.parse("9:7") == UidSet([(7, 9)])


@pytest.mark.parametrize("text", ["x", "1:*", "1:2:3", "-"])
def test_what_is_no_set_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        UidSet.parse(text)


def test_a_million_consecutive_uids_are_one_range() -> None:
    made = UidSet([(1, 10**6)])
    assert len(made) == 10**6
    assert (made - UidSet([(2, 10**6 - 1)])).ranges == [(1, 1), (10**6, 10**6)]


def test_it_cannot_be_hashed_because_it_can_change() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(UidSet())
    assert UidSet() != "1"
    assert "1" not in UidSet.of([1])


def test_very_many_gaps_are_read_in_little_memory() -> None:
    text = ",".join(map(str, range(2, 100_002, 2)))
    tracemalloc.start()
    made = UidSet.parse(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (len(made), made.highest) == (50_000, 100_000)
    assert peak < 2_500_000, "16 octets a range, and a part of the text at a time"
    assert UidSet.parse("9,1:3,2:5,20:18") == UidSet([(1, 5), (9, 9), (18, 20)])
