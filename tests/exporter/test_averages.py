"""What an endpoint's requests take of late comes from the sums of all processes, as last read."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import select

from fmd_otel_exporter import worker
from fmd_otel_exporter.averages import RECENT_S, load_averages
from fmd_otel_exporter.catalog import register_endpoints, set_level
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.records import EndpointInfo, RequestRecord
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

NOW_S = 1_760_000_000


def request(number, endpoint="view", *, duration_us=1000, ts_s=NOW_S, level=2):
    return RequestRecord(
        "shop", endpoint, ts_s * 1_000_000 + number, number.to_bytes(8, "big"), bytes(16), duration_us, 200,
        "GET", "1.0", level=level,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path):
    found = open_store(f"sqlite:///{tmp_path}/db.sqlite", "fmd")
    infos = [EndpointInfo("shop", name, f"/{name}", "GET", None) for name in ("view", "other", "idle")]
    register_endpoints(found, infos, 2)
    yield found
    found.dispose()


def test_the_average_is_that_of_all_requests_of_the_last_day(store):
    writer = Writer(store, default_level=2)
    writer.write([request(number, duration_us=number * 1000) for number in range(1, 11)])
    writer.write([request(100, "other", duration_us=7)])
    writer.write([request(101, duration_us=10**9, ts_s=NOW_S - RECENT_S - 3600)])
    found = load_averages(store, NOW_S + 60)
    assert found["shop", "view"] == (10, 5500)
    assert found["shop", "other"] == (1, 7)
    assert ("shop", "idle") not in found


def test_endpoints_below_level_2_are_not_asked_for(store):
    Writer(store, default_level=2).write([request(1), request(2, "other")])
    with store.read() as connection:
        ids = dict(connection.execute(select(store.tables.endpoint.c.name, store.tables.endpoint.c.id)).all())
    set_level(store, ids["view"], 1)
    assert set(load_averages(store, NOW_S)) == {("shop", "other")}


def test_a_worker_reads_them_for_its_process(tmp_path, monkeypatch):
    monkeypatch.setattr(worker, "AVERAGES_EVERY_S", 0.0)
    monkeypatch.setattr(worker, "AVERAGES_DUTY", 1e9)
    pipeline = Pipeline(
        ExporterSettings(database=f"sqlite:///{tmp_path}/db.sqlite", default_level=2, delay_ms=10)
    )
    assert pipeline.average_of("shop", "view") is None
    now_s = int(time.time())
    for number in range(5):
        pipeline.offer(request(number, ts_s=now_s))
    assert pipeline.force_flush()
    deadline = time.monotonic() + 40
    while (found := pipeline.average_of("shop", "view")) is None and time.monotonic() < deadline:
        pipeline.offer(request(int(time.monotonic_ns()), ts_s=now_s))
        pipeline.force_flush()
    assert found is not None
    assert found.us == 1000
    pipeline.shutdown()
