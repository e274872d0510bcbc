"""Rate, errors and durations over time, of one endpoint or of many together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, func, select

from fmd_otel_dash.queries.counts import NOTHING, Counts, summed, together
from fmd_otel_dash.queries.latency import grouped
from fmd_otel_dash.queries.look import Look, look, total
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.slots import Slots, slots
from fmd_otel_dash.stats.percentiles import merge, percentiles
from fmd_otel_exporter.schema import DAY_S, LATENCY_BUCKET_S

if TYPE_CHECKING:
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_exporter.store import Store

MAX_POINTS = 120
_FINE_US = 6 * 3600 * US_PER_S
_FINE_REQUESTS = 200_000
"""Up to six hours of up to this many requests are read from raw rows, in steps finer than a bucket."""
_MOST_ENDPOINT_HOURS = 10_000
"""Beyond this, such as 40 endpoints over more than ten days, steps are days, which day rollups answer."""


@dataclass(frozen=True)
class Point:
    """One step."""

    start_us: int
    covered_s: float
    """How much of the step lies in the range."""
    counts: Counts
    latency: tuple[tuple[int, int], ...]
    """Bucket and requests, in order; for a histogram over time."""
    p50_us: float | None
    p95_us: float | None
    p99_us: float | None

    @property
    def per_s(self) -> float:
        """Requests per second."""
        return self.counts.n / self.covered_s if self.covered_s else 0.0


@dataclass(frozen=True)
class Timeline:
    """Steps over a range, also those without a request."""

    scope: Scope
    step_s: int
    points: tuple[Point, ...]

    @property
    def counts(self) -> Counts:
        """Sums over the range."""
        return together(point.counts for point in self.points)


def timeline(store: Store, scope: Scope, max_points: int = MAX_POINTS) -> Timeline:
    """Read the scope in at most ``max_points`` steps."""
    with look(store, scope) as view:
        fine = scope.length_us <= _FINE_US and _n(view, scope) <= _FINE_REQUESTS
        coarse = len(view.endpoints) * scope.length_us > _MOST_ENDPOINT_HOURS * LATENCY_BUCKET_S * US_PER_S
        at_least_s = 1 if fine else DAY_S if coarse else LATENCY_BUCKET_S
        steps = slots(scope, max_points, at_least_s=at_least_s)
        counted, latency = _raw(view, scope, steps) if fine else _rolled(view, scope, steps)
    points = []
    for start_s in steps.starts_s:
        sample = latency.get(start_s, {})
        p50, p95, p99 = percentiles(sample, (0.5, 0.95, 0.99))
        points.append(
            Point(
                start_us=start_s * US_PER_S,
                covered_s=steps.covered_s(start_s),
                counts=counted.get(start_s, NOTHING),
                latency=tuple(sorted(sample.items())),
                p50_us=p50,
                p95_us=p95,
                p99_us=p99,
            )
        )
    return Timeline(scope, steps.width_s, tuple(points))


def _n(view: Look, scope: Scope) -> int:
    return view.conn.scalar(select(total(view.hits(scope).c.n))) or 0


def _rolled(view: Look, scope: Scope, steps: Slots) -> tuple[dict[int, Counts], dict[int, dict[int, int]]]:
    hits, latency = view.hits(scope, days=steps.of_days), view.latency(scope, days=steps.of_days)
    step = _step(hits.c.bucket, steps.base_s, steps.width_s)
    counted = select(step, *summed(hits.c)).group_by(step)
    found: dict[int, Counts] = {}
    for start_s, *counts in view.conn.execute(counted).all():
        home = steps.home(int(start_s))
        found[home] = found.get(home, NOTHING) + Counts(*counts)
    samples: dict[int, dict[int, int]] = {}
    for start_s, sample in grouped(
        view, latency, _step(latency.c.bucket, steps.base_s, steps.width_s)
    ).items():
        home = steps.home(start_s)
        samples[home] = merge((samples.get(home, {}), sample))
    return found, samples


def _raw(view: Look, scope: Scope, steps: Slots) -> tuple[dict[int, Counts], dict[int, dict[int, int]]]:
    rows = view.raw(scope)
    step = _step(rows.c.ts, steps.base_s * US_PER_S, steps.width_s * US_PER_S)
    counted = select(step, *summed(rows.c)).group_by(step)
    by_step = select(step, rows.c.bkt, func.count()).group_by(step, rows.c.bkt)
    latency: dict[int, dict[int, int]] = {}
    for start_us, bkt, n in view.conn.execute(by_step).all():
        sample = latency.setdefault(steps.home(int(start_us) // US_PER_S), {})
        sample[bkt] = sample.get(bkt, 0) + n
    found: dict[int, Counts] = {}
    for start_us, *counts in view.conn.execute(counted).all():
        home = steps.home(int(start_us) // US_PER_S)
        found[home] = found.get(home, NOTHING) + Counts(*counts)
    return found, latency


def _step(time: ColumnElement[int], base: int, width: int) -> ColumnElement[int]:
    # By remainder rather than by quotient: "/" on integers differs between databases, "%" does not.
    return time - (time - base) % width
