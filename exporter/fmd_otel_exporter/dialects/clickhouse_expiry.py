"""Has the server itself drop what is old, in case nobody else does: a backstop, and no more than that.

Retention (:mod:`fmd_otel_exporter.retention`) deletes to the day, in one of the applications, and only what
it has summed up. Should all of them be gone for good, rows about users would stay for ever. So requests,
their details and what is summed up of users have a TTL, too far behind retention to get in its way:

* It is counted from the end of the month that a row is of, so that all parts of a month go at one moment, as
  its partition would: there is no time at which a day has only some of its rows.
* It is counted from a *floor* on, however old a row is: the month in which retention was last at work. What
  is written today about last year, by a batch that comes late or by a tool, is summed up before it goes.
* On top of what retention keeps come ``MARGIN_DAYS``. The floor may be a month old. Retention itself needs a
  week more than the settings say: as long as a batch may come again, its days are not sealed (see
  :mod:`.clickhouse_late`) and the ledger knows it. The rest is for applications that are off for a while.

Sums of requests have none. Those of days stay when all that they were made of is gone; and those by the hour
are what they are made of, and made of anew when a request comes late for a day that nobody has sealed: who
drops them without sealing the day first makes it wrong. Nobody is in them, and they are small.

A part of a table remembers until when it is kept, as the TTL was when it was written or merged. To keep rows
for longer, these notes are made anew, which reads one column; a shorter time is left to the next merge.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sqlalchemy import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection, Table

MARGIN_DAYS = 62
_SECONDS = {"ts": "intDiv(`ts`, 1000000)", "bucket": "`bucket`", "day": "`day`"}
_LATEST_S = 4_000_000_000
"""In 2096: with the days on top, dates do not go much farther."""
_KNOWN = re.compile(r" TTL .*greatest\([^,]*(?:, 1000000\))?, (\d+)\).* \+ toIntervalDay\((\d+)\)")
_ONLY_PARTS = "ttl_only_drop_parts = 1"
_ONLY_NOTES = "materialize_ttl_recalculate_only = 1"
_FOREIGN = 0, 0
"""A TTL that is not ours: who has given it to the table knows why."""
_KEEP_NOTES = "SETTINGS materialize_ttl_after_modify = 0"


def expire(connection: Connection, kept_days: Mapping[Table, int], floor_s: int | None = None) -> None:
    """Give tables a TTL, or another one, where it is not what it should be.

    Args:
        connection: of the process that retention is up to.
        kept_days: how long retention keeps the rows of each table; 0 is for ever.
        floor_s: what rows age from at the earliest; by default the month that the server's clock shows, as
            the server is who drops them.
    """
    query = text(
        "SELECT name, engine_full, name IN (SELECT table FROM system.parts WHERE active "
        "AND database = currentDatabase() AND toUnixTimestamp(delete_ttl_info_max) > 0), "
        "toUnixTimestamp(toDateTime(toStartOfMonth(now('UTC')), 'UTC')) FROM system.tables "
        "WHERE database = currentDatabase() AND name IN :names"
    ).bindparams(names=tuple(table.name for table in kept_days))
    there = {row[0]: row[1:] for row in connection.execute(query)}
    for table, days in kept_days.items():
        engine, noted, month_s = there[table.name]
        has = _of(engine)
        from_s = int(month_s) if floor_s is None else floor_s
        wants = (from_s, days + MARGIN_DAYS) if days else None
        if has in {wants, _FOREIGN}:
            continue
        if wants is None:
            connection.exec_driver_sql(f"ALTER TABLE `{table.name}` REMOVE TTL")
            continue
        if _ONLY_PARTS not in engine:
            connection.exec_driver_sql(
                f"ALTER TABLE `{table.name}` MODIFY SETTING {_ONLY_PARTS}, {_ONLY_NOTES}"
            )
        ttl = _ttl(table, *wants)
        connection.exec_driver_sql(f"ALTER TABLE `{table.name}` MODIFY TTL {ttl} {_KEEP_NOTES}")
        if noted and (has is None or has[1] < wants[1]):
            connection.exec_driver_sql(f"ALTER TABLE `{table.name}` MATERIALIZE TTL")


def expiry_days(connection: Connection, table: Table) -> int | None:
    """Return the age from which on rows of a table may have been dropped, None without a TTL of ours."""
    query = text("SELECT engine_full FROM system.tables WHERE database = currentDatabase() AND name = :name")
    has = _of(connection.scalar(query, {"name": table.name}) or "")
    return None if has in {None, _FOREIGN} else has[1]


def _of(engine: str) -> tuple[int, int] | None:
    """Return from which second on rows age, and how many days they are kept, if there is a TTL."""
    if " TTL " not in engine:
        return None
    found = _KNOWN.search(engine)
    return (int(found[1]), int(found[2])) if found else _FOREIGN


def _ttl(table: Table, floor_s: int, days: int) -> str:
    time = next(_SECONDS[column.name] for column in table.columns if column.name in _SECONDS)
    from_s = f"toUInt32(least(greatest({time}, {floor_s}), {_LATEST_S}))"
    return f"toLastDayOfMonth(toDate(fromUnixTimestamp({from_s}))) + toIntervalDay({days})"
