"""Who looks closer at a request is told of its end where that may matter, and of nothing elsewhere."""

from __future__ import annotations

import pytest
from flask import abort, request
from opentelemetry.sdk.trace import Span, TracerProvider

from fmd_otel import watch as watch_module
from fmd_otel.otel_internals import SPAN_KEY
from fmd_otel.request_state import STATE_KEY
from fmd_otel.watch import NEVER_NS, Ordinary

HOUR_NS = 3_600_000_000_000


class Strict:
    """Sees every request."""

    name, level = "strict", 2

    def __init__(self):
        self.ended = []

    def end(self, state, _now_ns):
        self.ended.append(state.status)


class Easy(Strict):
    """Sees those that are not ordinary."""

    name = "easy"
    rule = Ordinary(HOUR_NS, NEVER_NS)
    prepared = asked = 0

    def prepare(self):
        self.prepared += 1

    def ordinary(self, _state):
        self.asked += 1
        return self.rule


@pytest.fixture
def watched(app, watch, sink):
    """The application with both, at level 2."""
    sink.levels["shop", "index"] = 2
    found = watch(app)
    found.easy, found.strict = Easy(), Strict()
    for each in (found.easy, found.strict):
        found.monitor.watch.add(each)
    return found


def serve_often(watched, serve, times=5, path="/"):
    for _ in range(times):
        serve(watched.app, path)


def test_the_end_of_an_ordinary_request_is_told_only_to_those_who_want_every_one(watched, serve):
    serve_often(watched, serve)
    assert watched.strict.ended == [200] * 5
    assert watched.easy.ended == [200]
    assert (watched.easy.asked, watched.easy.prepared) == (1, 1)
    assert watched.handle.failures == {}


def test_of_all_easy_ones_the_strictest_says_what_is_ordinary(watched, serve):
    other = Easy()
    other.rule = Ordinary(1, NEVER_NS)
    watched.monitor.watch.add(other)
    serve_often(watched, serve)
    assert watched.easy.ended == other.ended == [200] * 5


def test_what_takes_long_is_told(watched, serve):
    watched.easy.rule = Ordinary(0, NEVER_NS)
    serve_often(watched, serve)
    assert watched.easy.ended == [200] * 5
    assert watched.easy.asked == 1


def test_what_is_ordinary_is_asked_again_after_a_while(watched, serve, monkeypatch):
    monkeypatch.setattr(watch_module, "ORDINARY_FOR_NS", 0)
    serve_often(watched, serve)
    assert watched.easy.asked == 5


def test_what_is_ordinary_until_a_moment_is_asked_again_then(watched, serve):
    watched.easy.rule = Ordinary(HOUR_NS, 0)
    serve_often(watched, serve)
    assert watched.easy.ended == [200] * 5
    assert watched.easy.asked == 5


def test_each_endpoint_has_its_own(watched, serve, sink):
    watched.app.add_url_rule("/other", "other", lambda: "x")
    sink.levels["shop", "other"] = 2
    serve_often(watched, serve)
    serve_often(watched, serve, path="/other")
    assert watched.easy.ended == [200] * 2


@pytest.mark.parametrize("why", ["status", "exception", "left", "steps"])
def test_requests_to_which_something_happened_are_told(watched, serve, why):
    def view():
        state = request.environ[STATE_KEY]
        if why == "status":
            abort(503)
        elif why == "exception":
            watched.monitor.exceptions.saw(ValueError("x"), "captured", state)
        else:
            setattr(state, "outlier" if why == "left" else "steps", object())
        return "x"

    watched.app.add_url_rule("/x", "x", view)
    watched.sink.levels["shop", "x"] = 2
    serve_often(watched, serve, path="/x")
    assert len(watched.easy.ended) == 5


def test_somebody_who_cannot_say_what_is_ordinary_is_told_of_all(watched, serve):
    def explode(_state):
        raise RuntimeError("ours")

    watched.easy.ordinary = explode
    serve_often(watched, serve)
    assert watched.easy.ended == [200] * 5
    assert watched.handle.failures == {"easy (ordinary)": 5}


def test_nobody_is_told_any_more_once_the_watch_is_closed(watched, serve):
    serve_often(watched, serve, 1)
    watched.monitor.watch.close()
    serve_often(watched, serve)
    assert watched.strict.ended == [200]


def test_a_request_leaves_nothing_behind_that_refers_to_it(watched, serve):
    states = []
    watched.easy.end = lambda state, _now_ns: states.append(state)
    serve(watched.app, "/")
    (state,) = states
    assert (state.request, state.span, state.greenlet) == (None, None, None)


def test_spans_that_take_no_notes_do_no_harm(app, watch, sink, serve):
    """Others than OpenTelemetry's own SDK make spans, too."""

    class Rigid:
        __slots__ = ("span",)

        def __init__(self, span):
            self.span = span

        def __getattr__(self, name):
            return getattr(self.span, name)

    @app.before_request
    def swap():  # as if it had been made so
        request.environ[SPAN_KEY] = Rigid(request.environ[SPAN_KEY])

    sink.levels["shop", "index"] = 2
    watched = watch(app)
    functions = app.before_request_funcs[None]
    functions.insert(1, functions.pop(functions.index(swap)))
    strict = Strict()
    watched.monitor.watch.add(strict)
    serve(app, "/")
    assert strict.ended == [200]
    assert watched.handle.failures == {}
    assert not hasattr(watched.span(), "fmd_otel_request")


def test_a_span_names_its_request_so_that_steps_below_it_find_it():
    assert "fmd_otel_request" not in dir(Span)
    provider = TracerProvider()
    span = provider.get_tracer("shop").start_span("GET /")
    span.fmd_otel_request = "a request"  # upstream's class has to go on taking it
    span.end()
    assert span.fmd_otel_request == "a request"
