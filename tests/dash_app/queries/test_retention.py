"""What pages still know once finer rows are gone."""

from __future__ import annotations

import pytest

from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.hourly import hourly
from fmd_otel_dash.queries.overview import overview
from fmd_otel_dash.queries.performance import performance
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.status import status_codes
from fmd_otel_dash.queries.timeline import timeline
from fmd_otel_dash.queries.versions import deployments, utilization
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.rollups import compact_days

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
PER_DAY = 24


@pytest.fixture
def now(at):
    return at(2026, 11, 22, 12)


@pytest.fixture
def pruned(store, now, request_at, write):
    """A request every hour for 20 days; raw rows of 5 days are kept, finer sums of 10, of days all."""
    write(*(request_at(now - hours * HOUR - HOUR // 2) for hours in range(20 * PER_DAY)))
    compact_days(store, now_ts_us=now)
    for _ in prune(store, Retention(raw_days=5, hourly_days=10).cutoffs(now)):
        pass
    return store


def test_a_range_of_all_days_is_still_counted_whole(pruned, now):
    everything = Scope(now - 30 * DAY, now)

    assert overview(pruned, everything, None, now).kpis.n == 20 * PER_DAY
    assert daily(pruned, everything).total == 20 * PER_DAY
    assert utilization(pruned, everything).totals == (20 * PER_DAY,)
    assert deployments(pruned, everything).n == 20 * PER_DAY
    assert performance(pruned, everything, None).n == 20 * PER_DAY
    assert status_codes(pruned, everything).total == 20 * PER_DAY
    assert timeline(pruned, everything).counts.n == 20 * PER_DAY


@pytest.mark.parametrize("zone", ["UTC", "Europe/Amsterdam", "America/New_York", "Asia/Kolkata"])
def test_days_are_those_of_the_zone_as_far_as_hours_are_left_and_of_utc_before(pruned, now, zone):
    found = daily(pruned, Scope(now - 18 * DAY, now, zone))

    per_day = dict(zip(found.days, found.endpoints[0].n, strict=True))
    assert all(n >= PER_DAY - 12 for n in list(per_day.values())[1:-1])
    assert abs(found.total - 18 * PER_DAY) <= 12


def test_an_end_where_raw_rows_are_gone_is_right_to_the_hour(pruned, now):
    found = overview(pruned, Scope(now - 7 * DAY - 20 * 60 * 1_000_000, now), None, now)

    assert abs(found.kpis.n - 7 * PER_DAY) <= 1
    assert found.kpis.p95_us is not None


def test_an_end_where_raw_rows_are_gone_is_not_counted_from_those_that_came_late(
    pruned, now, request_at, write
):
    midnight = (now - 6 * DAY) // DAY * DAY
    range_ = Scope(midnight, midnight + 12 * HOUR + 40 * 60 * 1_000_000)
    assert overview(pruned, range_, None, now).kpis.n == 13
    write(request_at(midnight - DAY))
    assert overview(pruned, range_, None, now).kpis.n == 13
    write(request_at(range_.end_us - 60 * 1_000_000))
    assert overview(pruned, range_, None, now).kpis.n == 14


def test_hours_that_are_gone_are_gaps_and_counted_as_such(pruned, now):
    found = hourly(pruned, Scope(now - 15 * DAY, now))

    assert found.days_without_hours == 5
    first_column = [row[1] for row in found.n]
    last_column = [row[-2] for row in found.n]
    assert first_column == [None] * 24
    assert last_column == [1] * 24
    assert len(found.columns) == 16


def test_a_chart_over_days_of_which_only_sums_are_left_has_steps_of_days(pruned, now):
    old = Scope(now - 19 * DAY, now - 12 * DAY)

    assert timeline(pruned, old).step_s == 86_400
    assert status_codes(pruned, old).step_s == 86_400
    (row,) = overview(pruned, old, None, now).endpoints
    assert all(rate == pytest.approx(1, abs=0.6) for rate in row.sparkline)


def test_a_few_hours_of_which_no_raw_rows_are_left_are_read_from_their_sums(pruned, now):
    line = timeline(pruned, Scope(now - 7 * DAY - 4 * HOUR, now - 7 * DAY))

    assert line.counts.n == 4
    assert sum(n for point in line.points for _, n in point.latency) == 4


def test_the_newest_request_is_found_when_only_sums_of_days_are_left(store, now, request_at, write):
    write(request_at(now - 40 * DAY))
    compact_days(store, now_ts_us=now)
    for _ in prune(store, Retention(raw_days=5, hourly_days=10).cutoffs(now)):
        pass

    page = overview(store, Scope(now - DAY, now), None, now)

    assert not page.nothing_recorded
    assert now - 41 * DAY <= page.last_recorded_us <= now - 39 * DAY
