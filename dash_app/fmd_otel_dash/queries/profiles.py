"""Stored profiles: single ones, and what all of them come to, from the sums of days."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Double, cast, func, select

from fmd_otel_dash.queries.look import family
from fmd_otel_dash.queries.named import version_names
from fmd_otel_dash.queries.sources import total
from fmd_otel_dash.queries.stacks import Stack, Sums, tree_of, trees_from
from fmd_otel_exporter.endpoint_ids import all_endpoint_ids
from fmd_otel_exporter.profile_data import price_us_of, unpack

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy import ColumnElement, Connection

    from fmd_otel_dash.stats.trees import Tree
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

RECENT = 100


@dataclass(frozen=True)
class ProfileRow:
    """A profile that is kept, without what is in it."""

    endpoint_id: int
    ts_us: int
    span_id: bytes
    duration_us: int
    cpu_us: int
    samples: int
    period_us: int
    exact: bool
    """Of events, not of samples; its times are inflated by what it took to make it."""
    truncated: bool
    trace_id: bytes
    version: str


@dataclass(frozen=True)
class StoredProfile:
    """One request's profile."""

    row: ProfileRow
    tree: Tree


@dataclass(frozen=True)
class Price:
    """What the newest profiles of an endpoint took to make, on average."""

    n: int
    """How many say so."""
    duration_us: float
    """Of their requests."""
    price_us: float
    looks: float


def price(store: Store, endpoint_id: int, n: int = RECENT) -> Price | None:
    """Return what profiling a request of an endpoint takes; None where nobody has measured it."""
    c = store.tables.profile.c
    newest = (
        select(c.duration, c.samples, c.data)
        .where(c.endpoint_id == endpoint_id, c.exact == 0)
        .order_by(c.ts.desc())
        .limit(n)
    )
    with store.read() as conn:
        found = [
            (duration, samples, price_us)
            for duration, samples, data in conn.execute(newest)
            if (price_us := price_us_of(bytes(data))) is not None
        ]
    if not found:
        return None
    durations, looks, prices = (sum(each) / len(found) for each in zip(*found, strict=True))
    return Price(len(found), durations, prices, looks)


def profiles(
    store: Store,
    endpoint_id: int,
    between_us: tuple[int, int],
    *,
    version_ids: Collection[int] | None = None,
    limit: int = RECENT,
) -> list[ProfileRow]:
    """Return the profiles of an endpoint, and of those that count under it, of a half-open range of time.

    Newest first.
    """
    c = store.tables.profile.c
    where = [c.ts >= between_us[0], c.ts < between_us[1]]
    if version_ids is not None:
        where.append(c.version_id.in_(version_ids))
    with store.read() as conn:
        where.append(c.endpoint_id.in_(family(conn, store.tables, endpoint_id)))
        newest = select(*_columns(store.tables)).where(*where)
        newest = newest.order_by(c.ts.desc(), c.span_id.desc()).limit(limit)
        found = conn.execute(newest).all()
        names = version_names(conn, store.tables, {row[-1] for row in found})
    return [_row(row, names) for row in found]


def profile_of(store: Store, endpoint_id: int, ts_us: int, span_id: bytes) -> StoredProfile | None:
    """Return the profile of a request, None where it has none."""
    tables = store.tables
    c = tables.profile.c
    one = select(*_columns(tables), c.data).where(
        c.endpoint_id == endpoint_id, c.ts == ts_us, c.span_id == span_id
    )
    with store.read() as conn:
        found = conn.execute(one).first()
        if found is None:
            return None
        row = _row(found[:-1], version_names(conn, tables, {found[-2]}))
        return StoredProfile(row, tree_of(conn, tables, [unpack(bytes(found[-1]))]))


def recent(
    store: Store, endpoint_id: int, n: int = RECENT, *, version_ids: Collection[int] | None = None
) -> Tree:
    """Return the newest sampled profiles of an endpoint as one tree."""
    tables = store.tables
    c = tables.profile.c
    where = [c.exact == 0]
    if version_ids is not None:
        where.append(c.version_id.in_(version_ids))
    with store.read() as conn:
        where.append(c.endpoint_id.in_(family(conn, tables, endpoint_id)))
        newest = select(c.data).where(*where).order_by(c.ts.desc()).limit(n)
        packed = list(conn.scalars(newest))
        return tree_of(conn, tables, [unpack(bytes(data)) for data in packed])


def grouped(
    store: Store,
    endpoint_ids: Collection[int] | None,
    first_day_s: int,
    last_day_s: int,
    *,
    version_ids: Collection[int] | None = None,
) -> Tree:
    """Return all sampled profiles of some days as one tree, without looking at a single one of them.

    Args:
        store: Where they are.
        endpoint_ids: Of which endpoints; None: of all.
        first_day_s: Start of the first day, epoch seconds UTC.
        last_day_s: Start of the day after the last.
        version_ids: Of which versions; None: of all.
    """
    with store.read() as conn:
        endpoints = all_endpoint_ids(conn, store.tables) if endpoint_ids is None else endpoint_ids
        where = _Days(store.tables, endpoints, first_day_s, last_day_s, version_ids)
        found = where.sums(conn, by_endpoint=False)
        n = where.counts(conn).values()
        stacks, sums = found.get(0, ({}, {}))
        return trees_from(conn, store.tables, {0: (stacks, sums, sum(n))})[0]


def by_endpoint(
    store: Store, first_day_s: int, last_day_s: int, *, version_ids: Collection[int] | None = None
) -> list[tuple[int, Tree]]:
    """Return one tree for each endpoint, for a flame graph over all of them; what took the longest first."""
    with store.read() as conn:
        where = _Days(
            store.tables, all_endpoint_ids(conn, store.tables), first_day_s, last_day_s, version_ids
        )
        counts = where.counts(conn)
        added = {
            endpoint_id: (stacks, sums, counts.get(endpoint_id, 0))
            for endpoint_id, (stacks, sums) in where.sums(conn, by_endpoint=True).items()
        }
        trees = trees_from(conn, store.tables, added)
    return sorted(trees.items(), key=lambda each: -each[1].total_us)


class _Days:
    """Sums of some days of some endpoints and versions."""

    def __init__(
        self,
        tables: Tables,
        endpoints: Collection[int],
        first_day_s: int,
        last_day_s: int,
        version_ids: Collection[int] | None,
    ) -> None:
        self._tables = tables
        self._endpoints = endpoints
        self._days = (first_day_s, last_day_s)
        self._version_ids = version_ids

    def sums(
        self, conn: Connection, *, by_endpoint: bool
    ) -> dict[int, tuple[dict[int, Stack], dict[int, Sums]]]:
        """Return call paths and what they come to, by endpoint, or all of them under 0."""
        c, stack = self._tables.profile_day.c, self._tables.stack.c
        key = [c.endpoint_id, c.stack_id] if by_endpoint else [c.stack_id]
        added = (
            select(
                *key,
                total(c.n).label("n"),
                total(c.hits).label("hits"),
                total(c.self_us).label("self_us"),
                total(c.self_cpu_us).label("self_cpu_us"),
                cast(func.sum(c.total_us2), Double).label("total_us2"),
            )
            .where(*self._where(c))
            .group_by(*key)
            .subquery("added")
        ).c
        query = select(
            added.endpoint_id if by_endpoint else stack.id,
            added.stack_id, stack.parent_id, stack.line_id, stack.depth,
            added.n, added.hits, added.self_us, added.self_cpu_us, added.total_us2,
        ).where(stack.id == added.stack_id)  # fmt: skip
        found: dict[int, tuple[dict[int, Stack], dict[int, Sums]]] = {}
        for endpoint, own, parent, line, depth, *numbers in conn.execute(query):
            stacks, sums = found.setdefault(endpoint if by_endpoint else 0, ({}, {}))
            stacks[own] = Stack(parent, line, depth)
            sums[own] = Sums(*numbers)
        return found

    def counts(self, conn: Connection) -> dict[int, int]:
        """Return how many profiles these days have, by endpoint."""
        c = self._tables.profile_day_n.c
        query = select(c.endpoint_id, total(c.n)).where(*self._where(c)).group_by(c.endpoint_id)
        return {row[0]: row[1] for row in conn.execute(query)}

    def _where(self, c: Any) -> list[ColumnElement[bool]]:
        where = [c.endpoint_id.in_(self._endpoints), c.day >= self._days[0], c.day < self._days[1]]
        if self._version_ids is not None:
            where.append(c.version_id.in_(self._version_ids))
        return where


def _columns(tables: Tables) -> tuple[ColumnElement[Any], ...]:
    c = tables.profile.c
    return (
        c.endpoint_id, c.ts, c.span_id, c.duration, c.cpu_us, c.samples, c.period_us, c.exact, c.truncated,
        c.trace_id, c.version_id,
    )  # fmt: skip


def _row(found: Any, names: dict[int, str]) -> ProfileRow:
    endpoint, ts, span, duration, cpu, samples, period, exact, truncated, trace, version = found
    return ProfileRow(
        endpoint, ts, bytes(span), duration, cpu, samples, period, bool(exact), bool(truncated), bytes(trace),
        names.get(version, ""),
    )  # fmt: skip
