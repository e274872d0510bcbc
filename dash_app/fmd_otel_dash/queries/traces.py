"""The steps of a request, where they were kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from fmd_otel_dash.queries.requests import parse_key
from fmd_otel_exporter.documents import decode_document

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store


def trace_of(store: Store, key: str) -> dict[str, Any] | None:
    """Return the TraceDocument of a request by its key; None where its steps were not kept.

    Raises:
        DocumentError: What is stored cannot be read.
    """
    wanted = parse_key(key)
    if wanted is None:
        return None
    c = store.tables.request_trace.c
    query = select(c.data).where(
        c.endpoint_id == wanted.endpoint_id, c.ts == wanted.ts_us, c.span_id == wanted.span_id
    )
    with store.read() as connection:
        data = connection.scalar(query)
    return None if data is None else decode_document(bytes(data))
