"""What PostgreSQL says of its tables, without reading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from fmd_otel_exporter.sizes import Sizes, TableSize

if TYPE_CHECKING:
    from sqlalchemy import Connection

_TABLES = text(
    "SELECT coalesce((SELECT p.relname FROM pg_class p WHERE p.oid = pg_partition_root(c.oid)), c.relname), "
    "c.reltuples, pg_total_relation_size(c.oid) "
    "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE c.relkind = 'r' AND n.nspname = current_schema() AND c.relname LIKE :like"
)


def sizes(connection: Connection, prefix: str) -> Sizes:
    """Return what is in our tables; rows are as of the last look of autovacuum."""
    found: dict[str, TableSize] = {}
    like = prefix.replace("\\", r"\\").replace("_", r"\_").replace("%", r"\%") + r"\_%"
    for table, tuples, size in connection.execute(_TABLES, {"like": like}):
        name = table.removeprefix(f"{prefix}_")
        part = TableSize(None if tuples < 0 else round(tuples), int(size))
        before = found.get(name)
        if before is not None:  # partitions of one table
            rows = (before.rows or 0) + (part.rows or 0)
            part = TableSize(rows, (before.size_bytes or 0) + int(size))
        found[name] = part
    version = connection.exec_driver_sql("SHOW server_version").scalar()
    return Sizes(
        product=f"PostgreSQL {version}",
        total_bytes=sum(size.size_bytes or 0 for size in found.values()),
        tables=found,
    )
