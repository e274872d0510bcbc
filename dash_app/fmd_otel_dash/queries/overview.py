"""The Overview page: key figures of a range and one row per endpoint, in a fixed number of statements."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_dash.queries.counts import NOTHING, Counts, together
from fmd_otel_dash.queries.kpis import KpiChanges, Kpis, kpi_changes, kpis_of
from fmd_otel_dash.queries.latency import by_endpoint, latency_of_each
from fmd_otel_dash.queries.look import Endpoint, Look, look, total_where
from fmd_otel_dash.queries.scope import US_PER_S, Pair, Scope, midnight_us
from fmd_otel_dash.queries.series import Steps, Sums, series_of_each
from fmd_otel_dash.queries.sources import Columns, total
from fmd_otel_dash.queries.statements import Statement, integer
from fmd_otel_dash.stats.percentiles import Change, change, merge, percentiles
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel_dash.queries.slots import Slots
    from fmd_otel_exporter.store import Store

    _Sparkline = tuple[tuple[float, ...], tuple[float | None, ...]]

SPARK_POINTS = 24
WEEK_US = 7 * DAY_S * US_PER_S


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
class Recent:
    """An endpoint, and how often it was requested lately."""

    endpoint: Endpoint
    n_today: int
    """As in the endpoints table, like the next."""
    n_week: int


@dataclass(frozen=True)
class Overview:
    """Everything that the page shows."""

    scope: Scope
    compares: bool
    """Whether anything is compared with anything."""
    kpis: Kpis
    previous: Kpis | None
    changes: KpiChanges
    endpoints: tuple[EndpointRow, ...]
    """Every known endpoint, also those without a request in the range; by name."""
    last_recorded_us: int | None
    """Newest recorded request, sought only where the range is empty; None while there is none at all."""

    @property
    def nothing_recorded(self) -> bool:
        """Whether there is nothing in any range."""
        return self.kpis.n == 0 and self.last_recorded_us is None


@dataclass
class _Gathered:
    """What the statements returned, by endpoint."""

    counts: dict[int, Counts] = field(default_factory=dict)
    series: dict[int, _Sparkline] = field(default_factory=dict)
    latency: dict[int, dict[int, int]] = field(default_factory=dict)
    compared: dict[int, dict[int, int]] = field(default_factory=dict)
    """The buckets of those endpoints that are compared with anything."""
    before: dict[int, dict[int, int]] = field(default_factory=dict)
    counts_compared: Counts = NOTHING
    counts_before: Counts = NOTHING


def overview(store: Store, scope: Scope, compare: Scope | None, now_us: int) -> Overview:
    """Read the Overview of a scope.

    Args:
        store: where the requests are.
        scope: the range and filters of the page.
        compare: what to compare it with, if anything.
        now_us: what "today" and "last 7 days" end at.
    """
    return overview_of(store, scope, (Pair(scope, compare),), now_us)


def overview_of(store: Store, scope: Scope, pairs: tuple[Pair, ...], now_us: int) -> Overview:
    """Read the Overview of services that are each compared with something of their own.

    Args:
        store: where the requests are.
        scope: the range and filters of the page; every endpoint of it has a line.
        pairs: what to count, and what to compare that with; no service is in two of them.
        now_us: what "today" and "last 7 days" end at.
    """
    found = _Gathered()
    with look(store, scope) as view:
        recent = _recent_hits(view, scope, now_us)
        for pair in pairs:
            _gather(view.of(pair), pair, found)
        latency, before = merge(found.latency.values()), merge(found.before.values())
        kpis = kpis_of(together(found.counts.values()), latency)
        last_us = None if kpis.n else view.last_recorded_us()
    compares = any(pair.before for pair in pairs)
    compared = latency if found.compared == found.latency else merge(found.compared.values())
    return Overview(
        scope,
        compares,
        kpis,
        kpis_of(found.counts_before, before) if compares else None,
        kpi_changes(found.counts_before, before, found.counts_compared, compared),
        tuple(_row(endpoint, found, recent, kpis.sum_us) for endpoint in view.endpoints),
        last_us,
    )


def recent(store: Store, scope: Scope, now_us: int) -> tuple[Recent, ...]:
    """Return how often each endpoint of a scope was requested today and in the last 7 days, by name."""
    with look(store, scope) as view:
        found = _recent_hits(view, scope, now_us)
        return tuple(Recent(each, *found.get(each.id, (0, 0))) for each in view.endpoints)


def _gather(view: Look, pair: Pair, found: _Gathered) -> None:
    """Add what one pair comes to; ``view`` knows its endpoints only."""
    steps = view.steps(pair.after, SPARK_POINTS, HITS_BUCKET_S)
    sides = [Steps(pair.after, steps.base_s, steps.width_s)]
    if pair.before is not None:
        sides.append(Steps(pair.before, steps.base_s, steps.width_s, whole=True))
    latency, *latency_before = latency_of_each(view, [side.scope for side in sides], by_endpoint)
    series, *series_before = series_of_each(view, sides)
    counts = series.wholes
    found.counts.update(counts)
    found.series.update(
        {each.id: _sparkline(series.by_step.get(each.id, {}), steps) for each in view.endpoints}
    )
    found.latency.update(latency)
    for sample, numbers in zip(latency_before, series_before, strict=True):
        found.before.update(sample)
        found.compared.update(latency)
        found.counts_compared += together(counts.values())
        found.counts_before += together(numbers.wholes.values())


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
    rows = view.ask(view.hits_of(segments, scope), _today_and_all, today=today_us // US_PER_S)
    return {row[0]: (row[1], row[2]) for row in rows}


def _today_and_all(c: Columns) -> Statement:
    today = total_where(c.bucket >= integer("today"), c.n)
    return select(c.endpoint_id, today, total(c.n)).group_by(c.endpoint_id)


def _row(
    endpoint: Endpoint, found: _Gathered, recent: Mapping[int, tuple[int, int]], all_us: int
) -> EndpointRow:
    counts = found.counts.get(endpoint.id, NOTHING)
    n_today, n_week = recent.get(endpoint.id, (0, 0))
    latency = found.latency.get(endpoint.id, {})
    p50, p95, p99 = percentiles(latency, (0.5, 0.95, 0.99))
    rates, means_us = found.series.get(endpoint.id, ((), ()))
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
        sparkline=rates,
        sparkline_mean_us=means_us,
    )


def _sparkline(series: Mapping[int, Sums], steps: Slots) -> _Sparkline:
    """Return rates, since the first and the last step are not as wide as the others, and mean durations."""
    by_start: dict[int, Counts] = {}
    for number, sums in series.items():
        home = steps.home(steps.base_s + number * steps.width_s)
        by_start[home] = by_start.get(home, NOTHING) + Counts(*sums)
    points = [(by_start.get(start_s, NOTHING), steps.covered_s(start_s)) for start_s in steps.starts_s]
    rates = tuple(point.n * 3600 / covered if covered else 0.0 for point, covered in points)
    return rates, tuple(point.mean_us for point, _ in points)
