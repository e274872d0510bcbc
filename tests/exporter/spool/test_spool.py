from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.spool import Progress, Spool, SpoolLimits, inspect, replay
from fmd_otel_exporter.spool.codec import encode
from fmd_otel_exporter.spool.owner import Owner, entries
from fmd_otel_exporter.spool.segment import frame, write_segment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from fmd_otel_exporter.records import RequestRecord

SMALL = SpoolLimits(batch_size=10, scan_interval_s=0)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def files(directory: Path, suffix: str) -> list[str]:
    return [name for name in names(directory) if name.endswith(suffix)]


def test_nothing_is_opened_before_the_first_record(directory) -> None:
    spool = Spool(directory)
    assert not directory.exists()
    spool.close()
    assert not directory.exists()


def test_importing_it_starts_nothing_and_loads_no_database() -> None:
    program = (
        "import sys, threading, os; highest = os.dup(0); os.close(highest);"
        "import fmd_otel_exporter.spool;"
        "assert os.dup(0) == highest and threading.active_count() == 1;"
        "assert not {'sqlalchemy', 'alembic', 'opentelemetry.sdk', 'sqlite3'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_what_is_appended_is_delivered_in_order_and_once(directory, record, drain) -> None:
    spool = Spool(directory, SMALL)
    numbers = list(range(1, 36))
    assert [spool.append(record(n)) for n in numbers] == numbers
    assert drain(spool) == numbers
    assert spool.next_batch() is None
    counters = spool.counters()
    assert (counters.accepted, counters.delivered, counters.waiting) == (35, 35, 0)
    spool.close()
    assert names(directory) == []


def test_a_batch_is_never_larger_than_asked_for(directory, record) -> None:
    spool = Spool(directory, SMALL)
    for n in range(25):
        spool.append(record(n))
    sizes = []
    while batch := spool.next_batch():
        sizes.append(len(batch.records))
        spool.done(batch)
    assert sizes == [10, 10, 5]
    spool.close()


def test_a_batch_comes_again_until_it_is_done_whatever_is_appended_meanwhile(directory, record) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    first = spool.next_batch()
    spool.append(record(2))
    again = spool.next_batch()
    assert first is not None
    assert again is not None
    assert (again.key, list(again.records)) == (first.key, [record(1)])
    spool.done(again)
    second = spool.next_batch()
    assert second is not None
    assert list(second.records) == [record(2)]
    spool.done(second)
    spool.close()


def test_a_batch_reported_twice_is_counted_once(directory, record) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    batch = spool.next_batch()
    assert batch is not None
    spool.done(batch)
    spool.done(batch)
    spool.discard(batch)
    assert (spool.counters().delivered, spool.counters().discarded) == (1, 0)
    spool.close()


def test_a_batch_nobody_can_store_is_given_up_and_counted(directory, record, drain) -> None:
    spool = Spool(directory, SMALL)
    for n in range(11):
        spool.append(record(n))
    batch = spool.next_batch()
    assert batch is not None
    spool.discard(batch)
    assert drain(spool) == [10]
    assert (spool.counters().discarded, spool.counters().dropped, spool.counters().waiting) == (10, 10, 0)
    spool.close()


@pytest.mark.parametrize("delivered_before", [False, True])
def test_the_next_process_forms_the_same_batches(directory, record, die, delivered_before) -> None:
    spool = Spool(directory, SMALL)
    for n in range(25):
        spool.append(record(n))
    first = spool.next_batch() if delivered_before else None
    die(spool)
    heir = Spool(directory, SMALL)
    found = []
    while batch := heir.next_batch():
        found.append(batch)
        heir.done(batch)
    if first is not None:  # it may be in the database, but nobody was told
        assert (found[0].key, list(found[0].records)) == (first.key, list(first.records))
    assert [len(batch.records) for batch in found] == [10, 10, 5]
    assert [one for batch in found for one in batch.records] == [record(n) for n in range(25)]
    counters = heir.counters()
    assert (counters.accepted, counters.adopted, counters.delivered, counters.replayed) == (0, 25, 25, 25)
    assert counters.waiting == 0
    heir.close()
    assert names(directory) == []


def test_what_was_not_delivered_is_there_after_an_orderly_end(directory, record, drain) -> None:
    spool = Spool(directory, SMALL)
    for n in range(5):
        spool.append(record(n))
    spool.close()
    assert spool.counters().waiting == 0
    assert drain(Spool(directory, SMALL)) == list(range(5))


def test_a_closed_spool_accepts_again(directory, record, drain) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    spool.close()
    spool.append(record(2))
    assert sorted(drain(spool)) == [1, 2]
    spool.close()
    assert names(directory) == []


def test_a_living_process_keeps_its_segments(directory, record, drain) -> None:
    one, other = Spool(directory, SMALL), Spool(directory, SMALL)
    for n in range(25):
        one.append(record(n))
    assert drain(other) == []
    assert drain(one) == list(range(25))
    one.close()
    other.close()


def test_segments_without_a_lock_file_are_taken_on_a_person_s_word_only(
    directory, record, drain, die
) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    die(spool)
    (directory / files(directory, ".lock")[0]).unlink()
    heir = Spool(directory, SMALL)
    assert drain(heir) == []
    assert heir.adopt(without_lock_file=True) == 1
    assert drain(heir) == [1]
    heir.close()
    assert names(directory) == []


def test_directory_and_files_are_the_user_s_alone(directory, record) -> None:
    before = os.umask(0)
    try:
        spool = Spool(directory, SMALL)
        spool.append(record(1))
    finally:
        os.umask(before)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert {stat.S_IMODE(entry.path.stat().st_mode) for entry in entries(directory)} == {0o600}
    spool.close()


def test_the_oldest_batches_go_when_there_are_too_many_bytes(directory, record, drain) -> None:
    size = len(frame(1, b"")) + 150
    spool = Spool(directory, SpoolLimits(batch_size=10, max_bytes=50 * size))
    for n in range(1000):
        spool.append(record(n))
        assert sum(entry.path.stat().st_size for entry in entries(directory)) <= 62 * size
    kept = drain(spool)
    counters = spool.counters()
    assert kept == list(range(1000 - len(kept), 1000))
    assert len(kept) >= 40
    assert counters.dropped_full == counters.dropped == 1000 - len(kept)
    assert (counters.accepted, counters.delivered, counters.waiting) == (1000, len(kept), 0)
    spool.close()
    assert names(directory) == []


def test_the_batch_in_work_is_not_dropped_for_space(directory, record, drain) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, max_bytes=3000))
    for n in range(10):
        spool.append(record(n))
    in_work = spool.next_batch()
    assert in_work is not None
    for n in range(10, 200):
        spool.append(record(n))
    assert spool.next_batch() == in_work
    spool.done(in_work)
    kept = drain(spool)
    assert kept[-1] == 199
    assert spool.counters().dropped_full == 190 - len(kept)
    spool.close()


def test_segments_of_dead_processes_count_against_the_bound_and_go_first(
    directory, record, drain, die
) -> None:
    generous = SpoolLimits(batch_size=10)
    spool = Spool(directory, generous)
    for n in range(100):
        spool.append(record(n))
    die(spool)
    heir = Spool(directory, SpoolLimits(batch_size=10, max_bytes=5000, scan_interval_s=0))
    for n in range(100, 120):
        heir.append(record(n))
    kept = sorted(drain(heir))
    assert kept == list(range(120 - len(kept), 120))
    assert 20 <= len(kept) < 50
    assert heir.counters().dropped_full == 120 - len(kept)
    assert heir.counters().waiting == 0
    heir.close()
    assert names(directory) == []


def test_processes_share_the_space(directory, record, drain) -> None:
    limits = SpoolLimits(batch_size=10, max_bytes=20_000, scan_interval_s=0)
    one, other = Spool(directory, limits), Spool(directory, limits)
    for n in range(500):
        one.append(record(n))
        other.append(record(n))
        if n % 50 == 0:
            one.adopt()
            other.adopt()
    one.adopt()
    other.adopt()
    assert sum(entry.path.stat().st_size for entry in entries(directory)) <= 24_000
    assert len(drain(one)) >= 50
    assert len(drain(other)) >= 50
    one.close()
    other.close()


def test_more_than_fits_into_memory_is_read_from_disk_again(directory, record, drain) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, memory_records=30))
    for n in range(200):
        spool.append(record(n))
    assert drain(spool) == list(range(200))
    spool.close()


def test_a_torn_last_frame_of_a_killed_process_is_cut_at_every_byte(tmp_path, record, die) -> None:
    spool = Spool(tmp_path / "model", SMALL)
    for n in range(3):
        spool.append(record(n))
    die(spool)
    path = tmp_path / "model" / files(tmp_path / "model", ".seg")[0]
    whole = path.read_bytes()
    last = whole.rindex(b"\xf5\xd1")
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        heir = Spool(tmp_path / "model", SMALL)
        batch = heir.next_batch()
        assert batch is not None
        assert list(batch.records) == [record(0), record(1)]
        assert heir.counters().torn == (end > last)
        assert heir.counters().damaged == 0
        die(heir)


def test_damage_in_the_middle_is_counted_and_the_rest_delivered(directory, record, drain, die) -> None:
    spool = Spool(directory, SMALL)
    for n in range(5):
        spool.append(record(n))
    die(spool)
    path = directory / files(directory, ".seg")[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    heir = Spool(directory, SMALL)
    assert drain(heir) == [0, 1, 3, 4]
    assert heir.counters().damaged == 1
    heir.close()


def test_frames_of_a_newer_release_are_set_aside_and_kept_for_it(directory, record, drain, die) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    spool._life.intake._active.file.append(frame(200, b"from the future"))
    spool.append(record(2))
    die(spool)
    heir = Spool(directory, SMALL)
    assert drain(heir) == [1, 2]
    assert heir.counters().set_aside == 1
    heir.close()
    (aside,) = files(directory, ".aside")
    assert (directory / aside).read_bytes().endswith(frame(200, b"from the future"))

    # The same release meets it again and again, and leaves it alone.
    again = Spool(directory, SMALL)
    assert drain(again) == []
    assert drain(again) == []
    again.close()
    assert files(directory, ".aside") == [aside]

    # A release that knows the frames delivers them, and removes the file.
    write_segment(directory / aside, [frame(*encode(record(3)))])
    newer = Spool(directory, SMALL)
    assert drain(newer) == [3]
    newer.close()
    assert names(directory) == []


def test_a_file_of_a_newer_format_is_set_aside_whole(directory, record, drain, die) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    die(spool)
    path = directory / files(directory, ".seg")[0]
    data = path.read_bytes()
    path.write_bytes(data[:8] + b"\x09" + data[9:])
    heir = Spool(directory, SMALL)
    assert drain(heir) == []
    assert heir.counters().set_aside == 1
    heir.close()
    assert len(files(directory, ".aside")) == 1
    assert files(directory, ".seg") == []


def test_half_of_a_file_about_to_be_set_aside_is_cleared_away(directory, record, drain, die) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    die(spool)
    half = directory / files(directory, ".seg")[0].replace(".seg", ".tmp")
    half.write_bytes(b"FMDSPO")
    heir = Spool(directory, SMALL)
    assert drain(heir) == [1]
    heir.close()
    assert names(directory) == []


def test_other_people_s_files_in_the_directory_are_left_alone(directory, record, drain) -> None:
    directory.mkdir()
    (directory / "README.seg").write_text("not ours")
    (directory / "1-abc.00000001.seg").write_text("nor this")
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    assert drain(spool) == [1]
    spool.close()
    assert names(directory) == ["1-abc.00000001.seg", "README.seg"]


def test_a_record_that_cannot_be_written_is_refused_and_counted(directory, record, drain) -> None:
    spool = Spool(directory, SMALL)
    for odd in (
        record(ts_us=2**63),
        record(service=None),
        record(span_id="text"),
        record(status=1.5),
        None,
        7,
    ):
        assert spool.append(odd) == 0
    assert spool.append(record(1)) == 1
    assert drain(spool) == [1]
    assert (spool.counters().accepted, spool.counters().rejected) == (1, 6)
    spool.close()


def test_a_huge_record_ends_its_segment(directory, record, drain) -> None:
    spool = Spool(directory, SMALL)
    for n in range(3):
        spool.append(record(n, group_by="x" * 1_500_000))
    assert len(files(directory, ".seg")) == 3
    assert drain(spool) == [0, 1, 2]
    spool.close()


def test_a_clock_that_jumps_changes_nothing(directory, record, drain, die, monkeypatch) -> None:
    spool = Spool(directory, SMALL)
    now = time.time()
    for n, step in enumerate([0, -86_400, 400_000_000, -400_000_000, 3600]):
        monkeypatch.setattr(time, "time", lambda step=step: now + step)
        monkeypatch.setattr(time, "time_ns", lambda step=step: int((now + step) * 1e9))
        for m in range(10):
            spool.append(record(10 * n + m, ts_us=int((now + step) * 1e6)))
    for entry in entries(directory):
        os.utime(entry.path, (now + 1e6, now + 1e6))
    status = spool.status()
    assert status.oldest_age_s == 0
    assert status.records == 50
    die(spool)
    assert drain(Spool(directory, SMALL)) == list(range(50))


def test_status_tells_the_living_from_the_dead(directory, record, die) -> None:
    dead, living = Spool(directory, SMALL), Spool(directory, SMALL)
    for n in range(15):
        dead.append(record(n))
    die(dead)
    living.append(record(100))
    status = living.status()
    assert (status.segments, status.records) == (3, 16)
    assert status.bytes == sum(entry.path.stat().st_size for entry in entries(directory) if entry.kind)
    assert status.oldest_age_s is not None
    assert status.counters.accepted == 1
    by_life = {owner.alive: owner for owner in status.owners}
    assert (by_life[True].records, by_life[False].records) == (1, 15)
    assert by_life[True].pid == os.getpid()
    assert by_life[True].host
    living.close()
    (directory / files(directory, ".lock")[0]).unlink()
    assert None in {owner.alive for owner in Spool(directory).status().owners}


def test_status_of_a_directory_that_is_not_there_is_empty(tmp_path) -> None:
    status = Spool(tmp_path / "nowhere").status()
    assert (status.segments, status.records, status.error, status.oldest_age_s) == (0, 0, None, None)
    assert Spool(None).status().directory is None


def test_a_lock_that_is_only_looked_at_can_be_taken_at_once(directory, record, die, drain) -> None:
    spool = Spool(directory, SMALL)
    spool.append(record(1))
    die(spool)
    assert [owner.alive for owner in Spool(directory).status().owners] == [False]
    assert drain(Spool(directory, SMALL)) == [1]


def test_a_name_given_up_cannot_be_mistaken_for_another(directory) -> None:
    directory.mkdir()
    owner = Owner.create(directory)
    assert Owner.adopt(directory, owner.name) is None
    owner.release()
    assert Owner.adopt(directory, owner.name) is None
    assert names(directory) == []


def test_a_replay_writes_what_the_dead_left_and_nothing_of_the_living(directory, record, die) -> None:
    dead, living = Spool(directory, SMALL), Spool(directory, SMALL)
    for n in range(25):
        dead.append(record(n))
    die(dead)
    living.append(record(100))
    written: list[int] = []
    steps: list[Progress] = []
    counters = replay(
        directory,
        lambda records: written.extend(r.duration_us - 1000 for r in records),
        progress=steps.append,
    )
    assert written == list(range(25))
    assert steps == [(10, 25), (20, 25), (25, 25)]
    assert (counters.replayed, counters.waiting) == (25, 0)
    assert living.status().records == 1
    living.close()


def test_a_replay_whose_database_fails_keeps_what_was_not_written(directory, record, die, drain) -> None:
    dead = Spool(directory, SMALL)
    for n in range(25):
        dead.append(record(n))
    die(dead)

    def write(records: Sequence[RequestRecord]) -> None:
        if records[0] != record(0):
            raise TimeoutError("database is locked")

    with pytest.raises(TimeoutError):
        replay(directory, write)
    assert drain(Spool(directory, SMALL)) == list(range(10, 25))


def test_a_batch_is_on_the_disk_before_it_is_handed_out_where_that_is_asked_for(
    directory, record, monkeypatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", lambda fd: synced.append(os.fstat(fd).st_ino))
    spool = Spool(directory, SpoolLimits(sync=True))
    spool.append(record(1))
    batch = spool.next_batch()
    assert batch is not None
    assert synced == [(directory / batch.key).stat().st_ino]
    spool.close()


def test_a_replay_drops_nothing_for_want_of_space(directory, record, die) -> None:
    large = "x" * 8_000_000
    spool = Spool(directory, SpoolLimits(max_bytes=1_000_000_000))
    for n in range(10):
        spool.append(record(n, group_by=large))
    die(spool)
    found: list[int] = []
    counters = replay(directory, lambda batch: found.extend(each.ts_us % 1000 for each in batch))
    assert sorted(found) == list(range(10))
    assert counters.dropped == 0
    assert list(directory.iterdir()) == []


def test_status_tells_kinds_and_what_was_dropped(directory, record, die) -> None:
    spool = Spool(directory, SpoolLimits(batch_size=10, max_bytes=4_000))
    for n in range(100):
        spool.append(record(n))
    spool.tend()
    (owner,) = spool.status().owners
    assert owner.dropped == spool.counters().dropped_full > 0
    assert owner.kinds == {"requests": owner.records}
    assert spool.status().kinds == owner.kinds
    die(spool)
    assert inspect(directory).dropped == owner.dropped


def test_status_tells_processes_of_one_name_and_number_apart(directory, tmp_path, record, die) -> None:
    # A container that is started anew has the host name and the process id of the one before.
    for n in range(3):
        spool = Spool(directory, SMALL)
        spool.append(record(n))
        die(spool)
    details = Spool(tmp_path / "details", SMALL)
    details.append(record(3))
    die(details)
    both = inspect(directory).beside(inspect(tmp_path / "details"))
    assert both.records == 4
    assert sorted(owner.records for owner in both.owners) == [1, 1, 2]
