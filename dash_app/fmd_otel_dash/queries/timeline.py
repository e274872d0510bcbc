"""Rate, errors and durations over time, of one endpoint or of many together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from fmd_otel_dash.queries.counts import NOTHING, Counts, summed, together
from fmd_otel_dash.queries.latency import Grouped, grouped, latency_by
from fmd_otel_dash.queries.look import Look, look
from fmd_otel_dash.queries.scope import US_PER_S
from fmd_otel_dash.queries.sources import Columns, total
from fmd_otel_dash.queries.statements import Statement, integer
from fmd_otel_dash.stats.percentiles import merge, percentiles
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S, LATENCY_BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import ColumnElement

    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.queries.slots import Slots
    from fmd_otel_exporter.store import Store

MAX_POINTS = 120
_FINE_US = 6 * 3600 * US_PER_S
_FINE_REQUESTS = 200_000
"""Up to six hours of up to this many requests are read from raw rows, in steps finer than a bucket."""
_MOST_ENDPOINT_HOURS = {True: 4_000, False: 20_000}
"""With durations, and without: beyond so many, steps are days, which day rollups answer.

Of 40 endpoints together that is four days, or twenty; of a single one, half a year.
"""


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


def timeline(store: Store, scope: Scope, max_points: int = MAX_POINTS, *, durations: bool = True) -> Timeline:
    """Read the scope in at most ``max_points`` steps.

    Args:
        store: where the requests are.
        scope: range, endpoints and versions.
        max_points: how many steps at most.
        durations: whether percentiles and latency buckets are wanted; without them steps may be a quarter of
            an hour instead of a full one, and are read in a fraction of the time.
    """
    with look(store, scope) as view:
        fine = scope.length_us <= _FINE_US and _few_and_there(view, scope)
        width_s = LATENCY_BUCKET_S if durations else HITS_BUCKET_S
        if len(view.endpoints) * scope.length_us > _MOST_ENDPOINT_HOURS[durations] * 3600 * US_PER_S:
            width_s = DAY_S
        steps = view.steps(scope, max_points, 1 if fine else width_s)
        counted = _counts(view, scope, steps, raw=fine)
        latency = _latency(view, scope, steps, raw=fine) if durations else {}
    return Timeline(scope, steps.width_s, points_of(steps, counted, latency))


def points_of(steps: Slots, counted: Mapping[int, Counts], latency: Grouped) -> tuple[Point, ...]:
    """Return every step with what was counted in it and how long that took, both by the steps' starts."""
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
    return tuple(points)


def _few_and_there(view: Look, scope: Scope) -> bool:
    """Tell whether raw rows can answer: few enough, and not taken by retention."""
    n = view.ask(view.hits(scope), _n)[0][0] or 0
    if n > _FINE_REQUESTS:
        return False
    return bool(view.ask(view.raw(scope), _rows)[0][0] == n)


def _n(c: Columns) -> Statement:
    return select(total(c.n))


def _rows(c: Columns) -> Statement:
    return select(func.count(c.n))


def _counts(view: Look, scope: Scope, steps: Slots, *, raw: bool) -> dict[int, Counts]:
    unit = US_PER_S if raw else 1
    if raw:
        rows = view.ask(view.raw(scope), _summed_by_moment, **steps.values(US_PER_S))
    else:
        rows = view.ask(view.hits(scope, days=steps.of_days), _summed_by_step, **steps.values())
    found: dict[int, Counts] = {}
    for offset, *counts in rows:
        home = steps.home(steps.base_s + int(offset) // unit)
        found[home] = found.get(home, NOTHING) + Counts(*counts)
    return found


def _latency(view: Look, scope: Scope, steps: Slots, *, raw: bool) -> Grouped:
    unit = US_PER_S if raw else 1
    if raw:
        by_step = grouped(view, view.raw(scope), _moment, **steps.values(US_PER_S))
    else:
        by_step = latency_by(view, scope, step_of, days=steps.of_days, **steps.values())
    found: Grouped = {}
    for offset, sample in by_step.items():
        home = steps.home(steps.base_s + offset // unit)
        found[home] = merge((found[home], sample)) if home in found else sample
    return found


def step_of(c: Columns) -> ColumnElement[int]:
    """Return where the step of a bucket begins, counted from the first; see :meth:`Slots.values`."""
    return _offset_in(c.bucket)


def _moment(c: Columns) -> ColumnElement[int]:
    return _offset_in(c.ts)


def _offset_in(time: ColumnElement[int]) -> ColumnElement[int]:
    # Counted from the first step: since 1970, microseconds are too large a group.
    since = time - integer("base")
    # By remainder rather than by quotient: "/" on integers differs between databases, "%" does not.
    return since - since % integer("width")


def summed_by_endpoint_and_step(c: Columns) -> Statement:
    """Return a statement for the sums of each endpoint in each step."""
    step = step_of(c)
    return select(c.endpoint_id, step, *summed(c)).group_by(c.endpoint_id, step)


def _summed_by_step(c: Columns) -> Statement:
    step = step_of(c)
    return select(step, *summed(c)).group_by(step)


def _summed_by_moment(c: Columns) -> Statement:
    step = _moment(c)
    return select(step, *summed(c)).group_by(step)
