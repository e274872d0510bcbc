"""Answers of queries, made by hand."""

from __future__ import annotations

import json
from datetime import date, timedelta

import plotly.graph_objects as go
import pytest

from fmd_otel_dash.queries.counts import Counts
from fmd_otel_dash.queries.daily import Daily, EndpointDays
from fmd_otel_dash.queries.hourly import Hourly
from fmd_otel_dash.queries.look import Endpoint, Version
from fmd_otel_dash.queries.performance import EndpointPerformance
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.timeline import Point, Timeline
from fmd_otel_dash.queries.versions import Deployment, Utilization
from fmd_otel_dash.stats.percentiles import box, change, percentiles
from fmd_otel_exporter.buckets import bucket_of

DAY_US = 86_400_000_000
START_US = 20_759 * DAY_US


@pytest.fixture
def checked():
    """Hold a figure against plotly's own schema, and against what a browser should have to take."""

    def check(figure: dict, *, most_bytes: int = 40_000, most_points: int = 2000) -> dict:
        go.Figure(figure)
        assert len(json.dumps(figure)) < most_bytes
        assert sum(_points(trace) for trace in figure["data"]) <= most_points
        assert "template" not in figure["layout"]
        return figure

    return check


def _points(trace):
    if trace["type"] == "heatmap":
        return sum(len(row) for row in trace["z"])
    return len(trace["x"] if "x" in trace else trace["q1"])


@pytest.fixture
def endpoint():
    def make(name: str = "shop.cart", number: int = 1) -> Endpoint:
        return Endpoint(number, "shop", name, "/cart", "GET", "shop", 1, None, None, 0)

    return make


@pytest.fixture
def version():
    def make(name: str, number: int, service: str = "shop") -> Version:
        return Version(number, service, name, START_US + number * DAY_US)

    return make


@pytest.fixture
def sample():
    """Return the buckets of durations around a middle."""

    def make(middle_us: float = 40_000, n: int = 200) -> dict[int, int]:
        found: dict[int, int] = {}
        for i in range(n):
            bkt = bucket_of(round(middle_us * 1.02 ** (i - n / 2)))
            found[bkt] = found.get(bkt, 0) + 1
        return found

    return make


@pytest.fixture
def hourly_of():
    def make(days: int, n: int = 7) -> Hourly:
        columns = tuple(date(2026, 11, 1) + timedelta(days=i) for i in range(days))
        row = tuple(n for _ in columns)
        return Hourly(
            Scope(START_US, START_US + days * DAY_US), columns, by_week=False,
            n=tuple(row for _ in range(24)), minutes=tuple(tuple(60 for _ in columns) for _ in range(24)),
            total=n * 24 * days, days_without_hours=0, last_recorded_us=None,
        )  # fmt: skip

    return make


@pytest.fixture
def daily_of(endpoint):
    def make(days: int, names: list[str]) -> Daily:
        series = tuple(
            EndpointDays(
                endpoint(name, i), tuple(100 - i for _ in range(days)), tuple(0 for _ in range(days))
            )
            for i, name in enumerate(names)
        )
        dates = tuple(date(2026, 11, 1) + timedelta(days=i) for i in range(days))
        return Daily(
            Scope(START_US, START_US + days * DAY_US), dates, tuple(24.0 for _ in dates), series, None
        )

    return make


@pytest.fixture
def timeline_of(sample):
    def make(points: int, n: int = 200, start_us: int = START_US) -> Timeline:
        step_s = 3600
        buckets = sample(n=n) if n else {}
        p50, p95, p99 = percentiles(buckets, (0.5, 0.95, 0.99))
        made = tuple(
            Point(
                start_us + i * step_s * 1_000_000, step_s, Counts(n, n // 50, n // 20, n * 40_000),
                tuple(sorted(buckets.items())), p50, p95, p99,
            )
            for i in range(points)
        )  # fmt: skip
        return Timeline(Scope(start_us, start_us + points * step_s * 1_000_000), step_s, made)

    return make


@pytest.fixture
def performance_of(endpoint, sample):
    def make(names: list[str]) -> list[EndpointPerformance]:
        return [
            EndpointPerformance(
                endpoint=endpoint(name, i), n=200, errors=1, client_errors=2, sum_us=10**7,
                box=box(sample(20_000 * (i + 1))), before=box(sample(18_000 * (i + 1))), time_share=0.1,
                change=change(sample(18_000), sample(20_000), 0.95),
            )
            for i, name in enumerate(names)
        ]  # fmt: skip

    return make


@pytest.fixture
def deployments_of(version, sample):
    def make(names: list[str]) -> list[Deployment]:
        return [
            Deployment(
                version=version(name, i), n=200, errors=1, client_errors=2, sum_us=10**7,
                p50_us=1.0, p95_us=2.0, box=box(sample(20_000 * (i + 1))),
                predecessor=names[i - 1] if i else "",
                change=change(sample(20_000 * i), sample(20_000 * (i + 1)), 0.95) if i else None,
            )
            for i, name in enumerate(names)
        ]  # fmt: skip

    return make


@pytest.fixture
def utilization_of(endpoint, version):
    def make(endpoints: list[str], versions: list[str]) -> Utilization:
        return Utilization(
            Scope(START_US, START_US + DAY_US),
            tuple(version(name, i) for i, name in enumerate(versions)),
            tuple(endpoint(name, i) for i, name in enumerate(endpoints)),
            tuple(tuple(10 for _ in versions) for _ in endpoints),
            None,
        )

    return make
