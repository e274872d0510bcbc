"""``fmd_otel.instrument(app)`` in all the ways people call it."""

from __future__ import annotations

import logging
import sqlite3

import flask
import pytest
from flask import Flask
from opentelemetry import trace
from opentelemetry.instrumentation.flask import FlaskInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, TraceIdRatioBased
from werkzeug.middleware.proxy_fix import ProxyFix

import fmd_otel
from fmd_otel import attach
from fmd_otel.profiler.span_processor import StackSamplingSpanProcessor
from fmd_otel.sampler import KeepEntrySpans
from fmd_otel_exporter.span_processor import FmdSpanProcessor

pytestmark = pytest.mark.usefixtures("no_provider")


@pytest.fixture
def sinks(monkeypatch, sink):
    """Let instrument() write into a list instead of a database."""
    monkeypatch.setattr("fmd_otel_exporter.pipeline.shared_pipeline", lambda _settings: sink)
    return sink


@pytest.fixture
def instrument(sinks, monkeypatch):  # it writes there
    handles = []

    def put(app, **settings):
        settings.setdefault("include_dashboard", False)
        handle = fmd_otel.instrument(app, **settings)
        handles.append(handle)
        return handle

    yield put
    for handle in handles:
        handle.uninstrument()


def state_of(app):
    """All that instrument() touches."""
    functions = (app.before_request_funcs, app.teardown_request_funcs)
    return app.wsgi_app, [{k: list(v) for k, v in f.items() if v} for f in functions], dict(app.extensions)


def processors(provider):
    return provider._active_span_processor._span_processors


def test_requests_are_in_the_database_exactly_once(app, tmp_path):
    handle = fmd_otel.instrument(app, database=f"sqlite:///{tmp_path}/fmd.db", include_dashboard=False)
    client = app.test_client()
    for _ in range(25):
        client.get("/")
        client.get("/nope")
    assert handle.force_flush()
    with sqlite3.connect(tmp_path / "fmd.db") as database:
        (requests,) = database.execute("SELECT COUNT(*) FROM fmd_request").fetchone()
        (hits,) = database.execute("SELECT SUM(n) FROM fmd_hits").fetchone()
    assert (requests, hits) == (50, 50)
    handle.uninstrument()


def test_the_other_names_of_the_package_are_there():
    assert fmd_otel.config is not None
    assert issubclass(fmd_otel.SettingsError, fmd_otel.FmdOtelError)
    assert {"config", "instrument"} <= set(dir(fmd_otel))
    with pytest.raises(AttributeError, match="bind"):
        _ = fmd_otel.bind


def test_before_the_routes_are_added(instrument, sinks):
    app = Flask("shop")
    instrument(app)
    app.add_url_rule("/late", "late", lambda: "x")
    app.test_client().get("/late")
    assert sinks.only.endpoint == "late"


def test_in_an_application_factory_several_times(instrument, sinks):
    def create_app():
        app = Flask("shop")
        instrument(app)
        app.add_url_rule("/", "index", lambda: "x")
        return app

    for app in (create_app(), create_app()):
        app.test_client().get("/")
    assert [(record.service, record.endpoint) for record in sinks.records] == [("shop", "index")] * 2
    assert len([p for p in processors(trace.get_tracer_provider()) if isinstance(p, FmdSpanProcessor)]) == 1


def test_twice_gives_the_same_handle_and_counts_once(instrument, sinks, app, caplog):
    first = instrument(app)
    assert fmd_otel.instrument(app) is first
    assert not caplog.records
    assert fmd_otel.instrument(app, monitor_level=2) is first
    assert "monitor_level" in caplog.text
    app.test_client().get("/")
    assert sinks.only


def test_after_the_first_request(instrument, sinks, app):
    app.test_client().get("/")
    instrument(app)
    app.test_client().get("/")
    assert sinks.only.endpoint == "index"
    with pytest.raises(AssertionError):  # Flask's own rule still holds for everybody else
        app.before_request(lambda: None)


def test_two_applications_are_two_services(instrument, sinks):
    for name in ("shop", "admin"):
        app = Flask(name)
        instrument(app)
        app.test_client().get("/x")
    assert [record.service for record in sinks.records] == ["shop", "admin"]


def test_two_applications_under_one_service_name_stay_apart(instrument, sinks, monkeypatch):
    monkeypatch.setenv("OTEL_SERVICE_NAME", "platform")
    for name in ("shop", "admin", "shop"):
        app = Flask(name)
        instrument(app)
        app.test_client().get("/x")
    assert [record.service for record in sinks.records] == ["platform", "platform/admin", "platform"]


def test_our_own_provider_says_what_is_monitored(instrument, app):
    instrument(app, app_version="7.1")
    provider = trace.get_tracer_provider()
    assert provider.resource.attributes["service.name"] == "shop"
    assert provider.resource.attributes["service.version"] == "7.1"
    assert isinstance(provider.sampler, KeepEntrySpans)


def test_our_own_provider_honours_the_samplers_variables(instrument, sinks, app, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.25")
    instrument(app)
    root = trace.get_tracer_provider().sampler.root
    assert isinstance(root, TraceIdRatioBased)
    assert root.rate == 0.25
    for _ in range(20):
        app.test_client().get("/")
    assert len(sinks.records) == 20


def test_the_users_provider_is_used_and_its_sampler_left_alone(instrument, sinks, app):
    spans = InMemorySpanExporter()
    provider = TracerProvider(
        sampler=ALWAYS_OFF, resource=Resource({"service.name": "mine", "service.version": "9"})
    )
    provider.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(provider)
    instrument(app)
    other = Flask("shop")
    instrument(other)
    app.test_client().get("/")
    assert trace.get_tracer_provider() is provider
    assert provider.sampler is ALWAYS_OFF
    assert [type(processor) for processor in processors(provider)] == [
        SimpleSpanProcessor,
        StackSamplingSpanProcessor,
    ]
    assert not spans.get_finished_spans()
    assert (sinks.only.service, sinks.only.version) == ("mine", "9")


def test_a_provider_given_by_keyword_does_not_become_the_processes_own(instrument, sinks, app):
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    instrument(app, tracer_provider=provider)
    app.test_client().get("/")
    assert len(spans.get_finished_spans()) == 1
    assert sinks.only
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def test_a_provider_that_makes_no_spans_still_lets_requests_be_counted(instrument, sinks, app):
    instrument(app, tracer_provider=trace.NoOpTracerProvider())
    app.test_client().get("/")
    app.test_client().get("/")
    assert [record.endpoint for record in sinks.records] == ["index", "index"]
    assert all(any(record.span_id) for record in sinks.records)
    assert len({record.span_id for record in sinks.records}) == 2


def test_opentelemetrys_own_instrumentation_is_kept(instrument, sinks, app, caplog):
    spans, hooked = InMemorySpanExporter(), []
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    app.before_request(lambda: ("stop", 401))
    FlaskInstrumentor.instrument_app(app, tracer_provider=provider, request_hook=lambda *_: hooked.append(1))
    instrument(app, tracer_provider=provider)
    app.test_client().get("/")
    assert hooked
    assert not caplog.records
    (span,) = spans.get_finished_spans()
    assert span.attributes["fmd.endpoint"] == "index"
    assert (sinks.only.status, sinks.only.span_id) == (401, span.context.span_id.to_bytes(8, "big"))


def test_opentelemetrys_global_instrumentation_is_kept(instrument, sinks):
    FlaskInstrumentor().instrument()
    try:
        app = flask.Flask("shop")
        instrument(app)
        app.test_client().get("/x")
        assert sinks.only.endpoint == "unmatched:4xx"
    finally:
        FlaskInstrumentor().uninstrument()


@pytest.mark.parametrize("variable", [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")])
def test_a_variable_switches_everything_off(instrument, sinks, app, monkeypatch, variable):
    monkeypatch.setenv(*variable)
    before = app.wsgi_app
    handle = instrument(app)
    app.test_client().get("/")
    assert not handle.active
    assert app.wsgi_app == before
    assert handle.force_flush()
    handle.uninstrument()
    assert not sinks.records


def test_otlp_beside_us(instrument, app, monkeypatch):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "fmd,otlp")
    instrument(app)
    batch, ours = processors(trace.get_tracer_provider())
    assert isinstance(batch, BatchSpanProcessor)
    assert type(batch.span_exporter).__module__.startswith("opentelemetry.exporter.otlp.proto.http")
    assert isinstance(ours, FmdSpanProcessor)
    batch.shutdown()


@pytest.mark.parametrize(
    ("variable", "said"),
    [
        (("OTEL_TRACES_EXPORTER", "fmd,zipkinn"), "zipkinn"),
        (("OTEL_EXPORTER_OTLP_PROTOCOL", "carrier/pigeon"), "pigeon"),
    ],
)
def test_an_exporter_that_does_not_exist_is_told(instrument, app, monkeypatch, variable, said):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "fmd,otlp")
    monkeypatch.setenv(*variable)
    with pytest.raises(fmd_otel.SettingsError, match=said):
        instrument(app)
    assert isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider)


def test_excluded_urls_by_keyword(instrument, sinks, app):
    app.add_url_rule("/health", "health", lambda: "ok")
    instrument(app, excluded_urls="/health,/ready")
    app.test_client().get("/health")
    app.test_client().get("/")
    assert sinks.only.endpoint == "index"


def test_uninstrument_gives_the_application_back(instrument, sinks, app):
    before = state_of(app)
    handle = instrument(app)
    provider = trace.get_tracer_provider()
    handle.uninstrument()
    handle.uninstrument()
    after = state_of(app)
    assert after == before
    assert app.test_client().get("/").data == b"hello"
    assert not sinks.records
    assert not handle.active
    assert all(processor._closed for processor in processors(provider))


def test_uninstrument_leaves_middlewares_that_came_later_in_place(instrument, sinks, app, caplog, serve):
    handle = instrument(app, include_dashboard=True)
    app.wsgi_app = ProxyFix(app.wsgi_app)
    handle.uninstrument()
    app.add_url_rule("/who", "who", lambda: __import__("flask").request.remote_addr)
    assert serve(app, "/who", HTTP_X_FORWARDED_FOR="203.0.113.7").body == b"203.0.113.7"
    assert serve(app, "/dashboard/").status.startswith("404")
    assert not sinks.records
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_uninstrument_leaves_the_users_own_tracing_alone(instrument, sinks, app):
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    FlaskInstrumentor.instrument_app(app, tracer_provider=provider)
    instrument(app, tracer_provider=provider).uninstrument()
    app.test_client().get("/")
    assert len(spans.get_finished_spans()) == 1
    assert not sinks.records


def test_instrumented_again_after_being_given_back(instrument, sinks, app):
    instrument(app).uninstrument()
    handle = instrument(app)
    app.test_client().get("/")
    assert handle.active
    assert sinks.only


def test_one_application_given_back_leaves_the_other_observed(instrument, sinks, app):
    other = Flask("other")
    instrument(other)
    instrument(app).uninstrument()
    (ours,) = processors(trace.get_tracer_provider())
    assert not ours._closed
    other.test_client().get("/x")
    assert sinks.only.service == "other"


@pytest.mark.parametrize("thing", [None, "app", object()])
def test_something_that_is_no_application(thing):
    with pytest.raises(fmd_otel.SettingsError, match="Flask application"):
        fmd_otel.instrument(thing)


def test_a_wrong_setting_leaves_the_application_untouched(instrument, app):
    before = app.wsgi_app
    with pytest.raises(fmd_otel.SettingsError, match=r"keyword monitor_levl=2.*did you mean monitor_level"):
        instrument(app, monitor_levl=2)
    assert app.wsgi_app == before
    assert not app.extensions


def test_config_in_code_is_used_and_group_by_may_come_later(instrument, sinks, app):
    fmd_otel.config.app_version = "3.0"
    instrument(app)
    fmd_otel.config.group_by = lambda: "later"
    app.test_client().get("/")
    assert (sinks.only.version, sinks.only.group_by) == ("3.0", "later")


def test_settings_are_those_in_force(instrument, app):
    handle = instrument(app, monitor_level=2)
    assert handle.settings.monitor_level == 2
    assert handle.settings.origins["MONITOR_LEVEL"] == "keyword monitor_level"
    assert "'shop' active" in repr(handle)


def test_a_named_group_by_is_looked_up_when_it_is_needed(instrument, sinks, app, monkeypatch, tmp_path):
    (tmp_path / "shop_users.py").write_text("def current():\n    return 'anna'\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("FMD_OTEL_GROUP_BY", "shop_users:current")
    instrument(app)
    app.test_client().get("/")
    assert sinks.only.group_by == "anna"


@pytest.mark.parametrize("name", ["no_such_module:f", "json:no_such_function", "json"])
def test_a_named_group_by_that_does_not_exist_is_told_at_start(instrument, app, monkeypatch, name):
    monkeypatch.setenv("FMD_OTEL_GROUP_BY", name)
    with pytest.raises(fmd_otel.SettingsError, match="FMD_OTEL_GROUP_BY"):
        instrument(app)


def test_the_dashboard_is_mounted_without_being_built(instrument, app, serve, monkeypatch):
    built = []
    monkeypatch.setattr("fmd_otel_dash.create_wsgi", lambda settings: built.append(settings) or answering)

    def answering(environ, start_response):
        start_response("200 OK", [])
        return [environ["SCRIPT_NAME"].encode()]

    instrument(app, include_dashboard=True, custom_link="status", brand_name="Shop")
    if built:  # Dash was imported by another test of this process, and is then built at once
        built.clear()
    assert serve(app, "/").body == b"hello"
    assert serve(app, "/status/").body == b"/status"
    assert app.test_client().get("/statuses").status_code == 404


def test_visits_of_the_dashboard_are_not_counted(instrument, sinks, app, serve, monkeypatch):
    def answering(_environ, start_response):
        start_response("200 OK", [])
        return [b"dashboard"]

    monkeypatch.setattr("fmd_otel_dash.create_wsgi", lambda _settings: answering)
    instrument(app, include_dashboard=True)
    serve(app, "/dashboard/overview")
    assert not sinks.records


def test_without_the_extra_there_is_no_dashboard(instrument, app, serve, monkeypatch):
    monkeypatch.setattr(attach, "find_spec", lambda _name: None)
    instrument(app, include_dashboard=True)
    assert serve(app, "/dashboard/").status.startswith("404")


def test_a_dashboard_that_cannot_be_mounted_stops_nothing(instrument, sinks, app, monkeypatch, caplog):
    class Broken:
        def __init__(self, *_args):
            raise RuntimeError("no mount")

    monkeypatch.setattr("fmd_otel_dash.mount.LazyMount", Broken)
    instrument(app, include_dashboard=True)
    app.test_client().get("/")
    assert sinks.only
    assert "could not be mounted" in caplog.text


def test_routes_that_the_dashboard_would_hide_are_told(instrument, app, caplog, monkeypatch):
    monkeypatch.setattr("fmd_otel_dash.create_wsgi", lambda _settings: None)
    app.add_url_rule("/dashboard/users", "users", lambda: "x")
    app.add_url_rule("/dashboards", "others", lambda: "x")
    instrument(app, include_dashboard=True)
    assert "/dashboard/users" in caplog.text
    assert "/dashboards" not in caplog.text.replace("/dashboard/users", "")


def test_enable_logging_prints_what_happens(instrument, app, capsys, monkeypatch):
    log = logging.getLogger("fmd_otel")
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "propagate", False)
    monkeypatch.setattr(log, "level", logging.NOTSET)
    log.manager._clear_cache()
    instrument(app, enable_logging=True)
    assert "shop is monitored as shop" in capsys.readouterr().err
    log.manager._clear_cache()


def test_a_warning_about_settings_is_said_once(instrument, caplog):
    for name in ("one", "two"):
        instrument(Flask(name), app_version="1", git="/nowhere")
    assert caplog.text.count("both set") == 1


def test_the_application_says_who_may_see_the_dashboard_and_its_own_hooks_count_nothing(
    app, sinks, instrument, tmp_path
):
    app.secret_key = "a secret of the application"

    @app.get("/enter")
    def enter():
        flask.session["user"] = "zoe"
        return ""

    def visitor(environ):
        with app.request_context(environ):
            return (flask.session["user"], "guest") if "user" in flask.session else None

    database = f"sqlite:///{tmp_path / 'fmd.db'}"
    instrument(app, include_dashboard=True, database=database, auth=visitor, auth_login_url="/enter")
    client = app.test_client()
    stranger = client.get("/dashboard/overview", headers={"Accept": "text/html"})
    assert stranger.headers["Location"] == "/enter?next=%2Fdashboard%2Foverview"
    client.get("/enter")
    assert client.get("/dashboard/overview").status_code == 200
    assert client.get("/dashboard/users").status_code == 200
    assert len(sinks.records) == 1  # /enter
