"""Elect one process for work that must not be done by all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, update
from sqlalchemy.exc import IntegrityError

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fmd_otel_exporter.store import Store


def acquire(store: Store, name: str, owner: str, *, now_ts_us: int, for_us: int) -> bool:
    """Take or renew a lease; ``False`` when somebody else holds it.

    A holder that dies loses it by the clock, so work under a lease must bear being done twice.
    """
    lease = store.tables.lease
    expires = now_ts_us + for_us

    def take(connection: Connection) -> None:
        taken = connection.execute(
            update(lease)
            .where(lease.c.name == name, or_(lease.c.expires <= now_ts_us, lease.c.owner == owner))
            .values(owner=owner, expires=expires)
        )
        if taken.rowcount == 0:
            connection.execute(insert(lease).values(name=name, owner=owner, expires=expires))

    try:
        store.run(take)
    except IntegrityError:  # the row is there, and neither ours nor expired
        return False
    return True


def release(store: Store, name: str, owner: str) -> None:
    """Give a lease back, if it is still ours."""
    lease = store.tables.lease
    mine = delete(lease).where(lease.c.name == name, lease.c.owner == owner)
    store.run(lambda connection: connection.execute(mine))
