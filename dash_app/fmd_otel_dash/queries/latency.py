"""Latency buckets by whatever a page groups them by.

A month of a large application has some hundred thousand rows of buckets, most of them of days and hours that
are over. What these come to is remembered, part by part of a plan: it holds for as long as the part has as
many requests as then, since rows of sums are only ever added to. To count these is a fiftieth of the work.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import BigInteger, ColumnElement, literal, select

from fmd_otel_dash.queries.plan import Segment
from fmd_otel_dash.queries.remembered import Remembered
from fmd_otel_dash.queries.sources import Columns, total
from fmd_otel_dash.queries.statements import Statement, built_once
from fmd_otel_exporter.schema import LATENCY_BUCKET_S

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from sqlalchemy import Engine, Subquery

    from fmd_otel_dash.queries.look import Look
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_dash.queries.sources import Source

Group = Callable[[Columns], ColumnElement[Any]]
"""Says by which of the columns ``endpoint_id, bucket, version_id, bkt`` to group, or by what of them: an
integer, not negative, below 2**47. Always the same function, as statements are built once of each."""
Grouped = dict[int, dict[int, int]]
"""Group -> bucket -> requests."""

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
    (found,) = latency_of_each(view, (scope,), by, days=days, **values)
    return found


def latency_of_each(
    view: Look, scopes: Sequence[Scope], by: Group, *, days: bool = True, **values: int
) -> list[Grouped]:
    """Return the same of several scopes, for little more than it takes to read one.

    What two of them have in common is read once: where one ends in the hour in which the other begins, the
    shorter part of that hour tells both.
    """
    versions = [view.version_ids(scope) for scope in scopes]
    if len({*versions}) > 1:
        return [latency_by(view, scope, by, days=days, **values) for scope in scopes]
    plans = [_plan(view, scope, days=days) for scope in scopes]
    read = _Reader(view, versions[0], by, values)
    summed = read.remembered(_each(plan.summed for plan in plans))
    raw = read.each(_each((*plan.raw, *plan.beside) for plan in plans))
    found = []
    for plan in plans:
        mine: Grouped = {}
        for segment in plan.summed:
            _add(mine, summed.get(segment, {}))
        for segment in plan.raw:
            _add(mine, raw[segment])
        for segment in plan.beside:
            mine = _without(mine, raw[segment])
        found.append(mine)
    return found


@dataclass(frozen=True)
class _Plan:
    """What a scope's buckets are the sum of."""

    summed: tuple[Segment, ...]
    raw: tuple[Segment, ...]
    beside: tuple[Segment, ...]
    """Raw rows to take off again: of an hour that the scope has most of, the rest."""


def _plan(view: Look, scope: Scope, *, days: bool) -> _Plan:
    raw: list[Segment] = []
    beside: list[Segment] = []
    summed: list[Segment] = []
    for segment in view.segments(scope, LATENCY_BUCKET_S, days=days):
        if segment.source != "raw":
            summed += _open_apart(segment, scope.end_us)
        elif rest := view.outside(segment, LATENCY_BUCKET_S):
            beside.append(rest)
            summed.append(_hour(segment.bucket_s))
        else:
            raw.append(segment)
    return _Plan(tuple(summed), tuple(raw), tuple(beside))


def _each(segments: Iterable[Iterable[Segment]]) -> list[Segment]:
    return [*dict.fromkeys(chain.from_iterable(segments))]


@dataclass(frozen=True)
class _Reader:
    """Reads buckets of segments, each by itself."""

    view: Look
    versions: tuple[int, ...] | None
    by: Group
    values: dict[str, int]

    def remembered(self, segments: Sequence[Segment]) -> dict[Segment, Grouped]:
        """Return what sums come to; those of no request are left out. Nobody may change it."""
        view = self.view
        found: dict[Segment, Grouped] = {}
        remembered = _REMEMBERED.setdefault(view.conn.engine, Remembered())
        whose = view.endpoint_ids, self.versions, *view.home.items()
        new: dict[Segment, tuple[Hashable, int]] = {}
        for segment, n in view.n_of_each(segments, self.versions).items():
            if not n:
                continue
            key = segment.source, segment.start, segment.end, whose, self.by, *self.values.items()
            sample = remembered.get(key, n)
            if sample is None:
                new[segment] = key, n
            else:
                found[segment] = sample
        for segment, sample in self.each([*new]).items():
            remembered.put(*new[segment], sample)
            found[segment] = sample
        return found

    def each(self, segments: Sequence[Segment]) -> dict[Segment, Grouped]:
        """Return what segments come to: in one question, where more of them take longer than to read."""
        if not segments:
            return {}
        if len(segments) == 1 or not self.view.dialect.plans_long:
            return {
                segment: grouped(self.view, self._source([segment]), self.by, **self.values)
                for segment in segments
            }
        found: dict[Segment, Grouped] = {segment: {} for segment in segments}
        source = self._source([replace(segment, side=place) for place, segment in enumerate(segments)])
        rows = self.view.conn.execute(_grouped_apart(source.rows, self.by), source.values | self.values)
        for place, packed, n in rows.all():
            number = int(packed)
            found[segments[place]].setdefault(number // _KEY, {})[number % _KEY] = n
        return found

    def _source(self, segments: Sequence[Segment]) -> Source:
        return self.view.latency_of(segments, self.versions)


def grouped(view: Look, source: Source, by: Group, **values: int) -> Grouped:
    """Return the buckets of a latency source by a group."""
    found: Grouped = {}
    for packed, n in view.conn.execute(_grouped(source.rows, by), source.values | values).all():
        number = int(packed)
        found.setdefault(number // _KEY, {})[number % _KEY] = n
    return found


@built_once
def _grouped(rows: Subquery, by: Group) -> Statement:
    key = _packed(rows.c, by)
    return select(key, total(rows.c.n)).group_by(key)


@built_once
def _grouped_apart(rows: Subquery, by: Group) -> Statement:
    key = _packed(rows.c, by)
    return select(rows.c.side, key, total(rows.c.n)).group_by(rows.c.side, key)


def _packed(c: Columns, by: Group) -> ColumnElement[int]:
    # One integer as the key: SQLite sorts it a third faster than two columns, and the sort is what costs.
    key: ColumnElement[int] = by(c) * literal(_KEY, BigInteger) + c.bkt
    return key


_REMEMBERED: WeakKeyDictionary[Engine, Remembered[Grouped]] = WeakKeyDictionary()


def _open_apart(segment: Segment, end_us: int) -> Sequence[Segment]:
    """Return a segment in two parts if it goes beyond a range: its last hour is not over."""
    last_s = segment.end - LATENCY_BUCKET_S
    if segment.end_us <= end_us or last_s <= segment.start:
        return (segment,)
    return replace(segment, end=last_s), _hour(last_s)


def _hour(start_s: int) -> Segment:
    return Segment("bucket", start_s, start_s + LATENCY_BUCKET_S, start_s)


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
