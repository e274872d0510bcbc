"""A host that is a Dash app itself, or has Dash's environment variables set, notices nothing."""

from __future__ import annotations

import inspect
import subprocess
import sys
import textwrap
from contextlib import suppress

import pytest


def run(code, **env):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", **env},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HOST = """
    import dash, logging
    from dash import Dash, Input, Output, html, dcc
    host = Dash("host", url_base_pathname="/")
    host.layout = html.Div([dcc.Input(id="a"), html.Div(id="b")])

    @dash.callback(Output("b", "children"), Input("a", "value"))
    def say(value):
        return value

    dash.clientside_callback("function(x) { return x; }", Output("b", "title"), Input("a", "value"))
"""


def test_a_host_that_is_a_dash_app_keeps_its_callbacks_paths_and_identity():
    out = run(
        HOST
        + """
    from fmd_otel_dash.mount import LazyMount
    from fmd_otel_dash.settings import DashboardSettings
    from fmd_otel_dash import create_wsgi
    from werkzeug.test import Client
    made = []
    def factory():
        made.append(1)
        return create_wsgi(DashboardSettings(database="sqlite:////nowhere/x.db"))
    before = (len(dash._callback.GLOBAL_CALLBACK_LIST), len(dash._callback.GLOBAL_INLINE_SCRIPTS))
    level = logging.getLogger("dash.dash").level
    mounted = LazyMount(host.server.wsgi_app, "/dashboard", factory)
    assert made == [1], "built at once, since Dash is there"
    assert (len(dash._callback.GLOBAL_CALLBACK_LIST), len(dash._callback.GLOBAL_INLINE_SCRIPTS)) == before
    assert logging.getLogger("dash.dash").level == level
    assert dash.get_app() is host
    assert dash.get_relative_path("/x") == "/x"
    ours = Client(mounted).get("/dashboard/assets/style.css")
    theirs = Client(mounted).get("/_dash-dependencies").json
    print(ours.status_code, sorted(each["output"] for each in theirs))
    """
    )
    assert out == "200 ['b.children', 'b.title']"


def test_dash_variables_speak_of_the_hosts_app():
    out = run(
        """
    from fmd_otel_dash.factory import Dashboard
    from fmd_otel_dash.services import Services
    from fmd_otel_dash.settings import DashboardSettings
    made = Dashboard(Services(DashboardSettings(database="sqlite:////nowhere/x.db")))
    paths = [rule.rule for rule in made.server.url_map.iter_rules()]
    print(made.dash.config.requests_pathname_prefix, any("mcp" in path for path in paths), made.server.debug)
    """,
        DASH_URL_BASE_PATHNAME="/host/",
        DASH_MCP_ENABLED="1",
        DASH_REQUESTS_PATHNAME_PREFIX="/other/",
        DASH_PRUNE_ERRORS="true",
        DASH_DEBUG="true",
        FLASK_DEBUG="1",
    )
    assert out == "/dashboard/ False False"


def test_an_instrumented_flask_is_neither_used_nor_traced(tmp_path):
    out = run(
        f"""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.instrumentation.flask import FlaskInstrumentor
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    FlaskInstrumentor().instrument(tracer_provider=provider)
    import flask
    host = flask.Flask("host")
    host.add_url_rule("/", view_func=lambda: "hello")
    from fmd_otel_dash import create_wsgi
    from fmd_otel_dash.mount import LazyMount
    from fmd_otel_dash.settings import DashboardSettings
    database = "sqlite:///{tmp_path}/x.db"
    settings = DashboardSettings(database=database, username="root", password="a fine password")
    host.wsgi_app = LazyMount(host.wsgi_app, "/dashboard", lambda: create_wsgi(settings))
    client = host.test_client()
    codes = [client.get(path).status_code for path in ("/", "/dashboard/login", "/dashboard/_dash-layout")]
    print(codes, [span.name for span in spans.get_finished_spans()], len(list(host.url_map.iter_rules())))
    """
    )
    assert out == "[200, 200, 401] ['GET /'] 2"


def test_no_callback_starts_a_thread_or_an_event_loop(dashboard):
    pytest.importorskip("asgiref")  # with it, Dash would make coroutines of all views
    views = dashboard.server.view_functions

    assert [name for name, view in views.items() if inspect.iscoroutinefunction(view)] == []


def test_the_private_names_of_dash_that_we_stand_on_are_there():
    out = run(
        """
    from fmd_otel_dash import isolation
    for module, name, _make in isolation._GLOBALS:
        assert hasattr(module, name), f"{module.__name__}.{name} has moved: see isolation.py"
    print("there")
    """
    )
    assert out == "there"


@pytest.mark.parametrize("kind", ["exception", "none"])
def test_globals_come_back_whatever_happens(kind):
    from dash import _get_app, _get_paths  # noqa: PLC0415

    from fmd_otel_dash.isolation import quarantine  # noqa: PLC0415

    before = (_get_app.APP, _get_paths.CONFIG)
    with suppress(ZeroDivisionError), quarantine():
        assert _get_app.APP is None
        assert 1 / (kind != "exception")
    assert before == (_get_app.APP, _get_paths.CONFIG)
