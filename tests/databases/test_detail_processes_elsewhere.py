"""What is asked of several processes that write details, asked of the servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.databases.suites import SHORT_TURNS, suite_of

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(suite_of("tests.exporter.test_detail_processes"))


@pytest.fixture
def rounds(kind: str) -> int:
    """Return less for the ClickHouse of the tests, which takes one statement at a time."""
    return 3 if kind == "clickhouse" else 12


@pytest.fixture
def victims(kind: str) -> int:
    """Return less, as above."""
    return 2 if kind == "clickhouse" else 4


@pytest.fixture
def start(start: Callable[..., Any], kind: str) -> Callable[..., Any]:
    """Let the turns of processes that are killed end soon."""
    if kind != "clickhouse":
        return start
    return lambda code, *arguments: start(f"{SHORT_TURNS}{code}", *arguments)
