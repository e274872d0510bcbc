"""The part of the background thread that brings details of single requests into the database."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from fmd_otel_exporter.salvage import write_parts
from fmd_otel_exporter.tries import Tries

if TYPE_CHECKING:
    from fmd_otel_exporter.detail_writer import DetailWriter
    from fmd_otel_exporter.memory_spool import Spool
    from fmd_otel_exporter.profile_orders import ProfileOrders
    from fmd_otel_exporter.records import DetailRecord
    from fmd_otel_exporter.store import Store
    from fmd_otel_exporter.writer import Writer

_log = logging.getLogger("fmd_otel")
_MOST = 64


class DetailWorker:
    """Writes a batch whenever it is asked to, and keeps count; others only read the counters."""

    def __init__(self, spool: Spool[DetailRecord] | None = None, orders: ProfileOrders | None = None) -> None:
        """Prepare.

        Args:
            spool: Where details come from; None where there are none.
            orders: Kept up to date with what the dashboard orders.
        """
        self.written = self.duplicate = self.unwritable = 0
        self._spool = spool
        self._orders = orders
        self._writer: DetailWriter | None = None
        self._store: Store | None = None
        self._tries = Tries()

    @property
    def waiting(self) -> bool:
        """Whether there is anything to write."""
        return self._spool is not None and len(self._spool) > 0

    def write_next(self, store: Store, names: Writer) -> bool:
        """Write the oldest batch; tell whether there was one.

        Args:
            store: Where to.
            names: Knows the ids of endpoints, versions and users there.

        Raises:
            StorageError: The database cannot be used now; the batch stays.
        """
        batch = self._spool.take(_MOST) if self._spool is not None else []
        if self._spool is None or not batch:
            return False
        if self._writer is None or store is not self._store:
            from fmd_otel_exporter.detail_writer import DetailWriter  # noqa: PLC0415 # SQLAlchemy, first needed here

            self._store, self._writer = store, DetailWriter(store, names, tries=self._tries)
        results = list(write_parts(self._writer.write, batch, self._lose))
        store.require_in_place()
        for result in results:
            self.written += result.written
            self.duplicate += result.duplicate
        self._tries.forget()
        self._spool.done()
        return True

    def read_orders(self, store: Store) -> None:
        """Learn what is ordered.

        Raises:
            StorageError: The database cannot be read now.
        """
        from fmd_otel_exporter.catalog import load_profile_orders  # noqa: PLC0415 # SQLAlchemy, as below

        if self._orders is not None:
            self._orders.update(load_profile_orders(store))

    def tend(self) -> None:
        """See to what waits while the database is away."""
        if self._spool is not None:
            self._spool.tend()

    def close(self) -> None:
        """Leave what waits to the next process."""
        if self._spool is not None:
            self._spool.close()

    def _lose(self, record: DetailRecord, exc: Exception) -> None:
        if not self.unwritable:
            _log.warning(
                "fmd-otel drops a detail of a request that cannot be stored (%s: %s); further ones are only "
                "counted",
                type(record).__name__,
                exc,
            )
        self.unwritable += 1
