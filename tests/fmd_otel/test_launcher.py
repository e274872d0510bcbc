"""What ``opentelemetry-instrument`` does with us, without starting a process."""

from __future__ import annotations

import os
from importlib.metadata import entry_points
from types import SimpleNamespace

import flask
import pytest
from flask.app import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

import fmd_otel
from fmd_otel import distro, launcher
from fmd_otel.distro import FmdConfigurator, FmdDistro
from fmd_otel.otel_internals import sdk_configurator
from fmd_otel.profiler.span_processor import StackSamplingSpanProcessor
from fmd_otel.sampler import KeepEntrySpans
from fmd_otel_exporter.span_processor import FmdSpanProcessor

pytestmark = pytest.mark.usefixtures("no_provider")


@pytest.fixture
def watching(monkeypatch, sink):
    """A process in which the launcher has done its work."""
    monkeypatch.setattr("fmd_otel_exporter.pipeline.shared_pipeline", lambda _settings: sink)
    monkeypatch.setenv("FMD_OTEL_INCLUDE_DASHBOARD", "false")
    monkeypatch.setattr(launcher, "service_names", fmd_otel.instrumentation.service_names)
    launcher.watch_flask()
    yield sink
    launcher.unwatch_flask()


def processors():
    return trace.get_tracer_provider()._active_span_processor._span_processors


class Discarding(SpanExporter):
    def export(self, _spans):
        return SpanExportResult.SUCCESS


def test_the_entry_points_are_there():
    for group in ("opentelemetry_distro", "opentelemetry_configurator", "opentelemetry_traces_exporter"):
        (found,) = entry_points(group=group, name="fmd")
        assert found.load().__name__.startswith("Fmd")


def test_the_distro_sets_only_what_is_unset(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "fmd,otlp")
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "")
    with monkeypatch.context() as context:
        for name in distro.DEFAULTS:
            context.setenv(name, os.environ.get(name, ""))
        FmdDistro().configure()
        assert os.environ["OTEL_TRACES_EXPORTER"] == "fmd,otlp"
        assert os.environ["OTEL_METRICS_EXPORTER"] == "none"
        assert os.environ["OTEL_LOGS_EXPORTER"] == "none"
        assert os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "http/protobuf"
        assert os.environ["OTEL_PYTHON_CONFIGURATOR"] == "fmd"


@pytest.fixture
def quiet(monkeypatch):
    for name, value in distro.DEFAULTS.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("quiet")
def test_the_configurator_gives_us_our_processor_and_others_a_batch(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "fmd,otlp")
    monkeypatch.setenv("FMD_OTEL_DATABASE", "sqlite://")
    FmdConfigurator().configure()
    assert [type(processor) for processor in processors()] == [StackSamplingSpanProcessor, BatchSpanProcessor]
    assert isinstance(trace.get_tracer_provider().sampler, KeepEntrySpans)
    processors()[1].shutdown()


@pytest.mark.usefixtures("quiet")
def test_wrong_settings_leave_the_rest_of_opentelemetry_working(monkeypatch, caplog):
    monkeypatch.setenv("FMD_OTEL_MONITOR_LEVL", "2")
    FmdConfigurator().configure()
    assert "did you mean FMD_OTEL_MONITOR_LEVEL" in caplog.text
    assert "Traceback" not in caplog.text
    assert not any(isinstance(processor, FmdSpanProcessor) for processor in processors())
    assert not isinstance(trace.get_tracer_provider().sampler, KeepEntrySpans)


@pytest.mark.usefixtures("quiet")
def test_a_declarative_configuration_gets_our_processor_afterwards(monkeypatch):
    def from_file(_self, **kwargs):
        assert not {"sampler", "export_span_processor"} & set(kwargs)
        trace.set_tracer_provider(TracerProvider())

    monkeypatch.setattr(sdk_configurator(), "_configure", from_file)
    monkeypatch.setenv("OTEL_CONFIG_FILE", "otel.yaml")
    monkeypatch.setenv("FMD_OTEL_DATABASE", "sqlite://")
    FmdConfigurator().configure()
    assert [type(processor) for processor in processors()] == [StackSamplingSpanProcessor]


@pytest.mark.usefixtures("quiet")
def test_without_us_among_the_exporters_nothing_is_watched(monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    loaded = {}

    class Instrumentor:
        def instrument(self, **kwargs):
            loaded.update(kwargs)

    FmdDistro().load_instrumentor(
        SimpleNamespace(name="flask", load=lambda: Instrumentor), skip_dep_check=True
    )
    assert loaded["enable_commenter"] is False
    assert loaded["skip_dep_check"] is True
    assert not hasattr(Flask.__call__, "_fmd_otel_original")


@pytest.mark.usefixtures("quiet")
def test_flasks_instrumentation_runs_and_flask_is_watched():
    try:
        FmdDistro().load_instrumentor(
            SimpleNamespace(name="flask", load=lambda: FlaskInstrumentor), skip_dep_check=True
        )
        assert flask.Flask is not Flask
        assert hasattr(Flask.__call__, "_fmd_otel_original")
    finally:
        launcher.unwatch_flask()
        FlaskInstrumentor().uninstrument()
    assert not hasattr(Flask.__call__, "_fmd_otel_original")


def test_other_instrumentations_get_what_they_are_given():
    loaded = []

    class Instrumentor:
        def instrument(self, **kwargs):
            loaded.append(kwargs)

    FmdDistro().load_instrumentor(
        SimpleNamespace(name="redis", load=lambda: Instrumentor), skip_dep_check=True
    )
    assert loaded == [{"skip_dep_check": True}]


def test_an_application_is_monitored_from_its_first_request(watching, app):
    for _ in range(3):
        app.test_client().get("/")
    assert [record.endpoint for record in watching.records] == ["index"] * 3


def test_an_application_made_by_another_import_is_found(watching):
    FlaskInstrumentor().instrument()
    try:
        app = Flask("imported early")
        app.test_client().get("/x")
    finally:
        FlaskInstrumentor().uninstrument()
    assert watching.only.service == "imported early"


def test_a_zero_code_application_is_counted_once(watching):
    FlaskInstrumentor().instrument()
    try:
        app = flask.Flask("zero")
        app.add_url_rule("/", "index", lambda: "x")
        app.test_client().get("/")
    finally:
        FlaskInstrumentor().uninstrument()
    assert watching.only.endpoint == "index"


def test_the_application_may_still_call_instrument_itself(watching, app):
    handle = fmd_otel.instrument(app, app_version="5")
    app.test_client().get("/")
    assert watching.only.version == "5"
    assert fmd_otel.instrument(app) is handle
    handle.uninstrument()


def test_what_was_given_back_stays_given_back(watching, app):
    app.test_client().get("/")
    app.extensions["fmd_otel"].uninstrument()
    app.test_client().get("/")
    assert len(watching.records) == 1


def test_the_first_application_made_owns_the_service_name(watching, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "platform")
    first, second = Flask("first"), Flask("second")
    second.test_client().get("/x")
    first.test_client().get("/x")
    assert [record.service for record in watching.records] == ["platform/second", "platform"]


def test_applications_called_with_instrumentation_suppressed_are_ours(watching, app):
    with suppress_instrumentation():
        app.test_client().get("/")
    assert not watching.records
    assert "fmd_otel" not in app.extensions


def test_wrong_settings_are_told_once_and_the_application_runs(watching, app, monkeypatch, caplog):
    monkeypatch.setenv("FMD_OTEL_MONITOR_LEVEL", "9")
    for _ in range(3):
        assert app.test_client().get("/").data == b"hello"
    assert caplog.text.count("shop is not monitored") == 1
    assert "FMD_OTEL_MONITOR_LEVEL='9'" in caplog.text
    assert not watching.records


def test_a_failure_of_ours_is_told_once_and_the_application_runs(watching, app, monkeypatch, caplog):
    def fail(*_args):
        raise RuntimeError("ours")

    monkeypatch.setattr(launcher, "start_once", fail)
    for _ in range(3):
        assert app.test_client().get("/").data == b"hello"
    assert caplog.text.count("shop is not monitored") == 1
    assert not watching.records


def test_settings_made_in_the_application_are_seen(watching, app):
    fmd_otel.config.group_by = lambda: "anna"
    app.test_client().get("/")
    assert watching.only.group_by == "anna"
