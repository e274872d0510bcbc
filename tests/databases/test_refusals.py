"""A database that refuses what is right loses nothing, whatever number it gives its refusal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy.exc import DBAPIError

from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer
from tests.ending import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

REFUSE = {
    "sqlite": [
        "CREATE TRIGGER refusal BEFORE INSERT ON fmd_request BEGIN SELECT RAISE(ABORT, 'not today'); END",
    ],
    "postgresql": [
        (
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$BEGIN RAISE EXCEPTION 'not today' USING ERRCODE = 'XX000'; END$$"
        ),
        "CREATE TRIGGER refusal BEFORE INSERT ON fmd_hits EXECUTE FUNCTION refuse()",
    ],
    "mariadb": [
        (
            "CREATE TRIGGER refusal BEFORE INSERT ON fmd_hits FOR EACH ROW "
            "SIGNAL SQLSTATE '45000' SET MYSQL_ERRNO = 1105, MESSAGE_TEXT = 'not today'"
        ),
    ],
    "clickhouse": [
        (
            "CREATE MATERIALIZED VIEW fmd_a_refusal TO fmd_hits_day AS SELECT endpoint_id, toInt64(0) AS "
            "bucket, version_id, status, toInt64(throwIf(1, 'not today')) AS n FROM fmd_request"
        ),
    ],
}
"""What makes every insert fail, each with an error that has nothing to do with its values."""
ALLOW = {
    "sqlite": "DROP TRIGGER refusal",
    "postgresql": "DROP TRIGGER refusal ON fmd_hits",
    "mariadb": "DROP TRIGGER refusal",
    "clickhouse": "DROP VIEW fmd_a_refusal SYNC",
}


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A database that nobody else uses, for it is to be broken."""
    store = open_store(url)
    yield store
    store.dispose()


@pytest.fixture
def refuse(store: Store, kind: str) -> Callable[[], Callable[[], None]]:
    """Make the database refuse requests; returned is what ends that."""

    def run(*statements: str) -> None:
        with store._together() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)

    def begin() -> Callable[[], None]:
        run(*REFUSE[kind])
        return lambda: run(ALLOW[kind])

    return begin


def test_requests_wait_until_the_database_takes_them(store: Store, refuse, record, see, eventually):
    Writer(store).write([record(), record()])
    pipeline = Pipeline(ExporterSettings(database=store.url, delay_ms=300, batch_size=62))
    allow = refuse()
    for _ in range(62):
        pipeline.offer(record())
    eventually(lambda: pipeline.counters().retries > 1, 60)
    counters = pipeline.counters()
    assert "not today" in (counters.last_error or "")
    assert (counters.written, counters.duplicate, counters.dropped) == (0, 0, {})
    allow()
    eventually(lambda: pipeline.force_flush(20_000), 60)
    counters = pipeline.counters()
    assert counters.written + counters.duplicate == 62
    assert counters.dropped == {}
    assert set(see.sums().values()) == {64}
    end(pipeline, 20_000)


@pytest.mark.parametrize("kind", ["clickhouse"], indirect=True)
def test_sums_are_made_good_when_another_process_sends_the_batch_again(store: Store, refuse, record, see):
    batch = [record(duration_us=1000 * n) for n in range(20)]
    Writer(store).write([record(), record()])
    allow = refuse()
    with pytest.raises(Exception, match="not today"):
        Writer(store).write(batch)
    store.dispose()
    from fmd_otel_exporter.dialects import clickhouse_cut  # noqa: PLC0415 # needs its driver

    clickhouse_cut._untold.clear()
    allow()
    assert Writer(store).write(batch).written == 20
    assert set(see.sums().values()) == {22}
    times = [
        sum(row[name] for row in see.rows(table))
        for table, name in (("hits", "sum_us"), ("request", "duration"))
    ]
    assert times[0] == times[1]
    assert Writer(store).write(batch).duplicate == 20


@pytest.mark.parametrize("kind", ["clickhouse"], indirect=True)
@pytest.mark.parametrize("number", [499, 201, 439, 395, 1000])
def test_an_error_of_clickhouse_that_nobody_has_heard_of_is_the_server_s(kind: str, number: int):
    from clickhouse_connect import dbapi  # noqa: PLC0415 # may not be there

    from fmd_otel_exporter.dialects.clickhouse_errors import trouble_of  # noqa: PLC0415

    orig = dbapi.DatabaseError("DB::Exception", code=number)
    assert trouble_of(DBAPIError("INSERT", {}, orig), orig) is not None
