"""The side of the spool that requests meet: one short lock, one write, nothing that can raise."""

from __future__ import annotations

import contextlib
import secrets
from collections import deque
from dataclasses import dataclass, field
from threading import get_ident
from typing import TYPE_CHECKING

from fmd_otel_exporter.native import allocate_lock
from fmd_otel_exporter.spool.backlog import Backlog, Sealed
from fmd_otel_exporter.spool.codec import Record, encode
from fmd_otel_exporter.spool.segment import SegmentFile, frame

if TYPE_CHECKING:
    from pathlib import Path

    from fmd_otel_exporter.spool.disk import Disk

SEGMENT_BYTES = 1024 * 1024
"""A segment of few but huge records ends here: what is dropped at once stays small."""
PATIENCE_S = 0.2
"""Longest a request waits for another thread's append, should a disk hang; then its record is parked, and
those after it are parked at once until that append returns."""
MOST_PARKED = 8192
"""Records that may wait for a write that hangs; further ones are refused, and counted."""


@dataclass(frozen=True)
class SpoolLimits:
    """How much a spool keeps, and how often it looks around."""

    batch_size: int = 512
    """Records after which a segment is sealed."""
    max_bytes: int = 64 * 1024 * 1024
    """Most bytes of all sealed segments in the directory, those of other processes included. Each process
    drops its own oldest batches for it, but is never pushed below an equal share."""
    memory_records: int = 8192
    """Most records kept in memory while the directory cannot be used."""
    parked_records: int = MOST_PARKED
    """Most records whose threads could not wait for another's append."""
    sync: bool = False
    """Wait for the disk before a batch is handed out, so that not even a power cut can change it any more."""
    scan_interval_s: float = 5.0
    """How often to look for segments of dead processes."""
    retry_interval_s: float = 30.0
    """How long to leave a directory alone that cannot be used."""
    complains: bool = True
    """Log that the directory cannot be used; not where another spool in the same place says so."""


@dataclass
class Counts:
    """What happened so far; changed with the lock held, and only ever upwards."""

    accepted: int = 0
    adopted: int = 0
    settled: int = 0
    """Records accepted or adopted that need no more work, whatever became of them."""
    delivered: int = 0
    replayed: int = 0
    dropped_full: int = 0
    dropped_memory: int = 0
    dropped_lost: int = 0
    discarded: int = 0
    rejected: int = 0
    damaged: int = 0
    torn: int = 0
    set_aside: int = 0

    @property
    def dropped(self) -> int:
        """All records accepted once and lost since, for whatever reason."""
        return self.dropped_full + self.dropped_memory + self.dropped_lost + self.discarded


@dataclass
class _Active:
    """The segment that grows."""

    file: SegmentFile | None
    """None: in memory only."""
    records: list[Record] = field(default_factory=list)


class Intake:
    """Accepts records of one process; :mod:`.delivery` takes them from its backlog."""

    def __init__(self, disk: Disk, limits: SpoolLimits) -> None:
        """Start empty; the first record opens the first segment."""
        self.disk = disk
        # A real lock also under gevent: the consumer is a real thread, and no greenlet switches while it is
        # held.
        self.lock = allocate_lock()
        self.backlog = Backlog(limits.memory_records)
        self.counts = Counts()
        self.allowance = limits.max_bytes
        """Bytes that our segments may take, given those of others."""
        self.forsaken: deque[Sealed] = deque()
        """Adopted segments dropped for space; the consumer removes them."""
        self.parked: deque[tuple[Record, bytes]] = deque()
        """Records whose thread could not wait for the lock; the consumer stores them. Deques need no lock."""
        self._refused: deque[None] = deque(maxlen=100_000)  # one for each record rejected and not counted yet
        self._memory_records = limits.memory_records
        self._parked_records = limits.parked_records
        self._batch_size = max(1, min(limits.batch_size, limits.memory_records))
        self._holder: int | None = None
        self._hangs = False
        self._active: _Active | None = None
        self._trash: deque[Path] = deque()

    def accept(self, record: Record) -> int:
        """Store a record; see :meth:`.Spool.append`."""
        try:
            data = frame(*encode(record))
        except Exception:  # noqa: BLE001 # whatever a field of a wrong type raises
            self._refused.append(None)
            return 0
        lock = self.lock
        # A finaliser or a signal handler may get here while this very thread is at it: waiting would be in
        # vain.
        if not lock.acquire(False) and (  # noqa: FBT003 # a C function
            self._hangs or self._holder == get_ident() or not lock.acquire(True, PATIENCE_S)  # noqa: FBT003
        ):
            self._hangs = self._holder != get_ident()
            return self._park(record, data)
        self._holder = get_ident()
        try:
            self.store(record, data)
            number = self.counts.accepted
        except Exception as error:  # noqa: BLE001 # nothing of ours may reach a request
            self._refused.append(None)
            self.disk.remark(f"fmd-otel: a request could not be spooled ({error!r}); please report this")
            return 0
        finally:
            self._holder = None
            self._hangs = False
            lock.release()
        if self._trash:
            self.empty_trash()
        return number

    def _park(self, record: Record, data: bytes) -> int:
        if len(self.parked) < self._parked_records:
            self.parked.append((record, data))
        else:
            self._refused.append(None)
        return 0

    # With the lock held

    def store(self, record: Record, data: bytes) -> None:
        """Append a record to the active segment, and seal it when it is full."""
        active = self._active or self._open()
        file = active.file
        if file is not None:
            try:
                file.append(data)
            except OSError as error:
                self.disk.fail(error)
                self.seal()
                active = self._active = _Active(None)
                file = None
        active.records.append(record)
        self.counts.accepted += 1
        if file is None:
            self.drop(self.backlog.cut_to_memory(len(active.records)))
        if len(active.records) >= self._batch_size or (file is not None and file.size >= SEGMENT_BYTES):
            self.seal()

    def store_parked(self) -> None:
        """Store what could not be stored at once, and count what was refused."""
        while self.parked:
            self.store(*self.parked.popleft())
        while self._refused:
            self._refused.pop()
            self.counts.rejected += 1

    def seal(self) -> None:
        """End the active segment, if there is one: it is a batch now."""
        active, self._active = self._active, None
        if active is None:
            return
        file, records = active.file, active.records
        if file is None:
            self.drop(self.backlog.cut_to_memory(len(records)))
            self.backlog.add(Sealed(f"memory-{secrets.token_hex(8)}", None, records, len(records)))
            return
        sealed = Sealed(file.path.name, file.path, records, len(records), file.size)
        if not file.is_whole():
            sealed.records = None  # read what is really there
        file.close()
        self.backlog.add(sealed)
        self.drop(self.backlog.cut_to_size(self.allowance))

    def seal_if_used(self) -> None:
        """End the active segment if it has any records."""
        if self._active is not None and self._active.records:
            self.seal()

    def adopt(self, segments: list[Sealed]) -> None:
        """Queue segments of dead processes, behind all that was accepted here before."""
        if segments:
            self.seal_if_used()
            self.backlog.adopt(segments)
            self.counts.adopted += sum(sealed.count for sealed in segments)

    def drop(self, segments: list[Sealed]) -> None:
        """Count segments that had to give way; their files are removed when the lock is free."""
        for sealed in segments:
            self.counts.settled += sealed.count
            if sealed.path is None:
                self.counts.dropped_memory += sealed.count
                continue
            self.counts.dropped_full += sealed.count
            if sealed.adopted_from is None:
                self._trash.append(sealed.path)
            else:
                self.forsaken.append(sealed)

    def own_size(self) -> int:
        """Return the bytes of all our segments."""
        active = self._active
        return self.backlog.size + (active.file.size if active is not None and active.file is not None else 0)

    def leave(self) -> None:
        """End the active segment, and leave everything on disk to the next process."""
        self.store_parked()
        active = self._active
        if active is not None and active.file is not None and not active.records:
            active.file.close()
            self._trash.append(active.file.path)
            self._active = None
        self.seal()
        self.counts.dropped_memory += self.backlog.unsaved
        self.counts.settled = self.counts.accepted + self.counts.adopted
        self.backlog = Backlog(self._memory_records)

    # With the lock free

    def empty_trash(self) -> None:
        """Remove the files of segments that were dropped."""
        with contextlib.suppress(IndexError):  # another thread was quicker
            while self._trash:
                with contextlib.suppress(OSError):
                    self._trash.popleft().unlink()

    def refused(self) -> int:
        """Return how many rejected records are not among the counts yet."""
        return len(self._refused)

    def abandon(self) -> None:
        """Close the active segment of the parent process, whose copy this one is; it still writes there."""
        if self._active is not None and self._active.file is not None:
            self._active.file.close()

    def _open(self) -> _Active:
        self._active = _Active(self.disk.open_segment())
        return self._active
