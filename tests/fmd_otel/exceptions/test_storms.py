"""A storm of exceptions is counted to the last one, and bounded in what is kept of it."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest

import fmd_otel
from fmd_otel.exceptions import collector
from tests.fmd_otel.exceptions.made import OutOfStockError, met, raising


def test_a_storm_is_counted_and_a_few_of_it_are_kept(view, watch, serve):
    watched = watch(view(raising))
    for _ in range(300):
        serve(watched.app, "/x")
    found = met(watched)
    assert sum(record.n for record in found) == 300
    kept = [record for record in found if record.document is not None]
    assert len(kept) == collector.KEPT_AT_ONCE
    assert {record.message for record in found if record.document is None} == {""}


def test_a_storm_is_added_up_by_what_it_is(app, watch, serve, monkeypatch):
    monkeypatch.setattr(collector, "AT_ONCE", 1)
    users = iter("ab" * 1000)
    app.add_url_rule("/x", "x", raising)
    app.add_url_rule("/y", "y", partial(raising, KeyError))
    watched = watch(app, group_by=lambda: next(users))
    for _ in range(100):
        serve(app, "/x")
        serve(app, "/x")
        serve(app, "/y")
    found = met(watched)
    sums = {}
    for record in found:
        key = record.endpoint, record.group_by, record.type.split(".")[-1]
        sums[key] = sums.get(key, 0) + record.n
    assert sums == {
        ("x", "a", "OutOfStockError"): 100, ("x", "b", "OutOfStockError"): 100,
        ("y", "a", "KeyError"): 50, ("y", "b", "KeyError"): 50,
    }  # fmt: skip
    assert len(found) < 2 * collector.KEPT_AT_ONCE + 4 + 100


def test_a_storm_in_many_threads_loses_no_count(app, watch, monkeypatch):
    monkeypatch.setattr(collector, "AT_ONCE", 1)
    monkeypatch.setattr(collector, "MOST_HELD", 500)
    watched = watch(app)

    def storm():
        for _ in range(500):
            fmd_otel.capture(OutOfStockError())

    threads = [threading.Thread(target=storm) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(record.n for record in met(watched)) == 2000


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_fork_in_the_middle_of_a_storm_loses_no_count_and_doubles_none(app, watch):
    watched = watch(app)

    def storm():
        for _ in range(200):
            fmd_otel.capture(OutOfStockError())

    storm()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover # another process
        try:
            watched.sink.details.clear()
            storm()
            os.write(writer, str(sum(record.n for record in met(watched))).encode())
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 100) == b"200"
    assert sum(record.n for record in met(watched)) == 200


def test_a_storm_of_many_kinds_is_bounded_too(app, watch, monkeypatch):
    monkeypatch.setattr(collector, "ALL_KEPT_EVERY_S", 3600.0)
    watched = watch(app)
    for number in range(300):
        fmd_otel.capture(type(f"Kind{chr(97 + number % 26)}{chr(97 + number // 26)}", (Exception,), {})())
    assert len({record.group_id for record in met(watched)}) == 300
    kept = [record for record in watched.sink.details if record.document is not None]
    assert len(kept) == collector.ALL_KEPT_AT_ONCE


def test_one_request_cannot_meet_more_than_a_bound(view, watch, serve, monkeypatch):
    monkeypatch.setattr(collector, "MOST_OF_ONE_REQUEST", 10)

    def x():
        for _ in range(30):
            fmd_otel.capture(OutOfStockError())
        return "fine"

    watched = watch(view(x))
    serve(watched.app, "/x")
    assert len(met(watched)) == 10
    assert watched.handle.failures == {"exceptions of one request": 20}
