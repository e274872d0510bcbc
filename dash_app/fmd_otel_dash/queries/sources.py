"""A plan as SQL: one row source that day rollups, buckets and raw rows all flow into.

Every leg names the endpoints it wants. All tables are clustered on ``(endpoint_id, time, ...)``, so that is
what turns a scan of the table into one seek per endpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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

_HITS = ("endpoint_id", "bucket", "local_s", "version_id", "status", "n", "sum_us")
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
    once: bool = False,
) -> Source:
    """Return rows of ``endpoint_id, bucket, local_s, version_id, status, n, sum_us``; keys may repeat.

    ``local_s`` is the bucket as the segment's local clock shows it, in seconds since a local 1 January 1970.
    ``home`` says under which endpoint each of the merged ones counts. With ``once``, segments of one table
    are read by one leg: it has no seek for each, and one plan.
    """
    return _source(_hits_tables(tables), _HITS, segments, endpoint_ids, version_ids, home or {}, once=once)


def latency_source(  # noqa: PLR0913 # as above
    tables: Tables,
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None = None,
    home: Mapping[int, int] | None = None,
    *,
    once: bool = False,
) -> Source:
    """Return rows of ``endpoint_id, bucket, version_id, bkt, n``; keys may repeat."""
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
) -> tuple[Select[Any], dict[str, Any]]:
    """Return a statement for the place and the number of requests of each segment, and its values."""
    statement = _n_of_each(_hits_tables(tables), _parts(segments), version_ids is not None)
    return statement, _values(segments, endpoint_ids, version_ids)


_Tables = tuple[tuple["Kind", Table], ...]
_Parts = tuple[tuple["Kind", tuple[int, ...]], ...]
"""From which table to read the segments at some places, in order of time."""


def _parts(segments: Sequence[Segment], *, once: bool = False) -> _Parts:
    kinds = [segment.source for segment in segments]
    if not once:
        return tuple((kind, (i,)) for i, kind in enumerate(kinds))
    return tuple(
        (kind, tuple(i for i, each in enumerate(kinds) if each == kind)) for kind in dict.fromkeys(kinds)
    )


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
    legs = _legs(by_kind, ("endpoint_id", "n"), parts, {}, of_versions=of_versions)
    counts = [
        select(literal(i, BigInteger).label("place"), total(leg.subquery("source").c.n))
        for i, leg in enumerate(legs)
    ]
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
    for kind, together in parts:
        c = tables[kind].c
        time = c.ts if kind == "raw" else c.bucket
        columns = _raw_columns(c, names, together) if kind == "raw" else _rollup_columns(c, names, together)
        columns[0] = counted(c.endpoint_id, home)  # the first of all names
        spans = [and_(time >= integer(f"start_{i}"), time < integer(f"end_{i}")) for i in together]
        leg = select(*columns).where(c.endpoint_id.in_(any_of("endpoints")), or_(*spans))
        if of_versions:
            leg = leg.where(c.version_id.in_(any_of("versions")))
        legs.append(leg)
    return legs


def _rollup_columns(c: Columns, names: Sequence[str], places: Sequence[int]) -> list[Any]:
    ahead = _of_segment(c.bucket, places, lambda i: integer(f"ahead_{i}"))
    local_s = (c.bucket + ahead).label("local_s")
    return [local_s if name == "local_s" else c[name] for name in names]


def _raw_columns(c: Columns, names: Sequence[str], places: Sequence[int]) -> list[Any]:
    """Return one raw request as a rollup row of one."""
    bucket = _of_segment(c.ts, places, lambda i: integer(f"bucket_{i}"))
    local_s = _of_segment(c.ts, places, lambda i: integer(f"bucket_{i}") + integer(f"ahead_{i}"))
    stand_ins = {
        "bucket": bucket.label("bucket"),
        "local_s": local_s.label("local_s"),
        "n": literal(1, BigInteger).label("n"),
        "sum_us": c.duration.label("sum_us"),
    }
    return [stand_ins[name] if name in stand_ins else c[name] for name in names]


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
