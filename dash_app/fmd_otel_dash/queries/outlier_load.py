"""How busy the machine was while outliers ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from fmd_otel_dash.queries.look import look
from fmd_otel_exporter.documents import DocumentError, decode_document

if TYPE_CHECKING:
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_exporter.store import Store

MOST = 200


@dataclass(frozen=True)
class OutlierLoad:
    """The machine at the time of one outlier; what was not measured is None or empty."""

    key: str
    """That of the outlier."""
    ts_us: int
    cores: tuple[float, ...]
    """Load of each core in percent."""
    cpu_percent: float | None
    """Of the whole host."""
    process_bytes: int | None
    """Resident memory of the worker."""
    host_share: float | None
    """Share of the host's memory in use, 0 to 1."""


def outlier_loads(store: Store, scope: Scope) -> tuple[OutlierLoad, ...]:
    """Return the load at the newest outliers of a scope, oldest first."""
    with look(store, scope) as view:
        c = view.tables.outlier.c
        where = [c.endpoint_id.in_(view.endpoint_ids), c.ts >= scope.start_us, c.ts < scope.end_us]
        ids = view.version_ids(scope)
        if ids is not None:
            where.append(c.version_id.in_(ids))
        found = view.conn.execute(
            select(c.endpoint_id, c.ts, c.span_id, c.cpu_percent, c.rss_bytes, c.data)
            .where(*where)
            .order_by(c.ts.desc())
            .limit(MOST)
        ).all()
    return tuple(
        _load(f"{row[1]}-{row[0]}-{bytes(row[2]).hex()}", row[1], *row[3:]) for row in reversed(found)
    )


def _load(key: str, ts_us: int, cpu_percent: float | None, rss_bytes: int | None, data: Any) -> OutlierLoad:
    try:
        document = decode_document(bytes(data))
    except DocumentError:
        document = {}
    cores = document.get("cpu_percent_per_core")
    used, whole = document.get("memory_host_used"), document.get("memory_host_total")
    return OutlierLoad(
        key=key,
        ts_us=ts_us,
        cores=tuple(float(core) for core in cores if isinstance(core, int | float))
        if isinstance(cores, list)
        else (),
        cpu_percent=cpu_percent,
        process_bytes=rss_bytes,
        host_share=used / whole
        if isinstance(used, int | float) and isinstance(whole, int | float) and whole
        else None,
    )
