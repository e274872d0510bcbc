"""What the monitoring says of itself through OpenTelemetry's metrics."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest
from flask import Flask
from opentelemetry import metrics as api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.util._once import Once

import fmd_otel
from fmd_otel import metrics
from fmd_otel.metrics import INSTRUMENTS
from tests.ending import PATIENT

DOCUMENT = Path(__file__).parents[2] / "docs" / "self-observation.md"


@pytest.fixture(autouse=True)
def no_meters(monkeypatch):
    """Begin as a process does: without meter provider, and without our instruments anywhere."""
    internal = api._internal
    monkeypatch.setattr(internal, "_METER_PROVIDER", None)
    monkeypatch.setattr(internal, "_METER_PROVIDER_SET_ONCE", Once())
    monkeypatch.setattr(internal, "_PROXY_METER_PROVIDER", internal._ProxyMeterProvider())
    for name in ("_pipelines", "_globally"):
        monkeypatch.setattr(metrics, name, [])
    monkeypatch.setattr(metrics, "_metered", type(metrics._metered)())


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader):
    return MeterProvider([reader])


@pytest.fixture
def shop(tmp_path):
    """An application that is not monitored yet, and how it begins to be."""
    made = []

    def make(name="shop", **settings):
        app = Flask(name)
        app.add_url_rule("/", "index", lambda: "hello")
        url = f"sqlite:///{tmp_path / 'fmd.db'}"
        handle = fmd_otel.instrument(app, database=url, include_dashboard=False, **settings)
        made.append(handle)
        return app, handle

    yield make
    for handle in made:
        handle.force_flush()
        handle.uninstrument()


def told(reader):
    """Return what was collected: name to the values of its points, by their own attribute."""
    data = reader.get_metrics_data()
    found = {}
    for resource in data.resource_metrics if data else []:
        for scope in resource.scope_metrics:
            if scope.scope.name == "fmd_otel":
                for metric in scope.metrics:
                    assert metric.name not in found, f"{metric.name} is there twice"
                    found[metric.name] = metric
    return found


def value(metric):
    (point,) = metric.data.data_points
    assert point.attributes["process.pid"] == os.getpid()
    return point.value


def test_requests_are_told_of(shop, reader, provider):
    api.set_meter_provider(provider)
    app, handle = shop()
    for _ in range(3):
        app.test_client().get("/")
    assert handle.force_flush()
    deadline = time.monotonic() + 60
    # A batch has taken its time once its file is gone, a moment after its requests are in the database.
    while not value((found := told(reader))["fmd_otel.batches"]) and time.monotonic() < deadline:
        pass
    assert value(found["fmd_otel.requests.accepted"]) == value(found["fmd_otel.requests.written"]) == 3
    assert value(found["fmd_otel.queue.depth"]) == 0
    assert value(found["fmd_otel.batches"]) >= 1
    assert value(found["fmd_otel.batch.duration.max"]) > 0
    assert found["fmd_otel.requests.written"].unit == "{request}"
    assert found["fmd_otel.requests.written"].data.is_monotonic


def test_failures_are_told_by_their_place(shop, reader, provider):
    api.set_meter_provider(provider)

    def fail():
        raise ValueError

    app, handle = shop(group_by=fail)
    for _ in range(2):
        app.test_client().get("/")
    points = {
        point.attributes["place"]: point.value for point in told(reader)["fmd_otel.failures"].data.data_points
    }
    assert points == {"group_by": 2}
    handle.uninstrument()
    assert "fmd_otel.failures" not in told(reader)


def test_without_a_meter_provider_nothing_is_told_until_there_is_one(shop, reader, provider):
    app, handle = shop()
    app.test_client().get("/")
    assert handle.force_flush()
    assert told(reader) == {}
    api.set_meter_provider(provider)
    assert value(told(reader)["fmd_otel.requests.written"]) == 1


def test_instrumenting_again_registers_nothing_twice(shop, reader, provider, caplog):
    _, handle = shop()  # by the API's stand-in
    api.set_meter_provider(provider)
    handle.uninstrument()
    app, handle = shop("again")
    shop("another")
    shop("given", meter_provider=provider)
    app.test_client().get("/")
    assert handle.force_flush()
    assert value(told(reader)["fmd_otel.requests.written"]) == 1
    assert "already" not in caplog.text


def test_a_provider_that_was_given_is_used(shop, reader, provider):
    app, handle = shop(meter_provider=provider)
    app.test_client().get("/")
    assert handle.force_flush()
    assert value(told(reader)["fmd_otel.requests.written"]) == 1


def test_one_given_first_and_made_the_process_s_own_later_is_not_met_twice(shop, reader, provider):
    shop(meter_provider=provider)
    api.set_meter_provider(provider)
    app, handle = shop("again")
    app.test_client().get("/")
    assert handle.force_flush()
    assert value(told(reader)["fmd_otel.requests.written"]) == 1


def test_a_provider_out_of_order_stops_no_application(shop, caplog, monkeypatch):
    def fail(_given):
        raise RuntimeError("no meters here")

    monkeypatch.setattr(metrics, "_make_instruments", fail)
    app, _ = shop()
    assert app.test_client().get("/").text == "hello"
    assert "no meters here" in caplog.text


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda each: each.name)
def test_every_metric_is_documented(instrument):
    row = re.search(
        rf"^\| `{re.escape(instrument.name)}` \| (.+?) \| `(.+?)` \|", DOCUMENT.read_text(), re.MULTILINE
    )
    assert row, instrument.name
    assert (row[1], row[2]) == (instrument.kind.replace("_", " "), instrument.unit)


CHILD = """
import os, sys
from flask import Flask
from opentelemetry import metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
import fmd_otel

reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider([reader]))
app = Flask("shop")
app.add_url_rule("/", "index", lambda: "hello")
handle = fmd_otel.instrument(app, database=sys.argv[1], include_dashboard=False)

def written():
    for resource in reader.get_metrics_data().resource_metrics:
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                if metric.name == "fmd_otel.requests.written":
                    (point,) = metric.data.data_points
                    assert point.attributes["process.pid"] == os.getpid()
                    return point.value

for _ in range(4):
    app.test_client().get("/")
assert handle.force_flush(60_000) and written() == 4
if os.fork() == 0:
    assert written() == 0, written()
    app.test_client().get("/")
    assert handle.force_flush(60_000) and written() == 1, written()
    os._exit(0)
_, status = os.wait()
assert status == 0 and written() == 4
print("ok")
"""


def test_a_forked_process_tells_its_own_numbers(tmp_path):
    import subprocess  # noqa: PLC0415
    import sys  # noqa: PLC0415

    command = [sys.executable, "-c", PATIENT + CHILD, f"sqlite:///{tmp_path / 'fmd.db'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout == "ok\n", done.stderr
