"""What is kept of a request beside its row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from fmd_otel_dash.queries.requests import parse_key
from fmd_otel_dash.queries.scope import US_PER_S

if TYPE_CHECKING:
    from sqlalchemy import Table

    from fmd_otel_dash.queries.requests import RequestRow
    from fmd_otel_exporter.store import Store

_HOUR_S = 3600
_SLACK_US = US_PER_S
"""An exception may be met while the last bytes are already on their way."""


@dataclass(frozen=True)
class Extras:
    """Where there is more to see of one request."""

    profiled: bool
    outlier: bool
    exceptions: tuple[tuple[int, str], ...]
    """Group and type of each exception that was met, if kept in detail."""


def extras(store: Store, request: RequestRow) -> Extras:
    """Look for details of a request; each by the beginning of a key."""
    wanted = parse_key(request.key)
    if wanted is None:
        return Extras(profiled=False, outlier=False, exceptions=())
    tables = store.tables

    def of(table: Table) -> Any:
        c = table.c
        return select(c.ts).where(
            c.endpoint_id == wanted.endpoint_id, c.ts == wanted.ts_us, c.span_id == wanted.span_id
        )

    hits, one, group = tables.exception_hits.c, tables.exception_occurrence.c, tables.exception_group.c
    last_us = request.ts_us + request.duration_us + _SLACK_US
    first_hour = request.ts_us // US_PER_S // _HOUR_S * _HOUR_S
    here = select(hits.group_id).where(
        hits.bucket >= first_hour, hits.bucket <= last_us // US_PER_S, hits.endpoint_id == wanted.endpoint_id
    )
    met = (
        select(group.id, group.type)
        .join(tables.exception_occurrence, one.group_id == group.id)
        .where(
            one.group_id.in_(here),
            one.ts >= request.ts_us,
            one.ts <= last_us,
            one.span_id == wanted.span_id,
        )
        .distinct()
    )
    with store.read() as connection:
        return Extras(
            profiled=connection.execute(of(tables.profile)).first() is not None,
            outlier=connection.execute(of(tables.outlier)).first() is not None,
            exceptions=tuple((row[0], row[1]) for row in connection.execute(met)),
        )
