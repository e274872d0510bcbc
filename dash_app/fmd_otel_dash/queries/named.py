"""Names in place of ids, for rows that speak of users and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from sqlalchemy import Connection

    from fmd_otel_exporter.schema import Tables

_CHUNK = 500


def version_names(conn: Connection, tables: Tables, ids: Collection[int]) -> dict[int, str]:
    """Return the names of versions."""
    c = tables.version.c
    return {
        row[0]: row[1]
        for chunk in _chunks(sorted(set(ids)))
        for row in conn.execute(select(c.id, c.name).where(c.id.in_(chunk)))
    }


def subject_names(conn: Connection, tables: Tables, ids: Collection[int | None]) -> dict[int | None, str]:
    """Return users and addresses; None stands for nobody, and has no name."""
    c = tables.subject.c
    return {
        row[0]: row[1]
        for chunk in _chunks(sorted({own for own in ids if own is not None}))
        for row in conn.execute(select(c.id, c.value).where(c.id.in_(chunk)))
    }


def _chunks(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
