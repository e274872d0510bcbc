"""Runs retention now and then, in one process of all that write to a database, between its batches."""

from __future__ import annotations

import logging
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from fmd_otel_exporter import lease
from fmd_otel_exporter.clock import Doubt, database_now_us
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.retention import prune
from fmd_otel_exporter.sizes import note_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmd_otel_exporter.retention import Deleted, Retention
    from fmd_otel_exporter.store import Store

_log = logging.getLogger("fmd_otel")

LEASE = "retention"
LEASE_S = 120
"""After this long without a sign of life another process goes on."""
LOOK_EVERY_S = 30.0
"""How often the others see whether it is time for that."""
EVERY_S = 3600
"""From the end of one run to the beginning of the next."""
REST = 2.0
"""How much longer than each step the rest after it is. SQLite lets those who wait look only now and then
whether it is their turn, so that an equal share would leave some of them unlucky for long."""
LONGEST_REST_S = 0.1
_US = 1_000_000


def at_leisure(
    steps: Iterator[Deleted], *, rest: Callable[[float], object] = time.sleep
) -> Iterator[Deleted]:
    """Go through all steps, and rest after each: most of the time is the others'."""
    began = time.monotonic()
    for step in steps:
        took = time.monotonic() - began
        yield step
        rest(min(REST * took, LONGEST_REST_S))
        began = time.monotonic()


class Maintainer:
    """One process's part in it: asks whether it is its turn, and if so, does a little whenever it is called.

    Whoever has finished a run keeps the lease until the next one is due, so that the others leave it alone as
    well; if that process is gone by then, one of them does it.
    """

    def __init__(
        self,
        retention: Retention,
        *,
        owner: str | None = None,
        clock: Callable[[], float] | None = None,
        timer: Callable[[], float] = time.monotonic,
        rest: Callable[[float], object] = time.sleep,
    ) -> None:
        """Prepare; nothing is asked or done.

        Args:
            retention: What is kept for how long.
            owner: Who this is; by default this process.
            clock: Tells the time, in seconds since the epoch; by default the database does.
            timer: Counts seconds.
            rest: Lets seconds pass.
        """
        self.deleted: Counter[str] = Counter()
        """Rows of each table deleted here so far."""
        self._retention = retention
        self._owner = owner
        self._clock = clock
        self._timer = timer
        self._doubt = Doubt(timer)
        self._rest = rest
        self._store: Store | None = None
        self._steps: Iterator[Deleted] | None = None
        self._next_look = 0.0
        self._renew_at = 0.0
        self._incident: str | None = None

    def work(self, store: Store, budget_s: float) -> bool:
        """Do what is due, for about so long; never raises.

        Returns:
            Whether there is more to do.
        """
        try:
            return self._work(store, budget_s)
        except Exception as exc:  # noqa: BLE001 # that old rows stay is no reason not to write new ones
            self._steps = None
            self._next_look = self._timer() + EVERY_S
            self._complain(exc)
            return False

    def _work(self, store: Store, budget_s: float) -> bool:
        began = self._timer()
        if store is not self._store:  # the database was closed, and perhaps replaced
            self._store, self._steps = store, None
        if self._steps is None:
            if began < self._next_look:
                return False
            self._next_look = began + LOOK_EVERY_S
            if self._clock is None and self._doubt.holds(store):
                return False
            if not self._hold(store, LEASE_S):
                return False
            self._steps = self._begin(store)
        elif began >= self._renew_at and not self._hold(store, LEASE_S):
            self._steps = None  # asleep for too long: another process has taken over
            return False
        return self._go_on(store, self._steps, began + budget_s)

    def _begin(self, store: Store) -> Iterator[Deleted]:
        now_us = self._now_us(store)
        cutoffs = self._retention.cutoffs(now_us)
        if store.dialect.forgets_itself:
            kept_days = self._retention.unsummed_days(store.tables)
            # It is for when nobody comes any more, and no reason not to delete what is old now.
            with suppress(StorageError, SQLAlchemyError):
                store.run(lambda connection: store.dialect.expire(connection, kept_days))
        if store.dialect.raw_by_day:
            cutoffs = cutoffs.by_day()
            request = store.tables.request
            with suppress(StorageError):  # in use just now: the days to come are not needed yet
                store.run(lambda connection: store.dialect.make_parts(connection, request, now_us))
        return prune(store, cutoffs)

    def _go_on(self, store: Store, steps: Iterator[Deleted], until: float) -> bool:
        at = self._timer()
        while True:
            step = next(steps, None)
            if step is None:
                self._steps = self._incident = None
                note_size(store, self._now_us(store))
                self._hold(store, EVERY_S)
                self._next_look = self._timer() + EVERY_S
                return False
            self.deleted[step.table] += step.rows
            done = self._timer()
            self._rest(max(min(REST * (done - at), until - done), 0.0))
            at = self._timer()
            if at >= until:
                return True

    def _hold(self, store: Store, for_s: int) -> bool:
        self._renew_at = self._timer() + for_s / 2
        owner = self._owner or lease.this_process()
        return lease.acquire(store, LEASE, owner, now_ts_us=self._now_us(store), for_us=for_s * _US)

    def _now_us(self, store: Store) -> int:
        return database_now_us(store) if self._clock is None else int(self._clock() * _US)

    def _complain(self, exc: Exception) -> None:
        text = str(exc) if isinstance(exc, StorageError) else f"{type(exc).__name__}: {exc}"
        if text != self._incident:
            self._incident = text
            _log.warning(
                "fmd-otel cannot delete what is older than the settings RETENTION_*_DAYS say: %s. "
                "It tries again in an hour.",
                text,
            )
