"""The dashboard inside an app: nothing until somebody comes, and nothing for the app to notice then."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading

import pytest
from opentelemetry.instrumentation.utils import is_instrumentation_enabled
from werkzeug.test import Client

from fmd_otel_dash.mount import RETRY_AFTER_S, LazyMount, Standalone


def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"app " + environ["PATH_INFO"].encode()]


def dashboard(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    seen = f"{environ['SCRIPT_NAME']}|{environ['PATH_INFO']}|{is_instrumentation_enabled()}"
    return [seen.encode()]


@pytest.fixture(autouse=True)
def without_dash(monkeypatch):
    """Other tests have imported Dash, which a mount would notice."""
    monkeypatch.delitem(sys.modules, "dash", raising=False)


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_importing_the_mount_and_the_settings_imports_nothing_heavy():
    out = run("""
        import sys
        import fmd_otel_dash, fmd_otel_dash.mount, fmd_otel_dash.settings
        heavy = {"dash", "plotly", "sqlalchemy", "numpy", "dash_mantine_components", "flask_compress"}
        print(sorted(heavy & set(sys.modules)))
    """)
    assert out.strip() == "[]"


def test_the_factory_is_called_at_the_first_visit_and_once():
    made = []
    client = Client(LazyMount(app, "/dashboard", lambda: made.append(1) or dashboard))
    assert client.get("/").text == "app /"
    assert made == []
    assert client.get("/dashboard/overview").text == "/dashboard|/overview|False"
    assert client.get("/dashboard/").text == "/dashboard|/|False"
    assert made == [1]
    assert is_instrumentation_enabled()


@pytest.mark.parametrize("path", ["/dashboards", "/dashboard-users", "/dash", "/x/dashboard/"])
def test_paths_that_only_look_alike_belong_to_the_app(path):
    client = Client(LazyMount(app, "dashboard/", lambda: dashboard))
    assert client.get(path).text == f"app {path}"


def test_the_bare_prefix_is_redirected_with_its_query():
    client = Client(LazyMount(app, "/dashboard", lambda: dashboard))
    answer = client.get("/dashboard?from=now-7d")
    assert (answer.status_code, answer.headers["Location"]) == (308, "/dashboard/?from=now-7d")
    below = client.get("/dashboard", environ_overrides={"SCRIPT_NAME": "/app"})
    assert below.headers["Location"] == "/app/dashboard/"


def test_a_prefix_of_the_server_comes_first():
    client = Client(LazyMount(app, "/dashboard", lambda: dashboard))
    answer = client.get("/dashboard/overview", environ_overrides={"SCRIPT_NAME": "/app"})
    assert answer.text == "/app/dashboard|/overview|False"


def test_the_root_cannot_be_mounted_over_an_app():
    with pytest.raises(ValueError, match="needs a prefix"):
        LazyMount(app, "/", lambda: dashboard)


def test_visitors_at_the_same_moment_get_one_dashboard():
    made, answers = [], []
    go, begun = threading.Event(), threading.Event()

    def factory():
        made.append(1)
        begun.set()
        go.wait(60)
        return dashboard

    mount = LazyMount(app, "/dashboard", factory)
    threads = [
        threading.Thread(target=lambda: answers.append(Client(mount).get("/dashboard/").status_code))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    begun.wait(60)
    assert Client(mount).get("/cart").text == "app /cart"  # the app does not wait for the dashboard
    go.set()
    for thread in threads:
        thread.join(60)
    assert answers == [200] * 6
    assert made == [1]


def test_a_failure_is_a_plain_page_for_visitors_and_nothing_for_the_app(caplog):
    clock, tries = [0.0], []

    def factory():
        tries.append(1)
        if len(tries) < 3:
            raise RuntimeError("secret of the inside")
        return dashboard

    client = Client(LazyMount(app, "/dashboard", factory, clock=lambda: clock[0]))
    for _ in range(3):
        answer = client.get("/dashboard/overview")
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == str(RETRY_AFTER_S)
        assert "the log of this application says why" in answer.text
        assert "secret" not in answer.text
    assert "secret of the inside" in caplog.text
    assert client.get("/cart").text == "app /cart"
    assert len(tries) == 1  # not at every visit
    clock[0] += RETRY_AFTER_S
    assert client.get("/dashboard/").status_code == 503
    clock[0] += RETRY_AFTER_S
    assert client.get("/dashboard/").status_code == 200
    assert len(tries) == 3


def test_a_missing_extra_is_named():
    def factory():
        raise ModuleNotFoundError("No module named 'dash'")

    answer = Client(LazyMount(app, "/dashboard", factory)).get("/dashboard/")
    assert "pip install" in answer.text
    assert Client(LazyMount(app, "/dashboard", factory)).head("/dashboard/").data == b""


def test_where_dash_is_there_already_the_dashboard_is_built_at_once(monkeypatch):
    monkeypatch.setitem(sys.modules, "dash", object())
    made = []
    LazyMount(app, "/dashboard", lambda: made.append(1) or dashboard)
    assert made == [1]


@pytest.mark.parametrize(
    ("path", "script", "seen"),
    [
        ("/dashboard/login", "", "/dashboard|/login|False"),
        ("/dashboard/", "", "/dashboard|/|False"),
        ("/login", "/dashboard", "/dashboard|/login|False"),  # mounted
        ("/", "/dashboard", "/dashboard|/|False"),
        ("/healthz", "", "|/healthz|False"),
    ],
)
def test_standing_alone_it_serves_its_prefix_wherever_that_was_cut_off(path, script, seen):
    client = Client(Standalone(dashboard, "/dashboard"))
    assert client.get(path, environ_overrides={"SCRIPT_NAME": script}).text == seen


def test_standing_alone_the_root_leads_to_the_dashboard():
    client = Client(Standalone(dashboard, "/dashboard"))
    assert client.get("/").headers["Location"] == "/dashboard/"
    assert client.get("/dashboard").headers["Location"] == "/dashboard/"
    behind = client.get("/", headers={"X-Forwarded-Prefix": "/dashboard"})
    assert behind.status_code == 200  # redirecting would never end
    assert Client(Standalone(dashboard, "")).get("/").text == "|/|False"
