"""How busy the machine was while outliers ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.outliers import spread
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


@dataclass(frozen=True)
class OutlierLoads:
    """The machine at the outliers of a range."""

    rows: tuple[OutlierLoad, ...]
    """Oldest first."""
    is_all: bool
    """Otherwise they are some of each part of the range."""


def outlier_loads(store: Store, scope: Scope) -> OutlierLoads:
    """Return the load at the outliers of a scope, or of very many at about ``MOST``."""
    with look(store, scope) as view:
        c = view.tables.outlier.c
        columns = c.endpoint_id, c.ts, c.span_id, c.cpu_percent, c.rss_bytes, c.data
        found, is_all = spread(view, scope, columns, MOST)
    rows = tuple(
        _load(f"{row[1]}-{row[0]}-{bytes(row[2]).hex()}", row[1], *row[3:]) for row in reversed(found)
    )
    return OutlierLoads(rows, is_all)


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
