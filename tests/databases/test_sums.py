"""What the sums promise, whatever the database: they equal the raw rows, at any time and after anything."""

from __future__ import annotations

import threading
from collections import Counter
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from fmd_otel_exporter.catalog import load_levels, set_level
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.rollups import GRACE_S, compact_days
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.writer import Writer, WriteResult
from tests.databases.conftest import empty
from tests.ending import end

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel_exporter.store import Store

DAY_S = 86_400
DAY_US = DAY_S * 1_000_000
MIDNIGHT_US = 1_790_121_600_000_000
"""2026-09-23 00:00 UTC."""


def added_up(rows: Iterable[Any], width_s: int) -> tuple[dict[Any, Any], dict[Any, int]]:
    """Return what raw rows come to, by the keys of the sums of requests and of latencies."""
    hits: dict[Any, list[int]] = {}
    latencies: Counter[Any] = Counter()
    for row in rows:
        hour_s = 3600 if width_s < DAY_S else width_s
        start, hour = (row.ts // (each * 1_000_000) * each for each in (width_s, hour_s))
        us = row.duration
        n, total, least, most = hits.get((row.endpoint_id, start, row.version_id, row.status), (0, 0, us, us))
        hits[row.endpoint_id, start, row.version_id, row.status] = (
            n + 1, total + us, min(least, us), max(most, us))  # fmt: skip
        latencies[row.endpoint_id, hour, row.version_id, row.bkt] += 1
    return hits, dict(latencies)


def check(store: Store) -> int:
    """Hold the sums against the raw rows; return how many rows there are."""
    t = store.tables
    with store.read() as connection:
        raw = connection.execute(select(t.request)).all()
        days = set(connection.scalars(select(t.rollup_day.c.day)))
        found = {
            name: {tuple(row[:4]): row[4:] for row in connection.execute(select(getattr(t, name)))}
            for name in ("hits", "lat_hist", "hits_day", "lat_hist_day")
        }
    hits, latencies = added_up(raw, 900)
    assert {key: tuple(values) for key, values in found["hits"].items()} == hits
    assert {key: values[0] for key, values in found["lat_hist"].items()} == latencies
    closed_hits, closed_latencies = added_up((r for r in raw if r.ts // DAY_US * DAY_S in days), DAY_S)
    registered = {key: tuple(v) for key, v in found["hits_day"].items() if key[1] in days}
    assert registered == closed_hits
    assert {k: v[0] for k, v in found["lat_hist_day"].items() if k[1] in days} == closed_latencies
    return len(raw)


requests = st.builds(
    RequestRecord,
    service=st.sampled_from(["shop", "naïve ☃"]),
    endpoint=st.sampled_from(["cart", "CART", "cart ", "pay\0"]),
    ts_us=st.integers(MIDNIGHT_US - 2 * DAY_US, MIDNIGHT_US + DAY_US) | st.sampled_from([-5, 0, 2**63 - 1]),
    span_id=st.integers(0, 40).map(lambda n: n.to_bytes(8, "big")),
    trace_id=st.integers(0, 3).map(lambda n: n.to_bytes(16, "big")),
    duration_us=st.integers(-1, 10**7) | st.sampled_from([2**31, 2**40, 2**63]),
    status=st.sampled_from([0, 200, 204, 404, 500, 599, 999, 1000, -1, HTTPStatus.NOT_FOUND]),
    method=st.sampled_from(["GET", "PROPFIND" * 9]),
    version=st.sampled_from(["1", "2"]),
    group_by=st.sampled_from([None, "", "ada", "ada ", "\U0001f600"]),
    ip=st.sampled_from([None, "::1"]),
    headers_us=st.sampled_from([None, 1, 10**6]),
    level=st.sampled_from([1, 1, 1, 0, 3]),
)
batches = st.lists(requests, min_size=1, max_size=30)
steps = st.lists(batches | st.sampled_from(["again", "compact"]), min_size=1, max_size=8)


@given(steps)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)
def test_sums_equal_the_raw_rows_after_any_traffic(store: Store, plan: list[Any]):
    empty(store)
    writer = Writer(store)
    sent: list[list[RequestRecord]] = []
    rows: set[Any] = set()
    for step in plan:
        if step == "compact":
            compact_days(store, now_ts_us=MIDNIGHT_US + GRACE_S * 1_000_000)
        elif step == "again":
            for batch in sent:
                assert writer.write(batch).written == 0
        else:
            before = check(store)
            result = writer.write(step)
            assert result.written + result.duplicate == len(step)
            assert check(store) - before <= result.written
            sent.append(step)
            rows.update(id(record) for record in step)
    compact_days(store, now_ts_us=MIDNIGHT_US + GRACE_S * 1_000_000)
    check(store)


def test_a_day_is_summed_up_with_the_rows_that_are_just_being_written(store: Store, record):
    Writer(store).write([record(ts_us=MIDNIGHT_US - 5)])
    written = threading.Event()
    done: list[int] = []

    def compact() -> None:
        written.wait(30)
        done.append(compact_days(store, now_ts_us=MIDNIGHT_US + GRACE_S * 1_000_000))

    other = threading.Thread(target=compact)
    other.start()

    class Slow(Writer):
        def _insert(self, *arguments: Any, **how: Any) -> None:
            super()._insert(*arguments, **how)
            written.set()
            other.join(0.5)  # a compaction that does not wait for this transaction is through by then

    Slow(store).write([record(ts_us=MIDNIGHT_US - 3, duration_us=7)])
    other.join(30)
    assert done == [1]
    assert check(store) == 2
    with store.read() as connection:
        assert connection.scalars(select(store.tables.hits_day.c.n)).all() == [2]


def test_a_batch_waits_for_the_days_sums_and_takes_its_day_out_again(store: Store, record):
    Writer(store).write([record(ts_us=MIDNIGHT_US - 5)])
    holding, results = threading.Event(), []

    def write() -> None:
        holding.wait(30)
        results.append(Writer(store).write([record(ts_us=MIDNIGHT_US - 3)]))

    other = threading.Thread(target=write)
    other.start()
    with store.write() as connection:
        store.dialect.hold_batches(connection, store.prefix)
        holding.set()
        other.join(0.3)
        assert results == []
    other.join(30)
    assert results == [WriteResult(1, 0)]
    check(store)


def test_the_first_day_of_all_is_a_day_like_any_other(store: Store, record):
    Writer(store).write([record(ts_us=ts_us) for ts_us in (-1, 0, 1, DAY_US)])
    now_us = MIDNIGHT_US + GRACE_S * 1_000_000
    assert [compact_days(store, now_ts_us=now_us) for _ in range(2)] == [2, 0]
    with store.read() as connection:
        assert sorted(connection.scalars(select(store.tables.rollup_day.c.day))) == [0, DAY_S]
    check(store)


def test_a_batch_of_ten_thousand_is_one_transaction(store: Store, record):
    everything = [record(ts_us=MIDNIGHT_US + n, endpoint=f"e{n % 600}") for n in range(10_000)]
    assert Writer(store).write(everything) == WriteResult(10_000, 0)
    assert check(store) == 10_000
    with store.read() as connection:
        endpoint = store.tables.endpoint.c
        first, last = connection.execute(
            select(endpoint.first_ts, endpoint.last_ts).where(endpoint.name == "e7")
        ).one()
    assert (first, last) == (MIDNIGHT_US + 7, MIDNIGHT_US + 9_607)


@pytest.mark.parametrize("level", [0, 3])
def test_a_level_set_by_one_is_obeyed_by_another(store: Store, record, eventually, level: int):
    pipeline = Pipeline(ExporterSettings(database=store.url, delay_ms=20))
    try:
        pipeline.offer(record())
        assert pipeline.force_flush(20_000)
        assert load_levels(store) == {("shop", "shop.cart"): 1}
        with store.read() as connection:
            endpoint_id = connection.scalar(select(store.tables.endpoint.c.id))
        set_level(store, endpoint_id, level)
        eventually(lambda: pipeline.level_of("shop", "shop.cart") == level)
    finally:
        end(pipeline)
