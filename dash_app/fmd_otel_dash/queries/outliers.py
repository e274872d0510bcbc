"""Requests that took much longer than usual."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, func, select

from fmd_otel_dash.queries.evenly import evenly
from fmd_otel_dash.queries.look import Endpoint, Look, look
from fmd_otel_dash.queries.named import subject_names, version_names
from fmd_otel_dash.queries.requests import parse_key
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_dash.queries.statements import Statement, any_of, built_once, integer
from fmd_otel_exporter.documents import decode_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Table

    from fmd_otel_exporter.store import Store

MOST = 120
"""Dots of a chart that can be told apart; the file has all."""
_WINDOWS = 24
"""Of a range: a query each, and as many as there are hours to be met alike."""
_AT_ONCE = 7
"""Endpoints whose outliers are sought in one window."""
_MOST_OF = 4
"""A range is most of what is kept if it has one part in so many of it."""


@dataclass(frozen=True)
class Outlier:
    """A request that took much longer than usual, with names in place of ids."""

    endpoint: Endpoint
    ts_us: int
    span_id: str
    trace_id: str
    duration_us: int
    average_us: int
    """What its endpoint took usually, as known then."""
    threshold_us: int
    status: int
    version: str
    user: str | None
    ip: str | None
    cpu_percent: float | None
    rss_bytes: int | None

    @property
    def key(self) -> str:
        """What finds this request again: the same as that of its row among the requests."""
        return f"{self.ts_us}-{self.endpoint.id}-{self.span_id}"

    @property
    def times_threshold(self) -> float:
        """How many times the threshold it took."""
        return self.duration_us / max(1, self.threshold_us)


@dataclass(frozen=True)
class Outliers:
    """The outliers of a range."""

    scope: Scope
    rows: tuple[Outlier, ...]
    """Newest first."""
    n: int
    """How many there are, those included for which there was no room."""
    last_us: int | None
    """The newest of all, sought only where the range has none."""


@dataclass(frozen=True)
class OutlierDetail:
    """One outlier with all that is known of it."""

    outlier: Outlier
    document: dict[str, Any]
    """An OutlierDocument; any of its keys may be missing."""
    profiled: bool
    traced: bool


def outliers(store: Store, scope: Scope, *, limit: int = MOST, counted: bool = True) -> Outliers:
    """Return the outliers of a scope, newest first.

    Args:
        store: Where they are.
        scope: Of when, of which endpoints and versions.
        limit: How many rows are wanted.
        counted: Count those beyond them, which takes longer than to find the rows.
    """
    with look(store, scope) as view:
        c = view.tables.outlier.c
        where = _where(view, scope)
        newest = select(*_columns(view)).where(*where).order_by(c.ts.desc(), c.span_id.desc()).limit(limit)
        found = view.conn.execute(newest).all()
        n = _count(view, scope) if counted and len(found) == limit else len(found)
        rows = _named(view, found)
        last_us = None if n else _last_us(view)
    return Outliers(scope, rows, n, last_us)


def outliers_over_time(store: Store, scope: Scope, *, most: int = MOST) -> Outliers:
    """Return the outliers of a scope, newest first; of more than can be drawn, some of each part of it."""
    with look(store, scope) as view:
        rows, is_all = spread(view, scope, _columns(view), most)
        n = len(rows) if is_all else _count(view, scope)
        named = _named(view, rows)
        last_us = None if n else _last_us(view)
    return Outliers(scope, named, n, last_us)


def spread(
    view: Look, scope: Scope, columns: tuple[ColumnElement[Any], ...], most: int
) -> tuple[list[Any], bool]:
    """Return columns of a scope's outliers, newest first: of all, or of about ``most`` from its whole length.

    The second column is the time.

    Returns:
        The rows, and whether they are all that there are.
    """
    ids = view.version_ids(scope)
    query = _within(view.tables.outlier, columns, of_versions=ids is not None)
    values: dict[str, Any] = {"versions": ids or ()}

    def read(endpoint_ids: Sequence[int], start_us: int, end_us: int, limit: int) -> list[Any]:
        where = {"endpoints": endpoint_ids, "start": start_us, "end": end_us, "most": limit}
        return [*view.conn.execute(query, values | where)]

    newest = read(view.endpoint_ids, scope.start_us, scope.end_us, most)
    if len(newest) < most:
        return newest, True
    end_us = newest[0][1] + 1
    share = (end_us - newest[-1][1]) / (end_us - scope.start_us)
    # Each window is read of some endpoints only, and is as much wider: it takes a look at the key for each.
    parts = max(1, min(len(view.endpoint_ids) // _AT_ONCE, int(1 / share)))
    found: list[Any] = []
    windows = evenly(scope.start_us, end_us, share * parts, _WINDOWS)
    for number, window in enumerate(windows):
        found += read(view.endpoint_ids[number % parts :: parts], *window, 2 * most // _WINDOWS)
    return (sorted(found, key=lambda row: row[1], reverse=True) or newest), False


@built_once
def _within(outlier: Table, columns: tuple[ColumnElement[Any], ...], *, of_versions: bool) -> Statement:
    c = outlier.c
    where = [c.endpoint_id.in_(any_of("endpoints")), c.ts >= integer("start"), c.ts < integer("end")]
    if of_versions:
        where.append(c.version_id.in_(any_of("versions")))
    return select(*columns).where(*where).order_by(c.ts.desc(), c.span_id.desc()).limit(bindparam("most"))


def outlier_detail(store: Store, key: str) -> OutlierDetail | None:
    """Return one outlier by its key, None where there is none of that key.

    Raises:
        DocumentError: What is stored of it cannot be read.
    """
    wanted = parse_key(key)
    if wanted is None:
        return None
    with look(store, Scope(0, 0, endpoint_ids=(wanted.endpoint_id,))) as view:

        def of(table: Any) -> list[ColumnElement[bool]]:
            c = table.c
            return [c.endpoint_id == wanted.endpoint_id, c.ts == wanted.ts_us, c.span_id == wanted.span_id]

        tables = view.tables
        found = view.conn.execute(
            select(*_columns(view), tables.outlier.c.data).where(*of(tables.outlier))
        ).first()
        rows = _named(view, [found[:-1]] if found else [])
        if not found or not rows:
            return None
        profiled, traced = (
            view.conn.execute(select(table.c.ts).where(*of(table))).first() is not None
            for table in (tables.profile, tables.request_trace)
        )
    return OutlierDetail(rows[0], decode_document(bytes(found[-1])), profiled=profiled, traced=traced)


def outliers_by_day(store: Store, scope: Scope) -> dict[int, int]:
    """Return how many outliers each local day has, counted since a local 1 January 1970."""
    days: dict[int, int] = {}
    with look(store, scope) as view:
        c = view.tables.outlier.c
        for stretch in scope.stretches():
            times = select(c.ts).where(
                c.endpoint_id.in_(view.endpoint_ids), c.ts >= stretch.start_us, c.ts < stretch.end_us
            )
            ids = view.version_ids(scope)
            for ts in view.conn.scalars(times if ids is None else times.where(c.version_id.in_(ids))):
                day = (ts // 1_000_000 + stretch.offset_s) // 86_400
                days[day] = days.get(day, 0) + 1
    return dict(sorted(days.items()))


def _last_us(view: Look) -> int | None:
    c = view.tables.outlier.c
    newest: int | None = view.conn.scalar(select(func.max(c.ts)).where(c.endpoint_id.in_(view.endpoint_ids)))
    return newest


def _where(view: Look, scope: Scope) -> list[ColumnElement[bool]]:
    c = view.tables.outlier.c
    where = [c.endpoint_id.in_(view.endpoint_ids), c.ts >= scope.start_us, c.ts < scope.end_us]
    ids = view.version_ids(scope)
    return where if ids is None else [*where, c.version_id.in_(ids)]


def _count(view: Look, scope: Scope) -> int:
    """Return how many there are.

    The key, endpoint and time, finds the few of a short range or of one endpoint. SQLite reads a whole row
    for each look at its key, though: most of what is kept is counted in a sixth of the time by time alone.
    """
    c = view.tables.outlier.c
    where = _where(view, scope)
    if _is_most(view, scope) and len(view.others) < len(view.endpoint_ids):
        where[:1] = [c.endpoint_id.not_in(view.others)] if view.others else []
    return view.conn.scalar(select(func.count()).select_from(view.tables.outlier).where(*where)) or 0


def _is_most(view: Look, scope: Scope) -> bool:
    """Tell whether a good part of the time of which requests are kept lies in the range."""
    first_us, last_us = view.raw_from_us, view.last_recorded_us() or 0
    within_us = min(scope.end_us, last_us) - max(scope.start_us, first_us)
    return within_us > 0 and within_us * _MOST_OF >= last_us - first_us


def _columns(view: Look) -> tuple[ColumnElement[Any], ...]:
    c = view.tables.outlier.c
    return (
        c.endpoint_id, c.ts, c.span_id, c.trace_id, c.duration, c.average_us, c.threshold_us, c.status,
        c.version_id, c.group_id, c.ip_id, c.cpu_percent, c.rss_bytes,
    )  # fmt: skip


def _named(view: Look, found: Sequence[Any]) -> tuple[Outlier, ...]:
    endpoints = view.by_id
    subjects = subject_names(view.conn, view.tables, {row[i] for row in found for i in (9, 10)})
    names = version_names(view.conn, view.tables, {row[8] for row in found})
    return tuple(
        Outlier(
            endpoint=endpoints[row[0]],
            ts_us=row[1],
            span_id=bytes(row[2]).hex(),
            trace_id=bytes(row[3]).hex(),
            duration_us=row[4],
            average_us=row[5],
            threshold_us=row[6],
            status=row[7],
            version=names.get(row[8], ""),
            user=subjects.get(row[9]),
            ip=subjects.get(row[10]),
            cpu_percent=row[11],
            rss_bytes=row[12],
        )
        for row in found
        if row[0] in endpoints
    )
