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
    with store.read() as connection:
        known = connection.execute(
            select(endpoint.id, endpoint.service, endpoint.name, endpoint.level, endpoint.merged_into).where(
                endpoint.removed_ts == 0
            )
        ).all()
        root = {row.id: row.merged_into or row.id for row in known}
        watched = {row.id for row in known if row.level >= WATCH_LEVEL and not row.merged_into}
        ids = [own for own in root if root[own] in watched]
        query = (
            select(hits.endpoint_id, func.sum(hits.n), func.sum(hits.sum_us))
            .where(hits.endpoint_id.in_(ids), hits.bucket >= since)
            .group_by(hits.endpoint_id)
        )
        sums: dict[int, list[int]] = {}
        for own, n, us in connection.execute(query) if ids else ():
            found = sums.setdefault(root[own], [0, 0])
            found[0] += int(n)
            found[1] += int(us)
    return {
        (row.service, row.name): Average(
            sums[root[row.id]][0], sums[root[row.id]][1] // sums[root[row.id]][0]
        )
        for row in known
        if root[row.id] in sums and sums[root[row.id]][0]
    }
