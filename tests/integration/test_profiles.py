"""Level 3 under every server: each slow request has its profile, and nothing else has."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fmd_otel_exporter.catalog import order_profile
from fmd_otel_exporter.store import open_store

pytestmark = pytest.mark.integration

N = 12
SERVERS = [
    "flask-run",
    "gunicorn-2",
    "gunicorn-preload",
    "gunicorn-gthread",
    "gunicorn-gevent",
    "waitress",
    "uwsgi",
]
DEADLINE_S = 90


def profiles(database, number):
    """Wait until so many profiles of slow requests are there, and return what their lines spent.

    "/" is over before anybody could look; on a very busy machine it may not be.
    """
    query = (
        "SELECT e.name, p.duration, p.cpu_us, p.samples FROM fmd_profile p "
        "JOIN fmd_endpoint e ON e.id = p.endpoint_id WHERE e.name <> 'index'"
    )
    deadline = time.monotonic() + DEADLINE_S
    while len(found := database.ask(query)) < number and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def time_in(database, function):
    """Return the time of a function and of what it called, of all requests of the day."""
    rows = database.ask(
        "SELECT l.function, SUM(d.total_us) FROM fmd_profile_day d JOIN fmd_stack s ON s.id = d.stack_id "
        "JOIN fmd_code_line l ON l.id = s.line_id GROUP BY 1"
    )
    return dict(rows).get(function, 0)


@pytest.mark.parametrize("server", SERVERS)
def test_requests_are_profiled_under_every_server(start, database, server):
    running = start("profiled", server, FMD_OTEL_MONITOR_LEVEL="3")
    # Two event loops at once in one thread is what asgiref refuses, and greenlets share theirs.
    third = "/async" if server != "gunicorn-gevent" else "/slow"
    paths = ["/slow", third, "/stream", "/"] * (N // 4)
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(lambda path: running.get(path)[0], paths))
    assert answers == [200] * N, running.output()
    assert database.wait_for(N) == N, running.output()
    found = profiles(database, N * 3 // 4)
    assert {row[0] for row in found} == {"slow", "stream", "asynchronous" if third == "/async" else "slow"}
    assert len(found) == N * 3 // 4, running.output()
    each_us = N // 4 * 1_000_000
    assert time_in(database, "rest") > 0.25 * each_us
    assert time_in(database, "compute") > 0.05 * each_us
    for name, duration, cpu_us, samples in found:
        assert samples, name
        assert cpu_us <= duration
        assert cpu_us > (30_000 if name != "stream" else -1)
    assert not running.complaints()


def test_an_order_is_filled_by_one_request_of_whichever_worker_gets_it(start, database):
    pytest.importorskip("pyinstrument", reason="needs pyinstrument. The remedy: make setup")
    running = start("profiled", "gunicorn-2", FMD_OTEL_MONITOR_LEVEL="1")
    running.get("/slow")
    assert database.wait_for(1) == 1, running.output()
    [[endpoint_id]] = database.ask("SELECT id FROM fmd_endpoint WHERE name = 'slow'")
    store = open_store(database.url)
    try:
        order_profile(store, endpoint_id)
    finally:
        store.dispose()
    # Every worker hears of an order within two seconds, or later on a busy machine.
    deadline, sent = time.monotonic() + DEADLINE_S, 1
    with ThreadPoolExecutor(4) as clients:
        while not database.ask("SELECT 1 FROM fmd_profile") and time.monotonic() < deadline:
            list(clients.map(running.get, ["/slow"] * 4))
            sent += 4
        list(clients.map(running.get, ["/slow"] * 8))
    assert database.wait_for(sent + 8) == sent + 8, running.output()
    running.stop()
    assert database.ask("SELECT exact, period_us FROM fmd_profile") == [(1, 0)], running.output()
    assert ("slow", 0) in database.ask("SELECT name, profile_next FROM fmd_endpoint")
    functions = {row[0] for row in database.ask("SELECT function FROM fmd_code_line")}
    assert {"compute", "rest", "slow"} <= functions
