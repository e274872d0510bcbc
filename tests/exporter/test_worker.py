from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.detail_worker import DetailWorker
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.memory_spool import MemorySpool
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.worker import Worker
from fmd_otel_exporter.writer import Writer, WriteResult
from tests.exporter.details import outlier

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fmd_otel_exporter.records import RequestRecord

DAY_US = 86_400_000_000


@pytest.fixture
def spool() -> MemorySpool:
    return MemorySpool(10_000)


@pytest.fixture
def levels() -> dict[tuple[str, str], int]:
    return {}


@pytest.fixture
def worker(url: str, spool: MemorySpool, levels: dict[tuple[str, str], int]) -> Worker:
    """A worker whose rounds the test itself runs."""
    return Worker(ExporterSettings(database=url, batch_size=10), spool, levels, {})


def _while_writing(monkeypatch: pytest.MonkeyPatch, do: Callable[[], object]) -> list[int]:
    sizes: list[int] = []
    original = Worker._write

    def write(self: Worker, batch: Sequence[RequestRecord]) -> None:
        sizes.append(len(batch))
        do()
        original(self, batch)

    monkeypatch.setattr(Worker, "_write", write)
    return sizes


def test_a_round_writes_what_waited_and_leaves_the_rest_to_the_next(
    worker: Worker, spool, record, monkeypatch
):
    sizes = _while_writing(monkeypatch, lambda: spool.put(record()))
    for _ in range(25):
        spool.put(record())
    while worker.tick():
        pass
    # Three came meanwhile: two of them filled the last batch, and nothing is written for the third alone.
    assert sizes == [10, 10, 7]
    assert len(spool) == 1
    assert not worker.tick()
    assert sizes == [10, 10, 7, 1]


def test_levels_are_read_also_when_requests_never_cease(worker: Worker, spool, record, levels, monkeypatch):
    monkeypatch.setattr("fmd_otel_exporter.worker.LEVELS_EVERY_S", 0.0)
    for _ in range(100):
        spool.put(record(level=1))
    assert worker.tick()
    assert levels == {("shop", "shop.cart"): 1}


def test_days_are_summed_up_one_at_a_time_and_after_the_requests(
    worker: Worker, spool, record, noon_us, rows
):
    for day in range(30):
        spool.put(record(ts_us=noon_us - (400 - day) * DAY_US))
    while worker.tick():
        pass
    counts = []
    for _ in range(4):
        counts.append(len(rows(worker._store, "rollup_day")))
        worker.tick()
    assert counts == [1, 2, 3, 4]


def test_old_rows_go_between_batches_and_writing_comes_first(
    worker: Worker, spool, record, noon_us, rows, monkeypatch
):
    monkeypatch.setattr("fmd_otel_exporter.deleting.CHUNK", 5)
    monkeypatch.setattr("fmd_otel_exporter.worker.MAINTAIN_FOR_S", 1e-9)
    for n in range(40):
        spool.put(record(ts_us=n))
    spool.put(record(ts_us=time.time_ns() // 1000))  # else the clock would be doubted
    while worker.tick():
        assert len(rows(worker._store, "request")) % 10 == 0
    left = []
    for turn in range(60):
        spool.put(record(ts_us=time.time_ns() // 1000, duration_us=turn))
        worker.tick()
        left.append(len([row for row in rows(worker._store, "request") if row["ts"] < 40]))
    assert left == sorted(left, reverse=True)
    assert set(left) == set(range(0, 41, 5))
    assert len(rows(worker._store, "request")) == 61


def test_how_long_rows_stay_is_a_setting(url: str, spool, levels, record, rows):
    settings = ExporterSettings(
        database=url, retention_raw_days=0, retention_hourly_days=0, retention_daily_days=0
    )
    worker = Worker(settings, spool, levels, {})
    spool.put(record(ts_us=5))
    for _ in range(5):
        worker.tick()
    assert len(rows(worker._store, "request")) == len(rows(worker._store, "hits")) == 1


def test_nothing_is_deleted_while_the_process_ends(worker: Worker, spool, record, rows):
    spool.put(record(ts_us=5))
    worker.stop = True
    while worker.tick():
        pass
    assert len(rows(worker._store, "request")) == 1


def test_a_database_that_stays_away_is_tried_more_and_more_rarely(
    tmp_path, record, spool, levels, monkeypatch
):
    worker = Worker(ExporterSettings(database=f"sqlite:///{tmp_path}/gone/x.db"), spool, levels, {})
    clock = [1000.0]
    monkeypatch.setattr("fmd_otel_exporter.worker.time.monotonic", lambda: clock[0])
    spool.put(record())
    tried: list[float] = []
    while len(tried) < 9:
        before = worker.retries
        worker.tick()
        if worker.retries > before:
            tried.append(clock[0])
        clock[0] += 0.05
    waits = [later - earlier for earlier, later in pairwise(tried)]
    assert waits == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0], abs=0.06)
    # Somebody who waits in a flush need not wait for the next turn.
    worker.hurry = True
    worker.tick()
    assert worker.retries == 10


def test_details_that_cannot_be_read_just_now_leave_the_thread_its_rest(url: str, spool):
    class OfABrokenDisk(MemorySpool):
        def take(self, most: int) -> list:  # noqa: ARG002 # as its base
            return []

    details = OfABrokenDisk(10)
    details.put(outlier())
    worker = Worker(ExporterSettings(database=url), spool, {}, {}, DetailWorker(details))
    assert not worker.tick()
    assert worker.details.waiting


def test_parts_of_a_batch_that_are_in_when_trouble_comes_are_counted_as_written_once(
    worker: Worker, spool, record, monkeypatch
):
    bad = record()
    calls: list[int] = []
    original = Writer.write

    def write(self: Writer, batch: Sequence[RequestRecord]) -> WriteResult:
        calls.append(len(batch))
        if len(calls) == 3:  # the whole batch, the first half, and now the second
            raise StorageError("gone for a moment")
        if bad in batch:
            raise ValueError("no row can hold it")
        return original(self, batch)

    monkeypatch.setattr(Writer, "write", write)
    for each in [*(record() for _ in range(5)), bad, record()]:
        spool.put(each)
    worker.tick()
    assert (worker.written, worker.retries) == (0, 1)
    worker.hurry = True
    while worker.tick():
        pass
    assert (worker.written, worker.duplicate, worker.unwritable) == (6, 0, 1)
