"""Rows too long for a quarter of a page of SQLite: how they are kept, and what becomes of old databases."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from alembic import command
from sqlalchemy import func, inspect, select, text
from sqlalchemy.schema import CreateTable

from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.dialects import dialect_for
from fmd_otel_exporter.dialects.sqlite_layout import keep_by_number
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.migrations.run import alembic_config
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.store import Store, open_store
from tests.exporter.conftest import NOON_US
from tests.exporter.details import exception, outlier, trace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from fmd_otel_exporter.records import DetailRecord

TABLES = ("outlier", "exception_occurrence", "request_trace", "subject_pack")
LONG = 1100


def _by_key(store: Store) -> set[str]:
    with store.read() as connection:
        found = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'table'")).all()
    return {name.removeprefix("fmd_") for name, sql in found if sql.rstrip().endswith("WITHOUT ROWID")}


def _all(store: Store) -> dict[str, list[Any]]:
    with store.read() as connection:
        return {
            name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for name in TABLES
            for table in [getattr(store.tables, name)]
        }


def _bytes(store: Store) -> int:
    with store.read() as connection:
        return store.dialect.total_bytes(connection, "fmd")


def _details(n: int) -> list[DetailRecord]:
    return [make(document=os.urandom(LONG)) for _ in range(n) for make in (outlier, trace, exception)]


@pytest.fixture
def old(url: str) -> Iterator[Store]:
    """A database as the release before made it."""
    store = Store(url, "fmd", dialect_for(url))
    store.dialect.prepare(create=True)
    store.run(lambda connection: command.upgrade(alembic_config("fmd", connection), "0008"))
    yield store
    store.dispose()


@pytest.fixture
def outgrown(old: Store, monkeypatch) -> Store:
    """One with more rows than are copied at start, to which this release has come already."""
    DetailWriter(old).write(_details(40))
    with monkeypatch.context() as patch:
        patch.setattr("fmd_otel_exporter.dialects.sqlite_layout._exceeds", lambda *_: True)
        open_store(old.url).dispose()
    return old


def test_a_new_database_keeps_long_rows_together(store: Store):
    assert _by_key(store).isdisjoint(TABLES)
    before = _bytes(store)
    DetailWriter(store).write([outlier(document=os.urandom(LONG)) for _ in range(300)])
    assert _bytes(store) - before < 300 * 2 * LONG


def test_short_rows_stay_in_one_tree_by_their_key(store: Store):
    assert {"request", "hits", "profile", "subject_day"} <= _by_key(store)


def test_a_young_database_is_changed_at_start_and_holds_the_same(old: Store):
    assert set(TABLES) <= _by_key(old)
    DetailWriter(old).write(_details(10))
    before = _all(old)
    store = open_store(old.url)
    assert store.current
    assert _by_key(store).isdisjoint(TABLES)
    assert _all(store) == before
    assert {name: len(rows) for name, rows in before.items()} == {
        "outlier": 10, "exception_occurrence": 10, "request_trace": 10, "subject_pack": 0,
    }  # fmt: skip
    store.dispose()


def test_a_large_table_is_left_alone_at_start(old: Store):
    DetailWriter(old).write([outlier() for _ in range(1001)])
    store = open_store(old.url)
    assert store.current
    assert _by_key(store) & set(TABLES) == {"outlier"}
    store.dispose()


def test_vacuum_changes_it_and_the_file_is_smaller(outgrown: Store):
    assert set(TABLES) <= _by_key(outgrown)
    before, size = _all(outgrown), _bytes(outgrown)
    outgrown.dialect.vacuum("fmd")
    assert _by_key(outgrown).isdisjoint(TABLES)
    assert _all(outgrown) == before
    assert _bytes(outgrown) < size * 2 / 3
    with outgrown.read() as connection:
        assert connection.scalar(text("PRAGMA integrity_check")) == "ok"
        names = {name for name in inspect(connection).get_table_names() if name.endswith("_by_number")}
    assert not names


def test_processes_that_have_it_open_go_on(outgrown: Store):
    other = Store(outgrown.url, "fmd", dialect_for(outgrown.url))
    writer = DetailWriter(other)
    known = [outlier(), trace(), exception()]
    assert writer.write(known).written == 3
    with other.read() as reader:
        n = select(func.count()).select_from(other.tables.outlier)
        assert reader.scalar(n) == 41
        with outgrown.write() as connection:  # as a vacuum does it, which waits for nobody who reads
            _convert(connection)
        assert reader.scalar(n) == 41
    assert writer.write([*known, outlier()]).written == 1
    with other.read() as reader:
        assert reader.scalar(n) == 42
    assert _by_key(other).isdisjoint(TABLES)
    other.dispose()


def _convert(connection: Connection) -> None:
    keep_by_number(connection, [f"fmd_{name}" for name in TABLES])


def test_nothing_has_changed_if_it_is_cut_short(outgrown: Store):
    before = _all(outgrown)

    def cut_short(connection: Connection) -> None:
        _convert(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        outgrown.run(cut_short)
    assert set(TABLES) <= _by_key(outgrown)
    assert _all(outgrown) == before


@pytest.mark.parametrize(
    "more",
    [
        "CREATE INDEX mine ON fmd_outlier (duration)",
        "CREATE TRIGGER mine AFTER INSERT ON fmd_outlier BEGIN SELECT 1; END",
    ],
)
def test_a_table_with_something_of_somebody_elses_is_left_alone(outgrown: Store, more: str):
    with outgrown.write() as connection:
        connection.execute(text(more))
    outgrown.dialect.vacuum("fmd")
    assert _by_key(outgrown) & set(TABLES) == {"outlier"}
    with outgrown.read() as connection:
        assert connection.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = 'mine'")) == 1


def test_a_view_of_it_still_works(outgrown: Store):
    with outgrown.write() as connection:
        connection.execute(text("CREATE VIEW slow AS SELECT max(duration) AS us FROM fmd_outlier"))
    outgrown.dialect.vacuum("fmd")
    assert "outlier" not in _by_key(outgrown)
    with outgrown.read() as connection:
        assert connection.scalar(text("SELECT us FROM slow")) == 900_000


def test_a_column_that_a_newer_release_has_added_stays(outgrown: Store):
    with outgrown.write() as connection:
        connection.execute(text("ALTER TABLE fmd_outlier ADD COLUMN later INTEGER NOT NULL DEFAULT 7"))
    outgrown.dialect.vacuum("fmd")
    assert "outlier" not in _by_key(outgrown)
    with outgrown.read() as connection:
        assert set(connection.scalars(text("SELECT later FROM fmd_outlier"))) == {7}


def test_only_tables_of_the_prefix_are_changed(outgrown: Store):
    with outgrown.write() as connection:
        mine = str(CreateTable(outgrown.tables.outlier).compile(connection)).rstrip()
        connection.execute(text(mine.replace("fmd_outlier", "my_outlier") + " WITHOUT ROWID"))
    outgrown.dialect.vacuum("fmd")
    assert "my_outlier" in _by_key(outgrown)


def test_retention_deletes_the_same_from_either_kind(outgrown: Store, url: str, tmp_path):
    """Rows of several endpoints, some of them older than the policy."""
    old_us = NOON_US - 40 * 86_400_000_000
    DetailWriter(outgrown).write(
        [make(ts_us=old_us + n, endpoint=f"e{n % 3}") for n in range(60) for make in (outlier, trace)]
    )
    kept = {name: [row for row in rows if row[1] > NOON_US - 1] for name, rows in _all(outgrown).items()}
    outgrown.dialect.vacuum("fmd")
    outgrown.schema = open_store(url).schema
    deleted: dict[str, int] = {}
    for step in prune(outgrown, Retention(30, 90, 0).cutoffs(NOON_US + 86_400_000_000)):
        deleted[step.table] = deleted.get(step.table, 0) + step.rows
    assert (deleted["outlier"], deleted["request_trace"]) == (60, 60)
    assert _all(outgrown) == kept


def test_a_full_disk_is_told_before_anything_is_changed(outgrown: Store, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    with pytest.raises(StorageError, match="make room there first"):
        outgrown.dialect.vacuum("fmd")
    assert set(TABLES) <= _by_key(outgrown)
