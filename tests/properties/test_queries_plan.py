"""Whatever the data, the range and the compaction: a planned query equals an aggregate of the raw rows."""

from __future__ import annotations

from collections import Counter
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.hourly import hourly
from fmd_otel_dash.queries.look import look, total
from fmd_otel_dash.queries.scope import Scope, local_time
from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

US = 1_000_000
DAY = 86_400 * US
START = 20_533 * DAY  # 2026-03-21, so that the clocks of Europe change inside
LENGTH = 12 * DAY
ENDPOINTS = ("a", "b", "c")
ZONES = (
    "UTC",
    "Europe/Amsterdam",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
)

# Edges are where mistakes live, so half of all moments lie on or beside one.
moments = st.one_of(
    st.integers(0, LENGTH),
    st.builds(
        lambda quarter, off: min(max(quarter * 900 * US + off, 0), LENGTH),
        st.integers(0, LENGTH // (900 * US)),
        st.sampled_from([-1, 0, 1]),
    ),
).map(lambda offset: START + offset)
requests = st.lists(
    st.tuples(
        moments,
        st.sampled_from(ENDPOINTS),
        st.sampled_from(("1.0", "2.0")),
        st.sampled_from((200, 404, 500)),
        st.integers(1, 10_000_000),
    ),
    max_size=60,
)


def record(number, case):
    ts_us, endpoint, version, status, duration_us = case
    return RequestRecord(
        "shop", endpoint, ts_us, number.to_bytes(8, "big"), bytes(16), duration_us, status, "GET", version
    )


def filled(cases, compact_until, late):
    """Return a store in memory: requests, then perhaps a compaction, then late requests into closed days."""
    store = open_store("sqlite://")
    writer = Writer(store)
    records = [record(number, case) for number, case in enumerate([*cases, *late])]
    writer.write(records[: len(cases)])
    if compact_until is not None:
        compact_days(store, now_ts_us=compact_until)
    writer.write(records[len(cases) :])
    return store


@settings(max_examples=40, deadline=None)
@given(
    cases=requests,
    late=st.one_of(st.just([]), requests),
    compact_until=st.one_of(st.none(), moments),
    ends=st.tuples(moments, moments).map(sorted),
    versions=st.sampled_from([(), ("2.0",)]),
)
def test_hits_and_latencies_equal_the_raw_rows(cases, late, compact_until, ends, versions):
    store = filled(cases, compact_until, late)
    scope = Scope(*ends, versions=versions)
    inside = [
        case
        for case in [*cases, *late]
        if ends[0] <= case[0] < ends[1] and (not versions or case[2] in versions)
    ]

    with look(store, scope) as view:
        hits, latency = view.hits(scope).c, view.latency(scope).c
        counted = view.conn.execute(
            select(hits.status, total(hits.n), total(hits.sum_us)).group_by(hits.status)
        ).all()
        buckets = view.conn.execute(select(latency.bkt, total(latency.n)).group_by(latency.bkt)).all()
        by_quarter = view.hits(scope, days=False).c
        without_days = view.conn.scalar(select(total(by_quarter.n)))
    store.dispose()

    expected_n = Counter(status for *_, status, _ in inside)
    expected_us = Counter()
    for *_, status, duration_us in inside:
        expected_us[status] += duration_us
    assert {(status, n, sum_us) for status, n, sum_us in counted} == {
        (status, n, expected_us[status]) for status, n in expected_n.items()
    }
    assert dict(tuple(row) for row in buckets) == Counter(bucket_of(case[4]) for case in inside)
    assert (without_days or 0) == len(inside)


@settings(max_examples=40, deadline=None)
@given(
    cases=requests,
    compact_until=st.one_of(st.none(), moments),
    ends=st.tuples(moments, moments).map(sorted),
    zone=st.sampled_from(ZONES),
)
def test_local_hours_equal_what_the_zones_clock_says_of_each_request(cases, compact_until, ends, zone):
    store = filled(cases, compact_until, [])
    scope = Scope(*ends, zone)

    by_hour, by_day = hourly(store, scope), daily(store, scope)
    store.dispose()

    on_clock = partial(local_time, zone=scope.zone)
    inside = [case for case in cases if ends[0] <= case[0] < ends[1]]
    hours = Counter((on_clock(case[0]).hour, on_clock(case[0]).date()) for case in inside)
    days = Counter((on_clock(case[0]).date(), case[1]) for case in inside)
    shown_hours = {
        (hour, day): n
        for hour, row in enumerate(by_hour.n)
        for day, n in zip(by_hour.columns, row, strict=True)
        if n
    }
    shown_days = {
        (day, series.endpoint.name): n
        for series in by_day.endpoints
        for day, n in zip(by_day.days, series.n, strict=True)
        if n
    }
    assert shown_hours == hours
    assert shown_days == days
    assert abs(sum(by_day.hours) * 3600 * US - (ends[1] - ends[0])) < US
