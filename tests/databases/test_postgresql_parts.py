"""PostgreSQL keeps raw rows by the day, and drops a day as a whole."""

from __future__ import annotations

import secrets
import threading
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select, text

from fmd_otel_exporter.dialects import postgresql_parts
from fmd_otel_exporter.dialects.postgresql_parts import AHEAD_DAYS, DAY_US, MOST_PARTS, is_partitioned, parts
from fmd_otel_exporter.maintainer import Maintainer
from fmd_otel_exporter.retention import Retention, prune
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.store import Store, open_store
from fmd_otel_exporter.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fmd_otel_exporter.dialects.postgresql_parts import Part
    from tests.databases.servers import Server

TODAY_US = time.time_ns() // 1000 // DAY_US * DAY_US
NOW_US = TODAY_US + DAY_US // 2
WEEK = Retention(raw_days=7, hourly_days=14)


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """A database of its own: parts outlast what the tests of others leave."""
    opened = open_store(url)
    yield opened
    opened.dispose()


@pytest.fixture
def days(store: Store) -> Callable[[], list[int]]:
    """Tell which days have a part, counted from today."""

    def read() -> list[int]:
        with store.read() as connection:
            return [(part.start_us - TODAY_US) // DAY_US for part in parts(connection, "fmd_request")]

    return read


@pytest.fixture
def in_default(store: Store) -> Callable[[], int]:
    def read() -> int:
        with store.read() as connection:
            return connection.execute(text("SELECT count(*) FROM fmd_request_default")).scalar()

    return read


def _prune(store: Store, policy: Retention = WEEK, now_us: int = NOW_US) -> dict[str, int]:
    compact_days(store, now_ts_us=now_us)
    deleted: dict[str, int] = {}
    for step in prune(store, policy.cutoffs(now_us)):
        deleted[step.table] = deleted.get(step.table, 0) + step.rows
    return deleted


def test_a_new_database_has_parts_for_the_days_to_come(days):
    assert days() == list(range(-1, AHEAD_DAYS + 1))


def test_the_day_of_a_row_gets_its_part_before_it_is_written(store: Store, record, days, in_default):
    Writer(store).write([record(ts_us=NOW_US - age * DAY_US) for age in (0, 5, 20, 20)])
    assert days() == [-20, -5, *range(-1, AHEAD_DAYS + 1)]
    assert in_default() == 0


def test_a_batch_takes_a_second_connection_only_for_a_day_without_a_part(store: Store, record, monkeypatch):
    """Where as many write at once as there are connections, each would wait for another one's."""
    made = []
    monkeypatch.setattr(postgresql_parts, "make_days", lambda _connection, _name, days: made.extend(days))
    Writer(store).write([record(ts_us=NOW_US), record(ts_us=NOW_US - DAY_US)])
    assert made == []
    Writer(store).write([record(ts_us=NOW_US), record(ts_us=NOW_US - 9 * DAY_US)])
    assert made == [TODAY_US - 9 * DAY_US]


def test_what_is_far_from_today_goes_into_the_default_part(store: Store, record, days, in_default, see):
    Writer(store).write([record(ts_us=ts) for ts in (-5, 0, NOW_US + 50 * DAY_US, NOW_US - 900 * DAY_US)])
    assert days() == list(range(-1, AHEAD_DAYS + 1))
    assert in_default() == 4
    assert set(see.sums().values()) == {4}


def test_a_day_with_rows_in_the_default_part_stays_there(store: Store, record, days, in_default):
    with store.write() as connection:
        connection.execute(text("ALTER TABLE fmd_request DETACH PARTITION fmd_request_default"))
        row = {"endpoint_id": 1, "ts": NOW_US, "span_id": bytes(8), "duration": 1, "bkt": 1, "version_id": 1}
        row |= {"status": 200, "method": "GET", "trace_id": bytes(16)}
        connection.execute(store.tables.request.insert().values(**row))
        (today,) = (part for part in parts(connection, "fmd_request") if part.start_us == TODAY_US)
        connection.execute(text(f"ALTER TABLE fmd_request DETACH PARTITION {today.name}"))
        connection.execute(text("ALTER TABLE fmd_request ATTACH PARTITION fmd_request_default DEFAULT"))
        connection.execute(text(f"INSERT INTO fmd_request SELECT * FROM {today.name}"))  # noqa: S608
        connection.execute(text(f"DROP TABLE {today.name}"))
    Writer(store).write([record(ts_us=NOW_US + 1)])
    assert 0 not in days()
    assert in_default() == 2


def test_a_day_that_is_old_goes_as_a_whole_and_the_rest_of_one_by_the_row(store: Store, record, days, see):
    Writer(store).write(
        [
            record(ts_us=NOW_US - age * DAY_US + hours * DAY_US // 24)
            for age in (0, 6, 7, 8, 20)
            for hours in (-3, 3)
        ]
    )
    assert _prune(store)["request"] == 5
    assert days() == [-7, -6, *range(-1, AHEAD_DAYS + 1)]
    assert {(row["ts"] - NOW_US) // (DAY_US // 24) for row in see.rows("request")} == {
        -7 * 24 + 3,
        -6 * 24 - 3,
        -6 * 24 + 3,
        -3,
        3,
    }
    assert sum(row["n"] for row in see.rows("hits_day")) == 8


def test_the_worker_waits_until_a_day_is_old_to_its_end(store: Store, record, days, see):
    Writer(store).write([record(ts_us=NOW_US - age * DAY_US - 1) for age in (0, 7, 8, 9)])
    compact_days(store, now_ts_us=NOW_US)
    worker = Maintainer(WEEK, owner="me", clock=lambda: NOW_US / 1_000_000)
    while worker.work(store, 10):
        pass
    assert days() == [-7, *range(-1, AHEAD_DAYS + 1)]
    assert len(see.rows("request")) == 2
    assert worker.deleted["request"] == 2


def test_the_worker_makes_the_days_to_come(store: Store, days):
    later = NOW_US + 2 * DAY_US
    worker = Maintainer(WEEK, owner="me", clock=lambda: later / 1_000_000)
    while worker.work(store, 10):
        pass
    assert days()[-1] == AHEAD_DAYS + 2


def test_days_without_rows_go_too(store: Store, days):
    _prune(store, now_us=NOW_US + 30 * DAY_US)
    assert days() == []


def test_there_are_not_more_parts_than_queries_can_bear(store: Store, record, days, in_default, monkeypatch):
    monkeypatch.setattr("fmd_otel_exporter.dialects.postgresql_parts.MOST_PARTS", 8)
    Writer(store).write([record(ts_us=NOW_US - age * DAY_US) for age in range(2, 20)])
    assert len(days()) == 8
    assert in_default() == 18 - 3
    assert MOST_PARTS >= 366


def test_a_table_in_use_is_not_waited_for(store: Store, record, days, see):
    """Whoever reads for long holds up neither writers nor, by way of the lock they wait for, each other."""
    writer = Writer(store)
    writer.write([record(ts_us=NOW_US - age * DAY_US) for age in (0, 20)])
    with store.read() as reading:
        reading.execute(select(store.tables.request)).all()
        assert _prune(store)["request"] == 1  # by the row
        assert -20 in days()
        writer.write([record(ts_us=NOW_US)])
    _prune(store)
    assert -20 not in days()
    assert len(see.rows("request")) == 2


def test_processes_that_come_to_a_new_day_at_once_share_its_part(store: Store, record, days, in_default, see):
    batches = [[record(ts_us=NOW_US - 9 * DAY_US + n) for n in range(50)] for _ in range(4)]
    writers = [Writer(open_store(store.url)) for _ in batches]
    threads = [
        threading.Thread(target=writer.write, args=(batch,))
        for writer, batch in zip(writers, batches, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert days()[0] == -9
    assert in_default() == 0
    assert set(see.sums().values()) == {200}


def test_a_table_that_is_whole_stays_so_and_is_pruned_by_the_row(store: Store, record, see):
    """As in databases of before."""
    with store.write() as connection:
        connection.execute(text("CREATE TABLE before (LIKE fmd_request INCLUDING ALL)"))
        connection.execute(text("DROP TABLE fmd_request"))
        connection.execute(text("ALTER TABLE before RENAME TO fmd_request"))
        assert not is_partitioned(connection, "fmd_request")
    again = open_store(store.url)
    Writer(again).write([record(ts_us=NOW_US - age * DAY_US) for age in (0, 20)])
    assert _prune(again)["request"] == 1
    worker = Maintainer(WEEK, owner="me", clock=lambda: NOW_US / 1_000_000)
    while worker.work(again, 10):
        pass
    assert len(see.rows("request")) == 1
    again.dispose()


def test_parts_of_one_prefix_are_not_taken_for_those_of_another(store: Store, record, url: str):
    other = open_store(url, "fmd_request")
    Writer(other).write([record(ts_us=NOW_US)])
    with other.read() as connection:
        found: list[Part] = parts(connection, "fmd_request_request")
        assert len(found) == AHEAD_DAYS + 2
        assert len(parts(connection, "fmd_request")) == AHEAD_DAYS + 2
    other.dispose()


def test_whoever_may_not_drop_tables_prunes_by_the_row(store: Store, server: Server, record, see):
    """Tables of somebody else, in which this user may change rows and nothing more."""
    Writer(store).write([record(ts_us=NOW_US - age * DAY_US) for age in (0, 5, 20, 21)])
    name = f"fmd_test_writer_{secrets.token_hex(4)}"
    database = store.url.rpartition("/")[2]
    server.run(
        f"CREATE ROLE {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {name}",
        database=database,
    )
    Writer(store).write([record(ts_us=NOW_US - 22 * DAY_US)])  # its part is of later than the rights
    theirs = open_store(f"{store.url}?options=-c%20role%3D{name}")
    try:
        Writer(theirs).write([record(ts_us=NOW_US - age * DAY_US) for age in (0, 20, 30)])
        compact_days(theirs, now_ts_us=NOW_US)
        worker = Maintainer(WEEK, owner="me", clock=lambda: NOW_US / 1_000_000)
        while worker.work(theirs, 10):
            pass
        assert worker.deleted["request"] == 5
        assert len(see.rows("request")) == 3
    finally:
        theirs.dispose()
        server.run(f"DROP OWNED BY {name}", f"DROP ROLE {name}", database=database)
