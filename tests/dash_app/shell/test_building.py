from __future__ import annotations

import pytest
from werkzeug.test import Client

from fmd_otel_dash import create_wsgi
from fmd_otel_dash.factory import build
from fmd_otel_dash.services import Services
from fmd_otel_dash.settings import DashboardSettings


def test_building_opens_no_database(tmp_path):
    file = tmp_path / "never.db"
    wsgi = build(DashboardSettings(database=f"sqlite:///{file}"))
    assert not file.exists()
    assert Client(wsgi).get("/dashboard/assets/login.css").status_code == 200
    assert not file.exists()


def test_a_database_that_cannot_be_used_is_a_page_without_its_address(tmp_path, caplog):
    services = Services(DashboardSettings(database=f"sqlite:///{tmp_path}/missing/secret.db"))
    client = Client(build(services.settings, services=services))
    answer = client.get("/dashboard/overview", headers={"Accept": "text/html"})
    assert answer.status_code == 503
    assert "the log says why" in answer.text
    assert "secret.db" not in answer.text
    assert "secret.db" in caplog.text
    assert client.get("/dashboard/healthz").status_code == 503


@pytest.mark.parametrize("prefix", ["", "/", "/dashboard", "apm/flask/"])
def test_any_prefix_works_for_pages_and_files(make_dashboard, prefix):
    made = make_dashboard(url_prefix=prefix)
    client = Client(made.wsgi)
    base = made.services.settings.prefix
    assert client.get(f"{base}/login").status_code == 200
    assert f'href="{base}/assets/login.css' in client.get(f"{base}/login").text
    assert (
        client.get(f"{base}/overview", headers={"Accept": "text/html"})
        .headers["Location"]
        .startswith(f"{base}/login")
    )


@pytest.mark.parametrize(
    ("host", "link"),
    [
        ("localhost:5000", "http://localhost:5000/dashboard/setup?token="),
        ("127.0.0.1:8050", "http://127.0.0.1:8050/dashboard/setup?token="),
        ("evil.example", " at /dashboard/setup?token="),
        ("localhost.evil.example:80", " at /dashboard/setup?token="),
    ],
)
def test_the_logged_set_up_link_never_leads_to_a_host_that_a_visitor_made_up(tmp_path, caplog, host, link):
    client = Client(build(DashboardSettings(database=f"sqlite:///{tmp_path / 'x.db'}")))
    client.get("/dashboard/login", headers={"Host": host})
    client.get("/dashboard/login", headers={"Host": host})
    assert caplog.text.count("/dashboard/setup?token=") == 1
    assert link in caplog.text
    assert "evil.example" not in caplog.text


def test_a_launcher_that_has_shown_the_link_can_keep_it_out_of_the_log(tmp_path, caplog):
    client = Client(create_wsgi(DashboardSettings(database=f"sqlite:///{tmp_path / 'x.db'}"), announce=False))
    assert "Nobody can sign in yet" in client.get("/dashboard/login").text
    assert "token=" not in caplog.text
