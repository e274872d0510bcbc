"""Every exception is counted once, whoever takes it, and the application sees nothing of that."""

from __future__ import annotations

import json
import os
import pickle
import threading
import traceback
from functools import partial

import pytest
from flask import (
    abort,
    copy_current_request_context,
    jsonify,
    redirect,
    request,
)
from opentelemetry.sdk.trace import TracerProvider
from werkzeug.exceptions import ServiceUnavailable

import fmd_otel
from fmd_otel.attach import attach
from fmd_otel.exceptions import collector
from fmd_otel.monitor import Monitor
from fmd_otel.settings import Settings
from fmd_otel.traces.steps import StepProcessor
from fmd_otel_exporter.records import CAPTURED, HANDLED, UNHANDLED
from tests.fmd_otel.exceptions.made import OutOfStockError, document, met, only, quietly, raising


def test_an_unhandled_exception(view, watch, serve):
    watched = watch(view(lambda: raising(OutOfStockError, "3 left")), group_by="anna")
    assert serve(watched.app, "/x", QUERY_STRING="q=1&token=abc").status.startswith("500")
    found = only(watched)
    record = watched.sink.only
    assert (found.kind, found.message, found.group_by) == (UNHANDLED, "3 left", "anna")
    assert found.type.endswith("OutOfStockError")
    assert (found.service, found.endpoint, found.version) == ("shop", "x", "1.0")
    assert (found.span_id, found.trace_id) == (record.span_id, record.trace_id)
    assert found.ts_us >= record.ts_us
    assert found.place.endswith("made.py in raising")
    kept = document(found)
    assert (kept["method"], kept["status"]) == ("GET", 500)
    assert kept["url"] == "http://localhost/x?q=1&token=[scrubbed]"
    assert kept["scrubbed"] == ["url"]
    (link,) = kept["chain"]
    assert (link["message"], link["relation"], link["parent"]) == ("3 left", None, None)
    frame = link["frames"][-1]
    assert (frame["function"], frame["in_app"], frame["source"]) == (
        "raising",
        True,
        "    raise error(*args)",
    )
    assert frame["context_before"][-1] == "def raising(error=OutOfStockError, *args):"
    assert not any("locals" in frame for frame in link["frames"])
    assert {frame["file"].split("/")[0] for frame in link["frames"] if not frame["in_app"]} >= {"flask"}


def test_the_application_sees_its_traceback_without_us(view, watch, serve, caplog):
    watched = watch(view(raising))
    serve(watched.app, "/x")
    (logged,) = [record for record in caplog.records if record.name == "shop"]
    functions = [entry.name for entry in traceback.extract_tb(logged.exc_info[2])]
    assert functions[-2:] == ["dispatch_request", "raising"]
    assert functions.count("handle_user_exception") <= 1
    files = [entry.filename for entry in traceback.extract_tb(logged.exc_info[2])]
    ours = os.path.dirname(collector.__file__)  # noqa: PTH120 # as it stands in a traceback
    assert not [file for file in files if file.startswith(ours)]
    event = watched.span().events[0]
    assert ours not in event.attributes["exception.stacktrace"]


def test_the_traceback_is_not_written_on_a_span_that_only_we_read(view, serve, sink):
    """It takes OpenTelemetry many times as long as all that we do."""
    ended = []

    class Ours(StepProcessor):
        def on_end(self, span):
            ended.append(span)

    Ours.__module__ = StepProcessor.__module__
    provider = TracerProvider()
    provider.add_span_processor(Ours())
    app = view(raising)
    monitor = Monitor(app, service="shop", version="1.0", pipeline=sink)
    attach(app, Settings(include_dashboard=False), monitor, sink, None, tracer_provider=provider)
    serve(app, "/x")
    (span,) = ended
    assert span.events == ()
    assert span.attributes["http.status_code"] == 500
    assert not span.status.is_ok
    assert monitor.guard.counts == {}


@pytest.mark.parametrize("propagate", [True, False])
def test_an_exception_that_comes_through_to_the_server_counts_once(view, watch, serve, propagate):
    watched = watch(view(raising))
    watched.app.config["PROPAGATE_EXCEPTIONS"] = propagate
    quietly(watched.app, serve)
    assert only(watched).kind == UNHANDLED


def test_an_exception_that_an_error_handler_takes(view, watch, serve):
    app = view(raising)
    app.register_error_handler(OutOfStockError, lambda _error: ("sold out", 409))
    watched = watch(app)
    assert serve(app, "/x").status.startswith("409")
    found = only(watched)
    assert (found.kind, document(found)["status"]) == (HANDLED, 409)


def test_an_error_handler_that_fails_itself(view, watch, serve):
    app = view(raising)
    app.register_error_handler(OutOfStockError, lambda _error: raising(ValueError, "second"))
    watched = watch(app)
    serve(app, "/x")
    found = only(watched)
    assert (found.kind, found.type) == (UNHANDLED, "ValueError")
    assert [
        (link["type"].split(".")[-1], link["relation"], link["parent"]) for link in document(found)["chain"]
    ] == [
        ("ValueError", None, None),
        ("OutOfStockError", "context", 0),
    ]


@pytest.mark.parametrize(
    "answer",
    [lambda: abort(404), lambda: redirect("/"), lambda: abort(409), lambda: request.form["no"]],
)
def test_answers_that_are_exceptions_only_in_form(view, watch, serve, answer):
    watched = watch(view(answer))
    quietly(watched.app, serve)
    quietly(watched.app, serve, "/nowhere")
    assert met(watched) == []


def test_http_exceptions_of_the_server_are_failures(view, watch, serve):
    watched = watch(view(lambda: raising(ServiceUnavailable)))
    assert serve(watched.app, "/x").status.startswith("503")
    assert only(watched).kind == HANDLED


def test_a_captured_exception(view, watch, serve):
    taken = []

    def x():
        try:
            raising()
        except OutOfStockError as error:
            taken.append(fmd_otel.capture(error))
        return "fine"

    watched = watch(view(x))
    assert serve(watched.app, "/x").body == b"fine"
    assert taken == [True]
    found = only(watched)
    assert (found.kind, found.endpoint, found.span_id) == (CAPTURED, "x", watched.sink.only.span_id)
    assert document(found)["status"] == 200


def test_capture_takes_the_exception_that_is_being_handled(view, watch, serve):
    def x():
        try:
            raising(KeyError, "k")
        except KeyError:
            assert fmd_otel.capture()
        assert not fmd_otel.capture()
        return "fine"

    watched = watch(view(x))
    serve(watched.app, "/x")
    assert only(watched).type == "KeyError"


@pytest.mark.parametrize("error", [OutOfStockError, KeyError])
@pytest.mark.parametrize(("handled", "kind"), [(False, UNHANDLED), (True, HANDLED)])
def test_captured_and_raised_again_counts_once(view, watch, serve, error, handled, kind):
    def x():
        try:
            raising(error, "x")
        except error as found:
            fmd_otel.capture(found)
            fmd_otel.capture(found)
            raise

    app = view(x)
    if handled:
        app.register_error_handler(error, lambda _error: "fine")
    watched = watch(app)
    serve(app, "/x")
    assert only(watched).kind == kind


@pytest.mark.parametrize("error", [OutOfStockError, KeyError])
def test_exceptions_that_follow_each_other_at_one_address_are_several(view, watch, serve, error):
    def x():
        for _ in range(20):
            caught()
        return "fine"

    def caught():
        try:
            raising(error, "x")
        except error as found:
            fmd_otel.capture(found)

    watched = watch(view(x))
    serve(watched.app, "/x")
    assert len(met(watched)) == 20
    assert len({record.group_id for record in met(watched)}) == 1


@pytest.mark.parametrize("single", [OutOfStockError("the one"), KeyError("the one")])
def test_one_object_raised_in_every_request_counts_each_time(view, watch, serve, single):
    def x():
        raise single

    watched = watch(view(x))
    for _ in range(3):
        serve(watched.app, "/x")
    assert len(met(watched)) == 3


def test_the_applications_own_exceptions_carry_nothing_of_ours(view, watch, serve):
    def x():
        error = OutOfStockError("3")
        error.code = 7
        fmd_otel.capture(error)
        return jsonify(vars(error))

    watched = watch(view(x))
    assert json.loads(serve(watched.app, "/x").body) == {"code": 7}


def test_pythons_own_exceptions_can_still_be_pickled(app, watch):
    watch(app)
    error = KeyError("k")
    with app.test_request_context("/"):
        fmd_otel.capture(error)
    assert pickle.loads(pickle.dumps(error)).args == ("k",)  # noqa: S301 # our own


def test_an_exception_outside_of_any_request(app, watch):
    watched = watch(app)
    with pytest.raises(OutOfStockError) as caught:
        raising()
    assert fmd_otel.capture(caught.value)
    (found,) = watched.sink.details  # at once: the process may end now
    assert (found.endpoint, found.span_id, found.trace_id) == ("", bytes(8), bytes(16))
    assert document(found)["chain"][0]["frames"][-1]["function"] == "raising"


def test_an_exception_that_was_never_raised_stands_where_it_was_captured(app, watch):
    watched = watch(app)

    def somewhere():
        fmd_otel.capture(OutOfStockError())

    somewhere()
    (found,) = watched.sink.details
    assert "somewhere" in found.place
    assert document(found)["chain"][0]["frames"][-1]["function"].endswith("somewhere")


def test_a_thread_that_outlives_its_request(view, watch, serve):
    go_on, done = threading.Event(), threading.Event()

    def x():
        @copy_current_request_context
        def later():
            go_on.wait(60)
            fmd_otel.capture(OutOfStockError())
            done.set()

        threading.Thread(target=later).start()
        return "fine"

    watched = watch(view(x))
    serve(watched.app, "/x")
    go_on.set()
    assert done.wait(60)
    found = only(watched)
    assert (found.endpoint, found.span_id) == ("x", watched.sink.only.span_id)


def test_capture_never_raises_and_does_nothing_where_nothing_is_monitored(app, watch):
    assert not fmd_otel.capture(OutOfStockError())
    watched = watch(app)
    assert not fmd_otel.capture("no exception")
    watched.handle.uninstrument()
    assert not fmd_otel.capture(OutOfStockError())
    assert watched.sink.details == []


def test_capture_survives_our_own_failure(app, watch, monkeypatch):
    watched = watch(app)
    monkeypatch.setattr(watched.monitor.exceptions, "saw", partial(raising, RuntimeError))
    assert not fmd_otel.capture(OutOfStockError())
    assert watched.handle.failures == {"capture": 1}


def test_nothing_is_kept_at_level_0_or_of_urls_that_are_left_out(view, watch, serve):
    watched = watch(view(raising))
    watched.sink.levels["shop", "x"] = 0
    serve(watched.app, "/x")
    assert met(watched) == []
