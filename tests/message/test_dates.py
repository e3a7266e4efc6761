"""Dates in every shape that mail has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from nornmail.message.dates import parse_date
from nornmail.message.message import parse_message
from tests.message.reading import mail
from tests.support.table import table

INSTANT = datetime(2024, 3, 1, 10, 30, 5, tzinfo=UTC)
MINUTE = datetime(2024, 3, 1, 10, 30, tzinfo=UTC)
DAY = datetime(2024, 3, 1, tzinfo=UTC)


@table(
    ("field", "date"),
    [
        pytest.param("Fri,01 Mar 2024 11:30:05+0100", INSTANT, id="no blanks"),
        pytest.param("Fri, 01 Mar 2024 11:30:05 +01:00", INSTANT, id="a colon in the zone"),
        pytest.param("Fri, 01 Mar 2024 11:30:05 GMT+0100", INSTANT, id="GMT and an offset"),
        pytest.param("Fri, 01 Mar 2024 05:30:05 GMT-5", INSTANT, id="an offset in hours"),
        pytest.param("Fri, 01 Mar 2024 11:30:05 +0100 CET", INSTANT, id="two zones"),
        pytest.param("Fri, 01 Mar 2024 11:30:05 CET", INSTANT, id="a European zone"),
        pytest.param("Fri, 01 Mar 2024 19:30:05 JST", INSTANT, id="an Asian zone"),
        pytest.param("Fri, 01 Mar 2024 10:30:05 XYZ", INSTANT, id="an unknown zone"),
        pytest.param("Fri, 01 Mar 2024 16:00:05 +0530 (IST)", INSTANT, id="half an hour"),
        pytest.param("Fri, 01 Mar 2024 07:00:05 -0330 (a (b) c)", INSTANT, id="nested comments"),
        pytest.param("Fri, 1 Mar 2024 10:30", MINUTE, id="no seconds and no zone"),
        pytest.param("Fri, 1 Mar 2024", DAY, id="no time"),
        pytest.param("Friday, 01-Mar-24 10:30:05 GMT", INSTANT, id="RFC 850"),
        pytest.param("Fri Mar  1 10:30:05 2024 +0000", INSTANT, id="ctime and an offset"),
        pytest.param("Fri Mar  1 02:30:05 PST 2024", INSTANT, id="ctime with a zone"),
        pytest.param("Mar 1, 2024 10:30:05 AM", INSTANT, id="morning"),
        pytest.param("Mar 1, 2024 10:30:05 pm +1200", INSTANT, id="evening"),
        pytest.param("March 1, 2024 12:30 AM -1000", MINUTE, id="half past midnight"),
        pytest.param("2024/03/01 10:30:05", INSTANT, id="slashes"),
        pytest.param("2024-03-01T10:30:05.123456Z", INSTANT, id="fractions"),
        pytest.param("2024-03-01T11:30:05+01:00", INSTANT, id="ISO 8601 with an offset"),
        pytest.param("01.03.2024 10:30:05", INSTANT, id="dots"),
        pytest.param("3/1/2024 10:30:05", INSTANT, id="the month first"),
        pytest.param("13/3/2024", datetime(2024, 3, 13, tzinfo=UTC), id="the day must be first"),
        pytest.param("Fr, 01 Mrz 2024 10:30:05 +0000", INSTANT, id="German"),
        pytest.param("ven., 1 mars 2024 10:30:05 +0000", INSTANT, id="French"),
        pytest.param("mar., 1 mars 2024 10:30:05 +0000", INSTANT, id="a weekday like a month"),
        pytest.param("vie, 1 marzo 2024 10:30:05 +0000", INSTANT, id="Spanish"),
        pytest.param("Fri, 1 Mar 124 10:30:05 +0000", INSTANT, id="a year of three digits"),
        pytest.param("1 Mar 49 00:00", datetime(2049, 3, 1, tzinfo=UTC), id="49 is to come"),
        pytest.param("1 Mar 50 00:00", datetime(1950, 3, 1, tzinfo=UTC), id="50 is past"),
        pytest.param("Fri, 01 Mar 2024 10.30.05 +0000", INSTANT, id="dots in the time"),
        pytest.param("Fri, 01 Mar 2024 10 : 30 : 05 +0000", INSTANT, id="blanks in the time"),
        pytest.param("Fri,\t01\tMar 2024   10:30:5 +0000", INSTANT, id="one digit of seconds"),
        pytest.param("Date: Fri, 01 Mar 2024 10:30:05 +0000", INSTANT, id="the name once more"),
        pytest.param("Fri, 01 Mar 2024 59:10 +0000", None, id="an hour that is none"),
        pytest.param("Fri, 30 Feb 2024 10:30:05 +0000", None, id="a day that is none"),
        pytest.param("Fri, 01 2024 10:30:05", None, id="no month"),
        pytest.param("March", None, id="a month alone"),
        pytest.param("10:30:05", None, id="a time alone"),
        pytest.param("((((((", None, id="brackets"),
    ],
)
def test_a_date(field: str, date: datetime | None) -> None:
    found = parse_date(field)
    assert found == date
    assert found is None or isinstance(found.utcoffset(), timedelta)


def test_a_date_that_is_folded_or_encoded() -> None:
    for field in (b"Fri, 01 Mar\r\n 2024 10:30:05 +0000",
                  b"=?us-ascii?Q?Fri,_01_Mar_2024_10=3A30=3A05_+0000?="):  # fmt: skip
        assert parse_message(mail(Date=field)).date == INSTANT


def test_of_two_dates_the_topmost_counts() -> None:
    raw = b"Date: 1 Mar 2024 10:30:05 +0000\nDate: 2 Mar 2024 10:30:05 +0000\n\n"
    assert parse_message(raw).date == INSTANT
