"""What holds for ClickHouse alone: how tables are kept, and that batches count once without transactions."""

from __future__ import annotations

import builtins
import itertools
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import clickhouse_connect
import pytest
from clickhouse_connect import dbapi
from clickhouse_connect.driver.exceptions import ClickHouseError
from sqlalchemy import delete, func, insert, inspect, select, text

from fmd_otel_exporter.clock import database_now_us
from fmd_otel_exporter.dialects import clickhouse_late, clickhouse_mutex, dialect_for
from fmd_otel_exporter.dialects.clickhouse_block import Block
from fmd_otel_exporter.dialects.clickhouse_mutex import TABLE
from fmd_otel_exporter.dialects.clickhouse_tables import OWN_COLUMNS, kind_of
from fmd_otel_exporter.dialects.clickhouse_transaction import Transaction
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.maintainer import LEASE, Maintainer
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.retention import Retention
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.subject_packs import read_counts
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer, WriteResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Table

    from tests.databases.servers import Server

pytestmark = pytest.mark.parametrize("kind", ["clickhouse"], indirect=True)

DAY_US = 86_400_000_000


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


def of_subjects(see: Any) -> list[tuple[int, int]]:
    """Return whether each sum of a day is of a user or an address, and its requests."""
    found = [(row["kind"], n) for row in see.rows("subject_pack") for _, n, *_ in read_counts(row["counts"])]
    return [*found, *((row["kind"], row["n"]) for row in see.rows("subject_day"))]


@pytest.mark.parametrize("step", range(1, 7))
def test_a_batch_cut_short_after_any_step_counts_once_when_it_is_sent_again(
    store: Store, record, see, monkeypatch, step: int
):
    writer = Writer(store)
    writer.write([record()])
    done = 0
    send = Transaction.send

    def send_and_die(self: Transaction, *arguments: Any, **options: Any) -> None:
        nonlocal done
        send(self, *arguments, **options)
        done += 1
        if done == step:
            raise SystemExit

    batch = [record(), record(endpoint="other", group_by="ada"), record(level=0)]
    with monkeypatch.context() as patch:
        patch.setattr("fmd_otel_exporter.dialects.clickhouse_mutex.LASTS_S", 3)
        patch.setattr(Transaction, "send", send_and_die)
        patch.setattr(Transaction, "rollback", Transaction._forget)
        try:
            writer.write(batch)
        except SystemExit:
            store.dispose()
    result = Writer(store).write(batch)
    assert result.written + result.duplicate == 3
    assert set(see.sums().values()) == {3}
    assert sum(row["level0_n"] for row in see.rows("endpoint")) == 1
    assert Writer(store).write(batch) == WriteResult(0, 3)


@contextmanager
def cut_short(monkeypatch, step: int) -> Iterator[None]:
    """Have a batch's writer killed after so many of its changes."""
    done = 0

    def then_die(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        nonlocal done
        result = function(*arguments, **options)
        done += 1
        if done == step:
            raise SystemExit
        return result

    with monkeypatch.context() as patch:
        patch.setattr(clickhouse_mutex, "LASTS_S", 3)
        for name in ("note", "begin"):
            patch.setattr(clickhouse_late, name, partial(then_die, getattr(clickhouse_late, name)))
        send, change = Transaction.send, Transaction.change
        patch.setattr(Transaction, "send", lambda *args, **options: then_die(send, *args, **options))
        patch.setattr(Transaction, "change", lambda *args, **options: then_die(change, *args, **options))
        patch.setattr(Transaction, "rollback", Transaction._forget)
        yield


@pytest.mark.parametrize("retention", [Retention(8, 30, 0), Retention(30, 8, 0)])
@pytest.mark.parametrize("step", range(1, 9))
def test_a_batch_for_a_sealed_day_cut_short_after_any_step_counts_once_however_often_it_comes(
    store: Store, record, today_us: int, see, keep, monkeypatch, step: int, retention: Retention
):
    """Also when the ledger has forgotten it; of a day whose raw rows, or finer sums, go."""
    old_us = today_us - 10 * 86_400_000_000
    Writer(store).write([record(ts_us=old_us + n, group_by="ada", ip="::1") for n in range(2)])
    keep(retention)
    batch = [record(ts_us=old_us + 9 + n, group_by="ada", ip="::1") for n in range(3)]
    with cut_short(monkeypatch, step), suppress(SystemExit):
        Writer(store).write(batch)
    store.dispose()
    for _ in range(2):
        Writer(store).write(batch)
        with store.write() as connection:
            connection.execute(delete(store.tables.batch))
    keep(retention)
    days = {table: sum(row["n"] for row in see.rows(table)) for table in ("hits_day", "lat_hist_day")}
    assert days == {"hits_day": 5, "lat_hist_day": 5}
    assert sum(n for _, n in of_subjects(see)) == 2 * 5


@pytest.mark.parametrize("goes", ["raw rows", "finer sums"])
@pytest.mark.parametrize("step", range(1, 12))
def test_a_late_batch_cut_short_counts_once_though_its_second_day_would_be_sealed_meanwhile(
    store: Store, record, today_us: int, see, keep, monkeypatch, step: int, goes: str
):
    """Of its days one is sealed when it comes, one is summed up, and of the third there was nothing yet."""

    def retention(days: int) -> Retention:
        return Retention(days, 80, 0) if goes == "raw rows" else Retention(80, days, 0)

    sealed_us, summed_us, new_us = (today_us - days * DAY_US for days in (60, 10, 9))
    for day_us in (sealed_us, summed_us):
        Writer(store).write([record(ts_us=day_us + n, group_by="ada", ip="::1") for n in range(2)])
    keep(retention(10))
    batch = [
        record(ts_us=day_us + 9 + n, group_by="ada", ip="::1")
        for day_us, count in ((sealed_us, 3), (summed_us, 4), (new_us, 5))
        for n in range(count)
    ]
    with cut_short(monkeypatch, step), suppress(SystemExit):
        Writer(store).write(batch)
    store.dispose()
    for _ in range(2):
        keep(retention(8))
    for _ in range(2):
        Writer(store).write(batch)
    keep(retention(8))
    days = {table: sum(row["n"] for row in see.rows(table)) for table in ("hits_day", "lat_hist_day")}
    assert days == {"hits_day": 16, "lat_hist_day": 16}
    assert sum(n for _, n in of_subjects(see)) == 2 * 16
    # Once the batch is there, its days are sealed as others are.
    assert see.rows("request" if goes == "raw rows" else "hits") == []


@pytest.mark.parametrize("step", range(1, 5))
def test_a_batch_for_a_day_without_any_cut_short_counts_once_though_the_day_would_be_sealed_meanwhile(
    store: Store, record, today_us: int, see, keep, monkeypatch, step: int
):
    Writer(store).write([record(ts_us=today_us, group_by="ada", ip="::1")])
    batch = [record(ts_us=today_us - 40 * DAY_US + n, group_by="ada", ip="::1") for n in range(3)]
    with cut_short(monkeypatch, step), suppress(SystemExit):
        Writer(store).write(batch)
    store.dispose()
    for _ in range(2):
        keep(Retention(8, 8, 0))
    Writer(store).write(batch)
    keep(Retention(8, 8, 0))
    old = [row["n"] for row in see.rows("hits_day") if row["bucket"] < (today_us - 30 * DAY_US) / 1e6]
    assert sum(old) == 3
    assert all(row["ts"] > today_us - 8 * DAY_US for row in see.rows("request"))


def test_a_batch_that_never_comes_again_holds_its_days_up_for_a_week(
    store: Store, record, today_us: int, see, keep, monkeypatch
):
    Writer(store).write([record(ts_us=today_us)])
    batch = [record(ts_us=today_us - 40 * DAY_US)]
    with cut_short(monkeypatch, 2), suppress(SystemExit):
        Writer(store).write(batch)
    store.dispose()
    keep(Retention(8, 8, 0))
    assert len(see.rows("request")) == 2
    monkeypatch.setattr(clickhouse_late, "COMES_AGAIN_DAYS", 0)
    keep(Retention(8, 8, 0))
    assert len(see.rows("request")) == 1


def test_a_batch_sent_by_several_at_the_same_moment_counts_once(store: Store, record, see):
    writers = [Writer(store) for _ in range(4)]
    first = [record()]
    for writer in writers:
        writer.write(first)
    batch = [record() for _ in range(20)]
    together = threading.Barrier(4)

    def write(writer: Writer) -> None:
        together.wait()
        writer.write(batch)

    threads = [threading.Thread(target=write, args=(writer,)) for writer in writers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(see.sums().values()) == {21}
    assert len(see.rows("batch")) == 2


@pytest.mark.parametrize("in_common", [1, 10])
def test_requests_brought_by_two_at_the_same_moment_in_different_company_count_once(
    store: Store, record, see, monkeypatch, in_common: int
):
    """Each has looked for the keys before the other has sent a row, where nobody keeps it from doing so."""
    writers = [Writer(store, alone=True) for _ in range(2)]
    for writer in writers:
        writer.write([record()])
    now_us = time.time_ns() // 1000  # requests of other days are written in turn anyway
    common = [record(ts_us=now_us) for _ in range(in_common)]
    batches = [[*common, record(ts_us=now_us)], [record(ts_us=now_us), *common]]
    looked = threading.Barrier(2)
    send = Transaction.send

    def send_when_both_have_looked(self: Transaction, table: Table, *arguments: Any, **options: Any) -> None:
        if table is store.tables.request:
            with suppress(threading.BrokenBarrierError):
                looked.wait(1)
        send(self, table, *arguments, **options)

    monkeypatch.setattr(Transaction, "send", send_when_both_have_looked)
    results: list[WriteResult] = []
    threads = [
        threading.Thread(target=lambda pair=pair: results.append(pair[0].write(pair[1])))
        for pair in zip(writers, batches, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [WriteResult(1, in_common), WriteResult(in_common + 1, 0)]
    assert set(see.sums().values()) == {in_common + 4}


def test_requests_received_twice_by_otlp_count_once(store: Store, record, see, monkeypatch, eventually):
    """Whoever sent them got no answer in time, and sent them again, to another process."""
    settings = ExporterSettings(database=store.url, delay_ms=300, spool_mb=0)
    looked = threading.Barrier(2)
    send = Transaction.send

    def send_when_both_have_looked(self: Transaction, table: Table, *arguments: Any, **options: Any) -> None:
        if table.name == store.tables.request.name:
            with suppress(threading.BrokenBarrierError):
                looked.wait(1)
        send(self, table, *arguments, **options)

    now_us = time.time_ns() // 1000
    common = [record(ts_us=now_us) for _ in range(10)]
    with ExitStack() as stack:
        pipelines = [Pipeline(settings, role="otlp") for _ in range(2)]
        for pipeline in pipelines:
            stack.callback(pipeline.shutdown)
            pipeline.offer(record())
            eventually(partial(pipeline.force_flush, 10_000), 60)
        monkeypatch.setattr(Transaction, "send", send_when_both_have_looked)
        for each in [record(ts_us=now_us), *common]:
            pipelines[0].offer(each)
        for each in [*common, record(ts_us=now_us)]:
            pipelines[1].offer(each)
        for pipeline in pipelines:
            eventually(partial(pipeline.force_flush, 10_000), 60)
    assert set(see.sums().values()) == {14}
    assert sum(pipeline.counters().duplicate for pipeline in pipelines) == 10


def test_users_are_added_up_once_though_an_answer_is_lost(store: Store, record, see, monkeypatch):
    users = [f"user{number % 3}" for number in range(12)]
    Writer(store).write([record(group_by=user, ip="10.0.0.1") for user in users])
    compact_days(store, now_ts_us=time.time_ns() // 1000)
    insert, lost = Transaction.insert, []

    def insert_and_lose_the_answer(self: Transaction, table: Table, *arguments: Any, **options: Any) -> Any:
        found = insert(self, table, *arguments, **options)
        if table is store.tables.subject_pack and not lost:
            lost.append(table)
            raise dbapi.OperationalError("Connection aborted")
        return found

    monkeypatch.setattr(Transaction, "insert", insert_and_lose_the_answer)
    done = sum(sum_up_subjects(store))
    assert lost
    assert done + sum(sum_up_subjects(store)) == 1
    assert sorted(of_subjects(see)) == [(1, 4)] * 3 + [(2, 12)]


def test_a_batch_put_together_anew_counts_only_what_is_new(store: Store, record, see):
    one, two, three = record(), record(), record()
    assert Writer(store).write([one, two]) == WriteResult(2, 0)
    assert Writer(store).write([two, three]) == WriteResult(1, 1)
    assert set(see.sums().values()) == {3}


def test_a_failed_change_of_settings_is_taken_back(store: Store):
    user = store.tables.user
    with store.write() as connection:
        connection.execute(insert(user).values(username="ada", password_hash="1", role="admin", created_ts=1))

    def change_and_fail() -> None:
        with store.write() as connection:
            connection.execute(user.update().values(role="guest"))
            connection.execute(user.delete().where(user.c.username == "ada"))
            connection.execute(
                insert(user).values(username="bob", password_hash="2", role="guest", created_ts=2)
            )
            raise KeyError

    with pytest.raises(KeyError):
        change_and_fail()
    with store.read() as connection:
        assert connection.execute(select(user.c.username, user.c.role)).all() == [("ada", "admin")]


def test_ids_are_counted_by_many_at_once_without_two_the_same(store: Store):
    subject = store.tables.subject
    names = [f"user{number}" for number in range(12)]

    def add(mine: list[str]) -> None:
        rows = [{"kind": 1, "value": name, "seen_day": 0} for name in mine]
        store.run(lambda connection: connection.execute(store.dialect.insert_new(subject), rows))

    threads = [threading.Thread(target=add, args=(names[start : start + 6],)) for start in (0, 3, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with store.read() as connection:
        found = connection.execute(select(subject.c.id, subject.c.value)).all()
    assert sorted(value for _, value in found) == sorted(names)
    assert len({number for number, _ in found}) == len(names)


def test_a_turn_whose_holder_was_killed_ends_by_itself(store: Store):
    hold = (
        "import os, sys\n"
        "from fmd_otel_exporter.dialects import clickhouse_mutex\n"
        "from fmd_otel_exporter.store import open_store\n"
        "store = open_store(sys.argv[1])\n"
        "clickhouse_mutex.LASTS_S = 1\n"
        "with store.write():\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", hold, store.url], check=False).returncode == 9
    with store.write() as connection:
        assert connection.scalar(select(func.count()).select_from(store.tables.user)) == 0


def test_users_who_are_deleted_leave_nothing_behind(store: Store):
    subject = store.tables.subject

    def add(*names: str) -> None:
        rows = [{"kind": 1, "value": name, "seen_day": 0} for name in names]
        store.run(lambda connection: connection.execute(store.dialect.insert_new(subject), rows))

    add("ada", "bob")
    with store.write() as connection:
        connection.execute(subject.update().where(subject.c.value == "ada").values(seen_day=5))
    with store.write() as connection:
        connection.execute(subject.delete().where(subject.c.seen_day == 0))
    stored = text("SELECT value, fmd_gone FROM fmd_subject ORDER BY fmd_version SETTINGS final = 0")
    with store.read() as connection:
        assert {*connection.execute(stored)} == {("ada", 0)}
    with store.write() as connection:
        connection.execute(subject.delete().where(subject.c.value == "ada"))
    with store.read() as connection:
        assert connection.execute(stored).all() == []
    for name in ("ada", "bob"):  # bob as he was: the server might take that for a block that came before
        add(name)
    with store.read() as connection:
        assert {*connection.scalars(select(subject.c.value))} == {"ada", "bob"}


def test_the_same_rows_that_are_no_batch_are_inserted_each_time(store: Store):
    hits = store.tables.hits_day
    row = {column.name: 1 for column in hits.columns}
    for _ in range(3):
        with store.write() as connection:
            connection.execute(insert(hits).values(row))
    with store.read() as connection:
        assert connection.scalar(select(func.sum(hits.c.n))) == 3


def test_two_prefixes_share_a_database_and_its_turns(url: str, record):
    stores = [open_store(url, prefix) for prefix in ("one", "two")]
    with stores[0].read() as connection:
        names = set(inspect(connection).get_table_names())
    assert {"one_request", "two_request", "one_schema_version", "two_schema_version"} <= names
    assert {name for name in names if not name.startswith(("one_", "two_"))} == {TABLE}
    for store in stores:
        assert Writer(store).write([record()]) == WriteResult(1, 0)
        store.dispose()


def test_an_outage_is_not_told_by_the_driver_too(server: Server, caplog):
    with pytest.raises(StorageError):
        open_store(server.url_of("fmd", port=1))
    assert not caplog.records
    with pytest.raises(ClickHouseError):
        clickhouse_connect.get_client(host="127.0.0.1", port=1)
    assert caplog.records, "what the app does there by itself is told"


def test_a_killed_maintainer_is_replaced_once_its_lease_is_over(
    store: Store, record, noon_us: int, see, eventually
):
    Writer(store).write([record(ts_us=noon_us - 40 * 86_400_000_000 + n) for n in range(50)])
    compact_days(store, now_ts_us=noon_us)
    code = (
        "import os, sys\n"
        "from fmd_otel_exporter import maintainer\n"
        "from fmd_otel_exporter.retention import Retention\n"
        "from fmd_otel_exporter.store import open_store\n"
        "maintainer.LEASE_S = 5\n"
        "maintainer.prune = lambda *arguments: os._exit(9)\n"
        "maintainer.Maintainer(Retention()).work(open_store(sys.argv[1]), 60)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, store.url], check=False)
    assert done.returncode == 9
    (held,) = see.rows("lease")
    assert held["name"] == LEASE
    clock = itertools.count(0, 60)
    second = Maintainer(Retention(), timer=lambda: next(clock), rest=lambda _: None)
    while database_now_us(store) < held["expires"]:
        if not second.work(store, 1):
            assert database_now_us(store) >= held["expires"] or see.sums()["requests"] == 50
    eventually(lambda: second.work(store, 1) or see.sums()["requests"] == 0, 60)
    while second.work(store, 1):
        pass
    assert see.sums()["requests"] == 0
    assert sum(row["n"] for row in see.rows("hits_day")) == 50


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
