"""Hourly API Utilization: requests by hour of the day and by day, on the clock of the zone."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

from sqlalchemy import select

from fmd_otel_dash.queries.look import look
from fmd_otel_dash.queries.scope import US_PER_S, Scope, local_time
from fmd_otel_dash.queries.sources import Columns, total
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Collection

    from fmd_otel_dash.queries.statements import Statement
    from fmd_otel_exporter.store import Store

HOUR_S = 3600
HOURS = 24
MAX_COLUMNS = 84
"""More days than this are shown by weeks: eye and browser both want no more than 2,000 cells."""
_FIRST = date(1970, 1, 1)
_MINUTE_US = 60 * US_PER_S
_HOUR_MINUTES = 60


@dataclass(frozen=True)
class Hourly:
    """A heat map; both grids are ``[hour of day][column]``."""

    scope: Scope
    columns: tuple[date, ...]
    """Local days, or the Mondays of local weeks."""
    by_week: bool
    n: tuple[tuple[int | None, ...], ...]
    """Requests; None where the hour is outside the range, or was skipped when the clocks went forward."""
    minutes: tuple[tuple[int, ...], ...]
    """How much of the hour there was: 60; 120 where the clocks went back; less at the ends of the range."""
    total: int
    days_without_hours: int
    """UTC days in the range of whose hours retention has left nothing; their hours are None, too."""
    last_recorded_us: int | None
    """Newest recorded request, sought only where the range is empty."""


def hourly(store: Store, scope: Scope) -> Hourly:
    """Count the scope's requests per hour of its zone's clock."""
    with look(store, scope) as view:
        counted: Counter[int] = Counter()
        for source in view.local_hits_apart(scope, days=False):
            for local_s, hour_n in view.ask(source, _n_by_hour):
                counted[int(local_s) // HOUR_S] += hour_n
        total_n = counted.total()
        last_us = None if total_n else view.last_recorded_us()
        gone = view.sealed_days(scope)
    touched = scope.local_parts_us(HOUR_S)
    covered = _covered_us(scope, gone) if gone else touched
    by_week = len({number // HOURS for number in touched}) > MAX_COLUMNS
    n: dict[tuple[int, date], int] = {}
    there_us: dict[tuple[int, date], int] = {}
    for number, covered_us in covered.items():
        cell = number % HOURS, _column(number, by_week=by_week)
        n[cell] = n.get(cell, 0) + counted[number]
        there_us[cell] = there_us.get(cell, 0) + covered_us
    columns = _all_columns({_column(number, by_week=by_week) for number in touched}, by_week=by_week)
    return Hourly(
        scope=scope,
        columns=columns,
        by_week=by_week,
        n=tuple(tuple(n.get((hour, column)) for column in columns) for hour in range(HOURS)),
        minutes=tuple(
            tuple(-(-there_us.get((hour, column), 0) // _MINUTE_US) for column in columns)
            for hour in range(HOURS)
        ),
        total=total_n,
        days_without_hours=len(gone),
        last_recorded_us=last_us,
    )


def _n_by_hour(c: Columns) -> Statement:
    hour = c.local_s - c.local_s % HOUR_S
    return select(hour, total(c.n)).group_by(hour)


def beside(found: Hourly, before: Hourly) -> tuple[tuple[float | None, ...], ...]:
    """Return what each hour of a heat map is to be held against, in its order.

    Where the comparison is as many days earlier, hour for hour: the same hour then. Else, an hour's mean over
    all days of the comparison.
    """
    if _hour_for_hour(found, before):
        return before.n
    cells: list[tuple[float | None, ...]] = []
    for counts, minutes, now in zip(before.n, before.minutes, found.minutes, strict=True):
        hours = sum(minutes) / _HOUR_MINUTES
        mean = sum(n or 0 for n in counts) / hours if hours else None
        cells.append(tuple(None if mean is None else mean * each / _HOUR_MINUTES for each in now))
    return tuple(cells)


def _hour_for_hour(found: Hourly, before: Hourly) -> bool:
    clocks = [local_time(each.scope.start_us, each.scope.zone).time() for each in (found, before)]
    alike = clocks[0] == clocks[1] and found.by_week == before.by_week
    return alike and len(found.columns) == len(before.columns)


def _covered_us(scope: Scope, gone: Collection[int]) -> dict[int, int]:
    """Return how much of each local hour lies in the range and outside the UTC days that are gone."""
    covered: dict[int, int] = {}
    at = scope.start_us
    for day in [*sorted(gone), None]:
        end_us = scope.end_us if day is None else min(day * US_PER_S, scope.end_us)
        for number, us in replace(scope, start_us=at, end_us=end_us).local_parts_us(HOUR_S).items():
            covered[number] = covered.get(number, 0) + us
        at = scope.end_us if day is None else max(at, (day + DAY_S) * US_PER_S)
    return covered


def _column(hour_number: int, *, by_week: bool) -> date:
    day = _FIRST + timedelta(days=hour_number // HOURS)
    return day - timedelta(days=day.weekday()) if by_week else day


def _all_columns(found: set[date], *, by_week: bool) -> tuple[date, ...]:
    """Return every column between the first and the last: a zone that skipped a whole day still shows it."""
    if not found:
        return ()
    step = timedelta(days=7 if by_week else 1)
    columns, last = [min(found)], max(found)
    while columns[-1] < last:
        columns.append(columns[-1] + step)
    return tuple(columns)
