"""Sums of whole days, made from the finer sums once a day is over, and finer sums made anew from raw rows."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, insert, literal, select, update

from fmd_otel_exporter import lease
from fmd_otel_exporter.endpoint_ids import all_endpoint_ids
from fmd_otel_exporter.schema import DAY_S

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Column, ColumnElement, Connection, Table

    from fmd_otel_exporter.store import Store

GRACE_S = 600
"""How long after midnight a day is left open for stragglers; later ones only cost a second compaction."""
MOST_DAYS = 400
"""Days compacted in one go, so that decades of clock errors cannot occupy the worker."""
_LEASE = "compact_days"
_LEASE_US = 120 * 1_000_000
_SECOND_US = 1_000_000


def compact_days(store: Store, *, now_ts_us: int, most_days: int = MOST_DAYS) -> int:
    """Fill ``hits_day`` and ``lat_hist_day`` for UTC days that are over, and register them in ``rollup_day``.

    A day that is registered has complete sums: the writer takes it out again, in the same transaction, when a
    late row arrives, and the next run replaces its sums. One process at a time does this, elected by a lease.

    Returns:
        How many days were compacted.
    """
    if not _has_open_day(store, now_ts_us):
        return 0
    owner = lease.this_process()
    if not lease.acquire(store, _LEASE, owner, now_ts_us=now_ts_us, for_us=_LEASE_US):
        return 0
    days = 0
    deadline = time.monotonic() + _LEASE_US / _SECOND_US / 2  # well inside the lease; the next run goes on
    try:
        while days < most_days and time.monotonic() < deadline:
            # One day a transaction: writers get their turn in between.
            if not store.run(lambda connection: _compact_next(connection, store, now_ts_us)):
                break
            days += 1
    finally:
        lease.release(store, _LEASE, owner)
    return days


def first_open_day(now_ts_us: int) -> int:
    """Return the start of the first UTC day that is not over."""
    return (now_ts_us // _SECOND_US - GRACE_S) // DAY_S * DAY_S


def _has_open_day(store: Store, now_ts_us: int) -> bool:
    with store.read() as connection:
        return next(_open_days(connection, store, now_ts_us), None) is not None


def _open_days(connection: Connection, store: Store, now_ts_us: int) -> Iterator[int]:
    """Yield the starts of days that are over, have rows and are not registered, oldest first.

    The hits table is ordered by endpoint first, so "the first bucket from here on" is one look-up an
    endpoint, where "all days" would read the whole table.
    """
    end = first_open_day(now_ts_us)
    day, bucket = store.tables.rollup_day.c, store.tables.hits.c.bucket
    registered = list(connection.scalars(select(day.day).where(day.sealed >= 0).order_by(day.day)))
    start = 0
    for closed in [*(each for each in registered if each < end), end]:
        while start < closed:
            found = first_of(connection, store, bucket, bucket >= start, bucket < closed)
            if found is None:
                break
            first = found // DAY_S * DAY_S
            yield first
            start = first + DAY_S
        start = closed + DAY_S


def first_of(
    connection: Connection, store: Store, time: Column[int], *within: ColumnElement[bool]
) -> int | None:
    """Return the earliest time in a table whose key is an endpoint, time, and what follows."""
    firsts = store.dialect.earliest(store.tables.endpoint, time, within)
    return min((row[1] for row in connection.execute(firsts) if row[1] is not None), default=None)


def _compact_next(connection: Connection, store: Store, now_ts_us: int) -> bool:
    # A row that is on its way, in a transaction not committed yet, would be missing for ever.
    store.dialect.hold_batches(connection, store.prefix)
    day = next(_open_days(connection, store, now_ts_us), None)
    if day is not None:
        _compact(connection, store, day)
    return day is not None


def _compact(connection: Connection, store: Store, day: int) -> None:
    tables, register = store.tables, store.tables.rollup_day
    # A batch that comes while the day is summed up, which not every database can put off, takes the mark
    # away.
    # Then the day is not complete, and its turn comes again.
    mark = -1 - int.from_bytes(os.urandom(2), "big") // 2
    connection.execute(delete(register).where(register.c.day == day))
    connection.execute(insert(register).values(day=day, sealed=mark))
    endpoints = all_endpoint_ids(connection, tables)
    for fine, coarse in ((tables.hits, tables.hits_day), (tables.lat_hist, tables.lat_hist_day)):
        keys = [fine.c[column.name] for column in fine.primary_key if column.name != "bucket"]
        chosen: list[Any] = [_sum_of(fine, column.name, day) for column in coarse.columns]
        store.dialect.replace_sums(
            connection,
            coarse,
            and_(coarse.c.endpoint_id.in_(endpoints), coarse.c.bucket == day),
            select(*chosen)
            .where(fine.c.endpoint_id.in_(endpoints), fine.c.bucket >= day, fine.c.bucket < day + DAY_S)
            .group_by(*keys),
        )
    mine = and_(register.c.day == day, register.c.sealed == mark)
    connection.execute(update(register).where(mine).values(sealed=0))


def _sum_of(fine: Table, name: str, day: int) -> Any:
    column = fine.c[name]
    if name == "bucket":
        return literal(day)
    if name in ("n", "sum_us"):
        return func.sum(column)
    if name == "min_us":
        return func.min(column)
    if name == "max_us":
        return func.max(column)
    return column
