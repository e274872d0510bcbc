"""The profile somebody has ordered: of one request, by its events, whatever its level."""

from __future__ import annotations

import logging
import sys
import time

import pytest
from flask import Response

from fmd_otel.profiler import exact
from fmd_otel.profiler.trie import MOST_NODES

pytest.importorskip("pyinstrument", reason="needs pyinstrument. The remedy: pip install 'fmd-otel[profiler]'")


def test_pyinstruments_function_is_where_we_look():
    from pyinstrument.low_level.stat_profile import setstatprofile  # noqa: PLC0415 # fails loudly if it moves

    seen = []
    setstatprofile(lambda *event: seen.append(event), 0.000_1)
    try:
        time.sleep(0.001)
    finally:
        setstatprofile(None)
    frame, event, _argument = seen[0]
    assert frame.f_code is sys._getframe().f_code
    assert event in {"c_call", "c_return"}


@pytest.mark.parametrize("level", [0, 1, 3])
def test_an_ordered_request_is_profiled_at_any_level(app, profile, serve, tree, level):
    @app.route("/slow")
    def slow():
        time.sleep(0.05)
        return "x"

    profiled = profile(app, level=level, ordered=True)
    serve(app, "/slow")
    record = profiled.only
    assert (record.exact, record.period_us) == (True, 0)
    assert tree(record).share("slow") > 0.1
    assert abs(sum(node.self_us for node in record.nodes) - record.duration_us) <= len(record.nodes) + 1
    assert profiled.watched.span().attributes["fmd.profile"] == "exact"
    assert sys.getprofile() is None


def test_short_computing_between_waits_is_seen(app, profile, serve, tree, busy):
    def query():
        time.sleep(0.001)

    def compute():
        busy(0.0005)

    @app.route("/slow")
    def slow():
        for _ in range(60):
            compute()
            query()
        return "x"

    profiled = profile(app, ordered=True)
    serve(app, "/slow")
    record = profiled.only
    found = tree(record)
    computing = sum(
        node.self_cpu_us
        for index, node in enumerate(record.nodes)
        if any(name.endswith(("compute", "<locals>.compute")) for name in found.path(index))
    )
    assert computing > 0.3 * 60 * 500
    assert found.share("query") > 0.1
    assert found.share("[on CPU]") == 0


def test_an_ordered_request_of_one_line_has_a_profile_too(app, profile, serve):
    profiled = profile(app, ordered=True, period_ms=1000.0)
    serve(app, "/")
    assert profiled.only.exact


def test_a_streamed_body_is_profiled_and_its_server_is_not(app, profile, environ, tree):
    def parts():
        for _ in range(3):
            time.sleep(0.05)
            yield "part"

    app.add_url_rule("/slow", "slow", lambda: Response(parts()))
    profiled = profile(app, ordered=True)
    body = app(environ("/slow"), lambda *_arguments: None)
    for _part in body:
        assert sys.getprofile() is None
        time.sleep(0.05)
    body.close()
    found = tree(profiled.only)
    assert found.share("parts") > 0.1
    assert found.share("[sending]") > 0.1


def test_an_endless_recursion_does_not_fill_the_memory(app, profile, serve):
    def down(depth):
        return down(depth - 1) if depth else "x"

    @app.route("/slow")
    def slow():
        for depth in range(0, 400, 2):
            down(depth)
        return "x"

    profiled = profile(app, ordered=True)
    serve(app, "/slow")
    assert len(profiled.only.nodes) <= 2 * MOST_NODES


def test_without_pyinstrument_it_is_looked_at_often_and_that_is_said(
    app, profile, serve, monkeypatch, caplog
):
    monkeypatch.setitem(sys.modules, "pyinstrument.low_level.stat_profile", None)
    monkeypatch.setattr(exact, "_said", set())
    app.add_url_rule("/slow", "slow", lambda: time.sleep(0.05) or "x")
    profiled = profile(app, ordered=True, level=1)
    with caplog.at_level(logging.WARNING, "fmd_otel"):
        serve(app, "/slow")
        serve(app, "/slow")
    assert [(record.exact, record.period_us) for record in profiled.all] == [(True, 1000)] * 2
    assert sum("pip install" in record.message for record in caplog.records) == 1


def test_somebody_elses_profiler_is_left_alone(app, profile, serve):
    def theirs(*_event):
        return None

    app.add_url_rule("/slow", "slow", lambda: time.sleep(0.05) or "x")
    profiled = profile(app, ordered=True, level=1)
    sys.setprofile(theirs)
    try:
        serve(app, "/slow")
        assert sys.getprofile() is theirs
    finally:
        sys.setprofile(None)
    assert profiled.only.period_us == 1000


def test_an_async_view_is_looked_at_where_it_runs(app, profile, serve, tree):
    @app.route("/slow")
    async def slow():
        time.sleep(0.05)  # noqa: ASYNC251 # it blocks on purpose
        return "x"

    profiled = profile(app, ordered=True, level=1)
    serve(app, "/slow")
    record = profiled.only
    assert (record.exact, record.period_us) == (True, 1000)
    assert tree(record).share("slow") > 0.1
