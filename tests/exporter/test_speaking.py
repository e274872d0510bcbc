"""A pipeline's process says how it fares, by the thread that writes."""

from __future__ import annotations

import json
import os

import pytest

from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.settings import ExporterSettings
from tests.ending import PATIENT, end


@pytest.fixture
def said(store, rows):
    return lambda: rows(store, "process")


def test_it_says_so_with_its_first_requests_and_says_goodbye(pipeline, record, said, eventually):
    pipeline.failures.watch({"get_ip": 2})
    for _ in range(3):
        pipeline.offer(record(version="1.7.0"))
    assert pipeline.force_flush()
    (row,) = eventually(said)
    assert (row["pid"], row["role"], row["state"]) == (os.getpid(), "worker", 0)
    assert (row["service"], row["version"], row["retention"]) == ("shop", "1.7.0", "30,90,0")
    assert json.loads(row["failures"]) == {"get_ip": 2}
    pipeline.shutdown()
    row = eventually(lambda: next((row for row in said() if row["state"] == 1), None))
    assert (row["accepted"], row["written"], row["waiting"], row["batches"] >= 1) == (3, 3, 0, True)


def test_a_receiver_says_that_it_is_one(url, record, said, eventually):
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20, retention_raw_days=7), role="otlp")
    pipeline.offer(record())
    assert pipeline.force_flush()
    (row,) = eventually(said)
    assert (row["role"], row["retention"]) == ("otlp", "7,90,0")
    pipeline.shutdown()


def test_counters_tell_why_requests_were_lost_and_how_long_batches_took(pipeline, record, eventually):
    for one in [record(), record(ts_us="noon"), record()]:
        pipeline.offer(one)
    assert pipeline.force_flush()
    assert pipeline.counters().dropped == {"refused": 1}
    eventually(lambda: pipeline.counters().batches)  # a batch has taken its time once its file is gone
    end(pipeline)
    counters = pipeline.counters()
    assert counters.batch_max_us >= counters.batch_last_us > 0
    assert counters.batch_us >= counters.batch_max_us


CHILD = """
import os, sys, time
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.records import RequestRecord

def record():
    ids = os.urandom(8), os.urandom(16)
    return RequestRecord("shop", "e", 1_790_000_000_000_000, *ids, 5, 200, "GET", "1")

def spoken():
    # A request is in the database a moment before its process says so.
    deadline = time.monotonic() + 40
    while (heartbeat := pipeline._worker.speaker._heartbeat) is None or heartbeat._said is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)

pipeline = Pipeline(ExporterSettings(database=sys.argv[1], delay_ms=20))
failures = {"group_by": 5}
pipeline.failures.watch(failures)
for _ in range(4):
    pipeline.offer(record())
assert pipeline.force_flush()
if os.fork() == 0:
    before = pipeline.counters()
    assert (before.accepted, before.written, before.failures, before.batches) == (0, 0, {}, 0), before
    pipeline.offer(record())
    failures["group_by"] += 1
    assert pipeline.force_flush()
    counters = pipeline.counters()
    assert (counters.accepted, counters.written, counters.failures) == (1, 1, {"group_by": 1}), counters
    spoken()
    pipeline.shutdown()
    os._exit(0)
_, status = os.wait()
assert status == 0
spoken()
pipeline.shutdown()
print("ok")
"""


def test_a_forked_process_counts_from_nought_and_speaks_for_itself(url, run, said, store, eventually):
    assert run(PATIENT + CHILD, url) == "ok"
    rows = eventually(lambda: len(said()) == 2 and said())
    assert len({row["pid"] for row in rows}) == len({row["id"] for row in rows}) == 2
    # The last word of a process that ends may be lost; what it says is its own in any case.
    parent, child = sorted(rows, key=lambda row: row["started_ts"])
    assert 1 <= parent["accepted"] <= 4
    assert child["accepted"] == 1
