from __future__ import annotations

import logging
import os
import sqlite3
import threading
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from sqlalchemy import func, select, text

from fmd_otel_exporter.catalog import set_level
from fmd_otel_exporter.pipeline import Pipeline, shared_pipeline, trouble_here
from fmd_otel_exporter.records import EndpointInfo
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.worker import LEVELS_EVERY_S, Worker
from tests.ending import end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

A_MOMENT_S = 1.0
"""Far more than handing over takes on a busy machine, far less than the usual wait for a database."""


@pytest.fixture
def lock(url: str, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Another connection that holds the write lock until it is told to commit."""
    open_store(url).dispose()
    other = sqlite3.connect(tmp_path / "fmd.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    yield other
    other.close()


def _count(url: str) -> int:
    store = open_store(url)
    try:
        with store.read() as connection:
            return connection.scalar(select(func.count()).select_from(store.tables.request))
    finally:
        store.dispose()


def test_what_is_offered_is_in_the_database_after_a_flush(pipeline: Pipeline, record, url: str):
    for _ in range(1_000):
        pipeline.offer(record())
    assert pipeline.force_flush()
    assert _count(url) == 1_000
    counters = pipeline.counters()
    assert (counters.accepted, counters.written, counters.queue_depth) == (1_000, 1_000, 0)
    assert (counters.duplicate, counters.dropped_queue_full, counters.dropped_failed) == (0, 0, 0)
    assert counters.last_error is None


def test_a_request_with_a_status_beyond_all_numbers_is_counted(pipeline: Pipeline, record, url: str, rows):
    pipeline.offer(record(status=2**40))
    assert pipeline.force_flush()
    counters = pipeline.counters()
    assert (counters.accepted, counters.written, counters.dropped) == (1, 1, {})
    store = open_store(url)
    assert [row["status"] for row in rows(store, "request")] == [0]
    store.dispose()


def test_requests_arrive_by_themselves(pipeline: Pipeline, record, eventually):
    pipeline.offer(record())
    eventually(lambda: pipeline.counters().written == 1)


def test_a_full_batch_does_not_wait_for_the_delay(url: str, record, eventually):
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=60_000, batch_size=10))
    pipeline.offer(record())
    eventually(lambda: pipeline.counters().written == 1)
    for _ in range(20):
        pipeline.offer(record())
    eventually(lambda: pipeline.counters().written >= 20)
    pipeline.shutdown(1000)


def test_nothing_happens_before_the_first_request(url: str, tmp_path: Path):
    pipeline = Pipeline(ExporterSettings(database=url))
    pipeline.announce([EndpointInfo("shop", "shop.cart")])
    assert pipeline.level_of("shop", "shop.cart") == 1
    assert pipeline.force_flush()
    assert list(tmp_path.iterdir()) == []
    assert "fmd-otel" not in {thread.name for thread in threading.enumerate()}
    pipeline.shutdown()


def test_a_web_worker_imports_no_database_before_its_first_request(run, url: str):
    code = """
import sys
import fmd_otel_exporter.span_exporter, fmd_otel_exporter.span_processor
from fmd_otel_exporter.pipeline import shared_pipeline
from fmd_otel_exporter.settings import ExporterSettings
exporter = fmd_otel_exporter.span_exporter.FmdSpanExporter(sys.argv[1])
pipeline = shared_pipeline(ExporterSettings(database=sys.argv[1]))
pipeline.level_of("a", "b"), pipeline.counters(), pipeline.announce([])
heavy = ("sqlalchemy", "alembic", "sqlite3", "numpy", "dash", "plotly")
print(sorted({name.partition(".")[0] for name in sys.modules} & set(heavy)))
"""
    assert run(code, url) == "[]"


def test_announced_endpoints_are_registered_with_the_first_request(
    pipeline: Pipeline, record, url: str, rows
):
    pipeline.announce(
        [EndpointInfo("shop", "shop.cart", "/cart", "GET"), EndpointInfo("shop", "index", "/", "GET")]
    )
    pipeline.offer(record())
    assert pipeline.force_flush()
    store = open_store(url)
    assert [row["name"] for row in rows(store, "endpoint")] == ["index", "shop.cart"]
    pipeline.announce([EndpointInfo("shop", "late", "/late", "GET")])
    pipeline.offer(record())
    assert pipeline.force_flush()
    assert [row["name"] for row in rows(store, "endpoint")] == ["index", "shop.cart", "late"]
    store.dispose()


def test_a_level_set_elsewhere_is_obeyed(pipeline: Pipeline, record, url: str, rows, eventually):
    assert LEVELS_EVERY_S <= 2  # which is promised, on a machine that has the time
    pipeline.offer(record())
    assert pipeline.force_flush()
    store = open_store(url)
    (endpoint,) = rows(store, "endpoint")
    for level in (0, 3):
        set_level(store, endpoint["id"], level)
        eventually(lambda level=level: pipeline.level_of("shop", "shop.cart") == level)
    with store.write() as connection:
        connection.execute(store.tables.endpoint.delete())
    eventually(lambda: pipeline.level_of("shop", "shop.cart") == 1)
    store.dispose()


def test_days_that_are_over_are_summed_up_by_the_worker(
    pipeline: Pipeline, record, url: str, rows, eventually
):
    pipeline.offer(record(ts_us=1_700_000_000_000_000))
    store = open_store(url)
    # Where there are no transactions, it is registered before, too, as one that is being summed up.
    eventually(lambda: [row for row in rows(store, "rollup_day") if row["sealed"] >= 0])
    assert [row["n"] for row in rows(store, "hits_day")] == [1]
    store.dispose()


def test_a_locked_database_holds_up_nobody_and_loses_nothing(
    lock: sqlite3.Connection, record, url: str, monkeypatch, eventually
):
    monkeypatch.setattr("fmd_otel_exporter.dialects.sqlite.BUSY_TIMEOUT_S", 0.05)
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20, queue_size=2_000, batch_size=100))
    slowest = 0.0
    for _ in range(1_500):
        begun = time.perf_counter()
        pipeline.offer(record())
        slowest = max(slowest, time.perf_counter() - begun)
    eventually(lambda: pipeline.counters().retries >= 3)
    assert "holds the SQLite database" in pipeline.counters().last_error
    assert not pipeline.force_flush(100)
    lock.execute("COMMIT")
    assert pipeline.force_flush(20_000)
    assert slowest < A_MOMENT_S
    assert _count(url) == 1_500
    assert pipeline.counters().dropped_queue_full == 0
    pipeline.shutdown()


def test_trouble_can_be_asked_for_while_it_lasts(
    lock: sqlite3.Connection, record, url: str, monkeypatch, eventually
):
    monkeypatch.setattr("fmd_otel_exporter.dialects.sqlite.BUSY_TIMEOUT_S", 0.05)
    assert trouble_here(url, "fmd") is None
    pipeline = shared_pipeline(ExporterSettings(database=url, delay_ms=20))
    pipeline.offer(record())
    eventually(lambda: "holds the SQLite database" in (trouble_here(url, "fmd") or ""))
    assert trouble_here(url, "other") is None
    lock.execute("COMMIT")
    assert pipeline.force_flush(20_000)
    eventually(lambda: trouble_here(url, "fmd") is None)
    pipeline.shutdown()


def test_beyond_the_bound_the_oldest_are_dropped_and_counted(
    lock: sqlite3.Connection, record, url: str, monkeypatch
):
    monkeypatch.setattr("fmd_otel_exporter.dialects.sqlite.BUSY_TIMEOUT_S", 0.05)
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20, queue_size=50, batch_size=10, spool_mb=0))
    for _ in range(500):
        pipeline.offer(record())
    waiting = pipeline.counters()
    assert waiting.accepted == 500
    assert waiting.queue_depth + waiting.dropped_queue_full == 500
    assert 50 <= waiting.queue_depth <= 60
    lock.execute("COMMIT")
    assert pipeline.force_flush(20_000)
    counters = pipeline.counters()
    assert counters.written + counters.dropped_queue_full == 500
    assert counters.written == _count(url) >= 50
    pipeline.shutdown()


def test_trouble_is_told_once_an_incident(tmp_path: Path, record, monkeypatch, caplog, eventually):
    monkeypatch.setattr("fmd_otel_exporter.worker.LAST_RETRY_S", 0.05)
    pipeline = Pipeline(ExporterSettings(database=f"sqlite:///{tmp_path}/later/fmd.db", delay_ms=20))
    pipeline.offer(record())
    eventually(lambda: pipeline.counters().retries >= 5)
    (tmp_path / "later").mkdir()
    assert pipeline.force_flush()
    eventually(lambda: len(caplog.records) >= 2)
    pipeline.shutdown()
    told = [(entry.name, entry.levelno, entry.getMessage()) for entry in caplog.records]
    assert [(name, level) for name, level, _ in told] == [("fmd_otel", logging.WARNING)] * 2
    assert "cannot write to sqlite:///" in told[0][2]
    assert "The app is not affected" in told[0][2]
    assert "writes to sqlite:///" in told[1][2]


def test_a_database_that_cannot_be_opened_yet_is_waited_for(tmp_path: Path, record):
    pipeline = Pipeline(ExporterSettings(database=f"sqlite:///{tmp_path}/later/fmd.db", delay_ms=20))
    pipeline.offer(record())
    assert not pipeline.force_flush(300)
    assert "no directory" in pipeline.counters().last_error
    (tmp_path / "later").mkdir()
    assert pipeline.force_flush()
    pipeline.shutdown()


def test_a_database_that_is_no_database_at_all_stops_no_request(record, caplog):
    pipeline = Pipeline(
        ExporterSettings(database="oracle://me:s3cret@host/db", delay_ms=20, queue_size=10, spool_mb=0)
    )
    for _ in range(30):
        pipeline.offer(record())
    assert not pipeline.force_flush(300)
    assert "supported are" in pipeline.counters().last_error
    assert pipeline.counters().dropped_queue_full == 20
    assert "s3cret" not in caplog.text
    pipeline.shutdown(0)


def test_a_database_moved_away_is_replaced_by_a_new_one(pipeline: Pipeline, record, url: str, tmp_path: Path):
    pipeline.offer(record())
    assert pipeline.force_flush()
    for path in tmp_path.glob("fmd.db*"):
        path.rename(tmp_path / f"old-{path.name}")
    for _ in range(3):
        pipeline.offer(record())
    assert pipeline.force_flush()
    assert _count(url) == 3


def test_tables_that_disappear_are_made_again(pipeline: Pipeline, record, url: str, store: Store):
    pipeline.offer(record())
    assert pipeline.force_flush()
    with store.write() as connection:
        store.tables.metadata.drop_all(connection)
        connection.execute(text("DROP TABLE fmd_schema_version"))
    for _ in range(3):
        pipeline.offer(record())
    assert pipeline.force_flush()
    assert _count(url) == 3


def test_one_record_that_cannot_be_stored_costs_no_other(pipeline: Pipeline, record, url: str):
    batch = [record() for _ in range(40)]
    batch[13] = record(ts_us="noon")
    batch[27] = record(span_id="12345678")
    batch[31] = None
    for one in batch:
        pipeline.offer(one)
    assert pipeline.force_flush()
    counters = pipeline.counters()
    assert (counters.written, counters.dropped_failed) == (37, 3)
    assert _count(url) == 37


def test_nothing_of_the_worker_is_traced(pipeline: Pipeline, record, monkeypatch):
    seen: list[bool] = []
    original = Worker.tick
    monkeypatch.setattr(
        Worker, "tick", lambda self: seen.append(is_instrumentation_enabled()) or original(self)
    )
    pipeline.offer(record())
    assert pipeline.force_flush()
    assert set(seen) == {False}
    assert is_instrumentation_enabled()


def test_a_worker_outlives_any_exception(pipeline: Pipeline, record, monkeypatch, url: str):
    original = Worker._write_next
    faults = [MemoryError("none left"), ValueError("what?"), KeyError("x")]

    def write_next(self: Worker) -> bool:
        if faults:
            raise faults.pop()
        return original(self)

    monkeypatch.setattr(Worker, "_write_next", write_next)
    pipeline.offer(record())
    assert pipeline.force_flush()
    assert _count(url) == 1
    assert pipeline.counters().retries == 3


def test_a_process_out_of_threads_serves_on_and_tries_again(
    pipeline: Pipeline, record, monkeypatch, eventually
):
    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("fmd_otel_exporter.pipeline.start_thread", refuse)
    pipeline.offer(record())
    monkeypatch.undo()
    monkeypatch.setattr("fmd_otel_exporter.pipeline._RESTART_AFTER_S", 0.0)

    def written() -> bool:
        pipeline.offer(record())
        return pipeline.counters().written > 1

    eventually(written)


def test_after_a_shutdown_nothing_is_accepted_and_the_file_is_closed(url: str, record, tmp_path: Path):
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20))
    pipeline.offer(record())
    end(pipeline, 60_000)
    pipeline.offer(record())
    assert pipeline.counters().accepted == 1
    assert _count(url) == 1
    assert not (tmp_path / "fmd.db-wal").exists()


def test_everybody_who_writes_to_one_database_shares_a_pipeline(url: str, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    one = shared_pipeline(ExporterSettings(database=url))
    assert shared_pipeline(ExporterSettings(database="sqlite:///fmd.db", delay_ms=50)) is one
    assert shared_pipeline(ExporterSettings(database=url, table_prefix="other")) is not one
    one.shutdown()
    two = shared_pipeline(ExporterSettings(database=url))
    assert two is not one
    assert not two.closed


def test_a_relative_database_stays_where_it_was_when_the_app_changes_directory(
    tmp_path: Path, monkeypatch, record
):
    monkeypatch.chdir(tmp_path)
    pipeline = Pipeline(ExporterSettings(database="sqlite:///here.db", delay_ms=20))
    monkeypatch.chdir(os.sep)
    pipeline.offer(record())
    assert pipeline.force_flush()
    assert (tmp_path / "here.db").exists()
    pipeline.shutdown()


def test_the_same_requests_offered_twice_count_once(pipeline: Pipeline, record, url: str):
    batch = [record() for _ in range(20)]
    for one in batch:
        pipeline.offer(one)
    assert pipeline.force_flush()
    for one in batch[5:15]:
        pipeline.offer(one)
    assert pipeline.force_flush()
    assert pipeline.counters().duplicate == 10
    assert _count(url) == 20


def test_offers_from_many_threads_are_all_written(pipeline: Pipeline, record, url: str):
    batches = [[record() for _ in range(500)] for _ in range(4)]
    threads = [threading.Thread(target=lambda b=b: [pipeline.offer(one) for one in b]) for b in batches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert pipeline.force_flush()
    assert _count(url) == pipeline.counters().written == 2_000
