"""What time it is, where that decides who maintains a database and what is old in it.

A server has a clock, the same for all who use it; that of a host may be wrong, and must not cost the others
their data. A database without one has only the clock of this machine. That one is doubted for a while when it
shows a time long after the newest request, or has jumped ahead: in that time whoever sets clocks may set it
right.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import func, select

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

DOUBTFUL_S = 86_400
"""How far the clock may be ahead of what it can be compared with."""
PATIENCE_S = 3600
_US = 1_000_000


def database_now_us(store: Store) -> int:
    """Return what the database's clock shows, or ours where it has none.

    Raises:
        StorageError: It cannot be asked now.
    """
    if not store.dialect.has_clock:
        return time.time_ns() // 1000
    with store.read() as connection:
        return store.dialect.now_us(connection)


class Doubt:
    """Remembers since when the clock of this machine has been doubtful."""

    def __init__(self, timer: Callable[[], float] = time.monotonic) -> None:
        """Compare with this timer, which no clock's being set changes."""
        self._timer = timer
        self._ahead_s = time.time() - timer()
        self._since: float | None = None

    def holds(self, store: Store) -> bool:
        """Tell whether to wait before anything is deleted by this clock.

        Raises:
            StorageError: The database cannot be asked now.
        """
        if store.dialect.has_clock:
            return False
        at, now_s = self._timer(), time.time()
        with store.read() as connection:
            newest_us = connection.scalar(select(func.max(store.tables.endpoint.c.last_ts)))
        known = [at + self._ahead_s] if newest_us is None else [at + self._ahead_s, newest_us / _US]
        if now_s - min(known) <= DOUBTFUL_S:
            self._since = None
            return False
        if self._since is None:
            self._since = at
        return at - self._since < PATIENCE_S
