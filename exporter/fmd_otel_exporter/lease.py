"""Elect one process for work that must not be done by all of them."""

from __future__ import annotations

import os
import secrets
import socket
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from fmd_otel_exporter.clock import database_now_us

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from fmd_otel_exporter.store import Store


_LONGEST_US = 86_400 * 1_000_000
"""Whoever claims more than a day has a clock at fault, and might keep everybody else away for years."""


_LONGEST_HOST = 100
_names: dict[int, str] = {}
"""By process id, since a forked process is another one."""


def this_process() -> str:
    """Return a name that no other process has.

    Host and process id tell people which one it is; containers may have both in common.
    """
    pid = os.getpid()
    if pid not in _names:
        _names.clear()
        _names[pid] = f"{socket.gethostname()[:_LONGEST_HOST]}:{pid}:{secrets.token_hex(4)}"
    return _names[pid]


def is_of(owner: str | None, host: str, pid: int) -> bool:
    """Tell whether an owner is called after this process of a host."""
    return owner is not None and f"{owner}:".startswith(f"{host[:_LONGEST_HOST]}:{pid}:")


def acquire(store: Store, name: str, owner: str, *, for_us: int, now_ts_us: int | None = None) -> bool:
    """Take or renew a lease; ``False`` when somebody else holds it.

    A holder that dies loses it by the clock, so work under a lease must bear being done twice.

    Args:
        store: Where.
        name: Which lease.
        owner: Who wants it.
        for_us: For how long.
        now_ts_us: What time it is; by default what the database says.
    """
    lease = store.tables.lease
    now_ts_us = database_now_us(store) if now_ts_us is None else now_ts_us
    expires = now_ts_us + for_us
    free = or_(
        lease.c.expires <= now_ts_us, lease.c.expires > now_ts_us + _LONGEST_US, lease.c.owner == owner
    )
    with store.read() as connection:  # whoever only asks holds up nobody
        if connection.execute(select(lease.c.name).where(lease.c.name == name, ~free)).first() is not None:
            return False

    def take(connection: Connection) -> None:
        taken = connection.execute(
            update(lease).where(lease.c.name == name, free).values(owner=owner, expires=expires)
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
