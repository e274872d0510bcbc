"""What the exporter's own tests ask of SQLite, asked of the servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.databases.suites import SHORT_TURNS, suite_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(suite_of("tests.exporter.test_catalog"))
globals().update(suite_of("tests.exporter.test_endpoint_changes"))
globals().update(
    suite_of(
        "tests.exporter.test_level_rules",
        without=[
            "test_a_worker_at_work_follows"
        ],  # in test_pipeline_elsewhere.py, where both use one database
    )
)
globals().update(suite_of("tests.exporter.test_names"))
globals().update(suite_of("tests.exporter.test_rebuilding"))
globals().update(suite_of("tests.exporter.test_retention_turns"))
globals().update(suite_of("tests.exporter.test_rollups"))
globals().update(suite_of("tests.exporter.test_writer", without=["test_a_raw_row_is_small"]))
globals().update(suite_of("tests.exporter.test_processes"))


@pytest.fixture
def rounds(kind: str) -> int:
    """Return less for the ClickHouse of the tests, which takes one statement at a time."""
    return 10 if kind == "clickhouse" else 40


@pytest.fixture
def late_batches(kind: str) -> int:
    """Return less, as above."""
    return 8 if kind == "clickhouse" else 60


@pytest.fixture
def victims(kind: str) -> int:
    """Return less, as above."""
    return 3 if kind == "clickhouse" else 6


@pytest.fixture
def start(start: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """Let the turns of processes that are killed end soon."""
    if kind != "clickhouse":
        return start
    return lambda code, *arguments: start(f"{SHORT_TURNS}{code}", *arguments)
