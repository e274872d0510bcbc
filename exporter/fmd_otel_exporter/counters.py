"""What became of the requests handed over in this process: counted as it happens, read without a lock."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fmd_otel_exporter.detail_worker import DetailWorker
    from fmd_otel_exporter.memory_spool import Spool
    from fmd_otel_exporter.spool.status import SpoolCounters


class PipelineCounters(NamedTuple):
    """What happened in this process since it began, or was forked."""

    accepted: int
    """Requests, those inherited from dead processes included."""
    written: int
    replayed: int
    """Of dead processes, written by this one; the database may have had some of them already."""
    duplicate: int
    dropped: Mapping[str, int]
    """Requests that are lost, by the reason; only reasons there were."""
    details_accepted: int
    """Profiles, outliers, exceptions and traces, which are counted apart from requests."""
    details_written: int
    details_duplicate: int
    details_dropped: int
    """For want of space, or because nothing could hold them."""
    retries: int
    queue_depth: int
    """Requests that wait."""
    spool_bytes: int
    """What waits on disk."""
    batches: int
    batch_us: int
    """How long all of these took, from the first statement to the last of their files."""
    batch_last_us: int
    batch_max_us: int
    failures: Mapping[str, int]
    """How often something of ours, or a function of the user's, failed in a request, by the place."""
    last_error: str | None
    last_error_us: int | None

    @property
    def dropped_failed(self) -> int:
        """Requests that no row could hold."""
        return self.dropped.get("unwritable", 0) + self.dropped.get("refused", 0)

    @property
    def dropped_queue_full(self) -> int:
        """Requests that had to give way, or whose file was lost, while the database was away."""
        return sum(self.dropped.values()) - self.dropped_failed


NOTHING = PipelineCounters(
    accepted=0, written=0, replayed=0, duplicate=0, dropped={}, details_accepted=0, details_written=0,
    details_duplicate=0, details_dropped=0, retries=0, queue_depth=0, spool_bytes=0, batches=0, batch_us=0,
    batch_last_us=0, batch_max_us=0, failures={}, last_error=None, last_error_us=None,
)  # fmt: skip
"""Of a process that takes no requests."""


class BatchTimes:
    """How long batches took; kept by the thread that writes them."""

    def __init__(self) -> None:
        """Begin with none."""
        self.n = self.total_us = self.last_us = self.max_us = 0

    def took(self, seconds: float) -> None:
        """Count a batch."""
        self.last_us = round(seconds * 1_000_000)
        self.max_us = max(self.max_us, self.last_us)
        self.total_us += self.last_us
        self.n += 1


class Counted(Protocol):
    """The worker, as far as it counts."""

    written: int
    duplicate: int
    unwritable: int
    details: DetailWorker
    retries: int
    batches: BatchTimes
    last_error: str | None
    last_error_us: int | None


def counters_of(
    worker: Counted, spool: Spool[Any], details: Spool[Any], failures: Mapping[str, int]
) -> PipelineCounters:
    """Put together what a worker and its spools have counted."""
    counts = spool_counters(spool)
    reasons = {
        "spool_full": counts.dropped_full,
        "memory_full": counts.dropped_memory,
        "file_lost": counts.dropped_lost,
        "unwritable": worker.unwritable + counts.discarded,
        "refused": counts.rejected,
    }
    return PipelineCounters(
        accepted=counts.accepted + counts.adopted,
        written=worker.written,
        replayed=counts.replayed,
        duplicate=worker.duplicate,
        dropped={reason: n for reason, n in reasons.items() if n},
        details_accepted=details.accepted,
        details_written=worker.details.written,
        details_duplicate=worker.details.duplicate,
        details_dropped=details.dropped + details.refused + worker.details.unwritable,
        retries=worker.retries,
        queue_depth=counts.waiting,
        spool_bytes=counts.waiting_bytes,
        batches=worker.batches.n,
        batch_us=worker.batches.total_us,
        batch_last_us=worker.batches.last_us,
        batch_max_us=worker.batches.max_us,
        failures=failures,
        last_error=worker.last_error or counts.last_error,
        last_error_us=worker.last_error_us,
    )


def spool_counters(spool: Spool[Any]) -> SpoolCounters:
    """Return what a spool has counted, whichever it is."""
    from fmd_otel_exporter.spool.status import SpoolCounters  # noqa: PLC0415 # not at import

    on_disk = getattr(spool, "spool", None)
    if on_disk is not None:
        counters: SpoolCounters = on_disk.counters()
        return counters
    return SpoolCounters(accepted=spool.accepted, waiting=len(spool), dropped_memory=spool.dropped)


class Failures:
    """Where the failures of one process are counted, by those who have them; read when somebody asks."""

    def __init__(self) -> None:
        """Begin with nobody."""
        self._sources: list[Mapping[str, int]] = []
        self._before: Mapping[str, int] = {}

    def watch(self, counts: Mapping[str, int]) -> None:
        """Add the counts of somebody, who goes on counting there."""
        if not any(each is counts for each in self._sources):
            self._sources = [*self._sources, counts]

    def unwatch(self, counts: Mapping[str, int]) -> None:
        """Leave somebody's counts out from now on."""
        self._sources = [each for each in self._sources if each is not counts]

    def begin_anew(self) -> None:
        """Forget what was counted before this process was forked: the parent tells that."""
        self._before = self._sum()

    def read(self) -> dict[str, int]:
        """Return how often each place has failed."""
        before = self._before
        counts = {where: n - before.get(where, 0) for where, n in self._sum().items()}
        return {where: n for where, n in counts.items() if n > 0}

    def _sum(self) -> dict[str, int]:
        counts: dict[str, int] = {}
        for source in self._sources:
            for where in list(source):
                counts[where] = counts.get(where, 0) + source[where]
        return counts
