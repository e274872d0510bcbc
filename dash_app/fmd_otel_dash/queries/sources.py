"""A plan as SQL: one row source that day rollups, buckets and raw rows all flow into.

Every leg names the endpoints it wants. All tables are clustered on ``(endpoint_id, time, ...)``, so that is
what turns a scan of the table into one seek per endpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import BigInteger, Subquery, Table, literal, select, union_all

from fmd_otel_dash.queries.plan import Segment
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy.sql.selectable import Select

    from fmd_otel_exporter.schema import Tables

_HITS = ("endpoint_id", "bucket", "local_s", "version_id", "status", "n", "sum_us")
_LATENCY = ("endpoint_id", "bucket", "version_id", "bkt", "n")


def hits_source(
    tables: Tables,
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None = None,
) -> Subquery:
    """Return rows of ``endpoint_id, bucket, local_s, version_id, status, n, sum_us``; keys may repeat.

    ``local_s`` is the bucket as the segment's local clock shows it, in seconds since a local 1 January 1970.
    """
    by_source = {"day": tables.hits_day, "bucket": tables.hits, "raw": tables.request}
    return _source(by_source, _HITS, segments, endpoint_ids, version_ids)


def latency_source(
    tables: Tables,
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None = None,
) -> Subquery:
    """Return rows of ``endpoint_id, bucket, version_id, bkt, n``; keys may repeat."""
    by_source = {"day": tables.lat_hist_day, "bucket": tables.lat_hist, "raw": tables.request}
    return _source(by_source, _LATENCY, segments, endpoint_ids, version_ids)


def _source(
    by_source: dict[str, Table],
    names: Sequence[str],
    segments: Sequence[Segment],
    endpoint_ids: Collection[int],
    version_ids: Collection[int] | None,
) -> Subquery:
    legs = []
    for segment in segments:
        table = by_source[segment.source]
        raw = segment.source == "raw"
        time = table.c.ts if raw else table.c.bucket
        columns = _raw_columns(table, names, segment) if raw else _rollup_columns(table, names, segment)
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
