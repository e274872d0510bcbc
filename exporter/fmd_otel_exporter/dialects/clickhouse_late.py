"""Remembers which rows of a batch are owed to days that were summed up before they came.

Rows are in ClickHouse at once, and what is owed for them follows: a day is to be summed up anew, or has its
sums made for good, and takes them on top. Whoever is killed in between leaves rows that cannot be told from
those of a batch that was written long ago, which the ledger has forgotten, and for which nothing is owed. So
they are noted first, in the table of turns, and crossed out when all that is owed is there. Hardly any batch
has such rows.

What is owed depends on what has become of a day, so that must not change before the batch is sent again: a
day that had its sums made anew, with the rows of such a batch, and was then sealed would look as if it lacked
them. Their raw rows may be gone by then, so that nobody can tell. So days of batches with rows of other days
than today are noted, too, and are not sealed as long as such a batch may still come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickhouse_connect import dbapi

from fmd_otel_exporter.dialects.clickhouse_mutex import NO_TABLE, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Key = tuple[int, bytes]
"""Time and span: what is left of a row's key when its endpoint gets another number."""
COMES_AGAIN_DAYS = 7
"""For so long anybody may hold on to a batch, and then it is lost."""
_SETTINGS = {"insert_deduplicate": 0, "async_insert": 0}


def note(client: Any, batch: str, rows: Iterable[Key]) -> None:
    """Note that something is owed for these rows; for none, that nothing is."""
    _write(client, f"late: {batch}", " ".join(f"{ts:x}:{span.hex()}" for ts, span in rows))


def noted(client: Any, batch: str) -> set[Key]:
    """Return the rows for which something is owed."""
    query = f"SELECT owner FROM {TABLE} WHERE name = %(name)s ORDER BY at DESC LIMIT 1"  # noqa: S608 # a constant
    try:
        found = client.query(query, {"name": f"late: {batch}"}).result_rows
    except dbapi.DatabaseError as exc:
        if getattr(exc, "code", None) == NO_TABLE:
            return set()
        raise
    pairs = [each.partition(":") for each in found[0][0].split()] if found else []
    return {(int(ts, 16), bytes.fromhex(span)) for ts, _, span in pairs}


def begin(client: Any, batch: str, days: Sequence[int]) -> None:
    """Note the days of a batch that is about to be written."""
    _write(client, name_of_days(batch), " ".join(map(str, days)))


def name_of_days(batch: str) -> str:
    """Return under which name they are noted, and crossed out with the turn when the batch is there."""
    return f"begun: {batch}"


def unfinished(client: Any, batches: str) -> set[int]:
    """Return the days of batches that may come again, of those whose names begin like this."""
    query = (
        f"SELECT argMax(owner, at) FROM {TABLE} WHERE startsWith(name, %(name)s) "  # noqa: S608 # constants
        f"AND at > now64(6) - toIntervalDay({COMES_AGAIN_DAYS}) GROUP BY name"
    )
    found = client.query(query, {"name": name_of_days(batches)}).result_rows
    return {int(day) for (days,) in found for day in days.split()}


def _write(client: Any, name: str, text: str) -> None:
    """Write a note; it is the caller's turn, so the table is there."""
    client.command(
        f"INSERT INTO {TABLE} (name, turn, owner, lasts_s, over) SELECT %(name)s, 0, %(text)s, 0, 1",
        {"name": name, "text": text},
        settings=_SETTINGS,
    )
