"""Exceptions, put together by what was raised and where."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Union

from sqlalchemy import func, select

from fmd_otel_dash.queries.look import Endpoint, Look, look
from fmd_otel_dash.queries.named import subject_names, version_names
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.queries.sources import total
from fmd_otel_exporter.detail_tables import OPEN, REOPENED, RESOLVED
from fmd_otel_exporter.documents import decode_document
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import ColumnElement, Select

    from fmd_otel_exporter.store import Store

__all__ = ["OPEN", "REOPENED", "RESOLVED"]

Ids = Union["Sequence[int]", "Select[tuple[int]]"]

HOUR_S = 3600
POINTS = 30
MOST_GROUPS = 500
MOST_OCCURRENCES = 100


@dataclass(frozen=True)
class Spark:
    """How often something occurred, in steps of equal width."""

    start_us: int
    width_s: int
    n: tuple[int, ...]


@dataclass(frozen=True)
class ExceptionGroup:
    """Exceptions of one type from one place: what is known of all of them, and how often in a range."""

    id: int
    type: str
    message: str
    """Of the first one."""
    place: str
    first_us: int
    last_us: int
    introduced_in: str
    """Version in which it was met first."""
    last_in: str
    state: int
    """``OPEN``, ``RESOLVED``, or ``REOPENED``: resolved, and back in a newer version."""
    resolved_us: int | None
    resolved_in: str
    n: int
    """In the range, as the next ones."""
    kinds: dict[int, int]
    """How many were unhandled, handled, captured."""
    users: int
    """Different ones, on the days that the range touches."""
    endpoints: tuple[Endpoint, ...]
    spark: Spark


@dataclass(frozen=True)
class Occurrence:
    """One exception of which the details were kept."""

    group_id: int
    ts_us: int
    span_id: str
    endpoint: Endpoint | None
    """None outside of any request."""
    trace_id: str
    version: str
    user: str | None
    kind: int


@dataclass(frozen=True)
class GroupDetail:
    """A group, and who met it where: in the range, or at any time where nobody did in the range."""

    group: ExceptionGroup
    by_version: tuple[tuple[str, int], ...]
    """Oldest version first."""
    by_endpoint: tuple[tuple[Endpoint | None, int], ...]
    """Most first, as the next."""
    by_user: tuple[tuple[str, int], ...]
    occurrences: tuple[Occurrence, ...]
    """Those kept of the range, newest first; where there are none, the newest of any time."""

    @property
    def n(self) -> int:
        """How often it occurred, where it was counted: in the range, or at any time."""
        return sum(n for _, n in self.by_version)


def groups(
    store: Store, scope: Scope, *, states: Sequence[int] = (), points: int = POINTS
) -> tuple[ExceptionGroup, ...]:
    """Return the groups that occurred in a scope, most frequent first.

    Args:
        store: Where they are.
        scope: Range, endpoints and versions.
        states: Of which states; empty: of all.
        points: About how many steps a sparkline has.
    """
    with look(store, scope) as view:
        c = view.tables.exception_group.c
        of_states = select(c.id).where(c.state.in_(states)) if states else select(c.id)
        return _groups(view, scope, of_states, points)


def group_detail(
    store: Store, scope: Scope, group_id: int, *, points: int = POINTS, limit: int = MOST_OCCURRENCES
) -> GroupDetail | None:
    """Return one group, also if it did not occur in the scope; None where there is no such group."""
    with look(store, scope) as view:
        known = _known(view, [group_id])
        if not known:
            return None
        found = _groups(view, scope, [group_id], points)
        group = found[0] if found else _group(view, known[group_id], [], _spark(scope, points))
        ever = Scope(0, max(scope.end_us, group.last_us + 1), tz=scope.tz)
        counted = scope if found else ever
        c = view.tables.exception_hits.c
        counts = {
            column.name: dict(
                tuple(row)
                for row in view.conn.execute(
                    select(column, total(c.n)).where(*_hits(view, counted, [group_id])).group_by(column)
                )
            )
            for column in (c.version_id, c.endpoint_id)
        }
        by_endpoint: dict[int, int] = defaultdict(int)
        for own, n in counts["endpoint_id"].items():
            by_endpoint[view.home.get(own, own)] += n
        ordered = [version for version in view.versions(counted) if version.id in counts["version_id"]]
        return GroupDetail(
            group,
            tuple((version.name, counts["version_id"][version.id]) for version in ordered),
            tuple(
                sorted(
                    ((view.by_id.get(own), n) for own, n in by_endpoint.items()),
                    key=lambda each: -each[1],
                )
            ),
            _users(view, counted, group_id),
            _occurrences(view, scope, group_id, limit) or _occurrences(view, ever, group_id, limit),
        )


def occurrence_document(store: Store, group_id: int, ts_us: int, span_id: str) -> dict[str, Any] | None:
    """Return what is known of one exception, an ExceptionDocument; None where nothing is.

    Raises:
        DocumentError: What is stored cannot be read.
    """
    c = store.tables.exception_occurrence.c
    try:
        span = bytes.fromhex(span_id)
    except ValueError:
        return None
    with store.read() as conn:
        data = conn.scalar(select(c.data).where(c.group_id == group_id, c.ts == ts_us, c.span_id == span))
    return None if data is None else decode_document(bytes(data))


def exceptions_by_day(store: Store, scope: Scope) -> dict[int, int]:
    """Return how many exceptions each local day has, counted since a local 1 January 1970."""
    days: dict[int, int] = defaultdict(int)
    with look(store, scope) as view:
        ids = select(view.tables.exception_group.c.id)
        c = view.tables.exception_hits.c
        for stretch in scope.stretches():
            part = Scope(stretch.start_us, stretch.end_us, versions=scope.versions, services=scope.services)
            query = select(c.bucket, total(c.n)).where(*_hits(view, part, ids)).group_by(c.bucket)
            for bucket, n in view.conn.execute(query):
                days[(bucket + stretch.offset_s) // DAY_S] += n
    return dict(sorted(days.items()))


def _known(view: Look, ids: Sequence[int]) -> dict[int, Any]:
    """Return the rows of groups, with the names of their versions."""
    c, version = view.tables.exception_group.c, view.tables.version
    first, last, resolved = (version.alias(name) for name in ("first", "last", "resolved"))
    query = (
        select(
            view.tables.exception_group,
            first.c.name.label("introduced_in"),
            last.c.name.label("last_in"),
            resolved.c.name.label("resolved_in"),
        )
        .outerjoin(first, first.c.id == c.first_version_id)
        .outerjoin(last, last.c.id == c.last_version_id)
        .outerjoin(resolved, resolved.c.id == c.resolved_version_id)
        .where(c.id.in_(ids))
    )
    return {row.id: row for row in view.conn.execute(query)}


def _groups(view: Look, scope: Scope, ids: Ids, points: int) -> tuple[ExceptionGroup, ...]:
    c = view.tables.exception_hits.c
    sums: dict[int, int] = {
        row[0]: row[1]
        for row in view.conn.execute(
            select(c.group_id, total(c.n)).where(*_hits(view, scope, ids)).group_by(c.group_id)
        )
    }
    chosen = sorted(sums, key=lambda own: (-sums[own], own))[:MOST_GROUPS]
    if not chosen:
        return ()
    hits: dict[int, list[Any]] = defaultdict(list)
    spark = _spark(scope, points)
    since = c.bucket - spark.start_us // US_PER_S
    columns = (c.group_id, since - since % spark.width_s, c.endpoint_id, c.kind)
    for row in view.conn.execute(
        select(*columns, total(c.n)).where(*_hits(view, scope, chosen)).group_by(*columns)
    ):
        hits[row[0]].append(row[1:])
    users = _user_counts(view, scope, chosen)
    known = _known(view, chosen)
    return tuple(
        _group(view, known[own], hits[own], spark, users.get(own, 0)) for own in chosen if own in known
    )


def _group(view: Look, row: Any, hits: Sequence[Any], spark: Spark, users: int = 0) -> ExceptionGroup:
    steps = list(spark.n)
    kinds: dict[int, int] = defaultdict(int)
    for offset_s, _, kind, n in hits:
        kinds[kind] += n
        steps[min(int(offset_s) // spark.width_s, len(steps) - 1)] += n
    met = {view.home.get(endpoint, endpoint) for _, endpoint, _, _ in hits}
    return ExceptionGroup(
        id=row.id,
        type=row.type,
        message=row.message,
        place=row.place,
        first_us=row.first_ts,
        last_us=row.last_ts,
        introduced_in=row.introduced_in or "",
        last_in=row.last_in or "",
        state=row.state,
        resolved_us=row.resolved_ts,
        resolved_in=row.resolved_in or "",
        n=sum(kinds.values()),
        kinds=dict(sorted(kinds.items())),
        users=users,
        endpoints=tuple(endpoint for endpoint in view.endpoints if endpoint.id in met),
        spark=Spark(spark.start_us, spark.width_s, tuple(steps)),
    )


def _spark(scope: Scope, points: int) -> Spark:
    """Return an empty sparkline for a range, of whole hours: that is how occurrences are counted."""
    start_s = scope.start_us // US_PER_S // HOUR_S * HOUR_S
    length_s = max(-(-scope.end_us // US_PER_S) - start_s, 1)
    width_s = -(-length_s // max(1, points) // HOUR_S) * HOUR_S or HOUR_S
    return Spark(start_s * US_PER_S, width_s, (0,) * -(-length_s // width_s))


def _hits(view: Look, scope: Scope, ids: Ids) -> list[ColumnElement[bool]]:
    """Return the conditions for the hours that a scope touches."""
    c = view.tables.exception_hits.c
    start_s = scope.start_us // US_PER_S // HOUR_S * HOUR_S
    where = [c.group_id.in_(ids), c.bucket >= start_s, c.bucket < -(-scope.end_us // US_PER_S)]
    if scope.endpoint_ids or scope.services:
        where.append(c.endpoint_id.in_(view.endpoint_ids))
    versions = view.version_ids(scope)
    return where if versions is None else [*where, c.version_id.in_(versions)]


def _days(view: Look, scope: Scope, ids: Sequence[int]) -> list[ColumnElement[bool]]:
    c = view.tables.exception_subject.c
    first_s = scope.start_us // US_PER_S // DAY_S * DAY_S
    return [c.group_id.in_(ids), c.day >= first_s, c.day < -(-scope.end_us // US_PER_S)]


def _user_counts(view: Look, scope: Scope, ids: Sequence[int]) -> dict[int, int]:
    c = view.tables.exception_subject.c
    query = select(c.group_id, func.count(c.subject_id.distinct())).where(*_days(view, scope, ids))
    return {row[0]: row[1] for row in view.conn.execute(query.group_by(c.group_id))}


def _users(view: Look, scope: Scope, group_id: int, limit: int = 20) -> tuple[tuple[str, int], ...]:
    c = view.tables.exception_subject.c
    n = total(c.n).label("times")
    query = select(c.subject_id, n).where(*_days(view, scope, [group_id]))
    found = view.conn.execute(
        query.group_by(c.subject_id).order_by(n.desc(), c.subject_id).limit(limit)
    ).all()
    names = subject_names(view.conn, view.tables, [row[0] for row in found])
    return tuple((names[row[0]], row[1]) for row in found if row[0] in names)


def _occurrences(view: Look, scope: Scope, group_id: int, limit: int) -> tuple[Occurrence, ...]:
    c = view.tables.exception_occurrence.c
    where = [c.group_id == group_id, c.ts >= scope.start_us, c.ts < scope.end_us]
    if scope.endpoint_ids or scope.services:
        where.append(c.endpoint_id.in_(view.endpoint_ids))
    versions = view.version_ids(scope)
    if versions is not None:
        where.append(c.version_id.in_(versions))
    found = view.conn.execute(
        select(c.ts, c.span_id, c.endpoint_id, c.trace_id, c.version_id, c.user_id, c.kind)
        .where(*where)
        .order_by(c.ts.desc(), c.span_id.desc())
        .limit(limit)
    ).all()
    endpoints = view.by_id
    names = version_names(view.conn, view.tables, [row[4] for row in found])
    users = subject_names(view.conn, view.tables, [row[5] for row in found])
    return tuple(
        Occurrence(
            group_id,
            row[0],
            bytes(row[1]).hex(),
            endpoints.get(row[2]),
            bytes(row[3]).hex(),
            names.get(row[4], ""),
            users.get(row[5]),
            row[6],
        )
        for row in found
    )
