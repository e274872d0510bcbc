"""The spool of one process: what :meth:`Spool.append` has accepted survives the process.

A sealed segment is a batch, so the boundaries of a batch are on disk before its transaction begins, and
whoever reads the segment again, after any crash, forms the same batch with the same records in the same
order. A database that remembers the batches it has seen, by :attr:`.Batch.key` or by a hash of the records,
thus stores each record once.
"""

from __future__ import annotations

import os
import weakref
from dataclasses import asdict
from typing import TYPE_CHECKING, NamedTuple

from fmd_otel_exporter.spool.delivery import Batch, Delivery
from fmd_otel_exporter.spool.disk import Disk
from fmd_otel_exporter.spool.intake import Intake, SpoolLimits
from fmd_otel_exporter.spool.status import SpoolCounters, SpoolStatus, inspect

if TYPE_CHECKING:
    from pathlib import Path

    from fmd_otel_exporter.spool.codec import Record

_DEFAULT_LIMITS = SpoolLimits()


class _Life(NamedTuple):
    """All that must not be shared with a forked process."""

    pid: int
    disk: Disk
    intake: Intake
    delivery: Delivery


class Spool:
    """Any number of threads append; one thread takes batches and reports them done.

    Nothing is opened before the first record. No lock is held while a segment is read, synced, removed or
    adopted.
    """

    def __init__(self, directory: Path | None, limits: SpoolLimits = _DEFAULT_LIMITS) -> None:
        """Touch nothing yet.

        Args:
            directory: See :func:`.place.spool_directory`; None keeps records in memory.
            limits: How much to keep.
        """
        self.directory = directory
        self.limits = limits
        self._watches_forks = False
        self._life = self._new_life()
        self._lives = {self._life.pid: self._life}

    # Any thread

    def append(self, record: Record) -> int:
        """Accept a record: from now on it outlives this process.

        Never raises. If another thread's write hangs, the record is parked in memory for the consumer to
        store.

        Returns:
            How many records this process has accepted, this one included, or 0 if this one was parked or
            refused.
        """
        life = self._life
        if life.pid != os.getpid():
            life = self._start_over()
        if not self._watches_forks:
            self._watch_forks()
        return life.intake.accept(record)

    def counters(self) -> SpoolCounters:
        """Return what happened so far in this process."""
        life = self._life
        intake = life.intake
        values = asdict(intake.counts)
        settled = values.pop("settled")
        parked = len(intake.parked)
        values["accepted"] += parked
        values["rejected"] += intake.refused()
        return SpoolCounters(
            **values,
            waiting=max(0, values["accepted"] + values["adopted"] - settled),
            waiting_bytes=intake.own_size(),
            in_memory=self.directory is not None and not life.disk.usable,
            last_error=life.disk.error,
        )

    def status(self) -> SpoolStatus:
        """Return what is on disk, of all processes; reads every segment."""
        return inspect(self.directory, self.counters())

    # The consumer's thread

    def next_batch(self) -> Batch | None:
        """Return the oldest batch or None, and the same one again until it is done or discarded.

        A batch is a segment as it was sealed, whoever sealed it: of at most ``batch_size`` records, unless
        that was larger when the segment was written.
        """
        return self._alive().delivery.next_batch()

    def done(self, batch: Batch) -> None:
        """Forget a batch that is in the database. Telling it twice, or late, does no harm."""
        self._alive().delivery.finish(batch, "delivered")

    def discard(self, batch: Batch) -> None:
        """Give up a batch that the database will never take, and count its records as lost."""
        self._alive().delivery.finish(batch, "discarded")

    def tend(self) -> None:
        """Look after the directory, and log what is amiss; :meth:`next_batch` does this, too.

        For whoever cannot take batches just now: a directory that works again is used again, and what waits
        in memory only is written down.
        """
        self._alive().delivery.tend()

    def adopt(self, *, without_lock_file: bool = False) -> int:
        """Take over the segments of dead processes now; return how many. Happens by itself every few seconds.

        Args:
            without_lock_file: Also those whose lock file somebody deleted; only if no process uses the
                directory.
        """
        return self._alive().delivery.adopt(without_lock_file=without_lock_file)

    def close(self) -> None:
        """Give up the directory; the next process inherits what waits. Appending afterwards begins anew."""
        life = self._alive()
        with life.intake.lock:
            life.intake.leave()
        life.intake.empty_trash()
        life.disk.report()
        life.disk.close()

    # Forks

    def _new_life(self) -> _Life:
        disk = Disk(self.directory, self.limits.retry_interval_s, complains=self.limits.complains)
        intake = Intake(disk, self.limits)
        return _Life(os.getpid(), disk, intake, Delivery(intake, self.limits))

    def _alive(self) -> _Life:
        return self._life if self._life.pid == os.getpid() else self._start_over()

    def _start_over(self) -> _Life:
        """Become a spool of this process: the parent keeps its segments, its lock and its counts."""
        parents, pid = self._life, os.getpid()
        if parents.pid == pid:
            return parents
        # Takes no lock: a finaliser that appends may get in here again.
        ours = self._new_life()
        life = self._lives.setdefault(pid, ours)
        if life is ours:
            parents.intake.abandon()
            parents.disk.abandon()
            self._life = ours
            self._lives.pop(parents.pid, None)
        return life

    def _watch_forks(self) -> None:
        """Notice a fork even in a child that never appends: its copy of the lock would outlive the parent.

        Servers that fork without telling Python (uWSGI, by default) are noticed by the process id, at the
        next call.
        """
        self._watches_forks = True
        if hasattr(os, "register_at_fork"):
            method = weakref.WeakMethod(self._alive)

            def after_fork() -> None:
                alive = method()
                if alive is not None:
                    alive()

            os.register_at_fork(after_in_child=after_fork)
