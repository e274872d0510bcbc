"""What is asked of details of single requests on SQLite, asked of the servers."""

from __future__ import annotations

import pytest

from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(suite_of("tests.exporter.test_details"))
