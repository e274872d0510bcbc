"""What a SQLite file holds: measured where it is small, worked out where that would read all of it."""

from __future__ import annotations

import shutil
import sqlite3
from functools import lru_cache
from typing import TYPE_CHECKING

from sqlalchemy import LargeBinary, Table, func, select, text
from sqlalchemy.exc import OperationalError

from fmd_otel_exporter.schema import build_tables
from fmd_otel_exporter.sizes import Sizes, TableSize

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

MEASURED_BYTES = 16 * 1024 * 1024
"""Up to this size a file is read to be measured."""
_UNCOUNTED = ("request", "subject_day")
"""Tables with so many rows that counting them takes long. Others know how many requests there are; what is
left of the file is the other one's."""
_SAMPLE = 100
_SAMPLE_OF_LENGTHS = 10_000
_FILLED = 1.1
"""Pages are not quite full."""


def sizes(connection: Connection, prefix: str, path: Path | None) -> Sizes:
    """Return what the file holds; ``path`` is None for a database in memory."""
    pages, free, page_bytes = (
        _pragma(connection, name) for name in ("page_count", "freelist_count", "page_size")
    )
    is_small = pages * page_bytes <= MEASURED_BYTES
    measured = _measured(connection, prefix) if is_small else None
    found: dict[str, TableSize] = {}
    for name, table in _tables(prefix).items():
        if measured is not None:
            found[name] = TableSize(_count(connection, table), measured.get(name, 0), estimated=False)
            continue
        rows = None if name in _UNCOUNTED else _count(connection, table)
        row_bytes = 0 if rows == 0 else _row_bytes(connection, table)
        found[name] = TableSize(rows, None if rows is None else rows * row_bytes, row_bytes=row_bytes)
    known = sum(size.size_bytes or 0 for size in found.values())
    return Sizes(
        product=f"SQLite {sqlite3.sqlite_version}",
        total_bytes=pages * page_bytes,
        log_bytes=log_bytes(path) if path is not None else 0,
        reusable_bytes=free * page_bytes,
        disk_free_bytes=shutil.disk_usage(path.parent).free if path is not None else None,
        unmeasured_bytes=max((pages - free) * page_bytes - known, 0),
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


@lru_cache(maxsize=4)
def _tables(prefix: str) -> dict[str, Table]:
    # The same ones each time: SQLAlchemy remembers statements by their tables.
    return {
        table.name.removeprefix(f"{prefix}_"): table for table in build_tables(prefix).metadata.sorted_tables
    }


def _count(connection: Connection, table: Table) -> int:
    return connection.scalar(select(func.count()).select_from(table)) or 0


def _row_bytes(connection: Connection, table: Table) -> int:
    """Return about how many bytes a row takes, by what the first ones hold."""
    blobs = [column for column in table.columns if isinstance(column.type, LargeBinary)]
    others = [column for column in table.columns if column not in blobs]
    rows = connection.execute(select(*others).limit(_SAMPLE)).all()
    if not rows:
        return 0
    # Length of the record, its place in the page, the length of its header, and a byte for each column.
    around = 4 + 1 + len(table.columns)
    mean = sum(around + sum(map(_value_bytes, row)) for row in rows) / len(rows)
    if blobs:
        # Their length is known without reading them, and the first ones are all of one owner.
        lengths = connection.execute(select(*map(func.length, blobs)).limit(_SAMPLE_OF_LENGTHS)).all()
        mean += sum(length or 0 for row in lengths for length in row) / len(lengths)
    return round(_FILLED * mean)


def _value_bytes(value: object) -> int:
    """Return what SQLite's record format takes for a value."""
    if value is None or value in (0, 1):
        return 0
    if isinstance(value, int):
        return next((size for size in (1, 2, 3, 4, 6) if abs(value) < 1 << (8 * size - 1)), 8)
    return len(value) if isinstance(value, str) else 8
