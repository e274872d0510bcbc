"""What very many dead processes left in a spool directory: more files than one process may open at a time."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from fmd_otel_exporter.spool import Spool, SpoolLimits, disk, replay
from fmd_otel_exporter.spool.owner import entries

SMALL = SpoolLimits(batch_size=10, memory_records=50, scan_interval_s=0, retry_interval_s=0)
PATIENT = SpoolLimits(batch_size=10, memory_records=50, retry_interval_s=3600)
OPEN_FILES = Path("/proc/self/fd")


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


@pytest.fixture
def few_files():
    """Let this process open no more than 60 files beside those it has open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = max(int(path.name) for path in OPEN_FILES.iterdir()) + 61
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def open_files() -> int:
    return len(list(OPEN_FILES.iterdir()))


@pytest.fixture
def leave(directory, record, die):
    """Be so many processes that each leave a request and die; the n-th leaves the n-th request."""

    def leave(processes: int) -> None:
        for n in range(processes):
            spool = Spool(directory, SMALL)
            spool.append(record(n))
            die(spool)
            for entry in entries(directory):
                if entry.owner == spool._life.disk._owner.name:
                    os.utime(entry.path, (n, n))

    return leave


def test_what_very_many_dead_processes_left_takes_no_more_files_than_there_are(
    directory, record, drain, leave, few_files
) -> None:
    leave(200)
    before = open_files()
    heir = Spool(directory, PATIENT)
    heir.append(record(200))
    heir.next_batch()
    assert open_files() - before <= disk.MOST_HEIRLOOMS + 5
    assert drain(heir) == [200, *range(200)]
    heir.close()
    assert names(directory) == []


@pytest.mark.parametrize("without_lock_file", [False, True])
def test_a_replay_of_what_very_many_left_leaves_nothing(
    directory, leave, few_files, without_lock_file
) -> None:
    leave(200)
    if without_lock_file:
        for path in directory.glob("*.lock"):
            path.unlink()
    written: list[int] = []
    counters = replay(
        directory,
        lambda records: written.extend(r.duration_us - 1000 for r in records),
        without_lock_file=without_lock_file,
    )
    assert written == list(range(200))
    assert counters.delivered == 200
    assert names(directory) == []


def test_too_much_that_very_many_left_gives_way_from_the_oldest_on(directory, record, drain, leave) -> None:
    leave(200)
    size = sum(entry.path.stat().st_size for entry in entries(directory) if entry.kind) // 200
    heir = Spool(directory, SpoolLimits(batch_size=10, max_bytes=50 * size, retry_interval_s=0))
    for n in range(200, 230):
        heir.append(record(n))
    kept = drain(heir)
    assert sorted(kept) == list(range(230 - len(kept), 230))
    assert 40 <= len(kept) <= 60
    assert heir.counters().dropped_full == 230 - len(kept)
    heir.close()
    assert names(directory) == []
