"""Daily API Utilization: requests per day of the zone, endpoint by endpoint."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_dash.queries.look import ERROR_STATUS, Endpoint, look, total_where
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.queries.sources import Columns, total
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from fmd_otel_dash.queries.statements import Statement
    from fmd_otel_exporter.store import Store

_FIRST = date(1970, 1, 1)
_HOUR_US = 3600 * US_PER_S


@dataclass(frozen=True)
class EndpointDays:
    """One endpoint's requests, day by day."""

    endpoint: Endpoint
    n: tuple[int, ...]
    errors: tuple[int, ...]

    @property
    def total(self) -> int:
        """Requests over all days."""
        return sum(self.n)


@dataclass(frozen=True)
class Daily:
    """A stack of bars."""

    scope: Scope
    days: tuple[date, ...]
    """Every local day that the range touches, also those without a request."""
    hours: tuple[float, ...]
    """How much of each day lies in the range: 24; 23 or 25 where clocks change; less at the ends."""
    endpoints: tuple[EndpointDays, ...]
    """Busiest first; only those with requests."""
    last_recorded_us: int | None
    """Newest recorded request, sought only where the range is empty."""

    @property
    def total(self) -> int:
        """Requests over all days and endpoints."""
        return sum(endpoint.total for endpoint in self.endpoints)


def daily(store: Store, scope: Scope) -> Daily:
    """Count the scope's requests per day of its zone and endpoint."""
    with look(store, scope) as view:
        counted: dict[int, dict[int, tuple[int, int]]] = {}
        for source in view.local_hits_apart(scope, days=True):
            for endpoint_id, local_s, n, errors in view.ask(source, _by_endpoint_and_day):
                mine, day = counted.setdefault(endpoint_id, {}), int(local_s) // DAY_S
                known = mine.get(day, (0, 0))
                mine[day] = known[0] + n, known[1] + errors
        last_us = None if counted else view.last_recorded_us()
        endpoints = view.endpoints
    covered = scope.local_parts_us(DAY_S)
    numbers = range(min(covered), max(covered) + 1) if covered else range(0)
    series = [
        EndpointDays(
            endpoint,
            tuple(counted[endpoint.id].get(number, (0, 0))[0] for number in numbers),
            tuple(counted[endpoint.id].get(number, (0, 0))[1] for number in numbers),
        )
        for endpoint in endpoints
        if endpoint.id in counted
    ]
    return Daily(
        scope=scope,
        days=tuple(_FIRST + timedelta(days=number) for number in numbers),
        hours=tuple(covered.get(number, 0) / _HOUR_US for number in numbers),
        endpoints=tuple(sorted(series, key=lambda one: -one.total)),
        last_recorded_us=last_us,
    )


def _by_endpoint_and_day(c: Columns) -> Statement:
    day = c.local_s - c.local_s % DAY_S
    failed = total_where(c.status >= ERROR_STATUS, c.n)
    return select(c.endpoint_id, day, total(c.n), failed).group_by(c.endpoint_id, day)
