"""When something last broke: where an empty range leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import func, select

from fmd_otel_dash.queries.look import look

if TYPE_CHECKING:
    from fmd_otel_dash.queries.scope import Scope
    from fmd_otel_exporter.store import Store

_US = 1_000_000


def last_exception_us(store: Store, scope: Scope) -> int | None:
    """Return when the newest exception of a scope's endpoints was, to the hour for single endpoints."""
    with look(store, scope) as view:
        if not scope.endpoint_ids and not scope.services:
            found: int | None = view.conn.scalar(select(func.max(view.tables.exception_group.c.last_ts)))
            return found
        c = view.tables.exception_hits.c
        bucket: int | None = view.conn.scalar(
            select(func.max(c.bucket)).where(c.endpoint_id.in_(view.endpoint_ids))
        )
    return None if bucket is None else bucket * _US
