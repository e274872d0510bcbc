"""Outliers, exceptions and the work of thread pools, under real servers with several workers."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fmd_otel_exporter.documents import decode_document

pytest.importorskip(
    "opentelemetry.instrumentation.threading", reason="needs the test group. The remedy: make setup"
)
pytestmark = pytest.mark.integration

SERVERS = ["gunicorn-2", "gunicorn-gthread", "gunicorn-gevent"]
DEADLINE_S = 90
FAST = 80
MOST_SLOW = 24
SLOW = "/work?s=0.4"


def wait_for(condition):
    deadline = time.monotonic() + DEADLINE_S
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def outliers(database):
    return [
        (duration, threshold, decode_document(data))
        for duration, threshold, data in database.ask("SELECT duration, threshold_us, data FROM fmd_outlier")
    ]


@pytest.mark.parametrize("server", SERVERS)
def test_workers_that_have_seen_nothing_know_the_average_and_find_the_outliers(start, database, server):
    """It comes from the sums of whoever served before: here of workers that are gone."""
    earlier = start("closer", server, FMD_OTEL_MONITOR_LEVEL="2")
    for _ in range(FAST):
        earlier.get("/work")
    assert database.wait_for(FAST) == FAST, earlier.output()
    earlier.stop()
    running = start("closer", server, FMD_OTEL_MONITOR_LEVEL="2")
    pids, sent = set(), 0

    def found():
        return [document for _, _, document in outliers(database)]

    with ThreadPoolExecutor(4) as clients:
        # A worker reads the averages when it starts to work, which its first request may not wait for.
        while sent < MOST_SLOW and len({each["worker_pid"] for each in found() if "stack" in each}) < 2:
            answers = list(clients.map(running.get, [SLOW] * 4))
            pids |= {int(body) for _, body in answers}
            sent += 4
            assert database.wait_for(FAST + sent) == FAST + sent
            time.sleep(0.3)
    assert len(pids) == 2
    assert {each["worker_pid"] for each in found() if "stack" in each} == pids, running.output()
    for duration, threshold, document in outliers(database):
        assert duration > threshold
        assert document["args"] == {"s": "0.4"}
        functions = [frame["function"] for frame in document.get("stack", ())]
        # The innermost calls are the server's own way of sleeping.
        assert not functions or {"work", "rest"} <= set(functions)
        assert functions.count("work") <= 1
    assert not running.complaints()


@pytest.mark.parametrize("server", SERVERS)
def test_exceptions_of_all_workers_are_one_group_and_counted_once(start, database, server):
    running = start("closer", server, FMD_OTEL_MONITOR_LEVEL="1")
    with ThreadPoolExecutor(4) as clients:
        answers = list(clients.map(running.get, ["/fail"] * 40))
    assert {status for status, _ in answers} == {500}
    assert database.wait_for(40) == 40, running.output()

    def counted():
        [[n]] = database.ask("SELECT SUM(n) FROM fmd_exception_hits") or [[0]]
        return n == 40

    assert wait_for(counted), running.output()
    assert database.ask("SELECT type FROM fmd_exception_group") == [("LookupError",)]
    kept = [decode_document(data) for [data] in database.ask("SELECT data FROM fmd_exception_occurrence")]
    assert kept
    for document in kept:
        assert document["chain"][0]["frames"][-1]["function"] == "fail"
        assert document["url"].endswith("/fail")


def total_us(database, function):
    rows = database.ask(
        "SELECT l.function, SUM(d.total_us) FROM fmd_profile_day d JOIN fmd_stack s ON s.id = d.stack_id "
        "JOIN fmd_code_line l ON l.id = s.line_id GROUP BY 1"
    )
    return dict(rows).get(function, 0)


@pytest.mark.parametrize("server", ["gunicorn-gthread", "gunicorn-gevent"])
def test_the_work_of_a_thread_pool_is_shown_where_the_request_waits_for_it(start, database, server):
    """Threads carry the request's context, as OpenTelemetry's own instrumentation gives it to them."""
    running = start("closer", server, FMD_OTEL_MONITOR_LEVEL="3")
    answers = [running.get("/pool") for _ in range(6)]
    assert [status for status, _ in answers] == [200] * 6
    assert database.wait_for(6) == 6, running.output()
    assert wait_for(lambda: len(database.ask("SELECT 1 FROM fmd_profile")) == 6), running.output()
    # Both parts at once share the time, which is at least what one of them takes.
    assert total_us(database, "part") > 6 * 90_000
    assert total_us(database, "pooled") > total_us(database, "part")
    assert total_us(database, "rest") > 6 * 60_000
    assert not running.complaints()


def test_async_views_are_followed_under_gevent_one_at_a_time(start, database):
    """Several at once in one thread are what asgiref refuses, and greenlets share theirs."""
    running = start("profiled", "gunicorn-gevent", FMD_OTEL_MONITOR_LEVEL="3")
    assert [running.get("/async")[0] for _ in range(4)] == [200] * 4, running.output()
    assert wait_for(lambda: len(database.ask("SELECT 1 FROM fmd_profile")) == 4), running.output()
    assert total_us(database, "compute") > 4 * 30_000
    assert total_us(database, "asynchronous") > 4 * 100_000
    assert not running.complaints()
