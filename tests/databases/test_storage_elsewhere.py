"""What the dashboard's tests ask of the storage page's queries on SQLite, asked of the servers."""

from __future__ import annotations

import pytest

from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(suite_of("tests.dash_app.queries.test_processes"))
globals().update(suite_of("tests.dash_app.queries.test_storage"))
