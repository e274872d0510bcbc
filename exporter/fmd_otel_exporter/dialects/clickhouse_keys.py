"""Looks for keys, which ClickHouse itself does not keep from coming twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, Integer, Table

from fmd_otel_exporter.dialects.clickhouse_tables import GONE, VERSION, is_laid_over, kind_of
from fmd_otel_exporter.dialects.clickhouse_wire import literal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

AS_STORED = {"final": 0}
"""Settings of a query that is to see rows as they are stored."""
_CHUNK = 2000

Key = tuple[Any, ...]


def keys_of(table: Table, rows: Sequence[tuple[Any, ...]]) -> set[Key]:
    """Return the keys of rows."""
    width = len(table.primary_key)
    return {row[:width] for row in rows}


def queries_for(table: Table, rows: Sequence[tuple[Any, ...]]) -> Iterator[str]:
    """Yield queries for the keys that are there, and for others that begin with the same numbers: few."""
    columns = ", ".join([f"`{column.name}`" for column in table.primary_key])
    by = ", ".join([f"`{column.name}`" for column in _numbers(table)])
    width = len(_numbers(table))
    wanted = list(dict.fromkeys([row[:width] for row in rows]))
    for start in range(0, len(wanted), _CHUNK):
        # Tuples of several numbers look in Python as they do in SQL.
        chosen = str(wanted[start : start + _CHUNK])[1:-1]
        yield f"SELECT {columns} FROM `{table.name}` WHERE ({by}) IN ({chosen})"  # noqa: S608 # names of the schema, and numbers


def nothing_of(table: Table) -> str:
    """Return what stands in the place of a key for something else that was found: no key is so empty."""
    return ", ".join(["0" if isinstance(c.type, Integer) else "''" for c in table.primary_key])


def are_met(client: Any, table: Table, query: str, keys: set[Key]) -> bool:
    """Tell whether any of these keys, or something else, is among what a query finds."""
    width = len(_numbers(table))
    return any(not any(key[:width]) or key in keys for key in _found(client, query))


def are_there(client: Any, table: Table, rows: Sequence[tuple[Any, ...]]) -> bool:
    """Tell whether all of these rows are there."""
    found = {key for query in queries_for(table, rows) for key in _found(client, query)}
    return keys_of(table, rows) <= found


def versions_of(
    client: Any, table: Table, names: Sequence[str], keys: Iterable[Key]
) -> dict[Key, tuple[int, int]]:
    """Return which of these keys are or were there: their newest version, and whether that is gone."""
    columns = ", ".join(f"`{name}`" for name in names)
    versions = "1, 0"
    # Where rows are laid over each other, a name that is no more stands below the one that is.
    settings = {} if is_laid_over(table) else AS_STORED
    if kind_of(table) == "meta" and not is_laid_over(table):
        versions = f"max({VERSION}), argMax({GONE}, {VERSION})"
    found: dict[Key, tuple[int, int]] = {}
    wanted = sorted(set(keys))
    for start in range(0, len(wanted), _CHUNK):
        chosen = ", ".join(f"({', '.join(map(literal, key))})" for key in wanted[start : start + _CHUNK])
        query = (
            f"SELECT {columns}, {versions} FROM `{table.name}` "  # noqa: S608 # names of the schema, and literals
            f"WHERE ({columns}) IN ({chosen}) GROUP BY {columns}"
        )
        for row in client.query(query, settings=settings).result_rows:
            found[tuple(row[:-2])] = row[-2], row[-1]
    return found


def _numbers(table: Table) -> list[Column[Any]]:
    """Return the columns that a key begins with."""
    return [column for column in table.primary_key if isinstance(column.type, Integer)]


def _found(client: Any, query: str) -> list[Key]:
    rows = client.query(query, settings=AS_STORED, query_formats={"String": "bytes"}).result_rows
    return [tuple(row) for row in rows]
