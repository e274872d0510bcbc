"""What is remembered of the tables' sizes, and what ends that."""

from __future__ import annotations

import pytest

from fmd_otel_dash.queries.storage import storage
from fmd_otel_exporter import jobs
from fmd_otel_exporter.retention import Cutoffs, prune
from fmd_otel_exporter.rollups import compact_days

S = 1_000_000
DAY = 24 * 3600 * S
NOW = 1_800_000_000 * S


def rows(store, after_us=0, table="hits"):
    found = storage(store, NOW + after_us)
    return next(each.rows for each in found.tables if each.name == table), found.measured_us - NOW


@pytest.fixture
def filled(store, write, request_at):
    write(*(request_at(NOW - 3 * DAY + place * S) for place in range(5)), request_at(NOW - DAY))
    return store


def test_tables_are_counted_once_a_minute(filled, write, request_at):
    assert rows(filled) == (2, 0)
    write(request_at(NOW - DAY, "shop.pay"))
    assert rows(filled, 59 * S) == (2, 0)
    assert rows(filled, 60 * S) == (3, 60 * S)


def test_requests_are_always_counted_afresh(filled, write, request_at):
    assert storage(filled, NOW).raw_rows == 6
    write(request_at(NOW - DAY))
    assert storage(filled, NOW + S).raw_rows == 7


def test_what_has_been_deleted_is_not_counted_any_more(filled):
    assert rows(filled) == (2, 0)
    cutoffs = Cutoffs(now_us=NOW, raw_us=NOW - 2 * DAY, hourly_s=(NOW - 2 * DAY) // S, daily_s=None)
    compact_days(filled, now_ts_us=NOW)
    assert sum(step.rows for step in prune(filled, cutoffs))
    assert rows(filled, S) == (1, S)


def test_a_job_that_says_something_has_all_counted_anew(filled):
    assert rows(filled) == (2, 0)
    job = jobs.begin(filled, "remove", {}, clock=lambda: NOW / S)
    assert rows(filled, 2 * S)[1] == 2 * S
    assert rows(filled, 3 * S)[1] == 2 * S
    job.end("done")
    assert rows(filled, 4 * S)[1] == 4 * S


def test_a_file_that_is_smaller_has_all_counted_anew(filled, write, request_at):
    write(*(request_at(NOW - DAY + place * S, route="r" * 500) for place in range(2000)))
    for _ in prune(filled, Cutoffs(NOW, raw_us=NOW - DAY + 1900 * S, hourly_s=None, daily_s=None)):
        pass
    before = storage(filled, NOW)
    filled.dialect.vacuum(filled.prefix)
    after = storage(filled, NOW + S)
    assert after.measured_us == NOW + S
    assert after.total_bytes < before.total_bytes


def test_a_clock_that_was_put_back_has_all_counted_anew(filled):
    assert rows(filled) == (2, 0)
    assert rows(filled, -DAY)[1] == -DAY
