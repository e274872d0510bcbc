"""Sums that are wrong, for whatever reason, are made anew from the requests that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, insert

from fmd_otel_exporter.rebuilding import hours_to_compare, rebuild
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US


@pytest.fixture
def mended(store: Store) -> Callable[..., int]:
    """Rebuild, and return how many hours were wrong."""

    def run(*ends: int) -> int:
        return sum(hour.rebuilt for hour in rebuild(store, hours_to_compare(store, *ends)))

    return run


@pytest.fixture
def written(store: Store, record, noon_us) -> None:
    """Three hours of requests to two endpoints, whose day is summed up."""
    for hour in range(3):
        Writer(store).write(
            [
                record(
                    ts_us=noon_us + hour * HOUR_US + minute * 60_000_000,
                    endpoint=f"e{minute % 2}",
                    duration_us=1000 * (minute + 1),
                    status=500 if minute % 5 == 0 else 200,
                )
                for minute in range(0, 60, 4)
            ]
        )
    compact_days(store, now_ts_us=noon_us + 2 * DAY_US)


@pytest.mark.usefixtures("written")
def test_sums_that_are_right_are_left_alone(see, mended):
    before = see.rows("hits"), see.rows("lat_hist"), see.rows("rollup_day")
    assert mended() == 0
    assert (see.rows("hits"), see.rows("lat_hist"), see.rows("rollup_day")) == before


@pytest.mark.usefixtures("written")
def test_sums_that_are_missing_doubled_or_of_nothing_are_made_right(store: Store, see, mended, noon_us):
    names = ("hits", "lat_hist", "hits_day", "lat_hist_day")
    before = [see.rows(name) for name in names]
    hits, lat_hist, noon = store.tables.hits, store.tables.lat_hist, noon_us // 1_000_000
    with store.write() as connection:
        connection.execute(delete(lat_hist).where(lat_hist.c.bucket == noon))
    row = next(row for row in before[0] if row["bucket"] >= noon + 3600)
    with store.write() as connection:
        connection.execute(delete(hits).where(*(column == row[column.name] for column in hits.primary_key)))
    with store.write() as connection:
        connection.execute(insert(hits).values(row | {"n": 2 * row["n"], "sum_us": 2 * row["sum_us"]}))
    with store.write() as connection:
        connection.execute(insert(lat_hist).values(before[1][0] | {"bucket": noon + 3600, "bkt": 3, "n": 7}))
    compact_days(store, now_ts_us=noon_us + 2 * DAY_US)
    assert [see.rows(name) for name in names] != before
    assert mended() == 2
    compact_days(store, now_ts_us=noon_us + 2 * DAY_US)
    assert [see.rows(name) for name in names] == before
    assert mended() == 0


@pytest.mark.usefixtures("written")
def test_only_the_hours_asked_for_are_compared(store: Store, see, mended, noon_us):
    hits, noon = store.tables.hits, noon_us // 1_000_000
    before = see.rows("hits")
    with store.write() as connection:
        connection.execute(delete(hits).where(hits.c.bucket >= noon, hits.c.bucket < noon + 3 * 3600))
    assert mended(noon + 3600, noon + 7200) == 1
    assert see.rows("hits") == [row for row in before if noon + 3600 <= row["bucket"] < noon + 7200]
    assert mended() == 2
    assert see.rows("hits") == before


@pytest.mark.usefixtures("written")
def test_sums_whose_requests_are_gone_are_left_alone(store: Store, see, mended, noon_us, record):
    for _ in prune(store, Retention(raw_days=1).cutoffs(noon_us + DAY_US + HOUR_US + HOUR_US // 2)):
        pass
    Writer(store).write([record(ts_us=noon_us + DAY_US)])
    before = see.rows("hits"), see.rows("lat_hist")
    assert len(see.rows("request")) < sum(row["n"] for row in before[0])
    assert mended() == 0
    assert (see.rows("hits"), see.rows("lat_hist")) == before


@pytest.mark.usefixtures("written")
def test_sums_whose_requests_are_gone_are_left_alone_also_where_some_have_come_late(
    store: Store, see, mended, noon_us, record
):
    for _ in prune(store, Retention(raw_days=1).cutoffs(noon_us + DAY_US + HOUR_US + HOUR_US // 2)):
        pass
    Writer(store).write([record(ts_us=noon_us + hours * HOUR_US, duration_us=9) for hours in (-40, -2, 0, 1)])
    before = see.rows("hits"), see.rows("lat_hist")
    assert mended(0) == mended() == 0
    assert (see.rows("hits"), see.rows("lat_hist")) == before


def test_an_hour_that_lost_its_first_minutes_is_left_alone(store: Store, see, mended, noon_us, record):
    Writer(store).write([record(ts_us=noon_us + n * 60_000_000) for n in range(30)])
    request = store.tables.request
    with store.write() as connection:
        connection.execute(delete(request).where(request.c.ts < noon_us + HOUR_US // 4))
    before = see.rows("hits")
    assert mended() == 0
    assert see.rows("hits") == before


@pytest.mark.usefixtures("written")
def test_of_an_hour_asked_for_by_itself_too_large_sums_are_made_right_as_well(
    store: Store, see, mended, noon_us
):
    hits, noon = store.tables.hits, noon_us // 1_000_000
    before = see.rows("hits")
    row = next(row for row in before if row["bucket"] >= noon + 3600)
    with store.write() as connection:
        connection.execute(delete(hits).where(*(column == row[column.name] for column in hits.primary_key)))
    with store.write() as connection:
        connection.execute(insert(hits).values(row | {"n": 2 * row["n"]}))
    assert mended(noon + 3600, noon + 7200) == 1
    assert see.rows("hits") == before


def test_the_last_microsecond_of_an_hour_is_of_that_hour(store: Store, see, mended, noon_us, record):
    Writer(store).write([record(ts_us=noon_us + n * HOUR_US - 1) for n in range(1, 5)])
    before = see.rows("hits"), see.rows("lat_hist")
    assert mended() == 0
    assert (see.rows("hits"), see.rows("lat_hist")) == before


def test_days_without_requests_take_no_time(store: Store, record, noon_us):
    times = (HOUR_US, noon_us - 30 * DAY_US, noon_us)
    Writer(store).write([record(ts_us=time) for time in times])
    hours = hours_to_compare(store)
    assert {time // HOUR_US * 3600 for time in times} <= {*hours}
    assert hours == sorted(hours)
    assert len(hours) <= 3 * 24


@pytest.mark.usefixtures("written")
def test_sums_of_a_day_without_requests_are_compared_as_well(store: Store, see, mended, noon_us):
    hits, before = store.tables.hits, see.rows("hits")
    other_day = noon_us // 1_000_000 + 86_400
    with store.write() as connection:
        connection.execute(insert(hits).values(before[0] | {"bucket": other_day}))
    assert mended() == 1
    assert see.rows("hits") == before


def test_an_empty_database_has_no_hours(store: Store):
    assert hours_to_compare(store) == []
