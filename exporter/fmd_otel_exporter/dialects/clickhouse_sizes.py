"""What ClickHouse says of its parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import text

from fmd_otel_exporter.sizes import Sizes, TableSize

if TYPE_CHECKING:
    from sqlalchemy import Connection

_PARTS = text(
    "SELECT table, toInt64(sum(rows)), toInt64(sum(bytes_on_disk)) FROM system.parts "
    "WHERE active AND database = currentDatabase() AND startsWith(table, :prefix) GROUP BY table "
    "SETTINGS final = 0"
)
_SERVER = text(
    "SELECT version(), toInt64((SELECT min(unreserved_space) FROM system.disks)) SETTINGS final = 0"
)


def sizes(connection: Connection, prefix: str) -> Sizes:
    """Return the rows as they are stored, which may be more than there are, and their compressed size."""
    tables = {
        row[0].removeprefix(f"{prefix}_"): TableSize(rows=row[1], size_bytes=row[2])
        for row in connection.execute(_PARTS, {"prefix": f"{prefix}_"})
    }
    version, free = connection.execute(_SERVER).one()
    return Sizes(
        product=f"ClickHouse {version}",
        total_bytes=sum(table.size_bytes or 0 for table in tables.values()),
        disk_free_bytes=free,
        tables=tables,
    )
