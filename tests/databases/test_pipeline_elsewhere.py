"""What the exporter's tests ask of the pipeline on SQLite, asked of the servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fmd_otel_exporter.store import Store, open_store
from tests.databases.suites import suite_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)

globals().update(
    suite_of(
        "tests.exporter.test_pipeline",
        without=[
            "test_a_database_moved_away_is_replaced_by_a_new_one",  # nobody can move a server's
            "test_a_locked_database_holds_up_nobody_and_loses_nothing",  # locks a file
            "test_trouble_can_be_asked_for_while_it_lasts",  # the same
            "test_everybody_who_writes_to_one_database_shares_a_pipeline",  # about paths
        ],
    )
)
globals().update(suite_of("tests.exporter.test_level_rules", only=["test_a_worker_at_work_follows"]))


@pytest.fixture
def url(new_url: Callable[[], str], kind: str) -> str:
    """Return a database; ClickHouse takes longer to make tables than a flush waits for a sign of life."""
    url = new_url()
    if kind == "clickhouse":
        open_store(url).dispose()
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    opened = open_store(url)
    yield opened
    opened.dispose()
