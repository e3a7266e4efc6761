"""Date fields (RFC 5322 section 3.3, and what else is written there) to aware datetimes. Total."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from typing import Final

from nornmail.message.limits import MAX_DATE_CHARS

_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), 1
    )
}
_USUAL = re.compile(
    r"(?:[A-Za-z]{3},[ \t]*)?(\d{1,2})[ \t]+([A-Za-z]{3})[ \t]+(\d{4})[ \t]+"
    r"(\d\d):(\d\d)(?::(\d\d))?[ \t]+([+-])(\d\d)(\d\d)",
    re.ASCII,
)
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 9998
"""One short of what datetime holds, so that converting to another zone cannot overflow."""


def parse_date(value: str) -> datetime | None:
    """The instant that ``value`` names, ``None`` when it names none.

    No zone, ``-0000`` or one that does not exist means UTC.
    """
    value = value[:MAX_DATE_CHARS]
    usual = _USUAL.match(value)
    try:
        found = _from_usual(usual) if usual else _from_other(value)
    except (ValueError, OverflowError, TypeError, IndexError, KeyError, AttributeError):
        # The standard library's reader raises several of these on broken dates.
        return None
    return found if found and _FIRST_YEAR <= found.year <= _LAST_YEAR else None


def _from_usual(found: re.Match[str]) -> datetime:
    day, month, year, hour, minute, second, sign, zone_hours, zone_minutes = found.groups()
    offset = int(zone_hours) * 60 + int(zone_minutes)
    return datetime(
        int(year),
        _MONTHS[month.lower()],
        int(day),
        int(hour),
        int(minute),
        min(int(second or 0), 59),  # a leap second
        tzinfo=_zone(-offset if sign == "-" else offset),
    )


def _zone(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes)) if 0 < abs(minutes) < 24 * 60 else UTC


def _from_other(value: str) -> datetime | None:
    fields = parsedate_tz(value)
    if fields is not None:
        year, month, day, hour, minute, second = fields[:6]
        zone = _zone((fields[9] or 0) // 60)
        return datetime(year, month, day, hour, minute, min(second, 59), tzinfo=zone)
    found = datetime.fromisoformat(value.strip())
    return found if found.tzinfo else found.replace(tzinfo=UTC)
