"""Remembers which rows of a batch are owed to days that were summed up before they came.

Rows are in ClickHouse at once, and what is owed for them follows: a day is to be summed up anew, or has its
sums made for good, and takes them on top. Whoever is killed in between leaves rows that cannot be told from
those of a batch that was written long ago, which the ledger has forgotten, and for which nothing is owed. So
they are noted first, in the table of turns, and crossed out when all that is owed is there. Hardly any batch
has such rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickhouse_connect import dbapi

from fmd_otel_exporter.dialects.clickhouse_mutex import MAKE, NO_TABLE, TABLE

if TYPE_CHECKING:
    from collections.abc import Iterable

Key = tuple[int, bytes]
"""Time and span: what is left of a row's key when its endpoint gets another number."""


def note(client: Any, batch: str, rows: Iterable[Key]) -> None:
    """Note that something is owed for these rows; for none, that nothing is."""
    text = " ".join(f"{ts:x}:{span.hex()}" for ts, span in rows)
    client.command(MAKE)
    client.command(
        f"INSERT INTO {TABLE} (name, turn, owner, lasts_s, over) SELECT %(name)s, 0, %(rows)s, 0, 1",
        {"name": f"late: {batch}", "rows": text},
        settings={"insert_deduplicate": 0, "async_insert": 0},
    )


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
