"""Names in place of ids, for rows that speak of users and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from fmd_otel_dash.queries.statements import Statement, any_of, built_once

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from sqlalchemy import Connection, Table

    from fmd_otel_exporter.schema import Tables

_CHUNK = 500


def version_names(conn: Connection, tables: Tables, ids: Collection[int]) -> dict[int, str]:
    """Return the names of versions."""
    return _names(conn, _of_some(tables.version, "name"), sorted(set(ids)))


def subject_names(conn: Connection, tables: Tables, ids: Collection[int | None]) -> dict[int | None, str]:
    """Return users and addresses; None stands for nobody, and has no name."""
    return _names(conn, _of_some(tables.subject, "value"), sorted({own for own in ids if own is not None}))


def _names(conn: Connection, query: Statement, ids: Sequence[int]) -> dict[Any, str]:
    chunks = (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
    return {own: name for chunk in chunks for own, name in conn.execute(query, {"ids": chunk}).all()}


@built_once
def _of_some(table: Table, name: str) -> Statement:
    return select(table.c.id, table.c[name]).where(table.c.id.in_(any_of("ids")))
