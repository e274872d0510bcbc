"""Guessing passwords is slow: after a few failures a client, and a user name, have to wait.

Counted in the database, so that it holds across worker processes. An attempt is written down before the
password is checked, so that a hundred at the same moment cannot all slip through.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, insert, select

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

WINDOW_S = 300
PER_CLIENT = 5
PER_USER = 10
"""More than per client: whoever guesses from elsewhere should not find it easy to lock the real user out."""
_US = 1_000_000
_MAX_ROWS = 10_000


@dataclass(frozen=True)
class Verdict:
    """Whether an attempt may go ahead, and if not, how long to wait."""

    allowed: bool
    retry_after_s: int = 0


def client_key(address: str) -> str:
    """Return the name under which a client's failures are counted; see :meth:`.Outside.client`."""
    return f"client:{address[:200]}"


def user_key(name: str) -> str:
    """Return the name under which a user's failures are counted: a digest, as people type passwords here."""
    return "user:" + hashlib.sha256(name.strip().casefold().encode()).hexdigest()


def attempt(store: Store, client: str, user: str) -> Verdict:
    """Write an attempt down, and tell whether it may go ahead. One that may not is not counted again."""
    now_us = time.time_ns() // 1000
    tables = store.tables
    table = tables.login_attempt
    with store.write() as connection:
        connection.execute(delete(table).where(table.c.ts <= now_us - WINDOW_S * _US))
        for key, limit in ((client, PER_CLIENT), (user, PER_USER)):
            times = _times(connection, tables, key)
            if len(times) >= limit:
                wait_us = times[-limit] + WINDOW_S * _US - now_us
                return Verdict(allowed=False, retry_after_s=max(1, -(-wait_us // _US)))
        for key in (client, user):
            times = _times(connection, tables, key)
            # The key is (client, ts): two attempts in one microsecond are still two.
            ts = max(now_us, times[-1] + 1) if times else now_us
            connection.execute(insert(table).values(client=key, ts=ts))
        _bound(connection, tables)
    return Verdict(allowed=True)


def forgive(connection: Connection, tables: Tables, client: str, user: str) -> None:
    """Forget the attempts of somebody who turned out to know the password."""
    c = tables.login_attempt.c
    connection.execute(delete(tables.login_attempt).where(c.client.in_((client, user))))


def _times(connection: Connection, tables: Tables, key: str) -> Sequence[int]:
    c = tables.login_attempt.c
    return connection.scalars(select(c.ts).where(c.client == key).order_by(c.ts)).all()


def _bound(connection: Connection, tables: Tables) -> None:
    table = tables.login_attempt
    n = connection.scalar(select(func.count()).select_from(table)) or 0
    if n > _MAX_ROWS:
        cut = connection.scalar(select(table.c.ts).order_by(table.c.ts).offset(n - _MAX_ROWS).limit(1))
        connection.execute(delete(table).where(table.c.ts < cut))
