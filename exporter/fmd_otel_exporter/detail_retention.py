"""What is kept for how long of the details of single requests.

Profiles, outliers, traces, and exceptions with their stacks and users go with raw rows. What profiles and
exceptions come to by the day and the hour goes with the sums of days. Then there is what those refer to:

- A group of exceptions goes when the last of its sums has, by the time it was met last.
- Call paths and lines of code are dated, as users are: by the last day on which a writer had to do with them,
  and by the last day of whose sums they are part. Who refers to them need not be looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import and_

from fmd_otel_exporter.deleting import delete_times, sweep
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import ColumnElement, Table

    from fmd_otel_exporter.retention import Cutoffs
    from fmd_otel_exporter.schema import Tables
    from fmd_otel_exporter.store import Store

NOTED_DAYS = 2
"""How much longer than raw rows call paths stay: writers remember one for a day, and clocks differ by less
than another."""
_US = 1_000_000
_NEVER = 0
"""The day of whose sums something is part that is part of none."""


def prune_details(store: Store, cutoffs: Cutoffs) -> Iterator[tuple[Table, Iterator[int]]]:
    """Yield each table with the steps that delete what is old there.

    What refers to others goes first.
    """
    tables = store.tables
    for cutoff, by_time in detail_ages(tables, cutoffs):
        for table in by_time if cutoff is not None else ():
            yield table, delete_times(store, table, [(0, cutoff or 0)])
    for table, old in orphans(tables, cutoffs):
        yield table, sweep(store, table, old)


def tables_of_details(tables: Tables) -> tuple[Table, ...]:
    """Return the tables of details that go with raw rows."""
    of_requests = tables.profile, tables.outlier, tables.exception_occurrence, tables.request_trace
    return (*of_requests, tables.exception_subject)


def detail_ages(tables: Tables, cutoffs: Cutoffs) -> list[tuple[int | None, tuple[Table, ...]]]:
    """Return since when rows of tables with a time in their key are kept, in the unit of the table."""
    raw_s = None if cutoffs.raw_us is None else cutoffs.raw_us // _US // DAY_S * DAY_S
    return [
        (
            cutoffs.raw_us,
            (tables.profile, tables.outlier, tables.exception_occurrence, tables.request_trace),
        ),
        (raw_s, (tables.exception_subject,)),
        (cutoffs.daily_s, (tables.profile_day, tables.profile_day_n, tables.exception_hits)),
    ]


def orphans(tables: Tables, cutoffs: Cutoffs) -> list[tuple[Table, ColumnElement[bool]]]:
    """Return the tables of what others refer to, and which of their rows nothing refers to any more."""
    found: list[tuple[Table, ColumnElement[bool]]] = []
    if cutoffs.raw_us is None:
        return found
    if cutoffs.daily_s is not None:
        last_ts = min(cutoffs.raw_us, cutoffs.daily_s * _US)
        found.append((tables.exception_group, tables.exception_group.c.last_ts < last_ts))
    noted = cutoffs.raw_us // _US // DAY_S * DAY_S - NOTED_DAYS * DAY_S
    for table in (tables.stack, tables.code_line):
        c = table.c
        summed = c.summed_day == _NEVER if cutoffs.daily_s is None else c.summed_day < cutoffs.daily_s
        found.append((table, and_(c.seen_day < noted, summed)))
    return found
