"""A plan as SQL: one row source that day rollups, buckets and raw rows all flow into.

Every leg names the endpoints it wants. All tables are clustered on ``(endpoint_id, time, ...)``, so that is
what turns a scan of the table into one seek per endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, ColumnElement, Subquery, Table, case, literal, select, union_all

from fmd_otel_dash.queries.plan import Segment
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from sqlalchemy.sql.selectable import Select

    from fmd_otel_exporter.schema import Tables

_HITS = ("endpoint_id", "bucket", "local_s", "version_id", "status", "n", "sum_us")
_LATENCY = ("endpoint_id", "bucket", "version_id", "bkt", "n")


def hits_source(
    tables: Tables,
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None = None,
    home: Mapping[int, int] | None = None,
) -> Subquery:
    """Return rows of ``endpoint_id, bucket, local_s, version_id, status, n, sum_us``; keys may repeat.

    ``local_s`` is the bucket as the segment's local clock shows it, in seconds since a local 1 January 1970.
    ``home`` says under which endpoint each of the merged ones counts.
    """
    by_source = {"day": tables.hits_day, "bucket": tables.hits, "raw": tables.request}
    return _source(by_source, _HITS, segments, endpoint_ids, version_ids, home or {})


def latency_source(
    tables: Tables,
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None = None,
    home: Mapping[int, int] | None = None,
) -> Subquery:
    """Return rows of ``endpoint_id, bucket, version_id, bkt, n``; keys may repeat."""
    by_source = {"day": tables.lat_hist_day, "bucket": tables.lat_hist, "raw": tables.request}
    return _source(by_source, _LATENCY, segments, endpoint_ids, version_ids, home or {})


def counted(endpoint_id: ColumnElement[int], home: Mapping[int, int]) -> ColumnElement[int]:
    """Return the number of the endpoint that a row counts under, as ``endpoint_id``."""
    if not home:
        return endpoint_id
    return case(dict(home), value=endpoint_id, else_=endpoint_id).label("endpoint_id")


def _source(  # noqa: PLR0913, PLR0917 # what to read, and of whom
    by_source: dict[str, Table],
    names: Sequence[str],
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None,
    home: Mapping[int, int],
) -> Subquery:
    legs = []
    for segment in segments:
        table = by_source[segment.source]
        raw = segment.source == "raw"
        time = table.c.ts if raw else table.c.bucket
        columns = _raw_columns(table, names, segment) if raw else _rollup_columns(table, names, segment)
        columns[0] = counted(table.c.endpoint_id, home)  # the first of all names
        leg = select(*columns).where(
            table.c.endpoint_id.in_(endpoint_ids), time >= segment.start, time < segment.end
        )
        legs.append(leg if version_ids is None else leg.where(table.c.version_id.in_(version_ids)))
    if not legs:
        table = by_source["bucket"]
        columns = _rollup_columns(table, names, Segment("bucket", 0, 0, 0))
        legs = [select(*columns).where(table.c.endpoint_id.in_(()))]
    whole: Select[Any] | Any = legs[0] if len(legs) == 1 else union_all(*legs)
    return whole.subquery("source")


def _rollup_columns(table: Table, names: Sequence[str], segment: Segment) -> list[Any]:
    # A whole day counts for the local day in which its noon lies: in UTC that is the day itself.
    into_s = segment.offset_s + (DAY_S // 2 if segment.source == "day" else 0)
    local_s = (table.c.bucket + literal(into_s, BigInteger)).label("local_s")
    return [local_s if name == "local_s" else table.c[name] for name in names]


def _raw_columns(table: Table, names: Sequence[str], segment: Segment) -> list[Any]:
    """Return one raw request as a rollup row of one."""
    stand_ins = {
        "bucket": literal(segment.bucket_s, BigInteger).label("bucket"),
        "local_s": literal(segment.bucket_s + segment.offset_s, BigInteger).label("local_s"),
        "n": literal(1, BigInteger).label("n"),
        "sum_us": table.c.duration.label("sum_us"),
    }
    return [stand_ins[name] if name in stand_ins else table.c[name] for name in names]
