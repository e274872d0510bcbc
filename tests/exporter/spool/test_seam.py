"""The spool in the place where the pipeline's worker expects one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter import pipeline as pipeline_module
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.spool import DiskSpool, Spool, SpoolLimits
from fmd_otel_exporter.worker import Worker
from tests.ending import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fmd_otel_exporter.memory_spool import Spool as SpoolProtocol

LIMITS = SpoolLimits(batch_size=10, scan_interval_s=0)
FOR_EVER: dict[str, int] = {"retention_raw_days": 0, "retention_hourly_days": 0}
"""The records of these tests are from long ago, and must not be taken for old ones."""


@pytest.fixture
def make(directory: Path) -> Iterator[Callable[[], DiskSpool]]:
    made: list[DiskSpool] = []

    def make() -> DiskSpool:
        made.append(DiskSpool(Spool(directory, LIMITS)))
        return made[-1]

    yield make
    for spool in made:
        spool.close()


def test_it_is_what_the_worker_asks_for(make, record) -> None:
    spool: SpoolProtocol = make()
    assert spool.take(10) == []
    assert [spool.put(record(n)) for n in range(15)] == list(range(1, 16))
    assert (len(spool), spool.accepted, spool.settled, spool.dropped) == (15, 15, 0, 0)
    first = list(spool.take(10))
    assert first == [record(n) for n in range(10)]
    assert spool.take(10) == first
    assert len(spool) == 15
    spool.done()
    spool.done()
    assert (len(spool), spool.accepted, spool.settled) == (5, 15, 10)
    assert spool.take(10) == [record(n) for n in range(10, 15)]
    spool.done()
    assert (len(spool), spool.settled) == (0, 15)


def test_what_a_dead_process_left_counts_as_accepted_when_it_is_found(make, record, die) -> None:
    dead, heir = make(), make()
    for n in range(25):
        dead.put(record(n))
    die(dead.spool)
    heir.put(record(100))
    goal = heir.accepted
    assert heir.take(10) == [record(100)]  # what was accepted before settles before
    assert (heir.accepted, heir.settled) == (26, 0)
    heir.done()
    assert heir.settled == goal == 1
    while heir.take(10):
        heir.done()
    assert (heir.accepted, heir.settled, len(heir)) == (26, 26, 0)


def test_a_worker_writes_what_waits_and_what_was_inherited(tmp_path, make, record, die, sums) -> None:
    url = f"sqlite:///{tmp_path / 'fmd.db'}"
    dead, heir = make(), make()
    for n in range(25):
        dead.put(record(n))
    die(dead.spool)
    for n in range(100, 125):
        heir.put(record(n))
    worker = Worker(ExporterSettings(database=url, batch_size=10, **FOR_EVER), heir, {}, {})
    while worker.tick():
        pass
    worker.tick()
    while worker.tick():
        pass
    assert worker.written == 50
    assert worker._store is not None
    assert sums(worker._store) == {"requests": 50, "hits": 50, "latencies": 50}
    worker._close()


@pytest.fixture
def pipeline(tmp_path, make, monkeypatch) -> Iterator[Pipeline]:
    monkeypatch.setattr(pipeline_module, "_spool_for", lambda _settings: make())
    pipeline = Pipeline(
        ExporterSettings(database=f"sqlite:///{tmp_path / 'fmd.db'}", delay_ms=20, batch_size=10)
    )
    yield pipeline
    end(pipeline, 2000)


def test_a_pipeline_flushes_through_it(pipeline, record) -> None:
    for n in range(35):
        pipeline.offer(record(n))
    assert pipeline.force_flush()
    counters = pipeline.counters()
    assert (counters.accepted, counters.written, counters.queue_depth) == (35, 35, 0)


def test_a_pipeline_whose_database_is_away_keeps_requests_for_the_next(
    tmp_path, pipeline, record, make, sums
) -> None:
    (tmp_path / "fmd.db").mkdir()  # no database can be opened there
    for n in range(35):
        pipeline.offer(record(n))
    assert not pipeline.force_flush(500)
    assert pipeline.counters().queue_depth == 35
    end(pipeline, 0)
    pipeline._spool.close()
    (tmp_path / "fmd.db").rmdir()

    heir = make()
    worker = Worker(ExporterSettings(database=f"sqlite:///{tmp_path / 'fmd.db'}", **FOR_EVER), heir, {}, {})
    heir.spool.adopt()
    while worker.tick():
        pass
    assert worker._store is not None
    assert sums(worker._store)["requests"] == 35
    worker._close()
