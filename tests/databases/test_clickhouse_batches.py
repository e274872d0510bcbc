"""ClickHouse has no transactions: a batch counts once all the same, however often and whenever it comes."""

from __future__ import annotations

import threading
import time
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from clickhouse_connect import dbapi
from sqlalchemy import delete

from fmd_otel_exporter.dialects import clickhouse_late, clickhouse_mutex
from fmd_otel_exporter.dialects.clickhouse_transaction import Transaction
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.retention import Retention
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.subject_packs import read_counts
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer, WriteResult
from tests.ending import end

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Table

    from fmd_otel_exporter.store import Store


pytestmark = pytest.mark.parametrize("kind", ["clickhouse"], indirect=True)

DAY_US = 86_400_000_000


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
        patch.setattr(Transaction, "send", send_and_die)
        patch.setattr(Transaction, "rollback", Transaction._forget)
        try:
            writer.write(batch)
        except SystemExit:
            store.dispose()
    let_turns_end(store)
    result = Writer(store).write(batch)
    assert result.written + result.duplicate == 3
    assert set(see.sums().values()) == {3}
    assert sum(row["level0_n"] for row in see.rows("endpoint")) == 1
    assert Writer(store).write(batch) == WriteResult(0, 3)


def let_turns_end(store: Store) -> None:
    """Let it be so late that no turn lasts any more whose holder was killed, without waiting for it."""
    with store._together() as connection:
        connection.exec_driver_sql(
            f"ALTER TABLE {clickhouse_mutex.TABLE} UPDATE lasts_s = 0 WHERE over = 0 "
            "SETTINGS mutations_sync = 2"
        )


@contextmanager
def cut_short(store: Store, monkeypatch, step: int) -> Iterator[None]:
    """Have a batch's writer killed after so many of its changes, a while ago."""
    done = 0

    def then_die(function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        nonlocal done
        result = function(*arguments, **options)
        done += 1
        if done == step:
            raise SystemExit
        return result

    with monkeypatch.context() as patch:
        for name in ("note", "begin"):
            patch.setattr(clickhouse_late, name, partial(then_die, getattr(clickhouse_late, name)))
        send, change = Transaction.send, Transaction.change
        patch.setattr(Transaction, "send", lambda *args, **options: then_die(send, *args, **options))
        patch.setattr(Transaction, "change", lambda *args, **options: then_die(change, *args, **options))
        patch.setattr(Transaction, "rollback", Transaction._forget)
        with suppress(SystemExit):
            yield
    store.dispose()
    let_turns_end(store)


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
    with cut_short(store, monkeypatch, step):
        Writer(store).write(batch)
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
    with cut_short(store, monkeypatch, step):
        Writer(store).write(batch)
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
    with cut_short(store, monkeypatch, step):
        Writer(store).write(batch)
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
    with cut_short(store, monkeypatch, 2):
        Writer(store).write(batch)
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
            stack.callback(end, pipeline)
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
