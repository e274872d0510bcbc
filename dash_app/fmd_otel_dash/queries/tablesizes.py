"""What the tables take, remembered for a minute: rows are counted by reading them.

Whatever deletes ends that minute: a job says how far it is, what is old goes from its old end, and a database
that is written anew is smaller.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sqlalchemy import select

if TYPE_CHECKING:
    from collections.abc import Hashable

    from sqlalchemy import Connection, Engine

    from fmd_otel_exporter.sizes import Sizes
    from fmd_otel_exporter.store import Store

REMEMBERED_US = 60_000_000


@dataclass(frozen=True)
class Measured:
    """Sizes, and when they were so."""

    sizes: Sizes
    at_us: int


def measured(store: Store, connection: Connection, now_us: int, oldest: Hashable) -> Measured:
    """Return the sizes of a database.

    Args:
        store: the database.
        connection: an open look at it.
        now_us: what time it is.
        oldest: the times of the oldest of what is kept.
    """
    job = store.tables.job.c
    jobs = connection.execute(select(job.name, job.state, job.updated_ts).order_by(job.name)).all()
    mark = (store.prefix, oldest, *(tuple(row) for row in jobs))
    known = _REMEMBERED.get(connection.engine)
    if known is not None and known[0] == mark and 0 <= now_us - known[1].at_us < REMEMBERED_US:
        before = known[1].sizes.total_bytes or 0
        if store.dialect.total_bytes(connection, store.prefix) >= before:
            return known[1]
    found = Measured(store.dialect.sizes(connection, store.prefix), now_us)
    _REMEMBERED[connection.engine] = mark, found
    return found


_REMEMBERED: WeakKeyDictionary[Engine, tuple[tuple[Any, ...], Measured]] = WeakKeyDictionary()
