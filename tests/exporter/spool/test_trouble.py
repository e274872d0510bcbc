from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import resource
import shutil
import signal
import stat
import threading
import time
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.spool import Spool, SpoolLimits, delivery, disk, inspect, status
from fmd_otel_exporter.spool.codec import encode
from fmd_otel_exporter.spool.intake import MOST_PARKED
from fmd_otel_exporter.spool.owner import entries
from fmd_otel_exporter.spool.segment import frame, read_segment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fmd_otel_exporter.spool.segment import Contents

SMALL = SpoolLimits(batch_size=10, memory_records=50, scan_interval_s=0, retry_interval_s=0)
PATIENT = SpoolLimits(batch_size=10, memory_records=50, retry_interval_s=3600)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def warnings(caplog) -> list[str]:
    return [entry.getMessage() for entry in caplog.records if entry.levelno >= logging.WARNING]


@pytest.fixture
def under_a_file(tmp_path):
    """A directory nobody can make, not even root: there is a file in its place."""
    (tmp_path / "file").write_text("in the way")
    return tmp_path / "file" / "spool"


def test_a_directory_that_cannot_be_made_degrades_to_memory_with_one_warning(
    under_a_file, record, drain, caplog
) -> None:
    spool = Spool(under_a_file, SMALL)
    for n in range(30):
        assert spool.append(record(n)) == n + 1
    assert spool.counters().in_memory
    assert drain(spool) == list(range(30))
    for n in range(30, 40):
        spool.append(record(n))
    assert drain(spool) == list(range(30, 40))
    (message,) = warnings(caplog)
    assert str(under_a_file) in message
    assert "Not a directory" in message
    assert "FMD_OTEL_SPOOL_DIR" in message
    assert "Not a directory" in str(spool.counters().last_error)
    spool.close()


def test_the_warning_comes_again_after_an_hour(under_a_file, record, drain, caplog, monkeypatch) -> None:
    spool = Spool(under_a_file, SMALL)
    spool.append(record(1))
    assert drain(spool) == [1]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 3601)
    spool.next_batch()
    spool.next_batch()
    spool.next_batch()
    assert len(warnings(caplog)) == 2
    spool.close()


def test_requests_do_not_try_a_directory_that_failed_again_and_again(
    under_a_file, record, monkeypatch
) -> None:
    spool = Spool(under_a_file, PATIENT)
    spool.append(record(0))
    opened = []
    monkeypatch.setattr(os, "open", lambda *args, **_: opened.append(args) or -1)
    for n in range(1, 40):
        spool.append(record(n))
    assert opened == []


def test_memory_is_bounded_and_the_oldest_go(under_a_file, record, drain) -> None:
    spool = Spool(under_a_file, PATIENT)
    for n in range(1000):
        spool.append(record(n))
        assert spool._life.intake.backlog.unsaved <= 50
    kept = drain(spool)
    assert kept == list(range(1000 - len(kept), 1000))
    assert 40 <= len(kept) <= 50
    assert spool.counters().dropped_memory == 1000 - len(kept)
    spool.close()


def test_a_directory_that_comes_back_is_used_again_and_gets_what_waited_in_memory(
    under_a_file, record, drain, die, caplog
) -> None:
    caplog.set_level(logging.INFO, "fmd_otel_exporter.spool")
    spool = Spool(under_a_file, SMALL)
    for n in range(25):
        spool.append(record(n))
    under_a_file.parent.unlink()
    batch = spool.next_batch()
    assert batch is not None
    assert not spool.counters().in_memory
    assert spool.counters().last_error is None
    spool.append(record(25))
    die(spool)  # from here on only what is on disk counts
    assert sorted(drain(Spool(under_a_file, SMALL))) == list(range(26))
    assert any("works again" in entry.getMessage() for entry in caplog.records)


def test_what_waits_in_memory_at_the_end_is_counted_as_lost(under_a_file, record) -> None:
    spool = Spool(under_a_file, PATIENT)
    for n in range(25):
        spool.append(record(n))
    assert spool.next_batch() is not None
    spool.close()
    counters = spool.counters()
    assert (counters.dropped_memory, counters.waiting) == (25, 0)


def test_a_spool_without_a_directory_keeps_to_memory_and_complains_not(record, drain, caplog) -> None:
    spool = Spool(None, SMALL)
    for n in range(30):
        spool.append(record(n))
    assert drain(spool) == list(range(30))
    assert not spool.counters().in_memory
    spool.close()
    assert warnings(caplog) == []


@pytest.fixture(params=[errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def _no_locks(request, monkeypatch) -> None:
    def no_locks(_fd: int, _operation: int) -> None:
        raise OSError(request.param, os.strerror(request.param))

    monkeypatch.setattr(fcntl, "flock", no_locks)


@pytest.mark.usefixtures("_no_locks")
def test_a_file_system_without_locks_degrades_to_memory(directory, record, drain, caplog) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    assert drain(spool) == [1]
    (message,) = warnings(caplog)
    assert "no file locks" in message
    spool.close()
    assert names(directory) == []


def test_a_stranger_s_directory_where_everybody_writes_is_not_used(tmp_path, record, drain, caplog) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    trap = shared / "spool"
    trap.mkdir()
    trap.chmod(0o777)
    spool = Spool(trap, SMALL)
    spool.append(record(1))
    assert drain(spool) == [1]
    assert names(trap) == []
    assert "another user" in warnings(caplog)[0]
    spool.close()

    ours = Spool(shared / "ours", SMALL)
    ours.append(record(1))
    assert not ours.counters().in_memory
    assert stat.S_IMODE((shared / "ours").stat().st_mode) == 0o700
    ours.close()


def test_a_directory_removed_under_a_running_process_loses_nothing(directory, record, drain, caplog) -> None:
    spool = Spool(directory, SMALL)
    for n in range(25):
        spool.append(record(n))
    shutil.rmtree(directory)
    for n in range(25, 50):
        spool.append(record(n))
    assert drain(spool) == list(range(50))
    spool.append(record(50))
    assert len([entry for entry in entries(directory) if entry.kind]) >= 1  # and the next are on disk again
    assert drain(spool) == [50]
    assert warnings(caplog) == []
    spool.close()


def test_a_lock_file_removed_under_a_running_process_makes_it_take_another_name(
    directory, record, drain
) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    for entry in entries(directory):
        if not entry.kind:
            entry.path.unlink()
    assert drain(spool) == [1]
    spool.append(record(2))
    assert [owner.alive for owner in spool.status().owners] == [True]
    assert drain(spool) == [2]
    spool.close()
    assert names(directory) == []


def test_segments_wait_while_the_process_may_open_no_more_files(directory, record, drain, caplog) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, memory_records=10))
    for n in range(30):
        spool.append(record(n))
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
    try:
        while batch := spool.next_batch():  # those still in memory
            spool.done(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert spool.counters().waiting == 20
    drain(spool)
    counters = spool.counters()
    assert (counters.delivered, counters.dropped_lost, counters.waiting) == (30, 0, 0)
    assert any("have to wait" in warning for warning in warnings(caplog))
    spool.close()


@pytest.fixture
def break_reading(monkeypatch) -> Callable[[int], Callable[[], None]]:
    """Have the disk answer with an error when the oldest segment that is no longer in memory is read."""

    def begin(number: int) -> Callable[[], None]:
        broken: list[Path] = []

        def read(path: Path) -> Contents:
            broken[:] = broken or [path]
            if path in broken:
                raise OSError(number, os.strerror(number))
            return read_segment(path)

        monkeypatch.setattr(delivery, "read_segment", read)
        return lambda: monkeypatch.setattr(delivery, "read_segment", read_segment)

    return begin


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EACCES])
def test_a_segment_whose_disk_fails_lets_others_pass_and_is_delivered_when_it_works_again(
    directory, record, drain, caplog, monkeypatch, break_reading, number: int
) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, memory_records=10))
    for n in range(35):
        spool.append(record(n))
    mend = break_reading(number)
    assert drain(spool) == [*range(10), *range(20, 35)]
    spool.append(record(35))
    assert drain(spool) == [35]
    counters = spool.counters()
    assert (counters.delivered, counters.dropped_lost, counters.waiting) == (26, 0, 10)
    assert any("have to wait" in warning for warning in warnings(caplog))
    mend()
    assert drain(spool) == []  # a disk that hangs is not tried again and again
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 31)
    assert drain(spool) == list(range(10, 20))
    counters = spool.counters()
    assert (counters.delivered, counters.dropped_lost, counters.waiting) == (36, 0, 0)
    spool.close()
    assert names(directory) == []


def test_what_cannot_be_read_to_the_end_is_left_to_the_next_process_and_not_counted_as_lost(
    directory, record, drain, break_reading
) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, memory_records=10))
    for n in range(30):
        spool.append(record(n))
    mend = break_reading(errno.EIO)
    assert drain(spool) == [*range(10), *range(20, 30)]
    spool.close()
    counters = spool.counters()
    assert (counters.delivered, counters.dropped) == (20, 0)
    mend()
    heir = Spool(directory, SMALL)
    assert drain(heir) == list(range(10, 20))
    heir.close()


def test_what_cannot_be_read_gives_way_like_all_others(directory, record, drain, break_reading) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, memory_records=10, max_bytes=20_000))
    for n in range(30):
        spool.append(record(n))
    break_reading(errno.EIO)
    drain(spool)
    for n in range(30, 300):
        spool.append(record(n))
    counters = spool.counters()
    assert counters.dropped_full > 10
    assert counters.waiting == 300 - 20 - counters.dropped_full
    spool.close()


def test_segments_that_vanish_unread_are_counted_as_lost(directory, record, drain, caplog) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, memory_records=10))
    for n in range(30):
        spool.append(record(n))
    for entry in entries(directory):
        if entry.kind:
            entry.path.unlink()
    kept = drain(spool)
    counters = spool.counters()
    assert len(kept) == 10  # those still in memory
    assert counters.dropped_lost == 20
    assert counters.waiting == 0
    spool.next_batch()  # the consumer says so when it next comes round
    assert "lost" in warnings(caplog)[0]
    spool.close()


def test_a_write_that_fails_moves_on_to_memory_and_leaves_no_half_frame(directory, record, drain) -> None:
    spool = Spool(directory, PATIENT)
    for n in range(5):
        spool.append(record(n))
    file = spool._life.intake._active.file
    real, file.fd = file.fd, os.open("/dev/full", os.O_WRONLY)
    spool.append(record(5))
    os.close(real)
    spool.append(record(6))
    assert spool.counters().in_memory
    assert drain(spool) == list(range(7))
    spool.close()


def test_a_write_that_is_said_to_have_failed_and_has_not_is_delivered_once(
    directory, record, drain, monkeypatch
) -> None:
    """As on a network file system that is away before it has answered."""
    spool = Spool(directory, PATIENT)
    for n in range(5):
        spool.append(record(n))

    def write_and_fail(fd: int, data: bytes) -> int:
        write(fd, data)
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    write = os.write
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write_and_fail)
        spool.append(record(5))
    spool.append(record(6))
    assert drain(spool) == list(range(7))
    assert spool.counters().delivered == 7
    spool.close()


def test_the_record_that_meets_a_full_disk_is_written_down_when_there_is_room_again(
    directory, record, drain
) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, memory_records=50, retry_interval_s=0))
    spool.append(record(0))
    spool.tend()
    assert spool._life.disk._spare is not None
    file = spool._life.intake._active.file
    real, file.fd = file.fd, os.open("/dev/full", os.O_WRONLY)
    for n in range(1, 7):
        spool.append(record(n))
    os.close(real)
    assert spool.counters().in_memory
    spool.tend()
    on_disk = [
        frame for entry in entries(directory) if entry.kind for frame in read_segment(entry.path).frames
    ]
    assert len(on_disk) == 7
    assert drain(spool) == list(range(7))
    spool.close()


def test_a_segment_with_more_in_it_than_was_reported_is_read_as_it_is(directory, record, drain) -> None:
    # As when an exception is thrown into a thread between its write and the note of it.
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    os.write(spool._life.intake._active.file.fd, frame(*encode(record(2))))
    assert drain(spool) == [1, 2]
    assert spool.counters().waiting == 0
    spool.close()


def test_a_write_that_hangs_does_not_hold_up_the_other_threads(directory, record, drain) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(0))
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writer, bytes(65536))
    os.set_blocking(writer, True)
    file = spool._life.intake._active.file
    real, file.fd = file.fd, writer  # a pipe that is full hangs as a network disk does
    hanging = threading.Thread(target=spool.append, args=(record(1),))
    hanging.start()
    deadline = time.monotonic() + 30
    while not spool._life.intake.lock.locked() and time.monotonic() < deadline:
        time.sleep(0.001)
    others = [threading.Thread(target=spool.append, args=(record(n),)) for n in (2, 3)]
    for other in others:
        other.start()
    for other in others:
        other.join(timeout=30)
    assert not any(other.is_alive() for other in others)
    assert hanging.is_alive()
    assert spool.counters().accepted == 3  # the two are accepted, and wait in memory
    os.read(reader, 65536)
    hanging.join()
    file.fd = real
    os.close(reader)
    os.close(writer)
    assert sorted(drain(spool)) == [0, 2, 3]  # 1 went into the pipe, and not into the file
    assert spool.counters().dropped_lost == 1
    spool.close()


def test_parked_records_are_bounded_too(directory, record) -> None:
    spool = Spool(directory, SMALL)
    with spool._life.intake.lock:
        for n in range(MOST_PARKED + 10):
            spool._life.intake._park(record(n), b"")
    assert len(spool._life.intake.parked) == MOST_PARKED
    assert spool.counters().rejected == 10


def test_a_signal_handler_may_append_while_its_thread_appends(directory, record, drain) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=7, memory_records=100_000))
    from_handler = []

    def handler(_signal: int, _frame: object) -> None:
        number = 1_000_000 + len(from_handler)
        from_handler.append(number)
        spool.append(record(number))
        signal.setitimer(signal.ITIMER_REAL, 0.0003)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0003)
    try:
        deadline = time.monotonic() + 60
        n = 0
        while len(from_handler) < 200 and time.monotonic() < deadline:
            spool.append(record(n))
            n += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert sorted(drain(spool)) == list(range(n)) + from_handler
    spool.close()


def test_many_threads_and_one_consumer_lose_and_double_nothing(directory, record, drain) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=16, memory_records=64, scan_interval_s=0))
    found: list[int] = []
    finished = threading.Event()

    def consume() -> None:
        while not finished.is_set():
            found.extend(drain(spool))
        found.extend(drain(spool))

    def append(part: int) -> None:
        for n in range(part, 4000, 4):
            spool.append(record(n))

    consumer = threading.Thread(target=consume)
    threads = [threading.Thread(target=append, args=(part,)) for part in range(4)]
    for thread in (consumer, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    finished.set()
    consumer.join()
    assert spool.counters().rejected == 0
    assert sorted(found) == list(range(4000))
    spool.close()
    assert names(directory) == []


def test_a_directory_is_tended_while_nobody_takes_batches(under_a_file, record, die, drain, caplog) -> None:
    """As during an outage of the database, which may well be one of the disk, too."""
    spool = Spool(under_a_file, SMALL)
    for n in range(25):
        spool.append(record(n))
    spool.tend()
    assert "Not a directory" in warnings(caplog)[0]
    under_a_file.parent.unlink()
    spool.tend()
    spool.tend()
    assert not spool.counters().in_memory
    die(spool)
    assert sorted(drain(Spool(under_a_file, SMALL))) == list(range(25))


@pytest.mark.parametrize("by_another", [True, False])
def test_a_segment_that_cannot_be_read_just_now_is_left_for_another_time(
    directory, record, drain, die, monkeypatch, *, by_another: bool
) -> None:
    dead = Spool(directory, SMALL)
    for n in range(30):
        dead.append(record(n))
    die(dead)
    second = sorted(entry.path for entry in entries(directory) if entry.kind)[1]

    def read(path):
        if path == second:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return read_segment(path)

    with monkeypatch.context() as patched:
        patched.setattr(disk, "read_segment", read)
        heir = Spool(directory, SMALL)
        assert drain(heir) == [*range(10), *range(20, 30)]
        if by_another:
            heir.close()
    if by_another:
        heir = Spool(directory, SMALL)
    assert drain(heir) == list(range(10, 20))
    assert heir.counters().adopted == (10 if by_another else 30)
    heir.close()
    assert names(directory) == []


def test_segments_that_cannot_be_read_just_now_are_told(directory, record, die, monkeypatch) -> None:
    dead = Spool(directory, SMALL)
    for n in range(30):
        dead.append(record(n))
    die(dead)

    def read(path):
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE), str(path))

    monkeypatch.setattr(status, "read_segment", read)
    found = inspect(directory)
    assert (found.records, found.unreadable) == (0, 3)
