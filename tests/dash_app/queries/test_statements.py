"""What the queries ask of the database: no table read from end to end, and no statement per endpoint."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from sqlalchemy import event

from fmd_otel_dash.queries.bands import bands
from fmd_otel_dash.queries.daily import daily
from fmd_otel_dash.queries.hourly import hourly
from fmd_otel_dash.queries.overview import overview
from fmd_otel_dash.queries.performance import performance
from fmd_otel_dash.queries.requestfilter import RequestFilter
from fmd_otel_dash.queries.requests import request_detail, requests
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.status import status_codes
from fmd_otel_dash.queries.subjects import busiest, latency_by_subject, subject_by_version
from fmd_otel_dash.queries.timeline import timeline
from fmd_otel_dash.queries.versions import deployments, utilization
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import SUBJECT_IP, SUBJECT_USER
from fmd_otel_exporter.subject_sums import sum_up_subjects

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
BIG = ("request", "hits", "lat_hist", "hits_day", "lat_hist_day", "subject_pack", "subject_day")

QUERIES = {
    "overview": lambda store, scope: overview(store, scope, scope.previous(), scope.end_us),
    "hourly": hourly,
    "daily": daily,
    "utilization": utilization,
    "deployments": deployments,
    "performance": lambda store, scope: performance(store, scope, scope.previous()),
    "bands": lambda store, scope: bands(store, scope, (1, 2, 3)),
    "timeline": timeline,
    "status": status_codes,
    "busiest": lambda store, scope: busiest(store, scope, SUBJECT_USER, search="ad"),
    "latency by subject": lambda store, scope: latency_by_subject(store, scope, SUBJECT_IP),
    "subject by version": lambda store, scope: subject_by_version(store, scope, SUBJECT_USER),
    "requests": requests,
    "filtered requests": lambda store, scope: requests(
        store,
        scope,
        RequestFilter(status=5, user="ada", ip="10.0.0.1", method="GET", min_us=1, trace_id="00"),
    ),
}


@contextmanager
def watched(store):
    """Collect the statements that run inside, with their parameters."""
    seen: list[tuple[str, tuple]] = []

    def note(_connection, _cursor, statement, parameters, *_):
        seen.append((statement, parameters))

    with store.read() as connection:
        engine = connection.engine
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.fixture
def fill(store, at, request_at, write):
    """Write four days of requests to some endpoints, all rolled up that can be; return a part of them."""

    def make(endpoints: int) -> Scope:
        start = at(2026, 11, 18)
        write(
            *(
                request_at(start + hour * HOUR + 5, f"shop.page_{number}", group_by="ada", ip="10.0.0.1")
                for number in range(endpoints)
                for hour in range(1, 96, 6)
            )
        )
        compact_days(store, now_ts_us=start + 4 * DAY)
        for _ in sum_up_subjects(store):
            pass
        return Scope(start + 2 * DAY - 7 * 60 * 1_000_000, start + 4 * DAY - HOUR // 3, "Europe/Amsterdam")

    return make


@pytest.mark.parametrize("name", QUERIES)
def test_no_big_table_is_read_from_end_to_end(store, fill, name):
    scope = fill(5)
    with watched(store) as seen:
        QUERIES[name](store, scope)

    with store.read() as connection:
        for statement, parameters in seen:
            if not statement.lstrip().upper().startswith("SELECT"):
                continue
            plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters).all()
            for step in (row[-1] for row in plan):
                assert not any(step.startswith(f"SCAN fmd_{table}") for table in BIG), (step, statement)


def test_a_single_request_is_sought_by_its_key(store, fill):
    scope = fill(3)
    key = requests(store, scope).rows[0].key

    with watched(store) as seen:
        request_detail(store, key)

    with store.read() as connection:
        plans = [
            row[-1]
            for statement, parameters in seen
            if "FROM fmd_request" in statement
            for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        ]
    assert any("endpoint_id=? AND ts=? AND span_id=?" in plan for plan in plans)


@pytest.mark.parametrize("name", QUERIES)
def test_the_number_of_statements_does_not_grow_with_the_endpoints(store, fill, name):
    scope = fill(3)
    with watched(store) as few:
        QUERIES[name](store, scope)
    fill(30)
    with watched(store) as many:
        QUERIES[name](store, scope)

    assert len(many) <= len(few) <= 30
