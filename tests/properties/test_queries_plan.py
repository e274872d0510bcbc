"""Whatever the data, the range and the compaction: a planned query equals an aggregate of the raw rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from functools import partial
from math import ceil

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.hourly import hourly
from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.overview import overview
from fmd_otel_dash.queries.performance import performance
from fmd_otel_dash.queries.report import report
from fmd_otel_dash.queries.scope import Scope, local_time
from fmd_otel_dash.queries.series import Steps, series_of_each
from fmd_otel_dash.queries.sources import total
from fmd_otel_dash.queries.status import status_codes
from fmd_otel_dash.queries.subjects import busiest, latency_by_subject, subject_by_version
from fmd_otel_dash.queries.timeline import timeline
from fmd_otel_dash.queries.versions import deployments, utilization
from fmd_otel_dash.stats.percentiles import MAX_RELATIVE_ERROR, box
from fmd_otel_exporter.buckets import bucket_of
from fmd_otel_exporter.records import RequestRecord
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import SUBJECT_IP, SUBJECT_USER
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer

QUIETLY = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
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
        st.sampled_from((None, "ann", "bob", "eve")),
    ),
    max_size=60,
)


def record(number, case):
    ts_us, endpoint, version, status, duration_us, user = case
    span = number.to_bytes(8, "big")
    return RequestRecord(
        "shop",
        endpoint,
        ts_us,
        span,
        bytes(16),
        duration_us,
        status,
        "GET",
        version,
        user,
        f"ip of {user}" if user else "10.0.0.1",
    )


def add_up_subjects(store):
    for _ in sum_up_subjects(store):
        pass


def filled(store, cases, compact_until, late):
    """Write requests, then perhaps sum up days, then write late requests into closed days."""
    writer = Writer(store)
    records = [record(number, case) for number, case in enumerate([*cases, *late])]
    writer.write(records[: len(cases)])
    if compact_until is not None:
        compact_days(store, now_ts_us=compact_until)
        add_up_subjects(store)
    writer.write(records[len(cases) :])
    return store


def by_status(c):
    return select(c.status, total(c.n), total(c.sum_us)).group_by(c.status)


def by_bucket(c):
    return select(c.bkt, total(c.n)).group_by(c.bkt)


def alone(c):
    return select(total(c.n))


SUMS = {
    "cases": requests,
    "late": st.one_of(st.just([]), requests),
    "compact_until": st.one_of(st.none(), moments),
    "ends": st.tuples(moments, moments).map(sorted),
    "versions": st.sampled_from([(), ("2.0",)]),
}


@settings(max_examples=40, deadline=None, suppress_health_check=QUIETLY)
@given(**SUMS)
def test_hits_and_latencies_equal_the_raw_rows(opened, cases, late, compact_until, ends, versions):
    store = filled(opened(), cases, compact_until, late)
    scope = Scope(*ends, versions=versions)
    inside = [
        case
        for case in [*cases, *late]
        if ends[0] <= case[0] < ends[1] and (not versions or case[2] in versions)
    ]

    with look(store, scope) as view:
        counted = view.ask(view.hits(scope), by_status)
        buckets = view.ask(view.latency(scope), by_bucket)
        without_days = view.ask(view.hits(scope, days=False), alone)[0][0]
    store.dispose()

    expected_n = Counter(case[3] for case in inside)
    expected_us = Counter()
    for case in inside:
        expected_us[case[3]] += case[4]
    assert {(status, n, sum_us) for status, n, sum_us in counted} == {
        (status, n, expected_us[status]) for status, n in expected_n.items()
    }
    assert dict(tuple(row) for row in buckets) == Counter(bucket_of(case[4]) for case in inside)
    assert (without_days or 0) == len(inside)


HOURS = {
    "cases": requests,
    "compact_until": st.one_of(st.none(), moments),
    "ends": st.tuples(moments, moments).map(sorted),
    "zone": st.sampled_from(ZONES),
}


@settings(max_examples=40, deadline=None, suppress_health_check=QUIETLY)
@given(**HOURS)
def test_local_hours_equal_the_zones_clock(opened, cases, compact_until, ends, zone):
    store = filled(opened(), cases, compact_until, [])
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


def nearest_rank(values, q):
    return sorted(values)[max(1, ceil(q * len(values) - 1e-9)) - 1]


def assert_close(shown, values, q):
    """Hold a percentile to its promise: off by half a bucket at most, of the nearest rank."""
    true = nearest_rank(values, q)
    assert abs(shown - true) <= MAX_RELATIVE_ERROR * true * (1 + 1e-9)


def by(inside, *columns):
    """Return durations by some columns of the cases."""
    found = defaultdict(list)
    for case in inside:
        found[tuple(case[column] for column in columns)].append(case[4])
    return found


def assert_counts(shown, cases_by_key, statuses_by_key):
    assert shown.keys() == cases_by_key.keys()
    for key, counts in shown.items():
        assert counts.n == len(cases_by_key[key])
        assert counts.sum_us == sum(cases_by_key[key])
        assert counts.errors == sum(status >= 500 for status in statuses_by_key[key])


ranges = st.tuples(moments, moments).map(sorted)


VIEWS = {
    "cases": requests,
    "late": st.one_of(st.just([]), requests),
    "compact_until": st.one_of(st.none(), moments),
    "ends": ranges,
    "zone": st.sampled_from(ZONES),
    "versions": st.sampled_from([(), ("2.0",)]),
}


@settings(max_examples=40, deadline=None, suppress_health_check=QUIETLY)
@given(**VIEWS)
def test_every_view_equals_the_raw_rows(opened, cases, late, compact_until, ends, zone, versions):
    store = filled(opened(), cases, compact_until, [])
    scope = Scope(*ends, zone, versions=versions)
    deployments(store, scope), performance(store, scope, None), timeline(store, scope)  # and remembers
    Writer(store).write([record(1000 + number, case) for number, case in enumerate(late)])
    inside = [
        case
        for case in [*cases, *late]
        if ends[0] <= case[0] < ends[1] and (not versions or case[2] in versions)
    ]
    durations, statuses = by(inside, 1), defaultdict(list)
    for case in inside:
        statuses[case[1],].append(case[3])

    page = overview(store, scope, None, ends[1])
    assert_counts({(row.endpoint.name,): row for row in page.endpoints if row.n}, durations, statuses)
    slow = performance(store, scope, None)
    assert_counts({(row.endpoint.name,): row for row in slow.endpoints}, durations, statuses)
    for row in slow.endpoints:
        assert_close(row.box.median_us, durations[row.endpoint.name,], 0.5)
        assert_close(row.box.p99_us, durations[row.endpoint.name,], 0.99)

    used = utilization(store, scope)
    shown = {
        (endpoint.name, version.name): n
        for endpoint, row in zip(used.endpoints, used.n, strict=True)
        for version, n in zip(used.versions, row, strict=True)
        if n
    }
    assert shown == {key: len(some) for key, some in by(inside, 1, 2).items()}
    of_version = by(inside, 2)
    for one in deployments(store, scope).deployments:
        assert (one.n, one.sum_us) == (len(of_version[one.version.name,]), sum(of_version[one.version.name,]))
        assert_close(one.p95_us, of_version[one.version.name,], 0.95)

    assert status_codes(store, scope).totals == Counter(case[3] for case in inside)
    for line in (timeline(store, scope), timeline(store, scope, durations=False)):
        edges = [ends[0], *(point.start_us for point in line.points[1:]), ends[1]]
        for point, start, end in zip(line.points, edges, edges[1:], strict=False):
            mine = [case for case in inside if start <= case[0] < end]
            assert (point.counts.n, point.counts.sum_us) == (len(mine), sum(case[4] for case in mine))
    store.dispose()


COMPARED = {
    "cases": requests,
    "late": st.one_of(st.just([]), requests),
    "compact_until": st.one_of(st.none(), moments),
    "ends": ranges,
    "ends_before": st.one_of(st.none(), ranges),
    "versions": st.sampled_from([((), ()), (("2.0",), ("2.0",)), (("2.0",), ("1.0",))]),
    "width_s": st.sampled_from([900, 3600, 8 * 3600, 86_400]),
    "plans_long": st.booleans(),
}


@settings(max_examples=60, deadline=None, suppress_health_check=QUIETLY)
@given(**COMPARED)
def test_both_sides_of_a_comparison_equal_the_raw_rows(
    opened, cases, late, compact_until, ends, ends_before, versions, width_s, plans_long
):
    store = filled(opened(), cases, compact_until, [])
    store.dialect.plans_long = plans_long
    after = Scope(*ends, versions=versions[0])
    # The period before, or any other: sides may overlap, and lie within one hour.
    before = replace(after.previous() if ends_before is None else Scope(*ends_before), versions=versions[1])
    report(store, before, after), overview(store, after, before, ends[1])  # and remembers
    Writer(store).write([record(1000 + number, case) for number, case in enumerate(late)])

    def inside(scope):
        return [
            case
            for case in [*cases, *late]
            if scope.start_us <= case[0] < scope.end_us and (not scope.versions or case[2] in scope.versions)
        ]

    sides = [inside(before), inside(after)]
    found = report(store, before, after)
    for side, shown in (
        (sides[0], {one.endpoint.name: one.before for one in found.endpoints}),
        (sides[1], {one.endpoint.name: one.after for one in found.endpoints}),
    ):
        for name, one in shown.items():
            mine = [case for case in side if case[1] == name]
            assert (one.counts.n, one.counts.sum_us) == (len(mine), sum(case[4] for case in mine))
            assert one.counts.errors == sum(case[3] >= 500 for case in mine)
            assert one.latency == Counter(bucket_of(case[4]) for case in mine)
        assert {case[1] for case in side} <= shown.keys()

    page = overview(store, after, before, ends[1])
    assert (page.previous.n, page.previous.sum_us) == (len(sides[0]), sum(case[4] for case in sides[0]))
    assert page.kpis.n == sum(row.n for row in page.endpoints) == len(sides[1])
    slow = performance(store, after, before)
    assert {row.endpoint.name: row.n for row in slow.endpoints} == Counter(case[1] for case in sides[1])
    for row in slow.endpoints:
        assert (row.before.n if row.before else 0) == sum(case[1] == row.endpoint.name for case in sides[0])

    wanted = [Steps(scope, scope.start_us // US, width_s) for scope in (before, after)]
    with look(store, after) as view:
        names = {endpoint.id: endpoint.name for endpoint in view.endpoints}
        cut = series_of_each(view, wanted)
    store.dispose()
    for steps, side, series in zip(wanted, sides, cut, strict=True):
        shown = {
            (names[number], step): sums for number, by in series.by_step.items() for step, sums in by.items()
        }
        expected = defaultdict(list)
        for case in side:
            # What is read by the day counts where that begins, of a quarter of an hour likewise.
            expected[case[1], max(0, (case[0] // (900 * US) * 900 - steps.base_s) // width_s)].append(case)
        if width_s < 86_400:
            assert {key: sums[0] for key, sums in shown.items()} == {
                key: len(some) for key, some in expected.items()
            }
        for name in names.values():
            mine = [case for case in side if case[1] == name]
            both = [sums for (endpoint, _), sums in shown.items() if endpoint == name]
            assert sum(sums[0] for sums in both) == len(mine)
            assert sum(sums[3] for sums in both) == sum(case[4] for case in mine)


PEOPLE = {
    "cases": requests,
    "late": st.one_of(st.just([]), requests),
    "compact_until": st.one_of(st.none(), moments),
    "again": st.booleans(),
    "ends": ranges,
    "versions": st.sampled_from([(), ("2.0",)]),
    "whom": st.sampled_from([SUBJECT_USER, SUBJECT_IP]),
}


@settings(max_examples=60, deadline=None, suppress_health_check=QUIETLY)
@given(**PEOPLE)
def test_users_and_addresses_equal_the_raw_rows(
    opened, cases, late, compact_until, again, ends, versions, whom
):
    store = filled(opened(), cases, compact_until, [])
    scope = Scope(*ends, versions=versions)
    subject_by_version(store, scope, whom)  # and remembers days and hours that are over
    Writer(store).write([record(1000 + number, case) for number, case in enumerate(late)])
    if again and compact_until is not None:
        compact_days(store, now_ts_us=compact_until)
        add_up_subjects(store)

    def name(user):
        if whom == SUBJECT_USER:
            return user
        return f"ip of {user}" if user else "10.0.0.1"

    inside = [
        (*case[:5], name(case[5]))
        for case in [*cases, *late]
        if ends[0] <= case[0] < ends[1] and (not versions or case[2] in versions) and name(case[5])
    ]
    whole, parts = by(inside, 5), by(inside, 5, 2)
    failed = Counter(case[5] for case in inside if case[3] >= 500)

    ranked = busiest(store, scope, whom)
    assert {row.value: (row.n, row.errors, row.sum_us) for row in ranked.rows} == {
        value: (len(some), failed[value], sum(some)) for (value,), some in whole.items()
    }
    assert [row.n for row in ranked.rows] == sorted(map(len, whole.values()), reverse=True)
    assert (ranked.found, ranked.n) == (len(whole), len(inside))
    slow = latency_by_subject(store, scope, whom)
    assert slow.busiest == ranked
    for row in slow.rows:
        assert row.box == box(Counter(map(bucket_of, whole[row.counts.value,])))
    table = subject_by_version(store, scope, whom)
    assert table.busiest == ranked
    cells = {
        (row.counts.value, version.name): cell
        for row in table.rows
        for version, cell in zip(table.versions, row.cells, strict=True)
        if cell
    }
    assert cells == {key: box(Counter(map(bucket_of, some))) for key, some in parts.items()}
    store.dispose()
