"""What the exporter's own tests ask of SQLite, asked of the servers."""

from __future__ import annotations

import pytest

from tests.databases.suites import suite_of

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(suite_of("tests.exporter.test_catalog"))
globals().update(suite_of("tests.exporter.test_names"))
globals().update(suite_of("tests.exporter.test_retention"))
globals().update(suite_of("tests.exporter.test_retention_turns"))
globals().update(suite_of("tests.exporter.test_rollups"))
globals().update(suite_of("tests.exporter.test_writer", without=["test_a_raw_row_is_small"]))
globals().update(suite_of("tests.exporter.test_processes"))
