"""What a spool holds, told to people: for counters, a health badge and a command line."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fmd_otel_exporter.spool.codec import KIND_NAMES
from fmd_otel_exporter.spool.owner import describe, entries, is_alive
from fmd_otel_exporter.spool.segment import read_segment

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class SpoolCounters:
    """What one process did since it started.

    Every record accepted or adopted is delivered, waiting, dropped or set aside, or was left to the next
    process when the spool was closed.
    """

    accepted: int = 0
    adopted: int = 0
    """Records found in segments of dead processes."""
    delivered: int = 0
    """Records of batches reported as done, those of dead processes included."""
    replayed: int = 0
    """Of these, the ones of dead processes; the database may have had them already."""
    waiting: int = 0
    waiting_bytes: int = 0
    """On disk."""
    dropped_full: int = 0
    """The oldest, because the spool had reached its size."""
    dropped_memory: int = 0
    """Those that could only wait in memory, and there were too many, or the process ended."""
    dropped_lost: int = 0
    """Their file was gone or could not be read when their turn came."""
    discarded: int = 0
    """Given up by the writer, because no database would take them."""
    rejected: int = 0
    """Never accepted: a field of the wrong type, or out of range."""
    damaged: int = 0
    """Damaged stretches found in segments; what they held is lost."""
    torn: int = 0
    """Last frames cut off by a kill, never acknowledged."""
    set_aside: int = 0
    """Records written by a newer release, kept in their file for it."""
    in_memory: bool = False
    """True while records wait in memory because the directory cannot be used."""
    last_error: str | None = None

    @property
    def dropped(self) -> int:
        """All records accepted once and lost since, for whatever reason."""
        return self.dropped_full + self.dropped_memory + self.dropped_lost + self.discarded


@dataclass(frozen=True)
class OwnerStatus:
    """The segments of one process, living or dead."""

    name: str
    alive: bool | None
    """None if its lock file is missing: then only a person can know."""
    pid: int | None
    host: str | None
    segments: int
    bytes: int
    records: int
    kinds: dict[str, int]
    """The same records, by what they are."""
    set_aside: int
    """Records that wait for a newer release."""
    dropped: int
    """Records that this process has had to drop since it started."""
    oldest_age_s: float | None
    unreadable: int = 0
    """Segments that could not be read just now."""


@dataclass(frozen=True)
class SpoolStatus:
    """Everything in a spool directory."""

    directory: Path | None
    owners: tuple[OwnerStatus, ...] = ()
    error: str | None = None
    """Why the directory could not be read."""
    counters: SpoolCounters = field(default_factory=SpoolCounters)
    """Of the process that asked; all zero for one that only looks."""

    def beside(self, other: SpoolStatus) -> SpoolStatus:
        """Return both as one: each process once, under the name that it has here."""
        theirs: defaultdict[tuple[object, ...], list[OwnerStatus]] = defaultdict(list)
        for owner in other.owners:
            theirs[_process_of(owner)].append(owner)
        owners = []
        for owner in self.owners:
            # Several may have one host name and process id: containers, one after the other.
            same = theirs[_process_of(owner)]
            owners.append(_beside(owner, same.pop(0)) if same else owner)
        owners += [owner for same in theirs.values() for owner in same]
        return replace(self, owners=tuple(owners), error=self.error or other.error)

    @property
    def segments(self) -> int:
        """Number of segment files."""
        return sum(owner.segments for owner in self.owners)

    @property
    def bytes(self) -> int:
        """Size of all segment files."""
        return sum(owner.bytes for owner in self.owners)

    @property
    def records(self) -> int:
        """Records on disk."""
        return sum(owner.records for owner in self.owners)

    @property
    def kinds(self) -> dict[str, int]:
        """The same records, by what they are."""
        kinds: Counter[str] = Counter()
        for owner in self.owners:
            kinds.update(owner.kinds)
        return dict(kinds)

    @property
    def set_aside(self) -> int:
        """Records that wait for a newer release."""
        return sum(owner.set_aside for owner in self.owners)

    @property
    def unreadable(self) -> int:
        """Segments that could not be read just now."""
        return sum(owner.unreadable for owner in self.owners)

    @property
    def dropped(self) -> int:
        """Records that the processes here have had to drop."""
        return sum(owner.dropped for owner in self.owners)

    @property
    def oldest_age_s(self) -> float | None:
        """Seconds since the oldest segment was written last; None for an empty spool."""
        return max(
            (owner.oldest_age_s for owner in self.owners if owner.oldest_age_s is not None), default=None
        )


def _process_of(owner: OwnerStatus) -> tuple[object, ...]:
    return owner.pid or owner.name, owner.host, owner.alive


def _beside(one: OwnerStatus, other: OwnerStatus) -> OwnerStatus:
    return replace(
        one,
        segments=one.segments + other.segments,
        bytes=one.bytes + other.bytes,
        records=one.records + other.records,
        kinds=dict(Counter(one.kinds) + Counter(other.kinds)),
        set_aside=one.set_aside + other.set_aside,
        dropped=one.dropped + other.dropped,
        oldest_age_s=max(
            (age for age in (one.oldest_age_s, other.oldest_age_s) if age is not None), default=None
        ),
        unreadable=one.unreadable + other.unreadable,
    )


def inspect(directory: Path | None, counters: SpoolCounters | None = None) -> SpoolStatus:
    """Read a spool directory without changing or holding anything in it; never raises for what it finds."""
    counters = counters or SpoolCounters()
    if directory is None:
        return SpoolStatus(None, counters=counters)
    try:
        found = entries(directory)
    except FileNotFoundError:
        return SpoolStatus(directory, counters=counters)  # nobody has spooled anything yet
    except OSError as error:
        return SpoolStatus(directory, error=error.strerror or str(error), counters=counters)
    names = dict.fromkeys(entry.owner for entry in found)
    owners = tuple(
        _inspect_owner(directory, name, [entry.path for entry in found if entry.owner == name and entry.kind])
        for name in names
    )
    return SpoolStatus(directory, owners, counters=counters)


def _inspect_owner(directory: Path, name: str, paths: list[Path]) -> OwnerStatus:
    about = describe(directory, name)
    size = set_aside = segments = unreadable = 0
    kinds: Counter[str] = Counter()
    ages = []
    now = time.time()
    for path in paths:
        try:
            stat = path.stat()
            frames = read_segment(path).frames
        except FileNotFoundError:
            continue  # its owner may deliver and drop it while we look
        except OSError:
            unreadable += 1
            continue
        segments += 1
        size += stat.st_size
        if path.suffix == ".aside":
            set_aside += len(frames)
        elif frames:
            kinds.update(KIND_NAMES.get(kind, f"kind {kind}") for kind, _ in frames)
            ages.append(max(0.0, now - stat.st_mtime))
    return OwnerStatus(
        name=name,
        alive=is_alive(directory, name),
        pid=about.get("pid"),
        host=about.get("host"),
        segments=segments,
        bytes=size,
        records=kinds.total(),
        kinds=dict(kinds),
        set_aside=set_aside,
        dropped=dropped if isinstance(dropped := about.get("dropped"), int) else 0,
        oldest_age_s=max(ages, default=None),
        unreadable=unreadable,
    )
