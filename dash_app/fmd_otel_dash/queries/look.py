"""One consistent look at the database: the endpoints a page speaks of, and where to count their requests."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    case,
    select,
)

from fmd_otel_dash.queries import lookups
from fmd_otel_dash.queries.plan import Kept, Segment, split
from fmd_otel_dash.queries.scope import US_PER_S, Pair, Scope
from fmd_otel_dash.queries.slots import Slots, slots
from fmd_otel_dash.queries.sources import Source, counted, hits_source, latency_source, n_of_each, total
from fmd_otel_exporter.endpoint_rules import Rules, read
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S, LATENCY_BUCKET_S, Tables

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping, Sequence

    from sqlalchemy import Table

    from fmd_otel_dash.queries.sources import Build
    from fmd_otel_exporter.dialects.base import Dialect
    from fmd_otel_exporter.store import Store

ERROR_STATUS = 500
CLIENT_ERROR_STATUS = 400
_NO_RAW_US = 1 << 62
_WEEKS_S = 63 * DAY_S


@dataclass(frozen=True)
class Endpoint:
    """What the database knows of an endpoint apart from its requests."""

    id: int
    service: str
    name: str
    """What people call it: by the name the application uses, if nobody has given it another."""
    route: str | None
    methods: str | None
    blueprint: str | None
    level: int
    first_us: int | None
    last_us: int | None
    """Last requested, at whatever level; None before the first request."""
    level0_n: int
    """Requests served at level 0: counted here and nowhere else."""
    rules_text: str | None = None
    """All its rules, as they are stored; see :attr:`rules`."""
    own_name: str = ""
    """What the application calls it."""
    pinned: bool = False
    """Somebody has set its level by hand, so that rules leave it alone."""
    merged: tuple[tuple[int, str], ...] = ()
    """Numbers and names of the endpoints that count under it."""

    @property
    def rules(self) -> Rules:
        """All its rules with their methods, where the application has said them."""
        return read(self.rules_text)


@dataclass(frozen=True)
class Version:
    """A deployed version of a service."""

    id: int
    service: str
    name: str
    first_us: int
    """When its first request was recorded."""


class _Days(NamedTuple):
    """What has become of days (epoch seconds) that are over."""

    summed: tuple[tuple[int, bool], ...]
    """Those whose sums are complete, and whether nothing finer is kept of them."""
    pruned: frozenset[int]
    """Those of which retention may have taken raw rows; there may be some again, which came late."""


@dataclass(frozen=True)
class Look:
    """An open read transaction, with the endpoints of the scope it was opened for."""

    conn: Connection
    dialect: Dialect
    tables: Tables
    endpoints: tuple[Endpoint, ...]
    home: Mapping[int, int] = field(default_factory=dict)
    """Of each merged endpoint, the one it counts under."""
    _known_since: dict[int, _Days] = field(default_factory=dict)
    """Of all days after one, that is the only key."""
    _counted: dict[Hashable, int] = field(default_factory=dict)
    """Requests of segments."""

    @property
    def endpoint_ids(self) -> tuple[int, ...]:
        """Ids of the endpoints and of those that count under them, for the clustered keys."""
        return (*(endpoint.id for endpoint in self.endpoints), *self.home)

    @cached_property
    def by_id(self) -> dict[int, Endpoint]:
        """Return the endpoint that each row counts under, with the row's own number, by that number."""
        found = {endpoint.id: endpoint for endpoint in self.endpoints}
        return found | {own: replace(found[root], id=own) for own, root in self.home.items()}

    @cached_property
    def others(self) -> tuple[int, ...]:
        """Ids of all endpoints but these: of other services, removed, or counted under such."""
        mine = {*self.endpoint_ids}
        return tuple(own for own in self.conn.scalars(select(self.tables.endpoint.c.id)) if own not in mine)

    def counted(self, of: Table) -> ColumnElement[int]:
        """Return a table's ``endpoint_id``, as the number of the endpoint that its rows count under."""
        return counted(of.c.endpoint_id, self.home)

    def of(self, pair: Pair) -> Look:
        """Return this look narrowed to the endpoints that a pair speaks of."""
        own = tuple(each for each in self.endpoints if pair.of_service(each.service))
        if own == self.endpoints:
            return self
        ids = {each.id for each in own}
        return replace(
            self, endpoints=own, home={merged: to for merged, to in self.home.items() if to in ids}
        )

    def ask(self, source: Source, build: Build, **values: int) -> Sequence[Any]:
        """Return what a statement, which is built once, says of a source's rows.

        ``values`` are those of the parameters that ``build`` has put into it.
        """
        return self.conn.execute(source.statement(build), source.values | values).all()

    def hits(self, scope: Scope, *, days: bool = True) -> Source:
        """Return the scope's requests as hits rows; ``days=False`` keeps to quarters of an hour."""
        return self.hits_of(self.segments(scope, HITS_BUCKET_S, days=days), scope)

    def local_hits(self, scope: Scope, *, days: bool) -> Source:
        """Return the scope's requests as hits rows whose ``local_s`` is what the zone's clock showed.

        Args:
            scope: what to count, and on which zone's clock.
            days: sums of whole days are good enough. In UTC the days of the rollups are the days of the zone;
                in any other zone they are not, and quarters of an hour are read wherever they are kept.
                Without this, a day of which they are not kept is left out.
        """
        return self._hits(self._local_segments(scope, days=days), self.version_ids(scope), local=True)

    def local_hits_apart(self, scope: Scope, *, days: bool) -> tuple[Source, ...]:
        """Return the same as several sources, whose sums are to be added up.

        SQLite goes through a month of sums a fifth faster if it does not have to pass on raw rows as well.
        There is one where another question takes longer than that.
        """
        if self.dialect.plans_long:
            return (self.local_hits(scope, days=days),)
        segments, versions = self._local_segments(scope, days=days), self.version_ids(scope)
        return tuple(
            self._hits(some, versions, local=True)
            for some in (
                [segment for segment in segments if segment.source != "raw"],
                [segment for segment in segments if segment.source == "raw"],
            )
            if some
        )

    def _local_segments(self, scope: Scope, *, days: bool) -> list[Segment]:
        return [
            replace(segment, offset_s=stretch.offset_s)
            for stretch in scope.stretches()
            for segment in self.segments(
                replace(scope, start_us=stretch.start_us, end_us=stretch.end_us),
                HITS_BUCKET_S,
                days=days and scope.tz == "UTC",
            )
            if days or segment.source != "day"
        ]

    def hits_of(self, segments: Sequence[Segment], scope: Scope) -> Source:
        """Return the requests of some segments, of the versions that a scope names, as hits rows."""
        return self._hits(segments, self.version_ids(scope))

    def hits_of_versions(self, segments: Sequence[Segment], version_ids: tuple[int, ...] | None) -> Source:
        """Return the requests of some segments and versions as hits rows."""
        return self._hits(segments, version_ids)

    def _hits(
        self, segments: Sequence[Segment], version_ids: tuple[int, ...] | None, *, local: bool = False
    ) -> Source:
        return hits_source(
            self.tables,
            segments,
            self.endpoint_ids,
            version_ids,
            self.home,
            local=local,
            once=self.dialect.plans_long,
        )

    def n_of_each(
        self, segments: Sequence[Segment], version_ids: tuple[int, ...] | None
    ) -> dict[Segment, int]:
        """Return how many requests each segment has; what is asked again is not counted again."""
        whose = self.endpoint_ids, version_ids
        new = [segment for segment in dict.fromkeys(segments) if (segment, whose) not in self._counted]
        if new:
            statement, values = n_of_each(
                self.tables, new, self.endpoint_ids, version_ids, once=self.dialect.plans_long
            )
            rows = self.conn.execute(statement, values).all()
            counts: dict[int, int | None] = dict(tuple(row) for row in rows)
            for place, segment in enumerate(new):
                self._counted[segment, whose] = counts.get(place) or 0
        return {segment: self._counted[segment, whose] for segment in segments}

    def latency(self, scope: Scope, *, days: bool = True) -> Source:
        """Return the scope's requests as latency bucket rows; ``days=False`` keeps to hours."""
        segments = self.segments(scope, LATENCY_BUCKET_S, days=days)
        return self.latency_of(segments, self.version_ids(scope))

    def latency_of(self, segments: Sequence[Segment], version_ids: tuple[int, ...] | None) -> Source:
        """Return the requests of some segments as latency bucket rows."""
        return latency_source(
            self.tables,
            segments,
            self.endpoint_ids,
            version_ids,
            self.home,
            once=self.dialect.plans_long,
        )

    def steps(self, scope: Scope, max_points: int, width_s: int) -> Slots:
        """Return the steps of a chart: whole days, and from midnight on, where only sums of days are kept."""
        kept = self._kept(scope)
        counted = replace(
            scope,
            start_us=kept.nearest(scope.start_us, HITS_BUCKET_S),
            end_us=kept.nearest(scope.end_us, HITS_BUCKET_S),
        )
        return slots(counted, max_points, at_least_s=DAY_S if kept.sealed else width_s)

    def sealed_days(self, scope: Scope) -> frozenset[int]:
        """Return the UTC days (epoch seconds) that the range touches and of which only the sums are kept."""
        return frozenset(day for day, sealed in self._days(scope) if sealed)

    def segments(self, scope: Scope, width_s: int, *, days: bool) -> tuple[Segment, ...]:
        """Return where to count the scope's requests: days, buckets of a width, and raw rows at the ends.

        Where there is nothing beyond an end of the range, the whole bucket that it lies in says the same as
        its raw rows: so it is at the end of a range that goes up to now.
        """
        rolled = [day for day, _ in self._days(scope)] if days else ()
        start_us, end_us, width_us = scope.start_us, scope.end_us, width_s * US_PER_S
        first_us, last_us = self._ends_us
        if start_us <= first_us:
            start_us = start_us // width_us * width_us
        if last_us < end_us:
            end_us = -(-end_us // width_us) * width_us
        return split(start_us, end_us, width_s=width_s, days=rolled, kept=self._kept(scope))

    def outside(self, segment: Segment, width_s: int) -> Segment | None:
        """Return what of its bucket lies beside a segment of raw rows that go up to one end of the bucket.

        None where there is more of it than of the segment, where retention may have taken some of it, or
        where one more question takes longer than to read it.
        """
        if self.dialect.plans_long:
            return None
        start_us, end_us = segment.bucket_s * US_PER_S, (segment.bucket_s + width_s) * US_PER_S
        if segment.end_us == end_us:
            beside = replace(segment, start=start_us, end=segment.start)
        elif segment.start_us == start_us:
            beside = replace(segment, start=segment.end, end=end_us)
        else:
            return None
        first_us, last_us = self._ends_us
        there_us = min(beside.end_us, last_us + 1) - max(beside.start_us, first_us)
        if there_us >= segment.end_us - segment.start_us or self._pruned(segment.bucket_s // DAY_S * DAY_S):
            return None
        return beside

    @cached_property
    def _ends_us(self) -> tuple[int, int]:
        """When the endpoints were first and last requested; a first time after the last, if never."""
        firsts = (endpoint.first_us for endpoint in self.endpoints if endpoint.first_us is not None)
        lasts = (endpoint.last_us for endpoint in self.endpoints if endpoint.last_us is not None)
        return min(firsts, default=_NO_RAW_US), max(lasts, default=-1)

    def _kept(self, scope: Scope) -> Kept:
        return Kept(self.sealed_days(scope), self.raw_from_us, self._around(scope).pruned)

    def _days(self, scope: Scope) -> tuple[tuple[int, bool], ...]:
        """Return the days the range touches whose sums are complete, and whether nothing finer is kept."""
        after, before = scope.start_us // US_PER_S - DAY_S, -(-scope.end_us // US_PER_S)
        return tuple([each for each in self._around(scope).summed if after < each[0] < before])

    def _around(self, scope: Scope) -> _Days:
        after, before = scope.start_us // US_PER_S - DAY_S, -(-scope.end_us // US_PER_S)
        # A page asks for several ranges, most of them within the last weeks.
        return self._days_after(after, before - _WEEKS_S)

    def _pruned(self, day: int) -> bool:
        """Tell whether retention may have taken raw rows of a day."""
        return day in self._days_after(day - 1, day).pruned

    def _days_after(self, after: int, rather: int) -> _Days:
        """Return what has become of the days after one: of more, where they are read and that is earlier."""
        first = next(iter(self._known_since), None)
        if first is None or after < first:
            first = min(after, rather)
            query = lookups.days_after(self.tables.rollup_day, self.tables.subject_rollup)
            rows = self.conn.execute(query, {"after": first}).all()
            self._known_since.clear()
            self._known_since[first] = _Days(
                tuple(sorted((day, bool(sealed)) for which, day, sealed in rows if which == 0)),
                frozenset(day for which, day, _ in rows if which == 1),
            )
        return self._known_since[first]

    @cached_property
    def raw_from_us(self) -> int:
        """Where raw rows begin. Before it there were no requests, or retention has taken them."""
        firsts = lookups.earliest(self.dialect, self.tables.endpoint, self.tables.request.c.ts)
        found = min((row[1] for row in self.conn.execute(firsts) if row[1] is not None), default=None)
        return _NO_RAW_US if found is None else found

    def raw(self, scope: Scope) -> Source:
        """Return the scope's requests one by one, counted like hits rows: for ranges of a few hours."""
        ids = self.version_ids(scope)
        rows = lookups.raw(self.tables.request, tuple(self.home.items()), of_versions=ids is not None)
        values = {"endpoints": self.endpoint_ids, "start": scope.start_us, "end": scope.end_us}
        return Source(rows, values if ids is None else values | {"versions": ids})

    def version_ids(self, scope: Scope) -> tuple[int, ...] | None:
        """Return the ids of the versions the scope names, None where it names none and all count."""
        if not scope.versions:
            return None
        query = lookups.version_ids(self.tables.version, of_services=bool(scope.services))
        return tuple(self.conn.scalars(query, {"names": scope.versions, "services": scope.services}))

    def versions(self, scope: Scope) -> tuple[Version, ...]:
        """Return all versions of the scope's services, oldest first."""
        query = lookups.versions(self.tables.version, of_services=bool(scope.services))
        return tuple(Version(*row) for row in self.conn.execute(query, {"services": scope.services}))

    def last_recorded_us(self) -> int | None:
        """Return when the newest request with a row came in: where "jump to the last data" jumps.

        To the quarter of an hour, or to the day, where retention has left nothing finer.
        """
        request, hits, days = self.tables.request, self.tables.hits, self.tables.hits_day
        for time, unit in ((request.c.ts, 1), (hits.c.bucket, US_PER_S), (days.c.bucket, US_PER_S)):
            newest = self._newest(time)
            if newest is not None:
                return newest * unit
        return None

    def _newest(self, time: Column[int]) -> int | None:
        lasts = lookups.ends(self.dialect, self.tables.endpoint, time, newest=True)
        mine = {*self.endpoint_ids}
        found = (row[1] for row in self.conn.execute(lasts) if row[0] in mine and row[1] is not None)
        return max(found, default=None)


@contextmanager
def look(store: Store, scope: Scope) -> Iterator[Look]:
    """Open a short read transaction on the endpoints that a scope speaks of."""
    with store.read() as conn:
        endpoints = _endpoints(conn, store.tables, scope)
        home = {own: endpoint.id for endpoint in endpoints for own, _ in endpoint.merged}
        yield Look(conn, store.dialect, store.tables, endpoints, home)


def endpoints(store: Store, scope: Scope) -> tuple[Endpoint, ...]:
    """Return the endpoints of a scope."""
    with look(store, scope) as found:
        return found.endpoints


def total_where(condition: ColumnElement[bool], expression: ColumnElement[Any]) -> ColumnElement[int]:
    """Return the sum over the rows that meet a condition; 0 where none does."""
    return total(case((condition, expression), else_=0))


def family(conn: Connection, tables: Tables, endpoint_id: int) -> tuple[int, ...]:
    """Return the number of an endpoint, or of the one it counts under, and then of those that do so."""

    def around(number: int) -> Sequence[Any]:
        return conn.execute(lookups.around(tables.endpoint), {"number": number}).all()

    root, rows = endpoint_id, around(endpoint_id)
    above = next((into for own, into, _ in rows if own == root), 0)
    if above:
        root, rows = above, around(above)
    return (root, *sorted(own for own, into, removed in rows if into == root and not removed))


def _endpoints(conn: Connection, tables: Tables, scope: Scope) -> tuple[Endpoint, ...]:
    found: dict[int, Endpoint] = {}
    merged: dict[int, list[Endpoint]] = {}
    for *values, pinned, into, _ in _endpoint_rows(conn, tables.endpoint, scope):
        endpoint = Endpoint(*(*values, bool(pinned)))
        if into:
            merged.setdefault(into, []).append(endpoint)
        else:
            found[endpoint.id] = endpoint
    for root, members in merged.items():
        if root in found:
            found[root] = _together(found[root], sorted(members, key=lambda each: each.id))
    return tuple(sorted(found.values(), key=lambda each: (each.service, each.name, each.id)))


def _endpoint_rows(conn: Connection, table: Table, scope: Scope) -> Sequence[Any]:
    """Return the endpoints of a scope, and those that count under them."""
    if not scope.endpoint_ids:
        query = lookups.known(table, of_services=bool(scope.services))
        return conn.execute(query, {"services": scope.services}).all()
    wanted = {*scope.endpoint_ids}
    rows = conn.execute(lookups.families(table), {"ids": [*wanted]}).all()
    roots = wanted - {row.id for row in rows if row.merged_into} | {
        row.merged_into for row in rows if row.merged_into and row.id in wanted
    }
    if roots != wanted:
        rows = conn.execute(lookups.families(table), {"ids": [*roots]}).all()
    there = [row for row in rows if not row.removed_ts]
    return [row for row in there if row.service in scope.services] if scope.services else there


def _together(root: Endpoint, members: Sequence[Endpoint]) -> Endpoint:
    """Return an endpoint with those that count under it."""
    all_of = [root, *members]
    firsts = [each.first_us for each in all_of if each.first_us is not None]
    lasts = [each.last_us for each in all_of if each.last_us is not None]
    return replace(
        root,
        first_us=min(firsts, default=None),
        last_us=max(lasts, default=None),
        level0_n=sum(each.level0_n for each in all_of),
        merged=tuple((each.id, each.own_name) for each in members),
    )
