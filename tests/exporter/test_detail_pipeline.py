"""Details on their way through the pipeline: beside requests, and never before them."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.catalog import order_profile, register_endpoints
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.pipeline import DETAILS_A_BATCH, DETAILS_IN_MEMORY, Pipeline
from fmd_otel_exporter.profile_orders import ProfileOrders
from fmd_otel_exporter.records import EndpointInfo
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.spool import details_directory, inspect, spool_directory
from fmd_otel_exporter.store import open_store
from tests.ending import PATIENT
from tests.exporter.details import exception, outlier, profile, trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

ROOT = str(Path(__file__).parents[2])


def test_all_kinds_arrive_with_the_flush(pipeline: Pipeline, record, url, rows):
    for _ in range(3):
        pipeline.offer(record())
        for make in (profile, outlier, exception, trace):
            pipeline.offer_detail(make())
    assert pipeline.force_flush()
    counters = pipeline.counters()
    assert (counters.accepted, counters.written) == (3, 3)
    assert (counters.details_accepted, counters.details_written, counters.details_dropped) == (12, 12, 0)
    store = open_store(url)
    names = ("request", "profile", "outlier", "exception_occurrence", "request_trace")
    assert [len(rows(store, name)) for name in names] == [3] * 5
    store.dispose()


def test_details_alone_start_the_thread(pipeline: Pipeline):
    pipeline.offer_detail(profile())
    assert pipeline.force_flush()
    assert pipeline.counters().details_written == 1


def test_one_that_no_row_can_hold_is_counted_and_holds_up_nobody(pipeline: Pipeline, record, caplog):
    pipeline.offer(record())
    for n in range(5):
        pipeline.offer_detail(profile(nodes=profile().nodes[2:]) if n == 2 else outlier())
    assert pipeline.force_flush()
    counters = pipeline.counters()
    assert (counters.details_written, counters.details_dropped, counters.written) == (4, 1, 1)
    assert [entry.getMessage() for entry in caplog.records if "ProfileRecord" in entry.getMessage()]


@pytest.mark.parametrize("spool_mb", [0, 64])
def test_what_is_no_detail_is_counted_and_nothing_more(url: str, spool_mb: int):
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20, spool_mb=spool_mb))
    pipeline.offer_detail(None)  # type: ignore[arg-type]
    pipeline.offer_detail(trace(document=bytes(2 << 20)))
    pipeline.offer_detail(outlier())
    assert pipeline.force_flush()
    counters = pipeline.counters()
    assert (counters.details_written, counters.details_dropped) == (1, 2)
    pipeline.shutdown()


def test_too_many_details_drop_the_oldest_of_them_and_no_request(url: str, record):
    held = open_store(url)
    held.dispose()
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20, spool_mb=1))
    document = bytes(10_000)
    for _ in range(200):
        pipeline.offer(record())
        pipeline.offer_detail(outlier(document=document))
    assert not pipeline.force_flush(200)
    directory = spool_directory(pipeline.settings.database, "fmd")
    assert inspect(details_directory(directory)).bytes < 1.3 * 1024 * 1024
    assert pipeline.counters().details_dropped >= DETAILS_A_BATCH
    assert pipeline.counters().dropped_queue_full == 0
    other.execute("ROLLBACK")
    other.close()
    assert pipeline.force_flush(20_000)
    counters = pipeline.counters()
    assert counters.written == 200
    assert 0 < counters.details_written < 200
    assert counters.details_written + counters.details_dropped == counters.details_accepted == 200
    pipeline.shutdown()


def test_without_a_disk_a_few_details_wait_in_memory(url: str):
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=60_000, spool_mb=0))
    pipeline._start = lambda: None
    for _ in range(DETAILS_IN_MEMORY + 10):
        pipeline.offer_detail(outlier())
    assert pipeline.counters().details_dropped == 10
    del pipeline._start
    assert pipeline.force_flush()
    assert pipeline.counters().details_written == DETAILS_IN_MEMORY
    pipeline.shutdown()


def test_requests_are_written_before_any_detail_that_came_earlier(pipeline: Pipeline, record, monkeypatch):
    order: list[str] = []
    worker = pipeline._worker
    write, write_details = worker._write, worker.details.write_next
    monkeypatch.setattr(worker, "_write", lambda batch: (order.append("requests"), write(batch)))

    def details(*arguments):
        wrote = write_details(*arguments)
        if wrote:
            order.append("details")
        return wrote

    monkeypatch.setattr(worker.details, "write_next", details)
    pipeline._running = True  # nobody starts the thread
    for _ in range(2 * DETAILS_A_BATCH):
        pipeline.offer_detail(profile())
    for _ in range(10):
        pipeline.offer(record())
    pipeline._running = False
    assert pipeline.force_flush()
    assert order[0] == "requests"
    assert order.count("details") >= 2


def test_trouble_with_details_alone_keeps_requests_coming(
    pipeline: Pipeline, record, monkeypatch, eventually
):
    def broken(*_: object) -> bool:
        raise StorageError("no room for details")

    monkeypatch.setattr(pipeline._worker.details, "write_next", broken)
    pipeline.offer_detail(profile())
    for _ in range(20):
        pipeline.offer(record())
        time.sleep(0.01)
    eventually(lambda: pipeline.counters().written == 20)
    assert pipeline.counters().details_written == 0


def test_what_one_process_left_the_next_one_writes(url: str, run, eventually: Callable):
    code = """
import os, sys
sys.path.insert(0, sys.argv[2])
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.settings import ExporterSettings
from tests.exporter.details import exception, profile
p = Pipeline(ExporterSettings(database=sys.argv[1], delay_ms=60_000))
p._start = lambda: None
for _ in range(3): p.offer_detail(profile()); p.offer_detail(exception(document=None))
print(p.counters().details_accepted, flush=True)
os._exit(0)
"""
    assert run(code, url, ROOT) == "6"
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20))
    pipeline.offer_detail(outlier())
    eventually(lambda: pipeline.counters().details_written == 7)
    pipeline.shutdown()


def test_a_forked_child_hands_over_its_own_details(url: str, run, rows):
    code = """
import os, sys
sys.path.insert(0, sys.argv[2])
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.settings import ExporterSettings
from tests.exporter.details import outlier, profile
p = Pipeline(ExporterSettings(database=sys.argv[1], delay_ms=20))
for _ in range(5): p.offer_detail(profile())
pid = os.fork()
if pid == 0:
    for _ in range(7): p.offer_detail(outlier())
    os._exit(0 if p.force_flush() and p.counters().details_written == 7 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), p.force_flush(), p.counters().details_written)
p.shutdown()
"""
    assert run(PATIENT + code, url, ROOT) == "0 True 5"
    store = open_store(url)
    assert (len(rows(store, "profile")), len(rows(store, "outlier"))) == (5, 7)
    store.dispose()


# Profile the next request


def test_an_order_reaches_the_process_and_is_taken_once(
    pipeline: Pipeline, store: Store, record, rows, eventually: Callable
):
    register_endpoints(store, [EndpointInfo("shop", "shop.cart")], 1)
    assert not pipeline.take_profile("shop", "shop.cart")
    order_profile(store, rows(store, "endpoint")[0]["id"])
    pipeline.offer(record())
    eventually(lambda: pipeline.take_profile("shop", "shop.cart"))
    assert not pipeline.take_profile("shop", "shop.cart")
    pipeline.offer_detail(profile(exact=True))
    assert pipeline.force_flush()
    assert [row["exact"] for row in rows(store, "profile")] == [1]
    assert rows(store, "endpoint")[0]["profile_next"] == 0


def test_an_order_under_way_is_not_taken_again_until_it_was_given_up():
    now = [0.0]
    orders = ProfileOrders(timer=lambda: now[0])
    name = ("shop", "cart")
    orders.update({name})
    assert not orders.take("shop", "pay")
    assert orders.take(*name)
    orders.update({name})  # not written yet
    assert not orders.take(*name)
    now[0] = 61.0
    orders.update({name})
    assert orders.take(*name)
    orders.update(set())
    orders.update({name})  # ordered anew
    assert orders.take(*name)
    orders.update(set())
    assert not orders.take(*name)
