"""Servers that drop connections, go away or hang: nothing is lost or doubled, and nobody waits long."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import func, make_url, select, text, update

from fmd_otel_exporter.detail_writer import DetailWriter
from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.pipeline import Pipeline
from fmd_otel_exporter.settings import ExporterSettings
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.tries import Tries
from fmd_otel_exporter.writer import Writer, WriteResult
from tests.databases.lossy_proxy import LossyProxy
from tests.ending import end
from tests.exporter.details import exception, outlier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection
    from sqlalchemy.sql.expression import Executable

    from fmd_otel_exporter.store import Store
    from tests.databases.servers import OwnServer, Server

BOTH = pytest.mark.parametrize("kind", ["postgresql", "mariadb"], indirect=True)
ALL = pytest.mark.parametrize("kind", ["postgresql", "mariadb", "clickhouse"], indirect=True)
ODD = ["odd_postgresql", "odd_mariadb"]
ENOUGH_KILLED = 3
OWN = pytest.mark.parametrize("kind", ODD, indirect=True)


def database_of(store: Store) -> str:
    return str(make_url(store.url).database)


def trouble(
    run: Callable[[Callable[[Connection], None]], None], setting: str, statement: Executable
) -> StorageError:
    """Return what a statement ends in."""

    def work(connection: Connection) -> None:
        connection.exec_driver_sql(setting)
        connection.execute(statement)

    with pytest.raises(StorageError) as caught:
        run(work)
    return caught.value


@pytest.fixture
def pipeline(store: Store) -> Iterator[Pipeline]:
    pipeline = Pipeline(ExporterSettings(database=store.url, delay_ms=10, batch_size=50))
    yield pipeline
    end(pipeline)


@BOTH
def test_a_connection_that_breaks_right_after_a_commit_is_no_news(store: Store, caplog, monkeypatch):
    store.dispose()
    endpoint = store.tables.endpoint

    def break_afterwards(connection: Connection) -> None:
        driver = connection.connection.dbapi_connection
        assert driver is not None
        commit, close = driver.commit, getattr(driver, "_force_close", driver.close)

        def commit_and_break() -> None:
            commit()
            close()

        monkeypatch.setattr(driver, "commit", commit_and_break)
        connection.execute(update(endpoint).values(level0_n=0))

    store.run(break_afterwards)
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(endpoint)) == 0
    assert not caplog.records


@pytest.fixture
def proxy(server: Server) -> Iterator[LossyProxy]:
    ports = {"postgresql": 5432, "mariadb": 3306, "clickhouse": 8123}
    proxy = LossyProxy(server.url.host or "127.0.0.1", server.url.port or ports[server.kind])
    yield proxy
    proxy.close()


@pytest.fixture
def by_proxy(store: Store, proxy: LossyProxy, server: Server, kind: str) -> str:
    """The URL of the database by way of the proxy, which cannot look into what is encrypted."""
    url = server.url_of(database_of(store), host="127.0.0.1", port=proxy.port)
    plain = {"postgresql": "?sslmode=disable", "mariadb": "?ssl_disabled=true"}
    return url + plain.get(kind, "")


@pytest.fixture
def pipeline_by_proxy(by_proxy: str) -> Iterator[Pipeline]:
    pipeline = Pipeline(ExporterSettings(database=by_proxy, delay_ms=10, batch_size=50))
    yield pipeline
    end(pipeline)


@pytest.fixture
def last_word(kind: str) -> bytes:
    """What ends a batch."""
    return b"INSERT INTO `fmd_batch`" if kind == "clickhouse" else b"COMMIT"


def brought(write: Callable[[Any], WriteResult], batch: Any) -> WriteResult:
    """Write a batch as a worker does, which brings it again where the store has not done so at once."""
    try:
        return write(batch)
    except StorageError:
        return write(batch)


@ALL
def test_a_batch_whose_commit_is_not_answered_is_written_and_no_duplicate(
    store: Store, by_proxy: str, proxy: LossyProxy, last_word: bytes, record, see
):
    theirs, tries = open_store(by_proxy), Tries()
    writer, batch = Writer(theirs, tries=tries), [record(), record(level=0), record()]
    writer.write([record()])
    proxy.lose(last_word, 1)
    assert brought(writer.write, batch) == WriteResult(written=3, duplicate=0)
    assert proxy.lost == 1
    tries.forget()
    assert writer.write(batch) == WriteResult(written=0, duplicate=3)
    assert set(see.sums().values()) == {3}
    theirs.dispose()


@ALL
def test_details_whose_commit_is_not_answered_are_written_and_no_duplicates(
    store: Store, by_proxy: str, proxy: LossyProxy, last_word: bytes
):
    theirs, tries = open_store(by_proxy), Tries()
    writer, batch = DetailWriter(theirs, tries=tries), [outlier(), exception()]
    writer.write([outlier()])
    proxy.lose(last_word, 1)
    assert brought(writer.write, batch) == WriteResult(written=2, duplicate=0)
    assert proxy.lost == 1
    tries.forget()
    assert writer.write(batch) == WriteResult(written=0, duplicate=2)
    theirs.dispose()


@ALL
def test_a_batch_that_is_brought_again_after_a_while_is_counted_as_what_became_of_it_first(
    store: Store, pipeline_by_proxy: Pipeline, proxy: LossyProxy, last_word: bytes, record, see, eventually,
    monkeypatch,
):  # fmt: skip
    """The process cannot know for as long as no answer comes through, and has opened the database anew."""
    monkeypatch.setattr("fmd_otel_exporter.store._ATTEMPTS", 2)
    pipeline = pipeline_by_proxy
    there = [record() for _ in range(5)]
    Writer(store).write(there)
    pipeline.offer(record())
    eventually(lambda: pipeline.counters().written == 1)
    proxy.lose(last_word, 4)
    for each in [record() for _ in range(45)] + there:
        pipeline.offer(each)
    eventually(lambda: pipeline.force_flush(20_000), 60)
    counters = pipeline.counters()
    assert proxy.lost >= 1
    assert counters.retries >= 1
    assert (counters.written, counters.duplicate, counters.dropped) == (46, 5, {})
    assert set(see.sums().values()) == {51}


@ALL
def test_connections_killed_while_idle_are_replaced_without_a_word(
    store: Store, server: Server, record, kind: str
):
    writer = Writer(store)
    writer.write([record()])
    with store.read():
        pass
    # ClickHouse's are of requests rather than transactions, and may be shared.
    assert server.kill(database_of(store)) >= 1 + (kind != "clickhouse")
    assert writer.write([record()]).written == 1
    assert server.kill(database_of(store)) >= 1
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(store.tables.request)) == 2


@ALL
def test_a_connection_killed_within_a_batch_is_tried_again_at_once(store: Store, server: Server, record, see):
    writer = Writer(store)
    writer.write([record()])
    killed: list[int] = []
    insert = writer._insert

    def kill_after(connection, batch, *, alone) -> None:
        insert(connection, batch, alone=alone)
        if not killed:
            killed.append(server.kill(database_of(store)))

    writer._insert = kill_after
    assert writer.write([record(), record()]).written == 2
    assert killed
    assert set(see.sums().values()) == {3}


@ALL
def test_connections_killed_in_mid_traffic_lose_and_double_nothing(
    store: Store, server: Server, pipeline: Pipeline, record, see, eventually, kind: str
):
    least, rest_s = (800, 0.3) if kind == "clickhouse" else (4000, 0.02)
    ended = threading.Event()
    killed = 0

    def kill() -> None:
        nonlocal killed
        while not ended.wait(rest_s):
            killed += server.kill(database_of(store))

    killer = threading.Thread(target=kill)
    killer.start()
    number, deadline = 0, time.monotonic() + 60
    try:
        # However fast or slow the machine: traffic goes on until some connections have been killed beside it.
        while number < least or (killed < ENOUGH_KILLED and time.monotonic() < deadline):
            pipeline.offer(record(endpoint=f"e{number % 7}", ts_us=time.time_ns() // 1000))
            number += 1
            if number % 50 == 0:
                time.sleep(0.005 if number < least else 0.1)
    finally:
        ended.set()
        killer.join()
    eventually(lambda: pipeline.force_flush(20_000), 180)
    counters = pipeline.counters()
    assert killed >= ENOUGH_KILLED
    assert (counters.dropped_queue_full, counters.dropped_failed) == (0, 0)
    assert (counters.written, counters.duplicate) == (number, 0)
    assert set(see.sums().values()) == {number}


@pytest.mark.parametrize("kind", [*ODD, "odd_clickhouse"], indirect=True)
def test_a_server_stopped_and_started_in_mid_traffic_loses_and_doubles_nothing(
    store: Store, server: OwnServer, pipeline: Pipeline, record, see, eventually
):
    for _ in range(200):
        pipeline.offer(record(ts_us=time.time_ns() // 1000))
    eventually(lambda: pipeline.force_flush(20_000), 60)
    server.stop()
    try:
        for _ in range(300):
            pipeline.offer(record(ts_us=time.time_ns() // 1000))
        eventually(lambda: pipeline.counters().retries > 1)
        error = pipeline.counters().last_error or ""
        assert "cannot be reached" in error or "was lost" in error
    finally:
        server.start()
    eventually(lambda: pipeline.force_flush(20_000), 60)
    assert pipeline.counters().written == 500
    assert set(see.sums().values()) == {500}


@OWN
def test_a_server_killed_in_the_middle_of_batches_keeps_whole_ones(
    store: Store, server: OwnServer, pipeline: Pipeline, record, see, eventually
):
    for number in range(2000):
        pipeline.offer(record(endpoint=f"e{number % 5}"))
        if number == 1000:
            eventually(lambda: pipeline.counters().written > 0)
            server.stop(at_once=True)
    server.start()
    eventually(lambda: pipeline.force_flush(20_000), 60)
    assert set(see.sums().values()) == {2000}


@OWN
def test_a_server_that_hangs_is_given_up_and_taken_up_again(
    store: Store, server: OwnServer, record, monkeypatch, see
):
    monkeypatch.setattr("fmd_otel_exporter.dialects.server.ANSWER_TIMEOUT_S", 1)
    monkeypatch.setattr("fmd_otel_exporter.dialects.server.CONNECT_TIMEOUT_S", 2)
    patient = open_store(store.url)
    writer = Writer(patient)
    writer.write([record()])
    batch = [record()]
    server.freeze()
    try:
        with pytest.raises(StorageError, match=r"has not answered for|cannot be reached|was lost"):
            writer.write(batch)
    finally:
        server.thaw()
    assert writer.write(batch).written + writer.write(batch).written <= 1
    assert set(see.sums().values()) == {2}
    patient.dispose()


@BOTH
def test_a_lock_held_by_somebody_else_ends_in_a_word_about_it(store: Store, record, kind: str):
    Writer(store).write([record()])
    impatient = open_store(store.url)
    change = update(store.tables.endpoint).values(level=2)
    shorten = "SET lock_timeout = '100ms'" if kind == "postgresql" else "SET innodb_lock_wait_timeout = 1"
    with store.write() as holding:
        holding.execute(change)
        caught = trouble(impatient.run, shorten, change)
    assert "has held a lock" in str(caught)
    assert caught.busy
    impatient.dispose()


@BOTH
def test_a_statement_that_takes_for_ever_ends_in_a_word_about_it(store: Store, kind: str):
    other = open_store(store.url)
    shorten = "SET /*M! max_statement_time = 0.1 */ /*!50708 max_execution_time = 100 */"
    slow = "SELECT 1 WHERE SLEEP(20) = 0"  # of a column that sleeps, MySQL would make a 1
    if kind == "postgresql":
        shorten, slow = "SET statement_timeout = '100ms'", "SELECT pg_sleep(20)"
    caught = trouble(other.run, shorten, text(slow))
    assert "did not finish a statement" in str(caught)
    assert caught.busy
    other.dispose()


@BOTH
def test_a_transaction_left_open_by_a_stopped_process_does_not_last_for_ever(store: Store, kind: str):
    with store.write() as connection:
        if kind == "postgresql":
            (limit,) = connection.exec_driver_sql("SHOW idle_in_transaction_session_timeout").one()
            assert limit == "1min"
        for name in ("innodb_lock_wait_timeout", "lock_wait_timeout") if kind == "mariadb" else ():
            assert connection.exec_driver_sql(f"SELECT @@{name}").scalar() == 10


@ALL
def test_another_process_that_migrates_for_too_long_is_named(store: Store, monkeypatch):
    monkeypatch.setattr("fmd_otel_exporter.dialects.server.MIGRATION_LOCK_S", 1)
    other = open_store(store.url)
    with (
        store.dialect.migration_lock(),
        pytest.raises(StorageError, match=r"has been creating or upgrading .* for 1 s") as caught,
        other.dialect.migration_lock(),
    ):
        pass
    assert caught.value.busy
    with other.dialect.migration_lock():
        pass
    other.dispose()
