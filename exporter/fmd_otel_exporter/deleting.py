"""Deletes many rows a few at a time, along the key by which their table is stored.

Each chunk is a short transaction of its own: whoever wants to write waits for a few milliseconds at most, on
a slow machine, too, where chunks become smaller.
Chunks are found by reading, which holds up nobody, and each begins where the last one ended: PostgreSQL steps
over the remains of deleted rows, one by one, until it has tidied up.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, func, literal, select, tuple_

from fmd_otel_exporter.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import Column, ColumnElement, Connection, Delete, Table, Update

    from fmd_otel_exporter.store import Store

CHUNK = 1000
"""Most rows changed in one transaction."""
LEAST = 100
TARGET_S = 0.008
"""How long a transaction should take; SQLite lets nobody else write meanwhile."""
_WINDOW = 20_000
"""Rows looked through at a time, where nothing tells beforehand which of them are old."""

_END = (1 << 63) - 1

Range = tuple[int, int]
"""Of times, in the unit of the table; the second is the first that no longer belongs."""


class Pace:
    """How many rows the next transaction changes, by how long the last ones took."""

    def __init__(self) -> None:
        """Begin with as many as there may be."""
        self.rows = CHUNK
        self._least = min(LEAST, CHUNK)

    def took(self, seconds: float) -> None:
        """Take fewer next time if this was too long, or more again."""
        if seconds > 2 * TARGET_S:
            self.rows = max(self.rows // 2, self._least)
        elif seconds < TARGET_S:
            self.rows = min(self.rows * 3 // 2 + 1, CHUNK)


def of_finished(connection: Connection, store: Store, day: Column[int]) -> Sequence[ColumnElement[bool]]:
    """Return what leaves out days that must not be sealed yet, since a batch for them may be half there."""
    guard = store.dialect.batch_guard(store.tables)
    unfinished = () if guard is None else sorted(guard.unfinished(connection))
    return [day.not_in(unfinished)] if unfinished else ()


def delete_times(store: Store, table: Table, ranges: Sequence[Range]) -> Iterator[int]:
    """Delete all rows of some ranges of time, of a table whose key is an owner, time, and what follows.

    Args:
        store: Where.
        table: Of what.
        ranges: In their order, apart from each other.

    Yields:
        How many rows each chunk had.
    """
    if not ranges:
        return
    if store.dialect.in_one_go:
        time = list(table.primary_key)[1]
        if _any(store, table, time < ranges[-1][1]):
            yield store.run(lambda connection: store.dialect.delete_times(connection, table, time, ranges))
        return
    pace = Pace()
    for endpoint, first in _endpoints(store, table, ranges[-1][1]):
        for start, end in ranges:
            if first < end:
                yield from _delete_range(store, table, pace, endpoint, (max(start, first), end))


def delete_of(
    store: Store, table: Table, owner: int, which: ColumnElement[bool] | None = None
) -> Iterator[int]:
    """Delete the rows of one owner, of a table whose key is an owner, time, and what follows.

    Args:
        store: Where.
        table: Of what.
        owner: Whose.
        which: Only those that meet a condition; all of them are looked at.

    Yields:
        How many rows each chunk had.
    """
    of = next(iter(table.primary_key))
    old = of == owner if which is None else and_(of == owner, which)
    if not _any(store, table, old):
        return
    if store.dialect.in_one_go:
        with store.read() as connection:
            rows = connection.scalar(select(func.count()).select_from(table).where(old)) or 0
        store.run(lambda connection: connection.execute(delete(table).where(old)))
        yield rows
        return
    yield from _delete_range(store, table, Pace(), owner, (0, _END), which)


def drop_parts(store: Store, table: Table, ranges: Sequence[Range], end: int) -> Iterator[int]:
    """Drop the parts of a table that are old as a whole; what is in use just now is left to go by the row.

    Args:
        store: Where.
        table: Of what.
        ranges: As for :func:`delete_times`.
        end: Parts before this go as well if they have no rows.

    Yields:
        How many rows each part had.
    """
    with store.read() as connection:
        parts = store.dialect.parts_within(connection, table, ranges, end)
    for part in parts:

        def drop(connection: Connection, part: object = part) -> int:
            return store.dialect.drop_part(connection, table, part)

        try:
            rows = store.run(drop)
        except StorageError as exc:
            if not exc.busy:
                raise
            return
        if rows:
            yield rows


def count_times(store: Store, table: Table, end: int) -> int:
    """Count the rows of all times before ``end``."""
    endpoint_column, time = list(table.primary_key)[:2]
    count = 0
    for endpoint, _ in _endpoints(store, table, end):
        old = select(func.count()).select_from(table).where(endpoint_column == endpoint, time < end)
        with store.read() as connection:
            count += connection.scalar(old) or 0
    return count


def sweep(
    store: Store, table: Table, old: ColumnElement[bool], change: Delete | Update | None = None
) -> Iterator[int]:
    """Delete, or change, the rows that meet a condition of a table with a key of one column; look at each.

    Args:
        store: Where.
        table: Of what.
        old: The condition. It is asked again when a row is about to go.
        change: Instead of deleting.

    Yields:
        How many rows were changed; often none, so that a caller with little time may stop anywhere.
    """
    key = next(iter(table.primary_key))
    change = delete(table) if change is None else change
    window: list[ColumnElement[bool]] = []
    pace = Pace()
    if store.dialect.in_one_go:
        if _any(store, table, old):
            yield _run(store, pace, change.where(old))
        return
    while True:
        last = select(key).where(*window).order_by(key).limit(1).offset(_WINDOW - 1)
        with store.read() as connection:
            bound = connection.scalar(last)
            here = window if bound is None else [*window, key <= bound]
            found = list(connection.scalars(select(key).where(*here, old).order_by(key)))
        yield 0
        while found:
            some, found = found[: pace.rows], found[pace.rows :]
            yield _run(store, pace, change.where(key >= some[0], key <= some[-1], old))
        if bound is None:
            return
        window = [key > bound]


def _any(store: Store, table: Table, old: ColumnElement[bool]) -> bool:
    with store.read() as connection:
        found = connection.execute(select(literal(1)).select_from(table).where(old).limit(1))
        return found.first() is not None


def _endpoints(store: Store, table: Table, end: int) -> list[tuple[int, int]]:
    """Return each endpoint that has rows before ``end``, and the time of its first row."""
    time = list(table.primary_key)[1]
    firsts = store.dialect.ends_of_each(_owner(store, table), time, newest=False)
    with store.read() as connection:
        found = sorted((row[0], row[1]) for row in connection.execute(firsts) if row[1] is not None)
    return [each for each in found if each[1] < end]


def _owner(store: Store, table: Table) -> Table:
    """Return what the first column of a table's key refers to."""
    tables = store.tables
    return tables.exception_group if next(iter(table.primary_key)).name == "group_id" else tables.endpoint


def _delete_range(  # noqa: PLR0913, PLR0917 # what, where, how fast
    store: Store,
    table: Table,
    pace: Pace,
    endpoint: int,
    times: Range,
    which: ColumnElement[bool] | None = None,
) -> Iterator[int]:
    of, *key = list(table.primary_key)
    start, end = times
    time: Column[Any] = key[0]
    more = [] if which is None else [which]
    beyond: list[ColumnElement[bool]] = []
    while True:
        here = [of == endpoint, time >= start, *beyond]
        ordered = select(*key).where(*here, time < end).order_by(*key).limit(1)
        with store.read() as connection:
            bound = connection.execute(ordered.offset(pace.rows - 1)).first()
            if bound is None and connection.execute(ordered).first() is None:
                return
        if bound is None:
            here.append(time < end)
        else:
            # The first condition says less than the second, but every database finds its way by it. None must
            # say still less: SQLite would go by that one, and look at all rows up to there for each chunk.
            values = [literal(value, column.type) for value, column in zip(bound, key, strict=True)]
            here += [time <= bound[0], tuple_(*key) <= tuple_(*values)]
        yield _run(store, pace, delete(table).where(*here, *more))
        if bound is None:
            return
        start = bound[0]
        if which is not None:
            # Others stay, so that the same chunk would be found again.
            beyond = [tuple_(*key) > tuple_(*values)]


def _run(store: Store, pace: Pace, change: Delete | Update) -> int:
    began = time.monotonic()

    def work(connection: Connection) -> int:
        nonlocal began
        began = time.monotonic()  # once it is our turn
        return connection.execute(change).rowcount

    rows = store.run(work)
    pace.took(time.monotonic() - began)
    return rows
