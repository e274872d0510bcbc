"""How long the requests of an endpoint take of late, as all processes together know it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from fmd_otel_exporter.store import Store

RECENT_S = DAY_S
"""How far back *of late* reaches: a day has its busy and its quiet hours in it."""
WATCH_LEVEL = 2
"""The lowest level at which anybody asks."""


class Average(NamedTuple):
    """How long requests took."""

    n: int
    """How many there were."""
    us: int
    """Their mean, in microseconds."""


def load_averages(store: Store, now_s: float | None = None) -> dict[tuple[str, str], Average]:
    """Return the averages of endpoints that are watched, by service and name.

    They come from the sums that every process adds its requests to: no process has to have seen a request
    itself, and none forgets when it starts anew.
    """
    since = int(time.time() if now_s is None else now_s) - RECENT_S
    endpoint, hits = store.tables.endpoint.c, store.tables.hits.c
    query = (
        select(endpoint.service, endpoint.name, func.sum(hits.n), func.sum(hits.sum_us))
        .select_from(store.tables.endpoint.join(store.tables.hits, hits.endpoint_id == endpoint.id))
        .where(endpoint.level >= WATCH_LEVEL, hits.bucket >= since)
        .group_by(endpoint.service, endpoint.name)
    )
    with store.read() as connection:
        return {
            (row[0], row[1]): Average(int(row[2]), int(row[3]) // int(row[2]))
            for row in connection.execute(query)
            if row[2]
        }
