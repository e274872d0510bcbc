"""Fails loudly when OpenTelemetry or Flask moves something that is not public and that we use.

What to do then: look at ``otel_internals.py``, where each name is used once, and follow the move.
"""

from __future__ import annotations

import inspect

import flask
import flask.globals
import opentelemetry.instrumentation.flask as otel_flask
import pytest
from flask import Flask
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk import _configuration
from opentelemetry.sdk.trace import TracerProvider, sampling
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.util.http import parse_excluded_urls

from fmd_otel import otel_internals as internals
from fmd_otel_exporter.span_exporter import FmdSpanExporter


@pytest.fixture
def traced(app):
    FlaskInstrumentor.instrument_app(app, tracer_provider=TracerProvider())
    return app


def test_the_keys_in_the_environment_are_upstreams():
    assert internals.SPAN_KEY == otel_flask._ENVIRON_SPAN_KEY
    assert internals.CONTEXT_KEY == otel_flask._ENVIRON_REQCTX_REF_KEY


def test_the_request_context_is_found_by_the_short_way(app):
    assert flask.globals._cv_request.get(None) is None
    assert internals.current_request_context() is None
    with app.test_request_context("/") as context:
        assert internals.current_request_context() is context
        assert internals._public_request_context() is context
    assert internals._public_request_context() is None


def test_the_span_and_its_context_are_where_we_look(traced):
    seen = {}

    @traced.route("/look")
    def look():
        environ = flask.request.environ
        seen["span"] = environ[internals.SPAN_KEY]
        seen["same"] = environ[internals.CONTEXT_KEY]() is internals.current_request_context()
        return "x"

    traced.test_client().get("/look")
    assert seen["same"]
    assert seen["span"].name == "GET /look"


def test_an_application_knows_that_it_is_instrumented(app):
    assert not internals.is_instrumented(app)
    FlaskInstrumentor.instrument_app(app, tracer_provider=TracerProvider())
    assert internals.is_instrumented(app)
    assert {"_before_request", "_teardown_request", "_original_wsgi_app"} <= set(vars(app))


def test_before_request_moves_to_the_front(app):
    app.before_request(lambda: None)
    FlaskInstrumentor.instrument_app(app, tracer_provider=TracerProvider())
    internals.move_before_request_first(app)
    assert app.before_request_funcs[None][0] is app._before_request
    assert len(app.before_request_funcs[None]) == 2


def test_instrumentation_is_removed_without_a_trace(app):
    original = app.wsgi_app
    internals.instrument_app(app, tracer_provider=TracerProvider())
    assert internals.remove_instrumentation(app) == original
    assert not internals.is_instrumented(app)
    assert not app.before_request_funcs[None]
    assert not app.teardown_request_funcs[None]


def test_late_registration_is_allowed_only_for_a_moment(app):
    app.test_client().get("/")
    with internals.setup_allowed(app):
        app.before_request(lambda: None)
    with pytest.raises(AssertionError):
        app.before_request(lambda: None)


def test_excluded_urls_are_read_from_where_upstream_keeps_them(app):
    FlaskInstrumentor.instrument_app(app, tracer_provider=TracerProvider(), excluded_urls="/health")
    excluded = internals.excluded_urls(app)
    assert excluded.url_disabled("http://x/health")
    assert not excluded.url_disabled("http://x/other")


def test_excluded_urls_of_a_zero_code_application_are_read_too():
    FlaskInstrumentor().instrument(excluded_urls="/health")
    try:
        assert internals.excluded_urls(flask.Flask("x")).url_disabled("http://x/health")
    finally:
        FlaskInstrumentor().uninstrument()


def test_no_excluded_urls_are_none(traced):
    assert internals.excluded_urls(traced) is None


def test_an_empty_list_of_excluded_urls_costs_nothing(app):
    assert internals._is_empty(parse_excluded_urls(""))
    internals.instrument_app(app, tracer_provider=TracerProvider())
    code = app._before_request.__code__
    assert app._before_request.__closure__[code.co_freevars.index("excluded_urls")].cell_contents is None
    assert otel_flask._excluded_urls_from_env is not None


def test_an_empty_list_costs_nothing_in_zero_code_applications_either():
    FlaskInstrumentor().instrument()
    try:
        internals.drop_empty_exclusions()
        assert otel_flask._InstrumentedFlask._excluded_urls is None
        assert flask.Flask("x").test_client().get("/").status_code == 404
    finally:
        FlaskInstrumentor().uninstrument()


def test_excluded_urls_of_the_environment_are_kept(monkeypatch, app):
    monkeypatch.setattr(otel_flask, "_excluded_urls_from_env", parse_excluded_urls("/health"))
    internals.instrument_app(app, tracer_provider=TracerProvider())
    assert internals.excluded_urls(app).url_disabled("http://x/health")


def test_the_span_processors_of_a_provider_are_visible():
    provider = TracerProvider()
    assert not internals.has_exporter(provider)
    batch = BatchSpanProcessor(FmdSpanExporter("sqlite://"))
    provider.add_span_processor(batch)
    assert internals.has_exporter(provider)
    batch.shutdown()


@pytest.mark.parametrize(
    ("variables", "kind"),
    [
        ({}, sampling.ParentBased),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, sampling.StaticSampler),
        (
            {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"},
            sampling.TraceIdRatioBased,
        ),
        ({"OTEL_TRACES_SAMPLER": "no_such_sampler"}, sampling.ParentBased),
    ],
)
def test_the_sampler_of_the_environment(monkeypatch, variables, kind):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert isinstance(internals.root_sampler(), kind)


def test_a_sampler_from_an_entry_point(monkeypatch):
    class EntryPoint:
        @staticmethod
        def load():
            return lambda argument: ("made with", argument)

    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "mine")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "7")
    monkeypatch.setattr(_configuration, "entry_points", lambda **_: [EntryPoint])
    monkeypatch.setattr(_configuration, "Sampler", tuple)
    assert internals.root_sampler() == ("made with", "7")


def test_the_configurator_takes_what_we_give_it():
    assert internals.sdk_configurator() is _configuration._OTelSDKConfigurator
    parameters = inspect.signature(_configuration._initialize_components).parameters
    assert {"sampler", "export_span_processor"} <= set(parameters)


def test_flask_is_itself_while_we_make_an_application_of_ours():
    FlaskInstrumentor().instrument()
    try:
        assert flask.Flask is not Flask
        with internals.plain_flask():
            assert flask.Flask is Flask
            assert not internals.is_instrumented(flask.Flask("ours"))
        assert flask.Flask is otel_flask._InstrumentedFlask
    finally:
        FlaskInstrumentor().uninstrument()
    with internals.plain_flask():
        assert flask.Flask is Flask
