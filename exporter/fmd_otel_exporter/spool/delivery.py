"""The side of the spool that the consumer meets: batches, and the chores of the directory.

Belongs to one thread. Reads, writes and removes whole segments with the lock free.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fmd_otel_exporter.spool.codec import Record, UnknownLayoutError, decode, encode
from fmd_otel_exporter.spool.owner import ASIDE
from fmd_otel_exporter.spool.segment import Contents, frame, read_segment, write_segment

if TYPE_CHECKING:
    from pathlib import Path

    from fmd_otel_exporter.spool.backlog import Sealed
    from fmd_otel_exporter.spool.intake import Intake, SpoolLimits

_PATIENCE_S = 1.0
"""Longest the consumer waits for the lock: only a disk that hangs holds it longer."""
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR})
"""Errors of a process or machine that has too much open just now, and not of the file."""
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})
"""There is no such file. After any other error it may be read another time, by this process or the next."""


@dataclass(frozen=True)
class Batch:
    """Records that belong into one transaction."""

    key: str
    """Unique over all processes and time, and the same whenever this batch is formed again from its file."""
    records: list[Record]
    sealed: Sealed = field(repr=False, compare=False)


class Delivery:
    """Hands the batches of an :class:`.Intake` out, one at a time."""

    def __init__(self, intake: Intake, limits: SpoolLimits) -> None:
        """Deliver what this intake accepts, and what dead processes left in its directory."""
        self._intake = intake
        self._disk = intake.disk
        self._limits = limits
        self._scan_at = 0.0

    def tend(self) -> None:
        """Do what has to be done now and then, also while no batch is asked for."""
        intake = self._intake
        if intake.lock.acquire(timeout=_PATIENCE_S):
            try:
                intake.store_parked()
            finally:
                intake.lock.release()
        self._tend()
        intake.empty_trash()

    def next_batch(self) -> Batch | None:
        """Return the batch in work, or else the oldest one, or else None."""
        self._tend()
        intake = self._intake
        while True:
            if not intake.lock.acquire(timeout=_PATIENCE_S):
                return None
            try:
                intake.store_parked()
                sealed = intake.backlog.head()
                if sealed is None:
                    intake.seal_if_used()
                    sealed = intake.backlog.head()
            finally:
                intake.lock.release()
            intake.empty_trash()
            if sealed is None:
                return None
            if sealed.records is None:
                loaded = self._load(sealed)
                if loaded is None:
                    return None
                if not loaded:
                    continue
            if sealed.records:
                self._make_durable(sealed)
                return Batch(sealed.key, sealed.records, sealed)
            self._remove(sealed)
            self._forget(sealed)

    def finish(self, batch: Batch, outcome: str) -> None:
        """Remove a batch, and count its records under ``delivered`` or ``discarded``; again is no harm."""
        self._remove(batch.sealed)
        count = len(batch.records)
        if self._forget(batch.sealed):
            replayed = count if batch.sealed.adopted_from is not None and outcome == "delivered" else 0
            self._count(**{outcome: count}, replayed=replayed)

    def adopt(self, *, without_lock_file: bool = False) -> int:
        """Take over the segments of dead processes, and share the space anew; return how many were taken."""
        intake = self._intake
        segments = self._disk.inherit(without_lock_file=without_lock_file)
        with intake.lock:
            intake.adopt(segments)
        of_others, owners = self._disk.others()
        most = self._limits.max_bytes
        with intake.lock:
            intake.allowance = max(most // owners, most - of_others)
            if self._disk.crowded:
                # The rest of what dead processes left is older than ours: it gives way when it is taken over.
                intake.allowance = max(intake.allowance, intake.backlog.own_size())
            intake.drop(intake.backlog.cut_to_size(intake.allowance))
        intake.empty_trash()
        self._remove_forsaken()
        return len(segments)

    # Chores

    def _tend(self) -> None:
        intake, disk = self._intake, self._disk
        disk.report()
        if not disk.owner_is_intact():
            with intake.lock:
                intake.seal()
                disk.lose_owner()
        if disk.should_retry() and (segment := disk.retry()) is not None:
            with intake.lock:
                intake.seal()
                disk.recovered(segment)
        if disk.usable and intake.backlog.unsaved:
            self._save_memory()
        now = time.monotonic()
        if now >= self._scan_at:
            self._scan_at = now + self._limits.scan_interval_s
            self.adopt()
        while disk.may_inherit_more():
            self.adopt()
        self._remove_forsaken()
        if disk.spare_needed() and (spare := disk.make_spare()) is not None:
            with intake.lock:
                surplus = disk.keep_spare(spare)
            if surplus is not None:
                surplus.discard()
        disk.note_dropped(intake.counts.dropped)

    def _save_memory(self) -> None:
        """Write down what had to wait in memory."""
        intake = self._intake
        with intake.lock:
            segments = intake.backlog.unsaved_segments()
        for sealed in segments:
            path = self._disk.next_path()
            if path is None:
                return
            try:
                size = write_segment(path, (frame(*encode(record)) for record in sealed.records or ()))
            except OSError as error:
                with intake.lock:
                    self._disk.fail(error)
                return
            with intake.lock:
                kept = intake.backlog.saved(sealed, path, size)
            if not kept:
                path.unlink(missing_ok=True)

    def _remove_forsaken(self) -> None:
        while self._intake.forsaken:
            sealed = self._intake.forsaken.popleft()
            with contextlib.suppress(OSError):
                if sealed.path is not None:
                    sealed.path.unlink()
            self._disk.finished(sealed)

    # One segment

    def _load(self, sealed: Sealed) -> bool | None:
        """Read a segment; False if others have to come first, or it is lost, None if none can be just now."""
        path = sealed.path
        try:
            if path is None:
                raise FileNotFoundError(errno.ENOENT, "was never written")
            contents = read_segment(path)
        except OSError as error:
            if error.errno not in _GONE:
                self._disk.remark(
                    f"fmd-otel: spooled requests have to wait: {path}: {error.strerror or error}"
                )
                if error.errno in _PASSING:
                    return None
                with self._intake.lock:
                    self._intake.backlog.postpone(sealed, time.monotonic() + self._limits.retry_interval_s)
                return False
            self._disk.remark(f"fmd-otel: spooled requests are lost: {path}: {error.strerror or error}")
            self._count(dropped_lost=sealed.count)
            self._forget(sealed)
            return False
        if contents.newer:
            self._count(set_aside=1)
            with contextlib.suppress(OSError):
                path.replace(path.with_suffix(f".{ASIDE}"))
            self._forget(sealed)
            return False
        sealed.records, sealed.newer = _decode_all(contents)
        missing = sealed.count - len(sealed.records) - len(sealed.newer)
        self._count(
            damaged=contents.damaged,
            torn=int(contents.torn),
            set_aside=len(sealed.newer),
            dropped_lost=max(0, missing),
        )
        return True

    def _make_durable(self, sealed: Sealed) -> None:
        if self._limits.sync and sealed.path is not None:
            with contextlib.suppress(OSError):
                fd = os.open(sealed.path, os.O_RDONLY)
                try:
                    os.fdatasync(fd)
                finally:
                    os.close(fd)

    def _remove(self, sealed: Sealed) -> None:
        """Remove a segment's file, except for frames that a newer release may want."""
        path = sealed.path
        if path is None:
            return
        with contextlib.suppress(OSError):
            if sealed.newer:
                _set_aside(sealed, path)
            else:
                path.unlink()

    def _forget(self, sealed: Sealed) -> bool:
        with self._intake.lock:
            known = self._intake.backlog.finish(sealed)
            if known:
                self._intake.counts.settled += sealed.count
        if known:
            self._disk.finished(sealed)
        return known

    def _count(self, **amounts: int) -> None:
        counts = self._intake.counts
        with self._intake.lock:
            for name, amount in amounts.items():
                setattr(counts, name, getattr(counts, name) + amount)


def _decode_all(contents: Contents) -> tuple[list[Record], list[tuple[int, bytes]]]:
    records: list[Record] = []
    newer: list[tuple[int, bytes]] = []
    for kind, payload in contents.frames:
        try:
            records.append(decode(kind, payload))
        except UnknownLayoutError:  # noqa: PERF203 # costs nothing where nothing is raised
            newer.append((kind, payload))
    return records, newer


def _set_aside(sealed: Sealed, path: Path) -> None:
    """Keep only the frames that this release cannot read, in a file that later releases find.

    Killed in between, the next one does exactly the same again.
    """
    aside = path.with_suffix(f".{ASIDE}")
    if aside == path and not sealed.records:
        return  # that is all it held
    write_segment(aside, (frame(kind, payload) for kind, payload in sealed.newer))
    if aside != path:
        path.unlink()
