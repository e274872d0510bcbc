"""The same tests on every database: a new and empty one for each test."""

from __future__ import annotations

from contextlib import ExitStack
from itertools import count
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import delete, text

from fmd_otel_exporter.dialects.clickhouse_mutex import TABLE
from fmd_otel_exporter.retention import Retention
from tests.databases.servers import CLICKHOUSE, MARIADB, ODD, POSTGRESQL, OwnServer, Server, find, own
from tests.databases.suites import NOT_OF_CLICKHOUSE
from tests.exporter.conftest import (
    at,
    eventually,
    keep,
    no_thread_outlives_its_test,
    noon_us,
    pipeline,
    record,
    rows,
    run,
    see,
    start,
    sums,
    today_us,
)
from tests.new_databases import new_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from fmd_otel_exporter.store import Store

__all__ = [
    "at",
    "eventually",
    "keep",
    "no_thread_outlives_its_test",
    "noon_us",
    "pipeline",
    "record",
    "rows",
    "run",
    "see",
    "start",
    "sums",
    "today_us",
]
SQLITE = "sqlite"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what one database does not have."""
    items[:] = [item for item in items if not _is_of_others(item)]


def _is_of_others(item: pytest.Item) -> bool:
    kind = getattr(getattr(item, "callspec", None), "params", {}).get("kind")
    return (
        kind in (CLICKHOUSE, f"odd_{CLICKHOUSE}") and getattr(item, "originalname", "") in NOT_OF_CLICKHOUSE
    )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Server]:
    """A PostgreSQL server."""
    yield from find(POSTGRESQL)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    """A MariaDB server."""
    yield from find(MARIADB)


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[Server]:
    """A ClickHouse server."""
    yield from find(CLICKHOUSE)


@pytest.fixture(scope="session")
def odd_postgresql() -> Iterator[OwnServer]:
    """A PostgreSQL server of our own, set up as strangely as can be."""
    with own(POSTGRESQL, zone="America/New_York", options=ODD[POSTGRESQL]) as server:
        yield server


@pytest.fixture(scope="session")
def odd_mariadb() -> Iterator[OwnServer]:
    """A MariaDB server of our own, set up as strangely as can be."""
    with own(MARIADB, zone="America/New_York", options=ODD[MARIADB]) as server:
        yield server


@pytest.fixture(scope="session")
def odd_clickhouse() -> Iterator[OwnServer]:
    """A ClickHouse server of our own, of another time zone; it may be stopped and started."""
    with own(CLICKHOUSE, zone="America/New_York") as server:
        yield server


@pytest.fixture(params=[SQLITE, POSTGRESQL, MARIADB, CLICKHOUSE])
def kind(request: pytest.FixtureRequest) -> str:
    """Which database; a test may be parametrised with some of them."""
    return str(request.param)


@pytest.fixture
def server(kind: str, request: pytest.FixtureRequest) -> Server | None:
    """The server the test's database is on; None for SQLite."""
    return None if kind == SQLITE else request.getfixturevalue(kind)


@pytest.fixture
def new_url(server: Server | None, tmp_path: Path) -> Iterator[Callable[[], str]]:
    """Make an empty database."""
    numbers = count(1)
    with ExitStack() as stack:

        def make() -> str:
            if server is None:
                return f"sqlite:///{tmp_path / f'new{next(numbers)}.db'}"
            return stack.enter_context(server.scratch())

        yield make


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """An empty database."""
    return new_url()


@pytest.fixture
def store(server: Server | None, tmp_path: Path) -> Iterator[Store]:
    """An empty database with our tables."""
    if server is None:
        opened = new_store(tmp_path / "fmd.db")
        yield opened
        opened.dispose()
        return
    opened = server.store()
    yield opened
    empty(opened)


def empty(store: Store) -> None:
    """Remove all rows, and what else a test leaves behind in the tables."""
    tables = store.tables.metadata.sorted_tables
    if store.dialect.name == CLICKHOUSE:  # each statement takes its time, and it knows which tables have rows
        query = text(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND total_rows > 0 "
            "SETTINGS final = 0"
        )
        with store.read() as connection:
            filled = {*connection.scalars(query)}
        tables = [table for table in tables if table.name in filled]
    with store.write() as connection:
        for table in tables:
            connection.execute(delete(table))
        if store.dialect.name == CLICKHOUSE:
            _cross_out_notes(connection)
            # Whoever has run retention has had the server drop what is old.
            store.dialect.expire(connection, dict.fromkeys(Retention().unsummed_days(store.tables), 0))


def _cross_out_notes(connection: Connection) -> None:
    """Remove what batches that were cut short have left behind in no table of ours; turns go on."""
    notes = f"FROM {TABLE} WHERE startsWith(name, 'begun: ') OR startsWith(name, 'late: ')"
    if connection.scalar(text(f"SELECT count() {notes}")):
        connection.execute(text(f"DELETE {notes}"))
