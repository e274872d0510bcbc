"""One consistent look at the database: the endpoints a page speaks of, and where to count their requests."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Connection, Subquery, case, cast, func, literal, select

from fmd_otel_dash.queries.plan import split
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.queries.sources import hits_source, latency_source
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S, LATENCY_BUCKET_S, Tables

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fmd_otel_exporter.store import Store

ERROR_STATUS = 500
CLIENT_ERROR_STATUS = 400


@dataclass(frozen=True)
class Endpoint:
    """What the database knows of an endpoint apart from its requests."""

    id: int
    service: str
    name: str
    route: str | None
    methods: str | None
    blueprint: str | None
    level: int
    first_us: int | None
    last_us: int | None
    """Last requested, at whatever level; None before the first request."""
    level0_n: int
    """Requests served at level 0: counted here and nowhere else."""


@dataclass(frozen=True)
class Version:
    """A deployed version of a service."""

    id: int
    service: str
    name: str
    first_us: int
    """When its first request was recorded."""


@dataclass(frozen=True)
class Look:
    """An open read transaction, with the endpoints of the scope it was opened for."""

    conn: Connection
    tables: Tables
    endpoints: tuple[Endpoint, ...]

    @property
    def endpoint_ids(self) -> tuple[int, ...]:
        """Ids of the endpoints, for the clustered keys."""
        return tuple(endpoint.id for endpoint in self.endpoints)

    def hits(self, scope: Scope, *, days: bool = True) -> Subquery:
        """Return the scope's requests as hits rows; ``days=False`` keeps to quarters of an hour."""
        rolled = self.rolled_days(scope) if days else ()
        segments = split(scope.start_us, scope.end_us, width_s=HITS_BUCKET_S, days=rolled)
        return hits_source(self.tables, segments, self.endpoint_ids, self.version_ids(scope))

    def local_hits(self, scope: Scope, *, days: bool) -> Subquery:
        """Return the scope's requests as hits rows whose ``local_s`` is what the zone's clock showed.

        Args:
            scope: what to count, and on which zone's clock.
            days: sums of whole days are good enough. In UTC the days of the rollups are the days of the zone;
                in any other zone they are not, and quarters of an hour are read in any case.
        """
        rolled = self.rolled_days(scope) if days and scope.tz == "UTC" else ()
        segments = [
            replace(segment, offset_s=stretch.offset_s)
            for stretch in scope.stretches()
            for segment in split(stretch.start_us, stretch.end_us, width_s=HITS_BUCKET_S, days=rolled)
        ]
        return hits_source(self.tables, segments, self.endpoint_ids, self.version_ids(scope))

    def latency(self, scope: Scope, *, days: bool = True) -> Subquery:
        """Return the scope's requests as latency bucket rows; ``days=False`` keeps to hours."""
        rolled = self.rolled_days(scope) if days else ()
        segments = split(scope.start_us, scope.end_us, width_s=LATENCY_BUCKET_S, days=rolled)
        return latency_source(self.tables, segments, self.endpoint_ids, self.version_ids(scope))

    def raw(self, scope: Scope) -> Subquery:
        """Return the scope's requests one by one, counted like hits rows: for ranges of a few hours."""
        c = self.tables.request.c
        rows = select(
            c.endpoint_id,
            c.ts,
            c.status,
            c.bkt,
            literal(1, BigInteger).label("n"),
            c.duration.label("sum_us"),
        ).where(c.endpoint_id.in_(self.endpoint_ids), c.ts >= scope.start_us, c.ts < scope.end_us)
        ids = self.version_ids(scope)
        return (rows if ids is None else rows.where(c.version_id.in_(ids))).subquery("source")

    def rolled_days(self, scope: Scope) -> tuple[int, ...]:
        """Return the UTC days (epoch seconds) inside the range whose day rollups are complete."""
        day = self.tables.rollup_day.c.day
        inside = select(day).where(day >= scope.start_us // US_PER_S, day <= scope.end_us // US_PER_S - DAY_S)
        return tuple(self.conn.scalars(inside))

    def version_ids(self, scope: Scope) -> tuple[int, ...] | None:
        """Return the ids of the versions the scope names, None where it names none and all count."""
        if not scope.versions:
            return None
        c = self.tables.version.c
        named = select(c.id).where(c.name.in_(scope.versions))
        return tuple(
            self.conn.scalars(named.where(c.service.in_(scope.services)) if scope.services else named)
        )

    def versions(self, scope: Scope) -> tuple[Version, ...]:
        """Return all versions of the scope's services, oldest first."""
        c = self.tables.version.c
        known = select(c.id, c.service, c.name, c.first_ts).order_by(c.first_ts, c.id)
        if scope.services:
            known = known.where(c.service.in_(scope.services))
        return tuple(Version(*row) for row in self.conn.execute(known))

    def last_recorded_us(self) -> int | None:
        """Return when the newest request with a row came in: where "jump to the last data" jumps."""
        request, endpoint = self.tables.request, self.tables.endpoint
        # One seek per endpoint; MAX(ts) over all of them would walk the table.
        newest = (
            select(request.c.ts)
            .where(request.c.endpoint_id == endpoint.c.id)
            .order_by(request.c.ts.desc())
            .limit(1)
            .scalar_subquery()
        )
        over_all = select(func.max(newest)).select_from(endpoint).where(endpoint.c.id.in_(self.endpoint_ids))
        found: int | None = self.conn.scalar(over_all)
        return found


@contextmanager
def look(store: Store, scope: Scope) -> Iterator[Look]:
    """Open a short read transaction on the endpoints that a scope speaks of."""
    with store.read() as conn:
        yield Look(conn, store.tables, _endpoints(conn, store.tables, scope))


def total(expression: ColumnElement[Any]) -> ColumnElement[int]:
    """Return a sum as an integer: PostgreSQL and MySQL widen sums of BIGINT to decimals."""
    return cast(func.sum(expression), BigInteger)


def total_where(condition: ColumnElement[bool], expression: ColumnElement[Any]) -> ColumnElement[int]:
    """Return the sum over the rows that meet a condition; 0 where none does."""
    return total(case((condition, expression), else_=0))


def _endpoints(conn: Connection, tables: Tables, scope: Scope) -> tuple[Endpoint, ...]:
    c = tables.endpoint.c
    wanted = select(
        c.id, c.service, c.name, c.route, c.method, c.blueprint, c.level, c.first_ts, c.last_ts, c.level0_n
    ).order_by(c.service, c.name)
    if scope.services:
        wanted = wanted.where(c.service.in_(scope.services))
    if scope.endpoint_ids:
        wanted = wanted.where(c.id.in_(scope.endpoint_ids))
    return tuple(Endpoint(*tuple(row)) for row in conn.execute(wanted))
