"""What the storage page knows of the database."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import insert

from fmd_otel_dash.queries.growth import growth, project
from fmd_otel_dash.queries.storage import completed, storage
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.sizes import Sizes, TableSize
from fmd_otel_exporter.writer import Writer

S = 1_000_000
HOUR = 3600 * S
DAY = 24 * HOUR
NOW = 1_800_000_000 * S
MB = 1_000_000


def requests(*moments):
    return [
        RequestRecord(
            "shop", "shop.cart", us, n.to_bytes(8, "big"), n.to_bytes(16, "big"), 5, 200, "GET", "1"
        )
        for n, us in enumerate(moments, 1)
    ]


def test_an_empty_database_is_described_without_numbers(store):
    found = storage(store, NOW)
    assert (found.raw_rows, found.rate_per_s, found.requests_per_day, found.bytes_per_request) == (0, 0, 0, 0)
    assert (found.oldest.raw_us, found.oldest.hourly_us, found.oldest.daily_us) == (None, None, None)
    assert found.history == ()
    assert found.total_bytes


def test_requests_are_counted_where_they_are_summed_up(store):
    Writer(store).write(requests(NOW - 3 * DAY, NOW - 3 * DAY + 5, NOW - DAY, NOW - HOUR // 2, NOW - S))
    found = storage(store, NOW)
    assert (found.raw_rows, found.rate_per_s) == (5, 2 / 3600)
    assert found.oldest.raw_us == NOW - 3 * DAY
    assert found.oldest.hourly_us == (NOW - 3 * DAY) // (HOUR // 4) * (HOUR // 4)
    assert len(found.days) == 30
    assert (found.requests[-4], found.requests[-2], found.requests[-1]) == (2, 1, 2)
    assert found.requests_per_day == 1.5
    sizes = {table.name: table for table in found.tables}
    assert (sizes["request"].label, sizes["request"].rows) == ("Requests", 5)
    assert [table.size_bytes for table in found.tables] == sorted(
        (table.size_bytes for table in found.tables), reverse=True
    )


def test_what_was_measured_is_the_history(store):
    with store.write() as connection:
        for days_ago in (2, 1):
            day = (NOW // S // 86_400 - days_ago) * 86_400
            row = {"day": day, "ts": NOW, "size_bytes": 1000 - days_ago}
            connection.execute(insert(store.tables.storage_day).values(row))
    assert [size for _, size in storage(store, NOW).history] == [998, 999]


def test_tables_that_nobody_measured_share_what_is_left():
    request, day = TableSize(None, None, row_bytes=70), TableSize(None, None, row_bytes=30)
    sizes = Sizes("SQLite", 10_000, unmeasured_bytes=9000, tables={"request": request, "subject_day": day})
    found = completed(sizes, raw_rows=100)
    assert (found["request"].rows, found["request"].size_bytes) == (100, 7000)
    assert (found["subject_day"].rows, found["subject_day"].size_bytes) == (66, 2000)
    alone = completed(
        Sizes("SQLite", 10_000, unmeasured_bytes=9000, tables={"request": request}), raw_rows=100
    )
    assert alone["request"].size_bytes == 9000
    empty = completed(
        Sizes("SQLite", 10_000, unmeasured_bytes=0, tables={"subject_day": TableSize(None, None)}), raw_rows=0
    )
    assert empty["subject_day"].rows is None


@pytest.mark.parametrize(
    ("history", "per_day", "measured"),
    [
        ([], 1000 * 50, False),
        ([(100, 5 * MB)], 1000 * 50, False),
        ([(100, 5 * MB), (101, 6 * MB)], 1000 * 50, False),
        ([(100, 5 * MB), (102, 9 * MB)], 2 * MB, True),
        ([(10, 0), (90, 5 * MB), (100, 6 * MB)], 0.1 * MB, True),
        ([(100, 9 * MB), (104, 5 * MB)], -1 * MB, True),
    ],
)
def test_growth_is_measured_where_there_is_a_history(history, per_day, measured):
    found = growth(history, 1000, 50)
    assert (found.per_day_bytes, found.measured) == (per_day, measured)


def test_without_traffic_or_history_nobody_knows():
    assert growth([], 0, 0) is None


def test_a_database_grows_until_retention_takes_as_much_as_comes():
    found = project(10 * MB, MB, raw_days=14, kept_days=4, disk_free_bytes=None)
    assert (found.sizes[0], found.sizes[5], found.sizes[10], found.sizes[30]) == (
        10 * MB, 15 * MB, 20 * MB, 20 * MB,
    )  # fmt: skip
    assert (found.levels_off_days, found.full_days) == (10, None)


def test_one_that_keeps_everything_fills_the_disk():
    found = project(10 * MB, MB, raw_days=0, kept_days=4, disk_free_bytes=90 * MB)
    assert (found.levels_off_days, found.full_days) == (None, 90)


def test_a_disk_that_lasts_until_it_levels_off_lasts():
    assert project(1, MB, raw_days=30, kept_days=0, disk_free_bytes=31 * MB).full_days is None
    assert project(1, MB, raw_days=30, kept_days=0, disk_free_bytes=29 * MB).full_days == 29


@given(
    st.integers(0, 10**15), st.floats(-1e12, 1e12), st.integers(0, 36_500), st.floats(0, 40_000),
    st.none() | st.integers(0, 10**15),
)  # fmt: skip
@example(0, 2.2e-311, 0, 0.0, 1)
def test_a_projection_never_shrinks_and_begins_today(size, per_day, raw_days, kept_days, free):
    found = project(size, per_day, raw_days=raw_days, kept_days=kept_days, disk_free_bytes=free)
    assert found.sizes[0] == size
    assert list(found.sizes) == sorted(found.sizes)
    assert found.full_days is None or found.full_days >= 0
