"""Single requests, newest first, page by page."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, and_, or_, select

from fmd_otel_dash.queries.latency import by_endpoint, grouped
from fmd_otel_dash.queries.look import Endpoint, Look, look
from fmd_otel_dash.queries.named import subject_names, version_names
from fmd_otel_dash.queries.requestfilter import ALL, RequestFilter, conditions
from fmd_otel_dash.queries.scope import US_PER_S, Scope
from fmd_otel_dash.stats.percentiles import count, share_below
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Select

    from fmd_otel_exporter.store import Store

PAGE_SIZE = 100
_KEY = re.compile(r"(\d{1,18})-(\d{1,9})-([0-9a-f]{16})", re.ASCII)
_FIRST_WINDOW_US = 60 * US_PER_S
_GROWTH = 4
_TAIL_EDGES_S = (60, -3, -15, -60)
"""Seconds from now between which the live tail looks, one part after the other."""
_HALF_DAY_US = DAY_S * US_PER_S // 2


@dataclass(frozen=True)
class RequestRow:
    """One request, with names in place of ids."""

    endpoint: Endpoint
    ts_us: int
    span_id: str
    trace_id: str
    duration_us: int
    headers_us: int | None
    """Time to the headers of a streamed answer."""
    status: int
    method: str
    version: str
    user: str | None
    ip: str | None

    @property
    def key(self) -> str:
        """What finds this request again: in addresses, and as the cursor of the next page."""
        return f"{self.ts_us}-{self.endpoint.id}-{self.span_id}"


@dataclass(frozen=True)
class RequestPage:
    """Some requests, and where the next ones begin."""

    rows: tuple[RequestRow, ...]
    next_cursor: str
    """Empty on the last page."""
    last_recorded_us: int | None
    """Newest recorded request, sought only where there are no rows and no filter to blame."""


@dataclass(frozen=True)
class RequestDetail:
    """One request, and how it compares with its neighbours."""

    row: RequestRow
    slower_than: float | None
    """Share of the endpoint's requests within half a day that took less long."""
    n: int
    """How many those are."""


@dataclass(frozen=True)
class RequestKey:
    """What finds a request: when, of which endpoint, which span."""

    ts_us: int
    endpoint_id: int
    span_id: bytes


def requests(
    store: Store,
    scope: Scope,
    wanted: RequestFilter = ALL,
    *,
    cursor: str = "",
    limit: int = PAGE_SIZE,
) -> RequestPage:
    """Read one page of the scope's requests.

    Args:
        store: where they are.
        scope: range, endpoints and versions.
        wanted: what they have to be.
        cursor: ``next_cursor`` of the page before; one that cannot be read is the first page.
        limit: rows of a page.
    """
    with look(store, scope) as view:
        where = conditions(view, scope, wanted)
        found = [] if where is None else _newest(view, scope, where, parse_key(cursor), limit + 1)
        rows = _named(view, found[:limit])
        asked_for_all = wanted == ALL and not scope.versions and not cursor
        last_us = view.last_recorded_us() if not rows and asked_for_all else None
    return RequestPage(rows, rows[-1].key if len(found) > limit else "", last_us)


def tail(
    store: Store, now_us: int, scope: Scope, wanted: RequestFilter = ALL, *, limit: int = PAGE_SIZE
) -> tuple[RequestRow, ...]:
    """Return the newest requests of the last minute, for whoever watches them come in.

    Asked every second, so it looks back no further than it has to: where much comes in, the last three
    seconds hold enough, and nobody sorts a minute of it.

    Args:
        store: where they are.
        now_us: a worker's clock may be ahead of it, by a minute at most.
        scope: services, endpoints and versions; its range does not matter.
        wanted: what they have to be.
        limit: how many at most.
    """
    found: list[Any] = []
    edges = [now_us + ahead_s * US_PER_S for ahead_s in _TAIL_EDGES_S]
    scope = replace(scope, start_us=edges[-1], end_us=edges[0])
    with look(store, scope) as view:
        where = conditions(view, scope, wanted)
        for end_us, start_us in pairwise(edges):
            if where is None or len(found) >= limit:
                break
            part = replace(scope, start_us=start_us, end_us=end_us)
            found += _newest(view, part, where, None, limit - len(found))
        return _named(view, found)


def request_detail(store: Store, key: str) -> RequestDetail | None:
    """Return one request by its key, None where there is none of that key."""
    wanted = parse_key(key)
    if wanted is None:
        return None
    around = Scope(
        wanted.ts_us - _HALF_DAY_US, wanted.ts_us + _HALF_DAY_US, endpoint_ids=(wanted.endpoint_id,)
    )
    with look(store, around) as view:
        c = view.tables.request.c
        found = view.conn.execute(
            select(*_columns(view)).where(
                c.endpoint_id == wanted.endpoint_id, c.ts == wanted.ts_us, c.span_id == wanted.span_id
            )
        ).all()
        rows = _named(view, found)
        if not rows:
            return None
        (sample,) = grouped(view, view.latency(around), by_endpoint).values() or ({},)
    return RequestDetail(rows[0], share_below(sample, rows[0].duration_us), count(sample))


def _newest(
    view: Look, scope: Scope, where: list[ColumnElement[bool]], after: RequestKey | None, limit: int
) -> list[Any]:
    """Return the newest rows, looking back in windows that grow.

    Sorting a whole range to show a hundred requests of many endpoints would read all of it. One endpoint
    needs no windows: its rows lie in order of time.
    """
    c = view.tables.request.c
    end_us = min(scope.end_us, after.ts_us + 1) if after else scope.end_us
    found: list[Any] = []
    for start, end in _windows(scope.start_us, end_us, whole=len(view.endpoint_ids) == 1):
        statement: Select[Any] = (
            select(*_columns(view))
            .where(c.endpoint_id.in_(view.endpoint_ids), c.ts >= start, c.ts < end, *where)
            .order_by(c.ts.desc(), c.endpoint_id.desc(), c.span_id.desc())
            .limit(limit - len(found))
        )
        if after:
            statement = statement.where(_before(c, after))
        found += view.conn.execute(statement).all()
        if len(found) >= limit:
            break
    return found


def _windows(start_us: int, end_us: int, *, whole: bool) -> Iterator[tuple[int, int]]:
    width = end_us - start_us if whole else _FIRST_WINDOW_US
    while end_us > start_us:
        yield max(start_us, end_us - width), end_us
        end_us -= width
        width *= _GROWTH


def _before(c: Any, key: RequestKey) -> ColumnElement[bool]:
    """Spelled out, since not every database uses its index for a comparison of tuples."""
    same_endpoint = and_(c.endpoint_id == key.endpoint_id, c.span_id < key.span_id)
    return or_(c.ts < key.ts_us, and_(c.ts == key.ts_us, or_(c.endpoint_id < key.endpoint_id, same_endpoint)))


def _columns(view: Look) -> tuple[ColumnElement[Any], ...]:
    c = view.tables.request.c
    return (
        c.endpoint_id, c.ts, c.span_id, c.trace_id, c.duration, c.headers_us, c.status, c.method,
        c.version_id, c.group_id, c.ip_id,
    )  # fmt: skip


def _named(view: Look, found: Sequence[Any]) -> tuple[RequestRow, ...]:
    """Put names in place of ids, with few statements a table."""
    endpoints = view.by_id
    subjects = subject_names(view.conn, view.tables, {row[i] for row in found for i in (9, 10)})
    names = version_names(view.conn, view.tables, {row[8] for row in found})
    return tuple(
        RequestRow(
            endpoint=endpoints[row[0]],
            ts_us=row[1],
            span_id=bytes(row[2]).hex(),
            trace_id=bytes(row[3]).hex(),
            duration_us=row[4],
            headers_us=row[5],
            status=row[6],
            method=row[7],
            version=names.get(row[8], ""),
            user=subjects.get(row[9]),
            ip=subjects.get(row[10]),
        )
        for row in found
    )


def parse_key(key: str) -> RequestKey | None:
    """Read a key; whoever edits an address by hand gets the first page, not an error."""
    match = _KEY.fullmatch(key)
    return RequestKey(int(match[1]), int(match[2]), bytes.fromhex(match[3])) if match else None
