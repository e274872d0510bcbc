"""What takes too long is recorded with what may explain it; nothing is read, delayed or given away for it."""

from __future__ import annotations

import io
import json
import os
import time

import psutil
import pytest
from flask import Blueprint, Response, request, session, stream_with_context

from fmd_otel.backstage import backstage
from fmd_otel.composition import load_settings
from fmd_otel.outliers import machine as machine_module
from fmd_otel.outliers import watcher as watcher_module
from fmd_otel.outliers.machine import Machine, Reading, shared_machine
from fmd_otel.outliers.watcher import OutlierRule, OutlierWatcher
from fmd_otel.profiler.lines import LineResolver
from fmd_otel.request_state import STATE_KEY
from fmd_otel_exporter.averages import Average
from fmd_otel_exporter.documents import decode_document
from fmd_otel_exporter.errors import SettingsError
from fmd_otel_exporter.records import OutlierRecord

AT_ONCE = Average(n=100, us=0)
"""With this average, every request takes too long."""
NEVER = Average(n=100, us=10**12)
WAIT_S = 60.0


@pytest.fixture
def outliers(watch, sink):
    """Watch an application for outliers; its endpoint x is at level 2."""

    def put(app, average=AT_ONCE, *, constant=2.5, min_requests=20, **described):
        sink.levels["shop", "x"] = 2
        if average is not None:
            sink.averages["shop", "x"] = average
        watched = watch(app, **described)
        resolver = LineResolver()
        rule = OutlierRule(constant, min_requests)
        watched.monitor.watch.add(OutlierWatcher(watched.monitor, sink, resolver, rule))
        return watched

    return put


@pytest.fixture
def view(app):
    def add(function, rule="/x", **options):
        app.add_url_rule(rule, "x", function, **options)
        return app

    return add


def found(watched):
    assert backstage().drain(WAIT_S)
    return [(record, decode_document(record.document)) for record in watched.sink.details]


def only(watched):
    assert watched.handle.failures == {}
    (one,) = found(watched)
    return one


def until_seen():
    """Return once the sampler has taken the stack."""
    state = request.environ[STATE_KEY]
    deadline = time.monotonic() + WAIT_S
    while (state.outlier is None or state.outlier.stack is None) and time.monotonic() < deadline:
        time.sleep(0.001)
    return "slow"


# Which


def test_an_outlier_is_the_request_it_belongs_to(view, outliers, serve):
    watched = outliers(view(lambda: "x"), Average(50, 0), group_by="anna")
    serve(watched.app, "/x", REMOTE_ADDR="10.0.0.1")
    record, _ = only(watched)
    counted = watched.sink.only
    assert (record.service, record.endpoint, record.version) == ("shop", "x", "1.0")
    assert (record.ts_us, record.span_id, record.trace_id) == (
        counted.ts_us,
        counted.span_id,
        counted.trace_id,
    )
    assert (record.duration_us, record.status) == (counted.duration_us, 200)
    assert (record.group_by, record.ip) == ("anna", "10.0.0.1")


def test_threshold_and_average_are_told(view, outliers, serve):
    watched = outliers(view(until_seen), Average(50, 1000), constant=3)
    serve(watched.app, "/x")
    record, _ = only(watched)
    assert (record.average_us, record.threshold_us) == (1000, 3000)
    assert record.duration_us > 3000


@pytest.mark.parametrize("average", [NEVER, None, Average(19, 0)])
def test_requests_that_are_none(view, outliers, serve, average):
    """Fast enough; nothing known of the endpoint, as of its first request; too little known."""
    watched = outliers(view(lambda: "x"), average)
    serve(watched.app, "/x")
    assert found(watched) == []


def test_level_1_is_not_watched(view, outliers, serve):
    watched = outliers(view(lambda: "x"))
    watched.sink.levels["shop", "x"] = 1
    serve(watched.app, "/x")
    assert found(watched) == []


@pytest.mark.parametrize("value", ["0", "-1", "nan", "x"])
def test_a_constant_that_is_no_multiple_is_a_configuration_error(value):
    with pytest.raises(SettingsError, match="OUTLIER_DETECTION_CONSTANT"):
        load_settings(environ={"FMD_OTEL_OUTLIER_DETECTION_CONSTANT": value})


# While it runs


def test_the_stack_is_taken_while_the_request_still_runs(view, outliers, serve):
    watched = outliers(view(until_seen))
    serve(watched.app, "/x")
    _, document = only(watched)
    frames = document["stack"]
    assert "until_seen" in [frame["function"] for frame in frames]
    frame = next(frame for frame in frames if frame["function"] == "until_seen")
    assert frame["in_app"]
    assert frame["source"].startswith(("while", "time.sleep"))
    assert frame["context_before"]
    assert document["stack_at_us"] > 0


def test_a_request_that_was_over_before_has_no_stack(view, outliers, serve):
    watched = outliers(view(lambda: "x"), Average(50, 1))
    for _ in range(20):
        serve(watched.app, "/x")
    without = [document for _, document in found(watched) if "stack" not in document]
    assert without
    assert all("stack_at_us" not in document for document in without)
    assert all(document["worker_pid"] == os.getpid() for document in without)


def test_the_stack_of_a_blueprints_view(app, outliers, serve, sink):
    blueprint = Blueprint("bp", __name__)
    blueprint.add_url_rule("/x", "view", until_seen)
    app.register_blueprint(blueprint)
    watched = outliers(app)
    sink.levels["shop", "bp.view"] = 2
    sink.averages["shop", "bp.view"] = AT_ONCE
    serve(app, "/x")
    _, document = only(watched)
    assert "until_seen" in [frame["function"] for frame in document["stack"]]


@pytest.fixture
def greenlets():
    pytest.importorskip("greenlet")
    from fmd_otel.profiler import greenlets as module  # noqa: PLC0415 # only where there is greenlet

    return module


def in_greenlet(function):
    """Run a function in a greenlet of its own, until it gives way for the first time."""
    import greenlet  # noqa: PLC0415 # the same

    other = greenlet.greenlet(function)
    other.switch()
    return other


def test_a_greenlet_is_watched_without_a_clock_and_without_tracing_its_switches(
    view, outliers, serve, greenlets
):
    import greenlet  # noqa: PLC0415 # the same

    traced = []

    def x():
        traced.append(greenlet.gettrace())
        return "x"

    watched = outliers(view(x), NEVER)
    for _ in range(20):
        in_greenlet(lambda: serve(watched.app, "/x"))
    assert traced == [None] * 20
    assert greenlet.gettrace() is None
    assert all(not each._clocks for each in greenlets._switches.values())


def test_the_stack_of_a_greenlet_that_waits_is_its_own(view, outliers, serve, greenlets):
    import greenlet  # noqa: PLC0415 # the same

    states = []

    def waits():
        states.append(request.environ[STATE_KEY])
        greenlet.getcurrent().parent.switch()
        return "x"

    watched = outliers(view(waits))
    other = in_greenlet(lambda: serve(watched.app, "/x"))
    deadline = time.monotonic() + WAIT_S
    while getattr(states[0].outlier, "stack", None) is None and time.monotonic() < deadline:
        time.sleep(0.001)
    other.switch()
    _, document = only(watched)
    functions = [frame["function"] for frame in document["stack"]]
    assert any("waits" in name for name in functions)
    assert not any("test_the_stack_of_a_greenlet" in name for name in functions if "<locals>" not in name)


def test_machine_and_process_are_told(view, outliers, serve, monkeypatch):
    monkeypatch.setattr(machine_module, "_LEAST_NS", 1)
    watched = outliers(view(until_seen))
    shared_machine().look()  # as somebody has, where requests have come for a while
    serve(watched.app, "/x")
    record, document = only(watched)
    assert len(document["cpu_percent_per_core"]) == os.cpu_count()
    assert 0 <= document["cpu_percent"] <= 100
    assert record.cpu_percent == document["cpu_percent"]
    assert record.process_memory_bytes == document["memory_process_rss"] > 1 << 20
    assert 0 < document["memory_host_used"] <= document["memory_host_total"]
    assert document["thread_count"] >= 1
    assert len(document["load_average"]) == 3
    assert document["hostname"]


def test_what_the_system_hides_is_left_out(view, outliers, serve, monkeypatch):
    def hidden(**_options):
        raise PermissionError

    for name in ("cpu_times", "virtual_memory"):
        monkeypatch.setattr(psutil, name, hidden)
    # An own one: the thread of an earlier test may be taking a reading for the shared one just now.
    monkeypatch.setattr(machine_module, "_shared", [])
    watched = outliers(view(lambda: "x"))
    serve(watched.app, "/x")
    _, document = only(watched)
    assert "memory_host_used" not in document
    assert "memory_process_rss" in document


# What it carried


def test_values_of_the_request_are_kept_and_scrubbed(view, outliers, serve):
    def x(order):
        request.get_json()
        session["user"] = "anna"
        return "created", 201

    app = view(x, "/x/<int:order>", methods=["POST"])
    app.secret_key = "session-secret"
    watched = outliers(app)
    body = json.dumps({"items": [{"id": 1, "card_number": "4111111111111111"}], "note": "fine"}).encode()
    serve(
        app, "/x/7", "POST", QUERY_STRING="page=2&page=3&api_key=hunter2",
        HTTP_AUTHORIZATION="Bearer hunter2", HTTP_COOKIE="session=hunter2",
        HTTP_REFERER="http://shop/?token=hunter2", HTTP_X_THING="1",
        CONTENT_TYPE="application/json", CONTENT_LENGTH=str(len(body)), DATABASE_URL="mysql://a:hunter2@b/c",
        AWS_SECRET="hunter2", **{"wsgi.input": io.BytesIO(body)},
    )  # fmt: skip
    record, document = only(watched)
    assert record.status == 201
    assert "hunter2" not in json.dumps(document)
    assert document["url"] == "http://localhost/x/7?page=2&page=3&api_key=[scrubbed]"
    assert (document["route"], document["method"]) == ("/x/<int:order>", "POST")
    assert document["args"] == {"page": ["2", "3"], "api_key": "[scrubbed]"}
    assert document["json"] == {"items": [{"id": 1, "card_number": "[scrubbed]"}], "note": "fine"}
    assert document["headers"]["X-Thing"] == "1"
    assert document["headers"]["Authorization"] == document["headers"]["Cookie"] == "[scrubbed]"
    assert document["headers"]["Referer"] == "http://shop/?token=[scrubbed]"
    assert document["environ"]["REMOTE_ADDR"] == "127.0.0.1"
    assert {"DATABASE_URL", "AWS_SECRET", "HTTP_COOKIE"}.isdisjoint(document["environ"])
    assert document["payload_bytes"] == len(body)
    assert set(document["scrubbed"]) == {
        "args.api_key", "environ.QUERY_STRING", "headers.Authorization", "headers.Cookie", "headers.Referer",
        "json.items[0].card_number", "url",
    }  # fmt: skip


def test_a_form_that_the_application_has_read(view, outliers, serve):
    watched = outliers(view(lambda: request.form["name"], methods=["POST"]))
    body = b"name=anna&password=hunter2&tag=a&tag=b"
    serve(
        watched.app, "/x", "POST", CONTENT_TYPE="application/x-www-form-urlencoded",
        CONTENT_LENGTH=str(len(body)), **{"wsgi.input": io.BytesIO(body)},
    )  # fmt: skip
    _, document = only(watched)
    assert document["form"] == {"name": "anna", "password": "[scrubbed]", "tag": ["a", "b"]}
    assert "json" not in document


class UntouchedInput(io.BytesIO):
    """A client's body that nobody may read."""

    def read(self, *_args):
        pytest.fail("somebody read what the view has not asked for")

    readline = readlines = __next__ = read


@pytest.mark.parametrize(
    "kind", ["application/json", "application/x-www-form-urlencoded", "multipart/form-data"]
)
def test_what_the_application_has_not_read_stays_unread(view, outliers, serve, kind):
    watched = outliers(view(lambda: "x", methods=["POST"]))
    answer = serve(
        watched.app, "/x", "POST", CONTENT_TYPE=kind, CONTENT_LENGTH="100",
        **{"wsgi.input": UntouchedInput()},
    )  # fmt: skip
    assert answer.body == b"x"
    _, document = only(watched)
    assert {"form", "json"}.isdisjoint(document)
    assert document["payload_bytes"] == 100


@pytest.mark.parametrize(
    "body", [b'{"a": ', b"\xff\xfe", b"[" * 3000, json.dumps({"a": "x" * 100_000}).encode()]
)
def test_json_that_cannot_be_read_or_is_too_much_is_left_out(view, outliers, serve, body):
    def x():
        request.get_data()
        return "x"

    watched = outliers(view(x, methods=["POST"]))
    serve(
        watched.app, "/x", "POST", CONTENT_TYPE="application/json", CONTENT_LENGTH=str(len(body)),
        **{"wsgi.input": io.BytesIO(body)},
    )  # fmt: skip
    _, document = only(watched)
    assert "json" not in document
    assert "json" in document["truncated"]


def test_the_secret_part_of_a_path(view, outliers, serve):
    watched = outliers(view(lambda token: f"{len(token)}", "/x/reset/<token>"))
    serve(
        watched.app, "/x/reset/hunter2 x", HTTP_REFERER="http://localhost/x/reset/hunter2%20x",
        RAW_URI="/x/reset/hunter2%20x",
    )  # fmt: skip
    _, document = only(watched)
    assert "hunter2" not in json.dumps(document)
    assert document["url"] == "http://localhost/x/reset/[scrubbed]"
    assert {"url", "environ.PATH_INFO", "environ.RAW_URI", "headers.Referer"} <= set(document["scrubbed"])


def test_more_fields_than_anybody_wants(view, outliers, serve):
    watched = outliers(view(lambda: "x"))
    serve(watched.app, "/x", QUERY_STRING="&".join(f"a{number}={number}" for number in range(5000)))
    _, document = only(watched)
    assert len(document["args"]) == 200
    assert "args" in document["truncated"]


@pytest.mark.parametrize(
    "more",
    [
        {"HTTP_HOST": "a\nb:x"},
        {"QUERY_STRING": "%ff=%ff&=&a"},
        {"CONTENT_LENGTH": "\u00b2"},
        {"HTTP_X": "\xff\x00"},
    ],
)
def test_hostile_requests_are_recorded_like_any(view, outliers, serve, more):
    watched = outliers(view(lambda: "x"))
    serve(watched.app, "/x", **more)
    only(watched)


# At all times


def test_a_streamed_body_counts_to_its_end(view, outliers, serve):
    def x():
        def body():
            yield b"one"
            yield until_seen().encode()

        return Response(stream_with_context(body()))

    watched = outliers(view(x))
    assert serve(watched.app, "/x").body == b"oneslow"
    _, document = only(watched)
    assert "stack" in document


def test_an_incident_is_recorded_in_full_only_in_part(view, outliers, serve, monkeypatch):
    monkeypatch.setattr(watcher_module, "KEPT_AT_ONCE", 3)
    monkeypatch.setattr(watcher_module, "KEPT_EVERY_S", 3600.0)
    watched = outliers(view(lambda: "x"))
    for _ in range(10):
        serve(watched.app, "/x")
    documents = [document for _, document in found(watched)]
    assert len(documents) == 10
    assert documents.count({"truncated": ["everything"]}) == 7


def test_an_exception_leaves_an_outlier_too(view, outliers, serve):
    watched = outliers(view(lambda: 1 / 0))
    serve(watched.app, "/x")
    assert backstage().drain(WAIT_S)
    (outlier,) = [record for record in watched.sink.details if isinstance(record, OutlierRecord)]
    assert outlier.status == 500


@pytest.mark.parametrize("where", ["take_values", "describe_values"])
def test_our_own_failure_reaches_nobody(view, outliers, serve, monkeypatch, where):
    def explode(*_args):
        raise RuntimeError

    monkeypatch.setattr(watcher_module, where, explode)
    watched = outliers(view(lambda: "x"))
    assert serve(watched.app, "/x").body == b"x"
    assert backstage().drain(WAIT_S)
    assert len(watched.sink.records) == 1
    assert sum(watched.handle.failures.values()) == 1


def test_nothing_of_the_request_is_kept_afterwards(view, outliers, environ):
    watched = outliers(view(lambda: "x"))
    env = environ("/x")
    body = watched.app(env, lambda *_args: None)
    list(body)
    assert env[STATE_KEY].request is None


# The machine


def reading(ms, busy=0.0, rss=100):
    return Reading(ms * 1_000_000, ((busy, ms / 1000), (0.0, ms / 1000)), busy, rss, 3, 50, 100)


def test_load_is_told_over_the_time_around_the_moment():
    machine = Machine()
    machine.look = lambda: reading(10_000, 9.0)
    machine.readings.extend(
        [reading(0), reading(1000, 0.1), reading(2000, 1.1), reading(2010, 1.105), reading(3000, 1.2)]
    )
    document = {}
    machine.describe(document, 1_500_000_000, 2_005_000_000, 2_500_000_000)
    assert document["cpu_percent_per_core"] == [100.0, 0.0]
    assert document["cpu_percent"] == 50.0
    assert document["process_cpu_percent"] == 100.0
    assert document["memory_samples"] == [[-500_000, 100], [500_000, 100], [510_000, 100]]


def test_without_two_readings_no_load_is_told():
    machine = Machine()
    machine.look = lambda: reading(1010)
    machine.readings.append(reading(1000))
    document = {}
    machine.describe(document, 900_000_000, 1_000_000_000, 1_005_000_000)
    assert "cpu_percent" not in document
    assert document["memory_process_rss"] == 100


def test_memory_samples_of_a_long_request_are_thinned():
    machine = Machine()
    machine.look = lambda: reading(400_000)
    machine.readings.extend(reading(number * 1000) for number in range(300))
    document = {}
    machine.describe(document, 0, 1_000_000_000, 10**15)
    assert 0 < len(document["memory_samples"]) <= machine_module.MOST_SAMPLES


def test_requests_keep_the_machine_looked_at(view, outliers, serve):
    """Long before one of them takes too long: what processors did is the difference of two readings."""
    watched = outliers(view(lambda: "x"), NEVER)
    readings = shared_machine().readings
    readings.clear()
    deadline = time.monotonic() + WAIT_S
    while len(readings) < 2 and time.monotonic() < deadline:
        serve(watched.app, "/x")
        time.sleep(0.01)
    assert len(readings) >= 2


def test_a_forked_worker_has_its_machine_looked_at_too():
    machine, woken = Machine(), []
    machine.keep_awake(1, lambda: woken.append(1))
    machine.keep_awake(2, lambda: woken.append(2))
    machine._awake_in -= 1  # as in a child, which has none of its parent's threads
    machine.keep_awake(3, lambda: woken.append(3))
    assert woken == [1, 3]
    assert machine.requested_ns == 3


def test_the_machine_is_looked_at_only_while_requests_are_watched(monkeypatch):
    machine = Machine()
    assert machine.tick() is None
    assert machine.is_asleep
    machine.requested_ns = time.perf_counter_ns()
    assert machine.tick() == machine_module.USUAL_S
    machine.outliers_running = 1
    assert machine.tick() == machine_module.CLOSE_S
    monkeypatch.setattr(machine_module, "LINGER_NS", -1)
    assert machine.tick() is None
    assert len(machine.readings) == 2
