"""Bring into the database what dead processes left, on somebody's command."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_exporter.spool.intake import SpoolLimits
from fmd_otel_exporter.spool.spool import Spool

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fmd_otel_exporter.spool.codec import Record
    from fmd_otel_exporter.spool.status import SpoolCounters

_ALL = SpoolLimits(max_bytes=sys.maxsize)
"""However much there is, and whatever bound the processes had that left it: nothing is dropped for space."""


class Progress(NamedTuple):
    """How far a replay has come."""

    done: int
    total: int


def replay(
    directory: Path,
    write: Callable[[Sequence[Record]], object],
    *,
    without_lock_file: bool = False,
    progress: Callable[[Progress], object] | None = None,
) -> SpoolCounters:
    """Write all batches that no living process owns; return what was found and done.

    Whatever ``write`` raises ends the replay and is raised here; the batch it was about stays in the spool.

    Args:
        directory: See :func:`.place.spool_directory`.
        write: Puts a batch into the database, in one transaction that recognises a batch it has seen.
        without_lock_file: Also write segments whose lock file somebody deleted; only if no process uses the
            directory.
        progress: Told after every batch.
    """
    spool = Spool(directory, _ALL)
    try:
        while spool.adopt(without_lock_file=without_lock_file):  # not all of them at a time
            while batch := spool.next_batch():
                write(batch.records)
                spool.done(batch)
                if progress is not None:
                    counters = spool.counters()
                    progress(Progress(counters.delivered, counters.adopted))
        return spool.counters()
    finally:
        spool.close()
