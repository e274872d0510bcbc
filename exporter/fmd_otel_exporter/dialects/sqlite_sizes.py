"""What a SQLite file holds: measured where it is small, worked out where that would read all of it."""

from __future__ import annotations

import shutil
import sqlite3
from typing import TYPE_CHECKING

from sqlalchemy import LargeBinary, String, Table, Text, func, select, text
from sqlalchemy.exc import OperationalError

from fmd_otel_exporter.schema import build_tables
from fmd_otel_exporter.sizes import Sizes, TableSize

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

MEASURED_BYTES = 32 * 1024 * 1024
"""Up to this size a file is read to be measured."""
_LARGEST = "request"
"""The table that is not counted where counting takes long; whatever is left of the file is this one's."""
_SAMPLE = 200
_NUMBER_BYTES = 4
_ROW_BYTES = 6


def sizes(connection: Connection, prefix: str, path: Path | None) -> Sizes:
    """Return what the file holds; ``path`` is None for a database in memory."""
    pages, free, page_bytes = (
        _pragma(connection, name) for name in ("page_count", "freelist_count", "page_size")
    )
    in_use = (pages - free) * page_bytes
    tables = {
        table.name.removeprefix(f"{prefix}_"): table for table in build_tables(prefix).metadata.sorted_tables
    }
    exact = pages * page_bytes <= MEASURED_BYTES
    measured = _measured(connection, prefix) if exact else None
    found: dict[str, TableSize] = {}
    for name, table in tables.items():
        if not exact and name == _LARGEST:
            continue
        rows = connection.scalar(select(func.count()).select_from(table)) or 0
        size = rows * _row_bytes(connection, table) if measured is None else measured.get(name, 0)
        found[name] = TableSize(rows, size, estimated=measured is None)
    if not exact:
        others = sum(size.size_bytes or 0 for size in found.values())
        found[_LARGEST] = TableSize(None, max(in_use - others, 0))
    return Sizes(
        product=f"SQLite {sqlite3.sqlite_version}",
        total_bytes=pages * page_bytes,
        log_bytes=log_bytes(path) if path is not None else 0,
        reusable_bytes=free * page_bytes,
        disk_free_bytes=shutil.disk_usage(path.parent).free if path is not None else None,
        tables=found,
    )


def total_bytes(connection: Connection) -> int:
    """Return the size of the file once all of its log has gone into it."""
    return _pragma(connection, "page_count") * _pragma(connection, "page_size")


def _pragma(connection: Connection, name: str) -> int:
    return int(connection.exec_driver_sql(f"PRAGMA {name}").scalar() or 0)


def log_bytes(path: Path) -> int:
    """Return the size of the write-ahead log."""
    log = path.with_name(f"{path.name}-wal")
    return log.stat().st_size if log.exists() else 0


def _measured(connection: Connection, prefix: str) -> dict[str, int] | None:
    """Return the bytes of each table with its indexes; None where this SQLite cannot tell."""
    query = text(
        "SELECT m.tbl_name, sum(s.pgsize) FROM dbstat AS s JOIN sqlite_master AS m ON m.name = s.name "
        "WHERE s.aggregate = TRUE GROUP BY 1"
    )
    try:
        rows = connection.execute(query).all()
    except OperationalError:
        return None
    return {row[0].removeprefix(f"{prefix}_"): int(row[1]) for row in rows}


def _row_bytes(connection: Connection, table: Table) -> int:
    """Return about how many bytes a row takes, by what its first ones hold."""
    wide = [column for column in table.columns if isinstance(column.type, (LargeBinary, String, Text))]
    size = _ROW_BYTES + _NUMBER_BYTES * (len(table.columns) - len(wide))
    if wide:
        few = select(*wide).limit(_SAMPLE).subquery()
        lengths = connection.execute(select(*(func.avg(func.length(column)) for column in few.columns))).one()
        size += sum(round(length or 0) for length in lengths)
    return size
