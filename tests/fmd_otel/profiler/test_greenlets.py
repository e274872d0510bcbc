"""Greenlets share a thread, a clock and an entry among the frames; their profiles do not."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from flask import copy_current_request_context
from opentelemetry import context as otel_context
from opentelemetry import trace

from fmd_otel.profiler import greenlets
from fmd_otel.profiler.greenlets import GreenletPlace

pytest.importorskip("gevent", reason="needs gevent. The remedy: make setup")

PROGRAM = textwrap.dedent(
    """
    from gevent import monkey
    monkey.patch_all()
    import json, sys, time, gevent, greenlet
    from flask import Flask
    from opentelemetry.sdk.trace import TracerProvider
    import fmd_otel
    from fmd_otel.profiler import greenlets
    from fmd_otel.profiler.sampler import shared_sampler

    app = Flask("shop")

    def compute():
        end = time.thread_time() + 0.03
        while time.thread_time() < end:
            sum(range(50))

    def rest():
        time.sleep(0.2)

    @app.route("/cpu")
    def cpu():
        for _ in range(3):
            compute()
            time.sleep(0.01)
        return "x"

    @app.route("/wait")
    def wait():
        rest()
        return "x"

    handle = fmd_otel.instrument(app, database=sys.argv[1], monitor_level=3, include_dashboard=False)
    records = []
    handle._pipeline.offer_detail = records.append

    def send(path):
        environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "SERVER_NAME": "x", "SERVER_PORT": "80",
                   "wsgi.url_scheme": "http", "wsgi.input": None, "wsgi.errors": sys.stderr}
        list(app(environ, lambda *a: None))

    gevent.joinall([gevent.spawn(send, path) for path in ["/wait"] * 5 + ["/cpu"] * 3])
    send("/wait")
    shared_sampler().flush()
    found = {"tracer": greenlet.gettrace() is None, "failures": dict(handle.failures), "requests": []}
    found["failures"].update(shared_sampler().guard.counts)
    found["clocks"] = sum(len(each._clocks) for each in greenlets._switches.values())
    for record in records:
        if not hasattr(record, "nodes"):
            continue
        functions = {}
        for node in record.nodes:
            above, names = node, set()
            while True:
                names.add(record.lines[above.line].function)
                if above.parent < 0:
                    break
                above = record.nodes[above.parent]
            for name in names:
                functions[name] = functions.get(name, 0) + node.self_us
        found["requests"].append([record.endpoint, record.duration_us, record.cpu_us, functions])
    print(json.dumps(found))
    """
)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("greenlets")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, f"sqlite:///{folder / 'x.db'}"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_each_greenlet_has_a_profile_of_its_own(found):
    assert found["failures"] == {}
    assert sorted(name for name, *_ in found["requests"]) == ["cpu"] * 3 + ["wait"] * 6
    for name, _duration, _cpu, functions in found["requests"]:
        assert ("rest" in functions) == (name == "wait")


def test_a_greenlet_that_waits_is_not_charged_for_one_that_computes(found):
    for name, _duration, cpu_us, functions in found["requests"]:
        if name == "wait":
            assert cpu_us < 20_000
            assert functions["rest"] > 100_000
        else:
            assert 60_000 < cpu_us < 150_000


def test_nothing_is_left_behind(found):
    assert found["tracer"]
    assert found["clocks"] == 0


def test_a_greenlet_that_a_library_runs_inside_of_a_request_is_the_requests(app, profile, serve, tree):
    greenlet = pytest.importorskip("greenlet")

    def inside():
        time.sleep(0.1)
        return "x"

    app.add_url_rule("/slow", "slow", lambda: greenlet.greenlet(inside).switch())
    profiled = profile(app)
    serve(app, "/slow")
    assert tree(profiled.only).share("inside") > 0.1
    assert tree(profiled.only).paths("[sending]") == []


@pytest.fixture
def greenlet():
    return pytest.importorskip("greenlet")


def clocks():
    return sum(len(each._clocks) for each in greenlets._switches.values())


def test_a_helper_that_outlives_its_request_is_traced_no_more(app, profile, serve, greenlet):
    helpers = []

    @app.route("/slow")
    def slow():
        @copy_current_request_context
        def helps():
            with tracer.start_as_current_span("helps"):
                greenlet.getcurrent().parent.switch()

        tracer = trace.get_tracer("x")
        helpers.append(greenlet.greenlet(helps))
        helpers[0].switch()
        context = otel_context.get_current()

        def carries():
            token = otel_context.attach(context)
            greenlet.getcurrent().parent.switch()
            otel_context.detach(token)

        helpers.append(greenlet.greenlet(carries))
        helpers[1].switch()
        time.sleep(0.02)
        return "x"

    profiled = profile(app)
    other = greenlet.greenlet(lambda: serve(app, "/slow"))
    other.switch()
    assert clocks() == 0
    assert greenlet.gettrace() is None
    for helper in helpers:
        helper.switch()
    assert clocks() == 0
    assert profiled.all


def test_a_clock_that_another_thread_gives_up_goes_with_the_next_switch(greenlet):
    place = GreenletPlace(frozenset(), greenlet.getcurrent())
    other = threading.Thread(target=place.end)
    other.start()
    other.join()
    assert place.ended
    greenlet.greenlet(lambda: None).switch()
    assert clocks() == 0
    assert greenlet.gettrace() is None


def test_somebody_elses_tracer_in_between_is_called_and_calls_us_once(greenlet):
    events = []
    place = GreenletPlace(frozenset(), greenlet.getcurrent())
    ours = greenlet.gettrace()
    greenlet.settrace(lambda *event: (events.append(event), ours(*event)))
    try:
        place.end()
        again = GreenletPlace(frozenset(), greenlet.getcurrent())
        greenlet.greenlet(lambda: None).switch()
        again.end()
        assert len(events) == 2
    finally:
        greenlet.settrace(None)
        greenlets._switches.clear()


def test_an_ordered_request_is_right_beside_greenlets_that_compute(app, profile, serve, tree, busy, greenlet):
    """The others' events come from the same thread, and use up the profiler's interval."""
    pytest.importorskip("pyinstrument")

    def rest():
        end = time.perf_counter() + 0.02
        while time.perf_counter() < end:
            greenlet.getcurrent().parent.switch()

    def work():
        busy(0.004)

    @app.route("/slow")
    def slow():
        for _ in range(10):
            work()
            rest()
        return "x"

    profiled = profile(app, ordered=True)
    request = greenlet.greenlet(lambda: serve(app, "/slow"))
    request.switch()
    while not request.dead:
        busy(0.003)
        request.switch()
    record = profiled.only
    found = tree(record)
    computed = sum(
        node.self_cpu_us
        for index, node in enumerate(record.nodes)
        if any(name.endswith("work") for name in found.path(index))
    )
    rested_us = found.share("rest") * record.duration_us
    assert rested_us > 0.95 * 200_000
    assert 30_000 < computed < 60_000
    assert found.share("work", "busy") * record.duration_us < record.duration_us - rested_us + 1000
    assert record.cpu_us < 80_000
    assert greenlet.gettrace() is None
    assert sys.getprofile() is None
