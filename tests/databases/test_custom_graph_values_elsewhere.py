"""What the exporter's tests ask of the values of custom graphs on SQLite, asked of the servers."""

from __future__ import annotations

import pytest

from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(suite_of("tests.exporter.test_custom_graph_values"))
