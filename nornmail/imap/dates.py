"""INTERNALDATE: when the server received a message (RFC 3501, section 9, ``date-time``)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

from nornmail.clock import instant

_MONTHS = (b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov")
_MONTH = {name: index for index, name in enumerate((*_MONTHS, b"dec"), start=1)}
_DATE_TIME = re.compile(
    rb"[ \t]*([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})[ \t]+"
    rb"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:[ \t]+([+-])([0-9]{2})([0-9]{2}))?[ \t]*"
)


def write_internal_date(seconds: float) -> bytes:
    """An instant, in seconds since 1970 UTC, as ``date-time`` without its quotes."""
    when = instant(seconds)
    month = [*_MONTHS, b"dec"][when.month - 1].title()
    clock = f"{when:%H:%M:%S}".encode("ascii")
    return b"%02d-%s-%04d %s +0000" % (when.day, month, when.year, clock)


def internal_date(raw: bytes) -> float | None:
    """Seconds since 1970 UTC, or ``None`` for what is no date; a missing zone counts as UTC.

    Servers send ``00-Jan-0000``, and that is no reason to lose a message.
    """
    found = _DATE_TIME.fullmatch(raw)
    if found is None:
        return None
    day, month, year, hour, minute, second, sign, hours, minutes = found.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        local = datetime(
            int(year),
            _MONTH.get(month.lower(), 0),
            int(day),
            int(hour),
            int(minute),
            min(int(second), 59),  # A leap second has no datetime.
            tzinfo=timezone(-offset if sign == b"-" else offset),
        )
        return local.astimezone(UTC).timestamp()
    except (ValueError, OverflowError):
        return None
