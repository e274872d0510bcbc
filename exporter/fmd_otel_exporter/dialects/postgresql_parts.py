"""Raw rows of PostgreSQL by the day: what is old goes with the table it is in, at the cost of none.

The table of requests is partitioned by its time where this release, or a later one, has made it; in older
databases it is one table, and everything here finds nothing to do. Each part holds the days of a range; what
is in none of them, for its time is far off, or because no part could be made without waiting, goes into the
default part, where it is deleted a few rows at a time as in any other database.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from sqlalchemy import Connection, Table

    from fmd_otel_exporter.schema import Tables

DAY_US = 86_400 * 1_000_000
AHEAD_DAYS = 3
BEHIND_DAYS = 400
"""Days around today for which parts are made when there are rows for them."""
MOST_PARTS = 400
"""Every look at a table that names no time goes through all of its parts. Beyond these the default part takes
what comes: whoever keeps rows for so long deletes few of them."""
_WAIT = "SET LOCAL lock_timeout = '300ms'"
"""Others wait behind whoever waits for a lock on a whole table. What cannot be done now can be done later."""
_BOUNDS = re.compile(r"FOR VALUES FROM \('?(-?\d+)'?\) TO \('?(-?\d+)'?\)")
_PARTS = text(
    "SELECT c.relname, pg_get_expr(c.relpartbound, c.oid), pg_has_role(c.relowner, 'USAGE') "
    "FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent "
    "JOIN pg_namespace n ON n.oid = p.relnamespace "
    "WHERE p.relname = :name AND n.nspname = current_schema()"
)
_IS_PARTITIONED = text(
    "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relname = :name AND c.relkind = 'p' AND n.nspname = current_schema()"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Part(NamedTuple):
    """A part of a table: the rows of a range of time."""

    name: str
    start_us: int
    end_us: int
    ours: bool = True
    """It belongs to this user, and nobody else may drop it."""
    empty: bool = False
    """It is to be dropped for having no rows, so if there are some it must stay."""


def is_partitioned(connection: Connection, name: str) -> bool:
    """Tell whether a table is made of parts."""
    return connection.execute(_IS_PARTITIONED, {"name": name}).first() is not None


def parts(connection: Connection, name: str) -> list[Part]:
    """Return the parts of a table but for the default one, oldest first."""
    found = []
    for part, bounds, ours in connection.execute(_PARTS, {"name": name}):
        match = _BOUNDS.fullmatch(bounds)
        if match is not None:
            found.append(Part(part, int(match[1]), int(match[2]), ours))
    return sorted(found, key=lambda each: each.start_us)


def parts_within(
    connection: Connection, name: str, ranges: Sequence[tuple[int, int]], end: int
) -> list[Part]:
    """Return the parts all of whose rows are of some ranges of time, and those before an end without rows.

    Those that this user may not drop are left out: their rows go one by one.
    """
    found = []
    for part in parts(connection, name):
        if not part.ours:
            continue
        if any(start <= part.start_us and part.end_us <= until for start, until in ranges):
            found.append(part)
        elif part.end_us <= end and _is_empty(connection, part):
            found.append(part._replace(empty=True))
    return found


def drop(connection: Connection, name: str, part: Part) -> int:
    """Drop a part; return how many rows it had.

    Raises:
        DBAPIError: Somebody uses the table just now.
    """
    quote = connection.dialect.identifier_preparer.quote
    # Counted before anybody has to wait. What is written into it meanwhile is as old as the rest.
    rows = connection.exec_driver_sql(f"SELECT count(*) FROM {quote(part.name)}").scalar() or 0  # noqa: S608 # ours
    connection.exec_driver_sql(_WAIT)
    if part.empty:
        connection.exec_driver_sql(f"LOCK TABLE {quote(name)} IN ACCESS EXCLUSIVE MODE")
        if not _is_empty(connection, part):
            return 0
    connection.exec_driver_sql(f"DROP TABLE {quote(part.name)}")
    return int(rows)


def _is_empty(connection: Connection, part: Part) -> bool:
    name = connection.dialect.identifier_preparer.quote(part.name)
    return connection.exec_driver_sql(f"SELECT 1 FROM {name} LIMIT 1").first() is None  # noqa: S608 # ours


def make_default(connection: Connection, name: str) -> None:
    """Make the part for all that has no other."""
    quote = connection.dialect.identifier_preparer.quote
    connection.exec_driver_sql(
        f"CREATE TABLE IF NOT EXISTS {quote(name + '_default')} PARTITION OF {quote(name)} DEFAULT"
    )


def make_days(connection: Connection, name: str, days_us: Iterable[int]) -> None:
    """Make the parts of some days, each in its own step.

    A day of which there are rows in the default part gets none: they would have to be moved, and nobody may
    write meanwhile.
    """
    quote = connection.dialect.identifier_preparer.quote
    made = 0
    connection.exec_driver_sql(_WAIT)
    # Whoever comes second sees what the first has made.
    connection.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name})
    there = parts(connection, name)
    for day_us in sorted(days_us):
        end_us = day_us + DAY_US
        if _has_part(there, day_us):
            continue
        if len(there) + made >= MOST_PARTS:
            return
        part = f"{name}_{_EPOCH + timedelta(microseconds=day_us):%Y%m%d}"
        try:
            with connection.begin_nested():
                # Attached, and not made as a part: that would make everybody wait who uses the table.
                connection.exec_driver_sql(
                    f"CREATE TABLE {quote(part)} (LIKE {quote(name)} INCLUDING DEFAULTS)"
                )
                connection.exec_driver_sql(
                    f"ALTER TABLE {quote(name)} ATTACH PARTITION {quote(part)} "
                    f"FOR VALUES FROM ({day_us}) TO ({end_us})"
                )
        except DBAPIError:  # rows in the default part, or somebody is using that
            continue
        made += 1


def _has_part(there: Iterable[Part], day_us: int) -> bool:
    return any(part.start_us < day_us + DAY_US and day_us < part.end_us for part in there)


def days_of(times_us: Iterable[int]) -> set[int]:
    """Return the days of some times that are near enough to be those of a running application."""
    now_us = time.time_ns() // 1000
    first, last = now_us - BEHIND_DAYS * DAY_US, now_us + AHEAD_DAYS * DAY_US
    return {day for day in {each // DAY_US * DAY_US for each in times_us} if first <= day <= last}


class Parts:
    """What the dialect has to say of parts."""

    raw_by_day = True

    def complete(self, connection: Connection, tables: Tables) -> None:
        """Make the parts that the first rows will go into."""
        name = tables.request.name
        if is_partitioned(connection, name):
            make_default(connection, name)
            self.make_parts(connection, tables.request, time.time_ns() // 1000)

    def make_parts(self, connection: Connection, table: Table, now_us: int) -> None:
        """Make the parts of the days to come, before there is anything to be put into them."""
        if is_partitioned(connection, table.name):
            today_us = now_us // DAY_US * DAY_US
            make_days(connection, table.name, [today_us + day * DAY_US for day in range(-1, AHEAD_DAYS + 1)])

    def parts_within(
        self, connection: Connection, table: Table, ranges: Sequence[tuple[int, int]], end: int
    ) -> list[Part]:
        """Return the days that go as a whole."""
        return parts_within(connection, table.name, ranges, end)

    def drop_part(self, connection: Connection, table: Table, part: Part) -> int:
        """Drop one."""
        return drop(connection, table.name, part)


class Places:
    """Sees to it that rows about to be written find the part of their day."""

    def __init__(self, connection: Connection, table: Table) -> None:
        """Look at a table; nothing is made yet."""
        self._name = table.name
        self._ts = table.columns.keys().index("ts") if is_partitioned(connection, table.name) else None
        self._seen: set[int] = set()

    def prepare(self, connection: Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Make what is missing, over another connection: the batch must hold no lock on the whole table.

        Where that cannot be done at once, the rows go into the default part.
        """
        if self._ts is None:
            return
        ts = self._ts
        new = {row[ts] // DAY_US * DAY_US for row in rows} - self._seen
        if not new:
            return
        self._seen |= new
        days = days_of(new)
        if days:  # nearly always made ahead, and then another connection need not be waited for
            there = parts(connection, self._name)
            days = {day for day in days if not _has_part(there, day)}
        if days:
            with suppress(SQLAlchemyError), connection.engine.begin() as other:
                make_days(other, self._name, days)
