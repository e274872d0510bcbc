from __future__ import annotations

import pytest
from werkzeug.test import Client

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
