"""A newer release upgrades the tables while an older one, this one, writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from fmd_otel_exporter.dialects import dialect_for
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import Store, open_store
from tests.ending import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WRITABLE, CLOSED = "0001", "9999"


@pytest.fixture
def upgrade(url: str) -> Callable[..., None]:
    """Do what a release to come would do to the database."""

    def change(oldest_writer: str, *statements: str) -> None:
        store = open_store(url)
        with store.write() as connection:
            for statement in statements:
                connection.execute(text(statement))
            connection.execute(
                text("UPDATE fmd_schema_version SET version_num = '9999', oldest_writer = :oldest"),
                {"oldest": oldest_writer},
            )
        store.dispose()

    return change


@pytest.fixture
def pipeline(url: str, monkeypatch) -> Iterator[Pipeline]:
    monkeypatch.setattr("fmd_otel_exporter.worker.SCHEMA_EVERY_S", 0.0)
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20, batch_size=10))
    yield pipeline
    end(pipeline)


def test_to_tables_with_more_in_them_it_goes_on_writing_and_says_so_once(
    pipeline: Pipeline, url: str, record, upgrade, sums, caplog, eventually
):
    pipeline.offer(record())
    assert pipeline.force_flush()
    upgrade(
        WRITABLE,
        "CREATE TABLE fmd_tomorrow (id INTEGER PRIMARY KEY)",
        "ALTER TABLE fmd_request ADD COLUMN mood VARCHAR(16)",
        "ALTER TABLE fmd_hits ADD COLUMN moods BIGINT DEFAULT 0 NOT NULL",
    )
    eventually(lambda: caplog.records)
    for _ in range(30):
        pipeline.offer(record())
    assert pipeline.force_flush()
    assert (pipeline.counters().written, pipeline.counters().retries) == (31, 0)
    store = open_store(url)
    assert set(sums(store).values()) == {31}
    store.dispose()
    told = [entry.getMessage() for entry in caplog.records]
    assert len(told) == 1
    assert "of revision 9999, newer than this fmd-otel knows. It goes on writing" in told[0]


def test_it_deletes_and_sums_up_nothing_there(
    pipeline: Pipeline, store: Store, record, upgrade, rows, eventually, caplog
):
    """Who knows what the newer release must do with old rows before they go?"""
    upgrade(WRITABLE)
    pipeline.offer(record(ts_us=1_700_000_000_000_000))
    assert pipeline.force_flush()
    eventually(lambda: caplog.records)
    for _ in range(3):
        pipeline.offer(record())
        assert pipeline.force_flush()
    assert len(rows(store, "request")) == 4
    assert rows(store, "rollup_day") == []


def test_to_tables_that_changed_it_writes_no_more_and_loses_nothing(
    pipeline: Pipeline, url: str, store: Store, record, upgrade, sums, caplog, eventually
):
    pipeline.offer(record())
    assert pipeline.force_flush()
    upgrade(CLOSED)
    eventually(lambda: pipeline.counters().retries)
    for _ in range(30):
        pipeline.offer(record())
    eventually(lambda: pipeline.counters().retries > 2)
    counters = pipeline.counters()
    assert "upgrade fmd-otel here" in counters.last_error
    assert (counters.written, counters.queue_depth) == (1, 30)
    assert (counters.dropped_failed, counters.dropped_queue_full) == (0, 0)
    told = [entry.getMessage() for entry in caplog.records]
    assert len(told) == 1
    assert "requests wait in" in told[0]
    # The newer release is taken back.
    with store.write() as connection:
        connection.execute(text("UPDATE fmd_schema_version SET oldest_writer = '0001'"))
    assert pipeline.force_flush(20_000)
    assert set(sums(store).values()) == {31}


def test_tables_changed_between_two_looks_cost_no_request(url: str, record, upgrade, monkeypatch):
    """The first that it notices is a statement that fails, as if its values were wrong."""
    pipeline = Pipeline(ExporterSettings(database=url, delay_ms=20, batch_size=10))
    pipeline.offer(record())
    assert pipeline.force_flush()
    upgrade(CLOSED, "ALTER TABLE fmd_request RENAME COLUMN method TO verb")
    for _ in range(30):
        pipeline.offer(record())
    assert not pipeline.force_flush(1000)
    counters = pipeline.counters()
    assert (counters.dropped_failed, counters.queue_depth) == (0, 30)
    assert counters.last_error
    again = Store(url, "fmd", dialect_for(url))
    with again.write() as connection:
        connection.execute(text("ALTER TABLE fmd_request RENAME COLUMN verb TO method"))
        connection.execute(text("UPDATE fmd_schema_version SET oldest_writer = '0001'"))
    again.dispose()
    assert pipeline.force_flush(20_000)
    assert pipeline.counters().written == 31
    pipeline.shutdown()
