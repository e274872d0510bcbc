"""Latency buckets by whatever a page groups them by.

A month of a large application has some hundred thousand rows of buckets, most of them of days and hours that
are over. What these come to is remembered, part by part of a plan: it holds for as long as the part has as
many requests as then, since rows of sums are only ever added to. To count these is a fiftieth of the work.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, ColumnElement, literal, select

from fmd_otel_dash.queries.plan import Segment
from fmd_otel_dash.queries.sources import Columns, n_of_each, total
from fmd_otel_dash.queries.statements import Statement, built_once
from fmd_otel_exporter.schema import LATENCY_BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

    from sqlalchemy import Engine, Subquery

    from fmd_otel_dash.queries.look import Look
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.queries.sources import Source

Group = Callable[[Columns], ColumnElement[Any]]
"""Says by which of the columns ``endpoint_id, bucket, version_id, bkt`` to group, or by what of them: an
integer, not negative, below 2**47. Always the same function, as statements are built once of each."""
Grouped = dict[int, dict[int, int]]
"""Group -> bucket -> requests."""

MOST_REMEMBERED = 300_000
"""Buckets remembered of one database, at about 100 bytes each."""
_KEY = 1 << 16


def by_endpoint(c: Columns) -> ColumnElement[int]:
    """Group by endpoint."""
    group: ColumnElement[int] = c.endpoint_id
    return group


def by_version(c: Columns) -> ColumnElement[int]:
    """Group by version."""
    group: ColumnElement[int] = c.version_id
    return group


def latency_by(view: Look, scope: Scope, by: Group, *, days: bool = True, **values: int) -> Grouped:
    """Return a scope's buckets by a group.

    Args:
        view: where to look.
        scope: what to count.
        by: what to group by.
        days: whether rows of whole days will do.
        values: those of the parameters in ``by``.
    """
    segments = view.segments(scope, LATENCY_BUCKET_S, days=days)
    versions = view.version_ids(scope)

    def counted(some: Sequence[Segment]) -> Grouped:
        return grouped(view, view.latency_of(some, versions), by, **values)

    raw: list[Segment] = []
    outside: list[Segment] = []
    summed: list[Segment] = []
    for segment in segments:
        if segment.source != "raw":
            summed += _open_apart(segment, scope.end_us)
        elif before := view.outside(segment, LATENCY_BUCKET_S):
            # Of the hour in which the range begins less is read if that is taken from the whole of it.
            outside.append(before)
            summed.append(_hour(segment.bucket_s))
        else:
            raw.append(segment)
    found = counted(raw) if raw else {}
    remembered = _REMEMBERED.setdefault(view.conn.engine, Remembered())
    whose = view.endpoint_ids, versions, *view.home.items()
    for segment, n in zip(summed, _counts(view, summed, versions), strict=True):
        if not n:
            continue
        key = segment.source, segment.start, segment.end, whose, by, *values.items()
        sample = remembered.get(key, n)
        if sample is None:
            sample = counted([segment])
            remembered.put(key, n, sample)
        _add(found, sample)
    return _without(found, counted(outside)) if outside else found


def grouped(view: Look, source: Source, by: Group, **values: int) -> Grouped:
    """Return the buckets of a latency source by a group."""
    found: Grouped = {}
    for packed, n in view.conn.execute(_grouped(source.rows, by), source.values | values).all():
        number = int(packed)
        found.setdefault(number // _KEY, {})[number % _KEY] = n
    return found


@built_once
def _grouped(rows: Subquery, by: Group) -> Statement:
    # One integer as the key: SQLite sorts it a third faster than two columns, and the sort is what costs.
    key = by(rows.c) * literal(_KEY, BigInteger) + rows.c.bkt
    return select(key, total(rows.c.n)).group_by(key)


class Remembered:
    """Buckets of parts of a plan, those asked for last; safe to share between threads."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        """Remember up to so many buckets in all."""
        self._most = most
        self._size = 0
        self._lock = Lock()
        self._known: OrderedDict[Hashable, tuple[int, int, Grouped]] = OrderedDict()

    def get(self, key: Hashable, n: int) -> Grouped | None:
        """Return what is remembered under a key, if it was of as many requests; nobody may change it."""
        with self._lock:
            found = self._known.get(key)
            if found is None or found[0] != n:
                return None
            self._known.move_to_end(key)
            return found[2]

    def put(self, key: Hashable, n: int, sample: Grouped) -> None:
        """Remember the buckets of ``n`` requests."""
        size = sum(map(len, sample.values()))
        with self._lock:
            self._size += size - self._known.pop(key, (0, 0, {}))[1]
            self._known[key] = n, size, sample
            while self._size > self._most:
                self._size -= self._known.popitem(last=False)[1][1]


_REMEMBERED: WeakKeyDictionary[Engine, Remembered] = WeakKeyDictionary()


def _open_apart(segment: Segment, end_us: int) -> Sequence[Segment]:
    """Return a segment in two parts if it goes beyond a range: its last hour is not over."""
    last_s = segment.end - LATENCY_BUCKET_S
    if segment.end_us <= end_us or last_s <= segment.start:
        return (segment,)
    return replace(segment, end=last_s), _hour(last_s)


def _hour(start_s: int) -> Segment:
    return Segment("bucket", start_s, start_s + LATENCY_BUCKET_S, start_s)


def _counts(view: Look, segments: Sequence[Segment], versions: tuple[int, ...] | None) -> list[int]:
    """Return how many requests each segment has."""
    if not segments:
        return []
    statement, values = n_of_each(view.tables, segments, view.endpoint_ids, versions)
    rows: Sequence[Any] = view.conn.execute(statement, values).all()
    counts: dict[int, int | None] = dict(tuple(row) for row in rows)
    return [counts[place] or 0 for place in range(len(segments))]


def _without(found: Grouped, less: Grouped) -> Grouped:
    for number, sample in less.items():
        mine = found.get(number, {})
        for bkt, n in sample.items():
            mine[bkt] = mine.get(bkt, 0) - n
    left = {number: {bkt: n for bkt, n in mine.items() if n > 0} for number, mine in found.items()}
    return {number: mine for number, mine in left.items() if mine}


def _add(found: Grouped, more: Grouped) -> None:
    for number, sample in more.items():
        mine = found.get(number)
        if mine is None:
            found[number] = dict(sample)
            continue
        for bkt, n in sample.items():
            mine[bkt] = mine.get(bkt, 0) + n
