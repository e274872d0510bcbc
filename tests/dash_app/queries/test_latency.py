"""What is remembered of latency buckets: only what still holds, and not without end."""

from __future__ import annotations

from collections import Counter

import pytest
from sqlalchemy import event

from fmd_otel_dash.queries.performance import performance
from fmd_otel_dash.queries.remembered import Remembered
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.rollups import compact_days

MINUTE = 60 * 1_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def test_buckets_of_hours_and_days_that_are_over_are_read_once(store, at, request_at, write):
    now = at(2026, 11, 22, 12)
    write(*(request_at(now - hours * HOUR, duration_us=1000) for hours in range(1, 72)))
    compact_days(store, now_ts_us=now)
    scope = Scope(now - 3 * DAY, now)
    asked = []
    first = performance(store, scope, None)
    with store.read() as connection:
        event.listen(connection.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    assert performance(store, scope, None) == first
    assert asked
    assert not any("lat_hist" in statement for statement in asked)

    for when in (now - 2 * DAY, now - HOUR):  # a day that is over, and an hour of today
        write(request_at(when, duration_us=9_000_000))
        first = performance(store, scope, None)
        assert first.endpoints[0].box.n == first.n
    assert first.n == 73
    assert first.endpoints[0].box.p99_us > 8_000_000


def test_raw_rows_are_read_only_where_requests_lie_beyond_the_range(store, at, request_at, write):
    first, last = at(2026, 11, 22, 9) + 20 * MINUTE, at(2026, 11, 22, 12) + 10 * MINUTE
    write(*(request_at(ts, duration_us=1000) for ts in range(first, last + 1, 10 * MINUTE)))
    asked = []
    with store.read() as connection:
        event.listen(connection.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))

    def n_and_raw(start_us: int, end_us: int) -> tuple[int, bool]:
        asked.clear()
        (found,) = performance(store, Scope(start_us, end_us), None).endpoints
        assert found.box.n == found.n
        return found.n, any("fmd_request.bkt" in statement for statement in asked)

    assert n_and_raw(first, last + MINUTE) == (18, False)
    assert n_and_raw(first - 3 * MINUTE, last + 1) == (18, False)
    assert n_and_raw(first, last) == (17, True)
    assert n_and_raw(first + 1, last + MINUTE) == (17, True)
    write(request_at(last + 5 * MINUTE, duration_us=1000))
    assert n_and_raw(first, last + MINUTE) == (18, True)
    assert n_and_raw(first, last + 6 * MINUTE) == (19, False)


@pytest.mark.parametrize("begins", [20, 50])
def test_of_the_hour_in_which_a_range_begins_the_smaller_part_is_read(
    store, at, request_at, write, begins: int
):
    hour = at(2026, 11, 22, 9)
    minutes = range(hour - 2 * HOUR, hour + 3 * HOUR, MINUTE)
    write(*(request_at(ts, duration_us=(ts - hour) // MINUTE % 7 * 1000 + 1000) for ts in minutes))
    start_us = hour + begins * MINUTE
    read = []
    with store.read() as connection:
        event.listen(connection.engine, "before_cursor_execute", lambda *given: read.append(given[2:4]))

    (found,) = performance(store, Scope(start_us, hour + 3 * HOUR), None).endpoints

    expected = Counter(bucket_of((ts - hour) // MINUTE % 7 * 1000 + 1000) for ts in minutes if ts >= start_us)
    assert found.latency == expected
    assert found.n == expected.total()
    ranges = [values for statement, values in read if "fmd_request.bkt" in statement]
    assert [hour in values for values in ranges] == [begins < 30]
    assert all(start_us in values for values in ranges)


def test_an_hour_whose_raw_rows_retention_takes_is_not_counted_by_what_is_left_of_it(
    store, at, request_at, write
):
    now = at(2026, 11, 22, 12, 30)
    minutes = range(now - 6 * DAY, now, 5 * MINUTE)
    write(*(request_at(ts) for ts in minutes))
    compact_days(store, now_ts_us=now)
    for _ in prune(store, Retention(raw_days=5, hourly_days=10).cutoffs(now - 15 * MINUTE)):
        pass
    start_us = now - 5 * DAY - 10 * MINUTE

    (found,) = performance(store, Scope(start_us, now), None).endpoints

    assert found.n == found.box.n == sum(ts >= start_us for ts in minutes)


def test_what_is_remembered_holds_for_as_many_requests_as_it_was_of():
    remembered = Remembered()
    remembered.put("a", 5, {1: {700: 5}})

    assert remembered.get("a", 5) == {1: {700: 5}}
    assert remembered.get("a", 6) is None
    assert remembered.get("b", 5) is None


def test_no_more_buckets_are_remembered_than_allowed():
    remembered = Remembered(most=4)
    for key in "abc":
        remembered.put(key, 2, {1: {700: 1, 701: 1}})
    remembered.put("c", 3, {1: {700: 3}})

    assert [remembered.get(key, 2) is not None for key in "ab"] == [False, True]
    assert remembered.get("c", 3) == {1: {700: 3}}
    remembered.put("d", 9, {1: dict.fromkeys(range(9), 1)})
    assert remembered.get("d", 9) is None
