"""The few numbers that say how things are, and which of them have changed by more than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fmd_otel_dash.queries.counts import Counts
from fmd_otel_dash.stats.percentiles import Change, apdex, change, percentiles
from fmd_otel_dash.stats.scores import apdex_change
from fmd_otel_dash.stats.significance import share_change

if TYPE_CHECKING:
    from fmd_otel_dash.stats.percentiles import Buckets
    from fmd_otel_dash.stats.significance import Effect

APDEX_THRESHOLD_US = 300_000


@dataclass(frozen=True)
class Kpis(Counts):
    """Key figures of all endpoints together."""

    p50_us: float | None = None
    p95_us: float | None = None
    p99_us: float | None = None
    apdex: float | None = None
    """With a threshold of 300 ms."""


@dataclass(frozen=True)
class KpiChanges:
    """How the figures differ from those compared with; None where either side has too little to tell."""

    p50: Change | None
    p95: Change | None
    errors: Effect | None
    """A difference of two shares."""
    apdex: Effect | None
    """A difference of two scores."""


def kpis_of(counts: Counts, latency: Buckets) -> Kpis:
    """Return the figures of some endpoints together."""
    p50, p95, p99 = percentiles(latency, (0.5, 0.95, 0.99))
    return Kpis(
        n=counts.n,
        errors=counts.errors,
        client_errors=counts.client_errors,
        sum_us=counts.sum_us,
        p50_us=p50,
        p95_us=p95,
        p99_us=p99,
        apdex=apdex(latency, APDEX_THRESHOLD_US),
    )


def kpi_changes(counts_before: Counts, before: Buckets, counts_after: Counts, after: Buckets) -> KpiChanges:
    """Return how the figures of some endpoints together changed."""
    return KpiChanges(
        p50=change(before, after, 0.5),
        p95=change(before, after, 0.95),
        errors=share_change(counts_before.errors, counts_before.n, counts_after.errors, counts_after.n),
        apdex=apdex_change(before, after, APDEX_THRESHOLD_US),
    )
