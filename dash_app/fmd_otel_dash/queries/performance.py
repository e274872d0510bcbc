"""API Performance: how long each endpoint takes, and whether that has changed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from fmd_otel_dash.queries.counts import NOTHING, Counts, summed_by_endpoint, together
from fmd_otel_dash.queries.latency import Grouped, by_endpoint, latency_of_each
from fmd_otel_dash.queries.look import Endpoint, look
from fmd_otel_dash.queries.scope import Pair
from fmd_otel_dash.stats.percentiles import BoxStats, Change, box, change

if TYPE_CHECKING:
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_exporter.store import Store

Order = Literal["p95", "time", "change", "requests"]


@dataclass(frozen=True, kw_only=True)
class EndpointPerformance(Counts):
    """One endpoint's durations in the range."""

    endpoint: Endpoint
    box: BoxStats
    before: BoxStats | None
    """The comparison's, where it has requests."""
    change: Change | None
    """Of p95 against the comparison."""
    time_share: float
    """Share of the time that all endpoints together spent."""
    latency: dict[int, int] = field(default_factory=dict, hash=False)
    """Bucket and requests."""


@dataclass(frozen=True)
class Performance:
    """All endpoints with requests in the range."""

    scope: Scope
    endpoints: tuple[EndpointPerformance, ...]
    """Slowest p95 first."""
    last_recorded_us: int | None
    """Newest recorded request, sought only where the range is empty."""

    @property
    def n(self) -> int:
        """Requests of all endpoints."""
        return together(self.endpoints).n

    def ordered(self, order: Order) -> tuple[EndpointPerformance, ...]:
        """Return the endpoints with the one to look at first on top.

        By change, those that got slower beyond doubt come before those that only may have.
        """
        if order == "time":
            return tuple(sorted(self.endpoints, key=lambda one: -one.sum_us))
        if order == "requests":
            return tuple(sorted(self.endpoints, key=lambda one: -one.n))
        if order == "change":
            return tuple(sorted(self.endpoints, key=_least_changed_last))
        return self.endpoints


def performance(store: Store, scope: Scope, compare: Scope | None) -> Performance:
    """Read the durations of every endpoint of the scope."""
    return performance_of(store, scope, (Pair(scope, compare),))


def performance_of(store: Store, scope: Scope, pairs: tuple[Pair, ...]) -> Performance:
    """Read the durations of services that are each compared with something of their own."""
    counted: dict[int, Counts] = {}
    after: Grouped = {}
    before: Grouped = {}
    with look(store, scope) as view:
        for pair in pairs:
            part = view.of(pair)
            rows = part.ask(part.hits(pair.after), summed_by_endpoint)
            counted |= {endpoint_id: Counts(*counts) for endpoint_id, *counts in rows}
            sides = [pair.after, *([pair.before] if pair.before else [])]
            latency, *latency_before = latency_of_each(part, sides, by_endpoint)
            after |= latency
            for earlier in latency_before:
                before |= earlier
        last_us = None if counted else view.last_recorded_us()
    all_us = together(counted.values()).sum_us or 1
    found = []
    for endpoint in view.endpoints:
        sample, counts = after.get(endpoint.id, {}), counted.get(endpoint.id, NOTHING)
        stats = box(sample)
        if stats is None:
            continue
        found.append(
            EndpointPerformance(
                endpoint=endpoint,
                n=counts.n,
                errors=counts.errors,
                client_errors=counts.client_errors,
                sum_us=counts.sum_us,
                box=stats,
                before=box(before.get(endpoint.id, {})),
                change=change(before.get(endpoint.id, {}), sample, 0.95),
                time_share=counts.sum_us / all_us,
                latency=sample,
            )
        )
    found.sort(key=lambda one: (-one.box.p95_us, one.endpoint.name))
    return Performance(scope, tuple(found), last_us)


def _least_changed_last(one: EndpointPerformance) -> tuple[bool, bool, float]:
    moved = one.change
    return moved is None, moved is not None and not moved.significant, -(moved.ratio if moved else 0.0)
