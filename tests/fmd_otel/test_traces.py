"""The steps of a request are kept where somebody will look at them, and cost nothing elsewhere."""

from __future__ import annotations

import json
import os
import threading

import pytest
from flask import Response, stream_with_context
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased
from opentelemetry.trace import SpanKind, Status, StatusCode

import fmd_otel
from fmd_otel.backstage import backstage
from fmd_otel.sampler import KeepEntrySpans
from fmd_otel.traces import steps as steps_module
from fmd_otel.traces import watcher as watcher_module
from fmd_otel.traces.steps import in_flight
from fmd_otel.traces.watcher import TraceWatcher
from fmd_otel_exporter.documents import decode_document
from fmd_otel_exporter.records import TraceRecord


class Outlier:
    """What the outlier watcher leaves behind."""

    name, level = "outlier", 2
    is_outlier = True

    def begin(self, state, _request):
        state.outlier = self

    def describe(self, _state, _request, _span):
        pass

    def end(self, _state, _now_ns):
        pass


@pytest.fixture
def traced(app, watch, sink):
    """An application with a view x at level 2 that makes the steps it is given, and its tracer."""

    def put(steps, *, root=ALWAYS_ON, level=2, before=(), **options):
        provider = TracerProvider(sampler=KeepEntrySpans(ParentBased(root)))
        tracer = provider.get_tracer("shop")
        app.add_url_rule("/x", "x", lambda: steps(tracer), **options)
        sink.levels["shop", "x"] = level
        watched = watch(app, provider=provider)
        for each in before:
            watched.monitor.watch.add(each)
        watched.monitor.watch.add(TraceWatcher(watched.monitor, provider))
        watched.provider = provider
        return watched

    return put


def one_step(tracer):
    with tracer.start_as_current_span("step"):
        return "x"


def processors(watched):
    provider = watched.provider
    return [type(each).__name__ for each in provider._active_span_processor._span_processors]


def kept(watched):
    assert backstage().drain(60)
    assert watched.handle.failures == {}
    assert not in_flight().by_span
    found = [record for record in watched.sink.details if isinstance(record, TraceRecord)]
    return [decode_document(record.document) for record in found]


def test_steps_are_kept_with_all_they_say(traced, serve):
    def steps(tracer):
        with tracer.start_as_current_span(
            "SELECT item",
            kind=SpanKind.CLIENT,
            attributes={"db.statement": "SELECT 1", "db.password": "x", "n": 2},
        ) as span:
            span.add_event("row", {"number": 1})
            with tracer.start_as_current_span("GET http://a:b@api/"):
                pass
            span.set_status(Status(StatusCode.ERROR))
        return "x"

    watched = traced(steps)
    serve(watched.app, "/x")
    (document,) = kept(watched)
    record, (found,) = watched.sink.only, watched.sink.details
    assert (found.endpoint, found.ts_us, found.span_id, found.trace_id) == (
        "x", record.ts_us, record.span_id, record.trace_id,
    )  # fmt: skip
    outer, inner = document["spans"]
    assert (outer["name"], outer["kind"], outer["status"]) == ("SELECT item", "client", "error")
    assert outer["parent_id"] == record.span_id.hex()
    assert outer["attributes"] == {"db.statement": "SELECT 1", "db.password": "[scrubbed]", "n": 2}
    assert outer["events"][0]["name"] == "row"
    assert 0 <= outer["start_us"] <= outer["events"][0]["offset_us"] <= record.duration_us
    assert (inner["parent_id"], inner["name"]) == (outer["span_id"], "GET http://[scrubbed]@api/")
    assert inner["start_us"] + inner["duration_us"] <= outer["start_us"] + outer["duration_us"] + 1
    assert document["truncated"] == 0


def test_of_ordinary_requests_one_is_kept_now_and_again(traced, serve):
    watched = traced(one_step)
    for _ in range(20):
        serve(watched.app, "/x")
    assert len(kept(watched)) == 1


def test_outliers_are_kept(traced, serve):
    watched = traced(one_step, before=[Outlier()])
    for _ in range(5):
        serve(watched.app, "/x")
    assert len(kept(watched)) == 5


def failing(tracer):
    one_step(tracer)
    raise ValueError


def capturing(tracer):
    fmd_otel.capture(ValueError())
    return one_step(tracer)


def answering_500(tracer):
    return one_step(tracer), 503


@pytest.mark.parametrize("view", [failing, capturing, answering_500])
def test_errors_are_kept(traced, serve, view):
    watched = traced(view)
    for _ in range(5):
        serve(watched.app, "/x")
    assert len(kept(watched)) == 5


def test_profiled_requests_are_kept(traced, serve):
    watched = traced(one_step, level=3)
    for _ in range(5):
        serve(watched.app, "/x")
    assert len(kept(watched)) == 5


def test_an_incident_is_kept_in_part(traced, serve, monkeypatch):
    monkeypatch.setattr(watcher_module, "SPECIAL_AT_ONCE", 3)
    monkeypatch.setattr(watcher_module, "SPECIAL_EVERY_S", 3600.0)
    watched = traced(answering_500)
    for _ in range(10):
        serve(watched.app, "/x")
    assert len(kept(watched)) == 3 + 1


def test_an_ordinary_request_leaves_of_what_sort_it_was_without_any_value(traced):
    watched = traced(lambda _tracer: "x")
    for _ in range(5):
        watched.app.test_client().get("/x?item=7&q=secret&q=2")
    [document] = kept(watched)
    assert document["spans"] == []
    assert document["request"]["query_keys"] == ["item", "q"]
    assert document["request"]["payload_bytes"] == 0
    assert document["request"]["worker_pid"] == os.getpid()
    assert "secret" not in str(document)


@pytest.mark.parametrize("level", [2, 3])
def test_what_stands_for_the_rest_was_not_chosen_for_what_became_of_it(traced, serve, level):
    watched = traced(answering_500, level=level)
    for _ in range(5):
        serve(watched.app, "/x")
    assert ["request" in document for document in kept(watched)] == [True, False, False, False, False]


def test_an_outlier_does_not_stand_for_the_rest(traced, serve):
    watched = traced(one_step, before=[Outlier()])
    serve(watched.app, "/x")
    [document] = kept(watched)
    assert "request" not in document


def test_a_failure_without_steps_leaves_what_is_said_of_it(traced, serve):
    watched = traced(lambda _tracer: ("x", 500))
    for _ in range(5):
        serve(watched.app, "/x")
    documents = kept(watched)
    assert ["request" in document for document in documents] == [True, False, False, False, False]
    assert all(document["attributes"]["http.route"] == "/x" for document in documents)


def test_profiled_requests_without_steps_are_kept_now_and_again(traced, serve):
    watched = traced(lambda _tracer: "x", level=3)
    for _ in range(5):
        serve(watched.app, "/x")
    assert len(kept(watched)) == 1


# What the request's own span says


def noted(tracer):
    trace.get_current_span().set_attributes(
        {"cart.size": 3, "cart.token": "abc", "tags": ("a", "b"), "note": "password=hunter2"}
    )
    return answering_500(tracer)


def test_the_attributes_of_the_requests_own_span_are_kept_scrubbed(traced):
    watched = traced(noted)
    watched.app.test_client().get("/x?item=7&token=abcdef&next=http://u:p@host/?api_key=k")
    [document] = kept(watched)
    found = document["attributes"]
    assert (found["cart.size"], found["tags"], found["http.route"]) == (3, ["a", "b"], "/x")
    assert found["cart.token"] == "[scrubbed]"
    assert found["note"] == "password=[scrubbed]"
    assert found["fmd.endpoint"] == "x"
    assert "fmd.recorded" not in found
    [target] = [found[name] for name in ("http.target", "url.full", "http.url") if name in found][:1]
    assert target.startswith("/x?item=7&token=[scrubbed]")
    for secret in ("abcdef", "hunter2", "u:p@", "api_key=k"):
        assert secret not in json.dumps(document)
    assert {"attributes.cart.token", "attributes.note"} <= set(document["scrubbed"])


def test_secret_parts_of_a_path_are_not_kept(app, watch, sink):
    provider = TracerProvider()
    app.add_url_rule("/reset/<token>", "reset", lambda token: (token, 500))
    sink.levels["shop", "reset"] = 2
    watched = watch(app, provider=provider)
    watched.monitor.watch.add(TraceWatcher(watched.monitor, provider))
    app.test_client().get("/reset/s3cr3t-part")
    [document] = kept(watched)
    assert "s3cr3t-part" not in json.dumps(document)
    assert document["attributes"]["http.route"] == "/reset/<token>"


def test_of_ordinary_requests_no_value_of_the_query_is_kept(traced):
    watched = traced(lambda _tracer: "x")
    watched.app.test_client().get("/x?item=17&q=value")
    [document] = kept(watched)
    assert "value" not in json.dumps(document)
    assert "item=17" not in json.dumps(document)
    assert document["attributes"]["http.route"] == "/x"


def test_an_address_that_the_application_has_shortened_is_kept_nowhere_else(traced, monkeypatch):
    watched = traced(answering_500)
    monkeypatch.setattr(watched.monitor, "get_ip", lambda: "192.0.2.0")
    watched.app.test_client().get("/x", environ_base={"REMOTE_ADDR": "192.0.2.77"})
    [document] = kept(watched)
    assert "192.0.2.77" not in json.dumps(document)
    assert document["attributes"]["client.address"] == "192.0.2.0"


def test_the_attributes_are_bounded(traced, serve):
    def steps(tracer):
        trace.get_current_span().set_attributes({f"n{i}": "v" * 10_000 for i in range(100)})
        return answering_500(tracer)

    watched = traced(steps)
    serve(watched.app, "/x")
    [document] = kept(watched)
    assert len(json.dumps(document["attributes"])) < 45_000


def test_level_1_gathers_nothing(traced, serve):
    seen = []

    def steps(tracer):
        with tracer.start_as_current_span("step"):
            seen.append(dict(in_flight().by_span))
        return "x"

    watched = traced(steps, level=1)
    serve(watched.app, "/x")
    assert seen == [{}]
    assert kept(watched) == []
    assert "StepProcessor" not in processors(watched)
    watched.sink.levels["shop", "x"] = 2
    serve(watched.app, "/x")
    serve(watched.app, "/x")
    assert processors(watched).count("StepProcessor") == 1


def test_a_request_watched_below_level_2_for_another_reason_gathers_nothing(traced, serve):
    """One that somebody wants profiled."""

    class Ordered(Outlier):
        level, takes_orders = 3, True

    seen = []

    def steps(tracer):
        with tracer.start_as_current_span("step"):
            seen.append(dict(in_flight().by_span))
        return "x"

    watched = traced(steps, level=1, before=[Ordered()])
    watched.monitor._take_profile = lambda *_names: True
    serve(watched.app, "/x")
    watched.sink.levels["shop", "x"] = 2
    serve(watched.app, "/x")
    assert [len(each) for each in seen] == [0, 1]


def test_steps_of_requests_that_the_users_sampler_drops_are_seen_by_us_alone(traced, serve):
    recording = []

    def steps(tracer):
        with tracer.start_as_current_span("step") as span:
            recording.append((span.is_recording(), span.get_span_context().trace_flags.sampled))
        return "x"

    watched = traced(steps, root=ALWAYS_OFF)
    serve(watched.app, "/x")
    watched.sink.levels["shop", "x"] = 1
    serve(watched.app, "/x")
    assert recording == [(True, False), (False, False)]
    assert [span["name"] for span in kept(watched)[0]["spans"]] == ["step"]
    assert watched.spans.get_finished_spans() == ()  # the user's exporter


def test_what_the_user_exports_is_what_he_has_sampled(traced, serve):
    watched = traced(one_step)
    serve(watched.app, "/x")
    assert [span.name for span in watched.spans.get_finished_spans()] == ["step", "GET /x"]


def test_more_steps_than_anybody_wants_are_counted(traced, serve, monkeypatch):
    monkeypatch.setattr(steps_module, "MOST_STEPS", 10)

    def steps(tracer):
        for _ in range(25):
            one_step(tracer)
        return "x"

    watched = traced(steps)
    serve(watched.app, "/x")
    (document,) = kept(watched)
    assert (len(document["spans"]), document["truncated"]) == (10, 15)


def test_memory_is_bounded_over_all_requests(traced, serve, monkeypatch):
    monkeypatch.setattr(steps_module, "MOST_IN_FLIGHT", 3)

    def steps(tracer):
        for _ in range(25):
            one_step(tracer)
        return "x"

    watched = traced(steps)
    serve(watched.app, "/x")
    assert kept(watched)[0]["truncated"] == 22


def test_a_step_that_never_ends_or_ends_too_late_leaves_nothing_behind(traced, serve):
    running = []

    def steps(tracer):
        running.append(tracer.start_span("forgotten"))
        return one_step(tracer)

    watched = traced(steps)
    serve(watched.app, "/x")
    running[0].end()
    assert [span["name"] for span in kept(watched)[0]["spans"]] == ["step"]


def test_steps_in_other_threads_and_in_the_body(traced, serve):
    def steps(tracer):
        current = otel_context.get_current()

        def elsewhere():
            token = otel_context.attach(current)
            one_step(tracer)
            otel_context.detach(token)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        parent = current

        def body():
            with tracer.start_as_current_span("late", context=parent):
                yield b"x"

        return Response(stream_with_context(body()))

    watched = traced(steps)
    serve(watched.app, "/x")
    assert [span["name"] for span in kept(watched)[0]["spans"]] == ["step", "late"]


def test_requests_in_parallel_do_not_mix(traced, serve):
    barrier = threading.Barrier(4)

    def steps(tracer):
        with tracer.start_as_current_span(threading.current_thread().name):
            barrier.wait(60)
            one_step(tracer)
            barrier.wait(60)
        return "x"

    watched = traced(steps, before=[Outlier()])
    threads = [threading.Thread(target=serve, args=(watched.app, "/x"), name=f"t{n}") for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    documents = kept(watched)
    assert len(documents) == 4
    for document in documents:
        outer, inner = document["spans"]
        assert inner["parent_id"] == outer["span_id"]


def test_hostile_attributes_and_names_are_kept_as_text(traced, serve):
    def steps(tracer):
        with tracer.start_as_current_span("x" * 10_000, attributes={"k" * 1000: "v" * 100_000}):
            pass
        return "x"

    watched = traced(steps)
    serve(watched.app, "/x")
    (document,) = kept(watched)
    assert len(str(document)) < 10_000
