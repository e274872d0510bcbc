"""What outliers have that other requests have not, out of the rows of both and of what is kept of some."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, bindparam, or_, select

from fmd_otel_dash.queries.evenly import evenly
from fmd_otel_dash.queries.look import Look, look
from fmd_otel_dash.queries.named import subject_names, version_names
from fmd_otel_dash.queries.requestshapes import RequestShape, shapes
from fmd_otel_dash.queries.scope import US_PER_S, local_time
from fmd_otel_dash.queries.sources import total
from fmd_otel_dash.queries.statements import Statement, any_of, built_once, integer
from fmd_otel_dash.stats.commonality import Common, commonalities, counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sqlalchemy import ColumnElement, Table

    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_exporter.store import Store

MOST_OUTLIERS = 1000
MOST_DOCUMENTS = 200
_FIRST_DOCUMENTS = 300
MOST_OTHERS = 5_000
"""Requests that the outliers are held against, of the same time; or all if there are fewer."""
_LEAST_OTHERS = 50
"""Of each endpoint."""
_FEW, _FEW_WINDOWS, _MANY_WINDOWS = 400, 32, 168
"""Up to so many requests of an endpoint are read in fewer windows."""
_MOST_KEYS = 20
_MOST_TRACES = 2000
"""That are looked through for those which stand for the rest."""
_QUARTER_US = 900 * US_PER_S
_AT_ONCE = 200
"""Traces fetched together, of which many are not needed."""
_SIZES = ((0, "none"), (1_000, "under 1 kB"), (10_000, "1 to 10 kB"), (100_000, "10 to 100 kB"),
          (1_000_000, "100 kB to 1 MB"))  # fmt: skip


@dataclass(frozen=True)
class InCommon:
    """The attributes of a scope's outliers, held against the rest."""

    attributes: tuple[Common, ...]
    """Most telling first."""
    n_outliers: int
    n_others: int


def in_common(store: Store, scope: Scope) -> InCommon:
    """Hold the outliers of a scope against the other requests of the same endpoints."""
    with look(store, scope) as view:
        table = view.tables.outlier
        c = table.c
        where = [c.endpoint_id.in_(view.endpoint_ids), c.ts >= scope.start_us, c.ts < scope.end_us]
        ids = view.version_ids(scope)
        if ids is not None:
            where.append(c.version_id.in_(ids))
        slow = view.conn.execute(
            select(*_attributes(table), c.span_id).where(*where).order_by(c.ts.desc()).limit(MOST_OUTLIERS)
        ).all()
        if not slow:
            return InCommon((), 0, 0)
        affected = sorted({row[0] for row in slow})
        rest = _others(view, _same_time(view, scope, slow), slow)
        mine, theirs = _columns(view, scope, slow), _columns(view, scope, rest)
        known = _documents(view, where)
        ordinary = _ordinary(view, scope, affected, {bytes(row[-1]) for row in slow})
        keys = list(dict.fromkeys(key for each in known for key in each.query_keys))[:_MOST_KEYS]
        mine |= _shapes(known, keys)
        theirs |= _shapes(ordinary, keys)
    return InCommon(commonalities(mine, theirs), len(slow), len(rest))


def _same_time(view: Look, scope: Scope, slow: Sequence[Any]) -> Scope:
    """Return the part of a scope that its outliers are of: of very many, only the newest are looked at."""
    start_us = scope.start_us if len(slow) < MOST_OUTLIERS else slow[-1][1]
    return replace(
        scope,
        start_us=max(start_us, min(view.raw_from_us, slow[-1][1])),
        end_us=min(scope.end_us, max(view.last_recorded_us() or 0, slow[0][1]) + 1),
    )


def _others(view: Look, scope: Scope, slow: Sequence[Any]) -> list[Any]:
    """Return a sample of the other requests of the endpoints that have outliers.

    Each endpoint has as large a part in it as in the outliers, and each hour as large a part as in the
    endpoint's requests. Otherwise what is special about a busy endpoint, or about the last minutes, would
    look like something special about outliers.
    """
    # Another request of the same endpoint and microsecond is left out with them; there is hardly ever one.
    known = {(row[0], row[1]) for row in slow}
    share_of = Counter(view.home.get(row[0], row[0]) for row in slow)
    members: dict[int, list[int]] = {}
    for own in {row[0] for row in slow}:
        members.setdefault(view.home.get(own, own), []).append(own)
    ids = view.version_ids(scope)
    found: list[Any] = []
    for root, n in view.ask(view.hits(scope), _by_endpoint):
        wanted = max(MOST_OTHERS * share_of[root] // len(slow), _LEAST_OTHERS)
        about = _FEW_WINDOWS if wanted <= _FEW else _MANY_WINDOWS
        windows = evenly(scope.start_us, scope.end_us, wanted / max(n, 1), about)
        query = _in_windows(view.tables.request, len(windows), of_versions=ids is not None)
        values: dict[str, Any] = {"most": 4 * wanted}
        for number, window in enumerate(windows):
            values[f"start{number}"], values[f"end{number}"] = window
        if ids is not None:
            values["versions"] = ids
        for own in members.get(root, ()):
            found += view.conn.execute(query, values | {"endpoint": own}).all()
    return [row for row in found if (row[0], row[1]) not in known]


def _by_endpoint(c: Any) -> Statement:
    return select(c.endpoint_id, total(c.n)).group_by(c.endpoint_id)


def _attributes(table: Table) -> tuple[ColumnElement[Any], ...]:
    c = table.c
    return c.endpoint_id, c.ts, c.version_id, c.group_id, c.ip_id, c.status


@built_once
def _in_windows(request: Table, n: int, *, of_versions: bool) -> Statement:
    c = request.c
    # The endpoint in each of them: databases then look each one up by its key.
    is_its = c.endpoint_id == bindparam("endpoint")
    within = or_(*(and_(is_its, c.ts >= integer(f"start{i}"), c.ts < integer(f"end{i}")) for i in range(n)))
    query = select(*_attributes(request)).where(within)
    if of_versions:
        query = query.where(c.version_id.in_(any_of("versions")))
    return query.limit(bindparam("most"))


def _columns(view: Look, scope: Scope, rows: Sequence[Any]) -> dict[str, dict[str, int]]:
    if not rows:
        return {}
    _, times_us, versions, users_of, addresses_of, statuses, *_ = zip(*rows, strict=True)
    names = version_names(view.conn, view.tables, {*versions})
    users, addresses = counted(users_of), counted(addresses_of)
    ids = {own for counts in (users, addresses) for own in counts if isinstance(own, int)}
    subjects = subject_names(view.conn, view.tables, ids)
    zone = scope.zone
    # No clock shows another hour within a quarter of one.
    quarters = Counter(ts_us // _QUARTER_US for ts_us in times_us)
    hours = {number: f"{local_time(number * _QUARTER_US, zone):%H}:00" for number in quarters}
    return {
        "version": _named(counted(versions), names, ""),
        "user": _named(users, subjects, "nobody"),
        "IP address": _named(addresses, subjects, "unknown"),
        "hour": counted(_named(quarters, hours, "")),
        "status": _named(counted(statuses), {status: str(status) for status in statuses}, ""),
    }


def _named(counts: Mapping[Any, int], names: Mapping[Any, str], nobody: str) -> dict[str, int]:
    """Return how often each name occurs, of how often each id does; what has no id keeps its own name."""
    found: dict[str, int] = {}
    for own, n in counts.items():
        name = own if isinstance(own, str) else names.get(own) or nobody
        found[name] = found.get(name, 0) + n
    return found


def _documents(view: Look, where: Iterable[Any]) -> list[RequestShape]:
    """Return what the newest outliers looked like, without those of which only the times are kept."""
    table = view.tables.outlier
    newest = select(table.c.span_id, table.c.data).where(*where).order_by(table.c.ts.desc())
    found: list[RequestShape] = []
    for limit in (_FIRST_DOCUMENTS, MOST_OUTLIERS):  # most often, those wanted are among the first
        found = list(islice(shapes(view, table, view.conn.execute(newest.limit(limit))), MOST_DOCUMENTS))
        if len(found) == MOST_DOCUMENTS:
            break
    return found


def _ordinary(view: Look, scope: Scope, endpoint_ids: Sequence[int], slow: set[bytes]) -> list[RequestShape]:
    """Return of what sort other requests were.

    A few of each endpoint and hour say so, whatever became of them. Traces of requests that failed, were
    profiled, or were kept for some other reason do not: many of one sort would stand for all.
    """
    c = view.tables.request_trace.c
    newest = select(c.span_id, c.data).where(
        c.endpoint_id.in_(endpoint_ids), c.ts >= scope.start_us, c.ts < scope.end_us
    )
    ids = view.version_ids(scope)
    if ids is not None:
        r = view.tables.request.c
        same = and_(r.endpoint_id == c.endpoint_id, r.ts == c.ts, r.span_id == c.span_id)
        newest = newest.join(view.tables.request, same).where(r.version_id.in_(ids))
    newest = newest.order_by(c.ts.desc()).limit(_MOST_TRACES)
    some = view.conn.execute(newest).partitions(_AT_ONCE)
    rows = (row for row in chain.from_iterable(some) if bytes(row[0]) not in slow)
    return list(islice(shapes(view, view.tables.request_trace, rows), 2 * MOST_DOCUMENTS))


def _shapes(found: Sequence[RequestShape], keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """Return what requests looked like: how large, of which worker, with which of some query keys."""
    if not found:
        return {}
    told = {
        "payload": counted([_size(each.payload_bytes) for each in found if each.payload_bytes is not None]),
        "worker": counted([each.worker for each in found if each.worker]),
    }
    for key in keys:
        has = sum(key in each.query_keys for each in found)
        told[f"query key {key}"] = {"present": has, "absent": len(found) - has}
    return {name: {value: n for value, n in counts.items() if n} for name, counts in told.items() if counts}


def _size(n: float) -> str:
    return next((name for least, name in _SIZES if n <= least), "over 1 MB")
