"""The directory behind a spool: opened late, watched, left when it fails and tried again.

Everything here that may wait for a disk runs on the consumer's thread, except opening the first segment and,
when requests arrive faster than the consumer comes round, the next one.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import time
from collections import deque
from typing import TYPE_CHECKING

from fmd_otel_exporter.spool.backlog import Sealed
from fmd_otel_exporter.spool.owner import ASIDE, SEGMENT, Entry, Owner, entries
from fmd_otel_exporter.spool.segment import SegmentFile, read_segment

if TYPE_CHECKING:
    from pathlib import Path

DIRECTORY_SETTING = "FMD_OTEL_SPOOL_DIR"

MOST_HEIRLOOMS = 32
"""Dead processes whose locks are held at a time, each an open file: the application needs some, too."""
REMIND_AFTER_S = 3600.0
_MOST_REMARKS = 100

_log = logging.getLogger("fmd_otel_exporter.spool")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EINVAL}


class Disk:
    """Owner of this process's segments in one directory, and heir of dead processes' ones."""

    def __init__(self, directory: Path | None, retry_interval_s: float, *, complains: bool = True) -> None:
        """Touch nothing yet.

        Args:
            directory: Where segments go; None keeps everything in memory, without complaint.
            retry_interval_s: How long a directory that failed is left alone.
            complains: Log that it failed.
        """
        self._complains = complains
        self.directory = directory
        self.error: str | None = None
        self._retry_interval_s = retry_interval_s
        self._failed_at: float | None = None
        self._unreported: deque[str] = deque()
        self._reported: dict[str, float] = {}
        self._owner: Owner | None = None
        self._heirlooms: dict[str, Owner] = {}
        self._left_alone: set[str] = set()
        self.crowded = False
        """More dead processes may have left something than could be taken over at a time."""
        self._spare: SegmentFile | None = None

    @property
    def usable(self) -> bool:
        """Whether the next segment would go to disk."""
        return self.directory is not None and self._failed_at is None

    # With the spool's lock held

    def open_segment(self) -> SegmentFile | None:
        """Return an empty segment, or None if records have to stay in memory for now."""
        if not self.usable:
            return None
        spare, self._spare = self._spare, None
        if spare is not None:
            return spare
        try:
            return self._new_segment()
        except FileNotFoundError:
            # The directory was removed under us: make it again, once.
            self.lose_owner()
        except OSError as error:
            self.fail(error)
            return None
        try:
            return self._new_segment()
        except OSError as error:
            self.fail(error)
            return None

    def fail(self, error: OSError) -> None:
        """Leave the directory alone for a while."""
        self._failed_at = time.monotonic()
        self.error = f"{self.directory}: {error.strerror or error}"
        if self._complains:
            self.remark(_complaint(self.directory, error))

    def remark(self, message: str) -> None:
        """Have the consumer log a warning, each text once an hour: logging may wait for a disk too."""
        now = time.monotonic()
        last = self._reported.get(message)
        if (last is None and len(self._reported) < _MOST_REMARKS) or (
            last is not None and now - last >= REMIND_AFTER_S
        ):
            self._reported[message] = now
            self._unreported.append(message)

    def lose_owner(self) -> None:
        """Give up a name whose lock file is gone: others could take our segments for a dead process's."""
        if self._spare is not None:
            self._spare.discard()
            self._spare = None
        if self._owner is not None:
            self._owner.forget()
            self._owner = None

    def abandon(self) -> None:
        """Let go of all that belongs to the parent process, whose copy this one is; its locks stay locked."""
        if self._spare is not None:
            self._spare.close()
        for owner in (self._owner, *self._heirlooms.values()):
            if owner is not None:
                owner.forget()

    def close(self) -> None:
        """Remove what is empty and give up all locks: the next process inherits the rest."""
        if self._spare is not None:
            self._spare.discard()
            self._spare = None
        for owner in (self._owner, *self._heirlooms.values()):
            if owner is not None:
                owner.release()
        self._owner = None
        self._heirlooms.clear()

    # By the consumer, with the lock free

    def report(self) -> None:
        """Log what went wrong."""
        while self._unreported:
            _log.warning("%s", self._unreported.popleft())

    def should_retry(self) -> bool:
        """Tell whether the directory failed long enough ago."""
        return self._failed_at is not None and time.monotonic() - self._failed_at >= self._retry_interval_s

    def retry(self) -> SegmentFile | None:
        """Try to make a segment in a directory that failed; None if it still fails."""
        try:
            if self._owner is not None and not self._owner.is_intact():
                self.lose_owner()
            segment = self._new_segment()
            try:
                segment.probe()
            except OSError:
                segment.discard()
                raise
        except OSError as error:
            self.fail(error)
            return None
        return segment

    def recovered(self, segment: SegmentFile) -> None:
        """Use the directory again, beginning with this segment."""
        if self._spare is not None:  # opened ahead before it failed
            self._spare.discard()
        self._spare = segment
        self._failed_at = None
        self.error = None
        if self._complains:
            _log.info("fmd-otel: the spool directory %s works again", self.directory)

    def spare_needed(self) -> bool:
        """Tell whether a segment should be opened ahead, sparing a request the work."""
        return self.usable and self._owner is not None and self._spare is None

    def make_spare(self) -> SegmentFile | None:
        """Open a segment ahead; None if that fails, which the next request will notice too."""
        owner = self._owner  # may be given up meanwhile
        with contextlib.suppress(OSError):
            if owner is not None:
                return SegmentFile(owner.next_segment())
        return None

    def keep_spare(self, segment: SegmentFile) -> SegmentFile | None:
        """Store a segment opened ahead; return it if there is one already."""
        if self._spare is not None or not self.usable:
            return segment
        self._spare = segment
        return None

    def owner_is_intact(self) -> bool:
        """Tell whether our lock file is where others look for it."""
        return self._owner is None or self._owner.is_intact()

    def note_dropped(self, count: int) -> None:
        """Let whoever looks at the directory know how many records were dropped."""
        if self._owner is not None and self.usable:
            self._owner.note_dropped(count)

    def next_path(self) -> Path | None:
        """Return a path for a whole segment; None without an owner."""
        return self._owner.next_segment() if self._owner is not None else None

    def may_inherit_more(self) -> bool:
        """Tell whether it is time for those for whom there was no room."""
        return self.crowded and not self._heirlooms

    def inherit(self, *, without_lock_file: bool = False) -> list[Sealed]:
        """Take the locks of dead processes and return their segments, oldest first; some another time."""
        self.crowded = False
        if self.directory is None:
            return []
        known = self._names() | self._left_alone
        names: deque[str] = deque()
        with contextlib.suppress(OSError):
            names.extend(name for name in _oldest_first(self.directory) if name not in known)
        segments: list[Sealed] = []
        while names and not self.crowded:
            adopted: dict[str, Owner] = {}
            while names and len(self._heirlooms) + len(adopted) < MOST_HEIRLOOMS:
                name = names.popleft()
                owner = Owner.adopt(self.directory, name, without_lock_file=without_lock_file)
                if owner is not None:
                    adopted[name] = owner
            # Only now, locked, does nobody change them.
            segments += _segments_of(self.directory, adopted) if adopted else ()
            for owner in adopted.values():
                if owner.unfinished:
                    self._heirlooms[owner.name] = owner
                else:
                    owner.release()
            self.crowded = bool(names) and len(self._heirlooms) >= MOST_HEIRLOOMS
        return segments

    def finished(self, sealed: Sealed) -> None:
        """Give up an adopted owner once its last segment is out of the way."""
        owner = sealed.adopted_from
        if owner is None:
            return
        owner.unfinished -= 1
        if owner.unfinished <= 0:
            self._heirlooms.pop(owner.name, None)
            if not owner.unreadable:
                # What could not be removed, or waits for a newer release, would be adopted over and over.
                self._left_alone.add(owner.name)
            owner.release()

    def others(self) -> tuple[int, int]:
        """Return the bytes of segments that belong to other processes, and the number of all owners."""
        size = 0
        ours = self._names()
        owners = set(ours)
        if self.directory is not None:
            with contextlib.suppress(OSError):
                for entry in entries(self.directory):
                    owners.add(entry.owner)
                    if entry.kind and entry.owner not in ours:
                        with contextlib.suppress(OSError):
                            size += entry.path.stat().st_size
        return size, max(1, len(owners))

    def _names(self) -> set[str]:
        """Return the owners whose segments are in our backlog."""
        return {*self._heirlooms} | ({self._owner.name} if self._owner is not None else set())

    def _new_segment(self) -> SegmentFile:
        if self.directory is None:
            raise FileNotFoundError(errno.ENOENT, "no spool directory")
        if self._owner is None:
            self._owner = Owner.create(self.directory)
        return SegmentFile(self._owner.next_segment())


def _oldest_first(directory: Path) -> list[str]:
    """Return the owners found there: those with a lock only, then by when they wrote last.

    Raises:
        OSError: The directory cannot be read.
    """
    written_at: dict[str, float] = {}
    for entry in entries(directory):
        at = 0.0
        if entry.kind:
            with contextlib.suppress(OSError):  # gone meanwhile
                at = entry.path.stat().st_mtime
        written_at[entry.owner] = max(written_at.get(entry.owner, 0.0), at)
    return sorted(written_at, key=written_at.__getitem__)


def _segments_of(directory: Path, owners: dict[str, Owner]) -> list[Sealed]:
    """Return the segments of some owners, the process first that wrote last the longest ago."""
    found: list[Entry] = []
    with contextlib.suppress(OSError):
        found = [entry for entry in entries(directory) if entry.kind and entry.owner in owners]
    segments: list[tuple[Owner, Sealed]] = []
    written_at: dict[str, float] = {}
    for entry in found:
        if entry.kind not in {SEGMENT, ASIDE}:
            with contextlib.suppress(OSError):
                entry.path.unlink()  # half of something that was to be renamed when whole
            continue
        owner = owners[entry.owner]
        owner.adopted.append(entry.path)  # also what cannot be read just now: it still needs the lock
        try:
            stat = entry.path.stat()
            count = len(read_segment(entry.path).frames)
        except FileNotFoundError:
            continue
        except OSError:
            owner.unreadable = True
            continue
        owner.unfinished += 1
        written_at[entry.owner] = max(written_at.get(entry.owner, 0.0), stat.st_mtime)
        segments.append(
            (owner, Sealed(entry.path.name, entry.path, None, count, stat.st_size, adopted_from=owner))
        )
    segments.sort(key=lambda pair: written_at[pair[0].name])  # stable: within an owner the order of the names
    return [sealed for _, sealed in segments]


def _complaint(directory: Path | None, error: OSError) -> str:
    reason = error.strerror or str(error)
    another = f"name another directory with {DIRECTORY_SETTING}"
    if error.errno in _FULL:
        remedy = f"Free some space there, or {another}."
    elif error.errno in _NO_LOCKS:
        remedy = f"Its file system has no file locks: {another}, on a local disk."
    else:
        remedy = f"Make it a directory that this user can write, or {another}."
    return (
        f"fmd-otel: requests cannot be spooled in {directory} ({reason}). Until that works a limited number "
        f"of them waits in memory, and would be lost if this process died. {remedy}"
    )
