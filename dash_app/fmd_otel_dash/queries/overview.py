"""The Overview page: key figures of a range and one row per endpoint, in a fixed number of statements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_dash.queries.counts import NOTHING, Counts, summed, together
from fmd_otel_dash.queries.latency import Grouped, latency_by
from fmd_otel_dash.queries.look import (
    Endpoint,
    Look,
    look,
    total,
    total_where,
)
from fmd_otel_dash.queries.scope import US_PER_S, Scope, midnight_us
from fmd_otel_dash.queries.sources import hits_source
from fmd_otel_dash.stats.percentiles import Change, apdex, change, merge, percentiles
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel_dash.queries.slots import Slots
    from fmd_otel_exporter.store import Store

SPARK_POINTS = 24
WEEK_US = 7 * DAY_S * US_PER_S
APDEX_THRESHOLD_US = 300_000


@dataclass(frozen=True)
class Kpis(Counts):
    """Key figures of all endpoints together."""

    p50_us: float | None = None
    p95_us: float | None = None
    p99_us: float | None = None
    apdex: float | None = None
    """With a threshold of 300 ms."""


@dataclass(frozen=True, kw_only=True)
class EndpointRow(Counts):
    """One line of the endpoints table; the counts are those of the range."""

    endpoint: Endpoint
    n_today: int
    """Since midnight in the scope's zone."""
    n_week: int
    """In the last 7 x 24 hours, as the range "last 7 days" counts them."""
    time_share: float
    """Share of the time that all endpoints together spent."""
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None
    change: Change | None
    """Of p95, against the comparison; None without one, or where either has no requests."""
    sparkline: tuple[float, ...]
    """Requests per hour over the range, at most 24 points, oldest first."""
    sparkline_mean_us: tuple[float | None, ...]
    """Mean duration at the same points."""


@dataclass(frozen=True)
class Overview:
    """Everything that the page shows."""

    scope: Scope
    compare: Scope | None
    kpis: Kpis
    previous: Kpis | None
    p95_change: Change | None
    endpoints: tuple[EndpointRow, ...]
    """Every known endpoint, also those without a request in the range; by name."""
    last_recorded_us: int | None
    """Newest recorded request, sought only where the range is empty; None while there is none at all."""

    @property
    def nothing_recorded(self) -> bool:
        """Whether there is nothing in any range."""
        return self.kpis.n == 0 and self.last_recorded_us is None


@dataclass(frozen=True)
class _Gathered:
    """What the statements returned, by endpoint."""

    counts: dict[int, Counts]
    series: dict[int, dict[int, Counts]]
    """Per step of the sparkline."""
    recent: dict[int, tuple[int, int]]
    """Requests today, and in the last 7 days."""
    latency: dict[int, dict[int, int]]
    before: dict[int, dict[int, int]]


def overview(store: Store, scope: Scope, compare: Scope | None, now_us: int) -> Overview:
    """Read the Overview of a scope.

    Args:
        store: where the requests are.
        scope: the range and filters of the page.
        compare: what to compare it with, if anything.
        now_us: what "today" and "last 7 days" end at.
    """
    with look(store, scope) as view:
        steps = view.steps(scope, SPARK_POINTS, HITS_BUCKET_S)
        series = _range_hits(view, scope, steps)
        found = _Gathered(
            counts={endpoint_id: together(points.values()) for endpoint_id, points in series.items()},
            series=series,
            recent=_recent_hits(view, scope, now_us),
            latency=_latency(view, scope),
            before=_latency(view, compare) if compare else {},
        )
        kpis = _kpis(together(found.counts.values()), found.latency)
        previous = _kpis(_totals(view, compare), found.before) if compare else None
        last_us = None if kpis.n else view.last_recorded_us()
    moved = change(merge(found.before.values()), merge(found.latency.values()), 0.95) if compare else None
    rows = tuple(_row(endpoint, found, steps, kpis.sum_us) for endpoint in view.endpoints)
    return Overview(scope, compare, kpis, previous, moved, rows, last_us)


def _range_hits(view: Look, scope: Scope, steps: Slots) -> dict[int, dict[int, Counts]]:
    """Return counts per endpoint and step of its sparkline."""
    source = view.hits(scope, days=steps.of_days)
    c = source.c
    # By remainder rather than by quotient: "/" on integers differs between databases, "%" does not.
    step = c.bucket - (c.bucket - steps.base_s) % steps.width_s
    counted = select(c.endpoint_id, step, *summed(c)).group_by(c.endpoint_id, step)
    series: dict[int, dict[int, Counts]] = {}
    for endpoint_id, start_s, *counts in view.conn.execute(counted).all():
        mine, home = series.setdefault(endpoint_id, {}), steps.home(start_s)
        mine[home] = mine.get(home, NOTHING) + Counts(*counts)
    return series


def _recent_hits(view: Look, scope: Scope, now_us: int) -> dict[int, tuple[int, int]]:
    """Return requests today and in the last 7 days, per endpoint, in one statement."""
    today_us = midnight_us(now_us, scope.zone)
    week = replace(scope, start_us=now_us - WEEK_US, end_us=now_us)
    # Cut at midnight, so that no rolled-up UTC day has a leg in both; any zone's midnight is a bucket's edge.
    segments = [
        segment
        for part in (replace(week, end_us=today_us), replace(week, start_us=today_us))
        for segment in view.segments(part, HITS_BUCKET_S, days=True)
    ]
    c = hits_source(view.tables, segments, view.endpoint_ids, view.version_ids(scope), view.home).c
    counted = select(c.endpoint_id, total_where(c.bucket >= today_us // US_PER_S, c.n), total(c.n))
    return {row[0]: (row[1], row[2]) for row in view.conn.execute(counted.group_by(c.endpoint_id))}


def _totals(view: Look, scope: Scope) -> Counts:
    row = view.conn.execute(select(*summed(view.hits(scope).c))).one()
    return Counts(*(value or 0 for value in row))


def _latency(view: Look, scope: Scope) -> Grouped:
    return latency_by(view, scope, lambda c: c.endpoint_id)


def _kpis(counts: Counts, latency: Mapping[int, Mapping[int, int]]) -> Kpis:
    everything = merge(latency.values())
    p50, p95, p99 = percentiles(everything, (0.5, 0.95, 0.99))
    return Kpis(
        n=counts.n,
        errors=counts.errors,
        client_errors=counts.client_errors,
        sum_us=counts.sum_us,
        p50_us=p50,
        p95_us=p95,
        p99_us=p99,
        apdex=apdex(everything, APDEX_THRESHOLD_US),
    )


def _row(endpoint: Endpoint, found: _Gathered, steps: Slots, all_us: int) -> EndpointRow:
    counts = found.counts.get(endpoint.id, NOTHING)
    n_today, n_week = found.recent.get(endpoint.id, (0, 0))
    latency = found.latency.get(endpoint.id, {})
    p50, p95, p99 = percentiles(latency, (0.5, 0.95, 0.99))
    series = found.series.get(endpoint.id, {})
    points = [(series.get(start_s, NOTHING), steps.covered_s(start_s)) for start_s in steps.starts_s]
    return EndpointRow(
        endpoint=endpoint,
        n_today=n_today,
        n_week=n_week,
        n=counts.n,
        errors=counts.errors,
        client_errors=counts.client_errors,
        sum_us=counts.sum_us,
        time_share=counts.sum_us / all_us if all_us else 0.0,
        p50_us=p50,
        p95_us=p95,
        p99_us=p99,
        change=change(found.before.get(endpoint.id, {}), latency, 0.95),
        # Rates, since the first and the last step are not as wide as the others.
        sparkline=tuple(point.n * 3600 / covered if covered else 0.0 for point, covered in points),
        sparkline_mean_us=tuple(point.mean_us for point, _ in points),
    )
