"""What the dashboard's tests ask of its queries on SQLite, asked of the servers."""

from __future__ import annotations

import pytest

from tests.dash_app.queries.conftest import at, request_at, write  # noqa: F401 # fixtures
from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(suite_of("tests.dash_app.queries.test_brute_force"))
globals().update(suite_of("tests.dash_app.queries.test_details"))
globals().update(suite_of("tests.dash_app.queries.test_hourly"))
globals().update(suite_of("tests.dash_app.queries.test_merged"))
globals().update(suite_of("tests.dash_app.queries.test_overview"))
