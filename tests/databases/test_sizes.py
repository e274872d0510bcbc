"""What each database says of its size and its clock."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import func, insert, select

from fmd_otel_exporter.sizes import note_size
from fmd_otel_exporter.writer import Writer

MINUTE_US = 60_000_000


def test_its_clock_shows_the_time_in_microseconds(store):
    with store.read() as connection:
        assert abs(store.dialect.now_us(connection) - time.time_ns() // 1000) < MINUTE_US


def test_every_table_has_a_size(store, record):
    Writer(store).write([record() for _ in range(2000)])
    with store.read() as connection:
        for _ in range(50):  # a server may be merging what it has just got
            before = store.dialect.total_bytes(connection, store.prefix)
            sizes = store.dialect.sizes(connection, store.prefix)
            total = store.dialect.total_bytes(connection, store.prefix)
            if before == total:
                break
    assert {"request", "hits", "lat_hist", "endpoint"} <= set(sizes.tables)
    assert sizes.total_bytes == total > 50_000
    assert all((size.size_bytes or 0) >= 0 for size in sizes.tables.values())
    assert sizes.product.split()[0] in {"SQLite", "PostgreSQL", "MariaDB", "MySQL", "ClickHouse"}
    assert sizes.product.split()[1][0].isdigit()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)
def test_tables_of_a_longer_prefix_are_not_counted(store):
    with store.read() as connection:
        assert store.dialect.sizes(connection, "fm").tables == {}
        assert store.dialect.sizes(connection, "fm_").tables == {}


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)
def test_tables_of_a_prefix_in_other_letters_are_not_counted(store):
    with store.read() as connection:
        assert store.dialect.sizes(connection, "FMD").tables == {}


@pytest.fixture
def large(monkeypatch):
    """Let every file count as large."""
    return lambda: monkeypatch.setattr("fmd_otel_exporter.dialects.sqlite_sizes.MEASURED_BYTES", 0)


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_of_a_large_file_most_is_worked_out_and_little_is_read(store, record, large):
    Writer(store).write([record() for _ in range(3000)])
    with store.read() as connection:
        exact = store.dialect.sizes(connection, store.prefix).tables
        large()
        sizes = store.dialect.sizes(connection, store.prefix)
    assert (exact["request"].rows, exact["request"].estimated) == (3000, False)
    request = sizes.tables["request"]
    assert (request.rows, request.size_bytes, request.estimated) == (None, None, True)
    assert 0.7 < 3000 * request.row_bytes / exact["request"].size_bytes < 1.3
    assert sizes.unmeasured_bytes > exact["request"].size_bytes


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_rows_of_long_texts_weigh_what_they_hold(store, large):
    with store.write() as connection:
        job = store.tables.job
        values = dict.fromkeys(("started_ts", "updated_ts", "done", "total"), 0)
        values |= {"state": "done", "owner": "", "said": ""}
        connection.execute(insert(job), [{"name": str(n), "asked": "x" * 5000, **values} for n in range(20)])
        assert connection.scalar(select(func.count()).select_from(job)) == 20
    large()
    with store.read() as connection:
        size = store.dialect.sizes(connection, store.prefix).tables["job"].size_bytes
    assert 100_000 <= size < 120_000


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
def test_of_rows_with_bytes_more_are_looked_at_than_those_of_the_first_endpoint(store, large):
    with store.write() as connection:
        pack = store.tables.subject_pack
        values = {"kind": 1, "version_id": 1, "part": 0, "latencies": b""}
        rows = [
            {"endpoint_id": endpoint, "day": day, "counts": bytes(10_000 // endpoint), **values}
            for endpoint in (1, 10)
            for day in range(150)
        ]
        connection.execute(insert(pack), rows)
    large()
    with store.read() as connection:
        size = store.dialect.sizes(connection, store.prefix).tables["subject_pack"].size_bytes
    assert 150 * 11_000 <= size < 150 * 11_000 * 1.2


def test_of_each_day_the_last_size_is_kept(store, rows):
    noon_us = 1_800_000_000_000_000 // 86_400_000_000 * 86_400_000_000 + 43_200_000_000
    for now_us in (noon_us, noon_us + 1, noon_us + 86_400_000_000):
        note_size(store, now_us)
    noted = rows(store, "storage_day")
    assert [row["ts"] for row in noted] == [noon_us + 1, noon_us + 86_400_000_000]
    assert all(row["size_bytes"] > 0 for row in noted)
