"""Every query against the plainest way to compute the same from the requests themselves."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from math import ceil

import pytest

from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.hourly import hourly
from fmd_otel_dash.queries.overview import overview
from fmd_otel_dash.queries.performance import performance
from fmd_otel_dash.queries.requests import RequestFilter, request_detail, requests
from fmd_otel_dash.queries.scope import Scope, local_time
from fmd_otel_dash.queries.status import status_codes
from fmd_otel_dash.queries.timeline import timeline
from fmd_otel_dash.queries.versions import deployments, utilization, versions
from fmd_otel_exporter.rollups import compact_days

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
ENDPOINTS = ("shop.cart", "shop.index", "api.search")
VERSIONS = ("1.0", "1.1", "2.0")


def nearest_rank(values, q):
    return sorted(values)[max(1, ceil(q * len(values) - 1e-9)) - 1]


@pytest.fixture(params=[False, True], ids=["a leg for each part", "a leg for each table"])
def store(store, request, monkeypatch):
    """A database of either kind: for one a part is quick to plan, for the other to read."""
    monkeypatch.setattr(store.dialect, "plans_long", request.param, raising=True)
    return store


@pytest.fixture
def traffic(store, at, request_at, write):
    """Return four days of requests that are in the store, the first three of them rolled up."""
    rng = random.Random(11)  # noqa: S311 - traffic, not secrets
    start = at(2026, 3, 27, 3)
    sent = []
    for _ in range(1500):
        offset = rng.randrange(4 * DAY)
        sent.append(
            request_at(
                start + offset,
                rng.choice(ENDPOINTS),
                version=VERSIONS[max(0, offset * 3 // (4 * DAY) - (rng.random() < 0.05))],
                status=rng.choice((200, 200, 200, 201, 302, 404, 500, 503)),
                duration_us=int(rng.lognormvariate(10, 0.8)),
                group_by=rng.choice((None, "alice", "bob")),
                ip=rng.choice(("10.0.0.1", "10.0.0.2")),
                method=rng.choice(("GET", "POST")),
            )
        )
    write(*sent)
    compact_days(store, now_ts_us=start + 4 * DAY)
    return sent


@pytest.fixture
def scope(at):
    """Return a range with ragged ends, across the night the clocks of Europe go forward."""
    return Scope(at(2026, 3, 27, 10, 7), at(2026, 3, 30, 22, 41), "Europe/Amsterdam")


@pytest.fixture
def inside(traffic, scope):
    return [record for record in traffic if scope.start_us <= record.ts_us < scope.end_us]


def clock(record, scope):
    return local_time(record.ts_us, scope.zone)


def test_overview(store, scope, inside):
    page = overview(store, scope, None, scope.end_us)

    for row in page.endpoints:
        mine = [record for record in inside if record.endpoint == row.endpoint.name]
        times = [record.duration_us for record in mine]
        assert row.n == len(mine)
        assert row.errors == sum(record.status >= 500 for record in mine)
        assert row.client_errors == sum(400 <= record.status < 500 for record in mine)
        assert row.sum_us == sum(times)
        assert row.p95_us == pytest.approx(nearest_rank(times, 0.95), rel=0.011)
        assert row.n_today == sum(clock(record, scope).day == 31 for record in mine)
    assert page.kpis.n == len(inside)
    assert sum(row.time_share for row in page.endpoints) == pytest.approx(1)


@pytest.mark.parametrize("zone", ["Europe/Amsterdam", "UTC", "Asia/Kolkata"])
def test_hourly_and_daily(store, scope, inside, zone):
    # In UTC, and only there, the rolled-up days are the zone's days, too.
    scope = replace(scope, tz=zone)
    by_hour, by_day = hourly(store, scope), daily(store, scope)

    expected = Counter((clock(record, scope).hour, clock(record, scope).date()) for record in inside)
    assert {
        (hour, day): n
        for hour, row in enumerate(by_hour.n)
        for day, n in zip(by_hour.columns, row, strict=True)
        if n
    } == expected
    for series in by_day.endpoints:
        mine = [record for record in inside if record.endpoint == series.endpoint.name]
        days = Counter(clock(record, scope).date() for record in mine)
        failed = Counter(clock(record, scope).date() for record in mine if record.status >= 500)
        assert series.n == tuple(days[day] for day in by_day.days)
        assert series.errors == tuple(failed[day] for day in by_day.days)
    totals = [series.total for series in by_day.endpoints]
    assert totals == sorted(totals, reverse=True)
    assert by_day.total == by_hour.total == len(inside)


def test_versions(store, scope, inside):
    used = utilization(store, scope)
    table = deployments(store, scope)

    assert [version.name for version in used.versions] == list(VERSIONS)
    for endpoint, counts, shares in zip(used.endpoints, used.n, used.shares, strict=True):
        for version, n, share in zip(used.versions, counts, shares, strict=True):
            of_version = [record for record in inside if record.version == version.name]
            expected = sum(record.endpoint == endpoint.name for record in of_version)
            assert n == expected
            assert share == pytest.approx(expected / len(of_version))
    assert [one.version.name for one in table.deployments] == list(reversed(VERSIONS))
    assert [one.predecessor for one in table.deployments] == ["1.1", "1.0", ""]
    for one in table.deployments:
        mine = [record for record in inside if record.version == one.version.name]
        assert one.n == len(mine)
        assert one.errors == sum(record.status >= 500 for record in mine)
        assert one.p50_us == pytest.approx(nearest_rank([r.duration_us for r in mine], 0.5), rel=0.011)


def test_versions_are_known_with_their_first_request(store, traffic, scope):
    known = versions(store, scope)

    assert [version.name for version in known] == list(VERSIONS)
    for version in known:
        assert version.first_us == min(record.ts_us for record in traffic if record.version == version.name)


def test_performance(store, scope, inside, traffic):
    page = performance(store, scope, scope.previous())

    earlier = [record for record in traffic if record.ts_us < scope.start_us]
    for row in page.endpoints:
        times = [record.duration_us for record in inside if record.endpoint == row.endpoint.name]
        assert row.n == row.box.n == len(times)
        for q, shown in (
            (0.05, row.box.p5_us),
            (0.25, row.box.q1_us),
            (0.5, row.box.median_us),
            (0.99, row.box.p99_us),
        ):
            assert shown == pytest.approx(nearest_rank(times, q), rel=0.011)
        assert row.change.n_before == sum(record.endpoint == row.endpoint.name for record in earlier)
    p95s = [row.box.p95_us for row in page.endpoints]
    assert p95s == sorted(p95s, reverse=True)
    assert [row.sum_us for row in page.ordered("time")] == sorted(
        (row.sum_us for row in page.endpoints), reverse=True
    )
    assert [row.n for row in page.ordered("requests")] == sorted(
        (row.n for row in page.endpoints), reverse=True
    )


@pytest.mark.parametrize("durations", [False, True])
@pytest.mark.parametrize("hours", [0.5, 4, 40, 80])
def test_timeline(store, scope, traffic, hours, durations):
    narrow = Scope(scope.end_us - int(hours * HOUR), scope.end_us, scope.tz)
    line = timeline(store, narrow, durations=durations)

    assert len(line.points) <= 120
    assert sum(point.covered_s for point in line.points) == pytest.approx(hours * 3600)
    # The first and the last step reach to the ends of the range, wherever their own edges are.
    edges = [narrow.start_us, *(point.start_us for point in line.points[1:]), narrow.end_us]
    for point, start, end in zip(line.points, edges, edges[1:], strict=False):
        mine = [record for record in traffic if start <= record.ts_us < end]
        times = [record.duration_us for record in mine]
        assert point.counts.n == len(mine)
        assert point.counts.errors == sum(record.status >= 500 for record in mine)
        assert sum(n for _, n in point.latency) == len(mine) * durations
        if mine and durations:
            assert point.p95_us == pytest.approx(nearest_rank(times, 0.95), rel=0.011)
        else:
            assert point.p95_us is None


def test_status_codes(store, scope, inside):
    codes = status_codes(store, scope)

    assert codes.totals == Counter(record.status for record in inside)
    assert codes.errors == sum(record.status >= 500 for record in inside)
    assert codes.failed == sum(record.status >= 400 for record in inside)
    assert len(codes.starts_us) <= 60


FILTERS = [
    (RequestFilter(), lambda _: True),
    (RequestFilter(status=5), lambda record: record.status >= 500),
    (RequestFilter(status=404), lambda record: record.status == 404),
    (RequestFilter(min_status=400), lambda record: record.status >= 400),
    (RequestFilter(user="alice"), lambda record: record.group_by == "alice"),
    (RequestFilter(user="mallory"), lambda _: False),
    (RequestFilter(ip="10.0.0.2"), lambda record: record.ip == "10.0.0.2"),
    (RequestFilter(method="POST"), lambda record: record.method == "POST"),
    (RequestFilter(min_us=30_000), lambda record: record.duration_us >= 30_000),
    (RequestFilter(min_us=20_000, max_us=30_000), lambda record: 20_000 <= record.duration_us < 30_000),
    (RequestFilter(trace_id="no hexadecimal"), lambda _: False),
    (
        RequestFilter(status=5, user="bob", method="GET"),
        lambda record: record.status >= 500 and record.group_by == "bob" and record.method == "GET",
    ),
]


@pytest.mark.parametrize(("wanted", "fits"), FILTERS)
@pytest.mark.parametrize("one_endpoint", [False, True])
def test_requests_page_by_page(store, scope, inside, wanted, fits, one_endpoint):
    expected = [record for record in inside if fits(record)]
    if one_endpoint:
        (cart,) = (
            row.endpoint
            for row in overview(store, scope, None, 0).endpoints
            if row.endpoint.name == "shop.cart"
        )
        scope = scope.only(cart.id)
        expected = [record for record in expected if record.endpoint == "shop.cart"]

    shown, cursor = [], ""
    while True:
        page = requests(store, scope, wanted, cursor=cursor, limit=97)
        assert len(page.rows) <= 97
        shown += page.rows
        cursor = page.next_cursor
        if not cursor:
            break

    newest_first = sorted(expected, key=lambda record: record.ts_us, reverse=True)
    assert [row.ts_us for row in shown] == [record.ts_us for record in newest_first]
    by_span = {record.span_id.hex(): record for record in expected}
    for row in shown:
        record = by_span[row.span_id]
        assert (row.user, row.ip, row.version) == (record.group_by, record.ip, record.version)
        assert (row.status, row.method, row.duration_us) == (record.status, record.method, record.duration_us)
        assert row.endpoint.name == record.endpoint


def test_requests_of_one_moment_are_paged_without_loss_or_repeat(store, at, request_at, write):
    now = at(2026, 11, 22, 12)
    write(*(request_at(now - 5, endpoint) for endpoint in ENDPOINTS for _ in range(4)))
    everything = Scope(now - DAY, now)

    seen, cursor = [], ""
    for _ in range(5):
        page = requests(store, everything, cursor=cursor, limit=3)
        seen += [row.span_id for row in page.rows]
        cursor = page.next_cursor
        if not cursor:
            break

    assert len(seen) == len(set(seen)) == 12


def test_a_version_filters_requests(store, scope, inside):
    only = Scope(scope.start_us, scope.end_us, scope.tz, versions=("1.1",))

    page = requests(store, only, limit=10_000)

    assert len(page.rows) == sum(record.version == "1.1" for record in inside)


def test_a_trace_is_found_by_the_first_digits_of_its_id(store, scope, inside):
    wanted = inside[0].trace_id.hex()

    rows = requests(store, scope, RequestFilter(trace_id=wanted[:32])).rows

    assert [row.trace_id for row in rows] == [wanted]


@pytest.mark.usefixtures("traffic")
def test_a_request_is_found_by_its_key_and_placed_among_its_neighbours(store, scope):
    row = requests(store, scope).rows[0]

    detail = request_detail(store, row.key)

    assert detail.row == row
    assert 0 <= detail.slower_than <= 1
    assert detail.n > 1


@pytest.mark.parametrize(
    "key", ["", "nonsense", "1-2-zz", "9" * 30 + "-1-" + "0" * 16, "1-1-0000000000000000"]
)
def test_a_key_of_no_request_finds_none(store, key):
    assert request_detail(store, key) is None


@pytest.mark.usefixtures("traffic")
def test_a_broken_cursor_is_the_first_page(store, scope):
    assert requests(store, scope, cursor="?").rows == requests(store, scope).rows


def test_nothing_in_range_names_the_newest_request(store, traffic, at):
    empty = Scope(at(2026, 11, 21), at(2026, 11, 22))
    newest = max(record.ts_us for record in traffic)

    assert hourly(store, empty).last_recorded_us == newest
    assert daily(store, empty).last_recorded_us == newest
    assert utilization(store, empty).last_recorded_us == newest
    assert deployments(store, empty).last_recorded_us == newest
    assert performance(store, empty, None).last_recorded_us == newest
    assert status_codes(store, empty).last_recorded_us == newest
    assert requests(store, empty).last_recorded_us == newest
    assert requests(store, empty, RequestFilter(user="alice")).last_recorded_us is None


def test_every_query_answers_an_empty_store(store, at):
    scope = Scope(at(2026, 11, 21), at(2026, 11, 22), "Asia/Kolkata")

    assert hourly(store, scope).total == 0
    assert daily(store, scope).total == 0
    assert utilization(store, scope).shares == ()
    assert deployments(store, scope).deployments == ()
    assert performance(store, scope, scope.previous()).endpoints == ()
    assert timeline(store, scope).counts.n == 0
    assert status_codes(store, scope).total == 0
    assert requests(store, scope).rows == ()
    assert versions(store, scope) == ()
