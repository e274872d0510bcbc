"""Sums by the hour made anew from the requests they are made of: a tool for repair.

Sums and rows are written together, so there is nothing to repair unless somebody has changed a database by
hand, restored part of it, or met a fault of ours or of a server's. Each hour is compared first, which holds
up nobody, and only one that differs is replaced, in a transaction that no batch is in the middle of.

An hour whose requests are gone, or may be in part, is left alone: its sums are all there is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import BigInteger, and_, cast, delete, func, literal_column, select

from fmd_otel_exporter.clock import database_now_us
from fmd_otel_exporter.endpoint_ids import all_endpoint_ids
from fmd_otel_exporter.rollups import first_of, first_open_day
from fmd_otel_exporter.schema import DAY_S, HITS_BUCKET_S, LATENCY_BUCKET_S
from fmd_otel_exporter.subject_sums import SEALED

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import ColumnElement, Connection, Select, Table

    from fmd_otel_exporter.store import Store

HOUR_S = 3600
_US = 1_000_000
_NEVER = 1 << 62


class Hour(NamedTuple):
    """What became of an hour."""

    start_s: int
    rebuilt: bool
    """Its sums differed from its requests, and do not any more."""


def hours_to_compare(
    store: Store, start_s: int | None = None, end_s: int | None = None, *, now_us: int | None = None
) -> list[int]:
    """Return the starts of the hours of which all requests are there, within a range, oldest first.

    Of days without requests and sums there are none. A database that cannot make batches wait has those of
    days that are over only.

    Args:
        store: Where.
        start_s: Where the range begins; by default with the oldest request.
        end_s: Where it ends; by default now.
        now_us: What time it is; by default what the database's clock shows.

    Raises:
        StorageError: The database cannot be used now.
    """
    tables = store.tables
    now_us = database_now_us(store) if now_us is None else now_us
    until = now_us // _US if store.dialect.undoes else first_open_day(now_us)
    until = until if end_s is None else min(end_s, until)
    days, subjects = tables.rollup_day.c, tables.subject_rollup.c
    with store.read() as connection:
        oldest = _oldest_hour(connection, store)
        days_kept = store.dialect.expiry_days(connection, tables.request)
        if days_kept is not None:  # for what has been there for longer, the oldest may be one that came late
            # A day begins up to half a day earlier or later where the server is.
            oldest = max(oldest, (now_us // _US // DAY_S - days_kept + 2) * DAY_S)
        gone = {*connection.scalars(select(days.day).where(days.sealed > 0))}
        gone |= {*connection.scalars(select(subjects.day).where(subjects.state >= SEALED))}
        first = oldest if start_s is None else max(oldest, start_s // HOUR_S * HOUR_S)
        there = [day for day in _days(connection, store, first, until) if day not in gone]
    return [hour for day in there for hour in range(max(day, first), min(day + DAY_S, until), HOUR_S)]


def _oldest_hour(connection: Connection, store: Store) -> int:
    oldest_us = first_of(connection, store, store.tables.request.c.ts)
    return _NEVER if oldest_us is None else oldest_us // _US // HOUR_S * HOUR_S


def _days(connection: Connection, store: Store, start: int, end: int) -> Iterator[int]:
    """Yield the days of a range that have requests or sums, from one to the next."""
    tables = store.tables
    times = ((tables.request.c.ts, _US), (tables.hits.c.bucket, 1), (tables.lat_hist.c.bucket, 1))
    while start < end:
        found = [
            (first_of(connection, store, time, time >= start * unit, time < end * unit), unit)
            for time, unit in times
        ]
        nearest = min((first // unit for first, unit in found if first is not None), default=None)
        if nearest is None:
            return
        day = nearest // DAY_S * DAY_S
        yield day
        start = day + DAY_S


def rebuild(store: Store, hours: list[int]) -> Iterator[Hour]:
    """Compare hours with their requests, and replace sums that differ.

    Yields:
        What became of each hour.

    Raises:
        StorageError: The database cannot be used now.
    """
    with store.read() as connection:
        oldest = _oldest_hour(connection, store)
    for start in hours:
        # Requests of the oldest hour may have been deleted at any minute of it.
        yield Hour(start, _rebuild_hour(store, start, only_more=start <= oldest))


def _rebuild_hour(store: Store, start: int, *, only_more: bool) -> bool:
    with store.read() as connection:
        if not _differs(connection, store, start, only_more=only_more):
            return False

    def work(connection: Connection) -> bool:
        store.dialect.hold_batches(connection, store.prefix)
        if not _differs(connection, store, start, only_more=only_more):  # a batch was under way
            return False
        endpoints = all_endpoint_ids(connection, store.tables)
        for table, query in _queries(store, start, endpoints):
            store.dialect.replace_sums(connection, table, _within(table, start, endpoints), query)
        register = store.tables.rollup_day
        day = start // DAY_S * DAY_S
        # Its sums are made of these.
        connection.execute(delete(register).where(register.c.day == day, register.c.sealed <= 0))
        return True

    return store.run(work)


def _differs(connection: Connection, store: Store, start: int, *, only_more: bool) -> bool:
    endpoints = all_endpoint_ids(connection, store.tables)
    for table, query in _queries(store, start, endpoints):
        keys = len(table.primary_key)
        stored = _sums(connection, select(table).where(_within(table, start, endpoints)), keys)
        true = _sums(connection, query, keys)
        if only_more and sum(each[0] for each in stored.values()) > sum(each[0] for each in true.values()):
            return False
        if stored != true:
            return True
    return False


def _sums(connection: Connection, query: Select[Any], keys: int) -> dict[tuple[int, ...], tuple[int, ...]]:
    rows = ([int(value) for value in row] for row in connection.execute(query))
    return {tuple(row[:keys]): tuple(row[keys:]) for row in rows if row[keys]}


def _within(table: Table, start: int, endpoints: Sequence[int]) -> ColumnElement[bool]:
    return and_(table.c.endpoint_id.in_(endpoints), table.c.bucket >= start, table.c.bucket < start + HOUR_S)


def _queries(store: Store, start: int, endpoints: Sequence[int]) -> list[tuple[Table, Select[Any]]]:
    """Return both tables of sums, and what adds up an hour for them, in the order of their columns."""
    tables, raw = store.tables, store.tables.request.c
    n = cast(func.count(), BigInteger).label("n")
    times = [
        func.sum(raw.duration).label("sum_us"),
        func.min(raw.duration).label("min_us"),
        func.max(raw.duration).label("max_us"),
    ]
    found = []
    for table, width, what, values in (
        (tables.hits, HITS_BUCKET_S, raw.status, [n, *times]),
        (tables.lat_hist, LATENCY_BUCKET_S, raw.bkt, [n]),
    ):
        # What is divided leaves no remainder: MySQL would round to four digits first, up to the next hour.
        bucket = (raw.ts - raw.ts % literal_column(str(width * _US))) // literal_column(str(_US))
        keys = [raw.endpoint_id, bucket.label("bucket"), raw.version_id, what]
        query = select(*keys, *values).where(
            raw.endpoint_id.in_(endpoints), raw.ts >= start * _US, raw.ts < (start + HOUR_S) * _US
        )
        found.append((table, query.group_by(raw.endpoint_id, bucket, raw.version_id, what)))
    return found
