from __future__ import annotations

from datetime import date

import pytest

from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.hourly import hourly
from fmd_otel_dash.queries.scope import Scope, midnight_us, next_midnight_us

HOUR = 3600 * 1_000_000


def local_day(at, zone, year, month, day):
    """Return the scope of one whole local day."""
    noon = at(year, month, day, 12)
    zone_info = Scope(0, 0, zone).zone
    return Scope(midnight_us(noon, zone_info), next_midnight_us(noon, zone_info), zone)


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("UTC", (2026, 3, 29), 24),
        ("Europe/Amsterdam", (2026, 3, 29), 23),
        ("Europe/Amsterdam", (2026, 10, 25), 25),
        ("America/New_York", (2026, 3, 8), 23),
        ("America/New_York", (2026, 11, 1), 25),
        ("Asia/Kolkata", (2026, 3, 29), 24),
        # Lord Howe Island moves its clocks by half an hour.
        ("Australia/Lord_Howe", (2026, 4, 5), 24.5),
        ("Australia/Lord_Howe", (2026, 10, 4), 23.5),
    ],
)
def test_a_day_is_as_long_as_the_clocks_make_it(store, at, zone, day, hours):
    scope = local_day(at, zone, *day)

    assert daily(store, scope).hours == (hours,)
    by_hour = hourly(store, scope)
    assert by_hour.columns == (date(*day),)
    assert sum(minutes for (minutes,) in by_hour.minutes) == hours * 60


def test_the_hour_that_is_skipped_in_spring_is_a_gap_and_not_a_zero(store, at, request_at, write):
    # At 02:00 in Amsterdam, 01:00 UTC, it becomes 03:00.
    write(request_at(at(2026, 3, 29, 0, 59)), request_at(at(2026, 3, 29, 1, 0)))

    by_hour = hourly(store, local_day(at, "Europe/Amsterdam", 2026, 3, 29))

    assert by_hour.n[1] == (1,)
    assert by_hour.n[2] == (None,)
    assert by_hour.n[3] == (1,)
    assert by_hour.n[4] == (0,)


def test_the_hour_that_comes_twice_in_autumn_holds_both_and_says_so(store, at, request_at, write):
    # At 03:00 in Amsterdam, 01:00 UTC, it becomes 02:00 again.
    write(request_at(at(2026, 10, 25, 0, 30)), request_at(at(2026, 10, 25, 1, 30)))

    by_hour = hourly(store, local_day(at, "Europe/Amsterdam", 2026, 10, 25))

    assert by_hour.n[2] == (2,)
    assert by_hour.minutes[2] == (120,)
    assert by_hour.minutes[3] == (60,)


def test_half_an_hour_comes_twice_on_lord_howe_island(store, at, request_at, write):
    # At 02:00 on 5 April 2026, 15:00 UTC of the 4th, it becomes 01:30 again.
    write(*(request_at(at(2026, 4, 4, hour, minute)) for hour, minute in ((14, 45), (15, 15), (15, 30))))

    by_hour = hourly(store, local_day(at, "Australia/Lord_Howe", 2026, 4, 5))

    assert (by_hour.n[1], by_hour.minutes[1]) == ((2,), (90,))
    assert (by_hour.n[2], by_hour.minutes[2]) == ((1,), (60,))


@pytest.mark.parametrize(
    ("zone", "utc", "hour", "day"),
    [
        ("Asia/Kolkata", (2026, 11, 21, 18, 30), 0, date(2026, 11, 22)),
        ("Asia/Kolkata", (2026, 11, 21, 18, 29), 23, date(2026, 11, 21)),
        ("Asia/Kathmandu", (2026, 11, 21, 18, 15), 0, date(2026, 11, 22)),
        ("America/New_York", (2026, 11, 22, 4, 59), 23, date(2026, 11, 21)),
        ("America/New_York", (2026, 11, 22, 5, 0), 0, date(2026, 11, 22)),
    ],
)
def test_a_request_stands_where_the_zones_clock_stood(store, at, request_at, write, zone, utc, hour, day):
    write(request_at(at(*utc)))

    by_hour = hourly(store, Scope(at(2026, 11, 20), at(2026, 11, 24), zone))

    assert by_hour.n[hour][by_hour.columns.index(day)] == 1
    assert by_hour.total == 1


def test_hours_outside_the_range_are_gaps(store, at):
    by_hour = hourly(store, Scope(at(2026, 11, 21, 22), at(2026, 11, 22, 1, 30)))

    assert [row[0] for row in by_hour.n[20:]] == [None, None, 0, 0]
    assert [row[1] for row in by_hour.n[:4]] == [0, 0, None, None]
    assert [row[1] for row in by_hour.minutes[:3]] == [60, 30, 0]


def test_a_year_is_shown_by_weeks(store, at, request_at, write):
    write(request_at(at(2026, 11, 22, 9)), request_at(at(2026, 11, 16, 9)))

    by_hour = hourly(store, Scope(at(2025, 11, 22), at(2026, 11, 23)))

    assert by_hour.by_week
    assert all(column.weekday() == 0 for column in by_hour.columns)
    assert by_hour.n[9][by_hour.columns.index(date(2026, 11, 16))] == 2
    assert len(by_hour.columns) * 24 <= 2000


def test_a_day_that_a_zone_skipped_is_still_a_column(store, at):
    # Samoa went from 29 to 31 December 2011 to be on the other side of the date line.
    by_hour = hourly(store, Scope(at(2011, 12, 29, 12), at(2011, 12, 31, 12), "Pacific/Apia"))

    assert date(2011, 12, 30) in by_hour.columns
