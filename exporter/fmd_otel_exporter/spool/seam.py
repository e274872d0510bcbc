"""The spool as the pipeline's worker knows it: it stands where :class:`.memory_spool.MemorySpool` stands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.spool.codec import Record
    from fmd_otel_exporter.spool.delivery import Batch
    from fmd_otel_exporter.spool.spool import Spool

R = TypeVar("R", bound="Record")


class DiskSpool(Generic[R]):
    """Carries the pipeline's four calls over to a :class:`.Spool` of records of one sort."""

    def __init__(self, spool: Spool) -> None:
        """Use a spool that is this pipeline's alone."""
        self.spool = spool
        self.put: Callable[[R], int] = spool.append
        self._batch: Batch | None = None

    def take(self, most: int) -> list[R]:  # noqa: ARG002 # a segment is a batch, and is never split
        """Return the batch not yet done, or the oldest one, or nothing."""
        self._batch = self.spool.next_batch()
        return cast("list[R]", self._batch.records) if self._batch is not None else []

    def done(self) -> None:
        """Forget the batch that was taken."""
        batch, self._batch = self._batch, None
        if batch is not None:
            self.spool.done(batch)

    def tend(self) -> None:
        """Look after the directory while no batch is asked for."""
        self.spool.tend()

    @property
    def refused(self) -> int:
        """Things handed over that were no requests, and were never accepted."""
        return self.spool.counters().rejected

    @property
    def place(self) -> str:
        """Say where requests wait, for a message."""
        return str(self.spool.directory)

    def close(self) -> None:
        """Leave what waits to the next process; call when nobody takes any more."""
        self._batch = None
        self.spool.close()

    def __len__(self) -> int:
        """Count the requests that wait, those taken but not done included."""
        return self.spool.counters().waiting

    @property
    def accepted(self) -> int:
        """Requests ever accepted in this process, or inherited from one that died."""
        counters = self.spool.counters()
        return counters.accepted + counters.adopted

    @property
    def settled(self) -> int:
        """Of these, the ones done or dropped."""
        counters = self.spool.counters()
        return counters.accepted + counters.adopted - counters.waiting

    @property
    def dropped(self) -> int:
        """Requests lost for want of space, or because their file was."""
        counters = self.spool.counters()
        return counters.dropped - counters.discarded
