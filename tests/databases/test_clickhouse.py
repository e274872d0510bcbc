"""What holds for ClickHouse alone: how tables and values are kept, and what is told of trouble."""

from __future__ import annotations

import builtins
import sys
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlalchemy import func, insert, select, text

from fmd_otel_exporter.dialects import dialect_for
from fmd_otel_exporter.dialects.clickhouse_block import Block
from fmd_otel_exporter.dialects.clickhouse_tables import OWN_COLUMNS, kind_of
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from tests.databases.servers import Server

pytestmark = pytest.mark.parametrize("kind", ["clickhouse"], indirect=True)


def test_each_table_is_kept_as_its_kind_wants_it(store: Store):
    query = text(
        "SELECT name, engine, partition_key, sorting_key FROM system.tables "
        "WHERE database = currentDatabase()"
    )
    with store.read() as connection:
        found = {row[0]: row[1:] for row in connection.execute(query)}
    engines = {"raw": {"MergeTree"}, "sum": {"SummingMergeTree", "AggregatingMergeTree"}}
    for table in store.tables.metadata.sorted_tables:
        engine, partition, order = found[table.name]
        assert engine in engines.get(kind_of(table), {"ReplacingMergeTree", "AggregatingMergeTree"}), table
        by_time = kind_of(table) != "meta" and not {"ts", "bucket", "day"}.isdisjoint(table.columns.keys())
        assert bool(partition) == by_time, table
        if kind_of(table) != "meta":
            assert order.strip("()") == ", ".join(table.primary_key.columns.keys()), table
    assert found["fmd_request"][2] == "endpoint_id, ts, span_id"
    assert found["fmd_hits_of_request"][0] == found["fmd_lat_hist_of_request"][0] == "MaterializedView"


def test_the_revisions_lead_to_the_columns_of_the_schema(store: Store):
    query = text("SELECT table, name, type FROM system.columns WHERE database = currentDatabase()")
    with store.read() as connection:
        found: dict[str, dict[str, str]] = {}
        for table, name, kind in connection.execute(query):
            found.setdefault(table, {})[name] = kind
        compiler = connection.dialect.ddl_compiler(connection.dialect, None)
        for table in store.tables.metadata.sorted_tables:
            wanted = {
                column.name: compiler.get_column_specification(column)
                .partition(" ")[2]
                .partition(" DEFAULT ")[0]
                for column in table.columns
            }
            there = {name: kind for name, kind in found[table.name].items() if name not in OWN_COLUMNS}
            assert there == wanted, table


def test_the_same_rows_that_are_no_batch_are_inserted_each_time(store: Store):
    hits = store.tables.hits_day
    row = {column.name: 1 for column in hits.columns}
    for _ in range(3):
        with store.write() as connection:
            connection.execute(insert(hits).values(row))
    with store.read() as connection:
        assert connection.scalar(select(func.sum(hits.c.n))) == 3


def test_an_outage_is_not_told_by_the_driver_too(server: Server, caplog):
    with pytest.raises(StorageError):
        open_store(server.url_of("fmd", port=1))
    assert not caplog.records
    with pytest.raises(ClickHouseError):
        clickhouse_connect.get_client(host="127.0.0.1", port=1)
    assert caplog.records, "what the app does there by itself is told"


def test_whole_months_go_as_partitions(store: Store, record, noon_us: int, see):
    month_us = 31 * 86_400_000_000
    Writer(store).write([record(ts_us=noon_us - 12 * month_us), record(ts_us=noon_us)])
    table = store.tables.request
    with store.write() as connection:
        gone = store.dialect.delete_times(connection, table, table.c.ts, [(0, noon_us - month_us)])
    assert gone == 1
    assert [row["ts"] for row in see.rows("request")] == [noon_us]


def test_values_are_written_as_they_are(store: Store):
    table = store.tables.request
    rows = [
        (1, 2, b"12345678", 2**62, -5, 3, None, 7, 200, "é" * 70, None, bytes(16)),
        (1, 3, b"abcdefgh", 0, 5, 3, 4, None, 500, "", 9, b"\xff" * 16),
    ]
    with store.write() as connection:
        store.dialect.row_inserter(connection, table).run(connection, rows)
    with store.read() as connection:
        assert [tuple(row) for row in connection.execute(select(table).order_by(table.c.ts))] == rows


def test_a_value_that_no_column_can_hold_is_a_fault_of_the_data(store: Store):
    with pytest.raises(Exception, match="does not fit its column"):
        Block([store.tables.request.c.status]).write([(2**40,)])


def test_a_missing_driver_is_named_with_its_extra(kind: str, monkeypatch):
    plain = builtins.__import__

    def refuse(name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith("clickhouse_connect"):
            raise ImportError(name)
        return plain(name, *arguments, **options)

    for name in [each for each in sys.modules if ".dialects.clickhouse" in each]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(StorageError, match=r"pip install 'fmd-otel\[clickhouse\]'"):
        dialect_for("clickhousedb://host/fmd")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("clickhousedb://host:8123", "does not say which database"),
        ("clickhousedb+native://me:secret@host/fmd", "uses the driver clickhouse-connect, not native"),
    ],
)
def test_a_url_that_cannot_be_used_is_told(kind: str, url: str, said: str):
    with pytest.raises(StorageError, match=said) as caught:
        dialect_for(url)
    assert "secret" not in str(caught.value)


def test_trouble_with_the_server_is_told(server: Server):
    for url, said in (
        (server.url_of("fmd", port=1), "the ClickHouse server at 127.0.0.1:1 cannot be reached"),
        (server.url_of("fmd_no_such_database"), "has no database 'fmd_no_such_database'"),
    ):
        with pytest.raises(StorageError) as caught:
            open_store(url)
        assert said in str(caught.value)
