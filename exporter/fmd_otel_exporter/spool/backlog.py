"""Sealed segments that wait for the database, oldest first, within their bounds."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from fmd_otel_exporter.spool.codec import Record
    from fmd_otel_exporter.spool.owner import Owner


@dataclass(eq=False)
class Sealed:
    """A segment that nobody appends to any more: one batch, the same one however often it is read."""

    key: str
    """Unique over all processes and time; the name of the file."""
    path: Path | None
    """None while it exists in memory only."""
    records: list[Record] | None
    """None until read from the file."""
    count: int
    """How many records were accepted into it, or found in it when it was adopted."""
    size: int = 0
    """Bytes on disk."""
    adopted_from: Owner | None = None
    newer: list[tuple[int, bytes]] = field(default_factory=list)
    """Whole frames that mean nothing to this release."""
    not_before: float = 0.0
    """When to try again to read it, by the monotonic clock."""


class Backlog:
    """The queue between request threads and the one that writes; its caller holds the lock."""

    def __init__(self, memory_records: int) -> None:
        """Start empty.

        Args:
            memory_records: Most records kept in memory, as the only copy or to spare reading them again.
        """
        self.size = 0
        """Bytes on disk, the batch in work included."""
        self.unsaved = 0
        """Records that exist in memory only, the batch in work included."""
        self._memory_records = memory_records
        self._queue: deque[Sealed] = deque()
        self._in_work: Sealed | None = None
        self._cached = 0  # records in memory that are on disk as well, the batch in work excluded

    def __bool__(self) -> bool:
        """Tell whether anything waits or is in work."""
        return self._in_work is not None or bool(self._queue)

    def add(self, sealed: Sealed) -> None:
        """Append a segment just sealed."""
        count = len(sealed.records or ())
        if sealed.path is None:
            self.unsaved += count
        elif self._cached + self.unsaved + count > self._memory_records:
            sealed.records = None
        else:
            self._cached += count
        self.size += sealed.size
        self._queue.append(sealed)

    def adopt(self, segments: Iterable[Sealed]) -> None:
        """Append the segments of dead processes: what this process accepted before keeps its place."""
        for sealed in segments:
            self.size += sealed.size
            self._queue.append(sealed)

    def head(self) -> Sealed | None:
        """Return the segment in work: the one returned last until it is finished, then the oldest.

        Those that could not be read a moment ago let others pass.
        """
        if self._in_work is None and self._queue:
            now = time.monotonic()
            ready = next((waiting for waiting in self._queue if waiting.not_before <= now), None)
            if ready is not None:
                self._queue.remove(ready)
                self._uncache(ready)
                self._in_work = ready
        return self._in_work

    def postpone(self, sealed: Sealed, until: float) -> None:
        """Put the segment in work back: its file cannot be read, and maybe can later on."""
        if sealed is self._in_work:
            self._in_work = None
            sealed.not_before = until
            self._queue.appendleft(sealed)

    def finish(self, sealed: Sealed) -> bool:
        """Forget the segment in work; False if it is another one."""
        if sealed is not self._in_work:
            return False
        self._in_work = None
        self._gone(sealed)
        return True

    def own_size(self) -> int:
        """Return the bytes on disk that are not of dead processes."""
        return self.size - sum(
            sealed.size for sealed in (self._in_work, *self._queue) if sealed and sealed.adopted_from
        )

    def unsaved_segments(self) -> list[Sealed]:
        """Return the waiting segments that exist in memory only.

        Not the one in work: the database may know it by the key it has, and on disk it would get another.
        """
        return [sealed for sealed in self._queue if sealed.path is None]

    def saved(self, sealed: Sealed, path: Path, size: int) -> bool:
        """Note that a segment is on disk now; False if it no longer waits."""
        if sealed not in self._queue:
            return False
        count = len(sealed.records or ())
        self.unsaved -= count
        self._cached += count
        sealed.key = path.name
        sealed.path = path
        sealed.size = size
        self.size += size
        return True

    def cut_to_size(self, limit: int) -> list[Sealed]:
        """Take out the oldest segments on disk until no more than ``limit`` bytes are left.

        Those of dead processes are older than ours. Never the one in work: it may be in the database already,
        or be about to be.
        """
        dropped = self._cut(lambda: self.size > limit, lambda waiting: waiting.adopted_from is not None)
        return dropped + self._cut(lambda: self.size > limit, lambda waiting: waiting.path is not None)

    def cut_to_memory(self, more: int) -> list[Sealed]:
        """Take out the oldest segments in memory until ``more`` records fit beside them."""
        return self._cut(
            lambda: self.unsaved + more > self._memory_records, lambda waiting: waiting.path is None
        )

    def _cut(self, too_much: Callable[[], bool], eligible: Callable[[Sealed], bool]) -> list[Sealed]:
        dropped: list[Sealed] = []
        while too_much():
            sealed = next(filter(eligible, self._queue), None)
            if sealed is None:
                break
            self._queue.remove(sealed)
            self._uncache(sealed)
            self._gone(sealed)
            dropped.append(sealed)
        return dropped

    def _uncache(self, sealed: Sealed) -> None:
        if sealed.path is not None and sealed.records is not None:
            self._cached -= len(sealed.records)

    def _gone(self, sealed: Sealed) -> None:
        self.size -= sealed.size
        if sealed.path is None:
            self.unsaved -= len(sealed.records or ())
