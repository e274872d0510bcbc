"""What ClickHouse drops by itself should nobody run retention any more, and what it must not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import event, func, select, text

from fmd_otel_exporter.clock import database_now_us
from fmd_otel_exporter.dialects.clickhouse_expiry import MARGIN_DAYS, expire
from fmd_otel_exporter.maintainer import Maintainer
from fmd_otel_exporter.rebuilding import hours_to_compare, rebuild
from fmd_otel_exporter.retention import Retention
from fmd_otel_exporter.rollups import compact_days
from fmd_otel_exporter.schema import DAY_S
from fmd_otel_exporter.subject_sums import sum_up_subjects
from fmd_otel_exporter.writer import Writer
from tests.exporter.conftest import _record

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy import Table

    from fmd_otel_exporter.store import Store

pytestmark = pytest.mark.parametrize("kind", ["clickhouse"], indirect=True)

DAY_US = DAY_S * 1_000_000


@pytest.fixture
def see(store: Store) -> Callable[[], list[str]]:
    """Have statements noted from now on."""

    def begin() -> list[str]:
        asked: list[str] = []
        with store.write() as connection:
            event.listen(connection.engine, "before_cursor_execute", lambda *given: asked.append(given[2]))
        return asked

    return begin


@pytest.fixture
def now_us(store: Store) -> int:
    """What the server's clock shows, as it is the server that drops rows."""
    return database_now_us(store)


def run(store: Store, retention: Retention) -> None:
    """Do what the process does that retention is up to."""
    maintainer = Maintainer(retention, owner="whoever is elected", rest=lambda _: None)
    while maintainer.work(store, 60.0):
        pass


def ttls(store: Store) -> dict[str, str]:
    query = text("SELECT name, engine_full FROM system.tables WHERE database = currentDatabase()")
    with store.read() as connection:
        rows = connection.execute(query).all()
    found = {name: engine.partition(" TTL ")[2].partition(" SETTINGS ")[0] for name, engine in rows}
    names = [table.name for table in store.tables.metadata.sorted_tables]
    return {name.removeprefix(f"{store.prefix}_"): found[name] for name in names if found[name]}


def days(store: Store) -> dict[str, int]:
    return {name: int(ttl.partition("toIntervalDay(")[2].rstrip(")")) for name, ttl in ttls(store).items()}


def merge(store: Store, table: Table) -> None:
    with store.write() as connection:
        connection.execute(text(f"OPTIMIZE TABLE {table.name} FINAL"))


def count(store: Store, table: Table) -> int:
    with store.read() as connection:
        return connection.scalar(select(func.count()).select_from(table)) or 0


def test_whoever_runs_retention_has_the_server_drop_rows_far_behind_it(store: Store):
    run(store, Retention(raw_days=30, hourly_days=90))

    of_details = {"profile", "outlier", "exception_occurrence", "request_trace", "exception_subject"}
    of_requests = {"request", "subject_pack", "subject_day"}
    assert days(store) == {
        **dict.fromkeys(of_details, 30 + MARGIN_DAYS),
        **dict.fromkeys(of_requests, 90 + MARGIN_DAYS),
    }
    with store.read() as connection:
        engine = connection.scalar(text("SELECT engine_full FROM system.tables WHERE name = 'fmd_request'"))
    assert "ttl_only_drop_parts = 1" in engine


def test_it_follows_the_settings_and_is_not_there_for_what_stays_for_ever(store: Store):
    run(store, Retention(raw_days=30, hourly_days=90))
    run(store, Retention(raw_days=200, hourly_days=90))
    assert {*days(store).values()} == {200 + MARGIN_DAYS}

    run(store, Retention(raw_days=7, hourly_days=0))
    assert days(store).keys() == {
        "profile", "outlier", "exception_occurrence", "request_trace", "exception_subject"
    }  # fmt: skip
    run(store, Retention(raw_days=0, hourly_days=0))
    assert ttls(store) == {}


def test_tables_are_changed_once_a_month_at_most_while_the_settings_stay(
    store: Store, see: Callable[[], Any]
):
    run(store, Retention())
    asked = see()
    run(store, Retention())
    assert not any("MODIFY" in statement for statement in asked)

    # As if it had been set last month.
    kept = Retention().unsummed_days(store.tables)
    store.run(lambda connection: expire(connection, kept, 1_700_000_000))
    asked.clear()
    run(store, Retention())
    assert sum("MODIFY TTL" in statement for statement in asked) == len(kept)


def test_a_merge_drops_what_is_past_it_and_keeps_the_rest_and_all_sums(store: Store, now_us: int):
    moments = [now_us - age * DAY_US for age in (200, 199, 150, 20)]
    Writer(store).write([_record(ts_us=ts) for ts in moments])
    compact_days(store, now_ts_us=now_us)
    for _ in sum_up_subjects(store):
        pass
    kept = {store.tables.request: 30}
    # Retention was last at work 160 days ago, and merges are of today as the server's clock has it.
    store.run(lambda connection: expire(connection, kept, (now_us - 160 * DAY_US) // 1_000_000))
    merge(store, store.tables.request)

    with store.read() as connection:
        left = sorted(connection.scalars(select(store.tables.request.c.ts)))
        by_day = connection.execute(select(func.sum(store.tables.hits_day.c.n))).scalar()
    assert left == [moments[3]]
    assert by_day == count_of_hits(store) == 4


def count_of_hits(store: Store) -> int:
    with store.read() as connection:
        return connection.scalar(select(func.sum(store.tables.hits.c.n))) or 0


def test_requests_that_come_late_stay_until_they_are_summed_up(store: Store, now_us: int):
    run(store, Retention())
    Writer(store).write([_record(ts_us=now_us - 300 * DAY_US)])
    merge(store, store.tables.request)

    assert count(store, store.tables.request) == 1
    compact_days(store, now_ts_us=now_us)
    with store.read() as connection:
        assert connection.scalar(select(func.sum(store.tables.hits_day.c.n))) == 1


def test_sums_are_not_made_anew_of_what_may_have_been_dropped(store: Store, now_us: int):
    request = store.tables.request
    Writer(store).write([_record(ts_us=now_us - age * DAY_US) for age in (200, 199, 20)])
    floor_s = (now_us - 160 * DAY_US) // 1_000_000
    store.run(lambda connection: expire(connection, {request: 30}, floor_s))
    merge(store, request)
    # Whoever is back brings along what has waited on disk.
    store.run(lambda connection: expire(connection, {request: 30}))
    Writer(store).write([_record(ts_us=now_us - 201 * DAY_US)])
    assert count(store, request) == 2
    hours = hours_to_compare(store)
    assert {hour // DAY_S for hour in hours} == {(now_us - 20 * DAY_US) // DAY_US}
    assert not any(hour.rebuilt for hour in rebuild(store, hours))
    assert count_of_hits(store) == 4


def test_what_is_to_be_kept_for_longer_is_not_dropped_for_when_it_was_written(store: Store, now_us: int):
    request, floor_s = store.tables.request, now_us // 1_000_000 - 100 * DAY_S
    store.run(lambda connection: expire(connection, {request: 30}, floor_s))
    Writer(store).write([_record(ts_us=now_us - 20 * DAY_US)])
    noted = text(
        "SELECT max(toUnixTimestamp(delete_ttl_info_max)) FROM system.parts "
        "WHERE active AND table = 'fmd_request'"
    )
    with store.read() as connection:
        before = connection.scalar(noted)
    store.run(lambda connection: expire(connection, {request: 0}))
    store.run(lambda connection: expire(connection, {request: 365}, floor_s))
    merge(store, request)
    with store.read() as connection:
        after = connection.scalar(noted)

    assert after - before == (365 - 30) * DAY_S


def test_a_ttl_that_somebody_else_has_set_is_left_alone(store: Store):
    own = "fromUnixTimestamp(toUInt32(intDiv(ts, 1000000))) + toIntervalDay(900)"
    with store.write() as connection:
        connection.execute(text(f"ALTER TABLE fmd_request MODIFY TTL {own}"))
    for retention in (Retention(), Retention(0, 0)):
        run(store, retention)
        assert ttls(store)["request"] == own
    with store.write() as connection:
        connection.execute(text("ALTER TABLE fmd_request REMOVE TTL"))
