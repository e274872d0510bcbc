"""Requests of both sides of a comparison: what is read of them, and how often."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sqlalchemy import event

from fmd_otel_dash.queries.overview import overview
from fmd_otel_dash.queries.report import report
from fmd_otel_dash.queries.scope import Scope
from fmd_otel_exporter.rollups import compact_days

MINUTE = 60 * 1_000_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


@pytest.fixture
def asked(store):
    """What the database is asked, from now on, with the values."""
    found = []
    with store.read() as connection:
        event.listen(connection.engine, "before_cursor_execute", lambda *given: found.append(given[2:4]))
    return found


@pytest.fixture
def sides(store, at, request_at, write):
    """Two days and the two before, which end and begin in the middle of an hour."""
    now = at(2026, 11, 22, 12) + 20 * MINUTE
    write(*(request_at(now - n * 10 * MINUTE, duration_us=1000 + n) for n in range(6 * 24 * 5)))
    compact_days(store, now_ts_us=now)
    after = Scope(now - 2 * DAY, now)
    return after.previous(), after


def test_days_that_are_over_are_read_by_the_hour_once(store, sides, asked, at, request_at, write):
    first = report(store, *sides)
    read = [values for statement, values in asked if "fmd_hits.status" in statement]
    asked.clear()

    assert report(store, *sides) == first
    again = [values for statement, values in asked if "fmd_hits.status" in statement]
    day = at(2026, 11, 21) // 1_000_000, at(2026, 11, 22) // 1_000_000
    assert any(day in pairwise(values) for values in read)  # from where to where
    assert not any(day in pairwise(values) for values in again)

    write(request_at(at(2026, 11, 21, 5)))  # late
    assert report(store, *sides).n_after == first.n_after + 1


def test_the_hour_in_which_one_side_ends_and_the_other_begins_is_read_once(store, sides, asked):
    before, after = sides
    page = overview(store, after, before, after.end_us)

    assert page.kpis.n == page.previous.n == 6 * 24 * 2
    between = [values for statement, values in asked if "fmd_request.bkt" in statement]
    hour_us = after.start_us // HOUR * HOUR
    assert sum(hour_us in values or after.start_us in values for values in between) == 1


def test_where_plans_take_long_each_table_is_asked_once_for_both_sides(store, sides, asked, monkeypatch):
    monkeypatch.setattr(store.dialect, "plans_long", True)
    report(store, *sides)
    asked.clear()

    report(store, *sides)

    for table in ("fmd_request", "fmd_hits", "fmd_hits_day"):
        legs = [statement for statement, _ in asked if f"FROM {table} " in f"{statement} ".replace("\n", " ")]
        assert len(legs) <= 3, (table, legs)  # the first of all, durations, and requests by the hour
    assert len(asked) <= 7
