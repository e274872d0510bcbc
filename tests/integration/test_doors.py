"""Every way of starting an application, under every server: exactly as many requests as were sent."""

from __future__ import annotations

import os
import signal
import sysconfig
import time
from pathlib import Path

import pytest

from tests.integration.conftest import DEADLINE_S

pytestmark = pytest.mark.integration

N = 42
DOORS = ("launcher", "two-lines")
APPS = Path(__file__).parent / "apps"
LARGE = Path(sysconfig.get_paths()["stdlib"]) / "typing.py"
"""What /file sends."""


def assert_exactly(database, number, server):
    assert database.wait_for(number) == number, server.output()
    server.stop()
    assert database.count() == number, server.output()
    assert database.hits() == number
    assert not server.complaints()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "server",
    [
        "flask-run",
        "flask-debug",
        "gunicorn-4",
        "gunicorn-preload",
        "gunicorn-gthread",
        "gunicorn-gevent",
        "waitress",
    ],
)
def test_exactly_as_many_requests_as_were_sent(start, database, door, server):
    running = start(door, server)
    running.send(N - 1)
    assert len(running.get("/file")[1]) == LARGE.stat().st_size
    assert database.wait_for(N) == N, running.output()
    each = N // 6
    assert database.by_endpoint() == {
        "index": each,
        "shop.item": 2 * each,
        "fail": each,
        "unmatched:4xx": each,
        "file": each,
    }
    assert_exactly(database, N, running)


@pytest.mark.parametrize("door", DOORS)
def test_a_collector_gets_all_of_them_too(start, database, collector, door):
    running = start(
        door,
        "gunicorn-2",
        OTEL_TRACES_EXPORTER="fmd,otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    running.send(N)
    assert collector.wait_for(N) == N, running.output()
    assert_exactly(database, N, running)
    assert len(collector.spans) == N
    names = {attribute.key for span in collector.spans for attribute in span.attributes}
    assert {"fmd.endpoint", "fmd.version", "http.route"} <= names


def test_a_sampler_that_keeps_nothing_changes_no_count(start, database, collector):
    running = start(
        "launcher",
        "gunicorn-2",
        OTEL_TRACES_EXPORTER="fmd,otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
        OTEL_TRACES_SAMPLER="always_off",
    )
    running.send(N)
    assert_exactly(database, N, running)
    assert not collector.spans


@pytest.mark.parametrize("door", DOORS)
def test_visits_of_the_dashboard_are_neither_counted_nor_traced(start, database, collector, door):
    running = start(
        door,
        "gunicorn-gthread",
        FMD_OTEL_INCLUDE_DASHBOARD="true",
        OTEL_TRACES_EXPORTER="fmd,otlp",
        OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{collector.port}",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    running.send(10)
    for _ in range(4):
        status, body = running.get("/dashboard/")
        assert status < 500, running.output()
        assert body
    running.send(10)
    assert collector.wait_for(20) == 20
    assert database.wait_for(20) == 20
    running.stop()
    assert database.count() == 20
    assert len(collector.spans) == 20


@pytest.mark.parametrize("door", DOORS)
def test_workers_that_are_recycled_lose_nothing(start, database, door):
    running = start(door, "gunicorn-2", extra=("--max-requests", "12", "--graceful-timeout", "10"))
    for sent in range(7, N + 1, 7):
        running.send(7)
        # An exit waits for the database only so long; on a busy machine a worker has to have it open by then.
        assert database.wait_for(sent) == sent, running.output()
    assert_exactly(database, N, running)


@pytest.mark.parametrize("door", DOORS)
def test_workers_that_are_restarted_gracefully_lose_nothing(start, database, door):
    running = start(door, "gunicorn-2")
    running.send(N // 2)
    assert database.wait_for(N // 2) == N // 2, running.output()
    running.process.send_signal(signal.SIGHUP)
    running.send(N // 2)
    running.wait_for_output("Worker exiting", times=2)
    # One that had no time to open the database left its requests to its successors, who look for them once
    # they have some of their own.
    running.send(4)
    assert_exactly(database, N + 4, running)


def test_a_worker_that_is_killed_takes_nothing_along_that_was_written_and_its_successor_goes_on(
    start, database
):
    running = start("two-lines", "gunicorn-2")
    running.send(20)
    assert database.wait_for(20) == 20
    _status, body = running.get("/")
    assert database.wait_for(21) == 21
    os.kill(int(body.split()[-1]), signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE_S
    while "SIGKILL" not in running.output() and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send(20)
    assert_exactly(database, 41, running)


def test_an_application_with_wrong_settings_runs_unmonitored(start, database):
    running = start("launcher", "gunicorn-2", FMD_OTEL_MONITOR_LEVL="2")
    running.send(10)
    running.stop()
    assert "did you mean FMD_OTEL_MONITOR_LEVEL" in running.output()
    assert "Traceback" not in running.output()
    assert database.count() == 0


def test_a_reload_of_the_development_server_goes_on_counting(start, database, tmp_path):
    (tmp_path / "edited.py").write_text("from plain import create_app\napp = create_app()\n")
    running = start("launcher", "flask-debug-edited", PYTHONPATH=f"{tmp_path}{os.pathsep}{APPS}")
    running.send(10)
    assert database.wait_for(10) == 10
    (tmp_path / "edited.py").write_text("from plain import create_app\napp = create_app()\n# edited\n")
    deadline = time.monotonic() + DEADLINE_S
    while (
        "Restarting with" not in running.output().partition("Detected change")[2]
        and time.monotonic() < deadline
    ):
        time.sleep(0.05)
    running.send(10)
    assert_exactly(database, 20, running)
