"""A plan as SQL: one row source that day rollups, buckets and raw rows all flow into.

Every leg names the endpoints it wants. All tables are clustered on ``(endpoint_id, time, ...)``, so that is
what turns a scan of the table into one seek per endpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Subquery,
    Table,
    and_,
    case,
    cast,
    func,
    literal,
    or_,
    select,
    union_all,
)
from sqlalchemy.sql.base import ReadOnlyColumnCollection
from sqlalchemy.sql.selectable import Select

from fmd_otel_dash.queries.plan import Segment
from fmd_otel_dash.queries.statements import Statement, any_of, built_once, integer
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fmd_otel_dash.queries.plan import Source as Kind
    from fmd_otel_exporter.schema import Tables

_HITS = ("endpoint_id", "bucket", "version_id", "status", "n", "sum_us")
_LATENCY = ("endpoint_id", "bucket", "version_id", "bkt", "n")
_NOWHERE = Segment("bucket", 0, 0, 0)

Columns = ReadOnlyColumnCollection[str, Any]
Build = Callable[[Columns], Select[Any]]
"""Makes a statement of a source's columns; always the same one, so a function of a module and no lambda."""


@dataclass(frozen=True)
class Source:
    """Rows to add up, and the values that they are to be asked for with."""

    rows: Subquery
    """The same for all sources of the same shape, so that it can stand for the shape."""
    values: dict[str, Any]

    def statement(self, build: Build) -> Statement:
        """Return a statement about the rows, built once; to be executed with the values."""
        return _statement(self.rows, build)


def hits_source(  # noqa: PLR0913 # what to read, of whom, and how
    tables: Tables,
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None = None,
    home: Mapping[int, int] | None = None,
    *,
    local: bool = False,
    once: bool = False,
) -> Source:
    """Return rows of ``endpoint_id, bucket, version_id, status, n, sum_us``; keys may repeat.

    Segments of several sides have their ``side``, too. With ``local`` there is ``local_s``: the bucket
    as the segment's local clock shows it, in seconds since a local 1 January 1970.
    ``home`` says under which endpoint each of the merged ones counts. With ``once``, segments of one table
    are read by one leg: it has no seek for each, and one plan.
    """
    names = (*_HITS, "local_s") if local else _HITS
    return _source(_hits_tables(tables), names, segments, endpoint_ids, version_ids, home or {}, once=once)


def latency_source(  # noqa: PLR0913 # as above
    tables: Tables,
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None = None,
    home: Mapping[int, int] | None = None,
    *,
    once: bool = False,
) -> Source:
    """Return rows of ``endpoint_id, bucket, version_id, bkt, n``, and ``side`` as above; keys may repeat."""
    by_kind: _Tables = (("day", tables.lat_hist_day), ("bucket", tables.lat_hist), ("raw", tables.request))
    return _source(by_kind, _LATENCY, segments, endpoint_ids, version_ids, home or {}, once=once)


def total(expression: ColumnElement[Any]) -> ColumnElement[int]:
    """Return a sum as an integer: PostgreSQL and MySQL widen sums of BIGINT to decimals."""
    return cast(func.sum(expression), BigInteger)


def counted(endpoint_id: ColumnElement[int], home: Mapping[int, int]) -> ColumnElement[int]:
    """Return the number of the endpoint that a row counts under, as ``endpoint_id``."""
    if not home:
        return endpoint_id
    return case(dict(home), value=endpoint_id, else_=endpoint_id).label("endpoint_id")


def n_of_each(
    tables: Tables,
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None = None,
    *,
    once: bool = False,
) -> tuple[Select[Any], dict[str, Any]]:
    """Return a statement for the place and the number of requests of each segment, and its values.

    Where there is no request, number or row is missing.
    """
    placed = [replace(segment, side=place) for place, segment in enumerate(segments)]
    statement = _n_of_each(_hits_tables(tables), _parts(placed, once=once), version_ids is not None)
    return statement, _values(segments, endpoint_ids, version_ids)


_Tables = tuple[tuple["Kind", Table], ...]
_Parts = tuple[tuple["Kind", tuple[tuple[int, int], ...]], ...]
"""From which table to read the segments at some places, in order of time, with their sides."""


def _parts(segments: Sequence[Segment], *, once: bool = False) -> _Parts:
    places: dict[Kind, list[int]] = {}
    for i in sorted(range(len(segments)), key=lambda i: segments[i].start_us):
        places.setdefault(segments[i].source, []).append(i)
    parts: list[tuple[Kind, Sequence[int]]] = []
    for kind, together in places.items():
        if once and _apart([segments[i] for i in together]):
            parts.append((kind, together))
        else:
            parts += ((kind, (i,)) for i in together)
    return tuple((kind, tuple((i, segments[i].side) for i in together)) for kind, together in parts)


def _apart(segments: Sequence[Segment]) -> bool:
    """Tell whether segments in order of time share no moment, so that a time tells which of them it is in."""
    return all(one.end <= other.start for one, other in pairwise(segments))


def _hits_tables(tables: Tables) -> _Tables:
    return ("day", tables.hits_day), ("bucket", tables.hits), ("raw", tables.request)


def _source(  # noqa: PLR0913, PLR0917 # what to read, and of whom
    by_kind: _Tables,
    names: tuple[str, ...],
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None,
    home: Mapping[int, int],
    *,
    once: bool,
) -> Source:
    segments = sorted(segments, key=lambda segment: segment.start_us) or [_NOWHERE]
    if len({segment.side for segment in segments}) > 1:
        names = (*names, "side")
    rows = _rows(by_kind, names, _parts(segments, once=once), version_ids is not None, tuple(home.items()))
    return Source(rows, _values(segments, endpoint_ids, version_ids))


def _values(
    segments: Sequence[Segment], endpoint_ids: Collection[int], version_ids: Collection[int] | None
) -> dict[str, Any]:
    values: dict[str, Any] = {"endpoints": list(endpoint_ids)}
    if version_ids is not None:
        values["versions"] = list(version_ids)
    for i, segment in enumerate(segments):
        # A whole day counts for the local day in which its noon lies: in UTC that is the day itself.
        ahead_s = segment.offset_s + (DAY_S // 2 if segment.source == "day" else 0)
        values |= {f"start_{i}": segment.start, f"end_{i}": segment.end, f"ahead_{i}": ahead_s}
        if segment.source == "raw":
            values[f"bucket_{i}"] = segment.bucket_s
    return values


@built_once
def _rows(
    by_kind: _Tables,
    names: tuple[str, ...],
    parts: _Parts,
    of_versions: bool,  # noqa: FBT001 # a shape's parts are told apart by their place
    home: tuple[tuple[int, int], ...],
) -> Subquery:
    legs = _legs(by_kind, names, parts, dict(home), of_versions=of_versions)
    whole: Select[Any] | Any = legs[0] if len(legs) == 1 else union_all(*legs)
    return whole.subquery("source")


@built_once
def _n_of_each(by_kind: _Tables, parts: _Parts, of_versions: bool) -> Statement:  # noqa: FBT001 # as above
    counts = []
    for part in parts:
        (leg,) = _legs(by_kind, ("endpoint_id", "side", "n"), (part,), {}, of_versions=of_versions)
        c, (segment, *more) = leg.subquery("source").c, part[1]
        if more:
            counts.append(select(c.side, total(c.n)).group_by(c.side))
        else:
            counts.append(select(literal(segment[1], BigInteger), total(c.n)))
    whole: Statement | Any = counts[0] if len(counts) == 1 else union_all(*counts)
    return whole


def _legs(
    by_kind: _Tables,
    names: Sequence[str],
    parts: _Parts,
    home: Mapping[int, int],
    *,
    of_versions: bool,
) -> list[Select[Any]]:
    """Return one query for each part, the values of whose segments carry their place in their names."""
    tables = dict(by_kind)
    legs = []
    for kind, sided in parts:
        c, together = tables[kind].c, [place for place, _ in sided]
        time = c.ts if kind == "raw" else c.bucket
        stand_ins = _of_raw(c, together) if kind == "raw" else _of_rollup(c, together)
        stand_ins["side"] = _side(time, sided)
        columns: list[Any] = [stand_ins[name].label(name) if name in stand_ins else c[name] for name in names]
        columns[0] = counted(c.endpoint_id, home)  # the first of all names
        spans = [and_(time >= integer(f"start_{i}"), time < integer(f"end_{i}")) for i in together]
        leg = select(*columns).where(c.endpoint_id.in_(any_of("endpoints")), or_(*spans))
        if of_versions:
            leg = leg.where(c.version_id.in_(any_of("versions")))
        legs.append(leg)
    return legs


def _of_rollup(c: Columns, places: Sequence[int]) -> dict[str, ColumnElement[Any]]:
    """Return what a rollup row does not have as a column."""
    ahead = _of_segment(c.bucket, places, lambda i: integer(f"ahead_{i}"))
    return {"local_s": c.bucket + ahead}


def _of_raw(c: Columns, places: Sequence[int]) -> dict[str, ColumnElement[Any]]:
    """Return what makes a raw request a rollup row of one."""
    return {
        "bucket": _of_segment(c.ts, places, lambda i: integer(f"bucket_{i}")),
        "local_s": _of_segment(c.ts, places, lambda i: integer(f"bucket_{i}") + integer(f"ahead_{i}")),
        "n": literal(1, BigInteger),
        "sum_us": c.duration,
    }


def _side(time: ColumnElement[int], sided: Sequence[tuple[int, int]]) -> ColumnElement[int]:
    """Return the side that a time is on. It is part of the statement, which is the shorter for it."""
    sides = dict(sided)
    lasts = [one for one, other in pairwise(sides) if sides[one] != sides[other]]
    return _of_segment(time, [*lasts, sided[-1][0]], lambda i: literal(sides[i], BigInteger))


def _of_segment(
    time: ColumnElement[int], places: Sequence[int], value: Callable[[int], ColumnElement[int]]
) -> ColumnElement[int]:
    """Return what holds for the segment that a time lies in, of some in order of time."""
    *others, last = places
    if not others:
        return value(last)
    return case(*((time < integer(f"end_{i}"), value(i)) for i in others), else_=value(last))


@built_once
def _statement(rows: Subquery, build: Build) -> Statement:
    return build(rows.c)
