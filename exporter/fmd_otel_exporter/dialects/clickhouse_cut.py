"""Remembers batches whose raw rows are in ClickHouse while sums made of them may not be.

An insert fails when one of the views on its table does, or the server dies in the middle of it; its rows
stay. Sent again, exactly as it was and with the same token, it adds only what is missing. But rows that are
there may as well have come in other batches, and then it would add them twice. So whoever sees an insert fail
whose rows are there says so, in the table of turns, for whoever sends the batch again; and in memory, if the
server cannot be told just now.
"""

from __future__ import annotations

from typing import Any

from clickhouse_connect import dbapi

from fmd_otel_exporter.dialects.clickhouse_mutex import MAKE, NO_TABLE, TABLE

_MOST = 10_000
_untold: set[tuple[str, str]] = set()


def note(client: Any, name: str) -> None:
    """Remember a batch, by a name that says which table it is of."""
    try:
        client.command(MAKE)
        client.command(
            f"INSERT INTO {TABLE} (name, turn, owner, lasts_s, over) SELECT %(name)s, 0, '', 0, 1",
            {"name": f"cut short: {name}"},
            settings={"insert_deduplicate": 0, "async_insert": 0},
        )
    except dbapi.Error:
        remember(client, name)


def remember(client: Any, name: str) -> None:
    """Remember a batch in memory only."""
    if len(_untold) < _MOST:
        _untold.add((f"{client.url}/{client.database}", name))


def is_noted(client: Any, name: str) -> bool:
    """Tell whether a batch was remembered, by this process or by another."""
    if (f"{client.url}/{client.database}", name) in _untold:
        return True
    query = f"SELECT count() FROM {TABLE} WHERE name = %(name)s"  # noqa: S608 # a constant
    try:
        return bool(client.query(query, {"name": f"cut short: {name}"}).result_rows[0][0])
    except dbapi.DatabaseError as exc:
        if getattr(exc, "code", None) == NO_TABLE:
            return False
        raise


def forget(client: Any, name: str) -> None:
    """Let a batch go that is in as a whole; what the table says of it goes by its age."""
    _untold.discard((f"{client.url}/{client.database}", name))
