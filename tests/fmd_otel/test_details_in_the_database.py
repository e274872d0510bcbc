"""From a request to the rows of its outlier, its exceptions and its steps, with nothing left out."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from typing import Any

import pytest
from flask import Flask, request
from opentelemetry import trace

import fmd_otel
from fmd_otel.backstage import backstage
from fmd_otel.request_state import STATE_KEY
from fmd_otel_exporter import worker
from fmd_otel_exporter.documents import decode_document
from fmd_otel_exporter.records import CAPTURED, UNHANDLED

WAIT_S = 60.0
OUTLIERS = """
    SELECT r.duration, o.duration, o.threshold_us, o.span_id, o.status, s.value, o.data
    FROM fmd_outlier o
    JOIN fmd_request r ON r.endpoint_id = o.endpoint_id AND r.ts = o.ts AND r.span_id = o.span_id
    JOIN fmd_subject s ON s.id = o.group_id
    ORDER BY o.ts DESC LIMIT 1
"""


@pytest.fixture
def shop(tmp_path, no_provider, monkeypatch):
    """A monitored application at level 2 with a real database, and a way to ask that."""
    monkeypatch.setattr(worker, "AVERAGES_EVERY_S", 0.0)
    monkeypatch.setattr(worker, "AVERAGES_DUTY", 1e9)
    monkeypatch.setattr(worker, "LEVELS_EVERY_S", 0.01)
    app = Flask("shop")

    @app.route("/order/<kind>")
    def order(kind):
        with trace.get_tracer("shop").start_as_current_span("SELECT stock"):
            if kind == "slow":
                wait_for_the_sampler()
        fmd_otel.capture(KeyError(kind))
        if kind == "broken":
            raise ValueError("no price")
        return "fine"

    path = tmp_path / "fmd.db"
    handle = fmd_otel.instrument(
        app, database=f"sqlite:///{path}", monitor_level=2, outlier_min_requests=5, delay_ms=10,
        include_dashboard=False, group_by=lambda: "anna", app_version="1.0",
    )  # fmt: skip

    def ask(sql, *values):
        assert handle.force_flush(20_000)
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql, values).fetchall()

    yield app, handle, ask
    handle.uninstrument()
    handle.monitor.pipeline.shutdown()


def wait_for_the_sampler():
    state = request.environ[STATE_KEY]
    deadline = time.monotonic() + WAIT_S
    while (state.outlier is None or state.outlier.stack is None) and time.monotonic() < deadline:
        time.sleep(0.001)


def is_waiting(stack):
    return "wait_for_the_sampler" in [frame["function"] for frame in stack]


def until_the_average_is_known(handle, client):
    deadline = time.monotonic() + WAIT_S
    average = None
    while (average is None or average.n < 5) and time.monotonic() < deadline:
        client.get("/order/usual")
        handle.force_flush()
        average = handle.monitor.pipeline.average_of("shop", "order")
    assert average is not None


def test_an_outlier_its_exceptions_and_its_steps_are_the_requests(shop):
    app, handle, ask = shop
    client = app.test_client()
    until_the_average_is_known(handle, client)
    document: dict[str, Any] = {}
    deadline = time.monotonic() + WAIT_S
    # On a busy machine the threshold may pass before the view has begun.
    while not is_waiting(document.get("stack", ())) and time.monotonic() < deadline:
        assert client.get("/order/slow?token=hunter2").data == b"fine"
        (outlier,) = ask(OUTLIERS)
        document = decode_document(outlier[-1])
    assert is_waiting(document["stack"])
    duration, outlier_duration, threshold, span, status, user, _ = outlier
    assert duration == outlier_duration > threshold
    assert (status, user) == (200, "anna")
    assert document["url"] == "http://localhost/order/slow?token=[scrubbed]"
    ((steps,),) = ask("SELECT data FROM fmd_request_trace WHERE span_id = ?", span)
    (step,) = decode_document(steps)["spans"]
    assert (step["name"], step["parent_id"]) == ("SELECT stock", span.hex())
    assert handle.failures == {}


def test_every_exception_is_counted_in_its_group(shop):
    app, _, ask = shop
    client = app.test_client()
    for _ in range(40):
        assert client.get("/order/broken").status_code == 500
    groups = ask(
        "SELECT g.type, g.message, g.place, h.kind, SUM(h.n) FROM fmd_exception_group g "
        "JOIN fmd_exception_hits h ON h.group_id = g.id GROUP BY g.id, h.kind ORDER BY g.type"
    )
    assert [(row[0], row[1], row[3], row[4]) for row in groups] == [
        ("KeyError", "'broken'", CAPTURED, 40),
        ("ValueError", "no price", UNHANDLED, 40),
    ]
    assert all(
        place.endswith("test_details_in_the_database.py in shop.<locals>.order")
        for _, _, place, _, _ in groups
    )
    assert ask("SELECT SUM(n) FROM fmd_exception_subject") == [(80,)]
    assert ask("SELECT COUNT(*) FROM fmd_exception_occurrence") == [(10,)]


def test_what_is_captured_outside_of_requests_belongs_to_the_service(shop):
    _, _, ask = shop
    assert fmd_otel.capture(ValueError("in a command"))
    assert ask("SELECT message FROM fmd_exception_group") == [("in a command",)]
    assert ask("SELECT endpoint_id, n FROM fmd_exception_hits") == [(0, 1)]


def test_a_flush_includes_what_is_still_being_put_into_words(shop):
    app, handle, ask = shop
    for _ in range(3):
        app.test_client().get("/order/broken")
    assert handle.force_flush()
    assert backstage().drain(0)
    assert ask("SELECT COUNT(*) FROM fmd_exception_occurrence") == [(6,)]
