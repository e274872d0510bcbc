"""Greenlets share a thread, a clock and an entry among the frames; their profiles do not."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import time

import pytest

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
        timeout=120,
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
