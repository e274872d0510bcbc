"""What opening, reading and writing promise, whatever the database."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import bindparam, column, func, insert, select, table, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from fmd_otel_exporter.errors import StorageError
from fmd_otel_exporter.migrations import version_table
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable

    from fmd_otel_exporter.store import Store

RACER = """
import os, sys
from fmd_otel_exporter.store import open_store
from fmd_otel_exporter.writer import Writer
from fmd_otel_exporter.records import RequestRecord
print("ready", flush=True)
for url in sys.stdin:
    store = open_store(url.strip())
    r = RequestRecord("s", "e", 1_790_000_000_000_000, os.urandom(8), os.urandom(16), 5, 200, "GET", "1")
    print(Writer(store).write([r]).written, flush=True)
    store.dispose()
"""


@pytest.mark.parametrize(
    "kind", ["postgresql", "mariadb", "clickhouse"], indirect=True
)  # the exporter's tests have SQLite
def test_24_racing_starts_on_empty_databases_all_succeed(new_url: Callable[[], str], start):
    racers = [start(RACER) for _ in range(6)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n"
    succeeded = 0
    for _ in range(4):
        url = new_url()
        for racer in racers:
            racer.stdin.write(f"{url}\n")
            racer.stdin.flush()
        succeeded += sum(racer.stdout.readline() == "1\n" for racer in racers)
        store = open_store(url)
        with store.read() as connection:
            assert connection.scalar(select(func.sum(store.tables.hits.c.n))) == 6
        store.dispose()
    assert succeeded == 24
    for racer in racers:
        assert racer.communicate(timeout=300) == ("", "")


def test_the_revisions_lead_to_the_tables_of_the_schema(store: Store):
    with store.read() as connection:
        options = {
            "version_table": version_table(store.prefix),
            "compare_type": True,
            # PostgreSQL's tables for the days of raw rows come and go.
            "include_name": lambda name, kind, _parents: (
                (kind != "table" or not name.startswith(f"{store.prefix}_request_2"))
                and name != f"{store.prefix}_request_default"
            ),
        }
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, store.tables.metadata) == []


@pytest.mark.parametrize("prefix", ["user", "select", "FMD", "My_App", "_", "x" * 31])
def test_any_prefix_works_also_those_that_need_quotes(store: Store, record, prefix: str):
    other = open_store(store.url, prefix)
    try:
        assert Writer(other).write([record(), record(level=0)]).written == 2
        again = open_store(store.url, prefix, migrate=False)  # finds what it has made
        with again.read() as connection:
            assert connection.scalar(select(func.sum(again.tables.hits.c.n))) == 1
            assert connection.execute(select(again.tables.user)).all() == []
        again.dispose()
    finally:
        with other.write() as connection:
            other.tables.metadata.drop_all(connection)
            connection.exec_driver_sql(
                f"DROP TABLE {connection.dialect.identifier_preparer.quote(version_table(prefix))}"
            )
        other.dispose()


def test_looking_without_migrating_makes_no_tables(url: str, kind: str):
    expected = "there is no SQLite database" if kind == "sqlite" else r"tables fmd_\* of .* are missing"
    for _ in range(2):
        with pytest.raises(StorageError, match=expected):
            open_store(url, migrate=False)


def test_readers_cannot_write(store: Store, record):
    Writer(store).write([record()])
    with pytest.raises((StorageError, DBAPIError)), store.read() as connection:
        connection.execute(update(store.tables.endpoint).values(level=3))
    with store.read() as connection:
        assert connection.scalar(select(store.tables.endpoint.c.level)) == 1


def test_a_reader_sees_one_moment_and_holds_up_no_writer(store: Store, record):
    count = select(func.count()).select_from(store.tables.request)
    writer = Writer(store)
    writer.write([record()])
    with store.read() as connection:
        assert connection.scalar(count) == 1
        writer.write([record()])
        assert connection.scalar(count) == 1
        assert connection.scalar(select(func.sum(store.tables.hits.c.n))) == 1
    with store.read() as connection:
        assert connection.scalar(count) == 2


def test_a_failed_write_leaves_nothing_and_a_fault_of_data_stays_what_it_is(store: Store):
    batch = store.tables.batch
    twice = [{"id": b"1" * 16, "ts": ts} for ts in (1, 2)]
    with pytest.raises(IntegrityError), store.write() as connection:
        connection.execute(insert(batch), twice)
    with store.read() as connection:
        assert connection.execute(select(batch)).all() == []


def test_a_missing_table_is_told_from_other_trouble(store: Store):
    query = select(column("n")).select_from(table("fmd_nowhere"))
    with pytest.raises(StorageError, match="fmd_nowhere") as caught, store.read() as connection:
        connection.execute(query)
    assert caught.value.no_tables


def test_what_is_selected_can_be_grouped_by(store: Store, record, noon_us: int):
    Writer(store).write([record(ts_us=noon_us + each) for each in (0, 1, 10, 11, 12)])
    ts = store.tables.request.c.ts
    step = ts - ts % 10
    with store.read() as connection:
        found = connection.execute(select(step, func.count()).group_by(step).order_by(step)).all()
    assert [tuple(row) for row in found] == [(noon_us, 2), (noon_us + 10, 3)]


def test_statements_of_a_transaction_that_ended_by_chance_are_run_again(store: Store):
    runs = []

    def work(_connection: object) -> str:
        runs.append(1)
        if len(runs) < 3:
            raise StorageError("by chance", again=True)
        return "done"

    assert store.run(work) == "done"
    assert len(runs) == 3
    with pytest.raises(StorageError, match="for good"):
        store.run(lambda _: _fail("for good"))


def _fail(message: str) -> None:
    raise StorageError(message)


def test_what_a_write_finds_stays_so_until_it_ends(store: Store):
    attempt = store.tables.login_attempt
    together = threading.Barrier(6, timeout=300)

    def insert_if_fewer_than_three(number: int) -> None:
        together.wait()
        with store.write() as connection:
            if connection.scalar(select(func.count()).select_from(attempt)) < 3:
                connection.execute(insert(attempt).values(client="same", ts=number))

    threads = [threading.Thread(target=insert_if_fewer_than_three, args=(each,)) for each in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with store.read() as connection:
        assert connection.scalar(select(func.count()).select_from(attempt)) == 3


def test_two_transactions_that_wait_for_each_other_both_get_their_way(store: Store, record):
    Writer(store).write([record(endpoint="a"), record(endpoint="b")])
    endpoint = store.tables.endpoint.c
    add = (
        update(store.tables.endpoint)
        .where(endpoint.name == bindparam("which"))
        .values(level0_n=endpoint.level0_n + 1)
    )
    both_have_one = threading.Barrier(2, timeout=2)

    def take(order: str) -> None:
        def work(connection) -> None:
            connection.execute(add, {"which": order[0]})
            # Where one waits for the whole other transaction, they never meet.
            with suppress(threading.BrokenBarrierError):
                both_have_one.wait()
            connection.execute(add, {"which": order[1]})

        store.run(work)

    threads = [threading.Thread(target=take, args=(order,)) for order in ("ab", "ba")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    with store.read() as connection:
        assert connection.scalars(select(endpoint.level0_n)).all() == [2, 2]


def test_text_with_nul_finds_nothing_and_breaks_nothing(store: Store):
    user = store.tables.user
    with store.read() as connection:
        assert connection.execute(select(user).where(user.c.username == "a\0b")).all() == []
    with store.write() as connection:
        connection.execute(insert(user).values(username="a\0b", password_hash="", role="guest", created_ts=1))
        (name,) = connection.scalars(select(user.c.username).where(user.c.username == "a\0b"))
    assert name in ("a\0b", "a\ufffdb")
