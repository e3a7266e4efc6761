"""Date fields (RFC 5322 section 3.3, and what else is written there) to aware datetimes. Total.

Three shapes are tried: the one that nearly all mail has, ISO 8601, and words and numbers in any
order, of which each shows by itself what it is.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from nornmail.message.limits import MAX_DATE_CHARS

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "jan ene gen janv", "feb fév fev févr fevr", "mar mär mrz mrt maa mars",
            "apr abr avr", "may mai mei mag maj maio mayo", "jun giu juin jui", "jul lug juil",
            "aug ago aoû aou août aout", "sep set sept", "oct okt ott out", "nov",
            "dec dez dic dét des déc",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
"""The first letters, in the languages in which programs write them in spite of RFC 5322."""

_ZONES: Final = {
    "UT": 0, "UTC": 0, "GMT": 0, "Z": 0, "WET": 0,
    "EST": -300, "EDT": -240, "CST": -360, "CDT": -300, "MST": -420, "MDT": -360,
    "PST": -480, "PDT": -420, "AKST": -540, "AKDT": -480, "HST": -600, "AST": -240, "ADT": -180,
    "BST": 60, "WEST": 60, "CET": 60, "MET": 60, "MEZ": 60, "CEST": 120, "MEST": 120, "MESZ": 120,
    "EET": 120, "EEST": 180, "MSK": 180, "MSD": 240, "SAST": 120, "PKT": 300, "HKT": 480,
    "SGT": 480, "AWST": 480, "JST": 540, "KST": 540, "ACST": 570, "AEST": 600, "AEDT": 660,
    "NZST": 720, "NZDT": 780,
}  # fmt: skip
"""Minutes east of UTC. A name that two continents use, such as IST, is left out: see below."""

_USUAL = re.compile(
    r"(?:[A-Za-z]{3},[ \t]*)?(\d{1,2})[ \t]+([A-Za-z]{3})[ \t]+(\d{4})[ \t]+"
    r"(\d\d):(\d\d)(?::(\d\d))?[ \t]+([+-])(\d\d)(\d\d)(?!\d)",
    re.ASCII,
)
_ISO = re.compile(r"\s*(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)", re.ASCII)
_NUMBERS = re.compile(r"(?<!\d)(\d{1,2})([-/.])(\d{1,2})\2(\d{4}|\d\d)(?!\d)", re.ASCII)
_TIME = re.compile(
    r"(?<![\d:+-])(\d{1,2})\s{0,9}:\s{0,9}(\d{1,2})"
    r"(?:\s{0,9}[:.]\s{0,9}(\d{1,2})(?:[.,]\d{1,9})?)?(?![\d:])\s*([AaPp]\.?[Mm]\b)?",
    re.ASCII,
)
_DOTTED_TIME = re.compile(r"(?<![\d.+-])(\d\d)\.(\d\d)(?:\.(\d\d))?(?![\d.])()", re.ASCII)
_OFFSET = re.compile(r"(?:\b(?:GMT|UTC?))?\s*([+-])\s*(\d{1,2}):?(\d\d)?(?!\d)", re.ASCII)
_LATE_YEAR = re.compile(r"\s*([A-Za-z]{1,5}\s+)?(\d{4})(?!\d)", re.ASCII)
_ZONE = re.compile(r"[A-Za-z]{1,5}\b")
_COMMENT = re.compile(r"\([^()]*\)?")
_PIECE = re.compile(r"[^\W\d_]+|\d+|'\d\d")

_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 9998
"""One short of what datetime holds, so that converting to another zone cannot overflow."""
_MINUTES_OF_A_DAY: Final = 24 * 60


def parse_date(value: str) -> datetime | None:
    """The instant that ``value`` names, ``None`` when it names none.

    No zone, ``-0000`` or one that is not known means UTC. Years of two digits are those of RFC 5322
    section 4.3. Months may be named in several languages. A date in numbers alone begins with the
    day, unless only the month can.
    """
    value = value[:MAX_DATE_CHARS]
    usual = _USUAL.match(value)
    try:
        instant = _from_usual(usual) if usual else _from_other(value)
    except (ValueError, OverflowError):  # a day, an hour or an offset that does not exist
        return None
    return instant if instant and _FIRST_YEAR <= instant.year <= _LAST_YEAR else None


def _from_usual(usual: re.Match[str]) -> datetime:
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = usual.groups()
    offset = int(zone_hours) * 60 + int(zone_minutes)
    return datetime(
        int(year),
        _month(month),
        int(day),
        int(hour),
        int(minute),
        min(int(second or 0), 59),  # a leap second
        tzinfo=_zone(-offset if sign == "-" else offset),
    )


@lru_cache(maxsize=128)
def _zone(minutes: int) -> timezone:
    is_known = 0 < abs(minutes) < _MINUTES_OF_A_DAY
    return timezone(timedelta(minutes=minutes)) if is_known else UTC


def _month(word: str) -> int:
    """The number of a month by its name, in full or cut short; 0 for other words."""
    word = word.lower()
    if word in _MONTHS:
        return _MONTHS[word]
    return next((_MONTHS[word[:n]] for n in (len(word), 4, 3) if word[:n] in _MONTHS), 0)


def _from_other(value: str) -> datetime | None:
    value = _COMMENT.sub(" ", value)
    iso = _ISO.match(value)
    if iso:
        value = value[iso.end() :].replace("T", " ", 1)
    time = _TIME.search(value) or _DOTTED_TIME.search(value)
    before, after = (value[: time.start()], value[time.end() :]) if time else (value, "")
    late = _LATE_YEAR.match(after)
    if late:  # ctime puts the year behind the time, some behind the zone
        after = (late[1] or "") + after[late.end() :]
    if iso:
        day = (int(iso[1]), int(iso[2]), int(iso[3]))
    else:
        words = _day(before, late[2] if late else "")
        if words is None:
            return None
        day = words
    hour, minute, second = _clock(time) if time else (0, 0, 0)
    return datetime(*day, hour, minute, min(second, 59), tzinfo=_zone(_offset(after)))


def _clock(time: re.Match[str]) -> tuple[int, int, int]:
    hour = int(time[1])
    if time[4]:
        hour = hour % 12 + (12 if time[4][0] in "pP" else 0)
    return hour, int(time[2]), int(time[3] or 0)


def _offset(text: str) -> int:
    """Minutes east of UTC, from what stands behind the time."""
    offset = _OFFSET.match(text.lstrip())
    if offset:
        digits = offset[2] + (offset[3] or "00")
        minutes = int(digits[:-2]) * 60 + int(digits[-2:])
        return -minutes if offset[1] == "-" else minutes
    name = _ZONE.match(text.lstrip())
    return _ZONES.get(name[0].upper(), 0) if name else 0


def _day(text: str, late_year: str) -> tuple[int, int, int] | None:
    """Year, month and day; ``late_year`` is one that stands behind the time."""
    numbers = _NUMBERS.search(text)
    if numbers:
        first, second, year = int(numbers[1]), int(numbers[3]), _year(numbers[4])
        is_american = second > 12 or (numbers[2] == "/" and first <= 12)
        return (year, first, second) if is_american else (year, second, first)
    month = 0
    digits: list[str] = []
    for piece in _PIECE.findall(text):
        if piece[-1].isdigit():
            digits.append(piece.lstrip("'"))
        else:
            # The last word counts: in French and Italian Tuesday is "mar".
            month = _month(piece) or month
    if len(digits) == 1 and late_year:
        digits.append(late_year)
    if not month or len(digits) < 2:
        return None
    if len(digits[0]) == 4:  # the year goes first
        digits[:2] = [digits[1], digits[0]]
    return _year(digits[1]), month, int(digits[0])


def _year(digits: str) -> int:
    """RFC 5322 section 4.3: what programs with years of two digits, or of three, meant."""
    year = int(digits)
    if len(digits) >= 4:
        return year
    return year + (2000 if len(digits) <= 2 and year < 50 else 1900)
