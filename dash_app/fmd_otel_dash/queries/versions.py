"""Multi Version API Utilization: what each deployed version serves, and how well."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_dash.queries.counts import NOTHING, Counts, summed_by_version, together
from fmd_otel_dash.queries.latency import by_version, latency_by
from fmd_otel_dash.queries.look import Endpoint, Version, look
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.sources import Columns, total
from fmd_otel_dash.stats.percentiles import BoxStats, Change, box, change, percentiles

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fmd_otel_dash.queries.statements import Statement
    from fmd_otel_exporter.store import Store


@dataclass(frozen=True)
class Utilization:
    """Which share of each version's requests went to which endpoint."""

    scope: Scope
    versions: tuple[Version, ...]
    """Those with requests in the range, oldest first."""
    endpoints: tuple[Endpoint, ...]
    """Those with requests in the range, busiest first."""
    n: tuple[tuple[int, ...], ...]
    """``[endpoint][version]``"""
    last_recorded_us: int | None
    """Newest recorded request, sought only where the range is empty."""

    @property
    def totals(self) -> tuple[int, ...]:
        """Requests of each version."""
        return tuple(sum(row[i] for row in self.n) for i in range(len(self.versions)))

    @property
    def shares(self) -> tuple[tuple[float, ...], ...]:
        """``[endpoint][version]``: requests over those of the version; its column sums to 1."""
        totals = self.totals
        return tuple(tuple(n / all_n for n, all_n in zip(row, totals, strict=True)) for row in self.n)


@dataclass(frozen=True, kw_only=True)
class Deployment(Counts):
    """One version in the range, with the counts of its requests."""

    version: Version
    p50_us: float | None
    p95_us: float | None
    box: BoxStats | None
    predecessor: str
    """The version of the same service that was first seen before it and served in the range; may be empty."""
    change: Change | None
    """Of p95 against the predecessor, over all requests of each."""
    latency: dict[int, int] = field(default_factory=dict, hash=False)
    """Bucket and requests."""


@dataclass(frozen=True)
class Deployments:
    """All versions that served in a range."""

    scope: Scope
    deployments: tuple[Deployment, ...]
    """Newest first."""
    last_recorded_us: int | None

    @property
    def n(self) -> int:
        """Requests of all versions."""
        return together(self.deployments).n


def versions(store: Store, scope: Scope) -> tuple[Version, ...]:
    """Return every version that ever served, oldest first: for deploy markers, filters and "since 1.7.0"."""
    with look(store, scope) as view:
        return view.versions(scope)


def version_starts(store: Store) -> dict[str, int]:
    """Return when each version first served, oldest first; of services that share a name, the first."""
    return first_starts(versions(store, Scope(0, 0)))


def first_starts(known: Iterable[Version]) -> dict[str, int]:
    """Return when each of some versions, oldest first, was served first under its name."""
    starts: dict[str, int] = {}
    for version in known:
        starts.setdefault(version.name, version.first_us)
    return starts


def utilization(store: Store, scope: Scope) -> Utilization:
    """Count the scope's requests per endpoint and version."""
    with look(store, scope) as view:
        counted: dict[int, dict[int, int]] = {}
        for endpoint_id, version_id, n in view.ask(view.hits(scope), _n_by_endpoint_and_version):
            counted.setdefault(endpoint_id, {})[version_id] = n
        known = view.versions(scope)
        last_us = None if counted else view.last_recorded_us()
    served = {version_id for by_version in counted.values() for version_id in by_version}
    columns = tuple(version for version in known if version.id in served)
    rows = sorted(
        (endpoint for endpoint in view.endpoints if endpoint.id in counted),
        key=lambda endpoint: -sum(counted[endpoint.id].values()),
    )
    return Utilization(
        scope=scope,
        versions=columns,
        endpoints=tuple(rows),
        n=tuple(tuple(counted[row.id].get(column.id, 0) for column in columns) for row in rows),
        last_recorded_us=last_us,
    )


def _n_by_endpoint_and_version(c: Columns) -> Statement:
    return select(c.endpoint_id, c.version_id, total(c.n)).group_by(c.endpoint_id, c.version_id)


def deployments(store: Store, scope: Scope) -> Deployments:
    """Return how each version did; with a scope of one endpoint, how that endpoint did under each."""
    with look(store, scope) as view:
        rows = view.ask(view.hits(scope), summed_by_version)
        counted = {version_id: Counts(*counts) for version_id, *counts in rows}
        latency = latency_by(view, scope, by_version)
        known = view.versions(scope)
        last_us = None if counted else view.last_recorded_us()
    found: list[Deployment] = []
    before: dict[str, Version] = {}
    for version in known:
        counts = counted.get(version.id, NOTHING)
        if not counts.n:
            continue
        sample = latency.get(version.id, {})
        older = before.get(version.service)
        p50, p95 = percentiles(sample, (0.5, 0.95))
        found.append(
            Deployment(
                version=version,
                n=counts.n,
                errors=counts.errors,
                client_errors=counts.client_errors,
                sum_us=counts.sum_us,
                p50_us=p50,
                p95_us=p95,
                box=box(sample),
                predecessor=older.name if older else "",
                change=change(latency.get(older.id, {}), sample, 0.95) if older else None,
                latency=sample,
            )
        )
        before[version.service] = version
    return Deployments(scope, tuple(reversed(found)), last_us)
